// SPDX-License-Identifier: MIT
/* Element-wise operators. */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "graph/layout.h"
#include "import/expression.h"
#include "import/operators.h"
#include "import/shape.h"
#include "weft/error.h"

int weft_lower_unary(struct weft_lower *lower, const union weft_params *params, const struct weft_operand *x,
		     bool final, struct weft_operand *out)
{
	uint32_t function = params->unary.function;
	bool to_bool = function == WEFT_UNARY_ISNAN || function == WEFT_UNARY_ISINF;
	uint8_t wanted = function == WEFT_UNARY_NOT ? WEFT_TYPE_BOOL : WEFT_TYPE_F32;
	struct weft_layout layout =
		weft_layout_like(&x->layout, to_bool ? WEFT_TYPE_BOOL : x->layout.type, x->layout.rank, x->layout.dims);
	weft_id at;
	int r;

	if (x->layout.type != wanted)
		return weft_node_fail(lower, EOPNOTSUPP, "it takes %s tensors only",
				      wanted == WEFT_TYPE_BOOL ? "bool" : "float");
	r = final ? weft_output(lower, 0, &layout, out) : weft_temporary(lower, &layout, out);
	if (!r)
		r = weft_build_elementwise(lower->graph, lower->node_name, WEFT_OP_UNARY, params, 1, 2,
					   (struct weft_operand[]){*x, *out}, &at);
	if (!r)
		weft_build_in_place(lower->graph, at, 1, 0);
	return r;
}

/* Integers of 8 and 16 bits are computed in 32 and keep the low bits. */
static int binary_of_narrow(struct weft_lower *lower, uint32_t function, const struct weft_operand *a,
			    const struct weft_operand *b, bool final, struct weft_operand *out)
{
	bool to_bool = function >= WEFT_BINARY_EQUAL && function <= WEFT_BINARY_XOR;
	struct weft_expression e = {.lower = lower};
	struct weft_operand wide[3] = {weft_expression_cast(&e, WEFT_TYPE_I32, *a),
				       weft_expression_cast(&e, WEFT_TYPE_I32, *b)};

	if (!e.error)
		e.error = weft_lower_binary(lower, function, &wide[0], &wide[1], final && to_bool, &wide[2]);
	*out = to_bool ? wide[2] : weft_expression_cast(&e, a->layout.type, wide[2]);
	if (final && !to_bool)
		weft_expression_output(&e, 0, *out);
	return e.error;
}

int weft_lower_binary(struct weft_lower *lower, uint32_t function, const struct weft_operand *a,
		      const struct weft_operand *b, bool final, struct weft_operand *out)
{
	bool to_bool = function >= WEFT_BINARY_EQUAL && function <= WEFT_BINARY_XOR;
	const struct weft_layout *like;
	struct weft_operand shown[3] = {*a, *b};
	union weft_params params = {.binary = {.function = function}};
	struct weft_layout layout;
	struct weft_shape shape;
	weft_id at;
	int r;

	if (a->layout.type != b->layout.type)
		return weft_node_fail(lower, EINVAL, "the inputs are of different types");
	if (a->layout.type == WEFT_TYPE_U8 || a->layout.type == WEFT_TYPE_I8 || a->layout.type == WEFT_TYPE_I16)
		return binary_of_narrow(lower, function, a, b, final, out);
	if ((a->layout.type == WEFT_TYPE_BOOL) != (function >= WEFT_BINARY_AND && function <= WEFT_BINARY_XOR) &&
	    function != WEFT_BINARY_EQUAL)
		return weft_node_fail(lower, EINVAL, "the inputs are %s",
				      a->layout.type == WEFT_TYPE_BOOL ? "bool" : "not bool");
	r = weft_shape_broadcast(lower, &a->layout, &b->layout, &shape);
	if (r)
		return r;
	like = weft_layout_elements(&a->layout) >= weft_layout_elements(&b->layout) ? &a->layout : &b->layout;
	layout = weft_layout_like(like, to_bool ? WEFT_TYPE_BOOL : a->layout.type, shape.rank, shape.dims);
	if (!weft_layout_broadcast(&a->layout, shape.rank, shape.dims, &shown[0].layout) ||
	    !weft_layout_broadcast(&b->layout, shape.rank, shape.dims, &shown[1].layout))
		return weft_node_fail(lower, EINVAL, "the inputs do not broadcast");
	r = final ? weft_output(lower, 0, &layout, out) : weft_temporary(lower, &layout, out);
	if (r)
		return r;
	shown[2] = *out;
	r = weft_build_elementwise(lower->graph, lower->node_name, WEFT_OP_BINARY, &params, 2, 3, shown, &at);
	if (r)
		return r;
	weft_build_in_place(lower->graph, at, 2, 1);
	weft_build_in_place(lower->graph, at, 2, 0);
	return 0;
}

static const struct {
	const char *name;
	uint32_t function;
	const char *alpha, *beta; /* attributes */
	float alpha_default, beta_default;
} unaries[] = {
	{"Neg", WEFT_UNARY_NEG, NULL, NULL, 0, 0},
	{"Abs", WEFT_UNARY_ABS, NULL, NULL, 0, 0},
	{"Sign", WEFT_UNARY_SIGN, NULL, NULL, 0, 0},
	{"Exp", WEFT_UNARY_EXP, NULL, NULL, 0, 0},
	{"Log", WEFT_UNARY_LOG, NULL, NULL, 0, 0},
	{"Sqrt", WEFT_UNARY_SQRT, NULL, NULL, 0, 0},
	{"Reciprocal", WEFT_UNARY_RECIPROCAL, NULL, NULL, 0, 0},
	{"LeakyRelu", WEFT_UNARY_LEAKY_RELU, "alpha", NULL, 0.01f, 0},
	{"Elu", WEFT_UNARY_ELU, "alpha", NULL, 1, 0},
	{"Selu", WEFT_UNARY_SELU, "alpha", "gamma", 1.67326319217681884765625f, 1.05070102214813232421875f},
	{"Celu", WEFT_UNARY_CELU, "alpha", NULL, 1, 0},
	{"Sigmoid", WEFT_UNARY_SIGMOID, NULL, NULL, 0, 0},
	{"Tanh", WEFT_UNARY_TANH, NULL, NULL, 0, 0},
	{"Softplus", WEFT_UNARY_SOFTPLUS, NULL, NULL, 0, 0},
	{"Softsign", WEFT_UNARY_SOFTSIGN, NULL, NULL, 0, 0},
	{"HardSigmoid", WEFT_UNARY_HARD_SIGMOID, "alpha", "beta", 0.2f, 0.5f},
	{"HardSwish", WEFT_UNARY_HARD_SWISH, NULL, NULL, 0, 0},
	{"Swish", WEFT_UNARY_SILU, NULL, NULL, 0, 0},
	{"Mish", WEFT_UNARY_MISH, NULL, NULL, 0, 0},
	{"ThresholdedRelu", WEFT_UNARY_THRESHOLDED_RELU, "alpha", NULL, 1, 0},
	{"Shrink", WEFT_UNARY_SHRINK, "lambd", "bias", 0.5f, 0},
	{"Erf", WEFT_UNARY_ERF, NULL, NULL, 0, 0},
	{"Sin", WEFT_UNARY_SIN, NULL, NULL, 0, 0},
	{"Cos", WEFT_UNARY_COS, NULL, NULL, 0, 0},
	{"Tan", WEFT_UNARY_TAN, NULL, NULL, 0, 0},
	{"Asin", WEFT_UNARY_ASIN, NULL, NULL, 0, 0},
	{"Acos", WEFT_UNARY_ACOS, NULL, NULL, 0, 0},
	{"Atan", WEFT_UNARY_ATAN, NULL, NULL, 0, 0},
	{"Sinh", WEFT_UNARY_SINH, NULL, NULL, 0, 0},
	{"Cosh", WEFT_UNARY_COSH, NULL, NULL, 0, 0},
	{"Asinh", WEFT_UNARY_ASINH, NULL, NULL, 0, 0},
	{"Acosh", WEFT_UNARY_ACOSH, NULL, NULL, 0, 0},
	{"Atanh", WEFT_UNARY_ATANH, NULL, NULL, 0, 0},
	{"Floor", WEFT_UNARY_FLOOR, NULL, NULL, 0, 0},
	{"Ceil", WEFT_UNARY_CEIL, NULL, NULL, 0, 0},
	{"Round", WEFT_UNARY_ROUND, NULL, NULL, 0, 0},
	{"Not", WEFT_UNARY_NOT, NULL, NULL, 0, 0},
	{"IsNaN", WEFT_UNARY_ISNAN, NULL, NULL, 0, 0},
};

/* What models do to integers: signs and rectifiers, by comparisons with numbers. */
static int unary_of_integers(struct weft_lower *lower, uint32_t function, struct weft_operand x)
{
	struct weft_expression e = {.lower = lower};
	struct weft_operand y;

	switch (function) {
	case WEFT_UNARY_NEG:
		y = weft_expression_with(&e, WEFT_BINARY_MUL, x, -1);
		break;
	case WEFT_UNARY_ABS:
		y = weft_expression_binary(&e, WEFT_BINARY_MAX, x, weft_expression_with(&e, WEFT_BINARY_MUL, x, -1));
		break;
	case WEFT_UNARY_SIGN:
		y = weft_expression_with(&e, WEFT_BINARY_MIN, weft_expression_with(&e, WEFT_BINARY_MAX, x, -1), 1);
		break;
	case WEFT_UNARY_RELU:
		y = weft_expression_with(&e, WEFT_BINARY_MAX, x, 0);
		break;
	default:
		return weft_node_fail(lower, EOPNOTSUPP, "it takes float tensors only");
	}
	return weft_expression_output(&e, 0, y);
}

static bool is_integer(uint8_t type)
{
	return type == WEFT_TYPE_I64 || type == WEFT_TYPE_I32 || type == WEFT_TYPE_I16 || type == WEFT_TYPE_I8 ||
	       type == WEFT_TYPE_U8;
}

int weft_lower_unary_operator(struct weft_lower *lower)
{
	union weft_params params = {0};
	struct weft_operand x, y;
	unsigned int i;
	int r;

	for (i = 0; strcmp(unaries[i].name, lower->node->op_type); i++)
		if (i + 1 == sizeof(unaries) / sizeof(unaries[0]))
			return weft_node_fail(lower, EOPNOTSUPP, "no element-wise function of that name");
	params.unary.function = unaries[i].function;
	if (unaries[i].alpha)
		params.unary.alpha = weft_attribute_float(lower, unaries[i].alpha, unaries[i].alpha_default);
	if (unaries[i].beta)
		params.unary.beta = weft_attribute_float(lower, unaries[i].beta, unaries[i].beta_default);
	r = weft_input(lower, 0, &x);
	if (!r && is_integer(x.layout.type))
		return unary_of_integers(lower, params.unary.function, x);
	return r ? r : weft_lower_unary(lower, &params, &x, true, &y);
}

int weft_lower_is_inf(struct weft_lower *lower)
{
	union weft_params params = {.unary = {.function = WEFT_UNARY_ISINF}};
	struct weft_operand x, y;
	int r = weft_input(lower, 0, &x);

	params.unary.alpha = (float)weft_attribute_int(lower, "detect_negative", 1);
	params.unary.beta = (float)weft_attribute_int(lower, "detect_positive", 1);
	return r ? r : weft_lower_unary(lower, &params, &x, true, &y);
}

int weft_lower_gelu(struct weft_lower *lower)
{
	union weft_params params = {.unary = {.function = WEFT_UNARY_GELU}};
	struct weft_operand x, y;
	int r = weft_input(lower, 0, &x);

	if (weft_attribute_is(lower, "approximate", "tanh", false))
		params.unary.function = WEFT_UNARY_GELU_TANH;
	return r ? r : weft_lower_unary(lower, &params, &x, true, &y);
}

int weft_lower_relu(struct weft_lower *lower)
{
	union weft_params params = {.unary = {.function = WEFT_UNARY_RELU}};
	struct weft_operand x, y;
	int r = weft_input(lower, 0, &x);

	if (!r && is_integer(x.layout.type))
		return unary_of_integers(lower, WEFT_UNARY_RELU, x);
	return r ? r : weft_lower_unary(lower, &params, &x, true, &y);
}

/* The bounds of Clip where both are numbers: attributes up to opset 6, known inputs from 11 on. */
static bool clip_bounds(struct weft_lower *lower, float *low, float *high)
{
	float *bound[2] = {low, high};
	unsigned int i;

	*low = weft_attribute_float(lower, "min", -INFINITY);
	*high = weft_attribute_float(lower, "max", INFINITY);
	for (i = 0; i < 2; i++) {
		const struct weft_host_tensor *known = weft_input_maybe(lower, 1 + i);

		if (!weft_has_input(lower, 1 + i))
			continue;
		if (!known || known->elements != 1)
			return false;
		*bound[i] = (float)weft_host_number(known, 0);
	}
	return true;
}

/* Integers, and bounds that are computed. */
static int clip_by_operands(struct weft_lower *lower, struct weft_operand x)
{
	static const uint32_t function[2] = {WEFT_BINARY_MAX, WEFT_BINARY_MIN};
	struct weft_expression e = {.lower = lower};
	unsigned int i;

	for (i = 0; i < 2; i++) {
		struct weft_operand bound;

		if (!weft_has_input(lower, 1 + i))
			continue;
		bound = weft_expression_input(&e, 1 + i);
		if (!e.error && weft_layout_elements(&bound.layout) != 1)
			e.error = weft_node_fail(lower, EINVAL, "bound %u is no scalar", i);
		x = weft_expression_binary(&e, function[i], x, weft_expression_reshape(&e, bound, 0, NULL));
	}
	return weft_expression_output(&e, 0, x);
}

int weft_lower_clip(struct weft_lower *lower)
{
	union weft_params params = {.unary = {.function = WEFT_UNARY_CLIP}};
	struct weft_operand x, y;
	int r = weft_input(lower, 0, &x);

	if (r)
		return r;
	if (x.layout.type != WEFT_TYPE_F32 || !clip_bounds(lower, &params.unary.alpha, &params.unary.beta))
		return clip_by_operands(lower, x);
	return weft_lower_unary(lower, &params, &x, true, &y);
}

/* x op c and c op x with a constant number c as functions of x alone; false: there is none. */
static bool with_number(uint32_t function, bool number_first, float c, union weft_params *params)
{
	params->unary.function = WEFT_UNARY_AFFINE;
	params->unary.alpha = 1;
	params->unary.beta = 0;
	switch (function) {
	case WEFT_BINARY_ADD:
		params->unary.beta = c;
		return true;
	case WEFT_BINARY_SUB:
		params->unary.alpha = number_first ? -1 : 1;
		params->unary.beta = number_first ? c : -c;
		return true;
	case WEFT_BINARY_MUL:
		params->unary.alpha = c;
		return true;
	case WEFT_BINARY_DIV:
		/* Exact only for powers of two, and within one unit in the last place otherwise. */
		if (number_first ? c != 1 : c == 0 || !isfinite(1 / c))
			return false;
		if (number_first)
			*params = (union weft_params){.unary = {.function = WEFT_UNARY_RECIPROCAL}};
		else
			params->unary.alpha = 1 / c;
		return true;
	case WEFT_BINARY_POW:
		if (number_first)
			return false;
		*params = (union weft_params){.unary = {.function = WEFT_UNARY_POW, .alpha = c}};
		if (c == 2)
			*params = (union weft_params){.unary = {.function = WEFT_UNARY_SQUARE}};
		else if (c == 0.5f)
			*params = (union weft_params){.unary = {.function = WEFT_UNARY_SQRT}};
		return true;
	}
	return false;
}

/* The number that input @index is: not trainable, one element, no more dimensions than @other has. */
static bool is_number(struct weft_lower *lower, unsigned int index, const struct weft_layout *other, float *number)
{
	const struct weft_symbol *symbol = weft_input_symbol(lower, index);
	const struct weft_host_tensor *known;

	if (!symbol || (symbol->initializer && symbol->initializer->n_dims))
		return false;
	known = weft_input_maybe(lower, index);
	if (!known || known->type != WEFT_TYPE_F32 || known->elements != 1 || known->rank > other->rank)
		return false;
	*number = (float)weft_host_number(known, 0);
	return true;
}

static const struct {
	const char *name;
	uint32_t function;
} binaries[] = {
	{"Add", WEFT_BINARY_ADD},
	{"Sub", WEFT_BINARY_SUB},
	{"Mul", WEFT_BINARY_MUL},
	{"Div", WEFT_BINARY_DIV},
	{"Pow", WEFT_BINARY_POW},
	{"PRelu", WEFT_BINARY_PRELU},
	{"Equal", WEFT_BINARY_EQUAL},
	{"Less", WEFT_BINARY_LESS},
	{"LessOrEqual", WEFT_BINARY_LESS_EQUAL},
	{"Greater", WEFT_BINARY_GREATER},
	{"GreaterOrEqual", WEFT_BINARY_GREATER_EQUAL},
	{"And", WEFT_BINARY_AND},
	{"Or", WEFT_BINARY_OR},
	{"Xor", WEFT_BINARY_XOR},
	{"Max", WEFT_BINARY_MAX},
	{"Min", WEFT_BINARY_MIN},
	{"Sum", WEFT_BINARY_ADD},
};

static int with_numbers(struct weft_lower *lower, uint32_t function, bool *done)
{
	unsigned int n;
	int r;

	*done = true;
	for (n = 0; n < 2; n++) {
		union weft_params params = {0};
		struct weft_operand x, y;
		struct weft_layout other;
		float number;

		r = weft_input_shape(lower, 1 - n, &other);
		if (r)
			return r;
		if (other.type != WEFT_TYPE_F32 || !is_number(lower, n, &other, &number) ||
		    !with_number(function, n == 0, number, &params))
			continue;
		r = weft_input(lower, 1 - n, &x);
		return r ? r : weft_lower_unary(lower, &params, &x, true, &y);
	}
	*done = false;
	return 0;
}

/*
 * Before opset 7 the second operand stands where attribute axis says, along the
 * last dimensions where there is none; a vector of slopes stands along the channels.
 */
static int place_second(struct weft_lower *lower, uint32_t function, const struct weft_layout *a,
			struct weft_operand *b)
{
	int64_t axis = weft_attribute_int(lower, "axis", (int64_t)a->rank - b->layout.rank);
	struct weft_expression e = {.lower = lower};
	uint32_t dims[WEFT_MAX_RANK];
	unsigned int i, dim;
	int r;

	if (function == WEFT_BINARY_PRELU)
		axis = b->layout.rank == 1 && b->layout.dims[0] > 1 && a->rank > 1 ? 1 : axis;
	if (lower->model->opset >= 7 || axis == (int64_t)a->rank - b->layout.rank)
		return 0;
	r = weft_axis(lower, axis, a->rank, &dim);
	if (!r && dim + b->layout.rank > a->rank)
		r = weft_node_fail(lower, EINVAL, "rank %u from axis %u of rank %u on", b->layout.rank, dim, a->rank);
	for (i = 0; i < a->rank && !r; i++)
		dims[i] = i < dim || i >= dim + b->layout.rank ? 1 : b->layout.dims[i - dim];
	if (!r)
		*b = weft_expression_reshape(&e, *b, a->rank, dims);
	return r ? r : e.error;
}

int weft_lower_binary_operator(struct weft_lower *lower)
{
	struct weft_operand a, b, sum;
	uint32_t function;
	unsigned int i;
	size_t n;
	bool done;
	int r;

	for (i = 0; strcmp(binaries[i].name, lower->node->op_type); i++)
		if (i + 1 == sizeof(binaries) / sizeof(binaries[0]))
			return weft_node_fail(lower, EOPNOTSUPP, "no binary function of that name");
	function = binaries[i].function;
	if (lower->node->n_input == 1) {
		r = weft_input(lower, 0, &a);
		return r ? r : weft_output_is(lower, 0, a.id);
	}
	if (lower->node->n_input == 2) {
		r = with_numbers(lower, function, &done);
		if (r || done)
			return r;
	}
	r = weft_input(lower, 0, &a);
	for (n = 1; n < lower->node->n_input && !r; n++) {
		r = weft_input(lower, (unsigned int)n, &b);
		/* Pow's exponent may be of another type. */
		if (!r && function == WEFT_BINARY_POW && b.layout.type != a.layout.type)
			r = weft_lower_cast_operand(lower, a.layout.type, &b);
		if (!r)
			r = place_second(lower, function, &a.layout, &b);
		if (!r)
			r = weft_lower_binary(lower, function, &a, &b, n + 1 == lower->node->n_input, &sum);
		a = sum;
	}
	return r;
}

int weft_lower_mod(struct weft_lower *lower)
{
	struct weft_operand a, b, out;
	int r = weft_input(lower, 0, &a);

	if (!r)
		r = weft_input(lower, 1, &b);
	if (r)
		return r;
	return weft_lower_binary(lower, weft_attribute_int(lower, "fmod", 0) ? WEFT_BINARY_FMOD : WEFT_BINARY_MOD, &a,
				 &b, true, &out);
}

int weft_lower_bit_shift(struct weft_lower *lower)
{
	bool left = weft_attribute_is(lower, "direction", "LEFT", false);
	struct weft_operand a, b, out;
	int r = weft_input(lower, 0, &a);

	if (!r)
		r = weft_input(lower, 1, &b);
	if (!r && (!is_integer(a.layout.type) || (!left && !weft_attribute_is(lower, "direction", "RIGHT", false))))
		r = weft_node_fail(lower, EINVAL, "no integers, or a direction that is neither LEFT nor RIGHT");
	return r ? r
		 : weft_lower_binary(lower, left ? WEFT_BINARY_SHIFT_LEFT : WEFT_BINARY_SHIFT_RIGHT, &a, &b, true,
				     &out);
}

int weft_lower_mean(struct weft_lower *lower)
{
	union weft_params params = {
		.unary = {.function = WEFT_UNARY_AFFINE, .alpha = 1.0f / (float)lower->node->n_input}};
	struct weft_operand a, b, sum;
	size_t n;
	int r = weft_input(lower, 0, &a);

	for (n = 1; n < lower->node->n_input && !r; n++) {
		r = weft_input(lower, (unsigned int)n, &b);
		if (!r)
			r = weft_lower_binary(lower, WEFT_BINARY_ADD, &a, &b, false, &sum);
		a = sum;
	}
	return r ? r : weft_lower_unary(lower, &params, &a, true, &sum);
}

int weft_lower_where(struct weft_lower *lower)
{
	struct weft_operand in[4];
	struct weft_layout joined = {0}, layout;
	struct weft_shape shape = {0};
	unsigned int i;
	int r = 0;

	for (i = 0; i < 3 && !r; i++) {
		r = weft_input(lower, i, &in[i]);
		if (!r)
			r = weft_shape_broadcast(lower, &in[i].layout, &joined, &shape);
		joined.rank = (uint8_t)shape.rank;
		memcpy(joined.dims, shape.dims, sizeof(joined.dims));
	}
	if (r)
		return r;
	layout = weft_layout_like(&in[1].layout, in[1].layout.type, shape.rank, shape.dims);
	for (i = 0; i < 3; i++) {
		struct weft_layout shown;

		if (!weft_layout_broadcast(&in[i].layout, shape.rank, shape.dims, &shown))
			return weft_node_fail(lower, EINVAL, "the inputs do not broadcast");
		in[i].layout = shown;
	}
	r = weft_output(lower, 0, &layout, &in[3]);
	return r ? r : weft_build_elementwise(lower->graph, lower->node_name, WEFT_OP_WHERE, NULL, 3, 4, in, NULL);
}

int weft_lower_cast_operand(struct weft_lower *lower, uint8_t type, struct weft_operand *operand)
{
	struct weft_operand from = *operand;
	struct weft_layout layout = weft_layout_like(&from.layout, type, from.layout.rank, from.layout.dims);
	int r = weft_temporary(lower, &layout, operand);

	return r ? r
		 : weft_build_elementwise(lower->graph, lower->node_name, WEFT_OP_CAST, NULL, 1, 2,
					  (struct weft_operand[]){from, *operand}, NULL);
}

/* The element type that the model declares for input @index of the node; 0 where it declares none. */
static int32_t declared_type(const struct weft_lower *lower, unsigned int index)
{
	const Onnx__GraphProto *graph = lower->model->proto->graph;
	const char *name = weft_has_input(lower, index) ? lower->node->input[index] : "";
	const struct weft_symbol *symbol = weft_input_symbol(lower, index);
	size_t i;

	if (symbol && symbol->initializer)
		return symbol->initializer->data_type;
	for (i = 0; i < graph->n_input; i++)
		if (!strcmp(graph->input[i]->name, name) && graph->input[i]->type &&
		    graph->input[i]->type->value_case == ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE &&
		    graph->input[i]->type->tensor_type)
			return graph->input[i]->type->tensor_type->elem_type;
	return 0;
}

/* Floats are computed in binary32; a cast to a shorter one rounds to it, except in training, where it would cut off
 * the gradient. */
static uint8_t rounds_to(const struct weft_lower *lower, int32_t data_type)
{
	if (lower->options->training)
		return WEFT_TYPE_F32;
	return data_type == ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT16    ? WEFT_TYPE_F16
	       : data_type == ONNX__TENSOR_PROTO__DATA_TYPE__BFLOAT16 ? WEFT_TYPE_BF16
								      : WEFT_TYPE_F32;
}

int weft_lower_cast(struct weft_lower *lower)
{
	bool like = !strcmp(lower->node->op_type, "CastLike");
	int32_t wanted = like ? declared_type(lower, 1) : (int32_t)weft_attribute_int(lower, "to", 0);
	struct weft_operand x, y;
	struct weft_layout layout = {0};
	uint8_t type = WEFT_TYPE_NONE, narrow = rounds_to(lower, wanted);
	int r = weft_input(lower, 0, &x);

	if (!r && like) {
		r = weft_input_shape(lower, 1, &layout);
		type = layout.type;
	} else if (!r) {
		r = weft_onnx_type(wanted, &type);
	}
	if (!r && type == WEFT_TYPE_F32 && narrow != WEFT_TYPE_F32)
		r = weft_lower_cast_operand(lower, narrow, &x);
	if (r)
		return r;
	if (type == x.layout.type)
		return weft_output_is(lower, 0, x.id);
	layout = weft_layout_like(&x.layout, type, x.layout.rank, x.layout.dims);
	r = weft_output(lower, 0, &layout, &y);
	return r ? r
		 : weft_build_elementwise(lower->graph, lower->node_name, WEFT_OP_CAST, NULL, 1, 2,
					  (struct weft_operand[]){x, y}, NULL);
}

int weft_lower_identity(struct weft_lower *lower)
{
	struct weft_operand x;
	int r = weft_input(lower, 0, &x);

	return r ? r : weft_output_is(lower, 0, x.id);
}
