// SPDX-License-Identifier: MIT
/* weft plan --instance: POET's problem from a file. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plan/poet/poet.h"
#include "json.h"
#include "plan_command.h"
#include "sizes.h"
#include "weft/error.h"

static void print_json(const struct weft_poet_instance *instance, const struct weft_poet_result *result)
{
	cJSON *object = cJSON_CreateObject();
	char *schedule = NULL;
	size_t bytes;
	FILE *file;

	if (result->status == WEFT_POET_UNKNOWN)
		cJSON_AddNullToObject(object, "feasible");
	else
		cJSON_AddBoolToObject(object, "feasible", result->status == WEFT_POET_FEASIBLE);
	if (result->status == WEFT_POET_FEASIBLE) {
		cJSON_AddNumberToObject(object, "energy_joules", result->joules);
		cJSON_AddNumberToObject(object, "bound_joules", result->bound_joules);
		cJSON_AddNumberToObject(object, "gap", result->gap);
		cJSON_AddNumberToObject(object, "overhead_gap", result->overhead_gap);
		cJSON_AddNumberToObject(object, "seconds", result->measure.seconds);
		cJSON_AddNumberToObject(object, "peak_bytes", (double)result->measure.peak_bytes);
		cJSON_AddNumberToObject(object, "paged_bytes", (double)result->measure.paged_bytes);
		cJSON_AddNumberToObject(object, "recomputed_ops",
					(double)(result->measure.computations - instance->nodes));
		file = open_memstream(&schedule, &bytes);
		if (file) {
			weft_poet_schedule_write(result->schedule, file);
			fclose(file);
			cJSON_AddRawToObject(object, "schedule", schedule);
		}
	} else if (result->least_bytes) {
		cJSON_AddNumberToObject(object, "least_bytes", (double)result->least_bytes);
	}
	cJSON_AddNumberToObject(object, "solver_seconds", result->solver_seconds);
	json_print(object);
	free(schedule);
}

static void print_table(const struct weft_poet_instance *instance, const struct weft_poet_result *result)
{
	const struct weft_poet_measure *measure = &result->measure;
	char text[32], size[24], paged[24];

	printf("%s: %u nodes, %u edges\n", instance->name, instance->nodes, instance->edges);
	printf("  %-12s %s; everything once takes %.6g J\n", "energy", joules_format(result->joules, text),
	       instance->base_joules);
	printf("  %-12s %.6g J proven, gap %.4g %%; %.4g %% of what is above everything once\n", "bound",
	       result->bound_joules, 100 * result->gap, 100 * result->overhead_gap);
	printf("  %-12s %s, %.3f of everything once\n", "time", seconds_format(measure->seconds, text),
	       measure->seconds / instance->base_seconds);
	printf("  %-12s %s; keeping everything takes %s\n", "memory", size_format(measure->peak_bytes, size),
	       size_format(instance->storeall_bytes, paged));
	printf("  %-12s %" PRIu64 " (%u nodes)\n", "computed", measure->computations, instance->nodes);
	printf("  %-12s %" PRIu64 " in, %" PRIu64 " out, %s\n", "paged", measure->page_ins, measure->page_outs,
	       size_format(measure->paged_bytes, size));
	printf("  %-12s %s\n", "solver", seconds_format(result->solver_seconds, text));
}

/* Points of a sweep: enough to see where the front bends. */
#define SWEEP_POINTS 21

static int write_file(const char *path, const struct weft_poet_instance *instance, const struct weft_poet_point *point,
		      bool svg)
{
	FILE *file = fopen(path, "we");
	int status;

	if (!file)
		return command_error("%s: %s", path, strerror(errno));
	status = svg ? weft_poet_sweep_write_svg(instance, point, SWEEP_POINTS, file)
		     : weft_poet_sweep_write_csv(point, SWEEP_POINTS, file);
	if (fclose(file) && !status)
		return command_error("%s: %s", path, strerror(errno));
	return status ? command_error("%s: %s", path, weft_error()) : STATUS_DONE;
}

static int sweep(const struct plan_arguments *arguments, const struct weft_poet_instance *instance,
		 const struct weft_poet_options *options)
{
	struct weft_poet_point point[SWEEP_POINTS];
	size_t length = strlen(arguments->sweep);
	char *csv = strdup(arguments->sweep);
	int status;

	if (!csv)
		return command_error("out of memory");
	memcpy(csv + length - 3, "csv", 3);
	if (weft_poet_sweep(instance, options, SWEEP_POINTS, point))
		status = command_error("%s", weft_error());
	else
		status = write_file(arguments->sweep, instance, point, true);
	if (!status)
		status = write_file(csv, instance, point, false);
	if (!status && !arguments->json)
		printf("%s: %d budgets drawn in %s, listed in %s\n", instance->name, SWEEP_POINTS, arguments->sweep,
		       csv);
	free(csv);
	return status;
}

static int draw(const struct plan_arguments *arguments, const struct weft_poet_instance *instance,
		const struct weft_poet_result *result)
{
	FILE *file = fopen(arguments->timeline, "we");
	int status;

	if (!file)
		return command_error("%s: %s", arguments->timeline, strerror(errno));
	status = weft_poet_draw(instance, result->schedule, arguments->ram_bytes, file);
	if (fclose(file) && !status)
		return command_error("%s: %s", arguments->timeline, strerror(errno));
	return status ? command_error("%s: %s", arguments->timeline, weft_error()) : STATUS_DONE;
}

int plan_instance(const struct plan_arguments *arguments)
{
	struct weft_poet_options options = {
		.ram_bytes = arguments->ram_bytes,
		.time_ratio = arguments->time_ratio,
		.seconds = arguments->budget.session.plan_seconds,
	};
	struct weft_poet_instance *instance;
	struct weft_poet_result result;
	int status = STATUS_DONE;
	char size[24];

	if (weft_poet_read(arguments->instance, &instance))
		return command_error("%s", weft_error());
	if (arguments->sweep) {
		status = sweep(arguments, instance, &options);
		if (status || !arguments->ram_bytes) {
			weft_poet_free(instance);
			return status;
		}
	}
	if (weft_poet_solve(instance, &options, &result)) {
		weft_poet_free(instance);
		return command_error("%s", weft_error());
	}
	if (arguments->json)
		print_json(instance, &result);
	if (result.status == WEFT_POET_INFEASIBLE) {
		command_error("%s: no schedule fits in %s within the time%s%s", arguments->instance,
			      size_format(arguments->ram_bytes, size),
			      result.least_bytes ? "; none does in less than --ram " : "",
			      result.least_bytes ? size_exact(result.least_bytes, (char[24]){0}) : "");
		status = STATUS_REFUSED;
	} else if (result.status == WEFT_POET_UNKNOWN) {
		status = command_error(
			"%s: no schedule was found in the time given, nor proof that there is none; try --plan-seconds",
			arguments->instance);
	} else if (!arguments->json) {
		print_table(instance, &result);
	}
	if (arguments->timeline && result.status == WEFT_POET_FEASIBLE)
		status = draw(arguments, instance, &result);
	weft_poet_result_clear(&result);
	weft_poet_free(instance);
	return status;
}
