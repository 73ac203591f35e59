// SPDX-License-Identifier: MIT
/* The sweep over budgets: more memory never costs more energy, bounds lie below, and both writers write every point. */
#include "plan/poet/poet.h"

#include "weft/error.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define POINTS 7

/* A chain of four and its gradients, in the manner of POET. */
static struct weft_poet_instance *make_chain(void)
{
	struct weft_poet_node node[9];
	struct weft_poet_edge edge[32];
	struct weft_poet_instance *instance;
	size_t edges = 0;

	for (uint32_t i = 0; i < 9; i++)
		node[i] = (struct weft_poet_node){.bytes = 8,
						  .seconds = 1,
						  .compute_joules = i % 3 + 1,
						  .pageout_joules = 0.5,
						  .pagein_joules = 0.25};
	for (uint32_t i = 1; i < 5; i++)
		edge[edges++] = (struct weft_poet_edge){i - 1, i};
	for (uint32_t g = 5; g < 9; g++) {
		edge[edges++] = (struct weft_poet_edge){9 - g, g};
		edge[edges++] = (struct weft_poet_edge){8 - g, g};
		edge[edges++] = (struct weft_poet_edge){g - 1, g};
	}
	assert_int_equal(weft_poet_build("a <chain> & more", node, 9, edge, edges, &instance), 0);
	return instance;
}

static size_t count(const char *text, const char *what)
{
	size_t found = 0;

	for (text = strstr(text, what); text; text = strstr(text + strlen(what), what))
		found++;
	return found;
}

static void test_front(void **state)
{
	struct weft_poet_options options = {.time_ratio = 2, .seconds = 7, .iterations = 3000};
	struct weft_poet_instance *instance = make_chain();
	struct weft_poet_point point[POINTS];
	char *text = NULL;
	size_t length = 0;
	FILE *file;

	(void)state;
	assert_int_equal(weft_poet_sweep(instance, &options, POINTS, point), 0);
	assert_int_equal(point[0].ram_bytes, instance->least_bytes);
	assert_int_equal(point[POINTS - 1].ram_bytes, instance->storeall_bytes);
	assert_float_equal(point[POINTS - 1].joules, instance->base_joules, 1e-9);
	assert_true(point[0].joules > instance->base_joules);
	for (uint32_t p = 0; p < POINTS; p++) {
		assert_int_equal(point[p].status, WEFT_POET_FEASIBLE);
		assert_true(point[p].bound_joules <= point[p].joules + 1e-9);
		assert_true(point[p].peak_bytes <= point[p].ram_bytes);
		if (p)
			assert_true(point[p].joules <= point[p - 1].joules);
	}
	file = open_memstream(&text, &length);
	assert_int_equal(weft_poet_sweep_write_csv(point, POINTS, file), 0);
	fclose(file);
	assert_int_equal(count(text, "\n"), POINTS + 1);
	assert_int_equal(count(text, "feasible"), POINTS);
	free(text);
	file = open_memstream(&text, &length);
	assert_int_equal(weft_poet_sweep_write_svg(instance, point, POINTS, file), 0);
	fclose(file);
	assert_int_equal(count(text, "<polyline"), 3);
	assert_int_equal(count(text, "<svg"), 1);
	assert_int_equal(count(text, "</svg>"), 1);
	assert_int_equal(count(text, "<chain>"), 0); /* a name is text, not markup */
	assert_int_equal(count(text, "nan"), 0);
	free(text);
	weft_poet_free(instance);
}

static void test_bad_arguments(void **state)
{
	struct weft_poet_options options = {.time_ratio = 2};
	struct weft_poet_instance *instance = make_chain();
	struct weft_poet_point point[POINTS];

	(void)state;
	assert_int_equal(weft_poet_sweep(instance, &options, 1, point), -EINVAL);
	assert_int_equal(weft_poet_sweep(instance, &options, WEFT_POET_MAX_POINTS + 1, point), -EINVAL);
	options.time_ratio = -1;
	assert_int_equal(weft_poet_sweep(instance, &options, POINTS, point), -EINVAL);
	weft_poet_free(instance);
}

/* A drawing shows every node's computation, and each level of the check's replay is within its peak. */
static void test_drawing(void **state)
{
	struct weft_poet_instance *instance = make_chain();
	struct weft_poet_options options = {.ram_bytes = instance->least_bytes, .time_ratio = 2, .iterations = 3000};
	struct weft_poet_result result;
	uint64_t level[9], highest = 0;
	char *text = NULL;
	size_t length = 0;
	FILE *file = open_memstream(&text, &length);

	(void)state;
	assert_int_equal(weft_poet_solve(instance, &options, &result), 0);
	assert_int_equal(result.status, WEFT_POET_FEASIBLE);
	assert_int_equal(weft_poet_levels(instance, result.schedule, level), 0);
	for (uint32_t t = 0; t < 9; t++)
		highest = level[t] > highest ? level[t] : highest;
	assert_int_equal(highest, result.measure.peak_bytes);
	assert_int_equal(weft_poet_draw(instance, result.schedule, options.ram_bytes, file), 0);
	fclose(file);
	assert_int_equal(count(text, "class=\"first\""), 9 + 1); /* and one in the legend */
	assert_int_equal(count(text, "<svg"), 1);
	assert_int_equal(count(text, "</svg>"), 1);
	assert_int_equal(count(text, "<chain>"), 0);
	free(text);
	/* A schedule that misses an input is not drawn. */
	memset(result.schedule->retained, 0, result.schedule->row_words * 9 * sizeof(uint64_t));
	file = open_memstream(&text, &length);
	assert_int_equal(weft_poet_draw(instance, result.schedule, options.ram_bytes, file), -EINVAL);
	fclose(file);
	free(text);
	weft_poet_result_clear(&result);
	weft_poet_free(instance);
}

/* A full disk is an error with a sentence. */
static void test_full(void **state)
{
	struct weft_poet_point point[POINTS] = {{.status = WEFT_POET_FEASIBLE}};
	FILE *file = fopen("/dev/full", "w");

	(void)state;
	if (!file)
		skip();
	assert_true(weft_poet_sweep_write_csv(point, POINTS, file) < 0);
	assert_non_null(strstr(weft_error(), "writing"));
	fclose(file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_front),
		cmocka_unit_test(test_bad_arguments),
		cmocka_unit_test(test_drawing),
		cmocka_unit_test(test_full),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
