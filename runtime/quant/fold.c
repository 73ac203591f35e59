// SPDX-License-Identifier: MIT
/* Batch normalisation in the weights of the convolution before it. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "quant/quant.h"
#include "weft/error.h"

/* Float initializers of the normalisation: gamma, beta, mean, variance. */
struct norm {
	struct weft_host_tensor *of[4];
};

static void free_norm(struct norm *norm)
{
	for (unsigned int i = 0; i < 4; i++)
		weft_host_tensor_free(norm->of[i]);
}

/* Reads them; *usable is false where one is no constant of @channels elements. */
static int read_norm(const Onnx__GraphProto *graph, const Onnx__NodeProto *node, size_t channels, struct norm *norm,
		     bool *usable)
{
	*usable = false;
	memset(norm, 0, sizeof(*norm));
	if (node->n_input != 5)
		return 0;
	for (unsigned int i = 0; i < 4; i++) {
		ptrdiff_t at = weft_edit_initializer(graph, node->input[1 + i]);
		int r;

		if (at < 0)
			return 0;
		r = weft_onnx_tensor(graph->initializer[at], &norm->of[i]);
		if (r)
			return r;
		if (norm->of[i]->type != WEFT_TYPE_F32 || norm->of[i]->elements != channels)
			return 0;
	}
	*usable = true;
	return 0;
}

/* Multiply the filters and make the bias; @bias may be NULL. */
static int change_conv(Onnx__GraphProto *graph, Onnx__NodeProto *conv, const struct norm *norm, double epsilon,
		       struct weft_host_tensor *weight, const struct weft_host_tensor *bias)
{
	size_t channels = weight->dims[0], each = weight->elements / channels;
	float *filter = weight->data, *sum = calloc(channels, sizeof(*sum));
	uint32_t dims[1] = {(uint32_t)channels};
	char *name = NULL;
	int r;

	if (!sum || asprintf(&name, "%s:b", conv->output[0]) < 0) {
		free(sum);
		return weft_fail(ENOMEM, "no memory to fold a normalisation");
	}
	for (size_t c = 0; c < channels; c++) {
		double factor = weft_host_number(norm->of[0], c) / sqrt(weft_host_number(norm->of[3], c) + epsilon);

		for (size_t i = 0; i < each; i++)
			filter[c * each + i] = (float)(filter[c * each + i] * factor);
		sum[c] = (float)(((bias ? weft_host_number(bias, c) : 0) - weft_host_number(norm->of[2], c)) * factor +
				 weft_host_number(norm->of[1], c));
	}
	r = weft_edit_set_floats(graph->initializer[weft_edit_initializer(graph, conv->input[1])], filter,
				 weight->elements);
	if (!r)
		r = weft_edit_add_initializer(graph, name, ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT, 1, dims, sum,
					      channels * sizeof(*sum));
	if (!r)
		r = conv->n_input > 2 ? weft_edit_set_input(conv, 2, name) : weft_edit_add_input(conv, name);
	free(name);
	free(sum);
	return r;
}

/* Fold node @at into the convolution that makes its input, if it can be. */
static int fold_one(Onnx__GraphProto *graph, size_t at, bool *done)
{
	Onnx__NodeProto *node = graph->node[at], *conv;
	ptrdiff_t producer = node->n_input ? weft_edit_producer(graph, node->input[0]) : -1, w, b = -1;
	struct weft_host_tensor *weight = NULL, *bias = NULL;
	struct norm norm = {{NULL}};
	bool usable;
	char *output;
	int r;

	*done = false;
	if (producer < 0 || strcmp(graph->node[producer]->op_type, "Conv") ||
	    weft_edit_uses(graph, node->input[0], NULL) != 1)
		return 0;
	conv = graph->node[producer];
	w = conv->n_input > 1 ? weft_edit_initializer(graph, conv->input[1]) : -1;
	if (conv->n_input > 2 && conv->input[2][0]) {
		b = weft_edit_initializer(graph, conv->input[2]);
		if (b < 0)
			return 0;
	}
	/* A weight that others read must stay as it is. */
	if (w < 0 || weft_edit_uses(graph, conv->input[1], NULL) != 1)
		return 0;
	r = weft_onnx_tensor(graph->initializer[w], &weight);
	if (!r && b >= 0)
		r = weft_onnx_tensor(graph->initializer[b], &bias);
	if (r || weight->type != WEFT_TYPE_F32 || weight->rank < 3 || !weight->elements ||
	    (bias && bias->elements != weight->dims[0]))
		goto out;
	r = read_norm(graph, node, weight->dims[0], &norm, &usable);
	if (r || !usable)
		goto out;
	r = change_conv(graph, conv, &norm, weft_edit_float(node, "epsilon", 1e-5), weight, bias);
	if (r)
		goto out;
	/* The convolution makes what the normalisation made. */
	output = conv->output[0];
	conv->output[0] = node->output[0];
	node->output[0] = output;
	weft_edit_remove_node(graph, at);
	*done = true;
out:
	weft_host_tensor_free(weight);
	weft_host_tensor_free(bias);
	free_norm(&norm);
	return r;
}

int weft_quant_fold(Onnx__GraphProto *graph, uint32_t *folded)
{
	*folded = 0;
	for (size_t i = graph->n_node; i-- > 0;) {
		bool done;
		int r;

		if (strcmp(graph->node[i]->op_type, "BatchNormalization"))
			continue;
		r = fold_one(graph, i, &done);
		if (r)
			return r;
		*folded += done;
	}
	weft_edit_remove_unused(graph);
	return 0;
}
