// SPDX-License-Identifier: MIT
/* Seeing the same elements with other dimensions. */
#include <string.h>

#include "graph/build.h"

struct weft_layout weft_layout_permuted(const struct weft_layout *layout, const uint8_t order[])
{
	struct weft_layout result = {.type = layout->type, .rank = layout->rank};
	unsigned int i;

	for (i = 0; i < layout->rank; i++) {
		result.dims[i] = layout->dims[order[i]];
		result.strides[i] = layout->strides[order[i]];
	}
	return result;
}

bool weft_layout_broadcast(const struct weft_layout *layout, unsigned int rank, const uint32_t dims[],
			   struct weft_layout *result)
{
	unsigned int i, shift;

	if (layout->rank > rank || rank > WEFT_MAX_RANK)
		return false;
	shift = rank - layout->rank;
	memset(result, 0, sizeof(*result));
	result->type = layout->type;
	result->rank = (uint8_t)rank;
	for (i = 0; i < rank; i++) {
		result->dims[i] = dims[i];
		if (i < shift || (layout->dims[i - shift] == 1 && dims[i] != 1))
			continue;
		if (layout->dims[i - shift] != dims[i])
			return false;
		result->strides[i] = layout->strides[i - shift];
	}
	return true;
}

bool weft_layout_repeats(const struct weft_layout *layout)
{
	unsigned int i;

	for (i = 0; i < layout->rank; i++)
		if (layout->dims[i] > 1 && !layout->strides[i])
			return true;
	return false;
}

bool weft_layout_is_dense(const struct weft_layout *layout)
{
	uint64_t expected = 1;
	unsigned int left = 0, i;
	bool used[WEFT_MAX_RANK] = {false};

	for (i = 0; i < layout->rank; i++)
		if (layout->dims[i] > 1)
			left++;
	while (left) {
		for (i = 0; i < layout->rank; i++)
			if (!used[i] && layout->dims[i] > 1 && layout->strides[i] > 0 &&
			    (uint64_t)layout->strides[i] == expected)
				break;
		if (i == layout->rank)
			return false;
		used[i] = true;
		expected *= layout->dims[i];
		left--;
	}
	return true;
}

/*
 * Old dimensions are taken in runs that lie in memory as one row-major block;
 * each run must match a run of new dimensions with as many elements.
 */
bool weft_layout_reshape(const struct weft_layout *layout, unsigned int rank, const uint32_t dims[],
			 struct weft_layout *result)
{
	uint32_t old_dims[WEFT_MAX_RANK];
	int64_t old_strides[WEFT_MAX_RANK], stride;
	unsigned int old = 0, i, first_old, next_old, first_new, next_new;

	if (rank > WEFT_MAX_RANK)
		return false;
	memset(result, 0, sizeof(*result));
	result->type = layout->type;
	result->rank = (uint8_t)rank;
	for (i = 0; i < layout->rank; i++) {
		if (layout->dims[i] == 1)
			continue;
		old_dims[old] = layout->dims[i];
		old_strides[old++] = layout->strides[i];
	}
	for (i = 0; i < rank; i++) {
		result->dims[i] = dims[i];
		result->strides[i] = 1;
	}
	first_old = 0;
	first_new = 0;
	while (first_old < old) {
		uint64_t in = old_dims[first_old], out;

		while (first_new < rank && dims[first_new] == 1)
			first_new++;
		if (first_new == rank)
			return false;
		next_old = first_old + 1;
		next_new = first_new + 1;
		out = dims[first_new];
		while (in != out) {
			if (in < out) {
				if (next_old == old)
					return false;
				in *= old_dims[next_old++];
			} else {
				if (next_new == rank)
					return false;
				out *= dims[next_new++];
			}
		}
		for (i = first_old; i + 1 < next_old; i++)
			if (old_strides[i] != old_strides[i + 1] * old_dims[i + 1])
				return false;
		stride = old_strides[next_old - 1];
		for (i = next_new; i-- > first_new;) {
			if (stride > INT32_MAX || stride < INT32_MIN)
				return false;
			result->strides[i] = (int32_t)stride;
			stride *= dims[i];
		}
		first_old = next_old;
		first_new = next_new;
	}
	for (i = first_new; i < rank; i++)
		if (dims[i] != 1)
			return false;
	return true;
}
