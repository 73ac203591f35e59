// SPDX-License-Identifier: MIT
/*
 * misbehave hang|die SECONDS: a process that meets a device which misbehaves, and sees how long
 * the driver takes to tell it.
 *
 *  hang: submits jobs until one does not end.  Its fence must have an error within SECONDS, its
 *	context must be refused further jobs, and work again after it was recovered.
 *  die: has threads that wait in every way there is.  Once the device has gone they must all get
 *	ENODEV, the last within SECONDS of the first; an uevent must say so, and the node must
 *	refuse to be opened.
 */
#include "weft_test.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define STREAM (1ull << 20)
#define AT (1ull << 30)
#define MOST_JOBS 100000

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec + time.tv_nsec * 1e-9;
}

static int failed(const char *what, int error)
{
	fprintf(stderr, "misbehave: %s: %s\n", what, strerror(error));
	return 1;
}

/* A context that can fill a page of device memory. */
static int prepare(struct weft *w, struct weft_bo *bo, struct weft_stream *stream)
{
	int error = weft_setup(w);

	error = error ?: weft_stream_new(w, 1 << 16, STREAM, stream);
	error = error ?: weft_bo_new_mapped(w->fd, WEFT_PAGE, DRM_WEFT_BO_DEVICE, bo);
	error = error ?: weft_map(w->fd, w->context, bo->handle, 0, AT, WEFT_PAGE);
	if (!error)
		weft_fill(stream, AT, 64, 7);
	return error;
}

/* Submit one job and wait; the error of its fence. */
static int run_one(const struct weft *w, uint32_t binary, const struct weft_stream *stream)
{
	struct drm_weft_sync sync = {.handle = binary, .flags = DRM_WEFT_SYNC_SIGNAL};
	int error = weft_submit_syncs(w->fd, w->queue, stream, &sync, 1, NULL);

	return error ?: weft_wait(w->fd, binary, 0, 10 * WEFT_PATIENCE_S) ?: weft_fence_error(w->fd, binary);
}

static int hang(double limit)
{
	struct drm_weft_queue_info info = {0};
	struct weft_stream stream;
	double start = 0, took;
	int error = 0, other;
	struct weft_bo bo;
	uint32_t binary;
	struct weft w;

	error = prepare(&w, &bo, &stream);
	error = error ?: weft_syncobj_new(w.fd, &binary);
	if (error)
		return failed("set-up", error);
	for (int i = 0; i < MOST_JOBS && !error; i++) {
		start = now();
		error = run_one(&w, binary, &stream);
	}
	took = now() - start;
	weft_query(w.fd, DRM_WEFT_QUERY_QUEUE, w.queue, &info, sizeof(info));
	printf("misbehave: job %llu failed after %.1f s: %s, fault %u\n", (unsigned long long)info.failed, took,
	       strerror(error), info.fault.reason);
	if ((error != EIO && error != ETIME) || info.fault.reason != WEFT_FAULT_TIMEOUT)
		return failed("a time-out was expected", error);
	if (took > limit)
		return failed("that is too late", ETIME);
	other = weft_submit_syncs(w.fd, w.queue, &stream, NULL, 0, NULL);
	if (other != ECANCELED)
		return failed("a further job was expected to be refused", other);
	error = weft_context_recover(w.fd, w.context);
	error = error ?: run_one(&w, binary, &stream);
	if (error || *(volatile unsigned char *)bo.memory != 7)
		return failed("after recovery", error);
	return 0;
}

struct waiter {
	struct weft w;
	struct weft_stream stream;
	struct weft_bo bo;

	int (*call)(struct waiter *waiter);
	const char *name;
	double ended;
	int error;
};

static int run_jobs(struct waiter *waiter)
{
	uint32_t binary;
	int error = weft_syncobj_new(waiter->w.fd, &binary);

	return error ?: run_one(&waiter->w, binary, &waiter->stream) ?: weft_syncobj_free(waiter->w.fd, binary);
}

/* By their numbers, for which the kernel polls. */
static int run_numbered_jobs(struct waiter *waiter)
{
	uint64_t job;
	int error = weft_submit_syncs(waiter->w.fd, waiter->w.queue, &waiter->stream, NULL, 0, &job);

	return error ?: weft_wait_job(waiter->w.fd, waiter->w.queue, job, 10 * WEFT_PATIENCE_S);
}

/* Jobs of another queue wait for it. */
static int run_dependent_jobs(struct waiter *waiter)
{
	struct drm_weft_sync syncs[2] = {{.flags = DRM_WEFT_SYNC_SIGNAL}, {.flags = DRM_WEFT_SYNC_SIGNAL}};
	int fd = waiter->w.fd, error = 0;
	uint32_t queue;

	for (int i = 0; i < 2; i++)
		error = error ?: weft_syncobj_new(fd, &syncs[i].handle);
	error = error ?: weft_queue_new(fd, waiter->w.context, &queue);
	error = error ?: weft_submit_syncs(fd, waiter->w.queue, &waiter->stream, &syncs[0], 1, NULL);
	syncs[0].flags = 0;
	error = error ?: weft_submit_syncs(fd, queue, &waiter->stream, syncs, 2, NULL);
	error = error ?: weft_wait(fd, syncs[1].handle, 0, 10 * WEFT_PATIENCE_S);
	error = error ?: weft_fence_error(fd, syncs[1].handle);
	for (int i = 0; i < 2; i++)
		weft_syncobj_free(fd, syncs[i].handle);
	return error ?: weft_queue_free(fd, queue);
}

/* Unmapping waits for the firmware. */
static int bind(struct waiter *waiter)
{
	int fd = waiter->w.fd, error;

	error = weft_map(fd, waiter->w.context, waiter->bo.handle, 0, 2 * AT, WEFT_PAGE);
	return error ?: weft_unmap(fd, waiter->w.context, 2 * AT, WEFT_PAGE);
}

static int bind_asynchronously(struct waiter *waiter)
{
	const struct drm_weft_bind_op ops[] = {
		{.handle = waiter->bo.handle, .address = 2 * AT, .range = WEFT_PAGE},
		{.type = DRM_WEFT_BIND_UNMAP, .address = 2 * AT, .range = WEFT_PAGE},
	};
	struct drm_weft_sync sync = {.flags = DRM_WEFT_SYNC_SIGNAL};
	int fd = waiter->w.fd, error = weft_syncobj_new(fd, &sync.handle);

	error = error ?: weft_bind_async(fd, waiter->w.context, ops, 2, &sync, 1);
	error = error ?: weft_wait(fd, sync.handle, 0, 10 * WEFT_PATIENCE_S);
	error = error ?: weft_fence_error(fd, sync.handle);
	weft_syncobj_free(fd, sync.handle);
	return error;
}

static int make_contexts(struct waiter *waiter)
{
	uint32_t id;

	return weft_context_new(waiter->w.fd, 0, 0, &id) ?: weft_context_free(waiter->w.fd, id);
}

static void *repeat(void *argument)
{
	struct waiter *waiter = argument;

	while (!waiter->error)
		waiter->error = waiter->call(waiter);
	waiter->ended = now();
	return NULL;
}

static int die(double limit)
{
	struct waiter waiters[] = {
		{.call = run_jobs, .name = "jobs"},
		{.call = run_numbered_jobs, .name = "jobs by number"},
		{.call = run_dependent_jobs, .name = "jobs that wait for jobs"},
		{.call = bind, .name = "binds"},
		{.call = bind_asynchronously, .name = "asynchronous binds"},
		{.call = make_contexts, .name = "contexts"},
	};
	const unsigned int count = sizeof(waiters) / sizeof(*waiters);
	double first = 1e300, last = 0;
	pthread_t threads[count];
	int status = 0, fd, error, uevents = weft_uevents_open();

	for (unsigned int i = 0; i < count; i++) {
		error = prepare(&waiters[i].w, &waiters[i].bo, &waiters[i].stream);
		if (error)
			return failed("set-up", error);
	}
	for (unsigned int i = 0; i < count; i++)
		pthread_create(&threads[i], NULL, repeat, &waiters[i]);
	for (unsigned int i = 0; i < count; i++) {
		pthread_join(threads[i], NULL);
		if (waiters[i].ended < first)
			first = waiters[i].ended;
		if (waiters[i].ended > last)
			last = waiters[i].ended;
	}
	for (unsigned int i = 0; i < count; i++) {
		volatile unsigned char *byte = waiters[i].bo.memory;

		printf("misbehave: %s: %s, %.1f s after the first\n", waiters[i].name, strerror(waiters[i].error),
		       waiters[i].ended - first);
		if (waiters[i].error != ENODEV)
			status = failed("ENODEV was expected", waiters[i].error);
		byte[1] = byte[0]; /* whatever it reads */
	}
	if (last - first > limit)
		status = failed("that is too late", ETIME);
	if (!weft_uevent(uevents, "WEDGED=rebind", 10))
		status = failed("an uevent was expected", ENOMSG);
	error = (fd = weft_open()) >= 0 ? 0 : errno;
	if (error != ENXIO)
		status = failed("opening the node was expected to give ENXIO", error);
	return status;
}

int main(int argc, char **argv)
{
	setenv("WEFT_REQUIRED", "1", 0);
	if (argc == 3 && !strcmp(argv[1], "hang"))
		return hang(atof(argv[2]));
	if (argc == 3 && !strcmp(argv[1], "die"))
		return die(atof(argv[2]));
	fprintf(stderr, "usage: misbehave hang|die SECONDS\n");
	return 2;
}
