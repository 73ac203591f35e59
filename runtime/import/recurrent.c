// SPDX-License-Identifier: MIT
/*
 * LSTM and GRU, unrolled over time.  The products with the input are one matrix
 * product for all steps, which enters each step's product as its bias.
 */
#include <errno.h>
#include <string.h>

#include "graph/layout.h"
#include "import/operators.h"
#include "weft/error.h"

/* Steps are unrolled: more than these would make a graph of millions of operations. */
#define MOST_STEPS 4096

struct recurrent {
	uint32_t steps, batch, inputs, hidden, gates, directions;
	struct weft_operand x;	     /* [steps, batch, inputs], row-major */
	struct weft_operand w, r, b; /* of one direction: [gates * hidden, ...], bias [2 * gates * hidden] or absent */
	struct weft_operand from_input; /* [steps * batch, gates * hidden] */
	struct weft_operand y;		/* [steps, directions, batch, hidden] or absent */
};

/* @rows x @columns elements of @whole from element @first on, @pitch apart. */
static int part(struct weft_lower *lower, const struct weft_operand *whole, uint64_t first, uint32_t rows,
		uint32_t columns, uint32_t pitch, struct weft_operand *result)
{
	struct weft_layout layout = {
		.type = WEFT_TYPE_F32, .rank = 2, .dims = {rows, columns}, .strides = {(int32_t)pitch, 1}};

	result->layout = layout;
	return weft_build_view(lower->graph, lower->node_name, whole->id, first * sizeof(float), &layout, &result->id);
}

static int vector_part(struct weft_lower *lower, const struct weft_operand *whole, uint64_t first, uint32_t elements,
		       struct weft_operand *result)
{
	struct weft_layout layout = {.type = WEFT_TYPE_F32, .rank = 1, .dims = {elements}, .strides = {1}};

	result->layout = layout;
	return weft_build_view(lower->graph, lower->node_name, whole->id, first * sizeof(float), &layout, &result->id);
}

/* out = a b' + bias, a new value. */
static int product(struct weft_lower *lower, const struct weft_operand *a, const struct weft_operand *b,
		   const struct weft_operand *bias, struct weft_operand *out)
{
	struct weft_layout layout = {.type = WEFT_TYPE_F32, .rank = 2, .dims = {a->layout.dims[0], b->layout.dims[0]}};
	union weft_params params = {.matmul = {.scale = 1}};
	struct weft_operand transposed = *b;
	int r;

	weft_layout_dense(&layout);
	transposed.layout = weft_layout_permuted(&b->layout, (const uint8_t[]){1, 0});
	r = weft_temporary(lower, &layout, out);
	return r ? r
		 : weft_build(lower->graph, lower->node_name, WEFT_OP_MATMUL, &params, 3, 4,
			      (struct weft_operand[]){*a, transposed, *bias, *out}, NULL);
}

static int function(struct weft_lower *lower, uint32_t which, const struct weft_operand *x, struct weft_operand *y)
{
	union weft_params params = {.unary = {.function = which}};

	return weft_lower_unary(lower, &params, x, false, y);
}

/* Bytes and dims are checked here; every part taken later lies inside. */
static int read_inputs(struct weft_lower *lower, struct recurrent *net, uint32_t gates, struct weft_operand *w,
		       struct weft_operand *r, struct weft_operand *b)
{
	bool both = weft_attribute_is(lower, "direction", "bidirectional", false);
	int result = weft_input_dense(lower, 0, &net->x);

	*b = WEFT_ABSENT;
	if (!result)
		result = weft_input_dense(lower, 1, w);
	if (!result)
		result = weft_input_dense(lower, 2, r);
	if (!result && weft_has_input(lower, 3))
		result = weft_input_dense(lower, 3, b);
	if (result)
		return result;
	if (net->x.layout.rank != 3 || w->layout.rank != 3 || r->layout.rank != 3)
		return weft_node_fail(lower, EINVAL, "X, W and R must have rank 3");
	net->steps = net->x.layout.dims[0];
	net->batch = net->x.layout.dims[1];
	net->inputs = net->x.layout.dims[2];
	net->hidden = r->layout.dims[2];
	net->gates = gates;
	net->directions = both ? 2 : 1;
	if (w->layout.dims[0] != net->directions || r->layout.dims[0] != net->directions ||
	    (uint64_t)w->layout.dims[1] != (uint64_t)gates * net->hidden || r->layout.dims[1] != w->layout.dims[1] ||
	    w->layout.dims[2] != net->inputs ||
	    (b->id != WEFT_NO_ID && (b->layout.rank != 2 || b->layout.dims[0] != net->directions ||
				     (uint64_t)b->layout.dims[1] != 2ull * w->layout.dims[1])))
		return weft_node_fail(lower, EINVAL, "the dimensions of X, W, R and B do not fit");
	if (net->steps > MOST_STEPS)
		return weft_node_fail(lower, EOPNOTSUPP, "%u steps, at most %u are unrolled", net->steps, MOST_STEPS);
	if (weft_has_input(lower, 4))
		return weft_node_fail(lower, EOPNOTSUPP, "sequences of different lengths are not supported");
	if (weft_has_input(lower, 7) || weft_attribute(lower, "clip") || weft_attribute(lower, "activations") ||
	    weft_attribute_int(lower, "layout", 0) || weft_attribute_int(lower, "input_forget", 0))
		return weft_node_fail(
			lower, EOPNOTSUPP,
			"peepholes, clip, other activations, batch-first layout and input_forget are not supported");
	return 0;
}

/* The start of state @input in @direction: [batch, hidden], zeros where the input is absent. */
static int initial(struct weft_lower *lower, const struct recurrent *net, unsigned int input, uint32_t direction,
		   struct weft_operand *state)
{
	struct weft_layout layout = {.type = WEFT_TYPE_F32, .rank = 2, .dims = {net->batch, net->hidden}};
	union weft_params zero = {0};
	struct weft_operand all;
	int r;

	weft_layout_dense(&layout);
	if (!weft_has_input(lower, input)) {
		r = weft_temporary(lower, &layout, state);
		return r ? r
			 : weft_build_elementwise(lower->graph, lower->node_name, WEFT_OP_FILL, &zero, 0, 1, state,
						  NULL);
	}
	r = weft_input_dense(lower, input, &all);
	if (!r && (all.layout.rank != 3 || all.layout.dims[0] != net->directions || all.layout.dims[1] != net->batch ||
		   all.layout.dims[2] != net->hidden))
		r = weft_node_fail(lower, EINVAL, "the initial state has other dimensions than the network");
	return r ? r
		 : part(lower, &all, (uint64_t)direction * net->batch * net->hidden, net->batch, net->hidden,
			net->hidden, state);
}

/* Weights of one direction and the products of all inputs with them. */
static int begin_direction(struct weft_lower *lower, struct recurrent *net, uint32_t direction,
			   const struct weft_operand *w, const struct weft_operand *r, const struct weft_operand *b,
			   bool recurrent_bias_too)
{
	uint32_t rows = net->gates * net->hidden;
	struct weft_operand input, bias = WEFT_ABSENT, input_bias, recurrent_bias;
	int result = part(lower, w, (uint64_t)direction * rows * net->inputs, rows, net->inputs, net->inputs, &net->w);

	if (!result)
		result = part(lower, r, (uint64_t)direction * rows * net->hidden, rows, net->hidden, net->hidden,
			      &net->r);
	net->b = WEFT_ABSENT;
	if (!result && b->id != WEFT_NO_ID) {
		result = vector_part(lower, b, (uint64_t)direction * 2 * rows, rows, &input_bias);
		if (!result)
			result = vector_part(lower, b, ((uint64_t)direction * 2 + 1) * rows, rows, &recurrent_bias);
		bias = input_bias;
		net->b = recurrent_bias;
		if (!result && recurrent_bias_too)
			result = weft_lower_binary(lower, WEFT_BINARY_ADD, &input_bias, &recurrent_bias, false, &bias);
	}
	if (!result)
		result = part(lower, &net->x, 0, net->steps * net->batch, net->inputs, net->inputs, &input);
	return result ? result : product(lower, &input, &net->w, &bias, &net->from_input);
}

static int input_of_step(struct weft_lower *lower, const struct recurrent *net, uint32_t step,
			 struct weft_operand *gates)
{
	uint32_t rows = net->gates * net->hidden;

	return part(lower, &net->from_input, (uint64_t)step * net->batch * rows, net->batch, rows, rows, gates);
}

static int lstm_step(struct weft_lower *lower, const struct recurrent *net, uint32_t step, struct weft_operand *h,
		     struct weft_operand *c)
{
	uint32_t hidden = net->hidden, batch = net->batch;
	struct weft_operand input, gates, open, fresh, in, out, forget, kept, added, squashed, next;
	int r = input_of_step(lower, net, step, &input);

	if (!r)
		r = product(lower, h, &net->r, &input, &gates);
	if (!r)
		r = part(lower, &gates, 0, batch, 3 * hidden, 4 * hidden, &in);
	if (!r)
		r = function(lower, WEFT_UNARY_SIGMOID, &in, &open);
	if (!r)
		r = part(lower, &gates, 3 * (uint64_t)hidden, batch, hidden, 4 * hidden, &in);
	if (!r)
		r = function(lower, WEFT_UNARY_TANH, &in, &fresh);
	if (!r)
		r = part(lower, &open, 0, batch, hidden, 3 * hidden, &in);
	if (!r)
		r = part(lower, &open, hidden, batch, hidden, 3 * hidden, &out);
	if (!r)
		r = part(lower, &open, 2 * (uint64_t)hidden, batch, hidden, 3 * hidden, &forget);
	if (!r)
		r = weft_lower_binary(lower, WEFT_BINARY_MUL, &forget, c, false, &kept);
	if (!r)
		r = weft_lower_binary(lower, WEFT_BINARY_MUL, &in, &fresh, false, &added);
	if (!r)
		r = weft_lower_binary(lower, WEFT_BINARY_ADD, &kept, &added, false, &next);
	*c = next;
	if (!r)
		r = function(lower, WEFT_UNARY_TANH, c, &squashed);
	if (!r)
		r = weft_lower_binary(lower, WEFT_BINARY_MUL, &out, &squashed, false, &next);
	*h = next;
	return r;
}

/* The candidate of a GRU: tanh(input + what the reset gate lets through). */
static int gru_candidate(struct weft_lower *lower, const struct recurrent *net, const struct weft_operand *input,
			 const struct weft_operand *product_h, const struct weft_operand *reset,
			 const struct weft_operand *h, bool linear_before_reset, struct weft_operand *fresh)
{
	uint32_t hidden = net->hidden, batch = net->batch;
	struct weft_operand x, through, weight, bias = WEFT_ABSENT, sum;
	int r = part(lower, input, 2 * (uint64_t)hidden, batch, hidden, 3 * hidden, &x);

	if (r)
		return r;
	if (linear_before_reset) {
		r = part(lower, product_h, 2 * (uint64_t)hidden, batch, hidden, 3 * hidden, &weight);
		if (!r)
			r = weft_lower_binary(lower, WEFT_BINARY_MUL, reset, &weight, false, &through);
	} else {
		r = weft_lower_binary(lower, WEFT_BINARY_MUL, reset, h, false, &sum);
		if (!r)
			r = part(lower, &net->r, 2 * (uint64_t)hidden * hidden, hidden, hidden, hidden, &weight);
		if (!r && net->b.id != WEFT_NO_ID)
			r = vector_part(lower, &net->b, 2 * (uint64_t)hidden, hidden, &bias);
		if (!r)
			r = product(lower, &sum, &weight, &bias, &through);
	}
	if (!r)
		r = weft_lower_binary(lower, WEFT_BINARY_ADD, &x, &through, false, &sum);
	return r ? r : function(lower, WEFT_UNARY_TANH, &sum, fresh);
}

static int gru_step(struct weft_lower *lower, const struct recurrent *net, uint32_t step, struct weft_operand *h)
{
	bool linear_before_reset = weft_attribute_int(lower, "linear_before_reset", 0) != 0;
	uint32_t hidden = net->hidden, batch = net->batch;
	struct weft_operand input, from_h, a, b, sum, open, update, reset, fresh, difference, scaled;
	int r = input_of_step(lower, net, step, &input);

	if (!r)
		r = product(lower, h, &net->r, &net->b, &from_h);
	if (!r)
		r = part(lower, &input, 0, batch, 2 * hidden, 3 * hidden, &a);
	if (!r)
		r = part(lower, &from_h, 0, batch, 2 * hidden, 3 * hidden, &b);
	if (!r)
		r = weft_lower_binary(lower, WEFT_BINARY_ADD, &a, &b, false, &sum);
	if (!r)
		r = function(lower, WEFT_UNARY_SIGMOID, &sum, &open);
	if (!r)
		r = part(lower, &open, 0, batch, hidden, 2 * hidden, &update);
	if (!r)
		r = part(lower, &open, hidden, batch, hidden, 2 * hidden, &reset);
	if (!r)
		r = gru_candidate(lower, net, &input, &from_h, &reset, h, linear_before_reset, &fresh);
	/* h = fresh + update * (h - fresh) */
	if (!r)
		r = weft_lower_binary(lower, WEFT_BINARY_SUB, h, &fresh, false, &difference);
	if (!r)
		r = weft_lower_binary(lower, WEFT_BINARY_MUL, &update, &difference, false, &scaled);
	if (!r)
		r = weft_lower_binary(lower, WEFT_BINARY_ADD, &fresh, &scaled, false, &a);
	*h = a;
	return r;
}

/* Copy a state into its place in an output. */
static int store(struct weft_lower *lower, const struct recurrent *net, const struct weft_operand *state,
		 const struct weft_operand *output, uint64_t row)
{
	struct weft_operand to;
	int r = part(lower, output, row * net->batch * net->hidden, net->batch, net->hidden, net->hidden, &to);

	return r ? r
		 : weft_build_elementwise(lower->graph, lower->node_name, WEFT_OP_COPY, NULL, 1, 2,
					  (struct weft_operand[]){*state, to}, NULL);
}

static int output_state(struct weft_lower *lower, const struct recurrent *net, unsigned int index,
			struct weft_operand *output)
{
	struct weft_layout layout = {
		.type = WEFT_TYPE_F32, .rank = 3, .dims = {net->directions, net->batch, net->hidden}};

	*output = WEFT_ABSENT;
	if (!weft_has_output(lower, index))
		return 0;
	weft_layout_dense(&layout);
	return weft_output(lower, index, &layout, output);
}

static int lower_recurrent(struct weft_lower *lower, uint32_t gates)
{
	bool lstm = gates == 4, reverse = weft_attribute_is(lower, "direction", "reverse", false);
	struct weft_layout layout = {.type = WEFT_TYPE_F32, .rank = 4};
	struct weft_operand w, r, b, h, c = WEFT_ABSENT, last_h, last_c = WEFT_ABSENT;
	struct recurrent net = {.y = WEFT_ABSENT};
	uint32_t direction, i;
	int result = read_inputs(lower, &net, gates, &w, &r, &b);

	if (!result && weft_has_output(lower, 0)) {
		layout.dims[0] = net.steps;
		layout.dims[1] = net.directions;
		layout.dims[2] = net.batch;
		layout.dims[3] = net.hidden;
		weft_layout_dense(&layout);
		result = weft_output(lower, 0, &layout, &net.y);
	}
	if (!result)
		result = output_state(lower, &net, 1, &last_h);
	if (!result && lstm)
		result = output_state(lower, &net, 2, &last_c);
	for (direction = 0; direction < net.directions && !result; direction++) {
		bool backwards = reverse || direction == 1;

		result = begin_direction(lower, &net, direction, &w, &r, &b, lstm);
		if (!result)
			result = initial(lower, &net, 5, direction, &h);
		if (!result && lstm)
			result = initial(lower, &net, 6, direction, &c);
		for (i = 0; i < net.steps && !result; i++) {
			uint32_t step = backwards ? net.steps - 1 - i : i;

			result = lstm ? lstm_step(lower, &net, step, &h, &c) : gru_step(lower, &net, step, &h);
			if (!result && net.y.id != WEFT_NO_ID)
				result = store(lower, &net, &h, &net.y, (uint64_t)step * net.directions + direction);
		}
		if (!result && last_h.id != WEFT_NO_ID)
			result = store(lower, &net, &h, &last_h, direction);
		if (!result && last_c.id != WEFT_NO_ID)
			result = store(lower, &net, &c, &last_c, direction);
	}
	return result;
}

int weft_lower_lstm(struct weft_lower *lower)
{
	return lower_recurrent(lower, 4);
}

int weft_lower_gru(struct weft_lower *lower)
{
	return lower_recurrent(lower, 3);
}
