// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: synchronisation arguments
 *
 * Everything that can fail happens in weft_syncs_get() and weft_syncs_add_waits(),
 * before a job is armed; weft_syncs_signal() cannot.  Few syncobjs, as jobs mostly have,
 * cost no allocation.
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

static int array_check(const struct drm_weft_array *array, u32 most, size_t least)
{
	if (!array->count)
		return array->stride || array->array ? -EINVAL : 0;
	return array->count > most || array->stride < least || array->stride > PAGE_SIZE ? -EINVAL : 0;
}

static int array_copy_to(char *copy, const struct drm_weft_array *array, size_t size)
{
	const char __user *from = u64_to_user_ptr(array->array);
	int ret = 0;

	for (u32 i = 0; !ret && i < array->count; i++)
		ret = copy_struct_from_user(copy + i * size, size, from + (size_t)i * array->stride, array->stride);
	return ret;
}

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
	int ret = array_check(array, most, least);
	char *copy;

	if (ret || !array->count)
		return ERR_PTR(ret);
	copy = weft_alloc(kvcalloc(array->count, size, GFP_KERNEL_ACCOUNT));
	if (!copy)
		return ERR_PTR(-ENOMEM);
	ret = array_copy_to(copy, array, size);
	if (ret) {
		kvfree(copy);
		return ERR_PTR(ret);
	}
	return copy;
}

/* Memory for @count of each kind. */
static int syncs_alloc(struct weft_syncs *syncs, u32 count)
{
	if (count <= WEFT_FEW_SYNCS) {
		syncs->sync = syncs->few.sync;
		syncs->signal = syncs->few.signal;
		syncs->wait = syncs->few.wait;
		return 0;
	}
	syncs->sync = weft_alloc(kvcalloc(count, sizeof(*syncs->sync), GFP_KERNEL_ACCOUNT));
	syncs->signal = weft_alloc(kvcalloc(count, sizeof(*syncs->signal), GFP_KERNEL_ACCOUNT));
	syncs->wait = weft_alloc(kvcalloc(count, sizeof(struct dma_fence *), GFP_KERNEL_ACCOUNT));
	return syncs->sync && syncs->signal && syncs->wait ? 0 : -ENOMEM;
}

static int prepare_signal_slot(struct weft_signal *signal, struct drm_file *file, const struct drm_weft_sync *sync)
{
	signal->chain = NULL;
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

/* Each is counted before it can fail, so that weft_syncs_put() undoes it. */
static int syncs_find(struct weft_syncs *syncs, struct drm_file *file)
{
	for (u32 i = 0; i < syncs->count; i++) {
		const struct drm_weft_sync *sync = &syncs->sync[i];
		int ret;

		if (sync->flags & ~DRM_WEFT_SYNC_SIGNAL)
			return -EINVAL;
		if (sync->flags & DRM_WEFT_SYNC_SIGNAL) {
			ret = prepare_signal_slot(&syncs->signal[syncs->signals++], file, sync);
		} else {
			ret = drm_syncobj_find_fence(file, sync->handle, sync->point, 0, &syncs->wait[syncs->waits]);
			syncs->waits += !ret;
		}
		if (ret)
			return ret;
	}
	return 0;
}

/**
 * weft_syncs_get() - copy and check the array, find fences, and allocate what signalling needs
 * @syncs: filled in; weft_syncs_put() it also after an error
 * @file: the caller
 * @array: of struct drm_weft_sync
 *
 * Return: 0, -ENOENT (no such syncobj), -EINVAL (no fence to wait for yet), or another
 * negative errno value.
 */
int weft_syncs_get(struct weft_syncs *syncs, struct drm_file *file, const struct drm_weft_array *array)
{
	int ret = array_check(array, DRM_WEFT_MAX_SYNCS, sizeof(struct drm_weft_sync));

	syncs->sync = NULL;
	syncs->signal = NULL;
	syncs->wait = NULL;
	syncs->count = 0;
	syncs->signals = 0;
	syncs->waits = 0;
	if (ret || !array->count)
		return ret;
	ret = syncs_alloc(syncs, array->count);
	if (ret)
		return ret;
	ret = array_copy_to((char *)syncs->sync, array, sizeof(struct drm_weft_sync));
	if (ret)
		return ret;
	syncs->count = array->count;
	return syncs_find(syncs, file);
}

/**
 * weft_syncs_ready() - is there nothing to wait for?
 * @syncs: from weft_syncs_get()
 * @fence_context: of fences that need not be waited for: the device keeps their order
 *
 * Return: true: nothing.
 */
bool weft_syncs_ready(const struct weft_syncs *syncs, u64 fence_context)
{
	for (u32 i = 0; i < syncs->waits; i++) {
		struct dma_fence *fence = syncs->wait[i];

		/* A point of a timeline has a context of its own: what came before it counts too. */
		if (fence->context != fence_context && !dma_fence_is_signaled(fence))
			return false;
	}
	return true;
}

/**
 * weft_syncs_add_waits() - make a job wait
 * @syncs: from weft_syncs_get()
 * @job: initialised, not armed
 *
 * Return: 0 or -ENOMEM.
 */
int weft_syncs_add_waits(struct weft_syncs *syncs, struct drm_sched_job *job)
{
	while (syncs->waits) {
		/* Takes the reference, also where it fails. */
		int ret = drm_sched_job_add_dependency(job, syncs->wait[--syncs->waits]);

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
	for (u32 i = 0; i < syncs->waits; i++)
		dma_fence_put(syncs->wait[i]);
	if (syncs->sync == syncs->few.sync)
		return;
	kvfree(syncs->wait);
	kvfree(syncs->signal);
	kvfree(syncs->sync);
}
