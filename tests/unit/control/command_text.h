/* SPDX-License-Identifier: MIT */
/*
 * Commands for tests, from text: operands separated by blanks, each
 *
 *	-			absent
 *	f32[2,3]		dense, at an address of its own
 *	f32[2,3]{3,1}		with these strides
 *	f32[2,3]@0		at operand 0's address
 *	f32[]			a scalar
 */
#ifndef TESTS_CONTROL_COMMAND_TEXT_H
#define TESTS_CONTROL_COMMAND_TEXT_H

#include <stdint.h>
#include <weft_isa.h>

union text_command {
	struct weft_cmd header;
	uint64_t words[WEFT_CMD_MAX_BYTES / 8];
};

/* The first operand's address, and the distance between operands. */
#define TEXT_BASE 0x10000u
#define TEXT_STEP 0x10000u

struct text_param {
	uint32_t offset; /* in union weft_params */
	uint32_t bits;
};

/* Clears @command and fills in header, no semaphores, and operands.  Bad text aborts. */
void text_command(union text_command *command, unsigned int opcode, unsigned int engine, const char *operands);

struct text_valid {
	unsigned int opcode;
	unsigned int engine;
	const char *operands;
	struct text_param param[8];
};

/* A valid command of every opcode, and of its variants. */
extern const struct text_valid text_valid[];
extern const unsigned int text_valid_count;

/* The first valid command with this opcode. */
const struct text_valid *text_find(unsigned int opcode);
void text_build(union text_command *command, const struct text_valid *valid);

#endif /* TESTS_CONTROL_COMMAND_TEXT_H */
