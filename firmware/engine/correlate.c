// SPDX-License-Identifier: MIT
/*
 * Correlations with many channels, as an indirect matrix product: a row of a
 * tile is a position, which is a pointer into the source; a tap is an offset
 * from it that is the same for all positions.
 *
 * A piece is a box of positions of some samples of one group.  Its positions
 * are sorted into classes whose members have the same taps inside the source
 * (the interior, the edges, the corners), so that a tile never multiplies by
 * padding, and nothing is copied but the weights.
 */
#include "conv.h"

#define MAX_POSITIONS 4096
/** Floats of the source under a piece, so that it stays in the second-level cache beside the panel. */
#define TARGET (128 * 1024)

/* Positions with the same taps: those of [low, high) on both axes. */
struct class
{
	uint32_t first, count;
	uint32_t low[2], high[2];
	/** A total has been stored. */
	bool started;
};

struct local {
	float panel[WEFT_SUM_CONV * WEFT_TILE_COLUMNS];
	const float *a[MAX_POSITIONS];
	float *c[MAX_POSITIONS];
	struct class class[MAX_POSITIONS];
};
_Static_assert(sizeof(struct local) <= WEFT_LANE_LOCAL_BYTES, "local memory");

/* How a correlation is cut into pieces. */
struct division {
	const struct weft_correlation *c;
	uint32_t samples, rows, columns;
	uint32_t sample_pieces, row_pieces, column_pieces;
};

/* Terms of one tap within one block. */
struct term {
	uint32_t tap[2];
	int64_t offset[2];
	uint32_t channel, length;
	/** Row of the panel where its weights begin. */
	uint32_t depth;
};

struct piece {
	const struct division *d;
	struct local *local;
	uint32_t group, first[3], count[3];
	uint32_t classes;
	uint32_t terms;
	struct term term[WEFT_SUM_CONV];
};

static uint32_t divide_up(uint32_t a, uint32_t b)
{
	return (a + b - 1) / b;
}

static bool fits(const struct division *d, uint32_t samples, uint32_t rows, uint32_t columns)
{
	const struct weft_correlation *c = d->c;
	uint64_t pixels = (uint64_t)samples * rows * columns;

	return pixels <= MAX_POSITIONS && pixels * c->axis[0].step * c->axis[1].step * c->channels <= TARGET;
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

	*d = (struct division){.c = c, .samples = 1, .rows = c->axis[0].grid, .columns = c->axis[1].grid};
	while (d->rows > 1 && !fits(d, 1, d->rows, d->columns))
		d->rows = (d->rows + 1) / 2;
	while (d->columns > 4 * WEFT_TILE_ROWS && !fits(d, 1, d->rows, d->columns))
		d->columns = (d->columns + 1) / 2;
	while (d->rows == c->axis[0].grid && d->columns == c->axis[1].grid && d->samples < c->batch &&
	       fits(d, d->samples + 1, d->rows, d->columns))
		d->samples++;
	d->samples = divide_up(c->batch, divide_up(c->batch, d->samples));
	d->rows = divide_up(c->axis[0].grid, divide_up(c->axis[0].grid, d->rows));
	count_pieces(d);
	while (lanes > 1 && pieces_of(d) < 3 * lanes && (d->samples > 1 || d->rows > 4)) {
		if (d->samples > 1)
			d->samples = (d->samples + 1) / 2;
		else
			d->rows = (d->rows + 1) / 2;
		count_pieces(d);
	}
}

/* Where each position of a class reads (less the offset of the tap) and writes. */
static void point(const struct piece *p, struct class *class, const uint32_t begin[2], const uint32_t end[2])
{
	const struct weft_correlation *c = p->d->c;
	uint32_t at = class->first;

	for (uint32_t n = p->first[0]; n < p->first[0] + p->count[0]; n++) {
		for (uint32_t i = begin[0]; i < end[0]; i++) {
			const float *in = c->source + (ptrdiff_t)n * c->source_stride[0] +
					  (ptrdiff_t)i * c->axis[0].step * c->source_stride[1] +
					  (ptrdiff_t)p->group * c->channels;
			float *out = c->output + (ptrdiff_t)n * c->output_stride[0] +
				     (ptrdiff_t)i * c->output_stride[1] + (ptrdiff_t)p->group * c->columns;
			ptrdiff_t step = c->source_stride[2] * (ptrdiff_t)c->axis[1].step;

			for (uint32_t j = begin[1]; j < end[1]; j++, at++) {
				p->local->a[at] = in + (ptrdiff_t)j * step;
				p->local->c[at] = out + (ptrdiff_t)j * c->output_stride[2];
			}
		}
	}
	class->count = at - class->first;
}

static void classify(struct piece *p)
{
	const struct weft_correlation *c = p->d->c;
	const uint32_t last[2] = {p->first[1] + p->count[1], p->first[2] + p->count[2]};
	uint32_t begin[2], end[2], position = 0;

	p->classes = 0;
	for (begin[0] = p->first[1]; begin[0] < last[0]; begin[0] = end[0]) {
		uint32_t low, high;

		end[0] = WEFT_KERNEL(weft_axis_same_taps)(&c->axis[0], begin[0], last[0], &low, &high);
		for (begin[1] = p->first[2]; begin[1] < last[1]; begin[1] = end[1]) {
			struct class *class = &p->local->class[p->classes++];

			*class = (struct class){.first = position, .low = {low}, .high = {high}};
			end[1] = WEFT_KERNEL(weft_axis_same_taps)(&c->axis[1], begin[1], last[1], &class->low[1],
								  &class->high[1]);
			point(p, class, begin, end);
			position += class->count;
		}
	}
}

/* The terms of block @block, of taps that take part; false: none. */
static bool list_terms(struct piece *p, uint64_t block)
{
	const struct weft_correlation *c = p->d->c;
	uint64_t begin = block * WEFT_SUM_CONV, end = begin + WEFT_SUM_CONV;
	uint64_t last = (uint64_t)c->axis[0].kernel * c->axis[1].kernel * c->channels;
	uint32_t depth = 0;

	end = end < last ? end : last;
	p->terms = 0;
	while (begin < end) {
		uint64_t tap = begin / c->channels, next = (tap + 1) * c->channels;
		struct term t = {.tap = {(uint32_t)(tap / c->axis[1].kernel), (uint32_t)(tap % c->axis[1].kernel)},
				 .channel = (uint32_t)(begin % c->channels),
				 .depth = depth};

		next = next < end ? next : end;
		t.length = (uint32_t)(next - begin);
		begin = next;
		if (!weft_axis_tap(&c->axis[0], t.tap[0], &t.offset[0]) ||
		    !weft_axis_tap(&c->axis[1], t.tap[1], &t.offset[1]))
			continue;
		depth += t.length;
		p->term[p->terms++] = t;
	}
	return p->terms != 0;
}

/* The terms of a class; neighbouring taps whose channels follow one another make one run. */
static uint32_t make_runs(const struct piece *p, const struct class *class, struct weft_tile_run *run)
{
	const struct weft_correlation *c = p->d->c;
	uint32_t runs = 0;

	for (uint32_t i = 0; i < p->terms; i++) {
		const struct term *t = &p->term[i];
		ptrdiff_t offset = (ptrdiff_t)t->offset[0] * c->source_stride[1] +
				   (ptrdiff_t)t->offset[1] * c->source_stride[2] + t->channel;
		struct weft_tile_run *before = runs ? &run[runs - 1] : NULL;

		if (t->tap[0] < class->low[0] || t->tap[0] >= class->high[0] || t->tap[1] < class->low[1] ||
		    t->tap[1] >= class->high[1])
			continue;
		if (before && before->offset + before->length == offset && before->depth + before->length == t->depth)
			before->length += t->length;
		else
			run[runs++] = (struct weft_tile_run){.offset = offset, .depth = t->depth, .length = t->length};
	}
	return runs;
}

static void pack_weights(const struct piece *p, uint32_t column, uint32_t columns)
{
	const struct weft_correlation *c = p->d->c;
	uint32_t width = weft_panel_width(columns);

	for (uint32_t i = 0; i < p->terms; i++) {
		const struct term *t = &p->term[i];
		const float *from =
			c->weight + (ptrdiff_t)p->group * c->weight_group + (ptrdiff_t)t->tap[0] * c->weight_stride[0] +
			(ptrdiff_t)t->tap[1] * c->weight_stride[1] + (ptrdiff_t)t->channel * c->weight_stride[2] +
			(ptrdiff_t)column * c->weight_stride[3];

		WEFT_KERNEL(weft_pack_panel)
		(p->local->panel + (size_t)t->depth * width, width, from, c->weight_stride[2], c->weight_stride[3],
		 t->length, columns);
	}
}

static void run_class(const struct piece *p, struct weft_tile *tile, const struct class *class, bool last)
{
	const struct weft_correlation *c = p->d->c;
	struct weft_tile_run run[WEFT_SUM_CONV];
	uint32_t height = weft_tile_height(class->count, tile->columns);

	tile->runs = run;
	tile->run_count = make_runs(p, class, run);
	tile->add = class->started || c->accumulate;
	/* Nothing to add, nothing to store for the first or the last time. */
	if (!tile->run_count && tile->add && !(last && c->finish))
		return;
	for (uint32_t i = 0; i < class->count; i += height) {
		tile->a = p->local->a + class->first + i;
		tile->c = p->local->c + class->first + i;
		weft_tile_run(tile, WEFT_TILE_ROW_FORM, weft_min(class->count - i, height));
	}
}

static void run_block(struct piece *p, bool last)
{
	const struct weft_correlation *c = p->d->c;
	struct weft_epilogue epilogue = c->epilogue;
	struct weft_tile tile = {.b = p->local->panel, .scale = 1, .epilogue = last && c->finish ? &epilogue : NULL};

	for (uint32_t column = 0; column < c->columns; column += WEFT_TILE_COLUMNS) {
		tile.columns = weft_min(c->columns - column, WEFT_TILE_COLUMNS);
		tile.b_step = weft_panel_width(tile.columns);
		tile.c_offset = column;
		if (c->epilogue.bias)
			epilogue.bias = c->epilogue.bias + (size_t)p->group * c->columns + column;
		pack_weights(p, column, tile.columns);
		for (uint32_t i = 0; i < p->classes; i++)
			run_class(p, &tile, &p->local->class[i], last);
	}
	for (uint32_t i = 0; i < p->classes; i++)
		p->local->class[i].started = true;
}

/* What no tap meets, as between the strides of a data gradient. */
static void store_zeros(const struct piece *p)
{
	for (uint32_t i = 0; i < p->classes; i++) {
		const struct class *class = &p->local->class[i];

		for (uint32_t at = class->first; at < class->first + class->count; at++)
			weft_zero_floats(p->local->c[at], p->d->c->columns);
	}
}

static void run_piece(void *argument, unsigned int index, unsigned int lane)
{
	const struct division *d = argument;
	const struct weft_correlation *c = d->c;
	struct piece p = {.d = d, .local = weft_engine_local(c->unit, lane)};
	uint64_t terms = (uint64_t)c->axis[0].kernel * c->axis[1].kernel * c->channels;
	uint64_t last = (terms + WEFT_SUM_CONV - 1) / WEFT_SUM_CONV;

	p.first[2] = index % d->column_pieces * d->columns;
	index /= d->column_pieces;
	p.first[1] = index % d->row_pieces * d->rows;
	index /= d->row_pieces;
	p.first[0] = index % d->sample_pieces * d->samples;
	p.group = index / d->sample_pieces;
	p.count[0] = weft_min(c->batch - p.first[0], d->samples);
	p.count[1] = weft_min(c->axis[0].grid - p.first[1], d->rows);
	p.count[2] = weft_min(c->axis[1].grid - p.first[2], d->columns);
	classify(&p);
	/* The last block with terms finishes; without any, an empty block stores the zeros. */
	while (last && !list_terms(&p, last - 1))
		last--;
	if (!last && c->finish)
		run_block(&p, true);
	else if (!last && !c->accumulate)
		store_zeros(&p);
	for (uint64_t block = 0; block < last; block++)
		if (list_terms(&p, block))
			run_block(&p, block + 1 == last);
}

void WEFT_KERNEL(weft_correlate)(const struct weft_correlation *correlation)
{
	struct division d;

	divide(&d, correlation);
	weft_engine_parallel(correlation->unit, (unsigned int)pieces_of(&d), run_piece, &d);
}
