// SPDX-License-Identifier: MIT
/*
 * Measuring commands one at a time: those of tiles of several sizes, so that plans for
 * any budget know what pieces of operations cost, whatever budget was measured.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <accel/commands.h>

#include "exec/calibration.h"
#include "exec/costs.h"
#include "plan/problem.h"
#include "plan/tile.h"
#include "weft/error.h"

/* Sizes of tiles that are measured: a half of the largest operation, and less in steps of 4, unless they are too many.
 */
#define MOST_SIZES 6
#define MOST_OPERATIONS 20000
/* Each command runs as often, and first to fill caches, which in a plan its page-ins have done. */
#define REPEATS 4
/* What takes longer by the model is hardly a tile; and so long for all of them together. */
#define MOST_SECONDS 20e-3
#define ALL_SECONDS 5

struct bench {
	struct accel_context *context;
	struct accel_queue *queue;
	struct accel_stream *stream;
	struct accel_buffer *memory;
};

static double now_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static int bench_open(struct bench *bench, struct accel_device *device, uint64_t bytes)
{
	int result = accel_context_new(device, NULL, &bench->context);

	if (!result)
		result = accel_queue_new(bench->context, NULL, &bench->queue);
	if (!result)
		result = accel_stream_new(bench->context, &bench->stream);
	if (!result)
		result = accel_buffer_new(bench->context, bytes, ACCEL_DEVICE_MEMORY, &bench->memory);
	return result ? weft_fail(-result, "measuring tiles: %s", accel_error()) : 0;
}

static void bench_close(struct bench *bench)
{
	accel_buffer_unref(bench->memory);
	accel_stream_unref(bench->stream);
	accel_queue_unref(bench->queue);
	accel_context_unref(bench->context);
}

/* Zeros everywhere, which any operation accepts: indices, labels and masks too. */
static int append_commands(struct bench *bench, const struct weft_graph *graph, weft_id o)
{
	const struct weft_operation *operation = &graph->operation[o];
	uint64_t address[WEFT_MAX_OPERANDS] = {0}, used = 0;
	union accel_command command;
	struct weft_tensor all;
	uint32_t bytes;
	int result = accel_stream_reset(bench->stream);

	for (unsigned int i = 0; i < operation->operands; i++) {
		if (operation->operand[i] == WEFT_NO_ID)
			continue;
		address[i] = accel_buffer_address(bench->memory) + used;
		used += weft_round_up(graph->value[graph->value[operation->operand[i]].base].bytes, WEFT_PLAN_ALIGN);
	}
	bytes = (uint32_t)used;
	all = accel_tensor(accel_buffer_address(bench->memory), WEFT_TYPE_U8, 1, &bytes);
	accel_cmd_fill(&command, &all, 0);
	if (!result)
		result = accel_stream_append(bench->stream, &command.header);
	weft_operation_command(graph, operation, address, &command.header);
	for (unsigned int i = 0; !result && i < REPEATS; i++)
		result = accel_stream_append(bench->stream, &command.header);
	return result;
}

/* From the end of one command to the end of the next: with what lies between them. */
static int run_command(struct bench *bench, const struct weft_graph *graph, weft_id o, double *seconds)
{
	struct accel_trace_record record[REPEATS + 1];
	uint64_t point;
	int result = append_commands(bench, graph, o);

	if (!result)
		result = accel_context_trace(bench->context, REPEATS + 1);
	if (!result)
		result = accel_queue_submit(bench->queue, bench->stream, NULL, &point);
	if (!result)
		result = accel_queue_wait(bench->queue, point, ACCEL_WAIT_FOREVER);
	if (!result && accel_context_trace_read(bench->context, record, REPEATS + 1) != REPEATS + 1)
		result = -EIO;
	if (result)
		return weft_fail(-result, "measuring operation '%s': %s", graph->operation[o].name, accel_error());
	*seconds = 1e-9 * (double)(record[2].end_ns - record[1].end_ns);
	for (unsigned int i = 3; i <= REPEATS; i++) {
		double now = 1e-9 * (double)(record[i].end_ns - record[i - 1].end_ns);

		*seconds = now < *seconds ? now : *seconds;
	}
	return 0;
}

/* One of each kind of command that was not measured; an operation that has it stands in its seconds. */
static struct weft_measured_command *unmeasured(const struct weft_calibration *calibration,
						const struct weft_graph *graph, const struct weft_costs *modelled,
						uint32_t *count)
{
	struct weft_measured_command *command = calloc((size_t)graph->operations + 1, sizeof(*command));
	uint32_t found = 0, kept = 0;

	for (weft_id o = 0; command && o < graph->operations; o++) {
		struct weft_measured_command one = {.key = weft_command_key(graph, o),
						    .opcode = graph->operation[o].opcode,
						    .seconds = o,
						    .modelled_seconds = modelled->operation_seconds[o]};

		if (one.modelled_seconds < MOST_SECONDS &&
		    !bsearch(&one, calibration->command, calibration->commands, sizeof(one), weft_command_by_key))
			command[found++] = one;
	}
	if (found)
		qsort(command, found, sizeof(*command), weft_command_by_key);
	for (uint32_t i = 0; i < found; i++)
		if (!kept || command[kept - 1].key != command[i].key)
			command[kept++] = command[i];
	*count = kept;
	return command;
}

static int measure_graph(struct accel_device *device, const struct weft_graph *graph, double deadline,
			 struct weft_calibration *calibration)
{
	const uint64_t bytes = weft_graph_working_set(graph) + WEFT_MAX_OPERANDS * WEFT_PLAN_ALIGN;
	struct weft_measured_command *command = NULL;
	struct bench bench = {.context = NULL};
	struct weft_costs modelled;
	uint32_t commands = 0, measured = 0;
	int result = weft_costs_model(device, graph, &modelled);

	if (result)
		return result;
	command = unmeasured(calibration, graph, &modelled, &commands);
	result = command ? 0 : weft_fail(ENOMEM, "no memory to measure costs");
	if (!result)
		result = bench_open(&bench, device, bytes);
	for (; !result && measured < commands && now_seconds() < deadline; measured++)
		result = run_command(&bench, graph, (weft_id)command[measured].seconds, &command[measured].seconds);
	if (!result)
		result = weft_calibration_add(calibration, command, measured);
	bench_close(&bench);
	free(command);
	weft_costs_clear(&modelled);
	return result;
}

int weft_measure_tiles(struct accel_device *device, const struct weft_graph *graph,
		       struct weft_calibration *calibration)
{
	struct accel_device_info info = {.size = sizeof(info)};
	struct accel_counters counters = {.size = sizeof(counters)};
	struct weft_graph *tiled[MOST_SIZES] = {NULL};
	const double deadline = now_seconds() + ALL_SECONDS;
	unsigned int sizes = 0;
	uint64_t room, bytes = weft_graph_working_set(graph) / 2;
	int result = 0;

	if (calibration->clock == WEFT_CLOCK_MODEL)
		return 0;
	if (accel_device_query(device, &info) || accel_device_counters(device, &counters))
		return weft_fail(EIO, "%s", accel_error());
	room = info.device_memory_bytes - counters.device_bytes;
	for (unsigned int i = 0; !result && i < MOST_SIZES; i++, bytes /= 4) {
		result = weft_graph_tile(graph, bytes, false, &tiled[sizes]);
		if (result) {
			result = result == -ERANGE ? 0 : result;
			continue;
		}
		if (tiled[sizes]->operations > MOST_OPERATIONS) {
			weft_graph_free(tiled[sizes]);
			break;
		}
		sizes++;
	}
	/* Small ones differ most from whole operations, and are done soonest. */
	while (sizes--) {
		if (!result && weft_graph_working_set(tiled[sizes]) < room / 2)
			result = measure_graph(device, tiled[sizes], deadline, calibration);
		weft_graph_free(tiled[sizes]);
	}
	return result;
}
