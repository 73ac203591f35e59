// SPDX-License-Identifier: MIT
/*
 * Operations on integers that stand for quantized numbers.  Zero points and clamps
 * are values of the operand's type; multipliers in memory are the engine's to check.
 */
#include "check.h"

#define I32 TYPE(I32)

static void range_of(uint32_t type, int32_t *low, int32_t *high)
{
	*low = type == WEFT_TYPE_I8 ? -128 : type == WEFT_TYPE_I4 ? -8 : 0;
	*high = type == WEFT_TYPE_I8 ? 127 : type == WEFT_TYPE_U8 ? 255 : type == WEFT_TYPE_I4 ? 7 : 0;
}

static uint32_t zero_point(struct check *check, uint32_t operand)
{
	const struct weft_tensor *tensor = check_operand(check, operand);
	int32_t low, high;

	range_of(tensor->type, &low, &high);
	if (tensor->zero_point < low || tensor->zero_point > high)
		return check_fail(check, WEFT_FAULT_PARAMETER, operand, offsetof(struct weft_tensor, zero_point),
				  (uint32_t)tensor->zero_point);
	return WEFT_FAULT_NONE;
}

static uint32_t zero_points(struct check *check)
{
	for (uint32_t i = 0; i < check->command->operands; i++) {
		if (check_present(check, i))
			CHECK(zero_point(check, i));
	}
	return WEFT_FAULT_NONE;
}

/* low and high, at @offset and after it, fit the result's type and are in order. */
static uint32_t clamp(struct check *check, uint32_t offset, uint32_t result)
{
	int32_t low = (int32_t)check_param(check, offset), high = (int32_t)check_param(check, offset + 4);
	int32_t least, most;

	range_of(check_operand(check, result)->type, &least, &most);
	if (low < least || low > most)
		return check_fail_param(check, offset, (uint32_t)low);
	if (high < low || high > most)
		return check_fail_param(check, offset + 4, (uint32_t)high);
	return WEFT_FAULT_NONE;
}

/* m and s of R, at @offset and after it. */
static uint32_t rounding(struct check *check, uint32_t offset)
{
	CHECK(check_param_most(check, offset, INT32_MAX));
	CHECK(check_param_least(check, offset + 4, 1));
	return check_param_most(check, offset + 4, 62);
}

/* A multiplier tensor for @channels. */
static uint32_t multiplier(struct check *check, uint32_t operand, uint32_t channels)
{
	const struct weft_tensor *tensor = check_operand(check, operand);

	CHECK(check_rank(check, operand, 2, 2));
	if (tensor->dims[0] != channels && tensor->dims[0] != 1)
		return check_fail_dim(check, operand, 0, channels);
	return check_dim(check, operand, 1, 2);
}

/* [bias], [multiplier] and the result of a product in slots 2, 3 and 4. */
static uint32_t product_result(struct check *check, uint32_t offset, uint32_t channels)
{
	bool totals = check_operand(check, 4)->type == WEFT_TYPE_I32;

	CHECK(zero_points(check));
	CHECK(clamp(check, offset, 4));
	if (check_present(check, 2))
		CHECK(check_vector(check, 2, channels));
	if (check_present(check, 3) && totals)
		return check_fail_type(check, 4);
	if (!check_present(check, 3) && !totals)
		return check_fail(check, WEFT_FAULT_OPERANDS, 3, 0, 0);
	return totals ? WEFT_FAULT_NONE : multiplier(check, 3, channels);
}

/* A product of extents that engines count in 32 bits. */
static uint32_t countable(struct check *check, uint32_t operand, uint32_t first, uint32_t end)
{
	const struct weft_tensor *tensor = check_operand(check, operand);
	uint64_t count = 1;

	for (uint32_t i = first; i < end; i++) {
		count *= tensor->dims[i];
		if (count > INT32_MAX)
			return check_fail_dim(check, operand, i, 0);
	}
	return WEFT_FAULT_NONE;
}

/* Weights in panels: @depth by @columns. */
static uint32_t panels(struct check *check, uint64_t depth, uint32_t columns)
{
	const uint32_t dims[4] = {columns / WEFT_PANEL_COLUMNS + (columns % WEFT_PANEL_COLUMNS != 0),
				  (uint32_t)(depth / 4), WEFT_PANEL_COLUMNS, 4};
	const struct weft_tensor *w = check_operand(check, 1);
	uint64_t stride = 1;

	if (w->type != WEFT_TYPE_I8)
		return check_fail_type(check, 1);
	CHECK(check_rank(check, 1, 4, 4));
	if (depth % 4 || depth > INT32_MAX)
		return check_fail_dim(check, 1, 1, 0);
	for (uint32_t i = 4; i-- > 0; stride *= dims[i]) {
		CHECK(check_dim(check, 1, i, dims[i]));
		if (w->strides[i] < 0 || (uint64_t)w->strides[i] != stride)
			return check_fail_dim(check, 1, i + WEFT_DETAIL_STRIDE, stride);
	}
	return WEFT_FAULT_NONE;
}

static uint32_t qmatmul_panels(struct check *check)
{
	const struct weft_tensor *a = check_operand(check, 0), *c = check_operand(check, 4);

	CHECK(check_rank(check, 0, 2, 2));
	CHECK(check_rank(check, 4, 2, 2));
	CHECK(countable(check, 0, 0, 1));
	CHECK(countable(check, 4, 1, 2));
	CHECK(panels(check, a->dims[1], c->dims[1]));
	CHECK(check_dim(check, 4, 0, a->dims[0]));
	return product_result(check, PARAM(qmatmul.low), c->dims[1]);
}

static uint32_t qmatmul(struct check *check)
{
	const struct weft_tensor *a = check_operand(check, 0), *b = check_operand(check, 1);
	uint32_t rank = a->rank;

	CHECK(check_param_most(check, PARAM(qmatmul.panels), 1));
	if (check_param(check, PARAM(qmatmul.panels)))
		return qmatmul_panels(check);
	CHECK(check_rank(check, 0, 2, 4));
	CHECK(check_rank(check, 1, rank, rank));
	CHECK(check_rank(check, 4, rank, rank));
	CHECK(countable(check, 0, 0, rank - 2));
	CHECK(countable(check, 0, rank - 2, rank - 1));
	CHECK(countable(check, 0, rank - 1, rank));
	CHECK(countable(check, 1, rank - 1, rank));
	CHECK(check_dim(check, 1, rank - 2, a->dims[rank - 1]));
	for (uint32_t i = 0; i + 2 < rank; i++) {
		CHECK(check_dim(check, 1, i, a->dims[i]));
		CHECK(check_dim(check, 4, i, a->dims[i]));
	}
	CHECK(check_dim(check, 4, rank - 2, a->dims[rank - 2]));
	CHECK(check_dim(check, 4, rank - 1, b->dims[rank - 1]));
	return product_result(check, PARAM(qmatmul.low), b->dims[rank - 1]);
}

static uint32_t qconv_panels(struct check *check, uint32_t height, uint32_t width)
{
	const struct weft_tensor *x = check_operand(check, 0), *y = check_operand(check, 4);
	uint64_t taps = (uint64_t)height * width;

	CHECK(check_rank(check, 0, 4, 4));
	CHECK(check_rank(check, 4, 4, 4));
	CHECK(check_param_least(check, PARAM(qconv.kernel), 1));
	CHECK(check_param_least(check, PARAM(qconv.kernel) + 4, 1));
	if (check_param(check, PARAM(qconv.groups)) != 1)
		return check_fail_param(check, PARAM(qconv.groups), check_param(check, PARAM(qconv.groups)));
	if (taps > INT32_MAX)
		return check_fail_param(check, PARAM(qconv.kernel), height);
	CHECK(panels(check, taps * x->dims[3], y->dims[3]));
	CHECK(check_dim(check, 4, 0, x->dims[0]));
	CHECK(countable(check, 4, 0, 3));
	CHECK(countable(check, 4, 3, 4));
	CHECK(check_conv_window(check, PARAM(qconv.stride), 0, height, y->dims[1]));
	CHECK(check_conv_window(check, PARAM(qconv.stride), 1, width, y->dims[2]));
	return product_result(check, PARAM(qconv.low), y->dims[3]);
}

static uint32_t qconv(struct check *check)
{
	const struct weft_tensor *x = check_operand(check, 0), *w = check_operand(check, 1);
	const struct weft_tensor *y = check_operand(check, 4);
	uint32_t groups = check_param(check, PARAM(qconv.groups));
	uint32_t height = check_param(check, PARAM(qconv.kernel)), width = check_param(check, PARAM(qconv.kernel) + 4);

	if (height || width)
		return qconv_panels(check, height, width);
	CHECK(check_rank(check, 0, 4, 4));
	CHECK(check_rank(check, 1, 4, 4));
	CHECK(check_rank(check, 4, 4, 4));
	if (!groups || x->dims[3] % groups || w->dims[3] % groups)
		return check_fail_param(check, PARAM(qconv.groups), groups);
	CHECK(check_dim(check, 1, 2, x->dims[3] / groups));
	CHECK(check_dim(check, 4, 0, x->dims[0]));
	CHECK(check_dim(check, 4, 3, w->dims[3]));
	CHECK(countable(check, 1, 0, 3));
	CHECK(countable(check, 4, 0, 3));
	CHECK(check_conv_window(check, PARAM(qconv.stride), 0, w->dims[0], y->dims[1]));
	CHECK(check_conv_window(check, PARAM(qconv.stride), 1, w->dims[1], y->dims[2]));
	return product_result(check, PARAM(qconv.low), w->dims[3]);
}

/* QUANTIZE and DEQUANTIZE; @quantized is the side that has the zero point. */
static uint32_t convert(struct check *check, uint32_t quantized)
{
	CHECK(zero_points(check));
	CHECK(check_broadcast(check, 1, 0));
	CHECK(check_same_dims(check, 3, 0));
	if (!check_present(check, 2))
		return WEFT_FAULT_NONE;
	CHECK(check_same_type(check, 2, quantized));
	if (check_operand(check, quantized)->zero_point)
		return check_fail(check, WEFT_FAULT_PARAMETER, quantized, offsetof(struct weft_tensor, zero_point),
				  (uint32_t)check_operand(check, quantized)->zero_point);
	return check_broadcast(check, 2, 0);
}

static uint32_t quantize(struct check *check)
{
	return convert(check, 3);
}

static uint32_t dequantize(struct check *check)
{
	return convert(check, 0);
}

static uint32_t requantize(struct check *check)
{
	const struct weft_tensor *x = check_operand(check, 0);

	CHECK(zero_points(check));
	CHECK(check_rank(check, 0, 1, WEFT_MAX_RANK));
	CHECK(multiplier(check, 1, x->dims[x->rank - 1]));
	CHECK(check_same_dims(check, 2, 0));
	return clamp(check, PARAM(qmatmul.low), 2);
}

static uint32_t elementwise(struct check *check, uint32_t offset)
{
	CHECK(zero_points(check));
	CHECK(check_same_dims(check, 0, 2));
	CHECK(check_same_dims(check, 1, 2));
	return clamp(check, offset, 2);
}

static uint32_t qadd(struct check *check)
{
	for (uint32_t i = 0; i < 2; i++) {
		int32_t factor = (int32_t)check_param(check, PARAM(qadd.factor) + 4 * i);

		if (factor < -(1 << 21) || factor > 1 << 21)
			return check_fail_param(check, PARAM(qadd.factor) + 4 * i, (uint32_t)factor);
	}
	CHECK(check_param_least(check, PARAM(qadd.shift), 1));
	CHECK(check_param_most(check, PARAM(qadd.shift), 30));
	return elementwise(check, PARAM(qadd.low));
}

static uint32_t qmul(struct check *check)
{
	CHECK(rounding(check, PARAM(qmul.multiplier)));
	return elementwise(check, PARAM(qmul.low));
}

static uint32_t qmaxpool(struct check *check)
{
	const struct weft_tensor *x = check_operand(check, 0), *y = check_operand(check, 1);

	CHECK(check_param_most(check, PARAM(qpool.count_pad), 0));
	CHECK(check_param_most(check, PARAM(qpool.multiplier), 0));
	CHECK(check_param_most(check, PARAM(qpool.shift), 0));
	CHECK(check_pool_windows(check, 0, 1));
	CHECK(check_same_type(check, 1, 0));
	CHECK(zero_points(check));
	if (y->zero_point != x->zero_point)
		return check_fail(check, WEFT_FAULT_PARAMETER, 1, offsetof(struct weft_tensor, zero_point),
				  (uint32_t)y->zero_point);
	return clamp(check, PARAM(qpool.low), 1);
}

static uint32_t qavgpool(struct check *check)
{
	uint32_t height = check_param(check, PARAM(qpool.kernel)), width = check_param(check, PARAM(qpool.kernel) + 4);

	CHECK(check_param_most(check, PARAM(qpool.count_pad), 1));
	CHECK(rounding(check, PARAM(qpool.multiplier)));
	CHECK(check_pool_windows(check, 0, 1));
	/* The sum of a window is to fit 32 bits. */
	if ((uint64_t)height * width > 1 << 22)
		return check_fail_param(check, PARAM(qpool.kernel), height);
	CHECK(zero_points(check));
	return clamp(check, PARAM(qpool.low), 1);
}

static uint32_t qlookup(struct check *check)
{
	CHECK(zero_points(check));
	CHECK(check_vector(check, 1, 256));
	CHECK(check_same_type(check, 2, 1));
	return check_same_dims(check, 2, 0);
}

static uint32_t qsoftmax(struct check *check)
{
	CHECK(zero_points(check));
	CHECK(check_rank(check, 0, 1, WEFT_MAX_RANK));
	CHECK(check_param_least(check, PARAM(qsoftmax.bits), 1));
	CHECK(check_param_most(check, PARAM(qsoftmax.bits), 16));
	CHECK(check_vector(check, 1, 256));
	return check_same_dims(check, 2, 0);
}

static uint32_t qlayernorm(struct check *check)
{
	const struct weft_tensor *x = check_operand(check, 0);
	uint64_t epsilon = check_param(check, PARAM(qlayernorm.epsilon)) |
			   (uint64_t)check_param(check, PARAM(qlayernorm.epsilon) + 4) << 32;
	uint32_t channels;

	CHECK(zero_points(check));
	CHECK(check_rank(check, 0, 1, WEFT_MAX_RANK));
	channels = x->dims[x->rank - 1];
	if (channels > WEFT_QLAYERNORM_MAX)
		return check_fail_dim(check, 0, x->rank - 1u, WEFT_QLAYERNORM_MAX);
	CHECK(check_vector(check, 1, channels));
	if (check_present(check, 2))
		CHECK(check_vector(check, 2, channels));
	CHECK(multiplier(check, 3, channels));
	CHECK(check_same_dims(check, 4, 0));
	if (!epsilon || epsilon > (uint64_t)1 << 46)
		return check_fail_param(check, PARAM(qlayernorm.epsilon), epsilon);
	return clamp(check, PARAM(qlayernorm.low), 4);
}

/* Two bytes to one, whose parameters end with @last. */
#define ELEMENTWISE(name, last)                                                                               \
	{                                                                                                     \
		.engines = ENGINE_COMPUTE, .operands = 3, .params = PARAMS_TO(name.last), .outputs = SLOT(2), \
		.in_place = SLOT(0) | SLOT(1), .quantized = SLOT(0) | SLOT(1) | SLOT(2),                      \
		.type = {QUANTIZED, QUANTIZED, QUANTIZED}, .check = name,                                     \
	}

/* Windows of bytes. */
#define POOL(name)                                                                                                \
	{                                                                                                         \
		.engines = ENGINE_COMPUTE, .operands = 2, .params = PARAMS_TO(qpool.shift), .outputs = SLOT(1),   \
		.inner_dense = SLOT(0) | SLOT(1), .quantized = SLOT(0) | SLOT(1), .type = {QUANTIZED, QUANTIZED}, \
		.check = name,                                                                                    \
	}

const struct check_op check_integer[16] =
	{
		[WEFT_OP_QMATMUL % 16] =
			{
				.engines = ENGINE_COMPUTE,
				.operands = 5,
				.params = PARAMS_TO(qmatmul.panels),
				.optional = SLOT(2) | SLOT(3),
				.outputs = SLOT(4),
				.inner_dense = SLOT(2) | SLOT(3) | SLOT(4),
				.quantized = SLOT(0) | SLOT(1) | SLOT(4),
				.type = {QUANTIZED, QUANTIZED_WEIGHT, I32, I32, QUANTIZED | I32},
				.check = qmatmul,
			},
		[WEFT_OP_QCONV % 16] =
			{
				.engines = ENGINE_COMPUTE,
				.operands = 5,
				.params = PARAMS_TO(qconv.kernel[1]),
				.optional = SLOT(2) | SLOT(3),
				.outputs = SLOT(4),
				.inner_dense = SLOT(0) | SLOT(1) | SLOT(2) | SLOT(3) | SLOT(4),
				.quantized = SLOT(0) | SLOT(1) | SLOT(4),
				.type = {QUANTIZED, QUANTIZED_WEIGHT, I32, I32, QUANTIZED | I32},
				.check = qconv,
			},
		[WEFT_OP_QUANTIZE % 16] =
			{
				.engines = ENGINE_COMPUTE,
				.operands = 4,
				.optional = SLOT(2),
				.outputs = SLOT(3),
				.quantized = SLOT(3),
				.type = {F32, F32, QUANTIZED, QUANTIZED},
				.check = quantize,
			},
		[WEFT_OP_DEQUANTIZE % 16] =
			{
				.engines = ENGINE_COMPUTE,
				.operands = 4,
				.optional = SLOT(2),
				.outputs = SLOT(3),
				.quantized = SLOT(0),
				.type = {QUANTIZED | I32, F32, QUANTIZED | I32, F32},
				.check = dequantize,
			},
		[WEFT_OP_REQUANTIZE % 16] =
			{
				.engines = ENGINE_COMPUTE,
				.operands = 3,
				.params = PARAMS_TO(qmatmul.high),
				.outputs = SLOT(2),
				.in_place = SLOT(0),
				.inner_dense = SLOT(1),
				.quantized = SLOT(0) | SLOT(2),
				.type = {QUANTIZED | I32, I32, QUANTIZED},
				.check = requantize,
			},
		[WEFT_OP_QADD % 16] = ELEMENTWISE(qadd, shift),
		[WEFT_OP_QMUL % 16] = ELEMENTWISE(qmul, shift),
		[WEFT_OP_QMAXPOOL % 16] = POOL(qmaxpool),
		[WEFT_OP_QAVGPOOL % 16] = POOL(qavgpool),
		[WEFT_OP_QLOOKUP % 16] =
			{
				.engines = ENGINE_COMPUTE,
				.operands = 3,
				.outputs = SLOT(2),
				.in_place = SLOT(0),
				.inner_dense = SLOT(1),
				.quantized = SLOT(0) | SLOT(2),
				.type = {QUANTIZED, QUANTIZED, QUANTIZED},
				.check = qlookup,
			},
		[WEFT_OP_QSOFTMAX % 16] =
			{
				.engines = ENGINE_COMPUTE,
				.operands = 3,
				.params = PARAMS_TO(qsoftmax.bits),
				.outputs = SLOT(2),
				.inner_dense = SLOT(0) | SLOT(1) | SLOT(2),
				.quantized = SLOT(0) | SLOT(2),
				.type = {QUANTIZED, I32, QUANTIZED},
				.check = qsoftmax,
			},
		[WEFT_OP_QLAYERNORM % 16] =
			{
				.engines = ENGINE_COMPUTE,
				.operands = 5,
				.params = PARAMS_TO(qlayernorm.epsilon),
				.optional = SLOT(2),
				.outputs = SLOT(4),
				.inner_dense = SLOT(0) | SLOT(1) | SLOT(2) | SLOT(3) | SLOT(4),
				.quantized = SLOT(0) | SLOT(4),
				.type = {QUANTIZED, TYPE(I8), I32, I32, QUANTIZED},
				.check = qlayernorm,
			},
};
