/* SPDX-License-Identifier: MIT */
/** Training graphs of any size in the manner of POET's instances, to see how planning time grows. */
#ifndef WEFT_BENCH_PLAN_GROWTH_H
#define WEFT_BENCH_PLAN_GROWTH_H

#include "plan/poet/poet.h"

enum growth_kind { GROWTH_CHAIN, GROWTH_RESIDUAL, GROWTH_ATTENTION, GROWTH_KINDS };

extern const char *const growth_name[GROWTH_KINDS];

/**
 * A network of at most @nodes nodes (forward and backward together).  A
 * gradient reads its operation's output and first input and the gradient
 * before, costs twice its operation and is as large as its output; costs are
 * those of a Cortex-M4F with an SD card.
 */
int growth_make(enum growth_kind kind, uint32_t nodes, struct weft_poet_instance **instance);

#endif /* WEFT_BENCH_PLAN_GROWTH_H */
