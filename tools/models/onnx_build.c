// SPDX-License-Identifier: MIT
/* Everything hangs on the model and is freed with it, as if it had been unpacked. */
#include "onnx_build.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OPSET 13
#define IR_VERSION 7

/* Append a pointer to a repeated field. */
static bool append(struct onnx_build *build, void *list, size_t *count, void *item)
{
	void ***pointers = list;
	void **larger = item ? realloc(*pointers, (*count + 1) * sizeof(void *)) : NULL;

	if (!larger) {
		build->failed = true;
		return false;
	}
	*pointers = larger;
	larger[(*count)++] = item;
	return true;
}

static char *copy(struct onnx_build *build, const char *text)
{
	char *copied = strdup(text);

	build->failed |= !copied;
	return copied;
}

#define NEW(build, type, prefix)                    \
	({                                          \
		type *made = malloc(sizeof(*made)); \
		if (made)                           \
			prefix##__init(made);       \
		else                                \
			(build)->failed = true;     \
		made;                               \
	})

void onnx_build_begin(struct onnx_build *build, const char *name, uint64_t seed)
{
	Onnx__OperatorSetIdProto *opset;

	memset(build, 0, sizeof(*build));
	build->random = seed;
	build->model = NEW(build, Onnx__ModelProto, onnx__model_proto);
	if (!build->model)
		return;
	build->model->has_ir_version = 1;
	build->model->ir_version = IR_VERSION;
	build->model->producer_name = copy(build, "weft");
	build->model->graph = NEW(build, Onnx__GraphProto, onnx__graph_proto);
	opset = NEW(build, Onnx__OperatorSetIdProto, onnx__operator_set_id_proto);
	if (!build->model->graph || !opset)
		return;
	opset->has_version = 1;
	opset->version = OPSET;
	append(build, &build->model->opset_import, &build->model->n_opset_import, opset);
	build->model->graph->name = copy(build, name);
}

static Onnx__ValueInfoProto *value_info(struct onnx_build *build, const char *name, size_t rank, const int64_t *dims)
{
	Onnx__ValueInfoProto *info = NEW(build, Onnx__ValueInfoProto, onnx__value_info_proto);
	Onnx__TypeProto *type = NEW(build, Onnx__TypeProto, onnx__type_proto);
	Onnx__TypeProto__Tensor *tensor = NEW(build, Onnx__TypeProto__Tensor, onnx__type_proto__tensor);
	Onnx__TensorShapeProto *shape = NEW(build, Onnx__TensorShapeProto, onnx__tensor_shape_proto);

	if (build->failed)
		return NULL;
	info->name = copy(build, name);
	info->type = type;
	type->value_case = ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
	type->tensor_type = tensor;
	tensor->has_elem_type = 1;
	tensor->elem_type = ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT;
	tensor->shape = shape;
	for (size_t i = 0; i < rank; i++) {
		Onnx__TensorShapeProto__Dimension *dim =
			NEW(build, Onnx__TensorShapeProto__Dimension, onnx__tensor_shape_proto__dimension);

		if (!dim)
			return NULL;
		if (dims[i]) {
			dim->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
			dim->dim_value = dims[i];
		} else {
			dim->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM;
			dim->dim_param = copy(build, "batch");
		}
		append(build, &shape->dim, &shape->n_dim, dim);
	}
	return info;
}

void onnx_build_input(struct onnx_build *build, const char *name, size_t rank, const int64_t *dims)
{
	if (!build->failed)
		append(build, &build->model->graph->input, &build->model->graph->n_input,
		       value_info(build, name, rank, dims));
}

void onnx_build_tokens(struct onnx_build *build, const char *name)
{
	Onnx__ValueInfoProto *info = value_info(build, name, 2, (int64_t[]){0, 0});
	Onnx__TensorShapeProto__Dimension *tokens;

	if (!info)
		return;
	info->type->tensor_type->elem_type = ONNX__TENSOR_PROTO__DATA_TYPE__INT64;
	tokens = info->type->tensor_type->shape->dim[1];
	free(tokens->dim_param);
	tokens->dim_param = copy(build, "tokens");
	append(build, &build->model->graph->input, &build->model->graph->n_input, info);
}

void onnx_build_output(struct onnx_build *build, const char *name, size_t rank, const int64_t *dims)
{
	if (!build->failed)
		append(build, &build->model->graph->output, &build->model->graph->n_output,
		       value_info(build, name, rank, dims));
}

/* splitmix64 */
static uint64_t draw(struct onnx_build *build)
{
	uint64_t x = build->random += 0x9e3779b97f4a7c15;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
	x = (x ^ x >> 27) * 0x94d049bb133111eb;
	return x ^ x >> 31;
}

void onnx_build_weight(struct onnx_build *build, const char *name, size_t rank, const int64_t *dims, float bound)
{
	Onnx__TensorProto *tensor;
	size_t elements = 1;
	float *data;

	if (build->failed)
		return;
	tensor = NEW(build, Onnx__TensorProto, onnx__tensor_proto);
	for (size_t i = 0; i < rank; i++)
		elements *= (size_t)dims[i];
	data = malloc(elements * sizeof(*data));
	if (!tensor || !data) {
		build->failed = true;
		return;
	}
	for (size_t i = 0; i < elements; i++)
		data[i] = bound * ((float)(draw(build) >> 40) * 0x1p-23f - 1.0f);
	tensor->name = copy(build, name);
	tensor->has_data_type = 1;
	tensor->data_type = ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT;
	tensor->dims = malloc(rank * sizeof(*dims));
	build->failed |= !tensor->dims;
	if (tensor->dims) {
		memcpy(tensor->dims, dims, rank * sizeof(*dims));
		tensor->n_dims = rank;
	}
	tensor->has_raw_data = 1;
	tensor->raw_data.data = (uint8_t *)data;
	tensor->raw_data.len = elements * sizeof(*data);
	append(build, &build->model->graph->initializer, &build->model->graph->n_initializer, tensor);
}

Onnx__NodeProto *onnx_build_node(struct onnx_build *build, const char *operator, const char * output,
				 const char *const *inputs)
{
	Onnx__NodeProto *node;

	if (build->failed)
		return NULL;
	node = NEW(build, Onnx__NodeProto, onnx__node_proto);
	if (!node)
		return NULL;
	node->name = copy(build, output);
	node->op_type = copy(build, operator);
	append(build, &node->output, &node->n_output, copy(build, output));
	for (; *inputs; inputs++)
		append(build, &node->input, &node->n_input, copy(build, *inputs));
	append(build, &build->model->graph->node, &build->model->graph->n_node, node);
	return node;
}

static Onnx__AttributeProto *attribute(struct onnx_build *build, Onnx__NodeProto *node, const char *name,
				       Onnx__AttributeProto__AttributeType type)
{
	Onnx__AttributeProto *attribute;

	if (build->failed || !node)
		return NULL;
	attribute = NEW(build, Onnx__AttributeProto, onnx__attribute_proto);
	if (!attribute)
		return NULL;
	attribute->name = copy(build, name);
	attribute->has_type = 1;
	attribute->type = type;
	append(build, &node->attribute, &node->n_attribute, attribute);
	return attribute;
}

void onnx_build_ints(struct onnx_build *build, Onnx__NodeProto *node, const char *name, size_t count,
		     const int64_t *values)
{
	Onnx__AttributeProto *made = attribute(build, node, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS);

	if (!made)
		return;
	made->ints = malloc(count * sizeof(*values));
	if (!made->ints) {
		build->failed = true;
		return;
	}
	memcpy(made->ints, values, count * sizeof(*values));
	made->n_ints = count;
}

void onnx_build_int(struct onnx_build *build, Onnx__NodeProto *node, const char *name, int64_t value)
{
	Onnx__AttributeProto *made = attribute(build, node, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT);

	if (!made)
		return;
	made->has_i = 1;
	made->i = value;
}

int onnx_build_end(struct onnx_build *build, const char *path)
{
	size_t bytes = build->failed ? 0 : onnx__model_proto__get_packed_size(build->model);
	uint8_t *packed = bytes ? malloc(bytes) : NULL;
	FILE *file = NULL;
	int result = -1;

	errno = ENOMEM;
	if (packed) {
		onnx__model_proto__pack(build->model, packed);
		file = fopen(path, "wbe");
	}
	if (file) {
		result = fwrite(packed, 1, bytes, file) == bytes ? 0 : -1;
		if (fclose(file))
			result = -1;
	}
	free(packed);
	if (build->model)
		onnx__model_proto__free_unpacked(build->model, NULL);
	build->model = NULL;
	return result;
}
