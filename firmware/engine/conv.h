/* SPDX-License-Identifier: MIT */
/**
 * The convolutions reduced to their common form, a correlation: every position
 * (n, i, j) of a grid sums, over taps in ascending (kh, kw),
 *
 *	source[n][i * step + tap offset][j * step + tap offset][k] * weight[tap][k][column]
 *
 * where positions outside the source count as +0.  The forward pass is one
 * correlation; the data gradient is one for each phase of the stride, whose
 * grid is every stride-th pixel and whose taps are those that meet it.
 */
#ifndef WEFT_ENGINE_CONV_H
#define WEFT_ENGINE_CONV_H

#include "tile.h"

/** Taps along one axis: tap t of @kernel reads at offset origin + t * spread, if divider divides that. */
struct weft_axis {
	uint32_t kernel;
	int64_t origin;
	int64_t spread;
	int64_t divider;
	uint32_t step;
	uint32_t grid;
	uint32_t source;
};

struct weft_correlation {
	struct weft_engine_unit *unit;
	struct weft_axis axis[2];
	uint32_t batch;
	uint32_t groups;
	/** Channels of the source and columns of the output, per group. */
	uint32_t channels, columns;
	const float *source;
	ptrdiff_t source_stride[3];
	/** Of a tap row, a tap, k, a column; and from a group to the next. */
	const float *weight;
	ptrdiff_t weight_stride[4], weight_group;
	float *output;
	ptrdiff_t output_stride[3];
	bool accumulate;
	bool finish;
	struct weft_epilogue epilogue;
};

/** Whether tap @t takes part; its offset. */
VF_INLINE bool weft_axis_tap(const struct weft_axis *axis, uint32_t t, int64_t *offset)
{
	int64_t v = axis->origin + (int64_t)t * axis->spread;

	if (axis->divider == 1) {
		*offset = v;
		return true;
	}
	*offset = v / axis->divider;
	return v % axis->divider == 0;
}

/**
 * The first grid index above @at, or @end, whose taps inside the source are not
 * those of @at, which are the ones that take part within [*low, *high); *high is 0 without any.
 */
uint32_t WEFT_KERNEL(weft_axis_same_taps)(const struct weft_axis *axis, uint32_t at, uint32_t end, uint32_t *low,
					  uint32_t *high);

void WEFT_KERNEL(weft_correlate)(const struct weft_correlation *correlation);
/** One channel and one column per group. */
void WEFT_KERNEL(weft_correlate_depthwise)(const struct weft_correlation *correlation);

/** The weight gradient: its operands in the command's order and what follows from them. */
struct weft_conv_weight {
	struct weft_engine_unit *unit;
	const union weft_params *params;
	const float *x, *dy;
	float *dw;
	const struct weft_tensor *xt, *dyt, *dwt;
	/** Channels of X and of DY, per group. */
	uint32_t channels, columns;
	/** Rows and columns of DY in a block; a block is not cut along both. */
	uint32_t block_rows, block_columns;
};

void WEFT_KERNEL(weft_conv_weight)(const struct weft_conv_weight *conv);
void WEFT_KERNEL(weft_conv_weight_depthwise)(const struct weft_conv_weight *conv);

/**
 * Copies a box of an image, [rows, columns, channels] from (row, column), with
 * +0 where it reaches outside.  @cell: distance between columns in @to.
 */
void WEFT_KERNEL(weft_copy_box)(float *to, uint32_t cell, const float *image, const ptrdiff_t stride[2],
				const uint32_t extent[2], int64_t row, int64_t column, uint32_t rows, uint32_t columns,
				uint32_t channels);

#endif /* WEFT_ENGINE_CONV_H */
