// SPDX-License-Identifier: MIT
/* Updates of weights and of running statistics. */
#include "check.h"

/* G, hyper -> W and states shaped like it. */
static uint32_t update(struct check *check)
{
	CHECK(check_param_most(check, PARAM(optimizer.nesterov), check->command->opcode == WEFT_OP_SGD));
	CHECK(check_param_most(check, PARAM(optimizer.decoupled), check->command->opcode == WEFT_OP_ADAM));
	CHECK(check_vector(check, 1, WEFT_HYPERS));
	for (uint32_t i = 2; i < check->command->operands; i++) {
		if (check_present(check, i))
			CHECK(check_same_dims(check, i, 0));
	}
	return WEFT_FAULT_NONE;
}

static uint32_t lerp(struct check *check)
{
	return check_same_dims(check, 0, 1);
}

const struct check_op check_optimizer[16] = {
	[WEFT_OP_SGD % 16] =
		{
			.engines = ENGINE_COMPUTE,
			.operands = 4,
			.params = PARAMS_TO(optimizer.decoupled),
			.optional = SLOT(3),
			.outputs = SLOT(2) | SLOT(3),
			.read_outputs = SLOT(2) | SLOT(3),
			.type = {F32, F32, F32, F32},
			.check = update,
		},
	[WEFT_OP_ADAM % 16] =
		{
			.engines = ENGINE_COMPUTE,
			.operands = 5,
			.params = PARAMS_TO(optimizer.decoupled),
			.outputs = SLOT(2) | SLOT(3) | SLOT(4),
			.read_outputs = SLOT(2) | SLOT(3) | SLOT(4),
			.type = {F32, F32, F32, F32, F32},
			.check = update,
		},
	[WEFT_OP_LERP % 16] =
		{
			.engines = ENGINE_COMPUTE,
			.operands = 2,
			.params = PARAMS_TO(lerp.weight),
			.outputs = SLOT(1),
			.read_outputs = SLOT(1),
			.type = {F32, F32},
			.check = lerp,
		},
};
