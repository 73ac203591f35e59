// SPDX-License-Identifier: MIT
/* The picture of a step: levels add up, and the file is well-formed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "plan/draft.h"
#include "timeline.h"
#include "weft/error.h"

#define LAYERS 12

/* A chain of functions and its gradients; names that XML does not take as they are. */
static struct weft_graph *chain(void)
{
	static const uint32_t width[] = {4096, 16384, 65536, 32768, 16384, 8192};
	struct weft_graph *graph = weft_graph_new("chain <&>");
	struct weft_layout layout = {.type = WEFT_TYPE_F32, .rank = 1};
	union weft_params params = {0};
	weft_id value[LAYERS + 1], gradient = WEFT_NO_ID;
	char name[64];

	params.unary.function = WEFT_UNARY_SIGMOID;
	for (int i = 0; i <= LAYERS; i++) {
		layout.dims[0] = width[0];
		weft_layout_dense(&layout);
		snprintf(name, sizeof(name), "layer \"%d\" <&>", i);
		assert_int_equal(weft_graph_add_value(graph, name, i ? WEFT_VALUE_ACTIVATION : WEFT_VALUE_INPUT,
						      &layout, &value[i]),
				 0);
		if (i)
			assert_int_equal(weft_graph_add_operation(graph, name, WEFT_OP_UNARY, &params, 1, 2,
								  (weft_id[]){value[i - 1], value[i]}, NULL),
					 0);
	}
	graph->input = calloc(1, sizeof(*graph->input));
	graph->input[0] = value[0];
	graph->inputs = 1;
	gradient = value[LAYERS];
	for (int i = LAYERS; i > 0; i--) {
		weft_id next, operation;

		snprintf(name, sizeof(name), "gradient %d", i);
		assert_int_equal(weft_graph_add_value(graph, name, WEFT_VALUE_ACTIVATION, &layout, &next), 0);
		graph->value[next].backward = true;
		assert_int_equal(weft_graph_add_operation(graph, name, WEFT_OP_UNARY_BWD, &params, 2, 3,
							  (weft_id[]){value[i], gradient, next}, &operation),
				 0);
		graph->operation[operation].phase = WEFT_PHASE_BACKWARD;
		gradient = next;
	}
	graph->value[gradient].output = true;
	graph->batch = 1;
	graph->training = true;
	return graph;
}

static struct weft_costs costs_of(const struct weft_graph *graph)
{
	struct weft_costs costs = {
		.operation_seconds = calloc(graph->operations, sizeof(double)),
		.operation_joules = calloc(graph->operations, sizeof(double)),
		.page_in = {1e-6, 1e9, 0, 1e-10},
		.page_out = {1e-6, 1e9, 0, 1e-10},
		.store = {5e-5, 5e8, 0, 1e-9},
		.load = {5e-5, 5e8, 0, 1e-9},
	};

	for (uint32_t i = 0; i < graph->operations; i++) {
		costs.operation_seconds[i] = 20e-6;
		costs.operation_joules[i] = 1e-6;
	}
	return costs;
}

struct case_row {
	enum weft_policy policy;
	uint64_t device, host, storage;
	int shown; /* the kind that must appear */
};

static void draw_case(const struct case_row *row, const char *path, struct timeline *timeline)
{
	struct weft_graph *graph = chain();
	struct weft_costs costs = costs_of(graph);
	struct weft_plan_request request = {
		.graph = graph,
		.budget = {{row->device, row->host, row->storage}, 0},
		.policy = row->policy,
		.costs = &costs,
	};
	struct weft_plan_refusal refusal;
	struct weft_plan *plan;
	struct timeline_span *span;
	double *start, *finish;

	if (weft_planner_greedy.plan(&request, &plan, &refusal))
		fail_msg("policy %d: %s (least %llu)", row->policy, weft_error(),
			 (unsigned long long)refusal.least_device_bytes);
	span = calloc(plan->actions, sizeof(*span));
	start = calloc(plan->actions, sizeof(*start));
	finish = calloc(plan->actions, sizeof(*finish));
	assert_int_equal(weft_plan_predict_times(plan, graph, &costs, NULL, start, finish), 0);
	for (uint32_t i = 0; i < plan->actions; i++)
		span[i] = (struct timeline_span){(uint64_t)(start[i] * 1e9), (uint64_t)(finish[i] * 1e9)};
	assert_int_equal(timeline_build(timeline, graph, plan, &request.budget, span), 0);
	if (path)
		assert_int_equal(timeline_write(timeline, path), 0);
	for (size_t i = 0; i < timeline->blocks; i++)
		timeline->block[i].name = NULL; /* the graph goes */
	weft_plan_free(plan);
	free(span);
	free(start);
	free(finish);
	free(costs.operation_seconds);
	free(costs.operation_joules);
	weft_graph_free(graph);
}

static const struct case_row rows[] = {
	{WEFT_POLICY_AUTO, UINT64_MAX, UINT64_MAX, 0, TIMELINE_KEPT},
	{WEFT_POLICY_RECOMPUTE, 9 * 16384, UINT64_MAX, 0, TIMELINE_RECOMPUTED},
	{WEFT_POLICY_HOST, 9 * 16384, UINT64_MAX, 0, TIMELINE_PAGED},
	{WEFT_POLICY_STORAGE, 9 * 16384, UINT64_MAX, 1 << 20, TIMELINE_PAGED},
};

static void test_levels(void **state)
{
	(void)state;
	for (size_t r = 0; r < sizeof(rows) / sizeof(rows[0]); r++) {
		struct timeline timeline;
		uint64_t shown = 0;

		draw_case(&rows[r], NULL, &timeline);
		for (unsigned int tier = 0; tier < WEFT_TIERS; tier++) {
			for (size_t i = 0; i < timeline.levels[tier]; i++) {
				const struct timeline_level *level = &timeline.level[tier][i];
				uint64_t sum = 0;

				for (int kind = 0; kind < TIMELINE_KINDS; kind++)
					sum += level->bytes[kind];
				/* Copies have addresses in an arena of that size: they cannot be more. */
				assert_true(sum <= timeline.peak[tier]);
				assert_true(!i || level->at_ns > level[-1].at_ns);
			}
		}
		for (size_t i = 0; i < timeline.levels[WEFT_TIER_DEVICE]; i++)
			shown |= timeline.level[WEFT_TIER_DEVICE][i].bytes[rows[r].shown];
		if (!shown)
			fail_msg("policy %d shows no %d", rows[r].policy, rows[r].shown);
		timeline_free(&timeline);
	}
}

/* Every < opens or closes an element, in order; text holds no stray & or <. */
static void check_xml(const char *text)
{
	char open[16][24];
	int depth = 0;

	for (const char *at = strchr(text, '<'); at; at = strchr(at + 1, '<')) {
		const char *end = strchr(at, '>');
		char name[24];
		size_t length;

		assert_non_null(end);
		if (at[1] == '?' || at[1] == '!')
			continue;
		length = strcspn(at + 1 + (at[1] == '/'), " >/");
		assert_true(length > 0 && length < sizeof(name));
		snprintf(name, sizeof(name), "%.*s", (int)length, at + 1 + (at[1] == '/'));
		if (at[1] == '/') {
			assert_true(depth > 0);
			assert_string_equal(name, open[--depth]);
		} else if (end[-1] != '/') {
			assert_true(depth < 16);
			strcpy(open[depth++], name);
		}
	}
	assert_int_equal(depth, 0);
	for (const char *at = strchr(text, '&'); at; at = strchr(at + 1, '&'))
		assert_true(!strncmp(at, "&lt;", 4) || !strncmp(at, "&gt;", 4) || !strncmp(at, "&amp;", 5) ||
			    !strncmp(at, "&quot;", 6));
	assert_null(strstr(text, "nan"));
	assert_null(strstr(text, "inf"));
}

static void test_file(void **state)
{
	/* WEFT_TEST_TIMELINES names a directory to look at the pictures in. */
	const char *keep = getenv("WEFT_TEST_TIMELINES");

	(void)state;
	for (size_t r = 0; r < sizeof(rows) / sizeof(rows[0]); r++) {
		struct timeline timeline;
		char path[256], *text;
		size_t bytes;
		FILE *file;

		snprintf(path, sizeof(path), "%s/weft-timeline-%d-%zu.svg", keep ? keep : "/tmp",
			 keep ? 0 : (int)getpid(), r);
		draw_case(&rows[r], path, &timeline);
		timeline_free(&timeline);
		file = fopen(path, "rb");
		assert_non_null(file);
		text = calloc(1, 1 << 20);
		bytes = fread(text, 1, (1 << 20) - 1, file);
		fclose(file);
		assert_true(bytes > 2000);
		check_xml(text);
		assert_non_null(strstr(text, "chain &lt;&amp;&gt;"));
		free(text);
		if (!keep)
			unlink(path);
	}
}

static void test_unwritable(void **state)
{
	struct timeline timeline = {0};

	(void)state;
	assert_true(timeline_write(&timeline, "/nonexistent/step.svg") < 0);
	assert_non_null(strstr(weft_error(), "/nonexistent/step.svg"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_levels),
		cmocka_unit_test(test_file),
		cmocka_unit_test(test_unwritable),
	};

	return cmocka_run_group_tests_name("timeline", tests, NULL, NULL);
}
