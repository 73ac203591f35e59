/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __WEFT_REPLAY_H__
#define __WEFT_REPLAY_H__

#include <linux/types.h>

struct weft_device;
struct weft_hw_slot_status;
struct weft_job;

bool weft_replay_read_slot(struct weft_device *wdev, const struct weft_job *job, struct weft_hw_slot_status *status,
			   u32 *slot);
bool weft_replay_not_taken(struct weft_device *wdev, const struct weft_job *job);
bool weft_replay_on_engine(struct weft_device *wdev, const struct weft_job *job);
bool weft_replay_prepare(struct weft_device *wdev, struct weft_job *job, bool strike);

#endif
