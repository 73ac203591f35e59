// SPDX-License-Identifier: MIT
/* Bus addresses, page tables, and copies through them, in a guest's RAM that is a file. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#include "copy.h"
#include "memory.h"
#include "mmu.h"

#define PAGE ((uint64_t)WEFT_HW_PAGE_BYTES)
#define RAM_BYTES (8u << 20)
#define DEVICE_BYTES (4u << 20)
#define ROOT (1u << 20) /* bus addresses of the tables */
#define MIDDLE (ROOT + 0x1000)
#define LAST (ROOT + 0x2000)
#define HOST (2u << 20)		 /* bus address of host pages */
#define BASE ((uint64_t)1 << 30) /* device virtual address of the range in LAST */
#define CONTEXT 3

struct fixture {
	struct vnpu_memory memory;
	struct vnpu_mmu *mmu;
	int ram;
};

static uint64_t *table(struct fixture *f, uint64_t address)
{
	return vnpu_memory_bus(&f->memory, address, PAGE);
}

static void set(struct fixture *f, unsigned int page, uint64_t entry)
{
	table(f, LAST)[page] = entry;
}

static uint64_t device_page(uint64_t offset)
{
	return offset | WEFT_PTE_VALID | WEFT_PTE_LEAF | WEFT_PTE_WRITE;
}

static uint64_t host_page(uint64_t address)
{
	return address | WEFT_PTE_VALID | WEFT_PTE_LEAF | WEFT_PTE_WRITE | WEFT_PTE_HOST;
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	char path[64];

	assert_non_null(f);
	f->ram = memfd_create("ram", MFD_CLOEXEC);
	assert_true(f->ram >= 0);
	assert_int_equal(ftruncate(f->ram, RAM_BYTES), 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", f->ram);
	assert_int_equal(vnpu_memory_init(&f->memory, DEVICE_BYTES, path), 0);
	assert_int_equal(vnpu_mmu_new(&f->memory, &f->mmu), 0);
	table(f, ROOT)[BASE >> WEFT_PT_SHIFT(0)] = MIDDLE | WEFT_PTE_VALID;
	table(f, MIDDLE)[0] = LAST | WEFT_PTE_VALID;
	assert_true(vnpu_mmu_attach(f->mmu, CONTEXT, ROOT));
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	vnpu_mmu_free(f->mmu);
	vnpu_memory_release(&f->memory);
	close(f->ram);
	free(f);
	return 0;
}

static void bus_addresses(void **state)
{
	struct fixture *f = *state;
	struct vnpu_memory large = {.ram = f->memory.ram, .ram_bytes = 3ull << 30, .ram_low_bytes = 2ull << 30};

	assert_ptr_equal(vnpu_memory_bus(&f->memory, 0, RAM_BYTES), f->memory.ram);
	assert_ptr_equal(vnpu_memory_bus(&f->memory, RAM_BYTES - 1, 1), f->memory.ram + RAM_BYTES - 1);
	assert_null(vnpu_memory_bus(&f->memory, RAM_BYTES - 1, 2));
	assert_null(vnpu_memory_bus(&f->memory, RAM_BYTES, 1));
	assert_null(vnpu_memory_bus(&f->memory, 1ull << 32, 1));
	assert_null(vnpu_memory_bus(&f->memory, UINT64_MAX, 1));
	/* q35 leaves a hole below 4 GiB; what does not fit below it goes on above. */
	assert_null(vnpu_memory_bus(&large, (2ull << 30) - 1, 2));
	assert_null(vnpu_memory_bus(&large, 2ull << 30, 1));
	assert_ptr_equal(vnpu_memory_bus(&large, 1ull << 32, 1), large.ram + (2ull << 30));
	assert_ptr_equal(vnpu_memory_bus(&large, (5ull << 30) - 1, 1), large.ram + (3ull << 30) - 1);
	assert_null(vnpu_memory_bus(&large, (5ull << 30) - 1, 2));
}

static void attaching(void **state)
{
	struct fixture *f = *state;

	assert_false(vnpu_mmu_attach(f->mmu, CONTEXT, ROOT)); /* known already */
	assert_false(vnpu_mmu_attach(f->mmu, 0, ROOT));
	assert_false(vnpu_mmu_attach(f->mmu, VNPU_CONTEXTS + 1, ROOT));
	assert_false(vnpu_mmu_attach(f->mmu, UINT32_MAX, ROOT));
	assert_false(vnpu_mmu_attach(f->mmu, 1, 0));
	assert_false(vnpu_mmu_attach(f->mmu, 1, ROOT + 8));
	assert_false(vnpu_mmu_attach(f->mmu, 1, RAM_BYTES));
	assert_true(vnpu_mmu_attach(f->mmu, VNPU_CONTEXTS, ROOT));
	vnpu_mmu_detach(f->mmu, CONTEXT);
	vnpu_mmu_detach(f->mmu, CONTEXT);
	assert_true(vnpu_mmu_attach(f->mmu, CONTEXT, ROOT));
}

/* One access of a page each: its entry, the access, and what comes of it. */
static void access_checks(void **state)
{
	static const struct {
		uint64_t entry;
		uint32_t access, reason;
	} cases[] = {
		{0, VNPU_READ, WEFT_FAULT_UNMAPPED},
		{PAGE | WEFT_PTE_LEAF | WEFT_PTE_WRITE, VNPU_READ, WEFT_FAULT_UNMAPPED},
		{PAGE | WEFT_PTE_VALID | WEFT_PTE_WRITE, VNPU_READ, WEFT_FAULT_UNMAPPED},
		{PAGE | WEFT_PTE_VALID | WEFT_PTE_LEAF, VNPU_READ, WEFT_FAULT_NONE},
		{PAGE | WEFT_PTE_VALID | WEFT_PTE_LEAF, VNPU_WRITE, WEFT_FAULT_PERMISSION},
		{PAGE | WEFT_PTE_VALID | WEFT_PTE_LEAF | WEFT_PTE_WRITE, VNPU_WRITE, WEFT_FAULT_NONE},
		{PAGE | WEFT_PTE_VALID | WEFT_PTE_LEAF, VNPU_HOST, WEFT_FAULT_PERMISSION},
		{HOST | WEFT_PTE_VALID | WEFT_PTE_LEAF | WEFT_PTE_HOST, VNPU_READ, WEFT_FAULT_PERMISSION},
		{HOST | WEFT_PTE_VALID | WEFT_PTE_LEAF | WEFT_PTE_HOST, VNPU_HOST, WEFT_FAULT_NONE},
		{HOST | WEFT_PTE_VALID | WEFT_PTE_LEAF | WEFT_PTE_HOST, VNPU_HOST | VNPU_WRITE, WEFT_FAULT_PERMISSION},
		{DEVICE_BYTES | WEFT_PTE_VALID | WEFT_PTE_LEAF, VNPU_READ, WEFT_FAULT_UNMAPPED},
		{RAM_BYTES | WEFT_PTE_VALID | WEFT_PTE_LEAF | WEFT_PTE_HOST, VNPU_HOST, WEFT_FAULT_UNMAPPED},
		{WEFT_PTE_ADDRESS | WEFT_PTE_VALID | WEFT_PTE_LEAF, VNPU_READ, WEFT_FAULT_UNMAPPED},
		{WEFT_PTE_ADDRESS | WEFT_PTE_VALID | WEFT_PTE_LEAF | WEFT_PTE_HOST, VNPU_HOST, WEFT_FAULT_UNMAPPED},
	};
	struct fixture *f = *state;
	uint64_t failed;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		set(f, 5, cases[i].entry);
		assert_int_equal(vnpu_mmu_check(f->mmu, CONTEXT, BASE + 5 * PAGE + 8, 16, cases[i].access, &failed),
				 cases[i].reason);
		if (cases[i].reason)
			assert_int_equal(failed, BASE + 5 * PAGE);
	}
}

static void ranges(void **state)
{
	struct fixture *f = *state;
	uint64_t failed;

	for (unsigned int i = 0; i < 4; i++)
		set(f, i, device_page(i * PAGE));
	assert_int_equal(vnpu_mmu_check(f->mmu, CONTEXT, BASE, 4 * PAGE, VNPU_READ, &failed), 0);
	assert_int_equal(vnpu_mmu_check(f->mmu, CONTEXT, BASE + PAGE, 3 * PAGE + 1, VNPU_READ, &failed),
			 WEFT_FAULT_UNMAPPED);
	assert_int_equal(failed, BASE + 4 * PAGE);
	/* Past the address space, and around its end. */
	assert_int_equal(vnpu_mmu_check(f->mmu, CONTEXT, 1ull << WEFT_VA_BITS, 1, 0, &failed), WEFT_FAULT_UNMAPPED);
	assert_int_equal(vnpu_mmu_check(f->mmu, CONTEXT, BASE, UINT64_MAX, 0, &failed), WEFT_FAULT_UNMAPPED);
	assert_int_equal(vnpu_mmu_check(f->mmu, CONTEXT, UINT64_MAX, 2, 0, &failed), WEFT_FAULT_UNMAPPED);
	/* Of a context that is not known. */
	assert_int_equal(vnpu_mmu_check(f->mmu, CONTEXT + 1, BASE, 1, 0, &failed), WEFT_FAULT_UNMAPPED);
	assert_int_equal(vnpu_mmu_check(f->mmu, 0, BASE, 1, 0, &failed), WEFT_FAULT_UNMAPPED);
	assert_int_equal(vnpu_mmu_check(f->mmu, UINT32_MAX, BASE, 1, 0, &failed), WEFT_FAULT_UNMAPPED);
}

/* Tables that lead out of the RAM, or nowhere. */
static void bad_tables(void **state)
{
	static const uint64_t entries[] = {0, MIDDLE, RAM_BYTES | WEFT_PTE_VALID, WEFT_PTE_ADDRESS | WEFT_PTE_VALID};
	struct fixture *f = *state;
	uint64_t failed;

	set(f, 0, device_page(0));
	for (size_t i = 0; i < sizeof(entries) / sizeof(entries[0]); i++) {
		table(f, ROOT)[1] = entries[i];
		assert_int_equal(vnpu_mmu_check(f->mmu, CONTEXT, BASE, 1, 0, &failed), WEFT_FAULT_UNMAPPED);
		table(f, ROOT)[1] = MIDDLE | WEFT_PTE_VALID;
		table(f, MIDDLE)[0] = entries[i];
		assert_int_equal(vnpu_mmu_check(f->mmu, CONTEXT, BASE, 1, 0, &failed), WEFT_FAULT_UNMAPPED);
		table(f, MIDDLE)[0] = LAST | WEFT_PTE_VALID;
		assert_int_equal(vnpu_mmu_check(f->mmu, CONTEXT, BASE, 1, 0, &failed), 0);
	}
}

/* An entry of the middle level that maps 2 MiB. */
static void large_page(void **state)
{
	struct fixture *f = *state;
	uint64_t failed;
	void *pointer;

	table(f, MIDDLE)[1] = device_page(2 << 20);
	assert_int_equal(
		vnpu_mmu_pointer(f->mmu, CONTEXT, BASE + (2 << 20) + 0x12345, 8, VNPU_WRITE, &pointer, &failed), 0);
	memcpy(pointer, "weft-npu", 8);
	assert_memory_equal(f->memory.bar + f->memory.control_bytes + (2 << 20) + 0x12345, "weft-npu", 8);
}

/* Scattered pages look like one range; a page that is mapped elsewhere is seen there at once. */
static void pointer_follows_the_tables(void **state)
{
	struct fixture *f = *state;
	uint8_t *device = f->memory.bar + f->memory.control_bytes;
	uint64_t failed;
	void *pointer;
	uint8_t *bytes;

	for (unsigned int i = 0; i < 4; i++) {
		set(f, i, device_page((7 - 2 * i) * PAGE));
		memset(device + (7 - 2 * i) * PAGE, 10 + i, PAGE);
	}
	memset(device + 20 * PAGE, 99, PAGE);
	assert_int_equal(vnpu_mmu_pointer(f->mmu, CONTEXT, BASE, 4 * PAGE, VNPU_READ, &pointer, &failed), 0);
	bytes = pointer;
	for (unsigned int i = 0; i < 4; i++)
		assert_int_equal(bytes[i * PAGE + 17], 10 + i);
	set(f, 2, device_page(20 * PAGE));
	assert_int_equal(vnpu_mmu_pointer(f->mmu, CONTEXT, BASE, 4 * PAGE, VNPU_READ, &pointer, &failed), 0);
	assert_int_equal(bytes[2 * PAGE], 99);
	/* Unmapped, it is not given out, though the mirror may still show it. */
	set(f, 1, 0);
	assert_int_equal(vnpu_mmu_pointer(f->mmu, CONTEXT, BASE, 4 * PAGE, VNPU_READ, &pointer, &failed),
			 WEFT_FAULT_UNMAPPED);
	assert_int_equal(failed, BASE + PAGE);
	/* Host memory has no place there. */
	set(f, 1, host_page(HOST));
	assert_int_equal(vnpu_mmu_pointer(f->mmu, CONTEXT, BASE, 4 * PAGE, VNPU_READ, &pointer, &failed),
			 WEFT_FAULT_PERMISSION);
}

static void copies_through_scattered_host_pages(void **state)
{
	struct fixture *f = *state;
	uint8_t out[3 * WEFT_HW_PAGE_BYTES], in[sizeof(out)];
	uint64_t failed;

	for (unsigned int i = 0; i < 4; i++)
		set(f, i, host_page(HOST + (9 - 3 * i) * PAGE));
	for (size_t i = 0; i < sizeof(out); i++)
		out[i] = (uint8_t)(i * 13 + i / 4096);
	assert_int_equal(vnpu_mmu_copy(f->mmu, CONTEXT, BASE + 100, sizeof(out), VNPU_WRITE, out, &failed), 0);
	assert_int_equal(vnpu_mmu_copy(f->mmu, CONTEXT, BASE + 100, sizeof(in), VNPU_READ, in, &failed), 0);
	assert_memory_equal(in, out, sizeof(out));
	assert_memory_equal(f->memory.ram + HOST + 6 * PAGE, out + PAGE - 100, PAGE);
	/* Stops at the page that is not there. */
	set(f, 2, 0);
	assert_int_equal(vnpu_mmu_copy(f->mmu, CONTEXT, BASE + 100, sizeof(in), VNPU_READ, in, &failed),
			 WEFT_FAULT_UNMAPPED);
	assert_int_equal(failed, BASE + 2 * PAGE);
}

/* Neighbours in one piece, between others; what comes before a fault has been copied. */
static void copies_neighbours_in_one_piece(void **state)
{
	static const unsigned int pages[] = {20, 21, 22, 7, 8, 30, 29, 28};
	enum { COUNT = sizeof(pages) / sizeof(pages[0]) };
	struct fixture *f = *state;
	uint8_t *out = malloc(COUNT * PAGE), *in = calloc(COUNT, PAGE);
	uint64_t failed;

	assert_non_null(out);
	assert_non_null(in);
	for (unsigned int i = 0; i < COUNT; i++)
		set(f, i, host_page(HOST + pages[i] * PAGE));
	for (size_t i = 0; i < COUNT * PAGE; i++)
		out[i] = (uint8_t)(i * 7 + i / 4096);
	assert_int_equal(vnpu_mmu_copy(f->mmu, CONTEXT, BASE, COUNT * PAGE, VNPU_WRITE, out, &failed), 0);
	for (unsigned int i = 0; i < COUNT; i++)
		assert_memory_equal(f->memory.ram + HOST + pages[i] * PAGE, out + i * PAGE, PAGE);
	set(f, 4, 0);
	assert_int_equal(vnpu_mmu_copy(f->mmu, CONTEXT, BASE + 5, COUNT * PAGE - 5, VNPU_READ, in, &failed),
			 WEFT_FAULT_UNMAPPED);
	assert_int_equal(failed, BASE + 4 * PAGE);
	assert_memory_equal(in, out + 5, 4 * PAGE - 5);
	assert_int_equal(in[4 * PAGE - 5], 0);
	free(in);
	free(out);
}

/* COPY of a matrix's columns: strided in host memory, dense in the device, and back. */
static void strided_copy(void **state)
{
	struct fixture *f = *state;
	struct {
		struct weft_cmd command;
		struct weft_tensor operand[2];
	} copy = {.command = {.opcode = WEFT_OP_COPY, .engine = WEFT_ENGINE_DMA_IN, .operands = 2}};
	float dense[8][4], *host = (float *)(void *)(f->memory.ram + HOST);
	uint32_t operand;
	uint64_t address;

	for (unsigned int i = 0; i < 4; i++)
		set(f, i, host_page(HOST + i * PAGE));
	for (int i = 0; i < 8; i++)
		for (int j = 0; j < 4; j++)
			host[i * 300 + j * 7] = (float)(100 * i + j);
	copy.operand[0] = (struct weft_tensor){
		.address = BASE, .type = WEFT_TYPE_F32, .rank = 2, .dims = {8, 4}, .strides = {300, 7}};
	copy.operand[1] = (struct weft_tensor){.type = WEFT_TYPE_F32, .rank = 2, .dims = {8, 4}, .strides = {4, 1}};
	assert_int_equal(vnpu_copy(f->mmu, CONTEXT, &copy.command, dense, &operand, &address), 0);
	for (int i = 0; i < 8; i++)
		for (int j = 0; j < 4; j++)
			assert_true(dense[i][j] == (float)(100 * i + j));
	/* Back, rows in reverse. */
	copy.command.engine = WEFT_ENGINE_DMA_OUT;
	copy.operand[0] = copy.operand[1];
	copy.operand[1] = (struct weft_tensor){
		.address = BASE + 7 * 4 * 4, .type = WEFT_TYPE_F32, .rank = 2, .dims = {8, 4}, .strides = {-4, 1}};
	assert_int_equal(vnpu_copy(f->mmu, CONTEXT, &copy.command, dense, &operand, &address), 0);
	for (int i = 0; i < 8; i++)
		assert_memory_equal(host + (7 - i) * 4, dense[i], sizeof(dense[i]));
	/* A host page that is missing names the operand and the address. */
	set(f, 0, 0);
	assert_int_equal(vnpu_copy(f->mmu, CONTEXT, &copy.command, dense, &operand, &address), WEFT_FAULT_UNMAPPED);
	assert_int_equal(operand, 1);
	assert_int_equal(address, BASE + 7 * 4 * 4);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(bus_addresses),
		TEST(attaching),
		TEST(access_checks),
		TEST(ranges),
		TEST(bad_tables),
		TEST(large_page),
		TEST(pointer_follows_the_tables),
		TEST(copies_through_scattered_host_pages),
		TEST(copies_neighbours_in_one_piece),
		TEST(strided_copy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
