/* SPDX-License-Identifier: MIT */
/* REDUCE and ARGREDUCE. */
#include "kernels.h"
#include "iterate.h"
#include "real.h"
#include "reduction.h"
#include "sum.h"

#define EACH _Pragma("GCC ivdep") for (size_t i = 0; i < n; i++)

struct reduce {
	unsigned int function;
	float count;
	float scale;
};

static const float *next(const float *p, ptrdiff_t step, size_t row)
{
	return (const float *)((const char *)p + (ptrdiff_t)row * step);
}

/* A reducer over term(x, m): @name_rows, @name_columns. combined() joins two partials. */
#define REDUCER(name, combined, first_value, term)                                                           \
	static void combine_##name(float *into, const float *from, size_t n)                                 \
	{                                                                                                    \
		EACH                                                                                         \
		{                                                                                            \
			into[i] = combined(into[i], from[i]);                                                \
		}                                                                                            \
	}                                                                                                    \
	static void rows_##name(const void *context, const float *const in[], size_t n, float sum[])         \
	{                                                                                                    \
		float p[WEFT_SUM_PARTIALS];                                                                  \
		size_t whole = n / WEFT_SUM_PARTIALS * WEFT_SUM_PARTIALS;                                    \
                                                                                                             \
		(void)context;                                                                               \
		for (size_t j = 0; j < WEFT_SUM_PARTIALS; j++)                                               \
			p[j] = first_value;                                                                  \
		for (size_t i = 0; i < whole; i += WEFT_SUM_PARTIALS)                                        \
			for (size_t j = 0; j < WEFT_SUM_PARTIALS; j++) {                                     \
				const float x = in[0][i + j], m = in[1] ? in[1][i + j] : 0.0f;               \
				(void)m;                                                                     \
				p[j] = combined(p[j], term);                                                 \
			}                                                                                    \
		for (size_t i = whole; i < n; i++) {                                                         \
			const float x = in[0][i], m = in[1] ? in[1][i] : 0.0f;                               \
			(void)m;                                                                             \
			p[i - whole] = combined(p[i - whole], term);                                         \
		}                                                                                            \
		for (size_t half = WEFT_SUM_PARTIALS / 2; half; half /= 2)                                   \
			for (size_t j = 0; j < half; j++)                                                    \
				p[j] = combined(p[j], p[j + half]);                                          \
		sum[0] = p[0];                                                                               \
	}                                                                                                    \
	static void columns_##name(const void *context, float *partial, size_t first, size_t rows, size_t n, \
				   const float *const in[], const ptrdiff_t step[])                          \
	{                                                                                                    \
		(void)context;                                                                               \
		for (size_t row = 0; row < rows; row++) {                                                    \
			const float *xs = next(in[0], step[0], row);                                         \
			const float *ms = in[1] ? next(in[1], step[1], row) : xs;                            \
			float *p = partial + (first + row) % WEFT_SUM_PARTIALS * n;                          \
                                                                                                             \
			EACH                                                                                 \
			{                                                                                    \
				const float x = xs[i], m = ms[i];                                            \
				(void)m;                                                                     \
				p[i] = combined(p[i], term);                                                 \
			}                                                                                    \
		}                                                                                            \
	}

#define PLUS(a, b) ((a) + (b))
#define TIMES(a, b) ((a) * (b))
/* The running value comes first: the earlier of equal values stays. */
#define LARGER(a, b) ((b) > (a) || (b) != (b) ? (b) : (a))
#define SMALLER(a, b) ((b) < (a) || (b) != (b) ? (b) : (a))

/* exp(x - m), where an infinite m stands for itself. */
WEFT_INLINE float shifted_exp(float x, float m)
{
	return weft_exp(fabsf(m) == INFINITY ? x : x - m);
}

REDUCER(sum, PLUS, 0.0f, x)
REDUCER(l1, PLUS, 0.0f, fabsf(x))
REDUCER(square, PLUS, 0.0f, x *x)
REDUCER(exp, PLUS, 0.0f, shifted_exp(x, m))
REDUCER(prod, TIMES, 1.0f, x)
REDUCER(max, LARGER, -INFINITY, x)
REDUCER(min, SMALLER, INFINITY, x)

/* A plain sum's block, in vector registers. */
static void rows_plain_sum(const void *context, const float *const in[], size_t n, float sum[])
{
	(void)context;
	sum[0] = weft_sum_block(in[0], n);
}

/* Sums: the scale goes to the blocks, so that a split sum stays exact. */
static void scale_block(const void *context, float *block, size_t n)
{
	const struct reduce *reduce = context;

	for (size_t i = 0; i < n; i++)
		block[i] *= reduce->scale;
}

static void begin_accumulate(const void *context, float *total, size_t n, char *const out[], const ptrdiff_t step[])
{
	(void)context;
	for (size_t i = 0; i < n; i++)
		total[i] = *(const float *)(out[0] + (ptrdiff_t)i * step[0]);
}

static void finish(const void *context, const float *total, size_t n, char *const out[], const ptrdiff_t step[])
{
	const struct reduce *reduce = context;

	for (size_t i = 0; i < n; i++) {
		float *y = (float *)(out[0] + (ptrdiff_t)i * step[0]);
		float v = total[i];

		switch (reduce->function) {
		case WEFT_REDUCE_SUM:
			*y = v;
			break;
		case WEFT_REDUCE_MEAN:
			*y = v / reduce->count * reduce->scale;
			break;
		case WEFT_REDUCE_L2:
			*y = sqrtf(v) * reduce->scale;
			break;
		case WEFT_REDUCE_LOG_SUM:
			*y = (float)weft_log_d(v) * reduce->scale;
			break;
		case WEFT_REDUCE_LOG_SUM_EXP: {
			double m = fabsf(*y) == INFINITY ? 0.0 : *y; /* the largest term, from the first pass */
			*y = (float)(weft_log_d(v) + m) * reduce->scale;
			break;
		}
		default:
			*y = v * reduce->scale;
		}
	}
}

#define WITH(name, first_value)                                                                  \
	{                                                                                        \
		.sums = 1, .start = first_value, .rows = rows_##name, .columns = columns_##name, \
		.combine = combine_##name, .finish = finish                                      \
	}

static const struct weft_reducer reducers[WEFT_REDUCE_FUNCTIONS] = {
	[WEFT_REDUCE_SUM] = WITH(sum, 0.0f),	  [WEFT_REDUCE_MEAN] = WITH(sum, 0.0f),
	[WEFT_REDUCE_MAX] = WITH(max, -INFINITY), [WEFT_REDUCE_MIN] = WITH(min, INFINITY),
	[WEFT_REDUCE_PROD] = WITH(prod, 1.0f),	  [WEFT_REDUCE_L1] = WITH(l1, 0.0f),
	[WEFT_REDUCE_L2] = WITH(square, 0.0f),	  [WEFT_REDUCE_SUM_SQUARE] = WITH(square, 0.0f),
	[WEFT_REDUCE_LOG_SUM] = WITH(sum, 0.0f),  [WEFT_REDUCE_LOG_SUM_EXP] = WITH(exp, 0.0f),
};

static void run(struct weft_engine_unit *unit, const struct weft_cmd *command, void *const pointer[],
		const struct weft_reducer *reducer, const struct reduce *reduce)
{
	const struct weft_tensor *x = &command->operand[0], *y = &command->operand[1];
	struct weft_reduction r;

	weft_reduction_begin(&r, x, y);
	weft_reduction_input(&r, x, y, x, pointer[0]);
	if (reduce->function == WEFT_REDUCE_LOG_SUM_EXP)
		weft_reduction_input(&r, x, y, y, pointer[1]);
	weft_reduction_output(&r, x, y, y, pointer[1]);
	weft_reduction_run(&r, unit, reducer, reduce);
}

enum weft_fault WEFT_KERNEL(weft_reduce)(WEFT_KERNEL_ARGUMENTS)
{
	const struct weft_tensor *x = &command->operand[0], *y = &command->operand[1];
	struct reduce reduce = {
		.function = command->params.reduce.function, .count = 1.0f, .scale = command->params.reduce.scale};
	struct weft_reducer reducer = reducers[reduce.function];

	(void)fault;
	for (unsigned int d = 0; d < x->rank; d++)
		if (y->dims[d] != x->dims[d])
			reduce.count *= (float)x->dims[d];
	if (reducer.rows == rows_sum)
		reducer.rows = rows_plain_sum;
	if (reduce.function == WEFT_REDUCE_SUM) {
		reducer.scale = scale_block;
		if (command->params.reduce.flags & WEFT_F_ACCUMULATE)
			reducer.begin = begin_accumulate;
	}
	if (reduce.function == WEFT_REDUCE_LOG_SUM_EXP) {
		const struct reduce largest = {.function = WEFT_REDUCE_MAX, .scale = 1.0f};

		run(unit, command, pointer, &reducers[WEFT_REDUCE_MAX], &largest);
	}
	run(unit, command, pointer, &reducer, &reduce);
	return WEFT_FAULT_NONE;
}

/* ARGREDUCE. */

struct arg {
	const struct weft_cmd *command;
	const char *x;
	char *y;
	ptrdiff_t stride; /* along the reduced axis, bytes */
	size_t extent;
	uint64_t outputs;
	unsigned int pieces;
	bool largest, last;
};

/* NaN is the most extreme value of all. */
WEFT_INLINE bool beats(float x, float best, bool largest, bool last)
{
	bool better = largest ? x > best : x < best;

	if (best != best)
		return last && x != x;
	return better || x != x || (last && x == best);
}

static int64_t extreme_index(const char *x, ptrdiff_t stride, size_t n, bool largest, bool last)
{
	float best = *(const float *)x;
	size_t at = 0;

	for (size_t i = 1; i < n; i++) {
		float v = *(const float *)(x + (ptrdiff_t)i * stride);

		if (beats(v, best, largest, last)) {
			best = v;
			at = i;
		}
	}
	return (int64_t)at;
}

static void arg_piece(void *argument, unsigned int index, unsigned int lane)
{
	const struct arg *arg = argument;
	const struct weft_tensor *xt = &arg->command->operand[0], *yt = &arg->command->operand[1];
	ptrdiff_t bytes = weft_element_bytes(yt->type);
	uint64_t end = index + 1 == arg->pieces ? arg->outputs : arg->outputs / arg->pieces * (index + 1);

	(void)lane;
	for (uint64_t k = arg->outputs / arg->pieces * index; k < end; k++) {
		const char *x = arg->x;
		char *y = arg->y;
		uint64_t rest = k;
		int64_t at;

		for (unsigned int d = yt->rank; d-- > 0;) {
			ptrdiff_t i = (ptrdiff_t)(rest % yt->dims[d]);

			rest /= yt->dims[d];
			x += i * xt->strides[d] * (ptrdiff_t)sizeof(float);
			y += i * yt->strides[d] * bytes;
		}
		at = extreme_index(x, arg->stride, arg->extent, arg->largest, arg->last);
		if (yt->type == WEFT_TYPE_I64)
			*(int64_t *)y = at;
		else
			*(int32_t *)y = (int32_t)at;
	}
}

enum weft_fault WEFT_KERNEL(weft_argreduce)(WEFT_KERNEL_ARGUMENTS)
{
	const struct weft_tensor *x = &command->operand[0], *y = &command->operand[1];
	struct arg arg = {.command = command,
			  .x = pointer[0],
			  .y = pointer[1],
			  .extent = 1,
			  .outputs = 1,
			  .largest = command->params.reduce.function == WEFT_REDUCE_MAX,
			  .last = command->params.reduce.select_last};

	(void)fault;
	for (unsigned int d = 0; d < x->rank; d++) {
		if (y->dims[d] != x->dims[d]) {
			arg.stride = x->strides[d] * (ptrdiff_t)sizeof(float);
			arg.extent = x->dims[d];
		}
		arg.outputs *= y->dims[d];
	}
	arg.pieces = weft_engine_unit_lanes(unit) * 4;
	if (weft_engine_unit_lanes(unit) == 1 || arg.outputs * arg.extent < 16384)
		arg.pieces = 1;
	if (arg.pieces > arg.outputs)
		arg.pieces = arg.outputs ? (unsigned int)arg.outputs : 1;
	weft_engine_parallel(unit, arg.pieces, arg_piece, &arg);
	return WEFT_FAULT_NONE;
}
