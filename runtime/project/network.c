// SPDX-License-Identifier: MIT
#include "project/network.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "quant/edit.h"
#include "weft/error.h"

static void no_memory(struct weft_network *network)
{
	network->error = weft_fail(ENOMEM, "no memory for the network");
}

/* Append @item to an array of pointers; frees nothing. */
static bool append(void *array, size_t *count, void *item)
{
	void ***list = array, **larger = realloc(*list, (*count + 1) * sizeof(*larger));

	if (!larger || !item)
		return false;
	*list = larger;
	larger[(*count)++] = item;
	return true;
}

static bool add_opset(Onnx__ModelProto *proto, const char *domain, int64_t version)
{
	Onnx__OperatorSetIdProto *set = malloc(sizeof(*set));

	if (!set)
		return false;
	onnx__operator_set_id_proto__init(set);
	set->domain = strdup(domain);
	set->has_version = 1;
	set->version = version;
	if (set->domain && append(&proto->opset_import, &proto->n_opset_import, set))
		return true;
	onnx__operator_set_id_proto__free_unpacked(set, NULL);
	return false;
}

void weft_network_begin(struct weft_network *network, const char *name, int64_t opset, uint64_t seed)
{
	Onnx__ModelProto *proto = malloc(sizeof(*proto));
	Onnx__GraphProto *graph = malloc(sizeof(*graph));

	*network = (struct weft_network){.model = calloc(1, sizeof(*network->model)), .random = seed};
	if (proto)
		onnx__model_proto__init(proto);
	if (graph)
		onnx__graph_proto__init(graph);
	if (!network->model || !proto || !graph) {
		free(proto);
		free(graph);
		no_memory(network);
		return;
	}
	network->model->proto = proto;
	network->model->opset = opset;
	network->model->name = strdup(name);
	proto->graph = graph;
	proto->has_ir_version = 1;
	proto->ir_version = 8;
	proto->producer_name = strdup("weft");
	graph->name = strdup(name);
	if (!network->model->name || !proto->producer_name || !graph->name || !add_opset(proto, "", opset) ||
	    !add_opset(proto, "weft", 1))
		no_memory(network);
}

static Onnx__TensorShapeProto__Dimension *new_dimension(bool batch, uint32_t extent)
{
	Onnx__TensorShapeProto__Dimension *dim = malloc(sizeof(*dim));

	if (!dim)
		return NULL;
	onnx__tensor_shape_proto__dimension__init(dim);
	if (batch) {
		dim->dim_param = strdup("batch");
		if (!dim->dim_param) {
			free(dim);
			return NULL;
		}
		dim->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM;
	} else {
		dim->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
		dim->dim_value = extent;
	}
	return dim;
}

void weft_network_input(struct weft_network *network, const char *name, int32_t type, uint32_t rank,
			const uint32_t dims[])
{
	Onnx__ValueInfoProto *info;
	Onnx__TypeProto *kind;
	Onnx__TypeProto__Tensor *tensor;
	Onnx__TensorShapeProto *shape;

	if (network->error)
		return;
	info = malloc(sizeof(*info));
	kind = malloc(sizeof(*kind));
	tensor = malloc(sizeof(*tensor));
	shape = malloc(sizeof(*shape));
	if (!info || !kind || !tensor || !shape) {
		free(info);
		free(kind);
		free(tensor);
		free(shape);
		no_memory(network);
		return;
	}
	onnx__value_info_proto__init(info);
	onnx__type_proto__init(kind);
	onnx__type_proto__tensor__init(tensor);
	onnx__tensor_shape_proto__init(shape);
	info->type = kind;
	kind->value_case = ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
	kind->tensor_type = tensor;
	tensor->has_elem_type = 1;
	tensor->elem_type = type;
	tensor->shape = shape;
	info->name = strdup(name);
	for (uint32_t i = 0; i <= rank && !network->error; i++)
		if (!append(&shape->dim, &shape->n_dim, new_dimension(!i, i ? dims[i - 1] : 0)))
			no_memory(network);
	if (network->error || !info->name ||
	    !append(&network->model->proto->graph->input, &network->model->proto->graph->n_input, info)) {
		onnx__value_info_proto__free_unpacked(info, NULL);
		no_memory(network);
	}
}

Onnx__NodeProto *weft_network_node(struct weft_network *network, const char *domain, const char *operator,
				   const char * const inputs[], const char *output)
{
	Onnx__GraphProto *graph;
	Onnx__NodeProto *node;
	unsigned int count = 0;

	if (network->error)
		return NULL;
	graph = network->model->proto->graph;
	while (inputs[count])
		count++;
	node = weft_edit_node(operator, count, inputs, output);
	if (!node) {
		no_memory(network);
		return NULL;
	}
	node->name = strdup(output);
	if (domain)
		node->domain = strdup(domain);
	if (!node->name || (domain && !node->domain) || !append(&graph->node, &graph->n_node, node)) {
		onnx__node_proto__free_unpacked(node, NULL);
		no_memory(network);
		return NULL;
	}
	return node;
}

void weft_network_int(struct weft_network *network, Onnx__NodeProto *node, const char *name, int64_t value)
{
	if (!network->error)
		network->error = weft_edit_set_int(node, name, value);
}

void weft_network_ints(struct weft_network *network, Onnx__NodeProto *node, const char *name, unsigned int count,
		       const int64_t values[])
{
	Onnx__AttributeProto *attribute;

	weft_network_int(network, node, name, 0);
	if (network->error)
		return;
	attribute = node->attribute[node->n_attribute - 1];
	attribute->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS;
	attribute->has_i = 0;
	attribute->ints = malloc(count * sizeof(*attribute->ints) + 1);
	if (!attribute->ints) {
		no_memory(network);
		return;
	}
	memcpy(attribute->ints, values, count * sizeof(*attribute->ints));
	attribute->n_ints = count;
}

/* SplitMix64 (Steele, Lea and Flood 2014). */
static uint64_t next_random(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

void weft_network_weight(struct weft_network *network, const char *name, unsigned int rank, const uint32_t dims[],
			 double range)
{
	size_t elements = 1;
	float *data;

	if (network->error)
		return;
	for (unsigned int i = 0; i < rank; i++)
		if (__builtin_mul_overflow(elements, (size_t)dims[i], &elements) || elements > SIZE_MAX / 8) {
			network->error = weft_fail(EOVERFLOW, "weight %s is too large", name);
			return;
		}
	data = malloc(elements * sizeof(*data) + 1);
	if (!data) {
		no_memory(network);
		return;
	}
	for (size_t i = 0; i < elements; i++)
		data[i] =
			range > 0 ? (float)(range * ((double)(next_random(&network->random) >> 11) * 0x1p-52 - 1)) : 0;
	network->error =
		weft_edit_add_initializer(network->model->proto->graph, name, ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT,
					  rank, dims, data, elements * sizeof(*data));
	free(data);
}

void weft_network_integers(struct weft_network *network, const char *name, uint32_t count, const int64_t values[])
{
	if (!network->error)
		network->error = weft_edit_add_initializer(network->model->proto->graph, name,
							   ONNX__TENSOR_PROTO__DATA_TYPE__INT64, 1, &count, values,
							   count * sizeof(*values));
}

void weft_network_output(struct weft_network *network, const char *name)
{
	if (!network->error)
		network->error = weft_edit_add_output(network->model->proto->graph, name);
}

void weft_network_note(struct weft_network *network, const char *key, const char *value)
{
	Onnx__ModelProto *proto = network->model->proto;
	Onnx__StringStringEntryProto *entry;

	if (network->error)
		return;
	entry = malloc(sizeof(*entry));
	if (!entry) {
		no_memory(network);
		return;
	}
	onnx__string_string_entry_proto__init(entry);
	entry->key = strdup(key);
	entry->value = strdup(value);
	if (!entry->key || !entry->value || !append(&proto->metadata_props, &proto->n_metadata_props, entry)) {
		onnx__string_string_entry_proto__free_unpacked(entry, NULL);
		no_memory(network);
	}
}

void weft_network_also(struct weft_network *network, Onnx__NodeProto *node, const char *output)
{
	char *copy;

	if (network->error)
		return;
	copy = strdup(output);
	if (!append(&node->output, &node->n_output, copy)) {
		free(copy);
		no_memory(network);
	}
}

void weft_network_float(struct weft_network *network, const char *name, float value)
{
	if (!network->error)
		network->error =
			weft_edit_add_initializer(network->model->proto->graph, name,
						  ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT, 0, NULL, &value, sizeof(value));
}

int weft_network_end(struct weft_network *network, struct weft_model **model)
{
	int r = network->error;

	if (!r)
		r = weft_edit_copy(network->model, model);
	weft_model_free(network->model);
	network->model = NULL;
	return r;
}
