// SPDX-License-Identifier: MIT
#include "text_features.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "weft/error.h"

#define MOST_N 8
/* Words of a text that are looked at. */
#define MOST_WORDS 1024

struct word {
	const char *text;
	size_t bytes;
};

static int parse_part(const char *part, size_t length, const char *all, struct weft_features *features)
{
	bool words = !strncmp(part, "words", 5), chars = !strncmp(part, "chars", 5);
	uint8_t *range = words ? features->words : features->chars;
	const char *end = part + length;
	unsigned long low = 1, high;
	char *rest = (char *)part + 5;

	if (length < 5 || (!words && !chars) || range[0])
		goto bad;
	if (*rest == ':')
		low = strtoul(rest + 1, &rest, 10);
	high = low;
	if (rest < end && *rest == '-')
		high = strtoul(rest + 1, &rest, 10);
	if (rest != end || low < 1 || high < low || high > MOST_N)
		goto bad;
	range[0] = (uint8_t)low;
	range[1] = (uint8_t)high;
	return 0;
bad:
	return weft_fail(EINVAL,
			 "features %s: expected words:A-B, chars:A-B, or both with a comma; A and B are lengths of "
			 "n-grams from 1 to %d",
			 all, MOST_N);
}

int weft_features_parse(const char *text, struct weft_features *features)
{
	const char *part = text;
	int r = 0;

	*features = (struct weft_features){0};
	while (!r) {
		size_t length = strcspn(part, ",");

		r = parse_part(part, length, text, features);
		if (r || !part[length])
			return r;
		part += length + 1;
	}
	return r;
}

static bool is_space(unsigned char c)
{
	return c <= ' ' || c == 0x7f;
}

static bool is_mark(unsigned char c)
{
	return c < 0x80 && !is_space(c) && !(c >= '0' && c <= '9') && !(c >= 'a' && c <= 'z') &&
	       !(c >= 'A' && c <= 'Z');
}

static unsigned char small(unsigned char c)
{
	return c >= 'A' && c <= 'Z' ? (unsigned char)(c + 32) : c;
}

/* Text is cut at white space and around ASCII punctuation, marks being words of their own. */
static uint32_t find_words(const char *text, size_t bytes, struct word *word)
{
	const char *end = text + bytes;
	uint32_t words = 0;

	while (words < MOST_WORDS) {
		const char *begin;

		while (text < end && is_space((unsigned char)*text))
			text++;
		if (text == end)
			break;
		begin = text++;
		while (!is_mark((unsigned char)*begin) && text < end && !is_space((unsigned char)*text) &&
		       !is_mark((unsigned char)*text))
			text++;
		word[words++] = (struct word){begin, (size_t)(text - begin)};
	}
	return words;
}

/* FNV-1a of 64 bits, over small letters. */
#define HASH_BEGIN 0xcbf29ce484222325u

static uint64_t hash_byte(uint64_t hash, unsigned char c)
{
	return (hash ^ c) * 0x100000001b3u;
}

static uint64_t hash_text(uint64_t hash, const char *text, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		hash = hash_byte(hash, small((unsigned char)text[i]));
	return hash;
}

/* The top bits of FNV depend on few of the bytes: stir, and leave 63. */
static int64_t finish(uint64_t hash)
{
	hash = (hash ^ hash >> 30) * 0xbf58476d1ce4e5b9;
	hash = (hash ^ hash >> 27) * 0x94d049bb133111eb;
	return (int64_t)((hash ^ hash >> 31) >> 1);
}

/* N-grams of words, by place, so that order one comes as the text has it. */
static uint32_t add_words(const struct weft_features *f, const struct word *word, uint32_t words, uint32_t room,
			  int64_t *feature)
{
	uint32_t count = 0;

	for (uint32_t n = f->words[0]; n && n <= f->words[1]; n++)
		for (uint32_t i = 0; i + n <= words && count < room; i++) {
			uint64_t hash = hash_byte(HASH_BEGIN, 'w');

			for (uint32_t k = i; k < i + n; k++)
				hash = hash_byte(hash_text(hash, word[k].text, word[k].bytes), ' ');
			feature[count++] = finish(hash);
		}
	return count;
}

/* Byte @at of a word between its marks of beginning and end. */
static unsigned char framed(const struct word *word, size_t at)
{
	return at == 0 || at == word->bytes + 1 ? '\n' : small((unsigned char)word->text[at - 1]);
}

static uint32_t add_chars(const struct weft_features *f, const struct word *word, uint32_t words, uint32_t room,
			  int64_t *feature)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < words; i++)
		for (uint32_t n = f->chars[0]; n && n <= f->chars[1]; n++)
			for (size_t at = 0; at + n <= word[i].bytes + 2 && count < room; at++) {
				uint64_t hash = hash_byte(HASH_BEGIN, 'c');

				for (size_t k = at; k < at + n; k++)
					hash = hash_byte(hash, framed(&word[i], k));
				feature[count++] = finish(hash);
			}
	return count;
}

uint32_t weft_features_of(const struct weft_features *features, const char *text, size_t bytes, uint32_t room,
			  int64_t *feature)
{
	struct word word[MOST_WORDS];
	uint32_t words = find_words(text, bytes, word);
	uint32_t count = add_words(features, word, words, room, feature);

	count += add_chars(features, word, words, room - count, feature + count);
	for (uint32_t i = count; i < room; i++)
		feature[i] = -1;
	return count;
}
