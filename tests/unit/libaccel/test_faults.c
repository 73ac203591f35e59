// SPDX-License-Identifier: MIT
/* Faults: who is stopped, who is not, and what is said about it. */
#include "fixture.h"

#include <errno.h>
#include <stdio.h>

static void bad_matmul(union accel_command *command, uint64_t address)
{
	const uint32_t a[] = {4, 5}, b[] = {6, 3}, c[] = {4, 3};
	struct weft_tensor ta = accel_tensor(address, WEFT_TYPE_F32, 2, a);
	struct weft_tensor tb = accel_tensor(address + 1024, WEFT_TYPE_F32, 2, b);
	struct weft_tensor tc = accel_tensor(address + 2048, WEFT_TYPE_F32, 2, c);

	accel_cmd_matmul(command, &ta, &tb, NULL, &tc);
}

static void sentence_says_what_is_wrong(void **state)
{
	struct fixture *f = *state;
	struct memory memory = fixture_memory(f, 4096, ACCEL_DEVICE_MEMORY);
	struct weft_fault_record fault;
	union accel_command command;
	char text[512], shorter[16];
	int length;

	assert_int_equal(accel_context_fault(f->context, &fault), 0);
	assert_int_equal(fault.reason, WEFT_FAULT_NONE);
	assert_int_equal(accel_context_fault_text(f->context, text, sizeof(text)), 0);
	accel_cmd_nop(&command, WEFT_ENGINE_COMPUTE);
	fixture_append(f, &command);
	bad_matmul(&command, memory.address);
	command.header.tag = 7;
	fixture_append(f, &command);
	assert_int_equal(fixture_run(f), -EIO);
	assert_non_null(strstr(accel_error(), "command 1 (matmul, tag 7): operand 1 (B): dimension 0 does not match"));
	assert_non_null(strstr(accel_error(), "expected 5"));
	assert_non_null(strstr(accel_error(), "operand 1 (B) f32 [6, 3]"));
	assert_int_equal(accel_context_fault(f->context, &fault), 0);
	assert_int_equal(fault.reason, WEFT_FAULT_SHAPE);
	assert_int_equal(fault.command, 1);
	assert_int_equal(fault.tag, 7);
	length = accel_context_fault_text(f->context, text, sizeof(text));
	assert_int_equal(length, strlen(text));
	assert_int_equal(accel_context_fault_text(f->context, shorter, sizeof(shorter)), length);
	assert_memory_equal(shorter, text, sizeof(shorter) - 1);
	length = accel_fault_describe(&fault, text, sizeof(text));
	assert_int_equal(length, strlen(text));
	assert_non_null(strstr(text, "command 1 (matmul, tag 7): operand 1 (B)"));
	assert_int_equal(accel_fault_describe(&fault, NULL, 0), length);
	accel_buffer_unref(memory.buffer);
}

/* Each reason has words of its own, whatever the record holds. */
static void every_reason_is_described(void **state)
{
	(void)state;
	for (uint32_t reason = 0; reason <= WEFT_FAULTS; reason++) {
		for (uint32_t detail = 0; detail < 4; detail++) {
			const uint32_t details[] = {0, 1, 2, WEFT_DETAIL_RANK};
			struct weft_fault_record fault = {
				.reason = reason,
				.opcode = (uint16_t)(detail == 3 ? 0xffff : WEFT_OP_MATMUL),
				.operand = (uint8_t)(detail & 1 ? 0xff : 200),
				.detail = details[detail],
				.address = UINT64_MAX,
			};
			char text[1024];
			int length = accel_fault_describe(&fault, text, sizeof(text));

			assert_true(length > 5 && (size_t)length < sizeof(text));
			assert_int_equal(length, (int)strlen(text));
		}
	}
}

static void faulted_context_refuses_until_recovered(void **state)
{
	struct fixture *f = *state;
	struct memory memory = fixture_memory(f, 4096, ACCEL_DEVICE_MEMORY);
	struct accel_counters before = {.size = sizeof(before)}, after = {.size = sizeof(after)};
	struct weft_fault_record fault;
	union accel_command command;

	accel_device_counters(f->device, &before);
	bad_matmul(&command, memory.address);
	fixture_append(f, &command);
	assert_int_equal(fixture_run(f), -EIO);
	assert_int_equal(accel_queue_submit(f->queue, f->stream, NULL, NULL), -ECANCELED);
	assert_non_null(strstr(accel_error(), "matmul"));
	assert_int_equal(accel_context_recover(f->context), 0);
	accel_context_fault(f->context, &fault);
	assert_int_equal(fault.reason, WEFT_FAULT_NONE);
	accel_cmd_nop(&command, WEFT_ENGINE_COMPUTE);
	fixture_append(f, &command);
	assert_int_equal(fixture_run(f), 0);
	/* The failure of point 1 is not forgotten by that. */
	assert_int_equal(accel_queue_wait(f->queue, 1, 0), -EIO);
	accel_device_counters(f->device, &after);
	assert_int_equal(after.faults - before.faults, 1);
	accel_buffer_unref(memory.buffer);
}

/* A fault cancels what its context has in flight: running, waiting in queues, and held for events. */
static void fault_cancels_the_context(void **state)
{
	struct fixture *f = *state;
	struct memory memory = fixture_memory(f, 4096, ACCEL_DEVICE_MEMORY);
	struct accel_fence go = {.point = 1}, never = {.point = 1};
	struct accel_submit_options options = {.size = sizeof(options), .wait_count = 1};
	struct accel_queue *other;
	union accel_command command;
	uint64_t last, held;

	assert_int_equal(accel_queue_new(f->context, NULL, &other), 0);
	assert_int_equal(accel_event_new(f->context, &go.event), 0);
	assert_int_equal(accel_event_new(f->context, &never.event), 0);
	bad_matmul(&command, memory.address);
	fixture_append(f, &command);
	options.wait = &go;
	assert_int_equal(accel_queue_submit(f->queue, f->stream, &options, NULL), 0);
	assert_int_equal(accel_queue_submit(f->queue, f->stream, NULL, &last), 0);
	options.wait = &never;
	assert_int_equal(accel_queue_submit(other, f->stream, &options, &held), 0);
	accel_event_signal(go.event, 1);
	assert_int_equal(accel_queue_wait(f->queue, last, ACCEL_WAIT_FOREVER), -EIO);
	assert_int_equal(accel_queue_wait(other, held, ACCEL_WAIT_FOREVER), -EIO);
	assert_int_equal(accel_context_recover(f->context), 0);
	accel_event_unref(never.event);
	accel_event_unref(go.event);
	accel_queue_unref(other);
	accel_buffer_unref(memory.buffer);
}

/* Of jobs that are under way together, those before the guilty one succeed, and those after it do not. */
static void jobs_before_a_fault_succeed(void **state)
{
	struct fixture *f = *state;
	struct memory memory = fixture_memory(f, 4096, ACCEL_DEVICE_MEMORY);
	struct accel_fence go = {.point = 1};
	const struct accel_submit_options held = {.size = sizeof(held), .wait = &go, .wait_count = 1};
	const struct weft_tensor tensor = vector(memory.address, 1024);
	struct weft_fault_record fault;
	struct accel_stream *bad;
	union accel_command command;
	uint64_t point[8];

	assert_int_equal(accel_event_new(f->context, &go.event), 0);
	assert_int_equal(accel_stream_new(f->context, &bad), 0);
	bad_matmul(&command, memory.address);
	assert_int_equal(accel_stream_append(bad, &command.header), 0);
	accel_cmd_fill(&command, &tensor, 0x3f800000);
	fixture_append(f, &command);
	for (unsigned int i = 0; i < 8; i++)
		assert_int_equal(accel_queue_submit(f->queue, i == 3 ? bad : f->stream, i ? NULL : &held, &point[i]),
				 0);
	accel_event_signal(go.event, 1);
	for (unsigned int i = 8; i-- > 0;)
		assert_int_equal(accel_queue_wait(f->queue, point[i], ACCEL_WAIT_FOREVER), i < 3 ? 0 : -EIO);
	accel_context_fault(f->context, &fault);
	assert_int_equal(fault.reason, WEFT_FAULT_SHAPE);
	assert_int_equal(accel_context_recover(f->context), 0);
	assert_int_equal(fixture_run(f), 0);
	accel_stream_unref(bad);
	accel_event_unref(go.event);
	accel_buffer_unref(memory.buffer);
}

static void released_event_cancels(void **state)
{
	struct fixture *f = *state;
	struct accel_fence fence = {.point = 1};
	struct accel_submit_options options = {.size = sizeof(options), .wait = &fence, .wait_count = 1};
	struct weft_fault_record fault;
	uint64_t point;

	assert_int_equal(accel_event_new(f->context, &fence.event), 0);
	assert_int_equal(accel_queue_submit(f->queue, f->stream, &options, NULL), 0);
	assert_int_equal(accel_queue_submit(f->queue, f->stream, &options, &point), 0);
	accel_event_unref(fence.event);
	assert_int_equal(accel_queue_wait(f->queue, point, ACCEL_WAIT_FOREVER), -EIO);
	accel_context_fault(f->context, &fault);
	assert_int_equal(fault.reason, WEFT_FAULT_CANCELLED);
}

/* Another context goes on, and cannot reach what is not its own. */
static void contexts_are_isolated(void **state)
{
	struct fixture *f = *state, g;
	struct memory mine = fixture_memory(f, 4096, ACCEL_DEVICE_MEMORY), theirs, copy;
	struct weft_tensor from = vector(mine.address, 16), to;
	struct weft_fault_record fault;
	union accel_command command;

	fixture_context(f->device, &g);
	theirs = fixture_memory(&g, 4096, ACCEL_DEVICE_MEMORY);
	copy = fixture_memory(&g, 4096, ACCEL_DEVICE_MEMORY);
	assert_int_not_equal(mine.address, theirs.address);
	to = vector(copy.address, 16);
	accel_cmd_copy(&command, WEFT_ENGINE_COMPUTE, &from, &to);
	fixture_append(&g, &command);
	assert_int_equal(fixture_run(&g), -EIO);
	accel_context_fault(g.context, &fault);
	assert_int_equal(fault.reason, WEFT_FAULT_UNMAPPED);
	assert_int_equal(fault.operand, 0);
	assert_int_equal(fault.address, mine.address);
	/* The first context has not noticed. */
	accel_context_fault(f->context, &fault);
	assert_int_equal(fault.reason, WEFT_FAULT_NONE);
	accel_cmd_fill(&command, &from, 0x3f800000);
	fixture_append(f, &command);
	assert_int_equal(fixture_run(f), 0);
	accel_buffer_unref(theirs.buffer);
	accel_buffer_unref(copy.buffer);
	fixture_release(&g);
	accel_buffer_unref(mine.buffer);
}

/* One context faults over and over while another one computes. */
static void others_go_on(void **state)
{
	struct fixture *f = *state, g;
	struct memory memory = fixture_memory(f, 4096, ACCEL_DEVICE_MEMORY);
	struct weft_tensor tensor = vector(memory.address, 1024);
	union accel_command good, bad;
	uint64_t point = 0, bad_point;

	fixture_context(f->device, &g);
	accel_cmd_fill(&good, &tensor, 0x40000000);
	fixture_append(f, &good);
	bad_matmul(&bad, memory.address);
	fixture_append(&g, &bad);
	for (int i = 0; i < 200; i++) {
		assert_int_equal(accel_queue_submit(f->queue, f->stream, NULL, &point), 0);
		assert_int_equal(accel_queue_submit(g.queue, g.stream, NULL, &bad_point), 0);
		assert_int_equal(accel_queue_wait(g.queue, bad_point, ACCEL_WAIT_FOREVER), -EIO);
		assert_int_equal(accel_context_recover(g.context), 0);
	}
	assert_int_equal(accel_queue_wait(f->queue, point, ACCEL_WAIT_FOREVER), 0);
	fixture_release(&g);
	accel_buffer_unref(memory.buffer);
}

static void memory_faults(void **state)
{
	struct fixture *f = *state;
	struct memory device = fixture_memory(f, 4096, ACCEL_DEVICE_MEMORY);
	struct memory host = fixture_memory(f, 4096, ACCEL_HOST_MEMORY);
	struct memory rom = fixture_memory(f, 4096, ACCEL_DEVICE_MEMORY | ACCEL_READ_ONLY);
	const struct {
		uint64_t address;
		uint32_t count;
		uint32_t reason;
	} rows[] = {
		{device.address + 4, 1023, WEFT_FAULT_NONE},
		{device.address + 4, 1024, WEFT_FAULT_UNMAPPED}, /* one past the end */
		{device.address - 4, 4, WEFT_FAULT_UNMAPPED},
		{device.address + 4096, 4, WEFT_FAULT_UNMAPPED},
		{device.address + 2, 4, WEFT_FAULT_ALIGNMENT},
		{host.address, 4, WEFT_FAULT_PERMISSION},
		{rom.address, 4, WEFT_FAULT_PERMISSION},
		{(uint64_t)(uintptr_t)host.at, 4, WEFT_FAULT_UNMAPPED},
		{0, 4, WEFT_FAULT_UNMAPPED},
		{UINT64_MAX - 63, 4, WEFT_FAULT_UNMAPPED},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct weft_tensor tensor = vector(rows[i].address, rows[i].count);
		struct weft_fault_record fault;
		union accel_command command;

		accel_cmd_fill(&command, &tensor, 0);
		fixture_append(f, &command);
		assert_int_equal(fixture_run(f), rows[i].reason ? -EIO : 0);
		accel_context_fault(f->context, &fault);
		assert_int_equal(fault.reason, rows[i].reason);
		assert_int_equal(accel_context_recover(f->context), 0);
	}
	accel_buffer_unref(device.buffer);
	accel_buffer_unref(host.buffer);
	accel_buffer_unref(rom.buffer);
}

static void deadlock_is_found(void **state)
{
	struct fixture *f = *state;
	struct weft_fault_record fault;
	union accel_command command;

	accel_cmd_nop(&command, WEFT_ENGINE_DMA_OUT);
	accel_cmd_wait(&command, 9, 3);
	fixture_append(f, &command);
	assert_int_equal(fixture_run(f), -EIO);
	assert_non_null(strstr(accel_error(), "waits for semaphore 9 to reach 3"));
	accel_context_fault(f->context, &fault);
	assert_int_equal(fault.reason, WEFT_FAULT_DEADLOCK);
}

static void command_that_runs_too_long(void **state)
{
	const struct accel_context_options options = {.size = sizeof(options), .command_timeout_ns = 1};
	struct fixture *f = *state;
	struct weft_fault_record fault;
	const uint32_t square[] = {1024, 1024};
	struct memory memory;
	struct weft_tensor a, b, c;
	union accel_command command;

	accel_stream_unref(f->stream);
	accel_queue_unref(f->queue);
	accel_context_unref(f->context);
	assert_int_equal(accel_context_new(f->device, &options, &f->context), 0);
	assert_int_equal(accel_queue_new(f->context, NULL, &f->queue), 0);
	assert_int_equal(accel_stream_new(f->context, &f->stream), 0);
	/* Only what still runs when the watchdog looks is stopped: a product of this size takes milliseconds. */
	memory = fixture_memory(f, 12 * MIB, ACCEL_DEVICE_MEMORY);
	a = accel_tensor(memory.address, WEFT_TYPE_F32, 2, square);
	b = accel_tensor(memory.address + 4 * MIB, WEFT_TYPE_F32, 2, square);
	c = accel_tensor(memory.address + 8 * MIB, WEFT_TYPE_F32, 2, square);
	accel_cmd_matmul(&command, &a, &b, NULL, &c);
	fixture_append(f, &command);
	assert_int_equal(fixture_run(f), -EIO);
	accel_context_fault(f->context, &fault);
	assert_int_equal(fault.reason, WEFT_FAULT_TIMEOUT);
	accel_buffer_unref(memory.buffer);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		TEST(sentence_says_what_is_wrong),
		TEST(every_reason_is_described),
		TEST(faulted_context_refuses_until_recovered),
		TEST(fault_cancels_the_context),
		TEST(jobs_before_a_fault_succeed),
		TEST(released_event_cancels),
		TEST(contexts_are_isolated),
		TEST(others_go_on),
		TEST(memory_faults),
		TEST(deadlock_is_found),
		TEST(command_that_runs_too_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
