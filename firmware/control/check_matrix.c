// SPDX-License-Identifier: MIT
/* MATMUL and the convolutions. */
#include "check.h"

static uint32_t check_flags(struct check *check, uint32_t offset)
{
	uint32_t flags = check_param(check, offset);

	return flags & ~WEFT_F_ACCUMULATE ? check_fail_param(check, offset, flags) : WEFT_FAULT_NONE;
}

static uint32_t matmul(struct check *check)
{
	const struct weft_tensor *a = check_operand(check, 0), *b = check_operand(check, 1);
	const struct weft_tensor *bias = check_operand(check, 2);
	uint32_t rank = a->rank, m, n;

	CHECK(check_flags(check, PARAM(matmul.flags)));
	CHECK(check_activation(check, PARAM(matmul.activation)));
	CHECK(check_rank(check, 0, 2, 4));
	CHECK(check_rank(check, 1, rank, rank));
	CHECK(check_rank(check, 3, rank, rank));
	m = a->dims[rank - 2];
	n = b->dims[rank - 1];
	CHECK(check_dim(check, 1, rank - 2, a->dims[rank - 1]));
	for (uint32_t i = 0; i + 2 < rank; i++) {
		CHECK(check_dim(check, 1, i, a->dims[i]));
		CHECK(check_dim(check, 3, i, a->dims[i]));
	}
	CHECK(check_dim(check, 3, rank - 2, m));
	CHECK(check_dim(check, 3, rank - 1, n));
	if (!check_present(check, 2))
		return WEFT_FAULT_NONE;
	CHECK(check_rank(check, 2, 1, 2));
	if (bias->rank == 2)
		CHECK(check_dim(check, 2, 0, m));
	return check_dim(check, 2, bias->rank - 1u, n);
}

uint32_t check_conv_window(struct check *check, uint32_t offset, uint32_t axis, uint32_t kernel, uint32_t outputs)
{
	uint32_t at = offset + 4 * axis, stride = check_param(check, at), dilation = check_param(check, at + 8);
	uint64_t last = (uint64_t)(outputs - 1) * stride, reach = (uint64_t)(kernel - 1) * dilation;

	CHECK(check_param_least(check, at, 1));
	CHECK(check_param_least(check, at + 8, 1));
	CHECK(check_param_most(check, at + 16, INT32_MAX));
	if (last > INT32_MAX)
		return check_fail_param(check, at, stride);
	if (reach > INT32_MAX || last + reach > INT32_MAX)
		return check_fail_param(check, at + 8, dilation);
	return WEFT_FAULT_NONE;
}

/* X [N,H,W,C], W [KH,KW,C/G,OC], Y [N,OH,OW,OC], in whichever slots. */
static uint32_t convolution(struct check *check, uint32_t x_slot, uint32_t w_slot, uint32_t y_slot)
{
	const struct weft_tensor *x = check_operand(check, x_slot), *w = check_operand(check, w_slot);
	const struct weft_tensor *y = check_operand(check, y_slot);
	uint32_t groups = check_param(check, PARAM(conv.groups));

	CHECK(check_flags(check, PARAM(conv.flags)));
	CHECK(check_activation(check, PARAM(conv.activation)));
	CHECK(check_rank(check, x_slot, 4, 4));
	CHECK(check_rank(check, w_slot, 4, 4));
	CHECK(check_rank(check, y_slot, 4, 4));
	if (!groups || x->dims[3] % groups || w->dims[3] % groups)
		return check_fail_param(check, PARAM(conv.groups), groups);
	CHECK(check_dim(check, w_slot, 2, x->dims[3] / groups));
	CHECK(check_dim(check, y_slot, 0, x->dims[0]));
	CHECK(check_dim(check, y_slot, 3, w->dims[3]));
	CHECK(check_conv_window(check, PARAM(conv.stride), 0, w->dims[0], y->dims[1]));
	return check_conv_window(check, PARAM(conv.stride), 1, w->dims[1], y->dims[2]);
}

static uint32_t conv_fwd(struct check *check)
{
	CHECK(convolution(check, 0, 1, 3));
	return check_present(check, 2) ? check_vector(check, 2, check_operand(check, 3)->dims[3]) : WEFT_FAULT_NONE;
}

static uint32_t conv_bwd_data(struct check *check)
{
	CHECK(convolution(check, 3, 1, 0));
	return check_present(check, 2) ? check_vector(check, 2, check_operand(check, 3)->dims[3]) : WEFT_FAULT_NONE;
}

static uint32_t conv_bwd_weight(struct check *check)
{
	/* A gradient of weights has no epilogue. */
	CHECK(check_param_most(check, PARAM(conv.activation), WEFT_ACT_NONE));
	return convolution(check, 0, 2, 1);
}

const struct check_op check_matrix[16] = {
	[WEFT_OP_MATMUL % 16] =
		{
			.engines = ENGINE_COMPUTE,
			.operands = 4,
			.params = PARAMS_TO(matmul.scale),
			.optional = SLOT(2),
			.outputs = SLOT(3),
			.read_outputs = SLOT(3),
			.type = {F32, F32, F32, F32},
			.check = matmul,
		},
	[WEFT_OP_CONV_FWD % 16] =
		{
			.engines = ENGINE_COMPUTE,
			.operands = 4,
			.params = PARAMS_TO(conv.groups),
			.optional = SLOT(2),
			.outputs = SLOT(3),
			.read_outputs = SLOT(3),
			.inner_dense = SLOT(0) | SLOT(1) | SLOT(2) | SLOT(3),
			.type = {F32, F32, F32, F32},
			.check = conv_fwd,
		},
	[WEFT_OP_CONV_BWD_DATA % 16] =
		{
			.engines = ENGINE_COMPUTE,
			.operands = 4,
			.params = PARAMS_TO(conv.groups),
			.optional = SLOT(2),
			.outputs = SLOT(3),
			.read_outputs = SLOT(3),
			.inner_dense = SLOT(0) | SLOT(1) | SLOT(2) | SLOT(3),
			.type = {F32, F32, F32, F32},
			.check = conv_bwd_data,
		},
	[WEFT_OP_CONV_BWD_WEIGHT % 16] =
		{
			.engines = ENGINE_COMPUTE,
			.operands = 3,
			.params = PARAMS_TO(conv.groups),
			.outputs = SLOT(2),
			.read_outputs = SLOT(2),
			.inner_dense = SLOT(0) | SLOT(1) | SLOT(2),
			.type = {F32, F32, F32},
			.check = conv_bwd_weight,
		},
};
