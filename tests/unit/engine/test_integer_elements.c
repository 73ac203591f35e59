// SPDX-License-Identifier: MIT
/* Element-wise integer operations, pooling, softmax and layer normalisation against the text of <weft_isa.h>. */
#include <setjmp.h>
#include <stdarg.h>
#include <fenv.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "integer_reference.h"

static enum weft_type random_side(uint64_t *state)
{
	return random_next(state) & 1 ? WEFT_TYPE_I8 : WEFT_TYPE_U8;
}

/* Offset of element @e, row-major, in elements. */
static int64_t offset_of(const struct tensor *t, uint64_t e)
{
	return ((unsigned char *)tensor_at(t, e) - t->base) / type_bytes(t->t.type);
}

static int64_t value_of(const struct tensor *t, uint64_t e)
{
	return reference_quantized(t, offset_of(t, e));
}

static void check_free(enum weft_op op, const union weft_params *params, unsigned int operands, struct tensor t[],
		       struct tensor expected[], const char *what)
{
	op_check(op, params, operands, t, expected, what);
	for (unsigned int i = 0; i < operands; i++) {
		tensor_free(&t[i]);
		tensor_free(&expected[i]);
	}
}

static void copy_all(unsigned int operands, const struct tensor t[], struct tensor expected[])
{
	for (unsigned int i = 0; i < operands; i++)
		expected[i] = tensor_copy(&t[i]);
}

static void random_dims(uint64_t *state, unsigned int *rank, uint32_t dims[4])
{
	*rank = random_range(state, 1, 4);
	for (unsigned int i = 0; i < *rank; i++)
		dims[i] = random_range(state, 1, 13);
	if (random_next(state) % 8 == 0)
		dims[*rank - 1] = random_range(state, 100, 1500);
}

/* Scale and zero points: one for all, or along one dimension. */
static void random_axis(uint64_t *state, unsigned int rank, const uint32_t dims[], uint32_t to[])
{
	unsigned int axis = random_range(state, 0, rank);

	for (unsigned int i = 0; i < rank; i++)
		to[i] = i == axis ? dims[i] : 1;
}

/* Element @e of @whole as element of @part, which has extents of 1 where it repeats. */
static uint64_t repeated(const struct tensor *whole, const struct tensor *part, uint64_t e)
{
	uint64_t index = 0, scale = 1;

	for (unsigned int d = whole->t.rank; d-- > 0;) {
		uint64_t at = e % whole->t.dims[d];

		e /= whole->t.dims[d];
		if (part->t.dims[d] > 1)
			index += at * scale;
		scale *= part->t.dims[d];
	}
	return index;
}

static void quantize_one(const struct tensor t[4], uint64_t e, struct tensor *y)
{
	float x = *tensor_f32(&t[0], e), scale = *tensor_f32(&t[1], repeated(&t[0], &t[1], e)), quotient = x / scale;
	bool is_signed = y->t.type == WEFT_TYPE_I8;
	int64_t zero = y->t.zero_point, low = is_signed ? -128 : 0, high = is_signed ? 127 : 255, r;

	if (t[2].base)
		zero = value_of(&t[2], repeated(&t[0], &t[2], e));
	/* The default rounding mode is to nearest even. */
	r = quotient != quotient ? 0 : quotient > 1e6f ? 1000000 : quotient < -1e6f ? -1000000 : llrintf(quotient);
	reference_store(tensor_at(y, e), r, zero, low, high);
}

static void test_quantize(void **unused)
{
	static const float special[] = {NAN, INFINITY, -INFINITY, 0.0f, -0.0f, 1e30f, -1e30f, 0x1p-140f};
	uint64_t state = 1;

	(void)unused;
	for (unsigned int i = 0; i < 150; i++) {
		enum weft_type type = random_side(&state);
		struct tensor t[4], expected[4];
		uint32_t dims[4], axis[4];
		unsigned int rank;

		random_dims(&state, &rank, dims);
		random_axis(&state, rank, dims, axis);
		t[0] = tensor_random(&state, WEFT_TYPE_F32, rank, dims);
		t[1] = tensor_random(&state, WEFT_TYPE_F32, rank, axis);
		t[2] = i % 2 ? tensor_absent() : quantized_any(&state, type, rank, axis, FILL_RANDOM);
		t[3] = quantized_any(&state, type, rank, dims, FILL_RANDOM);
		t[2].t.zero_point = 0;
		if (t[2].base)
			t[3].t.zero_point = 0;
		for (uint64_t e = 0; e < tensor_elements(&t[1]); e++)
			*tensor_f32(&t[1], e) = 0.25f * (0.01f + fabsf(random_float(&state)));
		for (uint64_t e = 0; e < tensor_elements(&t[0]); e++) {
			uint32_t pick = random_next(&state) % 40;

			*tensor_f32(&t[0], e) *= 20;
			if (pick < 8)
				*tensor_f32(&t[0], e) = special[pick];
			else if (pick < 16) /* ties */
				*tensor_f32(&t[0], e) = *tensor_f32(&t[1], repeated(&t[0], &t[1], e)) *
							((float)random_range(&state, 0, 80) - 40.5f);
		}
		copy_all(4, t, expected);
		for (uint64_t e = 0; e < tensor_elements(&t[0]); e++)
			quantize_one(expected, e, &expected[3]);
		check_free(WEFT_OP_QUANTIZE, NULL, 4, t, expected, "quantize");
	}
}

static void test_dequantize(void **unused)
{
	uint64_t state = 2;

	(void)unused;
	for (unsigned int i = 0; i < 150; i++) {
		enum weft_type type = i % 3 == 0 ? WEFT_TYPE_I32 : random_side(&state);
		struct tensor t[4], expected[4];
		uint32_t dims[4], axis[4];
		unsigned int rank;

		random_dims(&state, &rank, dims);
		random_axis(&state, rank, dims, axis);
		t[0] = quantized_any(&state, type, rank, dims, FILL_RANDOM);
		t[1] = tensor_random(&state, WEFT_TYPE_F32, rank, axis);
		t[2] = i % 2 ? tensor_absent() : quantized_any(&state, type, rank, axis, FILL_RANDOM);
		t[3] = tensor_random(&state, WEFT_TYPE_F32, rank, dims);
		t[2].t.zero_point = 0;
		if (t[2].base || type == WEFT_TYPE_I32)
			t[0].t.zero_point = 0;
		copy_all(4, t, expected);
		for (uint64_t e = 0; e < tensor_elements(&t[0]); e++) {
			int64_t x = value_of(&t[0], e);

			if (t[2].base)
				x -= value_of(&t[2], repeated(&t[0], &t[2], e));
			*tensor_f32(&expected[3], e) = (float)x * *tensor_f32(&t[1], repeated(&t[0], &t[1], e));
		}
		check_free(WEFT_OP_DEQUANTIZE, NULL, 4, t, expected, "dequantize");
	}
}

static void test_requantize(void **unused)
{
	uint64_t state = 3;

	(void)unused;
	for (unsigned int i = 0; i < 120; i++) {
		enum weft_type type = i % 3 == 0 ? WEFT_TYPE_I32 : random_side(&state);
		struct tensor t[3], expected[3];
		union weft_params params = {0};
		unsigned int rank;
		uint32_t dims[4];

		random_dims(&state, &rank, dims);
		t[0] = quantized_any(&state, type, rank, dims, FILL_RANDOM);
		if (type == WEFT_TYPE_I32)
			t[0].t.zero_point = 0;
		t[1] = random_multipliers(&state, i % 2 ? dims[rank - 1] : 1, type == WEFT_TYPE_I32 ? 26 : 4,
					  i % 4 == 0);
		t[2] = quantized_any(&state, random_side(&state), rank, dims, FILL_RANDOM);
		random_clamp(&state, (enum weft_type)t[2].t.type, &params.qmatmul.low, &params.qmatmul.high);
		copy_all(3, t, expected);
		for (uint64_t e = 0; e < tensor_elements(&t[0]); e++) {
			int64_t row = t[1].t.dims[0] > 1 ? (int64_t)(e % dims[rank - 1]) * t[1].t.strides[0] * 4 : 0;
			int32_t m[2];

			memcpy(m, t[1].base + row, sizeof(m));
			reference_store(tensor_at(&expected[2], e), reference_round(value_of(&t[0], e), m[0], m[1]),
					t[2].t.zero_point, params.qmatmul.low, params.qmatmul.high);
		}
		check_free(WEFT_OP_REQUANTIZE, &params, 3, t, expected, "requantize");
	}
}

static int64_t floor_shift(int64_t x, unsigned int s)
{
	int64_t power = (int64_t)1 << s, q = x / power;

	return q * power > x ? q - 1 : q;
}

static void test_add_multiply(void **unused)
{
	uint64_t state = 4;

	(void)unused;
	for (unsigned int i = 0; i < 160; i++) {
		bool add = i % 2;
		struct tensor t[3], expected[3], shown[2];
		union weft_params params = {0};
		uint32_t dims[4], axis[4];
		unsigned int rank;

		random_dims(&state, &rank, dims);
		memcpy(axis, dims, sizeof(axis));
		if (i % 5 == 0)
			random_axis(&state, rank, dims, axis);
		t[0] = quantized_any(&state, random_side(&state), rank, dims, (enum fill)(i % FILLS));
		shown[1] = quantized_any(&state, random_side(&state), rank, axis, (enum fill)(i / 2 % FILLS));
		t[1] = tensor_broadcast(&shown[1], dims);
		t[2] = quantized_any(&state, random_side(&state), rank, dims, FILL_RANDOM);
		if (add) {
			params.qadd.shift = random_range(&state, 1, 30);
			for (unsigned int f = 0; f < 2; f++)
				params.qadd.factor[f] = i % 8 == 1
								? (random_next(&state) & 1 ? 1 << 21 : -(1 << 21))
								: (int32_t)random_range(&state, 0, 1 << 22) - (1 << 21);
		} else {
			params.qmul.multiplier = random_next(&state) >> 1;
			params.qmul.shift = random_range(&state, 30, 50);
		}
		random_clamp(&state, (enum weft_type)t[2].t.type, &params.qadd.low, &params.qadd.high);
		copy_all(3, t, expected);
		for (uint64_t e = 0; e < tensor_elements(&t[0]); e++) {
			int64_t a = value_of(&t[0], e), b = value_of(&t[1], e), r;

			if (add)
				r = floor_shift(a * params.qadd.factor[0] + b * params.qadd.factor[1] +
							((int64_t)1 << (params.qadd.shift - 1)),
						params.qadd.shift);
			else
				r = reference_round(a * b, params.qmul.multiplier, params.qmul.shift);
			reference_store(tensor_at(&expected[2], e), r, t[2].t.zero_point, params.qadd.low,
					params.qadd.high);
		}
		check_free(add ? WEFT_OP_QADD : WEFT_OP_QMUL, &params, 3, t, expected, add ? "add" : "multiply");
	}
}

static void test_lookup(void **unused)
{
	uint64_t state = 5;

	(void)unused;
	for (unsigned int i = 0; i < 40; i++) {
		const uint32_t entries = 256;
		enum weft_type type = random_side(&state);
		struct tensor t[3], expected[3];
		unsigned int rank;
		uint32_t dims[4];

		random_dims(&state, &rank, dims);
		t[0] = quantized_any(&state, random_side(&state), rank, dims, FILL_RANDOM);
		t[1] = quantized_rows(&state, type, 1, &entries, FILL_RANDOM);
		t[1].t.zero_point = 0;
		t[2] = quantized_any(&state, type, rank, dims, FILL_RANDOM);
		copy_all(3, t, expected);
		for (uint64_t e = 0; e < tensor_elements(&t[0]); e++) {
			int64_t x = value_of(&t[0], e) + t[0].t.zero_point + (t[0].t.type == WEFT_TYPE_I8 ? 128 : 0);

			*(unsigned char *)tensor_at(&expected[2], e) = t[1].base[x];
		}
		check_free(WEFT_OP_QLOOKUP, NULL, 3, t, expected, "lookup");
	}
}

/* The window of one output element: taps, padding that counts, sum and greatest of what is inside. */
struct window {
	int64_t taps, padded, sum, greatest;
};

static struct window window_of(const union weft_params *p, const struct tensor *x, uint32_t n, uint32_t oh, uint32_t ow,
			       uint32_t c)
{
	struct window w = {.greatest = -1000};

	for (uint32_t i = 0; i < p->qpool.kernel[0]; i++)
		for (uint32_t j = 0; j < p->qpool.kernel[1]; j++) {
			int64_t h =
				(int64_t)oh * p->qpool.stride[0] + (int64_t)i * p->qpool.dilation[0] - p->qpool.pad[0];
			int64_t v =
				(int64_t)ow * p->qpool.stride[1] + (int64_t)j * p->qpool.dilation[1] - p->qpool.pad[1];
			int64_t value;

			if (h < (int64_t)x->t.dims[1] + p->qpool.pad_end[0] &&
			    v < (int64_t)x->t.dims[2] + p->qpool.pad_end[1])
				w.padded++;
			if (h < 0 || v < 0 || h >= x->t.dims[1] || v >= x->t.dims[2])
				continue;
			value = reference_quantized(x, (int64_t)n * x->t.strides[0] + h * x->t.strides[1] +
							       v * x->t.strides[2] + c);
			w.taps++;
			w.sum += value;
			w.greatest = value > w.greatest ? value : w.greatest;
		}
	return w;
}

static void pool_once(uint64_t *state, bool average)
{
	const uint32_t x[4] = {random_range(state, 1, 2), random_range(state, 1, 9), random_range(state, 1, 9),
			       random_next(state) % 8 ? random_range(state, 1, 40) : 1100};
	const uint32_t y[4] = {x[0], random_range(state, 1, 5), random_range(state, 1, 5), x[3]};
	enum weft_op op = average ? WEFT_OP_QAVGPOOL : WEFT_OP_QMAXPOOL;
	enum weft_type type = random_side(state);
	union weft_params p = {0};
	struct tensor t[2], expected[2];
	uint64_t e = 0;

	for (unsigned int i = 0; i < 2; i++) {
		p.qpool.kernel[i] = random_range(state, 1, 4);
		p.qpool.stride[i] = random_range(state, 1, 3);
		p.qpool.dilation[i] = random_range(state, 1, 2);
		p.qpool.pad[i] = random_range(state, 0, 3);
		p.qpool.pad_end[i] = random_range(state, 0, 3);
	}
	t[0] = quantized_rows(state, type, 4, x, (enum fill)(random_next(state) % FILLS));
	t[1] = quantized_rows(state, average ? random_side(state) : type, 4, y, FILL_RANDOM);
	if (average) {
		p.qpool.count_pad = random_next(state) & 1;
		p.qpool.multiplier = random_next(state) >> 1;
		p.qpool.shift = random_range(state, 28, 33);
	} else {
		t[1].t.zero_point = t[0].t.zero_point;
	}
	random_clamp(state, (enum weft_type)t[1].t.type, &p.qpool.low, &p.qpool.high);
	copy_all(2, t, expected);
	for (uint32_t n = 0; n < y[0]; n++)
		for (uint32_t h = 0; h < y[1]; h++)
			for (uint32_t w = 0; w < y[2]; w++)
				for (uint32_t c = 0; c < y[3]; c++, e++) {
					struct window v = window_of(&p, &t[0], n, h, w, c);
					int64_t count = p.qpool.count_pad ? v.padded : v.taps, r = v.greatest;

					if (average)
						r = count ? reference_round(v.sum,
									    (p.qpool.multiplier + count / 2) / count,
									    p.qpool.shift)
							  : 0;
					else if (!v.taps)
						r = -1000;
					reference_store(tensor_at(&expected[1], e), r, t[1].t.zero_point, p.qpool.low,
							p.qpool.high);
				}
	check_free(op, &p, 2, t, expected, average ? "average" : "greatest");
}

static void test_pool(void **unused)
{
	uint64_t state = 6;

	(void)unused;
	for (unsigned int i = 0; i < 200; i++)
		pool_once(&state, i % 2);
}

static void test_softmax(void **unused)
{
	const uint32_t entries = 256;
	uint64_t state = 7;

	(void)unused;
	for (unsigned int i = 0; i < 60; i++) {
		const uint32_t dims[3] = {random_range(&state, 1, 3), random_range(&state, 1, 12),
					  i % 4 ? random_range(&state, 1, 30) : 1000};
		union weft_params params = {.qsoftmax = {.bits = random_range(&state, 1, 16)}};
		double scale = 0.001 * random_range(&state, 1, 300);
		struct tensor t[3], expected[3];

		t[0] = quantized_rows(&state, random_side(&state), 3, dims, FILL_RANDOM);
		t[1] = tensor_dense(WEFT_TYPE_I32, 1, &entries);
		t[2] = quantized_rows(&state, random_side(&state), 3, dims, FILL_RANDOM);
		for (unsigned int e = 0; e < 256; e++)
			((int32_t *)t[1].base)[e] = (int32_t)lrint(exp(-scale * e) * 0x1p23);
		copy_all(3, t, expected);
		for (uint64_t row = 0; row < (uint64_t)dims[0] * dims[1]; row++) {
			int64_t greatest = INT64_MIN, sum = 0;

			for (uint32_t c = 0; c < dims[2]; c++) {
				int64_t x = value_of(&t[0], row * dims[2] + c);

				greatest = x > greatest ? x : greatest;
			}
			for (uint32_t c = 0; c < dims[2]; c++)
				sum += ((int32_t *)t[1].base)[greatest - value_of(&t[0], row * dims[2] + c)];
			for (uint32_t c = 0; c < dims[2]; c++) {
				int64_t e = ((int32_t *)t[1].base)[greatest - value_of(&t[0], row * dims[2] + c)];

				reference_store(tensor_at(&expected[2], row * dims[2] + c),
						(e * ((int64_t)1 << params.qsoftmax.bits) + sum / 2) / sum,
						t[2].t.zero_point, INT64_MIN, t[2].t.type == WEFT_TYPE_I8 ? 127 : 255);
			}
		}
		check_free(WEFT_OP_QSOFTMAX, &params, 3, t, expected, "softmax");
	}
}

static void test_softmax_faults(void **unused)
{
	static const struct {
		unsigned int entry;
		int32_t value;
	} bad[] = {{0, 0}, {7, -1}, {255, (1 << 24) + 1}};
	const uint32_t entries = 256, dims[1] = {4};
	const union weft_params params = {.qsoftmax = {.bits = 8}};
	uint64_t state = 8;

	(void)unused;
	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct tensor t[3] = {quantized_rows(&state, WEFT_TYPE_I8, 1, dims, FILL_RANDOM),
				      tensor_dense(WEFT_TYPE_I32, 1, &entries),
				      quantized_rows(&state, WEFT_TYPE_I8, 1, dims, FILL_RANDOM)};

		((int32_t *)t[1].base)[0] = 1;
		((int32_t *)t[1].base)[bad[i].entry] = bad[i].value;
		for (unsigned int u = 0; u < op_unit_count; u++) {
			struct weft_fault_record fault;

			assert_int_equal(op_run(op_units[u], WEFT_OP_QSOFTMAX, &params, 3, t, &fault),
					 WEFT_FAULT_VALUE);
			assert_int_equal(fault.operand, 1);
			assert_int_equal((int64_t)fault.address, bad[i].value);
		}
		for (unsigned int o = 0; o < 3; o++)
			tensor_free(&t[o]);
	}
}

static int64_t floor_divide(int64_t a, int64_t b)
{
	int64_t q = a / b;

	return q * b > a ? q - 1 : q;
}

static void layernorm_row(const union weft_params *params, const struct tensor t[5], uint64_t first, uint32_t n,
			  struct tensor *y)
{
	int64_t sum = 0, squares = 0, r;
	uint64_t v;

	for (uint32_t c = 0; c < n; c++) {
		int64_t x = value_of(&t[0], first + c);

		sum += x;
		squares += x * x;
	}
	v = (uint64_t)(n * squares - sum * sum + (int64_t)params->qlayernorm.epsilon) << 16;
	r = (int64_t)sqrtl((long double)v);
	while ((uint64_t)r * (uint64_t)r > v)
		r--;
	while ((uint64_t)(r + 1) * (uint64_t)(r + 1) <= v)
		r++;
	for (uint32_t c = 0; c < n; c++) {
		int64_t d = n * value_of(&t[0], first + c) - sum, normal = floor_divide(d * (1 << 20) + r / 2, r);
		int64_t total = normal * value_of(&t[1], c);
		int32_t bias = 0, m[2];

		if (t[2].base)
			memcpy(&bias, t[2].base + (size_t)c * 4, 4);
		memcpy(m, t[3].base + (t[3].t.dims[0] > 1 ? (int64_t)c * t[3].t.strides[0] * 4 : 0), sizeof(m));
		reference_store(tensor_at(y, first + c),
				reference_round((int32_t)(uint32_t)(uint64_t)(total + bias), m[0], m[1]),
				y->t.zero_point, params->qlayernorm.low, params->qlayernorm.high);
	}
}

static void test_layernorm(void **unused)
{
	uint64_t state = 9;

	(void)unused;
	for (unsigned int i = 0; i < 60; i++) {
		const uint32_t dims[3] = {random_range(&state, 1, 3), random_range(&state, 1, 12),
					  i % 6 ? random_range(&state, 1, 300) : WEFT_QLAYERNORM_MAX};
		union weft_params params = {
			.qlayernorm = {.epsilon = i % 3 ? 1 + random_next(&state) : (uint64_t)1 << 46}};
		struct tensor t[5], expected[5];

		if (i % 7 == 0)
			params.qlayernorm.epsilon = 1;
		t[0] = quantized_rows(&state, random_side(&state), 3, dims, (enum fill)(i % FILLS));
		t[1] = quantized_rows(&state, WEFT_TYPE_I8, 1, &dims[2], FILL_RANDOM);
		t[1].t.zero_point = 0;
		t[2] = i % 2 ? random_totals(&state, dims[2]) : tensor_absent();
		t[3] = random_multipliers(&state, i % 4 ? dims[2] : 1, 14, false);
		t[4] = quantized_rows(&state, random_side(&state), 3, dims, FILL_RANDOM);
		random_clamp(&state, (enum weft_type)t[4].t.type, &params.qlayernorm.low, &params.qlayernorm.high);
		copy_all(5, t, expected);
		for (uint64_t row = 0; row < (uint64_t)dims[0] * dims[1]; row++)
			layernorm_row(&params, t, row * dims[2], dims[2], &expected[4]);
		check_free(WEFT_OP_QLAYERNORM, &params, 5, t, expected, "layer norm");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_quantize),   cmocka_unit_test(test_dequantize),
		cmocka_unit_test(test_requantize), cmocka_unit_test(test_add_multiply),
		cmocka_unit_test(test_lookup),	   cmocka_unit_test(test_pool),
		cmocka_unit_test(test_softmax),	   cmocka_unit_test(test_softmax_faults),
		cmocka_unit_test(test_layernorm),
	};

	return cmocka_run_group_tests(tests, op_units_make, op_units_free);
}
