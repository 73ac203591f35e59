// SPDX-License-Identifier: MIT
/* weft infer: accuracy over a data set, or the outputs for one input. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "data_options.h"
#include "json.h"
#include "graph/graph.h"
#include "input_file.h"
#include "model_options.h"
#include "sizes.h"
#include "tuning.h"
#include "weft/error.h"
#include "weft/train.h"

enum { KEY_DATA = KEY_COMMAND, KEY_INPUT, KEY_JSON };

struct infer_arguments {
	struct budget_options budget;
	const char *data, *input;
	struct weft_dataset_options dataset;
	struct model_options model;
	enum weft_loss loss;
	bool json;
};

static const struct argp_option options[] = {
	{"data", KEY_DATA, "DIR", 0, "Judge the test set, as for weft train", 1},
	{"input", KEY_INPUT, "FILE", 0, "Print the outputs for the tensor in FILE, .npy or .pb", 1},
	{"loss", KEY_LOSS, "NAME", 0, "Loss of --data: cross-entropy, mse or bce (default: cross-entropy)", 1},
	{"json", KEY_JSON, NULL, 0, "Print one JSON object on standard output", 1},
	{0},
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct infer_arguments *arguments = state->input;

	switch (key) {
	case KEY_DATA:
		arguments->data = arg;
		return 0;
	case KEY_INPUT:
		arguments->input = arg;
		return 0;
	case KEY_LOSS:
		arguments->loss = tuning_loss(state, arg);
		return 0;
	case KEY_JSON:
		arguments->json = true;
		return 0;
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &arguments->budget;
		state->child_inputs[1] = &arguments->dataset;
		state->child_inputs[2] = &arguments->model;
		return 0;
	case ARGP_KEY_END:
		model_required(state, &arguments->model);
		if (!arguments->data == !arguments->input)
			argp_error(state, "give either --data DIR or --input FILE");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_child children[] = {{&budget_argp, 0, "Device and budgets:", 10},
					     {&data_argp, 0, "Data:", 8},
					     {&model_argp, 0, "The model:", 7},
					     {0}};
static const struct argp argp = {
	options,
	parse,
	"MODEL.onnx",
	"Run a model: over the test images of a data set, or for one input.\v"
	"EXAMPLES\n"
	"  weft infer run/model.onnx --data mnist\n"
	"  weft infer run/model.onnx --input image.npy --json\n",
	children,
	NULL,
	NULL,
};

static int infer_data(const struct infer_arguments *arguments, struct accel_device *device,
		      const struct weft_model *model, struct weft_session_refusal *refusal)
{
	struct weft_evaluation_options how = {.batch = arguments->model.batch,
					      .loss = arguments->loss,
					      .dim_names = arguments->model.dim_name,
					      .dim_values = arguments->model.dim_value,
					      .dims = arguments->model.dims,
					      .without_pass = arguments->model.without_pass,
					      .without_passes = arguments->model.without_passes};
	struct weft_evaluation evaluation;
	struct weft_dataset *dataset;
	char text[32], size[24];
	struct weft_dataset_options options = arguments->dataset;
	int result = weft_dataset_options_for(model, &options);

	if (!result)
		result = weft_dataset_open_with(arguments->data, WEFT_SPLIT_TEST, &options, &dataset);
	if (result)
		return result;
	result = weft_evaluate(device, model, &arguments->budget.session, dataset, &how, &evaluation, refusal);
	weft_dataset_close(dataset);
	if (result)
		return result;
	if (arguments->json) {
		cJSON *object = cJSON_CreateObject();

		cJSON_AddNumberToObject(object, "test_accuracy", evaluation.accuracy);
		cJSON_AddNumberToObject(object, "test_loss", evaluation.loss);
		cJSON_AddNumberToObject(object, "examples", (double)evaluation.examples);
		cJSON_AddNumberToObject(object, "step_seconds", evaluation.step_seconds);
		cJSON_AddNumberToObject(object, "energy_joules", evaluation.usage.energy_joules);
		cJSON_AddNumberToObject(object, "peak_device_bytes", (double)evaluation.usage.peak_device_bytes);
		cJSON_AddNumberToObject(object, "peak_host_bytes", (double)evaluation.usage.peak_host_bytes);
		cJSON_AddNumberToObject(object, "peak_storage_bytes", (double)evaluation.usage.peak_storage_bytes);
		json_print(object);
	} else {
		printf("  %-16s %.2f %% of %" PRIu64 " examples\n", "test accuracy", 100 * evaluation.accuracy,
		       evaluation.examples);
		printf("  %-16s %.4f\n", "test loss", evaluation.loss);
		printf("  %-16s %s\n", "step", seconds_format(evaluation.step_seconds, text));
		printf("  %-16s %s\n", "device memory", size_format(evaluation.usage.peak_device_bytes, size));
	}
	return 0;
}

/* Elements of a value stand in memory by its strides; @dense is row-major. */
static void transfer(const struct weft_layout *layout, float *strided, float *dense, bool to_dense)
{
	uint64_t elements = weft_layout_elements(layout);
	uint32_t at[WEFT_MAX_RANK] = {0};

	for (uint64_t i = 0; i < elements; i++) {
		int64_t offset = 0;

		for (unsigned int d = 0; d < layout->rank; d++)
			offset += (int64_t)at[d] * layout->strides[d];
		if (to_dense)
			dense[i] = strided[offset];
		else
			strided[offset] = dense[i];
		for (unsigned int d = layout->rank; d-- && ++at[d] == layout->dims[d];)
			at[d] = 0;
	}
}

static int feed(struct weft_session *session, const struct input_file *input)
{
	const struct weft_graph *graph = weft_session_graph(session);
	const struct weft_value *value;
	bool fits;
	void *memory;
	size_t bytes;
	int result;

	if (!graph->inputs)
		return weft_fail(EINVAL, "the model has no input");
	value = &graph->value[graph->input[0]];
	fits = value->layout.rank == input->rank && value->layout.type == WEFT_TYPE_F32;
	for (uint32_t i = 0; i < input->rank && fits; i++)
		fits = value->layout.dims[i] == input->dims[i];
	if (!fits) {
		char wanted[128] = "", given[128] = "";

		for (uint32_t i = 0; i < value->layout.rank; i++)
			snprintf(wanted + strlen(wanted), sizeof(wanted) - strlen(wanted), "%s%u", i ? " x " : "",
				 value->layout.dims[i]);
		for (uint32_t i = 0; i < input->rank; i++)
			snprintf(given + strlen(given), sizeof(given) - strlen(given), "%s%u", i ? " x " : "",
				 input->dims[i]);
		return weft_fail(EINVAL, "the file has %s elements, the model's input '%s' takes float32 %s", given,
				 value->name, wanted);
	}
	result = weft_session_input(session, value->name, &memory, &bytes);
	if (!result)
		transfer(&value->layout, memory, input->data, false);
	return result;
}

static int print_output(struct weft_session *session, const struct weft_value *value, cJSON *list)
{
	uint64_t elements = weft_layout_elements(&value->layout);
	size_t bytes = weft_layout_bytes(&value->layout);
	float *strided = malloc(bytes + 1), *dense = malloc(elements * sizeof(float) + 1);
	int result = strided && dense ? weft_session_output(session, value->name, strided, bytes)
				      : weft_fail(ENOMEM, "out of memory");

	if (!result && value->layout.type != WEFT_TYPE_F32)
		result = weft_fail(EOPNOTSUPP, "output '%s' is %s; only float32 can be printed", value->name,
				   accel_type_name(value->layout.type));
	if (!result) {
		transfer(&value->layout, strided, dense, true);
		if (list) {
			cJSON *item = cJSON_CreateObject(), *shape = cJSON_CreateArray(), *data = cJSON_CreateArray();

			for (unsigned int i = 0; i < value->layout.rank; i++)
				cJSON_AddItemToArray(shape, cJSON_CreateNumber(value->layout.dims[i]));
			for (uint64_t i = 0; i < elements; i++)
				cJSON_AddItemToArray(data, cJSON_CreateNumber((double)dense[i]));
			cJSON_AddStringToObject(item, "name", value->name);
			cJSON_AddItemToObject(item, "shape", shape);
			cJSON_AddItemToObject(item, "data", data);
			cJSON_AddItemToArray(list, item);
		} else {
			uint32_t row = value->layout.rank ? value->layout.dims[value->layout.rank - 1] : 1;

			printf("%s\n", value->name);
			for (uint64_t i = 0; i < elements; i++)
				printf("%s%.6g%s", i % row ? " " : "  ", (double)dense[i], (i + 1) % row ? "" : "\n");
		}
	}
	free(strided);
	free(dense);
	return result;
}

static int infer_input(const struct infer_arguments *arguments, struct accel_device *device,
		       const struct weft_model *model, struct weft_session_refusal *refusal)
{
	struct weft_graph_options graph_options = {.loss = WEFT_LOSS_NONE, .fixed_weights = true};
	struct weft_session *session;
	struct weft_graph *graph;
	struct input_file input;
	cJSON *object = NULL, *list = NULL;
	int result = input_file_read(arguments->input, &input);

	if (result)
		return result;
	model_options_apply(&arguments->model, &graph_options);
	graph_options.batch = input.rank ? input.dims[0] : 1;
	result = weft_model_graph(model, &graph_options, &graph);
	if (!result)
		result = weft_session_new(device, graph, &arguments->budget.session, &session, refusal);
	if (result) {
		input_file_free(&input);
		return result;
	}
	result = feed(session, &input);
	input_file_free(&input);
	if (!result)
		result = weft_session_step(session);
	if (arguments->json) {
		object = cJSON_CreateObject();
		list = cJSON_AddArrayToObject(object, "outputs");
	}
	graph = NULL;
	for (uint32_t i = 0; i < weft_session_graph(session)->model_outputs && !result; i++)
		result = print_output(session,
				      &weft_session_graph(session)->value[weft_session_graph(session)->model_output[i]],
				      list);
	if (!result && object)
		json_print(object);
	else
		cJSON_Delete(object);
	weft_session_free(session);
	return result;
}

static int run(int argc, char **argv)
{
	struct infer_arguments arguments = {.model.batch = 64};
	struct weft_session_refusal refusal = {0};
	struct accel_device *device;
	struct weft_model *model;
	int result, status = STATUS_DONE;

	budget_defaults(&arguments.budget);
	command_parse(&argp, argc, argv, &arguments);
	if (weft_model_load(arguments.model.path, &model))
		return command_error("%s", weft_error());
	if (budget_open_device(&arguments.budget, &device)) {
		weft_model_free(model);
		return STATUS_FAILED;
	}
	result = (arguments.data ? infer_data : infer_input)(&arguments, device, model, &refusal);
	if (result == -ENOSPC && (refusal.least_device_bytes || refusal.least_host_bytes))
		status = command_refused(&arguments.budget, &refusal);
	else if (result)
		status = command_error("%s", weft_error());
	accel_device_unref(device);
	weft_model_free(model);
	budget_free(&arguments.budget);
	model_options_free(&arguments.model);
	return status;
}

const struct command command_infer = {"infer", "run a model on a data set or an input", run};
