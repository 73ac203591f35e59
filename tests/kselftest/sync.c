// SPDX-License-Identifier: MIT
/* Syncobjs: what a job signals and waits for. */
#include "kselftest_harness.h"
#include "weft_test.h"

#include <fcntl.h>
#include <poll.h>

#include <drm.h>

#define STREAM (1ull << 20)
#define AT (1ull << 30)
#define MATRIX (512 * 512 * 4ull)

FIXTURE(sync)
{
	struct weft w;
	struct weft_stream busy; /* takes a while */
	struct weft_bo matrices;
	uint32_t queue; /* another of the context */
	uint32_t binary, timeline;
};

FIXTURE_SETUP(sync)
{
	if (!weft_node())
		SKIP(return, "no Weft node");
	ASSERT_EQ(0, weft_setup(&self->w));
	ASSERT_EQ(0, weft_stream_new(&self->w, 1 << 17, STREAM, &self->busy));
	ASSERT_EQ(0, weft_bo_new(self->w.fd, 3 * MATRIX, DRM_WEFT_BO_DEVICE, &self->matrices));
	ASSERT_EQ(0, weft_map(self->w.fd, self->w.context, self->matrices.handle, 0, AT, 3 * MATRIX));
	ASSERT_EQ(0, weft_queue_new(self->w.fd, self->w.context, &self->queue));
	ASSERT_EQ(0, weft_syncobj_new(self->w.fd, &self->binary));
	ASSERT_EQ(0, weft_syncobj_new(self->w.fd, &self->timeline));
	for (int i = 0; i < 60; i++)
		weft_matmul(&self->busy, AT, AT + MATRIX, AT + 2 * MATRIX, 512);
}

FIXTURE_TEARDOWN(sync)
{
	weft_teardown(&self->w);
}

static const struct weft_stream nothing;

static struct drm_weft_sync wait_for(uint32_t handle, uint64_t point)
{
	return (struct drm_weft_sync){.handle = handle, .point = point};
}

static struct drm_weft_sync signal_to(uint32_t handle, uint64_t point)
{
	return (struct drm_weft_sync){.handle = handle, .flags = DRM_WEFT_SYNC_SIGNAL, .point = point};
}

static uint64_t reached(FIXTURE_DATA(sync) * self, uint32_t handle)
{
	uint64_t point = ~0ull;
	struct drm_syncobj_timeline_array query = {
		.handles = (uintptr_t)&handle, .points = (uintptr_t)&point, .count_handles = 1};

	weft_ioctl(self->w.fd, DRM_IOCTL_SYNCOBJ_QUERY, &query);
	return point;
}

TEST_F(sync, points_are_reached_in_order)
{
	struct drm_weft_sync sync;

	for (uint64_t point = 1; point <= 5; point++) {
		sync = signal_to(self->timeline, point * 10);
		ASSERT_EQ(0, weft_submit_syncs(self->w.fd, self->w.queue, point == 1 ? &self->busy : &nothing, &sync, 1,
					       NULL));
	}
	EXPECT_EQ(0, reached(self, self->timeline));
	ASSERT_EQ(0, weft_wait(self->w.fd, self->timeline, 20, WEFT_PATIENCE_S));
	EXPECT_GE(reached(self, self->timeline), 20);
	/* Between two points: the next one counts. */
	ASSERT_EQ(0, weft_wait(self->w.fd, self->timeline, 45, WEFT_PATIENCE_S));
	EXPECT_EQ(50, reached(self, self->timeline));
}

TEST_F(sync, a_queue_waits_for_another)
{
	struct drm_weft_sync syncs[2];

	syncs[0] = signal_to(self->timeline, 1);
	ASSERT_EQ(0, weft_submit_syncs(self->w.fd, self->w.queue, &self->busy, syncs, 1, NULL));
	syncs[0] = wait_for(self->timeline, 1);
	syncs[1] = signal_to(self->binary, 0);
	ASSERT_EQ(0, weft_submit_syncs(self->w.fd, self->queue, &nothing, syncs, 2, NULL));
	EXPECT_EQ(ETIME, weft_wait(self->w.fd, self->binary, 0, -1));
	ASSERT_EQ(0, weft_wait(self->w.fd, self->binary, 0, WEFT_PATIENCE_S));
	EXPECT_EQ(1, reached(self, self->timeline));
	EXPECT_EQ(0, weft_fence_error(self->w.fd, self->binary));
}

/* Likewise with a binary syncobj, which holds the job's own fence: of the same scheduler. */
TEST_F(sync, a_queue_waits_for_another_without_timeline)
{
	struct drm_weft_sync syncs[2];

	syncs[0] = signal_to(self->binary, 0);
	ASSERT_EQ(0, weft_submit_syncs(self->w.fd, self->w.queue, &self->busy, syncs, 1, NULL));
	syncs[0] = wait_for(self->binary, 0);
	syncs[1] = signal_to(self->timeline, 1);
	ASSERT_EQ(0, weft_submit_syncs(self->w.fd, self->queue, &nothing, syncs, 2, NULL));
	ASSERT_EQ(0, weft_wait(self->w.fd, self->timeline, 1, WEFT_PATIENCE_S));
	EXPECT_EQ(0, weft_wait(self->w.fd, self->binary, 0, -1));
}

TEST_F(sync, waits_for_many)
{
	struct drm_weft_sync syncs[65];

	for (int i = 0; i < 64; i++) {
		syncs[i] = signal_to(self->timeline, i + 1);
		ASSERT_EQ(0, weft_submit_syncs(self->w.fd, i & 1 ? self->w.queue : self->queue,
					       i ? &nothing : &self->busy, &syncs[i], 1, NULL));
	}
	for (int i = 0; i < 64; i++)
		syncs[i] = wait_for(self->timeline, i + 1);
	syncs[64] = signal_to(self->binary, 0);
	ASSERT_EQ(0, weft_submit_syncs(self->w.fd, self->queue, &nothing, syncs, 65, NULL));
	ASSERT_EQ(0, weft_wait(self->w.fd, self->binary, 0, WEFT_PATIENCE_S));
	EXPECT_EQ(64, reached(self, self->timeline));
}

TEST_F(sync, signals_many)
{
	struct drm_weft_sync syncs[64];
	uint32_t handles[64];

	for (int i = 0; i < 64; i++) {
		ASSERT_EQ(0, weft_syncobj_new(self->w.fd, &handles[i]));
		syncs[i] = signal_to(handles[i], i & 1 ? 7 : 0);
	}
	ASSERT_EQ(0, weft_submit_syncs(self->w.fd, self->queue, &nothing, syncs, 64, NULL));
	for (int i = 0; i < 64; i++)
		EXPECT_EQ(0, weft_wait(self->w.fd, handles[i], i & 1 ? 7 : 0, WEFT_PATIENCE_S));
}

/* What it waited for before it is replaced by what it signals. */
TEST_F(sync, one_syncobj_to_wait_and_to_signal)
{
	struct drm_weft_sync syncs[2];

	syncs[0] = signal_to(self->binary, 0);
	ASSERT_EQ(0, weft_submit_syncs(self->w.fd, self->w.queue, &self->busy, syncs, 1, NULL));
	for (int i = 0; i < 10; i++) {
		syncs[0] = wait_for(self->binary, 0);
		syncs[1] = signal_to(self->binary, 0);
		ASSERT_EQ(0,
			  weft_submit_syncs(self->w.fd, i & 1 ? self->queue : self->w.queue, &nothing, syncs, 2, NULL));
	}
	ASSERT_EQ(0, weft_wait(self->w.fd, self->binary, 0, WEFT_PATIENCE_S));
}

/* User space may signal a point; a job that waits for it then is not held back. */
TEST_F(sync, signalled_by_user_space)
{
	struct drm_weft_sync syncs[2] = {wait_for(self->timeline, 3), signal_to(self->binary, 0)};

	EXPECT_EQ(EINVAL, weft_submit_syncs(self->w.fd, self->queue, &nothing, syncs, 2, NULL));
	ASSERT_EQ(0, weft_syncobj_signal(self->w.fd, self->timeline, 3));
	ASSERT_EQ(0, weft_submit_syncs(self->w.fd, self->queue, &nothing, syncs, 2, NULL));
	EXPECT_EQ(0, weft_wait(self->w.fd, self->binary, 0, WEFT_PATIENCE_S));
}

/* A refused submission signals nothing. */
TEST_F(sync, refused_submission_signals_nothing)
{
	struct drm_weft_sync syncs[2] = {signal_to(self->binary, 0), wait_for(999, 0)};

	EXPECT_EQ(ENOENT, weft_submit_syncs(self->w.fd, self->queue, &nothing, syncs, 2, NULL));
	EXPECT_EQ(EINVAL, weft_wait(self->w.fd, self->binary, 0, -1));
	syncs[1] = signal_to(999, 0);
	EXPECT_EQ(ENOENT, weft_submit_syncs(self->w.fd, self->queue, &nothing, syncs, 2, NULL));
	EXPECT_EQ(EINVAL, weft_wait(self->w.fd, self->binary, 0, -1));
}

TEST_F(sync, destroyed_while_used)
{
	struct drm_weft_sync syncs[2];

	syncs[0] = signal_to(self->timeline, 1);
	ASSERT_EQ(0, weft_submit_syncs(self->w.fd, self->w.queue, &self->busy, syncs, 1, NULL));
	syncs[0] = wait_for(self->timeline, 1);
	syncs[1] = signal_to(self->binary, 0);
	ASSERT_EQ(0, weft_submit_syncs(self->w.fd, self->queue, &nothing, syncs, 2, NULL));
	ASSERT_EQ(0, weft_syncobj_free(self->w.fd, self->timeline));
	ASSERT_EQ(0, weft_wait(self->w.fd, self->binary, 0, WEFT_PATIENCE_S));
}

TEST_F(sync, sync_file_becomes_readable)
{
	struct drm_weft_sync sync = signal_to(self->binary, 0);
	struct drm_syncobj_handle export = {.handle = self->binary,
					    .flags = DRM_SYNCOBJ_HANDLE_TO_FD_FLAGS_EXPORT_SYNC_FILE};
	struct drm_syncobj_handle import = {.flags = DRM_SYNCOBJ_FD_TO_HANDLE_FLAGS_IMPORT_SYNC_FILE};
	struct drm_weft_sync chained[2];
	struct pollfd poll_fd = {.events = POLLIN};

	ASSERT_EQ(0, weft_submit_syncs(self->w.fd, self->w.queue, &self->busy, &sync, 1, NULL));
	ASSERT_EQ(0, weft_ioctl(self->w.fd, DRM_IOCTL_SYNCOBJ_HANDLE_TO_FD, &export));
	poll_fd.fd = export.fd;
	EXPECT_EQ(0, poll(&poll_fd, 1, 0));
	/* Back in as another syncobj, for another queue to wait for. */
	ASSERT_EQ(0, weft_syncobj_new(self->w.fd, &import.handle));
	import.fd = export.fd;
	ASSERT_EQ(0, weft_ioctl(self->w.fd, DRM_IOCTL_SYNCOBJ_FD_TO_HANDLE, &import));
	chained[0] = wait_for(import.handle, 0);
	chained[1] = signal_to(self->timeline, 1);
	ASSERT_EQ(0, weft_submit_syncs(self->w.fd, self->queue, &nothing, chained, 2, NULL));
	EXPECT_EQ(1, poll(&poll_fd, 1, WEFT_PATIENCE_S * 1000));
	ASSERT_EQ(0, weft_wait(self->w.fd, self->timeline, 1, WEFT_PATIENCE_S));
	close(export.fd);
}

/* A syncobj goes from one file to another; so does order. */
TEST_F(sync, across_files)
{
	struct drm_syncobj_handle export = {.handle = self->timeline}, import = {0};
	struct drm_weft_sync syncs[2];
	struct weft other;

	ASSERT_EQ(0, weft_setup(&other));
	ASSERT_EQ(0, weft_ioctl(self->w.fd, DRM_IOCTL_SYNCOBJ_HANDLE_TO_FD, &export));
	import.fd = export.fd;
	ASSERT_EQ(0, weft_ioctl(other.fd, DRM_IOCTL_SYNCOBJ_FD_TO_HANDLE, &import));
	close(export.fd);
	syncs[0] = signal_to(self->timeline, 1);
	ASSERT_EQ(0, weft_submit_syncs(self->w.fd, self->w.queue, &self->busy, syncs, 1, NULL));
	syncs[0] = wait_for(import.handle, 1);
	syncs[1] = signal_to(import.handle, 2);
	ASSERT_EQ(0, weft_submit_syncs(other.fd, other.queue, &nothing, syncs, 2, NULL));
	ASSERT_EQ(0, weft_wait(self->w.fd, self->timeline, 2, WEFT_PATIENCE_S));
	weft_teardown(&other);
}

/* The fences of a file that has been closed go on, and their names stay readable. */
TEST_F(sync, fence_outlives_its_file)
{
	struct drm_weft_sync sync = signal_to(self->binary, 0);
	struct drm_syncobj_handle export = {.handle = self->binary,
					    .flags = DRM_SYNCOBJ_HANDLE_TO_FD_FLAGS_EXPORT_SYNC_FILE};
	struct pollfd poll_fd = {.events = POLLIN};
	char path[64], text[4096];
	int debug;

	ASSERT_EQ(0, weft_submit_syncs(self->w.fd, self->w.queue, &self->busy, &sync, 1, NULL));
	ASSERT_EQ(0, weft_ioctl(self->w.fd, DRM_IOCTL_SYNCOBJ_HANDLE_TO_FD, &export));
	weft_teardown(&self->w);
	poll_fd.fd = export.fd;
	EXPECT_EQ(1, poll(&poll_fd, 1, WEFT_PATIENCE_S * 1000));
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", export.fd);
	debug = open(path, O_RDONLY);
	ASSERT_GE(debug, 0);
	EXPECT_GT(read(debug, text, sizeof(text)), 0);
	close(debug);
	close(export.fd);
}

TEST_HARNESS_MAIN
