// SPDX-License-Identifier: MIT
/* Strided copies: merge neighbouring dimensions, then copy the innermost run at once. */
#include "dma.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* A copy of units; dimension 0 is the innermost. */
struct copy {
	size_t unit;
	unsigned int rank;
	size_t dims[WEFT_MAX_RANK + 1];
	ptrdiff_t from[WEFT_MAX_RANK + 1], to[WEFT_MAX_RANK + 1]; /* strides in bytes */
};

/* Elements of a unit, and its bytes. */
static unsigned int unit_of(unsigned int type, size_t *bytes)
{
	switch (type) {
	case WEFT_TYPE_BIT:
		*bytes = 4;
		return 32;
	case WEFT_TYPE_I4:
		*bytes = 1;
		return 2;
	case WEFT_TYPE_I64:
		*bytes = 8;
		return 1;
	case WEFT_TYPE_F32:
	case WEFT_TYPE_I32:
		*bytes = 4;
		return 1;
	case WEFT_TYPE_F16:
	case WEFT_TYPE_BF16:
	case WEFT_TYPE_I16:
		*bytes = 2;
		return 1;
	default:
		*bytes = 1;
		return 1;
	}
}

uint64_t weft_dma_bytes(const struct weft_tensor *tensor)
{
	uint64_t units = 1;
	size_t bytes;
	unsigned int elements = unit_of(tensor->type, &bytes);

	for (unsigned int i = 0; i < tensor->rank; i++)
		units *= i + 1 == tensor->rank ? (tensor->dims[i] + (elements - 1)) / elements : tensor->dims[i];
	return units * bytes;
}

/* Extents of 1 go, and dimensions that continue one another on both sides become one. */
static void plan(struct copy *copy, const struct weft_tensor *from, const struct weft_tensor *to)
{
	unsigned int elements = unit_of(from->type, &copy->unit);

	copy->rank = 0;
	for (unsigned int i = from->rank; i-- > 0;) {
		bool inner = i + 1 == from->rank;
		size_t dim = inner ? ((size_t)from->dims[i] + elements - 1) / elements : from->dims[i];
		ptrdiff_t unit = (ptrdiff_t)copy->unit, per = inner ? 1 : (ptrdiff_t)elements;
		ptrdiff_t from_stride = from->strides[i] / per * unit, to_stride = to->strides[i] / per * unit;
		unsigned int last = copy->rank - 1;

		if (dim == 1)
			continue;
		if (copy->rank && from_stride == copy->from[last] * (ptrdiff_t)copy->dims[last] &&
		    to_stride == copy->to[last] * (ptrdiff_t)copy->dims[last]) {
			copy->dims[last] *= dim;
			continue;
		}
		copy->dims[copy->rank] = dim;
		copy->from[copy->rank] = from_stride;
		copy->to[copy->rank] = to_stride;
		copy->rank++;
	}
	/* An innermost run of neighbours is one unit. */
	if (copy->rank && copy->from[0] == (ptrdiff_t)copy->unit && copy->to[0] == (ptrdiff_t)copy->unit) {
		copy->unit *= copy->dims[0];
		copy->rank--;
		memmove(copy->dims, copy->dims + 1, copy->rank * sizeof(copy->dims[0]));
		memmove(copy->from, copy->from + 1, copy->rank * sizeof(copy->from[0]));
		memmove(copy->to, copy->to + 1, copy->rank * sizeof(copy->to[0]));
	}
}

#define ROW(bytes)                         \
	for (size_t i = 0; i < count; i++) \
	memcpy(to + (ptrdiff_t)i * to_stride, from + (ptrdiff_t)i * from_stride, bytes)

/* The usual sizes are constants, so that each element is one load and one store. */
static void copy_row(char *to, ptrdiff_t to_stride, const char *from, ptrdiff_t from_stride, size_t count, size_t unit)
{
	switch (unit) {
	case 1:
		ROW(1);
		break;
	case 2:
		ROW(2);
		break;
	case 4:
		ROW(4);
		break;
	case 8:
		ROW(8);
		break;
	default:
		ROW(unit);
		break;
	}
}

void weft_dma_copy(const struct weft_cmd *command, void *const pointer[2])
{
	struct copy copy;
	size_t index[WEFT_MAX_RANK + 1] = {0};
	const char *from = pointer[0];
	char *to = pointer[1];
	unsigned int d;

	plan(&copy, &command->operand[0], &command->operand[1]);
	if (!copy.rank) {
		memcpy(to, from, copy.unit);
		return;
	}
	for (;;) {
		copy_row(to, copy.to[0], from, copy.from[0], copy.dims[0], copy.unit);
		for (d = 1; d < copy.rank; d++) {
			from += copy.from[d];
			to += copy.to[d];
			if (++index[d] < copy.dims[d])
				break;
			from -= copy.from[d] * (ptrdiff_t)copy.dims[d];
			to -= copy.to[d] * (ptrdiff_t)copy.dims[d];
			index[d] = 0;
		}
		if (d >= copy.rank)
			return;
	}
}
