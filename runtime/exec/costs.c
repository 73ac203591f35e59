// SPDX-License-Identifier: MIT
#include "exec/costs.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <accel/commands.h>

#include "weft/error.h"

/*
 * Storage is outside the device and its model.  These are round figures of an
 * NVMe drive of the consumer kind: sequential rates at 128 KiB blocks, latency of
 * one request, and 5 W at full rate.
 */
#define LOAD_BYTES_PER_SECOND 2.0e9
#define STORE_BYTES_PER_SECOND 1.0e9
#define STORAGE_SECONDS 80e-6
#define STORAGE_JOULES_PER_BYTE 5e-9

/* Large, so that whole cycles do not blur the rate. */
#define SAMPLE_BYTES (1u << 28)

static int copy_cost(struct accel_device *device, enum weft_engine engine, uint32_t bytes, struct accel_cost *cost)
{
	struct weft_tensor source = accel_tensor(0, WEFT_TYPE_U8, 1, &bytes);
	struct weft_tensor target = accel_tensor(1ull << 40, WEFT_TYPE_U8, 1, &bytes);
	union accel_command command;
	int result;

	accel_cmd_copy(&command, engine, &source, &target);
	memset(cost, 0, sizeof(*cost));
	result = accel_device_cost(device, &command.header, cost);
	return result ? weft_fail(-result, "%s", accel_error()) : 0;
}

/* The straight line through two transfers. */
static int transfer_cost(struct accel_device *device, enum weft_engine engine, double clock,
			 struct weft_transfer_cost *transfer)
{
	struct accel_cost one, two;
	double cycles, picojoules;
	int result = copy_cost(device, engine, SAMPLE_BYTES, &one);

	if (!result)
		result = copy_cost(device, engine, 2 * SAMPLE_BYTES, &two);
	if (result)
		return result;
	cycles = two.cycles > one.cycles ? (double)(two.cycles - one.cycles) : 1;
	picojoules = (double)two.picojoules - (double)one.picojoules;
	*transfer = (struct weft_transfer_cost){
		.seconds = fmax((double)one.cycles - cycles, 0) / clock,
		.bytes_per_second = SAMPLE_BYTES * clock / cycles,
		.joules = fmax((double)one.picojoules - picojoules, 0) * 1e-12,
		.joules_per_byte = picojoules * 1e-12 / SAMPLE_BYTES,
	};
	return 0;
}

static int transfer_costs(struct accel_device *device, double clock, struct weft_costs *costs)
{
	int result = transfer_cost(device, WEFT_ENGINE_DMA_IN, clock, &costs->page_in);

	costs->load = (struct weft_transfer_cost){STORAGE_SECONDS, LOAD_BYTES_PER_SECOND, 0, STORAGE_JOULES_PER_BYTE};
	costs->store = (struct weft_transfer_cost){STORAGE_SECONDS, STORE_BYTES_PER_SECOND, 0, STORAGE_JOULES_PER_BYTE};
	return result ? result : transfer_cost(device, WEFT_ENGINE_DMA_OUT, clock, &costs->page_out);
}

int weft_costs_model(struct accel_device *device, const struct weft_graph *graph, struct weft_costs *costs)
{
	struct accel_device_info info = {.size = sizeof(info)};
	uint64_t address[WEFT_MAX_OPERANDS];
	union accel_command command;
	double clock;
	int result;

	memset(costs, 0, sizeof(*costs));
	result = accel_device_query(device, &info);
	if (result)
		return weft_fail(-result, "%s", accel_error());
	clock = info.clock_hz ? (double)info.clock_hz : 1e9;
	costs->operation_seconds = calloc(graph->operations + 1, sizeof(double));
	costs->operation_joules = calloc(graph->operations + 1, sizeof(double));
	if (!costs->operation_seconds || !costs->operation_joules) {
		weft_costs_clear(costs);
		return weft_fail(ENOMEM, "no memory for the costs of %u operations", graph->operations);
	}
	/* Costs depend on shapes, not on addresses. */
	for (unsigned int i = 0; i < WEFT_MAX_OPERANDS; i++)
		address[i] = (uint64_t)(i + 1) << 40;
	for (weft_id o = 0; !result && o < graph->operations; o++) {
		struct accel_cost cost = {0};

		weft_operation_command(graph, &graph->operation[o], address, &command.header);
		result = accel_device_cost(device, &command.header, &cost);
		if (result)
			result = weft_fail(-result, "operation '%s': %s", graph->operation[o].name, accel_error());
		costs->operation_seconds[o] = (double)cost.cycles / clock;
		costs->operation_joules[o] = (double)cost.picojoules * 1e-12;
	}
	if (!result)
		result = transfer_costs(device, clock, costs);
	if (result)
		weft_costs_clear(costs);
	return result;
}

void weft_costs_clear(struct weft_costs *costs)
{
	free(costs->operation_seconds);
	free(costs->operation_joules);
	memset(costs, 0, sizeof(*costs));
}
