/* SPDX-License-Identifier: MIT */
/*
 * How commands are checked.
 *
 * Every opcode has a row that says which engines execute it, which operand slots
 * it has, and of which types; check.c tests all that alike for every opcode.
 * What is left, the relations between shapes and the values of parameters, is the
 * row's function.  Rows are kept in families of 16 opcodes, one file each.
 *
 * Neither floating point nor 64-bit division: the RV32 core has neither.
 */
#ifndef WEFT_CONTROL_CHECK_H
#define WEFT_CONTROL_CHECK_H

#include "core.h"

/* Sets of enum weft_type. */
#define TYPE(name) (1u << WEFT_TYPE_##name)
#define F32 TYPE(F32)
#define BOOL TYPE(BOOL)
#define INDEX (TYPE(I32) | TYPE(I64))
#define ARITHMETIC (TYPE(F32) | TYPE(I32) | TYPE(I64))
#define NUMERIC (ARITHMETIC | TYPE(F16) | TYPE(BF16) | TYPE(I8) | TYPE(U8) | TYPE(I16) | TYPE(BOOL))
/* Types whose elements are whole bytes. */
#define BYTES NUMERIC
#define QUANTIZED (TYPE(I8) | TYPE(U8))
#define QUANTIZED_WEIGHT (QUANTIZED | TYPE(I4))
#define ANY (NUMERIC | TYPE(I4) | TYPE(BIT))

#define ENGINE_COMPUTE (1u << WEFT_ENGINE_COMPUTE)
#define ENGINE_ANY ((1u << WEFT_ENGINES) - 1)

/* Sets of operand slots. */
#define SLOT(n) (1u << (n))

/* Bytes of union weft_params that are in use when @last is the last member in use. */
#define PARAMS_TO(last) (offsetof(union weft_params, last) + sizeof(((union weft_params *)0)->last))
/* Byte offset of a parameter, for faults. */
#define PARAM(member) ((uint32_t)offsetof(union weft_params, member))

struct check {
	const struct weft_cmd *command;
	struct weft_fault_record *fault;
};

struct check_op {
	uint8_t engines; /* 0: no such opcode */
	uint8_t operands;
	uint8_t params;	   /* bytes in use */
	uint16_t optional; /* slots that may be empty */
	uint16_t outputs;
	uint16_t read_outputs;			/* outputs that are read too */
	uint16_t in_place;			/* inputs that the first output may coincide with */
	uint16_t inner_dense;			/* slots whose innermost stride must be 1 */
	uint16_t quantized;			/* slots that may have a zero_point */
	uint16_t type[WEFT_MAX_OPERANDS];	/* sets */
	uint32_t (*check)(struct check *check); /* may be NULL */
};

/* The rows of opcodes 16 * n to 16 * n + 15. */
extern const struct check_op check_basic[16], check_matrix[16], check_pool[16], check_norm[16], check_loss[16],
	check_elementwise[16], check_reduce[16], check_index[16], check_optimizer[16], check_random[16],
	check_integer[16], check_projection[16];

/* Each records the fault and returns its reason. */
uint32_t check_fail(struct check *check, uint32_t reason, uint32_t operand, uint32_t detail, uint64_t value);
uint32_t check_fail_param(struct check *check, uint32_t offset, uint64_t value);
uint32_t check_fail_type(struct check *check, uint32_t operand);
/* Extent @dim of @operand should have been @expected (0: no single value). */
uint32_t check_fail_dim(struct check *check, uint32_t operand, uint32_t dim, uint64_t expected);

/* Each returns WEFT_FAULT_NONE or what check_fail*() returned. */
uint32_t check_rank(struct check *check, uint32_t operand, uint32_t least, uint32_t most);
uint32_t check_dim(struct check *check, uint32_t operand, uint32_t dim, uint64_t expected);
/* @operand has rank 1 and this extent. */
uint32_t check_vector(struct check *check, uint32_t operand, uint64_t extent);
uint32_t check_same_dims(struct check *check, uint32_t operand, uint32_t as);
uint32_t check_same_type(struct check *check, uint32_t operand, uint32_t as);
/* Same rank, each extent as that of @as or 1. */
uint32_t check_broadcast(struct check *check, uint32_t operand, uint32_t as);
/* A 32-bit parameter is at most @most. */
uint32_t check_param_most(struct check *check, uint32_t offset, uint32_t most);
uint32_t check_param_least(struct check *check, uint32_t offset, uint32_t least);
/* An enum weft_activation. */
uint32_t check_activation(struct check *check, uint32_t offset);

/*
 * A convolution along @axis: every row or column that a window names is within
 * +-2^31, so that engines may count in 32 bits.  @offset: of the parameter stride[2],
 * which dilation[2] and pad[2] follow.
 */
uint32_t check_conv_window(struct check *check, uint32_t offset, uint32_t axis, uint32_t kernel, uint32_t outputs);
/* The shapes of a pooling and its windows, in the first members of params.pool, which params.qpool shares. */
uint32_t check_pool_windows(struct check *check, uint32_t x_slot, uint32_t y_slot);

static inline const struct weft_tensor *check_operand(const struct check *check, uint32_t operand)
{
	return &check->command->operand[operand];
}

static inline bool check_present(const struct check *check, uint32_t operand)
{
	return check_operand(check, operand)->type != WEFT_TYPE_NONE;
}

/* The bits of a 32-bit parameter. */
static inline uint32_t check_param(const struct check *check, uint32_t offset)
{
	const uint8_t *byte = check->command->params.bytes + offset;

	return byte[0] | (uint32_t)byte[1] << 8 | (uint32_t)byte[2] << 16 | (uint32_t)byte[3] << 24;
}

/* Run checks in turn until one fails. */
#define CHECK(expression)                              \
	do {                                           \
		uint32_t check_reason_ = (expression); \
		if (check_reason_)                     \
			return check_reason_;          \
	} while (0)

#endif /* WEFT_CONTROL_CHECK_H */
