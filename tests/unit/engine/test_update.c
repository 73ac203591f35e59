// SPDX-License-Identifier: MIT
/*
 * SGD, ADAM, LERP: a re-derivation of torch.optim in double precision over ten
 * steps, and the specified operations to the bit.  RANDOM and DROPOUT: Philox's
 * published vectors, the counting, the distributions.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "op.h"

enum { N = 3000, STEPS = 10 };

struct optimizer {
	const char *name;
	bool adam;
	double lr, beta1, beta2, epsilon, decay, scale;
	unsigned int nesterov, decoupled;
};

static const struct optimizer optimizers[] = {
	{"sgd", false, 0.05, 0, 0, 0, 0, 1, 0, 0},
	{"sgd, weight decay, scale", false, 0.05, 0, 0, 0, 0.01, 0.5, 0, 0},
	{"sgd, momentum", false, 0.05, 0.9, 0, 0, 0.01, 1, 0, 0},
	{"sgd, dampening", false, 0.05, 0.9, 0.3, 0, 0, 1, 0, 0},
	{"sgd, nesterov", false, 0.05, 0.9, 0, 0, 0.01, 1, 1, 0},
	{"adam", true, 1e-3, 0.9, 0.999, 1e-8, 0, 1, 0, 0},
	{"adam, weight decay", true, 1e-3, 0.9, 0.999, 1e-8, 0.1, 0.25, 0, 0},
	{"adamw", true, 1e-3, 0.9, 0.999, 1e-8, 0.01, 1, 0, 1},
};

/* torch.optim.SGD and Adam, single tensor. */
static void exact_step(const struct optimizer *o, int step, double g, double *w, double *m, double *v)
{
	g *= o->scale;
	if (!o->adam) {
		g += o->decay * *w;
		if (o->beta1 != 0) {
			*m = step == 1 ? g : o->beta1 * *m + (1 - o->beta2) * g;
			g = o->nesterov ? g + o->beta1 * *m : *m;
		}
		*w -= o->lr * g;
		return;
	}
	if (o->decoupled)
		*w *= 1 - o->lr * o->decay;
	else
		g += o->decay * *w;
	*m = o->beta1 * *m + (1 - o->beta1) * g;
	*v = o->beta2 * *v + (1 - o->beta2) * g * g;
	*w -= o->lr / (1 - pow(o->beta1, step)) * *m / (sqrt(*v) / sqrt(1 - pow(o->beta2, step)) + o->epsilon);
}

static void set_hyper(struct tensor *hyper, const struct optimizer *o, int step)
{
	float *h = (float *)hyper->base;

	h[WEFT_HYPER_LR] = (float)o->lr;
	h[WEFT_HYPER_BETA1] = (float)o->beta1;
	/* The first step's momentum is the gradient itself. */
	h[WEFT_HYPER_BETA2] = o->adam || step > 1 ? (float)o->beta2 : 0.0f;
	h[WEFT_HYPER_EPSILON] = (float)o->epsilon;
	h[WEFT_HYPER_WEIGHT_DECAY] = (float)o->decay;
	h[WEFT_HYPER_BIAS1] = (float)(1 - pow(o->beta1, step));
	h[WEFT_HYPER_BIAS2_SQRT] = (float)sqrt(1 - pow(o->beta2, step));
	h[WEFT_HYPER_GRADIENT_SCALE] = (float)o->scale;
}

/* The operations as weft_isa.h lists them. */
static void specified_step(const struct optimizer *o, const float *h, float g, float *w, float *m, float *v)
{
	float x = *w, d = g * h[WEFT_HYPER_GRADIENT_SCALE];

	if (!o->adam) {
		d = fmaf(h[WEFT_HYPER_WEIGHT_DECAY], x, d);
		if (o->beta1 != 0) {
			*m = fmaf(h[WEFT_HYPER_BETA1], *m, (1.0f - h[WEFT_HYPER_BETA2]) * d);
			d = o->nesterov ? fmaf(h[WEFT_HYPER_BETA1], *m, d) : *m;
		}
		*w = fmaf(-h[WEFT_HYPER_LR], d, x);
		return;
	}
	if (o->decoupled)
		x = x * (1.0f - h[WEFT_HYPER_LR] * h[WEFT_HYPER_WEIGHT_DECAY]);
	else
		d = fmaf(h[WEFT_HYPER_WEIGHT_DECAY], x, d);
	*m = fmaf(h[WEFT_HYPER_BETA1], *m, (1.0f - h[WEFT_HYPER_BETA1]) * d);
	*v = fmaf(h[WEFT_HYPER_BETA2], *v, (1.0f - h[WEFT_HYPER_BETA2]) * (d * d));
	*w = fmaf(-(h[WEFT_HYPER_LR] / h[WEFT_HYPER_BIAS1]),
		  *m / (sqrtf(*v) / h[WEFT_HYPER_BIAS2_SQRT] + h[WEFT_HYPER_EPSILON]), x);
}

static void test_optimizers(void **state)
{
	(void)state;
	for (size_t k = 0; k < sizeof(optimizers) / sizeof(optimizers[0]); k++) {
		const struct optimizer *o = &optimizers[k];
		uint64_t seed = k;
		uint32_t dims[2] = {30, N / 30}, eight[1] = {WEFT_HYPERS};
		/* G, hyper, W, momentum or m, v; the layouts differ. */
		struct tensor t[5] = {
			tensor_random(&seed, WEFT_TYPE_F32, 2, dims), tensor_dense(WEFT_TYPE_F32, 1, eight),
			tensor_random(&seed, WEFT_TYPE_F32, 2, dims), tensor_random(&seed, WEFT_TYPE_F32, 2, dims),
			tensor_random(&seed, WEFT_TYPE_F32, 2, dims)};
		double w[N], m[N], v[N];
		union weft_params params;

		memset(&params, 0, sizeof(params));
		params.optimizer.nesterov = o->nesterov;
		params.optimizer.decoupled = o->decoupled;
		for (int i = 0; i < N; i++) {
			*tensor_f32(&t[3], i) = *tensor_f32(&t[4], i) = 0.0f;
			w[i] = *tensor_f32(&t[2], i);
			m[i] = v[i] = 0;
		}
		if (!o->adam && o->beta1 == 0) {
			tensor_free(&t[3]);
			t[3] = tensor_absent();
		}
		for (int step = 1; step <= STEPS; step++) {
			struct tensor expected[5];

			memcpy(expected, t, sizeof(t));
			set_hyper(&t[1], o, step);
			for (int i = 2; i < 5; i++)
				expected[i] = tensor_copy(&t[i]);
			for (int i = 0; i < N; i++) {
				float unused = 0;

				*tensor_f32(&t[0], i) = random_float(&seed);
				exact_step(o, step, *tensor_f32(&t[0], i), &w[i], &m[i], &v[i]);
				specified_step(
					o, (float *)t[1].base, *tensor_f32(&t[0], i), tensor_f32(&expected[2], i),
					t[3].base ? tensor_f32(&expected[3], i) : &unused, tensor_f32(&expected[4], i));
			}
			op_check(o->adam ? WEFT_OP_ADAM : WEFT_OP_SGD, &params, o->adam ? 5 : 4, t, expected, o->name);
			for (int i = 2; i < 5; i++) {
				tensor_free(&t[i]);
				t[i] = expected[i];
			}
			for (int i = 0; i < N; i++) {
				double error = fabs(*tensor_f32(&t[2], i) - w[i]);

				/* A step of Adam is at most about lr, whatever the gradient. */
				if (error > 1e-6 * (1 + fabs(w[i])))
					fail_msg("%s: step %d: %.9g, expected %.9g", o->name, step,
						 (double)*tensor_f32(&t[2], i), w[i]);
			}
		}
		for (int i = 0; i < 5; i++)
			tensor_free(&t[i]);
	}
}

static void test_lerp(void **state)
{
	uint32_t dims[2] = {40, 50};
	uint64_t seed = 9;

	(void)state;
	for (int trial = 0; trial < 6; trial++) {
		struct tensor t[2] = {tensor_random(&seed, WEFT_TYPE_F32, 2, dims),
				      tensor_random(&seed, WEFT_TYPE_F32, 2, dims)};
		struct tensor expected[2] = {t[0], tensor_copy(&t[1])};
		union weft_params params;

		memset(&params, 0, sizeof(params));
		params.lerp.scale = 1.03f;
		params.lerp.weight = 0.1f;
		for (uint64_t e = 0; e < tensor_elements(&t[0]); e++) {
			float y = *tensor_f32(&t[1], e);

			*tensor_f32(&expected[1], e) = fmaf(fmaf(*tensor_f32(&t[0], e), 1.03f, -y), 0.1f, y);
		}
		op_check(WEFT_OP_LERP, &params, 2, t, expected, "lerp");
		tensor_free(&t[0]);
		tensor_free(&t[1]);
		tensor_free(&expected[1]);
	}
}

/* The 128-bit counter and 64-bit key are least significant word first. */
static void philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4])
{
	uint32_t c[4] = {counter[0], counter[1], counter[2], counter[3]}, k[2] = {key[0], key[1]};

	for (int round = 0; round < 10; round++) {
		uint64_t a = 0xd2511f53ull * c[0], b = 0xcd9e8d57ull * c[2];
		uint32_t next[4] = {(uint32_t)(b >> 32) ^ c[1] ^ k[0], (uint32_t)b, (uint32_t)(a >> 32) ^ c[3] ^ k[1],
				    (uint32_t)a};

		memcpy(c, next, sizeof(c));
		k[0] += 0x9e3779b9;
		k[1] += 0xbb67ae85;
	}
	memcpy(out, c, sizeof(c));
}

/* Known answers of Random123 1.14, kat_vectors, philox4x32 with 10 rounds. */
static const struct {
	uint32_t counter[4], key[2], out[4];
} vectors[] = {
	{{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
	{{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
	 {0xffffffff, 0xffffffff},
	 {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
	{{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
	 {0xa4093822, 0x299f31d0},
	 {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
};

static void test_philox(void **state)
{
	uint32_t two[1] = {2}, many[1] = {4};

	(void)state;
	for (size_t k = 0; k < sizeof(vectors) / sizeof(vectors[0]); k++) {
		struct tensor t[2] = {tensor_dense(WEFT_TYPE_I64, 1, two), tensor_dense(WEFT_TYPE_F32, 1, many)};
		union weft_params params;
		uint32_t out[4];

		philox(vectors[k].counter, vectors[k].key, out);
		assert_memory_equal(out, vectors[k].out, sizeof(out));
		/* The device draws block 0 of a stream and step: the first word of the counter is 0. */
		memset(&params, 0, sizeof(params));
		params.random.seed = (uint64_t)vectors[k].key[1] << 32 | vectors[k].key[0];
		params.random.high = 1.0f;
		((int64_t *)t[0].base)[0] = (int64_t)vectors[k].counter[1] - 5;
		params.random.stream = 5;
		((int64_t *)t[0].base)[1] = (int64_t)((uint64_t)vectors[k].counter[3] << 32 | vectors[k].counter[2]);
		philox((uint32_t[]){0, vectors[k].counter[1], vectors[k].counter[2], vectors[k].counter[3]},
		       vectors[k].key, out);
		for (unsigned int u = 0; u < op_unit_count; u++) {
			assert_int_equal(op_run(op_units[u], WEFT_OP_RANDOM, &params, 2, t, NULL), 0);
			for (int i = 0; i < 4; i++)
				assert_true(*tensor_f32(&t[1], i) == (float)(out[i] >> 8) * 0x1p-24f);
		}
		tensor_free(&t[0]);
		tensor_free(&t[1]);
	}
}

/* Element e takes word e mod 4 of block e / 4, in whatever layout it is stored. */
static void test_random(void **state)
{
	(void)state;
	for (uint64_t trial = 0; trial < 20; trial++) {
		uint64_t seed = trial;
		uint32_t dims[3] = {random_range(&seed, 1, 30), random_range(&seed, 1, 30), random_range(&seed, 1, 60)};
		struct tensor t[2] = {tensor_absent(), tensor_random(&seed, WEFT_TYPE_F32, 3, dims)};
		struct tensor expected[2] = {t[0], tensor_copy(&t[1])};
		union weft_params params;

		memset(&params, 0, sizeof(params));
		params.random.seed = 0x123456789abcdef0 + trial;
		params.random.distribution = trial % 2 ? WEFT_BERNOULLI : WEFT_UNIFORM;
		params.random.low = trial % 2 ? 0.3f : -2.0f;
		params.random.high = 3.0f;
		params.random.stream = (uint32_t)trial;
		for (uint64_t e = 0; e < tensor_elements(&t[1]); e++) {
			uint32_t out[4];
			float u, v;

			philox((uint32_t[]){(uint32_t)(e / 4), (uint32_t)trial, 0, 0},
			       (uint32_t[]){(uint32_t)params.random.seed, (uint32_t)(params.random.seed >> 32)}, out);
			u = (float)(out[e % 4] >> 8) * 0x1p-24f;
			v = fmaf(u, 5.0f, -2.0f);
			*tensor_f32(&expected[1], e) = trial % 2 ? (u < 0.3f ? 1.0f : 0.0f) : v >= 3.0f ? -2.0f : v;
		}
		op_check(WEFT_OP_RANDOM, &params, 2, t, expected, "random");
		tensor_free(&t[1]);
		tensor_free(&expected[1]);
	}
}

static double normal_cdf(double x)
{
	return 0.5 * erfc(-x * sqrt(0.5));
}

static int ascending(const void *a, const void *b)
{
	float x = *(const float *)a, y = *(const float *)b;

	return (x > y) - (x < y);
}

/* The largest distance of the empirical distribution from the normal one (Kolmogorov and Smirnov). */
static void test_normal(void **state)
{
	enum { COUNT = 200001 };
	uint32_t dims[1] = {COUNT};
	struct tensor t[2] = {tensor_absent(), tensor_dense(WEFT_TYPE_F32, 1, dims)};
	union weft_params params;
	double distance = 0;
	float *sorted;

	(void)state;
	memset(&params, 0, sizeof(params));
	params.random.seed = 42;
	params.random.distribution = WEFT_NORMAL;
	params.random.low = 1.0f;
	params.random.high = 2.0f;
	assert_int_equal(op_run(op_units[0], WEFT_OP_RANDOM, &params, 2, t, NULL), 0);
	op_check(WEFT_OP_RANDOM, &params, 2, t, t, "normal");
	sorted = malloc(COUNT * sizeof(float));
	memcpy(sorted, t[1].base, COUNT * sizeof(float));
	qsort(sorted, COUNT, sizeof(float), ascending);
	for (int i = 0; i < COUNT; i++)
		distance = fmax(distance, fabs(normal_cdf((sorted[i] - 1.0) / 2.0) - (i + 0.5) / COUNT));
	/* 1.95 / sqrt(n) is passed by 99.9 % of true samples; the seed is fixed. */
	assert_true(distance < 1.95 / sqrt(COUNT));
	free(sorted);
	tensor_free(&t[1]);
}

static void test_dropout(void **state)
{
	uint32_t two[1] = {2};

	(void)state;
	for (uint64_t trial = 0; trial < 12; trial++) {
		uint64_t seed = trial, kept = 0;
		uint32_t dims[2] = {random_range(&seed, 50, 100), random_range(&seed, 50, 100)};
		bool in_place = trial & 1, masked = trial & 2;
		struct tensor x = tensor_random(&seed, WEFT_TYPE_F32, 2, dims),
			      counter = tensor_dense(WEFT_TYPE_I64, 1, two);
		struct tensor uniform = tensor_dense(WEFT_TYPE_F32, 2, dims);
		struct tensor t[4] = {x, counter, in_place ? x : tensor_random(&seed, WEFT_TYPE_F32, 2, dims),
				      masked ? tensor_random(&seed, WEFT_TYPE_BOOL, 2, dims) : tensor_absent()};
		struct tensor expected[4];
		union weft_params params;

		((int64_t *)counter.base)[0] = (int64_t)trial;
		((int64_t *)counter.base)[1] = 1000;
		memset(&params, 0, sizeof(params));
		params.random.seed = 77;
		params.random.keep = trial < 10 ? 0.75f : trial == 10 ? 0.0f : 1.0f;
		params.random.high = 1.0f;
		op_run(op_units[0], WEFT_OP_RANDOM, &params, 2, (struct tensor[]){counter, uniform}, NULL);
		memcpy(expected, t, sizeof(t));
		expected[2] = tensor_copy(&t[2]);
		expected[3] = tensor_copy(&t[3]);
		if (in_place)
			expected[0] = expected[2];
		for (uint64_t e = 0; e < tensor_elements(&x); e++) {
			bool keep = *tensor_f32(&uniform, e) < params.random.keep;

			kept += keep;
			*tensor_f32(&expected[2], e) = keep ? *tensor_f32(&x, e) / params.random.keep : 0.0f;
			if (masked)
				*(uint8_t *)tensor_at(&expected[3], e) = keep;
		}
		assert_true(fabs((double)kept / (double)tensor_elements(&x) - params.random.keep) < 0.03);
		op_check(WEFT_OP_DROPOUT, &params, 4, t, expected, "dropout");
		tensor_free(&x);
		tensor_free(&counter);
		tensor_free(&uniform);
		tensor_free(&expected[2]);
		tensor_free(&expected[3]);
		if (!in_place)
			tensor_free(&t[2]);
		tensor_free(&t[3]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_optimizers), cmocka_unit_test(test_lerp),	  cmocka_unit_test(test_philox),
		cmocka_unit_test(test_random),	   cmocka_unit_test(test_normal), cmocka_unit_test(test_dropout),
	};

	return cmocka_run_group_tests(tests, op_units_make, op_units_free);
}
