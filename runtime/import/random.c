// SPDX-License-Identifier: MIT
/* Dropout and the operators that draw random numbers. */
#include <errno.h>
#include <string.h>

#include "graph/layout.h"
#include "import/expression.h"
#include "import/mersenne.h"
#include "import/operators.h"
#include "import/shape.h"
#include "weft/error.h"

static int add_counter(struct weft_graph *graph)
{
	struct weft_layout layout = {.type = WEFT_TYPE_I64, .rank = 1, .dims = {2}};

	if (graph->counter != WEFT_NO_ID)
		return 0;
	weft_layout_dense(&layout);
	return weft_graph_add_value(graph, "weft.counter", WEFT_VALUE_STEP, &layout, &graph->counter);
}

/* Each operator draws from a key of its own; step and seed come in the counter. */
static uint64_t next_key(struct weft_lower *lower)
{
	uint64_t key = 0x9e3779b97f4a7c15u * (uint64_t)++lower->dropouts;
	const Onnx__AttributeProto *seed = weft_attribute(lower, "seed");

	if (seed && seed->has_f) {
		uint32_t bits;

		memcpy(&bits, &seed->f, sizeof(bits));
		key += bits;
	}
	return key;
}

struct dropout {
	float ratio;
	bool training; /* of the node */
};

/* The ratio and the mode: attributes, or from opset 12 on inputs. */
static int read_dropout(struct weft_lower *lower, struct dropout *dropout)
{
	const struct weft_host_tensor *known;

	dropout->ratio = weft_attribute_float(lower, "ratio", 0.5f);
	dropout->training = false;
	if (weft_has_input(lower, 1)) {
		known = weft_input_known(lower, 1);
		if (!known || known->elements != 1)
			return known ? weft_node_fail(lower, EINVAL, "the ratio is no scalar") : -EOPNOTSUPP;
		dropout->ratio = (float)weft_host_number(known, 0);
	}
	if (weft_has_input(lower, 2)) {
		known = weft_input_known(lower, 2);
		if (!known || known->elements != 1)
			return known ? weft_node_fail(lower, EINVAL, "the mode is no scalar") : -EOPNOTSUPP;
		dropout->training = weft_host_integer(known, 0) != 0;
	}
	if (!(dropout->ratio >= 0 && dropout->ratio < 1))
		return weft_node_fail(lower, EINVAL, "the ratio is %g, it must be at least 0 and below 1",
				      (double)dropout->ratio);
	return 0;
}

/* A mask of the reference implementation, or all true where nothing is dropped. */
static struct weft_operand known_mask(struct weft_expression *e, const struct weft_layout *x, double ratio)
{
	struct weft_layout layout = *x;
	struct weft_mersenne generator;
	struct weft_operand mask;
	uint64_t i, elements;
	void *data;
	bool *keep;

	layout.type = WEFT_TYPE_BOOL;
	mask = weft_expression_constant(e, &layout, &data);
	keep = data;
	elements = keep ? weft_layout_elements(&layout) : 0;
	weft_mersenne_seed(&generator, (uint32_t)weft_attribute_int(e->lower, "seed", 0));
	for (i = 0; i < elements; i++)
		keep[i] = ratio == 0 || weft_mersenne_uniform(&generator) >= ratio;
	return mask;
}

/* Nothing is dropped, or what a seed says: the same mask in every run, as the standard has it. */
static int dropout_known(struct weft_lower *lower, struct weft_operand x, float ratio)
{
	bool wants_mask = weft_has_output(lower, 1) && weft_output_is_used(lower, 1);
	struct weft_expression e = {.lower = lower};
	struct weft_operand mask = WEFT_ABSENT, scaled, zero;

	if (ratio > 0 || wants_mask)
		mask = known_mask(&e, &x.layout, (double)ratio);
	if (ratio == 0)
		weft_expression_output(&e, 0, x);
	if (ratio > 0) {
		scaled = weft_expression_affine(&e, x, 1 / (1 - ratio), 0);
		zero = weft_expression_number(&e, WEFT_TYPE_F32, 0);
		weft_expression_output(&e, 0, weft_expression_where(&e, mask, scaled, zero));
	}
	if (wants_mask && lower->model->opset < 12)
		mask = weft_expression_cast(&e, x.layout.type, mask);
	return wants_mask ? weft_expression_output(&e, 1, mask) : e.error;
}

int weft_lower_dropout(struct weft_lower *lower)
{
	union weft_params params = {0};
	struct weft_operand x, y, mask = WEFT_ABSENT;
	struct dropout dropout;
	struct weft_layout layout;
	weft_id at;
	int r = weft_input(lower, 0, &x);

	if (!r)
		r = read_dropout(lower, &dropout);
	if (r)
		return r;
	if (!lower->options->training && !dropout.training)
		dropout.ratio = 0;
	if (dropout.ratio == 0 || (!lower->options->training && weft_attribute(lower, "seed")))
		return dropout_known(lower, x, dropout.ratio);
	if (x.layout.type != WEFT_TYPE_F32)
		return weft_node_fail(lower, EOPNOTSUPP, "it takes float tensors only");
	r = add_counter(lower->graph);
	if (r)
		return r;
	params.random.seed = next_key(lower);
	params.random.keep = 1 - dropout.ratio;
	layout = weft_layout_like(&x.layout, x.layout.type, x.layout.rank, x.layout.dims);
	if (!weft_layout_same(&layout, &x.layout)) {
		struct weft_operand copy;

		r = weft_lower_copy(lower, &x, &layout, &copy);
		x = copy;
	}
	if (!r)
		r = weft_output(lower, 0, &layout, &y);
	layout.type = WEFT_TYPE_BOOL;
	if (!r && weft_has_output(lower, 1) && weft_output_is_used(lower, 1))
		r = weft_output(lower, 1, &layout, &mask);
	if (!r)
		r = weft_build(
			lower->graph, lower->node_name, WEFT_OP_DROPOUT, &params, 2, 4,
			(struct weft_operand[]){x, weft_operand_of(lower->graph, lower->graph->counter), y, mask}, &at);
	if (!r)
		weft_build_in_place(lower->graph, at, 2, 0);
	return r;
}

/* Random numbers of the present node, with @layout's dims, row-major. */
static struct weft_operand draw(struct weft_expression *e, const struct weft_layout *layout, uint32_t distribution,
				float low, float high)
{
	union weft_params params = {.random = {.distribution = distribution, .low = low, .high = high}};
	struct weft_layout dense = *layout;
	struct weft_operand y = WEFT_ABSENT;

	dense.type = WEFT_TYPE_F32;
	weft_layout_dense(&dense);
	if (!e->error)
		e->error = add_counter(e->lower->graph);
	if (!e->error)
		e->error = weft_temporary(e->lower, &dense, &y);
	if (e->error)
		return WEFT_ABSENT;
	params.random.seed = next_key(e->lower);
	e->error = weft_build(e->lower->graph, e->lower->node_name, WEFT_OP_RANDOM, &params, 1, 2,
			      (struct weft_operand[]){weft_operand_of(e->lower->graph, e->lower->graph->counter), y},
			      NULL);
	return y;
}

/* The type that attribute dtype names; @fallback where absent. */
static int read_type(struct weft_lower *lower, uint8_t fallback, uint8_t *type)
{
	int r;

	*type = fallback;
	if (!weft_attribute(lower, "dtype"))
		return 0;
	r = weft_onnx_type((int32_t)weft_attribute_int(lower, "dtype", 0), type);
	return r ? weft_fail_in(r, "%s", weft_node_where(lower)) : 0;
}

/* RandomNormal, RandomUniform and those that take dimensions from an input. */
int weft_lower_random(struct weft_lower *lower)
{
	bool normal = !strncmp(lower->node->op_type, "RandomNormal", strlen("RandomNormal"));
	struct weft_expression e = {.lower = lower};
	struct weft_layout layout = {.type = WEFT_TYPE_F32};
	int64_t dims[WEFT_MAX_RANK];
	unsigned int count, i;
	struct weft_operand y;
	uint8_t type;
	int r;

	if (strstr(lower->node->op_type, "Like")) {
		r = weft_input_shape(lower, 0, &layout);
	} else {
		r = weft_attribute_ints(lower, "shape", WEFT_MAX_RANK, dims, &count);
		layout.rank = (uint8_t)(r ? 0 : count);
		for (i = 0; i < layout.rank && !r; i++) {
			if (dims[i] < 1 || dims[i] > INT32_MAX)
				r = weft_node_fail(lower, EINVAL, "shape holds %lld", (long long)dims[i]);
			layout.dims[i] = (uint32_t)dims[i];
		}
	}
	if (!r)
		r = read_type(lower, layout.type, &type);
	if (r)
		return r;
	y = normal ? draw(&e, &layout, WEFT_NORMAL, weft_attribute_float(lower, "mean", 0),
			  weft_attribute_float(lower, "scale", 1))
		   : draw(&e, &layout, WEFT_UNIFORM, weft_attribute_float(lower, "low", 0),
			  weft_attribute_float(lower, "high", 1));
	return weft_expression_output(&e, 0, weft_expression_cast(&e, type, y));
}

int weft_lower_bernoulli(struct weft_lower *lower)
{
	struct weft_expression e = {.lower = lower};
	struct weft_operand x = weft_expression_input(&e, 0), hit;
	uint8_t type;
	int r = e.error ? e.error : read_type(lower, x.layout.type, &type);

	if (r)
		return r;
	hit = weft_expression_binary(&e, WEFT_BINARY_LESS, draw(&e, &x.layout, WEFT_UNIFORM, 0, 1), x);
	return weft_expression_output(&e, 0, weft_expression_cast(&e, type, hit));
}
