// SPDX-License-Identifier: MIT
/* Operations on each element by itself. */
#include "check.h"

static uint32_t check_type(struct check *check, uint32_t operand, uint32_t types)
{
	return types & (1u << check_operand(check, operand)->type) ? WEFT_FAULT_NONE : check_fail_type(check, operand);
}

static uint32_t unary(struct check *check)
{
	uint32_t function = check_param(check, PARAM(unary.function));
	bool tests = function == WEFT_UNARY_ISNAN || function == WEFT_UNARY_ISINF;

	CHECK(check_param_most(check, PARAM(unary.function), WEFT_UNARY_FUNCTIONS - 1));
	CHECK(check_type(check, 0, function == WEFT_UNARY_NOT ? BOOL : F32));
	CHECK(check_type(check, 1, function == WEFT_UNARY_NOT || tests ? BOOL : F32));
	return check_same_dims(check, 1, 0);
}

static uint32_t unary_bwd(struct check *check)
{
	uint32_t function = check_param(check, PARAM(unary.function));

	if (function >= WEFT_UNARY_FUNCTIONS || function == WEFT_UNARY_NOT || function == WEFT_UNARY_ISNAN ||
	    function == WEFT_UNARY_ISINF)
		return check_fail_param(check, PARAM(unary.function), function);
	CHECK(check_same_dims(check, 1, 0));
	return check_same_dims(check, 2, 0);
}

static uint32_t binary(struct check *check)
{
	uint32_t function = check_param(check, PARAM(binary.function)), operands = ARITHMETIC;
	bool compares = function >= WEFT_BINARY_EQUAL && function <= WEFT_BINARY_GREATER_EQUAL;

	CHECK(check_param_most(check, PARAM(binary.function), WEFT_BINARY_FUNCTIONS - 1));
	if (function >= WEFT_BINARY_AND && function <= WEFT_BINARY_XOR)
		operands = BOOL;
	else if (function == WEFT_BINARY_SHIFT_LEFT || function == WEFT_BINARY_SHIFT_RIGHT)
		operands = INDEX;
	CHECK(check_type(check, 0, operands));
	CHECK(check_same_type(check, 1, 0));
	if (compares)
		CHECK(check_type(check, 2, BOOL));
	else
		CHECK(check_same_type(check, 2, 0));
	CHECK(check_param_most(check, PARAM(binary.activation),
			       check_operand(check, 2)->type == WEFT_TYPE_F32 ? WEFT_ACT_CLIP : WEFT_ACT_NONE));
	CHECK(check_same_dims(check, 0, 2));
	return check_same_dims(check, 1, 2);
}

static uint32_t where(struct check *check)
{
	CHECK(check_same_type(check, 2, 1));
	CHECK(check_same_type(check, 3, 1));
	CHECK(check_same_dims(check, 0, 3));
	CHECK(check_same_dims(check, 1, 3));
	return check_same_dims(check, 2, 3);
}

static uint32_t cast(struct check *check)
{
	return check_same_dims(check, 1, 0);
}

const struct check_op check_elementwise[16] = {
	[WEFT_OP_UNARY % 16] =
		{
			.engines = ENGINE_COMPUTE,
			.operands = 2,
			.params = PARAMS_TO(unary.beta),
			.outputs = SLOT(1),
			.in_place = SLOT(0),
			.type = {F32 | BOOL, F32 | BOOL},
			.check = unary,
		},
	[WEFT_OP_UNARY_BWD % 16] =
		{
			.engines = ENGINE_COMPUTE,
			.operands = 3,
			.params = PARAMS_TO(unary.beta),
			.outputs = SLOT(2),
			.in_place = SLOT(0) | SLOT(1),
			.type = {F32, F32, F32},
			.check = unary_bwd,
		},
	[WEFT_OP_BINARY % 16] =
		{
			.engines = ENGINE_COMPUTE,
			.operands = 3,
			.params = PARAMS_TO(binary.beta),
			.outputs = SLOT(2),
			.in_place = SLOT(0) | SLOT(1),
			.type = {ARITHMETIC | BOOL, ARITHMETIC | BOOL, ARITHMETIC | BOOL},
			.check = binary,
		},
	[WEFT_OP_WHERE % 16] =
		{
			.engines = ENGINE_COMPUTE,
			.operands = 4,
			.outputs = SLOT(3),
			.type = {BOOL, BYTES, BYTES, BYTES},
			.check = where,
		},
	[WEFT_OP_CAST % 16] =
		{
			.engines = ENGINE_COMPUTE,
			.operands = 2,
			.outputs = SLOT(1),
			.type = {NUMERIC, NUMERIC},
			.check = cast,
		},
};
