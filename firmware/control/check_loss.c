// SPDX-License-Identifier: MIT
/* Softmax and cross-entropy. */
#include "check.h"

static uint32_t softmax_fwd(struct check *check)
{
	CHECK(check_param_most(check, PARAM(softmax.log), 1));
	CHECK(check_rank(check, 0, 1, WEFT_MAX_RANK));
	return check_same_dims(check, 1, 0);
}

static uint32_t softmax_bwd(struct check *check)
{
	CHECK(check_param_most(check, PARAM(softmax.log), 1));
	CHECK(check_rank(check, 0, 1, WEFT_MAX_RANK));
	CHECK(check_same_dims(check, 1, 0));
	return check_same_dims(check, 2, 0);
}

/* Logits [R, C], labels [R], [weights C]: slots 0 to 2 of both directions. */
static uint32_t cross_entropy(struct check *check)
{
	const struct weft_tensor *logits = check_operand(check, 0);
	uint32_t smoothing = check_param(check, PARAM(xent.smoothing));

	CHECK(check_param_most(check, PARAM(xent.reduction), WEFT_XENT_MEAN));
	CHECK(check_param_most(check, PARAM(xent.has_ignore), 1));
	/* The bits of floats from +0 to 1 are in the order of their values. */
	if (smoothing > 0x3f800000)
		return check_fail_param(check, PARAM(xent.smoothing), smoothing);
	CHECK(check_rank(check, 0, 2, 2));
	CHECK(check_vector(check, 1, logits->dims[0]));
	return check_present(check, 2) ? check_vector(check, 2, logits->dims[1]) : WEFT_FAULT_NONE;
}

/* One value a row, or one for all. */
static uint32_t check_loss_shape(struct check *check, uint32_t operand)
{
	if (check_param(check, PARAM(xent.reduction)) == WEFT_XENT_NONE)
		return check_vector(check, operand, check_operand(check, 0)->dims[0]);
	return check_rank(check, operand, 0, 0);
}

static uint32_t xent_fwd(struct check *check)
{
	CHECK(cross_entropy(check));
	CHECK(check_loss_shape(check, 3));
	if (check_present(check, 4))
		CHECK(check_same_dims(check, 4, 0));
	return check_present(check, 5) ? check_rank(check, 5, 0, 0) : WEFT_FAULT_NONE;
}

static uint32_t xent_bwd(struct check *check)
{
	CHECK(cross_entropy(check));
	CHECK(check_loss_shape(check, 3));
	if (check_present(check, 4))
		CHECK(check_rank(check, 4, 0, 0));
	return check_same_dims(check, 5, 0);
}

const struct check_op check_loss[16] = {
	[WEFT_OP_SOFTMAX_FWD % 16] =
		{
			.engines = ENGINE_COMPUTE,
			.operands = 2,
			.params = PARAMS_TO(softmax.log),
			.outputs = SLOT(1),
			.in_place = SLOT(0),
			.type = {F32, F32},
			.check = softmax_fwd,
		},
	[WEFT_OP_SOFTMAX_BWD % 16] =
		{
			.engines = ENGINE_COMPUTE,
			.operands = 3,
			.params = PARAMS_TO(softmax.log),
			.outputs = SLOT(2),
			.in_place = SLOT(1),
			.type = {F32, F32, F32},
			.check = softmax_bwd,
		},
	[WEFT_OP_XENT_FWD % 16] =
		{
			.engines = ENGINE_COMPUTE,
			.operands = 6,
			.params = PARAMS_TO(xent.smoothing),
			.optional = SLOT(2) | SLOT(4) | SLOT(5),
			.outputs = SLOT(3) | SLOT(4) | SLOT(5),
			.type = {F32, INDEX, F32, F32, F32, F32},
			.check = xent_fwd,
		},
	[WEFT_OP_XENT_BWD % 16] =
		{
			.engines = ENGINE_COMPUTE,
			.operands = 6,
			.params = PARAMS_TO(xent.smoothing),
			.optional = SLOT(2) | SLOT(4),
			.outputs = SLOT(5),
			.in_place = SLOT(0),
			.type = {F32, INDEX, F32, F32, F32, F32},
			.check = xent_bwd,
		},
};
