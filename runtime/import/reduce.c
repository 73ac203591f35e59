// SPDX-License-Identifier: MIT
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "import/expression.h"
#include "import/fold.h"
#include "import/operators.h"
#include "weft/error.h"

static const struct reduction {
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

/* The present node's reduction, and the dimensions it is over; *nothing: over none. */
static int read_reduction(struct weft_lower *lower, unsigned int rank, uint32_t *function, bool axes[], bool *nothing)
{
	bool given;
	unsigned int n, i;
	int r;

	for (n = 0; strcmp(reductions[n].name, lower->node->op_type); n++)
		if (n + 1 == sizeof(reductions) / sizeof(reductions[0]))
			return weft_node_fail(lower, EOPNOTSUPP, "no reduction of that name");
	*function = reductions[n].function;
	r = weft_shape_axes(lower, 1, reductions[n].axes_since, rank, axes, &given);
	*nothing = !given && weft_attribute_int(lower, "noop_with_empty_axes", 0);
	for (i = 0; i < rank && !given; i++)
		axes[i] = true;
	return r;
}

/* The function of two elements that a reduction of integers repeats; -1: there is none. */
static int integer_function(uint32_t reduction)
{
	switch (reduction) {
	case WEFT_REDUCE_SUM:
		return WEFT_BINARY_ADD;
	case WEFT_REDUCE_PROD:
		return WEFT_BINARY_MUL;
	case WEFT_REDUCE_MAX:
		return WEFT_BINARY_MAX;
	case WEFT_REDUCE_MIN:
		return WEFT_BINARY_MIN;
	}
	return -1;
}

/* Along one dimension, halves are joined until one element is left; those left over are joined last. */
static struct weft_operand reduce_dimension(struct weft_expression *e, struct weft_operand x, uint32_t function,
					    unsigned int dim)
{
	struct weft_operand over = WEFT_ABSENT;

	while (!e->error && x.layout.dims[dim] > 1) {
		uint32_t extent = x.layout.dims[dim], half = extent / 2;
		struct weft_operand last;

		if (extent % 2) {
			last = weft_expression_part(e, x, dim, extent - 1, 1);
			over = over.id == WEFT_NO_ID ? last : weft_expression_binary(e, function, over, last);
		}
		x = weft_expression_binary(e, function, weft_expression_part(e, x, dim, 0, half),
					   weft_expression_part(e, x, dim, half, half));
	}
	return over.id == WEFT_NO_ID ? x : weft_expression_binary(e, function, x, over);
}

static int reduce_integers(struct weft_lower *lower, struct weft_operand x, uint32_t reduction, const bool axes[],
			   bool keep)
{
	struct weft_expression e = {.lower = lower};
	uint8_t type = x.layout.type;
	int function = integer_function(reduction);
	unsigned int i;

	if (function < 0)
		return weft_node_fail(lower, EOPNOTSUPP, "it takes float tensors only");
	if (type != WEFT_TYPE_I64)
		x = weft_expression_cast(&e, WEFT_TYPE_I32, x);
	for (i = 0; i < x.layout.rank && !e.error; i++)
		if (axes[i])
			x = reduce_dimension(&e, x, (uint32_t)function, i);
	x = weft_expression_cast(&e, type, x);
	return e.error ? e.error : shape_result(lower, &x, axes, keep);
}

int weft_lower_reduce(struct weft_lower *lower)
{
	union weft_params params = {.reduce = {.scale = 1}};
	bool axes[WEFT_MAX_RANK], nothing, keep = weft_attribute_int(lower, "keepdims", 1) != 0;
	struct weft_operand operand[2];
	struct weft_layout layout;
	unsigned int i;
	int r = weft_input(lower, 0, &operand[0]);

	if (!r)
		r = read_reduction(lower, operand[0].layout.rank, &params.reduce.function, axes, &nothing);
	if (r)
		return r;
	if (nothing)
		return weft_output_is(lower, 0, operand[0].id);
	layout = operand[0].layout;
	if (layout.type != WEFT_TYPE_F32)
		return reduce_integers(lower, operand[0], params.reduce.function, axes, keep);
	for (i = 0; i < layout.rank; i++)
		if (axes[i])
			layout.dims[i] = 1;
	layout = weft_layout_like(&operand[0].layout, layout.type, layout.rank, layout.dims);
	r = keep ? weft_output(lower, 0, &layout, &operand[1]) : weft_temporary(lower, &layout, &operand[1]);
	if (!r)
		r = weft_build_broadcast(lower->graph, lower->node_name, WEFT_OP_REDUCE, &params, 1, 2, operand, 0,
					 NULL);
	return r || keep ? r : shape_result(lower, &operand[1], axes, false);
}

/* One element of the result of a fold, and one more of the input. */
static int64_t join(uint32_t reduction, int64_t a, int64_t b)
{
	switch (reduction) {
	case WEFT_REDUCE_SUM:
		return (int64_t)((uint64_t)a + (uint64_t)b);
	case WEFT_REDUCE_PROD:
		return (int64_t)((uint64_t)a * (uint64_t)b);
	case WEFT_REDUCE_MAX:
		return a > b ? a : b;
	}
	return a < b ? a : b;
}

/* Reductions of integers; those of floats are left to the device, whose order of summation counts. */
int weft_fold_reduce(struct weft_lower *lower, struct weft_host_tensor **result)
{
	const struct weft_host_tensor *in = weft_input_known(lower, 0);
	bool axes[WEFT_MAX_RANK], nothing, keep = weft_attribute_int(lower, "keepdims", 1) != 0;
	size_t strides[WEFT_MAX_RANK] = {0}, step = 1, i;
	struct weft_shape shape = {0};
	uint32_t reduction;
	unsigned int d;
	bool *seen;
	int r = read_reduction(lower, in->rank, &reduction, axes, &nothing);

	for (d = 0; d < in->rank; d++) {
		axes[d] &= !nothing;
		if (!axes[d] || keep)
			shape.dims[shape.rank++] = axes[d] ? 1 : in->dims[d];
	}
	for (d = in->rank; d-- > 0;) {
		strides[d] = axes[d] ? 0 : step;
		step *= axes[d] ? 1 : in->dims[d];
	}
	if (!r && (!in->elements || integer_function(reduction) < 0))
		r = weft_node_fail(lower, EOPNOTSUPP, "a reduction of nothing, or one for float tensors only");
	if (!r)
		r = weft_fold_result(lower, in->type, &shape, result);
	seen = r ? NULL : calloc((*result)->elements + 1, sizeof(*seen));
	if (!r && !seen)
		r = weft_fail(ENOMEM, "no memory for %s", lower->node_name);
	for (i = 0; i < in->elements && !r; i++) {
		int64_t element = weft_host_integer(in, i);
		size_t rest = i, at = 0;

		for (d = in->rank; d-- > 0; rest /= in->dims[d])
			at += rest % in->dims[d] * strides[d];
		if (seen[at])
			element = join(reduction, weft_host_integer(*result, at), element);
		seen[at] = true;
		weft_host_set_integer(*result, at, element);
	}
	free(seen);
	return r;
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
