// SPDX-License-Identifier: MIT
/*
 * MATMUL.  A piece is a range of rows by a range of columns of one product of
 * the batch.  For each block of k it packs its part of B into panels (local
 * memory, meant for the second-level cache), then runs tiles of A's rows
 * against every panel.
 */
#include "tile.h"

/** Columns of a piece: a block of B is to stay in the second-level cache, 1 MiB and more beside AVX-512. */
#if defined(__AVX512F__)
#define PIECE_COLUMNS 384
#else
#define PIECE_COLUMNS 256
#endif
/** Distance between rows of a packed tile of A: keeps them out of each other's cache sets. */
#define A_ROW (WEFT_SUM_MATMUL + VF_WIDTH)

/** Floats of a cache line. */
#define LINE 16
/** How far ahead the copying of A's columns reads. */
#define PREFETCH_ROWS 16

struct matrix {
	float *base;
	/** Element strides: batches, row, column. */
	ptrdiff_t batch[2], row, column;
};

struct matmul {
	struct weft_engine_unit *unit;
	const union weft_params *params;
	struct matrix a, b, bias, c;
	uint32_t batch[2], m, n, k;
	uint32_t piece_rows, piece_columns, row_pieces, column_pieces;
};

/** Rows of a transposed A that are packed together: whole tiles, and more than a cache line of each of its rows. */
#define GROUP (24 / WEFT_TILE_ROWS * WEFT_TILE_ROWS + (24 % WEFT_TILE_ROWS ? WEFT_TILE_ROWS : 0))

/* Local memory of a lane. */
struct local {
	float b[WEFT_SUM_MATMUL * PIECE_COLUMNS];
	float a[(GROUP > WEFT_TILE_ROWS_NARROW ? GROUP : WEFT_TILE_ROWS_NARROW) * A_ROW];
	float c[WEFT_TILE_ROWS_NARROW * WEFT_TILE_COLUMNS];
};
_Static_assert(sizeof(struct local) <= WEFT_LANE_LOCAL_BYTES, "local memory");

/* One piece while it runs. */
struct piece {
	const struct matmul *mm;
	struct local *local;
	struct matrix a, b, bias, c;
	uint32_t rows, columns;
	/** The present block of k. */
	uint32_t k0, depth;
	bool last;
	/** Rows of a transposed A that are packed: [packed, packed_end), of the present block. */
	uint32_t packed, packed_end;
};

static struct matrix matrix_of(const struct weft_tensor *t, void *base)
{
	struct matrix m = {.base = base};

	if (!base)
		return m;
	m.column = t->rank > 0 ? t->strides[t->rank - 1] : 0;
	m.row = t->rank > 1 ? t->strides[t->rank - 2] : 0;
	m.batch[1] = t->rank > 2 ? t->strides[t->rank - 3] : 0;
	m.batch[0] = t->rank > 3 ? t->strides[t->rank - 4] : 0;
	return m;
}

static float *at(const struct matrix *m, uint32_t row, uint32_t column)
{
	return m->base + (ptrdiff_t)row * m->row + (ptrdiff_t)column * m->column;
}

static struct matrix transposed(struct matrix m)
{
	ptrdiff_t row = m.row;

	m.row = m.column;
	m.column = row;
	return m;
}

/* Packs the rows from @row on of a transposed A, whole tiles of @height. */
static void pack_group(struct piece *p, uint32_t row, uint32_t height)
{
	uint32_t rows = weft_min(p->rows - row, GROUP / height * height);
	const float *from = at(&p->a, row, p->k0);
	float *to = p->local->a;

	for (uint32_t k = 0; k < p->depth; k++, from += p->a.column, to += rows) {
		/* Rows are too far apart for the hardware to foresee. */
		__builtin_prefetch(from + PREFETCH_ROWS * p->a.column);
		__builtin_prefetch(from + PREFETCH_ROWS * p->a.column + rows - 1);
		weft_copy_floats(to, from, rows);
	}
	p->packed = row;
	p->packed_end = row + rows;
}

/* Rows of A for a tile; packed into local memory where that pays or must be. */
static enum weft_tile_form prepare_a(struct piece *p, uint32_t row, uint32_t rows, const float **pointer,
				     ptrdiff_t *step)
{
	const float *a = at(&p->a, row, p->k0);
	bool reused = p->columns >= 3 * WEFT_TILE_COLUMNS;
	float *packed = p->local->a;

	*step = 1;
	if (p->a.column != 1 && p->a.row == 1) {
		pointer[0] = a;
		*step = p->a.column;
		if (reused) {
			if (row < p->packed || row >= p->packed_end)
				pack_group(p, row, rows);
			pointer[0] = packed + (row - p->packed);
			*step = p->packed_end - p->packed;
		}
		return WEFT_TILE_COLUMN_FORM;
	}
	for (uint32_t i = 0; i < rows; i++) {
		const float *from = a + (ptrdiff_t)i * p->a.row;
		float *to = packed + (size_t)i * A_ROW;

		pointer[i] = to;
		if (p->a.column == 1 && reused)
			weft_copy_floats(to, from, p->depth);
		else if (p->a.column == 1)
			pointer[i] = from;
		else
			for (uint32_t k = 0; k < p->depth; k++)
				to[k] = from[(ptrdiff_t)k * p->a.column];
	}
	return WEFT_TILE_ROW_FORM;
}

/* Moves a tile of C between its place, of any strides, and the rows that a tile can address. */
static void move_c(const struct piece *p, uint32_t row, uint32_t rows, uint32_t column, uint32_t columns, bool store)
{
	for (uint32_t i = 0; i < rows; i++) {
		for (uint32_t j = 0; j < columns; j++) {
			float *place = at(&p->c, row + i, column + j), *local = &p->local->c[i * WEFT_TILE_COLUMNS + j];

			if (store)
				*place = *local;
			else
				*local = *place;
		}
	}
}

/* The epilogue where bias is not one row for all, element by element. */
static void finish(const struct piece *p, uint32_t row, uint32_t rows, uint32_t column, uint32_t columns)
{
	const union weft_params *params = p->mm->params;

	for (uint32_t i = row; i < row + rows; i++) {
		for (uint32_t j = column; j < column + columns; j++) {
			float *c = at(&p->c, i, j);
			vf total = vf_set1(*c + *at(&p->bias, i, j));

			total = vf_activate(total, params->matmul.activation, params->matmul.alpha,
					    params->matmul.beta);
			*c = total[0];
		}
	}
}

/*
 * Fetches into the second-level cache what prepare_a() will read for the next
 * row of tiles, [@begin, @end) of k: it would wait for each row anew.
 */
static void fetch_a(const struct piece *p, uint32_t row, uint32_t rows, uint32_t begin, uint32_t end)
{
	const float *a = at(&p->a, row, p->k0);

	if (p->a.column == 1)
		for (uint32_t i = 0; i < rows; i++, a += p->a.row)
			for (uint32_t k = begin; k < end; k += LINE)
				__builtin_prefetch(a + k, 0, 2);
	else if (p->a.row == 1 && row >= p->packed_end)
		for (uint32_t k = begin; k < end; k++, a += p->a.column)
			for (uint32_t i = 0; i < GROUP; i += LINE)
				__builtin_prefetch(a + (ptrdiff_t)begin * p->a.column + i, 0, 2);
}

static void run_row_of_tiles(struct piece *p, uint32_t row, uint32_t rows)
{
	const uint32_t next = row + rows, next_rows = weft_min(p->rows - next, rows);
	/* Shared out to the panels. */
	const uint32_t share = (uint32_t)((uint64_t)p->depth * WEFT_TILE_COLUMNS / p->columns + LINE) / LINE * LINE;
	const union weft_params *params = p->mm->params;
	bool accumulate = p->k0 || (params->matmul.flags & WEFT_F_ACCUMULATE), in_place = p->c.column == 1;
	bool simple_bias = !p->bias.base || (p->bias.row == 0 && p->bias.column == 1);
	bool epilogue_needed = p->last && simple_bias && (p->bias.base || params->matmul.activation != WEFT_ACT_NONE);
	struct weft_epilogue epilogue = {
		.activation = params->matmul.activation, .alpha = params->matmul.alpha, .beta = params->matmul.beta};
	struct weft_tile_run run = {.offset = 0, .length = p->depth};
	const float *a[WEFT_TILE_ROWS_NARROW];
	float *c[WEFT_TILE_ROWS_NARROW];
	struct weft_tile tile = {.runs = &run,
				 .run_count = 1,
				 .a = a,
				 .c = c,
				 .add = accumulate,
				 .scale = params->matmul.scale,
				 .epilogue = epilogue_needed ? &epilogue : NULL};
	enum weft_tile_form form = prepare_a(p, row, rows, a, &tile.a_step);

	for (uint32_t column = 0; column < p->columns; column += WEFT_TILE_COLUMNS) {
		tile.columns = weft_min(p->columns - column, WEFT_TILE_COLUMNS);
		tile.b = p->local->b + (size_t)column * WEFT_SUM_MATMUL;
		tile.b_step = weft_panel_width(tile.columns);
		fetch_a(p, next, next_rows, weft_min(column / WEFT_TILE_COLUMNS * share, p->depth),
			weft_min((column / WEFT_TILE_COLUMNS + 1) * share, p->depth));
		for (uint32_t i = 0; i < rows; i++) {
			c[i] = in_place ? at(&p->c, row + i, column) : &p->local->c[i * WEFT_TILE_COLUMNS];
			/* Needed when the tile is done, and by then here. */
			__builtin_prefetch(c[i], 1);
			__builtin_prefetch(c[i] + VF_WIDTH, 1);
		}
		if (epilogue_needed && p->bias.base)
			epilogue.bias = p->bias.base + column;
		if (!in_place && accumulate)
			move_c(p, row, rows, column, tile.columns, false);
		weft_tile_run(&tile, form, rows);
		if (!in_place)
			move_c(p, row, rows, column, tile.columns, true);
		if (p->last && !simple_bias)
			finish(p, row, rows, column, tile.columns);
	}
}

static void pack_b(const struct piece *p)
{
	for (uint32_t column = 0; column < p->columns; column += WEFT_TILE_COLUMNS) {
		uint32_t columns = weft_min(p->columns - column, WEFT_TILE_COLUMNS);

		WEFT_KERNEL(weft_pack_panel)
		(p->local->b + (size_t)column * WEFT_SUM_MATMUL, weft_panel_width(columns), at(&p->b, p->k0, column),
		 p->b.row, p->b.column, p->depth, columns);
	}
}

static void shift(struct matrix *m, const uint32_t batch[2], uint32_t row, uint32_t column)
{
	if (m->base)
		m->base = at(m, row, column) + (ptrdiff_t)batch[0] * m->batch[0] + (ptrdiff_t)batch[1] * m->batch[1];
}

static void run_piece(void *argument, unsigned int index, unsigned int lane)
{
	const struct matmul *mm = argument;
	uint32_t column = index % mm->column_pieces * mm->piece_columns;
	uint32_t row = index / mm->column_pieces % mm->row_pieces * mm->piece_rows;
	uint32_t product = index / mm->column_pieces / mm->row_pieces, height;
	const uint32_t batch[2] = {product / mm->batch[1], product % mm->batch[1]};
	struct piece p = {.mm = mm,
			  .local = weft_engine_local(mm->unit, lane),
			  .a = mm->a,
			  .b = mm->b,
			  .bias = mm->bias,
			  .c = mm->c,
			  .rows = weft_min(mm->m - row, mm->piece_rows),
			  .columns = weft_min(mm->n - column, mm->piece_columns)};

	shift(&p.a, batch, row, 0);
	shift(&p.b, batch, 0, column);
	shift(&p.bias, batch, row, column);
	shift(&p.c, batch, row, column);
	height = weft_tile_height(p.rows, p.columns);
	for (p.k0 = 0; p.k0 < mm->k; p.k0 += WEFT_SUM_MATMUL) {
		p.depth = weft_min(mm->k - p.k0, WEFT_SUM_MATMUL);
		p.last = p.k0 + p.depth == mm->k;
		p.packed = p.packed_end = 0;
		pack_b(&p);
		for (uint32_t i = 0; i < p.rows; i += height)
			run_row_of_tiles(&p, i, weft_min(p.rows - i, height));
	}
}

/* Strides along extents of one do not matter: choose those that make an operand look dense. */
static void simplify(struct matmul *mm)
{
	if (mm->n == 1)
		mm->b.column = mm->c.column = 1;
	if (mm->k == 1)
		mm->a.column = 1;
	if (mm->m == 1)
		mm->bias.row = 0;
}

/* Enough pieces for the lanes, of at least two rows of tiles each. */
static void share_out(struct matmul *mm, unsigned int lanes)
{
	uint64_t pieces;
	uint32_t wanted = 1, most = (mm->m + 2 * WEFT_TILE_ROWS - 1) / (2 * WEFT_TILE_ROWS);

	/* Pieces of about the same width, in whole tiles. */
	mm->column_pieces = (mm->n + PIECE_COLUMNS - 1) / PIECE_COLUMNS;
	mm->piece_columns = (mm->n + mm->column_pieces - 1) / mm->column_pieces;
	mm->piece_columns = (mm->piece_columns + WEFT_TILE_COLUMNS - 1) / WEFT_TILE_COLUMNS * WEFT_TILE_COLUMNS;
	pieces = (uint64_t)mm->batch[0] * mm->batch[1] * mm->column_pieces;
	if (lanes > 1 && pieces < 4 * lanes)
		wanted = (uint32_t)((4 * lanes + pieces - 1) / pieces);
	mm->row_pieces = weft_min(wanted, most);
	mm->piece_rows = (mm->m + mm->row_pieces - 1) / mm->row_pieces;
	mm->row_pieces = (mm->m + mm->piece_rows - 1) / mm->piece_rows;
}

enum weft_fault WEFT_KERNEL(weft_matmul)(WEFT_KERNEL_ARGUMENTS)
{
	const struct weft_tensor *a = &command->operand[0], *c = &command->operand[3];
	struct matmul mm = {
		.unit = unit,
		.params = &command->params,
		.a = matrix_of(a, pointer[0]),
		.b = matrix_of(&command->operand[1], pointer[1]),
		.bias = matrix_of(&command->operand[2], pointer[2]),
		.c = matrix_of(c, pointer[3]),
		.batch = {c->rank > 3 ? c->dims[c->rank - 4] : 1, c->rank > 2 ? c->dims[c->rank - 3] : 1},
		.m = c->dims[c->rank - 2],
		.n = c->dims[c->rank - 1],
		.k = a->dims[a->rank - 1],
	};

	(void)fault;
	/* C = A B is C' = B' A': make the columns of C contiguous where either way is. */
	if (mm.c.column != 1 && mm.c.row == 1 && mm.n > 1) {
		struct matrix left = transposed(mm.b);
		uint32_t m = mm.m;

		mm.b = transposed(mm.a);
		mm.a = left;
		mm.c = transposed(mm.c);
		mm.bias = transposed(mm.bias);
		mm.m = mm.n;
		mm.n = m;
	}
	simplify(&mm);
	share_out(&mm, weft_engine_unit_lanes(unit));
	weft_engine_parallel(unit, mm.batch[0] * mm.batch[1] * mm.row_pieces * mm.column_pieces, run_piece, &mm);
	return WEFT_FAULT_NONE;
}
