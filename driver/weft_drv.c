// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: the driver
 *
 * Probe and removal, the ioctl table, and the file operations.
 *
 * Removal can come at any time.  drm_dev_unplug() keeps ioctls and the time-out
 * handler off the hardware; then the device is stopped, everything that it held ends
 * with ENODEV, and what belongs to the bus device (interrupt, windows, DMA mappings)
 * goes.  What user space can still reach stays until the last file is closed.
 */
#include <linux/dma-mapping.h>
#include <linux/io-64-nonatomic-lo-hi.h>
#include <linux/module.h>
#include <linux/pci.h>

#include <drm/drm_accel.h>
#include <drm/drm_drv.h>
#include <drm/drm_gem.h>
#include <drm/drm_ioctl.h>
#include <drm/drm_prime.h>
#include <drm/drm_print.h>

#include <drm/weft_accel.h>

#include "weft_bo.h"
#include "weft_client.h"
#include "weft_compat.h"
#include "weft_context.h"
#include "weft_debugfs.h"
#include "weft_device.h"
#include "weft_fw.h"
#include "weft_inject.h"
#include "weft_job.h"
#include "weft_pm.h"
#include "weft_query.h"
#include "weft_queue.h"
#include "weft_reset.h"
#include "weft_sched.h"
#include "weft_wait.h"

uint weft_job_timeout_ms = 5000;
module_param_named(job_timeout_ms, weft_job_timeout_ms, uint, 0444);
MODULE_PARM_DESC(job_timeout_ms, "A job is looked at when it takes this long (default 5000)");

uint weft_command_timeout_ms = 10000;
module_param_named(command_timeout_ms, weft_command_timeout_ms, uint, 0444);
MODULE_PARM_DESC(command_timeout_ms, "Longest time of one command (default 10000)");

uint weft_poll_us = 200;
module_param_named(poll_us, weft_poll_us, uint, 0644);
MODULE_PARM_DESC(poll_us, "How long who waits, and the firmware from its next start, polls before it sleeps (default 200, 0: never)");

bool weft_null_submission;
module_param_named(null_submission, weft_null_submission, bool, 0644);
MODULE_PARM_DESC(null_submission, "Complete jobs without executing them (default false)");

struct workqueue_struct *weft_release_wq;

/* Runs @handler with the device awake, unless it has gone. */
static int guarded(struct drm_device *drm, void *data, struct drm_file *file, drm_ioctl_t *handler)
{
	struct weft_device *wdev = to_weft_device(drm);
	int idx, ret;

	if (!drm_dev_enter(drm, &idx))
		return -ENODEV;
	ret = weft_device_dead(wdev) ? -ENODEV : weft_pm_get(wdev);
	if (!ret) {
		/* It may not have woken up. */
		ret = weft_device_dead(wdev) ? -ENODEV : handler(drm, data, file);
		weft_pm_put(wdev);
	}
	drm_dev_exit(idx);
	return ret;
}

#define WEFT_IOCTL(name)                                                                    \
	static int name##_guarded(struct drm_device *drm, void *data, struct drm_file *file) \
	{                                                                                   \
		return guarded(drm, data, file, name##_ioctl);                              \
	}

WEFT_IOCTL(weft_query)
WEFT_IOCTL(weft_context_create)
WEFT_IOCTL(weft_context_destroy)
WEFT_IOCTL(weft_context_recover)
WEFT_IOCTL(weft_bo_create)
WEFT_IOCTL(weft_bo_info)
WEFT_IOCTL(weft_vm_bind)
WEFT_IOCTL(weft_queue_create)
WEFT_IOCTL(weft_queue_destroy)
WEFT_IOCTL(weft_submit)

static const struct drm_ioctl_desc weft_ioctls[] = {
	DRM_IOCTL_DEF_DRV(WEFT_QUERY, weft_query_guarded, 0),
	DRM_IOCTL_DEF_DRV(WEFT_CONTEXT_CREATE, weft_context_create_guarded, 0),
	DRM_IOCTL_DEF_DRV(WEFT_CONTEXT_DESTROY, weft_context_destroy_guarded, 0),
	DRM_IOCTL_DEF_DRV(WEFT_CONTEXT_RECOVER, weft_context_recover_guarded, 0),
	DRM_IOCTL_DEF_DRV(WEFT_BO_CREATE, weft_bo_create_guarded, 0),
	DRM_IOCTL_DEF_DRV(WEFT_BO_INFO, weft_bo_info_guarded, 0),
	DRM_IOCTL_DEF_DRV(WEFT_VM_BIND, weft_vm_bind_guarded, 0),
	DRM_IOCTL_DEF_DRV(WEFT_QUEUE_CREATE, weft_queue_create_guarded, 0),
	DRM_IOCTL_DEF_DRV(WEFT_QUEUE_DESTROY, weft_queue_destroy_guarded, 0),
	DRM_IOCTL_DEF_DRV(WEFT_SUBMIT, weft_submit_guarded, 0),
	/* Not guarded: it sleeps, and removal waits for guards. */
	DRM_IOCTL_DEF_DRV(WEFT_WAIT, weft_wait_ioctl, 0),
};

static const struct file_operations weft_fops = {
	.owner = THIS_MODULE,
	DRM_ACCEL_FOPS,
#ifdef CONFIG_PROC_FS
	.show_fdinfo = drm_show_fdinfo,
#endif
};

static const struct drm_driver weft_driver = {
	.driver_features = DRIVER_GEM | WEFT_GEM_GPUVA | DRIVER_COMPUTE_ACCEL | DRIVER_SYNCOBJ |
			   DRIVER_SYNCOBJ_TIMELINE,
	.open = weft_client_open,
	.postclose = weft_client_close,
	.show_fdinfo = weft_client_show_fdinfo,
	.gem_prime_import_sg_table = weft_bo_import,
	.ioctls = weft_ioctls,
	.num_ioctls = ARRAY_SIZE(weft_ioctls),
	.fops = &weft_fops,
	.name = DRM_WEFT_NAME,
	.desc = "Weft NPU",
	.major = DRM_WEFT_MAJOR,
	.minor = DRM_WEFT_MINOR,
};

static irqreturn_t weft_interrupt(int irq, void *data)
{
	struct weft_device *wdev = data;

	/* MSI-X is not shared: ours, whether something is left to take or not. */
	weft_ring_poll(wdev);
	return IRQ_HANDLED;
}

/* Map the mailbox, see whether this is a Weft NPU at all, then map the rest. */
static int map_windows(struct weft_device *wdev)
{
	struct pci_dev *pdev = wdev->pdev;
	u32 version, oldest = WEFT_HW_VERSION(WEFT_HW_VERSION_MAJOR, WEFT_HW_VERSION_MINOR);
	int ret;

	if (pci_resource_len(pdev, WEFT_BAR_REGISTERS) < WEFT_REG_DOORBELL + sizeof(u32) ||
	    pci_resource_len(pdev, WEFT_BAR_MEMORY) < WEFT_HW_MAILBOX_BYTES)
		return -ENODEV;
	wdev->control = devm_ioremap(&pdev->dev, pci_resource_start(pdev, WEFT_BAR_MEMORY), WEFT_HW_MAILBOX_BYTES);
	if (!wdev->control)
		return -ENOMEM;
	if (weft_mailbox_read64(wdev, magic) != WEFT_HW_MAGIC)
		return -ENODEV;
	version = weft_mailbox_read32(wdev, version);
	/* A minor only adds, but this driver needs what the last one has added. */
	if (version >> 16 != WEFT_HW_VERSION_MAJOR || version < oldest) {
		dev_err(&pdev->dev, "device has interface %u.%u, this driver needs %u.%u\n", version >> 16,
			version & 0xffff, WEFT_HW_VERSION_MAJOR, WEFT_HW_VERSION_MINOR);
		return -EPROTO;
	}
	ret = weft_device_read_info(wdev);
	if (ret)
		return ret;
	devm_iounmap(&pdev->dev, wdev->control);
	wdev->control = devm_ioremap(&pdev->dev, pci_resource_start(pdev, WEFT_BAR_MEMORY), wdev->hw.memory_offset);
	wdev->memory_bus = pci_resource_start(pdev, WEFT_BAR_MEMORY) + wdev->hw.memory_offset;
	wdev->memory_window = devm_ioremap_wc(&pdev->dev, wdev->memory_bus, wdev->hw.memory_bytes);
	wdev->registers = devm_ioremap(&pdev->dev, pci_resource_start(pdev, WEFT_BAR_REGISTERS),
				       pci_resource_len(pdev, WEFT_BAR_REGISTERS));
	return wdev->control && wdev->memory_window && wdev->registers ? 0 : -ENOMEM;
}

static void free_vectors(void *pdev)
{
	pci_free_irq_vectors(pdev);
}

static int request_interrupt(struct weft_device *wdev)
{
	struct pci_dev *pdev = wdev->pdev;
	int ret;

	ret = weft_try(pci_alloc_irq_vectors(pdev, WEFT_HW_VECTORS, WEFT_HW_VECTORS, PCI_IRQ_MSIX));
	if (ret < 0)
		return ret;
	ret = devm_add_action_or_reset(&pdev->dev, free_vectors, pdev);
	if (ret)
		return ret;
	return weft_try(devm_request_irq(&pdev->dev, pci_irq_vector(pdev, WEFT_HW_VECTOR_EVENT), weft_interrupt, 0,
					 "weft", wdev));
}

/* Reset, so that whatever ran before is forgotten, and start the firmware. */
static int start(struct weft_device *wdev)
{
	int ret;

	ret = weft_fw_reset(wdev);
	if (ret)
		return ret;
	weft_ring_open(wdev);
	ret = weft_try(weft_fw_boot(wdev));
	if (ret)
		goto err_reset;
	ret = weft_sched_setup(wdev);
	if (ret)
		goto err_reset;
	return 0;

err_reset:
	weft_ring_close(wdev);
	weft_fw_reset(wdev);
	return ret;
}

static int weft_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct weft_device *wdev;
	int ret;

	wdev = devm_drm_dev_alloc(&pdev->dev, &weft_driver, struct weft_device, drm);
	if (IS_ERR(wdev))
		return PTR_ERR(wdev);
	wdev->pdev = pdev;
	pci_set_drvdata(pdev, wdev);
	ret = weft_try(pcim_enable_device(pdev));
	if (ret)
		return ret;
	ret = map_windows(wdev);
	if (ret)
		return ret;
	ret = weft_try(pcim_request_all_regions(pdev, DRM_WEFT_NAME));
	if (ret)
		return ret;
	ret = weft_try(dma_set_mask_and_coherent(&pdev->dev, DMA_BIT_MASK(52)));
	if (ret)
		return ret;
	ret = weft_device_init(wdev);
	if (ret)
		return ret;
	ret = weft_fw_request(wdev);
	if (ret)
		return ret;
	ret = weft_ring_init(wdev);
	if (ret)
		goto err_release_fw;
	pci_set_master(pdev);
	ret = start(wdev);
	if (ret)
		goto err_ring_fini;
	ret = request_interrupt(wdev);
	if (ret)
		goto err_reset;
	ret = weft_try(weft_hwmon_init(wdev));
	if (ret)
		goto err_reset;
	weft_debugfs_init(wdev);
	ret = weft_try(drm_dev_register(&wdev->drm, 0));
	if (ret)
		goto err_reset;
	drm_info(&wdev->drm, "%s: %llu MiB, firmware %s, %u slots\n", wdev->hw.name, wdev->hw.memory_bytes >> 20,
		 wdev->hw.firmware_version, wdev->hw.slots);
	weft_pm_init(wdev);
	return 0;

err_reset:
	weft_device_die(wdev);
	weft_fw_reset(wdev);
err_ring_fini:
	pci_clear_master(pdev);
	weft_ring_fini(wdev);
err_release_fw:
	weft_fw_release(wdev);
	return ret;
}

static void weft_remove(struct pci_dev *pdev)
{
	struct weft_device *wdev = pci_get_drvdata(pdev);

	weft_pm_fini(wdev);
	drm_dev_unplug(&wdev->drm);
	weft_reset_stop(wdev);
	/* Contexts that are being released wait for nothing any more. */
	flush_workqueue(weft_release_wq);
	pci_clear_master(pdev);
	weft_coredump_fini(wdev);
	devm_free_irq(&pdev->dev, pci_irq_vector(pdev, WEFT_HW_VECTOR_EVENT), wdev);
	weft_bo_host_unmap_all(wdev);
	weft_context_unmap_all(wdev);
	weft_ring_fini(wdev);
	weft_fw_release(wdev);
}

static const struct pci_device_id weft_ids[] = {
	{ PCI_DEVICE(WEFT_PCI_VENDOR, WEFT_PCI_DEVICE) },
	{ }
};
MODULE_DEVICE_TABLE(pci, weft_ids);

static struct pci_driver weft_pci_driver = {
	.name = DRM_WEFT_NAME,
	.id_table = weft_ids,
	.probe = weft_probe,
	.remove = weft_remove,
	.err_handler = &weft_pci_error_handlers,
	.driver.pm = pm_ptr(&weft_pm_ops),
};

static int __init weft_init(void)
{
	int ret;

	weft_release_wq = alloc_workqueue("weft-release", WQ_UNBOUND, 0);
	if (!weft_release_wq)
		return -ENOMEM;
	ret = pci_register_driver(&weft_pci_driver);
	if (ret)
		destroy_workqueue(weft_release_wq);
	return ret;
}
module_init(weft_init);

static void __exit weft_exit(void)
{
	pci_unregister_driver(&weft_pci_driver);
	/* Waits for what is being released. */
	destroy_workqueue(weft_release_wq);
	/* And for fences that are being freed. */
	rcu_barrier();
}
module_exit(weft_exit);

MODULE_AUTHOR("The Weft project");
MODULE_DESCRIPTION("Weft NPU");
MODULE_LICENSE("GPL");
WEFT_IMPORT_NS(DMA_BUF);
