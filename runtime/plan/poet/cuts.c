// SPDX-License-Identifier: MIT
/* The inequalities of cuts.h: for each pair of segments the weakest path to each node is a dynamic program. */
#include "plan/poet/cuts.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Less than this is not worth a row. */
#define LEAST_VIOLATION 0.01
/* Nor is, in one round, less than this part of the most. */
#define LEAST_OF_MOST 0.15
/* Cosine of the angle between inequalities of one round. */
#define MOST_PARALLEL 0.7

/* The most violated inequality for one demand. */
struct cut {
	double violation;
	uint32_t from, to; /* segments */
	uint32_t node, reader;
	uint32_t stage; /* of segment to */
	enum poet_demand demand;
};

struct separation {
	const struct poet_relaxation *r;
	const double *x;
	double *present, *runs, *loads; /* per node and segment from its own on; the latter two: sums before it */
	double *least;			/* per node, right-hand side of the best path */
	uint32_t *next;			/* per node, next of the path; itself: the end */
	struct cut *cut;
	size_t cuts, room;
	double *dense; /* per column, 0 between uses */
};

static double value(const struct separation *p, enum poet_variable kind, uint32_t s, uint32_t i)
{
	int column = poet_relaxation_column(p->r, kind, s, i);

	return column < 0 ? 0 : p->x[column];
}

static double through(const struct separation *p, uint32_t s, uint32_t i)
{
	return value(p, POET_KEEP, s, i) + value(p, POET_BACK, s, i);
}

static int init(struct separation *p)
{
	const struct poet_relaxation *r = p->r;
	uint32_t nodes = r->instance->nodes;
	/* One more per node for the sums. */
	size_t cells = r->base[nodes] + nodes;

	p->present = calloc(cells, sizeof(double));
	p->runs = calloc(cells, sizeof(double));
	p->loads = calloc(cells, sizeof(double));
	p->least = calloc(nodes, sizeof(double));
	p->next = calloc(nodes, sizeof(*p->next));
	p->dense = calloc((size_t)r->program.columns + 1, sizeof(double));
	if (!p->dense || !p->present || !p->runs || !p->loads || !p->least || !p->next)
		return -ENOMEM;
	for (uint32_t i = 0; i < nodes; i++) {
		size_t base = r->base[i] + i;
		uint32_t own = r->segment_of[i];

		for (uint32_t s = own; s <= r->last[i]; s++) {
			size_t at = base + s - own;

			p->runs[at + 1] = p->runs[at] + value(p, POET_RUN, s, i);
			p->loads[at + 1] = p->loads[at] + value(p, POET_LOAD, s, i);
			if (s > own)
				p->present[at] = through(p, s - 1, i) +
						 (poet_is_loose(r, s - 1) ? 0 : value(p, POET_LOAD, s - 1, i));
		}
	}
	return 0;
}

static void clear(struct separation *p)
{
	free(p->present);
	free(p->runs);
	free(p->loads);
	free(p->least);
	free(p->next);
	free(p->cut);
	free(p->dense);
}

/* Sum of @sums over segments a..b - 1 of node i, whose own segment is before a. */
static double between(const struct separation *p, const double *sums, uint32_t i, uint32_t a, uint32_t b)
{
	const struct poet_relaxation *r = p->r;
	size_t base = r->base[i] + i;
	uint32_t own = r->segment_of[i], end = r->last[i] + 1;

	if (a > end)
		return 0;
	return sums[base + (b < end ? b : end) - own] - sums[base + a - own];
}

/* Segments in which a load is of use by segment b are those before @loads_end. */
static uint32_t loads_end(const struct poet_relaxation *r, uint32_t b)
{
	return poet_is_loose(r, b) ? b + 1 : b;
}

/*
 * How much of node i was paged in in a..b, or ever paged out, which is no less:
 * one cell instead of many, so it is taken unless it weakens the inequality.
 */
static bool is_saved_enough(const struct separation *p, uint32_t i, double loaded)
{
	return p->x[p->r->save[i]] <= loaded + 1e-9;
}

/* The best path to each node that is older than segment a. */
static void find_paths(const struct separation *p, uint32_t a, uint32_t b)
{
	const struct poet_relaxation *r = p->r;
	const struct weft_poet_adjacency *input = &r->instance->input;
	uint32_t end = r->segment[a].first;

	for (uint32_t i = 0; i < end; i++) {
		double best = between(p, p->runs, i, a, b + 1);

		p->next[i] = i;
		for (uint32_t e = input->start[i]; e < input->start[i + 1]; e++)
			if (p->least[input->item[e]] < best) {
				best = p->least[input->item[e]];
				p->next[i] = input->item[e];
			}
		if (a <= r->last[i]) {
			double loaded = between(p, p->loads, i, a, loads_end(r, b));

			best += p->present[r->base[i] + i + a - r->segment_of[i]] +
				(is_saved_enough(p, i, loaded) ? p->x[r->save[i]] : loaded);
		}
		p->least[i] = best;
	}
}

/* Remember the most violated inequality of a demand; @slot says where it is kept, plus 1. */
static int note(struct separation *p, size_t *slot, struct cut cut)
{
	if (cut.violation < LEAST_VIOLATION)
		return 0;
	if (*slot) {
		if (cut.violation > p->cut[*slot - 1].violation + 1e-9)
			p->cut[*slot - 1] = cut;
		return 0;
	}
	if (p->cuts == p->room) {
		size_t room = p->room * 2 + 256;
		struct cut *more = realloc(p->cut, room * sizeof(*more));

		if (!more)
			return -ENOMEM;
		p->cut = more;
		p->room = room;
	}
	p->cut[p->cuts++] = cut;
	*slot = p->cuts;
	return 0;
}

/* What segment b asks for, of nodes older than segment a. */
static int note_demands(struct separation *p, uint32_t a, uint32_t b, size_t *slot)
{
	const struct poet_relaxation *r = p->r;
	const struct weft_poet_adjacency *input = &r->instance->input, *reader = &r->instance->reader;
	uint32_t end = r->segment[a].first, last = r->segment[b].last, nodes = r->instance->nodes;
	int status = 0;

	for (uint32_t t = r->segment[b].first; t <= r->segment[b].last && !status; t++)
		for (uint32_t e = input->start[t]; e < input->start[t + 1] && !status; e++) {
			uint32_t v = input->item[e];

			if (v < end)
				status = note(p, &slot[v], (struct cut){1 - p->least[v], a, b, v, 0, t, POET_READ});
		}
	for (uint32_t v = 0; v < end && !status; v++) {
		if (p->least[v] >= 1 - LEAST_VIOLATION)
			continue;
		status = note(p, &slot[nodes + v],
			      (struct cut){through(p, b, v) - p->least[v], a, b, v, 0, last, POET_CARRIED});
		for (uint32_t e = reader->start[v]; e < reader->start[v + 1] && !status; e++) {
			uint32_t w = reader->item[e];

			if (r->segment_of[w] < b)
				status = note(p, &slot[2 * (size_t)nodes + w],
					      (struct cut){value(p, POET_RUN, b, w) - p->least[v], a, b, v, w, last,
							   POET_READER});
		}
	}
	return status;
}

static int by_violation(const void *left, const void *right)
{
	const struct cut *a = left, *b = right;

	if (a->violation != b->violation)
		return a->violation > b->violation ? -1 : 1;
	if (a->to != b->to)
		return a->to < b->to ? -1 : 1;
	return a->node != b->node ? (a->node < b->node ? -1 : 1) : (int)a->demand - (int)b->demand;
}

static int write_cut(const struct separation *p, struct poet_relaxation *r, struct poet_pool *pool,
		     const struct cut *cut)
{
	struct poet_path path = {
		.demand = cut->demand, .from = r->segment[cut->from].first, .to = cut->stage, .reader = cut->reader};

	find_paths(p, cut->from, cut->to);
	for (uint32_t i = cut->node, end = i;; i = end) {
		path.length++;
		end = p->next[i];
		if (end == i)
			break;
	}
	path.item = malloc(path.length * sizeof(*path.item));
	if (!path.item)
		return -ENOMEM;
	for (uint32_t i = cut->node, k = 0; k < path.length; i = p->next[i]) {
		double loaded = between(p, p->loads, i, cut->from, loads_end(r, cut->to));

		path.item[k++] = i | (is_saved_enough(p, i, loaded) ? POET_PATH_SAVE : 0);
	}
	return poet_pool_add(pool, r, path);
}

/* Does the last row say much the same as one of the rows from @first on?  Cells are all 1 or -1. */
static bool is_parallel(struct separation *p, const struct poet_program *program, int first)
{
	size_t begin = program->row_start[program->rows - 1], end = program->row_start[program->rows];
	bool found = false;

	for (size_t e = begin; e < end; e++)
		p->dense[program->cell_column[e]] = program->cell[e];
	for (int r = first; r < program->rows - 1 && !found; r++) {
		size_t length = program->row_start[r + 1] - program->row_start[r];
		double dot = 0;

		for (size_t e = program->row_start[r]; e < program->row_start[r + 1]; e++)
			dot += program->cell[e] * p->dense[program->cell_column[e]];
		found = dot * dot > MOST_PARALLEL * MOST_PARALLEL * (double)length * (double)(end - begin);
	}
	for (size_t e = begin; e < end; e++)
		p->dense[program->cell_column[e]] = 0;
	return found;
}

static int write_cuts(struct separation *p, struct poet_relaxation *r, struct poet_pool *pool, int limit)
{
	struct poet_program *program = &r->program;
	int first = program->rows, status = 0;

	for (size_t c = 0; c < p->cuts && program->rows - first < limit && !status; c++) {
		if (p->cut[c].violation < LEAST_OF_MOST * p->cut[0].violation)
			break;
		status = write_cut(p, r, pool, &p->cut[c]);
		if (!status && is_parallel(p, program, first))
			poet_pool_undo(pool, r);
	}
	return status;
}

int poet_add_cuts(struct poet_relaxation *r, struct poet_pool *pool, const double *x, int limit)
{
	struct separation p = {.r = r, .x = x};
	size_t slots = 3 * (size_t)r->instance->nodes;
	size_t *slot = malloc(slots * sizeof(*slot));
	int status = slot ? init(&p) : -ENOMEM, first = r->program.rows;

	for (uint32_t b = 1; b < r->segments && !status; b++) {
		memset(slot, 0, slots * sizeof(*slot));
		for (uint32_t a = b; a > 0 && !status; a--) {
			find_paths(&p, a, b);
			status = note_demands(&p, a, b, slot);
		}
	}
	if (!status && p.cuts) {
		qsort(p.cut, p.cuts, sizeof(*p.cut), by_violation);
		status = write_cuts(&p, r, pool, limit);
	}
	clear(&p);
	free(slot);
	return status ? status : r->program.rows - first;
}
