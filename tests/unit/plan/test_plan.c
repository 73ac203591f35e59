// SPDX-License-Identifier: MIT
/* Properties of every planner: plans pass the checker, budgets hold, the edge is where the refusal says. */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "plan/bound.h"
#include "plan/draft.h"
#include "plan/split.h"
#include "plan/plan.h"
#include "random_graph.h"
#include "weft/error.h"

#define GRAPHS 40
/* How much worse a heuristic's plan may be for more memory. */
#define TOLERANCE 1.03

static const struct {
	const char *name;
	enum weft_policy policy;
	uint64_t storage;
} policies[] = {
	{"auto", WEFT_POLICY_AUTO, UINT64_MAX}, {"auto without storage", WEFT_POLICY_AUTO, 0},
	{"keep", WEFT_POLICY_KEEP, 0},		{"recompute", WEFT_POLICY_RECOMPUTE, 0},
	{"host", WEFT_POLICY_HOST, 0},		{"storage", WEFT_POLICY_STORAGE, UINT64_MAX},
};
#define POLICIES (sizeof(policies) / sizeof(policies[0]))

struct setting {
	struct weft_graph *graph;
	struct weft_costs costs;
	struct weft_plan_request request;
};

static void set_up(struct setting *s, uint64_t seed, unsigned int layers)
{
	s->graph = random_graph(seed, layers);
	s->costs = random_costs(s->graph);
	s->request = (struct weft_plan_request){
		.graph = s->graph,
		.costs = &s->costs,
		.budget = {.bytes = {UINT64_MAX, UINT64_MAX, 0}},
	};
}

static void tear_down(struct setting *s)
{
	random_costs_free(&s->costs);
	weft_graph_free(s->graph);
}

/* Plan, and check what comes out.  0 or -ENOSPC. */
static int plan(struct setting *s, uint64_t device, struct weft_plan **out, struct weft_plan_refusal *refusal)
{
	int result;

	s->request.budget.bytes[WEFT_TIER_DEVICE] = device;
	result = weft_planner_greedy.plan(&s->request, out, refusal);
	if (result == -ENOSPC)
		return result;
	if (result)
		fail_msg("planning failed: %s", weft_error());
	if (weft_plan_check(*out, s->graph, &s->request.budget))
		fail_msg("%s", weft_error());
	return 0;
}

static uint64_t unconstrained_peak(struct setting *s)
{
	struct weft_plan_refusal refusal;
	struct weft_plan *p;
	uint64_t peak;

	assert_int_equal(plan(s, UINT64_MAX, &p, &refusal), 0);
	peak = p->peak[WEFT_TIER_DEVICE];
	assert_int_equal(p->recomputed, 0);
	assert_int_equal(p->paged_bytes[WEFT_TIER_STORAGE], 0);
	weft_plan_free(p);
	return peak;
}

static void plans_hold_at_every_budget(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < GRAPHS; seed++) {
		for (unsigned int i = 0; i < POLICIES; i++) {
			struct setting s;
			uint64_t peak, least = 0;

			set_up(&s, seed, 4 + (unsigned int)seed);
			s.request.policy = policies[i].policy;
			s.request.budget.bytes[WEFT_TIER_STORAGE] = policies[i].storage;
			peak = unconstrained_peak(&s);
			for (unsigned int percent = 100; percent; percent -= 10) {
				struct weft_plan_refusal refusal;
				struct weft_plan *p;
				int result = plan(&s, peak * percent / 100, &p, &refusal);

				if (!result) {
					/* Every budget from the least one up works. */
					assert_true(!least);
					weft_plan_free(p);
					continue;
				}
				assert_true(refusal.least_device_bytes > peak * percent / 100);
				if (!least)
					least = refusal.least_device_bytes;
				assert_int_equal(refusal.least_device_bytes, least);
			}
			tear_down(&s);
		}
	}
}

/* No plan is below the bound; with memory to spare, everything once is what a plan costs. */
static void plans_are_above_the_bound(void **state)
{
	double closest = 1;

	(void)state;
	for (uint64_t seed = 300; seed < 300 + 2 * GRAPHS; seed++) {
		struct weft_plan_refusal refusal;
		struct weft_plan *p;
		struct setting s;
		double bound, before = 0;
		uint64_t peak;

		set_up(&s, seed, 6 + (unsigned int)seed % 30);
		assert_int_equal(plan(&s, UINT64_MAX, &p, &refusal), 0);
		peak = p->peak[WEFT_TIER_DEVICE];
		assert_int_equal(weft_plan_bound(s.graph, s.request.costs, &s.request.budget, &bound), 0);
		assert_true(fabs(bound / p->joules - 1) < 1e-9);
		weft_plan_free(p);
		for (unsigned int percent = 90; percent; percent -= 10) {
			if (plan(&s, peak * percent / 100, &p, &refusal))
				break;
			assert_int_equal(weft_plan_bound(s.graph, s.request.costs, &s.request.budget, &bound), 0);
			assert_true(bound <= p->joules * (1 + 1e-9));
			/* Less memory never lowers it. */
			assert_true(bound >= before * (1 - 1e-9));
			before = bound;
			if (p->joules > bound && (p->joules - bound) / p->joules < closest)
				closest = (p->joules - bound) / p->joules;
			weft_plan_free(p);
		}
		tear_down(&s);
	}
	/* Somewhere it is close. */
	assert_true(closest < 0.02);
}

/*
 * A value that is dropped for recomputation keeps what it will be made of, and what was
 * made again is let go like anything else: no activation stays to the end, and none is
 * gone when it is needed (-ENODATA).
 */
static void recomputation_leaves_nothing_behind(void **state)
{
	unsigned int worked = 0, recomputed = 0;

	(void)state;
	for (uint64_t seed = 40; seed < 80; seed++) {
		struct weft_plan_refusal refusal;
		struct weft_problem *problem;
		struct weft_graph *split;
		struct weft_plan *p;
		struct setting s;
		uint8_t *home;
		uint64_t peak;

		set_up(&s, seed, 6 + (unsigned int)seed % 60);
		assert_int_equal(plan(&s, UINT64_MAX, &p, &refusal), 0);
		peak = p->peak[WEFT_TIER_DEVICE];
		weft_plan_free(p);
		/* Values in parts are made together, and needed one by one. */
		if (seed % 4 && !weft_graph_split(s.graph, 2 * (uint32_t)(seed % 4), 1024, &split)) {
			weft_graph_free(s.graph);
			s.graph = split;
			random_costs_free(&s.costs);
			s.costs = random_costs(split);
		}
		assert_int_equal(weft_problem_new(s.graph, s.request.costs, WEFT_ORDER_EAGER, &problem), 0);
		home = calloc(problem->bases, 1);
		for (unsigned int i = 0; i < 8 * 24; i++) {
			struct weft_tactics tactics = {
				.room = {peak * (2 + i / 8) / 32, i % 3 ? peak / 4 : UINT64_MAX, 0},
				.in_place = true,
				.recompute = true,
				.page_host = i & 1,
				.by_bytes = i & 2,
				.home = home,
			};
			struct weft_draft *draft = NULL;
			int result;

			memset(home, i & 4 ? WEFT_TIER_HOST : WEFT_TIER_DEVICE, problem->bases);
			result = weft_simulate(problem, &tactics, &draft);
			if (result && result != -ENOSPC)
				fail_msg("seed %d, tactics %u: %d", (int)seed, i, result);
			if (result)
				continue;
			for (uint32_t b = 0; b < draft->blocks; b++)
				if (draft->block[b].tier == WEFT_TIER_DEVICE && draft->block[b].end == WEFT_NONE &&
				    !problem->base[draft->block[b].base].persistent)
					fail_msg("seed %d, tactics %u: '%s' stays in device memory", (int)seed, i,
						 s.graph->value[problem->base[draft->block[b].base].value].name);
			worked++;
			recomputed += draft->recomputed;
			weft_draft_free(draft);
		}
		free(home);
		weft_problem_free(problem);
		tear_down(&s);
	}
	assert_true(worked > 100 && recomputed > 100);
}

static void least_budget_is_an_edge(void **state)
{
	(void)state;
	for (uint64_t seed = 100; seed < 100 + GRAPHS; seed++) {
		for (unsigned int i = 0; i < POLICIES; i++) {
			struct weft_plan_refusal refusal, again;
			struct weft_plan *p;
			struct setting s;

			set_up(&s, seed, 6 + (unsigned int)seed % 30);
			s.request.policy = policies[i].policy;
			s.request.budget.bytes[WEFT_TIER_STORAGE] = policies[i].storage;
			assert_int_equal(plan(&s, 1, &p, &refusal), -ENOSPC);
			assert_true(refusal.least_device_bytes > 0);
			assert_int_equal(plan(&s, refusal.least_device_bytes, &p, &again), 0);
			assert_true(p->peak[WEFT_TIER_DEVICE] <= refusal.least_device_bytes);
			weft_plan_free(p);
			assert_int_equal(plan(&s, refusal.least_device_bytes - 1, &p, &again), -ENOSPC);
			assert_int_equal(again.least_device_bytes, refusal.least_device_bytes);
			tear_down(&s);
		}
	}
}

static void host_budget_spills_to_storage(void **state)
{
	unsigned int spilled = 0;

	(void)state;
	for (uint64_t seed = 200; seed < 200 + GRAPHS; seed++) {
		struct weft_plan_refusal refusal;
		struct weft_plan *p;
		struct setting s;
		uint64_t peak, host;

		set_up(&s, seed, 20);
		peak = unconstrained_peak(&s);
		s.request.budget.bytes[WEFT_TIER_STORAGE] = UINT64_MAX;
		s.request.budget.bytes[WEFT_TIER_HOST] = 4096;
		s.request.budget.time_ratio = seed % 3 ? 0 : 1.3;
		if (plan(&s, peak / 2, &p, &refusal)) {
			host = refusal.least_host_bytes;
			if (!host) {
				tear_down(&s);
				continue;
			}
			s.request.budget.bytes[WEFT_TIER_HOST] = host;
			assert_int_equal(plan(&s, peak / 2, &p, &refusal), 0);
			assert_true(p->peak[WEFT_TIER_HOST] <= host);
		}
		spilled += p->paged_bytes[WEFT_TIER_STORAGE] > 0;
		weft_plan_free(p);
		tear_down(&s);
	}
	assert_true(spilled > GRAPHS / 4);
}

/* Where the host tier cannot hold weights, they stay, and activations are recomputed or paged all the same. */
static void little_host_memory(void **state)
{
	unsigned int less = 0;

	(void)state;
	for (uint64_t seed = 240; seed < 240 + GRAPHS; seed++) {
		struct weft_plan_refusal refusal = {0, 0};
		struct weft_plan *p;
		struct setting s;
		uint64_t peak;

		set_up(&s, seed, 24);
		assert_int_equal(plan(&s, UINT64_MAX, &p, &refusal), 0);
		peak = p->peak[WEFT_TIER_DEVICE];
		s.request.budget.bytes[WEFT_TIER_HOST] = p->peak[WEFT_TIER_HOST];
		weft_plan_free(p);
		if (plan(&s, peak - 4096, &p, &refusal)) {
			assert_true(refusal.least_device_bytes && refusal.least_device_bytes <= (peak | 4095) + 1);
			assert_int_equal(plan(&s, refusal.least_device_bytes, &p, &refusal), 0);
		} else {
			less++;
		}
		weft_plan_free(p);
		tear_down(&s);
	}
	assert_true(less > GRAPHS / 2);
}

/* Seconds and joules together, each as a share of the unconstrained step's: what the planner minimizes. */
static double objective(const struct weft_plan *p, const struct weft_plan *unconstrained)
{
	return p->seconds / unconstrained->seconds + p->joules / unconstrained->joules;
}

static void more_host_memory_is_no_loss(void **state)
{
	unsigned int compared = 0;

	(void)state;
	for (uint64_t seed = 0; seed < GRAPHS / 4; seed++) {
		struct weft_plan *unconstrained, *p;
		struct weft_plan_refusal refusal;
		double before = 0;
		struct setting s;

		set_up(&s, seed, 12 + (unsigned int)seed % 20);
		assert_int_equal(plan(&s, UINT64_MAX, &unconstrained, &refusal), 0);
		s.request.budget.bytes[WEFT_TIER_STORAGE] = UINT64_MAX;
		for (uint64_t host = 4096; host <= 4 * unconstrained->peak[WEFT_TIER_DEVICE];
		     host = (host + host / 4 + 4095) / 4096 * 4096) {
			s.request.budget.bytes[WEFT_TIER_HOST] = host;
			if (plan(&s, unconstrained->peak[WEFT_TIER_DEVICE] * 6 / 10, &p, &refusal))
				continue;
			if (before > 0 && objective(p, unconstrained) > before * TOLERANCE)
				fail_msg("graph %llu: with %llu bytes of host memory the plan costs %g, with less %g",
					 (unsigned long long)seed, (unsigned long long)host,
					 objective(p, unconstrained), before);
			compared += before > 0;
			before = objective(p, unconstrained);
			weft_plan_free(p);
		}
		weft_plan_free(unconstrained);
		tear_down(&s);
	}
	assert_true(compared > GRAPHS / 4);
}

static void planning_is_deterministic(void **state)
{
	(void)state;
	for (uint64_t seed = 300; seed < 310; seed++) {
		struct weft_plan_refusal refusal;
		struct weft_plan *a, *b;
		struct setting s;
		uint64_t peak;

		set_up(&s, seed, 30);
		peak = unconstrained_peak(&s);
		if (!plan(&s, peak / 2, &a, &refusal)) {
			assert_int_equal(plan(&s, peak / 2, &b, &refusal), 0);
			assert_int_equal(a->actions, b->actions);
			assert_memory_equal(a->action, b->action, a->actions * sizeof(*a->action));
			assert_memory_equal(a->home, b->home, a->homes * sizeof(*a->home));
			weft_plan_free(a);
			weft_plan_free(b);
		}
		tear_down(&s);
	}
}

static void policies_keep_to_their_means(void **state)
{
	(void)state;
	for (uint64_t seed = 400; seed < 400 + GRAPHS; seed++) {
		for (unsigned int i = 0; i < POLICIES; i++) {
			struct weft_plan_refusal refusal;
			struct weft_plan *p;
			struct setting s;

			set_up(&s, seed, 24);
			s.request.policy = policies[i].policy;
			s.request.budget.bytes[WEFT_TIER_STORAGE] = policies[i].storage;
			plan(&s, 1, &p, &refusal);
			assert_int_equal(plan(&s, refusal.least_device_bytes, &p, &refusal), 0);
			for (uint32_t a = 0; a < p->actions; a++) {
				const struct weft_action *action = &p->action[a];
				bool activation = action->kind != WEFT_ACTION_COMPUTE &&
						  s.graph->value[action->value].kind == WEFT_VALUE_ACTIVATION &&
						  !s.graph->value[action->value].output;

				if (policies[i].policy == WEFT_POLICY_KEEP ||
				    policies[i].policy == WEFT_POLICY_RECOMPUTE)
					assert_false(activation && action->kind == WEFT_ACTION_PAGE_OUT);
				if (policies[i].policy == WEFT_POLICY_KEEP || policies[i].policy == WEFT_POLICY_HOST ||
				    policies[i].policy == WEFT_POLICY_STORAGE)
					assert_false(action->recompute);
				if (!policies[i].storage)
					assert_false(action->kind == WEFT_ACTION_STORE);
			}
			weft_plan_free(p);
			tear_down(&s);
		}
	}
}

/* A time limit is kept or refused with a budget that works. */
static void time_budget(void **state)
{
	(void)state;
	for (uint64_t seed = 500; seed < 510; seed++) {
		struct weft_plan_refusal refusal;
		struct weft_plan *p, *fast;
		struct setting s;
		uint64_t peak;

		set_up(&s, seed, 24);
		peak = unconstrained_peak(&s);
		plan(&s, UINT64_MAX, &p, &refusal);
		s.request.budget.time_ratio = 1.02;
		if (plan(&s, peak / 3, &fast, &refusal)) {
			assert_true(refusal.least_device_bytes > peak / 3);
			assert_int_equal(plan(&s, refusal.least_device_bytes, &fast, &refusal), 0);
		}
		assert_true(fast->seconds <= 1.02 * p->seconds);
		weft_plan_free(fast);
		weft_plan_free(p);
		tear_down(&s);
	}
}

/* The checker itself: what it must refuse. */

static int break_nothing(struct weft_plan *p)
{
	(void)p;
	return 0;
}

static uint32_t first_of(const struct weft_plan *p, enum weft_action_kind kind)
{
	for (uint32_t i = 0; i < p->actions; i++)
		if (p->action[i].kind == kind)
			return i;
	fail_msg("the plan has no action of kind %d", kind);
	return 0;
}

static void remove_action(struct weft_plan *p, uint32_t at)
{
	memmove(&p->action[at], &p->action[at + 1], (p->actions - at - 1) * sizeof(*p->action));
	p->actions--;
}

static int skip_operation(struct weft_plan *p)
{
	remove_action(p, first_of(p, WEFT_ACTION_COMPUTE));
	return -EINVAL;
}

static int skip_page_in(struct weft_plan *p)
{
	remove_action(p, first_of(p, WEFT_ACTION_PAGE_IN));
	return -EINVAL;
}

static int skip_drop(struct weft_plan *p)
{
	uint32_t removed = 0;

	for (uint32_t i = 0; i < p->actions; i++) {
		if (p->action[i].kind == WEFT_ACTION_DROP && p->action[i].tier == WEFT_TIER_DEVICE) {
			remove_action(p, i--);
			removed++;
		}
	}
	return removed ? -EINVAL : 0;
}

static int page_out_nothing(struct weft_plan *p)
{
	for (uint32_t i = 0; i < p->actions; i++)
		if (p->action[i].kind == WEFT_ACTION_PAGE_OUT)
			remove_action(p, i--);
	return -EINVAL;
}

static int read_elsewhere(struct weft_plan *p)
{
	p->action[first_of(p, WEFT_ACTION_COMPUTE)].place[0] += WEFT_PLAN_ALIGN;
	return -EINVAL;
}

static int misalign(struct weft_plan *p)
{
	p->action[first_of(p, WEFT_ACTION_PAGE_IN)].offset += 4;
	return -EINVAL;
}

static int overflow_offset(struct weft_plan *p)
{
	p->action[first_of(p, WEFT_ACTION_PAGE_IN)].offset = UINT64_MAX - WEFT_PLAN_ALIGN + 1;
	return -EINVAL;
}

static int understate_peak(struct weft_plan *p)
{
	p->peak[WEFT_TIER_DEVICE] /= 2;
	return -EINVAL;
}

static int mark_recompute(struct weft_plan *p)
{
	p->action[first_of(p, WEFT_ACTION_COMPUTE)].recompute = true;
	return -EINVAL;
}

static int unknown_operation(struct weft_plan *p)
{
	p->action[first_of(p, WEFT_ACTION_COMPUTE)].operation = 1u << 30;
	return -EINVAL;
}

static int unknown_value(struct weft_plan *p)
{
	p->action[first_of(p, WEFT_ACTION_PAGE_IN)].value = 1u << 30;
	return -EINVAL;
}

static int unknown_kind(struct weft_plan *p)
{
	p->action[first_of(p, WEFT_ACTION_PAGE_IN)].kind = 77;
	return -EINVAL;
}

static int too_few_homes(struct weft_plan *p)
{
	p->homes--;
	return -EINVAL;
}

/* The last update comes first: it then reads what is not there. */
static int reverse(struct weft_plan *p)
{
	struct weft_action last;

	for (uint32_t i = p->actions; i-- > 0;) {
		if (p->action[i].kind == WEFT_ACTION_COMPUTE) {
			last = p->action[i];
			memmove(&p->action[1], &p->action[0], i * sizeof(*p->action));
			p->action[0] = last;
			break;
		}
	}
	return -EINVAL;
}

static void checker_refuses_broken_plans(void **state)
{
	int (*const breakage[])(struct weft_plan *) = {
		break_nothing,	   skip_operation, skip_page_in,    skip_drop,	     page_out_nothing,
		read_elsewhere,	   misalign,	   overflow_offset, understate_peak, mark_recompute,
		unknown_operation, unknown_value,  unknown_kind,    too_few_homes,   reverse,
	};

	(void)state;
	for (uint64_t seed = 600; seed < 606; seed++) {
		for (unsigned int i = 0; i < sizeof(breakage) / sizeof(breakage[0]); i++) {
			struct weft_plan_refusal refusal;
			struct weft_plan *p;
			struct setting s;
			int expected;

			set_up(&s, seed, 20);
			s.request.policy = WEFT_POLICY_HOST;
			plan(&s, 1, &p, &refusal);
			assert_int_equal(plan(&s, refusal.least_device_bytes, &p, &refusal), 0);
			expected = breakage[i](p);
			if (weft_plan_check(p, s.graph, &s.request.budget) != expected)
				fail_msg("seed %u, breakage %u: not as expected", (unsigned int)seed, i);
			weft_plan_free(p);
			tear_down(&s);
		}
	}
}

/* The plan that pages activations to the host in so much device memory, with transfers moved @ahead. */
static struct weft_plan *paging_plan(const struct setting *s, uint64_t device, double ahead)
{
	const uint64_t room[WEFT_TIERS] = {device, UINT64_MAX, 0}, unlimited[] = {UINT64_MAX, UINT64_MAX, 0};
	struct weft_tactics tactics = {.room = {device, UINT64_MAX, 0}, .in_place = true, .page_host = true};
	const struct weft_budget budget = {.bytes = {UINT64_MAX, UINT64_MAX, 0}};
	struct weft_problem *problem;
	struct weft_draft *draft;
	struct weft_plan *p = NULL;

	assert_int_equal(weft_problem_new(s->graph, &s->costs, WEFT_ORDER_GRAPH, &problem), 0);
	tactics.home = calloc(problem->bases, 1);
	assert_non_null(tactics.home);
	if (!weft_simulate(problem, &tactics, &draft)) {
		if (ahead > 0)
			assert_int_equal(weft_draft_prefetch(draft, room, ahead), 0);
		assert_int_equal(weft_draft_pack(draft, unlimited), 0);
		assert_int_equal(weft_draft_finish(draft, &p), 0);
		if (weft_plan_check(p, s->graph, &budget))
			fail_msg("%s", weft_error());
		weft_draft_free(draft);
	}
	free((void *)tactics.home);
	weft_problem_free(problem);
	return p;
}

/* Operations that run before values are paged out, over all of these. */
static unsigned int page_outs_after(const struct weft_plan *p)
{
	unsigned int operations = 0, sum = 0;

	for (uint32_t i = 0; i < p->actions; i++) {
		operations += p->action[i].kind == WEFT_ACTION_COMPUTE;
		sum += p->action[i].kind == WEFT_ACTION_PAGE_OUT ? operations : 0;
	}
	return sum;
}

/* Moved ahead, values leave when they have been made, and not only when their memory is wanted. */
static void page_outs_go_early(void **state)
{
	unsigned int earlier = 0, compared = 0;
	double late = 0, early = 0;

	(void)state;
	for (uint64_t seed = 400; seed < 400 + GRAPHS; seed++) {
		struct weft_plan *before, *after;
		struct setting s;

		set_up(&s, seed, 24);
		before = paging_plan(&s, unconstrained_peak(&s) * 7 / 10, 0);
		after = before ? paging_plan(&s, unconstrained_peak(&s) * 7 / 10, 4) : NULL;
		if (before) {
			assert_true(page_outs_after(after) <= page_outs_after(before));
			earlier += page_outs_after(after) < page_outs_after(before);
			late += before->seconds;
			early += after->seconds;
			compared++;
		}
		weft_plan_free(before);
		weft_plan_free(after);
		tear_down(&s);
	}
	assert_true(compared > 0 && earlier > compared / 2);
	assert_true(early < late);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plans_hold_at_every_budget),
		cmocka_unit_test(plans_are_above_the_bound),
		cmocka_unit_test(recomputation_leaves_nothing_behind),
		cmocka_unit_test(least_budget_is_an_edge),
		cmocka_unit_test(host_budget_spills_to_storage),
		cmocka_unit_test(little_host_memory),
		cmocka_unit_test(more_host_memory_is_no_loss),
		cmocka_unit_test(planning_is_deterministic),
		cmocka_unit_test(policies_keep_to_their_means),
		cmocka_unit_test(time_budget),
		cmocka_unit_test(page_outs_go_early),
		cmocka_unit_test(checker_refuses_broken_plans),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
