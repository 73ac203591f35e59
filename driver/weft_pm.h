/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __WEFT_PM_H__
#define __WEFT_PM_H__

#include <linux/pm.h>

struct pci_error_handlers;
struct weft_device;

extern const struct dev_pm_ops weft_pm_ops;
extern const struct pci_error_handlers weft_pci_error_handlers;

void weft_pm_init(struct weft_device *wdev);
void weft_pm_fini(struct weft_device *wdev);
int weft_pm_get(struct weft_device *wdev);
void weft_pm_get_awake(struct weft_device *wdev);
void weft_pm_put(struct weft_device *wdev);

#endif
