// SPDX-License-Identifier: MIT
/* Data sets whatever their format: opening, normalising, laying out. */
#include "dataset.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "weft/error.h"

int weft_dataset_open(const char *where, enum weft_split split, struct weft_dataset **dataset)
{
	static int (*const format[])(const char *, enum weft_split, struct weft_dataset **) = {
		weft_dataset_open_idx,
		weft_dataset_open_cifar,
		weft_dataset_open_npy,
	};
	struct stat status;
	size_t i;

	*dataset = NULL;
	if (!strncmp(where, "generate:", 9))
		return weft_dataset_open_generated(where + 9, split, dataset);
	if (stat(where, &status))
		return weft_fail(errno, "data set %s: %m; give a directory, or generate:28x28x1", where);
	if (!S_ISDIR(status.st_mode))
		return weft_fail(ENOTDIR, "data set %s: not a directory; give the directory that holds its files",
				 where);
	for (i = 0; i < sizeof(format) / sizeof(format[0]); i++) {
		int result = format[i](where, split, dataset);

		if (result != -ENOENT)
			return result;
	}
	return weft_fail(ENOENT,
			 "data set %s: no %s files of a format that weft reads: IDX (%s-images-idx3-ubyte, plain or "
			 ".gz), CIFAR-10 or "
			 "CIFAR-100 binary (%s), NPY (%s-images.npy)",
			 where, split == WEFT_SPLIT_TRAIN ? "training" : "test",
			 split == WEFT_SPLIT_TRAIN ? "train" : "t10k",
			 split == WEFT_SPLIT_TRAIN ? "data_batch_1.bin, train.bin" : "test_batch.bin, test.bin",
			 split == WEFT_SPLIT_TRAIN ? "train" : "test");
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

int weft_dataset_read(struct weft_dataset *dataset, const uint64_t *index, uint32_t count, bool channels_last,
		      float *images, int32_t *labels)
{
	const struct weft_dataset_info *info = &dataset->info;
	const struct weft_dataset_format *format = dataset->format;
	size_t elements = (size_t)info->channels * info->height * info->width;
	void *scratch = malloc(elements * (format->values ? sizeof(float) : 1));
	int result = 0;

	if (!scratch)
		return weft_fail(ENOMEM, "data set %s: out of memory", info->name);
	for (uint32_t i = 0; i < count && !result; i++) {
		float *image = images + i * elements;

		if (index[i] >= info->examples) {
			result = weft_fail(EINVAL, "data set %s: example %llu asked for, it has %llu", info->name,
					   (unsigned long long)index[i], (unsigned long long)info->examples);
			break;
		}
		if (format->values) {
			result = format->values(dataset, index[i], scratch, &labels[i]);
			if (!result)
				lay_out(info, scratch, channels_last, image);
		} else {
			result = format->pixels(dataset, index[i], scratch, &labels[i]);
			if (!result)
				normalise(info, scratch, channels_last, image);
		}
	}
	free(scratch);
	return result;
}
