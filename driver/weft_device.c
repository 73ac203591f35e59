// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: the device
 *
 * What the device says of itself is read once, at probe, checked against the PCI
 * resources and against limits of our own, and never read again.
 */
#include <linux/ctype.h>
#include <linux/io-64-nonatomic-lo-hi.h>
#include <linux/module.h>

#include <drm/drm_managed.h>
#include <drm/drm_print.h>

#include "weft_device.h"
#include "weft_inject.h"
#include "weft_reset.h"

static bool window_ok(u64 offset, u64 bytes, u64 bar_bytes)
{
	u64 end;

	return bytes && IS_ALIGNED(offset, WEFT_HW_PAGE_BYTES) && !check_add_overflow(offset, bytes, &end) &&
	       end <= bar_bytes;
}

static void read_string(struct weft_device *wdev, char *to, size_t bytes, size_t offset)
{
	memcpy_fromio(to, wdev->control + offset, bytes);
	to[bytes - 1] = '\0';
	for (; *to; to++) {
		if (!isascii(*to) || !isprint(*to))
			*to = '?';
	}
}

#define READ_STRING(wdev, to, field) read_string(wdev, to, sizeof(to), offsetof(struct weft_hw_mailbox, field))

/**
 * weft_device_read_info() - read and check what the device says of itself
 * @wdev: the device, with @wdev->control mapped for at least the mailbox
 *
 * Return: 0, or -EPROTO after a message.
 */
int weft_device_read_info(struct weft_device *wdev)
{
	u64 bar_bytes = pci_resource_len(wdev->pdev, WEFT_BAR_MEMORY);
	struct weft_hw_info *hw = &wdev->hw;

	hw->doorbell = weft_mailbox_read32(wdev, doorbell);
	hw->request_offset = weft_mailbox_read64(wdev, request_offset);
	hw->request_entries = weft_mailbox_read32(wdev, request_entries);
	hw->firmware_offset = weft_mailbox_read64(wdev, firmware_offset);
	hw->firmware_bytes = weft_mailbox_read64(wdev, firmware_bytes);
	hw->memory_offset = weft_mailbox_read64(wdev, memory_offset);
	hw->memory_bytes = weft_mailbox_read64(wdev, memory_bytes);
	hw->local_bytes = weft_mailbox_read64(wdev, local_bytes);
	hw->lanes = weft_mailbox_read32(wdev, lanes);
	hw->contexts = weft_mailbox_read32(wdev, contexts);
	hw->clock_hz = weft_mailbox_read64(wdev, clock_hz);
	hw->macs_per_cycle = weft_mailbox_read64(wdev, macs_per_cycle);
	hw->device_bytes_per_second = weft_mailbox_read64(wdev, device_bytes_per_second);
	hw->dma_in_bytes_per_second = weft_mailbox_read64(wdev, dma_in_bytes_per_second);
	hw->dma_out_bytes_per_second = weft_mailbox_read64(wdev, dma_out_bytes_per_second);
	READ_STRING(wdev, hw->name, name);
	READ_STRING(wdev, hw->profile, profile);
	READ_STRING(wdev, hw->kernels, kernels);

	if (weft_mailbox_read32(wdev, virtual_bits) != WEFT_VA_BITS || !hw->contexts ||
	    hw->contexts > WEFT_HW_MAX_CONTEXTS || !is_power_of_2(hw->request_entries) ||
	    hw->request_entries < WEFT_RING_PLACES || hw->request_entries > WEFT_HW_MAX_RING_ENTRIES ||
	    !IS_ALIGNED(hw->memory_bytes, WEFT_HW_PAGE_BYTES) || hw->memory_offset > WEFT_HW_CONTROL_MAX_BYTES ||
	    !window_ok(hw->memory_offset, hw->memory_bytes, bar_bytes) ||
	    !window_ok(hw->firmware_offset, hw->firmware_bytes, hw->memory_offset) ||
	    hw->request_offset < WEFT_HW_MAILBOX_BYTES || hw->firmware_offset < WEFT_HW_MAILBOX_BYTES ||
	    !window_ok(hw->request_offset, hw->request_entries * sizeof(struct weft_hw_request), hw->memory_offset)) {
		drm_err(&wdev->drm, "the device describes itself wrongly: memory %#llx+%#llx of %#llx, %u requests\n",
			hw->memory_offset, hw->memory_bytes, bar_bytes, hw->request_entries);
		return -EPROTO;
	}
	return 0;
}

static void memory_fini(struct drm_device *drm, void *unused)
{
	drm_buddy_fini(&to_weft_device(drm)->memory.mm);
}

static void ida_fini(struct drm_device *drm, void *unused)
{
	ida_destroy(&to_weft_device(drm)->context_ids);
}

static void workqueue_fini(struct drm_device *drm, void *workqueue)
{
	destroy_workqueue(workqueue);
}

static int keep_workqueue(struct drm_device *drm, struct workqueue_struct *workqueue)
{
	return workqueue ? drmm_add_action_or_reset(drm, workqueue_fini, workqueue) : -ENOMEM;
}

/**
 * weft_device_init() - set up what user space can still reach after removal
 * @wdev: the device, whose @hw is known
 *
 * Return: 0 or a negative errno value.
 */
int weft_device_init(struct weft_device *wdev)
{
	struct drm_device *drm = &wdev->drm;
	int ret;

	INIT_LIST_HEAD(&wdev->host_bos);
	INIT_LIST_HEAD(&wdev->device_bos);
	INIT_LIST_HEAD(&wdev->contexts);
	ret = weft_try(drmm_mutex_init(drm, &wdev->bos_lock));
	if (ret)
		return ret;
	ret = weft_try(drmm_mutex_init(drm, &wdev->contexts_lock));
	if (ret)
		return ret;
	ret = weft_try(drmm_mutex_init(drm, &wdev->memory.lock));
	if (ret)
		return ret;
	ida_init(&wdev->context_ids);
	ret = drmm_add_action_or_reset(drm, ida_fini, NULL);
	if (ret)
		return ret;
	ret = weft_try(drm_buddy_init(&wdev->memory.mm, wdev->hw.memory_bytes, WEFT_HW_PAGE_BYTES));
	if (ret)
		return ret;
	ret = drmm_add_action_or_reset(drm, memory_fini, NULL);
	if (ret)
		return ret;
	wdev->memory.region = weft_alloc_err(weft_dmem_register(drm, wdev->hw.memory_bytes));
	if (IS_ERR(wdev->memory.region))
		return PTR_ERR(wdev->memory.region);

	/* Both are of use for getting memory back. */
	wdev->submit_wq = weft_alloc(alloc_workqueue("weft-submit", WQ_MEM_RECLAIM | WEFT_WQ_PERCPU, 0));
	ret = keep_workqueue(drm, wdev->submit_wq);
	if (ret)
		return ret;
	wdev->reset_wq = weft_alloc(alloc_ordered_workqueue("weft-reset", WQ_MEM_RECLAIM));
	ret = keep_workqueue(drm, wdev->reset_wq);
	if (ret)
		return ret;
	weft_reset_init(wdev);
	weft_coredump_init(wdev);
	weft_energy_init(wdev);
	return 0;
}

/**
 * weft_device_die() - stop using the device for good
 * @wdev: the device
 *
 * After this every call of user space fails with ENODEV.  Jobs are not ended here.
 */
void weft_device_die(struct weft_device *wdev)
{
	WRITE_ONCE(wdev->dead, true);
	weft_ring_close(wdev);
	weft_ring_release(wdev);
}
