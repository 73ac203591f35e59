// SPDX-License-Identifier: MIT
/* Conv, Gemm and MatMul of integers by constant integers. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "graph/layout.h"
#include "import/expression.h"
#include "import/quantized.h"
#include "import/window.h"
#include "weft/error.h"

/* The weight's dimension that runs over the result's channels. */
static unsigned int channel_axis(const struct weft_lower *lower, unsigned int rank)
{
	if (!strcmp(lower->node->op_type, "Conv"))
		return 0;
	if (!strcmp(lower->node->op_type, "Gemm"))
		return weft_attribute_int(lower, "transB", 0) ? 0 : 1;
	return rank - 1;
}

/* One zero point for all of a weight, and scales along its channels at most. */
static bool weight_suits(const struct weft_lower *lower, const struct weft_integer *w, unsigned int least,
			 unsigned int most)
{
	const struct weft_quantization *q = &w->quantization;

	if (!w->constant || w->constant->rank < least || w->constant->rank > most || q->type == WEFT_TYPE_I32 ||
	    !w->constant->elements)
		return false;
	for (uint32_t i = 1; i < q->count; i++)
		if (q->zero[i] != q->zero[0])
			return false;
	return q->count == 1 || q->axis == channel_axis(lower, w->constant->rank);
}

/* The bias is absent, or known: float, or integers behind it. */
static bool bias_suits(struct weft_lower *lower)
{
	const struct weft_integer *behind = weft_integer_input(lower, 2, true);
	const struct weft_host_tensor *known;

	if (!weft_has_input(lower, 2))
		return true;
	known = behind ? behind->constant : weft_input_maybe(lower, 2);
	return known && known->rank == 1;
}

bool weft_is_integer_product(const struct weft_lower *lower)
{
	const struct weft_integer *x = weft_integer_input(lower, 0, false), *w = weft_integer_input(lower, 1, true);

	if (!x || !w || x->value == WEFT_NO_ID || x->quantization.type == WEFT_TYPE_I32)
		return false;
	if (!strcmp(lower->node->op_type, "Conv"))
		return weight_suits(lower, w, 3, 4) && bias_suits((struct weft_lower *)lower);
	if (!strcmp(lower->node->op_type, "Gemm"))
		return weight_suits(lower, w, 2, 2) && bias_suits((struct weft_lower *)lower) &&
		       lower->graph->value[x->value].layout.rank == 2 && !weft_attribute_int(lower, "transA", 0) &&
		       weft_attribute_float(lower, "alpha", 1) == 1 && weft_attribute_float(lower, "beta", 1) == 1;
	return !strcmp(lower->node->op_type, "MatMul") && weight_suits(lower, w, 2, 2) &&
	       lower->graph->value[x->value].layout.rank >= 2;
}

/* What a product of this node is made of. */
struct product {
	struct weft_expression e;
	const struct weft_integer *x, *w;
	const struct weft_integer_result *result;
	uint32_t channels;
	double *scale; /* of the totals, by channel */
	struct weft_operand operand[5];
	union weft_params params;
};

static double number_of(const struct weft_lower *lower, uint32_t c)
{
	const struct weft_integer *behind = weft_integer_input(lower, 2, true);
	const struct weft_quantization *q;
	uint32_t at;

	if (!behind)
		return weft_host_number(weft_input_maybe((struct weft_lower *)lower, 2), c);
	q = &behind->quantization;
	at = q->count > 1 ? c : 0;
	return (double)(weft_host_integer(behind->constant, c) - q->zero[at]) * q->scale[at];
}

/* Bias in units of the totals' scale, and the multipliers. */
static void add_channels(struct product *p)
{
	struct weft_layout layout = {.type = WEFT_TYPE_I32, .rank = 1, .dims = {p->channels}};
	struct weft_lower *lower = p->e.lower;
	void *data;

	p->operand[2] = p->operand[3] = WEFT_ABSENT;
	if (weft_has_input(lower, 2)) {
		p->operand[2] = weft_expression_constant(&p->e, &layout, &data);
		for (uint32_t c = 0; data && c < p->channels; c++) {
			double units = rint(number_of(lower, c) / p->scale[c]);

			((int32_t *)data)[c] = units > INT32_MAX    ? INT32_MAX
					       : units >= INT32_MIN ? (int32_t)units
								    : INT32_MIN;
		}
	}
	if (!p->result)
		return;
	layout = (struct weft_layout){.type = WEFT_TYPE_I32, .rank = 2, .dims = {p->channels, 2}};
	p->operand[3] = weft_expression_constant(&p->e, &layout, &data);
	for (uint32_t c = 0; data && c < p->channels; c++)
		weft_integer_multiplier(p->scale[c] / p->result->quantization->scale[0],
					(int32_t *)data + (size_t)c * 2);
}

static int set_scales(struct product *p)
{
	const struct weft_quantization *w = &p->w->quantization;

	p->scale = calloc(p->channels + 1u, sizeof(*p->scale));
	if (!p->scale)
		return weft_fail(ENOMEM, "no memory for %u scales", p->channels);
	for (uint32_t c = 0; c < p->channels; c++)
		p->scale[c] = p->x->quantization.scale[0] * w->scale[w->count > 1 ? c : 0];
	return 0;
}

/* The weight [OC, C, spatial...] as [KH, KW, C, OC]; [K, N] or transposed as [K, N]. */
static void add_weight(struct product *p, unsigned int rank, const uint32_t dims[], const size_t strides[])
{
	const struct weft_host_tensor *from = p->w->constant;
	struct weft_layout layout = {.type = from->type, .rank = (uint8_t)rank};
	uint32_t at[4] = {0};
	void *data;

	memcpy(layout.dims, dims, rank * sizeof(*dims));
	p->operand[1] = weft_expression_constant(&p->e, &layout, &data);
	for (size_t i = 0; data && i < from->elements; i++) {
		size_t offset = 0;

		for (unsigned int d = 0; d < rank; d++)
			offset += at[d] * strides[d];
		((uint8_t *)data)[i] = ((const uint8_t *)from->data)[offset];
		for (unsigned int d = rank; d-- > 0;) {
			if (++at[d] < dims[d])
				break;
			at[d] = 0;
		}
	}
}

/* The result's integers or totals, with @layout's dims and strides. */
static void add_result(struct product *p, struct weft_layout layout)
{
	if (p->e.error)
		return;
	layout.type = WEFT_TYPE_I32;
	if (p->result)
		p->e.error = weft_integer_value(p->e.lower, p->result, &layout, &p->operand[4]);
	else
		p->e.error = weft_temporary(p->e.lower, &layout, &p->operand[4]);
}

static void build(struct product *p, uint16_t opcode, const struct weft_operand shown[5])
{
	struct weft_graph *graph = p->e.lower->graph;
	weft_id at;

	if (p->result)
		weft_integer_clamp(p->result, &p->params.qmatmul.low, &p->params.qmatmul.high);
	if (!p->e.error)
		p->e.error = weft_build(graph, p->e.lower->node_name, opcode, &p->params, 4, 5, shown, &at);
	if (p->e.error)
		return;
	graph->operation[at].zero_point[0] = p->x->quantization.zero[0];
	graph->operation[at].zero_point[1] = p->w->quantization.zero[0];
	graph->operation[at].zero_point[4] = p->result ? p->result->quantization->zero[0] : 0;
}

int weft_integer_window(struct weft_lower *lower, const struct weft_layout *x, const uint32_t *kernel,
			struct weft_window *window)
{
	struct weft_layout numbers = *x;

	numbers.type = WEFT_TYPE_F32;
	return weft_window_read(lower, &numbers, kernel, window);
}

static void convolve(struct product *p)
{
	const struct weft_host_tensor *w = p->w->constant;
	uint32_t height = w->rank == 4 ? w->dims[2] : 1, width = w->dims[w->rank - 1];
	const uint32_t dims[4] = {height, width, w->dims[1], w->dims[0]};
	const size_t strides[4] = {width, 1, (size_t)height * width, (size_t)height * width * w->dims[1]};
	struct weft_lower *lower = p->e.lower;
	int64_t groups = weft_attribute_int(lower, "group", 1);
	struct weft_operand x = weft_operand_of(lower->graph, p->x->value), shown[5];
	struct weft_window window;
	struct weft_layout layout;

	if (x.layout.rank != w->rank || groups < 1 || x.layout.dims[1] % groups || w->dims[0] % groups ||
	    x.layout.dims[1] / groups != w->dims[1]) {
		p->e.error = weft_node_fail(lower, EINVAL,
					    "%u channels in, %u out and %u of the weight do not fit %lld groups",
					    x.layout.dims[1], w->dims[0], w->dims[1], (long long)groups);
		return;
	}
	if (x.layout.strides[1] != 1 && x.layout.dims[1] > 1) {
		layout = x.layout;
		weft_layout_channels_last(&layout);
		x = weft_expression_copy(&p->e, x, &layout);
	}
	if (!p->e.error)
		p->e.error = weft_integer_window(lower, &x.layout, &w->dims[2], &window);
	if (!p->e.error)
		p->e.error = weft_window_forward(lower, &window, false);
	if (p->e.error)
		return;
	add_weight(p, 4, dims, strides);
	add_channels(p);
	layout = weft_window_result(&x.layout, w->dims[0], &window);
	add_result(p, layout);
	if (p->e.error)
		return;
	for (unsigned int i = 0; i < 2; i++) {
		p->params.qconv.stride[i] = window.stride[i];
		p->params.qconv.dilation[i] = window.dilation[i];
		p->params.qconv.pad[i] = window.pad[i];
	}
	p->params.qconv.groups = (uint32_t)groups;
	memcpy(shown, p->operand, sizeof(shown));
	shown[0] = weft_window_show(&x);
	shown[4] = weft_window_show(&p->operand[4]);
	build(p, WEFT_OP_QCONV, shown);
}

static void multiply(struct product *p)
{
	const struct weft_host_tensor *w = p->w->constant;
	bool transposed = channel_axis(p->e.lower, w->rank) == 0;
	const uint32_t dims[2] = {w->dims[transposed], w->dims[!transposed]};
	const size_t strides[2] = {transposed ? 1 : w->dims[1], transposed ? w->dims[1] : 1};
	struct weft_operand x = weft_operand_of(p->e.lower->graph, p->x->value), shown[5];
	struct weft_layout layout = {.rank = x.layout.rank}, view;
	uint32_t rows[2] = {1, x.layout.dims[x.layout.rank - 1]};

	if (rows[1] != dims[0]) {
		p->e.error = weft_node_fail(p->e.lower, EINVAL, "inner dimensions %u and %u differ", rows[1], dims[0]);
		return;
	}
	for (unsigned int d = 0; d + 1u < x.layout.rank; d++)
		rows[0] *= x.layout.dims[d];
	memcpy(layout.dims, x.layout.dims, sizeof(layout.dims));
	layout.dims[layout.rank - 1] = dims[1];
	weft_layout_dense(&layout);
	if (x.layout.rank > 2)
		x = weft_expression_reshape(&p->e, x, 2, rows);
	add_weight(p, 2, dims, strides);
	add_channels(p);
	add_result(p, layout);
	if (p->e.error)
		return;
	memcpy(shown, p->operand, sizeof(shown));
	shown[0] = x;
	view = (struct weft_layout){.type = shown[4].layout.type, .rank = 2, .dims = {rows[0], dims[1]}};
	weft_layout_dense(&view);
	shown[4].layout = view;
	build(p, WEFT_OP_QMATMUL, shown);
}

/* Totals times their scales. */
static void scale_totals(struct product *p, weft_id *id)
{
	struct weft_operand totals = p->operand[4], operand[4] = {totals, WEFT_ABSENT, WEFT_ABSENT, WEFT_ABSENT};
	unsigned int rank = totals.layout.rank, axis = strcmp(p->e.lower->node->op_type, "Conv") ? rank - 1 : 1;
	struct weft_layout layout = totals.layout, row = {.type = WEFT_TYPE_F32, .rank = (uint8_t)rank};
	void *data;

	for (unsigned int d = 0; d < rank; d++)
		row.dims[d] = d == axis ? p->channels : 1;
	operand[1] = weft_expression_constant(&p->e, &row, &data);
	for (uint32_t c = 0; data && c < p->channels; c++)
		((float *)data)[c] = (float)p->scale[c];
	layout.type = WEFT_TYPE_F32;
	if (!p->e.error)
		p->e.error = weft_temporary(p->e.lower, &layout, &operand[3]);
	if (!p->e.error)
		p->e.error = weft_build_broadcast(p->e.lower->graph, p->e.lower->node_name, WEFT_OP_DEQUANTIZE, NULL, 3,
						  4, operand, 3, NULL);
	*id = operand[3].id;
}

int weft_integer_product(struct weft_lower *lower, const struct weft_integer_result *result, weft_id *id)
{
	struct product p = {
		.e = {.lower = lower},
		.x = weft_integer_input(lower, 0, false),
		.w = weft_integer_input(lower, 1, true),
		.result = result,
	};

	p.channels = p.w->constant->dims[channel_axis(lower, p.w->constant->rank)];
	if (weft_has_input(lower, 2)) {
		const struct weft_integer *behind = weft_integer_input(lower, 2, true);
		const struct weft_host_tensor *bias = behind ? behind->constant : weft_input_maybe(lower, 2);

		if (bias->elements != p.channels)
			return weft_node_fail(lower, EINVAL, "a bias of %zu elements for %u channels", bias->elements,
					      p.channels);
	}
	p.e.error = set_scales(&p);
	if (!p.e.error && !strcmp(lower->node->op_type, "Conv"))
		convolve(&p);
	else if (!p.e.error)
		multiply(&p);
	*id = p.operand[4].id;
	if (!p.e.error && !result)
		scale_totals(&p, id);
	free(p.scale);
	return p.e.error;
}
