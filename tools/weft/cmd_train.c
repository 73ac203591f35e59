// SPDX-License-Identifier: MIT
/* weft train */
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "command.h"
#include "json.h"
#include "micro_batches.h"
#include "model_options.h"
#include "data_options.h"
#include "plan/plan.h"
#include "progress.h"
#include "sizes.h"
#include "timeline.h"
#include "tuning.h"
#include "weft/error.h"
#include "weft/train.h"

enum {
	KEY_DATA = KEY_COMMAND,
	KEY_EPOCHS,
	KEY_LR,
	KEY_MOMENTUM,
	KEY_WEIGHT_DECAY,
	KEY_SEED,
	KEY_OUT,
	KEY_CHECKPOINT_EVERY,
	KEY_EVAL_EVERY,
	KEY_PATIENCE,
	KEY_LR_SCHEDULE,
	KEY_WARMUP,
	KEY_TRAIN,
	KEY_AUGMENT,
	KEY_RESUME,
	KEY_TIMELINE,
	KEY_JSON,
	KEY_MICRO,
	KEY_QUIET,
};

struct train_arguments {
	struct budget_options budget;
	struct tuning_options tuning;
	struct model_options model;
	struct weft_train_options train;
	const char *timeline;
	double lr, momentum, weight_decay; /* NAN: the optimizer's default */
	bool micro_batches, json, quiet;
	struct progress progress;
};

static const struct argp_option options[] = {
	{"data", KEY_DATA, "DIR", 0,
	 "Labelled images: a directory with IDX (MNIST), CIFAR binary or NPY files, or with pictures in "
	 "train/CLASS and test/CLASS, or text, also as a single .csv or .jsonl file; or generate:28x28x1, "
	 "generate:32x32x3",
	 1},
	{"augment", KEY_AUGMENT, "WHAT", 0,
	 "flip (left to right, every other image), crop:N (shifted by up to N pixels), or flip,crop:N", 1},
	{"epochs", KEY_EPOCHS, "N", 0, "Passes over the training set (default: 5)", 1},
	{"lr", KEY_LR, "F", 0, "Learning rate (default: 0.01 for sgd, 0.001 otherwise)", 1},
	{"lr-schedule", KEY_LR_SCHEDULE, "NAME", 0,
	 "constant; step[:EPOCHS[:FACTOR]], times FACTOR (0.1) every EPOCHS (a third of all); cosine[:FACTOR], down to "
	 "FACTOR (0) at the end (default: constant)",
	 1},
	{"warmup", KEY_WARMUP, "N", 0, "Updates over which the learning rate rises to what it is (default: 0)", 1},
	{"momentum", KEY_MOMENTUM, "F", 0, "Momentum of sgd (default: 0.9)", 1},
	{"weight-decay", KEY_WEIGHT_DECAY, "F", 0, "Weight decay (default: 0.01 for adamw, 0 otherwise)", 1},
	{"seed", KEY_SEED, "N", 0, "Order of examples and everything else that is drawn (default: 0)", 1},
	{"train", KEY_TRAIN, "PATTERN", 0, "The same as --train-weights", 1},
	{"micro-batches", KEY_MICRO, NULL, 0, MICRO_BATCHES_HELP, 1},
	{"out", KEY_OUT, "DIR", 0, "Keep model.onnx, model.safetensors, checkpoint and metrics.jsonl there", 2},
	{"checkpoint-every", KEY_CHECKPOINT_EVERY, "N", 0,
	 "Steps between checkpoints (default: at the end of an epoch only)", 2},
	{"eval-every", KEY_EVAL_EVERY, "N", 0, "Steps between evaluations, besides those at the end of an epoch", 2},
	{"patience", KEY_PATIENCE, "N", 0,
	 "End after N evaluations in a row without a lower test loss, with the weights of the lowest", 2},
	{"resume", KEY_RESUME, NULL, 0, "Go on from the checkpoint in --out DIR, if there is one", 2},
	{"timeline", KEY_TIMELINE, "FILE.svg", 0, "Draw the memory of one training step", 2},
	{"json", KEY_JSON, NULL, 0, "Print one JSON object on standard output", 2},
	{"quiet", KEY_QUIET, NULL, 0, "No progress", 2},
	{0},
};

static volatile sig_atomic_t signal_received;

static void on_signal(int number)
{
	signal_received = number;
}

static void check_arguments(struct argp_state *state, const struct train_arguments *arguments)
{
	model_required(state, &arguments->model);
	if (!arguments->train.data)
		argp_error(state, "which data? Give --data DIR, or --data generate:28x28x1");
	if (arguments->train.resume && !arguments->train.out)
		argp_error(state, "--resume goes on from the checkpoint of --out DIR, which is not given");
	if (arguments->train.checkpoint_every && !arguments->train.out)
		argp_error(state, "--checkpoint-every needs --out DIR to keep checkpoints in");
}

/* NAME[:EPOCHS[:FACTOR]]; what is not given stays 0 or NAN. */
static void parse_schedule(struct argp_state *state, char *text, struct weft_schedule *schedule)
{
	char *rest = strchr(text, ':');

	if (rest)
		*rest++ = '\0';
	schedule->epochs = 0;
	if (!strcmp(text, "step")) {
		char *factor = rest ? strchr(rest, ':') : NULL;

		if (factor)
			*factor++ = '\0';
		schedule->kind = WEFT_SCHEDULE_STEP;
		schedule->epochs = rest ? (uint32_t)argument_whole(state, "--lr-schedule step", rest, 1, 1000000) : 0;
		schedule->factor = factor ? argument_number(state, "--lr-schedule step", factor, 0, 1) : 0.1;
	} else if (!strcmp(text, "cosine")) {
		schedule->kind = WEFT_SCHEDULE_COSINE;
		schedule->factor = rest ? argument_number(state, "--lr-schedule cosine", rest, 0, 1) : 0;
	} else if (!strcmp(text, "constant") && !rest) {
		schedule->kind = WEFT_SCHEDULE_CONSTANT;
	} else {
		argp_error(state, "--lr-schedule %s: expected constant, step[:EPOCHS[:FACTOR]] or cosine[:FACTOR]",
			   text);
	}
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct train_arguments *arguments = state->input;
	struct weft_train_options *train = &arguments->train;

	switch (key) {
	case KEY_DATA:
		train->data = arg;
		return 0;
	case KEY_AUGMENT:
		data_augmentation(state, arg, &train->augmentation);
		return 0;
	case KEY_EPOCHS:
		train->epochs = (uint32_t)argument_whole(state, "--epochs", arg, 1, 1000000);
		return 0;
	case KEY_LR:
		arguments->lr = argument_number(state, "--lr", arg, 0, 1e30);
		return 0;
	case KEY_MOMENTUM:
		arguments->momentum = argument_number(state, "--momentum", arg, 0, 1);
		return 0;
	case KEY_WEIGHT_DECAY:
		arguments->weight_decay = argument_number(state, "--weight-decay", arg, 0, 1e6);
		return 0;
	case KEY_SEED:
		arguments->budget.session.seed = argument_whole(state, "--seed", arg, 0, UINT64_MAX);
		return 0;
	case KEY_OUT:
		train->out = arg;
		return 0;
	case KEY_CHECKPOINT_EVERY:
		train->checkpoint_every = (uint32_t)argument_whole(state, "--checkpoint-every", arg, 1, UINT32_MAX);
		return 0;
	case KEY_EVAL_EVERY:
		train->evaluate_every = (uint32_t)argument_whole(state, "--eval-every", arg, 1, UINT32_MAX);
		return 0;
	case KEY_PATIENCE:
		train->patience = (uint32_t)argument_whole(state, "--patience", arg, 1, UINT32_MAX);
		return 0;
	case KEY_LR_SCHEDULE:
		parse_schedule(state, arg, &train->schedule);
		return 0;
	case KEY_WARMUP:
		train->schedule.warmup = argument_whole(state, "--warmup", arg, 0, UINT32_MAX);
		return 0;
	case KEY_TRAIN:
		tuning_train(state, &arguments->tuning, arg);
		return 0;
	case KEY_RESUME:
		train->resume = true;
		return 0;
	case KEY_TIMELINE:
		arguments->timeline = arg;
		return 0;
	case KEY_JSON:
		arguments->json = true;
		return 0;
	case KEY_MICRO:
		arguments->micro_batches = true;
		return 0;
	case KEY_QUIET:
		arguments->quiet = true;
		return 0;
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &arguments->budget;
		state->child_inputs[1] = &arguments->tuning;
		state->child_inputs[2] = &train->dataset;
		state->child_inputs[3] = &arguments->model;
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
					     {&data_argp, 0, "Data:", 8},
					     {&model_argp, 0, "The model:", 7},
					     {0}};
static const struct argp argp = {
	options,
	parse,
	"MODEL.onnx",
	"Train a model on labelled images or texts, within budgets of device memory, host memory and storage.\v"
	"The trained weights are the same bits for every budget, policy and number of threads.\n\n"
	"EXAMPLES\n"
	"  weft train lenet.onnx --data mnist --epochs 5 --out run\n"
	"  weft train lenet.onnx --data mnist --device-mem 2M --host-mem 1M --storage /var/tmp:64M --timeline "
	"step.svg\n"
	"  weft train lenet.onnx --data mnist --epochs 10 --out run --resume\n",
	children,
	NULL,
	NULL,
};

/* PyTorch's defaults, but for sgd's momentum. */
static void choose_hyper(struct train_arguments *arguments)
{
	bool sgd = arguments->tuning.optimizer == WEFT_OPTIMIZER_SGD,
	     adamw = arguments->tuning.optimizer == WEFT_OPTIMIZER_ADAMW;
	float *hyper = arguments->train.hyper;

	hyper[WEFT_HYPER_LR] = (float)(!isnan(arguments->lr) ? arguments->lr : sgd ? 0.01 : 0.001);
	hyper[WEFT_HYPER_BETA1] = (float)(!sgd ? 0.9 : !isnan(arguments->momentum) ? arguments->momentum : 0.9);
	hyper[WEFT_HYPER_BETA2] = sgd ? 0.0f : 0.999f;
	hyper[WEFT_HYPER_EPSILON] = 1e-8f;
	hyper[WEFT_HYPER_WEIGHT_DECAY] = (float)(!isnan(arguments->weight_decay) ? arguments->weight_decay
						 : adamw			 ? 0.01
										 : 0);
	hyper[WEFT_HYPER_GRADIENT_SCALE] = 1.0f;
}

/* What the shared options say, as the trainer takes it. */
static void gather_options(struct train_arguments *arguments)
{
	const struct tuning_options *tuning = &arguments->tuning;
	const struct model_options *model = &arguments->model;
	struct weft_train_options *train = &arguments->train;

	choose_hyper(arguments);
	if (!train->schedule.epochs)
		train->schedule.epochs = (train->epochs + 2) / 3;
	train->session = arguments->budget.session;
	train->loss = tuning->loss;
	train->optimizer = tuning->optimizer;
	train->tuning = tuning->tuning;
	train->tuning.lora_seed = train->session.seed;
	train->batch = model->batch;
	train->dim_names = model->dim_name;
	train->dim_values = model->dim_value;
	train->dims = model->dims;
	train->without_pass = model->without_pass;
	train->without_passes = model->without_passes;
}

static void on_step(void *user, const struct weft_train_progress *progress)
{
	progress_step(&((struct train_arguments *)user)->progress, progress);
}

static void on_epoch(void *user, const struct weft_train_progress *progress)
{
	progress_epoch(&((struct train_arguments *)user)->progress, progress);
}

static void on_note(void *user, const char *sentence)
{
	(void)user;
	fprintf(stderr, "weft: %s\n", sentence);
}

static int on_traced(void *user, struct weft_session *session)
{
	struct train_arguments *arguments = user;
	const struct weft_session_options *options = &arguments->budget.session;
	const struct weft_budget budget = {{options->device_bytes, options->host_bytes, options->storage_bytes},
					   options->time_ratio};

	return timeline_of_session(arguments->timeline, session, &budget);
}

static uint64_t peak_rss(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (uint64_t)usage.ru_maxrss << 10;
}

static bool was_refused(int status, const struct weft_train_result *result)
{
	return status == -ENOSPC && (result->refusal.least_device_bytes || result->refusal.least_host_bytes);
}

static void print_json(int status, const struct weft_train_result *result)
{
	cJSON *object = cJSON_CreateObject();

	if (was_refused(status, result)) {
		cJSON_AddNumberToObject(object, "least_device_bytes", (double)result->refusal.least_device_bytes);
		cJSON_AddNumberToObject(object, "least_host_bytes", (double)result->refusal.least_host_bytes);
		cJSON_AddBoolToObject(object, "together", result->refusal.together);
	}
	if (status) {
		cJSON_AddStringToObject(object, "error", weft_error());
	} else {
		if (isnan(result->test_accuracy))
			cJSON_AddNullToObject(object, "test_accuracy");
		else
			cJSON_AddNumberToObject(object, "test_accuracy", result->test_accuracy);
		if (isfinite(result->test_loss))
			cJSON_AddNumberToObject(object, "test_loss", result->test_loss);
		cJSON_AddNumberToObject(object, "final_loss", result->final_loss);
		cJSON_AddStringToObject(object, "weights_sha256", result->weights_sha256);
		cJSON_AddNumberToObject(object, "steps", (double)result->steps);
		cJSON_AddBoolToObject(object, "stopped", result->stopped);
		cJSON_AddBoolToObject(object, "stopped_early", result->early);
		if (!result->stopped)
			cJSON_AddNumberToObject(object, "best_step", (double)result->best_step);
		cJSON_AddNumberToObject(object, "peak_device_bytes", (double)result->usage.peak_device_bytes);
		cJSON_AddNumberToObject(object, "peak_host_bytes", (double)result->usage.peak_host_bytes);
		cJSON_AddNumberToObject(object, "peak_storage_bytes", (double)result->usage.peak_storage_bytes);
		cJSON_AddNumberToObject(object, "peak_rss_bytes", (double)peak_rss());
		cJSON_AddNumberToObject(object, "step_seconds", result->usage.step_seconds);
		cJSON_AddNumberToObject(object, "energy_joules", result->usage.energy_joules);
		cJSON_AddNumberToObject(object, "recomputed_ops", (double)result->usage.recomputed_ops);
		cJSON_AddNumberToObject(object, "paged_bytes", (double)result->usage.paged_bytes);
	}
	json_print(object);
}

static void print_line(const char *what, uint64_t bytes, uint64_t budget)
{
	char size[24], most[24];

	if (budget == UINT64_MAX)
		printf("  %-16s %10s\n", what, size_format(bytes, size));
	else
		printf("  %-16s %10s of %s\n", what, size_format(bytes, size), size_format(budget, most));
}

static void print_table(const struct train_arguments *arguments, const struct weft_train_result *result)
{
	const struct weft_session_options *options = &arguments->budget.session;
	const struct weft_session_usage *usage = &result->usage;
	char text[32], size[24];

	if (isfinite(result->test_accuracy))
		printf("  %-16s %8.2f %%\n", "test accuracy", 100 * result->test_accuracy);
	printf("  %-16s %10.4f\n", "training loss", result->final_loss);
	if (result->early)
		printf("  %-16s %10s after step %llu, the weights are those of step %llu\n", "stopped", "early",
		       (unsigned long long)result->steps, (unsigned long long)result->best_step);
	print_line("device memory", usage->peak_device_bytes, options->device_bytes);
	print_line("host memory", usage->peak_host_bytes, options->host_bytes);
	print_line("storage", usage->peak_storage_bytes, options->storage_bytes);
	printf("  %-16s %10s\n", "process", size_format(peak_rss(), size));
	printf("  %-16s %10s in all\n", "paged", size_format(usage->paged_bytes, size));
	printf("  %-16s %10llu operations in all\n", "recomputed", (unsigned long long)usage->recomputed_ops);
	printf("  %-16s %10s\n", "step", seconds_format(usage->step_seconds, text));
	printf("  %-16s %10s, by the device's model\n", "energy", joules_format(usage->energy_joules, text));
	printf("  %-16s %s\n", "weights", result->weights_sha256);
}

static int report(const struct train_arguments *arguments, int status, const struct weft_train_result *result)
{
	const char *out = arguments->train.out;

	if (arguments->json)
		print_json(status, result);
	if (was_refused(status, result))
		return command_refused(&arguments->budget, &result->refusal);
	if (status)
		return command_error("%s", weft_error());
	if (result->stopped) {
		if (out)
			command_error("stopped after step %llu; %s/checkpoint holds it, --resume goes on",
				      (unsigned long long)result->steps, out);
		else
			command_error("stopped after step %llu; nothing is kept without --out",
				      (unsigned long long)result->steps);
		return 128 + signal_received;
	}
	if (arguments->json)
		return STATUS_DONE;
	print_table(arguments, result);
	if (arguments->timeline)
		printf("  %-16s %s\n", "timeline", arguments->timeline);
	if (out)
		printf("  %-16s %s/model.onnx, model.safetensors, checkpoint, metrics.jsonl\n", "kept", out);
	return STATUS_DONE;
}

/* A smaller batch that fits, and more of them for an update.  What was refused stays so where there is none. */
static int choose_micro_batches(struct train_arguments *arguments, struct accel_device *device,
				const struct weft_model *model)
{
	struct weft_micro_batches found;
	int result = weft_train_micro_batches(device, model, &arguments->train, &found);

	if (result) {
		micro_batches_suggest(result, &found);
		return result;
	}
	micro_batches_chosen(&found);
	arguments->train.batch = found.batch;
	arguments->train.tuning.accumulate = found.accumulate;
	return 0;
}

static int train(struct train_arguments *arguments)
{
	struct weft_train_options *train = &arguments->train;
	struct weft_train_result result = {0};
	struct weft_model *model = NULL;
	struct accel_device *device = NULL;
	struct weft_micro_batches found;
	bool refused = false;
	int status = weft_model_load(arguments->model.path, &model);

	if (!status && budget_open_device(&arguments->budget, &device)) {
		weft_model_free(model);
		return STATUS_FAILED;
	}
	if (!status) {
		progress_init(&arguments->progress, arguments->quiet);
		train->stop = &signal_received;
		train->observer = (struct weft_train_observer){
			.user = arguments,
			.step = on_step,
			.epoch = on_epoch,
			.note = on_note,
			.traced = arguments->timeline ? on_traced : NULL,
		};
		status = weft_train(device, model, train, &result);
		progress_clear(&arguments->progress);
		refused = was_refused(status, &result);
		if (refused && arguments->micro_batches && !choose_micro_batches(arguments, device, model)) {
			status = weft_train(device, model, train, &result);
			progress_clear(&arguments->progress);
			refused = false;
		}
	}
	status = report(arguments, status, &result);
	if (refused && !arguments->micro_batches)
		micro_batches_suggest(weft_train_micro_batches(device, model, train, &found), &found);
	accel_device_unref(device);
	weft_model_free(model);
	return status;
}

static int run(int argc, char **argv)
{
	struct train_arguments arguments = {
		.model.batch = 64,
		.train.epochs = 5,
		.lr = NAN,
		.momentum = NAN,
		.weight_decay = NAN,
	};
	struct sigaction action = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND | SA_RESTART};
	int status;

	budget_defaults(&arguments.budget);
	tuning_defaults(&arguments.tuning);
	command_parse(&argp, argc, argv, &arguments);
	gather_options(&arguments);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	status = train(&arguments);
	budget_free(&arguments.budget);
	tuning_free(&arguments.tuning);
	model_options_free(&arguments.model);
	return status;
}

const struct command command_train = {"train", "train a model on labelled images or texts", run};
