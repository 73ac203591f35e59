// SPDX-License-Identifier: MIT
#include "import/expression.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "graph/layout.h"
#include "import/operators.h"
#include "import/shape.h"
#include "weft/error.h"

/* @operand, or nothing where @error is set, which sticks. */
static struct weft_operand done(struct weft_expression *e, int error, const struct weft_operand *operand)
{
	if (!e->error)
		e->error = error;
	return e->error ? WEFT_ABSENT : *operand;
}

struct weft_operand weft_expression_input(struct weft_expression *e, unsigned int index)
{
	struct weft_operand x = WEFT_ABSENT;

	return done(e, e->error ? 0 : weft_input(e->lower, index, &x), &x);
}

struct weft_operand weft_expression_dense(struct weft_expression *e, unsigned int index)
{
	struct weft_operand x = WEFT_ABSENT;

	return done(e, e->error ? 0 : weft_input_dense(e->lower, index, &x), &x);
}

struct weft_operand weft_expression_constant(struct weft_expression *e, const struct weft_layout *layout, void **data)
{
	struct weft_operand constant = WEFT_ABSENT;
	struct weft_layout dense = *layout;
	struct weft_value *value;
	uint64_t bytes;
	int r;

	*data = NULL;
	if (e->error)
		return WEFT_ABSENT;
	weft_layout_dense(&dense);
	bytes = weft_layout_bytes(&dense);
	if (!bytes || bytes > WEFT_CONSTANT_MAX_BYTES - e->lower->made_up) {
		r = weft_node_fail(e->lower, EOPNOTSUPP,
				   "it needs a table of %llu bytes; all tables of a model together may have %llu",
				   (unsigned long long)bytes, (unsigned long long)WEFT_CONSTANT_MAX_BYTES);
		return done(e, r, &constant);
	}
	e->lower->made_up += bytes;
	r = weft_temporary(e->lower, &dense, &constant);
	if (r)
		return done(e, r, &constant);
	value = &e->lower->graph->value[constant.id];
	value->kind = WEFT_VALUE_CONSTANT;
	value->data = calloc(1, value->bytes);
	if (!value->data)
		return done(e, weft_fail(ENOMEM, "no memory for a constant of %s", e->lower->node_name), &constant);
	*data = value->data;
	return constant;
}

struct weft_operand weft_expression_number(struct weft_expression *e, uint8_t type, double number)
{
	struct weft_host_tensor scalar = {.type = type, .elements = 1};
	struct weft_layout layout = {.type = type};
	struct weft_operand constant = weft_expression_constant(e, &layout, &scalar.data);

	if (scalar.data)
		weft_host_set_number(&scalar, 0, number);
	return constant;
}

struct weft_operand weft_expression_places(struct weft_expression *e, uint8_t type, unsigned int rank,
					   unsigned int axis, uint32_t count)
{
	struct weft_host_tensor places = {.type = type, .elements = count};
	struct weft_layout layout = {.type = type, .rank = (uint8_t)rank};
	struct weft_operand constant;
	uint32_t i;

	for (i = 0; i < rank; i++)
		layout.dims[i] = i == axis ? count : 1;
	constant = weft_expression_constant(e, &layout, &places.data);
	for (i = 0; places.data && i < count; i++)
		weft_host_set_integer(&places, i, i);
	return constant;
}

static struct weft_operand unary(struct weft_expression *e, struct weft_operand x, uint32_t function, float alpha,
				 float beta)
{
	union weft_params params = {.unary = {.function = function, .alpha = alpha, .beta = beta}};
	struct weft_operand y = WEFT_ABSENT;

	return done(e, e->error ? 0 : weft_lower_unary(e->lower, &params, &x, false, &y), &y);
}

struct weft_operand weft_expression_unary(struct weft_expression *e, uint32_t function, struct weft_operand x)
{
	return unary(e, x, function, 0, 0);
}

struct weft_operand weft_expression_affine(struct weft_expression *e, struct weft_operand x, float scale, float offset)
{
	return unary(e, x, WEFT_UNARY_AFFINE, scale, offset);
}

struct weft_operand weft_expression_binary(struct weft_expression *e, uint32_t function, struct weft_operand a,
					   struct weft_operand b)
{
	struct weft_operand y = WEFT_ABSENT;

	return done(e, e->error ? 0 : weft_lower_binary(e->lower, function, &a, &b, false, &y), &y);
}

struct weft_operand weft_expression_with(struct weft_expression *e, uint32_t function, struct weft_operand a,
					 double number)
{
	struct weft_operand b = weft_expression_number(e, a.layout.type, number);

	return weft_expression_binary(e, function, a, b);
}

struct weft_operand weft_expression_where(struct weft_expression *e, struct weft_operand condition,
					  struct weft_operand a, struct weft_operand b)
{
	struct weft_operand in[4] = {condition, a, b, WEFT_ABSENT};
	struct weft_layout joined = {0}, layout;
	struct weft_shape shape = {0};
	unsigned int i;
	int r = e->error;

	for (i = 0; i < 3 && !r; i++) {
		r = weft_shape_broadcast(e->lower, &in[i].layout, &joined, &shape);
		joined.rank = (uint8_t)shape.rank;
		memcpy(joined.dims, shape.dims, sizeof(joined.dims));
	}
	if (r)
		return done(e, r, &in[3]);
	layout = weft_layout_like(&a.layout, a.layout.type, shape.rank, shape.dims);
	for (i = 0; i < 3; i++) {
		struct weft_layout from = in[i].layout;

		if (!weft_layout_broadcast(&from, shape.rank, shape.dims, &in[i].layout))
			r = weft_node_fail(e->lower, EINVAL, "the inputs do not broadcast");
	}
	if (!r)
		r = weft_temporary(e->lower, &layout, &in[3]);
	if (!r)
		r = weft_build_elementwise(e->lower->graph, e->lower->node_name, WEFT_OP_WHERE, NULL, 3, 4, in, NULL);
	return done(e, r, &in[3]);
}

struct weft_operand weft_expression_cast(struct weft_expression *e, uint8_t type, struct weft_operand x)
{
	if (e->error || x.layout.type == type)
		return x;
	return done(e, weft_lower_cast_operand(e->lower, type, &x), &x);
}

struct weft_operand weft_expression_reshape(struct weft_expression *e, struct weft_operand x, unsigned int rank,
					    const uint32_t dims[])
{
	struct weft_operand y = WEFT_ABSENT;

	return done(e, e->error ? 0 : weft_lower_reshape(e->lower, &x, rank, dims, &y), &y);
}

struct weft_operand weft_expression_flat(struct weft_expression *e, struct weft_operand x)
{
	uint64_t elements = weft_layout_elements(&x.layout);

	if (!e->error && elements > INT32_MAX)
		e->error = weft_node_fail(e->lower, EOPNOTSUPP, "a tensor of %llu elements is too large",
					  (unsigned long long)elements);
	return weft_expression_reshape(e, x, 1, (const uint32_t[]){(uint32_t)elements});
}

struct weft_operand weft_expression_permuted(struct weft_expression *e, struct weft_operand x, const uint8_t order[])
{
	if (!e->error)
		x.layout = weft_layout_permuted(&x.layout, order);
	return done(e, 0, &x);
}

struct weft_operand weft_expression_part(struct weft_expression *e, struct weft_operand x, unsigned int axis,
					 uint32_t start, uint32_t count)
{
	struct weft_operand part = x;
	uint64_t offset;
	int r = e->error;

	if (!r &&
	    (axis >= x.layout.rank || !count || count > x.layout.dims[axis] || start > x.layout.dims[axis] - count))
		r = weft_node_fail(e->lower, EINVAL, "elements %u to %u of dimension %u do not exist", start,
				   start + count, axis);
	if (r)
		return done(e, r, &part);
	offset = (uint64_t)start * (uint64_t)x.layout.strides[axis] * weft_type_size(x.layout.type);
	part.layout.dims[axis] = count;
	r = weft_build_view(e->lower->graph, e->lower->node_name, x.id, offset, &part.layout, &part.id);
	return done(e, r ? weft_fail_in(r, "%s", weft_node_where(e->lower)) : 0, &part);
}

struct weft_operand weft_expression_reduce(struct weft_expression *e, uint32_t function, struct weft_operand x,
					   const bool axes[])
{
	union weft_params params = {.reduce = {.function = function, .scale = 1}};
	struct weft_operand operand[2] = {x, WEFT_ABSENT};
	struct weft_layout layout = x.layout;
	unsigned int i;
	int r;

	if (e->error)
		return WEFT_ABSENT;
	for (i = 0; i < layout.rank; i++)
		if (axes[i])
			layout.dims[i] = 1;
	layout = weft_layout_like(&x.layout, layout.type, layout.rank, layout.dims);
	r = weft_temporary(e->lower, &layout, &operand[1]);
	if (!r)
		r = weft_build_broadcast(e->lower->graph, e->lower->node_name, WEFT_OP_REDUCE, &params, 1, 2, operand,
					 0, NULL);
	return done(e, r, &operand[1]);
}

struct weft_operand weft_expression_gather(struct weft_expression *e, struct weft_operand table,
					   struct weft_operand indices)
{
	struct weft_operand operand[3] = {table, indices, WEFT_ABSENT};
	struct weft_layout layout = table.layout;
	int r;

	if (e->error)
		return WEFT_ABSENT;
	layout.dims[0] = indices.layout.dims[0];
	weft_layout_dense(&layout);
	r = weft_temporary(e->lower, &layout, &operand[2]);
	if (!r)
		r = weft_build(e->lower->graph, e->lower->node_name, WEFT_OP_GATHER, NULL, 2, 3, operand, NULL);
	return done(e, r, &operand[2]);
}

struct weft_operand weft_expression_take(struct weft_expression *e, struct weft_operand x, unsigned int axis,
					 struct weft_operand indices)
{
	struct weft_operand operand[3] = {x, indices, WEFT_ABSENT}, y;
	struct weft_layout layout = x.layout;
	uint8_t order[WEFT_MAX_RANK];
	unsigned int i, n = 1;
	int r;

	if (e->error)
		return WEFT_ABSENT;
	layout.dims[axis] = indices.layout.dims[0];
	layout = weft_layout_like(&x.layout, layout.type, layout.rank, layout.dims);
	r = weft_temporary(e->lower, &layout, &operand[2]);
	y = operand[2];
	/* The device gathers along the first dimension. */
	order[0] = (uint8_t)axis;
	for (i = 0; i < layout.rank; i++)
		if (i != axis)
			order[n++] = (uint8_t)i;
	operand[0].layout = weft_layout_permuted(&x.layout, order);
	operand[2].layout = weft_layout_permuted(&layout, order);
	if (!r)
		r = weft_build(e->lower->graph, e->lower->node_name, WEFT_OP_GATHER, NULL, 2, 3, operand, NULL);
	return done(e, r, &y);
}

struct weft_operand weft_expression_copy(struct weft_expression *e, struct weft_operand x,
					 const struct weft_layout *layout)
{
	struct weft_operand to = WEFT_ABSENT;

	return done(e, e->error ? 0 : weft_lower_copy(e->lower, &x, layout, &to), &to);
}

int weft_expression_output(struct weft_expression *e, unsigned int index, struct weft_operand x)
{
	if (e->error)
		return e->error;
	if (weft_layout_same(&x.layout, &e->lower->graph->value[x.id].layout))
		e->error = weft_output_is(e->lower, index, x.id);
	else
		e->error = weft_output_view(e->lower, index, &x, 0, &x.layout);
	return e->error;
}
