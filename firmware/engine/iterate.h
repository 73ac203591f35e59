/* SPDX-License-Identifier: MIT */
/**
 * Element-wise traversal of tensors with any strides.
 *
 * A kernel describes its operands and gives a function that works on rows of
 * neighbouring elements.  The traversal drops extents of 1, orders the
 * dimensions by the output's strides, merges those that are contiguous for every
 * operand, shares the work among the lanes, and copies what is not contiguous
 * through the lane's local memory, so that the row function only ever sees dense
 * elements.
 */
#ifndef WEFT_ENGINE_ITERATE_H
#define WEFT_ENGINE_ITERATE_H

#include <stdbool.h>
#include "engine.h"

#define WEFT_ITERATE_OPERANDS 9

/**
 * Work on @rows rows of @n elements.  at[i] is operand i's first element (NULL:
 * absent), its elements are dense; neighbouring rows are step[i] bytes apart.
 * @first is the index of the first element in the order of traversal: with
 * weft_iteration.ordered, the row-major index in the shape's dims.
 */
typedef void (*weft_rows)(const void *context, uint64_t first, size_t rows, size_t n, char *const at[],
			  const ptrdiff_t step[]);

struct weft_iteration {
	unsigned int rank;
	unsigned int operands;
	bool ordered; /* keep the order of dims */
	uint64_t elements;
	size_t dims[WEFT_MAX_RANK];
	ptrdiff_t stride[WEFT_ITERATE_OPERANDS][WEFT_MAX_RANK]; /* bytes */
	char *base[WEFT_ITERATE_OPERANDS];
	unsigned int bytes[WEFT_ITERATE_OPERANDS]; /* of an element */
	bool input[WEFT_ITERATE_OPERANDS];
	bool output[WEFT_ITERATE_OPERANDS];
	weft_rows rows;
	const void *context;
	struct weft_engine_unit *unit;
	unsigned int pieces;
};

/** Bytes of an element; 0 for the packed types. */
unsigned int weft_element_bytes(unsigned int type);

/** Start an iteration over the elements of @shape. */
void weft_iteration_begin(struct weft_iteration *iteration, const struct weft_tensor *shape);
/**
 * Add an operand: same rank as the shape, and every extent equal or 1, which
 * repeats.  An absent one (@at NULL) keeps its slot.  Outputs come last.
 */
void weft_iteration_add(struct weft_iteration *iteration, const struct weft_tensor *tensor, void *at, bool output);
/** Add an operand that is read and written. */
void weft_iteration_add_updated(struct weft_iteration *iteration, const struct weft_tensor *tensor, void *at);
/** Drop, order and merge dimensions; for kernels that look at the result.  Running does it too. */
void weft_iteration_simplify(struct weft_iteration *iteration);
/** Visit every element once. */
void weft_iteration_run(struct weft_iteration *iteration, struct weft_engine_unit *unit, weft_rows rows,
			const void *context);

#endif /* WEFT_ENGINE_ITERATE_H */
