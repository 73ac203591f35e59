// SPDX-License-Identifier: MIT
/*
 * Depthwise convolutions: one channel and one column per group, so vectors run
 * along the groups, and what limits is loading, not multiplying.
 */
#include "conv.h"

/** Positions whose sums are held in registers together: a weight is loaded once for all of them. */
#define STRIP 6
/** Taps whose sums are held in registers together in the weight gradient. */
#define MAX_TAPS 9

static const float zeros[VF_WIDTH];

static uint32_t divide_up(uint32_t a, uint32_t b)
{
	return (a + b - 1) / b;
}

/* A strip of positions along one row. */
struct strip {
	const struct weft_correlation *c;
	/** The sample's source. */
	const float *source;
	float *out;
	const float *weight;
	uint32_t row, column, channel, channels;
};

VF_INLINE vf load_channels(const float *p, uint32_t n)
{
	return n == VF_WIDTH ? vf_load(p) : vf_load_n(p, n);
}

/* One tap of every position of the strip, all of which are inside the source. */
VF_INLINE void add_tap(const struct strip *s, const float *from, vf weight, vf sum[STRIP], const uint32_t count,
		       const bool whole)
{
	const struct weft_correlation *c = s->c;
	ptrdiff_t step = c->source_stride[2] * (ptrdiff_t)c->axis[1].step;

#pragma GCC unroll 8
	for (uint32_t i = 0; i < count; i++, from += step)
		sum[i] = vf_fma(whole ? vf_load(from) : vf_load_n(from, s->channels), weight, sum[i]);
}

/* Whether all of the strip's positions have the same taps inside the source's columns. */
static bool uniform(const struct strip *s, uint32_t count)
{
	const struct weft_axis *axis = &s->c->axis[1];

	for (uint32_t kw = 0; kw < axis->kernel; kw++) {
		int64_t offset, first, last;

		if (!weft_axis_tap(axis, kw, &offset))
			continue;
		first = (int64_t)s->column * axis->step + offset;
		last = first + (int64_t)(count - 1) * axis->step;
		if (last >= 0 && first < axis->source && (first < 0 || last >= axis->source))
			return false;
	}
	return true;
}

VF_INLINE void store_strip(const struct strip *s, const vf total[STRIP], const uint32_t count)
{
	const struct weft_correlation *c = s->c;
	const struct weft_epilogue *e = &c->epilogue;

#pragma GCC unroll 8
	for (uint32_t i = 0; i < count; i++) {
		float *out = s->out + (ptrdiff_t)i * c->output_stride[2];
		vf v = total[i];

		if (c->finish) {
			if (e->bias)
				v = v + vf_load_n(e->bias + s->channel, s->channels);
			v = vf_activate(v, e->activation, e->alpha, e->beta);
		}
		vf_store_n(out, v, s->channels);
	}
}

VF_INLINE void end_block(vf total[STRIP], vf sum[STRIP], const uint32_t count)
{
#pragma GCC unroll 8
	for (uint32_t i = 0; i < count; i++) {
		total[i] = total[i] + sum[i];
		sum[i] = vf_zero();
	}
}

VF_INLINE void run_strip(const struct strip *s, const uint32_t count, const bool whole)
{
	const struct weft_correlation *c = s->c;
	vf total[STRIP], sum[STRIP];
	uint32_t tap = 0, block = 0;
	bool any = false;

#pragma GCC unroll 8
	for (uint32_t i = 0; i < count; i++) {
		sum[i] = vf_zero();
		total[i] =
			c->accumulate ? vf_load_n(s->out + (ptrdiff_t)i * c->output_stride[2], s->channels) : vf_zero();
	}
	for (uint32_t kh = 0; kh < c->axis[0].kernel; kh++, tap += c->axis[1].kernel) {
		int64_t row, column;
		const float *weight = s->weight + (ptrdiff_t)kh * c->weight_stride[0];

		if (!weft_axis_tap(&c->axis[0], kh, &row))
			continue;
		row += (int64_t)s->row * c->axis[0].step;
		if (row < 0 || row >= c->axis[0].source)
			continue;
		for (uint32_t kw = 0; kw < c->axis[1].kernel; kw++) {
			if (!weft_axis_tap(&c->axis[1], kw, &column))
				continue;
			column += (int64_t)s->column * c->axis[1].step;
			if (column < 0 || column >= c->axis[1].source)
				continue;
			if (any && (tap + kw) / WEFT_SUM_CONV != block)
				end_block(total, sum, count);
			block = (tap + kw) / WEFT_SUM_CONV;
			any = true;
			add_tap(s,
				s->source + (ptrdiff_t)row * c->source_stride[1] +
					(ptrdiff_t)column * c->source_stride[2],
				load_channels(weight + (ptrdiff_t)kw * c->weight_stride[1], s->channels), sum, count,
				whole);
		}
	}
	if (any)
		end_block(total, sum, count);
	store_strip(s, total, count);
}

static void run_row(void *argument, unsigned int index, unsigned int lane)
{
	const struct weft_correlation *c = argument;
	uint32_t row = index % c->axis[0].grid, n = index / c->axis[0].grid;
	struct strip s = {.c = c, .row = row};

	(void)lane;
	for (s.column = 0; s.column < c->axis[1].grid;) {
		uint32_t left = c->axis[1].grid - s.column, count = left >= STRIP && uniform(&s, STRIP) ? STRIP : 1;

		for (s.channel = 0; s.channel < c->groups; s.channel += VF_WIDTH) {
			s.channels = weft_min(c->groups - s.channel, VF_WIDTH);
			s.source = c->source + (ptrdiff_t)n * c->source_stride[0] + s.channel;
			s.weight = c->weight + s.channel;
			s.out = c->output + (ptrdiff_t)n * c->output_stride[0] + (ptrdiff_t)row * c->output_stride[1] +
				(ptrdiff_t)s.column * c->output_stride[2] + s.channel;
			if (count == STRIP && s.channels == VF_WIDTH)
				run_strip(&s, STRIP, true);
			else if (count == STRIP)
				run_strip(&s, STRIP, false);
			else
				run_strip(&s, 1, s.channels == VF_WIDTH);
		}
		s.column += count;
	}
}

void WEFT_KERNEL(weft_correlate_depthwise)(const struct weft_correlation *correlation)
{
	weft_engine_parallel(correlation->unit, correlation->batch * correlation->axis[0].grid, run_row,
			     (void *)correlation);
}

/* Some taps of the weight gradient of one vector of channels. */
struct taps {
	const struct weft_conv_weight *c;
	uint32_t channel, channels, count;
	int64_t row[MAX_TAPS], column[MAX_TAPS];
	float *dw[MAX_TAPS];
};

/* One row of a block, positions [begin, end), of which those in [inner, outer) meet no padding at the sides. */
struct line {
	const float *dy;
	ptrdiff_t dy_step;
	/** X's row under each tap, NULL in the padding. */
	const float *x[MAX_TAPS];
	ptrdiff_t x_step, x_pixel;
	uint32_t begin, inner, outer, end;
};

VF_INLINE void add_positions(const struct taps *t, const struct line *line, uint32_t begin, uint32_t end,
			     vf sum[MAX_TAPS], const uint32_t count, const bool checked)
{
	const float *dy = line->dy + (ptrdiff_t)begin * line->dy_step;
	const float *x[MAX_TAPS];
	ptrdiff_t step[MAX_TAPS];

#pragma GCC unroll 9
	for (uint32_t i = 0; i < count; i++) {
		x[i] = line->x[i]
			       ? line->x[i] + (ptrdiff_t)begin * line->x_step + (ptrdiff_t)t->column[i] * line->x_pixel
			       : zeros;
		step[i] = line->x[i] ? line->x_step : 0;
	}
	for (uint32_t p = begin; p < end; p++, dy += line->dy_step) {
		vf gradient = load_channels(dy, t->channels);

#pragma GCC unroll 9
		for (uint32_t i = 0; i < count; i++) {
			int64_t w = (int64_t)p * t->c->params->conv.stride[1] + t->column[i];
			const float *from = checked && (w < 0 || w >= t->c->xt->dims[2]) ? zeros : x[i];

			sum[i] = vf_fma(load_channels(from, t->channels), gradient, sum[i]);
			x[i] += step[i];
		}
	}
}

VF_INLINE void add_block(const struct taps *t, struct line *line, uint32_t n, uint32_t row, uint32_t rows,
			 const uint32_t count)
{
	const struct weft_conv_weight *c = t->c;
	vf sum[MAX_TAPS];

#pragma GCC unroll 9
	for (uint32_t i = 0; i < count; i++)
		sum[i] = vf_zero();
	for (uint32_t r = row; r < row + rows; r++) {
		line->dy = c->dy + (ptrdiff_t)n * c->dyt->strides[0] + (ptrdiff_t)r * c->dyt->strides[1] + t->channel;
		for (uint32_t i = 0; i < count; i++) {
			int64_t h = (int64_t)r * c->params->conv.stride[0] + t->row[i];

			line->x[i] = h < 0 || h >= c->xt->dims[1]
					     ? NULL
					     : c->x + (ptrdiff_t)n * c->xt->strides[0] +
						       (ptrdiff_t)h * c->xt->strides[1] + t->channel;
		}
		add_positions(t, line, line->begin, line->inner, sum, count, true);
		add_positions(t, line, line->inner, line->outer, sum, count, false);
		add_positions(t, line, line->outer, line->end, sum, count, true);
	}
#pragma GCC unroll 9
	for (uint32_t i = 0; i < count; i++)
		vf_store_n(t->dw[i], vf_load_n(t->dw[i], t->channels) + sum[i], t->channels);
}

static void add_block_of(const struct taps *t, struct line *line, uint32_t n, uint32_t row, uint32_t rows)
{
	switch (t->count) {
#define CASE(count)                                      \
	case count:                                      \
		add_block(t, line, n, row, rows, count); \
		break;
		CASE(1)
		CASE(2)
		CASE(3)
		CASE(4)
		CASE(5)
		CASE(6)
		CASE(7)
		CASE(8)
		CASE(9)
#undef CASE
	}
}

/* The positions [inner, outer) of a row at which no tap is in the padding. */
static void find_inner(const struct taps *t, struct line *line)
{
	const struct weft_conv_weight *c = t->c;
	int64_t stride = c->params->conv.stride[1], inner = 0, outer = c->dyt->dims[2];

	for (uint32_t i = 0; i < t->count; i++) {
		int64_t low = t->column[i] < 0 ? (-t->column[i] + stride - 1) / stride : 0;
		int64_t room = (int64_t)c->xt->dims[2] - 1 - t->column[i];
		int64_t high = room < 0 ? 0 : room / stride + 1;

		inner = low > inner ? low : inner;
		outer = high < outer ? high : outer;
	}
	inner = inner < line->begin ? line->begin : inner > line->end ? line->end : inner;
	outer = outer < inner ? inner : outer > line->end ? line->end : outer;
	line->inner = (uint32_t)inner;
	line->outer = (uint32_t)outer;
}

static void run_taps(const struct taps *t)
{
	const struct weft_conv_weight *c = t->c;
	const uint32_t *dims = c->dyt->dims;
	struct line line = {.dy_step = c->dyt->strides[2],
			    .x_pixel = c->xt->strides[2],
			    .x_step = (ptrdiff_t)c->xt->strides[2] * c->params->conv.stride[1]};

	if (!(c->params->conv.flags & WEFT_F_ACCUMULATE))
		for (uint32_t i = 0; i < t->count; i++)
			vf_store_n(t->dw[i], vf_zero(), t->channels);
	for (uint32_t n = 0; n < dims[0]; n++) {
		for (uint32_t row = 0; row < dims[1]; row += c->block_rows) {
			for (uint32_t left = 0; left < dims[2]; left += c->block_columns) {
				line.begin = left;
				line.end = left + weft_min(dims[2] - left, c->block_columns);
				find_inner(t, &line);
				add_block_of(t, &line, n, row, weft_min(dims[1] - row, c->block_rows));
			}
		}
	}
}

/* Taps summed together: a whole small kernel, or part of a row of a large one. */
static uint32_t taps_together(uint32_t kernel_width, uint32_t taps)
{
	return taps <= MAX_TAPS ? taps : weft_min(kernel_width, MAX_TAPS);
}

static void run_vector(void *argument, unsigned int index, unsigned int lane)
{
	const struct weft_conv_weight *c = argument;
	const union weft_params *p = c->params;
	uint32_t width = c->dwt->dims[1], taps = c->dwt->dims[0] * width, together = taps_together(width, taps);
	uint32_t vectors = divide_up(p->conv.groups, VF_WIDTH), first = index / vectors * together;
	struct taps t = {.c = c, .channel = index % vectors * VF_WIDTH, .count = weft_min(taps - first, together)};

	(void)lane;
	t.channels = weft_min(p->conv.groups - t.channel, VF_WIDTH);
	for (uint32_t i = 0; i < t.count; i++) {
		uint32_t kh = (first + i) / width, kw = (first + i) % width;

		t.row[i] = (int64_t)kh * p->conv.dilation[0] - p->conv.pad[0];
		t.column[i] = (int64_t)kw * p->conv.dilation[1] - p->conv.pad[1];
		t.dw[i] = c->dw + (ptrdiff_t)kh * c->dwt->strides[0] + (ptrdiff_t)kw * c->dwt->strides[1] + t.channel;
	}
	run_taps(&t);
}

void WEFT_KERNEL(weft_conv_weight_depthwise)(const struct weft_conv_weight *conv)
{
	uint32_t width = conv->dwt->dims[1], taps = conv->dwt->dims[0] * width;

	weft_engine_parallel(conv->unit,
			     divide_up(taps, taps_together(width, taps)) *
				     divide_up(conv->params->conv.groups, VF_WIDTH),
			     run_vector, (void *)conv);
}
