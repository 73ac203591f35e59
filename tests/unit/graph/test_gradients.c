// SPDX-License-Identifier: MIT
/*
 * Gradients of operators against central differences: a model of one node is
 * made in memory, its output compared with a target by the mean squared error,
 * and every element of every float input and weight is moved up and down.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "import/model.h"
#include "run_graph.h"
#include "weft/error.h"

#define MOST_INPUTS 8
#define STEP 1e-2f

struct tensor {
	enum { NONE, MOVED, WEIGHT, INTEGERS, FLAGS, SCALAR, ABSENT } kind; /* MOVED: a float input of the graph */
	unsigned int rank;
	int64_t dims[5];
	int64_t integer[12]; /* INTEGERS, FLAGS */
	float number;	     /* SCALAR */
};

struct attribute {
	const char *name;
	unsigned int count; /* of ints; 0: @ints[0] alone, or @number where that is not 0 */
	int64_t ints[8];
	float number;
	const char *text;
};

struct gradient_case {
	const char *op;
	int64_t opset;
	struct tensor in[MOST_INPUTS];
	struct attribute attribute[5];
	float low, high;      /* of the numbers; -2 and 2 where both are 0 */
	unsigned int outputs; /* 0: one */
};

/* clang-format off */
#define F(...) {MOVED, sizeof((int64_t[]){__VA_ARGS__}) / 8, {__VA_ARGS__}, {0}, 0}
#define W(...) {WEIGHT, sizeof((int64_t[]){__VA_ARGS__}) / 8, {__VA_ARGS__}, {0}, 0}
#define I(...) {INTEGERS, 1, {sizeof((int64_t[]){__VA_ARGS__}) / 8}, {__VA_ARGS__}, 0}
#define S(x) {SCALAR, 0, {0}, {0}, x}
#define A {ABSENT, 0, {0}, {0}, 0}
#define INT(n, v) {n, 0, {v}, 0, NULL}
#define INTS(n, ...) {n, sizeof((int64_t[]){__VA_ARGS__}) / 8, {__VA_ARGS__}, 0, NULL}
#define NUM(n, v) {n, 0, {0}, v, NULL}
#define TEXT(n, v) {n, 0, {0}, 0, v}

static const struct gradient_case cases[] = {
	{"Add", 13, {F(3, 4), F(4)}, {{0}}, 0, 0, 0},
	{"Sub", 13, {F(3, 4), F(3, 1)}, {{0}}, 0, 0, 0},
	{"Mul", 13, {F(3, 4), F(3, 1)}, {{0}}, 0, 0, 0},
	{"Div", 13, {F(3, 4), F(3, 1)}, {{0}}, .5f, 3, 0},
	{"Pow", 13, {F(3, 4), F(4)}, {{0}}, .5f, 2, 0},
	{"Max", 13, {F(3, 4), F(3, 4)}, {{0}}, 0, 0, 0},
	{"Min", 13, {F(3, 4), F(3, 4)}, {{0}}, 0, 0, 0},
	{"PRelu", 13, {F(3, 4), F(4)}, {{0}}, 0, 0, 0},
	{"Sum", 13, {F(3, 4), F(4), F(3, 1)}, {{0}}, 0, 0, 0},
	{"Mean", 13, {F(3, 4), F(4), F(3, 1)}, {{0}}, 0, 0, 0},
	{"Where", 13, {{FLAGS, 2, {3, 4}, {1, 0, 0, 1, 1, 0, 1, 0, 0, 0, 1, 1}, 0}, F(3, 4), F(4)}, {{0}}, 0, 0, 0},
	{"Abs", 13, {F(3, 4)}, {{0}}, 0, 0, 0},
	{"Neg", 13, {F(3, 4)}, {{0}}, 0, 0, 0},
	{"Exp", 13, {F(3, 4)}, {{0}}, 0, 0, 0},
	{"Log", 13, {F(3, 4)}, {{0}}, .5f, 3, 0},
	{"Sqrt", 13, {F(3, 4)}, {{0}}, .5f, 3, 0},
	{"Reciprocal", 13, {F(3, 4)}, {{0}}, .5f, 3, 0},
	{"Relu", 13, {F(3, 4)}, {{0}}, 0, 0, 0},
	{"LeakyRelu", 13, {F(3, 4)}, {{0}}, 0, 0, 0},
	{"Elu", 13, {F(3, 4)}, {{0}}, 0, 0, 0},
	{"Selu", 13, {F(3, 4)}, {{0}}, 0, 0, 0},
	{"Celu", 13, {F(3, 4)}, {{0}}, 0, 0, 0},
	{"Sigmoid", 13, {F(3, 4)}, {{0}}, 0, 0, 0},
	{"Tanh", 13, {F(3, 4)}, {{0}}, 0, 0, 0},
	{"Softplus", 13, {F(3, 4)}, {{0}}, 0, 0, 0},
	{"Softsign", 13, {F(3, 4)}, {{0}}, 0, 0, 0},
	{"HardSigmoid", 13, {F(3, 4)}, {{0}}, 0, 0, 0},
	{"HardSwish", 14, {F(3, 4)}, {{0}}, 0, 0, 0},
	{"Gelu", 13, {F(3, 4)}, {{0}}, 0, 0, 0},
	{"Gelu", 13, {F(3, 4)}, {TEXT("approximate", "tanh")}, 0, 0, 0},
	{"Mish", 18, {F(3, 4)}, {{0}}, 0, 0, 0},
	{"ThresholdedRelu", 13, {F(3, 4)}, {{0}}, 0, 0, 0},
	{"Shrink", 13, {F(3, 4)}, {NUM("bias", .3f)}, 0, 0, 0},
	{"Clip", 13, {F(3, 4), S(-1.05f), S(.93f)}, {{0}}, 0, 0, 0},
	{"Erf", 13, {F(3, 4)}, {{0}}, 0, 0, 0},
	{"Sin", 13, {F(3, 4)}, {{0}}, 0, 0, 0},
	{"Cos", 13, {F(3, 4)}, {{0}}, 0, 0, 0},
	{"Tan", 13, {F(3, 4)}, {{0}}, -1, 1, 0},
	{"Asin", 13, {F(3, 4)}, {{0}}, -.8f, .8f, 0},
	{"Acos", 13, {F(3, 4)}, {{0}}, -.8f, .8f, 0},
	{"Atan", 13, {F(3, 4)}, {{0}}, 0, 0, 0},
	{"Sinh", 13, {F(3, 4)}, {{0}}, 0, 0, 0},
	{"Cosh", 13, {F(3, 4)}, {{0}}, 0, 0, 0},
	{"Asinh", 13, {F(3, 4)}, {{0}}, 0, 0, 0},
	{"Acosh", 13, {F(3, 4)}, {{0}}, 1.5f, 3, 0},
	{"Atanh", 13, {F(3, 4)}, {{0}}, -.8f, .8f, 0},
	{"Identity", 13, {F(3, 4)}, {{0}}, 0, 0, 0},
	{"ReduceSum", 13, {F(2, 3, 2), I(1)}, {{0}}, 0, 0, 0},
	{"ReduceMean", 13, {F(2, 3, 2)}, {INTS("axes", 0, 2), INT("keepdims", 0)}, 0, 0, 0},
	{"ReduceMax", 13, {F(2, 3, 2)}, {INTS("axes", 1)}, 0, 0, 0},
	{"ReduceMin", 13, {F(2, 3, 2)}, {INTS("axes", 1)}, 0, 0, 0},
	{"ReduceProd", 13, {F(2, 3, 2)}, {INTS("axes", 1)}, .5f, 2, 0},
	{"ReduceL1", 13, {F(2, 3, 2)}, {INTS("axes", 2)}, 0, 0, 0},
	{"ReduceL2", 13, {F(2, 3, 2)}, {INTS("axes", 1)}, 0, 0, 0},
	{"ReduceSumSquare", 13, {F(2, 3, 2)}, {INTS("axes", 1)}, 0, 0, 0},
	{"ReduceLogSum", 13, {F(2, 3, 2)}, {INTS("axes", 1)}, .5f, 2, 0},
	{"ReduceLogSumExp", 13, {F(2, 3, 2)}, {INTS("axes", 1)}, 0, 0, 0},
	{"Reshape", 13, {F(3, 4), I(2, -1)}, {{0}}, 0, 0, 0},
	{"Flatten", 13, {F(2, 3, 2)}, {{0}}, 0, 0, 0},
	{"Transpose", 13, {F(2, 3, 2)}, {INTS("perm", 2, 0, 1)}, 0, 0, 0},
	{"Squeeze", 13, {F(3, 1, 4), I(1)}, {{0}}, 0, 0, 0},
	{"Unsqueeze", 13, {F(3, 4), I(1)}, {{0}}, 0, 0, 0},
	{"Slice", 13, {F(3, 4), I(0, 1), I(3, 4), I(0, 1), I(2, 2)}, {{0}}, 0, 0, 0},
	{"Slice", 13, {F(3, 4), I(-1), I(-5), I(1), I(-1)}, {{0}}, 0, 0, 0},
	{"Split", 13, {F(4, 3), I(1, 3)}, {{0}}, 0, 0, 2},
	{"Concat", 13, {F(3, 2), F(3, 2), F(3, 1)}, {INT("axis", 1)}, 0, 0, 0},
	{"Expand", 13, {F(3, 1), I(2, 3, 4)}, {{0}}, 0, 0, 0},
	{"Tile", 13, {F(2, 3), I(2, 3)}, {{0}}, 0, 0, 0},
	{"Gather", 13, {F(4, 3), I(0, 2, 2, -1)}, {{0}}, 0, 0, 0},
	{"Gather", 13, {F(3, 4), I(0, 2, 2)}, {INT("axis", 1)}, 0, 0, 0},
	{"GatherElements", 13, {F(2, 3), {INTEGERS, 2, {2, 2}, {0, -1, 1, 1}, 0}}, {INT("axis", 1)}, 0, 0, 0},
	{"Pad", 13, {F(2, 3), I(1, 0, 0, 2)}, {{0}}, 0, 0, 0},
	{"Pad", 13, {F(3, 4), I(0, -1, 1, 0)}, {{0}}, 0, 0, 0},
	{"GatherND", 13, {F(3, 4), {INTEGERS, 2, {2, 2}, {0, -1, 2, 1}, 0}}, {{0}}, 0, 0, 0},
	{"GatherND", 13, {F(2, 3, 2), {INTEGERS, 2, {2, 1}, {2, 0}, 0}}, {INT("batch_dims", 1)}, 0, 0, 0},
	{"ScatterElements", 16, {F(3, 2), {INTEGERS, 2, {2, 2}, {0, -1, 2, 1}, 0}, F(2, 2)}, {{0}}, 0, 0, 0},
	{"ScatterElements", 16, {F(3, 2), {INTEGERS, 2, {2, 2}, {0, 1, 0, 1}, 0}, F(2, 2)}, {TEXT("reduction", "add")}, 0, 0, 0},
	{"ScatterND", 16, {F(3, 2), {INTEGERS, 2, {2, 1}, {2, 0}, 0}, F(2, 2)}, {{0}}, 0, 0, 0},
	{"ScatterND", 16, {F(3, 2), {INTEGERS, 2, {2, 1}, {2, 2}, 0}, F(2, 2)}, {TEXT("reduction", "add")}, 0, 0, 0},
	{"ReverseSequence", 13, {F(3, 2), I(2, 3)}, {{0}}, 0, 0, 0},
	{"TopK", 13, {F(2, 5), I(3)}, {{0}}, 0, 0, 2},
	{"Pad", 13, {F(2, 3), I(1, 2, 0, 1)}, {TEXT("mode", "edge")}, 0, 0, 0},
	{"Pad", 13, {F(2, 3), I(1, 2, 0, 1)}, {TEXT("mode", "reflect")}, 0, 0, 0},
	{"Resize", 13, {F(1, 1, 2, 3), A, A, I(1, 1, 4, 5)}, {{0}}, 0, 0, 0},
	{"Resize", 13, {F(1, 2, 2, 3), A, A, I(1, 2, 4, 5)}, {TEXT("mode", "linear")}, 0, 0, 0},
	{"Resize", 13, {F(1, 1, 3, 4), A, A, I(1, 1, 2, 5)}, {TEXT("mode", "cubic"), TEXT("coordinate_transformation_mode", "align_corners")}, 0, 0, 0},
	{"MaxUnpool", 11, {F(1, 1, 2, 2), {INTEGERS, 4, {1, 1, 2, 2}, {0, 3, 8, 14}, 0}}, {INTS("kernel_shape", 2, 2), INTS("strides", 2, 2)}, 0, 0, 0},
	{"Trilu", 14, {F(3, 4), {INTEGERS, 0, {0}, {1}, 0}}, {{0}}, 0, 0, 0},
	{"CumSum", 14, {F(3, 4), {INTEGERS, 0, {0}, {1}, 0}}, {{0}}, 0, 0, 0},
	{"CumSum", 14, {F(3, 2), {INTEGERS, 0, {0}, {0}, 0}}, {INT("exclusive", 1), INT("reverse", 1)}, 0, 0, 0},
	{"DepthToSpace", 13, {F(1, 8, 2, 1)}, {INT("blocksize", 2)}, 0, 0, 0},
	{"SpaceToDepth", 13, {F(1, 2, 2, 4)}, {INT("blocksize", 2)}, 0, 0, 0},
	{"Softmax", 13, {F(3, 4)}, {{0}}, 0, 0, 0},
	{"Softmax", 13, {F(3, 4)}, {INT("axis", 0)}, 0, 0, 0},
	{"LogSoftmax", 13, {F(2, 3, 2)}, {INT("axis", 1)}, 0, 0, 0},
	{"LayerNormalization", 17, {F(3, 4), F(4), F(4)}, {{0}}, 0, 0, 0},
	{"LayerNormalization", 17, {F(2, 3, 2), F(3, 2)}, {INT("axis", 1)}, 0, 0, 0},
	{"InstanceNormalization", 13, {F(2, 2, 4), F(2), F(2)}, {{0}}, 0, 0, 0},
	{"GroupNormalization", 18, {F(2, 4, 3), F(2), F(2)}, {INT("num_groups", 2)}, 0, 0, 0},
	{"MeanVarianceNormalization", 13, {F(2, 2, 3)}, {INTS("axes", 0, 2)}, 0, 0, 0},
	{"LRN", 13, {F(2, 4, 2, 1)}, {INT("size", 3), NUM("alpha", .3f)}, 0, 0, 0},
	{"MatMul", 13, {F(2, 3), F(3, 4)}, {{0}}, 0, 0, 0},
	{"MatMul", 13, {F(2, 2, 3), F(3, 2)}, {{0}}, 0, 0, 0},
	{"Einsum", 13, {F(2, 3), F(3, 4)}, {TEXT("equation", "ij,jk->ki")}, 0, 0, 0},
	{"Einsum", 13, {F(2, 3, 2), F(2, 2, 3)}, {TEXT("equation", "...ij,...jk")}, 0, 0, 0},
	{"Einsum", 13, {F(3, 3), F(3)}, {TEXT("equation", "ii,j->i")}, 0, 0, 0},
	{"Einsum", 13, {F(2, 3), F(3), F(3, 2)}, {TEXT("equation", "ab,b,bc->ac")}, 0, 0, 0},
	{"Compress", 13, {F(3, 4), {FLAGS, 1, {3}, {1, 0, 1}, 0}}, {INT("axis", 0)}, 0, 0, 0},
	{"Gemm", 13, {F(3, 2), F(4, 3), F(4)}, {INT("transA", 1), INT("transB", 1), NUM("alpha", .5f), NUM("beta", 2)}, 0, 0, 0},
	{"Conv", 13, {F(1, 2, 4, 4), W(3, 2, 3, 3), W(3)}, {INTS("pads", 1, 1, 1, 1), INTS("strides", 2, 2)}, 0, 0, 0},
	{"Conv", 13, {F(1, 2, 6), W(2, 1, 3)}, {INT("group", 2)}, 0, 0, 0},
	{"Conv", 13, {F(1, 2, 4, 3, 3), W(2, 2, 2, 2, 2), W(2)}, {INTS("pads", 1, 0, 0, 0, 1, 0), INTS("strides", 2, 1, 1)}, 0, 0, 0},
	{"MaxPool", 13, {F(1, 1, 4, 4, 2)}, {INTS("kernel_shape", 2, 2, 1), INTS("strides", 2, 2, 1)}, 0, 0, 0},
	{"AveragePool", 13, {F(1, 1, 3, 4, 2)}, {INTS("kernel_shape", 2, 3, 2), INTS("pads", 1, 1, 0, 0, 1, 1)}, 0, 0, 0},
	{"ConvTranspose", 13, {F(1, 2, 3, 3), W(2, 2, 3, 3), W(2)}, {INTS("strides", 2, 2)}, 0, 0, 0},
	{"MaxPool", 13, {F(1, 2, 4, 4)}, {INTS("kernel_shape", 2, 2), INTS("strides", 2, 2)}, 0, 0, 0},
	{"AveragePool", 13, {F(1, 2, 4, 4)}, {INTS("kernel_shape", 3, 3), INTS("pads", 1, 1, 1, 1)}, 0, 0, 0},
	{"GlobalAveragePool", 13, {F(2, 2, 2, 3)}, {{0}}, 0, 0, 0},
	{"GlobalMaxPool", 13, {F(2, 2, 2, 3)}, {{0}}, 0, 0, 0},
	{"Dropout", 13, {F(3, 4), S(.5f), {FLAGS, 0, {0}, {1}, 0}}, {{0}}, 0, 0, 0},
	{"NegativeLogLikelihoodLoss", 13, {F(3, 4), I(0, 2, 1)}, {{0}}, 0, 0, 0},
	{"NegativeLogLikelihoodLoss", 13, {F(3, 4), I(0, 2, 1)}, {TEXT("reduction", "none"), INT("ignore_index", 2)}, 0, 0, 0},
	{"SoftmaxCrossEntropyLoss", 13, {F(3, 4), I(0, 2, 1)}, {INT("ignore_index", 2)}, 0, 0, 2},
	{"LSTM", 14, {F(3, 2, 2), W(1, 8, 2), W(1, 8, 2), W(1, 16)}, {INT("hidden_size", 2)}, -1, 1, 0},
	{"LSTM", 14, {F(2, 3, 2), W(1, 8, 2), W(1, 8, 2), W(1, 16), I(3, 1)}, {INT("layout", 1)}, -1, 1, 0},
	{"LSTM", 14, {F(2, 2, 2), W(1, 8, 2), W(1, 8, 2), A, A, A, A, W(1, 6)}, {{0}}, -1, 1, 0},
	{"RNN", 14, {F(3, 2, 2), W(1, 2, 2), W(1, 2, 2), W(1, 4), I(2, 3)}, {TEXT("direction", "reverse")}, -1, 1, 0},
	{"GRU", 14, {F(3, 2, 2), W(1, 6, 2), W(1, 6, 2), W(1, 12)}, {INT("hidden_size", 2)}, -1, 1, 0},
	{"GRU", 14, {F(3, 2, 2), W(1, 6, 2), W(1, 6, 2)}, {INT("hidden_size", 2), INT("linear_before_reset", 1)}, -1, 1, 0},
};
/* clang-format on */

/* A model of one node; everything in it is part of this structure. */
struct node_model {
	Onnx__ModelProto model;
	Onnx__OperatorSetIdProto opset, *opsets[1];
	Onnx__GraphProto graph;
	Onnx__NodeProto node, *nodes[1];
	Onnx__AttributeProto attribute[5], *attributes[5];
	Onnx__TensorProto tensor[MOST_INPUTS], *tensors[MOST_INPUTS];
	Onnx__ValueInfoProto info[MOST_INPUTS], *inputs[MOST_INPUTS], output, *outputs[1];
	Onnx__TypeProto type[MOST_INPUTS];
	Onnx__TypeProto__Tensor shaped[MOST_INPUTS];
	Onnx__TensorShapeProto shape[MOST_INPUTS];
	Onnx__TensorShapeProto__Dimension dim[MOST_INPUTS][5], *dims[MOST_INPUTS][5];
	char *in[MOST_INPUTS], *out[2];
	int32_t flag[MOST_INPUTS][12];
	float zeros[256];
};

static void add_graph_input(struct node_model *m, unsigned int n, const struct tensor *tensor)
{
	unsigned int i;

	onnx__value_info_proto__init(&m->info[n]);
	onnx__type_proto__init(&m->type[n]);
	onnx__type_proto__tensor__init(&m->shaped[n]);
	onnx__tensor_shape_proto__init(&m->shape[n]);
	for (i = 0; i < tensor->rank; i++) {
		onnx__tensor_shape_proto__dimension__init(&m->dim[n][i]);
		m->dim[n][i].value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
		m->dim[n][i].dim_value = tensor->dims[i];
		m->dims[n][i] = &m->dim[n][i];
	}
	m->shape[n].dim = m->dims[n];
	m->shape[n].n_dim = tensor->rank;
	m->shaped[n].shape = &m->shape[n];
	m->shaped[n].has_elem_type = 1;
	m->shaped[n].elem_type = ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT;
	m->type[n].value_case = ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
	m->type[n].tensor_type = &m->shaped[n];
	m->info[n].name = m->in[n];
	m->info[n].type = &m->type[n];
	m->inputs[m->graph.n_input++] = &m->info[n];
}

static void add_initializer(struct node_model *m, unsigned int n, const struct tensor *tensor)
{
	Onnx__TensorProto *proto = &m->tensor[n];
	size_t elements = 1, i;

	onnx__tensor_proto__init(proto);
	proto->name = m->in[n];
	proto->dims = (int64_t *)tensor->dims;
	proto->n_dims = tensor->rank;
	for (i = 0; i < tensor->rank; i++)
		elements *= (size_t)tensor->dims[i];
	proto->has_data_type = 1;
	proto->data_type = ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT;
	proto->float_data = m->zeros;
	proto->n_float_data = elements;
	if (tensor->kind == SCALAR) {
		proto->float_data = (float *)&tensor->number;
	} else if (tensor->kind == INTEGERS) {
		proto->data_type = ONNX__TENSOR_PROTO__DATA_TYPE__INT64;
		proto->n_float_data = 0;
		proto->int64_data = (int64_t *)tensor->integer;
		proto->n_int64_data = elements;
	} else if (tensor->kind == FLAGS) {
		for (i = 0; i < elements; i++)
			m->flag[n][i] = (int32_t)tensor->integer[i];
		proto->data_type = ONNX__TENSOR_PROTO__DATA_TYPE__BOOL;
		proto->n_float_data = 0;
		proto->int32_data = m->flag[n];
		proto->n_int32_data = elements;
	}
	m->tensors[m->graph.n_initializer++] = proto;
}

static void add_attributes(struct node_model *m, const struct gradient_case *c)
{
	unsigned int i;

	for (i = 0; i < 5 && c->attribute[i].name; i++) {
		const struct attribute *from = &c->attribute[i];
		Onnx__AttributeProto *to = &m->attribute[i];

		onnx__attribute_proto__init(to);
		to->name = (char *)from->name;
		to->n_ints = from->count;
		to->ints = (int64_t *)from->ints;
		to->i = from->ints[0];
		to->has_i = 1;
		to->f = from->number;
		to->has_f = 1;
		if (from->text) {
			to->s.data = (uint8_t *)from->text;
			to->s.len = strlen(from->text);
			to->has_s = 1;
		}
		m->attributes[m->node.n_attribute++] = to;
	}
	m->node.attribute = m->attributes;
}

static struct weft_model *node_model(const struct gradient_case *c)
{
	static const char *const names[] = {"x0", "x1", "x2", "x3", "x4", "x5", "x6", "x7"};
	struct node_model *m = calloc(1, sizeof(*m));
	struct weft_model *model;
	unsigned int i;
	uint8_t *bytes;
	size_t size;

	assert_non_null(m);
	onnx__model_proto__init(&m->model);
	onnx__operator_set_id_proto__init(&m->opset);
	onnx__graph_proto__init(&m->graph);
	onnx__node_proto__init(&m->node);
	onnx__value_info_proto__init(&m->output);
	m->opset.has_version = 1;
	m->opset.version = c->opset;
	m->opsets[0] = &m->opset;
	m->model.opset_import = m->opsets;
	m->model.n_opset_import = 1;
	m->model.graph = &m->graph;
	for (i = 0; i < MOST_INPUTS && c->in[i].kind != NONE; i++) {
		m->in[i] = (char *)(c->in[i].kind == ABSENT ? "" : names[i]);
		if (c->in[i].kind == ABSENT)
			continue;
		if (c->in[i].kind == MOVED)
			add_graph_input(m, i, &c->in[i]);
		else
			add_initializer(m, i, &c->in[i]);
	}
	add_attributes(m, c);
	m->graph.input = m->inputs;
	m->graph.initializer = m->tensors;
	m->node.op_type = (char *)c->op;
	m->node.input = m->in;
	m->node.n_input = i;
	m->out[0] = (char *)"y";
	m->out[1] = (char *)"z";
	m->node.output = m->out;
	m->node.n_output = c->outputs ? c->outputs : 1;
	m->nodes[0] = &m->node;
	m->graph.node = m->nodes;
	m->graph.n_node = 1;
	m->output.name = m->out[0];
	m->outputs[0] = &m->output;
	m->graph.output = m->outputs;
	m->graph.n_output = 1;
	size = onnx__model_proto__get_packed_size(&m->model);
	bytes = malloc(size);
	assert_non_null(bytes);
	onnx__model_proto__pack(&m->model, bytes);
	if (weft_model_load_memory(bytes, size, c->op, &model))
		fail_msg("%s", weft_error());
	free(bytes);
	free(m);
	return model;
}

static bool shares_factor(size_t a, size_t b)
{
	while (b) {
		size_t rest = a % b;

		a = b;
		b = rest;
	}
	return a > 1;
}

/* Numbers in [low, high) in a mixed order, none near another, 0 or those of other tensors. */
static void fill(float *memory, size_t elements, unsigned int tensor, float low, float high)
{
	size_t i, stride = 7 + 4 * tensor;

	while (shares_factor(elements, stride))
		stride++;
	for (i = 0; i < elements; i++) {
		float phase = fmodf(0.29f + 0.37f * (float)tensor, 1.0f);

		memory[i] = low + ((float)(i * stride % elements) + phase) * (high - low) / (float)elements;
	}
}

static bool is_moved(const struct weft_graph *graph, uint32_t id)
{
	const struct weft_value *value = &graph->value[id];

	return value->base == id && value->layout.type == WEFT_TYPE_F32 && id != graph->label &&
	       (value->kind == WEFT_VALUE_INPUT || value->kind == WEFT_VALUE_WEIGHT);
}

static double loss_at(struct run_graph *run, const struct weft_graph *graph, float *element, float number)
{
	*element = number;
	run_graph_step(run);
	return (double)*(float *)run_graph_memory(run, graph->loss);
}

/* One tensor's gradient: the largest difference must be small beside its largest element. */
static void check_tensor(struct run_graph *run, const struct weft_graph *graph, uint32_t id, const char *op)
{
	const struct weft_value *value = &graph->value[id];
	size_t elements = value->bytes / sizeof(float), i;
	float *memory = run_graph_memory(run, id), *gradient;
	double largest = 0;

	if (value->gradient == WEFT_NO_ID)
		fail_msg("%s: %s has no gradient", op, value->name);
	gradient = malloc(value->bytes);
	assert_non_null(gradient);
	run_graph_step(run);
	memcpy(gradient, run_graph_memory(run, value->gradient), value->bytes);
	for (i = 0; i < elements; i++)
		largest = fmax(largest, fabs((double)gradient[i]));
	if (!(largest > 1e-4))
		fail_msg("%s: the gradient of %s is nothing but zeros", op, value->name);
	for (i = 0; i < elements; i++) {
		float was = memory[i];
		double up = loss_at(run, graph, &memory[i], was + STEP),
		       down = loss_at(run, graph, &memory[i], was - STEP);
		double slope = (up - down) / (2 * (double)STEP);

		memory[i] = was;
		if (!(fabs(slope - (double)gradient[i]) <= 5e-3 * largest + 2e-4)) {
			double got = (double)gradient[i];

			free(gradient);
			fail_msg("%s: gradient of %s, element %zu: %g, but the slope is %g", op, value->name, i, got,
				 slope);
		}
	}
	free(gradient);
}

static void gradient(void **state)
{
	const struct gradient_case *c = *state;
	struct weft_graph_options options = {.training = true, .loss = WEFT_LOSS_MSE, .gradients_as_outputs = true};
	float low = c->low < c->high ? c->low : -2, high = c->low < c->high ? c->high : 2;
	struct weft_model *model = node_model(c);
	struct weft_graph *graph;
	struct run_graph *run;
	unsigned int tensors = 0;
	uint32_t i;

	if (weft_model_graph(model, &options, &graph))
		fail_msg("%s", weft_error());
	run = run_graph_new(graph);
	for (i = 0; i < graph->values; i++)
		if (is_moved(graph, i))
			fill(run_graph_memory(run, i), graph->value[i].bytes / sizeof(float), tensors++, low, high);
	if (graph->label != WEFT_NO_ID)
		fill(run_graph_memory(run, graph->label), graph->value[graph->label].bytes / sizeof(float), 5, -1, 1);
	if (graph->counter != WEFT_NO_ID)
		memset(run_graph_memory(run, graph->counter), 0, graph->value[graph->counter].bytes);
	for (i = 0; i < graph->values; i++)
		if (is_moved(graph, i))
			check_tensor(run, graph, i, c->op);
	assert_true(tensors > 0);
	run_graph_free(run);
	weft_graph_free(graph);
	weft_model_free(model);
}

int main(void)
{
	static struct CMUnitTest tests[sizeof(cases) / sizeof(cases[0])];
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		tests[i] = (struct CMUnitTest){
			.name = cases[i].op, .test_func = gradient, .initial_state = (void *)&cases[i]};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
