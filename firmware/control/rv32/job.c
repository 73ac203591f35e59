// SPDX-License-Identifier: MIT
/*
 * Jobs: the order of queues, the engines, the watchdog, and what the mailbox says
 * of them.
 *
 * A job waits (JOB_QUEUED) until every earlier job of its context and queue has
 * ended, then it is the core's (JOB_STARTED) until the core reports its end.  Its
 * place in the table is its slot in the mailbox and its cookie in the core.
 *
 * Nothing here searches the whole table: every submission pays for each instruction
 * of a turn.  The table's state is in bit masks, and a job knows its successor.
 */
#include "firmware.h"

enum job_state { JOB_FREE, JOB_QUEUED, JOB_STARTED, JOB_ENDED };

/* Commands that one engine gets before the others have their turn. */
#define COMMANDS_PER_TURN 4

#define BIT(index) (1u << (index))
#define ALL_JOBS ((uint32_t)((1ull << FIRMWARE_JOBS) - 1))

struct job {
	uint32_t state; /* enum job_state */
	uint32_t order; /* of acceptance */
	/* The job of its queue that was accepted after it, if one was; that one's order tells. */
	uint32_t next, next_order;
	struct weft_hw_request request;
	struct weft_hw_event event;	 /* filled in as the job proceeds */
	uint32_t completed;		 /* commands */
	uint32_t progress[WEFT_ENGINES]; /* of them, by engine */
};

struct running {
	bool busy, aborted;
	uint32_t job;
	uint64_t started; /* chip_time() */
};

static struct core core;
static struct core_slot core_slots[FIRMWARE_JOBS];
static struct job jobs[FIRMWARE_JOBS];
static struct running running[WEFT_ENGINES];
static uint32_t accepted;
static uint32_t last; /* job that was accepted last */
/* Sets of jobs: those not free; of them, those that can start, and those whose end is to be told. */
static uint32_t held, startable, ended;
static uint8_t faulted[WEFT_HW_MAX_CONTEXTS + 1];

static uint32_t fetch(void *user, const struct core_job *job, uint32_t offset, void *to, uint32_t bytes)
{
	(void)user;
	return chip_copy(SOC_COPY_READ, to, bytes, job->context, job->stream + offset);
}

static uint32_t translate(void *user, const struct core_job *job, uint64_t address, uint64_t bytes, uint32_t access,
			  uint64_t *place)
{
	uint32_t flags = 0;

	(void)user;
	if (access & CORE_WRITE)
		flags |= SOC_MMU_WRITE;
	if (access & CORE_HOST)
		flags |= SOC_MMU_HOST;
	/* The engines translate by themselves; this finds faults before the command starts. */
	*place = address;
	return chip_mmu(SOC_MMU_CHECK, job->context, address, bytes, flags);
}

void job_init(void)
{
	static const struct core_platform platform = {.fetch = fetch, .translate = translate};

	core_init(&core, &platform, core_slots, FIRMWARE_JOBS);
}

static void slot_status(uint32_t index)
{
	volatile struct weft_hw_slot_status *slot = &CHIP_MAILBOX->slot[index];
	const struct job *job = &jobs[index];

	slot->sequence = job->request.sequence;
	slot->completed = job->completed;
	slot->context = job->state == JOB_FREE ? 0 : job->request.context;
}

/* The lowest of a set that is not empty. */
static uint32_t lowest(uint32_t set)
{
	uint32_t index = 0;

	if (set & 1)
		return 0;
	for (uint32_t bits = 16; bits; bits >>= 1) {
		if (!(set & (BIT(bits) - 1))) {
			set >>= bits;
			index += bits;
		}
	}
	return index;
}

static bool same_queue(const struct job *job, const struct weft_hw_request *request)
{
	return job->request.context == request->context && job->request.queue == request->queue;
}

/* The last job of the queue that has not ended, or NULL. */
static struct job *predecessor(const struct weft_hw_request *request)
{
	struct job *found = NULL;

	/* Mostly it is the last of all. */
	if (held & ~ended & BIT(last) && same_queue(&jobs[last], request))
		return &jobs[last];
	for (uint32_t left = held & ~ended; left; left &= left - 1) {
		struct job *job = &jobs[lowest(left)];

		if (same_queue(job, request) && (!found || (int32_t)(job->order - found->order) > 0))
			found = job;
	}
	return found;
}

enum weft_hw_status job_accept(const struct weft_hw_request *request)
{
	struct job *job, *before;
	uint32_t index;

	if (request->priority > 2 || request->flags & ~WEFT_HW_JOB_NULL || request->bytes > WEFT_STREAM_MAX_BYTES ||
	    request->bytes % WEFT_CMD_ALIGN)
		return WEFT_HW_STATUS_INVALID;
	if (held == ALL_JOBS)
		return WEFT_HW_STATUS_BUSY;
	before = predecessor(request);
	index = lowest(~held);
	job = &jobs[index];
	*job = (struct job){.state = JOB_QUEUED, .order = accepted++, .request = *request};
	job->next_order = job->order; /* none: a job does not follow itself */
	if (before) {
		before->next = index;
		before->next_order = job->order;
	} else {
		startable |= BIT(index);
	}
	last = index;
	held |= BIT(index);
	job->event.sequence = request->sequence;
	job->event.context = request->context;
	for (uint32_t e = 0; e < WEFT_ENGINES; e++) {
		job->completed += request->skip[e];
		job->progress[e] = request->skip[e];
		CHIP_MAILBOX->progress[index].completed[e] = request->skip[e];
	}
	CHIP_MAILBOX->slot[index].started = job->completed;
	slot_status(index);
	return WEFT_HW_STATUS_OK;
}

static void job_end(struct job *job, const struct weft_fault_record *fault)
{
	const struct job *next = &jobs[job->next];

	job->state = JOB_ENDED;
	job->event.status = fault->reason ? WEFT_HW_STATUS_FAULT : WEFT_HW_STATUS_OK;
	job->event.fault = *fault;
	ended |= BIT(job - jobs);
	startable &= ~BIT(job - jobs);
	/* Its place may have another job by now. */
	if (next->state == JOB_QUEUED && next->order == job->next_order)
		startable |= BIT(job->next);
}

static void cancel_queued(uint32_t context)
{
	static const struct weft_fault_record cancelled = {.reason = WEFT_FAULT_CANCELLED, .operand = 0xff};

	for (uint32_t i = 0; i < FIRMWARE_JOBS; i++) {
		if (jobs[i].state == JOB_QUEUED && jobs[i].request.context == context)
			job_end(&jobs[i], &cancelled);
	}
}

uint32_t job_engines_running(uint32_t context)
{
	uint32_t engines = 0;

	for (uint32_t e = 0; e < WEFT_ENGINES; e++) {
		if (running[e].busy && jobs[running[e].job].request.context == context)
			engines |= 1u << e;
	}
	return engines;
}

void job_stop_context(uint32_t context)
{
	uint32_t engines = job_engines_running(context);

	cancel_queued(context);
	core_cancel_context(&core, context);
	for (uint32_t e = 0; e < WEFT_ENGINES; e++) {
		if (engines & 1u << e)
			chip_write(SOC_ENGINE(e) + SOC_ENGINE_CONTROL, SOC_ENGINE_ABORT);
	}
}

void job_reset_context(uint32_t context)
{
	faulted[context] = 0;
}

bool job_context_busy(uint32_t context)
{
	for (uint32_t i = 0; i < FIRMWARE_JOBS; i++) {
		if (jobs[i].state != JOB_FREE && jobs[i].request.context == context)
			return true;
	}
	return false;
}

bool job_any(void)
{
	return held;
}

static void job_start(uint32_t index)
{
	static const struct weft_fault_record none = {.operand = 0xff},
					      cancelled = {.reason = WEFT_FAULT_CANCELLED, .operand = 0xff};
	struct job *job = &jobs[index];
	struct core_job start = {
		.stream = job->request.address,
		.cookie = index,
		.bytes = (uint32_t)job->request.bytes,
		.context = job->request.context,
		.priority = job->request.priority,
	};

	for (uint32_t e = 0; e < WEFT_ENGINES; e++)
		start.skip[e] = job->request.skip[e];

	if (faulted[job->request.context]) {
		job_end(job, &cancelled);
	} else if (job->request.flags & WEFT_HW_JOB_NULL) {
		job_end(job, &none);
	} else {
		job->state = JOB_STARTED;
		/* There are as many core slots as jobs. */
		if (!core_start(&core, &start))
			chip_halt(HALT_CORE);
	}
}

static void take_ends(void)
{
	struct core_end end;

	while (core_take_end(&core, &end)) {
		struct job *job = &jobs[end.job.cookie];

		job_end(job, &end.fault);
		if (end.fault.reason && end.fault.reason != WEFT_FAULT_CANCELLED) {
			faulted[end.job.context] = 1;
			CHIP_MAILBOX->faults++;
			cancel_queued(end.job.context);
		}
	}
}

static void report_ends(void)
{
	while (ended) {
		uint32_t index = lowest(ended);

		if (!event_room())
			return;
		event_post(&jobs[index].event);
		jobs[index].state = JOB_FREE;
		ended &= ~BIT(index);
		held &= ~BIT(index);
		slot_status(index);
	}
}

static void start_jobs(void)
{
	while (startable) {
		uint32_t index = lowest(startable);

		startable &= ~BIT(index);
		job_start(index);
	}
}

/* Take the result of an engine that has finished. */
static void engine_harvest(uint32_t e)
{
	volatile struct weft_hw_engine_status *status = &CHIP_MAILBOX->engine[e];
	uint32_t base = SOC_ENGINE(e), reason = chip_read(base + SOC_ENGINE_REASON);
	struct job *job = &jobs[running[e].job];
	struct weft_hw_job_engine *sum = &job->event.engine[e];
	struct weft_hw_job_engine now = {
		.busy_ns = chip_read64(base + SOC_ENGINE_BUSY),
		.commands = 1,
		.cycles = chip_read64(base + SOC_ENGINE_CYCLES),
		.picojoules = chip_read64(base + SOC_ENGINE_PICOJOULES),
		.bytes = chip_read64(base + SOC_ENGINE_BYTES),
	};
	struct weft_fault_record detail = {
		.operand = (uint8_t)chip_read(base + SOC_ENGINE_OPERAND),
		.detail = chip_read(base + SOC_ENGINE_DETAIL),
		.address = chip_read64(base + SOC_ENGINE_ADDRESS),
	};

	running[e].busy = false;
	status->context = 0;
	if (!reason) {
		sum->commands++;
		sum->cycles += now.cycles;
		sum->picojoules += now.picojoules;
		sum->bytes += now.bytes;
		status->commands++;
		status->cycles += now.cycles;
		status->picojoules += now.picojoules;
		status->bytes += now.bytes;
		job->completed++;
		/* From here on a reset finds it done; before, it finds it at the engine. */
		CHIP_MAILBOX->progress[running[e].job].completed[e] = ++job->progress[e];
	} else {
		CHIP_MAILBOX->progress[running[e].job].completed[e] = WEFT_HW_PROGRESS_FAULT;
	}
	chip_write(base + SOC_ENGINE_CONTROL, SOC_ENGINE_RETIRE);
	sum->busy_ns += now.busy_ns;
	status->busy_ns += now.busy_ns;
	slot_status(running[e].job);
	core_done(&core, e, reason, &detail);
	request_engine_done(e);
}

static void engine_start(uint32_t e, const struct core_command *command)
{
	volatile struct weft_hw_engine_status *status = &CHIP_MAILBOX->engine[e];
	uint32_t index = (uint32_t)command->job->cookie;

	running[e] = (struct running){.busy = true, .job = index, .started = chip_time()};
	status->sequence = jobs[index].request.sequence;
	status->command = command->index;
	status->context = command->job->context;
	CHIP_MAILBOX->slot[index].started++;
	chip_write(SOC_ENGINE(e) + SOC_ENGINE_COMMAND, (uint32_t)(uintptr_t)command->command);
	chip_write(SOC_ENGINE(e) + SOC_ENGINE_CONTEXT, command->job->context);
	chip_write(SOC_ENGINE(e) + SOC_ENGINE_SEQUENCE, jobs[index].request.sequence);
	chip_write(SOC_ENGINE(e) + SOC_ENGINE_ORDINAL, jobs[index].progress[e]);
	chip_write(SOC_ENGINE(e) + SOC_ENGINE_CONTROL, SOC_ENGINE_START);
}

/* Abort a command that runs longer than its job allows. */
static void engine_watch(uint32_t e)
{
	uint64_t limit = jobs[running[e].job].request.timeout_ns;

	if (!limit || running[e].aborted || chip_time() - running[e].started <= limit)
		return;
	running[e].aborted = true;
	chip_write(SOC_ENGINE(e) + SOC_ENGINE_CONTROL, SOC_ENGINE_ABORT);
}

/* True: the engine's cursor wants another call. */
static bool engine_turn(uint32_t e)
{
	struct core_command command;

	/* A command may be done as soon as it was started; the other engines wait no longer than for a few. */
	for (uint32_t n = 0; n < COMMANDS_PER_TURN; n++) {
		if (running[e].busy) {
			if (chip_read(SOC_ENGINE(e) + SOC_ENGINE_STATE) != SOC_ENGINE_DONE) {
				engine_watch(e);
				return false;
			}
			engine_harvest(e);
		}
		switch (core_next(&core, e, &command)) {
		case CORE_COMMAND:
			engine_start(e, &command);
			break;
		case CORE_AGAIN:
			return true;
		case CORE_IDLE:
			return false;
		}
	}
	return true;
}

bool job_turn(void)
{
	bool again = false;

	start_jobs();
	for (uint32_t e = 0; e < WEFT_ENGINES; e++)
		again |= engine_turn(e);
	take_ends();
	report_ends();
	return again || startable;
}
