// SPDX-License-Identifier: MIT
/*
 * The gradient of every weight for given examples, for compare.py to hold against
 * PyTorch's.
 *
 *	gradients MODEL.onnx BATCH THREADS INPUT LABEL OUT
 *
 * INPUT holds the examples as the model declares them (float32, or int64 tokens),
 * LABEL int32 classes, both raw.  OUT receives, per weight, a line "NAME BYTES" and
 * as many bytes of float32.  The gradient is the momentum after one step of SGD
 * from zero momentum.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "graph/graph.h"
#include "graph/layout.h"
#include "plan/plan.h"
#include "weft/error.h"
#include "weft/model.h"
#include "weft/session.h"

static void check(int result)
{
	if (result) {
		fprintf(stderr, "%s\n", weft_error());
		exit(1);
	}
}

static void *read_file(const char *path, size_t bytes)
{
	FILE *file = fopen(path, "rb");
	char *data = malloc(bytes + 1);

	if (!file || !data || fread(data, 1, bytes + 1, file) != bytes) {
		fprintf(stderr, "%s: expected %zu bytes\n", path, bytes);
		exit(1);
	}
	fclose(file);
	return data;
}

/* Where element @index, counted in the order of the model file, of a value stands. */
static size_t place_of(const struct weft_value *value, size_t index)
{
	unsigned int rank = value->file_rank ? value->file_rank : value->layout.rank;
	size_t place = 0;

	for (unsigned int i = rank; i-- > 0;) {
		unsigned int dim = value->file_rank ? value->file_order[i] : i;

		place += index % value->layout.dims[dim] * (size_t)value->layout.strides[dim];
		index /= value->layout.dims[dim];
	}
	return place;
}

static void fill(struct weft_session *session, weft_id id, const char *path)
{
	const struct weft_value *value = &weft_session_graph(session)->value[id];
	size_t elements = weft_layout_elements(&value->layout);
	/* Tokens are int64 in the file and may be int32 on the device. */
	bool tokens = value->layout.type != WEFT_TYPE_F32 && id != weft_session_graph(session)->label;
	char *data = read_file(path, elements * (tokens ? 8 : 4));
	void *memory;

	check(weft_session_input(session, value->name, &memory, NULL));
	for (size_t i = 0; i < elements; i++) {
		size_t place = place_of(value, i);

		if (!tokens)
			memcpy((char *)memory + 4 * place, data + 4 * i, 4);
		else if (value->layout.type == WEFT_TYPE_I64)
			memcpy((char *)memory + 8 * place, data + 8 * i, 8);
		else
			((int32_t *)memory)[place] = (int32_t)((int64_t *)(void *)data)[i];
	}
	free(data);
}

static void write_gradients(struct weft_session *session, const char *path)
{
	const struct weft_graph *graph = weft_session_graph(session);
	FILE *file = fopen(path, "wb");

	if (!file) {
		perror(path);
		exit(1);
	}
	for (weft_id id = 0; id < graph->values; id++) {
		const struct weft_value *value = &graph->value[id];
		size_t bytes = 4 * weft_layout_elements(&value->layout);
		char name[1024];
		float *data;

		/* Tables that models carry along have no gradient where only comparisons read them. */
		if (value->kind != WEFT_VALUE_WEIGHT || value->base != id || value->gradient == WEFT_NO_ID)
			continue;
		snprintf(name, sizeof(name), "%s.momentum", value->name);
		data = malloc(bytes + 1);
		if (!data)
			exit(1);
		check(weft_session_read(session, name, data, bytes));
		fprintf(file, "%s %zu\n", value->name, bytes);
		/* Optimizer state comes in the order of the weight on the device. */
		for (size_t i = 0; i < bytes / 4; i++)
			if (fwrite(data + place_of(value, i), 4, 1, file) != 1)
				exit(1);
		free(data);
	}
	if (fclose(file)) {
		perror(path);
		exit(1);
	}
}

int main(int argc, char **argv)
{
	const float hyper[WEFT_HYPERS] = {
		[WEFT_HYPER_LR] = 1e-3f, [WEFT_HYPER_BETA1] = 0.9f, [WEFT_HYPER_GRADIENT_SCALE] = 1};
	struct weft_session_options options = {
		.device_bytes = UINT64_MAX, .host_bytes = UINT64_MAX, .policy = WEFT_POLICY_KEEP};
	struct weft_graph_options graph_options = {
		.training = true, .loss = WEFT_LOSS_CROSS_ENTROPY, .optimizer = WEFT_OPTIMIZER_SGD};
	struct weft_session_refusal refusal;
	struct accel_device *device;
	struct weft_session *session;
	struct weft_graph *graph;
	struct weft_model *model;
	char spec[64];

	if (argc != 7)
		return fprintf(stderr, "usage: %s MODEL.onnx BATCH THREADS INPUT LABEL OUT\n", argv[0]), 2;
	graph_options.batch = (uint32_t)atoi(argv[2]);
	snprintf(spec, sizeof(spec), "embedded:mem=16G,threads=%d", atoi(argv[3]));
	if (accel_device_open(spec, &device))
		return fprintf(stderr, "%s\n", accel_error()), 1;
	check(weft_model_load(argv[1], &model));
	check(weft_model_graph(model, &graph_options, &graph));
	weft_model_free(model);
	check(weft_session_new(device, graph, &options, &session, &refusal));
	check(weft_session_hyper(session, hyper));
	fill(session, graph->input[0], argv[4]);
	fill(session, graph->label, argv[5]);
	check(weft_session_step(session));
	write_gradients(session, argv[6]);
	weft_session_free(session);
	accel_device_unref(device);
	return 0;
}
