/* SPDX-License-Identifier: MIT */
/* UNARY and UNARY_BWD. */
#include "iterate.h"
#include "kernels.h"
#include "real.h"

#define ROWS(function)                                                                                     \
	static void function(const void *context, uint64_t first, size_t rows, size_t n, char *const at[], \
			     const ptrdiff_t step[])

/* Elements of a row do not depend on one another, also when the result replaces an operand. */
#define EACH _Pragma("GCC ivdep") for (size_t i = 0; i < n; i++)

/* f(x) for every element; alpha and beta are at hand. */
#define UNARY_TYPED(name, input, output, expression)                                        \
	ROWS(unary_##name)                                                                  \
	{                                                                                   \
		const union weft_params *params = context;                                  \
		const float alpha = params->unary.alpha, beta = params->unary.beta;         \
                                                                                            \
		(void)first, (void)alpha, (void)beta;                                       \
		for (size_t row = 0; row < rows; row++) {                                   \
			const input *a = (const input *)(at[0] + (ptrdiff_t)row * step[0]); \
			output *y = (output *)(at[1] + (ptrdiff_t)row * step[1]);           \
                                                                                            \
			EACH                                                                \
			{                                                                   \
				const input x = a[i];                                       \
				y[i] = (output)(expression);                                \
			}                                                                   \
		}                                                                           \
	}
#define UNARY(name, expression) UNARY_TYPED(name, float, float, expression)

/* Sine and its like: arguments out of the fast reduction's range are rare, and must not keep the loop scalar. */
#define UNARY_TRIG(name, expression)                                                        \
	ROWS(unary_##name)                                                                  \
	{                                                                                   \
		(void)context, (void)first;                                                 \
		for (size_t row = 0; row < rows; row++) {                                   \
			const float *a = (const float *)(at[0] + (ptrdiff_t)row * step[0]); \
			float *y = (float *)(at[1] + (ptrdiff_t)row * step[1]);             \
			int large = 0;                                                      \
                                                                                            \
			for (size_t i = 0; i < n; i++)                                      \
				large |= fabsf(a[i]) >= (float)WEFT_TRIG_FAST;              \
			if (large) {                                                        \
				for (size_t i = 0; i < n; i++) {                            \
					uint64_t q;                                         \
					double r = trig_reduce_large(a[i], &q);             \
					y[i] = (float)(expression);                         \
				}                                                           \
			} else {                                                            \
				EACH                                                        \
				{                                                           \
					uint64_t q;                                         \
					double r = weft_trig_reduce_d(a[i], &q);            \
					y[i] = (float)(expression);                         \
				}                                                           \
			}                                                                   \
		}                                                                           \
	}

static double trig_reduce_large(float x, uint64_t *q)
{
	if (!(fabsf(x) < INFINITY)) {
		*q = 0;
		return (double)NAN;
	}
	return weft_trig_reduce_any(x, q);
}

WEFT_INLINE float sign(float x)
{
	return x > 0.0f ? 1.0f : x < 0.0f ? -1.0f : x;
}

WEFT_INLINE float clip(float x, float low, float high)
{
	x = x < low ? low : x;
	return x > high ? high : x;
}

WEFT_INLINE double mish_d(double x)
{
	double e = weft_exp_d(x > 40.0 ? 40.0 : x);
	double s = e * (e + 2.0);

	return s / (s + 2.0);
}

WEFT_INLINE float gelu(float x)
{
	float density;
	float tail = weft_normal_tail(x, &density);

	/* Not infinity times 0. */
	float right = tail > 0.0f ? fmaf(-x, tail, x) : x;

	return x > 0.0f ? right : x * tail;
}

WEFT_INLINE double gelu_tanh_gate_d(double x)
{
	return 1.0 / (1.0 + weft_exp_d(-2.0 * 0.7978845608028654 * (x + 0.044715 * x * x * x)));
}

WEFT_INLINE double sigmoid_d(double x)
{
	double e = weft_exp_d(-fabs(x));

	return (x < 0.0 ? e : 1.0) / (1.0 + e);
}

UNARY(identity, x)
UNARY(neg, -x)
UNARY(abs, fabsf(x))
UNARY(sign, sign(x))
UNARY(exp, weft_exp(x))
UNARY(log, weft_log_d(x))
UNARY(sqrt, sqrtf(x))
UNARY(rsqrt, 1.0 / sqrt((double)x))
UNARY(reciprocal, 1.0f / x)
UNARY(square, x *x)
UNARY(relu, x < 0.0f ? 0.0f : x)
UNARY(leaky_relu, x < 0.0f ? alpha * x : x)
UNARY(elu, x < 0.0f ? alpha * weft_expm1_d(x) : (double)x)
UNARY(selu, beta *(x < 0.0f ? alpha * weft_expm1_d(x) : (double)x))
UNARY(celu, x < 0.0f ? alpha * weft_expm1_d((double)x / alpha) : (double)x)
UNARY(sigmoid, weft_sigmoid(x))
UNARY(tanh, weft_tanh(x))
UNARY(softplus, weft_softplus_d(x))
UNARY(softsign, x / (1.0f + fabsf(x)))
UNARY(gelu, gelu(x))
UNARY(gelu_tanh, x *gelu_tanh_gate_d(x))
UNARY(silu, x *weft_sigmoid(x))
UNARY(mish, x *mish_d(x))
UNARY(hard_sigmoid, clip(fmaf(alpha, x, beta), 0.0f, 1.0f))
UNARY(hard_swish, x *clip(fmaf(1.0f / 6.0f, x, 0.5f), 0.0f, 1.0f))
UNARY(clip, clip(x, alpha, beta))
UNARY(affine, fmaf(alpha, x, beta))
UNARY(pow, weft_pow_d(x, alpha))
UNARY(thresholded_relu, x > alpha ? x : x != x ? x : 0.0f)
UNARY(shrink, x<-alpha ? x + beta : x> alpha ? x - beta : x != x ? x : 0.0f)
UNARY(erf, weft_erf_d(x))
UNARY_TRIG(sin, weft_sin_quadrant(r, q))
UNARY_TRIG(cos, weft_sin_quadrant(r, q + 1))
UNARY_TRIG(tan, weft_sin_quadrant(r, q) / weft_sin_quadrant(r, q + 1))
UNARY(asin, weft_asin_d(x))
UNARY(acos, weft_acos_d(x))
UNARY(atan, weft_atan_d(x))
UNARY(sinh, weft_sinh_d(x))
UNARY(cosh, weft_cosh_d(x))
UNARY(asinh, weft_asinh_d(x))
UNARY(acosh, weft_acosh_d(x))
UNARY(atanh, weft_atanh_d(x))
UNARY(floor, floorf(x))
UNARY(ceil, ceilf(x))
UNARY(round, rintf(x))
UNARY_TYPED(not, uint8_t, uint8_t, !x)
UNARY_TYPED(isnan, float, uint8_t, x != x)
UNARY_TYPED(isinf, float, uint8_t, (x == INFINITY && beta != 0.0f) || (x == -INFINITY && alpha != 0.0f))

static const weft_rows unary_table[WEFT_UNARY_FUNCTIONS] = {
	[WEFT_UNARY_IDENTITY] = unary_identity,
	[WEFT_UNARY_NEG] = unary_neg,
	[WEFT_UNARY_ABS] = unary_abs,
	[WEFT_UNARY_SIGN] = unary_sign,
	[WEFT_UNARY_EXP] = unary_exp,
	[WEFT_UNARY_LOG] = unary_log,
	[WEFT_UNARY_SQRT] = unary_sqrt,
	[WEFT_UNARY_RSQRT] = unary_rsqrt,
	[WEFT_UNARY_RECIPROCAL] = unary_reciprocal,
	[WEFT_UNARY_SQUARE] = unary_square,
	[WEFT_UNARY_RELU] = unary_relu,
	[WEFT_UNARY_LEAKY_RELU] = unary_leaky_relu,
	[WEFT_UNARY_ELU] = unary_elu,
	[WEFT_UNARY_SELU] = unary_selu,
	[WEFT_UNARY_CELU] = unary_celu,
	[WEFT_UNARY_SIGMOID] = unary_sigmoid,
	[WEFT_UNARY_TANH] = unary_tanh,
	[WEFT_UNARY_SOFTPLUS] = unary_softplus,
	[WEFT_UNARY_SOFTSIGN] = unary_softsign,
	[WEFT_UNARY_GELU] = unary_gelu,
	[WEFT_UNARY_GELU_TANH] = unary_gelu_tanh,
	[WEFT_UNARY_SILU] = unary_silu,
	[WEFT_UNARY_MISH] = unary_mish,
	[WEFT_UNARY_HARD_SIGMOID] = unary_hard_sigmoid,
	[WEFT_UNARY_HARD_SWISH] = unary_hard_swish,
	[WEFT_UNARY_CLIP] = unary_clip,
	[WEFT_UNARY_AFFINE] = unary_affine,
	[WEFT_UNARY_POW] = unary_pow,
	[WEFT_UNARY_THRESHOLDED_RELU] = unary_thresholded_relu,
	[WEFT_UNARY_SHRINK] = unary_shrink,
	[WEFT_UNARY_ERF] = unary_erf,
	[WEFT_UNARY_SIN] = unary_sin,
	[WEFT_UNARY_COS] = unary_cos,
	[WEFT_UNARY_TAN] = unary_tan,
	[WEFT_UNARY_ASIN] = unary_asin,
	[WEFT_UNARY_ACOS] = unary_acos,
	[WEFT_UNARY_ATAN] = unary_atan,
	[WEFT_UNARY_SINH] = unary_sinh,
	[WEFT_UNARY_COSH] = unary_cosh,
	[WEFT_UNARY_ASINH] = unary_asinh,
	[WEFT_UNARY_ACOSH] = unary_acosh,
	[WEFT_UNARY_ATANH] = unary_atanh,
	[WEFT_UNARY_FLOOR] = unary_floor,
	[WEFT_UNARY_CEIL] = unary_ceil,
	[WEFT_UNARY_ROUND] = unary_round,
	[WEFT_UNARY_NOT] = unary_not,
	[WEFT_UNARY_ISNAN] = unary_isnan,
	[WEFT_UNARY_ISINF] = unary_isinf,
};

enum weft_fault WEFT_KERNEL(weft_unary)(WEFT_KERNEL_ARGUMENTS)
{
	struct weft_iteration it;

	(void)fault;
	weft_iteration_begin(&it, &command->operand[1]);
	weft_iteration_add(&it, &command->operand[0], pointer[0], false);
	weft_iteration_add(&it, &command->operand[1], pointer[1], true);
	weft_iteration_run(&it, unit, unary_table[command->params.unary.function], &command->params);
	return WEFT_FAULT_NONE;
}

/* The gradient from z (the result where enum weft_unary says so, else the argument) and dy. */
#define BACKWARD(name, expression)                                                            \
	ROWS(backward_##name)                                                                 \
	{                                                                                     \
		const union weft_params *params = context;                                    \
		const float alpha = params->unary.alpha, beta = params->unary.beta;           \
                                                                                              \
		(void)first, (void)alpha, (void)beta;                                         \
		for (size_t row = 0; row < rows; row++) {                                     \
			const float *zs = (const float *)(at[0] + (ptrdiff_t)row * step[0]);  \
			const float *dys = (const float *)(at[1] + (ptrdiff_t)row * step[1]); \
			float *dx = (float *)(at[2] + (ptrdiff_t)row * step[2]);              \
                                                                                              \
			EACH                                                                  \
			{                                                                     \
				const float z = zs[i], dy = dys[i];                           \
				(void)z, (void)dy;                                            \
				dx[i] = (float)(expression);                                  \
			}                                                                     \
		}                                                                             \
	}

WEFT_INLINE float gelu_slope(float x)
{
	float density;
	float tail = weft_normal_tail(x, &density);

	return fmaf(x, 0.398942280f * density, x > 0.0f ? 1.0f - tail : tail);
}

WEFT_INLINE double gelu_tanh_slope_d(double x)
{
	double s = gelu_tanh_gate_d(x);

	return s + x * s * (1.0 - s) * (2.0 * 0.7978845608028654 * (1.0 + 3.0 * 0.044715 * x * x));
}

WEFT_INLINE double silu_slope_d(double x)
{
	double s = sigmoid_d(x);

	return s * (1.0 + x * (1.0 - s));
}

/* x * tanh(softplus(x)); softplus' slope is the sigmoid. */
WEFT_INLINE double mish_slope_d(double x)
{
	double t = mish_d(x);

	return t + x * (1.0 - t * t) * sigmoid_d(x);
}

static double sin_any(float x, unsigned int quadrant)
{
	uint64_t q;
	double r = trig_reduce_large(x, &q);

	return weft_sin_quadrant(r, q + quadrant);
}

BACKWARD(identity, dy)
BACKWARD(neg, -dy)
BACKWARD(abs, dy *sign(z))
BACKWARD(zero, 0.0f)
BACKWARD(exp, dy *z)
BACKWARD(log, dy / z)
BACKWARD(sqrt, dy / (2.0f * z))
BACKWARD(rsqrt, dy *(-0.5 * ((double)z * z * z)))
BACKWARD(reciprocal, -dy *(z *z))
BACKWARD(square, dy *(2.0f * z))
BACKWARD(relu, z <= 0.0f ? 0.0f : dy)
BACKWARD(leaky_relu, z > 0.0f ? dy : alpha * dy)
BACKWARD(elu, z > 0.0f ? (double)dy : dy * (alpha * weft_exp_d(z)))
BACKWARD(selu, beta *(z > 0.0f ? (double)dy : dy * (alpha * weft_exp_d(z))))
BACKWARD(celu, z > 0.0f ? (double)dy : dy * weft_exp_d((double)z / alpha))
BACKWARD(sigmoid, dy *(z *(1.0f - z)))
BACKWARD(tanh, dy *fmaf(-z, z, 1.0f))
BACKWARD(softplus, dy *weft_sigmoid(z))
BACKWARD(softsign, dy / ((1.0f + fabsf(z)) * (1.0f + fabsf(z))))
BACKWARD(gelu, dy *gelu_slope(z))
BACKWARD(gelu_tanh, dy *gelu_tanh_slope_d(z))
BACKWARD(silu, dy *silu_slope_d(z))
BACKWARD(mish, dy *mish_slope_d(z))
BACKWARD(hard_sigmoid, fmaf(alpha, z, beta) > 0.0f && fmaf(alpha, z, beta) < 1.0f ? alpha * dy : 0.0f)
BACKWARD(hard_swish, z <= -3.0f ? 0.0f : z >= 3.0f ? dy : dy * fmaf(1.0f / 3.0f, z, 0.5f))
BACKWARD(clip, z > alpha && z < beta ? dy : 0.0f)
BACKWARD(affine, alpha *dy)
BACKWARD(pow, alpha == 0.0f ? 0.0 : dy * (alpha * weft_pow_d(z, (double)alpha - 1.0)))
BACKWARD(thresholded_relu, z > alpha ? dy : 0.0f)
BACKWARD(shrink, fabsf(z) > alpha ? dy : 0.0f)
BACKWARD(erf, dy *(1.1283791670955126 * weft_exp_d(-(double)z * z)))
BACKWARD(sin, dy *sin_any(z, 1))
BACKWARD(cos, -dy *sin_any(z, 0))
BACKWARD(tan, dy / (sin_any(z, 1) * sin_any(z, 1)))
BACKWARD(asin, dy / sqrt((1.0 - z) * (1.0 + z)))
BACKWARD(acos, -dy / sqrt((1.0 - z) * (1.0 + z)))
BACKWARD(atan, dy / (1.0 + (double)z * z))
BACKWARD(sinh, dy *weft_cosh_d(z))
BACKWARD(cosh, dy *weft_sinh_d(z))
BACKWARD(asinh, dy / sqrt(1.0 + (double)z * z))
BACKWARD(acosh, dy / sqrt((z - 1.0) * (z + 1.0)))
BACKWARD(atanh, dy / ((1.0 - z) * (1.0 + z)))

static const weft_rows backward_table[WEFT_UNARY_FUNCTIONS] = {
	[WEFT_UNARY_IDENTITY] = backward_identity,
	[WEFT_UNARY_NEG] = backward_neg,
	[WEFT_UNARY_ABS] = backward_abs,
	[WEFT_UNARY_SIGN] = backward_zero,
	[WEFT_UNARY_EXP] = backward_exp,
	[WEFT_UNARY_LOG] = backward_log,
	[WEFT_UNARY_SQRT] = backward_sqrt,
	[WEFT_UNARY_RSQRT] = backward_rsqrt,
	[WEFT_UNARY_RECIPROCAL] = backward_reciprocal,
	[WEFT_UNARY_SQUARE] = backward_square,
	[WEFT_UNARY_RELU] = backward_relu,
	[WEFT_UNARY_LEAKY_RELU] = backward_leaky_relu,
	[WEFT_UNARY_ELU] = backward_elu,
	[WEFT_UNARY_SELU] = backward_selu,
	[WEFT_UNARY_CELU] = backward_celu,
	[WEFT_UNARY_SIGMOID] = backward_sigmoid,
	[WEFT_UNARY_TANH] = backward_tanh,
	[WEFT_UNARY_SOFTPLUS] = backward_softplus,
	[WEFT_UNARY_SOFTSIGN] = backward_softsign,
	[WEFT_UNARY_GELU] = backward_gelu,
	[WEFT_UNARY_GELU_TANH] = backward_gelu_tanh,
	[WEFT_UNARY_SILU] = backward_silu,
	[WEFT_UNARY_MISH] = backward_mish,
	[WEFT_UNARY_HARD_SIGMOID] = backward_hard_sigmoid,
	[WEFT_UNARY_HARD_SWISH] = backward_hard_swish,
	[WEFT_UNARY_CLIP] = backward_clip,
	[WEFT_UNARY_AFFINE] = backward_affine,
	[WEFT_UNARY_POW] = backward_pow,
	[WEFT_UNARY_THRESHOLDED_RELU] = backward_thresholded_relu,
	[WEFT_UNARY_SHRINK] = backward_shrink,
	[WEFT_UNARY_ERF] = backward_erf,
	[WEFT_UNARY_SIN] = backward_sin,
	[WEFT_UNARY_COS] = backward_cos,
	[WEFT_UNARY_TAN] = backward_tan,
	[WEFT_UNARY_ASIN] = backward_asin,
	[WEFT_UNARY_ACOS] = backward_acos,
	[WEFT_UNARY_ATAN] = backward_atan,
	[WEFT_UNARY_SINH] = backward_sinh,
	[WEFT_UNARY_COSH] = backward_cosh,
	[WEFT_UNARY_ASINH] = backward_asinh,
	[WEFT_UNARY_ACOSH] = backward_acosh,
	[WEFT_UNARY_ATANH] = backward_atanh,
	[WEFT_UNARY_FLOOR] = backward_zero,
	[WEFT_UNARY_CEIL] = backward_zero,
	[WEFT_UNARY_ROUND] = backward_zero,
};

enum weft_fault WEFT_KERNEL(weft_unary_bwd)(WEFT_KERNEL_ARGUMENTS)
{
	struct weft_iteration it;

	if (!backward_table[command->params.unary.function]) {
		fault->detail = command->params.unary.function;
		return WEFT_FAULT_PARAMETER;
	}
	weft_iteration_begin(&it, &command->operand[2]);
	weft_iteration_add(&it, &command->operand[0], pointer[0], false);
	weft_iteration_add(&it, &command->operand[1], pointer[1], false);
	weft_iteration_add(&it, &command->operand[2], pointer[2], true);
	weft_iteration_run(&it, unit, backward_table[command->params.unary.function], &command->params);
	return WEFT_FAULT_NONE;
}
