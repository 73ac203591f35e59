/* SPDX-License-Identifier: MIT */
/**
 * Appending operations with operands shown in any way: what the importer and
 * autodiff build graphs with.
 */
#ifndef WEFT_GRAPH_BUILD_H
#define WEFT_GRAPH_BUILD_H

#include "graph/graph.h"

/** A value as one operation is to see it: @layout is relative to the value's own offset. */
struct weft_operand {
	weft_id id;
	struct weft_layout layout;
};

#define WEFT_ABSENT ((struct weft_operand){.id = WEFT_NO_ID})

/** The value as it is. */
struct weft_operand weft_operand_of(const struct weft_graph *graph, weft_id id);
/** The value as operand @slot of @operation sees it; absent operands stay absent. */
struct weft_operand weft_operand_in(const struct weft_graph *graph, const struct weft_operation *operation,
				    unsigned int slot);

/** Dimension i of the result is dimension order[i] of @layout. */
struct weft_layout weft_layout_permuted(const struct weft_layout *layout, const uint8_t order[]);
/** @layout repeated to @dims by strides of 0, aligned at the last dimension.  False: does not broadcast. */
bool weft_layout_broadcast(const struct weft_layout *layout, unsigned int rank, const uint32_t dims[],
			   struct weft_layout *result);
/** Whether the same elements can be seen with @dims without moving them, and how. */
bool weft_layout_reshape(const struct weft_layout *layout, unsigned int rank, const uint32_t dims[],
			 struct weft_layout *result);
/** Whether the elements fill their range once, in whatever order of dimensions. */
bool weft_layout_is_dense(const struct weft_layout *layout);
/** Whether some dimension repeats elements. */
bool weft_layout_repeats(const struct weft_layout *layout);

/** A new activation; its name is "@name" with a suffix that makes it unique. */
int weft_build_value(struct weft_graph *graph, const char *name, const struct weft_layout *layout, weft_id *id);
int weft_build_view(struct weft_graph *graph, const char *name, weft_id of, uint64_t offset,
		    const struct weft_layout *layout, weft_id *id);

/** Append an operation; operands whose layout differs from their value's get a view. */
int weft_build(struct weft_graph *graph, const char *name, uint16_t opcode, const union weft_params *params,
	       unsigned int inputs, unsigned int operands, const struct weft_operand operand[], weft_id *id);
/**
 * The same for element-wise operations, all of whose operands have the dims of
 * the last: dimensions are sorted as the last operand lies in memory, and
 * merged where all operands allow it.
 */
int weft_build_elementwise(struct weft_graph *graph, const char *name, uint16_t opcode, const union weft_params *params,
			   unsigned int inputs, unsigned int operands, const struct weft_operand operand[],
			   weft_id *id);
/**
 * The same for operations whose operands broadcast to operand @whole by extents
 * of 1 (reductions, normalisation).  Each operand's dims are those of @whole or 1.
 */
int weft_build_broadcast(struct weft_graph *graph, const char *name, uint16_t opcode, const union weft_params *params,
			 unsigned int inputs, unsigned int operands, const struct weft_operand operand[],
			 unsigned int whole, weft_id *id);
/** The same for operations along the last dimension: the others are sorted and merged. */
int weft_build_rows(struct weft_graph *graph, const char *name, uint16_t opcode, const union weft_params *params,
		    unsigned int inputs, unsigned int operands, const struct weft_operand operand[], weft_id *id);
/** weft_operation_allow_in_place() where layouts and kinds of the operands allow it, nothing otherwise. */
void weft_build_in_place(struct weft_graph *graph, weft_id operation, unsigned int output, unsigned int input);

/** A constant f32 scalar; @name as for weft_build_value(). */
int weft_build_scalar(struct weft_graph *graph, const char *name, float number, weft_id *id);

#endif /* WEFT_GRAPH_BUILD_H */
