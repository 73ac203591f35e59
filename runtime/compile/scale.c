// SPDX-License-Identifier: MIT
/*
 * A product of matrices that is then multiplied by a number takes that number as
 * its scale: scores of attention, which are divided by the root of the width.
 */
#include "compile/passes.h"
#include "compile/uses.h"
#include "graph/build.h"
#include "graph/layout.h"

static int run(struct weft_graph *graph, const struct weft_graph_options *options)
{
	struct weft_uses uses;
	int r = weft_uses_begin(&uses, graph);

	(void)options;
	for (weft_id at = 0; at < graph->operations && !r; at++) {
		const struct weft_operation *operation = &graph->operation[at];
		struct weft_operation *product;
		struct weft_operand x, y;
		weft_id maker;

		if (operation->opcode != WEFT_OP_UNARY || operation->params.unary.function != WEFT_UNARY_AFFINE ||
		    operation->params.unary.beta != 0)
			continue;
		x = weft_operand_in(graph, operation, 0);
		y = weft_operand_in(graph, operation, 1);
		maker = weft_uses_private_maker(&uses, graph, at, 0);
		if (maker == WEFT_NO_ID || !weft_layout_same(&x.layout, &y.layout) || graph->value[y.id].base != y.id)
			continue;
		product = &graph->operation[maker];
		if (product->opcode != WEFT_OP_MATMUL || product->operand[2] != WEFT_NO_ID || product->updates ||
		    product->params.matmul.activation != WEFT_ACT_NONE)
			continue;
		product->params.matmul.scale *= operation->params.unary.alpha;
		r = weft_uses_take_over(&uses, graph, maker, 3, at, 1);
	}
	return weft_uses_finish(&uses, graph, r);
}

const struct weft_pass weft_pass_scale = {
	.info = {"scale", "a matrix product that is multiplied by a number does it itself (scores of attention)"},
	.graph = run};
