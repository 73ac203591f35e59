// SPDX-License-Identifier: MIT
/* weft calibrate: measure what operations and tiers cost here, so that plans know. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "exec/calibration.h"
#include "json.h"
#include "graph/graph.h"
#include "model_options.h"
#include "sizes.h"
#include "tuning.h"
#include "weft/error.h"

enum { KEY_TRAIN = KEY_COMMAND, KEY_STEPS, KEY_AGAIN, KEY_JSON };

struct arguments {
	struct budget_options budget;
	struct tuning_options tuning;
	struct model_options model;
	bool train, again, json;
	unsigned int steps;
};

/* What was found: predictions and measurements of one plan. */
struct comparison {
	const char *name;
	bool feasible;
	uint64_t device_bytes;
	double modelled_seconds, predicted_seconds, predicted_joules;
	struct weft_step_cost measured;
};

#define COMPARISONS 2

struct calibrating {
	const struct arguments *arguments;
	struct accel_device *device;
	struct weft_model *model;
	char path[PATH_MAX];
	bool cached;
	unsigned int steps;
	struct weft_calibration calibration;
	struct comparison comparison[COMPARISONS];
};

static const struct argp_option options[] = {
	{"train", KEY_TRAIN, NULL, 0, "Measure a training step (otherwise: inference)", 1},
	{"steps", KEY_STEPS, "N", 0, "Steps to take the least of (default: as many as take 4 s, from 5 to 100)", 2},
	{"again", KEY_AGAIN, NULL, 0, "Measure even what has been measured before", 2},
	{"json", KEY_JSON, NULL, 0, "Print one JSON object on standard output", 3},
	{0},
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct arguments *arguments = state->input;

	switch (key) {
	case KEY_TRAIN:
		arguments->train = true;
		return 0;
	case KEY_STEPS:
		arguments->steps = (unsigned int)argument_whole(state, "--steps", arg, 1, 100);
		return 0;
	case KEY_AGAIN:
		arguments->again = true;
		return 0;
	case KEY_JSON:
		arguments->json = true;
		return 0;
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &arguments->budget;
		state->child_inputs[1] = &arguments->tuning;
		state->child_inputs[2] = &arguments->model;
		return 0;
	case ARGP_KEY_END:
		model_required(state, &arguments->model);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_child children[] = {{&budget_argp, 0, "Device and budgets:", 10},
					     {&tuning_argp, 0, "What is trained:", 9},
					     {&model_argp, 0, "The model:", 7},
					     {0}};
static const struct argp argp = {
	options,
	parse,
	"MODEL.onnx",
	"Measure once what each operation of a model, and moving bytes between the tiers, takes on this device. "
	"Steps of the same model, batch and optimizer are planned with it from then on (unless --costs model). "
	"Then run steps of a plan, and one of half the memory, and say how far predictions are from them.\v"
	"EXAMPLES\n"
	"  weft calibrate lenet.onnx --train --batch 64\n"
	"  weft calibrate lenet.onnx --train --batch 64 --storage /var/tmp:64M\n",
	children,
	NULL,
	NULL,
};

static int make_graph(const struct calibrating *c, struct weft_graph **graph)
{
	const struct arguments *arguments = c->arguments;
	struct weft_graph_options graph_options = {
		.training = arguments->train,
		.loss = arguments->train ? arguments->tuning.loss : WEFT_LOSS_NONE,
		.optimizer = arguments->tuning.optimizer,
		.tuning = &arguments->tuning.tuning,
	};

	model_options_apply(&arguments->model, &graph_options);
	return weft_model_graph(c->model, &graph_options, graph);
}

static int open_session(const struct calibrating *c, const struct weft_session_options *session_options,
			struct weft_session **session, struct weft_session_refusal *refusal)
{
	struct weft_graph *graph;
	int result = make_graph(c, &graph);

	return result ? result : weft_session_new(c->device, graph, session_options, session, refusal);
}

static int find_file(struct calibrating *c)
{
	struct accel_device_info info = {.size = sizeof(info)};
	uint64_t device_key, model_key;
	struct weft_graph *graph;
	int result;

	if (accel_device_query(c->device, &info))
		return weft_fail(EIO, "%s", accel_error());
	result = make_graph(c, &graph);
	if (result)
		return result;
	device_key = weft_device_key(&info);
	model_key = weft_graph_key(graph);
	weft_graph_free(graph);
	result = weft_calibration_path(device_key, model_key, c->path, sizeof(c->path));
	if (result || c->arguments->again) {
		c->calibration.device_key = device_key;
		c->calibration.model_key = model_key;
		return result;
	}
	result = weft_calibration_read(c->path, device_key, model_key, &c->calibration);
	/* Storage in another directory than was measured: measure again. */
	c->cached = !result && (!c->arguments->budget.storage_dir ||
				c->calibration.storage_key == weft_storage_key(c->arguments->budget.storage_dir));
	if (result && result != -ENOENT)
		fprintf(stderr, "weft: %s: measuring again\n", weft_error());
	if (!c->cached) {
		weft_calibration_clear(&c->calibration);
		c->calibration.device_key = device_key;
		c->calibration.model_key = model_key;
	}
	return 0;
}

/* Short steps are disturbed more by what else the machine does. */
static int choose_steps(struct calibrating *c, struct weft_session *session)
{
	struct weft_step_cost cost;
	int result;

	c->steps = c->arguments->steps;
	if (c->steps)
		return 0;
	result = weft_measure_feed(session);
	if (!result)
		result = weft_measure_steps(session, WEFT_CLOCK_WALL, 1, &cost);
	if (!result)
		c->steps = cost.seconds > 0.8 ? 5 : cost.seconds < 0.04 ? 100 : (unsigned int)(4 / cost.seconds);
	return result;
}

static int measure_tiles(struct calibrating *c)
{
	struct weft_graph *graph;
	int result = make_graph(c, &graph);

	if (!result) {
		result = weft_measure_tiles(c->device, graph, &c->calibration);
		weft_graph_free(graph);
	}
	return result;
}

static int measure(struct calibrating *c, struct weft_session_refusal *refusal)
{
	struct weft_session_options session_options = c->arguments->budget.session;
	uint64_t device_key = c->calibration.device_key, model_key = c->calibration.model_key;
	struct weft_session *session;
	int result;

	session_options.model_costs = true;
	result = open_session(c, &session_options, &session, refusal);
	if (result)
		return result;
	result = choose_steps(c, session);
	if (!result)
		result = weft_measure(c->device, session, c->steps, session_options.storage_dir, &c->calibration);
	weft_session_free(session);
	if (!result)
		result = measure_tiles(c);
	if (result)
		return result;
	c->calibration.device_key = device_key;
	c->calibration.model_key = model_key;
	return weft_calibration_write(c->path, &c->calibration);
}

/* Times that a plan for tiles that had not been measured may become one for others. */
#define ROUNDS 3

/*
 * Plan with measured costs.  Operations that the plan has split are measured too,
 * after which another plan may be the better one.  By the model's clock, they cost
 * what the model says.
 */
static int plan_measured(struct calibrating *c, const struct weft_session_options *session_options,
			 struct weft_session **session)
{
	for (unsigned int round = 0;; round++) {
		int result = open_session(c, session_options, session, NULL);

		if (result || round == ROUNDS || c->calibration.clock == WEFT_CLOCK_MODEL ||
		    weft_calibration_covers(&c->calibration, weft_session_graph(*session)))
			return result;
		result = choose_steps(c, *session);
		if (!result)
			result = weft_measure_more(c->device, *session, c->steps, &c->calibration);
		if (!result)
			result = weft_calibration_write(c->path, &c->calibration);
		weft_session_free(*session);
		*session = NULL;
		if (result)
			return result;
	}
}

/* Plan, with measured costs or the model's, and run; both have the same budgets. */
static int compare(struct calibrating *c, struct comparison *comparison, uint64_t device_bytes)
{
	struct weft_session_options session_options = c->arguments->budget.session;
	struct weft_session_usage usage = {0};
	struct weft_session *session;
	int result;

	session_options.device_bytes = device_bytes;
	session_options.model_costs = true;
	result = open_session(c, &session_options, &session, NULL);
	if (!result)
		result = weft_session_usage(session, &usage);
	comparison->modelled_seconds = usage.predicted_seconds;
	if (!result)
		weft_session_free(session);
	session_options.model_costs = false;
	if (!result)
		result = plan_measured(c, &session_options, &session);
	if (result)
		return result == -ENOSPC ? 0 : result;
	result = weft_measure_feed(session);
	if (!result)
		result = weft_session_step(session);
	if (!result)
		result = choose_steps(c, session);
	if (!result)
		result = weft_measure_steps(session, c->calibration.clock, c->steps, &comparison->measured);
	if (!result)
		result = weft_session_usage(session, &usage);
	comparison->feasible = true;
	comparison->predicted_seconds = usage.predicted_seconds;
	comparison->predicted_joules = usage.predicted_joules;
	comparison->device_bytes = weft_session_plan(session)->peak[WEFT_TIER_DEVICE];
	weft_session_free(session);
	return result;
}

static double off(double predicted, double measured)
{
	return measured > 0 ? predicted / measured - 1 : 0;
}

static void print_rate(const char *what, const struct weft_transfer_cost *cost)
{
	char text[32];

	printf("  %-16s %.3g MB/s, and %s for each transfer\n", what, cost->bytes_per_second * 1e-6,
	       seconds_format(cost->seconds, text));
}

static void print_table(const struct calibrating *c)
{
	const struct weft_calibration *calibration = &c->calibration;
	char text[32], more[32], size[24];

	printf("  %-16s %u different ones, by %s%s\n", "operations", calibration->commands,
	       calibration->clock == WEFT_CLOCK_WALL ? "the clock" : "the cycles that the device counts",
	       c->cached ? "; measured before" : "");
	print_rate("to the device", &calibration->page_in);
	print_rate("to the host", &calibration->page_out);
	printf("  %-16s %s from one engine to another\n", "handover",
	       seconds_format(calibration->handover_seconds, text));
	if (calibration->storage_key) {
		print_rate("from storage", &calibration->load);
		print_rate("to storage", &calibration->store);
	}
	printf("  %-16s %s\n", "kept in", c->path);
	for (unsigned int i = 0; i < COMPARISONS; i++) {
		const struct comparison *comparison = &c->comparison[i];

		if (!comparison->feasible)
			continue;
		printf("%s: %s of device memory\n", comparison->name, size_format(comparison->device_bytes, size));
		printf("  %-16s %s measured, %s predicted (%+.1f %%); the device's model says %+.1f %%\n", "step",
		       seconds_format(comparison->measured.seconds, text),
		       seconds_format(comparison->predicted_seconds, more),
		       100 * off(comparison->predicted_seconds, comparison->measured.seconds),
		       100 * off(comparison->modelled_seconds, comparison->measured.seconds));
		printf("  %-16s %s by the device's counters, %s predicted (%+.2f %%)\n", "energy",
		       joules_format(comparison->measured.joules, text),
		       joules_format(comparison->predicted_joules, more),
		       100 * off(comparison->predicted_joules, comparison->measured.joules));
	}
}

static void add_rate(cJSON *object, const char *name, const struct weft_transfer_cost *cost)
{
	cJSON *rate = cJSON_AddObjectToObject(object, name);

	cJSON_AddNumberToObject(rate, "bytes_per_second", cost->bytes_per_second);
	cJSON_AddNumberToObject(rate, "seconds", cost->seconds);
}

static void print_json(const struct calibrating *c)
{
	const struct weft_calibration *calibration = &c->calibration;
	cJSON *object = cJSON_CreateObject(), *plans = cJSON_CreateArray();

	cJSON_AddStringToObject(object, "file", c->path);
	cJSON_AddBoolToObject(object, "measured_before", c->cached);
	cJSON_AddStringToObject(object, "clock", calibration->clock == WEFT_CLOCK_WALL ? "wall" : "model");
	cJSON_AddNumberToObject(object, "operations", calibration->commands);
	cJSON_AddNumberToObject(object, "step_seconds", calibration->step_seconds);
	cJSON_AddNumberToObject(object, "handover_seconds", calibration->handover_seconds);
	add_rate(object, "page_in", &calibration->page_in);
	add_rate(object, "page_out", &calibration->page_out);
	if (calibration->storage_key) {
		add_rate(object, "load", &calibration->load);
		add_rate(object, "store", &calibration->store);
	}
	for (unsigned int i = 0; i < COMPARISONS; i++) {
		const struct comparison *comparison = &c->comparison[i];
		cJSON *plan;

		if (!comparison->feasible)
			continue;
		plan = cJSON_CreateObject();
		cJSON_AddStringToObject(plan, "name", comparison->name);
		cJSON_AddNumberToObject(plan, "device_bytes", (double)comparison->device_bytes);
		cJSON_AddNumberToObject(plan, "measured_seconds", comparison->measured.seconds);
		cJSON_AddNumberToObject(plan, "predicted_seconds", comparison->predicted_seconds);
		cJSON_AddNumberToObject(plan, "modelled_seconds", comparison->modelled_seconds);
		cJSON_AddNumberToObject(plan, "measured_joules", comparison->measured.joules);
		cJSON_AddNumberToObject(plan, "predicted_joules", comparison->predicted_joules);
		cJSON_AddItemToArray(plans, plan);
	}
	cJSON_AddItemToObject(object, "plans", plans);
	json_print(object);
}

static int calibrate(struct calibrating *c)
{
	const struct arguments *arguments = c->arguments;
	uint64_t asked = arguments->budget.session.device_bytes;
	struct weft_session_refusal refusal = {0};
	int result = weft_model_load(arguments->model.path, &c->model);

	if (!result && budget_open_device(&arguments->budget, &c->device))
		return STATUS_FAILED;
	if (!result)
		result = find_file(c);
	if (!result && !c->cached)
		result = measure(c, &refusal);
	if (result == -ENOSPC && (refusal.least_device_bytes || refusal.least_host_bytes))
		return command_refused(&arguments->budget, &refusal);
	c->comparison[0].name = "as asked";
	c->comparison[1].name = "half the memory";
	if (!result)
		result = compare(c, &c->comparison[0], asked);
	if (!result && c->comparison[0].feasible)
		result = compare(c, &c->comparison[1], c->comparison[0].device_bytes / 2);
	if (result)
		return command_error("%s", weft_error());
	if (arguments->json)
		print_json(c);
	else
		print_table(c);
	return STATUS_DONE;
}

static int run(int argc, char **argv)
{
	struct arguments arguments = {.model.batch = 64};
	struct calibrating c = {.arguments = &arguments};
	int status;

	budget_defaults(&arguments.budget);
	tuning_defaults(&arguments.tuning);
	command_parse(&argp, argc, argv, &arguments);
	status = calibrate(&c);
	weft_calibration_clear(&c.calibration);
	accel_device_unref(c.device);
	weft_model_free(c.model);
	budget_free(&arguments.budget);
	tuning_free(&arguments.tuning);
	model_options_free(&arguments.model);
	return status;
}

const struct command command_calibrate = {"calibrate", "measure what operations and transfers cost here", run};
