// SPDX-License-Identifier: MIT
/* The embedded backend's table. */
#include "embedded.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define FIRMWARE_VERSION ACCEL_VERSION

static bool accepts(const char *spec)
{
	static const char name[] = "embedded";

	return !spec || (!strncmp(spec, name, strlen(name)) && (!spec[strlen(name)] || spec[strlen(name)] == ':'));
}

static int unit_new(struct embedded *embedded)
{
	int result = weft_engine_unit_new(embedded->options.isa, embedded->options.threads, &embedded->unit);

	if (result == -EINVAL)
		return accel_fail(EINVAL,
				  "embedded device: this processor does not have the instructions that isa= asks for; "
				  "use isa=auto");
	if (result)
		return accel_fail(-result, "embedded device: no compute unit with %u threads",
				  embedded->options.threads);
	return 0;
}

static void destroy(struct embedded *embedded)
{
	weft_engine_unit_free(embedded->unit);
	arena_destroy(&embedded->arena);
	free(embedded->slots);
	free(embedded);
}

/* The device's threads leave the application's signals to its own threads. */
static int start_threads(struct embedded *embedded)
{
	sigset_t all, before;
	int result;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	result = unit_new(embedded);
	if (!result) {
		embedded_core_init(embedded);
		result = embedded_engines_start(embedded);
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return result;
}

static int open_device(struct accel_device *device, const char *spec)
{
	struct embedded_options options;
	struct embedded *embedded;
	int result = embedded_parse(spec ? spec : "embedded", &options);

	if (result)
		return result;
	embedded = calloc(1, sizeof(*embedded));
	if (!embedded)
		return accel_fail(ENOMEM, "no memory for a device");
	embedded->device = device;
	embedded->options = options;
	device->data = embedded;
	embedded->slots = calloc(EMBEDDED_SLOTS, sizeof(*embedded->slots));
	result = embedded->slots ? arena_init(&embedded->arena, options.memory_bytes)
				 : accel_fail(ENOMEM, "no memory for a device");
	if (!result)
		result = start_threads(embedded);
	if (result)
		destroy(embedded);
	return result;
}

static void close_device(struct accel_device *device)
{
	struct embedded *embedded = device->data;

	embedded_engines_stop(embedded);
	destroy(embedded);
}

static void query(struct accel_device *device, struct accel_device_info *info)
{
	const struct embedded *embedded = device->data;
	const struct weft_model *model = embedded->options.model;

	snprintf(info->backend, sizeof(info->backend), "embedded");
	snprintf(info->name, sizeof(info->name), "Weft embedded device");
	snprintf(info->profile, sizeof(info->profile), "%s", model->name);
	snprintf(info->firmware, sizeof(info->firmware), "%s", FIRMWARE_VERSION);
	snprintf(info->kernels, sizeof(info->kernels), "%s", weft_engine_unit_kernels(embedded->unit));
	info->isa_major = WEFT_ISA_VERSION_MAJOR;
	info->isa_minor = WEFT_ISA_VERSION_MINOR;
	info->device_memory_bytes = embedded->arena.bytes;
	info->page_bytes = EMBEDDED_PAGE;
	info->local_memory_bytes = (uint64_t)embedded->options.threads * WEFT_LANE_LOCAL_BYTES;
	info->threads = embedded->options.threads;
	info->clock_hz = (uint64_t)model->clock_hz;
	info->macs_per_cycle = (uint64_t)(model->rows * model->columns / model->step_cycles);
	info->device_bytes_per_second = (uint64_t)model->device_bytes_per_second;
	info->dma_in_bytes_per_second = (uint64_t)model->dma_bytes_per_second[0];
	info->dma_out_bytes_per_second = (uint64_t)model->dma_bytes_per_second[1];
}

static void counters(struct accel_device *device, struct accel_counters *counters)
{
	const struct embedded *embedded = device->data;

	for (uint32_t e = 0; e < WEFT_ENGINES; e++) {
		counters->commands[e] = embedded->engine[e].commands;
		counters->busy_ns[e] = embedded->engine[e].busy_ns;
		counters->model_cycles[e] = embedded->engine[e].model_cycles;
		counters->model_picojoules[e] = embedded->engine[e].model_picojoules;
	}
	counters->dma_in_bytes = embedded->engine[WEFT_ENGINE_DMA_IN].bytes;
	counters->dma_out_bytes = embedded->engine[WEFT_ENGINE_DMA_OUT].bytes;
}

static int cost(struct accel_device *device, const struct weft_cmd *command, struct accel_cost *cost)
{
	const struct embedded *embedded = device->data;
	struct core_range range[WEFT_MAX_OPERANDS];
	struct weft_fault_record fault;
	struct weft_model_cost result;

	if (core_check(command, range, &fault)) {
		char text[512];

		accel_describe(&fault, command, command->size, text, sizeof(text));
		return accel_fail(EINVAL, "%s", text);
	}
	weft_model_cost(embedded->options.model, command, &result);
	*cost = (struct accel_cost){result.cycles, result.picojoules, result.operations, result.bytes};
	return 0;
}

static int context_new(struct accel_context *context)
{
	struct space *space = malloc(sizeof(*space));

	if (!space)
		return accel_fail(ENOMEM, "no memory for an address space");
	space_init(space, context->id);
	context->data = space;
	return 0;
}

static void context_free(struct accel_context *context)
{
	space_destroy(context->data);
	free(context->data);
}

static int device_memory(struct embedded *embedded, struct accel_buffer *buffer)
{
	uint64_t offset;
	int result = arena_allocate(&embedded->arena, buffer->bytes, &offset);

	if (!result)
		buffer->memory = embedded->arena.memory + offset;
	return result;
}

/*
 * Whole pages, which O_DIRECT and io_uring's registered buffers want; huge ones where
 * the buffer has them, which make a transfer one segment instead of hundreds.  That is
 * advice: without such pages only the speed changes.
 */
static int host_memory(struct accel_buffer *buffer)
{
	void *memory = MAP_FAILED;

	if (buffer->bytes <= SIZE_MAX)
		memory = mmap(NULL, (size_t)buffer->bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		return accel_fail(ENOMEM, "no host memory for a buffer of %llu bytes",
				  (unsigned long long)buffer->bytes);
	madvise(memory, (size_t)buffer->bytes, MADV_HUGEPAGE);
	buffer->memory = memory;
	return 0;
}

static void free_memory(struct embedded *embedded, struct accel_buffer *buffer)
{
	if (buffer->flags & ACCEL_DEVICE_MEMORY)
		arena_free(&embedded->arena, (uint64_t)((uint8_t *)buffer->memory - embedded->arena.memory),
			   buffer->bytes);
	else
		munmap(buffer->memory, (size_t)buffer->bytes);
}

static int buffer_new(struct accel_buffer *buffer)
{
	struct embedded *embedded = buffer->context->device->data;
	uint32_t access = CORE_READ;
	int result;

	if (!(buffer->flags & ACCEL_READ_ONLY))
		access |= CORE_WRITE;
	if (buffer->flags & ACCEL_HOST_MEMORY)
		access |= CORE_HOST;
	result = buffer->flags & ACCEL_DEVICE_MEMORY ? device_memory(embedded, buffer) : host_memory(buffer);
	if (result)
		return result;
	result = space_map(buffer->context->data, buffer->memory, buffer->bytes, access, &buffer->address);
	if (result)
		free_memory(embedded, buffer);
	return result;
}

static void buffer_free(struct accel_buffer *buffer)
{
	space_unmap(buffer->context->data, buffer->address);
	free_memory(buffer->context->device->data, buffer);
}

const struct accel_backend accel_backend_embedded = {
	.name = "embedded",
	.accepts = accepts,
	.open = open_device,
	.close = close_device,
	.query = query,
	.counters = counters,
	.cost = cost,
	.context_new = context_new,
	.context_free = context_free,
	.context_stop = embedded_stop,
	.buffer_new = buffer_new,
	.buffer_free = buffer_free,
	.depth = 1,
	.submit = embedded_submit,
	.traces = true,
};
