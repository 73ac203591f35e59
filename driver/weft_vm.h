/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __WEFT_VM_H__
#define __WEFT_VM_H__

#include <drm/drm_gpuvm.h>
#include <drm/gpu_scheduler.h>
#include <linux/mutex.h>

#include "weft_mmu.h"

struct drm_device;
struct drm_file;
struct weft_device;
struct weft_vm_op;

/**
 * struct weft_vm - an address space
 * @base: what is mapped where
 * @wdev: the device
 * @bind_lock: protects @base's contents and @mmu
 * @mmu: the page tables
 * @mappings: ranges mapped
 * @op: the operation that is being carried out
 * @sched: runs asynchronous binds, in order
 * @entity: of @sched
 */
struct weft_vm {
	struct drm_gpuvm base;
	struct weft_device *wdev;
	struct mutex bind_lock; /* of @base and @mmu */
	struct weft_mmu mmu;
	u32 mappings;
	struct weft_vm_op *op;
	struct drm_gpu_scheduler sched;
	struct drm_sched_entity entity;
};

/**
 * struct weft_va - a mapped range
 * @base: the range
 * @write: the device may write
 * @link: in weft_vm_op.unmapped
 */
struct weft_va {
	struct drm_gpuva base;
	bool write;
	struct list_head link;
};

/**
 * struct weft_vm_op - a bind operation with all the memory that it may need
 * @map: it maps; otherwise it unmaps
 * @write: map: the device may write
 * @address: first address
 * @range: bytes
 * @offset: map: first byte in the object
 * @obj: map: the object, referenced
 * @vm_bo: map: the object's place in the address space; taken by the mapping
 * @spare: memory for ranges: the one that is mapped, and the two that may be left
 *	over at its ends
 * @unmapped: ranges that were unmapped, whose references are dropped when the device
 *	has forgotten them
 */
struct weft_vm_op {
	bool map;
	bool write;
	u64 address;
	u64 range;
	u64 offset;
	struct drm_gem_object *obj;
	struct drm_gpuvm_bo *vm_bo;
	struct weft_va *spare[3];
	struct list_head unmapped;
};

struct weft_vm *weft_vm_create(struct weft_device *wdev);
void weft_vm_destroy(struct weft_vm *vm);
void weft_vm_free_tables(struct weft_vm *vm);
int weft_vm_op_prepare(struct weft_vm *vm, struct weft_vm_op *op);
int weft_vm_op_execute(struct weft_vm *vm, struct weft_vm_op *op);
void weft_vm_op_release(struct weft_vm *vm, struct weft_vm_op *op);

int weft_vm_bind_init(struct weft_vm *vm);
void weft_vm_bind_fini(struct weft_vm *vm);
int weft_vm_bind_ioctl(struct drm_device *drm, void *data, struct drm_file *file);

#endif
