// SPDX-License-Identifier: MIT
/*
 * Weight gradients in Winograd's form.  A piece is some channels of X by some
 * columns of DW.  For each block of tiles it goes through the rows i of the
 * transforms one by one: the products of the tiles of X, transposed, by those
 * of DY, over the tiles of the block; the sixteen products of each weight's
 * matrix are then transformed and added to DW.
 */
#include "winograd.h"

/** Channels and columns of a piece. */
#define PIECE_CHANNELS 64
#define PIECE_COLUMNS 64
#define TILES WEFT_SUM_WINOGRAD_WEIGHT
#define X_STEP (PIECE_CHANNELS + VF_WIDTH)

/* A tile of DY; those outside point at zeros. */
typedef const float *gradient_pixels[2][2];

struct local {
	weft_winograd_pixels x_pixel[TILES];
	gradient_pixels dy_pixel[TILES];
	float zeros[PIECE_CHANNELS > PIECE_COLUMNS ? PIECE_CHANNELS : PIECE_COLUMNS];
	/** [j][tile][channel], [j][panel][tile][column of a panel], [i][j][channel][column]. */
	float x[4][TILES * X_STEP];
	float dy[4][TILES * PIECE_COLUMNS];
	float product[4][4][PIECE_CHANNELS * PIECE_COLUMNS];
};
_Static_assert(sizeof(struct local) <= WEFT_LANE_LOCAL_BYTES, "local memory");

struct division {
	const struct weft_conv_weight *c;
	uint32_t channel_pieces, column_pieces;
	/** Of the whole, and of a block. */
	uint32_t tile_rows, tile_columns, block_rows, block_columns;
};

struct piece {
	const struct division *d;
	struct local *local;
	uint32_t channel, channels, column, columns;
	/** Of the present block. */
	uint32_t tiles;
	/** The total is in DW. */
	bool add;
};

static uint32_t divide_up(uint32_t a, uint32_t b)
{
	return (a + b - 1) / b;
}

/* Where the tiles of a block, [@row, ...) by [@column, ...) of sample @n, are read. */
static void point_block(struct piece *p, uint32_t n, uint32_t row, uint32_t rows, uint32_t column, uint32_t columns)
{
	const struct weft_conv_weight *c = p->d->c;
	const int32_t *xs = c->xt->strides, *ys = c->dyt->strides;
	const float *x = c->x + (ptrdiff_t)n * xs[0] + p->channel, *dy = c->dy + (ptrdiff_t)n * ys[0] + p->column;
	struct local *local = p->local;

	p->tiles = 0;
	for (uint32_t i = row; i < row + rows; i++) {
		for (uint32_t j = column; j < column + columns; j++, p->tiles++) {
			WEFT_KERNEL(weft_winograd_point)
			(local->x_pixel[p->tiles], x, (const ptrdiff_t[]){xs[1], xs[2]}, c->xt->dims + 1,
			 (int64_t)i * 2 - c->params->conv.pad[0], (int64_t)j * 2 - c->params->conv.pad[1],
			 local->zeros);
			for (unsigned int q = 0; q < 4; q++) {
				uint32_t h = i * 2 + q / 2, w = j * 2 + q % 2;
				bool inside = h < c->dyt->dims[1] && w < c->dyt->dims[2];

				local->dy_pixel[p->tiles][q / 2][q % 2] =
					inside ? dy + (ptrdiff_t)h * ys[1] + (ptrdiff_t)w * ys[2] : local->zeros;
			}
		}
	}
}

/* Row @i of the transform of a tile of DY, one vector of @n columns. */
VF_INLINE void transform_dy(float *to, size_t plane, const gradient_pixels pixel, uint32_t at, unsigned int n,
			    const unsigned int i)
{
	vf t[2];

#pragma GCC unroll 2
	for (unsigned int k = 0; k < 2; k++) {
		vf upper = vf_zero(), lower = vf_zero();

		if (i < 3)
			upper = vf_load_n(pixel[0][k] + at, n);
		if (i > 0)
			lower = vf_load_n(pixel[1][k] + at, n);
		t[k] = i == 0 ? upper : i == 1 ? upper + lower : i == 2 ? upper - lower : lower;
	}
	vf_store(to, t[0]);
	vf_store(to + plane, t[0] + t[1]);
	vf_store(to + 2 * plane, t[0] - t[1]);
	vf_store(to + 3 * plane, t[1]);
}

VF_INLINE void transform_dys(const struct piece *p, const unsigned int i)
{
	const size_t plane = TILES * PIECE_COLUMNS;

	for (uint32_t column = 0; column < p->columns; column += WEFT_TILE_COLUMNS) {
		uint32_t columns = weft_min(p->columns - column, WEFT_TILE_COLUMNS), width = weft_panel_width(columns);
		float *to = p->local->dy[0] + (size_t)column * TILES;

		for (uint32_t t = 0; t < p->tiles; t++, to += width)
			for (uint32_t at = 0; at < width; at += VF_WIDTH)
				transform_dy(to + at, plane, p->local->dy_pixel[t], column + at,
					     columns < at ? 0 : weft_min(columns - at, VF_WIDTH), i);
	}
}

static void transform_row(const struct piece *p, unsigned int i)
{
	for (uint32_t t = 0; t < p->tiles; t++)
		WEFT_KERNEL(weft_winograd_input)
	(p->local->x[0] + (size_t)t * X_STEP, TILES * X_STEP, p->local->x_pixel[t], i, 0, p->channels);
	switch (i) {
	case 0:
		transform_dys(p, 0);
		break;
	case 1:
		transform_dys(p, 1);
		break;
	case 2:
		transform_dys(p, 2);
		break;
	default:
		transform_dys(p, 3);
	}
}

static void multiply(const struct piece *p, unsigned int i)
{
	uint32_t height = weft_tile_height(p->channels, p->columns);
	struct weft_tile_run run = {.offset = 0, .length = p->tiles};
	float *output[WEFT_TILE_ROWS_NARROW];
	const float *a;
	struct weft_tile tile = {.runs = &run, .run_count = 1, .a = &a, .a_step = X_STEP, .c = output, .scale = 1};

	for (unsigned int j = 0; j < 4; j++) {
		for (uint32_t column = 0; column < p->columns; column += WEFT_TILE_COLUMNS) {
			tile.columns = weft_panel_width(weft_min(p->columns - column, WEFT_TILE_COLUMNS));
			tile.b = p->local->dy[j] + (size_t)column * TILES;
			tile.b_step = tile.columns;
			for (uint32_t m = 0; m < p->channels; m += height) {
				uint32_t count = weft_min(p->channels - m, height);

				a = p->local->x[j] + m;
				for (uint32_t r = 0; r < count; r++)
					output[r] = p->local->product[i][j] + (size_t)(m + r) * PIECE_COLUMNS + column;
				weft_tile_run(&tile, WEFT_TILE_COLUMN_FORM, count);
			}
		}
	}
}

VF_INLINE void reduce(vf to[3], vf m0, vf m1, vf m2, vf m3)
{
	const vf half = vf_set1(0.5f);
	vf ends = (m1 + m2) * half;

	to[0] = m0 + ends;
	to[1] = (m1 - m2) * half;
	to[2] = ends - m3;
}

/* The weights of one channel and @n columns from @at on. */
VF_INLINE void add_weights(const struct piece *p, uint32_t channel, uint32_t at, unsigned int n)
{
	const struct weft_conv_weight *c = p->d->c;
	const int32_t *stride = c->dwt->strides;
	float *dw = c->dw + (ptrdiff_t)(p->channel + channel) * stride[2] + p->column + at;
	const size_t from = (size_t)channel * PIECE_COLUMNS + at;
	vf half[4][3];

#pragma GCC unroll 4
	for (unsigned int i = 0; i < 4; i++)
		reduce(half[i], vf_load(&p->local->product[i][0][from]), vf_load(&p->local->product[i][1][from]),
		       vf_load(&p->local->product[i][2][from]), vf_load(&p->local->product[i][3][from]));
#pragma GCC unroll 3
	for (unsigned int b = 0; b < 3; b++) {
		vf sum[3];

		reduce(sum, half[0][b], half[1][b], half[2][b], half[3][b]);
#pragma GCC unroll 3
		for (unsigned int a = 0; a < 3; a++) {
			float *to = dw + (ptrdiff_t)a * stride[0] + (ptrdiff_t)b * stride[1];
			vf total = p->add ? vf_load_n(to, n) : vf_zero();

			vf_store_n(to, total + sum[a], n);
		}
	}
}

static void run_block(struct piece *p)
{
	for (unsigned int i = 0; i < 4; i++) {
		transform_row(p, i);
		multiply(p, i);
	}
	for (uint32_t k = 0; k < p->channels; k++) {
		uint32_t at = 0;

		for (; at + VF_WIDTH <= p->columns; at += VF_WIDTH)
			add_weights(p, k, at, VF_WIDTH);
		if (at < p->columns)
			add_weights(p, k, at, p->columns - at);
	}
	p->add = true;
}

static void run_piece(void *argument, unsigned int index, unsigned int lane)
{
	const struct division *d = argument;
	const struct weft_conv_weight *c = d->c;
	struct piece p = {
		.d = d, .local = weft_engine_local(c->unit, lane), .add = c->params->conv.flags & WEFT_F_ACCUMULATE};

	p.column = index % d->column_pieces * PIECE_COLUMNS;
	p.columns = weft_min(c->columns - p.column, PIECE_COLUMNS);
	p.channel = index / d->column_pieces * PIECE_CHANNELS;
	p.channels = weft_min(c->channels - p.channel, PIECE_CHANNELS);
	memset(p.local->zeros, 0, sizeof(p.local->zeros));
	for (uint32_t n = 0; n < c->dyt->dims[0]; n++) {
		for (uint32_t row = 0; row < d->tile_rows; row += d->block_rows) {
			for (uint32_t column = 0; column < d->tile_columns; column += d->block_columns) {
				point_block(&p, n, row, weft_min(d->tile_rows - row, d->block_rows), column,
					    weft_min(d->tile_columns - column, d->block_columns));
				run_block(&p);
			}
		}
	}
}

void WEFT_KERNEL(weft_conv_weight_winograd)(const struct weft_conv_weight *conv)
{
	struct division d = {.c = conv,
			     .channel_pieces = divide_up(conv->channels, PIECE_CHANNELS),
			     .column_pieces = divide_up(conv->columns, PIECE_COLUMNS),
			     .tile_rows = divide_up(conv->dyt->dims[1], 2),
			     .tile_columns = divide_up(conv->dyt->dims[2], 2)};

	d.block_columns = weft_min(d.tile_columns, TILES);
	d.block_rows = TILES / d.block_columns;
	weft_engine_parallel(conv->unit, d.channel_pieces * d.column_pieces, run_piece, &d);
}
