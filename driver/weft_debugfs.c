// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: debugfs
 *
 * /sys/kernel/debug/accel/<device>/: what there is (objects, bos, contexts, memory, ring),
 * and doors for tests (reset, lose_memory).  For people: nothing here is stable.
 */
#include <linux/debugfs.h>
#include <linux/io-64-nonatomic-lo-hi.h>
#include <linux/seq_file.h>

#include <drm/drm_debugfs.h>
#include <drm/drm_drv.h>
#include <drm/drm_file.h>
#include <drm/drm_print.h>

#include "weft_bo.h"
#include "weft_client.h"
#include "weft_context.h"
#include "weft_debugfs.h"
#include "weft_device.h"
#include "weft_pm.h"
#include "weft_reset.h"

static struct weft_device *seq_device(struct seq_file *file)
{
	struct drm_debugfs_entry *entry = file->private;

	return to_weft_device(entry->dev);
}

/* Live objects: all zero once every file is closed. */
static int show_objects(struct seq_file *file, void *unused)
{
	struct weft_device *wdev = seq_device(file);

	seq_printf(file, "bos %d\ncontexts %d\nqueues %d\njobs %d\ndevice_bytes %lld\n", atomic_read(&wdev->counts.bos),
		   atomic_read(&wdev->counts.contexts), atomic_read(&wdev->counts.queues),
		   atomic_read(&wdev->counts.jobs), atomic64_read(&wdev->memory.used));
	return 0;
}

static int show_memory(struct seq_file *file, void *unused)
{
	struct weft_device *wdev = seq_device(file);
	struct drm_printer p = drm_seq_file_printer(file);

	mutex_lock(&wdev->memory.lock);
	drm_buddy_print(&wdev->memory.mm, &p);
	mutex_unlock(&wdev->memory.lock);
	return 0;
}

static void show_bo(struct seq_file *file, const struct weft_bo *bo)
{
	seq_printf(file, "%s %zu: references %u, handles %u\n", bo->device ? "device" : "host", bo->base.size,
		   kref_read(&bo->base.refcount), READ_ONCE(bo->base.handle_count));
}

/* Imported objects are not in a list. */
static int show_bos(struct seq_file *file, void *unused)
{
	struct weft_device *wdev = seq_device(file);
	struct weft_bo *bo;

	mutex_lock(&wdev->bos_lock);
	list_for_each_entry(bo, &wdev->device_bos, link)
		show_bo(file, bo);
	list_for_each_entry(bo, &wdev->host_bos, link)
		show_bo(file, bo);
	mutex_unlock(&wdev->bos_lock);
	return 0;
}

static int show_contexts(struct seq_file *file, void *unused)
{
	struct weft_device *wdev = seq_device(file);
	struct weft_context *context;

	mutex_lock(&wdev->contexts_lock);
	list_for_each_entry(context, &wdev->contexts, link)
		seq_printf(file, "%u: fault %u, pending %d, mappings %u, device %lld, host %lld\n", context->id,
			   READ_ONCE(context->fault.reason), atomic_read(&context->pending),
			   READ_ONCE(context->vm->mappings), atomic64_read(&context->usage->device_bytes),
			   atomic64_read(&context->usage->host_bytes));
	mutex_unlock(&wdev->contexts_lock);
	return 0;
}

static int show_ring(struct seq_file *file, void *unused)
{
	struct weft_device *wdev = seq_device(file);
	int idx;

	seq_printf(file, "requests %u\nevents %u\nstrays %llu\nresets %lld\ndead %d\n", READ_ONCE(wdev->ring.tail),
		   READ_ONCE(wdev->ring.head), READ_ONCE(wdev->ring.strays), atomic64_read(&wdev->resets),
		   weft_device_dead(wdev));
	if (drm_dev_enter(&wdev->drm, &idx)) {
		if (!weft_pm_get(wdev)) {
			seq_printf(file, "state %u\nheartbeat %llu\n", weft_mailbox_read32(wdev, state),
				   weft_mailbox_read64(wdev, heartbeat));
			weft_pm_put(wdev);
		}
		drm_dev_exit(idx);
	}
	return 0;
}

/* Reading resets the device: a door for tests. */
static int show_reset(struct seq_file *file, void *unused)
{
	struct weft_device *wdev = seq_device(file);
	int ret;

	ret = weft_pm_get(wdev);
	if (ret)
		return ret;
	weft_reset_request(wdev, "reset asked for by debugfs");
	flush_work(&wdev->reset_work);
	weft_pm_put(wdev);
	seq_printf(file, "resets %lld\n", atomic64_read(&wdev->resets));
	return 0;
}

static const struct drm_debugfs_info files[] = {
	{ "objects", show_objects, 0, NULL },
	{ "bos", show_bos, 0, NULL },
	{ "memory", show_memory, 0, NULL },
	{ "contexts", show_contexts, 0, NULL },
	{ "ring", show_ring, 0, NULL },
	{ "reset", show_reset, 0, NULL },
};

/**
 * weft_debugfs_init() - make the files, before the device is registered
 * @wdev: the device
 */
void weft_debugfs_init(struct weft_device *wdev)
{
	debugfs_create_bool("lose_memory", 0600, wdev->drm.debugfs_root, &wdev->lose_memory);
	drm_debugfs_add_files(&wdev->drm, files, ARRAY_SIZE(files));
}
