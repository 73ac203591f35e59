/* SPDX-License-Identifier: MIT */
/** Bounds from below on the energy of a POET instance: the relaxation of relax.h, solved by Clp and Cbc. */
#ifndef WEFT_PLAN_POET_BOUND_H
#define WEFT_PLAN_POET_BOUND_H

#include "plan/poet/relax.h"

/** A program without its integrality, and what is known about it after it was solved. */
struct poet_lp {
	void *clp;
	int columns, *column, *original; /* free ones: of the program -> here and back */
	int rows, *row;			 /* of the program that are here; where, -1: they say nothing */
	bool started;			 /* solved before */
	int iterations;			 /* most of the next time */
	bool infeasible;		 /* proven */
	bool solved;			 /* to optimality */
	double value;			 /* proven lower bound on the objective; -INFINITY if none */
	double *reduced;		 /* reduced cost per column of the program that belongs to @value */
	double *x;			 /* solution per column of the program */
};

/** Take over a program as it is.  -ENOMEM. */
int poet_lp_open(struct poet_lp *lp, const struct poet_program *program);
/** Take over rows that were added to the program since.  -ENOMEM. */
int poet_lp_add_rows(struct poet_lp *lp, const struct poet_program *program);
/** Take over bounds of columns that were changed. */
void poet_lp_restrict(struct poet_lp *lp, const struct poet_program *program);
/**
 * Solve for at most @seconds.  The value is not the library's word: it is
 * computed anew from the multipliers, by weak duality, which holds for any
 * multipliers; that there is no solution likewise.
 */
void poet_lp_solve(struct poet_lp *lp, const struct poet_program *program, double seconds);
/** What one more on the right of a row would save, at the solution; at least 0. */
double poet_lp_multiplier(const struct poet_lp *lp, int row);
void poet_lp_close(struct poet_lp *lp);

/**
 * What every column costs a solution that has it at 1, and at 0: proven lower
 * bounds on the objective, gathered from one solution of the LP after another.
 * They hold for the bounds of columns that the program had at first.
 */
struct poet_penalty {
	int columns;
	double *lower, *upper; /* bounds at first */
	double *at_one, *at_zero;
};

int poet_penalty_init(struct poet_penalty *penalty, const struct poet_program *program);
void poet_penalty_clear(struct poet_penalty *penalty);
/** Take over what the LP shows. */
void poet_penalty_learn(struct poet_penalty *penalty, const struct poet_program *program, const struct poet_lp *lp);
/** Fix columns to what they are in every solution below @cutoff, and give the others their first bounds again. */
void poet_penalty_fix(const struct poet_penalty *penalty, struct poet_program *program, double cutoff);

/**
 * Branch and cut for at most @seconds and @nodes (0: no limit) on solutions below
 * @cutoff, in a child process.  *value becomes a lower bound on what any integer
 * solution has, at most @cutoff; -INFINITY where the child fails.  -ENOMEM.
 */
int poet_mip_bound(const struct poet_program *program, double cutoff, double seconds, uint64_t nodes, double *value);

#endif /* WEFT_PLAN_POET_BOUND_H */
