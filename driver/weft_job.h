/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __WEFT_JOB_H__
#define __WEFT_JOB_H__

#include <drm/gpu_scheduler.h>
#include <linux/kref.h>
#include <linux/ktime.h>

#include <weft_hw.h>

#include "weft_ring.h"

struct drm_device;
struct drm_file;
struct weft_fence;
struct weft_queue;

/**
 * struct weft_job - a job
 * @refs: held by the scheduler, or the ring's table where that does not know the job
 * @base: the scheduler's part, unless weft_call.direct
 * @call: the request to the firmware
 * @request: it
 * @queue: its queue, referenced
 * @spare_fence: memory for @fence, until it runs
 * @fence: of the device; set when it runs; NULL where nobody has asked for one
 * @number: in its queue, from 1
 * @link: in weft_queue.jobs until it has ended
 * @started_at: when it was handed to the device
 * @pending: it has not ended, and is counted in weft_context.pending
 * @waiting: it is counted in weft_queue.waiting
 * @strikes: device resets while a command of it was at an engine
 * @seen_started: time-out handler: slot_status.started when it looked last
 * @seen_completed: likewise, .completed
 * @seen_at: jiffies when it saw progress last
 * @seen: it has looked
 */
struct weft_job {
	struct kref refs;
	struct drm_sched_job base;
	struct weft_call call;
	struct weft_hw_request request;
	struct weft_queue *queue;
	struct weft_fence *spare_fence;
	struct dma_fence *fence;
	u64 number;
	struct list_head link;
	ktime_t started_at;
	bool pending;
	bool waiting;
	u32 strikes;
	u32 seen_started;
	u32 seen_completed;
	unsigned long seen_at;
	bool seen;
};

static inline struct weft_job *to_weft_job(struct drm_sched_job *job)
{
	return container_of(job, struct weft_job, base);
}

struct dma_fence *weft_job_run(struct weft_job *job);
int weft_job_resubmit(struct weft_job *job);
void weft_job_fail(struct weft_job *job, const struct weft_fault_record *fault, int error);
void weft_job_put(struct weft_job *job);

int weft_submit_ioctl(struct drm_device *drm, void *data, struct drm_file *file);

#endif
