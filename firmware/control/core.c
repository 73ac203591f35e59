// SPDX-License-Identifier: MIT
/* The control core's state machine; see core.h for the model. */
#include "core.h"

/* What tells a command's engine and length: the part that other engines' cursors read. */
#define PREFIX_BYTES offsetof(struct weft_cmd, tag)

void core_init(struct core *core, const struct core_platform *platform, struct core_slot *slots, uint32_t count)
{
	*core = (struct core){.platform = *platform, .slot = slots, .slots = count};
	if (count > CORE_MAX_SLOTS)
		core->slots = CORE_MAX_SLOTS;
	for (uint32_t i = 0; i < core->slots; i++)
		slots[i].state = SLOT_FREE;
}

static bool slot_running(const struct core *core, const struct core_slot *slot)
{
	for (uint32_t e = 0; e < WEFT_ENGINES; e++) {
		if (core->running[e] == slot)
			return true;
	}
	return false;
}

static void slot_stop(struct core *core, struct core_slot *slot, const struct weft_fault_record *fault,
		      const struct weft_fault_record *cause)
{
	if (slot->state != SLOT_ACTIVE)
		return;
	slot->fault = *fault;
	slot->cause = *cause;
	slot->state = SLOT_STOPPING;
	if (!slot_running(core, slot)) {
		slot->state = SLOT_ENDED;
		core->ended++;
	}
}

static const struct weft_fault_record cancelled = {.reason = WEFT_FAULT_CANCELLED, .operand = 0xff};

/* @guilty has faulted: stop it, and the other jobs of its context. */
static void context_fault(struct core *core, struct core_slot *guilty, const struct weft_fault_record *fault)
{
	uint32_t context = guilty->job.context;

	slot_stop(core, guilty, fault, fault);
	for (uint32_t i = 0; i < core->used; i++) {
		if (core->slot[i].job.context == context)
			slot_stop(core, &core->slot[i], &cancelled, fault);
	}
}

/* Complete @fault with where @engine's cursor is, and stop the context. */
static void cursor_fault(struct core *core, struct core_slot *slot, uint32_t engine, struct weft_fault_record *fault)
{
	fault->command = slot->cursor[engine].index;
	fault->offset = slot->cursor[engine].offset;
	context_fault(core, slot, fault);
}

static void command_fault(struct core *core, struct core_slot *slot, uint32_t engine, uint32_t reason, uint32_t operand,
			  uint32_t detail, uint64_t value)
{
	const struct weft_cmd *command = &slot->cursor[engine].copy.command;
	struct weft_fault_record fault = {
		.reason = reason,
		.opcode = command->opcode,
		.engine = (uint8_t)engine,
		.operand = (uint8_t)operand,
		.tag = command->tag,
		.detail = detail,
		.address = value,
	};

	cursor_fault(core, slot, engine, &fault);
}

/* The fault of a command that could not be read as a whole: its tag is not known. */
static void stream_fault(struct core *core, struct core_slot *slot, uint32_t engine, uint32_t reason, uint32_t detail,
			 uint64_t value)
{
	slot->cursor[engine].copy.command.tag = 0;
	command_fault(core, slot, engine, reason, 0xff, detail, value);
}

static uint32_t fetch(struct core *core, struct core_slot *slot, struct core_cursor *cursor, uint32_t from, uint32_t to)
{
	return core->platform.fetch(core->platform.user, &slot->job, cursor->offset + from, cursor->copy.bytes + from,
				    to - from);
}

/* The rest of the engine's own command, and the checks.  Each byte of the stream is read once. */
static void cursor_load(struct core *core, struct core_slot *slot, uint32_t engine)
{
	struct core_cursor *cursor = &slot->cursor[engine];
	struct weft_cmd *command = &cursor->copy.command;
	struct weft_fault_record fault;
	uint32_t reason = fetch(core, slot, cursor, PREFIX_BYTES, command->size);

	if (reason) {
		stream_fault(core, slot, engine, reason, 0, slot->job.stream + cursor->offset);
		return;
	}
	if (core_check(command, cursor->range, &fault)) {
		cursor_fault(core, slot, engine, &fault);
		return;
	}
	cursor->state = CURSOR_READY;
}

/* Pass over a command that was executed before: what is left of it is its semaphore. */
static void cursor_pass(struct core *core, struct core_slot *slot, uint32_t engine)
{
	struct core_cursor *cursor = &slot->cursor[engine];
	const struct weft_sem *signal = &cursor->copy.command.signal;
	uint32_t reason = fetch(core, slot, cursor, PREFIX_BYTES, sizeof(struct weft_cmd));

	if (reason) {
		stream_fault(core, slot, engine, reason, 0, slot->job.stream + cursor->offset);
		return;
	}
	if (signal->index != WEFT_SEM_NONE) {
		if (signal->index >= WEFT_SEMAPHORES) {
			command_fault(core, slot, engine, WEFT_FAULT_SEMAPHORE, 0xff, 2, signal->index);
			return;
		}
		/* Engines are passed over one after another, so values may come out of their order. */
		if (signal->value > slot->semaphore[signal->index])
			slot->semaphore[signal->index] = signal->value;
	}
	cursor->passed++;
	cursor->offset += cursor->copy.command.size;
	cursor->index++;
}

/* Move to the engine's next command, or as far as CORE_SCAN_LIMIT. */
static void cursor_scan(struct core *core, struct core_slot *slot, uint32_t engine)
{
	struct core_cursor *cursor = &slot->cursor[engine];
	const struct weft_cmd *command = &cursor->copy.command;

	for (uint32_t skipped = 0; skipped < CORE_SCAN_LIMIT; skipped++) {
		uint32_t left = slot->job.bytes - cursor->offset, reason;

		if (!left && cursor->passed < slot->job.skip[engine]) {
			cursor->copy.command.opcode = 0;
			stream_fault(core, slot, engine, WEFT_FAULT_STREAM, 3, slot->job.skip[engine]);
			return;
		}
		if (!left) {
			cursor->state = CURSOR_END;
			return;
		}
		if (left < sizeof(*command)) {
			cursor->copy.command.opcode = 0;
			stream_fault(core, slot, engine, WEFT_FAULT_STREAM, 1, left);
			return;
		}
		reason = fetch(core, slot, cursor, 0, PREFIX_BYTES);
		if (reason) {
			cursor->copy.command.opcode = 0;
			stream_fault(core, slot, engine, reason, 0, slot->job.stream + cursor->offset);
			return;
		}
		if (command->size < sizeof(*command) || command->size > WEFT_CMD_MAX_BYTES ||
		    command->size % WEFT_CMD_ALIGN || command->size > left) {
			stream_fault(core, slot, engine, WEFT_FAULT_STREAM, 0, command->size);
			return;
		}
		if (command->engine >= WEFT_ENGINES) {
			stream_fault(core, slot, engine, WEFT_FAULT_OPCODE, 1, command->engine);
			return;
		}
		if (command->engine == engine && cursor->passed == slot->job.skip[engine]) {
			cursor_load(core, slot, engine);
			return;
		}
		if (command->engine == engine) {
			cursor_pass(core, slot, engine);
			if (slot->state != SLOT_ACTIVE)
				return;
			continue;
		}
		cursor->offset += command->size;
		cursor->index++;
	}
}

/* The wait slot that holds the command back, or -1. */
static int waits(const struct core_slot *slot, const struct weft_cmd *command)
{
	for (int i = 0; i < 2; i++) {
		const struct weft_sem *wait = &command->wait[i];

		if (wait->index != WEFT_SEM_NONE && slot->semaphore[wait->index] < wait->value)
			return i;
	}
	return -1;
}

/*
 * After any change of @slot: has its job succeeded, or can it never finish?  Only
 * its own commands set its semaphores, so once none runs and all wait, none will.
 */
static void slot_settle(struct core *core, struct core_slot *slot)
{
	uint32_t waiting = WEFT_ENGINES;

	if (slot->state != SLOT_ACTIVE || slot_running(core, slot))
		return;
	for (uint32_t e = 0; e < WEFT_ENGINES; e++) {
		const struct core_cursor *cursor = &slot->cursor[e];

		if (cursor->state == CURSOR_END)
			continue;
		if (cursor->state != CURSOR_READY || waits(slot, &cursor->copy.command) < 0)
			return;
		if (waiting == WEFT_ENGINES || cursor->index < slot->cursor[waiting].index)
			waiting = e;
	}
	if (waiting < WEFT_ENGINES) {
		const struct weft_cmd *command = &slot->cursor[waiting].copy.command;
		const struct weft_sem *wait = &command->wait[waits(slot, command)];

		command_fault(core, slot, waiting, WEFT_FAULT_DEADLOCK, 0xff, wait->index, wait->value);
		return;
	}
	slot->state = SLOT_ENDED;
	core->ended++;
}

bool core_start(struct core *core, const struct core_job *job)
{
	struct core_slot *slot = core->slot;
	uint32_t i = 0;

	while (i < core->slots && core->slot[i].state != SLOT_FREE)
		i++;
	if (i == core->slots)
		return false;
	if (i >= core->used)
		core->used = i + 1;
	slot = &core->slot[i];
	slot->job = *job;
	slot->state = SLOT_ACTIVE;
	slot->fault = slot->cause = (struct weft_fault_record){.operand = 0xff};
	__builtin_memset(slot->semaphore, 0, sizeof(slot->semaphore));
	for (uint32_t e = 0; e < WEFT_ENGINES; e++) {
		slot->cursor[e].state = CURSOR_SCAN;
		slot->cursor[e].offset = slot->cursor[e].index = slot->cursor[e].passed = 0;
	}
	if (job->bytes > WEFT_STREAM_MAX_BYTES || job->bytes % WEFT_CMD_ALIGN) {
		struct weft_fault_record fault = {
			.reason = WEFT_FAULT_STREAM, .operand = 0xff, .detail = 2, .address = job->bytes};

		context_fault(core, slot, &fault);
		return true;
	}
	for (uint32_t e = 0; e < WEFT_ENGINES && slot->state == SLOT_ACTIVE; e++)
		cursor_scan(core, slot, e);
	slot_settle(core, slot);
	return true;
}

/* Resolve the operands of @engine's command.  False: it faulted. */
static bool cursor_translate(struct core *core, struct core_slot *slot, uint32_t engine)
{
	struct core_cursor *cursor = &slot->cursor[engine];
	const struct weft_cmd *command = &cursor->copy.command;

	for (uint32_t i = 0; i < command->operands; i++) {
		const struct core_range *range = &cursor->range[i];
		uint64_t place = 0;
		uint32_t reason;

		cursor->place[i] = 0;
		if (!range->bytes)
			continue;
		reason = core->platform.translate(core->platform.user, &slot->job, range->low, range->bytes,
						  range->access, &place);
		if (reason) {
			command_fault(core, slot, engine, reason, i, range->access, range->low);
			return false;
		}
		cursor->place[i] = place + (command->operand[i].address - range->low);
	}
	return true;
}

/* The slot that @engine shall serve: the highest priority, and of equals the next in turn. */
static struct core_slot *choose(struct core *core, uint32_t engine, bool *again)
{
	struct core_slot *best = NULL;
	uint32_t at = core->turn[engine];

	for (uint32_t n = 0; n < core->used; n++) {
		struct core_slot *slot;
		struct core_cursor *cursor;

		at = at + 1 < core->used ? at + 1 : 0;
		slot = &core->slot[at];
		cursor = &slot->cursor[engine];
		if (slot->state != SLOT_ACTIVE)
			continue;
		if (cursor->state == CURSOR_SCAN) {
			cursor_scan(core, slot, engine);
			slot_settle(core, slot);
			*again |= slot->state == SLOT_ACTIVE && cursor->state == CURSOR_SCAN;
			/* A fault may have stopped what was chosen: look again. */
			if (best && best->state != SLOT_ACTIVE) {
				best = NULL;
				*again = true;
			}
		}
		if (slot->state == SLOT_ACTIVE && cursor->state == CURSOR_READY &&
		    (!best || slot->job.priority > best->job.priority) && waits(slot, &cursor->copy.command) < 0)
			best = slot;
	}
	return best;
}

enum core_result core_next(struct core *core, uint32_t engine, struct core_command *command)
{
	struct core_slot *slot;
	bool again = false;

	if (engine >= WEFT_ENGINES || core->running[engine])
		return CORE_IDLE;
	while ((slot = choose(core, engine, &again))) {
		struct core_cursor *cursor = &slot->cursor[engine];

		core->turn[engine] = (uint32_t)(slot - core->slot);
		if (!cursor_translate(core, slot, engine))
			continue;
		cursor->state = CURSOR_RUNNING;
		core->running[engine] = slot;
		*command = (struct core_command){
			.command = &cursor->copy.command,
			.range = cursor->range,
			.place = cursor->place,
			.job = &slot->job,
			.index = cursor->index,
			.offset = cursor->offset,
			.slot = core->turn[engine],
		};
		return CORE_COMMAND;
	}
	return again ? CORE_AGAIN : CORE_IDLE;
}

uint32_t core_ready(const struct core *core)
{
	uint32_t ready = 0;

	for (uint32_t i = 0; i < core->used; i++) {
		const struct core_slot *slot = &core->slot[i];

		if (slot->state != SLOT_ACTIVE)
			continue;
		for (uint32_t e = 0; e < WEFT_ENGINES; e++) {
			const struct core_cursor *cursor = &slot->cursor[e];

			if (!core->running[e] &&
			    (cursor->state == CURSOR_SCAN ||
			     (cursor->state == CURSOR_READY && waits(slot, &cursor->copy.command) < 0)))
				ready |= 1u << e;
		}
	}
	return ready;
}

/* Set the command's semaphore.  False: backwards, which faults. */
static bool signal_semaphore(struct core *core, struct core_slot *slot, uint32_t engine)
{
	const struct weft_sem *signal = &slot->cursor[engine].copy.command.signal;

	if (signal->index == WEFT_SEM_NONE)
		return true;
	if (signal->value < slot->semaphore[signal->index]) {
		command_fault(core, slot, engine, WEFT_FAULT_SEMAPHORE, 0xff, 2, signal->index);
		return false;
	}
	slot->semaphore[signal->index] = signal->value;
	return true;
}

void core_done(struct core *core, uint32_t engine, uint32_t reason, const struct weft_fault_record *detail)
{
	struct core_slot *slot = engine < WEFT_ENGINES ? core->running[engine] : NULL;
	struct core_cursor *cursor;

	if (!slot)
		return;
	core->running[engine] = NULL;
	cursor = &slot->cursor[engine];
	if (slot->state == SLOT_STOPPING) {
		if (!slot_running(core, slot)) {
			slot->state = SLOT_ENDED;
			core->ended++;
		}
		return;
	}
	if (reason) {
		command_fault(core, slot, engine, reason, detail ? detail->operand : 0xff, detail ? detail->detail : 0,
			      detail ? detail->address : 0);
		return;
	}
	if (!signal_semaphore(core, slot, engine))
		return;
	cursor->offset += cursor->copy.command.size;
	cursor->index++;
	cursor->state = CURSOR_SCAN;
	cursor_scan(core, slot, engine);
	slot_settle(core, slot);
}

void core_cancel_job(struct core *core, uint64_t cookie)
{
	for (uint32_t i = 0; i < core->used; i++) {
		if (core->slot[i].job.cookie == cookie)
			slot_stop(core, &core->slot[i], &cancelled, &cancelled);
	}
}

void core_cancel_context(struct core *core, uint32_t context)
{
	for (uint32_t i = 0; i < core->used; i++) {
		if (core->slot[i].job.context == context)
			slot_stop(core, &core->slot[i], &cancelled, &cancelled);
	}
}

bool core_take_end(struct core *core, struct core_end *end)
{
	if (!core->ended)
		return false;
	for (uint32_t i = 0; i < core->used; i++) {
		struct core_slot *slot = &core->slot[i];

		if (slot->state != SLOT_ENDED)
			continue;
		*end = (struct core_end){.job = slot->job, .fault = slot->fault, .cause = slot->cause};
		slot->state = SLOT_FREE;
		core->ended--;
		while (core->used && core->slot[core->used - 1].state == SLOT_FREE)
			core->used--;
		return true;
	}
	return false;
}
