// SPDX-License-Identifier: MIT
/* Hashed features of text. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "data/text_features.h"
#include "weft/error.h"

#define ROOM 64

static uint32_t features_of(const char *what, const char *text, uint32_t room, int64_t *feature)
{
	struct weft_features features;

	if (weft_features_parse(what, &features))
		fail_msg("%s", weft_error());
	return weft_features_of(&features, text, strlen(text), room, feature);
}

static void test_parse(void **unused)
{
	static const struct {
		const char *text;
		struct weft_features features;
	} good[] = {
		{"words", {{1, 1}, {0, 0}}},
		{"words:2", {{2, 2}, {0, 0}}},
		{"words:1-3", {{1, 3}, {0, 0}}},
		{"chars:3-5", {{0, 0}, {3, 5}}},
		{"words:1-2,chars:3", {{1, 2}, {3, 3}}},
		{"chars:8,words:8", {{8, 8}, {8, 8}}},
	};
	static const char *const bad[] = {"",
					  "word",
					  "words:",
					  "words:0",
					  "words:2-1",
					  "words:9",
					  "words:1-9",
					  "words,",
					  "words:1x",
					  "words:-1",
					  "words:1-2-3",
					  "words,words",
					  "chars:1 ",
					  "words;chars",
					  "words:1,,",
					  "wordschars",
					  "words:99999999999999999999"};
	struct weft_features features;

	(void)unused;
	for (unsigned int i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(weft_features_parse(good[i].text, &features), 0);
		assert_memory_equal(&features, &good[i].features, sizeof(features));
	}
	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(weft_features_parse(bad[i], &features), -EINVAL);
		assert_non_null(strstr(weft_error(), "expected words"));
	}
}

/* How many there are, and that they are numbers from 0 on, the rest filled up. */
static void test_counts(void **unused)
{
	static const struct {
		const char *what, *text;
		uint32_t count;
	} rows[] = {
		{"words", "", 0},
		{"words", " \t\n", 0},
		{"words", "turn on the light", 4},
		{"words", "what's up?", 5}, /* what ' s up ? */
		{"words:2", "one", 0},
		{"words:1-2", "one two three", 5},
		{"words:1-3", "one two three", 6},
		{"chars:3", "ab", 2}, /* ^ab ab$ */
		{"chars:4", "ab", 1}, /* ^ab$ */
		{"chars:5", "ab", 0},
		{"chars:2-3", "ab c", 3 + 2 + 2 + 1},
		{"words,chars:3", "ab c", 2 + 2 + 1},
		{"words", "caf\xc3\xa9 \xff\xfe", 2},
	};
	int64_t feature[ROOM];

	(void)unused;
	for (unsigned int i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(features_of(rows[i].what, rows[i].text, ROOM, feature), rows[i].count);
		for (uint32_t k = 0; k < ROOM; k++)
			assert_true(k < rows[i].count ? feature[k] >= 0 : feature[k] == -1);
	}
}

static void test_same_and_other(void **unused)
{
	int64_t a[ROOM], b[ROOM];

	(void)unused;
	/* The same in small letters, whatever stands between words; n-grams of words are where the words are. */
	assert_int_equal(features_of("words:1-2", "Play  SOME music", ROOM, a), 5);
	assert_int_equal(features_of("words:1-2", "play some\tmusic", ROOM, b), 5);
	assert_memory_equal(a, b, sizeof(a));
	/* All different: words, pairs of them, in this order, and characters of the same bytes. */
	assert_int_equal(features_of("words:1-2,chars:1", "ab ba ab", ROOM, a), 3 + 2 + 3 * 4);
	assert_int_equal(a[0], a[2]);
	assert_int_not_equal(a[0], a[1]);
	assert_int_not_equal(a[3], a[4]);
	assert_int_not_equal(a[3], a[0]);
	assert_int_equal(features_of("chars:1", "w", ROOM, a), 3);
	assert_int_equal(features_of("words", "w", ROOM, b), 1);
	assert_int_not_equal(a[1], b[0]);
	/* These are part of models' files: never others. */
	assert_int_equal(features_of("words", "music", ROOM, a), 1);
	assert_int_equal(a[0], INT64_C(8838557430306195845));
	assert_int_equal(features_of("chars:3", "m", ROOM, a), 1);
	assert_int_equal(a[0], INT64_C(354878290098749467));
}

/* A text longer than the room is cut off, and never written beyond it. */
static void test_room(void **unused)
{
	char *text = malloc(20000);
	int64_t whole[ROOM], *some;

	(void)unused;
	assert_non_null(text);
	for (unsigned int i = 0; i < 19999; i++)
		text[i] = "ab c!"[i * 7 % 5];
	text[19999] = 0;
	assert_int_equal(features_of("words:1-3,chars:2-4", text, ROOM, whole), ROOM);
	for (uint32_t room = 1; room < ROOM; room++) {
		some = malloc(room * sizeof(*some));
		assert_non_null(some);
		assert_int_equal(features_of("words:1-3,chars:2-4", text, room, some), room);
		assert_memory_equal(some, whole, room * sizeof(*some));
		free(some);
	}
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_counts),
		cmocka_unit_test(test_same_and_other),
		cmocka_unit_test(test_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
