/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Differences between the kernels that this driver builds against, from 6.12 on.
 * No other file looks at the version.
 */
#ifndef __WEFT_COMPAT_H__
#define __WEFT_COMPAT_H__

#include <linux/mm.h>
#include <linux/module.h>
#include <linux/version.h>
#if LINUX_VERSION_CODE >= KERNEL_VERSION(7, 3, 0)
#include <linux/cgroup_dmem.h>
#endif

#include <drm/drm_drv.h>
#include <drm/drm_buddy.h>
#include <drm/drm_gem.h>
#include <drm/drm_gpuvm.h>
#include <drm/gpu_scheduler.h>

/* MODULE_IMPORT_NS() takes a string since 6.13. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 13, 0)
#define WEFT_IMPORT_NS(ns) MODULE_IMPORT_NS(#ns)
#else
#define WEFT_IMPORT_NS(ns) MODULE_IMPORT_NS(ns)
#endif

/* Needed by drm_gpuvm until 6.16, gone since: every driver has it. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 16, 0)
#define WEFT_GEM_GPUVA DRIVER_GEM_GPUVA
#else
#define WEFT_GEM_GPUVA 0
#endif

/* The buddy allocator moved out of DRM in 7.0, and only its printing kept the name. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(7, 0, 0)
#define drm_buddy gpu_buddy
#define drm_buddy_block gpu_buddy_block
#define drm_buddy_block_offset gpu_buddy_block_offset
#define drm_buddy_block_size gpu_buddy_block_size
#define drm_buddy_init gpu_buddy_init
#define drm_buddy_fini gpu_buddy_fini
#define drm_buddy_alloc_blocks gpu_buddy_alloc_blocks
#define drm_buddy_free_list gpu_buddy_free_list
#endif

/* What a workqueue is by default until 6.18, and said since. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 18, 0)
#define WEFT_WQ_PERCPU WQ_PERCPU
#else
#define WEFT_WQ_PERCPU 0
#endif

static inline bool weft_is_cow_mapping(const struct vm_area_struct *vma)
{
	return (vma->vm_flags & (VM_SHARED | VM_MAYWRITE)) == VM_MAYWRITE;
}

/*
 * The lock of an object's list of mappings.  drm_gpuvm has one of its own since 6.18, for
 * drivers that bind in the fence signalling path, as this one does.
 */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 18, 0)
#define WEFT_GPUVM_FLAGS DRM_GPUVM_IMMEDIATE_MODE
#define weft_gpuva_lock(bo) (&(bo)->base.gpuva.lock)
#define weft_gpuva_lock_init(bo) ((void)(bo))
#define weft_gpuva_lock_fini(bo) ((void)(bo))
#else
#define WEFT_GPUVM_FLAGS 0
#define weft_gpuva_lock(bo) (&(bo)->gpuva_lock)
#define weft_gpuva_lock_init(bo) drm_gem_gpuva_set_lock(&(bo)->base, &(bo)->gpuva_lock)
#define weft_gpuva_lock_fini(bo) mutex_destroy(&(bo)->gpuva_lock)
#endif

/* Takes the lock itself since 7.0. */
static inline struct drm_gpuvm_bo *weft_gpuvm_bo_obtain(struct drm_gpuvm_bo *vm_bo, struct mutex *lock)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(7, 0, 0)
	return drm_gpuvm_bo_obtain_prealloc(vm_bo);
#else
	struct drm_gpuvm_bo *obtained;

	mutex_lock(lock);
	obtained = drm_gpuvm_bo_obtain_prealloc(vm_bo);
	mutex_unlock(lock);
	return obtained;
#endif
}

/* Jobs of a stopped scheduler. */
#ifdef drm_sched_for_each_pending_job
#define weft_sched_for_each_pending(job, sched) drm_sched_for_each_pending_job(job, sched, NULL)
#else
#define weft_sched_for_each_pending(job, sched) list_for_each_entry(job, &(sched)->pending_list, list)
#endif

static inline int weft_sched_init(struct drm_gpu_scheduler *sched, const struct drm_sched_backend_ops *ops,
				  struct workqueue_struct *submit_wq, u32 credits, long timeout,
				  struct workqueue_struct *timeout_wq, const char *name, struct device *dev)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 15, 0)
	const struct drm_sched_init_args args = {
		.ops = ops,
		.submit_wq = submit_wq,
		.num_rqs = DRM_SCHED_PRIORITY_COUNT,
		.credit_limit = credits,
		.timeout = timeout,
		.timeout_wq = timeout_wq,
		.name = name,
		.dev = dev,
	};

	return drm_sched_init(sched, &args);
#else
	return drm_sched_init(sched, ops, submit_wq, DRM_SCHED_PRIORITY_COUNT, credits, 0, timeout, timeout_wq, NULL,
			      name, dev);
#endif
}

static inline int weft_sched_job_init(struct drm_sched_job *job, struct drm_sched_entity *entity, u32 credits,
				      void *owner, u64 client_id)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 17, 0)
	return drm_sched_job_init(job, entity, credits, owner, client_id);
#else
	return drm_sched_job_init(job, entity, credits, owner);
#endif
}

static inline void weft_sched_start(struct drm_gpu_scheduler *sched)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 13, 0)
	drm_sched_start(sched, 0);
#else
	drm_sched_start(sched);
#endif
}

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 17, 0)
#define WEFT_SCHED_STAT_OK DRM_GPU_SCHED_STAT_RESET
#else
#define WEFT_SCHED_STAT_OK DRM_GPU_SCHED_STAT_NOMINAL
#endif

/*
 * The cgroup controller of device memory.  6.12 has none; kernels between have it with other
 * arguments, and go without here.
 */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(7, 3, 0)
static inline struct dmem_cgroup_region *weft_dmem_register(struct drm_device *drm, u64 size)
{
	const struct dmem_cgroup_init init = { .size = size };

	return drmm_cgroup_register_region(drm, "device", &init);
}

static inline int weft_dmem_charge(struct dmem_cgroup_region *region, u64 size, struct dmem_cgroup_pool_state **pool)
{
	int ret = region ? dmem_cgroup_try_charge(region, size, pool, NULL) : 0;

	return ret == -EAGAIN ? -ENOSPC : ret;
}

static inline void weft_dmem_uncharge(struct dmem_cgroup_pool_state *pool, u64 size)
{
	dmem_cgroup_uncharge(pool, size);
}
#else
struct dmem_cgroup_region;
struct dmem_cgroup_pool_state;

static inline struct dmem_cgroup_region *weft_dmem_register(struct drm_device *drm, u64 size)
{
	return NULL;
}

static inline int weft_dmem_charge(struct dmem_cgroup_region *region, u64 size, struct dmem_cgroup_pool_state **pool)
{
	return 0;
}

static inline void weft_dmem_uncharge(struct dmem_cgroup_pool_state *pool, u64 size)
{
}
#endif

static inline int weft_gpuvm_sm_map(struct drm_gpuvm *gpuvm, void *priv, u64 address, u64 range,
				    struct drm_gem_object *obj, u64 offset)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 18, 0)
	const struct drm_gpuvm_map_req request = {
		.map.va.addr = address,
		.map.va.range = range,
		.map.gem.obj = obj,
		.map.gem.offset = offset,
	};

	return drm_gpuvm_sm_map(gpuvm, priv, &request);
#else
	return drm_gpuvm_sm_map(gpuvm, priv, address, range, obj, offset);
#endif
}

#endif
