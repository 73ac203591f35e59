// SPDX-License-Identifier: MIT
/*
 * Requests.  Jobs go to job.c.  The others are carried out in the order of the
 * ring; those that must wait (for jobs to end, or for commands that run) stay in
 * a table meanwhile.
 */
#include "firmware.h"

struct waiting {
	bool used;
	uint32_t engines; /* INVALIDATE: set of engines whose present command must end first */
	struct weft_hw_request request;
};

static struct waiting waiting[FIRMWARE_WAITING];
static uint32_t waiters; /* that are used */
static uint32_t ring_offset, ring_entries, head, most_contexts;
static uint8_t open_contexts[WEFT_HW_MAX_CONTEXTS + 1];

void request_init(uint32_t offset, uint32_t entries, uint32_t contexts)
{
	ring_offset = offset;
	ring_entries = entries;
	most_contexts = contexts < WEFT_HW_MAX_CONTEXTS ? contexts : WEFT_HW_MAX_CONTEXTS;
}

static void answer(const struct weft_hw_request *request, enum weft_hw_status status)
{
	struct weft_hw_event event = {
		.sequence = request->sequence,
		.status = status,
		.context = request->context,
		.fault = {.operand = 0xff},
	};

	event_post(&event);
}

/* Is what the request waits for still there? */
static bool must_wait(const struct waiting *entry)
{
	switch (entry->request.type) {
	case WEFT_HW_REQUEST_CONTEXT_CLOSE:
	case WEFT_HW_REQUEST_CONTEXT_STOP:
		return job_context_busy(entry->request.context);
	case WEFT_HW_REQUEST_INVALIDATE:
		return entry->engines;
	case WEFT_HW_REQUEST_QUIESCE:
		return job_any();
	default:
		return false;
	}
}

static void finish(const struct weft_hw_request *request)
{
	if (request->type == WEFT_HW_REQUEST_CONTEXT_CLOSE) {
		chip_mmu(SOC_MMU_DETACH, request->context, 0, 0, 0);
		open_contexts[request->context] = 0;
	} else if (request->type == WEFT_HW_REQUEST_INVALIDATE) {
		chip_mmu(SOC_MMU_INVALIDATE, request->context, request->address, request->bytes, 0);
	}
	answer(request, WEFT_HW_STATUS_OK);
}

void request_engine_done(uint32_t engine)
{
	for (uint32_t i = 0; waiters && i < FIRMWARE_WAITING; i++)
		waiting[i].engines &= ~(1u << engine);
}

static enum weft_hw_status context_open(const struct weft_hw_request *request)
{
	if (open_contexts[request->context])
		return WEFT_HW_STATUS_BUSY;
	if (chip_mmu(SOC_MMU_ATTACH, request->context, request->address, 0, 0))
		return WEFT_HW_STATUS_INVALID;
	open_contexts[request->context] = 1;
	job_reset_context(request->context);
	return WEFT_HW_STATUS_OK;
}

/* @entry: a free place for a request that waits. */
static void handle(const struct weft_hw_request *request, struct waiting *entry)
{
	bool names_context = request->type != WEFT_HW_REQUEST_QUIESCE;
	enum weft_hw_status status = WEFT_HW_STATUS_OK;

	if (names_context && (!request->context || request->context > most_contexts))
		status = WEFT_HW_STATUS_INVALID;
	else if (names_context && request->type != WEFT_HW_REQUEST_CONTEXT_OPEN && !open_contexts[request->context])
		status = WEFT_HW_STATUS_CONTEXT;
	if (status) {
		answer(request, status);
		return;
	}
	switch (request->type) {
	case WEFT_HW_REQUEST_JOB:
		status = job_accept(request);
		if (status)
			answer(request, status);
		return;
	case WEFT_HW_REQUEST_CONTEXT_OPEN:
		answer(request, context_open(request));
		return;
	case WEFT_HW_REQUEST_CONTEXT_CLOSE:
	case WEFT_HW_REQUEST_CONTEXT_STOP:
		job_stop_context(request->context);
		break;
	case WEFT_HW_REQUEST_INVALIDATE:
	case WEFT_HW_REQUEST_QUIESCE:
		break;
	default:
		answer(request, WEFT_HW_STATUS_INVALID);
		return;
	}
	waiters++;
	*entry = (struct waiting){
		.used = true,
		.engines = job_engines_running(request->context),
		.request = *request,
	};
}

static struct waiting *find_free(void)
{
	for (uint32_t i = 0; i < FIRMWARE_WAITING; i++) {
		if (!waiting[i].used)
			return &waiting[i];
	}
	return NULL;
}

static void finish_waiting(void)
{
	for (uint32_t i = 0; waiters && i < FIRMWARE_WAITING; i++) {
		if (!waiting[i].used || must_wait(&waiting[i]))
			continue;
		if (!event_room())
			return;
		waiting[i].used = false;
		waiters--;
		finish(&waiting[i].request);
	}
}

bool request_turn(void)
{
	volatile struct weft_hw_mailbox *mailbox = CHIP_MAILBOX;
	uint32_t tail = mailbox->request_tail;
	struct weft_hw_request request;
	struct waiting *entry;
	bool taken = false;

	if (tail - head > ring_entries)
		chip_halt(HALT_RING);
	/* Each may need room for its answer at once. */
	while (head != tail && (entry = find_free()) && event_room()) {
		uint32_t offset = ring_offset + (head & (ring_entries - 1)) * sizeof(request);
		const volatile uint32_t *from = (const volatile uint32_t *)(SOC_WINDOW + offset);
		uint32_t *to = (uint32_t *)&request;

		for (uint32_t i = 0; i < sizeof(request) / 4; i++)
			to[i] = from[i];
		head++;
		handle(&request, entry);
		/* Now the host finds a job that was taken in its slot, or answered. */
		mailbox->request_head = head;
		taken = true;
	}
	finish_waiting();
	return taken;
}

bool request_waiting(void)
{
	return CHIP_MAILBOX->request_tail != head;
}

bool request_arm(void)
{
	CHIP_MAILBOX->request_wanted = head;
	/* The host writes the tail, and then reads the index. */
	chip_fence();
	return !request_waiting();
}
