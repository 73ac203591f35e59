// SPDX-License-Identifier: MIT
/*
 * Want of memory: each allocation of each call fails in turn.  The call says ENOMEM, leaves
 * nothing behind, and works the next time.
 */
#include "kselftest_harness.h"
#include "weft_test.h"

#include <fcntl.h>
#include <linux/udmabuf.h>
#include <sys/ioctl.h>

#include <drm.h>

#define DOOR "/sys/module/weft/parameters/fail_nth"
#define STREAM (1ull << 20)
#define AT (1ull << 30)
#define MOST_ALLOCATIONS 200
#define MATRICES (1ull << 28)
#define MATRIX (512 * 512 * 4ull)

FIXTURE(failures)
{
	struct weft w;
	struct weft_bo bo, matrices;
	struct weft_stream busy;
	uint32_t binary, other_queue;
	int door;
	char node[64];
	uint64_t n; /* the allocation that fails */
};

FIXTURE_SETUP(failures)
{
	if (!weft_node())
		SKIP(return, "no Weft node");
	snprintf(self->node, sizeof(self->node), "%s", weft_node());
	self->door = open(DOOR, O_RDWR | O_CLOEXEC);
	if (self->door < 0)
		SKIP(return, "not root, or the driver is built in");
	ASSERT_EQ(0, weft_setup(&self->w));
	ASSERT_EQ(0, weft_bo_new(self->w.fd, 4 * WEFT_PAGE, 0, &self->bo));
	ASSERT_EQ(0, weft_syncobj_new(self->w.fd, &self->binary));
	ASSERT_EQ(0, weft_queue_new(self->w.fd, self->w.context, &self->other_queue));
	ASSERT_EQ(0, weft_stream_new(&self->w, 1 << 16, STREAM, &self->busy));
	ASSERT_EQ(0, weft_bo_new(self->w.fd, 3 * MATRIX, DRM_WEFT_BO_DEVICE, &self->matrices));
	ASSERT_EQ(0, weft_map(self->w.fd, self->w.context, self->matrices.handle, 0, MATRICES, 3 * MATRIX));
	for (int i = 0; i < 32; i++)
		weft_matmul(&self->busy, MATRICES, MATRICES + MATRIX, MATRICES + 2 * MATRIX, 512);
}

FIXTURE_TEARDOWN(failures)
{
	weft_teardown(&self->w);
	close(self->door);
}

static void set_failure(int door, unsigned int nth)
{
	char text[16];
	int length = snprintf(text, sizeof(text), "%u", nth);

	if (pwrite(door, text, length, 0) != length)
		abort();
}

static unsigned int left(int door)
{
	char text[16] = "";

	return pread(door, text, sizeof(text) - 1, 0) > 0 ? atoi(text) : 0;
}

/* One way to call the driver; undoes what it did, if it succeeded.  0 or an errno value. */
typedef int (*attempt)(FIXTURE_DATA(failures) * self);

/* How many allocations failed, one at a time; -1 after a message if one was not told. */
static int sweep(FIXTURE_DATA(failures) * self, attempt call)
{
	char before[256], after[256];

	weft_debugfs("objects", before, sizeof(before));
	for (int n = 1; n < MOST_ALLOCATIONS; n++) {
		unsigned int rest;
		int error;

		self->n = n;
		set_failure(self->door, n);
		error = call(self);
		rest = left(self->door);
		set_failure(self->door, 0);
		if (error != (rest ? 0 : ENOMEM)) {
			printf("# allocation %d %s, and the call returned %d\n", n, rest ? "was not reached" : "failed",
			       error);
			return -1;
		}
		if (!rest)
			continue;
		/* Contexts are released after a moment. */
		for (int i = 0; i < 100 && weft_debugfs("objects", after, sizeof(after)) && strcmp(before, after); i++)
			usleep(20000);
		if (weft_debugfs("objects", after, sizeof(after)) && strcmp(before, after)) {
			printf("# objects are left: %s", after);
			return -1;
		}
		return n - 1;
	}
	return -1;
}

static int call_open(FIXTURE_DATA(failures) * self)
{
	int fd = open(self->node, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return errno;
	close(fd);
	return 0;
}

static int call_context(FIXTURE_DATA(failures) * self)
{
	uint32_t id;

	return weft_context_new(self->w.fd, 0, 0, &id) ?: weft_context_free(self->w.fd, id);
}

static int call_queue(FIXTURE_DATA(failures) * self)
{
	uint32_t id;

	return weft_queue_new(self->w.fd, self->w.context, &id) ?: weft_queue_free(self->w.fd, id);
}

static int make_bo(FIXTURE_DATA(failures) * self, uint32_t flags)
{
	struct drm_weft_bo_create create = {.size = 3 * WEFT_PAGE, .flags = flags, .context = self->w.context};

	return weft_ioctl(self->w.fd, DRM_IOCTL_WEFT_BO_CREATE, &create)
		       ?: weft_close_handle(self->w.fd, create.handle);
}

static int call_bo_host(FIXTURE_DATA(failures) * self)
{
	return make_bo(self, 0);
}

static int call_bo_device(FIXTURE_DATA(failures) * self)
{
	return make_bo(self, DRM_WEFT_BO_DEVICE);
}

/* Each time where no table is yet. */
static int call_map(FIXTURE_DATA(failures) * self)
{
	return weft_map(self->w.fd, self->w.context, self->bo.handle, 0, AT * (1 + self->n), 4 * WEFT_PAGE);
}

/* Splits a mapping, which takes two more. */
static int call_unmap(FIXTURE_DATA(failures) * self)
{
	return weft_unmap(self->w.fd, self->w.context, AT + WEFT_PAGE, WEFT_PAGE);
}

static int call_bind_async(FIXTURE_DATA(failures) * self)
{
	const struct drm_weft_bind_op ops[] = {
		{.handle = self->bo.handle, .address = AT * (1 + self->n), .range = 4 * WEFT_PAGE},
		{.type = DRM_WEFT_BIND_UNMAP, .address = AT * (1 + self->n), .range = WEFT_PAGE},
	};
	const struct drm_weft_sync syncs[] = {
		{.handle = self->binary},
		{.handle = self->w.timeline, .flags = DRM_WEFT_SYNC_SIGNAL, .point = self->w.point + 1},
	};
	int error = weft_bind_async(self->w.fd, self->w.context, ops, 2, syncs, 2);

	if (!error)
		error = weft_wait(self->w.fd, self->w.timeline, ++self->w.point, WEFT_PATIENCE_S);
	return error;
}

static int call_submit(FIXTURE_DATA(failures) * self)
{
	const struct drm_weft_sync syncs[] = {
		{.handle = self->binary},
		{.handle = self->w.timeline, .flags = DRM_WEFT_SYNC_SIGNAL, .point = self->w.point + 1},
		{.handle = self->binary, .flags = DRM_WEFT_SYNC_SIGNAL},
	};
	int error = weft_submit_syncs(self->w.fd, self->w.queue, &(struct weft_stream){0}, syncs, 3, NULL);

	if (!error)
		error = weft_wait(self->w.fd, self->w.timeline, ++self->w.point, WEFT_PATIENCE_S);
	return error;
}

/* With more syncobjs than fit the caller's stack. */
static int call_submit_many(FIXTURE_DATA(failures) * self)
{
	struct drm_weft_sync syncs[8];
	int error;

	for (int i = 0; i < 8; i++)
		syncs[i] = (struct drm_weft_sync){.handle = self->binary, .flags = i < 4 ? 0 : DRM_WEFT_SYNC_SIGNAL};
	error = weft_submit_syncs(self->w.fd, self->w.queue, &(struct weft_stream){0}, syncs, 8, NULL);
	return error ?: weft_wait(self->w.fd, self->binary, 0, WEFT_PATIENCE_S);
}

/* A job that has to wait for one of another queue, and so goes to the scheduler. */
static int call_submit_waiting(FIXTURE_DATA(failures) * self)
{
	const struct drm_weft_sync first = {.handle = self->binary, .flags = DRM_WEFT_SYNC_SIGNAL};
	const struct drm_weft_sync then = {.handle = self->binary};
	uint64_t job;
	int error = weft_submit_syncs(self->w.fd, self->w.queue, &self->busy, &first, 1, NULL), other;

	if (error)
		return error;
	error = weft_submit_syncs(self->w.fd, self->other_queue, &(struct weft_stream){0}, &then, 1, &job);
	if (!error)
		error = weft_wait_job(self->w.fd, self->other_queue, job, WEFT_PATIENCE_S);
	other = weft_wait(self->w.fd, self->binary, 0, WEFT_PATIENCE_S);
	return error ?: other;
}

static int call_import(FIXTURE_DATA(failures) * self)
{
	struct udmabuf_create create = {.size = WEFT_PAGE};
	int control = open("/dev/udmabuf", O_RDWR | O_CLOEXEC), dmabuf, error = EOPNOTSUPP;
	int memfd = memfd_create("weft-failures", MFD_ALLOW_SEALING | MFD_CLOEXEC);
	uint32_t handle;

	if (memfd >= 0 && !ftruncate(memfd, WEFT_PAGE) && !fcntl(memfd, F_ADD_SEALS, F_SEAL_SHRINK)) {
		create.memfd = memfd;
		dmabuf = ioctl(control, UDMABUF_CREATE, &create);
		if (dmabuf >= 0) {
			error = weft_import(self->w.fd, dmabuf, &handle) ?: weft_close_handle(self->w.fd, handle);
			close(dmabuf);
		}
	}
	close(memfd);
	close(control);
	return error;
}

static const struct {
	const char *name;
	attempt call;
	int least; /* allocations */
} calls[] = {
	{"opening the node", call_open, 2},
	{"creating a context", call_context, 8},
	{"creating a queue", call_queue, 3},
	{"creating a host object", call_bo_host, 6},
	{"creating a device object", call_bo_device, 4},
	{"mapping", call_map, 7},
	{"unmapping", call_unmap, 4},
	{"asynchronous binds", call_bind_async, 12},
	{"submitting", call_submit, 3},
	{"submitting with many syncobjs", call_submit_many, 5},
	{"submitting what waits", call_submit_waiting, 5},
	{"importing", call_import, 2},
};

TEST_F(failures, of_each_allocation)
{
	/* There is something to wait for, and something to split. */
	ASSERT_EQ(0, weft_syncobj_signal(self->w.fd, self->binary, 0));
	ASSERT_EQ(0, weft_map(self->w.fd, self->w.context, self->bo.handle, 0, AT, 4 * WEFT_PAGE));
	for (unsigned int i = 0; i < sizeof(calls) / sizeof(*calls); i++) {
		int failed;

		if (calls[i].call == call_import && access("/dev/udmabuf", R_OK | W_OK))
			continue;
		failed = sweep(self, calls[i].call);
		EXPECT_LE(calls[i].least, failed)
		{
			TH_LOG("%s: %d allocations failed", calls[i].name, failed);
		}
	}
	EXPECT_EQ(0, weft_run(&self->w, &(struct weft_stream){0}));
}

TEST_HARNESS_MAIN
