// SPDX-License-Identifier: MIT
/* Gradients of element-wise operations, reductions and copies. */
#include <errno.h>
#include <string.h>

#include "autodiff/rules.h"
#include "weft/error.h"

/* Functions whose gradient is computed from their result. */
static bool from_result(uint32_t function)
{
	switch (function) {
	case WEFT_UNARY_IDENTITY:
	case WEFT_UNARY_NEG:
	case WEFT_UNARY_EXP:
	case WEFT_UNARY_SQRT:
	case WEFT_UNARY_RSQRT:
	case WEFT_UNARY_RECIPROCAL:
	case WEFT_UNARY_RELU:
	case WEFT_UNARY_SIGMOID:
	case WEFT_UNARY_TANH:
		return true;
	}
	return false;
}

static int binary(struct weft_backward *backward, uint32_t function, const struct weft_operand *a,
		  const struct weft_operand *b, const struct weft_operand *out)
{
	union weft_params params = {.binary = {.function = function}};
	struct weft_graph *graph = weft_backward_graph(backward);
	weft_id at;
	int r = weft_build_elementwise(graph, weft_backward_name(backward), WEFT_OP_BINARY, &params, 2, 3,
				       (struct weft_operand[]){*a, *b, *out}, &at);

	if (r)
		return r;
	weft_build_in_place(graph, at, 2, 1);
	weft_build_in_place(graph, at, 2, 0);
	return 0;
}

static int unary(struct weft_backward *backward, uint32_t function, float alpha, float beta,
		 const struct weft_operand *x, const struct weft_operand *out)
{
	union weft_params params = {.unary = {.function = function, .alpha = alpha, .beta = beta}};
	struct weft_graph *graph = weft_backward_graph(backward);
	weft_id at;
	int r = weft_build_elementwise(graph, weft_backward_name(backward), WEFT_OP_UNARY, &params, 1, 2,
				       (struct weft_operand[]){*x, *out}, &at);

	if (!r)
		weft_build_in_place(graph, at, 1, 0);
	return r;
}

/* A new value like @like, computed from @a and @b. */
static int binary_into_new(struct weft_backward *backward, uint32_t function, const struct weft_operand *a,
			   const struct weft_operand *b, const struct weft_layout *like, struct weft_operand *out)
{
	struct weft_layout layout = *like;
	int r;

	layout.type =
		function >= WEFT_BINARY_EQUAL && function <= WEFT_BINARY_GREATER_EQUAL ? WEFT_TYPE_BOOL : WEFT_TYPE_F32;
	r = weft_backward_temporary(backward, &layout, out);
	return r ? r : binary(backward, function, a, b, out);
}

static int unary_into_new(struct weft_backward *backward, uint32_t function, float alpha, float beta,
			  const struct weft_operand *x, const struct weft_layout *like, struct weft_operand *out)
{
	int r = weft_backward_temporary(backward, like, out);

	return r ? r : unary(backward, function, alpha, beta, x, out);
}

/* condition ? a : b */
static int select_into(struct weft_backward *backward, const struct weft_operand *condition,
		       const struct weft_operand *a, const struct weft_operand *b, const struct weft_operand *out)
{
	return weft_build_elementwise(weft_backward_graph(backward), weft_backward_name(backward), WEFT_OP_WHERE, NULL,
				      3, 4, (struct weft_operand[]){*condition, *a, *b, *out}, NULL);
}

/* The gradient of input @slot is f(a, b). */
static int give_binary(struct weft_backward *backward, const struct weft_operation *operation, unsigned int slot,
		       uint32_t function, const struct weft_operand *a, const struct weft_operand *b)
{
	struct weft_target target;
	int r;

	if (!weft_backward_wants(backward, operation, slot))
		return 0;
	r = weft_backward_target(backward, operation, slot, &target);
	if (!r)
		r = binary(backward, function, a, b, &target.operand);
	return r ? r : weft_backward_done(backward, &target);
}

static int give_unary(struct weft_backward *backward, const struct weft_operation *operation, unsigned int slot,
		      uint32_t function, float alpha, float beta, const struct weft_operand *x)
{
	struct weft_target target;
	int r;

	if (!weft_backward_wants(backward, operation, slot))
		return 0;
	r = weft_backward_target(backward, operation, slot, &target);
	if (!r)
		r = unary(backward, function, alpha, beta, x, &target.operand);
	return r ? r : weft_backward_done(backward, &target);
}

static int give_selected(struct weft_backward *backward, const struct weft_operation *operation, unsigned int slot,
			 const struct weft_operand *condition, const struct weft_operand *a,
			 const struct weft_operand *b)
{
	struct weft_target target;
	int r;

	if (!weft_backward_wants(backward, operation, slot))
		return 0;
	r = weft_backward_target(backward, operation, slot, &target);
	if (!r)
		r = select_into(backward, condition, a, b, &target.operand);
	return r ? r : weft_backward_done(backward, &target);
}

int weft_gradient_unary(struct weft_backward *backward, const struct weft_operation *operation)
{
	struct weft_graph *graph = weft_backward_graph(backward);
	bool result = from_result(operation->params.unary.function);
	struct weft_operand gradient;
	struct weft_target target;
	weft_id at;
	int r;

	gradient = weft_backward_of_output(backward, operation, 1, &r);
	if (r || gradient.id == WEFT_NO_ID)
		return r;
	r = weft_backward_target(backward, operation, 0, &target);
	if (!r)
		r = weft_build_elementwise(graph, weft_backward_name(backward), WEFT_OP_UNARY_BWD, &operation->params,
					   2, 3,
					   (struct weft_operand[]){weft_operand_in(graph, operation, result ? 1 : 0),
								   gradient, target.operand},
					   &at);
	if (!r) {
		weft_build_in_place(graph, at, 2, 0);
		weft_build_in_place(graph, at, 2, 1);
	}
	return r ? r : weft_backward_done(backward, &target);
}

static int gradient_div(struct weft_backward *backward, const struct weft_operation *operation,
			const struct weft_operand in[3], const struct weft_operand *gradient)
{
	struct weft_operand product, quotient;
	int r = give_binary(backward, operation, 0, WEFT_BINARY_DIV, gradient, &in[1]);

	if (r || !weft_backward_wants(backward, operation, 1))
		return r;
	/* -dy * y / b: with a fused ReLU y is zero where dy is. */
	r = binary_into_new(backward, WEFT_BINARY_MUL, gradient, &in[2], &gradient->layout, &product);
	if (!r)
		r = binary_into_new(backward, WEFT_BINARY_DIV, &product, &in[1], &gradient->layout, &quotient);
	return r ? r : give_unary(backward, operation, 1, WEFT_UNARY_NEG, 0, 0, &quotient);
}

static int gradient_pow(struct weft_backward *backward, const struct weft_operation *operation,
			const struct weft_operand in[3], const struct weft_operand *gradient)
{
	struct weft_operand lower, power, scaled, log, product;
	int r = 0;

	if (weft_backward_wants(backward, operation, 0)) {
		r = unary_into_new(backward, WEFT_UNARY_AFFINE, 1, -1, &in[1], &gradient->layout, &lower);
		if (!r)
			r = binary_into_new(backward, WEFT_BINARY_POW, &in[0], &lower, &gradient->layout, &power);
		if (!r)
			r = binary_into_new(backward, WEFT_BINARY_MUL, &power, &in[1], &gradient->layout, &scaled);
		if (!r)
			r = give_binary(backward, operation, 0, WEFT_BINARY_MUL, gradient, &scaled);
	}
	if (r || !weft_backward_wants(backward, operation, 1))
		return r;
	r = unary_into_new(backward, WEFT_UNARY_LOG, 0, 0, &in[0], &gradient->layout, &log);
	if (!r)
		r = binary_into_new(backward, WEFT_BINARY_MUL, gradient, &in[2], &gradient->layout, &product);
	return r ? r : give_binary(backward, operation, 1, WEFT_BINARY_MUL, &product, &log);
}

/* MAX, MIN and PRELU choose an operand by a comparison. */
static int gradient_choice(struct weft_backward *backward, const struct weft_operation *operation,
			   const struct weft_operand in[3], const struct weft_operand *gradient)
{
	uint32_t function = operation->params.binary.function;
	struct weft_operand zero, first, product;
	int r = weft_backward_zero(backward, &gradient->layout, &zero);

	if (!r)
		r = binary_into_new(backward,
				    function == WEFT_BINARY_MIN ? WEFT_BINARY_LESS_EQUAL : WEFT_BINARY_GREATER_EQUAL,
				    &in[0], function == WEFT_BINARY_PRELU ? &zero : &in[1], &gradient->layout, &first);
	if (r)
		return r;
	if (function != WEFT_BINARY_PRELU) {
		r = give_selected(backward, operation, 0, &first, gradient, &zero);
		return r ? r : give_selected(backward, operation, 1, &first, &zero, gradient);
	}
	if (weft_backward_wants(backward, operation, 0)) {
		r = binary_into_new(backward, WEFT_BINARY_MUL, gradient, &in[1], &gradient->layout, &product);
		if (!r)
			r = give_selected(backward, operation, 0, &first, gradient, &product);
	}
	if (r || !weft_backward_wants(backward, operation, 1))
		return r;
	r = binary_into_new(backward, WEFT_BINARY_MUL, gradient, &in[0], &gradient->layout, &product);
	return r ? r : give_selected(backward, operation, 1, &first, &zero, &product);
}

int weft_gradient_binary(struct weft_backward *backward, const struct weft_operation *operation)
{
	struct weft_graph *graph = weft_backward_graph(backward);
	struct weft_operand in[3], gradient;
	unsigned int i;
	int r;

	r = weft_gradient_before_epilogue(backward, operation, 2, operation->params.binary.activation, &gradient);
	if (r || gradient.id == WEFT_NO_ID)
		return r;
	for (i = 0; i < 3; i++)
		in[i] = weft_operand_in(graph, operation, i);
	switch (operation->params.binary.function) {
	case WEFT_BINARY_ADD:
		if (weft_backward_wants(backward, operation, 0))
			r = weft_backward_contribute(backward, operation, 0, &gradient);
		if (!r && weft_backward_wants(backward, operation, 1))
			r = weft_backward_contribute(backward, operation, 1, &gradient);
		return r;
	case WEFT_BINARY_SUB:
		if (weft_backward_wants(backward, operation, 0))
			r = weft_backward_contribute(backward, operation, 0, &gradient);
		return r ? r : give_unary(backward, operation, 1, WEFT_UNARY_NEG, 0, 0, &gradient);
	case WEFT_BINARY_MUL:
		r = give_binary(backward, operation, 0, WEFT_BINARY_MUL, &gradient, &in[1]);
		return r ? r : give_binary(backward, operation, 1, WEFT_BINARY_MUL, &gradient, &in[0]);
	case WEFT_BINARY_DIV:
		return gradient_div(backward, operation, in, &gradient);
	case WEFT_BINARY_POW:
		return gradient_pow(backward, operation, in, &gradient);
	case WEFT_BINARY_MAX:
	case WEFT_BINARY_MIN:
	case WEFT_BINARY_PRELU:
		return gradient_choice(backward, operation, in, &gradient);
	}
	return weft_fail(EOPNOTSUPP, "%s: this function of two tensors has no gradient", operation->name);
}

int weft_gradient_where(struct weft_backward *backward, const struct weft_operation *operation)
{
	struct weft_operand condition = weft_operand_in(weft_backward_graph(backward), operation, 0);
	struct weft_operand gradient, zero;
	int r;

	gradient = weft_backward_of_output(backward, operation, 3, &r);
	if (r || gradient.id == WEFT_NO_ID)
		return r;
	r = weft_backward_zero(backward, &gradient.layout, &zero);
	if (!r)
		r = give_selected(backward, operation, 1, &condition, &gradient, &zero);
	return r ? r : give_selected(backward, operation, 2, &condition, &zero, &gradient);
}

/* Gradients of reductions other than sums, from x, y and dy, all with the dims of x. */
static int gradient_reduce(struct weft_backward *backward, const struct weft_operation *operation,
			   const struct weft_operand *x, const struct weft_operand *y,
			   const struct weft_operand *gradient)
{
	struct weft_operand a, b, zero;
	int r;

	switch (operation->params.reduce.function) {
	case WEFT_REDUCE_MAX:
	case WEFT_REDUCE_MIN:
		r = weft_backward_zero(backward, &x->layout, &zero);
		if (!r)
			r = binary_into_new(backward, WEFT_BINARY_EQUAL, x, y, &x->layout, &a);
		return r ? r : give_selected(backward, operation, 0, &a, gradient, &zero);
	case WEFT_REDUCE_L1:
		r = unary_into_new(backward, WEFT_UNARY_SIGN, 0, 0, x, &x->layout, &a);
		return r ? r : give_binary(backward, operation, 0, WEFT_BINARY_MUL, &a, gradient);
	case WEFT_REDUCE_L2:
		r = binary_into_new(backward, WEFT_BINARY_DIV, x, y, &x->layout, &a);
		return r ? r : give_binary(backward, operation, 0, WEFT_BINARY_MUL, &a, gradient);
	case WEFT_REDUCE_PROD:
		r = binary_into_new(backward, WEFT_BINARY_DIV, y, x, &x->layout, &a);
		return r ? r : give_binary(backward, operation, 0, WEFT_BINARY_MUL, &a, gradient);
	case WEFT_REDUCE_LOG_SUM:
		r = unary_into_new(backward, WEFT_UNARY_EXP, 0, 0, y, &x->layout, &a);
		return r ? r : give_binary(backward, operation, 0, WEFT_BINARY_DIV, gradient, &a);
	case WEFT_REDUCE_LOG_SUM_EXP:
		r = binary_into_new(backward, WEFT_BINARY_SUB, x, y, &x->layout, &a);
		if (!r)
			r = unary_into_new(backward, WEFT_UNARY_EXP, 0, 0, &a, &x->layout, &b);
		return r ? r : give_binary(backward, operation, 0, WEFT_BINARY_MUL, &b, gradient);
	case WEFT_REDUCE_SUM_SQUARE:
		r = unary_into_new(backward, WEFT_UNARY_AFFINE, 2 * operation->params.reduce.scale, 0, x, &x->layout,
				   &a);
		return r ? r : give_binary(backward, operation, 0, WEFT_BINARY_MUL, &a, gradient);
	}
	return weft_fail(EOPNOTSUPP, "%s: this reduction has no gradient", operation->name);
}

int weft_gradient_reduce(struct weft_backward *backward, const struct weft_operation *operation)
{
	struct weft_graph *graph = weft_backward_graph(backward);
	struct weft_operand x = weft_operand_in(graph, operation, 0), y = weft_operand_in(graph, operation, 1);
	float scale = operation->params.reduce.scale;
	struct weft_operand gradient;
	struct weft_layout shown;
	int r;

	gradient = weft_backward_of_output(backward, operation, 1, &r);
	if (r || gradient.id == WEFT_NO_ID)
		return r;
	if (operation->params.reduce.function == WEFT_REDUCE_MEAN)
		scale *= (float)weft_layout_elements(&y.layout) / (float)weft_layout_elements(&x.layout);
	shown = gradient.layout;
	weft_layout_broadcast(&shown, x.layout.rank, x.layout.dims, &gradient.layout);
	shown = y.layout;
	weft_layout_broadcast(&shown, x.layout.rank, x.layout.dims, &y.layout);
	if (operation->params.reduce.function > WEFT_REDUCE_MEAN) {
		if (scale != 1 && operation->params.reduce.function != WEFT_REDUCE_SUM_SQUARE)
			return weft_fail(EOPNOTSUPP, "%s: a scaled reduction of this kind has no gradient",
					 operation->name);
		return gradient_reduce(backward, operation, &x, &y, &gradient);
	}
	if (scale == 1)
		return weft_backward_contribute(backward, operation, 0, &gradient);
	return give_unary(backward, operation, 0, WEFT_UNARY_AFFINE, scale, 0, &gradient);
}

int weft_gradient_copy(struct weft_backward *backward, const struct weft_operation *operation)
{
	struct weft_operand gradient;
	int r;

	gradient = weft_backward_of_output(backward, operation, 1, &r);
	if (r || gradient.id == WEFT_NO_ID)
		return r;
	return weft_backward_contribute(backward, operation, 0, &gradient);
}

/* The rows of the table that were read get what was made of them; all others zero. */
int weft_gradient_gather(struct weft_backward *backward, const struct weft_operation *operation)
{
	struct weft_graph *graph = weft_backward_graph(backward);
	union weft_params zero = {0};
	struct weft_operand gradient;
	struct weft_target target;
	int r;

	gradient = weft_backward_of_output(backward, operation, 2, &r);
	if (r || gradient.id == WEFT_NO_ID)
		return r;
	r = weft_backward_target(backward, operation, 0, &target);
	if (!r)
		r = weft_build_elementwise(graph, weft_backward_name(backward), WEFT_OP_FILL, &zero, 0, 1,
					   &target.operand, NULL);
	if (!r)
		r = weft_build(graph, weft_backward_name(backward), WEFT_OP_SCATTER_ADD, NULL, 2, 3,
			       (struct weft_operand[]){gradient, weft_operand_in(graph, operation, 1), target.operand},
			       NULL);
	return r ? r : weft_backward_done(backward, &target);
}

/* What replaced rows of the table takes their gradient; what was added shares it. */
int weft_gradient_scatter(struct weft_backward *backward, const struct weft_operation *operation)
{
	struct weft_graph *graph = weft_backward_graph(backward);
	uint32_t function = operation->params.scatter.function;
	struct weft_operand gradient, zero, indices = weft_operand_in(graph, operation, 1);
	struct weft_operand x = weft_operand_in(graph, operation, 2);
	struct weft_target target;
	int r;

	gradient = weft_backward_of_output(backward, operation, 3, &r);
	if (r || gradient.id == WEFT_NO_ID)
		return r;
	if (function != WEFT_SCATTER_REPLACE && function != WEFT_SCATTER_ADD)
		return weft_fail(EOPNOTSUPP, "%s: a scatter that multiplies or compares has no gradient",
				 operation->name);
	if (weft_backward_wants(backward, operation, 2)) {
		r = weft_backward_target(backward, operation, 2, &target);
		if (!r)
			r = weft_build(graph, weft_backward_name(backward), WEFT_OP_GATHER, NULL, 2, 3,
				       (struct weft_operand[]){gradient, indices, target.operand}, NULL);
		if (!r)
			r = weft_backward_done(backward, &target);
	}
	if (r || !weft_backward_wants(backward, operation, 0))
		return r;
	if (function == WEFT_SCATTER_ADD)
		return weft_backward_contribute(backward, operation, 0, &gradient);
	r = weft_backward_zero(backward, &x.layout, &zero);
	if (!r)
		r = weft_backward_target(backward, operation, 0, &target);
	if (!r)
		r = weft_build(graph, weft_backward_name(backward), WEFT_OP_SCATTER, &operation->params, 3, 4,
			       (struct weft_operand[]){gradient, indices, zero, target.operand}, NULL);
	return r ? r : weft_backward_done(backward, &target);
}

int weft_gradient_dropout(struct weft_backward *backward, const struct weft_operation *operation)
{
	struct weft_graph *graph = weft_backward_graph(backward);
	struct weft_operand gradient;
	struct weft_target target;
	weft_id at;
	int r;

	gradient = weft_backward_of_output(backward, operation, 2, &r);
	if (r || gradient.id == WEFT_NO_ID)
		return r;
	r = weft_backward_target(backward, operation, 0, &target);
	if (!r)
		r = weft_build(graph, weft_backward_name(backward), WEFT_OP_DROPOUT, &operation->params, 2, 4,
			       (struct weft_operand[]){gradient, weft_operand_in(graph, operation, 1), target.operand,
						       WEFT_ABSENT},
			       &at);
	if (!r)
		weft_build_in_place(graph, at, 2, 0);
	return r ? r : weft_backward_done(backward, &target);
}
