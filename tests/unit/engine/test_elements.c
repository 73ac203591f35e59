// SPDX-License-Identifier: MIT
/*
 * BINARY, WHERE, CAST, COPY and FILL element by element, for random shapes,
 * layouts and broadcasts, on every code path.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "op.h"
#include "real.h"

static void random_dims(uint64_t *seed, unsigned int *rank, uint32_t dims[])
{
	*rank = random_next(seed) % (WEFT_MAX_RANK + 1);
	for (unsigned int d = 0; d < *rank; d++)
		dims[d] = random_range(seed, 1, *rank > 5 ? 3 : *rank > 3 ? 7 : *rank > 1 ? 40 : 30000);
}

/* A tensor shown with @dims, some of which it repeats. */
static struct tensor random_broadcast(uint64_t *seed, enum weft_type type, unsigned int rank, const uint32_t dims[])
{
	uint32_t own[WEFT_MAX_RANK];
	struct tensor t;

	for (unsigned int d = 0; d < rank; d++)
		own[d] = random_next(seed) % 3 ? dims[d] : 1;
	t = tensor_random(seed, type, rank, own);
	return tensor_broadcast(&t, dims);
}

static float floor_mod(float a, float b)
{
	float r = fmodf(a, b);

	return r != 0 && signbit(r) != signbit(b) ? r + b : r;
}

static float binary_f32(enum weft_binary function, float a, float b)
{
	switch (function) {
	case WEFT_BINARY_ADD:
		return a + b;
	case WEFT_BINARY_SUB:
		return a - b;
	case WEFT_BINARY_MUL:
		return a * b;
	case WEFT_BINARY_DIV:
		return a / b;
	case WEFT_BINARY_POW:
		return (float)pow(a, b);
	case WEFT_BINARY_MAX:
		return isnan(a) || isnan(b) ? NAN : a > b ? a : b;
	case WEFT_BINARY_MIN:
		return isnan(a) || isnan(b) ? NAN : a < b ? a : b;
	case WEFT_BINARY_MOD:
		return floor_mod(a, b);
	case WEFT_BINARY_FMOD:
		return fmodf(a, b);
	default:
		return a < 0 ? a * b : a;
	}
}

static bool compare(enum weft_binary function, double a, double b)
{
	switch (function) {
	case WEFT_BINARY_EQUAL:
		return a == b;
	case WEFT_BINARY_LESS:
		return a < b;
	case WEFT_BINARY_LESS_EQUAL:
		return a <= b;
	case WEFT_BINARY_GREATER:
		return a > b;
	default:
		return a >= b;
	}
}

/* Small operands: the exact result fits; the edges are in test_integer_edges. */
static int64_t binary_integer(enum weft_binary function, int64_t a, int64_t b)
{
	int64_t r;

	switch (function) {
	case WEFT_BINARY_ADD:
		return a + b;
	case WEFT_BINARY_SUB:
		return a - b;
	case WEFT_BINARY_MUL:
		return a * b;
	case WEFT_BINARY_DIV:
		return b ? a / b : 0;
	case WEFT_BINARY_POW:
		r = 1;
		for (int64_t i = 0; i < b; i++)
			r = (int64_t)((uint64_t)r * (uint64_t)a);
		return b < 0 ? (a == 1 || a == -1 ? (b % 2 ? a : 1) : 0) : r;
	case WEFT_BINARY_MAX:
		return a > b ? a : b;
	case WEFT_BINARY_MIN:
		return a < b ? a : b;
	case WEFT_BINARY_MOD:
		return b ? ((a % b) + b) % b : 0;
	case WEFT_BINARY_FMOD:
		return b ? a % b : 0;
	case WEFT_BINARY_PRELU:
		return a < 0 ? a * b : a;
	case WEFT_BINARY_SHIFT_LEFT:
		return b < 0 || b > 63 ? 0 : (int64_t)((uint64_t)a << b);
	default:
		return b < 0 || b > 63 ? (a < 0 ? -1 : 0) : a >> b;
	}
}

static float activated(float v, unsigned int activation)
{
	if (activation == WEFT_ACT_RELU)
		return v < 0 ? 0 : v;
	if (activation == WEFT_ACT_CLIP)
		return v < -0.25f ? -0.25f : v > 0.5f ? 0.5f : v;
	return v;
}

static void binary_case(enum weft_binary function, enum weft_type type, uint64_t seed)
{
	bool comparison = function >= WEFT_BINARY_EQUAL && function <= WEFT_BINARY_GREATER_EQUAL;
	unsigned int rank, place = random_next(&seed) % 4;
	uint32_t dims[WEFT_MAX_RANK];
	struct tensor t[3], expected[3];
	union weft_params params;

	memset(&params, 0, sizeof(params));
	params.binary.function = function;
	params.binary.activation = type == WEFT_TYPE_F32 && !comparison ? random_next(&seed) % 3 : 0;
	params.binary.alpha = -0.25f;
	params.binary.beta = 0.5f;
	random_dims(&seed, &rank, dims);
	t[2] = tensor_random(&seed, comparison ? WEFT_TYPE_BOOL : type, rank, dims);
	t[0] = random_broadcast(&seed, type, rank, dims);
	t[1] = random_broadcast(&seed, type, rank, dims);
	if (!comparison && place < 2) {
		tensor_free(&t[place]);
		t[place] = t[2];
	}
	memcpy(expected, t, sizeof(t));
	expected[2] = tensor_copy(&t[2]);
	if (!comparison && place < 2)
		expected[place] = expected[2];
	for (uint64_t e = 0; e < tensor_elements(&t[2]); e++) {
		if (type == WEFT_TYPE_F32) {
			float a = *tensor_f32(&t[0], e), b = *tensor_f32(&t[1], e);

			if (comparison)
				set_integer(&expected[2], e, compare(function, a, b));
			else
				*tensor_f32(&expected[2], e) =
					activated(binary_f32(function, a, b), params.binary.activation);
		} else if (type == WEFT_TYPE_BOOL) {
			bool a = integer_at(&t[0], e), b = integer_at(&t[1], e);

			set_integer(&expected[2], e,
				    function == WEFT_BINARY_AND	  ? a && b
				    : function == WEFT_BINARY_OR  ? a || b
				    : function == WEFT_BINARY_XOR ? a != b
								  : a == b);
		} else {
			int64_t a = integer_at(&t[0], e), b = integer_at(&t[1], e);
			int64_t r =
				comparison ? compare(function, (double)a, (double)b) : binary_integer(function, a, b);

			if (type == WEFT_TYPE_I32 && function == WEFT_BINARY_SHIFT_LEFT && (b < 0 || b > 31))
				r = 0;
			if (type == WEFT_TYPE_I32 && function == WEFT_BINARY_SHIFT_RIGHT && (b < 0 || b > 31))
				r = a < 0 ? -1 : 0;
			set_integer(&expected[2], e, r);
		}
	}
	op_check(WEFT_OP_BINARY, &params, 3, t, expected, "binary");
	tensor_free(&expected[2]);
	if (t[0].storage != t[2].storage)
		tensor_free(&t[0]);
	if (t[1].storage != t[2].storage)
		tensor_free(&t[1]);
	tensor_free(&t[2]);
}

static void test_binary(void **state)
{
	(void)state;
	for (unsigned int function = 0; function < WEFT_BINARY_FUNCTIONS; function++)
		for (uint64_t trial = 0; trial < 8; trial++) {
			uint64_t seed = function * 100 + trial;

			if (function < WEFT_BINARY_AND)
				binary_case(function, WEFT_TYPE_F32, seed);
			if (function < WEFT_BINARY_AND || function > WEFT_BINARY_XOR) {
				binary_case(function, WEFT_TYPE_I32, seed);
				binary_case(function, WEFT_TYPE_I64, seed);
			} else {
				binary_case(function, WEFT_TYPE_BOOL, seed);
			}
		}
	binary_case(WEFT_BINARY_EQUAL, WEFT_TYPE_BOOL, 1);
}

static void test_integer_edges(void **state)
{
	static const struct {
		enum weft_binary function;
		int64_t a, b, r32, r64;
	} cases[] = {
		{WEFT_BINARY_DIV, INT32_MIN, -1, INT32_MIN, -(int64_t)INT32_MIN},
		{WEFT_BINARY_DIV, 5, 0, 0, 0},
		{WEFT_BINARY_MOD, INT32_MIN, -1, 0, 0},
		{WEFT_BINARY_MOD, 5, 0, 0, 0},
		{WEFT_BINARY_FMOD, INT32_MIN, -1, 0, 0},
		{WEFT_BINARY_ADD, INT32_MAX, 1, INT32_MIN, (int64_t)INT32_MAX + 1},
		{WEFT_BINARY_MUL, INT32_MIN, -1, INT32_MIN, -(int64_t)INT32_MIN},
		{WEFT_BINARY_POW, 0, -1, 0, 0},
		{WEFT_BINARY_POW, -1, -3, -1, -1},
		{WEFT_BINARY_POW, 2, 40, 0, (int64_t)1 << 40},
		{WEFT_BINARY_SHIFT_LEFT, -1, 31, INT32_MIN, -((int64_t)1 << 31)},
		{WEFT_BINARY_SHIFT_LEFT, 1, 64, 0, 0},
		{WEFT_BINARY_SHIFT_LEFT, 1, -1, 0, 0},
		{WEFT_BINARY_SHIFT_RIGHT, -8, 100, -1, -1},
	};
	struct tensor t[2][3];
	union weft_params params;

	(void)state;
	memset(&params, 0, sizeof(params));
	for (int wide = 0; wide < 2; wide++)
		for (int i = 0; i < 3; i++)
			t[wide][i] = tensor_dense(wide ? WEFT_TYPE_I64 : WEFT_TYPE_I32, 0, NULL);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		for (int wide = 0; wide < 2; wide++) {
			params.binary.function = cases[i].function;
			set_integer(&t[wide][0], 0, cases[i].a);
			set_integer(&t[wide][1], 0, cases[i].b);
			assert_int_equal(op_run(op_units[0], WEFT_OP_BINARY, &params, 3, t[wide], NULL), 0);
			assert_true(integer_at(&t[wide][2], 0) == (wide ? cases[i].r64 : cases[i].r32));
		}
	set_integer(&t[1][0], 0, INT64_MIN);
	set_integer(&t[1][1], 0, -1);
	params.binary.function = WEFT_BINARY_DIV;
	assert_int_equal(op_run(op_units[0], WEFT_OP_BINARY, &params, 3, t[1], NULL), 0);
	assert_true(integer_at(&t[1][2], 0) == INT64_MIN);
	for (int wide = 0; wide < 2; wide++)
		for (int i = 0; i < 3; i++)
			tensor_free(&t[wide][i]);
}

/* The special cases of pow, compared with the C library's. */
static void test_pow(void **state)
{
	static const float values[] = {0.0f,   -0.0f,  1.0f,	  -1.0f,       2.0f,	   -2.0f,     3.0f,	  -3.0f,
				       0.5f,   -0.5f,  2.5f,	  -2.5f,       INFINITY,   -INFINITY, NAN,	  1e30f,
				       -1e30f, 1e-30f, 0x1p-149f, 0.99999994f, 1.0000001f, 1e9f,      16777217.0f};
	enum { N = sizeof(values) / sizeof(values[0]) };
	uint32_t dims[1] = {N * N};
	struct tensor t[3];
	union weft_params params;

	(void)state;
	for (int i = 0; i < 3; i++)
		t[i] = tensor_dense(WEFT_TYPE_F32, 1, dims);
	for (unsigned int i = 0; i < N * N; i++) {
		*tensor_f32(&t[0], i) = values[i / N];
		*tensor_f32(&t[1], i) = values[i % N];
	}
	memset(&params, 0, sizeof(params));
	params.binary.function = WEFT_BINARY_POW;
	for (unsigned int u = 0; u < op_unit_count; u++) {
		assert_int_equal(op_run(op_units[u], WEFT_OP_BINARY, &params, 3, t, NULL), 0);
		for (unsigned int i = 0; i < N * N; i++) {
			float expected = (float)pow(*tensor_f32(&t[0], i), *tensor_f32(&t[1], i)),
			      got = *tensor_f32(&t[2], i);

			if (!(isnan(expected) && isnan(got)) &&
			    (int32_t)(float_bits(expected) - float_bits(got) + 1) >> 1 != 0)
				fail_msg("pow(%a, %a) = %a, expected %a", (double)*tensor_f32(&t[0], i),
					 (double)*tensor_f32(&t[1], i), (double)got, (double)expected);
		}
	}
	for (int i = 0; i < 3; i++)
		tensor_free(&t[i]);
}

static void test_where_copy_fill(void **state)
{
	(void)state;
	for (uint64_t trial = 0; trial < 90; trial++) {
		enum weft_type type = whole_types[trial % WHOLE_TYPES];
		unsigned int rank, bytes = type_bytes(type);
		uint64_t seed = trial + 1000;
		uint32_t dims[WEFT_MAX_RANK];
		struct tensor t[4], expected;
		union weft_params params;

		random_dims(&seed, &rank, dims);
		t[0] = random_broadcast(&seed, WEFT_TYPE_BOOL, rank, dims);
		t[1] = random_broadcast(&seed, type, rank, dims);
		t[2] = random_broadcast(&seed, type, rank, dims);
		t[3] = tensor_random(&seed, type, rank, dims);
		expected = tensor_copy(&t[3]);
		for (uint64_t e = 0; e < tensor_elements(&expected); e++)
			memcpy(tensor_at(&expected, e), tensor_at(&t[*(uint8_t *)tensor_at(&t[0], e) ? 1 : 2], e),
			       bytes);
		op_check(WEFT_OP_WHERE, NULL, 4, t, (struct tensor[]){t[0], t[1], t[2], expected}, "where");
		for (uint64_t e = 0; e < tensor_elements(&expected); e++)
			memcpy(tensor_at(&expected, e), tensor_at(&t[1], e), bytes);
		op_check(WEFT_OP_COPY, NULL, 2, (struct tensor[]){t[1], t[3]}, (struct tensor[]){t[1], expected},
			 "copy");
		memset(&params, 0, sizeof(params));
		params.fill.bits = 0x4142434445464748;
		for (uint64_t e = 0; e < tensor_elements(&expected); e++)
			memcpy(tensor_at(&expected, e), &params.fill.bits, bytes);
		op_check(WEFT_OP_FILL, &params, 1, &t[3], &expected, "fill");
		tensor_free(&expected);
		for (int i = 0; i < 4; i++)
			tensor_free(&t[i]);
	}
}

/* The blocked transpose, with sides that are not multiples of its tiles. */
static void test_transpose(void **state)
{
	static const uint32_t shapes[][4] = {
		{2, 3, 32, 32}, {3, 64, 14, 14}, {1, 5, 7, 9}, {1, 100, 67, 1}, {2, 33, 35, 2}};

	(void)state;
	for (size_t k = 0; k < 5 * WHOLE_TYPES; k++) {
		const uint32_t *dims = shapes[k / WHOLE_TYPES];
		enum weft_type type = whole_types[k % WHOLE_TYPES];
		uint64_t seed = k;
		struct tensor planes = tensor_ordered(&seed, type, 4, dims, (unsigned int[]){3, 2, 1, 0});
		struct tensor pixels = tensor_ordered(&seed, type, 4, dims, (unsigned int[]){1, 3, 2, 0});
		struct tensor to_pixels = tensor_copy(&pixels), to_planes = tensor_copy(&planes);

		for (uint64_t e = 0; e < tensor_elements(&planes); e++) {
			memcpy(tensor_at(&to_pixels, e), tensor_at(&planes, e), type_bytes(type));
			memcpy(tensor_at(&to_planes, e), tensor_at(&pixels, e), type_bytes(type));
		}
		op_check(WEFT_OP_COPY, NULL, 2, (struct tensor[]){planes, pixels}, (struct tensor[]){planes, to_pixels},
			 "to NHWC");
		op_check(WEFT_OP_COPY, NULL, 2, (struct tensor[]){pixels, planes}, (struct tensor[]){pixels, to_planes},
			 "to NCHW");
		tensor_free(&planes);
		tensor_free(&pixels);
		tensor_free(&to_pixels);
		tensor_free(&to_planes);
	}
}

static unsigned int packed_get(const unsigned char *at, size_t index, unsigned int bits)
{
	return at[index * bits / 8] >> (index * bits % 8) & ((1u << bits) - 1);
}

static void test_packed(void **state)
{
	static const struct {
		enum weft_type type;
		unsigned int bits;
		uint32_t dims[2];
		int32_t from[2], to[2];
	} cases[] = {
		{WEFT_TYPE_I4, 4, {5, 7}, {7, 1}, {7, 1}},
		{WEFT_TYPE_I4, 4, {5, 7}, {9, 1}, {8, 1}},
		{WEFT_TYPE_BIT, 1, {3, 70}, {70, 1}, {70, 1}},
		{WEFT_TYPE_BIT, 1, {3, 70}, {96, 1}, {128, 1}},
	};

	(void)state;
	for (size_t k = 0; k < sizeof(cases) / sizeof(cases[0]); k++) {
		unsigned char src[128], dst[128], before[128];
		struct tensor t[2] = {{.t = {.type = cases[k].type, .rank = 2}, .base = src},
				      {.t = {.type = cases[k].type, .rank = 2}, .base = dst}};
		union weft_params params;

		for (int d = 0; d < 2; d++) {
			t[0].t.dims[d] = t[1].t.dims[d] = cases[k].dims[d];
			t[0].t.strides[d] = cases[k].from[d];
			t[1].t.strides[d] = cases[k].to[d];
		}
		memset(&params, 0, sizeof(params));
		params.fill.bits = 1;
		for (int i = 0; i < 128; i++) {
			src[i] = (unsigned char)(i * 37 + 11);
			dst[i] = before[i] = (unsigned char)(i * 91 + 5);
		}
		for (int fill = 0; fill < 2; fill++) {
			size_t touched = 0;

			if (fill)
				op_run(op_units[0], WEFT_OP_FILL, &params, 1, &t[1], NULL);
			else
				op_run(op_units[0], WEFT_OP_COPY, NULL, 2, t, NULL);
			for (uint32_t r = 0; r < cases[k].dims[0]; r++)
				for (uint32_t c = 0; c < cases[k].dims[1]; c++, touched++)
					assert_int_equal(packed_get(dst, r * (size_t)cases[k].to[0] + c, cases[k].bits),
							 fill ? 1
							      : packed_get(src, r * (size_t)cases[k].from[0] + c,
									   cases[k].bits));
			assert_int_equal(touched, cases[k].dims[0] * cases[k].dims[1]);
			/* The element after the last keeps its bits. */
			touched = (cases[k].dims[0] - 1) * (size_t)cases[k].to[0] + cases[k].dims[1];
			assert_int_equal(packed_get(dst, touched, cases[k].bits),
					 packed_get(before, touched, cases[k].bits));
		}
	}
}

static double half_value(uint16_t h)
{
	int exponent = h >> 10 & 31, mantissa = h & 1023;
	double v = exponent == 31 ? (mantissa ? NAN : INFINITY)
				  : ldexp(exponent ? mantissa + 1024 : mantissa, (exponent ? exponent : 1) - 25);

	return h & 0x8000 ? -v : v;
}

static double bf16_value(uint16_t h)
{
	uint32_t bits = (uint32_t)h << 16;
	float x;

	memcpy(&x, &bits, 4);
	return x;
}

static double value_at(const struct tensor *t, uint64_t e)
{
	const void *at = tensor_at(t, e);

	switch (t->t.type) {
	case WEFT_TYPE_F32:
		return *(const float *)at;
	case WEFT_TYPE_F16:
		return half_value(*(const uint16_t *)at);
	case WEFT_TYPE_BF16:
		return bf16_value(*(const uint16_t *)at);
	default:
		return (double)integer_at(t, e);
	}
}

/* The nearest 16-bit float, ties to even, by trying the neighbours. */
static uint16_t nearest16(double x, double (*value)(uint16_t), uint16_t infinity)
{
	uint16_t low = 0, high = infinity, sign = signbit(x) ? 0x8000 : 0;
	double a = fabs(x), below, above, half;

	if (isnan(x))
		return infinity | 1;
	while (high - low > 1) {
		uint16_t middle = (uint16_t)((low + high) / 2);

		if (value(middle) <= a)
			low = middle;
		else
			high = middle;
	}
	if (a >= value(infinity))
		return sign | infinity;
	below = value(low);
	above = high == infinity ? 2 * value((uint16_t)(infinity - 1)) - value((uint16_t)(infinity - 2)) : value(high);
	half = (below + above) / 2;
	return sign | (a > half || (a == half && (low & 1)) ? high : low);
}

static void test_cast(void **state)
{
	static const double low[] = {[WEFT_TYPE_I32] = -0x1p31, [WEFT_TYPE_I64] = -0x1p63, [WEFT_TYPE_I8] = -128,
				     [WEFT_TYPE_U8] = 0,	[WEFT_TYPE_I16] = -32768,  [WEFT_TYPE_BOOL] = 0};
	static const double high[] = {[WEFT_TYPE_I32] = 0x1p31 - 1, [WEFT_TYPE_I64] = 0x1p63, [WEFT_TYPE_I8] = 127,
				      [WEFT_TYPE_U8] = 255,	    [WEFT_TYPE_I16] = 32767,  [WEFT_TYPE_BOOL] = 1};
	static const float special[] = {
		NAN,	   INFINITY,	-INFINITY,     0.0f,	      -0.0f,	      0.5f,	-0.9f,
		127.5f,	   128.0f,	-128.9f,       255.9f,	      256.0f,	      65504.0f, 65519.9f,
		65520.0f,  1e-8f,	6e-8f,	       2.9802322e-8f, 2.98023259e-8f, 1e10f,	-1e10f,
		1e30f,	   -1e30f,	2147483520.0f, 2147483648.0f, -2147483648.0f, 9.3e18f,	6.1e-5f,
		0x1p-149f, 1.00390625f, 1.01171875f,   3.3895e38f,    2049.0f,	      2051.0f};

	(void)state;
	for (size_t k = 0; k < WHOLE_TYPES * WHOLE_TYPES; k++) {
		enum weft_type from = whole_types[k / WHOLE_TYPES], to = whole_types[k % WHOLE_TYPES];
		bool real_from = from <= WEFT_TYPE_BF16, real_to = to <= WEFT_TYPE_BF16;
		uint32_t dims[2] = {70, 19};
		uint64_t seed = k;
		struct tensor t[2] = {tensor_random(&seed, from, 2, dims), tensor_random(&seed, to, 2, dims)};
		struct tensor expected[2] = {t[0], tensor_copy(&t[1])};

		for (uint64_t e = 0; e < tensor_elements(&t[0]); e++) {
			double x;
			float f;

			if (from == WEFT_TYPE_F32)
				*tensor_f32(&t[0], e) = e < sizeof(special) / sizeof(special[0])
								? special[e]
								: ldexpf(random_float(&seed), (int)(e % 60) - 30);
			if (from == WEFT_TYPE_I32 || from == WEFT_TYPE_I64)
				set_integer(
					&t[0], e,
					(int64_t)(((uint64_t)random_next(&seed) << 32 | random_next(&seed)) >> e % 64));
			x = value_at(&t[0], e);
			f = from == WEFT_TYPE_I64 ? (float)integer_at(&t[0], e) : (float)x;
			if (to == WEFT_TYPE_BOOL)
				set_integer(&expected[1], e, real_from ? x != 0 : integer_at(&t[0], e) != 0);
			else if (to == WEFT_TYPE_F32)
				*tensor_f32(&expected[1], e) = f;
			else if (real_to && isnan(f))
				; /* looked at below */
			else if (real_to)
				*(uint16_t *)tensor_at(&expected[1], e) =
					nearest16(f, to == WEFT_TYPE_F16 ? half_value : bf16_value,
						  to == WEFT_TYPE_F16 ? 0x7c00 : 0x7f80);
			else if (!real_from)
				set_integer(&expected[1], e, integer_at(&t[0], e));
			else if (f >= 0x1p63f)
				set_integer(&expected[1], e, to == WEFT_TYPE_I64 ? INT64_MAX : (int64_t)high[to]);
			else
				set_integer(&expected[1], e,
					    isnan(f) ? 0 : (int64_t)trunc(fmin(fmax(f, low[to]), high[to])));
			if (real_to && to != WEFT_TYPE_F32 && isnan(f)) {
				op_run(op_units[0], WEFT_OP_CAST, NULL, 2, t, NULL);
				assert_true(isnan(value_at(&t[1], e)));
				memcpy(tensor_at(&expected[1], e), tensor_at(&t[1], e), 2);
			}
		}
		op_check(WEFT_OP_CAST, NULL, 2, t, expected, "cast");
		tensor_free(&t[0]);
		tensor_free(&t[1]);
		tensor_free(&expected[1]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_binary),	  cmocka_unit_test(test_integer_edges),
		cmocka_unit_test(test_pow),	  cmocka_unit_test(test_where_copy_fill),
		cmocka_unit_test(test_transpose), cmocka_unit_test(test_packed),
		cmocka_unit_test(test_cast),
	};

	return cmocka_run_group_tests(tests, op_units_make, op_units_free);
}
