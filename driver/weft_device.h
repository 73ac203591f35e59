/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The device: what all files of the driver share.
 *
 * Lock order, outermost first:
 *
 *	dma_resv of the context's gpuvm
 *	weft_vm.bind_lock	(mutex, S)
 *	weft_bo.gpuva_lock	(mutex, S)
 *	weft_memory.lock	(mutex)
 *	weft_device.bos_lock (mutex)
 *	weft_queue.lock		(mutex)
 *	weft_device.contexts_lock (mutex, S)
 *	weft_ring.lock		(spinlock, interrupts off, S)
 *	weft_queue.jobs_lock	(spinlock, interrupts off, S)
 *	weft_context.fault_lock	(spinlock, interrupts off, S)
 *	weft_coredump.lock	(spinlock, interrupts off, S)
 *
 * Those with S are taken in the fence signalling path (completion, time-outs and resets,
 * asynchronous binds): whoever holds one allocates no memory.  dma_resv is taken inside
 * of no other lock of this driver.
 *
 * One exception: at removal weft_context_unmap_all() takes each bind_lock inside of
 * contexts_lock.  Nothing waits for the device any more then, so who holds a bind_lock does
 * not wait for who would take contexts_lock.
 */
#ifndef __WEFT_DEVICE_H__
#define __WEFT_DEVICE_H__

#include <drm/drm_device.h>
#include <drm/gpu_scheduler.h>
#include <linux/io.h>
#include <linux/pci.h>
#include <linux/workqueue.h>

#include <weft_hw.h>

#include "weft_compat.h"
#include "weft_coredump.h"
#include "weft_hwmon.h"
#include "weft_reset.h"
#include "weft_ring.h"

#define WEFT_MAX_CONTEXTS_PER_FILE 32
#define WEFT_MAX_QUEUES_PER_FILE 1024

/**
 * struct weft_hw_info - the mailbox's constant fields, read and checked once
 * @doorbell: high bits of a doorbell value
 * @request_offset: of the request ring in BAR 2
 * @request_entries: of it, a power of two
 * @firmware_offset: of the firmware area in BAR 2
 * @firmware_bytes: of it
 * @memory_offset: of device memory in BAR 2
 * @memory_bytes: of it, whole pages
 * @local_bytes: scratch memory of the engines
 * @lanes: compute lanes
 * @contexts: highest context number
 * @slots: jobs that the firmware holds at once
 * @isa_version: of the firmware
 * @clock_hz: of the analytical model
 * @macs_per_cycle: of the model
 * @device_bytes_per_second: of the model
 * @dma_in_bytes_per_second: of the model
 * @dma_out_bytes_per_second: of the model
 * @name: of the device
 * @profile: of the model
 * @kernels: code path of the engines
 * @firmware_version: as text
 */
struct weft_hw_info {
	u32 doorbell;
	u64 request_offset;
	u32 request_entries;
	u64 firmware_offset;
	u64 firmware_bytes;
	u64 memory_offset;
	u64 memory_bytes;
	u64 local_bytes;
	u32 lanes;
	u32 contexts;
	u32 slots;
	u32 isa_version;
	u64 clock_hz;
	u64 macs_per_cycle;
	u64 device_bytes_per_second;
	u64 dma_in_bytes_per_second;
	u64 dma_out_bytes_per_second;
	char name[64];
	char profile[32];
	char kernels[16];
	char firmware_version[32];
};

/**
 * struct weft_memory - the allocator of device memory
 * @lock: protects @mm
 * @mm: the allocator; offsets are those of page table entries
 * @used: bytes in use
 * @region: of the cgroup controller, or NULL
 */
struct weft_memory {
	struct mutex lock; /* of @mm */
	struct drm_buddy mm;
	atomic64_t used;
	struct dmem_cgroup_region *region;
};

/**
 * struct weft_counts - live objects, to find leaks (debugfs)
 * @bos: buffer objects
 * @contexts: contexts
 * @queues: queues
 * @jobs: jobs
 */
struct weft_counts {
	atomic_t bos;
	atomic_t contexts;
	atomic_t queues;
	atomic_t jobs;
};

/**
 * struct weft_device - a device
 * @drm: the DRM device
 * @pdev: its PCI function
 * @registers: BAR 0
 * @control: the part of BAR 2 before device memory
 * @memory_window: device memory in BAR 2, write-combined; NULL after removal
 * @memory_bus: bus address of device memory in BAR 2, for mmap
 * @hw: what the device said at probe
 * @firmware: the image, kept for resets
 * @ring: requests and events
 * @memory: allocator of device memory
 * @context_ids: context numbers of the device that are in use
 * @queue_ids: queue numbers given out
 * @sched: schedules the jobs that have to wait for something onto the device's slots
 * @direct_slots: slots that are not the scheduler's, see weft_sched.c
 * @submit_wq: hands jobs over, on the processor that submits them, and frees them
 * @reset_wq: runs time-outs and resets, one at a time
 * @reset_work: device reset without a job to blame
 * @timeout_work: looks for a job to blame
 * @timeout_next: jiffies of the next time that jobs which take long are looked at
 * @wedged_work: tells user space of a reset, or of the end
 * @watchdog: looks for lost interrupts and for the heartbeat while jobs run
 * @heartbeat: last value that @watchdog saw
 * @heartbeat_seen: jiffies when it changed last
 * @resets: device resets so far
 * @dead: the device does not answer any more, or was removed
 * @bos_lock: protects @host_bos and @device_bos
 * @host_bos: buffer objects with DMA mappings
 * @device_bos: buffer objects in device memory
 * @contexts_lock: protects @contexts, and weft_context.opened of those in it
 * @contexts: contexts with page tables
 * @coredump: the last dump
 * @held: the jobs that the device held when it was stopped; belongs to @reset_wq's work
 * @asleep: the firmware is stopped until it is woken up
 * @lose_memory: for tests: forget device memory in a system suspend, as if power had gone
 * @energy: what the engines have used
 * @counts: live objects
 */
struct weft_device {
	struct drm_device drm;
	struct pci_dev *pdev;
	void __iomem *registers;
	void __iomem *control;
	void __iomem *memory_window;
	resource_size_t memory_bus;
	struct weft_hw_info hw;
	const struct firmware *firmware;
	struct weft_ring ring;
	struct weft_memory memory;
	struct ida context_ids;
	atomic_t queue_ids;
	struct drm_gpu_scheduler sched;
	u32 direct_slots;
	struct workqueue_struct *submit_wq;
	struct workqueue_struct *reset_wq;
	struct work_struct reset_work;
	struct work_struct timeout_work;
	unsigned long timeout_next;
	struct work_struct wedged_work;
	struct delayed_work watchdog;
	u64 heartbeat;
	unsigned long heartbeat_seen;
	atomic64_t resets;
	bool dead;
	struct mutex bos_lock; /* of @host_bos and @device_bos */
	struct list_head host_bos;
	struct list_head device_bos;
	struct mutex contexts_lock; /* of @contexts */
	struct list_head contexts;
	struct weft_coredump coredump;
	struct weft_held held;
	bool asleep;
	bool lose_memory;
	struct weft_energy energy;
	struct weft_counts counts;
};

static inline struct weft_device *to_weft_device(struct drm_device *drm)
{
	return container_of(drm, struct weft_device, drm);
}

/* Mailbox fields, read or written one at a time. */
#define weft_mailbox_read32(wdev, field) \
	ioread32((wdev)->control + offsetof(struct weft_hw_mailbox, field))
#define weft_mailbox_read64(wdev, field) \
	ioread64_lo_hi((wdev)->control + offsetof(struct weft_hw_mailbox, field))
#define weft_mailbox_write32(wdev, field, value) \
	iowrite32(value, (wdev)->control + offsetof(struct weft_hw_mailbox, field))
#define weft_mailbox_write64(wdev, field, value) \
	iowrite64_lo_hi(value, (wdev)->control + offsetof(struct weft_hw_mailbox, field))

static inline void weft_doorbell(struct weft_device *wdev, enum weft_hw_doorbell doorbell)
{
	iowrite32(wdev->hw.doorbell | doorbell, wdev->registers + WEFT_REG_DOORBELL);
}

static inline bool weft_device_dead(struct weft_device *wdev)
{
	return READ_ONCE(wdev->dead);
}

int weft_device_init(struct weft_device *wdev);
void weft_device_fini(struct weft_device *wdev);
int weft_device_read_info(struct weft_device *wdev);
void weft_device_die(struct weft_device *wdev);

/*
 * Releases contexts, which waits for the firmware.  The module's, not the device's: the
 * last reference to a device may go in it.
 */
extern struct workqueue_struct *weft_release_wq;

extern uint weft_job_timeout_ms;
extern uint weft_command_timeout_ms;
extern uint weft_poll_us;
extern bool weft_null_submission;

#endif
