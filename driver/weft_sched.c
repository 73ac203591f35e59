// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: scheduling
 *
 * One drm_gpu_scheduler per device; its credits are the firmware's job slots, and a
 * queue is an entity of it.  A job is a stream with commands for all engines, and
 * the firmware interleaves the commands of all jobs that it holds, by priority: so
 * one scheduler per engine would have to split jobs, and two jobs that each hold
 * one engine and wait for the other's could lock one another up.  Jobs of one queue
 * are kept in order by the firmware, so they are handed over without waiting for
 * one another.
 *
 * Jobs are handed over on the processor that submitted them: the workqueue is bound to
 * processors, because waking another one can cost more than the rest of a submission.
 * An idle device gets a job at once, see weft_sched_hurry(); one that is busy gets jobs
 * when the submitter has submitted what it had, so that many go over together.  The
 * workqueue need not be ordered: run_job is one work item, which never runs twice at a
 * time, and free_job touches only jobs that have ended.
 */
#include <drm/drm_drv.h>
#include <drm/drm_managed.h>

#include "weft_compat.h"
#include "weft_device.h"
#include "weft_inject.h"
#include "weft_job.h"
#include "weft_reset.h"
#include "weft_sched.h"

static struct dma_fence *sched_run_job(struct drm_sched_job *job)
{
	struct dma_fence *fence;
	bool cookie;

	cookie = dma_fence_begin_signalling();
	fence = weft_job_run(to_weft_job(job));
	dma_fence_end_signalling(cookie);
	return fence;
}

static enum drm_gpu_sched_stat sched_timedout_job(struct drm_sched_job *job)
{
	weft_reset_timeout(container_of(job->sched, struct weft_device, sched), to_weft_job(job));
	return WEFT_SCHED_STAT_OK;
}

static void sched_free_job(struct drm_sched_job *job)
{
	weft_job_free(to_weft_job(job));
}

static const struct drm_sched_backend_ops sched_ops = {
	.run_job = sched_run_job,
	.timedout_job = sched_timedout_job,
	.free_job = sched_free_job,
};

/**
 * weft_sched_stop_entity() - take an entity from the scheduler, and cancel its jobs that have not started
 * @wdev: the device
 * @entity: the entity, to which nothing is pushed any more
 *
 * drm_sched_entity_fini() takes the entity out of the run queue's tree, waits until the
 * scheduler has done with it, and empties it.  But a scheduler that is just taking a job
 * from it and sees another behind that puts the entity into the tree again, after it was
 * taken out; then the entity is emptied from two sides, and freed while it is in the tree.
 * So no job of any queue is handed over meanwhile.  Disabling counts: this composes with
 * itself, and with a reset that stops or starts the scheduler.
 */
void weft_sched_stop_entity(struct weft_device *wdev, struct drm_sched_entity *entity)
{
	disable_work_sync(&wdev->sched.work_run_job);
	drm_sched_entity_fini(entity);
	enable_work(&wdev->sched.work_run_job);
	/* What was pushed meanwhile could not queue it.  A stopped scheduler ignores this. */
	queue_work(wdev->submit_wq, &wdev->sched.work_run_job);
}

/**
 * weft_sched_hurry() - if the device has nothing to do, hand over what was pushed now
 * @wdev: the device
 *
 * The submitter makes way for the scheduler's work, which would otherwise run when it
 * sleeps or its time is over.
 */
void weft_sched_hurry(struct weft_device *wdev)
{
	if (weft_ring_idle(wdev))
		flush_work(&wdev->sched.work_run_job);
}

/* User space is gone by now, so no job is left. */
static void sched_fini(struct drm_device *drm, void *unused)
{
	drm_sched_fini(&to_weft_device(drm)->sched);
}

/**
 * weft_sched_setup() - make the scheduler
 * @wdev: the device, whose firmware has told its slots
 *
 * Return: 0 or a negative errno value.
 */
int weft_sched_setup(struct weft_device *wdev)
{
	int ret;

	ret = weft_try(weft_sched_init(&wdev->sched, &sched_ops, wdev->submit_wq, wdev->hw.slots,
				       msecs_to_jiffies(weft_job_timeout_ms), wdev->reset_wq, "weft",
				       &wdev->pdev->dev));
	if (ret)
		return ret;
	return drmm_add_action_or_reset(&wdev->drm, sched_fini, NULL);
}
