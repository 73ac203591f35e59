// SPDX-License-Identifier: MIT
/*
 * CIFAR-10 and CIFAR-100 in their binary form: records of one label byte
 * (CIFAR-100: coarse and fine) and three planes of 32 x 32 bytes.
 */
#include "dataset.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "weft/error.h"

#define CIFAR_PIXELS 3072
#define CIFAR_FILES 5
#define CIFAR_MOST_BYTES (UINT64_C(1) << 36)

struct cifar_kind {
	const char *name, *folder;	  /* as the archive unpacks */
	const char *file[2][CIFAR_FILES]; /* per split */
	unsigned int label_bytes;	  /* the last is the class */
	unsigned int classes;
	float mean[3], deviation[3]; /* of the training images */
};

static const struct cifar_kind kinds[] = {
	{"CIFAR-10",
	 "cifar-10-batches-bin",
	 {{"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin"},
	  {"test_batch.bin"}},
	 1,
	 10,
	 {0.4914f, 0.4822f, 0.4465f},
	 {0.2470f, 0.2435f, 0.2616f}},
	{"CIFAR-100",
	 "cifar-100-binary",
	 {{"train.bin"}, {"test.bin"}},
	 2,
	 100,
	 {0.5071f, 0.4865f, 0.4409f},
	 {0.2673f, 0.2564f, 0.2762f}},
};

struct cifar_dataset {
	struct weft_dataset dataset;
	const struct cifar_kind *kind;
	struct weft_data_file file[CIFAR_FILES];
	uint64_t examples[CIFAR_FILES];
};

static int cifar_pixels(struct weft_dataset *dataset, uint64_t index, uint8_t *pixels, int32_t *label)
{
	struct cifar_dataset *cifar = (struct cifar_dataset *)dataset;
	const struct cifar_kind *kind = cifar->kind;
	uint8_t labels[2];
	uint64_t at;
	int i = 0, result;

	while (index >= cifar->examples[i])
		index -= cifar->examples[i++];
	at = index * (kind->label_bytes + CIFAR_PIXELS);
	result = weft_data_file_read(&cifar->file[i], at, labels, kind->label_bytes);
	if (!result)
		result = weft_data_file_read(&cifar->file[i], at + kind->label_bytes, pixels, CIFAR_PIXELS);
	if (result)
		return result;
	*label = labels[kind->label_bytes - 1];
	if ((uint32_t)*label >= kind->classes)
		return weft_fail(EINVAL, "%s: record %llu has label %d, %s has classes 0 to %u", cifar->file[i].path,
				 (unsigned long long)index, *label, kind->name, kind->classes - 1);
	return 0;
}

static void cifar_close(struct weft_dataset *dataset)
{
	struct cifar_dataset *cifar = (struct cifar_dataset *)dataset;

	for (int i = 0; i < CIFAR_FILES; i++)
		weft_data_file_close(&cifar->file[i]);
	free(cifar);
}

static const struct weft_dataset_format cifar_format = {.pixels = cifar_pixels, .close = cifar_close};

static int cifar_open_files(struct cifar_dataset *cifar, const char *directory, enum weft_split split)
{
	const struct cifar_kind *kind = cifar->kind;
	struct weft_dataset_info *info = &cifar->dataset.info;
	unsigned int record = kind->label_bytes + CIFAR_PIXELS;

	for (int i = 0; i < CIFAR_FILES && kind->file[split][i]; i++) {
		struct weft_data_file *file = &cifar->file[i];
		int result = weft_data_file_open(file, directory, kind->file[split][i], CIFAR_MOST_BYTES);

		if (result == -ENOENT && i)
			return weft_fail(EINVAL, "data set %s: %s is there, but not %s", directory,
					 kind->file[split][0], kind->file[split][i]);
		if (result)
			return result;
		if (!file->bytes || file->bytes % record)
			return weft_fail(
				EINVAL,
				"%s: %llu bytes, expected a multiple of %u (records of %s); fetch the file again",
				file->path, (unsigned long long)file->bytes, record, kind->name);
		cifar->examples[i] = file->bytes / record;
		info->examples += cifar->examples[i];
	}
	snprintf(info->name, sizeof(info->name), "%s", kind->name);
	info->classes = kind->classes;
	info->channels = 3;
	info->height = info->width = 32;
	memcpy(info->mean, kind->mean, sizeof(kind->mean));
	memcpy(info->deviation, kind->deviation, sizeof(kind->deviation));
	return 0;
}

static int cifar_open_in(const struct cifar_kind *kind, const char *directory, enum weft_split split,
			 struct weft_dataset **dataset)
{
	struct cifar_dataset *cifar = calloc(1, sizeof(*cifar));
	int result;

	if (!cifar)
		return weft_fail(ENOMEM, "data set %s: out of memory", directory);
	cifar->dataset.format = &cifar_format;
	cifar->kind = kind;
	for (int i = 0; i < CIFAR_FILES; i++)
		cifar->file[i].fd = -1;
	result = cifar_open_files(cifar, directory, split);
	if (result)
		cifar_close(&cifar->dataset);
	else
		*dataset = &cifar->dataset;
	return result;
}

int weft_dataset_open_cifar(const char *directory, enum weft_split split, struct weft_dataset **dataset)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		char folder[512];
		int result = cifar_open_in(&kinds[i], directory, split, dataset);

		if (result != -ENOENT)
			return result;
		if ((size_t)snprintf(folder, sizeof(folder), "%s/%s", directory, kinds[i].folder) >= sizeof(folder))
			continue;
		result = cifar_open_in(&kinds[i], folder, split, dataset);
		if (result != -ENOENT)
			return result;
	}
	return -ENOENT;
}
