// SPDX-License-Identifier: MIT
/*
 * Correlations in Winograd's form.  For a range of columns the weights are
 * transformed once, into memory that the lanes share.  Then a piece is some
 * tiles against that range.  It goes through the rows i of the transform one by
 * one, so that a quarter of everything is in the second-level cache at a time:
 * the tiles' row i, its products with the weights' row i, and what these add to
 * the outputs.
 */
#include "winograd.h"

/** More would not stay in the first-level cache from one step to the next. */
#define MAX_TILES 64
/** Floats of a piece's tiles, products and outputs. */
#define AREA (160 * 1024)
/** Columns of the output in a range. */
#define MAX_COLUMNS 256
/** Floats of a cache line. */
#define LINE 16
/** How many tiles ahead pixels are fetched. */
#define FETCH_TILES 4
/** Rows of the weights that a piece transforms. */
#define WEIGHT_ROWS 32

struct local {
	weft_winograd_pixels pixel[MAX_TILES];
	float *output[MAX_TILES];
	/** Of a tile's outputs, those inside the output. */
	uint8_t rows[MAX_TILES], columns[MAX_TILES];
	float zeros[WEFT_WINOGRAD_MOST_CHANNELS];
	float area[AREA];
};

struct weight_local {
	float tap[9][WEIGHT_ROWS * WEFT_TILE_COLUMNS];
};
_Static_assert(sizeof(struct local) <= WEFT_LANE_LOCAL_BYTES, "local memory");
_Static_assert(sizeof(struct weight_local) <= WEFT_LANE_LOCAL_BYTES, "local memory");

struct division {
	const struct weft_correlation *c;
	/** Transformed weights of the range: [panel][i][j][channel][WEFT_TILE_COLUMNS]. */
	float *weights;
	/** Tiles of the whole, of a sample's column of tiles and row of tiles, and of a piece. */
	uint64_t tiles;
	uint32_t tile_rows, tile_columns, piece_tiles;
	/** The present range of columns. */
	uint32_t first_column, columns;
	/** Floats from a tile to the next in a piece's transformed tiles. */
	uint32_t v_step;
};

struct piece {
	const struct division *d;
	struct local *local;
	uint32_t tiles;
	/** [j][tile][channel]; [j][tile][column of a panel]; [panel][tile][row * 2 + column][column of a panel]. */
	float *v, *m, *y;
};

static size_t weights_step(const struct division *d)
{
	return (size_t)d->c->channels * WEFT_TILE_COLUMNS;
}

void WEFT_KERNEL(weft_winograd_point)(weft_winograd_pixels pixel, const float *image, const ptrdiff_t stride[2],
				      const uint32_t extent[2], int64_t row, int64_t column, const float *zeros)
{
	for (unsigned int r = 0; r < 4; r++) {
		bool inside = row + r >= 0 && row + r < extent[0];
		const float *line = image + (ptrdiff_t)(row + r) * stride[0] + (ptrdiff_t)column * stride[1];

		for (unsigned int k = 0; k < 4; k++)
			pixel[r][k] = inside && column + k >= 0 && column + k < extent[1]
					      ? line + (ptrdiff_t)k * stride[1]
					      : zeros;
	}
}

/* One vector of channels; @n of them. */
VF_INLINE void transform_input(float *to, size_t plane, const float *const a[4], const float *const b[4], uint32_t at,
			       unsigned int n, const bool subtract)
{
	vf t[4];

#pragma GCC unroll 4
	for (unsigned int k = 0; k < 4; k++) {
		vf x = n == VF_WIDTH ? vf_load(a[k] + at) : vf_load_n(a[k] + at, n);
		vf y = n == VF_WIDTH ? vf_load(b[k] + at) : vf_load_n(b[k] + at, n);

		t[k] = subtract ? x - y : x + y;
	}
	vf_store(to, t[0] - t[2]);
	vf_store(to + plane, t[1] + t[2]);
	vf_store(to + 2 * plane, t[2] - t[1]);
	vf_store(to + 3 * plane, t[1] - t[3]);
}

VF_INLINE void transform_inputs(float *to, size_t plane, const float *const a[4], const float *const b[4],
				uint32_t first, uint32_t channels, const bool subtract)
{
	uint32_t k = 0;

	for (; k + VF_WIDTH <= channels; k += VF_WIDTH)
		transform_input(to + k, plane, a, b, first + k, VF_WIDTH, subtract);
	if (k < channels)
		transform_input(to + k, plane, a, b, first + k, channels - k, subtract);
}

void WEFT_KERNEL(weft_winograd_input)(float *to, size_t plane, const weft_winograd_pixels pixel, unsigned int i,
				      uint32_t first, uint32_t channels)
{
	/* Row i is the sum (1) or difference of these two. */
	static const unsigned char rows[4][2] = {{0, 2}, {1, 2}, {2, 1}, {1, 3}};
	const float *a[4], *b[4];

	for (unsigned int k = 0; k < 4; k++) {
		a[k] = pixel[rows[i][0]][k];
		b[k] = pixel[rows[i][1]][k];
	}
	if (i == 1)
		transform_inputs(to, plane, a, b, first, channels, false);
	else
		transform_inputs(to, plane, a, b, first, channels, true);
}

/* The transform of three weights. */
VF_INLINE void expand(vf to[4], vf a, vf b, vf c)
{
	const vf half = vf_set1(0.5f);
	vf ends = a + c;

	to[0] = a;
	to[1] = (ends + b) * half;
	to[2] = (ends - b) * half;
	to[3] = c;
}

/* The weights of one input channel and one vector of columns. */
VF_INLINE void transform_weights(float *to, size_t step, const vf tap[9])
{
	vf row[3][4];

#pragma GCC unroll 3
	for (unsigned int b = 0; b < 3; b++)
		expand(row[b], tap[b], tap[3 + b], tap[6 + b]);
#pragma GCC unroll 4
	for (unsigned int i = 0; i < 4; i++) {
		vf u[4];

		expand(u, row[0][i], row[1][i], row[2][i]);
#pragma GCC unroll 4
		for (unsigned int j = 0; j < 4; j++)
			vf_store(to + (i * 4 + j) * step, u[j]);
	}
}

/* Tap (row, column) of the correlation: reads at that distance from its first. */
static const float *tap_of(const struct weft_correlation *c, unsigned int tap)
{
	unsigned int h = tap / 3, w = tap % 3;

	h = c->axis[0].spread < 0 ? 2 - h : h;
	w = c->axis[1].spread < 0 ? 2 - w : w;
	return c->weight + (ptrdiff_t)h * c->weight_stride[0] + (ptrdiff_t)w * c->weight_stride[1];
}

/* A piece: WEIGHT_ROWS input channels of one panel. */
static void run_weights(void *argument, unsigned int index, unsigned int lane)
{
	const struct division *d = argument;
	const struct weft_correlation *c = d->c;
	uint32_t row_pieces = (c->channels + WEIGHT_ROWS - 1) / WEIGHT_ROWS;
	uint32_t first = index % row_pieces * WEIGHT_ROWS, rows = weft_min(c->channels - first, WEIGHT_ROWS);
	uint32_t column = index / row_pieces * WEFT_TILE_COLUMNS;
	uint32_t columns = weft_min(d->columns - column, WEFT_TILE_COLUMNS), width = weft_panel_width(columns);
	float *to = d->weights + (size_t)column * 16 * c->channels + (size_t)first * width;
	struct weight_local *local = weft_engine_local(c->unit, lane);

	for (unsigned int t = 0; t < 9; t++)
		WEFT_KERNEL(weft_pack_panel)
	(local->tap[t], width,
	 tap_of(c, t) + (ptrdiff_t)first * c->weight_stride[2] +
		 (ptrdiff_t)(d->first_column + column) * c->weight_stride[3],
	 c->weight_stride[2], c->weight_stride[3], rows, columns);
	for (uint32_t k = 0; k < rows * width; k += VF_WIDTH) {
		vf tap[9];

#pragma GCC unroll 9
		for (unsigned int t = 0; t < 9; t++)
			tap[t] = vf_load(&local->tap[t][k]);
		transform_weights(to + k, weights_step(d), tap);
	}
}

/* Where the tiles from number @tile on read and write. */
static void point_tiles(struct piece *p, uint64_t tile)
{
	const struct division *d = p->d;
	const struct weft_correlation *c = d->c;
	struct local *local = p->local;
	int64_t origin[2];

	/* A negative spread begins at the last tap. */
	for (unsigned int i = 0; i < 2; i++)
		origin[i] = c->axis[i].origin + (c->axis[i].spread < 0 ? 2 * c->axis[i].spread : 0);
	for (uint32_t t = 0; t < p->tiles; t++, tile++) {
		uint32_t column = (uint32_t)(tile % d->tile_columns) * 2;
		uint32_t row = (uint32_t)(tile / d->tile_columns % d->tile_rows) * 2;
		ptrdiff_t n = (ptrdiff_t)(tile / d->tile_columns / d->tile_rows);

		WEFT_KERNEL(weft_winograd_point)
		(local->pixel[t], c->source + n * c->source_stride[0], c->source_stride + 1,
		 (const uint32_t[]){c->axis[0].source, c->axis[1].source}, row + origin[0], column + origin[1],
		 local->zeros);
		local->output[t] = c->output + n * c->output_stride[0] + (ptrdiff_t)row * c->output_stride[1] +
				   (ptrdiff_t)column * c->output_stride[2] + d->first_column;
		local->rows[t] = (uint8_t)weft_min(c->axis[0].grid - row, 2);
		local->columns[t] = (uint8_t)weft_min(c->axis[1].grid - column, 2);
	}
}

/* Output @q of some tiles, which finish() will write when the panel is done. */
static void fetch_outputs(const struct piece *p, uint32_t first, uint32_t count, unsigned int q, uint32_t column,
			  uint32_t width)
{
	const struct weft_correlation *c = p->d->c;
	ptrdiff_t offset = (ptrdiff_t)(q / 2) * c->output_stride[1] + (ptrdiff_t)(q % 2) * c->output_stride[2] + column;

	for (uint32_t t = first; t < first + count; t++)
		for (uint32_t at = 0; at < width; at += LINE)
			__builtin_prefetch(p->local->output[t] + offset + at, 1, 2);
}

/* Row @i of the tiles by row @i of the weights of the panel at @column. */
static void multiply(const struct piece *p, unsigned int i, uint32_t column, uint32_t width)
{
	const struct weft_correlation *c = p->d->c;
	const float *weights = p->d->weights + (size_t)column * 16 * c->channels + (size_t)i * 4 * weights_step(p->d);
	uint32_t height = weft_tile_height(p->tiles, width);
	const float *a[WEFT_TILE_ROWS_NARROW];
	float *output[WEFT_TILE_ROWS_NARROW];
	struct weft_tile_run run;
	struct weft_tile tile = {
		.runs = &run, .run_count = 1, .a = a, .b_step = width, .c = output, .columns = width, .scale = 1};

	for (unsigned int j = 0; j < 4; j++) {
		tile.b = weights + j * weights_step(p->d);
		for (uint32_t k = 0; k < c->channels; k += WEFT_SUM_WINOGRAD) {
			run = (struct weft_tile_run){
				.offset = k, .depth = k, .length = weft_min(c->channels - k, WEFT_SUM_WINOGRAD)};
			tile.add = k;
			for (uint32_t t = 0; t < p->tiles; t += height) {
				uint32_t count = weft_min(p->tiles - t, height);

				if (i == 3 && k == 0)
					fetch_outputs(p, t, count, j, column, width);
				for (uint32_t r = 0; r < count; r++) {
					a[r] = p->v + ((size_t)j * p->tiles + t + r) * p->d->v_step;
					output[r] = p->m + ((size_t)j * p->tiles + t + r) * WEFT_TILE_COLUMNS;
				}
				weft_tile_run(&tile, WEFT_TILE_ROW_FORM, count);
			}
		}
	}
}

/* What row @i of the products adds to the outputs of a panel; the last one is left to finish(). */
VF_INLINE void gather(const struct piece *p, float *y, uint32_t width, const unsigned int i)
{
	const size_t plane = (size_t)p->tiles * WEFT_TILE_COLUMNS;
	const float *m = p->m;

	for (uint32_t t = 0; t < p->tiles; t++, m += WEFT_TILE_COLUMNS, y += 4 * WEFT_TILE_COLUMNS) {
		for (uint32_t at = 0; at < width; at += VF_WIDTH) {
			vf m0 = vf_load(m + at), m1 = vf_load(m + plane + at), m2 = vf_load(m + 2 * plane + at);
			vf m3 = vf_load(m + 3 * plane + at), z[2] = {m0 + m1 + m2, m1 - m2 - m3};

#pragma GCC unroll 2
			for (unsigned int b = 0; b < 2; b++) {
				float *upper = y + b * WEFT_TILE_COLUMNS + at, *lower = upper + 2 * WEFT_TILE_COLUMNS;

				if (i <= 2)
					vf_store(upper, i ? vf_load(upper) + z[b] : z[b]);
				if (i == 1)
					vf_store(lower, z[b]);
				if (i >= 2)
					vf_store(lower, vf_load(lower) - z[b]);
			}
		}
	}
}

/* The outputs of a panel, from @column of the range on, to their place. */
static void finish(const struct piece *p, const float *y, uint32_t column, uint32_t columns)
{
	const struct weft_correlation *c = p->d->c;
	const struct weft_epilogue *e = &c->epilogue;
	const float *bias = e->bias ? e->bias + p->d->first_column + column : NULL;

	for (uint32_t t = 0; t < p->tiles; t++, y += 4 * WEFT_TILE_COLUMNS) {
		for (unsigned int q = 0; q < 4; q++) {
			float *to = p->local->output[t] + (ptrdiff_t)(q / 2) * c->output_stride[1] +
				    (ptrdiff_t)(q % 2) * c->output_stride[2] + column;

			if (q / 2 >= p->local->rows[t] || q % 2 >= p->local->columns[t])
				continue;
			for (uint32_t at = 0; at < columns; at += VF_WIDTH) {
				unsigned int n = weft_min(columns - at, VF_WIDTH);
				vf total = c->accumulate ? vf_load_n(to + at, n) : vf_zero();

				total = total + vf_load(y + q * WEFT_TILE_COLUMNS + at);
				if (bias)
					total = total + vf_load_n(bias + at, n);
				vf_store_n(to + at, vf_activate(total, e->activation, e->alpha, e->beta), n);
			}
		}
	}
}

/* The pixels of a tile that the one before it does not have, for all rows of the transform. */
static void fetch_pixels(const struct piece *p, uint32_t tile)
{
	for (unsigned int q = 0; q < 8; q++)
		for (uint32_t k = 0; k < p->d->c->channels; k += LINE)
			__builtin_prefetch(p->local->pixel[tile][q / 2][2 + q % 2] + k, 0, 2);
}

static void run_row(const struct piece *p, unsigned int i)
{
	const struct division *d = p->d;

	for (uint32_t t = 0; t < p->tiles; t++) {
		if (i == 0 && t + FETCH_TILES < p->tiles)
			fetch_pixels(p, t + FETCH_TILES);
		WEFT_KERNEL(weft_winograd_input)
		(p->v + (size_t)t * d->v_step, (size_t)p->tiles * d->v_step, p->local->pixel[t], i, 0, d->c->channels);
	}
	for (uint32_t column = 0; column < d->columns; column += WEFT_TILE_COLUMNS) {
		uint32_t columns = weft_min(d->columns - column, WEFT_TILE_COLUMNS);
		uint32_t width = weft_panel_width(columns);
		float *y = p->y + (size_t)column * 4 * p->tiles;

		multiply(p, i, column, width);
		switch (i) {
		case 0:
			gather(p, y, width, 0);
			break;
		case 1:
			gather(p, y, width, 1);
			break;
		case 2:
			gather(p, y, width, 2);
			break;
		default:
			gather(p, y, width, 3);
			finish(p, y, column, columns);
		}
	}
}

static void run_piece(void *argument, unsigned int index, unsigned int lane)
{
	const struct division *d = argument;
	struct piece p = {.d = d, .local = weft_engine_local(d->c->unit, lane)};
	uint64_t first = (uint64_t)index * d->piece_tiles;

	p.tiles = d->tiles - first < d->piece_tiles ? (uint32_t)(d->tiles - first) : d->piece_tiles;
	p.v = p.local->area;
	p.m = p.v + (size_t)4 * p.tiles * d->v_step;
	p.y = p.m + (size_t)4 * p.tiles * WEFT_TILE_COLUMNS;
	memset(p.local->zeros, 0, sizeof(p.local->zeros));
	point_tiles(&p, first);
	for (unsigned int i = 0; i < 4; i++)
		run_row(&p, i);
}

static uint32_t round_up(uint32_t value, uint32_t to)
{
	return (value + to - 1) / to * to;
}

/* Tiles of a piece: as many as there is room for, and enough pieces for all lanes. */
static uint32_t choose_tiles(const struct division *d, uint32_t columns)
{
	unsigned int lanes = weft_engine_unit_lanes(d->c->unit);
	uint32_t most = AREA / 4 / (d->v_step + WEFT_TILE_COLUMNS + columns);
	uint64_t pieces;

	most = weft_min(most, MAX_TILES) / WEFT_TILE_ROWS * WEFT_TILE_ROWS;
	pieces = (d->tiles + most - 1) / most;
	if (lanes > 1 && pieces < 3 * lanes)
		pieces = d->tiles < 3 * lanes * WEFT_TILE_ROWS ? (d->tiles + WEFT_TILE_ROWS - 1) / WEFT_TILE_ROWS
							       : 3 * lanes;
	return (uint32_t)((d->tiles + pieces - 1) / pieces);
}

void WEFT_KERNEL(weft_correlate_winograd)(const struct weft_correlation *correlation)
{
	const struct weft_correlation *c = correlation;
	struct division d = {.c = c,
			     .weights = weft_engine_shared(c->unit),
			     .tile_rows = (c->axis[0].grid + 1) / 2,
			     .tile_columns = (c->axis[1].grid + 1) / 2,
			     .v_step = round_up(c->channels, VF_WIDTH) + VF_WIDTH};
	uint32_t room = WEFT_SHARED_BYTES / sizeof(float) / 16 / c->channels / WEFT_TILE_COLUMNS * WEFT_TILE_COLUMNS;
	uint32_t columns = weft_min(room, MAX_COLUMNS), ranges = (c->columns + columns - 1) / columns;
	uint32_t row_pieces = (c->channels + WEIGHT_ROWS - 1) / WEIGHT_ROWS;

	d.tiles = (uint64_t)c->batch * d.tile_rows * d.tile_columns;
	columns = round_up((c->columns + ranges - 1) / ranges, WEFT_TILE_COLUMNS);
	d.piece_tiles = choose_tiles(&d, columns);
	for (; d.first_column < c->columns; d.first_column += columns) {
		uint32_t panels;

		d.columns = weft_min(c->columns - d.first_column, columns);
		panels = (d.columns + WEFT_TILE_COLUMNS - 1) / WEFT_TILE_COLUMNS;
		weft_engine_parallel(c->unit, panels * row_pieces, run_weights, &d);
		weft_engine_parallel(c->unit, (unsigned int)((d.tiles + d.piece_tiles - 1) / d.piece_tiles), run_piece,
				     &d);
	}
}
