/* SPDX-License-Identifier: MIT */
/* Reduction over any axes; see reduction.h.  All elements are f32, outputs may be any type. */
#include <string.h>
#include "iterate.h"
#include "reduction.h"

#define BLOCK WEFT_SUM_REDUCE
#define PARTIALS WEFT_SUM_PARTIALS
#define COLUMNS WEFT_REDUCTION_COLUMNS
/* The first lane's local memory holds its own buffers below, and what the lanes share above. */
#define SHARED_BYTES (WEFT_LANE_LOCAL_BYTES / 2)
/* Fewer terms than this are not worth another lane. */
#define PIECE_TERMS 16384

static bool is_reduced(const struct weft_tensor *shape, const struct weft_tensor *result, unsigned int d)
{
	return result->dims[d] == 1 && shape->dims[d] != 1;
}

void weft_reduction_begin(struct weft_reduction *r, const struct weft_tensor *shape, const struct weft_tensor *result)
{
	memset(r, 0, sizeof(*r));
	r->terms = 1;
	for (unsigned int d = 0; d < shape->rank; d++) {
		if (is_reduced(shape, result, d)) {
			r->reduced_dims[r->reduced++] = shape->dims[d];
			r->terms *= shape->dims[d];
		} else {
			r->kept_dims[r->kept++] = shape->dims[d];
		}
	}
}

static void add(struct weft_reduction *r, unsigned int slot, const struct weft_tensor *shape,
		const struct weft_tensor *result, const struct weft_tensor *tensor, void *at)
{
	unsigned int kept = 0, reduced = 0;
	ptrdiff_t bytes;

	r->base[slot] = at;
	if (!at)
		return;
	bytes = weft_element_bytes(tensor->type);
	for (unsigned int d = 0; d < shape->rank; d++) {
		ptrdiff_t stride = tensor->dims[d] == shape->dims[d] ? tensor->strides[d] * bytes : 0;

		if (!is_reduced(shape, result, d))
			r->kept_stride[slot][kept++] = stride;
		else if (slot < WEFT_REDUCTION_INPUTS)
			r->reduced_stride[slot][reduced++] = stride;
	}
}

void weft_reduction_input(struct weft_reduction *r, const struct weft_tensor *shape, const struct weft_tensor *result,
			  const struct weft_tensor *tensor, void *at)
{
	add(r, r->inputs++, shape, result, tensor, at);
}

void weft_reduction_output(struct weft_reduction *r, const struct weft_tensor *shape, const struct weft_tensor *result,
			   const struct weft_tensor *tensor, void *at)
{
	add(r, WEFT_REDUCTION_INPUTS + r->outputs++, shape, result, tensor, at);
}

/* Drop extents of 1 and merge neighbours that are contiguous for all of @slots operands. */
static void merge(unsigned int *rank, size_t *dims, ptrdiff_t (*stride)[WEFT_MAX_RANK], unsigned int slots)
{
	unsigned int n = 0;

	for (unsigned int d = 0; d < *rank; d++) {
		bool together = n > 0;

		if (dims[d] == 1)
			continue;
		for (unsigned int i = 0; together && i < slots; i++)
			together = stride[i][n - 1] == stride[i][d] * (ptrdiff_t)dims[d];
		if (!together)
			n++;
		dims[n - 1] = together ? dims[n - 1] * dims[d] : dims[d];
		for (unsigned int i = 0; i < slots; i++)
			stride[i][n - 1] = stride[i][d];
	}
	*rank = n;
}

static size_t magnitude(ptrdiff_t stride)
{
	return stride < 0 ? -(size_t)stride : (size_t)stride;
}

/* Outputs may be visited in any order: the first input's smallest stride goes innermost. */
static void sort_kept(struct weft_reduction *r)
{
	for (unsigned int i = 1; i < r->kept; i++)
		for (unsigned int d = i; d > 0 && magnitude(r->kept_stride[0][d - 1]) < magnitude(r->kept_stride[0][d]);
		     d--) {
			size_t extent = r->kept_dims[d];

			r->kept_dims[d] = r->kept_dims[d - 1];
			r->kept_dims[d - 1] = extent;
			for (unsigned int s = 0; s < WEFT_REDUCTION_INPUTS + WEFT_REDUCTION_OUTPUTS; s++) {
				ptrdiff_t stride = r->kept_stride[s][d];

				r->kept_stride[s][d] = r->kept_stride[s][d - 1];
				r->kept_stride[s][d - 1] = stride;
			}
		}
}

/* Neighbouring outputs can be computed together if their elements lie together, or are the same. */
static bool columns_fit(const struct weft_reduction *r)
{
	if (!r->kept || r->kept_stride[0][r->kept - 1] != sizeof(float))
		return false;
	if (r->reduced && r->reduced_stride[0][r->reduced - 1] == sizeof(float))
		return false;
	for (unsigned int i = 0; i < r->inputs; i++)
		if (r->base[i] && r->kept_stride[i][r->kept - 1] != sizeof(float) &&
		    r->kept_stride[i][r->kept - 1] != 0)
			return false;
	return true;
}

static void seek(unsigned int rank, const size_t *dims, uint64_t element, size_t index[])
{
	for (unsigned int d = rank; d-- > 0;) {
		index[d] = element % dims[d];
		element /= dims[d];
	}
}

static ptrdiff_t offset(unsigned int rank, const ptrdiff_t *stride, const size_t index[])
{
	ptrdiff_t at = 0;

	for (unsigned int d = 0; d < rank; d++)
		at += stride[d] * (ptrdiff_t)index[d];
	return at;
}

/* Where a strip's operands start, and how many outputs it has. */
struct strip {
	char *at[WEFT_REDUCTION_INPUTS + WEFT_REDUCTION_OUTPUTS];
	ptrdiff_t out_step[WEFT_REDUCTION_OUTPUTS];
	size_t n;
};

static void find_strip(const struct weft_reduction *r, uint64_t number, struct strip *strip)
{
	size_t index[WEFT_MAX_RANK] = {0};
	unsigned int inner = r->kept - 1;

	strip->n = 1;
	if (r->columns) {
		seek(inner, r->kept_dims, number / r->strips_per_row, index);
		index[inner] = number % r->strips_per_row * r->width;
		strip->n = r->kept_dims[inner] - index[inner];
		if (strip->n > r->width)
			strip->n = r->width;
	} else {
		seek(r->kept, r->kept_dims, number, index);
	}
	for (unsigned int i = 0; i < WEFT_REDUCTION_INPUTS + WEFT_REDUCTION_OUTPUTS; i++)
		strip->at[i] = r->base[i] ? r->base[i] + offset(r->kept, r->kept_stride[i], index) : NULL;
	for (unsigned int i = 0; i < r->outputs; i++)
		strip->out_step[i] = r->columns ? r->kept_stride[WEFT_REDUCTION_INPUTS + i][inner] : 0;
}

/* Buffers of a lane. */
struct buffers {
	float partial[WEFT_REDUCTION_SUMS * PARTIALS * COLUMNS];
	float block[WEFT_REDUCTION_SUMS * COLUMNS];
	float total[WEFT_REDUCTION_SUMS * COLUMNS];
	float input[WEFT_REDUCTION_INPUTS][BLOCK];
};
_Static_assert(sizeof(struct buffers) <= SHARED_BYTES, "buffers and shared results fit local memory");
_Static_assert(BLOCK >= COLUMNS, "an input buffer holds a row of columns");

/* The operands of one block, as they move along the reduced axes. */
struct walk {
	const struct weft_reduction *r;
	size_t index[WEFT_MAX_RANK];
	const char *at[WEFT_REDUCTION_INPUTS];
};

static void walk_begin(struct walk *w, const struct weft_reduction *r, const struct strip *strip, uint64_t term)
{
	w->r = r;
	seek(r->reduced, r->reduced_dims, term, w->index);
	for (unsigned int i = 0; i < r->inputs; i++)
		w->at[i] = strip->at[i] ? strip->at[i] + offset(r->reduced, r->reduced_stride[i], w->index) : NULL;
}

/* Terms up to the end of the innermost reduced axis. */
static size_t walk_run(const struct walk *w)
{
	unsigned int rank = w->r->reduced;

	return rank ? w->r->reduced_dims[rank - 1] - w->index[rank - 1] : 1;
}

static void walk_advance(struct walk *w, size_t count)
{
	const struct weft_reduction *r = w->r;

	for (unsigned int d = r->reduced; d-- > 0; count = 1) {
		w->index[d] += count;
		for (unsigned int i = 0; i < r->inputs; i++)
			if (w->at[i])
				w->at[i] += r->reduced_stride[i][d] * (ptrdiff_t)count;
		if (w->index[d] < r->reduced_dims[d])
			return;
		for (unsigned int i = 0; i < r->inputs; i++)
			if (w->at[i])
				w->at[i] -= r->reduced_stride[i][d] * (ptrdiff_t)r->reduced_dims[d];
		w->index[d] = 0;
	}
}

static void block_of_rows(const struct weft_reduction *r, const struct strip *strip, uint64_t first, size_t n,
			  struct buffers *b)
{
	const float *in[WEFT_REDUCTION_INPUTS] = {NULL};
	unsigned int inner = r->reduced - 1;
	struct walk w;

	walk_begin(&w, r, strip, first);
	if (r->reduced == 0 || walk_run(&w) >= n) {
		for (unsigned int i = 0; i < r->inputs; i++) {
			ptrdiff_t stride = r->reduced ? r->reduced_stride[i][inner] : (ptrdiff_t)sizeof(float);

			in[i] = (const float *)w.at[i];
			if (!in[i] || stride == sizeof(float))
				continue;
			for (size_t k = 0; k < n; k++)
				b->input[i][k] = *(const float *)(w.at[i] + stride * (ptrdiff_t)k);
			in[i] = b->input[i];
		}
	} else {
		for (size_t done = 0; done < n;) {
			size_t run = walk_run(&w);

			if (run > n - done)
				run = n - done;
			for (unsigned int i = 0; i < r->inputs; i++)
				for (size_t k = 0; w.at[i] && k < run; k++)
					b->input[i][done + k] =
						*(const float *)(w.at[i] + r->reduced_stride[i][inner] * (ptrdiff_t)k);
			walk_advance(&w, run);
			done += run;
		}
		for (unsigned int i = 0; i < r->inputs; i++)
			in[i] = w.at[i] ? b->input[i] : NULL;
	}
	r->reducer->rows(r->context, in, n, b->block);
}

static void fold(const struct weft_reducer *reducer, float *partial, size_t n)
{
	for (size_t half = PARTIALS / 2; half; half /= 2)
		reducer->combine(partial, partial + half * n, half * n);
}

static void block_of_columns(const struct weft_reduction *r, const struct strip *strip, uint64_t first, size_t terms,
			     struct buffers *b)
{
	const struct weft_reducer *reducer = r->reducer;
	ptrdiff_t step[WEFT_REDUCTION_INPUTS] = {0};
	size_t n = strip->n;
	bool repeat = false;
	struct walk w;

	walk_begin(&w, r, strip, first);
	for (size_t i = 0; i < reducer->sums * PARTIALS * n; i++)
		b->partial[i] = reducer->start;
	for (unsigned int i = 0; i < r->inputs; i++) {
		if (!w.at[i])
			continue;
		if (r->kept_stride[i][r->kept - 1] == 0)
			repeat = true;
		step[i] = r->reduced ? r->reduced_stride[i][r->reduced - 1] : 0;
	}
	for (size_t done = 0; done < terms;) {
		const float *in[WEFT_REDUCTION_INPUTS] = {NULL};
		size_t run = walk_run(&w);

		if (run > terms - done)
			run = terms - done;
		if (repeat)
			run = 1;
		for (unsigned int i = 0; i < r->inputs; i++) {
			in[i] = (const float *)w.at[i];
			if (!in[i] || r->kept_stride[i][r->kept - 1] != 0)
				continue;
			for (size_t k = 0; k < n; k++)
				b->input[i][k] = *(const float *)w.at[i];
			in[i] = b->input[i];
		}
		reducer->columns(r->context, b->partial, done, run, n, in, step);
		walk_advance(&w, run);
		done += run;
	}
	for (unsigned int s = 0; s < reducer->sums; s++) {
		fold(reducer, b->partial + s * PARTIALS * n, n);
		memcpy(b->block + s * n, b->partial + s * PARTIALS * n, n * sizeof(float));
	}
}

/* Leaves the block's results in b->block. */
static void run_block(const struct weft_reduction *r, const struct strip *strip, uint64_t block, struct buffers *b)
{
	uint64_t first = block * BLOCK;
	size_t n = r->terms - first < BLOCK ? r->terms - first : BLOCK;

	if (r->columns)
		block_of_columns(r, strip, first, n, b);
	else
		block_of_rows(r, strip, first, n, b);
	if (r->reducer->scale)
		r->reducer->scale(r->context, b->block, r->reducer->sums * strip->n);
}

static void begin_total(const struct weft_reduction *r, const struct strip *strip, float *total)
{
	for (size_t i = 0; i < r->reducer->sums * strip->n; i++)
		total[i] = r->reducer->start;
	if (r->reducer->begin)
		r->reducer->begin(r->context, total, strip->n, strip->at + WEFT_REDUCTION_INPUTS, strip->out_step);
}

static void finish_total(const struct weft_reduction *r, const struct strip *strip, const float *total)
{
	r->reducer->finish(r->context, total, strip->n, strip->at + WEFT_REDUCTION_INPUTS, strip->out_step);
}

/* Enough strips for all lanes: each is one lane's from its first block to its last. */
static void strips_piece(void *argument, unsigned int index, unsigned int lane)
{
	const struct weft_reduction *r = argument;
	struct buffers *b = weft_engine_local(r->unit, lane);
	uint64_t end = r->strips / r->pieces * (index + 1);

	if (index + 1 == r->pieces)
		end = r->strips;
	for (uint64_t s = r->strips / r->pieces * index; s < end; s++) {
		struct strip strip;

		find_strip(r, s, &strip);
		begin_total(r, &strip, b->total);
		for (uint64_t block = 0; block < r->blocks; block++) {
			run_block(r, &strip, block, b);
			r->reducer->combine(b->total, b->block, r->reducer->sums * strip.n);
		}
		finish_total(r, &strip, b->total);
	}
}

/* Few strips with many blocks: lanes share the blocks of a round, whose results are then added up in order. */
static void blocks_piece(void *argument, unsigned int index, unsigned int lane)
{
	const struct weft_reduction *r = argument;
	struct buffers *b = weft_engine_local(r->unit, lane);
	size_t slot = r->reducer->sums * r->width;
	uint64_t count = r->strips * r->round_blocks;
	uint64_t end = count * (index + 1) / r->pieces;

	for (uint64_t k = count * index / r->pieces; k < end; k++) {
		struct strip strip;

		find_strip(r, k % r->strips, &strip);
		run_block(r, &strip, r->round_first + k / r->strips, b);
		memcpy(r->shared + k * slot, b->block, r->reducer->sums * strip.n * sizeof(float));
	}
}

static void run_rounds(struct weft_reduction *r)
{
	size_t slot = r->reducer->sums * r->width;
	size_t room = SHARED_BYTES / sizeof(float) / slot; /* strips' results */
	uint64_t most = room / r->strips - 1;
	float *total;

	r->shared = (float *)((char *)weft_engine_local(r->unit, 0) + SHARED_BYTES);
	total = r->shared + (room - r->strips) * slot;
	for (uint64_t s = 0; s < r->strips; s++) {
		struct strip strip;

		find_strip(r, s, &strip);
		begin_total(r, &strip, total + s * slot);
	}
	for (r->round_first = 0; r->round_first < r->blocks; r->round_first += r->round_blocks) {
		uint64_t count;

		r->round_blocks = r->blocks - r->round_first < most ? r->blocks - r->round_first : most;
		count = r->strips * r->round_blocks;
		r->pieces = weft_engine_unit_lanes(r->unit) * 4;
		if (r->pieces > count)
			r->pieces = (unsigned int)count;
		weft_engine_parallel(r->unit, r->pieces, blocks_piece, r);
		for (uint64_t k = 0; k < count; k++)
			r->reducer->combine(total + k % r->strips * slot, r->shared + k * slot, slot);
	}
	for (uint64_t s = 0; s < r->strips; s++) {
		struct strip strip;

		find_strip(r, s, &strip);
		finish_total(r, &strip, total + s * slot);
	}
}

void weft_reduction_run(struct weft_reduction *r, struct weft_engine_unit *unit, const struct weft_reducer *reducer,
			const void *context)
{
	unsigned int lanes = weft_engine_unit_lanes(unit);
	uint64_t outputs = 1, work;

	r->reducer = reducer;
	r->context = context;
	r->unit = unit;
	sort_kept(r);
	merge(&r->kept, r->kept_dims, r->kept_stride, WEFT_REDUCTION_INPUTS + WEFT_REDUCTION_OUTPUTS);
	merge(&r->reduced, r->reduced_dims, r->reduced_stride, WEFT_REDUCTION_INPUTS);
	for (unsigned int d = 0; d < r->kept; d++)
		outputs *= r->kept_dims[d];
	if (outputs == 0)
		return;
	r->blocks = (r->terms + BLOCK - 1) / BLOCK;
	r->columns = columns_fit(r);
	r->width = 1;
	r->strips = outputs;
	if (r->columns) {
		size_t inner = r->kept_dims[r->kept - 1];

		r->width = inner < COLUMNS ? inner : COLUMNS;
		r->strips_per_row = (inner + r->width - 1) / r->width;
		r->strips = outputs / inner * r->strips_per_row;
	}
	work = outputs * r->terms / PIECE_TERMS;
	if (lanes > 1 && r->strips < 4 * lanes && r->blocks > 1 && work > 1) {
		run_rounds(r);
		return;
	}
	r->pieces = lanes == 1 ? 1 : lanes * 4;
	if (r->pieces > r->strips)
		r->pieces = (unsigned int)r->strips;
	if (r->pieces > work)
		r->pieces = work ? (unsigned int)work : 1;
	weft_engine_parallel(unit, r->pieces, strips_piece, r);
}
