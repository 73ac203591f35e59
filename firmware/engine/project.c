// SPDX-License-Identifier: MIT
/*
 * PROJECT.  A random vector has few terms, so a bit is the sum of a few elements.
 * Samples are taken 16 at a time: their elements are brought next to each other,
 * then each term is one vector addition for all of them.
 */
#include <stdbool.h>

#include "kernels.h"
#include "philox.h"
#include "vector.h"

/** Samples of a tile. */
#define TILE 16
/** Places that are drawn at a time: whole vectors. */
#define PLACES WEFT_PROJECT_MAX_TAPS
/** Samples of more elements are not brought together. */
#define TILE_ELEMENTS 8192
/** So few samples are not worth it. */
#define FEW 4

struct local {
	float tile[TILE_ELEMENTS * TILE];
	uint32_t place[PLACES + 8];
};
_Static_assert(sizeof(struct local) <= WEFT_LANE_LOCAL_BYTES, "local memory");

struct project {
	struct weft_engine_unit *unit;
	const struct weft_tensor *x;
	const void *x_at;
	uint32_t *y_at;
	ptrdiff_t y_row; /* words */
	uint32_t key[2];
	uint32_t rows, elements, bits, taps;
	uint32_t piece_rows;
};

static float element(const struct project *p, uint32_t row, uint32_t k)
{
	ptrdiff_t at = (ptrdiff_t)row * p->x->strides[0] + (ptrdiff_t)k * p->x->strides[1];

	if (p->x->type == WEFT_TYPE_F32)
		return ((const float *)p->x_at)[at];
	if (p->x->type == WEFT_TYPE_I8)
		return (float)(((const int8_t *)p->x_at)[at] - p->x->zero_point);
	return (float)(((const uint8_t *)p->x_at)[at] - p->x->zero_point);
}

/* Places of the terms of bits [first, first + count). */
static void draw_places(const struct project *p, uint32_t first, uint32_t count, uint32_t *place)
{
	uint64_t element = (uint64_t)first * p->taps;
	size_t n = (size_t)count * p->taps, skip = element % 4, done = 0;
	uint32_t word[256];

	while (done < n) {
		uint64_t block = (element + done) / 4;
		size_t blocks = (skip + (n - done) + 3) / 4, now;

		blocks = blocks < 64 ? blocks : 64;
		/* A counter's low word does not wrap around within a call: 2^32 terms are 2^30 blocks. */
		weft_philox(p->key, (uint32_t)(block >> 32), 0, 0, (uint32_t)block, blocks, word);
		now = blocks * 4 - skip < n - done ? blocks * 4 - skip : n - done;
		for (size_t i = 0; i < now; i++)
			place[done + i] = (uint32_t)((uint64_t)word[skip + i] * p->elements >> 32);
		done += now;
		skip = 0;
	}
}

typedef float four __attribute__((vector_size(16)));
typedef float four_unaligned __attribute__((vector_size(16), aligned(4), may_alias));
typedef int32_t four_index __attribute__((vector_size(16)));

/* Four elements of four samples, turned round. */
static inline void turn(const float *const from[4], size_t k, float *to)
{
	const four_index low = {0, 4, 1, 5}, high = {2, 6, 3, 7}, first = {0, 1, 4, 5}, second = {2, 3, 6, 7};
	four a = *(const four_unaligned *)(from[0] + k), b = *(const four_unaligned *)(from[1] + k);
	four c = *(const four_unaligned *)(from[2] + k), d = *(const four_unaligned *)(from[3] + k);
	four ab0 = __builtin_shuffle(a, b, low), ab1 = __builtin_shuffle(a, b, high);
	four cd0 = __builtin_shuffle(c, d, low), cd1 = __builtin_shuffle(c, d, high);

	*(four *)(to) = __builtin_shuffle(ab0, cd0, first);
	*(four *)(to + TILE) = __builtin_shuffle(ab0, cd0, second);
	*(four *)(to + 2 * TILE) = __builtin_shuffle(ab1, cd1, first);
	*(four *)(to + 3 * TILE) = __builtin_shuffle(ab1, cd1, second);
}

/* Samples from @row on; the last of @rows stands in for those that are not there. */
static void load_tile(const struct project *p, uint32_t row, uint32_t rows, float *tile)
{
	bool dense = p->x->type == WEFT_TYPE_F32 && p->x->strides[1] == 1;

	for (uint32_t s = 0; s < TILE; s += 4) {
		const float *from[4];
		uint32_t k = 0;

		for (uint32_t i = 0; dense && i < 4; i++) {
			uint32_t at = s + i < rows ? s + i : rows - 1;

			from[i] = (const float *)p->x_at + (ptrdiff_t)(row + at) * p->x->strides[0];
		}
		for (; dense && k + 4 <= p->elements; k += 4)
			turn(from, k, tile + (size_t)k * TILE + s);
		for (; k < p->elements; k++)
			for (uint32_t i = s; i < s + 4; i++)
				tile[(size_t)k * TILE + i] = element(p, row + (i < rows ? i : rows - 1), k);
	}
}

/* Words of bits [first, first + count), at most 32, for the samples of a tile. */
static void tile_word(const struct project *p, const float *tile, const uint32_t *place, uint32_t count,
		      uint32_t word[TILE])
{
	for (unsigned int v = 0; v < TILE; v += VF_WIDTH) {
		vi bits = {0};

		for (uint32_t b = 0; b < count; b++) {
			const uint32_t *at = place + (size_t)b * p->taps;
			vf sum = vf_zero();
			uint32_t j = 0;

			for (; j + 2 <= p->taps; j += 2) {
				sum = sum + vf_load(tile + (size_t)at[j] * TILE + v);
				sum = sum - vf_load(tile + (size_t)at[j + 1] * TILE + v);
			}
			if (j < p->taps)
				sum = sum + vf_load(tile + (size_t)at[j] * TILE + v);
			bits |= (vi)(sum > vf_zero()) & (int32_t)(1u << b);
		}
		memcpy(word + v, &bits, sizeof(bits));
	}
}

/* The same for one sample where it lies. */
static uint32_t row_word(const struct project *p, uint32_t row, const uint32_t *place, uint32_t count)
{
	bool dense = p->x->type == WEFT_TYPE_F32 && p->x->strides[1] == 1;
	const float *x = dense ? (const float *)p->x_at + (ptrdiff_t)row * p->x->strides[0] : NULL;
	uint32_t word = 0;

	for (uint32_t b = 0; b < count; b++, place += p->taps) {
		float sum = 0;

		for (uint32_t j = 0; j < p->taps; j++) {
			float term = dense ? x[place[j]] : element(p, row, place[j]);

			sum = j & 1 ? sum - term : sum + term;
		}
		word |= (uint32_t)(sum > 0) << b;
	}
	return word;
}

/* Bits [first, first + count), whose places are drawn, into the words of rows [row, row + rows). */
static void project_rows(const struct project *p, struct local *local, uint32_t row, uint32_t rows, uint32_t first,
			 uint32_t count)
{
	bool together = rows >= FEW && p->elements <= TILE_ELEMENTS;
	uint32_t n;

	if (together)
		load_tile(p, row, rows, local->tile);
	for (uint32_t bit = 0; bit < count; bit += n) {
		const uint32_t *place = local->place + (size_t)bit * p->taps;
		uint32_t shift = (first + bit) % 32, word[TILE];
		uint32_t *y = p->y_at + (ptrdiff_t)row * p->y_row + (first + bit) / 32;

		n = 32 - shift < count - bit ? 32 - shift : count - bit;
		if (together)
			tile_word(p, local->tile, place, n, word);
		for (uint32_t i = 0; i < rows; i++, y += p->y_row) {
			uint32_t bits = together ? word[i] : row_word(p, row + i, place, n);

			*y = shift ? *y | bits << shift : bits;
		}
	}
}

static void run_piece(void *argument, unsigned int index, unsigned int lane)
{
	const struct project *p = argument;
	struct local *local = weft_engine_local(p->unit, lane);
	uint32_t begin = index * p->piece_rows, end = begin + p->piece_rows, most = PLACES / p->taps, count;

	end = end < p->rows ? end : p->rows;
	/* Whole words where that is possible. */
	most = most < 32 ? 1 : most / 32 * 32;
	for (uint32_t first = 0; first < p->bits; first += count) {
		count = p->bits - first < most ? p->bits - first : most;
		draw_places(p, first, count, local->place);
		for (uint32_t row = begin; row < end; row += TILE)
			project_rows(p, local, row, end - row < TILE ? end - row : TILE, first, count);
	}
}

enum weft_fault WEFT_KERNEL(weft_project)(WEFT_KERNEL_ARGUMENTS)
{
	const struct weft_tensor *x = &command->operand[0], *y = &command->operand[1];
	uint64_t seed = command->params.project.seed;
	unsigned int lanes = weft_engine_unit_lanes(unit);
	struct project p = {
		.unit = unit,
		.x = x,
		.x_at = pointer[0],
		.y_at = pointer[1],
		.y_row = y->strides[0] / 32,
		.key = {(uint32_t)seed, (uint32_t)(seed >> 32)},
		.rows = x->dims[0],
		.elements = x->dims[1],
		.bits = y->dims[1],
		.taps = command->params.project.taps,
	};
	uint32_t tiles = (p.rows + TILE - 1) / TILE;

	(void)fault;
	p.piece_rows = (tiles + lanes - 1) / lanes * TILE;
	weft_engine_parallel(unit, (p.rows + p.piece_rows - 1) / p.piece_rows, run_piece, &p);
	return WEFT_FAULT_NONE;
}
