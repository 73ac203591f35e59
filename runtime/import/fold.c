// SPDX-License-Identifier: MIT
/*
 * Evaluation on the host of what exporters compute around shapes: integer
 * arithmetic, Shape, Gather, Concat, Slice and the like, on tensors that are
 * known before the model runs.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "graph/layout.h"
#include "import/fold.h"
#include "weft/error.h"

static struct weft_layout layout_of(const struct weft_host_tensor *tensor)
{
	struct weft_layout layout = {.type = tensor->type, .rank = tensor->rank};

	memcpy(layout.dims, tensor->dims, sizeof(layout.dims));
	weft_layout_dense(&layout);
	return layout;
}

int weft_fold_result(struct weft_lower *lower, uint8_t type, const struct weft_shape *shape,
		     struct weft_host_tensor **result)
{
	uint64_t elements = 1;
	unsigned int i;

	for (i = 0; i < shape->rank; i++)
		if (__builtin_mul_overflow(elements, (uint64_t)shape->dims[i], &elements))
			elements = UINT64_MAX;
	if (elements > WEFT_FOLD_MOST)
		return weft_node_fail(lower, EOPNOTSUPP, "a constant of %llu elements is too large to compute",
				      (unsigned long long)elements);
	return weft_host_tensor_new(type, shape->rank, shape->dims, result);
}

/* result[i] = from[start + i . strides], with @result's dims. */
static void gather_strided(const struct weft_host_tensor *from, int64_t start, const int32_t strides[],
			   struct weft_host_tensor *result)
{
	size_t size = weft_type_size(from->type), i;
	uint32_t index[WEFT_MAX_RANK] = {0};
	unsigned int d;

	for (i = 0; i < result->elements; i++) {
		memcpy((uint8_t *)result->data + i * size, (const uint8_t *)from->data + (size_t)start * size, size);
		for (d = result->rank; d-- > 0;) {
			start += strides[d];
			if (++index[d] < result->dims[d])
				break;
			start -= (int64_t)strides[d] * result->dims[d];
			index[d] = 0;
		}
	}
}

static int fold_constant(struct weft_lower *lower, struct weft_host_tensor **result)
{
	const Onnx__AttributeProto *value = weft_attribute(lower, "value");
	struct weft_shape shape = {0};
	size_t i;
	int r;

	if (value && value->t)
		return weft_onnx_tensor(value->t, result);
	if ((value = weft_attribute(lower, "value_float")) || (value = weft_attribute(lower, "value_int"))) {
		bool is_float = !strcmp(value->name, "value_float");

		r = weft_fold_result(lower, is_float ? WEFT_TYPE_F32 : WEFT_TYPE_I64, &shape, result);
		if (!r && is_float)
			weft_host_set_number(*result, 0, (double)value->f);
		else if (!r)
			weft_host_set_integer(*result, 0, value->i);
		return r;
	}
	if ((value = weft_attribute(lower, "value_floats")) || (value = weft_attribute(lower, "value_ints"))) {
		bool is_float = !strcmp(value->name, "value_floats");
		size_t count = is_float ? value->n_floats : value->n_ints;

		if (count > WEFT_FOLD_MOST)
			return weft_node_fail(lower, EINVAL, "%zu values in an attribute", count);
		shape.rank = 1;
		shape.dims[0] = (uint32_t)count;
		r = weft_fold_result(lower, is_float ? WEFT_TYPE_F32 : WEFT_TYPE_I64, &shape, result);
		for (i = 0; i < count && !r; i++) {
			if (is_float)
				weft_host_set_number(*result, i, (double)value->floats[i]);
			else
				weft_host_set_integer(*result, i, value->ints[i]);
		}
		return r;
	}
	return weft_node_fail(lower, EOPNOTSUPP, "a constant without a tensor or number");
}

static int fold_shape(struct weft_lower *lower, struct weft_host_tensor **result)
{
	struct weft_layout in;
	struct weft_shape shape = {.rank = 1};
	int64_t start = weft_attribute_int(lower, "start", 0), end = weft_attribute_int(lower, "end", INT64_MAX), i;
	int r = weft_input_shape(lower, 0, &in);

	if (r)
		return r;
	start = start < 0 ? start + in.rank : start;
	end = end < 0 ? end + in.rank : end;
	start = start < 0 ? 0 : start > in.rank ? in.rank : start;
	end = end < start ? start : end > in.rank ? in.rank : end;
	shape.dims[0] = (uint32_t)(end - start);
	r = weft_fold_result(lower, WEFT_TYPE_I64, &shape, result);
	for (i = start; i < end && !r; i++)
		weft_host_set_integer(*result, (size_t)(i - start), in.dims[i]);
	return r;
}

static int fold_size(struct weft_lower *lower, struct weft_host_tensor **result)
{
	struct weft_layout in;
	int r = weft_input_shape(lower, 0, &in);

	if (!r)
		r = weft_fold_result(lower, WEFT_TYPE_I64, &(struct weft_shape){0}, result);
	if (!r)
		weft_host_set_integer(*result, 0, (int64_t)weft_layout_elements(&in));
	return r;
}

static int fold_constant_of_shape(struct weft_lower *lower, struct weft_host_tensor **result)
{
	const Onnx__AttributeProto *value = weft_attribute(lower, "value");
	struct weft_host_tensor *element = NULL;
	struct weft_shape shape;
	size_t i;
	int r = weft_shape_input(lower, 0, &shape);

	if (!r && value && value->t)
		r = weft_onnx_tensor(value->t, &element);
	if (!r && element && element->elements != 1)
		r = weft_node_fail(lower, EINVAL, "value has %zu elements, not one", element->elements);
	if (!r)
		r = weft_fold_result(lower, element ? element->type : WEFT_TYPE_F32, &shape, result);
	for (i = 0; !r && element && i < (*result)->elements; i++) {
		if (element->type == WEFT_TYPE_F32)
			weft_host_set_number(*result, i, weft_host_number(element, 0));
		else
			weft_host_set_integer(*result, i, weft_host_integer(element, 0));
	}
	weft_host_tensor_free(element);
	return r;
}

static int fold_strided(struct weft_lower *lower, const struct weft_shape *shape, int64_t start,
			const int32_t strides[], struct weft_host_tensor **result)
{
	const struct weft_host_tensor *from = weft_input_known(lower, 0);
	int r = from ? weft_fold_result(lower, from->type, shape, result) : -EOPNOTSUPP;

	if (!r)
		gather_strided(from, start, strides, *result);
	return r;
}

static int fold_reshape(struct weft_lower *lower, struct weft_host_tensor **result)
{
	struct weft_layout in = layout_of(weft_input_known(lower, 0)), out = {.type = in.type};
	struct weft_shape shape;
	int r = weft_shape_of_node(lower, &in, &shape);

	if (r)
		return r;
	out.rank = (uint8_t)shape.rank;
	memcpy(out.dims, shape.dims, sizeof(out.dims));
	weft_layout_dense(&out);
	return fold_strided(lower, &shape, 0, out.strides, result);
}

static int fold_identity(struct weft_lower *lower, struct weft_host_tensor **result)
{
	struct weft_layout in = layout_of(weft_input_known(lower, 0));
	struct weft_shape shape = {.rank = in.rank};

	memcpy(shape.dims, in.dims, sizeof(shape.dims));
	return fold_strided(lower, &shape, 0, in.strides, result);
}

static int fold_transpose(struct weft_lower *lower, struct weft_host_tensor **result)
{
	struct weft_layout in = layout_of(weft_input_known(lower, 0)), out;
	struct weft_shape shape = {.rank = in.rank};
	uint8_t order[WEFT_MAX_RANK];
	int r = weft_shape_transpose(lower, in.rank, order);

	if (r)
		return r;
	out = weft_layout_permuted(&in, order);
	memcpy(shape.dims, out.dims, sizeof(shape.dims));
	return fold_strided(lower, &shape, 0, out.strides, result);
}

static int fold_slice(struct weft_lower *lower, struct weft_host_tensor **result)
{
	struct weft_layout in = layout_of(weft_input_known(lower, 0));
	struct weft_slices slices;
	int32_t strides[WEFT_MAX_RANK];
	int64_t start = 0;
	unsigned int i;
	int r = weft_shape_slices(lower, &in, &slices);

	if (r)
		return r;
	for (i = 0; i < in.rank; i++) {
		/* A dimension of one element is never stepped along, however long its step is. */
		strides[i] = slices.shape.dims[i] > 1 ? (int32_t)(in.strides[i] * slices.step[i]) : 0;
		if (slices.shape.dims[i])
			start += slices.start[i] * in.strides[i];
	}
	return fold_strided(lower, &slices.shape, start, strides, result);
}

static int fold_expand(struct weft_lower *lower, struct weft_host_tensor **result)
{
	struct weft_layout in = layout_of(weft_input_known(lower, 0)), wanted = {0}, out;
	struct weft_shape shape;
	int r = weft_shape_input(lower, 1, &shape);

	if (r)
		return r;
	wanted.rank = (uint8_t)shape.rank;
	memcpy(wanted.dims, shape.dims, sizeof(wanted.dims));
	r = weft_shape_broadcast(lower, &in, &wanted, &shape);
	if (r)
		return r;
	if (!weft_layout_broadcast(&in, shape.rank, shape.dims, &out))
		return weft_node_fail(lower, EINVAL, "the input does not broadcast");
	return fold_strided(lower, &shape, 0, out.strides, result);
}

static int fold_gather(struct weft_lower *lower, struct weft_host_tensor **result)
{
	const struct weft_host_tensor *table = weft_input_known(lower, 0), *index = weft_input_known(lower, 1);
	size_t outer = 1, inner = 1, size = weft_type_size(table->type), o, i;
	struct weft_shape shape = {0};
	unsigned int axis, d;
	int r = weft_axis(lower, weft_attribute_int(lower, "axis", 0), table->rank, &axis);

	if (!r && table->rank + index->rank - 1 > WEFT_MAX_RANK)
		r = weft_node_fail(lower, EOPNOTSUPP, "the result has too many dimensions");
	if (r)
		return r;
	for (d = 0; d < axis; d++)
		outer *= shape.dims[shape.rank++] = table->dims[d];
	for (d = 0; d < index->rank; d++)
		shape.dims[shape.rank++] = index->dims[d];
	for (d = axis + 1; d < table->rank; d++)
		inner *= shape.dims[shape.rank++] = table->dims[d];
	r = weft_fold_result(lower, table->type, &shape, result);
	for (i = 0; i < index->elements && !r; i++) {
		int64_t at = weft_host_integer(index, i);

		at = at < 0 ? at + table->dims[axis] : at;
		if (at < 0 || at >= table->dims[axis])
			return weft_node_fail(lower, EINVAL, "index %lld of %u", (long long)at, table->dims[axis]);
		for (o = 0; o < outer; o++)
			memcpy((uint8_t *)(*result)->data + (o * index->elements + i) * inner * size,
			       (const uint8_t *)table->data + (o * table->dims[axis] + (size_t)at) * inner * size,
			       inner * size);
	}
	return r;
}

static int fold_concat(struct weft_lower *lower, struct weft_host_tensor **result)
{
	const struct weft_host_tensor *first = weft_input_known(lower, 0);
	struct weft_shape shape = {.rank = first->rank};
	size_t outer = 1, row = 0, done = 0, size = weft_type_size(first->type), o, i;
	unsigned int axis, d;
	int r = weft_axis(lower, weft_attribute_int(lower, "axis", 1), first->rank, &axis);

	if (r)
		return r;
	memcpy(shape.dims, first->dims, sizeof(shape.dims));
	shape.dims[axis] = 0;
	for (i = 0; i < lower->node->n_input; i++) {
		const struct weft_host_tensor *in = weft_input_known(lower, (unsigned int)i);

		if (in->rank != first->rank || in->type != first->type)
			return weft_node_fail(lower, EINVAL, "input %zu has another rank or type than the first", i);
		for (d = 0; d < in->rank; d++)
			if (d != axis && in->dims[d] != first->dims[d])
				return weft_node_fail(lower, EINVAL, "input %zu has another dimension %u", i, d);
		if (__builtin_add_overflow(shape.dims[axis], in->dims[axis], &shape.dims[axis]))
			return weft_node_fail(lower, EINVAL, "the result overflows");
	}
	r = weft_fold_result(lower, first->type, &shape, result);
	if (r)
		return r;
	for (d = 0; d < axis; d++)
		outer *= shape.dims[d];
	row = outer ? (*result)->elements / outer * size : 0;
	for (i = 0; i < lower->node->n_input; i++) {
		const struct weft_host_tensor *in = weft_input_known(lower, (unsigned int)i);
		size_t part = outer ? in->elements / outer * size : 0;

		for (o = 0; o < outer; o++)
			memcpy((uint8_t *)(*result)->data + o * row + done, (const uint8_t *)in->data + o * part, part);
		done += part;
	}
	return 0;
}

static int fold_cast(struct weft_lower *lower, struct weft_host_tensor **result)
{
	const struct weft_host_tensor *in = weft_input_known(lower, 0);
	struct weft_shape shape = {.rank = in->rank};
	uint8_t type;
	size_t i;
	int r = weft_onnx_type((int32_t)weft_attribute_int(lower, "to", 0), &type);

	if (r)
		return weft_fail_in(r, "%s", weft_node_where(lower));
	memcpy(shape.dims, in->dims, sizeof(shape.dims));
	r = weft_fold_result(lower, type, &shape, result);
	for (i = 0; i < in->elements && !r; i++) {
		if (type == WEFT_TYPE_BOOL)
			weft_host_set_integer(*result, i, weft_host_number(in, i) != 0);
		else if (in->type == WEFT_TYPE_F32)
			weft_host_set_number(*result, i, weft_host_number(in, i));
		else
			weft_host_set_integer(*result, i, weft_host_integer(in, i));
	}
	return r;
}

static int fold_range(struct weft_lower *lower, struct weft_host_tensor **result)
{
	const struct weft_host_tensor *start = weft_input_known(lower, 0), *limit = weft_input_known(lower, 1),
				      *delta = weft_input_known(lower, 2);
	struct weft_shape shape = {.rank = 1};
	double count;
	size_t i;
	int r;

	if (start->elements != 1 || limit->elements != 1 || delta->elements != 1 || weft_host_number(delta, 0) == 0)
		return weft_node_fail(lower, EINVAL, "start, limit and a delta other than zero are needed");
	count = ceil((weft_host_number(limit, 0) - weft_host_number(start, 0)) / weft_host_number(delta, 0));
	if (!(count <= WEFT_FOLD_MOST))
		return weft_node_fail(lower, EOPNOTSUPP, "a range of %g elements is too long", count);
	shape.dims[0] = count > 0 ? (uint32_t)count : 0;
	r = weft_fold_result(lower, start->type, &shape, result);
	for (i = 0; !r && i < shape.dims[0]; i++) {
		if (start->type == WEFT_TYPE_F32)
			weft_host_set_number(*result, i,
					     weft_host_number(start, 0) + (double)i * weft_host_number(delta, 0));
		else
			weft_host_set_integer(*result, i,
					      weft_host_integer(start, 0) + (int64_t)i * weft_host_integer(delta, 0));
	}
	return r;
}

static int64_t floor_mod(int64_t a, int64_t b)
{
	int64_t rest = b == -1 ? 0 : a % b;

	return rest && (rest < 0) != (b < 0) ? rest + b : rest;
}

/* Wrapping integer arithmetic; *defined turns false for a division by zero. */
static int64_t integer_binary(uint32_t function, int64_t a, int64_t b, bool *defined)
{
	switch (function) {
	case WEFT_BINARY_ADD:
		return (int64_t)((uint64_t)a + (uint64_t)b);
	case WEFT_BINARY_SUB:
		return (int64_t)((uint64_t)a - (uint64_t)b);
	case WEFT_BINARY_MUL:
		return (int64_t)((uint64_t)a * (uint64_t)b);
	case WEFT_BINARY_DIV:
		if (!b)
			break;
		return b == -1 ? (int64_t)(0 - (uint64_t)a) : a / b;
	case WEFT_BINARY_MOD:
		if (!b)
			break;
		return floor_mod(a, b);
	case WEFT_BINARY_MAX:
		return a > b ? a : b;
	case WEFT_BINARY_MIN:
		return a < b ? a : b;
	case WEFT_BINARY_POW:
		return (int64_t)pow((double)a, (double)b);
	case WEFT_BINARY_EQUAL:
		return a == b;
	case WEFT_BINARY_LESS:
		return a < b;
	case WEFT_BINARY_LESS_EQUAL:
		return a <= b;
	case WEFT_BINARY_GREATER:
		return a > b;
	case WEFT_BINARY_GREATER_EQUAL:
		return a >= b;
	case WEFT_BINARY_AND:
		return a && b;
	case WEFT_BINARY_OR:
		return a || b;
	case WEFT_BINARY_XOR:
		return !a != !b;
	}
	*defined = false;
	return 0;
}

static double number_binary(uint32_t function, double a, double b, bool *defined)
{
	switch (function) {
	case WEFT_BINARY_ADD:
		return a + b;
	case WEFT_BINARY_SUB:
		return a - b;
	case WEFT_BINARY_MUL:
		return a * b;
	case WEFT_BINARY_DIV:
		return a / b;
	case WEFT_BINARY_MAX:
		return fmax(a, b);
	case WEFT_BINARY_MIN:
		return fmin(a, b);
	case WEFT_BINARY_POW:
		return pow(a, b);
	case WEFT_BINARY_EQUAL:
		return a == b;
	case WEFT_BINARY_LESS:
		return a < b;
	case WEFT_BINARY_LESS_EQUAL:
		return a <= b;
	case WEFT_BINARY_GREATER:
		return a > b;
	case WEFT_BINARY_GREATER_EQUAL:
		return a >= b;
	}
	*defined = false;
	return 0;
}

/* Sets all outputs itself. */
static int fold_split(struct weft_lower *lower, struct weft_host_tensor **result)
{
	const struct weft_host_tensor *from = weft_input_known(lower, 0);
	struct weft_layout in = layout_of(from);
	struct weft_shape shape = {.rank = in.rank};
	int64_t sizes[WEFT_SPLIT_MOST], start = 0;
	unsigned int axis = 0, i;
	int r = weft_shape_split(lower, &in, &axis, sizes);

	memcpy(shape.dims, in.dims, sizeof(shape.dims));
	for (i = 0; i < lower->node->n_output && !r; i++) {
		shape.dims[axis] = (uint32_t)sizes[i];
		r = weft_fold_result(lower, from->type, &shape, result);
		if (r)
			return r;
		gather_strided(from, start * in.strides[axis], in.strides, *result);
		start += sizes[i];
		r = weft_output_known(lower, i, *result);
		*result = NULL;
	}
	return r;
}

static int fold_cumulative_sum(struct weft_lower *lower, struct weft_host_tensor **result)
{
	const struct weft_host_tensor *in = weft_input_known(lower, 0), *known = weft_input_known(lower, 1);
	bool reverse = weft_attribute_int(lower, "reverse", 0) != 0;
	bool exclusive = weft_attribute_int(lower, "exclusive", 0) != 0;
	struct weft_layout layout = layout_of(in);
	unsigned int axis = 0;
	size_t i, extent, step;
	int r = known->elements == 1 ? weft_axis(lower, weft_host_integer(known, 0), in->rank, &axis)
				     : weft_node_fail(lower, EINVAL, "the axis is no single number");

	if (!r)
		r = fold_identity(lower, result);
	if (r)
		return r;
	extent = in->dims[axis];
	step = (size_t)layout.strides[axis];
	for (i = 0; i < in->elements; i++) {
		size_t at = reverse ? in->elements - 1 - i : i, place = at / step % extent;
		bool first = place == (reverse ? extent - 1 : 0);
		size_t before = reverse ? at + step : at - step;
		/* What stands before it, added up: with itself, or without. */
		size_t added = exclusive ? before : at;
		double sum = first ? 0 : weft_host_number(*result, before);
		uint64_t whole = first ? 0 : (uint64_t)weft_host_integer(*result, before);

		if (first && exclusive)
			added = SIZE_MAX;
		if (in->type == WEFT_TYPE_F32)
			weft_host_set_number(*result, at, sum + (added == SIZE_MAX ? 0 : weft_host_number(in, added)));
		else
			weft_host_set_integer(
				*result, at,
				(int64_t)(whole + (added == SIZE_MAX ? 0 : (uint64_t)weft_host_integer(in, added))));
	}
	return 0;
}

static const struct {
	const char *name;
	uint32_t function;
} binary_names[] = {
	{"Add", WEFT_BINARY_ADD},     {"Sub", WEFT_BINARY_SUB},
	{"Mul", WEFT_BINARY_MUL},     {"Div", WEFT_BINARY_DIV},
	{"Mod", WEFT_BINARY_MOD},     {"Pow", WEFT_BINARY_POW},
	{"Equal", WEFT_BINARY_EQUAL}, {"Less", WEFT_BINARY_LESS},
	{"And", WEFT_BINARY_AND},     {"LessOrEqual", WEFT_BINARY_LESS_EQUAL},
	{"Or", WEFT_BINARY_OR},	      {"GreaterOrEqual", WEFT_BINARY_GREATER_EQUAL},
	{"Xor", WEFT_BINARY_XOR},     {"Greater", WEFT_BINARY_GREATER},
	{"Max", WEFT_BINARY_MAX},     {"Min", WEFT_BINARY_MIN},
};

static int fold_binary(struct weft_lower *lower, struct weft_host_tensor **result)
{
	const struct weft_host_tensor *a = weft_input_known(lower, 0), *b = weft_input_known(lower, 1);
	struct weft_host_tensor *x = NULL, *y = NULL;
	struct weft_layout in[2], out[2];
	struct weft_shape shape;
	uint32_t function = 0;
	bool defined = true;
	size_t i;
	int r;

	for (i = 0; i < sizeof(binary_names) / sizeof(binary_names[0]); i++)
		if (!strcmp(binary_names[i].name, lower->node->op_type))
			function = binary_names[i].function;
	in[0] = layout_of(a);
	in[1] = layout_of(b);
	r = weft_shape_broadcast(lower, &in[0], &in[1], &shape);
	if (r)
		return r;
	if (a->type != b->type && function != WEFT_BINARY_POW)
		return weft_node_fail(lower, EINVAL, "the inputs are of different types");
	if (!weft_layout_broadcast(&in[0], shape.rank, shape.dims, &out[0]) ||
	    !weft_layout_broadcast(&in[1], shape.rank, shape.dims, &out[1]))
		return weft_node_fail(lower, EINVAL, "the inputs do not broadcast");
	r = weft_fold_result(lower, a->type, &shape, &x);
	if (!r)
		r = weft_fold_result(lower, b->type, &shape, &y);
	if (!r)
		r = weft_fold_result(
			lower, function >= WEFT_BINARY_EQUAL && function <= WEFT_BINARY_XOR ? WEFT_TYPE_BOOL : a->type,
			&shape, result);
	if (!r) {
		gather_strided(a, 0, out[0].strides, x);
		gather_strided(b, 0, out[1].strides, y);
		for (i = 0; i < x->elements; i++) {
			if (a->type == WEFT_TYPE_F32)
				weft_host_set_number(*result, i,
						     number_binary(function, weft_host_number(x, i),
								   weft_host_number(y, i), &defined));
			else
				weft_host_set_integer(*result, i,
						      integer_binary(function, weft_host_integer(x, i),
								     weft_host_integer(y, i), &defined));
		}
		if (!defined)
			r = weft_node_fail(lower, EINVAL, "division by zero, or an operation that its type has not");
	}
	weft_host_tensor_free(x);
	weft_host_tensor_free(y);
	return r;
}

static int fold_unary(struct weft_lower *lower, struct weft_host_tensor **result)
{
	const struct weft_host_tensor *in = weft_input_known(lower, 0);
	const char *name = lower->node->op_type;
	size_t i;
	int r = fold_identity(lower, result);

	for (i = 0; i < in->elements && !r; i++) {
		double x = weft_host_number(in, i);

		if (!strcmp(name, "Not"))
			weft_host_set_integer(*result, i, x == 0);
		else if (!strcmp(name, "Sqrt"))
			weft_host_set_number(*result, i, sqrt(x));
		else if (!strcmp(name, "Floor"))
			weft_host_set_number(*result, i, floor(x));
		else if (!strcmp(name, "Ceil"))
			weft_host_set_number(*result, i, ceil(x));
		else if (in->type == WEFT_TYPE_F32)
			weft_host_set_number(*result, i, !strcmp(name, "Neg") ? -x : fabs(x));
		else if (!strcmp(name, "Neg") || x < 0)
			weft_host_set_integer(*result, i, (int64_t)(0 - (uint64_t)weft_host_integer(in, i)));
	}
	return r;
}

static int fold_where(struct weft_lower *lower, struct weft_host_tensor **result)
{
	const struct weft_host_tensor *in[3];
	struct weft_layout layout[3], joined = {0}, out;
	struct weft_shape shape;
	struct weft_host_tensor *wide[3] = {NULL};
	size_t size, i;
	unsigned int n;
	int r = 0;

	for (n = 0; n < 3; n++) {
		in[n] = weft_input_known(lower, n);
		layout[n] = layout_of(in[n]);
	}
	if (in[1]->type != in[2]->type)
		return weft_node_fail(lower, EINVAL, "the inputs are of different types");
	for (n = 0; n < 3 && !r; n++) {
		r = weft_shape_broadcast(lower, &layout[n], &joined, &shape);
		joined.rank = (uint8_t)shape.rank;
		memcpy(joined.dims, shape.dims, sizeof(joined.dims));
	}
	for (n = 0; n < 3 && !r; n++) {
		r = weft_fold_result(lower, in[n]->type, &shape, &wide[n]);
		if (!r && !weft_layout_broadcast(&layout[n], shape.rank, shape.dims, &out))
			r = weft_node_fail(lower, EINVAL, "the inputs do not broadcast");
		if (!r)
			gather_strided(in[n], 0, out.strides, wide[n]);
	}
	if (!r)
		r = weft_fold_result(lower, in[1]->type, &shape, result);
	size = weft_type_size(in[1]->type);
	for (i = 0; !r && i < wide[0]->elements; i++)
		memcpy((uint8_t *)(*result)->data + i * size,
		       (uint8_t *)wide[weft_host_integer(wide[0], i) ? 1 : 2]->data + i * size, size);
	for (n = 0; n < 3; n++)
		weft_host_tensor_free(wide[n]);
	return r;
}

/* Operators that are evaluated; @inputs must be given and known. */
static const struct {
	const char *name;
	int (*fold)(struct weft_lower *lower, struct weft_host_tensor **result);
	unsigned int inputs;
	bool shape_only; /* needs its inputs' shapes, not their contents */
} folds[] = {
	{"Constant", fold_constant, 0, true},
	{"Shape", fold_shape, 1, true},
	{"Size", fold_size, 1, true},
	{"EyeLike", weft_fold_eye_like, 1, true},
	{"ConstantOfShape", fold_constant_of_shape, 1, false},
	{"BlackmanWindow", weft_fold_window, 1, false},
	{"HammingWindow", weft_fold_window, 1, false},
	{"HannWindow", weft_fold_window, 1, false},
	{"MelWeightMatrix", weft_fold_mel_weights, 5, false},
	{"Identity", fold_identity, 1, false},
	{"Reshape", fold_reshape, 1, false},
	{"Flatten", fold_reshape, 1, false},
	{"Squeeze", fold_reshape, 1, false},
	{"Unsqueeze", fold_reshape, 1, false},
	{"Transpose", fold_transpose, 1, false},
	{"Slice", fold_slice, 1, false},
	{"Expand", fold_expand, 2, false},
	{"Gather", fold_gather, 2, false},
	{"Concat", fold_concat, 1, false},
	{"Cast", fold_cast, 1, false},
	{"Range", fold_range, 3, false},
	{"Where", fold_where, 3, false},
	{"Neg", fold_unary, 1, false},
	{"Abs", fold_unary, 1, false},
	{"Not", fold_unary, 1, false},
	{"Sqrt", fold_unary, 1, false},
	{"Floor", fold_unary, 1, false},
	{"Ceil", fold_unary, 1, false},
	{"Split", fold_split, 1, false},
	{"CumSum", fold_cumulative_sum, 2, false},
	{"ReduceSum", weft_fold_reduce, 1, false},
	{"ReduceProd", weft_fold_reduce, 1, false},
	{"ReduceMax", weft_fold_reduce, 1, false},
	{"ReduceMin", weft_fold_reduce, 1, false},
	{"NonZero", weft_fold_non_zero, 1, false},
};

/* Trainable tensors are never known; everything else in the file is. */
static bool inputs_known(struct weft_lower *lower)
{
	unsigned int i;

	for (i = 0; i < lower->node->n_input; i++) {
		const struct weft_symbol *symbol = weft_input_symbol(lower, i);
		const struct weft_host_tensor *known;

		if (!weft_has_input(lower, i))
			continue;
		if (!symbol || symbol->statistic)
			return false;
		if (symbol->initializer && symbol->initializer->n_dims &&
		    (symbol->initializer->data_type == ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT ||
		     symbol->initializer->data_type == ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT16 ||
		     symbol->initializer->data_type == ONNX__TENSOR_PROTO__DATA_TYPE__BFLOAT16 ||
		     symbol->initializer->data_type == ONNX__TENSOR_PROTO__DATA_TYPE__DOUBLE))
			return false;
		known = weft_input_maybe(lower, i);
		if (!known || known->elements > WEFT_FOLD_MOST)
			return false;
	}
	return lower->node->n_input > 0;
}

int weft_fold(struct weft_lower *lower, bool *done)
{
	int (*fold)(struct weft_lower *, struct weft_host_tensor **) = NULL;
	struct weft_host_tensor *result = NULL;
	bool shape_only = false;
	unsigned int i, inputs = 0;
	int r;

	*done = false;
	for (i = 0; i < sizeof(folds) / sizeof(folds[0]); i++) {
		if (!strcmp(folds[i].name, lower->node->op_type)) {
			fold = folds[i].fold;
			inputs = folds[i].inputs;
			shape_only = folds[i].shape_only;
		}
	}
	for (i = 0; !fold && i < sizeof(binary_names) / sizeof(binary_names[0]); i++) {
		if (!strcmp(binary_names[i].name, lower->node->op_type) && lower->node->n_input == 2 &&
		    lower->model->opset >= 7) {
			fold = fold_binary;
			inputs = 2;
		}
	}
	if (fold == weft_fold_reduce && weft_input_maybe(lower, 0) && weft_input_maybe(lower, 0)->type == WEFT_TYPE_F32)
		return 0;
	if (!fold || lower->node->n_output < 1 || (!shape_only && !inputs_known(lower)))
		return 0;
	if (fold == fold_concat)
		inputs = (unsigned int)lower->node->n_input;
	/* Evaluators read the inputs that their operators must have without asking again. */
	for (i = 0; i < inputs; i++)
		if (!weft_has_input(lower, i))
			return weft_node_fail(lower, EINVAL, "input %u is missing", i);
	r = fold(lower, &result);
	if (r) {
		weft_host_tensor_free(result);
		return r;
	}
	*done = true;
	return result ? weft_output_known(lower, 0, result) : 0;
}
