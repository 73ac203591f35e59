/* SPDX-License-Identifier: MIT */
/**
 * How much memory was touched since a copy was touched last, as a plan is walked
 * through: what caches still hold of it.
 */
#ifndef WEFT_PLAN_RECENCY_H
#define WEFT_PLAN_RECENCY_H

#include "plan/walk.h"

struct weft_recency;

/** NULL: no memory. */
struct weft_recency *weft_recency_new(const struct weft_plan *plan, const struct weft_graph *graph);
void weft_recency_free(struct weft_recency *recency);
/**
 * Bytes of host and device memory that were touched since the copy of base @value in @tier, which is not
 * storage, was, that copy included; each byte counts once.  UINT64_MAX: it was not touched.
 */
uint64_t weft_recency_bytes(const struct weft_recency *recency, enum weft_tier tier, weft_id value);
/** Record what action @index, at which the walk is, touches. */
void weft_recency_touch(struct weft_recency *recency, const struct weft_action *action, uint32_t index);

#endif /* WEFT_PLAN_RECENCY_H */
