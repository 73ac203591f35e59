// SPDX-License-Identifier: MIT
/*
 * Depthwise convolution of bytes.  A piece is a block of neighbouring channels of
 * one image.  For each row of windows its input rows are widened to 16 bits, less
 * the zero point, and laid out in pairs of rows, so that one instruction multiplies
 * two taps; every window then reads what its columns have in common with the next.
 */
#include "qdepthwise.h"

#include <string.h>

#include "qtile.h"
#if defined(__x86_64__)
#include <immintrin.h>
#endif

/** Channels of a block. */
#if defined(__AVX512F__)
#define BLOCK 32
#elif defined(__AVX2__)
#define BLOCK 16
#else
#define BLOCK 8
#endif
/** Most bytes of the columns of one row of windows, and of the weights. */
#define COLUMN_BYTES (448u << 10)
#define WEIGHT_BYTES (256u << 10)
/** Windows between two finishing runs. */
#define WINDOWS 16
/** A pair of rows: both halves of a block. */
#define PAIR (2 * BLOCK)

struct local {
	int32_t start[BLOCK], multiplier[BLOCK], shift[BLOCK], total[WINDOWS * BLOCK];
	_Alignas(64) int16_t column[COLUMN_BYTES / 2];
	_Alignas(64) int16_t weight[WEIGHT_BYTES / 2];
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
	uint32_t channels, kernel[2], pairs, blocks;
	uint32_t row_pieces, piece_rows;
	size_t y_bytes;
	/** Windows whose columns fit the local memory. */
	uint32_t segment;
};

/* One block while it runs. */
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

/* Columns that @windows windows of a row reach over. */
static uint64_t columns_of(const struct depthwise *d, uint32_t windows)
{
	return (uint64_t)(windows - 1) * d->params->qconv.stride[1] +
	       (uint64_t)(d->kernel[1] - 1) * d->params->qconv.dilation[1] + 1;
}

static size_t column_bytes(uint32_t kernel_height)
{
	return (size_t)(kernel_height + 1) / 2 * PAIR * sizeof(int16_t);
}

bool WEFT_KERNEL(weft_is_qdepthwise)(const struct weft_cmd *command)
{
	const struct weft_tensor *w = &command->operand[1];
	const union weft_params *params = &command->params;

	if (w->dims[2] != 1 || params->qconv.groups != w->dims[3])
		return false;
	/* Large windows go the general way. */
	if (w->dims[0] > 64 || w->dims[1] > 64 || params->qconv.dilation[1] > 1024)
		return false;
	return ((uint64_t)(w->dims[1] - 1) * params->qconv.dilation[1] + 1) * column_bytes(w->dims[0]) <=
		       COLUMN_BYTES &&
	       w->dims[1] * column_bytes(w->dims[0]) <= WEIGHT_BYTES;
}

/* Channel @c's nibble for tap (@h, @w), less the zero point. */
static int16_t nibble_at(const struct depthwise *d, uint32_t h, uint32_t w, uint32_t c)
{
	ptrdiff_t at = (ptrdiff_t)h * d->w->strides[0] + (ptrdiff_t)w * d->w->strides[1] + c;
	int nibble = d->w_at[at >> 1] >> (at & 1 ? 4 : 0) & 15;

	return (int16_t)((nibble ^ 8) - 8 - d->w->zero_point);
}

/*
 * Where channel @c of a block stands in a pair of rows: the channels of each
 * 16-byte lane are zipped on their own, the lower halves of all lanes first.
 */
static uint32_t place_of(uint32_t c, uint32_t odd)
{
	uint32_t lane = c / 8, in_lane = c % 8, half = in_lane / 4;

	return half * BLOCK + lane * 8 + in_lane % 4 * 2 + odd;
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

/* A vector of 16-bit numbers, one for each channel of a block. */
#if defined(__AVX512F__)
typedef __m512i numbers;
#define ZIP_LOW(a, b) _mm512_unpacklo_epi16(a, b)
#define ZIP_HIGH(a, b) _mm512_unpackhi_epi16(a, b)
#define ZERO _mm512_setzero_si512()
#define LOAD(p) _mm512_loadu_si512(p)
#define STORE(p, v) _mm512_storeu_si512(p, v)
#define PAIRS(sum, a, b) _mm512_add_epi32(sum, _mm512_madd_epi16(a, b))

WEFT_INTEGER_INLINE numbers widen(const uint8_t *p, uint32_t n, bool is_signed, int32_t zero)
{
	__m256i bytes = _mm256_maskz_loadu_epi8(n < 32 ? (1u << n) - 1 : 0xffffffff, p);
	__m512i wide = is_signed ? _mm512_cvtepi8_epi16(bytes) : _mm512_cvtepu8_epi16(bytes);

	return _mm512_sub_epi16(wide, _mm512_set1_epi16((short)zero));
}

/* The totals of the lower and upper halves of lanes, plus @start, in the order of channels. */
WEFT_INTEGER_INLINE void store_totals(int32_t *to, const int32_t *start, numbers low, numbers high)
{
	const __m512i first = _mm512_setr_epi64(0, 1, 8, 9, 2, 3, 10, 11);
	const __m512i second = _mm512_setr_epi64(4, 5, 12, 13, 6, 7, 14, 15);

	_mm512_storeu_si512(to, _mm512_add_epi32(_mm512_permutex2var_epi64(low, first, high), LOAD(start)));
	_mm512_storeu_si512(to + 16, _mm512_add_epi32(_mm512_permutex2var_epi64(low, second, high), LOAD(start + 16)));
}
#elif defined(__AVX2__)
typedef __m256i numbers;
#define ZIP_LOW(a, b) _mm256_unpacklo_epi16(a, b)
#define ZIP_HIGH(a, b) _mm256_unpackhi_epi16(a, b)
#define ZERO _mm256_setzero_si256()
#define LOAD(p) _mm256_loadu_si256((const __m256i *)(p))
#define STORE(p, v) _mm256_storeu_si256((__m256i *)(p), v)
#define PAIRS(sum, a, b) _mm256_add_epi32(sum, _mm256_madd_epi16(a, b))

WEFT_INTEGER_INLINE numbers widen(const uint8_t *p, uint32_t n, bool is_signed, int32_t zero)
{
	uint8_t part[16] = {0};
	__m128i bytes;

	if (n < 16) {
		memcpy(part, p, n);
		p = part;
	}
	bytes = _mm_loadu_si128((const __m128i *)p);
	return _mm256_sub_epi16(is_signed ? _mm256_cvtepi8_epi16(bytes) : _mm256_cvtepu8_epi16(bytes),
				_mm256_set1_epi16((short)zero));
}

WEFT_INTEGER_INLINE void store_totals(int32_t *to, const int32_t *start, numbers low, numbers high)
{
	STORE(to, _mm256_add_epi32(_mm256_permute2x128_si256(low, high, 0x20), LOAD(start)));
	STORE(to + 8, _mm256_add_epi32(_mm256_permute2x128_si256(low, high, 0x31), LOAD(start + 8)));
}
#else
typedef struct {
	int16_t at[BLOCK];
} numbers;

WEFT_INTEGER_INLINE numbers load_numbers(const int16_t *p)
{
	numbers v;

	memcpy(&v, p, sizeof(v));
	return v;
}

WEFT_INTEGER_INLINE numbers zip(numbers a, numbers b, unsigned int first)
{
	numbers v;

	for (unsigned int i = 0; i < BLOCK / 2; i++) {
		v.at[2 * i] = a.at[first + i];
		v.at[2 * i + 1] = b.at[first + i];
	}
	return v;
}

/* Sums are 32 bits: half as many as there are numbers. */
WEFT_INTEGER_INLINE numbers add_pairs(numbers sum, numbers a, numbers b)
{
	uint32_t totals[BLOCK / 2];

	memcpy(totals, &sum, sizeof(totals));
	for (unsigned int i = 0; i < BLOCK / 2; i++)
		totals[i] += (uint32_t)(a.at[2 * i] * b.at[2 * i]) + (uint32_t)(a.at[2 * i + 1] * b.at[2 * i + 1]);
	memcpy(&sum, totals, sizeof(totals));
	return sum;
}
#define ZIP_LOW(a, b) zip(a, b, 0)
#define ZIP_HIGH(a, b) zip(a, b, BLOCK / 2)
#define ZERO ((numbers){{0}})
#define LOAD(p) load_numbers(p)
#define STORE(p, v) memcpy(p, (v).at, sizeof(numbers))
#define PAIRS(sum, a, b) add_pairs(sum, a, b)

WEFT_INTEGER_INLINE numbers widen(const uint8_t *p, uint32_t n, bool is_signed, int32_t zero)
{
	numbers v = {{0}};

	for (uint32_t i = 0; i < n; i++)
		v.at[i] = (int16_t)(weft_byte(p + i, is_signed) - zero);
	return v;
}

WEFT_INTEGER_INLINE void store_totals(int32_t *to, const int32_t *start, numbers low, numbers high)
{
	uint32_t totals[BLOCK];

	memcpy(totals, &low, sizeof(low));
	memcpy(totals + BLOCK / 2, &high, sizeof(high));
	for (unsigned int i = 0; i < BLOCK; i++)
		to[i] = (int32_t)(totals[i] + (uint32_t)start[i]);
}
#endif

/* Columns [0, @columns) of a pair of rows that are in X (NULL: not), @pitch bytes apart, to every @step numbers. */
WEFT_INTEGER_INLINE void set_inside(const uint8_t *const side[2], ptrdiff_t pitch, uint64_t columns, uint32_t n,
				    const bool is_signed, int32_t zero, size_t step, int16_t *to)
{
	for (uint64_t i = 0; i < columns; i++, to += step) {
		numbers a = side[0] ? widen(side[0] + (ptrdiff_t)i * pitch, n, is_signed, zero) : ZERO;
		numbers b = side[1] ? widen(side[1] + (ptrdiff_t)i * pitch, n, is_signed, zero) : ZERO;

		STORE(to, ZIP_LOW(a, b));
		STORE(to + BLOCK, ZIP_HIGH(a, b));
	}
}

static void set_outside(uint64_t columns, size_t step, int16_t *to)
{
	for (uint64_t i = 0; i < columns; i++, to += step)
		memset(to, 0, PAIR * sizeof(*to));
}

/* Sums of @count windows, @apart numbers from one to the next. */
#define WINDOWS_BODY(multiply_add)                                                                             \
	do {                                                                                                   \
		const uint32_t width = b->d->kernel[1];                                                        \
		const size_t step = (size_t)b->d->pairs * PAIR, next = step * b->d->params->qconv.dilation[1]; \
                                                                                                               \
		for (uint32_t n = 0; n < count; n++, column += apart, total += BLOCK) {                        \
			const int16_t *at = column, *weight = b->local->weight;                                \
			numbers low = ZERO, high = ZERO;                                                       \
                                                                                                               \
			for (uint32_t w = 0; w < width; w++, at += next)                                       \
				for (size_t p = 0; p < step; p += PAIR, weight += PAIR) {                      \
					low = multiply_add(low, LOAD(at + p), LOAD(weight));                   \
					high = multiply_add(high, LOAD(at + p + BLOCK), LOAD(weight + BLOCK)); \
				}                                                                              \
			store_totals(total, b->local->start, low, high);                                       \
		}                                                                                              \
	} while (0)

/* The same for three by three (or four by three) taps, whose weights stay in registers. */
#define WINDOWS_BODY_3X3(multiply_add)                                                              \
	do {                                                                                        \
		const size_t next = (size_t)2 * PAIR * b->d->params->qconv.dilation[1];             \
		const int32_t *start = b->local->start;                                             \
		numbers weight[12];                                                                 \
                                                                                                    \
		_Pragma("GCC unroll 12") for (uint32_t i = 0; i < 12; i++) weight[i] =              \
			LOAD(b->local->weight + i * BLOCK);                                         \
		for (uint32_t n = 0; n < count; n++, column += apart, total += BLOCK) {             \
			numbers low = ZERO, high = ZERO;                                            \
                                                                                                    \
			_Pragma("GCC unroll 3") for (uint32_t w = 0; w < 3; w++)                    \
			{                                                                           \
				const int16_t *at = column + w * next;                              \
                                                                                                    \
				low = multiply_add(low, LOAD(at), weight[4 * w]);                   \
				high = multiply_add(high, LOAD(at + BLOCK), weight[4 * w + 1]);     \
				low = multiply_add(low, LOAD(at + 2 * BLOCK), weight[4 * w + 2]);   \
				high = multiply_add(high, LOAD(at + 3 * BLOCK), weight[4 * w + 3]); \
			}                                                                           \
			store_totals(total, start, low, high);                                      \
		}                                                                                   \
	} while (0)

#define WINDOWS_ARGUMENTS const struct block *b, const int16_t *column, size_t apart, uint32_t count, int32_t *total

static void windows_pairs(WINDOWS_ARGUMENTS)
{
	WINDOWS_BODY(PAIRS);
}

static void windows_pairs_3x3(WINDOWS_ARGUMENTS)
{
	WINDOWS_BODY_3X3(PAIRS);
}

#if defined(__AVX512F__)
#pragma GCC push_options
#pragma GCC target("avx512vnni")
#define PAIRS_AT_ONCE(sum, a, b) _mm512_dpwssd_epi32(sum, a, b)

static void windows_at_once(WINDOWS_ARGUMENTS)
{
	WINDOWS_BODY(PAIRS_AT_ONCE);
}

static void windows_at_once_3x3(WINDOWS_ARGUMENTS)
{
	WINDOWS_BODY_3X3(PAIRS_AT_ONCE);
}
#pragma GCC pop_options
#endif

typedef void (*windows_function)(WINDOWS_ARGUMENTS);

static windows_function choose_windows(const struct depthwise *d)
{
	const bool small = d->kernel[1] == 3 && d->pairs == 2;

#if defined(__AVX512F__)
	if (__builtin_cpu_supports("avx512vnni"))
		return small ? windows_at_once_3x3 : windows_at_once;
#endif
	return small ? windows_pairs_3x3 : windows_pairs;
}

/* Nibbles, one by one. */
static void set_nibbles(const struct block *b)
{
	const struct depthwise *d = b->d;
	int16_t *to = b->local->weight;

	for (uint32_t w = 0; w < d->kernel[1]; w++)
		for (uint32_t p = 0; p < d->pairs; p++, to += PAIR) {
			memset(to, 0, PAIR * sizeof(*to));
			for (uint32_t c = 0; c < b->channels; c++) {
				to[place_of(c, 0)] = nibble_at(d, 2 * p, w, b->channel + c);
				if (2 * p + 1 < d->kernel[0])
					to[place_of(c, 1)] = nibble_at(d, 2 * p + 1, w, b->channel + c);
			}
		}
}

static void set_weights(const struct block *b)
{
	const struct depthwise *d = b->d;
	const bool is_signed = d->w->type == WEFT_TYPE_I8;

	if (d->w->type == WEFT_TYPE_I4) {
		set_nibbles(b);
		return;
	}
	for (uint32_t p = 0; p < d->pairs; p++) {
		const uint8_t *side[2] = {d->w_at + (ptrdiff_t)(2 * p) * d->w->strides[0] + b->channel, NULL};

		if (2 * p + 1 < d->kernel[0])
			side[1] = side[0] + d->w->strides[0];
		set_inside(side, d->w->strides[1], d->kernel[1], b->channels, is_signed, d->w->zero_point,
			   (size_t)d->pairs * PAIR, b->local->weight + (size_t)p * PAIR);
	}
}

/* Columns [@column, @column + @columns) of X, all pairs of rows of the windows that begin at @row. */
static void set_columns(const struct block *b, int64_t row, int64_t column, uint64_t columns)
{
	const struct depthwise *d = b->d;
	const size_t step = (size_t)d->pairs * PAIR;
	const bool is_signed = d->x->type == WEFT_TYPE_I8;
	int64_t width = d->x->dims[2], end = column + (int64_t)columns;
	uint64_t before = column < 0 ? (uint64_t)-column : 0, inside;

	before = before < columns ? before : columns;
	end = end < width ? end : width;
	inside = end > column + (int64_t)before ? (uint64_t)(end - column) - before : 0;
	for (uint32_t p = 0; p < d->pairs; p++) {
		const uint8_t *side[2] = {NULL, NULL};
		int16_t *to = b->local->column + (size_t)p * PAIR;

		for (uint32_t i = 0; i < 2; i++) {
			int64_t y = row + (2 * (int64_t)p + i) * d->params->qconv.dilation[0];

			if (2 * p + i < d->kernel[0] && y >= 0 && y < d->x->dims[1])
				side[i] = b->x + (ptrdiff_t)y * d->x->strides[1] +
					  (ptrdiff_t)(column + (int64_t)before) * d->x->strides[2];
		}
		set_outside(before, step, to);
		to += before * step;
		if (b->channels == BLOCK && is_signed)
			set_inside(side, d->x->strides[2], inside, BLOCK, true, d->x->zero_point, step, to);
		else if (b->channels == BLOCK)
			set_inside(side, d->x->strides[2], inside, BLOCK, false, d->x->zero_point, step, to);
		else
			set_inside(side, d->x->strides[2], inside, b->channels, is_signed, d->x->zero_point, step, to);
		set_outside(columns - before - inside, step, to + inside * step);
	}
}

static void run_row(const struct block *b, uint32_t row, windows_function sum)
{
	const struct depthwise *d = b->d;
	const uint32_t *stride = d->params->qconv.stride, *pad = d->params->qconv.pad;
	const size_t step = (size_t)d->pairs * PAIR * stride[1];
	int64_t y = (int64_t)row * stride[0] - pad[0];
	uint8_t *to = b->y + (ptrdiff_t)row * d->y->strides[1] * (ptrdiff_t)d->y_bytes;

	for (uint32_t first = 0; first < d->y->dims[2]; first += d->segment) {
		uint32_t windows = least(d->y->dims[2] - first, d->segment);

		set_columns(b, y, (int64_t)first * stride[1] - pad[1], columns_of(d, windows));
		for (uint32_t i = 0; i < windows; i += WINDOWS) {
			uint32_t count = least(windows - i, WINDOWS);
			uint8_t *at[WINDOWS];

			for (uint32_t k = 0; k < count; k++, to += (ptrdiff_t)d->y->strides[2] * (ptrdiff_t)d->y_bytes)
				at[k] = to;
			sum(b, b->local->column + i * step, step, count, b->local->total);
			WEFT_KERNEL(weft_qfinish)(&b->finish, b->local->total, BLOCK, 0, b->channels, count, at);
		}
	}
}

static void run_piece(void *argument, unsigned int index, unsigned int lane)
{
	const struct depthwise *d = argument;
	uint32_t channel = index % d->blocks * BLOCK, row = index / d->blocks % d->row_pieces * d->piece_rows;
	uint32_t n = index / d->blocks / d->row_pieces, end = row + least(d->y->dims[1] - row, d->piece_rows);
	windows_function sum = choose_windows(d);
	struct block b = {
		.d = d,
		.local = weft_engine_local(d->unit, lane),
		.channel = channel,
		.channels = least(d->channels - channel, BLOCK),
		.x = d->x_at + (ptrdiff_t)n * d->x->strides[0] + channel,
		.y = d->y_at + ((ptrdiff_t)n * d->y->strides[0] + channel) * (ptrdiff_t)d->y_bytes,
	};

	set_weights(&b);
	set_channels(&b);
	for (; row < end; row++)
		run_row(&b, row, sum);
}

void WEFT_KERNEL(weft_qconv_depthwise)(struct weft_engine_unit *unit, const struct weft_cmd *command,
				       void *const pointer[])
{
	const struct weft_tensor *w = &command->operand[1], *y = &command->operand[4];
	struct depthwise d = {
		.unit = unit,
		.x = &command->operand[0],
		.w = w,
		.y = y,
		.x_at = pointer[0],
		.w_at = pointer[1],
		.bias = pointer[2],
		.y_at = pointer[4],
		.params = &command->params,
		.multipliers = weft_multipliers_of(&command->operand[3], pointer[3]),
		.channels = w->dims[3],
		.kernel = {w->dims[0], w->dims[1]},
		.pairs = (w->dims[0] + 1) / 2,
		.blocks = (w->dims[3] + BLOCK - 1) / BLOCK,
		.y_bytes = y->type == WEFT_TYPE_I32 ? 4 : 1,
	};
	uint64_t most = COLUMN_BYTES / column_bytes(w->dims[0]), window = columns_of(&d, 1);
	uint64_t segment = (most - window) / d.params->qconv.stride[1] + 1, blocks = (uint64_t)d.blocks * y->dims[0];
	uint32_t wanted = weft_engine_unit_lanes(unit) > 1 && blocks < 4 * weft_engine_unit_lanes(unit)
				  ? 4 * weft_engine_unit_lanes(unit)
				  : 1;

	d.segment = segment < y->dims[2] ? (uint32_t)segment : y->dims[2];
	d.row_pieces = least(wanted, y->dims[1]);
	d.piece_rows = (y->dims[1] + d.row_pieces - 1) / d.row_pieces;
	d.row_pieces = (y->dims[1] + d.piece_rows - 1) / d.piece_rows;
	weft_engine_parallel(unit, d.blocks * d.row_pieces * y->dims[0], run_piece, &d);
}
