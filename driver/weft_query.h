/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __WEFT_QUERY_H__
#define __WEFT_QUERY_H__

struct drm_device;
struct drm_file;

int weft_query_ioctl(struct drm_device *drm, void *data, struct drm_file *file);

#endif
