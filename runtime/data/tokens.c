// SPDX-License-Identifier: MIT
#include "tokens.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "dataset.h"
#include "weft/error.h"

#define MOST_BYTES (UINT64_C(256) << 20)
#define MOST_TOKENS (1u << 24)
/* A longer word is not looked up; BERT's limit. */
#define MOST_WORD 100

struct token {
	const char *text;
	uint32_t bytes, number;
};

struct weft_vocabulary {
	char *contents;
	struct token *token; /* sorted by text */
	uint32_t tokens;
	bool pieces, small;
	int64_t unknown, fill, begin, end; /* -1: none */
};

static int compare(const void *a, const void *b)
{
	const struct token *x = a, *y = b;
	uint32_t shorter = x->bytes < y->bytes ? x->bytes : y->bytes;
	int order = memcmp(x->text, y->text, shorter);

	return order ? order : (x->bytes > y->bytes) - (x->bytes < y->bytes);
}

static int64_t find(const struct weft_vocabulary *vocabulary, const char *text, size_t bytes)
{
	const struct token key = {text, (uint32_t)bytes, 0};
	const struct token *found = bsearch(&key, vocabulary->token, vocabulary->tokens, sizeof(key), compare);

	return found ? (int64_t)found->number : -1;
}

static int64_t find_either(const struct weft_vocabulary *vocabulary, const char *one, const char *other)
{
	int64_t number = find(vocabulary, one, strlen(one));

	return number < 0 && other ? find(vocabulary, other, strlen(other)) : number;
}

/* What the tokens say about how text is to be cut. */
static void inspect(struct weft_vocabulary *vocabulary, const struct token *token)
{
	if (token->bytes > 2 && !memcmp(token->text, "##", 2))
		vocabulary->pieces = true;
	if (token->text[0] == '[' || token->text[0] == '<')
		return;
	for (uint32_t i = 0; i < token->bytes; i++)
		if (token->text[i] >= 'A' && token->text[i] <= 'Z')
			vocabulary->small = false;
}

static int read_lines(struct weft_vocabulary *vocabulary, const char *path, size_t bytes)
{
	char *at = vocabulary->contents, *end = at + bytes;
	uint32_t room = 1;

	for (size_t i = 0; i < bytes; i++)
		room += at[i] == '\n';
	if (room > MOST_TOKENS)
		return weft_fail(EINVAL, "%s: more than %u lines", path, MOST_TOKENS);
	vocabulary->token = calloc(room, sizeof(*vocabulary->token));
	if (!vocabulary->token)
		return weft_fail(ENOMEM, "%s: out of memory", path);
	while (at < end) {
		char *stop = memchr(at, '\n', (size_t)(end - at)), *next = stop ? stop + 1 : end;
		struct token *token = &vocabulary->token[vocabulary->tokens];

		stop = stop ? stop : end;
		if (stop > at && stop[-1] == '\r')
			stop--;
		*token = (struct token){at, (uint32_t)(stop - at), vocabulary->tokens};
		vocabulary->tokens++;
		if (token->bytes)
			inspect(vocabulary, token);
		at = next;
	}
	return vocabulary->tokens ? 0 : weft_fail(EINVAL, "%s: empty; expected a token on each line", path);
}

int weft_vocabulary_open(const char *path, struct weft_vocabulary **result)
{
	struct weft_vocabulary *vocabulary = calloc(1, sizeof(*vocabulary));
	struct weft_data_file file;
	int r;

	*result = NULL;
	if (!vocabulary)
		return weft_fail(ENOMEM, "%s: out of memory", path);
	vocabulary->small = true;
	r = path[0] == '/' ? weft_data_file_open(&file, "", path + 1, MOST_BYTES)
			   : weft_data_file_open(&file, ".", path, MOST_BYTES);
	if (r == -ENOENT)
		r = weft_fail(ENOENT, "vocabulary %s: there is no such file", path);
	if (r) {
		free(vocabulary);
		return r;
	}
	if (file.bytes > MOST_BYTES)
		r = weft_fail(EINVAL, "%s: more than %llu bytes", path, (unsigned long long)MOST_BYTES);
	vocabulary->contents = r ? NULL : malloc(file.bytes + 1);
	if (!r && !vocabulary->contents)
		r = weft_fail(ENOMEM, "%s: out of memory", path);
	if (!r)
		r = weft_data_file_read(&file, 0, vocabulary->contents, file.bytes);
	if (!r)
		r = read_lines(vocabulary, path, file.bytes);
	weft_data_file_close(&file);
	if (r) {
		weft_vocabulary_free(vocabulary);
		return r;
	}
	qsort(vocabulary->token, vocabulary->tokens, sizeof(*vocabulary->token), compare);
	vocabulary->unknown = find_either(vocabulary, "[UNK]", "<unk>");
	vocabulary->fill = find_either(vocabulary, "[PAD]", "<pad>");
	vocabulary->begin = find_either(vocabulary, "[CLS]", NULL);
	vocabulary->end = find_either(vocabulary, "[SEP]", NULL);
	*result = vocabulary;
	return 0;
}

void weft_vocabulary_free(struct weft_vocabulary *vocabulary)
{
	if (!vocabulary)
		return;
	free(vocabulary->contents);
	free(vocabulary->token);
	free(vocabulary);
}

uint32_t weft_vocabulary_size(const struct weft_vocabulary *vocabulary)
{
	return vocabulary ? vocabulary->tokens : 256;
}

/* Tokens so far; what does not fit any more is dropped. */
struct sink {
	int64_t *tokens;
	uint32_t count, room;
};

static void put(struct sink *sink, int64_t token)
{
	if (sink->count < sink->room)
		sink->tokens[sink->count++] = token;
}

/* The longest pieces one after another; a word with a part that is none of them is unknown as a whole. */
static void put_word(const struct weft_vocabulary *vocabulary, const char *word, size_t bytes, struct sink *sink)
{
	int64_t unknown = vocabulary->unknown < 0 ? 0 : vocabulary->unknown, number;
	uint32_t before = sink->count;
	char piece[MOST_WORD + 2] = "##";
	size_t at = 0;

	if (!vocabulary->pieces || bytes > MOST_WORD) {
		number = find(vocabulary, word, bytes);
		put(sink, number < 0 ? unknown : number);
		return;
	}
	memcpy(piece + 2, word, bytes);
	while (at < bytes) {
		size_t length = bytes - at;

		/* Behind the first piece, the two places before the rest hold ##. */
		if (at)
			memcpy(piece + at, "##", 2);
		do
			number = at ? find(vocabulary, piece + at, length + 2) : find(vocabulary, piece + 2, length);
		while (number < 0 && --length);
		if (!length) {
			sink->count = before;
			put(sink, unknown);
			return;
		}
		put(sink, number);
		at += length;
	}
}

uint32_t weft_tokenize(const struct weft_vocabulary *vocabulary, const char *text, size_t bytes, uint32_t room,
		       int64_t *tokens)
{
	struct sink sink = {tokens, 0, room};
	char word[MOST_WORD + 1];
	size_t at = 0;

	if (!vocabulary) {
		for (; at < bytes && sink.count < room; at++)
			put(&sink, (unsigned char)text[at]);
	} else if (vocabulary->begin >= 0) {
		put(&sink, vocabulary->begin);
	}
	if (vocabulary && vocabulary->end >= 0 && room)
		sink.room = room - 1;
	while (vocabulary && at < bytes && sink.count < sink.room) {
		size_t length = 0;

		if (isascii((unsigned char)text[at]) && isspace((unsigned char)text[at])) {
			at++;
			continue;
		}
		while (at + length < bytes &&
		       !(isascii((unsigned char)text[at + length]) &&
			 (isspace((unsigned char)text[at + length]) || ispunct((unsigned char)text[at + length]))))
			length++;
		if (!length)
			length = 1;
		for (size_t i = 0; i < length && i < sizeof(word); i++) {
			char c = text[at + i];

			word[i] = vocabulary->small && c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
		}
		put_word(vocabulary, length < sizeof(word) ? word : text + at, length, &sink);
		at += length;
	}
	sink.room = room;
	if (vocabulary && vocabulary->end >= 0)
		put(&sink, vocabulary->end);
	for (uint32_t i = sink.count; i < room; i++)
		tokens[i] = vocabulary && vocabulary->fill >= 0 ? vocabulary->fill : 0;
	return sink.count;
}
