// SPDX-License-Identifier: MIT
/* GatherElements: a gather from the flat table, whose indices are computed on the device. */
#include <errno.h>
#include <stdlib.h>

#include "graph/layout.h"
#include "import/operators.h"
#include "weft/error.h"

/* Elements of @layout (dense): at each place, the flat place in the table less its part along @axis; @number where rank
 * is 0. */
static int constant(struct weft_lower *lower, const struct weft_layout *layout, const int64_t step[], unsigned int axis,
		    int64_t number, struct weft_operand *operand)
{
	struct weft_value *value;
	uint64_t elements = weft_layout_elements(layout), i;
	int r = weft_temporary(lower, layout, operand);

	if (r)
		return r;
	value = &lower->graph->value[operand->id];
	value->kind = WEFT_VALUE_CONSTANT;
	value->data = malloc(value->bytes);
	if (!value->data)
		return weft_fail(ENOMEM, "no memory for the places of %s", lower->node_name);
	for (i = 0; i < elements; i++) {
		int64_t at = layout->rank ? 0 : number;
		uint64_t rest = i;
		unsigned int d;

		for (d = layout->rank; d-- > 0; rest /= layout->dims[d])
			at += d == axis ? 0 : (int64_t)(rest % layout->dims[d]) * step[d];
		if (layout->type == WEFT_TYPE_I32)
			((int32_t *)value->data)[i] = (int32_t)at;
		else
			((int64_t *)value->data)[i] = at;
	}
	return 0;
}

static int choose(struct weft_lower *lower, const struct weft_operand *condition, const struct weft_operand *a,
		  const struct weft_operand *b, struct weft_operand *out)
{
	struct weft_layout layout = condition->layout;
	struct weft_operand operand[4] = {*condition, *a, *b};
	int r;

	layout.type = a->layout.type;
	weft_layout_dense(&layout);
	if (!weft_layout_broadcast(&a->layout, layout.rank, layout.dims, &operand[1].layout) ||
	    !weft_layout_broadcast(&b->layout, layout.rank, layout.dims, &operand[2].layout))
		return weft_node_fail(lower, EINVAL, "the indices do not broadcast");
	r = weft_temporary(lower, &layout, out);
	operand[3] = *out;
	return r ? r : weft_build_elementwise(lower->graph, lower->node_name, WEFT_OP_WHERE, NULL, 3, 4, operand, NULL);
}

/* @index along @axis, of a table with dense dims @table, as places in the flat table; past its end where out of range.
 */
static int flat_places(struct weft_lower *lower, const struct weft_operand *index, const struct weft_layout *table,
		       unsigned int axis, struct weft_operand *flat)
{
	struct weft_layout scalar = {.type = index->layout.type};
	struct weft_operand zero, extent, step, end, offsets, negative, behind, shifted, rest, inside, scaled, place;
	int64_t steps[WEFT_MAX_RANK] = {0};
	unsigned int i;
	int r;

	for (i = 0; i < table->rank; i++)
		steps[i] = table->strides[i];
	r = constant(lower, &scalar, NULL, 0, 0, &zero);
	if (!r)
		r = constant(lower, &scalar, NULL, 0, table->dims[axis], &extent);
	if (!r)
		r = constant(lower, &scalar, NULL, 0, steps[axis], &step);
	if (!r)
		r = constant(lower, &scalar, NULL, 0, (int64_t)weft_layout_elements(table), &end);
	if (!r)
		r = constant(lower, &index->layout, steps, axis, 0, &offsets);
	if (!r)
		r = weft_lower_binary(lower, WEFT_BINARY_LESS, index, &zero, false, &negative);
	if (!r)
		r = weft_lower_binary(lower, WEFT_BINARY_ADD, index, &extent, false, &behind);
	if (!r)
		r = choose(lower, &negative, &behind, index, &shifted);
	if (!r)
		r = weft_lower_binary(lower, WEFT_BINARY_MOD, &shifted, &extent, false, &rest);
	if (!r)
		r = weft_lower_binary(lower, WEFT_BINARY_EQUAL, &shifted, &rest, false, &inside);
	if (!r)
		r = weft_lower_binary(lower, WEFT_BINARY_MUL, &rest, &step, false, &scaled);
	if (!r)
		r = weft_lower_binary(lower, WEFT_BINARY_ADD, &scaled, &offsets, false, &place);
	return r ? r : choose(lower, &inside, &place, &end, flat);
}

int weft_lower_gather_elements(struct weft_lower *lower)
{
	struct weft_operand table, index, places, out, operand[3];
	uint32_t table_dims[2] = {0, 1}, dims[2] = {0, 1};
	struct weft_layout layout;
	unsigned int axis, i;
	int r = weft_input_dense(lower, 0, &table);

	if (!r)
		r = weft_input_dense(lower, 1, &index);
	if (!r)
		r = weft_axis(lower, weft_attribute_int(lower, "axis", 0), table.layout.rank, &axis);
	if (r)
		return r;
	if (index.layout.type != WEFT_TYPE_I32 && index.layout.type != WEFT_TYPE_I64)
		return weft_node_fail(lower, EINVAL, "the indices are not integers of 32 or 64 bits");
	if (index.layout.rank != table.layout.rank || weft_layout_elements(&table.layout) > INT32_MAX)
		return weft_node_fail(lower, EINVAL, "indices of rank %u for a table of rank %u", index.layout.rank,
				      table.layout.rank);
	for (i = 0; i < table.layout.rank; i++)
		if (i != axis && index.layout.dims[i] > table.layout.dims[i])
			return weft_node_fail(lower, EINVAL, "dimension %u of the indices is larger than the table's",
					      i);
	layout = index.layout;
	layout.type = table.layout.type;
	table_dims[0] = (uint32_t)weft_layout_elements(&table.layout);
	dims[0] = (uint32_t)weft_layout_elements(&layout);
	r = flat_places(lower, &index, &table.layout, axis, &places);
	if (!r)
		r = weft_output(lower, 0, &layout, &out);
	operand[0] = table;
	operand[1] = places;
	operand[2] = out;
	if (!r && (!weft_layout_reshape(&table.layout, 2, table_dims, &operand[0].layout) ||
		   !weft_layout_reshape(&places.layout, 1, dims, &operand[1].layout) ||
		   !weft_layout_reshape(&layout, 2, dims, &operand[2].layout)))
		r = weft_node_fail(lower, EINVAL, "the table cannot be shown flat");
	return r ? r : weft_build(lower->graph, lower->node_name, WEFT_OP_GATHER, NULL, 2, 3, operand, NULL);
}
