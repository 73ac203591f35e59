/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __WEFT_FW_H__
#define __WEFT_FW_H__

#include <linux/types.h>

struct weft_device;

int weft_fw_check(struct weft_device *wdev, const void *data, size_t bytes);
int weft_fw_request(struct weft_device *wdev);
void weft_fw_release(struct weft_device *wdev);
int weft_fw_reset(struct weft_device *wdev);
int weft_fw_boot(struct weft_device *wdev);

#endif
