// SPDX-License-Identifier: MIT
/*
 * Activations that exporters write out become one operation: its gradient needs
 * its input only, where the written-out form keeps every value on the way.
 *
 *	GELU	x / sqrt(2), erf, + 1, times x, times 0.5, in either order
 *		x ^ 3 * 0.044715 + x, times sqrt(2 / pi), tanh, + 1, times 0.5 x
 *	SiLU	x * sigmoid(x)
 *	Hard swish	x * clip(x + 3, 0, 6) / 6, x * hard sigmoid with slope 1/6
 */
#include <math.h>
#include <string.h>

#include "compile/passes.h"

/* A product of three factors in any grouping: two nodes Mul, or one Mul with two others before it. */
struct product {
	const char *factor[3];
	size_t inner; /* the node that is part of it besides the last */
};

/* All ways to read @last as (a * b) * c. */
static bool product_of_three(const struct weft_nodes *nodes, size_t last, unsigned int way, struct product *product)
{
	product->inner = weft_node_before(nodes, last, way, "Mul", 1);
	if (!weft_node_is(nodes, last, "Mul") || product->inner == WEFT_NO_NODE)
		return false;
	product->factor[0] = weft_node_input(nodes, product->inner, 0);
	product->factor[1] = weft_node_input(nodes, product->inner, 1);
	product->factor[2] = weft_node_input(nodes, last, 1 - way);
	return true;
}

/* 1 + @op(...): the nodes Add and @op, with @op's input. */
static bool one_plus(const struct weft_nodes *nodes, const char *sum, const char *op, size_t part[2],
		     const char **input)
{
	unsigned int other;

	part[0] = weft_node_of(nodes, sum);
	if (!weft_node_is(nodes, part[0], "Add") || !weft_node_with_number(nodes, part[0], 1, &other))
		return false;
	part[1] = weft_node_before(nodes, part[0], other, op, 1);
	if (part[1] == WEFT_NO_NODE)
		return false;
	*input = weft_node_input(nodes, part[1], 0);
	return true;
}

/* Whether @name is @x / sqrt(2), by a node of its own. */
static bool over_root_two(const struct weft_nodes *nodes, const char *name, const char *x, size_t *part)
{
	unsigned int other;
	double number;

	*part = weft_node_of(nodes, name);
	if (weft_node_is(nodes, *part, "Div"))
		return !strcmp(weft_node_input(nodes, *part, 0), x) &&
		       weft_node_number(nodes, weft_node_input(nodes, *part, 1), &number) &&
		       weft_node_near(number, M_SQRT2);
	return weft_node_is(nodes, *part, "Mul") && weft_node_with_number(nodes, *part, M_SQRT1_2, &other) &&
	       !strcmp(weft_node_input(nodes, *part, other), x);
}

/* Whether @name is sqrt(2 / pi) * (x + 0.044715 * x^3). */
static bool cubic(const struct weft_nodes *nodes, const char *name, const char *x, size_t part[4])
{
	unsigned int other, i;
	double number;

	part[0] = weft_node_of(nodes, name);
	if (!weft_node_is(nodes, part[0], "Mul") || !weft_node_with_number(nodes, part[0], sqrt(2 / M_PI), &other))
		return false;
	part[1] = weft_node_before(nodes, part[0], other, "Add", 1);
	if (part[1] == WEFT_NO_NODE)
		return false;
	for (i = 0; i < 2; i++) {
		if (strcmp(weft_node_input(nodes, part[1], i), x))
			continue;
		part[2] = weft_node_before(nodes, part[1], 1 - i, "Mul", 1);
		if (part[2] == WEFT_NO_NODE || !weft_node_with_number(nodes, part[2], 0.044715, &other))
			continue;
		part[3] = weft_node_before(nodes, part[2], other, "Pow", 1);
		if (part[3] != WEFT_NO_NODE && !strcmp(weft_node_input(nodes, part[3], 0), x) &&
		    weft_node_number(nodes, weft_node_input(nodes, part[3], 1), &number) && number == 3)
			return true;
	}
	return false;
}

static int replace(struct weft_nodes *nodes, size_t last, const char *op, const char *x, unsigned int parts,
		   const size_t part[], Onnx__NodeProto **made)
{
	return weft_nodes_replace(nodes, last, op, 1, &x, parts, part, made);
}

/* Factors 0.5, x and 1 + f(x) in any order; *done says whether they were there. */
static int gelu(struct weft_nodes *nodes, size_t last, const struct product *product, bool *done)
{
	size_t part[8] = {product->inner};
	Onnx__NodeProto *made;
	double number;

	for (unsigned int order = 0; order < 9; order++) {
		unsigned int half = order / 3, sum = order % 3;
		const char *x, *inner;

		if (half == sum || !weft_node_number(nodes, product->factor[half], &number) || number != 0.5)
			continue;
		x = product->factor[3 - half - sum];
		if (one_plus(nodes, product->factor[sum], "Erf", part + 1, &inner) &&
		    over_root_two(nodes, inner, x, part + 3)) {
			*done = true;
			return replace(nodes, last, "Gelu", x, 4, part, &made);
		}
		if (one_plus(nodes, product->factor[sum], "Tanh", part + 1, &inner) &&
		    cubic(nodes, inner, x, part + 3)) {
			int r = replace(nodes, last, "Gelu", x, 7, part, &made);

			*done = true;
			return r ? r : weft_node_set_text(made, "approximate", "tanh");
		}
	}
	return 0;
}

/* x * sigmoid(x), x * hardsigmoid(x). */
static int gated(struct weft_nodes *nodes, size_t last, bool *done)
{
	Onnx__NodeProto *made;

	if (!weft_node_is(nodes, last, "Mul"))
		return 0;
	for (unsigned int i = 0; i < 2; i++) {
		const char *x = weft_node_input(nodes, last, i);
		size_t gate = weft_node_before(nodes, last, 1 - i, "Sigmoid", 1), slope = WEFT_NO_NODE;
		const Onnx__NodeProto *node;
		bool sixth = false;

		if (gate == WEFT_NO_NODE)
			slope = weft_node_before(nodes, last, 1 - i, "HardSigmoid", 1);
		if (slope != WEFT_NO_NODE) {
			node = nodes->node[slope];
			for (size_t a = 0; a < node->n_attribute; a++)
				sixth |= !strcmp(node->attribute[a]->name, "alpha") &&
					 weft_node_near((double)node->attribute[a]->f, 1.0 / 6);
			for (size_t a = 0; a < node->n_attribute; a++)
				sixth &= strcmp(node->attribute[a]->name, "beta") || node->attribute[a]->f == 0.5f;
			gate = sixth ? slope : WEFT_NO_NODE;
		}
		if (gate == WEFT_NO_NODE || strcmp(weft_node_input(nodes, gate, 0), x))
			continue;
		*done = true;
		return replace(nodes, last, sixth ? "HardSwish" : "Swish", x, 1, &gate, &made);
	}
	return 0;
}

/* (x * clip(x + 3, 0, 6)) / 6. */
static int hard_swish(struct weft_nodes *nodes, size_t last, bool *done)
{
	Onnx__NodeProto *made;
	unsigned int other;
	size_t part[3];
	double number;

	if (!weft_node_is(nodes, last, "Div") || !weft_node_number(nodes, weft_node_input(nodes, last, 1), &number) ||
	    number != 6)
		return 0;
	part[0] = weft_node_before(nodes, last, 0, "Mul", 1);
	for (unsigned int i = 0; part[0] != WEFT_NO_NODE && i < 2; i++) {
		const char *x = weft_node_input(nodes, part[0], i);
		double low, high;

		part[1] = weft_node_before(nodes, part[0], 1 - i, "Clip", 1);
		if (part[1] == WEFT_NO_NODE || nodes->opset < 11 ||
		    !weft_node_number(nodes, weft_node_input(nodes, part[1], 1), &low) || low != 0 ||
		    !weft_node_number(nodes, weft_node_input(nodes, part[1], 2), &high) || high != 6)
			continue;
		part[2] = weft_node_before(nodes, part[1], 0, "Add", 1);
		if (part[2] == WEFT_NO_NODE || !weft_node_with_number(nodes, part[2], 3, &other) ||
		    strcmp(weft_node_input(nodes, part[2], other), x))
			continue;
		*done = true;
		return replace(nodes, last, "HardSwish", x, 3, part, &made);
	}
	return 0;
}

static int run(struct weft_nodes *nodes)
{
	for (size_t last = 0; last < nodes->count; last++) {
		struct product product;
		bool done = false;
		int r = nodes->node[last] ? hard_swish(nodes, last, &done) : 0;

		for (unsigned int way = 0; way < 2 && !r && !done; way++)
			if (nodes->node[last] && product_of_three(nodes, last, way, &product))
				r = gelu(nodes, last, &product, &done);
		if (!r && !done && nodes->node[last])
			r = gated(nodes, last, &done);
		if (r)
			return r;
	}
	return 0;
}

const struct weft_pass weft_pass_activations = {
	.info = {"activations", "GELU, SiLU and hard swish that are written out become one operation"}, .nodes = run};
