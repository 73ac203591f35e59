// SPDX-License-Identifier: MIT
#include "picture.h"

#include <errno.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <jpeglib.h>
#include <png.h>

#include "weft/error.h"

static bool is_png(const char *name)
{
	const char *dot = strrchr(name, '.');

	return dot && !strcasecmp(dot, ".png");
}

static bool is_jpeg(const char *name)
{
	const char *dot = strrchr(name, '.');

	return dot && (!strcasecmp(dot, ".jpg") || !strcasecmp(dot, ".jpeg"));
}

bool weft_picture_is_named(const char *name)
{
	return is_png(name) || is_jpeg(name);
}

void weft_picture_free(struct weft_picture *picture)
{
	free(picture->pixels);
	memset(picture, 0, sizeof(*picture));
}

static int make_room(const char *path, uint32_t channels, uint64_t height, uint64_t width, struct weft_picture *picture)
{
	if (!height || !width || height > WEFT_PICTURE_MOST_SIDE || width > WEFT_PICTURE_MOST_SIDE)
		return weft_fail(EINVAL, "%s: %llu x %llu pixels; at most %d x %d are read", path,
				 (unsigned long long)height, (unsigned long long)width, WEFT_PICTURE_MOST_SIDE,
				 WEFT_PICTURE_MOST_SIDE);
	picture->channels = channels;
	picture->height = (uint32_t)height;
	picture->width = (uint32_t)width;
	picture->pixels = malloc((size_t)height * width * channels);
	return picture->pixels ? 0 : weft_fail(ENOMEM, "%s: out of memory", path);
}

static int read_png(const char *path, uint32_t channels, struct weft_picture *picture)
{
	static const png_color black = {0, 0, 0};
	png_image image = {.version = PNG_IMAGE_VERSION};
	int result;

	if (!png_image_begin_read_from_file(&image, path)) {
		result = weft_fail(EINVAL, "%s: %s", path, image.message);
		png_image_free(&image);
		return result;
	}
	image.format = channels == 1 ? PNG_FORMAT_GRAY : PNG_FORMAT_RGB;
	result = make_room(path, channels, image.height, image.width, picture);
	if (!result && !png_image_finish_read(&image, &black, picture->pixels, 0, NULL))
		result = weft_fail(EINVAL, "%s: %s", path, image.message);
	png_image_free(&image);
	return result;
}

struct jpeg_reader {
	struct jpeg_decompress_struct jpeg;
	struct jpeg_error_mgr errors;
	jmp_buf give_up;
	char message[JMSG_LENGTH_MAX];
};

static void on_jpeg_error(j_common_ptr jpeg)
{
	struct jpeg_reader *reader = jpeg->client_data;

	jpeg->err->format_message(jpeg, reader->message);
	longjmp(reader->give_up, 1);
}

/* Decoders go on after corrupt data; a data set with such a picture is to be mended. */
static void on_jpeg_message(j_common_ptr jpeg, int level)
{
	if (level < 0)
		on_jpeg_error(jpeg);
}

static int decode_jpeg(struct jpeg_reader *reader, FILE *file, const char *path, uint32_t channels,
		       struct weft_picture *picture)
{
	struct jpeg_decompress_struct *jpeg = &reader->jpeg;
	int result;

	if (setjmp(reader->give_up))
		return weft_fail(EINVAL, "%s: %s", path, reader->message);
	jpeg_create_decompress(jpeg);
	jpeg_stdio_src(jpeg, file);
	jpeg_read_header(jpeg, TRUE);
	jpeg->out_color_space = channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
	jpeg->dct_method = JDCT_ISLOW;
	result = make_room(path, channels, jpeg->image_height, jpeg->image_width, picture);
	if (result)
		return result;
	jpeg_start_decompress(jpeg);
	if (jpeg->output_components != (int)channels)
		return weft_fail(EOPNOTSUPP, "%s: its colours cannot be read as %s", path,
				 channels == 1 ? "grey" : "red, green and blue");
	while (jpeg->output_scanline < jpeg->output_height) {
		JSAMPROW row = picture->pixels + (size_t)jpeg->output_scanline * picture->width * channels;

		jpeg_read_scanlines(jpeg, &row, 1);
	}
	jpeg_finish_decompress(jpeg);
	return 0;
}

static int read_jpeg(const char *path, uint32_t channels, struct weft_picture *picture)
{
	struct jpeg_reader reader = {0};
	FILE *file = fopen(path, "rbe");
	int result;

	if (!file)
		return weft_fail(EINVAL, "%s: %m", path);
	reader.jpeg.err = jpeg_std_error(&reader.errors);
	reader.jpeg.client_data = &reader;
	reader.errors.error_exit = on_jpeg_error;
	reader.errors.emit_message = on_jpeg_message;
	result = decode_jpeg(&reader, file, path, channels, picture);
	jpeg_destroy_decompress(&reader.jpeg);
	fclose(file);
	return result;
}

int weft_picture_read(const char *path, uint32_t channels, struct weft_picture *picture)
{
	int result;

	memset(picture, 0, sizeof(*picture));
	result = is_png(path) ? read_png(path, channels, picture) : read_jpeg(path, channels, picture);
	if (result)
		weft_picture_free(picture);
	return result;
}
