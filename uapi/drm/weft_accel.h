/* SPDX-License-Identifier: (GPL-2.0-only WITH Linux-syscall-note) OR MIT */
/*
 * The kernel interface of the Weft NPU driver: /dev/accel/accelN.
 *
 * Rules of this header:
 *
 *  - Every struct is a multiple of 8 bytes, with explicit padding.  Padding and
 *    unknown flags must be zero, or the call fails with EINVAL.
 *  - User pointers are __u64.  An array is struct drm_weft_array, whose stride is
 *    the caller's size of an element: elements may grow, and older and newer
 *    callers go on working.
 *  - Every addition raises the driver's minor version (DRM_IOCTL_VERSION).
 *  - Synchronisation is explicit, by DRM syncobjs, binary or timeline.
 *  - Handles belong to the open file.  Contexts and queues are numbered per file.
 *
 * Errors that mean the same for every call:
 *
 *	ENOENT		a handle, context or queue does not exist in this file
 *	ENODEV		the device has gone; only closing is left
 *	EINVAL		an argument is out of range, padding or an unknown flag is set
 *	ENOSPC		device memory, a limit of the context, or a quota is used up
 *	ENOMEM		system memory is used up
 *	ECANCELED	the context has faulted
 *
 * The model.  A *context* is an address space of WEFT_VA_BITS bits; a *buffer
 * object* is memory, in the device or in the host; VM_BIND maps parts of buffer
 * objects in a context; a *queue* of a context runs command streams, which lie in
 * mapped memory, one after another.  A fault stops the context that it happened
 * in: what it had submitted ends, and further submissions fail until the context
 * is recovered.
 */
#ifndef _UAPI_WEFT_ACCEL_H_
#define _UAPI_WEFT_ACCEL_H_

#ifdef __KERNEL__
#include <drm/drm.h>
#else
#include <drm.h> /* libdrm's, by its pkg-config file */
#endif
#include "../weft_isa.h"

#if defined(__cplusplus)
extern "C" {
#endif

#define DRM_WEFT_NAME "weft"
#define DRM_WEFT_MAJOR 1
#define DRM_WEFT_MINOR 1

#define DRM_WEFT_QUERY 0x00
#define DRM_WEFT_CONTEXT_CREATE 0x01
#define DRM_WEFT_CONTEXT_DESTROY 0x02
#define DRM_WEFT_CONTEXT_RECOVER 0x03
#define DRM_WEFT_BO_CREATE 0x04
#define DRM_WEFT_BO_INFO 0x05
#define DRM_WEFT_VM_BIND 0x06
#define DRM_WEFT_QUEUE_CREATE 0x07
#define DRM_WEFT_QUEUE_DESTROY 0x08
#define DRM_WEFT_SUBMIT 0x09
#define DRM_WEFT_WAIT 0x0a /* since 1.1 */

/**
 * struct drm_weft_array - an array in the caller's memory
 * @stride: bytes of an element, as the caller knows it
 * @count: elements
 * @array: user pointer to the first element
 */
struct drm_weft_array {
	__u32 stride;
	__u32 count;
	__u64 array;
};

/**
 * enum drm_weft_query_type - what DRM_WEFT_QUERY tells
 * @DRM_WEFT_QUERY_DEVICE: struct drm_weft_device_info
 * @DRM_WEFT_QUERY_COUNTERS: struct drm_weft_counters, of the whole device
 * @DRM_WEFT_QUERY_CONTEXT: struct drm_weft_context_info of context @id
 * @DRM_WEFT_QUERY_QUEUE: struct drm_weft_queue_info of queue @id
 * @DRM_WEFT_QUERY_CLIENT: struct drm_weft_client_info, of this open file
 */
enum drm_weft_query_type {
	DRM_WEFT_QUERY_DEVICE = 0,
	DRM_WEFT_QUERY_COUNTERS = 1,
	DRM_WEFT_QUERY_CONTEXT = 2,
	DRM_WEFT_QUERY_QUEUE = 3,
	DRM_WEFT_QUERY_CLIENT = 4,
};

/**
 * struct drm_weft_query - DRM_WEFT_QUERY
 * @type: enum drm_weft_query_type
 * @size: in: bytes at @pointer; out: bytes that the kernel knows.  With @pointer 0
 *	only that is returned.  The smaller of both is copied, the rest is zeroed.
 * @pointer: user pointer to the struct that @type names, or 0
 * @id: of the context or queue, else 0
 * @pad: zero
 */
struct drm_weft_query {
	__u32 type;
	__u32 size;
	__u64 pointer;
	__u32 id;
	__u32 pad;
};

/**
 * struct drm_weft_device_info - a device
 * @isa_major: instruction set
 * @isa_minor: instruction set
 * @device_bytes: device memory
 * @page_bytes: granule of buffer objects and mappings
 * @virtual_bits: bits of a device virtual address
 * @local_bytes: scratch memory of the engines
 * @lanes: compute lanes
 * @slots: jobs that the device holds at once
 * @clock_hz: of the analytical model
 * @macs_per_cycle: of the model, f32
 * @device_bytes_per_second: of the model
 * @dma_in_bytes_per_second: of the model
 * @dma_out_bytes_per_second: of the model
 * @max_contexts: of one open file
 * @max_queues: of one open file
 * @name: of the device
 * @profile: of the model's parameters
 * @kernels: code path of the engines
 * @firmware: version of the firmware
 */
struct drm_weft_device_info {
	__u32 isa_major;
	__u32 isa_minor;
	__u64 device_bytes;
	__u32 page_bytes;
	__u32 virtual_bits;
	__u64 local_bytes;
	__u32 lanes;
	__u32 slots;
	__u64 clock_hz;
	__u64 macs_per_cycle;
	__u64 device_bytes_per_second;
	__u64 dma_in_bytes_per_second;
	__u64 dma_out_bytes_per_second;
	__u32 max_contexts;
	__u32 max_queues;
	char name[64];
	char profile[32];
	char kernels[16];
	char firmware[32];
};

/**
 * struct drm_weft_counters - of the device, since the firmware was started
 * @commands: completed, by enum weft_engine
 * @busy_ns: likewise
 * @cycles: of the model
 * @picojoules: of the model
 * @bytes: moved between the engine and memory
 * @faults: jobs ended by a fault
 * @resets: of the device, since the module was loaded
 * @device_used_bytes: device memory in use
 */
struct drm_weft_counters {
	__u64 commands[WEFT_ENGINES];
	__u64 busy_ns[WEFT_ENGINES];
	__u64 cycles[WEFT_ENGINES];
	__u64 picojoules[WEFT_ENGINES];
	__u64 bytes[WEFT_ENGINES];
	__u64 faults;
	__u64 resets;
	__u64 device_used_bytes;
};

/**
 * struct drm_weft_context_info - a context
 * @fault: the first fault, reason 0 if none
 * @device_bytes: device memory charged to it
 * @device_bytes_limit: most that it may have
 * @host_bytes: host memory charged to it
 * @pending: jobs that have not ended
 * @mappings: ranges mapped
 */
struct drm_weft_context_info {
	struct weft_fault_record fault;
	__u64 device_bytes;
	__u64 device_bytes_limit;
	__u64 host_bytes;
	__u32 pending;
	__u32 mappings;
};

/**
 * struct drm_weft_queue_info - a queue
 * @submitted: jobs submitted; they are numbered from 1
 * @completed: jobs ended, with or without success
 * @failed: the least number of a job that ended without success since the context
 *	was recovered last, 0 if none
 * @fault: why that job failed: WEFT_FAULT_CANCELLED if another is to blame
 */
struct drm_weft_queue_info {
	__u64 submitted;
	__u64 completed;
	__u64 failed;
	struct weft_fault_record fault;
};

/**
 * struct drm_weft_client_info - what an open file has used
 * @commands: completed, by enum weft_engine
 * @busy_ns: likewise
 * @cycles: of the model
 * @picojoules: of the model
 * @bytes: moved between the engine and memory
 * @jobs: ended
 * @device_bytes: device memory of its buffer objects
 * @host_bytes: host memory of its buffer objects
 */
struct drm_weft_client_info {
	__u64 commands[WEFT_ENGINES];
	__u64 busy_ns[WEFT_ENGINES];
	__u64 cycles[WEFT_ENGINES];
	__u64 picojoules[WEFT_ENGINES];
	__u64 bytes[WEFT_ENGINES];
	__u64 jobs;
	__u64 device_bytes;
	__u64 host_bytes;
};

/**
 * struct drm_weft_context_create - DRM_WEFT_CONTEXT_CREATE
 * @flags: zero
 * @id: out: number of the context, from 1
 * @command_timeout_ns: a command that runs longer faults with WEFT_FAULT_TIMEOUT;
 *	0: the driver's default, which is also the most
 * @device_bytes_limit: most device memory charged to the context; 0: the device's
 *
 * ENOSPC: the file, or the device, has no context left.
 */
struct drm_weft_context_create {
	__u32 flags;
	__u32 id;
	__u64 command_timeout_ns;
	__u64 device_bytes_limit;
};

/**
 * struct drm_weft_context_destroy - DRM_WEFT_CONTEXT_DESTROY
 * @id: number of the context; its queues go with it, and what they run is cancelled
 * @pad: zero
 */
struct drm_weft_context_destroy {
	__u32 id;
	__u32 pad;
};

/**
 * struct drm_weft_context_recover - DRM_WEFT_CONTEXT_RECOVER: accept jobs again after a fault
 * @id: number of the context
 * @pad: zero
 *
 * EBUSY: a submitted job has not ended yet.
 */
struct drm_weft_context_recover {
	__u32 id;
	__u32 pad;
};

/** Device memory; otherwise host memory. */
#define DRM_WEFT_BO_DEVICE (1 << 0)

/**
 * struct drm_weft_bo_create - DRM_WEFT_BO_CREATE: memory, zeroed
 * @size: in: bytes, not 0; out: rounded up to pages
 * @flags: DRM_WEFT_BO_*
 * @context: context that the memory is charged to; 0: none
 * @handle: out: GEM handle
 * @pad: zero
 * @mmap_offset: out: offset for mmap() of the node, MAP_SHARED.  Host memory may be
 *	the target of O_DIRECT and of registered buffers.
 *
 * ENOSPC: no device memory, or the context's limit is reached.
 */
struct drm_weft_bo_create {
	__u64 size;
	__u32 flags;
	__u32 context;
	__u32 handle;
	__u32 pad;
	__u64 mmap_offset;
};

/**
 * struct drm_weft_bo_info - DRM_WEFT_BO_INFO
 * @handle: in: GEM handle
 * @flags: out: DRM_WEFT_BO_*
 * @size: out: bytes
 * @mmap_offset: out: offset for mmap(); 0: cannot be mapped (imported)
 */
struct drm_weft_bo_info {
	__u32 handle;
	__u32 flags;
	__u64 size;
	__u64 mmap_offset;
};

/** The syncobj is signalled; otherwise it is waited for. */
#define DRM_WEFT_SYNC_SIGNAL (1 << 0)

/**
 * struct drm_weft_sync - a syncobj to wait for or to signal
 * @handle: syncobj
 * @flags: DRM_WEFT_SYNC_*
 * @point: of a timeline; 0: the syncobj is binary
 *
 * Waiting needs a fence that is there already (EINVAL otherwise): a kernel fence
 * never waits for user space.
 */
struct drm_weft_sync {
	__u32 handle;
	__u32 flags;
	__u64 point;
};

/** Most elements of the arrays below. */
#define DRM_WEFT_MAX_SYNCS 1024
#define DRM_WEFT_MAX_BIND_OPS 4096

/**
 * enum drm_weft_bind_type - what a bind operation does
 * @DRM_WEFT_BIND_MAP: map; what was there is unmapped
 * @DRM_WEFT_BIND_UNMAP: unmap whatever is in the range
 */
enum drm_weft_bind_type {
	DRM_WEFT_BIND_MAP = 0,
	DRM_WEFT_BIND_UNMAP = 1,
};

/** MAP: the device may only read. */
#define DRM_WEFT_BIND_READ_ONLY (1 << 0)

/**
 * struct drm_weft_bind_op - one operation of VM_BIND
 * @type: enum drm_weft_bind_type
 * @flags: DRM_WEFT_BIND_*
 * @handle: MAP: GEM handle; else 0
 * @pad: zero
 * @address: first device virtual address, a multiple of the page and not 0
 * @range: bytes, a multiple of the page, not 0
 * @offset: MAP: first byte in the buffer object, a multiple of the page; else 0
 */
struct drm_weft_bind_op {
	__u32 type;
	__u32 flags;
	__u32 handle;
	__u32 pad;
	__u64 address;
	__u64 range;
	__u64 offset;
};

/*
 * Carry out the operations once the syncobjs to wait for have signalled, in the
 * order of submission among asynchronous binds of the context; the call returns at
 * once.  Otherwise they have been carried out when the call returns.
 */
#define DRM_WEFT_VM_BIND_ASYNC (1 << 0)

/**
 * struct drm_weft_vm_bind - DRM_WEFT_VM_BIND
 * @context: number of the context
 * @flags: DRM_WEFT_VM_BIND_*
 * @ops: array of struct drm_weft_bind_op, carried out in order
 * @syncs: array of struct drm_weft_sync; only with DRM_WEFT_VM_BIND_ASYNC
 * @failed: out: index of the operation that failed, if one was not valid
 * @pad: zero
 *
 * Every operation is checked, and the memory that it needs allocated, before the
 * first is carried out: the call does all or nothing.
 */
struct drm_weft_vm_bind {
	__u32 context;
	__u32 flags;
	struct drm_weft_array ops;
	struct drm_weft_array syncs;
	__u32 failed;
	__u32 pad;
};

/**
 * enum drm_weft_priority - of a queue
 * @DRM_WEFT_PRIORITY_LOW: below the others
 * @DRM_WEFT_PRIORITY_NORMAL: the usual one
 * @DRM_WEFT_PRIORITY_HIGH: needs CAP_SYS_NICE, EACCES without
 */
enum drm_weft_priority {
	DRM_WEFT_PRIORITY_LOW = 0,
	DRM_WEFT_PRIORITY_NORMAL = 1,
	DRM_WEFT_PRIORITY_HIGH = 2,
};

/**
 * struct drm_weft_queue_create - DRM_WEFT_QUEUE_CREATE
 * @context: number of the context
 * @priority: enum drm_weft_priority
 * @flags: zero
 * @id: out: number of the queue, from 1
 *
 * ENOSPC: the file has no queue left.
 */
struct drm_weft_queue_create {
	__u32 context;
	__u32 priority;
	__u32 flags;
	__u32 id;
};

/**
 * struct drm_weft_queue_destroy - DRM_WEFT_QUEUE_DESTROY
 * @id: number of the queue; jobs that have not started are cancelled
 * @pad: zero
 */
struct drm_weft_queue_destroy {
	__u32 id;
	__u32 pad;
};

/**
 * struct drm_weft_submit - DRM_WEFT_SUBMIT: run a command stream
 * @queue: number of the queue
 * @flags: zero
 * @address: device virtual address of the stream, a multiple of WEFT_CMD_ALIGN
 * @bytes: of the stream, a multiple of WEFT_CMD_ALIGN, at most WEFT_STREAM_MAX_BYTES
 * @syncs: array of struct drm_weft_sync
 * @job: out: number of the job in its queue, from 1
 *
 * The stream must stay as it is until the job has ended.
 */
struct drm_weft_submit {
	__u32 queue;
	__u32 flags;
	__u64 address;
	__u64 bytes;
	struct drm_weft_array syncs;
	__u64 job;
};

/** Poll, but do not sleep: ETIME if the job does not end meanwhile.  The deadline must be 0. */
#define DRM_WEFT_WAIT_POLL (1 << 0)

/**
 * struct drm_weft_wait - DRM_WEFT_WAIT: wait for the end of a job; since version 1.1
 * @queue: number of the queue
 * @flags: DRM_WEFT_WAIT_*
 * @job: number of the job in its queue, not 0 and not more than were submitted
 * @deadline_ns: in CLOCK_MONOTONIC: when to give up, with ETIME.  0, or what has passed: only look
 * @ended: out: number of the last job of the queue that has ended, like all before it
 * @failed: out: as drm_weft_queue_info.failed
 *
 * Returns once the job and all before it in the queue have ended, with or without success.
 * Of a job that was submitted without a syncobj nothing else tells the end.  The caller
 * polls for a short time (the module's parameter poll_us) if jobs of the queue have
 * mostly been that short lately, and sleeps then: so the end of a short job costs
 * neither an interrupt nor the way through a fence.
 */
struct drm_weft_wait {
	__u32 queue;
	__u32 flags;
	__u64 job;
	__s64 deadline_ns;
	__u64 ended;
	__u64 failed;
};

#define DRM_IOCTL_WEFT_QUERY DRM_IOWR(DRM_COMMAND_BASE + DRM_WEFT_QUERY, struct drm_weft_query)
#define DRM_IOCTL_WEFT_CONTEXT_CREATE \
	DRM_IOWR(DRM_COMMAND_BASE + DRM_WEFT_CONTEXT_CREATE, struct drm_weft_context_create)
#define DRM_IOCTL_WEFT_CONTEXT_DESTROY \
	DRM_IOW(DRM_COMMAND_BASE + DRM_WEFT_CONTEXT_DESTROY, struct drm_weft_context_destroy)
#define DRM_IOCTL_WEFT_CONTEXT_RECOVER \
	DRM_IOW(DRM_COMMAND_BASE + DRM_WEFT_CONTEXT_RECOVER, struct drm_weft_context_recover)
#define DRM_IOCTL_WEFT_BO_CREATE DRM_IOWR(DRM_COMMAND_BASE + DRM_WEFT_BO_CREATE, struct drm_weft_bo_create)
#define DRM_IOCTL_WEFT_BO_INFO DRM_IOWR(DRM_COMMAND_BASE + DRM_WEFT_BO_INFO, struct drm_weft_bo_info)
#define DRM_IOCTL_WEFT_VM_BIND DRM_IOWR(DRM_COMMAND_BASE + DRM_WEFT_VM_BIND, struct drm_weft_vm_bind)
#define DRM_IOCTL_WEFT_QUEUE_CREATE DRM_IOWR(DRM_COMMAND_BASE + DRM_WEFT_QUEUE_CREATE, struct drm_weft_queue_create)
#define DRM_IOCTL_WEFT_QUEUE_DESTROY DRM_IOW(DRM_COMMAND_BASE + DRM_WEFT_QUEUE_DESTROY, struct drm_weft_queue_destroy)
#define DRM_IOCTL_WEFT_SUBMIT DRM_IOWR(DRM_COMMAND_BASE + DRM_WEFT_SUBMIT, struct drm_weft_submit)
#define DRM_IOCTL_WEFT_WAIT DRM_IOWR(DRM_COMMAND_BASE + DRM_WEFT_WAIT, struct drm_weft_wait)

#if defined(__cplusplus)
}
#endif

#endif /* _UAPI_WEFT_ACCEL_H_ */
