// SPDX-License-Identifier: MIT
/* Gradients of matrix products, convolutions and pooling. */
#include <string.h>

#include "autodiff/rules.h"

static struct weft_operand transposed(const struct weft_operand *operand)
{
	struct weft_operand result = *operand;
	unsigned int last = operand->layout.rank - 1u;

	result.layout.dims[last] = operand->layout.dims[last - 1];
	result.layout.strides[last] = operand->layout.strides[last - 1];
	result.layout.dims[last - 1] = operand->layout.dims[last];
	result.layout.strides[last - 1] = operand->layout.strides[last];
	return result;
}

/* out = scale * a b, written along out's memory: as out' = scale * b' a' where out is column-major. */
static int product(struct weft_backward *backward, const struct weft_operand *a, const struct weft_operand *b,
		   const struct weft_operand *out, float scale)
{
	union weft_params params = {.matmul = {.scale = scale}};
	struct weft_operand operand[4] = {*a, *b, WEFT_ABSENT, *out};
	unsigned int last = out->layout.rank - 1u;

	if (out->layout.strides[last] != 1 && out->layout.strides[last - 1] == 1) {
		operand[0] = transposed(b);
		operand[1] = transposed(a);
		operand[3] = transposed(out);
	}
	return weft_build(weft_backward_graph(backward), weft_backward_name(backward), WEFT_OP_MATMUL, &params, 3, 4,
			  operand, NULL);
}

/* The gradient of a bias operand that was added to @result's gradient: seen with as many dimensions, repeated. */
static int bias_gradient(struct weft_backward *backward, const struct weft_operation *operation, unsigned int slot,
			 const struct weft_operand *gradient)
{
	struct weft_operand bias;
	struct weft_layout shown;

	if (!weft_backward_wants(backward, operation, slot))
		return 0;
	bias = weft_operand_in(weft_backward_graph(backward), operation, slot);
	weft_layout_broadcast(&bias.layout, gradient->layout.rank, gradient->layout.dims, &shown);
	return weft_backward_contribute_to(backward, bias.id, &shown, gradient);
}

int weft_gradient_matmul(struct weft_backward *backward, const struct weft_operation *operation)
{
	struct weft_graph *graph = weft_backward_graph(backward);
	struct weft_operand a = weft_operand_in(graph, operation, 0), b = weft_operand_in(graph, operation, 1);
	float scale = operation->params.matmul.scale;
	struct weft_operand gradient, other;
	struct weft_target target;
	int r = weft_gradient_before_epilogue(backward, operation, 3, operation->params.matmul.activation, &gradient);

	if (r || gradient.id == WEFT_NO_ID)
		return r;
	r = bias_gradient(backward, operation, 2, &gradient);
	if (!r && weft_backward_wants(backward, operation, 1)) {
		r = weft_backward_target(backward, operation, 1, &target);
		other = transposed(&a);
		if (!r)
			r = product(backward, &other, &gradient, &target.operand, scale);
		if (!r)
			r = weft_backward_done(backward, &target);
	}
	if (!r && weft_backward_wants(backward, operation, 0)) {
		r = weft_backward_target(backward, operation, 0, &target);
		other = transposed(&b);
		if (!r)
			r = product(backward, &gradient, &other, &target.operand, scale);
		if (!r)
			r = weft_backward_done(backward, &target);
	}
	return r;
}

/* Bits are constants: the weights' gradient is the product of the bits, unpacked, with the result's. */
int weft_gradient_bit_matmul(struct weft_backward *backward, const struct weft_operation *operation)
{
	struct weft_graph *graph = weft_backward_graph(backward);
	struct weft_operand bits = weft_operand_in(graph, operation, 0), numbers, gradient;
	union weft_params params = {.bits = {.signs = operation->params.bits.signs}};
	struct weft_layout layout = bits.layout;
	struct weft_target target;
	int r;

	gradient = weft_backward_of_output(backward, operation, 4, &r);
	if (r || gradient.id == WEFT_NO_ID)
		return r;
	r = bias_gradient(backward, operation, 2, &gradient);
	if (r || !weft_backward_wants(backward, operation, 1))
		return r;
	layout.type = WEFT_TYPE_F32;
	weft_layout_dense(&layout);
	r = weft_backward_temporary(backward, &layout, &numbers);
	if (!r)
		r = weft_build(graph, weft_backward_name(backward), WEFT_OP_BIT_UNPACK, &params, 1, 2,
			       (struct weft_operand[]){bits, numbers}, NULL);
	if (!r)
		r = weft_backward_target(backward, operation, 1, &target);
	if (r)
		return r;
	numbers = transposed(&numbers);
	r = product(backward, &numbers, &gradient, &target.operand, 1);
	return r ? r : weft_backward_done(backward, &target);
}

static union weft_params plain(const struct weft_operation *operation)
{
	union weft_params params = operation->params;

	params.conv.flags = 0;
	params.conv.activation = WEFT_ACT_NONE;
	params.conv.alpha = 0;
	params.conv.beta = 0;
	return params;
}

int weft_gradient_conv(struct weft_backward *backward, const struct weft_operation *operation)
{
	struct weft_graph *graph = weft_backward_graph(backward);
	struct weft_operand x = weft_operand_in(graph, operation, 0), w = weft_operand_in(graph, operation, 1);
	union weft_params params = plain(operation);
	struct weft_operand gradient;
	struct weft_target target;
	int r = weft_gradient_before_epilogue(backward, operation, 3, operation->params.conv.activation, &gradient);

	if (r || gradient.id == WEFT_NO_ID)
		return r;
	r = bias_gradient(backward, operation, 2, &gradient);
	if (!r && weft_backward_wants(backward, operation, 1)) {
		r = weft_backward_target(backward, operation, 1, &target);
		if (!r)
			r = weft_build(graph, weft_backward_name(backward), WEFT_OP_CONV_BWD_WEIGHT, &params, 2, 3,
				       (struct weft_operand[]){x, gradient, target.operand}, NULL);
		if (!r)
			r = weft_backward_done(backward, &target);
	}
	if (!r && weft_backward_wants(backward, operation, 0)) {
		r = weft_backward_target(backward, operation, 0, &target);
		if (!r)
			r = weft_build(graph, weft_backward_name(backward), WEFT_OP_CONV_BWD_DATA, &params, 3, 4,
				       (struct weft_operand[]){gradient, w, WEFT_ABSENT, target.operand}, NULL);
		if (!r)
			r = weft_backward_done(backward, &target);
	}
	return r;
}

/* A transposed convolution is a convolution's data gradient; its own gradients are the two others. */
int weft_gradient_conv_transpose(struct weft_backward *backward, const struct weft_operation *operation)
{
	struct weft_graph *graph = weft_backward_graph(backward);
	struct weft_operand x = weft_operand_in(graph, operation, 0), w = weft_operand_in(graph, operation, 1);
	union weft_params params = plain(operation);
	struct weft_operand gradient;
	struct weft_target target;
	int r = weft_gradient_before_epilogue(backward, operation, 3, operation->params.conv.activation, &gradient);

	if (r || gradient.id == WEFT_NO_ID)
		return r;
	r = bias_gradient(backward, operation, 2, &gradient);
	if (!r && weft_backward_wants(backward, operation, 1)) {
		r = weft_backward_target(backward, operation, 1, &target);
		if (!r)
			r = weft_build(graph, weft_backward_name(backward), WEFT_OP_CONV_BWD_WEIGHT, &params, 2, 3,
				       (struct weft_operand[]){gradient, x, target.operand}, NULL);
		if (!r)
			r = weft_backward_done(backward, &target);
	}
	if (!r && weft_backward_wants(backward, operation, 0)) {
		r = weft_backward_target(backward, operation, 0, &target);
		if (!r)
			r = weft_build(graph, weft_backward_name(backward), WEFT_OP_CONV_FWD, &params, 3, 4,
				       (struct weft_operand[]){gradient, w, WEFT_ABSENT, target.operand}, NULL);
		if (!r)
			r = weft_backward_done(backward, &target);
	}
	return r;
}

int weft_gradient_max_pool(struct weft_backward *backward, const struct weft_operation *operation)
{
	struct weft_graph *graph = weft_backward_graph(backward);
	struct weft_target target;
	struct weft_operand gradient;
	int r;

	gradient = weft_backward_of_output(backward, operation, 1, &r);
	if (r || gradient.id == WEFT_NO_ID)
		return r;
	r = weft_backward_target(backward, operation, 0, &target);
	/*
	 * A window's gradient goes to the element that is its maximum, and is dropped where that is not positive:
	 * dropping it first takes the few elements of the result, and frees the input after the forward pass.
	 */
	if (!r && target.whole && weft_backward_claim_relu(backward, operation, 0)) {
		struct weft_operand y = weft_operand_in(graph, operation, 1);

		r = weft_gradient_relu(backward, &y, &gradient);
	}
	if (!r)
		r = weft_build(graph, weft_backward_name(backward), WEFT_OP_MAXPOOL_BWD, &operation->params, 2, 3,
			       (struct weft_operand[]){gradient, weft_operand_in(graph, operation, 2), target.operand},
			       NULL);
	return r ? r : weft_backward_done(backward, &target);
}

int weft_gradient_average_pool(struct weft_backward *backward, const struct weft_operation *operation)
{
	struct weft_target target;
	struct weft_operand gradient;
	int r;

	gradient = weft_backward_of_output(backward, operation, 1, &r);
	if (r || gradient.id == WEFT_NO_ID)
		return r;
	r = weft_backward_target(backward, operation, 0, &target);
	if (!r)
		r = weft_build(weft_backward_graph(backward), weft_backward_name(backward), WEFT_OP_AVGPOOL_BWD,
			       &operation->params, 1, 2, (struct weft_operand[]){gradient, target.operand}, NULL);
	return r ? r : weft_backward_done(backward, &target);
}
