// SPDX-License-Identifier: MIT
#include "exec/planning.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "exec/calibration.h"
#include "plan/bound.h"
#include "plan/problem.h"
#include "plan/split.h"
#include "plan/tile.h"
#include "weft/error.h"

struct planning {
	struct accel_device *device;
	struct weft_graph **graph;
	struct weft_plan **plan;
	struct weft_costs *costs;
	const char *storage_dir;
	struct weft_calibration calibration; /* of the device and the session's graph */
	bool calibrated;
	struct weft_graph *made; /* of the session's graph, that *plan is for; NULL: that one itself */
	double seconds, joules;	 /* of every operation of the session's graph once */
	bool explains;		 /* a refusal says what is needed */
};

/* Most parts that large activations are split into. */
#define MOST_PARTS 8
/* Working sets of tiles that are tried. */
#define FIRST_TILE (256ull << 20)
#define LAST_TILE (128ull << 10)
/* More than so many cannot be planned in reasonable time. */
#define MOST_OPERATIONS 60000
/* The same for the search below what was measured. */
#define MOST_REFINED 20000
/* Graphs of so many are planned with their least budget at once. */
#define FEW_OPERATIONS 600
/* Better plans are looked for among graphs of so many operations together... */
#define MOST_IMPROVED 16000
/* ...unless seconds and joules are together so little above everything once. */
#define GOOD_ENOUGH (2 * 1.005)
/* Host budgets that are tried where neither the device's nor the host's is enough alone. */
#define FIRST_HOST (64ull << 10)
#define LAST_HOST (1ull << 30)
/* The least budget of a refusal is looked for among graphs of so many. */
#define MOST_MEASURED 2500

static uint64_t largest_activation(const struct weft_graph *graph)
{
	uint64_t largest = 0;

	for (weft_id v = 0; v < graph->values; v++)
		if (graph->value[v].kind == WEFT_VALUE_ACTIVATION && graph->value[v].bytes > largest)
			largest = graph->value[v].bytes;
	return largest;
}

static int plan_graph(struct planning *p, const struct weft_graph *graph, struct weft_plan_request *request,
		      struct weft_plan_refusal *least)
{
	int result;

	weft_costs_clear(p->costs);
	result = weft_costs_model(p->device, graph, p->costs);
	if (!result && p->calibrated)
		weft_calibration_apply(&p->calibration, graph, p->storage_dir, p->costs);
	request->graph = graph;
	request->costs = p->costs;
	return result ? result : weft_planner_greedy.plan(request, p->plan, least);
}

static uint64_t smaller(uint64_t a, uint64_t b)
{
	return !a || (b && b < a) ? b : a;
}

/* The graph that was made for the plan takes the place of the session's. */
static int take_graph(struct planning *p)
{
	if (!p->made)
		return 0;
	weft_graph_take_data(p->made, *p->graph);
	weft_graph_free(*p->graph);
	*p->graph = p->made;
	p->made = NULL;
	return weft_graph_check(*p->graph);
}

/* Plan @graph, which is kept on success and freed otherwise. */
static int try_graph(struct planning *p, struct weft_graph *graph, struct weft_plan_request *request,
		     struct weft_plan_refusal *least)
{
	struct weft_plan_refusal refusal = {0, 0};
	int result = plan_graph(p, graph, request, &refusal);

	if (!result) {
		p->made = graph;
		return 0;
	}
	weft_graph_free(graph);
	if (result == -ENOSPC) {
		least->least_device_bytes = smaller(least->least_device_bytes, refusal.least_device_bytes);
		least->least_host_bytes = smaller(least->least_host_bytes, refusal.least_host_bytes);
	}
	return result;
}

/* Large activations in parts of the batch. */
static int plan_split(struct planning *p, struct weft_plan_request *request, struct weft_plan_refusal *least)
{
	uint64_t bytes = largest_activation(*p->graph) / 8 + 1;

	for (uint32_t parts = 2; parts <= MOST_PARTS; parts *= 2) {
		struct weft_graph *graph;
		int result = weft_graph_split(*p->graph, parts, bytes, &graph);

		if (result == -ERANGE)
			break;
		if (!result)
			result = try_graph(p, graph, request, least);
		if (result != -ENOSPC)
			return result;
	}
	return -ENOSPC;
}

/* Levels of tiling: smaller and smaller working sets, each tight and roomy (plan/tile.h). */
#define MOST_IDLE 3
struct levels {
	uint64_t bytes;
	uint64_t before;     /* working set of the level before, 0 at first */
	unsigned int idle;   /* levels since, of too many operations, or hardly smaller */
	bool roomy;	     /* the present level's tight graph has been seen */
	uint32_t operations; /* of the graph before */
};

/* Powers of two, and half-way between them. */
static void go_down(struct levels *levels)
{
	uint64_t bytes = levels->bytes;

	levels->roomy = false;
	levels->bytes = bytes & (bytes - 1) ? bytes / 3 * 2 : bytes / 4 * 3;
}

/*
 * The graph of the next level, of @most operations or fewer; NULL after the last:
 * where tiles cannot become much smaller any more, or would be too many.
 */
static int next_level(const struct planning *p, struct levels *levels, uint32_t most, struct weft_graph **graph,
		      uint64_t *working_set)
{
	*graph = NULL;
	*working_set = 0;
	while (levels->bytes >= LAST_TILE && levels->idle < MOST_IDLE) {
		const bool roomy = levels->roomy;
		int result = weft_graph_tile(*p->graph, levels->bytes, roomy, graph);
		bool smaller, few;

		if (result && result != -ERANGE)
			return result;
		if (roomy || result)
			go_down(levels);
		if (result)
			continue;
		*working_set = weft_graph_working_set(*graph);
		/* Where nothing is put together, both graphs are the same. */
		few = (*graph)->operations <= most && !(roomy && (*graph)->operations == levels->operations);
		levels->operations = (*graph)->operations;
		smaller = roomy || !levels->before || *working_set <= levels->before - levels->before / 16;
		if (smaller && !roomy)
			levels->before = *working_set;
		/* A roomy graph of more operations is the level's second one. */
		if (!roomy && smaller)
			levels->roomy = true;
		else if (!roomy)
			go_down(levels);
		if (smaller && few) {
			levels->idle = 0;
			return 0;
		}
		levels->idle += !roomy;
		weft_graph_free(*graph);
		*graph = NULL;
	}
	return 0;
}

/* Tiles of graphs small enough to be measured: each says its least budget. */
static int plan_measured(struct planning *p, struct weft_plan_request *request, struct weft_plan_refusal *least)
{
	struct levels levels = {.bytes = FIRST_TILE};
	unsigned int idle = 0;

	/* Once smaller tiles need no less, smaller ones still will not either. */
	while (idle < 2 * MOST_IDLE) {
		struct weft_plan_refusal before = *least;
		struct weft_graph *graph;
		uint64_t working_set;
		int result = next_level(p, &levels, MOST_MEASURED, &graph, &working_set);

		if (!result && !graph)
			break;
		if (!result)
			result = try_graph(p, graph, request, least);
		if (result != -ENOSPC)
			return result;
		idle = request->quick ||
				       least->least_device_bytes <
					       before.least_device_bytes - before.least_device_bytes / 32 ||
				       least->least_host_bytes < before.least_host_bytes
			       ? 0
			       : idle + 1;
	}
	return -ENOSPC;
}

/* Tiles of graphs too large to be measured.  0: there is a plan; -ENOSPC: none was found. */
static int plan_unmeasured(struct planning *p, struct weft_plan_request request)
{
	const uint64_t budget = request.budget.bytes[WEFT_TIER_DEVICE];
	struct levels levels = {.bytes = FIRST_TILE};
	struct weft_plan_refusal refusal = {0, 0};

	request.quick = true;
	for (;;) {
		struct weft_graph *graph;
		uint64_t working_set;
		int result = next_level(p, &levels, MOST_OPERATIONS, &graph, &working_set);

		if (result || !graph)
			return result ? result : -ENOSPC;
		result = -ENOSPC;
		if (graph->operations > FEW_OPERATIONS && working_set <= budget)
			result = plan_graph(p, graph, &request, &refusal);
		if (!result) {
			p->made = graph;
			return 0;
		}
		weft_graph_free(graph);
		if (result != -ENOSPC)
			return result;
	}
}

/* Graphs of the levels that are looked at again and again. */
#define MOST_LEVELS 32

struct tilings {
	struct weft_graph *graph[MOST_LEVELS];
	uint64_t working_set[MOST_LEVELS];
	unsigned int count;
};

static int tile_levels(const struct planning *p, struct tilings *tilings)
{
	struct levels levels = {.bytes = FIRST_TILE};

	while (tilings->count < MOST_LEVELS) {
		struct weft_graph *graph;
		uint64_t working_set;
		int result = next_level(p, &levels, MOST_REFINED, &graph, &working_set);

		if (result || !graph)
			return result;
		if (graph->operations <= FEW_OPERATIONS) {
			weft_graph_free(graph);
			continue;
		}
		tilings->graph[tilings->count] = graph;
		tilings->working_set[tilings->count++] = working_set;
	}
	return 0;
}

/* Is there a plan of @graph with @bytes of device memory?  0: yes; -ENOSPC: no.  A quick look, and nothing is kept. */
static int probe_budget(struct planning *p, const struct weft_graph *graph, struct weft_plan_request request,
			uint64_t bytes)
{
	struct weft_plan_refusal refusal;
	int result;

	request.budget.bytes[WEFT_TIER_DEVICE] = bytes;
	request.quick = true;
	request.probe = !request.budget.time_ratio;
	result = plan_graph(p, graph, &request, &refusal);
	weft_plan_free(*p->plan);
	*p->plan = NULL;
	return result;
}

/*
 * The least budget with which @graph can be planned, if that is below *@least.  There may
 * be smaller ones that work by luck; they do not matter.
 */
static int probe_graph(struct planning *p, const struct weft_graph *graph, const struct weft_plan_request *request,
		       uint64_t working_set, uint64_t *least)
{
	/* The same budgets are tried whatever was asked for, so that the answer does not depend on it. */
	const uint64_t asked = request->budget.bytes[WEFT_TIER_DEVICE];
	uint64_t low = working_set;

	while (*least > low && *least - low > WEFT_PLAN_IO_ALIGN + *least / 128) {
		uint64_t middle = (low + (*least - low) / 2) / WEFT_PLAN_IO_ALIGN * WEFT_PLAN_IO_ALIGN;
		int result = middle > asked ? probe_budget(p, graph, *request, middle) : -ENOSPC;

		if (!result)
			*least = middle;
		else if (result == -ENOSPC)
			low = middle;
		else
			return result;
	}
	return 0;
}

/* Does one of the tilings work with a page less?  0: yes; -ENOSPC: no. */
static int probe_below(struct planning *p, const struct tilings *tilings, const struct weft_plan_request *request,
		       uint64_t least)
{
	const uint64_t bytes = least - WEFT_PLAN_IO_ALIGN;
	int result = -ENOSPC;

	if (bytes <= request->budget.bytes[WEFT_TIER_DEVICE])
		return -ENOSPC;
	for (unsigned int i = tilings->count; result == -ENOSPC && i-- > 0;)
		if (tilings->working_set[i] < least)
			result = probe_budget(p, tilings->graph[i], *request, bytes);
	return result;
}

/* Most pages that the least budget is lowered by after the search. */
#define MOST_LOWERED 32

/* Budgets below what was measured may work too. */
static int refine_least(struct planning *p, const struct weft_plan_request *request, struct weft_plan_refusal *least)
{
	struct tilings tilings = {.count = 0};
	int result = tile_levels(p, &tilings);

	/* The smallest tiles are likely to need the least: the others are then soon done with. */
	for (unsigned int i = tilings.count; !result && i-- > 0;)
		result = probe_graph(p, tilings.graph[i], request, tilings.working_set[i], &least->least_device_bytes);
	/* The search leaves out what it may, but no budget that is all but the least should work. */
	for (unsigned int pages = 0; !result && pages < MOST_LOWERED; pages++) {
		result = probe_below(p, &tilings, request, least->least_device_bytes);
		if (!result)
			least->least_device_bytes -= WEFT_PLAN_IO_ALIGN;
	}
	for (unsigned int i = 0; i < tilings.count; i++)
		weft_graph_free(tilings.graph[i]);
	return result ? result : -ENOSPC;
}

/*
 * Where the graph as it is does not fit, large activations are split into more
 * and more parts, and then operations into smaller and smaller tiles.  How they
 * are split does not depend on the budget, so that the least budget of a refusal
 * works.
 */
static int plan_smaller(struct planning *p, struct weft_plan_request *request, struct weft_plan_refusal *least)
{
	/* Where activations may not leave the device, pieces of them do not help. */
	const bool tiles = request->policy != WEFT_POLICY_RECOMPUTE;
	int result = plan_split(p, request, least);

	request->tiled = true;
	if (result == -ENOSPC && tiles)
		result = plan_unmeasured(p, *request);
	if (result == -ENOSPC && tiles)
		result = plan_measured(p, request, least);
	if (result == -ENOSPC && tiles && least->least_device_bytes && p->explains)
		result = refine_least(p, request, least);
	if (result != -ENOSPC)
		return result;
	if (least->least_device_bytes)
		return weft_fail(ENOSPC,
				 "the device budget of %" PRIu64 " bytes is too small for this graph: at least %" PRIu64
				 " are needed with the other budgets as given",
				 request->budget.bytes[WEFT_TIER_DEVICE], least->least_device_bytes);
	if (least->least_host_bytes)
		return weft_fail(ENOSPC,
				 "the host budget of %" PRIu64 " bytes is too small for this graph: at least %" PRIu64
				 " are needed with the other budgets as given",
				 request->budget.bytes[WEFT_TIER_HOST], least->least_host_bytes);
	return weft_fail(ENOSPC, "no device or host budget alone makes this graph fit: raise both, or the storage "
				 "budget");
}

static void sum_costs(struct planning *p)
{
	p->seconds = p->joules = 0;
	for (weft_id o = 0; p->costs->operation_seconds && o < (*p->graph)->operations; o++) {
		p->seconds += p->costs->operation_seconds[o];
		p->joules += p->costs->operation_joules[o];
	}
}

/* A plan for the graph, or for one that does the same in smaller pieces. */
static int plan_somehow(struct planning *p, struct weft_plan_request *request, struct weft_plan_refusal *least)
{
	int result;

	*least = (struct weft_plan_refusal){0, 0};
	result = plan_graph(p, *p->graph, request, least);
	sum_costs(p);
	if (result == -ENOSPC && request->policy != WEFT_POLICY_KEEP)
		result = plan_smaller(p, request, least);
	request->tiled = false;
	return result;
}

static void drop_plan(struct planning *p)
{
	weft_plan_free(*p->plan);
	*p->plan = NULL;
	weft_graph_free(p->made);
	p->made = NULL;
}

/* A host budget that works with the device's as given, of a few. */
static int find_host(struct planning *p, struct weft_plan_request request, struct weft_session_refusal *refusal)
{
	struct weft_plan_refusal least;
	int result = -ENOSPC;

	request.quick = true;
	for (uint64_t host = FIRST_HOST; result == -ENOSPC && host <= LAST_HOST; host *= 4) {
		if (host <= request.budget.bytes[WEFT_TIER_HOST])
			continue;
		request.budget.bytes[WEFT_TIER_HOST] = host;
		result = plan_somehow(p, &request, &least);
		if (!result)
			*refusal = (struct weft_session_refusal){request.budget.bytes[WEFT_TIER_DEVICE], host, true};
		drop_plan(p);
	}
	return result;
}

/*
 * Where neither the device's nor the host's budget is enough with the other as given:
 * the least device budget without a limit of the host's, and what its plan takes of that.
 */
static int find_pair(struct planning *p, struct weft_plan_request request, struct weft_session_refusal *refusal)
{
	struct weft_plan_refusal least;
	uint64_t host = UINT64_MAX;
	int result;

	request.budget.bytes[WEFT_TIER_HOST] = UINT64_MAX;
	/* The second try is for the least device budget; then a limit of the host's may ask for a little more of it. */
	for (unsigned int tries = 0; tries < 4; tries++) {
		result = plan_somehow(p, &request, &least);
		if (!result && request.budget.bytes[WEFT_TIER_HOST] != UINT64_MAX) {
			*refusal = (struct weft_session_refusal){request.budget.bytes[WEFT_TIER_DEVICE], host, true};
			return 0;
		}
		if (!result) {
			host = weft_round_up((*p->plan)->peak[WEFT_TIER_HOST], WEFT_PLAN_IO_ALIGN);
			request.budget.bytes[WEFT_TIER_HOST] = host;
		} else if (result == -ENOSPC && least.least_host_bytes) {
			host = least.least_host_bytes;
			request.budget.bytes[WEFT_TIER_HOST] = host;
		} else if (result == -ENOSPC && least.least_device_bytes) {
			request.budget.bytes[WEFT_TIER_DEVICE] = least.least_device_bytes;
		} else {
			break;
		}
		drop_plan(p);
	}
	return result == -ENOSPC ? 0 : result;
}

/* What would do instead, after -ENOSPC; the sentence that says so is the error's. */
static int explain_refusal(struct planning *p, const struct weft_plan_request *request,
			   const struct weft_plan_refusal *least, struct weft_session_refusal *refusal)
{
	int result = 0;

	*refusal = (struct weft_session_refusal){least->least_device_bytes, least->least_host_bytes, false};
	if (least->least_device_bytes || least->least_host_bytes || request->budget.bytes[WEFT_TIER_HOST] == UINT64_MAX)
		return -ENOSPC;
	/* With storage, little host memory may do. */
	result = request->budget.bytes[WEFT_TIER_STORAGE] ? find_host(p, *request, refusal) : -ENOSPC;
	if (result == -ENOSPC)
		result = find_pair(p, *request, refusal);
	drop_plan(p);
	if (result)
		return result;
	if (!refusal->together)
		return weft_fail(ENOSPC,
				 "no device and host budgets make this graph fit with the other budgets as given");
	return weft_fail(ENOSPC,
			 "the device budget of %" PRIu64 " bytes and the host budget of %" PRIu64
			 " are both too small for this graph: %" PRIu64 " and %" PRIu64 " work",
			 request->budget.bytes[WEFT_TIER_DEVICE], request->budget.bytes[WEFT_TIER_HOST],
			 refusal->least_device_bytes, refusal->least_host_bytes);
}

/* Better plans. */

static double now_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* What the planner minimizes, over graphs: 2 when everything runs once and nothing waits. */
static double objective(const struct planning *p, const struct weft_plan *plan)
{
	return plan->seconds / (p->seconds + 1e-12) + plan->joules / (p->joules + 1e-12);
}

/* Plan @graph as well: the better plan is kept.  Takes @graph. */
static int try_better(struct planning *p, struct weft_graph *graph, const struct weft_plan_request *request)
{
	struct weft_plan_request quick = *request;
	struct weft_plan_refusal refusal;
	struct weft_plan *plan = NULL;
	struct weft_costs costs = {0};
	struct planning other = *p;
	int result;

	other.plan = &plan;
	other.costs = &costs;
	quick.quick = true;
	result = plan_graph(&other, graph, &quick, &refusal);
	if (!result && objective(p, plan) < objective(p, *p->plan)) {
		struct weft_graph *worse_graph = p->made;
		struct weft_plan *worse_plan = *p->plan;
		struct weft_costs worse_costs = *p->costs;

		p->made = graph;
		*p->plan = plan;
		*p->costs = costs;
		graph = worse_graph;
		plan = worse_plan;
		costs = worse_costs;
	}
	weft_plan_free(plan);
	weft_costs_clear(&costs);
	weft_graph_free(graph);
	return result == -ENOSPC ? 0 : result;
}

/*
 * A graph whose operations just fit leaves no room for anything else, and a plan for
 * smaller pieces may be better than one for it, or than one in more memory.
 */
static int improve(struct planning *p, struct weft_plan_request request)
{
	uint64_t bytes = largest_activation(*p->graph) / 8 + 1;
	struct levels levels = {.bytes = FIRST_TILE};
	double deadline = request.seconds > 0 ? now_seconds() + request.seconds : INFINITY;
	uint32_t left = MOST_IMPROVED;
	int result = 0;

	for (uint32_t parts = 2; !result && parts <= MOST_PARTS && now_seconds() < deadline; parts *= 2) {
		struct weft_graph *graph;

		if (objective(p, *p->plan) < GOOD_ENOUGH)
			return 0;
		result = weft_graph_split(*p->graph, parts, bytes, &graph);
		if (result == -ERANGE)
			break;
		if (!result)
			result = try_better(p, graph, &request);
	}
	if (result == -ERANGE)
		result = 0;
	request.tiled = true;
	while (!result && now_seconds() < deadline && objective(p, *p->plan) >= GOOD_ENOUGH) {
		struct weft_graph *graph;
		uint64_t working_set;

		result = next_level(p, &levels, left, &graph, &working_set);
		if (result || !graph)
			break;
		left -= graph->operations;
		result = try_better(p, graph, &request);
	}
	return result;
}

/* Costs that were measured, if there are any: without them, the device's model does. */
static void use_measured(struct planning *p, const struct accel_device_info *info)
{
	uint64_t device = weft_device_key(info), model = weft_graph_key(*p->graph);
	char path[PATH_MAX];
	int result;

	if (weft_calibration_path(device, model, path, sizeof(path)))
		return;
	result = weft_calibration_read(path, device, model, &p->calibration);
	p->calibrated = !result;
	if (result && result != -ENOENT)
		fprintf(stderr, "weft: warning: %s (weft calibrate); planning with the device's model\n", weft_error());
}

int weft_plan_session(struct accel_device *device, struct weft_graph **graph,
		      const struct weft_session_options *options, struct weft_plan **plan, struct weft_costs *costs,
		      struct weft_session_refusal *refusal)
{
	struct accel_device_info info = {.size = sizeof(info)};
	struct weft_plan_refusal least = {0, 0};
	struct weft_plan_request request = {
		.budget = {.bytes = {options->device_bytes, options->host_bytes, options->storage_bytes},
			   .time_ratio = options->time_ratio},
		.policy = options->policy,
		.seconds = options->plan_seconds,
		.seed = options->seed,
	};
	struct planning p = {.device = device,
			     .graph = graph,
			     .plan = plan,
			     .costs = costs,
			     .storage_dir = options->storage_dir,
			     .explains = refusal};
	double start = now_seconds();
	int result;

	*plan = NULL;
	memset(costs, 0, sizeof(*costs));
	if (options->policy < WEFT_POLICY_AUTO || options->policy > WEFT_POLICY_STORAGE)
		return weft_fail(EINVAL, "policy %d does not exist", options->policy);
	if (options->storage_bytes && !options->storage_dir)
		return weft_fail(EINVAL, "a storage budget needs a storage directory");
	result = accel_device_query(device, &info);
	if (result)
		return weft_fail(-result, "%s", accel_error());
	if (request.budget.bytes[WEFT_TIER_DEVICE] > info.device_memory_bytes)
		request.budget.bytes[WEFT_TIER_DEVICE] = info.device_memory_bytes;
	if (!options->model_costs)
		use_measured(&p, &info);
	result = plan_somehow(&p, &request, &least);
	if (!result && options->policy != WEFT_POLICY_KEEP && options->policy != WEFT_POLICY_RECOMPUTE)
		result = improve(&p, request);
	if (!result)
		result = take_graph(&p);
	/* Only where the budget is refused: storage that is full is another -ENOSPC. */
	if (refusal && result == -ENOSPC)
		result = explain_refusal(&p, &request, &least, refusal);
	if (!result)
		result = weft_plan_check(*plan, *graph, &request.budget);
	if (!result)
		result = weft_plan_bound(*graph, costs, &request.budget, &(*plan)->bound_joules);
	if (result) {
		weft_plan_free(*plan);
		*plan = NULL;
	} else {
		(*plan)->solver_seconds = now_seconds() - start;
	}
	weft_graph_free(p.made);
	weft_calibration_clear(&p.calibration);
	return result;
}
