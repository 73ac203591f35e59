// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: sleep
 *
 * *Runtime.*  The device is awake while somebody holds a reference: each ioctl while it
 * runs, each job and each asynchronous bind from its submission until it is freed, each
 * mapping of device memory, and work that talks to the firmware.  References that wake the
 * device are taken by processes and by work items that suspending does not wait for, with
 * no lock held; jobs are given theirs in the ioctl, so that no worker of a scheduler ever
 * wakes the device, nor allocates for it.
 *
 * Asleep, the firmware does not run, and nothing is at the engines.  Device memory keeps
 * its contents: the function may go to D3hot, not to D3cold.  Waking up starts the firmware
 * and tells it of all contexts; page tables are in host memory and stay as they are.
 *
 * *System.*  Jobs are not waited for, which might take long: the device is stopped as for
 * a reset, between two commands, and its jobs go on after waking up (see weft_replay.c).
 * Power may go, and device memory with it.  So its contents are saved in host memory,
 * unless the system only idles; the memory for that is allocated before, when there is
 * swap still.
 *
 * *Resets of the function* by the PCI core (sysfs's reset, or a hypervisor that passes the
 * device on) are like the latter, but keep device memory.
 */
#include <linux/io.h>
#include <linux/pm_runtime.h>
#include <linux/suspend.h>
#include <linux/vmalloc.h>

#include <drm/drm_drv.h>
#include <drm/drm_print.h>

#include "weft_bo.h"
#include "weft_device.h"
#include "weft_fw.h"
#include "weft_pm.h"
#include "weft_reset.h"

#define AUTOSUSPEND_MS 2000

/**
 * weft_pm_init() - let the device sleep when it is not used
 * @wdev: the device, awake
 */
void weft_pm_init(struct weft_device *wdev)
{
	struct device *dev = &wdev->pdev->dev;

	/* Device memory would be lost. */
	pci_d3cold_disable(wdev->pdev);
	pm_runtime_set_autosuspend_delay(dev, AUTOSUSPEND_MS);
	pm_runtime_use_autosuspend(dev);
	pm_runtime_allow(dev);
	pm_runtime_mark_last_busy(dev);
	/* What the PCI core took for probing. */
	pm_runtime_put_noidle(dev);
}

/**
 * weft_pm_fini() - wake the device up for its removal, and undo weft_pm_init()
 * @wdev: the device
 */
void weft_pm_fini(struct weft_device *wdev)
{
	struct device *dev = &wdev->pdev->dev;

	pm_runtime_get_sync(dev);
	pm_runtime_forbid(dev);
	pm_runtime_dont_use_autosuspend(dev);
	pci_d3cold_enable(wdev->pdev);
	/* pm_runtime_forbid() holds it awake, and what was got above is the PCI core's again. */
}

/**
 * weft_pm_get() - have the device awake, waking it up if need be
 * @wdev: the device
 *
 * May sleep.  Not for workers of a scheduler, nor with a lock held.
 *
 * Return: 0 or a negative errno value.
 */
int weft_pm_get(struct weft_device *wdev)
{
	return pm_runtime_resume_and_get(wdev->drm.dev);
}

/**
 * weft_pm_get_awake() - keep the device awake
 * @wdev: the device, which the caller knows to be awake
 */
void weft_pm_get_awake(struct weft_device *wdev)
{
	pm_runtime_get_noresume(wdev->drm.dev);
}

/**
 * weft_pm_put() - let the device sleep after a while, if nobody else uses it
 * @wdev: the device
 */
void weft_pm_put(struct weft_device *wdev)
{
	pm_runtime_mark_last_busy(wdev->drm.dev);
	pm_runtime_put_autosuspend(wdev->drm.dev);
}

static int runtime_suspend(struct device *dev)
{
	struct weft_device *wdev = pci_get_drvdata(to_pci_dev(dev));

	if (weft_device_dead(wdev))
		return 0;
	return weft_reset_sleep(wdev, false);
}

static int runtime_resume(struct device *dev)
{
	struct weft_device *wdev = pci_get_drvdata(to_pci_dev(dev));

	if (wdev->asleep)
		weft_reset_wake(wdev, false);
	/* A device that did not wake up is dead, which is what callers look at. */
	return 0;
}

static void free_saved(struct weft_device *wdev)
{
	struct weft_bo *bo;

	mutex_lock(&wdev->bos_lock);
	list_for_each_entry(bo, &wdev->device_bos, link) {
		vfree(bo->saved);
		bo->saved = NULL;
	}
	mutex_unlock(&wdev->bos_lock);
}

/* Processes are frozen: no object is made or freed from here until they run again. */
static int prepare(struct device *dev)
{
	struct weft_device *wdev = pci_get_drvdata(to_pci_dev(dev));
	struct weft_bo *bo;
	int ret = 0;

	if (pm_suspend_target_state == PM_SUSPEND_TO_IDLE)
		return 0;
	mutex_lock(&wdev->bos_lock);
	list_for_each_entry(bo, &wdev->device_bos, link) {
		bo->saved = vmalloc(bo->base.size);
		if (!bo->saved) {
			ret = -ENOMEM;
			break;
		}
	}
	mutex_unlock(&wdev->bos_lock);
	if (ret)
		free_saved(wdev);
	return ret;
}

static void complete_sleep(struct device *dev)
{
	free_saved(pci_get_drvdata(to_pci_dev(dev)));
}

static void copy_memory(struct weft_device *wdev, bool save)
{
	struct weft_bo *bo;

	mutex_lock(&wdev->bos_lock);
	list_for_each_entry(bo, &wdev->device_bos, link) {
		for (size_t page = 0; bo->saved && page < bo->base.size >> PAGE_SHIFT; page++) {
			void __iomem *there = wdev->memory_window + bo->entries[page];
			void *here = bo->saved + (page << PAGE_SHIFT);

			if (save)
				memcpy_fromio(here, there, PAGE_SIZE);
			else
				memcpy_toio(there, here, PAGE_SIZE);
			if (save && wdev->lose_memory)
				memset_io(there, 0xa5, PAGE_SIZE);
		}
	}
	mutex_unlock(&wdev->bos_lock);
}

/* The PCI core has woken the device up before. */
static int system_suspend(struct device *dev)
{
	struct weft_device *wdev = pci_get_drvdata(to_pci_dev(dev));
	int ret;

	if (weft_device_dead(wdev))
		return 0;
	ret = weft_reset_sleep(wdev, true);
	if (!ret)
		copy_memory(wdev, true);
	return ret;
}

static int system_resume(struct device *dev)
{
	struct weft_device *wdev = pci_get_drvdata(to_pci_dev(dev));

	if (!wdev->asleep)
		return 0;
	copy_memory(wdev, false);
	weft_reset_wake(wdev, true);
	return 0;
}

/* Held for both by the PCI core is the lock that removal takes. */
static void reset_prepare(struct pci_dev *pdev)
{
	struct weft_device *wdev = pci_get_drvdata(pdev);

	pm_runtime_get_sync(&pdev->dev);
	if (!weft_device_dead(wdev))
		weft_reset_sleep(wdev, true);
}

static void reset_done(struct pci_dev *pdev)
{
	struct weft_device *wdev = pci_get_drvdata(pdev);

	if (wdev->asleep)
		weft_reset_wake(wdev, true);
	weft_pm_put(wdev);
}

const struct pci_error_handlers weft_pci_error_handlers = {
	.reset_prepare = reset_prepare,
	.reset_done = reset_done,
};

const struct dev_pm_ops weft_pm_ops = {
	.prepare = pm_sleep_ptr(prepare),
	.complete = pm_sleep_ptr(complete_sleep),
	SYSTEM_SLEEP_PM_OPS(system_suspend, system_resume)
	RUNTIME_PM_OPS(runtime_suspend, runtime_resume, NULL)
};
