// SPDX-License-Identifier: MIT
/* Strided copies against an element-by-element walk. */
#include <core.h>
#include <dma.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "command_text.h"

#define ROOM 8192

static const unsigned int bits[WEFT_TYPES] = {0, 32, 16, 16, 32, 64, 8, 8, 16, 8, 4, 1};

/* Copy element by element, in bits. */
static void reference(const struct weft_cmd *command, const uint8_t *from, uint8_t *to)
{
	const struct weft_tensor *a = &command->operand[0], *b = &command->operand[1];
	uint32_t index[WEFT_MAX_RANK] = {0};
	unsigned int width = bits[a->type], d;

	do {
		int64_t source = 0, target = 0;

		for (d = 0; d < a->rank; d++) {
			source += (int64_t)index[d] * a->strides[d];
			target += (int64_t)index[d] * b->strides[d];
		}
		for (unsigned int n = 0; n < width; n++) {
			int64_t s = source * width + n, t = target * width + n;
			/* Byte offsets may be negative: round down. */
			unsigned int bit = from[(s - (s & 7)) / 8] >> (s & 7) & 1;

			to[(t - (t & 7)) / 8] &= (uint8_t) ~(1u << (t & 7));
			to[(t - (t & 7)) / 8] |= (uint8_t)(bit << (t & 7));
		}
		for (d = a->rank; d-- > 0;) {
			if (++index[d] < a->dims[d])
				break;
			index[d] = 0;
		}
	} while (d < a->rank);
}

static void layouts(void **state)
{
	static const char *const rows[] = {
		"f32[] f32[]",
		"f32[7] f32[7]",
		"u8[5,3] u8[5,3]{1,5}",
		"i16[4,6]{12,2} i16[4,6]",
		"f32[2,3,4]{0,4,1} f32[2,3,4]",
		"f32[3,4]{0,0} f32[3,4]",
		"i64[3,5]{-5,1} i64[3,5]{5,1}",
		"f32[4,4]{-4,-1} f32[4,4]{1,4}",
		"bool[2,1,3,1,2]{30,7,5,9,2} bool[2,1,3,1,2]",
		"f16[2,2,2,2,2,2,2,2] f16[2,2,2,2,2,2,2,2]{1,2,4,8,16,32,64,128}",
		"i32[6,8]{16,1} i32[6,8]{8,1}",
		"bf16[1,1] bf16[1,1]",
		"i4[8] i4[8]",
		"i4[3,6]{10,1} i4[3,6]{6,1}",
		"i4[3,6]{-8,1} i4[3,6]{6,1}",
		"bit[64] bit[64]",
		"bit[3,32]{64,1} bit[3,32]{32,1}",
		"bit[2,2,64]{64,128,1} bit[2,2,64]{128,64,1}",
	};
	uint8_t from[2 * ROOM], to[2 * ROOM], expected[2 * ROOM];

	(void)state;
	for (size_t r = 0; r < sizeof(rows) / sizeof(rows[0]); r++) {
		struct core_range range[WEFT_MAX_OPERANDS];
		struct weft_fault_record fault;
		union text_command command;
		uint64_t elements = 1;

		for (size_t i = 0; i < sizeof(from); i++) {
			from[i] = (uint8_t)rand();
			to[i] = expected[i] = 0xcc;
		}
		text_command(&command, WEFT_OP_COPY, WEFT_ENGINE_DMA_IN, rows[r]);
		assert_int_equal(core_check(&command.header, range, &fault), WEFT_FAULT_NONE);
		weft_dma_copy(&command.header, (void *const[]){from + ROOM, to + ROOM});
		reference(&command.header, from + ROOM, expected + ROOM);
		assert_memory_equal(to, expected, sizeof(to));
		for (unsigned int d = 0; d < command.header.operand[0].rank; d++)
			elements *= command.header.operand[0].dims[d];
		assert_int_equal(weft_dma_bytes(&command.header.operand[0]),
				 elements * bits[command.header.operand[0].type] / 8);
	}
}

/* A row that does not fill its last unit: the unit is copied whole, and counted so. */
static void packed_rows_are_copied_in_units(void **state)
{
	uint8_t from[8] = {1, 2, 3, 4, 5, 6, 7, 8}, to[8] = {0};
	union text_command command;

	(void)state;
	text_command(&command, WEFT_OP_COPY, WEFT_ENGINE_DMA_IN, "i4[5] i4[5]");
	weft_dma_copy(&command.header, (void *const[]){from, to});
	assert_memory_equal(to, ((uint8_t[]){1, 2, 3, 0, 0, 0, 0, 0}), 8);
	assert_int_equal(weft_dma_bytes(&command.header.operand[0]), 3);
	text_command(&command, WEFT_OP_COPY, WEFT_ENGINE_DMA_IN, "bit[33] bit[33]");
	weft_dma_copy(&command.header, (void *const[]){from, to});
	assert_memory_equal(to, from, 8);
	assert_int_equal(weft_dma_bytes(&command.header.operand[0]), 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(layouts),
		cmocka_unit_test(packed_rows_are_copied_in_units),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
