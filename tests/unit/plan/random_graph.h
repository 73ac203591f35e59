/* SPDX-License-Identifier: MIT */
/** Random training graphs that can be planned and executed, for property tests. */
#ifndef WEFT_TEST_RANDOM_GRAPH_H
#define WEFT_TEST_RANDOM_GRAPH_H

#include "graph/graph.h"
#include "plan/plan.h"

/** splitmix64 */
uint64_t random_next(uint64_t *state);

/**
 * A graph with about @layers forward operations drawn from @seed: dense layers
 * with SGD and momentum, ReLU, residual sums, dropout, values made in pieces, and
 * all their gradients.  Input "x", loss "loss".
 */
struct weft_graph *random_graph(uint64_t seed, unsigned int layers);

/** Costs in proportion to the bytes that operations touch.  Free with random_costs_free(). */
struct weft_costs random_costs(const struct weft_graph *graph);
void random_costs_free(struct weft_costs *costs);

#endif /* WEFT_TEST_RANDOM_GRAPH_H */
