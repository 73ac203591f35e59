// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: synchronisation arguments
 *
 * Everything that can fail happens in weft_syncs_get() and weft_syncs_add_waits(),
 * before a job is armed; weft_syncs_signal() cannot.
 */
#include <linux/dma-fence-chain.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include <drm/drm_file.h>
#include <drm/drm_syncobj.h>
#include <drm/gpu_scheduler.h>

#include <drm/weft_accel.h>

#include "weft_inject.h"
#include "weft_sync.h"

/**
 * weft_array_copy() - copy an array of the caller
 * @array: the array; its stride is the caller's size of an element
 * @most: most elements
 * @least: bytes of the first version of the element
 * @size: bytes of the element as the kernel knows it
 *
 * Return: the array (kvfree() it), NULL if it is empty, or ERR_PTR: -EINVAL, -ENOMEM,
 * -EFAULT, -E2BIG (the caller's element has something set that the kernel does not know).
 */
void *weft_array_copy(const struct drm_weft_array *array, u32 most, size_t least, size_t size)
{
	const char __user *from = u64_to_user_ptr(array->array);
	char *copy;

	if (!array->count)
		return array->stride || array->array ? ERR_PTR(-EINVAL) : NULL;
	if (array->count > most || array->stride < least || array->stride > PAGE_SIZE)
		return ERR_PTR(-EINVAL);
	copy = weft_alloc(kvcalloc(array->count, size, GFP_KERNEL_ACCOUNT));
	if (!copy)
		return ERR_PTR(-ENOMEM);
	for (u32 i = 0; i < array->count; i++) {
		int ret = copy_struct_from_user(copy + i * size, size, from + (size_t)i * array->stride, array->stride);

		if (ret) {
			kvfree(copy);
			return ERR_PTR(ret);
		}
	}
	return copy;
}

static int prepare_signal_slot(struct weft_signal *signal, struct drm_file *file, const struct drm_weft_sync *sync)
{
	signal->syncobj = drm_syncobj_find(file, sync->handle);
	if (!signal->syncobj)
		return -ENOENT;
	signal->point = sync->point;
	if (sync->point) {
		signal->chain = weft_alloc(dma_fence_chain_alloc());
		if (!signal->chain)
			return -ENOMEM;
	}
	return 0;
}

/**
 * weft_syncs_get() - copy and check the array, and allocate what signalling needs
 * @syncs: filled in; weft_syncs_put() it also after an error
 * @file: the caller
 * @array: of struct drm_weft_sync
 *
 * Return: 0 or a negative errno value.
 */
int weft_syncs_get(struct weft_syncs *syncs, struct drm_file *file, const struct drm_weft_array *array)
{
	void *copy;

	memset(syncs, 0, sizeof(*syncs));
	copy = weft_array_copy(array, DRM_WEFT_MAX_SYNCS, sizeof(struct drm_weft_sync), sizeof(struct drm_weft_sync));
	if (IS_ERR(copy))
		return PTR_ERR(copy);
	syncs->sync = copy;
	syncs->count = array->count;
	if (!syncs->count)
		return 0;
	syncs->signal = weft_alloc(kvcalloc(syncs->count, sizeof(*syncs->signal), GFP_KERNEL_ACCOUNT));
	if (!syncs->signal)
		return -ENOMEM;
	for (u32 i = 0; i < syncs->count; i++) {
		const struct drm_weft_sync *sync = &syncs->sync[i];
		int ret;

		if (sync->flags & ~DRM_WEFT_SYNC_SIGNAL)
			return -EINVAL;
		if (!(sync->flags & DRM_WEFT_SYNC_SIGNAL))
			continue;
		ret = prepare_signal_slot(&syncs->signal[syncs->signals++], file, sync);
		if (ret)
			return ret;
	}
	return 0;
}

/**
 * weft_syncs_add_waits() - make a job wait
 * @syncs: from weft_syncs_get()
 * @file: the caller
 * @job: initialised, not armed
 *
 * Return: 0, -ENOENT (no such syncobj), -EINVAL (no fence there yet), -ENOMEM.
 */
int weft_syncs_add_waits(struct weft_syncs *syncs, struct drm_file *file, struct drm_sched_job *job)
{
	for (u32 i = 0; i < syncs->count; i++) {
		const struct drm_weft_sync *sync = &syncs->sync[i];
		int ret;

		if (sync->flags & DRM_WEFT_SYNC_SIGNAL)
			continue;
		ret = weft_try(drm_sched_job_add_syncobj_dependency(job, file, sync->handle, sync->point));
		if (ret)
			return ret;
	}
	return 0;
}

/**
 * weft_syncs_signal() - attach the fence to what shall be signalled
 * @syncs: from weft_syncs_get()
 * @fence: of the job, armed
 */
void weft_syncs_signal(struct weft_syncs *syncs, struct dma_fence *fence)
{
	for (u32 i = 0; i < syncs->signals; i++) {
		struct weft_signal *signal = &syncs->signal[i];

		if (signal->chain) {
			drm_syncobj_add_point(signal->syncobj, signal->chain, fence, signal->point);
			signal->chain = NULL; /* the syncobj has it now */
		} else {
			drm_syncobj_replace_fence(signal->syncobj, fence);
		}
	}
}

/**
 * weft_syncs_put() - free what weft_syncs_get() made
 * @syncs: it, also after an error
 */
void weft_syncs_put(struct weft_syncs *syncs)
{
	for (u32 i = 0; i < syncs->signals; i++) {
		dma_fence_chain_free(syncs->signal[i].chain);
		if (syncs->signal[i].syncobj)
			drm_syncobj_put(syncs->signal[i].syncobj);
	}
	kvfree(syncs->signal);
	kvfree(syncs->sync);
}
