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
static void run(struct embedded_worker *worker, const struct core_command *command, uint32_t number)
{
	struct embedded *embedded = worker->device;
	struct embedded_engine *engine = &embedded->engine[number];
	const struct accel_job *job = (const struct accel_job *)(uintptr_t)command->job->cookie;
	struct accel_context *context = job->queue->context;
	struct weft_fault_record fault = {.operand = 0xff};
	struct weft_model_cost cost;
	enum weft_fault reason;
	uint64_t start, end;

	worker->last = number;
	embedded->looking--;
	accel_unlock(embedded->device);
	start = now_ns();
	weft_model_cost(embedded->options.model, command->command, &cost);
	reason = execute(embedded, command, &fault);
	end = now_ns();
	accel_lock(embedded->device);
	embedded->looking++;
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
			.engine = (uint8_t)number,
			.start_ns = start,
			.end_ns = end,
			.model_cycles = cost.cycles,
		};

		accel_trace_add(context, &record);
	}
	core_done(&embedded->core, number, reason, &fault);
	embedded_collect(embedded);
}

/*
 * A command of any engine that has one: first of the compute engine, which the others
 * serve, then of the engine that the worker's caches know.
 */
static enum core_result next_command(struct embedded_worker *worker, struct core_command *command, uint32_t *engine)
{
	const uint32_t order[] = {WEFT_ENGINE_COMPUTE, worker->last, WEFT_ENGINE_DMA_IN, WEFT_ENGINE_DMA_OUT};
	enum core_result all = CORE_IDLE;

	for (unsigned int i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
		enum core_result result = core_next(&worker->device->core, order[i], command);

		*engine = order[i];
		if (result == CORE_COMMAND)
			return result;
		if (result == CORE_AGAIN)
			all = CORE_AGAIN;
	}
	return all;
}

static void sleep_until_woken(struct embedded_worker *worker)
{
	struct embedded *embedded = worker->device;

	worker->idle = true;
	embedded->looking--;
	while (worker->idle && !embedded->closing)
		pthread_cond_wait(&worker->work, &embedded->device->lock);
	/* Who woke it counts it among those that look. */
}

static void *worker_thread(void *argument)
{
	struct embedded_worker *worker = argument;
	struct embedded *embedded = worker->device;
	struct accel_device *device = embedded->device;

	accel_lock(device);
	embedded->looking++;
	while (!embedded->closing) {
		struct core_command command;
		uint32_t engine;
		enum core_result result = next_command(worker, &command, &engine);

		if (embedded->core.ended) {
			embedded_collect(embedded);
			/* What started then may be for this worker. */
			if (result == CORE_IDLE)
				result = CORE_AGAIN;
		}
		if (result == CORE_COMMAND)
			run(worker, &command, engine);
		if (device->dead || result == CORE_AGAIN) {
			accel_unlock(device);
			accel_device_reap(device);
			if (closed_here)
				return NULL;
			accel_lock(device);
		} else if (result == CORE_IDLE) {
			sleep_until_woken(worker);
		}
	}
	accel_unlock(device);
	return NULL;
}

int embedded_engines_start(struct embedded *embedded)
{
	for (uint32_t i = 0; i < WEFT_ENGINES; i++) {
		struct embedded_worker *worker = &embedded->worker[i];
		int error;

		worker->device = embedded;
		worker->last = i;
		pthread_cond_init(&worker->work, NULL);
		error = pthread_create(&worker->thread, NULL, worker_thread, worker);
		if (error) {
			pthread_cond_destroy(&worker->work);
			embedded_engines_stop(embedded);
			return accel_fail(error, "embedded device: no thread for the engines");
		}
		pthread_setname_np(worker->thread, "weft-engines");
		embedded->started++;
	}
	return 0;
}

void embedded_engines_stop(struct embedded *embedded)
{
	accel_lock(embedded->device);
	embedded->closing = true;
	for (uint32_t i = 0; i < embedded->started; i++)
		pthread_cond_signal(&embedded->worker[i].work);
	accel_unlock(embedded->device);
	for (uint32_t i = 0; i < embedded->started; i++) {
		struct embedded_worker *worker = &embedded->worker[i];

		if (pthread_equal(worker->thread, pthread_self())) {
			pthread_detach(worker->thread);
			closed_here = true;
		} else {
			pthread_join(worker->thread, NULL);
		}
		pthread_cond_destroy(&worker->work);
	}
	embedded->started = 0;
}
