/* SPDX-License-Identifier: MIT */
/**
 * The executor: carries out a plan on a device, step after step.
 *
 * The plan becomes command streams once.  Without storage it is one stream.
 * With storage it is cut into segments before a command that waits for a
 * transfer, and after one that a transfer waits for: a segment is submitted when
 * the transfers that it needs have ended, and a transfer begins when the segments
 * that it needs have.  Within a segment, engines wait for one another by
 * semaphores, derived from the memory ranges that actions touch.
 *
 * A step ends when its commands and its loads have; stores may go on while the
 * caller prepares the next step and during it, where only what touches the same
 * ranges waits for them.
 *
 * Belongs to one thread at a time.
 */
#ifndef WEFT_EXEC_EXECUTOR_H
#define WEFT_EXEC_EXECUTOR_H

#include <accel/accel.h>

#include "plan/plan.h"

struct weft_executor;

/** @graph and @plan (checked) must outlive the executor.  Arenas are zero; values are placed by weft_executor_write().
 */
int weft_executor_new(struct accel_device *device, const struct weft_graph *graph, const struct weft_plan *plan,
		      const char *storage_dir, struct weft_executor **executor);
void weft_executor_free(struct weft_executor *executor);

/** Memory of @value (base) in the host arena, for INPUT, STEP and outputs. */
void *weft_executor_host(struct weft_executor *executor, weft_id value);

/**
 * Run the plan once.  -EIO: a fault or a failed transfer; persistent values may
 * then be half updated, and every step fails until weft_executor_mend().
 */
int weft_executor_step(struct weft_executor *executor);
/** All persistent values have been written anew: steps may go on. */
int weft_executor_mend(struct weft_executor *executor);
bool weft_executor_broken(const struct weft_executor *executor);

/**
 * Wait for the stores that the last step left under way.  -EIO: one has failed;
 * steps then fail too, until weft_executor_mend().  Implied by
 * weft_executor_read() and weft_executor_write().
 */
int weft_executor_drain(struct weft_executor *executor);

/** Between steps: copy a persistent base value, in its layout, out of or into its home. */
int weft_executor_read(struct weft_executor *executor, weft_id value, void *data);
int weft_executor_write(struct weft_executor *executor, weft_id value, const void *data);

/** Stamps of the last step's transfers with storage, by plan action; complete after weft_executor_drain(). */
struct weft_io_stamp {
	uint32_t action;
	uint64_t start_ns, end_ns;
};
size_t weft_executor_stamps(const struct weft_executor *executor, const struct weft_io_stamp **stamps);
/** Command tags are plan actions. */
struct accel_context *weft_executor_context(struct weft_executor *executor);
/** Bytes of the page file. */
uint64_t weft_executor_storage_bytes(const struct weft_executor *executor);

#endif /* WEFT_EXEC_EXECUTOR_H */
