// SPDX-License-Identifier: MIT
/*
 * A convolution, matrix product, normalisation or element-wise operation that a
 * ReLU or a clipping (ReLU6) follows applies it before it stores its result.  The
 * gradient then comes from the result, and what was before it is not kept.
 */
#include "compile/passes.h"
#include "compile/uses.h"
#include "graph/build.h"
#include "graph/layout.h"

struct epilogue {
	uint32_t *activation;
	float *alpha, *beta;
};

/* False: the operation has none. */
static bool epilogue_of(struct weft_operation *operation, struct epilogue *epilogue)
{
	union weft_params *params = &operation->params;

	switch (operation->opcode) {
	case WEFT_OP_MATMUL:
		*epilogue = (struct epilogue){&params->matmul.activation, &params->matmul.alpha, &params->matmul.beta};
		return true;
	case WEFT_OP_CONV_FWD:
		*epilogue = (struct epilogue){&params->conv.activation, &params->conv.alpha, &params->conv.beta};
		return true;
	case WEFT_OP_NORM_APPLY:
		*epilogue = (struct epilogue){&params->norm.activation, &params->norm.alpha, &params->norm.beta};
		return true;
	case WEFT_OP_BINARY:
		*epilogue = (struct epilogue){&params->binary.activation, &params->binary.alpha, &params->binary.beta};
		return params->binary.function < WEFT_BINARY_EQUAL;
	}
	return false;
}

static uint32_t activation_of(const struct weft_operation *operation)
{
	if (operation->opcode != WEFT_OP_UNARY)
		return WEFT_ACT_NONE;
	if (operation->params.unary.function == WEFT_UNARY_RELU)
		return WEFT_ACT_RELU;
	return operation->params.unary.function == WEFT_UNARY_CLIP ? WEFT_ACT_CLIP : WEFT_ACT_NONE;
}

static int run(struct weft_graph *graph, const struct weft_graph_options *options)
{
	struct weft_uses uses;
	int r = weft_uses_begin(&uses, graph);

	(void)options;
	for (weft_id at = 0; at < graph->operations && !r; at++) {
		const struct weft_operation *operation = &graph->operation[at];
		uint32_t activation = activation_of(operation);
		struct epilogue epilogue;
		struct weft_operand x, y;
		unsigned int slot;
		bool in_place;
		uint8_t over;
		weft_id maker;

		if (activation == WEFT_ACT_NONE)
			continue;
		x = weft_operand_in(graph, operation, 0);
		y = weft_operand_in(graph, operation, 1);
		maker = weft_uses_private_maker(&uses, graph, at, 0);
		if (maker == WEFT_NO_ID || graph->operation[maker].updates || graph->value[y.id].base != y.id ||
		    !weft_layout_same(&x.layout, &y.layout) || !epilogue_of(&graph->operation[maker], &epilogue) ||
		    *epilogue.activation != WEFT_ACT_NONE)
			continue;
		*epilogue.activation = activation;
		*epilogue.alpha = activation == WEFT_ACT_CLIP ? operation->params.unary.alpha : 0;
		*epilogue.beta = activation == WEFT_ACT_CLIP ? operation->params.unary.beta : 0;
		slot = weft_only_output(&graph->operation[maker]);
		/* What the maker may do in place, it may with this result too. */
		in_place = graph->operation[maker].may_in_place & (1u << slot);
		over = graph->operation[maker].in_place[slot];
		r = weft_uses_take_over(&uses, graph, maker, slot, at, 1);
		if (!r && in_place)
			weft_build_in_place(graph, maker, slot, over);
	}
	return weft_uses_finish(&uses, graph, r);
}

const struct weft_pass weft_pass_epilogue = {
	.info = {"epilogue", "an operation applies the ReLU or the clipping that follows it"}, .graph = run};
