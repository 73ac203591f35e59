/* SPDX-License-Identifier: MIT */
/** How long nodes can be of use to schedules that cost no more than a limit. */
#ifndef WEFT_PLAN_POET_REACH_H
#define WEFT_PLAN_POET_REACH_H

#include "plan/poet/poet.h"

/** Per node, the last stage in which ... (the node itself: none after its own). */
struct poet_reach {
	uint32_t *use;	/* it can be read by something, */
	uint32_t *run;	/* computing it again can be worth its price, */
	uint32_t *load; /* paging it out and in can */
};

/**
 * Node i is of use in stage t if a path of readers leads from i to a first
 * computation at t or later.  The nodes between are computed again, which costs
 * energy and time: at most @most_joules and @most_seconds in all, both above
 * everything computed once, INFINITY for no limit.  -ENOMEM.
 */
int poet_reach_init(struct poet_reach *reach, const struct weft_poet_instance *instance, double most_joules,
		    double most_seconds);
void poet_reach_clear(struct poet_reach *reach);

#endif /* WEFT_PLAN_POET_REACH_H */
