// SPDX-License-Identifier: MIT
/* ReLU and Clip applied by the operation before them: the same gradients, to the bit, as applied apart. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "graph/graph.h"
#include "graph/layout.h"
#include "models/onnx_build.h"
#include "run_graph.h"
#include "weft/error.h"
#include "weft/model.h"

#define BATCH 3

struct epilogue_case {
	const char *producer, *activation;
};

static void number(struct onnx_build *build, const char *name, float value)
{
	Onnx__GraphProto *graph = build->model->graph;

	onnx_build_weight(build, name, 0, (int64_t[]){1}, 1);
	assert_false(build->failed);
	memcpy(graph->initializer[graph->n_initializer - 1]->raw_data.data, &value, sizeof(value));
}

static void producer(struct onnx_build *build, const char *name)
{
	Onnx__NodeProto *node;

	onnx_build_weight(build, "b", 1, (int64_t[]){5}, 1);
	if (!strcmp(name, "Conv")) {
		onnx_build_weight(build, "w", 4, (int64_t[]){5, 5, 3, 3}, 1);
		onnx_build_node(build, name, "y", (const char *[]){"x", "w", "b", NULL});
	} else if (!strcmp(name, "BatchNormalization")) {
		for (int i = 0; i < 3; i++)
			onnx_build_weight(build, (const char *[]){"w", "mean", "var"}[i], 1, (int64_t[]){5}, 1);
		node = onnx_build_node(build, name, "y", (const char *[]){"x", "w", "b", "mean", "var", NULL});
		onnx_build_int(build, node, "training_mode", 1);
	} else if (!strcmp(name, "Gemm")) {
		onnx_build_weight(build, "w", 2, (int64_t[]){5, 5}, 1);
		onnx_build_node(build, name, "y", (const char *[]){"x", "w", "b", NULL});
	} else {
		onnx_build_weight(build, "w", 4, (int64_t[]){1, 5, 1, 1}, 1);
		onnx_build_node(build, name, "y", (const char *[]){"x", "w", NULL});
	}
}

/* loss(activation(producer(x))).  @apart: a second reader of the producer's result keeps the two operations apart. */
static struct weft_graph *make(const struct epilogue_case *c, bool apart)
{
	struct weft_graph_options options = {
		.batch = BATCH, .training = true, .loss = WEFT_LOSS_MSE, .gradients_as_outputs = true};
	char path[] = "/tmp/weft-epilogue-XXXXXX";
	struct weft_model *model;
	struct weft_graph *graph;
	struct onnx_build build;
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	close(fd);
	onnx_build_begin(&build, "epilogue", 7);
	onnx_build_input(&build, "x", strcmp(c->producer, "Gemm") ? 4 : 2, (int64_t[]){0, 5, 6, 6});
	producer(&build, c->producer);
	number(&build, "low", -0.25f);
	number(&build, "high", 0.5f);
	onnx_build_node(&build, c->activation, "z",
			!strcmp(c->activation, "Clip") ? (const char *[]){"y", "low", "high", NULL}
						       : (const char *[]){"y", NULL});
	onnx_build_output(&build, "z", 0, NULL);
	if (apart)
		onnx_build_output(&build, "y", 0, NULL);
	assert_int_equal(onnx_build_end(&build, path), 0);
	if (weft_model_load(path, &model) || weft_model_graph(model, &options, &graph))
		fail_msg("%s, %s: %s", c->producer, c->activation, weft_error());
	unlink(path);
	weft_model_free(model);
	return graph;
}

static void fill(struct run_graph *run, const struct weft_graph *graph, weft_id id)
{
	float *data = run_graph_memory(run, id);
	uint64_t elements = weft_layout_elements(&graph->value[id].layout);
	uint32_t random = 5;

	for (uint64_t i = 0; i < elements; i++) {
		random = random * 1664525 + 1013904223;
		data[i] = (float)(random >> 8) / (1 << 23) - 1;
	}
}

static unsigned int forward_activations(const struct weft_graph *graph)
{
	unsigned int count = 0;

	for (weft_id o = 0; o < graph->operations; o++)
		count += graph->operation[o].phase == WEFT_PHASE_FORWARD && graph->operation[o].opcode == WEFT_OP_UNARY;
	return count;
}

static weft_id find(const struct weft_graph *graph, const char *name)
{
	for (weft_id id = 0; id < graph->values; id++)
		if (graph->value[id].kind == WEFT_VALUE_WEIGHT && graph->value[id].base == id &&
		    !strncmp(graph->value[id].name, name, strlen(name)))
			return id;
	return WEFT_NO_ID;
}

static void same_gradients(void **state)
{
	const struct epilogue_case *c = *state;
	struct weft_graph *graph[2];
	struct run_graph *run[2];
	unsigned int compared = 0;

	for (int i = 0; i < 2; i++) {
		graph[i] = make(c, i);
		assert_int_equal(forward_activations(graph[i]), i);
		run[i] = run_graph_new(graph[i]);
		for (uint32_t j = 0; j < graph[i]->inputs; j++)
			fill(run[i], graph[i], graph[i]->input[j]);
		run_graph_step(run[i]);
	}
	for (int k = 0; k < 2; k++) {
		const char *name = k ? "b" : "w";
		weft_id a = find(graph[0], name), b = find(graph[1], name);
		const float *x, *y;
		uint64_t elements, moved = 0;

		if (a == WEFT_NO_ID || graph[0]->value[a].gradient == WEFT_NO_ID)
			continue;
		x = run_graph_memory(run[0], graph[0]->value[graph[0]->value[a].gradient].base);
		y = run_graph_memory(run[1], graph[1]->value[graph[1]->value[b].gradient].base);
		elements = weft_layout_elements(&graph[0]->value[a].layout);
		assert_memory_equal(x, y, elements * sizeof(*x));
		for (uint64_t i = 0; i < elements; i++)
			moved += x[i] != 0;
		assert_true(moved > 0);
		compared++;
	}
	assert_true(compared > 0);
	for (int i = 0; i < 2; i++) {
		run_graph_free(run[i]);
		weft_graph_free(graph[i]);
	}
}

int main(void)
{
	static const char *const producers[] = {"Conv", "BatchNormalization", "Gemm", "Add"};
	static struct epilogue_case cases[8];
	struct CMUnitTest tests[8];

	for (int i = 0; i < 8; i++) {
		cases[i] = (struct epilogue_case){producers[i / 2], i % 2 ? "Clip" : "Relu"};
		tests[i] = (struct CMUnitTest){producers[i / 2], same_gradients, NULL, NULL, &cases[i]};
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
