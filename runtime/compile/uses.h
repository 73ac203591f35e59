/* SPDX-License-Identifier: MIT */
/** Who reads and writes what, for passes over graphs. */
#ifndef WEFT_COMPILE_USES_H
#define WEFT_COMPILE_USES_H

#include "graph/graph.h"

struct weft_uses {
	uint32_t *readers; /* per base: operands that read it; one more where it is an output */
	uint32_t *writers;
	bool *gone; /* per operation: to be removed by weft_uses_finish() */
};

int weft_uses_begin(struct weft_uses *uses, const struct weft_graph *graph);
/** Remove what is gone, where @result is 0, and free @uses; returns @result or what went wrong. */
int weft_uses_finish(struct weft_uses *uses, struct weft_graph *graph, int result);

/**
 * The operation that makes all of what operand @slot of @at reads, if nothing else
 * reads it, it is no output, and the operand covers it without moving or repeating
 * anything; WEFT_NO_ID otherwise.
 */
weft_id weft_uses_private_maker(const struct weft_uses *uses, const struct weft_graph *graph, weft_id at,
				unsigned int slot);
/** Let operation @maker write what operation @at made, which is then gone: same bytes in the same places. */
int weft_uses_take_over(struct weft_uses *uses, struct weft_graph *graph, weft_id maker, unsigned int maker_slot,
			weft_id at, unsigned int slot);
/** The one output slot of operations that are passed over here. */
unsigned int weft_only_output(const struct weft_operation *operation);

#endif /* WEFT_COMPILE_USES_H */
