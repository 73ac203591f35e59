/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __WEFT_RESET_H__
#define __WEFT_RESET_H__

#include <linux/types.h>

#include <weft_hw.h>

struct weft_device;
struct weft_job;

/**
 * struct weft_held - the jobs that the device held when it was stopped, in the order of submission
 * @job: the job, whose call is not in the ring
 * @again: it can go on
 * @count: of them
 */
struct weft_held {
	struct weft_job *job[WEFT_HW_MAX_SLOTS];
	bool again[WEFT_HW_MAX_SLOTS];
	unsigned int count;
};

void weft_reset_init(struct weft_device *wdev);
void weft_reset_stop(struct weft_device *wdev);
int weft_reset_sleep(struct weft_device *wdev, bool system);
void weft_reset_wake(struct weft_device *wdev, bool system);
void weft_reset_watch(struct weft_device *wdev);
void weft_reset_suspect(struct weft_device *wdev);
void weft_reset_request(struct weft_device *wdev, const char *why);

#endif
