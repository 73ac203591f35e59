// SPDX-License-Identifier: MIT
/* POET's own smaller instances, where they are present, against what its integer program reached. */
#include "plan/poet/poet.h"

#include "weft/error.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static const char *folder(char text[4096])
{
	const char *shared = getenv("WEFT_SHARED");

	snprintf(text, 4096, "%s/poet", shared ? shared : WEFT_SOURCE_ROOT "/../shared");
	return text;
}

static struct weft_poet_instance *read_shared(const char *name)
{
	struct weft_poet_instance *instance;
	char where[4096], path[4352];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s.json", folder(where), name);
	file = fopen(path, "re");
	if (!file) {
		printf("no %s: skipped; WEFT_SHARED says where POET's instances are\n", path);
		skip();
	}
	fclose(file);
	if (weft_poet_read(path, &instance) < 0)
		fail_msg("%s", weft_error());
	return instance;
}

static void solve_row(const struct weft_poet_instance *g, uint64_t ram, double ratio, double best)
{
	struct weft_poet_options options = {.ram_bytes = ram, .time_ratio = ratio, .gap = 0.05};
	struct weft_poet_measure measure;
	struct weft_poet_result result;

	assert_int_equal(weft_poet_solve(g, &options, &result), 0);
	if (best == INFINITY && result.status == WEFT_POET_INFEASIBLE)
		return;
	assert_int_equal(result.status, WEFT_POET_FEASIBLE);
	assert_int_equal(weft_poet_check(g, result.schedule, ram, ratio, &measure), 0);
	assert_float_equal(measure.joules, result.joules, 1e-9 * result.joules);
	if (result.gap > 0.01 || result.overhead_gap > 0.1)
		fail_msg("%s, %lu bytes: gap %g, in overhead %g", g->name, (unsigned long)ram, result.gap,
			 result.overhead_gap);
	/* The peer's integers are right to a tolerance: so is its energy.  Its schedule bounds our bound. */
	if (result.joules > best * (1 + 1e-7) || result.bound_joules > best * (1 + 1e-7))
		fail_msg("%s, %lu bytes: %.9g J, bound %.9g J, peer %.9g J", g->name, (unsigned long)ram, result.joules,
			 result.bound_joules, best);
	weft_poet_result_clear(&result);
}

static void test_small_instances(void **state)
{
	static const char *const names[] = {"linear.m0",
					    "linear.m4",
					    "linear.a72",
					    "linear.a72nocache",
					    "transformer.m0",
					    "transformer.m4",
					    "transformer.a72nocache",
					    "vgg16_cifar.m4"};

	(void)state;
	for (size_t n = 0; n < sizeof(names) / sizeof(names[0]); n++) {
		struct weft_poet_instance *g = read_shared(names[n]);

		for (uint32_t b = n + 1 == sizeof(names) / sizeof(names[0]) ? 3 : 0; b < g->budgets; b++)
			solve_row(g, g->budget[b].bytes, 1.4, INFINITY);
		weft_poet_free(g);
	}
}

/* Every row of the baseline on these. */
static void test_baseline(void **state)
{
	struct weft_poet_instance *g = NULL;
	char where[4096], path[4352], line[4096];
	size_t rows = 0;
	FILE *file;

	(void)state;
	snprintf(path, sizeof(path), "%s/baseline.jsonl", folder(where));
	file = fopen(path, "re");
	if (!file) {
		printf("no %s: skipped\n", path);
		skip();
	}
	while (fgets(line, sizeof(line), file)) {
		cJSON *row = cJSON_Parse(line);
		const cJSON *joules = cJSON_GetObjectItem(row, "obj");
		const char *model = cJSON_GetStringValue(cJSON_GetObjectItem(row, "model"));
		char name[128];

		assert_non_null(model);
		if (cJSON_IsNumber(joules) && cJSON_IsTrue(cJSON_GetObjectItem(row, "replay_ok")) &&
		    (!strcmp(model, "linear") || !strcmp(model, "transformer"))) {
			snprintf(name, sizeof(name), "%s.%s", model,
				 cJSON_GetStringValue(cJSON_GetObjectItem(row, "plat")));
			g = read_shared(name);
			solve_row(g, (uint64_t)cJSON_GetNumberValue(cJSON_GetObjectItem(row, "ram")),
				  cJSON_GetNumberValue(cJSON_GetObjectItem(row, "tr")), joules->valuedouble);
			weft_poet_free(g);
			rows++;
		}
		cJSON_Delete(row);
	}
	fclose(file);
	assert_true(rows >= 5);
}

/* One byte below the least that one node needs: proven infeasible, and said so. */
static void test_too_little(void **state)
{
	struct weft_poet_instance *g = read_shared("vgg16_cifar.m4");
	struct weft_poet_options options = {.ram_bytes = g->least_bytes - 1, .time_ratio = 1.4};
	struct weft_poet_result result;

	(void)state;
	assert_int_equal(weft_poet_solve(g, &options, &result), 0);
	assert_int_equal(result.status, WEFT_POET_INFEASIBLE);
	assert_int_equal(result.least_bytes, g->least_bytes);
	weft_poet_free(g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_small_instances),
		cmocka_unit_test(test_baseline),
		cmocka_unit_test(test_too_little),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
