// SPDX-License-Identifier: MIT
/* Normalisation and softmax. */
#include <errno.h>
#include <string.h>

#include "graph/layout.h"
#include "import/expression.h"
#include "import/operators.h"
#include "import/shape.h"
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

/* (x - mean) * rstd * gamma + beta as @y, which exists. */
static int apply_into(struct weft_lower *lower, const struct weft_operand *x, const struct weft_operand *mean,
		      const struct weft_operand *rstd, const struct weft_operand *gamma,
		      const struct weft_operand *beta, uint64_t count, const struct weft_operand *y)
{
	union weft_params params = {.norm = {.inverse_count = 1.0f / (float)count}};
	weft_id at;
	int r = weft_build_broadcast(lower->graph, lower->node_name, WEFT_OP_NORM_APPLY, &params, 5, 6,
				     (struct weft_operand[]){*x, *mean, *rstd, *gamma, *beta, *y}, 0, &at);

	if (!r)
		weft_build_in_place(lower->graph, at, 5, 0);
	return r;
}

/* The same as output 0. */
static int apply(struct weft_lower *lower, const struct weft_operand *x, const struct weft_operand *mean,
		 const struct weft_operand *rstd, const struct weft_operand *gamma, const struct weft_operand *beta,
		 uint64_t count)
{
	struct weft_layout layout = weft_layout_like(&x->layout, WEFT_TYPE_F32, x->layout.rank, x->layout.dims);
	struct weft_operand y;
	int r = weft_output(lower, 0, &layout, &y);

	return r ? r : apply_into(lower, x, mean, rstd, gamma, beta, count, &y);
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

/* Output @output: the running statistic of input @input moved towards the batch's by 1 - momentum. */
static int output_running(struct weft_lower *lower, unsigned int output, unsigned int input,
			  struct weft_operand statistic)
{
	float momentum = weft_attribute_float(lower, "momentum", 0.9f);
	struct weft_expression e = {.lower = lower};
	struct weft_operand running;

	if (!weft_has_output(lower, output) || !weft_output_is_used(lower, output))
		return 0;
	running = weft_expression_affine(&e, weft_expression_input(&e, input), momentum, 0);
	statistic = weft_expression_reshape(&e, statistic, 1, &statistic.layout.dims[1]);
	statistic = weft_expression_affine(&e, statistic, 1 - momentum, 0);
	return weft_expression_output(&e, output, weft_expression_binary(&e, WEFT_BINARY_ADD, running, statistic));
}

static int batch_norm_training(struct weft_lower *lower, const struct weft_operand *x, const struct weft_operand *gamma,
			       const struct weft_operand *beta, float epsilon)
{
	float weight = 1 - weft_attribute_float(lower, "momentum", 0.9f);
	uint64_t count = weft_layout_elements(&x->layout) / x->layout.dims[1];
	struct weft_operand mean, rstd, variance;
	int r;

	r = statistics(lower, x, &gamma->layout, epsilon, &mean, &rstd, &variance);
	/* As outputs, statistics are the standard's; as state, PyTorch's. */
	if (!r)
		r = output_running(lower, 1, 3, mean);
	if (!r)
		r = output_running(lower, 2, 4, variance);
	if (!r && lower->options->training)
		r = update_running(lower, 3, &mean, 1, weight);
	/* PyTorch keeps the unbiased variance. */
	if (!r && lower->options->training)
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
	bool training = lower->options->training || weft_attribute_int(lower, "training_mode", 0);
	float epsilon = weft_attribute_float(lower, "epsilon", 1e-5f);
	struct weft_operand x, gamma, beta;
	unsigned int i;
	int r = weft_input(lower, 0, &x);

	if (!r)
		r = check_image(lower, &x.layout);
	for (i = 1; i < 5 && !r; i++)
		if (!weft_has_input(lower, i))
			r = weft_node_fail(lower, EINVAL, "input %u is missing", i);
	for (i = 1; i < 5 && !r && !training; i++)
		if (weft_has_output(lower, i) && weft_output_is_used(lower, i))
			r = weft_node_fail(lower, EINVAL, "it has running statistics as outputs without training");
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
	return training ? batch_norm_training(lower, &x, &gamma, &beta, epsilon)
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

/* Opset 18: scale and bias have one number for each group. */
int weft_lower_group_norm(struct weft_lower *lower)
{
	int64_t groups = weft_attribute_int(lower, "num_groups", 0);
	float epsilon = weft_attribute_float(lower, "epsilon", 1e-5f);
	struct weft_expression e = {.lower = lower};
	struct weft_operand x = weft_expression_input(&e, 0), gamma = weft_expression_input(&e, 1);
	struct weft_operand beta = weft_expression_input(&e, 2), split, mean, rstd, y = WEFT_ABSENT;
	struct weft_layout layout, result;
	unsigned int i;
	int r = e.error ? e.error : check_image(lower, &x.layout);

	if (!r &&
	    (groups < 1 || groups > x.layout.dims[1] || x.layout.dims[1] % groups || x.layout.rank == WEFT_MAX_RANK))
		r = weft_node_fail(lower, EINVAL, "%lld groups of %u channels", (long long)groups, x.layout.dims[1]);
	if (r)
		return r;
	layout = (struct weft_layout){.rank = x.layout.rank + 1};
	layout.dims[0] = x.layout.dims[0];
	layout.dims[1] = (uint32_t)groups;
	layout.dims[2] = x.layout.dims[1] / (uint32_t)groups;
	memcpy(&layout.dims[3], &x.layout.dims[2], (x.layout.rank - 2) * sizeof(*layout.dims));
	split = weft_expression_reshape(&e, x, layout.rank, layout.dims);
	if (!e.error)
		e.error = along_channels(lower, layout.rank, (uint32_t)groups, &gamma);
	if (!e.error)
		e.error = along_channels(lower, layout.rank, (uint32_t)groups, &beta);
	if (e.error)
		return e.error;
	result = weft_layout_like(&split.layout, WEFT_TYPE_F32, layout.rank, layout.dims);
	for (i = 2; i < layout.rank; i++)
		layout.dims[i] = 1;
	layout.type = WEFT_TYPE_F32;
	weft_layout_dense(&layout);
	e.error = statistics(lower, &split, &layout, epsilon, &mean, &rstd, NULL);
	if (!e.error)
		e.error = weft_temporary(lower, &result, &y);
	if (!e.error)
		e.error = apply_into(lower, &split, &mean, &rstd, &gamma, &beta,
				     weft_layout_elements(&split.layout) / weft_layout_elements(&layout), &y);
	return weft_expression_output(&e, 0, weft_expression_reshape(&e, y, x.layout.rank, x.layout.dims));
}

/* (x - mean) / deviation along the axes given. */
int weft_lower_mean_variance(struct weft_lower *lower)
{
	int64_t axes[WEFT_MAX_RANK] = {0, 2, 3};
	struct weft_operand x = WEFT_ABSENT, mean, rstd, absent = WEFT_ABSENT;
	struct weft_layout layout;
	unsigned int count = 3, i, dim;
	int r = weft_input(lower, 0, &x);

	if (!r && x.layout.type != WEFT_TYPE_F32)
		r = weft_node_fail(lower, EOPNOTSUPP, "only float tensors are supported");
	if (!r && weft_attribute(lower, "axes"))
		r = weft_attribute_ints(lower, "axes", WEFT_MAX_RANK, axes, &count);
	layout = x.layout;
	for (i = 0; i < count && !r; i++) {
		r = weft_axis(lower, axes[i], layout.rank, &dim);
		if (!r)
			layout.dims[dim] = 1;
	}
	weft_layout_dense(&layout);
	/* The reference adds 1e-9 to the deviation. */
	if (!r)
		r = statistics(lower, &x, &layout, 1e-18f, &mean, &rstd, NULL);
	return r ? r
		 : apply(lower, &x, &mean, &rstd, &absent, &absent,
			 weft_layout_elements(&x.layout) / weft_layout_elements(&layout));
}

/*
 * x / (bias + alpha / size * sum of squares of neighbouring channels) ^ beta.  The
 * sum over channels is a pool whose rows are the channels of one place.
 */
int weft_lower_local_response(struct weft_lower *lower)
{
	int64_t size = weft_attribute_int(lower, "size", 0);
	float alpha = weft_attribute_float(lower, "alpha", 1e-4f), beta = weft_attribute_float(lower, "beta", 0.75f);
	union weft_params params = {.pool = {.stride = {1, 1}, .dilation = {1, 1}, .count_pad = 1}};
	union weft_params power = {.unary = {.function = WEFT_UNARY_POW, .alpha = -beta}};
	struct weft_expression e = {.lower = lower};
	struct weft_operand x = weft_expression_input(&e, 0), image, square, operand[2], mean = WEFT_ABSENT, factor;
	struct weft_layout layout, rows = {.type = WEFT_TYPE_F32, .rank = 4};
	int r = e.error ? e.error : check_image(lower, &x.layout);

	if (!r && (size < 1 || size > 65535 || weft_layout_elements(&x.layout) > INT32_MAX))
		r = weft_node_fail(lower, EINVAL, "a size of %lld", (long long)size);
	if (r)
		return r;
	layout = x.layout;
	weft_layout_channels_last(&layout);
	if (layout.rank == 2)
		weft_layout_dense(&layout);
	image = weft_layout_same(&layout, &x.layout) ? x : weft_expression_copy(&e, x, &layout);
	square = weft_expression_unary(&e, WEFT_UNARY_SQUARE, image);
	if (!e.error)
		e.error = weft_temporary(lower, &layout, &mean);
	params.pool.kernel[0] = (uint32_t)size;
	params.pool.kernel[1] = 1;
	params.pool.pad[0] = (uint32_t)(size - 1) / 2;
	params.pool.pad_end[0] = (uint32_t)(size - 1) - params.pool.pad[0];
	rows.dims[0] = (uint32_t)(weft_layout_elements(&x.layout) / x.layout.dims[1]);
	rows.dims[1] = x.layout.dims[1];
	rows.dims[2] = rows.dims[3] = 1;
	weft_layout_dense(&rows);
	operand[0] = square;
	operand[1] = mean;
	operand[0].layout = operand[1].layout = rows;
	if (!e.error)
		e.error = weft_build(lower->graph, lower->node_name, WEFT_OP_AVGPOOL_FWD, &params, 1, 2, operand, NULL);
	mean = weft_expression_affine(&e, mean, alpha, weft_attribute_float(lower, "bias", 1));
	if (!e.error)
		e.error = weft_lower_unary(lower, &power, &mean, false, &factor);
	return weft_expression_output(&e, 0, weft_expression_binary(&e, WEFT_BINARY_MUL, x, factor));
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
