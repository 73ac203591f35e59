/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __WEFT_QUEUE_H__
#define __WEFT_QUEUE_H__

#include <drm/gpu_scheduler.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/spinlock.h>
#include <linux/wait.h>

#include <weft_isa.h>

struct drm_device;
struct drm_file;
struct weft_client;
struct weft_context;
struct weft_usage;

/**
 * struct weft_queue - runs jobs one after another
 * @refs: held by the file and by jobs
 * @context: its context, referenced
 * @usage: of the client, referenced
 * @entity: its place in the scheduler
 * @lock: keeps the order of numbering, arming and pushing jobs
 * @hw_id: the firmware's number for it: it runs jobs of one number in order
 * @priority: the firmware's: 0 to 2
 * @fence_context: of the device's fences
 * @submitted: jobs so far; protected by @lock
 * @waiting: of them, those that the scheduler has not handed over
 * @jobs_lock: protects @jobs and @ended; taken in interrupts
 * @jobs: those that have not ended, in the order of their numbers
 * @ended: number of the last job before which, and itself, all have ended
 * @waiters: woken when @ended grows
 * @typical_ns: how long jobs have kept an engine busy lately; a hint
 * @polls_skipped: waits that shall not poll before one does again; a hint
 * @polls_to_skip: how many that were after the last poll in vain
 * @completed: jobs ended
 * @failed: number of the first that failed, 0 if none
 * @fault: of the job @failed; protected by weft_context.fault_lock
 * @stopped: user space is done with it; protected by @lock
 */
struct weft_queue {
	struct kref refs;
	struct weft_context *context;
	struct weft_usage *usage;
	struct drm_sched_entity entity;
	struct mutex lock; /* of @submitted and @stopped */
	u32 hw_id;
	u32 priority;
	u64 fence_context;
	u64 submitted;
	atomic_t waiting;
	spinlock_t jobs_lock; /* of @jobs and @ended */
	struct list_head jobs;
	u64 ended;
	wait_queue_head_t waiters;
	u64 typical_ns;
	u32 polls_skipped;
	u32 polls_to_skip;
	atomic64_t completed;
	atomic64_t failed;
	struct weft_fault_record fault;
	bool stopped;
};

struct weft_queue *weft_queue_lookup(struct weft_client *client, u32 id);
struct weft_queue *weft_queue_get(struct weft_queue *queue);
struct weft_queue *weft_queue_take(struct weft_client *client, struct weft_context *context);
void weft_queue_put(struct weft_queue *queue);
void weft_queue_fault(struct weft_queue *queue, u64 job, const struct weft_fault_record *fault);
void weft_queue_stop(struct weft_queue *queue);

int weft_queue_create_ioctl(struct drm_device *drm, void *data, struct drm_file *file);
int weft_queue_destroy_ioctl(struct drm_device *drm, void *data, struct drm_file *file);

#endif
