// SPDX-License-Identifier: MIT
/* The RV32IMC interpreter executes what the cross compiler made of compute.c and program.S. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compute.h"
#include "rv32.h"

#define MEMORY_BYTES 0x100000u

static uint8_t memory[MEMORY_BYTES];
static uint32_t bus_stored;

static bool bus_load(void *user, uint32_t address, uint32_t bytes, uint32_t *value)
{
	(void)user;
	if (address != 0x40000008 || bytes != 4)
		return false;
	*value = 0x12345678;
	return true;
}

static bool bus_store(void *user, uint32_t address, uint32_t bytes, uint32_t value)
{
	(void)user;
	if (address != 0x4000000c || bytes != 4)
		return false;
	bus_stored = value;
	return true;
}

static const struct rv32_bus bus = {.load = bus_load, .store = bus_store};

static uint32_t word(uint32_t address)
{
	uint32_t value;

	memcpy(&value, memory + address, sizeof(value));
	return value;
}

static void run_program(struct rv32 *core)
{
	const char *path = getenv("RV32_PROGRAM");
	FILE *file;

	assert_non_null(path);
	file = fopen(path, "rb");
	assert_non_null(file);
	memset(memory, 0, sizeof(memory));
	assert_true(fread(memory, 1, 0x40000, file) > 0);
	fclose(file);
	rv32_reset(core, memory, sizeof(memory), &bus, 0);
	assert_int_equal(rv32_run(core, 100000000), RV32_WAIT);
}

static void computes_as_the_host_does(void **state)
{
	static uint32_t expected[COMPUTE_WORDS];
	uint32_t count = compute(expected);
	struct rv32 core;

	(void)state;
	run_program(&core);
	assert_true(count > 8000);
	assert_int_equal(word(0x3fffc), count);
	for (uint32_t i = 0; i < count; i++) {
		if (word(0x40000 + 4 * i) != expected[i])
			fail_msg("word %u: 0x%x, expected 0x%x", i, word(0x40000 + 4 * i), expected[i]);
	}
}

static void traps_and_corner_cases(void **state)
{
	static const uint32_t expected[] = {
		RV32_ECALL, 0, /* mcause, mtval */
		RV32_BREAKPOINT, 0xffffffff /* its own address */, RV32_ILLEGAL, 0xffffffff, RV32_LOAD_FAULT, 0x200000,
		RV32_STORE_FAULT, 0x200000, RV32_LOAD_MISALIGNED, 0x200002, RV32_ILLEGAL, 0x7c002373, RV32_ILLEGAL,
		0xf1431073,
		/* div, rem, divu, remu by zero; overflow */
		0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0x80000000, 0,
		/* mscratch */
		0xf0, 0xff, 0xcf, 0, /* x0 */
		0x12345678,	     /* bus */
	};
	struct rv32 core;

	(void)state;
	run_program(&core);
	for (uint32_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
		if (i != 3 && word(0x60000 + 4 * i) != expected[i])
			fail_msg("note %u: 0x%x, expected 0x%x", i, word(0x60000 + 4 * i), expected[i]);
	}
	assert_int_equal(bus_stored, 0x12345678);
}

static void stops_without_a_handler(void **state)
{
	static const struct {
		uint32_t instruction, cause, value;
	} rows[] = {
		{0x00000000, RV32_ILLEGAL, 0}, /* also the 16-bit all-zero instruction */
		{0x00000073, RV32_ECALL, 0},
		{0xffffffff, RV32_ILLEGAL, 0xffffffff},
		{0x0000006f, 0, 0},			      /* j . */
		{0x00028067, RV32_FETCH_FAULT, MEMORY_BYTES}, /* jr t0 */
	};
	struct rv32 core;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		memcpy(memory, &rows[i].instruction, sizeof(rows[i].instruction));
		rv32_reset(&core, memory, sizeof(memory), &bus, 0);
		core.x[5] = MEMORY_BYTES;
		if (rows[i].instruction == 0x0000006f) {
			assert_int_equal(rv32_run(&core, 1000), RV32_BUDGET);
			assert_int_equal(core.retired, 1000);
			continue;
		}
		assert_int_equal(rv32_run(&core, 1000), RV32_TRAPPED);
		assert_int_equal(core.mcause, rows[i].cause);
		assert_int_equal(core.mtval, rows[i].value);
	}
}

/* A program that writes over an instruction that it has executed executes the new one after FENCE.I. */
static void fetches_anew_after_fence_i(void **state)
{
	static const uint32_t program[] = {
		0x00100513, /* addi a0, zero, 1 */
		0x00602023, /* sw t1, 0(zero) */
		0x0000100f, /* fence.i */
		0xfffe0e13, /* addi t3, t3, -1 */
		0xfe0e18e3, /* bnez t3, 0 */
		0x10500073, /* wfi */
	};
	struct rv32 core;

	(void)state;
	memcpy(memory, program, sizeof(program));
	rv32_reset(&core, memory, sizeof(memory), &bus, 0);
	core.x[6] = 0x00200513; /* addi a0, zero, 2 */
	core.x[28] = 2;
	assert_int_equal(rv32_run(&core, 1000), RV32_WAIT);
	assert_int_equal(core.x[10], 2);
	assert_int_equal(core.retired, 11);
}

/* Reserved compressed encodings are illegal, whatever surrounds them. */
static void expands_compressed(void **state)
{
	static const struct {
		uint16_t from;
		uint32_t to;
	} rows[] = {
		{0x0000, 0},	      /* all zero */
		{0x0001, 0x00000013}, /* c.nop */
		{0x4501, 0x00000513}, /* c.li a0, 0 */
		{0x8082, 0x00008067}, /* c.jr ra */
		{0x9002, 0x00100073}, /* c.ebreak */
		{0x852e, 0x00b00533}, /* c.mv a0, a1 */
		{0x952e, 0x00b50533}, /* c.add a0, a1 */
		{0x8002, 0},	      /* c.jr x0 */
		{0x6101, 0},	      /* c.addi16sp 0 */
		{0x2000, 0},	      /* c.fld */
		{0x4002, 0},	      /* c.lwsp x0 */
		{0x9d01, 0},	      /* c.subw: RV64 */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (rv32_expand(rows[i].from) != rows[i].to)
			fail_msg("0x%04x: 0x%08x, expected 0x%08x", rows[i].from, rv32_expand(rows[i].from),
				 rows[i].to);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(computes_as_the_host_does), cmocka_unit_test(traps_and_corner_cases),
		cmocka_unit_test(stops_without_a_handler),   cmocka_unit_test(fetches_anew_after_fence_i),
		cmocka_unit_test(expands_compressed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
