/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __WEFT_SCHED_H__
#define __WEFT_SCHED_H__

struct drm_sched_entity;
struct weft_device;

int weft_sched_setup(struct weft_device *wdev);
void weft_sched_hurry(struct weft_device *wdev);
void weft_sched_stop_entity(struct weft_device *wdev, struct drm_sched_entity *entity);

#endif
