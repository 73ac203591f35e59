// SPDX-License-Identifier: MIT
/* Dependencies by address, against a list that remembers everything. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "plan/walk.h"
#include "random_graph.h"

#define ACTIONS 3000

struct bytes {
	uint32_t writer, reader[ACTIONS], readers;
};

static void note(void *user, uint32_t earlier)
{
	((bool *)user)[earlier] = true;
}

/* Every 64 bytes of a small memory remember their last writer and the readers since. */
static void agrees_with_memory(uint64_t seed, uint64_t unit)
{
	enum { CELLS = 200 };
	struct bytes *cell = calloc(CELLS, sizeof(*cell));
	struct weft_hazards *hazards = weft_hazards_new();
	bool *expected = calloc(ACTIONS, sizeof(bool)), *visited = calloc(ACTIONS, sizeof(bool));
	uint64_t random = seed;

	assert_non_null(hazards);
	for (unsigned int i = 0; i < CELLS; i++)
		cell[i].writer = UINT32_MAX;
	for (uint32_t a = 0; a < ACTIONS; a++) {
		uint64_t low = random_next(&random) % CELLS, span = random_next(&random) % (a % 5 ? 12 : 90);
		uint64_t high = low + span > CELLS ? CELLS : low + span;
		struct weft_access access = {
			.tier = WEFT_TIER_HOST,
			.write = random_next(&random) % 2,
			.low = low * unit,
			.high = high * unit,
		};
		struct weft_access elsewhere = access;

		memset(expected, 0, ACTIONS * sizeof(bool));
		memset(visited, 0, ACTIONS * sizeof(bool));
		for (uint64_t c = low; c < high; c++) {
			if (cell[c].writer != UINT32_MAX)
				expected[cell[c].writer] = true;
			for (uint32_t r = 0; access.write && r < cell[c].readers; r++)
				expected[cell[c].reader[r]] = true;
		}
		weft_hazards_visit(hazards, &access, note, visited);
		assert_memory_equal(expected, visited, ACTIONS * sizeof(bool));
		elsewhere.tier = WEFT_TIER_DEVICE;
		elsewhere.write = true;
		memset(visited, 0, ACTIONS * sizeof(bool));
		weft_hazards_visit(hazards, &elsewhere, note, visited);
		assert_null(memchr(visited, 1, ACTIONS * sizeof(bool)));
		assert_int_equal(weft_hazards_record(hazards, &access, a), 0);
		for (uint64_t c = low; c < high; c++) {
			if (access.write) {
				cell[c].writer = a;
				cell[c].readers = 0;
			} else {
				cell[c].reader[cell[c].readers++] = a;
			}
		}
	}
	weft_hazards_free(hazards);
	free(cell);
	free(expected);
	free(visited);
}

static void dependencies_are_exact(void **state)
{
	/* The last unit lies beyond what the index has entries for at first. */
	static const uint64_t units[] = {1, 64, 4096, 1 << 20, 1ull << 33};

	(void)state;
	for (uint64_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		agrees_with_memory(i + 1, units[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(dependencies_are_exact)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
