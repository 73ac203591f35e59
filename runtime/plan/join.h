/* SPDX-License-Identifier: MIT */
/** Joining what an earlier pass has cut, so that tiles can be cut in another way. */
#ifndef WEFT_PLAN_JOIN_H
#define WEFT_PLAN_JOIN_H

#include "graph/graph.h"

/**
 * A copy of @graph in which gradients that come in blocks of rows, each applied before the
 * next one is computed, are one product and one update again.  An element of either
 * does not depend on where they are cut, so not a bit changes.  Values of @graph keep
 * their ids; their data stay with @graph until weft_graph_take_data().
 * -ERANGE: there are no such blocks.
 */
int weft_graph_join_updates(const struct weft_graph *graph, struct weft_graph **joined);

#endif /* WEFT_PLAN_JOIN_H */
