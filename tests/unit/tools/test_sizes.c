// SPDX-License-Identifier: MIT
/* Sizes as people write and read them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "sizes.h"

static void test_parse(void **state)
{
	static const struct {
		const char *text;
		int result;
		uint64_t bytes;
	} rows[] = {
		{"0", 0, 0},
		{"1536", 0, 1536},
		{"1.5K", 0, 1536},
		{"64k", 0, 65536},
		{"16M", 0, 16 << 20},
		{"64KiB", 0, 65536},
		{"2GB", 0, UINT64_C(2) << 30},
		{"1T", 0, UINT64_C(1) << 40},
		{"9007199254740993", 0, 9007199254740993},
		{"unlimited", 0, UINT64_MAX},
		{"", -EINVAL, 0},
		{"-1", -EINVAL, 0},
		{"K", -EINVAL, 0},
		{"1.K", -EINVAL, 0},
		{"1KK", -EINVAL, 0},
		{"1 K", -EINVAL, 0},
		{"0x10", -EINVAL, 0},
		{"1e3", -EINVAL, 0},
		{"nan", -EINVAL, 0},
		{"99999999999999999999", -ERANGE, 0},
		{"9999999999T", -ERANGE, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint64_t bytes = 0;
		int result = size_parse(rows[i].text, &bytes);

		if (result != rows[i].result || (!result && bytes != rows[i].bytes))
			fail_msg("'%s' gives %d, %llu", rows[i].text, result, (unsigned long long)bytes);
	}
}

static void test_format(void **state)
{
	static const struct {
		uint64_t bytes;
		const char *text, *exact;
	} rows[] = {
		{0, "0 B", "0"},
		{1023, "1023 B", "1023"},
		{1024, "1.0 KiB", "1K"},
		{1536, "1.5 KiB", "1536"},
		{98304, "96.0 KiB", "96K"},
		{1048575, "1.0 MiB", "1048575"},
		{256 << 20, "256 MiB", "256M"},
		{UINT64_MAX, "unlimited", "18446744073709551615"},
	};
	char text[24];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint64_t back;

		assert_string_equal(size_format(rows[i].bytes, text), rows[i].text);
		assert_string_equal(size_exact(rows[i].bytes, text), rows[i].exact);
		if (rows[i].bytes != UINT64_MAX) {
			assert_int_equal(size_parse(text, &back), 0);
			assert_int_equal(back, rows[i].bytes);
		}
	}
}

static void test_amounts(void **state)
{
	char text[32];

	(void)state;
	assert_string_equal(seconds_format(0.00085, text), "850 \302\265s");
	assert_string_equal(seconds_format(0.0123, text), "12.30 ms");
	assert_string_equal(seconds_format(4.12, text), "4.1 s");
	assert_string_equal(seconds_format(185, text), "3 min 05 s");
	assert_string_equal(joules_format(0.00085, text), "850.0 \302\265J");
	assert_string_equal(joules_format(1.234, text), "1.23 J");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_format),
		cmocka_unit_test(test_amounts),
	};

	return cmocka_run_group_tests_name("sizes", tests, NULL, NULL);
}
