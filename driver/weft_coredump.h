/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __WEFT_COREDUMP_H__
#define __WEFT_COREDUMP_H__

#include <linux/spinlock.h>
#include <linux/workqueue.h>

struct weft_device;
struct weft_fault_record;
struct weft_job;

/**
 * struct weft_coredump - a dump on its way to user space
 * @lock: protects @text and @bytes; taken in interrupts
 * @text: what was captured, until @work has taken it
 * @bytes: of it
 * @work: hands it to devcoredump, which allocates and sleeps
 */
struct weft_coredump {
	spinlock_t lock; /* of @text and @bytes */
	void *text;
	size_t bytes;
	struct work_struct work;
};

void weft_coredump_init(struct weft_device *wdev);
void weft_coredump_fini(struct weft_device *wdev);
void weft_coredump(struct weft_device *wdev, const struct weft_job *job, const struct weft_fault_record *fault,
		   const char *why);

#endif
