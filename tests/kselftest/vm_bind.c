// SPDX-License-Identifier: MIT
/*
 * VM_BIND: what is mapped where is seen through the device, which copies with the
 * context's page table.
 */
#include "kselftest_harness.h"
#include "weft_test.h"

#define STREAM (1ull << 20)
#define RESULT (2ull << 20)
#define AREA (1ull << 30)
#define PAGES 8

FIXTURE(vm_bind)
{
	struct weft w;
	struct weft_stream stream;
	struct weft_bo a, b, result; /* page i of a holds i + 1 in each byte, of b i + 101 */
	uint32_t waited;	     /* a timeline */
};

FIXTURE_SETUP(vm_bind)
{
	if (!weft_node())
		SKIP(return, "no Weft node");
	ASSERT_EQ(0, weft_setup(&self->w));
	ASSERT_EQ(0, weft_stream_new(&self->w, 1 << 16, STREAM, &self->stream));
	ASSERT_EQ(0, weft_bo_new_mapped(self->w.fd, PAGES * WEFT_PAGE, DRM_WEFT_BO_DEVICE, &self->a));
	ASSERT_EQ(0, weft_bo_new_mapped(self->w.fd, PAGES * WEFT_PAGE, DRM_WEFT_BO_DEVICE, &self->b));
	ASSERT_EQ(0, weft_bo_new_mapped(self->w.fd, 2 * PAGES * WEFT_PAGE, 0, &self->result));
	ASSERT_EQ(0, weft_map(self->w.fd, self->w.context, self->result.handle, 0, RESULT, self->result.size));
	for (int i = 0; i < PAGES; i++) {
		memset((char *)self->a.memory + i * WEFT_PAGE, i + 1, WEFT_PAGE);
		memset((char *)self->b.memory + i * WEFT_PAGE, i + 101, WEFT_PAGE);
	}
	ASSERT_EQ(0, weft_syncobj_new(self->w.fd, &self->waited));
}

FIXTURE_TEARDOWN(vm_bind)
{
	weft_teardown(&self->w);
}

static int map(FIXTURE_DATA(vm_bind) * self, const struct weft_bo *bo, uint64_t offset, uint64_t to, uint64_t pages)
{
	return weft_map(self->w.fd, self->w.context, bo->handle, offset * WEFT_PAGE, AREA + to * WEFT_PAGE,
			pages * WEFT_PAGE);
}

static int unmap(FIXTURE_DATA(vm_bind) * self, uint64_t from, uint64_t pages)
{
	return weft_unmap(self->w.fd, self->w.context, AREA + from * WEFT_PAGE, pages * WEFT_PAGE);
}

/* What the device sees in a page of the area: its value, or 0 and a fault if nothing is there. */
static int seen(FIXTURE_DATA(vm_bind) * self, uint64_t page)
{
	volatile unsigned char *result = self->result.memory;

	memset(self->result.memory, 0xee, WEFT_PAGE);
	self->stream.used = 0;
	weft_copy(&self->stream, WEFT_ENGINE_DMA_OUT, AREA + page * WEFT_PAGE, RESULT, WEFT_PAGE);
	if (!weft_run(&self->w, &self->stream))
		return result[0] == result[WEFT_PAGE - 1] ? result[0] : -1;
	return weft_context_recover(self->w.fd, self->w.context) ? -1 : 0;
}

#define EXPECT_SEEN(...)                                                   \
	do {                                                               \
		static const int values[] = {__VA_ARGS__};                 \
                                                                           \
		for (size_t page = 0; page < ARRAY_SIZE(values); page++) { \
			EXPECT_EQ(values[page], seen(self, page))          \
			{                                                  \
				TH_LOG("of page %zu", page);               \
			}                                                  \
		}                                                          \
	} while (0)

static unsigned int mappings(FIXTURE_DATA(vm_bind) * self)
{
	struct drm_weft_context_info info = {0};

	weft_query(self->w.fd, DRM_WEFT_QUERY_CONTEXT, self->w.context, &info, sizeof(info));
	return info.mappings - 2; /* without the stream and the result */
}

TEST_F(vm_bind, map_and_unmap)
{
	EXPECT_SEEN(0);
	ASSERT_EQ(0, map(self, &self->a, 0, 0, 2));
	EXPECT_EQ(1, mappings(self));
	EXPECT_SEEN(1, 2, 0);
	ASSERT_EQ(0, unmap(self, 0, 2));
	EXPECT_EQ(0, mappings(self));
	EXPECT_SEEN(0, 0, 0);
}

TEST_F(vm_bind, offset_in_the_object)
{
	ASSERT_EQ(0, map(self, &self->a, 5, 0, 3));
	EXPECT_SEEN(6, 7, 8, 0);
}

TEST_F(vm_bind, unmap_the_middle)
{
	ASSERT_EQ(0, map(self, &self->a, 0, 0, 6));
	ASSERT_EQ(0, unmap(self, 2, 2));
	EXPECT_EQ(2, mappings(self));
	EXPECT_SEEN(1, 2, 0, 0, 5, 6, 0);
}

TEST_F(vm_bind, unmap_the_ends)
{
	ASSERT_EQ(0, map(self, &self->a, 0, 0, 6));
	ASSERT_EQ(0, unmap(self, 0, 2));
	ASSERT_EQ(0, unmap(self, 5, 4));
	EXPECT_EQ(1, mappings(self));
	EXPECT_SEEN(0, 0, 3, 4, 5, 0);
}

TEST_F(vm_bind, unmap_across_objects)
{
	ASSERT_EQ(0, map(self, &self->a, 0, 0, 3));
	ASSERT_EQ(0, map(self, &self->b, 0, 4, 3));
	ASSERT_EQ(0, unmap(self, 1, 5));
	EXPECT_SEEN(1, 0, 0, 0, 0, 0, 103, 0);
}

TEST_F(vm_bind, unmap_nothing)
{
	EXPECT_EQ(0, unmap(self, 0, 100));
	ASSERT_EQ(0, map(self, &self->a, 0, 0, 1));
	EXPECT_EQ(0, unmap(self, 1, 100));
	EXPECT_SEEN(1, 0);
}

TEST_F(vm_bind, map_over_the_middle)
{
	ASSERT_EQ(0, map(self, &self->a, 0, 0, 6));
	ASSERT_EQ(0, map(self, &self->b, 4, 2, 2));
	EXPECT_EQ(3, mappings(self));
	EXPECT_SEEN(1, 2, 105, 106, 5, 6, 0);
}

TEST_F(vm_bind, map_over_everything)
{
	for (int i = 0; i < 4; i++)
		ASSERT_EQ(0, map(self, &self->a, i, 2 * i, 1));
	ASSERT_EQ(0, map(self, &self->b, 0, 0, 8));
	EXPECT_EQ(1, mappings(self));
	EXPECT_SEEN(101, 102, 103, 104, 105, 106, 107, 108);
}

/* One page at several addresses, also of another kind of mapping. */
TEST_F(vm_bind, aliases)
{
	ASSERT_EQ(0, map(self, &self->a, 3, 0, 1));
	ASSERT_EQ(0, map(self, &self->a, 3, 1, 1));
	ASSERT_EQ(0, map(self, &self->a, 3, 7, 1));
	EXPECT_SEEN(4, 4, 0, 0, 0, 0, 0, 4);
	self->stream.used = 0;
	weft_fill(&self->stream, AREA + WEFT_PAGE, WEFT_PAGE, 77);
	ASSERT_EQ(0, weft_run(&self->w, &self->stream));
	EXPECT_SEEN(77, 77, 0, 0, 0, 0, 0, 77);
	EXPECT_EQ(77, *((volatile char *)self->a.memory + 3 * WEFT_PAGE));
}

TEST_F(vm_bind, read_only)
{
	ASSERT_EQ(0, weft_map_read_only(self->w.fd, self->w.context, self->a.handle, AREA, WEFT_PAGE));
	EXPECT_SEEN(1);
	self->stream.used = 0;
	weft_fill(&self->stream, AREA, WEFT_PAGE, 77);
	EXPECT_NE(0, weft_run(&self->w, &self->stream));
	EXPECT_EQ(1, *(volatile char *)self->a.memory);
	ASSERT_EQ(0, weft_context_recover(self->w.fd, self->w.context));
	/* Split, what is left stays read-only. */
	ASSERT_EQ(0, weft_map_read_only(self->w.fd, self->w.context, self->a.handle, AREA, 3 * WEFT_PAGE));
	ASSERT_EQ(0, unmap(self, 1, 1));
	self->stream.used = 0;
	weft_fill(&self->stream, AREA + 2 * WEFT_PAGE, WEFT_PAGE, 77);
	EXPECT_NE(0, weft_run(&self->w, &self->stream));
	EXPECT_EQ(3, *((volatile char *)self->a.memory + 2 * WEFT_PAGE));
}

/* The address keeps the memory when handle and mapping have gone; unmapping frees it. */
TEST_F(vm_bind, address_keeps_the_object)
{
	struct drm_weft_client_info before, after;
	struct weft_bo bo;

	ASSERT_EQ(0, weft_query(self->w.fd, DRM_WEFT_QUERY_CLIENT, 0, &before, sizeof(before)));
	ASSERT_EQ(0, weft_bo_new_mapped(self->w.fd, WEFT_PAGE, DRM_WEFT_BO_DEVICE, &bo));
	memset(bo.memory, 42, bo.size);
	ASSERT_EQ(0, map(self, &bo, 0, 0, 1));
	weft_bo_free(self->w.fd, &bo);
	EXPECT_SEEN(42);
	ASSERT_EQ(0, unmap(self, 0, 1));
	EXPECT_SEEN(0);
	ASSERT_EQ(0, weft_query(self->w.fd, DRM_WEFT_QUERY_CLIENT, 0, &after, sizeof(after)));
	EXPECT_EQ(before.device_bytes, after.device_bytes);
}

/* Operations of one call are carried out in order. */
TEST_F(vm_bind, order_in_a_call)
{
	struct drm_weft_bind_op ops[] = {
		{.handle = self->a.handle, .address = AREA, .range = 4 * WEFT_PAGE},
		{.type = DRM_WEFT_BIND_UNMAP, .address = AREA + WEFT_PAGE, .range = WEFT_PAGE},
		{.handle = self->b.handle, .address = AREA + 2 * WEFT_PAGE, .range = WEFT_PAGE},
		{.type = DRM_WEFT_BIND_UNMAP, .address = AREA, .range = WEFT_PAGE},
		{.handle = self->b.handle, .address = AREA, .range = WEFT_PAGE, .offset = WEFT_PAGE},
	};
	struct drm_weft_vm_bind bind = {
		.context = self->w.context,
		.ops = {.stride = sizeof(ops[0]), .count = ARRAY_SIZE(ops), .array = (uintptr_t)ops},
	};

	ASSERT_EQ(0, weft_ioctl(self->w.fd, DRM_IOCTL_WEFT_VM_BIND, &bind));
	EXPECT_SEEN(102, 0, 101, 4, 0);
}

/* A range across the page tables of 2 MiB and of 1 GiB. */
TEST_F(vm_bind, across_tables)
{
	static const uint64_t borders[] = {1ull << 21, 1ull << 30, 3ull << 30, 1ull << 38};

	for (size_t i = 0; i < ARRAY_SIZE(borders); i++) {
		uint64_t address = borders[i] - 2 * WEFT_PAGE;
		volatile char *result = self->result.memory;

		ASSERT_EQ(0, weft_map(self->w.fd, self->w.context, self->a.handle, 0, address, 4 * WEFT_PAGE));
		self->stream.used = 0;
		weft_copy(&self->stream, WEFT_ENGINE_DMA_OUT, address, RESULT, 4 * WEFT_PAGE);
		/* RESULT itself lies at 2 MiB: what was there is mapped over. */
		if (borders[i] == 1ull << 21) {
			ASSERT_EQ(0,
				  weft_map(self->w.fd, self->w.context, self->result.handle, 0, AREA, 4 * WEFT_PAGE));
			self->stream.used = 0;
			weft_copy(&self->stream, WEFT_ENGINE_DMA_OUT, address, AREA, 4 * WEFT_PAGE);
		}
		ASSERT_EQ(0, weft_run(&self->w, &self->stream));
		for (int page = 0; page < 4; page++)
			EXPECT_EQ(page + 1, result[page * WEFT_PAGE]);
		ASSERT_EQ(0, weft_unmap(self->w.fd, self->w.context, address, 4 * WEFT_PAGE));
		ASSERT_EQ(0, weft_map(self->w.fd, self->w.context, self->result.handle, 0, RESULT, self->result.size));
	}
}

static struct drm_weft_sync wait_for(uint32_t handle, uint64_t point)
{
	return (struct drm_weft_sync){.handle = handle, .point = point};
}

static struct drm_weft_sync signal_to(uint32_t handle, uint64_t point)
{
	return (struct drm_weft_sync){.handle = handle, .flags = DRM_WEFT_SYNC_SIGNAL, .point = point};
}

TEST_F(vm_bind, async_signals_when_done)
{
	struct drm_weft_bind_op op = {.handle = self->a.handle, .address = AREA, .range = 2 * WEFT_PAGE};
	struct drm_weft_sync sync = signal_to(self->waited, 1);

	ASSERT_EQ(0, weft_bind_async(self->w.fd, self->w.context, &op, 1, &sync, 1));
	ASSERT_EQ(0, weft_wait(self->w.fd, self->waited, 1, WEFT_PATIENCE_S));
	EXPECT_SEEN(1, 2, 0);
}

/* A stream that runs for a while, so that what waits for it is still waiting. */
static int busy(FIXTURE_DATA(vm_bind) * self, struct weft_stream *stream, struct weft_bo *matrices)
{
	const uint64_t at = 2 * AREA, size = 512 * 512 * 4;
	int error = weft_bo_new(self->w.fd, 3 * size, DRM_WEFT_BO_DEVICE, matrices);

	if (!error)
		error = weft_map(self->w.fd, self->w.context, matrices->handle, 0, at, 3 * size);
	if (!error)
		error = weft_stream_new(&self->w, 1 << 18, 3 * AREA, stream);
	for (int i = 0; !error && i < 100; i++)
		weft_matmul(stream, at, at + size, at + 2 * size, 512);
	return error;
}

/* Asynchronous binds wait for a job, are carried out in order, and jobs wait for them. */
TEST_F(vm_bind, async_in_order_after_a_job)
{
	struct drm_weft_bind_op first = {.handle = self->a.handle, .address = AREA, .range = 4 * WEFT_PAGE};
	struct drm_weft_bind_op second = {.handle = self->b.handle, .address = AREA + WEFT_PAGE, .range = WEFT_PAGE};
	struct drm_weft_bind_op third = {.type = DRM_WEFT_BIND_UNMAP, .address = AREA, .range = WEFT_PAGE};
	struct drm_weft_sync syncs[2];
	struct weft_stream job;
	struct weft_bo matrices;

	ASSERT_EQ(0, busy(self, &job, &matrices));
	ASSERT_EQ(0, weft_submit(&self->w, &job));
	syncs[0] = wait_for(self->w.timeline, self->w.point);
	ASSERT_EQ(0, weft_bind_async(self->w.fd, self->w.context, &first, 1, syncs, 1));
	/* These two have nothing to wait for but the first. */
	ASSERT_EQ(0, weft_bind_async(self->w.fd, self->w.context, &second, 1, NULL, 0));
	syncs[0] = signal_to(self->waited, 1);
	ASSERT_EQ(0, weft_bind_async(self->w.fd, self->w.context, &third, 1, syncs, 1));
	EXPECT_EQ(ETIME, weft_wait(self->w.fd, self->waited, 1, -1));
	ASSERT_EQ(0, weft_wait(self->w.fd, self->waited, 1, WEFT_PATIENCE_S));
	EXPECT_EQ(0, weft_wait(self->w.fd, self->w.timeline, self->w.point, -1));
	EXPECT_SEEN(0, 101, 3, 4, 0);
}

TEST_F(vm_bind, job_waits_for_a_bind)
{
	struct drm_weft_bind_op op = {.handle = self->a.handle, .address = AREA, .range = 2 * WEFT_PAGE};
	struct drm_weft_sync bind_syncs[2], job_syncs[2];
	struct weft_stream job;
	struct weft_bo matrices;
	uint32_t queue;

	ASSERT_EQ(0, busy(self, &job, &matrices));
	ASSERT_EQ(0, weft_queue_new(self->w.fd, self->w.context, &queue));
	ASSERT_EQ(0, weft_submit(&self->w, &job));
	bind_syncs[0] = wait_for(self->w.timeline, self->w.point);
	bind_syncs[1] = signal_to(self->waited, 1);
	ASSERT_EQ(0, weft_bind_async(self->w.fd, self->w.context, &op, 1, bind_syncs, 2));
	/* On another queue, so that only the syncobj holds it back. */
	weft_copy(&self->stream, WEFT_ENGINE_DMA_OUT, AREA, RESULT, 2 * WEFT_PAGE);
	job_syncs[0] = wait_for(self->waited, 1);
	job_syncs[1] = signal_to(self->waited, 2);
	ASSERT_EQ(0, weft_submit_syncs(self->w.fd, queue, &self->stream, job_syncs, 2, NULL));
	ASSERT_EQ(0, weft_wait(self->w.fd, self->waited, 2, WEFT_PATIENCE_S));
	EXPECT_EQ(0, weft_failed(self->w.fd, queue));
	EXPECT_EQ(1, *(volatile char *)self->result.memory);
	EXPECT_EQ(2, *((volatile char *)self->result.memory + WEFT_PAGE));
}

/* A synchronous bind does not wait for asynchronous ones that wait. */
TEST_F(vm_bind, synchronous_overtakes)
{
	struct drm_weft_bind_op op = {.handle = self->a.handle, .address = AREA, .range = WEFT_PAGE};
	struct drm_weft_sync syncs[2];
	struct weft_stream job;
	struct weft_bo matrices;

	ASSERT_EQ(0, busy(self, &job, &matrices));
	ASSERT_EQ(0, weft_submit(&self->w, &job));
	syncs[0] = wait_for(self->w.timeline, self->w.point);
	syncs[1] = signal_to(self->waited, 1);
	ASSERT_EQ(0, weft_bind_async(self->w.fd, self->w.context, &op, 1, syncs, 2));
	ASSERT_EQ(0, map(self, &self->b, 0, 0, 1));
	EXPECT_EQ(ETIME, weft_wait(self->w.fd, self->waited, 1, -1));
	ASSERT_EQ(0, weft_wait(self->w.fd, self->waited, 1, WEFT_PATIENCE_S));
	EXPECT_SEEN(1);
}

/* What a bind that waits would map may be closed meanwhile; and so may everything else. */
TEST_F(vm_bind, close_while_binds_wait)
{
	struct drm_weft_bind_op op = {.handle = self->a.handle, .address = AREA, .range = WEFT_PAGE};
	struct drm_weft_sync sync;
	struct weft_stream job;
	struct weft_bo matrices;

	ASSERT_EQ(0, busy(self, &job, &matrices));
	ASSERT_EQ(0, weft_submit(&self->w, &job));
	sync = wait_for(self->w.timeline, self->w.point);
	for (int i = 0; i < 10; i++)
		ASSERT_EQ(0, weft_bind_async(self->w.fd, self->w.context, &op, 1, &sync, 1));
	weft_bo_free(self->w.fd, &self->a);
	ASSERT_EQ(0, weft_context_free(self->w.fd, self->w.context));
	weft_teardown(&self->w);
}

/* Many pieces: page after page, unmapped in another order. */
TEST_F(vm_bind, many_pieces)
{
	const uint64_t pages = 512, last = 5 * AREA;
	struct weft_bo bo;
	volatile unsigned char *result = self->result.memory;

	ASSERT_EQ(0, weft_bo_new_mapped(self->w.fd, pages * WEFT_PAGE, DRM_WEFT_BO_DEVICE, &bo));
	for (uint64_t i = 0; i < pages; i++) {
		((unsigned char *)bo.memory)[i * WEFT_PAGE] = i % 251;
		ASSERT_EQ(0, weft_map(self->w.fd, self->w.context, bo.handle, i * WEFT_PAGE,
				      last + (pages - 1 - i) * WEFT_PAGE, WEFT_PAGE));
	}
	EXPECT_EQ(pages, mappings(self));
	for (uint64_t i = 0; i < pages; i += 37) {
		self->stream.used = 0;
		weft_copy(&self->stream, WEFT_ENGINE_DMA_OUT, last + (pages - 1 - i) * WEFT_PAGE, RESULT, 1);
		ASSERT_EQ(0, weft_run(&self->w, &self->stream));
		EXPECT_EQ(i % 251, result[0]);
	}
	for (uint64_t i = 0; i < pages; i++)
		ASSERT_EQ(0, weft_unmap(self->w.fd, self->w.context, last + (i * 7 % pages) * WEFT_PAGE, WEFT_PAGE));
	EXPECT_EQ(0, mappings(self));
}

TEST_HARNESS_MAIN
