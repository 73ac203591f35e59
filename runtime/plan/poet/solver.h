/* SPDX-License-Identifier: MIT */
/** Inside of the POET solver: what its search, its relaxation and its driver share. */
#ifndef WEFT_PLAN_POET_SOLVER_H
#define WEFT_PLAN_POET_SOLVER_H

#include "plan/poet/poet.h"

/** Processor time of this thread and of children that worked for it, in seconds. */
double poet_clock(void);
/** Count @seconds of a child that has ended. */
void poet_clock_add(double seconds);

/** What a stage costs: what it computes, its highest RAM level and the sum over what it starts with. */
struct poet_stage {
	double joules, seconds;
	uint64_t peak, kept;
};

/**
 * A schedule under construction.  What is computed follows from what is kept
 * and loaded: whatever a computed node reads and is not kept is computed again
 * in the same stage, and so on.  So the choice is two bit matrices, and the
 * cost of stage t depends on rows keep[t], keep[t + 1] and load[t] alone.
 */
struct poet_state {
	const struct weft_poet_instance *instance;
	uint32_t nodes, words;	  /* of a row */
	uint64_t *keep;		  /* S: nodes + 1 rows */
	uint64_t *load;		  /* MI: nodes rows */
	uint64_t *run;		  /* R: nodes rows, derived */
	struct poet_stage *stage; /* derived */
	uint64_t *freed;	  /* scratch, per node, all 0 between calls */
};

static inline bool poet_bit(const uint64_t *row, uint32_t i)
{
	return row[i / 64] >> (i % 64) & 1;
}

static inline void poet_put_bit(uint64_t *row, uint32_t i, bool value)
{
	uint64_t mask = UINT64_C(1) << (i % 64);

	row[i / 64] = value ? row[i / 64] | mask : row[i / 64] & ~mask;
}

static inline uint64_t *poet_row(const struct poet_state *state, uint64_t *matrix, uint32_t stage)
{
	return matrix + (size_t)stage * state->words;
}

int poet_state_init(struct poet_state *state, const struct weft_poet_instance *instance);
void poet_state_clear(struct poet_state *state);

/**
 * Cost of stage @t, which starts with @kept bytes; what it computes goes to
 * @run, the words of a row up to that of @t.  *@after becomes the highest level
 * after @reader was computed, 0 where it is the last.
 */
struct poet_stage poet_state_evaluate_around(const struct poet_state *state, uint32_t t, uint64_t kept, uint64_t *run,
					     uint32_t reader, uint64_t *after);

static inline struct poet_stage poet_state_evaluate(const struct poet_state *state, uint32_t t, uint64_t kept,
						    uint64_t *run)
{
	uint64_t after;

	return poet_state_evaluate_around(state, t, kept, run, UINT32_MAX, &after);
}

/** Evaluate stage @t and store what comes of it. */
void poet_state_update(struct poet_state *state, uint32_t t);

/** The state as a schedule (pages out what is loaded, as early as it can be); NULL if memory is short. */
struct weft_poet_schedule *poet_state_schedule(const struct poet_state *state);

/** Local search on one state; see search.c. */
struct poet_search;

struct poet_search *poet_search_new(const struct weft_poet_instance *instance, const struct weft_poet_options *options);
void poet_search_free(struct poet_search *search);

/**
 * Go on until processor time @until, for @steps more steps where not 0, until
 * the best is at most @target joules, or, with @stop_stalled, until it seems
 * not to find anything better.
 */
void poet_search_run(struct poet_search *search, double until, uint64_t steps, double target, bool stop_stalled);

/** Go on from the state with these rows (nodes + 1 of each, as in struct poet_state), feasible or not. */
void poet_search_seed(struct poet_search *search, const uint64_t *keep, const uint64_t *load);

/** Energy of the best feasible state, INFINITY if none was found. */
double poet_search_best(const struct poet_search *search);
struct weft_poet_schedule *poet_search_schedule(struct poet_search *search);

#endif /* WEFT_PLAN_POET_SOLVER_H */
