// SPDX-License-Identifier: MIT
#include "autodiff/rules.h"

#include <errno.h>

#include "weft/error.h"

static const weft_gradient_rule table[WEFT_OP_LIMIT] = {
	[WEFT_OP_COPY] = weft_gradient_copy,
	[WEFT_OP_MATMUL] = weft_gradient_matmul,
	[WEFT_OP_BIT_MATMUL] = weft_gradient_bit_matmul,
	[WEFT_OP_CONV_FWD] = weft_gradient_conv,
	[WEFT_OP_CONV_BWD_DATA] = weft_gradient_conv_transpose,
	[WEFT_OP_MAXPOOL_FWD] = weft_gradient_max_pool,
	[WEFT_OP_AVGPOOL_FWD] = weft_gradient_average_pool,
	[WEFT_OP_NORM_APPLY] = weft_gradient_norm,
	[WEFT_OP_SOFTMAX_FWD] = weft_gradient_softmax,
	[WEFT_OP_XENT_FWD] = weft_gradient_cross_entropy,
	[WEFT_OP_UNARY] = weft_gradient_unary,
	[WEFT_OP_BINARY] = weft_gradient_binary,
	[WEFT_OP_WHERE] = weft_gradient_where,
	[WEFT_OP_REDUCE] = weft_gradient_reduce,
	[WEFT_OP_GATHER] = weft_gradient_gather,
	[WEFT_OP_SCATTER] = weft_gradient_scatter,
	[WEFT_OP_DROPOUT] = weft_gradient_dropout,
	[WEFT_OP_QUANTIZE] = weft_gradient_quantize,
	[WEFT_OP_DEQUANTIZE] = weft_gradient_dequantize,
};

weft_gradient_rule weft_gradient_rule_of(unsigned int opcode)
{
	return opcode < WEFT_OP_LIMIT ? table[opcode] : NULL;
}

bool weft_gradient_epilogue(const struct weft_operation *operation, unsigned int *slot)
{
	switch (operation->opcode) {
	case WEFT_OP_MATMUL:
		*slot = 3;
		return operation->params.matmul.activation == WEFT_ACT_RELU;
	case WEFT_OP_CONV_FWD:
	case WEFT_OP_CONV_BWD_DATA:
		*slot = 3;
		return operation->params.conv.activation == WEFT_ACT_RELU;
	case WEFT_OP_BINARY:
		*slot = 2;
		return operation->params.binary.activation == WEFT_ACT_RELU;
	default:
		return false;
	}
}

/* Through the activation @unary, of which the result was @y. */
static int through_activation(struct weft_backward *backward, const union weft_params *unary,
			      const struct weft_operand *y, struct weft_operand *gradient)
{
	struct weft_graph *graph = weft_backward_graph(backward);
	struct weft_operand from = *gradient;
	weft_id at;
	int r = weft_backward_temporary(backward, &from.layout, gradient);

	if (!r)
		r = weft_build(graph, weft_backward_name(backward), WEFT_OP_UNARY_BWD, unary, 2, 3,
			       (struct weft_operand[]){*y, from, *gradient}, &at);
	if (!r)
		weft_build_in_place(graph, at, 2, 1);
	return r;
}

int weft_gradient_relu(struct weft_backward *backward, const struct weft_operand *y, struct weft_operand *gradient)
{
	const union weft_params relu = {.unary = {.function = WEFT_UNARY_RELU}};

	return through_activation(backward, &relu, y, gradient);
}

int weft_gradient_clip(struct weft_backward *backward, const struct weft_operand *y, float alpha, float beta,
		       struct weft_operand *gradient)
{
	const union weft_params clip = {.unary = {.function = WEFT_UNARY_CLIP, .alpha = alpha, .beta = beta}};

	return through_activation(backward, &clip, y, gradient);
}

/* Bounds of the epilogue WEFT_ACT_CLIP. */
static void clip_bounds(const struct weft_operation *operation, float *alpha, float *beta)
{
	switch (operation->opcode) {
	case WEFT_OP_MATMUL:
		*alpha = operation->params.matmul.alpha;
		*beta = operation->params.matmul.beta;
		break;
	case WEFT_OP_BINARY:
		*alpha = operation->params.binary.alpha;
		*beta = operation->params.binary.beta;
		break;
	default:
		*alpha = operation->params.conv.alpha;
		*beta = operation->params.conv.beta;
		break;
	}
}

int weft_gradient_before_epilogue(struct weft_backward *backward, const struct weft_operation *operation,
				  unsigned int slot, uint32_t activation, struct weft_operand *gradient)
{
	struct weft_operand y;
	float alpha, beta;
	int r;

	*gradient = weft_backward_of_output(backward, operation, slot, &r);
	if (r || gradient->id == WEFT_NO_ID || activation == WEFT_ACT_NONE)
		return r;
	y = weft_operand_in(weft_backward_graph(backward), operation, slot);
	if (activation == WEFT_ACT_CLIP) {
		clip_bounds(operation, &alpha, &beta);
		return weft_gradient_clip(backward, &y, alpha, beta, gradient);
	}
	if (activation != WEFT_ACT_RELU)
		return weft_fail(EOPNOTSUPP, "%s: its epilogue has no gradient", operation->name);
	if (weft_backward_relu_claimed(backward, operation, slot))
		return 0;
	return weft_gradient_relu(backward, &y, gradient);
}
