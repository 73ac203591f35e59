// SPDX-License-Identifier: MIT
/*
 * The relaxation and its cutting planes against schedules: what the search
 * finds must satisfy every row, whatever the active stages are, or bounds would
 * be too high.  And the cuts must be worth having.
 */
#include "plan/poet/bound.h"
#include "plan/poet/cuts.h"
#include "plan/poet/levels.h"
#include "plan/poet/solver.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "random_instance.h"

#define FORWARD 9
#define NODES (2 * FORWARD - 1)
#define ROUNDS 6

static bool bit(const struct weft_poet_schedule *s, const uint64_t *matrix, uint32_t t, uint32_t i)
{
	return t < s->nodes && weft_poet_bit(s, matrix, t, i);
}

static bool any(const struct weft_poet_schedule *s, const uint64_t *matrix, struct poet_segment segment, uint32_t i)
{
	for (uint32_t t = segment.first; t <= segment.last; t++)
		if (bit(s, matrix, t, i))
			return true;
	return false;
}

/* Did what is in RAM at the start of stage t come from storage? */
static bool from_storage(const struct weft_poet_schedule *s, uint32_t t, uint32_t i)
{
	while (t-- > i) {
		if (bit(s, s->compute, t, i))
			return false;
		if (bit(s, s->page_in, t, i) && !bit(s, s->retained, t, i))
			return true;
	}
	return false;
}

static void put(const struct poet_relaxation *r, double *x, enum poet_variable kind, uint32_t s, uint32_t i, bool value)
{
	int column = poet_relaxation_column(r, kind, s, i);

	if (column >= 0)
		x[column] = value;
	else if (value)
		fail_msg("no variable %d for node %u in segment %u", kind, i, s);
}

/* The schedule as a solution of the relaxation. */
static void translate(const struct poet_relaxation *r, const struct weft_poet_schedule *s, double *x)
{
	const struct poet_program *p = &r->program;

	memset(x, 0, (size_t)p->columns * sizeof(*x));
	for (uint32_t i = 0; i < s->nodes; i++) {
		uint32_t own = r->segment_of[i];
		bool saved = false, stored = false;

		for (uint32_t k = own; k < r->segments; k++) {
			uint32_t after = r->segment[k].last + 1;
			bool kept = bit(s, s->retained, after, i), loads = any(s, s->page_in, r->segment[k], i);
			bool runs = k > own && any(s, s->compute, r->segment[k], i);

			/* Where RAM has no limit, what is there is not dropped to be paged in again. */
			if (poet_is_loose(r, k) && bit(s, s->retained, r->segment[k].first, i)) {
				loads = false;
				stored = stored && !runs;
			} else if (k > own) {
				stored = (stored || loads) && from_storage(s, after, i);
			}
			saved |= k > own && loads;
			if (k > own)
				put(r, x, POET_RUN, k, i, runs);
			put(r, x, POET_KEEP, k, i, kept && !stored);
			if (k > own)
				put(r, x, POET_LOAD, k, i, loads);
			/* What was just paged in goes on as LOAD, except where more can happen in the segment. */
			if (k > own)
				put(r, x, POET_BACK, k, i,
				    kept && stored && (poet_is_loose(r, k) || bit(s, s->retained, after - 1, i)));
		}
		x[r->save[i]] = saved;
	}
	/* Shares of levels: as little as their rows allow. */
	for (int row = 0; row < p->rows; row++) {
		double least = -p->most[row];
		int level = -1;

		for (size_t e = p->row_start[row]; e < p->row_start[row + 1]; e++) {
			if (p->whole[p->cell_column[e]])
				least += p->cell[e] * x[p->cell_column[e]];
			else if (p->cell[e] < 0)
				level = p->cell_column[e];
		}
		if (level >= 0 && least > x[level])
			x[level] = least;
	}
}

static void check_rows(const struct poet_relaxation *r, const double *x, int own_rows)
{
	const struct poet_program *p = &r->program;

	for (int column = 0; column < p->columns; column++)
		if (x[column] > p->upper[column] || x[column] < p->lower[column])
			fail_msg("column %d: %g not within %g to %g", column, x[column], p->lower[column],
				 p->upper[column]);
	for (int row = 0; row < p->rows; row++) {
		double sum = 0;

		for (size_t e = p->row_start[row]; e < p->row_start[row + 1]; e++)
			sum += p->cell[e] * x[p->cell_column[e]];
		if (sum > p->most[row] + 1e-9)
			fail_msg("%s %d: %g above %g", row < own_rows ? "row" : "cut", row, sum, p->most[row]);
	}
}

/* Rounds of LP and cuts; the number of cuts. */
static int strengthen(struct poet_relaxation *r, struct poet_pool *pool, double *first, double *last, int *level_rows)
{
	int own_rows = r->program.rows, levels;
	struct poet_lp lp;

	assert_int_equal(poet_lp_open(&lp, &r->program), 0);
	for (int round = 0; round < ROUNDS; round++) {
		poet_lp_solve(&lp, &r->program, 60);
		if (round == 0)
			*first = lp.value;
		*last = lp.value;
		if (lp.infeasible)
			break;
		levels = poet_add_levels(r, pool, lp.x, 1000);
		assert_true(levels >= 0);
		*level_rows += levels;
		if (poet_add_cuts(r, pool, lp.x, 1000) + levels <= 0)
			break;
		assert_int_equal(poet_lp_add_rows(&lp, &r->program), 0);
	}
	poet_lp_close(&lp);
	return r->program.rows - own_rows;
}

struct totals {
	int schedules, cuts, levels, raised, carried;
};

/* What one relaxation has shown is said of another one, with other stages: the schedule meets that too. */
static void carry(const struct weft_poet_instance *g, const struct weft_poet_options *options,
		  const struct poet_reach *reach, const struct weft_poet_schedule *schedule, uint32_t stride,
		  struct poet_pool *pool, struct totals *totals)
{
	struct poet_relaxation r;
	bool active[NODES];
	int own_rows;
	double *x;

	for (uint32_t t = 0; t < NODES; t++)
		active[t] = t % stride == stride / 2;
	assert_int_equal(poet_relaxation_init(&r, g, options, active, reach, 1), 0);
	own_rows = r.program.rows;
	assert_int_equal(poet_pool_write(pool, &r), 0);
	assert_int_equal(r.program.rows - own_rows, pool->paths + pool->levels);
	totals->carried += r.program.rows - own_rows;
	x = malloc((size_t)r.program.columns * sizeof(*x));
	translate(&r, schedule, x);
	check_rows(&r, x, own_rows);
	free(x);
	poet_relaxation_clear(&r);
}

static void try_budget(const struct weft_poet_instance *g, uint64_t ram, uint32_t stride, uint64_t seed, bool limited,
		       struct totals *totals)
{
	struct weft_poet_options options = {.ram_bytes = ram, .time_ratio = 2, .iterations = 400, .seed = seed};
	struct poet_search *search = poet_search_new(g, &options);
	struct weft_poet_schedule *schedule;
	struct poet_relaxation r;
	struct poet_reach reach;
	struct poet_pool pool = {0};
	bool active[NODES];
	double first = 0, last = 0, joules, *x;
	int own_rows;

	poet_search_run(search, INFINITY, options.iterations, 0, false);
	joules = poet_search_best(search);
	for (uint32_t t = 0; t < NODES; t++)
		active[t] = t % stride == 0;
	if (joules < INFINITY) {
		schedule = poet_search_schedule(search);
		assert_int_equal(poet_reach_init(&reach, g, limited ? joules - g->base_joules : INFINITY,
						 limited ? g->base_seconds : INFINITY),
				 0);
		assert_int_equal(poet_relaxation_init(&r, g, &options, active, &reach, 1), 0);
		own_rows = r.program.rows;
		totals->cuts += strengthen(&r, &pool, &first, &last, &totals->levels);
		totals->raised += last > first + 1e-6;
		assert_int_equal(poet_relaxation_add_positions(&r), 0);
		x = malloc((size_t)r.program.columns * sizeof(*x));
		translate(&r, schedule, x);
		check_rows(&r, x, own_rows);
		assert_true(last <= joules - g->base_joules + 1e-6);
		for (uint32_t other = 1; other <= 4; other++)
			carry(g, &options, &reach, schedule, other, &pool, totals);
		poet_pool_clear(&pool);
		totals->schedules++;
		free(x);
		poet_relaxation_clear(&r);
		poet_reach_clear(&reach);
		weft_poet_schedule_free(schedule);
	}
	poet_search_free(search);
}

static void test_schedules_are_solutions(void **state)
{
	struct totals totals = {0};
	uint64_t random = 3;

	(void)state;
	for (uint32_t round = 0; round < 8; round++) {
		struct weft_poet_instance *g = random_chain(
			&random, FORWARD, (struct random_costs){.most_bytes = 4, .least_page = 4, .pages = 19});

		for (uint64_t ram = g->least_bytes; ram < g->storeall_bytes; ram++)
			for (uint32_t stride = 1; stride <= 4; stride++) {
				try_budget(g, ram, stride, round, true, &totals);
				try_budget(g, ram, stride, round, false, &totals);
			}
		weft_poet_free(g);
	}
	printf("%d schedules meet %d cuts, %d of them on levels; they raised %d bounds; %d were said again\n",
	       totals.schedules, totals.cuts, totals.levels, totals.raised, totals.carried);
	assert_true(totals.schedules > 500);
	assert_true(totals.cuts > 500);
	assert_true(totals.levels > 100);
	assert_true(totals.raised > 50);
	assert_true(totals.carried > 500);
}

/* The longer the path of computing again, the shorter a cheap limit lets it be. */
static void test_reach(void **state)
{
	static const struct weft_poet_edge edge[] = {{0, 1}, {1, 2}, {2, 3}, {3, 4}};
	struct weft_poet_node node[5];
	static const struct {
		double joules, seconds;
		uint32_t use, run, load; /* of node 0 */
	} cases[] = {
		{INFINITY, INFINITY, 4, 4, 4}, /* whatever it costs */
		{30, INFINITY, 4, 3, 3},       /* 10 for each of 1, 2, 3; 10 more to compute 0; 5 to page it */
		{29, INFINITY, 3, 2, 3},       /**/
		{10, INFINITY, 2, 1, 1},       /* paging leaves 5: not enough for computing 1 */
		{4, INFINITY, 1, 0, 0},	       /* neither is worth anything, but keeping it is */
		{INFINITY, 2, 3, 2, 3},	       /* time is a limit of its own, which paging does not touch */
		{INFINITY, 0, 1, 0, 1},	       /**/
	};
	struct weft_poet_instance *g;

	(void)state;
	for (uint32_t i = 0; i < 5; i++)
		node[i] = (struct weft_poet_node){
			.bytes = 1, .seconds = 1, .compute_joules = 10, .pageout_joules = 3, .pagein_joules = 2};
	assert_int_equal(weft_poet_build("chain", node, 5, edge, 4, &g), 0);
	for (size_t c = 0; c < sizeof(cases) / sizeof(cases[0]); c++) {
		struct poet_reach reach;

		assert_int_equal(poet_reach_init(&reach, g, cases[c].joules, cases[c].seconds), 0);
		if (reach.use[0] != cases[c].use || reach.run[0] != cases[c].run || reach.load[0] != cases[c].load)
			fail_msg("case %zu: use %u run %u load %u", c, reach.use[0], reach.run[0], reach.load[0]);
		assert_int_equal(reach.use[4], 4);
		poet_reach_clear(&reach);
	}
	weft_poet_free(g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_schedules_are_solutions),
		cmocka_unit_test(test_reach),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
