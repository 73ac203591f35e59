// SPDX-License-Identifier: MIT
#include <stdlib.h>
#include <string.h>

#include "integer_reference.h"

static __int128 floor_divide(__int128 a, __int128 b)
{
	__int128 q = a / b;

	return q * b > a ? q - 1 : q;
}

int64_t reference_round(int64_t t, int64_t m, int64_t s)
{
	__int128 power = (__int128)1 << s, r = floor_divide((__int128)t * m + power / 2, power);

	if (r > INT32_MAX)
		return INT32_MAX;
	return r < INT32_MIN ? INT32_MIN : (int64_t)r;
}

int64_t reference_quantized(const struct tensor *tensor, int64_t at)
{
	const unsigned char *base = tensor->base;
	int64_t value;

	switch (tensor->t.type) {
	case WEFT_TYPE_I8:
		value = (signed char)base[at];
		break;
	case WEFT_TYPE_U8:
		value = base[at];
		break;
	case WEFT_TYPE_I4:
		value = at % 2 ? base[at / 2] / 16 : base[at / 2] % 16;
		value = value > 7 ? value - 16 : value;
		break;
	default: {
		int32_t wide;

		memcpy(&wide, base + at * 4, sizeof(wide));
		value = wide;
	}
	}
	return value - tensor->t.zero_point;
}

void reference_store(void *to, int64_t r, int64_t zero, int64_t low, int64_t high)
{
	int64_t q = r + zero;

	q = q < low ? low : q;
	q = q > high ? high : q;
	*(unsigned char *)to = (unsigned char)q;
}

/* Bias, multiplier, result of channel @c; the total is kept modulo 2^32. */
static void finish(const struct tensor operand[], uint32_t c, int64_t at, uint64_t total, int32_t low, int32_t high)
{
	const struct tensor *bias = &operand[2], *multiplier = &operand[3], *result = &operand[4];
	int32_t wrapped, row[2];

	if (bias->base) {
		memcpy(&wrapped, bias->base + (int64_t)c * bias->t.strides[0] * 4, 4);
		total += (uint64_t)(int64_t)wrapped;
	}
	wrapped = (int32_t)(uint32_t)total;
	if (!multiplier->base) {
		memcpy(result->base + at * 4, &wrapped, 4);
		return;
	}
	memcpy(row, multiplier->base + (multiplier->t.dims[0] > 1 ? (int64_t)c * multiplier->t.strides[0] * 4 : 0), 8);
	reference_store(result->base + at, reference_round(wrapped, row[0], row[1]), result->t.zero_point, low, high);
}

void reference_qmatmul(const union weft_params *params, struct tensor operand[])
{
	const struct weft_tensor *a = &operand[0].t, *b = &operand[1].t, *c = &operand[4].t;
	unsigned int rank = c->rank;
	uint32_t outer = rank > 3 ? c->dims[0] : 1, inner = rank > 2 ? c->dims[rank - 3] : 1;

	for (uint32_t p = 0; p < outer * inner; p++) {
		int64_t first[3] = {0, 0, 0};
		const struct weft_tensor *t[] = {a, b, c};

		for (unsigned int i = 0; i < 3; i++) {
			first[i] += rank > 2 ? (int64_t)(p % inner) * t[i]->strides[rank - 3] : 0;
			first[i] += rank > 3 ? (int64_t)(p / inner) * t[i]->strides[0] : 0;
		}
		for (uint32_t m = 0; m < c->dims[rank - 2]; m++)
			for (uint32_t n = 0; n < c->dims[rank - 1]; n++) {
				uint64_t total = 0;

				for (uint32_t k = 0; k < a->dims[rank - 1]; k++)
					total += (uint64_t)(reference_quantized(
								    &operand[0],
								    first[0] + (int64_t)m * a->strides[rank - 2] +
									    (int64_t)k * a->strides[rank - 1]) *
							    reference_quantized(
								    &operand[1],
								    first[1] + (int64_t)k * b->strides[rank - 2] +
									    (int64_t)n * b->strides[rank - 1]));
				finish(operand, n,
				       first[2] + (int64_t)m * c->strides[rank - 2] + (int64_t)n * c->strides[rank - 1],
				       total, params->qmatmul.low, params->qmatmul.high);
			}
	}
}

/* One element of the result. */
static uint64_t window(const union weft_params *params, const struct tensor operand[], uint32_t n, uint32_t oh,
		       uint32_t ow, uint32_t oc)
{
	const struct weft_tensor *x = &operand[0].t, *w = &operand[1].t;
	uint32_t group = oc / (w->dims[3] / params->qconv.groups);
	uint64_t total = 0;

	for (uint32_t kh = 0; kh < w->dims[0]; kh++)
		for (uint32_t kw = 0; kw < w->dims[1]; kw++) {
			int64_t h = (int64_t)oh * params->qconv.stride[0] + (int64_t)kh * params->qconv.dilation[0] -
				    params->qconv.pad[0];
			int64_t v = (int64_t)ow * params->qconv.stride[1] + (int64_t)kw * params->qconv.dilation[1] -
				    params->qconv.pad[1];

			if (h < 0 || h >= x->dims[1] || v < 0 || v >= x->dims[2])
				continue;
			for (uint32_t c = 0; c < w->dims[2]; c++)
				total += (uint64_t)(reference_quantized(&operand[0],
									(int64_t)n * x->strides[0] + h * x->strides[1] +
										v * x->strides[2] +
										(int64_t)group * w->dims[2] + c) *
						    reference_quantized(&operand[1],
									(int64_t)kh * w->strides[0] +
										(int64_t)kw * w->strides[1] +
										(int64_t)c * w->strides[2] + oc));
		}
	return total;
}

void reference_qconv(const union weft_params *params, struct tensor operand[])
{
	const struct weft_tensor *y = &operand[4].t;

	for (uint32_t n = 0; n < y->dims[0]; n++)
		for (uint32_t oh = 0; oh < y->dims[1]; oh++)
			for (uint32_t ow = 0; ow < y->dims[2]; ow++)
				for (uint32_t oc = 0; oc < y->dims[3]; oc++)
					finish(operand, oc,
					       (int64_t)n * y->strides[0] + (int64_t)oh * y->strides[1] +
						       (int64_t)ow * y->strides[2] + oc,
					       window(params, operand, n, oh, ow, oc), params->qconv.low,
					       params->qconv.high);
}

static void fill_bytes(uint64_t *state, struct tensor *tensor, enum fill fill)
{
	const bool narrow = tensor->t.type == WEFT_TYPE_I4, is_signed = tensor->t.type == WEFT_TYPE_I8;
	/* The least and the greatest of each type; nibbles in pairs. */
	const unsigned char least = narrow	? 0x88
				    : is_signed ? 0x80
						: 0,
			    greatest = narrow	   ? 0x77
				       : is_signed ? 0x7f
						   : 0xff;

	for (size_t i = 0; i < tensor->bytes; i++)
		tensor->storage[i] = fill == FILL_LEAST	     ? least
				     : fill == FILL_GREATEST ? greatest
							     : (unsigned char)random_next(state);
	if (narrow)
		tensor->t.zero_point = (int32_t)random_range(state, 0, 15) - 8;
	else
		tensor->t.zero_point = (int32_t)random_range(state, 0, 255) - (is_signed ? 128 : 0);
	/* The common cases of no zero point and of the middle. */
	if (random_next(state) % 2)
		tensor->t.zero_point = tensor->t.type == WEFT_TYPE_U8 ? 128 : 0;
}

struct tensor quantized_rows(uint64_t *state, enum weft_type type, unsigned int rank, const uint32_t dims[],
			     enum fill fill)
{
	uint32_t wide[WEFT_MAX_RANK];
	struct tensor t;

	for (unsigned int i = 0; i < rank; i++)
		wide[i] = dims[i] + (i ? random_range(state, 0, 3) : 0);
	/* Rows of nibbles begin on bytes. */
	if (type == WEFT_TYPE_I4)
		wide[rank - 1] += wide[rank - 1] % 2;
	if (random_next(state) % 2 && type != WEFT_TYPE_I4)
		memcpy(wide, dims, rank * sizeof(*dims));
	t = tensor_dense(type, rank, wide);
	for (unsigned int i = 0; i < rank; i++)
		t.t.dims[i] = dims[i];
	fill_bytes(state, &t, fill);
	return t;
}

struct tensor quantized_any(uint64_t *state, enum weft_type type, unsigned int rank, const uint32_t dims[],
			    enum fill fill)
{
	struct tensor t = tensor_random(state, type, rank, dims);

	fill_bytes(state, &t, fill);
	return t;
}

struct tensor random_totals(uint64_t *state, uint32_t channels)
{
	struct tensor t = tensor_dense(WEFT_TYPE_I32, 1, &channels);

	for (uint32_t i = 0; i < channels; i++) {
		int32_t value = (int32_t)random_next(state) >> random_range(state, 0, 20);

		memcpy(t.base + i * 4, &value, 4);
	}
	return t;
}

struct tensor random_multipliers(uint64_t *state, uint32_t channels, unsigned int bits, bool small)
{
	const uint32_t dims[2] = {channels, 2}, wide[2] = {channels, 2 + random_range(state, 0, 1) * 3};
	struct tensor t = tensor_dense(WEFT_TYPE_I32, 2, wide);

	memcpy(t.t.dims, dims, sizeof(dims));
	for (uint32_t i = 0; i < channels; i++) {
		int32_t shift = (int32_t)random_range(state, 32, 62 < 31 + bits ? 62 : 31 + bits);
		int32_t row[2] = {(int32_t)(random_next(state) >> 1), shift};

		if (small)
			row[1] = (int32_t)random_range(state, 1, 31), row[0] >>= random_range(state, 0, 31);
		if (random_next(state) % 16 == 0)
			row[0] = random_next(state) % 2 ? INT32_MAX : 0;
		memcpy(t.base + (size_t)i * (size_t)t.t.strides[0] * 4, row, sizeof(row));
	}
	return t;
}

void random_clamp(uint64_t *state, enum weft_type type, int32_t *low, int32_t *high)
{
	*low = type == WEFT_TYPE_I8 ? -128 : 0;
	*high = type == WEFT_TYPE_I8 ? 127 : type == WEFT_TYPE_U8 ? 255 : 0;
	if (type == WEFT_TYPE_I32 || random_next(state) % 2)
		return;
	*low += (int32_t)random_range(state, 0, 200);
	*high -= (int32_t)random_range(state, 0, (uint32_t)(*high - *low));
}
