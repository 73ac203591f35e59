// SPDX-License-Identifier: MIT
/*
 * Host memory as the target of storage: O_DIRECT, io_uring, and io_uring's registered
 * buffers, which pin it.  The files lie in WEFT_STORAGE, else /mnt/disk, else here.
 */
#include "kselftest_harness.h"
#include "weft_test.h"

#include <fcntl.h>
#include <liburing.h>

#define STREAM (1ull << 20)
#define AT (1ull << 30)
#define DEVICE (2ull << 30)
#define SIZE ((uint64_t)256 << 10)

FIXTURE(direct_io)
{
	struct weft w;
	struct weft_bo bo;
	int file;
	unsigned char *reference;
};

static int open_file(void)
{
	const char *folders[] = {getenv("WEFT_STORAGE"), "/mnt/disk", "."};
	char path[256];

	for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
		int fd;

		if (!folders[i])
			continue;
		snprintf(path, sizeof(path), "%s/weft-direct-io.%d", folders[i], getpid());
		fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_DIRECT | O_CLOEXEC, 0600);
		unlink(path);
		if (fd >= 0)
			return fd;
	}
	return -1;
}

FIXTURE_SETUP(direct_io)
{
	if (!weft_node())
		SKIP(return, "no Weft node");
	self->file = open_file();
	if (self->file < 0)
		SKIP(return, "no file system with O_DIRECT; name a folder in WEFT_STORAGE");
	ASSERT_EQ(0, weft_setup(&self->w));
	ASSERT_EQ(0, weft_bo_new_mapped(self->w.fd, SIZE, 0, &self->bo));
	self->reference = aligned_alloc(WEFT_PAGE, SIZE);
	ASSERT_NE(NULL, self->reference);
	for (uint64_t i = 0; i < SIZE; i++)
		self->reference[i] = i * 31 + i / 4096;
	ASSERT_EQ(SIZE, pwrite(self->file, self->reference, SIZE, 0));
}

FIXTURE_TEARDOWN(direct_io)
{
	weft_teardown(&self->w);
	close(self->file);
	free(self->reference);
}

TEST_F(direct_io, read_and_write)
{
	unsigned char *memory = self->bo.memory;

	ASSERT_EQ(SIZE, pread(self->file, memory, SIZE, 0));
	EXPECT_EQ(0, memcmp(memory, self->reference, SIZE));
	for (uint64_t i = 0; i < SIZE; i++)
		memory[i] ^= 0xff;
	ASSERT_EQ(SIZE, pwrite(self->file, memory, SIZE, SIZE));
	memset(memory, 0, SIZE);
	ASSERT_EQ(SIZE / 2, pread(self->file, memory + SIZE / 4, SIZE / 2, SIZE));
	for (uint64_t i = 0; i < SIZE / 2; i++)
		ASSERT_EQ(self->reference[i] ^ 0xff, memory[SIZE / 4 + i]);
	EXPECT_EQ(0, memory[SIZE / 4 - 1]);
	EXPECT_EQ(0, memory[SIZE * 3 / 4]);
}

/* Pages that were never touched, and pages whose mapping was dropped. */
TEST_F(direct_io, pages_that_are_not_mapped_yet)
{
	struct weft_bo bo;

	for (int round = 0; round < 3; round++) {
		ASSERT_EQ(0, weft_bo_new_mapped(self->w.fd, SIZE, 0, &bo));
		ASSERT_EQ(SIZE, pread(self->file, bo.memory, SIZE, 0));
		madvise(bo.memory, SIZE, MADV_DONTNEED);
		EXPECT_EQ(0, memcmp(bo.memory, self->reference, SIZE));
		weft_bo_free(self->w.fd, &bo);
	}
}

/* From the file to the device and back, without a copy. */
TEST_F(direct_io, storage_to_device_and_back)
{
	struct weft_stream stream;
	struct weft_bo device;

	ASSERT_EQ(0, weft_stream_new(&self->w, WEFT_PAGE, STREAM, &stream));
	ASSERT_EQ(0, weft_bo_new(self->w.fd, SIZE, DRM_WEFT_BO_DEVICE, &device));
	ASSERT_EQ(0, weft_map(self->w.fd, self->w.context, self->bo.handle, 0, AT, SIZE));
	ASSERT_EQ(0, weft_map(self->w.fd, self->w.context, device.handle, 0, DEVICE, SIZE));
	ASSERT_EQ(SIZE, pread(self->file, self->bo.memory, SIZE, 0));
	weft_copy(&stream, WEFT_ENGINE_DMA_IN, AT, DEVICE, SIZE);
	ASSERT_EQ(0, weft_run(&self->w, &stream));
	memset(self->bo.memory, 0, SIZE);
	stream.used = 0;
	weft_copy(&stream, WEFT_ENGINE_DMA_OUT, DEVICE, AT, SIZE);
	ASSERT_EQ(0, weft_run(&self->w, &stream));
	ASSERT_EQ(SIZE, pwrite(self->file, self->bo.memory, SIZE, SIZE));
	ASSERT_EQ(SIZE, pread(self->file, self->bo.memory, SIZE, SIZE));
	EXPECT_EQ(0, memcmp(self->bo.memory, self->reference, SIZE));
}

static int finish(struct io_uring *ring)
{
	struct io_uring_cqe *cqe;
	int result = io_uring_submit_and_wait(ring, 1);

	if (result < 0)
		return result;
	result = io_uring_wait_cqe(ring, &cqe);
	if (result)
		return result;
	result = cqe->res;
	io_uring_cqe_seen(ring, cqe);
	return result;
}

TEST_F(direct_io, uring)
{
	struct io_uring ring;

	ASSERT_EQ(0, io_uring_queue_init(8, &ring, 0));
	io_uring_prep_read(io_uring_get_sqe(&ring), self->file, self->bo.memory, SIZE, 0);
	ASSERT_EQ(SIZE, finish(&ring));
	EXPECT_EQ(0, memcmp(self->bo.memory, self->reference, SIZE));
	io_uring_queue_exit(&ring);
}

TEST_F(direct_io, uring_registered)
{
	struct iovec vector = {.iov_base = self->bo.memory, .iov_len = SIZE};
	struct io_uring ring;

	ASSERT_EQ(0, io_uring_queue_init(8, &ring, 0));
	ASSERT_EQ(0, io_uring_register_buffers(&ring, &vector, 1));
	io_uring_prep_read_fixed(io_uring_get_sqe(&ring), self->file, self->bo.memory, SIZE, 0, 0);
	ASSERT_EQ(SIZE, finish(&ring));
	EXPECT_EQ(0, memcmp(self->bo.memory, self->reference, SIZE));
	io_uring_prep_write_fixed(io_uring_get_sqe(&ring), self->file, self->bo.memory, SIZE, SIZE, 0);
	ASSERT_EQ(SIZE, finish(&ring));
	io_uring_queue_exit(&ring);
}

/* A registered buffer keeps its pages when mapping, handle and file have gone. */
TEST_F(direct_io, registered_outlives_the_object)
{
	struct iovec vector = {.iov_base = self->bo.memory, .iov_len = SIZE};
	void *address = self->bo.memory;
	struct io_uring ring;

	memset(self->bo.memory, 0x77, SIZE);
	ASSERT_EQ(0, io_uring_queue_init(8, &ring, 0));
	ASSERT_EQ(0, io_uring_register_buffers(&ring, &vector, 1));
	weft_bo_free(self->w.fd, &self->bo);
	weft_teardown(&self->w);
	io_uring_prep_write_fixed(io_uring_get_sqe(&ring), self->file, address, SIZE, SIZE, 0);
	ASSERT_EQ(SIZE, finish(&ring));
	ASSERT_EQ(SIZE, pread(self->file, self->reference, SIZE, SIZE));
	EXPECT_EQ(0x77, self->reference[0]);
	EXPECT_EQ(0x77, self->reference[SIZE - 1]);
	io_uring_queue_exit(&ring);
}

/* Many requests on parts of one buffer, with device traffic on the others. */
TEST_F(direct_io, many_requests)
{
	struct iovec vector = {.iov_base = self->bo.memory, .iov_len = SIZE};
	const unsigned int pieces = 32, bytes = SIZE / 32;
	struct io_uring ring;
	struct io_uring_cqe *cqe;

	ASSERT_EQ(0, io_uring_queue_init(64, &ring, 0));
	ASSERT_EQ(0, io_uring_register_buffers(&ring, &vector, 1));
	for (int round = 0; round < 4; round++) {
		memset(self->bo.memory, 0, SIZE);
		for (unsigned int i = 0; i < pieces; i++)
			io_uring_prep_read_fixed(io_uring_get_sqe(&ring), self->file,
						 (char *)self->bo.memory + i * bytes, bytes, i * bytes, 0);
		ASSERT_EQ(pieces, io_uring_submit(&ring));
		for (unsigned int i = 0; i < pieces; i++) {
			ASSERT_EQ(0, io_uring_wait_cqe(&ring, &cqe));
			EXPECT_EQ(bytes, cqe->res);
			io_uring_cqe_seen(&ring, cqe);
		}
		EXPECT_EQ(0, memcmp(self->bo.memory, self->reference, SIZE));
	}
	io_uring_queue_exit(&ring);
}

/* Device memory is not reached by storage: an error, not a crash. */
TEST_F(direct_io, device_memory_is_refused)
{
	struct iovec vector = {.iov_len = WEFT_PAGE};
	struct io_uring ring;
	struct weft_bo device;

	ASSERT_EQ(0, weft_bo_new_mapped(self->w.fd, WEFT_PAGE, DRM_WEFT_BO_DEVICE, &device));
	EXPECT_EQ(-1, pread(self->file, device.memory, WEFT_PAGE, 0));
	EXPECT_EQ(EFAULT, errno);
	vector.iov_base = device.memory;
	ASSERT_EQ(0, io_uring_queue_init(8, &ring, 0));
	EXPECT_LT(io_uring_register_buffers(&ring, &vector, 1), 0);
	io_uring_queue_exit(&ring);
}

TEST_HARNESS_MAIN
