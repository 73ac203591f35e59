// SPDX-License-Identifier: MIT
/*
 * Real networks: the same weights after a few steps for every policy, budget and
 * number of threads, within the budget, and down to the least one.  Models are
 * looked up beside the source tree; the test is skipped where they are not.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "plan/plan.h"
#include "plan/split.h"
#include "weft/error.h"
#include "weft/session.h"

#define STEPS 2

struct network {
	const char *file;
	uint32_t batch;
	enum weft_optimizer optimizer;
	unsigned int percent; /* of the unconstrained peak that must do */
	struct weft_tuning tuning;
};

static const struct network lenet = {"lenet.onnx", 64, WEFT_OPTIMIZER_ADAM, 50, {0}};
static const struct network resnet = {"resnet18_cifar_w16.onnx", 32, WEFT_OPTIMIZER_SGD, 30, {0}};

static struct weft_graph *load(const struct network *network)
{
	const char *shared = getenv("WEFT_SHARED");
	struct weft_graph_options options = {
		.batch = network->batch,
		.training = true,
		.loss = WEFT_LOSS_CROSS_ENTROPY,
		.optimizer = network->optimizer,
		.tuning = &network->tuning,
	};
	struct weft_graph *graph;
	struct weft_model *model;
	char path[4096];

	snprintf(path, sizeof(path), "%s/models/%s", shared ? shared : WEFT_SOURCE_ROOT "/../shared", network->file);
	if (access(path, R_OK)) {
		print_message("%s is not there: skipped\n", path);
		skip();
	}
	if (weft_model_load(path, &model) || weft_model_graph(model, &options, &graph))
		fail_msg("%s", weft_error());
	weft_model_free(model);
	return graph;
}

static void feed(struct weft_session *session)
{
	const float hyper[WEFT_HYPERS] = {1e-3f, 0.9f, 0.999f, 1e-8f, 0, 0, 0, 1};
	const struct weft_graph *graph = weft_session_graph(session);
	uint32_t random = 1 + (uint32_t)weft_session_steps(session);

	assert_int_equal(weft_session_hyper(session, hyper), 0);
	for (uint32_t i = 0; i < graph->inputs; i++) {
		const struct weft_value *value = &graph->value[graph->input[i]];
		void *memory;
		size_t bytes;

		assert_int_equal(weft_session_input(session, value->name, &memory, &bytes), 0);
		for (size_t j = 0; j < bytes / 4; j++) {
			random = random * 1664525 + 1013904223;
			if (value->layout.type == WEFT_TYPE_F32)
				((float *)memory)[j] = (float)(random >> 8) / (1 << 23) - 1;
			else
				((int32_t *)memory)[j] = (int32_t)(random >> 8) % 10;
		}
	}
}

static int train(const struct network *network, struct weft_session_options *options, unsigned int threads,
		 char hex[65], struct weft_session_usage *usage, struct weft_session_refusal *refusal)
{
	struct weft_graph *graph = load(network);
	struct accel_device *device;
	struct weft_session *session;
	char spec[64];
	int result;

	snprintf(spec, sizeof(spec), "embedded:mem=256M,threads=%u", threads);
	if (accel_device_open(spec, &device))
		fail_msg("%s", accel_error());
	options->storage_dir = "/tmp";
	result = weft_session_new(device, graph, options, &session, refusal);
	if (result && result != -ENOSPC)
		fail_msg("%s", weft_error());
	for (unsigned int i = 0; !result && i < STEPS; i++) {
		feed(session);
		if (weft_session_step(session))
			fail_msg("%s", weft_error());
	}
	if (!result) {
		assert_int_equal(weft_session_digest(session, hex), 0);
		assert_int_equal(weft_session_usage(session, usage), 0);
		assert_true(usage->peak_device_bytes <= options->device_bytes);
		assert_true(usage->peak_host_bytes <= options->host_bytes);
		assert_true(usage->peak_storage_bytes <= options->storage_bytes);
		weft_session_free(session);
	}
	accel_device_unref(device);
	return result;
}

static void same_weights(const struct network *network)
{
	static const struct {
		int policy;
		uint64_t storage;
		bool recomputes;
	} runs[] = {
		{WEFT_POLICY_RECOMPUTE, 0, true},
		{WEFT_POLICY_HOST, 0, false},
		{WEFT_POLICY_STORAGE, 64 << 20, false},
		{WEFT_POLICY_AUTO, 64 << 20, false},
	};
	struct weft_session_options keep = {
		.device_bytes = UINT64_MAX, .host_bytes = UINT64_MAX, .policy = WEFT_POLICY_KEEP};
	struct weft_session_refusal refusal;
	struct weft_session_usage usage;
	char expected[65], hex[65];
	uint64_t peak;

	assert_int_equal(train(network, &keep, 1, expected, &usage, &refusal), 0);
	peak = usage.peak_device_bytes;
	assert_int_equal(train(network, &keep, 2, hex, &usage, &refusal), 0);
	assert_string_equal(hex, expected);
	for (unsigned int i = 0; i < sizeof(runs) / sizeof(runs[0]); i++) {
		struct weft_session_options options = {
			.device_bytes = peak * network->percent / 100,
			.host_bytes = UINT64_MAX,
			.storage_bytes = runs[i].storage,
			.policy = runs[i].policy,
		};

		if (train(network, &options, 1 + i % 2, hex, &usage, &refusal))
			fail_msg("%s, policy %d: %s", network->file, runs[i].policy, weft_error());
		assert_string_equal(hex, expected);
		if (runs[i].recomputes)
			assert_true(usage.recomputed_ops > 0);
		if (runs[i].policy == WEFT_POLICY_STORAGE)
			assert_true(usage.peak_storage_bytes > 0);
		/* The edge: the least budget works. */
		if (runs[i].policy == WEFT_POLICY_STORAGE)
			continue;
		options.device_bytes = 4096;
		assert_int_equal(train(network, &options, 1, hex, &usage, &refusal), -ENOSPC);
		assert_true(refusal.least_device_bytes <= peak * network->percent / 100);
		options.device_bytes = refusal.least_device_bytes;
		assert_int_equal(train(network, &options, 1, hex, &usage, &refusal), 0);
		assert_string_equal(hex, expected);
	}
}

static void lenet_trains_in_half(void **state)
{
	(void)state;
	same_weights(&lenet);
}

static void resnet_trains_in_a_third(void **state)
{
	(void)state;
	same_weights(&resnet);
}

/* A label that is no class stops the step with a sentence, and nothing else. */
static void bad_label_is_named(void **state)
{
	struct weft_session_options options = {
		.device_bytes = UINT64_MAX, .host_bytes = UINT64_MAX, .policy = WEFT_POLICY_KEEP};
	struct weft_graph *graph = load(&lenet);
	struct accel_device *device;
	struct weft_session *session;
	const char *label;
	void *memory;

	(void)state;
	assert_int_equal(accel_device_open("embedded:mem=64M", &device), 0);
	assert_int_equal(weft_session_new(device, graph, &options, &session, NULL), 0);
	feed(session);
	label = graph->value[graph->label].name;
	assert_int_equal(weft_session_input(session, label, &memory, NULL), 0);
	((int32_t *)memory)[5] = 4711;
	assert_int_equal(weft_session_step(session), -EIO);
	if (!strstr(weft_error(), "loss") || !strstr(weft_error(), label) || !strstr(weft_error(), "4711"))
		fail_msg("the sentence is '%s'", weft_error());
	weft_session_free(session);
	accel_device_unref(device);
}

/* Values keep their ids; constants have their contents only once they were taken. */
static void split_is_valid(struct weft_graph *graph, uint32_t parts)
{
	struct weft_graph *split;

	assert_int_equal(weft_graph_split(graph, parts, 1 << 17, &split), 0);
	assert_true(split->operations >= graph->operations + parts);
	assert_int_equal(split->label, graph->label);
	weft_graph_take_data(split, graph);
	if (weft_graph_check(split))
		fail_msg("%u parts: %s", parts, weft_error());
	weft_graph_take_data(graph, split);
	weft_graph_free(split);
}

static void split_graphs_are_valid(void **state)
{
	static const struct weft_tuning tuning[] = {
		{0}, {.clip_norm = 1}, {.accumulate = 4}, {.accumulate = 2, .clip_norm = 1}, {.lora_rank = 2}};

	(void)state;
	for (size_t i = 0; i < sizeof(tuning) / sizeof(tuning[0]); i++) {
		struct network network = lenet;
		struct weft_graph *graph, *split;

		network.tuning = tuning[i];
		graph = load(&network);
		assert_int_equal(weft_graph_split(graph, 1, 1, &split), -ERANGE);
		assert_int_equal(weft_graph_split(graph, 7, 1, &split), -ERANGE);
		assert_int_equal(weft_graph_split(graph, 2, UINT64_MAX, &split), -ERANGE);
		for (uint32_t parts = 2; parts <= 64; parts *= 2)
			split_is_valid(graph, parts);
		weft_graph_free(graph);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(split_graphs_are_valid),
		cmocka_unit_test(bad_label_is_named),
		cmocka_unit_test(lenet_trains_in_half),
		cmocka_unit_test(resnet_trains_in_a_third),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
