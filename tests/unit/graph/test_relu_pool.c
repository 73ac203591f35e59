// SPDX-License-Identifier: MIT
/* The gradient of a ReLU before max-pooling is taken on the pooled side, and is the same to the bit. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "autodiff/autodiff.h"
#include "graph/build.h"
#include "run_graph.h"
#include "weft/error.h"

struct window {
	uint32_t kernel, stride, pad, out;
};

/* Of 10 x 10 pictures: windows side by side, overlapping, with gaps, with padding. */
static const struct window windows[] = {{2, 2, 0, 5}, {3, 1, 0, 8}, {2, 3, 0, 3}, {3, 2, 1, 5}};

struct net {
	struct weft_graph *graph;
	weft_id x, weight, bias, conv;
};

static struct weft_operand value_of(struct weft_graph *graph, unsigned int type, const char *name,
				    enum weft_value_kind kind, unsigned int rank, const uint32_t dims[])
{
	struct weft_operand operand = {.layout = {.type = (uint8_t)type, .rank = (uint8_t)rank}};

	memcpy(operand.layout.dims, dims, rank * sizeof(*dims));
	weft_layout_dense(&operand.layout);
	assert_int_equal(weft_graph_add_value(graph, name, kind, &operand.layout, &operand.id), 0);
	return operand;
}

static struct weft_operand value(struct weft_graph *graph, const char *name, enum weft_value_kind kind,
				 unsigned int rank, const uint32_t dims[])
{
	return value_of(graph, WEFT_TYPE_F32, name, kind, rank, dims);
}

/* Numbers in [-1, 1), few enough that windows have ties. */
static void fill(float *data, uint64_t count, uint32_t random)
{
	for (uint64_t i = 0; i < count; i++) {
		random = random * 1664525 + 1013904223;
		data[i] = (float)(random >> 28) / 8 - 1;
	}
}

static weft_id weight(struct weft_graph *graph, const struct weft_operand *operand, uint32_t random)
{
	uint64_t count = weft_layout_elements(&operand->layout);
	float *data = malloc(count * sizeof(*data));

	assert_non_null(data);
	fill(data, count, random);
	graph->value[operand->id].data = data;
	return operand->id;
}

static void append(struct weft_graph *graph, uint16_t opcode, const union weft_params *params, unsigned int inputs,
		   unsigned int operands, const struct weft_operand operand[])
{
	if (weft_build(graph, "op", opcode, params, inputs, operands, operand, NULL))
		fail_msg("%s", weft_error());
}

/* loss = sum(pool(relu(conv(x)))^2).  With @other_reader the ReLU's result has a second reader, without effect. */
static struct net make(const struct window *w, bool other_reader)
{
	struct net net = {.graph = weft_graph_new("net")};
	struct weft_graph *graph = net.graph;
	struct weft_operand x, k, b, y, copy, pooled, index, square, loss;
	union weft_params params = {
		.conv = {
			.stride = {1, 1}, .dilation = {1, 1}, .pad = {1, 1}, .groups = 1, .activation = WEFT_ACT_RELU}};

	assert_non_null(graph);
	x = value(graph, "x", WEFT_VALUE_INPUT, 4, (uint32_t[]){3, 10, 10, 2});
	k = value(graph, "k", WEFT_VALUE_WEIGHT, 4, (uint32_t[]){3, 3, 2, 5});
	b = value(graph, "b", WEFT_VALUE_WEIGHT, 1, (uint32_t[]){5});
	y = value(graph, "y", WEFT_VALUE_ACTIVATION, 4, (uint32_t[]){3, 10, 10, 5});
	copy = value(graph, "copy", WEFT_VALUE_ACTIVATION, 4, (uint32_t[]){3, 10, 10, 5});
	pooled = value(graph, "pooled", WEFT_VALUE_ACTIVATION, 4, (uint32_t[]){3, w->out, w->out, 5});
	index = value_of(graph, WEFT_TYPE_U8, "index", WEFT_VALUE_ACTIVATION, 4, (uint32_t[]){3, w->out, w->out, 5});
	square = value(graph, "square", WEFT_VALUE_ACTIVATION, 4, (uint32_t[]){3, w->out, w->out, 5});
	loss = value(graph, "loss", WEFT_VALUE_ACTIVATION, 4, (uint32_t[]){1, 1, 1, 1});
	net.x = x.id;
	net.conv = y.id;
	net.weight = weight(graph, &k, 1);
	net.bias = weight(graph, &b, 2);
	append(graph, WEFT_OP_CONV_FWD, &params, 3, 4, (struct weft_operand[]){x, k, b, y});
	memset(&params, 0, sizeof(params));
	if (other_reader)
		append(graph, WEFT_OP_COPY, &params, 1, 2, (struct weft_operand[]){y, copy});
	for (int i = 0; i < 2; i++) {
		params.pool.kernel[i] = (uint8_t)w->kernel;
		params.pool.stride[i] = (uint8_t)w->stride;
		params.pool.dilation[i] = 1;
		params.pool.pad[i] = params.pool.pad_end[i] = (uint8_t)w->pad;
	}
	append(graph, WEFT_OP_MAXPOOL_FWD, &params, 1, 3, (struct weft_operand[]){y, pooled, index});
	params = (union weft_params){.binary = {.function = WEFT_BINARY_MUL}};
	append(graph, WEFT_OP_BINARY, &params, 2, 3, (struct weft_operand[]){pooled, pooled, square});
	params = (union weft_params){.reduce = {.function = WEFT_REDUCE_SUM, .scale = 1}};
	append(graph, WEFT_OP_REDUCE, &params, 1, 2, (struct weft_operand[]){square, loss});
	graph->loss = loss.id;
	if (weft_autodiff(graph, false))
		fail_msg("%s", weft_error());
	return net;
}

static unsigned int backward_readers(const struct net *net)
{
	unsigned int readers = 0;

	for (weft_id at = 0; at < net->graph->operations; at++) {
		const struct weft_operation *operation = &net->graph->operation[at];

		for (unsigned int slot = 0; operation->phase == WEFT_PHASE_BACKWARD && slot < operation->inputs; slot++)
			readers += operation->operand[slot] == net->conv;
	}
	return readers;
}

static struct run_graph *run(const struct net *net)
{
	struct run_graph *run = run_graph_new(net->graph);

	fill(run_graph_memory(run, net->x), weft_layout_elements(&net->graph->value[net->x].layout), 3);
	run_graph_step(run);
	return run;
}

static void same_gradient(const struct net *a, struct run_graph *in_a, const struct net *b, struct run_graph *in_b,
			  weft_id of)
{
	const float *x = run_graph_memory(in_a, a->graph->value[of].gradient);
	const float *y = run_graph_memory(in_b, b->graph->value[of].gradient);
	uint64_t count = weft_layout_elements(&a->graph->value[of].layout), zeros = 0;

	assert_memory_equal(x, y, count * sizeof(*x));
	for (uint64_t i = 0; i < count; i++)
		zeros += x[i] == 0;
	assert_true(zeros < count);
}

static void same_bits(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(windows) / sizeof(windows[0]); i++) {
		struct net pooled = make(&windows[i], false), whole = make(&windows[i], true);
		struct run_graph *a = run(&pooled), *b = run(&whole);

		assert_int_equal(backward_readers(&pooled), 0);
		assert_int_equal(backward_readers(&whole), 1);
		same_gradient(&pooled, a, &whole, b, pooled.weight);
		same_gradient(&pooled, a, &whole, b, pooled.bias);
		run_graph_free(a);
		run_graph_free(b);
		weft_graph_free(pooled.graph);
		weft_graph_free(whole.graph);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(same_bits)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
