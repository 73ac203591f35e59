// SPDX-License-Identifier: MIT
/* Normalisation: statistics and parameters have X's rank, with extent 1 along reduced axes. */
#include "check.h"

static uint32_t check_optional(struct check *check, uint32_t operand, uint32_t as,
			       uint32_t (*relation)(struct check *, uint32_t, uint32_t))
{
	return check_present(check, operand) ? relation(check, operand, as) : WEFT_FAULT_NONE;
}

static uint32_t norm_stats(struct check *check)
{
	CHECK(check_broadcast(check, 1, 0));
	CHECK(check_same_dims(check, 2, 1));
	return check_optional(check, 3, 1, check_same_dims);
}

static uint32_t norm_apply(struct check *check)
{
	CHECK(check_activation(check, PARAM(norm.activation)));
	CHECK(check_broadcast(check, 1, 0));
	CHECK(check_broadcast(check, 2, 0));
	CHECK(check_optional(check, 3, 0, check_broadcast));
	CHECK(check_optional(check, 4, 0, check_broadcast));
	return check_same_dims(check, 5, 0);
}

static uint32_t norm_bwd_stats(struct check *check)
{
	CHECK(check_same_dims(check, 1, 0));
	CHECK(check_broadcast(check, 2, 0));
	CHECK(check_broadcast(check, 3, 0));
	CHECK(check_optional(check, 4, 0, check_broadcast));
	CHECK(check_optional(check, 5, 0, check_same_dims));
	CHECK(check_broadcast(check, 6, 0));
	return check_same_dims(check, 7, 6);
}

static uint32_t norm_bwd_apply(struct check *check)
{
	CHECK(check_param_most(check, PARAM(norm.gamma_in_sums), 1));
	CHECK(check_same_dims(check, 1, 0));
	CHECK(check_broadcast(check, 2, 0));
	CHECK(check_broadcast(check, 3, 0));
	CHECK(check_optional(check, 4, 0, check_broadcast));
	CHECK(check_broadcast(check, 5, 0));
	CHECK(check_broadcast(check, 6, 0));
	CHECK(check_optional(check, 7, 0, check_same_dims));
	return check_same_dims(check, 8, 0);
}

const struct check_op check_norm[16] = {
	[WEFT_OP_NORM_STATS % 16] =
		{
			.engines = ENGINE_COMPUTE,
			.operands = 4,
			.params = PARAMS_TO(norm.gamma_in_sums),
			.optional = SLOT(3),
			.outputs = SLOT(1) | SLOT(2) | SLOT(3),
			.type = {F32, F32, F32, F32},
			.check = norm_stats,
		},
	[WEFT_OP_NORM_APPLY % 16] =
		{
			.engines = ENGINE_COMPUTE,
			.operands = 6,
			.params = PARAMS_TO(norm.gamma_in_sums),
			.optional = SLOT(3) | SLOT(4),
			.outputs = SLOT(5),
			.in_place = SLOT(0),
			.type = {F32, F32, F32, F32, F32, F32},
			.check = norm_apply,
		},
	[WEFT_OP_NORM_BWD_STATS % 16] =
		{
			.engines = ENGINE_COMPUTE,
			.operands = 8,
			.params = PARAMS_TO(norm.gamma_in_sums),
			.optional = SLOT(4) | SLOT(5),
			.outputs = SLOT(6) | SLOT(7),
			.type = {F32, F32, F32, F32, F32, F32, F32, F32},
			.check = norm_bwd_stats,
		},
	[WEFT_OP_NORM_BWD_APPLY % 16] =
		{
			.engines = ENGINE_COMPUTE,
			.operands = 9,
			.params = PARAMS_TO(norm.gamma_in_sums),
			.optional = SLOT(4) | SLOT(7),
			.outputs = SLOT(8),
			.in_place = SLOT(0) | SLOT(1),
			.type = {F32, F32, F32, F32, F32, F32, F32, F32, F32},
			.check = norm_bwd_apply,
		},
};
