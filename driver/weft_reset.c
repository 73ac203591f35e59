// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: time-outs and resets
 *
 * What can go wrong, and what is done, smallest first:
 *
 *  - A command runs too long: the firmware aborts it and faults its context.  The
 *    driver sees an event.
 *  - An interrupt was lost: the watchdog takes the events that are there.
 *  - A job makes no progress for longer than a command may take, while the firmware is
 *    alive, or its answer was lost: its context is stopped by the firmware, and blamed.
 *  - The firmware cannot stop it, or the heartbeat stops, or the firmware does not answer:
 *    the device is reset.  The job to blame, if there is one, ends with ETIME; the jobs of
 *    the other contexts go on where they were, see weft_replay.c.
 *  - The reset does not work: the device is dead, and everything ends with ENODEV.
 *
 * Jobs that take long are looked at by the watchdog's word: the scheduler knows only some
 * of those that the device holds.  That and all resets run on one ordered workqueue.
 *
 * User space learns of both by the uevent of wedged devices (Documentation/gpu/drm-uapi.rst):
 * WEDGED=none after a reset, WEDGED=rebind when the device is dead.  drm_dev_wedged_event()
 * knows no accel nodes, as of 7.3, so it is sent here.
 */
#include <linux/io-64-nonatomic-lo-hi.h>
#include <linux/kobject.h>
#include <linux/pm_runtime.h>

#include <drm/drm_drv.h>
#include <drm/drm_file.h>
#include <drm/drm_print.h>

#include "weft_compat.h"
#include "weft_context.h"
#include "weft_coredump.h"
#include "weft_device.h"
#include "weft_fw.h"
#include "weft_job.h"
#include "weft_pm.h"
#include "weft_queue.h"
#include "weft_replay.h"
#include "weft_reset.h"

#define WATCHDOG_PERIOD msecs_to_jiffies(250)
/* Heartbeats are due every WEFT_HW_HEARTBEAT_MS; the device's host may be busy. */
#define HEARTBEAT_PATIENCE msecs_to_jiffies(20 * WEFT_HW_HEARTBEAT_MS)

static const struct weft_fault_record fault_timeout = { .reason = WEFT_FAULT_TIMEOUT, .operand = 0xff };
static const struct weft_fault_record fault_cancelled = { .reason = WEFT_FAULT_CANCELLED, .operand = 0xff };

/* Has the heartbeat been seen to change lately? */
static bool firmware_alive(struct weft_device *wdev)
{
	u64 heartbeat = weft_mailbox_read64(wdev, heartbeat);

	if (weft_mailbox_read32(wdev, state) != WEFT_HW_STATE_RUNNING)
		return false;
	if (heartbeat != wdev->heartbeat) {
		wdev->heartbeat = heartbeat;
		wdev->heartbeat_seen = jiffies;
	}
	return time_before(jiffies, wdev->heartbeat_seen + HEARTBEAT_PATIENCE);
}

static bool anything_unanswered(struct weft_device *wdev)
{
	for (u32 place = 0; place < WEFT_RING_PLACES; place++) {
		if (READ_ONCE(wdev->ring.calls[place]))
			return true;
	}
	return false;
}

/* Those that go on are left alone for as long again. */
static void look_for_overdue(struct weft_device *wdev)
{
	unsigned long patience = msecs_to_jiffies(weft_job_timeout_ms);

	if (time_before(jiffies, READ_ONCE(wdev->timeout_next)) || !weft_ring_overdue(wdev, patience))
		return;
	WRITE_ONCE(wdev->timeout_next, jiffies + patience);
	weft_reset_suspect(wdev);
}

static void watchdog_work(struct work_struct *work)
{
	struct weft_device *wdev = container_of(work, struct weft_device, watchdog.work);
	int idx;

	if (!drm_dev_enter(&wdev->drm, &idx))
		return;
	if (!weft_device_dead(wdev)) {
		if (weft_ring_poll(wdev))
			drm_dbg(&wdev->drm, "events without an interrupt\n");
		if (!firmware_alive(wdev)) {
			weft_reset_request(wdev, "the heartbeat has stopped");
		} else if (anything_unanswered(wdev)) {
			/* Or a doorbell. */
			weft_doorbell(wdev, WEFT_HW_DOORBELL_REQUEST);
			look_for_overdue(wdev);
			queue_delayed_work(weft_release_wq, &wdev->watchdog, WATCHDOG_PERIOD);
		}
	}
	drm_dev_exit(idx);
}

/**
 * weft_reset_watch() - have the watchdog run while something is unanswered
 * @wdev: the device
 *
 * May be called with interrupts off.
 */
void weft_reset_watch(struct weft_device *wdev)
{
	if (delayed_work_pending(&wdev->watchdog))
		return;
	/* What was seen long ago says nothing. */
	WRITE_ONCE(wdev->heartbeat_seen, jiffies);
	queue_delayed_work(weft_release_wq, &wdev->watchdog, WATCHDOG_PERIOD);
}

/*
 * Start the scheduler again.  Stopping it has taken the device's fence from each
 * pending job, and starting would cancel jobs without one: they are still ours.
 */
static void resume(struct weft_device *wdev)
{
	struct drm_sched_job *base;

	weft_sched_for_each_pending(base, &wdev->sched) {
		if (!base->s_fence->parent)
			base->s_fence->parent = dma_fence_get(to_weft_job(base)->fence);
	}
	weft_sched_start(&wdev->sched);
}

/*
 * Has the device lost the job?  One that is not in a slot may not have been taken yet, may
 * have been answered this moment, or may have been taken since the slots were looked at.
 */
static bool is_lost(struct weft_device *wdev, struct weft_job *job, struct weft_hw_slot_status *status)
{
	u32 slot;

	if (weft_replay_read_slot(wdev, job, status, &slot) || weft_replay_not_taken(wdev, job))
		return false;
	weft_ring_poll(wdev);
	return READ_ONCE(job->call.active) && !weft_replay_read_slot(wdev, job, status, &slot);
}

/*
 * Is one command of the job at an engine for longer than it may?  The firmware should have
 * ended it, and a job that only waits for its turn is not to blame.
 */
static bool is_stuck(struct weft_device *wdev, struct weft_job *job)
{
	struct weft_hw_slot_status status = { 0 };

	if (is_lost(wdev, job, &status))
		return true;
	if (!job->seen || status.started != job->seen_started || status.completed != job->seen_completed ||
	    !weft_replay_on_engine(wdev, job)) {
		job->seen = true;
		job->seen_started = status.started;
		job->seen_completed = status.completed;
		job->seen_at = jiffies;
		return false;
	}
	return time_after_eq(jiffies, job->seen_at + nsecs_to_jiffies(job->request.timeout_ns));
}

/* All jobs that the device holds, referenced, oldest first. */
static void get_jobs(struct weft_device *wdev, struct weft_held *held)
{
	struct weft_ring *ring = &wdev->ring;
	unsigned long flags;

	held->count = 0;
	spin_lock_irqsave(&ring->lock, flags);
	for (u32 place = 0; place < WEFT_RING_JOBS; place++) {
		unsigned int at = held->count;
		struct weft_job *job;

		if (!ring->calls[place])
			continue;
		job = container_of(ring->calls[place], struct weft_job, call);
		kref_get(&job->refs);
		for (; at && (s32)(job->call.index - held->job[at - 1]->call.index) < 0; at--)
			held->job[at] = held->job[at - 1];
		held->job[at] = job;
		held->count++;
	}
	spin_unlock_irqrestore(&ring->lock, flags);
}

/*
 * The job to blame, among all that the device holds, referenced, or NULL: those that take
 * long may only wait for an engine that another occupies.
 */
static struct weft_job *find_stuck(struct weft_device *wdev)
{
	struct weft_held *held = &wdev->held;
	struct weft_job *stuck = NULL;

	get_jobs(wdev, held);
	for (unsigned int i = 0; i < held->count; i++) {
		struct weft_job *job = held->job[i];

		if (!stuck && READ_ONCE(job->call.active) && is_stuck(wdev, job))
			stuck = job;
		else
			weft_job_put(job);
	}
	held->count = 0;
	return stuck;
}

/*
 * End or go on with every job that the device held; @blamed may be NULL.  Those that end
 * come first: they stop their contexts, and what else the contexts have ends with them.
 */
static void settle(struct weft_device *wdev, const struct weft_job *blamed)
{
	struct weft_held *held = &wdev->held;

	for (unsigned int i = 0; i < held->count; i++) {
		if (held->job[i] == blamed)
			weft_job_fail(held->job[i], &fault_timeout, -ETIME);
		else if (weft_device_dead(wdev) || !held->again[i])
			weft_job_fail(held->job[i], &fault_cancelled, weft_device_dead(wdev) ? -ENODEV : -ECANCELED);
		else
			continue;
		held->job[i] = NULL;
	}
	for (unsigned int i = 0; i < held->count; i++) {
		struct weft_job *job = held->job[i];

		if (job && (READ_ONCE(job->queue->context->banned) || weft_job_resubmit(job)))
			weft_job_fail(job, &fault_cancelled, -ECANCELED);
	}
	held->count = 0;
}

/* Start the firmware on a device that was reset, and tell it of all contexts. */
static int start_firmware(struct weft_device *wdev)
{
	struct weft_context *context;
	int ret;

	weft_ring_open(wdev);
	ret = weft_fw_boot(wdev);
	if (ret)
		return ret;
	wdev->heartbeat_seen = jiffies;
	mutex_lock(&wdev->contexts_lock);
	list_for_each_entry(context, &wdev->contexts, link) {
		if (!context->opened)
			continue;
		ret = weft_context_reopen_in_reset(context);
		if (ret)
			break;
	}
	mutex_unlock(&wdev->contexts_lock);
	return ret;
}

/* Take the jobs that the device held back from it. */
static void collect(struct weft_device *wdev, const struct weft_job *blamed, bool stopped_well, bool sleep)
{
	struct weft_held *held = &wdev->held;
	struct weft_call *call;

	held->count = 0;
	while (held->count < ARRAY_SIZE(held->job) && (call = weft_ring_forget_job(wdev))) {
		struct weft_job *job = container_of(call, struct weft_job, call);

		held->again[held->count] = stopped_well && job != blamed && weft_replay_prepare(wdev, job, !sleep);
		held->job[held->count++] = job;
	}
}

/* Stop the device: nothing reaches it until release_device(). */
static int stop_device(struct weft_device *wdev)
{
	int ret;

	weft_ring_hold(wdev);
	ret = weft_fw_reset(wdev);
	/* What was answered before is done. */
	weft_ring_poll(wdev);
	weft_ring_close(wdev);
	return ret;
}

/* A work item of its own: it allocates memory. */
static void wedged_work(struct work_struct *work)
{
	struct weft_device *wdev = container_of(work, struct weft_device, wedged_work);
	char variable[16], *variables[2] = {variable};
	int idx;

	snprintf(variable, sizeof(variable), "WEDGED=%s", weft_device_dead(wdev) ? "rebind" : "none");
	if (!drm_dev_enter(&wdev->drm, &idx))
		return;
	kobject_uevent_env(&wdev->drm.accel->kdev->kobj, KOBJ_CHANGE, variables);
	drm_dev_exit(idx);
}

/* Start the device that was stopped, with or without success (@ret). */
static void start_device(struct weft_device *wdev, int ret)
{
	if (!ret)
		ret = start_firmware(wdev);
	if (ret) {
		drm_err(&wdev->drm, "the device is given up\n");
		weft_device_die(wdev);
		weft_ring_cancel_calls(wdev);
		queue_work(weft_release_wq, &wdev->wedged_work);
	}
}

/* The scheduler is stopped. */
static void reset_device(struct weft_device *wdev, const struct weft_job *blamed)
{
	int ret;

	atomic64_inc(&wdev->resets);
	drm_err_ratelimited(&wdev->drm, "resetting the device\n");
	ret = stop_device(wdev);
	collect(wdev, blamed, !ret, false);
	/* Nobody will answer what else was asked. */
	weft_ring_cancel_calls(wdev);
	start_device(wdev, ret);
	settle(wdev, blamed);
	weft_ring_release(wdev);
	queue_work(weft_release_wq, &wdev->wedged_work);
}

static void reset_work(struct work_struct *work)
{
	struct weft_device *wdev = container_of(work, struct weft_device, reset_work);
	bool cookie;
	int idx;

	/* Asleep, it is stopped already, and starts afresh when it wakes up. */
	if (pm_runtime_get_if_active(wdev->drm.dev) <= 0)
		return;
	if (drm_dev_enter(&wdev->drm, &idx)) {
		if (!weft_device_dead(wdev) && !wdev->asleep) {
			weft_coredump(wdev, NULL, NULL, "device reset");
			/* Waits for run_job, which is in the signalling path itself: not from within. */
			drm_sched_stop(&wdev->sched, NULL);
			cookie = dma_fence_begin_signalling();
			reset_device(wdev, NULL);
			resume(wdev);
			dma_fence_end_signalling(cookie);
		}
		drm_dev_exit(idx);
	}
	weft_pm_put(wdev);
}

/**
 * weft_reset_request() - reset the device soon
 * @wdev: the device
 * @why: for the log
 */
void weft_reset_request(struct weft_device *wdev, const char *why)
{
	if (weft_device_dead(wdev))
		return;
	drm_err_ratelimited(&wdev->drm, "%s\n", why);
	queue_work(wdev->reset_wq, &wdev->reset_work);
}

/**
 * weft_reset_suspect() - something odd has happened: look at the jobs now
 * @wdev: the device
 *
 * May be called with interrupts off.
 */
void weft_reset_suspect(struct weft_device *wdev)
{
	queue_work(wdev->reset_wq, &wdev->timeout_work);
}

/* Likewise at removal: stop it, if it listens, and end everything. */
static void end_all(struct weft_device *wdev)
{
	struct weft_call *call;

	weft_fw_reset(wdev);
	weft_ring_cancel_calls(wdev);
	while ((call = weft_ring_forget_job(wdev)))
		weft_job_fail(container_of(call, struct weft_job, call), &fault_cancelled, -ENODEV);
}

/* Have the firmware stop the job's context.  False: it did not. */
static bool stop_context(struct weft_device *wdev, struct weft_job *job)
{
	struct weft_context *context = job->queue->context;
	struct weft_hw_request request = {
		.type = WEFT_HW_REQUEST_CONTEXT_STOP,
		.context = context->id,
	};

	weft_context_fault(context, &fault_timeout);
	if (weft_ring_call_timeout(wdev, &request, HEARTBEAT_PATIENCE))
		return false;
	/* Its own answer was lost, if it is still there. */
	if (weft_ring_forget(wdev, &job->call))
		weft_job_fail(job, &fault_timeout, -ETIME);
	return true;
}

/* Blame a job, if there is one to blame, and have it ended. */
static void look(struct weft_device *wdev)
{
	bool alive = firmware_alive(wdev);
	struct weft_job *blamed = alive ? find_stuck(wdev) : NULL;

	if (blamed)
		drm_err_ratelimited(&wdev->drm, "context %u, queue %u, job %llu: no progress\n",
				    blamed->queue->context->id, blamed->queue->hw_id, blamed->number);
	else if (!alive)
		drm_err_ratelimited(&wdev->drm, "the firmware is silent\n");
	if (!alive || blamed)
		weft_coredump(wdev, blamed, blamed ? &fault_timeout : NULL, "job timed out");
	if (!alive || (blamed && !stop_context(wdev, blamed)))
		reset_device(wdev, blamed);
	if (blamed)
		weft_job_put(blamed);
}

static void timeout_work(struct work_struct *work)
{
	struct weft_device *wdev = container_of(work, struct weft_device, timeout_work);
	bool cookie;
	int idx;

	/* Asleep, it has no job. */
	if (pm_runtime_get_if_active(wdev->drm.dev) <= 0)
		return;
	if (drm_dev_enter(&wdev->drm, &idx)) {
		/* See reset_work(). */
		drm_sched_stop(&wdev->sched, NULL);
		cookie = dma_fence_begin_signalling();
		weft_ring_poll(wdev);
		if (!weft_device_dead(wdev) && !wdev->asleep)
			look(wdev);
		resume(wdev);
		dma_fence_end_signalling(cookie);
		drm_dev_exit(idx);
	}
	weft_pm_put(wdev);
}

/**
 * struct sleep_work - a change of sleep, carried out on the queue of resets
 * @work: the work
 * @wdev: the device
 */
struct sleep_work {
	struct work_struct work;
	struct weft_device *wdev;
};

static void sleep_work(struct work_struct *work)
{
	struct weft_device *wdev = container_of(work, struct sleep_work, work)->wdev;
	int ret;

	drm_sched_stop(&wdev->sched, NULL);
	ret = stop_device(wdev);
	collect(wdev, NULL, !ret, true);
	weft_ring_cancel_calls(wdev);
	if (ret)
		weft_device_die(wdev);
	wdev->asleep = true;
}

static void wake_work(struct work_struct *work)
{
	struct weft_device *wdev = container_of(work, struct sleep_work, work)->wdev;
	bool cookie = dma_fence_begin_signalling();

	wdev->asleep = false;
	start_device(wdev, weft_device_dead(wdev) ? -ENODEV : 0);
	settle(wdev, NULL);
	weft_ring_release(wdev);
	resume(wdev);
	dma_fence_end_signalling(cookie);
}

static void run_sleep_work(struct weft_device *wdev, work_func_t function)
{
	struct sleep_work work = { .wdev = wdev };

	INIT_WORK_ONSTACK(&work.work, function);
	queue_work(wdev->reset_wq, &work.work);
	flush_work(&work.work);
	destroy_work_on_stack(&work.work);
}

/**
 * weft_reset_sleep() - stop the device for a while
 * @wdev: the device
 * @system: the whole system goes to sleep: jobs are kept for weft_reset_wake().
 *	Otherwise there are none, as each keeps the device awake.
 *
 * Return: 0, or -EBUSY (not for @system).  A device that does not obey is dead.
 */
int weft_reset_sleep(struct weft_device *wdev, bool system)
{
	if (!system && (work_busy(&wdev->reset_work) || work_busy(&wdev->timeout_work)))
		return -EBUSY;
	cancel_delayed_work_sync(&wdev->watchdog);
	if (system) {
		run_sleep_work(wdev, sleep_work);
		return 0;
	}
	if (stop_device(wdev))
		weft_device_die(wdev);
	weft_ring_cancel_calls(wdev);
	wdev->asleep = true;
	return 0;
}

/**
 * weft_reset_wake() - start the device again, and have the jobs that were kept go on
 * @wdev: the device; dead, if it does not start
 * @system: as in weft_reset_sleep()
 */
void weft_reset_wake(struct weft_device *wdev, bool system)
{
	if (system) {
		run_sleep_work(wdev, wake_work);
		return;
	}
	wdev->asleep = false;
	start_device(wdev, 0);
	weft_ring_release(wdev);
}

/**
 * weft_reset_init() - set up, at probe
 * @wdev: the device
 */
void weft_reset_init(struct weft_device *wdev)
{
	INIT_WORK(&wdev->reset_work, reset_work);
	INIT_WORK(&wdev->timeout_work, timeout_work);
	INIT_WORK(&wdev->wedged_work, wedged_work);
	INIT_DELAYED_WORK(&wdev->watchdog, watchdog_work);
}

/**
 * weft_reset_stop() - end everything, at removal
 * @wdev: the device, unplugged: nothing enters it any more
 */
void weft_reset_stop(struct weft_device *wdev)
{
	/* For good: a request that is just being put into the ring would start it again. */
	disable_delayed_work_sync(&wdev->watchdog);
	weft_device_die(wdev);
	/* They find it unplugged; after this none is running. */
	cancel_work_sync(&wdev->reset_work);
	cancel_work_sync(&wdev->timeout_work);
	drm_sched_stop(&wdev->sched, NULL);
	end_all(wdev);
	resume(wdev);
}
