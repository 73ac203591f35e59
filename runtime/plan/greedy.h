/* SPDX-License-Identifier: MIT */
/** The greedy planner's own: what it tries, and how it finds the least budgets. */
#ifndef WEFT_PLAN_GREEDY_H
#define WEFT_PLAN_GREEDY_H

#include "plan/draft.h"

/* Budgets and peaks are counted in whole pages, as devices allocate them. */
#define GRANULE WEFT_PLAN_IO_ALIGN

static inline uint64_t whole(uint64_t bytes)
{
	return bytes > UINT64_MAX - GRANULE ? bytes : weft_round_up(bytes, GRANULE);
}

enum paging { PAGING_BOTH, PAGING_PAGE, PAGING_RECOMPUTE, PAGINGS };

struct tactic {
	double away;   /* share of persistent bytes that leave the device */
	double hosted; /* share of the host tier that they may take */
	enum paging paging;
	enum weft_order_kind order;
	bool by_bytes; /* see struct weft_tactics */
};

struct candidate {
	struct tactic tactic;
	uint64_t room[WEFT_TIERS]; /* with which it was simulated */
	double objective;
};

struct planning {
	const struct weft_plan_request *request;
	struct weft_problem *problem[2]; /* by enum weft_order_kind */
	uint64_t budget[WEFT_TIERS];	 /* whole granules */
	uint64_t fed_bytes;		 /* host tier that is taken in any case */
	uint32_t *ranking;		 /* persistent bases, those that should leave the device first */
	uint32_t ranked;
	uint64_t persistent_bytes;
	uint8_t *home;
	double seconds, joules; /* of the unconstrained plan */
	uint64_t unconstrained_host;
	double deadline; /* of the request: with a plan at hand, no more tactics are tried then */
};

/** The best plan within the budgets; -ENOSPC: no tactic meets them. */
int weft_greedy_solve(struct planning *p, struct weft_plan **plan);
/**
 * The least device budget, without regard to time; UINT64_MAX: none does.  @most: device bytes
 * of the unconstrained plan.  @best: the candidate that needs the least.
 */
int weft_greedy_least(struct planning *p, uint64_t most, struct candidate *best, uint64_t *least);
/** The least device budget above @low that keeps the time budget, if that is below @high. */
int weft_greedy_least_in_time(struct planning *p, uint64_t low, uint64_t high, uint64_t *least);
/** -ENOSPC, with what would do instead; @least: of weft_greedy_least(). */
int weft_greedy_refuse(struct planning *p, uint64_t least, uint64_t most, struct weft_plan_refusal *refusal);

#endif /* WEFT_PLAN_GREEDY_H */
