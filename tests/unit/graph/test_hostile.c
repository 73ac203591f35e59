// SPDX-License-Identifier: MIT
/* Model files that are damaged or mean harm: errors with a sentence, never a crash. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "graph/graph.h"
#include "import/model.h"
#include "weft/error.h"
#include "weft/model.h"

/* A model of one Gemm, y = x w' + b, built field by field so that a test can damage any of them. */
struct small_model {
	Onnx__ModelProto model;
	Onnx__OperatorSetIdProto opset, *opsets[1];
	Onnx__GraphProto graph;
	Onnx__NodeProto node, *nodes[1];
	Onnx__AttributeProto transpose, *attributes[1];
	Onnx__TensorProto w, b, *tensors[2];
	Onnx__ValueInfoProto input, output, *inputs[1], *outputs[1];
	Onnx__TypeProto type;
	Onnx__TypeProto__Tensor tensor;
	Onnx__TensorShapeProto shape;
	Onnx__TensorShapeProto__Dimension dim[2], *dims[2];
	char *in[3], *out[1];
	int64_t w_dims[2], b_dims[1];
	float w_data[12], b_data[3];
};

static void set_tensor(Onnx__TensorProto *tensor, const char *name, int64_t *dims, size_t rank, float *data,
		       size_t elements)
{
	onnx__tensor_proto__init(tensor);
	tensor->name = (char *)name;
	tensor->has_data_type = 1;
	tensor->data_type = ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT;
	tensor->dims = dims;
	tensor->n_dims = rank;
	tensor->has_raw_data = 1;
	tensor->raw_data.data = (uint8_t *)data;
	tensor->raw_data.len = elements * sizeof(*data);
}

static void set_input(struct small_model *m)
{
	unsigned int i;

	onnx__value_info_proto__init(&m->input);
	onnx__type_proto__init(&m->type);
	onnx__type_proto__tensor__init(&m->tensor);
	onnx__tensor_shape_proto__init(&m->shape);
	for (i = 0; i < 2; i++) {
		onnx__tensor_shape_proto__dimension__init(&m->dim[i]);
		m->dim[i].value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
		m->dim[i].dim_value = i ? 4 : 2;
		m->dims[i] = &m->dim[i];
	}
	m->shape.dim = m->dims;
	m->shape.n_dim = 2;
	m->tensor.shape = &m->shape;
	m->tensor.has_elem_type = 1;
	m->tensor.elem_type = ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT;
	m->type.value_case = ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
	m->type.tensor_type = &m->tensor;
	m->input.name = (char *)"x";
	m->input.type = &m->type;
	m->inputs[0] = &m->input;
	m->graph.input = m->inputs;
	m->graph.n_input = 1;
}

static struct small_model *small_model(void)
{
	struct small_model *m = calloc(1, sizeof(*m));

	assert_non_null(m);
	onnx__model_proto__init(&m->model);
	onnx__operator_set_id_proto__init(&m->opset);
	onnx__graph_proto__init(&m->graph);
	onnx__node_proto__init(&m->node);
	onnx__attribute_proto__init(&m->transpose);
	onnx__value_info_proto__init(&m->output);
	m->opset.has_version = 1;
	m->opset.version = 13;
	m->opsets[0] = &m->opset;
	m->model.opset_import = m->opsets;
	m->model.n_opset_import = 1;
	m->model.graph = &m->graph;
	m->w_dims[0] = 3;
	m->w_dims[1] = 4;
	m->b_dims[0] = 3;
	set_tensor(&m->w, "w", m->w_dims, 2, m->w_data, 12);
	set_tensor(&m->b, "b", m->b_dims, 1, m->b_data, 3);
	m->tensors[0] = &m->w;
	m->tensors[1] = &m->b;
	m->graph.initializer = m->tensors;
	m->graph.n_initializer = 2;
	m->transpose.name = (char *)"transB";
	m->transpose.has_i = 1;
	m->transpose.i = 1;
	m->attributes[0] = &m->transpose;
	m->node.attribute = m->attributes;
	m->node.n_attribute = 1;
	m->node.op_type = (char *)"Gemm";
	m->node.name = (char *)"layer";
	m->in[0] = (char *)"x";
	m->in[1] = (char *)"w";
	m->in[2] = (char *)"b";
	m->out[0] = (char *)"y";
	m->node.input = m->in;
	m->node.n_input = 3;
	m->node.output = m->out;
	m->node.n_output = 1;
	m->nodes[0] = &m->node;
	m->graph.node = m->nodes;
	m->graph.n_node = 1;
	m->output.name = (char *)"y";
	m->outputs[0] = &m->output;
	m->graph.output = m->outputs;
	m->graph.n_output = 1;
	set_input(m);
	return m;
}

static int load_bytes(const uint8_t *bytes, size_t size, bool training)
{
	struct weft_graph_options options = {.training = training, .loss = WEFT_LOSS_CROSS_ENTROPY};
	struct weft_model_info info;
	struct weft_graph *graph;
	struct weft_model *model;
	int r = weft_model_load_memory(bytes, size, "test", &model);

	if (r)
		return r;
	r = weft_model_info(model, &info);
	if (!r)
		r = weft_model_graph(model, &options, &graph);
	if (!r)
		weft_graph_free(graph);
	weft_model_free(model);
	return r;
}

static uint8_t *pack(const struct small_model *m, size_t *size)
{
	uint8_t *bytes;

	*size = onnx__model_proto__get_packed_size(&m->model);
	bytes = malloc(*size);
	assert_non_null(bytes);
	onnx__model_proto__pack(&m->model, bytes);
	return bytes;
}

static int load(const struct small_model *m)
{
	size_t size;
	uint8_t *bytes = pack(m, &size);
	int r = load_bytes(bytes, size, true);

	free(bytes);
	return r;
}

static void whole_model(void **state)
{
	struct small_model *m = small_model();

	(void)state;
	if (load(m))
		fail_msg("%s", weft_error());
	free(m);
}

/* Protobuf may take a prefix that ends between fields for whole; lowering must then find what is missing. */
static void truncations(void **state)
{
	struct small_model *m = small_model();
	size_t size, cut;
	uint8_t *bytes = pack(m, &size);

	(void)state;
	for (cut = 0; cut < size; cut++) {
		uint8_t *copy = malloc(cut + 1);
		int r;

		assert_non_null(copy);
		memcpy(copy, bytes, cut);
		r = load_bytes(copy, cut, true);
		/* The opset comes last; without it the model is one of opset 1. */
		if (!r && cut < size - 6)
			fail_msg("the first %zu of %zu bytes make a graph", cut, size);
		free(copy);
	}
	free(bytes);
	free(m);
}

/* Every bit turned over: any outcome but a crash. */
static void bit_flips(void **state)
{
	struct small_model *m = small_model();
	size_t size, bit;
	uint8_t *bytes = pack(m, &size);

	(void)state;
	for (bit = 0; bit < size * 8; bit++) {
		bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
		load_bytes(bytes, size, bit & 1);
		bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	free(bytes);
	free(m);
}

static void short_data(struct small_model *m)
{
	m->w.raw_data.len -= 4;
}

static void huge_dims(struct small_model *m)
{
	m->w_dims[0] = INT64_C(1) << 31;
	m->w_dims[1] = INT64_C(1) << 31;
}

static void negative_dim(struct small_model *m)
{
	m->w_dims[0] = -3;
}

static void external_data(struct small_model *m)
{
	m->w.has_data_location = 1;
	m->w.data_location = ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL;
}

static void strange_type(struct small_model *m)
{
	m->w.data_type = 99;
}

static void unknown_operator(struct small_model *m)
{
	m->node.op_type = (char *)"Gem";
}

static void unknown_domain(struct small_model *m)
{
	m->node.domain = (char *)"org.example";
}

static void missing_input(struct small_model *m)
{
	m->in[0] = (char *)"nowhere";
}

static void no_inputs(struct small_model *m)
{
	m->node.n_input = 0;
}

static void own_output(struct small_model *m)
{
	m->in[0] = (char *)"y";
}

static void inner_dims(struct small_model *m)
{
	m->dim[1].dim_value = 5;
}

static void wrong_bias(struct small_model *m)
{
	m->b_dims[0] = 1;
	m->b.raw_data.len = 4;
	m->w_dims[0] = 1;
	m->w_dims[1] = 12;
}

static void input_is_output(struct small_model *m)
{
	m->out[0] = (char *)"x";
}

static void writes_initializer(struct small_model *m)
{
	m->out[0] = (char *)"w";
}

static void same_initializers(struct small_model *m)
{
	m->b.name = (char *)"w";
}

static void output_from_nowhere(struct small_model *m)
{
	m->output.name = (char *)"z";
}

static void symbolic(struct small_model *m)
{
	m->dim[1].value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM;
	m->dim[1].dim_param = (char *)"features";
}

static void dynamic_batch(struct small_model *m)
{
	m->dim[0].value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM;
	m->dim[0].dim_param = (char *)"batch";
}

static void damaged_fields(void **state)
{
	static const struct {
		void (*damage)(struct small_model *m);
		const char *sentence;
	} cases[] = {
		{short_data, "44 bytes of data for 12 elements"},
		{huge_dims, "elements"},
		{negative_dim, "dimension 0 is -3"},
		{external_data, "in another file"},
		{strange_type, "element type 99"},
		{unknown_operator, "operator Gem of opset 13 is not supported; the nearest that is: Gemm"},
		{unknown_domain, "org.example.Gemm"},
		{missing_input, "nowhere is read before any node makes it"},
		{no_inputs, "input 0 is missing"},
		{own_output, "y is read before any node makes it"},
		{inner_dims, "inner dimensions 5 and 4 differ"},
		{wrong_bias, "inner dimensions 4 and 12 differ"},
		{input_is_output, "x is made a second time"},
		{writes_initializer, "w is made a second time"},
		{same_initializers, "two initializers are called w"},
		{output_from_nowhere, "z is read before any node makes it"},
		{symbolic, "bind it with --dim features=VALUE"},
		{dynamic_batch, "has a dynamic batch"},
	};
	unsigned int i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct small_model *m = small_model();

		cases[i].damage(m);
		assert_true(load(m) < 0);
		if (!strstr(weft_error(), cases[i].sentence))
			fail_msg("case %u: \"%s\" does not say \"%s\"", i, weft_error(), cases[i].sentence);
		free(m);
	}
}

static void bound_dimensions(void **state)
{
	const char *const names[] = {"features"};
	struct weft_graph_options options = {
		.batch = 7, .dim_names = names, .dim_values = (const int64_t[]){4}, .dims = 1};
	struct small_model *m = small_model();
	struct weft_model *model;
	struct weft_graph *graph;
	size_t size;
	uint8_t *bytes;

	(void)state;
	dynamic_batch(m);
	symbolic(m);
	bytes = pack(m, &size);
	assert_int_equal(weft_model_load_memory(bytes, size, "test", &model), 0);
	assert_int_equal(weft_model_graph(model, &options, &graph), 0);
	assert_int_equal(graph->batch, 7);
	assert_int_equal(graph->value[graph->model_output[0]].layout.dims[0], 7);
	weft_graph_free(graph);
	options.dim_values = (const int64_t[]){0};
	assert_int_equal(weft_model_graph(model, &options, &graph), -EINVAL);
	weft_model_free(model);
	free(bytes);
	free(m);
}

static int read_twos(void *user, const char *name, void *data, size_t bytes)
{
	float *numbers = data;
	size_t i;

	if (user)
		return *(int *)user;
	if (strcmp(name, "w"))
		return -ENOENT;
	for (i = 0; i < bytes / sizeof(*numbers); i++)
		numbers[i] = 2;
	return 0;
}

/* Saved weights are the new ones, all else is the same, and a failed save leaves the file as it was. */
static void saving(void **state)
{
	char path[] = "/tmp/weft-test-save-XXXXXX", file[64];
	struct small_model *m = small_model();
	struct weft_host_tensor *tensor;
	struct weft_model *model, *again;
	int failure = -EIO;
	struct stat before, after;
	size_t size, i;
	uint8_t *bytes = pack(m, &size);

	(void)state;
	assert_non_null(mkdtemp(path));
	snprintf(file, sizeof(file), "%s/m.onnx", path);
	assert_int_equal(weft_model_load_memory(bytes, size, "test", &model), 0);
	assert_int_equal(weft_model_save_onnx(model, file, read_twos, NULL), 0);
	assert_int_equal(weft_model_load(file, &again), 0);
	assert_int_equal(weft_onnx_tensor(again->proto->graph->initializer[0], &tensor), 0);
	for (i = 0; i < 12; i++)
		assert_true(((float *)tensor->data)[i] == 2);
	weft_host_tensor_free(tensor);
	/* The model itself keeps its own weights. */
	assert_int_equal(weft_onnx_tensor(model->proto->graph->initializer[0], &tensor), 0);
	assert_true(((float *)tensor->data)[0] == 0);
	weft_host_tensor_free(tensor);
	assert_int_equal(onnx__model_proto__get_packed_size(again->proto), size);
	weft_model_free(again);
	assert_int_equal(stat(file, &before), 0);
	assert_int_equal(weft_model_save_onnx(model, file, read_twos, &failure), -EIO);
	assert_int_equal(stat(file, &after), 0);
	assert_int_equal(before.st_ino, after.st_ino);
	assert_true(weft_model_save_onnx(model, "/nowhere/m.onnx", read_twos, NULL) < 0);
	unlink(file);
	snprintf(file, sizeof(file), "%s/m.safetensors", path);
	assert_int_equal(weft_model_save_safetensors(model, file, read_twos, NULL), 0);
	assert_int_equal(stat(file, &after), 0);
	assert_int_equal(after.st_size % 4, 0);
	unlink(file);
	assert_int_equal(weft_model_save_safetensors(model, file, read_twos, &failure), -EIO);
	assert_int_equal(access(file, F_OK), -1);
	/* No temporary file is left behind. */
	assert_int_equal(rmdir(path), 0);
	weft_model_free(model);
	free(bytes);
	free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole_model),	  cmocka_unit_test(truncations),      cmocka_unit_test(bit_flips),
		cmocka_unit_test(damaged_fields), cmocka_unit_test(bound_dimensions), cmocka_unit_test(saving),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
