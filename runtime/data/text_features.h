/* SPDX-License-Identifier: MIT */
/** Text as hashed features: the numbers that projections of text take. */
#ifndef WEFT_DATA_TEXT_FEATURES_H
#define WEFT_DATA_TEXT_FEATURES_H

#include <stddef.h>
#include <stdint.h>

/** What of a text becomes features; see struct weft_dataset_options. */
struct weft_features {
	uint8_t words[2]; /* n-grams of words: shortest and longest; 0: none */
	uint8_t chars[2]; /* n-grams of the characters of a word */
};

/** Parse "words[:A[-B]][,chars[:A[-B]]]".  -EINVAL and a sentence. */
int weft_features_parse(const char *text, struct weft_features *features);

/**
 * The first @room features of a text, each from 0 to 2^63 - 1, filled up with -1;
 * returns how many are of the text.
 */
uint32_t weft_features_of(const struct weft_features *features, const char *text, size_t bytes, uint32_t room,
			  int64_t *feature);

#endif /* WEFT_DATA_TEXT_FEATURES_H */
