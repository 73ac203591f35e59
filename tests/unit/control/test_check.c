// SPDX-License-Identifier: MIT
/* Every check of a single command, with just one thing wrong. */
#include "command_text.h"

#include <core.h>
#include <check.h>
#undef BOOL

#include <setjmp.h>
#include <stddef.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>
#include <stdio.h>

#define P(member) offsetof(union weft_params, member)
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define RANK WEFT_DETAIL_RANK
#define STRIDE WEFT_DETAIL_STRIDE
#define NONE 0xff

static uint32_t check(const union text_command *command, struct weft_fault_record *fault)
{
	struct core_range range[WEFT_MAX_OPERANDS];
	uint32_t reason = core_check(&command->header, range, fault);

	assert_int_equal(reason, fault->reason);
	return reason;
}

#define expect(command, reason_, operand_, detail_)                                                           \
	do {                                                                                                  \
		struct weft_fault_record fault_;                                                              \
		check(command, &fault_);                                                                      \
		if (fault_.reason != (reason_) || fault_.operand != (operand_) ||                             \
		    fault_.detail != (uint32_t)(detail_))                                                     \
			fail_msg("opcode 0x%x: reason %u operand %u detail 0x%x; expected %u, %u, 0x%x",      \
				 (command)->header.opcode, fault_.reason, fault_.operand, fault_.detail,      \
				 (unsigned int)(reason_), (unsigned int)(operand_), (unsigned int)(detail_)); \
		if (fault_.reason) {                                                                          \
			assert_int_equal(fault_.opcode, (command)->header.opcode);                            \
			assert_int_equal(fault_.tag, (command)->header.tag);                                  \
			assert_int_equal(fault_.engine, (command)->header.engine);                            \
		}                                                                                             \
	} while (0)

static void valid_commands(void **state)
{
	union text_command command;
	bool seen[WEFT_OP_LIMIT] = {false};

	(void)state;
	for (unsigned int i = 0; i < text_valid_count; i++) {
		text_build(&command, &text_valid[i]);
		command.header.tag = 7;
		expect(&command, WEFT_FAULT_NONE, NONE, 0);
		seen[text_valid[i].opcode] = true;
	}
	/* Whoever adds an opcode adds it to the tables of tests: the core knows no others. */
	for (unsigned int opcode = 0; opcode < WEFT_OP_LIMIT; opcode++) {
		struct weft_fault_record fault;

		text_command(&command, opcode, WEFT_ENGINE_COMPUTE, "");
		check(&command, &fault);
		if (!seen[opcode])
			assert_int_equal(fault.reason, WEFT_FAULT_OPCODE);
		else
			assert_int_not_equal(fault.reason, WEFT_FAULT_OPCODE);
	}
}

/* What is wrong with the header is wrong for every opcode. */
static void headers(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < text_valid_count; i++) {
		const struct text_valid *valid = &text_valid[i];
		union text_command good, bad;

		text_build(&good, valid);
		for (int s = 0; s < 3; s++) {
			struct weft_sem *sem;

			bad = good;
			sem = s < 2 ? &bad.header.wait[s] : &bad.header.signal;
			sem->index = WEFT_SEMAPHORES;
			expect(&bad, WEFT_FAULT_SEMAPHORE, NONE, s);
			sem->index = WEFT_SEM_NONE;
			sem->value = 1;
			expect(&bad, WEFT_FAULT_SEMAPHORE, NONE, s);
			sem->value = 0;
			sem->pad = 1;
			expect(&bad, WEFT_FAULT_SEMAPHORE, NONE, s);
			sem->pad = 0;
			sem->index = WEFT_SEMAPHORES - 1;
			sem->value = 0xffffffff;
			expect(&bad, WEFT_FAULT_NONE, NONE, 0);
		}
		bad = good;
		bad.header.pad = 1;
		expect(&bad, WEFT_FAULT_PARAMETER, NONE, 0xffffffff);
		bad = good;
		bad.header.params.bytes[63] = 1;
		expect(&bad, WEFT_FAULT_PARAMETER, NONE, 63);
		bad = good;
		bad.header.size += 8;
		expect(&bad, WEFT_FAULT_STREAM, NONE, 0);
		bad.header.size = sizeof(struct weft_cmd) - 8;
		expect(&bad, WEFT_FAULT_STREAM, NONE, 0);
		bad.header.size = good.header.size + 4;
		expect(&bad, WEFT_FAULT_STREAM, NONE, 0);
		bad = good;
		bad.header.operands++;
		bad.header.size += sizeof(struct weft_tensor);
		expect(&bad, WEFT_FAULT_OPERANDS, NONE, good.header.operands);
		bad = good;
		bad.header.engine = WEFT_ENGINES;
		expect(&bad, WEFT_FAULT_OPCODE, NONE, 1);
		if (valid->opcode > WEFT_OP_COPY) {
			bad.header.engine = WEFT_ENGINE_DMA_OUT;
			expect(&bad, WEFT_FAULT_OPCODE, NONE, 1);
		}
		bad = good;
		bad.header.opcode = WEFT_OP_LIMIT;
		expect(&bad, WEFT_FAULT_OPCODE, NONE, 0);
		bad.header.opcode = 0x0f;
		expect(&bad, WEFT_FAULT_OPCODE, NONE, 0);
	}
}

static const unsigned int bytes_of[WEFT_TYPES] = {0, 4, 2, 2, 4, 8, 1, 1, 2, 1, 1, 4};

/* Damage to one operand that is wrong whatever the opcode. */
static void damage_operand(const union text_command *good, unsigned int o)
{
	unsigned int rank = good->header.operand[o].rank;
	union text_command bad = *good;
	struct weft_tensor *tensor = &bad.header.operand[o];

	tensor->pad = 1;
	expect(&bad, WEFT_FAULT_PARAMETER, o, offsetof(struct weft_tensor, pad));
	bad = *good;
	tensor->zero_point = 1000; /* of no type */
	expect(&bad, WEFT_FAULT_PARAMETER, o, offsetof(struct weft_tensor, zero_point));
	bad = *good;
	tensor->scales = 1;
	expect(&bad, WEFT_FAULT_PARAMETER, o, offsetof(struct weft_tensor, scales));
	bad = *good;
	tensor->type = WEFT_TYPES;
	expect(&bad, WEFT_FAULT_TYPE, o, 0);
	bad = *good;
	tensor->rank = WEFT_MAX_RANK + 1;
	expect(&bad, WEFT_FAULT_SHAPE, o, RANK);
	bad = *good;
	tensor->dims[7] = 1;
	expect(&bad, WEFT_FAULT_SHAPE, o, 7);
	bad = *good;
	tensor->strides[7] = 1;
	expect(&bad, WEFT_FAULT_SHAPE, o, 7);
	if (bytes_of[tensor->type] > 1) {
		bad = *good;
		tensor->address++;
		expect(&bad, WEFT_FAULT_ALIGNMENT, o, bytes_of[tensor->type]);
	}
	bad = *good;
	tensor->address = UINT64_MAX - bytes_of[tensor->type] + 1;
	if (tensor->dims[0] > 1 || rank == 0)
		expect(&bad, WEFT_FAULT_SHAPE, o, RANK);
	if (!rank)
		return;
	bad = *good;
	tensor->dims[0] = 0;
	expect(&bad, WEFT_FAULT_SHAPE, o, 0);
	if (tensor->type == WEFT_TYPE_BIT || tensor->type == WEFT_TYPE_I4) {
		bad = *good;
		tensor->strides[rank - 1] = 2;
		expect(&bad, WEFT_FAULT_SHAPE, o, STRIDE + rank - 1);
		bad = *good;
		tensor->strides[0]++;
		expect(&bad, WEFT_FAULT_SHAPE, o, STRIDE + 0);
		return;
	}
	/* Backwards past address 0. */
	bad = *good;
	if (tensor->dims[0] > 1 && rank > 1) {
		tensor->strides[0] = INT32_MIN;
		expect(&bad, WEFT_FAULT_SHAPE, o, RANK);
	}
}

static void operands(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < text_valid_count; i++) {
		union text_command good;

		text_build(&good, &text_valid[i]);
		for (unsigned int o = 0; o < good.header.operands; o++) {
			union text_command bad = good;

			if (good.header.operand[o].type) {
				damage_operand(&good, o);
				/* A slot is empty as a whole, and only if it is optional. */
				bad.header.operand[o].type = WEFT_TYPE_NONE;
				assert_int_not_equal(core_check(&bad.header,
								(struct core_range[WEFT_MAX_OPERANDS]){{0}},
								&(struct weft_fault_record){0}),
						     WEFT_FAULT_NONE);
			} else {
				bad.header.operand[o].address = 8;
				expect(&bad, WEFT_FAULT_PARAMETER, o, 0);
			}
		}
	}
}

/* Outputs apart from everything, unless in place. */
static void overlaps(void **state)
{
	/* By opcode: the first output, and the inputs that it may coincide with. */
	static const struct {
		unsigned int opcode, output, in_place;
	} rows[] = {
		{WEFT_OP_COPY, 1, 0},
		{WEFT_OP_MATMUL, 3, 0},
		{WEFT_OP_CONV_FWD, 3, 0},
		{WEFT_OP_CONV_BWD_DATA, 3, 0},
		{WEFT_OP_CONV_BWD_WEIGHT, 2, 0},
		{WEFT_OP_MAXPOOL_FWD, 1, 0},
		{WEFT_OP_MAXPOOL_BWD, 2, 0},
		{WEFT_OP_AVGPOOL_FWD, 1, 0},
		{WEFT_OP_AVGPOOL_BWD, 1, 0},
		{WEFT_OP_NORM_STATS, 1, 0},
		{WEFT_OP_NORM_APPLY, 5, 1},
		{WEFT_OP_NORM_BWD_STATS, 6, 0},
		{WEFT_OP_NORM_BWD_APPLY, 8, 3},
		{WEFT_OP_SOFTMAX_FWD, 1, 1},
		{WEFT_OP_SOFTMAX_BWD, 2, 2},
		{WEFT_OP_XENT_FWD, 3, 0},
		{WEFT_OP_XENT_BWD, 5, 1},
		{WEFT_OP_UNARY, 1, 1},
		{WEFT_OP_UNARY_BWD, 2, 3},
		{WEFT_OP_BINARY, 2, 1},
		{WEFT_OP_WHERE, 3, 0},
		{WEFT_OP_CAST, 1, 0},
		{WEFT_OP_REDUCE, 1, 0},
		{WEFT_OP_ARGREDUCE, 1, 0},
		{WEFT_OP_GATHER, 2, 0},
		{WEFT_OP_SCATTER_ADD, 2, 0},
		{WEFT_OP_TOPK, 1, 0},
		{WEFT_OP_SCATTER, 3, 1},
		{WEFT_OP_SGD, 2, 0},
		{WEFT_OP_ADAM, 2, 0},
		{WEFT_OP_LERP, 1, 0},
		{WEFT_OP_RANDOM, 1, 0},
		{WEFT_OP_DROPOUT, 2, 1},
		{WEFT_OP_QMATMUL, 4, 0},
		{WEFT_OP_QCONV, 4, 0},
		{WEFT_OP_QUANTIZE, 3, 0},
		{WEFT_OP_DEQUANTIZE, 3, 0},
		{WEFT_OP_REQUANTIZE, 2, 1},
		{WEFT_OP_QADD, 2, 3},
		{WEFT_OP_QMUL, 2, 3},
		{WEFT_OP_QMAXPOOL, 1, 0},
		{WEFT_OP_QAVGPOOL, 1, 0},
		{WEFT_OP_QLOOKUP, 2, 1},
		{WEFT_OP_QSOFTMAX, 2, 0},
		{WEFT_OP_QLAYERNORM, 4, 0},
		{WEFT_OP_PROJECT, 1, 0},
		{WEFT_OP_PROJECT_HASHED, 2, 0},
		{WEFT_OP_PROJECT_MEAN, 1, 0},
		{WEFT_OP_PROJECT_TERNARY, 1, 0},
		{WEFT_OP_BIT_MATMUL, 4, 0},
		{WEFT_OP_BIT_DOT, 2, 0},
		{WEFT_OP_BIT_UNPACK, 1, 0},
		{WEFT_OP_BIT_PACK, 1, 0},
	};

	(void)state;
	for (unsigned int r = 0; r < COUNT(rows); r++) {
		const struct text_valid *valid = text_find(rows[r].opcode);
		unsigned int o = rows[r].output;
		union text_command good, bad;
		struct weft_tensor *output;

		text_build(&good, valid);
		/* Apart to begin with. */
		good.header.operand[o].address = TEXT_BASE + TEXT_STEP * o;
		expect(&good, WEFT_FAULT_NONE, NONE, 0);
		for (unsigned int i = 0; i < good.header.operands; i++) {
			if (i == o || !good.header.operand[i].type)
				continue;
			bad = good;
			output = &bad.header.operand[o];
			output->address = bad.header.operand[i].address;
			if (rows[r].in_place & 1u << i)
				expect(&bad, WEFT_FAULT_NONE, NONE, 0);
			else
				expect(&bad, WEFT_FAULT_OVERLAP, o, i);
			/* By a part is never in place. */
			bad.header.operand[i].address -= bytes_of[bad.header.operand[i].type];
			if (good.header.operand[i].dims[0] > 1)
				expect(&bad, WEFT_FAULT_OVERLAP, o, i);
		}
		bad = good;
		output = &bad.header.operand[o];
		if (output->rank && output->dims[0] > 1) {
			output->strides[0] = 0;
			if (output->rank > 1 || rows[r].opcode != WEFT_OP_CAST)
				expect(&bad, WEFT_FAULT_OVERLAP, o, o);
		}
	}
}

/* Relations between shapes, types and parameters. */
struct relation {
	unsigned int opcode;
	const char *operands;	 /* NULL: those of the valid command */
	struct text_param param; /* on top of the valid command's */
	unsigned int reason, operand, detail;
};

#define NO_PARAM              \
	{                     \
		UINT32_MAX, 0 \
	}
#define SHAPES(opcode, operands, operand, detail)                             \
	{                                                                     \
		opcode, operands, NO_PARAM, WEFT_FAULT_SHAPE, operand, detail \
	}
#define TYPES(opcode, operands, operand)                                \
	{                                                               \
		opcode, operands, NO_PARAM, WEFT_FAULT_TYPE, operand, 0 \
	}
#define VALUE(opcode, member, bits)                                                    \
	{                                                                              \
		opcode, NULL, {P(member), bits}, WEFT_FAULT_PARAMETER, NONE, P(member) \
	}
#define VALUE_AT(opcode, member, more, bits)                                                             \
	{                                                                                                \
		opcode, NULL, {P(member) + (more), bits}, WEFT_FAULT_PARAMETER, NONE, P(member) + (more) \
	}

static const struct relation relations[] = {
	SHAPES(WEFT_OP_COPY, "f32[2,3] f32[2,4]", 1, 1),
	SHAPES(WEFT_OP_COPY, "f32[2,3] f32[6]", 1, RANK),
	TYPES(WEFT_OP_COPY, "f32[2,3] i32[2,3]", 1),
	VALUE(WEFT_OP_FILL, fill.bits, 0x100),
	{WEFT_OP_FILL, "bool[4]", {P(fill.bits), 2}, WEFT_FAULT_PARAMETER, NONE, 0},
	{WEFT_OP_FILL, "i4[4]", {P(fill.bits), 16}, WEFT_FAULT_PARAMETER, NONE, 0},
	{WEFT_OP_FILL, "bit[4]", {P(fill.bits), 2}, WEFT_FAULT_PARAMETER, NONE, 0},

	SHAPES(WEFT_OP_MATMUL, "f32[5] f32[5,3] - f32[4,3]", 0, RANK),
	SHAPES(WEFT_OP_MATMUL, "f32[1,1,1,4,5] f32[5,3] - f32[4,3]", 0, RANK),
	SHAPES(WEFT_OP_MATMUL, "f32[4,5] f32[1,5,3] - f32[4,3]", 1, RANK),
	SHAPES(WEFT_OP_MATMUL, "f32[4,5] f32[5,3] - f32[1,4,3]", 3, RANK),
	SHAPES(WEFT_OP_MATMUL, "f32[4,5] f32[6,3] - f32[4,3]", 1, 0),
	SHAPES(WEFT_OP_MATMUL, "f32[4,5] f32[5,3] - f32[5,3]", 3, 0),
	SHAPES(WEFT_OP_MATMUL, "f32[4,5] f32[5,3] - f32[4,4]", 3, 1),
	SHAPES(WEFT_OP_MATMUL, "f32[2,4,5] f32[3,5,3] - f32[2,4,3]", 1, 0),
	SHAPES(WEFT_OP_MATMUL, "f32[2,4,5] f32[2,5,3] - f32[3,4,3]", 3, 0),
	SHAPES(WEFT_OP_MATMUL, "f32[4,5] f32[5,3] f32[4] f32[4,3]", 2, 0),
	SHAPES(WEFT_OP_MATMUL, "f32[4,5] f32[5,3] f32[3,3] f32[4,3]", 2, 0),
	SHAPES(WEFT_OP_MATMUL, "f32[4,5] f32[5,3] f32[4,4] f32[4,3]", 2, 1),
	SHAPES(WEFT_OP_MATMUL, "f32[4,5] f32[5,3] f32[] f32[4,3]", 2, RANK),
	TYPES(WEFT_OP_MATMUL, "f16[4,5] f32[5,3] - f32[4,3]", 0),
	VALUE(WEFT_OP_MATMUL, matmul.flags, 2),
	VALUE(WEFT_OP_MATMUL, matmul.activation, 3),

	SHAPES(WEFT_OP_CONV_FWD, "f32[6,6,4] f32[3,3,4,8] - f32[2,4,4,8]", 0, RANK),
	SHAPES(WEFT_OP_CONV_FWD, "f32[2,6,6,4] f32[3,4,8] - f32[2,4,4,8]", 1, RANK),
	SHAPES(WEFT_OP_CONV_FWD, "f32[2,6,6,4] f32[3,3,4,8] - f32[4,4,8]", 3, RANK),
	SHAPES(WEFT_OP_CONV_FWD, "f32[2,6,6,4] f32[3,3,5,8] - f32[2,4,4,8]", 1, 2),
	SHAPES(WEFT_OP_CONV_FWD, "f32[2,6,6,4] f32[3,3,4,8] - f32[3,4,4,8]", 3, 0),
	SHAPES(WEFT_OP_CONV_FWD, "f32[2,6,6,4] f32[3,3,4,8] - f32[2,4,4,7]", 3, 3),
	SHAPES(WEFT_OP_CONV_FWD, "f32[2,6,6,4] f32[3,3,4,8] f32[7] f32[2,4,4,8]", 2, 0),
	SHAPES(WEFT_OP_CONV_FWD, "f32[2,6,6,4] f32[3,3,4,8] f32[1,8] f32[2,4,4,8]", 2, RANK),
	SHAPES(WEFT_OP_CONV_FWD, "f32[2,6,6,4]{288,48,8,2} f32[3,3,4,8] - f32[2,4,4,8]", 0, STRIDE + 3),
	VALUE(WEFT_OP_CONV_FWD, conv.flags, 2),
	VALUE(WEFT_OP_CONV_FWD, conv.activation, 3),
	VALUE(WEFT_OP_CONV_FWD, conv.stride, 0),
	VALUE_AT(WEFT_OP_CONV_FWD, conv.stride, 4, 0),
	VALUE(WEFT_OP_CONV_FWD, conv.dilation, 0),
	VALUE_AT(WEFT_OP_CONV_FWD, conv.dilation, 4, 0),
	VALUE(WEFT_OP_CONV_FWD, conv.pad, 0x80000000),
	VALUE_AT(WEFT_OP_CONV_FWD, conv.pad, 4, 0x80000000),
	VALUE(WEFT_OP_CONV_FWD, conv.stride, 0x40000000),
	VALUE_AT(WEFT_OP_CONV_FWD, conv.dilation, 4, 0x7fffffff),
	VALUE(WEFT_OP_CONV_FWD, conv.groups, 0),
	VALUE(WEFT_OP_CONV_FWD, conv.groups, 3),
	SHAPES(WEFT_OP_CONV_BWD_DATA, "f32[2,4,4,8] f32[3,3,4,8] f32[8] f32[2,6,6,4]", 2, 0),
	SHAPES(WEFT_OP_CONV_BWD_DATA, "f32[2,4,4,8] f32[3,3,4,8] - f32[2,6,6,5]", 1, 2),
	SHAPES(WEFT_OP_CONV_BWD_DATA, "f32[3,4,4,8] f32[3,3,4,8] - f32[2,6,6,4]", 0, 0),
	SHAPES(WEFT_OP_CONV_BWD_DATA, "f32[2,4,4,9] f32[3,3,4,8] - f32[2,6,6,4]", 0, 3),
	VALUE(WEFT_OP_CONV_BWD_DATA, conv.groups, 3),
	SHAPES(WEFT_OP_CONV_BWD_WEIGHT, "f32[2,6,6,4] f32[2,4,4,8] f32[3,3,5,8]", 2, 2),
	SHAPES(WEFT_OP_CONV_BWD_WEIGHT, "f32[2,6,6,4] f32[2,4,4,8] f32[3,3,4,9]", 1, 3),
	SHAPES(WEFT_OP_CONV_BWD_WEIGHT, "f32[2,6,6,4] f32[1,4,4,8] f32[3,3,4,8]", 1, 0),
	VALUE(WEFT_OP_CONV_BWD_WEIGHT, conv.activation, 1),

	SHAPES(WEFT_OP_MAXPOOL_FWD, "f32[6,6,4] f32[2,3,3,4] -", 0, RANK),
	SHAPES(WEFT_OP_MAXPOOL_FWD, "f32[2,6,6,4] f32[3,3,4] -", 1, RANK),
	SHAPES(WEFT_OP_MAXPOOL_FWD, "f32[2,6,6,4] f32[1,3,3,4] -", 1, 0),
	SHAPES(WEFT_OP_MAXPOOL_FWD, "f32[2,6,6,4] f32[2,3,3,5] -", 1, 3),
	SHAPES(WEFT_OP_MAXPOOL_FWD, "f32[2,6,6,4] f32[2,3,3,4] u8[2,3,3,5]", 2, 3),
	TYPES(WEFT_OP_MAXPOOL_FWD, "f32[2,6,6,4] f32[2,3,3,4] i32[2,3,3,4]", 2),
	VALUE(WEFT_OP_MAXPOOL_FWD, pool.stride, 0x40000000),
	VALUE_AT(WEFT_OP_MAXPOOL_FWD, pool.kernel, 4, 0x80000001),
	VALUE(WEFT_OP_MAXPOOL_FWD, pool.kernel, 0),
	VALUE_AT(WEFT_OP_MAXPOOL_FWD, pool.stride, 4, 0),
	VALUE(WEFT_OP_MAXPOOL_FWD, pool.dilation, 0),
	VALUE(WEFT_OP_MAXPOOL_FWD, pool.pad, 0x80000000),
	VALUE(WEFT_OP_MAXPOOL_FWD, pool.pad_end, 0x80000000),
	VALUE(WEFT_OP_MAXPOOL_FWD, pool.count_pad, 1),
	VALUE(WEFT_OP_MAXPOOL_FWD, pool.kernel, 129),
	SHAPES(WEFT_OP_MAXPOOL_BWD, "f32[2,3,3,4] u8[2,3,3,5] f32[2,6,6,4]", 1, 3),
	SHAPES(WEFT_OP_MAXPOOL_BWD, "f32[2,3,3,4] u8[2,3,3,4] f32[1,6,6,4]", 0, 0),
	VALUE(WEFT_OP_MAXPOOL_BWD, pool.kernel, 129),
	SHAPES(WEFT_OP_AVGPOOL_FWD, "f32[2,6,6,4] f32[1,3,3,4]", 1, 0),
	VALUE(WEFT_OP_AVGPOOL_FWD, pool.count_pad, 2),
	SHAPES(WEFT_OP_AVGPOOL_BWD, "f32[2,3,3,4] f32[2,6,6,5]", 0, 3),
	VALUE(WEFT_OP_AVGPOOL_BWD, pool.count_pad, 2),

	SHAPES(WEFT_OP_NORM_STATS, "f32[2,5,4] f32[4] f32[4] -", 1, RANK),
	SHAPES(WEFT_OP_NORM_STATS, "f32[2,5,4] f32[1,1,3] f32[1,1,3] -", 1, 2),
	SHAPES(WEFT_OP_NORM_STATS, "f32[2,5,4] f32[1,1,4] f32[1,5,4] -", 2, 1),
	SHAPES(WEFT_OP_NORM_STATS, "f32[2,5,4] f32[1,1,4] f32[1,1,4] f32[1,1,1]", 3, 2),
	SHAPES(WEFT_OP_NORM_APPLY, "f32[2,5,4] f32[1,1,3] f32[1,1,4] - - f32[2,5,4]", 1, 2),
	SHAPES(WEFT_OP_NORM_APPLY, "f32[2,5,4] f32[1,1,4] f32[1,2,4] - - f32[2,5,4]", 2, 1),
	SHAPES(WEFT_OP_NORM_APPLY, "f32[2,5,4] f32[1,1,4] f32[1,1,4] f32[4] - f32[2,5,4]", 3, RANK),
	SHAPES(WEFT_OP_NORM_APPLY, "f32[2,5,4] f32[1,1,4] f32[1,1,4] - f32[1,1,5] f32[2,5,4]", 4, 2),
	SHAPES(WEFT_OP_NORM_APPLY, "f32[2,5,4] f32[1,1,4] f32[1,1,4] - - f32[2,5,5]", 5, 2),
	VALUE(WEFT_OP_NORM_APPLY, norm.activation, 3),
	SHAPES(WEFT_OP_NORM_BWD_STATS, "f32[2,4] f32[3,4] f32[1,4] f32[1,4] - - f32[1,4] f32[1,4]", 1, 0),
	SHAPES(WEFT_OP_NORM_BWD_STATS, "f32[2,4] f32[2,4] f32[1,3] f32[1,4] - - f32[1,4] f32[1,4]", 2, 1),
	SHAPES(WEFT_OP_NORM_BWD_STATS, "f32[2,4] f32[2,4] f32[1,4] f32[1,3] - - f32[1,4] f32[1,4]", 3, 1),
	SHAPES(WEFT_OP_NORM_BWD_STATS, "f32[2,4] f32[2,4] f32[1,4] f32[1,4] f32[3,4] - f32[1,4] f32[1,4]", 4, 0),
	SHAPES(WEFT_OP_NORM_BWD_STATS, "f32[2,4] f32[2,4] f32[1,4] f32[1,4] - f32[1,4] f32[1,4] f32[1,4]", 5, 0),
	SHAPES(WEFT_OP_NORM_BWD_STATS, "f32[2,4] f32[2,4] f32[1,4] f32[1,4] - - f32[1,5] f32[1,4]", 6, 1),
	SHAPES(WEFT_OP_NORM_BWD_STATS, "f32[2,4] f32[2,4] f32[1,4] f32[1,4] - - f32[1,4] f32[2,4]", 7, 0),
	SHAPES(WEFT_OP_NORM_BWD_APPLY, "f32[2,4] f32[2,5] f32[1,4] f32[1,4] - f32[1,4] f32[1,4] - f32[2,4]", 1, 1),
	SHAPES(WEFT_OP_NORM_BWD_APPLY, "f32[2,4] f32[2,4] f32[1,4] f32[1,4] - f32[1,3] f32[1,4] - f32[2,4]", 5, 1),
	SHAPES(WEFT_OP_NORM_BWD_APPLY, "f32[2,4] f32[2,4] f32[1,4] f32[1,4] - f32[1,4] f32[1,3] - f32[2,4]", 6, 1),
	SHAPES(WEFT_OP_NORM_BWD_APPLY, "f32[2,4] f32[2,4] f32[1,4] f32[1,4] - f32[1,4] f32[1,4] f32[1,4] f32[2,4]", 7,
	       0),
	SHAPES(WEFT_OP_NORM_BWD_APPLY, "f32[2,4] f32[2,4] f32[1,4] f32[1,4] - f32[1,4] f32[1,4] - f32[3,4]", 8, 0),
	VALUE(WEFT_OP_NORM_BWD_APPLY, norm.gamma_in_sums, 2),

	SHAPES(WEFT_OP_SOFTMAX_FWD, "f32[] f32[]", 0, RANK),
	SHAPES(WEFT_OP_SOFTMAX_FWD, "f32[3,7] f32[3,8]", 1, 1),
	VALUE(WEFT_OP_SOFTMAX_FWD, softmax.log, 2),
	SHAPES(WEFT_OP_SOFTMAX_BWD, "f32[3,7] f32[3,8] f32[3,7]", 1, 1),
	SHAPES(WEFT_OP_SOFTMAX_BWD, "f32[3,7] f32[3,7] f32[4,7]", 2, 0),
	VALUE(WEFT_OP_SOFTMAX_BWD, softmax.log, 2),
	SHAPES(WEFT_OP_XENT_FWD, "f32[10] i32[6] - f32[] - -", 0, RANK),
	SHAPES(WEFT_OP_XENT_FWD, "f32[6,10] i32[7] - f32[] - -", 1, 0),
	SHAPES(WEFT_OP_XENT_FWD, "f32[6,10] i32[6] f32[9] f32[] - -", 2, 0),
	SHAPES(WEFT_OP_XENT_FWD, "f32[6,10] i32[6] - f32[6] - -", 3, RANK),
	SHAPES(WEFT_OP_XENT_FWD, "f32[6,10] i32[6] - f32[] f32[6,11] -", 4, 1),
	SHAPES(WEFT_OP_XENT_FWD, "f32[6,10] i32[6] - f32[] - f32[1]", 5, RANK),
	TYPES(WEFT_OP_XENT_FWD, "f32[6,10] f32[6] - f32[] - -", 1),
	VALUE(WEFT_OP_XENT_FWD, xent.reduction, 3),
	VALUE(WEFT_OP_XENT_FWD, xent.has_ignore, 2),
	VALUE(WEFT_OP_XENT_FWD, xent.smoothing, 0x3f800001),
	VALUE(WEFT_OP_XENT_FWD, xent.smoothing, 0x7fc00000),
	VALUE(WEFT_OP_XENT_FWD, xent.smoothing, 0xbf800000),
	SHAPES(WEFT_OP_XENT_BWD, "f32[6,10] i64[6] - f32[6] - f32[6,10]", 3, RANK),
	SHAPES(WEFT_OP_XENT_BWD, "f32[6,10] i64[6] - f32[] f32[6] f32[6,10]", 4, RANK),
	SHAPES(WEFT_OP_XENT_BWD, "f32[6,10] i64[6] - f32[] - f32[6,9]", 5, 1),

	SHAPES(WEFT_OP_UNARY, "f32[4,4] f32[4,5]", 1, 1),
	TYPES(WEFT_OP_UNARY, "bool[4] f32[4]", 0),
	TYPES(WEFT_OP_UNARY, "f32[4] bool[4]", 1),
	{WEFT_OP_UNARY, "f32[4] bool[4]", {P(unary.function), WEFT_UNARY_NOT}, WEFT_FAULT_TYPE, 0, 0},
	{WEFT_OP_UNARY, "f32[4] f32[4]", {P(unary.function), WEFT_UNARY_ISINF}, WEFT_FAULT_TYPE, 1, 0},
	VALUE(WEFT_OP_UNARY, unary.function, WEFT_UNARY_FUNCTIONS),
	SHAPES(WEFT_OP_UNARY_BWD, "f32[4] f32[5] f32[4]", 1, 0),
	SHAPES(WEFT_OP_UNARY_BWD, "f32[4] f32[4] f32[5]", 2, 0),
	VALUE(WEFT_OP_UNARY_BWD, unary.function, WEFT_UNARY_NOT),
	VALUE(WEFT_OP_UNARY_BWD, unary.function, WEFT_UNARY_ISINF),
	VALUE(WEFT_OP_UNARY_BWD, unary.function, WEFT_UNARY_FUNCTIONS),
	SHAPES(WEFT_OP_BINARY, "f32[4] f32[5] f32[5]", 0, 0),
	SHAPES(WEFT_OP_BINARY, "f32[5] f32[1] f32[5]", 1, 0),
	TYPES(WEFT_OP_BINARY, "f32[4] i32[4] f32[4]", 1),
	TYPES(WEFT_OP_BINARY, "i32[4] i32[4] f32[4]", 2),
	TYPES(WEFT_OP_BINARY, "bool[4] bool[4] bool[4]", 0),
	{WEFT_OP_BINARY, "i64[4] i64[4] i64[4]", {P(binary.function), WEFT_BINARY_EQUAL}, WEFT_FAULT_TYPE, 2, 0},
	{WEFT_OP_BINARY, "i32[4] i32[4] i32[4]", {P(binary.function), WEFT_BINARY_AND}, WEFT_FAULT_TYPE, 0, 0},
	{WEFT_OP_BINARY, "f32[4] f32[4] f32[4]", {P(binary.function), WEFT_BINARY_SHIFT_RIGHT}, WEFT_FAULT_TYPE, 0, 0},
	{WEFT_OP_BINARY,
	 "i32[4] i32[4] i32[4]",
	 {P(binary.activation), 1},
	 WEFT_FAULT_PARAMETER,
	 NONE,
	 P(binary.activation)},
	VALUE(WEFT_OP_BINARY, binary.function, WEFT_BINARY_FUNCTIONS),
	VALUE(WEFT_OP_BINARY, binary.activation, 3),
	SHAPES(WEFT_OP_WHERE, "bool[2] f32[3] f32[3] f32[3]", 0, 0),
	SHAPES(WEFT_OP_WHERE, "bool[3] f32[2] f32[3] f32[3]", 1, 0),
	SHAPES(WEFT_OP_WHERE, "bool[3] f32[3] f32[2] f32[3]", 2, 0),
	TYPES(WEFT_OP_WHERE, "f32[3] f32[3] f32[3] f32[3]", 0),
	TYPES(WEFT_OP_WHERE, "bool[3] f32[3] i32[3] f32[3]", 2),
	TYPES(WEFT_OP_WHERE, "bool[3] i32[3] i32[3] f32[3]", 3),
	TYPES(WEFT_OP_WHERE, "bool[3] i4[3] i4[3] i4[3]", 1),
	SHAPES(WEFT_OP_CAST, "f16[9] i64[8]", 1, 0),
	TYPES(WEFT_OP_CAST, "i4[9] i64[9]", 0),

	SHAPES(WEFT_OP_REDUCE, "f32[4,5] f32[4,2]", 1, 1),
	SHAPES(WEFT_OP_REDUCE, "f32[4,5] f32[4]", 1, RANK),
	VALUE(WEFT_OP_REDUCE, reduce.function, WEFT_REDUCE_FUNCTIONS),
	VALUE(WEFT_OP_REDUCE, reduce.flags, 2),
	VALUE(WEFT_OP_REDUCE, reduce.select_last, 1),
	{WEFT_OP_REDUCE, NULL, {P(reduce.function), WEFT_REDUCE_MAX}, WEFT_FAULT_PARAMETER, NONE, P(reduce.flags)},
	SHAPES(WEFT_OP_ARGREDUCE, "f32[4,5] i64[1,1]", 1, 1),
	SHAPES(WEFT_OP_ARGREDUCE, "f32[] i64[]", 0, RANK),
	TYPES(WEFT_OP_ARGREDUCE, "f32[4,5] f32[4,1]", 1),
	VALUE(WEFT_OP_ARGREDUCE, reduce.function, WEFT_REDUCE_SUM),
	VALUE(WEFT_OP_ARGREDUCE, reduce.flags, 1),
	VALUE(WEFT_OP_ARGREDUCE, reduce.select_last, 2),

	SHAPES(WEFT_OP_GATHER, "f32[] i32[3] f32[3,4]", 0, RANK),
	SHAPES(WEFT_OP_GATHER, "f32[10,4] i32[3,1] f32[3,4]", 1, RANK),
	SHAPES(WEFT_OP_GATHER, "f32[10,4] i32[3] f32[3]", 2, RANK),
	SHAPES(WEFT_OP_GATHER, "f32[10,4] i32[3] f32[4,4]", 2, 0),
	SHAPES(WEFT_OP_GATHER, "f32[10,4] i32[3] f32[3,5]", 2, 1),
	TYPES(WEFT_OP_GATHER, "f32[10,4] f32[3] f32[3,4]", 1),
	TYPES(WEFT_OP_GATHER, "i64[10,4] i32[3] f32[3,4]", 2),
	TYPES(WEFT_OP_GATHER, "bit[10,32] i32[3] bit[3,32]", 0),
	TYPES(WEFT_OP_SCATTER_ADD, "i64[3,4] i64[3] i64[10,4]", 0),
	SHAPES(WEFT_OP_SCATTER_ADD, "f32[4,4] i64[3] f32[10,4]", 0, 0),
	SHAPES(WEFT_OP_SCATTER_ADD, "f32[3,5] i64[3] f32[10,4]", 0, 1),
	VALUE(WEFT_OP_SCATTER, scatter.function, WEFT_SCATTER_FUNCTIONS),
	TYPES(WEFT_OP_SCATTER, "f32[10,4] f32[3] f32[3,4] f32[10,4]", 1),
	TYPES(WEFT_OP_SCATTER, "f32[10,4] i32[3] i32[3,4] f32[10,4]", 2),
	TYPES(WEFT_OP_SCATTER, "f32[10,4] i32[3] f32[3,4] i32[10,4]", 3),
	SHAPES(WEFT_OP_SCATTER, "f32[10,4] i32[3] f32[4,4] f32[10,4]", 2, 0),
	SHAPES(WEFT_OP_SCATTER, "f32[10,4] i32[3] f32[3,5] f32[10,4]", 2, 1),
	SHAPES(WEFT_OP_SCATTER, "f32[10,4] i32[3] f32[3,4] f32[9,4]", 3, 0),
	VALUE(WEFT_OP_TOPK, topk.smallest, 2),
	TYPES(WEFT_OP_TOPK, "u8[4] i32[2]", 0),
	TYPES(WEFT_OP_TOPK, "f32[4] f32[2]", 1),
	SHAPES(WEFT_OP_TOPK, "f32[] i32[]", 0, RANK),
	SHAPES(WEFT_OP_TOPK, "f32[4,5] i32[4]", 1, RANK),
	SHAPES(WEFT_OP_TOPK, "f32[4,5] i32[3,2]", 1, 0),
	SHAPES(WEFT_OP_TOPK, "f32[4,5] i32[4,6]", 1, 1),
	SHAPES(WEFT_OP_IOTA, "i32[2,4]", 0, RANK),
	TYPES(WEFT_OP_IOTA, "u8[4]", 0),

	SHAPES(WEFT_OP_SGD, "f32[3,4] f32[7] f32[3,4] -", 1, 0),
	SHAPES(WEFT_OP_SGD, "f32[3,4] f32[8] f32[3,5] -", 2, 1),
	SHAPES(WEFT_OP_SGD, "f32[3,4] f32[8] f32[3,4] f32[4,4]", 3, 0),
	VALUE(WEFT_OP_SGD, optimizer.nesterov, 2),
	VALUE(WEFT_OP_SGD, optimizer.decoupled, 1),
	SHAPES(WEFT_OP_ADAM, "f32[3,4] f32[8] f32[3,4] f32[3,4] f32[3,3]", 4, 1),
	SHAPES(WEFT_OP_ADAM, "f32[3,4] f32[1,8] f32[3,4] f32[3,4] f32[3,4]", 1, RANK),
	VALUE(WEFT_OP_ADAM, optimizer.nesterov, 1),
	VALUE(WEFT_OP_ADAM, optimizer.decoupled, 2),
	SHAPES(WEFT_OP_LERP, "f32[3] f32[4]", 0, 0),

	SHAPES(WEFT_OP_RANDOM, "i64[3] f32[100]", 0, 0),
	TYPES(WEFT_OP_RANDOM, "i32[2] f32[100]", 0),
	VALUE(WEFT_OP_RANDOM, random.distribution, 3),
	SHAPES(WEFT_OP_DROPOUT, "f32[5] i64[2] f32[4] -", 2, 0),
	SHAPES(WEFT_OP_DROPOUT, "f32[5] i64[2] f32[5] bool[4]", 3, 0),
	SHAPES(WEFT_OP_DROPOUT, "f32[5] i64[2,1] f32[5] -", 1, RANK),
	VALUE(WEFT_OP_DROPOUT, random.keep, 0),
	VALUE(WEFT_OP_DROPOUT, random.keep, 0x3f800001),
	VALUE(WEFT_OP_DROPOUT, random.keep, 0x80000000),

	SHAPES(WEFT_OP_QMATMUL, "u8[5] i8[5,3] - i32[3,2] u8[4,3]", 0, RANK),
	SHAPES(WEFT_OP_QMATMUL, "u8[4,5] i8[1,5,3] - i32[3,2] u8[4,3]", 1, RANK),
	SHAPES(WEFT_OP_QMATMUL, "u8[4,5] i8[5,3] - i32[3,2] u8[1,4,3]", 4, RANK),
	SHAPES(WEFT_OP_QMATMUL, "u8[4,5] i8[6,3] - i32[3,2] u8[4,3]", 1, 0),
	SHAPES(WEFT_OP_QMATMUL, "u8[4,5] i8[5,3] - i32[3,2] u8[5,3]", 4, 0),
	SHAPES(WEFT_OP_QMATMUL, "u8[4,5] i8[5,3] - i32[3,2] u8[4,4]", 4, 1),
	SHAPES(WEFT_OP_QMATMUL, "u8[2,4,5] i8[3,5,3] - i32[3,2] u8[2,4,3]", 1, 0),
	SHAPES(WEFT_OP_QMATMUL, "u8[4,5] i8[5,3] i32[4] i32[3,2] u8[4,3]", 2, 0),
	SHAPES(WEFT_OP_QMATMUL, "u8[4,5] i8[5,3] - i32[2,2] u8[4,3]", 3, 0),
	SHAPES(WEFT_OP_QMATMUL, "u8[4,5] i8[5,3] - i32[3,1] u8[4,3]", 3, 1),
	SHAPES(WEFT_OP_QMATMUL, "u8[4,5] i8[5,3] - i32[6] u8[4,3]", 3, RANK),
	SHAPES(WEFT_OP_QMATMUL, "u8[4,5] i8[5,3] - i32[3,2]{1,3} u8[4,3]", 3, WEFT_DETAIL_STRIDE + 1),
	SHAPES(WEFT_OP_QMATMUL, "u8[4,5] i8[5,3] - i32[3,2] u8[4,3]{1,4}", 4, WEFT_DETAIL_STRIDE + 1),
	SHAPES(WEFT_OP_QMATMUL, "u8[4,2147483648]{0,0} i8[2147483648,3]{0,0} - i32[3,2] u8[4,3]", 0, 1),
	TYPES(WEFT_OP_QMATMUL, "i4[4,6] i8[6,3] - i32[3,2] u8[4,3]", 0),
	TYPES(WEFT_OP_QMATMUL, "u8[4,5] f32[5,3] - i32[3,2] u8[4,3]", 1),
	{WEFT_OP_QMATMUL,
	 "u8[4,5] i8[5,3] - i32[3,2] i32[4,3]",
	 {P(qmatmul.low), 0},
	 WEFT_FAULT_PARAMETER,
	 NONE,
	 P(qmatmul.high)},
	{WEFT_OP_QMATMUL, "u8[4,5] i8[5,3] - - u8[4,3]", NO_PARAM, WEFT_FAULT_OPERANDS, 3, 0},
	VALUE(WEFT_OP_QMATMUL, qmatmul.low, -1u),
	VALUE(WEFT_OP_QMATMUL, qmatmul.high, 2),
	VALUE(WEFT_OP_QMATMUL, qmatmul.high, 256),
	SHAPES(WEFT_OP_QCONV, "u8[2,6,6,4] i8[3,3,4,8] - i32[1,2] u8[2,4,4,7]", 4, 3),
	SHAPES(WEFT_OP_QCONV, "u8[2,6,6,4] i8[3,3,5,8] - i32[1,2] u8[2,4,4,8]", 1, 2),
	SHAPES(WEFT_OP_QCONV, "u8[2,6,6,4] i8[3,3,4,8] - i32[1,2] u8[1,4,4,8]", 4, 0),
	SHAPES(WEFT_OP_QCONV, "u8[2,6,6,4] i8[3,3,4,8] i32[7] i32[1,2] u8[2,4,4,8]", 2, 0),
	SHAPES(WEFT_OP_QCONV, "u8[2,6,6,4] i8[3,3,4,8] - i32[7,2] u8[2,4,4,8]", 3, 0),
	SHAPES(WEFT_OP_QCONV, "u8[2,6,6,4]{1,24,4,2} i8[3,3,4,8] - i32[1,2] u8[2,4,4,8]", 0, WEFT_DETAIL_STRIDE + 3),
	VALUE(WEFT_OP_QCONV, qconv.groups, 0),
	VALUE(WEFT_OP_QCONV, qconv.groups, 3),
	VALUE(WEFT_OP_QCONV, qconv.stride, 0),
	VALUE_AT(WEFT_OP_QCONV, qconv.stride, 4, 0x40000000),
	VALUE(WEFT_OP_QCONV, qconv.dilation, 0),
	VALUE_AT(WEFT_OP_QCONV, qconv.dilation, 4, 0x40000000),
	VALUE(WEFT_OP_QCONV, qconv.pad, 0x80000000),
	VALUE(WEFT_OP_QCONV, qconv.high, 256),
	TYPES(WEFT_OP_QUANTIZE, "f32[3,4] f32[1,4] u8[1,4] i8[3,4]", 2),
	TYPES(WEFT_OP_QUANTIZE, "f32[3,4] f32[1,4] - i32[3,4]", 3),
	SHAPES(WEFT_OP_QUANTIZE, "f32[3,4] f32[1,3] - i8[3,4]", 1, 1),
	SHAPES(WEFT_OP_QUANTIZE, "f32[3,4] f32[1,4] i8[2,1] i8[3,4]", 2, 0),
	SHAPES(WEFT_OP_QUANTIZE, "f32[3,4] f32[4] - i8[3,4]", 1, RANK),
	TYPES(WEFT_OP_DEQUANTIZE, "i8[3,4] f32[1,4] i32[1,4] f32[3,4]", 2),
	TYPES(WEFT_OP_DEQUANTIZE, "i64[3,4] f32[1,4] - f32[3,4]", 0),
	SHAPES(WEFT_OP_DEQUANTIZE, "i8[3,4] f32[1,4] - f32[3,5]", 3, 1),
	SHAPES(WEFT_OP_REQUANTIZE, "u8[3,4] i32[3,2] u8[3,4]", 1, 0),
	SHAPES(WEFT_OP_REQUANTIZE, "u8[] i32[1,2] u8[]", 0, RANK),
	SHAPES(WEFT_OP_REQUANTIZE, "u8[3,4] i32[4,2] u8[3,5]", 2, 1),
	VALUE(WEFT_OP_REQUANTIZE, qmatmul.high, 256),
	SHAPES(WEFT_OP_QADD, "u8[3,4] u8[3,5] u8[3,4]", 1, 1),
	VALUE(WEFT_OP_QADD, qadd.shift, 0),
	VALUE(WEFT_OP_QADD, qadd.shift, 31),
	VALUE(WEFT_OP_QADD, qadd.factor, (1u << 21) + 1),
	VALUE_AT(WEFT_OP_QADD, qadd.factor, 4, -(1u << 21) - 1),
	VALUE(WEFT_OP_QMUL, qmul.multiplier, 0x80000000),
	VALUE(WEFT_OP_QMUL, qmul.shift, 0),
	VALUE(WEFT_OP_QMUL, qmul.shift, 63),
	VALUE(WEFT_OP_QMUL, qmul.low, 256),
	TYPES(WEFT_OP_QMAXPOOL, "u8[2,6,6,4] i8[2,3,3,4]", 1),
	SHAPES(WEFT_OP_QMAXPOOL, "u8[2,6,6,4] u8[2,3,3,5]", 1, 3),
	VALUE(WEFT_OP_QMAXPOOL, qpool.kernel, 0),
	VALUE(WEFT_OP_QMAXPOOL, qpool.count_pad, 1),
	VALUE(WEFT_OP_QMAXPOOL, qpool.shift, 1),
	VALUE(WEFT_OP_QMAXPOOL, qpool.multiplier, 1),
	VALUE(WEFT_OP_QAVGPOOL, qpool.count_pad, 2),
	VALUE(WEFT_OP_QAVGPOOL, qpool.shift, 0),
	VALUE(WEFT_OP_QAVGPOOL, qpool.kernel, (1u << 21) + 1),
	VALUE(WEFT_OP_QAVGPOOL, qpool.multiplier, 0x80000000),
	SHAPES(WEFT_OP_QLOOKUP, "i8[3,4] i8[255] i8[3,4]", 1, 0),
	TYPES(WEFT_OP_QLOOKUP, "i8[3,4] i8[256] u8[3,4]", 2),
	SHAPES(WEFT_OP_QLOOKUP, "i8[3,4] i8[256] i8[3,5]", 2, 1),
	SHAPES(WEFT_OP_QSOFTMAX, "i8[3,4] i32[255] u8[3,4]", 1, 0),
	SHAPES(WEFT_OP_QSOFTMAX, "i8[] i32[256] u8[]", 0, RANK),
	VALUE(WEFT_OP_QSOFTMAX, qsoftmax.bits, 0),
	VALUE(WEFT_OP_QSOFTMAX, qsoftmax.bits, 17),
	SHAPES(WEFT_OP_QLAYERNORM, "i8[3,4] i8[5] i32[4] i32[4,2] u8[3,4]", 1, 0),
	SHAPES(WEFT_OP_QLAYERNORM, "i8[3,4] i8[4] i32[5] i32[4,2] u8[3,4]", 2, 0),
	SHAPES(WEFT_OP_QLAYERNORM, "i8[3,4] i8[4] i32[4] i32[3,2] u8[3,4]", 3, 0),
	SHAPES(WEFT_OP_QLAYERNORM, "i8[1,32769] i8[32769] - i32[1,2] u8[1,32769]", 0, 1),
	VALUE(WEFT_OP_QLAYERNORM, qlayernorm.epsilon, 0),
	VALUE(WEFT_OP_QLAYERNORM, qlayernorm.high, 256),

	SHAPES(WEFT_OP_PROJECT, "f32[15] bit[3,40]{64,1}", 0, RANK),
	SHAPES(WEFT_OP_PROJECT, "f32[3,5] bit[1,3,40]{192,64,1}", 1, RANK),
	SHAPES(WEFT_OP_PROJECT, "f32[3,5] bit[4,40]{64,1}", 1, 0),
	SHAPES(WEFT_OP_PROJECT, "f32[3,5] bit[3,65537]{65600,1}", 1, 1),
	SHAPES(WEFT_OP_PROJECT, "f32[3,5] bit[3,40]{40,1}", 1, WEFT_DETAIL_STRIDE),
	TYPES(WEFT_OP_PROJECT, "i32[3,5] bit[3,40]{64,1}", 0),
	TYPES(WEFT_OP_PROJECT, "f32[3,5] f32[3,40]", 1),
	VALUE(WEFT_OP_PROJECT, project.taps, 0),
	VALUE(WEFT_OP_PROJECT, project.taps, 65537),
	VALUE(WEFT_OP_PROJECT, project.pad, 1),
	SHAPES(WEFT_OP_PROJECT_HASHED, "i64[3,5] f32[3,4] bit[3,40]{64,1}", 1, 1),
	SHAPES(WEFT_OP_PROJECT_HASHED, "i64[3,65537]{0,0} - bit[3,40]{64,1}", 0, 1),
	TYPES(WEFT_OP_PROJECT_HASHED, "u8[3,5] - bit[3,40]{64,1}", 0),
	VALUE(WEFT_OP_PROJECT_HASHED, project.taps, 1),
	SHAPES(WEFT_OP_PROJECT_MEAN, "i64[3,5] f32[2,40]", 1, 0),
	SHAPES(WEFT_OP_PROJECT_MEAN, "i64[15] f32[3,40]", 0, RANK),
	VALUE(WEFT_OP_PROJECT_MEAN, project.taps, 1),
	SHAPES(WEFT_OP_PROJECT_TERNARY, "i64[3,5] f32[3,40]", 1, RANK),
	SHAPES(WEFT_OP_PROJECT_TERNARY, "i64[3,5] f32[3,6,40]", 1, 1),
	SHAPES(WEFT_OP_PROJECT_TERNARY, "i64[3,5] f32[3,5,40]{400,80,2}", 1, WEFT_DETAIL_STRIDE + 2),
	SHAPES(WEFT_OP_PROJECT_TERNARY, "i64[65536,65536]{0,0} i8[65536,65536,1]{65536,1,1}", 0, 1),
	TYPES(WEFT_OP_PROJECT_TERNARY, "i64[3,5] u8[3,5,40]", 1),
	SHAPES(WEFT_OP_BIT_MATMUL, "bit[3,40]{64,1} f32[41,5] - - f32[3,5]", 1, 0),
	SHAPES(WEFT_OP_BIT_MATMUL, "bit[3,40]{64,1} f32[40,5] - - f32[3,6]", 4, 1),
	SHAPES(WEFT_OP_BIT_MATMUL, "bit[3,40]{64,1} f32[40,5] f32[4] - f32[3,5]", 2, 0),
	SHAPES(WEFT_OP_BIT_MATMUL, "bit[3,65537]{0,1} f32[65537,5]{0,1} - - f32[3,5]", 0, 1),
	TYPES(WEFT_OP_BIT_MATMUL, "bit[3,40]{64,1} f32[40,5] i32[5] - f32[3,5]", 2),
	TYPES(WEFT_OP_BIT_MATMUL, "bit[3,40]{64,1} f32[40,5] - i32[5,2] f32[3,5]", 3),
	TYPES(WEFT_OP_BIT_MATMUL, "bit[3,40]{64,1} f32[40,5] - - i32[3,5]", 4),
	TYPES(WEFT_OP_BIT_MATMUL, "f32[3,40] f32[40,5] - - f32[3,5]", 0),
	{WEFT_OP_BIT_MATMUL,
	 "bit[3,40]{64,1} i8[40,5] - - i8[3,5]",
	 {P(bits.activation), 0},
	 WEFT_FAULT_OPERANDS,
	 3,
	 0},
	{WEFT_OP_BIT_MATMUL, "bit[3,40]{64,1} i8[40,5] - - i32[3,5]", NO_PARAM, WEFT_FAULT_PARAMETER, NONE,
	 P(bits.activation)},
	VALUE(WEFT_OP_BIT_MATMUL, bits.signs, 2),
	VALUE(WEFT_OP_BIT_MATMUL, bits.activation, 3),
	VALUE(WEFT_OP_BIT_MATMUL, bits.high, 1),
	SHAPES(WEFT_OP_BIT_DOT, "bit[3,40]{64,1} bit[5,41]{96,1} i32[3,5]", 1, 1),
	SHAPES(WEFT_OP_BIT_DOT, "bit[3,40]{64,1} bit[5,40]{96,1} i32[3,4]", 2, 1),
	TYPES(WEFT_OP_BIT_DOT, "bit[3,40]{64,1} bit[5,40]{96,1} f32[3,5]", 2),
	SHAPES(WEFT_OP_BIT_UNPACK, "bit[3,40]{64,1} i8[3,41]", 1, 1),
	SHAPES(WEFT_OP_BIT_UNPACK, "bit[] i8[]", 0, RANK),
	VALUE(WEFT_OP_BIT_UNPACK, bits.signs, 2),
	VALUE(WEFT_OP_BIT_UNPACK, bits.low, 1),
	VALUE(WEFT_OP_BIT_UNPACK, bits.activation, 1),
	SHAPES(WEFT_OP_BIT_PACK, "f32[3,40] bit[3,32]{32,1}", 1, 1),
	TYPES(WEFT_OP_BIT_PACK, "i32[3,40] bit[3,40]{64,1}", 0),
};

static void shapes_and_parameters(void **state)
{
	(void)state;
	for (unsigned int r = 0; r < COUNT(relations); r++) {
		const struct relation *row = &relations[r];
		struct text_valid valid = *text_find(row->opcode);
		union text_command command;

		if (row->operands)
			valid.operands = row->operands;
		text_build(&command, &valid);
		if (row->param.offset != UINT32_MAX)
			memcpy(command.header.params.bytes + row->param.offset, &row->param.bits, 4);
		expect(&command, row->reason, row->operand, row->detail);
	}
}

/* Zero points are values of the operand's type, and scales are for nobody. */
static void zero_points(void **state)
{
	static const struct {
		unsigned int type;
		int32_t low, high;
	} rows[] = {{WEFT_TYPE_I8, -128, 127}, {WEFT_TYPE_U8, 0, 255}, {WEFT_TYPE_I4, -8, 7}};

	(void)state;
	for (unsigned int r = 0; r < COUNT(rows); r++) {
		struct text_valid valid = *text_find(WEFT_OP_QMATMUL);
		const int32_t good[] = {rows[r].low, rows[r].high}, bad[] = {rows[r].low - 1, rows[r].high + 1};
		union text_command command;

		valid.operands = "u8[4,6] i8[6,4] - i32[4,2] u8[4,4]";
		text_build(&command, &valid);
		command.header.operand[1].type = (uint8_t)rows[r].type;
		for (unsigned int i = 0; i < 2; i++) {
			command.header.operand[1].zero_point = good[i];
			expect(&command, WEFT_FAULT_NONE, NONE, 0);
			command.header.operand[1].zero_point = bad[i];
			expect(&command, WEFT_FAULT_PARAMETER, 1, offsetof(struct weft_tensor, zero_point));
		}
		command.header.operand[1].zero_point = 0;
		command.header.operand[1].scales = 1;
		expect(&command, WEFT_FAULT_PARAMETER, 1, offsetof(struct weft_tensor, scales));
		command.header.operand[1].scales = 0;
		/* Totals have none. */
		command.header.operand[2].zero_point = 1;
		command.header.operand[2].type = WEFT_TYPE_I32;
		command.header.operand[2].rank = 1;
		command.header.operand[2].dims[0] = 4;
		command.header.operand[2].strides[0] = 1;
		command.header.operand[2].address = TEXT_BASE + 9 * TEXT_STEP;
		expect(&command, WEFT_FAULT_PARAMETER, 2, offsetof(struct weft_tensor, zero_point));
	}
	{
		union text_command command;

		/* One zero point, or one for each element. */
		text_build(&command, text_find(WEFT_OP_QUANTIZE));
		command.header.operand[3].zero_point = 1;
		expect(&command, WEFT_FAULT_PARAMETER, 3, offsetof(struct weft_tensor, zero_point));
		text_build(&command, text_find(WEFT_OP_DEQUANTIZE));
		command.header.operand[0].zero_point = 1;
		expect(&command, WEFT_FAULT_PARAMETER, 0, offsetof(struct weft_tensor, zero_point));
		text_build(&command, text_find(WEFT_OP_QMAXPOOL));
		command.header.operand[1].zero_point = 1;
		expect(&command, WEFT_FAULT_PARAMETER, 1, offsetof(struct weft_tensor, zero_point));
	}
}

/* Every required slot, left empty. */
static void required_operands(void **state)
{
	static const unsigned int optional[WEFT_OP_LIMIT] = {
		[WEFT_OP_MATMUL] = 1 << 2,
		[WEFT_OP_CONV_FWD] = 1 << 2,
		[WEFT_OP_CONV_BWD_DATA] = 1 << 2,
		[WEFT_OP_MAXPOOL_FWD] = 1 << 2,
		[WEFT_OP_NORM_STATS] = 1 << 3,
		[WEFT_OP_NORM_APPLY] = 1 << 3 | 1 << 4,
		[WEFT_OP_NORM_BWD_STATS] = 1 << 4 | 1 << 5,
		[WEFT_OP_NORM_BWD_APPLY] = 1 << 4 | 1 << 7,
		[WEFT_OP_XENT_FWD] = 1 << 2 | 1 << 4 | 1 << 5,
		[WEFT_OP_XENT_BWD] = 1 << 2 | 1 << 4,
		[WEFT_OP_SGD] = 1 << 3,
		[WEFT_OP_RANDOM] = 1 << 0,
		[WEFT_OP_DROPOUT] = 1 << 3,
		[WEFT_OP_QMATMUL] = 1 << 2,
		[WEFT_OP_QCONV] = 1 << 2,
		[WEFT_OP_QUANTIZE] = 1 << 2,
		[WEFT_OP_DEQUANTIZE] = 1 << 2,
		[WEFT_OP_QLAYERNORM] = 1 << 2,
		[WEFT_OP_PROJECT_HASHED] = 1 << 1,
		[WEFT_OP_BIT_MATMUL] = 1 << 2,
	};

	(void)state;
	for (unsigned int i = 0; i < text_valid_count; i++) {
		union text_command good, bad;

		text_build(&good, &text_valid[i]);
		for (unsigned int o = 0; o < good.header.operands; o++) {
			if (!good.header.operand[o].type)
				continue;
			bad = good;
			memset(&bad.header.operand[o], 0, sizeof(struct weft_tensor));
			if (optional[text_valid[i].opcode] & 1u << o)
				expect(&bad, WEFT_FAULT_NONE, NONE, 0);
			else
				expect(&bad, WEFT_FAULT_OPERANDS, o, 0);
		}
	}
}

/* The bytes that an operand can reach, worked out by hand. */
static void ranges(void **state)
{
	static const struct {
		const char *operands;
		uint64_t low, bytes; /* low: relative to the address */
	} rows[] = {
		{"f32[] f32[]", 0, 4},
		{"f32[2,3] f32[2,3]", 0, 24},
		{"f32[2,3]{0,1} f32[2,3]", 0, 12},
		{"f32[2,3]{-3,1} f32[2,3]", (uint64_t)-12, 24},
		{"f32[2,3]{10,-2} f32[2,3]", (uint64_t)-16, 60},
		{"i64[3]{-1} i64[3]", (uint64_t)-16, 24},
		{"u8[3,1]{100,77} u8[3,1]", 0, 201},
		{"i4[5] i4[5]", 0, 3},
		{"i4[3,5]{6,1} i4[3,5]{6,1}", 0, 9},
		{"i4[3,5]{-6,1} i4[3,5]{6,1}", (uint64_t)-6, 9},
		{"bit[32] bit[32]", 0, 4},
		{"bit[33] bit[33]", 0, 8},
		{"bit[2,1]{-64,1} bit[2,1]{64,1}", (uint64_t)-8, 12},
	};

	(void)state;
	for (unsigned int r = 0; r < COUNT(rows); r++) {
		struct core_range range[WEFT_MAX_OPERANDS];
		struct weft_fault_record fault;
		union text_command command;

		text_command(&command, WEFT_OP_COPY, WEFT_ENGINE_DMA_IN, rows[r].operands);
		assert_int_equal(core_check(&command.header, range, &fault), WEFT_FAULT_NONE);
		assert_int_equal(range[0].low, TEXT_BASE + rows[r].low);
		assert_int_equal(range[0].bytes, rows[r].bytes);
		assert_int_equal(range[0].access, CORE_READ | CORE_HOST);
		assert_int_equal(range[1].access, CORE_WRITE);
	}
}

/* Extents that only overflow-safe arithmetic survives. */
static void huge_extents(void **state)
{
	static const struct {
		const char *operands;
		uint32_t detail;
	} rows[] = {
		{"f32[4294967295,4294967295]{2147483647,0} f32[1,1]", 0},
		{"f32[4294967295,4294967295]{0,2147483647} f32[1,1]", 1},
		{"f32[4294967295,4294967295]{2147483647,2147483647} f32[1,1]", 0},
		{"i64[4294967295,4294967295]{-2147483648,-2147483648} i64[1,1]", 0},
		{"f32[16777216,2]{-2147483648,1} f32[1,1]", RANK},
		{"bit[4294967295]{1} bit[1]", RANK},
	};

	(void)state;
	for (unsigned int r = 0; r + 1 < COUNT(rows); r++) {
		union text_command command;

		text_command(&command, WEFT_OP_COPY, WEFT_ENGINE_COMPUTE, rows[r].operands);
		expect(&command, WEFT_FAULT_SHAPE, 0, rows[r].detail);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(valid_commands),
		cmocka_unit_test(headers),
		cmocka_unit_test(operands),
		cmocka_unit_test(overlaps),
		cmocka_unit_test(ranges),
		cmocka_unit_test(shapes_and_parameters),
		cmocka_unit_test(huge_extents),
		cmocka_unit_test(zero_points),
		cmocka_unit_test(required_operands),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
