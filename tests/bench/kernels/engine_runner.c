// SPDX-License-Identifier: MIT
/* Our engine, on one lane. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "kernels.h"

struct state {
	struct weft_engine_unit *unit;
	void *pointer[4];
	union {
		unsigned char bytes[WEFT_CMD_MAX_BYTES];
		struct weft_cmd command;
	} u;
};

static int run(void *argument)
{
	struct state *s = argument;
	struct weft_fault_record fault;

	return weft_engine_execute(s->unit, &s->u.command, s->pointer, &fault) ? -EIO : 0;
}

static int fetch(void *argument)
{
	(void)argument;
	return 0;
}

static void free_state(void *argument)
{
	struct state *s = argument;

	weft_engine_unit_free(s->unit);
	free(s);
}

static void set_operand(struct state *s, unsigned int slot, float *data, unsigned int rank, const uint32_t dims[])
{
	struct weft_tensor *t = &s->u.command.operand[slot];
	int32_t stride = 1;

	t->type = WEFT_TYPE_F32;
	t->rank = (uint8_t)rank;
	for (unsigned int i = rank; i-- > 0;) {
		t->dims[i] = dims[i];
		t->strides[i] = stride;
		stride *= (int32_t)dims[i];
	}
	s->pointer[slot] = data;
}

static void transpose(struct weft_tensor *t)
{
	uint32_t extent = t->dims[0];
	int32_t stride = t->strides[0];

	t->dims[0] = t->dims[1];
	t->strides[0] = t->strides[1];
	t->dims[1] = extent;
	t->strides[1] = stride;
}

static void set_matmul(struct state *s, const struct bench_case *c, const struct buffers *b)
{
	const uint32_t a[2] = {c->transpose_a ? c->depth : c->rows, c->transpose_a ? c->rows : c->depth};
	const uint32_t w[2] = {c->transpose_b ? c->columns : c->depth, c->transpose_b ? c->depth : c->columns};
	const uint32_t out[2] = {c->rows, c->columns};

	set_operand(s, 0, b->data[0], 2, a);
	set_operand(s, 1, b->data[1], 2, w);
	set_operand(s, 3, b->data[2], 2, out);
	if (c->transpose_a)
		transpose(&s->u.command.operand[0]);
	if (c->transpose_b)
		transpose(&s->u.command.operand[1]);
	s->u.command.opcode = WEFT_OP_MATMUL;
	s->u.command.operands = 4;
	s->u.command.params.matmul.scale = 1;
}

static void set_conv(struct state *s, const struct bench_case *c, const struct buffers *b)
{
	static const unsigned int slots[][3] = {
		[KIND_FWD] = {0, 1, 3}, [KIND_DATA] = {3, 1, 0}, [KIND_WEIGHT] = {0, 2, 1}};
	static const uint16_t ops[] = {[KIND_FWD] = WEFT_OP_CONV_FWD,
				       [KIND_DATA] = WEFT_OP_CONV_BWD_DATA,
				       [KIND_WEIGHT] = WEFT_OP_CONV_BWD_WEIGHT};
	const uint32_t x[4] = {c->n, c->h, c->w, c->c}, w[4] = {c->kernel, c->kernel, c->c / c->groups, c->oc};
	const uint32_t y[4] = {c->n, case_height(c), case_width(c), c->oc};
	union weft_params *p = &s->u.command.params;

	set_operand(s, slots[c->kind][0], b->data[0], 4, x);
	set_operand(s, slots[c->kind][1], b->data[1], 4, w);
	set_operand(s, slots[c->kind][2], b->data[2], 4, y);
	s->u.command.opcode = ops[c->kind];
	s->u.command.operands = c->kind == KIND_WEIGHT ? 3 : 4;
	p->conv.groups = c->groups;
	for (unsigned int i = 0; i < 2; i++) {
		p->conv.stride[i] = c->stride;
		p->conv.dilation[i] = 1;
		p->conv.pad[i] = c->pad;
	}
}

int engine_runner(const struct bench_case *c, enum weft_engine_isa isa, const struct buffers *b, struct runner *out)
{
	struct state *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	r = weft_engine_unit_new(isa, 1, &s->unit);
	if (r) {
		free(s);
		return r;
	}
	if (c->kind == KIND_MATMUL)
		set_matmul(s, c, b);
	else
		set_conv(s, c, b);
	*out = (struct runner){.run = run, .fetch = fetch, .free = free_state, .state = s};
	return 0;
}
