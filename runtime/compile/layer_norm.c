// SPDX-License-Identifier: MIT
/*
 * A layer norm that is written out becomes one operator:
 *
 *	d = x - mean(x);  d / sqrt(mean(d ^ 2) + epsilon) * scale + bias
 *
 * with the means along the last dimension.  Scale and bias must be weights of one
 * dimension; the square may be a product, and d be computed twice.
 */
#include <string.h>

#include "compile/passes.h"

/* Whether node @at is a mean along the last dimension that keeps it. */
static bool is_last_mean(const struct weft_nodes *nodes, size_t at)
{
	const int64_t *axes;
	size_t count;

	if (!weft_node_is(nodes, at, "ReduceMean") || weft_node_int(nodes, at, "keepdims", 1) != 1)
		return false;
	axes = weft_node_ints(nodes, at, "axes", &count);
	return count == 1 && axes[0] == -1;
}

/* Whether node @at is x - mean(x); *mean is the other node. */
static bool is_deviation(const struct weft_nodes *nodes, size_t at, size_t *mean)
{
	if (!weft_node_is(nodes, at, "Sub"))
		return false;
	*mean = weft_node_of(nodes, weft_node_input(nodes, at, 1));
	return *mean != WEFT_NO_NODE && is_last_mean(nodes, *mean) &&
	       !strcmp(weft_node_input(nodes, *mean, 0), weft_node_input(nodes, at, 0));
}

/* Whether the weight is a vector that stays one: an initializer of one dimension. */
static bool is_vector(const struct weft_nodes *nodes, const char *name)
{
	for (size_t i = 0; i < nodes->graph->n_initializer; i++)
		if (!strcmp(nodes->graph->initializer[i]->name, name))
			return nodes->graph->initializer[i]->n_dims == 1;
	return false;
}

struct norm {
	size_t add, multiply, divide, root, shifted, variance, square, deviation, mean;
	const char *scale, *bias;
	double epsilon;
};

/* The parts of sqrt(mean(d ^ 2) + epsilon), from the node Sqrt on. */
static bool match_root(const struct weft_nodes *nodes, struct norm *norm, const char *deviation)
{
	double exponent;

	norm->shifted = weft_node_before(nodes, norm->root, 0, "Add", 1);
	if (norm->shifted == WEFT_NO_NODE)
		return false;
	for (unsigned int i = 0; i < 2; i++) {
		norm->variance = weft_node_before(nodes, norm->shifted, i, "ReduceMean", 1);
		if (norm->variance != WEFT_NO_NODE &&
		    weft_node_number(nodes, weft_node_input(nodes, norm->shifted, 1 - i), &norm->epsilon))
			break;
		norm->variance = WEFT_NO_NODE;
	}
	if (norm->variance == WEFT_NO_NODE || !is_last_mean(nodes, norm->variance))
		return false;
	norm->square = weft_node_before(nodes, norm->variance, 0, "Pow", 1);
	if (norm->square != WEFT_NO_NODE)
		return !strcmp(weft_node_input(nodes, norm->square, 0), deviation) &&
		       weft_node_number(nodes, weft_node_input(nodes, norm->square, 1), &exponent) && exponent == 2;
	norm->square = weft_node_before(nodes, norm->variance, 0, "Mul", 1);
	return norm->square != WEFT_NO_NODE && !strcmp(weft_node_input(nodes, norm->square, 0), deviation) &&
	       !strcmp(weft_node_input(nodes, norm->square, 1), deviation);
}

static bool match(const struct weft_nodes *nodes, size_t last, struct norm *norm)
{
	const char *deviation;
	unsigned int i, j;

	norm->add = last;
	if (!weft_node_is(nodes, last, "Add"))
		return false;
	for (i = 0; i < 2; i++) {
		norm->multiply = weft_node_before(nodes, last, i, "Mul", 1);
		norm->bias = weft_node_input(nodes, last, 1 - i);
		if (norm->multiply == WEFT_NO_NODE || !is_vector(nodes, norm->bias))
			continue;
		for (j = 0; j < 2; j++) {
			norm->divide = weft_node_before(nodes, norm->multiply, j, "Div", 1);
			norm->scale = weft_node_input(nodes, norm->multiply, 1 - j);
			if (norm->divide == WEFT_NO_NODE || !is_vector(nodes, norm->scale))
				continue;
			deviation = weft_node_input(nodes, norm->divide, 0);
			norm->root = weft_node_before(nodes, norm->divide, 1, "Sqrt", 1);
			norm->deviation = weft_node_of(nodes, deviation);
			if (norm->root != WEFT_NO_NODE && norm->deviation != WEFT_NO_NODE &&
			    is_deviation(nodes, norm->deviation, &norm->mean) && match_root(nodes, norm, deviation))
				return true;
		}
	}
	return false;
}

static int run(struct weft_nodes *nodes)
{
	for (size_t last = 0; last < nodes->count; last++) {
		Onnx__NodeProto *made;
		struct norm norm;
		int r;

		if (!nodes->node[last] || !match(nodes, last, &norm))
			continue;
		/* The deviation and the mean go where nothing else reads them. */
		const char *const input[] = {weft_node_input(nodes, norm.deviation, 0), norm.scale, norm.bias};
		const size_t part[] = {norm.multiply, norm.divide, norm.root, norm.shifted, norm.variance, norm.square};

		r = weft_nodes_replace(nodes, last, "LayerNormalization", 3, input, 6, part, &made);
		if (!r) {
			weft_nodes_drop_unread(nodes, norm.deviation);
			weft_nodes_drop_unread(nodes, norm.mean);
			r = weft_node_set_int(made, "axis", -1);
		}
		if (!r)
			r = weft_node_set_float(made, "epsilon", (float)norm.epsilon);
		if (r)
			return r;
	}
	return 0;
}

const struct weft_pass weft_pass_layer_norm = {
	.info = {"layer-norm", "a layer norm that is written out becomes one operation"}, .nodes = run};
