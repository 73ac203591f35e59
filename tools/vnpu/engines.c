// SPDX-License-Identifier: MIT
#include "engines.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "copy.h"
#include "core.h"
#include "engine.h"
#include "model.h"

struct engine {
	struct vnpu_engines *all;
	unsigned int number;
	pthread_t thread;
	bool thread_started;
	pthread_mutex_t lock; /* protects what follows */
	pthread_cond_t change;
	enum vnpu_engine_state state;
	bool abort; /* the present command shall end with WEFT_FAULT_TIMEOUT */
	bool reset; /* one that never ends shall, even if it is wedged */
	bool held;  /* the present command was one that never ends */
	bool retired;
	bool quit;
	struct vnpu_engine_name name;
	uint32_t context;
	struct vnpu_engine_result result;
	union {
		struct weft_cmd command;
		uint8_t bytes[WEFT_CMD_MAX_BYTES];
	} copy;
};

struct vnpu_engines {
	struct vnpu_engines_options options;
	struct weft_engine_unit *unit;
	struct engine engine[WEFT_ENGINES];
};

static uint64_t now_ns(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

/* Give every operand its place; DMA's host side has none. */
static uint32_t locate(struct vnpu_engines *all, uint32_t context, const struct weft_cmd *command,
		       const struct core_range *range, void **place, struct vnpu_engine_result *result)
{
	for (uint32_t i = 0; i < command->operands; i++) {
		uint32_t access = range[i].access & CORE_WRITE ? VNPU_WRITE : VNPU_READ, reason;

		place[i] = NULL;
		if (!range[i].bytes)
			continue;
		if (range[i].access & CORE_HOST) {
			reason = vnpu_mmu_check(all->options.mmu, context, range[i].low, range[i].bytes,
						access | VNPU_HOST, &result->address);
		} else {
			reason = vnpu_mmu_pointer(all->options.mmu, context, range[i].low, range[i].bytes, access,
						  &place[i], &result->address);
			place[i] = (uint8_t *)place[i] + (command->operand[i].address - range[i].low);
		}
		if (reason) {
			result->operand = i;
			return reason;
		}
	}
	return WEFT_FAULT_NONE;
}

static void charge(const struct vnpu_engines *all, const struct weft_cmd *command, struct vnpu_engine_result *result)
{
	struct weft_model_cost cost;

	weft_model_cost(all->options.model, command, &cost);
	result->cycles = cost.cycles;
	result->picojoules = cost.picojoules;
	result->bytes = cost.bytes;
}

static void execute(struct engine *engine, const struct weft_cmd *command, struct vnpu_engine_result *result)
{
	struct vnpu_engines *all = engine->all;
	struct core_range range[WEFT_MAX_OPERANDS];
	struct weft_fault_record fault = {.operand = 0xff};
	void *place[WEFT_MAX_OPERANDS];

	*result = (struct vnpu_engine_result){.operand = 0xff};
	/* The firmware has checked the command; the chip does not rely on it. */
	result->reason = core_check(command, range, &fault);
	if (result->reason) {
		result->operand = fault.operand;
		result->detail = fault.detail;
		result->address = fault.address;
		return;
	}
	charge(all, command, result);
	if (command->opcode == WEFT_OP_NOP)
		return;
	result->reason = locate(all, engine->context, command, range, place, result);
	if (result->reason)
		return;
	if (engine->number != WEFT_ENGINE_COMPUTE) {
		bool in = engine->number == WEFT_ENGINE_DMA_IN;

		result->reason = vnpu_copy(all->options.mmu, engine->context, command, place[in ? 1 : 0],
					   &result->operand, &result->address);
		if (!result->reason)
			result->operand = 0xff;
		return;
	}
	result->reason = weft_engine_execute(all->unit, command, place, &fault);
	if (result->reason) {
		result->operand = fault.operand;
		result->detail = fault.detail;
		result->address = fault.address;
	}
}

/* Hold the command while it shall not end.  Called without the lock. */
static void misbehave(struct engine *engine)
{
	struct vnpu_misbehave *misbehave = engine->all->options.misbehave;
	bool hang, wedge;

	if (vnpu_misbehave_once(misbehave, VNPU_DIE))
		_exit(3);
	if (misbehave->every[VNPU_LATE])
		usleep((useconds_t)misbehave->every[VNPU_LATE] * 1000);
	hang = vnpu_misbehave_once(misbehave, VNPU_HANG);
	wedge = vnpu_misbehave_once(misbehave, VNPU_WEDGE);
	if (!hang && !wedge)
		return;
	pthread_mutex_lock(&engine->lock);
	engine->held = true;
	while (!engine->reset && !engine->quit && (wedge || !engine->abort))
		pthread_cond_wait(&engine->change, &engine->lock);
	pthread_mutex_unlock(&engine->lock);
}

static void *engine_thread(void *argument)
{
	struct engine *engine = argument;
	struct vnpu_engine_result result;
	uint64_t start;

	pthread_mutex_lock(&engine->lock);
	while (!engine->quit) {
		if (engine->state != VNPU_ENGINE_RUNNING) {
			pthread_cond_wait(&engine->change, &engine->lock);
			continue;
		}
		pthread_mutex_unlock(&engine->lock);
		start = now_ns();
		execute(engine, &engine->copy.command, &result);
		misbehave(engine);
		result.busy_ns = now_ns() - start;
		pthread_mutex_lock(&engine->lock);
		if (engine->abort || engine->held) {
			result.reason = WEFT_FAULT_TIMEOUT;
			result.operand = 0xff;
		}
		engine->result = result;
		engine->state = VNPU_ENGINE_DONE;
		pthread_cond_broadcast(&engine->change);
		pthread_mutex_unlock(&engine->lock);
		engine->all->options.done(engine->all->options.user, engine->number);
		pthread_mutex_lock(&engine->lock);
	}
	pthread_mutex_unlock(&engine->lock);
	return NULL;
}

int vnpu_engines_new(const struct vnpu_engines_options *options, struct vnpu_engines **engines)
{
	struct vnpu_engines *all = calloc(1, sizeof(*all));
	int err;

	if (!all)
		return -ENOMEM;
	all->options = *options;
	err = weft_engine_unit_new(WEFT_ENGINE_AUTO, options->lanes, &all->unit);
	for (unsigned int i = 0; !err && i < WEFT_ENGINES; i++) {
		struct engine *engine = &all->engine[i];

		engine->all = all;
		engine->number = i;
		pthread_mutex_init(&engine->lock, NULL);
		pthread_cond_init(&engine->change, NULL);
		err = -pthread_create(&engine->thread, NULL, engine_thread, engine);
		engine->thread_started = !err;
	}
	if (err) {
		vnpu_engines_free(all);
		return err;
	}
	*engines = all;
	return 0;
}

void vnpu_engines_free(struct vnpu_engines *engines)
{
	if (!engines)
		return;
	for (unsigned int i = 0; i < WEFT_ENGINES; i++) {
		struct engine *engine = &engines->engine[i];

		if (!engine->thread_started)
			continue;
		pthread_mutex_lock(&engine->lock);
		engine->quit = true;
		pthread_cond_broadcast(&engine->change);
		pthread_mutex_unlock(&engine->lock);
		pthread_join(engine->thread, NULL);
		pthread_cond_destroy(&engine->change);
		pthread_mutex_destroy(&engine->lock);
	}
	weft_engine_unit_free(engines->unit);
	free(engines);
}

const char *vnpu_engines_kernels(const struct vnpu_engines *engines)
{
	return weft_engine_unit_kernels(engines->unit);
}

bool vnpu_engine_start(struct vnpu_engines *engines, unsigned int number, uint32_t context,
		       struct vnpu_engine_name name, const void *command, bool *done)
{
	struct engine *engine = &engines->engine[number];
	bool started = false, immediate = false;

	pthread_mutex_lock(&engine->lock);
	if (engine->state != VNPU_ENGINE_RUNNING) {
		memcpy(&engine->copy, command, sizeof(engine->copy));
		engine->context = context;
		engine->name = name;
		engine->abort = engine->reset = engine->held = engine->retired = false;
		started = true;
		/* Nothing to compute: not worth waking a thread, unless it shall misbehave. */
		immediate =
			engine->copy.command.opcode == WEFT_OP_NOP && !engines->options.misbehave->every[VNPU_HANG] &&
			!engines->options.misbehave->every[VNPU_WEDGE] &&
			!engines->options.misbehave->every[VNPU_LATE] && !engines->options.misbehave->every[VNPU_DIE];
		if (immediate) {
			execute(engine, &engine->copy.command, &engine->result);
			engine->state = VNPU_ENGINE_DONE;
		} else {
			engine->state = VNPU_ENGINE_RUNNING;
			pthread_cond_broadcast(&engine->change);
		}
	}
	pthread_mutex_unlock(&engine->lock);
	*done = immediate;
	return started;
}

void vnpu_engine_retire(struct vnpu_engines *engines, unsigned int number)
{
	struct engine *engine = &engines->engine[number];

	pthread_mutex_lock(&engine->lock);
	engine->retired = engine->state == VNPU_ENGINE_DONE;
	pthread_mutex_unlock(&engine->lock);
}

void vnpu_engine_abort(struct vnpu_engines *engines, unsigned int number)
{
	struct engine *engine = &engines->engine[number];

	pthread_mutex_lock(&engine->lock);
	engine->abort = engine->state == VNPU_ENGINE_RUNNING;
	pthread_cond_broadcast(&engine->change);
	pthread_mutex_unlock(&engine->lock);
}

enum vnpu_engine_state vnpu_engine_state(struct vnpu_engines *engines, unsigned int number)
{
	struct engine *engine = &engines->engine[number];
	enum vnpu_engine_state state;

	pthread_mutex_lock(&engine->lock);
	state = engine->state;
	pthread_mutex_unlock(&engine->lock);
	return state;
}

struct vnpu_engine_result vnpu_engine_result(struct vnpu_engines *engines, unsigned int number)
{
	struct engine *engine = &engines->engine[number];
	struct vnpu_engine_result result;

	pthread_mutex_lock(&engine->lock);
	result = engine->result;
	pthread_mutex_unlock(&engine->lock);
	return result;
}

void vnpu_engines_reset(struct vnpu_engines *engines, struct weft_hw_engine_last last[WEFT_ENGINES])
{
	for (unsigned int i = 0; i < WEFT_ENGINES; i++) {
		struct engine *engine = &engines->engine[i];

		pthread_mutex_lock(&engine->lock);
		engine->reset = true;
		pthread_cond_broadcast(&engine->change);
		while (engine->state == VNPU_ENGINE_RUNNING)
			pthread_cond_wait(&engine->change, &engine->lock);
		last[i] = (struct weft_hw_engine_last){.outcome = WEFT_HW_LAST_NONE};
		if (engine->state == VNPU_ENGINE_DONE && !engine->retired)
			last[i] = (struct weft_hw_engine_last){
				.outcome = engine->result.reason ? WEFT_HW_LAST_ABORTED : WEFT_HW_LAST_COMPLETED,
				.sequence = engine->name.sequence,
				.ordinal = engine->name.ordinal,
			};
		engine->state = VNPU_ENGINE_IDLE;
		engine->abort = engine->reset = false;
		pthread_mutex_unlock(&engine->lock);
	}
}
