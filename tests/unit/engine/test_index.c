// SPDX-License-Identifier: MIT
/* GATHER, SCATTER, SCATTER_ADD, TOPK and IOTA for random shapes and layouts, on every code path. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "op.h"
#include "real.h"

static void test_gather(void **state)
{
	(void)state;
	for (uint64_t trial = 0; trial < 60; trial++) {
		uint64_t seed = trial;
		enum weft_type type = trial % 3 ? WEFT_TYPE_F32 : whole_types[trial % WHOLE_TYPES];
		unsigned int rank = 1 + trial % 4;
		bool wide = trial & 1;
		uint32_t table_dims[4] = {random_range(&seed, 1, 50)}, list_dims[4] = {random_range(&seed, 1, 200)};
		struct tensor table, index, list, expected;
		uint64_t row = 1;

		for (unsigned int d = 1; d < rank; d++) {
			table_dims[d] = list_dims[d] = random_range(&seed, 1, 20);
			row *= table_dims[d];
		}
		table = tensor_random(&seed, type, rank, table_dims);
		index = tensor_random(&seed, wide ? WEFT_TYPE_I64 : WEFT_TYPE_I32, 1, list_dims);
		list = tensor_random(&seed, type, rank, list_dims);
		expected = tensor_copy(&list);
		for (uint32_t r = 0; r < list_dims[0]; r++)
			set_integer(&index, r, (int64_t)random_range(&seed, 0, 2 * table_dims[0] - 1) - table_dims[0]);
		for (uint64_t e = 0; e < tensor_elements(&list); e++) {
			int64_t i = integer_at(&index, e / row);

			i += i < 0 ? table_dims[0] : 0;
			memcpy(tensor_at(&expected, e), tensor_at(&table, (uint64_t)i * row + e % row),
			       type_bytes(type));
		}
		op_check(WEFT_OP_GATHER, NULL, 3, (struct tensor[]){table, index, list},
			 (struct tensor[]){table, index, expected}, "gather");
		if (type == WEFT_TYPE_F32) {
			struct tensor sum = tensor_copy(&table);

			for (uint64_t e = 0; e < tensor_elements(&list); e++) {
				int64_t i = integer_at(&index, e / row);

				i += i < 0 ? table_dims[0] : 0;
				*tensor_f32(&sum, (uint64_t)i * row + e % row) += *tensor_f32(&list, e);
			}
			op_check(WEFT_OP_SCATTER_ADD, NULL, 3, (struct tensor[]){list, index, table},
				 (struct tensor[]){list, index, sum}, "scatter_add");
			tensor_free(&sum);
		}
		tensor_free(&table);
		tensor_free(&index);
		tensor_free(&list);
		tensor_free(&expected);
	}
}

/* Y after one element of X has come to it. */
static void combine(struct tensor *y, uint64_t at, const struct tensor *x, uint64_t from, uint32_t function)
{
	double a, b;

	if (function == WEFT_SCATTER_REPLACE) {
		memcpy(tensor_at(y, at), tensor_at(x, from), type_bytes(y->t.type));
		return;
	}
	if (y->t.type == WEFT_TYPE_F32) {
		a = (double)*tensor_f32(y, at);
		b = (double)*tensor_f32(x, from);
	} else {
		a = (double)integer_at(y, at);
		b = (double)integer_at(x, from);
	}
	/* Numbers are small enough for exact products; a sum or product of floats is rounded once. */
	a = function == WEFT_SCATTER_ADD   ? a + b
	    : function == WEFT_SCATTER_MUL ? a * b
	    : function == WEFT_SCATTER_MAX ? (a > b ? a : b)
					   : (a < b ? a : b);
	if (y->t.type == WEFT_TYPE_F32)
		*tensor_f32(y, at) = (float)a;
	else
		set_integer(y, at, (int64_t)a);
}

static void test_scatter(void **state)
{
	static const enum weft_type arithmetic[] = {WEFT_TYPE_F32, WEFT_TYPE_I32, WEFT_TYPE_I64};

	(void)state;
	for (uint64_t trial = 0; trial < 60; trial++) {
		uint64_t seed = trial;
		union weft_params params = {.scatter = {.function = (uint32_t)(trial % WEFT_SCATTER_FUNCTIONS)}};
		bool replaces = params.scatter.function == WEFT_SCATTER_REPLACE;
		enum weft_type type = replaces ? whole_types[trial / 5 % WHOLE_TYPES] : arithmetic[trial / 5 % 3];
		unsigned int rank = 1 + trial % 4;
		uint32_t table_dims[4] = {random_range(&seed, 1, 50)}, list_dims[4] = {random_range(&seed, 1, 60)};
		struct tensor table, index, list, y, expected;
		uint64_t row = 1;

		for (unsigned int d = 1; d < rank; d++) {
			table_dims[d] = list_dims[d] = random_range(&seed, 1, 20);
			row *= table_dims[d];
		}
		table = tensor_random(&seed, type, rank, table_dims);
		index = tensor_random(&seed, trial & 1 ? WEFT_TYPE_I64 : WEFT_TYPE_I32, 1, list_dims);
		list = tensor_random(&seed, type, rank, list_dims);
		y = tensor_random(&seed, type, rank, table_dims);
		expected = tensor_copy(&y);
		for (uint64_t e = 0; e < tensor_elements(&table); e++)
			memcpy(tensor_at(&expected, e), tensor_at(&table, e), type_bytes(type));
		for (uint64_t e = 0; type != WEFT_TYPE_F32 && !replaces && e < tensor_elements(&list); e++)
			set_integer(&list, e, (int64_t)random_range(&seed, 0, 2) - 1);
		for (uint32_t r = 0; r < list_dims[0]; r++)
			set_integer(&index, r, (int64_t)random_range(&seed, 0, 2 * table_dims[0] - 1) - table_dims[0]);
		for (uint64_t e = 0; e < tensor_elements(&list); e++) {
			int64_t i = integer_at(&index, e / row);

			i += i < 0 ? table_dims[0] : 0;
			combine(&expected, (uint64_t)i * row + e % row, &list, e, params.scatter.function);
		}
		op_check(WEFT_OP_SCATTER, &params, 4, (struct tensor[]){table, index, list, y},
			 (struct tensor[]){table, index, list, expected}, "scatter");
		/* In place of the table. */
		tensor_free(&expected);
		expected = tensor_copy(&table);
		for (uint64_t e = 0; e < tensor_elements(&list); e++) {
			int64_t i = integer_at(&index, e / row);

			i += i < 0 ? table_dims[0] : 0;
			combine(&expected, (uint64_t)i * row + e % row, &list, e, params.scatter.function);
		}
		assert_int_equal(op_run(op_units[0], WEFT_OP_SCATTER, &params, 4,
					(struct tensor[]){table, index, list, table}, NULL),
				 WEFT_FAULT_NONE);
		assert_int_equal(tensor_difference(&table, &expected), -1);
		tensor_free(&table);
		tensor_free(&index);
		tensor_free(&list);
		tensor_free(&y);
		tensor_free(&expected);
	}
}

/* Whether element @a of a row comes before element @b. */
static bool comes_before(const struct tensor *x, uint64_t a, uint64_t b, bool smallest)
{
	double p = x->t.type == WEFT_TYPE_F32 ? (double)*tensor_f32(x, a) : (double)integer_at(x, a);
	double q = x->t.type == WEFT_TYPE_F32 ? (double)*tensor_f32(x, b) : (double)integer_at(x, b);

	if (isnan(p) || isnan(q))
		return isnan(p) == isnan(q) ? a < b : isnan(smallest ? q : p);
	if (p == q)
		return a < b;
	return smallest ? p < q : p > q;
}

static void test_topk(void **state)
{
	static const enum weft_type arithmetic[] = {WEFT_TYPE_F32, WEFT_TYPE_I32, WEFT_TYPE_I64};

	(void)state;
	for (uint64_t trial = 0; trial < 60; trial++) {
		uint64_t seed = trial;
		union weft_params params = {.topk = {.smallest = trial & 1}};
		enum weft_type type = arithmetic[trial / 2 % 3];
		unsigned int rank = 1 + trial % 3;
		uint32_t dims[3] = {random_range(&seed, 1, 9), random_range(&seed, 1, 9)}, y_dims[3], extent, k;
		struct tensor x, y, expected;

		extent = dims[rank - 1] = random_range(&seed, 1, 300);
		memcpy(y_dims, dims, sizeof(dims));
		k = y_dims[rank - 1] = random_range(&seed, 1, extent);
		x = tensor_random(&seed, type, rank, dims);
		/* Few different numbers, so that many are equal. */
		for (uint64_t e = 0; e < tensor_elements(&x); e++) {
			int64_t number = (int64_t)random_range(&seed, 0, 40) - 20;

			if (type != WEFT_TYPE_F32)
				set_integer(&x, e, number);
			else
				*tensor_f32(&x, e) = number == 20 ? NAN : (float)number;
		}
		y = tensor_random(&seed, trial & 4 ? WEFT_TYPE_I64 : WEFT_TYPE_I32, rank, y_dims);
		expected = tensor_copy(&y);
		for (uint64_t row = 0; row < tensor_elements(&x) / extent; row++) {
			for (uint32_t i = 0; i < extent; i++) {
				uint32_t rank_of = 0;

				for (uint32_t j = 0; j < extent; j++)
					rank_of += j != i && comes_before(&x, row * extent + j, row * extent + i,
									  params.topk.smallest);
				if (rank_of < k)
					set_integer(&expected, row * k + rank_of, i);
			}
		}
		op_check(WEFT_OP_TOPK, &params, 2, (struct tensor[]){x, y}, (struct tensor[]){x, expected}, "topk");
		tensor_free(&x);
		tensor_free(&y);
		tensor_free(&expected);
	}
}

static void test_bad_index(void **state)
{
	static const int64_t bad[] = {5, -6, INT64_MAX, INT64_MIN, 0x100000000};
	uint32_t table_dims[2] = {5, 3}, list_dims[2] = {4, 3};
	struct tensor table = tensor_dense(WEFT_TYPE_F32, 2, table_dims),
		      list = tensor_dense(WEFT_TYPE_F32, 2, list_dims);
	struct tensor index = tensor_dense(WEFT_TYPE_I64, 1, list_dims);

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct weft_fault_record fault;

		set_integer(&index, 3, bad[i]);
		assert_int_equal(
			op_run(op_units[0], WEFT_OP_GATHER, NULL, 3, (struct tensor[]){table, index, list}, &fault),
			WEFT_FAULT_VALUE);
		assert_int_equal(fault.operand, 1);
		assert_int_equal(fault.detail, 3);
		assert_true((int64_t)fault.address == bad[i]);
		assert_int_equal(op_run(op_units[0], WEFT_OP_SCATTER_ADD, NULL, 3,
					(struct tensor[]){list, index, table}, &fault),
				 WEFT_FAULT_VALUE);
		assert_true((int64_t)fault.address == bad[i]);
	}
	tensor_free(&table);
	tensor_free(&list);
	tensor_free(&index);
}

static void test_iota(void **state)
{
	static const enum weft_type types[] = {WEFT_TYPE_I32, WEFT_TYPE_I64, WEFT_TYPE_F32};

	(void)state;
	for (size_t k = 0; k < 3; k++) {
		uint32_t dims[1] = {40000};
		uint64_t seed = k;
		struct tensor t = tensor_random(&seed, types[k], 1, dims), expected = tensor_copy(&t);
		union weft_params params;

		memset(&params, 0, sizeof(params));
		params.iota.start = 3;
		params.iota.step = k == 2 ? 0.1 : -2;
		for (uint32_t i = 0; i < dims[0]; i++)
			if (k == 2)
				*tensor_f32(&expected, i) = (float)(3 + i * 0.1);
			else
				set_integer(&expected, i, 3 - 2 * (int64_t)i);
		op_check(WEFT_OP_IOTA, &params, 1, &t, &expected, "iota");
		tensor_free(&t);
		tensor_free(&expected);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_gather),	  cmocka_unit_test(test_scatter), cmocka_unit_test(test_topk),
		cmocka_unit_test(test_bad_index), cmocka_unit_test(test_iota),
	};

	return cmocka_run_group_tests(tests, op_units_make, op_units_free);
}
