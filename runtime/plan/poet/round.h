/* SPDX-License-Identifier: MIT */
/** Solutions of the relaxation as something to start a search from. */
#ifndef WEFT_PLAN_POET_ROUND_H
#define WEFT_PLAN_POET_ROUND_H

#include "plan/poet/relax.h"
#include "plan/poet/solver.h"

/** Let the search go on from @x, rounded.  -ENOMEM. */
int poet_round(const struct poet_relaxation *relaxation, const double *x, struct poet_search *search);

#endif /* WEFT_PLAN_POET_ROUND_H */
