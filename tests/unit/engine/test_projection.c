// SPDX-License-Identifier: MIT
/*
 * The projection operations on every code path of this processor, with 1, 2 and
 * 3 lanes, against the text of <weft_isa_projection.h> said in the plainest way.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "integer_reference.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Word @index of the block that counter @c and @seed give. */
static uint32_t philox_word(uint64_t seed, const uint32_t counter[4], unsigned int index)
{
	uint32_t c[4], key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};

	memcpy(c, counter, sizeof(c));
	for (unsigned int round = 0; round < 10; round++) {
		uint64_t p = (uint64_t)0xd2511f53 * c[0], q = (uint64_t)0xcd9e8d57 * c[2];
		const uint32_t next[4] = {(uint32_t)(q >> 32) ^ c[1] ^ key[0], (uint32_t)q,
					  (uint32_t)(p >> 32) ^ c[3] ^ key[1], (uint32_t)p};

		memcpy(c, next, sizeof(c));
		key[0] += 0x9e3779b9;
		key[1] += 0xbb67ae85;
	}
	return c[index];
}

/* Known answers of the authors' Random123 library. */
static void test_philox(void **unused)
{
	static const uint32_t zero[4], ones[4] = {-1u, -1u, -1u, -1u};
	static const uint32_t of_zero[4] = {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8};
	static const uint32_t of_ones[4] = {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd};

	(void)unused;
	for (unsigned int i = 0; i < 4; i++) {
		assert_int_equal(philox_word(0, zero, i), of_zero[i]);
		assert_int_equal(philox_word(UINT64_MAX, ones, i), of_ones[i]);
	}
}

/* A matrix of bits, random, also where no element is. */
static struct tensor bits_new(uint64_t *state, unsigned int rank, const uint32_t dims[])
{
	uint32_t words[WEFT_MAX_RANK];
	struct tensor t;

	memcpy(words, dims, rank * sizeof(*words));
	words[rank - 1] = (dims[rank - 1] + 31) / 32 + random_range(state, 0, 2);
	t = tensor_dense(WEFT_TYPE_I32, rank, words);
	for (size_t i = 0; i < t.bytes; i++)
		t.storage[i] = (unsigned char)random_next(state);
	t.t.type = WEFT_TYPE_BIT;
	memcpy(t.t.dims, dims, rank * sizeof(*dims));
	for (unsigned int d = 0; d + 1 < rank; d++)
		t.t.strides[d] *= 32;
	return t;
}

/* The word and bit of element @e, row-major. */
static uint32_t *bit_at(const struct tensor *t, uint64_t e, unsigned int *bit)
{
	int64_t offset = 0;

	for (unsigned int d = t->t.rank; d-- > 0; e /= t->t.dims[d])
		offset += (int64_t)(e % t->t.dims[d]) * t->t.strides[d];
	*bit = (unsigned int)(offset % 32);
	return (uint32_t *)t->base + offset / 32;
}

static bool bit_get(const struct tensor *t, uint64_t e)
{
	unsigned int bit;
	const uint32_t *word = bit_at(t, e, &bit);

	return *word >> bit & 1;
}

/* Sets it, and clears what follows in its word: called in ascending order, that leaves the rest of a row 0. */
static void bit_set(struct tensor *t, uint64_t e, bool value)
{
	unsigned int bit;
	uint32_t *word = bit_at(t, e, &bit);

	*word = (*word & ((1u << bit) - 1)) | (uint32_t)value << bit;
}

static double real(const struct tensor *t, uint64_t e)
{
	const void *at = tensor_at(t, e);

	if (t->t.type == WEFT_TYPE_F32)
		return (double)*(const float *)at;
	return (t->t.type == WEFT_TYPE_I8 ? *(const int8_t *)at : *(const uint8_t *)at) - t->t.zero_point;
}

static void check_free(enum weft_op op, const union weft_params *params, unsigned int operands, struct tensor t[],
		       struct tensor *expected, const char *what)
{
	struct tensor all[5];

	memcpy(all, t, operands * sizeof(*t));
	all[operands - 1] = *expected;
	op_check(op, params, operands, t, all, what);
	for (unsigned int i = 0; i < operands; i++)
		tensor_free(&t[i]);
	tensor_free(expected);
}

static const enum weft_type inputs[] = {WEFT_TYPE_F32, WEFT_TYPE_I8, WEFT_TYPE_U8};

static struct tensor input_new(uint64_t *state, enum weft_type type, unsigned int rank, const uint32_t dims[])
{
	struct tensor t;

	if (type != WEFT_TYPE_F32)
		return quantized_any(state, type, rank, dims, (enum fill)random_range(state, 0, FILLS - 1));
	t = tensor_random(state, type, rank, dims);
	/* Sums that depend on the order, and what is not finite. */
	for (uint64_t e = 0; e < tensor_elements(&t); e++) {
		uint32_t kind = random_range(state, 0, 60);
		float *x = tensor_f32(&t, e);

		*x = kind == 0 ? 1e8f : kind == 1 ? -1e8f : kind == 2 ? INFINITY : kind == 3 ? NAN : *x;
	}
	return t;
}

static void project(uint64_t *state, enum weft_type type, uint32_t n, uint32_t k, uint32_t r, uint32_t taps)
{
	const uint32_t x[2] = {n, k}, y[2] = {n, r};
	union weft_params params = {.project = {.taps = taps}};
	struct tensor t[2], expected;
	char what[96];

	params.project.seed = (uint64_t)random_next(state) << 32 | random_next(state);
	t[0] = random_next(state) % 3 || type != WEFT_TYPE_F32
		       ? input_new(state, type, 2, x)
		       : tensor_ordered(state, type, 2, x, (const unsigned int[]){1, 0});
	t[1] = bits_new(state, 2, y);
	expected = tensor_copy(&t[1]);
	for (uint32_t row = 0; row < n; row++)
		for (uint32_t bit = 0; bit < r; bit++) {
			float sum = 0;

			for (uint32_t j = 0; j < taps; j++) {
				uint64_t e = (uint64_t)bit * taps + j;
				const uint32_t c[4] = {(uint32_t)(e / 4), (uint32_t)(e >> 34)};
				uint32_t w = philox_word(params.project.seed, c, (unsigned int)(e % 4));
				float term = (float)real(&t[0], (uint64_t)row * k + ((uint64_t)w * k >> 32));

				sum = j % 2 ? sum - term : sum + term;
			}
			bit_set(&expected, (uint64_t)row * r + bit, sum > 0);
		}
	snprintf(what, sizeof(what), "project type %u n %u k %u r %u taps %u", type, n, k, r, taps);
	check_free(WEFT_OP_PROJECT, &params, 2, t, &expected, what);
}

static void test_project(void **unused)
{
	static const uint32_t shapes[][4] = {
		{1, 1, 1, 1},	    {1, 784, 720, 8},	{37, 784, 96, 8},  {16, 5, 31, 2},
		{3, 9, 33, 3},	    {4, 7, 64, 1},	{50, 3, 100, 5},   {5, 8193, 40, 4},
		{2, 100, 3, 65536}, {17, 10, 70, 2049}, {6, 20, 65, 2048}, {1, 70000, 64, 16},
	};
	uint64_t state = 1;

	(void)unused;
	for (unsigned int i = 0; i < COUNT(shapes); i++)
		for (unsigned int type = 0; type < 3; type++)
			project(&state, inputs[type], shapes[i][0], shapes[i][1], shapes[i][2], shapes[i][3]);
	for (unsigned int i = 0; i < 40; i++)
		project(&state, inputs[i % 3], random_range(&state, 1, 40), random_range(&state, 1, 60),
			random_range(&state, 1, 130), random_range(&state, 1, 20));
}

/* Features: any 63 bits, small ones, and absent ones. */
static struct tensor features_new(uint64_t *state, enum weft_type type, unsigned int rank, const uint32_t dims[])
{
	struct tensor t = tensor_random(state, type, rank, dims);

	for (uint64_t e = 0; e < tensor_elements(&t); e++) {
		uint64_t f = (uint64_t)random_next(state) << 32 | random_next(state);

		if (type == WEFT_TYPE_I32)
			*(int32_t *)tensor_at(&t, e) = random_next(state) % 4 ? (int32_t)f : (int32_t)(f % 9);
		else
			*(int64_t *)tensor_at(&t, e) = random_next(state) % 4 ? (int64_t)f : (int64_t)(f % 9);
	}
	return t;
}

static int64_t feature_at(const struct tensor *t, uint64_t e)
{
	return t->t.type == WEFT_TYPE_I32 ? *(int32_t *)tensor_at(t, e) : *(int64_t *)tensor_at(t, e);
}

/* Bits [bit, bit + n) of the blocks of feature @f. */
static uint32_t feature_bits(uint64_t seed, int64_t f, uint32_t bit, unsigned int n)
{
	const uint32_t c[4] = {bit / 128, 0, (uint32_t)f, (uint32_t)((uint64_t)f >> 32)};

	return philox_word(seed, c, bit % 128 / 32) >> bit % 32 & ((1u << n) - 1);
}

static void hashed(uint64_t *state, uint32_t n, uint32_t l, uint32_t r)
{
	const uint32_t f[2] = {n, l}, y[2] = {n, r};
	union weft_params params = {.project = {.seed = random_next(state)}};
	struct tensor t[3] = {features_new(state, random_next(state) % 2 ? WEFT_TYPE_I32 : WEFT_TYPE_I64, 2, f),
			      random_next(state) % 2 ? input_new(state, WEFT_TYPE_F32, 2, f) : tensor_absent(),
			      bits_new(state, 2, y)};
	struct tensor expected = tensor_copy(&t[2]);
	char what[64];

	params.project.seed = params.project.seed << 33 | random_next(state);
	for (uint32_t row = 0; row < n; row++)
		for (uint32_t bit = 0; bit < r; bit++) {
			float sum = 0;

			for (uint32_t i = 0; i < l; i++) {
				int64_t feature = feature_at(&t[0], (uint64_t)row * l + i);
				float value = t[1].storage ? *tensor_f32(&t[1], (uint64_t)row * l + i) : 1;

				if (feature >= 0)
					sum += feature_bits(params.project.seed, feature, bit, 1) ? value : -value;
			}
			bit_set(&expected, (uint64_t)row * r + bit, sum > 0);
		}
	snprintf(what, sizeof(what), "hashed n %u l %u r %u", n, l, r);
	check_free(WEFT_OP_PROJECT_HASHED, &params, 3, t, &expected, what);
}

static void mean(uint64_t *state, uint32_t n, uint32_t l, uint32_t r)
{
	const uint32_t f[2] = {n, l}, y[2] = {n, r};
	union weft_params params = {.project = {.seed = random_next(state)}};
	struct tensor t[2] = {features_new(state, random_next(state) % 2 ? WEFT_TYPE_I32 : WEFT_TYPE_I64, 2, f),
			      tensor_random(state, WEFT_TYPE_F32, 2, y)};
	struct tensor expected = tensor_copy(&t[1]);

	for (uint32_t row = 0; row < n; row++)
		for (uint32_t number = 0; number < r; number++) {
			int64_t sum = 0, count = 0;

			for (uint32_t i = 0; i < l; i++) {
				int64_t feature = feature_at(&t[0], (uint64_t)row * l + i);
				int32_t byte;

				if (feature < 0)
					continue;
				byte = (int32_t)feature_bits(params.project.seed, feature, number * 8, 8);
				sum += 2 * (byte < 128 ? byte : byte - 256) + 1;
				count++;
			}
			*tensor_f32(&expected, (uint64_t)row * r + number) =
				count ? (float)sum / (float)(255 * count) : 0.0f;
		}
	check_free(WEFT_OP_PROJECT_MEAN, &params, 2, t, &expected, "mean");
}

static void ternary(uint64_t *state, unsigned int rank, uint32_t c)
{
	static const int32_t numbers[] = {0, 1, -1, 0};
	uint32_t dims[4] = {random_range(state, 1, 5), random_range(state, 1, 7), random_range(state, 1, 3)};
	const unsigned int order[4] = {rank, 0, 1, 2};
	union weft_params params = {.project = {.seed = random_next(state)}};
	enum weft_type type = random_next(state) % 2 ? WEFT_TYPE_I8 : WEFT_TYPE_F32;
	struct tensor t[2], expected;

	t[0] = features_new(state, random_next(state) % 2 ? WEFT_TYPE_I32 : WEFT_TYPE_I64, rank, dims);
	dims[rank] = c;
	t[1] = tensor_ordered(state, type, rank + 1, dims, order);
	expected = tensor_copy(&t[1]);
	for (uint64_t e = 0; e < tensor_elements(&expected); e++) {
		int64_t feature = feature_at(&t[0], e / c);
		int32_t number =
			feature < 0 ? 0 : numbers[feature_bits(params.project.seed, feature, (uint32_t)(e % c) * 2, 2)];

		if (type == WEFT_TYPE_I8)
			*(int8_t *)tensor_at(&expected, e) = (int8_t)number;
		else
			*tensor_f32(&expected, e) = (float)number;
	}
	check_free(WEFT_OP_PROJECT_TERNARY, &params, 2, t, &expected, "ternary");
}

static void test_features(void **unused)
{
	static const uint32_t widths[] = {1, 31, 32, 128, 129, 1120, 8200};
	uint64_t state = 2;

	(void)unused;
	for (unsigned int i = 0; i < COUNT(widths); i++) {
		hashed(&state, 3, 20, widths[i]);
		mean(&state, 3, 20, widths[i]);
		for (unsigned int rank = 1; rank <= 3; rank++)
			ternary(&state, rank, widths[i]);
	}
	hashed(&state, 100, 3, 65536 / 64);
	mean(&state, 1, 3000, 5);
	for (unsigned int i = 0; i < 30; i++) {
		hashed(&state, random_range(&state, 1, 20), random_range(&state, 1, 50), random_range(&state, 1, 300));
		mean(&state, random_range(&state, 1, 20), random_range(&state, 1, 50), random_range(&state, 1, 300));
	}
}

/* The numbers that bits stand for, as a tensor of @type. */
static struct tensor numbers(const struct tensor *bits, enum weft_type type, bool signs)
{
	struct tensor t = tensor_dense(type, bits->t.rank, bits->t.dims);

	for (uint64_t e = 0; e < tensor_elements(&t); e++) {
		int number = bit_get(bits, e) ? 1 : signs ? -1 : 0;

		if (type == WEFT_TYPE_F32)
			*tensor_f32(&t, e) = (float)number;
		else
			*(int8_t *)tensor_at(&t, e) = (int8_t)number;
	}
	return t;
}

/* BIT_MATMUL of floats is MATMUL of the numbers: the scalar engine's is trusted here, test_matrix checks it. */
static void product(uint64_t *state, uint32_t m, uint32_t k, uint32_t n)
{
	const uint32_t a[2] = {m, k}, b[2] = {k, n}, c[2] = {m, n};
	bool signs = random_next(state) % 2, bias = random_next(state) % 2;
	uint32_t activation = random_range(state, 0, 2);
	union weft_params params = {.bits = {.signs = signs, .activation = activation, .alpha = -0.5f, .beta = 0.75f}};
	union weft_params matmul = {.matmul = {.activation = activation, .alpha = -0.5f, .beta = 0.75f, .scale = 1}};
	struct tensor t[5] = {
		bits_new(state, 2, a), tensor_random(state, WEFT_TYPE_F32, 2, b),
		bias ? tensor_ordered(state, WEFT_TYPE_F32, 1, &n, (const unsigned int[]){0}) : tensor_absent(),
		tensor_absent(), tensor_ordered(state, WEFT_TYPE_F32, 2, c, (const unsigned int[]){1, 0})};
	struct tensor expected = tensor_copy(&t[4]),
		      plain[4] = {numbers(&t[0], WEFT_TYPE_F32, signs), t[1], t[2], expected};
	char what[64];

	assert_int_equal(op_run(op_units[0], WEFT_OP_MATMUL, &matmul, 4, plain, NULL), WEFT_FAULT_NONE);
	tensor_free(&plain[0]);
	snprintf(what, sizeof(what), "bits m %u k %u n %u signs %d activation %u", m, k, n, signs, activation);
	check_free(WEFT_OP_BIT_MATMUL, &params, 5, t, &expected, what);
}

static void integer_product(uint64_t *state, uint32_t m, uint32_t k, uint32_t n)
{
	static const enum weft_type results[] = {WEFT_TYPE_I8, WEFT_TYPE_U8, WEFT_TYPE_I32};
	const uint32_t a[2] = {m, k}, b[2] = {k, n}, c[2] = {m, n};
	enum weft_type type = results[random_range(state, 0, 2)];
	union weft_params params = {.bits = {.signs = random_range(state, 0, 1)}}, qmatmul = {0};
	struct tensor t[5] = {bits_new(state, 2, a),
			      quantized_rows(state, WEFT_TYPE_I8, 2, b, (enum fill)random_range(state, 0, FILLS - 1)),
			      random_next(state) % 2 ? random_totals(state, n) : tensor_absent(),
			      type == WEFT_TYPE_I32
				      ? tensor_absent()
				      : random_multipliers(state, random_next(state) % 2 ? n : 1, 16, false),
			      quantized_rows(state, type, 2, c, FILL_RANDOM)};
	struct tensor expected, plain[5];

	if (type == WEFT_TYPE_I32)
		t[4].t.zero_point = 0;
	expected = tensor_copy(&t[4]);
	random_clamp(state, type, &qmatmul.qmatmul.low, &qmatmul.qmatmul.high);
	params.bits.low = qmatmul.qmatmul.low;
	params.bits.high = qmatmul.qmatmul.high;
	memcpy(plain, t, sizeof(plain));
	plain[0] = numbers(&t[0], WEFT_TYPE_I8, params.bits.signs);
	plain[4] = expected;
	reference_qmatmul(&qmatmul, plain);
	tensor_free(&plain[0]);
	check_free(WEFT_OP_BIT_MATMUL, &params, 5, t, &expected, "bits by bytes");
}

static void dot(uint64_t *state, uint32_t m, uint32_t k, uint32_t n)
{
	const uint32_t a[2] = {m, k}, b[2] = {n, k}, c[2] = {m, n};
	struct tensor t[3] = {bits_new(state, 2, a), bits_new(state, 2, b), tensor_random(state, WEFT_TYPE_I32, 2, c)};
	struct tensor expected = tensor_copy(&t[2]);

	for (uint64_t e = 0; e < tensor_elements(&expected); e++) {
		int32_t sum = 0;

		for (uint32_t i = 0; i < k; i++)
			sum += bit_get(&t[0], e / n * k + i) == bit_get(&t[1], e % n * k + i) ? 1 : -1;
		*(int32_t *)tensor_at(&expected, e) = sum;
	}
	check_free(WEFT_OP_BIT_DOT, NULL, 3, t, &expected, "dot");
}

static void test_products(void **unused)
{
	static const uint32_t shapes[][3] = {{1, 1, 1},	  {1, 720, 10},	 {33, 720, 256}, {7, 31, 3},
					     {4, 64, 64}, {5, 1025, 17}, {20, 65536, 3}};
	uint64_t state = 3;

	(void)unused;
	for (unsigned int i = 0; i < COUNT(shapes); i++)
		for (unsigned int repeat = 0; repeat < 4; repeat++) {
			product(&state, shapes[i][0], shapes[i][1], shapes[i][2]);
			integer_product(&state, shapes[i][0], shapes[i][1], shapes[i][2]);
			dot(&state, shapes[i][0], shapes[i][1], shapes[i][2]);
		}
	for (unsigned int i = 0; i < 40; i++) {
		product(&state, random_range(&state, 1, 40), random_range(&state, 1, 200), random_range(&state, 1, 40));
		integer_product(&state, random_range(&state, 1, 40), random_range(&state, 1, 200),
				random_range(&state, 1, 40));
		dot(&state, random_range(&state, 1, 20), random_range(&state, 1, 200), random_range(&state, 1, 20));
	}
}

static void test_conversions(void **unused)
{
	uint64_t state = 4;

	(void)unused;
	for (unsigned int i = 0; i < 120; i++) {
		unsigned int rank = 1 + i % 4;
		const uint32_t dims[4] = {random_range(&state, 1, 4), random_range(&state, 1, 5),
					  random_range(&state, 1, 70), random_range(&state, 1, 100)};
		const uint32_t *used = dims + 4 - rank;
		union weft_params params = {.bits = {.signs = i / 4 % 2}};
		struct tensor t[2], expected;

		t[0] = input_new(&state, inputs[i % 3], rank, used);
		t[1] = bits_new(&state, rank, used);
		expected = tensor_copy(&t[1]);
		for (uint64_t e = 0; e < tensor_elements(&expected); e++)
			bit_set(&expected, e, real(&t[0], e) > 0);
		check_free(WEFT_OP_BIT_PACK, NULL, 2, t, &expected, "pack");

		t[0] = bits_new(&state, rank, used);
		t[1] = tensor_random(&state, i % 2 ? WEFT_TYPE_F32 : WEFT_TYPE_I8, rank, used);
		expected = tensor_copy(&t[1]);
		for (uint64_t e = 0; e < tensor_elements(&expected); e++) {
			int number = bit_get(&t[0], e) ? 1 : params.bits.signs ? -1 : 0;

			if (i % 2)
				*tensor_f32(&expected, e) = (float)number;
			else
				*(int8_t *)tensor_at(&expected, e) = (int8_t)number;
		}
		check_free(WEFT_OP_BIT_UNPACK, &params, 2, t, &expected, "unpack");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_philox),	 cmocka_unit_test(test_project),     cmocka_unit_test(test_features),
		cmocka_unit_test(test_products), cmocka_unit_test(test_conversions),
	};

	return cmocka_run_group_tests(tests, op_units_make, op_units_free);
}
