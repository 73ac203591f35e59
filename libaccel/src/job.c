// SPDX-License-Identifier: MIT
/* The way of a job: held until its turn, issued to the backend, ended.  All of it is locked. */
#include "internal.h"

#include <unistd.h>

static const struct weft_fault_record cancelled = {.reason = WEFT_FAULT_CANCELLED, .operand = 0xff};

/* Take the first job off its queue: it has ended. */
static void finish(struct accel_job *job, bool failed)
{
	struct accel_queue *queue = job->queue;
	struct accel_context *context = queue->context;

	if (job->state == JOB_ISSUED)
		queue->issued--;
	else
		queue->held = job->next;
	job->state = JOB_ENDED;
	queue->first = job->next;
	if (!queue->first)
		queue->last = NULL;
	if (job->context_previous)
		job->context_previous->context_next = job->context_next;
	else
		context->first_job = job->context_next;
	if (job->context_next)
		job->context_next->context_previous = job->context_previous;
	else
		context->last_job = job->context_previous;
	if (failed) {
		if (queue->failed_last + 1 != job->point || !queue->failed_last)
			queue->failed_first = job->point;
		queue->failed_last = job->point;
	}
	job->stream->pending--;
	job->next = context->device->dead;
	context->device->dead = job;
	if (context->zombies)
		accel_buffers_free_unused(context);
	accel_timeline_advance(&queue->timeline, job->point);
	if (queue->waiters)
		pthread_cond_broadcast(&queue->changed);
	if (queue->fd >= 0) {
		uint64_t one = 1;

		/* Fails only when 2^64 - 2 ends were not read. */
		if (write(queue->fd, &one, sizeof(one)) < 0)
			accel_log(ACCEL_LOG_WARNING, "queue descriptor: too many unread ends");
	}
}

/* A held job waits for nothing any more. */
static void leave_timelines(struct accel_job *job)
{
	for (uint32_t i = 0; i < job->wait_count; i++) {
		struct wait **link;

		if (!job->wait[i].timeline)
			continue;
		for (link = &job->wait[i].timeline->waits; *link != &job->wait[i]; link = &(*link)->next)
			;
		*link = job->wait[i].next;
		job->wait[i].timeline = NULL;
	}
}

static void issue(struct accel_job *job)
{
	struct accel_queue *queue = job->queue;
	struct weft_fault_record cause;

	/* It may end before submit() returns. */
	job->state = JOB_ISSUED;
	queue->held = job->next;
	queue->issued++;
	if (!queue->context->device->backend->submit(job, &cause))
		return;
	job->state = JOB_HELD;
	queue->held = job;
	queue->issued--;
	accel_context_stop(queue->context, &cause, NULL);
}

void accel_queue_pump(struct accel_queue *queue)
{
	const struct accel_context *context = queue->context;
	struct accel_job *job;

	while ((job = queue->held)) {
		if (context->fault.reason) {
			/* Jobs end in their order. */
			if (queue->issued)
				return;
			leave_timelines(job);
			finish(job, true);
			continue;
		}
		if (job->waiting || queue->issued >= context->device->backend->depth)
			return;
		issue(job);
	}
}

void accel_job_end(struct accel_job *job, const struct weft_fault_record *fault, const struct weft_fault_record *cause)
{
	struct accel_queue *queue = job->queue;

	if (fault->reason)
		accel_context_stop(queue->context, cause, fault->reason == WEFT_FAULT_CANCELLED ? NULL : job);
	finish(job, fault->reason != WEFT_FAULT_NONE);
	accel_queue_pump(queue);
}

void accel_timeline_advance(struct timeline *timeline, uint64_t value)
{
	struct wait **link = &timeline->waits, *passed = NULL;

	if (value <= timeline->value)
		return;
	timeline->value = value;
	while (*link) {
		struct wait *wait = *link;

		if (wait->point > value) {
			link = &wait->next;
			continue;
		}
		*link = wait->next;
		wait->timeline = NULL;
		wait->next = passed;
		passed = wait;
	}
	/* A job may end, but is not freed, while the lock is held. */
	while (passed) {
		struct wait *wait = passed;

		passed = wait->next;
		if (!--wait->job->waiting && wait->job->state == JOB_HELD)
			accel_queue_pump(wait->job->queue);
	}
}

void accel_timeline_abandon(struct timeline *timeline)
{
	while (timeline->waits) {
		struct wait *wait = timeline->waits;

		timeline->waits = wait->next;
		wait->timeline = NULL;
		accel_context_stop(wait->job->queue->context, &cancelled, NULL);
	}
}
