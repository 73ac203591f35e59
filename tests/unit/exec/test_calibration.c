// SPDX-License-Identifier: MIT
/* Measured costs: files, their damage, their use; and that a device's counters are what plans predict. */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "exec/calibration.h"
#include "exec/costs.h"
#include "exec/line.h"
#include "graph/graph.h"
#include "random_graph.h"
#include "weft/error.h"
#include "weft/session.h"

static char directory[] = "/tmp/weft-test-calibration-XXXXXX";

static struct accel_device *device(const char *spec)
{
	struct accel_device *opened;

	if (accel_device_open(spec, &opened))
		fail_msg("%s", accel_error());
	return opened;
}

static struct weft_session *session(struct accel_device *opened, uint64_t seed, struct weft_session_options *options)
{
	struct weft_session_refusal refusal;
	struct weft_session *made = NULL;
	int result = weft_session_new(opened, random_graph(seed, 24), options, &made, &refusal);

	if (result == -ENOSPC && refusal.least_device_bytes) {
		options->device_bytes = refusal.least_device_bytes;
		result = weft_session_new(opened, random_graph(seed, 24), options, &made, &refusal);
	}
	if (result)
		fail_msg("%s", weft_error());
	return made;
}

static struct weft_session_options unlimited(void)
{
	return (struct weft_session_options){
		.device_bytes = UINT64_MAX, .host_bytes = UINT64_MAX, .policy = WEFT_POLICY_AUTO, .model_costs = true};
}

static struct weft_calibration example(void)
{
	static struct weft_measured_command command[] = {
		{1, WEFT_OP_MATMUL, 0.5, 0.25}, {7, WEFT_OP_UNARY, 0.125, 0.5}, {UINT64_MAX, WEFT_OP_FILL, 0, 0}};

	return (struct weft_calibration){
		.device_key = 11,
		.model_key = 12,
		.clock = WEFT_CLOCK_WALL,
		.command = command,
		.commands = 3,
		.step_seconds = 1e-4,
		.handover_seconds = 1e-5,
		.page_in = {1e-6, 1e9, 0, 0},
		.page_out = {2e-6, 2e9, 0, 0},
		.storage_key = 13,
		.recent = {{1e6, 5e9, 4e9}, {2e6, 3e9, 3e9}},
		.load = {3e-6, 3e9, 0, 0},
		.store = {4e-6, 4e9, 0, 0},
	};
}

static void files_come_back(void **state)
{
	const struct weft_calibration written = example();
	struct weft_calibration read;
	char path[128];

	(void)state;
	snprintf(path, sizeof(path), "%s/deep/er/costs", directory);
	assert_int_equal(weft_calibration_read(path, 11, 12, &read), -ENOENT);
	assert_int_equal(weft_calibration_write(path, &written), 0);
	assert_int_equal(weft_calibration_read(path, 11, 12, &read), 0);
	assert_int_equal(read.commands, 3);
	for (unsigned int i = 0; i < 3; i++) {
		assert_true(read.command[i].key == written.command[i].key);
		assert_int_equal(read.command[i].opcode, written.command[i].opcode);
		assert_true(read.command[i].seconds == written.command[i].seconds);
		assert_true(read.command[i].modelled_seconds == written.command[i].modelled_seconds);
	}
	assert_true(read.step_seconds == written.step_seconds && read.handover_seconds == written.handover_seconds &&
		    read.storage_key == 13);
	assert_memory_equal(&read.page_in, &written.page_in, sizeof(read.page_in));
	assert_memory_equal(&read.page_out, &written.page_out, sizeof(read.page_out));
	assert_memory_equal(read.recent, written.recent, sizeof(read.recent));
	assert_memory_equal(&read.load, &written.load, sizeof(read.load));
	assert_memory_equal(&read.store, &written.store, sizeof(read.store));
	weft_calibration_clear(&read);
	/* Of another device or model than the name says. */
	assert_int_equal(weft_calibration_read(path, 10, 12, &read), -EBADMSG);
	assert_int_equal(weft_calibration_read(path, 11, 13, &read), -EBADMSG);
}

static size_t contents(const char *path, char *bytes, size_t room)
{
	int fd = open(path, O_RDONLY);
	ssize_t n = read(fd, bytes, room);

	close(fd);
	assert_true(n > 0);
	return (size_t)n;
}

static void put(const char *path, const char *bytes, size_t length)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_int_equal(write(fd, bytes, length), length);
	close(fd);
}

static void every_damage_is_seen(void **state)
{
	const struct weft_calibration written = example();
	struct weft_calibration read;
	char path[128], bytes[1024];
	size_t length;

	(void)state;
	snprintf(path, sizeof(path), "%s/damaged", directory);
	assert_int_equal(weft_calibration_write(path, &written), 0);
	length = contents(path, bytes, sizeof(bytes));
	for (size_t i = 0; i < length; i++) {
		bytes[i] ^= 0x10;
		put(path, bytes, length);
		if (weft_calibration_read(path, 11, 12, &read) != -EBADMSG)
			fail_msg("a flipped bit in byte %zu is not seen", i);
		bytes[i] ^= 0x10;
	}
	for (size_t shorter = 0; shorter < length; shorter += 7) {
		put(path, bytes, shorter);
		assert_int_equal(weft_calibration_read(path, 11, 12, &read), -EBADMSG);
	}
	put(path, bytes, length);
	assert_int_equal(weft_calibration_read(path, 11, 12, &read), 0);
	weft_calibration_clear(&read);
}

static void paths_follow_the_environment(void **state)
{
	char path[64];

	(void)state;
	setenv("XDG_CACHE_HOME", "/x", 1);
	setenv("HOME", "/h", 1);
	assert_int_equal(weft_calibration_path(1, 2, path, sizeof(path)), 0);
	assert_string_equal(path, "/x/weft/costs-0000000000000001-0000000000000002");
	setenv("XDG_CACHE_HOME", "relative", 1);
	assert_int_equal(weft_calibration_path(1, 2, path, sizeof(path)), 0);
	assert_string_equal(path, "/h/.cache/weft/costs-0000000000000001-0000000000000002");
	assert_int_equal(weft_calibration_path(1, 2, path, 20), -ENAMETOOLONG);
	unsetenv("XDG_CACHE_HOME");
	unsetenv("HOME");
	assert_int_equal(weft_calibration_path(1, 2, path, sizeof(path)), -ENOENT);
}

static void lines_are_fitted(void **state)
{
	static const struct {
		double x[3], y[3];
		unsigned int points;
		struct weft_line line;
	} cases[] = {
		{{0}, {0}, 0, {0, 0}},
		{{2}, {6}, 1, {0, 3}},
		{{1, 2, 3}, {5, 7, 9}, 3, {3, 2}},
		{{2, 2}, {6, 6}, 2, {0, 3}},
		{{1e-6, 1e-3, 1}, {3e-6, 1.002e-3, 1.000002}, 3, {2e-6, 1}},
		/* It would start below 0, or fall. */
		{{1, 2}, {1, 3}, 2, {0, 15.0 / 13}},
		{{1, 2}, {3, 3}, 2, {0, 1.8}},
		{{1, 2}, {2, 1}, 2, {0, 2.5 / 4.25}},
		{{0, 4}, {1, 8}, 2, {0, 2}},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct weft_line_sums sums = {0};
		struct weft_line line;

		for (unsigned int p = 0; p < cases[i].points; p++)
			weft_line_add(&sums, cases[i].x[p], cases[i].y[p]);
		line = weft_line_fit(&sums);
		if (fabs(line.start - cases[i].line.start) > 1e-6 * fabs(cases[i].line.start) ||
		    fabs(line.slope - cases[i].line.slope) > 1e-6 * fabs(cases[i].line.slope))
			fail_msg("case %zu: %g + %g x", i, line.start, line.slope);
		line = weft_line_through_origin(&sums);
		assert_true(line.start == 0 && (line.slope > 0) == (cases[i].points > 0));
	}
}

/* What was measured is taken over; what was not follows its opcode. */
static void costs_are_replaced(void **state)
{
	struct accel_device *opened = device("embedded:mem=16M");
	struct weft_graph *graph = random_graph(3, 24);
	struct weft_calibration calibration = example();
	struct weft_measured_command command[2];
	struct weft_costs model, measured;
	uint16_t opcode = graph->operation[0].opcode;
	weft_id other = WEFT_NO_ID;
	double far;

	(void)state;
	assert_int_equal(weft_costs_model(opened, graph, &model), 0);
	assert_int_equal(weft_costs_model(opened, graph, &measured), 0);
	command[0] = (struct weft_measured_command){weft_command_key(graph, 0), opcode, 42, 14};
	command[1] = (struct weft_measured_command){command[0].key + 1, opcode, 18, 6};
	calibration.command = command;
	calibration.commands = 2;
	calibration.storage_key = weft_storage_key(directory);
	weft_calibration_apply(&calibration, graph, NULL, &measured);
	assert_true(measured.measured && !model.measured);
	assert_true(measured.operation_seconds[0] == 42);
	for (weft_id o = 1; o < graph->operations; o++)
		if (weft_command_key(graph, o) != command[0].key)
			assert_true(fabs(measured.operation_seconds[o] / model.operation_seconds[o] - 3) < 1e-9);
	assert_true(measured.page_out.seconds == 2e-6 && measured.page_out.bytes_per_second == 2e9);
	assert_true(measured.page_out.joules_per_byte == model.page_out.joules_per_byte);
	assert_true(measured.load.bytes_per_second == model.load.bytes_per_second);
	weft_calibration_apply(&calibration, graph, directory, &measured);
	assert_true(measured.load.bytes_per_second == 3e9);
	assert_memory_equal(measured.recent, calibration.recent, sizeof(measured.recent));
	weft_costs_clear(&measured);
	/* What takes about as long says more: the first is as long as the others, the second ten times. */
	assert_int_equal(weft_costs_model(opened, graph, &measured), 0);
	for (weft_id o = 0; o < graph->operations; o++)
		if (weft_command_key(graph, o) != command[0].key && graph->operation[o].opcode == opcode)
			other = o;
	assert_true(other != WEFT_NO_ID);
	command[0].modelled_seconds = model.operation_seconds[other];
	command[0].seconds = 7 * command[0].modelled_seconds;
	command[1].modelled_seconds = 10 * model.operation_seconds[other];
	command[1].seconds = 3 * command[1].modelled_seconds;
	far = 10 / (0.1 + log(10) * log(10));
	weft_calibration_apply(&calibration, graph, NULL, &measured);
	assert_true(fabs(measured.operation_seconds[other] / model.operation_seconds[other] -
			 (10 * 7 + far * 3) / (10 + far)) < 1e-6);
	assert_false(weft_calibration_covers(&calibration, graph));
	weft_costs_clear(&model);
	weft_costs_clear(&measured);
	weft_graph_free(graph);
	accel_device_unref(opened);
}

/* A session plans with what the cache has, unless it is told not to, or the file is damaged. */
static void sessions_use_the_cache(void **state)
{
	struct accel_device *opened = device("embedded:mem=16M");
	struct accel_device_info info = {.size = sizeof(info)};
	struct weft_session_options options = unlimited();
	struct weft_graph *graph = random_graph(5, 24);
	struct weft_calibration calibration = {0};
	struct weft_session_usage model, measured;
	struct weft_session *made;
	char path[256];

	(void)state;
	setenv("XDG_CACHE_HOME", directory, 1);
	assert_int_equal(accel_device_query(opened, &info), 0);
	made = session(opened, 5, &options);
	assert_int_equal(weft_session_usage(made, &model), 0);
	assert_int_equal(weft_measure(opened, made, 2, directory, &calibration), 0);
	weft_session_free(made);
	assert_true(calibration.commands > 0 && calibration.page_in.bytes_per_second > 0);
	assert_true(calibration.storage_key == weft_storage_key(directory));
	calibration.device_key = weft_device_key(&info);
	calibration.model_key = weft_graph_key(graph);
	calibration.step_seconds = 1000;
	assert_int_equal(weft_calibration_path(calibration.device_key, calibration.model_key, path, sizeof(path)), 0);
	assert_int_equal(weft_calibration_write(path, &calibration), 0);
	weft_calibration_clear(&calibration);
	for (unsigned int round = 0; round < 3; round++) {
		options.model_costs = round == 1;
		if (round == 2)
			assert_int_equal(truncate(path, 100), 0);
		made = session(opened, 5, &options);
		assert_int_equal(weft_session_usage(made, &measured), 0);
		assert_int_equal(measured.predicted_seconds > 1000, round == 0);
		if (round)
			assert_true(measured.predicted_seconds == model.predicted_seconds);
		weft_session_free(made);
	}
	weft_graph_free(graph);
	accel_device_unref(opened);
}

/*
 * The counters of a modelled device after a step, engine by engine, are what the plan said:
 * cycles are whole numbers, so each command may differ by one.
 */
static void counters_are_what_plans_predict(void **state)
{
	static const char *const specs[] = {"embedded:profile=m4f,mem=256K", "embedded:profile=m0,mem=256K",
					    "embedded:profile=tpuv1,mem=256K", "embedded:profile=weft-1,mem=256K"};
	static const enum weft_lane lane[WEFT_ENGINES] = {
		[WEFT_ENGINE_COMPUTE] = WEFT_LANE_COMPUTE,
		[WEFT_ENGINE_DMA_IN] = WEFT_LANE_PAGE_IN,
		[WEFT_ENGINE_DMA_OUT] = WEFT_LANE_PAGE_OUT,
	};
	bool paged = false;

	(void)state;
	for (size_t i = 0; i < sizeof(specs) / sizeof(specs[0]); i++) {
		struct accel_counters before = {.size = sizeof(before)}, after = {.size = sizeof(after)};
		struct accel_device_info info = {.size = sizeof(info)};
		struct weft_session_options options = unlimited();
		struct accel_device *opened = device(specs[i]);
		struct weft_step_cost cost;
		const struct weft_plan *plan;
		struct weft_session *made;
		double picojoules = 0, commands = 0;

		options.device_bytes = i % 2 ? UINT64_MAX : 16384;
		made = session(opened, 7 + i, &options);
		plan = weft_session_plan(made);
		assert_int_equal(accel_device_query(opened, &info), 0);
		assert_int_equal(weft_measure_feed(made), 0);
		assert_int_equal(accel_device_counters(opened, &before), 0);
		assert_int_equal(weft_measure_steps(made, WEFT_CLOCK_MODEL, 1, &cost), 0);
		assert_int_equal(accel_device_counters(opened, &after), 0);
		for (unsigned int e = 0; e < WEFT_ENGINES; e++) {
			double cycles = (double)(after.model_cycles[e] - before.model_cycles[e]);
			double predicted = plan->lane_seconds[lane[e]] * (double)info.clock_hz;
			double each = (double)(after.commands[e] - before.commands[e]);

			if (fabs(cycles - predicted) > each + 1e-6 * cycles)
				fail_msg("%s, engine %u: %.0f cycles, predicted %.1f", specs[i], e, cycles, predicted);
			picojoules += (double)(after.model_picojoules[e] - before.model_picojoules[e]);
			commands += each;
		}
		if (fabs(picojoules - plan->joules * 1e12) > commands + 1e-6 * picojoules)
			fail_msg("%s: %.0f pJ, predicted %.1f", specs[i], picojoules, plan->joules * 1e12);
		assert_true(fabs(cost.seconds - plan->seconds) <=
			    1e-6 * plan->seconds + commands / (double)info.clock_hz);
		assert_true(fabs(cost.joules - plan->joules) <= 1e-6 * plan->joules + commands * 1e-12);
		paged = paged || plan->lane_seconds[WEFT_LANE_PAGE_OUT] > 0;
		weft_session_free(made);
		accel_device_unref(opened);
	}
	assert_true(paged);
}

/* By the model's clock, what is measured is the model. */
static void a_modelled_device_measures_as_its_model(void **state)
{
	struct accel_device *opened = device("embedded:profile=m4f,mem=16M");
	struct weft_session_options options = unlimited();
	struct weft_session *made = session(opened, 9, &options);
	struct weft_calibration calibration;

	(void)state;
	assert_int_equal(weft_measure(opened, made, 1, NULL, &calibration), 0);
	assert_int_equal(calibration.clock, WEFT_CLOCK_MODEL);
	for (uint32_t i = 0; i < calibration.commands; i++)
		assert_true(fabs(calibration.command[i].seconds / calibration.command[i].modelled_seconds - 1) < 1e-9);
	assert_true(fabs(calibration.page_in.bytes_per_second / 4616510 - 1) < 1e-3);
	assert_true(fabs(calibration.page_out.bytes_per_second / 4440000 - 1) < 1e-3);
	assert_true(fabs(calibration.page_in.seconds / 109e-6 - 1) < 0.01);
	weft_calibration_clear(&calibration);
	weft_session_free(made);
	accel_device_unref(opened);
}

/* Tiles are measured in a session that has them, and what is known already stays known. */
static void tiles_are_measured_too(void **state)
{
	struct accel_device *opened = device("embedded:mem=16M");
	struct weft_session_options options = unlimited(), small = unlimited();
	struct weft_session *whole = session(opened, 9, &options), *tiled;
	struct weft_calibration calibration;
	struct weft_graph *graph;
	uint32_t before;

	(void)state;
	small.device_bytes = 4096;
	tiled = session(opened, 9, &small);
	assert_int_equal(weft_measure(opened, whole, 2, NULL, &calibration), 0);
	assert_true(weft_calibration_covers(&calibration, weft_session_graph(whole)));
	assert_false(weft_calibration_covers(&calibration, weft_session_graph(tiled)));
	for (unsigned int i = 0; i < WEFT_RECENT_COSTS; i++) {
		const struct weft_recent_cost *recent = &calibration.recent[i];

		if (!recent->bytes)
			continue;
		assert_true(recent->in_bytes_per_second >= calibration.page_in.bytes_per_second);
		assert_true(!i || recent[-1].in_bytes_per_second >= recent->in_bytes_per_second);
		assert_true(!i || recent[-1].bytes < recent->bytes);
	}
	before = calibration.commands;
	graph = random_graph(9, 24);
	assert_int_equal(weft_measure_tiles(opened, graph, &calibration), 0);
	weft_graph_free(graph);
	assert_true(calibration.commands > before);
	before = calibration.commands;
	for (unsigned int round = 0; round < 2; round++) {
		assert_int_equal(weft_measure_more(opened, tiled, 2, &calibration), 0);
		assert_true(weft_calibration_covers(&calibration, weft_session_graph(whole)));
		assert_true(weft_calibration_covers(&calibration, weft_session_graph(tiled)));
		assert_true(calibration.commands > before);
		for (uint32_t i = 1; i < calibration.commands; i++)
			assert_true(calibration.command[i - 1].key < calibration.command[i].key);
	}
	weft_calibration_clear(&calibration);
	weft_session_free(whole);
	weft_session_free(tiled);
	accel_device_unref(opened);
}

static int setup(void **state)
{
	(void)state;
	return mkdtemp(directory) ? 0 : -1;
}

static int teardown(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", directory);
	return system(command);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files_come_back),
		cmocka_unit_test(every_damage_is_seen),
		cmocka_unit_test(paths_follow_the_environment),
		cmocka_unit_test(lines_are_fitted),
		cmocka_unit_test(costs_are_replaced),
		cmocka_unit_test(sessions_use_the_cache),
		cmocka_unit_test(counters_are_what_plans_predict),
		cmocka_unit_test(a_modelled_device_measures_as_its_model),
		cmocka_unit_test(tiles_are_measured_too),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
