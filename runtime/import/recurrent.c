// SPDX-License-Identifier: MIT
/*
 * RNN, GRU and LSTM, unrolled over time.  The products with the input are one
 * matrix product for all steps, which enters each step's product as its bias.
 */
#include <errno.h>
#include <string.h>

#include "graph/layout.h"
#include "import/expression.h"
#include "import/operators.h"
#include "weft/error.h"

/* Steps are unrolled: more than these would make a graph of millions of operations. */
#define MOST_STEPS 4096

/* Most functions that a cell of one direction has. */
#define FUNCTIONS 3

struct recurrent {
	uint32_t steps, batch, inputs, hidden, gates, directions;
	bool batch_first;
	union weft_params function[2][FUNCTIONS]; /* of each direction */
	struct weft_operand length;		  /* of each sequence, i64 [batch, 1], or absent */
	struct weft_operand peephole;		  /* [directions, 3 * hidden] or absent */
	struct weft_operand p[3];		  /* of one direction: input, output, forget gate, [hidden] */
	struct weft_operand x;			  /* [steps, batch, inputs], row-major */
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

static int apply(struct weft_lower *lower, const union weft_params *function, const struct weft_operand *x,
		 struct weft_operand *y)
{
	return weft_lower_unary(lower, function, x, false, y);
}

/* Names of functions as ONNX writes them, and what stands for their attributes where they have none. */
static const struct {
	const char *name;
	union weft_params params;
} functions[] = {
	{"Sigmoid", {.unary = {.function = WEFT_UNARY_SIGMOID}}},
	{"Tanh", {.unary = {.function = WEFT_UNARY_TANH}}},
	{"Relu", {.unary = {.function = WEFT_UNARY_RELU}}},
	{"HardSigmoid", {.unary = {.function = WEFT_UNARY_HARD_SIGMOID, .alpha = 0.2f, .beta = 0.5f}}},
	{"LeakyRelu", {.unary = {.function = WEFT_UNARY_LEAKY_RELU, .alpha = 0.01f}}},
	{"Elu", {.unary = {.function = WEFT_UNARY_ELU, .alpha = 1}}},
	{"Softsign", {.unary = {.function = WEFT_UNARY_SOFTSIGN}}},
	{"Softplus", {.unary = {.function = WEFT_UNARY_SOFTPLUS}}},
};

static int find_function(struct weft_lower *lower, const ProtobufCBinaryData *name, union weft_params *params)
{
	unsigned int i;

	for (i = 0; i < sizeof(functions) / sizeof(functions[0]); i++) {
		if (strlen(functions[i].name) != name->len ||
		    strncasecmp(functions[i].name, (char *)name->data, name->len))
			continue;
		*params = functions[i].params;
		return 0;
	}
	return weft_node_fail(lower, EOPNOTSUPP, "activation %.*s is not supported",
			      (int)(name->len < 32 ? name->len : 32), (const char *)name->data);
}

static int read_functions(struct weft_lower *lower, struct recurrent *net)
{
	static const unsigned int usual[3][FUNCTIONS] = {{1}, {0, 1}, {0, 1, 1}};
	unsigned int count = net->gates == 1 ? 1 : net->gates - 1, direction, i;
	const Onnx__AttributeProto *given = weft_attribute(lower, "activations");
	int r = 0;

	if (given && given->n_strings != (size_t)count * net->directions)
		return weft_node_fail(lower, EINVAL, "%zu activations, not %u", given->n_strings,
				      count * net->directions);
	if (weft_attribute(lower, "activation_alpha") || weft_attribute(lower, "activation_beta"))
		return weft_node_fail(lower, EOPNOTSUPP, "parameters of activations are not supported");
	for (direction = 0; direction < net->directions; direction++) {
		for (i = 0; i < count && !r; i++) {
			net->function[direction][i] = functions[usual[count - 1][i]].params;
			if (given)
				r = find_function(lower, &given->strings[direction * count + i],
						  &net->function[direction][i]);
		}
	}
	return r;
}

/* Lengths of sequences and weights of peepholes. */
static int read_options(struct weft_lower *lower, struct recurrent *net)
{
	struct weft_expression e = {.lower = lower};

	net->length = net->peephole = WEFT_ABSENT;
	if (weft_attribute(lower, "clip") || weft_attribute_int(lower, "input_forget", 0))
		return weft_node_fail(lower, EOPNOTSUPP, "clip and input_forget are not supported");
	if (weft_has_input(lower, 4)) {
		net->length = weft_expression_cast(&e, WEFT_TYPE_I64, weft_expression_dense(&e, 4));
		if (!e.error && (net->length.layout.rank != 1 || net->length.layout.dims[0] != net->batch))
			e.error = weft_node_fail(lower, EINVAL, "the lengths are no vector of %u", net->batch);
		net->length = weft_expression_reshape(&e, net->length, 2, (uint32_t[]){net->batch, 1});
	}
	if (net->gates == 4 && weft_has_input(lower, 7)) {
		net->peephole = weft_expression_dense(&e, 7);
		if (!e.error && (net->peephole.layout.rank != 2 || net->peephole.layout.dims[0] != net->directions ||
				 (uint64_t)net->peephole.layout.dims[1] != 3ull * net->hidden))
			e.error = weft_node_fail(lower, EINVAL, "the peepholes have other dimensions than the network");
	}
	return e.error;
}

/* Bytes and dims are checked here; every part taken later lies inside. */
static int read_inputs(struct weft_lower *lower, struct recurrent *net, uint32_t gates, struct weft_operand *w,
		       struct weft_operand *r, struct weft_operand *b)
{
	bool both = weft_attribute_is(lower, "direction", "bidirectional", false);
	struct weft_operand given;
	int result = weft_input(lower, 0, &given);

	*b = WEFT_ABSENT;
	net->batch_first = weft_attribute_int(lower, "layout", 0) != 0;
	if (!result && net->batch_first && given.layout.rank == 3)
		given.layout = weft_layout_permuted(&given.layout, (const uint8_t[]){1, 0, 2});
	if (!result) {
		struct weft_layout dense = given.layout;

		weft_layout_dense(&dense);
		net->x = given;
		if (net->batch_first || !weft_layout_same(&dense, &given.layout))
			result = weft_lower_copy(lower, &given, &dense, &net->x);
	}
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
	result = read_functions(lower, net);
	return result ? result : read_options(lower, net);
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
	if (net->batch_first) {
		struct weft_operand given;

		r = weft_input(lower, input, &given);
		if (!r && given.layout.rank == 3) {
			given.layout = weft_layout_permuted(&given.layout, (const uint8_t[]){1, 0, 2});
			layout = given.layout;
			weft_layout_dense(&layout);
			r = weft_lower_copy(lower, &given, &layout, &all);
		} else {
			all = given;
		}
	} else {
		r = weft_input_dense(lower, input, &all);
	}
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
	unsigned int i;
	int result = part(lower, w, (uint64_t)direction * rows * net->inputs, rows, net->inputs, net->inputs, &net->w);

	if (!result)
		result = part(lower, r, (uint64_t)direction * rows * net->hidden, rows, net->hidden, net->hidden,
			      &net->r);
	for (i = 0; i < 3 && net->peephole.id != WEFT_NO_ID && !result; i++)
		result = vector_part(lower, &net->peephole, ((uint64_t)direction * 3 + i) * net->hidden, net->hidden,
				     &net->p[i]);
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

static int rnn_step(struct weft_lower *lower, const struct recurrent *net, const union weft_params function[],
		    uint32_t step, struct weft_operand *h)
{
	struct weft_operand input, sum, next;
	int r = input_of_step(lower, net, step, &input);

	if (!r)
		r = product(lower, h, &net->r, &input, &sum);
	if (!r)
		r = apply(lower, &function[0], &sum, &next);
	*h = next;
	return r;
}

/* Gate @gate of an LSTM before its function: what a peephole sees of the cell is added. */
static int lstm_gate(struct weft_lower *lower, const struct recurrent *net, const struct weft_operand *gates,
		     unsigned int gate, const struct weft_operand *cell, struct weft_operand *result)
{
	struct weft_operand seen, before;
	int r = part(lower, gates, gate * (uint64_t)net->hidden, net->batch, net->hidden, 4 * net->hidden, result);

	if (r || net->peephole.id == WEFT_NO_ID)
		return r;
	before = *result;
	r = weft_lower_binary(lower, WEFT_BINARY_MUL, cell, &net->p[gate], false, &seen);
	return r ? r : weft_lower_binary(lower, WEFT_BINARY_ADD, &before, &seen, false, result);
}

/* The three gates of an LSTM; without peepholes and with one function they are one operation. */
static int lstm_gates(struct weft_lower *lower, const struct recurrent *net, const union weft_params *function,
		      const struct weft_operand *gates, const struct weft_operand *c, struct weft_operand open[3])
{
	uint32_t hidden = net->hidden, batch = net->batch;
	struct weft_operand in, all;
	unsigned int i;
	int r;

	if (net->peephole.id == WEFT_NO_ID) {
		r = part(lower, gates, 0, batch, 3 * hidden, 4 * hidden, &in);
		if (!r)
			r = apply(lower, function, &in, &all);
		for (i = 0; i < 3 && !r; i++)
			r = part(lower, &all, i * (uint64_t)hidden, batch, hidden, 3 * hidden, &open[i]);
		return r;
	}
	/* The output gate sees the new cell, and waits for it. */
	for (i = 0, r = 0; i < 3 && !r; i += 2) {
		r = lstm_gate(lower, net, gates, i, c, &in);
		if (!r)
			r = apply(lower, function, &in, &open[i]);
	}
	return r;
}

static int lstm_step(struct weft_lower *lower, const struct recurrent *net, const union weft_params function[],
		     uint32_t step, struct weft_operand *h, struct weft_operand *c)
{
	uint32_t hidden = net->hidden, batch = net->batch;
	struct weft_operand input, gates, open[3], fresh, in, kept, added, squashed, next;
	int r = input_of_step(lower, net, step, &input);

	if (!r)
		r = product(lower, h, &net->r, &input, &gates);
	if (!r)
		r = lstm_gates(lower, net, &function[0], &gates, c, open);
	if (!r)
		r = part(lower, &gates, 3 * (uint64_t)hidden, batch, hidden, 4 * hidden, &in);
	if (!r)
		r = apply(lower, &function[1], &in, &fresh);
	if (!r)
		r = weft_lower_binary(lower, WEFT_BINARY_MUL, &open[2], c, false, &kept);
	if (!r)
		r = weft_lower_binary(lower, WEFT_BINARY_MUL, &open[0], &fresh, false, &added);
	if (!r)
		r = weft_lower_binary(lower, WEFT_BINARY_ADD, &kept, &added, false, &next);
	*c = next;
	if (!r && net->peephole.id != WEFT_NO_ID) {
		r = lstm_gate(lower, net, &gates, 1, c, &in);
		if (!r)
			r = apply(lower, &function[0], &in, &open[1]);
	}
	if (!r)
		r = apply(lower, &function[2], c, &squashed);
	if (!r)
		r = weft_lower_binary(lower, WEFT_BINARY_MUL, &open[1], &squashed, false, &next);
	*h = next;
	return r;
}

/* The candidate of a GRU: tanh(input + what the reset gate lets through). */
static int gru_candidate(struct weft_lower *lower, const struct recurrent *net, const union weft_params *function,
			 const struct weft_operand *input, const struct weft_operand *product_h,
			 const struct weft_operand *reset, const struct weft_operand *h, struct weft_operand *fresh)
{
	bool linear_before_reset = weft_attribute_int(lower, "linear_before_reset", 0) != 0;
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
	return r ? r : apply(lower, function, &sum, fresh);
}

static int gru_step(struct weft_lower *lower, const struct recurrent *net, const union weft_params function[],
		    uint32_t step, struct weft_operand *h)
{
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
		r = apply(lower, &function[0], &sum, &open);
	if (!r)
		r = part(lower, &open, 0, batch, hidden, 2 * hidden, &update);
	if (!r)
		r = part(lower, &open, hidden, batch, hidden, 2 * hidden, &reset);
	if (!r)
		r = gru_candidate(lower, net, &function[1], &input, &from_h, &reset, h, &fresh);
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

/* Room for a result of rank @rank whose dimensions stand as they are stored step by step. */
static int begin_output(struct weft_lower *lower, unsigned int index, unsigned int rank, const uint32_t dims[],
			struct weft_operand *output)
{
	struct weft_layout layout = weft_layout_like(NULL, WEFT_TYPE_F32, rank, dims);

	*output = WEFT_ABSENT;
	return weft_has_output(lower, index) ? weft_temporary(lower, &layout, output) : 0;
}

/* Output @index, with the batch in front where the node wants that. */
static int end_output(struct weft_lower *lower, const struct recurrent *net, unsigned int index,
		      struct weft_operand output)
{
	static const uint8_t state[] = {1, 0, 2}, sequence[] = {2, 0, 1, 3};

	if (output.id == WEFT_NO_ID)
		return 0;
	if (!net->batch_first)
		return weft_output_is(lower, index, output.id);
	output.layout = weft_layout_permuted(&output.layout, output.layout.rank == 3 ? state : sequence);
	return weft_output_view(lower, index, &output, 0, &output.layout);
}

/* @state and @before, the one where the sequence goes on at @step and the other where it has ended. */
static int hold(struct weft_lower *lower, const struct recurrent *net, uint32_t step, const struct weft_operand *before,
		struct weft_operand *state)
{
	struct weft_expression e = {.lower = lower};
	struct weft_operand on = weft_expression_with(&e, WEFT_BINARY_GREATER, net->length, step);

	*state = weft_expression_where(&e, on, *state, *before);
	return e.error;
}

/* The output of a step: zero where the sequence has ended. */
static int store_step(struct weft_lower *lower, const struct recurrent *net, uint32_t step, uint32_t direction,
		      struct weft_operand h)
{
	struct weft_expression e = {.lower = lower};

	if (net->y.id == WEFT_NO_ID)
		return 0;
	if (net->length.id != WEFT_NO_ID) {
		struct weft_operand zero = weft_expression_number(&e, WEFT_TYPE_F32, 0);

		e.error = e.error ? e.error : hold(lower, net, step, &zero, &h);
	}
	return e.error ? e.error : store(lower, net, &h, &net->y, (uint64_t)step * net->directions + direction);
}

static int one_step(struct weft_lower *lower, const struct recurrent *net, uint32_t direction, uint32_t step,
		    struct weft_operand *h, struct weft_operand *c)
{
	const union weft_params *function = net->function[direction];
	struct weft_operand before_h = *h, before_c = *c;
	int r = net->gates == 4	  ? lstm_step(lower, net, function, step, h, c)
		: net->gates == 3 ? gru_step(lower, net, function, step, h)
				  : rnn_step(lower, net, function, step, h);

	if (!r)
		r = store_step(lower, net, step, direction, *h);
	if (net->length.id == WEFT_NO_ID)
		return r;
	if (!r)
		r = hold(lower, net, step, &before_h, h);
	return r || net->gates != 4 ? r : hold(lower, net, step, &before_c, c);
}

static int lower_recurrent(struct weft_lower *lower, uint32_t gates)
{
	bool lstm = gates == 4, reverse = weft_attribute_is(lower, "direction", "reverse", false);
	struct weft_operand w, r, b, h, c = WEFT_ABSENT, last_h, last_c = WEFT_ABSENT;
	struct recurrent net = {.y = WEFT_ABSENT};
	uint32_t direction, i;
	int result = read_inputs(lower, &net, gates, &w, &r, &b);

	if (!result)
		result = begin_output(lower, 0, 4, (uint32_t[]){net.steps, net.directions, net.batch, net.hidden},
				      &net.y);
	if (!result)
		result = begin_output(lower, 1, 3, (uint32_t[]){net.directions, net.batch, net.hidden}, &last_h);
	if (!result && lstm)
		result = begin_output(lower, 2, 3, (uint32_t[]){net.directions, net.batch, net.hidden}, &last_c);
	for (direction = 0; direction < net.directions && !result; direction++) {
		bool backwards = reverse || direction == 1;

		result = begin_direction(lower, &net, direction, &w, &r, &b, gates != 3);
		if (!result)
			result = initial(lower, &net, 5, direction, &h);
		if (!result && lstm)
			result = initial(lower, &net, 6, direction, &c);
		for (i = 0; i < net.steps && !result; i++)
			result = one_step(lower, &net, direction, backwards ? net.steps - 1 - i : i, &h, &c);
		if (!result && last_h.id != WEFT_NO_ID)
			result = store(lower, &net, &h, &last_h, direction);
		if (!result && last_c.id != WEFT_NO_ID)
			result = store(lower, &net, &c, &last_c, direction);
	}
	if (!result)
		result = end_output(lower, &net, 0, net.y);
	if (!result)
		result = end_output(lower, &net, 1, last_h);
	return result ? result : end_output(lower, &net, 2, last_c);
}

int weft_lower_lstm(struct weft_lower *lower)
{
	return lower_recurrent(lower, 4);
}

int weft_lower_gru(struct weft_lower *lower)
{
	return lower_recurrent(lower, 3);
}

int weft_lower_rnn(struct weft_lower *lower)
{
	return lower_recurrent(lower, 1);
}
