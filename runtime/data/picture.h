/* SPDX-License-Identifier: MIT */
/** Pictures in files. */
#ifndef WEFT_DATA_PICTURE_H
#define WEFT_DATA_PICTURE_H

#include <stdbool.h>
#include <stdint.h>

/** Most rows and columns: no file gets to ask for more than 768 MB. */
#define WEFT_PICTURE_MOST_SIDE 16384

/** Rows of pixels of 1 (grey) or 3 (red, green, blue) bytes. */
struct weft_picture {
	uint32_t channels, height, width;
	uint8_t *pixels; /* owned */
};

/** Whether a file name ends as one of a picture that can be read. */
bool weft_picture_is_named(const char *name);
/** Read a PNG or JPEG file with @channels 1 or 3; transparent parts are on black. */
int weft_picture_read(const char *path, uint32_t channels, struct weft_picture *picture);
void weft_picture_free(struct weft_picture *picture);

/**
 * The largest part in the middle of @picture that has the shape of @height x
 * @width, resampled to that size (bilinear, widened where it shrinks), as planes.
 * Integer arithmetic: the same bytes everywhere.
 */
int weft_picture_fit(const struct weft_picture *picture, uint32_t height, uint32_t width, uint8_t *planes);

#endif /* WEFT_DATA_PICTURE_H */
