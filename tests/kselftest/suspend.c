// SPDX-License-Identifier: MIT
/*
 * System sleep, by the kernel's own test of it (/sys/power/pm_test), which suspends and
 * resumes every device: memory, contexts and mappings are as before, and work goes on.
 */
#include "kselftest_harness.h"
#include "weft_test.h"

#include <fcntl.h>
#include <glob.h>

#define STREAM (1ull << 20)
#define RESULT (2ull << 20)
#define AT (1ull << 30)
#define MATRIX (512 * 512 * 4ull)

FIXTURE(suspend)
{
	struct weft w;
	struct weft_stream busy, copy;
	struct weft_bo matrices, result;
};

static int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), error = 0;

	if (fd < 0)
		return errno;
	if (write(fd, text, strlen(text)) < 0)
		error = errno;
	close(fd);
	return error;
}

FIXTURE_SETUP(suspend)
{
	if (!weft_node())
		SKIP(return, "no Weft node");
	if (access("/sys/power/pm_test", W_OK))
		SKIP(return, "not root, or a kernel without CONFIG_PM_DEBUG");
	/* A second is enough for what comes late to show. */
	write_file("/sys/module/suspend/parameters/pm_test_delay", "1");
	ASSERT_EQ(0, weft_setup(&self->w));
	ASSERT_EQ(0, weft_stream_new(&self->w, 1 << 18, STREAM, &self->busy));
	ASSERT_EQ(0, weft_stream_new(&self->w, WEFT_PAGE, STREAM + (1 << 19), &self->copy));
	ASSERT_EQ(0, weft_bo_new_mapped(self->w.fd, 3 * MATRIX, DRM_WEFT_BO_DEVICE, &self->matrices));
	ASSERT_EQ(0, weft_bo_new_mapped(self->w.fd, WEFT_PAGE, 0, &self->result));
	ASSERT_EQ(0, weft_map(self->w.fd, self->w.context, self->matrices.handle, 0, AT, 3 * MATRIX));
	ASSERT_EQ(0, weft_map(self->w.fd, self->w.context, self->result.handle, 0, RESULT, WEFT_PAGE));
	for (int i = 0; i < 50; i++)
		weft_matmul(&self->busy, AT, AT + MATRIX, AT + 2 * MATRIX, 512);
	weft_copy(&self->copy, WEFT_ENGINE_DMA_OUT, AT, RESULT, WEFT_PAGE);
}

FIXTURE_TEARDOWN(suspend)
{
	weft_teardown(&self->w);
	write_file("/sys/power/pm_test", "none");
}

static int sleep_as(const char *state)
{
	int error = write_file("/sys/power/pm_test", "devices");

	return error ?: write_file("/sys/power/state", state);
}

static int sleep_once(void)
{
	return sleep_as("freeze");
}

TEST_F(suspend, memory_and_contexts_stay)
{
	for (int round = 1; round <= 2; round++) {
		memset(self->matrices.memory, 0x20 + round, WEFT_PAGE);
		ASSERT_EQ(0, sleep_once());
		EXPECT_EQ(0x20 + round, *(volatile char *)self->matrices.memory);
		ASSERT_EQ(0, weft_run(&self->w, &self->copy));
		EXPECT_EQ(0x20 + round, *(volatile char *)self->result.memory);
	}
}

/* Where power may go, the driver saves device memory; it is told to lose it on purpose. */
TEST_F(suspend, memory_is_saved)
{
	volatile unsigned char *memory = self->matrices.memory;
	glob_t found;
	int error;

	if (glob("/sys/kernel/debug/accel/*/lose_memory", 0, NULL, &found))
		SKIP(return, "no debugfs");
	error = write_file(found.gl_pathv[0], "Y");
	if (!error)
		for (size_t at = 0; at < 3 * MATRIX; at += WEFT_PAGE)
			memory[at] = (unsigned char)(at / WEFT_PAGE * 7 + 1);
	error = error ?: sleep_as("mem");
	write_file(found.gl_pathv[0], "N");
	globfree(&found);
	if (error == EINVAL)
		SKIP(return, "the system only idles");
	ASSERT_EQ(0, error);
	for (size_t at = 0; at < 3 * MATRIX; at += WEFT_PAGE)
		ASSERT_EQ((unsigned char)(at / WEFT_PAGE * 7 + 1), memory[at]);
	memory[0] = 0x5b;
	ASSERT_EQ(0, weft_run(&self->w, &self->copy));
	EXPECT_EQ(0x5b, *(volatile char *)self->result.memory);
}

/* What was running is finished first or afterwards, once; nothing is blamed. */
TEST_F(suspend, under_jobs)
{
	for (int i = 0; i < 8; i++)
		ASSERT_EQ(0, weft_submit(&self->w, &self->busy));
	ASSERT_EQ(0, sleep_once());
	ASSERT_EQ(0, weft_wait(self->w.fd, self->w.timeline, self->w.point, WEFT_PATIENCE_S));
	EXPECT_EQ(0, weft_failed(self->w.fd, self->w.queue));
	ASSERT_EQ(0, weft_run(&self->w, &self->copy));
}

TEST_HARNESS_MAIN
