// SPDX-License-Identifier: MIT
/*
 * The integer matrix product and convolution on every code path of this
 * processor, with 1, 2 and 3 lanes, against the reference, to the bit.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "integer_reference.h"

static const enum weft_type sides[] = {WEFT_TYPE_I8, WEFT_TYPE_U8};
static const enum weft_type weights[] = {WEFT_TYPE_I8, WEFT_TYPE_U8, WEFT_TYPE_I4};
static const enum weft_type results[] = {WEFT_TYPE_I8, WEFT_TYPE_U8, WEFT_TYPE_I32};

/* Bias, multiplier and result, for @channels; the reduced index has @depth terms. */
static void add_result(uint64_t *state, struct tensor t[5], unsigned int rank, const uint32_t dims[], uint32_t depth)
{
	enum weft_type type = results[random_range(state, 0, 2)];
	uint32_t channels = dims[rank - 1];
	unsigned int bits = 10;

	while (depth >>= 1)
		bits++;
	t[2] = random_next(state) % 3 ? random_totals(state, channels) : tensor_absent();
	t[3] = tensor_absent();
	if (type != WEFT_TYPE_I32)
		t[3] = random_multipliers(state, random_next(state) % 4 ? channels : 1, bits,
					  random_next(state) % 4 == 0);
	t[4] = quantized_rows(state, type, rank, dims, FILL_RANDOM);
	if (type == WEFT_TYPE_I32)
		t[4].t.zero_point = 0;
}

/* Weights in panels, with anything where no element is. */
static struct tensor in_panels(uint64_t *state, const struct tensor *plain, uint32_t depth, uint32_t columns)
{
	const uint32_t dims[4] = {(columns + WEFT_PANEL_COLUMNS - 1) / WEFT_PANEL_COLUMNS, depth / 4,
				  WEFT_PANEL_COLUMNS, 4};
	struct tensor t = tensor_dense(WEFT_TYPE_I8, 4, dims);

	t.t.zero_point = plain->t.zero_point;
	for (uint64_t i = 0; i < (uint64_t)dims[0] * dims[1] * WEFT_PANEL_COLUMNS * 4; i++) {
		uint64_t group = i / 4 / WEFT_PANEL_COLUMNS;
		uint64_t k = group % dims[1] * 4 + i % 4;
		uint64_t n = group / dims[1] * WEFT_PANEL_COLUMNS + i / 4 % WEFT_PANEL_COLUMNS;

		t.base[i] = n < columns ? *(unsigned char *)tensor_at(plain, k * columns + n)
					: (unsigned char)random_next(state);
	}
	return t;
}

/* The plain operands give what is expected, those with panels are run. */
static void check_panels(uint64_t *state, enum weft_op op, const union weft_params *plain,
			 const union weft_params *params, struct tensor t[5], uint32_t depth, uint32_t columns,
			 void (*reference)(const union weft_params *, struct tensor[]), const char *what)
{
	struct tensor expected[5], weights = t[1];

	for (unsigned int i = 0; i < 5; i++)
		expected[i] = tensor_copy(&t[i]);
	reference(plain, expected);
	t[1] = in_panels(state, &weights, depth, columns);
	tensor_free(&expected[1]);
	expected[1] = tensor_copy(&t[1]);
	op_check(op, params, 5, t, expected, what);
	tensor_free(&weights);
	for (unsigned int i = 0; i < 5; i++) {
		tensor_free(&t[i]);
		tensor_free(&expected[i]);
	}
}

static void check_free(enum weft_op op, const union weft_params *params, struct tensor t[5],
		       void (*reference)(const union weft_params *, struct tensor[]), const char *what)
{
	struct tensor expected[5];

	for (unsigned int i = 0; i < 5; i++)
		expected[i] = tensor_copy(&t[i]);
	reference(params, expected);
	op_check(op, params, 5, t, expected, what);
	for (unsigned int i = 0; i < 5; i++) {
		tensor_free(&t[i]);
		tensor_free(&expected[i]);
	}
}

static void matmul(uint64_t *state, uint32_t m, uint32_t n, uint32_t k, unsigned int rank, enum fill fill)
{
	uint32_t b0 = random_range(state, 1, 2), b1 = random_range(state, 1, 3);
	const uint32_t a[4] = {b0, b1, m, k}, b[4] = {b0, b1, k, n}, c[4] = {b0, b1, m, n};
	enum weft_type weight = weights[random_range(state, 0, 2)];
	union weft_params params = {0};
	struct tensor t[5];
	char what[128];

	t[0] = quantized_any(state, sides[random_range(state, 0, 1)], rank, a + 4 - rank, fill);
	if (weight == WEFT_TYPE_I4 || random_next(state) % 2)
		t[1] = quantized_rows(state, weight, rank, b + 4 - rank, fill);
	else
		t[1] = quantized_any(state, weight, rank, b + 4 - rank, fill);
	add_result(state, t, rank, c + 4 - rank, k);
	/* One matrix for all of the batch. */
	if (rank > 2 && random_next(state) % 3 == 0)
		t[random_next(state) & 1].t.strides[rank - 3] = 0;
	random_clamp(state, (enum weft_type)t[4].t.type, &params.qmatmul.low, &params.qmatmul.high);
	snprintf(what, sizeof(what), "m %u n %u k %u rank %u types %u %u %u zero %d %d fill %d", m, n, k, rank,
		 t[0].t.type, t[1].t.type, t[4].t.type, t[0].t.zero_point, t[1].t.zero_point, fill);
	check_free(WEFT_OP_QMATMUL, &params, t, reference_qmatmul, what);
}

static void test_matmul(void **unused)
{
	static const uint32_t shapes[][3] = {
		{1, 1, 1},   {1, 1, 513},  {1, 40, 70},	 {15, 33, 12}, {14, 32, 16},  {29, 65, 31}, {70, 1, 9},
		{2, 130, 3}, {100, 50, 2}, {5, 64, 100}, {13, 16, 7},  {1, 17, 2561}, {3, 9, 5200}, {2, 1100, 5},
	};
	uint64_t state = 1;

	(void)unused;
	for (unsigned int i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++)
		for (unsigned int rank = 2; rank <= 4; rank++)
			for (unsigned int repeat = 0; repeat < 4; repeat++)
				matmul(&state, shapes[i][0], shapes[i][1], shapes[i][2], rank, FILL_RANDOM);
	for (unsigned int i = 0; i < 60; i++)
		matmul(&state, random_range(&state, 1, 40), random_range(&state, 1, 70), random_range(&state, 1, 90),
		       random_range(&state, 2, 4), FILL_RANDOM);
}

static void matmul_panels(uint64_t *state, uint32_t m, uint32_t n, uint32_t k, enum fill fill)
{
	const uint32_t a[2] = {m, k}, b[2] = {k, n}, c[2] = {m, n};
	union weft_params plain = {0}, params;
	struct tensor t[5];
	char what[128];

	t[0] = quantized_any(state, sides[random_range(state, 0, 1)], 2, a, fill);
	t[1] = quantized_rows(state, WEFT_TYPE_I8, 2, b, fill);
	add_result(state, t, 2, c, k);
	random_clamp(state, (enum weft_type)t[4].t.type, &plain.qmatmul.low, &plain.qmatmul.high);
	params = plain;
	params.qmatmul.panels = 1;
	snprintf(what, sizeof(what), "panels: m %u n %u k %u types %u %u zero %d %d fill %d", m, n, k, t[0].t.type,
		 t[4].t.type, t[0].t.zero_point, t[1].t.zero_point, fill);
	check_panels(state, WEFT_OP_QMATMUL, &plain, &params, t, k, n, reference_qmatmul, what);
}

static void test_panels(void **unused)
{
	static const uint32_t shapes[][3] = {{1, 1, 4},	   {1, 40, 72},	   {14, 32, 16},   {29, 65, 32},
					     {70, 1, 8},   {2, 130, 4},	   {1, 17, 2564},  {3, 9, 5200},
					     {2, 1100, 8}, {15, 64, 2560}, {3, 35, 30000}, {2, 70, 40000}};
	uint64_t state = 6;

	(void)unused;
	for (unsigned int i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++)
		for (unsigned int repeat = 0; repeat < 6; repeat++)
			matmul_panels(&state, shapes[i][0], shapes[i][1], shapes[i][2],
				      repeat < 4 ? FILL_RANDOM : (enum fill)(repeat - 3));
	for (unsigned int i = 0; i < 60; i++)
		matmul_panels(&state, random_range(&state, 1, 40), random_range(&state, 1, 100),
			      4 * random_range(&state, 1, 30), FILL_RANDOM);
}

/* Every element the least or the greatest: where sums in 16 bits or saturating ones would go wrong. */
static void test_extremes(void **unused)
{
	uint64_t state = 2;

	(void)unused;
	for (unsigned int i = 0; i < 40; i++)
		matmul(&state, random_range(&state, 1, 20), random_range(&state, 1, 40), random_range(&state, 1, 3000),
		       2, (enum fill)(i % FILLS));
}

/* Deeper than a panel of the second operand has room for, and so deep that sums wrap around. */
static void test_deep(void **unused)
{
	uint64_t state = 3;

	(void)unused;
	for (unsigned int i = 0; i < 6; i++)
		matmul(&state, 3, 35, 30000, 2, (enum fill)(i % FILLS));
	for (unsigned int i = 0; i < 6; i++)
		matmul(&state, 2, 3, 140000, 2, (enum fill)(i % FILLS));
}

struct shape {
	uint32_t n, h, w, c, oc, groups, kernel[2], stride, dilation, pad[2], oh, ow;
};

static void conv(uint64_t *state, const struct shape *s, enum fill fill)
{
	const bool panels = s->groups == 1 && s->c * s->kernel[0] * s->kernel[1] % 4 == 0 && random_next(state) % 2;
	const uint32_t x[4] = {s->n, s->h, s->w, s->c}, y[4] = {s->n, s->oh, s->ow, s->oc};
	const uint32_t w[4] = {s->kernel[0], s->kernel[1], s->c / s->groups, s->oc};
	union weft_params params = {
		.qconv = {.stride = {s->stride, s->stride},
			  .dilation = {s->dilation, s->dilation},
			  .pad = {s->pad[0], s->pad[1]},
			  .groups = s->groups},
	};
	struct tensor t[5];
	char what[160];

	t[0] = quantized_rows(state, sides[random_range(state, 0, 1)], 4, x, fill);
	t[1] = quantized_rows(state, panels ? WEFT_TYPE_I8 : weights[random_range(state, 0, 2)], 4, w, fill);
	add_result(state, t, 4, y, w[0] * w[1] * w[2]);
	random_clamp(state, (enum weft_type)t[4].t.type, &params.qconv.low, &params.qconv.high);
	snprintf(what, sizeof(what),
		 "n %u h %u w %u c %u oc %u groups %u kernel %u %u stride %u dilation %u pad %u %u out %u %u types %u "
		 "%u %u%s",
		 s->n, s->h, s->w, s->c, s->oc, s->groups, s->kernel[0], s->kernel[1], s->stride, s->dilation,
		 s->pad[0], s->pad[1], s->oh, s->ow, t[0].t.type, t[1].t.type, t[4].t.type, panels ? ", panels" : "");
	if (panels) {
		union weft_params plain = params;

		params.qconv.kernel[0] = s->kernel[0];
		params.qconv.kernel[1] = s->kernel[1];
		check_panels(state, WEFT_OP_QCONV, &plain, &params, t, w[0] * w[1] * w[2], w[3], reference_qconv, what);
		return;
	}
	check_free(WEFT_OP_QCONV, &params, t, reference_qconv, what);
}

static void test_conv(void **unused)
{
	static const struct shape shapes[] = {
		{1, 6, 6, 4, 8, 1, {3, 3}, 1, 1, {1, 1}, 6, 6},
		{2, 9, 7, 3, 33, 1, {5, 3}, 2, 1, {2, 1}, 5, 4},
		{2, 8, 8, 16, 16, 1, {1, 1}, 1, 1, {0, 0}, 8, 8},
		{1, 8, 8, 17, 40, 1, {1, 1}, 2, 1, {0, 0}, 4, 4},
		{1, 9, 9, 8, 12, 4, {3, 3}, 1, 2, {2, 2}, 9, 9},
		{2, 7, 7, 64, 64, 1, {3, 3}, 1, 1, {1, 1}, 7, 7},
		{1, 10, 10, 24, 24, 24, {3, 3}, 1, 1, {1, 1}, 10, 10},
		{2, 11, 9, 70, 70, 70, {3, 3}, 2, 1, {1, 1}, 6, 5},
		{1, 6, 6, 5, 10, 5, {3, 3}, 1, 1, {1, 1}, 6, 6},
		{2, 7, 19, 128, 128, 128, {3, 3}, 1, 1, {1, 1}, 7, 19},
		{1, 9, 40, 65, 65, 65, {3, 3}, 1, 1, {0, 2}, 7, 42},
		{1, 8, 9, 64, 64, 64, {3, 3}, 3, 1, {2, 0}, 4, 3},
		{1, 5, 5, 130, 130, 130, {5, 5}, 1, 1, {2, 2}, 5, 5},
		{1, 4, 4, 3, 5, 1, {3, 3}, 1, 1, {6, 6}, 12, 12},
		{1, 1, 20, 6, 7, 1, {1, 5}, 3, 1, {0, 2}, 1, 7},
		{1, 6, 6, 33, 33, 33, {2, 2}, 1, 3, {3, 0}, 8, 4},
		{1, 5, 5, 300, 20, 1, {3, 3}, 1, 1, {1, 1}, 5, 5},
		{2, 7, 6, 64, 70, 1, {1, 1}, 1, 1, {0, 0}, 7, 6},
		{1, 9, 9, 32, 64, 1, {3, 3}, 2, 1, {1, 1}, 5, 5},
	};
	uint64_t state = 4;

	(void)unused;
	for (unsigned int i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++)
		for (unsigned int repeat = 0; repeat < 6; repeat++)
			conv(&state, &shapes[i], repeat < 4 ? FILL_RANDOM : (enum fill)(repeat - 3));
	for (unsigned int i = 0; i < 80; i++) {
		struct shape s = {.n = random_range(&state, 1, 2),
				  .h = random_range(&state, 1, 9),
				  .w = random_range(&state, 1, 9),
				  .kernel = {random_range(&state, 1, 4), random_range(&state, 1, 4)},
				  .stride = random_range(&state, 1, 3),
				  .dilation = random_range(&state, 1, 2),
				  .pad = {random_range(&state, 0, 3), random_range(&state, 0, 3)},
				  .oh = random_range(&state, 1, 7),
				  .ow = random_range(&state, 1, 7)};

		s.groups = random_range(&state, 1, 3);
		s.c = s.groups * random_range(&state, 1, 20);
		s.oc = s.groups * random_range(&state, 1, 20);
		if (i % 4 == 0)
			s.groups = s.oc = s.c;
		conv(&state, &s, FILL_RANDOM);
	}
}

static void test_multiplier_faults(void **unused)
{
	static const struct {
		int32_t row[2];
		unsigned int at;
	} bad[] = {{{-1, 40}, 0}, {{1, 0}, 1}, {{1, 63}, 1}, {{1, -1}, 1}, {{INT32_MIN, 1}, 0}};
	uint64_t state = 5;

	(void)unused;
	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		const uint32_t a[2] = {3, 4}, b[2] = {4, 5}, c[2] = {3, 5};
		const union weft_params params = {.qmatmul = {-128, 127}};
		struct tensor t[5] = {quantized_rows(&state, WEFT_TYPE_I8, 2, a, FILL_RANDOM),
				      quantized_rows(&state, WEFT_TYPE_I8, 2, b, FILL_RANDOM), tensor_absent(),
				      random_multipliers(&state, 5, 10, false),
				      quantized_rows(&state, WEFT_TYPE_I8, 2, c, FILL_RANDOM)};

		memcpy(t[3].base + 3 * t[3].t.strides[0] * 4, bad[i].row, 8);
		for (unsigned int u = 0; u < op_unit_count; u++) {
			struct weft_fault_record fault;

			assert_int_equal(op_run(op_units[u], WEFT_OP_QMATMUL, &params, 5, t, &fault), WEFT_FAULT_VALUE);
			assert_int_equal(fault.operand, 3);
			assert_int_equal((int64_t)fault.address, bad[i].row[bad[i].at]);
		}
		for (unsigned int o = 0; o < 5; o++)
			tensor_free(&t[o]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_matmul), cmocka_unit_test(test_extremes),
		cmocka_unit_test(test_deep),   cmocka_unit_test(test_panels),
		cmocka_unit_test(test_conv),   cmocka_unit_test(test_multiplier_faults),
	};

	return cmocka_run_group_tests(tests, op_units_make, op_units_free);
}
