// SPDX-License-Identifier: MIT
/*
 * A piece is a range of rows by a range of columns of one product.  It packs its
 * part of B once, to stay in the second-level cache, then gathers a tile's rows
 * of A and multiplies them with every panel.
 */
#include "qproduct.h"

#include <string.h>

/** Most columns of a piece, and of the reduced index in one go, so that a tile of A stays in the first-level cache. */
#define PIECE_COLUMNS 1024
#define BLOCK_DEPTH 2560
#define B_BYTES (704u << 10)
/** A tile's rows of A, of two bytes an element; and boxes. */
#define A_BYTES (128u << 10)
_Static_assert(WEFT_QPRODUCT_BOX_BYTES + 16 <= A_BYTES, "a group beyond a box");
_Static_assert(WEFT_Q_ROWS *(BLOCK_DEPTH * 2 + 64) <= A_BYTES, "rows of A");
#define TILE_TOTALS (WEFT_Q_ROWS * WEFT_Q_COLUMNS)

struct local {
	int32_t start[PIECE_COLUMNS], multiplier[PIECE_COLUMNS], shift[PIECE_COLUMNS];
	int32_t column_sum[WEFT_Q_COLUMNS];
	int32_t totals[PIECE_COLUMNS / WEFT_Q_COLUMNS * TILE_TOTALS];
	uint8_t staged[4][WEFT_Q_COLUMNS];
	_Alignas(64) uint8_t a[A_BYTES];
	_Alignas(64) uint8_t b[B_BYTES];
};
_Static_assert(sizeof(struct local) <= WEFT_LANE_LOCAL_BYTES, "local memory");

struct sharing {
	const struct weft_qproduct *p;
	uint32_t piece_rows, row_pieces;
	uint32_t piece_columns, column_pieces;
};

/* One piece while it runs. */
struct piece {
	const struct weft_qproduct *p;
	const struct weft_qform *form;
	struct local *local;
	uint32_t product;
	uint32_t column, columns;
	struct weft_qweights weights;
	int32_t weight_offset; /* ob */
	struct weft_qfinish finish;
	bool packed; /* all of B is */
	bool direct; /* B's panels are multiplied where they are */
	size_t panel_bytes, step;
};

/* Panels as they are in memory have the form that is multiplied. */
static bool is_direct(const struct weft_qproduct *p)
{
	return p->in_panels && p->form->bytes == 1 && WEFT_PANEL_COLUMNS % WEFT_Q_COLUMNS == 0;
}

static uint32_t least(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static int32_t wrapping_multiply(int32_t a, int32_t b)
{
	return (int32_t)((uint32_t)a * (uint32_t)b);
}

static uint32_t groups_of(const struct piece *piece, uint32_t depth)
{
	return (depth + piece->form->group - 1) / piece->form->group;
}

/* Element index of row @k of B. */
static ptrdiff_t row_of(const struct weft_qweights *w, uint32_t k)
{
	uint32_t outer = k / w->extent[2];

	return w->first + (ptrdiff_t)(outer / w->extent[1]) * w->stride[0] +
	       (ptrdiff_t)(outer % w->extent[1]) * w->stride[1] + (ptrdiff_t)(k % w->extent[2]) * w->stride[2];
}

/* Element (@k, @column) of B in panels, of @depth rows. */
static const uint8_t *in_panel(const struct weft_qweights *w, uint32_t depth, uint32_t k, uint32_t column)
{
	size_t group = (size_t)column / WEFT_PANEL_COLUMNS * (depth / 4) + k / 4;

	return w->panels + (group * WEFT_PANEL_COLUMNS + column % WEFT_PANEL_COLUMNS) * 4 + k % 4;
}

/* Columns [0, n) of row @k from @column, then what counts as nothing. */
static void stage_row(const struct piece *piece, uint32_t k, uint32_t column, uint32_t n, uint8_t *to)
{
	const struct weft_qweights *w = &piece->weights;
	ptrdiff_t at;

	if (w->panels) {
		/* A panel of ours is part of one of those. */
		const uint8_t *from = in_panel(w, piece->p->depth, k, column);

		for (uint32_t i = 0; i < n; i++)
			to[i] = from[i * 4];
		return;
	}
	at = row_of(w, k) + (ptrdiff_t)column * w->column;
	if (w->type == WEFT_TYPE_I4) {
		for (uint32_t i = 0; i < n; i++, at++) {
			uint8_t nibble = w->base[at >> 1] >> (at & 1 ? 4 : 0) & 15;

			to[i] = (uint8_t)((nibble ^ 8) - 8);
		}
		return;
	}
	for (uint32_t i = 0; i < n; i++)
		to[i] = w->base[at + (ptrdiff_t)i * w->column];
}

/* Depth with ragged runs filled up. */
static uint32_t packed_depth(const struct weft_qproduct *p)
{
	uint32_t group = p->form->group;

	return p->ragged ? p->runs * ((p->ragged + group - 1) / group * group) : p->depth;
}

/* The row of B that row @k of what is packed is; -1: none. */
static int64_t packed_row(const struct weft_qproduct *p, uint32_t k, uint32_t end)
{
	uint32_t filled;

	if (k >= end)
		return -1;
	if (!p->ragged)
		return k;
	filled = packed_depth(p) / p->runs;
	return k % filled < p->ragged ? (int64_t)(k / filled) * p->ragged + k % filled : -1;
}

static void pack_panel(const struct piece *piece, uint32_t column, uint32_t k0, uint32_t depth, uint8_t *to,
		       int32_t *sum)
{
	const struct weft_qweights *w = &piece->weights;
	const uint32_t group = piece->form->group, n = least(piece->columns - column, WEFT_Q_COLUMNS);
	const bool is_signed = w->type != WEFT_TYPE_U8;
	const bool direct = !w->panels && w->type != WEFT_TYPE_I4 && w->column == 1 && n == WEFT_Q_COLUMNS;
	/* The byte that counts as nothing: 0, or the zero point where that is taken off. */
	const uint8_t nothing = piece->form->bytes == 1 ? (is_signed ? 0 : 0x80) : (uint8_t)w->zero;
	uint8_t(*staged)[WEFT_Q_COLUMNS] = piece->local->staged;
	const uint8_t *row[4];

	memset(staged, nothing, sizeof(piece->local->staged));
	for (uint32_t k = 0; k < depth; k += group, to += WEFT_Q_COLUMNS * 4) {
		for (uint32_t i = 0; i < group; i++) {
			int64_t from = packed_row(piece->p, k0 + k + i, k0 + depth);

			row[i] = staged[i];
			if (from < 0)
				memset(staged[i], nothing, WEFT_Q_COLUMNS);
			else if (direct)
				row[i] = w->base + row_of(w, (uint32_t)from) + piece->column + column;
			else
				stage_row(piece, (uint32_t)from, piece->column + column, n, staged[i]);
		}
		piece->form->interleave(row, is_signed, w->zero, to, sum);
	}
}

/* Sums of B's columns, which the totals start from; @first: the block is the first of K. */
static void start_columns(const struct piece *piece, uint32_t column, const int32_t *sum, bool first)
{
	const struct weft_qproduct *p = piece->p;
	const int32_t offset = p->input.offset;
	int32_t *start = piece->local->start + column;
	int32_t constant = wrapping_multiply(wrapping_multiply((int32_t)p->depth, offset), piece->weight_offset);

	for (uint32_t i = 0; i < WEFT_Q_COLUMNS; i++) {
		uint32_t value = (uint32_t)start[i] - (uint32_t)wrapping_multiply(offset, sum[i]);

		start[i] = (int32_t)(first ? value + (uint32_t)constant : value);
	}
}

/* Packs blocks [k0, k0 + depth) of all columns, and completes their start values. */
static void pack(const struct piece *piece, uint32_t k0, uint32_t depth)
{
	const bool sums = piece->form->bytes == 1;
	uint8_t *to = piece->local->b;

	for (uint32_t column = 0; column < piece->columns; column += WEFT_Q_COLUMNS, to += piece->panel_bytes) {
		memset(piece->local->column_sum, 0, sizeof(piece->local->column_sum));
		pack_panel(piece, column, k0, depth, to, sums ? piece->local->column_sum : NULL);
		if (sums)
			start_columns(piece, column, piece->local->column_sum, k0 == 0);
	}
}

/* Where columns from @column of block @k0 of B are multiplied. */
static const uint8_t *columns_at(const struct piece *piece, uint32_t column, uint32_t k0)
{
	size_t block = (size_t)k0 / piece->form->group * piece->step;

	if (piece->direct)
		return in_panel(&piece->weights, piece->p->depth, k0, piece->column + column);
	return piece->local->b + column / WEFT_Q_COLUMNS * piece->panel_bytes + (piece->packed ? block : 0);
}

/* The start values of columns that are multiplied where they are: sums by a row of ones. */
static void start_direct(const struct piece *piece)
{
	uint8_t *ones = piece->local->a;
	const uint8_t *const row[] = {ones};
	const uint32_t depth = piece->p->depth;

	if (!piece->p->input.offset)
		return;
	memset(ones, 1, least(depth, BLOCK_DEPTH));
	for (uint32_t column = 0; column < piece->columns; column += WEFT_Q_COLUMNS) {
		int32_t *sum = piece->local->column_sum;

		memset(sum, 0, sizeof(piece->local->column_sum));
		for (uint32_t k0 = 0; k0 < depth; k0 += BLOCK_DEPTH)
			piece->form->tile(row, sizeof(int32_t), 1, columns_at(piece, column, k0), piece->step,
					  groups_of(piece, least(depth - k0, BLOCK_DEPTH)), NULL, sum, WEFT_Q_COLUMNS,
					  1, 2);
		start_columns(piece, column, sum, true);
	}
}

/* Bias, multipliers and shifts of the piece's columns, padded to whole panels. */
static void set_columns(struct piece *piece, uint32_t channel)
{
	const struct weft_qproduct *p = piece->p;
	struct local *local = piece->local;
	const int32_t *bias = p->bias ? p->bias + channel + piece->column : NULL;

	memset(local->start, 0, sizeof(local->start));
	if (bias)
		memcpy(local->start, bias, piece->columns * sizeof(*bias));
	piece->finish = (struct weft_qfinish){.zero = p->result->zero_point, .low = p->low, .high = p->high};
	weft_qfinish_channels(&piece->finish, &p->multipliers, channel + piece->column, piece->columns,
			      local->multiplier, local->shift);
}

/* -ob * (sum of a row's elements), added to its totals. */
static void correct_rows(const struct piece *piece, const uint8_t *const at[], uint32_t rows, uint32_t depth,
			 int32_t correction[])
{
	for (uint32_t i = 0; i < rows; i++) {
		int32_t sum = 0;

		for (uint32_t k = 0; k < depth; k++)
			sum += weft_byte(at[i] + k, piece->form->is_signed);
		correction[i] -= wrapping_multiply(piece->weight_offset, sum);
	}
}

static void finish_panel(const struct piece *piece, uint32_t column, uint32_t rows, int32_t *totals,
			 const int32_t correction[], uint8_t *const result[])
{
	uint32_t n = least(piece->columns - column, WEFT_Q_COLUMNS);
	size_t offset = (size_t)(piece->column + column) * (piece->finish.multiplier ? 1 : sizeof(int32_t));
	uint8_t *at[WEFT_Q_ROWS];

	for (uint32_t i = 0; i < rows; i++) {
		int32_t *total = totals + (size_t)i * WEFT_Q_COLUMNS;

		at[i] = result[i] + offset;
		if (piece->form->bytes == 1 && piece->weight_offset)
			for (uint32_t j = 0; j < WEFT_Q_COLUMNS; j++)
				total[j] = (int32_t)((uint32_t)total[j] + (uint32_t)correction[i]);
	}
	WEFT_KERNEL(weft_qfinish)(&piece->finish, totals, WEFT_Q_COLUMNS, column, n, rows, at);
}

/* Whether totals of @rows rows are the results, equally far apart: *pitch of them. */
static bool are_results(const struct piece *piece, uint32_t rows, uint8_t *const result[], ptrdiff_t *pitch)
{
	ptrdiff_t apart = rows > 1 ? result[1] - result[0] : 0;

	if (piece->finish.multiplier || piece->weight_offset)
		return false;
	for (uint32_t i = 2; i < rows; i++)
		if (result[i] - result[i - 1] != apart)
			return false;
	*pitch = apart / (ptrdiff_t)sizeof(int32_t);
	return true;
}

/* A tile's rows with columns [column, column + n), n at most of a panel, to results; the whole of K at once. */
static void multiply_whole(const struct piece *piece, const uint8_t *const at[], uint32_t rows, size_t apart,
			   uint32_t runs, uint32_t groups, bool straight, ptrdiff_t pitch, const int32_t correction[],
			   uint8_t *const result[])
{
	for (uint32_t column = 0; column < piece->columns; column += WEFT_Q_COLUMNS) {
		uint32_t left = piece->columns - column;
		bool to_results = straight && left >= WEFT_Q_COLUMNS;
		/* Else a tile's totals stay in the first-level cache. */
		int32_t *totals =
			to_results ? (int32_t *)(void *)result[0] + piece->column + column : piece->local->totals;

		piece->form->tile(at, apart, runs, columns_at(piece, column, 0), piece->step, groups,
				  piece->local->start + column, totals, to_results ? pitch : WEFT_Q_COLUMNS, rows,
				  left > WEFT_Q_WIDTH ? 2 : 1);
		if (!to_results)
			finish_panel(piece, column, rows, totals, correction, result);
	}
}

/* A tile's rows with every panel of one block of K. */
static void multiply(const struct piece *piece, const uint8_t *const at[], uint32_t rows, uint32_t k0, uint32_t depth,
		     bool last, const int32_t correction[], uint8_t *const result[])
{
	const uint32_t groups = groups_of(piece, depth);
	ptrdiff_t pitch = 0;

	if (k0 == 0 && last) {
		bool straight = are_results(piece, rows, result, &pitch);

		multiply_whole(piece, at, rows, sizeof(int32_t), 1, groups, straight, pitch, correction, result);
		return;
	}
	for (uint32_t column = 0; column < piece->columns; column += WEFT_Q_COLUMNS) {
		int32_t *totals = piece->local->totals + column / WEFT_Q_COLUMNS * TILE_TOTALS;

		piece->form->tile(at, sizeof(int32_t), 1, columns_at(piece, column, k0), piece->step, groups,
				  k0 ? NULL : piece->local->start + column, totals, WEFT_Q_COLUMNS, rows,
				  piece->columns - column > WEFT_Q_WIDTH ? 2 : 1);
		if (last)
			finish_panel(piece, column, rows, totals, correction, result);
	}
}

static void run_tile(struct piece *piece, uint32_t row, uint32_t rows)
{
	const struct weft_qproduct *p = piece->p;
	const uint32_t depth = BLOCK_DEPTH;
	int32_t correction[WEFT_Q_ROWS] = {0};
	const uint8_t *at[WEFT_Q_ROWS];
	uint8_t *result[WEFT_Q_ROWS];
	size_t pitch = ((size_t)least(p->depth, depth) + 3) / 4 * 4 * piece->form->bytes + 64;

	p->results(p, piece->product, row, rows, result);
	for (uint32_t k0 = 0; k0 < p->depth; k0 += depth) {
		uint32_t n = least(p->depth - k0, depth);

		p->gather(p, piece->product, row, rows, k0, n, piece->local->a, pitch, at);
		if (piece->weight_offset && piece->form->bytes == 1)
			correct_rows(piece, at, rows, n, correction);
		multiply(piece, at, rows, k0, n, k0 + n == p->depth, correction, result);
	}
}

/* Rows [first, first + rows) from the box that holds what they overlap in. */
static void run_boxed_tile(const struct piece *piece, uint32_t first, uint32_t row, uint32_t rows)
{
	const struct weft_qproduct *p = piece->p;
	const uint8_t *at[WEFT_Q_ROWS];
	uint8_t *result[WEFT_Q_ROWS];
	ptrdiff_t pitch = 0;
	bool straight;

	p->results(p, piece->product, row, rows, result);
	p->locate(p, first, row, rows, piece->local->a, at);
	straight = are_results(piece, rows, result, &pitch);
	multiply_whole(piece, at, rows, p->apart, p->runs, packed_depth(p) / p->runs / piece->form->group, straight,
		       pitch, NULL, result);
}

static uint32_t tile_height(uint32_t rows)
{
	uint32_t tiles = (rows + WEFT_Q_ROWS - 1) / WEFT_Q_ROWS;

	return (rows + tiles - 1) / tiles;
}

/* The first row that no box could be made for. */
static uint32_t run_boxes(const struct piece *piece, uint32_t row, uint32_t end)
{
	const struct weft_qproduct *p = piece->p;

	while (row < end) {
		uint32_t boxed = p->box(p, piece->product, row, end, piece->local->a, WEFT_QPRODUCT_BOX_BYTES), height;

		if (!boxed)
			break;
		height = tile_height(boxed);
		for (uint32_t i = 0; i < boxed; i += height)
			run_boxed_tile(piece, row, row + i, least(boxed - i, height));
		row += boxed;
	}
	return row;
}

/* So deep that not even a panel of B fits: K block by K block, packed for every tile again. */
static void run_deep_tile(struct piece *piece, uint32_t row, uint32_t rows, uint32_t channel)
{
	const struct weft_qproduct *p = piece->p;
	int32_t correction[WEFT_Q_ROWS] = {0};
	const uint8_t *at[WEFT_Q_ROWS];
	uint8_t *result[WEFT_Q_ROWS];
	size_t pitch = (size_t)BLOCK_DEPTH * piece->form->bytes + 64;

	p->results(p, piece->product, row, rows, result);
	set_columns(piece, channel);
	/* The start values hold the sums of all blocks only after the last: added at the end. */
	memset(piece->local->totals, 0, sizeof(piece->local->totals));
	for (uint32_t k0 = 0; k0 < p->depth; k0 += BLOCK_DEPTH) {
		uint32_t n = least(p->depth - k0, BLOCK_DEPTH), left = piece->columns;

		pack(piece, k0, n);
		p->gather(p, piece->product, row, rows, k0, n, piece->local->a, pitch, at);
		if (piece->weight_offset && piece->form->bytes == 1)
			correct_rows(piece, at, rows, n, correction);
		piece->form->tile(at, sizeof(int32_t), 1, piece->local->b, piece->step, groups_of(piece, n), NULL,
				  piece->local->totals, WEFT_Q_COLUMNS, rows, left > WEFT_Q_WIDTH ? 2 : 1);
	}
	for (uint32_t i = 0; i < rows * WEFT_Q_COLUMNS; i++)
		piece->local->totals[i] = (int32_t)((uint32_t)piece->local->totals[i] +
						    (uint32_t)piece->local->start[i % WEFT_Q_COLUMNS]);
	finish_panel(piece, 0, rows, piece->local->totals, correction, result);
}

static size_t panel_bytes(const struct weft_qproduct *p)
{
	return ((size_t)packed_depth(p) + p->form->group - 1) / p->form->group * (WEFT_Q_COLUMNS * 4);
}

static void run_piece(void *argument, unsigned int index, unsigned int lane)
{
	const struct sharing *share = argument;
	const struct weft_qproduct *p = share->p;
	uint32_t row = index / share->column_pieces % share->row_pieces * share->piece_rows;
	uint32_t end = row + least(p->rows - row, share->piece_rows), height, channel;
	struct piece piece = {.p = p,
			      .form = p->form,
			      .local = weft_engine_local(p->unit, lane),
			      .product = index / share->column_pieces / share->row_pieces,
			      .column = index % share->column_pieces * share->piece_columns,
			      .panel_bytes = panel_bytes(p),
			      .direct = is_direct(p)};

	piece.columns = least(p->columns - piece.column, share->piece_columns);
	p->weights(p, piece.product, &piece.weights, &channel);
	if (p->form->bytes == 1)
		piece.weight_offset = piece.weights.zero - (piece.weights.type == WEFT_TYPE_U8 ? 0x80 : 0);
	piece.packed = piece.direct || piece.panel_bytes <= B_BYTES;
	piece.step = (piece.direct ? WEFT_PANEL_COLUMNS : WEFT_Q_COLUMNS) * (size_t)4;
	if (piece.packed)
		set_columns(&piece, channel);
	if (piece.direct)
		start_direct(&piece);
	else if (piece.packed)
		pack(&piece, 0, packed_depth(p));
	/* Corrections of rows want the rows apart. */
	if (p->box && piece.packed && !piece.weight_offset)
		row = run_boxes(&piece, row, end);
	height = row < end ? tile_height(end - row) : 1;
	for (; row < end; row += height) {
		if (piece.packed)
			run_tile(&piece, row, least(end - row, height));
		else
			run_deep_tile(&piece, row, least(end - row, height), channel);
	}
}

static uint32_t divide_up(uint32_t a, uint32_t b)
{
	return a / b + (a % b != 0);
}

/* Pieces of about the same width in whole panels, and enough of them for the lanes. */
static void share_out(struct sharing *share)
{
	const struct weft_qproduct *p = share->p;
	size_t panel = panel_bytes(p);
	uint32_t most = panel > B_BYTES ? WEFT_Q_COLUMNS : (uint32_t)(B_BYTES / panel) * WEFT_Q_COLUMNS;
	uint32_t lanes = weft_engine_unit_lanes(p->unit), wanted = 1, tiles = divide_up(p->rows, 2 * WEFT_Q_ROWS);
	uint64_t pieces;

	share->column_pieces = divide_up(p->columns, least(most, PIECE_COLUMNS));
	share->piece_columns = divide_up(divide_up(p->columns, share->column_pieces), WEFT_Q_COLUMNS) * WEFT_Q_COLUMNS;
	share->column_pieces = divide_up(p->columns, share->piece_columns);
	pieces = (uint64_t)p->products * share->column_pieces;
	if (lanes > 1 && pieces < 2 * lanes)
		wanted = (uint32_t)((2 * lanes + pieces - 1) / pieces);
	share->piece_rows = divide_up(p->rows, least(wanted, tiles));
	share->row_pieces = divide_up(p->rows, share->piece_rows);
}

void WEFT_KERNEL(weft_qproduct_run)(const struct weft_qproduct *p)
{
	struct sharing share = {.p = p};

	share_out(&share);
	weft_engine_parallel(p->unit, p->products * share.row_pieces * share.column_pieces, run_piece, &share);
}
