/* SPDX-License-Identifier: MIT */
/*
 * libaccel inside: objects, and the table behind which a backend hides.
 *
 * Locking.  One mutex per device, accel_device.lock, protects everything of the
 * device that changes after its creation: timelines, lists of jobs, faults, traces,
 * and the backend's state.  "Locked" below means that the caller holds it.
 * References are counted atomically, and are never dropped with the lock held, as
 * the last one takes it: what a finished job held goes to accel_device.dead and is
 * dropped by accel_device_reap().
 *
 * A job's life.  accel_queue_submit() allocates all that the job will ever need and
 * appends it to its queue (HELD).  Once all its fences have signalled, those before it
 * in its queue have gone, and at most accel_backend.depth - 1 of them have not ended, it
 * goes to the backend (ISSUED), which calls accel_job_end() when it has ended; that
 * advances the queue's timeline, which may release other jobs.
 */
#ifndef ACCEL_INTERNAL_H
#define ACCEL_INTERNAL_H

#include <accel/accel.h>

#include <pthread.h>
#include <stdatomic.h>

#define ACCEL_EXPORT __attribute__((visibility("default")))

struct accel_job;

/** What makes a device of some kind.  Functions return 0 or a negative errno value with accel_fail(). */
struct accel_backend {
	const char *name;
	/**
	 * Does @spec name a device of this backend?  NULL asks for the backend's
	 * default: is there a device to be used when nothing is said?
	 */
	bool (*accepts)(const char *spec);
	/** Sets device->data.  @spec is what accepts() took. */
	int (*open)(struct accel_device *device, const char *spec);
	/** No objects and no jobs are left. */
	void (*close)(struct accel_device *device);
	/** Fill all of @info. */
	void (*query)(struct accel_device *device, struct accel_device_info *info);
	/** Locked.  Fill what only the backend knows: commands, busy, model, dma. */
	void (*counters)(struct accel_device *device, struct accel_counters *counters);
	int (*cost)(struct accel_device *device, const struct weft_cmd *command, struct accel_cost *cost);

	/** Sets context->data; options are in the context already. */
	int (*context_new)(struct accel_context *context);
	void (*context_free)(struct accel_context *context);
	/** Locked.  Stop the context's issued jobs; each still ends through accel_job_end(). */
	void (*context_stop)(struct accel_context *context);

	/** Locked; no job is left.  Accept jobs again after a fault.  May be NULL. */
	int (*context_recover)(struct accel_context *context);

	/** Sets queue->data.  Both may be NULL. */
	int (*queue_new)(struct accel_queue *queue);
	void (*queue_free)(struct accel_queue *queue);

	/** Locked.  Allocate and map; sets address, memory (NULL: cannot be mapped here) and data. */
	int (*buffer_new)(struct accel_buffer *buffer);
	/** Locked.  Unmap and free. */
	void (*buffer_free)(struct accel_buffer *buffer);

	/** Jobs of a queue that may be issued at once; the backend runs and ends them in their order. */
	unsigned int depth;
	/** Locked.  Take a job whose turn it is.  A negative errno value: its context stops, because of *cause. */
	int (*submit)(struct accel_job *job, struct weft_fault_record *cause);
	/**
	 * Locked, but leaves the lock for a while.  Somebody waits for the job, which was
	 * issued: look for its end for a short time, as far as that is of use.  May be NULL.
	 */
	void (*poll)(struct accel_job *job);
	/** Records traces through accel_trace_add(). */
	bool traces;
};

extern const struct accel_backend accel_backend_embedded;
extern const struct accel_backend accel_backend_drm;

struct accel_device {
	atomic_uint references;
	const struct accel_backend *backend;
	void *data; /* backend's */
	pthread_mutex_t lock;
	struct accel_job *dead; /* ended jobs whose references are still to be dropped */
	uint64_t device_bytes, device_bytes_peak;
	uint64_t host_bytes, host_bytes_peak;
	uint64_t control_bytes, control_bytes_peak;
	uint64_t faults;
	bool gone;	   /* it does not answer any more: -ENODEV */
	uint32_t contexts; /* made so far: the next context's id */
};

struct accel_trace {
	struct accel_trace_record *ring;
	size_t size, first, count;
	size_t left; /* records still wanted */
};

struct accel_context {
	atomic_uint references;
	struct accel_device *device;
	void *data; /* backend's */
	uint32_t id;
	uint64_t command_timeout_ns;
	uint64_t device_bytes_limit, device_bytes;
	struct accel_queue *queues;		/* linked by next */
	struct accel_job *first_job, *last_job; /* not ended, in the order of submission */
	uint64_t submitted;			/* jobs so far; accel_job.number counts from 1 */
	struct accel_buffer *zombies;		/* released, but a job may use them */
	struct weft_fault_record fault;
	char *sentence; /* of @fault, ACCEL_SENTENCE bytes */
	struct accel_trace trace;
};

#define ACCEL_SENTENCE 1024

struct accel_buffer {
	atomic_uint references;
	struct accel_context *context;
	void *data;	/* backend's */
	uint64_t bytes; /* whole pages */
	unsigned int flags;
	uint64_t address;
	void *memory;
	struct accel_buffer *next; /* of the zombies */
	uint64_t last_job;	   /* the number of the last job that may use it */
};

/* The memory of a stream.  Jobs keep theirs while the stream moves on to a larger one. */
struct stream_block {
	atomic_uint references;
	struct accel_device *device; /* for accounting; kept alive by whoever holds the block */
	size_t capacity;
	_Alignas(8) uint8_t bytes[];
};

struct accel_stream {
	atomic_uint references;
	struct accel_context *context;
	struct stream_block *block;
	size_t bytes, commands;
	size_t pending; /* jobs that have not ended; locked */
};

/* A place in the line of a timeline. */
struct wait {
	struct accel_job *job;
	struct timeline *timeline; /* NULL: signalled */
	uint64_t point;
	struct wait *next;
};

/* All locked. */
struct timeline {
	uint64_t value;
	struct wait *waits;
};

struct accel_event {
	atomic_uint references;
	struct accel_context *context;
	struct timeline timeline;
};

struct accel_queue {
	atomic_uint references;
	struct accel_context *context;
	void *data; /* backend's */
	enum accel_priority priority;
	struct accel_queue *next; /* of the context */
	struct timeline timeline;
	uint64_t submitted;		    /* last point given out */
	uint64_t failed_first, failed_last; /* points of the latest run of failed jobs */
	struct accel_job *first, *last;	    /* not ended */
	struct accel_job *held;		    /* the first of them that was not issued */
	unsigned int issued;		    /* how many were */
	pthread_cond_t changed;
	unsigned int waiters;
	int fd; /* -1: nobody has asked */
};

enum job_state { JOB_HELD, JOB_ISSUED, JOB_ENDED };

struct accel_job {
	struct accel_queue *queue;
	struct accel_stream *stream;
	struct stream_block *block;
	size_t bytes; /* of the block that belong to the job */
	uint64_t point;
	uint64_t number; /* in its context */
	enum job_state state;
	struct accel_job *next; /* of the queue, later of the dead */
	struct accel_job *context_next, *context_previous;
	struct accel_job *backend_next; /* the backend's */
	void *data;			/* likewise */
	uint32_t waiting;		/* of the waits, how many have not signalled */
	uint32_t wait_count;
	struct wait wait[];
};

/* error.c */
int accel_fail(int error, const char *format, ...) __attribute__((format(printf, 2, 3)));
void accel_log(enum accel_log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* describe.c: a fault as a sentence.  @stream may be NULL; its commands add what was found there. */
int accel_describe(const struct weft_fault_record *fault, const void *stream, size_t stream_bytes, char *text,
		   size_t bytes);

/* device.c */
void accel_lock(struct accel_device *device);
void accel_unlock(struct accel_device *device);
/** Not locked.  Drop what ended jobs held.  May drop the device's last reference. */
void accel_device_reap(struct accel_device *device);
/** Locked.  Change a use and its peak. */
void accel_account(uint64_t *use, uint64_t *peak, int64_t change);

/* context.c */
/** Locked.  The context has faulted: later submissions are refused, held jobs end. */
void accel_context_stop(struct accel_context *context, const struct weft_fault_record *cause,
			const struct accel_job *guilty);

/* buffer.c */
/** Locked.  Free the released buffers that no job can use any more. */
void accel_buffers_free_unused(struct accel_context *context);

/* stream.c */
void accel_stream_ref(struct accel_stream *stream);
void accel_block_unref(struct stream_block *block);

/* job.c */
/** Locked.  Issue what can be issued, end what can only be ended. */
void accel_queue_pump(struct accel_queue *queue);
/**
 * Locked.  The backend has finished with @job.  @fault->reason is
 * WEFT_FAULT_NONE on success; @cause is the fault that stopped its context.
 */
void accel_job_end(struct accel_job *job, const struct weft_fault_record *fault, const struct weft_fault_record *cause);
/** Locked. */
void accel_timeline_advance(struct timeline *timeline, uint64_t value);
/** Locked.  The timeline goes away: stop the contexts of jobs that still wait for it. */
void accel_timeline_abandon(struct timeline *timeline);
struct accel_queue *accel_queue_ref(struct accel_queue *queue);

/* trace.c */
/** Locked. */
void accel_trace_add(struct accel_context *context, const struct accel_trace_record *record);
static inline bool accel_trace_wanted(const struct accel_context *context)
{
	return context->trace.left;
}

/* For options structs: @member was in the struct that the caller was compiled with. */
#define OPTION_PRESENT(options, member) \
	((options) && (options)->size >= offsetof(__typeof__(*(options)), member) + sizeof((options)->member))

#endif /* ACCEL_INTERNAL_H */
