// SPDX-License-Identifier: MIT
/*
 * Labelled text: CSV with a header, or JSON lines.  Either a directory with
 * train.csv or train.jsonl and test.csv or test.jsonl, or one file, of which
 * every tenth record is for the test.  Only places and labels are kept in memory.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataset.h"
#include "text_features.h"
#include "record.h"
#include "tokens.h"
#include "weft/error.h"

#define MOST_BYTES (UINT64_C(1) << 40)
#define MOST_CLASSES 65536
/* Of a single file, one record in so many is for the test. */
#define HOLD_OUT 10

static const char *const text_names[] = {"text", "sentence", "content", "review", NULL};
static const char *const label_names[] = {"label", "class", "category", "target", NULL};

struct place {
	uint64_t offset;
	uint32_t bytes;
	int32_t label;
};

struct text_dataset {
	struct weft_dataset dataset;
	struct weft_data_file file;
	struct weft_vocabulary *vocabulary; /* NULL: bytes, or features */
	bool hashed;
	struct weft_features features;
	struct place *place;
	uint64_t room;
	bool json;
	unsigned int text_column, label_column; /* CSV */
	const char *text_name, *label_name;	/* JSON */
};

/* The labels of the training set. */
struct classes {
	char **name; /* sorted; owned */
	uint32_t count, room;
	bool numbers; /* all are whole numbers, which are then the classes */
	uint32_t largest;
};

static bool whole_number(const char *text, uint32_t *number)
{
	char *end;
	unsigned long value;

	if (*text < '0' || *text > '9')
		return false;
	value = strtoul(text, &end, 10);
	*number = (uint32_t)value;
	return !*end && value < 1ul << 24;
}

static bool find_class(const struct classes *classes, const char *name, uint32_t *index)
{
	uint32_t low = 0, high = classes->count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		int order = strcmp(name, classes->name[middle]);

		if (!order) {
			*index = middle;
			return true;
		}
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	*index = low;
	return false;
}

static int add_class(struct classes *classes, const char *path, const char *name)
{
	uint32_t index, number;

	if (find_class(classes, name, &index))
		return 0;
	if (classes->count == MOST_CLASSES)
		return weft_fail(EINVAL, "%s: more than %d different labels", path, MOST_CLASSES);
	if (classes->count == classes->room) {
		uint32_t room = classes->room ? classes->room * 2 : 16;
		char **more = reallocarray(classes->name, room, sizeof(*more));

		if (!more)
			return weft_fail(ENOMEM, "%s: out of memory", path);
		classes->name = more;
		classes->room = room;
	}
	memmove(classes->name + index + 1, classes->name + index, (classes->count - index) * sizeof(*classes->name));
	classes->name[index] = strdup(name);
	classes->count++;
	if (!classes->name[index])
		return weft_fail(ENOMEM, "%s: out of memory", path);
	classes->numbers &= whole_number(name, &number);
	if (classes->numbers && number > classes->largest)
		classes->largest = number;
	return 0;
}

static void free_classes(struct classes *classes)
{
	for (uint32_t i = 0; i < classes->count; i++)
		free(classes->name[i]);
	free(classes->name);
}

static int field(const struct text_dataset *text, bool label, const char *record, size_t bytes, char **result)
{
	int r;

	if (text->json)
		r = weft_json_field(record, bytes, label ? text->label_name : text->text_name, result);
	else
		r = weft_csv_field(record, bytes, label ? text->label_column : text->text_column, result);
	return r;
}

/* Which column or member is meant by @names; -1: none. */
static int named(const struct text_dataset *text, const char *header, size_t bytes, const char *const *names,
		 const char **name)
{
	for (unsigned int i = 0; names[i]; i++) {
		for (unsigned int column = 0; column < 256; column++) {
			char *found = NULL;
			bool same;

			if (text->json ? weft_json_field(header, bytes, names[i], &found)
				       : weft_csv_field(header, bytes, column, &found))
				return -1;
			if (!found)
				break;
			same = text->json || !strcmp(found, names[i]);
			free(found);
			if (same) {
				*name = names[i];
				return (int)column;
			}
		}
	}
	return -1;
}

/* The first record says where text and label are. */
static int read_header(struct text_dataset *text, const char *record, size_t bytes)
{
	int text_column, label_column;

	/* The mark that some programs put before UTF-8. */
	if (bytes >= 3 && !memcmp(record, "\xef\xbb\xbf", 3)) {
		record += 3;
		bytes -= 3;
	}
	text_column = named(text, record, bytes, text_names, &text->text_name);
	label_column = named(text, record, bytes, label_names, &text->label_name);
	if (text_column < 0 || label_column < 0)
		return weft_fail(
			EINVAL,
			"%s: no %s for the %s; expected a %s for text (text, sentence, content or review) and one "
			"for its label (label, class, category or target)",
			text->file.path, text->json ? "member" : "column", text_column < 0 ? "text" : "label",
			text->json ? "member" : "header with a column");
	text->text_column = (unsigned int)text_column;
	text->label_column = (unsigned int)label_column;
	return 0;
}

static int add_place(struct text_dataset *text, uint64_t offset, size_t bytes, int32_t label)
{
	uint64_t examples = text->dataset.info.examples;

	if (examples == text->room) {
		uint64_t room = text->room ? text->room * 2 : 1024;
		struct place *more = reallocarray(text->place, room, sizeof(*more));

		if (!more)
			return weft_fail(ENOMEM, "%s: out of memory", text->file.path);
		text->place = more;
		text->room = room;
	}
	text->place[text->dataset.info.examples++] = (struct place){offset, (uint32_t)bytes, label};
	return 0;
}

/* One record: its label joins @collected, or is looked up in @known. */
static int take_record(struct text_dataset *text, const char *record, size_t bytes, uint64_t offset, uint64_t line,
		       struct classes *collected, const struct classes *known)
{
	char *label = NULL, *words = NULL;
	uint32_t class = 0;
	int result = field(text, true, record, bytes, &label);

	if (!result && !collected)
		result = field(text, false, record, bytes, &words);
	if (result)
		result = weft_fail_in(result, "%s: line %llu", text->file.path, (unsigned long long)line);
	else if (!label || (!collected && !words))
		result = weft_fail(EINVAL, "%s: line %llu has no %s", text->file.path, (unsigned long long)line,
				   label ? "text" : "label");
	else if (collected)
		result = add_class(collected, text->file.path, label);
	else if (known->numbers ? !whole_number(label, &class) || class > known->largest
				: !find_class(known, label, &class))
		result = weft_fail(EINVAL, "%s: line %llu: label '%.40s' is not one of the training set's",
				   text->file.path, (unsigned long long)line, label);
	else
		result = add_place(text, offset, bytes, (int32_t) class);
	free(label);
	free(words);
	return result;
}

/* Every record of the file, but of those that @part leaves to the other set. */
static int scan(struct text_dataset *text, int part, struct classes *collected, const struct classes *known)
{
	struct weft_record_reader reader;
	uint64_t offset, line, record_number = 0;
	const char *record;
	bool header = true;
	size_t bytes;
	int result;

	weft_record_begin(&reader, &text->file, text->json);
	for (;;) {
		result = weft_record_next(&reader, &record, &bytes, &offset, &line);
		if (result || !record)
			break;
		if (!bytes)
			continue;
		if (header) {
			header = false;
			result = read_header(text, record, bytes);
			if (result)
				break;
			if (!text->json)
				continue;
		}
		record_number++;
		if (part >= 0 && (record_number % HOLD_OUT == 0) != part)
			continue;
		result = take_record(text, record, bytes, offset, line, collected, known);
		if (result)
			break;
	}
	weft_record_end(&reader);
	return result;
}

/* The text of example @index; the caller's to free. */
static int read_words(const struct text_dataset *text, uint64_t index, char **words)
{
	const struct place *place = &text->place[index];
	char *record = malloc(place->bytes + 1u);
	int result = record ? weft_data_file_read(&text->file, place->offset, record, place->bytes)
			    : weft_fail(ENOMEM, "%s: out of memory", text->file.path);

	*words = NULL;
	if (!result)
		result = field(text, false, record, place->bytes, words);
	if (!result && !*words)
		result = weft_fail(EINVAL, "%s: it has changed since it was opened", text->file.path);
	free(record);
	return result;
}

static int text_tokens(struct weft_dataset *dataset, uint64_t index, int64_t *tokens, uint32_t *used, int32_t *label)
{
	const struct text_dataset *text = (const struct text_dataset *)dataset;
	uint32_t room = dataset->info.sequence;
	char *words;
	int result = read_words(text, index, &words);

	if (!result && text->hashed)
		*used = weft_features_of(&text->features, words, strlen(words), room, tokens);
	else if (!result)
		*used = weft_tokenize(text->vocabulary, words, strlen(words), room, tokens);
	*label = text->place[index].label;
	free(words);
	return result;
}

static int text_features(struct weft_dataset *dataset, uint64_t index, int64_t *features)
{
	const struct text_dataset *text = (const struct text_dataset *)dataset;
	char *words;
	int result = read_words(text, index, &words);

	if (!result)
		weft_features_of(&text->features, words, strlen(words), dataset->info.features, features);
	free(words);
	return result;
}

static void text_close(struct weft_dataset *dataset)
{
	struct text_dataset *text = (struct text_dataset *)dataset;

	weft_data_file_close(&text->file);
	weft_vocabulary_free(text->vocabulary);
	free(text->place);
	free(text);
}

static const struct weft_dataset_format text_format = {
	.tokens = text_tokens, .features = text_features, .close = text_close};

static bool ends_in(const char *name, const char *end)
{
	return strlen(name) > strlen(end) && !strcmp(name + strlen(name) - strlen(end), end);
}

bool weft_dataset_is_text(const char *path)
{
	return ends_in(path, ".csv") || ends_in(path, ".jsonl") || ends_in(path, ".csv.gz") ||
	       ends_in(path, ".jsonl.gz");
}

/* The file itself, or name.csv or name.jsonl in a directory, plain or .gz. */
static int open_file(struct text_dataset *text, const char *where, const char *name)
{
	char full[64];
	int result;

	text->file.fd = -1;
	if (!name) {
		const char *slash = strrchr(where, '/');
		char *directory = slash ? strndup(where, (size_t)(slash - where)) : strdup(".");

		if (!directory)
			return weft_fail(ENOMEM, "data set %s: out of memory", where);
		result = weft_data_file_open(&text->file, directory, slash ? slash + 1 : where, MOST_BYTES);
		free(directory);
		text->json = ends_in(where, ".jsonl") || ends_in(where, ".jsonl.gz");
		return result == -ENOENT ? weft_fail(ENOENT, "data set %s: there is no such file", where) : result;
	}
	snprintf(full, sizeof(full), "%s.csv", name);
	result = weft_data_file_open(&text->file, where, full, MOST_BYTES);
	if (result != -ENOENT)
		return result;
	text->json = true;
	snprintf(full, sizeof(full), "%s.jsonl", name);
	return weft_data_file_open(&text->file, where, full, MOST_BYTES);
}

/* The classes are the training set's, for both sets. */
static int collect_classes(const char *where, bool single, struct classes *classes)
{
	struct text_dataset training = {.file.fd = -1};
	int result = open_file(&training, where, single ? NULL : "train");

	if (!result)
		result = scan(&training, single ? 0 : -1, classes, NULL);
	weft_data_file_close(&training.file);
	if (!result && !classes->count)
		result = weft_fail(EINVAL, "data set %s: no records for training", where);
	return result;
}

static int check_sequence(const char *where, const struct weft_dataset_options *options)
{
	if (!options || !options->sequence)
		return weft_fail(EINVAL, "data set %s: say of how many tokens a text is made (--seq-len)", where);
	if (options->sequence > 1u << 20)
		return weft_fail(EINVAL, "data set %s: texts of %u tokens; at most %u are read", where,
				 options->sequence, 1u << 20);
	if (options->feature_sequence ? !options->features || options->feature_sequence > 1u << 20
				      : options->features && options->vocabulary)
		return weft_fail(EINVAL,
				 "data set %s: either a vocabulary or hashed features, or a vocabulary and 1 to %u "
				 "hashed features besides",
				 where, 1u << 20);
	if (options->normalisations)
		return weft_fail(EINVAL, "data set %s: text cannot be normalised", where);
	return 0;
}

int weft_dataset_open_text(const char *where, bool single, enum weft_split split,
			   const struct weft_dataset_options *options, struct weft_dataset **dataset)
{
	struct text_dataset *text = calloc(1, sizeof(*text));
	struct classes classes = {.numbers = true};
	int result;

	if (!text)
		return weft_fail(ENOMEM, "data set %s: out of memory", where);
	text->dataset.format = &text_format;
	result = open_file(text, where, single ? NULL : split == WEFT_SPLIT_TRAIN ? "train" : "test");
	if (!result)
		result = check_sequence(where, options);
	if (!result && options->vocabulary)
		result = weft_vocabulary_open(options->vocabulary, &text->vocabulary);
	if (!result && options->features) {
		text->hashed = !options->feature_sequence;
		result = weft_features_parse(options->features, &text->features);
	}
	if (!result) {
		result = collect_classes(where, single, &classes);
		if (result == -ENOENT)
			result = weft_fail(EINVAL, "data set %s: no train.csv or train.jsonl", where);
	}
	if (!result)
		result = scan(text, single ? split == WEFT_SPLIT_TEST : -1, NULL, &classes);
	if (!result && !text->dataset.info.examples)
		result = weft_fail(EINVAL, "data set %s: no records for the %s", where,
				   split == WEFT_SPLIT_TRAIN ? "training" : "test");
	if (!result) {
		struct weft_dataset_info *info = &text->dataset.info;

		snprintf(info->name, sizeof(info->name), "text");
		info->classes = classes.numbers ? classes.largest + 1 : classes.count;
		info->sequence = options->sequence;
		info->features = options->feature_sequence;
		info->tokens = text->hashed ? 0 : weft_vocabulary_size(text->vocabulary);
	}
	free_classes(&classes);
	if (result)
		text_close(&text->dataset);
	else
		*dataset = &text->dataset;
	return result;
}
