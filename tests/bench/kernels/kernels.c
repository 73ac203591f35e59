// SPDX-License-Identifier: MIT
/*
 * The engine's matrix products and convolutions beside oneDNN's, on one core:
 * runs alternate, so that what else the machine does disturbs both; times are
 * of the thread's processor time.  Both results are compared, too.
 */
#include <argp.h>
#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "kernels.h"

#define MAX_REPEATS 101
#define MAX_NAMES 64
/* Relative to the largest value: different orders of summation in binary32. */
#define TOLERANCE 1e-4

#define CONV(name, n, h, c, oc, groups, kernel, stride, pad)                                            \
	{name "/fwd", KIND_FWD, n, h, h, c, oc, groups, kernel, stride, pad, 0, 0, 0, 0, 0},            \
		{name "/data", KIND_DATA, n, h, h, c, oc, groups, kernel, stride, pad, 0, 0, 0, 0, 0},  \
	{                                                                                               \
		name "/weight", KIND_WEIGHT, n, h, h, c, oc, groups, kernel, stride, pad, 0, 0, 0, 0, 0 \
	}
#define MATMUL(name, m, n, k, ta, tb)                                         \
	{                                                                     \
		name, KIND_MATMUL, 0, 0, 0, 0, 0, 0, 0, 0, 0, m, n, k, ta, tb \
	}

static const struct bench_case cases[] = {
	CONV("conv3x3-64-56", 8, 56, 64, 64, 1, 3, 1, 1),
	CONV("conv3x3-256-14", 16, 14, 256, 256, 1, 3, 1, 1),
	MATMUL("matmul-1024", 1024, 1024, 1024, 0, 0),
	MATMUL("matmul-1024-ta", 1024, 1024, 1024, 1, 0),
	MATMUL("matmul-1024-tb", 1024, 1024, 1024, 0, 1),
	CONV("lenet-conv1", 64, 28, 1, 6, 1, 5, 1, 2),
	CONV("lenet-conv2", 64, 14, 6, 16, 1, 5, 1, 0),
	MATMUL("lenet-fc1/fwd", 64, 120, 400, 0, 1),
	MATMUL("lenet-fc1/data", 64, 400, 120, 0, 0),
	MATMUL("lenet-fc1/weight", 120, 400, 64, 1, 0),
	MATMUL("lenet-fc3/fwd", 64, 10, 84, 0, 1),
	CONV("resnet-w16-32", 32, 32, 16, 16, 1, 3, 1, 1),
	CONV("resnet-w16-down", 32, 32, 16, 32, 1, 3, 2, 1),
	CONV("resnet-w32-16", 32, 16, 32, 32, 1, 3, 1, 1),
	CONV("resnet-w64-8", 32, 8, 64, 64, 1, 3, 1, 1),
	CONV("resnet18-stem", 4, 224, 3, 64, 1, 7, 2, 3),
	CONV("resnet18-down-28", 8, 56, 64, 128, 1, 3, 2, 1),
	CONV("resnet18-short-28", 8, 56, 64, 128, 1, 1, 2, 0),
	CONV("resnet18-28", 8, 28, 128, 128, 1, 3, 1, 1),
	CONV("resnet18-7", 16, 7, 512, 512, 1, 3, 1, 1),
	MATMUL("resnet18-fc", 32, 1000, 512, 0, 1),
	CONV("vgg-first", 1, 224, 3, 64, 1, 3, 1, 1),
	CONV("vgg-224", 1, 224, 64, 64, 1, 3, 1, 1),
	CONV("vgg-112", 2, 112, 128, 128, 1, 3, 1, 1),
	CONV("vgg-56", 2, 56, 256, 256, 1, 3, 1, 1),
	CONV("vgg-28", 2, 28, 512, 512, 1, 3, 1, 1),
	CONV("conv1x1-64-256", 8, 56, 64, 256, 1, 1, 1, 0),
	CONV("conv1x1-256-64", 8, 56, 256, 64, 1, 1, 1, 0),
	CONV("conv1x1-1024-256", 8, 14, 1024, 256, 1, 1, 1, 0),
	CONV("grouped-32x4", 4, 56, 128, 128, 32, 3, 1, 1),
	CONV("depthwise-3x3-32", 8, 112, 32, 32, 32, 3, 1, 1),
	CONV("depthwise-3x3-144-s2", 8, 56, 144, 144, 144, 3, 2, 1),
	CONV("depthwise-3x3-512", 8, 14, 512, 512, 512, 3, 1, 1),
	CONV("depthwise-5x5-240", 8, 14, 240, 240, 240, 5, 1, 2),
	MATMUL("attention-qk", 197, 197, 64, 0, 1),
	MATMUL("mlp-up", 197, 3072, 768, 0, 1),
};
#define CASES (sizeof(cases) / sizeof(cases[0]))

struct options {
	enum weft_engine_isa isa;
	unsigned int repeats;
	double seconds;
	bool json, check, list;
	const char *names[MAX_NAMES];
	unsigned int name_count;
};

struct timing {
	double least, median;
};

static const struct argp_option argp_options[] = {
	{"isa", 'i', "PATH", 0, "Code path: auto, scalar, avx2 (limits oneDNN as well) or avx512", 0},
	{"repeat", 'r', "N", 0, "Measurements of each (default 7)", 0},
	{"seconds", 's', "S", 0, "Least duration of one measurement (default 0.02)", 0},
	{"json", 'j', NULL, 0, "One JSON object on standard output", 0},
	{"check", 'c', NULL, 0, "Only compare results, do not measure; exit status 77 without oneDNN", 0},
	{"list", 'l', NULL, 0, "Name the cases and leave", 0},
	{0},
};

static error_t parse(int key, char *argument, struct argp_state *state)
{
	static const char *const isas[] = {"auto", "scalar", "avx2", "avx512"};
	struct options *o = state->input;

	switch (key) {
	case 'i':
		for (unsigned int i = 0; i < 4; i++) {
			if (!strcmp(argument, isas[i])) {
				o->isa = (enum weft_engine_isa)i;
				return 0;
			}
		}
		argp_error(state, "no code path '%s'", argument);
		return EINVAL;
	case 'r':
		o->repeats = (unsigned int)strtoul(argument, NULL, 10);
		if (o->repeats < 1 || o->repeats > MAX_REPEATS)
			argp_error(state, "--repeat takes 1 to %d", MAX_REPEATS);
		return 0;
	case 's':
		o->seconds = strtod(argument, NULL);
		return 0;
	case 'j':
		o->json = true;
		return 0;
	case 'c':
		o->check = true;
		return 0;
	case 'l':
		o->list = true;
		return 0;
	case ARGP_KEY_ARG:
		if (o->name_count == MAX_NAMES)
			argp_error(state, "at most %d names", MAX_NAMES);
		o->names[o->name_count++] = argument;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

double case_flops(const struct bench_case *c)
{
	if (c->kind == KIND_MATMUL)
		return 2.0 * c->rows * c->columns * c->depth;
	return 2.0 * c->n * case_height(c) * case_width(c) * c->oc * c->kernel * c->kernel * (c->c / c->groups);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int new_buffers(const struct bench_case *c, struct buffers *b)
{
	uint32_t seed = 1;

	if (c->kind == KIND_MATMUL) {
		b->count[0] = (size_t)c->rows * c->depth;
		b->count[1] = (size_t)c->depth * c->columns;
		b->count[2] = (size_t)c->rows * c->columns;
	} else {
		b->count[0] = (size_t)c->n * c->h * c->w * c->c;
		b->count[1] = (size_t)c->kernel * c->kernel * (c->c / c->groups) * c->oc;
		b->count[2] = (size_t)c->n * case_height(c) * case_width(c) * c->oc;
	}
	for (unsigned int i = 0; i < 3; i++) {
		b->data[i] = aligned_alloc(4096, (b->count[i] * sizeof(float) + 4095) / 4096 * 4096);
		if (!b->data[i])
			return -ENOMEM;
		for (size_t k = 0; k < b->count[i]; k++) {
			seed = seed * 1664525u + 1013904223u;
			b->data[i][k] = (float)(int32_t)seed * 0x1p-31f;
		}
	}
	return 0;
}

static void free_buffers(struct buffers *b)
{
	for (unsigned int i = 0; i < 3; i++)
		free(b->data[i]);
}

static unsigned int output_of(const struct bench_case *c)
{
	static const unsigned int outputs[] = {[KIND_FWD] = 2, [KIND_DATA] = 0, [KIND_WEIGHT] = 1, [KIND_MATMUL] = 2};

	return outputs[c->kind];
}

/* Greatest difference of the two results, relative to the greatest value; negative: failure. */
static double compare(const struct bench_case *c, struct runner *ours, struct runner *theirs, struct buffers *b)
{
	unsigned int o = output_of(c);
	double difference = 0, greatest = 1e-30;
	float *copy = malloc(b->count[o] * sizeof(float));

	if (!copy || theirs->run(theirs->state) || theirs->fetch(theirs->state)) {
		free(copy);
		return -1;
	}
	memcpy(copy, b->data[o], b->count[o] * sizeof(float));
	memset(b->data[o], 0xff, b->count[o] * sizeof(float));
	if (ours->run(ours->state)) {
		free(copy);
		return -1;
	}
	for (size_t i = 0; i < b->count[o]; i++) {
		double d = fabs((double)b->data[o][i] - copy[i]);

		/* Not a number counts as a difference. */
		difference = !(d <= difference) ? d : difference;
		greatest = fmax(greatest, fabs((double)copy[i]));
	}
	free(copy);
	return difference / greatest;
}

static double measure(struct runner *r, unsigned int loops)
{
	double begin = now();

	for (unsigned int i = 0; i < loops; i++)
		r->run(r->state);
	return (now() - begin) / loops;
}

static int compare_doubles(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static struct timing summarise(double *times, unsigned int n)
{
	qsort(times, n, sizeof(*times), compare_doubles);
	return (struct timing){times[0], times[n / 2]};
}

static void report(const struct options *o, const struct bench_case *c, double peak, struct timing ours,
		   const struct timing *theirs, double difference, bool first)
{
	double flops = case_flops(c);

	if (o->json) {
		printf("%s\n  {\"case\": \"%s\", \"flops\": %.0f, \"weft_seconds\": %.9f, \"weft_seconds_median\": "
		       "%.9f, "
		       "\"weft_of_peak\": %.4f",
		       first ? "" : ",", c->name, flops, ours.least, ours.median, peak ? flops / ours.least / peak : 0);
		if (theirs)
			printf(", \"onednn_seconds\": %.9f, \"onednn_seconds_median\": %.9f, \"speedup\": %.4f, "
			       "\"speedup_median\": %.4f, \"difference\": %.3g",
			       theirs->least, theirs->median, theirs->least / ours.least, theirs->median / ours.median,
			       difference);
		printf("}");
		return;
	}
	printf("%-28s %9.4f %9.4f ms %7.1f GFLOP/s %5.1f%%", c->name, ours.least * 1e3, ours.median * 1e3,
	       flops / ours.least * 1e-9, peak ? 100 * flops / ours.least / peak : 0);
	if (theirs)
		printf(" | %9.4f %9.4f ms | x%.2f min, x%.2f median", theirs->least * 1e3, theirs->median * 1e3,
		       theirs->least / ours.least, theirs->median / ours.median);
	printf("\n");
	fflush(stdout);
}

static void measure_case(const struct options *o, const struct bench_case *c, double peak, struct runner *ours,
			 struct runner *theirs, double difference, bool first)
{
	double times[2][MAX_REPEATS], once = measure(ours, 1);
	unsigned int loops = once < o->seconds ? (unsigned int)(o->seconds / (once + 1e-7)) + 1 : 1;
	struct timing t[2] = {{0, 0}, {0, 0}};

	for (unsigned int r = 0; r < o->repeats; r++) {
		times[0][r] = measure(ours, loops);
		if (theirs)
			times[1][r] = measure(theirs, loops);
	}
	t[0] = summarise(times[0], o->repeats);
	if (theirs)
		t[1] = summarise(times[1], o->repeats);
	report(o, c, peak, t[0], theirs ? &t[1] : NULL, difference, first);
}

static int run_case(const struct options *o, const struct bench_case *c, double peak, bool first)
{
	struct buffers b = {0};
	struct runner ours = {0}, theirs = {0};
	bool peer;
	double difference = 0;
	int r = new_buffers(c, &b);

	if (!r)
		r = engine_runner(c, o->isa, &b, &ours);
	if (r) {
		fprintf(stderr, "kernels: %s: %s\n", c->name, strerror(-r));
		free_buffers(&b);
		return r;
	}
	peer = !onednn_runner(c, o->isa, &b, &theirs);
	if (peer)
		difference = compare(c, &ours, &theirs, &b);
	if (!(difference >= 0 && difference <= TOLERANCE)) {
		fprintf(stderr, "kernels: %s: results differ by %g of the greatest value, at most %g is expected\n",
			c->name, difference, TOLERANCE);
		r = -EDOM;
	} else if (o->check) {
		printf("%s: difference %.3g\n", c->name, difference);
	} else {
		measure_case(o, c, peak, &ours, peer ? &theirs : NULL, difference, first);
	}
	if (peer)
		theirs.free(theirs.state);
	ours.free(ours.state);
	free_buffers(&b);
	return r;
}

/* Names select every case that begins with them; none selects all. */
static bool selected(const struct options *o, const struct bench_case *c)
{
	for (unsigned int i = 0; i < o->name_count; i++)
		if (!strncmp(c->name, o->names[i], strlen(o->names[i])))
			return true;
	return !o->name_count;
}

static enum weft_engine_isa resolve(enum weft_engine_isa isa)
{
	struct weft_engine_unit *unit;
	const char *name;

	if (isa != WEFT_ENGINE_AUTO || weft_engine_unit_new(isa, 1, &unit))
		return isa;
	name = weft_engine_unit_kernels(unit);
	isa = !strcmp(name, "avx512") ? WEFT_ENGINE_AVX512
	      : !strcmp(name, "avx2") ? WEFT_ENGINE_AVX2
				      : WEFT_ENGINE_SCALAR;
	weft_engine_unit_free(unit);
	return isa;
}

int main(int argc, char **argv)
{
	static const struct argp argp = {argp_options,
					 parse,
					 "[CASE...]",
					 "Measure the engine's kernels beside oneDNN's on one core.\vCASE selects the "
					 "cases that begin with it.\n"
					 "Examples:\n  kernels conv3x3 matmul-1024\n  kernels --isa avx2 --json",
					 NULL,
					 NULL,
					 NULL};
	struct options o = {.repeats = 7, .seconds = 0.02};
	int failures = 0, done = 0;
	double peak;

	argp_parse(&argp, argc, argv, 0, NULL, &o);
	for (unsigned int i = 0; o.list && i < CASES; i++)
		puts(cases[i].name);
	if (o.list)
		return 0;
	if (o.check && !onednn_version()) {
		puts("skipped: built without oneDNN (libdnnl-dev)");
		return 77;
	}
	o.isa = resolve(o.isa);
	peak = o.check ? 0 : fma_peak(o.isa);
	if (o.json)
		printf("{\"peak_flops\": %.0f, \"onednn\": \"%s\", \"cases\": [", peak,
		       onednn_version() ? onednn_version() : "");
	else if (!o.check)
		printf("FMA peak of a core: %.1f GFLOP/s; oneDNN %s\n"
		       "case: weft min, median, rate, of peak | oneDNN min, median | weft's speed over oneDNN's\n",
		       peak * 1e-9, onednn_version() ? onednn_version() : "absent");
	for (unsigned int i = 0; i < CASES; i++) {
		if (!selected(&o, &cases[i]))
			continue;
		if (run_case(&o, &cases[i], peak, !done))
			failures++;
		else
			done++;
	}
	if (o.json)
		printf("\n]}\n");
	if (!done && !failures)
		fprintf(stderr, "kernels: no case of that name; --list names them\n");
	return failures || !done;
}
