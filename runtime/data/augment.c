// SPDX-License-Identifier: MIT
/* Augmentation of images: what is done to an example depends on the seed, the epoch and the example only. */
#include "dataset.h"

#include <string.h>

/* Independent draws for one example. */
enum { DRAW_FLIP, DRAW_ROW, DRAW_COLUMN };

static uint64_t draw(const struct weft_augmentation *augmentation, uint64_t index, unsigned int which)
{
	uint64_t key = weft_mix(augmentation->seed + 0x9e3779b97f4a7c15 * (augmentation->epoch + 1));

	return weft_mix(key ^ weft_mix(index * 4 + which + 1));
}

/* A whole number in [0, most], from the upper bits. */
static int64_t draw_up_to(const struct weft_augmentation *augmentation, uint64_t index, unsigned int which,
			  uint32_t most)
{
	return (int64_t)((draw(augmentation, index, which) >> 32) * ((uint64_t)most + 1) >> 32);
}

void weft_augment(const struct weft_augmentation *augmentation, uint64_t index, const struct weft_dataset_info *info,
		  size_t element_bytes, const void *from, void *to)
{
	bool flip = augmentation->flip && draw(augmentation, index, DRAW_FLIP) >> 63;
	int64_t crop = augmentation->crop;
	int64_t down = draw_up_to(augmentation, index, DRAW_ROW, 2 * augmentation->crop) - crop;
	int64_t right = draw_up_to(augmentation, index, DRAW_COLUMN, 2 * augmentation->crop) - crop;
	const char *source = from;
	char *target = to;

	/* Zero, byte or number, stands for what a crop reaches beyond the image. */
	memset(to, 0, (size_t)info->channels * info->height * info->width * element_bytes);
	for (int64_t c = 0; c < info->channels; c++)
		for (int64_t y = 0; y < info->height; y++)
			for (int64_t x = 0; x < info->width; x++) {
				int64_t row = y + down, column = (flip ? info->width - 1 - x : x) + right;

				if (row < 0 || row >= info->height || column < 0 || column >= info->width)
					continue;
				memcpy(target + (size_t)((c * info->height + y) * info->width + x) * element_bytes,
				       source + (size_t)((c * info->height + row) * info->width + column) *
							element_bytes,
				       element_bytes);
			}
}
