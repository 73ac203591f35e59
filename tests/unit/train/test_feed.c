// SPDX-License-Identifier: MIT
/* What models get to see of a data set: the inputs of a model of text, and targets of a single number. */
#include <errno.h>
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
#include "train/feed.h"
#include "weft/error.h"
#include "weft/train.h"

#define IN(...) ((const char *[]){__VA_ARGS__, NULL})
#define TOKENS 5

static struct weft_model *finish(struct onnx_build *b)
{
	char path[] = "/tmp/weft-feed-XXXXXX";
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

/* Scores of the mean of embeddings of all inputs, a table for each. */
static struct weft_model *text_model(unsigned int inputs, const char *const names[])
{
	struct onnx_build b;
	char sum[16] = "", table[32], embedded[32], next[16];

	onnx_build_begin(&b, "text", 1);
	for (unsigned int i = 0; i < inputs; i++) {
		snprintf(table, sizeof(table), "table%u", i);
		snprintf(embedded, sizeof(embedded), "embedded%u", i);
		onnx_build_tokens(&b, names[i]);
		onnx_build_weight(&b, table, 2, (int64_t[]){256, 4}, 1);
		onnx_build_node(&b, "Gather", embedded, IN(table, names[i]));
		if (i) {
			snprintf(next, sizeof(next), "sum%u", i);
			onnx_build_node(&b, "Add", next, IN(i == 1 ? "embedded0" : sum, embedded));
			strcpy(sum, next);
		}
	}
	onnx_build_ints(&b, onnx_build_node(&b, "ReduceMean", "mean", IN(inputs > 1 ? sum : "embedded0")), "axes", 1,
			(int64_t[]){1});
	onnx_build_int(&b, onnx_build_node(&b, "Flatten", "flat", IN("mean")), "axis", 1);
	onnx_build_weight(&b, "w", 2, (int64_t[]){4, 2}, 1);
	onnx_build_node(&b, "MatMul", "y", IN("flat", "w"));
	onnx_build_output(&b, "y", 2, (int64_t[]){0, 2});
	return finish(&b);
}

static int feed_text(const struct weft_model *model, const char *data, struct weft_session **session)
{
	const struct weft_dataset_options options = {.sequence = TOKENS};
	const struct weft_session_options session_options = {.device_bytes = UINT64_MAX, .host_bytes = UINT64_MAX};
	const struct weft_graph_options graph_options = {
		.batch = 2, .training = true, .loss = WEFT_LOSS_CROSS_ENTROPY, .sequence = TOKENS};
	struct weft_session_refusal refusal;
	struct weft_dataset *dataset;
	struct accel_device *device;
	struct weft_graph *graph;
	struct weft_feed feed;
	int result;

	if (weft_model_graph(model, &graph_options, &graph) || accel_device_open("embedded:mem=4M", &device) ||
	    weft_session_new(device, graph, &session_options, session, &refusal) ||
	    weft_dataset_open_with(data, WEFT_SPLIT_TRAIN, &options, &dataset))
		fail_msg("%s", weft_error());
	accel_device_unref(device);
	result = weft_feed_init(&feed, *session, dataset);
	if (!result) {
		feed.index[0] = 1;
		feed.index[1] = 0;
		result = weft_feed_fill(&feed);
		weft_feed_done(&feed);
	}
	weft_dataset_close(dataset);
	return result;
}

static void put(const char *path, const char *text)
{
	FILE *file = fopen(path, "wb");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	fclose(file);
}

static void inputs_of_text(void **state)
{
	static const struct {
		const char *name;
		int64_t wanted[2][TOKENS];
	} inputs[] = {
		{"input_ids", {{'w', 'e', 'f', 't', 's'}, {'h', 'i', 0, 0, 0}}},
		{"attention_mask", {{1, 1, 1, 1, 1}, {1, 1, 0, 0, 0}}},
		{"token_type_ids", {{0, 0, 0, 0, 0}, {0, 0, 0, 0, 0}}},
		{"position_ids", {{0, 1, 2, 3, 4}, {0, 1, 2, 3, 4}}},
	};
	static const char *const names[] = {"input_ids", "attention_mask", "token_type_ids", "position_ids"};
	char path[] = "/tmp/weft-feed-XXXXXX.csv";
	struct weft_model *model = text_model(4, names);
	struct weft_session *session;
	size_t bytes;
	void *memory;
	int fd = mkstemps(path, 4);

	(void)state;
	assert_true(fd >= 0);
	close(fd);
	put(path, "text,label\nhi,0\nwefts and warps,1\n");
	if (feed_text(model, path, &session))
		fail_msg("%s", weft_error());
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(weft_session_input(session, inputs[i].name, &memory, &bytes), 0);
		assert_int_equal(bytes, sizeof(inputs[i].wanted));
		if (memcmp(memory, inputs[i].wanted, bytes))
			fail_msg("%s holds %d %d %d ...", inputs[i].name, (int)((int64_t *)memory)[0],
				 (int)((int64_t *)memory)[1], (int)((int64_t *)memory)[2]);
	}
	assert_int_equal(weft_session_input(session, "label", &memory, &bytes), 0);
	assert_int_equal(((int32_t *)memory)[0], 1);
	assert_int_equal(((int32_t *)memory)[1], 0);
	weft_session_free(session);
	weft_model_free(model);

	/* Which of two takes the tokens? */
	model = text_model(2, (const char *const[]){"question", "answer"});
	assert_int_equal(feed_text(model, path, &session), -EINVAL);
	assert_non_null(strstr(weft_error(), "2 inputs"));
	weft_session_free(session);
	weft_model_free(model);
	unlink(path);
}

/* A single output says which of two classes it is. */
static void single_output(void **state)
{
	static const struct {
		enum weft_loss loss;
		bool sigmoid;
	} cases[] = {{WEFT_LOSS_BCE, false}, {WEFT_LOSS_BCE, true}, {WEFT_LOSS_MSE, false}};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct weft_train_options options = {.data = "generate:28x28x1,count=400,classes=2",
						     .epochs = 12,
						     .batch = 20,
						     .optimizer = WEFT_OPTIMIZER_ADAM,
						     .loss = cases[i].loss,
						     .hyper = {3e-3f, 0.9f, 0.999f, 1e-8f, 0, 0, 0, 1},
						     .session = {.device_bytes = UINT64_MAX, .host_bytes = UINT64_MAX}};
		struct weft_train_result result;
		struct accel_device *device;
		struct weft_model *model;
		struct onnx_build b;

		onnx_build_begin(&b, "single", 1);
		onnx_build_input(&b, "x", 4, (int64_t[]){0, 1, 28, 28});
		onnx_build_int(&b, onnx_build_node(&b, "Flatten", "flat", IN("x")), "axis", 1);
		onnx_build_weight(&b, "w", 2, (int64_t[]){784, 32}, 0.05f);
		onnx_build_weight(&b, "v", 2, (int64_t[]){32, 1}, 0.3f);
		onnx_build_node(&b, "MatMul", "h", IN("flat", "w"));
		onnx_build_node(&b, "Relu", "r", IN("h"));
		onnx_build_node(&b, "MatMul", "z", IN("r", "v"));
		onnx_build_weight(&b, "c", 1, (int64_t[]){1}, 0);
		onnx_build_node(&b, "Add", "s", IN("z", "c"));
		if (cases[i].sigmoid)
			onnx_build_node(&b, "Sigmoid", "y", IN("s"));
		onnx_build_output(&b, cases[i].sigmoid ? "y" : "s", 2, (int64_t[]){0, 1});
		model = finish(&b);
		assert_int_equal(accel_device_open("embedded:mem=8M", &device), 0);
		if (weft_train(device, model, &options, &result))
			fail_msg("%s", weft_error());
		if (!(result.test_accuracy > 0.75))
			fail_msg("loss %d: accuracy %g", cases[i].loss, result.test_accuracy);
		accel_device_unref(device);
		weft_model_free(model);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(inputs_of_text), cmocka_unit_test(single_output)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
