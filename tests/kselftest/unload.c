// SPDX-License-Identifier: MIT
/*
 * What outlives the files of the driver keeps the module loaded, as its code runs still:
 * fences that somebody has in a file, and jobs that wait for another driver.
 */
#include "kselftest_harness.h"
#include "weft_test.h"

#include <fcntl.h>
#include <linux/dma-buf.h>
#include <sys/ioctl.h>

#include <drm.h>
#include <drm_mode.h>
#include <drm/vgem_drm.h>

FIXTURE(unload)
{
	struct weft w;
	long before; /* references to the module, when no file is open */
};

/* -1: not a module. */
static long references(void)
{
	char text[32] = "";
	int fd = open("/sys/module/weft/refcnt", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -1;
	if (read(fd, text, sizeof(text) - 1) < 0)
		text[0] = 0;
	close(fd);
	return text[0] ? atol(text) : -1;
}

/* Nothing is left in the driver but, perhaps, the fence of a job that has ended. */
static bool no_jobs(void)
{
	char text[256];

	return !weft_debugfs("objects", text, sizeof(text)) || strstr(text, "jobs 0\n");
}

static bool soon(bool (*condition)(void))
{
	for (int i = 0; i < 100 && !condition(); i++)
		usleep(100000);
	return condition();
}

static long wanted;

static bool references_as_wanted(void)
{
	return references() == wanted;
}

FIXTURE_SETUP(unload)
{
	if (!weft_node())
		SKIP(return, "no Weft node");
	/* What tests before this one have closed may take a moment. */
	wanted = 0;
	soon(references_as_wanted);
	self->before = references();
	if (self->before < 0)
		SKIP(return, "the driver is no module");
	ASSERT_EQ(0, weft_setup(&self->w));
}

FIXTURE_TEARDOWN(unload)
{
	weft_teardown(&self->w);
}

TEST_F(unload, held_by_a_fence_in_a_file)
{
	struct drm_weft_sync sync = {.flags = DRM_WEFT_SYNC_SIGNAL};
	struct drm_syncobj_handle export = {.flags = DRM_SYNCOBJ_HANDLE_TO_FD_FLAGS_EXPORT_SYNC_FILE};

	ASSERT_EQ(0, weft_syncobj_new(self->w.fd, &sync.handle));
	ASSERT_EQ(0, weft_submit_syncs(self->w.fd, self->w.queue, &(struct weft_stream){0}, &sync, 1, NULL));
	ASSERT_EQ(0, weft_wait(self->w.fd, sync.handle, 0, WEFT_PATIENCE_S));
	export.handle = sync.handle;
	ASSERT_EQ(0, weft_ioctl(self->w.fd, DRM_IOCTL_SYNCOBJ_HANDLE_TO_FD, &export));
	weft_teardown(&self->w);
	EXPECT_TRUE(soon(no_jobs));
	usleep(200000);
	EXPECT_LT(self->before, references());
	close(export.fd);
	wanted = self->before;
	EXPECT_TRUE(soon(references_as_wanted));
}

/* A node of the kernel's vgem, whose fences signal when they are told to; -1 if there is none. */
static int open_vgem(void)
{
	for (int i = 0; i < 16; i++) {
		char path[32], name[8] = "";
		struct drm_version version = {.name = name, .name_len = sizeof(name) - 1};
		int fd;

		snprintf(path, sizeof(path), "/dev/dri/card%d", i);
		fd = open(path, O_RDWR | O_CLOEXEC);
		if (fd >= 0 && !weft_ioctl(fd, DRM_IOCTL_VERSION, &version) && !strcmp(name, "vgem"))
			return fd;
		close(fd);
	}
	return -1;
}

/* A file with a fence of vgem; *fence signals it. */
static int foreign_fence(int vgem, uint32_t *fence)
{
	struct drm_mode_create_dumb dumb = {.width = 64, .height = 64, .bpp = 32};
	struct drm_prime_handle prime = {.flags = DRM_CLOEXEC, .fd = -1};
	struct drm_vgem_fence_attach attach = {.flags = VGEM_FENCE_WRITE};
	struct dma_buf_export_sync_file export = {.flags = DMA_BUF_SYNC_READ, .fd = -1};

	if (weft_ioctl(vgem, DRM_IOCTL_MODE_CREATE_DUMB, &dumb))
		return -1;
	attach.handle = prime.handle = dumb.handle;
	if (weft_ioctl(vgem, DRM_IOCTL_VGEM_FENCE_ATTACH, &attach) ||
	    weft_ioctl(vgem, DRM_IOCTL_PRIME_HANDLE_TO_FD, &prime))
		return -1;
	*fence = attach.out_fence;
	weft_ioctl(prime.fd, DMA_BUF_IOCTL_EXPORT_SYNC_FILE, &export);
	close(prime.fd);
	return export.fd;
}

TEST_F(unload, held_by_a_job_that_waits_for_another_driver)
{
	struct drm_syncobj_handle import = {.flags = DRM_SYNCOBJ_FD_TO_HANDLE_FLAGS_IMPORT_SYNC_FILE};
	struct drm_vgem_fence_signal signal = {0};
	struct drm_weft_sync wait = {0};
	int vgem = open_vgem();

	if (vgem < 0)
		SKIP(return, "no vgem");
	ASSERT_EQ(0, weft_syncobj_new(self->w.fd, &wait.handle));
	import.handle = wait.handle;
	import.fd = foreign_fence(vgem, &signal.fence);
	ASSERT_LE(0, import.fd);
	ASSERT_EQ(0, weft_ioctl(self->w.fd, DRM_IOCTL_SYNCOBJ_FD_TO_HANDLE, &import));
	close(import.fd);
	for (int i = 0; i < 3; i++)
		ASSERT_EQ(0, weft_submit_syncs(self->w.fd, self->w.queue, &(struct weft_stream){0}, &wait, 1, NULL));
	weft_teardown(&self->w);
	usleep(200000);
	EXPECT_FALSE(no_jobs());
	EXPECT_LT(self->before, references());
	/* The fence may have given up by itself on a slow machine: then there is nothing to signal. */
	weft_ioctl(vgem, DRM_IOCTL_VGEM_FENCE_SIGNAL, &signal);
	close(vgem);
	EXPECT_TRUE(soon(no_jobs));
	wanted = self->before;
	EXPECT_TRUE(soon(references_as_wanted));
}

TEST_HARNESS_MAIN
