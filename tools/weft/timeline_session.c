// SPDX-License-Identifier: MIT
/* Timelines of sessions: as measured, and as planned. */
#include <errno.h>
#include <stdlib.h>

#include "plan/draft.h"
#include "timeline.h"
#include "weft/error.h"

static int draw(const char *path, const struct weft_graph *graph, const struct weft_plan *plan,
		const struct weft_budget *budget, const struct timeline_span *span)
{
	struct timeline timeline;
	int result = timeline_build(&timeline, graph, plan, budget, span);

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
	result = draw(path, weft_session_graph(session), plan, budget, span);
	free(span);
	return result;
}

int timeline_of_plan(const char *path, const struct weft_graph *graph, const struct weft_plan *plan,
		     const struct weft_costs *costs, const struct weft_budget *budget)
{
	struct timeline_span *span = calloc(plan->actions + 1, sizeof(*span));
	double *start = calloc(plan->actions + 1, sizeof(*start)), *finish = calloc(plan->actions + 1, sizeof(*finish));
	struct weft_plan predicted = *plan;
	int result = span && start && finish ? weft_plan_predict_times(&predicted, graph, costs, NULL, start, finish)
					     : weft_fail(ENOMEM, "timeline: out of memory");

	for (uint32_t i = 0; i < plan->actions && !result; i++)
		span[i] = (struct timeline_span){(uint64_t)(start[i] * 1e9), (uint64_t)(finish[i] * 1e9)};
	if (!result)
		result = draw(path, graph, plan, budget, span);
	free(start);
	free(finish);
	free(span);
	return result;
}
