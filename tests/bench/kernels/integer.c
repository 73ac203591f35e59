// SPDX-License-Identifier: MIT
/*
 * The integer engine beside XNNPACK (bytes in, bytes out) and oneDNN (bytes in,
 * 32-bit totals out), one core, interleaved, in CPU time.  The totals must be
 * oneDNN's to the bit, and the bytes XNNPACK's within one.
 */
#include <argp.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <accel/commands.h>

#include "integer.h"

static const struct integer_case cases[] = {
	{"matmul-1024", 1, 1024, 1, 1024, 1024, 1, 1, 1, 0},
	{"conv3x3-64-56", 1, 56, 56, 64, 64, 1, 3, 1, 1},
	{"conv3x3-256-14", 1, 14, 14, 256, 256, 1, 3, 1, 1},
	{"conv1x1-64-56", 1, 56, 56, 64, 64, 1, 1, 1, 0},
	{"conv1x1-256-14", 1, 14, 14, 256, 256, 1, 1, 1, 0},
	{"depthwise3x3-128-56", 1, 56, 56, 128, 128, 128, 3, 1, 1},
	{"depthwise3x3-256-14", 1, 14, 14, 256, 256, 256, 3, 1, 1},
};
#define CASES (sizeof(cases) / sizeof(cases[0]))
#define REPEATS 15
enum { OURS_BYTES, XNNPACK, OURS_TOTALS, ONEDNN, SIDES };

struct options {
	enum weft_engine_isa isa;
	bool json, check;
	const char *name;
};

static const struct argp_option argp_options[] = {
	{"isa", 'i', "PATH", 0, "Code path of the engine: scalar, avx2, avx512 (default: the best)", 0},
	{"json", 'j', NULL, 0, "Print one JSON object", 0},
	{"check", 'c', NULL, 0, "Compare results, do not measure", 0},
	{0},
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	static const char *const paths[] = {"auto", "scalar", "avx2", "avx512"};
	struct options *o = state->input;

	switch (key) {
	case 'i':
		for (unsigned int i = 0; i < 4; i++)
			if (!strcmp(paths[i], arg)) {
				o->isa = (enum weft_engine_isa)i;
				return 0;
			}
		argp_error(state, "no code path is called %s", arg);
		return EINVAL;
	case 'j':
		o->json = true;
		return 0;
	case 'c':
		o->check = true;
		return 0;
	case ARGP_KEY_ARG:
		o->name = arg;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

uint32_t integer_extent(const struct integer_case *c, uint32_t in)
{
	return (in + 2 * c->pad - c->kernel) / c->stride + 1;
}

static double depth_of(const struct integer_case *c)
{
	return (double)c->kernel * c->kernel * c->c / c->groups;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int new_buffers(const struct integer_case *c, struct integer_buffers *b)
{
	size_t x = (size_t)c->n * c->h * c->w * c->c, w = (size_t)depth_of(c) * c->oc;
	/* A windowed image has a width; a row of a matrix counts as one position. */
	size_t outputs = (size_t)c->n * integer_extent(c, c->h) * (c->w == 1 ? 1 : integer_extent(c, c->w)) * c->oc;
	uint32_t random = 1;

	b->outputs = outputs;
	b->factor = 1 / (40 * sqrt(depth_of(c)));
	/* XNNPACK reads a little beyond its inputs. */
	b->x = aligned_alloc(64, (x + 191) / 64 * 64);
	b->w = aligned_alloc(64, (w + 191) / 64 * 64);
	b->bytes = aligned_alloc(64, (outputs + 63) / 64 * 64);
	b->totals = aligned_alloc(64, (outputs * 4 + 63) / 64 * 64);
	if (!b->x || !b->w || !b->bytes || !b->totals)
		return -ENOMEM;
	for (size_t i = 0; i < x + w; i++) {
		random = random * 1664525 + 1013904223;
		if (i < x)
			b->x[i] = (int8_t)(random >> 24);
		else
			b->w[i - x] = (int8_t)(random >> 24);
	}
	/* Weights stand as a compiled model has them: the peers arrange theirs beforehand too. */
	if (c->groups == 1 && accel_panel_bytes((uint32_t)depth_of(c), c->oc)) {
		b->panels = aligned_alloc(64, accel_panel_bytes((uint32_t)depth_of(c), c->oc));
		if (!b->panels)
			return -ENOMEM;
		accel_panels(b->w, (uint32_t)depth_of(c), c->oc, b->panels);
	}
	return 0;
}

struct state {
	struct weft_engine_unit *unit;
	void *pointer[5];
	int32_t multiplier[2];
	union {
		unsigned char bytes[WEFT_CMD_MAX_BYTES];
		struct weft_cmd command;
	} u;
};

static int weft_run(void *argument)
{
	struct state *s = argument;
	struct weft_fault_record fault;

	return weft_engine_execute(s->unit, &s->u.command, s->pointer, &fault) ? -EIO : 0;
}

static void weft_free(void *argument)
{
	struct state *s = argument;

	weft_engine_unit_free(s->unit);
	free(s);
}

static void set_operand(struct state *s, unsigned int slot, enum weft_type type, void *data, unsigned int rank,
			const uint32_t dims[])
{
	struct weft_tensor *t = &s->u.command.operand[slot];
	int32_t stride = 1;

	t->type = (uint8_t)type;
	t->rank = (uint8_t)rank;
	for (unsigned int i = rank; i-- > 0;) {
		t->dims[i] = dims[i];
		t->strides[i] = stride;
		stride *= (int32_t)dims[i];
	}
	s->pointer[slot] = data;
}

int weft_integer_runner(const struct integer_case *c, enum weft_engine_isa isa, const struct integer_buffers *b,
			bool totals, struct integer_runner *out)
{
	const uint32_t x[4] = {c->n, c->h, c->w, c->c}, w[4] = {c->kernel, c->kernel, c->c / c->groups, c->oc};
	const uint32_t y[4] = {c->n, integer_extent(c, c->h), c->w == 1 ? 1 : integer_extent(c, c->w), c->oc};
	const uint32_t m[2] = {1, 2};
	const uint32_t depth = c->kernel * c->kernel * c->c;
	const uint32_t panels[4] = {(c->oc + WEFT_PANEL_COLUMNS - 1) / WEFT_PANEL_COLUMNS, depth / 4,
				    WEFT_PANEL_COLUMNS, 4};
	struct state *s = calloc(1, sizeof(*s));
	union weft_params *p;
	int r, exponent;

	if (!s)
		return -ENOMEM;
	r = weft_engine_unit_new(isa, 1, &s->unit);
	if (r) {
		free(s);
		return r;
	}
	s->multiplier[0] = (int32_t)rint(frexp(b->factor, &exponent) * 0x1p31);
	s->multiplier[1] = 31 - exponent;
	set_operand(s, 0, WEFT_TYPE_I8, b->x, 4, x);
	set_operand(s, 1, WEFT_TYPE_I8, b->panels ? b->panels : b->w, 4, b->panels ? panels : w);
	if (!totals)
		set_operand(s, 3, WEFT_TYPE_I32, s->multiplier, 2, m);
	set_operand(s, 4, totals ? WEFT_TYPE_I32 : WEFT_TYPE_I8, totals ? (void *)b->totals : b->bytes, 4, y);
	s->u.command.opcode = WEFT_OP_QCONV;
	s->u.command.operands = 5;
	p = &s->u.command.params;
	p->qconv.groups = c->groups;
	if (b->panels)
		p->qconv.kernel[0] = p->qconv.kernel[1] = c->kernel;
	p->qconv.low = totals ? 0 : -128;
	p->qconv.high = totals ? 0 : 127;
	for (unsigned int i = 0; i < 2; i++) {
		p->qconv.stride[i] = c->stride;
		p->qconv.dilation[i] = 1;
		p->qconv.pad[i] = c->pad;
	}
	*out = (struct integer_runner){.run = weft_run, .free = weft_free, .state = s};
	return 0;
}

/* The greatest difference between results of two sides; -1 where one fails. */
static long compare(const struct integer_buffers *b, struct integer_runner *ours, struct integer_runner *theirs,
		    bool totals)
{
	size_t bytes = totals ? b->outputs * 4 : b->outputs;
	void *result = totals ? (void *)b->totals : b->bytes, *copy = malloc(bytes);
	long greatest = copy && !theirs->run(theirs->state) ? 0 : -1;

	if (!greatest) {
		memcpy(copy, result, bytes);
		memset(result, 0x55, bytes);
		greatest = ours->run(ours->state) ? -1 : 0;
	}
	for (size_t i = 0; i < b->outputs && greatest >= 0; i++) {
		long difference =
			totals ? (long)b->totals[i] - ((int32_t *)copy)[i] : (long)b->bytes[i] - ((int8_t *)copy)[i];

		greatest = labs(difference) > greatest ? labs(difference) : greatest;
	}
	free(copy);
	return greatest;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void measure(const struct integer_case *c, struct integer_runner side[SIDES], double least[SIDES],
		    double median[SIDES])
{
	double time[SIDES][REPEATS], once;
	unsigned int loops;

	(void)c;
	once = now();
	side[OURS_BYTES].run(side[OURS_BYTES].state);
	once = now() - once;
	loops = (unsigned int)(0.01 / (once + 1e-7)) + 1;
	for (unsigned int r = 0; r < REPEATS; r++)
		for (unsigned int s = 0; s < SIDES; s++) {
			double begin = now();

			for (unsigned int l = 0; l < loops && side[s].state; l++)
				side[s].run(side[s].state);
			time[s][r] = (now() - begin) / loops;
		}
	for (unsigned int s = 0; s < SIDES; s++) {
		qsort(time[s], REPEATS, sizeof(double), by_value);
		least[s] = time[s][0];
		median[s] = time[s][REPEATS / 2];
	}
}

static void report(const struct options *o, const struct integer_case *c, const struct integer_runner side[SIDES],
		   const double least[SIDES], const double median[SIDES], bool first)
{
	double operations =
		2 * depth_of(c) * c->n * integer_extent(c, c->h) * (c->w == 1 ? 1 : integer_extent(c, c->w)) * c->oc;
	double xnnpack = side[XNNPACK].state ? median[XNNPACK] / median[OURS_BYTES] : 0;
	double onednn = side[ONEDNN].state ? median[ONEDNN] / median[OURS_TOTALS] : 0;

	if (o->json) {
		printf("%s\n  {\"case\": \"%s\", \"operations\": %.0f, \"weft_seconds\": %.9f, \"xnnpack_seconds\": "
		       "%.9f, "
		       "\"over_xnnpack\": %.3f, \"weft_totals_seconds\": %.9f, \"onednn_seconds\": %.9f, "
		       "\"over_onednn\": %.3f}",
		       first ? "" : ",", c->name, operations, median[OURS_BYTES], median[XNNPACK], xnnpack,
		       median[OURS_TOTALS], median[ONEDNN], onednn);
		return;
	}
	printf("%-22s %8.1f us %7.1f GOP/s |", c->name, median[OURS_BYTES] * 1e6,
	       operations / least[OURS_BYTES] * 1e-9);
	printf(" XNNPACK %8.1f us, x%.2f |", median[XNNPACK] * 1e6, xnnpack);
	printf(" totals %8.1f us, oneDNN %8.1f us, x%.2f\n", median[OURS_TOTALS] * 1e6, median[ONEDNN] * 1e6, onednn);
	fflush(stdout);
}

/* Sides that exist give the results they must. */
static int check(const struct integer_case *c, const struct integer_buffers *b, struct integer_runner side[SIDES])
{
	long difference = 0;

	if (side[XNNPACK].state) {
		difference = compare(b, &side[OURS_BYTES], &side[XNNPACK], false);
		if (difference < 0 || difference > 1) {
			fprintf(stderr, "integer: %s: bytes differ from XNNPACK's by %ld\n", c->name, difference);
			return -EDOM;
		}
	}
	if (side[ONEDNN].state) {
		difference = compare(b, &side[OURS_TOTALS], &side[ONEDNN], true);
		if (difference) {
			fprintf(stderr, "integer: %s: totals differ from oneDNN's by %ld\n", c->name, difference);
			return -EDOM;
		}
	}
	return 0;
}

static int run_case(const struct options *o, const struct integer_case *c, bool first, bool *peers)
{
	struct integer_runner side[SIDES] = {{0}};
	double least[SIDES] = {0}, median[SIDES] = {0};
	struct integer_buffers b = {0};
	int r = new_buffers(c, &b);

	if (!r)
		r = weft_integer_runner(c, o->isa, &b, false, &side[OURS_BYTES]);
	if (!r)
		r = weft_integer_runner(c, o->isa, &b, true, &side[OURS_TOTALS]);
	if (!r && xnnpack_runner(c, &b, &side[XNNPACK]))
		side[XNNPACK].state = NULL;
	if (!r && onednn_integer_runner(c, &b, &side[ONEDNN]))
		side[ONEDNN].state = NULL;
	if (!r)
		r = check(c, &b, side);
	*peers |= side[XNNPACK].state || side[ONEDNN].state;
	if (!r && !o->check) {
		measure(c, side, least, median);
		report(o, c, side, least, median, first);
	}
	for (unsigned int s = 0; s < SIDES; s++)
		if (side[s].state)
			side[s].free(side[s].state);
	free(b.x);
	free(b.w);
	free(b.panels);
	free(b.bytes);
	free(b.totals);
	return r;
}

int main(int argc, char **argv)
{
	static const struct argp argp = {
		argp_options,
		parse,
		"[CASE]",
		"Measure the integer engine beside XNNPACK and oneDNN on one core.\vCASE selects "
		"the cases that begin with it.",
		NULL,
		NULL,
		NULL};
	struct options o = {.isa = WEFT_ENGINE_AUTO};
	bool first = true, peers = false;
	int failures = 0;

	argp_parse(&argp, argc, argv, 0, NULL, &o);
	if (o.json)
		printf("{\"cases\": [");
	for (unsigned int i = 0; i < CASES; i++) {
		if (o.name && strncmp(cases[i].name, o.name, strlen(o.name)))
			continue;
		failures += !!run_case(&o, &cases[i], first, &peers);
		first = false;
	}
	if (o.json)
		printf("\n]}\n");
	if (o.check && !peers) {
		puts("skipped: built without XNNPACK (libxnnpack-dev) and oneDNN (libdnnl-dev)");
		return 77;
	}
	return failures || first;
}
