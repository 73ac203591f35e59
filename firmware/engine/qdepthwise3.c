// SPDX-License-Identifier: MIT
/*
 * Depthwise convolution with three by three taps, where an instruction multiplies
 * and adds four bytes: those of four neighbouring rows of a channel.  Three of
 * them are a window's; with a stride of one the same four serve two rows of
 * windows, whose weights stand one row apart.
 */
#include "qdepthwise.h"

#include <string.h>

#include "qtile.h"

#if defined(__AVX512F__)
#include <immintrin.h>

/** Channels of a block, in vectors of 32-bit sums. */
#define BLOCK 64
#define VECTORS 4
/** Bytes of a column: four rows. */
#define CELL (4 * BLOCK)
#define COLUMN_BYTES (448u << 10)
/** Windows between two finishing runs. */
#define WINDOWS 16

struct local {
	int32_t start[BLOCK], multiplier[BLOCK], shift[BLOCK], total[2][WINDOWS * BLOCK];
	/** Of the first and the second row of windows: for each column of taps a cell. */
	_Alignas(64) uint8_t weight[2][3][CELL];
	_Alignas(64) uint8_t column[COLUMN_BYTES];
};
_Static_assert(sizeof(struct local) <= WEFT_LANE_LOCAL_BYTES, "local memory");

struct depthwise {
	struct weft_engine_unit *unit;
	const struct weft_tensor *x, *w, *y;
	const uint8_t *x_at, *w_at;
	const int32_t *bias;
	uint8_t *y_at;
	const union weft_params *params;
	struct weft_multipliers multipliers;
	struct weft_qinput input;
	uint32_t blocks, row_pieces, piece_rows, segment;
	size_t y_bytes;
};

struct block {
	const struct depthwise *d;
	struct local *local;
	uint32_t channel, channels;
	struct weft_qfinish finish;
	const uint8_t *x;
	uint8_t *y;
};

static uint32_t least(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

/* Four rows of bytes as quads, sixteen channels after sixteen. */
WEFT_INTEGER_INLINE void store_cell(const __m512i row[4], uint8_t *to)
{
	/* Unpacking works within lanes: each gets four channels of every sixteen first. */
	const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
	__m512i r[4], low[2], high[2];

	for (unsigned int i = 0; i < 4; i++)
		r[i] = _mm512_permutexvar_epi32(order, row[i]);
	for (unsigned int i = 0; i < 2; i++) {
		low[i] = _mm512_unpacklo_epi8(r[2 * i], r[2 * i + 1]);
		high[i] = _mm512_unpackhi_epi8(r[2 * i], r[2 * i + 1]);
	}
	_mm512_store_si512(to, _mm512_unpacklo_epi16(low[0], low[1]));
	_mm512_store_si512(to + 64, _mm512_unpackhi_epi16(low[0], low[1]));
	_mm512_store_si512(to + 128, _mm512_unpacklo_epi16(high[0], high[1]));
	_mm512_store_si512(to + 192, _mm512_unpackhi_epi16(high[0], high[1]));
}

static __mmask64 mask_of(const struct block *b)
{
	return b->channels < BLOCK ? ((__mmask64)1 << b->channels) - 1 : ~(__mmask64)0;
}

/* Columns [@column, @column + @columns) of the four rows from @row on. */
static void set_columns(const struct block *b, int64_t row, int64_t column, uint64_t columns)
{
	const struct depthwise *d = b->d;
	const __m512i nothing = _mm512_set1_epi8((char)d->input.offset), flip = _mm512_set1_epi8((char)d->input.flip);
	const __mmask64 mask = mask_of(b);
	const uint8_t *side[4];
	uint8_t *to = b->local->column;

	for (unsigned int i = 0; i < 4; i++)
		side[i] =
			row + i >= 0 && row + i < d->x->dims[1] ? b->x + (ptrdiff_t)(row + i) * d->x->strides[1] : NULL;
	for (int64_t at = column; at < column + (int64_t)columns; at++, to += CELL) {
		const bool inside = at >= 0 && at < d->x->dims[2];
		__m512i r[4];

		for (unsigned int i = 0; i < 4; i++) {
			r[i] = nothing;
			if (inside && side[i])
				r[i] = _mm512_xor_si512(
					_mm512_maskz_loadu_epi8(mask, side[i] + (ptrdiff_t)at * d->x->strides[2]),
					flip);
		}
		store_cell(r, to);
	}
}

/* Weight of channel @c for tap (@h, @w) as a signed byte. */
static int8_t weight_at(const struct depthwise *d, uint32_t h, uint32_t w, uint32_t c)
{
	ptrdiff_t at = (ptrdiff_t)h * d->w->strides[0] + (ptrdiff_t)w * d->w->strides[1] + c;

	if (d->w->type == WEFT_TYPE_I4)
		return (int8_t)(((d->w_at[at >> 1] >> (at & 1 ? 4 : 0) & 15) ^ 8) - 8);
	return (int8_t)(d->w_at[at] ^ (d->w->type == WEFT_TYPE_U8 ? 0x80 : 0));
}

static void set_weights(const struct block *b)
{
	struct local *local = b->local;

	memset(local->weight, 0, sizeof(local->weight));
	for (uint32_t h = 0; h < 3; h++)
		for (uint32_t w = 0; w < 3; w++)
			for (uint32_t c = 0; c < b->channels; c++) {
				int8_t weight = weight_at(b->d, h, w, b->channel + c);

				local->weight[0][w][4 * c + h] = (uint8_t)weight;
				local->weight[1][w][4 * c + h + 1] = (uint8_t)weight;
				local->start[c] =
					(int32_t)((uint32_t)local->start[c] - (uint32_t)(b->d->input.offset * weight));
			}
}

static void set_channels(struct block *b)
{
	const struct depthwise *d = b->d;
	struct local *local = b->local;

	memset(local->start, 0, sizeof(local->start));
	if (d->bias)
		memcpy(local->start, d->bias + b->channel, b->channels * sizeof(*d->bias));
	b->finish = (struct weft_qfinish){
		.zero = d->y->zero_point, .low = d->params->qconv.low, .high = d->params->qconv.high};
	weft_qfinish_channels(&b->finish, &d->multipliers, b->channel, b->channels, local->multiplier, local->shift);
}

#pragma GCC push_options
#pragma GCC target("avx512vnni")
/* Sums of @count windows of one or two rows, whose columns are @apart bytes from one to the next. */
static void sum_windows(const struct block *b, const uint8_t *column, size_t apart, uint32_t count, uint32_t rows,
			int32_t *const total[2], size_t pitch)
{
	for (unsigned int v = 0; v < VECTORS; v++) {
		const __m512i start = _mm512_loadu_si512(b->local->start + 16 * v);
		const uint8_t *at = column + 64 * v;
		__m512i weight[2][3];

		for (unsigned int w = 0; w < 3; w++) {
			weight[0][w] = _mm512_load_si512(&b->local->weight[0][w][64 * v]);
			weight[1][w] = _mm512_load_si512(&b->local->weight[1][w][64 * v]);
		}
		for (uint32_t n = 0; n < count; n++, at += apart) {
			const __m512i a = _mm512_load_si512(at), c = _mm512_load_si512(at + CELL);
			const __m512i e = _mm512_load_si512(at + 2 * CELL);
			__m512i sum = _mm512_dpbusd_epi32(start, a, weight[0][0]);

			sum = _mm512_dpbusd_epi32(sum, c, weight[0][1]);
			sum = _mm512_dpbusd_epi32(sum, e, weight[0][2]);
			_mm512_storeu_si512(total[0] + n * pitch + 16 * v, sum);
			if (rows < 2)
				continue;
			sum = _mm512_dpbusd_epi32(start, a, weight[1][0]);
			sum = _mm512_dpbusd_epi32(sum, c, weight[1][1]);
			sum = _mm512_dpbusd_epi32(sum, e, weight[1][2]);
			_mm512_storeu_si512(total[1] + n * pitch + 16 * v, sum);
		}
	}
}
#pragma GCC pop_options

/* @count windows from @first on of each of @rows rows, with columns from @column on. */
static void run_windows(const struct block *b, uint32_t row, uint32_t rows, uint32_t first, uint32_t count,
			const uint8_t *column)
{
	const struct depthwise *d = b->d;
	const ptrdiff_t step = (ptrdiff_t)d->y->strides[2] * (ptrdiff_t)d->y_bytes;
	const size_t apart = (size_t)CELL * d->params->qconv.stride[1];
	int32_t *total[2] = {b->local->total[0], b->local->total[1]};
	uint8_t *to[2], *at[WINDOWS];

	for (uint32_t i = 0; i < rows; i++)
		to[i] = b->y + (ptrdiff_t)(row + i) * d->y->strides[1] * (ptrdiff_t)d->y_bytes + first * step;
	if (!b->finish.multiplier && b->channels == BLOCK && step > 0) {
		for (uint32_t i = 0; i < rows; i++)
			total[i] = (int32_t *)(void *)to[i];
		sum_windows(b, column, apart, count, rows, total, (size_t)d->y->strides[2]);
		return;
	}
	sum_windows(b, column, apart, count, rows, total, BLOCK);
	for (uint32_t i = 0; i < rows; i++) {
		for (uint32_t k = 0; k < count; k++)
			at[k] = to[i] + k * step;
		WEFT_KERNEL(weft_qfinish)(&b->finish, total[i], BLOCK, 0, b->channels, count, at);
	}
}

static void run_rows(const struct block *b, uint32_t row, uint32_t rows)
{
	const struct depthwise *d = b->d;
	const uint32_t *stride = d->params->qconv.stride, *pad = d->params->qconv.pad;

	for (uint32_t first = 0; first < d->y->dims[2]; first += d->segment) {
		uint32_t windows = least(d->y->dims[2] - first, d->segment);

		set_columns(b, (int64_t)row * stride[0] - pad[0], (int64_t)first * stride[1] - pad[1],
			    (uint64_t)(windows - 1) * stride[1] + 3);
		for (uint32_t i = 0; i < windows; i += WINDOWS)
			run_windows(b, row, rows, first + i, least(windows - i, WINDOWS),
				    b->local->column + (size_t)i * CELL * stride[1]);
	}
}

static void run_piece(void *argument, unsigned int index, unsigned int lane)
{
	const struct depthwise *d = argument;
	uint32_t channel = index % d->blocks * BLOCK, row = index / d->blocks % d->row_pieces * d->piece_rows;
	uint32_t n = index / d->blocks / d->row_pieces, end = row + least(d->y->dims[1] - row, d->piece_rows), rows;
	struct block b = {
		.d = d,
		.local = weft_engine_local(d->unit, lane),
		.channel = channel,
		.channels = least(d->w->dims[3] - channel, BLOCK),
		.x = d->x_at + (ptrdiff_t)n * d->x->strides[0] + channel,
		.y = d->y_at + ((ptrdiff_t)n * d->y->strides[0] + channel) * (ptrdiff_t)d->y_bytes,
	};

	set_channels(&b);
	set_weights(&b);
	for (; row < end; row += rows) {
		rows = d->params->qconv.stride[0] == 1 && end - row > 1 ? 2 : 1;
		run_rows(&b, row, rows);
	}
}

bool WEFT_KERNEL(weft_is_qdepthwise3)(const struct weft_cmd *command)
{
	const struct weft_tensor *w = &command->operand[1];
	const uint32_t *stride = command->params.qconv.stride, *dilation = command->params.qconv.dilation;

	return __builtin_cpu_supports("avx512vnni") && w->dims[0] == 3 && w->dims[1] == 3 && dilation[0] == 1 &&
	       dilation[1] == 1 && stride[1] <= COLUMN_BYTES / CELL / 4 &&
	       w->zero_point == (w->type == WEFT_TYPE_U8 ? 0x80 : 0);
}

void WEFT_KERNEL(weft_qconv_depthwise3)(struct weft_engine_unit *unit, const struct weft_cmd *command,
					void *const pointer[])
{
	const struct weft_tensor *x = &command->operand[0], *w = &command->operand[1], *y = &command->operand[4];
	struct depthwise d = {
		.unit = unit,
		.x = x,
		.w = w,
		.y = y,
		.x_at = pointer[0],
		.w_at = pointer[1],
		.bias = pointer[2],
		.y_at = pointer[4],
		.params = &command->params,
		.multipliers = weft_multipliers_of(&command->operand[3], pointer[3]),
		.input = WEFT_KERNEL(weft_qinput)(WEFT_KERNEL(weft_qform)(), x),
		.blocks = (w->dims[3] + BLOCK - 1) / BLOCK,
		.y_bytes = y->type == WEFT_TYPE_I32 ? 4 : 1,
	};
	const uint32_t lanes = weft_engine_unit_lanes(unit);
	uint64_t segment = (COLUMN_BYTES / CELL - 3) / d.params->qconv.stride[1] + 1;
	uint64_t blocks = (uint64_t)d.blocks * y->dims[0];
	uint32_t wanted = lanes > 1 && blocks < 4 * lanes ? 4 * lanes : 1;

	d.segment = segment < y->dims[2] ? (uint32_t)segment : y->dims[2];
	d.row_pieces = least(wanted, y->dims[1]);
	d.piece_rows = (y->dims[1] + d.row_pieces - 1) / d.row_pieces;
	d.row_pieces = (y->dims[1] + d.piece_rows - 1) / d.piece_rows;
	weft_engine_parallel(unit, d.blocks * d.row_pieces * y->dims[0], run_piece, &d);
}
#else
bool WEFT_KERNEL(weft_is_qdepthwise3)(const struct weft_cmd *command)
{
	(void)command;
	return false;
}

void WEFT_KERNEL(weft_qconv_depthwise3)(struct weft_engine_unit *unit, const struct weft_cmd *command,
					void *const pointer[])
{
	(void)unit, (void)command, (void)pointer;
}
#endif
