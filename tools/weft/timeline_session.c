// SPDX-License-Identifier: MIT
/* Timelines of sessions: as measured, and as planned. */
#include <errno.h>
#include <stdlib.h>

#include "exec/costs.h"
#include "plan/draft.h"
#include "timeline.h"
#include "weft/error.h"

static int draw(const char *path, struct weft_session *session, const struct weft_budget *budget,
		const struct timeline_span *span)
{
	struct timeline timeline;
	int result = timeline_build(&timeline, weft_session_graph(session), weft_session_plan(session), budget, span);

	if (result)
		return result;
	result = timeline_write(&timeline, path);
	timeline_free(&timeline);
	return result;
}

int timeline_of_session(const char *path, struct weft_session *session, const struct weft_budget *budget)
{
	const struct weft_plan *plan = weft_session_plan(session);
	struct timeline_span *span = calloc(plan->actions + 1, sizeof(*span));
	const struct weft_event *event;
	size_t events = weft_session_events(session, &event);
	int result;

	if (!span)
		return weft_fail(ENOMEM, "timeline: out of memory");
	for (uint32_t i = 0; i < plan->actions; i++)
		span[i].start_ns = 1; /* after its end: did not run */
	for (size_t i = 0; i < events; i++)
		if (event[i].action < plan->actions)
			span[event[i].action] = (struct timeline_span){event[i].start_ns, event[i].end_ns};
	result = draw(path, session, budget, span);
	free(span);
	return result;
}

int timeline_of_plan(const char *path, struct accel_device *device, struct weft_session *session,
		     const struct weft_budget *budget)
{
	const struct weft_graph *graph = weft_session_graph(session);
	struct weft_plan plan = *weft_session_plan(session);
	struct timeline_span *span = calloc(plan.actions + 1, sizeof(*span));
	double *start = calloc(plan.actions + 1, sizeof(*start)), *finish = calloc(plan.actions + 1, sizeof(*finish));
	struct weft_costs costs = {0};
	int result = span && start && finish ? weft_costs_model(device, graph, &costs)
					     : weft_fail(ENOMEM, "timeline: out of memory");

	if (!result) {
		result = weft_plan_predict_times(&plan, graph, &costs, start, finish);
		weft_costs_clear(&costs);
	}
	for (uint32_t i = 0; i < plan.actions && !result; i++)
		span[i] = (struct timeline_span){(uint64_t)(start[i] * 1e9), (uint64_t)(finish[i] * 1e9)};
	if (!result)
		result = draw(path, session, budget, span);
	free(start);
	free(finish);
	free(span);
	return result;
}
