// SPDX-License-Identifier: MIT
#include "import/model.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "weft/error.h"

/* Branches within branches. */
#define MOST_DEPTH 8

static int check_strings(const Onnx__GraphProto *graph, const char *file, unsigned int depth)
{
	size_t i, j;
	int r;

	if (depth > MOST_DEPTH)
		return weft_fail(EOPNOTSUPP, "%s: graphs within graphs are deeper than %d", file, MOST_DEPTH);

	for (i = 0; i < graph->n_node; i++) {
		const Onnx__NodeProto *node = graph->node[i];

		if (!node->op_type || !node->op_type[0])
			return weft_fail(EINVAL, "%s: node %zu has no operator", file, i);
		for (j = 0; j < node->n_attribute; j++) {
			if (!node->attribute[j]->name)
				return weft_fail(EINVAL, "%s: node %zu (%s): attribute %zu has no name", file, i,
						 node->op_type, j);
			r = node->attribute[j]->g ? check_strings(node->attribute[j]->g, file, depth + 1) : 0;
			if (r)
				return r;
		}
	}
	for (i = 0; i < graph->n_initializer; i++)
		if (!graph->initializer[i]->name || !graph->initializer[i]->name[0])
			return weft_fail(EINVAL, "%s: initializer %zu has no name", file, i);
	for (i = 0; i < graph->n_input; i++)
		if (!graph->input[i]->name || !graph->input[i]->name[0])
			return weft_fail(EINVAL, "%s: input %zu has no name", file, i);
	for (i = 0; i < graph->n_output; i++)
		if (!graph->output[i]->name || !graph->output[i]->name[0])
			return weft_fail(EINVAL, "%s: output %zu has no name", file, i);
	if (graph->n_sparse_initializer)
		return weft_fail(EOPNOTSUPP, "%s: sparse initializers are not supported", file);
	return 0;
}

/* Names that a branch makes or reads, as inputs of the node that it belongs to. */
struct names {
	Onnx__NodeProto *node;
	size_t room;
};

static int add_name(struct names *names, const char *name)
{
	Onnx__NodeProto *node = names->node;

	if (!name[0])
		return 0;
	if (node->n_input == names->room) {
		size_t room = 2 * names->room + 16;
		char **larger = realloc(node->input, room * sizeof(*larger));

		if (!larger)
			return weft_fail(ENOMEM, "no memory for the names of a branch");
		node->input = larger;
		names->room = room;
	}
	node->input[node->n_input] = strdup(name);
	if (!node->input[node->n_input])
		return weft_fail(ENOMEM, "no memory for the names of a branch");
	node->n_input++;
	return 0;
}

static int add_branch(struct names *names, const Onnx__GraphProto *graph)
{
	size_t i, j;
	int r = 0;

	for (i = 0; i < graph->n_initializer && !r; i++)
		r = add_name(names, graph->initializer[i]->name);
	for (i = 0; i < graph->n_output && !r; i++)
		r = add_name(names, graph->output[i]->name);
	for (i = 0; i < graph->n_node && !r; i++) {
		const Onnx__NodeProto *node = graph->node[i];

		for (j = 0; j < node->n_input && !r; j++)
			r = add_name(names, node->input[j]);
		for (j = 0; j < node->n_output && !r; j++)
			r = add_name(names, node->output[j]);
		for (j = 0; j < node->n_attribute && !r; j++)
			if (node->attribute[j]->g)
				r = add_branch(names, node->attribute[j]->g);
	}
	return r;
}

/*
 * An If reads what its branches read: behind its condition their names become its
 * inputs, so that whoever counts readers counts them, too.
 */
static int read_branches(const Onnx__GraphProto *graph, const char *file)
{
	size_t i, j;
	int r = 0;

	for (i = 0; i < graph->n_node && !r; i++) {
		struct names names = {graph->node[i], graph->node[i]->n_input};

		if (strcmp(names.node->op_type, "If"))
			continue;
		if (names.node->n_input != 1)
			return weft_fail(EINVAL, "%s: node %zu (If) has %zu inputs, not one", file, i,
					 names.node->n_input);
		for (j = 0; j < names.node->n_attribute && !r; j++)
			if (names.node->attribute[j]->g)
				r = add_branch(&names, names.node->attribute[j]->g);
	}
	return r;
}

static int find_opset(struct weft_model *model)
{
	const Onnx__ModelProto *proto = model->proto;
	size_t i;

	for (i = 0; i < proto->n_opset_import; i++) {
		const Onnx__OperatorSetIdProto *set = proto->opset_import[i];

		if (!set->domain || !set->domain[0] || !strcmp(set->domain, "ai.onnx"))
			model->opset = set->version;
	}
	if (!model->opset)
		model->opset = 1;
	return 0;
}

int weft_model_load_memory(const void *bytes, size_t size, const char *name, struct weft_model **result)
{
	struct weft_model *model = calloc(1, sizeof(*model));
	int r;

	if (!model)
		return weft_fail(ENOMEM, "no memory for model %s", name);
	model->name = strdup(name);
	if (!model->name) {
		r = weft_fail(ENOMEM, "no memory for model %s", name);
		goto fail;
	}
	model->proto = size ? onnx__model_proto__unpack(NULL, size, bytes) : NULL;
	if (!model->proto) {
		r = weft_fail(EINVAL, "%s: not an ONNX model, or cut short (%zu bytes)", name, size);
		goto fail;
	}
	if (!model->proto->graph) {
		r = weft_fail(EINVAL, "%s: the ONNX model holds no graph", name);
		goto fail;
	}
	r = check_strings(model->proto->graph, name, 0);
	if (!r)
		r = read_branches(model->proto->graph, name);
	if (!r)
		r = find_opset(model);
	if (r)
		goto fail;
	*result = model;
	return 0;

fail:
	weft_model_free(model);
	return r;
}

static bool has_input(const Onnx__GraphProto *graph, const char *name)
{
	size_t i;

	for (i = 0; i < graph->n_input; i++)
		if (!strcmp(graph->input[i]->name, name))
			return true;
	return false;
}

int weft_model_bind_input(struct weft_model *model, const char *name, const void *bytes, size_t size)
{
	Onnx__GraphProto *graph = model->proto->graph;
	Onnx__TensorProto **room, *tensor;
	char *copy;

	if (!has_input(graph, name))
		return weft_fail(ENOENT, "%s: there is no input %s", model->name, name);
	tensor = onnx__tensor_proto__unpack(NULL, size, bytes);
	if (!tensor)
		return weft_fail(EINVAL, "%s: input %s: %zu bytes are not an ONNX tensor", model->name, name, size);
	copy = strdup(name);
	room = realloc(graph->initializer, (graph->n_initializer + 1) * sizeof(*room));
	if (room)
		graph->initializer = room;
	if (!copy || !room) {
		free(copy);
		onnx__tensor_proto__free_unpacked(tensor, NULL);
		return weft_fail(ENOMEM, "%s: no memory for input %s", model->name, name);
	}
	if (tensor->name != protobuf_c_empty_string)
		free(tensor->name);
	tensor->name = copy;
	graph->initializer[graph->n_initializer++] = tensor;
	return 0;
}

int weft_model_load(const char *path, struct weft_model **model)
{
	struct stat status;
	void *bytes;
	int fd, r;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return weft_fail(errno, "%s: cannot be opened: %s", path, strerror(errno));
	if (fstat(fd, &status)) {
		r = weft_fail(errno, "%s: %s", path, strerror(errno));
		goto out;
	}
	if (!S_ISREG(status.st_mode)) {
		r = weft_fail(EINVAL, "%s is not a file", path);
		goto out;
	}
	if (!status.st_size) {
		r = weft_fail(EINVAL, "%s is empty", path);
		goto out;
	}
	bytes = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (bytes == MAP_FAILED) {
		r = weft_fail(errno, "%s: %s", path, strerror(errno));
		goto out;
	}
	r = weft_model_load_memory(bytes, (size_t)status.st_size, path, model);
	munmap(bytes, (size_t)status.st_size);
	if (!r) {
		r = weft_model_read_external(*model, path);
		if (r) {
			weft_model_free(*model);
			*model = NULL;
		}
	}
out:
	close(fd);
	return r;
}

void weft_model_free(struct weft_model *model)
{
	if (!model)
		return;
	if (model->proto)
		onnx__model_proto__free_unpacked(model->proto, NULL);
	free(model->name);
	free(model);
}

static bool is_initializer(const Onnx__GraphProto *graph, const char *name)
{
	size_t i;

	for (i = 0; i < graph->n_initializer; i++)
		if (!strcmp(graph->initializer[i]->name, name))
			return true;
	return false;
}

static void describe(const Onnx__ValueInfoProto *value, uint32_t *rank, int64_t dims[8])
{
	const Onnx__TensorShapeProto *shape = NULL;
	size_t i;

	if (value->type && value->type->value_case == ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE && value->type->tensor_type)
		shape = value->type->tensor_type->shape;
	if (!shape)
		return;
	*rank = shape->n_dim < 8 ? (uint32_t)shape->n_dim : 8;
	for (i = 0; i < *rank; i++)
		dims[i] = shape->dim[i]->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE
				  ? shape->dim[i]->dim_value
				  : -1;
}

/* A floating-point initializer with dimensions: what training changes, if the operator that reads it lets it. */
static bool is_parameter(const Onnx__TensorProto *tensor)
{
	uint8_t type;

	return tensor->n_dims && !weft_onnx_type(tensor->data_type, &type) && type == WEFT_TYPE_F32;
}

/* Running statistics are stored like parameters but are not trained. */
static bool is_statistic(const Onnx__GraphProto *graph, const char *name)
{
	size_t i, j;

	for (i = 0; i < graph->n_node; i++) {
		if (strcmp(graph->node[i]->op_type, "BatchNormalization"))
			continue;
		for (j = 3; j < graph->node[i]->n_input && j < 5; j++)
			if (!strcmp(graph->node[i]->input[j], name))
				return true;
	}
	return false;
}

int weft_model_info(const struct weft_model *model, struct weft_model_info *info)
{
	const Onnx__GraphProto *graph = model->proto->graph;
	size_t i, d;

	memset(info, 0, sizeof(*info));
	info->producer = model->proto->producer_name ? model->proto->producer_name : "";
	info->opset = model->opset;
	info->nodes = (uint32_t)graph->n_node;
	for (i = 0; i < graph->n_initializer; i++) {
		uint64_t elements = 1;

		if (!is_parameter(graph->initializer[i]) || is_statistic(graph, graph->initializer[i]->name))
			continue;
		for (d = 0; d < graph->initializer[i]->n_dims; d++) {
			int64_t dim = graph->initializer[i]->dims[d];

			if (dim < 0)
				return weft_fail(EINVAL, "%s: tensor %s: dimension %zu is %lld", model->name,
						 graph->initializer[i]->name, d, (long long)dim);
			if (__builtin_mul_overflow(elements, (uint64_t)dim, &elements))
				return weft_fail(EINVAL, "%s: tensor %s: the number of elements overflows", model->name,
						 graph->initializer[i]->name);
		}
		info->parameters++;
		info->parameter_elements += elements;
	}
	for (i = 0; i < graph->n_input; i++) {
		if (is_initializer(graph, graph->input[i]->name))
			continue;
		if (!info->inputs++)
			describe(graph->input[i], &info->input_rank, info->input_dims);
	}
	info->outputs = (uint32_t)graph->n_output;
	if (graph->n_output)
		describe(graph->output[0], &info->output_rank, info->output_dims);
	return 0;
}
