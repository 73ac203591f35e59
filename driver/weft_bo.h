/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __WEFT_BO_H__
#define __WEFT_BO_H__

#include <drm/drm_gem.h>
#include <linux/scatterlist.h>

struct dmem_cgroup_pool_state;
struct weft_client;
struct weft_device;
struct weft_usage;

/**
 * struct weft_bo - a buffer object
 * @base: the GEM object
 * @device: it is device memory
 * @counted: it is in weft_device.counts
 * @usage: of the client that made it, or NULL (imported)
 * @context_usage: of the context that its memory is charged to, or NULL; the object must
 *	not hold the context itself, whose mappings hold the object
 * @gpuva_lock: protects the list of its mappings
 * @entries: address part of the page table entry of each page, set once; with
 *	WEFT_PTE_HOST where it is host memory
 * @blocks: device memory: of the allocator
 * @pages: host memory: its pages; NULL if imported
 * @sgt: host memory: its DMA mapping; NULL after removal of the device
 * @dmem: device memory: what it is charged to in the creator's cgroup, or NULL
 * @saved: device memory: its contents, while the system sleeps
 * @link: in weft_device.host_bos or .device_bos; protected by weft_device.bos_lock
 */
struct weft_bo {
	struct drm_gem_object base;
	bool device;
	bool counted;
	struct weft_usage *usage;
	struct weft_usage *context_usage;
	struct mutex gpuva_lock; /* of the list of mappings */
	u64 *entries;
	struct list_head blocks;
	struct page **pages;
	struct sg_table *sgt;
	struct dmem_cgroup_pool_state *dmem;
	void *saved;
	struct list_head link;
};

static inline struct weft_bo *to_weft_bo(struct drm_gem_object *obj)
{
	return container_of(obj, struct weft_bo, base);
}

/* weft_bo.c */
struct weft_bo *weft_bo_alloc(struct weft_device *wdev, u64 size, const struct drm_gem_object_funcs *funcs);
void weft_bo_fini(struct weft_bo *bo);
int weft_bo_mmap_flags(struct vm_area_struct *vma);
vm_fault_t weft_bo_fault_dummy(struct vm_fault *vmf);
int weft_bo_create_ioctl(struct drm_device *drm, void *data, struct drm_file *file);
int weft_bo_info_ioctl(struct drm_device *drm, void *data, struct drm_file *file);

/* weft_bo_device.c */
struct weft_bo *weft_bo_device_create(struct weft_device *wdev, u64 size);

/* weft_bo_host.c */
struct weft_bo *weft_bo_host_create(struct weft_device *wdev, u64 size);
struct drm_gem_object *weft_bo_import(struct drm_device *drm, struct dma_buf_attachment *attachment,
				      struct sg_table *sgt);
void weft_bo_host_unmap_all(struct weft_device *wdev);

#endif
