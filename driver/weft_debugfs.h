/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __WEFT_DEBUGFS_H__
#define __WEFT_DEBUGFS_H__

struct weft_device;

void weft_debugfs_init(struct weft_device *wdev);

#endif
