// SPDX-License-Identifier: MIT
/* Normalisation and softmax. */
#include <errno.h>
#include <string.h>

#include "graph/layout.h"
#include "import/operators.h"
#include "weft/error.h"

/* A vector along dimension 1 of a tensor of rank @rank; -EINVAL where it has not @channels. */
static int along_channels(struct weft_lower *lower, unsigned int rank, uint32_t channels, struct weft_operand *vector)
{
	struct weft_layout layout = {.type = WEFT_TYPE_F32, .rank = (uint8_t)rank};
	unsigned int i;

	if (vector->layout.rank != 1 || vector->layout.dims[0] != channels || vector->layout.type != WEFT_TYPE_F32)
		return weft_node_fail(lower, EINVAL, "a parameter is no float vector of %u", channels);
	for (i = 0; i < rank; i++) {
		layout.dims[i] = i == 1 ? channels : 1;
		layout.strides[i] = i == 1 ? vector->layout.strides[0] : 1;
	}
	vector->layout = layout;
	return 0;
}

static int check_image(struct weft_lower *lower, const struct weft_layout *x)
{
	if (x->rank < 2 || x->type != WEFT_TYPE_F32)
		return weft_node_fail(lower, EOPNOTSUPP, "the input is no float tensor of rank 2 or more");
	return 0;
}

/* The mean and 1 / deviation over the axes that have extent 1 in @layout, and the variance where asked for. */
static int statistics(struct weft_lower *lower, const struct weft_operand *x, const struct weft_layout *layout,
		      float epsilon, struct weft_operand *mean, struct weft_operand *rstd,
		      struct weft_operand *variance)
{
	uint64_t count = weft_layout_elements(&x->layout) / weft_layout_elements(layout);
	union weft_params params = {.norm = {.epsilon = epsilon, .inverse_count = 1.0f / (float)count}};
	int r = weft_temporary(lower, layout, mean);

	if (!r)
		r = weft_temporary(lower, layout, rstd);
	if (!r && variance)
		r = weft_temporary(lower, layout, variance);
	return r ? r
		 : weft_build_broadcast(lower->graph, lower->node_name, WEFT_OP_NORM_STATS, &params, 1, 4,
					(struct weft_operand[]){*x, *mean, *rstd, variance ? *variance : WEFT_ABSENT},
					0, NULL);
}

/* (x - mean) * rstd * gamma + beta as output 0. */
static int apply(struct weft_lower *lower, const struct weft_operand *x, const struct weft_operand *mean,
		 const struct weft_operand *rstd, const struct weft_operand *gamma, const struct weft_operand *beta,
		 uint64_t count)
{
	struct weft_layout layout = weft_layout_like(&x->layout, WEFT_TYPE_F32, x->layout.rank, x->layout.dims);
	union weft_params params = {.norm = {.inverse_count = 1.0f / (float)count}};
	struct weft_operand y;
	weft_id at;
	int r = weft_output(lower, 0, &layout, &y);

	if (!r)
		r = weft_build_broadcast(lower->graph, lower->node_name, WEFT_OP_NORM_APPLY, &params, 5, 6,
					 (struct weft_operand[]){*x, *mean, *rstd, *gamma, *beta, y}, 0, &at);
	if (!r)
		weft_build_in_place(lower->graph, at, 5, 0);
	return r;
}

/* running += (statistic * scale - running) * weight */
static int update_running(struct weft_lower *lower, unsigned int input, const struct weft_operand *statistic,
			  float scale, float weight)
{
	union weft_params params = {.lerp = {.scale = scale, .weight = weight}};
	struct weft_operand running, flat = *statistic;
	int r = weft_input(lower, input, &running);

	if (r)
		return r;
	if (lower->graph->value[running.id].kind != WEFT_VALUE_STATE)
		return 0;
	flat.layout = running.layout;
	return weft_build(lower->graph, lower->node_name, WEFT_OP_LERP, &params, 1, 2,
			  (struct weft_operand[]){flat, running}, NULL);
}

static int batch_norm_training(struct weft_lower *lower, const struct weft_operand *x, const struct weft_operand *gamma,
			       const struct weft_operand *beta, float epsilon)
{
	float weight = 1 - weft_attribute_float(lower, "momentum", 0.9f);
	uint64_t count = weft_layout_elements(&x->layout) / x->layout.dims[1];
	struct weft_operand mean, rstd, variance;
	int r;

	r = statistics(lower, x, &gamma->layout, epsilon, &mean, &rstd, &variance);
	if (!r)
		r = update_running(lower, 3, &mean, 1, weight);
	/* PyTorch keeps the unbiased variance. */
	if (!r)
		r = update_running(lower, 4, &variance, count > 1 ? (float)count / (float)(count - 1) : 1, weight);
	return r ? r : apply(lower, x, &mean, &rstd, gamma, beta, count);
}

static int batch_norm_inference(struct weft_lower *lower, const struct weft_operand *x,
				const struct weft_operand *gamma, const struct weft_operand *beta, float epsilon)
{
	union weft_params add = {.unary = {.function = WEFT_UNARY_AFFINE, .alpha = 1, .beta = epsilon}};
	union weft_params rsqrt = {.unary = {.function = WEFT_UNARY_RSQRT}};
	struct weft_operand mean, variance, shifted, rstd;
	int r = weft_input(lower, 3, &mean);

	if (!r)
		r = weft_input(lower, 4, &variance);
	if (!r)
		r = weft_lower_unary(lower, &add, &variance, false, &shifted);
	if (!r)
		r = weft_lower_unary(lower, &rsqrt, &shifted, false, &rstd);
	if (!r)
		r = along_channels(lower, x->layout.rank, x->layout.dims[1], &mean);
	if (!r)
		r = along_channels(lower, x->layout.rank, x->layout.dims[1], &rstd);
	return r ? r : apply(lower, x, &mean, &rstd, gamma, beta, weft_layout_elements(&x->layout) / x->layout.dims[1]);
}

int weft_lower_batch_norm(struct weft_lower *lower)
{
	float epsilon = weft_attribute_float(lower, "epsilon", 1e-5f);
	struct weft_operand x, gamma, beta;
	unsigned int i;
	int r = weft_input(lower, 0, &x);

	if (!r)
		r = check_image(lower, &x.layout);
	for (i = 1; i < 5 && !r; i++)
		if (!weft_has_input(lower, i))
			r = weft_node_fail(lower, EINVAL, "input %u is missing", i);
	for (i = 1; i < 5 && !r && lower->model->opset >= 14; i++)
		if (weft_has_output(lower, i) && weft_output_is_used(lower, i))
			r = weft_node_fail(lower, EOPNOTSUPP, "running statistics as outputs are not supported");
	if (!r)
		r = weft_input(lower, 1, &gamma);
	if (!r)
		r = weft_input(lower, 2, &beta);
	if (!r)
		r = along_channels(lower, x.layout.rank, x.layout.dims[1], &gamma);
	if (!r)
		r = along_channels(lower, x.layout.rank, x.layout.dims[1], &beta);
	if (r)
		return r;
	return lower->options->training ? batch_norm_training(lower, &x, &gamma, &beta, epsilon)
					: batch_norm_inference(lower, &x, &gamma, &beta, epsilon);
}

int weft_lower_instance_norm(struct weft_lower *lower)
{
	struct weft_operand x, gamma, beta, mean, rstd;
	struct weft_layout layout;
	unsigned int i;
	int r = weft_input(lower, 0, &x);

	if (!r)
		r = check_image(lower, &x.layout);
	if (!r)
		r = weft_input(lower, 1, &gamma);
	if (!r)
		r = weft_input(lower, 2, &beta);
	if (!r)
		r = along_channels(lower, x.layout.rank, x.layout.dims[1], &gamma);
	if (!r)
		r = along_channels(lower, x.layout.rank, x.layout.dims[1], &beta);
	if (r)
		return r;
	layout = x.layout;
	for (i = 2; i < layout.rank; i++)
		layout.dims[i] = 1;
	weft_layout_dense(&layout);
	r = statistics(lower, &x, &layout, weft_attribute_float(lower, "epsilon", 1e-5f), &mean, &rstd, NULL);
	return r ? r
		 : apply(lower, &x, &mean, &rstd, &gamma, &beta,
			 weft_layout_elements(&x.layout) / weft_layout_elements(&layout));
}

/* Scale or bias of a layer norm: the dimensions from @axis on, with extents of 1 before. */
static int along_layer(struct weft_lower *lower, unsigned int index, const struct weft_layout *x, unsigned int axis,
		       struct weft_operand *operand)
{
	struct weft_layout wanted = *x, from;
	unsigned int i;
	int r;

	*operand = WEFT_ABSENT;
	if (!weft_has_input(lower, index))
		return 0;
	r = weft_input(lower, index, operand);
	if (r)
		return r;
	from = operand->layout;
	for (i = 0; i < axis; i++)
		wanted.dims[i] = 1;
	if (from.type != WEFT_TYPE_F32 || !weft_layout_broadcast(&from, x->rank, wanted.dims, &operand->layout))
		return weft_node_fail(lower, EINVAL, "input %u does not fit the normalised dimensions", index);
	for (i = 0; i < x->rank; i++)
		if (!operand->layout.strides[i])
			operand->layout.dims[i] = 1;
	return 0;
}

int weft_lower_layer_norm(struct weft_lower *lower)
{
	struct weft_operand x, gamma, beta, mean, rstd;
	struct weft_layout layout;
	unsigned int axis, i;
	int r = weft_input(lower, 0, &x);

	if (!r)
		r = weft_axis(lower, weft_attribute_int(lower, "axis", -1), x.layout.rank, &axis);
	if (!r)
		r = along_layer(lower, 1, &x.layout, axis, &gamma);
	if (!r)
		r = along_layer(lower, 2, &x.layout, axis, &beta);
	if (r)
		return r;
	layout = x.layout;
	for (i = axis; i < layout.rank; i++)
		layout.dims[i] = 1;
	weft_layout_dense(&layout);
	r = statistics(lower, &x, &layout, weft_attribute_float(lower, "epsilon", 1e-5f), &mean, &rstd, NULL);
	if (!r && weft_has_output(lower, 1))
		r = weft_output_is(lower, 1, mean.id);
	if (!r && weft_has_output(lower, 2))
		r = weft_output_is(lower, 2, rstd.id);
	return r ? r
		 : apply(lower, &x, &mean, &rstd, &gamma, &beta,
			 weft_layout_elements(&x.layout) / weft_layout_elements(&layout));
}

static void axis_last(struct weft_layout *layout, unsigned int axis)
{
	uint8_t order[WEFT_MAX_RANK];
	unsigned int i, n = 0;

	for (i = 0; i < layout->rank; i++)
		if (i != axis)
			order[n++] = (uint8_t)i;
	order[n] = (uint8_t)axis;
	*layout = weft_layout_permuted(layout, order);
}

static int softmax_along(struct weft_lower *lower, const struct weft_operand *x, const struct weft_operand *y,
			 unsigned int axis)
{
	union weft_params params = {.softmax = {.log = !strcmp(lower->node->op_type, "LogSoftmax")}};
	struct weft_operand operand[2] = {*x, *y};
	weft_id at;
	int r;

	axis_last(&operand[0].layout, axis);
	axis_last(&operand[1].layout, axis);
	r = weft_build_rows(lower->graph, lower->node_name, WEFT_OP_SOFTMAX_FWD, &params, 1, 2, operand, &at);
	if (!r)
		weft_build_in_place(lower->graph, at, 1, 0);
	return r;
}

int weft_lower_softmax(struct weft_lower *lower)
{
	bool coerced = lower->model->opset < 13;
	struct weft_operand x, y, matrix, view;
	struct weft_layout layout;
	uint32_t dims[2] = {1, 1};
	unsigned int axis, i;
	int r = weft_input(lower, 0, &x);

	if (!r && !x.layout.rank)
		r = weft_node_fail(lower, EOPNOTSUPP, "the input is a scalar");
	if (!r)
		r = weft_axis(lower, weft_attribute_int(lower, "axis", coerced ? 1 : -1), x.layout.rank, &axis);
	if (r)
		return r;
	layout = weft_layout_like(&x.layout, x.layout.type, x.layout.rank, x.layout.dims);
	for (i = 0; i < x.layout.rank; i++)
		dims[i >= axis] *= x.layout.dims[i];
	if (!coerced || dims[1] == x.layout.dims[axis]) {
		r = weft_output(lower, 0, &layout, &y);
		return r ? r : softmax_along(lower, &x, &y, axis);
	}
	/* Before opset 13 all dimensions from the axis on are normalised together. */
	weft_layout_dense(&layout);
	r = weft_lower_reshape(lower, &x, 2, dims, &matrix);
	if (!r)
		r = weft_output(lower, 0, &layout, &y);
	view.id = y.id;
	if (!r && !weft_layout_reshape(&y.layout, 2, dims, &view.layout))
		r = weft_node_fail(lower, EINVAL, "the result cannot be shaped");
	return r ? r : softmax_along(lower, &matrix, &view, 1);
}
