/* SPDX-License-Identifier: MIT */
#ifndef WEFT_EXEC_SESSION_INTERNAL_H
#define WEFT_EXEC_SESSION_INTERNAL_H

#include "exec/costs.h"
#include "exec/executor.h"
#include "graph/graph.h"
#include "plan/plan.h"
#include "weft/session.h"

struct weft_session {
	struct accel_device *device;
	struct weft_graph *graph;
	struct weft_plan *plan;
	struct weft_costs costs;
	struct weft_executor *executor;
	uint64_t seed;
	float hyper[WEFT_HYPERS];
	uint64_t steps;	    /* with those before a checkpoint */
	uint64_t steps_run; /* by this session */
	double seconds, joules;
	bool tracing;
	uint64_t step_start_ns;
	struct weft_event *event;
	size_t events, event_room;
};

/** Persistent values that training changes or may change. */
bool weft_value_is_kept(const struct weft_graph *graph, weft_id value);
/** Those of them that belong to the model: weights and running statistics. */
bool weft_value_is_model(const struct weft_graph *graph, weft_id value);

/** Dims of a value as the model file has them. */
unsigned int weft_file_dims(const struct weft_value *value, uint32_t dims[WEFT_MAX_RANK]);
/** Bytes of a value, dense. */
uint64_t weft_file_bytes(const struct weft_value *value);
/** Whether the value stands in memory as it does in a file. */
bool weft_value_is_in_file_order(const struct weft_value *value);
/** Between the value's layout and dense in the order of the file. */
void weft_to_file(const struct weft_value *value, const void *memory, void *file);
void weft_from_file(const struct weft_value *value, void *memory, const void *file);

/** Collect the events of the step that has just run. */
int weft_session_collect(struct weft_session *session);

#endif /* WEFT_EXEC_SESSION_INTERNAL_H */
