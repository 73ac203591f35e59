// SPDX-License-Identifier: MIT
#include "compile/passes.h"

#include <string.h>

#include "graph/prune.h"

static const struct weft_pass *const passes[] = {
	&weft_pass_activations, &weft_pass_layer_norm, &weft_pass_common,  &weft_pass_scale,	&weft_pass_bias,
	&weft_pass_fold_norm,	&weft_pass_epilogue,   &weft_pass_updates, &weft_pass_in_place, &weft_pass_panels,
};
#define PASSES (sizeof(passes) / sizeof(passes[0]))

const struct weft_pass_info *weft_pass_at(uint32_t index)
{
	return index < PASSES ? &passes[index]->info : NULL;
}

static bool is_left_out(const struct weft_pass *pass, const struct weft_graph_options *options)
{
	for (uint32_t i = 0; i < options->without_passes; i++)
		if (!strcmp(options->without_pass[i], pass->info.name))
			return true;
	return false;
}

int weft_compile_nodes(struct weft_nodes *nodes, const struct weft_graph_options *options)
{
	int r = 0;

	for (size_t i = 0; i < PASSES && !r; i++)
		if (passes[i]->nodes && !is_left_out(passes[i], options))
			r = passes[i]->nodes(nodes);
	return r;
}

int weft_compile_graph(struct weft_graph *graph, const struct weft_graph_options *options, bool last)
{
	int r = 0;

	for (size_t i = 0; i < PASSES && !r; i++) {
		bool off = is_left_out(passes[i], options);

		/* Permission to work in place is given while operations are made; leaving it out takes it back. */
		if (passes[i]->graph && passes[i]->last == last && off == (passes[i] == &weft_pass_in_place))
			r = passes[i]->graph(graph, options);
	}
	return r || last ? r : weft_graph_prune(graph);
}
