// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: clients
 *
 * A client is an open file.  Closing it never waits for the device's jobs: its
 * queues are stopped, its contexts are told to stop, and what still runs holds
 * references to what it needs.
 */
#include <drm/drm_drv.h>
#include <drm/drm_print.h>

#include "weft_client.h"
#include "weft_context.h"
#include "weft_device.h"
#include "weft_inject.h"
#include "weft_queue.h"

/**
 * weft_usage_new() - nothing used
 *
 * Return: with one reference, or NULL.
 */
struct weft_usage *weft_usage_new(void)
{
	struct weft_usage *usage = weft_alloc(kzalloc(sizeof(*usage), GFP_KERNEL));

	if (usage)
		kref_init(&usage->refs);
	return usage;
}

/**
 * weft_usage_get() - take a reference
 * @usage: what was used
 *
 * Return: @usage.
 */
struct weft_usage *weft_usage_get(struct weft_usage *usage)
{
	kref_get(&usage->refs);
	return usage;
}

static void usage_release(struct kref *refs)
{
	kfree(container_of(refs, struct weft_usage, refs));
}

/**
 * weft_usage_put() - drop a reference
 * @usage: what was used; freed with the last
 */
void weft_usage_put(struct weft_usage *usage)
{
	kref_put(&usage->refs, usage_release);
}

/**
 * weft_client_open() - a file is opened
 * @drm: the DRM device
 * @file: the file
 *
 * Return: 0, -ENXIO (the device is dead) or -ENOMEM.
 */
int weft_client_open(struct drm_device *drm, struct drm_file *file)
{
	struct weft_device *wdev = to_weft_device(drm);
	struct weft_client *client;

	if (weft_device_dead(wdev))
		return -ENXIO;
	client = weft_alloc(kzalloc(sizeof(*client), GFP_KERNEL));
	if (!client)
		return -ENOMEM;
	client->usage = weft_usage_new();
	if (!client->usage) {
		kfree(client);
		return -ENOMEM;
	}
	client->wdev = wdev;
	xa_init_flags(&client->contexts, XA_FLAGS_ALLOC1);
	xa_init_flags(&client->queues, XA_FLAGS_ALLOC1);
	file->driver_priv = client;
	return 0;
}

/**
 * weft_client_close() - a file is closed
 * @drm: the DRM device
 * @file: the file, which nobody uses any more
 */
void weft_client_close(struct drm_device *drm, struct drm_file *file)
{
	struct weft_client *client = to_weft_client(file);
	struct weft_context *context;
	struct weft_queue *queue;
	unsigned long id;

	xa_for_each(&client->queues, id, queue) {
		xa_erase(&client->queues, id);
		weft_queue_stop(queue);
		weft_queue_put(queue);
	}
	xa_for_each(&client->contexts, id, context) {
		xa_erase(&client->contexts, id);
		weft_context_stop(context);
		weft_context_put(context);
	}
	xa_destroy(&client->queues);
	xa_destroy(&client->contexts);
	weft_usage_put(client->usage);
	kfree(client);
}

/**
 * weft_client_show_fdinfo() - what the file has used, with keys as in Documentation/gpu/drm-usage-stats.rst
 * @printer: where to
 * @file: the file
 */
void weft_client_show_fdinfo(struct drm_printer *printer, struct drm_file *file)
{
	static const char *const engines[WEFT_ENGINES] = { "compute", "dma-in", "dma-out" };
	struct weft_usage *usage = to_weft_client(file)->usage;
	u64 commands = 0, picojoules = 0;

	for (unsigned int i = 0; i < WEFT_ENGINES; i++) {
		commands += atomic64_read(&usage->engine[i].commands);
		picojoules += atomic64_read(&usage->engine[i].picojoules);
		drm_printf(printer, "drm-engine-%s:\t%llu ns\n", engines[i],
			   (u64)atomic64_read(&usage->engine[i].busy_ns));
	}
	drm_printf(printer, "drm-total-device:\t%llu KiB\n", (u64)atomic64_read(&usage->device_bytes) >> 10);
	drm_printf(printer, "drm-resident-device:\t%llu KiB\n", (u64)atomic64_read(&usage->device_bytes) >> 10);
	drm_printf(printer, "drm-total-host:\t%llu KiB\n", (u64)atomic64_read(&usage->host_bytes) >> 10);
	drm_printf(printer, "drm-resident-host:\t%llu KiB\n", (u64)atomic64_read(&usage->host_bytes) >> 10);
	drm_printf(printer, "weft-jobs:\t%llu\n", (u64)atomic64_read(&usage->jobs));
	drm_printf(printer, "weft-commands:\t%llu\n", commands);
	drm_printf(printer, "weft-energy:\t%llu pJ\n", picojoules);
}
