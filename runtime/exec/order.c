// SPDX-License-Identifier: MIT
/* Between a value's layout in memory and the dense order of dimensions of its model file. */
#include <string.h>

#include "exec/session_internal.h"

bool weft_value_is_kept(const struct weft_graph *graph, weft_id value)
{
	const struct weft_value *v = &graph->value[value];

	return v->base == value && v->whole == WEFT_NO_ID &&
	       (v->kind == WEFT_VALUE_WEIGHT || v->kind == WEFT_VALUE_STATE);
}

bool weft_value_is_model(const struct weft_graph *graph, weft_id value)
{
	const struct weft_value *v = &graph->value[value];

	/* Moments of optimizers do not come from a file. */
	return weft_value_is_kept(graph, value) && (v->kind == WEFT_VALUE_WEIGHT || v->file_rank);
}

/*
 * The value's dimension that file dimension @i is.  Dimensions that the file does not
 * have, of extent 1 (the height of a kernel along one dimension), come first.
 */
static unsigned int logical(const struct weft_value *value, unsigned int i)
{
	unsigned int rank = value->layout.rank, more = rank - value->file_rank;
	bool in_file[WEFT_MAX_RANK] = {false};

	if (!value->file_rank || value->file_rank > rank)
		return i;
	if (i >= more)
		return value->file_order[i - more];
	for (unsigned int d = 0; d < value->file_rank; d++)
		in_file[value->file_order[d]] = true;
	for (unsigned int d = 0; d < rank; d++)
		if (!in_file[d] && !i--)
			return d;
	return i;
}

unsigned int weft_file_dims(const struct weft_value *value, uint32_t dims[WEFT_MAX_RANK])
{
	for (unsigned int i = 0; i < value->layout.rank; i++)
		dims[i] = value->layout.dims[logical(value, i)];
	return value->layout.rank;
}

uint64_t weft_file_bytes(const struct weft_value *value)
{
	return weft_layout_elements(&value->layout) * accel_type_bytes(value->layout.type);
}

bool weft_value_is_in_file_order(const struct weft_value *value)
{
	struct weft_layout layout = value->layout;

	for (unsigned int i = 0; i < layout.rank; i++)
		if (logical(value, i) != i)
			return false;
	weft_layout_dense(&layout);
	return !memcmp(layout.strides, value->layout.strides, layout.rank * sizeof(layout.strides[0])) &&
	       weft_file_bytes(value) == value->bytes;
}

/* Visit elements in file order; the innermost dimension runs in a loop of its own. */
static void reorder(const struct weft_value *value, char *memory, char *file, bool out)
{
	const struct weft_layout *layout = &value->layout;
	size_t size = accel_type_bytes(layout->type);
	uint32_t index[WEFT_MAX_RANK] = {0}, inner = 1;
	uint64_t elements = weft_layout_elements(layout);
	int64_t step = 0;
	unsigned int rank = layout->rank;

	if (rank) {
		inner = layout->dims[logical(value, rank - 1)];
		step = layout->strides[logical(value, rank - 1)];
	}
	for (uint64_t done = 0; done < elements; done += inner) {
		int64_t at = 0;

		for (unsigned int d = 0; d + 1 < rank; d++)
			at += (int64_t)index[d] * layout->strides[logical(value, d)];
		for (uint32_t i = 0; i < inner; i++, at += step, file += size)
			memcpy(out ? file : memory + at * (int64_t)size, out ? memory + at * (int64_t)size : file,
			       size);
		for (unsigned int d = rank ? rank - 1 : 0; d-- > 0;) {
			if (++index[d] < layout->dims[logical(value, d)])
				break;
			index[d] = 0;
		}
	}
}

void weft_to_file(const struct weft_value *value, const void *memory, void *file)
{
	reorder(value, (char *)memory, file, true);
}

void weft_from_file(const struct weft_value *value, void *memory, const void *file)
{
	reorder(value, memory, (char *)file, false);
}
