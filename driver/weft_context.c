// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: contexts
 *
 * A context is known to the firmware from its creation until its last reference
 * goes; queues and their jobs hold references, so that is after its last job.  Closing
 * waits for the firmware, so it is done by a work item.
 *
 * A job may wait for another driver's fence long after its file was closed, so what keeps
 * the module loaded is each context.
 */
#include <linux/module.h>

#include <drm/drm_drv.h>
#include <drm/drm_print.h>

#include <drm/weft_accel.h>

#include "weft_client.h"
#include "weft_context.h"
#include "weft_device.h"
#include "weft_inject.h"
#include "weft_pm.h"
#include "weft_queue.h"
#include "weft_trace.h"

static int context_request(struct weft_context *context, u32 type, u64 address)
{
	struct weft_hw_request request = {
		.type = type,
		.context = context->id,
		.address = address,
	};

	return weft_ring_call(context->wdev, &request);
}

static void context_release_work(struct work_struct *work)
{
	struct weft_context *context = container_of(work, struct weft_context, release_work);
	struct weft_device *wdev = context->wdev;
	bool opened;

	/* First, so that a reset from here on does not open it again. */
	mutex_lock(&wdev->contexts_lock);
	opened = context->opened;
	context->opened = false;
	mutex_unlock(&wdev->contexts_lock);
	if (opened) {
		bool awake = !weft_pm_get(wdev);

		context_request(context, WEFT_HW_REQUEST_CONTEXT_CLOSE, 0);
		if (awake)
			weft_pm_put(wdev);
	}
	/* The firmware has answered, or the device was reset: nothing uses the tables any more. */
	mutex_lock(&wdev->contexts_lock);
	list_del(&context->link);
	mutex_unlock(&wdev->contexts_lock);
	weft_vm_destroy(context->vm);
	weft_usage_put(context->usage);
	ida_free(&wdev->context_ids, context->id);
	/* Unloading waits for the workqueue. */
	module_put(THIS_MODULE);
	atomic_dec(&wdev->counts.contexts);
	kfree(context);
	drm_dev_put(&wdev->drm);
}

static void context_release(struct kref *refs)
{
	struct weft_context *context = container_of(refs, struct weft_context, refs);

	queue_work(weft_release_wq, &context->release_work);
}

/**
 * weft_context_put() - drop a reference
 * @context: the context; released with the last, by a work item
 */
void weft_context_put(struct weft_context *context)
{
	kref_put(&context->refs, context_release);
}

/**
 * weft_context_lookup() - a file's context, with a reference
 * @client: the file
 * @id: its number
 *
 * Return: the context or NULL.
 */
struct weft_context *weft_context_lookup(struct weft_client *client, u32 id)
{
	struct weft_context *context;

	xa_lock(&client->contexts);
	context = xa_load(&client->contexts, id);
	if (context)
		kref_get(&context->refs);
	xa_unlock(&client->contexts);
	return context;
}

/**
 * weft_context_fault() - note why a context was stopped, and refuse further jobs
 * @context: the context
 * @fault: the reason; only the first counts
 *
 * May be called with interrupts off.
 */
void weft_context_fault(struct weft_context *context, const struct weft_fault_record *fault)
{
	unsigned long flags;

	spin_lock_irqsave(&context->fault_lock, flags);
	/* That it was cancelled says less than why, if that comes later. */
	if (!context->fault.reason || context->fault.reason == WEFT_FAULT_CANCELLED)
		context->fault = *fault;
	WRITE_ONCE(context->banned, true);
	spin_unlock_irqrestore(&context->fault_lock, flags);
	trace_weft_fault(context->id, fault);
}

/**
 * weft_context_stop() - user space is done with the context: cancel what runs
 * @context: the context, which cannot be looked up any more
 */
void weft_context_stop(struct weft_context *context)
{
	static const struct weft_fault_record cancelled = { .reason = WEFT_FAULT_CANCELLED, .operand = 0xff };

	WRITE_ONCE(context->closing, true);
	weft_context_fault(context, &cancelled);
	if (!atomic_read(&context->pending) || weft_device_dead(context->wdev) || weft_pm_get(context->wdev))
		return;
	context_request(context, WEFT_HW_REQUEST_CONTEXT_STOP, 0);
	weft_pm_put(context->wdev);
}

/* Tell the firmware.  A reset at any moment does so too. */
static int request_open(struct weft_context *context)
{
	int ret = context_request(context, WEFT_HW_REQUEST_CONTEXT_OPEN, context->vm->mmu.root->dma);

	return ret == -ECANCELED || ret == -EBUSY ? 0 : ret;
}

/* Make the context known to the firmware. */
static int context_open(struct weft_context *context)
{
	struct weft_device *wdev = context->wdev;

	mutex_lock(&wdev->contexts_lock);
	context->opened = true;
	mutex_unlock(&wdev->contexts_lock);
	return request_open(context);
}

/**
 * weft_context_reopen_in_reset() - make the context known to a firmware that has been started anew
 * @context: the context
 *
 * Return: 0 or a negative errno value.
 */
int weft_context_reopen_in_reset(struct weft_context *context)
{
	struct weft_hw_request request = {
		.type = WEFT_HW_REQUEST_CONTEXT_OPEN,
		.context = context->id,
		.address = context->vm->mmu.root->dma,
	};

	return weft_ring_call_timeout(context->wdev, &request, HZ);
}

/**
 * weft_context_unmap_all() - free the page tables of all contexts, at removal
 * @wdev: the device, which does not run any more
 */
void weft_context_unmap_all(struct weft_device *wdev)
{
	struct weft_context *context;

	mutex_lock(&wdev->contexts_lock);
	list_for_each_entry(context, &wdev->contexts, link)
		weft_vm_free_tables(context->vm);
	mutex_unlock(&wdev->contexts_lock);
}

static struct weft_context *context_new(struct weft_device *wdev)
{
	struct weft_context *context = weft_alloc(kzalloc(sizeof(*context), GFP_KERNEL));
	int ret;

	if (!context)
		return ERR_PTR(-ENOMEM);
	kref_init(&context->refs);
	context->wdev = wdev;
	spin_lock_init(&context->fault_lock);
	INIT_LIST_HEAD(&context->link);
	INIT_WORK(&context->release_work, context_release_work);
	context->usage = weft_usage_new();
	ret = context->usage ? weft_try(ida_alloc_range(&wdev->context_ids, 1, wdev->hw.contexts, GFP_KERNEL)) :
			       -ENOMEM;
	if (ret < 0)
		goto err_free;
	context->id = ret;
	context->vm = weft_vm_create(wdev);
	if (IS_ERR(context->vm)) {
		ret = PTR_ERR(context->vm);
		goto err_free_id;
	}
	/* From here on weft_context_put() undoes everything. */
	drm_dev_get(&wdev->drm);
	__module_get(THIS_MODULE);
	atomic_inc(&wdev->counts.contexts);
	mutex_lock(&wdev->contexts_lock);
	list_add(&context->link, &wdev->contexts);
	mutex_unlock(&wdev->contexts_lock);
	return context;

err_free_id:
	ida_free(&wdev->context_ids, context->id);
err_free:
	if (context->usage)
		weft_usage_put(context->usage);
	kfree(context);
	return ERR_PTR(ret);
}

/**
 * weft_context_create_ioctl() - DRM_WEFT_CONTEXT_CREATE
 * @drm: the DRM device
 * @data: the arguments
 * @file: the caller
 *
 * Return: 0 or a negative errno value.
 */
int weft_context_create_ioctl(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct weft_client *client = to_weft_client(file);
	struct drm_weft_context_create *args = data;
	u64 longest = (u64)weft_command_timeout_ms * NSEC_PER_MSEC;
	struct weft_context *context;
	int ret;

	if (args->flags || args->id)
		return -EINVAL;
	context = context_new(client->wdev);
	if (IS_ERR(context))
		return PTR_ERR(context);
	context->command_timeout_ns = args->command_timeout_ns ? min(args->command_timeout_ns, longest) : longest;
	context->device_bytes_limit = args->device_bytes_limit ?: U64_MAX;
	ret = context_open(context);
	if (ret)
		goto err_put;
	/* Last: from here on another thread may destroy it. */
	ret = weft_try(xa_alloc(&client->contexts, &args->id, context, XA_LIMIT(1, WEFT_MAX_CONTEXTS_PER_FILE),
				GFP_KERNEL));
	if (ret) {
		ret = ret == -EBUSY ? -ENOSPC : ret;
		goto err_put;
	}
	return 0;

err_put:
	weft_context_put(context);
	return ret;
}

/**
 * weft_context_destroy_ioctl() - DRM_WEFT_CONTEXT_DESTROY
 * @drm: the DRM device
 * @data: the arguments
 * @file: the caller
 *
 * Return: 0 or a negative errno value.
 */
int weft_context_destroy_ioctl(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct weft_client *client = to_weft_client(file);
	struct drm_weft_context_destroy *args = data;
	struct weft_context *context;
	struct weft_queue *queue;

	if (args->pad)
		return -EINVAL;
	context = xa_erase(&client->contexts, args->id);
	if (!context)
		return -ENOENT;
	weft_context_fault(context, &(struct weft_fault_record){ .reason = WEFT_FAULT_CANCELLED, .operand = 0xff });
	while ((queue = weft_queue_take(client, context))) {
		weft_queue_stop(queue);
		weft_queue_put(queue);
	}
	weft_context_stop(context);
	weft_context_put(context);
	return 0;
}

/* Forget the faults of a context and of its queues, of which no job is left. */
static void forget_faults(struct weft_client *client, struct weft_context *context)
{
	struct weft_queue *queue;
	unsigned long id, flags;

	xa_lock(&client->queues);
	xa_for_each(&client->queues, id, queue) {
		if (queue->context != context)
			continue;
		spin_lock_irqsave(&context->fault_lock, flags);
		memset(&queue->fault, 0, sizeof(queue->fault));
		atomic64_set(&queue->failed, 0);
		spin_unlock_irqrestore(&context->fault_lock, flags);
	}
	xa_unlock(&client->queues);
	spin_lock_irqsave(&context->fault_lock, flags);
	if (!context->closing) {
		memset(&context->fault, 0, sizeof(context->fault));
		WRITE_ONCE(context->banned, false);
	}
	spin_unlock_irqrestore(&context->fault_lock, flags);
}

/*
 * The firmware forgets a fault with the context, which is closed and opened again; a reset
 * makes it forget everything.  Nothing may name the context in between: it is banned, so no
 * job does, and what unmaps, or recovers too, waits for the lock.
 */
static int context_recover(struct weft_client *client, struct weft_context *context)
{
	int ret;

	lockdep_assert_held(&context->vm->bind_lock);
	if (atomic_read(&context->pending))
		return -EBUSY;
	if (!READ_ONCE(context->banned))
		return 0;
	ret = context_request(context, WEFT_HW_REQUEST_CONTEXT_CLOSE, 0);
	if (!ret || ret == -ECANCELED)
		ret = request_open(context);
	if (!ret)
		forget_faults(client, context);
	return ret;
}

/**
 * weft_context_recover_ioctl() - DRM_WEFT_CONTEXT_RECOVER
 * @drm: the DRM device
 * @data: the arguments
 * @file: the caller
 *
 * Return: 0 or a negative errno value.
 */
int weft_context_recover_ioctl(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct weft_client *client = to_weft_client(file);
	struct drm_weft_context_recover *args = data;
	struct weft_context *context;
	int ret;

	if (args->pad)
		return -EINVAL;
	context = weft_context_lookup(client, args->id);
	if (!context)
		return -ENOENT;
	mutex_lock(&context->vm->bind_lock);
	ret = context_recover(client, context);
	mutex_unlock(&context->vm->bind_lock);
	weft_context_put(context);
	return ret;
}
