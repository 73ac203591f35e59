// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: device memory
 *
 * Blocks of the buddy allocator.  When it is full it is full: nothing is evicted,
 * since user space schedules what is where; the answer is ENOSPC.
 */
#include <linux/vmalloc.h>

#include <drm/drm_drv.h>
#include <drm/drm_gem.h>

#include "weft_bo.h"
#include "weft_compat.h"
#include "weft_device.h"
#include "weft_inject.h"
#include "weft_pm.h"

static void bo_free(struct drm_gem_object *obj)
{
	struct weft_device *wdev = to_weft_device(obj->dev);
	struct weft_bo *bo = to_weft_bo(obj);

	mutex_lock(&wdev->bos_lock);
	list_del(&bo->link);
	mutex_unlock(&wdev->bos_lock);
	vfree(bo->saved);
	mutex_lock(&wdev->memory.lock);
	drm_buddy_free_list(&wdev->memory.mm, &bo->blocks, 0);
	mutex_unlock(&wdev->memory.lock);
	atomic64_sub(obj->size, &wdev->memory.used);
	weft_dmem_uncharge(bo->dmem, obj->size);
	weft_bo_fini(bo);
}

static vm_fault_t bo_fault(struct vm_fault *vmf)
{
	struct drm_gem_object *obj = vmf->vma->vm_private_data;
	struct weft_device *wdev = to_weft_device(obj->dev);
	pgoff_t index = (vmf->address - vmf->vma->vm_start) >> PAGE_SHIFT;
	vm_fault_t ret;
	int idx;

	/* vm_pgoff carries the fake offset. */
	index += vmf->vma->vm_pgoff - drm_vma_node_start(&obj->vma_node);
	if (index >= obj->size >> PAGE_SHIFT)
		return VM_FAULT_SIGBUS;
	if (!drm_dev_enter(obj->dev, &idx))
		return weft_bo_fault_dummy(vmf);
	ret = vmf_insert_pfn(vmf->vma, vmf->address, PHYS_PFN(wdev->memory_bus + to_weft_bo(obj)->entries[index]));
	drm_dev_exit(idx);
	return ret;
}

/* A mapping reaches the device without the driver's knowing, so it keeps the device awake. */
static void bo_vm_open(struct vm_area_struct *vma)
{
	struct drm_gem_object *obj = vma->vm_private_data;

	weft_pm_get_awake(to_weft_device(obj->dev));
	drm_gem_vm_open(vma);
}

static void bo_vm_close(struct vm_area_struct *vma)
{
	struct drm_gem_object *obj = vma->vm_private_data;

	weft_pm_put(to_weft_device(obj->dev));
	drm_gem_vm_close(vma);
}

static const struct vm_operations_struct bo_vm_ops = {
	.fault = bo_fault,
	.open = bo_vm_open,
	.close = bo_vm_close,
};

static int bo_mmap(struct drm_gem_object *obj, struct vm_area_struct *vma)
{
	struct weft_device *wdev = to_weft_device(obj->dev);
	int idx, ret = weft_bo_mmap_flags(vma);

	if (ret)
		return ret;
	if (!drm_dev_enter(obj->dev, &idx))
		return -ENODEV;
	ret = weft_pm_get(wdev);
	drm_dev_exit(idx);
	if (ret)
		return ret;
	vm_flags_set(vma, VM_PFNMAP | VM_IO);
	vma->vm_page_prot = pgprot_writecombine(vm_get_page_prot(vma->vm_flags));
	return 0;
}

/* It cannot leave the device: another one could not reach it without peer-to-peer DMA. */
static struct dma_buf *bo_export(struct drm_gem_object *obj, int flags)
{
	return ERR_PTR(-EOPNOTSUPP);
}

static const struct drm_gem_object_funcs bo_funcs = {
	.free = bo_free,
	.mmap = bo_mmap,
	.export = bo_export,
	.vm_ops = &bo_vm_ops,
};

static void fill_entries(struct weft_device *wdev, struct weft_bo *bo)
{
	struct drm_buddy_block *block;
	size_t page = 0;

	list_for_each_entry(block, &bo->blocks, link) {
		u64 offset = drm_buddy_block_offset(block), size = drm_buddy_block_size(&wdev->memory.mm, block);

		for (; size; size -= WEFT_HW_PAGE_BYTES, offset += WEFT_HW_PAGE_BYTES)
			bo->entries[page++] = offset;
	}
}

/* What another process left must not show. */
static int clear(struct weft_device *wdev, struct weft_bo *bo)
{
	struct drm_buddy_block *block;
	int idx;

	if (!drm_dev_enter(&wdev->drm, &idx))
		return -ENODEV;
	list_for_each_entry(block, &bo->blocks, link)
		memset_io(wdev->memory_window + drm_buddy_block_offset(block), 0,
			  drm_buddy_block_size(&wdev->memory.mm, block));
	drm_dev_exit(idx);
	return 0;
}

/**
 * weft_bo_device_create() - device memory
 * @wdev: the device
 * @size: bytes, whole pages
 *
 * Return: the object, or ERR_PTR of -ENOSPC, -ENOMEM or -ENODEV.
 */
struct weft_bo *weft_bo_device_create(struct weft_device *wdev, u64 size)
{
	struct weft_bo *bo;
	int ret;

	if (size > wdev->hw.memory_bytes)
		return ERR_PTR(-ENOSPC);
	bo = weft_bo_alloc(wdev, size, &bo_funcs);
	if (!bo)
		return ERR_PTR(-ENOMEM);
	bo->device = true;
	drm_gem_private_object_init(&wdev->drm, &bo->base, size);
	ret = weft_try(weft_dmem_charge(wdev->memory.region, size, &bo->dmem));
	if (ret) {
		weft_bo_fini(bo);
		return ERR_PTR(ret);
	}
	mutex_lock(&wdev->memory.lock);
	ret = weft_try(drm_buddy_alloc_blocks(&wdev->memory.mm, 0, wdev->hw.memory_bytes, size, WEFT_HW_PAGE_BYTES,
					      &bo->blocks, 0));
	mutex_unlock(&wdev->memory.lock);
	if (ret) {
		weft_dmem_uncharge(bo->dmem, size);
		weft_bo_fini(bo);
		return ERR_PTR(ret == -ENOMEM ? ret : -ENOSPC);
	}
	atomic64_add(size, &wdev->memory.used);
	fill_entries(wdev, bo);
	ret = clear(wdev, bo);
	if (ret) {
		drm_gem_object_put(&bo->base);
		return ERR_PTR(ret);
	}
	weft_gpuva_lock_init(bo);
	mutex_lock(&wdev->bos_lock);
	list_add(&bo->link, &wdev->device_bos);
	mutex_unlock(&wdev->bos_lock);
	return bo;
}
