// SPDX-License-Identifier: MIT
#include "import/shape.h"

#include <errno.h>
#include <string.h>

#include "graph/layout.h"
#include "weft/error.h"

/* Integers from an attribute or, from opset @since on, from input @index. */
static int node_ints(struct weft_lower *lower, const char *attribute, unsigned int index, int64_t since, int64_t ints[],
		     unsigned int *count)
{
	*count = 0;
	if (lower->model->opset < since || weft_attribute(lower, attribute))
		return weft_attribute_ints(lower, attribute, WEFT_MAX_RANK, ints, count);
	if (!weft_has_input(lower, index))
		return 0;
	return weft_input_ints(lower, index, WEFT_MAX_RANK, ints, count);
}

int weft_shape_axes(struct weft_lower *lower, unsigned int index, int64_t since, unsigned int rank,
		    bool axes[WEFT_MAX_RANK], bool *given)
{
	int64_t ints[WEFT_MAX_RANK];
	unsigned int count, i, dim;
	int r = node_ints(lower, "axes", index, since, ints, &count);

	memset(axes, 0, WEFT_MAX_RANK * sizeof(*axes));
	for (i = 0; i < count && !r; i++) {
		r = weft_axis(lower, ints[i], rank, &dim);
		if (!r)
			axes[dim] = true;
	}
	*given = count > 0;
	return r;
}

static int set_dim(struct weft_lower *lower, struct weft_shape *shape, int64_t extent)
{
	if (shape->rank == WEFT_MAX_RANK)
		return weft_node_fail(lower, EOPNOTSUPP, "the result has more than %u dimensions", WEFT_MAX_RANK);
	if (extent < 0 || extent > INT32_MAX)
		return weft_node_fail(lower, EINVAL, "the result has a dimension of %lld", (long long)extent);
	shape->dims[shape->rank++] = (uint32_t)extent;
	return 0;
}

static int reshape(struct weft_lower *lower, const struct weft_layout *in, struct weft_shape *shape)
{
	bool allow_zero = weft_attribute_int(lower, "allowzero", 0) != 0;
	uint64_t elements = weft_layout_elements(in), others = 1;
	int64_t ints[WEFT_MAX_RANK], extent;
	unsigned int count, i;
	int open = -1, r;

	r = node_ints(lower, "shape", 1, 5, ints, &count);
	for (i = 0; i < count && !r; i++) {
		extent = ints[i];
		if (extent == 0 && !allow_zero && i < in->rank)
			extent = in->dims[i];
		if (extent == -1 && open < 0) {
			open = (int)i;
			extent = 1;
		}
		r = set_dim(lower, shape, extent);
		if (!r && __builtin_mul_overflow(others, (uint64_t)extent, &others))
			r = weft_node_fail(lower, EINVAL, "the new shape overflows");
	}
	if (r)
		return r;
	if (open >= 0) {
		if (!others || elements % others || elements / others > INT32_MAX)
			return weft_node_fail(lower, EINVAL, "%llu elements cannot be shaped with the dimensions given",
					      (unsigned long long)elements);
		shape->dims[open] = (uint32_t)(elements / others);
	} else if (others != elements) {
		return weft_node_fail(lower, EINVAL, "%llu elements cannot become %llu", (unsigned long long)elements,
				      (unsigned long long)others);
	}
	return 0;
}

static int flatten(struct weft_lower *lower, const struct weft_layout *in, struct weft_shape *shape)
{
	int64_t axis = weft_attribute_int(lower, "axis", 1), extent[2] = {1, 1};
	unsigned int i;
	int r;

	if (axis < 0)
		axis += in->rank;
	if (axis < 0 || axis > in->rank)
		return weft_node_fail(lower, EINVAL, "axis %lld of a tensor of rank %u", (long long)axis, in->rank);
	for (i = 0; i < in->rank; i++)
		if (__builtin_mul_overflow(extent[i >= axis], (int64_t)in->dims[i], &extent[i >= axis]))
			return weft_node_fail(lower, EINVAL, "the new shape overflows");
	r = set_dim(lower, shape, extent[0]);
	return r ? r : set_dim(lower, shape, extent[1]);
}

static int squeeze(struct weft_lower *lower, const struct weft_layout *in, struct weft_shape *shape)
{
	bool axes[WEFT_MAX_RANK], given;
	unsigned int i;
	int r = weft_shape_axes(lower, 1, 13, in->rank, axes, &given);

	for (i = 0; i < in->rank && !r; i++) {
		if (given ? axes[i] : in->dims[i] == 1) {
			if (in->dims[i] != 1)
				r = weft_node_fail(lower, EINVAL, "dimension %u is %u and cannot be removed", i,
						   in->dims[i]);
			continue;
		}
		r = set_dim(lower, shape, in->dims[i]);
	}
	return r;
}

static int unsqueeze(struct weft_lower *lower, const struct weft_layout *in, struct weft_shape *shape)
{
	int64_t ints[WEFT_MAX_RANK];
	bool axes[WEFT_MAX_RANK] = {false};
	unsigned int count, i, dim, next = 0, rank;
	int r = node_ints(lower, "axes", 1, 13, ints, &count);

	rank = in->rank + count;
	if (!r && rank > WEFT_MAX_RANK)
		r = weft_node_fail(lower, EOPNOTSUPP, "the result has %u dimensions, at most %u are possible", rank,
				   WEFT_MAX_RANK);
	for (i = 0; i < count && !r; i++) {
		r = weft_axis(lower, ints[i], rank, &dim);
		if (!r && axes[dim])
			r = weft_node_fail(lower, EINVAL, "axis %u is given twice", dim);
		if (!r)
			axes[dim] = true;
	}
	for (i = 0; i < rank && !r; i++)
		r = set_dim(lower, shape, axes[i] ? 1 : in->dims[next++]);
	return r;
}

int weft_shape_of_node(struct weft_lower *lower, const struct weft_layout *in, struct weft_shape *shape)
{
	static const struct {
		const char *name;
		int (*shape)(struct weft_lower *, const struct weft_layout *, struct weft_shape *);
	} table[] = {{"Reshape", reshape}, {"Flatten", flatten}, {"Squeeze", squeeze}, {"Unsqueeze", unsqueeze}};
	unsigned int i;

	memset(shape, 0, sizeof(*shape));
	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (!strcmp(lower->node->op_type, table[i].name))
			return table[i].shape(lower, in, shape);
	return -ENOENT;
}

static int slice_dim(struct weft_lower *lower, uint32_t extent, int64_t start, int64_t end, int64_t step,
		     unsigned int dim, struct weft_slices *slices)
{
	int64_t count, low = step < 0 ? -1 : 0, high = step < 0 ? (int64_t)extent - 1 : (int64_t)extent;

	if (!step || step < -INT32_MAX || step > INT32_MAX) {
		/* Exporters write the extremes of the type for "all the way". */
		if (!step)
			return weft_node_fail(lower, EINVAL, "a step is zero");
		step = step < 0 ? -INT32_MAX : INT32_MAX;
	}
	if (start < 0)
		start = start < -(int64_t)extent ? -1 : start + extent;
	if (end < 0)
		end = end < -(int64_t)extent ? -1 : end + extent;
	if (start < low)
		start = low;
	if (start > high)
		start = high;
	if (end < low)
		end = low;
	if (end > (int64_t)extent)
		end = extent;
	count = step > 0 ? (end - start + step - 1) / step : (start - end - step - 1) / -step;
	slices->start[dim] = start;
	slices->step[dim] = step;
	slices->shape.dims[dim] = count > 0 ? (uint32_t)count : 0;
	return 0;
}

int weft_shape_slices(struct weft_lower *lower, const struct weft_layout *in, struct weft_slices *slices)
{
	int64_t starts[WEFT_MAX_RANK], ends[WEFT_MAX_RANK], axes[WEFT_MAX_RANK], steps[WEFT_MAX_RANK];
	unsigned int starts_count, ends_count, axes_count, steps_count, i, dim;
	int r;

	memset(slices, 0, sizeof(*slices));
	slices->shape.rank = in->rank;
	memcpy(slices->shape.dims, in->dims, sizeof(slices->shape.dims));
	for (i = 0; i < in->rank; i++)
		slices->step[i] = 1;
	r = node_ints(lower, "starts", 1, 10, starts, &starts_count);
	if (!r)
		r = node_ints(lower, "ends", 2, 10, ends, &ends_count);
	if (!r)
		r = node_ints(lower, "axes", 3, 10, axes, &axes_count);
	if (!r)
		r = node_ints(lower, "steps", 4, 10, steps, &steps_count);
	if (r)
		return r;
	if (ends_count != starts_count || (axes_count && axes_count != starts_count) ||
	    (steps_count && steps_count != starts_count) || (!axes_count && starts_count > in->rank))
		return weft_node_fail(lower, EINVAL, "%u starts, %u ends, %u axes and %u steps do not fit",
				      starts_count, ends_count, axes_count, steps_count);
	for (i = 0; i < starts_count && !r; i++) {
		r = weft_axis(lower, axes_count ? axes[i] : i, in->rank, &dim);
		if (!r)
			r = slice_dim(lower, in->dims[dim], starts[i], ends[i], steps_count ? steps[i] : 1, dim,
				      slices);
	}
	return r;
}

int weft_shape_transpose(struct weft_lower *lower, unsigned int rank, uint8_t order[])
{
	int64_t perm[WEFT_MAX_RANK];
	bool used[WEFT_MAX_RANK] = {false};
	unsigned int count, i;
	int r = weft_attribute_ints(lower, "perm", WEFT_MAX_RANK, perm, &count);

	if (r)
		return r;
	if (!count)
		for (count = 0; count < rank; count++)
			perm[count] = rank - 1 - count;
	if (count != rank)
		return weft_node_fail(lower, EINVAL, "perm has %u entries for rank %u", count, rank);
	for (i = 0; i < rank; i++) {
		if (perm[i] < 0 || perm[i] >= rank || used[perm[i]])
			return weft_node_fail(lower, EINVAL, "perm is no permutation");
		used[perm[i]] = true;
		order[i] = (uint8_t)perm[i];
	}
	return 0;
}

int weft_shape_broadcast(struct weft_lower *lower, const struct weft_layout *a, const struct weft_layout *b,
			 struct weft_shape *shape)
{
	unsigned int i;

	memset(shape, 0, sizeof(*shape));
	shape->rank = a->rank > b->rank ? a->rank : b->rank;
	for (i = 0; i < shape->rank; i++) {
		uint32_t x = i < shape->rank - a->rank ? 1 : a->dims[i - (shape->rank - a->rank)];
		uint32_t y = i < shape->rank - b->rank ? 1 : b->dims[i - (shape->rank - b->rank)];

		if (x != y && x != 1 && y != 1)
			return weft_node_fail(lower, EINVAL, "the inputs do not broadcast: %u against %u", x, y);
		shape->dims[i] = x == 1 ? y : x;
	}
	return 0;
}

int weft_shape_input(struct weft_lower *lower, unsigned int index, struct weft_shape *shape)
{
	int64_t ints[WEFT_MAX_RANK];
	unsigned int count, i;
	int r = weft_input_ints(lower, index, WEFT_MAX_RANK, ints, &count);

	memset(shape, 0, sizeof(*shape));
	for (i = 0; i < count && !r; i++)
		r = set_dim(lower, shape, ints[i]);
	return r;
}

int weft_shape_split(struct weft_lower *lower, const struct weft_layout *in, unsigned int *axis, int64_t sizes[])
{
	unsigned int count = 0, i, outputs = (unsigned int)lower->node->n_output;
	int64_t at = 0, extent, part;
	int r = weft_axis(lower, weft_attribute_int(lower, "axis", 0), in->rank, axis);

	if (!r && (outputs > WEFT_SPLIT_MOST || !outputs))
		r = weft_node_fail(lower, EOPNOTSUPP, "%u outputs; 1 to %u are supported", outputs, WEFT_SPLIT_MOST);
	if (!r && weft_has_input(lower, 1))
		r = weft_input_ints(lower, 1, WEFT_SPLIT_MOST, sizes, &count);
	else if (!r)
		r = weft_attribute_ints(lower, "split", WEFT_SPLIT_MOST, sizes, &count);
	if (r)
		return r;
	extent = in->dims[*axis];
	/* Equal parts where no sizes are given; the last takes what is left. */
	part = (extent + outputs - 1) / outputs;
	for (i = 0; !count && i < outputs; i++, at += part)
		sizes[i] = at + part <= extent ? part : extent - at;
	if (count && count != outputs)
		return weft_node_fail(lower, EINVAL, "%u sizes for %u outputs", count, outputs);
	for (i = 0, at = 0; i < outputs; i++) {
		if (sizes[i] < 1 || sizes[i] > extent - at)
			return weft_node_fail(lower, EINVAL, "part %u has %lld elements of %lld", i,
					      (long long)sizes[i], (long long)extent);
		at += sizes[i];
	}
	if (at != extent)
		return weft_node_fail(lower, EINVAL, "the parts hold %lld elements of %lld", (long long)at,
				      (long long)extent);
	return 0;
}
