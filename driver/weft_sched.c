// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: scheduling
 *
 * The firmware schedules: it holds many jobs, interleaves their commands by priority, and
 * runs the jobs of one queue one after another.  So a job that has nothing to wait for goes
 * to the firmware in the ioctl that submits it: its dependencies have signalled or are
 * earlier jobs of its queue, the firmware has a slot, and no earlier job of its queue is
 * still with the scheduler.  That saves the way through a worker, which costs more than
 * all the rest of a short job.
 *
 * All others go to the drm_gpu_scheduler, one per device, of which a queue is an entity:
 * it waits for their dependencies and, by priority, for slots.  Half of the slots are its
 * own, as its credits, so that jobs which go past it cannot keep out those that it has, whatever
 * their priority.  One scheduler per engine would have to split jobs, which are streams
 * with commands for all engines, and two jobs that each hold one engine and wait for the
 * other's could lock one another up.
 *
 * Jobs are handed over by the scheduler on the processor that submitted them: the workqueue
 * is bound to processors, because waking another one can cost more than the rest of a
 * submission.  A device that has little to do gets a job at once, see weft_sched_hurry().  The workqueue
 * need not be ordered: run_job is one work item, which never runs twice at a time, and
 * free_job touches only jobs that have ended.
 *
 * The scheduler has no time-out of its own: jobs that it does not know have one too, see
 * weft_reset.c.
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

static void sched_free_job(struct drm_sched_job *job)
{
	weft_job_put(to_weft_job(job));
}

static const struct drm_sched_backend_ops sched_ops = {
	.run_job = sched_run_job,
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
 * weft_sched_hurry() - if the device has little to do, hand over what was pushed now
 * @wdev: the device
 *
 * The submitter makes way for the scheduler's work, which would otherwise run when it
 * sleeps or its time is over; meanwhile all that it submits would have to queue up there.
 */
void weft_sched_hurry(struct weft_device *wdev)
{
	if (weft_ring_jobs(wdev) <= wdev->direct_slots / 2)
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

	wdev->direct_slots = wdev->hw.slots / 2;
	ret = weft_try(weft_sched_init(&wdev->sched, &sched_ops, wdev->submit_wq, wdev->hw.slots - wdev->direct_slots,
				       MAX_SCHEDULE_TIMEOUT, wdev->reset_wq, "weft", &wdev->pdev->dev));
	if (ret)
		return ret;
	return drmm_add_action_or_reset(&wdev->drm, sched_fini, NULL);
}
