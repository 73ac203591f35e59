// SPDX-License-Identifier: MIT
/* Which activations are quantized: what the operators read that integers can execute. */
#include "quant/select.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "weft/error.h"

static bool is_one_of(const Onnx__NodeProto *node, const char *const names[])
{
	for (; *names; names++)
		if (!strcmp(node->op_type, *names))
			return true;
	return false;
}

bool weft_quant_moves(const Onnx__NodeProto *node)
{
	static const char *const names[] = {"MaxPool", "Reshape",   "Flatten",	"Transpose",
					    "Squeeze", "Unsqueeze", "Identity", NULL};

	return is_one_of(node, names) && node->n_output == 1;
}

/* Activations that a product or a sum takes up, if nothing else reads its result. */
static bool is_fused(const Onnx__GraphProto *graph, const Onnx__NodeProto *node)
{
	static const char *const activations[] = {"Relu", "Clip", NULL}, *const sums[] = {"Add", NULL};
	ptrdiff_t producer;
	unsigned int axis;

	if (!is_one_of(node, activations) || weft_edit_uses(graph, node->input[0], NULL) != 1)
		return false;
	producer = weft_edit_producer(graph, node->input[0]);
	return producer >= 0 &&
	       (weft_quant_is_product(graph, graph->node[producer], &axis) || is_one_of(graph->node[producer], sums));
}

unsigned int weft_quant_reads(const Onnx__GraphProto *graph, const Onnx__NodeProto *node)
{
	static const char *const of_one[] = {"AveragePool", "GlobalAveragePool",
					     "Sigmoid",	    "Tanh",
					     "LeakyRelu",   "HardSigmoid",
					     "HardSwish",   "Elu",
					     "Gelu",	    "Relu",
					     "Clip",	    "Mish",
					     "Softplus",    NULL};
	static const char *const of_two[] = {"Add", "Mul", NULL};
	unsigned int axis;

	if (weft_quant_is_product(graph, node, &axis))
		return 1;
	if (weft_quant_moves(node) || (is_one_of(node, of_one) && !is_fused(graph, node)))
		return 1;
	if (is_one_of(node, of_two) && node->n_input == 2 && weft_edit_initializer(graph, node->input[0]) < 0 &&
	    weft_edit_initializer(graph, node->input[1]) < 0)
		return 2;
	return 0;
}

/* Only what is worked out further as integers is worth it: a mover needs a reader, or a maker, of integers. */
static bool is_wanted(const Onnx__GraphProto *graph, const Onnx__NodeProto *node)
{
	ptrdiff_t at;

	if (!weft_quant_moves(node))
		return true;
	for (at = 0; at < (ptrdiff_t)graph->n_node; at++) {
		const Onnx__NodeProto *reader = graph->node[at];
		unsigned int reads = weft_quant_reads(graph, reader);

		for (unsigned int i = 0; i < reads; i++)
			if (!strcmp(reader->input[i], node->output[0]) && is_wanted(graph, reader))
				return true;
	}
	return false;
}

static int add(struct weft_selection *selection, const char *name)
{
	struct weft_calibrated *list;

	for (uint32_t i = 0; i < selection->count; i++)
		if (!strcmp(selection->activation[i].name, name))
			return 0;
	list = realloc(selection->activation, (selection->count + 1u) * sizeof(*list));
	if (list)
		selection->activation = list;
	else
		return weft_fail(ENOMEM, "no memory for %u activations", selection->count);
	memset(&list[selection->count], 0, sizeof(*list));
	list[selection->count].name = strdup(name);
	if (!list[selection->count].name)
		return weft_fail(ENOMEM, "no memory for a name");
	selection->count++;
	return 0;
}

int weft_quant_select(const Onnx__GraphProto *graph, struct weft_selection *selection)
{
	for (size_t i = 0; i < graph->n_node; i++) {
		const Onnx__NodeProto *node = graph->node[i];
		unsigned int reads = is_wanted(graph, node) ? weft_quant_reads(graph, node) : 0;

		for (unsigned int j = 0; j < reads; j++) {
			int r = weft_edit_initializer(graph, node->input[j]) < 0 ? add(selection, node->input[j]) : 0;

			if (r)
				return r;
		}
	}
	return 0;
}

struct weft_calibrated *weft_quant_find(const struct weft_selection *selection, const char *name)
{
	for (uint32_t i = 0; i < selection->count; i++)
		if (!strcmp(selection->activation[i].name, name))
			return &selection->activation[i];
	return NULL;
}

void weft_quant_share_ranges(const Onnx__GraphProto *graph, struct weft_selection *selection)
{
	for (size_t i = 0; i < graph->n_node; i++) {
		const Onnx__NodeProto *node = graph->node[i];
		struct weft_calibrated *from, *to;

		if (!weft_quant_moves(node))
			continue;
		from = weft_quant_find(selection, node->input[0]);
		to = weft_quant_find(selection, node->output[0]);
		if (!from || !to)
			continue;
		to->scale = from->scale;
		to->zero = from->zero;
	}
}

void weft_quant_selection_free(struct weft_selection *selection)
{
	for (uint32_t i = 0; i < selection->count; i++) {
		free((char *)selection->activation[i].name);
		free(selection->activation[i].histogram);
		free(selection->activation[i].mean);
	}
	free(selection->activation);
}
