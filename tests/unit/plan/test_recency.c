// SPDX-License-Identifier: MIT
/* What was touched since a copy was, against counting it anew for every action. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "plan/draft.h"
#include "plan/recency.h"
#include "random_graph.h"
#include "weft/error.h"

/* Does @action touch the copy of @value in @tier? */
static bool touches(const struct weft_graph *graph, const struct weft_action *action, enum weft_tier tier,
		    weft_id value)
{
	const struct weft_operation *operation = &graph->operation[action->operation];

	if (action->kind == WEFT_ACTION_DROP)
		return false;
	if (action->kind != WEFT_ACTION_COMPUTE)
		return action->value == value && (tier == WEFT_TIER_HOST || action->kind == WEFT_ACTION_PAGE_IN ||
						  action->kind == WEFT_ACTION_PAGE_OUT);
	for (unsigned int i = 0; tier == WEFT_TIER_DEVICE && i < operation->operands; i++)
		if (operation->operand[i] != WEFT_NO_ID && graph->value[operation->operand[i]].base == value)
			return true;
	return false;
}

/* The latest action before @end that does, plus 1; 0: none. */
static uint32_t last_touch(const struct weft_graph *graph, const struct weft_plan *plan, uint32_t end,
			   enum weft_tier tier, weft_id value)
{
	while (end && !touches(graph, &plan->action[end - 1], tier, value))
		end--;
	return end;
}

static uint64_t counted(const struct weft_graph *graph, const struct weft_plan *plan, uint32_t end, enum weft_tier tier,
			weft_id value)
{
	const uint32_t since = last_touch(graph, plan, end, tier, value);
	uint64_t bytes[2] = {0, 0};

	if (!since)
		return UINT64_MAX;
	for (weft_id v = 0; v < graph->values; v++)
		for (unsigned int t = WEFT_TIER_DEVICE; t <= WEFT_TIER_HOST; t++)
			if (graph->value[v].base == v && last_touch(graph, plan, end, t, v) >= since)
				bytes[t] += graph->value[v].bytes;
	if (bytes[WEFT_TIER_DEVICE] > plan->peak[WEFT_TIER_DEVICE])
		bytes[WEFT_TIER_DEVICE] = plan->peak[WEFT_TIER_DEVICE];
	return bytes[WEFT_TIER_HOST] + bytes[WEFT_TIER_DEVICE];
}

static struct weft_plan *tight_plan(const struct weft_graph *graph, const struct weft_costs *costs)
{
	struct weft_plan_request request = {.graph = graph, .costs = costs, .budget = {.bytes = {4096, UINT64_MAX, 0}}};
	struct weft_plan_refusal refusal = {0, 0};
	struct weft_plan *plan = NULL;
	int result = weft_planner_greedy.plan(&request, &plan, &refusal);

	if (result) {
		request.budget.bytes[WEFT_TIER_DEVICE] = refusal.least_device_bytes;
		result = weft_planner_greedy.plan(&request, &plan, &refusal);
	}
	if (result)
		fail_msg("%s", weft_error());
	return plan;
}

static void what_was_touched_is_counted(void **state)
{
	uint32_t seen = 0, never = 0;

	(void)state;
	for (uint64_t seed = 0; seed < 5; seed++) {
		struct weft_graph *graph = random_graph(seed, 16);
		struct weft_costs costs = random_costs(graph);
		struct weft_plan *plan = tight_plan(graph, &costs);
		struct weft_recency *recency = weft_recency_new(plan, graph);

		assert_non_null(recency);
		for (uint32_t a = 0; a < plan->actions; a++) {
			const struct weft_action *action = &plan->action[a];

			for (unsigned int t = WEFT_TIER_DEVICE;
			     action->kind == WEFT_ACTION_PAGE_IN && t <= WEFT_TIER_HOST; t++) {
				uint64_t bytes = weft_recency_bytes(recency, t, action->value);

				assert_true(bytes == counted(graph, plan, a, t, action->value));
				seen += bytes != UINT64_MAX;
				never += bytes == UINT64_MAX;
			}
			weft_recency_touch(recency, action, a);
		}
		weft_recency_free(recency);
		weft_plan_free(plan);
		random_costs_free(&costs);
		weft_graph_free(graph);
	}
	assert_true(seen && never);
}

/* Paging of what was touched lately takes less time, and the same energy. */
static void plans_know_what_caches_hold(void **state)
{
	struct weft_graph *graph = random_graph(1, 16);
	struct weft_costs costs = random_costs(graph);
	struct weft_plan *plan = tight_plan(graph, &costs);
	double cold, joules = plan->joules;

	(void)state;
	assert_int_equal(weft_plan_predict(plan, graph, &costs), 0);
	cold = plan->lane_seconds[WEFT_LANE_PAGE_IN];
	assert_true(cold > 0);
	/* As fast as memory: the same again. */
	for (unsigned int i = 0; i < WEFT_RECENT_COSTS; i++)
		costs.recent[i] = (struct weft_recent_cost){64 << i, 8e9, 8e9};
	assert_int_equal(weft_plan_predict(plan, graph, &costs), 0);
	assert_true(plan->lane_seconds[WEFT_LANE_PAGE_IN] > 0.999999 * cold &&
		    plan->lane_seconds[WEFT_LANE_PAGE_IN] < 1.000001 * cold);
	for (unsigned int i = 0; i < WEFT_RECENT_COSTS; i++)
		costs.recent[i] = (struct weft_recent_cost){(double)(1u << 20) * (i + 1), 80e9, 80e9};
	assert_int_equal(weft_plan_predict(plan, graph, &costs), 0);
	assert_true(plan->lane_seconds[WEFT_LANE_PAGE_IN] < cold);
	assert_true(plan->joules > 0.999999 * joules && plan->joules < 1.000001 * joules);
	weft_plan_free(plan);
	random_costs_free(&costs);
	weft_graph_free(graph);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_touched_is_counted),
		cmocka_unit_test(plans_know_what_caches_hold),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
