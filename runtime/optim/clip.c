// SPDX-License-Identifier: MIT
/*
 * Clipping by global norm (Pascanu, Mikolov and Bengio, "On the difficulty of
 * training recurrent neural networks", 2013).  The factor is computed on the
 * device and reaches the updates as their gradient scale, so that no gradient is
 * written a second time.
 */
#include <stdio.h>

#include "optim/gradients.h"
#include "weft/error.h"

/* What torch adds to the norm before it divides by it. */
#define MARGIN 1e-6f

/* One element of @of as a vector of one. */
static int element(struct weft_graph *graph, weft_id of, uint32_t index, struct weft_operand *operand)
{
	operand->layout = (struct weft_layout){.type = WEFT_TYPE_F32, .rank = 1, .dims = {1}, .strides = {1}};
	return weft_build_view(graph, graph->value[of].name, of, index * sizeof(float), &operand->layout, &operand->id);
}

static int scalar(struct weft_graph *graph, struct weft_operand *operand)
{
	operand->layout = (struct weft_layout){.type = WEFT_TYPE_F32, .rank = 1, .dims = {1}, .strides = {1}};
	return weft_build_value(graph, "weft.clip", &operand->layout, &operand->id);
}

static int unary(struct weft_graph *graph, uint32_t function, float alpha, float beta, const struct weft_operand *x,
		 struct weft_operand *y)
{
	union weft_params params = {.unary = {.function = function, .alpha = alpha, .beta = beta}};
	int r = scalar(graph, y);

	return r ? r
		 : weft_build(graph, "weft.clip", WEFT_OP_UNARY, &params, 1, 2, (struct weft_operand[]){*x, *y}, NULL);
}

static int binary(struct weft_graph *graph, uint32_t function, const struct weft_operand *a,
		  const struct weft_operand *b, const struct weft_operand *y)
{
	union weft_params params = {.binary = {.function = function}};

	return weft_build(graph, "weft.clip", WEFT_OP_BINARY, &params, 2, 3, (struct weft_operand[]){*a, *b, *y}, NULL);
}

static int reduce(struct weft_graph *graph, uint32_t function, const struct weft_operand *x,
		  const struct weft_operand *y)
{
	union weft_params params = {.reduce = {.function = function, .scale = 1}};

	return weft_build(graph, "weft.clip", WEFT_OP_REDUCE, &params, 1, 2, (struct weft_operand[]){*x, *y}, NULL);
}

/* The norm of all gradients after the scale that the host asked for. */
static int norm_of(struct weft_graph *graph, const struct weft_weight_gradient gradient[], uint32_t count,
		   const struct weft_operand *scale, struct weft_operand *norm)
{
	struct weft_operand squares = {.layout = {.type = WEFT_TYPE_F32, .rank = 1, .dims = {count}, .strides = {1}}};
	struct weft_operand one, sum, root;
	int r = weft_build_value(graph, "weft.clip", &squares.layout, &squares.id);

	for (uint32_t i = 0; i < count && !r; i++) {
		r = element(graph, squares.id, i, &one);
		if (!r)
			r = reduce(graph, WEFT_REDUCE_SUM_SQUARE, &gradient[i].gradient, &one);
	}
	if (!r)
		r = scalar(graph, &sum);
	if (!r)
		r = reduce(graph, WEFT_REDUCE_SUM, &squares, &sum);
	if (!r)
		r = unary(graph, WEFT_UNARY_SQRT, 0, 0, &sum, &root);
	norm->layout = (struct weft_layout){.type = WEFT_TYPE_F32, .rank = 1, .dims = {1}, .strides = {1}};
	if (!r)
		r = weft_graph_add_value(graph, "weft.gradient_norm", WEFT_VALUE_ACTIVATION, &norm->layout, &norm->id);
	if (!r)
		r = binary(graph, WEFT_BINARY_MUL, &root, scale, norm);
	if (!r)
		graph->value[norm->id].output = true;
	return r;
}

int weft_gradients_clip(struct weft_graph *graph, const struct weft_weight_gradient gradient[], uint32_t count,
			float limit, struct weft_operand *hyper)
{
	struct weft_operand most = {.layout = {.type = WEFT_TYPE_F32, .rank = 1, .dims = {1}, .strides = {1}}};
	struct weft_operand scale, norm, divisor, ratio, factor, from = weft_operand_of(graph, graph->hyper), to;
	int r = element(graph, graph->hyper, WEFT_HYPER_GRADIENT_SCALE, &scale);

	if (!r)
		r = norm_of(graph, gradient, count, &scale, &norm);
	if (!r)
		r = unary(graph, WEFT_UNARY_AFFINE, 1, MARGIN, &norm, &divisor);
	if (!r)
		r = weft_build_scalar(graph, "weft.clip", limit, &most.id);
	if (!r)
		r = scalar(graph, &ratio);
	if (!r)
		r = binary(graph, WEFT_BINARY_DIV, &most, &divisor, &ratio);
	if (!r)
		r = unary(graph, WEFT_UNARY_CLIP, 0, 1, &ratio, &factor);
	hyper->layout = from.layout;
	if (!r)
		r = weft_build_value(graph, "weft.hyper", &hyper->layout, &hyper->id);
	/* All elements but the last are the host's. */
	from.layout.dims[0] = WEFT_HYPER_GRADIENT_SCALE;
	if (!r)
		r = weft_build_view(graph, "weft.hyper", hyper->id, 0, &from.layout, &to.id);
	to.layout = from.layout;
	if (!r)
		r = weft_build(graph, "weft.clip", WEFT_OP_COPY, NULL, 1, 2, (struct weft_operand[]){from, to}, NULL);
	if (!r)
		r = element(graph, hyper->id, WEFT_HYPER_GRADIENT_SCALE, &to);
	return r ? r : binary(graph, WEFT_BINARY_MUL, &scale, &factor, &to);
}
