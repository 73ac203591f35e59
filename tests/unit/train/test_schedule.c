// SPDX-License-Identifier: MIT
/* Learning-rate schedules against numbers worked out by hand. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stddef.h>
#include <cmocka.h>

#include "train/schedule.h"

static const struct {
	const char *what;
	struct weft_schedule schedule;
	uint64_t update, updates, epoch;
	double factor;
} cases[] = {
	{"constant", {WEFT_SCHEDULE_CONSTANT, 0, 0, 0}, 7, 100, 10, 1},
	{"first of four warm-up updates", {WEFT_SCHEDULE_CONSTANT, 4, 0, 0}, 0, 100, 10, 0.25},
	{"last of four warm-up updates", {WEFT_SCHEDULE_CONSTANT, 4, 0, 0}, 3, 100, 10, 1},
	{"after warm-up", {WEFT_SCHEDULE_CONSTANT, 4, 0, 0}, 4, 100, 10, 1},
	{"step, before the first fall", {WEFT_SCHEDULE_STEP, 0, 2, 0.5}, 19, 100, 10, 1},
	{"step, at the first fall", {WEFT_SCHEDULE_STEP, 0, 2, 0.5}, 20, 100, 10, 0.5},
	{"step, after two falls", {WEFT_SCHEDULE_STEP, 0, 2, 0.5}, 59, 100, 10, 0.25},
	{"step counts epochs from the beginning of training", {WEFT_SCHEDULE_STEP, 5, 2, 0.5}, 20, 100, 10, 0.5},
	{"cosine, first", {WEFT_SCHEDULE_COSINE, 0, 0, 0}, 0, 100, 10, 1},
	{"cosine, half way", {WEFT_SCHEDULE_COSINE, 0, 0, 0}, 50, 100, 10, 0.5},
	{"cosine, half way to a fifth", {WEFT_SCHEDULE_COSINE, 0, 0, 0.2}, 50, 100, 10, 0.6},
	{"cosine, after warm-up", {WEFT_SCHEDULE_COSINE, 20, 0, 0}, 20, 100, 10, 1},
	{"cosine, a third after warm-up", {WEFT_SCHEDULE_COSINE, 10, 0, 0}, 40, 100, 10, 0.75},
	{"cosine, past the end", {WEFT_SCHEDULE_COSINE, 0, 0, 0.1}, 100, 100, 10, 0.1},
};

static void factors(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		double factor =
			weft_schedule_factor(&cases[i].schedule, cases[i].update, cases[i].updates, cases[i].epoch);

		if (!(fabs(factor - cases[i].factor) < 1e-12))
			fail_msg("%s: %g, expected %g", cases[i].what, factor, cases[i].factor);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(factors)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
