/* SPDX-License-Identifier: MIT */
/**
 * Micro-kernels of the matrix product and the convolutions: a tile of some rows
 * by up to WEFT_TILE_VECTORS vectors of columns, held in
 * registers over one block of the reduced index (see "Order of summation" in
 * <weft_isa.h>).  The tile is the outer product chain
 *
 *	c[i][j] (+)= sum over runs r, over k in r: A(i, r, k) * B(r, k, j)
 *
 * so that each element is one chain of fused multiply-adds, whatever the width.
 */
#ifndef WEFT_ENGINE_TILE_H
#define WEFT_ENGINE_TILE_H

#include <stdbool.h>

#include "kernels.h"
#include "vector.h"

/** Most rows of a tile of WEFT_TILE_VECTORS, and of a tile of one vector, as registers allow. */
#if defined(__AVX512F__)
#define WEFT_TILE_ROWS 14
#define WEFT_TILE_ROWS_NARROW 16
#elif defined(__aarch64__)
#define WEFT_TILE_ROWS 10
#define WEFT_TILE_ROWS_NARROW 16
#else
#define WEFT_TILE_ROWS 6
#define WEFT_TILE_ROWS_NARROW 12
#endif
#define WEFT_TILE_VECTORS 2
#define WEFT_TILE_COLUMNS (WEFT_TILE_VECTORS * VF_WIDTH)

/** @length successive values of the reduced index, whose A elements begin at @offset and B rows at @depth. */
struct weft_tile_run {
	ptrdiff_t offset;
	uint32_t depth;
	uint32_t length;
};

/** What is done to a total before it is stored for the last time. */
struct weft_epilogue {
	/** Added to each row at c's column; NULL: none. */
	const float *bias;
	uint32_t activation;
	float alpha, beta;
};

struct weft_tile {
	/** Without any, the total is stored as it is: nothing is added. */
	const struct weft_tile_run *runs;
	uint32_t run_count;
	/** Row form: A(i, r, k) = a[i][r.offset + k].  Column form: a[0][r.offset + k * a_step + i]. */
	const float *const *a;
	ptrdiff_t a_step;
	/** B(r, k, j) = b[(r.depth + k) * b_step + j]; whole vectors are read. */
	const float *b;
	ptrdiff_t b_step;
	/** Row i of the output begins at c[i] + c_offset. */
	float *const *c;
	ptrdiff_t c_offset;
	/** Columns stored. */
	uint32_t columns;
	/** The total is in c already; else it starts from +0. */
	bool add;
	/** The block sum is multiplied by this. */
	float scale;
	/** The last block: how to finish; NULL otherwise. */
	const struct weft_epilogue *epilogue;
};

enum weft_tile_form { WEFT_TILE_ROW_FORM, WEFT_TILE_COLUMN_FORM };

typedef void (*weft_tile_function)(const struct weft_tile *tile);
/** By form, vectors - 1 and rows - 1. */
extern const weft_tile_function WEFT_KERNEL(weft_tile_functions)[2][WEFT_TILE_VECTORS][WEFT_TILE_ROWS_NARROW];

VF_INLINE void weft_tile_run(const struct weft_tile *tile, enum weft_tile_form form, unsigned int rows)
{
	unsigned int vectors = (tile->columns + VF_WIDTH - 1) / VF_WIDTH;

	WEFT_KERNEL(weft_tile_functions)[form][vectors - 1][rows - 1](tile);
}

/** Rows of each tile when @rows are shared out evenly to tiles of at most @columns columns. */
VF_INLINE uint32_t weft_tile_height(uint32_t rows, uint32_t columns)
{
	uint32_t most = columns > VF_WIDTH ? WEFT_TILE_ROWS : WEFT_TILE_ROWS_NARROW, tiles = (rows + most - 1) / most;

	return (rows + tiles - 1) / tiles;
}

/** Columns of a panel of B: whole vectors, at most WEFT_TILE_COLUMNS. */
VF_INLINE uint32_t weft_panel_width(uint32_t columns)
{
	return columns > VF_WIDTH ? WEFT_TILE_COLUMNS : VF_WIDTH;
}

/**
 * Packs a panel of B: panel[k * width + n] = b[k * k_stride + n * n_stride] for
 * n < columns, 0 above.
 */
void WEFT_KERNEL(weft_pack_panel)(float *panel, uint32_t width, const float *b, ptrdiff_t k_stride, ptrdiff_t n_stride,
				  uint32_t depth, uint32_t columns);

/** Copies @n floats. */
VF_INLINE void weft_copy_floats(float *to, const float *from, uint32_t n)
{
	uint32_t i = 0;

	for (; i + VF_WIDTH <= n; i += VF_WIDTH)
		vf_store(to + i, vf_load(from + i));
	if (i < n)
		vf_store_n(to + i, vf_load_n(from + i, n - i), n - i);
}

VF_INLINE void weft_zero_floats(float *to, uint32_t n)
{
	uint32_t i = 0;

	for (; i + VF_WIDTH <= n; i += VF_WIDTH)
		vf_store(to + i, vf_zero());
	if (i < n)
		vf_store_n(to + i, vf_zero(), n - i);
}

VF_INLINE uint32_t weft_min(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

#endif /* WEFT_ENGINE_TILE_H */
