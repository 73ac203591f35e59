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
	unsigned int operands;
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
	const uint32_t *const dims[][4] = {{x, w, NULL, y}, {y, w, NULL, x}, {x, y, w}};
	struct conv c = {.op = op, .operands = op == WEFT_OP_CONV_BWD_WEIGHT ? 3 : 4};

	c.params.conv.groups = 1;
	for (unsigned int i = 0; i < 2; i++) {
		c.params.conv.stride[i] = c.params.conv.dilation[i] = 1;
		c.params.conv.pad[i] = pad;
	}
	for (unsigned int i = 0; i < c.operands; i++) {
		const uint32_t *d = dims[op - WEFT_OP_CONV_FWD][i];

		c.operand[i] = d ? random_dense(state, d) : tensor_absent();
	}
	return c;
}

/* Roles point into the struct, so they are given once it has its place. */
static void assign(struct conv *c)
{
	static const unsigned int slots[][3] = {{0, 1, 3}, {3, 1, 0}, {0, 2, 1}};
	const unsigned int *slot = slots[c->op - WEFT_OP_CONV_FWD];

	c->x = &c->operand[slot[0]];
	c->w = &c->operand[slot[1]];
	c->y = &c->operand[slot[2]];
	c->output = &c->operand[c->operands - 1];
}

static void conv_free(struct conv *c)
{
	for (unsigned int i = 0; i < c->operands; i++)
		tensor_free(&c->operand[i]);
}

static void run(struct weft_engine_unit *unit, const struct conv *c)
{
	struct weft_fault_record fault;

	assert_int_equal(op_run(unit, c->op, &c->params, c->operands, c->operand, &fault), WEFT_FAULT_NONE);
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
		for (uint32_t i = 0; i < xd[3] * yd[3]; i++) {
			const uint32_t k = i / yd[3], o = i % yd[3];
			const size_t index[3] = {at(c->x, (uint32_t[]){n, h, w, k}),
						 at(c->w, (uint32_t[]){kh, kw, k, o}),
						 at(c->y, (uint32_t[]){n, oh, ow, o})};
			const struct tensor *const role[3] = {c->x, c->w, c->y};
			double term = 1;
			size_t to = 0;

			for (unsigned int f = 0; f < 3; f++) {
				if (role[f] == c->output)
					to = index[f];
				else
					term *= ((float *)role[f]->base)[index[f]];
			}
			sum[to] += term;
			magnitude[to] += fabs(term);
		}
	}
}

static void test_accuracy(void **unused)
{
	static const struct {
		uint32_t x[4], outputs, pad;
	} shapes[] = {
		{{2, 14, 14, 64}, 64, 1}, {{1, 9, 11, 32}, 40, 0}, {{1, 7, 8, 512}, 33, 1}, {{1, 6, 9, 48}, 1024, 2}};
	static const enum weft_op ops[] = {WEFT_OP_CONV_FWD, WEFT_OP_CONV_BWD_DATA, WEFT_OP_CONV_BWD_WEIGHT};
	uint64_t state = 1;

	(void)unused;
	for (unsigned int i = 0; i < 3 * sizeof(shapes) / sizeof(shapes[0]); i++) {
		struct conv c = conv_new(&state, ops[i % 3], shapes[i / 3].x, shapes[i / 3].outputs, shapes[i / 3].pad);
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

/* One sample's weight gradient, between two blocks of rows. */
static void test_split_weight(void **unused)
{
	enum { WIDTH = 42, ROWS = 2 * (WEFT_SUM_WINOGRAD_WEIGHT / (WIDTH / 2)) };
	const uint32_t x[4] = {1, 2 * ROWS + 3, WIDTH, 34};
	uint64_t state = 3;
	struct conv c = conv_new(&state, WEFT_OP_CONV_BWD_WEIGHT, x, 37, 1);

	(void)unused;
	assign(&c);
	for (unsigned int u = 0; u < op_unit_count; u++) {
		struct tensor whole;

		run(op_units[u], &c);
		whole = tensor_copy(c.output);
		memset(c.output->base, 0xff, tensor_elements(c.output) * sizeof(float));
		for (uint32_t row = 0; row < x[1]; row += ROWS) {
			struct conv p = c;
			uint32_t end = row + ROWS < x[1] ? row + ROWS : x[1];

			assign(&p);
			narrow(p.y, 1, row, end);
			narrow(p.x, 1, row ? row - 1 : 0, end < x[1] ? end + 1 : end);
			p.params.conv.pad[0] = row == 0;
			p.params.conv.flags = row ? WEFT_F_ACCUMULATE : 0;
			run(op_units[u], &p);
		}
		if (tensor_difference(&whole, c.output) >= 0)
			fail_msg("unit %u: cut every %d rows, other bits", u, ROWS);
		tensor_free(&whole);
	}
	conv_free(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_accuracy),
		cmocka_unit_test(test_split),
		cmocka_unit_test(test_split_weight),
	};

	return cmocka_run_group_tests(tests, op_units_make, op_units_free);
}
