// SPDX-License-Identifier: MIT
/*
 * In the guest: latency and throughput of submissions beside what they are made of,
 * in turns, so that what else the machine does disturbs all alike.  Prints one line of
 * medians: "name value" pairs, in ns, or in bytes per second.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "weft_test.h"

#define ROUNDS 15
#define SINGLE 100
#define QUEUED 2000
#define STREAM (1ull << 20)
#define HOST (2ull << 30)
#define DEVICE (4ull << 30)
#define BYTES (16ull << 20)

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static double median(double *values, int count)
{
	qsort(values, count, sizeof(*values), compare);
	return values[count / 2];
}

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1e9 + time.tv_nsec;
}

static void check(int error, const char *what)
{
	if (error) {
		fprintf(stderr, "vm-bench: %s: %s\n", what, strerror(error));
		exit(1);
	}
}

/* A figure of weft_bench.ko. */
static double kernel(const char *name)
{
	char path[128], text[64] = "";
	int fd;

	snprintf(path, sizeof(path), "/sys/kernel/debug/weft-bench/%s", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0)
		check(errno ?: EIO, path);
	close(fd);
	return atof(text);
}

/* As libaccel does it: who waits asks for the job. */
static double submit_one_by_one(struct weft *w, const struct weft_stream *stream)
{
	double values[SINGLE];

	for (int i = 0; i < SINGLE; i++) {
		double start = now();
		uint64_t job;

		check(weft_submit_syncs(w->fd, w->queue, stream, NULL, 0, &job), "submit");
		check(weft_wait_job(w->fd, w->queue, job, WEFT_PATIENCE_S), "wait");
		values[i] = now() - start;
	}
	return median(values, SINGLE);
}

/* By a fence, which is another's business too: the device's interrupt ends the wait. */
static double submit_timeline(struct weft *w, const struct weft_stream *stream)
{
	double values[SINGLE];

	for (int i = 0; i < SINGLE; i++) {
		double start = now();

		check(weft_submit(w, stream), "submit");
		check(weft_wait(w->fd, w->timeline, w->point, WEFT_PATIENCE_S), "wait");
		values[i] = now() - start;
	}
	return median(values, SINGLE);
}

/* Without a timeline: of one that is waited for, the kernel wakes the waiter by way of a further interrupt. */
static double submit_binary(struct weft *w, const struct weft_stream *stream, uint32_t syncobj)
{
	struct drm_weft_sync sync = {.handle = syncobj, .flags = DRM_WEFT_SYNC_SIGNAL};
	double values[SINGLE];

	for (int i = 0; i < SINGLE; i++) {
		double start = now();

		check(weft_submit_syncs(w->fd, w->queue, stream, &sync, 1, NULL), "submit");
		check(weft_wait(w->fd, syncobj, 0, WEFT_PATIENCE_S), "wait");
		values[i] = now() - start;
	}
	return median(values, SINGLE);
}

static double submit_queued(struct weft *w, const struct weft_stream *stream)
{
	double start = now();
	uint64_t job;

	for (int i = 0; i < QUEUED; i++)
		check(weft_submit_syncs(w->fd, w->queue, stream, NULL, 0, &job), "submit");
	check(weft_wait_job(w->fd, w->queue, job, WEFT_PATIENCE_S), "wait");
	return (now() - start) / QUEUED;
}

static double read_disk(int disk, void *buffer)
{
	double values[SINGLE];

	for (int i = 0; i < SINGLE; i++) {
		double start = now();

		if (pread(disk, buffer, 4096, (i * 7919 % 4096) * 4096ll) != 4096)
			check(errno ?: EIO, "disk");
		values[i] = now() - start;
	}
	return median(values, SINGLE);
}

/* Bytes per second that an engine was busy with a copy. */
static double bandwidth(struct weft *w, struct weft_stream *stream, enum weft_engine engine, uint64_t from, uint64_t to)
{
	struct drm_weft_client_info before, after;

	stream->used = 0;
	weft_copy(stream, engine, from, to, BYTES);
	check(weft_query(w->fd, DRM_WEFT_QUERY_CLIENT, 0, &before, sizeof(before)), "query");
	check(weft_run(w, stream), "copy");
	check(weft_query(w->fd, DRM_WEFT_QUERY_CLIENT, 0, &after, sizeof(after)), "query");
	return BYTES * 1e9 / (after.busy_ns[engine] - before.busy_ns[engine]);
}

/*
 * Interrupts of both devices come to the processor that waits for them, as the disk's do:
 * which one they get by chance makes a difference of a processor's wake-up.
 */
static void keep_together(void)
{
	FILE *interrupts = fopen("/proc/interrupts", "r");
	char line[1024], path[64], name[32];
	cpu_set_t first;
	int irq, fd;

	CPU_ZERO(&first);
	CPU_SET(0, &first);
	check(sched_setaffinity(0, sizeof(first), &first) ? errno : 0, "affinity");
	check(interrupts ? 0 : errno, "/proc/interrupts");
	while (fgets(line, sizeof(line), interrupts)) {
		const char *last = strrchr(line, ' ');

		if (sscanf(line, "%d:", &irq) != 1 || !last || sscanf(last, "%31s", name) != 1 ||
		    (strcmp(name, "weft") && strcmp(name, "weft-bench")))
			continue;
		snprintf(path, sizeof(path), "/proc/irq/%d/smp_affinity", irq);
		fd = open(path, O_WRONLY | O_CLOEXEC);
		check(fd < 0 || write(fd, "1", 1) != 1 ? errno : 0, path);
		close(fd);
	}
	fclose(interrupts);
}

enum { DOORBELL, NOOP, TIMELINE, BINARY, DISK, SCHED, QUEUED_JOBS, QUEUED_SCHED, COPY, DMA_IN, DMA_OUT, FIGURES };
static const char *const names[FIGURES] = {"doorbell", "noop",	 "noop-timeline", "noop-binary",
					   "disk",     "sched",	 "queued",	  "queued-sched",
					   "copy",     "dma-in", "dma-out"};

int main(void)
{
	static double figures[FIGURES][ROUNDS];
	struct weft_stream nop, copy;
	struct weft_bo host, device;
	struct weft w;
	uint32_t binary;
	void *buffer;
	int disk = open("/dev/vda", O_RDONLY | O_DIRECT | O_CLOEXEC);

	check(disk < 0 ? errno : 0, "/dev/vda");
	keep_together();
	buffer = aligned_alloc(4096, 4096);
	check(buffer ? 0 : ENOMEM, "buffer");
	check(weft_setup(&w), "node");
	check(weft_syncobj_new(w.fd, &binary), "syncobj");
	check(weft_stream_new(&w, 4096, STREAM, &nop), "stream");
	check(weft_stream_new(&w, 4096, 2 * STREAM, &copy), "stream");
	check(weft_bo_new_mapped(w.fd, BYTES, 0, &host), "host memory");
	check(weft_bo_new(w.fd, 2 * BYTES, DRM_WEFT_BO_DEVICE, &device), "device memory");
	check(weft_map(w.fd, w.context, host.handle, 0, HOST, BYTES), "map");
	check(weft_map(w.fd, w.context, device.handle, 0, DEVICE, 2 * BYTES), "map");
	memset(host.memory, 1, BYTES);
	weft_nop(&nop, WEFT_ENGINE_COMPUTE);
	for (int i = -1; i < ROUNDS; i++) {
		int at = i < 0 ? 0 : i; /* the first round warms up */

		figures[DOORBELL][at] = kernel("doorbell");
		figures[NOOP][at] = submit_one_by_one(&w, &nop);
		figures[TIMELINE][at] = submit_timeline(&w, &nop);
		figures[BINARY][at] = submit_binary(&w, &nop, binary);
		figures[DISK][at] = read_disk(disk, buffer);
		figures[SCHED][at] = kernel("sched");
		figures[QUEUED_JOBS][at] = submit_queued(&w, &nop);
		figures[QUEUED_SCHED][at] = kernel("queued");
		figures[COPY][at] = bandwidth(&w, &copy, WEFT_ENGINE_COMPUTE, DEVICE, DEVICE + BYTES);
		figures[DMA_IN][at] = bandwidth(&w, &copy, WEFT_ENGINE_DMA_IN, HOST, DEVICE);
		figures[DMA_OUT][at] = bandwidth(&w, &copy, WEFT_ENGINE_DMA_OUT, DEVICE, HOST);
	}
	for (int i = 0; i < FIGURES; i++)
		printf("%s %.0f%c", names[i], median(figures[i], ROUNDS), i == FIGURES - 1 ? '\n' : ' ');
	return 0;
}
