// SPDX-License-Identifier: MIT
/*
 * Labelled images made here, so that trying the project needs no download:
 * ten shapes of random place, size, tilt, thickness, contrast (light on dark or
 * dark on light) and colour, over a shaded ground with noise.  No pixel has the
 * same meaning from one image to the next, so a linear model stays poor.
 *
 * An image depends on the seed, the split and its index only.  Only + - * / and
 * sqrtf are used, so that it does not depend on the C library either.
 */
#include "dataset.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "weft/error.h"

#define SHAPES 10
#define DEFAULT_COUNT 12000
#define MOST_COUNT (UINT64_C(1) << 32)

struct generated_dataset {
	struct weft_dataset dataset;
	uint64_t key; /* of seed and split */
};

/* A stream of numbers for one image. */
struct draw {
	uint64_t state;
};

static uint64_t draw_bits(struct draw *draw)
{
	draw->state += 0x9e3779b97f4a7c15;
	return weft_mix(draw->state);
}

/* Uniform in [low, high). */
static float draw_between(struct draw *draw, float low, float high)
{
	return low + (high - low) * ((float)(draw_bits(draw) >> 40) * 0x1p-24f);
}

static float least(float a, float b)
{
	return a < b ? a : b;
}

static float most(float a, float b)
{
	return a > b ? a : b;
}

static float size_of(float a)
{
	return a < 0 ? -a : a;
}

/* Signed distances, negative inside.  Shapes fill about [-1, 1]. */
static float box(float x, float y, float half_width, float half_height)
{
	return most(size_of(x) - half_width, size_of(y) - half_height);
}

static float disc(float x, float y, float radius)
{
	return sqrtf(x * x + y * y) - radius;
}

static float triangle(float x, float y)
{
	/* The slanted sides' normal is (0.894, -0.447). */
	return most(y - 0.8f, 0.894427f * size_of(x) - 0.447214f * (y + 1.0f));
}

/* @pen: half the width of a stroke. */
static float shape(unsigned int class, float x, float y, float pen)
{
	float slanted_x = 0.707107f * (x + y), slanted_y = 0.707107f * (x - y);

	switch (class) {
	case 0:
		return disc(x, y, 0.9f);
	case 1:
		return size_of(disc(x, y, 0.8f)) - pen;
	case 2:
		return box(x, y, 0.8f, 0.8f);
	case 3:
		return size_of(box(x, y, 0.75f, 0.75f)) - pen;
	case 4:
		return triangle(x, y);
	case 5: /* + */
		return least(box(x, y, 0.95f, pen), box(x, y, pen, 0.95f));
	case 6: /* x */
		return least(box(slanted_x, slanted_y, 1.05f, pen), box(slanted_x, slanted_y, pen, 1.05f));
	case 7: /* = */
		return box(x, size_of(y) - 0.5f, 0.9f, pen);
	case 8: /* T */
		return least(box(x, y + 0.75f, 0.85f, pen), box(x, y, pen, 0.9f));
	default: /* crescent */
		return most(disc(x, y, 0.95f), -disc(x - 0.45f, y, 0.75f));
	}
}

struct scene {
	float x, y;	    /* centre, pixels */
	float cosine, sine; /* of the tilt, over the size in pixels */
	float size, stretch, pen;
	float ground[3], ink[3], slope_x, slope_y;
	float noise;
};

static void draw_scene(struct draw *draw, const struct weft_dataset_info *info, struct scene *scene)
{
	float side = (float)(info->height < info->width ? info->height : info->width);
	/* A tilt of up to 20 degrees either way, through the tangent of its half. */
	float t = draw_between(draw, -0.17f, 0.17f);
	bool dark_on_light = draw_bits(draw) & 1;

	scene->size = side * draw_between(draw, 0.2f, 0.38f);
	scene->stretch = draw_between(draw, 0.85f, 1.18f);
	scene->pen = draw_between(draw, 0.14f, 0.22f);
	scene->x = 0.5f * (float)info->width + draw_between(draw, -1, 1) * (0.46f * side - scene->size);
	scene->y = 0.5f * (float)info->height + draw_between(draw, -1, 1) * (0.46f * side - scene->size);
	scene->cosine = (1 - t * t) / (1 + t * t) / scene->size;
	scene->sine = 2 * t / (1 + t * t) / scene->size;
	scene->slope_x = draw_between(draw, -40, 40) / side;
	scene->slope_y = draw_between(draw, -40, 40) / side;
	scene->noise = draw_between(draw, 4, 22);
	for (uint32_t c = 0; c < info->channels; c++) {
		float low = draw_between(draw, 10, 100), high = draw_between(draw, 150, 245);

		scene->ground[c] = dark_on_light ? high : low;
		scene->ink[c] = dark_on_light ? low : high;
	}
}

static int generated_pixels(struct weft_dataset *dataset, uint64_t index, uint8_t *pixels, int32_t *label)
{
	const struct weft_dataset_info *info = &dataset->info;
	const struct generated_dataset *generated = (const struct generated_dataset *)dataset;
	struct draw draw = {weft_mix(generated->key + index)};
	unsigned int class = (unsigned int)(index % info->classes);
	size_t plane = (size_t)info->height * info->width;
	struct scene scene;

	draw_scene(&draw, info, &scene);
	for (uint32_t row = 0; row < info->height; row++) {
		for (uint32_t column = 0; column < info->width; column++) {
			float px = (float)column + 0.5f - scene.x, py = (float)row + 0.5f - scene.y;
			float x = (px * scene.cosine + py * scene.sine) * scene.stretch,
			      y = py * scene.cosine - px * scene.sine;
			/* Half a pixel of soft edge. */
			float cover = most(0, least(1, 0.5f - shape(class, x, y, scene.pen) * scene.size));
			uint64_t bits = draw_bits(&draw);

			for (uint32_t c = 0; c < info->channels; c++) {
				/* The sum of two bytes is a triangle: near enough to a bell. */
				float noise =
					(float)((int)(bits >> 16 * c & 255) + (int)(bits >> (16 * c + 8) & 255) - 255) *
					(1.0f / 104);
				float ground = scene.ground[c] + px * scene.slope_x + py * scene.slope_y;
				float value = ground + (scene.ink[c] - ground) * cover + noise * scene.noise;

				pixels[c * plane + row * info->width + column] =
					(uint8_t)most(0, least(255, value + 0.5f));
			}
		}
	}
	*label = (int32_t) class;
	return 0;
}

static void generated_close(struct weft_dataset *dataset)
{
	free(dataset);
}

static const struct weft_dataset_format generated_format = {.pixels = generated_pixels, .close = generated_close};

/* "name=NUMBER" at *at; moves *at behind it. */
static bool option(const char **at, const char *name, uint64_t *value)
{
	size_t length = strlen(name);
	char *end;

	if (strncmp(*at, name, length) || (*at)[length] != '=' || (*at)[length + 1] < '0' || (*at)[length + 1] > '9')
		return false;
	errno = 0;
	*value = strtoull(*at + length + 1, &end, 10);
	if (errno || (*end && *end != ','))
		return false;
	*at = end;
	return true;
}

int weft_dataset_open_generated(const char *what, enum weft_split split, struct weft_dataset **dataset)
{
	static const char *const size_name[] = {"28x28x1", "32x32x3"};
	uint64_t count = DEFAULT_COUNT, seed = 0, classes = SHAPES;
	struct generated_dataset *generated;
	struct weft_dataset_info *info;
	const char *at = what + 7;
	unsigned int which;

	for (which = 0; which < 2; which++)
		if (!strncmp(what, size_name[which], 7) && (what[7] == ',' || !what[7]))
			break;
	if (which == 2)
		return weft_fail(EINVAL,
				 "data set generate:%s: expected generate:28x28x1 or generate:32x32x3, then options as "
				 "in ,count=1000,seed=7,classes=10",
				 what);
	while (*at == ',') {
		at++;
		if (!option(&at, "count", &count) && !option(&at, "seed", &seed) && !option(&at, "classes", &classes))
			return weft_fail(
				EINVAL,
				"data set generate:%s: '%s' not understood; options are count=N, seed=N, classes=N",
				what, at);
	}
	if (count < 1 || count > MOST_COUNT || classes < 2 || classes > SHAPES)
		return weft_fail(EINVAL, "data set generate:%s: count is 1 to %llu, classes 2 to %d", what,
				 (unsigned long long)MOST_COUNT, SHAPES);

	generated = calloc(1, sizeof(*generated));
	if (!generated)
		return weft_fail(ENOMEM, "data set generate:%s: out of memory", what);
	generated->dataset.format = &generated_format;
	generated->key = weft_mix(2 * seed + (split == WEFT_SPLIT_TEST) + 0x5765667400000000) & ~UINT64_C(0xffffffffff);
	info = &generated->dataset.info;
	snprintf(info->name, sizeof(info->name), "generated %s", size_name[which]);
	info->examples = split == WEFT_SPLIT_TRAIN ? count : (count + 4) / 5;
	info->classes = (uint32_t)classes;
	info->channels = which ? 3 : 1;
	info->height = info->width = which ? 32 : 28;
	for (uint32_t c = 0; c < info->channels; c++) {
		info->mean[c] = 0.5f;
		info->deviation[c] = 0.25f;
	}
	*dataset = &generated->dataset;
	return 0;
}
