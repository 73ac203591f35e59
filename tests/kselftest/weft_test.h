/* SPDX-License-Identifier: MIT */
/*
 * What the tests of the driver have in common: a node, objects, command streams.
 * Calls return 0 or an errno value.
 */
#ifndef WEFT_TEST_H
#define WEFT_TEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <drm/weft_accel.h>

/* Of one test.  The harness's 30 s are short for an emulated machine that shares its processors. */
#ifdef TEST_TIMEOUT_DEFAULT
#undef TEST_TIMEOUT_DEFAULT
#define TEST_TIMEOUT_DEFAULT 300
#endif

#define WEFT_PAGE 4096ull
#define WEFT_SPACE (1ull << 39)
/* Longer than any time-out of the driver, on a slow machine. */
#define WEFT_PATIENCE_S 120

/* An open node with a context, a queue, and a timeline that its jobs signal. */
struct weft {
	int fd;
	uint32_t context, queue, timeline;
	uint64_t point; /* of the last job */
};

/* A buffer object; memory is NULL if it was not mapped. */
struct weft_bo {
	uint32_t handle;
	uint64_t size, offset;
	void *memory;
};

/* Commands in a mapped host object. */
struct weft_stream {
	struct weft_bo bo;
	uint64_t address, used;
};

/* What keeps a device at work: matrices in its memory, commands that take a while, and a copy out of it. */
#define WEFT_LOAD_AT (1ull << 30)
#define WEFT_LOAD_MATRIX (512 * 512 * 4ull)
struct weft_load {
	struct weft w;
	struct weft_stream busy; /* products of matrices */
	struct weft_stream copy; /* of the first page of the matrices to the result */
	struct weft_bo matrices, result;
};

/** Path of the node: WEFT_NODE, else the first that the driver has made; NULL if there is none, unless WEFT_REQUIRED.
 */
const char *weft_node(void);
/** PCI address of the node's device. */
const char *weft_pci(void);
/** Reads a file of the device's debugfs folder; false if it is not there. */
bool weft_debugfs(const char *name, char *text, size_t size);
/** Writes all of @text to a file that is there; 0 or an errno value. */
int weft_write_file(const char *path, const char *text);
/** Listens to the kernel's uevents; -1 if it cannot. */
int weft_uevents_open(void);
/** Waits for one that has the variable, "NAME=value"; false if there was none for so long. */
bool weft_uevent(int uevents, const char *variable, double seconds);
/** Opens another file on the node; -1 if there is none. */
int weft_open(void);
/** Opens the node and makes a context, a queue and a timeline. */
int weft_setup(struct weft *w);
void weft_teardown(struct weft *w);

int weft_load_setup(struct weft_load *load);
/** Does a page get from device memory to the result, once it was filled with the value? */
bool weft_load_works(struct weft_load *load, char value);

int weft_ioctl(int fd, unsigned long request, void *argument);
int weft_query(int fd, uint32_t type, uint32_t id, void *info, uint32_t size);

int weft_context_new(int fd, uint64_t device_limit, uint64_t timeout_ns, uint32_t *id);
int weft_context_free(int fd, uint32_t id);
int weft_context_recover(int fd, uint32_t id);
int weft_queue_new(int fd, uint32_t context, uint32_t *id);
int weft_queue_free(int fd, uint32_t id);

/** An object that is not charged to a context and not mapped. */
int weft_bo_new(int fd, uint64_t size, uint32_t flags, struct weft_bo *bo);
/** Likewise, mapped in the process. */
int weft_bo_new_mapped(int fd, uint64_t size, uint32_t flags, struct weft_bo *bo);
void weft_bo_unmap(struct weft_bo *bo);
void weft_bo_free(int fd, struct weft_bo *bo);
int weft_close_handle(int fd, uint32_t handle);

/** Synchronous binds of one range. */
int weft_map(int fd, uint32_t context, uint32_t handle, uint64_t offset, uint64_t address, uint64_t range);
int weft_map_read_only(int fd, uint32_t context, uint32_t handle, uint64_t address, uint64_t range);
int weft_unmap(int fd, uint32_t context, uint64_t address, uint64_t range);
/** Asynchronous bind, with a point to wait for (0: none) and one to signal. */
int weft_bind_async(int fd, uint32_t context, const struct drm_weft_bind_op *ops, uint32_t count,
		    const struct drm_weft_sync *syncs, uint32_t sync_count);

/** An object for commands, mapped read-only at @address. */
int weft_stream_new(struct weft *w, uint64_t size, uint64_t address, struct weft_stream *stream);
void weft_stream_free(struct weft *w, struct weft_stream *stream);
/** Append a command; bytes are copied or filled as u8. */
void weft_copy(struct weft_stream *stream, enum weft_engine engine, uint64_t from, uint64_t to, uint32_t bytes);
void weft_fill(struct weft_stream *stream, uint64_t to, uint32_t bytes, uint8_t value);
void weft_nop(struct weft_stream *stream, enum weft_engine engine);
/** C = A B of n by n matrices of f32. */
void weft_matmul(struct weft_stream *stream, uint64_t a, uint64_t b, uint64_t c, uint32_t n);
/** The engine of the last command appended waits for, or signals, a semaphore of the stream. */
void weft_last_waits(struct weft_stream *stream, uint16_t index, uint32_t value);
void weft_last_signals(struct weft_stream *stream, uint16_t index, uint32_t value);

/** Submit; signals the next point of the timeline. */
int weft_submit(struct weft *w, const struct weft_stream *stream);
int weft_submit_syncs(int fd, uint32_t queue, const struct weft_stream *stream, const struct drm_weft_sync *syncs,
		      uint32_t count, uint64_t *job);
/** Submit and wait.  EIO: it, or a job before it since the context was recovered, failed. */
int weft_run(struct weft *w, const struct weft_stream *stream);
/** EIO if a job of the queue failed since the context was recovered. */
int weft_failed(int fd, uint32_t queue);

int weft_syncobj_new(int fd, uint32_t *handle);
int weft_syncobj_free(int fd, uint32_t handle);
int weft_syncobj_signal(int fd, uint32_t handle, uint64_t point);
/** Wait for a point, 0: of a binary syncobj.  A negative time only looks. */
int weft_wait(int fd, uint32_t handle, uint64_t point, double seconds);
/* For a job by its number: with the kernel, which polls for a while. */
int weft_wait_job(int fd, uint32_t queue, uint64_t job, double seconds);
/** Error of the fence of a binary syncobj that was reached.  (A timeline forgets the fences of points reached.) */
int weft_fence_error(int fd, uint32_t handle);

/** From here on this process lacks the capability, CAP_*. */
bool weft_drop_capability(int capability);

int weft_export(int fd, uint32_t handle, int *dmabuf);
int weft_import(int fd, int dmabuf, uint32_t *handle);

#endif
