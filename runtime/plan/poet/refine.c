// SPDX-License-Identifier: MIT
/* Stages of refine.h, by what a solution asks of RAM in them. */
#include "plan/poet/refine.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

/* A level above the budget by less than this part of it is not worth a stage, nor is RAM of a smaller price. */
#define LEAST_VIOLATION 0.002
#define LEAST_PRICE 1e-4
/* Stages beside one whose RAM has a price come before all but the worst levels, and segments that are busy after. */
#define BESIDE 0.05
#define BUSY 1e-4
/* Less than this, of what is computed again and paged in there, is not busy. */
#define LEAST_ACTIVITY 0.05

struct candidate {
	double urgency;
	uint32_t stage;
};

/* What the solution does with a node in a segment. */
struct part {
	double present, through, again; /* there at the start; at the end; computed again or paged in */
};

double poet_count_columns(const struct weft_poet_instance *instance, const struct poet_reach *reach, const bool *active,
			  uint32_t *segment)
{
	double columns = 0;

	segment[0] = 0;
	for (uint32_t t = 1; t < instance->nodes; t++)
		segment[t] = segment[t - 1] + (active[t] || active[t - 1]);
	for (uint32_t i = 0; i < instance->nodes; i++) {
		columns += segment[reach->use[i]] - segment[i];
		columns += segment[reach->run[i]] - segment[i];
		if (reach->load[i] > i)
			columns += segment[reach->use[i]] + segment[reach->load[i]] - 2.0 * segment[i];
	}
	return columns;
}

static struct part part_of(const struct poet_relaxation *r, const double *x, uint32_t s, uint32_t i)
{
	return (struct part){
		.present = poet_relaxation_present(r, x, s, i),
		.through = poet_relaxation_value(r, x, POET_KEEP, s, i) + poet_relaxation_value(r, x, POET_BACK, s, i),
		.again = poet_relaxation_value(r, x, POET_RUN, s, i) + poet_relaxation_value(r, x, POET_LOAD, s, i),
	};
}

/* Add to the levels of stages first..last; level[t] holds the difference to stage t - 1. */
static void add(double *level, uint32_t first, uint32_t last, double bytes)
{
	if (first > last)
		return;
	level[first] += bytes;
	level[last + 1] -= bytes;
}

/* What node @i adds to the levels of the stages of segment @s. */
static void add_node(const struct poet_relaxation *r, const double *x, uint32_t s, uint32_t i, double *level)
{
	const struct weft_poet_adjacency *reader = &r->instance->reader;
	uint32_t first = r->segment[s].first, last = r->segment[s].last, from = first;
	struct part part = part_of(r, x, s, i);
	double bytes = (double)r->instance->node[i].bytes, held = fmin(part.present, 1);
	bool read = i >= first;

	if (read) {
		add(level, i, i, bytes);
		from = i + 1;
		held = 1;
	}
	/* From one stage that reads it to the next it is held, or had again. */
	for (uint32_t e = reader->start[i]; e < reader->start[i + 1] && reader->item[e] <= last; e++) {
		uint32_t t = reader->item[e];

		if (t < from)
			continue;
		add(level, from, t - 1, bytes * held);
		add(level, t, t, bytes);
		from = t + 1;
		held = fmin(fmax(1 - part.again, fmax(part.present, part.through)), 1);
		read = true;
	}
	add(level, from, last, bytes * (read ? part.through : fmin(part.present, part.through)));
}

/* Levels of all stages, in parts of the budget. */
static void spread(const struct poet_relaxation *r, const double *x, double *level)
{
	double sum = 0;

	for (uint32_t i = 0; i < r->instance->nodes; i++)
		for (uint32_t s = r->segment_of[i]; s <= r->last[i]; s++)
			if (!r->segment[s].active)
				add_node(r, x, s, i, level);
	for (uint32_t t = 0; t < r->instance->nodes; t++) {
		sum += level[t];
		level[t] = sum * r->per_byte;
	}
}

static int by_urgency(const void *left, const void *right)
{
	const struct candidate *a = left, *b = right;

	if (a->urgency != b->urgency)
		return a->urgency > b->urgency ? -1 : 1;
	return a->stage < b->stage ? -1 : a->stage > b->stage;
}

static bool has_price(const struct poet_relaxation *r, const struct poet_lp *lp, uint32_t s)
{
	return s < r->segments && r->segment[s].active && poet_lp_multiplier(lp, r->ram_row[s]) > LEAST_PRICE;
}

/* Per segment, how much is computed again and paged in. */
static void find_activity(const struct poet_relaxation *r, const double *x, double *activity)
{
	for (uint32_t i = 0; i < r->instance->nodes; i++)
		for (uint32_t s = r->segment_of[i] + 1; s <= r->last[i]; s++)
			activity[s] += part_of(r, x, s, i).again;
}

/*
 * Of each segment that is not active: the worst stage, if it does not fit or
 * there is activity, which is not limited by RAM there; and the stages beside
 * those that have a price.
 */
static uint32_t find_candidates(const struct poet_relaxation *r, const struct poet_lp *lp, const double *level,
				const double *activity, struct candidate *candidate)
{
	uint32_t count = 0;

	for (uint32_t s = 0; s < r->segments; s++) {
		uint32_t first = r->segment[s].first, last = r->segment[s].last, worst = first;

		if (r->segment[s].active)
			continue;
		for (uint32_t t = first; t <= last; t++)
			if (level[t] > level[worst])
				worst = t;
		if (level[worst] > 1 + LEAST_VIOLATION)
			candidate[count++] = (struct candidate){level[worst] - 1, worst};
		else if (activity[s] > LEAST_ACTIVITY)
			candidate[count++] = (struct candidate){BUSY * fmin(activity[s], 1), worst};
		if (last > first && s && has_price(r, lp, s - 1) && first != worst)
			candidate[count++] = (struct candidate){BESIDE, first};
		if (last > first && has_price(r, lp, s + 1) && last != worst)
			candidate[count++] = (struct candidate){BESIDE, last};
	}
	qsort(candidate, count, sizeof(*candidate), by_urgency);
	return count;
}

int poet_refine(const struct poet_relaxation *r, const struct poet_lp *lp, const struct poet_reach *reach,
		double most_columns, uint32_t most_stages, bool *active)
{
	uint32_t nodes = r->instance->nodes, count, added = 0;
	double *level = calloc((size_t)nodes + 1, sizeof(*level)), *activity = calloc(nodes, sizeof(*activity));
	struct candidate *candidate = malloc(3 * (size_t)nodes * sizeof(*candidate));
	uint32_t *segment = malloc(nodes * sizeof(*segment));

	if (!level || !activity || !candidate || !segment) {
		free(level);
		free(activity);
		free(candidate);
		free(segment);
		return -ENOMEM;
	}
	spread(r, lp->x, level);
	find_activity(r, lp->x, activity);
	count = find_candidates(r, lp, level, activity, candidate);
	for (uint32_t c = 0; c < count && added < most_stages; c++) {
		uint32_t t = candidate[c].stage;

		if (active[t])
			continue;
		active[t] = true;
		if (poet_count_columns(r->instance, reach, active, segment) > most_columns) {
			active[t] = false;
			break;
		}
		added++;
	}
	free(level);
	free(activity);
	free(candidate);
	free(segment);
	return (int)added;
}
