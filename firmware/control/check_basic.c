// SPDX-License-Identifier: MIT
/* NOP, COPY, FILL. */
#include "check.h"

static uint32_t copy(struct check *check)
{
	CHECK(check_same_type(check, 1, 0));
	return check_same_dims(check, 1, 0);
}

/* Bits above the element's width must be zero; a truth value is 0 or 1. */
static uint32_t fill(struct check *check)
{
	static const uint64_t most[WEFT_TYPES] = {
		[WEFT_TYPE_F32] = 0xffffffff, [WEFT_TYPE_F16] = 0xffff, [WEFT_TYPE_BF16] = 0xffff,
		[WEFT_TYPE_I32] = 0xffffffff, [WEFT_TYPE_I64] = ~0ull,	[WEFT_TYPE_I8] = 0xff,
		[WEFT_TYPE_U8] = 0xff,	      [WEFT_TYPE_I16] = 0xffff, [WEFT_TYPE_BOOL] = 1,
		[WEFT_TYPE_I4] = 0xf,	      [WEFT_TYPE_BIT] = 1,
	};
	uint64_t bits = check->command->params.fill.bits;

	if (bits > most[check_operand(check, 0)->type])
		return check_fail_param(check, PARAM(fill.bits), bits);
	return WEFT_FAULT_NONE;
}

const struct check_op check_basic[16] = {
	[WEFT_OP_NOP] =
		{
			.engines = ENGINE_ANY,
		},
	[WEFT_OP_COPY] =
		{
			.engines = ENGINE_ANY,
			.operands = 2,
			.outputs = SLOT(1),
			.type = {ANY, ANY},
			.check = copy,
		},
	[WEFT_OP_FILL] =
		{
			.engines = ENGINE_COMPUTE,
			.operands = 1,
			.params = PARAMS_TO(fill.bits),
			.outputs = SLOT(0),
			.type = {ANY},
			.check = fill,
		},
};
