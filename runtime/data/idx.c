// SPDX-License-Identifier: MIT
/*
 * IDX, the format of MNIST and its kin: a magic number 00 00 type rank, a
 * big-endian u32 per dimension, then the elements.
 */
#include "dataset.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <endian.h>

#include "weft/error.h"

#define IDX_U8 0x08
#define IDX_MOST_SIDE 4096
#define IDX_MOST_BYTES (UINT64_C(1) << 40)

struct idx_dataset {
	struct weft_dataset dataset;
	struct weft_data_file images, labels;
	uint64_t images_start, labels_start;
};

static int idx_pixels(struct weft_dataset *dataset, uint64_t index, uint8_t *pixels, int32_t *label)
{
	struct idx_dataset *idx = (struct idx_dataset *)dataset;
	size_t bytes = (size_t)dataset->info.height * dataset->info.width;
	uint8_t class;
	int result;

	result = weft_data_file_read(&idx->images, idx->images_start + index * bytes, pixels, bytes);
	if (!result)
		result = weft_data_file_read(&idx->labels, idx->labels_start + index, &class, 1);
	if (!result)
		*label = class;
	return result;
}

static void idx_close(struct weft_dataset *dataset)
{
	struct idx_dataset *idx = (struct idx_dataset *)dataset;

	weft_data_file_close(&idx->images);
	weft_data_file_close(&idx->labels);
	free(idx);
}

static const struct weft_dataset_format idx_format = {.pixels = idx_pixels, .close = idx_close};

/* Check the header against the file's size; *start receives where elements begin. */
static int idx_header(const struct weft_data_file *file, unsigned int rank, uint32_t *dims, uint64_t *start)
{
	uint32_t header[1 + 4];
	uint64_t expected;
	uint32_t magic;
	int result;

	*start = 4 + 4 * (uint64_t)rank;
	if (file->bytes < *start)
		return weft_fail(EINVAL, "%s: %llu bytes are too few for the header of an IDX file with %u dimensions",
				 file->path, (unsigned long long)file->bytes, rank);
	result = weft_data_file_read(file, 0, header, *start);
	if (result)
		return result;
	magic = be32toh(header[0]);
	if (magic != (IDX_U8 << 8 | rank))
		return weft_fail(EINVAL, "%s: begins with 0x%08x, expected 0x%08x (IDX, bytes, %u dimensions)",
				 file->path, magic, IDX_U8 << 8 | rank, rank);
	expected = 1;
	for (unsigned int i = 0; i < rank; i++) {
		dims[i] = be32toh(header[1 + i]);
		if (!dims[i] || __builtin_mul_overflow(expected, dims[i], &expected) || expected > IDX_MOST_BYTES)
			return weft_fail(EINVAL, "%s: dimension %u is %u, which cannot be", file->path, i, dims[i]);
	}
	if (file->bytes - *start < expected)
		return weft_fail(
			EINVAL,
			"%s: truncated: its header promises %llu bytes of data, it has %llu; fetch the file again",
			file->path, (unsigned long long)expected, (unsigned long long)(file->bytes - *start));
	if (file->bytes - *start > expected)
		return weft_fail(EINVAL, "%s: %llu bytes too many after the %llu that its header promises", file->path,
				 (unsigned long long)(file->bytes - *start - expected), (unsigned long long)expected);
	return 0;
}

/* One more than the largest label. */
static int idx_classes(const struct idx_dataset *idx, uint64_t count, uint32_t *classes)
{
	uint8_t chunk[4096];
	unsigned int most = 0;

	for (uint64_t at = 0; at < count; at += sizeof(chunk)) {
		size_t part = count - at < sizeof(chunk) ? (size_t)(count - at) : sizeof(chunk);
		int result = weft_data_file_read(&idx->labels, idx->labels_start + at, chunk, part);

		if (result)
			return result;
		for (size_t i = 0; i < part; i++)
			most = chunk[i] > most ? chunk[i] : most;
	}
	*classes = most + 1;
	return 0;
}

static int idx_open_pair(struct idx_dataset *idx, const char *directory, const char *prefix)
{
	struct weft_dataset_info *info = &idx->dataset.info;
	uint32_t images[3] = {0}, labels[1] = {0};
	char name[64];
	int result;

	snprintf(name, sizeof(name), "%s-images-idx3-ubyte", prefix);
	result = weft_data_file_open(&idx->images, directory, name, IDX_MOST_BYTES);
	if (result)
		return result;
	result = idx_header(&idx->images, 3, images, &idx->images_start);
	if (result)
		return result;
	snprintf(name, sizeof(name), "%s-labels-idx1-ubyte", prefix);
	result = weft_data_file_open(&idx->labels, directory, name, IDX_MOST_BYTES);
	if (result == -ENOENT)
		return weft_fail(EINVAL, "data set %s: %s is there, but neither %s nor %s.gz", directory,
				 idx->images.path, name, name);
	if (result)
		return result;
	result = idx_header(&idx->labels, 1, labels, &idx->labels_start);
	if (result)
		return result;
	if (images[0] != labels[0])
		return weft_fail(EINVAL, "data set %s: %u images in %s, but %u labels in %s", directory, images[0],
				 idx->images.path, labels[0], idx->labels.path);
	if (images[1] > IDX_MOST_SIDE || images[2] > IDX_MOST_SIDE)
		return weft_fail(EINVAL, "%s: images of %u x %u; at most %u x %u are read", idx->images.path, images[1],
				 images[2], IDX_MOST_SIDE, IDX_MOST_SIDE);
	snprintf(info->name, sizeof(info->name), "IDX");
	info->examples = images[0];
	info->channels = 1;
	info->height = images[1];
	info->width = images[2];
	/* Mean and deviation of MNIST's training images. */
	info->mean[0] = 0.1307f;
	info->deviation[0] = 0.3081f;
	return idx_classes(idx, images[0], &info->classes);
}

int weft_dataset_open_idx(const char *directory, enum weft_split split, struct weft_dataset **dataset)
{
	static const char *const prefix[2][2] = {{"train", NULL}, {"t10k", "test"}};
	int result = -ENOENT;

	for (int i = 0; i < 2 && result == -ENOENT && prefix[split][i]; i++) {
		struct idx_dataset *idx = calloc(1, sizeof(*idx));

		if (!idx)
			return weft_fail(ENOMEM, "data set %s: out of memory", directory);
		idx->dataset.format = &idx_format;
		idx->images.fd = idx->labels.fd = -1;
		result = idx_open_pair(idx, directory, prefix[split][i]);
		if (result)
			idx_close(&idx->dataset);
		else
			*dataset = &idx->dataset;
	}
	return result;
}
