// SPDX-License-Identifier: MIT
/* Between libaccel's jobs and the control core's slots. */
#include "embedded.h"

#include <string.h>

static struct accel_job *job_of(const struct core_job *job)
{
	return (struct accel_job *)(uintptr_t)job->cookie;
}

static uint32_t fetch(void *user, const struct core_job *job, uint32_t offset, void *to, uint32_t bytes)
{
	(void)user;
	memcpy(to, job_of(job)->block->bytes + offset, bytes);
	return WEFT_FAULT_NONE;
}

static uint32_t translate(void *user, const struct core_job *job, uint64_t address, uint64_t bytes, uint32_t access,
			  uint64_t *place)
{
	(void)user;
	return space_translate(job_of(job)->queue->context->data, address, bytes, access, place);
}

void embedded_core_init(struct embedded *embedded)
{
	const struct core_platform platform = {.user = embedded, .fetch = fetch, .translate = translate};

	core_init(&embedded->core, &platform, embedded->slots, EMBEDDED_SLOTS);
}

static bool start(struct embedded *embedded, struct accel_job *job)
{
	const struct core_job description = {
		.stream = (uintptr_t)job->block->bytes,
		.cookie = (uintptr_t)job,
		.bytes = (uint32_t)job->bytes,
		.context = job->queue->context->id,
		.priority = (uint32_t)job->queue->priority,
	};

	return core_start(&embedded->core, &description);
}

static const struct weft_fault_record cancelled = {.reason = WEFT_FAULT_CANCELLED, .operand = 0xff};

/* Issued jobs get slots, the highest priority first.  Returns whether anything changed. */
static bool start_waiting(struct embedded *embedded)
{
	bool changed = false;

	for (int p = EMBEDDED_PRIORITIES - 1; p >= 0; p--) {
		struct accel_job *job;

		while ((job = embedded->first[p])) {
			bool stopped = job->queue->context->fault.reason;

			if (!stopped && !start(embedded, job))
				return changed;
			changed = true;
			embedded->first[p] = job->backend_next;
			if (stopped)
				accel_job_end(job, &cancelled, &cancelled);
		}
	}
	return changed;
}

/* Wake as many workers as there are engines with something to do, less those that are about to look for it. */
static void wake_workers(struct embedded *embedded)
{
	unsigned int ready = (unsigned int)__builtin_popcount(core_ready(&embedded->core));

	for (uint32_t i = 0; i < WEFT_ENGINES && ready > embedded->looking; i++) {
		struct embedded_worker *worker = &embedded->worker[i];

		if (!worker->idle)
			continue;
		worker->idle = false;
		embedded->looking++;
		pthread_cond_signal(&worker->work);
	}
}

void embedded_collect(struct embedded *embedded)
{
	/* Ending a job may submit others, which comes back here. */
	if (embedded->collecting)
		return;
	embedded->collecting = true;
	do {
		struct core_end end;

		while (core_take_end(&embedded->core, &end))
			accel_job_end(job_of(&end.job), &end.fault, &end.cause);
	} while (start_waiting(embedded));
	embedded->collecting = false;
	wake_workers(embedded);
}

int embedded_submit(struct accel_job *job, struct weft_fault_record *cause)
{
	struct embedded *embedded = job->queue->context->device->data;
	enum accel_priority priority = job->queue->priority;

	(void)cause; /* cannot fail */
	job->backend_next = NULL;
	if (embedded->first[priority])
		embedded->last[priority]->backend_next = job;
	else
		embedded->first[priority] = job;
	embedded->last[priority] = job;
	embedded_collect(embedded);
	return 0;
}

/* Jobs that have a slot are stopped by the core, those that wait for one by start_waiting(). */
void embedded_stop(struct accel_context *context)
{
	struct embedded *embedded = context->device->data;

	core_cancel_context(&embedded->core, context->id);
	embedded_collect(embedded);
}
