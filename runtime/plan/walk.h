/* SPDX-License-Identifier: MIT */
/**
 * Walking through a plan: where each action reads and writes.  For the executor
 * and for predictions; the checker has its own eyes.
 */
#ifndef WEFT_PLAN_WALK_H
#define WEFT_PLAN_WALK_H

#include "plan/plan.h"

/** A range of a tier's arena that an action touches. */
struct weft_access {
	uint8_t tier;
	bool write;
	uint64_t low, high;
};

/** What a transfer with storage of @bytes touches in both tiers: whole I/O blocks. */
static inline uint64_t weft_whole_blocks(uint64_t bytes)
{
	return (bytes + WEFT_PLAN_IO_ALIGN - 1) / WEFT_PLAN_IO_ALIGN * WEFT_PLAN_IO_ALIGN;
}

#define WEFT_MAX_ACCESSES (2 * WEFT_MAX_OPERANDS)

struct weft_walk {
	const struct weft_plan *plan;
	const struct weft_graph *graph;
	uint64_t (*at)[WEFT_TIERS]; /* per value: offset of its copy in each tier */
	uint32_t next;		    /* action that the next call returns */
	uint64_t from, to, bytes;   /* transfers: offsets in their tiers, and size */
	struct weft_access access[WEFT_MAX_ACCESSES];
	unsigned int accesses;
};

int weft_walk_begin(struct weft_walk *walk, const struct weft_plan *plan, const struct weft_graph *graph);
/** The next action, with its transfer and accesses filled in; NULL at the end. */
const struct weft_action *weft_walk_next(struct weft_walk *walk);
void weft_walk_end(struct weft_walk *walk);

/**
 * Which earlier actions a new one must wait for: ranges that were touched, and by
 * whom.  An action that writes waits for all that touched the range; one that
 * reads, for those that wrote it.
 */
struct weft_hazards;
struct weft_hazards *weft_hazards_new(void);
void weft_hazards_free(struct weft_hazards *hazards);
typedef void (*weft_hazard_visit)(void *user, uint32_t earlier);
/** Visit what @access conflicts with; an action may be visited more than once. */
void weft_hazards_visit(const struct weft_hazards *hazards, const struct weft_access *access, weft_hazard_visit visit,
			void *user);
/** Record that action @index makes @access, after it was visited for. */
int weft_hazards_record(struct weft_hazards *hazards, const struct weft_access *access, uint32_t index);

#endif /* WEFT_PLAN_WALK_H */
