// SPDX-License-Identifier: MIT
/* weft plan MODEL.onnx: what a session would do.  Nothing of the step's memory is taken for it. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "exec/planning.h"
#include "plan/plan.h"
#include "json.h"
#include "micro_batches.h"
#include "plan_command.h"
#include "sizes.h"
#include "timeline.h"
#include "weft/error.h"

static const char *const action_name[] = {
	[WEFT_ACTION_COMPUTE] = "compute", [WEFT_ACTION_PAGE_OUT] = "page_out", [WEFT_ACTION_PAGE_IN] = "page_in",
	[WEFT_ACTION_STORE] = "store",	   [WEFT_ACTION_LOAD] = "load",		[WEFT_ACTION_DROP] = "drop",
};
static const char *const tier_name[] = {"device", "host", "storage"};

static cJSON *schedule(const struct weft_graph *graph, const struct weft_plan *plan)
{
	cJSON *list = cJSON_CreateArray();

	for (uint32_t i = 0; i < plan->actions; i++) {
		const struct weft_action *action = &plan->action[i];
		cJSON *item = cJSON_CreateObject();

		cJSON_AddStringToObject(item, "action", action_name[action->kind]);
		if (action->kind == WEFT_ACTION_COMPUTE) {
			cJSON_AddStringToObject(item, "operation", graph->operation[action->operation].name);
			if (action->recompute)
				cJSON_AddTrueToObject(item, "recompute");
		} else {
			cJSON_AddStringToObject(item, "value", graph->value[action->value].name);
			cJSON_AddNumberToObject(item, "bytes", (double)graph->value[action->value].bytes);
		}
		if (action->kind == WEFT_ACTION_DROP)
			cJSON_AddStringToObject(item, "tier", tier_name[action->tier]);
		cJSON_AddItemToArray(list, item);
	}
	return list;
}

static double gap(const struct weft_plan *plan)
{
	return plan->bound_joules > 0 ? (plan->joules - plan->bound_joules) / plan->joules : 1;
}

static void print_json(const struct weft_graph *graph, const struct weft_plan *plan,
		       const struct weft_session_refusal *refusal)
{
	cJSON *object = cJSON_CreateObject();

	cJSON_AddBoolToObject(object, "feasible", plan != NULL);
	if (plan) {
		cJSON_AddNumberToObject(object, "energy_joules", plan->joules);
		cJSON_AddNumberToObject(object, "bound_joules", plan->bound_joules);
		cJSON_AddNumberToObject(object, "gap", gap(plan));
		cJSON_AddNumberToObject(object, "seconds", plan->seconds);
		cJSON_AddNumberToObject(object, "solver_seconds", plan->solver_seconds);
		cJSON_AddNumberToObject(object, "peak_bytes", (double)plan->peak[WEFT_TIER_DEVICE]);
		cJSON_AddNumberToObject(object, "peak_host_bytes", (double)plan->peak[WEFT_TIER_HOST]);
		cJSON_AddNumberToObject(object, "peak_storage_bytes", (double)plan->peak[WEFT_TIER_STORAGE]);
		cJSON_AddNumberToObject(
			object, "paged_bytes",
			(double)(plan->paged_bytes[WEFT_TIER_HOST] + plan->paged_bytes[WEFT_TIER_STORAGE]));
		cJSON_AddNumberToObject(object, "recomputed_ops", plan->recomputed);
		cJSON_AddItemToObject(object, "schedule", schedule(graph, plan));
	} else {
		cJSON_AddNumberToObject(object, "least_device_bytes", (double)refusal->least_device_bytes);
		cJSON_AddNumberToObject(object, "least_host_bytes", (double)refusal->least_host_bytes);
		cJSON_AddBoolToObject(object, "together", refusal->together);
	}
	json_print(object);
}

/* What becomes of the activations that the backward pass needs. */
static void print_values(const struct weft_graph *graph, const struct weft_plan *plan)
{
	uint8_t *fate = calloc(graph->values ? graph->values : 1, 1);
	char size[24];

	if (!fate)
		return;
	for (uint32_t i = 0; i < plan->actions; i++) {
		const struct weft_action *action = &plan->action[i];

		if (action->kind == WEFT_ACTION_PAGE_IN)
			fate[action->value] |= 1;
		if (action->kind == WEFT_ACTION_LOAD)
			fate[action->value] |= 2;
		if (action->kind != WEFT_ACTION_COMPUTE || !action->recompute)
			continue;
		for (unsigned int slot = graph->operation[action->operation].inputs;
		     slot < graph->operation[action->operation].operands; slot++) {
			weft_id id = graph->operation[action->operation].operand[slot];

			if (id != WEFT_NO_ID)
				fate[graph->value[id].base] |= 4;
		}
	}
	for (weft_id id = 0; id < graph->values; id++) {
		if (!fate[id] || graph->value[id].kind != WEFT_VALUE_ACTIVATION)
			continue;
		printf("  %-44.44s %10s  %s%s%s\n", graph->value[id].name, size_format(graph->value[id].bytes, size),
		       fate[id] & 2   ? "paged to storage"
		       : fate[id] & 1 ? "paged to host memory"
				      : "",
		       (fate[id] & 3) && (fate[id] & 4) ? ", " : "", fate[id] & 4 ? "recomputed" : "");
	}
	free(fate);
}

static void print_table(const struct weft_graph *graph, const struct weft_plan *plan, bool measured)
{
	char text[32], size[24], more[24];

	print_values(graph, plan);
	printf("  %-16s %s\n", "device memory", size_format(plan->peak[WEFT_TIER_DEVICE], size));
	printf("  %-16s %s\n", "host memory", size_format(plan->peak[WEFT_TIER_HOST], size));
	printf("  %-16s %s\n", "storage", size_format(plan->peak[WEFT_TIER_STORAGE], size));
	printf("  %-16s %s between device and host, %s to and from storage\n", "paged",
	       size_format(plan->paged_bytes[WEFT_TIER_HOST], size),
	       size_format(plan->paged_bytes[WEFT_TIER_STORAGE], more));
	printf("  %-16s %" PRIu32 " of %" PRIu32 " operations\n", "recomputed", plan->recomputed, graph->operations);
	printf("  %-16s %s predicted, by %s\n", "step", seconds_format(plan->seconds, text),
	       measured ? "measured costs" : "the device's model");
	if (plan->bound_joules > 0)
		printf("  %-16s %s predicted; any plan of this memory takes %.1f %% less at most\n", "energy",
		       joules_format(plan->joules, text), 100 * gap(plan));
	else
		printf("  %-16s %s predicted\n", "energy", joules_format(plan->joules, text));
	printf("  %-16s %s\n", "planning", seconds_format(plan->solver_seconds, text));
}

static bool was_refused(int result, const struct weft_session_refusal *refusal)
{
	return result == -ENOSPC && (refusal->least_device_bytes || refusal->least_host_bytes);
}

/* The graph of a smaller batch takes the place of *@graph, whose plan was refused. */
static int plan_micro_batches(const struct plan_arguments *arguments, struct accel_device *device,
			      const struct weft_model *model, struct weft_graph_options *options,
			      struct weft_graph **graph, struct weft_plan **plan, struct weft_costs *costs)
{
	struct weft_tuning tuning = *options->tuning;
	struct weft_micro_batches found;
	int result = weft_micro_batches_find(device, model, &arguments->budget.session, options, &found);

	if (result) {
		micro_batches_suggest(result, &found);
		return -ENOSPC;
	}
	micro_batches_chosen(&found);
	tuning.accumulate = found.accumulate;
	options->tuning = &tuning;
	options->batch = found.batch;
	weft_graph_free(*graph);
	*graph = NULL;
	weft_costs_clear(costs);
	result = weft_model_graph(model, options, graph);
	options->tuning = NULL;
	return result ? result : weft_plan_session(device, graph, &arguments->budget.session, plan, costs, NULL);
}

/* What is left where the budgets refuse a step. */
static void suggest(const struct plan_arguments *arguments, struct accel_device *device, const struct weft_model *model,
		    const struct weft_graph_options *options)
{
	struct weft_micro_batches found;

	if (arguments->train && !arguments->micro_batches)
		micro_batches_suggest(
			weft_micro_batches_find(device, model, &arguments->budget.session, options, &found), &found);
}

int plan_model(const struct plan_arguments *arguments)
{
	const struct weft_session_options *options = &arguments->budget.session;
	const struct weft_budget budget = {{options->device_bytes, options->host_bytes, options->storage_bytes},
					   options->time_ratio};
	struct weft_graph_options graph_options = {
		.training = arguments->train,
		.loss = arguments->train ? arguments->tuning.loss : WEFT_LOSS_NONE,
		.optimizer = arguments->tuning.optimizer,
		.tuning = &arguments->tuning.tuning,
	};
	struct weft_session_refusal refusal = {0};
	struct accel_device *device = NULL;
	struct weft_model *model = NULL;
	struct weft_graph *graph = NULL;
	struct weft_plan *plan = NULL;
	struct weft_costs costs = {0};
	int status = STATUS_DONE;
	int result = weft_model_load(arguments->model.path, &model);

	if (!result && budget_open_device(&arguments->budget, &device)) {
		weft_model_free(model);
		return STATUS_FAILED;
	}
	model_options_apply(&arguments->model, &graph_options);
	if (!result)
		result = weft_model_graph(model, &graph_options, &graph);
	if (!result)
		result = weft_plan_session(device, &graph, options, &plan, &costs, &refusal);
	if (was_refused(result, &refusal) && arguments->micro_batches)
		result = plan_micro_batches(arguments, device, model, &graph_options, &graph, &plan, &costs);
	if (!result && arguments->timeline)
		result = timeline_of_plan(arguments->timeline, graph, plan, &costs, &budget);
	if (was_refused(result, &refusal)) {
		if (arguments->json)
			print_json(NULL, NULL, &refusal);
		status = command_refused(&arguments->budget, &refusal);
		suggest(arguments, device, model, &graph_options);
	} else if (result) {
		status = command_error("%s", weft_error());
	} else if (arguments->json) {
		print_json(graph, plan, &refusal);
	} else {
		print_table(graph, plan, costs.measured);
	}
	weft_costs_clear(&costs);
	weft_plan_free(plan);
	weft_graph_free(graph);
	accel_device_unref(device);
	weft_model_free(model);
	return status;
}
