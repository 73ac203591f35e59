/* SPDX-License-Identifier: MIT */
/*
 * The drm backend: a Weft node under /dev/accel, through <drm/weft_accel.h>.
 *
 * Every libaccel context, queue and buffer is one of the kernel's.  The device's
 * lock protects everything here.
 */
#ifndef ACCEL_DRM_H
#define ACCEL_DRM_H

#include "../internal.h"

#include <drm/weft_accel.h>

struct weft_model;

/* Jobs of a queue in the kernel: the device goes on with the next one while the end of one is told. */
#define DRM_QUEUE_DEPTH 4

struct drm_device {
	struct accel_device *device;
	int fd;
	struct drm_weft_device_info info;
	char driver[32]; /* version */
	const struct weft_model *model;
	struct accel_job *issued; /* linked by backend_next, in no order */
	int ended_fd;		  /* eventfd that counts ended jobs */
	pthread_t waiter;
	bool closing;
	bool no_wait; /* the driver is older than DRM_WEFT_WAIT */
};

/* Memory for a copy of a stream, in host memory that the device reads, and what its job is to the kernel. */
struct drm_stream {
	struct drm_stream *next; /* of the context's unused ones */
	uint32_t handle;
	uint64_t address, bytes;
	void *memory;
	uint64_t job; /* its number in its queue */
};

struct drm_context {
	uint32_t id;
	uint64_t next_address;
	struct drm_stream *unused;
};

struct drm_queue {
	uint32_t id;
	uint32_t syncobj;   /* timeline; job n signals point n */
	uint64_t submitted; /* jobs accepted by the kernel */
	uint64_t ended;	    /* the last job of which it is known; all before it have ended too */
	uint64_t succeeded; /* the last job of which it is known that it and all before it succeeded */
};

/* drm.c */
/** Ask the kernel for @type of @id, 0 where it has none.  0, or a negative errno value. */
int drm_query(const struct drm_device *drm, uint32_t type, uint32_t id, void *out, uint32_t bytes);

/* memory.c */
/** A buffer object, mapped in the context and in this process.  With accel_fail(). */
int drm_memory_new(struct drm_device *drm, struct drm_context *context, uint64_t bytes, unsigned int flags,
		   uint32_t *handle, uint64_t *address, void **memory);
void drm_memory_free(struct drm_device *drm, struct drm_context *context, uint64_t bytes, uint32_t handle,
		     uint64_t address, void *memory);
int drm_buffer_new(struct accel_buffer *buffer);
void drm_buffer_free(struct accel_buffer *buffer);

/* jobs.c */
int drm_queue_new(struct accel_queue *queue);
void drm_queue_free(struct accel_queue *queue);
int drm_submit(struct accel_job *job, struct weft_fault_record *cause);
void drm_poll(struct accel_job *job);
int drm_waiter_start(struct drm_device *drm);
void drm_waiter_stop(struct drm_device *drm);

#endif /* ACCEL_DRM_H */
