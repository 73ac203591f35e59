// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: address spaces
 *
 * drm_gpuvm keeps what is mapped where and splits ranges; page tables follow.  An
 * operation is prepared with all the memory that it may need, then carried out
 * without allocating, then released: the three are apart so that asynchronous binds
 * carry out in the fence signalling path.
 *
 * An unmapped range keeps its object until the device has forgotten its
 * translation, see weft_vm_bind.c.
 */
#include <drm/drm_print.h>

#include "weft_bo.h"
#include "weft_compat.h"
#include "weft_device.h"
#include "weft_inject.h"
#include "weft_vm.h"

static struct weft_vm *to_weft_vm(struct drm_gpuvm *gpuvm)
{
	return container_of(gpuvm, struct weft_vm, base);
}

static void vm_free(struct drm_gpuvm *gpuvm)
{
	struct weft_vm *vm = to_weft_vm(gpuvm);

	mutex_destroy(&vm->bind_lock);
	kfree(vm);
}

static struct weft_va *take_spare(struct weft_vm *vm)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(vm->op->spare); i++) {
		struct weft_va *va = vm->op->spare[i];

		if (va) {
			vm->op->spare[i] = NULL;
			return va;
		}
	}
	return NULL;
}

/* The range takes over the reference to @vm_bo that drm_gpuva_link() takes. */
static void link_va(struct weft_vm *vm, struct weft_va *va, struct drm_gpuvm_bo *vm_bo)
{
	struct weft_bo *bo = to_weft_bo(va->base.gem.obj);

	mutex_lock(weft_gpuva_lock(bo));
	drm_gpuva_link(&va->base, vm_bo);
	mutex_unlock(weft_gpuva_lock(bo));
	vm->mappings++;
}

/* Out of the address space; its reference to the object stays until the operation is released. */
static void unlink_va(struct weft_vm *vm, struct weft_va *va)
{
	struct weft_bo *bo = to_weft_bo(va->base.gem.obj);
	struct drm_gpuvm_bo *vm_bo = drm_gpuvm_bo_get(va->base.vm_bo);

	mutex_lock(weft_gpuva_lock(bo));
	drm_gpuva_unlink(&va->base);
	mutex_unlock(weft_gpuva_lock(bo));
	va->base.vm_bo = vm_bo;
	list_add_tail(&va->link, &vm->op->unmapped);
	vm->mappings--;
}

static void map_va(struct weft_vm *vm, const struct weft_va *va)
{
	const struct weft_bo *bo = to_weft_bo(va->base.gem.obj);

	weft_mmu_map(&vm->mmu, va->base.va.addr, va->base.va.range,
		     bo->entries + (va->base.gem.offset >> WEFT_HW_PAGE_SHIFT), va->write);
}

static int step_map(struct drm_gpuva_op *op, void *priv)
{
	struct weft_vm *vm = priv;
	struct weft_va *va = take_spare(vm);

	if (!va)
		return -EINVAL;
	va->write = vm->op->write;
	drm_gpuva_map(&vm->base, &va->base, &op->map);
	link_va(vm, va, vm->op->vm_bo);
	map_va(vm, va);
	return 0;
}

static int step_remap(struct drm_gpuva_op *op, void *priv)
{
	struct weft_va *old = container_of(op->remap.unmap->va, struct weft_va, base), *prev = NULL, *next = NULL;
	struct weft_vm *vm = priv;
	u64 start, range;

	drm_gpuva_op_remap_to_unmap_range(&op->remap, &start, &range);
	weft_mmu_unmap(&vm->mmu, start, range);
	if (op->remap.prev)
		prev = take_spare(vm);
	if (op->remap.next)
		next = take_spare(vm);
	drm_gpuva_remap(prev ? &prev->base : NULL, next ? &next->base : NULL, &op->remap);
	/* The page table entries of what is left stay as they are. */
	if (prev) {
		prev->write = old->write;
		link_va(vm, prev, old->base.vm_bo);
	}
	if (next) {
		next->write = old->write;
		link_va(vm, next, old->base.vm_bo);
	}
	unlink_va(vm, old);
	return 0;
}

static int step_unmap(struct drm_gpuva_op *op, void *priv)
{
	struct weft_va *va = container_of(op->unmap.va, struct weft_va, base);
	struct weft_vm *vm = priv;

	weft_mmu_unmap(&vm->mmu, va->base.va.addr, va->base.va.range);
	drm_gpuva_unmap(&op->unmap);
	unlink_va(vm, va);
	return 0;
}

static const struct drm_gpuvm_ops vm_ops = {
	.vm_free = vm_free,
	.sm_step_map = step_map,
	.sm_step_remap = step_remap,
	.sm_step_unmap = step_unmap,
};

/**
 * weft_vm_create() - an empty address space
 * @wdev: the device
 *
 * Return: the address space or ERR_PTR.
 */
struct weft_vm *weft_vm_create(struct weft_device *wdev)
{
	struct drm_gem_object *resv;
	struct weft_vm *vm;
	int ret = -ENOMEM;

	vm = weft_alloc(kzalloc(sizeof(*vm), GFP_KERNEL));
	if (!vm)
		return ERR_PTR(-ENOMEM);
	vm->wdev = wdev;
	mutex_init(&vm->bind_lock);
	resv = weft_alloc(drm_gpuvm_resv_object_alloc(&wdev->drm));
	if (!resv)
		goto err_free;
	/* Page 0 is never mapped: address 0 stands for an absent operand. */
	drm_gpuvm_init(&vm->base, "weft", WEFT_GPUVM_FLAGS, &wdev->drm, resv, 0, 1ULL << WEFT_VA_BITS, 0,
		       WEFT_HW_PAGE_BYTES, &vm_ops);
	drm_gem_object_put(resv);
	ret = weft_mmu_init(&vm->mmu, &wdev->pdev->dev);
	if (ret)
		goto err_put;
	ret = weft_vm_bind_init(vm);
	if (ret)
		goto err_mmu;
	return vm;

err_mmu:
	weft_mmu_fini(&vm->mmu);
err_put:
	drm_gpuvm_put(&vm->base);
	return ERR_PTR(ret);
err_free:
	mutex_destroy(&vm->bind_lock);
	kfree(vm);
	return ERR_PTR(ret);
}

/**
 * weft_vm_op_prepare() - allocate what an operation may need
 * @vm: the address space
 * @op: the operation, checked
 *
 * Return: 0, or -ENOMEM; weft_vm_op_release() frees it in either case.
 */
int weft_vm_op_prepare(struct weft_vm *vm, struct weft_vm_op *op)
{
	struct drm_gpuvm_bo *vm_bo;

	for (unsigned int i = 0; i < ARRAY_SIZE(op->spare); i++) {
		op->spare[i] = weft_alloc(kzalloc(sizeof(*op->spare[i]), GFP_KERNEL_ACCOUNT));
		if (!op->spare[i])
			return -ENOMEM;
		INIT_LIST_HEAD(&op->spare[i]->link);
	}
	if (!op->map)
		return 0;
	vm_bo = weft_alloc(drm_gpuvm_bo_create(&vm->base, op->obj));
	if (!vm_bo)
		return -ENOMEM;
	dma_resv_lock(drm_gpuvm_resv(&vm->base), NULL);
	/* Uses the one that exists already, if so. */
	op->vm_bo = weft_gpuvm_bo_obtain(vm_bo, weft_gpuva_lock(to_weft_bo(op->obj)));
	dma_resv_unlock(drm_gpuvm_resv(&vm->base));

	return weft_mmu_prepare(&vm->mmu, &vm->bind_lock, op->address, op->range);
}

/**
 * weft_vm_op_execute() - carry out a prepared operation; allocates nothing
 * @vm: the address space, with bind_lock held
 * @op: the operation
 *
 * Return: 0; an error would be one of this driver.
 */
int weft_vm_op_execute(struct weft_vm *vm, struct weft_vm_op *op)
{
	int ret;

	lockdep_assert_held(&vm->bind_lock);
	vm->op = op;
	if (op->map)
		ret = weft_gpuvm_sm_map(&vm->base, vm, op->address, op->range, op->obj, op->offset);
	else
		ret = drm_gpuvm_sm_unmap(&vm->base, vm, op->address, op->range);
	vm->op = NULL;
	return ret;
}

static void put_vm_bo(struct weft_vm *vm, struct drm_gpuvm_bo *vm_bo)
{
	struct drm_gem_object *obj = vm_bo->obj;

	/* The last reference to the object may go with it, and the lock is the object's. */
	drm_gem_object_get(obj);
	dma_resv_lock(drm_gpuvm_resv(&vm->base), NULL);
	mutex_lock(weft_gpuva_lock(to_weft_bo(obj)));
	drm_gpuvm_bo_put(vm_bo);
	mutex_unlock(weft_gpuva_lock(to_weft_bo(obj)));
	dma_resv_unlock(drm_gpuvm_resv(&vm->base));
	drm_gem_object_put(obj);
}

/**
 * weft_vm_op_release() - drop what an operation holds
 * @vm: the address space
 * @op: the operation; what it unmapped is unknown to the device
 */
void weft_vm_op_release(struct weft_vm *vm, struct weft_vm_op *op)
{
	struct weft_va *va, *next;

	list_for_each_entry_safe(va, next, &op->unmapped, link) {
		list_del(&va->link);
		put_vm_bo(vm, va->base.vm_bo);
		kfree(va);
	}
	if (op->vm_bo)
		put_vm_bo(vm, op->vm_bo);
	if (op->obj)
		drm_gem_object_put(op->obj);
	for (unsigned int i = 0; i < ARRAY_SIZE(op->spare); i++)
		kfree(op->spare[i]);
}

/**
 * weft_vm_free_tables() - free the page tables, which belong to the bus device
 * @vm: the address space, which the device does not use any more
 */
void weft_vm_free_tables(struct weft_vm *vm)
{
	mutex_lock(&vm->bind_lock);
	weft_mmu_fini(&vm->mmu);
	mutex_unlock(&vm->bind_lock);
}

/**
 * weft_vm_destroy() - unmap everything and free the address space
 * @vm: the address space, which the device does not use any more
 */
void weft_vm_destroy(struct weft_vm *vm)
{
	struct weft_vm_op op = { .address = WEFT_HW_PAGE_BYTES };

	weft_vm_bind_fini(vm);
	INIT_LIST_HEAD(&op.unmapped);
	op.range = (1ULL << WEFT_VA_BITS) - op.address;
	mutex_lock(&vm->bind_lock);
	/* Nothing is split, so no memory is needed. */
	drm_WARN_ON(&vm->wdev->drm, weft_vm_op_execute(vm, &op));
	mutex_unlock(&vm->bind_lock);
	weft_vm_op_release(vm, &op);
	weft_vm_free_tables(vm);
	drm_gpuvm_put(&vm->base);
}
