// SPDX-License-Identifier: MIT
/* weft compile: a model as a file that libaccel alone runs. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "json.h"
#include "model_options.h"
#include "sizes.h"
#include "weft/deploy.h"
#include "weft/error.h"
#include "weft/model.h"

enum { KEY_OUT = KEY_COMMAND, KEY_JSON };

struct compile_arguments {
	struct budget_options budget;
	const char *out;
	struct model_options model;
	bool json;
};

static const struct argp_option options[] = {
	{"out", KEY_OUT, "FILE", 0, "The compiled model (required)", 1},
	{"json", KEY_JSON, NULL, 0, "Print one JSON object on standard output", 1},
	{0},
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct compile_arguments *arguments = state->input;

	switch (key) {
	case KEY_OUT:
		arguments->out = arg;
		return 0;
	case KEY_JSON:
		arguments->json = true;
		return 0;
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &arguments->budget;
		state->child_inputs[1] = &arguments->model;
		return 0;
	case ARGP_KEY_END:
		model_required(state, &arguments->model);
		if (!arguments->out)
			argp_error(state, "where to? Give --out FILE");
		if (arguments->budget.storage_dir)
			argp_error(state, "--storage: a compiled model runs in device and host memory only");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_child children[] = {
	{&budget_argp, 0, "Device and budgets:", 10}, {&model_argp, 0, "The model:", 7}, {0}};
static const struct argp argp = {
	options,
	parse,
	"MODEL.onnx --out MODEL.weft",
	"Compile a model for inference into a file that a program runs with libaccel alone.\v"
	"EXAMPLES\n"
	"  weft compile run/model.onnx --out model.weft\n"
	"  weft compile mnist.int8.onnx --out mnist.weft --device-mem 256K\n",
	children,
	NULL,
	NULL,
};

static void print_json(const struct weft_deploy_report *report)
{
	cJSON *object = cJSON_CreateObject();

	cJSON_AddNumberToObject(object, "file_bytes", (double)report->file_bytes);
	cJSON_AddNumberToObject(object, "constant_bytes", (double)report->constant_bytes);
	cJSON_AddNumberToObject(object, "stream_bytes", (double)report->stream_bytes);
	cJSON_AddNumberToObject(object, "commands", report->commands);
	cJSON_AddNumberToObject(object, "device_bytes", (double)report->device_bytes);
	cJSON_AddNumberToObject(object, "host_bytes", (double)report->host_bytes);
	cJSON_AddNumberToObject(object, "predicted_seconds", report->predicted_seconds);
	cJSON_AddNumberToObject(object, "energy_joules", report->predicted_joules);
	json_print(object);
}

static void print_text(const char *path, const struct weft_deploy_report *report)
{
	char size[24];

	printf("  %-16s %s\n", path, size_format(report->file_bytes, size));
	printf("  %-16s %s\n", "constants", size_format(report->constant_bytes, size));
	printf("  %-16s %u, ", "commands", report->commands);
	printf("%s\n", size_format(report->stream_bytes, size));
	printf("  %-16s %s\n", "device memory", size_format(report->device_bytes, size));
	printf("  %-16s %s\n", "host memory", size_format(report->host_bytes, size));
}

static int run(int argc, char **argv)
{
	struct compile_arguments arguments = {.model.batch = 1};
	struct weft_graph_options graph_options = {.loss = WEFT_LOSS_NONE, .fixed_weights = true};
	struct weft_session_refusal refusal = {0};
	struct weft_deploy_report report;
	struct accel_device *device;
	struct weft_model *model;
	struct weft_graph *graph;
	int result, status = STATUS_DONE;

	budget_defaults(&arguments.budget);
	command_parse(&argp, argc, argv, &arguments);
	if (weft_model_load(arguments.model.path, &model))
		return command_error("%s", weft_error());
	if (budget_open_device(&arguments.budget, &device)) {
		weft_model_free(model);
		return STATUS_FAILED;
	}
	model_options_apply(&arguments.model, &graph_options);
	result = weft_model_graph(model, &graph_options, &graph);
	if (!result)
		result = weft_deploy(device, graph, &arguments.budget.session, arguments.out, &report, &refusal);
	if (result == -ENOSPC && (refusal.least_device_bytes || refusal.least_host_bytes))
		status = command_refused(&arguments.budget, &refusal);
	else if (result)
		status = command_error("%s", weft_error());
	else if (arguments.json)
		print_json(&report);
	else
		print_text(arguments.out, &report);
	accel_device_unref(device);
	weft_model_free(model);
	budget_free(&arguments.budget);
	model_options_free(&arguments.model);
	return status;
}

const struct command command_compile = {"compile", "make a file that libaccel alone runs", run};
