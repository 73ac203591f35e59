// SPDX-License-Identifier: MIT
#include "quant/edit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "weft/error.h"

static int no_memory(void)
{
	return weft_fail(ENOMEM, "no memory to change the model");
}

ptrdiff_t weft_edit_initializer(const Onnx__GraphProto *graph, const char *name)
{
	for (size_t i = 0; i < graph->n_initializer; i++)
		if (!strcmp(graph->initializer[i]->name, name))
			return (ptrdiff_t)i;
	return -1;
}

ptrdiff_t weft_edit_producer(const Onnx__GraphProto *graph, const char *name)
{
	for (size_t i = 0; i < graph->n_node; i++)
		for (size_t j = 0; j < graph->node[i]->n_output; j++)
			if (!strcmp(graph->node[i]->output[j], name))
				return (ptrdiff_t)i;
	return -1;
}

unsigned int weft_edit_uses(const Onnx__GraphProto *graph, const char *name, ptrdiff_t *last)
{
	unsigned int uses = 0;

	if (last)
		*last = -1;
	for (size_t i = 0; i < graph->n_node; i++)
		for (size_t j = 0; j < graph->node[i]->n_input; j++) {
			if (strcmp(graph->node[i]->input[j], name))
				continue;
			uses++;
			if (last)
				*last = (ptrdiff_t)i;
		}
	return uses + weft_edit_is_output(graph, name);
}

bool weft_edit_is_output(const Onnx__GraphProto *graph, const char *name)
{
	for (size_t i = 0; i < graph->n_output; i++)
		if (!strcmp(graph->output[i]->name, name))
			return true;
	return false;
}

bool weft_edit_is_input(const Onnx__GraphProto *graph, const char *name)
{
	for (size_t i = 0; i < graph->n_input; i++)
		if (!strcmp(graph->input[i]->name, name))
			return weft_edit_initializer(graph, name) < 0;
	return false;
}

const Onnx__AttributeProto *weft_edit_attribute(const Onnx__NodeProto *node, const char *name)
{
	for (size_t i = 0; i < node->n_attribute; i++)
		if (!strcmp(node->attribute[i]->name, name))
			return node->attribute[i];
	return NULL;
}

int64_t weft_edit_int(const Onnx__NodeProto *node, const char *name, int64_t fallback)
{
	const Onnx__AttributeProto *attribute = weft_edit_attribute(node, name);

	return attribute ? attribute->i : fallback;
}

double weft_edit_float(const Onnx__NodeProto *node, const char *name, double fallback)
{
	const Onnx__AttributeProto *attribute = weft_edit_attribute(node, name);

	return attribute ? (double)attribute->f : fallback;
}

Onnx__NodeProto *weft_edit_node(const char *operator, unsigned int inputs, const char *const input[],
				const char *output)
{
	Onnx__NodeProto *node = malloc(sizeof(*node));

	if (!node)
		return NULL;
	onnx__node_proto__init(node);
	node->op_type = strdup(operator);
	node->input = calloc(inputs + 1u, sizeof(*node->input));
	node->output = calloc(1, sizeof(*node->output));
	if (!node->op_type || !node->input || !node->output)
		goto fail;
	for (; node->n_input < inputs; node->n_input++) {
		node->input[node->n_input] = strdup(input[node->n_input]);
		if (!node->input[node->n_input])
			goto fail;
	}
	node->output[0] = strdup(output);
	if (!node->output[0])
		goto fail;
	node->n_output = 1;
	return node;
fail:
	onnx__node_proto__free_unpacked(node, NULL);
	return NULL;
}

int weft_edit_set_int(Onnx__NodeProto *node, const char *name, int64_t value)
{
	Onnx__AttributeProto **list = realloc(node->attribute, (node->n_attribute + 1) * sizeof(*list));
	Onnx__AttributeProto *attribute = malloc(sizeof(*attribute));
	char *copy = strdup(name);

	if (list)
		node->attribute = list;
	if (!list || !attribute || !copy) {
		free(attribute);
		free(copy);
		return no_memory();
	}
	onnx__attribute_proto__init(attribute);
	attribute->name = copy;
	attribute->has_type = 1;
	attribute->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT;
	attribute->has_i = 1;
	attribute->i = value;
	node->attribute[node->n_attribute++] = attribute;
	return 0;
}

int weft_edit_set_input(Onnx__NodeProto *node, unsigned int index, const char *name)
{
	char *copy = strdup(name);

	if (!copy)
		return no_memory();
	free(node->input[index]);
	node->input[index] = copy;
	return 0;
}

int weft_edit_add_input(Onnx__NodeProto *node, const char *name)
{
	char **list = realloc(node->input, (node->n_input + 1) * sizeof(*list)), *copy = strdup(name);

	if (list)
		node->input = list;
	if (!list || !copy) {
		free(copy);
		return no_memory();
	}
	node->input[node->n_input++] = copy;
	return 0;
}

void weft_edit_remove_node(Onnx__GraphProto *graph, size_t index)
{
	onnx__node_proto__free_unpacked(graph->node[index], NULL);
	graph->n_node--;
	memmove(graph->node + index, graph->node + index + 1, (graph->n_node - index) * sizeof(*graph->node));
}

int weft_edit_rename_uses(Onnx__GraphProto *graph, size_t first, const char *from, const char *to)
{
	int r = 0;

	for (size_t i = first; i < graph->n_node && !r; i++)
		for (size_t j = 0; j < graph->node[i]->n_input && !r; j++)
			if (!strcmp(graph->node[i]->input[j], from))
				r = weft_edit_set_input(graph->node[i], (unsigned int)j, to);
	return r;
}

static void drop_contents(Onnx__TensorProto *tensor)
{
	free(tensor->float_data);
	tensor->float_data = NULL;
	tensor->n_float_data = 0;
	free(tensor->double_data);
	tensor->double_data = NULL;
	tensor->n_double_data = 0;
	free(tensor->int32_data);
	tensor->int32_data = NULL;
	tensor->n_int32_data = 0;
	if (tensor->has_raw_data)
		free(tensor->raw_data.data);
	tensor->has_raw_data = 0;
	tensor->raw_data = (ProtobufCBinaryData){0};
}

static int set_raw(Onnx__TensorProto *tensor, int32_t type, const void *data, size_t bytes)
{
	uint8_t *copy = malloc(bytes ? bytes : 1);

	if (!copy)
		return no_memory();
	memcpy(copy, data, bytes);
	drop_contents(tensor);
	tensor->has_data_type = 1;
	tensor->data_type = type;
	tensor->has_raw_data = 1;
	tensor->raw_data.data = copy;
	tensor->raw_data.len = bytes;
	return 0;
}

int weft_edit_add_initializer(Onnx__GraphProto *graph, const char *name, int32_t type, unsigned int rank,
			      const uint32_t dims[], const void *data, size_t bytes)
{
	Onnx__TensorProto **list = realloc(graph->initializer, (graph->n_initializer + 1) * sizeof(*list));
	Onnx__TensorProto *tensor = malloc(sizeof(*tensor));

	if (list)
		graph->initializer = list;
	if (!list || !tensor) {
		free(tensor);
		return no_memory();
	}
	onnx__tensor_proto__init(tensor);
	tensor->name = strdup(name);
	tensor->dims = calloc(rank + 1u, sizeof(*tensor->dims));
	if (!tensor->name || !tensor->dims || set_raw(tensor, type, data, bytes)) {
		onnx__tensor_proto__free_unpacked(tensor, NULL);
		return no_memory();
	}
	for (; tensor->n_dims < rank; tensor->n_dims++)
		tensor->dims[tensor->n_dims] = dims[tensor->n_dims];
	graph->initializer[graph->n_initializer++] = tensor;
	return 0;
}

int weft_edit_set_floats(Onnx__TensorProto *tensor, const float *data, size_t elements)
{
	return set_raw(tensor, ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT, data, elements * sizeof(*data));
}

void weft_edit_remove_unused(Onnx__GraphProto *graph)
{
	for (size_t i = graph->n_initializer; i-- > 0;) {
		Onnx__TensorProto *tensor = graph->initializer[i];

		if (weft_edit_uses(graph, tensor->name, NULL))
			continue;
		for (size_t j = graph->n_input; j-- > 0;) {
			if (strcmp(graph->input[j]->name, tensor->name))
				continue;
			onnx__value_info_proto__free_unpacked(graph->input[j], NULL);
			graph->n_input--;
			memmove(graph->input + j, graph->input + j + 1, (graph->n_input - j) * sizeof(*graph->input));
		}
		onnx__tensor_proto__free_unpacked(tensor, NULL);
		graph->n_initializer--;
		memmove(graph->initializer + i, graph->initializer + i + 1,
			(graph->n_initializer - i) * sizeof(*graph->initializer));
	}
}

static void drop_text(char **text)
{
	if (*text && *text != (char *)protobuf_c_empty_string)
		free(*text);
	*text = NULL;
}

void weft_edit_remove_notes(Onnx__GraphProto *graph)
{
	for (size_t i = 0; i < graph->n_value_info; i++)
		onnx__value_info_proto__free_unpacked(graph->value_info[i], NULL);
	graph->n_value_info = 0;
	for (size_t i = 0; i < graph->n_node; i++)
		drop_text(&graph->node[i]->doc_string);
}

static bool has_subgraphs(const Onnx__GraphProto *graph)
{
	for (size_t i = 0; i < graph->n_node; i++)
		for (size_t a = 0; a < graph->node[i]->n_attribute; a++)
			if (graph->node[i]->attribute[a]->g || graph->node[i]->attribute[a]->n_graphs)
				return true;
	return false;
}

static bool is_taken(const Onnx__GraphProto *graph, const char *name)
{
	return weft_edit_producer(graph, name) >= 0 || weft_edit_initializer(graph, name) >= 0 ||
	       weft_edit_is_input(graph, name);
}

int weft_edit_shorten_names(Onnx__GraphProto *graph)
{
	unsigned int number = 0;
	int r = 0;

	/* What a subgraph reads is named there too. */
	if (has_subgraphs(graph))
		return 0;
	for (size_t i = 0; i < graph->n_node && !r; i++)
		for (size_t j = 0; j < graph->node[i]->n_output && !r; j++) {
			char **name = &graph->node[i]->output[j], text[24], *shorter;

			if (strlen(*name) < 8 || weft_edit_is_output(graph, *name))
				continue;
			do
				snprintf(text, sizeof(text), "~v%u", number++);
			while (is_taken(graph, text));
			shorter = strdup(text);
			r = shorter ? weft_edit_rename_uses(graph, 0, *name, text) : no_memory();
			free(r ? shorter : *name);
			if (!r)
				*name = shorter;
		}
	return r;
}

int weft_edit_add_output(Onnx__GraphProto *graph, const char *name)
{
	Onnx__ValueInfoProto **list = realloc(graph->output, (graph->n_output + 1) * sizeof(*list));
	Onnx__ValueInfoProto *info = malloc(sizeof(*info));
	char *copy = strdup(name);

	if (list)
		graph->output = list;
	if (!list || !info || !copy) {
		free(info);
		free(copy);
		return no_memory();
	}
	onnx__value_info_proto__init(info);
	info->name = copy;
	graph->output[graph->n_output++] = info;
	return 0;
}

int weft_edit_copy(const struct weft_model *model, struct weft_model **copy)
{
	size_t size = onnx__model_proto__get_packed_size(model->proto);
	uint8_t *bytes = malloc(size ? size : 1);
	int r;

	if (!bytes)
		return no_memory();
	onnx__model_proto__pack(model->proto, bytes);
	r = weft_model_load_memory(bytes, size, model->name, copy);
	free(bytes);
	return r;
}
