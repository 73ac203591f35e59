// SPDX-License-Identifier: MIT
#include <errno.h>
#include <string.h>

#include "import/operators.h"
#include "import/shape.h"
#include "weft/error.h"

static const struct {
	const char *name;
	uint32_t function;
	uint8_t axes_since; /* opset from which axes are an input */
} reductions[] = {
	{"ReduceSum", WEFT_REDUCE_SUM, 13},	   {"ReduceMean", WEFT_REDUCE_MEAN, 18},
	{"ReduceMax", WEFT_REDUCE_MAX, 18},	   {"ReduceMin", WEFT_REDUCE_MIN, 18},
	{"ReduceProd", WEFT_REDUCE_PROD, 18},	   {"ReduceL1", WEFT_REDUCE_L1, 18},
	{"ReduceL2", WEFT_REDUCE_L2, 18},	   {"ReduceSumSquare", WEFT_REDUCE_SUM_SQUARE, 18},
	{"ReduceLogSum", WEFT_REDUCE_LOG_SUM, 18}, {"ReduceLogSumExp", WEFT_REDUCE_LOG_SUM_EXP, 18},
};

/* Output 0 is @y, whose reduced dimensions have extent 1, without those where @keep is false. */
static int shape_result(struct weft_lower *lower, const struct weft_operand *y, const bool axes[], bool keep)
{
	struct weft_layout layout = {.type = y->layout.type};
	unsigned int i;

	for (i = 0; i < y->layout.rank; i++) {
		if (!keep && axes[i])
			continue;
		layout.dims[layout.rank] = y->layout.dims[i];
		layout.strides[layout.rank++] = y->layout.strides[i];
	}
	return weft_output_view(lower, 0, y, 0, &layout);
}

int weft_lower_reduce(struct weft_lower *lower)
{
	union weft_params params = {.reduce = {.scale = 1}};
	bool axes[WEFT_MAX_RANK], given, keep = weft_attribute_int(lower, "keepdims", 1) != 0;
	struct weft_operand operand[2];
	struct weft_layout layout;
	unsigned int n, i;
	int r = weft_input(lower, 0, &operand[0]);

	for (n = 0; strcmp(reductions[n].name, lower->node->op_type); n++)
		if (n + 1 == sizeof(reductions) / sizeof(reductions[0]))
			return weft_node_fail(lower, EOPNOTSUPP, "no reduction of that name");
	if (!r)
		r = weft_shape_axes(lower, 1, reductions[n].axes_since, operand[0].layout.rank, axes, &given);
	if (r)
		return r;
	if (!given && weft_attribute_int(lower, "noop_with_empty_axes", 0))
		return weft_output_is(lower, 0, operand[0].id);
	params.reduce.function = reductions[n].function;
	layout = operand[0].layout;
	for (i = 0; i < layout.rank; i++) {
		if (!given)
			axes[i] = true;
		if (axes[i])
			layout.dims[i] = 1;
	}
	layout = weft_layout_like(&operand[0].layout, layout.type, layout.rank, layout.dims);
	r = keep ? weft_output(lower, 0, &layout, &operand[1]) : weft_temporary(lower, &layout, &operand[1]);
	if (!r)
		r = weft_build_broadcast(lower->graph, lower->node_name, WEFT_OP_REDUCE, &params, 1, 2, operand, 0,
					 NULL);
	return r || keep ? r : shape_result(lower, &operand[1], axes, false);
}

int weft_lower_arg_reduce(struct weft_lower *lower)
{
	bool axes[WEFT_MAX_RANK] = {false}, keep = weft_attribute_int(lower, "keepdims", 1) != 0;
	union weft_params params = {.reduce = {.function = WEFT_REDUCE_MAX, .scale = 1}};
	struct weft_operand operand[2];
	struct weft_layout layout;
	unsigned int axis;
	int r = weft_input(lower, 0, &operand[0]);

	if (!r)
		r = weft_axis(lower, weft_attribute_int(lower, "axis", 0), operand[0].layout.rank, &axis);
	if (r)
		return r;
	axes[axis] = true;
	if (!strcmp(lower->node->op_type, "ArgMin"))
		params.reduce.function = WEFT_REDUCE_MIN;
	params.reduce.select_last = weft_attribute_int(lower, "select_last_index", 0) != 0;
	layout = operand[0].layout;
	layout.type = WEFT_TYPE_I64;
	layout.dims[axis] = 1;
	weft_layout_dense(&layout);
	r = keep ? weft_output(lower, 0, &layout, &operand[1]) : weft_temporary(lower, &layout, &operand[1]);
	if (!r)
		r = weft_build(lower->graph, lower->node_name, WEFT_OP_ARGREDUCE, &params, 1, 2, operand, NULL);
	return r || keep ? r : shape_result(lower, &operand[1], axes, false);
}
