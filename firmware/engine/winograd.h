/* SPDX-License-Identifier: MIT */
/**
 * Convolutions in Winograd's form, "Winograd form" in <weft_isa.h>: where it
 * applies, and the steps that the correlations and the weight gradient share.
 * A. Lavin, S. Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016.
 */
#ifndef WEFT_ENGINE_WINOGRAD_H
#define WEFT_ENGINE_WINOGRAD_H

#include "conv.h"

/** Whether a convolution has the kernel of this form, and steps of one pixel. */
VF_INLINE bool weft_winograd_kernel(const union weft_params *params, const struct weft_tensor *w)
{
	return w->dims[0] == 3 && w->dims[1] == 3 && params->conv.groups == 1 && params->conv.stride[0] == 1 &&
	       params->conv.stride[1] == 1 && params->conv.dilation[0] == 1 && params->conv.dilation[1] == 1;
}

/** A correlation of 3x3 taps with stride 1. */
void WEFT_KERNEL(weft_correlate_winograd)(const struct weft_correlation *correlation);

void WEFT_KERNEL(weft_conv_weight_winograd)(const struct weft_conv_weight *conv);

/** The pixels of a tile, [row][column]; those outside the image point at zeros. */
typedef const float *weft_winograd_pixels[4][4];

/** @row, @column: of the image, where the tile begins. */
void WEFT_KERNEL(weft_winograd_point)(weft_winograd_pixels pixel, const float *image, const ptrdiff_t stride[2],
				      const uint32_t extent[2], int64_t row, int64_t column, const float *zeros);

/**
 * Row @i of the transform of a tile of four by four pixels, @channels from @first on, to
 * to[j * plane + channel - first]; whole vectors are written, zeros after the last channel.
 */
void WEFT_KERNEL(weft_winograd_input)(float *to, size_t plane, const weft_winograd_pixels pixel, unsigned int i,
				      uint32_t first, uint32_t channels);

#endif /* WEFT_ENGINE_WINOGRAD_H */
