// SPDX-License-Identifier: MIT
/*
 * Bounds in rising order of effort: the linear relaxation; then, with all
 * variables gone that a schedule better than the known one cannot use, branch
 * and cut for solutions of the relaxation below a cutoff.  That there is none
 * below nine tenths of the known overhead is quickly shown, and worth having
 * before the last tenth is tried.
 */
#include "plan/poet/prove.h"

#include "plan/poet/bound.h"
#include "plan/poet/solver.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

/* More columns than this are too slow for the LP: fewer active stages then. */
#define MOST_COLUMNS 100000
#define COLUMNS_PER_CELL 4
/* What branch and cut can take on, in free columns per second that is left for it. */
#define COLUMNS_PER_SECOND 8000

/* Mark every @stride-th stage in which keeping everything would not fit. */
static uint32_t mark_active(const struct weft_poet_instance *instance, uint64_t ram_bytes, uint32_t stride,
			    bool *active)
{
	uint32_t nodes = instance->nodes, tight = 0, marked = 0;
	uint64_t level = 0;

	for (uint32_t t = 0; t < nodes; t++) {
		level += instance->node[t].bytes;
		active[t] = level > ram_bytes && tight++ % stride == 0;
		marked += active[t];
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

/* Active stages few enough for the LP; how many there are. */
static uint32_t choose_active(const struct weft_poet_instance *instance, uint64_t ram_bytes, bool *active)
{
	for (uint32_t stride = 1;; stride++) {
		uint32_t marked = mark_active(instance, ram_bytes, stride, active);
		double cells = 0;

		/* Most nodes can be of use from their own segment to the last one. */
		for (uint32_t t = 0, left = 2 * marked + 1; t < instance->nodes; t++) {
			cells += left;
			left -= active[t] && left > 2 ? 2 : 0;
		}
		if (marked < 3 || cells * COLUMNS_PER_CELL / 2 <= MOST_COLUMNS)
			return marked;
	}
}

struct effort {
	struct poet_relaxation relaxation;
	double unit, base; /* J */
	double best;	   /* overhead of the best known schedule, in units; INFINITY: none */
	double value;	   /* proven overhead, in units */
	double until;
	uint64_t nodes; /* limit of branch and cut */
	bool infeasible, positions, branched;
};

static double time_left(const struct effort *e)
{
	return e->until - poet_clock();
}

/* Solve the LP and rule out variables that solutions below @cutoff do not use. */
static int tighten(struct effort *e, double cutoff, struct poet_lp *lp)
{
	int status = poet_lp_solve(&e->relaxation.program, time_left(e), lp);

	if (!status && lp->infeasible) {
		/* With what a cutoff ruled out put aside, nothing is below that cutoff. */
		if (cutoff < INFINITY)
			e->value = cutoff > e->value ? cutoff : e->value;
		else
			e->infeasible = true;
	} else if (!status && lp->reduced) {
		double value = lp->value < cutoff ? lp->value : cutoff;

		e->value = value > e->value ? value : e->value;
		if (cutoff < INFINITY)
			poet_lp_fix(&e->relaxation.program, lp, cutoff);
	}
	return status;
}

/* Branch and cut looks at its clock between steps that take long on large programs: leave it out there. */
static bool too_large(const struct effort *e)
{
	const struct poet_program *p = &e->relaxation.program;
	double free_columns = 0;

	for (int column = 0; column < p->columns; column++)
		free_columns += p->upper[column] > p->lower[column];
	return free_columns > COLUMNS_PER_SECOND * time_left(e);
}

/* Branch and cut below @cutoff, with RAM rows at every position if those at the ends of stages are not enough. */
static int branch(struct effort *e, double cutoff)
{
	struct poet_lp lp = {0};
	int status = 0;

	while (!status && e->value < cutoff && !e->infeasible && time_left(e) > 0.05) {
		double value = -INFINITY, limit = cutoff < INFINITY ? cutoff : 1e30;

		if (too_large(e))
			break;

		status = poet_mip_bound(&e->relaxation.program, limit, time_left(e), e->nodes, &value);
		if (status)
			break;
		if (cutoff == INFINITY && value >= limit)
			e->infeasible = true;
		else if (value > e->value)
			e->value = value;
		if (e->value >= cutoff || e->positions || time_left(e) < 0.05)
			break;
		e->positions = true;
		status = poet_relaxation_add_positions(&e->relaxation);
		if (!status)
			status = tighten(e, cutoff, &lp);
		poet_lp_clear(&lp);
	}
	return status;
}

static int climb(struct effort *e, double gap, const struct weft_poet_instance *instance,
		 const struct weft_poet_options *options, const bool *active)
{
	static const double below[] = {0.08, 0.02, 0};
	double last = gap < 0.02 ? gap : 0.02;
	int status = poet_relaxation_init(&e->relaxation, instance, options, active, e->unit);

	struct poet_lp lp = {0};

	if (!status)
		status = tighten(e, INFINITY, &lp);
	if (!status && e->best == INFINITY)
		status = branch(e, INFINITY);
	for (size_t b = 0; !status && e->best < INFINITY && b < sizeof(below) / sizeof(below[0]); b++) {
		double cutoff = e->best * (1 - (below[b] > 0 ? below[b] : last));

		if (e->value >= e->best * (1 - gap) || time_left(e) <= 0.05)
			break;
		if (e->value >= cutoff)
			continue;
		/* What a lower cutoff ruled out must come back for a higher one; the LP's answer is the same. */
		if (e->branched) {
			poet_relaxation_clear(&e->relaxation);
			status = poet_relaxation_init(&e->relaxation, instance, options, active, e->unit);
		}
		e->branched = true;
		e->positions = false;
		if (!status && lp.reduced)
			poet_lp_fix(&e->relaxation.program, &lp, cutoff);
		if (!status)
			status = branch(e, cutoff);
		if (e->value < cutoff)
			break;
	}
	poet_lp_clear(&lp);
	poet_relaxation_clear(&e->relaxation);
	return status;
}

int poet_prove(const struct weft_poet_instance *instance, const struct weft_poet_options *options, double best_joules,
	       double gap, double until, struct poet_proof *proof)
{
	double overhead = best_joules - instance->base_joules;
	struct effort e = {.best = INFINITY, .value = 0, .until = until, .nodes = options->iterations, .unit = 1};
	bool *active;
	int status;

	if (overhead <= 0)
		return 0; /* nothing is below computing everything once */
	if (overhead < INFINITY) {
		e.unit = overhead;
		e.best = 1;
	} else if (instance->base_joules > 0) {
		e.unit = instance->base_joules;
	}
	active = calloc(instance->nodes, sizeof(*active));
	if (!active)
		return -ENOMEM;
	if (!choose_active(instance, options->ram_bytes, active)) {
		free(active);
		return 0;
	}
	status = climb(&e, gap, instance, options, active);
	free(active);
	if (e.infeasible)
		proof->infeasible = true;
	else if (instance->base_joules + e.value * e.unit > proof->bound_joules)
		proof->bound_joules = instance->base_joules + e.value * e.unit;
	return status;
}
