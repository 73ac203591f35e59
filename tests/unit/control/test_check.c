// SPDX-License-Identifier: MIT
/* Every check of a single command, with just one thing wrong. */
#include "expect_fault.h"

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
		cmocka_unit_test(valid_commands), cmocka_unit_test(headers),
		cmocka_unit_test(operands),	  cmocka_unit_test(overlaps),
		cmocka_unit_test(ranges),	  cmocka_unit_test(huge_extents),
		cmocka_unit_test(zero_points),	  cmocka_unit_test(required_operands),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
