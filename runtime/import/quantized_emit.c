// SPDX-License-Identifier: MIT
/* Nodes between DequantizeLinear and QuantizeLinear as integer operations. */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "graph/layout.h"
#include "import/expression.h"
#include "import/quantized.h"
#include "import/shape.h"
#include "import/window.h"
#include "weft/error.h"

/* An operation with the result's zero point in its last slot. */
static int finish(struct weft_lower *lower, weft_id at, unsigned int inputs, const struct weft_integer *const input[],
		  const struct weft_integer_result *result)
{
	struct weft_operation *operation = &lower->graph->operation[at];

	for (unsigned int i = 0; i < inputs; i++)
		operation->zero_point[i] = input[i]->quantization.zero[0];
	operation->zero_point[operation->operands - 1] = result->quantization->zero[0];
	return 0;
}

/* Factors and shift of QADD; false where one operand is too large beside the result. */
static bool sum_factors(const struct weft_integer *const side[2], const struct weft_integer_result *result,
			bool subtract, union weft_params *params)
{
	double ratio[2], greatest;
	int shift;

	for (unsigned int i = 0; i < 2; i++)
		ratio[i] = side[i]->quantization.scale[0] / result->quantization->scale[0];
	greatest = fmax(ratio[0], ratio[1]);
	shift = (int)floor(21 - log2(greatest));
	shift = shift > 30 ? 30 : shift;
	if (shift < 1)
		return false;
	for (unsigned int i = 0; i < 2; i++)
		params->qadd.factor[i] = (int32_t)rint(ldexp(ratio[i], shift));
	if (subtract)
		params->qadd.factor[1] = -params->qadd.factor[1];
	params->qadd.shift = (uint32_t)shift;
	return params->qadd.factor[0] <= 1 << 21 && params->qadd.factor[1] <= 1 << 21;
}

static int emit_binary(struct weft_lower *lower, const struct weft_integer_result *result, weft_id *id, bool *done)
{
	const struct weft_integer *const side[2] = {weft_integer_input(lower, 0, false),
						    weft_integer_input(lower, 1, false)};
	bool multiply = !strcmp(lower->node->op_type, "Mul");
	struct weft_operand operand[3], shown[3];
	union weft_params params = {0};
	const struct weft_layout *like;
	struct weft_layout layout;
	struct weft_shape shape;
	int32_t factor[2];
	weft_id at;
	int r;

	if (!side[0] || !side[1] || !weft_integer_operand(lower, side[0], &operand[0]) ||
	    !weft_integer_operand(lower, side[1], &operand[1]))
		return 0;
	if (multiply) {
		weft_integer_multiplier(side[0]->quantization.scale[0] * side[1]->quantization.scale[0] /
						result->quantization->scale[0],
					factor);
		params.qmul.multiplier = (uint32_t)factor[0];
		params.qmul.shift = (uint32_t)factor[1];
	} else if (!sum_factors(side, result, !strcmp(lower->node->op_type, "Sub"), &params)) {
		return 0;
	}
	weft_integer_clamp(result, &params.qadd.low, &params.qadd.high);
	r = weft_shape_broadcast(lower, &operand[0].layout, &operand[1].layout, &shape);
	if (r)
		return r;
	like = weft_layout_elements(&operand[0].layout) >= weft_layout_elements(&operand[1].layout)
		       ? &operand[0].layout
		       : &operand[1].layout;
	layout = weft_layout_like(like, result->quantization->type, shape.rank, shape.dims);
	memcpy(shown, operand, sizeof(operand));
	for (unsigned int i = 0; i < 2; i++)
		if (!weft_layout_broadcast(&operand[i].layout, shape.rank, shape.dims, &shown[i].layout))
			return weft_node_fail(lower, EINVAL, "the inputs do not broadcast");
	r = weft_integer_value(lower, result, &layout, &shown[2]);
	if (!r)
		r = weft_build_elementwise(lower->graph, lower->node_name, multiply ? WEFT_OP_QMUL : WEFT_OP_QADD,
					   &params, 2, 3, shown, &at);
	*id = shown[2].id;
	*done = true;
	return r ? r : finish(lower, at, 2, side, result);
}

/* Windows are read with the channels innermost. */
static int channels_last(struct weft_lower *lower, struct weft_operand *from)
{
	struct weft_expression e = {.lower = lower};
	struct weft_layout layout = from->layout;

	if (layout.strides[1] == 1 || layout.dims[1] == 1)
		return 0;
	weft_layout_channels_last(&layout);
	*from = weft_expression_copy(&e, *from, &layout);
	return e.error;
}

/* The pooling operation @opcode, whose other parameters are in @params. */
static int emit_windows(struct weft_lower *lower, const struct weft_integer_result *result,
			const struct weft_integer *const x, struct weft_operand from, const struct weft_window *window,
			uint16_t opcode, union weft_params *params, weft_id *id, bool *done)
{
	struct weft_layout layout = weft_window_result(&from.layout, from.layout.dims[1], window);
	struct weft_operand shown[2];
	weft_id at;
	int r;

	for (unsigned int i = 0; i < 2; i++) {
		params->qpool.kernel[i] = window->kernel[i];
		params->qpool.stride[i] = window->stride[i];
		params->qpool.dilation[i] = window->dilation[i];
		params->qpool.pad[i] = window->pad[i];
		params->qpool.pad_end[i] = window->pad_end[i];
	}
	weft_integer_clamp(result, &params->qpool.low, &params->qpool.high);
	r = weft_integer_value(lower, result, &layout, &shown[1]);
	if (r)
		return r;
	*id = shown[1].id;
	*done = true;
	shown[0] = weft_window_show(&from);
	shown[1] = weft_window_show(&shown[1]);
	r = weft_build(lower->graph, lower->node_name, opcode, params, 1, 2, shown, &at);
	return r ? r : finish(lower, at, 1, &x, result);
}

static int emit_average(struct weft_lower *lower, const struct weft_integer_result *result, weft_id *id, bool *done)
{
	const struct weft_integer *const x = weft_integer_input(lower, 0, false);
	union weft_params params = {0};
	struct weft_operand from;
	struct weft_window window;
	int32_t factor[2];
	int r;

	if (!x || !weft_integer_operand(lower, x, &from) || (from.layout.rank != 4 && from.layout.rank != 3))
		return 0;
	r = channels_last(lower, &from);
	if (r)
		return r;
	if (!strcmp(lower->node->op_type, "GlobalAveragePool")) {
		for (unsigned int i = 0; i < 2; i++) {
			window = (struct weft_window){.in = {0}};
			window.out[i] = 1;
		}
		for (unsigned int i = 0; i < 2; i++) {
			window.in[i] = i || from.layout.rank == 4 ? from.layout.dims[from.layout.rank - 2 + i] : 1;
			window.kernel[i] = window.in[i];
			window.stride[i] = window.dilation[i] = window.out[i] = 1;
		}
	} else {
		r = weft_integer_window(lower, &from.layout, NULL, &window);
		if (!r)
			r = weft_window_forward(lower, &window, weft_attribute_int(lower, "ceil_mode", 0) != 0);
		params.qpool.count_pad = weft_attribute_int(lower, "count_include_pad", 0) != 0;
	}
	if (r)
		return r;
	weft_integer_multiplier(x->quantization.scale[0] / result->quantization->scale[0], factor);
	params.qpool.multiplier = (uint32_t)factor[0];
	params.qpool.shift = (uint32_t)factor[1];
	return emit_windows(lower, result, x, from, &window, WEFT_OP_QAVGPOOL, &params, id, done);
}

/* The greatest of a window keeps its scale: then requantized by a table where the result has another. */
static int emit_greatest(struct weft_lower *lower, const struct weft_integer_result *result, weft_id *id, bool *done)
{
	const struct weft_integer *const x = weft_integer_input(lower, 0, false);
	const struct weft_quantization *q = result->quantization;
	union weft_params params = {0};
	struct weft_operand from;
	struct weft_window window;
	int r;

	if (!x || !weft_integer_operand(lower, x, &from) || (from.layout.rank != 4 && from.layout.rank != 3) ||
	    x->quantization.type != q->type || x->quantization.scale[0] != q->scale[0] ||
	    x->quantization.zero[0] != q->zero[0])
		return 0;
	r = channels_last(lower, &from);
	if (r)
		return r;
	r = weft_integer_window(lower, &from.layout, NULL, &window);
	if (!r)
		r = weft_window_forward(lower, &window, weft_attribute_int(lower, "ceil_mode", 0) != 0);
	if (r)
		return r;
	return emit_windows(lower, result, x, from, &window, WEFT_OP_QMAXPOOL, &params, id, done);
}

static double sigmoid(double x)
{
	return 1 / (1 + exp(-x));
}

/* The present node as a function of a number; false: not known. */
static bool evaluate(const struct weft_lower *lower, double x, double *y)
{
	const char *name = lower->node->op_type;
	double alpha = weft_attribute_float(lower, "alpha",
					    !strcmp(name, "HardSigmoid") ? 0.2f
					    : !strcmp(name, "LeakyRelu") ? 0.01f
									 : 1.0f);
	double beta = weft_attribute_float(lower, "beta", 0.5f), gate;

	if (!strcmp(name, "Relu"))
		*y = x > 0 ? x : 0;
	else if (!strcmp(name, "LeakyRelu"))
		*y = x < 0 ? alpha * x : x;
	else if (!strcmp(name, "Sigmoid"))
		*y = sigmoid(x);
	else if (!strcmp(name, "Tanh"))
		*y = tanh(x);
	else if (!strcmp(name, "HardSigmoid"))
		*y = fmax(0, fmin(1, alpha * x + beta));
	else if (!strcmp(name, "HardSwish"))
		*y = x * fmax(0, fmin(1, x / 6 + 0.5));
	else if (!strcmp(name, "Elu"))
		*y = x < 0 ? alpha * expm1(x) : x;
	else if (!strcmp(name, "Gelu")) {
		gate = weft_attribute_is(lower, "approximate", "tanh", false)
			       ? tanh(0.7978845608028654 * (x + 0.044715 * x * x * x))
			       : erf(x * 0.7071067811865476);
		*y = 0.5 * x * (1 + gate);
	} else if (!strcmp(name, "Erf"))
		*y = erf(x);
	else if (!strcmp(name, "Softplus"))
		*y = log1p(exp(x));
	else if (!strcmp(name, "Mish"))
		*y = x * tanh(log1p(exp(x)));
	else if (!strcmp(name, "Abs"))
		*y = fabs(x);
	else if (!strcmp(name, "Neg"))
		*y = -x;
	else if (!strcmp(name, "Exp"))
		*y = exp(x);
	else if (!strcmp(name, "Sqrt"))
		*y = x > 0 ? sqrt(x) : 0;
	else
		return false;
	return true;
}

/* Limits of a Clip that are known; false where one is not. */
static bool clip_limits(struct weft_lower *lower, double *low, double *high)
{
	double *limit[2] = {low, high};

	*low = weft_attribute_float(lower, "min", -INFINITY);
	*high = weft_attribute_float(lower, "max", INFINITY);
	for (unsigned int i = 0; i < 2; i++) {
		const struct weft_host_tensor *known;

		if (!weft_has_input(lower, 1 + i))
			continue;
		known = weft_input_maybe(lower, 1 + i);
		if (!known || known->elements != 1)
			return false;
		*limit[i] = weft_host_number(known, 0);
	}
	return true;
}

/* A table of the function that the present node is, or (@function false) of the change of scale. */
static int emit_table(struct weft_lower *lower, const struct weft_integer *x, bool function,
		      const struct weft_integer_result *result, weft_id *id, bool *done)
{
	struct weft_layout entries = {.type = result->quantization->type, .rank = 1, .dims = {256}}, layout;
	const struct weft_quantization *from = &x->quantization, *to = result->quantization;
	struct weft_expression e = {.lower = lower};
	struct weft_operand operand[3];
	double y;
	int32_t low, high;
	void *data;
	weft_id at;
	int r;

	if (!weft_integer_operand(lower, x, &operand[0]) || from->type == WEFT_TYPE_I32 ||
	    (function && !evaluate(lower, 0, &y)))
		return 0;
	weft_integer_clamp(result, &low, &high);
	operand[1] = weft_expression_constant(&e, &entries, &data);
	for (int i = 0; data && i < 256; i++) {
		int32_t integer = from->type == WEFT_TYPE_I8 ? i - 128 : i;
		double q;

		y = (integer - from->zero[0]) * from->scale[0];
		if (function)
			evaluate(lower, y, &y);
		q = rint(y / to->scale[0]) + to->zero[0];
		((uint8_t *)data)[i] = (uint8_t)(int32_t)(q < low ? low : q > high ? high : q);
	}
	if (e.error)
		return e.error;
	layout = weft_layout_like(&operand[0].layout, to->type, operand[0].layout.rank, operand[0].layout.dims);
	r = weft_integer_value(lower, result, &layout, &operand[2]);
	*id = operand[2].id;
	*done = true;
	if (!r) {
		struct weft_operand shown[2] = {operand[0], operand[2]};
		uint32_t elements[1] = {(uint32_t)weft_layout_elements(&layout)};
		struct weft_layout flat[2];

		/* As vectors where they lie alike, so that the table keeps its one dimension. */
		if (weft_layout_same_dims(&shown[0].layout, &shown[1].layout) &&
		    weft_layout_is_dense(&shown[0].layout) &&
		    !memcmp(shown[0].layout.strides, shown[1].layout.strides, sizeof(shown[0].layout.strides))) {
			for (unsigned int i = 0; i < 2; i++) {
				flat[i] = (struct weft_layout){
					.type = shown[i].layout.type, .rank = 1, .dims = {elements[0]}};
				weft_layout_dense(&flat[i]);
			}
			operand[0].layout = flat[0];
			operand[2].layout = flat[1];
		}
		r = weft_build(lower->graph, lower->node_name, WEFT_OP_QLOOKUP, NULL, 2, 3, operand, &at);
	}
	return r ? r : finish(lower, at, 1, &x, result);
}

/* Softmax along a last dimension that lies dense, onto multiples of a power of two. */
static int emit_softmax(struct weft_lower *lower, const struct weft_integer_result *result, weft_id *id, bool *done)
{
	const struct weft_integer *const x = weft_integer_input(lower, 0, false);
	struct weft_layout entries = {.type = WEFT_TYPE_I32, .rank = 1, .dims = {256}}, layout;
	const struct weft_quantization *q = result->quantization;
	double bits = -log2(q->scale[0]);
	struct weft_expression e = {.lower = lower};
	union weft_params params = {0};
	struct weft_operand operand[3];
	unsigned int rank;
	int64_t axis;
	void *data;
	weft_id at;
	int r;

	if (!x || !weft_integer_operand(lower, x, &operand[0]))
		return 0;
	rank = operand[0].layout.rank;
	axis = weft_attribute_int(lower, "axis", lower->model->opset >= 13 ? -1 : 1);
	if (bits != floor(bits) || bits < 1 || bits > 16 || isfinite(result->low) || isfinite(result->high) || !rank ||
	    (axis != -1 && axis != (int64_t)rank - 1) || (lower->model->opset < 13 && rank != 2))
		return 0;
	layout = operand[0].layout;
	weft_layout_dense(&layout);
	if (!weft_layout_same(&layout, &operand[0].layout))
		operand[0] = weft_expression_copy(&e, operand[0], &layout);
	operand[1] = weft_expression_constant(&e, &entries, &data);
	for (int i = 0; data && i < 256; i++)
		((int32_t *)data)[i] = (int32_t)rint(exp(-i * x->quantization.scale[0]) * 0x1p23);
	if (!e.error)
		e.error = weft_integer_value(lower, result, &layout, &operand[2]);
	if (e.error)
		return e.error;
	*id = operand[2].id;
	*done = true;
	params.qsoftmax.bits = (uint32_t)bits;
	r = weft_build(lower->graph, lower->node_name, WEFT_OP_QSOFTMAX, &params, 2, 3, operand, &at);
	return r ? r : finish(lower, at, 1, &x, result);
}

/* An activation behind something that is put off too: a narrower clamp. */
static int emit_behind(struct weft_lower *lower, const struct weft_integer *inner,
		       const struct weft_integer_result *result, weft_id *id, bool *done)
{
	struct weft_integer_result narrower = *result;
	double low = 0, high = INFINITY;

	if (!strcmp(lower->node->op_type, "Clip") && !clip_limits(lower, &low, &high))
		return 0;
	if (strcmp(lower->node->op_type, "Clip") && strcmp(lower->node->op_type, "Relu"))
		return 0;
	narrower.low = fmax(narrower.low, low);
	narrower.high = fmin(narrower.high, high);
	return weft_integer_emit(lower, inner, &narrower, id, done);
}

int weft_integer_emit(struct weft_lower *lower, const struct weft_integer *pending,
		      const struct weft_integer_result *result, weft_id *id, bool *done)
{
	const struct weft_symbol *input;
	struct weft_integer_result clipped = *result;
	double low, high;
	const char *name;

	*done = false;
	if (!pending->node)
		return pending->quantization.count == 1 ? emit_table(lower, pending, false, result, id, done) : 0;
	lower->node = pending->node;
	lower->node_name = pending->node_name;
	name = lower->node->op_type;
	if (weft_is_integer_product(lower)) {
		*done = true;
		return weft_integer_product(lower, result, id);
	}
	input = weft_input_symbol(lower, 0);
	if (!input || !input->integer)
		return 0;
	if (input->integer->node)
		return emit_behind(lower, input->integer, result, id, done);
	if (!strcmp(name, "Add") || !strcmp(name, "Mul") || !strcmp(name, "Sub"))
		return emit_binary(lower, result, id, done);
	if (!strcmp(name, "AveragePool") || !strcmp(name, "GlobalAveragePool"))
		return emit_average(lower, result, id, done);
	if (!strcmp(name, "MaxPool"))
		return emit_greatest(lower, result, id, done);
	if (!strcmp(name, "Softmax"))
		return emit_softmax(lower, result, id, done);
	if (strcmp(name, "Clip"))
		return emit_table(lower, input->integer, true, result, id, done);
	if (!clip_limits(lower, &low, &high))
		return 0;
	clipped.low = fmax(clipped.low, low);
	clipped.high = fmin(clipped.high, high);
	return emit_table(lower, input->integer, false, &clipped, id, done);
}
