// SPDX-License-Identifier: MIT
/* weft quantize: a float model as one of 8-bit integers. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "command.h"
#include "data_options.h"
#include "json.h"
#include "sizes.h"
#include "weft/error.h"
#include "weft/quantize.h"
#include "weft/train.h"

enum {
	KEY_DATA = KEY_COMMAND,
	KEY_METHOD,
	KEY_PERCENTILE,
	KEY_PER_CHANNEL,
	KEY_PER_TENSOR,
	KEY_KEEP_RANGES,
	KEY_KEEP_BIASES,
	KEY_EXAMPLES,
	KEY_OUT,
	KEY_QAT,
	KEY_LR,
	KEY_SEED,
	KEY_JSON
};

struct quantize_arguments {
	struct budget_options budget;
	struct weft_dataset_options dataset;
	struct weft_quantize_options quantize;
	const char *model, *data, *out;
	uint32_t epochs, batch;
	float lr;
	bool json;
};

static const struct argp_option options[] = {
	{"data", KEY_DATA, "DIR", 0, "Data set: training examples calibrate, the test tells the accuracy", 1},
	{"method", KEY_METHOD, "NAME", 0, "Ranges of activations by minmax, percentile or mse (default: minmax)", 1},
	{"percentile", KEY_PERCENTILE, "P", 0, "Values that percentile keeps, in percent (default: 99.99)", 1},
	{"per-channel", KEY_PER_CHANNEL, NULL, 0, "A scale for each output channel of a weight (the default)", 1},
	{"per-tensor", KEY_PER_TENSOR, NULL, 0, "One scale for each weight", 1},
	{"no-equalize", KEY_KEEP_RANGES, NULL, 0, "Do not equalise the ranges of neighbouring layers", 1},
	{"no-bias-correction", KEY_KEEP_BIASES, NULL, 0, "Do not correct biases for the error of rounded weights", 1},
	{"examples", KEY_EXAMPLES, "N", 0, "Training examples to calibrate with (default: 512)", 1},
	{"qat", KEY_QAT, "EPOCHS", 0, "Train so many epochs with rounding in the forward pass, then round", 1},
	{"lr", KEY_LR, "F", 0, "Learning rate of --qat, by SGD with momentum 0.9 (default: 0.001)", 1},
	{"batch", KEY_BATCH, "N", 0, "Examples per step of --qat and of the test (default: 64)", 1},
	{"seed", KEY_SEED, "N", 0, "Picks examples and their order (default: 0)", 1},
	{"out", KEY_OUT, "FILE", 0, "The quantized model (default: MODEL with .int8.onnx)", 1},
	{"json", KEY_JSON, NULL, 0, "Print one JSON object on standard output", 1},
	{0},
};

static enum weft_calibration parse_method(struct argp_state *state, const char *text)
{
	static const char *const name[] = {
		[WEFT_CALIBRATION_MINMAX] = "minmax",
		[WEFT_CALIBRATION_PERCENTILE] = "percentile",
		[WEFT_CALIBRATION_MSE] = "mse",
	};

	for (size_t i = 0; i < sizeof(name) / sizeof(name[0]); i++)
		if (!strcmp(name[i], text))
			return (enum weft_calibration)i;
	argp_error(state, "--method %s: expected minmax, percentile or mse", text);
	return WEFT_CALIBRATION_MINMAX;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct quantize_arguments *a = state->input;

	switch (key) {
	case KEY_DATA:
		a->data = arg;
		return 0;
	case KEY_METHOD:
		a->quantize.calibration = parse_method(state, arg);
		return 0;
	case KEY_PERCENTILE:
		a->quantize.percentile = argument_number(state, "--percentile", arg, 50.001, 100);
		return 0;
	case KEY_PER_CHANNEL:
	case KEY_PER_TENSOR:
		a->quantize.per_tensor = key == KEY_PER_TENSOR;
		return 0;
	case KEY_KEEP_RANGES:
		a->quantize.keep_ranges = true;
		return 0;
	case KEY_KEEP_BIASES:
		a->quantize.keep_biases = true;
		return 0;
	case KEY_EXAMPLES:
		a->quantize.examples = (uint32_t)argument_whole(state, "--examples", arg, 1, 1 << 24);
		return 0;
	case KEY_QAT:
		a->epochs = (uint32_t)argument_whole(state, "--qat", arg, 1, 1 << 20);
		return 0;
	case KEY_LR:
		a->lr = (float)argument_number(state, "--lr", arg, 0, 1e6);
		return 0;
	case KEY_BATCH:
		a->batch = argument_batch(state, arg);
		return 0;
	case KEY_SEED:
		a->quantize.seed = argument_whole(state, "--seed", arg, 0, UINT64_MAX);
		return 0;
	case KEY_OUT:
		a->out = arg;
		return 0;
	case KEY_JSON:
		a->json = true;
		return 0;
	case ARGP_KEY_ARG:
		if (a->model)
			argp_error(state, "one model at a time: %s and %s", a->model, arg);
		a->model = arg;
		return 0;
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &a->budget;
		state->child_inputs[1] = &a->dataset;
		return 0;
	case ARGP_KEY_END:
		if (!a->model)
			argp_error(state, "which model? Give an ONNX file");
		if (!a->data)
			argp_error(state, "calibration needs examples: give --data DIR");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_child children[] = {
	{&budget_argp, 0, "Device and budgets:", 10}, {&data_argp, 0, "Data:", 8}, {0}};
static const struct argp argp = {
	options,
	parse,
	"MODEL.onnx",
	"Quantize a model: weights to int8, activations to uint8, written as ONNX with QuantizeLinear and "
	"DequantizeLinear. weft infer runs it by integer operations.\v"
	"EXAMPLES\n"
	"  weft quantize run/model.onnx --data mnist --out mnist.int8.onnx\n"
	"  weft quantize run/model.onnx --data mnist --method mse --per-tensor\n"
	"  weft quantize run/model.onnx --data mnist --qat 1 --lr 0.0005\n",
	children,
	NULL,
	NULL,
};

struct job {
	const struct quantize_arguments *arguments;
	struct accel_device *device;
	struct weft_dataset_options options;
	struct weft_dataset *train, *test;
	struct weft_model *model, *quantized;
	struct weft_quantize_report report;
	struct weft_evaluation before, after;
	struct weft_session_refusal refusal;
	char out[512];
	uint64_t bytes[2]; /* of the files */
};

static int open_data(struct job *job)
{
	int result;

	job->options = job->arguments->dataset;
	result = weft_dataset_options_for(job->model, &job->options);
	if (!result)
		result = weft_dataset_open_with(job->arguments->data, WEFT_SPLIT_TRAIN, &job->options, &job->train);
	if (!result)
		result = weft_dataset_open_with(job->arguments->data, WEFT_SPLIT_TEST, &job->options, &job->test);
	return result;
}

static int set_out(struct job *job)
{
	const char *model = job->arguments->model, *dot = strrchr(model, '.');
	int length = dot && !strcmp(dot, ".onnx") ? (int)(dot - model) : (int)strlen(model);

	if (job->arguments->out)
		length = snprintf(job->out, sizeof(job->out), "%s", job->arguments->out);
	else
		length = snprintf(job->out, sizeof(job->out), "%.*s.int8.onnx", length, model);
	return length < (int)sizeof(job->out) ? 0 : weft_fail(ENAMETOOLONG, "the name of the result is too long");
}

/* Train with rounding in the forward pass; the result takes the place of job->quantized. */
static int train(struct job *job)
{
	const struct quantize_arguments *a = job->arguments;
	struct weft_train_options how = {
		.data = a->data,
		.epochs = a->epochs,
		.batch = a->batch,
		.optimizer = WEFT_OPTIMIZER_SGD,
		.loss = WEFT_LOSS_CROSS_ENTROPY,
		.session = a->budget.session,
		.dataset = job->options,
	};
	struct weft_train_result trained;
	struct weft_model *model = NULL;
	char folder[600], path[640];
	static const char *const left[] = {"model.onnx", "model.safetensors", "metrics.jsonl", "checkpoint"};
	uint32_t weights;
	int result;

	how.hyper[WEFT_HYPER_LR] = a->lr;
	how.hyper[WEFT_HYPER_BETA1] = 0.9f;
	how.hyper[WEFT_HYPER_GRADIENT_SCALE] = 1;
	how.session.seed = a->quantize.seed;
	snprintf(folder, sizeof(folder), "%s.XXXXXX", job->out);
	if (!mkdtemp(folder))
		return weft_fail(errno, "%s: %m", folder);
	how.out = folder;
	result = weft_train(job->device, job->quantized, &how, &trained);
	job->refusal = trained.refusal;
	snprintf(path, sizeof(path), "%s/model.onnx", folder);
	if (!result)
		result = weft_model_load(path, &model);
	if (!result)
		result = weft_quantize_weights(model, &weights);
	if (!result) {
		weft_model_free(job->quantized);
		job->quantized = model;
	} else {
		weft_model_free(model);
	}
	for (size_t i = 0; i < sizeof(left) / sizeof(left[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", folder, left[i]);
		unlink(path);
	}
	rmdir(folder);
	return result;
}

static int evaluate(struct job *job, const struct weft_model *model, struct weft_evaluation *evaluation)
{
	struct weft_evaluation_options how = {.batch = job->arguments->batch};

	return weft_evaluate(job->device, model, &job->arguments->budget.session, job->test, &how, evaluation,
			     &job->refusal);
}

static int work(struct job *job)
{
	struct weft_quantize_options how = job->arguments->quantize;
	struct stat status;
	int result = set_out(job);

	how.session = job->arguments->budget.session;
	how.float_weights = job->arguments->epochs;
	if (!result)
		result = open_data(job);
	if (!result)
		result = weft_quantize(job->device, job->model, &how, job->train, &job->quantized, &job->report);
	if (!result && job->arguments->epochs)
		result = train(job);
	if (!result)
		result = weft_quantize_save(job->quantized, job->out);
	if (!result)
		result = evaluate(job, job->model, &job->before);
	if (!result)
		result = evaluate(job, job->quantized, &job->after);
	if (!result && !stat(job->arguments->model, &status))
		job->bytes[0] = (uint64_t)status.st_size;
	if (!result && !stat(job->out, &status))
		job->bytes[1] = (uint64_t)status.st_size;
	return result;
}

static void print_json(const struct job *job)
{
	cJSON *object = cJSON_CreateObject();

	cJSON_AddStringToObject(object, "out", job->out);
	cJSON_AddNumberToObject(object, "float_accuracy", job->before.accuracy);
	cJSON_AddNumberToObject(object, "test_accuracy", job->after.accuracy);
	cJSON_AddNumberToObject(object, "float_bytes", (double)job->bytes[0]);
	cJSON_AddNumberToObject(object, "bytes", (double)job->bytes[1]);
	cJSON_AddNumberToObject(object, "float_step_seconds", job->before.step_seconds);
	cJSON_AddNumberToObject(object, "step_seconds", job->after.step_seconds);
	cJSON_AddNumberToObject(object, "float_energy_joules", job->before.usage.energy_joules);
	cJSON_AddNumberToObject(object, "energy_joules", job->after.usage.energy_joules);
	cJSON_AddNumberToObject(object, "weights", job->report.weights);
	cJSON_AddNumberToObject(object, "activations", job->report.activations);
	cJSON_AddNumberToObject(object, "folded", job->report.folded);
	cJSON_AddNumberToObject(object, "equalized", job->report.equalized);
	cJSON_AddNumberToObject(object, "corrected", job->report.corrected);
	cJSON_AddNumberToObject(object, "examples", job->report.examples);
	json_print(object);
}

static void print_text(const struct job *job)
{
	char a[32], b[32];

	printf("  %-16s %u weights, %u activations of %u examples\n", "quantized", job->report.weights,
	       job->report.activations, job->report.examples);
	printf("  %-16s %u normalisations, %u pairs of layers equalised, %u biases corrected\n", "folded",
	       job->report.folded, job->report.equalized, job->report.corrected);
	printf("  %-16s %.2f %%, float %.2f %%\n", "test accuracy", 100 * job->after.accuracy,
	       100 * job->before.accuracy);
	printf("  %-16s %s, float %s (%.3f of it)\n", "size", size_format(job->bytes[1], a),
	       size_format(job->bytes[0], b), (double)job->bytes[1] / (double)job->bytes[0]);
	printf("  %-16s %s", "step", seconds_format(job->after.step_seconds, a));
	printf(", float %s\n", seconds_format(job->before.step_seconds, a));
	printf("  %-16s %s\n", "written", job->out);
}

static int run(int argc, char **argv)
{
	struct quantize_arguments arguments = {.batch = 64, .lr = 0.001f, .quantize = {.percentile = 99.99}};
	struct job job = {.arguments = &arguments};
	int result, status = STATUS_DONE;

	budget_defaults(&arguments.budget);
	command_parse(&argp, argc, argv, &arguments);
	if (weft_model_load(arguments.model, &job.model))
		return command_error("%s", weft_error());
	if (budget_open_device(&arguments.budget, &job.device)) {
		weft_model_free(job.model);
		return STATUS_FAILED;
	}
	result = work(&job);
	if (!result && arguments.json)
		print_json(&job);
	else if (!result)
		print_text(&job);
	else if (result == -ENOSPC && (job.refusal.least_device_bytes || job.refusal.least_host_bytes))
		status = command_refused(&arguments.budget, &job.refusal);
	else
		status = command_error("%s", weft_error());
	weft_dataset_close(job.train);
	weft_dataset_close(job.test);
	weft_model_free(job.quantized);
	weft_model_free(job.model);
	accel_device_unref(job.device);
	budget_free(&arguments.budget);
	return status;
}

const struct command command_quantize = {"quantize", "make a model of 8-bit integers", run};
