// SPDX-License-Identifier: MIT
/*
 * Weight gradients with many channels: for each tap the product of X's
 * channels, transposed, by DY's, over the positions of a block.  Both have
 * their outer index contiguous, so nothing is transposed: a tile reads X in
 * column form and a packed panel of DY.
 *
 * A piece is some taps and channels by some columns of DW, over all samples.
 * With many channels each tap has its own part of the block, the positions at
 * which it is inside X, which is read in place.  With few, the taps of a row
 * share tiles: X's part of the block is copied into local memory with a border
 * of zeros or, where that does not fit, gathered tap by tap.
 */
#include "conv.h"

/** Floats of the copied part of X, and of DY's panels. */
#define AREA (160 * 1024)
#define MAX_PANELS 4
/** A piece's part of DW is kept below this many floats, so that it stays in the second-level cache. */
#define DW_TARGET (80 * 1024)

struct local {
	float area[AREA];
	float panel[MAX_PANELS][WEFT_SUM_CONV_WEIGHT * WEFT_TILE_COLUMNS];
};
_Static_assert(sizeof(struct local) <= WEFT_LANE_LOCAL_BYTES, "local memory");

enum mode { MODE_DIRECT, MODE_BOX, MODE_GATHER };

struct division {
	const struct weft_conv_weight *c;
	enum mode mode;
	uint32_t kernel[2], groups;
	/** Taps of a row are one run of (kw, channel): rows of a tile go on from tap to tap. */
	bool merged;
	/** One channel, read without a stride: all taps are rows, each with a pointer of its own. */
	bool flat;
	/** Of a piece: columns of DW, tap rows, channels; and how many such ranges there are. */
	uint32_t columns, tap_rows, channels;
	uint32_t column_pieces, tap_pieces, channel_pieces;
};

struct piece {
	const struct division *d;
	struct local *local;
	uint32_t group, column, columns, tap_row, tap_rows, channel, channels;
	/** The present block: sample, first row and column, extents. */
	uint32_t n, row, rows, left, width;
	/** No block has been added to DW yet. */
	bool first;
	/** X as tiles see it: where, and floats between rows and columns. */
	const float *x;
	ptrdiff_t x_row, x_column;
};

static uint32_t divide_up(uint32_t a, uint32_t b)
{
	return (a + b - 1) / b;
}

/* Rows or columns of X under @n of DY through @taps. */
static uint64_t reach(const struct division *d, unsigned int axis, uint32_t n, uint32_t taps)
{
	const union weft_params *p = d->c->params;

	return (uint64_t)(n - 1) * p->conv.stride[axis] + (uint64_t)(taps - 1) * p->conv.dilation[axis] + 1;
}

static bool always_inside(const struct division *d, unsigned int axis)
{
	return d->c->params->conv.pad[axis] == 0 &&
	       reach(d, axis, d->c->dyt->dims[1 + axis], d->kernel[axis]) <= d->c->xt->dims[1 + axis];
}

static uint64_t box_pixels(const struct division *d)
{
	uint64_t rows = reach(d, 0, d->c->block_rows, d->tap_rows);
	uint64_t columns = reach(d, 1, d->c->block_columns, d->kernel[1]);

	return rows > AREA || columns > AREA ? AREA + 1 : rows * columns;
}

static void choose_mode(struct division *d)
{
	const struct weft_conv_weight *c = d->c;
	uint64_t pixels = box_pixels(d);
	bool dense = c->params->conv.dilation[1] == 1;

	if (c->channels >= WEFT_CONV_WEIGHT_PADDED) {
		d->mode = MODE_DIRECT;
	} else if (always_inside(d, 0) && always_inside(d, 1)) {
		d->mode = MODE_DIRECT;
		d->merged = dense && d->groups == 1 && c->xt->strides[2] == (int32_t)c->channels;
	} else if (pixels * c->channels <= AREA) {
		d->mode = MODE_BOX;
		d->merged = dense;
	} else {
		d->mode = MODE_GATHER;
	}
	d->flat = c->channels == 1 && c->params->conv.stride[1] == 1 &&
		  (d->mode == MODE_BOX || (d->mode == MODE_DIRECT && c->xt->strides[2] == 1));
}

static uint64_t pieces_of(const struct division *d)
{
	return (uint64_t)d->groups * d->column_pieces * d->tap_pieces * d->channel_pieces;
}

static void divide(struct division *d, const struct weft_conv_weight *c)
{
	unsigned int lanes = weft_engine_unit_lanes(c->unit);
	uint32_t taps, panels;

	*d = (struct division){.c = c,
			       .kernel = {c->dwt->dims[0], c->dwt->dims[1]},
			       .groups = c->params->conv.groups,
			       .tap_rows = c->dwt->dims[0],
			       .channels = c->channels};
	if (lanes > 1 && (uint64_t)d->groups * divide_up(c->columns, WEFT_TILE_COLUMNS) < 2 * lanes)
		d->tap_rows = 1;
	choose_mode(d);
	taps = d->tap_rows * d->kernel[1];
	/* DW's part: first fewer channels, as long as tiles stay full, then as many panels as fit. */
	if (!d->merged && (uint64_t)taps * d->channels * WEFT_TILE_COLUMNS > DW_TARGET) {
		uint32_t most = DW_TARGET / WEFT_TILE_COLUMNS / taps;

		most = most < 4 * WEFT_TILE_ROWS ? 4 * WEFT_TILE_ROWS : most;
		d->channels = weft_min(d->channels, most);
	}
	d->channel_pieces = divide_up(c->channels, d->channels);
	d->channels = divide_up(c->channels, d->channel_pieces);
	panels = (uint32_t)(DW_TARGET / ((uint64_t)taps * d->channels * WEFT_TILE_COLUMNS + 1));
	panels = panels < 1 || lanes > 1 ? 1 : weft_min(panels, MAX_PANELS);
	d->columns = panels * WEFT_TILE_COLUMNS;
	d->column_pieces = divide_up(c->columns, d->columns);
	d->tap_pieces = divide_up(d->kernel[0], d->tap_rows);
}

static void pack_dy(const struct piece *p)
{
	const struct weft_conv_weight *c = p->d->c;
	const int32_t *stride = c->dyt->strides;

	for (uint32_t column = 0; column < p->columns; column += WEFT_TILE_COLUMNS) {
		uint32_t columns = weft_min(p->columns - column, WEFT_TILE_COLUMNS);
		uint32_t width = weft_panel_width(columns);
		float *to = p->local->panel[column / WEFT_TILE_COLUMNS];

		for (uint32_t r = 0; r < p->rows; r++)
			WEFT_KERNEL(weft_pack_panel)
		(to + (size_t)r * p->width * width, width,
		 c->dy + (ptrdiff_t)p->n * stride[0] + (ptrdiff_t)(p->row + r) * stride[1] +
			 (ptrdiff_t)p->left * stride[2] + (ptrdiff_t)p->group * c->columns + p->column + column,
		 stride[2], 1, p->width, columns);
	}
}

/* X's sample, the piece's group and first channel, at (0, 0). */
static const float *image(const struct piece *p)
{
	const struct weft_conv_weight *c = p->d->c;

	return c->x + (ptrdiff_t)p->n * c->xt->strides[0] + (ptrdiff_t)p->group * c->channels + p->channel;
}

/* Row or column of X that tap 0 of the axis meets at DY's @at. */
static int64_t meets(const struct piece *p, unsigned int axis, uint32_t at)
{
	const union weft_params *params = p->d->c->params;

	return (int64_t)at * params->conv.stride[axis] - params->conv.pad[axis];
}

static void prepare_x(struct piece *p)
{
	const struct division *d = p->d;
	const struct weft_conv_weight *c = d->c;
	const ptrdiff_t stride[2] = {c->xt->strides[1], c->xt->strides[2]};
	const uint32_t extent[2] = {c->xt->dims[1], c->xt->dims[2]};
	int64_t row = meets(p, 0, p->row) + (int64_t)p->tap_row * c->params->conv.dilation[0];
	int64_t column = meets(p, 1, p->left);

	if (d->mode == MODE_DIRECT) {
		p->x = image(p) + (ptrdiff_t)row * stride[0] + (ptrdiff_t)column * stride[1];
		p->x_row = stride[0];
		p->x_column = stride[1];
	} else if (d->mode == MODE_BOX) {
		uint32_t columns = (uint32_t)reach(d, 1, p->width, d->kernel[1]);

		WEFT_KERNEL(weft_copy_box)
		(p->local->area, p->channels, image(p), stride, extent, row, column,
		 (uint32_t)reach(d, 0, p->rows, p->tap_rows), columns, p->channels);
		p->x = p->local->area;
		p->x_column = p->channels;
		p->x_row = (ptrdiff_t)columns * p->channels;
	}
}

/* What one tap meets in the block, position by position. */
static void gather_tap(const struct piece *p, uint32_t kh, uint32_t kw)
{
	const struct weft_conv_weight *c = p->d->c;
	const ptrdiff_t stride[2] = {c->xt->strides[1], c->xt->strides[2]};
	const uint32_t extent[2] = {c->xt->dims[1], c->xt->dims[2]};
	float *to = p->local->area;

	for (uint32_t i = 0; i < p->rows; i++)
		for (uint32_t j = 0; j < p->width; j++, to += p->channels)
			WEFT_KERNEL(weft_copy_box)
	(to, p->channels, image(p), stride, extent, meets(p, 0, p->row + i) + (int64_t)kh * c->params->conv.dilation[0],
	 meets(p, 1, p->left + j) + (int64_t)kw * c->params->conv.dilation[1], 1, 1, p->channels);
}

/* The columns [*begin, *end) of the block at which tap @kw is inside X. */
static void inside_columns(const struct piece *p, uint32_t kw, uint32_t *begin, uint32_t *end)
{
	const struct weft_conv_weight *c = p->d->c;
	int64_t first = meets(p, 1, p->left) + (int64_t)kw * c->params->conv.dilation[1];
	int64_t stride = c->params->conv.stride[1], width = c->xt->dims[2];
	int64_t low = first < 0 ? (-first + stride - 1) / stride : 0;
	int64_t high = first >= width ? 0 : (width - 1 - first) / stride + 1;

	*begin = low < p->width ? (uint32_t)low : p->width;
	*end = high < *begin ? *begin : high < p->width ? (uint32_t)high : p->width;
}

/*
 * The positions of the block as runs of a tile: @row from one row to the next,
 * @step from one column to the next.  Read in place, those where tap (kh, kw) is inside X.
 */
static uint32_t make_runs(const struct piece *p, uint32_t kh, uint32_t kw, ptrdiff_t row, ptrdiff_t step,
			  struct weft_tile_run *run)
{
	const struct weft_conv_weight *c = p->d->c;
	uint32_t runs = 0, begin = 0, end = p->width;

	if (p->d->mode == MODE_DIRECT && !p->d->merged)
		inside_columns(p, kw, &begin, &end);
	for (uint32_t r = 0; r < p->rows && begin < end; r++) {
		struct weft_tile_run next = {.offset = (ptrdiff_t)r * row + (ptrdiff_t)begin * step,
					     .depth = r * p->width + begin,
					     .length = end - begin};
		struct weft_tile_run *before = runs ? &run[runs - 1] : NULL;

		if (p->d->mode == MODE_DIRECT) {
			int64_t h = meets(p, 0, p->row + r) + (int64_t)kh * c->params->conv.dilation[0];

			if (h < 0 || h >= c->xt->dims[1])
				continue;
		}
		if (before && before->offset + (ptrdiff_t)before->length * step == next.offset &&
		    before->depth + before->length == next.depth)
			before->length += next.length;
		else
			run[runs++] = next;
	}
	return runs;
}

/* Rows of DW [from tap @kw on]: @rows of them against every panel. */
static void run_tiles(const struct piece *p, const struct weft_tile *block, const float *x, uint32_t kh, uint32_t kw,
		      uint32_t rows)
{
	const struct weft_conv_weight *c = p->d->c;
	uint32_t height = weft_tile_height(rows, p->columns);
	float *output[WEFT_TILE_ROWS_NARROW];
	struct weft_tile tile = *block;

	tile.a = &x;
	tile.c = output;
	for (uint32_t m = 0; m < rows; m += height, x += height) {
		uint32_t count = weft_min(rows - m, height);

		for (uint32_t i = 0; i < count; i++)
			output[i] = c->dw + (ptrdiff_t)kh * c->dwt->strides[0] +
				    (ptrdiff_t)(kw + (m + i) / p->channels) * c->dwt->strides[1] +
				    (ptrdiff_t)(p->channel + (m + i) % p->channels) * c->dwt->strides[2] +
				    (ptrdiff_t)p->group * c->columns + p->column;
		for (uint32_t column = 0; column < p->columns; column += WEFT_TILE_COLUMNS) {
			tile.columns = weft_min(p->columns - column, WEFT_TILE_COLUMNS);
			tile.b = p->local->panel[column / WEFT_TILE_COLUMNS];
			tile.b_step = weft_panel_width(tile.columns);
			tile.c_offset = column;
			weft_tile_run(&tile, WEFT_TILE_COLUMN_FORM, count);
		}
	}
}

/* Tap (kh, kw) of the block, or with merged taps all of row kh. */
static void run_tap(const struct piece *p, uint32_t kh, uint32_t kw)
{
	const struct division *d = p->d;
	const union weft_params *params = d->c->params;
	struct weft_tile_run run[WEFT_SUM_CONV_WEIGHT];
	struct weft_tile tile = {.runs = run, .scale = 1, .add = !p->first || (params->conv.flags & WEFT_F_ACCUMULATE)};
	const float *x = p->local->area;
	ptrdiff_t row;

	if (d->mode == MODE_GATHER) {
		gather_tap(p, kh, kw);
		tile.a_step = p->channels;
		row = (ptrdiff_t)p->width * p->channels;
	} else {
		tile.a_step = p->x_column * (ptrdiff_t)params->conv.stride[1];
		row = p->x_row * (ptrdiff_t)params->conv.stride[0];
		x = p->x + (ptrdiff_t)(kh - p->tap_row) * params->conv.dilation[0] * p->x_row +
		    (ptrdiff_t)kw * params->conv.dilation[1] * p->x_column;
	}
	tile.run_count = make_runs(p, kh, kw, row, tile.a_step, run);
	if (!tile.run_count && tile.add)
		return;
	run_tiles(p, &tile, x, kh, kw, d->merged ? d->kernel[1] * p->channels : p->channels);
}

/* All taps of the piece, where X has one channel: successive positions are neighbours in memory. */
static void run_flat(const struct piece *p)
{
	const struct weft_conv_weight *c = p->d->c;
	const union weft_params *params = c->params;
	uint32_t taps = p->tap_rows * p->d->kernel[1], height = weft_tile_height(taps, p->columns);
	struct weft_tile_run run[WEFT_SUM_CONV_WEIGHT];
	const float *x[WEFT_TILE_ROWS_NARROW];
	float *output[WEFT_TILE_ROWS_NARROW];
	struct weft_tile tile = {.runs = run,
				 .a = x,
				 .c = output,
				 .scale = 1,
				 .add = !p->first || (params->conv.flags & WEFT_F_ACCUMULATE)};

	/* No tap leaves what X offers here, so that those of tap (0, 0) serve for all. */
	tile.run_count = make_runs(p, p->tap_row, 0, p->x_row * (ptrdiff_t)params->conv.stride[0], 1, run);
	for (uint32_t m = 0; m < taps; m += height) {
		uint32_t count = weft_min(taps - m, height);

		for (uint32_t i = 0; i < count; i++) {
			uint32_t kh = (m + i) / p->d->kernel[1], kw = (m + i) % p->d->kernel[1];

			x[i] = p->x + (ptrdiff_t)kh * params->conv.dilation[0] * p->x_row +
			       (ptrdiff_t)kw * params->conv.dilation[1];
			output[i] = c->dw + (ptrdiff_t)(p->tap_row + kh) * c->dwt->strides[0] +
				    (ptrdiff_t)kw * c->dwt->strides[1] + (ptrdiff_t)p->group * c->columns + p->column;
		}
		for (uint32_t column = 0; column < p->columns; column += WEFT_TILE_COLUMNS) {
			tile.columns = weft_min(p->columns - column, WEFT_TILE_COLUMNS);
			tile.b = p->local->panel[column / WEFT_TILE_COLUMNS];
			tile.b_step = weft_panel_width(tile.columns);
			tile.c_offset = column;
			weft_tile_run(&tile, WEFT_TILE_ROW_FORM, count);
		}
	}
}

static void run_block(struct piece *p)
{
	const struct division *d = p->d;

	pack_dy(p);
	prepare_x(p);
	if (d->flat) {
		run_flat(p);
		p->first = false;
		return;
	}
	for (uint32_t kh = p->tap_row; kh < p->tap_row + p->tap_rows; kh++)
		for (uint32_t kw = 0; kw < (d->merged ? 1 : d->kernel[1]); kw++)
			run_tap(p, kh, kw);
	p->first = false;
}

static void run_piece(void *argument, unsigned int index, unsigned int lane)
{
	const struct division *d = argument;
	const struct weft_conv_weight *c = d->c;
	const uint32_t *dims = c->dyt->dims;
	struct piece p = {.d = d, .local = weft_engine_local(c->unit, lane), .first = true};

	p.channel = index % d->channel_pieces * d->channels;
	p.channels = weft_min(c->channels - p.channel, d->channels);
	index /= d->channel_pieces;
	p.tap_row = index % d->tap_pieces * d->tap_rows;
	p.tap_rows = weft_min(d->kernel[0] - p.tap_row, d->tap_rows);
	index /= d->tap_pieces;
	p.column = index % d->column_pieces * d->columns;
	p.columns = weft_min(c->columns - p.column, d->columns);
	p.group = index / d->column_pieces;
	for (p.n = 0; p.n < dims[0]; p.n++) {
		for (p.row = 0; p.row < dims[1]; p.row += c->block_rows) {
			p.rows = weft_min(dims[1] - p.row, c->block_rows);
			for (p.left = 0; p.left < dims[2]; p.left += c->block_columns) {
				p.width = weft_min(dims[2] - p.left, c->block_columns);
				run_block(&p);
			}
		}
	}
}

void WEFT_KERNEL(weft_conv_weight)(const struct weft_conv_weight *conv)
{
	struct division d;

	divide(&d, conv);
	weft_engine_parallel(conv->unit, (unsigned int)pieces_of(&d), run_piece, &d);
}
