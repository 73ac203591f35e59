// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: waiting for jobs
 *
 * Who waits for a short job looks for its event for a while, with the device's interrupts
 * off, instead of going to sleep and being woken: that costs less than the interrupt.  It
 * is tried only if jobs of the queue have been short lately, and more and more seldom as
 * long as it is in vain; the time is bounded, and the processor is left to others that
 * want it.
 *
 * All else is as for sleepers: events are taken from the ring by the same function as in
 * the interrupt, so that a fault, a lost answer, a reset and a dead device end a job in one
 * way, and who polls sees what the others see.
 */
#include <linux/sched.h>
#include <linux/sched/signal.h>

#include <drm/drm_drv.h>
#include <drm/drm_utils.h>

#include <drm/weft_accel.h>

#include "weft_client.h"
#include "weft_context.h"
#include "weft_device.h"
#include "weft_queue.h"
#include "weft_wait.h"

static u64 jobs_ended(struct weft_queue *queue)
{
	/* Pairs with the lock that writes it: what was written before a job ended is seen. */
	return smp_load_acquire(&queue->ended);
}

#define MOST_POLLS_SKIPPED 15

/* Is it worth trying?  Races between waiters of one queue do no harm: these are hints. */
static bool may_poll(struct weft_queue *queue, u64 budget_ns)
{
	u32 skip = READ_ONCE(queue->polls_skipped);

	if (!budget_ns || READ_ONCE(queue->typical_ns) > budget_ns)
		return false;
	if (!skip)
		return true;
	WRITE_ONCE(queue->polls_skipped, skip - 1);
	return false;
}

/* Each time in vain, twice as many are skipped. */
static void learn(struct weft_queue *queue, bool in_vain)
{
	u32 skip = in_vain ? min(2 * READ_ONCE(queue->polls_to_skip) + 1, (u32)MOST_POLLS_SKIPPED) : 0;

	WRITE_ONCE(queue->polls_to_skip, skip);
	WRITE_ONCE(queue->polls_skipped, skip);
}

static void poll_for(struct weft_queue *queue, u64 job)
{
	u64 budget_ns = min(READ_ONCE(weft_poll_us), WEFT_HW_MAX_POLL_NS / 1000) * 1000ULL;
	struct weft_device *wdev = queue->context->wdev;
	u64 until;

	if (!may_poll(queue, budget_ns))
		return;
	weft_ring_poll_begin(wdev);
	until = ktime_get_ns() + budget_ns;
	for (;;) {
		weft_ring_poll_once(wdev);
		if (jobs_ended(queue) >= job || signal_pending(current) || ktime_get_ns() >= until)
			break;
		cond_resched();
		cpu_relax();
	}
	weft_ring_poll_end(wdev);
	learn(queue, jobs_ended(queue) < job);
}

/* Look at the device, unless it has gone; jobs that have not ended keep it awake. */
static void look(struct weft_queue *queue, u64 job, bool once)
{
	struct weft_device *wdev = queue->context->wdev;
	int idx;

	if (!drm_dev_enter(&wdev->drm, &idx))
		return;
	if (once)
		weft_ring_poll(wdev);
	else
		poll_for(queue, job);
	drm_dev_exit(idx);
}

static int sleep_for(struct weft_queue *queue, u64 job, s64 deadline_ns)
{
	long left = drm_timeout_abs_to_jiffies(deadline_ns);

	/* Not between drm_dev_enter() and drm_dev_exit(): removal ends what is waited for. */
	left = wait_event_interruptible_timeout(queue->waiters, jobs_ended(queue) >= job, left);
	if (left < 0)
		return left;
	return left ? 0 : -ETIME;
}

/**
 * weft_wait_ioctl() - DRM_WEFT_WAIT
 * @drm: the DRM device
 * @data: the arguments
 * @file: the caller
 *
 * Return: 0 or a negative errno value.
 */
int weft_wait_ioctl(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct weft_device *wdev = to_weft_device(drm);
	struct drm_weft_wait *args = data;
	bool poll = args->flags & DRM_WEFT_WAIT_POLL;
	struct weft_queue *queue;
	int ret = 0;

	if (args->flags & ~DRM_WEFT_WAIT_POLL || (poll && args->deadline_ns) || args->ended || args->failed ||
	    !args->job)
		return -EINVAL;
	queue = weft_queue_lookup(to_weft_client(file), args->queue);
	if (!queue)
		return -ENOENT;
	if (args->job > READ_ONCE(queue->submitted)) {
		ret = -EINVAL;
		goto out;
	}
	if (jobs_ended(queue) < args->job)
		look(queue, args->job, !poll && args->deadline_ns <= 0);
	if (jobs_ended(queue) < args->job)
		ret = args->deadline_ns > 0 ? sleep_for(queue, args->job, args->deadline_ns) : -ETIME;
	if (!ret && weft_device_dead(wdev))
		ret = -ENODEV;
	if (!ret) {
		args->ended = jobs_ended(queue);
		args->failed = atomic64_read(&queue->failed);
	}
out:
	weft_queue_put(queue);
	return ret;
}
