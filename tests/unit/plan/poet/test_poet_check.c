// SPDX-License-Identifier: MIT
/* The check of POET schedules: a good one passes, and each rule broken alone is refused for its own reason. */
#include "plan/poet/poet.h"

#include "weft/error.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

/*
 *   0 -> 1 -> 2 -> 3   and 0 -> 3, 1 -> 3
 * Node 1 is paged out in stage 2 and in again in stage 2+; see make_schedule().
 */
static const struct weft_poet_node nodes[] = {
	{.bytes = 10, .seconds = 0, .compute_joules = 0, .pageout_joules = 5, .pagein_joules = 4},
	{.bytes = 20, .seconds = 1, .compute_joules = 2, .pageout_joules = 7, .pagein_joules = 6},
	{.bytes = 30, .seconds = 2, .compute_joules = 3, .pageout_joules = 9, .pagein_joules = 8},
	{.bytes = 5, .seconds = 4, .compute_joules = 6, .pageout_joules = 1, .pagein_joules = 1},
	{.bytes = 40, .seconds = 8, .compute_joules = 16, .pageout_joules = 1, .pagein_joules = 1},
};
static const struct weft_poet_edge edges[] = {{0, 1}, {1, 2}, {2, 3}, {0, 4}, {1, 4}, {3, 4}};

struct fixture {
	struct weft_poet_instance *instance;
	struct weft_poet_schedule *schedule;
};

enum matrix { R, S, D, MI, MO };

static uint64_t *matrix_of(struct weft_poet_schedule *schedule, enum matrix which)
{
	uint64_t *const matrix[] = {schedule->compute, schedule->retained, schedule->stored, schedule->page_in,
				    schedule->page_out};

	return matrix[which];
}

static void put(struct fixture *f, enum matrix which, uint32_t stage, uint32_t node, bool value)
{
	uint64_t *word = &matrix_of(f->schedule, which)[(size_t)stage * f->schedule->row_words + node / 64];

	*word = (*word & ~(UINT64_C(1) << node % 64)) | (uint64_t)value << node % 64;
}

/*
 * stage 0: compute 0.            10 bytes
 * stage 1: S = {0}: compute 1.   30
 * stage 2: S = {1}: compute 2, page 1 out.  50; 1 is freed
 * stage 3: S = {2}: compute 3, page 1 in.   35
 * stage 4: S = {1, 3}: compute 0 again, 4.  25, 35, 75
 */
static int setup(void **state)
{
	static struct fixture f;
	static const struct {
		enum matrix which;
		uint32_t stage, node;
	} set[] = {{R, 0, 0}, {R, 1, 1}, {R, 2, 2}, {R, 3, 3}, {R, 4, 4},  {R, 4, 0}, {S, 1, 0},
		   {S, 2, 1}, {S, 3, 2}, {S, 4, 1}, {S, 4, 3}, {MO, 2, 1}, {D, 3, 1}, {MI, 3, 1}};

	assert_int_equal(weft_poet_build("test", nodes, 5, edges, 6, &f.instance), 0);
	f.schedule = weft_poet_schedule_new(5);
	assert_non_null(f.schedule);
	for (size_t i = 0; i < sizeof(set) / sizeof(set[0]); i++)
		put(&f, set[i].which, set[i].stage, set[i].node, true);
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	weft_poet_schedule_free(f->schedule);
	weft_poet_free(f->instance);
	return 0;
}

static void test_good_schedule(void **state)
{
	struct fixture *f = *state;
	struct weft_poet_measure m;

	assert_int_equal(weft_poet_check(f->instance, f->schedule, 75, 1, &m), 0);
	assert_float_equal(m.joules, 27 + 7 + 6, 1e-12);
	assert_float_equal(m.seconds, 15, 1e-12);
	assert_int_equal(m.peak_bytes, 75);
	assert_int_equal(m.computations, 6);
	assert_int_equal(m.page_ins, 1);
	assert_int_equal(m.page_outs, 1);
	assert_int_equal(m.paged_bytes, 40);
}

struct violation {
	const char *what;
	struct {
		enum matrix which;
		uint32_t stage, node;
		bool value;
	} change[3];
	size_t changes;
	const char *sentence;
};

static const struct violation violations[] = {
	{"own stage not computed", {{R, 3, 3, false}}, 1, "not computed in its own stage"},
	{"computed ahead", {{R, 1, 2, true}}, 1, "ahead of its stage"},
	{"paged in ahead", {{MI, 1, 3, true}}, 1, "ahead of its stage"},
	{"paged out ahead", {{MO, 1, 4, true}}, 1, "ahead of its stage"},
	{"bit beyond the last node", {{R, 2, 9, true}}, 1, "ahead of its stage"},
	{"retained in its own stage", {{S, 2, 2, true}}, 1, "before its own stage"},
	{"stored in its own stage", {{D, 2, 2, true}}, 1, "before its own stage"},
	{"input missing", {{S, 2, 1, false}, {MO, 2, 1, false}, {D, 3, 1, false}}, 3, ""},
	{"input missing where computed again", {{R, 4, 2, true}, {S, 4, 1, false}}, 2, "without one of its inputs"},
	{"retained from nowhere", {{S, 4, 2, true}, {S, 3, 2, false}}, 2, ""},
	{"retained after a gap", {{S, 3, 0, true}}, 1, "retained for the next stage but"},
	{"retained without the page-in", {{MI, 3, 1, false}}, 1, "retained for the next stage but"},
	{"paged in but not stored", {{D, 3, 1, false}}, 1, "paged in but not in storage"},
	{"stored without the page-out", {{MO, 2, 1, false}}, 1, "in storage at the next stage but"},
	{"paged out but not in RAM", {{MO, 2, 0, true}}, 1, "paged out but not in RAM"},
	{"paged out in the stage that computes it",
	 {{MO, 2, 1, false}, {MO, 1, 1, true}, {D, 2, 1, true}},
	 3,
	 "paged out but not in RAM"},
	{"paged in during the stage that pages out", {{MI, 2, 1, true}}, 1, "paged in but not in storage"},
};

static void test_violations(void **state)
{
	for (size_t v = 0; v < sizeof(violations) / sizeof(violations[0]); v++) {
		const struct violation *violation = &violations[v];
		struct weft_poet_measure m;
		struct fixture *f;

		setup(state);
		f = *state;
		for (size_t c = 0; c < violation->changes; c++)
			put(f, violation->change[c].which, violation->change[c].stage, violation->change[c].node,
			    violation->change[c].value);
		if (weft_poet_check(f->instance, f->schedule, 1000, 10, &m) != -EINVAL)
			fail_msg("accepted: %s", violation->what);
		if (!strstr(weft_error(), violation->sentence))
			fail_msg("%s: refused for another reason: %s", violation->what, weft_error());
		teardown(state);
	}
	setup(state);
}

/* Budgets: one byte or one part in a million less is refused. */
static void test_budgets(void **state)
{
	struct fixture *f = *state;
	struct weft_poet_measure m;

	assert_int_equal(weft_poet_check(f->instance, f->schedule, 74, 1, &m), -EINVAL);
	assert_non_null(strstr(weft_error(), "RAM at 75 bytes, budget 74"));
	assert_int_equal(weft_poet_check(f->instance, f->schedule, 75, 0.999999, &m), -EINVAL);
	assert_non_null(strstr(weft_error(), "computing takes"));
	assert_int_equal(weft_poet_check(f->instance, f->schedule, 75, 0, &m), 0);
	put(f, R, 3, 1, true); /* 1 again, from 0 again: 2 J and 1 s more */
	put(f, R, 3, 0, true);
	assert_int_equal(weft_poet_check(f->instance, f->schedule, 75, 1, &m), -EINVAL);
	assert_int_equal(weft_poet_check(f->instance, f->schedule, 75, 16.0 / 15, &m), 0);
	assert_float_equal(m.joules, 42, 1e-12);
}

/* The level: what is retained lies there for the whole stage, what nobody reads too, and an input until its last
 * reader. */
static void test_levels(void **state)
{
	struct fixture *f = *state;
	struct weft_poet_measure m;

	/* 2 kept through stage 4 for nothing: 30 more. */
	put(f, S, 4, 2, true);
	assert_int_equal(weft_poet_check(f->instance, f->schedule, 105, 1, &m), 0);
	assert_int_equal(m.peak_bytes, 105);
	put(f, S, 4, 2, false);
	/* 2 computed again in stage 4 reads 1, which 4 reads too: 1 and 2 stay: 25 + 10 + 30 + 40. */
	put(f, R, 4, 2, true);
	assert_int_equal(weft_poet_check(f->instance, f->schedule, 1000, 10, &m), 0);
	assert_int_equal(m.peak_bytes, 105);
	put(f, R, 4, 2, false);
	/* 1 not in RAM but computed again in stage 4: 5 + 10 + 20 + 40. */
	put(f, S, 4, 1, false);
	put(f, R, 4, 1, true);
	assert_int_equal(weft_poet_check(f->instance, f->schedule, 75, 10, &m), 0);
	assert_int_equal(m.peak_bytes, 75);
	/* 3 computed again in stage 4 from a kept 2, which is freed right after: 30 + 10 + 20 + 5 - 30 + 40. */
	put(f, S, 4, 3, false);
	put(f, S, 4, 2, true);
	put(f, R, 4, 3, true);
	assert_int_equal(weft_poet_check(f->instance, f->schedule, 75, 10, &m), 0);
	assert_int_equal(m.peak_bytes, 75);
}

static void test_other_size(void **state)
{
	struct fixture *f = *state;
	struct weft_poet_schedule *other = weft_poet_schedule_new(4);
	struct weft_poet_measure m;

	assert_int_equal(weft_poet_check(f->instance, other, 1000, 10, &m), -EINVAL);
	weft_poet_schedule_free(other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_good_schedule, setup, teardown),
		cmocka_unit_test_setup_teardown(test_violations, NULL, teardown),
		cmocka_unit_test_setup_teardown(test_budgets, setup, teardown),
		cmocka_unit_test_setup_teardown(test_levels, setup, teardown),
		cmocka_unit_test_setup_teardown(test_other_size, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
