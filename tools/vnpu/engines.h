/* SPDX-License-Identifier: MIT */
/**
 * The engines of the virtual NPU: one thread each, executing one command at a
 * time with the kernels of firmware/engine.
 */
#ifndef WEFT_VNPU_ENGINES_H
#define WEFT_VNPU_ENGINES_H

#include "misbehave.h"
#include "mmu.h"

struct vnpu_engine_result {
	uint32_t reason; /* enum weft_fault */
	uint32_t operand, detail;
	uint64_t address;
	uint64_t busy_ns;
	uint64_t cycles, picojoules, bytes;
};

/** A command's name, see SOC_ENGINE_SEQUENCE. */
struct vnpu_engine_name {
	uint32_t sequence, ordinal;
};

enum vnpu_engine_state { VNPU_ENGINE_IDLE, VNPU_ENGINE_RUNNING, VNPU_ENGINE_DONE };

struct vnpu_engines;
struct weft_model;

struct vnpu_engines_options {
	struct vnpu_mmu *mmu;
	struct vnpu_misbehave *misbehave;
	const struct weft_model *model; /* what commands cost */
	unsigned int lanes;
	/** Called in the engine's thread when a command is done after it was started. */
	void (*done)(void *user, unsigned int engine);
	void *user;
};

int vnpu_engines_new(const struct vnpu_engines_options *options, struct vnpu_engines **engines);
/** Aborts what runs. */
void vnpu_engines_free(struct vnpu_engines *engines);
const char *vnpu_engines_kernels(const struct vnpu_engines *engines);

/**
 * Start a copy of @command (at most WEFT_CMD_MAX_BYTES readable) on an idle engine.  @done:
 * it was done at once, of which nobody is told otherwise.  False: the engine runs already.
 */
bool vnpu_engine_start(struct vnpu_engines *engines, unsigned int engine, uint32_t context,
		       struct vnpu_engine_name name, const void *command, bool *done);
/** Its command has been counted: a reset says nothing of it any more. */
void vnpu_engine_retire(struct vnpu_engines *engines, unsigned int engine);
/** End the command as soon as possible, with WEFT_FAULT_TIMEOUT. */
void vnpu_engine_abort(struct vnpu_engines *engines, unsigned int engine);
enum vnpu_engine_state vnpu_engine_state(struct vnpu_engines *engines, unsigned int engine);
/** Result of the last command; valid in VNPU_ENGINE_DONE. */
struct vnpu_engine_result vnpu_engine_result(struct vnpu_engines *engines, unsigned int engine);
/**
 * Let every engine finish its command, abort what never ends, and wait until all are
 * idle.  @last tells of the commands that were not retired.
 */
void vnpu_engines_reset(struct vnpu_engines *engines, struct weft_hw_engine_last last[WEFT_ENGINES]);

#endif /* WEFT_VNPU_ENGINES_H */
