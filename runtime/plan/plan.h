/* SPDX-License-Identifier: MIT */
/**
 * The plan: when each operation of a graph runs, and where each value is.
 *
 * A plan is a list of actions.  Executed one after another, in order, the list
 * is correct (weft_plan_check() replays it); the executor overlaps actions of
 * different engines wherever their memory ranges do not conflict, so a planner
 * expresses a prefetch by putting the load early.  The plan also assigns every
 * address: device and host offsets are inside two arenas whose sizes are the
 * peaks, storage offsets inside the page file.  What the plan says is what is
 * used; nothing is allocated while it runs.
 *
 * Planners stand behind weft_planner: they get a graph, budgets and costs, and
 * return a plan, or the least budget with which they could have.
 */
#ifndef WEFT_PLAN_PLAN_H
#define WEFT_PLAN_PLAN_H

#include "graph/graph.h"

enum weft_tier { WEFT_TIER_DEVICE, WEFT_TIER_HOST, WEFT_TIER_STORAGE, WEFT_TIERS };

enum weft_action_kind {
	WEFT_ACTION_COMPUTE,  /* run @operation; outputs at @place of their bases */
	WEFT_ACTION_PAGE_OUT, /* @value device -> host */
	WEFT_ACTION_PAGE_IN,  /* @value host -> device */
	WEFT_ACTION_STORE,    /* @value host -> storage */
	WEFT_ACTION_LOAD,     /* @value storage -> host */
	WEFT_ACTION_DROP,     /* @value's copy in @tier is no longer needed */
};

/**
 * One action.  @value is always a base value.  A value has at most one copy in
 * each tier at a time; an action that makes a copy says where it stands in
 * @offset (bytes from the start of that tier's arena, multiple of
 * WEFT_PLAN_ALIGN; in host and storage of WEFT_PLAN_IO_ALIGN where the value
 * ever goes to storage).
 */
struct weft_action {
	uint8_t kind;	   /* enum weft_action_kind */
	uint8_t tier;	   /* DROP: enum weft_tier */
	bool recompute;	   /* COMPUTE: not the operation's first run in this step */
	weft_id operation; /* COMPUTE */
	weft_id value;	   /* all others */
	uint64_t offset;   /* PAGE_OUT: host, PAGE_IN: device, STORE: storage, LOAD: host */
	/** COMPUTE: device offset per operand slot, of the operand's base (inputs: where the copy is; outputs: where it
	 * goes). */
	uint64_t place[WEFT_MAX_OPERANDS];
};

/** What runs actions, one after another each; lanes overlap. */
enum weft_lane { WEFT_LANE_COMPUTE, WEFT_LANE_PAGE_IN, WEFT_LANE_PAGE_OUT, WEFT_LANE_STORAGE, WEFT_LANES };

#define WEFT_PLAN_ALIGN 64
#define WEFT_PLAN_IO_ALIGN 4096

/** Where a value is between steps, and where it must be again when the step ends. */
struct weft_home {
	uint8_t tier; /* enum weft_tier */
	uint64_t offset;
};

struct weft_plan {
	struct weft_action *action;
	uint32_t actions, action_room;
	/**
	 * Per value id (bases): home of INPUT, CONSTANT, WEIGHT, STATE and STEP
	 * values; INPUT and STEP live in the host tier.  Others are unused.
	 * A value updated during the step must be back home, in the same place, at
	 * the end; one that was only read still has its home copy.
	 * Values with .output set must be paged out to the host at the end of the
	 * plan, and not dropped there.
	 */
	struct weft_home *home;
	uint32_t homes;
	uint64_t peak[WEFT_TIERS]; /* arena sizes: the highest byte ever used */
	/* What the planner predicts for one step. */
	double seconds;
	double lane_seconds[WEFT_LANES]; /* that each lane is busy */
	double joules;
	double bound_joules; /* proven lower bound for plans of this graph in this much device memory, 0 if none */
	double solver_seconds;
	uint64_t paged_bytes[WEFT_TIERS]; /* HOST: device<->host both ways; STORAGE: host<->storage both ways */
	uint32_t recomputed;		  /* operations run more than once, counted with repetition */
};

/** Budgets in bytes; UINT64_MAX is unlimited, 0 forbids the tier. */
struct weft_budget {
	uint64_t bytes[WEFT_TIERS];
	double time_ratio; /* step time at most this times the unconstrained; 0: no limit */
};

enum weft_policy {
	WEFT_POLICY_AUTO,
	WEFT_POLICY_KEEP,      /* everything stays in device memory */
	WEFT_POLICY_RECOMPUTE, /* no activation is paged */
	WEFT_POLICY_HOST,      /* activations are paged to the host only, nothing is recomputed */
	WEFT_POLICY_STORAGE,   /* activations go to storage only, nothing is recomputed */
};

/** What moving bytes between two tiers costs: so much for each transfer, and so much for each byte. */
struct weft_transfer_cost {
	double seconds, bytes_per_second;
	double joules, joules_per_byte;
};

/**
 * Rates of paging what caches may still hold: values whose host copy was touched when at most
 * @bytes of host and device memory were touched since, by this transfer included.
 */
struct weft_recent_cost {
	double bytes, in_bytes_per_second, out_bytes_per_second;
};

#define WEFT_RECENT_COSTS 8

/** What actions cost, from the device's model or from measurement. */
struct weft_costs {
	double *operation_seconds; /* per operation of the graph */
	double *operation_joules;
	struct weft_transfer_cost page_in, page_out, load, store;
	struct weft_recent_cost
		recent[WEFT_RECENT_COSTS]; /* by ascending bytes; the last: 0 where it makes no difference */
	double step_seconds; /* of a step besides its actions: submitting it, and being told that it has ended */
	/* From the end of an action to the start of one in another lane that waits for it. */
	double handover_seconds;
	bool measured; /* seconds are those of this device, not of its model */
};

static inline double weft_transfer_seconds(const struct weft_transfer_cost *cost, double bytes)
{
	return cost->seconds + bytes / cost->bytes_per_second;
}

static inline double weft_transfer_joules(const struct weft_transfer_cost *cost, double bytes)
{
	return cost->joules + bytes * cost->joules_per_byte;
}

struct weft_plan_request {
	const struct weft_graph *graph;
	struct weft_budget budget;
	enum weft_policy policy;
	const struct weft_costs *costs;
	double seconds; /* most time to spend planning; 0: the planner's default */
	uint64_t seed;
	bool tiled; /* the operations are tiles of others: little is gained by trying much */
	bool quick; /* do not look for the least budgets: a refusal says nothing */
	bool probe; /* only whether there is a plan, which stays NULL; no time ratio; as quick */
};

struct weft_plan_refusal {
	uint64_t least_device_bytes; /* a device budget that works with the other budgets as given, the smallest found;
					0: none does */
	uint64_t least_host_bytes;   /* likewise for the host tier, device as given; 0: none does */
};

struct weft_planner {
	const char *name;
	/**
	 * 0 and *plan; or -ENOSPC and *refusal when the budgets cannot be met, in
	 * which case planning again with refusal->least_device_bytes succeeds; or
	 * another negative errno value.  Deterministic.
	 */
	int (*plan)(const struct weft_plan_request *request, struct weft_plan **plan,
		    struct weft_plan_refusal *refusal);
};

/** Liveness, greedy choice of what to page or recompute, best-fit addresses. */
extern const struct weft_planner weft_planner_greedy;

void weft_plan_free(struct weft_plan *plan);

/**
 * Replay @plan on @graph, sharing no code with planners: every operand present
 * and at the address stated, no two live copies overlapping, budgets and
 * peaks kept, every operation run, recomputations reproducing what was dropped
 * (no operand updated in between), everything back home at the end.
 * -EINVAL and a sentence that names the action.
 */
int weft_plan_check(const struct weft_plan *plan, const struct weft_graph *graph, const struct weft_budget *budget);

#endif /* WEFT_PLAN_PLAN_H */
