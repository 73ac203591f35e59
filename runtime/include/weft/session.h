/* SPDX-License-Identifier: MIT */
/**
 * A session: a graph planned for budgets and executed, step by step, on a
 * device.  Steps of one session belong to one thread.
 */
#ifndef WEFT_SESSION_H
#define WEFT_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <accel/accel.h>
#include "weft/model.h"

#ifdef __cplusplus
extern "C" {
#endif

struct weft_plan;
struct weft_session;

struct weft_session_options {
	uint64_t device_bytes; /* budgets; UINT64_MAX: unlimited */
	uint64_t host_bytes;
	uint64_t storage_bytes; /* 0: no storage tier */
	const char *storage_dir;
	double time_ratio; /* 0: no limit */
	int policy; /* enum weft_policy of plan/plan.h */
	double plan_seconds;
	uint64_t seed;
	bool model_costs; /* plan with the device's model, even where its costs have been measured (weft calibrate) */
};

/**
 * What the refusal of a budget says: a device budget that works with the other budgets as
 * given, and likewise one of the host's, the smallest found; 0: none does.
 */
struct weft_session_refusal {
	uint64_t least_device_bytes, least_host_bytes;
	bool together; /* neither works alone: this device budget together with this one of the host's does */
};

/**
 * Plan @graph (owned by the session from here on, also on failure) and place
 * its persistent values.  -ENOSPC: the budget is refused; *refusal says the least.
 */
int weft_session_new(struct accel_device *device, struct weft_graph *graph, const struct weft_session_options *options, struct weft_session **session,
		     struct weft_session_refusal *refusal);
void weft_session_free(struct weft_session *session);

const struct weft_graph *weft_session_graph(const struct weft_session *session);
const struct weft_plan *weft_session_plan(const struct weft_session *session);

/** The staging memory of INPUT and STEP values (@name as in the graph), in the value's layout; fill it before each step. */
int weft_session_input(struct weft_session *session, const char *name, void **memory, size_t *bytes);
/** Hyperparameters of the next steps, enum weft_hyper; the session derives the bias corrections and the step counter. */
int weft_session_hyper(struct weft_session *session, const float hyper[8]);
/** Run one step; returns when it is done.  -EIO: a fault (weft_error() has the sentence). */
int weft_session_step(struct weft_session *session);
/** After a step: contents of an output value (loss, logits, gradients). */
int weft_session_output(struct weft_session *session, const char *name, void *data, size_t bytes);

/** Between steps: read or write a persistent value, dense in the order of the model file. */
int weft_session_read(struct weft_session *session, const char *name, void *data, size_t bytes);
int weft_session_write(struct weft_session *session, const char *name, const void *data, size_t bytes);
/** SHA-256 over names, shapes and bytes of all weights and running statistics in file order, as 64 hex digits. */
int weft_session_digest(struct weft_session *session, char hex[65]);
/** Steps executed so far, including those before a checkpoint that was loaded. */
uint64_t weft_session_steps(const struct weft_session *session);

/**
 * Checkpoint: every persistent value, the step counter and @note (the caller's
 * own state, as bytes), checksummed; written beside @path, fsynced, renamed.
 */
int weft_session_save(struct weft_session *session, const char *path, const void *note, size_t note_bytes);
/** -EINVAL: damaged or of another graph; the session is then unchanged.  *note is to be freed by the caller. */
int weft_session_load(struct weft_session *session, const char *path, void **note, size_t *note_bytes);

struct weft_session_usage {
	uint64_t peak_device_bytes, peak_host_bytes, peak_storage_bytes; /* device's own accounting; storage: bytes of the page file */
	uint64_t paged_bytes; /* host<->device and storage, both ways, all steps so far */
	uint64_t recomputed_ops;
	double step_seconds; /* mean */
	double energy_joules; /* of all steps, by the device's model */
	double predicted_seconds, predicted_joules; /* per step */
};
int weft_session_usage(struct weft_session *session, struct weft_session_usage *usage);

/** What happened in the last step, for timelines; valid until the next step. */
struct weft_event {
	uint8_t lane; /* 0 compute, 1 page in, 2 page out, 3 storage read, 4 storage write */
	bool recompute;
	const char *name;
	uint64_t start_ns, end_ns; /* from the start of the step */
	uint64_t model_cycles;	   /* of the device's model; 0 for storage */
	uint64_t bytes;
	uint32_t action; /* index in the plan */
};
/** Collect events of the following steps (costs a little time). */
int weft_session_trace(struct weft_session *session, bool on);
size_t weft_session_events(struct weft_session *session, const struct weft_event **events);

#ifdef __cplusplus
}
#endif

#endif /* WEFT_SESSION_H */
