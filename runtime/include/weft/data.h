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
 * Open a data set.  @where is a directory with MNIST-style IDX files
 * (train-images-idx3-ubyte[.gz] ...) or CIFAR-10/100 binary files, or
 * "generate:28x28x1" / "generate:32x32x3", optionally with ",count=N,seed=N,classes=N":
 * the project's own labelled images, drawn from the seed.
 */
int weft_dataset_open(const char *where, enum weft_split split, struct weft_dataset **dataset);
void weft_dataset_close(struct weft_dataset *dataset);

struct weft_dataset_info {
	char name[64];
	uint64_t examples;
	uint32_t classes;
	uint32_t channels, height, width;
	float mean[4], deviation[4]; /* per channel, applied when reading: (x / 255 - mean) / deviation */
};
int weft_dataset_info(const struct weft_dataset *dataset, struct weft_dataset_info *info);

/**
 * Read examples index[0..count): images as f32 [count, channels, height, width]
 * in NHWC memory order where @channels_last, else NCHW; labels i32.  Thread-safe.
 */
int weft_dataset_read(struct weft_dataset *dataset, const uint64_t *index, uint32_t count, bool channels_last, float *images, int32_t *labels);

/** The order of examples in epoch @epoch: a permutation of [0, examples) that depends on the seed and the epoch only. */
struct weft_shuffle {
	uint64_t examples, seed, epoch;
};
/** Element @position of the permutation, computed without storing it. */
uint64_t weft_shuffle_at(const struct weft_shuffle *shuffle, uint64_t position);

#ifdef __cplusplus
}
#endif

#endif /* WEFT_DATA_H */
