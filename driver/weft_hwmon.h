/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __WEFT_HWMON_H__
#define __WEFT_HWMON_H__

#include <linux/spinlock.h>
#include <linux/types.h>

struct weft_device;

/**
 * struct weft_energy - what the device has used since probe
 * @lock: protects the rest
 * @before: picojoules of earlier runs of the firmware, whose counters are gone
 * @running: the mailbox counts
 */
struct weft_energy {
	spinlock_t lock; /* of everything here */
	u64 before;
	bool running;
};

void weft_energy_init(struct weft_device *wdev);
void weft_energy_start(struct weft_device *wdev);
void weft_energy_stop(struct weft_device *wdev);
int weft_hwmon_init(struct weft_device *wdev);

#endif
