// SPDX-License-Identifier: MIT
/*
 * Resets of the device, by the door in debugfs: nothing hangs, whoever had a job on it
 * learns how that ended, memory stays, and work goes on.
 */
#include "kselftest_harness.h"
#include "weft_test.h"

#include <fcntl.h>

FIXTURE(reset)
{
	struct weft_load load;
};

FIXTURE_SETUP(reset)
{
	char text[4096];

	if (!weft_node())
		SKIP(return, "no Weft node");
	if (!weft_debugfs("objects", text, sizeof(text)))
		SKIP(return, "not root, or no debugfs");
	ASSERT_EQ(0, weft_load_setup(&self->load));
}

FIXTURE_TEARDOWN(reset)
{
	weft_teardown(&self->load.w);
}

/* The number of resets afterwards; reading the file resets. */
static uint64_t reset(FIXTURE_DATA(reset) * self)
{
	struct drm_weft_counters counters = {0};
	char text[64];

	weft_debugfs("reset", text, sizeof(text));
	weft_query(self->load.w.fd, DRM_WEFT_QUERY_COUNTERS, 0, &counters, sizeof(counters));
	return counters.resets;
}

TEST_F(reset, of_an_idle_device)
{
	uint64_t before;

	ASSERT_TRUE(weft_load_works(&self->load, 1));
	before = reset(self);
	EXPECT_TRUE(weft_load_works(&self->load, 2));
	EXPECT_EQ(before + 1, reset(self));
	EXPECT_TRUE(weft_load_works(&self->load, 3));
	EXPECT_EQ(0, weft_failed(self->load.w.fd, self->load.w.queue));
}

TEST_F(reset, is_told)
{
	int uevents = weft_uevents_open();

	if (uevents < 0)
		SKIP(return, "no uevents");
	reset(self);
	EXPECT_TRUE(weft_uevent(uevents, "WEDGED=none", 10));
	close(uevents);
}

TEST_F(reset, memory_stays)
{
	memset(self->load.matrices.memory, 0x77, WEFT_PAGE);
	memset(self->load.result.memory, 0x11, WEFT_PAGE);
	reset(self);
	EXPECT_EQ(0x77, *(volatile char *)self->load.matrices.memory);
	EXPECT_EQ(0x11, *(volatile char *)self->load.result.memory);
	ASSERT_EQ(0, weft_run(&self->load.w, &self->load.copy));
	EXPECT_EQ(0x77, *(volatile char *)self->load.result.memory);
}

TEST_F(reset, under_jobs)
{
	for (int round = 0; round < 5; round++) {
		for (int i = 0; i < 4; i++)
			ASSERT_EQ(0, weft_submit(&self->load.w, &self->load.busy));
		usleep(round * 5000);
		reset(self);
		ASSERT_EQ(0, weft_wait(self->load.w.fd, self->load.w.timeline, self->load.w.point, WEFT_PATIENCE_S));
		/* Done, or told so; and either way it goes on. */
		if (weft_failed(self->load.w.fd, self->load.w.queue))
			ASSERT_EQ(0, weft_context_recover(self->load.w.fd, self->load.w.context));
		ASSERT_TRUE(weft_load_works(&self->load, round));
	}
}

/* Jobs that have not reached the device are not lost: their dependency ends, then they run. */
TEST_F(reset, jobs_that_wait_are_kept)
{
	struct weft other = self->load.w;
	struct drm_weft_sync syncs[2];
	struct drm_weft_queue_info info;

	ASSERT_EQ(0, weft_context_new(self->load.w.fd, 0, 0, &other.context));
	ASSERT_EQ(0, weft_queue_new(self->load.w.fd, other.context, &other.queue));
	ASSERT_EQ(0, weft_submit(&self->load.w, &self->load.busy));
	syncs[0] = (struct drm_weft_sync){.handle = self->load.w.timeline, .point = self->load.w.point};
	syncs[1] = (struct drm_weft_sync){
		.handle = self->load.w.timeline, .flags = DRM_WEFT_SYNC_SIGNAL, .point = self->load.w.point + 1};
	ASSERT_EQ(0, weft_submit_syncs(other.fd, other.queue, &(struct weft_stream){0}, syncs, 2, NULL));
	reset(self);
	ASSERT_EQ(0, weft_wait(self->load.w.fd, self->load.w.timeline, self->load.w.point + 1, WEFT_PATIENCE_S));
	ASSERT_EQ(0, weft_query(other.fd, DRM_WEFT_QUERY_QUEUE, other.queue, &info, sizeof(info)));
	EXPECT_EQ(1, info.completed);
	EXPECT_EQ(0, info.failed);
}

/* By the PCI core: the device is stopped before, and its jobs go on afterwards. */
TEST_F(reset, of_the_function)
{
	char path[128];
	int door;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/reset", weft_pci());
	door = open(path, O_WRONLY | O_CLOEXEC);
	if (door < 0)
		SKIP(return, "the function cannot be reset");
	for (int round = 0; round < 3; round++) {
		memset(self->load.matrices.memory, 0x30 + round, WEFT_PAGE);
		for (int i = 0; i < 4; i++)
			ASSERT_EQ(0, weft_submit(&self->load.w, &self->load.busy));
		usleep(round * 10000);
		ASSERT_EQ(1, pwrite(door, "1", 1, 0));
		ASSERT_EQ(0, weft_wait(self->load.w.fd, self->load.w.timeline, self->load.w.point, WEFT_PATIENCE_S));
		EXPECT_EQ(0, weft_failed(self->load.w.fd, self->load.w.queue));
		EXPECT_EQ(0x30 + round, *(volatile char *)self->load.matrices.memory);
		ASSERT_TRUE(weft_load_works(&self->load, round));
	}
	close(door);
}

/* Contexts, queues and binds come and go while the device is reset. */
TEST_F(reset, while_objects_are_made)
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		for (int i = 0; i < 30; i++)
			reset(self);
		_exit(0);
	}
	do {
		struct weft_bo bo;
		struct weft w;

		ASSERT_EQ(0, weft_setup(&w));
		ASSERT_EQ(0, weft_bo_new(w.fd, WEFT_PAGE, DRM_WEFT_BO_DEVICE, &bo));
		ASSERT_EQ(0, weft_map(w.fd, w.context, bo.handle, 0, WEFT_LOAD_AT, WEFT_PAGE));
		ASSERT_EQ(0, weft_unmap(w.fd, w.context, WEFT_LOAD_AT, WEFT_PAGE));
		ASSERT_EQ(0, weft_context_recover(w.fd, w.context));
		weft_teardown(&w);
	} while (!waitpid(pid, &status, WNOHANG));
	EXPECT_EQ(0, status);
	if (weft_failed(self->load.w.fd, self->load.w.queue))
		ASSERT_EQ(0, weft_context_recover(self->load.w.fd, self->load.w.context));
	EXPECT_TRUE(weft_load_works(&self->load, 9));
}

TEST_HARNESS_MAIN
