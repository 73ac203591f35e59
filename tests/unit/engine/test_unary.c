// SPDX-License-Identifier: MIT
/*
 * UNARY and UNARY_BWD: accuracy against double precision over dense sweeps and
 * special values, gradients against central differences, and the same bits on
 * every code path, for every layout, in place or not.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "op.h"

static double alpha_, beta_;

static double exact_identity(double x)
{
	return x;
}
static double exact_neg(double x)
{
	return -x;
}
static double exact_abs(double x)
{
	return fabs(x);
}
static double exact_sign(double x)
{
	return x > 0 ? 1 : x < 0 ? -1 : x;
}
static double exact_rsqrt(double x)
{
	return 1 / sqrt(x);
}
static double exact_reciprocal(double x)
{
	return 1 / x;
}
static double exact_square(double x)
{
	return x * x;
}
static double exact_relu(double x)
{
	return x < 0 ? 0 : x;
}
static double exact_leaky(double x)
{
	return x < 0 ? alpha_ * x : x;
}
static double exact_elu(double x)
{
	return x < 0 ? alpha_ * expm1(x) : x;
}
static double exact_selu(double x)
{
	return beta_ * (x < 0 ? alpha_ * expm1(x) : x);
}
static double exact_celu(double x)
{
	return x < 0 ? alpha_ * expm1(x / alpha_) : x;
}
static double exact_sigmoid(double x)
{
	return 1 / (1 + exp(-x));
}
static double exact_softplus(double x)
{
	return fmax(x, 0) + log1p(exp(-fabs(x)));
}
static double exact_softsign(double x)
{
	return x / (1 + fabs(x));
}
static double exact_gelu(double x)
{
	return x * 0.5 * erfc(-x * sqrt(0.5));
}
static double exact_gelu_tanh(double x)
{
	double u = sqrt(2 / M_PI) * (x + 0.044715 * x * x * x);

	return x / (1 + exp(-2 * u));
}
static double exact_silu(double x)
{
	return x / (1 + exp(-x));
}
static double exact_mish(double x)
{
	double e = exp(fmin(x, 50));

	return x * (e * e + 2 * e) / (e * e + 2 * e + 2);
}
static double exact_hard_sigmoid(double x)
{
	return isnan(x) ? x : fmax(0, fmin(1, alpha_ * x + beta_));
}
static double exact_hard_swish(double x)
{
	return isnan(x) ? x : x * fmax(0, fmin(1, x / 6 + 0.5));
}
static double exact_clip(double x)
{
	return x < alpha_ ? alpha_ : x > beta_ ? beta_ : x;
}
static double exact_affine(double x)
{
	return alpha_ * x + beta_;
}
static double exact_pow(double x)
{
	return pow(x, alpha_);
}
static double exact_thresholded(double x)
{
	return x > alpha_ || isnan(x) ? x : 0;
}
static double exact_shrink(double x)
{
	return x < -alpha_ ? x + beta_ : x > alpha_ ? x - beta_ : isnan(x) ? x : 0;
}

struct function {
	const char *name;
	enum weft_unary function;
	double (*exact)(double);
	double ulp; /* largest error in units of the last place */
	double alpha, beta;
	double low, high; /* where gradients are compared; kinks lie outside of sampled points */
	bool of_result;	  /* the gradient takes the result */
};

static const struct function functions[] = {
	{"identity", WEFT_UNARY_IDENTITY, exact_identity, 0, 0, 0, -5, 5, true},
	{"neg", WEFT_UNARY_NEG, exact_neg, 0, 0, 0, -5, 5, true},
	{"abs", WEFT_UNARY_ABS, exact_abs, 0, 0, 0, -5, 5, false},
	{"sign", WEFT_UNARY_SIGN, exact_sign, 0, 0, 0, -5, 5, false},
	{"exp", WEFT_UNARY_EXP, exp, 1.2, 0, 0, -5, 5, true},
	{"log", WEFT_UNARY_LOG, log, 0.51, 0, 0, 0.1, 5, false},
	{"sqrt", WEFT_UNARY_SQRT, sqrt, 0.501, 0, 0, 0.1, 5, true},
	{"rsqrt", WEFT_UNARY_RSQRT, exact_rsqrt, 0.501, 0, 0, 0.1, 5, true},
	{"reciprocal", WEFT_UNARY_RECIPROCAL, exact_reciprocal, 0.501, 0, 0, 0.1, 5, true},
	{"square", WEFT_UNARY_SQUARE, exact_square, 0.501, 0, 0, -5, 5, false},
	{"relu", WEFT_UNARY_RELU, exact_relu, 0, 0, 0, -5, 5, true},
	{"leaky_relu", WEFT_UNARY_LEAKY_RELU, exact_leaky, 0.501, 0.125, 0, -5, 5, false},
	{"elu", WEFT_UNARY_ELU, exact_elu, 0.501, 1.5, 0, -5, 5, false},
	{"selu", WEFT_UNARY_SELU, exact_selu, 0.501, 1.6732631921768188, 1.0507010221481323, -5, 5, false},
	{"celu", WEFT_UNARY_CELU, exact_celu, 0.501, 0.75, 0, -5, 5, false},
	{"sigmoid", WEFT_UNARY_SIGMOID, exact_sigmoid, 2.2, 0, 0, -5, 5, true},
	{"tanh", WEFT_UNARY_TANH, tanh, 2.6, 0, 0, -4, 4, true},
	{"softplus", WEFT_UNARY_SOFTPLUS, exact_softplus, 0.501, 0, 0, -5, 5, false},
	{"softsign", WEFT_UNARY_SOFTSIGN, exact_softsign, 1.6, 0, 0, -5, 5, false},
	{"gelu", WEFT_UNARY_GELU, exact_gelu, 4.9, 0, 0, -5, 5, false},
	{"gelu_tanh", WEFT_UNARY_GELU_TANH, exact_gelu_tanh, 0.501, 0, 0, -4, 4, false},
	{"silu", WEFT_UNARY_SILU, exact_silu, 2.9, 0, 0, -5, 5, false},
	{"mish", WEFT_UNARY_MISH, exact_mish, 0.501, 0, 0, -5, 5, false},
	{"hard_sigmoid", WEFT_UNARY_HARD_SIGMOID, exact_hard_sigmoid, 0.501, 0.25, 0.5, -5, 5, false},
	{"hard_swish", WEFT_UNARY_HARD_SWISH, exact_hard_swish, INFINITY, 0, 0, -5, 5, false},
	{"clip", WEFT_UNARY_CLIP, exact_clip, 0, -1, 2, -5, 5, true},
	{"affine", WEFT_UNARY_AFFINE, exact_affine, 0.501, 3, -0.5, -5, 5, false},
	{"pow 2.5", WEFT_UNARY_POW, exact_pow, 0.501, 2.5, 0, 0.1, 5, false},
	{"pow -3", WEFT_UNARY_POW, exact_pow, 0.501, -3, 0, -5, -0.1, false},
	{"pow 0", WEFT_UNARY_POW, exact_pow, 0.501, 0, 0, -5, 5, false},
	{"thresholded_relu", WEFT_UNARY_THRESHOLDED_RELU, exact_thresholded, 0, 1, 0, -5, 5, false},
	{"shrink", WEFT_UNARY_SHRINK, exact_shrink, 0.501, 0.5, 0.25, -5, 5, false},
	{"erf", WEFT_UNARY_ERF, erf, 0.501, 0, 0, -3, 3, false},
	{"sin", WEFT_UNARY_SIN, sin, 0.501, 0, 0, -9, 9, false},
	{"cos", WEFT_UNARY_COS, cos, 0.501, 0, 0, -9, 9, false},
	{"tan", WEFT_UNARY_TAN, tan, 0.501, 0, 0, -1.4, 1.4, false},
	{"asin", WEFT_UNARY_ASIN, asin, 0.501, 0, 0, -0.9, 0.9, false},
	{"acos", WEFT_UNARY_ACOS, acos, 0.501, 0, 0, -0.9, 0.9, false},
	{"atan", WEFT_UNARY_ATAN, atan, 0.501, 0, 0, -5, 5, false},
	{"sinh", WEFT_UNARY_SINH, sinh, 0.501, 0, 0, -5, 5, false},
	{"cosh", WEFT_UNARY_COSH, cosh, 0.501, 0, 0, -5, 5, false},
	{"asinh", WEFT_UNARY_ASINH, asinh, 0.501, 0, 0, -5, 5, false},
	{"acosh", WEFT_UNARY_ACOSH, acosh, 0.501, 0, 0, 1.1, 5, false},
	{"atanh", WEFT_UNARY_ATANH, atanh, 0.501, 0, 0, -0.9, 0.9, false},
	{"floor", WEFT_UNARY_FLOOR, floor, 0, 0, 0, -5, 5, false},
	{"ceil", WEFT_UNARY_CEIL, ceil, 0, 0, 0, -5, 5, false},
	{"round", WEFT_UNARY_ROUND, rint, 0, 0, 0, -5, 5, false},
};
#define FUNCTIONS (sizeof(functions) / sizeof(functions[0]))

static union weft_params params_of(const struct function *f)
{
	union weft_params params;

	memset(&params, 0, sizeof(params));
	params.unary.function = f->function;
	params.unary.alpha = (float)f->alpha;
	params.unary.beta = (float)f->beta;
	alpha_ = params.unary.alpha;
	beta_ = params.unary.beta;
	return params;
}

/* Distance from the exact value in units of the float that lies there. */
static double error_in_ulp(float got, double exact)
{
	double unit;
	int exponent;

	if (isnan(exact))
		return isnan(got) ? 0 : INFINITY;
	if ((double)got == exact || got == (float)exact)
		return fabs((double)got - exact) == 0 || isinf(got) ? 0 : 0.5;
	if (isnan(got) || isinf(got))
		return isinf(got) && fabs(exact) > 0x1.fffffcp127 ? 1 : INFINITY;
	if (isinf((float)exact))
		return fabs(got) > 0x1.fffff0p127 ? 1 : INFINITY;
	frexp(exact, &exponent);
	unit = ldexp(1.0, (exponent < -125 ? -125 : exponent) - 24);
	return fabs((double)got - exact) / unit;
}

static const float special[] = {0.0f,
				-0.0f,
				INFINITY,
				-INFINITY,
				NAN,
				1.0f,
				-1.0f,
				0.5f,
				-0.5f,
				0x1p-149f,
				-0x1p-149f,
				0x1p-126f,
				-0x1p-126f,
				0x1.fffffep-127f,
				0x1.fffffep127f,
				-0x1.fffffep127f,
				88.7228f,
				88.7229f,
				-87.3366f,
				-103.9f,
				-104.1f,
				20.0f,
				-20.0f,
				0x1p20f,
				-0x1p20f,
				0x1.fffffep19f,
				0x1p60f,
				0x1p100f,
				3.14159274f,
				1.57079637f,
				-1.57079637f,
				1e30f,
				16.0f,
				0.25f,
				-0.25f,
				2.5f,
				3.5f,
				-2.5f,
				0.75f,
				0x1.6a09e6p-1f,
				0x1.6a09e8p-1f};
#define SPECIALS (sizeof(special) / sizeof(special[0]))

/* All exponents, 24 mantissas each, both signs; then a dense range. */
static size_t sweep(float **out)
{
	size_t n = 0, room = SPECIALS + 254 * 2 * 24 + 40001;
	uint64_t state = 7;
	float *x = malloc(room * sizeof(float));

	assert_non_null(x);
	for (size_t i = 0; i < SPECIALS; i++)
		x[n++] = special[i];
	for (int e = -126; e <= 127; e++)
		for (int i = 0; i < 48; i++)
			x[n++] =
				ldexpf(1.0f + (float)(random_next(&state) >> 9) * 0x1p-23f, e) * (i & 1 ? -1.0f : 1.0f);
	for (int i = -20000; i <= 20000; i++)
		x[n++] = (float)i * (1.0f / 1111.0f);
	*out = x;
	return n;
}

static void test_accuracy(void **state)
{
	struct tensor t[2];
	float *x;
	size_t n = sweep(&x);
	uint32_t dims[1] = {(uint32_t)n};

	(void)state;
	t[0] = tensor_dense(WEFT_TYPE_F32, 1, dims);
	t[1] = tensor_dense(WEFT_TYPE_F32, 1, dims);
	memcpy(t[0].base, x, n * sizeof(float));
	for (size_t k = 0; k < FUNCTIONS; k++) {
		const struct function *f = &functions[k];
		union weft_params params = params_of(f);
		double worst = 0;
		size_t at = 0;

		assert_int_equal(op_run(op_units[op_unit_count - 1], WEFT_OP_UNARY, &params, 2, t, NULL), 0);
		for (size_t i = 0; i < n; i++) {
			double error = error_in_ulp(*tensor_f32(&t[1], i), f->exact(x[i]));

			/* A gate that is denormal has few bits. */
			if (f->ulp > 2.8 && fabs(f->exact(x[i])) < 1e-35 &&
			    fabs(*tensor_f32(&t[1], i) - f->exact(x[i])) < 1e-43)
				error = 0;
			if (error > worst) {
				worst = error;
				at = i;
			}
		}
		if (worst > f->ulp)
			fail_msg("%s(%a) = %a, exactly %a: %g ulp, allowed %g", f->name, (double)x[at],
				 (double)*tensor_f32(&t[1], at), f->exact(x[at]), worst, f->ulp);
		/* The sign of zero and the same bits everywhere. */
		op_check(WEFT_OP_UNARY, &params, 2, t, t, f->name);
	}
	tensor_free(&t[0]);
	tensor_free(&t[1]);
	free(x);
}

static void test_gradient(void **state)
{
	enum { N = 801 };
	struct tensor t[3];
	uint32_t dims[1] = {N};

	(void)state;
	for (int i = 0; i < 3; i++)
		t[i] = tensor_dense(WEFT_TYPE_F32, 1, dims);
	for (size_t k = 0; k < FUNCTIONS; k++) {
		const struct function *f = &functions[k];
		union weft_params params = params_of(f);
		float xs[N];

		for (unsigned int i = 0; i < N; i++) {
			/* An irrational step keeps away from kinks at round numbers. */
			float x = (float)(f->low + (f->high - f->low) * (i + 0.3819660113) / (N + 1));

			xs[i] = x;
			*tensor_f32(&t[0], i) = f->of_result ? (float)f->exact(x) : x;
			*tensor_f32(&t[1], i) = 1.0f + 0.001f * (float)i;
		}
		assert_int_equal(op_run(op_units[op_unit_count - 1], WEFT_OP_UNARY_BWD, &params, 3, t, NULL), 0);
		for (unsigned int i = 0; i < N; i++) {
			double h = 1e-5, x = xs[i];
			double slope = (f->exact(x + h) - f->exact(x - h)) / (2 * h);
			double expected = slope * *tensor_f32(&t[1], i), got = *tensor_f32(&t[2], i);

			if (!(fabs(got - expected) <= 2e-5 * (1 + fabs(expected))) &&
			    fabs(f->exact(x + h) - 2 * f->exact(x) + f->exact(x - h)) < 1e-6)
				fail_msg("%s'(%g) = %g, expected %g", f->name, x, got, expected);
		}
		op_check(WEFT_OP_UNARY_BWD, &params, 3, t, t, f->name);
	}
	for (int i = 0; i < 3; i++)
		tensor_free(&t[i]);
}

static void random_dims(uint64_t *seed, unsigned int *rank, uint32_t dims[])
{
	*rank = random_next(seed) % (WEFT_MAX_RANK + 1);
	for (unsigned int d = 0; d < *rank; d++)
		dims[d] = random_range(seed, 1, *rank > 5 ? 3 : *rank > 3 ? 6 : *rank > 1 ? 30 : 20000);
}

/* Any layout gives what the element alone gives. */
static void test_layouts(void **state)
{
	(void)state;
	for (uint64_t trial = 0; trial < 60; trial++) {
		const struct function *f = &functions[trial % FUNCTIONS];
		union weft_params params = params_of(f);
		uint64_t seed = trial;
		uint32_t dims[WEFT_MAX_RANK], one[1] = {1};
		unsigned int rank;
		struct tensor t[2], expected[2], x, y;

		random_dims(&seed, &rank, dims);
		t[0] = tensor_random(&seed, WEFT_TYPE_F32, rank, dims);
		t[1] = tensor_random(&seed, WEFT_TYPE_F32, rank, dims);
		if (trial % 4 == 3) {
			tensor_free(&t[1]);
			t[1] = t[0]; /* in place */
		}
		x = tensor_dense(WEFT_TYPE_F32, 1, one);
		y = tensor_dense(WEFT_TYPE_F32, 1, one);
		expected[1] = tensor_copy(&t[1]);
		expected[0] = trial % 4 == 3 ? expected[1] : t[0];
		for (uint64_t e = 0; e < tensor_elements(&t[0]); e++) {
			struct tensor pair[2] = {x, y};

			*tensor_f32(&x, 0) = *tensor_f32(&t[0], e);
			op_run(op_units[0], WEFT_OP_UNARY, &params, 2, pair, NULL);
			*tensor_f32(&expected[1], e) = *tensor_f32(&y, 0);
		}
		op_check(WEFT_OP_UNARY, &params, 2, t, expected, f->name);
		tensor_free(&x);
		tensor_free(&y);
		tensor_free(&expected[1]);
		if (t[1].storage != t[0].storage)
			tensor_free(&t[1]);
		tensor_free(&t[0]);
	}
}

static void test_predicates(void **state)
{
	static const struct {
		enum weft_unary function;
		float alpha, beta, x;
		uint8_t result;
	} cases[] = {
		{WEFT_UNARY_ISNAN, 0, 0, NAN, 1},	{WEFT_UNARY_ISNAN, 0, 0, INFINITY, 0},
		{WEFT_UNARY_ISINF, 1, 1, INFINITY, 1},	{WEFT_UNARY_ISINF, 1, 0, INFINITY, 0},
		{WEFT_UNARY_ISINF, 0, 1, -INFINITY, 0}, {WEFT_UNARY_ISINF, 1, 0, -INFINITY, 1},
		{WEFT_UNARY_ISINF, 1, 1, 0x1p127f, 0},	{WEFT_UNARY_ISINF, 1, 1, NAN, 0},
	};
	struct tensor t[2] = {tensor_dense(WEFT_TYPE_F32, 0, NULL), tensor_dense(WEFT_TYPE_BOOL, 0, NULL)};
	struct tensor n[2] = {tensor_dense(WEFT_TYPE_BOOL, 0, NULL), tensor_dense(WEFT_TYPE_BOOL, 0, NULL)};
	union weft_params params;

	(void)state;
	memset(&params, 0, sizeof(params));
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		params.unary.function = cases[i].function;
		params.unary.alpha = cases[i].alpha;
		params.unary.beta = cases[i].beta;
		*tensor_f32(&t[0], 0) = cases[i].x;
		assert_int_equal(op_run(op_units[0], WEFT_OP_UNARY, &params, 2, t, NULL), 0);
		assert_int_equal(*t[1].base, cases[i].result);
	}
	params.unary.function = WEFT_UNARY_NOT;
	for (int v = 0; v < 2; v++) {
		*n[0].base = (uint8_t)v;
		assert_int_equal(op_run(op_units[0], WEFT_OP_UNARY, &params, 2, n, NULL), 0);
		assert_int_equal(*n[1].base, !v);
	}
	for (int i = 0; i < 2; i++) {
		tensor_free(&t[i]);
		tensor_free(&n[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_accuracy),
		cmocka_unit_test(test_gradient),
		cmocka_unit_test(test_layouts),
		cmocka_unit_test(test_predicates),
	};

	return cmocka_run_group_tests(tests, op_units_make, op_units_free);
}
