// SPDX-License-Identifier: MIT
/* Tracepoints: a job, a bind and a fault can be followed from user space to the device and back. */
#include "kselftest_harness.h"
#include "weft_test.h"

#include <fcntl.h>
#include <sys/stat.h>

#define TRACING "/sys/kernel/tracing/instances/weft-test"
#define STREAM (1ull << 20)
#define NOWHERE (1ull << 36)

FIXTURE(trace)
{
	struct weft w;
	struct weft_stream stream;
	char *text;
};

FIXTURE_SETUP(trace)
{
	if (!weft_node())
		SKIP(return, "no Weft node");
	if (access("/sys/kernel/tracing/events/weft", F_OK))
		SKIP(return, "not root, or no tracefs");
	mkdir(TRACING, 0700);
	ASSERT_EQ(0, weft_write_file(TRACING "/events/weft/enable", "1"));
	ASSERT_EQ(0, weft_setup(&self->w));
	ASSERT_EQ(0, weft_stream_new(&self->w, WEFT_PAGE, STREAM, &self->stream));
	self->text = calloc(1, 1 << 16);
	ASSERT_NE(NULL, self->text);
}

FIXTURE_TEARDOWN(trace)
{
	weft_teardown(&self->w);
	free(self->text);
	rmdir(TRACING);
}

/* The buffer's text, from the start. */
static bool read_trace(FIXTURE_DATA(trace) * self)
{
	int fd = open(TRACING "/trace", O_RDONLY | O_CLOEXEC);
	ssize_t used = 0, got = 1;

	if (fd < 0)
		return false;
	while (got > 0 && used < (1 << 16) - 1) {
		got = read(fd, self->text + used, (1 << 16) - 1 - used);
		used += got > 0 ? got : 0;
	}
	self->text[used] = '\0';
	close(fd);
	return used > 0;
}

/* What an event says of a field in its first line after @from; -1: there is no such event. */
static long long field_of(const char *from, const char *event, const char *field)
{
	const char *line = from ? strstr(from, event) : NULL, *end = line ? strchr(line, '\n') : NULL;
	const char *found = line ? strstr(line, field) : NULL;

	return found && end && found < end ? strtoll(found + strlen(field), NULL, 0) : -1;
}

TEST_F(trace, a_job)
{
	char fence[64];

	weft_nop(&self->stream, WEFT_ENGINE_COMPUTE);
	ASSERT_EQ(0, weft_run(&self->w, &self->stream));
	ASSERT_TRUE(read_trace(self));
	/* In this order, with one fence. */
	snprintf(fence, sizeof(fence), "fence=%lld:1", field_of(self->text, "weft_job_submit:", "fence="));
	EXPECT_NE(NULL, strstr(self->text, fence));
	EXPECT_LT(strstr(self->text, "weft_job_submit:"), strstr(self->text, "weft_job_run:"));
	EXPECT_LT(strstr(self->text, "weft_job_run:"), strstr(self->text, "weft_job_end:"));
	EXPECT_NE(NULL, strstr(strstr(self->text, "weft_job_end:") ?: "", fence));
	EXPECT_EQ(self->stream.used, field_of(self->text, "weft_job_run:", "value="));
	EXPECT_EQ(0, field_of(self->text, "weft_job_end:", "value="));
}

TEST_F(trace, a_bind)
{
	ASSERT_TRUE(read_trace(self));
	EXPECT_EQ(STREAM, field_of(self->text, "weft_bind:", "map address="));
	EXPECT_EQ(WEFT_PAGE, field_of(self->text, "weft_bind:", "range="));
}

TEST_F(trace, a_fault)
{
	weft_fill(&self->stream, NOWHERE, 64, 1);
	ASSERT_EQ(EIO, weft_run(&self->w, &self->stream));
	ASSERT_TRUE(read_trace(self));
	EXPECT_EQ(NOWHERE, field_of(self->text, "weft_fault:", "address="));
	EXPECT_EQ(0, field_of(self->text, "weft_fault:", "command="));
	EXPECT_GT(field_of(self->text, "weft_fault:", "reason="), 0);
	EXPECT_EQ(-EIO, field_of(self->text, "weft_job_end:", "value="));
}

TEST_HARNESS_MAIN
