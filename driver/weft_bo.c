// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: buffer objects
 *
 * Two kinds, each in a file of its own: device memory from the buddy allocator,
 * and host memory in shmem pages.  Neither moves: what user space schedules must
 * stay where user space has put it.  Memory is allocated, zeroed and charged when
 * the object is made, so mapping it cannot fail for want of memory.
 */
#include <drm/drm_drv.h>
#include <drm/drm_managed.h>
#include <drm/drm_vma_manager.h>

#include <drm/weft_accel.h>

#include "weft_bo.h"
#include "weft_client.h"
#include "weft_compat.h"
#include "weft_context.h"
#include "weft_device.h"
#include "weft_inject.h"

/**
 * weft_bo_alloc() - an object without memory
 * @wdev: the device
 * @size: bytes, whole pages
 * @funcs: of its kind
 *
 * The caller initialises @base as a private or shmem object next.
 *
 * Return: the object or NULL.
 */
struct weft_bo *weft_bo_alloc(struct weft_device *wdev, u64 size, const struct drm_gem_object_funcs *funcs)
{
	struct weft_bo *bo = weft_alloc(kzalloc(sizeof(*bo), GFP_KERNEL));

	if (!bo)
		return NULL;
	bo->entries = weft_alloc(kvmalloc_array(size >> PAGE_SHIFT, sizeof(*bo->entries), GFP_KERNEL_ACCOUNT));
	if (!bo->entries) {
		kfree(bo);
		return NULL;
	}
	bo->base.funcs = funcs;
	mutex_init(&bo->gpuva_lock);
	INIT_LIST_HEAD(&bo->blocks);
	INIT_LIST_HEAD(&bo->link);
	return bo;
}

static atomic64_t *usage_bytes(struct weft_usage *usage, bool device)
{
	return device ? &usage->device_bytes : &usage->host_bytes;
}

static void uncharge(struct weft_usage *usage, const struct weft_bo *bo)
{
	if (!usage)
		return;
	atomic64_sub(bo->base.size, usage_bytes(usage, bo->device));
	weft_usage_put(usage);
}

/**
 * weft_bo_fini() - free what both kinds have in common, and the object
 * @bo: the object, whose memory has been freed
 */
void weft_bo_fini(struct weft_bo *bo)
{
	struct weft_device *wdev = to_weft_device(bo->base.dev);

	if (bo->counted)
		atomic_dec(&wdev->counts.bos);
	uncharge(bo->context_usage, bo);
	uncharge(bo->usage, bo);
	drm_gem_object_release(&bo->base);
	weft_gpuva_lock_fini(bo);
	kvfree(bo->entries);
	kfree(bo);
}

/**
 * weft_bo_mmap_flags() - what is alike in mappings of both kinds
 * @vma: the mapping
 *
 * Return: 0, or -EINVAL for a private mapping, whose copies the device would not see.
 */
int weft_bo_mmap_flags(struct vm_area_struct *vma)
{
	if (weft_is_cow_mapping(vma))
		return -EINVAL;
	vm_flags_set(vma, VM_DONTEXPAND | VM_DONTDUMP);
	return 0;
}

/* Charge a context, up to its limit; *usage is referenced. */
static int charge_context(struct weft_client *client, u32 id, bool device, u64 size, struct weft_usage **usage)
{
	struct weft_context *context = weft_context_lookup(client, id);
	atomic64_t *bytes;
	int ret = 0;

	if (!context)
		return -ENOENT;
	bytes = usage_bytes(context->usage, device);
	if (atomic64_add_return(size, bytes) > context->device_bytes_limit && device) {
		atomic64_sub(size, bytes);
		ret = -ENOSPC;
	} else {
		*usage = weft_usage_get(context->usage);
	}
	weft_context_put(context);
	return ret;
}

static struct weft_bo *create(struct weft_client *client, u64 size, bool device, u32 context_id)
{
	struct weft_usage *context_usage = NULL;
	struct weft_bo *bo;
	int ret;

	if (context_id) {
		ret = charge_context(client, context_id, device, size, &context_usage);
		if (ret)
			return ERR_PTR(ret);
	}
	bo = device ? weft_bo_device_create(client->wdev, size) : weft_bo_host_create(client->wdev, size);
	if (IS_ERR(bo)) {
		if (context_usage) {
			atomic64_sub(size, usage_bytes(context_usage, device));
			weft_usage_put(context_usage);
		}
		return bo;
	}
	bo->context_usage = context_usage;
	bo->usage = weft_usage_get(client->usage);
	atomic64_add(size, usage_bytes(bo->usage, device));
	bo->counted = true;
	atomic_inc(&client->wdev->counts.bos);
	return bo;
}

/**
 * weft_bo_create_ioctl() - DRM_WEFT_BO_CREATE
 * @drm: the DRM device
 * @data: the arguments
 * @file: the caller
 *
 * Return: 0 or a negative errno value.
 */
int weft_bo_create_ioctl(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct weft_client *client = to_weft_client(file);
	struct drm_weft_bo_create *args = data;
	bool device = args->flags & DRM_WEFT_BO_DEVICE;
	struct weft_bo *bo;
	u64 size;
	int ret;

	if (args->flags & ~DRM_WEFT_BO_DEVICE || args->pad || !args->size || args->handle || args->mmap_offset)
		return -EINVAL;
	/* Rounding up must not wrap, and nothing larger can be addressed. */
	if (args->size > 1ULL << WEFT_VA_BITS)
		return device ? -ENOSPC : -ENOMEM;
	size = round_up(args->size, WEFT_HW_PAGE_BYTES);

	bo = create(client, size, device, args->context);
	if (IS_ERR(bo))
		return PTR_ERR(bo);
	ret = weft_try(drm_gem_create_mmap_offset(&bo->base));
	if (!ret) {
		args->size = size;
		args->mmap_offset = drm_vma_node_offset_addr(&bo->base.vma_node);
		/* Last: from here on another thread may close the handle. */
		ret = weft_try(drm_gem_handle_create(file, &bo->base, &args->handle));
	}
	drm_gem_object_put(&bo->base);
	return ret;
}

/**
 * weft_bo_info_ioctl() - DRM_WEFT_BO_INFO
 * @drm: the DRM device
 * @data: the arguments
 * @file: the caller
 *
 * Return: 0 or a negative errno value.
 */
int weft_bo_info_ioctl(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct drm_weft_bo_info *args = data;
	struct drm_gem_object *obj;
	int ret = 0;

	if (args->flags || args->size || args->mmap_offset)
		return -EINVAL;
	obj = drm_gem_object_lookup(file, args->handle);
	if (!obj)
		return -ENOENT;
	args->flags = to_weft_bo(obj)->device ? DRM_WEFT_BO_DEVICE : 0;
	args->size = obj->size;
	if (!obj->import_attach) {
		ret = drm_gem_create_mmap_offset(obj);
		args->mmap_offset = drm_vma_node_offset_addr(&obj->vma_node);
	}
	drm_gem_object_put(obj);
	return ret;
}

static void free_dummy(struct drm_device *drm, void *page)
{
	__free_page(page);
}

/**
 * weft_bo_fault_dummy() - a page for a mapping whose memory has gone with the device
 * @vmf: the fault
 *
 * The process may go on using its mapping; what it writes goes nowhere.
 *
 * Return: of a fault handler.
 */
vm_fault_t weft_bo_fault_dummy(struct vm_fault *vmf)
{
	struct drm_gem_object *obj = vmf->vma->vm_private_data;
	unsigned long pfn;
	struct page *page;

	page = alloc_page(GFP_KERNEL_ACCOUNT | __GFP_ZERO);
	if (!page)
		return VM_FAULT_OOM;
	pfn = page_to_pfn(page);
	/* It belongs to the device, which outlives every mapping. */
	if (drmm_add_action_or_reset(obj->dev, free_dummy, page))
		return VM_FAULT_OOM;
	if (vmf->vma->vm_flags & VM_MIXEDMAP)
		return vmf_error(vm_insert_page(vmf->vma, vmf->address, page)) ?: VM_FAULT_NOPAGE;
	return vmf_insert_pfn(vmf->vma, vmf->address, pfn);
}
