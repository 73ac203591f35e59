/* SPDX-License-Identifier: MIT */
/* As much of cmocka as the integer tests use, for processors that the machine has no cmocka for. */
#ifndef TEST_CROSS_CMOCKA_H
#define TEST_CROSS_CMOCKA_H

#include <stdio.h>
#include <stdlib.h>

struct CMUnitTest {
	const char *name;
	void (*function)(void **state);
};
#define cmocka_unit_test(function)  \
	{                           \
#function, function \
	}
#define fail_msg(...) (fprintf(stderr, __VA_ARGS__), fputc('\n', stderr), exit(1))
#define assert_int_equal(a, b)                                                                         \
	do {                                                                                           \
		long long a_ = (long long)(a), b_ = (long long)(b);                                    \
		if (a_ != b_)                                                                          \
			fail_msg("%s:%d: %s is %lld, %s is %lld", __FILE__, __LINE__, #a, a_, #b, b_); \
	} while (0)

static inline int run_tests(const struct CMUnitTest *tests, size_t count, int (*setup)(void **),
			    int (*teardown)(void **))
{
	void *state = NULL;

	if (setup(&state)) {
		fprintf(stderr, "no code path besides the scalar one\n");
		return 1;
	}
	for (size_t i = 0; i < count; i++) {
		tests[i].function(&state);
		printf("%s: ok\n", tests[i].name);
	}
	return teardown(&state);
}
#define cmocka_run_group_tests(tests, setup, teardown) \
	run_tests(tests, sizeof(tests) / sizeof((tests)[0]), setup, teardown)

#endif /* TEST_CROSS_CMOCKA_H */
