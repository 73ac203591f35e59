// SPDX-License-Identifier: MIT
/*
 * Each pass over graphs: what it finds, what it must leave alone, and that the
 * network means the same with it and without it, in inference and in training.
 */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "graph/graph.h"
#include "onnx_build.h"
#include "plan/join.h"
#include "plan/split.h"
#include "plan/tile.h"
#include "weft/error.h"
#include "weft/session.h"

#define BATCH 3
#define WIDTH 8

typedef struct onnx_build B;
#define IN(...) ((const char *[]){__VA_ARGS__, NULL})

static float *last_data(B *b)
{
	const Onnx__GraphProto *graph = b->model->graph;

	return (float *)(void *)graph->initializer[graph->n_initializer - 1]->raw_data.data;
}

static void number(B *b, const char *name, double value)
{
	onnx_build_weight(b, name, 0, (int64_t[]){0}, 0);
	last_data(b)[0] = (float)value;
}

static void positive(B *b, const char *name, int64_t elements)
{
	onnx_build_weight(b, name, 1, &elements, 0.4f);
	for (int64_t i = 0; i < elements; i++)
		last_data(b)[i] += 1;
}

static void node(B *b, const char *op, const char *out, const char *const *in)
{
	onnx_build_node(b, op, out, in);
}

static void vector_input(B *b)
{
	onnx_build_input(b, "x", 2, (int64_t[]){0, WIDTH});
	onnx_build_output(b, "y", 2, (int64_t[]){0, WIDTH});
	onnx_build_weight(b, "w", 2, (int64_t[]){WIDTH, WIDTH}, 0.8f);
	onnx_build_weight(b, "v", 2, (int64_t[]){WIDTH, WIDTH}, 0.8f);
	onnx_build_weight(b, "bias", 1, (int64_t[]){WIDTH}, 0.8f);
}

static void gelu_by_erf(B *b)
{
	vector_input(b);
	number(b, "root", M_SQRT2);
	number(b, "one", 1);
	number(b, "half", 0.5);
	node(b, "MatMul", "h", IN("x", "w"));
	node(b, "Div", "a", IN("h", "root"));
	node(b, "Erf", "e", IN("a"));
	node(b, "Add", "p", IN("e", "one"));
	node(b, "Mul", "m", IN("h", "p"));
	node(b, "Mul", "g", IN("m", "half"));
	node(b, "MatMul", "y", IN("g", "v"));
}

/* The last initializer as bytes. */
static void as_bytes(B *b, size_t elements)
{
	const Onnx__GraphProto *graph = b->model->graph;
	Onnx__TensorProto *tensor = graph->initializer[graph->n_initializer - 1];

	tensor->data_type = ONNX__TENSOR_PROTO__DATA_TYPE__INT8;
	for (size_t i = 0; i < elements; i++)
		tensor->raw_data.data[i] = (uint8_t)(i * 37 % 255);
	tensor->raw_data.len = elements;
}

/* An integer product between others. */
static void integers(B *b)
{
	vector_input(b);
	number(b, "sx", 0.03);
	number(b, "sw", 0.01);
	number(b, "sy", 0.1);
	number(b, "zero", 0);
	as_bytes(b, 1);
	onnx_build_weight(b, "w8", 2, (int64_t[]){WIDTH, 30}, 1);
	as_bytes(b, WIDTH * 30);
	onnx_build_weight(b, "v8", 2, (int64_t[]){30, WIDTH}, 1);
	node(b, "QuantizeLinear", "qx", IN("x", "sx", "zero"));
	node(b, "DequantizeLinear", "dx", IN("qx", "sx", "zero"));
	node(b, "DequantizeLinear", "dw", IN("w8", "sw", "zero"));
	node(b, "MatMul", "m", IN("dx", "dw"));
	node(b, "QuantizeLinear", "qm", IN("m", "sy", "zero"));
	node(b, "DequantizeLinear", "dm", IN("qm", "sy", "zero"));
	node(b, "MatMul", "y", IN("dm", "v8"));
}

/* Half first, and the root by a product, as some exporters have it. */
static void gelu_otherwise(B *b)
{
	vector_input(b);
	number(b, "root", M_SQRT1_2);
	number(b, "one", 1);
	number(b, "half", 0.5);
	node(b, "MatMul", "h", IN("x", "w"));
	node(b, "Mul", "a", IN("root", "h"));
	node(b, "Erf", "e", IN("a"));
	node(b, "Add", "p", IN("one", "e"));
	node(b, "Mul", "m", IN("half", "h"));
	node(b, "Mul", "g", IN("p", "m"));
	node(b, "MatMul", "y", IN("g", "v"));
}

static void gelu_by_tanh(B *b)
{
	vector_input(b);
	number(b, "three", 3);
	number(b, "little", 0.044715);
	number(b, "root", sqrt(2 / M_PI));
	number(b, "one", 1);
	number(b, "half", 0.5);
	node(b, "MatMul", "h", IN("x", "w"));
	node(b, "Pow", "c", IN("h", "three"));
	node(b, "Mul", "l", IN("c", "little"));
	node(b, "Add", "s", IN("h", "l"));
	node(b, "Mul", "r", IN("s", "root"));
	node(b, "Tanh", "t", IN("r"));
	node(b, "Add", "p", IN("t", "one"));
	node(b, "Mul", "m", IN("h", "half"));
	node(b, "Mul", "g", IN("m", "p"));
	node(b, "MatMul", "y", IN("g", "v"));
}

/* Another constant: no GELU. */
static void almost_gelu(B *b)
{
	vector_input(b);
	number(b, "root", 1.5);
	number(b, "one", 1);
	number(b, "half", 0.5);
	node(b, "MatMul", "h", IN("x", "w"));
	node(b, "Div", "a", IN("h", "root"));
	node(b, "Erf", "e", IN("a"));
	node(b, "Add", "p", IN("e", "one"));
	node(b, "Mul", "m", IN("h", "p"));
	node(b, "Mul", "y", IN("m", "half"));
}

static void silu(B *b)
{
	vector_input(b);
	node(b, "MatMul", "h", IN("x", "w"));
	node(b, "Sigmoid", "s", IN("h"));
	node(b, "Mul", "g", IN("s", "h"));
	node(b, "MatMul", "y", IN("g", "v"));
}

/* The gate is of another value. */
static void gate(B *b)
{
	vector_input(b);
	node(b, "MatMul", "h", IN("x", "w"));
	node(b, "Sigmoid", "s", IN("x"));
	node(b, "Mul", "y", IN("s", "h"));
}

static void hard_swish(B *b)
{
	vector_input(b);
	number(b, "three", 3);
	number(b, "zero", 0);
	number(b, "six", 6);
	node(b, "MatMul", "h", IN("x", "w"));
	node(b, "Add", "a", IN("h", "three"));
	node(b, "Clip", "c", IN("a", "zero", "six"));
	node(b, "Mul", "m", IN("h", "c"));
	node(b, "Div", "g", IN("m", "six"));
	node(b, "MatMul", "y", IN("g", "v"));
}

static void mean(B *b, const char *out, const char *in, int64_t axis)
{
	onnx_build_ints(b, onnx_build_node(b, "ReduceMean", out, IN(in)), "axes", 1, &axis);
}

static void norm(B *b, int64_t axis)
{
	vector_input(b);
	number(b, "two", 2);
	number(b, "epsilon", 1e-3);
	onnx_build_weight(b, "scale", 1, (int64_t[]){WIDTH}, 1);
	node(b, "MatMul", "h", IN("x", "w"));
	mean(b, "m", "h", axis);
	node(b, "Sub", "d", IN("h", "m"));
	node(b, "Pow", "q", IN("d", "two"));
	mean(b, "s", "q", axis);
	node(b, "Add", "e", IN("s", "epsilon"));
	node(b, "Sqrt", "r", IN("e"));
	node(b, "Div", "n", IN("d", "r"));
	node(b, "Mul", "g", IN("n", "scale"));
	node(b, "Add", "z", IN("g", "bias"));
	node(b, "MatMul", "y", IN("z", "v"));
}

static void layer_norm(B *b)
{
	norm(b, -1);
}

/* Over the batch: another thing. */
static void norm_of_batch(B *b)
{
	norm(b, 0);
}

static void twice(B *b)
{
	vector_input(b);
	node(b, "MatMul", "h", IN("x", "w"));
	node(b, "Tanh", "one", IN("h"));
	node(b, "Tanh", "other", IN("h"));
	node(b, "Sigmoid", "third", IN("h"));
	node(b, "Mul", "p", IN("one", "other"));
	node(b, "Add", "y", IN("p", "third"));
}

static void scaled(B *b)
{
	vector_input(b);
	number(b, "c", 0.25);
	node(b, "MatMul", "h", IN("x", "w"));
	node(b, "Mul", "s", IN("h", "c"));
	node(b, "Softmax", "y", IN("s"));
}

/* The product is read a second time. */
static void scaled_and_read(B *b)
{
	vector_input(b);
	number(b, "c", 0.25);
	node(b, "MatMul", "h", IN("x", "w"));
	node(b, "Mul", "s", IN("h", "c"));
	node(b, "Add", "y", IN("s", "h"));
}

static void biased(B *b)
{
	vector_input(b);
	node(b, "MatMul", "h", IN("x", "w"));
	node(b, "Add", "z", IN("bias", "h"));
	node(b, "Relu", "a", IN("z"));
	node(b, "MatMul", "y", IN("a", "v"));
}

/* What is added is computed, and maybe later than the product. */
static void added(B *b)
{
	vector_input(b);
	node(b, "MatMul", "h", IN("x", "w"));
	node(b, "Sigmoid", "s", IN("bias"));
	node(b, "Add", "y", IN("h", "s"));
}

static void image_input(B *b, bool with_norm)
{
	Onnx__NodeProto *convolution;

	onnx_build_input(b, "x", 4, (int64_t[]){0, 4, 6, 6});
	onnx_build_weight(b, "k", 4, (int64_t[]){8, 2, 3, 3}, 0.4f);
	onnx_build_weight(b, "b", 1, (int64_t[]){8}, 0.4f);
	convolution = onnx_build_node(b, "Conv", "c", IN("x", "k", "b"));
	onnx_build_ints(b, convolution, "kernel_shape", 2, (int64_t[]){3, 3});
	onnx_build_int(b, convolution, "group", 2);
	if (!with_norm)
		return;
	positive(b, "scale", 8);
	onnx_build_weight(b, "shift", 1, (int64_t[]){8}, 1);
	onnx_build_weight(b, "mean", 1, (int64_t[]){8}, 1);
	positive(b, "variance", 8);
	node(b, "BatchNormalization", "n", IN("c", "scale", "shift", "mean", "variance"));
}

static void image_output(B *b, const char *from)
{
	onnx_build_int(b, onnx_build_node(b, "Flatten", "y", IN(from)), "axis", 1);
	onnx_build_output(b, "y", 2, (int64_t[]){0, 128});
}

static void convolution_and_relu(B *b)
{
	image_input(b, false);
	node(b, "Relu", "r", IN("c"));
	image_output(b, "r");
}

static void convolution_and_clip(B *b)
{
	image_input(b, false);
	number(b, "low", 0);
	number(b, "high", 0.5);
	node(b, "Clip", "r", IN("c", "low", "high"));
	image_output(b, "r");
}

static void read_before_relu(B *b)
{
	image_input(b, false);
	node(b, "Relu", "r", IN("c"));
	node(b, "Add", "s", IN("r", "c"));
	image_output(b, "s");
}

static void convolution_and_norm(B *b)
{
	image_input(b, true);
	node(b, "Relu", "r", IN("n"));
	image_output(b, "r");
}

/* The convolution's result goes elsewhere too. */
static void read_before_norm(B *b)
{
	image_input(b, true);
	node(b, "Add", "s", IN("n", "c"));
	image_output(b, "s");
}

/* Two matrices of 18 MiB, one of which stands turned. */
static void large(B *b)
{
	vector_input(b);
	onnx_build_weight(b, "up", 2, (int64_t[]){WIDTH, 600000}, 0.4f);
	onnx_build_weight(b, "down", 2, (int64_t[]){WIDTH, 600000}, 0.4f);
	node(b, "MatMul", "h", IN("x", "w"));
	node(b, "MatMul", "u", IN("h", "up"));
	onnx_build_int(b, onnx_build_node(b, "Gemm", "y", IN("u", "down")), "transB", 1);
}

static const struct {
	const char *pass, *what;
	void (*build)(B *);
	int inference, training; /* operations fewer with the pass */
	bool exact;		 /* not a bit of the result changes */
} cases[] = {
	{"activations", "GELU by erf", gelu_by_erf, 4, 8, false},
	{"activations", "GELU by erf, otherwise", gelu_otherwise, 4, 8, false},
	{"activations", "GELU by tanh", gelu_by_tanh, 7, 14, false},
	{"activations", "almost GELU", almost_gelu, 0, 0, true},
	{"activations", "SiLU", silu, 1, 4, false},
	{"activations", "a gate", gate, 0, 0, true},
	{"activations", "hard swish", hard_swish, 3, 6, false},
	{"layer-norm", "layer norm", layer_norm, 7, 0, false},
	{"layer-norm", "over the batch", norm_of_batch, 0, 0, true},
	{"common", "twice the same", twice, 1, 0, false},
	{"scale", "scores", scaled, 1, 2, false},
	{"scale", "a product read twice", scaled_and_read, 0, 0, true},
	{"bias", "bias", biased, 1, 0, true},
	{"bias", "a computed sum", added, 0, 0, true},
	{"epilogue", "ReLU of a convolution", convolution_and_relu, 1, 0, true},
	{"epilogue", "clipping of a convolution", convolution_and_clip, 1, 1, true},
	{"epilogue", "read before the ReLU", read_before_relu, 0, 0, true},
	{"fold-norm", "convolution and norm", convolution_and_norm, 3, 0, false},
	{"fold-norm", "read before the norm", read_before_norm, 0, 0, true},
	{"updates", "large gradients", large, 0, -28, true},
	{"updates", "small gradients", biased, 0, 0, true},
	{"in-place", "nothing fewer", gate, 0, 0, true},
	{"panels", "an integer product", integers, 0, 0, true},
};

static struct weft_model *model_of(void (*build)(B *))
{
	char path[] = "/tmp/weft-passes-XXXXXX";
	struct weft_model *model;
	B b;
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	close(fd);
	onnx_build_begin(&b, "passes", 3);
	build(&b);
	assert_int_equal(onnx_build_end(&b, path), 0);
	if (weft_model_load(path, &model))
		fail_msg("%s", weft_error());
	unlink(path);
	return model;
}

struct outcome {
	uint32_t operations;
	bool in_place, panels;
	float y[BATCH * 128], loss;
	char weights[65];
	float weight[WIDTH * WIDTH]; /* of the first one */
};

/* One step of the network in so much device memory, with @pass or without it. */
static void run_within(const struct weft_model *model, uint64_t device_bytes, bool training,
		       enum weft_optimizer optimizer, const char *without, struct outcome *outcome)
{
	const float hyper[8] = {0.1f, 0.5f, 0.5f, 1e-3f, 0, 0.5f, 0.7f, 1};
	struct weft_session_options session_options = {.device_bytes = device_bytes, .host_bytes = UINT64_MAX};
	struct weft_graph_options options = {.batch = BATCH,
					     .training = training,
					     .loss = training ? WEFT_LOSS_MSE : WEFT_LOSS_NONE,
					     .optimizer = optimizer,
					     .fixed_weights = !training,
					     .without_pass = &without,
					     .without_passes = !!without};
	struct weft_session_refusal refusal;
	struct weft_session *session;
	struct accel_device *device;
	struct weft_graph *graph;

	memset(outcome, 0, sizeof(*outcome));
	if (weft_model_graph(model, &options, &graph))
		fail_msg("%s", weft_error());
	outcome->operations = graph->operations;
	for (weft_id at = 0; at < graph->operations; at++)
		outcome->panels |=
			graph->operation[at].opcode == WEFT_OP_QMATMUL && graph->operation[at].params.qmatmul.panels;
	for (weft_id at = 0; at < graph->operations; at++)
		outcome->in_place |= graph->operation[at].may_in_place;
	if (accel_device_open("embedded:mem=256M", &device) ||
	    weft_session_new(device, graph, &session_options, &session, &refusal) || weft_session_hyper(session, hyper))
		fail_msg("%s", weft_error());
	accel_device_unref(device);
	graph = (struct weft_graph *)weft_session_graph(session);
	for (uint32_t i = 0; i < graph->inputs; i++) {
		uint32_t random = 5 + i;
		size_t bytes;
		void *memory;

		assert_int_equal(weft_session_input(session, graph->value[graph->input[i]].name, &memory, &bytes), 0);
		for (size_t j = 0; j < bytes / sizeof(float); j++) {
			random = random * 1664525 + 1013904223;
			((float *)memory)[j] = (float)(random >> 8) / (1 << 22) - 2;
		}
	}
	if (weft_session_step(session) ||
	    weft_session_output(session, graph->value[graph->model_output[0]].name, outcome->y,
				weft_layout_bytes(&graph->value[graph->model_output[0]].layout)))
		fail_msg("%s", weft_error());
	if (training) {
		assert_int_equal(weft_session_output(session, graph->value[graph->loss].name, &outcome->loss, 4), 0);
		assert_int_equal(weft_session_digest(session, outcome->weights), 0);
		weft_session_read(session, "w", outcome->weight, sizeof(outcome->weight));
	}
	weft_session_free(session);
}

static void run(const struct weft_model *model, bool training, enum weft_optimizer optimizer, const char *without,
		struct outcome *outcome)
{
	run_within(model, UINT64_MAX, training, optimizer, without, outcome);
}

static void check_same(const char *what, const struct outcome *with, const struct outcome *without, bool exact)
{
	for (size_t i = 0; i < BATCH * 128; i++)
		if (!(fabsf(with->y[i] - without->y[i]) <= 1e-5f * (1 + fabsf(without->y[i]))))
			fail_msg("%s: result %zu is %.9g with the pass, %.9g without it", what, i, (double)with->y[i],
				 (double)without->y[i]);
	for (size_t i = 0; i < WIDTH * WIDTH; i++)
		if (!(fabsf(with->weight[i] - without->weight[i]) <= 1e-5f))
			fail_msg("%s: weight %zu is %.9g after a step with the pass, %.9g without it", what, i,
				 (double)with->weight[i], (double)without->weight[i]);
	if (exact && (memcmp(with->y, without->y, sizeof(with->y)) || strcmp(with->weights, without->weights)))
		fail_msg("%s: the pass changes bits", what);
}

static void passes(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct weft_model *model = model_of(cases[i].build);

		/* Inference, then training with each kind of update. */
		for (int round = 0; round < 3; round++) {
			enum weft_optimizer optimizer = round == 2 ? WEFT_OPTIMIZER_ADAM : WEFT_OPTIMIZER_SGD;
			bool training = round > 0;
			int fewer = training ? cases[i].training : cases[i].inference, difference;
			struct outcome with, without;

			run(model, training, optimizer, NULL, &with);
			run(model, training, optimizer, cases[i].pass, &without);
			difference = (int)without.operations - (int)with.operations;
			if (fewer < 0 ? difference != fewer : difference < fewer || (!fewer && !training && difference))
				fail_msg("%s, %s: %u operations with %s, %u without it, expected %d fewer",
					 cases[i].what, training ? "training" : "inference", with.operations,
					 cases[i].pass, without.operations, fewer);
			check_same(cases[i].what, &with, &without, cases[i].exact);
			if (!strcmp(cases[i].pass, "in-place"))
				assert_true(with.in_place && !without.in_place);
			if (!strcmp(cases[i].pass, "panels"))
				assert_true(with.panels == !training && !without.panels);
		}
		weft_model_free(model);
	}
}

/* A weight that is updated in blocks can be larger than device memory, too. */
static void blocks_in_small_memory(void **state)
{
	struct weft_model *model = model_of(large);

	(void)state;
	for (int round = 0; round < 2; round++) {
		enum weft_optimizer optimizer = round ? WEFT_OPTIMIZER_ADAM : WEFT_OPTIMIZER_SGD;
		struct outcome small, ample;

		run_within(model, 6 << 20, true, optimizer, NULL, &small);
		run(model, true, optimizer, NULL, &ample);
		check_same("blocks in small memory", &small, &ample, true);
	}
	weft_model_free(model);
}

static struct weft_graph *training_graph(const struct weft_model *model, const char *without)
{
	struct weft_graph_options options = {.batch = BATCH,
					     .training = true,
					     .loss = WEFT_LOSS_MSE,
					     .optimizer = WEFT_OPTIMIZER_ADAM,
					     .without_pass = &without,
					     .without_passes = !!without};
	struct weft_graph *graph;

	if (weft_model_graph(model, &options, &graph))
		fail_msg("%s", weft_error());
	return graph;
}

/* Blocks become what they were cut from before tiles are made, so that a piece of a weight is updated at once. */
static void blocks_are_joined(void **state)
{
	struct weft_model *model = model_of(large), *little = model_of(biased);
	struct weft_graph *blocks = training_graph(model, NULL), *plain = training_graph(model, "updates");
	struct weft_graph *none = training_graph(little, NULL), *joined, *tiled;
	uint32_t *updates;

	(void)state;
	if (weft_graph_join_updates(blocks, &joined))
		fail_msg("%s", weft_error());
	assert_true(blocks->operations > plain->operations);
	assert_int_equal(joined->operations, plain->operations);
	weft_graph_take_data(joined, blocks);
	if (weft_graph_check(joined))
		fail_msg("%s", weft_error());
	assert_int_equal(weft_graph_join_updates(none, &tiled), -ERANGE);
	assert_null(tiled);
	if (weft_graph_tile(blocks, 4 << 20, false, &tiled))
		fail_msg("%s", weft_error());
	updates = calloc(tiled->values, sizeof(*updates));
	assert_non_null(updates);
	for (weft_id o = 0; o < tiled->operations; o++) {
		const struct weft_operation *operation = &tiled->operation[o];

		if (operation->opcode == WEFT_OP_ADAM)
			assert_int_equal(updates[tiled->value[operation->operand[2]].base]++, 0);
	}
	free(updates);
	weft_graph_free(tiled);
	weft_graph_free(joined);
	weft_graph_free(blocks);
	weft_graph_free(plain);
	weft_graph_free(none);
	weft_model_free(model);
	weft_model_free(little);
}

static void names(void **state)
{
	const struct weft_pass_info *pass;
	uint32_t count = 0;

	(void)state;
	for (; (pass = weft_pass_at(count)); count++) {
		bool tested = false;

		for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
			tested |= !strcmp(cases[i].pass, pass->name);
		if (!tested)
			fail_msg("pass %s is not tested", pass->name);
		assert_true(strlen(pass->summary) > 20);
	}
	assert_true(count > 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(passes), cmocka_unit_test(blocks_in_small_memory),
					   cmocka_unit_test(blocks_are_joined), cmocka_unit_test(names)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
