// SPDX-License-Identifier: MIT
/* The inequalities of levels.h. */
#include "plan/poet/levels.h"

#include <errno.h>
#include <stdlib.h>

/* Less than this is not worth a row. */
#define LEAST_VIOLATION 0.01

struct broken {
	double violation;
	enum poet_level_kind kind;
	uint32_t segment, node; /* the position, for POET_LEVEL_AFTER */
};

struct separation {
	struct poet_relaxation *r;
	const double *x;
	bool *read; /* per node, by the stage being looked at; false between uses */
	struct broken *broken;
	size_t count, room;
};

struct share {
	enum poet_share_term term;
	uint32_t reader;
	double value;
};

static double value(const struct separation *p, enum poet_variable kind, uint32_t s, uint32_t i)
{
	return poet_relaxation_value(p->r, p->x, kind, s, i);
}

static double present(const struct separation *p, uint32_t s, uint32_t i)
{
	return poet_relaxation_present(p->r, p->x, s, i);
}

static int note(struct separation *p, struct broken broken)
{
	if (broken.violation < LEAST_VIOLATION)
		return 0;
	if (p->count == p->room) {
		size_t room = p->room * 2 + 256;
		struct broken *more = realloc(p->broken, room * sizeof(*more));

		if (!more)
			return -ENOMEM;
		p->broken = more;
		p->room = room;
	}
	p->broken[p->count++] = broken;
	return 0;
}

static void take_more(struct share *share, enum poet_share_term term, uint32_t reader, double value)
{
	if (value > share->value)
		*share = (struct share){term, reader, value};
}

/* The largest of what bounds the share of node i after position k of the stage of segment s from below. */
static struct share share_of(const struct separation *p, uint32_t s, uint32_t k, uint32_t i)
{
	const struct weft_poet_adjacency *reader = &p->r->instance->reader;
	uint32_t t = p->r->segment[s].first;
	struct share share = {POET_SHARE_ABSENT, 0, 0};
	double waits = present(p, s, i);

	if (i > k) {
		take_more(&share, POET_SHARE_PRESENT, 0, waits);
		return share;
	}
	if (p->read[i])
		return (struct share){POET_SHARE_FIXED, 0, 1};
	take_more(&share, POET_SHARE_THROUGH, 0, value(p, POET_KEEP, s, i) + value(p, POET_BACK, s, i));
	if (i == k)
		take_more(&share, POET_SHARE_RUNS, 0, value(p, POET_RUN, s, i));
	for (uint32_t e = reader->start[i]; e < reader->start[i + 1] && reader->item[e] < t; e++) {
		double runs = value(p, POET_RUN, s, reader->item[e]);

		if (reader->item[e] >= k)
			take_more(&share, POET_SHARE_READER, reader->item[e], runs);
		else
			waits -= runs;
	}
	take_more(&share, POET_SHARE_WAITS, 0, waits);
	return share;
}

/* How much too high the level after position k of segment s is, in parts of the budget. */
static double level_violation(const struct separation *p, uint32_t s, uint32_t k)
{
	double level = 0;

	for (uint32_t i = 0; i < p->r->segment[s].first; i++)
		if (p->r->last[i] >= s)
			level += share_of(p, s, k, i).value * (double)p->r->instance->node[i].bytes;
	return level * p->r->per_byte - 1;
}

static void mark_reads(const struct separation *p, uint32_t t, bool mark)
{
	const struct weft_poet_adjacency *input = &p->r->instance->input;

	for (uint32_t e = input->start[t]; e < input->start[t + 1]; e++)
		p->read[input->item[e]] = mark;
}

/* The position of segment s whose level is worst. */
static int note_levels(struct separation *p, uint32_t s)
{
	uint32_t t = p->r->segment[s].first;
	struct broken worst = {0, POET_LEVEL_AFTER, s, 0};

	mark_reads(p, t, true);
	for (uint32_t k = 0; k < t; k++) {
		double violation;

		if (value(p, POET_RUN, s, k) < LEAST_VIOLATION)
			continue;
		violation = level_violation(p, s, k);
		if (violation > worst.violation) {
			worst.violation = violation;
			worst.node = k;
		}
	}
	mark_reads(p, t, false);
	return note(p, worst);
}

static int note_all(struct separation *p)
{
	const struct poet_relaxation *r = p->r;
	int status = 0;

	for (uint32_t s = 1; s < r->segments && !status; s++)
		if (r->segment[s].active)
			status = note_levels(p, s);
	for (uint32_t i = 0; i < r->instance->nodes; i++)
		for (uint32_t s = r->segment_of[i] + 1; s <= r->last[i] && !status; s++)
			status = note(p, (struct broken){value(p, POET_RUN, s, i) + value(p, POET_LOAD, s, i) +
								 present(p, s, i) - 1,
							 POET_LEVEL_ONCE, s, i});
	return status;
}

static int by_violation(const void *left, const void *right)
{
	const struct broken *a = left, *b = right;

	if (a->violation != b->violation)
		return a->violation > b->violation ? -1 : 1;
	if (a->segment != b->segment)
		return a->segment < b->segment ? -1 : 1;
	return a->node != b->node ? (a->node < b->node ? -1 : 1) : (int)a->kind - (int)b->kind;
}

static void write_once(struct poet_relaxation *r, uint32_t s, uint32_t i)
{
	struct poet_row row = poet_row_begin(&r->program, 1);

	poet_row_add(&row, poet_relaxation_column(r, POET_RUN, s, i), 1);
	poet_row_add(&row, poet_relaxation_column(r, POET_LOAD, s, i), 1);
	poet_row_add_present(r, &row, s, i, 1);
	poet_row_end(&row);
}

static void add_share(const struct poet_relaxation *r, struct poet_row *row, uint32_t s, uint32_t k, uint32_t i,
		      const struct poet_share *share)
{
	const struct weft_poet_adjacency *reader = &r->instance->reader;
	double weight = (double)r->instance->node[i].bytes * r->per_byte;

	switch (share->term) {
	case POET_SHARE_ABSENT:
	case POET_SHARE_FIXED:
		break;
	case POET_SHARE_PRESENT:
		poet_row_add_present(r, row, s, i, weight);
		break;
	case POET_SHARE_THROUGH:
		poet_row_add(row, poet_relaxation_column(r, POET_KEEP, s, i), weight);
		poet_row_add(row, poet_relaxation_column(r, POET_BACK, s, i), weight);
		break;
	case POET_SHARE_RUNS:
		poet_row_add_run(r, row, s, i, weight);
		break;
	case POET_SHARE_READER:
		poet_row_add_run(r, row, s, share->reader, weight);
		break;
	case POET_SHARE_WAITS:
		poet_row_add_present(r, row, s, i, weight);
		for (uint32_t e = reader->start[i]; e < reader->start[i + 1] && reader->item[e] < k; e++)
			poet_row_add_run(r, row, s, reader->item[e], -weight);
	}
}

static void write_after(struct poet_relaxation *r, uint32_t s, const struct poet_level *level)
{
	struct poet_row row = poet_row_begin(&r->program, 0);
	uint64_t fixed = 0;
	size_t sizes = 0;

	for (uint32_t n = 0; n < level->shares; n++) {
		const struct poet_share *share = &level->share[n];

		if (share->term == POET_SHARE_FIXED)
			fixed += r->instance->node[share->node].bytes;
		else
			r->sizes[sizes++] = r->instance->node[share->node].bytes;
		add_share(r, &row, s, level->node, share->node, share);
	}
	row.most += fixed > r->ram_bytes
			    ? -1 /* infeasible */
			    : (double)poet_largest_sum(r->sizes, sizes, r->ram_bytes - fixed) * r->per_byte;
	poet_row_end(&row);
}

bool poet_level_write(struct poet_relaxation *r, struct poet_level *level)
{
	uint32_t s = r->segment_of[level->stage];

	if (level->kind == POET_LEVEL_AFTER && !r->segment[s].active)
		return false;
	if (level->kind == POET_LEVEL_ONCE &&
	    (r->segment[s].first != level->stage || r->segment[s].last != level->last))
		return false;
	level->row = r->program.rows;
	if (level->kind == POET_LEVEL_ONCE)
		write_once(r, s, level->node);
	else
		write_after(r, s, level);
	return true;
}

/* What takes part in a level, as the solution has it. */
static int choose_shares(const struct separation *p, struct poet_level *level)
{
	const struct poet_relaxation *r = p->r;
	uint32_t s = r->segment_of[level->stage];

	level->share = malloc(((size_t)level->stage + 1) * sizeof(*level->share));
	if (!level->share)
		return -ENOMEM;
	mark_reads(p, level->stage, true);
	for (uint32_t i = 0; i < level->stage; i++) {
		struct share share;

		if (r->last[i] < s)
			continue;
		share = share_of(p, s, level->node, i);
		if (share.term != POET_SHARE_ABSENT)
			level->share[level->shares++] = (struct poet_share){i, share.reader, share.term};
	}
	mark_reads(p, level->stage, false);
	return 0;
}

static int write_broken(const struct separation *p, struct poet_pool *pool, const struct broken *broken)
{
	const struct poet_segment *segment = &p->r->segment[broken->segment];
	struct poet_level level = {
		.kind = broken->kind, .stage = segment->first, .last = segment->last, .node = broken->node};
	int status = level.kind == POET_LEVEL_AFTER ? choose_shares(p, &level) : 0;

	return status < 0 ? status : poet_pool_add_level(pool, p->r, level);
}

int poet_add_levels(struct poet_relaxation *r, struct poet_pool *pool, const double *x, int limit)
{
	struct separation p = {.r = r, .x = x, .read = calloc(r->instance->nodes, sizeof(bool))};
	int status = p.read ? note_all(&p) : -ENOMEM, first = r->program.rows, written[2] = {0};

	if (!status && p.count)
		qsort(p.broken, p.count, sizeof(*p.broken), by_violation);
	for (size_t b = 0; b < p.count && !status; b++)
		if (written[p.broken[b].kind]++ < limit)
			status = write_broken(&p, pool, &p.broken[b]);
	free(p.read);
	free(p.broken);
	return status ? status : r->program.rows - first;
}
