// SPDX-License-Identifier: MIT
/* Gather, scatter, iota. */
#include "check.h"

/* Table [V, D...], indices [R], rows [R, D...]. */
static uint32_t indexed(struct check *check, uint32_t table_slot, uint32_t indices_slot, uint32_t rows_slot)
{
	const struct weft_tensor *table = check_operand(check, table_slot);
	const struct weft_tensor *indices = check_operand(check, indices_slot);

	CHECK(check_rank(check, table_slot, 1, WEFT_MAX_RANK));
	CHECK(check_rank(check, indices_slot, 1, 1));
	CHECK(check_rank(check, rows_slot, table->rank, table->rank));
	CHECK(check_dim(check, rows_slot, 0, indices->dims[0]));
	for (uint32_t i = 1; i < table->rank; i++)
		CHECK(check_dim(check, rows_slot, i, table->dims[i]));
	return WEFT_FAULT_NONE;
}

static uint32_t gather(struct check *check)
{
	CHECK(check_same_type(check, 2, 0));
	return indexed(check, 0, 1, 2);
}

static uint32_t scatter_add(struct check *check)
{
	return indexed(check, 2, 1, 0);
}

static uint32_t scatter(struct check *check)
{
	uint32_t function = check_param(check, PARAM(scatter.function));

	CHECK(check_param_most(check, PARAM(scatter.function), WEFT_SCATTER_FUNCTIONS - 1));
	if (function != WEFT_SCATTER_REPLACE && !(ARITHMETIC & 1u << check_operand(check, 0)->type))
		return check_fail_type(check, 0);
	CHECK(check_same_type(check, 2, 0));
	CHECK(check_same_type(check, 3, 0));
	CHECK(check_same_dims(check, 3, 0));
	return indexed(check, 0, 1, 2);
}

static uint32_t iota(struct check *check)
{
	return check_rank(check, 0, 1, 1);
}

const struct check_op check_index[16] = {
	[WEFT_OP_GATHER % 16] =
		{
			.engines = ENGINE_COMPUTE,
			.operands = 3,
			.outputs = SLOT(2),
			.type = {BYTES, INDEX, BYTES},
			.check = gather,
		},
	[WEFT_OP_SCATTER_ADD % 16] =
		{
			.engines = ENGINE_COMPUTE,
			.operands = 3,
			.outputs = SLOT(2),
			.read_outputs = SLOT(2),
			.type = {F32, INDEX, F32},
			.check = scatter_add,
		},
	[WEFT_OP_IOTA % 16] =
		{
			.engines = ENGINE_COMPUTE,
			.operands = 1,
			.params = PARAMS_TO(iota.step),
			.outputs = SLOT(0),
			.type = {ARITHMETIC},
			.check = iota,
		},
	[WEFT_OP_SCATTER % 16] =
		{
			.engines = ENGINE_COMPUTE,
			.operands = 4,
			.params = PARAMS_TO(scatter.function),
			.outputs = SLOT(3),
			.in_place = SLOT(0),
			.type = {BYTES, INDEX, BYTES, BYTES},
			.check = scatter,
		},
};
