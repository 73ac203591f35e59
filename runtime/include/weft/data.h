/* SPDX-License-Identifier: MIT */
/**
 * Labelled data sets that need not fit in memory: examples are read from their
 * file when asked for; compressed files are inflated once into an unlinked
 * temporary file.
 */
#ifndef WEFT_DATA_H
#define WEFT_DATA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct weft_dataset;

enum weft_split { WEFT_SPLIT_TRAIN, WEFT_SPLIT_TEST };

/**
 * Open a data set.  @where is one of
 *
 *	a directory with MNIST-style IDX files: train-images-idx3-ubyte,
 *	train-labels-idx1-ubyte, t10k-... (or test-...), each plain or .gz;
 *	a directory with CIFAR-10 or CIFAR-100 binary files (data_batch_1.bin ...,
 *	test_batch.bin; train.bin, test.bin), or the parent of the folder that the
 *	archive unpacks to;
 *	a directory with folders train/CLASS of .png, .jpg or .jpeg, and test/ or val/;
 *	the middle of each picture is brought to the size asked for;
 *	a file .csv or .jsonl of labelled text, plain or .gz: every tenth record is
 *	for the test; or a directory with train.csv or train.jsonl, and test.  CSV
 *	has a header; columns, or members of the JSON objects, are text (or
 *	sentence, content, review) and label (or class, category, target);
 *	a directory with train-images.npy [N, C, H, W] or [N, H, W],
 *	train-labels.npy [N], test-...; numbers that are not finite are refused;
 *	"generate:28x28x1" or "generate:32x32x3", optionally with
 *	",count=N,seed=N,classes=N": the project's own labelled images, drawn from
 *	the seed (10 shapes; 12000 for training, a fifth as many for the test).
 *
 * -EINVAL and a sentence: a file is truncated, damaged, or does not fit the others.
 */
int weft_dataset_open(const char *where, enum weft_split split, struct weft_dataset **dataset);
void weft_dataset_close(struct weft_dataset *dataset);

/** How to open a data set; all zero: as weft_dataset_open() does. */
struct weft_dataset_options {
	/* Pictures in folders are brought to this size; 0: three channels, as large as the first one is. */
	uint32_t channels, height, width;
	/* Images of bytes: (x / 255 - mean) / deviation with these, one per channel or one for all; 0: the set's own. */
	uint32_t normalisations;
	float mean[4], deviation[4];
	/*
	 * Text: tokens of an example, needed; longer texts are cut off.  A token is a line of the file @vocabulary, by
	 * number, or NULL: a byte, 0 where the text has ended.
	 */
	uint32_t sequence;
	const char *vocabulary;
	/*
	 * Text, instead of a vocabulary: a token is the hash of a feature, from 0 to 2^63 - 1, and -1 where there are no
	 * more.  "words:A-B" are n-grams of A to B words, in small letters, as the text has them (words: 1 word);
	 * "chars:A-B" are those of the characters of each word between marks of its beginning and end; with a comma,
	 * first the former, then the latter.
	 */
	const char *features;
	/* > 0: so many features of a text come besides its tokens, for models that take both (features needed). */
	uint32_t feature_sequence;
};
int weft_dataset_open_with(const char *where, enum weft_split split, const struct weft_dataset_options *options,
			   struct weft_dataset **dataset);

struct weft_dataset_info {
	char name[64];
	uint64_t examples;
	uint32_t classes;
	uint32_t channels, height, width; /* images */
	uint32_t sequence, tokens;	  /* text: tokens of an example, each below @tokens (0: hashes); else 0 */
	uint32_t features;		  /* hashed features of a text besides its tokens */
	/*
	 * Per channel, applied when reading bytes: (x / 255 - mean) / deviation.
	 * IDX: MNIST's 0.1307, 0.3081.  CIFAR: of each set's training images.
	 * Pictures: of ImageNet (grey: 0.5, 0.25).  Generated: 0.5, 0.25.  NPY: 0, 1, and floating point is taken as it is.
	 */
	float mean[4], deviation[4];
};
int weft_dataset_info(const struct weft_dataset *dataset, struct weft_dataset_info *info);

/**
 * Read examples index[0..count): images as f32 [count, channels, height, width]
 * in NHWC memory order where @channels_last, else NCHW; labels i32.  Thread-safe.
 */
int weft_dataset_read(struct weft_dataset *dataset, const uint64_t *index, uint32_t count, bool channels_last,
		      float *images, int32_t *labels);

/**
 * The same for text: i64 [count, sequence] of token numbers, and @used [count], how
 * many of each are of the text.
 */
int weft_dataset_read_tokens(struct weft_dataset *dataset, const uint64_t *index, uint32_t count, int64_t *tokens,
			     uint32_t *used, int32_t *labels);

/** The hashed features that come besides tokens: i64 [count, info.features]. */
int weft_dataset_read_features(struct weft_dataset *dataset, const uint64_t *index, uint32_t count, int64_t *features);

/** Random changes of training images: which ones depends on seed, epoch and example only. */
struct weft_augmentation {
	bool flip;     /* left to right, every other image */
	uint32_t crop; /* shifted by up to this many rows and columns; what is then missing is 0 before it is normalised */
	uint64_t seed, epoch;
};
/** As weft_dataset_read(), with @augmentation (NULL: none). */
int weft_dataset_read_augmented(struct weft_dataset *dataset, const struct weft_augmentation *augmentation,
				const uint64_t *index, uint32_t count, bool channels_last, float *images,
				int32_t *labels);

/** The order of examples in epoch @epoch: a permutation of [0, examples) that depends on the seed and the epoch only.
 */
struct weft_shuffle {
	uint64_t examples, seed, epoch;
};
/** Element @position of the permutation, computed without storing it. */
uint64_t weft_shuffle_at(const struct weft_shuffle *shuffle, uint64_t position);

#ifdef __cplusplus
}
#endif

#endif /* WEFT_DATA_H */
