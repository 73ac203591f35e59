// SPDX-License-Identifier: MIT
/*
 * Fuzzes command streams against the control core: streams built from bytes never
 * crash it, every job ends, and what reaches an engine keeps the promises that
 * engines rely on (mapped operands, known opcodes, whole commands).
 *
 * With -DFUZZ_MAIN and no fuzzer: runs a number of pseudo-random streams made by
 * damaging valid commands, and files given as arguments.
 */
#include "command_text.h"

#include <core.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOW 0x8000u
#define HIGH 0x200000u
#define SLOTS 2

struct input {
	const uint8_t *data;
	size_t size;
};

static uint32_t fetch(void *user, const struct core_job *job, uint32_t offset, void *to, uint32_t bytes)
{
	const struct input *input = user;

	(void)job;
	if (offset > input->size || bytes > input->size - offset)
		abort();
	memcpy(to, input->data + offset, bytes);
	return WEFT_FAULT_NONE;
}

static uint32_t translate(void *user, const struct core_job *job, uint64_t address, uint64_t bytes, uint32_t access,
			  uint64_t *place)
{
	(void)user;
	(void)job;
	(void)access;
	if (!bytes || address + bytes - 1 < address)
		abort();
	if (address < LOW || address >= HIGH || bytes > HIGH - address)
		return WEFT_FAULT_UNMAPPED;
	*place = address;
	return WEFT_FAULT_NONE;
}

/* What an engine may take for granted: every element of every operand is in the range that was translated. */
static void check_command(const struct core_command *command)
{
	const struct weft_cmd *cmd = command->command;

	if (cmd->opcode >= WEFT_OP_LIMIT || cmd->engine >= WEFT_ENGINES || cmd->operands > WEFT_MAX_OPERANDS)
		abort();
	for (unsigned int i = 0; i < cmd->operands; i++) {
		const struct weft_tensor *t = &cmd->operand[i];
		__int128 low = 0, high = 0;

		if (t->type == WEFT_TYPE_NONE) {
			if (command->place[i])
				abort();
			continue;
		}
		if (t->type >= WEFT_TYPES || t->rank > WEFT_MAX_RANK)
			abort();
		for (unsigned int d = 0; d < t->rank; d++) {
			__int128 reach = ((__int128)t->dims[d] - 1) * t->strides[d];

			if (!t->dims[d])
				abort();
			*(reach < 0 ? &low : &high) += reach;
		}
		/* In bits, so that packed types are no exception. */
		static const unsigned int bits[WEFT_TYPES] = {0, 32, 16, 16, 32, 64, 8, 8, 16, 8, 4, 1};

		if ((__int128)command->place[i] * 8 + low * bits[t->type] < (__int128)LOW * 8 ||
		    (__int128)command->place[i] * 8 + (high + 1) * bits[t->type] > (__int128)HIGH * 8)
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct core_slot slots[SLOTS];
	struct input input = {data, size};
	const struct core_platform platform = {.user = &input, .fetch = fetch, .translate = translate};
	const struct core_job job = {.bytes = (uint32_t)size, .context = 1};
	struct core_end end;
	struct core core;

	if (size > 1 << 20)
		return 0;
	core_init(&core, &platform, slots, SLOTS);
	if (!core_start(&core, &job) || !core_start(&core, &job))
		abort();
	/* Engines finish in an order that the stream's length decides. */
	for (uint32_t turn = (uint32_t)size; core_ready(&core) || core.running[0] || core.running[1] || core.running[2];
	     turn++) {
		struct core_command command;
		uint32_t engine = turn % WEFT_ENGINES;

		if (core.running[engine])
			core_done(&core, engine, WEFT_FAULT_NONE, NULL);
		else if (core_next(&core, engine, &command) == CORE_COMMAND)
			check_command(&command);
	}
	for (unsigned int i = 0; i < SLOTS; i++) {
		if (!core_take_end(&core, &end) || end.fault.reason >= WEFT_FAULTS)
			abort();
	}
	if (core_take_end(&core, &end))
		abort();
	return 0;
}

#ifdef FUZZ_MAIN
static uint64_t random_state = 1;

static uint32_t random_below(uint32_t limit)
{
	random_state = random_state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(random_state >> 33) % limit;
}

/* Up to eight valid commands, some with semaphores, some bytes changed to telling values. */
static size_t make_stream(uint8_t *bytes)
{
	static const uint8_t telling[] = {0, 1, 2, 7, 8, 0x10, 0x7f, 0x80, 0xfe, 0xff};
	size_t size = 0;

	for (uint32_t n = random_below(8) + 1; n > 0; n--) {
		union text_command command;

		text_build(&command, &text_valid[random_below(text_valid_count)]);
		if (random_below(2))
			command.header.wait[0] = (struct weft_sem){(uint16_t)random_below(3), 0, random_below(3)};
		if (random_below(2))
			command.header.signal = (struct weft_sem){(uint16_t)random_below(3), 0, random_below(3)};
		memcpy(bytes + size, &command, command.header.size);
		size += command.header.size;
	}
	for (uint32_t n = random_below(4); n > 0; n--)
		bytes[random_below((uint32_t)size)] = telling[random_below(sizeof(telling))];
	if (!random_below(16))
		size -= random_below(64);
	return size;
}

static int run_file(const char *path)
{
	static uint8_t bytes[1 << 20];
	FILE *file = fopen(path, "rb");
	size_t size;

	if (!file) {
		perror(path);
		return 1;
	}
	size = fread(bytes, 1, sizeof(bytes), file);
	fclose(file);
	return LLVMFuzzerTestOneInput(bytes, size);
}

int main(int argc, char **argv)
{
	static uint8_t bytes[8 * WEFT_CMD_MAX_BYTES];

	for (int i = 1; i < argc; i++) {
		if (run_file(argv[i]))
			return 1;
	}
	for (unsigned int round = 0; round < 200000 && argc == 1; round++)
		LLVMFuzzerTestOneInput(bytes, make_stream(bytes));
	return 0;
}
#endif
