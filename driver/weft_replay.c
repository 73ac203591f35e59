// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: going on after a device reset
 *
 * A command stream must not be executed twice: an optimizer step, or any command that
 * works in place, would give other results.  So a job that the device held is not
 * started again after a reset, it goes on: the device tells how many commands each
 * engine has completed for it, and the job is handed over with these counts
 * (weft_hw_request.skip).  Each engine executes its commands of a stream in order, so
 * the counts say exactly which commands were executed; semaphores follow from them.
 *
 * The counts are those of the firmware, which stopped somewhere, corrected by the
 * device's own record of the command that each engine held at the reset.  They are read
 * after the reset, when nothing changes them, and before the boot, which clears them.
 *
 * A job does not go on, and ends with an error, where that would not be right:
 *
 *  - one of its commands was stopped half-way or has failed: what that wrote is unknown;
 *  - the device took it, and knows nothing of it any more: its answer was lost;
 *  - what the device says contradicts itself;
 *  - its commands were at the engines in too many resets: it may be what breaks the device.
 *
 * Memory of the device must keep its contents in a reset, as weft_hw.h demands.  Where a
 * board cannot promise that, the device reports such commands as stopped half-way.
 */
#include <linux/io-64-nonatomic-lo-hi.h>

#include <drm/drm_print.h>

#include "weft_context.h"
#include "weft_device.h"
#include "weft_job.h"
#include "weft_queue.h"
#include "weft_replay.h"

/* Resets with a command of the job at an engine that it may go through. */
#define MOST_STRIKES 2

/**
 * weft_replay_read_slot() - where does the mailbox hold the job?
 * @wdev: the device
 * @job: the job
 * @status: filled in
 * @slot: number of the slot, filled in
 *
 * The answer of a running device is only a hint.
 *
 * Return: false: nowhere.
 */
bool weft_replay_read_slot(struct weft_device *wdev, const struct weft_job *job, struct weft_hw_slot_status *status,
			   u32 *slot)
{
	for (*slot = 0; *slot < wdev->hw.slots; (*slot)++) {
		memcpy_fromio(status, wdev->control + offsetof(struct weft_hw_mailbox, slot) + *slot * sizeof(*status),
			      sizeof(*status));
		if (status->context == job->request.context && status->sequence == job->call.sequence)
			return true;
	}
	return false;
}

/**
 * weft_replay_on_engine() - is an engine at work for the job?
 * @wdev: the device
 * @job: the job
 *
 * Return: the mailbox says so; of a running device only a hint.
 */
bool weft_replay_on_engine(struct weft_device *wdev, const struct weft_job *job)
{
	for (unsigned int i = 0; i < WEFT_ENGINES; i++) {
		const void __iomem *engine = wdev->control + offsetof(struct weft_hw_mailbox, engine) +
					     i * sizeof(struct weft_hw_engine_status);

		if (ioread32(engine + offsetof(struct weft_hw_engine_status, context)) == job->request.context &&
		    ioread32(engine + offsetof(struct weft_hw_engine_status, sequence)) == job->call.sequence)
			return true;
	}
	return false;
}

/**
 * weft_replay_not_taken() - is the job still in the request ring?
 * @wdev: the device
 * @job: the job, whose call is, or was last, in the ring
 *
 * Of a running device only a hint.
 *
 * Return: true: the firmware has not taken it from there, by its own word.
 */
bool weft_replay_not_taken(struct weft_device *wdev, const struct weft_job *job)
{
	u32 waiting = wdev->ring.tail - weft_mailbox_read32(wdev, request_head);

	return waiting <= wdev->hw.request_entries && wdev->ring.tail - job->call.index <= waiting;
}

/* Add the command that the engine held at the reset to @completed.  False: the job cannot go on. */
static bool add_last(struct weft_device *wdev, const struct weft_job *job, unsigned int engine, u32 *completed)
{
	struct weft_hw_engine_last last;

	memcpy_fromio(&last, wdev->control + offsetof(struct weft_hw_mailbox, last) + engine * sizeof(last),
		      sizeof(last));
	if (last.outcome == WEFT_HW_LAST_NONE || last.sequence != job->call.sequence)
		return true;
	if (last.outcome != WEFT_HW_LAST_COMPLETED)
		return false;
	/* The firmware may have counted it, and not have said so to the engine. */
	if (last.ordinal == *completed)
		(*completed)++;
	return *completed && last.ordinal == *completed - 1;
}

static bool read_progress(struct weft_device *wdev, const struct weft_job *job, u32 slot,
			  struct weft_hw_slot_progress *progress)
{
	const u32 most = job->request.bytes / sizeof(struct weft_cmd);
	u64 sum = 0;

	memcpy_fromio(progress, wdev->control + offsetof(struct weft_hw_mailbox, progress) + slot * sizeof(*progress),
		      sizeof(*progress));
	for (unsigned int i = 0; i < WEFT_ENGINES; i++) {
		u32 *completed = &progress->completed[i];

		/* WEFT_HW_PROGRESS_FAULT is more than any stream has, too. */
		if (*completed < job->request.skip[i] || *completed > most || !add_last(wdev, job, i, completed))
			return false;
		sum += *completed;
	}
	return sum <= most;
}

/**
 * weft_replay_prepare() - can the job go on, and where?
 * @wdev: the device, which was reset and not booted
 * @job: a job that the device held
 * @strike: it counts against the job if a command of it was at an engine
 *
 * Return: true: its request says where it goes on.
 */
bool weft_replay_prepare(struct weft_device *wdev, struct weft_job *job, bool strike)
{
	struct weft_hw_slot_progress progress;
	struct weft_hw_slot_status status;
	u32 slot;

	if (!weft_replay_read_slot(wdev, job, &status, &slot))
		return weft_replay_not_taken(wdev, job);
	if (strike && weft_replay_on_engine(wdev, job) && ++job->strikes > MOST_STRIKES)
		return false;
	if (!read_progress(wdev, job, slot, &progress))
		return false;
	memcpy(job->request.skip, progress.completed, sizeof(job->request.skip));
	drm_dbg(&wdev->drm, "context %u, queue %u, job %llu: goes on after %u, %u, %u commands\n",
		job->queue->context->id, job->queue->hw_id, job->number, progress.completed[0], progress.completed[1],
		progress.completed[2]);
	return true;
}
