/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __WEFT_CONTEXT_H__
#define __WEFT_CONTEXT_H__

#include <linux/kref.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>

#include <weft_hw.h>

#include "weft_vm.h"

struct drm_device;
struct drm_file;
struct weft_client;
struct weft_device;
struct weft_usage;

/**
 * struct weft_context - a context: an address space that faults alone
 * @refs: held by the file, by queues and by jobs
 * @wdev: the device
 * @id: the device's number for it
 * @vm: its address space
 * @command_timeout_ns: a command that runs longer faults
 * @device_bytes_limit: most device memory
 * @usage: memory charged
 * @pending: jobs that have not ended
 * @fault_lock: protects @fault and writing @banned
 * @fault: the first fault
 * @banned: it has faulted, or is being closed: refuse jobs
 * @closing: it was destroyed by user space
 * @opened: the firmware knows it, or is about to be told; protected by
 *	weft_device.contexts_lock
 * @link: in weft_device.contexts; protected likewise
 * @release_work: closes it, which waits for the firmware
 */
struct weft_context {
	struct kref refs;
	struct weft_device *wdev;
	u32 id;
	struct weft_vm *vm;
	u64 command_timeout_ns;
	u64 device_bytes_limit;
	struct weft_usage *usage;
	atomic_t pending;
	spinlock_t fault_lock; /* of @fault and @banned */
	struct weft_fault_record fault;
	bool banned;
	bool closing;
	bool opened;
	struct list_head link;
	struct work_struct release_work;
};

struct weft_context *weft_context_lookup(struct weft_client *client, u32 id);
void weft_context_put(struct weft_context *context);
void weft_context_stop(struct weft_context *context);
void weft_context_fault(struct weft_context *context, const struct weft_fault_record *fault);
int weft_context_reopen_in_reset(struct weft_context *context);

void weft_context_unmap_all(struct weft_device *wdev);

int weft_context_create_ioctl(struct drm_device *drm, void *data, struct drm_file *file);
int weft_context_destroy_ioctl(struct drm_device *drm, void *data, struct drm_file *file);
int weft_context_recover_ioctl(struct drm_device *drm, void *data, struct drm_file *file);

#endif
