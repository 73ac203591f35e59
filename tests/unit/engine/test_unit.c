// SPDX-License-Identifier: MIT
/* The frame: units, lanes, dispatch. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "engine.h"

static void test_arguments(void **state)
{
	static const struct {
		enum weft_engine_isa isa;
		unsigned int lanes;
		int result;
	} cases[] = {
		{WEFT_ENGINE_SCALAR, 1, 0},
		{WEFT_ENGINE_AUTO, 3, 0},
		{WEFT_ENGINE_AUTO, WEFT_ENGINE_MAX_LANES, 0},
		{WEFT_ENGINE_SCALAR, 0, -EINVAL},
		{WEFT_ENGINE_SCALAR, WEFT_ENGINE_MAX_LANES + 1, -EINVAL},
		{(enum weft_engine_isa)99, 1, -EINVAL},
	};

	(void)state;
	for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct weft_engine_unit *unit = NULL;

		assert_int_equal(weft_engine_unit_new(cases[i].isa, cases[i].lanes, &unit), cases[i].result);
		if (cases[i].result)
			continue;
		assert_int_equal(weft_engine_unit_lanes(unit), cases[i].lanes);
		if (cases[i].isa == WEFT_ENGINE_SCALAR)
			assert_string_equal(weft_engine_unit_kernels(unit), "scalar");
		weft_engine_unit_free(unit);
	}
	weft_engine_unit_free(NULL);
}

#define PIECES 1000

struct count {
	atomic_uint times[PIECES];
	struct weft_engine_unit *unit;
	atomic_bool wrong;
};

static void count_piece(void *argument, unsigned int index, unsigned int lane)
{
	struct count *count = argument;
	unsigned char *local = weft_engine_local(count->unit, lane);

	atomic_fetch_add(&count->times[index], 1);
	/* Whoever shared this lane's memory would be seen. */
	memset(local, (int)index, 64);
	memset(local + WEFT_LANE_LOCAL_BYTES - 64, (int)index, 64);
	for (unsigned int i = 0; i < 64; i++)
		if (local[i] != (unsigned char)index || local[WEFT_LANE_LOCAL_BYTES - 1 - i] != (unsigned char)index)
			atomic_store(&count->wrong, true);
	if ((uintptr_t)local % 64 || lane >= weft_engine_unit_lanes(count->unit))
		atomic_store(&count->wrong, true);
}

/* Every piece once, whatever the number of lanes and however often the pool is used. */
static void test_parallel(void **state)
{
	static struct count count;

	(void)state;
	for (unsigned int lanes = 1; lanes <= 5; lanes++) {
		assert_int_equal(weft_engine_unit_new(WEFT_ENGINE_AUTO, lanes, &count.unit), 0);
		for (unsigned int pieces = 0; pieces <= PIECES; pieces = pieces * 3 + 1) {
			for (unsigned int round = 0; round < 20; round++) {
				memset(count.times, 0, sizeof(count.times));
				weft_engine_parallel(count.unit, pieces, count_piece, &count);
				for (unsigned int i = 0; i < PIECES; i++)
					assert_int_equal(atomic_load(&count.times[i]), i < pieces);
			}
		}
		assert_false(atomic_load(&count.wrong));
		weft_engine_unit_free(count.unit);
	}
}

static void test_unknown_opcode(void **state)
{
	static const uint16_t opcodes[] = {0x0f, WEFT_OP_LIMIT - 1, WEFT_OP_LIMIT, 0xffff};
	struct weft_engine_unit *unit;

	(void)state;
	assert_int_equal(weft_engine_unit_new(WEFT_ENGINE_AUTO, 1, &unit), 0);
	for (unsigned int i = 0; i < sizeof(opcodes) / sizeof(opcodes[0]); i++) {
		struct weft_cmd command = {.opcode = opcodes[i], .tag = 7};
		struct weft_fault_record fault;
		void *pointer[1] = {NULL};

		assert_int_equal(weft_engine_execute(unit, &command, pointer, &fault), WEFT_FAULT_OPCODE);
		assert_int_equal(fault.reason, WEFT_FAULT_OPCODE);
		assert_int_equal(fault.opcode, opcodes[i]);
		assert_int_equal(fault.tag, 7);
		assert_int_equal(fault.operand, 0xff);
	}
	weft_engine_unit_free(unit);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_arguments),
		cmocka_unit_test(test_parallel),
		cmocka_unit_test(test_unknown_opcode),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
