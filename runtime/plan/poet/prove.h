/* SPDX-License-Identifier: MIT */
/** Proofs about a POET instance: how little energy a schedule could need, or that there is none. */
#ifndef WEFT_PLAN_POET_PROVE_H
#define WEFT_PLAN_POET_PROVE_H

#include "plan/poet/poet.h"

struct poet_proof {
	double bound_joules; /* in: known so far; out: at least that */
	bool infeasible;     /* proven */
};

/**
 * Tighten @proof.  @best_joules is the energy of the best known schedule
 * (INFINITY: none); the proof stops when the bound is within @gap of the
 * overhead from it, at processor time @until, or when it knows no further.
 * -ENOMEM.
 */
int poet_prove(const struct weft_poet_instance *instance, const struct weft_poet_options *options, double best_joules,
	       double gap, double until, struct poet_proof *proof);

#endif /* WEFT_PLAN_POET_PROVE_H */
