// SPDX-License-Identifier: MIT
/* The control core's state machine, on a platform made of arrays. */
#include "command_text.h"

#include <core.h>

#include <setjmp.h>
#include <stddef.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>
#include <stdlib.h>

#define STREAMS 8
#define SLOTS 4
#define DEVICE 0x10000u /* device memory of every context: [DEVICE, HOST) */
#define HOST 0x80000u	/* host memory: [HOST, ROM) */
#define ROM 0x100000u	/* device memory that is only readable: [ROM, END) */
#define END 0x110000u

struct stream {
	uint8_t bytes[512 * 1024] __attribute__((aligned(8)));
	uint32_t size;
};

static struct stream *streams;
static struct core core;
static struct core_slot slots[SLOTS];
static uint64_t fetched; /* bytes */
static uint32_t fetch_result;

static uint32_t fetch(void *user, const struct core_job *job, uint32_t offset, void *to, uint32_t bytes)
{
	(void)user;
	assert_true(offset + bytes <= job->bytes);
	fetched += bytes;
	memcpy(to, streams[job->stream].bytes + offset, bytes);
	return fetch_result;
}

static uint32_t translate(void *user, const struct core_job *job, uint64_t address, uint64_t bytes, uint32_t access,
			  uint64_t *place)
{
	uint32_t tier;

	(void)user;
	(void)job;
	assert_true(bytes > 0);
	if (address < DEVICE || address >= END || bytes > END - address)
		return WEFT_FAULT_UNMAPPED;
	tier = address >= HOST && address < ROM ? CORE_HOST : 0;
	if ((access & CORE_HOST) != tier || (address >= ROM && access & CORE_WRITE))
		return WEFT_FAULT_PERMISSION;
	*place = address + 0x70000000;
	return WEFT_FAULT_NONE;
}

static int setup(void **state)
{
	const struct core_platform platform = {.fetch = fetch, .translate = translate};

	(void)state;
	streams = calloc(STREAMS, sizeof(*streams));
	fetch_result = WEFT_FAULT_NONE;
	fetched = 0;
	core_init(&core, &platform, slots, SLOTS);
	return streams ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	free(streams);
	return 0;
}

static void add(unsigned int stream, const union text_command *command)
{
	memcpy(streams[stream].bytes + streams[stream].size, command, command->header.size);
	streams[stream].size += command->header.size;
}

/* A NOP that waits for wait_sem >= wait_value and sets signal_sem; -1: none. */
static void add_nop(unsigned int stream, unsigned int engine, uint32_t tag, int wait_sem, uint32_t wait_value,
		    int signal_sem, uint32_t signal_value)
{
	union text_command command;

	text_command(&command, WEFT_OP_NOP, engine, "");
	command.header.tag = tag;
	if (wait_sem >= 0)
		command.header.wait[0] = (struct weft_sem){(uint16_t)wait_sem, 0, wait_value};
	if (signal_sem >= 0)
		command.header.signal = (struct weft_sem){(uint16_t)signal_sem, 0, signal_value};
	add(stream, &command);
}

static struct core_job job_of(unsigned int stream, uint32_t context, uint32_t priority)
{
	return (struct core_job){
		.stream = stream,
		.cookie = 100 + stream,
		.bytes = streams[stream].size,
		.context = context,
		.priority = priority,
	};
}

static void start(unsigned int stream, uint32_t context, uint32_t priority)
{
	struct core_job job = job_of(stream, context, priority);

	assert_true(core_start(&core, &job));
}

/* The tag of the command that @engine gets, 0 for none. */
static uint32_t next(uint32_t engine)
{
	struct core_command command;
	enum core_result result;

	while ((result = core_next(&core, engine, &command)) == CORE_AGAIN)
		;
	return result == CORE_COMMAND ? command.command->tag : 0;
}

static void done(uint32_t engine)
{
	core_done(&core, engine, WEFT_FAULT_NONE, NULL);
}

/* The only ended job is @stream's, with this reason. */
static struct core_end expect_end(unsigned int stream, uint32_t reason)
{
	struct core_end end;

	assert_true(core_take_end(&core, &end));
	assert_int_equal(end.job.cookie, 100 + stream);
	assert_int_equal(end.fault.reason, reason);
	return end;
}

static void expect_no_end(void)
{
	struct core_end end;

	assert_false(core_take_end(&core, &end));
}

#define C WEFT_ENGINE_COMPUTE
#define I WEFT_ENGINE_DMA_IN
#define O WEFT_ENGINE_DMA_OUT

static void empty_stream_ends(void **state)
{
	(void)state;
	start(0, 1, 0);
	expect_end(0, WEFT_FAULT_NONE);
	expect_no_end();
	assert_int_equal(next(C), 0);
	assert_int_equal(core_ready(&core), 0);
}

static void engines_run_in_order_and_overlap(void **state)
{
	(void)state;
	add_nop(0, I, 1, -1, 0, 0, 1);
	add_nop(0, C, 2, 0, 1, 1, 1);
	add_nop(0, I, 3, -1, 0, 0, 2);
	add_nop(0, C, 4, 0, 2, 1, 2);
	add_nop(0, O, 5, 1, 2, -1, 0);
	start(0, 1, 0);
	assert_int_equal(core_ready(&core), 1u << I);
	assert_int_equal(next(C), 0);
	assert_int_equal(next(I), 1);
	assert_int_equal(next(I), 0); /* busy */
	done(I);
	assert_int_equal(core_ready(&core), 1u << I | 1u << C);
	assert_int_equal(next(C), 2);
	assert_int_equal(next(I), 3);
	assert_int_equal(next(O), 0);
	done(C);
	assert_int_equal(next(C), 0); /* semaphore 0 is still 1 */
	done(I);
	assert_int_equal(next(C), 4);
	done(C);
	expect_no_end();
	assert_int_equal(next(O), 5);
	done(O);
	expect_end(0, WEFT_FAULT_NONE);
	expect_no_end();
	/* A finished engine has nothing to report. */
	done(O);
	core_done(&core, WEFT_ENGINES, 0, NULL);
	assert_int_equal(next(WEFT_ENGINES), 0);
}

/*
 * A job that is stopped after any number of commands and goes on in a new core executes
 * each command once, and its semaphores are as they were.
 */
static void goes_on_after_a_reset(void **state)
{
	static const struct {
		uint32_t engine, tag;
	} order[] = {{I, 1}, {C, 2}, {I, 3}, {C, 4}, {O, 5}, {C, 6}};
	const unsigned int commands = sizeof(order) / sizeof(order[0]);

	(void)state;
	add_nop(0, I, 1, -1, 0, 0, 1);
	add_nop(0, C, 2, 0, 1, 1, 1);
	add_nop(0, I, 3, 1, 1, 0, 2);
	add_nop(0, C, 4, 0, 2, 1, 2);
	add_nop(0, O, 5, 1, 2, 2, 1);
	add_nop(0, C, 6, 2, 1, -1, 0);
	for (unsigned int stop = 0; stop <= commands; stop++) {
		struct core_job job = job_of(0, 1, 0);

		for (unsigned int i = 0; i < stop; i++)
			job.skip[order[i].engine]++;
		core_init(&core, &core.platform, core.slot, core.slots);
		assert_true(core_start(&core, &job));
		for (unsigned int i = stop; i < commands; i++) {
			for (uint32_t e = 0; e < WEFT_ENGINES; e++)
				assert_int_equal(core_ready(&core) >> e & 1, e == order[i].engine);
			assert_int_equal(next(order[i].engine), order[i].tag);
			done(order[i].engine);
		}
		expect_end(0, WEFT_FAULT_NONE);
	}
}

/* What was done already cannot be more than there is, and is not trusted. */
static void skipping_too_much_faults(void **state)
{
	struct core_job job;

	(void)state;
	add_nop(0, C, 1, -1, 0, -1, 0);
	job = job_of(0, 1, 0);
	job.skip[C] = 2;
	assert_true(core_start(&core, &job));
	assert_int_equal(expect_end(0, WEFT_FAULT_STREAM).fault.detail, 3);
	job.skip[C] = 0;
	job.skip[O] = UINT32_MAX;
	assert_true(core_start(&core, &job));
	assert_int_equal(expect_end(0, WEFT_FAULT_STREAM).fault.detail, 3);
	add_nop(1, C, 1, -1, 0, WEFT_SEMAPHORES, 1);
	job = job_of(1, 1, 0);
	job.skip[C] = 1;
	assert_true(core_start(&core, &job));
	assert_int_equal(expect_end(1, WEFT_FAULT_SEMAPHORE).fault.detail, 2);
}

static void priorities_and_turns(void **state)
{
	uint32_t order[8], n = 0;

	(void)state;
	for (unsigned int i = 0; i < 2; i++) {
		add_nop(0, C, 10 + i, -1, 0, -1, 0);
		add_nop(1, C, 20 + i, -1, 0, -1, 0);
		add_nop(2, C, 30 + i, -1, 0, -1, 0);
	}
	start(0, 1, 1);
	start(1, 2, 1);
	start(2, 3, 2);
	while (n < 6) {
		order[n] = next(C);
		assert_int_not_equal(order[n++], 0);
		done(C);
	}
	assert_int_equal(order[0], 30);
	assert_int_equal(order[1], 31);
	/* The others take turns. */
	assert_int_not_equal(order[2] / 10, order[3] / 10);
	assert_int_not_equal(order[3] / 10, order[4] / 10);
	assert_int_not_equal(order[4] / 10, order[5] / 10);
}

/* A high-priority job whose command is not ready leaves the engine to others. */
static void priority_yields_when_waiting(void **state)
{
	(void)state;
	add_nop(0, I, 1, -1, 0, 0, 1);
	add_nop(0, C, 2, 0, 1, -1, 0);
	add_nop(1, C, 3, -1, 0, -1, 0);
	start(0, 1, 9);
	start(1, 2, 0);
	assert_int_equal(next(C), 3);
	done(C);
	assert_int_equal(next(I), 1);
	done(I);
	assert_int_equal(next(C), 2);
}

static void slots_run_out(void **state)
{
	struct core_job job;

	(void)state;
	for (unsigned int i = 0; i <= SLOTS; i++)
		add_nop(i, C, 1, -1, 0, -1, 0);
	for (unsigned int i = 0; i < SLOTS; i++)
		start(i, 1, 0);
	job = job_of(SLOTS, 1, 0);
	assert_false(core_start(&core, &job));
	assert_int_equal(next(C), 1);
	done(C);
	assert_false(core_start(&core, &job)); /* ended, but not taken */
	assert_true(core_take_end(&core, &(struct core_end){0}));
	assert_true(core_start(&core, &job));
}

static void deadlock(void **state)
{
	struct core_end end;

	(void)state;
	add_nop(0, C, 1, -1, 0, 3, 1);
	add_nop(0, I, 2, 3, 2, 4, 1); /* semaphore 3 never reaches 2 */
	add_nop(0, O, 3, 4, 1, -1, 0);
	start(0, 1, 0);
	expect_no_end(); /* something can still run */
	assert_int_equal(next(C), 1);
	assert_int_equal(next(I), 0);
	expect_no_end();
	done(C);
	end = expect_end(0, WEFT_FAULT_DEADLOCK);
	assert_int_equal(end.fault.command, 1);
	assert_int_equal(end.fault.offset, sizeof(struct weft_cmd));
	assert_int_equal(end.fault.engine, I);
	assert_int_equal(end.fault.tag, 2);
	assert_int_equal(end.fault.detail, 3);
	assert_int_equal(end.fault.address, 2);
}

static void deadlock_at_start(void **state)
{
	(void)state;
	add_nop(0, C, 1, 0, 1, 0, 1); /* waits for itself */
	start(0, 1, 0);
	expect_end(0, WEFT_FAULT_DEADLOCK);
}

static void second_wait_counts(void **state)
{
	union text_command command;

	(void)state;
	text_command(&command, WEFT_OP_NOP, C, "");
	command.header.tag = 5;
	command.header.wait[1] = (struct weft_sem){7, 0, 1};
	add(0, &command);
	add_nop(0, I, 6, -1, 0, 7, 1);
	start(0, 1, 0);
	assert_int_equal(next(C), 0);
	assert_int_equal(next(I), 6);
	done(I);
	assert_int_equal(next(C), 5);
}

static void semaphore_backwards(void **state)
{
	struct core_end end;

	(void)state;
	add_nop(0, C, 1, -1, 0, 2, 5);
	add_nop(0, C, 2, -1, 0, 2, 5); /* the present value is allowed */
	add_nop(0, C, 3, -1, 0, 2, 4);
	start(0, 1, 0);
	for (uint32_t i = 1; i <= 3; i++) {
		assert_int_equal(next(C), i);
		done(C);
	}
	end = expect_end(0, WEFT_FAULT_SEMAPHORE);
	assert_int_equal(end.fault.command, 2);
	assert_int_equal(end.fault.detail, 2);
	assert_int_equal(end.fault.address, 2);
}

/* Semaphores belong to a job: they start from zero, and others do not see them. */
static void semaphores_are_of_the_job(void **state)
{
	(void)state;
	add_nop(0, C, 1, -1, 0, 0, 1);
	add_nop(1, I, 2, 0, 1, -1, 0);
	add_nop(1, C, 3, -1, 0, 0, 1);
	start(0, 1, 5);
	start(1, 1, 0);
	assert_int_equal(next(C), 1);
	done(C);
	assert_int_equal(next(I), 0);
	assert_int_equal(next(C), 3);
	done(C);
	assert_int_equal(next(I), 2);
	done(I);
	assert_true(core_take_end(&core, &(struct core_end){0}));
	expect_end(1, WEFT_FAULT_NONE);
	/* The slot is used again, with fresh semaphores. */
	start(1, 1, 0);
	assert_int_equal(next(I), 0);
}

static void engine_fault_stops_only_its_context(void **state)
{
	const struct weft_fault_record detail = {.operand = 1, .detail = 3, .address = 77};
	struct core_end end, other;

	(void)state;
	add_nop(0, I, 1, -1, 0, -1, 0);
	add_nop(0, C, 9, -1, 0, -1, 0);
	add_nop(1, C, 2, -1, 0, -1, 0);
	add_nop(1, I, 3, -1, 0, -1, 0);
	add_nop(2, C, 4, -1, 0, -1, 0);
	start(0, 1, 9);
	start(1, 1, 0);
	start(2, 2, 0);
	assert_int_equal(next(C), 9);
	assert_int_equal(next(I), 1);
	core_done(&core, C, WEFT_FAULT_VALUE, &detail);
	/* The bystander in the context ends at once, the guilty one after its DMA. */
	end = expect_end(1, WEFT_FAULT_CANCELLED);
	assert_int_equal(end.cause.reason, WEFT_FAULT_VALUE);
	assert_int_equal(end.cause.tag, 9);
	expect_no_end();
	/* The device goes on. */
	assert_int_equal(next(C), 4);
	done(C);
	expect_end(2, WEFT_FAULT_NONE);
	done(I);
	other = expect_end(0, WEFT_FAULT_VALUE);
	assert_memory_equal(&other.cause, &other.fault, sizeof(other.fault));
	assert_int_equal(other.fault.command, 1);
	assert_int_equal(other.fault.operand, 1);
	assert_int_equal(other.fault.detail, 3);
	assert_int_equal(other.fault.address, 77);
}

static void timeout_is_reported(void **state)
{
	(void)state;
	add_nop(0, C, 1, -1, 0, -1, 0);
	start(0, 1, 0);
	assert_int_equal(next(C), 1);
	core_done(&core, C, WEFT_FAULT_TIMEOUT, NULL);
	assert_int_equal(expect_end(0, WEFT_FAULT_TIMEOUT).fault.operand, 0xff);
}

static void cancel(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < 3; i++)
		add_nop(i, C, 1 + i, -1, 0, -1, 0);
	start(0, 1, 9);
	start(1, 1, 0);
	start(2, 2, 0);
	assert_int_equal(next(C), 1);
	core_cancel_job(&core, 101);
	expect_end(1, WEFT_FAULT_CANCELLED);
	core_cancel_context(&core, 1);
	expect_no_end(); /* its command runs */
	done(C);
	expect_end(0, WEFT_FAULT_CANCELLED);
	assert_int_equal(next(C), 3);
	done(C);
	expect_end(2, WEFT_FAULT_NONE);
}

/* What core_check() finds is reported with the place in the stream. */
static void check_faults_carry_their_place(void **state)
{
	union text_command command;
	struct core_end end;

	(void)state;
	add_nop(0, I, 1, -1, 0, -1, 0);
	text_command(&command, WEFT_OP_MATMUL, C, "f32[4,5] f32[6,3] - f32[4,3]");
	command.header.tag = 42;
	add(0, &command);
	start(0, 1, 0);
	end = expect_end(0, WEFT_FAULT_SHAPE);
	assert_int_equal(end.fault.opcode, WEFT_OP_MATMUL);
	assert_int_equal(end.fault.tag, 42);
	assert_int_equal(end.fault.command, 1);
	assert_int_equal(end.fault.offset, sizeof(struct weft_cmd));
	assert_int_equal(end.fault.operand, 1);
	assert_int_equal(end.fault.detail, 0);
	assert_int_equal(end.fault.address, 5);
}

static void malformed_streams(void **state)
{
	static const struct {
		uint32_t size; /* of the second command */
		uint8_t engine;
		uint32_t cut; /* bytes left off the stream's end */
		uint32_t reason, detail;
	} rows[] = {
		{sizeof(struct weft_cmd) - 8, C, 0, WEFT_FAULT_STREAM, 0},
		{0, C, 0, WEFT_FAULT_STREAM, 0},
		{sizeof(struct weft_cmd) + 4, C, 0, WEFT_FAULT_STREAM, 0},
		{sizeof(struct weft_cmd) + 8, C, 0, WEFT_FAULT_STREAM, 0},
		{0xfffffff8, O, 0, WEFT_FAULT_STREAM, 0},
		{sizeof(struct weft_cmd), WEFT_ENGINES, 0, WEFT_FAULT_OPCODE, 1},
		{sizeof(struct weft_cmd), C, 8, WEFT_FAULT_STREAM, 1},
		{sizeof(struct weft_cmd), C, 4, WEFT_FAULT_STREAM, 2},
	};

	(void)state;
	for (unsigned int r = 0; r < sizeof(rows) / sizeof(rows[0]); r++) {
		union text_command command;
		struct core_job job;
		struct core_end end;

		streams[0].size = 0;
		add_nop(0, I, 1, -1, 0, -1, 0);
		text_command(&command, WEFT_OP_NOP, rows[r].engine, "");
		add(0, &command);
		((struct weft_cmd *)(streams[0].bytes + sizeof(struct weft_cmd)))->size = rows[r].size;
		job = job_of(0, 1, 0);
		job.bytes -= rows[r].cut;
		assert_true(core_start(&core, &job));
		end = expect_end(0, rows[r].reason);
		assert_int_equal(end.fault.detail, rows[r].detail);
		if (rows[r].detail < 2)
			assert_int_equal(end.fault.command, 1);
	}
}

static void stream_that_cannot_be_read(void **state)
{
	(void)state;
	add_nop(0, C, 1, -1, 0, -1, 0);
	fetch_result = WEFT_FAULT_UNMAPPED;
	start(0, 1, 0);
	expect_end(0, WEFT_FAULT_UNMAPPED);
}

static void translation(void **state)
{
	static const struct {
		unsigned int engine, opcode;
		const char *operands;
		uint64_t address[2];
		uint32_t reason, operand;
	} rows[] = {
		{C, WEFT_OP_COPY, "f32[4] f32[4]", {DEVICE, DEVICE + 64}, WEFT_FAULT_NONE, 0xff},
		{C, WEFT_OP_COPY, "f32[4] f32[4]", {ROM, DEVICE}, WEFT_FAULT_NONE, 0xff},
		{C, WEFT_OP_COPY, "f32[4] f32[4]", {DEVICE, ROM}, WEFT_FAULT_PERMISSION, 1},
		{C, WEFT_OP_COPY, "f32[4] f32[4]", {HOST, DEVICE}, WEFT_FAULT_PERMISSION, 0},
		{C, WEFT_OP_COPY, "f32[4] f32[4]", {DEVICE, HOST}, WEFT_FAULT_PERMISSION, 1},
		{C, WEFT_OP_COPY, "f32[4] f32[4]", {END, DEVICE}, WEFT_FAULT_UNMAPPED, 0},
		{C, WEFT_OP_COPY, "f32[4] f32[4]", {END - 12, DEVICE}, WEFT_FAULT_UNMAPPED, 0},
		{C, WEFT_OP_COPY, "f32[4]{-1} f32[4]", {DEVICE + 8, DEVICE + 64}, WEFT_FAULT_UNMAPPED, 0},
		{I, WEFT_OP_COPY, "f32[4] f32[4]", {HOST, DEVICE}, WEFT_FAULT_NONE, 0xff},
		{I, WEFT_OP_COPY, "f32[4] f32[4]", {DEVICE, HOST}, WEFT_FAULT_PERMISSION, 0},
		{I, WEFT_OP_COPY, "f32[4] f32[4]", {HOST, HOST + 64}, WEFT_FAULT_PERMISSION, 1},
		{O, WEFT_OP_COPY, "f32[4] f32[4]", {DEVICE, HOST}, WEFT_FAULT_NONE, 0xff},
		{O, WEFT_OP_COPY, "f32[4] f32[4]", {HOST, DEVICE}, WEFT_FAULT_PERMISSION, 0},
	};

	(void)state;
	for (unsigned int r = 0; r < sizeof(rows) / sizeof(rows[0]); r++) {
		struct core_command command;
		union text_command text;

		streams[0].size = 0;
		text_command(&text, rows[r].opcode, rows[r].engine, rows[r].operands);
		for (unsigned int o = 0; o < 2; o++)
			text.header.operand[o].address = rows[r].address[o];
		add(0, &text);
		start(0, 1, 0);
		if (rows[r].reason) {
			struct core_end end;

			assert_int_equal(core_next(&core, rows[r].engine, &command), CORE_IDLE);
			end = expect_end(0, rows[r].reason);
			assert_int_equal(end.fault.operand, rows[r].operand);
			continue;
		}
		assert_int_equal(core_next(&core, rows[r].engine, &command), CORE_COMMAND);
		for (unsigned int o = 0; o < 2; o++)
			assert_int_equal(command.place[o], rows[r].address[o] + 0x70000000);
		done(rows[r].engine);
		expect_end(0, WEFT_FAULT_NONE);
	}
}

/* The engine gets the address of element 0, also when lower ones are reached. */
static void places_of_negative_strides(void **state)
{
	struct core_command command;
	union text_command text;

	(void)state;
	text_command(&text, WEFT_OP_COPY, C, "f32[4]{-1} f32[4]");
	text.header.operand[0].address = DEVICE + 12;
	text.header.operand[1].address = DEVICE + 64;
	add(0, &text);
	start(0, 1, 0);
	assert_int_equal(core_next(&core, C, &command), CORE_COMMAND);
	assert_int_equal(command.place[0], DEVICE + 12 + 0x70000000);
	assert_int_equal(command.range[0].low, DEVICE);
}

/* What happens to the stream after a command was read does not matter, and each byte is read once. */
static void commands_are_read_once(void **state)
{
	struct core_command command;

	(void)state;
	add_nop(0, C, 1, -1, 0, -1, 0);
	start(0, 1, 0);
	/* Two other engines skip it by its first bytes. */
	assert_int_equal(fetched, sizeof(struct weft_cmd) + 2 * offsetof(struct weft_cmd, tag));
	memset(streams[0].bytes, 0xff, streams[0].size);
	assert_int_equal(core_next(&core, C, &command), CORE_COMMAND);
	assert_int_equal(command.command->tag, 1);
	done(C);
	expect_end(0, WEFT_FAULT_NONE);
}

/* Skipping is done in pieces, so that a long stream does not hold up others. */
static void long_streams_are_skipped_in_pieces(void **state)
{
	struct core_command command;
	unsigned int again = 0;

	(void)state;
	for (unsigned int i = 0; i < 3 * CORE_SCAN_LIMIT; i++)
		add_nop(0, C, 1, -1, 0, -1, 0);
	add_nop(0, O, 2, -1, 0, -1, 0);
	start(0, 1, 0);
	assert_true(core_ready(&core) & 1u << O);
	while (core_next(&core, O, &command) == CORE_AGAIN)
		again++;
	assert_int_equal(again, 2);
	assert_int_equal(command.command->tag, 2);
	assert_int_equal(command.index, 3 * CORE_SCAN_LIMIT);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(empty_stream_ends),
		TEST(engines_run_in_order_and_overlap),
		TEST(goes_on_after_a_reset),
		TEST(skipping_too_much_faults),
		TEST(priorities_and_turns),
		TEST(priority_yields_when_waiting),
		TEST(slots_run_out),
		TEST(deadlock),
		TEST(deadlock_at_start),
		TEST(second_wait_counts),
		TEST(semaphore_backwards),
		TEST(semaphores_are_of_the_job),
		TEST(engine_fault_stops_only_its_context),
		TEST(timeout_is_reported),
		TEST(cancel),
		TEST(check_faults_carry_their_place),
		TEST(malformed_streams),
		TEST(stream_that_cannot_be_read),
		TEST(translation),
		TEST(places_of_negative_strides),
		TEST(commands_are_read_once),
		TEST(long_streams_are_skipped_in_pieces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
