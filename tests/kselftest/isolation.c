// SPDX-License-Identifier: MIT
/* Two processes: what is one's is nothing to the other. */
#include "kselftest_harness.h"
#include "weft_test.h"

#include <signal.h>

#include <drm.h>

#define STREAM (1ull << 20)
#define RESULT (2ull << 20)
#define SECRET (1ull << 30)
#define MINE (2ull << 30)
#define VALUE 0x5a

/* The parent has a secret at SECRET; the child does the test and tells by its status. */
FIXTURE(isolation)
{
	struct weft w;
	struct weft_stream stream;
	struct weft_bo secret, host;
	int ready[2], done[2];
};

FIXTURE_SETUP(isolation)
{
	if (!weft_node())
		SKIP(return, "no Weft node");
	ASSERT_EQ(0, weft_setup(&self->w));
	ASSERT_EQ(0, weft_stream_new(&self->w, 1 << 14, STREAM, &self->stream));
	ASSERT_EQ(0, weft_bo_new_mapped(self->w.fd, 4 * WEFT_PAGE, DRM_WEFT_BO_DEVICE, &self->secret));
	ASSERT_EQ(0, weft_bo_new_mapped(self->w.fd, 4 * WEFT_PAGE, 0, &self->host));
	ASSERT_EQ(0, weft_map(self->w.fd, self->w.context, self->secret.handle, 0, SECRET, self->secret.size));
	ASSERT_EQ(0, weft_map(self->w.fd, self->w.context, self->host.handle, 0, RESULT, self->host.size));
	memset(self->secret.memory, VALUE, self->secret.size);
}

FIXTURE_TEARDOWN(isolation)
{
	weft_teardown(&self->w);
}

/* The parent's things are as they were, and its context works. */
static bool intact(FIXTURE_DATA(isolation) * self)
{
	volatile char *host = self->host.memory;

	memset(self->host.memory, 0, self->host.size);
	self->stream.used = 0;
	weft_copy(&self->stream, WEFT_ENGINE_DMA_OUT, SECRET, RESULT, self->secret.size);
	return !weft_run(&self->w, &self->stream) && host[0] == VALUE && host[self->secret.size - 1] == VALUE;
}

/* Run @child in another process, with a file of its own.  Its result is 0 or a line number. */
static int other_process(FIXTURE_DATA(isolation) * self, int (*child)(FIXTURE_DATA(isolation) *, struct weft *))
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		struct weft w;
		int inherited = self->w.fd;

		/* As a stranger: only guesses are left. */
		munmap(self->secret.memory, self->secret.size);
		close(inherited);
		_exit(weft_setup(&w) ? 250 : child(self, &w));
	}
	return waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : 251;
}

#define CHECK(condition)                        \
	do {                                    \
		if (!(condition))               \
			return __LINE__ & 0x7f; \
	} while (0)

static int guess_handles(FIXTURE_DATA(isolation) * self, struct weft *w)
{
	for (uint32_t handle = 0; handle < 256; handle++) {
		struct drm_weft_bo_info info = {.handle = handle};
		int dmabuf;

		CHECK(weft_ioctl(w->fd, DRM_IOCTL_WEFT_BO_INFO, &info) == ENOENT);
		CHECK(weft_map(w->fd, w->context, handle, 0, SECRET, WEFT_PAGE) == ENOENT);
		CHECK(weft_export(w->fd, handle, &dmabuf) == ENOENT);
		CHECK(weft_close_handle(w->fd, handle) == EINVAL);
	}
	(void)self;
	return 0;
}

TEST_F(isolation, guessed_handles)
{
	EXPECT_EQ(0, other_process(self, guess_handles));
	EXPECT_TRUE(intact(self));
}

static int guess_numbers(FIXTURE_DATA(isolation) * self, struct weft *w)
{
	struct weft_stream nothing = {0};

	for (uint32_t id = 0; id < 256; id++) {
		struct drm_weft_context_info context;
		struct drm_weft_queue_info queue;

		if (id != w->context) {
			CHECK(weft_query(w->fd, DRM_WEFT_QUERY_CONTEXT, id, &context, sizeof(context)) == ENOENT);
			CHECK(weft_unmap(w->fd, id, SECRET, WEFT_PAGE) == ENOENT);
			CHECK(weft_context_recover(w->fd, id) == ENOENT);
			CHECK(weft_context_free(w->fd, id) == ENOENT);
		}
		if (id != w->queue) {
			CHECK(weft_query(w->fd, DRM_WEFT_QUERY_QUEUE, id, &queue, sizeof(queue)) == ENOENT);
			CHECK(weft_submit_syncs(w->fd, id, &nothing, NULL, 0, NULL) == ENOENT);
			CHECK(weft_queue_free(w->fd, id) == ENOENT);
		}
		if (id != w->timeline)
			CHECK(weft_syncobj_signal(w->fd, id, 1) == ENOENT);
	}
	(void)self;
	return 0;
}

TEST_F(isolation, guessed_contexts_queues_and_syncobjs)
{
	/* More than the other has, so that its own are not the only ones. */
	uint32_t id;

	for (int i = 0; i < 4; i++) {
		ASSERT_EQ(0, weft_context_new(self->w.fd, 0, 0, &id));
		ASSERT_EQ(0, weft_queue_new(self->w.fd, id, &id));
	}
	EXPECT_EQ(0, other_process(self, guess_numbers));
	EXPECT_TRUE(intact(self));
}

static int guess_offsets(FIXTURE_DATA(isolation) * self, struct weft *w)
{
	CHECK(mmap(NULL, WEFT_PAGE, PROT_READ, MAP_SHARED, w->fd, self->secret.offset) == MAP_FAILED);
	CHECK(mmap(NULL, WEFT_PAGE, PROT_READ, MAP_SHARED, w->fd, self->host.offset) == MAP_FAILED);
	/* Objects lie close to one another: all offsets around. */
	for (uint64_t i = 0; i < 1024; i++) {
		uint64_t offset = (self->secret.offset & ~0xfffffull) + i * WEFT_PAGE;

		CHECK(mmap(NULL, WEFT_PAGE, PROT_READ, MAP_SHARED, w->fd, offset) == MAP_FAILED);
	}
	return 0;
}

TEST_F(isolation, guessed_mmap_offsets)
{
	EXPECT_EQ(0, other_process(self, guess_offsets));
	EXPECT_TRUE(intact(self));
}

/* Read and write at an address that only the other context has mapped. */
static int use_address(struct weft *w, uint64_t address, enum weft_engine engine, bool write)
{
	struct weft_stream stream;
	struct drm_weft_queue_info info;
	struct weft_bo host, device;

	CHECK(!weft_stream_new(w, 1 << 14, STREAM, &stream));
	CHECK(!weft_bo_new_mapped(w->fd, WEFT_PAGE, 0, &host));
	CHECK(!weft_bo_new(w->fd, WEFT_PAGE, DRM_WEFT_BO_DEVICE, &device));
	CHECK(!weft_map(w->fd, w->context, host.handle, 0, MINE, WEFT_PAGE));
	CHECK(!weft_map(w->fd, w->context, device.handle, 0, 2 * MINE, WEFT_PAGE));
	if (engine == WEFT_ENGINE_COMPUTE && write)
		weft_copy(&stream, engine, 2 * MINE, address, WEFT_PAGE);
	else if (engine == WEFT_ENGINE_COMPUTE)
		weft_copy(&stream, engine, address, 2 * MINE, WEFT_PAGE);
	else if (write)
		weft_copy(&stream, WEFT_ENGINE_DMA_IN, MINE, address, WEFT_PAGE);
	else
		weft_copy(&stream, WEFT_ENGINE_DMA_OUT, address, MINE, WEFT_PAGE);
	CHECK(weft_run(w, &stream) == EIO);
	CHECK(!weft_query(w->fd, DRM_WEFT_QUERY_QUEUE, w->queue, &info, sizeof(info)));
	CHECK(info.fault.reason == WEFT_FAULT_UNMAPPED);
	for (size_t i = 0; i < WEFT_PAGE; i++)
		CHECK(!((volatile char *)host.memory)[i]);
	CHECK(!weft_context_recover(w->fd, w->context));
	CHECK(!weft_unmap(w->fd, w->context, WEFT_PAGE, WEFT_SPACE - WEFT_PAGE));
	weft_bo_free(w->fd, &host);
	weft_bo_free(w->fd, &device);
	weft_stream_free(w, &stream);
	return 0;
}

static int use_addresses(FIXTURE_DATA(isolation) * self, struct weft *w)
{
	int line = 0;

	(void)self;
	for (int write = 0; !line && write < 2; write++) {
		line = use_address(w, SECRET, WEFT_ENGINE_COMPUTE, write);
		if (!line)
			line = use_address(w, SECRET, WEFT_ENGINE_DMA_OUT, write);
	}
	return line;
}

TEST_F(isolation, addresses_of_another_process_fault)
{
	EXPECT_EQ(0, other_process(self, use_addresses));
	EXPECT_TRUE(intact(self));
}

TEST_F(isolation, addresses_of_another_context_fault)
{
	struct weft other = self->w;

	ASSERT_EQ(0, weft_context_new(self->w.fd, 0, 0, &other.context));
	ASSERT_EQ(0, weft_queue_new(self->w.fd, other.context, &other.queue));
	ASSERT_EQ(0, weft_syncobj_new(self->w.fd, &other.timeline));
	other.point = 0;
	EXPECT_EQ(0, use_addresses(self, &other));
	EXPECT_TRUE(intact(self));
}

/* What the page tables of an ended process led to does not show in a new one. */
static int look_around(FIXTURE_DATA(isolation) * self, struct weft *w)
{
	(void)self;
	for (int i = 0; i < 4; i++) {
		struct weft_bo bo;

		CHECK(!weft_bo_new_mapped(w->fd, 1 << 20, DRM_WEFT_BO_DEVICE, &bo));
		for (size_t at = 0; at < bo.size; at++)
			CHECK(!((volatile char *)bo.memory)[at]);
	}
	return 0;
}

TEST_F(isolation, memory_of_an_ended_process_is_cleared)
{
	struct weft_bo bo;
	struct weft w;

	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(0, weft_setup(&w));
		for (int piece = 0; piece < 8; piece++) {
			ASSERT_EQ(0, weft_bo_new_mapped(w.fd, 1 << 20, DRM_WEFT_BO_DEVICE, &bo));
			memset(bo.memory, 0xa5, bo.size);
			weft_bo_unmap(&bo);
		}
		weft_teardown(&w);
		EXPECT_EQ(0, other_process(self, look_around));
	}
}

/* A context that faults again and again beside one that works. */
static int fault_often(FIXTURE_DATA(isolation) * self, struct weft *w)
{
	struct weft_stream stream;

	(void)self;
	CHECK(!weft_stream_new(w, 1 << 14, STREAM, &stream));
	weft_fill(&stream, SECRET, 64, 1);
	for (int i = 0; i < 100; i++) {
		CHECK(weft_run(w, &stream) == EIO);
		CHECK(!weft_context_recover(w->fd, w->context));
	}
	return 0;
}

TEST_F(isolation, faults_of_another_process)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		struct weft w;

		_exit(weft_setup(&w) ? 250 : fault_often(self, &w));
	}
	do {
		ASSERT_TRUE(intact(self));
	} while (!waitpid(pid, &status, WNOHANG));
	EXPECT_EQ(0, status);
	EXPECT_TRUE(intact(self));
}

/* A process that is killed while its jobs run takes nothing with it. */
TEST_F(isolation, killed_process)
{
	for (int i = 0; i < 10; i++) {
		int status, ready[2];
		char byte;
		pid_t pid;

		ASSERT_EQ(0, pipe(ready));
		pid = fork();
		if (!pid) {
			struct weft_bo matrices;
			struct weft_stream stream;
			struct weft w;

			if (weft_setup(&w) || weft_stream_new(&w, 1 << 18, STREAM, &stream) ||
			    weft_bo_new(w.fd, 3 << 20, DRM_WEFT_BO_DEVICE, &matrices) ||
			    weft_map(w.fd, w.context, matrices.handle, 0, MINE, matrices.size))
				_exit(1);
			for (int k = 0; k < 100; k++)
				weft_matmul(&stream, MINE, MINE + (1 << 20), MINE + (2 << 20), 512);
			for (int k = 0; k < 8; k++)
				weft_submit(&w, &stream);
			if (write(ready[1], "", 1) != 1)
				_exit(1);
			pause();
		}
		ASSERT_EQ(1, read(ready[0], &byte, 1));
		usleep(i * 3000);
		kill(pid, SIGKILL);
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
		EXPECT_TRUE(WIFSIGNALED(status));
		EXPECT_TRUE(intact(self));
		close(ready[0]);
		close(ready[1]);
	}
}

TEST_HARNESS_MAIN
