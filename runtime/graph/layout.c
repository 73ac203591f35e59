// SPDX-License-Identifier: MIT
#include "graph/graph.h"
#include "graph/layout.h"

uint64_t weft_type_bits(unsigned int type)
{
	static const uint8_t bits[WEFT_TYPES] = {
		[WEFT_TYPE_F32] = 32, [WEFT_TYPE_F16] = 16, [WEFT_TYPE_BF16] = 16, [WEFT_TYPE_I32] = 32,
		[WEFT_TYPE_I64] = 64, [WEFT_TYPE_I8] = 8,   [WEFT_TYPE_U8] = 8,	   [WEFT_TYPE_I16] = 16,
		[WEFT_TYPE_BOOL] = 8, [WEFT_TYPE_I4] = 4,   [WEFT_TYPE_BIT] = 1,
	};

	return type < WEFT_TYPES ? bits[type] : 0;
}

/* Strides for dims visited innermost first in @order; a stride that does not fit is left at 0 and found by the range.
 */
static void dense_in_order(struct weft_layout *layout, const uint8_t order[])
{
	uint64_t stride = 1;
	unsigned int i;

	for (i = 0; i < layout->rank; i++) {
		layout->strides[order[i]] = stride <= INT32_MAX ? (int32_t)stride : 0;
		if (__builtin_mul_overflow(stride, (uint64_t)layout->dims[order[i]], &stride))
			stride = UINT64_MAX;
	}
	for (i = layout->rank; i < WEFT_MAX_RANK; i++) {
		layout->dims[i] = 0;
		layout->strides[i] = 0;
	}
}

void weft_layout_dense(struct weft_layout *layout)
{
	uint8_t order[WEFT_MAX_RANK];
	unsigned int i;

	for (i = 0; i < layout->rank; i++)
		order[i] = (uint8_t)(layout->rank - 1 - i);
	dense_in_order(layout, order);
}

void weft_layout_channels_last(struct weft_layout *layout)
{
	uint8_t order[WEFT_MAX_RANK];
	unsigned int i, used = 0;

	if (layout->rank < 3) {
		weft_layout_dense(layout);
		return;
	}
	order[used++] = 1;
	for (i = layout->rank; i-- > 2;)
		order[used++] = (uint8_t)i;
	order[used] = 0;
	dense_in_order(layout, order);
}

uint64_t weft_layout_elements(const struct weft_layout *layout)
{
	uint64_t elements = 1;
	unsigned int i;

	for (i = 0; i < layout->rank; i++)
		if (__builtin_mul_overflow(elements, (uint64_t)layout->dims[i], &elements))
			return 0;
	return elements;
}

bool weft_layout_range(const struct weft_layout *layout, int64_t *first, int64_t *end)
{
	int64_t low = 0, high = 0, reach;
	uint64_t bits = weft_type_bits(layout->type);
	unsigned int i;

	if (!bits || layout->rank > WEFT_MAX_RANK)
		return false;
	for (i = 0; i < layout->rank; i++) {
		if (!layout->dims[i])
			return false;
		if (__builtin_mul_overflow((int64_t)layout->dims[i] - 1, (int64_t)layout->strides[i], &reach))
			return false;
		if (__builtin_add_overflow(reach < 0 ? low : high, reach, reach < 0 ? &low : &high))
			return false;
	}
	if (low < INT64_MIN / 64 || high >= INT64_MAX / 64)
		return false;
	/* Packed types start on a byte boundary, so only their end is rounded. */
	*first = low * (int64_t)bits / 8;
	*end = ((high + 1) * (int64_t)bits + 7) / 8;
	if (bits == 1)
		*end = (*end + 3) / 4 * 4;
	return true;
}

uint64_t weft_layout_bytes(const struct weft_layout *layout)
{
	uint64_t elements = weft_layout_elements(layout);
	int64_t first, end;
	unsigned int i;

	/* A dense stride that did not fit was left at 0: more elements than places is an overflow, unless repeated on
	 * purpose. */
	if (!elements || !weft_layout_range(layout, &first, &end) || first < 0)
		return 0;
	for (i = 0; i < layout->rank; i++)
		if (!layout->strides[i] && layout->dims[i] > 1 && elements > INT32_MAX)
			return 0;
	return (uint64_t)end;
}

bool weft_layout_same(const struct weft_layout *a, const struct weft_layout *b)
{
	unsigned int i;

	if (a->type != b->type || a->rank != b->rank)
		return false;
	for (i = 0; i < a->rank; i++)
		if (a->dims[i] != b->dims[i] || (a->dims[i] > 1 && a->strides[i] != b->strides[i]))
			return false;
	return true;
}

bool weft_layout_same_dims(const struct weft_layout *a, const struct weft_layout *b)
{
	unsigned int i;

	if (a->rank != b->rank)
		return false;
	for (i = 0; i < a->rank; i++)
		if (a->dims[i] != b->dims[i])
			return false;
	return true;
}
