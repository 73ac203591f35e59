/* SPDX-License-Identifier: MIT */
/**
 * Passes: what makes a graph smaller or faster without changing what it means.
 * Those over nodes see the model's operators before they are lowered, where
 * patterns have their names; those over graphs see device operations.  Each can
 * be left out; the graph is then larger.
 */
#ifndef WEFT_COMPILE_PASSES_H
#define WEFT_COMPILE_PASSES_H

#include "compile/nodes.h"
#include "graph/graph.h"
#include "weft/model.h"

struct weft_pass {
	struct weft_pass_info info;
	/** Exactly one of the two is set. */
	int (*nodes)(struct weft_nodes *nodes);
	int (*graph)(struct weft_graph *graph, const struct weft_graph_options *options);
	bool last; /* after gradients and updates are there, not before */
};

/* In the order in which they run. */
extern const struct weft_pass weft_pass_activations, weft_pass_layer_norm, weft_pass_scale, weft_pass_bias,
	weft_pass_fold_norm, weft_pass_epilogue, weft_pass_common, weft_pass_updates, weft_pass_in_place,
	weft_pass_panels;

int weft_compile_nodes(struct weft_nodes *nodes, const struct weft_graph_options *options);
/** @last: the passes for after autodiff; else those for before. */
int weft_compile_graph(struct weft_graph *graph, const struct weft_graph_options *options, bool last);

#endif /* WEFT_COMPILE_PASSES_H */
