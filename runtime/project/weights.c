// SPDX-License-Identifier: MIT
/* Weights as bytes, for size: activations stay as they are. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "quant/edit.h"
#include "weft/error.h"
#include "weft/project.h"

/* The dimension of output channels of the weight that input 1 of @node is; -1: no such node. */
static int channel_axis(const Onnx__NodeProto *node)
{
	if (!strcmp(node->op_type, "BitMatMul") || !strcmp(node->op_type, "MatMul"))
		return 1;
	if (!strcmp(node->op_type, "Gemm"))
		return weft_edit_int(node, "transB", 0) ? 0 : 1;
	return strcmp(node->op_type, "Conv") ? -1 : 0;
}

static int8_t rounded(float x, float scale)
{
	float q = rintf(x / scale);

	return (int8_t)(q < -127 ? -127 : q > 127 ? 127 : q);
}

/* Scales of channels and the bytes, of @tensor's numbers; channels lie @inner elements apart, in blocks. */
static void quantize(const struct weft_host_tensor *tensor, unsigned int axis, float *scale, int8_t *bytes)
{
	const float *x = tensor->data;
	size_t inner = 1, channels = tensor->dims[axis];

	for (unsigned int i = axis + 1; i < tensor->rank; i++)
		inner *= tensor->dims[i];
	memset(scale, 0, channels * sizeof(*scale));
	for (size_t i = 0; i < tensor->elements; i++)
		scale[i / inner % channels] = fmaxf(scale[i / inner % channels], fabsf(x[i]));
	for (size_t c = 0; c < channels; c++)
		scale[c] = scale[c] > 0 ? scale[c] / 127 : 1;
	for (size_t i = 0; i < tensor->elements; i++)
		bytes[i] = rounded(x[i], scale[i / inner % channels]);
}

/* In the place of initializer @name: bytes, scales and a DequantizeLinear before node @at that makes @name. */
static int replace(Onnx__GraphProto *graph, size_t at, const char *name, const struct weft_host_tensor *tensor,
		   unsigned int axis)
{
	float *scale = malloc(tensor->dims[axis] * sizeof(*scale) + 1);
	int8_t *bytes = malloc(tensor->elements + 1);
	char quantized[300], scales[300], real[300];
	Onnx__NodeProto *node = NULL, **list;
	int r = scale && bytes ? 0 : weft_fail(ENOMEM, "no memory for weight %s", name);

	snprintf(quantized, sizeof(quantized), "%.200s.int8", name);
	snprintf(scales, sizeof(scales), "%.200s.scale", name);
	snprintf(real, sizeof(real), "%.200s.float", name);
	if (!r) {
		quantize(tensor, axis, scale, bytes);
		r = weft_edit_add_initializer(graph, quantized, ONNX__TENSOR_PROTO__DATA_TYPE__INT8, tensor->rank,
					      tensor->dims, bytes, tensor->elements);
	}
	if (!r)
		r = weft_edit_add_initializer(graph, scales, ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT, 1,
					      &tensor->dims[axis], scale, tensor->dims[axis] * sizeof(*scale));
	free(scale);
	free(bytes);
	if (r)
		return r;
	node = weft_edit_node("DequantizeLinear", 2, (const char *[]){quantized, scales}, real);
	list = realloc(graph->node, (graph->n_node + 1) * sizeof(*list));
	if (list)
		graph->node = list;
	if (!node || !list || weft_edit_set_int(node, "axis", (int64_t)axis)) {
		if (node)
			onnx__node_proto__free_unpacked(node, NULL);
		return weft_fail(ENOMEM, "no memory for weight %s", name);
	}
	memmove(list + at + 1, list + at, (graph->n_node - at) * sizeof(*list));
	list[at] = node;
	graph->n_node++;
	return weft_edit_rename_uses(graph, at + 1, name, real);
}

int weft_model_compact(struct weft_model *model, uint32_t *weights)
{
	Onnx__GraphProto *graph = model->proto->graph;
	int r = 0;

	*weights = 0;
	if (model->opset < 13)
		return weft_fail(EOPNOTSUPP, "%s is of opset %lld; scales for each channel need 13", model->name,
				 (long long)model->opset);
	for (size_t i = 0; i < graph->n_node && !r; i++) {
		const Onnx__NodeProto *node = graph->node[i];
		int axis = channel_axis(node);
		struct weft_host_tensor *tensor;
		ptrdiff_t index;
		char *name;

		if (axis < 0 || node->n_input < 2)
			continue;
		index = weft_edit_initializer(graph, node->input[1]);
		if (index < 0 || graph->initializer[index]->data_type != ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT ||
		    graph->initializer[index]->n_dims < 2)
			continue;
		name = strdup(node->input[1]);
		r = name ? weft_onnx_tensor(graph->initializer[index], &tensor)
			 : weft_fail(ENOMEM, "no memory for %s", node->op_type);
		if (!r) {
			r = replace(graph, i, name, tensor, (unsigned int)axis);
			weft_host_tensor_free(tensor);
			++*weights;
			i++;
		}
		free(name);
	}
	weft_edit_remove_unused(graph);
	return r;
}
