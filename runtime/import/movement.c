// SPDX-License-Identifier: MIT
/* Operators that move, select or repeat elements; most become views. */
#include <errno.h>
#include <string.h>

#include "graph/layout.h"
#include "import/operators.h"
#include "import/shape.h"
#include "weft/error.h"

int weft_lower_reshape_operator(struct weft_lower *lower)
{
	struct weft_operand x, y;
	struct weft_shape shape;
	int r = weft_input(lower, 0, &x);

	if (!r)
		r = weft_shape_of_node(lower, &x.layout, &shape);
	if (!r)
		r = weft_lower_reshape(lower, &x, shape.rank, shape.dims, &y);
	return r ? r : weft_output_is(lower, 0, y.id);
}

int weft_lower_transpose(struct weft_lower *lower)
{
	struct weft_operand x;
	struct weft_layout layout;
	uint8_t order[WEFT_MAX_RANK];
	int r = weft_input(lower, 0, &x);

	if (!r)
		r = weft_shape_transpose(lower, x.layout.rank, order);
	if (r)
		return r;
	layout = weft_layout_permuted(&x.layout, order);
	return weft_output_view(lower, 0, &x, 0, &layout);
}

/* The bytes from element [0, ...] to element @start, and the layout of a slice. */
static int slice_view(struct weft_lower *lower, const struct weft_operand *x, const struct weft_slices *slices,
		      int64_t *offset, struct weft_layout *layout)
{
	unsigned int i;
	int64_t stride;

	*layout = x->layout;
	*offset = 0;
	for (i = 0; i < x->layout.rank; i++) {
		if (!slices->shape.dims[i])
			return weft_node_fail(lower, EOPNOTSUPP, "the slice is empty along dimension %u", i);
		stride = slices->shape.dims[i] > 1 ? x->layout.strides[i] * slices->step[i] : x->layout.strides[i];
		if (stride < INT32_MIN || stride > INT32_MAX)
			return weft_node_fail(lower, EINVAL, "a stride overflows");
		*offset += slices->start[i] * x->layout.strides[i] * (int64_t)weft_type_size(x->layout.type);
		layout->dims[i] = slices->shape.dims[i];
		layout->strides[i] = (int32_t)stride;
	}
	return 0;
}

/* Output @index is a slice of @x: a view where nothing runs backwards, else a copy. */
static int output_slice(struct weft_lower *lower, unsigned int index, const struct weft_operand *x,
			const struct weft_slices *slices)
{
	struct weft_layout layout, dense;
	struct weft_operand view, out;
	bool backwards = false;
	int64_t offset;
	unsigned int i;
	int r = slice_view(lower, x, slices, &offset, &layout);

	if (r)
		return r;
	for (i = 0; i < layout.rank; i++)
		backwards |= layout.strides[i] < 0;
	if (!backwards && offset >= 0)
		return weft_output_view(lower, index, x, (uint64_t)offset, &layout);
	view.layout = layout;
	r = weft_build_view(lower->graph, lower->node_name, x->id, (uint64_t)offset, &layout, &view.id);
	if (r)
		return weft_fail_in(r, "%s", weft_node_where(lower));
	dense = weft_layout_like(&x->layout, layout.type, layout.rank, layout.dims);
	r = weft_output(lower, index, &dense, &out);
	return r ? r
		 : weft_build_elementwise(lower->graph, lower->node_name, WEFT_OP_COPY, NULL, 1, 2,
					  (struct weft_operand[]){view, out}, NULL);
}

int weft_lower_slice(struct weft_lower *lower)
{
	struct weft_slices slices;
	struct weft_operand x;
	int r = weft_input(lower, 0, &x);

	if (!r)
		r = weft_shape_slices(lower, &x.layout, &slices);
	return r ? r : output_slice(lower, 0, &x, &slices);
}

int weft_lower_split(struct weft_lower *lower)
{
	int64_t sizes[WEFT_SPLIT_MOST], at = 0;
	unsigned int axis = 0, i;
	struct weft_slices slices = {0};
	struct weft_operand x;
	int r = weft_input(lower, 0, &x);

	if (!r)
		r = weft_shape_split(lower, &x.layout, &axis, sizes);
	if (r)
		return r;
	slices.shape.rank = x.layout.rank;
	memcpy(slices.shape.dims, x.layout.dims, sizeof(slices.shape.dims));
	for (i = 0; i < WEFT_MAX_RANK; i++)
		slices.step[i] = 1;
	for (i = 0; i < lower->node->n_output && !r; i++) {
		slices.start[axis] = at;
		slices.shape.dims[axis] = (uint32_t)sizes[i];
		r = output_slice(lower, i, &x, &slices);
		at += sizes[i];
	}
	return r;
}

int weft_lower_part(struct weft_lower *lower, const struct weft_operand *whole, const uint32_t start[],
		    const uint32_t dims[], struct weft_operand *part)
{
	uint64_t offset = 0;
	unsigned int i;

	part->layout = whole->layout;
	for (i = 0; i < whole->layout.rank; i++) {
		part->layout.dims[i] = dims[i];
		offset += (uint64_t)start[i] * (uint64_t)whole->layout.strides[i];
	}
	return weft_build_view(lower->graph, lower->node_name, whole->id, offset * weft_type_size(whole->layout.type),
			       &part->layout, &part->id);
}

int weft_lower_concat(struct weft_lower *lower)
{
	struct weft_operand x, whole, part;
	struct weft_layout layout, first;
	uint32_t start[WEFT_MAX_RANK] = {0};
	uint64_t total = 0;
	unsigned int axis, i, d, count = (unsigned int)lower->node->n_input;
	int r = weft_input(lower, 0, &x);

	if (r)
		return r;
	first = x.layout;
	r = weft_axis(lower, weft_attribute_int(lower, "axis", 1), first.rank, &axis);
	for (i = 0; i < count && !r; i++) {
		r = weft_input_shape(lower, i, &layout);
		if (r)
			break;
		if (layout.rank != first.rank || layout.type != first.type)
			return weft_node_fail(lower, EINVAL, "input %u has another rank or type than the first", i);
		for (d = 0; d < first.rank; d++)
			if (d != axis && layout.dims[d] != first.dims[d])
				return weft_node_fail(lower, EINVAL, "input %u has another dimension %u", i, d);
		total += layout.dims[axis];
	}
	if (r)
		return r;
	if (count == 1)
		return weft_output_is(lower, 0, x.id);
	if (total > INT32_MAX)
		return weft_node_fail(lower, EINVAL, "the result overflows");
	layout = first;
	layout.dims[axis] = (uint32_t)total;
	layout = weft_layout_like(&first, first.type, first.rank, layout.dims);
	r = weft_output(lower, 0, &layout, &whole);
	for (i = 0; i < count && !r; i++) {
		r = weft_input_shape(lower, i, &first);
		if (r || !first.dims[axis])
			continue;
		r = weft_input(lower, i, &x);
		if (!r)
			r = weft_lower_part(lower, &whole, start, x.layout.dims, &part);
		if (!r)
			r = weft_build_elementwise(lower->graph, lower->node_name, WEFT_OP_COPY, NULL, 1, 2,
						   (struct weft_operand[]){x, part}, NULL);
		start[axis] += x.layout.dims[axis];
	}
	return r;
}

int weft_lower_expand(struct weft_lower *lower)
{
	struct weft_layout wanted = {0}, layout;
	struct weft_operand x, y;
	struct weft_shape shape;
	int r = weft_input(lower, 0, &x);

	if (!r)
		r = weft_shape_input(lower, 1, &shape);
	if (r)
		return r;
	wanted.rank = (uint8_t)shape.rank;
	memcpy(wanted.dims, shape.dims, sizeof(wanted.dims));
	r = weft_shape_broadcast(lower, &x.layout, &wanted, &shape);
	if (r)
		return r;
	layout = x.layout;
	if (!weft_layout_broadcast(&layout, shape.rank, shape.dims, &x.layout))
		return weft_node_fail(lower, EINVAL, "the input does not broadcast");
	layout = weft_layout_like(&layout, x.layout.type, shape.rank, shape.dims);
	r = weft_output(lower, 0, &layout, &y);
	return r ? r
		 : weft_build_elementwise(lower->graph, lower->node_name, WEFT_OP_COPY, NULL, 1, 2,
					  (struct weft_operand[]){x, y}, NULL);
}

/* Tile: each dimension d becomes [repeat, d] by a stride of 0. */
int weft_lower_tile(struct weft_lower *lower)
{
	int64_t repeats[WEFT_MAX_RANK];
	struct weft_layout layout = {0}, split = {0}, out_split;
	struct weft_operand x, y;
	unsigned int count, i;
	int r = weft_input(lower, 0, &x);

	if (!r)
		r = weft_input_ints(lower, 1, WEFT_MAX_RANK, repeats, &count);
	if (r)
		return r;
	if (count != x.layout.rank || 2 * count > WEFT_MAX_RANK)
		return weft_node_fail(lower, EOPNOTSUPP, "%u repeats for rank %u (at most %u)", count, x.layout.rank,
				      WEFT_MAX_RANK / 2);
	layout.type = split.type = x.layout.type;
	layout.rank = x.layout.rank;
	split.rank = (uint8_t)(2 * count);
	for (i = 0; i < count; i++) {
		if (repeats[i] < 1 || repeats[i] > INT32_MAX / x.layout.dims[i])
			return weft_node_fail(lower, EOPNOTSUPP, "%lld repeats", (long long)repeats[i]);
		layout.dims[i] = (uint32_t)repeats[i] * x.layout.dims[i];
		split.dims[2 * i] = (uint32_t)repeats[i];
		split.dims[2 * i + 1] = x.layout.dims[i];
		split.strides[2 * i + 1] = x.layout.strides[i];
	}
	weft_layout_dense(&layout);
	if (!weft_layout_reshape(&layout, split.rank, split.dims, &out_split))
		return weft_node_fail(lower, EINVAL, "the result overflows");
	r = weft_output(lower, 0, &layout, &y);
	x.layout = split;
	y.layout = out_split;
	return r ? r
		 : weft_build_elementwise(lower->graph, lower->node_name, WEFT_OP_COPY, NULL, 1, 2,
					  (struct weft_operand[]){x, y}, NULL);
}

/* A gather by one known index is a view. */
static int gather_known(struct weft_lower *lower, const struct weft_operand *x, unsigned int axis,
			const struct weft_host_tensor *index)
{
	int64_t at = weft_host_integer(index, 0);
	struct weft_layout layout = x->layout;
	uint32_t start[WEFT_MAX_RANK] = {0};
	struct weft_operand part, shaped;
	unsigned int i, rank = 0;
	uint32_t dims[WEFT_MAX_RANK];
	int r;

	at = at < 0 ? at + x->layout.dims[axis] : at;
	if (at < 0 || at >= x->layout.dims[axis])
		return weft_node_fail(lower, EINVAL, "index %lld of %u", (long long)at, x->layout.dims[axis]);
	start[axis] = (uint32_t)at;
	layout.dims[axis] = 1;
	r = weft_lower_part(lower, x, start, layout.dims, &part);
	for (i = 0; i < layout.rank; i++) {
		if (i != axis)
			dims[rank++] = layout.dims[i];
		else if (index->rank)
			dims[rank++] = 1;
	}
	if (!r)
		r = weft_lower_reshape(lower, &part, rank, dims, &shaped);
	return r ? r : weft_output_is(lower, 0, shaped.id);
}

int weft_lower_gather(struct weft_lower *lower)
{
	const struct weft_host_tensor *known = weft_input_maybe(lower, 1);
	struct weft_operand table, index, flat, out;
	struct weft_layout layout = {0}, shown;
	uint8_t order[WEFT_MAX_RANK];
	unsigned int axis, i, rank = 0;
	uint32_t elements;
	int r = weft_input(lower, 0, &table);

	if (!r)
		r = weft_axis(lower, weft_attribute_int(lower, "axis", 0), table.layout.rank, &axis);
	if (r)
		return r;
	if (known && known->elements == 1 && known->rank <= 1)
		return gather_known(lower, &table, axis, known);
	r = weft_input_dense(lower, 1, &index);
	if (r)
		return r;
	if (index.layout.type != WEFT_TYPE_I32 && index.layout.type != WEFT_TYPE_I64)
		return weft_node_fail(lower, EINVAL, "the indices are not integers of 32 or 64 bits");
	if (table.layout.rank + index.layout.rank - 1 > WEFT_MAX_RANK)
		return weft_node_fail(lower, EOPNOTSUPP, "the result has too many dimensions");
	elements = (uint32_t)weft_layout_elements(&index.layout);
	r = weft_lower_reshape(lower, &index, 1, &elements, &flat);
	if (r)
		return r;
	layout.type = table.layout.type;
	layout.rank = (uint8_t)(table.layout.rank + index.layout.rank - 1);
	for (i = 0; i < axis; i++)
		layout.dims[rank++] = table.layout.dims[i];
	for (i = 0; i < index.layout.rank; i++)
		layout.dims[rank++] = index.layout.dims[i];
	for (i = axis + 1; i < table.layout.rank; i++)
		layout.dims[rank++] = table.layout.dims[i];
	weft_layout_dense(&layout);
	r = weft_output(lower, 0, &layout, &out);
	if (r)
		return r;
	/* The device gathers along the first dimension: show table and result with it in front. */
	order[0] = (uint8_t)axis;
	for (i = 0, rank = 1; i < table.layout.rank; i++)
		if (i != axis)
			order[rank++] = (uint8_t)i;
	table.layout = weft_layout_permuted(&table.layout, order);
	shown = (struct weft_layout){.type = layout.type, .rank = table.layout.rank};
	shown.dims[0] = elements;
	shown.strides[0] = index.layout.rank ? layout.strides[axis + index.layout.rank - 1] : 1;
	for (i = 1; i < shown.rank; i++) {
		unsigned int from = order[i] < axis ? order[i] : order[i] + index.layout.rank - 1u;

		shown.dims[i] = layout.dims[from];
		shown.strides[i] = layout.strides[from];
	}
	out.layout = shown;
	return weft_build(lower->graph, lower->node_name, WEFT_OP_GATHER, NULL, 2, 3,
			  (struct weft_operand[]){table, flat, out}, NULL);
}
