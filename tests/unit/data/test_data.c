// SPDX-License-Identifier: MIT
/* Data sets: formats, damage, normalisation, layout, shuffling. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "weft/data.h"
#include "weft/error.h"

static char folder[64];

static int make_folder(void **state)
{
	(void)state;
	strcpy(folder, "/tmp/weft-test-data-XXXXXX");
	return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
	DIR *directory = opendir(folder);
	struct dirent *entry;

	(void)state;
	while (directory && (entry = readdir(directory)))
		unlinkat(dirfd(directory), entry->d_name, 0);
	if (directory)
		closedir(directory);
	return rmdir(folder);
}

static void put(const char *name, const void *bytes, size_t count)
{
	char path[256];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	file = fopen(path, "wb");
	assert_non_null(file);
	assert_int_equal(fwrite(bytes, 1, count, file), count);
	assert_int_equal(fclose(file), 0);
}

static void put_compressed(const char *name, const void *bytes, unsigned int count)
{
	char path[256];
	gzFile file;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	file = gzopen(path, "wb");
	assert_non_null(file);
	assert_int_equal(gzwrite(file, bytes, count), count);
	assert_int_equal(gzclose(file), Z_OK);
}

/* Three images of 2 x 4 whose bytes count up, labels 2, 0, 1. */
static const uint8_t images[16 + 24] = {
	0, 0, 8, 3, 0, 0, 0,  3,  0,  0,  0,  2,  0,  0,  0,  4,  0,  1,  2,  3,
	4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 255,
};
static const uint8_t labels[8 + 3] = {0, 0, 8, 1, 0, 0, 0, 3, 2, 0, 1};

static void check_idx(void)
{
	const uint64_t order[3] = {2, 0, 1};
	struct weft_dataset_info info;
	struct weft_dataset *dataset;
	float values[24];
	int32_t classes[3];

	assert_int_equal(weft_dataset_open(folder, WEFT_SPLIT_TRAIN, &dataset), 0);
	weft_dataset_info(dataset, &info);
	assert_int_equal(info.examples, 3);
	assert_int_equal(info.classes, 3);
	assert_int_equal(info.channels, 1);
	assert_int_equal(info.height, 2);
	assert_int_equal(info.width, 4);
	assert_int_equal(weft_dataset_read(dataset, order, 3, true, values, classes), 0);
	assert_int_equal(classes[0], 1);
	assert_int_equal(classes[1], 2);
	assert_int_equal(classes[2], 0);
	assert_true(fabsf(values[7] - (1 - 0.1307f) / 0.3081f) < 1e-6f);
	assert_true(fabsf(values[8] - (0 - 0.1307f) / 0.3081f) < 1e-6f);
	assert_true(fabsf(values[9] - (1 / 255.0f - 0.1307f) / 0.3081f) < 1e-6f);
	assert_int_equal(weft_dataset_read(dataset, &(uint64_t){3}, 1, true, values, classes), -EINVAL);
	weft_dataset_close(dataset);
}

static void test_idx_plain(void **state)
{
	(void)state;
	put("train-images-idx3-ubyte", images, sizeof(images));
	put("train-labels-idx1-ubyte", labels, sizeof(labels));
	check_idx();
}

static void test_idx_compressed(void **state)
{
	(void)state;
	put_compressed("train-images-idx3-ubyte.gz", images, sizeof(images));
	put("train-labels-idx1-ubyte", labels, sizeof(labels));
	check_idx();
}

/* Each row damages one of the two files; the sentence must name it and say how. */
static void test_idx_damage(void **state)
{
	static const struct {
		bool in_labels;
		size_t length; /* of what is kept */
		size_t at;     /* byte changed */
		uint8_t to;
		const char *says;
	} rows[] = {
		{false, sizeof(images) - 1, 0, 0, "truncated"},
		{false, 15, 0, 0, "too few"},
		{false, 0, 0, 0, "too few"},
		{false, sizeof(images), 2, 9, "expected 0x00000803"},
		{false, sizeof(images), 3, 1, "expected 0x00000803"},
		{false, sizeof(images), 7, 2, "too many"},
		{false, sizeof(images), 11, 0, "cannot be"},
		{false, sizeof(images), 4, 255, "promises"},
		{true, sizeof(labels) - 1, 0, 0, "truncated"},
		{true, sizeof(labels) - 1, 7, 2, "3 images"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *name = rows[i].in_labels ? "train-labels-idx1-ubyte" : "train-images-idx3-ubyte";
		struct weft_dataset *dataset;
		uint8_t bytes[64];

		put("train-images-idx3-ubyte", images, sizeof(images));
		put("train-labels-idx1-ubyte", labels, sizeof(labels));
		memcpy(bytes, rows[i].in_labels ? labels : images, rows[i].in_labels ? sizeof(labels) : sizeof(images));
		bytes[rows[i].at] = rows[i].at ? rows[i].to : bytes[0];
		put(name, bytes, rows[i].length);
		assert_int_equal(weft_dataset_open(folder, WEFT_SPLIT_TRAIN, &dataset), -EINVAL);
		assert_null(dataset);
		if (!strstr(weft_error(), rows[i].says) || !strstr(weft_error(), name))
			fail_msg("row %zu: '%s' does not say '%s' of %s", i, weft_error(), rows[i].says, name);
	}
}

static void test_idx_damaged_compression(void **state)
{
	static const char name[] = "train-images-idx3-ubyte.gz";
	struct weft_dataset *dataset;
	uint8_t packed[256];
	char path[256];
	size_t count;
	FILE *file;

	(void)state;
	put("train-labels-idx1-ubyte", labels, sizeof(labels));
	put_compressed(name, images, sizeof(images));
	snprintf(path, sizeof(path), "%s/%s", folder, name);
	file = fopen(path, "rb");
	count = fread(packed, 1, sizeof(packed), file);
	fclose(file);
	for (size_t length = 11; length < count; length++) {
		put(name, packed, length);
		assert_int_equal(weft_dataset_open(folder, WEFT_SPLIT_TRAIN, &dataset), -EINVAL);
	}
	packed[count - 6] ^= 0x55; /* its checksum */
	put(name, packed, count);
	assert_int_equal(weft_dataset_open(folder, WEFT_SPLIT_TRAIN, &dataset), -EINVAL);
	assert_non_null(strstr(weft_error(), "damaged"));
}

static void test_missing(void **state)
{
	struct weft_dataset *dataset;

	(void)state;
	assert_int_equal(weft_dataset_open(folder, WEFT_SPLIT_TRAIN, &dataset), -ENOENT);
	assert_non_null(strstr(weft_error(), "IDX"));
	assert_int_equal(weft_dataset_open("/nonexistent/folder", WEFT_SPLIT_TRAIN, &dataset), -ENOENT);
	put("train-images-idx3-ubyte", images, sizeof(images));
	assert_int_equal(weft_dataset_open(folder, WEFT_SPLIT_TRAIN, &dataset), -EINVAL);
	assert_non_null(strstr(weft_error(), "train-labels-idx1-ubyte"));
	assert_int_equal(weft_dataset_open(folder, WEFT_SPLIT_TEST, &dataset), -ENOENT);
}

static void test_cifar(void **state)
{
	enum { RECORD = 1 + 3072 };
	static uint8_t batch[2 * RECORD];
	const uint64_t order[2] = {9, 0};
	struct weft_dataset_info info;
	struct weft_dataset *dataset;
	float values[2 * 3072];
	int32_t classes[2];
	char name[32];

	(void)state;
	for (int i = 0; i < 5; i++) {
		snprintf(name, sizeof(name), "data_batch_%d.bin", i + 1);
		batch[0] = (uint8_t)i;
		batch[RECORD] = (uint8_t)(i + 5);
		batch[RECORD + 1 + 1024] = 255; /* green, first pixel */
		put(name, batch, sizeof(batch));
	}
	assert_int_equal(weft_dataset_open(folder, WEFT_SPLIT_TRAIN, &dataset), 0);
	weft_dataset_info(dataset, &info);
	assert_int_equal(info.examples, 10);
	assert_int_equal(info.classes, 10);
	assert_int_equal(weft_dataset_read(dataset, order, 2, true, values, classes), 0);
	assert_int_equal(classes[0], 9);
	assert_int_equal(classes[1], 0);
	assert_true(fabsf(values[1] - (1 - 0.4822f) / 0.2435f) < 1e-5f); /* channels last */
	assert_true(values[0] < 0);
	assert_int_equal(weft_dataset_read(dataset, order, 2, false, values, classes), 0);
	assert_true(fabsf(values[1024] - (1 - 0.4822f) / 0.2435f) < 1e-5f);
	weft_dataset_close(dataset);

	batch[0] = 10;
	put("data_batch_1.bin", batch, sizeof(batch));
	assert_int_equal(weft_dataset_open(folder, WEFT_SPLIT_TRAIN, &dataset), 0);
	assert_int_equal(weft_dataset_read(dataset, &order[1], 1, true, values, classes), -EINVAL);
	weft_dataset_close(dataset);
	put("data_batch_3.bin", batch, sizeof(batch) - 1);
	assert_int_equal(weft_dataset_open(folder, WEFT_SPLIT_TRAIN, &dataset), -EINVAL);
	assert_non_null(strstr(weft_error(), "data_batch_3.bin"));
}

static void put_npy(const char *name, const char *header, const void *data, size_t bytes)
{
	uint8_t file[512] = "\x93NUMPY\x01";
	size_t length = strlen(header);

	file[8] = (uint8_t)length;
	memcpy(file + 10, header, length);
	memcpy(file + 10 + length, data, bytes);
	put(name, file, 10 + length + bytes);
}

static void test_npy(void **state)
{
	static const char shape[] = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 1, 2, 2), }\n";
	float pixels[8] = {0, 1, 2, 3, 4, 5, 6, -7.5f};
	const int64_t classes[2] = {3, 1};
	struct weft_dataset_info info;
	struct weft_dataset *dataset;
	float values[8];
	int32_t read[2];

	(void)state;
	put_npy("test-images.npy", shape, pixels, sizeof(pixels));
	put_npy("test-labels.npy", "{'descr': '<i8', 'fortran_order': False, 'shape': (2,), }\n", classes,
		sizeof(classes));
	assert_int_equal(weft_dataset_open(folder, WEFT_SPLIT_TEST, &dataset), 0);
	weft_dataset_info(dataset, &info);
	assert_int_equal(info.classes, 4);
	assert_int_equal(weft_dataset_read(dataset, (uint64_t[]){0, 1}, 2, true, values, read), 0);
	assert_memory_equal(values, pixels, sizeof(pixels));
	assert_int_equal(read[0], 3);
	weft_dataset_close(dataset);

	pixels[5] = NAN;
	put_npy("test-images.npy", shape, pixels, sizeof(pixels));
	assert_int_equal(weft_dataset_open(folder, WEFT_SPLIT_TEST, &dataset), 0);
	assert_int_equal(weft_dataset_read(dataset, (uint64_t[]){1}, 1, true, values, read), -EDOM);
	assert_non_null(strstr(weft_error(), "example 1"));
	weft_dataset_close(dataset);
}

static void test_npy_damage(void **state)
{
	static const struct {
		const char *header, *says;
	} rows[] = {
		{"{'descr': '>f4', 'fortran_order': False, 'shape': (2, 1, 2, 2), }", "type"},
		{"{'descr': '<f4', 'fortran_order': True, 'shape': (2, 1, 2, 2), }", "Fortran"},
		{"{'descr': '<f4', 'fortran_order': False, 'shape': (3, 1, 2, 2), }", "truncated"},
		{"{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296, 4294967296), }", "shape"},
		{"{'descr': '<f4', 'fortran_order': False, 'shape': (2, -1), }", "shape"},
		{"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 4", "shape"},
		{"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 4), }", "dimensions"},
		{"{'descr': '<f4', 'shape': (2, 4), }", "lacks"},
		{"", "lacks"},
	};
	const float pixels[8] = {0};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct weft_dataset *dataset;

		put_npy("train-images.npy", rows[i].header, pixels, sizeof(pixels));
		put_npy("train-labels.npy", "{'descr': '|u1', 'fortran_order': False, 'shape': (2,), }", "\0\1", 2);
		assert_int_equal(weft_dataset_open(folder, WEFT_SPLIT_TRAIN, &dataset), -EINVAL);
		if (!strstr(weft_error(), rows[i].says))
			fail_msg("row %zu: '%s' does not say '%s'", i, weft_error(), rows[i].says);
	}
}

static void test_generated(void **state)
{
	static float a[20 * 3072], b[20 * 3072];
	struct weft_dataset *train, *again, *test;
	struct weft_dataset_info info;
	uint64_t index[20];
	int32_t classes[20];

	(void)state;
	for (uint64_t i = 0; i < 20; i++)
		index[i] = i;
	assert_int_equal(weft_dataset_open("generate:32x32x3,count=100,seed=5", WEFT_SPLIT_TRAIN, &train), 0);
	assert_int_equal(weft_dataset_open("generate:32x32x3,seed=5", WEFT_SPLIT_TRAIN, &again), 0);
	assert_int_equal(weft_dataset_open("generate:32x32x3,count=100,seed=5", WEFT_SPLIT_TEST, &test), 0);
	weft_dataset_info(test, &info);
	assert_int_equal(info.examples, 20);
	assert_int_equal(info.classes, 10);
	assert_int_equal(weft_dataset_read(train, index, 20, true, a, classes), 0);
	assert_int_equal(weft_dataset_read(again, index, 20, true, b, classes), 0);
	assert_memory_equal(a, b, sizeof(a));
	assert_int_equal(weft_dataset_read(test, index, 20, true, b, classes), 0);
	for (int i = 0; i < 20; i++)
		assert_memory_not_equal(a + i * 3072, b + i * 3072, 3072 * sizeof(float));
	weft_dataset_close(train);
	weft_dataset_close(again);
	weft_dataset_close(test);
}

static void test_generated_options(void **state)
{
	static const char *const bad[] = {
		"generate:",
		"generate:28x28",
		"generate:28x28x1,",
		"generate:28x28x1,count=0",
		"generate:28x28x1,count=-1",
		"generate:28x28x1,classes=1",
		"generate:28x28x1,classes=11",
		"generate:28x28x1,count=5x",
		"generate:28x28x1,size=5",
		"generate:28x28x3",
		"generate:28x28x1count=5",
		"generate:28x28x1,count=99999999999999999999",
	};
	struct weft_dataset *dataset;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (weft_dataset_open(bad[i], WEFT_SPLIT_TRAIN, &dataset) != -EINVAL)
			fail_msg("%s was taken", bad[i]);
}

static void test_shuffle(void **state)
{
	static const uint64_t counts[] = {1, 2, 3, 4, 5, 16, 17, 63, 64, 65, 1000, 4096, 60000};
	static uint8_t seen[60000];

	(void)state;
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		for (uint64_t epoch = 0; epoch < 3; epoch++) {
			struct weft_shuffle shuffle = {counts[i], 42, epoch}, other = {counts[i], 42, epoch + 1};
			uint64_t in_place = 0, same = 0;

			memset(seen, 0, sizeof(seen));
			for (uint64_t p = 0; p < counts[i]; p++) {
				uint64_t at = weft_shuffle_at(&shuffle, p);

				assert_true(at < counts[i]);
				assert_int_equal(seen[at], 0);
				seen[at] = 1;
				in_place += at == p;
				same += at == weft_shuffle_at(&other, p);
			}
			if (counts[i] >= 1000) {
				assert_true(in_place < 12);
				assert_true(same < 12);
			}
		}
	}
}

struct reader {
	struct weft_dataset *dataset;
	uint64_t first;
	bool agreed;
};

static void *read_some(void *user)
{
	struct reader *reader = user;
	float values[8];
	int32_t class;

	reader->agreed = true;
	for (int i = 0; i < 2000; i++) {
		uint64_t index = (reader->first + (uint64_t)i) % 3;

		if (weft_dataset_read(reader->dataset, &index, 1, false, values, &class) ||
		    class != (int32_t)((index + 2) % 3))
			reader->agreed = false;
	}
	return NULL;
}

static void test_threads(void **state)
{
	struct reader readers[4];
	pthread_t threads[4];
	struct weft_dataset *dataset;

	(void)state;
	put_compressed("train-images-idx3-ubyte.gz", images, sizeof(images));
	put_compressed("train-labels-idx1-ubyte.gz", labels, sizeof(labels));
	assert_int_equal(weft_dataset_open(folder, WEFT_SPLIT_TRAIN, &dataset), 0);
	for (uint64_t i = 0; i < 4; i++) {
		readers[i] = (struct reader){dataset, i, false};
		assert_int_equal(pthread_create(&threads[i], NULL, read_some, &readers[i]), 0);
	}
	for (int i = 0; i < 4; i++) {
		pthread_join(threads[i], NULL);
		assert_true(readers[i].agreed);
	}
	weft_dataset_close(dataset);
}

/* MNIST as it comes, where it is. */
static void test_mnist(void **state)
{
	const char *shared = getenv("WEFT_SHARED");
	struct weft_dataset_info info;
	struct weft_dataset *dataset;
	float values[784];
	char path[512];
	int32_t class;

	(void)state;
	snprintf(path, sizeof(path), "%s/data/mnist", shared ? shared : WEFT_SHARED);
	if (access(path, R_OK)) {
		printf("SKIP: no MNIST in %s; WEFT_SHARED says where to look\n", path);
		skip();
	}
	assert_int_equal(weft_dataset_open(path, WEFT_SPLIT_TRAIN, &dataset), 0);
	weft_dataset_info(dataset, &info);
	assert_int_equal(info.examples, 60000);
	assert_int_equal(weft_dataset_read(dataset, &(uint64_t){0}, 1, true, values, &class), 0);
	assert_int_equal(class, 5);
	weft_dataset_close(dataset);
	assert_int_equal(weft_dataset_open(path, WEFT_SPLIT_TEST, &dataset), 0);
	weft_dataset_info(dataset, &info);
	assert_int_equal(info.examples, 10000);
	assert_int_equal(info.classes, 10);
	weft_dataset_close(dataset);
}

int main(void)
{
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)
	const struct CMUnitTest tests[] = {
		IN_FOLDER(test_idx_plain),
		IN_FOLDER(test_idx_compressed),
		IN_FOLDER(test_idx_damage),
		IN_FOLDER(test_idx_damaged_compression),
		IN_FOLDER(test_missing),
		IN_FOLDER(test_cifar),
		IN_FOLDER(test_npy),
		IN_FOLDER(test_npy_damage),
		IN_FOLDER(test_threads),
		cmocka_unit_test(test_generated),
		cmocka_unit_test(test_generated_options),
		cmocka_unit_test(test_shuffle),
		cmocka_unit_test(test_mnist),
	};

	return cmocka_run_group_tests_name("data", tests, NULL, NULL);
}
