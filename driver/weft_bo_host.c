// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: host memory
 *
 * Pages of a shmem file, held and mapped for DMA as long as the object lives.
 *
 * User mappings are VM_MIXEDMAP and filled page by page with vm_insert_page():
 * then the pages are ordinary ones to get_user_pages(), and O_DIRECT and io_uring's
 * registered buffers accept them (VM_PFNMAP they refuse).
 *
 * A DMA mapping belongs to the bus device, which may go while user space still
 * holds the object: so all are undone at removal, from a list.
 */
#include <linux/dma-buf.h>
#include <linux/dma-mapping.h>
#include <linux/module.h>

#include <drm/drm_drv.h>
#include <drm/drm_gem.h>
#include <drm/drm_prime.h>

#include "weft_bo.h"
#include "weft_compat.h"
#include "weft_device.h"
#include "weft_inject.h"

static void undo_dma(struct weft_device *wdev, struct weft_bo *bo)
{
	mutex_lock(&wdev->bos_lock);
	list_del_init(&bo->link);
	if (bo->sgt && bo->pages) {
		dma_unmap_sgtable(&wdev->pdev->dev, bo->sgt, DMA_BIDIRECTIONAL, 0);
		sg_free_table(bo->sgt);
		kfree(bo->sgt);
		bo->sgt = NULL;
	}
	mutex_unlock(&wdev->bos_lock);
}

/**
 * weft_bo_host_unmap_all() - undo every DMA mapping, at removal
 * @wdev: the device, which does not run any more
 */
void weft_bo_host_unmap_all(struct weft_device *wdev)
{
	struct weft_bo *bo, *next;

	mutex_lock(&wdev->bos_lock);
	list_for_each_entry_safe(bo, next, &wdev->host_bos, link) {
		list_del_init(&bo->link);
		dma_unmap_sgtable(&wdev->pdev->dev, bo->sgt, DMA_BIDIRECTIONAL, 0);
		sg_free_table(bo->sgt);
		kfree(bo->sgt);
		bo->sgt = NULL;
	}
	mutex_unlock(&wdev->bos_lock);
}

static void bo_free(struct drm_gem_object *obj)
{
	struct weft_bo *bo = to_weft_bo(obj);

	undo_dma(to_weft_device(obj->dev), bo);
	if (obj->import_attach)
		drm_prime_gem_destroy(obj, bo->sgt);
	else
		drm_gem_put_pages(obj, bo->pages, true, true);
	weft_bo_fini(bo);
}

static vm_fault_t bo_fault(struct vm_fault *vmf)
{
	struct drm_gem_object *obj = vmf->vma->vm_private_data;
	pgoff_t index = (vmf->address - vmf->vma->vm_start) >> PAGE_SHIFT;
	int ret;

	index += vmf->vma->vm_pgoff - drm_vma_node_start(&obj->vma_node);
	if (index >= obj->size >> PAGE_SHIFT)
		return VM_FAULT_SIGBUS;
	/* The pages are the system's: they stay when the device goes. */
	ret = vm_insert_page(vmf->vma, vmf->address, to_weft_bo(obj)->pages[index]);
	/* EBUSY: another thread was faster. */
	return ret && ret != -EBUSY ? vmf_error(ret) : VM_FAULT_NOPAGE;
}

static const struct vm_operations_struct bo_vm_ops = {
	.fault = bo_fault,
	.open = drm_gem_vm_open,
	.close = drm_gem_vm_close,
};

static int bo_mmap(struct drm_gem_object *obj, struct vm_area_struct *vma)
{
	int ret;

	if (obj->import_attach)
		return -EINVAL;
	ret = weft_bo_mmap_flags(vma);
	if (ret)
		return ret;
	vm_flags_set(vma, VM_MIXEDMAP);
	return 0;
}

static struct sg_table *bo_get_sg_table(struct drm_gem_object *obj)
{
	struct weft_bo *bo = to_weft_bo(obj);

	if (!bo->pages)
		return ERR_PTR(-EOPNOTSUPP);
	return drm_prime_pages_to_sg(obj->dev, bo->pages, obj->size >> PAGE_SHIFT);
}

/* What was imported belongs to its exporter, who would not know of further users. */
static struct dma_buf *bo_export(struct drm_gem_object *obj, int flags)
{
	if (obj->import_attach)
		return ERR_PTR(-EOPNOTSUPP);
	return drm_gem_prime_export(obj, flags);
}

static const struct drm_gem_object_funcs bo_funcs = {
	.free = bo_free,
	.mmap = bo_mmap,
	.export = bo_export,
	.get_sg_table = bo_get_sg_table,
	.vm_ops = &bo_vm_ops,
};

/* False: the DMA mapping has fewer bytes than the object. */
static bool fill_entries(struct weft_bo *bo, struct sg_table *sgt)
{
	struct sg_dma_page_iter iter;
	size_t page = 0, pages = bo->base.size >> PAGE_SHIFT;

	for_each_sgtable_dma_page(sgt, &iter, 0) {
		if (page < pages)
			bo->entries[page++] = sg_page_iter_dma_address(&iter) | WEFT_PTE_HOST;
	}
	return page == pages;
}

static int do_dma(struct weft_device *wdev, struct weft_bo *bo)
{
	struct sg_table *sgt;
	int ret;

	sgt = weft_alloc_err(drm_prime_pages_to_sg(&wdev->drm, bo->pages, bo->base.size >> PAGE_SHIFT));
	if (IS_ERR(sgt))
		return PTR_ERR(sgt);
	/* The caller is between drm_dev_enter() and drm_dev_exit(): removal comes after. */
	ret = weft_try(dma_map_sgtable(&wdev->pdev->dev, sgt, DMA_BIDIRECTIONAL, 0));
	if (ret) {
		sg_free_table(sgt);
		kfree(sgt);
		return ret;
	}
	mutex_lock(&wdev->bos_lock);
	bo->sgt = sgt;
	list_add(&bo->link, &wdev->host_bos);
	mutex_unlock(&wdev->bos_lock);
	return fill_entries(bo, sgt) ? 0 : -EIO;
}

/**
 * weft_bo_host_create() - host memory
 * @wdev: the device
 * @size: bytes, whole pages
 *
 * Return: the object, or ERR_PTR of -ENOMEM or -ENODEV.
 */
struct weft_bo *weft_bo_host_create(struct weft_device *wdev, u64 size)
{
	struct weft_bo *bo;
	int ret;

	/* More than the machine has cannot succeed; trying would drive everything else out. */
	if (size >> PAGE_SHIFT > totalram_pages())
		return ERR_PTR(-ENOMEM);
	bo = weft_bo_alloc(wdev, size, &bo_funcs);
	if (!bo)
		return ERR_PTR(-ENOMEM);
	ret = weft_try(drm_gem_object_init(&wdev->drm, &bo->base, size));
	if (ret) {
		kvfree(bo->entries);
		kfree(bo);
		return ERR_PTR(ret);
	}
	bo->pages = weft_alloc_err(drm_gem_get_pages(&bo->base));
	if (IS_ERR(bo->pages)) {
		ret = PTR_ERR(bo->pages);
		bo->pages = NULL;
		weft_bo_fini(bo);
		return ERR_PTR(ret);
	}
	ret = do_dma(wdev, bo);
	if (ret) {
		drm_gem_object_put(&bo->base);
		return ERR_PTR(ret);
	}
	weft_gpuva_lock_init(bo);
	return bo;
}

/**
 * weft_bo_import() - make an object of another driver's buffer
 * @drm: the DRM device
 * @attachment: of the buffer
 * @sgt: its DMA mapping
 *
 * Return: the object or ERR_PTR.
 */
struct drm_gem_object *weft_bo_import(struct drm_device *drm, struct dma_buf_attachment *attachment,
				      struct sg_table *sgt)
{
	u64 size = attachment->dmabuf->size;
	struct weft_bo *bo;

	if (!size || !IS_ALIGNED(size, WEFT_HW_PAGE_BYTES))
		return ERR_PTR(-EINVAL);
	bo = weft_bo_alloc(to_weft_device(drm), size, &bo_funcs);
	if (!bo)
		return ERR_PTR(-ENOMEM);
	drm_gem_private_object_init(drm, &bo->base, size);
	if (!fill_entries(bo, sgt)) {
		weft_bo_fini(bo);
		return ERR_PTR(-EINVAL);
	}
	bo->sgt = sgt;
	weft_gpuva_lock_init(bo);
	return &bo->base;
}
