// SPDX-License-Identifier: MIT
/*
 * The greedy planner: simulate the step under several tactics, pack, and take
 * the plan that is predicted to be best.  A tactic says which persistent values
 * leave device memory between uses, in which tier they are at home, and whether
 * activations are paged, recomputed or both.  Judging by bytes instead of the
 * device's costs often fits in less, and its least does not depend on the device.
 *
 * The least budget comes from the most aggressive tactics alone, and is computed
 * before anything else: a budget below it is refused, and one that no other
 * tactic meets gets its plan.  So every budget from the least one up works.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "plan/greedy.h"
#include "weft/error.h"

#define MOST_CANDIDATES 96
/* Operations of graphs for which fewer tactics are tried. */
#define LARGE 1500
#define LARGE_TILED 0
#define MOST_REALIZED 3 /* candidates that are worked out in full */

/* A smaller share of persistent values than the best tactic's is looked for down to so much less. */
#define FEWER_LEAVE 0.5

static double now_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static void round_peaks(struct weft_plan *plan)
{
	for (unsigned int t = 0; t < WEFT_TIERS; t++)
		plan->peak[t] = whole(plan->peak[t]);
}

/* Seconds of transfer per byte if @b leaves the device between its uses. */
static double away_cost(const struct weft_problem *problem, uint32_t b)
{
	const struct weft_base *base = &problem->base[b];
	const struct weft_costs *costs = problem->costs;
	double transfers = (double)base->uses + (base->updates ? 1 : 0);

	return transfers * weft_transfer_seconds(&costs->page_in, (double)base->bytes) / (double)base->bytes;
}

static int by_away_cost(const void *x, const void *y, void *user)
{
	const struct weft_problem *problem = user;
	uint32_t a = *(const uint32_t *)x, b = *(const uint32_t *)y;
	double s = away_cost(problem, a), t = away_cost(problem, b);

	return s < t ? -1 : s > t ? 1 : a < b ? -1 : a > b;
}

/* Which persistent values are at home where. */
static void choose_homes(struct planning *p, const struct tactic *tactic)
{
	const struct weft_problem *problem = p->problem[0];
	bool storage = p->budget[WEFT_TIER_STORAGE] > 0;
	uint64_t away = 0, host = p->fed_bytes, host_room = p->budget[WEFT_TIER_HOST], largest = 0;
	uint32_t leaving;

	memset(p->home, WEFT_TIER_DEVICE, problem->bases);
	for (leaving = 0; leaving < p->ranked; leaving++) {
		uint64_t bytes = problem->base[p->ranking[leaving]].bytes;

		if (tactic->away <= 0 || (double)away >= tactic->away * (double)p->persistent_bytes)
			break;
		away += bytes;
		if (bytes > largest)
			largest = bytes;
	}
	if (host_room != UINT64_MAX)
		host_room = (uint64_t)(tactic->hosted * (double)host_room);
	/* Without storage, those that the host tier cannot hold stay. */
	for (uint32_t i = 0; !storage && i < leaving; i++) {
		uint32_t b = p->ranking[i];
		uint64_t bytes = weft_round_up(problem->base[b].bytes, WEFT_PLAN_ALIGN);

		if (host > host_room || bytes > host_room - host)
			continue;
		p->home[b] = WEFT_TIER_HOST;
		host += bytes;
	}
	/* Those that move most often get the host tier, the others storage; storage needs room to pass through. */
	for (uint32_t i = leaving; storage && i-- > 0;) {
		uint32_t b = p->ranking[i];
		uint64_t bytes = weft_round_up(problem->base[b].bytes, WEFT_PLAN_ALIGN);
		bool through = p->request->policy == WEFT_POLICY_STORAGE;

		if (!through && tactic->hosted > 0 && host <= host_room && bytes <= host_room - host) {
			p->home[b] = WEFT_TIER_HOST;
			host += bytes;
		} else {
			p->home[b] = WEFT_TIER_STORAGE;
		}
	}
}

static struct weft_tactics tactics_of(struct planning *p, const struct tactic *tactic, const uint64_t room[WEFT_TIERS])
{
	struct weft_tactics tactics = {.home = p->home};
	bool storage = p->budget[WEFT_TIER_STORAGE] > 0;

	memcpy(tactics.room, room, sizeof(tactics.room));
	tactics.in_place = true;
	tactics.by_bytes = tactic->by_bytes;
	switch (p->request->policy) {
	case WEFT_POLICY_KEEP:
		break;
	case WEFT_POLICY_RECOMPUTE:
		tactics.recompute = true;
		break;
	case WEFT_POLICY_HOST:
		tactics.page_host = true;
		break;
	case WEFT_POLICY_STORAGE:
		tactics.page_storage = tactics.through = storage;
		break;
	default:
		tactics.recompute = tactic->paging != PAGING_PAGE;
		tactics.page_host = tactic->paging != PAGING_RECOMPUTE;
		tactics.page_storage = tactics.page_host && storage;
		break;
	}
	return tactics;
}

/*
 * Simulate and pack.  Fragmentation can exceed what was simulated with, so the
 * room is narrowed a few times by the excess.  @room: in and out.
 */
static int attempt(struct planning *p, const struct tactic *tactic, uint64_t room[WEFT_TIERS], double ahead,
		   struct weft_draft **out)
{
	choose_homes(p, tactic);
	for (unsigned int tries = 0; tries < 6; tries++) {
		struct weft_tactics tactics = tactics_of(p, tactic, room);
		struct weft_draft *draft = NULL;
		bool fits = true;
		int result;

		result = weft_simulate(p->problem[tactic->order], &tactics, &draft);
		if (result)
			return result == -ENODATA ? -ENOSPC : result;
		if (ahead > 0)
			result = weft_draft_prefetch(draft, room, ahead);
		if (!result)
			result = weft_draft_pack(draft, p->budget);
		if (result) {
			weft_draft_free(draft);
			return result;
		}
		for (unsigned int t = 0; t < WEFT_TIERS; t++) {
			uint64_t over = draft->peak[t] > p->budget[t] ? draft->peak[t] - p->budget[t] : 0;

			if (!over)
				continue;
			fits = false;
			room[t] = room[t] > over ? room[t] - over : 0;
		}
		if (fits) {
			*out = draft;
			return 0;
		}
		weft_draft_free(draft);
	}
	return -ENOSPC;
}

static int finish(struct weft_draft *draft, struct weft_plan **plan)
{
	int result = weft_draft_finish(draft, plan);

	weft_draft_free(draft);
	if (!result)
		round_peaks(*plan);
	return result;
}

/* Everything stays, in the graph's order, nothing shares a place: how one would run it with memory to spare. */
static int plan_unconstrained(struct planning *p, struct weft_plan **plan)
{
	struct weft_tactics tactics = {.room = {UINT64_MAX, UINT64_MAX, UINT64_MAX}, .home = p->home};
	const uint64_t unlimited[WEFT_TIERS] = {UINT64_MAX, UINT64_MAX, UINT64_MAX};
	struct weft_draft *draft = NULL;
	int result;

	memset(p->home, WEFT_TIER_DEVICE, p->problem[0]->bases);
	result = weft_simulate(p->problem[WEFT_ORDER_GRAPH], &tactics, &draft);
	if (result)
		return result;
	result = weft_draft_pack(draft, unlimited);
	if (result) {
		weft_draft_free(draft);
		return result;
	}
	return finish(draft, plan);
}

static double objective(const struct planning *p, const struct weft_plan *plan)
{
	return plan->seconds / (p->seconds + 1e-12) + plan->joules / (p->joules + 1e-12);
}

static bool within(const struct planning *p, const struct weft_plan *plan)
{
	for (unsigned int t = 0; t < WEFT_TIERS; t++)
		if (plan->peak[t] > p->budget[t])
			return false;
	return !p->request->budget.time_ratio || plan->seconds <= p->request->budget.time_ratio * p->seconds;
}

/* Graphs for which fewer tactics are tried. */
static bool is_large(const struct planning *p)
{
	return p->request->graph->operations > (p->request->tiled ? LARGE_TILED : LARGE);
}

/* The tactics worth trying, most aggressive last; @extreme: only those. */
static unsigned int list_tactics(const struct planning *p, bool extreme, struct tactic *list)
{
	static const double aways[] = {0, 0.25, 0.5, 0.75, 1};
	static const double with_storage[] = {0.9, 0.5, 0}, without[] = {1, 0.5};
	enum weft_policy policy = p->request->policy;
	bool bounded = p->budget[WEFT_TIER_HOST] != UINT64_MAX;
	bool storage = p->budget[WEFT_TIER_STORAGE] > 0 && bounded;
	/* Where the host tier cannot hold all, what stays on the device leaves it to activations. */
	bool scarce = bounded && !storage && p->persistent_bytes > p->budget[WEFT_TIER_HOST] / 4;
	unsigned int shares = storage ? 3 : scarce ? 2 : 1;
	bool large = is_large(p);
	unsigned int count = 0;

	/* Where operations are tiles, little can stay. */
	if (large && p->request->tiled && policy == WEFT_POLICY_AUTO) {
		for (unsigned int away = extreme ? 2 : 1; away <= 2; away++) {
			list[count++] = (struct tactic){away / 2.0, 0.9, PAGING_PAGE, WEFT_ORDER_EAGER, true};
			if (storage)
				list[count++] = (struct tactic){away / 2.0, 0, PAGING_PAGE, WEFT_ORDER_EAGER, true};
		}
		return count;
	}

	for (unsigned int a = 0; a < 5; a++) {
		if (policy == WEFT_POLICY_KEEP ? a != 0 : extreme ? a != 4 && (a || !scarce) : large && a % 2)
			continue;
		for (unsigned int h = 0; h < shares; h++) {
			if (h && (aways[a] <= 0 || policy == WEFT_POLICY_STORAGE))
				break;
			for (unsigned int g = 0; g < PAGINGS; g++) {
				if (policy != WEFT_POLICY_AUTO && g)
					break;
				for (unsigned int by = 0; by < 2; by++)
					list[count++] =
						(struct tactic){aways[a], storage ? with_storage[h] : without[h], g,
								WEFT_ORDER_EAGER, by};
			}
		}
	}
	return count;
}

/* Least budgets. */

/* Peak of the packed draft that @tactic gives with @device bytes of room, 0 if none. */
static int probe(struct planning *p, const struct tactic *tactic, uint64_t device, uint64_t *peak)
{
	uint64_t room[WEFT_TIERS] = {device, p->budget[WEFT_TIER_HOST], p->budget[WEFT_TIER_STORAGE]};
	uint64_t budget = p->budget[WEFT_TIER_DEVICE];
	struct weft_draft *draft = NULL;
	int result;

	p->budget[WEFT_TIER_DEVICE] = UINT64_MAX;
	result = attempt(p, tactic, room, 0, &draft);
	p->budget[WEFT_TIER_DEVICE] = budget;
	*peak = 0;
	if (result)
		return result == -ENOSPC ? 0 : result;
	*peak = whole(draft->peak[WEFT_TIER_DEVICE]);
	weft_draft_free(draft);
	return 0;
}

/* The smallest room in which the simulation of @tactic succeeds, by bisection, and the best peak seen. */
static int squeeze(struct planning *p, const struct tactic *tactic, uint64_t most, struct candidate *best,
		   uint64_t *least)
{
	const bool large = is_large(p);
	const uint64_t tolerance = GRANULE / 4;
	uint64_t low = 0, high = most, peak;
	int result;

	result = probe(p, tactic, high, &peak);
	while (!result && peak) {
		if (peak < *least) {
			*least = peak;
			best->tactic = *tactic;
			best->room[WEFT_TIER_DEVICE] = high;
		}
		/* Below the smallest room that works there may be smaller ones that work by luck; they do not matter.
		 */
		for (peak = 0; !result && !peak && high - low > tolerance + (large ? high / 64 : 0);) {
			uint64_t middle = low + (high - low) / 2;

			result = probe(p, tactic, middle, &peak);
			if (peak)
				high = middle;
			else
				low = middle;
		}
	}
	/* A little more room than the least can pack better. */
	for (unsigned int i = 1; !result && i <= (large ? 2 : 8) && *least != UINT64_MAX; i++) {
		uint64_t room = high + high / 64 * i;

		if (room >= *least)
			break;
		result = probe(p, tactic, room, &peak);
		if (peak && peak < *least) {
			*least = peak;
			best->tactic = *tactic;
			best->room[WEFT_TIER_DEVICE] = room;
		}
	}
	return result;
}

/* The least device budget with the other budgets as they are; UINT64_MAX: none. */
int weft_greedy_least(struct planning *p, uint64_t most, struct candidate *best, uint64_t *least)
{
	struct tactic list[MOST_CANDIDATES];
	unsigned int count = list_tactics(p, true, list);
	int result = 0;

	*least = UINT64_MAX;
	for (unsigned int i = 0; !result && i < count; i++)
		result = squeeze(p, &list[i], most, best, least);
	return result;
}

/* Make the plan of a candidate, moving loads ahead if that still fits and helps. */
static int realize(struct planning *p, const struct candidate *candidate, struct weft_plan **out)
{
	static const double aheads[] = {0, 1.5, 4, 12};
	struct weft_plan *best = NULL;

	for (unsigned int i = 0; i < 4; i += is_large(p) ? 2 : 1) {
		uint64_t room[WEFT_TIERS];
		struct weft_draft *draft = NULL;
		struct weft_plan *plan = NULL;
		int result;

		memcpy(room, candidate->room, sizeof(room));
		result = attempt(p, &candidate->tactic, room, aheads[i], &draft);
		if (!result)
			result = finish(draft, &plan);
		if (result == -ENOSPC)
			continue;
		if (result) {
			weft_plan_free(best);
			return result;
		}
		if (!best || objective(p, plan) < objective(p, best)) {
			struct weft_plan *worse = best;

			best = plan;
			plan = worse;
		}
		weft_plan_free(plan);
	}
	*out = best;
	return best ? 0 : -ENOSPC;
}

static int by_objective(const void *x, const void *y)
{
	const struct candidate *a = x, *b = y;

	return a->objective < b->objective ? -1 : a->objective > b->objective;
}

/* The best of the plans of @candidate, and of *best where set.  @made: how many candidates gave plans. */
static int realize_best(struct planning *p, const struct candidate *candidate, unsigned int count,
			struct weft_plan **best, unsigned int *made)
{
	*made = 0;
	for (unsigned int i = 0; i < count && !(*best && now_seconds() > p->deadline); i++) {
		struct weft_plan *plan = NULL;
		int result = realize(p, &candidate[i], &plan);

		if (result == -ENOSPC)
			continue;
		if (result)
			return result;
		++*made;
		if (!*best || objective(p, plan) < objective(p, *best)) {
			struct weft_plan *worse = *best;

			*best = plan;
			plan = worse;
		}
		weft_plan_free(plan);
	}
	return 0;
}

/* Simulate with all of the budgets: how good is the plan that comes of it, before loads move ahead? */
static int judge(struct planning *p, struct candidate *c)
{
	struct weft_draft *draft = NULL;
	struct weft_plan *plan = NULL;
	int result;

	memcpy(c->room, p->budget, sizeof(c->room));
	result = attempt(p, &c->tactic, c->room, 0, &draft);
	if (!result && p->request->probe) {
		weft_draft_free(draft);
		return 0;
	}
	if (!result)
		result = finish(draft, &plan);
	if (result)
		return result;
	c->objective = objective(p, plan);
	weft_plan_free(plan);
	return 0;
}

/*
 * Persistent values leave by fixed shares.  If somewhat fewer can, what stays need not
 * move: such a candidate comes after the @count others, of which the first is the best.
 */
static int keep_more(struct planning *p, struct candidate *candidate, unsigned int *count)
{
	double most = candidate[0].tactic.away, low = most > FEWER_LEAVE ? most - FEWER_LEAVE : 0, high = most;
	struct candidate best = candidate[0];
	int result = 0;

	for (unsigned int i = 0; i < 4 && most > 0 && !result && now_seconds() < p->deadline; i++) {
		struct candidate fewer = best;

		fewer.tactic.away = (low + high) / 2;
		result = judge(p, &fewer);
		if (!result && fewer.objective < best.objective) {
			best = fewer;
			high = fewer.tactic.away;
		} else {
			low = fewer.tactic.away;
		}
		if (result == -ENOSPC)
			result = 0;
	}
	if (high < most)
		candidate[(*count)++] = best;
	return result;
}

/*
 * With more room, values leave the host tier at other moments, and the step is
 * not always shorter.  So that more memory hardly ever makes a worse plan, those of
 * smaller host budgets are tried too: of powers of two and half-way between them,
 * so that different budgets try the same ones.
 */
static int try_less_host(struct planning *p, const struct candidate *candidate, unsigned int count,
			 struct weft_plan **best)
{
	struct candidate less[MOST_REALIZED];
	uint64_t host = p->budget[WEFT_TIER_HOST], used = (*best)->peak[WEFT_TIER_HOST], rung = GRANULE;
	unsigned int made = 1;
	int result = 0;

	while (rung < used)
		rung *= 2;
	for (bool half = false; !result && made && rung > GRANULE; half = !half) {
		uint64_t room = half ? rung / 4 * 3 : rung;

		if (half)
			rung /= 2;
		room = whole(room);
		if (room >= host)
			continue;
		p->budget[WEFT_TIER_HOST] = room;
		for (unsigned int i = 0; i < count; i++) {
			less[i] = candidate[i];
			memcpy(less[i].room, p->budget, sizeof(less[i].room));
		}
		result = realize_best(p, less, count, best, &made);
	}
	p->budget[WEFT_TIER_HOST] = host;
	return result;
}

/* The best plan within the budgets; -ENOSPC: no tactic meets them. */
int weft_greedy_solve(struct planning *p, struct weft_plan **out)
{
	struct tactic list[MOST_CANDIDATES];
	struct candidate candidate[MOST_CANDIDATES + 1];
	unsigned int count = list_tactics(p, false, list), found = 0, tried, made;
	struct weft_plan *best = NULL;
	int result = 0;

	for (unsigned int i = 0; i < count && !(found && now_seconds() > p->deadline); i++) {
		struct candidate *c = &candidate[found];

		c->tactic = list[i];
		result = judge(p, c);
		if (result == -ENOSPC)
			continue;
		if (result || p->request->probe)
			return result;
		/* A hair's difference by order keeps the sort stable. */
		c->objective += 1e-12 * i;
		found++;
	}
	qsort(candidate, found, sizeof(*candidate), by_objective);
	if (found > MOST_REALIZED)
		found = MOST_REALIZED;
	if (found > 1 && is_large(p))
		found = 1;
	tried = found;
	result = 0;
	/* Not where plans of less host memory are looked at: they are compared by the same shares. */
	if (found && (!p->budget[WEFT_TIER_STORAGE] || is_large(p)))
		result = keep_more(p, candidate, &tried);
	if (!result)
		result = realize_best(p, candidate, tried, &best, &made);
	if (!result && best && best->paged_bytes[WEFT_TIER_STORAGE] && !is_large(p))
		result = try_less_host(p, candidate, found, &best);
	if (result || (best && !within(p, best))) {
		weft_plan_free(best);
		best = NULL;
	}
	*out = best;
	return result ? result : best ? 0 : -ENOSPC;
}

static int plan_within(struct planning *p, uint64_t most, struct weft_plan **plan, struct weft_plan_refusal *refusal)
{
	struct candidate best = {.objective = 0};
	uint64_t least;
	int result;

	if (p->request->quick || p->request->probe)
		return weft_greedy_solve(p, plan);
	result = weft_greedy_least(p, most, &best, &least);
	if (result)
		return result;
	/* Sharing places in another order can also take more; the unconstrained plan is one that works. */
	if (whole(most) < least && p->unconstrained_host <= p->budget[WEFT_TIER_HOST])
		least = whole(most);
	if (least > p->budget[WEFT_TIER_DEVICE] && p->request->budget.time_ratio && least != UINT64_MAX) {
		result = weft_greedy_least_in_time(p, least - GRANULE, whole(most), &least);
		if (result)
			return result;
	}
	if (least > p->budget[WEFT_TIER_DEVICE])
		return weft_greedy_refuse(p, least, most, refusal);
	result = weft_greedy_solve(p, plan);
	if (result != -ENOSPC)
		return result;
	best.room[WEFT_TIER_HOST] = p->budget[WEFT_TIER_HOST];
	best.room[WEFT_TIER_STORAGE] = p->budget[WEFT_TIER_STORAGE];
	result = realize(p, &best, plan);
	if (result)
		return result == -ENOSPC ? weft_fail(EINVAL, "the plan for the least budget could not be made again")
					 : result;
	if (within(p, *plan))
		return 0;
	weft_plan_free(*plan);
	*plan = NULL;
	result = weft_greedy_least_in_time(p, p->budget[WEFT_TIER_DEVICE], whole(most), &refusal->least_device_bytes);
	if (result)
		return result;
	return weft_fail(ENOSPC,
			 "the time budget of %.3g times the unconstrained step needs about %llu bytes of device "
			 "memory, not %llu",
			 p->request->budget.time_ratio, (unsigned long long)refusal->least_device_bytes,
			 (unsigned long long)p->request->budget.bytes[WEFT_TIER_DEVICE]);
}

static int prepare(struct planning *p)
{
	const struct weft_plan_request *request = p->request;
	const struct weft_problem *problem;
	int result;

	for (unsigned int t = 0; t < WEFT_TIERS; t++) {
		p->budget[t] = request->budget.bytes[t];
		if (p->budget[t] != UINT64_MAX)
			p->budget[t] -= p->budget[t] % GRANULE;
	}
	result = weft_problem_new(request->graph, request->costs, WEFT_ORDER_GRAPH, &p->problem[WEFT_ORDER_GRAPH]);
	if (!result)
		result = weft_problem_new(request->graph, request->costs, WEFT_ORDER_EAGER,
					  &p->problem[WEFT_ORDER_EAGER]);
	if (result)
		return result;
	problem = p->problem[0];
	p->ranking = calloc(problem->bases + 1, sizeof(*p->ranking));
	p->home = calloc(problem->bases + 1, sizeof(*p->home));
	if (!p->ranking || !p->home)
		return weft_fail(ENOMEM, "no memory for planning");
	for (uint32_t b = 0; b < problem->bases; b++) {
		if (problem->base[b].fed)
			p->fed_bytes += weft_round_up(problem->base[b].bytes, WEFT_PLAN_ALIGN);
		if (!problem->base[b].persistent)
			continue;
		p->ranking[p->ranked++] = b;
		p->persistent_bytes += problem->base[b].bytes;
	}
	qsort_r(p->ranking, p->ranked, sizeof(*p->ranking), by_away_cost, p->problem[0]);
	return 0;
}

static int plan_greedily(const struct weft_plan_request *request, struct weft_plan **out,
			 struct weft_plan_refusal *refusal)
{
	struct planning p = {.request = request};
	struct weft_plan *plan = NULL;
	double start = now_seconds();
	int result;

	*out = NULL;
	memset(refusal, 0, sizeof(*refusal));
	p.deadline = request->seconds > 0 ? start + request->seconds : INFINITY;
	result = prepare(&p);
	if (request->probe) {
		if (!result)
			result = weft_greedy_solve(&p, &plan);
	} else if (!result) {
		result = plan_unconstrained(&p, &plan);
	}
	if (!result && !request->probe) {
		p.seconds = plan->seconds;
		p.joules = plan->joules;
		if (!within(&p, plan)) {
			uint64_t most = plan->peak[WEFT_TIER_DEVICE];

			p.unconstrained_host = plan->peak[WEFT_TIER_HOST];
			weft_plan_free(plan);
			plan = NULL;
			result = plan_within(&p, most, &plan, refusal);
		}
	}
	weft_problem_free(p.problem[0]);
	weft_problem_free(p.problem[1]);
	free(p.ranking);
	free(p.home);
	if (result || !plan)
		return result;
	plan->solver_seconds = now_seconds() - start;
	*out = plan;
	return 0;
}

const struct weft_planner weft_planner_greedy = {.name = "greedy", .plan = plan_greedily};
