// SPDX-License-Identifier: MIT
/* The threads that execute commands. */
#include "embedded.h"

#include <dma.h>
#include <errno.h>
#include <stdio.h>
#include <time.h>

/* Set in a thread that has dropped the device's last reference, and so has closed it. */
static _Thread_local bool closed_here;

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* Not locked. */
static enum weft_fault execute(struct embedded *embedded, const struct core_command *command,
			       struct weft_fault_record *fault)
{
	void *pointer[WEFT_MAX_OPERANDS];

	if (command->command->opcode == WEFT_OP_NOP)
		return WEFT_FAULT_NONE;
	for (uint32_t i = 0; i < command->command->operands; i++)
		pointer[i] = (void *)(uintptr_t)command->place[i];
	if (command->command->engine == WEFT_ENGINE_COMPUTE)
		return weft_engine_execute(embedded->unit, command->command, pointer, fault);
	weft_dma_copy(command->command, pointer);
	return WEFT_FAULT_NONE;
}

/* Locked, but for the execution. */
static void run(struct embedded_engine *engine, const struct core_command *command)
{
	struct embedded *embedded = engine->device;
	const struct accel_job *job = (const struct accel_job *)(uintptr_t)command->job->cookie;
	struct accel_context *context = job->queue->context;
	struct weft_fault_record fault = {.operand = 0xff};
	struct weft_model_cost cost;
	enum weft_fault reason;
	uint64_t start, end;

	accel_unlock(embedded->device);
	start = now_ns();
	weft_model_cost(embedded->options.model, command->command, &cost);
	reason = execute(embedded, command, &fault);
	end = now_ns();
	accel_lock(embedded->device);
	/* A kernel cannot be stopped here: its limit is judged once it has ended. */
	if (!reason && context->command_timeout_ns && end - start > context->command_timeout_ns)
		reason = WEFT_FAULT_TIMEOUT;
	engine->commands++;
	engine->busy_ns += end - start;
	engine->model_cycles += cost.cycles;
	engine->model_picojoules += cost.picojoules;
	engine->bytes += cost.bytes;
	if (accel_trace_wanted(context)) {
		const struct accel_trace_record record = {
			.tag = command->command->tag,
			.opcode = command->command->opcode,
			.engine = (uint8_t)engine->engine,
			.start_ns = start,
			.end_ns = end,
			.model_cycles = cost.cycles,
		};

		accel_trace_add(context, &record);
	}
	core_done(&embedded->core, engine->engine, reason, &fault);
	embedded_collect(embedded);
}

static void *engine_thread(void *argument)
{
	struct embedded_engine *engine = argument;
	struct embedded *embedded = engine->device;
	struct accel_device *device = embedded->device;

	accel_lock(device);
	while (!embedded->closing) {
		struct core_command command;
		enum core_result result = core_next(&embedded->core, engine->engine, &command);

		if (embedded->core.ended) {
			embedded_collect(embedded);
			/* What started then may be for this engine. */
			if (result == CORE_IDLE)
				result = CORE_AGAIN;
		}
		if (result == CORE_COMMAND)
			run(engine, &command);
		if (device->dead || result == CORE_AGAIN) {
			accel_unlock(device);
			accel_device_reap(device);
			if (closed_here)
				return NULL;
			accel_lock(device);
		} else if (result == CORE_IDLE) {
			engine->idle = true;
			while (engine->idle && !embedded->closing)
				pthread_cond_wait(&engine->work, &device->lock);
		}
	}
	accel_unlock(device);
	return NULL;
}

int embedded_engines_start(struct embedded *embedded)
{
	static const char *const names[WEFT_ENGINES] = {"weft-compute", "weft-dma-in", "weft-dma-out"};

	for (uint32_t e = 0; e < WEFT_ENGINES; e++) {
		struct embedded_engine *engine = &embedded->engine[e];
		int error;

		engine->device = embedded;
		engine->engine = e;
		pthread_cond_init(&engine->work, NULL);
		error = pthread_create(&engine->thread, NULL, engine_thread, engine);
		if (error) {
			pthread_cond_destroy(&engine->work);
			embedded_engines_stop(embedded);
			return accel_fail(error, "embedded device: no thread for an engine");
		}
		pthread_setname_np(engine->thread, names[e]);
		embedded->started++;
	}
	return 0;
}

void embedded_engines_stop(struct embedded *embedded)
{
	accel_lock(embedded->device);
	embedded->closing = true;
	for (uint32_t e = 0; e < embedded->started; e++)
		pthread_cond_signal(&embedded->engine[e].work);
	accel_unlock(embedded->device);
	for (uint32_t e = 0; e < embedded->started; e++) {
		struct embedded_engine *engine = &embedded->engine[e];

		if (pthread_equal(engine->thread, pthread_self())) {
			pthread_detach(engine->thread);
			closed_here = true;
		} else {
			pthread_join(engine->thread, NULL);
		}
		pthread_cond_destroy(&engine->work);
	}
	embedded->started = 0;
}
