// SPDX-License-Identifier: MIT
/* Data sets whatever their format: opening, normalising, laying out. */
#include "dataset.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "weft/error.h"

static int open_directory(const char *where, enum weft_split split, const struct weft_dataset_options *options,
			  struct weft_dataset **dataset)
{
	static int (*const format[])(const char *, enum weft_split, struct weft_dataset **) = {
		weft_dataset_open_idx,
		weft_dataset_open_cifar,
		weft_dataset_open_npy,
	};
	const char *name = split == WEFT_SPLIT_TRAIN ? "train" : "test";
	int result;

	for (size_t i = 0; i < sizeof(format) / sizeof(format[0]); i++) {
		result = format[i](where, split, dataset);
		if (result != -ENOENT)
			return result;
	}
	result = weft_dataset_open_text(where, false, split, options, dataset);
	if (result != -ENOENT)
		return result;
	result = weft_dataset_open_folder(where, split, options, dataset);
	if (result != -ENOENT)
		return result;
	return weft_fail(ENOENT,
			 "data set %s: no %s files of a format that weft reads: IDX (%s-images-idx3-ubyte, plain or "
			 ".gz), CIFAR-10 or "
			 "CIFAR-100 binary (%s), NPY (%s-images.npy), pictures (%s/CLASS/*.png, *.jpg), "
			 "text (%s.csv, %s.jsonl)",
			 where, split == WEFT_SPLIT_TRAIN ? "training" : "test",
			 split == WEFT_SPLIT_TRAIN ? "train" : "t10k",
			 split == WEFT_SPLIT_TRAIN ? "data_batch_1.bin, train.bin" : "test_batch.bin, test.bin", name,
			 name, name, name);
}

/* Mean and deviation that were asked for, instead of the set's own. */
static int normalise_with(struct weft_dataset *dataset, const struct weft_dataset_options *options)
{
	struct weft_dataset_info *info = &dataset->info;
	uint32_t given = options->normalisations;

	if (!dataset->format->pixels)
		return weft_fail(EINVAL, "data set %s: its numbers are taken as they are, they cannot be normalised",
				 info->name);
	if (given != 1 && given != info->channels)
		return weft_fail(EINVAL, "data set %s: %u means and deviations, for %u channels", info->name, given,
				 info->channels);
	for (uint32_t c = 0; c < info->channels; c++) {
		info->mean[c] = options->mean[given == 1 ? 0 : c];
		info->deviation[c] = options->deviation[given == 1 ? 0 : c];
		if (!isfinite(info->mean[c]) || !isfinite(info->deviation[c]) || info->deviation[c] <= 0)
			return weft_fail(EINVAL, "a mean of %g with a deviation of %g; the latter is above 0",
					 (double)info->mean[c], (double)info->deviation[c]);
	}
	return 0;
}

int weft_dataset_open_with(const char *where, enum weft_split split, const struct weft_dataset_options *options,
			   struct weft_dataset **dataset)
{
	struct stat status;
	int result;

	*dataset = NULL;
	if (!strncmp(where, "generate:", 9))
		result = weft_dataset_open_generated(where + 9, split, dataset);
	else if (stat(where, &status))
		result = weft_fail(errno, "data set %s: %m; give a directory, or generate:28x28x1", where);
	else if (!S_ISDIR(status.st_mode) && weft_dataset_is_text(where))
		result = weft_dataset_open_text(where, true, split, options, dataset);
	else if (!S_ISDIR(status.st_mode))
		result = weft_fail(ENOTDIR,
				   "data set %s: not a directory, and neither .csv nor .jsonl; give the directory that "
				   "holds its files",
				   where);
	else
		result = open_directory(where, split, options, dataset);
	if (!result && options && options->normalisations) {
		result = normalise_with(*dataset, options);
		if (result) {
			weft_dataset_close(*dataset);
			*dataset = NULL;
		}
	}
	return result;
}

int weft_dataset_open(const char *where, enum weft_split split, struct weft_dataset **dataset)
{
	return weft_dataset_open_with(where, split, NULL, dataset);
}

void weft_dataset_close(struct weft_dataset *dataset)
{
	if (dataset)
		dataset->format->close(dataset);
}

int weft_dataset_info(const struct weft_dataset *dataset, struct weft_dataset_info *info)
{
	*info = dataset->info;
	return 0;
}

/* Position in @images of channel @c, pixel @p of an image that starts at element 0. */
static inline size_t place(const struct weft_dataset_info *info, bool channels_last, size_t c, size_t p)
{
	return channels_last ? p * info->channels + c : c * info->height * info->width + p;
}

static void normalise(const struct weft_dataset_info *info, const uint8_t *pixels, bool channels_last, float *image)
{
	size_t plane = (size_t)info->height * info->width;

	for (size_t c = 0; c < info->channels; c++) {
		float table[256];

		for (unsigned int value = 0; value < 256; value++)
			table[value] = ((float)value / 255.0f - info->mean[c]) / info->deviation[c];
		for (size_t p = 0; p < plane; p++)
			image[place(info, channels_last, c, p)] = table[pixels[c * plane + p]];
	}
}

static void lay_out(const struct weft_dataset_info *info, const float *values, bool channels_last, float *image)
{
	size_t plane = (size_t)info->height * info->width;

	for (size_t c = 0; c < info->channels; c++)
		for (size_t p = 0; p < plane; p++)
			image[place(info, channels_last, c, p)] = values[c * plane + p];
}

/* One example: as the format has it, augmented, and as the model takes it. */
static int read_one(struct weft_dataset *dataset, const struct weft_augmentation *augmentation, uint64_t index,
		    bool channels_last, void *scratch, float *image, int32_t *label)
{
	const struct weft_dataset_info *info = &dataset->info;
	const struct weft_dataset_format *format = dataset->format;
	size_t elements = (size_t)info->channels * info->height * info->width;
	size_t element = format->values ? sizeof(float) : 1;
	void *changed = (char *)scratch + elements * element;
	int result;

	if (index >= info->examples)
		return weft_fail(EINVAL, "data set %s: example %llu asked for, it has %llu", info->name,
				 (unsigned long long)index, (unsigned long long)info->examples);
	result = format->values ? format->values(dataset, index, scratch, label)
				: format->pixels(dataset, index, scratch, label);
	if (result)
		return result;
	if (augmentation)
		weft_augment(augmentation, index, info, element, scratch, changed);
	else
		changed = scratch;
	if (format->values)
		lay_out(info, changed, channels_last, image);
	else
		normalise(info, changed, channels_last, image);
	return 0;
}

int weft_dataset_read_augmented(struct weft_dataset *dataset, const struct weft_augmentation *augmentation,
				const uint64_t *index, uint32_t count, bool channels_last, float *images,
				int32_t *labels)
{
	const struct weft_dataset_info *info = &dataset->info;
	size_t elements = (size_t)info->channels * info->height * info->width;
	void *scratch = malloc(2 * elements * (dataset->format->values ? sizeof(float) : 1));
	int result = 0;

	if (!scratch)
		return weft_fail(ENOMEM, "data set %s: out of memory", info->name);
	if (dataset->format->tokens)
		result = weft_fail(EINVAL, "data set %s: it holds text, not images", info->name);
	for (uint32_t i = 0; i < count && !result; i++)
		result = read_one(dataset, augmentation, index[i], channels_last, scratch, images + i * elements,
				  &labels[i]);
	free(scratch);
	return result;
}

int weft_dataset_read_tokens(struct weft_dataset *dataset, const uint64_t *index, uint32_t count, int64_t *tokens,
			     uint32_t *used, int32_t *labels)
{
	const struct weft_dataset_info *info = &dataset->info;
	int result = 0;

	if (!dataset->format->tokens)
		return weft_fail(EINVAL, "data set %s: it holds images, not text", info->name);
	for (uint32_t i = 0; i < count && !result; i++) {
		if (index[i] >= info->examples)
			return weft_fail(EINVAL, "data set %s: example %llu asked for, it has %llu", info->name,
					 (unsigned long long)index[i], (unsigned long long)info->examples);
		result = dataset->format->tokens(dataset, index[i], tokens + (size_t)i * info->sequence, &used[i],
						 &labels[i]);
	}
	return result;
}

int weft_dataset_read_features(struct weft_dataset *dataset, const uint64_t *index, uint32_t count, int64_t *features)
{
	const struct weft_dataset_info *info = &dataset->info;
	int result = 0;

	if (!info->features)
		return weft_fail(EINVAL, "data set %s: it was opened without hashed features", info->name);
	for (uint32_t i = 0; i < count && !result; i++) {
		if (index[i] >= info->examples)
			return weft_fail(EINVAL, "data set %s: example %llu asked for, it has %llu", info->name,
					 (unsigned long long)index[i], (unsigned long long)info->examples);
		result = dataset->format->features(dataset, index[i], features + (size_t)i * info->features);
	}
	return result;
}

int weft_dataset_read(struct weft_dataset *dataset, const uint64_t *index, uint32_t count, bool channels_last,
		      float *images, int32_t *labels)
{
	return weft_dataset_read_augmented(dataset, NULL, index, count, channels_last, images, labels);
}
