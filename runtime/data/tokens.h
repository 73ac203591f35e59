/* SPDX-License-Identifier: MIT */
/** Text as numbers. */
#ifndef WEFT_DATA_TOKENS_H
#define WEFT_DATA_TOKENS_H

#include <stddef.h>
#include <stdint.h>

struct weft_vocabulary;

/**
 * Read a vocabulary: a token a line, numbered from 0.  Text is cut at white space
 * and around ASCII punctuation.  Where the vocabulary has pieces that begin with
 * ##, words are put together from the longest pieces (BERT's WordPiece); else
 * they are looked up whole.  Letters A to Z are made small where no token but
 * those in brackets has any.  [UNK] or <unk> stands for what is not found, [CLS]
 * begins and [SEP] ends a text, [PAD] or <pad> fills it up, where they are there;
 * what is not, is number 0 or left out.
 */
int weft_vocabulary_open(const char *path, struct weft_vocabulary **vocabulary);
void weft_vocabulary_free(struct weft_vocabulary *vocabulary);

/** How many different tokens there are; 256 without a vocabulary. */
uint32_t weft_vocabulary_size(const struct weft_vocabulary *vocabulary);

/**
 * The first @room tokens of a text, filled up; returns how many are of the text.
 * Without a vocabulary (NULL), a token is a byte, and 0 fills up.
 */
uint32_t weft_tokenize(const struct weft_vocabulary *vocabulary, const char *text, size_t bytes, uint32_t room,
		       int64_t *tokens);

#endif /* WEFT_DATA_TOKENS_H */
