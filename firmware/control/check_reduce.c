// SPDX-License-Identifier: MIT
/* Reductions: Y has X's rank, and extent 1 along reduced axes. */
#include "check.h"

static uint32_t reduce(struct check *check)
{
	uint32_t function = check_param(check, PARAM(reduce.function));
	uint32_t flags = check_param(check, PARAM(reduce.flags));

	CHECK(check_param_most(check, PARAM(reduce.function), WEFT_REDUCE_FUNCTIONS - 1));
	if (flags & ~WEFT_F_ACCUMULATE || (flags && function != WEFT_REDUCE_SUM))
		return check_fail_param(check, PARAM(reduce.flags), flags);
	CHECK(check_param_most(check, PARAM(reduce.select_last), 0));
	return check_broadcast(check, 1, 0);
}

static uint32_t argreduce(struct check *check)
{
	const struct weft_tensor *x = check_operand(check, 0), *y = check_operand(check, 1);
	uint32_t function = check_param(check, PARAM(reduce.function)), axes = 0;

	if (function != WEFT_REDUCE_MAX && function != WEFT_REDUCE_MIN)
		return check_fail_param(check, PARAM(reduce.function), function);
	CHECK(check_param_most(check, PARAM(reduce.flags), 0));
	CHECK(check_param_most(check, PARAM(reduce.select_last), 1));
	CHECK(check_rank(check, 0, 1, WEFT_MAX_RANK));
	CHECK(check_broadcast(check, 1, 0));
	for (uint32_t i = 0; i < x->rank; i++) {
		if (x->dims[i] != y->dims[i] && axes++)
			return check_fail_dim(check, 1, i, x->dims[i]);
	}
	return WEFT_FAULT_NONE;
}

static uint32_t topk(struct check *check)
{
	const struct weft_tensor *x = check_operand(check, 0), *y = check_operand(check, 1);

	CHECK(check_param_most(check, PARAM(topk.smallest), 1));
	CHECK(check_rank(check, 0, 1, WEFT_MAX_RANK));
	CHECK(check_rank(check, 1, x->rank, x->rank));
	for (uint32_t i = 0; i + 1 < x->rank; i++)
		CHECK(check_dim(check, 1, i, x->dims[i]));
	if (y->dims[x->rank - 1] > x->dims[x->rank - 1])
		return check_fail_dim(check, 1, x->rank - 1u, 0);
	return WEFT_FAULT_NONE;
}

const struct check_op check_reduce[16] = {
	[WEFT_OP_REDUCE % 16] =
		{
			.engines = ENGINE_COMPUTE,
			.operands = 2,
			.params = PARAMS_TO(reduce.scale),
			.outputs = SLOT(1),
			.read_outputs = SLOT(1),
			.type = {F32, F32},
			.check = reduce,
		},
	[WEFT_OP_ARGREDUCE % 16] =
		{
			.engines = ENGINE_COMPUTE,
			.operands = 2,
			.params = PARAMS_TO(reduce.scale),
			.outputs = SLOT(1),
			.type = {F32, INDEX},
			.check = argreduce,
		},
	[WEFT_OP_TOPK % 16] =
		{
			.engines = ENGINE_COMPUTE,
			.operands = 2,
			.params = PARAMS_TO(topk.smallest),
			.outputs = SLOT(1),
			.type = {ARITHMETIC, INDEX},
			.check = topk,
		},
};
