/* SPDX-License-Identifier: MIT */
/** Bounds from below on the energy of a POET instance: the relaxation of relax.h, solved by Clp and Cbc. */
#ifndef WEFT_PLAN_POET_BOUND_H
#define WEFT_PLAN_POET_BOUND_H

#include "plan/poet/relax.h"

/** What is known about a program after it was solved. */
struct poet_lp {
	bool infeasible; /* proven */
	bool solved;	 /* to optimality */
	double value;	 /* proven lower bound on the objective; -INFINITY if none */
	double *reduced; /* reduced cost per column that belongs to @value; NULL if none */
	double *x;	 /* solution per column; NULL if none */
};

/**
 * Solve the program without its integrality.  The value is not the library's
 * word: it is computed anew from the multipliers, by weak duality, which holds
 * for any multipliers.  -ENOMEM.
 */
int poet_lp_solve(const struct poet_program *program, double seconds, struct poet_lp *lp);
void poet_lp_clear(struct poet_lp *lp);

/** Fix to 0 or 1 what cannot be otherwise in a solution better than @cutoff; returns how many columns. */
int poet_lp_fix(struct poet_program *program, const struct poet_lp *lp, double cutoff);

/**
 * Branch and cut for at most @seconds and @nodes (0: no limit) on solutions below
 * @cutoff.  *value becomes a lower bound on what any integer solution has, at
 * most @cutoff.  -ENOMEM.
 */
int poet_mip_bound(const struct poet_program *program, double cutoff, double seconds, uint64_t nodes, double *value);

#endif /* WEFT_PLAN_POET_BOUND_H */
