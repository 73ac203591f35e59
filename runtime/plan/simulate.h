/* SPDX-License-Identifier: MIT */
/* State and steps that the files of the simulation share; see simulate.c. */
#ifndef WEFT_PLAN_SIMULATE_H
#define WEFT_PLAN_SIMULATE_H

#include "plan/draft.h"

#define NEVER UINT32_MAX
/* Most values that are recomputed for one another's sake. */
#define DEEPEST_CHAIN 64

struct claim {
	uint32_t owner; /* pending base that needs this one to be recomputed */
	uint32_t position;
};

struct state {
	uint32_t device, host, storage; /* block of the copy in that tier, or WEFT_NONE */
	uint32_t head;			/* next static use */
	uint32_t written;		/* pieces that the present contents have */
	uint32_t pins, host_pins;
	uint32_t banned; /* position + 1 at which paging it out was found impossible */
	bool pending;	 /* no copy: to be recomputed before the next use */
	bool dirty;	 /* persistent: the home copy is old */
	struct claim *claim;
	uint32_t claims, claim_room;
};

struct simulation {
	const struct weft_problem *problem;
	const struct weft_tactics *tactics;
	struct weft_draft *draft;
	struct state *state;
	uint32_t *resident; /* bases with a device copy */
	uint32_t *slot;	    /* per base: index in resident */
	uint32_t residents;
	uint64_t used[WEFT_TIERS];
	uint32_t now;
	uint32_t depth;
	uint32_t recomputed;
};

/* Copies in the tiers, and room in the host tier (simulate_copies.c). */

/** @state's block in @tier. */
uint32_t *sim_tier_block(struct state *state, enum weft_tier tier);
/** @tier is where @b is between steps. */
bool sim_is_home(const struct simulation *s, uint32_t b, enum weft_tier tier);
/** Bytes that a copy of @b takes in @tier. */
uint64_t sim_tier_bytes(const struct simulation *s, uint32_t b, enum weft_tier tier);
/** Position at which @b is read next, by the graph or for a claim; NEVER if not. */
uint32_t sim_next_use(const struct simulation *s, uint32_t b);
/** Likewise the last position. */
uint32_t sim_last_use(const struct simulation *s, uint32_t b);
/** A copy stands in some tier. */
bool sim_has_copy(const struct state *state);
/** @block now holds @b's device copy. */
void sim_become_resident(struct simulation *s, uint32_t b, uint32_t block);
/** @b has no device copy any more. */
void sim_leave_device(struct simulation *s, uint32_t b);
/** Append an action on @b. */
int sim_emit(struct simulation *s, enum weft_action_kind kind, enum weft_tier tier, uint32_t b, uint32_t block);
/** Give up @b's copy in @tier, unless that is its home. */
int sim_drop(struct simulation *s, uint32_t b, enum weft_tier tier);
/** Make a block for @b in @tier. */
int sim_new_block(struct simulation *s, uint32_t b, enum weft_tier tier);
/** @bytes more fit into @tier's room. */
bool sim_fits(const struct simulation *s, enum weft_tier tier, uint64_t bytes);
/** Append what writes @b's host copy to storage. */
int sim_store(struct simulation *s, uint32_t b);
/** Store and drop host copies until @bytes fit; -ENOSPC. */
int sim_make_host_room(struct simulation *s, uint64_t bytes);

/* What recomputation costs, and what it needs (simulate_claims.c). */

double sim_recompute_seconds(const struct simulation *s, uint32_t b, uint32_t position, uint64_t *kept,
			     unsigned int depth);
/** Claim the inputs of @b's writers for @position; -ENOSPC if one cannot be had again. */
int sim_claim_inputs(struct simulation *s, uint32_t b, uint32_t position, unsigned int depth);
int sim_drop_claims(struct simulation *s, uint32_t owner, bool release);

/* Steps of the simulation itself (simulate.c). */

int sim_release_if_dead(struct simulation *s, uint32_t b);

#endif /* WEFT_PLAN_SIMULATE_H */
