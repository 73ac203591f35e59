// SPDX-License-Identifier: MIT
/* Queues: submission and waiting. */
#include "internal.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define MAX_WAITS 1024u

ACCEL_EXPORT int accel_queue_new(struct accel_context *context, const struct accel_queue_options *options,
				 struct accel_queue **out)
{
	enum accel_priority priority = OPTION_PRESENT(options, priority) ? options->priority : ACCEL_PRIORITY_NORMAL;
	struct accel_queue *queue;
	pthread_condattr_t attributes;

	*out = NULL;
	if ((unsigned int)priority > ACCEL_PRIORITY_HIGH)
		return accel_fail(EINVAL, "accel_queue_new: priority %d; expected ACCEL_PRIORITY_LOW, _NORMAL or _HIGH",
				  (int)priority);
	queue = calloc(1, sizeof(*queue));
	if (!queue)
		return accel_fail(ENOMEM, "no memory for a queue");
	atomic_init(&queue->references, 1);
	queue->priority = priority;
	queue->fd = -1;
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&queue->changed, &attributes);
	pthread_condattr_destroy(&attributes);
	queue->context = accel_context_ref(context);
	if (context->device->backend->queue_new) {
		int result = context->device->backend->queue_new(queue);

		if (result) {
			pthread_cond_destroy(&queue->changed);
			free(queue);
			accel_context_unref(context);
			return result;
		}
	}
	accel_lock(context->device);
	queue->next = context->queues;
	context->queues = queue;
	accel_unlock(context->device);
	*out = queue;
	return 0;
}

struct accel_queue *accel_queue_ref(struct accel_queue *queue)
{
	atomic_fetch_add(&queue->references, 1);
	return queue;
}

ACCEL_EXPORT void accel_queue_unref(struct accel_queue *queue)
{
	struct accel_context *context;

	if (!queue || atomic_fetch_sub(&queue->references, 1) != 1)
		return;
	/* Its jobs have ended (each holds a reference), so nobody waits for its timeline. */
	context = queue->context;
	accel_lock(context->device);
	for (struct accel_queue **link = &context->queues; *link; link = &(*link)->next) {
		if (*link == queue) {
			*link = queue->next;
			break;
		}
	}
	accel_unlock(context->device);
	if (context->device->backend->queue_free)
		context->device->backend->queue_free(queue);
	if (queue->fd >= 0)
		close(queue->fd);
	pthread_cond_destroy(&queue->changed);
	free(queue);
	accel_context_unref(context);
}

static int check_fences(const struct accel_queue *queue, const struct accel_fence *wait, uint32_t count)
{
	if (count > MAX_WAITS || (count && !wait))
		return accel_fail(EINVAL, "accel_queue_submit: %u fences to wait for; expected an array of at most %u",
				  count, MAX_WAITS);
	for (uint32_t i = 0; i < count; i++) {
		const struct accel_context *context;

		if (!wait[i].queue == !wait[i].event)
			return accel_fail(EINVAL, "accel_queue_submit: fence %u names %s; expected a queue or an event",
					  i,
					  wait[i].queue ? "both a queue and an event" : "neither a queue nor an event");
		context = wait[i].queue ? wait[i].queue->context : wait[i].event->context;
		if (context->device != queue->context->device)
			return accel_fail(EINVAL, "accel_queue_submit: fence %u belongs to another device", i);
	}
	return 0;
}

/* Locked.  Points of queues must have been submitted: so no job can wait for itself, in whatever way. */
static int check_points(const struct accel_fence *wait, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		if (wait[i].queue && wait[i].point > wait[i].queue->submitted)
			return accel_fail(
				EINVAL, "accel_queue_submit: fence %u is point %llu of a queue that has submitted %llu",
				i, (unsigned long long)wait[i].point, (unsigned long long)wait[i].queue->submitted);
	}
	return 0;
}

/* Locked.  Nothing can fail from here. */
static void append(struct accel_queue *queue, struct accel_job *job, const struct accel_fence *wait, uint32_t count)
{
	struct accel_context *context = queue->context;

	job->point = ++queue->submitted;
	job->number = ++context->submitted;
	job->stream->pending++;
	if (queue->last)
		queue->last->next = job;
	else
		queue->first = job;
	queue->last = job;
	if (!queue->held)
		queue->held = job;
	job->context_previous = context->last_job;
	if (context->last_job)
		context->last_job->context_next = job;
	else
		context->first_job = job;
	context->last_job = job;
	for (uint32_t i = 0; i < count; i++) {
		struct timeline *timeline = wait[i].queue ? &wait[i].queue->timeline : &wait[i].event->timeline;

		job->wait[i].job = job;
		if (timeline->value >= wait[i].point)
			continue;
		job->wait[i].timeline = timeline;
		job->wait[i].point = wait[i].point;
		job->wait[i].next = timeline->waits;
		timeline->waits = &job->wait[i];
		job->waiting++;
	}
}

ACCEL_EXPORT int accel_queue_submit(struct accel_queue *queue, struct accel_stream *stream,
				    const struct accel_submit_options *options, uint64_t *point)
{
	const struct accel_fence *wait = OPTION_PRESENT(options, wait) ? options->wait : NULL;
	uint32_t count = OPTION_PRESENT(options, wait_count) ? options->wait_count : 0;
	struct accel_context *context = queue->context;
	struct accel_device *device = context->device;
	struct accel_job *job;
	int result;

	if (stream->context != context)
		return accel_fail(EINVAL, "accel_queue_submit: the stream belongs to another context than the queue");
	result = check_fences(queue, wait, count);
	if (result)
		return result;
	job = calloc(1, sizeof(*job) + count * sizeof(job->wait[0]));
	if (!job)
		return accel_fail(ENOMEM, "no memory for a job");
	job->queue = accel_queue_ref(queue);
	accel_stream_ref(stream);
	job->stream = stream;
	job->block = stream->block;
	atomic_fetch_add(&job->block->references, 1);
	job->bytes = stream->bytes;
	job->wait_count = count;
	accel_lock(device);
	result = check_points(wait, count);
	if (!result && device->gone)
		result = accel_fail(ENODEV, "the device is gone");
	if (!result && context->fault.reason)
		result = accel_fail(ECANCELED, "the context has faulted: %s", context->sentence);
	if (!result) {
		append(queue, job, wait, count);
		if (point)
			*point = job->point;
		accel_queue_pump(queue);
	} else {
		job->next = device->dead;
		device->dead = job;
	}
	accel_unlock(device);
	/* Also what others left: an ended job is gone before its queue's next wait returns. */
	accel_device_reap(device);
	return result;
}

static struct timespec deadline_after(uint64_t timeout_ns)
{
	const uint64_t second = 1000000000;
	struct timespec now;
	uint64_t ns;

	clock_gettime(CLOCK_MONOTONIC, &now);
	ns = (uint64_t)now.tv_nsec + timeout_ns % second;
	now.tv_sec += (time_t)(timeout_ns / second + ns / second);
	now.tv_nsec = (long)(ns % second);
	return now;
}

/* Locked.  Whoever waits for @point looks for the end of this job; NULL: it was not issued yet. */
static struct accel_job *job_to_poll(const struct accel_queue *queue, uint64_t point)
{
	struct accel_job *job = queue->first;

	while (job && job->point < point)
		job = job->next;
	return job && job->state == JOB_ISSUED ? job : NULL;
}

ACCEL_EXPORT int accel_queue_wait(struct accel_queue *queue, uint64_t point, uint64_t timeout_ns)
{
	struct accel_device *device = queue->context->device;
	struct accel_job *job;
	struct timespec deadline;
	int result = 0;

	if (timeout_ns && timeout_ns != ACCEL_WAIT_FOREVER)
		deadline = deadline_after(timeout_ns);
	accel_lock(device);
	queue->waiters++;
	job = timeout_ns && device->backend->poll ? job_to_poll(queue, point) : NULL;
	if (job)
		device->backend->poll(job);
	while (queue->timeline.value < point && result != ETIMEDOUT) {
		if (!timeout_ns)
			result = ETIMEDOUT;
		else if (timeout_ns == ACCEL_WAIT_FOREVER)
			pthread_cond_wait(&queue->changed, &device->lock);
		else
			result = pthread_cond_timedwait(&queue->changed, &device->lock, &deadline);
	}
	queue->waiters--;
	if (queue->timeline.value < point)
		result = accel_fail(ETIMEDOUT, "point %llu of the queue was not reached in time; it is at %llu",
				    (unsigned long long)point, (unsigned long long)queue->timeline.value);
	else if (queue->failed_last && point >= queue->failed_first && point <= queue->failed_last && device->gone)
		result = accel_fail(ENODEV, "the device is gone");
	else if (queue->failed_last && point >= queue->failed_first && point <= queue->failed_last)
		result = accel_fail(EIO, "%s",
				    queue->context->fault.reason ? queue->context->sentence
								 : "the job failed; its context has recovered");
	else
		result = 0;
	accel_unlock(device);
	return result;
}

ACCEL_EXPORT int accel_queue_fd(struct accel_queue *queue)
{
	struct accel_device *device = queue->context->device;
	int fd;

	accel_lock(device);
	if (queue->fd < 0) {
		queue->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (queue->fd >= 0 && queue->timeline.value) {
			uint64_t ended = queue->timeline.value;

			/* A fresh counter takes any value. */
			(void)!write(queue->fd, &ended, sizeof(ended));
		}
	}
	fd = queue->fd >= 0 ? queue->fd : accel_fail(errno, "accel_queue_fd: no more file descriptors");
	accel_unlock(device);
	return fd;
}

ACCEL_EXPORT uint64_t accel_queue_completed(const struct accel_queue *queue)
{
	struct accel_device *device = queue->context->device;
	uint64_t value;

	accel_lock(device);
	value = queue->timeline.value;
	accel_unlock(device);
	return value;
}
