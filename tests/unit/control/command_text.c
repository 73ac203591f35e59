// SPDX-License-Identifier: MIT
#include "command_text.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define P(member) offsetof(union weft_params, member)
#define ONE 0x3f800000u /* 1.0f */
#define HALF 0x3f000000u

#define POOL_2X2                                                                                            \
	{                                                                                                   \
		{P(pool.kernel), 2}, {P(pool.kernel) + 4, 2}, {P(pool.stride), 2}, {P(pool.stride) + 4, 2}, \
			{P(pool.dilation), 1}, {P(pool.dilation) + 4, 1},                                   \
	}
#define CONV_1X1(groups_)                                                                                       \
	{                                                                                                       \
		{P(conv.stride), 1}, {P(conv.stride) + 4, 1}, {P(conv.dilation), 1}, {P(conv.dilation) + 4, 1}, \
			{P(conv.groups), groups_},                                                              \
	}

#define QCONV_1X1(groups_)                                                                                          \
	{                                                                                                           \
		{P(qconv.stride), 1}, {P(qconv.stride) + 4, 1}, {P(qconv.dilation), 1}, {P(qconv.dilation) + 4, 1}, \
			{P(qconv.groups), groups_},                                                                 \
	}

const struct text_valid text_valid[] = {
	{WEFT_OP_NOP, WEFT_ENGINE_COMPUTE, "", {{0}}},
	{WEFT_OP_NOP, WEFT_ENGINE_DMA_IN, "", {{0}}},
	{WEFT_OP_COPY, WEFT_ENGINE_COMPUTE, "f32[2,3] f32[2,3]{1,2}", {{0}}},
	{WEFT_OP_COPY, WEFT_ENGINE_DMA_IN, "i64[4,5]{0,1} i64[4,5]", {{0}}},
	{WEFT_OP_COPY, WEFT_ENGINE_DMA_OUT, "i4[3,5]{6,1} i4[3,5]{8,1}", {{0}}},
	{WEFT_OP_COPY, WEFT_ENGINE_DMA_OUT, "bit[3,33]{64,1} bit[3,33]{64,1}", {{0}}},
	{WEFT_OP_FILL, WEFT_ENGINE_COMPUTE, "u8[3,3]", {{P(fill.bits), 0xff}}},
	{WEFT_OP_FILL, WEFT_ENGINE_COMPUTE, "bool[]", {{P(fill.bits), 1}}},
	{WEFT_OP_FILL, WEFT_ENGINE_COMPUTE, "i64[2]", {{P(fill.bits), 1}, {P(fill.bits) + 4, 1}}},
	{WEFT_OP_MATMUL, WEFT_ENGINE_COMPUTE, "f32[4,5] f32[5,3] - f32[4,3]", {{P(matmul.scale), ONE}}},
	{WEFT_OP_MATMUL,
	 WEFT_ENGINE_COMPUTE,
	 "f32[4,5] f32[5,3] f32[3] f32[4,3]",
	 {{P(matmul.flags), WEFT_F_ACCUMULATE}, {P(matmul.activation), WEFT_ACT_CLIP}}},
	{WEFT_OP_MATMUL, WEFT_ENGINE_COMPUTE, "f32[2,2,4,5] f32[2,2,5,3]{0,0,1,5} f32[4,3] f32[2,2,4,3]", {{0}}},
	{WEFT_OP_CONV_FWD, WEFT_ENGINE_COMPUTE, "f32[2,6,6,4] f32[3,3,4,8] f32[8] f32[2,4,4,8]", CONV_1X1(1)},
	{WEFT_OP_CONV_FWD, WEFT_ENGINE_COMPUTE, "f32[2,6,6,4] f32[3,3,2,8] - f32[2,4,4,8]", CONV_1X1(2)},
	{WEFT_OP_CONV_BWD_DATA, WEFT_ENGINE_COMPUTE, "f32[2,4,4,8] f32[3,3,4,8] f32[4] f32[2,6,6,4]", CONV_1X1(1)},
	{WEFT_OP_CONV_BWD_WEIGHT, WEFT_ENGINE_COMPUTE, "f32[2,6,6,4] f32[2,4,4,8] f32[3,3,4,8]", CONV_1X1(1)},
	{WEFT_OP_MAXPOOL_FWD, WEFT_ENGINE_COMPUTE, "f32[2,6,6,4] f32[2,3,3,4] u8[2,3,3,4]", POOL_2X2},
	{WEFT_OP_MAXPOOL_FWD, WEFT_ENGINE_COMPUTE, "f32[2,6,6,4] f32[2,3,3,4] -", POOL_2X2},
	{WEFT_OP_MAXPOOL_BWD, WEFT_ENGINE_COMPUTE, "f32[2,3,3,4] u8[2,3,3,4] f32[2,6,6,4]", POOL_2X2},
	{WEFT_OP_AVGPOOL_FWD, WEFT_ENGINE_COMPUTE, "f32[2,6,6,4] f32[2,3,3,4]", POOL_2X2},
	{WEFT_OP_AVGPOOL_BWD, WEFT_ENGINE_COMPUTE, "f32[2,3,3,4] f32[2,6,6,4]", POOL_2X2},
	{WEFT_OP_NORM_STATS, WEFT_ENGINE_COMPUTE, "f32[2,5,4] f32[1,1,4] f32[1,1,4] f32[1,1,4]", {{0}}},
	{WEFT_OP_NORM_STATS, WEFT_ENGINE_COMPUTE, "f32[2,5,4] f32[2,1,1] f32[2,1,1] -", {{0}}},
	{WEFT_OP_NORM_APPLY,
	 WEFT_ENGINE_COMPUTE,
	 "f32[2,5,4] f32[1,1,4] f32[1,1,4] f32[1,1,4] f32[1,1,4] f32[2,5,4]@0",
	 {{0}}},
	{WEFT_OP_NORM_APPLY,
	 WEFT_ENGINE_COMPUTE,
	 "f32[2,5,4] f32[1,1,4] f32[1,1,4] - - f32[2,5,4]",
	 {{P(norm.activation), WEFT_ACT_RELU}}},
	{WEFT_OP_NORM_BWD_STATS,
	 WEFT_ENGINE_COMPUTE,
	 "f32[2,5,4] f32[2,5,4] f32[1,1,4] f32[1,1,4] f32[1,1,4] f32[2,5,4] f32[1,1,4] f32[1,1,4]",
	 {{0}}},
	{WEFT_OP_NORM_BWD_APPLY,
	 WEFT_ENGINE_COMPUTE,
	 "f32[2,5,4] f32[2,5,4] f32[1,1,4] f32[1,1,4] f32[1,1,4] f32[1,1,4] f32[1,1,4] f32[2,5,4] f32[2,5,4]@1",
	 {{P(norm.gamma_in_sums), 1}}},
	{WEFT_OP_SOFTMAX_FWD, WEFT_ENGINE_COMPUTE, "f32[3,7] f32[3,7]@0", {{P(softmax.log), 1}}},
	{WEFT_OP_SOFTMAX_BWD, WEFT_ENGINE_COMPUTE, "f32[3,7] f32[3,7] f32[3,7]@1", {{0}}},
	{WEFT_OP_XENT_FWD,
	 WEFT_ENGINE_COMPUTE,
	 "f32[6,10] i32[6] f32[10] f32[] f32[6,10] f32[]",
	 {{P(xent.reduction), WEFT_XENT_MEAN}, {P(xent.smoothing), HALF}}},
	{WEFT_OP_XENT_FWD, WEFT_ENGINE_COMPUTE, "f32[6,10] i64[6] - f32[6] - -", {{0}}},
	{WEFT_OP_XENT_BWD,
	 WEFT_ENGINE_COMPUTE,
	 "f32[6,10] i64[6] f32[10] f32[] f32[] f32[6,10]@0",
	 {{P(xent.reduction), WEFT_XENT_SUM}}},
	{WEFT_OP_UNARY, WEFT_ENGINE_COMPUTE, "f32[4,4] f32[4,4]@0", {{P(unary.function), WEFT_UNARY_EXP}}},
	{WEFT_OP_UNARY, WEFT_ENGINE_COMPUTE, "bool[4] bool[4]", {{P(unary.function), WEFT_UNARY_NOT}}},
	{WEFT_OP_UNARY, WEFT_ENGINE_COMPUTE, "f32[4] bool[4]", {{P(unary.function), WEFT_UNARY_ISNAN}}},
	{WEFT_OP_UNARY_BWD, WEFT_ENGINE_COMPUTE, "f32[4,4] f32[4,4] f32[4,4]@1", {{0}}},
	{WEFT_OP_BINARY, WEFT_ENGINE_COMPUTE, "f32[4,4] f32[4,4]{0,1} f32[4,4]@0", {{0}}},
	{WEFT_OP_BINARY, WEFT_ENGINE_COMPUTE, "i64[4] i64[4] bool[4]", {{P(binary.function), WEFT_BINARY_LESS}}},
	{WEFT_OP_BINARY, WEFT_ENGINE_COMPUTE, "bool[4] bool[4] bool[4]", {{P(binary.function), WEFT_BINARY_XOR}}},
	{WEFT_OP_BINARY, WEFT_ENGINE_COMPUTE, "i32[4] i32[4] i32[4]", {{P(binary.function), WEFT_BINARY_SHIFT_LEFT}}},
	{WEFT_OP_WHERE, WEFT_ENGINE_COMPUTE, "bool[2,2] f32[2,2] f32[2,2] f32[2,2]", {{0}}},
	{WEFT_OP_WHERE, WEFT_ENGINE_COMPUTE, "bool[2,2] i64[2,2] i64[2,2] i64[2,2]", {{0}}},
	{WEFT_OP_CAST, WEFT_ENGINE_COMPUTE, "f16[9] i64[9]", {{0}}},
	{WEFT_OP_REDUCE, WEFT_ENGINE_COMPUTE, "f32[4,5] f32[4,1]", {{P(reduce.flags), WEFT_F_ACCUMULATE}}},
	{WEFT_OP_REDUCE, WEFT_ENGINE_COMPUTE, "f32[] f32[]", {{P(reduce.function), WEFT_REDUCE_MAX}}},
	{WEFT_OP_ARGREDUCE, WEFT_ENGINE_COMPUTE, "f32[4,5] i64[4,1]", {{P(reduce.function), WEFT_REDUCE_MAX}}},
	{WEFT_OP_TOPK, WEFT_ENGINE_COMPUTE, "f32[4,5] i64[4,3]", {{P(topk.smallest), 1}}},
	{WEFT_OP_TOPK, WEFT_ENGINE_COMPUTE, "i32[5] i32[5]", {{0}}},
	{WEFT_OP_GATHER, WEFT_ENGINE_COMPUTE, "f32[10,4] i32[3] f32[3,4]", {{0}}},
	{WEFT_OP_GATHER, WEFT_ENGINE_COMPUTE, "u8[10,4] i64[3] u8[3,4]", {{0}}},
	{WEFT_OP_SCATTER_ADD, WEFT_ENGINE_COMPUTE, "f32[3,4] i64[3] f32[10,4]", {{0}}},
	{WEFT_OP_IOTA, WEFT_ENGINE_COMPUTE, "i32[8]", {{0}}},
	{WEFT_OP_SCATTER, WEFT_ENGINE_COMPUTE, "u8[10,4] i64[3] u8[3,4] u8[10,4]", {{0}}},
	{WEFT_OP_SCATTER,
	 WEFT_ENGINE_COMPUTE,
	 "f32[10,4] i32[3] f32[3,4] f32[10,4]@0",
	 {{P(scatter.function), WEFT_SCATTER_MIN}}},
	{WEFT_OP_SGD, WEFT_ENGINE_COMPUTE, "f32[3,4] f32[8] f32[3,4] f32[3,4]", {{P(optimizer.nesterov), 1}}},
	{WEFT_OP_SGD, WEFT_ENGINE_COMPUTE, "f32[3,4] f32[8] f32[3,4] -", {{0}}},
	{WEFT_OP_ADAM,
	 WEFT_ENGINE_COMPUTE,
	 "f32[3,4] f32[8] f32[3,4] f32[3,4] f32[3,4]",
	 {{P(optimizer.decoupled), 1}}},
	{WEFT_OP_LERP, WEFT_ENGINE_COMPUTE, "f32[3,4] f32[3,4]", {{0}}},
	{WEFT_OP_RANDOM, WEFT_ENGINE_COMPUTE, "i64[2] f32[100]", {{P(random.distribution), WEFT_NORMAL}}},
	{WEFT_OP_RANDOM, WEFT_ENGINE_COMPUTE, "- f32[100]", {{0}}},
	{WEFT_OP_DROPOUT, WEFT_ENGINE_COMPUTE, "f32[5,5] i64[2] f32[5,5]@0 bool[5,5]", {{P(random.keep), HALF}}},
	{WEFT_OP_DROPOUT, WEFT_ENGINE_COMPUTE, "f32[5,5] i64[2] f32[5,5] -", {{P(random.keep), ONE}}},
	{WEFT_OP_QMATMUL,
	 WEFT_ENGINE_COMPUTE,
	 "u8[4,5] i8[5,3] i32[3] i32[3,2] u8[4,3]",
	 {{P(qmatmul.low), 3}, {P(qmatmul.high), 255}}},
	{WEFT_OP_QMATMUL, WEFT_ENGINE_COMPUTE, "i8[2,2,4,5]{1,3,10,2} i4[2,2,5,4]{0,0,6,1} - - i32[2,2,4,4]", {{0}}},
	{WEFT_OP_QMATMUL,
	 WEFT_ENGINE_COMPUTE,
	 "u8[4,8] i8[2,2,32,4] i32[33] i32[33,2] u8[4,33]",
	 {{P(qmatmul.high), 255}, {P(qmatmul.panels), 1}}},
	{WEFT_OP_QCONV, WEFT_ENGINE_COMPUTE, "u8[2,6,6,4] i8[3,3,4,8] i32[8] i32[1,2] u8[2,4,4,8]", QCONV_1X1(1)},
	{WEFT_OP_QCONV, WEFT_ENGINE_COMPUTE, "i8[2,6,6,4] u8[3,3,2,8] - - i32[2,4,4,8]", QCONV_1X1(2)},
	{WEFT_OP_QCONV,
	 WEFT_ENGINE_COMPUTE,
	 "u8[2,6,6,4] i8[1,9,32,4] i32[8] i32[1,2] u8[2,4,4,8]",
	 {{P(qconv.stride), 1},
	  {P(qconv.stride) + 4, 1},
	  {P(qconv.dilation), 1},
	  {P(qconv.dilation) + 4, 1},
	  {P(qconv.groups), 1},
	  {P(qconv.kernel), 3},
	  {P(qconv.kernel) + 4, 3}}},
	{WEFT_OP_QUANTIZE, WEFT_ENGINE_COMPUTE, "f32[3,4] f32[1,4] i8[1,4] i8[3,4]", {{0}}},
	{WEFT_OP_QUANTIZE, WEFT_ENGINE_COMPUTE, "f32[3,4] f32[1,1] - u8[3,4]", {{0}}},
	{WEFT_OP_DEQUANTIZE, WEFT_ENGINE_COMPUTE, "i8[3,4] f32[1,4] i8[1,4] f32[3,4]", {{0}}},
	{WEFT_OP_DEQUANTIZE, WEFT_ENGINE_COMPUTE, "i32[3,4] f32[3,1] - f32[3,4]", {{0}}},
	{WEFT_OP_REQUANTIZE, WEFT_ENGINE_COMPUTE, "u8[3,4] i32[4,2] u8[3,4]@0", {{P(qmatmul.high), 255}}},
	{WEFT_OP_REQUANTIZE, WEFT_ENGINE_COMPUTE, "i32[3,4] i32[1,2] u8[3,4]", {{P(qmatmul.high), 255}}},
	{WEFT_OP_QADD,
	 WEFT_ENGINE_COMPUTE,
	 "u8[3,4] u8[3,4] u8[3,4]@1",
	 {{P(qadd.high), 9}, {P(qadd.factor), 1u << 21}, {P(qadd.factor) + 4, -(1u << 21)}, {P(qadd.shift), 30}}},
	{WEFT_OP_QMUL,
	 WEFT_ENGINE_COMPUTE,
	 "u8[3,4] u8[3,4] u8[3,4]@0",
	 {{P(qmul.high), 255}, {P(qmul.multiplier), INT32_MAX}, {P(qmul.shift), 62}}},
	{WEFT_OP_QMAXPOOL, WEFT_ENGINE_COMPUTE, "u8[2,6,6,4] u8[2,3,3,4]", POOL_2X2},
	{WEFT_OP_QAVGPOOL,
	 WEFT_ENGINE_COMPUTE,
	 "u8[2,6,6,4] u8[2,3,3,4]",
	 {{P(qpool.kernel), 2},
	  {P(qpool.kernel) + 4, 2},
	  {P(qpool.stride), 2},
	  {P(qpool.stride) + 4, 2},
	  {P(qpool.dilation), 1},
	  {P(qpool.dilation) + 4, 1},
	  {P(qpool.high), 255},
	  {P(qpool.shift), 30}}},
	{WEFT_OP_QLOOKUP, WEFT_ENGINE_COMPUTE, "i8[3,4] i8[256] i8[3,4]@0", {{0}}},
	{WEFT_OP_QSOFTMAX, WEFT_ENGINE_COMPUTE, "i8[3,4] i32[256] u8[3,4]", {{P(qsoftmax.bits), 8}}},
	{WEFT_OP_QLAYERNORM,
	 WEFT_ENGINE_COMPUTE,
	 "i8[3,4] i8[4] i32[4] i32[4,2] u8[3,4]",
	 {{P(qlayernorm.high), 255}, {P(qlayernorm.epsilon), 1}}},
	{WEFT_OP_PROJECT, WEFT_ENGINE_COMPUTE, "f32[3,5]{1,3} bit[3,40]{64,1}", {{P(project.taps), 3}}},
	{WEFT_OP_PROJECT,
	 WEFT_ENGINE_COMPUTE,
	 "u8[3,5] bit[3,40]{64,1}",
	 {{P(project.seed), -1u}, {P(project.seed) + 4, -1u}, {P(project.taps), 65536}}},
	{WEFT_OP_PROJECT_HASHED, WEFT_ENGINE_COMPUTE, "i64[3,5] f32[3,5] bit[3,40]{64,1}", {{0}}},
	{WEFT_OP_PROJECT_MEAN, WEFT_ENGINE_COMPUTE, "i32[3,5] f32[3,40]", {{0}}},
	{WEFT_OP_PROJECT_TERNARY, WEFT_ENGINE_COMPUTE, "i32[3,5] f32[3,5,40]", {{0}}},
	{WEFT_OP_PROJECT_TERNARY, WEFT_ENGINE_COMPUTE, "i64[3,2]{1,3} i8[3,2,40]", {{0}}},
	{WEFT_OP_BIT_MATMUL,
	 WEFT_ENGINE_COMPUTE,
	 "bit[3,40]{64,1} f32[40,5]{1,40} f32[5] - f32[3,5]",
	 {{P(bits.signs), 1}, {P(bits.activation), WEFT_ACT_RELU}}},
	{WEFT_OP_BIT_MATMUL,
	 WEFT_ENGINE_COMPUTE,
	 "bit[3,40]{64,1} i8[40,5] i32[5] i32[5,2] u8[3,5]",
	 {{P(bits.high), 255}}},
	{WEFT_OP_BIT_MATMUL, WEFT_ENGINE_COMPUTE, "bit[3,40]{64,1} i8[40,5] - - i32[3,5]", {{0}}},
	{WEFT_OP_BIT_DOT, WEFT_ENGINE_COMPUTE, "bit[3,40]{64,1} bit[5,40]{96,1} i32[3,5]", {{0}}},
	{WEFT_OP_BIT_UNPACK, WEFT_ENGINE_COMPUTE, "bit[3,40]{64,1} i8[3,40]{1,3}", {{P(bits.signs), 1}}},
	{WEFT_OP_BIT_PACK, WEFT_ENGINE_COMPUTE, "u8[2,3,40] bit[2,3,40]{192,64,1}", {{0}}},
};
const unsigned int text_valid_count = sizeof(text_valid) / sizeof(text_valid[0]);

static unsigned int parse_type(const char **text)
{
	static const char *const names[WEFT_TYPES] = {"-",  "f32", "f16", "bf16", "i32", "i64",
						      "i8", "u8",  "i16", "bool", "i4",	 "bit"};

	for (unsigned int i = 1; i < WEFT_TYPES; i++) {
		size_t length = strlen(names[i]);

		if (!strncmp(*text, names[i], length) && (*text)[length] == '[') {
			*text += length;
			return i;
		}
	}
	abort();
}

/* "[1,2,3]" or "{1,2,3}" */
static unsigned int parse_list(const char **text, char close, long values[WEFT_MAX_RANK])
{
	unsigned int count = 0;
	char *end;

	(*text)++;
	while (**text != close) {
		if (count == WEFT_MAX_RANK)
			abort();
		values[count++] = strtol(*text, &end, 0);
		*text = end + (*end == ',');
	}
	(*text)++;
	return count;
}

static void parse_operand(struct weft_tensor *all, unsigned int index, const char **text)
{
	struct weft_tensor *tensor = &all[index];
	long values[WEFT_MAX_RANK];
	unsigned long stride = 1;

	tensor->type = (uint8_t)parse_type(text);
	tensor->address = TEXT_BASE + TEXT_STEP * index;
	tensor->rank = (uint8_t)parse_list(text, ']', values);
	for (unsigned int i = tensor->rank; i-- > 0;) {
		tensor->dims[i] = (uint32_t)values[i];
		tensor->strides[i] = (int32_t)stride;
		stride *= (unsigned long)values[i];
	}
	if (**text == '{') {
		unsigned int count = parse_list(text, '}', values);

		for (unsigned int i = 0; i < count; i++)
			tensor->strides[i] = (int32_t)values[i];
	}
	if (**text == '@') {
		tensor->address = all[(*text)[1] - '0'].address;
		*text += 2;
	}
}

void text_command(union text_command *command, unsigned int opcode, unsigned int engine, const char *operands)
{
	unsigned int count = 0;

	memset(command, 0, sizeof(*command));
	for (; *operands; count++) {
		if (*operands == '-')
			operands++;
		else
			parse_operand(command->header.operand, count, &operands);
		operands += *operands == ' ';
	}
	command->header.opcode = (uint16_t)opcode;
	command->header.engine = (uint8_t)engine;
	command->header.operands = (uint8_t)count;
	command->header.size = (uint32_t)(sizeof(struct weft_cmd) + count * sizeof(struct weft_tensor));
	command->header.wait[0].index = command->header.wait[1].index = WEFT_SEM_NONE;
	command->header.signal.index = WEFT_SEM_NONE;
}

void text_build(union text_command *command, const struct text_valid *valid)
{
	text_command(command, valid->opcode, valid->engine, valid->operands);
	for (unsigned int i = 0; i < sizeof(valid->param) / sizeof(valid->param[0]); i++) {
		if (valid->param[i].bits)
			memcpy(command->header.params.bytes + valid->param[i].offset, &valid->param[i].bits, 4);
	}
}

const struct text_valid *text_find(unsigned int opcode)
{
	for (unsigned int i = 0; i < text_valid_count; i++) {
		if (text_valid[i].opcode == opcode)
			return &text_valid[i];
	}
	abort();
}
