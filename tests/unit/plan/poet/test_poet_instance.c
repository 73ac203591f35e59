// SPDX-License-Identifier: MIT
/* Reading and building POET instances: a good one comes back as it was, a bad one is refused with a sentence. */
#include "plan/poet/poet.h"

#include "weft/error.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define NODE(id, bytes)                                                                 \
	"{\"id\":" #id ",\"name\":\"n" #id "\",\"backward\":false,\"mem_bytes\":" bytes \
	",\"runtime_s\":0.5,\"compute_J\":2,\"pagein_J\":3,\"pageout_J\":4}"
#define HEAD "{\"format\":\"poet-instance-1\",\"name\":\"x.y\",\"model\":\"x\",\"platform\":\"y\","
#define FILE_OF(nodes, edges) HEAD "\"nodes\":[" nodes "],\"edges\":[" edges "]}"

static void test_good(void **state)
{
	static const char text[] = HEAD "\"nodes\":[" NODE(0, "8") "," NODE(1, "4") "," NODE(
		2, "2") "],"
			"\"edges\":[[0,1],[1,2],[0,2],[1,2]],"
			"\"ram_budgets\":[{\"label\":\"f00\",\"ram_budget_bytes\":14}],"
			"\"time_budget_ratios\":[1.1,1.4]}";
	struct weft_poet_instance *instance, *again;
	char *written = NULL;
	size_t length = 0;
	FILE *file = open_memstream(&written, &length);

	(void)state;
	assert_int_equal(weft_poet_parse(text, strlen(text), "text", &instance), 0);
	assert_int_equal(weft_poet_write(instance, file), 0);
	fclose(file);
	assert_int_equal(weft_poet_parse(written, length, "written", &again), 0);
	for (struct weft_poet_instance *i = instance; i; i = i == instance ? again : NULL) {
		assert_string_equal(i->name, "x.y");
		assert_string_equal(i->platform, "y");
		assert_int_equal(i->nodes, 3);
		assert_int_equal(i->edges, 3);
		assert_int_equal(i->input.start[3] - i->input.start[2], 2);
		assert_int_equal(i->reader.item[1], 2);
		assert_float_equal(i->base_joules, 6, 1e-12);
		assert_float_equal(i->base_seconds, 1.5, 1e-12);
		assert_int_equal(i->storeall_bytes, 14);
		assert_int_equal(i->least_bytes, 14);
		assert_int_equal(i->budgets, 1);
		assert_int_equal(i->budget[0].bytes, 14);
		assert_string_equal(i->budget[0].label, "f00");
		assert_int_equal(i->time_ratios, 2);
		assert_float_equal(i->time_ratio[1], 1.4, 1e-12);
	}
	weft_poet_free(instance);
	weft_poet_free(again);
	free(written);
}

static void test_bad_files(void **state)
{
	static const struct {
		const char *text, *sentence;
	} bad[] = {
		{"", "not JSON"},
		{"{\"format\":\"poet-instance-1\",", "not JSON"},
		{"[]", "\"format\""},
		{"{\"format\":\"poet-instance-2\"}", "\"format\""},
		{"{\"format\":\"poet-instance-1\"}", "\"nodes\""},
		{FILE_OF("", ""), "0 nodes"},
		{FILE_OF(NODE(1, "8"), ""), "\"id\""},
		{FILE_OF(NODE(0, "-8"), ""), "\"mem_bytes\""},
		{FILE_OF(NODE(0, "8.5"), ""), "\"mem_bytes\""},
		{FILE_OF(NODE(0, "1e300"), ""), "\"mem_bytes\""},
		{FILE_OF(NODE(0, "4503599627370496") "," NODE(1, "4503599627370496"), ""), "2^52"},
		{FILE_OF(NODE(0, "\"8\""), ""), "not a number"},
		{FILE_OF("{\"id\":0}", ""), "missing"},
		{FILE_OF("7", ""), "missing"},
		{FILE_OF("{\"id\":0,\"mem_bytes\":1,\"runtime_s\":-1,\"compute_J\":1,\"pagein_J\":1,\"pageout_J\":1}",
			 ""),
		 "runtime_s"},
		{FILE_OF("{\"id\":0,\"mem_bytes\":1,\"runtime_s\":1,\"compute_J\":1e999,\"pagein_J\":1,\"pageout_J\":"
			 "1}",
			 ""),
		 "compute_J"},
		{FILE_OF(NODE(0, "8"), "[0,1]"), "edge 0"},
		{FILE_OF(NODE(0, "8") "," NODE(1, "8"), "[0,1],[1,0]"), "topological"},
		{FILE_OF(NODE(0, "8") "," NODE(1, "8"), "[0,0]"), "topological"},
		{FILE_OF(NODE(0, "8") "," NODE(1, "8"), "[0]"), "edges[0]"},
		{FILE_OF(NODE(0, "8") "," NODE(1, "8"), "[0,-1]"), "edges[0]"},
		{FILE_OF(NODE(0, "8") "," NODE(1, "8"), "[0.5,1]"), "edges[0]"},
		{FILE_OF(NODE(0, "8") "," NODE(1, "8"), "[0,1e30]"), "edges[0]"},
		{HEAD "\"nodes\":[" NODE(0, "8") "],\"edges\":[],\"ram_budgets\":[{}]}", "ram_budgets[0]"},
		{HEAD "\"nodes\":[" NODE(0, "8") "],\"edges\":[],\"ram_budgets\":[{\"ram_budget_bytes\":-4}]}",
		 "ram_budgets[0]"},
		{HEAD "\"nodes\":[" NODE(0, "8") "],\"edges\":[],\"ram_budgets\":[{\"ram_budget_bytes\":1e300}]}",
		 "ram_budgets[0]"},
		{HEAD "\"nodes\":[" NODE(0, "8") "],\"edges\":[],\"time_budget_ratios\":[-1]}",
		 "time_budget_ratios[0]"},
		{HEAD "\"nodes\":{},\"edges\":[]}", "\"nodes\""},
		{HEAD "\"nodes\":[" NODE(0, "8") "],\"edges\":7}", "\"edges\""},
		{HEAD "\"nodes\":[" NODE(0, "8") "]}", "\"edges\""},
		{FILE_OF(NODE(0, "NaN"), ""), "not JSON"},
		{FILE_OF(NODE(0, "Infinity"), ""), "not JSON"},
		{FILE_OF(NODE(0, "null"), ""), "mem_bytes"},
		{FILE_OF(NODE(0, "8") "," NODE(0, "8"), ""), "\"id\""},
		{FILE_OF(NODE(0, "8") "," NODE(1, "8") "," NODE(2, "8"), "[0,1],[1,2],[2,1]"), "topological"},
		{FILE_OF(NODE(0, "8") "," NODE(1, "8"), "[0,1,2]"), "edges[0]"},
		{FILE_OF(NODE(0, "8") "," NODE(1, "8"), "[0,4294967297]"), "edges[0]"},
		{FILE_OF(NODE(0, "8") "," NODE(1, "8"), "[null,1]"), "edges[0]"},
		{FILE_OF(NODE(0, "8") "," NODE(1, "8"), "{}"), "edges[0]"},
		{HEAD "\"nodes\":[" NODE(0, "8") "],\"edges\":[],\"time_budget_ratios\":[\"x\"]}",
		 "time_budget_ratios[0]"},
	};
	(void)state;
	for (size_t b = 0; b < sizeof(bad) / sizeof(bad[0]); b++) {
		struct weft_poet_instance *instance = NULL;
		int result = weft_poet_parse(bad[b].text, strlen(bad[b].text), "text", &instance);

		if (result != -EINVAL)
			fail_msg("case %zu: result %d: %s", b, result, bad[b].text);
		if (!strstr(weft_error(), bad[b].sentence) || !strstr(weft_error(), "text"))
			fail_msg("case %zu: %s", b, weft_error());
		assert_null(instance);
	}
}

/* Every way to cut a good file short is refused, none crashes. */
static void test_truncated(void **state)
{
	static const char text[] = FILE_OF(NODE(0, "8") "," NODE(1, "4"), "[0,1]");
	struct weft_poet_instance *instance = NULL;

	(void)state;
	for (size_t length = 0; length < strlen(text); length++) {
		char *copy = malloc(length + 1); /* exact, so that a sanitizer sees a read beyond */

		memcpy(copy, text, length);
		assert_int_equal(weft_poet_parse(copy, length, "cut", &instance), -EINVAL);
		free(copy);
	}
}

static void test_no_file(void **state)
{
	struct weft_poet_instance *instance;

	(void)state;
	assert_int_equal(weft_poet_read("/nonexistent/x.json", &instance), -ENOENT);
	assert_non_null(strstr(weft_error(), "/nonexistent/x.json"));
}

static void test_too_many(void **state)
{
	struct weft_poet_instance *instance;
	struct weft_poet_node node = {.bytes = 1};

	(void)state;
	assert_int_equal(weft_poet_build("x", &node, WEFT_POET_MAX_NODES + 1u, NULL, 0, &instance), -EINVAL);
	assert_int_equal(weft_poet_build("x", &node, 1, NULL, SIZE_MAX, &instance), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),	cmocka_unit_test(test_bad_files), cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_no_file), cmocka_unit_test(test_too_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
