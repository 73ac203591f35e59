// SPDX-License-Identifier: MIT
/* Projections to bits and products of bits: see <weft_isa_projection.h>. */
#include "check.h"

#define BIT TYPE(BIT)
#define I8 TYPE(I8)

static uint32_t byte_zero_point(struct check *check, uint32_t operand)
{
	const struct weft_tensor *tensor = check_operand(check, operand);
	int32_t low = tensor->type == WEFT_TYPE_I8 ? -128 : 0;
	int32_t high = tensor->type == WEFT_TYPE_I8 ? 127 : tensor->type == WEFT_TYPE_U8 ? 255 : 0;

	if (tensor->zero_point < low || tensor->zero_point > high)
		return check_fail(check, WEFT_FAULT_PARAMETER, operand, offsetof(struct weft_tensor, zero_point),
				  (uint32_t)tensor->zero_point);
	return WEFT_FAULT_NONE;
}

static uint32_t dim_most(struct check *check, uint32_t operand, uint32_t dim, uint32_t most)
{
	return check_operand(check, operand)->dims[dim] > most ? check_fail_dim(check, operand, dim, 0)
							       : WEFT_FAULT_NONE;
}

/* Rows of @x and of the result @y, both of rank 2. */
static uint32_t rows(struct check *check, uint32_t x, uint32_t y)
{
	CHECK(check_rank(check, x, 2, 2));
	CHECK(check_rank(check, y, 2, 2));
	CHECK(check_dim(check, y, 0, check_operand(check, x)->dims[0]));
	/* Engines count rows in 32 bits, with room for a tile. */
	return dim_most(check, x, 0, INT32_MAX);
}

static uint32_t project(struct check *check)
{
	CHECK(rows(check, 0, 1));
	CHECK(byte_zero_point(check, 0));
	CHECK(dim_most(check, 1, 1, WEFT_PROJECT_MAX_BITS));
	CHECK(check_param_least(check, PARAM(project.taps), 1));
	return check_param_most(check, PARAM(project.taps), WEFT_PROJECT_MAX_TAPS);
}

static uint32_t features(struct check *check, uint32_t y)
{
	CHECK(rows(check, 0, y));
	CHECK(dim_most(check, 0, 1, WEFT_PROJECT_MAX_FEATURES));
	CHECK(dim_most(check, y, 1, WEFT_PROJECT_MAX_BITS));
	return check_param_most(check, PARAM(project.taps), 0);
}

static uint32_t project_hashed(struct check *check)
{
	CHECK(features(check, 2));
	return check_present(check, 1) ? check_same_dims(check, 1, 0) : WEFT_FAULT_NONE;
}

static uint32_t project_mean(struct check *check)
{
	return features(check, 1);
}

static uint32_t project_ternary(struct check *check)
{
	const struct weft_tensor *f = check_operand(check, 0);
	uint64_t count = 1;

	CHECK(check_rank(check, 0, 1, WEFT_MAX_RANK - 1));
	CHECK(check_rank(check, 1, f->rank + 1u, f->rank + 1u));
	for (uint32_t i = 0; i < f->rank; i++) {
		CHECK(check_dim(check, 1, i, f->dims[i]));
		count *= f->dims[i];
		if (count > INT32_MAX)
			return check_fail_dim(check, 0, i, 0);
	}
	CHECK(dim_most(check, 1, f->rank, WEFT_PROJECT_MAX_BITS));
	return check_param_most(check, PARAM(project.taps), 0);
}

/* low and high are values of C's type, in order; 0 where C is of 32 bits. */
static uint32_t clamp(struct check *check)
{
	uint32_t type = check_operand(check, 4)->type;
	int32_t low = (int32_t)check_param(check, PARAM(bits.low)),
		high = (int32_t)check_param(check, PARAM(bits.high));
	int32_t least = type == WEFT_TYPE_I8 ? -128 : 0;
	int32_t most = type == WEFT_TYPE_I8 ? 127 : type == WEFT_TYPE_U8 ? 255 : 0;

	if (low < least || low > most)
		return check_fail_param(check, PARAM(bits.low), (uint32_t)low);
	if (high < low || high > most)
		return check_fail_param(check, PARAM(bits.high), (uint32_t)high);
	return WEFT_FAULT_NONE;
}

static uint32_t bit_matmul_real(struct check *check)
{
	if (check_operand(check, 4)->type != WEFT_TYPE_F32)
		return check_fail_type(check, 4);
	if (check_present(check, 2) && check_operand(check, 2)->type != WEFT_TYPE_F32)
		return check_fail_type(check, 2);
	if (check_present(check, 3))
		return check_fail_type(check, 3);
	return check_activation(check, PARAM(bits.activation));
}

static uint32_t bit_matmul_integer(struct check *check)
{
	const struct weft_tensor *c = check_operand(check, 4), *multiplier = check_operand(check, 3);
	bool totals = c->type == WEFT_TYPE_I32;

	if (c->type == WEFT_TYPE_F32)
		return check_fail_type(check, 4);
	if (check_present(check, 2) && check_operand(check, 2)->type != WEFT_TYPE_I32)
		return check_fail_type(check, 2);
	for (uint32_t offset = PARAM(bits.activation); offset <= PARAM(bits.beta); offset += 4)
		CHECK(check_param_most(check, offset, 0));
	if (check_present(check, 3) == totals)
		return totals ? check_fail_type(check, 4) : check_fail(check, WEFT_FAULT_OPERANDS, 3, 0, 0);
	if (totals)
		return WEFT_FAULT_NONE;
	CHECK(check_rank(check, 3, 2, 2));
	if (multiplier->dims[0] != c->dims[1] && multiplier->dims[0] != 1)
		return check_fail_dim(check, 3, 0, c->dims[1]);
	return check_dim(check, 3, 1, 2);
}

static uint32_t bit_matmul(struct check *check)
{
	const struct weft_tensor *a = check_operand(check, 0), *b = check_operand(check, 1);

	CHECK(rows(check, 0, 4));
	CHECK(check_rank(check, 1, 2, 2));
	CHECK(dim_most(check, 0, 1, WEFT_PROJECT_MAX_BITS));
	CHECK(check_dim(check, 1, 0, a->dims[1]));
	CHECK(check_dim(check, 4, 1, b->dims[1]));
	CHECK(dim_most(check, 1, 1, INT32_MAX));
	if (check_present(check, 2))
		CHECK(check_vector(check, 2, b->dims[1]));
	CHECK(byte_zero_point(check, 1));
	CHECK(byte_zero_point(check, 4));
	CHECK(check_param_most(check, PARAM(bits.signs), 1));
	CHECK(clamp(check));
	return b->type == WEFT_TYPE_F32 ? bit_matmul_real(check) : bit_matmul_integer(check);
}

static uint32_t bit_dot(struct check *check)
{
	const struct weft_tensor *a = check_operand(check, 0), *b = check_operand(check, 1);

	CHECK(rows(check, 0, 2));
	CHECK(check_rank(check, 1, 2, 2));
	CHECK(dim_most(check, 0, 1, WEFT_PROJECT_MAX_BITS));
	CHECK(check_dim(check, 1, 1, a->dims[1]));
	CHECK(dim_most(check, 1, 0, INT32_MAX));
	return check_dim(check, 2, 1, b->dims[0]);
}

/* BIT_PACK and BIT_UNPACK; @x is the side that is not of bits. */
static uint32_t convert(struct check *check, uint32_t x)
{
	const struct weft_tensor *tensor = check_operand(check, x);
	uint64_t count = 1;

	CHECK(check_rank(check, 0, 1, WEFT_MAX_RANK));
	CHECK(check_same_dims(check, 1, 0));
	for (uint32_t i = 0; i + 1 < tensor->rank; i++) {
		count *= tensor->dims[i];
		if (count > INT32_MAX)
			return check_fail_dim(check, x, i, 0);
	}
	/* Words are counted in 32 bits. */
	CHECK(dim_most(check, x, tensor->rank - 1u, INT32_MAX));
	return byte_zero_point(check, x);
}

static uint32_t bit_unpack(struct check *check)
{
	CHECK(check_param_most(check, PARAM(bits.low), 0));
	CHECK(check_param_most(check, PARAM(bits.high), 0));
	CHECK(check_param_most(check, PARAM(bits.signs), 1));
	return convert(check, 1);
}

static uint32_t bit_pack(struct check *check)
{
	return convert(check, 0);
}

const struct check_op check_projection[16] = {
	[WEFT_OP_PROJECT % 16] =
		{
			.engines = ENGINE_COMPUTE,
			.operands = 2,
			.params = PARAMS_TO(project.taps),
			.outputs = SLOT(1),
			.quantized = SLOT(0),
			.type = {F32 | QUANTIZED, BIT},
			.check = project,
		},
	[WEFT_OP_PROJECT_HASHED % 16] =
		{
			.engines = ENGINE_COMPUTE,
			.operands = 3,
			.params = PARAMS_TO(project.taps),
			.optional = SLOT(1),
			.outputs = SLOT(2),
			.type = {INDEX, F32, BIT},
			.check = project_hashed,
		},
	[WEFT_OP_PROJECT_MEAN % 16] =
		{
			.engines = ENGINE_COMPUTE,
			.operands = 2,
			.params = PARAMS_TO(project.taps),
			.outputs = SLOT(1),
			.type = {INDEX, F32},
			.check = project_mean,
		},
	[WEFT_OP_PROJECT_TERNARY % 16] =
		{
			.engines = ENGINE_COMPUTE,
			.operands = 2,
			.params = PARAMS_TO(project.taps),
			.outputs = SLOT(1),
			.inner_dense = SLOT(1),
			.type = {INDEX, I8 | F32},
			.check = project_ternary,
		},
	[WEFT_OP_BIT_MATMUL % 16] =
		{
			.engines = ENGINE_COMPUTE,
			.operands = 5,
			.params = PARAMS_TO(bits.beta),
			.optional = SLOT(2) | SLOT(3),
			.outputs = SLOT(4),
			.inner_dense = SLOT(2) | SLOT(3) | SLOT(4),
			.quantized = SLOT(1) | SLOT(4),
			.type = {BIT, F32 | I8, F32 | TYPE(I32), TYPE(I32), F32 | TYPE(I32) | QUANTIZED},
			.check = bit_matmul,
		},
	[WEFT_OP_BIT_DOT % 16] =
		{
			.engines = ENGINE_COMPUTE,
			.operands = 3,
			.outputs = SLOT(2),
			.type = {BIT, BIT, TYPE(I32)},
			.check = bit_dot,
		},
	[WEFT_OP_BIT_UNPACK % 16] =
		{
			.engines = ENGINE_COMPUTE,
			.operands = 2,
			.params = PARAMS_TO(bits.signs),
			.outputs = SLOT(1),
			.type = {BIT, F32 | I8},
			.check = bit_unpack,
		},
	[WEFT_OP_BIT_PACK % 16] =
		{
			.engines = ENGINE_COMPUTE,
			.operands = 2,
			.outputs = SLOT(1),
			.quantized = SLOT(0),
			.type = {F32 | QUANTIZED, BIT},
			.check = bit_pack,
		},
};
