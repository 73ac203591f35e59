// SPDX-License-Identifier: MIT
/*
 * System sleep, by the kernel's own test of it (/sys/power/pm_test), which suspends and
 * resumes every device: memory, contexts and mappings are as before, and work goes on.
 */
#include "kselftest_harness.h"
#include "weft_test.h"

#include <fcntl.h>
#include <glob.h>

FIXTURE(suspend)
{
	struct weft_load load;
};

FIXTURE_SETUP(suspend)
{
	if (!weft_node())
		SKIP(return, "no Weft node");
	if (access("/sys/power/pm_test", W_OK))
		SKIP(return, "not root, or a kernel without CONFIG_PM_DEBUG");
	/* A second is enough for what comes late to show. */
	weft_write_file("/sys/module/suspend/parameters/pm_test_delay", "1");
	ASSERT_EQ(0, weft_load_setup(&self->load));
}

FIXTURE_TEARDOWN(suspend)
{
	weft_teardown(&self->load.w);
	weft_write_file("/sys/power/pm_test", "none");
}

static int sleep_as(const char *state)
{
	int error = weft_write_file("/sys/power/pm_test", "devices");

	return error ?: weft_write_file("/sys/power/state", state);
}

static int sleep_once(void)
{
	return sleep_as("freeze");
}

TEST_F(suspend, memory_and_contexts_stay)
{
	for (int round = 1; round <= 2; round++) {
		memset(self->load.matrices.memory, 0x20 + round, WEFT_PAGE);
		ASSERT_EQ(0, sleep_once());
		EXPECT_EQ(0x20 + round, *(volatile char *)self->load.matrices.memory);
		ASSERT_EQ(0, weft_run(&self->load.w, &self->load.copy));
		EXPECT_EQ(0x20 + round, *(volatile char *)self->load.result.memory);
	}
}

/* Where power may go, the driver saves device memory; it is told to lose it on purpose. */
TEST_F(suspend, memory_is_saved)
{
	volatile unsigned char *memory = self->load.matrices.memory;
	glob_t found;
	int error;

	if (glob("/sys/kernel/debug/accel/*/lose_memory", 0, NULL, &found))
		SKIP(return, "no debugfs");
	error = weft_write_file(found.gl_pathv[0], "Y");
	if (!error)
		for (size_t at = 0; at < 3 * WEFT_LOAD_MATRIX; at += WEFT_PAGE)
			memory[at] = (unsigned char)(at / WEFT_PAGE * 7 + 1);
	error = error ?: sleep_as("mem");
	weft_write_file(found.gl_pathv[0], "N");
	globfree(&found);
	if (error == EINVAL)
		SKIP(return, "the system only idles");
	ASSERT_EQ(0, error);
	for (size_t at = 0; at < 3 * WEFT_LOAD_MATRIX; at += WEFT_PAGE)
		ASSERT_EQ((unsigned char)(at / WEFT_PAGE * 7 + 1), memory[at]);
	memory[0] = 0x5b;
	ASSERT_EQ(0, weft_run(&self->load.w, &self->load.copy));
	EXPECT_EQ(0x5b, *(volatile char *)self->load.result.memory);
}

/* What was running is finished first or afterwards, once; nothing is blamed. */
TEST_F(suspend, under_jobs)
{
	for (int i = 0; i < 8; i++)
		ASSERT_EQ(0, weft_submit(&self->load.w, &self->load.busy));
	ASSERT_EQ(0, sleep_once());
	ASSERT_EQ(0, weft_wait(self->load.w.fd, self->load.w.timeline, self->load.w.point, WEFT_PATIENCE_S));
	EXPECT_EQ(0, weft_failed(self->load.w.fd, self->load.w.queue));
	ASSERT_EQ(0, weft_run(&self->load.w, &self->load.copy));
}

TEST_HARNESS_MAIN
