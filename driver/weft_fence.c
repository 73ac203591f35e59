// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: fences
 *
 * The fence of a job on the device: signalled by the job's event.  Allocated in the
 * ioctl, initialised when the scheduler hands the job over.
 *
 * The scheduler's fence, which user space can keep in a file for as long as it likes, holds
 * this one.  So each holds the module, whose code its operations are.
 */
#include <linux/module.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>

#include "weft_fence.h"
#include "weft_inject.h"

/**
 * struct weft_fence - a fence
 * @base: the fence
 * @lock: its lock; taken in interrupts
 */
struct weft_fence {
	struct dma_fence base;
	spinlock_t lock; /* of @base */
};

static const char *fence_driver_name(struct dma_fence *fence)
{
	return "weft";
}

static const char *fence_timeline_name(struct dma_fence *fence)
{
	return "weft-queue";
}

static void free_and_unpin(struct rcu_head *rcu)
{
	kfree(container_of(rcu, struct weft_fence, base.rcu));
	/* Unloading waits for the end of this, see weft_exit(). */
	module_put(THIS_MODULE);
}

/* Others may be looking at it under RCU. */
static void fence_release(struct dma_fence *fence)
{
	call_rcu(&fence->rcu, free_and_unpin);
}

static const struct dma_fence_ops fence_ops = {
	.get_driver_name = fence_driver_name,
	.get_timeline_name = fence_timeline_name,
	.release = fence_release,
};

/**
 * weft_fence_alloc() - memory for a fence
 *
 * Return: it or NULL; weft_fence_init() or weft_fence_free() it.
 */
struct weft_fence *weft_fence_alloc(void)
{
	return weft_alloc(kzalloc(sizeof(struct weft_fence), GFP_KERNEL));
}

/**
 * weft_fence_init() - make it a fence
 * @fence: from weft_fence_alloc()
 * @context: fence context of the queue
 * @seqno: of the job
 *
 * Return: the fence, with one reference that frees it.
 */
struct dma_fence *weft_fence_init(struct weft_fence *fence, u64 context, u64 seqno)
{
	/* There is a file or a context that holds it already. */
	__module_get(THIS_MODULE);
	spin_lock_init(&fence->lock);
	dma_fence_init(&fence->base, &fence_ops, &fence->lock, context, seqno);
	return &fence->base;
}

/**
 * weft_fence_free() - free one that was never initialised
 * @fence: from weft_fence_alloc(), or NULL
 */
void weft_fence_free(struct weft_fence *fence)
{
	kfree(fence);
}
