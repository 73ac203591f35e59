// SPDX-License-Identifier: MIT
/* What happened in a step: the device's traces and the stamps of storage transfers, in one list. */
#include <errno.h>
#include <stdlib.h>

#include "exec/session_internal.h"
#include "weft/error.h"

enum { LANE_COMPUTE, LANE_PAGE_IN, LANE_PAGE_OUT, LANE_LOAD, LANE_STORE };

int weft_session_trace(struct weft_session *session, bool on)
{
	session->tracing = on;
	session->events = 0;
	if (!on && accel_context_trace(weft_executor_context(session->executor), 0))
		return weft_fail(EOPNOTSUPP, "%s", accel_error());
	return 0;
}

static uint64_t since(const struct weft_session *session, uint64_t ns)
{
	return ns > session->step_start_ns ? ns - session->step_start_ns : 0;
}

static void add_event(struct weft_session *session, uint32_t index, uint64_t start, uint64_t end, uint64_t cycles)
{
	static const uint8_t lane[] = {
		[WEFT_ACTION_COMPUTE] = LANE_COMPUTE, [WEFT_ACTION_PAGE_OUT] = LANE_PAGE_OUT,
		[WEFT_ACTION_PAGE_IN] = LANE_PAGE_IN, [WEFT_ACTION_STORE] = LANE_STORE,
		[WEFT_ACTION_LOAD] = LANE_LOAD,	      [WEFT_ACTION_DROP] = LANE_COMPUTE,
	};
	const struct weft_action *action = &session->plan->action[index];
	bool compute = action->kind == WEFT_ACTION_COMPUTE;
	const struct weft_graph *graph = session->graph;

	session->event[session->events++] = (struct weft_event){
		.lane = lane[action->kind],
		.recompute = action->recompute,
		.name = compute ? graph->operation[action->operation].name : graph->value[action->value].name,
		.start_ns = since(session, start),
		.end_ns = since(session, end),
		.model_cycles = cycles,
		.bytes = compute ? 0 : graph->value[action->value].bytes,
		.action = index,
	};
}

static int by_start(const void *a, const void *b)
{
	const struct weft_event *x = a, *y = b;

	if (x->start_ns != y->start_ns)
		return x->start_ns < y->start_ns ? -1 : 1;
	return x->action < y->action ? -1 : x->action > y->action;
}

int weft_session_collect(struct weft_session *session)
{
	struct accel_context *context = weft_executor_context(session->executor);
	const struct weft_io_stamp *stamp;
	size_t stamps = weft_executor_stamps(session->executor, &stamp);
	size_t most = session->plan->actions + 16 + stamps;
	struct accel_trace_record record[64];
	size_t count;
	int result = weft_executor_drain(session->executor);

	if (result)
		return result;
	if (session->event_room < most) {
		struct weft_event *event = realloc(session->event, most * sizeof(*event));

		if (!event)
			return weft_fail(ENOMEM, "no memory for the events of a step");
		session->event = event;
		session->event_room = most;
	}
	session->events = 0;
	while ((count = accel_context_trace_read(context, record, 64)))
		for (size_t i = 0; i < count; i++)
			if (record[i].tag < session->plan->actions && session->events < most)
				add_event(session, record[i].tag, record[i].start_ns, record[i].end_ns,
					  record[i].model_cycles);
	for (size_t i = 0; i < stamps && session->events < most; i++)
		add_event(session, stamp[i].action, stamp[i].start_ns, stamp[i].end_ns, 0);
	qsort(session->event, session->events, sizeof(*session->event), by_start);
	return 0;
}

size_t weft_session_events(struct weft_session *session, const struct weft_event **events)
{
	*events = session->event;
	return session->events;
}
