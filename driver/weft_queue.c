// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: queues
 *
 * A queue is an entity of the device's one scheduler, see weft_sched.c.
 */
#include <linux/capability.h>

#include <drm/weft_accel.h>

#include "weft_client.h"
#include "weft_context.h"
#include "weft_device.h"
#include "weft_inject.h"
#include "weft_queue.h"
#include "weft_sched.h"

static void queue_release(struct kref *refs)
{
	struct weft_queue *queue = container_of(refs, struct weft_queue, refs);

	atomic_dec(&queue->context->wdev->counts.queues);
	weft_usage_put(queue->usage);
	weft_context_put(queue->context);
	mutex_destroy(&queue->lock);
	kfree(queue);
}

/**
 * weft_queue_get() - take a reference
 * @queue: the queue
 *
 * Return: @queue.
 */
struct weft_queue *weft_queue_get(struct weft_queue *queue)
{
	kref_get(&queue->refs);
	return queue;
}

/**
 * weft_queue_put() - drop a reference
 * @queue: the queue, stopped if it is the last
 */
void weft_queue_put(struct weft_queue *queue)
{
	kref_put(&queue->refs, queue_release);
}

/**
 * weft_queue_lookup() - a file's queue, with a reference
 * @client: the file
 * @id: its number
 *
 * Return: the queue or NULL.
 */
struct weft_queue *weft_queue_lookup(struct weft_client *client, u32 id)
{
	struct weft_queue *queue;

	xa_lock(&client->queues);
	queue = xa_load(&client->queues, id);
	if (queue)
		kref_get(&queue->refs);
	xa_unlock(&client->queues);
	return queue;
}

/**
 * weft_queue_take() - take a queue of a context out of the file
 * @client: the file
 * @context: the context
 *
 * Return: the queue with the file's reference, or NULL.
 */
struct weft_queue *weft_queue_take(struct weft_client *client, struct weft_context *context)
{
	struct weft_queue *queue, *found = NULL;
	unsigned long id;

	xa_lock(&client->queues);
	xa_for_each(&client->queues, id, queue) {
		if (queue->context == context) {
			found = __xa_erase(&client->queues, id);
			break;
		}
	}
	xa_unlock(&client->queues);
	return found;
}

/**
 * weft_queue_fault() - note that a job of the queue failed, and why
 * @queue: the queue
 * @job: its number
 * @fault: the reason, unless one was noted for this job or an earlier one
 *
 * A job that a fault cancels may end before the one to blame, which is to be told of.
 * May be called with interrupts off.
 */
void weft_queue_fault(struct weft_queue *queue, u64 job, const struct weft_fault_record *fault)
{
	unsigned long flags;
	u64 failed;

	spin_lock_irqsave(&queue->context->fault_lock, flags);
	failed = atomic64_read(&queue->failed);
	if (!failed || job < failed) {
		atomic64_set(&queue->failed, job);
		queue->fault = *fault;
	}
	spin_unlock_irqrestore(&queue->context->fault_lock, flags);
}

/**
 * weft_queue_stop() - cancel the jobs that have not started, and take no more
 * @queue: the queue, which cannot be looked up any more; called once
 */
void weft_queue_stop(struct weft_queue *queue)
{
	mutex_lock(&queue->lock);
	queue->stopped = true;
	mutex_unlock(&queue->lock);
	weft_sched_stop_entity(queue->context->wdev, &queue->entity);
}

/**
 * weft_queue_create_ioctl() - DRM_WEFT_QUEUE_CREATE
 * @drm: the DRM device
 * @data: the arguments
 * @file: the caller
 *
 * Return: 0 or a negative errno value.
 */
int weft_queue_create_ioctl(struct drm_device *drm, void *data, struct drm_file *file)
{
	static const enum drm_sched_priority priorities[] = {
		[DRM_WEFT_PRIORITY_LOW] = DRM_SCHED_PRIORITY_LOW,
		[DRM_WEFT_PRIORITY_NORMAL] = DRM_SCHED_PRIORITY_NORMAL,
		[DRM_WEFT_PRIORITY_HIGH] = DRM_SCHED_PRIORITY_HIGH,
	};
	struct weft_client *client = to_weft_client(file);
	struct weft_device *wdev = client->wdev;
	struct drm_gpu_scheduler *sched = &wdev->sched;
	struct drm_weft_queue_create *args = data;
	struct weft_context *context;
	struct weft_queue *queue;
	int ret;

	if (args->flags || args->id || args->priority >= ARRAY_SIZE(priorities))
		return -EINVAL;
	if (args->priority == DRM_WEFT_PRIORITY_HIGH && !capable(CAP_SYS_NICE))
		return -EACCES;
	context = weft_context_lookup(client, args->context);
	if (!context)
		return -ENOENT;
	queue = weft_alloc(kzalloc(sizeof(*queue), GFP_KERNEL));
	if (!queue) {
		weft_context_put(context);
		return -ENOMEM;
	}
	kref_init(&queue->refs);
	mutex_init(&queue->lock);
	spin_lock_init(&queue->jobs_lock);
	INIT_LIST_HEAD(&queue->jobs);
	init_waitqueue_head(&queue->waiters);
	queue->context = context;
	queue->usage = weft_usage_get(client->usage);
	queue->priority = args->priority;
	queue->hw_id = atomic_inc_return(&wdev->queue_ids);
	queue->fence_context = dma_fence_context_alloc(1);
	atomic_inc(&wdev->counts.queues);
	ret = weft_try(drm_sched_entity_init(&queue->entity, priorities[args->priority], &sched, 1, NULL));
	if (ret)
		goto err_put;
	/* Last: from here on another thread may destroy it. */
	ret = weft_try(xa_alloc(&client->queues, &args->id, queue, XA_LIMIT(1, WEFT_MAX_QUEUES_PER_FILE), GFP_KERNEL));
	if (ret) {
		ret = ret == -EBUSY ? -ENOSPC : ret;
		goto err_stop;
	}
	return 0;

err_stop:
	weft_queue_stop(queue);
err_put:
	weft_queue_put(queue);
	return ret;
}

/**
 * weft_queue_destroy_ioctl() - DRM_WEFT_QUEUE_DESTROY
 * @drm: the DRM device
 * @data: the arguments
 * @file: the caller
 *
 * Return: 0 or a negative errno value.
 */
int weft_queue_destroy_ioctl(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct weft_client *client = to_weft_client(file);
	struct drm_weft_queue_destroy *args = data;
	struct weft_queue *queue;

	if (args->pad)
		return -EINVAL;
	queue = xa_erase(&client->queues, args->id);
	if (!queue)
		return -ENOENT;
	weft_queue_stop(queue);
	weft_queue_put(queue);
	return 0;
}
