// SPDX-License-Identifier: MIT
/*
 * REDUCE, ARGREDUCE and the NORM operations against plain references in the
 * specified order of summation, to the bit, for random shapes and layouts.
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

/* Row-major index in @to of the element that @element of @from belongs to: extents of 1 repeat. */
static uint64_t project(const struct tensor *from, uint64_t element, const struct tensor *to)
{
	uint64_t index = 0, scale = 1;

	for (unsigned int d = from->t.rank; d-- > 0;) {
		uint64_t i = element % from->t.dims[d];

		element /= from->t.dims[d];
		index += (to->t.dims[d] == 1 ? 0 : i) * scale;
		scale *= to->t.dims[d];
	}
	return index;
}

/* The terms of every output element, in ascending order of the reduced index. */
struct groups {
	uint64_t *element; /* of output o: from start[o] to start[o + 1] */
	uint64_t *start;
};

static struct groups group(const struct tensor *x, const struct tensor *y)
{
	uint64_t elements = tensor_elements(x), outputs = tensor_elements(y);
	struct groups g = {calloc(elements + 1, sizeof(uint64_t)), calloc(outputs + 2, sizeof(uint64_t))};

	assert_true(g.element && g.start);
	/* Counted two places further, the starts end up where they belong once all are placed. */
	for (uint64_t e = 0; e < elements; e++)
		g.start[project(x, e, y) + 1]++;
	for (uint64_t o = 0; o < outputs; o++)
		g.start[o + 1] += g.start[o];
	for (uint64_t o = outputs + 1; o > 0; o--)
		g.start[o] = g.start[o - 1];
	for (uint64_t e = 0; e < elements; e++)
		g.element[g.start[project(x, e, y) + 1]++] = e;
	g.start[0] = 0;
	return g;
}

static void groups_free(struct groups *g)
{
	free(g->element);
	free(g->start);
}

static size_t collect(const struct groups *g, uint64_t output, const uint64_t **element)
{
	*element = g->element + g->start[output];
	return g->start[output + 1] - g->start[output];
}

struct shape {
	const char *name;
	unsigned int rank;
	uint32_t dims[WEFT_MAX_RANK];
	unsigned int reduced;		   /* bit per dimension */
	unsigned int order[WEFT_MAX_RANK]; /* innermost first; all 0: any */
};

static const struct shape shapes[] = {
	{"scalar", 0, {0}, 0, {0}},
	{"one row", 1, {1000}, 1, {0}},
	{"rows", 2, {37, 300}, 2, {1, 0}},
	{"columns", 2, {700, 37}, 1, {1, 0}},
	{"many columns", 2, {530, 300}, 1, {1, 0}},
	{"bias of dense rows", 2, {64, 10}, 1, {1, 0}},
	{"NHWC channels", 4, {4, 9, 11, 24}, 7, {3, 2, 1, 0}},
	{"NCHW channels", 4, {4, 6, 9, 11}, 13, {3, 2, 1, 0}},
	{"NCHW dims, channels last", 4, {4, 6, 17, 19}, 13, {1, 3, 2, 0}},
	{"spatial mean, channels last", 4, {3, 40, 8, 8}, 12, {1, 3, 2, 0}},
	{"group norm, channels last", 5, {2, 3, 5, 7, 11}, 28, {2, 1, 4, 3, 0}},
	{"long columns", 2, {9000, 3}, 1, {1, 0}},
	{"one long row", 2, {1, 70001}, 2, {1, 0}},
	{"nothing reduced", 3, {5, 6, 7}, 0, {0}},
	{"any layout, outer", 3, {40, 11, 13}, 1, {0}},
	{"any layout, middle", 3, {7, 400, 5}, 2, {0}},
	{"any layout, inner", 3, {7, 5, 400}, 4, {0}},
	{"any layout, outer and inner", 4, {9, 4, 3, 33}, 9, {0}},
	{"all eight axes", 8, {2, 3, 2, 3, 2, 3, 2, 3}, 0x5a, {0}},
};
#define SHAPES (sizeof(shapes) / sizeof(shapes[0]))

static struct tensor make_input(uint64_t *seed, const struct shape *s)
{
	bool any = true;

	for (unsigned int i = 0; i < s->rank; i++)
		any = any && s->order[i] == 0;
	return any ? tensor_random(seed, WEFT_TYPE_F32, s->rank, s->dims)
		   : tensor_ordered(seed, WEFT_TYPE_F32, s->rank, s->dims, s->order);
}

static struct tensor make_kept(uint64_t *seed, const struct shape *s, enum weft_type type, bool kept)
{
	uint32_t dims[WEFT_MAX_RANK];

	for (unsigned int d = 0; d < s->rank; d++)
		dims[d] = ((s->reduced >> d & 1) != 0) == kept ? 1 : s->dims[d];
	return tensor_random(seed, type, s->rank, dims);
}

static float reduce_reference(enum weft_reduce function, const float *term, size_t n, float scale, float start,
			      bool accumulate)
{
	float *v = malloc((n + 1) * sizeof(float)), result, extreme;
	double product = 1;

	assert_non_null(v);
	switch (function) {
	case WEFT_REDUCE_SUM:
		result = accumulate ? start : 0.0f;
		for (size_t i = 0; i < n; i += WEFT_SUM_REDUCE)
			result += scale * reference_sum(term + i, n - i < WEFT_SUM_REDUCE ? n - i : WEFT_SUM_REDUCE);
		break;
	case WEFT_REDUCE_MEAN:
		result = reference_sum(term, n) / (float)n * scale;
		break;
	case WEFT_REDUCE_L1:
	case WEFT_REDUCE_L2:
	case WEFT_REDUCE_SUM_SQUARE:
		for (size_t i = 0; i < n; i++)
			v[i] = function == WEFT_REDUCE_L1 ? fabsf(term[i]) : term[i] * term[i];
		result = reference_sum(v, n);
		result = (function == WEFT_REDUCE_L2 ? sqrtf(result) : result) * scale;
		break;
	case WEFT_REDUCE_LOG_SUM:
		result = (float)weft_log_d(reference_sum(term, n)) * scale;
		break;
	case WEFT_REDUCE_MAX:
	case WEFT_REDUCE_MIN:
	case WEFT_REDUCE_LOG_SUM_EXP:
		extreme = term[0];
		for (size_t i = 1; i < n; i++)
			extreme = function == WEFT_REDUCE_MIN ? fminf(extreme, term[i]) : fmaxf(extreme, term[i]);
		result = extreme * scale;
		if (function != WEFT_REDUCE_LOG_SUM_EXP)
			break;
		for (size_t i = 0; i < n; i++)
			v[i] = weft_exp(term[i] - extreme);
		result = (float)(weft_log_d(reference_sum(v, n)) + extreme) * scale;
		break;
	default:
		for (size_t i = 0; i < n; i++)
			product *= term[i];
		result = (float)product * scale;
	}
	free(v);
	return result;
}

static void test_reduce(void **state)
{
	(void)state;
	for (size_t k = 0; k < SHAPES; k++)
		for (unsigned int function = 0; function < WEFT_REDUCE_FUNCTIONS; function++) {
			uint64_t seed = k * 100 + function;
			struct tensor t[2] = {make_input(&seed, &shapes[k]),
					      make_kept(&seed, &shapes[k], WEFT_TYPE_F32, true)};
			struct tensor expected[2] = {t[0], tensor_copy(&t[1])};
			struct groups groups = group(&t[0], &t[1]);
			float *term = malloc((tensor_elements(&t[0]) + 1) * sizeof(*term));
			union weft_params params;

			memset(&params, 0, sizeof(params));
			params.reduce.function = function;
			params.reduce.flags = function == WEFT_REDUCE_SUM && k % 2 ? WEFT_F_ACCUMULATE : 0;
			params.reduce.scale = k % 3 ? 1.0f : 0.3f;
			if (function == WEFT_REDUCE_PROD)
				for (uint64_t e = 0; e < tensor_elements(&t[0]); e++)
					*tensor_f32(&t[0], e) = random_next(&seed) & 1 ? 0.5f : -2.0f;
			if (function == WEFT_REDUCE_LOG_SUM)
				for (uint64_t e = 0; e < tensor_elements(&t[0]); e++)
					*tensor_f32(&t[0], e) = fabsf(*tensor_f32(&t[0], e)) + 0.1f;
			for (uint64_t o = 0; o < tensor_elements(&t[1]); o++) {
				const uint64_t *element;
				size_t n = collect(&groups, o, &element);

				for (size_t i = 0; i < n; i++)
					term[i] = *tensor_f32(&t[0], element[i]);
				*tensor_f32(&expected[1], o) =
					reduce_reference(function, term, n, params.reduce.scale, *tensor_f32(&t[1], o),
							 params.reduce.flags);
			}
			/* Long products leave the range in an order of their own. */
			if (function != WEFT_REDUCE_PROD || tensor_elements(&t[0]) / tensor_elements(&t[1]) < 100)
				op_check(WEFT_OP_REDUCE, &params, 2, t, expected, shapes[k].name);
			groups_free(&groups);
			free(term);
			tensor_free(&t[0]);
			tensor_free(&t[1]);
			tensor_free(&expected[1]);
		}
}

/* A reduction split at a block's end under WEFT_F_ACCUMULATE gives the bits of the whole. */
static void test_split(void **state)
{
	enum { N = 1000, C = 19 };
	uint64_t seed = 3;
	uint32_t dims[2] = {N, C}, one[2] = {1, C};
	struct tensor t[2] = {tensor_dense(WEFT_TYPE_F32, 2, dims), tensor_dense(WEFT_TYPE_F32, 2, one)};
	union weft_params params;
	float whole[C];

	(void)state;
	memset(&params, 0, sizeof(params));
	params.reduce.scale = 0.7f;
	for (unsigned int i = 0; i < N * C; i++)
		*tensor_f32(&t[0], i) = random_float(&seed);
	op_run(op_units[0], WEFT_OP_REDUCE, &params, 2, t, NULL);
	memcpy(whole, t[1].base, sizeof(whole));
	for (uint32_t first = 0; first < N; first += 2 * WEFT_SUM_REDUCE) {
		struct tensor part[2] = {t[0], t[1]};

		part[0].base += first * C * sizeof(float);
		part[0].t.dims[0] = N - first < 2 * WEFT_SUM_REDUCE ? N - first : 2 * WEFT_SUM_REDUCE;
		params.reduce.flags = first ? WEFT_F_ACCUMULATE : 0;
		op_run(op_units[0], WEFT_OP_REDUCE, &params, 2, part, NULL);
	}
	assert_memory_equal(whole, t[1].base, sizeof(whole));
	tensor_free(&t[0]);
	tensor_free(&t[1]);
}

static void test_argreduce(void **state)
{
	(void)state;
	for (size_t k = 0; k < SHAPES; k++)
		for (unsigned int kind = 0; kind < 8; kind++) {
			uint64_t seed = k * 8 + kind;
			bool largest = kind & 1, last = kind & 2;
			struct tensor t[2] = {
				make_input(&seed, &shapes[k]),
				make_kept(&seed, &shapes[k], kind & 4 ? WEFT_TYPE_I64 : WEFT_TYPE_I32, true)};
			struct tensor expected[2] = {t[0], tensor_copy(&t[1])};
			struct groups groups;
			union weft_params params;

			if (__builtin_popcount(shapes[k].reduced) > 1) {
				tensor_free(&t[0]);
				tensor_free(&t[1]);
				tensor_free(&expected[1]);
				continue;
			}
			groups = group(&t[0], &t[1]);
			memset(&params, 0, sizeof(params));
			params.reduce.function = largest ? WEFT_REDUCE_MAX : WEFT_REDUCE_MIN;
			params.reduce.select_last = last;
			for (uint64_t e = 0; e < tensor_elements(&t[0]); e++)
				*tensor_f32(&t[0], e) = e % 97 == 50 ? NAN : (float)random_range(&seed, 0, 6);
			for (uint64_t o = 0; o < tensor_elements(&t[1]); o++) {
				const uint64_t *element;
				size_t n = collect(&groups, o, &element), best = 0;

				for (size_t i = 1; i < n; i++) {
					float v = *tensor_f32(&t[0], element[i]), b = *tensor_f32(&t[0], element[best]);
					bool better = isnan(v) ? !isnan(b) : !isnan(b) && (largest ? v > b : v < b);
					bool same = (isnan(v) && isnan(b)) || v == b;

					if (better || (last && same))
						best = i;
				}
				if (kind & 4)
					*(int64_t *)tensor_at(&expected[1], o) = (int64_t)best;
				else
					*(int32_t *)tensor_at(&expected[1], o) = (int32_t)best;
			}
			op_check(WEFT_OP_ARGREDUCE, &params, 2, t, expected, shapes[k].name);
			groups_free(&groups);
			tensor_free(&t[0]);
			tensor_free(&t[1]);
			tensor_free(&expected[1]);
		}
}

/* NORM operations; gamma has the kept extents (batch norm) or the reduced ones (layer norm). */
struct norm {
	struct tensor x, dy, mean, rstd, var, gamma, beta, y, sum[2], dx;
	union weft_params params;
};

static void norm_make(struct norm *n, const struct shape *s, uint64_t seed, unsigned int kind)
{
	n->x = make_input(&seed, s);
	n->dy = kind & 1 ? make_input(&seed, s) : tensor_random(&seed, WEFT_TYPE_F32, s->rank, s->dims);
	n->mean = make_kept(&seed, s, WEFT_TYPE_F32, true);
	n->rstd = make_kept(&seed, s, WEFT_TYPE_F32, true);
	n->var = kind & 2 ? make_kept(&seed, s, WEFT_TYPE_F32, true) : tensor_absent();
	n->gamma = kind & 1 ? make_kept(&seed, s, WEFT_TYPE_F32, kind & 4) : tensor_absent();
	n->beta = kind & 2 ? make_kept(&seed, s, WEFT_TYPE_F32, kind & 4) : tensor_absent();
	n->y = tensor_random(&seed, WEFT_TYPE_F32, s->rank, s->dims);
	n->sum[0] = make_kept(&seed, s, WEFT_TYPE_F32, kind & 8 ? false : true);
	n->sum[1] = make_kept(&seed, s, WEFT_TYPE_F32, kind & 8 ? false : true);
	n->dx = make_input(&seed, s);
	memset(&n->params, 0, sizeof(n->params));
	n->params.norm.epsilon = 1e-5f;
	n->params.norm.inverse_count = (float)tensor_elements(&n->mean) / (float)tensor_elements(&n->x);
	n->params.norm.activation = kind % 3;
	n->params.norm.alpha = -0.5f;
	n->params.norm.beta = 0.75f;
	n->params.norm.gamma_in_sums = kind >> 2 & 1;
}

static void norm_free(struct norm *n)
{
	tensor_free(&n->x);
	tensor_free(&n->dy);
	tensor_free(&n->mean);
	tensor_free(&n->rstd);
	tensor_free(&n->var);
	tensor_free(&n->gamma);
	tensor_free(&n->beta);
	tensor_free(&n->y);
	tensor_free(&n->sum[0]);
	tensor_free(&n->sum[1]);
	tensor_free(&n->dx);
}

static float element(const struct tensor *x, uint64_t e, const struct tensor *of)
{
	return *tensor_f32(of, project(x, e, of));
}

static void check_stats(const struct norm *n, const char *name)
{
	struct tensor t[4] = {n->x, n->mean, n->rstd, n->var};
	struct tensor expected[4] = {n->x, tensor_copy(&n->mean), tensor_copy(&n->rstd), tensor_copy(&n->var)};
	struct groups groups = group(&n->x, &n->mean);
	float *term = malloc((tensor_elements(&n->x) + 1) * sizeof(*term));

	for (uint64_t o = 0; o < tensor_elements(&n->mean); o++) {
		const uint64_t *index;
		size_t count = collect(&groups, o, &index);
		float mean, var;

		for (size_t i = 0; i < count; i++)
			term[i] = *tensor_f32(&n->x, index[i]);
		mean = reference_sum(term, count) / (float)count;
		for (size_t i = 0; i < count; i++)
			term[i] = (term[i] - mean) * (term[i] - mean);
		var = reference_sum(term, count) / (float)count;
		*tensor_f32(&expected[1], o) = mean;
		*tensor_f32(&expected[2], o) = 1.0f / sqrtf(var + n->params.norm.epsilon);
		if (n->var.base)
			*tensor_f32(&expected[3], o) = var;
	}
	op_check(WEFT_OP_NORM_STATS, &n->params, 4, t, expected, name);
	groups_free(&groups);
	free(term);
	for (int i = 1; i < 4; i++)
		tensor_free(&expected[i]);
}

static void check_apply(const struct norm *n, const char *name, bool in_place)
{
	struct tensor t[6] = {n->x, n->mean, n->rstd, n->gamma, n->beta, in_place ? n->x : n->y};
	struct tensor expected[6];

	memcpy(expected, t, sizeof(t));
	expected[5] = tensor_copy(&t[5]);
	if (in_place)
		expected[0] = expected[5];
	for (uint64_t e = 0; e < tensor_elements(&n->x); e++) {
		float v = (*tensor_f32(&n->x, e) - element(&n->x, e, &n->mean)) * element(&n->x, e, &n->rstd);

		if (n->gamma.base && n->beta.base)
			v = fmaf(v, element(&n->x, e, &n->gamma), element(&n->x, e, &n->beta));
		else if (n->gamma.base)
			v = v * element(&n->x, e, &n->gamma);
		else if (n->beta.base)
			v = v + element(&n->x, e, &n->beta);
		if (n->params.norm.activation == WEFT_ACT_RELU)
			v = 0.0f > v ? 0.0f : v;
		if (n->params.norm.activation == WEFT_ACT_CLIP)
			v = v < -0.5f ? -0.5f : v > 0.75f ? 0.75f : v;
		*tensor_f32(&expected[5], e) = v;
	}
	op_check(WEFT_OP_NORM_APPLY, &n->params, 6, t, expected, name);
	tensor_free(&expected[5]);
}

static void check_bwd_stats(const struct norm *n, const char *name, bool masked)
{
	struct tensor t[8] = {n->x,	 n->dy,	   n->mean, n->rstd, n->gamma, masked ? n->y : tensor_absent(),
			      n->sum[0], n->sum[1]};
	struct tensor expected[8];
	struct groups groups = group(&n->x, &n->sum[0]);
	float *a = malloc((tensor_elements(&n->x) + 1) * sizeof(*a));
	float *b = malloc((tensor_elements(&n->x) + 1) * sizeof(*b));

	memcpy(expected, t, sizeof(t));
	expected[6] = tensor_copy(&t[6]);
	expected[7] = tensor_copy(&t[7]);
	for (uint64_t o = 0; o < tensor_elements(&n->sum[0]); o++) {
		const uint64_t *index;
		size_t count = collect(&groups, o, &index);

		for (size_t i = 0; i < count; i++) {
			uint64_t e = index[i];
			float g = *tensor_f32(&n->dy, e);

			if (n->gamma.base)
				g *= element(&n->x, e, &n->gamma);
			if (masked && !(*tensor_f32(&n->y, e) > 0.0f))
				g = 0.0f;
			a[i] = g;
			b[i] = g *
			       ((*tensor_f32(&n->x, e) - element(&n->x, e, &n->mean)) * element(&n->x, e, &n->rstd));
		}
		*tensor_f32(&expected[6], o) = reference_sum(a, count);
		*tensor_f32(&expected[7], o) = reference_sum(b, count);
	}
	op_check(WEFT_OP_NORM_BWD_STATS, &n->params, 8, t, expected, name);
	groups_free(&groups);
	free(a);
	free(b);
	tensor_free(&expected[6]);
	tensor_free(&expected[7]);
}

static void check_bwd_apply(const struct norm *n, const char *name, bool masked, unsigned int in_place)
{
	struct tensor t[9] = {n->x,
			      n->dy,
			      n->mean,
			      n->rstd,
			      n->gamma,
			      n->sum[0],
			      n->sum[1],
			      masked ? n->y : tensor_absent(),
			      in_place == 1   ? n->dy
			      : in_place == 2 ? n->x
					      : n->dx};
	struct tensor expected[9];
	float c = n->params.norm.inverse_count;

	memcpy(expected, t, sizeof(t));
	expected[8] = tensor_copy(&t[8]);
	if (in_place)
		expected[2 - in_place] = expected[8];
	for (uint64_t e = 0; e < tensor_elements(&n->x); e++) {
		float dy = !masked || *tensor_f32(&n->y, e) > 0.0f ? *tensor_f32(&n->dy, e) : 0.0f;
		float rstd = element(&n->x, e, &n->rstd);
		float xhat = (*tensor_f32(&n->x, e) - element(&n->x, e, &n->mean)) * rstd;
		float u = c * fmaf(xhat, element(&n->x, e, &n->sum[1]), element(&n->x, e, &n->sum[0]));
		float gamma = n->gamma.base ? element(&n->x, e, &n->gamma) : 1.0f;

		*tensor_f32(&expected[8], e) =
			n->params.norm.gamma_in_sums ? rstd * fmaf(gamma, dy, -u) : (rstd * gamma) * (dy - u);
	}
	op_check(WEFT_OP_NORM_BWD_APPLY, &n->params, 9, t, expected, name);
	tensor_free(&expected[8]);
}

static void test_norm(void **state)
{
	(void)state;
	for (size_t k = 0; k < SHAPES; k++)
		for (unsigned int kind = 0; kind < 16; kind += 1 + (k > 8)) {
			struct norm n;

			norm_make(&n, &shapes[k], k * 1000 + kind, kind);
			check_stats(&n, shapes[k].name);
			check_apply(&n, shapes[k].name, kind & 8);
			check_bwd_stats(&n, shapes[k].name, kind & 2);
			check_bwd_apply(&n, shapes[k].name, kind & 2, kind % 3);
			norm_free(&n);
		}
}

/* Loss = sum of dy * norm(x) by double arithmetic: its slope by central differences. */
static double norm_loss(const double *x, const float *dy, const float *gamma, int rows, int channels)
{
	double loss = 0;

	for (int c = 0; c < channels; c++) {
		double mean = 0, var = 0;

		for (int r = 0; r < rows; r++)
			mean += x[r * channels + c] / rows;
		for (int r = 0; r < rows; r++)
			var += pow(x[r * channels + c] - mean, 2) / rows;
		for (int r = 0; r < rows; r++)
			loss += dy[r * channels + c] * gamma[c] * (x[r * channels + c] - mean) / sqrt(var + 1e-5);
	}
	return loss;
}

static void test_norm_gradient(void **state)
{
	enum { ROWS = 12, CHANNELS = 5 };
	uint32_t dims[2] = {ROWS, CHANNELS}, kept[2] = {1, CHANNELS};
	uint64_t seed = 5;

	(void)state;
	for (unsigned int in_sums = 0; in_sums < 2; in_sums++) {
		struct tensor x = tensor_ordered(&seed, WEFT_TYPE_F32, 2, dims, (unsigned int[]){1, 0});
		struct tensor dy = tensor_ordered(&seed, WEFT_TYPE_F32, 2, dims, (unsigned int[]){1, 0});
		struct tensor gamma = tensor_ordered(&seed, WEFT_TYPE_F32, 2, kept, (unsigned int[]){1, 0});
		struct tensor s[4], dx = tensor_dense(WEFT_TYPE_F32, 2, dims);
		union weft_params params;
		double v[ROWS * CHANNELS];

		for (int i = 0; i < 4; i++)
			s[i] = tensor_dense(WEFT_TYPE_F32, 2, kept);
		memset(&params, 0, sizeof(params));
		params.norm.epsilon = 1e-5f;
		params.norm.inverse_count = 1.0f / ROWS;
		params.norm.gamma_in_sums = in_sums;
		op_run(op_units[0], WEFT_OP_NORM_STATS, &params, 3, (struct tensor[]){x, s[0], s[1]}, NULL);
		op_run(op_units[0], WEFT_OP_NORM_BWD_STATS, &params, 8,
		       (struct tensor[]){x, dy, s[0], s[1], in_sums ? gamma : tensor_absent(), tensor_absent(), s[2],
					 s[3]},
		       NULL);
		op_run(op_units[0], WEFT_OP_NORM_BWD_APPLY, &params, 9,
		       (struct tensor[]){x, dy, s[0], s[1], gamma, s[2], s[3], tensor_absent(), dx}, NULL);
		for (int i = 0; i < ROWS * CHANNELS; i++)
			v[i] = *tensor_f32(&x, i);
		for (int i = 0; i < ROWS * CHANNELS; i++) {
			double keep = v[i], up, down, h = 1e-5;

			v[i] = keep + h;
			up = norm_loss(v, (float *)dy.base, (float *)gamma.base, ROWS, CHANNELS);
			v[i] = keep - h;
			down = norm_loss(v, (float *)dy.base, (float *)gamma.base, ROWS, CHANNELS);
			v[i] = keep;
			assert_true(fabs((up - down) / (2 * h) - *tensor_f32(&dx, i)) < 1e-5);
		}
		tensor_free(&x);
		tensor_free(&dy);
		tensor_free(&gamma);
		tensor_free(&dx);
		for (int i = 0; i < 4; i++)
			tensor_free(&s[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reduce), cmocka_unit_test(test_split),	     cmocka_unit_test(test_argreduce),
		cmocka_unit_test(test_norm),   cmocka_unit_test(test_norm_gradient),
	};

	return cmocka_run_group_tests(tests, op_units_make, op_units_free);
}
