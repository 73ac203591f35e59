// SPDX-License-Identifier: MIT
/*
 * Bounds in rising order of effort: the linear relaxation; the inequalities of
 * cuts.h and levels.h, round by round; then, with all variables gone that a
 * schedule better than the known one cannot use, branch and cut for solutions
 * of the relaxation below a cutoff.  That there is none below nine tenths of
 * the known overhead is quickly shown, and worth having before the last tenth
 * is tried.  Where the first relaxation stalls there is a second one, with all
 * tight stages or, on graphs too large for that, with few and then more.
 */
#include "plan/poet/prove.h"

#include "plan/poet/bound.h"
#include "plan/poet/cuts.h"
#include "plan/poet/levels.h"
#include "plan/poet/refine.h"
#include "plan/poet/round.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* More columns than this are too slow for the LP: fewer active stages then. */
#define MOST_COLUMNS 100000
#define COLUMNS_OF_LP_PER_SECOND 3000
/* Least part of the time for the proof that is worth a second relaxation; branching in the first, in parts of it. */
#define SECOND_SHARE 0.25
#define BRANCH_SHARE 0.15
/* Where so little of the overhead is open the search gets half of the time that is left for the proof. */
#define LITTLE_OPEN 0.01
/* The first program's part of that, and of how many tight stages one is active in it. */
#define FIRST_COLUMNS 0.5
#define SECOND_COLUMNS 1.5
#define FIRST_STRIDE 8
/* More active stages are worth it if they raise the bound by this part of the best. */
#define LEAST_RISE 0.003
/* What branch and cut can take on, in free columns per second that is left for it and in all. */
#define COLUMNS_PER_SECOND 8000
#define MOST_COLUMNS_TO_BRANCH 12000
/*
 * Rounds of cuts end when the bound rose by less than this part of what is
 * missing in so many rounds, fewer where more stages are the way on; the
 * smaller part where branching is no way on.
 */
#define PATIENCE 6
#define SHORT_PATIENCE 3
#define LEAST_PROGRESS 0.1
#define LEAST_PROGRESS_ALONE 0.01
/* Stages that come at a time, and twice, four and eight times as many where they do not help. */
#define REFINED_STAGES 4
#define MOST_VAIN 3
/* Less than this is not worth beginning with anything. */
#define LEAST_SECONDS 0.05
/* Time for searching on from what the LP shows, each time, in parts of all time for the proof. */
#define SEARCH_SHARE 0.06
/* The point that cuts are to cut off goes by this part from earlier solutions to the latest. */
#define INWARD 0.7
/* Cuts of one round. */
#define MOST_CUTS 500

/* What computing node t alone needs in RAM. */
static uint64_t operand_bytes(const struct weft_poet_instance *instance, uint32_t t)
{
	uint64_t bytes = instance->node[t].bytes;

	for (uint32_t e = instance->input.start[t]; e < instance->input.start[t + 1]; e++)
		bytes += instance->node[instance->input.item[e]].bytes;
	return bytes;
}

/*
 * Of the stages in which keeping everything would not fit, mark one of every
 * @stride: the one with the largest operands.
 */
static uint32_t mark_active(const struct weft_poet_instance *instance, uint64_t ram_bytes, uint32_t stride,
			    bool *active)
{
	uint32_t nodes = instance->nodes, tight = 0, marked = 0, chosen = 0;
	uint64_t level = 0;

	for (uint32_t t = 0; t < nodes; t++) {
		active[t] = false;
		level += instance->node[t].bytes;
		if (level > ram_bytes) {
			if (tight++ % stride == 0) {
				chosen = t;
				marked++;
			} else if (operand_bytes(instance, t) > operand_bytes(instance, chosen)) {
				active[chosen] = false;
				chosen = t;
			}
			active[chosen] = true;
		}
		/* After the stage, what it read last is gone. */
		for (uint32_t e = instance->input.start[t]; e < instance->input.start[t + 1]; e++) {
			uint32_t i = instance->input.item[e];

			if (instance->reader.item[instance->reader.start[i + 1] - 1] == t)
				level -= instance->node[i].bytes;
		}
		if (instance->reader.start[t + 1] == instance->reader.start[t])
			level -= instance->node[t].bytes;
	}
	return marked;
}

/* The first active stages; how many there are, or -ENOMEM. */
static int choose_active(const struct weft_poet_instance *instance, uint64_t ram_bytes, const struct poet_reach *reach,
			 uint32_t stride, double most_columns, bool *active)
{
	uint32_t *segment = malloc(instance->nodes * sizeof(*segment)), marked = 0;

	if (!segment)
		return -ENOMEM;
	for (;; stride++) {
		marked = mark_active(instance, ram_bytes, stride, active);
		if (marked < 3 || poet_count_columns(instance, reach, active, segment) <= most_columns)
			break;
	}
	free(segment);
	return (int)marked;
}

struct effort {
	const struct weft_poet_instance *instance;
	const struct weft_poet_options *options;
	const struct poet_reach *reach;
	bool *active;	     /* stages */
	double most_columns; /* of an LP */
	struct poet_relaxation relaxation;
	struct poet_pool pool;
	struct poet_penalty penalty;
	double unit, base;     /* J */
	double best;	       /* overhead of the best known schedule, in units; INFINITY: none */
	double value;	       /* proven overhead, in units */
	double until, seconds; /* end and length of the proof */
	uint64_t nodes;	       /* limit of branch and cut, and of each search in between */
	struct poet_search *search;
	double search_again; /* when the bound is nearer to the best than this part of it */
	bool vain;	     /* the last search from what the LP shows was for nothing, and not the first */
	bool last;	     /* nothing comes after the present relaxation */
	bool infeasible;
};

static double time_left(const struct effort *e)
{
	return e->until - poet_clock();
}

/* Take over what the LP shows.  Everything is about schedules below @cutoff: what does not help those is left out. */
static void learn(struct effort *e, const struct poet_lp *lp, double cutoff)
{
	double value = lp->infeasible || lp->value > cutoff ? cutoff : lp->value;

	if (lp->infeasible && cutoff == INFINITY)
		e->infeasible = true;
	else if (value > e->value)
		e->value = value;
}

/* Search on from what the LP shows. */
static int improve(struct effort *e, const struct poet_lp *lp)
{
	double target = e->base + e->unit * e->value, before = e->best;
	int status;

	if (e->vain)
		return 0;
	status = poet_round(&e->relaxation, lp->x, e->search);

	if (status < 0)
		return status;
	poet_search_run(e->search, poet_clock() + fmin(SEARCH_SHARE * e->seconds, time_left(e)), e->nodes, target,
			true);
	e->best = fmin(e->best, (poet_search_best(e->search) - e->base) / e->unit);
	e->vain = e->search_again < 1 && e->best >= before;
	e->search_again = e->best < INFINITY ? (1 - e->value / e->best) / 2 : 0;
	return 0;
}

/* Branch and cut looks at its clock between steps that take long on large programs: leave it out there. */
static bool too_large(const struct effort *e)
{
	const struct poet_program *p = &e->relaxation.program;
	double free_columns = 0;

	for (int column = 0; column < p->columns; column++)
		free_columns += p->upper[column] > p->lower[column];
	return free_columns > fmin(MOST_COLUMNS_TO_BRANCH, COLUMNS_PER_SECOND * time_left(e));
}

static double least_progress(const struct effort *e, double value, double cutoff)
{
	double part = too_large(e) ? LEAST_PROGRESS_ALONE : LEAST_PROGRESS;

	return part * (cutoff < INFINITY ? cutoff - value : value > 0 ? value : 1);
}

/*
 * Add inequalities that the LP's solution breaks; how many.  Those that a point
 * between this solution and earlier ones breaks cut deeper, so they come first.
 */
static int separate(struct effort *e, const struct poet_lp *lp, double *center)
{
	int levels = poet_add_levels(&e->relaxation, &e->pool, lp->x, MOST_CUTS), cuts = 0;

	for (int column = 0; column < e->relaxation.program.columns; column++)
		center[column] += INWARD * (lp->x[column] - center[column]);
	if (levels >= 0)
		cuts = poet_add_cuts(&e->relaxation, &e->pool, center, MOST_CUTS);
	if (levels >= 0 && !cuts)
		cuts = poet_add_cuts(&e->relaxation, &e->pool, lp->x, MOST_CUTS);
	return levels < 0 ? levels : cuts < 0 ? cuts : levels + cuts;
}

/* Solve the LP, add inequalities that its solution breaks, and again, as long as the bound rises. */
static int tighten(struct effort *e, double part, int patience, struct poet_lp *lp)
{
	struct poet_program *program = &e->relaxation.program;
	double last[PATIENCE] = {0}; /* @patience of them */
	double *center = malloc(((size_t)program->columns + 1) * sizeof(*center));
	int status = !center ? -ENOMEM : lp->clp ? 0 : poet_lp_open(lp, program);

	for (int round = 0; !status && time_left(e) > 0; round++) {
		double cutoff = e->best * (1 - part), value;

		poet_lp_solve(lp, program, time_left(e));
		learn(e, lp, cutoff);
		if (!lp->solved || lp->infeasible || e->value >= cutoff)
			break;
		if (e->search_again == INFINITY || cutoff - e->value < e->search_again * cutoff)
			status = improve(e, lp);
		cutoff = e->best * (1 - part);
		if (status < 0 || e->value >= cutoff)
			break;
		if (cutoff < INFINITY) {
			poet_penalty_learn(&e->penalty, program, lp);
			poet_penalty_fix(&e->penalty, program, cutoff);
			poet_lp_restrict(lp, program);
		}
		value = lp->value;
		if (round >= patience && value - last[round % patience] < least_progress(e, value, cutoff))
			break;
		last[round % patience] = value;
		if (round == 0)
			memcpy(center, lp->x, (size_t)program->columns * sizeof(*center));
		status = separate(e, lp, center);
		if (status <= 0)
			break;
		status = poet_lp_add_rows(lp, program);
	}
	free(center);
	return status < 0 ? status : 0;
}

/* Branch and cut below @cutoff. */
static int branch(struct effort *e, double cutoff)
{
	double value = -INFINITY, limit = cutoff < INFINITY ? cutoff : 1e30;
	int status = 0;

	if (e->value >= cutoff || e->infeasible || time_left(e) < 0.05 || too_large(e))
		return 0;
	status = poet_mip_bound(&e->relaxation.program, limit,
				e->last ? time_left(e) : fmin(time_left(e), BRANCH_SHARE * e->seconds), e->nodes,
				&value);
	if (!status && cutoff == INFINITY && value >= limit)
		e->infeasible = true;
	else if (!status && value > e->value)
		e->value = value;
	return status;
}

/*
 * Show that nothing is below the best but for a part of it, by the LP and its
 * cuts and, once they bring no more, by branching.
 */
static int close_in(struct effort *e, double part, struct poet_lp *lp)
{
	int status;

	if (e->best < INFINITY)
		poet_penalty_fix(&e->penalty, &e->relaxation.program, e->best * (1 - part));
	status = tighten(e, part, PATIENCE, lp);
	if (!status && lp->solved && !lp->infeasible && e->value < e->best * (1 - part))
		status = improve(e, lp);
	if (!status && lp->solved && !lp->infeasible) {
		if (e->best < INFINITY)
			poet_penalty_fix(&e->penalty, &e->relaxation.program, e->best * (1 - part));
		status = branch(e, e->best * (1 - part));
	}
	if (!status && lp->solved)
		poet_pool_purge(&e->pool, lp);
	/* The next LP is a smaller one, without the columns that are fixed by now. */
	poet_lp_close(lp);
	return status;
}

static int climb(struct effort *e, double gap, struct poet_lp *lp)
{
	const double parts[] = {0.08, 0.02, gap < 0.02 ? gap : 0.02};
	int status = poet_penalty_init(&e->penalty, &e->relaxation.program);

	for (size_t p = 0; !status && p < sizeof(parts) / sizeof(parts[0]); p++) {
		if (e->best < INFINITY && e->value >= e->best * (1 - fmax(parts[p], gap)))
			continue;
		status = close_in(e, parts[p], lp);
		if (e->infeasible || e->best == INFINITY || e->value < e->best * (1 - parts[p]) || time_left(e) <= 0.05)
			break;
	}
	poet_penalty_clear(&e->penalty);
	return status;
}

/* The relaxation with the stages in @active, and its LP solved. */
static int build(struct effort *e, struct poet_lp *lp)
{
	int status;

	poet_lp_close(lp);
	poet_relaxation_clear(&e->relaxation);
	status = poet_relaxation_init(&e->relaxation, e->instance, e->options, e->active, e->reach, e->unit);
	if (!status)
		status = poet_pool_write(&e->pool, &e->relaxation);
	if (!status)
		status = poet_lp_open(lp, &e->relaxation.program);
	if (!status) {
		poet_lp_solve(lp, &e->relaxation.program, time_left(e));
		learn(e, lp, e->best);
	}
	return status;
}

/*
 * From few active stages to those that matter: every eighth that is tight at
 * first, then more as refine.h says, until that raises the bound no further.
 * What did not raise it is taken back.
 */
static int settle(struct effort *e, struct poet_lp *lp)
{
	uint32_t nodes = e->instance->nodes;
	bool *before = malloc(nodes * sizeof(*before));
	bool known = e->best < INFINITY;
	int status = -ENOMEM;

	/* Where no schedule is known there may be none: every stage can be why. */
	if (before)
		status = choose_active(e->instance, e->options->ram_bytes, e->reach, known ? FIRST_STRIDE : 1,
				       known ? e->most_columns * FIRST_COLUMNS : e->most_columns, e->active);
	if (status > 0)
		status = build(e, lp);
	while (!status && known && lp->solved && !lp->infeasible && e->value < e->best &&
	       time_left(e) > e->seconds / 2) {
		double value = lp->value;

		memcpy(before, e->active, nodes * sizeof(*before));
		status = poet_refine(&e->relaxation, lp, e->reach, e->most_columns, nodes, e->active);
		if (status <= 0)
			break;
		status = build(e, lp);
		if (!status && lp->solved && lp->value < value + LEAST_RISE * e->best) {
			memcpy(e->active, before, nodes * sizeof(*before));
			status = build(e, lp);
			break;
		}
	}
	free(before);
	return status;
}

/* One of the parts of a climb; the gap itself is the last. */
static double next_part(const struct effort *e, double gap)
{
	const double parts[] = {0.08, 0.02};

	for (size_t p = 0; p < sizeof(parts) / sizeof(parts[0]); p++)
		if (parts[p] > gap && e->value < e->best * (1 - parts[p]))
			return parts[p];
	return gap;
}

/*
 * The other way round: from few stages to more, a few at a time, each time with
 * all cuts before more stages are chosen.  Programs stay small, and what was
 * cut off stays so.
 */
static int ascend(struct effort *e, double gap, struct poet_lp *lp)
{
	uint32_t vain = 0;
	int status = choose_active(e->instance, e->options->ram_bytes, e->reach, FIRST_STRIDE,
				   e->most_columns * FIRST_COLUMNS, e->active);

	for (status = status > 0 ? build(e, lp) : status; !status && time_left(e) > LEAST_SECONDS;) {
		double part = next_part(e, gap), before = e->value, own = lp->value;
		bool rose;

		status = poet_penalty_init(&e->penalty, &e->relaxation.program);
		if (!status)
			status = tighten(e, part, SHORT_PATIENCE, lp);
		if (!status && lp->solved && !lp->infeasible && e->value < e->best * (1 - part))
			status = improve(e, lp);
		if (status < 0 || e->value >= e->best * (1 - gap) || !lp->solved || lp->infeasible)
			break;
		rose = fmax(e->value - before, lp->value - own) > LEAST_RISE * e->best;
		vain = rose ? 0 : vain + 1;
		status = poet_refine(&e->relaxation, lp, e->reach, SECOND_COLUMNS * e->most_columns,
				     REFINED_STAGES << (vain < MOST_VAIN ? vain : MOST_VAIN), e->active);
		if (status <= 0)
			break;
		poet_pool_purge(&e->pool, lp);
		poet_penalty_clear(&e->penalty);
		status = build(e, lp);
	}
	/* What was fixed is so below one cutoff, not for good. */
	if (status >= 0 && e->penalty.at_one) {
		poet_penalty_fix(&e->penalty, &e->relaxation.program, INFINITY);
		poet_lp_restrict(lp, &e->relaxation.program);
	}
	poet_penalty_clear(&e->penalty);
	return status;
}

/* Once more with all tight stages, if an LP can take them, or else from few stages to more. */
static int climb_again(struct effort *e, double gap, struct poet_lp *lp)
{
	uint32_t nodes = e->instance->nodes;
	bool *all;
	int status;

	e->last = true;
	if (e->value >= e->best * (1 - LITTLE_OPEN))
		e->until -= fmax(time_left(e), 0) / 2;
	if (e->infeasible || e->value >= e->best * (1 - gap) || time_left(e) < SECOND_SHARE * e->seconds)
		return 0;
	all = malloc(nodes * sizeof(*all));
	if (!all)
		return -ENOMEM;
	mark_active(e->instance, e->options->ram_bytes, 1, all);
	status = choose_active(e->instance, e->options->ram_bytes, e->reach, 1, SECOND_COLUMNS * e->most_columns,
			       e->active);
	if (status >= 0 && e->best < INFINITY && memcmp(all, e->active, nodes * sizeof(*all)))
		status = ascend(e, gap, lp);
	else if (status > 0)
		status = build(e, lp);
	if (!status && lp->clp)
		status = climb(e, gap, lp);
	free(all);
	return status < 0 ? status : 0;
}

int poet_prove(const struct weft_poet_instance *instance, const struct weft_poet_options *options,
	       struct poet_search *search, double gap, double until, struct poet_proof *proof)
{
	double overhead = poet_search_best(search) - instance->base_joules;
	struct effort e = {.instance = instance,
			   .options = options,
			   .best = INFINITY,
			   .value = 0,
			   .search_again = INFINITY,
			   .until = until,
			   .seconds = until - poet_clock(),
			   .nodes = options->iterations,
			   .unit = 1,
			   .base = instance->base_joules,
			   .search = search};
	struct poet_reach reach = {0};
	struct poet_lp lp = {0};
	double slack = INFINITY;
	int status;

	if (overhead <= 0)
		return 0; /* nothing is below computing everything once */
	if (overhead < INFINITY) {
		e.unit = overhead;
		e.best = 1;
	} else if (instance->base_joules > 0) {
		e.unit = instance->base_joules;
	}
	/* Rounding of sums must not rule anything out. */
	if (options->time_ratio > 0)
		slack = (options->time_ratio - 1 + 1e-8 * options->time_ratio) * instance->base_seconds;
	e.reach = &reach;
	e.most_columns = fmin(MOST_COLUMNS, COLUMNS_OF_LP_PER_SECOND * e.seconds);
	e.active = calloc(instance->nodes, sizeof(*e.active));
	status = e.active ? poet_reach_init(&reach, instance, overhead * (1 + 1e-9), slack) : -ENOMEM;
	if (!status)
		status = settle(&e, &lp);
	if (!status && lp.clp)
		status = climb(&e, gap, &lp);
	if (!status)
		status = climb_again(&e, gap, &lp);
	poet_lp_close(&lp);
	poet_pool_clear(&e.pool);
	poet_relaxation_clear(&e.relaxation);
	poet_reach_clear(&reach);
	free(e.active);
	if (e.infeasible)
		proof->infeasible = true;
	else if (instance->base_joules + e.value * e.unit > proof->bound_joules)
		proof->bound_joules = instance->base_joules + e.value * e.unit;
	return status;
}
