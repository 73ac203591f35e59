// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: time-outs and resets
 *
 * What can go wrong, and what is done, smallest first:
 *
 *  - A command runs too long: the firmware aborts it and faults its context.  The
 *    driver sees an event.
 *  - An interrupt was lost: the watchdog takes the events that are there.
 *  - A job makes no progress from one time-out to the next while the firmware is
 *    alive: its context is stopped by the firmware, and blamed.
 *  - The heartbeat stops, or the firmware does not answer: the device is reset.  Jobs
 *    that had not started a command are handed over again; the job that timed out is
 *    blamed, the others that had started are cancelled, since doing half of a stream
 *    twice would give wrong results.
 *  - The reset does not work: the device is dead, and everything ends with ENODEV.
 *
 * The scheduler's time-out and all resets run on one ordered workqueue.
 */
#include <linux/io-64-nonatomic-lo-hi.h>

#include <drm/drm_drv.h>
#include <drm/drm_print.h>

#include "weft_compat.h"
#include "weft_context.h"
#include "weft_coredump.h"
#include "weft_device.h"
#include "weft_fw.h"
#include "weft_job.h"
#include "weft_queue.h"
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

static void watchdog_work(struct work_struct *work)
{
	struct weft_device *wdev = container_of(work, struct weft_device, watchdog.work);
	int idx;

	if (!drm_dev_enter(&wdev->drm, &idx))
		return;
	if (!weft_device_dead(wdev)) {
		if (weft_ring_poll(wdev))
			drm_dbg(&wdev->drm, "events without an interrupt\n");
		if (!firmware_alive(wdev))
			weft_reset_request(wdev, "the heartbeat has stopped");
		else if (anything_unanswered(wdev))
			queue_delayed_work(weft_release_wq, &wdev->watchdog, WATCHDOG_PERIOD);
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
	struct weft_job *job;

	list_for_each_entry(job, &wdev->sched.pending_list, base.list) {
		if (!job->base.s_fence->parent)
			job->base.s_fence->parent = dma_fence_get(job->fence);
	}
	weft_sched_start(&wdev->sched);
}

/* Where does the mailbox hold the job?  The answer is only a hint. */
static bool read_slot(struct weft_device *wdev, const struct weft_job *job, struct weft_hw_slot_status *status)
{
	for (u32 slot = 0; slot < wdev->hw.slots; slot++) {
		memcpy_fromio(status, wdev->control + offsetof(struct weft_hw_mailbox, slot) + slot * sizeof(*status),
			      sizeof(*status));
		if (status->context && status->sequence == job->call.sequence)
			return true;
	}
	return false;
}

/* Is an engine at work for the job? */
static bool on_engine(struct weft_device *wdev, const struct weft_job *job)
{
	for (unsigned int i = 0; i < WEFT_ENGINES; i++) {
		const void __iomem *engine = wdev->control + offsetof(struct weft_hw_mailbox, engine) +
					     i * sizeof(struct weft_hw_engine_status);

		if (ioread32(engine + offsetof(struct weft_hw_engine_status, context)) &&
		    ioread32(engine + offsetof(struct weft_hw_engine_status, sequence)) == job->call.sequence)
			return true;
	}
	return false;
}

/* Did the job start or complete a command since the last time-out, or does it only wait for its turn? */
static bool made_progress(struct weft_device *wdev, struct weft_job *job)
{
	struct weft_hw_slot_status status;
	bool progress;

	/* Not held by the device, and not answered: its answer was lost. */
	if (!read_slot(wdev, job, &status))
		return false;
	progress = !job->seen || status.started != job->seen_started || status.completed != job->seen_completed ||
		   !on_engine(wdev, job);
	job->seen = true;
	job->seen_started = status.started;
	job->seen_completed = status.completed;
	return progress;
}

/*
 * The job to blame, among all that the device holds: the one that timed out may only
 * wait for an engine that another occupies.
 */
static struct weft_job *find_stuck(struct weft_device *wdev)
{
	struct weft_job *job, *stuck = NULL;

	list_for_each_entry(job, &wdev->sched.pending_list, base.list) {
		if (!dma_fence_is_signaled(job->fence) && !made_progress(wdev, job) && !stuck)
			stuck = job;
	}
	return stuck;
}

/* The firmware is silent: whoever was on an engine, the job that timed out rather than another. */
static struct weft_job *find_running(struct weft_device *wdev, struct weft_job *timed_out)
{
	struct weft_job *job;

	if (on_engine(wdev, timed_out))
		return timed_out;
	list_for_each_entry(job, &wdev->sched.pending_list, base.list) {
		if (on_engine(wdev, job))
			return job;
	}
	return NULL;
}

static bool not_started(struct weft_device *wdev, const struct weft_job *job)
{
	struct weft_hw_slot_status status;

	return read_slot(wdev, job, &status) && !status.started;
}

/* End or resubmit every job that the device held; @blamed may be NULL. */
static void settle_job(struct weft_device *wdev, struct weft_job *job, struct weft_job *blamed, bool again)
{
	if (weft_device_dead(wdev))
		weft_job_fail(job, &fault_cancelled, -ENODEV);
	else if (job == blamed)
		weft_job_fail(job, &fault_timeout, -ETIME);
	else if (!again || READ_ONCE(job->queue->context->banned) || weft_job_resubmit(job))
		weft_job_fail(job, &fault_cancelled, -ECANCELED);
}

static int restart(struct weft_device *wdev)
{
	struct weft_context *context;
	int ret;

	ret = weft_fw_reset(wdev);
	if (ret)
		return ret;
	/* Nobody will answer what was asked before. */
	weft_ring_cancel_calls(wdev);
	weft_ring_open(wdev);
	ret = weft_fw_boot(wdev);
	if (ret)
		return ret;
	wdev->heartbeat_seen = jiffies;
	mutex_lock(&wdev->objects_lock);
	list_for_each_entry(context, &wdev->contexts, link) {
		if (!context->opened)
			continue;
		ret = weft_context_reopen_in_reset(context);
		if (ret)
			break;
	}
	mutex_unlock(&wdev->objects_lock);
	return ret;
}

/*
 * Reset the device.  The scheduler is stopped: its pending jobs, without their
 * callbacks, are those that the device held.
 */
static void reset_device(struct weft_device *wdev, struct weft_job *blamed)
{
	struct weft_job *job, *held[WEFT_HW_MAX_SLOTS];
	bool again[WEFT_HW_MAX_SLOTS];
	unsigned int count = 0;

	atomic64_inc(&wdev->resets);
	drm_warn(&wdev->drm, "resetting the device\n");
	weft_ring_poll(wdev);
	weft_ring_close(wdev);
	list_for_each_entry(job, &wdev->sched.pending_list, base.list) {
		if (count == ARRAY_SIZE(held) || !weft_ring_forget(wdev, &job->call))
			continue;
		again[count] = not_started(wdev, job);
		held[count++] = job;
	}
	if (restart(wdev)) {
		drm_err(&wdev->drm, "the device is given up\n");
		weft_device_die(wdev);
		weft_ring_cancel_calls(wdev);
	}
	for (unsigned int i = 0; i < count; i++)
		settle_job(wdev, held[i], blamed, again[i]);
}

static void reset_work(struct work_struct *work)
{
	struct weft_device *wdev = container_of(work, struct weft_device, reset_work);
	int idx;

	if (!drm_dev_enter(&wdev->drm, &idx))
		return;
	if (!weft_device_dead(wdev)) {
		weft_coredump(wdev, NULL, "device reset");
		drm_sched_stop(&wdev->sched, NULL);
		reset_device(wdev, NULL);
		resume(wdev);
	}
	drm_dev_exit(idx);
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
	drm_sched_fault(&wdev->sched);
}

/* Likewise at removal: stop it, if it listens, and end everything. */
static void end_all(struct weft_device *wdev)
{
	struct weft_job *job;

	weft_fw_reset(wdev);
	weft_ring_cancel_calls(wdev);
	list_for_each_entry(job, &wdev->sched.pending_list, base.list) {
		if (weft_ring_forget(wdev, &job->call))
			weft_job_fail(job, &fault_cancelled, -ENODEV);
	}
}

/* Have the firmware stop the job's context.  False: it did not. */
static bool stop_context(struct weft_device *wdev, struct weft_job *job)
{
	struct weft_context *context = job->queue->context;

	weft_context_fault(context, &fault_timeout);
	if (weft_ring_call_timeout(wdev, &(struct weft_hw_request){ .type = WEFT_HW_REQUEST_CONTEXT_STOP,
								    .context = context->id },
				   HEARTBEAT_PATIENCE))
		return false;
	/* Its own answer was lost, if it is still there. */
	if (weft_ring_forget(wdev, &job->call))
		weft_job_fail(job, &fault_timeout, -ETIME);
	return true;
}

/**
 * weft_reset_timeout() - the oldest job has taken longer than the scheduler allows
 * @wdev: the device
 * @job: the job
 */
void weft_reset_timeout(struct weft_device *wdev, struct weft_job *job)
{
	int idx;

	/* Puts the job back in its list, and frees it if it has ended. */
	drm_sched_stop(&wdev->sched, &job->base);
	if (wdev->sched.free_guilty)
		goto out;
	if (!drm_dev_enter(&wdev->drm, &idx))
		goto out;
	weft_ring_poll(wdev);
	if (!weft_device_dead(wdev)) {
		bool alive = firmware_alive(wdev);
		struct weft_job *blamed = alive ? find_stuck(wdev) : find_running(wdev, job);

		if (blamed)
			drm_err(&wdev->drm, "context %u, queue %u, job %llu: no progress, firmware %s\n",
				blamed->queue->context->id, blamed->queue->hw_id, blamed->number,
				alive ? "alive" : "silent");
		if (!alive || blamed)
			weft_coredump(wdev, blamed, "job timed out");
		if (!alive || (blamed && !stop_context(wdev, blamed)))
			reset_device(wdev, blamed);
	}
	drm_dev_exit(idx);
out:
	resume(wdev);
}

void weft_reset_init(struct weft_device *wdev)
{
	INIT_WORK(&wdev->reset_work, reset_work);
	INIT_DELAYED_WORK(&wdev->watchdog, watchdog_work);
}

/**
 * weft_reset_stop() - end everything, at removal
 * @wdev: the device, unplugged: nothing enters it any more
 */
void weft_reset_stop(struct weft_device *wdev)
{
	cancel_delayed_work_sync(&wdev->watchdog);
	weft_device_die(wdev);
	/* Time-outs find it unplugged; after this none is running. */
	cancel_work_sync(&wdev->reset_work);
	drm_sched_stop(&wdev->sched, NULL);
	end_all(wdev);
	resume(wdev);
}
