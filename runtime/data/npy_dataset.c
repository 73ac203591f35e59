// SPDX-License-Identifier: MIT
/*
 * Data sets as NumPy arrays: train-images.npy and test-images.npy
 * [N, C, H, W] or [N, H, W], with train-labels.npy and test-labels.npy [N].
 * float32 and float64 are taken as they are and must be finite; uint8 is
 * scaled to 0..1.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "npy.h"
#include "weft/error.h"

#define NPY_MOST_SIDE 4096

struct npy_dataset {
	struct weft_dataset dataset;
	struct weft_npy images, labels;
	uint64_t elements; /* of one image */
	float scale;
};

static int npy_values(struct weft_dataset *dataset, uint64_t index, float *values, int32_t *label)
{
	struct npy_dataset *npy = (struct npy_dataset *)dataset;
	const struct weft_dataset_info *info = &dataset->info;
	int result = weft_npy_read_floats(&npy->images, index * npy->elements, npy->elements, values);

	if (!result)
		result = weft_npy_read_ints(&npy->labels, index, 1, label);
	if (result)
		return result;
	for (uint64_t i = 0; i < npy->elements; i++) {
		if (!isfinite(values[i])) {
			uint64_t plane = (uint64_t)info->height * info->width;

			return weft_fail(EDOM,
					 "%s: example %llu holds %f at channel %llu, row %llu, column %llu; clean the "
					 "data set first",
					 npy->images.file.path, (unsigned long long)index, (double)values[i],
					 (unsigned long long)(i / plane), (unsigned long long)(i % plane / info->width),
					 (unsigned long long)(i % info->width));
		}
		values[i] *= npy->scale;
	}
	if (*label < 0 || (uint32_t)*label >= info->classes)
		return weft_fail(EINVAL, "%s: example %llu has label %d, which is not a class", npy->labels.file.path,
				 (unsigned long long)index, *label);
	return 0;
}

static void npy_close(struct weft_dataset *dataset)
{
	struct npy_dataset *npy = (struct npy_dataset *)dataset;

	weft_npy_close(&npy->images);
	weft_npy_close(&npy->labels);
	free(npy);
}

static const struct weft_dataset_format npy_format = {.values = npy_values, .close = npy_close};

static int npy_classes(const struct npy_dataset *npy, uint32_t *classes)
{
	int32_t chunk[1024], most = 0;

	for (uint64_t at = 0; at < npy->labels.elements; at += 1024) {
		uint64_t part = npy->labels.elements - at < 1024 ? npy->labels.elements - at : 1024;
		int result = weft_npy_read_ints(&npy->labels, at, part, chunk);

		if (result)
			return result;
		for (uint64_t i = 0; i < part; i++) {
			if (chunk[i] < 0 || chunk[i] >= 1 << 24)
				return weft_fail(EINVAL, "%s: label %d of example %llu is not a class",
						 npy->labels.file.path, chunk[i], (unsigned long long)(at + i));
			most = chunk[i] > most ? chunk[i] : most;
		}
	}
	*classes = (uint32_t)most + 1;
	return 0;
}

static int npy_shapes(struct npy_dataset *npy)
{
	struct weft_dataset_info *info = &npy->dataset.info;
	const struct weft_npy *images = &npy->images, *labels = &npy->labels;
	uint64_t channels = images->rank == 4 ? images->dims[1] : 1;
	uint64_t height, width;

	if (images->rank != 3 && images->rank != 4)
		return weft_fail(
			EINVAL,
			"%s: %u dimensions, expected 4 (examples, channels, rows, columns) or 3 (without channels)",
			images->file.path, images->rank);
	height = images->dims[images->rank - 2];
	width = images->dims[images->rank - 1];
	if (!images->dims[0] || channels < 1 || channels > 4 || height < 1 || height > NPY_MOST_SIDE || width < 1 ||
	    width > NPY_MOST_SIDE)
		return weft_fail(
			EINVAL,
			"%s: %llu images of %llu channels of %llu x %llu; 1 to 4 channels of at most %d x %d are read",
			images->file.path, (unsigned long long)images->dims[0], (unsigned long long)channels,
			(unsigned long long)height, (unsigned long long)width, NPY_MOST_SIDE, NPY_MOST_SIDE);
	if (labels->rank != 1 || labels->dims[0] != images->dims[0])
		return weft_fail(EINVAL, "%s: expected one dimension of %llu labels, as many as there are images",
				 labels->file.path, (unsigned long long)images->dims[0]);
	snprintf(info->name, sizeof(info->name), "NPY");
	info->examples = images->dims[0];
	info->channels = (uint32_t)channels;
	info->height = (uint32_t)height;
	info->width = (uint32_t)width;
	npy->elements = channels * height * width;
	npy->scale = images->type[0] == 'u' ? 1.0f / 255.0f : 1.0f;
	for (uint64_t c = 0; c < channels; c++)
		info->deviation[c] = 1.0f;
	return npy_classes(npy, &info->classes);
}

static int npy_open_pair(struct npy_dataset *npy, const char *directory, const char *split)
{
	char name[32];
	int result;

	snprintf(name, sizeof(name), "%s-images.npy", split);
	result = weft_npy_open(&npy->images, directory, name);
	if (result)
		return result;
	snprintf(name, sizeof(name), "%s-labels.npy", split);
	result = weft_npy_open(&npy->labels, directory, name);
	if (result == -ENOENT)
		return weft_fail(EINVAL, "data set %s: %s is there, but not %s", directory, npy->images.file.path,
				 name);
	return result ? result : npy_shapes(npy);
}

int weft_dataset_open_npy(const char *directory, enum weft_split split, struct weft_dataset **dataset)
{
	struct npy_dataset *npy = calloc(1, sizeof(*npy));
	int result;

	if (!npy)
		return weft_fail(ENOMEM, "data set %s: out of memory", directory);
	npy->dataset.format = &npy_format;
	npy->images.file.fd = npy->labels.file.fd = -1;
	result = npy_open_pair(npy, directory, split == WEFT_SPLIT_TRAIN ? "train" : "test");
	if (result)
		npy_close(&npy->dataset);
	else
		*dataset = &npy->dataset;
	return result;
}
