/* SPDX-License-Identifier: MIT */
/*
 * TOPK.  A row's result is its own working memory: the first K places form a
 * heap whose root is the worst of them, each later element that is better takes
 * the root's place, and at the end the heap is sorted.
 */
#include <stdbool.h>
#include "kernels.h"

struct topk {
	const struct weft_tensor *x, *y;
	const char *x_at;
	char *y_at;
	bool smallest;
	uint64_t rows;
	unsigned int pieces;
};

struct row {
	const char *x;
	char *y;
	ptrdiff_t x_step, y_step; /* bytes */
	uint8_t type;
	bool wide, smallest;
};

static int64_t place(const struct row *row, uint32_t i)
{
	const char *at = row->y + (ptrdiff_t)i * row->y_step;

	return row->wide ? *(const int64_t *)at : *(const int32_t *)at;
}

static void set_place(const struct row *row, uint32_t i, int64_t value)
{
	char *at = row->y + (ptrdiff_t)i * row->y_step;

	if (row->wide)
		*(int64_t *)at = value;
	else
		*(int32_t *)at = (int32_t)value;
}

/* Above 0 where element @a is larger than element @b, below where it is smaller. */
static int compare(const struct row *row, int64_t a, int64_t b)
{
	const char *at_a = row->x + a * row->x_step, *at_b = row->x + b * row->x_step;

	if (row->type == WEFT_TYPE_F32) {
		float x = *(const float *)at_a, y = *(const float *)at_b;

		if (x != x || y != y)
			return (x != x) - (y != y);
		return (x > y) - (x < y);
	}
	if (row->type == WEFT_TYPE_I32) {
		int32_t x = *(const int32_t *)at_a, y = *(const int32_t *)at_b;

		return (x > y) - (x < y);
	}
	{
		int64_t x = *(const int64_t *)at_a, y = *(const int64_t *)at_b;

		return (x > y) - (x < y);
	}
}

/* Whether element @a comes before element @b in the result. */
static bool before(const struct row *row, int64_t a, int64_t b)
{
	int order = compare(row, a, b);

	if (!order)
		return a < b;
	return row->smallest ? order < 0 : order > 0;
}

/* Let the root of a heap of @count places sink to where everything below it is better. */
static void sink(const struct row *row, uint32_t root, uint32_t count)
{
	int64_t sinking = place(row, root);

	for (;;) {
		uint64_t child = 2 * (uint64_t)root + 1;

		if (child >= count)
			break;
		if (child + 1 < count && before(row, place(row, (uint32_t)child), place(row, (uint32_t)child + 1)))
			child++;
		if (!before(row, sinking, place(row, (uint32_t)child)))
			break;
		set_place(row, root, place(row, (uint32_t)child));
		root = (uint32_t)child;
	}
	set_place(row, root, sinking);
}

static void select_row(const struct row *row, uint32_t extent, uint32_t k)
{
	uint32_t i;

	for (i = 0; i < k; i++)
		set_place(row, i, i);
	for (i = k / 2; i-- > 0;)
		sink(row, i, k);
	for (i = k; i < extent; i++) {
		if (!before(row, i, place(row, 0)))
			continue;
		set_place(row, 0, i);
		sink(row, 0, k);
	}
	for (i = k; i-- > 1;) {
		int64_t worst = place(row, 0);

		set_place(row, 0, place(row, i));
		set_place(row, i, worst);
		sink(row, 0, i);
	}
}

static void topk_piece(void *argument, unsigned int index, unsigned int lane)
{
	const struct topk *topk = argument;
	const struct weft_tensor *x = topk->x, *y = topk->y;
	unsigned int last = x->rank - 1u;
	ptrdiff_t x_bytes = x->type == WEFT_TYPE_I64 ? 8 : 4, y_bytes = y->type == WEFT_TYPE_I64 ? 8 : 4;
	uint64_t end = index + 1 == topk->pieces ? topk->rows : topk->rows / topk->pieces * (index + 1);

	(void)lane;
	for (uint64_t r = topk->rows / topk->pieces * index; r < end; r++) {
		struct row row = {.x = topk->x_at,
				  .y = topk->y_at,
				  .x_step = x->strides[last] * x_bytes,
				  .y_step = y->strides[last] * y_bytes,
				  .type = x->type,
				  .wide = y->type == WEFT_TYPE_I64,
				  .smallest = topk->smallest};
		uint64_t rest = r;

		for (unsigned int d = last; d-- > 0; rest /= x->dims[d]) {
			ptrdiff_t i = (ptrdiff_t)(rest % x->dims[d]);

			row.x += i * x->strides[d] * x_bytes;
			row.y += i * y->strides[d] * y_bytes;
		}
		select_row(&row, x->dims[last], y->dims[last]);
	}
}

enum weft_fault WEFT_KERNEL(weft_topk)(WEFT_KERNEL_ARGUMENTS)
{
	const struct weft_tensor *x = &command->operand[0], *y = &command->operand[1];
	unsigned int lanes = weft_engine_unit_lanes(unit);
	struct topk topk = {.x = x,
			    .y = y,
			    .x_at = pointer[0],
			    .y_at = pointer[1],
			    .smallest = command->params.topk.smallest,
			    .rows = 1};

	(void)fault;
	for (unsigned int d = 0; d + 1 < x->rank; d++)
		topk.rows *= x->dims[d];
	topk.pieces = lanes == 1 || topk.rows * x->dims[x->rank - 1] < 16384 ? 1 : lanes * 4;
	if (topk.pieces > topk.rows)
		topk.pieces = topk.rows ? (unsigned int)topk.rows : 1;
	weft_engine_parallel(unit, topk.pieces, topk_piece, &topk);
	return WEFT_FAULT_NONE;
}
