// SPDX-License-Identifier: MIT
/* Jobs: results, order, faults and what follows them, cancellation. */
#include "kselftest_harness.h"
#include "weft_test.h"

#include <fcntl.h>
#include <pthread.h>

#define STREAM (1ull << 20)
#define RESULT (2ull << 20)
#define DEVICE (1ull << 30)
#define NOWHERE (1ull << 36)
#define MATRIX (512 * 512 * 4ull)

FIXTURE(submit)
{
	struct weft w;
	struct weft_stream stream;
	struct weft_bo device, result;
};

FIXTURE_SETUP(submit)
{
	if (!weft_node())
		SKIP(return, "no Weft node");
	ASSERT_EQ(0, weft_setup(&self->w));
	ASSERT_EQ(0, weft_stream_new(&self->w, 1 << 18, STREAM, &self->stream));
	ASSERT_EQ(0, weft_bo_new_mapped(self->w.fd, 3 * MATRIX, DRM_WEFT_BO_DEVICE, &self->device));
	ASSERT_EQ(0, weft_bo_new_mapped(self->w.fd, 1 << 20, 0, &self->result));
	ASSERT_EQ(0, weft_map(self->w.fd, self->w.context, self->device.handle, 0, DEVICE, self->device.size));
	ASSERT_EQ(0, weft_map(self->w.fd, self->w.context, self->result.handle, 0, RESULT, self->result.size));
}

FIXTURE_TEARDOWN(submit)
{
	weft_teardown(&self->w);
}

static void busy(FIXTURE_DATA(submit) * self, unsigned int commands)
{
	for (unsigned int i = 0; i < commands; i++)
		weft_matmul(&self->stream, DEVICE, DEVICE + MATRIX, DEVICE + 2 * MATRIX, 512);
}

static struct drm_weft_queue_info queue_info(FIXTURE_DATA(submit) * self)
{
	struct drm_weft_queue_info info = {0};

	weft_query(self->w.fd, DRM_WEFT_QUERY_QUEUE, self->w.queue, &info, sizeof(info));
	return info;
}

static struct drm_weft_context_info context_info(FIXTURE_DATA(submit) * self)
{
	struct drm_weft_context_info info = {0};

	weft_query(self->w.fd, DRM_WEFT_QUERY_CONTEXT, self->w.context, &info, sizeof(info));
	return info;
}

TEST_F(submit, copies_there_and_back)
{
	unsigned char *bytes = self->result.memory;

	for (int i = 0; i < 100000; i++)
		bytes[i] = i * 7;
	weft_copy(&self->stream, WEFT_ENGINE_DMA_IN, RESULT + 3, DEVICE + 5, 99991);
	weft_last_signals(&self->stream, 0, 1);
	weft_copy(&self->stream, WEFT_ENGINE_COMPUTE, DEVICE + 5, DEVICE + MATRIX + 1, 99991);
	weft_last_waits(&self->stream, 0, 1);
	weft_last_signals(&self->stream, 1, 1);
	weft_copy(&self->stream, WEFT_ENGINE_DMA_OUT, DEVICE + MATRIX + 1, RESULT + 200001, 99991);
	weft_last_waits(&self->stream, 1, 1);
	ASSERT_EQ(0, weft_run(&self->w, &self->stream));
	EXPECT_EQ(0, memcmp(bytes + 3, bytes + 200001, 99991));
	EXPECT_EQ(0, bytes[200000]);
	EXPECT_EQ(0, bytes[200001 + 99991]);
}

TEST_F(submit, jobs_are_numbered_from_1)
{
	struct drm_weft_queue_info info;
	uint64_t job;

	weft_nop(&self->stream, WEFT_ENGINE_COMPUTE);
	for (uint64_t i = 1; i <= 10; i++) {
		ASSERT_EQ(0, weft_submit_syncs(self->w.fd, self->w.queue, &self->stream, NULL, 0, &job));
		EXPECT_EQ(i, job);
	}
	ASSERT_EQ(0, weft_run(&self->w, &self->stream));
	info = queue_info(self);
	EXPECT_EQ(11, info.submitted);
	EXPECT_EQ(11, info.completed);
	EXPECT_EQ(0, info.failed);
	EXPECT_EQ(0, context_info(self).pending);
}

/* More than the device and the ring hold. */
TEST_F(submit, many_jobs_at_once)
{
	volatile unsigned char *bytes = self->result.memory;

	weft_fill(&self->stream, DEVICE, 64, 9);
	weft_last_signals(&self->stream, 0, 1);
	weft_copy(&self->stream, WEFT_ENGINE_DMA_OUT, DEVICE, RESULT, 64);
	weft_last_waits(&self->stream, 0, 1);
	for (int i = 0; i < 2000; i++)
		ASSERT_EQ(0, weft_submit(&self->w, &self->stream));
	ASSERT_EQ(0, weft_wait(self->w.fd, self->w.timeline, self->w.point, WEFT_PATIENCE_S));
	EXPECT_EQ(0, weft_failed(self->w.fd, self->w.queue));
	EXPECT_EQ(9, bytes[63]);
	EXPECT_EQ(2000, queue_info(self).completed);
}

/* Jobs of a queue run one after another. */
TEST_F(submit, order_in_a_queue)
{
	struct weft_stream second;
	volatile unsigned char *bytes = self->result.memory;

	ASSERT_EQ(0, weft_stream_new(&self->w, 4096, 2 * DEVICE, &second));
	busy(self, 20);
	weft_fill(&self->stream, DEVICE, 64, 1);
	weft_fill(&second, DEVICE, 64, 2);
	for (int i = 0; i < 4; i++) {
		ASSERT_EQ(0, weft_submit(&self->w, &self->stream));
		ASSERT_EQ(0, weft_submit(&self->w, &second));
	}
	self->stream.used = 0;
	second.used = 0;
	ASSERT_EQ(0, weft_wait(self->w.fd, self->w.timeline, self->w.point, WEFT_PATIENCE_S));
	weft_copy(&second, WEFT_ENGINE_DMA_OUT, DEVICE, RESULT, 64);
	ASSERT_EQ(0, weft_run(&self->w, &second));
	EXPECT_EQ(2, bytes[0]);
}

static uint32_t queue_of(FIXTURE_DATA(submit) * self, uint32_t priority)
{
	struct drm_weft_queue_create create = {.context = self->w.context, .priority = priority};

	weft_ioctl(self->w.fd, DRM_IOCTL_WEFT_QUEUE_CREATE, &create);
	return create.id;
}

/*
 * Jobs of several queues that can all start at one moment, the less urgent first, and need one
 * engine: the urgent one sees what they write at their ends only if it had to wait for one.
 */
TEST_F(submit, urgent_jobs_first)
{
	const uint64_t mark = 2 * DEVICE;
	volatile unsigned char *bytes = self->result.memory;
	struct weft_stream urgent, less;
	struct drm_weft_sync start = {.flags = DRM_WEFT_SYNC_SIGNAL}, syncs[2];
	struct weft_bo page;
	uint32_t queue;

	ASSERT_EQ(0, weft_stream_new(&self->w, 1 << 16, 3 * DEVICE, &urgent));
	ASSERT_EQ(0, weft_stream_new(&self->w, 1 << 16, 4 * DEVICE, &less));
	ASSERT_EQ(0, weft_bo_new(self->w.fd, WEFT_PAGE, DRM_WEFT_BO_DEVICE, &page));
	ASSERT_EQ(0, weft_map(self->w.fd, self->w.context, page.handle, 0, mark, WEFT_PAGE));
	for (int i = 0; i < 20; i++)
		weft_matmul(&less, DEVICE, DEVICE + MATRIX, DEVICE + 2 * MATRIX, 512);
	weft_fill(&less, mark, 64, 1);
	for (int i = 0; i < 40; i++)
		weft_matmul(&urgent, DEVICE, DEVICE + MATRIX, DEVICE + 2 * MATRIX, 512);
	weft_last_signals(&urgent, 0, 1);
	weft_copy(&urgent, WEFT_ENGINE_DMA_OUT, mark, RESULT, 64);
	weft_last_waits(&urgent, 0, 1);

	ASSERT_EQ(0, weft_syncobj_new(self->w.fd, &start.handle));
	busy(self, 50);
	ASSERT_EQ(0, weft_submit_syncs(self->w.fd, self->w.queue, &self->stream, &start, 1, NULL));
	syncs[0] = (struct drm_weft_sync){.handle = start.handle};
	syncs[1] = (struct drm_weft_sync){.handle = self->w.timeline, .flags = DRM_WEFT_SYNC_SIGNAL};
	for (int i = 0; i < 3; i++) {
		queue = queue_of(self, DRM_WEFT_PRIORITY_LOW);
		ASSERT_NE(0, queue);
		ASSERT_EQ(0, weft_submit_syncs(self->w.fd, queue, &less, syncs, 1, NULL));
	}
	queue = queue_of(self, DRM_WEFT_PRIORITY_NORMAL);
	ASSERT_NE(0, queue);
	syncs[1].point = ++self->w.point;
	bytes[0] = 0x55;
	ASSERT_EQ(0, weft_submit_syncs(self->w.fd, queue, &urgent, syncs, 2, NULL));
	ASSERT_EQ(0, weft_wait(self->w.fd, self->w.timeline, self->w.point, WEFT_PATIENCE_S));
	EXPECT_EQ(0, bytes[0]);
}

/* What was behind a job that fails is cancelled, and says so. */
TEST_F(submit, jobs_behind_a_fault_are_cancelled)
{
	struct drm_weft_sync sync = {.flags = DRM_WEFT_SYNC_SIGNAL};
	uint32_t binary[4], queue;
	struct drm_weft_queue_info info;

	ASSERT_EQ(0, weft_queue_new(self->w.fd, self->w.context, &queue));
	for (int i = 0; i < 4; i++)
		ASSERT_EQ(0, weft_syncobj_new(self->w.fd, &binary[i]));
	busy(self, 40);
	weft_fill(&self->stream, NOWHERE, 64, 1);
	for (int i = 0; i < 3; i++) {
		sync.handle = binary[i];
		ASSERT_EQ(0, weft_submit_syncs(self->w.fd, self->w.queue, &self->stream, &sync, 1, NULL));
	}
	/* Another queue of the context waits for the first job. */
	{
		struct drm_weft_sync syncs[] = {{.handle = binary[0]},
						{.handle = binary[3], .flags = DRM_WEFT_SYNC_SIGNAL}};
		struct weft_stream nothing = {.address = 0};

		ASSERT_EQ(0, weft_submit_syncs(self->w.fd, queue, &nothing, syncs, 2, NULL));
	}
	EXPECT_EQ(EBUSY, weft_context_recover(self->w.fd, self->w.context));
	for (int i = 0; i < 4; i++)
		ASSERT_EQ(0, weft_wait(self->w.fd, binary[i], 0, WEFT_PATIENCE_S));
	EXPECT_EQ(EIO, weft_fence_error(self->w.fd, binary[0]));
	for (int i = 1; i < 4; i++)
		EXPECT_EQ(ECANCELED, weft_fence_error(self->w.fd, binary[i]));
	info = queue_info(self);
	EXPECT_EQ(1, info.failed);
	EXPECT_EQ(WEFT_FAULT_UNMAPPED, info.fault.reason);
	ASSERT_EQ(0, weft_query(self->w.fd, DRM_WEFT_QUERY_QUEUE, queue, &info, sizeof(info)));
	EXPECT_EQ(WEFT_FAULT_CANCELLED, info.fault.reason);
	EXPECT_EQ(WEFT_FAULT_UNMAPPED, context_info(self).fault.reason);
	EXPECT_EQ(0, weft_context_recover(self->w.fd, self->w.context));
}

TEST_F(submit, a_long_command_times_out)
{
	struct drm_weft_queue_info info;
	struct weft w = self->w;
	const uint32_t n = 1024;
	struct weft_bo matrices;

	ASSERT_EQ(0, weft_context_new(w.fd, 0, 1000, &w.context)); /* a microsecond */
	ASSERT_EQ(0, weft_queue_new(w.fd, w.context, &w.queue));
	ASSERT_EQ(0, weft_bo_new(w.fd, 3ull * n * n * 4, DRM_WEFT_BO_DEVICE, &matrices));
	ASSERT_EQ(0, weft_map(w.fd, w.context, matrices.handle, 0, DEVICE, matrices.size));
	ASSERT_EQ(0, weft_map(w.fd, w.context, self->stream.bo.handle, 0, STREAM, self->stream.bo.size));
	weft_matmul(&self->stream, DEVICE, DEVICE + n * n * 4, DEVICE + 2 * n * n * 4, n);
	EXPECT_EQ(EIO, weft_run(&w, &self->stream));
	ASSERT_EQ(0, weft_query(w.fd, DRM_WEFT_QUERY_QUEUE, w.queue, &info, sizeof(info)));
	EXPECT_EQ(WEFT_FAULT_TIMEOUT, info.fault.reason);
	/* The other context was not concerned. */
	self->stream.used = 0;
	weft_nop(&self->stream, WEFT_ENGINE_COMPUTE);
	EXPECT_EQ(0, weft_run(&self->w, &self->stream));
}

TEST_F(submit, destroyed_queue_ends_its_jobs)
{
	busy(self, 40);
	for (int i = 0; i < 20; i++)
		ASSERT_EQ(0, weft_submit(&self->w, &self->stream));
	ASSERT_EQ(0, weft_queue_free(self->w.fd, self->w.queue));
	EXPECT_EQ(ENOENT, weft_submit(&self->w, &self->stream));
	EXPECT_EQ(0, weft_wait(self->w.fd, self->w.timeline, self->w.point, WEFT_PATIENCE_S));
}

TEST_F(submit, destroyed_context_ends_its_jobs)
{
	busy(self, 40);
	for (int i = 0; i < 20; i++)
		ASSERT_EQ(0, weft_submit(&self->w, &self->stream));
	ASSERT_EQ(0, weft_context_free(self->w.fd, self->w.context));
	EXPECT_EQ(ENOENT, weft_submit(&self->w, &self->stream));
	EXPECT_EQ(0, weft_wait(self->w.fd, self->w.timeline, self->w.point, WEFT_PATIENCE_S));
}

/* Memory that a job uses stays until the job has ended, whatever is closed. */
TEST_F(submit, closed_while_running)
{
	busy(self, 100);
	for (int i = 0; i < 3; i++)
		ASSERT_EQ(0, weft_submit(&self->w, &self->stream));
	weft_bo_free(self->w.fd, &self->device);
	weft_bo_free(self->w.fd, &self->result);
	weft_bo_free(self->w.fd, &self->stream.bo);
	ASSERT_EQ(0, weft_wait(self->w.fd, self->w.timeline, self->w.point, WEFT_PATIENCE_S));
	EXPECT_EQ(0, weft_failed(self->w.fd, self->w.queue));
}

/* Unmapping what a job uses: the job faults or has ended, and nothing else happens. */
TEST_F(submit, unmapped_while_running)
{
	busy(self, 100);
	ASSERT_EQ(0, weft_submit(&self->w, &self->stream));
	ASSERT_EQ(0, weft_unmap(self->w.fd, self->w.context, DEVICE, self->device.size));
	weft_bo_free(self->w.fd, &self->device);
	ASSERT_EQ(0, weft_wait(self->w.fd, self->w.timeline, self->w.point, WEFT_PATIENCE_S));
	EXPECT_EQ(EIO, weft_failed(self->w.fd, self->w.queue));
	EXPECT_EQ(WEFT_FAULT_UNMAPPED, queue_info(self).fault.reason);
}

struct rewriter {
	struct weft_stream *stream;
	bool stop;
};

static void *rewrite(void *argument)
{
	struct rewriter *rewriter = argument;
	volatile uint32_t *words = rewriter->stream->bo.memory;
	uint32_t random = 12345;

	while (!__atomic_load_n(&rewriter->stop, __ATOMIC_RELAXED)) {
		random = random * 1664525 + 1013904223;
		words[random % (rewriter->stream->used / 4)] = random & 0x100 ? random : 0;
	}
	return NULL;
}

/* A stream that changes while it is read: whatever it says, the device goes on. */
TEST_F(submit, stream_changes_while_it_is_read)
{
	struct rewriter rewriter = {.stream = &self->stream};
	pthread_t thread;

	for (int i = 0; i < 100; i++)
		weft_copy(&self->stream, WEFT_ENGINE_DMA_OUT, DEVICE, RESULT, 64);
	ASSERT_EQ(0, pthread_create(&thread, NULL, rewrite, &rewriter));
	for (int i = 0; i < 200; i++) {
		int error = weft_submit(&self->w, &self->stream);

		if (!error)
			error = weft_wait(self->w.fd, self->w.timeline, self->w.point, WEFT_PATIENCE_S);
		else if (error == ECANCELED)
			error = weft_context_recover(self->w.fd, self->w.context);
		ASSERT_EQ(0, error);
	}
	__atomic_store_n(&rewriter.stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	weft_context_recover(self->w.fd, self->w.context);
	self->stream.used = 0;
	weft_copy(&self->stream, WEFT_ENGINE_DMA_OUT, DEVICE, RESULT, 64);
	EXPECT_EQ(0, weft_run(&self->w, &self->stream));
}

/* Arguments in memory that another thread rewrites: an error or not, but nothing worse. */
static void *rewrite_syncs(void *argument)
{
	struct rewriter *rewriter = argument;
	volatile uint32_t *words = rewriter->stream->bo.memory;

	for (uint32_t i = 0; !__atomic_load_n(&rewriter->stop, __ATOMIC_RELAXED); i++)
		words[i % 64 * 4 + 1] ^= (i & 64) ? DRM_WEFT_SYNC_SIGNAL : 0x80000000;
	return NULL;
}

TEST_F(submit, arguments_change_while_they_are_read)
{
	struct drm_weft_sync *syncs = self->result.memory;
	struct weft_stream shared = {.bo = self->result}, nothing = {0};
	struct rewriter rewriter = {.stream = &shared};
	pthread_t thread;
	uint32_t binary;

	ASSERT_EQ(0, weft_syncobj_new(self->w.fd, &binary));
	for (int i = 0; i < 64; i++)
		syncs[i] = (struct drm_weft_sync){.handle = binary, .flags = DRM_WEFT_SYNC_SIGNAL};
	ASSERT_EQ(0, pthread_create(&thread, NULL, rewrite_syncs, &rewriter));
	for (int i = 0; i < 500; i++) {
		int error = weft_submit_syncs(self->w.fd, self->w.queue, &nothing, syncs, 64, NULL);

		ASSERT_TRUE(error == 0 || error == EINVAL);
	}
	__atomic_store_n(&rewriter.stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	EXPECT_EQ(0, weft_run(&self->w, &nothing));
}

/* The test door that completes jobs without executing them. */
TEST_F(submit, null_submission)
{
	volatile unsigned char *bytes = self->result.memory;
	int door = open("/sys/module/weft/parameters/null_submission", O_RDWR | O_CLOEXEC);

	if (door < 0)
		SKIP(return, "not root, or the driver is built in");
	memset(self->result.memory, 0x55, 64);
	weft_fill(&self->stream, NOWHERE, 64, 1);
	ASSERT_EQ(1, write(door, "1", 1));
	EXPECT_EQ(0, weft_run(&self->w, &self->stream));
	ASSERT_EQ(1, write(door, "0", 1));
	close(door);
	EXPECT_EQ(0x55, bytes[0]);
	EXPECT_EQ(EIO, weft_run(&self->w, &self->stream));
}

TEST_HARNESS_MAIN
