// SPDX-License-Identifier: MIT
/* /proc/PID/fdinfo: memory and engine time of a client, also while it works. */
#include "kselftest_harness.h"
#include "weft_test.h"

#include <fcntl.h>
#include <signal.h>
#include <time.h>

#define STREAM (1ull << 20)
#define HOST (2ull << 20)
#define AT (1ull << 30)
#define MATRIX (512 * 512 * 4ull)

FIXTURE(fdinfo)
{
	struct weft w;
	struct weft_stream stream;
	struct weft_bo matrices, host;
};

FIXTURE_SETUP(fdinfo)
{
	if (!weft_node())
		SKIP(return, "no Weft node");
	ASSERT_EQ(0, weft_setup(&self->w));
	ASSERT_EQ(0, weft_stream_new(&self->w, 1 << 17, STREAM, &self->stream));
	ASSERT_EQ(0, weft_bo_new(self->w.fd, 3 * MATRIX, DRM_WEFT_BO_DEVICE, &self->matrices));
	ASSERT_EQ(0, weft_bo_new(self->w.fd, 1 << 20, 0, &self->host));
	ASSERT_EQ(0, weft_map(self->w.fd, self->w.context, self->matrices.handle, 0, AT, 3 * MATRIX));
	ASSERT_EQ(0, weft_map(self->w.fd, self->w.context, self->host.handle, 0, HOST, self->host.size));
}

FIXTURE_TEARDOWN(fdinfo)
{
	weft_teardown(&self->w);
}

static bool text_of(int fd, char *text, size_t size)
{
	char path[64];
	ssize_t length;
	int info;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	info = open(path, O_RDONLY | O_CLOEXEC);
	if (info < 0)
		return false;
	length = read(info, text, size - 1);
	close(info);
	text[length > 0 ? length : 0] = 0;
	return length > 0;
}

/* The number after a key, with its unit; -1 if the key is not there. */
static long long number(int fd, const char *key, const char *unit)
{
	char text[8192], wanted[64], found[16] = "";
	long long value;
	const char *line;

	snprintf(wanted, sizeof(wanted), "\n%s:\t", key);
	if (!text_of(fd, text, sizeof(text)))
		return -1;
	line = strstr(text, wanted);
	if (!line || sscanf(line + strlen(wanted), "%lld %15s", &value, found) < 1)
		return -1;
	return strncmp(found, unit, strlen(unit)) ? -1 : value;
}

static const char *const engines[] = {"drm-engine-compute", "drm-engine-dma-in", "drm-engine-dma-out"};

TEST_F(fdinfo, says_what_it_is)
{
	char text[8192], pci[64];

	ASSERT_TRUE(text_of(self->w.fd, text, sizeof(text)));
	EXPECT_NE(NULL, strstr(text, "\ndrm-driver:\tweft\n"));
	snprintf(pci, sizeof(pci), "\ndrm-pdev:\t%s\n", weft_pci());
	EXPECT_NE(NULL, strstr(text, pci))
	{
		TH_LOG("%s", text);
	}
	EXPECT_GE(number(self->w.fd, "drm-client-id", ""), 1);
}

TEST_F(fdinfo, clients_are_told_apart)
{
	int other = weft_open();

	ASSERT_GE(other, 0);
	EXPECT_NE(number(self->w.fd, "drm-client-id", ""), number(other, "drm-client-id", ""));
	EXPECT_EQ(0, number(other, "drm-total-device", "KiB"));
	EXPECT_EQ(0, number(other, "drm-total-host", "KiB"));
	EXPECT_EQ(0, number(other, "drm-engine-compute", "ns"));
	close(other);
}

TEST_F(fdinfo, memory)
{
	long long device = number(self->w.fd, "drm-total-device", "KiB");
	long long host = number(self->w.fd, "drm-total-host", "KiB");
	struct weft_bo more, still;

	EXPECT_EQ(3 * MATRIX >> 10, device);
	EXPECT_EQ(((1 << 20) + (1 << 17)) >> 10, host);
	ASSERT_EQ(0, weft_bo_new(self->w.fd, 5 * WEFT_PAGE, DRM_WEFT_BO_DEVICE, &more));
	ASSERT_EQ(0, weft_bo_new(self->w.fd, 7 * WEFT_PAGE, 0, &still));
	EXPECT_EQ(device + 20, number(self->w.fd, "drm-total-device", "KiB"));
	EXPECT_EQ(device + 20, number(self->w.fd, "drm-resident-device", "KiB"));
	EXPECT_EQ(host + 28, number(self->w.fd, "drm-total-host", "KiB"));
	weft_bo_free(self->w.fd, &more);
	weft_bo_free(self->w.fd, &still);
	EXPECT_EQ(device, number(self->w.fd, "drm-total-device", "KiB"));
	EXPECT_EQ(host, number(self->w.fd, "drm-total-host", "KiB"));
}

static long long now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000ll + now.tv_nsec;
}

/* Each engine's time is of the engine that worked, never goes back, and is never more than what passed. */
TEST_F(fdinfo, engine_time_under_load)
{
	long long busy[WEFT_ENGINES], before[WEFT_ENGINES], start = now_ns(), elapsed;

	for (int i = 0; i < WEFT_ENGINES; i++)
		before[i] = 0;
	for (int i = 0; i < 10; i++)
		weft_matmul(&self->stream, AT, AT + MATRIX, AT + 2 * MATRIX, 512);
	for (int i = 0; i < 20; i++)
		ASSERT_EQ(0, weft_submit(&self->w, &self->stream));
	while (weft_wait(self->w.fd, self->w.timeline, self->w.point, -1) == ETIME) {
		for (int i = 0; i < WEFT_ENGINES; i++) {
			busy[i] = number(self->w.fd, engines[i], "ns");
			elapsed = now_ns() - start;
			ASSERT_GE(busy[i], before[i]);
			ASSERT_LE(busy[i], elapsed);
			before[i] = busy[i];
		}
	}
	EXPECT_GT(number(self->w.fd, engines[WEFT_ENGINE_COMPUTE], "ns"), 0);
	EXPECT_EQ(0, number(self->w.fd, engines[WEFT_ENGINE_DMA_IN], "ns"));
	EXPECT_EQ(0, number(self->w.fd, engines[WEFT_ENGINE_DMA_OUT], "ns"));
	EXPECT_EQ(20, number(self->w.fd, "weft-jobs", ""));
	EXPECT_EQ(200, number(self->w.fd, "weft-commands", ""));
	EXPECT_GT(number(self->w.fd, "weft-energy", "pJ"), 0);
}

TEST_F(fdinfo, each_engine)
{
	weft_copy(&self->stream, WEFT_ENGINE_DMA_IN, HOST, AT, 1 << 20);
	ASSERT_EQ(0, weft_run(&self->w, &self->stream));
	EXPECT_GT(number(self->w.fd, engines[WEFT_ENGINE_DMA_IN], "ns"), 0);
	EXPECT_EQ(0, number(self->w.fd, engines[WEFT_ENGINE_DMA_OUT], "ns"));
	self->stream.used = 0;
	weft_copy(&self->stream, WEFT_ENGINE_DMA_OUT, AT, HOST, 1 << 20);
	ASSERT_EQ(0, weft_run(&self->w, &self->stream));
	EXPECT_GT(number(self->w.fd, engines[WEFT_ENGINE_DMA_OUT], "ns"), 0);
	EXPECT_EQ(0, number(self->w.fd, engines[WEFT_ENGINE_COMPUTE], "ns"));
}

/* Read by others while clients come, work and go. */
TEST_F(fdinfo, while_clients_come_and_go)
{
	pid_t reader = fork();
	int status;

	if (!reader) {
		char path[64], text[8192];

		for (;;) {
			for (int fd = 0; fd < 16; fd++) {
				int info;

				snprintf(path, sizeof(path), "/proc/%d/fdinfo/%d", getppid(), fd);
				info = open(path, O_RDONLY | O_CLOEXEC);
				if (info < 0)
					continue;
				if (read(info, text, sizeof(text)) < 0 && errno != ENOENT)
					_exit(1);
				close(info);
			}
		}
	}
	for (int i = 0; i < 100; i++) {
		struct weft_bo bo;
		struct weft w;

		ASSERT_EQ(0, weft_setup(&w));
		ASSERT_EQ(0, weft_bo_new(w.fd, WEFT_PAGE, DRM_WEFT_BO_DEVICE, &bo));
		weft_teardown(&w);
	}
	kill(reader, SIGKILL);
	ASSERT_EQ(reader, waitpid(reader, &status, 0));
	EXPECT_TRUE(WIFSIGNALED(status));
}

TEST_HARNESS_MAIN
