// SPDX-License-Identifier: MIT
/*
 * The matrix product and the convolutions on every code path of this
 * processor, with 1, 2 and 3 lanes, against the reference, to the bit.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "engine.h"
#include "reference.h"

#define MAX_UNITS 9

static struct weft_engine_unit *units[MAX_UNITS];
static unsigned int unit_count;

static int make_units(void **state)
{
	static const enum weft_engine_isa isas[] = {WEFT_ENGINE_SCALAR, WEFT_ENGINE_AVX2, WEFT_ENGINE_AVX512};

	(void)state;
	for (unsigned int i = 0; i < 3; i++)
		for (unsigned int lanes = 1; lanes <= 3; lanes++)
			if (!weft_engine_unit_new(isas[i], lanes, &units[unit_count]))
				unit_count++;
	return unit_count < 3;
}

static int free_units(void **state)
{
	(void)state;
	while (unit_count)
		weft_engine_unit_free(units[--unit_count]);
	return 0;
}

struct request {
	enum weft_op op;
	unsigned int operands;
	unsigned int output;
	union weft_params params;
	struct operand operand[4];
};

static void execute(struct weft_engine_unit *unit, const struct request *request, struct operand *output)
{
	union {
		unsigned char bytes[WEFT_CMD_MAX_BYTES];
		struct weft_cmd command;
	} u;
	struct weft_fault_record fault;
	void *pointer[4];

	memset(&u, 0, sizeof(u));
	u.command.opcode = request->op;
	u.command.operands = request->operands;
	u.command.params = request->params;
	for (unsigned int i = 0; i < request->operands; i++) {
		const struct operand *o = i == request->output ? output : &request->operand[i];

		u.command.operand[i] = o->tensor;
		pointer[i] = o->base;
	}
	assert_int_equal(weft_engine_execute(unit, &u.command, pointer, &fault), WEFT_FAULT_NONE);
}

static void reference(struct request *request)
{
	switch (request->op) {
	case WEFT_OP_MATMUL:
		reference_matmul(&request->params, request->operand);
		break;
	case WEFT_OP_CONV_FWD:
		reference_conv_fwd(&request->params, request->operand);
		break;
	case WEFT_OP_CONV_BWD_DATA:
		reference_conv_bwd_data(&request->params, request->operand);
		break;
	default:
		reference_conv_bwd_weight(&request->params, request->operand);
		break;
	}
}

static void describe(const struct request *request, const char *what)
{
	fprintf(stderr, "%s: op %#x params", what, request->op);
	for (unsigned int i = 0; i < 11; i++) {
		uint32_t word;

		memcpy(&word, &request->params.bytes[i * 4], sizeof(word));
		fprintf(stderr, " %#x", word);
	}
	for (unsigned int i = 0; i < request->operands; i++) {
		fprintf(stderr, "\n  operand %u:", i);
		for (unsigned int d = 0; d < request->operand[i].tensor.rank; d++)
			fprintf(stderr, " %u(%d)", request->operand[i].tensor.dims[d],
				request->operand[i].tensor.strides[d]);
	}
	fprintf(stderr, "\n");
}

/* Execute on all units, compare with the reference, and free the operands. */
static void check(struct request *request)
{
	struct operand before = operand_copy(&request->operand[request->output]);

	reference(request);
	for (unsigned int i = 0; i < unit_count; i++) {
		struct operand got = operand_copy(&before);
		ptrdiff_t difference;

		execute(units[i], request, &got);
		difference = operand_difference(&got, &request->operand[request->output]);
		if (difference >= 0) {
			describe(request, weft_engine_unit_kernels(units[i]));
			fail_msg("lanes %u: element %td: %.9g, expected %.9g", weft_engine_unit_lanes(units[i]),
				 difference, got.storage[difference],
				 request->operand[request->output].storage[difference]);
		}
		operand_free(&got);
	}
	operand_free(&before);
	for (unsigned int i = 0; i < request->operands; i++)
		operand_free(&request->operand[i]);
}

/* A permutation of the last two dimensions' order at random, so that transposed operands occur. */
static struct operand random_matrix(uint64_t *state, unsigned int rank, const uint32_t dims[])
{
	unsigned int order[4] = {rank - 1, rank - 2, rank - 3, rank - 4};

	if (random_next(state) & 1) {
		order[0] = rank - 2;
		order[1] = rank - 1;
	}
	return operand_new(state, rank, dims, order, random_range(state, 0, 1) * 5);
}

static void random_epilogue(uint64_t *state, uint32_t *flags, uint32_t *activation, float *alpha, float *beta)
{
	*flags = random_next(state) & 1 ? WEFT_F_ACCUMULATE : 0;
	*activation = random_range(state, WEFT_ACT_NONE, WEFT_ACT_CLIP);
	*alpha = -0.25f;
	*beta = 1.5f;
}

static struct request random_matmul(uint64_t *state, uint32_t m, uint32_t n, uint32_t k, unsigned int rank)
{
	uint32_t b0 = random_range(state, 1, 2), b1 = random_range(state, 1, 3);
	const uint32_t a[4] = {b0, b1, m, k}, b[4] = {b0, b1, k, n}, c[4] = {b0, b1, m, n}, bias[2] = {m, n};
	struct request r = {.op = WEFT_OP_MATMUL, .operands = 4, .output = 3};

	random_epilogue(state, &r.params.matmul.flags, &r.params.matmul.activation, &r.params.matmul.alpha,
			&r.params.matmul.beta);
	r.params.matmul.scale = random_next(state) & 1 ? 1.0f : 0.7f;
	r.operand[0] = random_matrix(state, rank, a + 4 - rank);
	r.operand[1] = random_matrix(state, rank, b + 4 - rank);
	r.operand[3] = random_matrix(state, rank, c + 4 - rank);
	switch (random_range(state, 0, 2)) {
	case 0:
		r.operand[2] = operand_absent();
		break;
	case 1:
		r.operand[2] = operand_new(state, 1, bias + 1, NULL, 0);
		break;
	default:
		r.operand[2] = random_matrix(state, 2, bias);
		break;
	}
	/* Broadcast the batch of one input. */
	if (rank > 2 && random_next(state) % 3 == 0)
		r.operand[random_next(state) & 1].tensor.strides[rank - 3] = 0;
	/* A reversed walk along m. */
	if (random_next(state) % 4 == 0) {
		struct weft_tensor *t = &r.operand[0].tensor;

		r.operand[0].base += (ptrdiff_t)(m - 1) * t->strides[rank - 2];
		t->strides[rank - 2] = -t->strides[rank - 2];
	}
	return r;
}

static void test_matmul(void **unused)
{
	static const uint32_t shapes[][3] = {
		{1, 1, 1},     {1, 1, 513},  {1, 40, 70},  {64, 10, 84}, {13, 33, 512}, {14, 32, 513},
		{15, 31, 511}, {29, 65, 30}, {3, 5, 1030}, {70, 1, 9},	 {2, 130, 3},	{100, 50, 1},
	};
	uint64_t state = 1;

	(void)unused;
	for (unsigned int i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
		for (unsigned int rank = 2; rank <= 4; rank++) {
			struct request r = random_matmul(&state, shapes[i][0], shapes[i][1], shapes[i][2], rank);

			check(&r);
		}
	}
	for (unsigned int i = 0; i < 60; i++) {
		struct request r = random_matmul(&state, random_range(&state, 1, 40), random_range(&state, 1, 70),
						 random_range(&state, 1, i % 8 ? 40 : 600), random_range(&state, 2, 4));

		check(&r);
	}
}

struct conv_shape {
	uint32_t n, h, w, cg, og, groups;
	uint32_t kernel[2], stride[2], dilation[2], pad[2], after[2];
};

static const struct conv_shape conv_shapes[] = {
	/* Residual networks, small. */
	{2, 9, 9, 16, 16, 1, {3, 3}, {1, 1}, {1, 1}, {1, 1}, {1, 1}},
	{1, 8, 8, 16, 32, 1, {3, 3}, {2, 2}, {1, 1}, {1, 1}, {1, 1}},
	{1, 6, 6, 64, 70, 1, {3, 3}, {1, 1}, {1, 1}, {1, 1}, {1, 1}},
	{2, 5, 5, 20, 33, 1, {1, 1}, {1, 1}, {1, 1}, {0, 0}, {0, 0}},
	{1, 7, 7, 17, 9, 1, {1, 1}, {2, 2}, {1, 1}, {0, 0}, {0, 0}},
	{1, 17, 19, 3, 20, 1, {7, 7}, {2, 2}, {1, 1}, {3, 3}, {3, 3}},
	/* LeNet. */
	{2, 28, 28, 1, 6, 1, {5, 5}, {1, 1}, {1, 1}, {2, 2}, {2, 2}},
	{2, 14, 14, 6, 16, 1, {5, 5}, {1, 1}, {1, 1}, {0, 0}, {0, 0}},
	/* More than one block of every sum: rows, and columns of one row. */
	{1, 40, 30, 3, 5, 1, {3, 3}, {1, 1}, {1, 1}, {1, 1}, {1, 1}},
	{1, 2, 1100, 2, 3, 1, {1, 3}, {1, 1}, {1, 1}, {0, 1}, {0, 1}},
	{1, 3, 4, 530, 2, 1, {1, 2}, {1, 1}, {1, 1}, {0, 0}, {0, 0}},
	{1, 3, 3, 90, 190, 1, {3, 3}, {1, 1}, {1, 1}, {1, 1}, {1, 1}},
	/* Winograd form: odd and even extents, more than one block, no padding and much, many pieces. */
	{2, 9, 7, 33, 37, 1, {3, 3}, {1, 1}, {1, 1}, {1, 1}, {1, 1}},
	{1, 6, 8, 32, 290, 1, {3, 3}, {1, 1}, {1, 1}, {1, 1}, {1, 1}},
	{1, 4, 6, 290, 36, 1, {3, 3}, {1, 1}, {1, 1}, {1, 1}, {1, 1}},
	{1, 8, 10, 40, 50, 1, {3, 3}, {1, 1}, {1, 1}, {0, 0}, {0, 0}},
	{3, 5, 6, 36, 34, 1, {3, 3}, {1, 1}, {1, 1}, {0, 3}, {2, 1}},
	{1, 31, 40, 32, 33, 1, {3, 3}, {1, 1}, {1, 1}, {1, 1}, {1, 1}},
	{2, 5, 9, 70, 67, 1, {3, 3}, {1, 1}, {1, 1}, {1, 1}, {1, 1}},
	{1, 3, 300, 32, 36, 1, {3, 3}, {1, 1}, {1, 1}, {1, 1}, {1, 1}},
	{1, 2, 7, 600, 33, 1, {3, 3}, {1, 1}, {1, 1}, {1, 1}, {1, 1}},
	/* Padding on one side, wider than the kernel reaches, dilation that leaves the image. */
	{2, 6, 5, 4, 3, 1, {2, 4}, {1, 1}, {1, 1}, {0, 3}, {1, 0}},
	{1, 5, 5, 3, 3, 1, {3, 3}, {1, 1}, {4, 4}, {5, 5}, {5, 5}},
	{1, 4, 4, 2, 2, 1, {3, 3}, {3, 2}, {2, 3}, {4, 4}, {4, 4}},
	{1, 6, 6, 5, 4, 1, {2, 2}, {3, 3}, {1, 1}, {0, 0}, {0, 0}},
	/* Groups and depthwise. */
	{1, 6, 6, 4, 4, 3, {3, 3}, {1, 1}, {1, 1}, {1, 1}, {1, 1}},
	{2, 9, 8, 1, 1, 40, {3, 3}, {1, 1}, {1, 1}, {1, 1}, {1, 1}},
	{1, 9, 8, 1, 1, 19, {5, 3}, {2, 2}, {1, 2}, {2, 1}, {1, 2}},
	{1, 7, 7, 1, 2, 9, {3, 3}, {1, 1}, {1, 1}, {1, 1}, {1, 1}},
	{1, 30, 30, 1, 1, 5, {25, 25}, {1, 1}, {1, 1}, {12, 12}, {12, 12}},
	{2, 25, 40, 1, 1, 18, {3, 3}, {1, 1}, {1, 1}, {1, 1}, {1, 1}},
	{1, 12, 21, 1, 1, 21, {5, 5}, {1, 1}, {1, 1}, {2, 2}, {2, 2}},
	{1, 7, 23, 1, 1, 17, {3, 5}, {1, 1}, {1, 2}, {1, 2}, {1, 2}},
};

static struct conv_shape random_conv_shape(uint64_t *state)
{
	struct conv_shape s = {.n = random_range(state, 1, 3),
			       .h = random_range(state, 1, 12),
			       .w = random_range(state, 1, 12),
			       .cg = random_range(state, 1, 9),
			       .og = random_range(state, 1, 20),
			       .groups = 1};

	if (random_next(state) % 4 == 0)
		s.groups = random_range(state, 2, 5);
	if (random_next(state) % 4 == 0) {
		s.cg = s.og = 1;
		s.groups = random_range(state, 1, 40);
	}
	for (unsigned int i = 0; i < 2; i++) {
		s.kernel[i] = random_range(state, 1, 4);
		s.stride[i] = random_range(state, 1, 3);
		s.dilation[i] = random_range(state, 1, 3);
		s.pad[i] = random_range(state, 0, 4);
		s.after[i] = random_range(state, 0, 4);
	}
	return s;
}

/* Extent of the output along one axis, 0: the kernel does not fit. */
static uint32_t conv_extent(const struct conv_shape *s, unsigned int axis, uint32_t input)
{
	uint32_t reach = (s->kernel[axis] - 1) * s->dilation[axis] + 1, padded = input + s->pad[axis] + s->after[axis];

	return padded < reach ? 0 : (padded - reach) / s->stride[axis] + 1;
}

static void check_conv(uint64_t *state, const struct conv_shape *s, enum weft_op op)
{
	uint32_t oh = conv_extent(s, 0, s->h), ow = conv_extent(s, 1, s->w);
	uint32_t channels = s->cg * s->groups, outputs = s->og * s->groups;
	const uint32_t x[4] = {s->n, s->h, s->w, channels}, y[4] = {s->n, oh, ow, outputs};
	const uint32_t w[4] = {s->kernel[0], s->kernel[1], s->cg, outputs};
	unsigned int gap = random_range(state, 0, 1) * 7, bias = random_next(state) & 1;
	struct request r = {.op = op, .operands = 4, .output = 3};
	struct operand xo, wo, yo;

	if (!oh || !ow)
		return;
	random_epilogue(state, &r.params.conv.flags, &r.params.conv.activation, &r.params.conv.alpha,
			&r.params.conv.beta);
	r.params.conv.groups = s->groups;
	for (unsigned int i = 0; i < 2; i++) {
		r.params.conv.stride[i] = s->stride[i];
		r.params.conv.dilation[i] = s->dilation[i];
		r.params.conv.pad[i] = s->pad[i];
	}
	xo = operand_new(state, 4, x, NULL, gap);
	wo = operand_new(state, 4, w, NULL, gap);
	yo = operand_new(state, 4, y, NULL, gap);
	if (op == WEFT_OP_CONV_BWD_WEIGHT) {
		r.operands = 3;
		r.output = 2;
		r.params.conv.activation = WEFT_ACT_NONE;
		r.operand[0] = xo;
		r.operand[1] = yo;
		r.operand[2] = wo;
	} else {
		uint32_t extent = op == WEFT_OP_CONV_FWD ? outputs : channels;

		r.operand[0] = op == WEFT_OP_CONV_FWD ? xo : yo;
		r.operand[1] = wo;
		r.operand[2] = bias ? operand_new(state, 1, &extent, NULL, 0) : operand_absent();
		r.operand[3] = op == WEFT_OP_CONV_FWD ? yo : xo;
	}
	check(&r);
}

static void test_conv(void **state)
{
	enum weft_op op = *(const enum weft_op *)*state;
	uint64_t random = 2;

	for (unsigned int i = 0; i < sizeof(conv_shapes) / sizeof(conv_shapes[0]); i++)
		check_conv(&random, &conv_shapes[i], op);
	for (unsigned int i = 0; i < 150; i++) {
		struct conv_shape s = random_conv_shape(&random);

		check_conv(&random, &s, op);
	}
}

/* A part of @whole along dimension @d. */
static struct operand part(const struct operand *whole, unsigned int d, uint32_t begin, uint32_t end)
{
	struct operand o = *whole;

	o.base += (ptrdiff_t)begin * o.tensor.strides[d];
	o.tensor.dims[d] = end - begin;
	return o;
}

/* Executes @request in two halves, each with the operands of @dims (-1: whole) cut at @cut; the same bits must come
 * out. */
static void check_split(struct request *request, const int dims[4], uint32_t cut, int accumulate)
{
	for (unsigned int i = 0; i < unit_count; i++) {
		struct operand whole = operand_copy(&request->operand[request->output]);
		struct operand halves = operand_copy(&request->operand[request->output]);

		execute(units[i], request, &whole);
		for (unsigned int half = 0; half < 2; half++) {
			struct request r = *request;
			struct operand output = halves;

			for (unsigned int o = 0; o < request->operands; o++) {
				struct operand *which = o == request->output ? &output : &r.operand[o];

				if (dims[o] >= 0)
					*which = part(which, (unsigned int)dims[o], half ? cut : 0,
						      half ? which->tensor.dims[dims[o]] : cut);
			}
			if (half && accumulate)
				r.params.matmul.flags = WEFT_F_ACCUMULATE;
			execute(units[i], &r, &output);
		}
		assert_int_equal(operand_difference(&whole, &halves), -1);
		operand_free(&whole);
		operand_free(&halves);
	}
	for (unsigned int i = 0; i < request->operands; i++)
		operand_free(&request->operand[i]);
}

static struct request plain_matmul(uint64_t *state, uint32_t m, uint32_t n, uint32_t k)
{
	const uint32_t a[2] = {m, k}, b[2] = {k, n}, c[2] = {m, n};
	struct request r = {.op = WEFT_OP_MATMUL, .operands = 4, .output = 3};

	r.params.matmul.scale = 0.3f;
	r.operand[0] = operand_new(state, 2, a, NULL, 0);
	r.operand[1] = operand_new(state, 2, b, NULL, 0);
	r.operand[2] = operand_absent();
	r.operand[3] = operand_new(state, 2, c, NULL, 0);
	return r;
}

static void test_split_matmul(void **unused)
{
	static const struct {
		int dims[4];
		uint32_t cut;
		int accumulate;
	} splits[] = {
		{{0, -1, -1, 0}, 17, 0},
		{{-1, 1, -1, 1}, 21, 0},
		{{1, 0, -1, -1}, WEFT_SUM_MATMUL, 1},
		{{1, 0, -1, -1}, 2 * WEFT_SUM_MATMUL, 1},
	};
	uint64_t state = 3;

	(void)unused;
	for (unsigned int i = 0; i < sizeof(splits) / sizeof(splits[0]); i++) {
		struct request r = plain_matmul(&state, 37, 50, 2 * WEFT_SUM_MATMUL + 100);

		check_split(&r, splits[i].dims, splits[i].cut, splits[i].accumulate);
	}
}

static struct request plain_conv(uint64_t *state, enum weft_op op)
{
	const uint32_t x[4] = {5, 9, 9, 24}, w[4] = {3, 3, 24, 40}, y[4] = {5, 9, 9, 40};
	struct request r = {.op = op, .operands = 4, .output = 3};

	r.params.conv.groups = 1;
	for (unsigned int i = 0; i < 2; i++)
		r.params.conv.stride[i] = r.params.conv.dilation[i] = r.params.conv.pad[i] = 1;
	r.operand[0] = operand_new(state, 4, op == WEFT_OP_CONV_BWD_DATA ? y : x, NULL, 0);
	r.operand[1] = operand_new(state, 4, op == WEFT_OP_CONV_BWD_WEIGHT ? y : w, NULL, 0);
	if (op == WEFT_OP_CONV_BWD_WEIGHT) {
		r.operands = 3;
		r.output = 2;
		r.operand[2] = operand_new(state, 4, w, NULL, 0);
		return r;
	}
	r.operand[2] = operand_absent();
	r.operand[3] = operand_new(state, 4, op == WEFT_OP_CONV_FWD ? y : x, NULL, 0);
	return r;
}

/* The weight gradient in Winograd form. */
static void test_split_winograd_weight(void **unused)
{
	static const struct {
		int dims[4];
		uint32_t cut;
		int accumulate;
	} splits[] = {
		{{0, 0, -1, -1}, 1, 1},
		{{-1, 3, 3, -1}, 33, 0},
		{{3, -1, 2, -1}, 35, 0},
	};
	const uint32_t x[4] = {3, 5, 12, 68}, w[4] = {3, 3, 68, 72}, y[4] = {3, 5, 12, 72};
	uint64_t state = 6;

	(void)unused;
	for (unsigned int i = 0; i < sizeof(splits) / sizeof(splits[0]); i++) {
		struct request r = {.op = WEFT_OP_CONV_BWD_WEIGHT, .operands = 3, .output = 2};

		r.params.conv.groups = 1;
		for (unsigned int k = 0; k < 2; k++)
			r.params.conv.stride[k] = r.params.conv.dilation[k] = r.params.conv.pad[k] = 1;
		r.operand[0] = operand_new(&state, 4, x, NULL, 0);
		r.operand[1] = operand_new(&state, 4, y, NULL, 0);
		r.operand[2] = operand_new(&state, 4, w, NULL, 0);
		check_split(&r, splits[i].dims, splits[i].cut, splits[i].accumulate);
	}
}

static void test_split_conv(void **unused)
{
	static const struct {
		enum weft_op op;
		int dims[4];
		uint32_t cut;
		int accumulate;
	} splits[] = {
		{WEFT_OP_CONV_FWD, {0, -1, -1, 0}, 2, 0},	  {WEFT_OP_CONV_FWD, {-1, 3, -1, 3}, 13, 0},
		{WEFT_OP_CONV_BWD_DATA, {0, -1, -1, 0}, 3, 0},	  {WEFT_OP_CONV_BWD_DATA, {-1, 2, -1, 3}, 5, 0},
		{WEFT_OP_CONV_BWD_WEIGHT, {0, 0, -1, -1}, 3, 1},  {WEFT_OP_CONV_BWD_WEIGHT, {-1, 3, 3, -1}, 17, 0},
		{WEFT_OP_CONV_BWD_WEIGHT, {3, -1, 2, -1}, 17, 0},
	};
	uint64_t state = 4;

	(void)unused;
	for (unsigned int i = 0; i < sizeof(splits) / sizeof(splits[0]); i++) {
		struct request r = plain_conv(&state, splits[i].op);

		check_split(&r, splits[i].dims, splits[i].cut, splits[i].accumulate);
	}
}

/* The chain is cut often enough: 200,000 terms of a gradient keep a relative error of 1e-5. */
static void test_long_sum(void **unused)
{
	enum { TERMS = 200000, COLUMNS = 8 };
	const uint32_t a[2] = {1, TERMS}, b[2] = {TERMS, COLUMNS}, c[2] = {1, COLUMNS};
	struct request r = {.op = WEFT_OP_MATMUL, .operands = 4, .output = 3};
	uint64_t state = 5;

	(void)unused;
	r.params.matmul.scale = 1;
	r.operand[0] = operand_new(&state, 2, a, NULL, 0);
	r.operand[1] = operand_new(&state, 2, b, NULL, 0);
	r.operand[2] = operand_absent();
	r.operand[3] = operand_new(&state, 2, c, NULL, 0);
	for (size_t i = 0; i < r.operand[1].count; i++)
		r.operand[1].storage[i] += 1;
	for (size_t i = 0; i < r.operand[0].count; i++)
		r.operand[0].storage[i] += 1;
	execute(units[unit_count - 1], &r, &r.operand[3]);
	for (unsigned int n = 0; n < COLUMNS; n++) {
		double exact = 0, got = r.operand[3].base[n];

		for (size_t k = 0; k < TERMS; k++)
			exact += (double)r.operand[0].base[k] * r.operand[1].base[k * COLUMNS + n];
		assert_true(got > exact * (1 - 1e-5) && got < exact * (1 + 1e-5));
	}
	for (unsigned int i = 0; i < 4; i++)
		operand_free(&r.operand[i]);
}

int main(void)
{
	static const enum weft_op ops[] = {WEFT_OP_CONV_FWD, WEFT_OP_CONV_BWD_DATA, WEFT_OP_CONV_BWD_WEIGHT};
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_matmul),
		{"test_conv_fwd", test_conv, NULL, NULL, (void *)&ops[0]},
		{"test_conv_bwd_data", test_conv, NULL, NULL, (void *)&ops[1]},
		{"test_conv_bwd_weight", test_conv, NULL, NULL, (void *)&ops[2]},
		cmocka_unit_test(test_split_matmul),
		cmocka_unit_test(test_split_conv),
		cmocka_unit_test(test_split_winograd_weight),
		cmocka_unit_test(test_long_sum),
	};

	return cmocka_run_group_tests(tests, make_units, free_units);
}
