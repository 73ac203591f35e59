// SPDX-License-Identifier: MIT
/* Projection networks of dense inputs. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "project/network.h"
#include "weft/error.h"
#include "weft/project.h"
#include "weft_isa.h"

#define DEFAULT_TAPS 8
#define DEFAULT_OPSET 17
#define MOST_UNITS (1u << 20)

static uint32_t taps_of(const struct weft_projection *how)
{
	return how->taps ? how->taps : DEFAULT_TAPS;
}

static int check(const struct weft_projection *how, const struct weft_projection_shape *shape)
{
	if (!how->functions || !how->bits || (uint64_t)how->functions * how->bits > WEFT_PROJECT_MAX_BITS)
		return weft_fail(EINVAL, "%u functions of %u bits; expected 1 to %u bits together", how->functions,
				 how->bits, WEFT_PROJECT_MAX_BITS);
	if (how->taps > WEFT_PROJECT_MAX_TAPS)
		return weft_fail(EINVAL, "random vectors of %u terms; at most %u are possible", how->taps,
				 WEFT_PROJECT_MAX_TAPS);
	if (how->layers > WEFT_PROJECTION_LAYERS)
		return weft_fail(EINVAL, "%u hidden layers; at most %u are possible", how->layers,
				 WEFT_PROJECTION_LAYERS);
	for (uint32_t i = 0; i < how->layers; i++)
		if (!how->hidden[i] || how->hidden[i] > MOST_UNITS)
			return weft_fail(EINVAL, "hidden layer %u of %u units; expected 1 to %u", i + 1, how->hidden[i],
					 MOST_UNITS);
	if (!shape->classes || !shape->rank || shape->rank > 7)
		return weft_fail(EINVAL, "%u classes of examples of %u dimensions", shape->classes, shape->rank);
	return 0;
}

/* Weights of layer @index, [in, out], and its node. */
static void add_layer(struct weft_network *n, uint32_t index, uint32_t in, uint32_t out, const char *from,
		      const char *to)
{
	const uint32_t dims[2] = {in, out};
	char weight[48], bias[48];

	snprintf(weight, sizeof(weight), "projection/%u.weight", index);
	snprintf(bias, sizeof(bias), "projection/%u.bias", index);
	weft_network_weight(n, weight, 2, dims, 1 / sqrt(in));
	weft_network_weight(n, bias, 1, &out, 0);
	if (index)
		weft_network_node(n, NULL, "Gemm", (const char *[]){from, weight, bias, NULL}, to);
	else
		weft_network_node(n, "weft", "BitMatMul", (const char *[]){from, weight, bias, NULL}, to);
}

int weft_projection_new(const struct weft_projection *how, const struct weft_projection_shape *shape,
			struct weft_model **model)
{
	const char *input = shape->input ? shape->input : "input";
	char from[48] = "projection/bits", to[48], sum[64];
	struct weft_network n;
	Onnx__NodeProto *node;
	uint32_t width;
	int r = check(how, shape);

	if (r)
		return r;
	width = how->functions * how->bits;
	weft_network_begin(&n, "projection", shape->opset ? shape->opset : DEFAULT_OPSET, how->seed);
	weft_network_input(&n, input, ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT, shape->rank, shape->dims);
	node = weft_network_node(&n, "weft", "Project", (const char *[]){input, NULL}, from);
	weft_network_int(&n, node, "functions", how->functions);
	weft_network_int(&n, node, "bits", how->bits);
	weft_network_int(&n, node, "taps", taps_of(how));
	weft_network_int(&n, node, "seed", (int64_t)how->seed);
	for (uint32_t i = 0; i < how->layers; i++) {
		snprintf(to, sizeof(to), "projection/hidden%u", i + 1);
		snprintf(sum, sizeof(sum), "%s.sum", to);
		add_layer(&n, i, width, how->hidden[i], from, sum);
		weft_network_node(&n, NULL, "Relu", (const char *[]){sum, NULL}, to);
		width = how->hidden[i];
		snprintf(from, sizeof(from), "%s", to);
	}
	add_layer(&n, how->layers, width, shape->classes, from, "scores");
	weft_network_output(&n, "scores");
	return weft_network_end(&n, model);
}

void weft_projection_cost(const struct weft_projection *how, const struct weft_projection_shape *shape,
			  struct weft_projection_cost *cost)
{
	uint64_t width = (uint64_t)how->functions * how->bits;

	*cost = (struct weft_projection_cost){.additions = width * taps_of(how)};
	for (uint32_t i = 0; i <= how->layers; i++) {
		uint64_t out = i < how->layers ? how->hidden[i] : shape->classes;

		cost->parameters += width * out + out;
		cost->multiply_adds += width * out;
		width = out;
	}
}

int weft_projection_shape_of(const struct weft_model *model, struct weft_projection_shape *shape)
{
	const Onnx__GraphProto *graph = model->proto->graph;
	struct weft_model_info info;
	int r = weft_model_info(model, &info);

	if (r)
		return r;
	if (info.input_rank < 2 || info.input_rank > 8 || info.output_rank != 2 || info.output_dims[1] < 1 ||
	    info.output_dims[1] > UINT32_MAX)
		return weft_fail(EINVAL,
				 "%s: its first input is not a batch of examples, or its first output not [batch, "
				 "classes] with a known number of classes",
				 model->name);
	*shape = (struct weft_projection_shape){
		.rank = info.input_rank - 1, .classes = (uint32_t)info.output_dims[1], .opset = model->opset};
	for (uint32_t i = 0; i < shape->rank; i++) {
		if (info.input_dims[i + 1] < 1 || info.input_dims[i + 1] > UINT32_MAX)
			return weft_fail(EINVAL, "%s: dimension %u of its input is not known", model->name, i + 1);
		shape->dims[i] = (uint32_t)info.input_dims[i + 1];
	}
	/* The first that no initializer stands for. */
	for (size_t i = 0; i < graph->n_input && !shape->input; i++) {
		bool constant = false;

		for (size_t k = 0; k < graph->n_initializer; k++)
			constant |= !strcmp(graph->initializer[k]->name, graph->input[i]->name);
		if (!constant)
			shape->input = graph->input[i]->name;
	}
	return 0;
}
