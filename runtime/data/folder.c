// SPDX-License-Identifier: MIT
/*
 * Pictures in folders: DIR/train/CLASS/..., and DIR/test/CLASS/... or
 * DIR/val/CLASS/....  Classes are numbered in the order of their folders' names.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "dataset.h"
#include "picture.h"
#include "weft/error.h"

struct example {
	char *file; /* of its class's folder; owned */
	uint32_t class;
};

struct folder_dataset {
	struct weft_dataset dataset;
	char *directory; /* owned, with the split */
	char **class;	 /* owned */
	uint32_t classes;
	struct example *example;
	uint64_t room;
};

static int path_of(const struct folder_dataset *folder, const char *class, const char *file, char path[4096])
{
	int length = snprintf(path, 4096, "%s/%s%s%s", folder->directory, class, file ? "/" : "", file ? file : "");

	return length > 0 && length < 4096 ? 0 : weft_fail(ENAMETOOLONG, "%.64s...: the path is too long", path);
}

static int folder_pixels(struct weft_dataset *dataset, uint64_t index, uint8_t *pixels, int32_t *label)
{
	const struct folder_dataset *folder = (const struct folder_dataset *)dataset;
	const struct example *example = &folder->example[index];
	struct weft_picture picture;
	char path[4096];
	int result = path_of(folder, folder->class[example->class], example -> file, path);

	if (!result)
		result = weft_picture_read(path, dataset->info.channels, &picture);
	if (result)
		return result;
	result = weft_picture_fit(&picture, dataset->info.height, dataset->info.width, pixels);
	weft_picture_free(&picture);
	*label = (int32_t)example->class;
	return result;
}

static void folder_close(struct weft_dataset *dataset)
{
	struct folder_dataset *folder = (struct folder_dataset *)dataset;

	for (uint64_t i = 0; i < dataset->info.examples; i++)
		free(folder->example[i].file);
	for (uint32_t i = 0; i < folder->classes; i++)
		free(folder->class[i]);
	free(folder->example);
	free(folder->class);
	free(folder->directory);
	free(folder);
}

static const struct weft_dataset_format folder_format = {.pixels = folder_pixels, .close = folder_close};

static bool is_folder(const char *directory, const char *name)
{
	struct stat status;
	char path[4096];

	return (size_t)snprintf(path, sizeof(path), "%s/%s", directory, name) < sizeof(path) && !stat(path, &status) &&
	       S_ISDIR(status.st_mode);
}

static int is_shown(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

static int is_picture(const struct dirent *entry)
{
	return entry->d_name[0] != '.' && weft_picture_is_named(entry->d_name);
}

/* By bytes, whatever the locale. */
static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static void free_entries(struct dirent **entry, int entries)
{
	for (int i = 0; i < entries; i++)
		free(entry[i]);
	free(entry);
}

static int find_classes(struct folder_dataset *folder, const char *training)
{
	struct dirent **entry;
	int entries = scandir(training, &entry, is_shown, by_name), result = 0;

	if (entries < 0)
		return weft_fail(EINVAL, "%s: %m", training);
	folder->class = calloc((size_t)entries + 1, sizeof(*folder->class));
	if (!folder->class)
		result = weft_fail(ENOMEM, "%s: out of memory", training);
	for (int i = 0; i < entries && !result; i++) {
		if (!is_folder(training, entry[i]->d_name))
			continue;
		folder->class[folder->classes] = strdup(entry[i]->d_name);
		if (!folder->class[folder->classes++])
			result = weft_fail(ENOMEM, "%s: out of memory", training);
	}
	free_entries(entry, entries);
	if (!result && !folder->classes)
		result = weft_fail(EINVAL, "%s: no folders in it; expected one for each class", training);
	return result;
}

static int add_example(struct folder_dataset *folder, const char *file, uint32_t class)
{
	uint64_t examples = folder->dataset.info.examples;

	if (examples == folder->room) {
		uint64_t room = folder->room ? folder->room * 2 : 1024;
		struct example *more = reallocarray(folder->example, room, sizeof(*more));

		if (!more)
			return weft_fail(ENOMEM, "%s: out of memory", folder->directory);
		folder->example = more;
		folder->room = room;
	}
	folder->example[examples].file = strdup(file);
	folder->example[examples].class = class;
	if (!folder->example[examples].file)
		return weft_fail(ENOMEM, "%s: out of memory", folder->directory);
	folder->dataset.info.examples++;
	return 0;
}

static int find_examples(struct folder_dataset *folder)
{
	for (uint32_t class = 0; class < folder->classes; class ++) {
		struct dirent **entry;
		char path[4096];
		int entries, result = path_of(folder, folder->class[class], NULL, path);

		if (result)
			return result;
		entries = scandir(path, &entry, is_picture, by_name);
		/* A class may be without pictures in the test set. */
		if (entries < 0 && errno == ENOENT)
			continue;
		if (entries < 0)
			return weft_fail(EINVAL, "%s: %m", path);
		for (int i = 0; i < entries && !result; i++)
			result = add_example(folder, entry[i]->d_name, class);
		free_entries(entry, entries);
		if (result)
			return result;
	}
	if (!folder->dataset.info.examples)
		return weft_fail(EINVAL, "%s: no .png, .jpg or .jpeg in the folders of its classes", folder->directory);
	return 0;
}

/* As asked for, else as the first picture is. */
static int choose_shape(struct folder_dataset *folder, const struct weft_dataset_options *options)
{
	static const float mean[3] = {0.485f, 0.456f, 0.406f}, deviation[3] = {0.229f, 0.224f, 0.225f};
	struct weft_dataset_info *info = &folder->dataset.info;
	struct weft_picture first;
	char path[4096];
	int result;

	info->channels = options && options->channels ? options->channels : 3;
	info->height = options ? options->height : 0;
	info->width = options ? options->width : 0;
	if (info->channels != 1 && info->channels != 3)
		return weft_fail(EINVAL, "%s: pictures have 1 or 3 channels, the model takes %u", folder->directory,
				 info->channels);
	if (info->height > WEFT_PICTURE_MOST_SIDE || info->width > WEFT_PICTURE_MOST_SIDE)
		return weft_fail(EINVAL, "%s: pictures of %u x %u are more than the %d x %d that can be made",
				 folder->directory, info->height, info->width, WEFT_PICTURE_MOST_SIDE,
				 WEFT_PICTURE_MOST_SIDE);
	if (!info->height || !info->width) {
		result = path_of(folder, folder->class[folder->example[0].class], folder -> example[0].file, path);
		if (!result)
			result = weft_picture_read(path, info->channels, &first);
		if (result)
			return result;
		info->height = first.height;
		info->width = first.width;
		weft_picture_free(&first);
	}
	/* Of ImageNet, which most networks that are trained further have seen. */
	for (uint32_t c = 0; c < info->channels; c++) {
		info->mean[c] = info->channels == 3 ? mean[c] : 0.5f;
		info->deviation[c] = info->channels == 3 ? deviation[c] : 0.25f;
	}
	return 0;
}

int weft_dataset_open_folder(const char *directory, enum weft_split split, const struct weft_dataset_options *options,
			     struct weft_dataset **dataset)
{
	const char *part = split == WEFT_SPLIT_TRAIN ? "train" : is_folder(directory, "test") ? "test" : "val";
	struct folder_dataset *folder;
	char *training = NULL;
	int result = 0;

	if (!is_folder(directory, "train"))
		return -ENOENT;
	if (!is_folder(directory, part))
		return weft_fail(EINVAL, "data set %s: train is there, but neither test nor val", directory);
	folder = calloc(1, sizeof(*folder));
	if (!folder)
		return weft_fail(ENOMEM, "data set %s: out of memory", directory);
	folder->dataset.format = &folder_format;
	if (asprintf(&folder->directory, "%s/%s", directory, part) < 0)
		folder->directory = NULL;
	if (asprintf(&training, "%s/train", directory) < 0)
		training = NULL;
	if (!folder->directory || !training)
		result = weft_fail(ENOMEM, "data set %s: out of memory", directory);
	if (!result)
		result = find_classes(folder, training);
	if (!result)
		result = find_examples(folder);
	if (!result)
		result = choose_shape(folder, options);
	free(training);
	folder->dataset.info.classes = folder->classes;
	snprintf(folder->dataset.info.name, sizeof(folder->dataset.info.name), "pictures");
	if (result)
		folder_close(&folder->dataset);
	else
		*dataset = &folder->dataset;
	return result;
}
