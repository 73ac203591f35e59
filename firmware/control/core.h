/* SPDX-License-Identifier: MIT */
/**
 * The control core: takes jobs, checks their commands, feeds the engines.
 *
 * Freestanding: no libc beyond <stdint.h>, <stddef.h>, <stdbool.h> (the compiler
 * may call memcpy and memset), no allocation, no floating point.  The same source
 * is linked into libaccel's embedded device and into the device's RV32 firmware.
 * What differs between the two is behind struct core_platform.
 *
 * The model.  Up to CORE_MAX_SLOTS jobs are active at once, one per slot.  A job is
 * a command stream in a context (an address space).  Each engine walks the stream
 * with a cursor of its own and sees only its own commands; cursors wait for one
 * another by the job's 64 semaphores.  A command is read from the stream exactly
 * once, into the cursor; that copy is checked, its operands are translated, and the
 * engine executes the copy, so nothing that happens to the stream meanwhile matters.
 *
 * Faults stop the jobs of one context.  The guilty job ends with the fault, the
 * context's other jobs with WEFT_FAULT_CANCELLED, each as soon as none of its
 * commands runs.  Other contexts are not touched.  Jobs of that context that are
 * started afterwards run: refusing them until the owner has recovered is the
 * platform's duty.
 *
 * Nothing here locks: the caller serialises all calls for one struct core.
 * The platform's functions are called from within and must not call back.
 *
 * Use:
 *	core_init(&core, &platform, slots, count);
 *	core_start(&core, &job);
 *	for each idle engine: if (core_next(&core, engine, &command) == CORE_COMMAND)
 *		execute, then core_done(&core, engine, reason, &record);
 *	while (core_take_end(&core, &end))
 *		report it
 */
#ifndef WEFT_CONTROL_CORE_H
#define WEFT_CONTROL_CORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <weft_isa.h>

#define CORE_MAX_SLOTS 64

/** How a byte range of a context is reached. */
enum core_access {
	CORE_READ = 1 << 0,
	CORE_WRITE = 1 << 1,
	/** Host memory is meant; without it, device memory. */
	CORE_HOST = 1 << 2,
};

/** A job as the submitter describes it. */
struct core_job {
	uint64_t stream; /* platform-defined: where fetch() finds the stream */
	uint64_t cookie; /* the submitter's; not looked at */
	uint32_t bytes;	 /* of the stream; a multiple of WEFT_CMD_ALIGN, at most WEFT_STREAM_MAX_BYTES */
	uint32_t context;
	uint32_t priority; /* an idle engine takes the ready command of the highest; equals take turns */
	/*
	 * Commands of each engine, from the start of the stream, that were executed before
	 * the core was reset: they are passed over, and their semaphores are set.  The
	 * stream has to be the same; one that has fewer faults with WEFT_FAULT_STREAM.
	 */
	uint32_t skip[WEFT_ENGINES];
};

struct core_platform {
	void *user;
	/**
	 * Copy @bytes at @offset of @job's stream to @to.  The core has checked that
	 * they are within job->bytes.  Returns enum weft_fault.
	 */
	uint32_t (*fetch)(void *user, const struct core_job *job, uint32_t offset, void *to, uint32_t bytes);
	/**
	 * Is [@address, @address + @bytes) of @job's context wholly mapped in one
	 * tier with these access rights?  The sum does not overflow, @bytes is not 0.
	 * Returns WEFT_FAULT_NONE with the place of the first byte in *@place (a
	 * pointer or a bus address: what the platform's engines want),
	 * WEFT_FAULT_UNMAPPED or WEFT_FAULT_PERMISSION.
	 */
	uint32_t (*translate)(void *user, const struct core_job *job, uint64_t address, uint64_t bytes, uint32_t access,
			      uint64_t *place);
};

/** The bytes that an operand can reach. */
struct core_range {
	uint64_t low;	 /* context address of the lowest byte */
	uint64_t bytes;	 /* 0: operand absent */
	uint32_t access; /* enum core_access */
};

/** A command that an engine shall execute.  Valid until core_done(). */
struct core_command {
	const struct weft_cmd *command; /* the checked copy */
	const struct core_range *range; /* of each operand */
	const uint64_t *place;		/* of element [0, 0, ...] of each operand, from translate(); 0 if absent */
	const struct core_job *job;
	uint32_t index;	 /* of the command in its stream */
	uint32_t offset; /* in bytes, likewise */
	uint32_t slot;
};

/** How a job ended. */
struct core_end {
	struct core_job job;
	struct weft_fault_record fault; /* reason WEFT_FAULT_NONE: it succeeded */
	struct weft_fault_record cause; /* the fault that stopped the context; differs from @fault for bystanders */
};

enum core_result {
	/** Nothing to run now; ask again after core_start() or core_done(). */
	CORE_IDLE = 0,
	/** A command was handed over. */
	CORE_COMMAND = 1,
	/** Nothing yet, but the cursor has not reached its next command: call again (lets others in between). */
	CORE_AGAIN = 2,
};

/** Commands of other engines that a cursor skips in one call at most: bounds the time of a call. */
#define CORE_SCAN_LIMIT 256

/* The state below is the core's own; it is here so that callers can provide the memory. */

enum core_cursor_state { CURSOR_SCAN, CURSOR_READY, CURSOR_RUNNING, CURSOR_END };

struct core_cursor {
	uint32_t state;		/* enum core_cursor_state */
	uint32_t offset, index; /* of the present command */
	uint32_t passed;	/* of job.skip */
	struct core_range range[WEFT_MAX_OPERANDS];
	uint64_t place[WEFT_MAX_OPERANDS];
	union {
		struct weft_cmd command;
		uint8_t bytes[WEFT_CMD_MAX_BYTES];
	} copy;
};

enum core_slot_state { SLOT_FREE, SLOT_ACTIVE, SLOT_STOPPING, SLOT_ENDED };

struct core_slot {
	uint32_t state; /* enum core_slot_state */
	struct core_job job;
	struct weft_fault_record fault, cause;
	uint32_t semaphore[WEFT_SEMAPHORES];
	struct core_cursor cursor[WEFT_ENGINES];
};

struct core {
	struct core_platform platform;
	struct core_slot *slot;
	uint32_t slots;
	uint32_t used;	/* slots from this one on are free: bounds the searches */
	uint32_t ended; /* slots in SLOT_ENDED */
	struct core_slot *running[WEFT_ENGINES];
	uint32_t turn[WEFT_ENGINES]; /* slot that was served last */
};

/** @slots: memory for @count jobs, at most CORE_MAX_SLOTS; cleared here.  Both must outlive the core. */
void core_init(struct core *core, const struct core_platform *platform, struct core_slot *slots, uint32_t count);

/** Start a job.  Returns false when every slot is taken (also by ended jobs not taken yet). */
bool core_start(struct core *core, const struct core_job *job);

/** The next command for an idle @engine.  A busy engine gets CORE_IDLE.  May end jobs (faults). */
enum core_result core_next(struct core *core, uint32_t engine, struct core_command *command);

/** Engines (a mask) for which core_next() would not return CORE_IDLE. */
uint32_t core_ready(const struct core *core);

/**
 * @engine has finished its command: successfully (@reason WEFT_FAULT_NONE) or
 * with a fault, of which @detail (may be NULL) gives operand, detail and address.
 * A watchdog that has stopped the engine reports WEFT_FAULT_TIMEOUT here.
 */
void core_done(struct core *core, uint32_t engine, uint32_t reason, const struct weft_fault_record *detail);

/** Stop the jobs with this cookie, or all of a context; commands that run are waited for. */
void core_cancel_job(struct core *core, uint64_t cookie);
void core_cancel_context(struct core *core, uint32_t context);

/** The next ended job, in no particular order; its slot is free then.  False: none. */
bool core_take_end(struct core *core, struct core_end *end);

/**
 * Check a whole command, of which cmd->size bytes are readable and within
 * WEFT_CMD_MAX_BYTES: header, parameters, operands, shape relations, overlap.
 * Fills range[0 .. operands).  Returns enum weft_fault, and fills reason, opcode,
 * engine, operand, tag, detail and address of @fault.
 */
uint32_t core_check(const struct weft_cmd *command, struct core_range *range, struct weft_fault_record *fault);

#endif /* WEFT_CONTROL_CORE_H */
