/* SPDX-License-Identifier: MIT */
/** Inside of data sets: what a format provides, and files that may be compressed. */
#ifndef WEFT_DATA_DATASET_H
#define WEFT_DATA_DATASET_H

#include <sys/types.h>
#include "weft/data.h"

struct weft_dataset_format {
	/** Image @index as planes (channel, row, column) of info.height x info.width bytes, and its label. Thread-safe.
	 */
	int (*pixels)(struct weft_dataset *dataset, uint64_t index, uint8_t *pixels, int32_t *label);
	/** The same for formats that hold finished numbers; exactly one of the two is set. */
	int (*values)(struct weft_dataset *dataset, uint64_t index, float *values, int32_t *label);
	/** Text: info.sequence tokens, *@used of them not there to fill up; only this is then set. */
	int (*tokens)(struct weft_dataset *dataset, uint64_t index, int64_t *tokens, uint32_t *used, int32_t *label);
	/** Text with info.features: that many. */
	int (*features)(struct weft_dataset *dataset, uint64_t index, int64_t *features);
	void (*close)(struct weft_dataset *dataset);
};

/** Embedded at the start of each format's own struct. */
struct weft_dataset {
	const struct weft_dataset_format *format;
	struct weft_dataset_info info;
};

/* Each returns -ENOENT, without a sentence, where the directory has no file of its format. */
int weft_dataset_open_idx(const char *directory, enum weft_split split, struct weft_dataset **dataset);
int weft_dataset_open_cifar(const char *directory, enum weft_split split, struct weft_dataset **dataset);
int weft_dataset_open_npy(const char *directory, enum weft_split split, struct weft_dataset **dataset);
int weft_dataset_open_folder(const char *directory, enum weft_split split, const struct weft_dataset_options *options,
			     struct weft_dataset **dataset);
/** Whether a path is named as a file of labelled text. */
bool weft_dataset_is_text(const char *path);
/** @single: @where is the file itself. */
int weft_dataset_open_text(const char *where, bool single, enum weft_split split,
			   const struct weft_dataset_options *options, struct weft_dataset **dataset);
int weft_dataset_open_generated(const char *what, enum weft_split split, struct weft_dataset **dataset);

/** Change one image of planes of elements, example @index. */
void weft_augment(const struct weft_augmentation *augmentation, uint64_t index, const struct weft_dataset_info *info,
		  size_t element_bytes, const void *from, void *to);

/** A file of known size behind a descriptor that pread works on. */
struct weft_data_file {
	int fd; /* -1: not open */
	uint64_t bytes;
	char path[512]; /* as the user knows it */
};

/**
 * Open directory/name, or directory/name.gz inflated into an unlinked temporary
 * file of at most @most bytes.  -ENOENT, without a sentence: neither exists.
 */
int weft_data_file_open(struct weft_data_file *file, const char *directory, const char *name, uint64_t most);
void weft_data_file_close(struct weft_data_file *file);
/** Read exactly @bytes at @offset; a short file is an error with a sentence. */
int weft_data_file_read(const struct weft_data_file *file, uint64_t offset, void *data, size_t bytes);

/** splitmix64's finalizer: a bijection of 64 bits that mixes well (Stafford's variant 13). */
static inline uint64_t weft_mix(uint64_t x)
{
	x ^= x >> 30;
	x *= 0xbf58476d1ce4e5b9;
	x ^= x >> 27;
	x *= 0x94d049bb133111eb;
	return x ^ x >> 31;
}

#endif /* WEFT_DATA_DATASET_H */
