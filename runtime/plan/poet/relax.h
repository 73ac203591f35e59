/* SPDX-License-Identifier: MIT */
/**
 * A relaxation of the POET problem as a linear program over 0/1 variables.
 *
 * RAM is looked at in some stages only, the active ones; each is a segment of
 * its own, and each run of other stages between them is one segment, in which
 * RAM has no limit.  Variables are per segment and node, so the fewer active
 * stages, the smaller the program; every schedule is a solution of it whatever
 * the active stages are, so its least value bounds the energy from below.
 *
 * Variables, where node i can still be of use in segment s (see reach.h):
 *   RUN     i is computed (again) in s; constant 1 in i's own segment
 *   KEEP    i goes from s to s + 1 in RAM and has not been in storage since it was last computed
 *   BACK    likewise, but it came from storage
 *   LOAD    i is paged in during s
 *   SAVE    (per node) i is ever paged out
 * Splitting what is kept by where it came from is what makes the program
 * strong: BACK[s-1,i] + LOAD[s-1,i] + LOAD[s,i] <= SAVE[i] (what is there is not
 * loaded) cannot be had cheaply by loading a little in each of many stages, as
 * MI <= D can.
 *
 * RAM rows state the level after position k of an active stage t: what is kept
 * through it, what later readers in the stage need, and what waits to be read.
 */
#ifndef WEFT_PLAN_POET_RELAX_H
#define WEFT_PLAN_POET_RELAX_H

#include "plan/poet/reach.h"

enum poet_variable { POET_RUN, POET_KEEP, POET_BACK, POET_LOAD, POET_SAVE, POET_LEVEL };

/** Minimise cost . x + offset, rows A x <= most, lower <= x <= upper. */
struct poet_program {
	int columns, rows, column_room, row_room;
	size_t cells, cell_room;
	double *cost, *lower, *upper;
	bool *whole;	   /* must be an integer */
	size_t *row_start; /* rows + 1 */
	int *cell_column;
	double *cell;
	double *most;
	bool failed; /* memory was short: the program is incomplete */
};

struct poet_segment {
	uint32_t first, last; /* stages */
	bool active;	      /* one stage, with its RAM rows */
};

struct poet_relaxation {
	const struct weft_poet_instance *instance;
	struct poet_segment *segment;
	uint32_t segments;
	uint32_t *segment_of; /* per stage */
	uint32_t *last;	      /* per node, the last segment in which it can be of use */
	uint32_t *last_run;   /* and in which it can be of use to compute it again, */
	uint32_t *last_load;  /* or to page it in */
	size_t *base;	      /* per node, into variable */
	int *variable;	      /* column of (kind, segment, node); -1: none */
	int *save;	      /* column of SAVE per node */
	int *ram_row;	      /* per active segment, its RAM row after the last position */
	struct poet_program program;
	double joules_unit; /* what cost 1 of the program is in J */
	double per_byte;    /* RAM rows are in parts of the budget */
	uint64_t ram_bytes;
	uint64_t *sizes;   /* scratch, per node */
	int *level_column; /* scratch, per node */
};

/**
 * Build the relaxation with the stages marked in @active (nodes bools), for
 * schedules in which nodes are of use within @reach.  @joules_unit scales
 * energies.  -ENOMEM.
 */
int poet_relaxation_init(struct poet_relaxation *relaxation, const struct weft_poet_instance *instance,
			 const struct weft_poet_options *options, const bool *active, const struct poet_reach *reach,
			 double joules_unit);
/** Add RAM rows at the positions of active stages where the variable RUN is not fixed to 0. -ENOMEM. */
int poet_relaxation_add_positions(struct poet_relaxation *relaxation);
void poet_relaxation_clear(struct poet_relaxation *relaxation);

/**
 * Largest sum of some of @count sizes that is at most @limit; @limit itself where finding it would take too long.
 * RAM rows need no more room than that.
 */
uint64_t poet_largest_sum(const uint64_t *size, size_t count, uint64_t limit);

/** A row being written: constants go to the right-hand side. */
struct poet_row {
	struct poet_program *program;
	double most;
};

/** A row is begun, added to and ended before the next one is begun. */
struct poet_row poet_row_begin(struct poet_program *program, double most);
/** Nothing is added for column -1. */
void poet_row_add(struct poet_row *row, int column, double value);
void poet_row_end(struct poet_row *row);
/** @sign times RUN[segment,node], which is the constant 1 in the node's own segment. */
void poet_row_add_run(const struct poet_relaxation *relaxation, struct poet_row *row, uint32_t segment, uint32_t node,
		      double sign);
/** @sign times (node is in RAM at the start of segment). */
void poet_row_add_present(const struct poet_relaxation *relaxation, struct poet_row *row, uint32_t segment,
			  uint32_t node, double sign);
/** Not one stage with its RAM rows, and more than one stage: what is paged in can be read in the same segment. */
bool poet_is_loose(const struct poet_relaxation *relaxation, uint32_t segment);

/** Column of a variable, -1 where there is none. */
int poet_relaxation_column(const struct poet_relaxation *relaxation, enum poet_variable kind, uint32_t segment,
			   uint32_t node);

/** What a variable is in solution @x, 0 where there is none. */
static inline double poet_relaxation_value(const struct poet_relaxation *relaxation, const double *x,
					   enum poet_variable kind, uint32_t segment, uint32_t node)
{
	int column = poet_relaxation_column(relaxation, kind, segment, node);

	return column < 0 ? 0 : x[column];
}

/** How much of a node is in RAM at the start of a segment in solution @x. */
double poet_relaxation_present(const struct poet_relaxation *relaxation, const double *x, uint32_t segment,
			       uint32_t node);

#endif /* WEFT_PLAN_POET_RELAX_H */
