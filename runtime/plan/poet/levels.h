/* SPDX-License-Identifier: MIT */
/**
 * Inequalities on what is in RAM within one stage, added where solutions of
 * the relaxation break them.
 *
 * Once: in a stage, a tensor that is there is neither computed again nor paged
 * in, and what is computed is not paged in.  A schedule that does so needs
 * neither less energy nor less RAM than the same without (what is paged in
 * during a stage is retained, so it is not freed within it).
 *
 * Level: after every position of a stage, what is kept through it, what later
 * readers in it need and what waits to be read is within the budget.  The rows
 * of the relaxation say so after the last position only.
 */
#ifndef WEFT_PLAN_POET_LEVELS_H
#define WEFT_PLAN_POET_LEVELS_H

#include "plan/poet/pool.h"

/**
 * Add the inequalities that @x breaks most, at most @limit of each kind, to
 * the relaxation and to @pool.  Returns how many, or -ENOMEM.
 */
int poet_add_levels(struct poet_relaxation *relaxation, struct poet_pool *pool, const double *x, int limit);

#endif /* WEFT_PLAN_POET_LEVELS_H */
