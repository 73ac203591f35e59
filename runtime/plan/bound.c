// SPDX-License-Identifier: MIT
/*
 * A lower bound on the energy of every plan.
 *
 * Every operation runs once, what the host fills is paged in and what it reads is
 * paged out.  Beyond that, look at the moment when one operation L runs, in whatever
 * order the others do: what L depends on has run, and what depends on L has not.  A
 * value made by the former and read by the latter is then in device memory, or it is
 * paged out and in again, or an operation that made it runs once more; and a
 * persistent value that is not in device memory then is at home elsewhere, so it is
 * paged in, and out again if it is updated.  Device memory has no room for all of
 * them, and the cheapest choice of what to leave out, with fractions allowed, costs no
 * more than any plan's.  The best bound of several such L counts.
 */
#include "plan/bound.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "plan/problem.h"
#include "weft/error.h"

/* Operations that are tried as L. */
#define CUTS 64

/* What need not be in device memory when L runs. */
struct absentee {
	double bytes, joules;
};

struct bounding {
	const struct weft_problem *problem;
	double device_bytes;
	bool *before, *after;	/* per operation: L depends on it, it depends on L */
	bool *needed, *tainted; /* per base */
	bool *here;		/* per base: an operand of L */
	double *crossing;	/* per operation: bytes that it makes and that are read after L */
	struct absentee *absentee;
	uint32_t absentees;
};

static double page_in(const struct weft_problem *problem, uint32_t b)
{
	return weft_transfer_joules(&problem->costs->page_in, (double)problem->base[b].bytes);
}

static double page_out(const struct weft_problem *problem, uint32_t b)
{
	return weft_transfer_joules(&problem->costs->page_out, (double)problem->base[b].bytes);
}

/* What no plan avoids, whatever its memory. */
static double everything_once(const struct weft_problem *problem)
{
	double joules = 0;

	for (weft_id o = 0; o < problem->graph->operations; o++)
		joules += problem->costs->operation_joules[o];
	for (uint32_t b = 0; b < problem->bases; b++) {
		if (problem->base[b].fed && problem->base[b].uses)
			joules += page_in(problem, b);
		if (problem->base[b].output && (problem->base[b].writers || problem->base[b].updates))
			joules += page_out(problem, b);
	}
	return joules;
}

/* Mark what the operation at @position depends on, and what depends on it. */
static void mark(struct bounding *bounding, uint32_t position)
{
	const struct weft_problem *problem = bounding->problem;
	uint32_t operations = problem->graph->operations;

	memset(bounding->before, 0, operations * sizeof(bool));
	memset(bounding->after, 0, operations * sizeof(bool));
	memset(bounding->needed, 0, problem->bases * sizeof(bool));
	memset(bounding->tainted, 0, problem->bases * sizeof(bool));
	for (uint32_t p = position + 1; p-- > 0;) {
		weft_id o = problem->order[p];
		bool makes = p == position;

		for (unsigned int i = 0; !makes && i < problem->touches[o]; i++)
			makes = problem->touch[o][i].kinds != WEFT_TOUCH_READ &&
				bounding->needed[problem->touch[o][i].base];
		if (!makes)
			continue;
		bounding->before[o] = p != position;
		for (unsigned int i = 0; i < problem->touches[o]; i++)
			if (problem->touch[o][i].kinds != WEFT_TOUCH_WRITE)
				bounding->needed[problem->touch[o][i].base] = true;
	}
	for (uint32_t p = position; p < operations; p++) {
		weft_id o = problem->order[p];
		bool depends = p == position;

		for (unsigned int i = 0; !depends && i < problem->touches[o]; i++)
			depends = problem->touch[o][i].kinds != WEFT_TOUCH_WRITE &&
				  bounding->tainted[problem->touch[o][i].base];
		if (!depends)
			continue;
		bounding->after[o] = p != position;
		for (unsigned int i = 0; i < problem->touches[o]; i++)
			if (problem->touch[o][i].kinds != WEFT_TOUCH_READ)
				bounding->tainted[problem->touch[o][i].base] = true;
	}
}

/* @b is whole before L runs, and read after it. */
static bool crosses(const struct bounding *bounding, uint32_t b)
{
	const struct weft_problem *problem = bounding->problem;
	const struct weft_base *base = &problem->base[b];

	if (base->persistent || base->fed || !base->writers || base->updates)
		return false;
	for (uint32_t w = 0; w < base->writers; w++)
		if (!bounding->before[base->writer[w]])
			return false;
	for (uint32_t u = 0; u < base->uses; u++)
		if (bounding->after[problem->order[base->use[u]]])
			return true;
	return false;
}

/* An operation that makes several values again is shared among them. */
static double recompute(const struct bounding *bounding, uint32_t b)
{
	const struct weft_problem *problem = bounding->problem;
	const struct weft_base *base = &problem->base[b];
	double joules = 0;

	if (!base->recomputable)
		return INFINITY;
	for (uint32_t w = 0; w < base->writers; w++)
		joules += problem->costs->operation_joules[base->writer[w]] * (double)base->bytes /
			  bounding->crossing[base->writer[w]];
	return joules;
}

static void find_absentees(struct bounding *bounding)
{
	const struct weft_problem *problem = bounding->problem;

	memset(bounding->crossing, 0, problem->graph->operations * sizeof(double));
	bounding->absentees = 0;
	for (uint32_t b = 0; b < problem->bases; b++)
		if (!bounding->here[b] && crosses(bounding, b))
			for (uint32_t w = 0; w < problem->base[b].writers; w++)
				bounding->crossing[problem->base[b].writer[w]] += (double)problem->base[b].bytes;
	for (uint32_t b = 0; b < problem->bases; b++) {
		const struct weft_base *base = &problem->base[b];
		double joules = 0;

		if (bounding->here[b] || !base->bytes)
			continue;
		if (base->persistent) {
			if (base->uses)
				joules = page_in(problem, b) +
					 (base->updates && !base->output ? page_out(problem, b) : 0);
		} else if (crosses(bounding, b)) {
			joules = fmin(page_in(problem, b) + (base->output ? 0 : page_out(problem, b)),
				      recompute(bounding, b));
		} else {
			continue;
		}
		bounding->absentee[bounding->absentees++] = (struct absentee){(double)base->bytes, joules};
	}
}

/* Bytes of the operands of @o; outputs that may stand where an input stood count once. */
static double operands(struct bounding *bounding, weft_id o)
{
	const struct weft_problem *problem = bounding->problem;
	const struct weft_operation *operation = &problem->graph->operation[o];
	double bytes = 0;

	memset(bounding->here, 0, problem->bases * sizeof(bool));
	for (unsigned int i = 0; i < operation->operands; i++) {
		uint32_t b;

		if (operation->operand[i] == WEFT_NO_ID)
			continue;
		b = problem->base_of[operation->operand[i]];
		if (bounding->here[b])
			continue;
		bounding->here[b] = true;
		if (i < operation->inputs || !(operation->may_in_place & (1u << i)))
			bytes += (double)problem->base[b].bytes;
	}
	return bytes;
}

static int by_density(const void *x, const void *y)
{
	const struct absentee *a = x, *b = y;
	double s = a->joules * b->bytes, t = b->joules * a->bytes;

	return s < t ? -1 : s > t;
}

/* The least that leaving out what device memory has no room for costs. */
static double least_absence(struct bounding *bounding, uint32_t position)
{
	double room = bounding->device_bytes - operands(bounding, bounding->problem->order[position]);
	double over = -room, joules = 0;

	mark(bounding, position);
	find_absentees(bounding);
	for (uint32_t i = 0; i < bounding->absentees; i++)
		over += bounding->absentee[i].bytes;
	qsort(bounding->absentee, bounding->absentees, sizeof(*bounding->absentee), by_density);
	for (uint32_t i = 0; i < bounding->absentees && over > 0; i++) {
		double share = fmin(over / bounding->absentee[i].bytes, 1);

		joules += share * bounding->absentee[i].joules;
		over -= share * bounding->absentee[i].bytes;
	}
	return joules;
}

int weft_plan_bound(const struct weft_graph *graph, const struct weft_costs *costs, const struct weft_budget *budget,
		    double *joules)
{
	struct bounding bounding = {.device_bytes = (double)budget->bytes[WEFT_TIER_DEVICE]};
	struct weft_problem *problem = NULL;
	uint32_t operations = graph->operations;
	double most = 0;
	int result = weft_problem_new(graph, costs, WEFT_ORDER_GRAPH, &problem);

	*joules = 0;
	if (result)
		return result;
	bounding.problem = problem;
	bounding.before = calloc(operations + 1, sizeof(bool));
	bounding.after = calloc(operations + 1, sizeof(bool));
	bounding.needed = calloc(problem->bases + 1, sizeof(bool));
	bounding.tainted = calloc(problem->bases + 1, sizeof(bool));
	bounding.here = calloc(problem->bases + 1, sizeof(bool));
	bounding.crossing = calloc(operations + 1, sizeof(double));
	bounding.absentee = calloc(problem->bases + 1, sizeof(struct absentee));
	if (!bounding.before || !bounding.after || !bounding.needed || !bounding.tainted || !bounding.here ||
	    !bounding.crossing || !bounding.absentee)
		result = weft_fail(ENOMEM, "no memory for the bound of a plan");
	for (uint32_t cut = 0; !result && cut < CUTS && cut < operations; cut++) {
		uint32_t position = operations <= CUTS ? cut : (uint32_t)((uint64_t)cut * operations / CUTS);

		most = fmax(most, least_absence(&bounding, position));
	}
	if (!result)
		*joules = everything_once(problem) + most;
	free(bounding.before);
	free(bounding.after);
	free(bounding.needed);
	free(bounding.tainted);
	free(bounding.here);
	free(bounding.crossing);
	free(bounding.absentee);
	weft_problem_free(problem);
	return result;
}
