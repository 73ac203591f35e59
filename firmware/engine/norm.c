/* SPDX-License-Identifier: MIT */
/* NORM_STATS, NORM_APPLY, NORM_BWD_STATS and NORM_BWD_APPLY. */
#include "iterate.h"
#include "kernels.h"
#include "real.h"
#include "reduction.h"
#include "sum.h"

#define EACH _Pragma("GCC ivdep") for (size_t i = 0; i < n; i++)

static const float *next(const float *p, ptrdiff_t step, size_t row)
{
	return p ? (const float *)((const char *)p + (ptrdiff_t)row * step) : NULL;
}

static void combine_sum(float *into, const float *from, size_t n)
{
	for (size_t i = 0; i < n; i++)
		into[i] += from[i];
}

/* NORM_STATS: the sum of X, then that of (X - mean)^2. */

struct stats {
	float count;
	float epsilon;
};

static void mean_rows(const void *context, const float *const in[], size_t n, float sum[])
{
	(void)context;
	sum[0] = weft_sum_block(in[0], n);
}

static void mean_columns(const void *context, float *partial, size_t first, size_t rows, size_t n,
			 const float *const in[], const ptrdiff_t step[])
{
	(void)context;
	for (size_t row = 0; row < rows; row++) {
		const float *x = next(in[0], step[0], row);
		float *p = partial + (first + row) % WEFT_SUM_PARTIALS * n;

		EACH
		{
			p[i] += x[i];
		}
	}
}

static void mean_finish(const void *context, const float *total, size_t n, char *const out[], const ptrdiff_t step[])
{
	const struct stats *stats = context;

	for (size_t i = 0; i < n; i++)
		*(float *)(out[0] + (ptrdiff_t)i * step[0]) = total[i] / stats->count;
}

static const struct weft_reducer mean_reducer = {
	.sums = 1, .rows = mean_rows, .columns = mean_columns, .combine = combine_sum, .finish = mean_finish};

static void variance_rows(const void *context, const float *const in[], size_t n, float sum[])
{
	float term[WEFT_SUM_REDUCE];

	(void)context;
	EACH
	{
		float d = in[0][i] - in[1][i];
		term[i] = d * d;
	}
	sum[0] = weft_sum_block(term, n);
}

static void variance_columns(const void *context, float *partial, size_t first, size_t rows, size_t n,
			     const float *const in[], const ptrdiff_t step[])
{
	(void)context;
	for (size_t row = 0; row < rows; row++) {
		const float *x = next(in[0], step[0], row);
		const float *mean = next(in[1], step[1], row);
		float *p = partial + (first + row) % WEFT_SUM_PARTIALS * n;

		EACH
		{
			float d = x[i] - mean[i];
			p[i] += d * d;
		}
	}
}

static void variance_finish(const void *context, const float *total, size_t n, char *const out[],
			    const ptrdiff_t step[])
{
	const struct stats *stats = context;

	for (size_t i = 0; i < n; i++) {
		float variance = total[i] / stats->count;

		*(float *)(out[0] + (ptrdiff_t)i * step[0]) = 1.0f / sqrtf(variance + stats->epsilon);
		if (out[1])
			*(float *)(out[1] + (ptrdiff_t)i * step[1]) = variance;
	}
}

static const struct weft_reducer variance_reducer = {.sums = 1,
						     .rows = variance_rows,
						     .columns = variance_columns,
						     .combine = combine_sum,
						     .finish = variance_finish};

enum weft_fault WEFT_KERNEL(weft_norm_stats)(WEFT_KERNEL_ARGUMENTS)
{
	const struct weft_tensor *x = &command->operand[0], *mean = &command->operand[1];
	struct weft_reduction r;
	struct stats stats = {.epsilon = command->params.norm.epsilon};

	(void)fault;
	weft_reduction_begin(&r, x, mean);
	stats.count = (float)r.terms;
	weft_reduction_input(&r, x, mean, x, pointer[0]);
	weft_reduction_output(&r, x, mean, mean, pointer[1]);
	weft_reduction_run(&r, unit, &mean_reducer, &stats);

	weft_reduction_begin(&r, x, mean);
	weft_reduction_input(&r, x, mean, x, pointer[0]);
	weft_reduction_input(&r, x, mean, mean, pointer[1]);
	weft_reduction_output(&r, x, mean, &command->operand[2], pointer[2]);
	weft_reduction_output(&r, x, mean, &command->operand[3], command->operands > 3 ? pointer[3] : NULL);
	weft_reduction_run(&r, unit, &variance_reducer, &stats);
	return WEFT_FAULT_NONE;
}

/* NORM_BWD_STATS.  Inputs of the reduction: */
enum { X, DY, MEAN, RSTD, GAMMA, Y };

/* What counts of dy. */
WEFT_INLINE float effective_dy(float dy, const float *gamma, const float *y, size_t i)
{
	dy = gamma ? dy * gamma[i] : dy;
	return y ? (y[i] > 0.0f ? dy : 0.0f) : dy;
}

WEFT_INLINE void bwd_terms(float *a, float *b, const float *const in[], const float *gamma, const float *y, size_t n,
			   bool add)
{
	const float *x = in[X], *dy = in[DY], *mean = in[MEAN], *rstd = in[RSTD];

	EACH
	{
		float g = effective_dy(dy[i], gamma, y, i);
		float t = g * ((x[i] - mean[i]) * rstd[i]);

		a[i] = add ? a[i] + g : g;
		b[i] = add ? b[i] + t : t;
	}
}

/* One loop for each combination of the optional operands. */
WEFT_INLINE void bwd_terms_any(float *a, float *b, const float *const in[], size_t n, bool add)
{
	if (in[GAMMA] && in[Y])
		bwd_terms(a, b, in, in[GAMMA], in[Y], n, add);
	else if (in[GAMMA])
		bwd_terms(a, b, in, in[GAMMA], NULL, n, add);
	else if (in[Y])
		bwd_terms(a, b, in, NULL, in[Y], n, add);
	else
		bwd_terms(a, b, in, NULL, NULL, n, add);
}

static void bwd_rows(const void *context, const float *const in[], size_t n, float sum[])
{
	float a[WEFT_SUM_REDUCE], b[WEFT_SUM_REDUCE];

	(void)context;
	bwd_terms_any(a, b, in, n, false);
	sum[0] = weft_sum_block(a, n);
	sum[1] = weft_sum_block(b, n);
}

static void bwd_columns(const void *context, float *partial, size_t first, size_t rows, size_t n,
			const float *const in[], const ptrdiff_t step[])
{
	(void)context;
	for (size_t row = 0; row < rows; row++) {
		const float *at[WEFT_REDUCTION_INPUTS];
		float *a = partial + (first + row) % WEFT_SUM_PARTIALS * n;

		for (unsigned int k = 0; k < WEFT_REDUCTION_INPUTS; k++)
			at[k] = next(in[k], step[k], row);
		bwd_terms_any(a, a + WEFT_SUM_PARTIALS * n, at, n, true);
	}
}

static void bwd_finish(const void *context, const float *total, size_t n, char *const out[], const ptrdiff_t step[])
{
	(void)context;
	for (size_t i = 0; i < n; i++) {
		*(float *)(out[0] + (ptrdiff_t)i * step[0]) = total[i];
		*(float *)(out[1] + (ptrdiff_t)i * step[1]) = total[n + i];
	}
}

static const struct weft_reducer bwd_reducer = {
	.sums = 2, .rows = bwd_rows, .columns = bwd_columns, .combine = combine_sum, .finish = bwd_finish};

/* Operands: X, DY, mean, rstd, [gamma], [Y] -> sum_dy, sum_dy_xhat. */
enum weft_fault WEFT_KERNEL(weft_norm_bwd_stats)(WEFT_KERNEL_ARGUMENTS)
{
	const struct weft_tensor *x = &command->operand[0], *result = &command->operand[6];
	struct weft_reduction r;

	(void)fault;
	weft_reduction_begin(&r, x, result);
	for (unsigned int i = 0; i < 6; i++)
		weft_reduction_input(&r, x, result, &command->operand[i], pointer[i]);
	weft_reduction_output(&r, x, result, result, pointer[6]);
	weft_reduction_output(&r, x, result, &command->operand[7], pointer[7]);
	weft_reduction_run(&r, unit, &bwd_reducer, NULL);
	return WEFT_FAULT_NONE;
}

/* NORM_APPLY. */

WEFT_INLINE float activate(float v, unsigned int activation, float low, float high)
{
	if (activation == WEFT_ACT_RELU)
		return 0.0f > v ? 0.0f : v;
	if (activation == WEFT_ACT_CLIP) {
		v = low > v ? low : v;
		return high < v ? high : v;
	}
	return v;
}

WEFT_INLINE void apply_row(float *y, const float *const in[], const float *gamma, const float *beta, size_t n,
			   const union weft_params *params, unsigned int activation)
{
	const float *x = in[0], *mean = in[1], *rstd = in[2];
	const float low = params->norm.alpha, high = params->norm.beta;

	EACH
	{
		float v = (x[i] - mean[i]) * rstd[i];

		if (gamma && beta)
			v = fmaf(v, gamma[i], beta[i]);
		else if (gamma)
			v *= gamma[i];
		else if (beta)
			v += beta[i];
		y[i] = activate(v, activation, low, high);
	}
}

WEFT_INLINE void apply_row_optional(float *y, const float *const in[], size_t n, const union weft_params *params,
				    unsigned int activation)
{
	if (in[3] && in[4])
		apply_row(y, in, in[3], in[4], n, params, activation);
	else if (in[3])
		apply_row(y, in, in[3], NULL, n, params, activation);
	else if (in[4])
		apply_row(y, in, NULL, in[4], n, params, activation);
	else
		apply_row(y, in, NULL, NULL, n, params, activation);
}

static void apply_rows(const void *context, uint64_t first, size_t rows, size_t n, char *const at[],
		       const ptrdiff_t step[])
{
	const union weft_params *params = context;

	(void)first;
	for (size_t row = 0; row < rows; row++) {
		const float *in[5];
		float *y = (float *)(at[5] + (ptrdiff_t)row * step[5]);

		for (unsigned int k = 0; k < 5; k++)
			in[k] = next((const float *)at[k], step[k], row);
		if (params->norm.activation == WEFT_ACT_RELU)
			apply_row_optional(y, in, n, params, WEFT_ACT_RELU);
		else if (params->norm.activation == WEFT_ACT_CLIP)
			apply_row_optional(y, in, n, params, WEFT_ACT_CLIP);
		else
			apply_row_optional(y, in, n, params, WEFT_ACT_NONE);
	}
}

enum weft_fault WEFT_KERNEL(weft_norm_apply)(WEFT_KERNEL_ARGUMENTS)
{
	struct weft_iteration it;

	(void)fault;
	weft_iteration_begin(&it, &command->operand[0]);
	for (unsigned int i = 0; i < 6; i++)
		weft_iteration_add(&it, &command->operand[i], pointer[i], i == 5);
	weft_iteration_run(&it, unit, apply_rows, &command->params);
	return WEFT_FAULT_NONE;
}

/* NORM_BWD_APPLY.  Inputs: X, DY, mean, rstd, [gamma], sum_dy, sum_dy_xhat, [Y]. */

WEFT_INLINE void bwd_apply_row(float *dx, const float *const in[], const float *gamma, const float *y, size_t n,
			       const union weft_params *params, bool gamma_in_sums)
{
	const float *x = in[0], *dys = in[1], *mean = in[2], *rstd = in[3], *sum_dy = in[5], *sum_dy_xhat = in[6];
	const float c = params->norm.inverse_count;

	EACH
	{
		float dy = y ? (y[i] > 0.0f ? dys[i] : 0.0f) : dys[i];
		float xhat = (x[i] - mean[i]) * rstd[i];
		float u = c * fmaf(xhat, sum_dy_xhat[i], sum_dy[i]);

		if (gamma_in_sums)
			dx[i] = rstd[i] * (gamma ? fmaf(gamma[i], dy, -u) : dy - u);
		else
			dx[i] = (gamma ? rstd[i] * gamma[i] : rstd[i]) * (dy - u);
	}
}

WEFT_INLINE void bwd_apply_row_optional(float *dx, const float *const in[], size_t n, const union weft_params *params,
					bool gamma_in_sums)
{
	if (in[4] && in[7])
		bwd_apply_row(dx, in, in[4], in[7], n, params, gamma_in_sums);
	else if (in[4])
		bwd_apply_row(dx, in, in[4], NULL, n, params, gamma_in_sums);
	else if (in[7])
		bwd_apply_row(dx, in, NULL, in[7], n, params, gamma_in_sums);
	else
		bwd_apply_row(dx, in, NULL, NULL, n, params, gamma_in_sums);
}

static void bwd_apply_rows(const void *context, uint64_t first, size_t rows, size_t n, char *const at[],
			   const ptrdiff_t step[])
{
	const union weft_params *params = context;

	(void)first;
	for (size_t row = 0; row < rows; row++) {
		const float *in[8];
		float *dx = (float *)(at[8] + (ptrdiff_t)row * step[8]);

		for (unsigned int k = 0; k < 8; k++)
			in[k] = next((const float *)at[k], step[k], row);
		if (params->norm.gamma_in_sums)
			bwd_apply_row_optional(dx, in, n, params, true);
		else
			bwd_apply_row_optional(dx, in, n, params, false);
	}
}

enum weft_fault WEFT_KERNEL(weft_norm_bwd_apply)(WEFT_KERNEL_ARGUMENTS)
{
	struct weft_iteration it;

	(void)fault;
	weft_iteration_begin(&it, &command->operand[0]);
	for (unsigned int i = 0; i < 9; i++)
		weft_iteration_add(&it, &command->operand[i], pointer[i], i == 8);
	weft_iteration_run(&it, unit, bwd_apply_rows, &command->params);
	return WEFT_FAULT_NONE;
}
