/* SPDX-License-Identifier: MIT */
/**
 * libaccel: devices, memory, command streams, queues and fences of a Weft NPU.
 *
 * A worked example (error checks left out; libaccel/examples/matmul.c has them):
 *
 *	struct accel_device *dev;
 *	struct accel_context *ctx;
 *	struct accel_buffer *mem;
 *	struct accel_stream *stream;
 *	struct accel_queue *queue;
 *
 *	accel_device_open("embedded:mem=16M,threads=2", &dev);
 *	accel_context_new(dev, NULL, &ctx);
 *	accel_buffer_new(ctx, 4096, ACCEL_DEVICE_MEMORY, &mem);
 *	accel_stream_new(ctx, &stream);
 *	accel_stream_append(stream, &command.header);
 *	accel_queue_new(ctx, NULL, &queue);
 *	accel_queue_submit(queue, stream, NULL, &point);
 *	accel_queue_wait(queue, point, ACCEL_WAIT_FOREVER);
 *
 * The commands themselves are those of <weft_isa.h>.
 *
 * Conventions.  Functions that can fail return 0 or a negative errno value;
 * accel_error() has the sentence for it, per thread.  Objects are counted:
 * *_new() returns one reference, *_unref(NULL) is allowed.  An object keeps
 * alive what it was made from.  Handles may be used from several threads at
 * once except accel_stream, which belongs to one thread at a time.
 */
#ifndef ACCEL_ACCEL_H
#define ACCEL_ACCEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <weft_isa.h>

#ifdef __cplusplus
extern "C" {
#endif

#define ACCEL_VERSION_MAJOR 0
#define ACCEL_VERSION_MINOR 1
#define ACCEL_VERSION_PATCH 0
/** The version of this header. */
#define ACCEL_VERSION "0.1.0"

/** The version of the library that is linked, as "major.minor.patch". */
const char *accel_version(void);

struct accel_device;
struct accel_context;
struct accel_buffer;
struct accel_stream;
struct accel_queue;

/** The sentence for the last failed call of this thread: what, where, what was expected.  Valid until the next call. */
const char *accel_error(void);

enum accel_log_level { ACCEL_LOG_ERROR, ACCEL_LOG_WARNING, ACCEL_LOG_INFO, ACCEL_LOG_DEBUG };

/**
 * Where messages go (default: standard error) and which (default: warnings;
 * the environment's ACCEL_LOG=error|warning|info|debug overrides).
 * Not thread-safe: call it before the first device is opened.  @function may be
 * called with locks held: it must not call the library.  NULL: the default.
 */
typedef void (*accel_log_function)(enum accel_log_level level, const char *message, void *user);
void accel_log_set(accel_log_function function, void *user, enum accel_log_level most);

/* Devices. */

/**
 * Open a device.
 *
 * @spec: one of
 *	NULL or ""		the environment's ACCEL_DEVICE, else the first Weft
 *				node under /dev/accel, else "embedded"
 *	"embedded[:options]"	the device model in this process; options,
 *				separated by commas: mem=SIZE (device memory, K, M, G
 *				are powers of 1024; default 256M), threads=N (compute
 *				lanes; default 1), isa=auto|scalar|avx2|avx512|neon (code
 *				path of the engine: same results), profile=NAME
 *				(modelled device, see accel_device_info; default host,
 *				since a processor core is what computes here)
 *	"/dev/accel/accelN"	that node
 *
 * -EINVAL: spec not understood; -ENODEV: no such device; -EPROTO: versions of
 * library, driver or firmware do not fit (the sentence names them all).
 */
int accel_device_open(const char *spec, struct accel_device **device);
struct accel_device *accel_device_ref(struct accel_device *device);
void accel_device_unref(struct accel_device *device);

/** What a device is.  Fill @size before the call: fields beyond it are not written. */
struct accel_device_info {
	size_t size;
	char backend[16]; /* "embedded" or "drm" */
	char name[64];
	char profile[32]; /* of the analytical model behind cycles and energy */
	uint32_t isa_major, isa_minor;
	char firmware[32]; /* version of the control core's program */
	char driver[32]; /* version of the kernel driver, "" when embedded */
	uint64_t device_memory_bytes;
	uint64_t page_bytes; /* granule of device memory */
	uint64_t local_memory_bytes; /* scratch inside the engines, not part of device memory */
	uint32_t threads; /* compute lanes */
	char kernels[16]; /* code path of the engine: "scalar", "avx2", "avx512", "neon" */
	uint64_t clock_hz; /* of the model */
	uint64_t macs_per_cycle; /* f32; 0: less than one */
	uint64_t device_bytes_per_second;
	uint64_t dma_in_bytes_per_second, dma_out_bytes_per_second;
};
/** -EINVAL: @size was not filled in. */
int accel_device_query(struct accel_device *device, struct accel_device_info *info);

/**
 * Counters since the device was opened.  Fill @size.  Busy times are measured on
 * the wall clock; cycles and energy come from the device's analytical model and
 * are the same for every run of the same commands.
 */
struct accel_counters {
	size_t size;
	uint64_t commands[WEFT_ENGINES];
	uint64_t busy_ns[WEFT_ENGINES];
	uint64_t model_cycles[WEFT_ENGINES];
	uint64_t model_picojoules[WEFT_ENGINES];
	uint64_t dma_in_bytes, dma_out_bytes;
	uint64_t device_bytes, device_bytes_peak; /* allocated, in pages */
	uint64_t host_bytes, host_bytes_peak; /* ACCEL_HOST_MEMORY */
	uint64_t control_bytes, control_bytes_peak; /* command streams */
	uint64_t faults;
};
/** -EINVAL: @size was not filled in. */
int accel_device_counters(struct accel_device *device, struct accel_counters *counters);
/** Let the peaks start again from the present use. */
int accel_device_reset_peaks(struct accel_device *device);

/**
 * What one command costs on the device's model.  The same function that feeds the
 * counters; firmware/engine/model.h has its formulas.  Each figure saturates.
 */
struct accel_cost {
	uint64_t cycles;
	uint64_t picojoules;
	uint64_t operations; /* floating-point or integer operations, a multiply-add is 2 */
	uint64_t bytes; /* moved between engine and memory */
};
/** -EINVAL: the command is not valid; the sentence is that of the fault which it would be. */
int accel_device_cost(struct accel_device *device, const struct weft_cmd *command, struct accel_cost *cost);

/* Contexts: an address space each.  A fault stops its own context only. */

struct accel_context_options {
	size_t size;
	uint64_t command_timeout_ns; /* a command that runs longer faults (when embedded: once it has ended); 0: device's default */
	uint64_t device_bytes_limit; /* most device memory of this context; 0: no limit but the device's */
};
/** @options may be NULL.  -ENOMEM. */
int accel_context_new(struct accel_device *device, const struct accel_context_options *options, struct accel_context **context);
struct accel_context *accel_context_ref(struct accel_context *context);
void accel_context_unref(struct accel_context *context);

/**
 * The first fault of this context, or 0 in fault->reason.  A faulted context
 * refuses submissions with -ECANCELED until accel_context_recover().
 */
int accel_context_fault(struct accel_context *context, struct weft_fault_record *fault);
/** The fault as a sentence: command, operand, reason, what was expected.  Returns the length that the whole sentence has. */
int accel_fault_describe(const struct weft_fault_record *fault, char *text, size_t bytes);
/**
 * The same for the context's fault, with the types and shapes that the command's
 * operands had.  "" if there is none.  Returns the length that the whole sentence has.
 */
int accel_context_fault_text(struct accel_context *context, char *text, size_t bytes);
/** Clear a fault once every submitted job of the context has ended; -EBUSY before. */
int accel_context_recover(struct accel_context *context);

/* Memory. */

enum accel_buffer_flags {
	ACCEL_DEVICE_MEMORY = 1 << 0, /* the device's own; -ENOSPC when full */
	ACCEL_HOST_MEMORY = 1 << 1, /* host memory that DMA reaches; page-aligned, target of O_DIRECT */
	ACCEL_READ_ONLY = 1 << 2, /* the device may only read it */
};

/**
 * Size is rounded up to pages.  The contents are zero.  The buffer is mapped in
 * the context until its last unref and all jobs that may use it (those submitted
 * before) have ended; until then its memory counts as allocated.
 * -EINVAL: size or flags.  -ENOSPC: no device memory (the sentence says how much is
 * free, and the largest hole), or beyond the context's limit.  -ENOMEM: no host memory.
 */
int accel_buffer_new(struct accel_context *context, uint64_t bytes, unsigned int flags, struct accel_buffer **buffer);
struct accel_buffer *accel_buffer_ref(struct accel_buffer *buffer);
void accel_buffer_unref(struct accel_buffer *buffer);
uint64_t accel_buffer_bytes(const struct accel_buffer *buffer);
/** Device virtual address of the first byte, for struct weft_tensor. */
uint64_t accel_buffer_address(const struct accel_buffer *buffer);
/**
 * The buffer in this process.  Host memory always; device memory where the
 * device is reachable (else -EOPNOTSUPP), for debugging and small transfers:
 * the caller orders its accesses against jobs by waiting for them.
 */
int accel_buffer_map(struct accel_buffer *buffer, void **memory);

/* Command streams. */

int accel_stream_new(struct accel_context *context, struct accel_stream **stream);
void accel_stream_unref(struct accel_stream *stream);
/**
 * Append a copy of @command (header and operands).  Only sizes are checked here; the
 * device checks the rest.  -EINVAL: size and operands do not match.  -E2BIG: the stream
 * would pass WEFT_STREAM_MAX_BYTES.  -ENOMEM.
 */
int accel_stream_append(struct accel_stream *stream, const struct weft_cmd *command);
/** Forget the commands.  -EBUSY while a submission of it is pending. */
int accel_stream_reset(struct accel_stream *stream);
size_t accel_stream_bytes(const struct accel_stream *stream);
size_t accel_stream_commands(const struct accel_stream *stream);
/** The commands, one after another; until the stream is appended to, reset or released. */
const void *accel_stream_data(const struct accel_stream *stream);

/* Filling in operands. */

/** A dense tensor, innermost dimension last; rank 0 is a scalar. */
struct weft_tensor accel_tensor(uint64_t address, enum weft_type type, unsigned int rank, const uint32_t *dims);
/** Bytes of an element; 0 for the packed types. */
size_t accel_type_bytes(enum weft_type type);
/** "matmul", "conv_fwd", ...; "unknown" otherwise. */
const char *accel_op_name(unsigned int opcode);
const char *accel_type_name(unsigned int type);
const char *accel_fault_name(unsigned int reason);

/* Queues and fences. */

enum accel_priority { ACCEL_PRIORITY_LOW, ACCEL_PRIORITY_NORMAL, ACCEL_PRIORITY_HIGH };

struct accel_queue_options {
	size_t size;
	enum accel_priority priority; /* an engine that falls idle takes the ready command of the highest priority */
};
/**
 * A queue runs its jobs in the order of submission; queues overlap.  Each queue
 * carries a timeline: job n of the queue signals point n (from 1).
 */
/** @options may be NULL (normal priority).  -EINVAL: no such priority.  -ENOMEM. */
int accel_queue_new(struct accel_context *context, const struct accel_queue_options *options, struct accel_queue **queue);
void accel_queue_unref(struct accel_queue *queue);

/**
 * An event is a timeline that the application signals, for instance when a read
 * from storage has completed.  A job that waits for one is held in the library
 * and goes to the device only then: the device never waits for an application.
 */
struct accel_event;
/** -ENOMEM. */
int accel_event_new(struct accel_context *context, struct accel_event **event);
/** Releasing an event that jobs wait for stops their contexts with WEFT_FAULT_CANCELLED. */
void accel_event_unref(struct accel_event *event);
/** Advance to @point; lower or equal points are ignored. */
int accel_event_signal(struct accel_event *event, uint64_t point);

/** A point on a queue's or an event's timeline; exactly one of the two is set.  A queue's point must have been submitted. */
struct accel_fence {
	struct accel_queue *queue;
	struct accel_event *event;
	uint64_t point;
};

struct accel_submit_options {
	size_t size;
	const struct accel_fence *wait; /* fences that must have signalled before the job starts */
	uint32_t wait_count;
};
/**
 * Submit a job; returns at once.  The stream may be submitted again, also while
 * pending, appended to (the job has the commands that were there when it was
 * submitted), and released; it must not be reset while pending.  The queue may be
 * released: its jobs run to their ends.  A fence signals also when its job fails.
 * -EINVAL: a fence is not sound, or of another device; the stream is of another context.
 * @point: the job's point, may be NULL.
 * -ECANCELED: the context has faulted.  -ENODEV: the device is gone.
 */
int accel_queue_submit(struct accel_queue *queue, struct accel_stream *stream, const struct accel_submit_options *options, uint64_t *point);

#define ACCEL_WAIT_FOREVER UINT64_MAX
/**
 * Wait until the queue reaches @point.  @timeout_ns counts from now; 0 asks only.
 * 0: reached, the job succeeded.  -ETIMEDOUT.  -EIO: the job failed, or was
 * cancelled, as its context faulted (accel_error() and accel_context_fault() say
 * why).  Failures are remembered until jobs of the queue fail again after a
 * recovery.  -ENODEV: the device is gone.
 */
int accel_queue_wait(struct accel_queue *queue, uint64_t point, uint64_t timeout_ns);
/**
 * A file descriptor, owned by the queue, that polls readable when a job has
 * ended since it was last read (an eventfd: read 8 bytes, the number of ends; it
 * does not block).  Jobs that ended before the first call count.  For event loops.
 * -EMFILE, -ENFILE, -ENOMEM: no descriptor left.
 */
int accel_queue_fd(struct accel_queue *queue);
/** The last point reached. */
uint64_t accel_queue_completed(const struct accel_queue *queue);

/* Traces: what ran when. */

struct accel_trace_record {
	uint32_t tag; /* of the command */
	uint16_t opcode;
	uint8_t engine;
	uint8_t pad;
	uint64_t start_ns, end_ns; /* CLOCK_MONOTONIC */
	uint64_t model_cycles;
};
/** Record the context's next commands, up to @records, forgetting earlier ones; 0 stops.  -EOPNOTSUPP where the device cannot.  -ENOMEM. */
int accel_context_trace(struct accel_context *context, size_t records);
/** Copy out and forget up to @room records, oldest first; returns how many. */
size_t accel_context_trace_read(struct accel_context *context, struct accel_trace_record *record, size_t room);

#ifdef __cplusplus
}
#endif

#endif /* ACCEL_ACCEL_H */
