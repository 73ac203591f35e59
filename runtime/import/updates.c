// SPDX-License-Identifier: MIT
/* The optimizers of ai.onnx.preview.training: Adagrad, Adam and Momentum as element-wise arithmetic. */
#include <errno.h>
#include <string.h>

#include "import/expression.h"
#include "import/operators.h"
#include "weft/error.h"

#define ADD WEFT_BINARY_ADD
#define SUB WEFT_BINARY_SUB
#define MUL WEFT_BINARY_MUL
#define DIV WEFT_BINARY_DIV

struct update {
	struct weft_expression e;
	unsigned int tensors;		 /* that are updated at once */
	struct weft_operand rate, count; /* R and T, scalars of f32 */
};

static struct weft_operand binary(struct update *u, uint32_t function, struct weft_operand a, struct weft_operand b)
{
	return weft_expression_binary(&u->e, function, a, b);
}

static struct weft_operand scaled(struct update *u, struct weft_operand x, float factor)
{
	return weft_expression_affine(&u->e, x, factor, 0);
}

/* a + factor * b */
static struct weft_operand plus(struct update *u, struct weft_operand a, struct weft_operand b, float factor)
{
	return binary(u, ADD, a, scaled(u, b, factor));
}

static struct weft_operand scalar(struct update *u, unsigned int index)
{
	struct weft_operand x = weft_expression_cast(&u->e, WEFT_TYPE_F32, weft_expression_input(&u->e, index));

	if (!u->e.error && weft_layout_elements(&x.layout) != 1)
		u->e.error = weft_node_fail(u->e.lower, EINVAL, "input %u is no single number", index);
	return weft_expression_reshape(&u->e, x, 0, NULL);
}

/* Inputs are R, T and @kinds groups of as many tensors. */
static int begin(struct weft_lower *lower, unsigned int kinds, struct update *u)
{
	size_t rest = lower->node->n_input - 2;

	*u = (struct update){.e = {.lower = lower}};
	if (lower->node->n_input < 2 || !rest || rest % kinds || rest > 4096)
		return weft_node_fail(lower, EINVAL, "%zu inputs; two and a multiple of %u are wanted",
				      lower->node->n_input, kinds);
	u->tensors = (unsigned int)rest / kinds;
	u->rate = scalar(u, 0);
	u->count = scalar(u, 1);
	return u->e.error;
}

/* Tensor @i of group @kind. */
static struct weft_operand member(struct update *u, unsigned int kind, unsigned int i)
{
	return weft_expression_input(&u->e, 2 + kind * u->tensors + i);
}

/* G with the gradient of the quadratic penalty. */
static struct weft_operand regularized(struct update *u, struct weft_operand x, struct weft_operand g)
{
	return plus(u, g, x, weft_attribute_float(u->e.lower, "norm_coefficient", 0));
}

int weft_lower_adagrad(struct weft_lower *lower)
{
	float epsilon = weft_attribute_float(lower, "epsilon", 1e-6f),
	      decay = weft_attribute_float(lower, "decay_factor", 0);
	struct weft_operand rate, x, g, h, divisor;
	struct update u;
	unsigned int i;
	int r = begin(lower, 3, &u);

	if (r)
		return r;
	rate = binary(&u, DIV, u.rate, weft_expression_affine(&u.e, u.count, decay, 1));
	for (i = 0; i < u.tensors; i++) {
		x = member(&u, 0, i);
		g = regularized(&u, x, member(&u, 1, i));
		h = binary(&u, ADD, member(&u, 2, i), binary(&u, MUL, g, g));
		divisor = weft_expression_affine(&u.e, weft_expression_unary(&u.e, WEFT_UNARY_SQRT, h), 1, epsilon);
		x = binary(&u, SUB, x, binary(&u, DIV, binary(&u, MUL, g, rate), divisor));
		weft_expression_output(&u.e, i, x);
		weft_expression_output(&u.e, u.tensors + i, h);
	}
	return u.e.error;
}

/* The rate with the bias of the first steps taken out; T is 0 before any. */
static struct weft_operand adam_rate(struct update *u, float alpha, float beta)
{
	struct weft_operand a, b, count = u->count;

	a = binary(u, WEFT_BINARY_POW, weft_expression_number(&u->e, WEFT_TYPE_F32, (double)alpha), count);
	b = binary(u, WEFT_BINARY_POW, weft_expression_number(&u->e, WEFT_TYPE_F32, (double)beta), count);
	a = weft_expression_affine(&u->e, a, -1, 1);
	b = weft_expression_unary(&u->e, WEFT_UNARY_SQRT, weft_expression_affine(&u->e, b, -1, 1));
	return weft_expression_where(&u->e, weft_expression_with(&u->e, WEFT_BINARY_GREATER, count, 0),
				     binary(u, DIV, binary(u, MUL, u->rate, b), a), u->rate);
}

int weft_lower_adam(struct weft_lower *lower)
{
	float alpha = weft_attribute_float(lower, "alpha", 0.9f), beta = weft_attribute_float(lower, "beta", 0.999f);
	float epsilon = weft_attribute_float(lower, "epsilon", 1e-6f);
	float post = 1 - weft_attribute_float(lower, "norm_coefficient_post", 0);
	struct weft_operand rate, x, g, v, h, divisor;
	struct update u;
	unsigned int i;
	int r = begin(lower, 4, &u);

	if (r)
		return r;
	rate = adam_rate(&u, alpha, beta);
	for (i = 0; i < u.tensors; i++) {
		x = member(&u, 0, i);
		g = regularized(&u, x, member(&u, 1, i));
		v = plus(&u, scaled(&u, member(&u, 2, i), alpha), g, 1 - alpha);
		h = plus(&u, scaled(&u, member(&u, 3, i), beta), binary(&u, MUL, g, g), 1 - beta);
		divisor = weft_expression_affine(&u.e, weft_expression_unary(&u.e, WEFT_UNARY_SQRT, h), 1, epsilon);
		x = binary(&u, SUB, x, binary(&u, DIV, binary(&u, MUL, v, rate), divisor));
		weft_expression_output(&u.e, i, post == 1 ? x : scaled(&u, x, post));
		weft_expression_output(&u.e, u.tensors + i, v);
		weft_expression_output(&u.e, 2 * u.tensors + i, h);
	}
	return u.e.error;
}

int weft_lower_momentum(struct weft_lower *lower)
{
	bool nesterov = weft_attribute_is(lower, "mode", "nesterov", false);
	float alpha = weft_attribute_float(lower, "alpha", 0), beta = weft_attribute_float(lower, "beta", 0);
	struct weft_operand adjusted, x, g, v;
	struct update u;
	unsigned int i;
	int r = begin(lower, 3, &u);

	if (r)
		return r;
	/* The first step takes the whole gradient. */
	adjusted = weft_expression_where(&u.e, weft_expression_with(&u.e, WEFT_BINARY_GREATER, u.count, 0),
					 weft_expression_number(&u.e, WEFT_TYPE_F32, (double)beta),
					 weft_expression_number(&u.e, WEFT_TYPE_F32, 1));
	for (i = 0; i < u.tensors; i++) {
		x = member(&u, 0, i);
		g = regularized(&u, x, member(&u, 1, i));
		v = binary(&u, ADD, scaled(&u, member(&u, 2, i), alpha), binary(&u, MUL, g, adjusted));
		x = binary(&u, SUB, x, binary(&u, MUL, nesterov ? plus(&u, g, v, alpha) : v, u.rate));
		weft_expression_output(&u.e, i, x);
		weft_expression_output(&u.e, u.tensors + i, v);
	}
	return u.e.error;
}
