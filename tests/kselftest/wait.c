// SPDX-License-Identifier: MIT
/* DRM_WEFT_WAIT: when it returns and with what, polling or asleep, and what it must not hide. */
#include "kselftest_harness.h"
#include "weft_test.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/time.h>

#define NOWHERE (1ull << 36)
#define RESULT (2ull << 20) /* as weft_load_setup() has it */
#define SHORT_STREAM (8ull << 20)
#define PARAMETER "/sys/module/weft/parameters/poll_us"

FIXTURE(wait)
{
	struct weft_load load;
	struct weft_stream fill;
};

FIXTURE_SETUP(wait)
{
	if (!weft_node())
		SKIP(return, "no Weft node");
	ASSERT_EQ(0, weft_load_setup(&self->load));
	ASSERT_EQ(0, weft_stream_new(&self->load.w, WEFT_PAGE, SHORT_STREAM, &self->fill));
}

FIXTURE_TEARDOWN(wait)
{
	weft_teardown(&self->load.w);
}

static int submit(struct weft *w, const struct weft_stream *stream, __u64 *job)
{
	uint64_t number = 0;
	int error = weft_submit_syncs(w->fd, w->queue, stream, NULL, 0, &number);

	if (job)
		*job = number;
	return error;
}

static int wait_with(struct weft *w, struct drm_weft_wait *wait)
{
	wait->queue = w->queue;
	return weft_ioctl(w->fd, DRM_IOCTL_WEFT_WAIT, wait);
}

TEST_F(wait, looks_without_a_deadline)
{
	struct weft *w = &self->load.w;
	struct drm_weft_wait wait = {0};

	ASSERT_EQ(0, submit(w, &self->load.busy, &wait.job));
	EXPECT_EQ(ETIME, wait_with(w, &wait));
	wait.deadline_ns = -1;
	EXPECT_EQ(ETIME, wait_with(w, &wait));
	wait.deadline_ns = INT64_MAX;
	EXPECT_EQ(0, wait_with(w, &wait));
	EXPECT_EQ(1, wait.ended);
	EXPECT_EQ(0, wait.failed);
	wait = (struct drm_weft_wait){.job = 1};
	EXPECT_EQ(0, wait_with(w, &wait));
}

TEST_F(wait, polls_for_a_bounded_time)
{
	struct drm_weft_wait wait = {.flags = DRM_WEFT_WAIT_POLL};
	struct weft *w = &self->load.w;

	ASSERT_EQ(0, submit(w, &self->load.busy, &wait.job));
	EXPECT_EQ(ETIME, wait_with(w, &wait));
	ASSERT_EQ(0, weft_wait_job(w->fd, w->queue, wait.job, WEFT_PATIENCE_S));
	EXPECT_EQ(0, wait_with(w, &wait));
	EXPECT_EQ(1, wait.ended);
}

TEST_F(wait, deadline_passes)
{
	struct weft *w = &self->load.w;
	__u64 job;

	ASSERT_EQ(0, submit(w, &self->load.busy, &job));
	EXPECT_EQ(ETIME, weft_wait_job(w->fd, w->queue, job, 0.01));
	EXPECT_EQ(0, weft_wait_job(w->fd, w->queue, job, WEFT_PATIENCE_S));
}

/* What a job has written is there when the wait returns. */
static int run_short_jobs(struct weft_load *load, struct weft_stream *fill, int count)
{
	volatile unsigned char *byte = load->result.memory;

	for (int i = 0; i < count; i++) {
		__u64 job;
		int error;

		fill->used = 0;
		weft_fill(fill, WEFT_LOAD_AT, 64, i);
		weft_last_signals(fill, 0, 1);
		weft_copy(fill, WEFT_ENGINE_DMA_OUT, WEFT_LOAD_AT, RESULT, 64);
		weft_last_waits(fill, 0, 1);
		error = submit(&load->w, fill, &job) ?: weft_wait_job(load->w.fd, load->w.queue, job, WEFT_PATIENCE_S);
		if (error)
			return error;
		if (byte[63] != (unsigned char)i)
			return EILSEQ;
	}
	return 0;
}

TEST_F(wait, results_are_there)
{
	EXPECT_EQ(0, run_short_jobs(&self->load, &self->fill, 1000));
}

TEST_F(wait, results_are_there_without_polling)
{
	int fd = open(PARAMETER, O_RDWR | O_CLOEXEC);
	char before[16] = "";
	int error;

	if (fd < 0)
		SKIP(return, "not root, or the driver is built in");
	ASSERT_LT(0, pread(fd, before, sizeof(before) - 1, 0));
	ASSERT_EQ(1, pwrite(fd, "0", 1, 0));
	error = run_short_jobs(&self->load, &self->fill, 300);
	ASSERT_LT(0, pwrite(fd, before, strlen(before), 0));
	close(fd);
	EXPECT_EQ(0, error);
}

/* More than the device has slots for: those that went to the scheduler keep their place. */
TEST_F(wait, many_jobs)
{
	const struct weft_stream nothing = {0};
	struct weft *w = &self->load.w;
	struct drm_weft_wait wait = {.deadline_ns = INT64_MAX};

	ASSERT_EQ(0, submit(w, &self->load.busy, NULL));
	for (int i = 0; i < 500; i++)
		ASSERT_EQ(0, submit(w, &nothing, &wait.job));
	ASSERT_EQ(501, wait.job);
	ASSERT_EQ(0, wait_with(w, &wait));
	EXPECT_EQ(501, wait.ended);
	EXPECT_EQ(0, wait.failed);
}

/* A job that waits for another queue holds back those behind it, which wait for nothing. */
TEST_F(wait, order_behind_a_job_that_waits)
{
	volatile unsigned char *byte = self->load.result.memory;
	struct drm_weft_sync sync = {.flags = DRM_WEFT_SYNC_SIGNAL};
	struct weft *w = &self->load.w;
	struct weft_stream streams[2];
	struct weft_bo own;
	uint32_t queue;
	uint64_t job;

	ASSERT_EQ(0, weft_bo_new(w->fd, WEFT_PAGE, DRM_WEFT_BO_DEVICE, &own));
	ASSERT_EQ(0, weft_map(w->fd, w->context, own.handle, 0, 4 * WEFT_LOAD_AT, WEFT_PAGE));
	ASSERT_EQ(0, weft_queue_new(w->fd, w->context, &queue));
	ASSERT_EQ(0, weft_syncobj_new(w->fd, &sync.handle));
	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(0, weft_stream_new(w, WEFT_PAGE, SHORT_STREAM + (i + 1) * (1 << 20), &streams[i]));
		weft_fill(&streams[i], 4 * WEFT_LOAD_AT, 64, i + 1);
		weft_last_signals(&streams[i], 0, 1);
		weft_copy(&streams[i], WEFT_ENGINE_DMA_OUT, 4 * WEFT_LOAD_AT, RESULT, 64);
		weft_last_waits(&streams[i], 0, 1);
	}
	ASSERT_EQ(0, weft_submit_syncs(w->fd, w->queue, &self->load.busy, &sync, 1, NULL));
	sync.flags = 0;
	ASSERT_EQ(0, weft_submit_syncs(w->fd, queue, &streams[0], &sync, 1, NULL));
	ASSERT_EQ(0, weft_submit_syncs(w->fd, queue, &streams[1], NULL, 0, &job));
	EXPECT_EQ(ETIME, weft_wait_job(w->fd, queue, job, 0));
	ASSERT_EQ(0, weft_wait_job(w->fd, queue, job, WEFT_PATIENCE_S));
	EXPECT_EQ(2, byte[0]);
	EXPECT_EQ(0, weft_wait(w->fd, sync.handle, 0, 0));
}

/* The fence of a job that went to the device at once, and of one that did not, in one timeline. */
TEST_F(wait, fences_beside_numbers)
{
	const struct weft_stream nothing = {0};
	struct weft *w = &self->load.w;
	__u64 job;

	for (int i = 0; i < 100; i++) {
		ASSERT_EQ(0, weft_submit(w, i % 40 ? &nothing : &self->load.busy));
		ASSERT_EQ(0, submit(w, &nothing, &job));
	}
	ASSERT_EQ(0, weft_wait_job(w->fd, w->queue, job, WEFT_PATIENCE_S));
	EXPECT_EQ(0, weft_wait(w->fd, w->timeline, w->point, WEFT_PATIENCE_S));
}

TEST_F(wait, failure_is_told)
{
	struct drm_weft_wait wait = {.deadline_ns = INT64_MAX};
	const struct weft_stream nothing = {0};
	struct weft *w = &self->load.w;

	/* Short jobs, so that the next wait polls. */
	ASSERT_EQ(0, run_short_jobs(&self->load, &self->fill, 10));
	self->fill.used = 0;
	weft_fill(&self->fill, NOWHERE, 64, 1);
	ASSERT_EQ(0, submit(w, &self->fill, &wait.job));
	ASSERT_EQ(11, wait.job);
	ASSERT_EQ(0, wait_with(w, &wait));
	EXPECT_EQ(11, wait.ended);
	EXPECT_EQ(11, wait.failed);
	EXPECT_EQ(ECANCELED, submit(w, &nothing, NULL));
	ASSERT_EQ(0, weft_context_recover(w->fd, w->context));
	EXPECT_EQ(0, run_short_jobs(&self->load, &self->fill, 10));
}

static void on_alarm(int number)
{
	(void)number;
}

TEST_F(wait, signals_interrupt)
{
	const struct sigaction action = {.sa_handler = on_alarm};
	struct drm_weft_wait wait = {.queue = self->load.w.queue, .deadline_ns = INT64_MAX};
	const struct itimerval soon = {.it_value.tv_usec = 20000};
	struct weft *w = &self->load.w;

	ASSERT_EQ(0, sigaction(SIGALRM, &action, NULL));
	ASSERT_EQ(0, submit(w, &self->load.busy, &wait.job));
	ASSERT_EQ(0, setitimer(ITIMER_REAL, &soon, NULL));
	EXPECT_EQ(-1, ioctl(w->fd, DRM_IOCTL_WEFT_WAIT, &wait));
	EXPECT_EQ(EINTR, errno);
	EXPECT_EQ(0, weft_wait_job(w->fd, w->queue, wait.job, WEFT_PATIENCE_S));
}

struct worker {
	struct weft_load load;
	struct weft_stream fill;
	int error;
	bool by_fence;
};

static void *work(void *argument)
{
	struct worker *worker = argument;

	if (!worker->by_fence) {
		worker->error = run_short_jobs(&worker->load, &worker->fill, 500);
		return NULL;
	}
	for (int i = 0; i < 200 && !worker->error; i++) {
		if (!weft_load_works(&worker->load, i))
			worker->error = EIO;
	}
	return NULL;
}

/* Some poll, with interrupts off; others need the interrupts. */
TEST_F(wait, sleepers_beside_pollers)
{
	struct worker workers[4] = {0};
	pthread_t threads[4];

	for (int i = 0; i < 4; i++) {
		workers[i].by_fence = i % 2;
		ASSERT_EQ(0, weft_load_setup(&workers[i].load));
		ASSERT_EQ(0, weft_stream_new(&workers[i].load.w, WEFT_PAGE, SHORT_STREAM, &workers[i].fill));
	}
	for (int i = 0; i < 4; i++)
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, work, &workers[i]));
	for (int i = 0; i < 4; i++) {
		pthread_join(threads[i], NULL);
		EXPECT_EQ(0, workers[i].error);
		weft_teardown(&workers[i].load.w);
	}
}

static void *wait_long(void *argument)
{
	struct worker *worker = argument;

	worker->error = weft_wait_job(worker->load.w.fd, worker->load.w.queue, 1, WEFT_PATIENCE_S);
	return NULL;
}

TEST_F(wait, queue_is_destroyed_meanwhile)
{
	struct worker worker = {.load = self->load};
	struct weft *w = &self->load.w;
	pthread_t thread;

	ASSERT_EQ(0, submit(w, &self->load.busy, NULL));
	ASSERT_EQ(0, pthread_create(&thread, NULL, wait_long, &worker));
	usleep(20000);
	ASSERT_EQ(0, weft_queue_free(w->fd, w->queue));
	pthread_join(thread, NULL);
	EXPECT_EQ(0, worker.error);
}

/* A reset ends no wait by itself: jobs go on after it, or fail. */
TEST_F(wait, resets_meanwhile)
{
	struct worker worker = {0};
	pthread_t thread;
	char text[64];

	if (!weft_debugfs("objects", text, sizeof(text)))
		SKIP(return, "no debugfs");
	ASSERT_EQ(0, weft_load_setup(&worker.load));
	ASSERT_EQ(0, weft_stream_new(&worker.load.w, WEFT_PAGE, SHORT_STREAM, &worker.fill));
	ASSERT_EQ(0, pthread_create(&thread, NULL, work, &worker));
	for (int i = 0; i < 5; i++) {
		usleep(3000);
		ASSERT_TRUE(weft_debugfs("reset", text, sizeof(text)));
	}
	pthread_join(thread, NULL);
	EXPECT_EQ(0, worker.error);
	weft_teardown(&worker.load.w);
}

TEST_HARNESS_MAIN
