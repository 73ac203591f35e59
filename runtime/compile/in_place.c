// SPDX-License-Identifier: MIT
/*
 * Results may take the storage of operands that nothing reads any more: that is
 * said where operations are made.  Left out, everything has a place of its own.
 */
#include "compile/passes.h"

static int take_back(struct weft_graph *graph, const struct weft_graph_options *options)
{
	(void)options;
	for (weft_id at = 0; at < graph->operations; at++)
		graph->operation[at].may_in_place = 0;
	return 0;
}

const struct weft_pass weft_pass_in_place = {
	.info = {"in-place", "results may take the storage of operands that nothing reads any more"},
	.graph = take_back,
	.last = true};
