/* SPDX-License-Identifier: MIT */
/** Proofs about a POET instance: how little energy a schedule could need, or that there is none. */
#ifndef WEFT_PLAN_POET_PROVE_H
#define WEFT_PLAN_POET_PROVE_H

#include "plan/poet/solver.h"

struct poet_proof {
	double bound_joules; /* in: known so far; out: at least that */
	bool infeasible;     /* proven */
};

/**
 * Tighten @proof.  The proof stops when the bound is within @gap of the
 * overhead of the best schedule that @search knows, at processor time @until,
 * or when it knows no further.  On the way the search goes on from what the
 * relaxation shows.  -ENOMEM.
 */
int poet_prove(const struct weft_poet_instance *instance, const struct weft_poet_options *options,
	       struct poet_search *search, double gap, double until, struct poet_proof *proof);

#endif /* WEFT_PLAN_POET_PROVE_H */
