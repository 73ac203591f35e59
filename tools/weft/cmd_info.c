// SPDX-License-Identifier: MIT
/* weft info: facts about models and devices. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "json.h"
#include "model_options.h"
#include "graph/graph.h"
#include "sizes.h"
#include "weft/error.h"

enum { KEY_JSON = KEY_COMMAND };

struct info_arguments {
	struct budget_options budget;
	struct model_options model;
	bool json;
};

static const struct argp_option options[] = {
	{"device", KEY_DEVICE, "SPEC", 0, "Device, as for weft train", 1},
	{"json", KEY_JSON, NULL, 0, "Print one JSON object on standard output", 1},
	{0},
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct info_arguments *arguments = state->input;

	switch (key) {
	case KEY_DEVICE:
		arguments->budget.device = arg;
		return 0;
	case KEY_JSON:
		arguments->json = true;
		return 0;
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &arguments->model;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_child children[] = {{&model_argp, 0, NULL, 0}, {0}};
static const struct argp argp = {
	options,  parse, "[MODEL.onnx]", "Tell about the device and, where one is given, about a model.",
	children, NULL,	 NULL,
};

static void add_device(cJSON *object, const struct accel_device_info *info)
{
	cJSON *device = cJSON_AddObjectToObject(object, "device");
	char isa[32];

	snprintf(isa, sizeof(isa), "%u.%u", info->isa_major, info->isa_minor);
	cJSON_AddStringToObject(device, "backend", info->backend);
	cJSON_AddStringToObject(device, "name", info->name);
	cJSON_AddStringToObject(device, "profile", info->profile);
	cJSON_AddStringToObject(device, "instruction_set", isa);
	cJSON_AddStringToObject(device, "firmware", info->firmware);
	cJSON_AddStringToObject(device, "driver", info->driver);
	cJSON_AddStringToObject(device, "kernels", info->kernels);
	cJSON_AddNumberToObject(device, "threads", info->threads);
	cJSON_AddNumberToObject(device, "device_memory_bytes", (double)info->device_memory_bytes);
	cJSON_AddNumberToObject(device, "page_bytes", (double)info->page_bytes);
	cJSON_AddNumberToObject(device, "clock_hz", (double)info->clock_hz);
	cJSON_AddNumberToObject(device, "macs_per_cycle", (double)info->macs_per_cycle);
	cJSON_AddNumberToObject(device, "device_bytes_per_second", (double)info->device_bytes_per_second);
	cJSON_AddNumberToObject(device, "dma_in_bytes_per_second", (double)info->dma_in_bytes_per_second);
	cJSON_AddNumberToObject(device, "dma_out_bytes_per_second", (double)info->dma_out_bytes_per_second);
}

static cJSON *dims(const int64_t *dim, uint32_t rank)
{
	cJSON *list = cJSON_CreateArray();

	for (uint32_t i = 0; i < rank; i++)
		cJSON_AddItemToArray(list, dim[i] < 0 ? cJSON_CreateNull() : cJSON_CreateNumber((double)dim[i]));
	return list;
}

static int add_model(cJSON *object, const struct info_arguments *arguments)
{
	struct weft_graph_options options = {.training = true, .loss = WEFT_LOSS_CROSS_ENTROPY};
	struct weft_model_info info;
	struct weft_model *model;
	struct weft_graph *graph;
	cJSON *about;
	int result = weft_model_load(arguments->model.path, &model);

	if (result)
		return result;
	model_options_apply(&arguments->model, &options);
	result = weft_model_info(model, &info);
	if (!result) {
		about = cJSON_AddObjectToObject(object, "model");
		cJSON_AddStringToObject(about, "producer", info.producer ? info.producer : "");
		cJSON_AddNumberToObject(about, "opset", (double)info.opset);
		cJSON_AddNumberToObject(about, "nodes", info.nodes);
		cJSON_AddNumberToObject(about, "parameter_tensors", info.parameters);
		cJSON_AddNumberToObject(about, "parameters", (double)info.parameter_elements);
		cJSON_AddItemToObject(about, "input", dims(info.input_dims, info.input_rank));
		cJSON_AddItemToObject(about, "output", dims(info.output_dims, info.output_rank));
		result = weft_model_graph(model, &options, &graph);
		if (!result) {
			cJSON_AddNumberToObject(about, "training_operations", graph->operations);
			weft_graph_free(graph);
		} else if (result == -EOPNOTSUPP) {
			/* Not trainable is a fact about the model, not a failure. */
			cJSON_AddStringToObject(about, "not_trainable", weft_error());
			result = 0;
		}
	}
	weft_model_free(model);
	return result;
}

static void print_table(const cJSON *object)
{
	for (const cJSON *part = object->child; part; part = part->next) {
		printf("%s\n", part->string);
		for (const cJSON *item = part->child; item; item = item->next) {
			char *text, size[24];

			if (cJSON_IsString(item) && !*item->valuestring)
				continue;
			text = cJSON_IsString(item) ? NULL : cJSON_PrintUnformatted(item);
			printf("  %-26s %s", item->string, text ? text : item->valuestring);
			if (strstr(item->string, "memory_bytes"))
				printf(" (%s)", size_format((uint64_t)item->valuedouble, size));
			putchar('\n');
			cJSON_free(text);
		}
	}
}

static int run(int argc, char **argv)
{
	struct info_arguments arguments = {.model.batch = 1};
	struct accel_device_info info = {.size = sizeof(info)};
	struct accel_device *device;
	cJSON *object = cJSON_CreateObject();
	int status = STATUS_DONE;

	budget_defaults(&arguments.budget);
	command_parse(&argp, argc, argv, &arguments);
	if (budget_open_device(&arguments.budget, &device)) {
		cJSON_Delete(object);
		return STATUS_FAILED;
	}
	if (accel_device_query(device, &info))
		status = command_error("%s", accel_error());
	else
		add_device(object, &info);
	if (status == STATUS_DONE && arguments.model.path && add_model(object, &arguments))
		status = command_error("%s", weft_error());
	if (status == STATUS_DONE && arguments.json) {
		json_print(object);
	} else {
		if (status == STATUS_DONE)
			print_table(object);
		cJSON_Delete(object);
	}
	accel_device_unref(device);
	model_options_free(&arguments.model);
	return status;
}

const struct command command_info = {"info", "tell about a device and a model", run};
