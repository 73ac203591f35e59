/* SPDX-License-Identifier: MIT */
/** A picture of one step: memory of every tier by kind over time, and what each engine does. */
#ifndef WEFT_TIMELINE_H
#define WEFT_TIMELINE_H

#include "plan/plan.h"
#include "weft/session.h"

/** When an action of the plan ran; end_ns < start_ns: it did not. */
struct timeline_span {
	uint64_t start_ns, end_ns;
};

/** What stands in a tier, in order of stacking. */
enum timeline_kind {
	TIMELINE_WEIGHT,
	TIMELINE_STATE,
	TIMELINE_INPUT,
	TIMELINE_KEPT,
	TIMELINE_PAGED,
	TIMELINE_RECOMPUTED,
	TIMELINE_GRADIENT,
	TIMELINE_KINDS,
};

/** Bytes per kind from a moment on. */
struct timeline_level {
	uint64_t at_ns;
	uint64_t bytes[TIMELINE_KINDS];
};

enum timeline_lane { TIMELINE_COMPUTE, TIMELINE_IN, TIMELINE_OUT, TIMELINE_LOAD, TIMELINE_STORE, TIMELINE_LANES };

struct timeline_block {
	struct timeline_span span;
	uint8_t lane;
	uint8_t phase; /* compute: enum weft_phase */
	bool recompute;
	const char *name; /* of the operation or value; the graph's */
	uint64_t bytes;
};

struct timeline {
	struct timeline_level *level[WEFT_TIERS];
	size_t levels[WEFT_TIERS];
	struct timeline_block *block;
	size_t blocks;
	uint64_t end_ns;
	uint64_t peak[WEFT_TIERS], budget[WEFT_TIERS];
	char title[128], subtitle[256];
};

/** Work out levels and blocks from a plan and when its actions ran (one span per action). */
int timeline_build(struct timeline *timeline, const struct weft_graph *graph, const struct weft_plan *plan,
		   const struct weft_budget *budget, const struct timeline_span *span);
void timeline_free(struct timeline *timeline);
/** Draw as SVG.  The file is written beside @path and renamed. */
int timeline_write(const struct timeline *timeline, const char *path);

/** The last, traced step of a session. */
int timeline_of_session(const char *path, struct weft_session *session, const struct weft_budget *budget);

/** The step that a plan predicts. */
int timeline_of_plan(const char *path, const struct weft_graph *graph, const struct weft_plan *plan,
		     const struct weft_costs *costs, const struct weft_budget *budget);

#endif /* WEFT_TIMELINE_H */
