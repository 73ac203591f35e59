// SPDX-License-Identifier: MIT
/*
 * Correlations with many channels, as an indirect matrix product: a row of a
 * tile is a position, which is a pointer into the source; a tap is an offset
 * from it that is the same for all positions.
 *
 * A piece is a box of positions of some samples of one group.  Where taps reach
 * outside the source, the box is copied into local memory with its border of
 * zeros; where no tap does, positions point into the source itself; and where
 * the border is too large to copy (few positions, far taps), what each position
 * reads in one block is gathered, which works for every shape.
 */
#include "conv.h"

#define MAX_POSITIONS 4096
/** Floats of the copied box or the gathered positions. */
#define AREA (176 * 1024)
/** Preferred size of what a piece reads, so that it stays in the second-level cache beside the panels. */
#define TARGET (128 * 1024)
/** Distance between gathered positions. */
#define GATHER_ROW (WEFT_SUM_CONV + VF_WIDTH)
#define MIN_BOX_POSITIONS 24

struct local {
	float area[AREA];
	float panel[WEFT_SUM_CONV * WEFT_TILE_COLUMNS];
	const float *a[MAX_POSITIONS];
	float *c[MAX_POSITIONS];
};
_Static_assert(sizeof(struct local) <= WEFT_LANE_LOCAL_BYTES, "local memory");

enum mode { MODE_DIRECT, MODE_BOX, MODE_GATHER };

/* How a correlation is cut into pieces. */
struct division {
	const struct weft_correlation *c;
	enum mode mode;
	bool any_tap[2];
	int64_t least[2], greatest[2];
	/** Floats from one column of a copied box to the next. */
	uint32_t cell;
	uint32_t samples, rows, columns;
	uint32_t sample_pieces, row_pieces, column_pieces;
};

/* Terms of one tap within one block. */
struct term {
	uint32_t tap[2];
	int64_t offset[2];
	uint32_t channel, length;
};

struct piece {
	const struct division *d;
	struct local *local;
	uint32_t group, first[3], count[3];
	uint32_t positions;
	uint32_t terms;
	uint32_t depth;
	struct term term[WEFT_SUM_CONV];
};

static uint32_t divide_up(uint32_t a, uint32_t b)
{
	return (a + b - 1) / b;
}

/* Rows or columns of source under @n of the grid. */
static uint64_t reach(const struct division *d, unsigned int axis, uint32_t n)
{
	return (uint64_t)(n - 1) * d->c->axis[axis].step + (uint64_t)(d->greatest[axis] - d->least[axis]) + 1;
}

static bool always_inside(const struct division *d, unsigned int axis)
{
	const struct weft_axis *a = &d->c->axis[axis];

	return d->least[axis] >= 0 && (int64_t)(a->grid - 1) * a->step + d->greatest[axis] < (int64_t)a->source;
}

/* Pixels a power-of-two distance apart share cache sets. */
static bool collides(ptrdiff_t stride)
{
	return stride * (ptrdiff_t)sizeof(float) % 4096 == 0;
}

static void choose_mode(struct division *d)
{
	const struct weft_correlation *c = d->c;
	uint64_t row, columns = c->axis[1].grid;

	if (!d->any_tap[0] || !d->any_tap[1]) {
		d->mode = MODE_GATHER;
		return;
	}
	if (always_inside(d, 0) && always_inside(d, 1) && !collides(c->source_stride[2])) {
		d->mode = MODE_DIRECT;
		return;
	}
	d->cell = c->channels % 256 ? c->channels : c->channels + VF_WIDTH;
	/* As many columns as fit one row of the grid. */
	row = reach(d, 0, 1);
	if (row > AREA || row * d->cell > AREA) {
		d->mode = MODE_GATHER;
		return;
	}
	while (columns > MIN_BOX_POSITIONS && row * d->cell * reach(d, 1, (uint32_t)columns) > AREA)
		columns = (columns + 1) / 2;
	d->mode = row * d->cell * reach(d, 1, (uint32_t)columns) > AREA ? MODE_GATHER : MODE_BOX;
	/* A stride without overlap would copy what nobody reads. */
	if (d->greatest[0] == d->least[0] && d->greatest[1] == d->least[1] && c->axis[0].step * c->axis[1].step > 1)
		d->mode = MODE_GATHER;
	d->columns = (uint32_t)columns;
}

/* Floats that a piece of @rows by @columns of one sample occupies. */
static uint64_t footprint(const struct division *d, uint32_t rows, uint32_t columns)
{
	switch (d->mode) {
	case MODE_BOX:
		return reach(d, 0, rows) * reach(d, 1, columns) * d->cell;
	case MODE_DIRECT:
		return reach(d, 0, rows) * reach(d, 1, columns) * d->c->channels;
	default:
		return (uint64_t)rows * columns * GATHER_ROW;
	}
}

static bool fits(const struct division *d, uint32_t samples, uint32_t rows, uint32_t columns)
{
	return (uint64_t)samples * rows * columns <= MAX_POSITIONS &&
	       samples * footprint(d, rows, columns) <= (d->mode == MODE_BOX && samples * rows == 1 ? AREA : TARGET);
}

static void count_pieces(struct division *d)
{
	d->sample_pieces = divide_up(d->c->batch, d->samples);
	d->row_pieces = divide_up(d->c->axis[0].grid, d->rows);
	d->column_pieces = divide_up(d->c->axis[1].grid, d->columns);
}

static uint64_t pieces_of(const struct division *d)
{
	return (uint64_t)d->c->groups * d->sample_pieces * d->row_pieces * d->column_pieces;
}

static void divide(struct division *d, const struct weft_correlation *c)
{
	unsigned int lanes = weft_engine_unit_lanes(c->unit);

	*d = (struct division){.c = c, .columns = c->axis[1].grid, .cell = c->channels};
	for (unsigned int i = 0; i < 2; i++)
		d->any_tap[i] = WEFT_KERNEL(weft_axis_reach)(&c->axis[i], &d->least[i], &d->greatest[i]);
	choose_mode(d);
	d->samples = 1;
	d->rows = c->axis[0].grid;
	while (d->rows > 1 && !fits(d, 1, d->rows, d->columns))
		d->rows = (d->rows + 1) / 2;
	while (d->columns > 1 && !fits(d, 1, d->rows, d->columns))
		d->columns = (d->columns + 1) / 2;
	while (d->rows == c->axis[0].grid && d->columns == c->axis[1].grid && d->samples < c->batch &&
	       fits(d, d->samples + 1, d->rows, d->columns))
		d->samples++;
	d->samples = divide_up(c->batch, divide_up(c->batch, d->samples));
	count_pieces(d);
	while (lanes > 1 && pieces_of(d) < 3 * lanes && (d->samples > 1 || d->rows > 4)) {
		if (d->samples > 1)
			d->samples = (d->samples + 1) / 2;
		else
			d->rows = (d->rows + 1) / 2;
		count_pieces(d);
	}
}

static const float *source_at(const struct piece *p, uint32_t n, int64_t row, int64_t column)
{
	const struct weft_correlation *c = p->d->c;

	return c->source + (ptrdiff_t)(p->first[0] + n) * c->source_stride[0] + (ptrdiff_t)row * c->source_stride[1] +
	       (ptrdiff_t)column * c->source_stride[2] + (ptrdiff_t)p->group * c->channels;
}

static void copy_boxes(const struct piece *p)
{
	const struct division *d = p->d;
	const struct weft_correlation *c = d->c;
	uint32_t rows = (uint32_t)reach(d, 0, p->count[1]), columns = (uint32_t)reach(d, 1, p->count[2]);
	const uint32_t extent[2] = {c->axis[0].source, c->axis[1].source};

	for (uint32_t n = 0; n < p->count[0]; n++)
		WEFT_KERNEL(weft_copy_box)
		(p->local->area + (size_t)n * rows * columns * d->cell, d->cell, source_at(p, n, 0, 0),
		 c->source_stride + 1, extent, (int64_t)p->first[1] * c->axis[0].step + d->least[0],
		 (int64_t)p->first[2] * c->axis[1].step + d->least[1], rows, columns, c->channels);
}

/* Where each position reads (less the offset of the tap) and writes. */
static void point(const struct piece *p)
{
	const struct division *d = p->d;
	const struct weft_correlation *c = d->c;
	size_t box_row = 0, box_rows = 0;
	uint32_t at = 0;

	if (d->mode == MODE_BOX) {
		box_row = reach(d, 1, p->count[2]) * d->cell;
		box_rows = reach(d, 0, p->count[1]);
	}
	for (uint32_t n = 0; n < p->count[0]; n++) {
		for (uint32_t i = 0; i < p->count[1]; i++) {
			uint32_t row = p->first[1] + i;
			float *out = c->output + (ptrdiff_t)(p->first[0] + n) * c->output_stride[0] +
				     (ptrdiff_t)row * c->output_stride[1] +
				     (ptrdiff_t)p->first[2] * c->output_stride[2] + (ptrdiff_t)p->group * c->columns;
			const float *in;
			ptrdiff_t step;

			if (d->mode == MODE_DIRECT) {
				in = source_at(p, n, (int64_t)row * c->axis[0].step,
					       (int64_t)p->first[2] * c->axis[1].step);
				step = c->source_stride[2] * (ptrdiff_t)c->axis[1].step;
			} else if (d->mode == MODE_BOX) {
				in = p->local->area + (n * box_rows + (size_t)i * c->axis[0].step) * box_row;
				step = (ptrdiff_t)d->cell * c->axis[1].step;
			} else {
				in = p->local->area + (size_t)at * GATHER_ROW;
				step = GATHER_ROW;
			}
			for (uint32_t j = 0; j < p->count[2]; j++, at++) {
				p->local->a[at] = in + (ptrdiff_t)j * step;
				p->local->c[at] = out + (ptrdiff_t)j * c->output_stride[2];
			}
		}
	}
}

/* The terms of block @block that take part; false: none. */
static bool list_terms(struct piece *p, uint64_t block)
{
	const struct weft_correlation *c = p->d->c;
	uint64_t begin = block * WEFT_SUM_CONV, end = begin + WEFT_SUM_CONV;
	uint64_t last = (uint64_t)c->axis[0].kernel * c->axis[1].kernel * c->channels;

	end = end < last ? end : last;
	p->terms = p->depth = 0;
	while (begin < end) {
		uint64_t tap = begin / c->channels, next = (tap + 1) * c->channels;
		struct term t = {.tap = {(uint32_t)(tap / c->axis[1].kernel), (uint32_t)(tap % c->axis[1].kernel)},
				 .channel = (uint32_t)(begin % c->channels)};

		next = next < end ? next : end;
		t.length = (uint32_t)(next - begin);
		begin = next;
		if (!weft_axis_tap(&c->axis[0], t.tap[0], &t.offset[0]) ||
		    !weft_axis_tap(&c->axis[1], t.tap[1], &t.offset[1]))
			continue;
		p->depth += t.length;
		p->term[p->terms++] = t;
	}
	return p->terms != 0;
}

static uint32_t make_runs(const struct piece *p, struct weft_tile_run *run)
{
	const struct division *d = p->d;
	ptrdiff_t row, column, base = 0;
	uint32_t runs = 0;

	if (d->mode == MODE_GATHER) {
		run[0] = (struct weft_tile_run){.offset = 0, .length = p->depth};
		return 1;
	}
	if (d->mode == MODE_BOX) {
		column = d->cell;
		row = (ptrdiff_t)reach(d, 1, p->count[2]) * column;
		base = (ptrdiff_t)-d->least[0] * row - (ptrdiff_t)d->least[1] * column;
	} else {
		row = d->c->source_stride[1];
		column = d->c->source_stride[2];
	}
	for (uint32_t i = 0; i < p->terms; i++) {
		const struct term *t = &p->term[i];
		ptrdiff_t offset = base + (ptrdiff_t)t->offset[0] * row + (ptrdiff_t)t->offset[1] * column + t->channel;

		if (runs && run[runs - 1].offset + run[runs - 1].length == offset)
			run[runs - 1].length += t->length;
		else
			run[runs++] = (struct weft_tile_run){.offset = offset, .length = t->length};
	}
	return runs;
}

/* What position @at (n, row, column) reads in the present block. */
static void gather(const struct piece *p, float *to, uint32_t n, uint32_t row, uint32_t column)
{
	const struct weft_correlation *c = p->d->c;

	for (uint32_t i = 0; i < p->terms; i++) {
		const struct term *t = &p->term[i];
		int64_t h = (int64_t)row * c->axis[0].step + t->offset[0];
		int64_t w = (int64_t)column * c->axis[1].step + t->offset[1];

		if (h < 0 || h >= c->axis[0].source || w < 0 || w >= c->axis[1].source)
			weft_zero_floats(to, t->length);
		else
			weft_copy_floats(to, source_at(p, n, h, w) + t->channel, t->length);
		to += t->length;
	}
}

static void gather_all(const struct piece *p)
{
	float *to = p->local->area;

	for (uint32_t n = 0; n < p->count[0]; n++)
		for (uint32_t i = 0; i < p->count[1]; i++)
			for (uint32_t j = 0; j < p->count[2]; j++, to += GATHER_ROW)
				gather(p, to, n, p->first[1] + i, p->first[2] + j);
}

static void pack_weights(const struct piece *p, uint32_t column, uint32_t columns)
{
	const struct weft_correlation *c = p->d->c;
	uint32_t width = weft_panel_width(columns);
	float *to = p->local->panel;

	for (uint32_t i = 0; i < p->terms; i++) {
		const struct term *t = &p->term[i];
		const float *from =
			c->weight + (ptrdiff_t)p->group * c->weight_group + (ptrdiff_t)t->tap[0] * c->weight_stride[0] +
			(ptrdiff_t)t->tap[1] * c->weight_stride[1] + (ptrdiff_t)t->channel * c->weight_stride[2] +
			(ptrdiff_t)column * c->weight_stride[3];

		WEFT_KERNEL(weft_pack_panel)
		(to, width, from, c->weight_stride[2], c->weight_stride[3], t->length, columns);
		to += (size_t)t->length * width;
	}
}

static void run_block(struct piece *p, bool first, bool last)
{
	const struct weft_correlation *c = p->d->c;
	struct weft_tile_run run[WEFT_SUM_CONV];
	struct weft_epilogue epilogue = c->epilogue;
	struct weft_tile tile = {.runs = run,
				 .b = p->local->panel,
				 .add = !first || c->accumulate,
				 .scale = 1,
				 .epilogue = last && c->finish ? &epilogue : NULL};
	uint32_t height = weft_tile_height(p->positions);

	if (p->d->mode == MODE_GATHER)
		gather_all(p);
	tile.run_count = make_runs(p, run);
	for (uint32_t column = 0; column < c->columns; column += WEFT_TILE_COLUMNS) {
		tile.columns = weft_min(c->columns - column, WEFT_TILE_COLUMNS);
		tile.b_step = weft_panel_width(tile.columns);
		tile.c_offset = column;
		if (c->epilogue.bias)
			epilogue.bias = c->epilogue.bias + (size_t)p->group * c->columns + column;
		pack_weights(p, column, tile.columns);
		for (uint32_t i = 0; i < p->positions; i += height) {
			tile.a = p->local->a + i;
			tile.c = p->local->c + i;
			weft_tile_run(&tile, WEFT_TILE_ROW_FORM, weft_min(p->positions - i, height));
		}
	}
}

static void run_piece(void *argument, unsigned int index, unsigned int lane)
{
	const struct division *d = argument;
	const struct weft_correlation *c = d->c;
	struct piece p = {.d = d, .local = weft_engine_local(c->unit, lane)};
	uint64_t terms = (uint64_t)c->axis[0].kernel * c->axis[1].kernel * c->channels;
	uint64_t blocks = (terms + WEFT_SUM_CONV - 1) / WEFT_SUM_CONV, last = blocks;
	bool first = true;

	p.first[2] = index % d->column_pieces * d->columns;
	index /= d->column_pieces;
	p.first[1] = index % d->row_pieces * d->rows;
	index /= d->row_pieces;
	p.first[0] = index % d->sample_pieces * d->samples;
	p.group = index / d->sample_pieces;
	p.count[0] = weft_min(c->batch - p.first[0], d->samples);
	p.count[1] = weft_min(c->axis[0].grid - p.first[1], d->rows);
	p.count[2] = weft_min(c->axis[1].grid - p.first[2], d->columns);
	p.positions = p.count[0] * p.count[1] * p.count[2];
	point(&p);
	if (d->mode == MODE_BOX)
		copy_boxes(&p);
	/* The last block with terms finishes; without any, an empty block stores the zeros. */
	while (last && !list_terms(&p, last - 1))
		last--;
	if (!last)
		run_block(&p, true, true);
	for (uint64_t block = 0; block < last; block++) {
		if (!list_terms(&p, block))
			continue;
		run_block(&p, first, block + 1 == last);
		first = false;
	}
}

void WEFT_KERNEL(weft_correlate)(const struct weft_correlation *correlation)
{
	struct division d;

	divide(&d, correlation);
	weft_engine_parallel(correlation->unit, (unsigned int)pieces_of(&d), run_piece, &d);
}
