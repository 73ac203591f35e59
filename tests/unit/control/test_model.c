// SPDX-License-Identifier: MIT
/* The analytical model against its formulas, worked out by hand. */
#include <model.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>
#include <math.h>

#include "command_text.h"

/* weft-1: 16 x 16 at 500 MHz, 32 lanes, 200 cycles a command, 12.8 GB/s: 25.6 bytes a cycle. */
static void cycles_by_hand(void **state)
{
	static const struct {
		unsigned int opcode, engine;
		const char *operands;
		struct text_param param;
		uint64_t cycles, operations, bytes;
	} rows[] = {
		/* M 64, K 64, N 64: 64 * 4 * 4 + 32 steps; 3 * 16384 bytes take 1920 cycles: memory decides. */
		{WEFT_OP_MATMUL, 0, "f32[64,64] f32[64,64] - f32[64,64]", {0}, 200 + 1920, 2 * 64 * 64 * 64, 49152},
		/* M 1024, K 512, N 512: 1024 * 32 * 32 + 32 steps; computation decides. */
		{WEFT_OP_MATMUL,
		 0,
		 "f32[1024,512] f32[512,512] - f32[1024,512]",
		 {0},
		 200 + 1048576 + 32,
		 2ull * 1024 * 512 * 512,
		 5242880},
		/* What is added to is moved twice. */
		{WEFT_OP_MATMUL,
		 0,
		 "f32[64,64] f32[64,64] - f32[64,64]",
		 {offsetof(union weft_params, matmul.flags), WEFT_F_ACCUMULATE},
		 200 + 2560,
		 2 * 64 * 64 * 64,
		 65536},
		/* A repeated row is moved once: 4 * (1024 + 1024 * 1024) * 2 bytes. */
		{WEFT_OP_BINARY,
		 0,
		 "f32[1024,1024] f32[1024,1024]{0,1} f32[1024,1024]",
		 {0},
		 200 + 327840,
		 1048576,
		 8392704},
		{WEFT_OP_NOP, 0, "", {0}, 200, 0, 0},
		/* 1 us + 4096 / 400e6 s = 11.24 us, of 2 ns each. */
		{WEFT_OP_COPY, WEFT_ENGINE_DMA_IN, "f32[1024] f32[1024]", {0}, 5620, 0, 4096},
		{WEFT_OP_COPY, WEFT_ENGINE_DMA_OUT, "f32[1024]{0} f32[1024]", {0}, 5620, 0, 4096},
		{WEFT_OP_NOP, WEFT_ENGINE_DMA_OUT, "", {0}, 0, 0, 0},
	};

	(void)state;
	for (size_t r = 0; r < sizeof(rows) / sizeof(rows[0]); r++) {
		struct weft_model_cost cost;
		union text_command command;

		text_command(&command, rows[r].opcode, rows[r].engine, rows[r].operands);
		memcpy(command.header.params.bytes + rows[r].param.offset, &rows[r].param.bits, 4);
		weft_model_cost(weft_model_get(0), &command.header, &cost);
		assert_int_equal(cost.cycles, rows[r].cycles);
		assert_int_equal(cost.operations, rows[r].operations);
		assert_int_equal(cost.bytes, rows[r].bytes);
	}
}

static void energy_by_hand(void **state)
{
	struct weft_model_cost cost;
	union text_command command;

	(void)state;
	text_command(&command, WEFT_OP_MATMUL, 0, "f32[64,64] f32[64,64] - f32[64,64]");
	weft_model_cost(weft_model_get(0), &command.header, &cost);
	/* 64^3 * 4.6 + 49152 * 32 + 2120 cycles of 2 ns at 0.1 W */
	assert_int_equal(cost.picojoules, 1205862 + 1572864 + 424000);
	text_command(&command, WEFT_OP_COPY, WEFT_ENGINE_DMA_IN, "f32[1024] f32[1024]");
	weft_model_cost(weft_model_get(0), &command.header, &cost);
	/* 4096 * (80 + 32) + 11.24 us at 0.05 W */
	assert_int_equal(cost.picojoules, 458752 + 562000);
}

/* The profiles that POET describes give POET's figures: flop/s, flop/J, and paging by latency, rate and power. */
static void profiles_of_poet(void **state)
{
	static const struct {
		const char *name;
		double flops, flop_per_joule;
		double in_seconds, in_joules, out_joules; /* of 65,536 bytes */
	} rows[] = {
		{"m0", 166666.67, 2525252.5, 0.014305005, 0.0047206517, 0.0049082089},
		{"m4f", 6369910.1, 580010757.7, 0.014305005, 0.0047206517, 0.0049082089},
		{"a72", 2e9, 40115792, 0.00144544726, 0.000216817089, 0.000404020527},
	};

	(void)state;
	for (size_t r = 0; r < sizeof(rows) / sizeof(rows[0]); r++) {
		const struct weft_model *model = weft_model_find(rows[r].name);
		struct weft_model_cost cost;
		union text_command command;
		double flop = 2.0 * 256 * 256 * 256;

		assert_non_null(model);
		text_command(&command, WEFT_OP_MATMUL, 0, "f32[256,256] f32[256,256] - f32[256,256]");
		weft_model_cost(model, &command.header, &cost);
		assert_true(fabs((double)cost.cycles / model->clock_hz / (flop / rows[r].flops) - 1) < 1e-3);
		assert_true(fabs((double)cost.picojoules * 1e-12 / (flop / rows[r].flop_per_joule) - 1) < 1e-5);
		text_command(&command, WEFT_OP_COPY, WEFT_ENGINE_DMA_IN, "f32[16384] f32[16384]");
		weft_model_cost(model, &command.header, &cost);
		assert_true(fabs((double)cost.cycles / model->clock_hz / rows[r].in_seconds - 1) < 1e-5);
		assert_true(fabs((double)cost.picojoules * 1e-12 / rows[r].in_joules - 1) < 1e-6);
		command.header.engine = WEFT_ENGINE_DMA_OUT;
		weft_model_cost(model, &command.header, &cost);
		assert_true(fabs((double)cost.picojoules * 1e-12 / rows[r].out_joules - 1) < 1e-6);
	}
}

/* No opcode is free of time; only commands that compute have operations. */
static void every_command_costs(void **state)
{
	const struct weft_model *model;

	(void)state;
	for (unsigned int m = 0; (model = weft_model_get(m)); m++) {
		assert_ptr_equal(weft_model_find(model->name), model);
		for (unsigned int i = 0; i < text_valid_count; i++) {
			struct weft_model_cost cost, again;
			union text_command command;
			unsigned int opcode = text_valid[i].opcode;

			text_build(&command, &text_valid[i]);
			weft_model_cost(model, &command.header, &cost);
			weft_model_cost(model, &command.header, &again);
			assert_memory_equal(&cost, &again, sizeof(cost));
			if (opcode == WEFT_OP_NOP)
				continue;
			assert_true(cost.cycles > 0 && cost.bytes > 0);
			if (opcode != WEFT_OP_COPY && opcode != WEFT_OP_FILL && opcode != WEFT_OP_GATHER)
				assert_true(cost.operations > 0 && cost.picojoules > 0);
		}
	}
	assert_null(weft_model_find("abacus"));
}

static void huge_commands_saturate(void **state)
{
	struct weft_model_cost cost;
	union text_command command;

	(void)state;
	text_command(&command, WEFT_OP_MATMUL, 0,
		     "f32[4294967295,4294967295]{0,0} f32[4294967295,4294967295]{0,0} - "
		     "f32[4294967295,4294967295]{0,0}");
	weft_model_cost(weft_model_find("m0"), &command.header, &cost);
	assert_true(cost.cycles == UINT64_MAX);
	assert_true(cost.picojoules == UINT64_MAX);
	assert_true(cost.operations == UINT64_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cycles_by_hand),	  cmocka_unit_test(energy_by_hand),
		cmocka_unit_test(profiles_of_poet),	  cmocka_unit_test(every_command_costs),
		cmocka_unit_test(huge_commands_saturate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
