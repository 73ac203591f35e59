// SPDX-License-Identifier: MIT
/* Pictures in folders: classes, sizes, damage; augmentation and normalisation. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <ftw.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jpeglib.h>
#include <png.h>

#include "data/dataset.h"
#include "data/picture.h"
#include "weft/error.h"

static char folder[64];

static int make_folder(void **state)
{
	(void)state;
	strcpy(folder, "/tmp/weft-test-pictures-XXXXXX");
	return mkdtemp(folder) ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *place)
{
	(void)status;
	(void)type;
	(void)place;
	return remove(path);
}

static int remove_folder(void **state)
{
	(void)state;
	return nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* The path of a file whose folders are there afterwards. */
static const char *path_of(const char *name)
{
	static char path[256];
	char *slash;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	for (slash = path + strlen(folder) + 1; (slash = strchr(slash, '/')); *slash++ = '/') {
		*slash = '\0';
		if (mkdir(path, 0700))
			assert_int_equal(errno, EEXIST);
	}
	return path;
}

/* Channel c of pixel (x, y). */
static uint8_t colour(unsigned int x, unsigned int y, unsigned int c)
{
	return (uint8_t)(x * 7 + y * 31 + c * 101);
}

static void put_png(const char *name, unsigned int channels, unsigned int height, unsigned int width)
{
	png_image image = {.version = PNG_IMAGE_VERSION, .height = height, .width = width};
	uint8_t *pixels = malloc((size_t)height * width * channels);

	assert_non_null(pixels);
	for (unsigned int y = 0; y < height; y++)
		for (unsigned int x = 0; x < width; x++)
			for (unsigned int c = 0; c < channels; c++)
				pixels[(y * width + x) * channels + c] = colour(x, y, c);
	image.format = channels == 1 ? PNG_FORMAT_GRAY : PNG_FORMAT_RGB;
	assert_true(png_image_write_to_file(&image, path_of(name), 0, pixels, 0, NULL));
	free(pixels);
}

/* All of one colour, which JPEG keeps. */
static void put_jpeg(const char *name, unsigned int height, unsigned int width, const uint8_t rgb[3])
{
	struct jpeg_compress_struct jpeg;
	struct jpeg_error_mgr errors;
	uint8_t *row = malloc(3 * (size_t)width);
	FILE *file = fopen(path_of(name), "wb");

	assert_non_null(file);
	assert_non_null(row);
	for (unsigned int x = 0; x < width; x++)
		memcpy(row + 3 * x, rgb, 3);
	jpeg.err = jpeg_std_error(&errors);
	jpeg_create_compress(&jpeg);
	jpeg_stdio_dest(&jpeg, file);
	jpeg.image_width = width;
	jpeg.image_height = height;
	jpeg.input_components = 3;
	jpeg.in_color_space = JCS_RGB;
	jpeg_set_defaults(&jpeg);
	jpeg_set_quality(&jpeg, 95, TRUE);
	jpeg_start_compress(&jpeg, TRUE);
	while (jpeg.next_scanline < height)
		jpeg_write_scanlines(&jpeg, &row, 1);
	jpeg_finish_compress(&jpeg);
	jpeg_destroy_compress(&jpeg);
	fclose(file);
	free(row);
}

static void test_own_size(void **state)
{
	struct weft_picture picture;
	uint8_t planes[3 * 5 * 6];

	(void)state;
	for (unsigned int channels = 1; channels <= 3; channels += 2) {
		put_png("a.png", channels, 5, 6);
		assert_int_equal(weft_picture_read(path_of("a.png"), channels, &picture), 0);
		assert_int_equal(picture.height, 5);
		assert_int_equal(picture.width, 6);
		assert_int_equal(weft_picture_fit(&picture, 5, 6, planes), 0);
		for (unsigned int c = 0; c < channels; c++)
			for (unsigned int y = 0; y < 5; y++)
				for (unsigned int x = 0; x < 6; x++)
					assert_int_equal(planes[(c * 5 + y) * 6 + x], colour(x, y, c));
		weft_picture_free(&picture);
	}
}

static void test_resample(void **state)
{
	static const struct {
		uint32_t height, width, to_height, to_width;
		const char *what;
		uint8_t from[16], to[16];
	} cases[] = {
		{1, 4, 1, 4, "itself", {1, 2, 3, 4}, {1, 2, 3, 4}},
		{2, 2, 1, 1, "all pixels in one", {0, 100, 100, 200}, {100}},
		/* A quarter and three quarters between neighbours. */
		{2,
		 2,
		 4,
		 4,
		 "twice the size",
		 {0, 0, 80, 80},
		 {0, 0, 0, 0, 20, 20, 20, 20, 60, 60, 60, 60, 80, 80, 80, 80}},
		{2, 4, 2, 2, "the middle of a wide one", {9, 1, 2, 9, 9, 3, 4, 9}, {1, 2, 3, 4}},
		{4, 1, 1, 1, "the middle of a high one, rounded down", {9, 5, 7, 9}, {5}},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct weft_picture picture = {1, cases[i].height, cases[i].width, (uint8_t *)cases[i].from};
		uint8_t planes[16] = {0};

		assert_int_equal(weft_picture_fit(&picture, cases[i].to_height, cases[i].to_width, planes), 0);
		if (memcmp(planes, cases[i].to, cases[i].to_height * cases[i].to_width))
			fail_msg("%s: %u %u %u %u", cases[i].what, planes[0], planes[1], planes[2], planes[3]);
	}
	/* One colour stays that colour, whatever the sizes. */
	for (uint32_t from = 1; from < 40; from += 3)
		for (uint32_t to = 1; to < 40; to += 5) {
			uint8_t *same = malloc((size_t)from * from), *planes = malloc((size_t)to * to);
			struct weft_picture picture = {1, from, from, same};

			assert_true(same && planes);
			memset(same, 217, (size_t)from * from);
			assert_int_equal(weft_picture_fit(&picture, to, to, planes), 0);
			for (uint32_t p = 0; p < to * to; p++)
				assert_int_equal(planes[p], 217);
			free(same);
			free(planes);
		}
}

static void test_folder(void **state)
{
	static const uint8_t red[3] = {200, 30, 40};
	const struct weft_dataset_options small = {.channels = 3, .height = 4, .width = 4};
	const struct weft_dataset_options plain = {
		.channels = 3, .height = 4, .width = 4, .normalisations = 1, .mean = {0}, .deviation = {1}};
	struct weft_dataset_info info;
	struct weft_dataset *dataset;
	float images[2][48];
	int32_t labels[2];

	(void)state;
	put_png("train/dog/b.png", 3, 6, 8);
	put_png("train/cat/z.PNG", 1, 9, 9);
	put_jpeg("train/cat/a.jpeg", 16, 24, red);
	put_png("train/cat/.hidden.png", 3, 6, 8);
	put_png("train/cat/notes.txt", 3, 6, 8);
	put_jpeg("val/dog/c.jpg", 8, 8, red);
	assert_int_equal(weft_dataset_open_with(folder, WEFT_SPLIT_TRAIN, &plain, &dataset), 0);
	weft_dataset_info(dataset, &info);
	assert_int_equal(info.examples, 3);
	assert_int_equal(info.classes, 2);
	assert_int_equal(info.height, 4);
	assert_int_equal(weft_dataset_read(dataset, (uint64_t[]){0, 2}, 2, false, images[0], labels), 0);
	assert_int_equal(labels[0], 0); /* cat/a.jpeg, by name */
	assert_int_equal(labels[1], 1);
	for (unsigned int i = 0; i < 48; i++)
		assert_true(fabsf(images[0][i] * 255 - red[i / 16]) < 3);
	weft_dataset_close(dataset);

	/* The class keeps its number where another has no test pictures; pixels are ImageNet's by default. */
	assert_int_equal(weft_dataset_open_with(folder, WEFT_SPLIT_TEST, &small, &dataset), 0);
	assert_int_equal(weft_dataset_read(dataset, (uint64_t[]){0}, 1, false, images[0], labels), 0);
	assert_int_equal(labels[0], 1);
	assert_true(fabsf(images[0][0] - (200 / 255.0f - 0.485f) / 0.229f) < 0.06f);
	weft_dataset_close(dataset);

	/* Without a size: that of the first. */
	assert_int_equal(weft_dataset_open(folder, WEFT_SPLIT_TRAIN, &dataset), 0);
	weft_dataset_info(dataset, &info);
	assert_int_equal(info.height, 16);
	assert_int_equal(info.width, 24);
	weft_dataset_close(dataset);
}

static void cut(const char *name, long bytes)
{
	assert_int_equal(truncate(path_of(name), bytes), 0);
}

static void put_text(const char *name, const char *text, size_t bytes)
{
	FILE *file = fopen(path_of(name), "wb");

	assert_non_null(file);
	assert_int_equal(fwrite(text, 1, bytes, file), bytes);
	fclose(file);
}

static void test_damage(void **state)
{
	/* A header that promises 100,000 x 100,000 pixels. */
	static const char huge[] =
		"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\x01\x86\xa0\0\x01\x86\xa0\x08\x02\0\0\0\xbb\x3b\xb2\xae";
	static const uint8_t grey[3] = {90, 90, 90};
	static const char *const names[] = {"a.png", "b.jpg", "c.png", "d.jpg", "e.png", "f.png", "nosuch.jpg"};
	struct weft_picture picture;

	(void)state;
	put_png("a.png", 3, 40, 40);
	cut("a.png", 300);
	put_jpeg("b.jpg", 64, 64, grey);
	cut("b.jpg", 400);
	put_text("c.png", "not a picture", 13);
	put_text("d.jpg", "not a picture", 13);
	put_text("e.png", "", 0);
	put_text("f.png", huge, sizeof(huge) - 1);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (!weft_picture_read(path_of(names[i]), 3, &picture))
			fail_msg("%s was read", names[i]);
		if (!strstr(weft_error(), names[i]))
			fail_msg("'%s' does not name %s", weft_error(), names[i]);
		assert_null(picture.pixels);
	}
}

static void test_folder_damage(void **state)
{
	const struct weft_dataset_options many = {.channels = 2}, wide = {.channels = 1, .height = 1, .width = 1 << 20};
	struct weft_dataset *dataset;

	(void)state;
	put_png("train/dog/b.png", 3, 6, 8);
	assert_int_equal(weft_dataset_open(folder, WEFT_SPLIT_TEST, &dataset), -EINVAL);
	assert_non_null(strstr(weft_error(), "neither test nor val"));
	put_text("test/dog/readme", "", 0);
	assert_int_equal(weft_dataset_open(folder, WEFT_SPLIT_TEST, &dataset), -EINVAL);
	assert_non_null(strstr(weft_error(), "no .png"));
	assert_int_equal(weft_dataset_open_with(folder, WEFT_SPLIT_TRAIN, &many, &dataset), -EINVAL);
	assert_int_equal(weft_dataset_open_with(folder, WEFT_SPLIT_TRAIN, &wide, &dataset), -EINVAL);
}

#define SIDE 7

static void test_augmentation(void **state)
{
	const struct weft_dataset_info info = {.channels = 2, .height = SIDE, .width = SIDE};
	uint8_t image[2 * SIDE * SIDE], changed[sizeof(image)], again[sizeof(image)];
	unsigned int flips = 0, shifts[5][5] = {{0}}, other_epoch = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(image); i++)
		image[i] = (uint8_t)(i + 1);
	for (uint64_t index = 0; index < 2000; index++) {
		struct weft_augmentation flip = {.flip = true, .seed = 3, .epoch = 1};
		struct weft_augmentation crop = {.crop = 2, .seed = 3, .epoch = 1};
		bool found = false;

		weft_augment(&flip, index, &info, 1, image, changed);
		if (memcmp(changed, image, sizeof(image))) {
			flips++;
			for (size_t i = 0; i < sizeof(image); i++)
				assert_int_equal(changed[i], image[i / SIDE * SIDE + (SIDE - 1 - i % SIDE)]);
		}
		weft_augment(&crop, index, &info, 1, image, changed);
		weft_augment(&crop, index, &info, 1, image, again);
		assert_memory_equal(changed, again, sizeof(image));
		crop.epoch = 2;
		weft_augment(&crop, index, &info, 1, image, again);
		other_epoch += !!memcmp(changed, again, sizeof(image));
		for (int down = -2; down <= 2; down++)
			for (int right = -2; right <= 2; right++) {
				bool same = true;

				for (int i = 0; i < 2 * SIDE * SIDE && same; i++) {
					int y = i / SIDE % SIDE + down, x = i % SIDE + right;
					bool inside = y >= 0 && y < SIDE && x >= 0 && x < SIDE;

					same = changed[i] ==
					       (inside ? image[i / SIDE / SIDE * SIDE * SIDE + y * SIDE + x] : 0);
				}
				shifts[down + 2][right + 2] += same;
				found |= same;
			}
		assert_true(found);
	}
	assert_in_range(flips, 900, 1100);
	assert_true(other_epoch > 1800);
	for (int i = 0; i < 25; i++)
		assert_in_range(shifts[i / 5][i % 5], 40, 130);
}

static void test_normalisation(void **state)
{
	const struct weft_dataset_options fine = {
		.normalisations = 3, .mean = {0.1f, 0.2f, 0.3f}, .deviation = {1, 2, 4}};
	const struct weft_dataset_options two = {.normalisations = 2, .deviation = {1, 1}},
					  none = {.normalisations = 1};
	struct weft_dataset *dataset;
	struct weft_dataset_info info;

	(void)state;
	assert_int_equal(weft_dataset_open_with("generate:32x32x3,count=10", WEFT_SPLIT_TRAIN, &fine, &dataset), 0);
	weft_dataset_info(dataset, &info);
	assert_true(info.mean[2] == 0.3f && info.deviation[1] == 2);
	weft_dataset_close(dataset);
	assert_int_equal(weft_dataset_open_with("generate:32x32x3,count=10", WEFT_SPLIT_TRAIN, &two, &dataset),
			 -EINVAL);
	assert_int_equal(weft_dataset_open_with("generate:32x32x3,count=10", WEFT_SPLIT_TRAIN, &none, &dataset),
			 -EINVAL);
}

int main(void)
{
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)
	const struct CMUnitTest tests[] = {
		IN_FOLDER(test_own_size),
		cmocka_unit_test(test_resample),
		IN_FOLDER(test_folder),
		IN_FOLDER(test_damage),
		IN_FOLDER(test_folder_damage),
		cmocka_unit_test(test_augmentation),
		cmocka_unit_test(test_normalisation),
	};

	return cmocka_run_group_tests_name("pictures", tests, NULL, NULL);
}
