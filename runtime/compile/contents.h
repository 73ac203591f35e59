/* SPDX-License-Identifier: MIT */
/** Contents of weights that are final. */
#ifndef WEFT_COMPILE_CONTENTS_H
#define WEFT_COMPILE_CONTENTS_H

#include "graph/graph.h"
#include "weft/model.h"

/** Take the contents of weights and statistics from options->weights, where it is set. */
int weft_graph_take_weights(struct weft_graph *graph, const struct weft_graph_options *options);
/** What no operation uses any more takes no place: it counts as an activation that is never made. */
int weft_graph_forget_unused(struct weft_graph *graph);

#endif /* WEFT_COMPILE_CONTENTS_H */
