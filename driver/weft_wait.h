/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __WEFT_WAIT_H__
#define __WEFT_WAIT_H__

struct drm_device;
struct drm_file;

int weft_wait_ioctl(struct drm_device *drm, void *data, struct drm_file *file);

#endif
