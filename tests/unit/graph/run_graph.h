/* SPDX-License-Identifier: MIT */
/** An interpreter for tests: every base in device memory of its own, operations in order. */
#ifndef RUN_GRAPH_H
#define RUN_GRAPH_H

#include "graph/graph.h"

struct run_graph;

/** Place all values, with their initial contents.  Fails the test on any error. */
struct run_graph *run_graph_new(const struct weft_graph *graph);
void run_graph_free(struct run_graph *run);
/** The memory of a base in this process. */
void *run_graph_memory(struct run_graph *run, weft_id base);
/** One step: every operation once, in order. */
void run_graph_step(struct run_graph *run);

#endif /* RUN_GRAPH_H */
