// SPDX-License-Identifier: MIT
/* What one process may have, so that it cannot starve another. */
#include "kselftest_harness.h"
#include "weft_test.h"

#include <linux/capability.h>

FIXTURE(limits)
{
	struct weft w;
	struct drm_weft_device_info info;
};

FIXTURE_SETUP(limits)
{
	if (!weft_node())
		SKIP(return, "no Weft node");
	ASSERT_EQ(0, weft_setup(&self->w));
	ASSERT_EQ(0, weft_query(self->w.fd, DRM_WEFT_QUERY_DEVICE, 0, &self->info, sizeof(self->info)));
}

FIXTURE_TEARDOWN(limits)
{
	weft_teardown(&self->w);
}

TEST_F(limits, contexts_of_a_file)
{
	uint32_t ids[256], count = 1, id;
	int other;

	ASSERT_GT(self->info.max_contexts, 1);
	ASSERT_LE(self->info.max_contexts, ARRAY_SIZE(ids));
	while (count < self->info.max_contexts)
		ASSERT_EQ(0, weft_context_new(self->w.fd, 0, 0, &ids[count++]));
	EXPECT_EQ(ENOSPC, weft_context_new(self->w.fd, 0, 0, &id));
	/* Another file has its own. */
	other = weft_open();
	ASSERT_GE(other, 0);
	EXPECT_EQ(0, weft_context_new(other, 0, 0, &id));
	close(other);
	/* One that is given back can be had again. */
	ASSERT_EQ(0, weft_context_free(self->w.fd, ids[1]));
	EXPECT_EQ(0, weft_context_new(self->w.fd, 0, 0, &id));
}

/* More files than the device has contexts: a clear answer, and recovery. */
TEST_F(limits, contexts_of_the_device)
{
	uint32_t id, count = 0;
	int files[64], opened = 0, error = 0;

	while (!error && opened < 64) {
		files[opened] = weft_open();
		ASSERT_GE(files[opened], 0);
		for (uint32_t i = 0; !error && i < self->info.max_contexts; i++, count++)
			error = weft_context_new(files[opened], 0, 0, &id);
		opened++;
	}
	EXPECT_EQ(ENOSPC, error);
	EXPECT_GT(count, self->info.max_contexts);
	for (int i = 0; i < opened; i++)
		close(files[i]);
	/* Their closing goes on for a moment. */
	for (int i = 0; i < 100; i++) {
		error = weft_context_new(self->w.fd, 0, 0, &id);
		if (!error)
			break;
		usleep(100000);
	}
	EXPECT_EQ(0, error);
}

TEST_F(limits, queues_of_a_file)
{
	uint32_t id = 0, last = 0;

	for (uint32_t i = 1; i < self->info.max_queues; i++)
		ASSERT_EQ(0, weft_queue_new(self->w.fd, self->w.context, &last));
	EXPECT_EQ(ENOSPC, weft_queue_new(self->w.fd, self->w.context, &id));
	ASSERT_EQ(0, weft_queue_free(self->w.fd, last));
	EXPECT_EQ(0, weft_queue_new(self->w.fd, self->w.context, &id));
}

static int charged(int fd, uint64_t size, uint32_t flags, uint32_t context, uint32_t *handle)
{
	struct drm_weft_bo_create create = {.size = size, .flags = flags, .context = context};
	int error = weft_ioctl(fd, DRM_IOCTL_WEFT_BO_CREATE, &create);

	*handle = create.handle;
	return error;
}

TEST_F(limits, device_memory_of_a_context)
{
	struct drm_weft_context_info info;
	uint32_t context, a, b;

	ASSERT_EQ(0, weft_context_new(self->w.fd, 4 * WEFT_PAGE, 0, &context));
	ASSERT_EQ(0, charged(self->w.fd, 3 * WEFT_PAGE, DRM_WEFT_BO_DEVICE, context, &a));
	EXPECT_EQ(ENOSPC, charged(self->w.fd, 2 * WEFT_PAGE, DRM_WEFT_BO_DEVICE, context, &b));
	EXPECT_EQ(0, charged(self->w.fd, WEFT_PAGE, DRM_WEFT_BO_DEVICE, context, &b));
	EXPECT_EQ(ENOSPC, charged(self->w.fd, 1, DRM_WEFT_BO_DEVICE, context, &b));
	ASSERT_EQ(0, weft_query(self->w.fd, DRM_WEFT_QUERY_CONTEXT, context, &info, sizeof(info)));
	EXPECT_EQ(4 * WEFT_PAGE, info.device_bytes);
	EXPECT_EQ(4 * WEFT_PAGE, info.device_bytes_limit);
	/* What is given back can be had again; a failure must have charged nothing. */
	ASSERT_EQ(0, weft_close_handle(self->w.fd, a));
	EXPECT_EQ(0, charged(self->w.fd, 3 * WEFT_PAGE, DRM_WEFT_BO_DEVICE, context, &a));
	/* A context without a limit, and memory without a context, are not concerned. */
	EXPECT_EQ(0, charged(self->w.fd, 8 * WEFT_PAGE, DRM_WEFT_BO_DEVICE, self->w.context, &b));
	EXPECT_EQ(0, charged(self->w.fd, 8 * WEFT_PAGE, DRM_WEFT_BO_DEVICE, 0, &b));
}

TEST_F(limits, high_priority_needs_a_capability)
{
	struct drm_weft_queue_create create = {.context = self->w.context, .priority = DRM_WEFT_PRIORITY_HIGH};

	if (geteuid() == 0) {
		EXPECT_EQ(0, weft_ioctl(self->w.fd, DRM_IOCTL_WEFT_QUEUE_CREATE, &create));
		ASSERT_TRUE(weft_drop_capability(CAP_SYS_NICE));
	}
	create = (struct drm_weft_queue_create){.context = self->w.context, .priority = DRM_WEFT_PRIORITY_HIGH};
	EXPECT_EQ(EACCES, weft_ioctl(self->w.fd, DRM_IOCTL_WEFT_QUEUE_CREATE, &create));
	create = (struct drm_weft_queue_create){.context = self->w.context, .priority = DRM_WEFT_PRIORITY_LOW};
	EXPECT_EQ(0, weft_ioctl(self->w.fd, DRM_IOCTL_WEFT_QUEUE_CREATE, &create));
}

TEST_HARNESS_MAIN
