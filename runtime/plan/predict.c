// SPDX-License-Identifier: MIT
/*
 * What a plan costs: every action starts when its engine is free and the ranges
 * that it touches are, which is what the executor does.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "plan/draft.h"
#include "plan/recency.h"
#include "plan/walk.h"
#include "weft/error.h"

static enum weft_lane lane_of(const struct weft_action *action)
{
	switch (action->kind) {
	case WEFT_ACTION_COMPUTE:
		return WEFT_LANE_COMPUTE;
	case WEFT_ACTION_PAGE_IN:
		return WEFT_LANE_PAGE_IN;
	case WEFT_ACTION_PAGE_OUT:
		return WEFT_LANE_PAGE_OUT;
	default:
		return WEFT_LANE_STORAGE;
	}
}

struct timeline {
	const struct weft_plan *plan;
	double *finish;	     /* per action */
	enum weft_lane lane; /* of the action at hand */
	double ready;	     /* when it can start */
	double handover;
};

static void wait_for(void *user, uint32_t earlier)
{
	struct timeline *timeline = user;
	double ready = timeline->finish[earlier];

	if (lane_of(&timeline->plan->action[earlier]) != timeline->lane)
		ready += timeline->handover;
	if (ready > timeline->ready)
		timeline->ready = ready;
}

/* Seconds for each byte where both ends were touched when @touched bytes were since. */
static double byte_seconds(const struct weft_costs *costs, bool in, uint64_t touched)
{
	for (unsigned int i = 0; i < WEFT_RECENT_COSTS; i++) {
		const struct weft_recent_cost *recent = &costs->recent[i];

		if ((double)touched <= recent->bytes)
			return 1 / (in ? recent->in_bytes_per_second : recent->out_bytes_per_second);
	}
	return 1 / (in ? costs->page_in : costs->page_out).bytes_per_second;
}

/*
 * Each end of a transfer has its half of the time.  A place that is paged into was
 * used by others before: about when the whole of device memory was, and as much of
 * the host's.
 */
static double recent_seconds(const struct weft_recency *recency, const struct weft_plan *plan,
			     const struct weft_action *action, double bytes, const struct weft_costs *costs)
{
	const bool in = action->kind == WEFT_ACTION_PAGE_IN;
	uint64_t host = weft_recency_bytes(recency, WEFT_TIER_HOST, action->value);
	uint64_t device =
		in ? 2 * plan->peak[WEFT_TIER_DEVICE] : weft_recency_bytes(recency, WEFT_TIER_DEVICE, action->value);

	return (in ? costs->page_in : costs->page_out).seconds +
	       bytes * (byte_seconds(costs, in, host) + byte_seconds(costs, in, device)) / 2;
}

static double cost(struct weft_plan *plan, const struct weft_action *action, uint64_t moved,
		   const struct weft_recency *recency, const struct weft_costs *costs)
{
	const struct weft_transfer_cost *transfer;
	double bytes = (double)moved;

	switch (action->kind) {
	case WEFT_ACTION_COMPUTE:
		plan->joules += costs->operation_joules[action->operation];
		return costs->operation_seconds[action->operation];
	case WEFT_ACTION_PAGE_IN:
	case WEFT_ACTION_PAGE_OUT:
		plan->paged_bytes[WEFT_TIER_HOST] += moved;
		transfer = action->kind == WEFT_ACTION_PAGE_IN ? &costs->page_in : &costs->page_out;
		plan->joules += weft_transfer_joules(transfer, bytes);
		if (recency)
			return recent_seconds(recency, plan, action, bytes, costs);
		return weft_transfer_seconds(transfer, bytes);
	default:
		plan->paged_bytes[WEFT_TIER_STORAGE] += moved;
		transfer = action->kind == WEFT_ACTION_LOAD ? &costs->load : &costs->store;
		break;
	}
	plan->joules += weft_transfer_joules(transfer, bytes);
	return weft_transfer_seconds(transfer, bytes);
}

/* @known: seconds per action, negative where they follow from @costs; or NULL. */
static int predict(struct weft_plan *plan, const struct weft_graph *graph, const struct weft_costs *costs,
		   const double *known, double *start, double *finish)
{
	struct timeline timeline = {.plan = plan, .finish = finish, .handover = costs->handover_seconds};
	const bool recent = costs->recent[WEFT_RECENT_COSTS - 1].bytes > 0;
	struct weft_recency *recency = recent ? weft_recency_new(plan, graph) : NULL;
	struct weft_hazards *hazards = weft_hazards_new();
	double free_at[WEFT_LANES] = {0}, last = 0;
	const struct weft_action *action;
	struct weft_walk walk;
	int result;

	result = weft_walk_begin(&walk, plan, graph);
	if (!result && (!hazards || (recent && !recency)))
		result = weft_fail(ENOMEM, "no memory for planning");
	plan->joules = 0;
	memset(plan->lane_seconds, 0, sizeof(plan->lane_seconds));
	plan->paged_bytes[WEFT_TIER_HOST] = plan->paged_bytes[WEFT_TIER_STORAGE] = 0;
	while (!result && (action = weft_walk_next(&walk))) {
		uint32_t index = walk.next - 1;
		enum weft_lane lane = lane_of(action);
		double seconds;

		if (action->kind == WEFT_ACTION_DROP)
			continue;
		timeline.lane = lane;
		timeline.ready = free_at[lane];
		for (unsigned int i = 0; i < walk.accesses; i++)
			weft_hazards_visit(hazards, &walk.access[i], wait_for, &timeline);
		start[index] = timeline.ready;
		seconds = cost(plan, action, walk.bytes, recency, costs);
		if (recency)
			weft_recency_touch(recency, action, index);
		if (known && known[index] >= 0)
			seconds = known[index];
		plan->lane_seconds[lane] += seconds;
		timeline.finish[index] = timeline.ready + seconds;
		free_at[lane] = timeline.finish[index];
		if (timeline.finish[index] > last)
			last = timeline.finish[index];
		for (unsigned int i = 0; !result && i < walk.accesses; i++)
			result = weft_hazards_record(hazards, &walk.access[i], index);
	}
	plan->seconds = last + costs->step_seconds;
	weft_walk_end(&walk);
	weft_hazards_free(hazards);
	weft_recency_free(recency);
	return result;
}

int weft_plan_predict_times(struct weft_plan *plan, const struct weft_graph *graph, const struct weft_costs *costs,
			    const double *known, double *start, double *finish)
{
	return predict(plan, graph, costs, known, start, finish);
}

int weft_plan_predict_known(struct weft_plan *plan, const struct weft_graph *graph, const struct weft_costs *costs,
			    const double *known)
{
	double *start = calloc(plan->actions + 1, sizeof(*start)), *finish = calloc(plan->actions + 1, sizeof(*finish));
	int result = start && finish ? predict(plan, graph, costs, known, start, finish)
				     : weft_fail(ENOMEM, "no memory for planning");

	free(start);
	free(finish);
	return result;
}

int weft_plan_predict(struct weft_plan *plan, const struct weft_graph *graph, const struct weft_costs *costs)
{
	return weft_plan_predict_known(plan, graph, costs, NULL);
}
