// SPDX-License-Identifier: MIT
/* Pooling.  The side of X has H and W, the side of Y has the windows. */
#include "check.h"

/* Every row or column that a window names is within +-2^31, so that engines may count in 32 bits. */
static uint32_t check_window(struct check *check, uint32_t axis, uint32_t outputs)
{
	uint32_t kernel = check_param(check, PARAM(pool.kernel) + 4 * axis);
	uint32_t stride = check_param(check, PARAM(pool.stride) + 4 * axis);
	uint32_t dilation = check_param(check, PARAM(pool.dilation) + 4 * axis);
	uint64_t last, reach;

	CHECK(check_param_least(check, PARAM(pool.kernel) + 4 * axis, 1));
	CHECK(check_param_least(check, PARAM(pool.stride) + 4 * axis, 1));
	CHECK(check_param_least(check, PARAM(pool.dilation) + 4 * axis, 1));
	CHECK(check_param_most(check, PARAM(pool.pad) + 4 * axis, INT32_MAX));
	CHECK(check_param_most(check, PARAM(pool.pad_end) + 4 * axis, INT32_MAX));
	last = (uint64_t)(outputs - 1) * stride;
	reach = (uint64_t)(kernel - 1) * dilation;
	if (reach > INT32_MAX)
		return check_fail_param(check, PARAM(pool.kernel) + 4 * axis, kernel);
	if (last > INT32_MAX - reach)
		return check_fail_param(check, PARAM(pool.stride) + 4 * axis, stride);
	return WEFT_FAULT_NONE;
}

uint32_t check_pool_windows(struct check *check, uint32_t x_slot, uint32_t y_slot)
{
	const struct weft_tensor *x = check_operand(check, x_slot), *y = check_operand(check, y_slot);

	CHECK(check_rank(check, x_slot, 4, 4));
	CHECK(check_rank(check, y_slot, 4, 4));
	CHECK(check_dim(check, y_slot, 0, x->dims[0]));
	CHECK(check_dim(check, y_slot, 3, x->dims[3]));
	CHECK(check_window(check, 0, y->dims[1]));
	return check_window(check, 1, y->dims[2]);
}

/* The index of a tap fits in a byte. */
static uint32_t check_taps(struct check *check)
{
	uint32_t height = check_param(check, PARAM(pool.kernel));
	uint32_t width = check_param(check, PARAM(pool.kernel) + 4);

	if ((uint64_t)height * width > 256)
		return check_fail_param(check, PARAM(pool.kernel), height);
	return WEFT_FAULT_NONE;
}

static uint32_t maxpool_fwd(struct check *check)
{
	CHECK(check_param_most(check, PARAM(pool.count_pad), 0));
	CHECK(check_pool_windows(check, 0, 1));
	if (!check_present(check, 2))
		return WEFT_FAULT_NONE;
	CHECK(check_taps(check));
	return check_same_dims(check, 2, 1);
}

static uint32_t maxpool_bwd(struct check *check)
{
	CHECK(check_param_most(check, PARAM(pool.count_pad), 0));
	CHECK(check_pool_windows(check, 2, 0));
	CHECK(check_taps(check));
	return check_same_dims(check, 1, 0);
}

static uint32_t avgpool_fwd(struct check *check)
{
	CHECK(check_param_most(check, PARAM(pool.count_pad), 1));
	return check_pool_windows(check, 0, 1);
}

static uint32_t avgpool_bwd(struct check *check)
{
	CHECK(check_param_most(check, PARAM(pool.count_pad), 1));
	return check_pool_windows(check, 1, 0);
}

const struct check_op check_pool[16] = {
	[WEFT_OP_MAXPOOL_FWD % 16] =
		{
			.engines = ENGINE_COMPUTE,
			.operands = 3,
			.params = PARAMS_TO(pool.pad_end),
			.optional = SLOT(2),
			.outputs = SLOT(1) | SLOT(2),
			.type = {F32, F32, TYPE(U8)},
			.check = maxpool_fwd,
		},
	[WEFT_OP_MAXPOOL_BWD % 16] =
		{
			.engines = ENGINE_COMPUTE,
			.operands = 3,
			.params = PARAMS_TO(pool.pad_end),
			.outputs = SLOT(2),
			.type = {F32, TYPE(U8), F32},
			.check = maxpool_bwd,
		},
	[WEFT_OP_AVGPOOL_FWD % 16] =
		{
			.engines = ENGINE_COMPUTE,
			.operands = 2,
			.params = PARAMS_TO(pool.pad_end),
			.outputs = SLOT(1),
			.type = {F32, F32},
			.check = avgpool_fwd,
		},
	[WEFT_OP_AVGPOOL_BWD % 16] =
		{
			.engines = ENGINE_COMPUTE,
			.operands = 2,
			.params = PARAMS_TO(pool.pad_end),
			.outputs = SLOT(1),
			.type = {F32, F32},
			.check = avgpool_bwd,
		},
};
