// SPDX-License-Identifier: MIT
/*
 * The Winograd form of convolutions: how far it is from the exact result, and
 * that it may be cut where <weft_isa.h> says.  That all code paths agree with
 * the reference to the bit is tested with the other convolutions.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "op.h"

/* Of the sum of the terms' absolute values. */
#define TOLERANCE 1e-6

struct conv {
	enum weft_op op;
	union weft_params params;
	/* In the command's slots; x, w and y are those with the roles of the forward pass. */
	struct tensor operand[4];
	struct tensor *x, *w, *y, *output;
};

static struct tensor random_dense(uint64_t *state, const uint32_t dims[4])
{
	return tensor_ordered(state, WEFT_TYPE_F32, 4, dims, (const unsigned int[]){3, 2, 1, 0});
}

static struct conv conv_new(uint64_t *state, enum weft_op op, const uint32_t x[4], uint32_t outputs, uint32_t pad)
{
	const uint32_t w[4] = {3, 3, x[3], outputs}, y[4] = {x[0], x[1] + 2 * pad - 2, x[2] + 2 * pad - 2, outputs};
	bool data = op == WEFT_OP_CONV_BWD_DATA;
	struct conv c = {.op = op};

	c.params.conv.groups = 1;
	for (unsigned int i = 0; i < 2; i++) {
		c.params.conv.stride[i] = c.params.conv.dilation[i] = 1;
		c.params.conv.pad[i] = pad;
	}
	c.operand[0] = random_dense(state, data ? y : x);
	c.operand[1] = random_dense(state, w);
	c.operand[2] = tensor_absent();
	c.operand[3] = random_dense(state, data ? x : y);
	return c;
}

/* Roles point into the struct, so they are given once it has its place. */
static void assign(struct conv *c)
{
	bool data = c->op == WEFT_OP_CONV_BWD_DATA;

	c->x = &c->operand[data ? 3 : 0];
	c->w = &c->operand[1];
	c->y = &c->operand[data ? 0 : 3];
	c->output = &c->operand[3];
}

static void conv_free(struct conv *c)
{
	for (unsigned int i = 0; i < 4; i++)
		tensor_free(&c->operand[i]);
}

static void run(struct weft_engine_unit *unit, const struct conv *c)
{
	struct weft_fault_record fault;

	assert_int_equal(op_run(unit, c->op, &c->params, 4, c->operand, &fault), WEFT_FAULT_NONE);
}

/* Index of an element of a dense tensor. */
static size_t at(const struct tensor *t, const uint32_t i[4])
{
	const uint32_t *d = t->t.dims;

	return (((size_t)i[0] * d[1] + i[1]) * d[2] + i[2]) * d[3] + i[3];
}

/* Adds each product of the convolution, and its magnitude, to the output element that it belongs to. */
static void exact(const struct conv *c, double *sum, double *magnitude)
{
	const uint32_t *yd = c->y->t.dims, *xd = c->x->t.dims;
	uint64_t rows = (uint64_t)yd[0] * yd[1] * yd[2] * 9;

	for (uint64_t r = 0; r < rows; r++) {
		uint32_t kw = r % 3, kh = r / 3 % 3, ow = (uint32_t)(r / 9 % yd[2]),
			 oh = (uint32_t)(r / 9 / yd[2] % yd[1]);
		uint32_t n = (uint32_t)(r / 9 / yd[2] / yd[1]), h = oh + kh - c->params.conv.pad[0];
		uint32_t w = ow + kw - c->params.conv.pad[1];

		if (h >= xd[1] || w >= xd[2])
			continue;
		for (uint32_t k = 0; k < xd[3]; k++) {
			for (uint32_t o = 0; o < yd[3]; o++) {
				size_t xi = at(c->x, (uint32_t[]){n, h, w, k}),
				       yi = at(c->y, (uint32_t[]){n, oh, ow, o});
				double factor = ((float *)c->w->base)[at(c->w, (uint32_t[]){kh, kw, k, o})];
				bool data = c->op == WEFT_OP_CONV_BWD_DATA;
				double term =
					factor * (data ? (float *)c->y->base : (float *)c->x->base)[data ? yi : xi];

				sum[data ? xi : yi] += term;
				magnitude[data ? xi : yi] += fabs(term);
			}
		}
	}
}

static void test_accuracy(void **unused)
{
	static const struct {
		uint32_t x[4], outputs, pad;
	} shapes[] = {
		{{2, 14, 14, 64}, 64, 1}, {{1, 9, 11, 32}, 40, 0}, {{1, 7, 8, 512}, 33, 1}, {{1, 6, 9, 48}, 1024, 2}};
	static const enum weft_op ops[] = {WEFT_OP_CONV_FWD, WEFT_OP_CONV_BWD_DATA};
	uint64_t state = 1;

	(void)unused;
	for (unsigned int i = 0; i < 2 * sizeof(shapes) / sizeof(shapes[0]); i++) {
		struct conv c = conv_new(&state, ops[i % 2], shapes[i / 2].x, shapes[i / 2].outputs, shapes[i / 2].pad);
		double *sum, *magnitude;
		size_t n;

		assign(&c);
		n = tensor_elements(c.output);
		sum = calloc(n, sizeof(*sum));
		magnitude = calloc(n, sizeof(*magnitude));
		assert_true(sum && magnitude);
		exact(&c, sum, magnitude);
		run(op_units[op_unit_count - 1], &c);
		for (size_t k = 0; k < n; k++) {
			double error = fabs(((float *)c.output->base)[k] - sum[k]);

			if (!(error <= TOLERANCE * magnitude[k]))
				fail_msg("case %u, element %zu: off by %g of %g", i, k, error, magnitude[k]);
		}
		free(sum);
		free(magnitude);
		conv_free(&c);
	}
}

/* Rows or columns (axis 1 or 2) [begin, end) of @t. */
static void narrow(struct tensor *t, unsigned int axis, uint32_t begin, uint32_t end)
{
	t->base += (ptrdiff_t)begin * t->t.strides[axis] * (ptrdiff_t)sizeof(float);
	t->t.dims[axis] = end - begin;
}

/* The part of @c that writes [begin, end) of @axis, with just the input that it meets. */
static struct conv part(const struct conv *c, unsigned int axis, uint32_t begin, uint32_t end)
{
	struct conv p = *c;
	bool data = c->op == WEFT_OP_CONV_BWD_DATA;
	/* The distance from an output to the first input that it meets. */
	uint32_t pad = c->params.conv.pad[axis - 1], before = data ? 2 - pad : pad, from, to;

	assign(&p);
	from = begin < before ? 0 : begin - before;
	to = end + 2 - before;
	to = to < c->operand[0].t.dims[axis] ? to : c->operand[0].t.dims[axis];
	before -= begin - from;
	p.params.conv.pad[axis - 1] = data ? 2 - before : before;
	narrow(&p.operand[0], axis, from, to);
	narrow(p.output, axis, begin, end);
	return p;
}

static void test_split(void **unused)
{
	static const struct {
		enum weft_op op;
		uint32_t pad;
		unsigned int axis;
		uint32_t cut;
	} cases[] = {
		{WEFT_OP_CONV_FWD, 1, 1, 2},	  {WEFT_OP_CONV_FWD, 1, 1, 8},	    {WEFT_OP_CONV_FWD, 0, 1, 4},
		{WEFT_OP_CONV_FWD, 1, 1, 10},	  {WEFT_OP_CONV_FWD, 1, 2, 6},	    {WEFT_OP_CONV_FWD, 2, 2, 8},
		{WEFT_OP_CONV_BWD_DATA, 1, 1, 2}, {WEFT_OP_CONV_BWD_DATA, 1, 1, 8}, {WEFT_OP_CONV_BWD_DATA, 0, 1, 4},
		{WEFT_OP_CONV_BWD_DATA, 1, 2, 6}, {WEFT_OP_CONV_BWD_DATA, 2, 1, 2}, {WEFT_OP_CONV_BWD_DATA, 1, 1, 10},
	};
	const uint32_t x[4] = {2, 11, 13, 37};
	uint64_t state = 2;

	(void)unused;
	for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct conv c = conv_new(&state, cases[i].op, x, 35, cases[i].pad);

		assign(&c);
		for (unsigned int u = 0; u < op_unit_count; u++) {
			uint32_t end = c.output->t.dims[cases[i].axis];
			struct tensor whole;
			struct conv half;

			run(op_units[u], &c);
			whole = tensor_copy(c.output);
			memset(c.output->base, 0xff, tensor_elements(c.output) * sizeof(float));
			half = part(&c, cases[i].axis, 0, cases[i].cut);
			run(op_units[u], &half);
			half = part(&c, cases[i].axis, cases[i].cut, end);
			run(op_units[u], &half);
			if (tensor_difference(&whole, c.output) >= 0)
				fail_msg("case %u, unit %u: cut at %u of axis %u, other bits", i, u, cases[i].cut,
					 cases[i].axis);
			tensor_free(&whole);
		}
		conv_free(&c);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_accuracy),
		cmocka_unit_test(test_split),
	};

	return cmocka_run_group_tests(tests, op_units_make, op_units_free);
}
