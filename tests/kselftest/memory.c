// SPDX-License-Identifier: MIT
/* Buffer objects: sizes, contents, accounting, and running out. */
#include "kselftest_harness.h"
#include "weft_test.h"

#include <linux/capability.h>
#include <pthread.h>

#include <drm.h>

FIXTURE(memory)
{
	struct weft w;
	struct drm_weft_device_info info;
};

FIXTURE_SETUP(memory)
{
	if (!weft_node())
		SKIP(return, "no Weft node");
	ASSERT_EQ(0, weft_setup(&self->w));
	ASSERT_EQ(0, weft_query(self->w.fd, DRM_WEFT_QUERY_DEVICE, 0, &self->info, sizeof(self->info)));
}

FIXTURE_TEARDOWN(memory)
{
	weft_teardown(&self->w);
}

static const uint32_t kinds[] = {0, DRM_WEFT_BO_DEVICE};

TEST_F(memory, sizes_are_rounded_to_pages)
{
	static const struct {
		uint64_t size, rounded;
	} cases[] = {{1, 4096},	   {4095, 4096},       {4096, 4096},
		     {4097, 8192}, {1 << 20, 1 << 20}, {(1 << 20) + 1, (1 << 20) + 4096}};

	for (int kind = 0; kind < 2; kind++) {
		for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
			struct drm_weft_bo_info info = {0};
			struct weft_bo bo;

			ASSERT_EQ(0, weft_bo_new(self->w.fd, cases[i].size, kinds[kind], &bo));
			EXPECT_EQ(cases[i].rounded, bo.size);
			info.handle = bo.handle;
			ASSERT_EQ(0, weft_ioctl(self->w.fd, DRM_IOCTL_WEFT_BO_INFO, &info));
			EXPECT_EQ(bo.size, info.size);
			EXPECT_EQ(kinds[kind], info.flags);
			EXPECT_EQ(bo.offset, info.mmap_offset);
			weft_bo_free(self->w.fd, &bo);
		}
	}
}

/* What another owner left must not show, in either kind. */
TEST_F(memory, new_memory_is_zero)
{
	for (int kind = 0; kind < 2; kind++) {
		for (int round = 0; round < 4; round++) {
			struct weft_bo bo;

			ASSERT_EQ(0, weft_bo_new_mapped(self->w.fd, 1 << 20, kinds[kind], &bo));
			for (size_t i = 0; i < bo.size / 8; i++)
				ASSERT_EQ(0, ((uint64_t *)bo.memory)[i]);
			memset(bo.memory, 0xa5, bo.size);
			weft_bo_free(self->w.fd, &bo);
		}
	}
}

TEST_F(memory, device_memory_runs_out_and_comes_back)
{
	const uint64_t piece = 1 << 20;
	uint64_t most = self->info.device_bytes / piece, got;
	struct weft_bo *bos = calloc(most + 1, sizeof(*bos));
	struct drm_weft_counters counters;

	ASSERT_NE(NULL, bos);
	for (int round = 0; round < 2; round++) {
		int error = 0;

		for (got = 0; got <= most; got++) {
			error = weft_bo_new(self->w.fd, piece, DRM_WEFT_BO_DEVICE, &bos[got]);
			if (error)
				break;
		}
		EXPECT_EQ(ENOSPC, error);
		/* Others may have some; most of it must be there for us. */
		EXPECT_GE(got, most / 2);
		ASSERT_EQ(0, weft_query(self->w.fd, DRM_WEFT_QUERY_COUNTERS, 0, &counters, sizeof(counters)));
		EXPECT_GE(counters.device_used_bytes, got * piece);
		for (uint64_t i = 0; i < got; i++)
			weft_bo_free(self->w.fd, &bos[i]);
	}
	free(bos);
}

/* Free memory in scattered pages serves a large object. */
TEST_F(memory, fragments_are_joined)
{
	uint64_t count = self->info.device_bytes / 2 / WEFT_PAGE / 8, half;
	struct weft_bo *bos, large;

	if (count > 4096)
		count = 4096;
	bos = calloc(count, sizeof(*bos));
	ASSERT_NE(NULL, bos);
	for (uint64_t i = 0; i < count; i++)
		ASSERT_EQ(0, weft_bo_new(self->w.fd, WEFT_PAGE, DRM_WEFT_BO_DEVICE, &bos[i]));
	for (uint64_t i = 0; i < count; i += 2)
		weft_bo_free(self->w.fd, &bos[i]);
	half = self->info.device_bytes / 2;
	ASSERT_EQ(0, weft_bo_new_mapped(self->w.fd, half, DRM_WEFT_BO_DEVICE, &large));
	memset(large.memory, 0x3c, 4 * WEFT_PAGE);
	weft_bo_free(self->w.fd, &large);
	free(bos);
}

TEST_F(memory, client_is_charged)
{
	struct drm_weft_client_info before, after;
	struct weft_bo device, host;

	ASSERT_EQ(0, weft_query(self->w.fd, DRM_WEFT_QUERY_CLIENT, 0, &before, sizeof(before)));
	ASSERT_EQ(0, weft_bo_new(self->w.fd, 3 * WEFT_PAGE, DRM_WEFT_BO_DEVICE, &device));
	ASSERT_EQ(0, weft_bo_new(self->w.fd, 5 * WEFT_PAGE, 0, &host));
	ASSERT_EQ(0, weft_query(self->w.fd, DRM_WEFT_QUERY_CLIENT, 0, &after, sizeof(after)));
	EXPECT_EQ(before.device_bytes + 3 * WEFT_PAGE, after.device_bytes);
	EXPECT_EQ(before.host_bytes + 5 * WEFT_PAGE, after.host_bytes);
	weft_bo_free(self->w.fd, &device);
	weft_bo_free(self->w.fd, &host);
	ASSERT_EQ(0, weft_query(self->w.fd, DRM_WEFT_QUERY_CLIENT, 0, &after, sizeof(after)));
	EXPECT_EQ(before.device_bytes, after.device_bytes);
	EXPECT_EQ(before.host_bytes, after.host_bytes);
}

/* A mapping and an address keep the memory; a handle that was closed does not name it. */
TEST_F(memory, closed_handle_mapping_stays)
{
	struct weft_bo bo;

	for (int kind = 0; kind < 2; kind++) {
		ASSERT_EQ(0, weft_bo_new_mapped(self->w.fd, 2 * WEFT_PAGE, kinds[kind], &bo));
		memset(bo.memory, 0x11, bo.size);
		ASSERT_EQ(0, weft_close_handle(self->w.fd, bo.handle));
		EXPECT_EQ(EINVAL, weft_close_handle(self->w.fd, bo.handle));
		EXPECT_EQ(0x11, ((char *)bo.memory)[bo.size - 1]);
		memset(bo.memory, 0x22, bo.size);
		EXPECT_EQ(0x22, ((char *)bo.memory)[0]);
		weft_bo_unmap(&bo);
	}
}

TEST_F(memory, file_closed_mapping_stays)
{
	struct weft_bo bo;
	int fd = weft_open();

	for (int kind = 0; kind < 2; kind++) {
		fd = weft_open();
		ASSERT_GE(fd, 0);
		ASSERT_EQ(0, weft_bo_new_mapped(fd, 2 * WEFT_PAGE, kinds[kind], &bo));
		close(fd);
		memset(bo.memory, 0x33, bo.size);
		EXPECT_EQ(0x33, ((char *)bo.memory)[bo.size - 1]);
		weft_bo_unmap(&bo);
	}
}

/* The names of GEM's global name space would let any process in: only root may use them. */
TEST_F(memory, no_flink)
{
	struct drm_gem_flink flink = {0};
	struct drm_gem_open open = {.name = 1};
	struct weft_bo bo;
	int fd;

	ASSERT_TRUE(weft_drop_capability(CAP_SYS_ADMIN));
	fd = weft_open();
	ASSERT_GE(fd, 0);
	ASSERT_EQ(0, weft_bo_new(fd, WEFT_PAGE, 0, &bo));
	flink.handle = bo.handle;
	EXPECT_EQ(EACCES, weft_ioctl(fd, DRM_IOCTL_GEM_FLINK, &flink));
	EXPECT_EQ(EACCES, weft_ioctl(fd, DRM_IOCTL_GEM_OPEN, &open));
	close(fd);
}

struct creator {
	int fd, error;
	unsigned int rounds;
};

static void *create_and_free(void *argument)
{
	struct creator *creator = argument;

	for (unsigned int i = 0; i < creator->rounds; i++) {
		struct weft_bo bo;
		int error = weft_bo_new(creator->fd, (1 + i % 16) * WEFT_PAGE, kinds[i & 1], &bo);

		if (error) {
			creator->error = error;
			return NULL;
		}
		weft_bo_free(creator->fd, &bo);
	}
	return NULL;
}

TEST_F(memory, threads_of_one_file)
{
	struct creator creators[4];
	struct drm_weft_client_info info;
	pthread_t threads[4];

	for (int i = 0; i < 4; i++) {
		creators[i] = (struct creator){.fd = self->w.fd, .rounds = 200};
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, create_and_free, &creators[i]));
	}
	for (int i = 0; i < 4; i++) {
		pthread_join(threads[i], NULL);
		EXPECT_EQ(0, creators[i].error);
	}
	ASSERT_EQ(0, weft_query(self->w.fd, DRM_WEFT_QUERY_CLIENT, 0, &info, sizeof(info)));
	EXPECT_EQ(0, info.device_bytes);
	EXPECT_EQ(0, info.host_bytes);
}

TEST_HARNESS_MAIN
