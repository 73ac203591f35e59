// SPDX-License-Identifier: MIT
/*
 * The device goes while it is used (unbinding stands for unplugging): what waits ends,
 * calls say ENODEV, mappings stay usable, and a new node works.  Needs root.
 */
#include "kselftest_harness.h"
#include "weft_test.h"

#include <fcntl.h>
#include <linux/sync_file.h>
#include <poll.h>
#include <pthread.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <drm.h>

#define STREAM (1ull << 20)
#define RESULT (2ull << 20)
#define AT (1ull << 30)
#define MATRIX (512 * 512 * 4ull)

FIXTURE(removal)
{
	struct weft w;
	struct weft_stream busy;
	struct weft_bo matrices, host;
	char pci[64];
	bool bound;
};

static int write_sysfs(const char *name, const char *text)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/bus/pci/drivers/weft/%s", name);
	return weft_write_file(path, text);
}

FIXTURE_SETUP(removal)
{
	if (!weft_node())
		SKIP(return, "no Weft node");
	if (access("/sys/bus/pci/drivers/weft/unbind", W_OK))
		SKIP(return, "not root, or not a PCI device");
	strcpy(self->pci, weft_pci());
	ASSERT_EQ(0, weft_setup(&self->w));
	ASSERT_EQ(0, weft_stream_new(&self->w, 1 << 18, STREAM, &self->busy));
	ASSERT_EQ(0, weft_bo_new_mapped(self->w.fd, 3 * MATRIX, DRM_WEFT_BO_DEVICE, &self->matrices));
	ASSERT_EQ(0, weft_bo_new_mapped(self->w.fd, 4 * WEFT_PAGE, 0, &self->host));
	ASSERT_EQ(0, weft_map(self->w.fd, self->w.context, self->matrices.handle, 0, AT, 3 * MATRIX));
	ASSERT_EQ(0, weft_map(self->w.fd, self->w.context, self->host.handle, 0, RESULT, self->host.size));
	for (int i = 0; i < 200; i++)
		weft_matmul(&self->busy, AT, AT + MATRIX, AT + 2 * MATRIX, 512);
	self->bound = true;
}

FIXTURE_TEARDOWN(removal)
{
	weft_teardown(&self->w);
	if (!self->bound && self->pci[0])
		write_sysfs("bind", self->pci);
}

static int unbind(FIXTURE_DATA(removal) * self)
{
	self->bound = false;
	return write_sysfs("unbind", self->pci);
}

static int bind_again(FIXTURE_DATA(removal) * self)
{
	int error = write_sysfs("bind", self->pci);

	self->bound = !error;
	return error;
}

TEST_F(removal, calls_say_that_it_has_gone)
{
	struct drm_weft_device_info info;
	struct weft_bo bo;
	uint32_t id;
	int dmabuf;

	ASSERT_EQ(0, unbind(self));
	EXPECT_EQ(ENODEV, weft_query(self->w.fd, DRM_WEFT_QUERY_DEVICE, 0, &info, sizeof(info)));
	EXPECT_EQ(ENODEV, weft_bo_new(self->w.fd, WEFT_PAGE, 0, &bo));
	EXPECT_EQ(ENODEV, weft_bo_new(self->w.fd, WEFT_PAGE, DRM_WEFT_BO_DEVICE, &bo));
	EXPECT_EQ(ENODEV, weft_context_new(self->w.fd, 0, 0, &id));
	EXPECT_EQ(ENODEV, weft_context_recover(self->w.fd, self->w.context));
	EXPECT_EQ(ENODEV, weft_queue_new(self->w.fd, self->w.context, &id));
	EXPECT_EQ(ENODEV, weft_unmap(self->w.fd, self->w.context, AT, WEFT_PAGE));
	EXPECT_EQ(ENODEV, weft_submit(&self->w, &self->busy));
	EXPECT_EQ(ENODEV, weft_export(self->w.fd, self->host.handle, &dmabuf));
	EXPECT_EQ(MAP_FAILED, mmap(NULL, WEFT_PAGE, PROT_READ, MAP_SHARED, self->w.fd, self->host.offset));
}

TEST_F(removal, node_has_gone)
{
	char node[64], path[64];
	struct stat status;
	int held;

	strcpy(node, weft_node());
	ASSERT_EQ(0, stat(node, &status));
	/* A descriptor of the node itself outlives its name. */
	held = open(node, O_PATH | O_CLOEXEC);
	ASSERT_EQ(0, unbind(self));
	EXPECT_LT(open(node, O_RDWR), 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", held);
	EXPECT_LT(open(path, O_RDWR), 0);
	EXPECT_TRUE(errno == ENODEV || errno == ENXIO);
	close(held);
}

TEST_F(removal, mappings_stay_usable)
{
	volatile char *device = self->matrices.memory, *host = self->host.memory;

	memset(self->matrices.memory, 0x11, WEFT_PAGE);
	memset(self->host.memory, 0x22, WEFT_PAGE);
	ASSERT_EQ(0, unbind(self));
	/* The system's memory is still there; the device's is not, but does no harm. */
	EXPECT_EQ(0x22, host[0]);
	EXPECT_EQ(0, host[WEFT_PAGE]);
	host[0] = 0x33;
	EXPECT_EQ(0x33, host[0]);
	device[0] = 0x44;
	device[2 * MATRIX] = 0x55;
	EXPECT_EQ(0x44, device[0]);
	EXPECT_EQ(0x55, device[2 * MATRIX]);
	madvise(self->matrices.memory, 3 * MATRIX, MADV_DONTNEED);
	device[MATRIX] = 1;
}

/* Fences outlive the device, and say what became of their jobs. */
TEST_F(removal, jobs_end)
{
	struct sync_file_info info = {0};
	int files[8];

	for (int i = 0; i < 8; i++) {
		struct drm_syncobj_handle export = {.flags = DRM_SYNCOBJ_HANDLE_TO_FD_FLAGS_EXPORT_SYNC_FILE};
		struct drm_weft_sync sync = {.flags = DRM_WEFT_SYNC_SIGNAL};

		ASSERT_EQ(0, weft_syncobj_new(self->w.fd, &export.handle));
		sync.handle = export.handle;
		ASSERT_EQ(0, weft_submit_syncs(self->w.fd, self->w.queue, &self->busy, &sync, 1, NULL));
		ASSERT_EQ(0, weft_ioctl(self->w.fd, DRM_IOCTL_SYNCOBJ_HANDLE_TO_FD, &export));
		files[i] = export.fd;
	}
	ASSERT_EQ(0, unbind(self));
	for (int i = 0; i < 8; i++) {
		struct pollfd poll_fd = {.fd = files[i], .events = POLLIN};

		EXPECT_EQ(1, poll(&poll_fd, 1, WEFT_PATIENCE_S * 1000));
	}
	ASSERT_EQ(0, weft_ioctl(files[7], SYNC_IOC_FILE_INFO, &info));
	EXPECT_EQ(-ENODEV, info.status);
	for (int i = 0; i < 8; i++)
		close(files[i]);
}

struct waiter {
	struct weft w;
	int error;
};

static void *wait_for_point(void *argument)
{
	struct waiter *waiter = argument;

	waiter->error = weft_wait(waiter->w.fd, waiter->w.timeline, waiter->w.point, WEFT_PATIENCE_S);
	return NULL;
}

TEST_F(removal, waiters_are_woken)
{
	struct waiter waiter;
	pthread_t thread;

	for (int i = 0; i < 8; i++)
		ASSERT_EQ(0, weft_submit(&self->w, &self->busy));
	waiter.w = self->w;
	ASSERT_EQ(0, pthread_create(&thread, NULL, wait_for_point, &waiter));
	usleep(200000);
	ASSERT_EQ(0, unbind(self));
	pthread_join(thread, NULL);
	EXPECT_EQ(0, waiter.error);
}

static void *wait_for_number(void *argument)
{
	struct waiter *waiter = argument;

	waiter->error = weft_wait_job(waiter->w.fd, waiter->w.queue, 8, WEFT_PATIENCE_S);
	return NULL;
}

TEST_F(removal, waiters_for_numbers_are_woken)
{
	struct waiter waiter;
	pthread_t thread;

	for (int i = 0; i < 8; i++)
		ASSERT_EQ(0, weft_submit(&self->w, &self->busy));
	waiter.w = self->w;
	ASSERT_EQ(0, pthread_create(&thread, NULL, wait_for_number, &waiter));
	usleep(200000);
	ASSERT_EQ(0, unbind(self));
	pthread_join(thread, NULL);
	EXPECT_EQ(ENODEV, waiter.error);
}

TEST_F(removal, binds_that_wait_end)
{
	struct drm_weft_bind_op op = {.handle = self->host.handle, .address = 2 * AT, .range = WEFT_PAGE};
	struct drm_weft_sync sync;

	ASSERT_EQ(0, weft_submit(&self->w, &self->busy));
	sync = (struct drm_weft_sync){.handle = self->w.timeline, .point = self->w.point};
	for (int i = 0; i < 4; i++)
		ASSERT_EQ(0, weft_bind_async(self->w.fd, self->w.context, &op, 1, &sync, 1));
	ASSERT_EQ(0, unbind(self));
}

TEST_F(removal, exported_memory_stays)
{
	char *memory;
	int dmabuf;

	memset(self->host.memory, 0x66, self->host.size);
	ASSERT_EQ(0, weft_export(self->w.fd, self->host.handle, &dmabuf));
	ASSERT_EQ(0, unbind(self));
	weft_bo_unmap(&self->host);
	weft_teardown(&self->w);
	memory = mmap(NULL, 4 * WEFT_PAGE, PROT_READ, MAP_SHARED, dmabuf, 0);
	if (memory != MAP_FAILED) {
		EXPECT_EQ(0x66, memory[4 * WEFT_PAGE - 1]);
		munmap(memory, 4 * WEFT_PAGE);
	}
	close(dmabuf);
}

/* The old file is still open when the device comes back; the two have nothing in common. */
TEST_F(removal, comes_back)
{
	struct weft w;
	struct weft_bo bo;

	ASSERT_EQ(0, unbind(self));
	ASSERT_EQ(0, bind_again(self));
	EXPECT_EQ(ENODEV, weft_submit(&self->w, &self->busy));
	ASSERT_EQ(0, weft_setup(&w));
	EXPECT_EQ(0, weft_bo_new_mapped(w.fd, 1 << 20, DRM_WEFT_BO_DEVICE, &bo));
	EXPECT_EQ(0, ((volatile char *)bo.memory)[4096]);
	EXPECT_EQ(0, weft_run(&w, &(struct weft_stream){0}));
	weft_teardown(&w);
}

static void *use_until_gone(void *argument)
{
	struct waiter *waiter = argument;
	struct weft_bo bo;

	for (;;) {
		waiter->error = weft_bo_new_mapped(waiter->w.fd, 4 * WEFT_PAGE, DRM_WEFT_BO_DEVICE, &bo);
		if (waiter->error)
			return NULL;
		memset(bo.memory, 1, bo.size);
		weft_map(waiter->w.fd, waiter->w.context, bo.handle, 0, 4 * AT, bo.size);
		weft_bo_free(waiter->w.fd, &bo);
	}
}

TEST_F(removal, under_calls)
{
	struct waiter users[3];
	pthread_t threads[3];

	for (int i = 0; i < 3; i++) {
		users[i].w = self->w;
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, use_until_gone, &users[i]));
	}
	usleep(30000);
	ASSERT_EQ(0, unbind(self));
	for (int i = 0; i < 3; i++) {
		pthread_join(threads[i], NULL);
		EXPECT_EQ(ENODEV, users[i].error);
	}
}

TEST_HARNESS_MAIN
