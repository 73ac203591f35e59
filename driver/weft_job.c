// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: jobs
 *
 * Everything that a job needs is allocated in the ioctl; from numbering on nothing can
 * fail.  A job ends once: by its event, or by weft_job_fail() of whoever has taken
 * its call back from the ring.
 *
 * A job that is ready goes to the device at once, and the scheduler never knows it: its
 * fence is the device's, and it is freed when it ends.  Others go through the scheduler.
 * See weft_sched.c for which.
 */
#include <drm/drm_drv.h>
#include <drm/drm_print.h>

#include <drm/weft_accel.h>

#include "weft_client.h"
#include "weft_compat.h"
#include "weft_context.h"
#include "weft_device.h"
#include "weft_fence.h"
#include "weft_inject.h"
#include "weft_job.h"
#include "weft_pm.h"
#include "weft_queue.h"
#include "weft_sched.h"
#include "weft_sync.h"
#include "weft_trace.h"

static const struct weft_fault_record cancelled = { .reason = WEFT_FAULT_CANCELLED, .operand = 0xff };

static struct weft_device *job_device(const struct weft_job *job)
{
	return job->queue->context->wdev;
}

/* From here on the job is known by its number. */
static void job_begin(struct weft_job *job)
{
	struct weft_queue *queue = job->queue;
	struct weft_context *context = queue->context;

	lockdep_assert_held(&queue->lock);
	weft_queue_get(queue);		  /* the job's */
	weft_pm_get_awake(context->wdev); /* likewise */
	job->pending = true;
	atomic_inc(&context->pending);
	atomic_inc(&context->wdev->counts.jobs);
	job->number = ++queue->submitted;
	spin_lock_irq(&queue->jobs_lock);
	list_add_tail(&job->link, &queue->jobs);
	spin_unlock_irq(&queue->jobs_lock);
	trace_weft_job_submit(context->id, queue->hw_id, queue->fence_context, job->number);
}

/* Jobs of a queue end in order, but for those that a reset ends. */
static void queue_advance(struct weft_queue *queue, struct weft_job *job)
{
	struct weft_job *first;
	unsigned long flags;
	u64 ended;

	spin_lock_irqsave(&queue->jobs_lock, flags);
	list_del(&job->link);
	first = list_first_entry_or_null(&queue->jobs, struct weft_job, link);
	ended = first ? first->number - 1 : max(queue->ended, job->number);
	/* Read without the lock, by who then looks at what the job has written. */
	smp_store_release(&queue->ended, ended);
	spin_unlock_irqrestore(&queue->jobs_lock, flags);
	if (wq_has_sleeper(&queue->waiters))
		wake_up_all(&queue->waiters);
}

/* Before the fence signals, so that who has waited for it sees the counts of after. */
static void job_count_end(struct weft_job *job, int error)
{
	struct weft_queue *queue = job->queue;

	if (!job->pending)
		return;
	job->pending = false;
	if (error)
		weft_queue_fault(queue, job->number, &cancelled);
	atomic64_inc(&queue->completed);
	atomic_dec(&queue->context->pending);
	queue_advance(queue, job);
}

/* It is not behind the scheduler any more that later jobs of the queue have to stay. */
static void job_handed_over(struct weft_job *job)
{
	if (!job->waiting)
		return;
	job->waiting = false;
	/* What was put into the ring comes before what is put there by whoever sees this. */
	atomic_dec_return_release(&job->queue->waiting);
}

/* The last that happens to a running job: it may be freed once the fence has signalled. */
static void job_end(struct weft_job *job, int error)
{
	struct dma_fence *fence = job->fence;
	struct weft_queue *queue = job->queue;
	bool direct = job->call.direct;

	trace_weft_job_end(queue->context->id, queue->hw_id, queue->fence_context, job->number, error);
	job_count_end(job, error);
	if (fence) {
		dma_fence_get(fence);
		if (error)
			dma_fence_set_error(fence, error);
		dma_fence_signal(fence);
		dma_fence_put(fence);
	}
	if (direct)
		weft_job_put(job);
}

/*
 * The device's numbers are not trusted: an engine cannot have been busy longer than
 * the job, and one job cannot move a total by more than a small part of its range.
 */
static void account(struct weft_job *job, const struct weft_hw_event *event)
{
	s64 elapsed = max_t(s64, ktime_to_ns(ktime_sub(ktime_get(), job->started_at)), 0);
	struct weft_queue *queue = job->queue;
	struct weft_usage *usage = queue->usage;
	const u64 most = 1ULL << 50;
	u64 longest_ns = 0;

	for (unsigned int i = 0; i < WEFT_ENGINES; i++) {
		const struct weft_hw_job_engine *engine = &event->engine[i];

		/* Most jobs use few engines. */
		if (!engine->commands && !engine->busy_ns)
			continue;
		longest_ns = max(longest_ns, min_t(u64, engine->busy_ns, elapsed));
		atomic64_add(min_t(u64, engine->busy_ns, elapsed), &usage->engine[i].busy_ns);
		atomic64_add(min(engine->commands, most), &usage->engine[i].commands);
		atomic64_add(min(engine->cycles, most), &usage->engine[i].cycles);
		atomic64_add(min(engine->picojoules, most), &usage->engine[i].picojoules);
		atomic64_add(min(engine->bytes, most), &usage->engine[i].bytes);
	}
	atomic64_inc(&usage->jobs);
	WRITE_ONCE(queue->typical_ns, (3 * queue->typical_ns + longest_ns) / 4);
}

static void job_complete(struct weft_call *call, const struct weft_hw_event *event)
{
	struct weft_job *job = container_of(call, struct weft_job, call);
	struct weft_fault_record fault;

	account(job, event);
	if (event->status == WEFT_HW_STATUS_OK) {
		job_end(job, 0);
		return;
	}
	fault = event->fault;
	if (event->status != WEFT_HW_STATUS_FAULT || !fault.reason || fault.reason >= WEFT_FAULTS)
		fault = (struct weft_fault_record){ .reason = WEFT_FAULT_ENGINE, .operand = 0xff };
	/* Not of the stream's making, perhaps: somebody will want to know what else was going on. */
	if (fault.reason == WEFT_FAULT_TIMEOUT || fault.reason == WEFT_FAULT_ENGINE)
		weft_coredump(job_device(job), job, &fault, "command timed out or engine failed");
	weft_job_fail(job, &fault, fault.reason == WEFT_FAULT_CANCELLED ? -ECANCELED : -EIO);
}

/**
 * weft_job_fail() - end a running job without success
 * @job: the job, whose call is not in the ring
 * @fault: why, for its context
 * @error: for its fence
 */
void weft_job_fail(struct weft_job *job, const struct weft_fault_record *fault, int error)
{
	weft_context_fault(job->queue->context, fault);
	weft_queue_fault(job->queue, job->number, fault);
	job_end(job, error);
}

/**
 * weft_job_run() - hand a job to the device
 * @job: the job, whose dependencies have signalled
 *
 * Allocates nothing.
 *
 * Return: a fence, or ERR_PTR.
 */
struct dma_fence *weft_job_run(struct weft_job *job)
{
	struct weft_context *context = job->queue->context;
	struct weft_device *wdev = job_device(job);
	int ret;

	if (weft_device_dead(wdev) || READ_ONCE(context->banned)) {
		ret = weft_device_dead(wdev) ? -ENODEV : -ECANCELED;
		job_handed_over(job);
		job_count_end(job, ret);
		return ERR_PTR(ret);
	}
	job->fence = weft_fence_init(job->spare_fence, job->queue->fence_context, job->number);
	job->spare_fence = NULL;
	job->started_at = ktime_get();
	dma_fence_get(job->fence); /* the scheduler's */
	trace_weft_job_run(context->id, job->queue->hw_id, job->fence->context, job->fence->seqno, job->request.bytes);
	job->call.complete = job_complete;
	ret = weft_ring_submit_job(wdev, &job->call, &job->request);
	job_handed_over(job);
	if (ret)
		job_end(job, ret);
	return job->fence;
}

/**
 * weft_job_resubmit() - hand a job to the device again, after a reset
 * @job: the job, whose call is not in the ring, and for which weft_replay_prepare() has
 *	told the request where to go on
 *
 * Return: 0 or -ENODEV.
 */
int weft_job_resubmit(struct weft_job *job)
{
	job->seen = false;
	return weft_ring_submit_job(job_device(job), &job->call, &job->request);
}

static void job_release(struct kref *refs)
{
	struct weft_job *job = container_of(refs, struct weft_job, refs);
	struct weft_queue *queue = job->queue;
	struct weft_device *wdev = job_device(job);

	if (!job->call.direct)
		drm_sched_job_cleanup(&job->base);
	dma_fence_put(job->fence);
	weft_fence_free(job->spare_fence);
	job_handed_over(job);		/* one that never ran */
	job_count_end(job, -ECANCELED); /* likewise */
	atomic_dec(&wdev->counts.jobs);
	weft_pm_put(wdev);
	kfree(job);
	weft_queue_put(queue);
}

/**
 * weft_job_put() - drop a reference to a job that has begun
 * @job: the job; freed with the last
 *
 * May be called with interrupts off.
 */
void weft_job_put(struct weft_job *job)
{
	kref_put(&job->refs, job_release);
}

/* Undo job_new(). */
static void job_discard(struct weft_job *job)
{
	weft_fence_free(job->spare_fence);
	kfree(job);
}

static struct weft_job *job_new(struct weft_queue *queue, const struct drm_weft_submit *args, bool with_fence)
{
	struct weft_job *job = weft_alloc(kzalloc(sizeof(*job), GFP_KERNEL_ACCOUNT));

	if (!job)
		return NULL;
	kref_init(&job->refs);
	job->queue = queue;
	job->request = (struct weft_hw_request){
		.type = WEFT_HW_REQUEST_JOB,
		.context = queue->context->id,
		.flags = weft_null_submission ? WEFT_HW_JOB_NULL : 0,
		.queue = queue->hw_id,
		.priority = queue->priority,
		.address = args->address,
		.bytes = args->bytes,
		.timeout_ns = queue->context->command_timeout_ns,
	};
	if (with_fence) {
		job->spare_fence = weft_fence_alloc();
		if (!job->spare_fence) {
			kfree(job);
			return NULL;
		}
	}
	return job;
}

/* To the device, which has a slot for it.  Cannot fail; the job may have been freed when this returns. */
static void push_direct(struct weft_job *job, struct weft_syncs *syncs)
{
	struct weft_device *wdev = job_device(job);
	bool cookie = dma_fence_begin_signalling();
	int ret;

	job->call.direct = true;
	job->call.complete = job_complete;
	job_begin(job);
	if (job->spare_fence) {
		job->fence = weft_fence_init(job->spare_fence, job->queue->fence_context, job->number);
		job->spare_fence = NULL;
		weft_syncs_signal(syncs, job->fence);
	}
	job->started_at = ktime_get();
	trace_weft_job_run(job->request.context, job->queue->hw_id, job->queue->fence_context, job->number,
			   job->request.bytes);
	ret = weft_ring_submit_job(wdev, &job->call, &job->request);
	/* The device has died meanwhile. */
	if (ret)
		job_end(job, ret);
	dma_fence_end_signalling(cookie);
}

/* To the scheduler. */
static int push_scheduled(struct weft_job *job, struct weft_syncs *syncs, struct drm_file *file)
{
	struct weft_queue *queue = job->queue;
	int ret;

	if (!job->spare_fence)
		job->spare_fence = weft_fence_alloc();
	if (!job->spare_fence)
		return -ENOMEM;
	ret = weft_try(weft_sched_job_init(&job->base, &queue->entity, 1, file, file->client_id));
	if (ret)
		return ret;
	ret = weft_syncs_add_waits(syncs, &job->base);
	if (ret) {
		drm_sched_job_cleanup(&job->base);
		return ret;
	}
	/* Nothing can fail from here on. */
	drm_sched_job_arm(&job->base);
	/*
	 * The device keeps jobs of one queue in order, not those of different ones: who waits
	 * for this one must wait for its end, even on the same scheduler.
	 */
	set_bit(DRM_SCHED_FENCE_DONT_PIPELINE, &job->base.s_fence->finished.flags);
	job->waiting = true;
	atomic_inc(&queue->waiting);
	job_begin(job);
	weft_syncs_signal(syncs, &job->base.s_fence->finished);
	drm_sched_entity_push_job(&job->base);
	return 0;
}

/* In one piece, so that jobs of a queue are numbered as they run. */
static int job_push(struct weft_job *job, struct weft_syncs *syncs, struct drm_file *file, u64 *number)
{
	struct weft_queue *queue = job->queue;
	struct weft_context *context = queue->context;
	bool ready, direct;
	int ret = 0;

	mutex_lock(&queue->lock);
	if (queue->stopped || READ_ONCE(context->banned)) {
		mutex_unlock(&queue->lock);
		return queue->stopped ? -ENOENT : -ECANCELED;
	}
	/* Slots of jobs that have ended are free again. */
	weft_ring_poll_once(context->wdev);
	ready = weft_syncs_ready(syncs, queue->fence_context);
	direct = ready && !atomic_read_acquire(&queue->waiting) && weft_ring_enter(context->wdev);
	if (direct) {
		push_direct(job, syncs);
		weft_ring_leave(context->wdev);
	} else {
		ret = push_scheduled(job, syncs, file);
	}
	if (!ret)
		*number = queue->submitted;
	mutex_unlock(&queue->lock);
	if (!ret && ready && !direct)
		weft_sched_hurry(context->wdev);
	return ret;
}

/**
 * weft_submit_ioctl() - DRM_WEFT_SUBMIT
 * @drm: the DRM device
 * @data: the arguments
 * @file: the caller
 *
 * Return: 0 or a negative errno value.
 */
int weft_submit_ioctl(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct drm_weft_submit *args = data;
	struct weft_syncs syncs;
	struct weft_queue *queue;
	struct weft_job *job;
	int ret;

	if (args->flags || args->job || args->bytes > WEFT_STREAM_MAX_BYTES ||
	    !IS_ALIGNED(args->bytes, WEFT_CMD_ALIGN) || !IS_ALIGNED(args->address, WEFT_CMD_ALIGN) ||
	    args->address >= 1ULL << WEFT_VA_BITS)
		return -EINVAL;
	queue = weft_queue_lookup(to_weft_client(file), args->queue);
	if (!queue)
		return -ENOENT;
	ret = weft_syncs_get(&syncs, file, &args->syncs);
	if (ret)
		goto out;
	job = job_new(queue, args, syncs.signals);
	if (!job) {
		ret = -ENOMEM;
		goto out;
	}
	ret = job_push(job, &syncs, file, &args->job);
	if (ret)
		job_discard(job);
out:
	weft_syncs_put(&syncs);
	weft_queue_put(queue);
	return ret;
}
