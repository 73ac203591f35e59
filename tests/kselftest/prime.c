// SPDX-License-Identifier: MIT
/* PRIME: memory that goes from and to other drivers, as dma-buf. */
#include "kselftest_harness.h"
#include "weft_test.h"

#include <fcntl.h>
#include <linux/dma-buf.h>
#include <linux/udmabuf.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include <drm.h>

#define STREAM (1ull << 20)
#define AT (1ull << 30)
#define DEVICE (2ull << 30)
#define SIZE (16 * WEFT_PAGE)

FIXTURE(prime)
{
	struct weft w;
	struct weft_stream stream;
	struct weft_bo device, host;
};

FIXTURE_SETUP(prime)
{
	if (!weft_node())
		SKIP(return, "no Weft node");
	ASSERT_EQ(0, weft_setup(&self->w));
	ASSERT_EQ(0, weft_stream_new(&self->w, 1 << 14, STREAM, &self->stream));
	ASSERT_EQ(0, weft_bo_new_mapped(self->w.fd, SIZE, DRM_WEFT_BO_DEVICE, &self->device));
	ASSERT_EQ(0, weft_bo_new_mapped(self->w.fd, SIZE, 0, &self->host));
	ASSERT_EQ(0, weft_map(self->w.fd, self->w.context, self->device.handle, 0, DEVICE, SIZE));
}

FIXTURE_TEARDOWN(prime)
{
	weft_teardown(&self->w);
}

/* A buffer of another driver, over @memory's pages; -1 if the kernel has no such driver. */
static int foreign(void **memory)
{
	struct udmabuf_create create = {.size = SIZE};
	int control = open("/dev/udmabuf", O_RDWR | O_CLOEXEC), dmabuf = -1;
	int memfd = memfd_create("weft-prime", MFD_ALLOW_SEALING | MFD_CLOEXEC);

	if (control >= 0 && memfd >= 0 && !ftruncate(memfd, SIZE) && !fcntl(memfd, F_ADD_SEALS, F_SEAL_SHRINK)) {
		create.memfd = memfd;
		*memory = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, memfd, 0);
		dmabuf = ioctl(control, UDMABUF_CREATE, &create);
	}
	if (control >= 0)
		close(control);
	if (memfd >= 0)
		close(memfd);
	return dmabuf;
}

static ino_t inode(int fd)
{
	struct stat status = {0};

	fstat(fd, &status);
	return status.st_ino;
}

TEST_F(prime, device_memory_stays)
{
	int dmabuf;

	EXPECT_EQ(EOPNOTSUPP, weft_export(self->w.fd, self->device.handle, &dmabuf));
}

TEST_F(prime, exported_memory_is_the_object)
{
	int dmabuf;
	char *memory;

	memset(self->host.memory, 0x41, SIZE);
	ASSERT_EQ(0, weft_export(self->w.fd, self->host.handle, &dmabuf));
	memory = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, dmabuf, 0);
	ASSERT_NE(MAP_FAILED, memory);
	EXPECT_EQ(0x41, memory[SIZE - 1]);
	memory[0] = 0x42;
	EXPECT_EQ(0x42, *(volatile char *)self->host.memory);
	munmap(memory, SIZE);
	/* Part of it, and past its end. */
	memory = mmap(NULL, WEFT_PAGE, PROT_READ, MAP_SHARED, dmabuf, SIZE - WEFT_PAGE);
	ASSERT_NE(MAP_FAILED, memory);
	EXPECT_EQ(0x41, memory[0]);
	munmap(memory, WEFT_PAGE);
	EXPECT_EQ(MAP_FAILED, mmap(NULL, 2 * WEFT_PAGE, PROT_READ, MAP_SHARED, dmabuf, SIZE - WEFT_PAGE));
	EXPECT_EQ(MAP_FAILED, mmap(NULL, WEFT_PAGE, PROT_READ, MAP_SHARED, dmabuf, SIZE));
	EXPECT_EQ(MAP_FAILED, mmap(NULL, WEFT_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, dmabuf, 0));
	close(dmabuf);
}

TEST_F(prime, exported_twice_is_one_buffer)
{
	int first, second;

	ASSERT_EQ(0, weft_export(self->w.fd, self->host.handle, &first));
	ASSERT_EQ(0, weft_export(self->w.fd, self->host.handle, &second));
	EXPECT_EQ(inode(first), inode(second));
	close(first);
	close(second);
}

TEST_F(prime, read_only_export)
{
	struct drm_prime_handle export = {.handle = self->host.handle, .flags = DRM_CLOEXEC};

	ASSERT_EQ(0, weft_ioctl(self->w.fd, DRM_IOCTL_PRIME_HANDLE_TO_FD, &export));
	EXPECT_EQ(MAP_FAILED, mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, export.fd, 0));
	EXPECT_EQ(EACCES, errno);
	close(export.fd);
}

TEST_F(prime, bad_arguments)
{
	struct drm_prime_handle export = {.handle = self->host.handle, .flags = 1};
	uint32_t handle;
	int fds[2];

	EXPECT_EQ(EINVAL, weft_ioctl(self->w.fd, DRM_IOCTL_PRIME_HANDLE_TO_FD, &export));
	EXPECT_EQ(ENOENT, weft_export(self->w.fd, 999, &fds[0]));
	EXPECT_EQ(EBADF, weft_import(self->w.fd, -1, &handle));
	ASSERT_EQ(0, pipe(fds));
	EXPECT_EQ(EINVAL, weft_import(self->w.fd, fds[0], &handle));
	EXPECT_EQ(EINVAL, weft_import(self->w.fd, self->w.fd, &handle));
}

/* In the same file the handle is the one that there is. */
TEST_F(prime, self_import)
{
	uint32_t handle;
	int dmabuf;

	ASSERT_EQ(0, weft_export(self->w.fd, self->host.handle, &dmabuf));
	ASSERT_EQ(0, weft_import(self->w.fd, dmabuf, &handle));
	EXPECT_EQ(self->host.handle, handle);
	close(dmabuf);
}

/* In another file of the node it is the same memory, without a detour. */
TEST_F(prime, import_in_another_file)
{
	struct drm_weft_bo_info info = {0};
	struct weft other;
	struct weft_stream stream;
	uint32_t handle;
	int dmabuf;

	ASSERT_EQ(0, weft_export(self->w.fd, self->host.handle, &dmabuf));
	ASSERT_EQ(0, weft_setup(&other));
	ASSERT_EQ(0, weft_import(other.fd, dmabuf, &handle));
	close(dmabuf);
	info.handle = handle;
	ASSERT_EQ(0, weft_ioctl(other.fd, DRM_IOCTL_WEFT_BO_INFO, &info));
	EXPECT_EQ(SIZE, info.size);
	memset(self->host.memory, 0x51, SIZE);
	/* The other context's device reaches it, and goes on when this file has gone. */
	ASSERT_EQ(0, weft_map(other.fd, other.context, handle, 0, AT, SIZE));
	weft_close_handle(self->w.fd, self->host.handle);
	weft_teardown(&self->w);
	ASSERT_EQ(0, weft_stream_new(&other, 1 << 14, STREAM, &stream));
	ASSERT_EQ(0, weft_bo_new_mapped(other.fd, SIZE, DRM_WEFT_BO_DEVICE, &self->device));
	ASSERT_EQ(0, weft_map(other.fd, other.context, self->device.handle, 0, DEVICE, SIZE));
	weft_copy(&stream, WEFT_ENGINE_DMA_IN, AT, DEVICE, SIZE);
	ASSERT_EQ(0, weft_run(&other, &stream));
	EXPECT_EQ(0x51, *((volatile char *)self->device.memory + SIZE - 1));
	weft_teardown(&other);
}

/* The buffer keeps the object, the driver and the device when the file has gone. */
TEST_F(prime, export_close_use)
{
	char *memory;
	int dmabuf;

	memset(self->host.memory, 0x61, SIZE);
	ASSERT_EQ(0, weft_export(self->w.fd, self->host.handle, &dmabuf));
	weft_bo_free(self->w.fd, &self->host);
	weft_teardown(&self->w);
	memory = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, dmabuf, 0);
	ASSERT_NE(MAP_FAILED, memory);
	EXPECT_EQ(0x61, memory[0]);
	close(dmabuf);
	memory[SIZE - 1] = 0x62;
	EXPECT_EQ(0x62, memory[SIZE - 1]);
	munmap(memory, SIZE);
}

TEST_F(prime, foreign_memory_is_reached_by_the_device)
{
	struct drm_weft_bo_info info = {0};
	volatile char *memory;
	uint32_t handle;
	int dmabuf = foreign((void **)&memory);

	if (dmabuf < 0)
		SKIP(return, "no udmabuf");
	ASSERT_EQ(0, weft_import(self->w.fd, dmabuf, &handle));
	info.handle = handle;
	ASSERT_EQ(0, weft_ioctl(self->w.fd, DRM_IOCTL_WEFT_BO_INFO, &info));
	EXPECT_EQ(SIZE, info.size);
	EXPECT_EQ(0, info.flags);
	EXPECT_EQ(0, info.mmap_offset);
	memset((void *)memory, 0x71, SIZE / 2);
	memset((void *)(memory + SIZE / 2), 0, SIZE / 2);
	ASSERT_EQ(0, weft_map(self->w.fd, self->w.context, handle, 0, AT, SIZE));
	/* The address keeps it; neither handle nor descriptor is needed. */
	close(dmabuf);
	ASSERT_EQ(0, weft_close_handle(self->w.fd, handle));
	weft_copy(&self->stream, WEFT_ENGINE_DMA_IN, AT, DEVICE, SIZE / 2);
	weft_last_signals(&self->stream, 0, 1);
	weft_copy(&self->stream, WEFT_ENGINE_DMA_OUT, DEVICE, AT + SIZE / 2, SIZE / 2);
	weft_last_waits(&self->stream, 0, 1);
	ASSERT_EQ(0, weft_run(&self->w, &self->stream));
	EXPECT_EQ(0x71, memory[SIZE / 2]);
	EXPECT_EQ(0x71, memory[SIZE - 1]);
}

TEST_F(prime, foreign_import_twice)
{
	uint32_t first, second;
	void *memory;
	int dmabuf = foreign(&memory);

	if (dmabuf < 0)
		SKIP(return, "no udmabuf");
	ASSERT_EQ(0, weft_import(self->w.fd, dmabuf, &first));
	ASSERT_EQ(0, weft_import(self->w.fd, dmabuf, &second));
	EXPECT_EQ(first, second);
	EXPECT_EQ(0, weft_close_handle(self->w.fd, first));
	/* And again after it was given back. */
	EXPECT_EQ(0, weft_import(self->w.fd, dmabuf, &first));
	close(dmabuf);
}

/* What is exported of an import is the buffer that came in. */
TEST_F(prime, re_export)
{
	void *memory;
	uint32_t handle;
	int dmabuf = foreign(&memory), again;

	if (dmabuf < 0)
		SKIP(return, "no udmabuf");
	ASSERT_EQ(0, weft_import(self->w.fd, dmabuf, &handle));
	ASSERT_EQ(0, weft_export(self->w.fd, handle, &again));
	EXPECT_EQ(inode(dmabuf), inode(again));
	close(dmabuf);
	close(again);
}

/* CPU access is the exporter's business: the node's offset of an import leads nowhere. */
TEST_F(prime, foreign_memory_is_not_mapped_by_us)
{
	struct drm_weft_bo_info info = {0};
	uint32_t handle;
	void *memory;
	int dmabuf = foreign(&memory);

	if (dmabuf < 0)
		SKIP(return, "no udmabuf");
	ASSERT_EQ(0, weft_import(self->w.fd, dmabuf, &handle));
	info.handle = handle;
	ASSERT_EQ(0, weft_ioctl(self->w.fd, DRM_IOCTL_WEFT_BO_INFO, &info));
	EXPECT_EQ(MAP_FAILED, mmap(NULL, SIZE, PROT_READ, MAP_SHARED, self->w.fd, info.mmap_offset));
	close(dmabuf);
}

TEST_F(prime, cpu_access_brackets)
{
	struct dma_buf_sync sync = {.flags = DMA_BUF_SYNC_START | DMA_BUF_SYNC_RW};
	int dmabuf;

	ASSERT_EQ(0, weft_export(self->w.fd, self->host.handle, &dmabuf));
	EXPECT_EQ(0, ioctl(dmabuf, DMA_BUF_IOCTL_SYNC, &sync));
	sync.flags = DMA_BUF_SYNC_END | DMA_BUF_SYNC_RW;
	EXPECT_EQ(0, ioctl(dmabuf, DMA_BUF_IOCTL_SYNC, &sync));
	close(dmabuf);
}

struct racer {
	int fd, errors;
	uint32_t handle;
};

static void *export_import_close(void *argument)
{
	struct racer *racer = argument;

	for (int i = 0; i < 200; i++) {
		uint32_t handle;
		int dmabuf, error = weft_export(racer->fd, racer->handle, &dmabuf);

		/* ENOENT: the other thread has closed it. */
		if (error && error != ENOENT)
			racer->errors++;
		if (error)
			continue;
		error = weft_import(racer->fd, dmabuf, &handle);
		close(dmabuf);
		if (error)
			racer->errors++;
		else if (handle != racer->handle || i % 3 == 0)
			weft_close_handle(racer->fd, handle);
	}
	return NULL;
}

TEST_F(prime, threads_export_import_close)
{
	struct racer racer = {.fd = self->w.fd, .handle = self->host.handle};
	pthread_t threads[3];

	for (int i = 0; i < 3; i++)
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, export_import_close, &racer));
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	EXPECT_EQ(0, racer.errors);
}

TEST_HARNESS_MAIN
