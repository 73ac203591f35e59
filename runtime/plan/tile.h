/* SPDX-License-Identifier: MIT */
/**
 * Tiling: a graph whose operations need no more than a given working set.
 *
 * Large values (activations, gradients, weights, optimizer state) stand in pieces,
 * which are values of their own: planners page, drop and recompute them one by
 * one, so a value may be larger than device memory.  Operations run tile by tile:
 *
 *	MATMUL			blocks of the leading dimensions, N, M, and K at block boundaries
 *	CONV_FWD		groups, output channels, samples, output rows
 *	CONV_BWD_DATA		groups, input channels, samples, input rows
 *	CONV_BWD_WEIGHT		groups, channels; samples and rows accumulate
 *	pooling			samples, rows (with their halo), channels
 *	normalisation, REDUCE	what is kept; SUM also along its outermost dimension
 *	softmax			rows
 *	element-wise, updates	any ranges
 *	GATHER, SCATTER_ADD	columns of the table; GATHER also rows of the result
 *
 * What a tile reads is a view of one piece, or is put together by copies.  Results
 * stay the same to the bit: an index that is not reduced may be cut anywhere, and
 * sums are cut where their blocks end, and accumulate (see enum weft_op).
 */
#ifndef WEFT_PLAN_TILE_H
#define WEFT_PLAN_TILE_H

#include "graph/graph.h"

/**
 * A copy of @graph whose operations take about @bytes of device memory at most,
 * as far as their rules allow.  Values of @graph keep their ids; their data stay with
 * @graph until weft_graph_take_data().  INPUT values and outputs stay whole.
 * What is put together for a tile takes a piece at a time besides; @roomy: a piece for each
 * operand at once, so that tiles are smaller, and something else may stay in memory beside them.
 * -ERANGE: every operation already does.
 */
int weft_graph_tile(const struct weft_graph *graph, uint64_t bytes, bool roomy, struct weft_graph **tiled);

/** The most bytes that the operands of one operation of @graph have together. */
uint64_t weft_graph_working_set(const struct weft_graph *graph);

#endif /* WEFT_PLAN_TILE_H */
