// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: queries
 *
 * DRM_WEFT_QUERY.  Every struct is zeroed before it is filled, and the caller gets
 * the smaller of what it knows and what the kernel knows.
 */
#include <linux/io-64-nonatomic-lo-hi.h>
#include <linux/uaccess.h>

#include <drm/drm_drv.h>

#include <drm/weft_accel.h>

#include "weft_client.h"
#include "weft_context.h"
#include "weft_device.h"
#include "weft_query.h"
#include "weft_queue.h"

static int query_device(struct weft_client *client, u32 id, void *out)
{
	const struct weft_hw_info *hw = &client->wdev->hw;
	struct drm_weft_device_info *info = out;

	if (id)
		return -EINVAL;
	info->isa_major = hw->isa_version >> 16;
	info->isa_minor = hw->isa_version & 0xffff;
	info->device_bytes = hw->memory_bytes;
	info->page_bytes = WEFT_HW_PAGE_BYTES;
	info->virtual_bits = WEFT_VA_BITS;
	info->local_bytes = hw->local_bytes;
	info->lanes = hw->lanes;
	info->slots = hw->slots;
	info->clock_hz = hw->clock_hz;
	info->macs_per_cycle = hw->macs_per_cycle;
	info->device_bytes_per_second = hw->device_bytes_per_second;
	info->dma_in_bytes_per_second = hw->dma_in_bytes_per_second;
	info->dma_out_bytes_per_second = hw->dma_out_bytes_per_second;
	info->max_contexts = WEFT_MAX_CONTEXTS_PER_FILE;
	info->max_queues = WEFT_MAX_QUEUES_PER_FILE;
	strscpy(info->name, hw->name, sizeof(info->name));
	strscpy(info->profile, hw->profile, sizeof(info->profile));
	strscpy(info->kernels, hw->kernels, sizeof(info->kernels));
	strscpy(info->firmware, hw->firmware_version, sizeof(info->firmware));
	return 0;
}

static int query_counters(struct weft_client *client, u32 id, void *out)
{
	struct weft_device *wdev = client->wdev;
	struct drm_weft_counters *counters = out;

	if (id)
		return -EINVAL;
	for (unsigned int i = 0; i < WEFT_ENGINES; i++) {
		struct weft_hw_engine_status status;

		memcpy_fromio(&status, wdev->control + offsetof(struct weft_hw_mailbox, engine) + i * sizeof(status),
			      sizeof(status));
		counters->commands[i] = status.commands;
		counters->busy_ns[i] = status.busy_ns;
		counters->cycles[i] = status.cycles;
		counters->picojoules[i] = status.picojoules;
		counters->bytes[i] = status.bytes;
	}
	counters->faults = weft_mailbox_read64(wdev, faults);
	counters->resets = atomic64_read(&wdev->resets);
	counters->device_used_bytes = atomic64_read(&wdev->memory.used);
	return 0;
}

static int query_context(struct weft_client *client, u32 id, void *out)
{
	struct weft_context *context = weft_context_lookup(client, id);
	struct drm_weft_context_info *info = out;
	unsigned long flags;

	if (!context)
		return -ENOENT;
	spin_lock_irqsave(&context->fault_lock, flags);
	info->fault = context->fault;
	spin_unlock_irqrestore(&context->fault_lock, flags);
	info->device_bytes = atomic64_read(&context->usage->device_bytes);
	info->device_bytes_limit = min(context->device_bytes_limit, client->wdev->hw.memory_bytes);
	info->host_bytes = atomic64_read(&context->usage->host_bytes);
	info->pending = atomic_read(&context->pending);
	info->mappings = READ_ONCE(context->vm->mappings);
	weft_context_put(context);
	return 0;
}

static int query_queue(struct weft_client *client, u32 id, void *out)
{
	struct weft_queue *queue = weft_queue_lookup(client, id);
	struct drm_weft_queue_info *info = out;
	unsigned long flags;

	if (!queue)
		return -ENOENT;
	mutex_lock(&queue->lock);
	info->submitted = queue->submitted;
	mutex_unlock(&queue->lock);
	info->completed = atomic64_read(&queue->completed);
	spin_lock_irqsave(&queue->context->fault_lock, flags);
	info->failed = atomic64_read(&queue->failed);
	info->fault = queue->fault;
	spin_unlock_irqrestore(&queue->context->fault_lock, flags);
	weft_queue_put(queue);
	return 0;
}

static int query_client(struct weft_client *client, u32 id, void *out)
{
	struct drm_weft_client_info *info = out;
	struct weft_usage *usage = client->usage;

	if (id)
		return -EINVAL;
	for (unsigned int i = 0; i < WEFT_ENGINES; i++) {
		info->commands[i] = atomic64_read(&usage->engine[i].commands);
		info->busy_ns[i] = atomic64_read(&usage->engine[i].busy_ns);
		info->cycles[i] = atomic64_read(&usage->engine[i].cycles);
		info->picojoules[i] = atomic64_read(&usage->engine[i].picojoules);
		info->bytes[i] = atomic64_read(&usage->engine[i].bytes);
	}
	info->jobs = atomic64_read(&usage->jobs);
	info->device_bytes = atomic64_read(&usage->device_bytes);
	info->host_bytes = atomic64_read(&usage->host_bytes);
	return 0;
}

static const struct {
	int (*fill)(struct weft_client *client, u32 id, void *out);
	size_t size;
} queries[] = {
	[DRM_WEFT_QUERY_DEVICE] = { query_device, sizeof(struct drm_weft_device_info) },
	[DRM_WEFT_QUERY_COUNTERS] = { query_counters, sizeof(struct drm_weft_counters) },
	[DRM_WEFT_QUERY_CONTEXT] = { query_context, sizeof(struct drm_weft_context_info) },
	[DRM_WEFT_QUERY_QUEUE] = { query_queue, sizeof(struct drm_weft_queue_info) },
	[DRM_WEFT_QUERY_CLIENT] = { query_client, sizeof(struct drm_weft_client_info) },
};

/**
 * weft_query_ioctl() - DRM_WEFT_QUERY
 * @drm: the DRM device
 * @data: the arguments
 * @file: the caller
 *
 * Return: 0 or a negative errno value.
 */
int weft_query_ioctl(struct drm_device *drm, void *data, struct drm_file *file)
{
	union {
		struct drm_weft_device_info device;
		struct drm_weft_counters counters;
		struct drm_weft_context_info context;
		struct drm_weft_queue_info queue;
		struct drm_weft_client_info client;
	} out;
	struct drm_weft_query *args = data;
	void __user *to = u64_to_user_ptr(args->pointer);
	size_t size;
	int ret;

	if (args->type >= ARRAY_SIZE(queries) || args->pad)
		return -EINVAL;
	memset(&out, 0, sizeof(out));
	ret = queries[args->type].fill(to_weft_client(file), args->id, &out);
	if (ret)
		return ret;
	size = queries[args->type].size;
	if (args->pointer) {
		if (copy_to_user(to, &out, min_t(size_t, size, args->size)) ||
		    (args->size > size && clear_user(to + size, args->size - size)))
			return -EFAULT;
	}
	args->size = size;
	return 0;
}
