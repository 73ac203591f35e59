// SPDX-License-Identifier: MIT
/*
 * Operators of domain "weft": projections and products of bits.
 *
 *	Project(X) -> bits: T functions of d bits of each row of X, [N, ...] of float
 *	or bytes, or [N, L] of integers, which are features (hashes; negative ones are
 *	absent).  Attributes functions (T), bits (d), seed, and for the former taps,
 *	terms of a random vector (8).  The result can only be read by BitMatMul.
 *	BitMatMul(bits, W [T * d, M], [bias M]) -> float [N, M]; attribute signs (1): a
 *	bit stands for -1 or 1, or (0) for 0 or 1.  Where W comes from a DequantizeLinear of
 *	int8 constants around 0, sums are of integers.
 *	ProjectMean(X [N, L]) -> float [N, T * d]; attributes as of Project.
 *	ProjectTernary(X [...]) -> float [..., channels]; attributes channels, seed.
 *
 * <weft_isa_projection.h> defines what they compute.
 */
#include <errno.h>
#include <string.h>

#include "graph/layout.h"
#include "import/expression.h"
#include "import/operators.h"
#include "import/quantized.h"
#include "weft/error.h"

#define DEFAULT_TAPS 8

/* A positive attribute up to @most. */
static int read_count(struct weft_lower *lower, const char *name, int64_t fallback, uint32_t most, uint32_t *count)
{
	int64_t value = weft_attribute_int(lower, name, fallback);

	if (value < 1 || value > most)
		return weft_node_fail(lower, EINVAL, "attribute %s is %lld; expected 1 to %u", name, (long long)value,
				      most);
	*count = (uint32_t)value;
	return 0;
}

/* Bits of a row: functions times bits. */
static int read_bits(struct weft_lower *lower, uint32_t *bits)
{
	uint32_t functions = 0, each = 0;
	int r = read_count(lower, "functions", 0, WEFT_PROJECT_MAX_BITS, &functions);

	if (!r)
		r = read_count(lower, "bits", 0, WEFT_PROJECT_MAX_BITS, &each);
	if (r)
		return r;
	if ((uint64_t)functions * each > WEFT_PROJECT_MAX_BITS)
		return weft_node_fail(lower, EINVAL, "%u functions of %u bits are more than %u bits", functions, each,
				      WEFT_PROJECT_MAX_BITS);
	*bits = functions * each;
	return 0;
}

static bool is_index(uint8_t type)
{
	return type == WEFT_TYPE_I32 || type == WEFT_TYPE_I64;
}

/* The input with all dimensions but the first as one, row-major. */
static int read_rows(struct weft_lower *lower, struct weft_operand *x)
{
	struct weft_operand from;
	uint64_t columns = 1;
	uint32_t dims[2];
	int r = weft_input_dense(lower, 0, &from);

	if (r)
		return r;
	if (!from.layout.rank)
		return weft_node_fail(lower, EINVAL, "the input is a scalar");
	for (unsigned int i = 1; i < from.layout.rank; i++)
		columns *= from.layout.dims[i];
	if (columns > INT32_MAX)
		return weft_node_fail(lower, EOPNOTSUPP, "%llu numbers a row", (unsigned long long)columns);
	dims[0] = from.layout.dims[0];
	dims[1] = (uint32_t)columns;
	return weft_lower_reshape(lower, &from, 2, dims, x);
}

int weft_lower_project(struct weft_lower *lower)
{
	union weft_params params = {.project = {.seed = (uint64_t)weft_attribute_int(lower, "seed", 0)}};
	struct weft_operand operand[3] = {WEFT_ABSENT, WEFT_ABSENT, WEFT_ABSENT};
	struct weft_layout layout = {.type = WEFT_TYPE_BIT, .rank = 2, .strides = {0, 1}};
	const struct weft_symbol *result;
	uint32_t bits = 0;
	int r = read_bits(lower, &bits);

	if (!r)
		r = read_rows(lower, &operand[0]);
	if (r)
		return r;
	result = weft_find_symbol(lower, lower->node->output[0]);
	if (result && result->output)
		return weft_node_fail(lower, EOPNOTSUPP,
				      "its bits are an output of the model; only BitMatMul can read them");
	layout.dims[0] = operand[0].layout.dims[0];
	layout.dims[1] = bits;
	layout.strides[0] = (int32_t)((bits + 31) / 32 * 32);
	if (is_index(operand[0].layout.type)) {
		if (operand[0].layout.dims[1] > WEFT_PROJECT_MAX_FEATURES)
			return weft_node_fail(lower, EOPNOTSUPP, "%u features a row; at most %u are supported",
					      operand[0].layout.dims[1], WEFT_PROJECT_MAX_FEATURES);
		r = weft_output(lower, 0, &layout, &operand[2]);
		return r ? r
			 : weft_build(lower->graph, lower->node_name, WEFT_OP_PROJECT_HASHED, &params, 2, 3, operand,
				      NULL);
	}
	if (operand[0].layout.type != WEFT_TYPE_F32 && operand[0].layout.type != WEFT_TYPE_U8 &&
	    operand[0].layout.type != WEFT_TYPE_I8)
		return weft_node_fail(lower, EINVAL,
				      "the input is neither float, nor bytes, nor integers of 32 or 64 bits");
	r = read_count(lower, "taps", DEFAULT_TAPS, WEFT_PROJECT_MAX_TAPS, &params.project.taps);
	if (!r)
		r = weft_output(lower, 0, &layout, &operand[1]);
	return r ? r : weft_build(lower->graph, lower->node_name, WEFT_OP_PROJECT, &params, 1, 2, operand, NULL);
}

int weft_lower_project_mean(struct weft_lower *lower)
{
	union weft_params params = {.project = {.seed = (uint64_t)weft_attribute_int(lower, "seed", 0)}};
	struct weft_layout layout = {.type = WEFT_TYPE_F32, .rank = 2};
	struct weft_operand operand[2];
	uint32_t numbers = 0;
	int r = read_bits(lower, &numbers);

	if (!r)
		r = read_rows(lower, &operand[0]);
	if (r)
		return r;
	if (!is_index(operand[0].layout.type) || operand[0].layout.dims[1] > WEFT_PROJECT_MAX_FEATURES)
		return weft_node_fail(lower, EINVAL,
				      "the input is not [batch, features] of integers, at most %u features",
				      WEFT_PROJECT_MAX_FEATURES);
	layout.dims[0] = operand[0].layout.dims[0];
	layout.dims[1] = numbers;
	weft_layout_dense(&layout);
	r = weft_output(lower, 0, &layout, &operand[1]);
	return r ? r : weft_build(lower->graph, lower->node_name, WEFT_OP_PROJECT_MEAN, &params, 1, 2, operand, NULL);
}

int weft_lower_project_ternary(struct weft_lower *lower)
{
	union weft_params params = {.project = {.seed = (uint64_t)weft_attribute_int(lower, "seed", 0)}};
	struct weft_operand operand[2];
	struct weft_layout layout;
	uint32_t channels = 0;
	int r = read_count(lower, "channels", 0, WEFT_PROJECT_MAX_BITS, &channels);

	if (!r)
		r = weft_input(lower, 0, &operand[0]);
	if (r)
		return r;
	layout = operand[0].layout;
	if (!is_index(layout.type) || !layout.rank || layout.rank >= WEFT_MAX_RANK)
		return weft_node_fail(lower, EINVAL, "the input is not a tensor of integers of 1 to %d dimensions",
				      WEFT_MAX_RANK - 1);
	layout.type = WEFT_TYPE_F32;
	layout.dims[layout.rank++] = channels;
	weft_layout_dense(&layout);
	r = weft_output(lower, 0, &layout, &operand[1]);
	return r ? r
		 : weft_build(lower->graph, lower->node_name, WEFT_OP_PROJECT_TERNARY, &params, 1, 2, operand, NULL);
}

/* Weights [K, M] of bytes around 0 that a DequantizeLinear makes numbers, with a scale for each column or for all. */
static const struct weft_integer *byte_weights(const struct weft_lower *lower, const struct weft_operand *bits)
{
	const struct weft_integer *w = weft_integer_input(lower, 1, true);

	if (!w || !w->constant || w->constant->type != WEFT_TYPE_I8 || w->constant->rank != 2 ||
	    w->constant->dims[0] != bits->layout.dims[1] || (w->quantization.count > 1 && w->quantization.axis != 1))
		return NULL;
	for (uint32_t i = 0; i < w->quantization.count; i++)
		if (w->quantization.zero[i])
			return NULL;
	return w;
}

/* The product of bits and bytes as totals, then as numbers, then the bias. */
static int bit_matmul_bytes(struct weft_lower *lower, const struct weft_operand *bits, const struct weft_integer *w,
			    uint32_t signs)
{
	const union weft_params params = {.bits = {.signs = signs}};
	const uint32_t columns = w->constant->dims[1];
	struct weft_layout weights = {.type = WEFT_TYPE_I8, .rank = 2, .dims = {w->constant->dims[0], columns}};
	struct weft_layout scales = {.type = WEFT_TYPE_F32, .rank = 2, .dims = {1, w->quantization.count}};
	struct weft_layout result = {.type = WEFT_TYPE_I32, .rank = 2, .dims = {bits->layout.dims[0], columns}};
	struct weft_expression e = {.lower = lower};
	struct weft_operand totals, y, b, scale;
	void *data;

	weft_layout_dense(&result);
	b = weft_expression_constant(&e, &weights, &data);
	if (data)
		memcpy(data, w->constant->data, w->constant->elements);
	scale = weft_expression_constant(&e, &scales, &data);
	for (uint32_t i = 0; data && i < w->quantization.count; i++)
		((float *)data)[i] = (float)w->quantization.scale[i];
	if (!e.error)
		e.error = weft_temporary(lower, &result, &totals);
	if (!e.error)
		e.error = weft_build(lower->graph, lower->node_name, WEFT_OP_BIT_MATMUL, &params, 4, 5,
				     (struct weft_operand[]){*bits, b, WEFT_ABSENT, WEFT_ABSENT, totals}, NULL);
	result.type = WEFT_TYPE_F32;
	if (!e.error)
		e.error = weft_temporary(lower, &result, &y);
	if (!e.error)
		e.error = weft_build_broadcast(lower->graph, lower->node_name, WEFT_OP_DEQUANTIZE, NULL, 3, 4,
					       (struct weft_operand[]){totals, scale, WEFT_ABSENT, y}, 3, NULL);
	if (!e.error && weft_has_input(lower, 2))
		y = weft_expression_binary(&e, WEFT_BINARY_ADD, y, weft_expression_input(&e, 2));
	return e.error ? e.error : weft_expression_output(&e, 0, y);
}

int weft_lower_bit_matmul(struct weft_lower *lower)
{
	int64_t signs = weft_attribute_int(lower, "signs", 1);
	union weft_params params = {.bits = {.signs = signs != 0}};
	struct weft_operand operand[5] = {WEFT_ABSENT, WEFT_ABSENT, WEFT_ABSENT, WEFT_ABSENT, WEFT_ABSENT};
	struct weft_layout layout = {.type = WEFT_TYPE_F32, .rank = 2};
	const struct weft_integer *bytes;
	int r = weft_input(lower, 0, &operand[0]);

	if (!r && operand[0].layout.type == WEFT_TYPE_BIT) {
		bytes = byte_weights(lower, &operand[0]);
		if (bytes)
			return bit_matmul_bytes(lower, &operand[0], bytes, params.bits.signs);
	}
	if (!r)
		r = weft_input(lower, 1, &operand[1]);
	if (!r && weft_has_input(lower, 2))
		r = weft_input(lower, 2, &operand[2]);
	if (r)
		return r;
	if (operand[0].layout.type != WEFT_TYPE_BIT || operand[1].layout.type != WEFT_TYPE_F32 ||
	    operand[1].layout.rank != 2 || operand[1].layout.dims[0] != operand[0].layout.dims[1])
		return weft_node_fail(
			lower, EINVAL,
			"the inputs are not the bits of a Project and a float matrix with a row for each bit");
	layout.dims[0] = operand[0].layout.dims[0];
	layout.dims[1] = operand[1].layout.dims[1];
	weft_layout_dense(&layout);
	if (operand[2].id != WEFT_NO_ID && (operand[2].layout.type != WEFT_TYPE_F32 || operand[2].layout.rank != 1 ||
					    operand[2].layout.dims[0] != layout.dims[1]))
		return weft_node_fail(lower, EINVAL, "the bias is not a float vector of %u", layout.dims[1]);
	r = weft_output(lower, 0, &layout, &operand[4]);
	return r ? r : weft_build(lower->graph, lower->node_name, WEFT_OP_BIT_MATMUL, &params, 4, 5, operand, NULL);
}
