// SPDX-License-Identifier: MIT
#include "small_model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "graph/graph.h"
#include "onnx_build.h"
#include "weft/error.h"

static void layer(struct onnx_build *build, const char *name, const char *from, int64_t in, int64_t out)
{
	char weight[64], bias[64];
	Onnx__NodeProto *node;

	snprintf(weight, sizeof(weight), "%s.weight", name);
	snprintf(bias, sizeof(bias), "%s.bias", name);
	onnx_build_weight(build, weight, 2, (int64_t[]){out, in}, 1);
	onnx_build_weight(build, bias, 1, (int64_t[]){out}, 0.5f);
	node = onnx_build_node(build, "Gemm", name, (const char *[]){from, weight, bias, NULL});
	onnx_build_int(build, node, "transB", 1);
}

struct weft_model *small_model(bool sigmoid_at_the_end)
{
	char path[] = "/tmp/weft-small-XXXXXX";
	struct weft_model *model;
	struct onnx_build build;
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	close(fd);
	onnx_build_begin(&build, "small", 7);
	onnx_build_input(&build, "x", 2, (int64_t[]){0, SMALL_IN});
	layer(&build, "first", "x", SMALL_IN, SMALL_HIDDEN);
	onnx_build_node(&build, "Relu", "hidden", (const char *[]){"first", NULL});
	layer(&build, "second", "hidden", SMALL_HIDDEN, SMALL_OUT);
	if (sigmoid_at_the_end)
		onnx_build_node(&build, "Sigmoid", "y", (const char *[]){"second", NULL});
	onnx_build_output(&build, sigmoid_at_the_end ? "y" : "second", 2, (int64_t[]){0, SMALL_OUT});
	assert_int_equal(onnx_build_end(&build, path), 0);
	if (weft_model_load(path, &model))
		fail_msg("%s", weft_error());
	unlink(path);
	return model;
}

struct weft_session *small_session(const struct weft_model *model, const struct weft_graph_options *options)
{
	struct weft_session_options session_options = {.device_bytes = UINT64_MAX, .host_bytes = UINT64_MAX};
	struct weft_graph_options graph_options = *options;
	struct weft_session_refusal refusal;
	struct accel_device *device;
	struct weft_session *session;
	struct weft_graph *graph;

	graph_options.batch = SMALL_BATCH;
	if (weft_model_graph(model, &graph_options, &graph))
		fail_msg("%s", weft_error());
	if (accel_device_open("embedded:mem=4M", &device))
		fail_msg("%s", accel_error());
	if (weft_session_new(device, graph, &session_options, &session, &refusal))
		fail_msg("%s", weft_error());
	accel_device_unref(device);
	return session;
}

void small_session_free(struct weft_session *session)
{
	weft_session_free(session);
}

void small_feed(struct weft_session *session, uint32_t seed)
{
	const struct weft_graph *graph = weft_session_graph(session);

	for (uint32_t i = 0; i < graph->inputs; i++) {
		const struct weft_value *value = &graph->value[graph->input[i]];
		bool label = graph->input[i] == graph->label;
		uint32_t random = seed * 977 + i;
		size_t bytes;
		void *memory;

		assert_int_equal(weft_session_input(session, value->name, &memory, &bytes), 0);
		for (size_t j = 0; j < bytes / 4; j++) {
			random = random * 1664525 + 1013904223;
			if (value->layout.type == WEFT_TYPE_I32)
				((int32_t *)memory)[j] = (int32_t)(random >> 8) % SMALL_OUT;
			else if (label)
				((float *)memory)[j] = (float)(random >> 31);
			else
				((float *)memory)[j] = (float)(random >> 8) / (1 << 23) - 1;
		}
	}
}

float small_step(struct weft_session *session, uint32_t seed)
{
	const struct weft_graph *graph = weft_session_graph(session);
	float loss;

	small_feed(session, seed);
	if (weft_session_step(session) ||
	    weft_session_output(session, graph->value[graph->loss].name, &loss, sizeof(loss)))
		fail_msg("%s", weft_error());
	return loss;
}

void small_read(struct weft_session *session, const char *name, float *data, size_t elements)
{
	size_t bytes = elements * sizeof(*data);

	if (weft_session_read(session, name, data, bytes) && weft_session_output(session, name, data, bytes))
		fail_msg("%s: %s", name, weft_error());
}
