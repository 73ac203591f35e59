/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __WEFT_RESET_H__
#define __WEFT_RESET_H__

struct weft_device;
struct weft_job;

void weft_reset_init(struct weft_device *wdev);
void weft_reset_stop(struct weft_device *wdev);
int weft_reset_start_firmware(struct weft_device *wdev);
void weft_reset_watch(struct weft_device *wdev);
void weft_reset_suspect(struct weft_device *wdev);
void weft_reset_request(struct weft_device *wdev, const char *why);
void weft_reset_timeout(struct weft_device *wdev, struct weft_job *job);

#endif
