// SPDX-License-Identifier: MIT
/* Scales and zero points of activations, and integers of weights, by each method. */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "quant/quant.h"
#include "weft/error.h"

#define BINS WEFT_HISTOGRAM_BINS

/* Values in [@low, @high]: nearly all in [0, 1], @far at the upper end. */
static struct weft_calibrated seen(float low, float high, uint64_t far)
{
	struct weft_calibrated a = {.name = "a", .low = low, .high = high, .histogram = calloc(BINS, sizeof(uint64_t))};
	float width = (high - low) / BINS;

	assert_non_null(a.histogram);
	for (size_t i = 0; i < BINS; i++) {
		float x = low + ((float)i + 0.5f) * width;

		if (x >= 0 && x < 1)
			a.histogram[i] = 1000;
	}
	a.histogram[0]++;
	a.histogram[BINS - 1] += far;
	return a;
}

/* The mean squared error of what the histogram holds. */
static double error_of(const struct weft_calibrated *a, double scale, int32_t zero)
{
	double error = 0, width = ((double)a->high - (double)a->low) / BINS;

	for (size_t i = 0; i < BINS; i++) {
		double x = (double)a->low + ((double)i + 0.5) * width, q = nearbyint(x / scale) + zero;

		q = q < 0 ? 0 : q > 255 ? 255 : q;
		error += (double)a->histogram[i] * pow((q - zero) * scale - x, 2);
	}
	return error;
}

static void minmax(void **state)
{
	static const struct {
		float low, high, scale;
		int32_t zero;
	} cases[] = {
		{0, 255, 1, 0},		  {-128, 127, 1, 128}, {-1, 4, 5.0f / 255, 51},		  {0, 0, 1, 0},
		{-3, 0, 3.0f / 255, 255}, {0, 1e-35f, 1, 0},   {-1e30f, 0, 1e30f / 255, 255},
	};
	const struct weft_quantize_options options = {.calibration = WEFT_CALIBRATION_MINMAX};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct weft_calibrated a = {.low = cases[i].low, .high = cases[i].high};

		weft_quant_choose(&a, &options);
		if (fabs(a.scale - (double)cases[i].scale) > 1e-6 * (double)cases[i].scale || a.zero != cases[i].zero)
			fail_msg("case %zu: scale %g, zero point %d", i, a.scale, a.zero);
	}
}

static void percentile(void **state)
{
	struct weft_quantize_options options = {.calibration = WEFT_CALIBRATION_PERCENTILE, .percentile = 99};
	struct weft_calibrated a = seen(-1, 9, 3);

	(void)state;
	weft_quant_choose(&a, &options);
	/* The few values at -1 and 9 are cut off; 0 stays in the range. */
	assert_true(a.scale < 1.02 / 255 && a.scale > 0.97 / 255);
	assert_true(a.zero >= 0 && a.zero <= 2);
	/* All values: as minmax. */
	options.percentile = 100;
	weft_quant_choose(&a, &options);
	assert_true(fabs(a.scale - 10.0 / 255) < 1e-4);
	assert_true(a.zero == 25 || a.zero == 26);
	free(a.histogram);
}

static void least_error(void **state)
{
	static const uint64_t far[] = {1, 30, 100000};
	double last = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(far) / sizeof(far[0]); i++) {
		struct weft_calibrated a = seen(-1, 9, far[i]), all = a;

		weft_quant_choose(&a, &(struct weft_quantize_options){.calibration = WEFT_CALIBRATION_MSE});
		weft_quant_choose(&all, &(struct weft_quantize_options){.calibration = WEFT_CALIBRATION_MINMAX});
		assert_true(error_of(&a, a.scale, a.zero) <= error_of(&all, all.scale, all.zero) * (1 + 1e-9));
		/* The more there is at the far end, the less of it is cut off. */
		assert_true(a.scale >= last);
		last = a.scale;
		if (!i)
			assert_true(a.scale < 0.9 * all.scale);
		free(a.histogram);
	}
}

static struct weft_host_tensor *matrix(uint32_t rows, uint32_t columns)
{
	const int64_t dims[] = {rows, columns};
	float *data = calloc((size_t)rows * columns, sizeof(*data));
	Onnx__TensorProto proto = ONNX__TENSOR_PROTO__INIT;
	struct weft_host_tensor *tensor;

	for (uint32_t i = 0; i < rows * columns; i++)
		data[i] = (float)((int)(i * 2654435761u >> 20) - 2048) / 2048 * (float)(1 + i / columns);
	proto.name = "w";
	proto.has_data_type = 1;
	proto.data_type = ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT;
	proto.n_dims = 2;
	proto.dims = (int64_t *)dims;
	proto.has_raw_data = 1;
	proto.raw_data.data = (uint8_t *)data;
	proto.raw_data.len = (size_t)rows * columns * sizeof(*data);
	assert_int_equal(weft_onnx_tensor(&proto, &tensor), 0);
	free(data);
	return tensor;
}

static double weight_error(const struct weft_host_tensor *t, const struct weft_weight *w)
{
	size_t inner = w->count > 1 ? weft_quant_inner(t, w->axis) : t->elements;
	double error = 0;

	for (size_t i = 0; i < t->elements; i++)
		error += pow((double)w->integers[i] * (double)w->scale[i / inner % w->count] -
				     (double)((float *)t->data)[i],
			     2);
	return error;
}

static void weights(void **state)
{
	(void)state;
	for (unsigned int axis = 0; axis < 2; axis++) {
		struct weft_host_tensor *t = matrix(5, 300);
		struct weft_weight each, one, best;
		const float *data = t->data;

		assert_int_equal(weft_quant_weight(t, axis, &(struct weft_quantize_options){0}, &each), 0);
		assert_int_equal(each.count, t->dims[axis]);
		for (size_t i = 0; i < t->elements; i++) {
			float scale = each.scale[axis ? i % 300 : i / 300];

			assert_true(abs(each.integers[i]) <= 127);
			assert_true(fabsf((float)each.integers[i] * scale - data[i]) <= scale * 0.501f);
		}
		assert_int_equal(weft_quant_weight(t, axis, &(struct weft_quantize_options){.per_tensor = true}, &one),
				 0);
		assert_int_equal(one.count, 1);
		assert_true(weight_error(t, &each) < weight_error(t, &one));
		/* A single far element costs all others less when it is cut. */
		((float *)t->data)[7] = 60;
		weft_quant_weight_free(&each);
		assert_int_equal(weft_quant_weight(t, 0, &(struct weft_quantize_options){0}, &each), 0);
		assert_int_equal(weft_quant_weight(t, 0,
						   &(struct weft_quantize_options){.calibration = WEFT_CALIBRATION_MSE},
						   &best),
				 0);
		assert_true(weight_error(t, &best) <= weight_error(t, &each));
		weft_quant_weight_free(&each);
		weft_quant_weight_free(&best);
		((float *)t->data)[3] = NAN;
		assert_int_equal(weft_quant_weight(t, axis, &(struct weft_quantize_options){0}, &each), -EDOM);
		weft_quant_weight_free(&one);
		weft_host_tensor_free(t);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(minmax), cmocka_unit_test(percentile),
					   cmocka_unit_test(least_error), cmocka_unit_test(weights)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
