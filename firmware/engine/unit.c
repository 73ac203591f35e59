// SPDX-License-Identifier: MIT
/*
 * A unit of the compute engine: a code path and a pool of lanes.
 *
 * Lane 0 is the caller of weft_engine_execute(); the other lanes are threads
 * that sleep until a kernel calls weft_engine_parallel().  Pieces are handed out
 * by an atomic counter.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#if defined(__aarch64__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

#include "kernels.h"

struct lane {
	struct weft_engine_unit *unit;
	unsigned int index;
	pthread_t thread;
	void *local;
};

struct weft_engine_unit {
	const struct weft_kernels *kernels;
	unsigned int lanes;
	/** Threads running: lanes 1 to this. */
	unsigned int threads;
	void *shared;
	struct lane lane[WEFT_ENGINE_MAX_LANES];

	/** Protects generation, busy, stop, and the call's description below while lanes start. */
	pthread_mutex_t lock;
	pthread_cond_t start;
	pthread_cond_t done;
	/** Counts calls; a lane works once for each. */
	uint64_t generation;
	/** Threads that have not finished the present call. */
	unsigned int busy;
	bool stop;

	weft_piece piece;
	void *argument;
	unsigned int count;
	atomic_uint next;
};

static const struct weft_kernels *choose_kernels(enum weft_engine_isa isa)
{
#if defined(__x86_64__)
	bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
	bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
		      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");

	if (avx512 && (isa == WEFT_ENGINE_AUTO || isa == WEFT_ENGINE_AVX512))
		return &weft_kernels_avx512;
	if (avx2 && (isa == WEFT_ENGINE_AUTO || isa == WEFT_ENGINE_AVX2))
		return &weft_kernels_avx2;
#elif defined(__aarch64__)
	if (getauxval(AT_HWCAP) & HWCAP_ASIMDDP && (isa == WEFT_ENGINE_AUTO || isa == WEFT_ENGINE_NEON))
		return &weft_kernels_neon;
#endif
	if (isa == WEFT_ENGINE_AUTO || isa == WEFT_ENGINE_SCALAR)
		return &weft_kernels_scalar;
	return NULL;
}

/* Work on the pieces of the present call until none is left. */
static void work(struct weft_engine_unit *unit, unsigned int lane)
{
	for (;;) {
		unsigned int index = atomic_fetch_add_explicit(&unit->next, 1, memory_order_relaxed);

		if (index >= unit->count)
			return;
		unit->piece(unit->argument, index, lane);
	}
}

static void *lane_main(void *argument)
{
	struct lane *lane = argument;
	struct weft_engine_unit *unit = lane->unit;
	uint64_t seen = 0;

	pthread_mutex_lock(&unit->lock);
	for (;;) {
		while (unit->generation == seen && !unit->stop)
			pthread_cond_wait(&unit->start, &unit->lock);
		if (unit->stop)
			break;
		seen = unit->generation;
		pthread_mutex_unlock(&unit->lock);
		work(unit, lane->index);
		pthread_mutex_lock(&unit->lock);
		if (--unit->busy == 0)
			pthread_cond_signal(&unit->done);
	}
	pthread_mutex_unlock(&unit->lock);
	return NULL;
}

void weft_engine_parallel(struct weft_engine_unit *unit, unsigned int count, weft_piece piece, void *argument)
{
	if (count <= 1 || unit->lanes == 1) {
		for (unsigned int i = 0; i < count; i++)
			piece(argument, i, 0);
		return;
	}
	pthread_mutex_lock(&unit->lock);
	unit->piece = piece;
	unit->argument = argument;
	unit->count = count;
	atomic_store_explicit(&unit->next, 0, memory_order_relaxed);
	unit->busy = unit->threads;
	unit->generation++;
	pthread_cond_broadcast(&unit->start);
	pthread_mutex_unlock(&unit->lock);

	work(unit, 0);

	pthread_mutex_lock(&unit->lock);
	while (unit->busy)
		pthread_cond_wait(&unit->done, &unit->lock);
	pthread_mutex_unlock(&unit->lock);
}

/* Signals belong to the application's threads. */
static int start_lanes(struct weft_engine_unit *unit)
{
	sigset_t all, old;
	int r = 0;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	for (unsigned int i = 1; i < unit->lanes && !r; i++) {
		r = pthread_create(&unit->lane[i].thread, NULL, lane_main, &unit->lane[i]);
		if (!r)
			unit->threads = i;
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return r ? -ENOMEM : 0;
}

int weft_engine_unit_new(enum weft_engine_isa isa, unsigned int lanes, struct weft_engine_unit **out)
{
	const struct weft_kernels *kernels = choose_kernels(isa);
	struct weft_engine_unit *unit;
	int r;

	if (!kernels || lanes < 1 || lanes > WEFT_ENGINE_MAX_LANES)
		return -EINVAL;
	unit = calloc(1, sizeof(*unit));
	if (!unit)
		return -ENOMEM;
	unit->kernels = kernels;
	unit->lanes = lanes;
	pthread_mutex_init(&unit->lock, NULL);
	pthread_cond_init(&unit->start, NULL);
	pthread_cond_init(&unit->done, NULL);
	unit->shared = aligned_alloc(4096, WEFT_SHARED_BYTES);
	if (!unit->shared) {
		weft_engine_unit_free(unit);
		return -ENOMEM;
	}
	for (unsigned int i = 0; i < lanes; i++) {
		unit->lane[i].unit = unit;
		unit->lane[i].index = i;
		unit->lane[i].local = aligned_alloc(4096, WEFT_LANE_LOCAL_BYTES);
		if (!unit->lane[i].local) {
			weft_engine_unit_free(unit);
			return -ENOMEM;
		}
	}
	r = start_lanes(unit);
	if (r) {
		weft_engine_unit_free(unit);
		return r;
	}
	*out = unit;
	return 0;
}

void weft_engine_unit_free(struct weft_engine_unit *unit)
{
	if (!unit)
		return;
	pthread_mutex_lock(&unit->lock);
	unit->stop = true;
	pthread_cond_broadcast(&unit->start);
	pthread_mutex_unlock(&unit->lock);
	for (unsigned int i = 1; i <= unit->threads; i++)
		pthread_join(unit->lane[i].thread, NULL);
	for (unsigned int i = 0; i < unit->lanes; i++)
		free(unit->lane[i].local);
	free(unit->shared);
	pthread_cond_destroy(&unit->done);
	pthread_cond_destroy(&unit->start);
	pthread_mutex_destroy(&unit->lock);
	free(unit);
}

const char *weft_engine_unit_kernels(const struct weft_engine_unit *unit)
{
	return unit->kernels->name;
}

unsigned int weft_engine_unit_lanes(const struct weft_engine_unit *unit)
{
	return unit->lanes;
}

void *weft_engine_local(struct weft_engine_unit *unit, unsigned int lane)
{
	return unit->lane[lane].local;
}

void *weft_engine_shared(struct weft_engine_unit *unit)
{
	return unit->shared;
}

enum weft_fault weft_engine_execute(struct weft_engine_unit *unit, const struct weft_cmd *command,
				    void *const pointer[], struct weft_fault_record *fault)
{
	weft_kernel kernel = command->opcode < WEFT_OP_LIMIT ? unit->kernels->op[command->opcode] : NULL;
	enum weft_fault reason;

	memset(fault, 0, sizeof(*fault));
	fault->opcode = command->opcode;
	fault->engine = command->engine;
	fault->operand = 0xff;
	fault->tag = command->tag;
	reason = kernel ? kernel(unit, command, pointer, fault) : WEFT_FAULT_OPCODE;
	fault->reason = reason;
	return reason;
}
