// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: VM_BIND
 *
 * Both ways of the call check and prepare everything first.  A synchronous call
 * then carries out at once.  An asynchronous one becomes a job of the address
 * space's own scheduler, which carries out in order and touches no memory but what
 * was prepared.
 *
 * After something was unmapped, the device is told to forget it, and the call (or
 * the job) ends when it has: so what waits for a bind may reuse the memory.  The
 * objects' references are dropped after that, outside of the signalling path.
 */
#include <linux/slab.h>

#include <drm/drm_drv.h>
#include <drm/drm_print.h>

#include <drm/weft_accel.h>

#include "weft_bo.h"
#include "weft_client.h"
#include "weft_compat.h"
#include "weft_context.h"
#include "weft_device.h"
#include "weft_inject.h"
#include "weft_pm.h"
#include "weft_sync.h"
#include "weft_trace.h"

/**
 * struct weft_bind_job - the operations of one call
 * @base: asynchronous: the scheduler's part
 * @context: the context, referenced
 * @ops: the operations
 * @count: of them
 */
struct weft_bind_job {
	struct drm_sched_job base;
	struct weft_context *context;
	struct weft_vm_op *ops;
	u32 count;
};

/* The device forgets what the operations unmapped.  Only a dead or stopped device may fail to. */
static int forget_unmapped(struct weft_context *context, const struct weft_bind_job *job)
{
	u64 first = U64_MAX, end = 0;

	for (u32 i = 0; i < job->count; i++) {
		const struct weft_vm_op *op = &job->ops[i];

		if (list_empty(&op->unmapped))
			continue;
		first = min(first, op->address);
		end = max(end, op->address + op->range);
	}
	if (!end)
		return 0;
	return weft_ring_call(context->wdev, &(struct weft_hw_request){ .type = WEFT_HW_REQUEST_INVALIDATE,
									 .context = context->id,
									 .address = first,
									 .bytes = end - first });
}

/* In the fence signalling path, if it is a job. */
static int execute(struct weft_bind_job *job)
{
	struct weft_vm *vm = job->context->vm;
	int ret = 0;

	mutex_lock(&vm->bind_lock);
	for (u32 i = 0; !ret && i < job->count; i++) {
		ret = weft_vm_op_execute(vm, &job->ops[i]);
		trace_weft_bind(job->context->id, job->ops[i].map, job->ops[i].address, job->ops[i].range);
	}
	if (!ret) {
		ret = forget_unmapped(job->context, job);
		/* A reset has forgotten everything. */
		if (ret == -ECANCELED)
			ret = 0;
	}
	mutex_unlock(&vm->bind_lock);
	return ret;
}

static void bind_job_free(struct weft_bind_job *job)
{
	for (u32 i = 0; i < job->count; i++)
		weft_vm_op_release(job->context->vm, &job->ops[i]);
	/* Taken by the ioctl while the device was awake: no worker wakes it up. */
	weft_pm_put(job->context->wdev);
	weft_context_put(job->context);
	kvfree(job->ops);
	kfree(job);
}

static struct dma_fence *bind_run_job(struct drm_sched_job *base)
{
	struct weft_bind_job *job = container_of(base, struct weft_bind_job, base);
	bool cookie = dma_fence_begin_signalling();
	int ret = execute(job);

	dma_fence_end_signalling(cookie);
	/* Done already: no fence of the device. */
	return ret ? ERR_PTR(ret) : NULL;
}

static enum drm_gpu_sched_stat bind_timedout_job(struct drm_sched_job *base)
{
	/* Cannot be: run_job leaves nothing pending. */
	return WEFT_SCHED_STAT_OK;
}

static void bind_free_job(struct drm_sched_job *base)
{
	drm_sched_job_cleanup(base);
	bind_job_free(container_of(base, struct weft_bind_job, base));
}

static const struct drm_sched_backend_ops bind_ops = {
	.run_job = bind_run_job,
	.timedout_job = bind_timedout_job,
	.free_job = bind_free_job,
};

/**
 * weft_vm_bind_init() - make the scheduler of asynchronous binds
 * @vm: the address space
 *
 * Return: 0 or a negative errno value.
 */
int weft_vm_bind_init(struct weft_vm *vm)
{
	struct drm_gpu_scheduler *sched = &vm->sched;
	int ret;

	ret = weft_try(weft_sched_init(&vm->sched, &bind_ops, NULL, 1, MAX_SCHEDULE_TIMEOUT, NULL, "weft-bind",
				       &vm->wdev->pdev->dev));
	if (ret)
		return ret;
	ret = weft_try(drm_sched_entity_init(&vm->entity, DRM_SCHED_PRIORITY_NORMAL, &sched, 1, NULL));
	if (ret)
		drm_sched_fini(&vm->sched);
	return ret;
}

/**
 * weft_vm_bind_fini() - undo weft_vm_bind_init(); jobs hold the context, so none is left
 * @vm: the address space
 */
void weft_vm_bind_fini(struct weft_vm *vm)
{
	drm_sched_entity_fini(&vm->entity);
	drm_sched_fini(&vm->sched);
}

/* Fill in and check an operation.  @op->obj is referenced. */
static int op_check(struct drm_file *file, const struct drm_weft_bind_op *arg, struct weft_vm_op *op)
{
	u64 end;

	INIT_LIST_HEAD(&op->unmapped);
	if (arg->pad || !arg->range || !arg->address || !IS_ALIGNED(arg->address | arg->range, WEFT_HW_PAGE_BYTES) ||
	    check_add_overflow(arg->address, arg->range, &end) || end > 1ULL << WEFT_VA_BITS)
		return -EINVAL;
	op->address = arg->address;
	op->range = arg->range;
	switch (arg->type) {
	case DRM_WEFT_BIND_UNMAP:
		return arg->flags || arg->handle || arg->offset ? -EINVAL : 0;
	case DRM_WEFT_BIND_MAP:
		break;
	default:
		return -EINVAL;
	}
	if (arg->flags & ~DRM_WEFT_BIND_READ_ONLY || !IS_ALIGNED(arg->offset, WEFT_HW_PAGE_BYTES))
		return -EINVAL;
	op->map = true;
	op->write = !(arg->flags & DRM_WEFT_BIND_READ_ONLY);
	op->offset = arg->offset;
	op->obj = drm_gem_object_lookup(file, arg->handle);
	if (!op->obj)
		return -ENOENT;
	if (op->range > op->obj->size || op->offset > op->obj->size - op->range)
		return -EINVAL;
	return 0;
}

/* Copy, check and prepare all operations. */
static struct weft_bind_job *bind_job_new(struct weft_context *context, struct drm_file *file,
					  struct drm_weft_vm_bind *args)
{
	struct drm_weft_bind_op *array;
	struct weft_bind_job *job;
	u32 i;
	int ret;

	array = weft_array_copy(&args->ops, DRM_WEFT_MAX_BIND_OPS, sizeof(*array), sizeof(*array));
	if (IS_ERR(array))
		return ERR_CAST(array);
	job = weft_alloc(kzalloc(sizeof(*job), GFP_KERNEL_ACCOUNT));
	if (job && array)
		job->ops = weft_alloc(kvcalloc(args->ops.count, sizeof(*job->ops), GFP_KERNEL_ACCOUNT));
	if (!job || (array && !job->ops)) {
		kfree(job);
		kvfree(array);
		return ERR_PTR(-ENOMEM);
	}
	kref_get(&context->refs);
	weft_pm_get_awake(context->wdev);
	job->context = context;
	for (i = 0, ret = 0; !ret && i < args->ops.count; i++) {
		job->count = i + 1; /* to be released, whatever it got */
		ret = op_check(file, &array[i], &job->ops[i]);
		if (ret)
			args->failed = i;
	}
	kvfree(array);
	for (i = 0; !ret && i < job->count; i++)
		ret = weft_vm_op_prepare(context->vm, &job->ops[i]);
	if (ret) {
		bind_job_free(job);
		return ERR_PTR(ret);
	}
	return job;
}

/* @job is consumed, whatever happens. */
static int bind_async(struct weft_bind_job *job, struct drm_file *file, const struct drm_weft_vm_bind *args)
{
	struct weft_vm *vm = job->context->vm;
	struct weft_syncs syncs;
	int ret;

	ret = weft_syncs_get(&syncs, file, &args->syncs);
	if (ret)
		goto err_put_syncs;
	ret = weft_try(weft_sched_job_init(&job->base, &vm->entity, 1, file, file->client_id));
	if (ret)
		goto err_put_syncs;
	ret = weft_syncs_add_waits(&syncs, &job->base);
	if (ret)
		goto err_cleanup;
	mutex_lock(&vm->bind_lock);
	/* Nothing can fail from here on. */
	drm_sched_job_arm(&job->base);
	weft_syncs_signal(&syncs, &job->base.s_fence->finished);
	drm_sched_entity_push_job(&job->base);
	mutex_unlock(&vm->bind_lock);
	weft_syncs_put(&syncs);
	return 0;

err_cleanup:
	drm_sched_job_cleanup(&job->base);
err_put_syncs:
	weft_syncs_put(&syncs);
	bind_job_free(job);
	return ret;
}

/**
 * weft_vm_bind_ioctl() - DRM_WEFT_VM_BIND
 * @drm: the DRM device
 * @data: the arguments
 * @file: the caller
 *
 * Return: 0 or a negative errno value.
 */
int weft_vm_bind_ioctl(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct drm_weft_vm_bind *args = data;
	bool async = args->flags & DRM_WEFT_VM_BIND_ASYNC;
	struct weft_context *context;
	struct weft_bind_job *job;
	int ret;

	if (args->flags & ~DRM_WEFT_VM_BIND_ASYNC || args->failed || args->pad ||
	    (!async && (args->syncs.count || args->syncs.stride || args->syncs.array)))
		return -EINVAL;
	context = weft_context_lookup(to_weft_client(file), args->context);
	if (!context)
		return -ENOENT;
	job = bind_job_new(context, file, args);
	if (IS_ERR(job)) {
		ret = PTR_ERR(job);
	} else if (async) {
		ret = bind_async(job, file, args);
	} else {
		ret = execute(job);
		bind_job_free(job);
	}
	weft_context_put(context);
	return ret;
}
