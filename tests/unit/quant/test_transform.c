// SPDX-License-Identifier: MIT
/* What is done to the float model: each step keeps its meaning and does what it is for. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "graph/graph.h"
#include "onnx_build.h"
#include "quant/quant.h"
#include "weft/error.h"

#define SIDE 28
#define INNER ((SIDE - 4) * (SIDE - 4))
#define CHANNELS 6
#define CLASSES 10
#define EXAMPLES 64
#define IN(...) ((const char *[]){__VA_ARGS__, NULL})

static float *last_data(struct onnx_build *b)
{
	const Onnx__GraphProto *graph = b->model->graph;

	return (float *)(void *)graph->initializer[graph->n_initializer - 1]->raw_data.data;
}

static struct weft_model *finish(struct onnx_build *b)
{
	char path[] = "/tmp/weft-quant-XXXXXX";
	struct weft_model *model;
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(onnx_build_end(b, path), 0);
	if (weft_model_load(path, &model))
		fail_msg("%s", weft_error());
	unlink(path);
	return model;
}

/* Channel c of a weight is greater by 4^c, along dimension 0. */
static void uneven(struct onnx_build *b, int64_t channels, int64_t each)
{
	float *data = last_data(b);

	for (int64_t i = 0; i < channels * each; i++)
		data[i] *= powf(4, (float)(i / each) - 3);
}

/* Conv -> [BatchNormalization] -> @function -> Conv (depthwise) -> Relu -> Flatten -> Gemm. */
static struct weft_model *network(const char *function, bool normalise, bool read_twice)
{
	struct onnx_build b;
	Onnx__NodeProto *node;

	onnx_build_begin(&b, "quant", 5);
	onnx_build_input(&b, "x", 4, (int64_t[]){0, 1, SIDE, SIDE});
	onnx_build_weight(&b, "w1", 4, (int64_t[]){CHANNELS, 1, 3, 3}, 1);
	uneven(&b, CHANNELS, 9);
	onnx_build_weight(&b, "b1", 1, (int64_t[]){CHANNELS}, 0.5f);
	onnx_build_weight(&b, "w2", 4, (int64_t[]){CHANNELS, 1, 3, 3}, 1);
	onnx_build_weight(&b, "b2", 1, (int64_t[]){CHANNELS}, 0.5f);
	onnx_build_weight(&b, "w3", 2, (int64_t[]){CLASSES, CHANNELS * INNER}, 0.02f);
	onnx_build_weight(&b, "b3", 1, (int64_t[]){CLASSES}, 0.1f);
	onnx_build_node(&b, "Conv", "c1", IN("x", "w1", "b1"));
	if (normalise) {
		static const char *const names[] = {"gamma", "beta", "mean", "variance"};

		for (int i = 0; i < 4; i++) {
			onnx_build_weight(&b, names[i], 1, (int64_t[]){CHANNELS}, 0.5f);
			for (int c = 0; c < CHANNELS; c++)
				last_data(&b)[c] += i == 0 || i == 3 ? 1 : 0;
		}
		onnx_build_node(&b, "BatchNormalization", "n1", IN("c1", "gamma", "beta", "mean", "variance"));
	}
	if (read_twice)
		onnx_build_node(&b, "Add", "a1", IN("n1", "c1"));
	onnx_build_node(&b, function, "f1", IN(read_twice ? "a1" : normalise ? "n1" : "c1"));
	node = onnx_build_node(&b, "Conv", "c2", IN("f1", "w2", "b2"));
	onnx_build_int(&b, node, "group", CHANNELS);
	onnx_build_node(&b, "Relu", "f2", IN("c2"));
	onnx_build_node(&b, "Flatten", "flat", IN("f2"));
	node = onnx_build_node(&b, "Gemm", "y", IN("flat", "w3", "b3"));
	onnx_build_int(&b, node, "transB", 1);
	onnx_build_output(&b, "y", 2, (int64_t[]){0, CLASSES});
	return finish(&b);
}

static struct weft_dataset *pictures(void)
{
	struct weft_dataset *dataset;

	if (weft_dataset_open("generate:28x28x1,count=64", WEFT_SPLIT_TRAIN, &dataset))
		fail_msg("%s", weft_error());
	return dataset;
}

/* Results [EXAMPLES, CLASSES] for the pictures. */
static void infer(const struct weft_model *model, float *y)
{
	struct weft_session_options session_options = {.device_bytes = UINT64_MAX, .host_bytes = UINT64_MAX};
	struct weft_graph_options options = {.batch = EXAMPLES, .fixed_weights = true};
	struct weft_dataset *dataset = pictures();
	uint64_t index[EXAMPLES];
	int32_t label[EXAMPLES];
	struct weft_session *session;
	const struct weft_graph *planned;
	struct accel_device *device;
	struct weft_graph *graph;
	void *memory;
	size_t bytes;

	for (uint64_t i = 0; i < EXAMPLES; i++)
		index[i] = i;
	if (accel_device_open("embedded:mem=16M", &device) || weft_model_graph(model, &options, &graph) ||
	    weft_session_new(device, graph, &session_options, &session, NULL))
		fail_msg("%s", weft_error());
	planned = weft_session_graph(session);
	assert_int_equal(weft_session_input(session, planned->value[planned->input[0]].name, &memory, &bytes), 0);
	assert_int_equal(bytes, EXAMPLES * SIDE * SIDE * sizeof(float));
	/* One channel: both orders are the same. */
	assert_int_equal(weft_dataset_read(dataset, index, EXAMPLES, true, memory, label), 0);
	if (weft_session_step(session) || weft_session_output(session, planned->value[planned->model_output[0]].name, y,
							      EXAMPLES * CLASSES * sizeof(*y)))
		fail_msg("%s", weft_error());
	weft_session_free(session);
	weft_dataset_close(dataset);
	accel_device_unref(device);
}

static void check_same(const struct weft_model *a, const struct weft_model *b)
{
	static float y[2][EXAMPLES * CLASSES];

	infer(a, y[0]);
	infer(b, y[1]);
	for (size_t i = 0; i < EXAMPLES * CLASSES; i++)
		if (!(fabsf(y[0][i] - y[1][i]) <= 2e-5f * (1 + fabsf(y[0][i]))))
			fail_msg("result %zu: %.9g and %.9g", i, (double)y[0][i], (double)y[1][i]);
}

/* Greatest magnitude of channel @c of initializer @name, along dimension 0. */
static float range_of(const struct weft_model *model, const char *name, size_t channels, size_t c)
{
	const Onnx__TensorProto *proto =
		model->proto->graph->initializer[weft_edit_initializer(model->proto->graph, name)];
	struct weft_host_tensor *t;
	float most = 0;

	assert_int_equal(weft_onnx_tensor(proto, &t), 0);
	for (size_t i = 0, each = t->elements / channels; i < each; i++)
		most = fmaxf(most, fabsf(((float *)t->data)[c * each + i]));
	weft_host_tensor_free(t);
	return most;
}

static void folding(void **state)
{
	struct weft_model *model = network("Relu", true, false), *copy;
	uint32_t folded;

	(void)state;
	assert_int_equal(weft_edit_copy(model, &copy), 0);
	assert_int_equal(weft_quant_fold(copy->proto->graph, &folded), 0);
	assert_int_equal(folded, 1);
	assert_int_equal(copy->proto->graph->n_node, model->proto->graph->n_node - 1);
	assert_true(weft_edit_initializer(copy->proto->graph, "gamma") < 0);
	check_same(model, copy);
	weft_model_free(copy);
	weft_model_free(model);
	/* What is read before the normalisation too must stay. */
	model = network("Relu", true, true);
	assert_int_equal(weft_edit_copy(model, &copy), 0);
	assert_int_equal(weft_quant_fold(copy->proto->graph, &folded), 0);
	assert_int_equal(folded, 0);
	check_same(model, copy);
	weft_model_free(copy);
	weft_model_free(model);
}

static void equalising(void **state)
{
	struct weft_model *model = network("Relu", false, false), *copy;
	uint32_t pairs;

	(void)state;
	assert_int_equal(weft_edit_copy(model, &copy), 0);
	assert_int_equal(weft_quant_equalize(copy->proto->graph, &pairs), 0);
	assert_int_equal(pairs, 1);
	check_same(model, copy);
	for (size_t c = 0; c < CHANNELS; c++) {
		float first = range_of(copy, "w1", CHANNELS, c), second = range_of(copy, "w2", CHANNELS, c);

		assert_true(fabsf(first - second) <= 1e-5f * first);
	}
	/* Ranges of channels are nearer to each other than they were. */
	assert_true(range_of(copy, "w1", CHANNELS, 5) / range_of(copy, "w1", CHANNELS, 0) <
		    0.5f * range_of(model, "w1", CHANNELS, 5) / range_of(model, "w1", CHANNELS, 0));
	weft_model_free(copy);
	weft_model_free(model);
	/* A function that factors do not pass. */
	model = network("Sigmoid", false, false);
	assert_int_equal(weft_edit_copy(model, &copy), 0);
	assert_int_equal(weft_quant_equalize(copy->proto->graph, &pairs), 0);
	assert_int_equal(pairs, 0);
	check_same(model, copy);
	weft_model_free(copy);
	weft_model_free(model);
}

/* Mean error of each class over the pictures, summed up in magnitude. */
static double mean_error(const float *wanted, const float *y)
{
	double sum = 0;

	for (size_t c = 0; c < CLASSES; c++) {
		double error = 0;

		for (size_t i = 0; i < EXAMPLES; i++)
			error += (double)y[i * CLASSES + c] - (double)wanted[i * CLASSES + c];
		sum += fabs(error / EXAMPLES);
	}
	return sum;
}

/* One product whose weights all round the same way, so that its results are off in the mean. */
static struct weft_model *biased_product(void)
{
	struct onnx_build b;
	Onnx__NodeProto *node;
	float *data;

	onnx_build_begin(&b, "quant", 9);
	onnx_build_input(&b, "x", 4, (int64_t[]){0, 1, SIDE, SIDE});
	onnx_build_weight(&b, "w", 2, (int64_t[]){CLASSES, SIDE * SIDE}, 0);
	data = last_data(&b);
	for (size_t i = 0; i < CLASSES * SIDE * SIDE; i++)
		data[i] = i % (SIDE * SIDE) ? 0.45f / 127 * (float)(1 + i / (SIDE * SIDE) % 3) : 1;
	onnx_build_node(&b, "Relu", "positive", IN("x"));
	onnx_build_node(&b, "Flatten", "flat", IN("positive"));
	node = onnx_build_node(&b, "Gemm", "y", IN("flat", "w"));
	onnx_build_int(&b, node, "transB", 1);
	onnx_build_output(&b, "y", 2, (int64_t[]){0, CLASSES});
	return finish(&b);
}

static void bias_correction(void **state)
{
	static float wanted[EXAMPLES * CLASSES], y[2][EXAMPLES * CLASSES];
	struct weft_model *model = biased_product();
	struct accel_device *device;
	double error[2];

	(void)state;
	assert_int_equal(accel_device_open("embedded:mem=16M", &device), 0);
	infer(model, wanted);
	for (int corrected = 0; corrected < 2; corrected++) {
		struct weft_quantize_options options = {
			.keep_biases = !corrected,
			.examples = EXAMPLES,
			.session = {.device_bytes = UINT64_MAX, .host_bytes = UINT64_MAX}};
		struct weft_dataset *dataset = pictures();
		struct weft_quantize_report report;
		struct weft_model *quantized;

		if (weft_quantize(device, model, &options, dataset, &quantized, &report))
			fail_msg("%s", weft_error());
		assert_int_equal(report.corrected, corrected);
		assert_int_equal(report.weights, 1);
		infer(quantized, y[corrected]);
		error[corrected] = mean_error(wanted, y[corrected]);
		weft_model_free(quantized);
		weft_dataset_close(dataset);
	}
	if (!(error[1] < 0.2 * error[0]))
		fail_msg("mean error %g with correction, %g without", error[1], error[0]);
	accel_device_unref(device);
	weft_model_free(model);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(folding), cmocka_unit_test(equalising),
					   cmocka_unit_test(bias_correction)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
