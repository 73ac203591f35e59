/* SPDX-License-Identifier: MIT */
/** The geometry of convolutions and pooling: always two spatial dimensions on the device. */
#ifndef WEFT_IMPORT_WINDOW_H
#define WEFT_IMPORT_WINDOW_H

#include "import/lower.h"

/** Index 0 is height (1 where the tensor has one spatial dimension), 1 is width. */
struct weft_window {
	uint32_t kernel[2], stride[2], dilation[2];
	uint32_t pad[2], pad_end[2];
	uint32_t in[2], out[2];
};

/**
 * Read the node's attributes for input @x [N, C, L] or [N, C, H, W]; @kernel
 * (as many as there are spatial dimensions) where the attribute may be absent.
 */
int weft_window_read(struct weft_lower *lower, const struct weft_layout *x, const uint32_t *kernel,
		     struct weft_window *window);
/** Extents of the result from those of the input: convolution and pooling. */
int weft_window_forward(struct weft_lower *lower, struct weft_window *window, bool ceil_mode);
/** [N, C, out...] with channels last. */
struct weft_layout weft_window_result(const struct weft_layout *x, uint32_t channels, const struct weft_window *window);
/** [N, C, L] or [N, C, H, W] as [N, H, W, C]. */
struct weft_operand weft_window_show(const struct weft_operand *x);

/** The present pool (MAXPOOL_FWD or AVGPOOL_FWD) or convolution, of an input with three spatial dimensions. */
int weft_lower_pool_volume(struct weft_lower *lower, uint16_t opcode);
int weft_lower_conv_volume(struct weft_lower *lower);
/** MaxPool's output 1: places in the flat input from @tap (u8, kh * KW + kw of each maximum), which has the dims of
 * output 0. */
int weft_lower_pool_places(struct weft_lower *lower, const struct weft_operand *tap, const struct weft_window *window);

#endif /* WEFT_IMPORT_WINDOW_H */
