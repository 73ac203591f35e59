// SPDX-License-Identifier: MIT
#include "import/quantized.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "graph/layout.h"
#include "import/expression.h"
#include "import/operators.h"
#include "weft/error.h"

void weft_integer_free(struct weft_integer *integer)
{
	if (!integer)
		return;
	free(integer->node_name);
	free(integer->quantization.scale);
	free(integer->quantization.zero);
	free(integer);
}

static void range_of(uint8_t type, int32_t *low, int32_t *high)
{
	*low = type == WEFT_TYPE_I8 ? -128 : type == WEFT_TYPE_U8 ? 0 : INT32_MIN;
	*high = type == WEFT_TYPE_I8 ? 127 : type == WEFT_TYPE_U8 ? 255 : INT32_MAX;
}

void weft_integer_clamp(const struct weft_integer_result *result, int32_t *low, int32_t *high)
{
	const struct weft_quantization *q = result->quantization;
	double below = rint(result->low / q->scale[0]) + q->zero[0],
	       above = rint(result->high / q->scale[0]) + q->zero[0];

	range_of(q->type, low, high);
	if (below > *low)
		*low = below < *high ? (int32_t)below : *high;
	if (above < *high)
		*high = above > *low ? (int32_t)above : *low;
}

void weft_integer_multiplier(double factor, int32_t multiplier[2])
{
	int exponent;
	double fraction = frexp(factor, &exponent), scaled = rint(fraction * 0x1p31);
	int shift = 31 - exponent;

	if (scaled == 0x1p31) {
		scaled = 0x1p30;
		shift--;
	}
	if (shift > 62) {
		scaled = shift > 93 ? 0 : rint(scaled * ldexp(1, 62 - shift));
		shift = 62;
	}
	/* Results are far out of range then. */
	if (shift < 1) {
		scaled = INT32_MAX;
		shift = 1;
	}
	multiplier[0] = (int32_t)scaled;
	multiplier[1] = shift;
}

const struct weft_integer *weft_integer_input(const struct weft_lower *lower, unsigned int index, bool channels)
{
	const struct weft_symbol *symbol = weft_input_symbol(lower, index);
	const struct weft_integer *integer = symbol ? symbol->integer : NULL;

	if (!integer || integer->node || (!channels && integer->quantization.count != 1))
		return NULL;
	return integer;
}

bool weft_integer_operand(const struct weft_lower *lower, const struct weft_integer *integer,
			  struct weft_operand *operand)
{
	if (integer->value == WEFT_NO_ID)
		return false;
	*operand = weft_operand_of(lower->graph, integer->value);
	return true;
}

int weft_integer_value(struct weft_lower *lower, const struct weft_integer_result *result,
		       const struct weft_layout *layout, struct weft_operand *y)
{
	struct weft_layout quantized = *layout;

	quantized.type = result->quantization->type;
	return weft_temporary(lower, &quantized, y);
}

/* The dimension that scales stand along where they are several. */
static int read_axis(struct weft_lower *lower, unsigned int rank, unsigned int *axis)
{
	*axis = 0;
	if (!rank || (rank < 2 && !weft_attribute(lower, "axis")))
		return 0;
	return weft_axis(lower, weft_attribute_int(lower, "axis", 1), rank, axis);
}

/* Scale and zero point of the present node, where they are constants that make sense. */
static int read_quantization(struct weft_lower *lower, uint8_t type, const struct weft_layout *x,
			     struct weft_quantization *q, bool *known)
{
	const struct weft_host_tensor *scale = weft_input_maybe(lower, 1), *zero = NULL;
	int r = 0;

	*known = false;
	memset(q, 0, sizeof(*q));
	if (weft_has_input(lower, 2))
		zero = weft_input_maybe(lower, 2);
	if (!scale || scale->type != WEFT_TYPE_F32 || scale->rank > 1 || (weft_has_input(lower, 2) && !zero) ||
	    (zero && (zero->elements != scale->elements || zero->type != type)))
		return 0;
	q->type = type;
	q->count = (uint32_t)scale->elements;
	if (q->count != 1) {
		r = read_axis(lower, x->rank, &q->axis);
		if (!r && q->count != x->dims[q->axis])
			r = weft_node_fail(lower, EINVAL, "%u scales for %u elements along axis %u", q->count,
					   x->dims[q->axis], q->axis);
	}
	if (r)
		return r;
	q->scale = calloc(q->count + 1u, sizeof(*q->scale));
	q->zero = calloc(q->count + 1u, sizeof(*q->zero));
	if (!q->scale || !q->zero)
		return weft_fail(ENOMEM, "no memory for %u scales", q->count);
	for (uint32_t i = 0; i < q->count; i++) {
		q->scale[i] = weft_host_number(scale, i);
		q->zero[i] = zero ? (int32_t)weft_host_integer(zero, i) : 0;
		if (!(q->scale[i] > 0) || !isfinite(q->scale[i]))
			return 0;
	}
	*known = true;
	return 0;
}

static struct weft_integer *new_integer(void)
{
	struct weft_integer *integer = calloc(1, sizeof(*integer));

	if (integer)
		integer->value = WEFT_NO_ID;
	return integer;
}

static struct weft_symbol *output_symbol(const struct weft_lower *lower)
{
	struct weft_symbol *symbol = weft_has_output(lower, 0) ? weft_find_symbol(lower, lower->node->output[0]) : NULL;

	if (!symbol || symbol->value != WEFT_NO_ID || symbol->known || symbol->initializer || symbol->integer)
		return NULL;
	return symbol;
}

/* DequantizeLinear: the output remembers its integers. */
static int remember(struct weft_lower *lower, bool *done)
{
	struct weft_symbol *from = weft_input_symbol(lower, 0), *to = output_symbol(lower);
	const struct weft_host_tensor *constant = weft_input_maybe(lower, 0);
	struct weft_layout layout;
	struct weft_integer *integer;
	bool known;
	int r;

	if (!from || !to || (from->value == WEFT_NO_ID && !constant))
		return 0;
	r = weft_input_shape(lower, 0, &layout);
	if (r || (layout.type != WEFT_TYPE_I8 && layout.type != WEFT_TYPE_U8 && layout.type != WEFT_TYPE_I32))
		return r;
	integer = new_integer();
	if (!integer)
		return weft_fail(ENOMEM, "no memory for %s", to->name);
	r = read_quantization(lower, layout.type, &layout, &integer->quantization, &known);
	if (r || !known) {
		weft_integer_free(integer);
		return r;
	}
	if (constant)
		integer->constant = constant;
	else
		integer->value = from->value;
	to->integer = integer;
	*done = true;
	return 0;
}

static int put_off(struct weft_lower *lower, bool *done)
{
	struct weft_symbol *to = output_symbol(lower);
	struct weft_integer *integer;

	if (!to || lower->node->n_output > 1)
		return 0;
	integer = new_integer();
	if (integer)
		integer->node_name = strdup(lower->node_name);
	if (!integer || !integer->node_name) {
		weft_integer_free(integer);
		return weft_fail(ENOMEM, "no memory for %s", to->name);
	}
	integer->node = lower->node;
	to->integer = integer;
	*done = true;
	return 0;
}

static bool is_one_of(const struct weft_lower *lower, const char *const names[])
{
	for (; *names; names++)
		if (!strcmp(lower->node->op_type, *names))
			return true;
	return false;
}

static struct weft_quantization copy_quantization(const struct weft_quantization *from)
{
	struct weft_quantization q = *from;

	q.scale = calloc(q.count + 1u, sizeof(*q.scale));
	q.zero = calloc(q.count + 1u, sizeof(*q.zero));
	if (q.scale && q.zero) {
		memcpy(q.scale, from->scale, q.count * sizeof(*q.scale));
		memcpy(q.zero, from->zero, q.count * sizeof(*q.zero));
	}
	return q;
}

/* A node that moves elements: its usual lowering sees the integers in place of what they stand for. */
static int move_integers(struct weft_lower *lower, bool *done)
{
	struct weft_symbol *from = weft_input_symbol(lower, 0), *to = output_symbol(lower);
	const struct weft_integer *behind = weft_integer_input(lower, 0, false);
	struct weft_integer *integer;
	weft_id had;
	int r;

	if (!to || !behind || behind->value == WEFT_NO_ID)
		return 0;
	integer = new_integer();
	if (integer)
		integer->quantization = copy_quantization(&behind->quantization);
	if (!integer || !integer->quantization.scale || !integer->quantization.zero) {
		weft_integer_free(integer);
		return weft_fail(ENOMEM, "no memory for %s", to->name);
	}
	had = from->value;
	from->value = behind->value;
	r = weft_lower_operator(lower);
	from->value = had;
	integer->value = to->value;
	to->value = WEFT_NO_ID;
	to->integer = integer;
	*done = true;
	return r;
}

/* Whether the present node is put off although its input is: activations that fuse. */
static bool extends_pending(const struct weft_lower *lower)
{
	static const char *const activations[] = {"Relu", "Clip", NULL};
	const struct weft_symbol *symbol = weft_input_symbol(lower, 0);

	return is_one_of(lower, activations) && symbol && symbol->integer && symbol->integer->node &&
	       symbol->uses == 1 && !symbol->output;
}

static bool can_be_put_off(const struct weft_lower *lower)
{
	static const char *const of_one[] = {
		"Relu", "Clip", "LeakyRelu",   "Sigmoid",	    "Tanh",    "HardSigmoid", "HardSwish",
		"Elu",	"Gelu", "Erf",	       "Softplus",	    "Mish",    "Abs",	      "Neg",
		"Exp",	"Sqrt", "AveragePool", "GlobalAveragePool", "Softmax", "MaxPool",     NULL};
	static const char *const of_two[] = {"Add", "Mul", "Sub", NULL};
	const struct weft_integer *x = weft_integer_input(lower, 0, false), *y;

	if (weft_is_integer_product(lower) || extends_pending(lower))
		return true;
	if (!x || x->value == WEFT_NO_ID)
		return false;
	if (is_one_of(lower, of_one))
		return true;
	y = is_one_of(lower, of_two) ? weft_integer_input(lower, 1, false) : NULL;
	return y && y->value != WEFT_NO_ID;
}

/* Integers of the same kind need not be touched. */
static bool same_numbers(const struct weft_quantization *a, const struct weft_quantization *b)
{
	return a->type == b->type && a->count == 1 && b->count == 1 && a->scale[0] == b->scale[0] &&
	       a->zero[0] == b->zero[0];
}

/* QuantizeLinear of what integers stand behind. */
static int quantize_integers(struct weft_lower *lower, bool *done)
{
	struct weft_symbol *from = weft_input_symbol(lower, 0), *to = output_symbol(lower);
	const struct weft_host_tensor *zero = weft_has_input(lower, 2) ? weft_input_maybe(lower, 2) : NULL;
	struct weft_integer_result result = {.low = -INFINITY, .high = INFINITY};
	uint8_t type = zero ? zero->type : WEFT_TYPE_U8;
	struct weft_quantization q = {0};
	const Onnx__NodeProto *node = lower->node;
	const char *node_name = lower->node_name;
	struct weft_layout none = {0};
	bool known = false;
	weft_id id;
	int r;

	if (!from || !to || !from->integer || (weft_has_input(lower, 2) && !zero) ||
	    (type != WEFT_TYPE_I8 && type != WEFT_TYPE_U8))
		return 0;
	if (weft_input_maybe(lower, 1) && weft_input_maybe(lower, 1)->elements != 1)
		return 0;
	r = read_quantization(lower, type, &none, &q, &known);
	if (!r && known && !from->integer->node && from->integer->value != WEFT_NO_ID &&
	    same_numbers(&from->integer->quantization, &q)) {
		*done = true;
		r = weft_output_is(lower, 0, from->integer->value);
	} else if (!r && known) {
		result.quantization = &q;
		r = weft_integer_emit(lower, from->integer, &result, &id, done);
		lower->node = node;
		lower->node_name = node_name;
		if (!r && *done)
			r = weft_output_is(lower, 0, id);
	}
	free(q.scale);
	free(q.zero);
	return r;
}

int weft_lower_integers(struct weft_lower *lower, bool *done)
{
	static const char *const movers[] = {"Reshape",	  "Flatten",  "Transpose", "Squeeze",
					     "Unsqueeze", "Identity", "Slice",	   NULL};

	*done = false;
	if (!strcmp(lower->node->op_type, "DequantizeLinear"))
		return remember(lower, done);
	if (!strcmp(lower->node->op_type, "QuantizeLinear"))
		return quantize_integers(lower, done);
	if (is_one_of(lower, movers))
		return move_integers(lower, done);
	return can_be_put_off(lower) ? put_off(lower, done) : 0;
}

/* The scales, or zero points of type @type, of a constant as an operand that broadcasts to a tensor of @rank. */
static struct weft_operand constant_row(struct weft_expression *e, const struct weft_quantization *q, unsigned int rank,
					bool zeros)
{
	struct weft_layout layout = {.type = zeros ? q->type : WEFT_TYPE_F32, .rank = (uint8_t)rank};
	struct weft_host_tensor host = {.type = layout.type, .elements = q->count};
	struct weft_operand constant;

	for (unsigned int d = 0; d < rank; d++)
		layout.dims[d] = q->count > 1 && d == q->axis ? q->count : 1;
	constant = weft_expression_constant(e, &layout, &host.data);
	for (uint32_t i = 0; host.data && i < q->count; i++) {
		if (zeros)
			weft_host_set_integer(&host, i, q->zero[i]);
		else
			weft_host_set_number(&host, i, q->scale[i]);
	}
	return constant;
}

static bool zeros_differ(const struct weft_quantization *q)
{
	for (uint32_t i = 1; i < q->count; i++)
		if (q->zero[i] != q->zero[0])
			return true;
	return false;
}

/* The float tensor of integers on the device. */
static int dequantize_value(struct weft_lower *lower, const struct weft_integer *integer, weft_id *id)
{
	const struct weft_quantization *q = &integer->quantization;
	struct weft_expression e = {.lower = lower};
	struct weft_operand operand[4] = {weft_operand_of(lower->graph, integer->value), WEFT_ABSENT, WEFT_ABSENT,
					  WEFT_ABSENT};
	unsigned int rank = operand[0].layout.rank;
	bool differ = zeros_differ(q);
	struct weft_layout layout;
	weft_id at;

	operand[1] = constant_row(&e, q, rank, false);
	if (differ)
		operand[2] = constant_row(&e, q, rank, true);
	layout = weft_layout_like(&operand[0].layout, WEFT_TYPE_F32, rank, operand[0].layout.dims);
	if (!e.error)
		e.error = weft_temporary(lower, &layout, &operand[3]);
	if (!e.error)
		e.error = weft_build_broadcast(lower->graph, lower->node_name, WEFT_OP_DEQUANTIZE, NULL, 3, 4, operand,
					       3, &at);
	if (!e.error && !differ)
		lower->graph->operation[at].zero_point[0] = q->zero[0];
	*id = operand[3].id;
	return e.error;
}

/* A constant's numbers. */
static int dequantize_constant(const struct weft_integer *integer, struct weft_host_tensor **tensor)
{
	const struct weft_host_tensor *from = integer->constant;
	const struct weft_quantization *q = &integer->quantization;
	size_t inner = 1;
	int r = weft_host_tensor_new(WEFT_TYPE_F32, from->rank, from->dims, tensor);

	for (unsigned int d = q->axis + 1; d < from->rank; d++)
		inner *= from->dims[d];
	for (size_t i = 0; !r && i < from->elements; i++) {
		uint32_t c = q->count > 1 ? (uint32_t)(i / inner % q->count) : 0;
		/* As the device does it: an exact difference, rounded, times the scale. */
		float difference = (float)(weft_host_integer(from, i) - q->zero[c]);

		((float *)(*tensor)->data)[i] = difference * (float)q->scale[c];
	}
	return r;
}

int weft_integer_materialize(struct weft_lower *lower, struct weft_symbol *symbol)
{
	struct weft_integer *integer = symbol->integer;
	const Onnx__NodeProto *node = lower->node;
	const char *node_name = lower->node_name;
	weft_id id;
	int r;

	if (!integer->node && integer->value == WEFT_NO_ID)
		return symbol->known ? 0 : dequantize_constant(integer, &symbol->known);
	if (!integer->node) {
		r = dequantize_value(lower, integer, &id);
		if (!r)
			symbol->value = id;
		return r;
	}
	lower->node = integer->node;
	lower->node_name = integer->node_name;
	if (weft_is_integer_product(lower)) {
		r = weft_integer_product(lower, NULL, &id);
		if (!r)
			r = weft_output_is(lower, 0, id);
	} else {
		r = weft_lower_operator(lower);
	}
	lower->node = node;
	lower->node_name = node_name;
	return r;
}

/* Input @index, a scale or zero point of rank 0 or 1, as an operand that broadcasts to @x along the axis. */
static struct weft_operand input_row(struct weft_expression *e, unsigned int index, const struct weft_layout *x)
{
	struct weft_operand row = weft_expression_dense(e, index);
	uint32_t dims[WEFT_MAX_RANK];
	unsigned int axis = 0;

	if (e->error)
		return row;
	if (row.layout.rank > 1 || (row.layout.rank && row.layout.dims[0] != 1 && !x->rank))
		e->error = weft_node_fail(e->lower, EOPNOTSUPP, "input %u is neither a scalar nor a vector", index);
	for (unsigned int d = 0; d < x->rank; d++)
		dims[d] = 1;
	if (!e->error && row.layout.rank && row.layout.dims[0] != 1) {
		e->error = read_axis(e->lower, x->rank, &axis);
		if (!e->error && row.layout.dims[0] != x->dims[axis])
			e->error = weft_node_fail(e->lower, EINVAL, "input %u has %u elements, dimension %u has %u",
						  index, row.layout.dims[0], axis, x->dims[axis]);
		if (!e->error)
			dims[axis] = row.layout.dims[0];
	}
	return e->error ? WEFT_ABSENT : weft_expression_reshape(e, row, x->rank, dims);
}

/* The operation as it stands; @quantized is the slot of the integers. */
static int build_conversion(struct weft_lower *lower, uint16_t opcode, uint8_t type, struct weft_operand operand[4],
			    unsigned int quantized)
{
	const struct weft_host_tensor *zero = weft_has_input(lower, 2) ? weft_input_maybe(lower, 2) : NULL;
	struct weft_expression e = {.lower = lower};
	struct weft_layout layout;
	weft_id at;

	operand[1] = input_row(&e, 1, &operand[0].layout);
	operand[2] = WEFT_ABSENT;
	if (weft_has_input(lower, 2) && !(zero && zero->elements == 1))
		operand[2] = input_row(&e, 2, &operand[0].layout);
	layout = weft_layout_like(&operand[0].layout, type, operand[0].layout.rank, operand[0].layout.dims);
	if (!e.error && operand[1].layout.type != WEFT_TYPE_F32)
		e.error = weft_node_fail(lower, EINVAL, "the scale is not a float tensor");
	if (!e.error)
		e.error = weft_output(lower, 0, &layout, &operand[3]);
	/* Scales are not trained, and gradients want to see both conversions of a pair alike. */
	if (!e.error)
		lower->graph->value[lower->graph->value[operand[1].id].base].frozen = true;
	if (!e.error && lower->options->training)
		e.error = weft_build(lower->graph, lower->node_name, opcode, NULL, 3, 4, operand, &at);
	else if (!e.error)
		e.error = weft_build_broadcast(lower->graph, lower->node_name, opcode, NULL, 3, 4, operand, 3, &at);
	if (!e.error && zero && zero->elements == 1)
		lower->graph->operation[at].zero_point[quantized] = (int32_t)weft_host_integer(zero, 0);
	return e.error;
}

int weft_lower_quantize(struct weft_lower *lower)
{
	struct weft_layout zero = {.type = WEFT_TYPE_U8};
	struct weft_operand operand[4];
	int r = weft_has_input(lower, 2) ? weft_input_shape(lower, 2, &zero) : 0;

	if (!r)
		r = weft_input(lower, 0, &operand[0]);
	if (r)
		return r;
	if (operand[0].layout.type != WEFT_TYPE_F32 || (zero.type != WEFT_TYPE_I8 && zero.type != WEFT_TYPE_U8))
		return weft_lower_quantize_linear(lower);
	return build_conversion(lower, WEFT_OP_QUANTIZE, zero.type, operand, 3);
}

int weft_lower_dequantize(struct weft_lower *lower)
{
	struct weft_operand operand[4];
	int r = weft_input(lower, 0, &operand[0]);

	if (r)
		return r;
	if (operand[0].layout.type != WEFT_TYPE_I8 && operand[0].layout.type != WEFT_TYPE_U8 &&
	    operand[0].layout.type != WEFT_TYPE_I32)
		return weft_lower_dequantize_linear(lower);
	return build_conversion(lower, WEFT_OP_DEQUANTIZE, WEFT_TYPE_F32, operand, 0);
}
