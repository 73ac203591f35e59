/* SPDX-License-Identifier: MIT */
/*
 * The embedded device: the control core and the engines, as threads of this process.
 *
 * As many threads as there are engines, the workers, ask the core for commands and
 * execute them, one after the other.  A worker takes commands of whichever engine has
 * one: engines that wait for one another by turns are all served by the same thread,
 * which never sleeps, and another is woken only when two engines have something to
 * do at once.  The core, like everything else of the device, is protected by the
 * device's lock, which is free while a command runs.
 */
#ifndef ACCEL_EMBEDDED_H
#define ACCEL_EMBEDDED_H

#include "../internal.h"

#include <core.h>
#include <engine.h>
#include <model.h>

#define EMBEDDED_PAGE 4096u
#define EMBEDDED_SLOTS 64u
#define EMBEDDED_PRIORITIES (ACCEL_PRIORITY_HIGH + 1)

/* What the device string says. */
struct embedded_options {
	uint64_t memory_bytes;
	unsigned int threads;
	enum weft_engine_isa isa;
	const struct weft_model *model;
};

/* spec.c: "embedded" or "embedded:key=value,..." */
int embedded_parse(const char *spec, struct embedded_options *options);

/* arena.c: device memory, handed out in pages.  All locked. */
struct hole {
	uint64_t offset, bytes;
};

struct arena {
	uint8_t *memory;
	uint64_t bytes;
	struct hole *hole; /* in the order of offsets, never adjacent */
	size_t holes, room;
	size_t allocations;
};

int arena_init(struct arena *arena, uint64_t bytes);
void arena_destroy(struct arena *arena);
/* First fit.  -ENOSPC says what is free. */
int arena_allocate(struct arena *arena, uint64_t bytes, uint64_t *offset);
/* Cannot fail: arena_allocate() has made room for the hole. */
void arena_free(struct arena *arena, uint64_t offset, uint64_t bytes);

/* space.c: a context's address space.  All locked. */
struct region {
	uint64_t address, bytes;
	uint8_t *memory;
	uint32_t access; /* enum core_access: what is allowed, and the tier */
};

struct space {
	struct region *region; /* in the order of addresses */
	size_t regions, room;
	uint64_t next; /* address of the next region */
};

void space_init(struct space *space, uint32_t context);
void space_destroy(struct space *space);
/* -ENOMEM, or -ENOSPC when all addresses were given out. */
int space_map(struct space *space, uint8_t *memory, uint64_t bytes, uint32_t access, uint64_t *address);
void space_unmap(struct space *space, uint64_t address);
/* As core_platform.translate. */
uint32_t space_translate(const struct space *space, uint64_t address, uint64_t bytes, uint32_t access, uint64_t *place);

struct embedded;

struct embedded_engine {
	uint64_t commands, busy_ns, model_cycles, model_picojoules, bytes;
};

struct embedded_worker {
	struct embedded *device;
	pthread_t thread;
	pthread_cond_t work;
	bool idle;     /* sleeps until there is work */
	uint32_t last; /* enum weft_engine: that it worked for */
};

struct embedded {
	struct accel_device *device;
	struct embedded_options options;
	struct arena arena;
	struct weft_engine_unit *unit;
	struct core core;
	struct core_slot *slots;
	struct embedded_engine engine[WEFT_ENGINES];
	struct embedded_worker worker[WEFT_ENGINES];
	unsigned int started; /* workers */
	unsigned int looking; /* workers that neither execute nor sleep: each will take a command if there is one */
	bool closing;
	bool collecting; /* embedded_collect() is at work further up the stack */
	/* Issued jobs that wait for a slot, by priority. */
	struct accel_job *first[EMBEDDED_PRIORITIES], *last[EMBEDDED_PRIORITIES];
};

/* engines.c */
int embedded_engines_start(struct embedded *embedded);
/* Ends all threads, also when called from one of them. */
void embedded_engines_stop(struct embedded *embedded);

/* jobs.c.  All locked. */
void embedded_core_init(struct embedded *embedded);
int embedded_submit(struct accel_job *job, struct weft_fault_record *cause);
void embedded_stop(struct accel_context *context);
/* Report ended jobs, start waiting ones, wake workers where engines have something to do. */
void embedded_collect(struct embedded *embedded);

#endif /* ACCEL_EMBEDDED_H */
