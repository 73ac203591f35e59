// SPDX-License-Identifier: MIT
/* Random numbers and dropout. */
#include "check.h"

#define COUNTER_ELEMENTS 2

static uint32_t random_numbers(struct check *check)
{
	CHECK(check_param_most(check, PARAM(random.distribution), WEFT_BERNOULLI));
	return check_present(check, 0) ? check_vector(check, 0, COUNTER_ELEMENTS) : WEFT_FAULT_NONE;
}

static uint32_t dropout(struct check *check)
{
	uint32_t keep = check_param(check, PARAM(random.keep));

	/* In (0, 1]: the bits of such floats are in the order of their values. */
	if (!keep || keep > 0x3f800000)
		return check_fail_param(check, PARAM(random.keep), keep);
	CHECK(check_vector(check, 1, COUNTER_ELEMENTS));
	CHECK(check_same_dims(check, 2, 0));
	return check_present(check, 3) ? check_same_dims(check, 3, 0) : WEFT_FAULT_NONE;
}

const struct check_op check_random[16] = {
	[WEFT_OP_RANDOM % 16] =
		{
			.engines = ENGINE_COMPUTE,
			.operands = 2,
			.params = PARAMS_TO(random.keep),
			.optional = SLOT(0),
			.outputs = SLOT(1),
			.type = {TYPE(I64), F32},
			.check = random_numbers,
		},
	[WEFT_OP_DROPOUT % 16] =
		{
			.engines = ENGINE_COMPUTE,
			.operands = 4,
			.params = PARAMS_TO(random.keep),
			.outputs = SLOT(2) | SLOT(3),
			.optional = SLOT(3),
			.in_place = SLOT(0),
			.type = {F32, TYPE(I64), F32, BOOL},
			.check = dropout,
		},
};
