/* SPDX-License-Identifier: MIT */
/* GATHER, SCATTER_ADD, SCATTER and IOTA. */
#include <string.h>
#include "iterate.h"
#include "kernels.h"
#include "real.h"

/* Rows of a table addressed by indices; the rows may have any strides. */
struct indexed {
	const char *index;
	ptrdiff_t index_step;
	bool wide;
	uint64_t rows, table_rows;
	char *table, *list; /* table [V, D...], list [R, D...] */
	ptrdiff_t table_step, list_step;
	/* One row, dimensions D..., merged. */
	unsigned int rank;
	size_t dims[WEFT_MAX_RANK];
	ptrdiff_t table_stride[WEFT_MAX_RANK], list_stride[WEFT_MAX_RANK];
	size_t row_elements;
	unsigned int bytes;
	bool dense;
	unsigned int pieces;
};

static int64_t index_at(const struct indexed *x, uint64_t row)
{
	const char *at = x->index + (ptrdiff_t)row * x->index_step;
	int64_t index = x->wide ? *(const int64_t *)at : *(const int32_t *)at;

	return index < 0 ? index + (int64_t)x->table_rows : index;
}

static enum weft_fault describe(struct indexed *x, const struct weft_tensor *table, void *table_at,
				const struct weft_tensor *indices, const void *index_at_, unsigned int index_slot,
				const struct weft_tensor *list, void *list_at, struct weft_fault_record *fault)
{
	ptrdiff_t bytes = weft_element_bytes(table->type);

	*x = (struct indexed){.index = index_at_,
			      .index_step = indices->strides[0] * (indices->type == WEFT_TYPE_I64 ? 8 : 4),
			      .wide = indices->type == WEFT_TYPE_I64,
			      .rows = indices->dims[0],
			      .table_rows = table->dims[0],
			      .table = table_at,
			      .list = list_at,
			      .table_step = table->strides[0] * bytes,
			      .list_step = list->strides[0] * bytes,
			      .row_elements = 1,
			      .bytes = (unsigned int)bytes};
	for (unsigned int d = 1; d < table->rank; d++) {
		ptrdiff_t ts = table->strides[d] * bytes, ls = list->strides[d] * bytes;
		size_t extent = table->dims[d];

		x->row_elements *= extent;
		if (extent == 1)
			continue;
		if (x->rank && x->table_stride[x->rank - 1] == ts * (ptrdiff_t)extent &&
		    x->list_stride[x->rank - 1] == ls * (ptrdiff_t)extent)
			extent *= x->dims[--x->rank];
		x->dims[x->rank] = extent;
		x->table_stride[x->rank] = ts;
		x->list_stride[x->rank++] = ls;
	}
	x->dense = x->rank == 0 || (x->rank == 1 && x->table_stride[0] == bytes && x->list_stride[0] == bytes);
	for (uint64_t r = 0; r < x->rows; r++) {
		int64_t index = index_at(x, r);

		if (index >= 0 && (uint64_t)index < x->table_rows)
			continue;
		fault->operand = (uint8_t)index_slot;
		fault->detail = (uint32_t)r;
		fault->address = (uint64_t)(index < 0 ? index - (int64_t)x->table_rows : index);
		return WEFT_FAULT_VALUE;
	}
	return WEFT_FAULT_NONE;
}

/* Bytes from a row's start to its element @element in the table and in the list. */
static void offsets(const struct indexed *x, size_t element, ptrdiff_t *table, ptrdiff_t *list)
{
	*table = *list = 0;
	for (unsigned int d = x->rank; d-- > 0;) {
		ptrdiff_t i = (ptrdiff_t)(element % x->dims[d]);

		element /= x->dims[d];
		*table += i * x->table_stride[d];
		*list += i * x->list_stride[d];
	}
}

static void gather_piece(void *argument, unsigned int index, unsigned int lane)
{
	const struct indexed *x = argument;
	uint64_t end = index + 1 == x->pieces ? x->rows : x->rows / x->pieces * (index + 1);

	(void)lane;
	for (uint64_t r = x->rows / x->pieces * index; r < end; r++) {
		const char *from = x->table + index_at(x, r) * x->table_step;
		char *to = x->list + (ptrdiff_t)r * x->list_step;

		if (x->dense) {
			memcpy(to, from, x->row_elements * x->bytes);
			continue;
		}
		for (size_t e = 0; e < x->row_elements; e++) {
			ptrdiff_t table, list;

			offsets(x, e, &table, &list);
			memcpy(to + list, from + table, x->bytes);
		}
	}
}

enum weft_fault WEFT_KERNEL(weft_gather)(WEFT_KERNEL_ARGUMENTS)
{
	const struct weft_tensor *t = command->operand;
	unsigned int lanes = weft_engine_unit_lanes(unit);
	struct indexed x;
	enum weft_fault reason;

	if (!weft_element_bytes(t[0].type)) {
		fault->operand = 0;
		return WEFT_FAULT_TYPE;
	}
	reason = describe(&x, &t[0], pointer[0], &t[1], pointer[1], 1, &t[2], pointer[2], fault);
	if (reason)
		return reason;
	x.pieces = lanes == 1 || x.rows * x.row_elements < 16384 ? 1 : lanes * 4;
	if (x.pieces > x.rows)
		x.pieces = x.rows ? (unsigned int)x.rows : 1;
	weft_engine_parallel(unit, x.pieces, gather_piece, &x);
	return WEFT_FAULT_NONE;
}

/* A piece is a range of every row's elements: rows of the list are added in ascending order. */
static void scatter_piece(void *argument, unsigned int index, unsigned int lane)
{
	const struct indexed *x = argument;
	size_t first = x->row_elements / x->pieces * index;
	size_t end = index + 1 == x->pieces ? x->row_elements : x->row_elements / x->pieces * (index + 1);

	(void)lane;
	for (uint64_t r = 0; r < x->rows; r++) {
		char *to = x->table + index_at(x, r) * x->table_step;
		const char *from = x->list + (ptrdiff_t)r * x->list_step;

		if (x->dense) {
			float *dx = (float *)to;
			const float *dy = (const float *)from;

#pragma GCC ivdep
			for (size_t e = first; e < end; e++)
				dx[e] += dy[e];
			continue;
		}
		for (size_t e = first; e < end; e++) {
			ptrdiff_t table, list;

			offsets(x, e, &table, &list);
			*(float *)(to + table) += *(const float *)(from + list);
		}
	}
}

enum weft_fault WEFT_KERNEL(weft_scatter_add)(WEFT_KERNEL_ARGUMENTS)
{
	const struct weft_tensor *t = command->operand;
	unsigned int lanes = weft_engine_unit_lanes(unit);
	struct indexed x;
	enum weft_fault reason = describe(&x, &t[2], pointer[2], &t[1], pointer[1], 1, &t[0], pointer[0], fault);

	if (reason)
		return reason;
	x.pieces = lanes == 1 || x.rows * x.row_elements < 16384 ? 1 : lanes * 2;
	if (x.pieces > x.row_elements / 16)
		x.pieces = x.row_elements >= 16 ? (unsigned int)(x.row_elements / 16) : 1;
	weft_engine_parallel(unit, x.pieces, scatter_piece, &x);
	return WEFT_FAULT_NONE;
}

struct scatter {
	struct indexed indexed;
	void (*combine)(char *y, const char *x, unsigned int bytes);
};

static void replace(char *y, const char *x, unsigned int bytes)
{
	memcpy(y, x, bytes);
}

#define COMBINE(name, type, wide, expression)                                    \
	static void name##_##type(char *y, const char *x, unsigned int bytes)    \
	{                                                                        \
		wide a = (wide) * (const type *)y, b = (wide) * (const type *)x; \
                                                                                 \
		(void)bytes;                                                     \
		*(type *)y = (type)(expression);                                 \
	}

COMBINE(add, float, float, a + b)
COMBINE(mul, float, float, a *b)
COMBINE(max, float, float, weft_max(a, b))
COMBINE(min, float, float, weft_min(a, b))
/* Unsigned: sums and products wrap around. */
COMBINE(add, int32_t, uint32_t, a + b)
COMBINE(mul, int32_t, uint32_t, a *b)
COMBINE(max, int32_t, int32_t, a > b ? a : b)
COMBINE(min, int32_t, int32_t, a < b ? a : b)
COMBINE(add, int64_t, uint64_t, a + b)
COMBINE(mul, int64_t, uint64_t, a *b)
COMBINE(max, int64_t, int64_t, a > b ? a : b)
COMBINE(min, int64_t, int64_t, a < b ? a : b)

#define COMBINATIONS(name)                                                                                         \
	{                                                                                                          \
		[WEFT_TYPE_F32] = name##_float, [WEFT_TYPE_I32] = name##_int32_t, [WEFT_TYPE_I64] = name##_int64_t \
	}

static void (*const combinations[WEFT_SCATTER_FUNCTIONS][WEFT_TYPES])(char *, const char *, unsigned int) = {
	[WEFT_SCATTER_ADD] = COMBINATIONS(add),
	[WEFT_SCATTER_MUL] = COMBINATIONS(mul),
	[WEFT_SCATTER_MAX] = COMBINATIONS(max),
	[WEFT_SCATTER_MIN] = COMBINATIONS(min),
};

/* A piece is a range of every row's elements, as in SCATTER_ADD. */
static void scatter_any_piece(void *argument, unsigned int index, unsigned int lane)
{
	const struct scatter *scatter = argument;
	const struct indexed *x = &scatter->indexed;
	size_t first = x->row_elements / x->pieces * index;
	size_t end = index + 1 == x->pieces ? x->row_elements : x->row_elements / x->pieces * (index + 1);

	(void)lane;
	for (uint64_t r = 0; r < x->rows; r++) {
		char *to = x->table + index_at(x, r) * x->table_step;
		const char *from = x->list + (ptrdiff_t)r * x->list_step;

		for (size_t e = first; e < end; e++) {
			ptrdiff_t table, list;

			offsets(x, e, &table, &list);
			scatter->combine(to + table, from + list, x->bytes);
		}
	}
}

static void copy_rows(const void *context, uint64_t first, size_t rows, size_t n, char *const at[],
		      const ptrdiff_t step[])
{
	const unsigned int *bytes = context;

	(void)first;
	for (size_t row = 0; row < rows; row++)
		memcpy(at[1] + (ptrdiff_t)row * step[1], at[0] + (ptrdiff_t)row * step[0], n * *bytes);
}

enum weft_fault WEFT_KERNEL(weft_scatter)(WEFT_KERNEL_ARGUMENTS)
{
	const struct weft_tensor *t = command->operand;
	unsigned int lanes = weft_engine_unit_lanes(unit), function = command->params.scatter.function;
	struct scatter scatter = {.combine = function == WEFT_SCATTER_REPLACE ? replace
									      : combinations[function][t[0].type]};
	struct indexed *x = &scatter.indexed;
	struct weft_iteration it;
	enum weft_fault reason = WEFT_FAULT_NONE;

	if (!weft_element_bytes(t[0].type) || !scatter.combine) {
		fault->operand = 0;
		return WEFT_FAULT_TYPE;
	}
	reason = describe(x, &t[3], pointer[3], &t[1], pointer[1], 1, &t[2], pointer[2], fault);
	if (reason)
		return reason;
	if (pointer[0] != pointer[3]) {
		weft_iteration_begin(&it, &t[3]);
		weft_iteration_add(&it, &t[0], pointer[0], false);
		weft_iteration_add(&it, &t[3], pointer[3], true);
		weft_iteration_run(&it, unit, copy_rows, &x->bytes);
	}
	x->pieces = lanes == 1 || x->rows * x->row_elements < 16384 ? 1 : lanes * 2;
	if (x->pieces > x->row_elements / 16)
		x->pieces = x->row_elements >= 16 ? (unsigned int)(x->row_elements / 16) : 1;
	weft_engine_parallel(unit, x->pieces, scatter_any_piece, &scatter);
	return WEFT_FAULT_NONE;
}

/* start + index * step, computed in binary64. */
#define IOTA_ROWS(type)                                                                                       \
	static void iota_##type(const void *context, uint64_t first, size_t rows, size_t n, char *const at[], \
				const ptrdiff_t step[])                                                       \
	{                                                                                                     \
		const union weft_params *params = context;                                                    \
                                                                                                              \
		for (size_t row = 0; row < rows; row++) {                                                     \
			type *y = (type *)(at[0] + (ptrdiff_t)row * step[0]);                                 \
                                                                                                              \
			for (size_t i = 0; i < n; i++)                                                        \
				y[i] = convert_##type(params->iota.start +                                    \
						      (double)(first + row * n + i) * params->iota.step);     \
		}                                                                                             \
	}

static int32_t convert_int32_t(double x)
{
	return x >= 0x1p31 ? INT32_MAX : x >= -0x1p31 ? (int32_t)x : x < 0.0 ? INT32_MIN : 0;
}

static int64_t convert_int64_t(double x)
{
	return x >= 0x1p63 ? INT64_MAX : x >= -0x1p63 ? (int64_t)x : x < 0.0 ? INT64_MIN : 0;
}

static float convert_float(double x)
{
	return (float)x;
}

IOTA_ROWS(int32_t)
IOTA_ROWS(int64_t)
IOTA_ROWS(float)

enum weft_fault WEFT_KERNEL(weft_iota)(WEFT_KERNEL_ARGUMENTS)
{
	const struct weft_tensor *y = &command->operand[0];
	struct weft_iteration it;

	(void)fault;
	weft_iteration_begin(&it, y);
	it.ordered = true;
	weft_iteration_add(&it, y, pointer[0], true);
	weft_iteration_run(&it, unit,
			   y->type == WEFT_TYPE_I64   ? iota_int64_t
			   : y->type == WEFT_TYPE_I32 ? iota_int32_t
						      : iota_float,
			   &command->params);
	return WEFT_FAULT_NONE;
}
