/* SPDX-License-Identifier: MIT */
/** Changes to a whole graph. */
#ifndef WEFT_GRAPH_PRUNE_H
#define WEFT_GRAPH_PRUNE_H

#include "graph/graph.h"

/** Remove operations that neither an output nor a persistent value depends on. */
int weft_graph_prune(struct weft_graph *graph);
/** Remove the operations that @gone marks, and nothing else; renumbers producers. */
void weft_graph_remove(struct weft_graph *graph, const bool gone[]);
/** Sort operations by @key (stable) and renumber producers; the caller answers for the order. */
int weft_graph_reorder(struct weft_graph *graph, const uint64_t key[]);

#endif /* WEFT_GRAPH_PRUNE_H */
