// SPDX-License-Identifier: MIT
#include "tile.h"

/** How far ahead the packing of a panel reads. */
#define PREFETCH_ROWS 16
#define PREFETCH_VECTORS 8

/* Bias, activation, partial vectors: all that is not the plain store of a block sum. */
static __attribute__((noinline)) void finish_tile(const struct weft_tile *tile, const float *sums, unsigned int rows, unsigned int vectors)
{
	const struct weft_epilogue none = {.activation = WEFT_ACT_NONE};
	const struct weft_epilogue e = tile->epilogue ? *tile->epilogue : none;
	const bool add = tile->add, any = tile->run_count;
	const vf scale = vf_set1(tile->scale);

	for (unsigned int v = 0; v < vectors; v++) {
		const unsigned int column = v * VF_WIDTH, n = weft_min(tile->columns - column, VF_WIDTH);
		const ptrdiff_t offset = tile->c_offset + column;
		const vf bias = e.bias ? vf_load_n(e.bias + column, n) : vf_zero();

		for (unsigned int i = 0; i < rows; i++) {
			float *c = tile->c[i] + offset;
			vf total = add ? vf_load_n(c, n) : vf_zero();

			if (any)
				total = total + vf_load(sums + (i * vectors + v) * VF_WIDTH) * scale;
			if (e.bias)
				total = total + bias;
			vf_store_n(c, vf_activate(total, e.activation, e.alpha, e.beta), n);
		}
	}
}

/*
 * The greater part of a run, four values of k at a time: with one vector a row's
 * pointer, most of which do not fit registers, would be loaded for every multiplication.
 */
VF_INLINE ptrdiff_t run_narrow(const float *const a[WEFT_TILE_ROWS_NARROW], const float *b, ptrdiff_t b_step,
			       ptrdiff_t length, vf sum[WEFT_TILE_ROWS_NARROW][WEFT_TILE_VECTORS],
			       const unsigned int rows)
{
	ptrdiff_t k;

	for (k = 0; k + 4 <= length; k += 4) {
		vf column[4];

#pragma GCC unroll 4
		for (unsigned int u = 0; u < 4; u++, b += b_step)
			column[u] = vf_load(b);
#pragma GCC unroll 16
		for (unsigned int i = 0; i < rows; i++) {
			const float *row = a[i] + k;

#pragma GCC unroll 4
			for (unsigned int u = 0; u < 4; u++)
				sum[i][0] = vf_fma(vf_set1(row[u]), column[u], sum[i][0]);
		}
	}
	return k;
}

VF_INLINE void run_tile(const struct weft_tile *tile, const unsigned int rows, const unsigned int vectors,
			const enum weft_tile_form form)
{
	vf sum[WEFT_TILE_ROWS_NARROW][WEFT_TILE_VECTORS];
	const ptrdiff_t b_step = tile->b_step;

#pragma GCC unroll 16
	for (unsigned int i = 0; i < rows; i++)
#pragma GCC unroll 4
		for (unsigned int v = 0; v < vectors; v++)
			sum[i][v] = vf_zero();

	for (uint32_t r = 0; r < tile->run_count; r++) {
		const ptrdiff_t length = tile->runs[r].length;
		const float *a[WEFT_TILE_ROWS_NARROW], *b = tile->b + (ptrdiff_t)tile->runs[r].depth * b_step;
		const ptrdiff_t a_step = form == WEFT_TILE_ROW_FORM ? 1 : tile->a_step;

#pragma GCC unroll 16
		for (unsigned int i = 0; i < rows; i++)
			a[i] = (form == WEFT_TILE_ROW_FORM ? tile->a[i] : tile->a[0] + i) + tile->runs[r].offset;
		ptrdiff_t k = 0;

		if (form == WEFT_TILE_ROW_FORM && vectors == 1)
			k = run_narrow(a, b, b_step, length, sum, rows);
		b += k * b_step;
		for (; k < length; k++) {
			vf column[WEFT_TILE_VECTORS];

#pragma GCC unroll 4
			for (unsigned int v = 0; v < vectors; v++)
				column[v] = vf_load(b + v * VF_WIDTH);
			b += b_step;
#pragma GCC unroll 16
			for (unsigned int i = 0; i < rows; i++) {
				vf element = vf_set1(form == WEFT_TILE_ROW_FORM ? a[i][k] : a[0][i]);

#pragma GCC unroll 4
				for (unsigned int v = 0; v < vectors; v++)
					sum[i][v] = vf_fma(element, column[v], sum[i][v]);
			}
			if (form == WEFT_TILE_COLUMN_FORM)
				a[0] += a_step;
		}
	}

	if (tile->epilogue || !tile->run_count || tile->columns != vectors * VF_WIDTH || tile->scale != 1) {
		float sums[WEFT_TILE_ROWS_NARROW * WEFT_TILE_COLUMNS];

#pragma GCC unroll 16
		for (unsigned int i = 0; i < rows; i++)
#pragma GCC unroll 4
			for (unsigned int v = 0; v < vectors; v++)
				vf_store(sums + (i * vectors + v) * VF_WIDTH, sum[i][v]);
		finish_tile(tile, sums, rows, vectors);
		return;
	}
#pragma GCC unroll 16
	for (unsigned int i = 0; i < rows; i++) {
		float *c = tile->c[i] + tile->c_offset;

#pragma GCC unroll 4
		for (unsigned int v = 0; v < vectors; v++)
			vf_store(c + v * VF_WIDTH, (tile->add ? vf_load(c + v * VF_WIDTH) : vf_zero()) + sum[i][v]);
	}
}

#define TILE(form, vectors, rows)                                                  \
	static void tile_##form##_##vectors##_##rows(const struct weft_tile *tile) \
	{                                                                          \
		run_tile(tile, rows, vectors, form);                               \
	}
#define TILE_NAME(form, vectors, rows) tile_##form##_##vectors##_##rows,

#define ROWS_6(X, form, vectors) \
	X(form, vectors, 1)      \
	X(form, vectors, 2) X(form, vectors, 3) X(form, vectors, 4) X(form, vectors, 5) X(form, vectors, 6)
#define ROWS_10(X, form, vectors) \
	ROWS_6(X, form, vectors) X(form, vectors, 7) X(form, vectors, 8) X(form, vectors, 9) X(form, vectors, 10)
#define ROWS_12(X, form, vectors) ROWS_10(X, form, vectors) X(form, vectors, 11) X(form, vectors, 12)
#define ROWS_14(X, form, vectors) ROWS_12(X, form, vectors) X(form, vectors, 13) X(form, vectors, 14)
#define ROWS_16(X, form, vectors) ROWS_14(X, form, vectors) X(form, vectors, 15) X(form, vectors, 16)

#if WEFT_TILE_ROWS == 14
#define ROWS ROWS_14
#elif WEFT_TILE_ROWS == 10
#define ROWS ROWS_10
#else
#define ROWS ROWS_6
#endif
#if WEFT_TILE_ROWS_NARROW == 16
#define ROWS_NARROW ROWS_16
#else
#define ROWS_NARROW ROWS_12
#endif

ROWS_NARROW(TILE, WEFT_TILE_ROW_FORM, 1)
ROWS(TILE, WEFT_TILE_ROW_FORM, 2)
ROWS_NARROW(TILE, WEFT_TILE_COLUMN_FORM, 1)
ROWS(TILE, WEFT_TILE_COLUMN_FORM, 2)

const weft_tile_function WEFT_KERNEL(weft_tile_functions)[2][WEFT_TILE_VECTORS][WEFT_TILE_ROWS_NARROW] = {
	[WEFT_TILE_ROW_FORM] = {{ROWS_NARROW(TILE_NAME, WEFT_TILE_ROW_FORM, 1)},
				{ROWS(TILE_NAME, WEFT_TILE_ROW_FORM, 2)}},
	[WEFT_TILE_COLUMN_FORM] = {{ROWS_NARROW(TILE_NAME, WEFT_TILE_COLUMN_FORM, 1)},
				   {ROWS(TILE_NAME, WEFT_TILE_COLUMN_FORM, 2)}},
};

/* Transposes VF_WIDTH vectors: each step interleaves the halves, as in riffling a deck of cards. */
VF_INLINE void transpose(vf rows[VF_WIDTH])
{
	vi low, high;

#pragma GCC unroll 16
	for (int i = 0; i < VF_WIDTH; i++) {
		low[i] = i / 2 + (i & 1) * VF_WIDTH;
		high[i] = low[i] + VF_WIDTH / 2;
	}
#pragma GCC unroll 4
	for (unsigned int step = 1; step < VF_WIDTH; step *= 2) {
		vf next[VF_WIDTH];

#pragma GCC unroll 16
		for (unsigned int i = 0; i < VF_WIDTH / 2; i++) {
			next[2 * i] = __builtin_shuffle(rows[i], rows[i + VF_WIDTH / 2], low);
			next[2 * i + 1] = __builtin_shuffle(rows[i], rows[i + VF_WIDTH / 2], high);
		}
#pragma GCC unroll 16
		for (unsigned int i = 0; i < VF_WIDTH; i++)
			rows[i] = next[i];
	}
}

/* B's columns are contiguous along k. */
static void pack_transposed(float *panel, uint32_t width, const float *b, ptrdiff_t n_stride, uint32_t depth,
			    uint32_t columns)
{
	for (uint32_t n0 = 0; n0 < columns; n0 += VF_WIDTH) {
		uint32_t columns_here = weft_min(columns - n0, VF_WIDTH);

		for (uint32_t k0 = 0; k0 < depth; k0 += VF_WIDTH) {
			uint32_t depth_here = weft_min(depth - k0, VF_WIDTH);
			vf rows[VF_WIDTH];

			if (columns_here == VF_WIDTH && depth_here == VF_WIDTH) {
#pragma GCC unroll 16
				for (unsigned int i = 0; i < VF_WIDTH; i++) {
					const float *from = b + (ptrdiff_t)(n0 + i) * n_stride + k0;

					/* More streams than the hardware follows. */
					__builtin_prefetch(from + PREFETCH_VECTORS * VF_WIDTH);
					rows[i] = vf_load(from);
				}
			} else {
#pragma GCC unroll 16
				for (unsigned int i = 0; i < VF_WIDTH; i++)
					rows[i] = i < columns_here ? vf_load_n(b + (ptrdiff_t)(n0 + i) * n_stride + k0,
									       depth_here)
								   : vf_zero();
			}
			transpose(rows);
#pragma GCC unroll 16
			for (unsigned int i = 0; i < VF_WIDTH; i++)
				if (i < depth_here)
					vf_store(panel + (size_t)(k0 + i) * width + n0, rows[i]);
		}
	}
}

/* B's rows are contiguous: at most two vectors of each, with zeros after the last column. */
static void pack_rows(float *panel, uint32_t width, const float *b, ptrdiff_t k_stride, uint32_t depth,
		      uint32_t columns)
{
	uint32_t first = weft_min(columns, VF_WIDTH), second = columns - first;

	if (width == VF_WIDTH) {
		for (uint32_t k = 0; k < depth; k++, b += k_stride)
			vf_store(panel + (size_t)k * VF_WIDTH, vf_load_n(b, first));
		return;
	}
	for (uint32_t k = 0; k < depth; k++, b += k_stride, panel += WEFT_TILE_COLUMNS) {
		/* Rows of B are too far apart for the hardware to foresee. */
		__builtin_prefetch(b + PREFETCH_ROWS * k_stride);
		__builtin_prefetch(b + PREFETCH_ROWS * k_stride + VF_WIDTH);
		vf_store(panel, vf_load(b));
		vf_store(panel + VF_WIDTH, vf_load_n(b + VF_WIDTH, second));
	}
}

void WEFT_KERNEL(weft_pack_panel)(float *panel, uint32_t width, const float *b, ptrdiff_t k_stride, ptrdiff_t n_stride,
				  uint32_t depth, uint32_t columns)
{
	if (n_stride == 1) {
		pack_rows(panel, width, b, k_stride, depth, columns);
		return;
	}
	if (k_stride == 1) {
		pack_transposed(panel, width, b, n_stride, depth, columns);
		columns = (columns + VF_WIDTH - 1) / VF_WIDTH * VF_WIDTH;
	} else {
		for (uint32_t k = 0; k < depth; k++)
			for (uint32_t n = 0; n < columns; n++)
				panel[(size_t)k * width + n] = b[(ptrdiff_t)k * k_stride + (ptrdiff_t)n * n_stride];
	}
	for (uint32_t k = 0; columns < width && k < depth; k++)
		weft_zero_floats(panel + (size_t)k * width + columns, width - columns);
}
