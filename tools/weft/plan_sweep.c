// SPDX-License-Identifier: MIT
/* weft plan MODEL.onnx --sweep: how much memory does one need? */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "exec/planning.h"
#include "json.h"
#include "graph/graph.h"
#include "plan/plan.h"
#include "plan/poet/poet.h"
#include "plan_command.h"
#include "sizes.h"
#include "weft/error.h"

/* Budgets that are tried, in thousandths of what keeping everything takes. */
static const unsigned int shares[] = {1000, 900, 800, 700, 600, 500, 400, 300, 250, 200, 150, 100,
				      70,   50,	 35,  25,  18,	13,  9,	  6,   4,   3,	 2,   1};

#define POINTS (sizeof(shares) / sizeof(shares[0]) + 1)

struct point {
	uint64_t budget, peak[WEFT_TIERS], paged[WEFT_TIERS];
	double joules, bound_joules, seconds, solver_seconds;
	uint32_t recomputed;
};

struct sweep {
	const struct plan_arguments *arguments;
	struct accel_device *device;
	struct weft_model *model;
	struct point point[POINTS]; /* by falling budgets */
	unsigned int points;
	uint32_t operations;
};

/* Plan with a device budget of @budget, and note what it takes.  -ENOSPC: *least. */
static int plan_point(struct sweep *sweep, uint64_t budget, uint64_t *least)
{
	const struct plan_arguments *arguments = sweep->arguments;
	struct weft_session_options options = arguments->budget.session;
	struct weft_graph_options graph_options = {
		.training = arguments->train,
		.loss = arguments->train ? arguments->tuning.loss : WEFT_LOSS_NONE,
		.optimizer = arguments->tuning.optimizer,
		.tuning = &arguments->tuning.tuning,
	};
	struct weft_session_refusal refusal = {0};
	struct weft_graph *graph = NULL;
	struct weft_plan *plan = NULL;
	struct weft_costs costs = {0};
	int result;

	options.device_bytes = budget;
	model_options_apply(&arguments->model, &graph_options);
	result = weft_model_graph(sweep->model, &graph_options, &graph);
	if (!result && !sweep->points)
		sweep->operations = graph->operations;
	if (!result)
		result = weft_plan_session(sweep->device, &graph, &options, &plan, &costs, &refusal);
	if (!result) {
		struct point *point = &sweep->point[sweep->points++];

		*point = (struct point){
			.budget = budget == UINT64_MAX ? plan->peak[WEFT_TIER_DEVICE] : budget,
			.joules = plan->joules,
			.bound_joules = plan->bound_joules,
			.seconds = plan->seconds,
			.solver_seconds = plan->solver_seconds,
			.recomputed = plan->recomputed,
		};
		memcpy(point->peak, plan->peak, sizeof(point->peak));
		memcpy(point->paged, plan->paged_bytes, sizeof(point->paged));
	}
	*least = refusal.together ? 0 : refusal.least_device_bytes;
	weft_costs_clear(&costs);
	weft_plan_free(plan);
	weft_graph_free(graph);
	return result;
}

/* A plan also fits every larger budget; a bound also holds for every smaller one. */
static void share(struct sweep *sweep)
{
	for (unsigned int i = sweep->points; i-- > 1;) {
		struct point *larger = &sweep->point[i - 1], before = *larger;

		if (larger->joules <= sweep->point[i].joules || larger->seconds < sweep->point[i].seconds)
			continue;
		*larger = sweep->point[i];
		larger->budget = before.budget;
		larger->bound_joules = before.bound_joules;
		larger->solver_seconds = before.solver_seconds;
	}
	for (unsigned int i = 1; i < sweep->points; i++)
		if (sweep->point[i].bound_joules < sweep->point[i - 1].bound_joules &&
		    sweep->point[i - 1].bound_joules <= sweep->point[i].joules)
			sweep->point[i].bound_joules = sweep->point[i - 1].bound_joules;
}

static int plan_points(struct sweep *sweep)
{
	uint64_t asked = sweep->arguments->budget.session.device_bytes, all, least;
	int result = plan_point(sweep, asked, &least);

	if (result)
		return result;
	all = sweep->point[0].budget;
	for (size_t i = 1; !result && i < sizeof(shares) / sizeof(shares[0]); i++)
		result = plan_point(sweep, all / 1000 * shares[i], &least);
	if (result == -ENOSPC && least && least < sweep->point[sweep->points - 1].budget)
		result = plan_point(sweep, least, &least);
	if (result == -ENOSPC)
		result = 0;
	share(sweep);
	return result;
}

/* Output */

static FILE *open_file(const char *path)
{
	FILE *file = fopen(path, "we");

	if (!file)
		command_error("%s: %s", path, strerror(errno));
	return file;
}

static int write_csv(const struct sweep *sweep, const char *path)
{
	FILE *file = open_file(path);
	int failed;

	if (!file)
		return STATUS_FAILED;
	fputs("device_budget_bytes,peak_device_bytes,peak_host_bytes,peak_storage_bytes,energy_joules,bound_joules,"
	      "seconds,paged_bytes,stored_bytes,recomputed_ops,solver_seconds\n",
	      file);
	for (unsigned int i = sweep->points; i-- > 0;) {
		const struct point *p = &sweep->point[i];

		fprintf(file,
			"%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%.9g,%.9g,%.9g,%" PRIu64 ",%" PRIu64
			",%" PRIu32 ",%.3g\n",
			p->budget, p->peak[WEFT_TIER_DEVICE], p->peak[WEFT_TIER_HOST], p->peak[WEFT_TIER_STORAGE],
			p->joules, p->bound_joules, p->seconds, p->paged[WEFT_TIER_HOST], p->paged[WEFT_TIER_STORAGE],
			p->recomputed, p->solver_seconds);
	}
	failed = ferror(file);
	if (fclose(file) || failed)
		return command_error("%s: %s", path, strerror(errno));
	return STATUS_DONE;
}

static int write_svg(const struct sweep *sweep, const char *path)
{
	struct weft_poet_point point[POINTS];
	struct weft_poet_instance everything = {
		.name = (char *)sweep->arguments->model.path,
		.nodes = sweep->operations,
		.base_joules = sweep->point[0].joules,
		.base_seconds = sweep->point[0].seconds,
	};
	FILE *file = open_file(path);
	int result;

	if (!file)
		return STATUS_FAILED;
	for (unsigned int i = 0; i < sweep->points; i++) {
		const struct point *p = &sweep->point[sweep->points - 1 - i];

		point[i] = (struct weft_poet_point){
			.ram_bytes = p->budget,
			.status = WEFT_POET_FEASIBLE,
			.joules = p->joules,
			.bound_joules = p->bound_joules,
			.seconds = p->seconds,
			.peak_bytes = p->peak[WEFT_TIER_DEVICE],
		};
	}
	result = weft_poet_sweep_write_svg(&everything, point, sweep->points, file);
	if (fclose(file) && !result)
		return command_error("%s: %s", path, strerror(errno));
	return result ? command_error("%s: %s", path, weft_error()) : STATUS_DONE;
}

/* The least memory with at most @percent more energy and time than with all of it. */
static const struct point *within(const struct sweep *sweep, double percent)
{
	const struct point *all = &sweep->point[0], *found = all;

	for (unsigned int i = 0; i < sweep->points; i++)
		if (sweep->point[i].joules <= all->joules * (1 + percent / 100) &&
		    sweep->point[i].seconds <= all->seconds * (1 + percent / 100))
			found = &sweep->point[i];
	return found;
}

static void print_table(const struct sweep *sweep)
{
	const struct point *all = &sweep->point[0], *last = &sweep->point[sweep->points - 1];
	char size[24], host[24], joules[32], seconds[32];

	printf("%12s %12s %8s %12s %8s %8s %12s %12s %10s\n", "device", "energy", "", "step", "", "gap", "paged",
	       "stored", "recomputed");
	for (unsigned int i = 0; i < sweep->points; i++) {
		const struct point *p = &sweep->point[i];
		char stored[24];

		printf("%12s %12s %+7.1f%% %12s %+7.1f%% %7.1f%% %12s %12s %10" PRIu32 "\n",
		       size_format(p->budget, size), joules_format(p->joules, joules),
		       100 * (p->joules / all->joules - 1), seconds_format(p->seconds, seconds),
		       100 * (p->seconds / all->seconds - 1), 100 * (p->joules - p->bound_joules) / p->joules,
		       size_format(p->paged[WEFT_TIER_HOST], host), size_format(p->paged[WEFT_TIER_STORAGE], stored),
		       p->recomputed);
	}
	printf("With all it wants the step takes %s of device memory. ", size_format(all->budget, size));
	printf("%s are enough for at most 5 %% more energy and time, ", size_format(within(sweep, 5)->budget, size));
	printf("%s for 20 %%; %s is the least that was found.\n", size_format(within(sweep, 20)->budget, size),
	       size_format(last->budget, host));
}

static void print_json(const struct sweep *sweep)
{
	cJSON *object = cJSON_CreateObject(), *list = cJSON_AddArrayToObject(object, "points");

	for (unsigned int i = sweep->points; i-- > 0;) {
		const struct point *p = &sweep->point[i];
		cJSON *item = cJSON_CreateObject();

		cJSON_AddNumberToObject(item, "device_budget_bytes", (double)p->budget);
		cJSON_AddNumberToObject(item, "peak_bytes", (double)p->peak[WEFT_TIER_DEVICE]);
		cJSON_AddNumberToObject(item, "peak_host_bytes", (double)p->peak[WEFT_TIER_HOST]);
		cJSON_AddNumberToObject(item, "peak_storage_bytes", (double)p->peak[WEFT_TIER_STORAGE]);
		cJSON_AddNumberToObject(item, "energy_joules", p->joules);
		cJSON_AddNumberToObject(item, "bound_joules", p->bound_joules);
		cJSON_AddNumberToObject(item, "seconds", p->seconds);
		cJSON_AddNumberToObject(item, "paged_bytes",
					(double)(p->paged[WEFT_TIER_HOST] + p->paged[WEFT_TIER_STORAGE]));
		cJSON_AddNumberToObject(item, "recomputed_ops", p->recomputed);
		cJSON_AddNumberToObject(item, "solver_seconds", p->solver_seconds);
		cJSON_AddItemToArray(list, item);
	}
	cJSON_AddNumberToObject(object, "bytes_within_5_percent", (double)within(sweep, 5)->budget);
	cJSON_AddNumberToObject(object, "bytes_within_20_percent", (double)within(sweep, 20)->budget);
	cJSON_AddNumberToObject(object, "least_device_bytes", (double)sweep->point[sweep->points - 1].budget);
	json_print(object);
}

static int write_files(const struct sweep *sweep)
{
	const char *svg = sweep->arguments->sweep;
	size_t length = strlen(svg);
	char *csv = strdup(svg);
	int status;

	if (!csv)
		return command_error("out of memory");
	memcpy(csv + length - 3, "csv", 3);
	status = write_svg(sweep, svg);
	if (!status)
		status = write_csv(sweep, csv);
	free(csv);
	return status;
}

int plan_sweep(const struct plan_arguments *arguments)
{
	struct sweep sweep = {.arguments = arguments};
	int status = STATUS_DONE;
	int result = weft_model_load(arguments->model.path, &sweep.model);

	if (!result && budget_open_device(&arguments->budget, &sweep.device))
		status = STATUS_FAILED;
	else if (!result)
		result = plan_points(&sweep);
	if (!status && result)
		status = command_error("%s", weft_error());
	if (status && result == -ENOSPC)
		status = STATUS_REFUSED;
	if (!status)
		status = write_files(&sweep);
	if (!status && arguments->json)
		print_json(&sweep);
	else if (!status)
		print_table(&sweep);
	accel_device_unref(sweep.device);
	weft_model_free(sweep.model);
	return status;
}
