/* SPDX-License-Identifier: MIT */
/**
 * Lives of tensors: when each is in RAM and when it is paged in, with what the
 * whole costs, and the best life of one tensor while all others stay as they
 * are.
 *
 * What the stages hold is there twice, by stage and by node: a life of
 * thousands of stages is looked through 64 stages at a time, and only the
 * stages in which something reads or computes the tensor are evaluated.
 */
#ifndef WEFT_PLAN_POET_LIFE_H
#define WEFT_PLAN_POET_LIFE_H

#include "plan/poet/solver.h"

struct poet_event;

struct poet_lives {
	struct poet_state state;
	const struct weft_poet_instance *instance;
	uint64_t ram_bytes;
	double most_seconds;		  /* INFINITY for none */
	double byte_price, second_price;  /* J, of what is above the budgets */
	double joules, seconds, overflow; /* of the state; overflow: sum over stages of bytes above the budget */
	uint32_t *loads;		  /* per node, how often it is paged in */
	uint32_t *last;			  /* per node, last stage that reads it for the first time */
	/* Per node, a row of bits over stages: */
	uint64_t *keep_of, *load_of, *run_of;
	/* Scratch: rows, and the events of a life. */
	uint64_t *row, *involved, *present, *steady, *touched, *life;
	struct poet_event *event;
};

int poet_lives_init(struct poet_lives *lives, const struct weft_poet_instance *instance,
		    const struct weft_poet_options *options);
void poet_lives_clear(struct poet_lives *lives);

/** Everything anew from the rows of keep and load of the state. */
void poet_lives_derive(struct poet_lives *lives);
/** Totals anew, free of the rounding that updates pile up. */
void poet_lives_recount(struct poet_lives *lives);
/** Energy, and what is above the budgets at its price. */
double poet_lives_price(const struct poet_lives *lives);
bool poet_lives_feasible(const struct poet_lives *lives);

/** A life: a row for when the tensor is in RAM as a stage starts, and one for when it is paged in. */
static inline size_t poet_life_words(const struct poet_lives *lives)
{
	return 2 * (size_t)lives->state.words;
}

void poet_life_read(const struct poet_lives *lives, uint32_t i, uint64_t *life);
void poet_life_apply(struct poet_lives *lives, uint32_t i, const uint64_t *life);
/**
 * Replan @i optimally with everything else as it is.  In a stage where nothing
 * asks for it, it is computed only if nothing else must be computed for that.
 */
void poet_life_replan(struct poet_lives *lives, uint32_t i);

/** Leave out of the life of @i what nothing reads.  Nodes in descending order: what goes may have read others. */
void poet_life_trim(struct poet_lives *lives, uint32_t i);

/** Simple lives to replan from. */
enum poet_life_kind {
	POET_LIFE_NEVER,      /* never in RAM after its own stage, */
	POET_LIFE_ALWAYS,     /* always until its last reader, */
	POET_LIFE_WHERE_READ, /* or where it is read, and paged in for that */
	POET_LIFE_KINDS,
};

void poet_life_simple(const struct poet_lives *lives, uint32_t i, enum poet_life_kind kind, uint64_t *life);

#endif /* WEFT_PLAN_POET_LIFE_H */
