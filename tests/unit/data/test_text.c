// SPDX-License-Identifier: MIT
/* Labelled text: records, labels, vocabularies, damage. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "data/dataset.h"
#include "data/record.h"
#include "data/tokens.h"
#include "weft/error.h"

static char folder[64];

static int make_folder(void **state)
{
	(void)state;
	strcpy(folder, "/tmp/weft-test-text-XXXXXX");
	return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
	DIR *directory = opendir(folder);
	struct dirent *entry;

	(void)state;
	while (directory && (entry = readdir(directory)))
		unlinkat(dirfd(directory), entry->d_name, 0);
	if (directory)
		closedir(directory);
	return rmdir(folder);
}

static const char *path_of(const char *name)
{
	static char path[256];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	return path;
}

static void put(const char *name, const char *text)
{
	FILE *file = fopen(path_of(name), "wb");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static void test_csv_fields(void **state)
{
	static const struct {
		const char *record;
		unsigned int column;
		const char *field; /* NULL: there is none */
	} cases[] = {
		{"a,b,c", 0, "a"},
		{"a,b,c", 2, "c"},
		{"a,b,c", 3, NULL},
		{"", 0, ""},
		{"", 1, NULL},
		{",,", 1, ""},
		{",,", 2, ""},
		{"\"a,b\",c", 0, "a,b"},
		{"\"a,b\",c", 1, "c"},
		{"\"say \"\"no\"\"\",1", 0, "say \"no\""},
		{"x,\"two\nlines\"", 1, "two\nlines"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *field;

		assert_int_equal(weft_csv_field(cases[i].record, strlen(cases[i].record), cases[i].column, &field), 0);
		if (!field != !cases[i].field || (field && strcmp(field, cases[i].field)))
			fail_msg("column %u of %s: %s", cases[i].column, cases[i].record, field ? field : "none");
		free(field);
	}
}

static void test_tokens(void **state)
{
	/* Numbers are places in this list. */
	static const char pieces[] =
		"[PAD]\n[UNK]\n[CLS]\n[SEP]\nun\n##aff\n##able\n##a\nwork\n.\nnon\n\xc3\xa9t\xc3\xa9\n";
	static const char words[] = "<pad>\r\n<unk>\r\nThe\r\ncat\r\n";
	static const struct {
		const char *vocabulary, *text;
		uint32_t room, used;
		int64_t tokens[8];
	} cases[] = {
		{NULL, "ab", 4, 2, {'a', 'b', 0, 0}},
		{NULL, "abcdef", 4, 4, {'a', 'b', 'c', 'd'}},
		{NULL, "\xff\xc3", 2, 2, {255, 195}},
		{NULL, "", 2, 0, {0, 0}},
		{pieces, "unaffable", 6, 5, {2, 4, 5, 6, 3, 0}},
		{pieces, "Unaffable Work.", 8, 7, {2, 4, 5, 6, 8, 9, 3, 0}},
		{pieces, "unaffable work.", 4, 4, {2, 4, 5, 3}},
		{pieces, "unknown", 4, 3, {2, 1, 3, 0}},
		{pieces, "una\n\t una", 7, 6, {2, 4, 7, 4, 7, 3, 0}},
		{pieces, "\xc3\xa9t\xc3\xa9", 4, 3, {2, 11, 3, 0}},
		{pieces, "", 3, 2, {2, 3, 0}},
		{pieces, "work", 1, 1, {2}},
		{words, "The cat sat", 5, 3, {2, 3, 1, 0, 0}},
		{words, "the cat", 3, 2, {1, 3, 0}},
	};
	char longest[300];
	int64_t tokens[8];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct weft_vocabulary *vocabulary = NULL;
		uint32_t used;

		if (cases[i].vocabulary) {
			put("vocab.txt", cases[i].vocabulary);
			assert_int_equal(weft_vocabulary_open(path_of("vocab.txt"), &vocabulary), 0);
		}
		memset(tokens, 0x55, sizeof(tokens));
		used = weft_tokenize(vocabulary, cases[i].text, strlen(cases[i].text), cases[i].room, tokens);
		if (used != cases[i].used || memcmp(tokens, cases[i].tokens, cases[i].room * sizeof(*tokens)))
			fail_msg("'%s' in %u: %u tokens, %d %d %d %d ...", cases[i].text, cases[i].room, used,
				 (int)tokens[0], (int)tokens[1], (int)tokens[2], (int)tokens[3]);
		/* A word longer than any that is looked up. */
		memset(longest, 'a', sizeof(longest));
		weft_tokenize(vocabulary, longest, sizeof(longest), cases[i].room, tokens);
		weft_vocabulary_free(vocabulary);
	}
}

static struct weft_dataset *open_text(const char *name, enum weft_split split)
{
	const struct weft_dataset_options options = {.sequence = 4};
	struct weft_dataset *dataset;

	if (weft_dataset_open_with(name ? path_of(name) : folder, split, &options, &dataset))
		fail_msg("%s", weft_error());
	return dataset;
}

static void check_example(struct weft_dataset *dataset, uint64_t index, const char *text, int32_t label)
{
	int64_t tokens[4], wanted[4] = {0};
	uint32_t used;
	int32_t found;

	for (size_t i = 0; i < 4 && text[i]; i++)
		wanted[i] = (unsigned char)text[i];
	if (weft_dataset_read_tokens(dataset, &index, 1, tokens, &used, &found))
		fail_msg("%s", weft_error());
	assert_memory_equal(tokens, wanted, sizeof(wanted));
	assert_int_equal(used, strlen(text) < 4 ? strlen(text) : 4);
	assert_int_equal(found, label);
}

static void test_directory(void **state)
{
	struct weft_dataset_info info;
	struct weft_dataset *dataset;
	float image[4];
	int32_t label;

	(void)state;
	put("train.csv", "\xef\xbb\xbfid,sentence,category\r\n1,\"a,\r\nb\",pear\r\n\r\n2,cd,apple\r\n3,ef,pear\r\n");
	put("test.jsonl", "{\"label\": \"pear\", \"text\": \"x\\ny\"}\n{\"text\": \"z\", \"label\": \"apple\"}");
	dataset = open_text(NULL, WEFT_SPLIT_TRAIN);
	weft_dataset_info(dataset, &info);
	assert_int_equal(info.examples, 3);
	assert_int_equal(info.classes, 2);
	assert_int_equal(info.sequence, 4);
	assert_int_equal(info.tokens, 256);
	check_example(dataset, 0, "a,\r\nb", 1);
	check_example(dataset, 1, "cd", 0);
	assert_int_equal(weft_dataset_read(dataset, (uint64_t[]){0}, 1, false, image, &label), -EINVAL);
	weft_dataset_close(dataset);
	dataset = open_text(NULL, WEFT_SPLIT_TEST);
	check_example(dataset, 0, "x\ny", 1);
	check_example(dataset, 1, "z", 0);
	weft_dataset_close(dataset);
}

/* Of a single file every tenth record is for the test; whole numbers are the classes themselves. */
static void test_single_file(void **state)
{
	struct weft_dataset_info info;
	struct weft_dataset *dataset;
	char text[2000] = "text,label\n";

	(void)state;
	for (int i = 0; i < 25; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "t%d,%d\n", i, i % 3 * 5);
	put("all.csv", text);
	dataset = open_text("all.csv", WEFT_SPLIT_TRAIN);
	weft_dataset_info(dataset, &info);
	assert_int_equal(info.examples, 23);
	assert_int_equal(info.classes, 11);
	check_example(dataset, 8, "t8", 10);
	check_example(dataset, 9, "t10", 5);
	weft_dataset_close(dataset);
	dataset = open_text("all.csv", WEFT_SPLIT_TEST);
	weft_dataset_info(dataset, &info);
	assert_int_equal(info.examples, 2);
	check_example(dataset, 0, "t9", 0);
	check_example(dataset, 1, "t19", 5);
	weft_dataset_close(dataset);
}

static void test_damage(void **state)
{
	static const struct {
		const char *file, *contents, *sentence;
	} cases[] = {
		{"a.csv", "", "no records"},
		{"a.csv", "text,label\n", "no records"},
		{"a.csv", "words,kind\nx,1\n", "no column for the text"},
		{"a.csv", "text,kind\nx,1\n", "no column for the label"},
		{"a.csv", "text,label\nx\n", "line 2 has no label"},
		{"a.csv", "label,text\n1\n", "line 2 has no text"},
		{"a.csv", "text,label\n\"x,1\n", "quote is not closed"},
		{"a.csv", "text,label\na,1\nb,1\nc,1\nd,1\ne,1\nf,1\ng,1\nh,1\ni,1\nj,2\n", "'2' is not one of"},
		{"a.jsonl", "{\"text\": \"x\"}\n", "no member for the label"},
		{"a.jsonl", "{\"text\": \"x\", \"label\": 1}\n{\"text\": [], \"label\": 1}\n", "neither a string"},
		{"a.jsonl", "{\"text\": \"x\", \"label\": 1}\n{\"text\": \"x\n", "line 2"},
		{"a.jsonl", "nothing\n", "no member"},
	};
	const struct weft_dataset_options options = {.sequence = 4}, none = {0},
					  missing = {.sequence = 4, .vocabulary = "/nosuch/vocab.txt"};
	struct weft_dataset *dataset;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		put(cases[i].file, cases[i].contents);
		/* The test set is opened too, where its records are. */
		if (!weft_dataset_open_with(path_of(cases[i].file), WEFT_SPLIT_TRAIN, &options, &dataset)) {
			weft_dataset_close(dataset);
			if (!weft_dataset_open_with(path_of(cases[i].file), WEFT_SPLIT_TEST, &options, &dataset))
				fail_msg("%s was read", cases[i].contents);
		}
		if (!strstr(weft_error(), cases[i].sentence))
			fail_msg("'%s' does not say '%s'", weft_error(), cases[i].sentence);
	}
	put("a.csv", "text,label\nx,1\n");
	assert_int_equal(weft_dataset_open_with(path_of("a.csv"), WEFT_SPLIT_TRAIN, &none, &dataset), -EINVAL);
	assert_int_equal(weft_dataset_open_with(path_of("a.csv"), WEFT_SPLIT_TRAIN, &missing, &dataset), -ENOENT);
	put("train.csv", "text,label\nx,1\n");
	assert_int_equal(weft_dataset_open_with(folder, WEFT_SPLIT_TEST, &options, &dataset), -ENOENT);
}

/* Records that begin and end anywhere in the pieces in which a file is read. */
static void test_long_file(void **state)
{
	struct weft_dataset_info info;
	struct weft_dataset *dataset;
	FILE *file = fopen(path_of("train.csv"), "wb");

	(void)state;
	assert_non_null(file);
	fputs("label,text\n", file);
	for (unsigned int i = 0; i < 3000; i++)
		fprintf(file, "%u,%c%0*u\n", i % 7, 'a' + i % 26, 1 + i * 37 % 400, i);
	fclose(file);
	dataset = open_text(NULL, WEFT_SPLIT_TRAIN);
	weft_dataset_info(dataset, &info);
	assert_int_equal(info.examples, 3000);
	for (unsigned int i = 0; i < 3000; i++) {
		char text[500];

		snprintf(text, sizeof(text), "%c%0*u", 'a' + i % 26, 1 + i * 37 % 400, i);
		check_example(dataset, i, text, (int32_t)(i % 7));
	}
	weft_dataset_close(dataset);
}

int main(void)
{
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_csv_fields), IN_FOLDER(test_tokens), IN_FOLDER(test_directory),
		IN_FOLDER(test_single_file),	   IN_FOLDER(test_damage), IN_FOLDER(test_long_file),
	};

	return cmocka_run_group_tests_name("text", tests, NULL, NULL);
}
