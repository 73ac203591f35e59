/* SPDX-License-Identifier: MIT */
/**
 * Inequalities that every schedule meets and fractional solutions of the
 * relaxation break.
 *
 * What is available in segment b was in RAM at the start of a, or was paged in
 * since, or was computed in between, from inputs for which the same holds.  So
 * for every path v = p0 <- p1 <- ... <- pm of inputs
 *
 *   available[b,v] <= sum over p of (in RAM at the start of a) + sum over p, s of LOAD[s,p] + sum over s of RUN[s,pm]
 *
 * with s in a..b.  Without them the relaxation computes a little of each node
 * of a path in each of many stages, and reads the same fraction of an input
 * over and over.
 */
#ifndef WEFT_PLAN_POET_CUTS_H
#define WEFT_PLAN_POET_CUTS_H

#include "plan/poet/pool.h"

/**
 * Add to the relaxation and to @pool the inequalities that @x breaks most, at most @limit.
 * Returns how many, or -ENOMEM.
 */
int poet_add_cuts(struct poet_relaxation *relaxation, struct poet_pool *pool, const double *x, int limit);

#endif /* WEFT_PLAN_POET_CUTS_H */
