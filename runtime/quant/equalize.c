// SPDX-License-Identifier: MIT
/*
 * Cross-layer equalisation: between two layers with nothing but a positively
 * homogeneous function in the middle, channel i may be divided by any s > 0 in the
 * first and multiplied by it in the second.  s = sqrt(r1 / r2), with the greatest
 * magnitudes r of channel i in both, makes both ranges alike.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "quant/quant.h"
#include "weft/error.h"

/* A layer's weight; channels of its result along @out, of its input along @in. */
struct layer {
	Onnx__NodeProto *node;
	Onnx__TensorProto *proto;
	struct weft_host_tensor *weight;
	unsigned int out, in;
	bool depthwise;
};

static bool passes_through(const Onnx__NodeProto *node)
{
	static const char *const names[] = {"Relu", "LeakyRelu", "MaxPool", "AveragePool", "GlobalAveragePool"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!strcmp(node->op_type, names[i]))
			return true;
	return false;
}

static int open_layer(const Onnx__GraphProto *graph, Onnx__NodeProto *node, struct layer *layer, bool *usable)
{
	int64_t groups;
	int r;

	*usable = false;
	memset(layer, 0, sizeof(*layer));
	layer->node = node;
	if (!weft_quant_is_product(graph, node, &layer->out) || weft_edit_uses(graph, node->input[1], NULL) != 1)
		return 0;
	layer->proto = graph->initializer[weft_edit_initializer(graph, node->input[1])];
	r = weft_onnx_tensor(layer->proto, &layer->weight);
	if (r)
		return r;
	groups = strcmp(node->op_type, "Conv") ? 1 : weft_edit_int(node, "group", 1);
	layer->in = layer->out ? 0 : 1;
	layer->depthwise = groups > 1;
	*usable = groups == 1 || (layer->weight->dims[0] == (uint64_t)groups && layer->weight->dims[1] == 1);
	if (layer->depthwise)
		layer->in = 0;
	return 0;
}

static size_t channel_of(const struct weft_host_tensor *tensor, unsigned int axis, size_t element)
{
	return element / weft_quant_inner(tensor, axis) % tensor->dims[axis];
}

static void greatest(const struct weft_host_tensor *tensor, unsigned int axis, double range[])
{
	const float *data = tensor->data;

	for (size_t i = 0; i < tensor->elements; i++) {
		size_t c = channel_of(tensor, axis, i);

		range[c] = fmax(range[c], fabs((double)data[i]));
	}
}

static void multiply(struct weft_host_tensor *tensor, unsigned int axis, const double factor[], bool divide)
{
	float *data = tensor->data;

	for (size_t i = 0; i < tensor->elements; i++) {
		double f = factor[channel_of(tensor, axis, i)];

		data[i] = (float)(divide ? data[i] / f : data[i] * f);
	}
}

static int divide_bias(Onnx__GraphProto *graph, const Onnx__NodeProto *node, const double factor[], size_t channels)
{
	struct weft_host_tensor *bias;
	Onnx__TensorProto *proto;
	ptrdiff_t at;
	int r;

	if (node->n_input < 3 || !node->input[2][0])
		return 0;
	at = weft_edit_initializer(graph, node->input[2]);
	proto = graph->initializer[at];
	r = weft_onnx_tensor(proto, &bias);
	if (r)
		return r;
	if (bias->elements == channels)
		multiply(bias, 0, factor, true);
	r = weft_edit_set_floats(proto, bias->data, bias->elements);
	weft_host_tensor_free(bias);
	return r;
}

/* The bias can be changed: absent, or a constant vector that nothing else reads. */
static bool bias_is_own(const Onnx__GraphProto *graph, const Onnx__NodeProto *node, size_t channels)
{
	ptrdiff_t at;

	if (node->n_input < 3 || !node->input[2][0])
		return true;
	at = weft_edit_initializer(graph, node->input[2]);
	return at >= 0 && graph->initializer[at]->n_dims == 1 && graph->initializer[at]->dims[0] == (int64_t)channels &&
	       graph->initializer[at]->data_type == ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT &&
	       weft_edit_uses(graph, node->input[2], NULL) == 1;
}

static int equalize_pair(Onnx__GraphProto *graph, struct layer *first, struct layer *second)
{
	size_t channels = first->weight->dims[first->out];
	double *range = calloc(2 * channels, sizeof(*range));
	int r;

	if (!range)
		return weft_fail(ENOMEM, "no memory to equalise %zu channels", channels);
	greatest(first->weight, first->out, range);
	greatest(second->weight, second->in, range + channels);
	for (size_t c = 0; c < channels; c++) {
		double s = range[c] > 0 && range[channels + c] > 0 ? sqrt(range[c] / range[channels + c]) : 1;

		/* Dead channels would be blown up. */
		range[c] = s < 1e-3 ? 1e-3 : s > 1e3 ? 1e3 : s;
	}
	multiply(first->weight, first->out, range, true);
	multiply(second->weight, second->in, range, false);
	r = weft_edit_set_floats(first->proto, first->weight->data, first->weight->elements);
	if (!r)
		r = weft_edit_set_floats(second->proto, second->weight->data, second->weight->elements);
	if (!r)
		r = divide_bias(graph, first->node, range, channels);
	free(range);
	return r;
}

/* The layer that alone reads @node's result, through functions that a factor passes. */
static Onnx__NodeProto *next_layer(const Onnx__GraphProto *graph, const Onnx__NodeProto *node)
{
	unsigned int axis;

	for (;;) {
		ptrdiff_t reader;

		if (node->n_output != 1 || weft_edit_uses(graph, node->output[0], &reader) != 1 || reader < 0)
			return NULL;
		node = graph->node[reader];
		if (weft_quant_is_product(graph, node, &axis))
			return graph->node[reader];
		if (!passes_through(node))
			return NULL;
	}
}

int weft_quant_equalize(Onnx__GraphProto *graph, uint32_t *pairs)
{
	*pairs = 0;
	for (size_t i = 0; i < graph->n_node; i++) {
		struct layer first, second = {.weight = NULL};
		Onnx__NodeProto *next = next_layer(graph, graph->node[i]);
		bool usable = false;
		int r;

		if (!next)
			continue;
		r = open_layer(graph, graph->node[i], &first, &usable);
		if (!r && usable)
			r = open_layer(graph, next, &second, &usable);
		if (!r && usable && first.weight->dims[first.out] == second.weight->dims[second.in] &&
		    bias_is_own(graph, first.node, first.weight->dims[first.out])) {
			r = equalize_pair(graph, &first, &second);
			(*pairs)++;
		}
		weft_host_tensor_free(first.weight);
		weft_host_tensor_free(second.weight);
		if (r)
			return r;
	}
	return 0;
}
