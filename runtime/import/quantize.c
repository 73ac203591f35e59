// SPDX-License-Identifier: MIT
/*
 * Operators on quantized tensors as ONNX defines them: real scales, one rounding
 * to even.  Products of integers are exact: float products of sums short enough
 * for binary32, added up as integers.
 */
#include <errno.h>
#include <string.h>

#include "graph/layout.h"
#include "import/expression.h"
#include "import/operators.h"
#include "import/window.h"
#include "weft/error.h"

/* Products of two differences of bytes (at most 255 each) whose sum is exact in binary32. */
#define EXACT_TERMS 256

static bool is_byte(uint8_t type)
{
	return type == WEFT_TYPE_U8 || type == WEFT_TYPE_I8;
}

/* A scale or zero point: a scalar, or a vector along dimension @axis of @rank. */
static struct weft_operand parameter(struct weft_expression *e, unsigned int index, uint8_t type, unsigned int rank,
				     unsigned int axis)
{
	struct weft_operand x = weft_expression_cast(e, type, weft_expression_input(e, index));
	uint32_t dims[WEFT_MAX_RANK];
	unsigned int i;

	if (!e->error && x.layout.rank > 1)
		e->error = weft_node_fail(e->lower, EOPNOTSUPP, "input %u is neither a scalar nor a vector", index);
	if (e->error)
		return x;
	if (!x.layout.rank || x.layout.dims[0] == 1 || !rank)
		return weft_expression_reshape(e, x, 0, NULL);
	for (i = 0; i < rank; i++)
		dims[i] = i == axis ? x.layout.dims[0] : 1;
	return weft_expression_reshape(e, x, rank, dims);
}

/* round(@x) + zero point, cut to what @type holds. */
static struct weft_operand saturate(struct weft_expression *e, struct weft_operand x, struct weft_operand zero_point,
				    uint8_t type)
{
	bool is_signed = type == WEFT_TYPE_I8;
	union weft_params clip = {
		.unary = {.function = WEFT_UNARY_CLIP, .alpha = is_signed ? -128 : 0, .beta = is_signed ? 127 : 255}};
	struct weft_operand y = weft_expression_unary(e, WEFT_UNARY_ROUND, x), clipped = WEFT_ABSENT;

	if (zero_point.id != WEFT_NO_ID)
		y = weft_expression_binary(e, WEFT_BINARY_ADD, y, zero_point);
	if (!e->error)
		e->error = weft_lower_unary(e->lower, &clip, &y, false, &clipped);
	return weft_expression_cast(e, type, clipped);
}

/* The dimension that attribute axis names; vectors of parameters stand along it. */
static int read_axis(struct weft_lower *lower, unsigned int rank, unsigned int *axis)
{
	*axis = 0;
	if (!rank || (rank < 2 && !weft_attribute(lower, "axis")))
		return 0;
	return weft_axis(lower, weft_attribute_int(lower, "axis", 1), rank, axis);
}

int weft_lower_quantize_linear(struct weft_lower *lower)
{
	struct weft_expression e = {.lower = lower};
	struct weft_operand x = weft_expression_cast(&e, WEFT_TYPE_F32, weft_expression_input(&e, 0));
	struct weft_operand scale, zero_point = WEFT_ABSENT;
	struct weft_layout wanted = {.type = WEFT_TYPE_U8};
	unsigned int axis = 0;
	int r = e.error ? e.error : read_axis(lower, x.layout.rank, &axis);

	if (!r && weft_has_input(lower, 2))
		r = weft_input_shape(lower, 2, &wanted);
	if (!r && !is_byte(wanted.type))
		r = weft_node_fail(lower, EOPNOTSUPP, "it quantizes to int8 and uint8 only");
	if (r)
		return r;
	scale = parameter(&e, 1, WEFT_TYPE_F32, x.layout.rank, axis);
	if (weft_has_input(lower, 2))
		zero_point = parameter(&e, 2, WEFT_TYPE_F32, x.layout.rank, axis);
	x = weft_expression_binary(&e, WEFT_BINARY_DIV, x, scale);
	return weft_expression_output(&e, 0, saturate(&e, x, zero_point, wanted.type));
}

int weft_lower_dequantize_linear(struct weft_lower *lower)
{
	struct weft_expression e = {.lower = lower};
	struct weft_operand x = weft_expression_cast(&e, WEFT_TYPE_I32, weft_expression_input(&e, 0)), scale;
	unsigned int axis = 0;

	if (!e.error)
		e.error = read_axis(lower, x.layout.rank, &axis);
	scale = parameter(&e, 1, WEFT_TYPE_F32, x.layout.rank, axis);
	if (weft_has_input(lower, 2))
		x = weft_expression_binary(&e, WEFT_BINARY_SUB, x,
					   parameter(&e, 2, WEFT_TYPE_I32, x.layout.rank, axis));
	x = weft_expression_cast(&e, WEFT_TYPE_F32, x);
	return weft_expression_output(&e, 0, weft_expression_binary(&e, WEFT_BINARY_MUL, x, scale));
}

/* The extreme of all elements, and 0. */
static struct weft_operand extreme(struct weft_expression *e, struct weft_operand x, uint32_t reduction,
				   uint32_t comparison)
{
	bool axes[WEFT_MAX_RANK];

	memset(axes, true, sizeof(axes));
	x = weft_expression_reduce(e, reduction, x, axes);
	return weft_expression_with(e, comparison, weft_expression_reshape(e, x, 0, NULL), 0);
}

int weft_lower_dynamic_quantize(struct weft_lower *lower)
{
	struct weft_expression e = {.lower = lower};
	struct weft_operand x = weft_expression_input(&e, 0), low, high, scale, zero, zero_point;

	if (!e.error && x.layout.type != WEFT_TYPE_F32)
		e.error = weft_node_fail(lower, EINVAL, "it takes float tensors only");
	high = extreme(&e, x, WEFT_REDUCE_MAX, WEFT_BINARY_MAX);
	low = extreme(&e, x, WEFT_REDUCE_MIN, WEFT_BINARY_MIN);
	scale = weft_expression_with(&e, WEFT_BINARY_DIV, weft_expression_binary(&e, WEFT_BINARY_SUB, high, low), 255);
	zero = weft_expression_number(&e, WEFT_TYPE_F32, 0);
	zero = weft_expression_binary(&e, WEFT_BINARY_SUB, zero,
				      weft_expression_binary(&e, WEFT_BINARY_DIV, low, scale));
	zero_point = saturate(&e, zero, WEFT_ABSENT, WEFT_TYPE_U8);
	x = weft_expression_binary(&e, WEFT_BINARY_DIV, x, scale);
	x = saturate(&e, x, weft_expression_cast(&e, WEFT_TYPE_F32, zero_point), WEFT_TYPE_U8);
	weft_expression_output(&e, 0, x);
	weft_expression_output(&e, 1, scale);
	return weft_expression_output(&e, 2, zero_point);
}

/* Input @index less its zero point, as whole numbers in float. */
static struct weft_operand centered(struct weft_expression *e, unsigned int index, unsigned int zero_index,
				    unsigned int axis)
{
	struct weft_operand x = weft_expression_input(e, index);

	if (!e->error && !is_byte(x.layout.type))
		e->error = weft_node_fail(e->lower, EOPNOTSUPP, "input %u is neither int8 nor uint8", index);
	x = weft_expression_cast(e, WEFT_TYPE_F32, x);
	if (!weft_has_input(e->lower, zero_index))
		return x;
	return weft_expression_binary(e, WEFT_BINARY_SUB, x,
				      parameter(e, zero_index, WEFT_TYPE_F32, x.layout.rank, axis));
}

/* Leading dimensions of both operands, broadcast: [..., M, K] and [..., K, N] with the same rank of 2 to 4. */
static int match_matrices(struct weft_lower *lower, struct weft_operand *a, struct weft_operand *b,
			  struct weft_layout *result)
{
	struct weft_layout from_a = a->layout, from_b = b->layout;
	unsigned int rank = from_a.rank > from_b.rank ? from_a.rank : from_b.rank, i;

	if (from_a.rank < 2 || from_b.rank < 2 || rank > 4 ||
	    from_a.dims[from_a.rank - 1] != from_b.dims[from_b.rank - 2])
		return weft_node_fail(lower, EOPNOTSUPP, "ranks %u and %u, or inner dimensions, do not fit",
				      from_a.rank, from_b.rank);
	*result = (struct weft_layout){.type = WEFT_TYPE_F32, .rank = (uint8_t)rank};
	for (i = 0; i + 2 < rank; i++) {
		uint32_t x = i < rank - from_a.rank ? 1 : from_a.dims[i - (rank - from_a.rank)];
		uint32_t y = i < rank - from_b.rank ? 1 : from_b.dims[i - (rank - from_b.rank)];

		if (x != y && x != 1 && y != 1)
			return weft_node_fail(lower, EINVAL, "leading dimensions %u and %u do not broadcast", x, y);
		result->dims[i] = x == 1 ? y : x;
	}
	result->dims[rank - 2] = from_a.dims[from_a.rank - 2];
	result->dims[rank - 1] = from_a.dims[from_a.rank - 1];
	if (!weft_layout_broadcast(&from_a, rank, result->dims, &a->layout))
		return weft_node_fail(lower, EINVAL, "the inputs do not broadcast");
	result->dims[rank - 2] = from_b.dims[from_b.rank - 2];
	result->dims[rank - 1] = from_b.dims[from_b.rank - 1];
	if (!weft_layout_broadcast(&from_b, rank, result->dims, &b->layout))
		return weft_node_fail(lower, EINVAL, "the inputs do not broadcast");
	result->dims[rank - 2] = a->layout.dims[rank - 2];
	weft_layout_dense(result);
	return 0;
}

/* The exact product of whole numbers, i32: parts of the inner dimension are float products. */
static struct weft_operand product(struct weft_expression *e, struct weft_operand a, struct weft_operand b)
{
	union weft_params params = {.matmul = {.scale = 1}};
	struct weft_operand total = WEFT_ABSENT;
	struct weft_layout layout;
	uint32_t at, inner, terms;

	if (!e->error)
		e->error = match_matrices(e->lower, &a, &b, &layout);
	if (e->error)
		return total;
	inner = a.layout.dims[layout.rank - 1];
	for (at = 0; at < inner && !e->error; at += terms) {
		struct weft_operand operand[4];

		terms = inner - at < EXACT_TERMS ? inner - at : EXACT_TERMS;
		operand[0] = weft_expression_part(e, a, layout.rank - 1u, at, terms);
		operand[1] = weft_expression_part(e, b, layout.rank - 2u, at, terms);
		operand[2] = operand[3] = WEFT_ABSENT;
		if (!e->error)
			e->error = weft_temporary(e->lower, &layout, &operand[3]);
		if (!e->error)
			e->error = weft_build(e->lower->graph, e->lower->node_name, WEFT_OP_MATMUL, &params, 3, 4,
					      operand, NULL);
		operand[3] = weft_expression_cast(e, WEFT_TYPE_I32, operand[3]);
		total = at ? weft_expression_binary(e, WEFT_BINARY_ADD, total, operand[3]) : operand[3];
	}
	return total;
}

/* Rows of @x are the dimension before its last. */
static unsigned int row_axis(const struct weft_layout *x)
{
	return x->rank > 1 ? x->rank - 2u : 0;
}

static unsigned int column_axis(const struct weft_layout *x)
{
	return x->rank ? x->rank - 1u : 0;
}

int weft_lower_matmul_integer(struct weft_lower *lower)
{
	struct weft_expression e = {.lower = lower};
	struct weft_layout a, b;
	int r = weft_input_shape(lower, 0, &a);

	if (!r)
		r = weft_input_shape(lower, 1, &b);
	if (r)
		return r;
	return weft_expression_output(
		&e, 0, product(&e, centered(&e, 0, 2, row_axis(&a)), centered(&e, 1, 3, column_axis(&b))));
}

/* Whole numbers times a * b / y, as the type of the zero point of the result. */
static int requantized(struct weft_expression *e, struct weft_operand total, const unsigned int scale[3],
		       unsigned int zero_point, const unsigned int axis[2])
{
	unsigned int rank = total.layout.rank;
	struct weft_operand factor = parameter(e, scale[0], WEFT_TYPE_F32, rank, axis[0]);
	struct weft_layout wanted = {0};

	factor = weft_expression_binary(e, WEFT_BINARY_MUL, factor,
					parameter(e, scale[1], WEFT_TYPE_F32, rank, axis[1]));
	factor = weft_expression_binary(e, WEFT_BINARY_DIV, factor, parameter(e, scale[2], WEFT_TYPE_F32, rank, 0));
	if (!e->error)
		e->error = weft_input_shape(e->lower, zero_point, &wanted);
	if (!e->error && !is_byte(wanted.type))
		e->error = weft_node_fail(e->lower, EOPNOTSUPP, "its result is neither int8 nor uint8");
	total = weft_expression_cast(e, WEFT_TYPE_F32, total);
	total = weft_expression_binary(e, WEFT_BINARY_MUL, total, factor);
	total = saturate(e, total, parameter(e, zero_point, WEFT_TYPE_F32, rank, 0), wanted.type);
	return weft_expression_output(e, 0, total);
}

int weft_lower_qlinear_matmul(struct weft_lower *lower)
{
	static const unsigned int scale[3] = {1, 4, 6};
	struct weft_expression e = {.lower = lower};
	struct weft_layout a, b;
	struct weft_operand total;
	int r = weft_input_shape(lower, 0, &a);

	if (!r)
		r = weft_input_shape(lower, 3, &b);
	if (r)
		return r;
	total = product(&e, centered(&e, 0, 2, row_axis(&a)), centered(&e, 3, 5, column_axis(&b)));
	return requantized(&e, total, scale, 7, (unsigned int[]){row_axis(&total.layout), column_axis(&total.layout)});
}

/* Convolution of whole numbers, i32. @w is [OC, C/G, KH, KW]; parts of C/G are float convolutions. */
static struct weft_operand convolution(struct weft_expression *e, struct weft_operand x, struct weft_operand w)
{
	int64_t groups = weft_attribute_int(e->lower, "group", 1);
	struct weft_operand total = WEFT_ABSENT, part_x, part_w, y = WEFT_ABSENT, operand[4];
	union weft_params params = {0};
	struct weft_window window;
	struct weft_layout layout;
	uint32_t at, channels, taps, terms, i;

	if (!e->error && (x.layout.rank != 4 || w.layout.rank != 4))
		e->error = weft_node_fail(e->lower, EOPNOTSUPP, "rank %u; images are supported", x.layout.rank);
	if (!e->error)
		e->error = weft_window_read(e->lower, &x.layout, &w.layout.dims[2], &window);
	if (!e->error)
		e->error = weft_window_forward(e->lower, &window, false);
	if (e->error)
		return total;
	channels = w.layout.dims[1];
	taps = window.kernel[0] * window.kernel[1];
	if (groups < 1 || w.layout.dims[0] % groups || (uint64_t)channels * (uint64_t)groups != x.layout.dims[1] ||
	    taps > EXACT_TERMS || (groups > 1 && taps * (uint64_t)channels > EXACT_TERMS)) {
		e->error = weft_node_fail(e->lower, EOPNOTSUPP,
					  "channels and groups do not fit, or a window has more than %d taps",
					  EXACT_TERMS);
		return total;
	}
	for (i = 0; i < 2; i++) {
		params.conv.stride[i] = window.stride[i];
		params.conv.dilation[i] = window.dilation[i];
		params.conv.pad[i] = window.pad[i];
	}
	params.conv.groups = (uint32_t)groups;
	/* [KH, KW, C/G, OC] */
	w = weft_expression_permuted(e, w, (uint8_t[]){2, 3, 1, 0});
	for (at = 0; at < channels && !e->error; at += terms) {
		terms = channels - at < EXACT_TERMS / taps ? channels - at : EXACT_TERMS / taps;
		part_x = terms == channels ? x : weft_expression_part(e, x, 1, at, terms);
		layout = part_x.layout;
		weft_layout_channels_last(&layout);
		part_x = weft_expression_copy(e, part_x, &layout);
		part_w = weft_expression_part(e, w, 2, at, terms);
		layout = part_w.layout;
		weft_layout_dense(&layout);
		part_w = weft_expression_copy(e, part_w, &layout);
		layout = weft_window_result(&x.layout, w.layout.dims[3], &window);
		if (!e->error)
			e->error = weft_temporary(e->lower, &layout, &y);
		if (e->error)
			return total;
		operand[0] = weft_window_show(&part_x);
		operand[1] = part_w;
		operand[2] = WEFT_ABSENT;
		operand[3] = weft_window_show(&y);
		e->error = weft_build(e->lower->graph, e->lower->node_name, WEFT_OP_CONV_FWD, &params, 3, 4, operand,
				      NULL);
		y = weft_expression_cast(e, WEFT_TYPE_I32, y);
		total = at ? weft_expression_binary(e, WEFT_BINARY_ADD, total, y) : y;
	}
	return total;
}

int weft_lower_conv_integer(struct weft_lower *lower)
{
	struct weft_expression e = {.lower = lower};

	return weft_expression_output(&e, 0, convolution(&e, centered(&e, 0, 2, 0), centered(&e, 1, 3, 0)));
}

int weft_lower_qlinear_conv(struct weft_lower *lower)
{
	static const unsigned int scale[3] = {1, 4, 6};
	struct weft_expression e = {.lower = lower};
	struct weft_operand total = convolution(&e, centered(&e, 0, 2, 0), centered(&e, 3, 5, 0));

	if (weft_has_input(lower, 8))
		total = weft_expression_binary(&e, WEFT_BINARY_ADD, total,
					       parameter(&e, 8, WEFT_TYPE_I32, total.layout.rank, 1));
	return requantized(&e, total, scale, 7, (unsigned int[]){1, 1});
}
