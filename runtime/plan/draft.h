/* SPDX-License-Identifier: MIT */
/**
 * A draft: the actions of a plan before addresses are assigned.  Copies stand
 * in blocks, each a size, a tier and a lifetime counted in actions; packing
 * gives every block its offset.
 */
#ifndef WEFT_PLAN_DRAFT_H
#define WEFT_PLAN_DRAFT_H

#include "plan/problem.h"

struct weft_block {
	uint64_t bytes; /* rounded to @align */
	uint64_t offset;
	uint32_t align;
	uint8_t tier;
	uint32_t base;	     /* the first that stood here */
	uint32_t start, end; /* actions [start, end); permanent: 0, WEFT_NONE */
};

struct weft_draft_action {
	uint8_t kind; /* enum weft_action_kind */
	uint8_t tier;
	bool recompute;
	uint32_t subject; /* COMPUTE: operation, else base */
	uint32_t block;	  /* that receives the copy; DROP: that held it */
	uint32_t place;	  /* COMPUTE: index in weft_draft.place of its operands' blocks */
};

struct weft_draft {
	const struct weft_problem *problem;
	struct weft_draft_action *action;
	uint32_t actions, action_room;
	struct weft_block *block;
	uint32_t blocks, block_room;
	uint32_t *place; /* blocks of operand slots */
	uint32_t places, place_room;
	struct weft_home *home; /* per base; offset is a block until packed */
	uint32_t recomputed;
	uint64_t peak[WEFT_TIERS];
};

struct weft_draft *weft_draft_new(const struct weft_problem *problem);
void weft_draft_free(struct weft_draft *draft);
/** Append; NULL: no memory. */
struct weft_draft_action *weft_draft_append(struct weft_draft *draft, enum weft_action_kind kind);
/** A new block that starts at the next action; WEFT_NONE: no memory. */
uint32_t weft_draft_block(struct weft_draft *draft, enum weft_tier tier, uint32_t base, uint64_t bytes, uint32_t align);

/** How a simulation decides. */
struct weft_tactics {
	uint64_t room[WEFT_TIERS]; /* bytes that may be live at once */
	bool in_place;
	bool recompute;	     /* activations may be recomputed */
	bool page_host;	     /* activations may stay in the host tier */
	bool page_storage;   /* activations may go on to storage */
	bool through;	     /* activations that are paged always go on to storage */
	bool by_bytes;	     /* worth is judged by bytes and positions, not by the device's seconds */
	const uint8_t *home; /* per base: tier of persistent values */
};

/**
 * Go through the order of @problem once, keeping within room: when memory runs
 * short, what is least needed is paged out or dropped for recomputation, and
 * brought back when needed.  -ENOSPC: not possible in that room.  -ENODATA: what a
 * recomputation needs was let go, which would be a mistake of the simulation.
 */
int weft_simulate(const struct weft_problem *problem, const struct weft_tactics *tactics, struct weft_draft **draft);

/** Move loads and page-outs earlier, where @room allows, so that they overlap with compute.  @ahead scales how far. */
int weft_draft_prefetch(struct weft_draft *draft, const uint64_t room[WEFT_TIERS], double ahead);

/** Give every block its offset, trying for peaks within @room; peaks are in draft->peak. */
int weft_draft_pack(struct weft_draft *draft, const uint64_t room[WEFT_TIERS]);

/** The plan that a packed draft stands for. */
int weft_draft_finish(const struct weft_draft *draft, struct weft_plan **plan);

/** Fill in the predictions of a plan. */
int weft_plan_predict(struct weft_plan *plan, const struct weft_graph *graph, const struct weft_costs *costs);
/** The same, where some actions are known to take @known seconds (others: negative). */
int weft_plan_predict_known(struct weft_plan *plan, const struct weft_graph *graph, const struct weft_costs *costs,
			    const double *known);
/**
 * The same, and when each action starts and ends, in seconds; room for plan->actions each, drops are left alone.
 * @known may be NULL.
 */
int weft_plan_predict_times(struct weft_plan *plan, const struct weft_graph *graph, const struct weft_costs *costs,
			    const double *known, double *start, double *finish);

#endif /* WEFT_PLAN_DRAFT_H */
