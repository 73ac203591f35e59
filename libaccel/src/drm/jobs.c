// SPDX-License-Identifier: MIT
/*
 * Jobs of the drm backend.  A stream is copied to memory that the device reads, and
 * submitted with a point on its queue's timeline syncobj.  The kernel counts the
 * points reached on an eventfd, which one thread waits for.  Who waits for a short job
 * has the kernel poll for its end before that.
 */
#include "drm.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <xf86drm.h>

/* Newer than the headers of Debian 12. */
#ifndef DRM_IOCTL_SYNCOBJ_EVENTFD
struct drm_syncobj_eventfd {
	__u32 handle;
	__u32 flags;
	__u64 point;
	__s32 fd;
	__u32 pad;
};
#define DRM_IOCTL_SYNCOBJ_EVENTFD DRM_IOWR(0xCF, struct drm_syncobj_eventfd)
#endif

/* Streams are mostly alike: round up, so that the memory of one fits the next. */
#define STREAM_GRANULE ((uint64_t)64 << 10)

static const struct weft_fault_record success = {.operand = 0xff};
static const struct weft_fault_record cancelled = {.reason = WEFT_FAULT_CANCELLED, .operand = 0xff};

/* Set in a waiter that has dropped the device's last reference, and so has closed it. */
static _Thread_local bool closed_here;

int drm_queue_new(struct accel_queue *queue)
{
	const struct drm_context *context = queue->context->data;
	struct drm_device *drm = queue->context->device->data;
	struct drm_weft_queue_create create = {.context = context->id, .priority = (uint32_t)queue->priority};
	struct drm_queue *own = calloc(1, sizeof(*own));

	if (!own)
		return accel_fail(ENOMEM, "no memory for a queue");
	if (drmIoctl(drm->fd, DRM_IOCTL_WEFT_QUEUE_CREATE, &create)) {
		int error = errno;

		free(own);
		return accel_fail(error, "cannot make a queue%s: %s",
				  error == EACCES ? " of high priority, which needs CAP_SYS_NICE" : "",
				  strerror(error));
	}
	own->id = create.id;
	if (drmSyncobjCreate(drm->fd, 0, &own->syncobj)) {
		struct drm_weft_queue_destroy destroy = {.id = own->id};
		int error = errno;

		drmIoctl(drm->fd, DRM_IOCTL_WEFT_QUEUE_DESTROY, &destroy);
		free(own);
		return accel_fail(error, "cannot make a queue's syncobj: %s", strerror(error));
	}
	queue->data = own;
	return 0;
}

void drm_queue_free(struct accel_queue *queue)
{
	struct drm_device *drm = queue->context->device->data;
	struct drm_queue *own = queue->data;
	struct drm_weft_queue_destroy destroy = {.id = own->id};

	drmIoctl(drm->fd, DRM_IOCTL_WEFT_QUEUE_DESTROY, &destroy);
	drmSyncobjDestroy(drm->fd, own->syncobj);
	free(own);
}

static struct drm_stream *stream_get(struct drm_device *drm, struct drm_context *context, uint64_t bytes)
{
	struct drm_stream *stream;

	for (struct drm_stream **link = &context->unused; (stream = *link); link = &stream->next) {
		if (stream->bytes >= bytes) {
			*link = stream->next;
			return stream;
		}
	}
	stream = calloc(1, sizeof(*stream));
	if (!stream)
		return NULL;
	stream->bytes = bytes ? (bytes + STREAM_GRANULE - 1) & ~(STREAM_GRANULE - 1) : STREAM_GRANULE;
	if (drm_memory_new(drm, context, stream->bytes, ACCEL_HOST_MEMORY | ACCEL_READ_ONLY, &stream->handle,
			   &stream->address, &stream->memory)) {
		free(stream);
		return NULL;
	}
	return stream;
}

static int submit(struct drm_device *drm, struct accel_job *job, struct drm_stream *stream)
{
	struct drm_queue *queue = job->queue->data;
	struct drm_weft_sync sync = {
		.handle = queue->syncobj,
		.flags = DRM_WEFT_SYNC_SIGNAL,
		.point = queue->submitted + 1,
	};
	struct drm_weft_submit submit = {
		.queue = queue->id,
		.address = stream->address,
		.bytes = job->bytes,
		.syncs = {.stride = sizeof(sync), .count = 1, .array = (uintptr_t)&sync},
	};
	struct drm_syncobj_eventfd event = {
		.handle = queue->syncobj,
		.point = queue->submitted + 1,
		.fd = drm->ended_fd,
	};

	/* Asked for first, as after the submission nothing may fail. */
	if (drmIoctl(drm->fd, DRM_IOCTL_SYNCOBJ_EVENTFD, &event) || drmIoctl(drm->fd, DRM_IOCTL_WEFT_SUBMIT, &submit))
		return -errno;
	stream->job = queue->submitted = submit.job;
	return 0;
}

/* Why the kernel has stopped a context; @unknown if it does not say. */
static struct weft_fault_record context_fault(struct drm_device *drm, const struct drm_context *context,
					      const struct weft_fault_record *unknown)
{
	struct drm_weft_context_info info = {0};

	if (drm_query(drm, DRM_WEFT_QUERY_CONTEXT, context->id, &info, sizeof(info)) == -ENODEV)
		drm->device->gone = true;
	return info.fault.reason ? info.fault : *unknown;
}

int drm_submit(struct accel_job *job, struct weft_fault_record *cause)
{
	struct drm_context *context = job->queue->context->data;
	struct drm_device *drm = job->queue->context->device->data;
	struct drm_stream *stream = stream_get(drm, context, job->bytes);
	int result = stream ? 0 : -ENOMEM;

	if (stream) {
		memcpy(stream->memory, job->block->bytes, job->bytes);
		result = submit(drm, job, stream);
	}
	if (result) {
		if (stream) {
			stream->next = context->unused;
			context->unused = stream;
		}
		if (result == -ENODEV)
			drm->device->gone = true;
		*cause = context_fault(drm, context, &cancelled);
		/* An earlier job that failed is told when it ends. */
		if (result != -ECANCELED)
			accel_log(ACCEL_LOG_WARNING, "a job was not accepted: %s", strerror(-result));
		return result;
	}
	job->data = stream;
	job->backend_next = drm->issued;
	drm->issued = job;
	return 0;
}

/* How did a job end?  @cause is the fault that stopped its context. */
static void outcome(struct drm_device *drm, const struct accel_job *job, struct weft_fault_record *fault,
		    struct weft_fault_record *cause)
{
	const struct drm_context *context = job->queue->context->data;
	const struct drm_queue *queue = job->queue->data;
	const struct drm_stream *stream = job->data;
	struct drm_weft_queue_info info = {0};

	*fault = *cause = success;
	if (stream->job <= queue->succeeded)
		return;
	if (!drm_query(drm, DRM_WEFT_QUERY_QUEUE, queue->id, &info, sizeof(info)) &&
	    (!info.failed || stream->job < info.failed))
		return;
	/* What follows the first one that failed was cancelled. */
	*fault = stream->job == info.failed && info.fault.reason ? info.fault : cancelled;
	*cause = context_fault(drm, context, fault);
}

/* Locked.  A node whose device was removed answers no question any more: all its jobs have ended. */
static bool has_ended(struct drm_device *drm, const struct accel_job *job)
{
	struct drm_queue *queue = job->queue->data;
	const struct drm_stream *stream = job->data;
	uint64_t reached = 0;

	if (stream->job <= queue->ended)
		return true;
	if (drmSyncobjQuery(drm->fd, &queue->syncobj, &reached, 1)) {
		drm->device->gone = true;
		reached = queue->submitted;
	}
	if (reached > queue->ended)
		queue->ended = reached;
	return stream->job <= queue->ended;
}

/* Locked.  A job that has ended, and is the first of its queue, is taken from the list. */
static struct accel_job *take_ended(struct drm_device *drm)
{
	for (struct accel_job **link = &drm->issued; *link; link = &(*link)->backend_next) {
		struct accel_job *job = *link;

		if (job != job->queue->first || !has_ended(drm, job))
			continue;
		*link = job->backend_next;
		return job;
	}
	return NULL;
}

static void collect(struct drm_device *drm)
{
	struct accel_job *job;

	while ((job = take_ended(drm))) {
		struct drm_context *context = job->queue->context->data;
		struct weft_fault_record fault, cause;
		struct drm_stream *stream = job->data;

		stream->next = context->unused;
		context->unused = stream;
		outcome(drm, job, &fault, &cause);
		accel_job_end(job, &fault, &cause);
	}
}

/* Anything but success is left to the thread, which asks for all that there is to know. */
void drm_poll(struct accel_job *job)
{
	struct accel_device *device = job->queue->context->device;
	struct drm_device *drm = device->data;
	struct drm_queue *own = job->queue->data;
	const struct drm_stream *stream = job->data;
	struct drm_weft_wait wait = {.queue = own->id, .flags = DRM_WEFT_WAIT_POLL, .job = stream->job};
	int error;

	if (drm->no_wait)
		return;
	/* Who waits holds the queue; the job may be gone afterwards. */
	accel_unlock(device);
	error = drmIoctl(drm->fd, DRM_IOCTL_WEFT_WAIT, &wait) ? errno : 0;
	accel_lock(device);
	if (error == EINVAL)
		drm->no_wait = true;
	if (error || wait.failed || wait.ended <= own->succeeded)
		return;
	own->succeeded = wait.ended;
	if (wait.ended > own->ended)
		own->ended = wait.ended;
	collect(drm);
}

static void *waiter_thread(void *argument)
{
	struct drm_device *drm = argument;
	struct accel_device *device = drm->device;

	for (;;) {
		uint64_t count;

		if (read(drm->ended_fd, &count, sizeof(count)) < 0 && errno != EINTR)
			return NULL;
		accel_lock(device);
		if (drm->closing) {
			accel_unlock(device);
			return NULL;
		}
		collect(drm);
		accel_unlock(device);
		accel_device_reap(device);
		if (closed_here)
			return NULL;
	}
}

int drm_waiter_start(struct drm_device *drm)
{
	int error;

	drm->ended_fd = eventfd(0, EFD_CLOEXEC);
	if (drm->ended_fd < 0)
		return accel_fail(errno, "no more file descriptors");
	error = pthread_create(&drm->waiter, NULL, waiter_thread, drm);
	if (error) {
		close(drm->ended_fd);
		return accel_fail(error, "no thread to wait for jobs");
	}
	pthread_setname_np(drm->waiter, "weft-waiter");
	return 0;
}

void drm_waiter_stop(struct drm_device *drm)
{
	uint64_t one = 1;

	if (pthread_equal(pthread_self(), drm->waiter)) {
		closed_here = true;
		pthread_detach(drm->waiter);
	} else {
		accel_lock(drm->device);
		drm->closing = true;
		accel_unlock(drm->device);
		if (write(drm->ended_fd, &one, sizeof(one)) == sizeof(one))
			pthread_join(drm->waiter, NULL);
	}
	close(drm->ended_fd);
}
