// SPDX-License-Identifier: MIT
/* Matrix products and convolutions. */
#include <errno.h>
#include <string.h>

#include "graph/layout.h"
#include "import/operators.h"
#include "import/shape.h"
#include "import/window.h"
#include "weft/error.h"

static void swap_last(struct weft_layout *layout)
{
	unsigned int last = layout->rank - 1u;
	uint32_t dim = layout->dims[last];
	int32_t stride = layout->strides[last];

	layout->dims[last] = layout->dims[last - 1];
	layout->strides[last] = layout->strides[last - 1];
	layout->dims[last - 1] = dim;
	layout->strides[last - 1] = stride;
}

/* Scale by an attribute. */
static int scaled(struct weft_lower *lower, float factor, struct weft_operand *x)
{
	union weft_params params = {.unary = {.function = WEFT_UNARY_AFFINE, .alpha = factor}};
	struct weft_operand from = *x;

	return factor == 1 ? 0 : weft_lower_unary(lower, &params, &from, false, x);
}

int weft_lower_gemm(struct weft_lower *lower)
{
	union weft_params params = {.matmul = {.scale = weft_attribute_float(lower, "alpha", 1)}};
	struct weft_operand operand[4] = {WEFT_ABSENT, WEFT_ABSENT, WEFT_ABSENT, WEFT_ABSENT};
	struct weft_layout layout = {.type = WEFT_TYPE_F32, .rank = 2}, bias;
	int r = weft_input(lower, 0, &operand[0]);

	if (!r)
		r = weft_input(lower, 1, &operand[1]);
	if (r)
		return r;
	if (operand[0].layout.rank != 2 || operand[1].layout.rank != 2 || operand[0].layout.type != WEFT_TYPE_F32 ||
	    operand[1].layout.type != WEFT_TYPE_F32)
		return weft_node_fail(lower, EINVAL, "the inputs are not float matrices");
	if (weft_attribute_int(lower, "transA", 0))
		swap_last(&operand[0].layout);
	if (weft_attribute_int(lower, "transB", 0))
		swap_last(&operand[1].layout);
	if (operand[0].layout.dims[1] != operand[1].layout.dims[0])
		return weft_node_fail(lower, EINVAL, "inner dimensions %u and %u differ", operand[0].layout.dims[1],
				      operand[1].layout.dims[0]);
	layout.dims[0] = operand[0].layout.dims[0];
	layout.dims[1] = operand[1].layout.dims[1];
	weft_layout_dense(&layout);
	if (weft_has_input(lower, 2) && weft_attribute_float(lower, "beta", 1) != 0) {
		r = weft_input(lower, 2, &operand[2]);
		if (!r)
			r = scaled(lower, weft_attribute_float(lower, "beta", 1), &operand[2]);
		if (r)
			return r;
		bias = operand[2].layout;
		if (bias.type != WEFT_TYPE_F32 || !weft_layout_broadcast(&bias, 2, layout.dims, &operand[2].layout))
			return weft_node_fail(lower, EINVAL, "C does not broadcast to the result");
		if (!operand[2].layout.strides[0] || layout.dims[0] == 1) {
			/* One row: the device takes a vector. */
			operand[2].layout.rank = 1;
			operand[2].layout.dims[0] = layout.dims[1];
			operand[2].layout.strides[0] = operand[2].layout.strides[1];
			operand[2].layout.dims[1] = 0;
			operand[2].layout.strides[1] = 0;
		}
	}
	r = weft_output(lower, 0, &layout, &operand[3]);
	return r ? r : weft_build(lower->graph, lower->node_name, WEFT_OP_MATMUL, &params, 3, 4, operand, NULL);
}

/* All dimensions but the last as one: a product with a matrix then has two dimensions. */
static int as_matrix(struct weft_lower *lower, const struct weft_operand *x, struct weft_operand *matrix)
{
	uint32_t dims[2] = {1, x->layout.dims[x->layout.rank - 1]};
	unsigned int i;

	for (i = 0; i + 1u < x->layout.rank; i++)
		dims[0] *= x->layout.dims[i];
	return weft_lower_reshape(lower, x, 2, dims, matrix);
}

static int matmul_by_matrix(struct weft_lower *lower, struct weft_operand *a, struct weft_operand *b,
			    const struct weft_layout *result)
{
	union weft_params params = {.matmul = {.scale = 1}};
	struct weft_operand operand[4] = {*a, *b, WEFT_ABSENT, WEFT_ABSENT};
	struct weft_layout layout = {.type = WEFT_TYPE_F32, .rank = 2}, view;
	int r = 0;

	if (a->layout.rank > 2)
		r = as_matrix(lower, a, &operand[0]);
	if (r)
		return r;
	if (result->rank == 2 && a->layout.rank == 2) {
		layout = *result;
		r = weft_output(lower, 0, &layout, &operand[3]);
		return r ? r : weft_build(lower->graph, lower->node_name, WEFT_OP_MATMUL, &params, 3, 4, operand, NULL);
	}
	layout.dims[0] = operand[0].layout.dims[0];
	layout.dims[1] = operand[1].layout.dims[1];
	weft_layout_dense(&layout);
	r = weft_temporary(lower, &layout, &operand[3]);
	if (!r)
		r = weft_build(lower->graph, lower->node_name, WEFT_OP_MATMUL, &params, 3, 4, operand, NULL);
	if (r)
		return r;
	if (!weft_layout_reshape(&layout, result->rank, result->dims, &view))
		return weft_node_fail(lower, EINVAL, "the result cannot be shaped");
	return weft_output_view(lower, 0, &operand[3], 0, &view);
}

/* Leading dimensions of both, broadcast, and brought to at most two. */
static int matmul_batched(struct weft_lower *lower, struct weft_operand *a, struct weft_operand *b,
			  const struct weft_layout *result)
{
	union weft_params params = {.matmul = {.scale = 1}};
	struct weft_operand operand[4] = {*a, *b, WEFT_ABSENT, WEFT_ABSENT};
	unsigned int rank = a->layout.rank > b->layout.rank ? a->layout.rank : b->layout.rank, i, side;
	struct weft_layout layout = {.type = WEFT_TYPE_F32, .rank = (uint8_t)rank}, view;
	int r;

	for (i = 0; i + 2 < rank; i++) {
		uint32_t x = i < rank - a->layout.rank ? 1 : a->layout.dims[i - (rank - a->layout.rank)];
		uint32_t y = i < rank - b->layout.rank ? 1 : b->layout.dims[i - (rank - b->layout.rank)];

		if (x != y && x != 1 && y != 1)
			return weft_node_fail(lower, EINVAL, "leading dimensions %u and %u do not broadcast", x, y);
		layout.dims[i] = x == 1 ? y : x;
	}
	layout.dims[rank - 2] = a->layout.dims[a->layout.rank - 2];
	layout.dims[rank - 1] = b->layout.dims[b->layout.rank - 1];
	weft_layout_dense(&layout);
	for (side = 0; side < 2; side++) {
		struct weft_layout wanted = layout, from = operand[side].layout;

		wanted.dims[rank - 2] = from.dims[from.rank - 2];
		wanted.dims[rank - 1] = from.dims[from.rank - 1];
		if (!weft_layout_broadcast(&from, rank, wanted.dims, &operand[side].layout))
			return weft_node_fail(lower, EINVAL, "the inputs do not broadcast");
	}
	if (rank > 4)
		return weft_node_fail(lower, EOPNOTSUPP, "products of rank %u; at most 4 is supported", rank);
	if (result->rank == rank) {
		r = weft_output(lower, 0, &layout, &operand[3]);
		return r ? r : weft_build(lower->graph, lower->node_name, WEFT_OP_MATMUL, &params, 3, 4, operand, NULL);
	}
	r = weft_temporary(lower, &layout, &operand[3]);
	if (!r)
		r = weft_build(lower->graph, lower->node_name, WEFT_OP_MATMUL, &params, 3, 4, operand, NULL);
	if (r)
		return r;
	if (!weft_layout_reshape(&layout, result->rank, result->dims, &view))
		return weft_node_fail(lower, EINVAL, "the result cannot be shaped");
	return weft_output_view(lower, 0, &operand[3], 0, &view);
}

int weft_lower_matmul(struct weft_lower *lower)
{
	struct weft_operand a, b;
	struct weft_layout result = {.type = WEFT_TYPE_F32}, batch_a, batch_b;
	bool vector_a, vector_b;
	struct weft_shape batch;
	int r = weft_input(lower, 0, &a);

	if (!r)
		r = weft_input(lower, 1, &b);
	if (r)
		return r;
	if (a.layout.type != WEFT_TYPE_F32 || b.layout.type != WEFT_TYPE_F32)
		return weft_node_fail(lower, EOPNOTSUPP, "only float tensors are supported");
	if (!a.layout.rank || !b.layout.rank)
		return weft_node_fail(lower, EINVAL, "an input is a scalar");
	vector_a = a.layout.rank == 1;
	vector_b = b.layout.rank == 1;
	if (vector_a) {
		a.layout.rank = 2;
		a.layout.dims[1] = a.layout.dims[0];
		a.layout.strides[1] = a.layout.strides[0];
		a.layout.dims[0] = 1;
		a.layout.strides[0] = 1;
	}
	if (vector_b) {
		b.layout.rank = 2;
		b.layout.dims[1] = 1;
		b.layout.strides[1] = 1;
	}
	if (a.layout.dims[a.layout.rank - 1] != b.layout.dims[b.layout.rank - 2])
		return weft_node_fail(lower, EINVAL, "inner dimensions %u and %u differ",
				      a.layout.dims[a.layout.rank - 1], b.layout.dims[b.layout.rank - 2]);
	batch_a = a.layout;
	batch_b = b.layout;
	batch_a.rank -= 2;
	batch_b.rank -= 2;
	r = weft_shape_broadcast(lower, &batch_a, &batch_b, &batch);
	if (r)
		return r;
	memcpy(result.dims, batch.dims, sizeof(result.dims));
	result.rank = (uint8_t)batch.rank;
	if (!vector_a)
		result.dims[result.rank++] = a.layout.dims[a.layout.rank - 2];
	if (!vector_b)
		result.dims[result.rank++] = b.layout.dims[b.layout.rank - 1];
	weft_layout_dense(&result);
	return b.layout.rank == 2 ? matmul_by_matrix(lower, &a, &b, &result) : matmul_batched(lower, &a, &b, &result);
}

/* The weight as [KH, KW, C/G, OC], with OC innermost. */
static int convolution_weight(struct weft_lower *lower, unsigned int rank, struct weft_operand *weight)
{
	struct weft_layout shown = {.type = WEFT_TYPE_F32, .rank = 4}, dense;
	struct weft_operand from;
	unsigned int last;
	int r = weft_input(lower, 1, weight);

	if (r)
		return r;
	if (weight->layout.rank != rank || weight->layout.type != WEFT_TYPE_F32)
		return weft_node_fail(lower, EINVAL, "the weight has rank %u, not %u, or is no float tensor",
				      weight->layout.rank, rank);
	last = rank - 1;
	shown.dims[0] = rank == 4 ? weight->layout.dims[2] : 1;
	shown.dims[1] = weight->layout.dims[last];
	shown.dims[2] = weight->layout.dims[1];
	shown.dims[3] = weight->layout.dims[0];
	dense = shown;
	weft_layout_dense(&dense);
	shown.strides[0] = rank == 4 ? weight->layout.strides[2] : dense.strides[0];
	shown.strides[1] = weight->layout.strides[last];
	shown.strides[2] = weight->layout.strides[1];
	shown.strides[3] = weight->layout.strides[0];
	weight->layout = shown;
	if (weft_layout_same(&shown, &dense)) {
		weight->layout = dense;
		return 0;
	}
	from = *weight;
	return weft_lower_copy(lower, &from, &dense, weight);
}

static void set_params(const struct weft_window *window, uint32_t groups, union weft_params *params)
{
	unsigned int i;

	memset(params, 0, sizeof(*params));
	for (i = 0; i < 2; i++) {
		params->conv.stride[i] = window->stride[i];
		params->conv.dilation[i] = window->dilation[i];
		params->conv.pad[i] = window->pad[i];
	}
	params->conv.groups = groups;
}

static int convolution_bias(struct weft_lower *lower, uint32_t channels, struct weft_operand *bias)
{
	int r;

	*bias = WEFT_ABSENT;
	if (!weft_has_input(lower, 2))
		return 0;
	r = weft_input(lower, 2, bias);
	if (!r && (bias->layout.rank != 1 || bias->layout.dims[0] != channels || bias->layout.type != WEFT_TYPE_F32))
		r = weft_node_fail(lower, EINVAL, "the bias is no float vector of %u", channels);
	return r;
}

int weft_lower_conv(struct weft_lower *lower)
{
	int64_t groups = weft_attribute_int(lower, "group", 1);
	struct weft_operand operand[4], y;
	struct weft_window window;
	union weft_params params;
	struct weft_layout layout;
	uint32_t channels, out_channels;
	int r = weft_input_shape(lower, 0, &layout);

	if (r)
		return r;
	if (layout.rank == 5)
		return weft_lower_conv_volume(lower);
	if (layout.rank != 3 && layout.rank != 4)
		return weft_node_fail(lower, EOPNOTSUPP, "rank %u; one to three spatial dimensions are supported",
				      layout.rank);
	channels = layout.dims[1];
	r = weft_input_image(lower, 0, &operand[0]);
	if (!r)
		r = convolution_weight(lower, operand[0].layout.rank, &operand[1]);
	if (r)
		return r;
	out_channels = operand[1].layout.dims[3];
	if (groups < 1 || groups > channels || channels % groups || out_channels % groups ||
	    operand[1].layout.dims[2] != channels / groups)
		return weft_node_fail(lower, EINVAL,
				      "%u channels in, %u out and %u of the weight do not fit %lld groups", channels,
				      out_channels, operand[1].layout.dims[2], (long long)groups);
	r = weft_window_read(lower, &operand[0].layout, &operand[1].layout.dims[operand[0].layout.rank == 4 ? 0 : 1],
			     &window);
	if (!r)
		r = weft_window_forward(lower, &window, false);
	if (!r)
		r = convolution_bias(lower, out_channels, &operand[2]);
	if (r)
		return r;
	layout = weft_window_result(&operand[0].layout, out_channels, &window);
	r = weft_output(lower, 0, &layout, &y);
	if (r)
		return r;
	operand[0] = weft_window_show(&operand[0]);
	operand[3] = weft_window_show(&y);
	set_params(&window, (uint32_t)groups, &params);
	return weft_build(lower->graph, lower->node_name, WEFT_OP_CONV_FWD, &params, 3, 4, operand, NULL);
}

/* Extents of a transposed convolution's result; pads follow from output_shape or auto_pad where given. */
static int transposed_extents(struct weft_lower *lower, unsigned int spatial, struct weft_window *window)
{
	int64_t extra[2] = {0, 0}, shape[2];
	unsigned int extra_count, shape_count, i, at;
	bool same_upper = weft_attribute_is(lower, "auto_pad", "SAME_UPPER", false);
	bool same_lower = weft_attribute_is(lower, "auto_pad", "SAME_LOWER", false);
	int r = weft_attribute_ints(lower, "output_padding", 2, extra, &extra_count);

	if (!r)
		r = weft_attribute_ints(lower, "output_shape", 2, shape, &shape_count);
	if (r)
		return r;
	if ((extra_count && extra_count != spatial) || (shape_count && shape_count != spatial))
		return weft_node_fail(lower, EINVAL, "output_padding or output_shape has the wrong length");
	for (i = 0; i < 2; i++) {
		int64_t full, out, total;

		at = i + spatial - 2;
		if (i < 2 - spatial) {
			window->out[i] = 1;
			continue;
		}
		full = (int64_t)window->stride[i] * (window->in[i] - 1) + (extra_count ? extra[at] : 0) +
		       (int64_t)(window->kernel[i] - 1) * window->dilation[i] + 1;
		out = full - window->pad[i] - window->pad_end[i];
		if (shape_count || same_upper || same_lower) {
			out = shape_count ? shape[at] : (int64_t)window->in[i] * window->stride[i];
			total = full - out;
			/* Rows and columns that no input reaches stand at the end. */
			if (total < 0 && (out - full >= window->stride[i] || out > INT32_MAX))
				return weft_node_fail(lower, EOPNOTSUPP, "an output larger than the input reaches");
			total = total < 0 ? 0 : total;
			window->pad[i] = (uint32_t)(same_upper ? total / 2 : total - total / 2);
		}
		if (out < 1 || out > INT32_MAX)
			return weft_node_fail(lower, EINVAL, "the result has an extent of %lld", (long long)out);
		window->out[i] = (uint32_t)out;
	}
	return 0;
}

int weft_lower_conv_transpose(struct weft_lower *lower)
{
	int64_t groups = weft_attribute_int(lower, "group", 1);
	struct weft_operand operand[4], y;
	struct weft_window window;
	union weft_params params;
	struct weft_layout layout;
	int r = weft_input_shape(lower, 0, &layout);

	if (r)
		return r;
	if (layout.rank != 3 && layout.rank != 4)
		return weft_node_fail(lower, EOPNOTSUPP, "rank %u; one or two spatial dimensions are supported",
				      layout.rank);
	r = weft_input_image(lower, 0, &operand[0]);
	if (!r)
		r = convolution_weight(lower, operand[0].layout.rank, &operand[1]);
	if (r)
		return r;
	if (groups < 1 || operand[1].layout.dims[3] != layout.dims[1] || layout.dims[1] % groups)
		return weft_node_fail(lower, EINVAL, "%u channels, %u of the weight and %lld groups do not fit",
				      layout.dims[1], operand[1].layout.dims[3], (long long)groups);
	r = weft_window_read(lower, &operand[0].layout, &operand[1].layout.dims[layout.rank == 4 ? 0 : 1], &window);
	if (!r)
		r = transposed_extents(lower, layout.rank - 2u, &window);
	if (!r)
		r = convolution_bias(lower, operand[1].layout.dims[2] * (uint32_t)groups, &operand[2]);
	if (r)
		return r;
	layout = weft_window_result(&operand[0].layout, operand[1].layout.dims[2] * (uint32_t)groups, &window);
	r = weft_output(lower, 0, &layout, &y);
	if (r)
		return r;
	operand[0] = weft_window_show(&operand[0]);
	operand[3] = weft_window_show(&y);
	set_params(&window, (uint32_t)groups, &params);
	return weft_build(lower->graph, lower->node_name, WEFT_OP_CONV_BWD_DATA, &params, 3, 4, operand, NULL);
}
