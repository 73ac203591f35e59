// SPDX-License-Identifier: MIT
/* The relaxation of relax.h as rows and columns. */
#include "plan/poet/relax.h"

#include "weft/error.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define KINDS 4 /* per segment and node: RUN, KEEP, BACK, LOAD */

static bool grow(void **array, size_t size, size_t count)
{
	void *more = realloc(*array, size * count);

	if (more)
		*array = more;
	return more;
}

static int add_column(struct poet_program *p, double cost, bool whole)
{
	if (p->columns == p->column_room) {
		size_t room = (size_t)p->column_room * 2 + 1024;

		if (room > INT32_MAX || !grow((void **)&p->cost, sizeof(double), room) ||
		    !grow((void **)&p->lower, sizeof(double), room) ||
		    !grow((void **)&p->upper, sizeof(double), room) || !grow((void **)&p->whole, sizeof(bool), room)) {
			p->failed = true;
			return -1;
		}
		p->column_room = (int)room;
	}
	p->cost[p->columns] = cost;
	p->lower[p->columns] = 0;
	p->upper[p->columns] = 1;
	p->whole[p->columns] = whole;
	return p->columns++;
}

struct poet_row poet_row_begin(struct poet_program *p, double most)
{
	return (struct poet_row){p, most};
}

void poet_row_add(struct poet_row *row, int column, double value)
{
	struct poet_program *p = row->program;

	if (column < 0)
		return;
	if (p->cells == p->cell_room) {
		size_t room = p->cell_room * 2 + 4096;

		if (!grow((void **)&p->cell_column, sizeof(int), room) ||
		    !grow((void **)&p->cell, sizeof(double), room)) {
			p->failed = true;
			return;
		}
		p->cell_room = room;
	}
	p->cell_column[p->cells] = column;
	p->cell[p->cells++] = value;
}

void poet_row_end(struct poet_row *row)
{
	struct poet_program *p = row->program;

	if (p->rows + 1 >= p->row_room) {
		size_t room = (size_t)p->row_room * 2 + 1024;

		if (room > INT32_MAX || !grow((void **)&p->row_start, sizeof(size_t), room) ||
		    !grow((void **)&p->most, sizeof(double), room)) {
			p->failed = true;
			return;
		}
		p->row_room = (int)room;
		p->row_start[0] = 0;
	}
	p->most[p->rows++] = row->most;
	p->row_start[p->rows] = p->cells;
}

int poet_relaxation_column(const struct poet_relaxation *r, enum poet_variable kind, uint32_t s, uint32_t i)
{
	uint32_t own = r->segment_of[i];

	if (s < own || s > r->last[i])
		return -1;
	return r->variable[(r->base[i] + s - own) * KINDS + kind];
}

bool poet_is_loose(const struct poet_relaxation *r, uint32_t s)
{
	return !r->segment[s].active && r->segment[s].last > r->segment[s].first;
}

void poet_row_add_run(const struct poet_relaxation *r, struct poet_row *row, uint32_t s, uint32_t i, double sign)
{
	if (s == r->segment_of[i])
		row->most -= sign;
	else
		poet_row_add(row, poet_relaxation_column(r, POET_RUN, s, i), sign);
}

/* sign * (i is in RAM at the start of segment s and came from storage). */
static void add_back(const struct poet_relaxation *r, struct poet_row *row, uint32_t s, uint32_t i, double sign)
{
	if (s == 0 || s <= r->segment_of[i])
		return;
	poet_row_add(row, poet_relaxation_column(r, POET_BACK, s - 1, i), sign);
	if (!poet_is_loose(r, s - 1))
		poet_row_add(row, poet_relaxation_column(r, POET_LOAD, s - 1, i), sign);
}

void poet_row_add_present(const struct poet_relaxation *r, struct poet_row *row, uint32_t s, uint32_t i, double sign)
{
	if (s == 0 || s <= r->segment_of[i])
		return;
	poet_row_add(row, poet_relaxation_column(r, POET_KEEP, s - 1, i), sign);
	add_back(r, row, s, i, sign);
}

double poet_relaxation_present(const struct poet_relaxation *r, const double *x, uint32_t s, uint32_t i)
{
	if (s == 0 || s <= r->segment_of[i])
		return 0;
	return poet_relaxation_value(r, x, POET_KEEP, s - 1, i) + poet_relaxation_value(r, x, POET_BACK, s - 1, i) +
	       (poet_is_loose(r, s - 1) ? 0 : poet_relaxation_value(r, x, POET_LOAD, s - 1, i));
}

/* sign * (i goes from segment s to s + 1 in RAM). */
static void add_through(const struct poet_relaxation *r, struct poet_row *row, uint32_t s, uint32_t i, double sign)
{
	poet_row_add(row, poet_relaxation_column(r, POET_KEEP, s, i), sign);
	poet_row_add(row, poet_relaxation_column(r, POET_BACK, s, i), sign);
}

static int make_segments(struct poet_relaxation *r, const bool *active, const struct poet_reach *reach)
{
	uint32_t nodes = r->instance->nodes;

	r->segment = calloc(nodes, sizeof(*r->segment));
	r->segment_of = calloc(nodes, sizeof(*r->segment_of));
	r->last = calloc(nodes, sizeof(*r->last));
	r->last_run = calloc(nodes, sizeof(*r->last_run));
	r->last_load = calloc(nodes, sizeof(*r->last_load));
	r->base = calloc(nodes + 1, sizeof(*r->base));
	r->save = calloc(nodes, sizeof(*r->save));
	r->ram_row = calloc(nodes, sizeof(*r->ram_row));
	r->sizes = calloc(nodes, sizeof(*r->sizes));
	r->level_column = calloc(nodes, sizeof(*r->level_column));
	if (!r->segment || !r->segment_of || !r->last || !r->last_run || !r->last_load || !r->base || !r->save ||
	    !r->level_column || !r->sizes || !r->ram_row)
		return -ENOMEM;
	for (uint32_t t = 0; t < nodes; t++) {
		struct poet_segment *before = r->segments ? &r->segment[r->segments - 1] : NULL;

		if (before && !before->active && !active[t])
			before->last = t;
		else
			r->segment[r->segments++] = (struct poet_segment){t, t, active[t]};
		r->segment_of[t] = r->segments - 1;
	}
	for (uint32_t i = 0; i < nodes; i++) {
		r->last[i] = r->segment_of[reach->use[i]];
		r->last_run[i] = r->segment_of[reach->run[i]];
		r->last_load[i] = r->segment_of[reach->load[i]];
	}
	for (uint32_t i = 0; i < nodes; i++)
		r->base[i + 1] = r->base[i] + r->last[i] - r->segment_of[i] + 1;
	r->variable = malloc(r->base[nodes] * KINDS * sizeof(int));
	return r->variable ? 0 : -ENOMEM;
}

static void make_columns(struct poet_relaxation *r)
{
	struct poet_program *p = &r->program;

	for (uint32_t i = 0; i < r->instance->nodes; i++) {
		const struct weft_poet_node *node = &r->instance->node[i];
		uint32_t own = r->segment_of[i];

		r->save[i] = add_column(p, node->pageout_joules / r->joules_unit, true);
		for (uint32_t s = own; s <= r->last[i]; s++) {
			int *column = &r->variable[(r->base[i] + s - own) * KINDS];
			bool later = s > own, goes_on = s < r->last[i];

			bool loads = later && r->last_load[i] > own;

			column[POET_RUN] = later && s <= r->last_run[i]
						   ? add_column(p, node->compute_joules / r->joules_unit, true)
						   : -1;
			column[POET_KEEP] = goes_on ? add_column(p, 0, true) : -1;
			column[POET_BACK] = loads && goes_on ? add_column(p, 0, true) : -1;
			column[POET_LOAD] = loads && s <= r->last_load[i] && (goes_on || poet_is_loose(r, s))
						    ? add_column(p, node->pagein_joules / r->joules_unit, true)
						    : -1;
		}
	}
}

/* Where a tensor can come from and go to. */
static void add_flow_rows(struct poet_relaxation *r, uint32_t i, uint32_t s)
{
	uint32_t own = r->segment_of[i];
	bool loose = poet_is_loose(r, s);
	int load = poet_relaxation_column(r, POET_LOAD, s, i), back = poet_relaxation_column(r, POET_BACK, s, i);
	struct poet_row row;

	if (s < r->last[i] && s > own) {
		row = poet_row_begin(&r->program, 0);
		poet_row_add(&row, poet_relaxation_column(r, POET_KEEP, s, i), 1);
		poet_row_add(&row, poet_relaxation_column(r, POET_KEEP, s - 1, i), -1);
		poet_row_add_run(r, &row, s, i, -1);
		poet_row_end(&row);
		row = poet_row_begin(&r->program, 0);
		poet_row_add(&row, back, 1);
		add_back(r, &row, s, i, -1);
		if (loose)
			poet_row_add(&row, load, -1);
		poet_row_end(&row);
		/* In RAM at most once. */
		row = poet_row_begin(&r->program, 1);
		add_through(r, &row, s, i, 1);
		if (!loose)
			poet_row_add(&row, load, 1);
		poet_row_end(&row);
	}
	if (load < 0)
		return;
	/*
	 * From storage: there and loaded together, for what is there is not
	 * loaded, so that loading a part here and a part there saves nothing.
	 */
	row = poet_row_begin(&r->program, 0);
	poet_row_add(&row, load, 1);
	add_back(r, &row, s, i, 1);
	poet_row_add(&row, r->save[i], -1);
	poet_row_end(&row);
}

/* What is paged out was in RAM when some stage after a computation of it began. */
static void add_save_row(struct poet_relaxation *r, uint32_t i)
{
	uint32_t own = r->segment_of[i];
	struct poet_row row;

	if (i + 1 == r->instance->nodes || r->segment_of[i + 1] == own)
		return;
	row = poet_row_begin(&r->program, 0);
	poet_row_add(&row, r->save[i], 1);
	poet_row_add(&row, poet_relaxation_column(r, POET_KEEP, own, i), -1);
	for (uint32_t s = own + 1; s <= r->last_run[i]; s++)
		poet_row_add(&row, poet_relaxation_column(r, POET_RUN, s, i), -1);
	poet_row_end(&row);
}

/* RUN[s,i] needs each input there: computed, in RAM at the start or (loose) loaded. */
static void add_input_rows(struct poet_relaxation *r, uint32_t i, uint32_t s)
{
	const struct weft_poet_adjacency *input = &r->instance->input;

	if (s > r->segment_of[i] && poet_relaxation_column(r, POET_RUN, s, i) < 0)
		return;
	for (uint32_t e = input->start[i]; e < input->start[i + 1]; e++) {
		uint32_t u = input->item[e];
		struct poet_row row = poet_row_begin(&r->program, 0);

		if (r->segment_of[u] == s)
			continue; /* computed in this very segment */
		poet_row_add_run(r, &row, s, i, 1);
		poet_row_add_run(r, &row, s, u, -1);
		poet_row_add_present(r, &row, s, u, -1);
		if (poet_is_loose(r, s))
			poet_row_add(&row, poet_relaxation_column(r, POET_LOAD, s, u), -1);
		poet_row_end(&row);
	}
}

static double weight(const struct poet_relaxation *r, uint32_t i)
{
	return (double)r->instance->node[i].bytes * r->per_byte;
}

static bool reads(const struct poet_relaxation *r, uint32_t reader, uint32_t i)
{
	const struct weft_poet_adjacency *input = &r->instance->input;

	for (uint32_t e = input->start[reader]; e < input->start[reader + 1]; e++)
		if (input->item[e] == i)
			return true;
	return false;
}

/*
 * A column for a tensor's share of the level after position k of stage t, where
 * t itself does not read it: at least each of ...
 */
static int add_level(struct poet_relaxation *r, uint32_t t, uint32_t k, uint32_t i)
{
	const struct weft_poet_adjacency *reader = &r->instance->reader;
	uint32_t s = r->segment_of[t];
	int level = add_column(&r->program, 0, false);
	struct poet_row row = poet_row_begin(&r->program, 0);

	/* ... going through the stage, */
	add_through(r, &row, s, i, 1);
	poet_row_add(&row, level, -1);
	poet_row_end(&row);
	/* ... having just been computed, */
	if (i == k) {
		row = poet_row_begin(&r->program, 0);
		poet_row_add_run(r, &row, s, i, 1);
		poet_row_add(&row, level, -1);
		poet_row_end(&row);
	}
	/* ... a reader at k or still to come, */
	for (uint32_t e = reader->start[i]; e < reader->start[i + 1] && reader->item[e] < t; e++) {
		if (reader->item[e] < k)
			continue;
		row = poet_row_begin(&r->program, 0);
		poet_row_add_run(r, &row, s, reader->item[e], 1);
		poet_row_add(&row, level, -1);
		poet_row_end(&row);
	}
	/* ... having been there at the start, without a reader so far. */
	row = poet_row_begin(&r->program, 0);
	poet_row_add_present(r, &row, s, i, 1);
	for (uint32_t e = reader->start[i]; e < reader->start[i + 1] && reader->item[e] < k; e++)
		poet_row_add_run(r, &row, s, reader->item[e], -1);
	poet_row_add(&row, level, -1);
	poet_row_end(&row);
	return level;
}

/* Does a computation in stage t that is not ruled out read i at position k or later? */
static bool has_late_reader(const struct poet_relaxation *r, uint32_t t, uint32_t k, uint32_t i)
{
	const struct weft_poet_adjacency *reader = &r->instance->reader;

	for (uint32_t e = reader->start[i]; e < reader->start[i + 1] && reader->item[e] < t; e++) {
		int column = poet_relaxation_column(r, POET_RUN, r->segment_of[t], reader->item[e]);

		if (reader->item[e] >= k && column >= 0 && r->program.upper[column] > 0)
			return true;
	}
	return false;
}

/* Too large to go through segment s. */
static void rule_out_through(struct poet_relaxation *r, uint32_t s, uint32_t i)
{
	int keep = poet_relaxation_column(r, POET_KEEP, s, i), back = poet_relaxation_column(r, POET_BACK, s, i);

	if (keep >= 0)
		r->program.upper[keep] = 0;
	if (back >= 0)
		r->program.upper[back] = 0;
}

/* The level after position k of active stage t. */
static void add_ram_row(struct poet_relaxation *r, uint32_t t, uint32_t k)
{
	uint32_t s = r->segment_of[t];
	uint64_t fixed = 0;
	size_t sizes = 0;
	struct poet_row row;

	/* Columns of shares first: a row must be written in one go. */
	for (uint32_t i = 0; i <= t; i++) {
		r->level_column[i] = -1;
		if (i < t && i <= k && r->last[i] >= s && !reads(r, t, i) &&
		    (i == k || i + 1 == t || has_late_reader(r, t, k, i)))
			r->level_column[i] = add_level(r, t, k, i);
	}
	row = poet_row_begin(&r->program, 0);
	for (uint32_t i = 0; i <= t; i++) {
		if (r->last[i] < s || (i == t && k < t))
			continue;
		if (i <= k && (i == t || reads(r, t, i))) {
			fixed += r->instance->node[i].bytes; /* there until t is computed */
			continue;
		}
		r->sizes[sizes++] = r->instance->node[i].bytes;
		if (i > k && i < t)
			poet_row_add_present(r, &row, s, i, weight(r, i));
		else if (r->level_column[i] >= 0)
			poet_row_add(&row, r->level_column[i], weight(r, i));
		else if (i < t)
			add_through(r, &row, s, i, weight(r, i));
	}
	if (fixed > r->ram_bytes)
		row.most = -1; /* infeasible; weft_poet_solve() has looked for this before */
	else
		row.most = (double)poet_largest_sum(r->sizes, sizes, r->ram_bytes - fixed) * r->per_byte;
	poet_row_end(&row);
	for (uint32_t i = 0; k == t && i < t; i++)
		if (fixed <= r->ram_bytes && r->instance->node[i].bytes > r->ram_bytes - fixed && !reads(r, t, i))
			rule_out_through(r, s, i);
}

static void add_time_row(struct poet_relaxation *r, double time_ratio)
{
	double base = r->instance->base_seconds;
	struct poet_row row;

	if (time_ratio <= 0 || base <= 0)
		return;
	/* The rounding of sums that the check forgives must not cut anything off here. */
	row = poet_row_begin(&r->program, time_ratio - 1 + 1e-8 * time_ratio);
	for (uint32_t i = 0; i < r->instance->nodes; i++)
		for (uint32_t s = r->segment_of[i] + 1; s <= r->last[i]; s++)
			poet_row_add(&row, poet_relaxation_column(r, POET_RUN, s, i),
				     r->instance->node[i].seconds / base);
	poet_row_end(&row);
}

int poet_relaxation_init(struct poet_relaxation *r, const struct weft_poet_instance *instance,
			 const struct weft_poet_options *options, const bool *active, const struct poet_reach *reach,
			 double joules_unit)
{
	*r = (struct poet_relaxation){.instance = instance,
				      .joules_unit = joules_unit,
				      .ram_bytes = options->ram_bytes,
				      .per_byte = 1 / (double)(options->ram_bytes ? options->ram_bytes : 1)};
	if (make_segments(r, active, reach) < 0) {
		poet_relaxation_clear(r);
		return -ENOMEM;
	}
	make_columns(r);
	for (uint32_t i = 0; i < instance->nodes && !r->program.failed; i++) {
		for (uint32_t s = r->segment_of[i]; s <= r->last[i]; s++) {
			add_flow_rows(r, i, s);
			add_input_rows(r, i, s);
		}
		add_save_row(r, i);
	}
	for (uint32_t t = 0; t < instance->nodes && !r->program.failed; t++)
		if (active[t]) {
			add_ram_row(r, t, t);
			r->ram_row[r->segment_of[t]] = r->program.rows - 1;
		}
	add_time_row(r, options->time_ratio);
	if (r->program.failed) {
		poet_relaxation_clear(r);
		return -ENOMEM;
	}
	return 0;
}

int poet_relaxation_add_positions(struct poet_relaxation *r)
{
	for (uint32_t s = 0; s < r->segments && !r->program.failed; s++) {
		uint32_t t = r->segment[s].first;

		for (uint32_t k = 0; r->segment[s].active && k < t; k++) {
			int column = poet_relaxation_column(r, POET_RUN, s, k);

			if (column >= 0 && r->program.upper[column] > 0)
				add_ram_row(r, t, k);
		}
	}
	return r->program.failed ? -ENOMEM : 0;
}

void poet_relaxation_clear(struct poet_relaxation *r)
{
	struct poet_program *p = &r->program;

	free(p->cost);
	free(p->lower);
	free(p->upper);
	free(p->whole);
	free(p->row_start);
	free(p->cell_column);
	free(p->cell);
	free(p->most);
	free(r->segment);
	free(r->segment_of);
	free(r->last);
	free(r->last_run);
	free(r->last_load);
	free(r->base);
	free(r->variable);
	free(r->save);
	free(r->ram_row);
	free(r->sizes);
	free(r->level_column);
	*r = (struct poet_relaxation){0};
}
