/* SPDX-License-Identifier: MIT */
/**
 * Splitting: large activations along their outermost dimension, so that a step
 * fits where they do not.  The operations that touch them run once per part.
 * Results stay the same to the bit: splitting an index that is not reduced
 * changes nothing, and reductions are split at block boundaries and accumulate.
 */
#ifndef WEFT_PLAN_SPLIT_H
#define WEFT_PLAN_SPLIT_H

#include "graph/graph.h"

/**
 * A copy of @graph in which activations of at least @bytes consist of @parts
 * values each, where all operations that touch them allow it.  Values of @graph
 * keep their ids; their data stay with @graph until weft_graph_take_data().
 * -ERANGE: nothing can be split so.
 */
int weft_graph_split(const struct weft_graph *graph, uint32_t parts, uint64_t bytes, struct weft_graph **split);
/** All values of @from, with the same ids but without their data, in the empty graph @to. */
int weft_graph_copy_values(const struct weft_graph *from, struct weft_graph *to);
/** Append a copy of @old, an operation of a graph whose values have the same ids. */
int weft_graph_copy_operation(struct weft_graph *to, const struct weft_operation *old);
/** Which values are inputs, outputs, label, loss and so on. */
int weft_graph_copy_roles(const struct weft_graph *from, struct weft_graph *to);
/** Move the initial contents of values from @from to @to, made from it. */
void weft_graph_take_data(struct weft_graph *to, struct weft_graph *from);

#endif /* WEFT_PLAN_SPLIT_H */
