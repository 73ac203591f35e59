// SPDX-License-Identifier: MIT
/* Pictures brought to the size that a model takes. */
#include <errno.h>
#include <stdlib.h>

#include "picture.h"
#include "weft/error.h"

/* Weights are whole numbers that sum to this. */
#define ONE (1 << 16)

/* The pixels of the source that make one of the result. */
struct taps {
	uint32_t first, count;
	uint32_t *weight; /* in a table that all share */
};

struct axis {
	struct taps *taps;
	uint32_t *weights; /* of all taps */
};

static void axis_free(struct axis *axis)
{
	free(axis->taps);
	free(axis->weights);
}

/*
 * A triangle around the place of each pixel, as wide as the larger of both pixel
 * sizes.  In units of 1 / (2 * to) source pixels everything is a whole number.
 */
static void make_taps(struct taps *taps, uint32_t index, uint32_t first_pixel, uint64_t from, uint64_t to)
{
	uint64_t half = 2 * (from > to ? from : to), centre = (2 * (uint64_t)index + 1) * from, sum = 0, given = 0;
	uint32_t low = (uint32_t)(centre > half ? (centre - half) / (2 * to) : 0), i, largest = 0;
	uint64_t end = (centre + half + 2 * to - 1) / (2 * to);
	uint64_t weight[2] = {0};

	if (end > from)
		end = from;
	taps->first = first_pixel + low;
	taps->count = (uint32_t)(end - low);
	for (unsigned int pass = 0; pass < 2; pass++)
		for (i = 0; i < taps->count; i++) {
			uint64_t place = (2 * (uint64_t)(low + i) + 1) * to;
			uint64_t distance = place > centre ? place - centre : centre - place;

			weight[0] = distance < half ? half - distance : 0;
			if (!pass) {
				sum += weight[0];
				continue;
			}
			taps->weight[i] = (uint32_t)(weight[0] * ONE / sum);
			given += taps->weight[i];
			if (taps->weight[i] > taps->weight[largest])
				largest = i;
		}
	taps->weight[largest] += (uint32_t)(ONE - given);
}

static int make_axis(struct axis *axis, uint32_t first_pixel, uint32_t from, uint32_t to)
{
	size_t most = 2 * ((size_t)from / to + 2) + 2;

	axis->taps = calloc(to, sizeof(*axis->taps));
	axis->weights = calloc(to, most * sizeof(*axis->weights));
	if (!axis->taps || !axis->weights)
		return weft_fail(ENOMEM, "out of memory for a picture of %u x", to);
	for (uint32_t i = 0; i < to; i++) {
		axis->taps[i].weight = axis->weights + i * most;
		make_taps(&axis->taps[i], i, first_pixel, from, to);
	}
	return 0;
}

/* Along rows into @narrow, [channel][source row][width], then along columns. */
static void resample(const struct weft_picture *picture, const struct axis *rows, const struct axis *columns,
		     uint32_t height, uint32_t width, uint8_t *narrow, uint8_t *planes)
{
	for (uint32_t c = 0; c < picture->channels; c++) {
		for (uint32_t y = 0; y < picture->height; y++) {
			const uint8_t *row = picture->pixels + (size_t)y * picture->width * picture->channels + c;

			for (uint32_t x = 0; x < width; x++) {
				const struct taps *taps = &columns->taps[x];
				uint32_t sum = ONE / 2;

				for (uint32_t i = 0; i < taps->count; i++)
					sum += taps->weight[i] * row[(size_t)(taps->first + i) * picture->channels];
				narrow[(size_t)y * width + x] = (uint8_t)(sum / ONE);
			}
		}
		for (uint32_t y = 0; y < height; y++)
			for (uint32_t x = 0; x < width; x++) {
				const struct taps *taps = &rows->taps[y];
				uint32_t sum = ONE / 2;

				for (uint32_t i = 0; i < taps->count; i++)
					sum += taps->weight[i] * narrow[(size_t)(taps->first + i) * width + x];
				planes[((size_t)c * height + y) * width + x] = (uint8_t)(sum / ONE);
			}
	}
}

int weft_picture_fit(const struct weft_picture *picture, uint32_t height, uint32_t width, uint8_t *planes)
{
	uint64_t part_height = picture->height, part_width = picture->width;
	struct axis rows = {0}, columns = {0};
	uint8_t *narrow = malloc((size_t)picture->height * width);
	int result = narrow ? 0 : weft_fail(ENOMEM, "out of memory for a picture of %u x %u", height, width);

	if (part_width * height > part_height * width)
		part_width = (part_height * width + height / 2) / height;
	else
		part_height = (part_width * height + width / 2) / width;
	part_width = part_width ? part_width : 1;
	part_height = part_height ? part_height : 1;
	if (!result)
		result = make_axis(&rows, (uint32_t)(picture->height - part_height) / 2, (uint32_t)part_height, height);
	if (!result)
		result = make_axis(&columns, (uint32_t)(picture->width - part_width) / 2, (uint32_t)part_width, width);
	if (!result)
		resample(picture, &rows, &columns, height, width, narrow, planes);
	axis_free(&rows);
	axis_free(&columns);
	free(narrow);
	return result;
}
