// SPDX-License-Identifier: MIT
#include "run_graph.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <accel/accel.h>

struct run_graph {
	const struct weft_graph *graph;
	struct accel_device *device;
	struct accel_context *context;
	struct accel_buffer *buffer;
	struct accel_stream *stream;
	struct accel_queue *queue;
	uint64_t *offset; /* of bases */
	uint8_t *memory;
};

static void must(int result, const char *what)
{
	if (result)
		fail_msg("%s: %s", what, accel_error());
}

struct run_graph *run_graph_new(const struct weft_graph *graph)
{
	struct run_graph *run = calloc(1, sizeof(*run));
	uint64_t total = 64;
	uint32_t i;
	unsigned int slot;
	void *memory;

	assert_non_null(run);
	run->graph = graph;
	run->offset = calloc(graph->values + 1, sizeof(*run->offset));
	assert_non_null(run->offset);
	for (i = 0; i < graph->values; i++) {
		if (graph->value[i].base != i)
			continue;
		run->offset[i] = total;
		total += (graph->value[i].bytes + 63) / 64 * 64;
	}
	must(accel_device_open("embedded:mem=512M", &run->device), "device");
	must(accel_context_new(run->device, NULL, &run->context), "context");
	must(accel_buffer_new(run->context, total, ACCEL_DEVICE_MEMORY, &run->buffer), "buffer");
	must(accel_buffer_map(run->buffer, &memory), "map");
	run->memory = memory;
	must(accel_stream_new(run->context, &run->stream), "stream");
	must(accel_queue_new(run->context, NULL, &run->queue), "queue");
	for (i = 0; i < graph->values; i++)
		if (graph->value[i].data)
			memcpy(run->memory + run->offset[i], graph->value[i].data, graph->value[i].bytes);
	for (i = 0; i < graph->operations; i++) {
		uint64_t address[WEFT_MAX_OPERANDS] = {0};
		union {
			struct weft_cmd header;
			uint8_t bytes[WEFT_CMD_MAX_BYTES];
		} command;

		for (slot = 0; slot < graph->operation[i].operands; slot++) {
			weft_id id = graph->operation[i].operand[slot];

			if (id != WEFT_NO_ID)
				address[slot] = accel_buffer_address(run->buffer) + run->offset[graph->value[id].base];
		}
		weft_operation_command(graph, &graph->operation[i], address, &command.header);
		command.header.tag = i;
		must(accel_stream_append(run->stream, &command.header), "append");
	}
	return run;
}

void run_graph_free(struct run_graph *run)
{
	accel_queue_unref(run->queue);
	accel_stream_unref(run->stream);
	accel_buffer_unref(run->buffer);
	accel_context_unref(run->context);
	accel_device_unref(run->device);
	free(run->offset);
	free(run);
}

void *run_graph_memory(struct run_graph *run, weft_id base)
{
	return run->memory + run->offset[base];
}

void run_graph_step(struct run_graph *run)
{
	struct weft_fault_record fault;
	char text[512];
	uint64_t point;
	int r;

	must(accel_queue_submit(run->queue, run->stream, NULL, &point), "submit");
	r = accel_queue_wait(run->queue, point, ACCEL_WAIT_FOREVER);
	if (!r)
		return;
	accel_context_fault(run->context, &fault);
	accel_fault_describe(&fault, text, sizeof(text));
	fail_msg("operation %s: %s", fault.tag < run->graph->operations ? run->graph->operation[fault.tag].name : "?",
		 text);
}
