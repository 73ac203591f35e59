// SPDX-License-Identifier: MIT
/* Operators that are masks: Trilu, OneHot and Hardmax. */
#include <errno.h>
#include <string.h>

#include "import/expression.h"
#include "import/operators.h"
#include "weft/error.h"

/* One integer that is known on the host. */
static int known_integer(struct weft_lower *lower, unsigned int index, int64_t *integer)
{
	const struct weft_host_tensor *known = weft_input_known(lower, index);

	if (!known)
		return -EOPNOTSUPP;
	if (known->elements != 1)
		return weft_node_fail(lower, EINVAL, "input %u has %zu elements, not one", index, known->elements);
	*integer = weft_host_integer(known, 0);
	return 0;
}

int weft_lower_trilu(struct weft_lower *lower)
{
	bool upper = weft_attribute_int(lower, "upper", 1) != 0;
	struct weft_expression e = {.lower = lower};
	struct weft_operand x = weft_expression_input(&e, 0), mask, zero;
	struct weft_layout layout = {.type = WEFT_TYPE_BOOL, .rank = 2};
	int64_t k = 0, row, column;
	void *data;
	bool *keep;

	if (!e.error && x.layout.rank < 2)
		e.error = weft_node_fail(lower, EINVAL, "rank %u; it takes matrices", x.layout.rank);
	if (!e.error && weft_has_input(lower, 1))
		e.error = known_integer(lower, 1, &k);
	if (e.error)
		return e.error;
	memcpy(layout.dims, &x.layout.dims[x.layout.rank - 2], 2 * sizeof(*layout.dims));
	mask = weft_expression_constant(&e, &layout, &data);
	keep = data;
	for (row = 0; keep && row < layout.dims[0]; row++)
		for (column = 0; column < layout.dims[1]; column++)
			*keep++ = upper ? column - row >= k : column - row <= k;
	zero = weft_expression_number(&e, x.layout.type, 0);
	return weft_expression_output(&e, 0, weft_expression_where(&e, mask, x, zero));
}

int weft_lower_one_hot(struct weft_lower *lower)
{
	struct weft_expression e = {.lower = lower};
	struct weft_operand indices = weft_expression_input(&e, 0), values = weft_expression_dense(&e, 2);
	struct weft_operand behind, hot, places, off, on;
	uint32_t dims[WEFT_MAX_RANK];
	unsigned int axis, rank, i;
	int64_t depth = 0;
	int r = e.error;

	if (!r)
		r = known_integer(lower, 1, &depth);
	if (r)
		return r;
	rank = indices.layout.rank + 1u;
	if (rank > WEFT_MAX_RANK || depth < 1 || depth > INT32_MAX)
		return weft_node_fail(lower, EOPNOTSUPP, "rank %u and depth %lld", rank, (long long)depth);
	r = weft_axis(lower, weft_attribute_int(lower, "axis", -1), rank, &axis);
	if (!r && (values.layout.rank != 1 || values.layout.dims[0] != 2))
		r = weft_node_fail(lower, EINVAL, "the values are no vector of two");
	if (r)
		return r;
	for (i = 0; i < rank; i++)
		dims[i] = i == axis ? 1 : indices.layout.dims[i - (i > axis)];
	indices = weft_expression_cast(&e, WEFT_TYPE_I64, indices);
	behind = weft_expression_with(&e, WEFT_BINARY_ADD, indices, (double)depth);
	indices = weft_expression_where(&e, weft_expression_with(&e, WEFT_BINARY_LESS, indices, 0), behind, indices);
	indices = weft_expression_reshape(&e, indices, rank, dims);
	places = weft_expression_places(&e, WEFT_TYPE_I64, rank, axis, (uint32_t)depth);
	hot = weft_expression_binary(&e, WEFT_BINARY_EQUAL, indices, places);
	off = weft_expression_reshape(&e, weft_expression_part(&e, values, 0, 0, 1), 0, NULL);
	on = weft_expression_reshape(&e, weft_expression_part(&e, values, 0, 1, 1), 0, NULL);
	return weft_expression_output(&e, 0, weft_expression_where(&e, hot, on, off));
}

/* 1 at the first largest element along @axis, 0 elsewhere. */
static struct weft_operand hardmax(struct weft_expression *e, struct weft_operand x, unsigned int axis)
{
	union weft_params params = {.reduce = {.function = WEFT_REDUCE_MAX, .scale = 1}};
	struct weft_layout layout = x.layout;
	struct weft_operand largest = WEFT_ABSENT, places, hot;

	if (e->error)
		return largest;
	layout.type = WEFT_TYPE_I64;
	layout.dims[axis] = 1;
	weft_layout_dense(&layout);
	e->error = weft_temporary(e->lower, &layout, &largest);
	if (!e->error)
		e->error = weft_build(e->lower->graph, e->lower->node_name, WEFT_OP_ARGREDUCE, &params, 1, 2,
				      (struct weft_operand[]){x, largest}, NULL);
	places = weft_expression_places(e, WEFT_TYPE_I64, x.layout.rank, axis, x.layout.dims[axis]);
	hot = weft_expression_binary(e, WEFT_BINARY_EQUAL, largest, places);
	return weft_expression_cast(e, x.layout.type, hot);
}

int weft_lower_hardmax(struct weft_lower *lower)
{
	bool coerced = lower->model->opset < 13;
	struct weft_expression e = {.lower = lower};
	struct weft_operand x = weft_expression_input(&e, 0), y;
	uint32_t dims[2] = {1, 1};
	unsigned int axis, i;
	int r = e.error;

	if (!r && !x.layout.rank)
		r = weft_node_fail(lower, EOPNOTSUPP, "the input is a scalar");
	if (!r)
		r = weft_axis(lower, weft_attribute_int(lower, "axis", coerced ? 1 : -1), x.layout.rank, &axis);
	if (r)
		return r;
	if (!coerced)
		return weft_expression_output(&e, 0, hardmax(&e, x, axis));
	/* Before opset 13 all dimensions from the axis on are one. */
	for (i = 0; i < x.layout.rank; i++)
		dims[i >= axis] *= x.layout.dims[i];
	y = hardmax(&e, weft_expression_reshape(&e, x, 2, dims), 1);
	return weft_expression_output(&e, 0, weft_expression_reshape(&e, y, x.layout.rank, x.layout.dims));
}
