// SPDX-License-Identifier: MIT
/*
 * SOFTMAX and XENT: references in the specified order to the bit, cross entropy
 * against its definition in double precision, gradients by central differences,
 * and labels out of range.
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

static float largest_of(const float *x, size_t n)
{
	float largest = -INFINITY;

	for (size_t i = 0; i < n; i++)
		largest = x[i] > largest ? x[i] : largest;
	return largest;
}

static void read_row(const struct tensor *t, uint64_t row, size_t n, float *out)
{
	for (size_t i = 0; i < n; i++)
		out[i] = *tensor_f32(t, row * n + i);
}

static void test_softmax(void **state)
{
	static const uint32_t shapes[][4] = {{1, 1, 1, 1},    {2, 3, 4, 10},  {1, 1, 64, 10}, {3, 1, 7, 257},
					     {1, 2, 3, 1000}, {5, 4, 60, 64}, {1, 1, 3, 5000}};

	(void)state;
	for (size_t k = 0; k < sizeof(shapes) / sizeof(shapes[0]); k++)
		for (unsigned int kind = 0; kind < 8; kind++) {
			uint64_t seed = k * 8 + kind;
			bool log = kind & 1, in_place = kind & 2;
			size_t n = shapes[k][3];
			struct tensor t[2] = {tensor_random(&seed, WEFT_TYPE_F32, 4, shapes[k]),
					      tensor_random(&seed, WEFT_TYPE_F32, 4, shapes[k])};
			struct tensor expected[2], b[3], expected_b[3];
			float *x = malloc(n * sizeof(float)), *v = malloc(n * sizeof(float));
			union weft_params params;

			memset(&params, 0, sizeof(params));
			params.softmax.log = log;
			if (kind & 4)
				*tensor_f32(&t[0], tensor_elements(&t[0]) - 1) = NAN;
			if (in_place) {
				tensor_free(&t[1]);
				t[1] = t[0];
			}
			expected[1] = tensor_copy(&t[1]);
			expected[0] = in_place ? expected[1] : t[0];
			for (uint64_t r = 0; r < tensor_elements(&t[0]) / n; r++) {
				float largest, sum;

				read_row(&t[0], r, n, x);
				largest = largest_of(x, n);
				for (size_t i = 0; i < n; i++)
					v[i] = weft_exp(x[i] - largest);
				sum = reference_sum(v, n);
				for (size_t i = 0; i < n; i++)
					*tensor_f32(&expected[1], r * n + i) =
						log ? (x[i] - largest) - (float)weft_log_d(sum) : v[i] / sum;
			}
			op_check(WEFT_OP_SOFTMAX_FWD, &params, 2, t, expected, "softmax");

			b[0] = expected[1];
			b[1] = tensor_random(&seed, WEFT_TYPE_F32, 4, shapes[k]);
			b[2] = in_place ? b[1] : tensor_random(&seed, WEFT_TYPE_F32, 4, shapes[k]);
			memcpy(expected_b, b, sizeof(b));
			expected_b[2] = tensor_copy(&b[2]);
			if (in_place)
				expected_b[1] = expected_b[2];
			for (uint64_t r = 0; r < tensor_elements(&t[0]) / n; r++) {
				float sum;

				for (size_t i = 0; i < n; i++) {
					x[i] = *tensor_f32(&b[0], r * n + i);
					v[i] = *tensor_f32(&b[1], r * n + i);
					v[i] = log ? v[i] : v[i] * x[i];
				}
				sum = reference_sum(v, n);
				for (size_t i = 0; i < n; i++) {
					float dy = *tensor_f32(&b[1], r * n + i);

					*tensor_f32(&expected_b[2], r * n + i) =
						log ? fmaf(-weft_exp(x[i]), sum, dy) : x[i] * (dy - sum);
				}
			}
			op_check(WEFT_OP_SOFTMAX_BWD, &params, 3, b, expected_b, "softmax backward");
			tensor_free(&b[1]);
			if (!in_place)
				tensor_free(&b[2]);
			tensor_free(&expected_b[2]);
			tensor_free(&expected[1]);
			tensor_free(&t[0]);
			if (!in_place)
				tensor_free(&t[1]);
			free(x);
			free(v);
		}
}

static void test_softmax_gradient(void **state)
{
	enum { N = 9 };
	uint32_t dims[2] = {1, N};
	uint64_t seed = 11;

	(void)state;
	for (unsigned int log = 0; log < 2; log++) {
		struct tensor x = tensor_ordered(&seed, WEFT_TYPE_F32, 2, dims, (unsigned int[]){1, 0});
		struct tensor dy = tensor_ordered(&seed, WEFT_TYPE_F32, 2, dims, (unsigned int[]){1, 0});
		struct tensor y = tensor_dense(WEFT_TYPE_F32, 2, dims), dx = tensor_dense(WEFT_TYPE_F32, 2, dims);
		union weft_params params;

		memset(&params, 0, sizeof(params));
		params.softmax.log = log;
		op_run(op_units[0], WEFT_OP_SOFTMAX_FWD, &params, 2, (struct tensor[]){x, y}, NULL);
		op_run(op_units[0], WEFT_OP_SOFTMAX_BWD, &params, 3, (struct tensor[]){y, dy, dx}, NULL);
		for (int i = 0; i < N; i++) {
			double loss[2] = {0, 0};

			for (int side = 0; side < 2; side++) {
				double sum = 0, v[N];

				for (int j = 0; j < N; j++) {
					v[j] = *tensor_f32(&x, j) + (j == i ? (side ? 1e-5 : -1e-5) : 0);
					sum += exp(v[j]);
				}
				for (int j = 0; j < N; j++)
					loss[side] +=
						*tensor_f32(&dy, j) * (log ? v[j] - log1p(sum - 1) : exp(v[j]) / sum);
			}
			assert_true(fabs((loss[1] - loss[0]) / 2e-5 - *tensor_f32(&dx, i)) < 1e-5);
		}
		tensor_free(&x);
		tensor_free(&dy);
		tensor_free(&y);
		tensor_free(&dx);
	}
}

/* torch.nn.CrossEntropyLoss in double precision; @rows receives the losses of the rows. */
static double exact_xent(const double *x, const int64_t *label, const float *weight, size_t rows, size_t classes,
			 const union weft_params *params, double *row_loss)
{
	double total = 0, denominator = 0, smoothing = params->xent.smoothing;

	for (size_t r = 0; r < rows; r++) {
		double sum = 0, loss = 0;

		row_loss[r] = 0;
		if (params->xent.has_ignore && label[r] == params->xent.ignore_index)
			continue;
		for (size_t c = 0; c < classes; c++)
			sum += exp(x[r * classes + c]);
		for (size_t c = 0; c < classes; c++) {
			double logp = x[r * classes + c] - log(sum), w = weight ? weight[c] : 1;

			loss -= smoothing / (double)classes * w * logp;
			if ((int64_t)c == label[r])
				loss -= (1 - smoothing) * w * logp;
		}
		row_loss[r] = loss;
		total += loss;
		denominator += weight ? weight[label[r]] : 1;
	}
	return params->xent.reduction == WEFT_XENT_MEAN ? total / denominator : total;
}

static void xent_case(unsigned int kind, unsigned int rows, unsigned int classes)
{
	uint64_t seed = kind * 31 + rows;
	uint32_t dims[2] = {rows, classes}, row_dims[1] = {rows}, class_dims[1] = {classes};
	unsigned int reduction = kind % 3;
	bool weighted = kind & 4, wide = kind & 8, smooth = kind & 16, ignore = kind & 32, in_place = kind & 1;
	struct tensor logits = tensor_random(&seed, WEFT_TYPE_F32, 2, dims);
	struct tensor labels = tensor_random(&seed, wide ? WEFT_TYPE_I64 : WEFT_TYPE_I32, 1, row_dims);
	struct tensor weights = weighted ? tensor_random(&seed, WEFT_TYPE_F32, 1, class_dims) : tensor_absent();
	struct tensor loss =
		reduction ? tensor_dense(WEFT_TYPE_F32, 0, NULL) : tensor_random(&seed, WEFT_TYPE_F32, 1, row_dims);
	struct tensor p = tensor_random(&seed, WEFT_TYPE_F32, 2, dims),
		      denominator = tensor_dense(WEFT_TYPE_F32, 0, NULL);
	struct tensor dloss =
		reduction ? tensor_dense(WEFT_TYPE_F32, 0, NULL) : tensor_random(&seed, WEFT_TYPE_F32, 1, row_dims);
	struct tensor forward[6] = {logits, labels, weights, loss, kind & 2 ? p : tensor_absent(), denominator};
	struct tensor backward[6], expected[6];
	double *x = calloc(rows * classes, sizeof(double)), *row_loss = calloc(rows, sizeof(double)), value;
	float *w = weighted ? calloc(classes, sizeof(float)) : NULL;
	int64_t *label = calloc(rows, sizeof(int64_t));
	union weft_params params;

	memset(&params, 0, sizeof(params));
	params.xent.reduction = reduction;
	params.xent.smoothing = smooth ? 0.1f : 0.0f;
	params.xent.has_ignore = ignore;
	params.xent.ignore_index = kind & 4 ? -100 : 1;
	for (unsigned int c = 0; c < classes && weighted; c++) {
		*tensor_f32(&weights, c) = 0.5f + 0.1f * (float)(c % 7);
		w[c] = *tensor_f32(&weights, c);
	}
	for (unsigned int i = 0; i < rows * classes; i++)
		x[i] = *tensor_f32(&logits, i) *= 5.0f;
	for (unsigned int r = 0; r < rows; r++) {
		label[r] = random_range(&seed, 0, classes - 1);
		if (ignore && r % 3 == 1)
			label[r] = params.xent.ignore_index;
		if (wide)
			*(int64_t *)tensor_at(&labels, r) = label[r];
		else
			*(int32_t *)tensor_at(&labels, r) = (int32_t)label[r];
	}
	for (unsigned int r = 0; r < (reduction ? 1 : rows); r++)
		*tensor_f32(&dloss, r) = 1.5f;

	assert_int_equal(op_run(op_units[0], WEFT_OP_XENT_FWD, &params, 6, forward, NULL), 0);
	value = exact_xent(x, label, w, rows, classes, &params, row_loss);
	if (reduction)
		assert_true(fabs(value - *tensor_f32(&loss, 0)) < 2e-6 * (1 + fabs(value)));
	for (unsigned int r = 0; r < rows && !reduction; r++)
		assert_true(fabs(row_loss[r] - *tensor_f32(&loss, r)) < 2e-6 * (1 + fabs(row_loss[r])));
	for (unsigned int r = 0; r < rows && (kind & 2); r++) {
		double sum = 0;

		for (unsigned int c = 0; c < classes; c++)
			sum += exp(x[r * classes + c]);
		for (unsigned int c = 0; c < classes; c++)
			assert_true(fabs(exp(x[r * classes + c]) / sum - *tensor_f32(&p, r * classes + c)) < 1e-6);
	}
	op_check(WEFT_OP_XENT_FWD, &params, 6, forward, forward, "xent");

	memcpy(backward,
	       (struct tensor[]){logits, labels, weights, dloss, kind & 8 ? denominator : tensor_absent(),
				 in_place ? logits : p},
	       sizeof(backward));
	memcpy(expected, backward, sizeof(backward));
	expected[5] = tensor_copy(&backward[5]);
	if (in_place)
		expected[0] = expected[5];
	assert_int_equal(op_run(op_units[0], WEFT_OP_XENT_BWD, &params, 6, expected, NULL), 0);
	op_check(WEFT_OP_XENT_BWD, &params, 6, backward, expected, "xent backward");
	for (unsigned int i = 0; i < rows * classes && rows * classes < 200; i++) {
		double keep = x[i], up, down, sum_up = 0, sum_down = 0;

		x[i] = keep + 1e-5;
		up = exact_xent(x, label, w, rows, classes, &params, row_loss);
		for (unsigned int r = 0; r < rows; r++)
			sum_up += row_loss[r];
		x[i] = keep - 1e-5;
		down = exact_xent(x, label, w, rows, classes, &params, row_loss);
		for (unsigned int r = 0; r < rows; r++)
			sum_down += row_loss[r];
		x[i] = keep;
		if (!reduction)
			up = sum_up, down = sum_down;
		assert_true(fabs(1.5 * (up - down) / 2e-5 - *tensor_f32(&expected[5], i)) < 2e-5);
	}
	tensor_free(&expected[5]);
	tensor_free(&logits);
	tensor_free(&labels);
	tensor_free(&weights);
	tensor_free(&loss);
	tensor_free(&p);
	tensor_free(&denominator);
	tensor_free(&dloss);
	free(x);
	free(row_loss);
	free(w);
	free(label);
}

static void test_xent(void **state)
{
	(void)state;
	for (unsigned int kind = 0; kind < 64; kind++) {
		xent_case(kind, 7, 5);
		xent_case(kind, 600, 10);
		xent_case(kind, 9, 1000);
	}
}

static void test_bad_labels(void **state)
{
	static const struct {
		int64_t label;
		int32_t ignore_index;
		bool has_ignore;
		enum weft_fault fault;
	} cases[] = {
		{0, 0, false, WEFT_FAULT_NONE},
		{4, 0, false, WEFT_FAULT_NONE},
		{5, 0, false, WEFT_FAULT_VALUE},
		{-1, 0, false, WEFT_FAULT_VALUE},
		{-100, -100, true, WEFT_FAULT_NONE},
		{-100, -100, false, WEFT_FAULT_VALUE},
		{INT64_MAX, -1, true, WEFT_FAULT_VALUE},
		{INT64_MIN, -1, true, WEFT_FAULT_VALUE},
		{0x100000000, 0, false, WEFT_FAULT_VALUE},
	};
	uint32_t dims[2] = {3, 5}, row_dims[1] = {3};
	struct tensor logits = tensor_dense(WEFT_TYPE_F32, 2, dims), labels = tensor_dense(WEFT_TYPE_I64, 1, row_dims);
	struct tensor scalar = tensor_dense(WEFT_TYPE_F32, 0, NULL), dx = tensor_dense(WEFT_TYPE_F32, 2, dims);
	struct tensor forward[6] = {logits, labels, tensor_absent(), scalar, tensor_absent(), tensor_absent()};
	struct tensor backward[6] = {logits, labels, tensor_absent(), scalar, tensor_absent(), dx};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct weft_fault_record fault;
		union weft_params params;

		memset(&params, 0, sizeof(params));
		params.xent.reduction = WEFT_XENT_MEAN;
		params.xent.has_ignore = cases[i].has_ignore;
		params.xent.ignore_index = cases[i].ignore_index;
		*(int64_t *)tensor_at(&labels, 2) = cases[i].label;
		for (int direction = 0; direction < 2; direction++) {
			assert_int_equal(op_run(op_units[0], direction ? WEFT_OP_XENT_BWD : WEFT_OP_XENT_FWD, &params,
						6, direction ? backward : forward, &fault),
					 cases[i].fault);
			if (cases[i].fault) {
				assert_int_equal(fault.operand, 1);
				assert_int_equal(fault.detail, 2);
				assert_true((int64_t)fault.address == cases[i].label);
			}
		}
	}
	tensor_free(&logits);
	tensor_free(&labels);
	tensor_free(&scalar);
	tensor_free(&dx);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_softmax),
		cmocka_unit_test(test_softmax_gradient),
		cmocka_unit_test(test_xent),
		cmocka_unit_test(test_bad_labels),
	};

	return cmocka_run_group_tests(tests, op_units_make, op_units_free);
}
