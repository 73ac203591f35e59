/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __WEFT_COREDUMP_H__
#define __WEFT_COREDUMP_H__

struct weft_device;
struct weft_job;

void weft_coredump(struct weft_device *wdev, const struct weft_job *job, const char *why);

#endif
