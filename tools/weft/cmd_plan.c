// SPDX-License-Identifier: MIT
/* weft plan: its arguments. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "micro_batches.h"
#include "plan_command.h"
#include "sizes.h"

enum { KEY_TRAIN = KEY_COMMAND, KEY_INSTANCE, KEY_RAM, KEY_TIME_RATIO, KEY_TIMELINE, KEY_SWEEP, KEY_MICRO, KEY_JSON };

static const struct argp_option options[] = {
	{"train", KEY_TRAIN, NULL, 0, "Plan a training step (otherwise: inference)", 1},
	{"micro-batches", KEY_MICRO, NULL, 0, MICRO_BATCHES_HELP, 1},
	{"timeline", KEY_TIMELINE, "FILE.svg", 0, "Draw the memory of the planned step, or the schedule of --instance",
	 1},
	{"instance", KEY_INSTANCE, "FILE.json", 0, "Plan POET's problem in FILE instead of a model", 2},
	{"ram", KEY_RAM, "BYTES", 0, "Memory for --instance", 2},
	{"time-ratio", KEY_TIME_RATIO, "R", 0, "Most time for --instance, over that of computing everything once", 2},
	{"sweep", KEY_SWEEP, "FILE.svg", 0, "Draw energy and time against memory; points to FILE.csv", 3},
	{"json", KEY_JSON, NULL, 0, "Print one JSON object on standard output", 3},
	{0},
};

static void check_arguments(struct argp_state *state, const struct plan_arguments *arguments)
{
	if (!arguments->model.path == !arguments->instance)
		argp_error(state, "give either an ONNX file or --instance FILE.json");
	if (arguments->instance && !arguments->ram_bytes && !arguments->sweep)
		argp_error(state, "--instance needs --ram BYTES or --sweep FILE.svg");
	if (arguments->micro_batches && (!arguments->train || arguments->sweep))
		argp_error(state, "--micro-batches is for --train, and without --sweep");
	if (arguments->sweep && arguments->model.path && arguments->timeline)
		argp_error(state, "--timeline draws one plan, and --sweep makes many");
	if (arguments->instance && arguments->timeline && !arguments->ram_bytes)
		argp_error(state, "--timeline draws the plan of --instance for --ram BYTES");
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct plan_arguments *arguments = state->input;

	switch (key) {
	case KEY_TRAIN:
		arguments->train = true;
		return 0;
	case KEY_MICRO:
		arguments->micro_batches = true;
		return 0;
	case KEY_INSTANCE:
		arguments->instance = arg;
		return 0;
	case KEY_RAM:
		if (size_parse(arg, &arguments->ram_bytes) || !arguments->ram_bytes)
			argp_error(state, "--ram %s: expected a size, for example 65536 or 64K", arg);
		return 0;
	case KEY_TIME_RATIO:
		arguments->time_ratio = argument_number(state, "--time-ratio", arg, 1, 1e9);
		return 0;
	case KEY_TIMELINE:
		arguments->timeline = arg;
		return 0;
	case KEY_SWEEP:
		if (strlen(arg) < 5 || strcmp(arg + strlen(arg) - 4, ".svg"))
			argp_error(state, "--sweep %s: expected a name that ends in .svg", arg);
		arguments->sweep = arg;
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
		check_arguments(state, arguments);
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
	"MODEL.onnx\n--instance FILE.json --ram BYTES",
	"Say what would be kept, paged and recomputed within budgets, without training.\v"
	"EXAMPLES\n"
	"  weft plan lenet.onnx --train --batch 64\n"
	"  weft plan lenet.onnx --train --batch 64 --device-mem 2M --timeline plan.svg\n"
	"  weft plan lenet.onnx --train --batch 64 --sweep front.svg\n"
	"  weft plan --instance vgg16.json --ram 256K --time-ratio 1.5 --plan-seconds 10 --json\n"
	"  weft plan --instance vgg16.json --ram 256K --time-ratio 1.5 --timeline schedule.svg\n"
	"  weft plan --instance vgg16.json --sweep front.svg\n",
	children,
	NULL,
	NULL,
};

static int run(int argc, char **argv)
{
	struct plan_arguments arguments = {.model.batch = 64};
	int status;

	budget_defaults(&arguments.budget);
	tuning_defaults(&arguments.tuning);
	command_parse(&argp, argc, argv, &arguments);
	status = arguments.instance ? plan_instance(&arguments)
		 : arguments.sweep  ? plan_sweep(&arguments)
				    : plan_model(&arguments);
	budget_free(&arguments.budget);
	tuning_free(&arguments.tuning);
	model_options_free(&arguments.model);
	return status;
}

const struct command command_plan = {"plan", "say what would be kept, paged and recomputed", run};
