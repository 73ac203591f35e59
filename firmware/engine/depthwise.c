// SPDX-License-Identifier: MIT
/*
 * Depthwise convolutions: one channel and one column per group, so vectors run
 * along the groups, and what limits is loading, not multiplying.
 */
#include "conv.h"

/** Positions whose sums are held in registers together: a weight is loaded once for all of them. */
#define STRIP 8
/** Rows of a piece. */
#define BAND 16
/** Widest rows of taps that share their pixels. */
#define MAX_WIDTH 5
/** Floats of a cache line. */
#define LINE 16
/** Taps whose sums are held in registers together in the weight gradient. */
#define MAX_TAPS 9
/** Vectors of channels that a piece of the weight gradient covers. */
#define VECTORS 8

static const float zeros[VF_WIDTH];

static uint32_t divide_up(uint32_t a, uint32_t b)
{
	return (a + b - 1) / b;
}

VF_INLINE vf load_channels(const float *p, uint32_t n)
{
	return n == VF_WIDTH ? vf_load(p) : vf_load_n(p, n);
}

/* Taps of one block that the positions of an interval share. */
struct tap_list {
	const struct weft_correlation *c;
	uint32_t count;
	/** The total is in the output already; this block is the last. */
	bool add, last;
	/** There is a next row of positions; from a position's source to the row that it will be first to meet. */
	bool fetch_any;
	ptrdiff_t fetch;
	/** The taps are whole rows of the kernel, whose pixels are neighbours: this wide (0: not so), and to the left.
	 */
	uint32_t width;
	bool descending;
	/** From a position's source, and from the first weight. */
	ptrdiff_t source[WEFT_SUM_CONV], weight[WEFT_SUM_CONV];
};

/* Taps one by one: what each position meets is loaded for each tap. */
VF_INLINE void sum_taps(const struct tap_list *list, const float *source, uint32_t channel, uint32_t channels,
			vf sum[STRIP], const uint32_t count)
{
	const float *weight = list->c->weight + channel;
	ptrdiff_t step = list->c->source_stride[2] * (ptrdiff_t)list->c->axis[1].step;

	for (uint32_t t = 0; t < list->count; t++) {
		const float *from = source + list->source[t];
		vf w = load_channels(weight + list->weight[t], channels);

#pragma GCC unroll 8
		for (uint32_t i = 0; i < count; i++, from += step)
			sum[i] = vf_fma(load_channels(from, channels), w, sum[i]);
	}
}

/*
 * Rows of @width taps on neighbouring pixels: each pixel is loaded once and
 * serves all positions that it meets, which see their taps in order all the
 * same.  Where taps go to the left, so do pixels and positions: sum[0] is that of the last.
 */
VF_INLINE void sum_rows(const struct tap_list *list, const float *source, uint32_t channel, uint32_t channels,
			vf sum[STRIP], const uint32_t count, const uint32_t width)
{
	const float *weight = list->c->weight + channel;
	ptrdiff_t step = list->descending ? -list->c->source_stride[2] : list->c->source_stride[2];

	if (list->descending)
		source -= (ptrdiff_t)(count - 1) * step;
	for (uint32_t t = 0; t < list->count; t += width) {
		const float *from = source + list->source[t];
		vf w[MAX_WIDTH];

#pragma GCC unroll 5
		for (uint32_t k = 0; k < width; k++)
			w[k] = load_channels(weight + list->weight[t + k], channels);
#pragma GCC unroll 12
		for (uint32_t j = 0; j < count + width - 1; j++, from += step) {
			vf x = load_channels(from, channels);

#pragma GCC unroll 5
			for (uint32_t k = 0; k < width; k++)
				if (j >= k && j - k < count)
					sum[j - k] = vf_fma(x, w[k], sum[j - k]);
		}
	}
}

/* Reads and writes of the next row: too many streams for the hardware to follow. */
VF_INLINE void fetch_next(const struct tap_list *list, const float *source, const float *out, const uint32_t count)
{
	const struct weft_correlation *c = list->c;
	ptrdiff_t step = c->source_stride[2] * (ptrdiff_t)c->axis[1].step;

	source += list->fetch;
	out += c->output_stride[1];
#pragma GCC unroll 8
	for (uint32_t i = 0; i < count; i++, source += step, out += c->output_stride[2]) {
		__builtin_prefetch(source, 0, 2);
		__builtin_prefetch(out, 1, 2);
	}
}

/* @count positions along a row from @source and @out on, for one vector of channels. */
VF_INLINE void run_strip(const struct tap_list *list, const float *source, float *out, uint32_t channel,
			 uint32_t channels, const uint32_t count)
{
	const struct weft_correlation *c = list->c;
	const struct weft_epilogue *e = &c->epilogue;
	ptrdiff_t out_step = c->output_stride[2];
	vf sum[STRIP];

	if (list->fetch_any && channel % LINE == 0)
		fetch_next(list, source, out, count);
#pragma GCC unroll 8
	for (uint32_t i = 0; i < count; i++)
		sum[i] = vf_zero();
	if (count > 1 && list->width == 3)
		sum_rows(list, source, channel, channels, sum, count, 3);
	else if (count > 1 && list->width == 5)
		sum_rows(list, source, channel, channels, sum, count, 5);
	else
		sum_taps(list, source, channel, channels, sum, count);
	if (count > 1 && list->width && list->descending) {
		out += (ptrdiff_t)(count - 1) * out_step;
		out_step = -out_step;
	}
#pragma GCC unroll 8
	for (uint32_t i = 0; i < count; i++, out += out_step) {
		vf total = list->add ? load_channels(out, channels) : vf_zero();

		if (list->count)
			total = total + sum[i];
		if (list->last && c->finish) {
			if (e->bias)
				total = total + load_channels(e->bias + channel, channels);
			total = vf_activate(total, e->activation, e->alpha, e->beta);
		}
		if (channels == VF_WIDTH)
			vf_store(out, total);
		else
			vf_store_n(out, total, channels);
	}
}

static void run_strip_of(const struct tap_list *list, const float *source, float *out, uint32_t count)
{
	uint32_t groups = list->c->groups, channel = 0;

	for (; channel + VF_WIDTH <= groups; channel += VF_WIDTH) {
		if (count == STRIP)
			run_strip(list, source + channel, out + channel, channel, VF_WIDTH, STRIP);
		else if (count == STRIP / 2)
			run_strip(list, source + channel, out + channel, channel, VF_WIDTH, STRIP / 2);
		else
			run_strip(list, source + channel, out + channel, channel, VF_WIDTH, 1);
	}
	if (channel == groups)
		return;
	if (count == STRIP)
		run_strip(list, source + channel, out + channel, channel, groups - channel, STRIP);
	else if (count == STRIP / 2)
		run_strip(list, source + channel, out + channel, channel, groups - channel, STRIP / 2);
	else
		run_strip(list, source + channel, out + channel, channel, groups - channel, 1);
}

/* The taps of block @block among rows and columns [low, high) of the kernel. */
static void list_taps(struct tap_list *list, const uint32_t low[2], const uint32_t high[2], uint64_t block)
{
	const struct weft_correlation *c = list->c;

	list->count = 0;
	for (uint32_t kh = low[0]; kh < high[0]; kh++) {
		int64_t row, column;

		if (!weft_axis_tap(&c->axis[0], kh, &row))
			continue;
		for (uint32_t kw = low[1]; kw < high[1]; kw++) {
			if (((uint64_t)kh * c->axis[1].kernel + kw) / WEFT_SUM_CONV != block ||
			    !weft_axis_tap(&c->axis[1], kw, &column))
				continue;
			list->source[list->count] =
				(ptrdiff_t)row * c->source_stride[1] + (ptrdiff_t)column * c->source_stride[2];
			list->weight[list->count++] =
				(ptrdiff_t)kh * c->weight_stride[0] + (ptrdiff_t)kw * c->weight_stride[1];
		}
	}
}

/* Whether the taps are whole rows of neighbouring pixels, and what the next row of positions will meet. */
static void survey_taps(struct tap_list *list, uint32_t row)
{
	const struct weft_correlation *c = list->c;
	ptrdiff_t pixel = c->source_stride[2], step;
	uint32_t width = c->axis[1].kernel;

	list->fetch_any = list->count && row + 1 < c->axis[0].grid;
	list->width = 0;
	list->descending = false;
	list->fetch = 0;
	if (!list->count)
		return;
	list->fetch = list->source[0] > list->source[list->count - 1] ? list->source[0] : list->source[list->count - 1];
	list->fetch += (ptrdiff_t)c->axis[0].step * c->source_stride[1];
	if ((width != 3 && width != 5) || list->count % width || c->axis[1].step != 1)
		return;
	step = list->source[1] - list->source[0];
	list->descending = step == -pixel;
	if (step != pixel && step != -pixel)
		return;
	for (uint32_t t = 0; t < list->count; t++)
		if (t % width && list->source[t] - list->source[t - 1] != step)
			return;
	list->width = width;
}

/* Positions [begin, end) of one row, which share the taps within [low, high). */
static void run_interval(const struct weft_correlation *c, uint32_t n, uint32_t row, uint32_t begin, uint32_t end,
			 const uint32_t low[2], const uint32_t high[2])
{
	bool any = high[0] && high[1];
	uint64_t width = c->axis[1].kernel, first = any ? (low[0] * width + low[1]) / WEFT_SUM_CONV : 0;
	uint64_t last = any ? ((high[0] - 1) * width + high[1] - 1) / WEFT_SUM_CONV : 0;
	struct tap_list list;

	/* The lists are long, and filled as far as they are used. */
	list.c = c;
	list.add = c->accumulate;
	for (uint64_t block = first; block <= last; block++) {
		const float *source = c->source + (ptrdiff_t)n * c->source_stride[0] +
				      (ptrdiff_t)row * c->axis[0].step * c->source_stride[1];
		float *out = c->output + (ptrdiff_t)n * c->output_stride[0] + (ptrdiff_t)row * c->output_stride[1];

		list_taps(&list, low, any ? high : low, block);
		survey_taps(&list, row);
		list.last = block == last;
		for (uint32_t at = begin; at < end;) {
			uint32_t count = end - at >= STRIP ? STRIP : end - at >= STRIP / 2 ? STRIP / 2 : 1;

			run_strip_of(&list, source + (ptrdiff_t)at * c->axis[1].step * c->source_stride[2],
				     out + (ptrdiff_t)at * c->output_stride[2], count);
			at += count;
		}
		list.add = true;
	}
}

static void run_row(const struct weft_correlation *c, uint32_t n, uint32_t row)
{
	uint32_t end, low[2], high[2];

	WEFT_KERNEL(weft_axis_same_taps)(&c->axis[0], row, row + 1, &low[0], &high[0]);
	for (uint32_t begin = 0; begin < c->axis[1].grid; begin = end) {
		end = WEFT_KERNEL(weft_axis_same_taps)(&c->axis[1], begin, c->axis[1].grid, &low[1], &high[1]);
		run_interval(c, n, row, begin, end, low, high);
	}
}

/* Neighbouring rows of a sample, which mostly meet the same rows of the source. */
struct bands {
	const struct weft_correlation *c;
	uint32_t rows, count;
};

static void run_band(void *argument, unsigned int index, unsigned int lane)
{
	const struct bands *b = argument;
	uint32_t first = index % b->count * b->rows, last = weft_min(b->c->axis[0].grid, first + b->rows);

	(void)lane;
	for (uint32_t row = first; row < last; row++)
		run_row(b->c, index / b->count, row);
}

void WEFT_KERNEL(weft_correlate_depthwise)(const struct weft_correlation *correlation)
{
	struct bands b = {.c = correlation, .rows = weft_min(correlation->axis[0].grid, BAND)};

	b.count = divide_up(b.c->axis[0].grid, b.rows);
	weft_engine_parallel(b.c->unit, b.c->batch * b.count, run_band, &b);
}

/* Some taps of the weight gradient of one vector of channels. */
struct taps {
	const struct weft_conv_weight *c;
	uint32_t channel, channels, count;
	/** Channels of the piece, from @channel on; @channels is those of the present vector. */
	uint32_t all_channels;
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

/* A block of every vector of the piece. */
static void add_vectors(const struct taps *piece, struct line *line, uint32_t n, uint32_t row, uint32_t rows)
{
	struct taps t = *piece;

	for (uint32_t done = 0; done < piece->all_channels; done += VF_WIDTH) {
		t.channel = piece->channel + done;
		t.channels = weft_min(piece->all_channels - done, VF_WIDTH);
		for (uint32_t i = 0; i < t.count; i++)
			t.dw[i] = piece->dw[i] + done;
		add_block_of(&t, line, n, row, rows);
	}
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
			weft_zero_floats(t->dw[i], t->all_channels);
	for (uint32_t n = 0; n < dims[0]; n++) {
		for (uint32_t row = 0; row < dims[1]; row += c->block_rows) {
			for (uint32_t left = 0; left < dims[2]; left += c->block_columns) {
				line.begin = left;
				line.end = left + weft_min(dims[2] - left, c->block_columns);
				find_inner(t, &line);
				add_vectors(t, &line, n, row, weft_min(dims[1] - row, c->block_rows));
			}
		}
	}
}

/* Taps summed together: a whole small kernel, or part of a row of a large one. */
static uint32_t taps_together(uint32_t kernel_width, uint32_t taps)
{
	return taps <= MAX_TAPS ? taps : weft_min(kernel_width, MAX_TAPS);
}

static void run_piece(void *argument, unsigned int index, unsigned int lane)
{
	const struct weft_conv_weight *c = argument;
	const union weft_params *p = c->params;
	uint32_t width = c->dwt->dims[1], taps = c->dwt->dims[0] * width, together = taps_together(width, taps);
	uint32_t pieces = divide_up(p->conv.groups, VECTORS * VF_WIDTH), first = index / pieces * together;
	struct taps t = {
		.c = c, .channel = index % pieces * VECTORS * VF_WIDTH, .count = weft_min(taps - first, together)};

	(void)lane;
	t.all_channels = weft_min(p->conv.groups - t.channel, VECTORS * VF_WIDTH);
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
				     divide_up(conv->params->conv.groups, VECTORS * VF_WIDTH),
			     run_piece, (void *)conv);
}
