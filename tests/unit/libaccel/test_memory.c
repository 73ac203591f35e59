// SPDX-License-Identifier: MIT
/* Buffers and streams: sizes, limits, lives. */
#include "fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void counters(struct fixture *f, struct accel_counters *c)
{
	c->size = sizeof(*c);
	assert_int_equal(accel_device_counters(f->device, c), 0);
}

static void bad_arguments(void **state)
{
	struct fixture *f = *state;
	struct accel_buffer *buffer;

	assert_int_equal(accel_buffer_new(f->context, 0, ACCEL_DEVICE_MEMORY, &buffer), -EINVAL);
	assert_int_equal(accel_buffer_new(f->context, UINT64_MAX, ACCEL_DEVICE_MEMORY, &buffer), -EINVAL);
	assert_int_equal(accel_buffer_new(f->context, 1, 0, &buffer), -EINVAL);
	assert_int_equal(accel_buffer_new(f->context, 1, ACCEL_READ_ONLY, &buffer), -EINVAL);
	assert_int_equal(accel_buffer_new(f->context, 1, ACCEL_DEVICE_MEMORY | ACCEL_HOST_MEMORY, &buffer), -EINVAL);
	assert_int_equal(accel_buffer_new(f->context, 1, ACCEL_DEVICE_MEMORY | 0x100, &buffer), -EINVAL);
	assert_null(buffer);
	accel_buffer_unref(NULL);
	accel_stream_unref(NULL);
	accel_queue_unref(NULL);
	accel_event_unref(NULL);
	accel_context_unref(NULL);
	accel_device_unref(NULL);
}

static void sizes_and_accounting(void **state)
{
	struct fixture *f = *state;
	struct accel_counters c0, c1;
	struct memory device, host;

	counters(f, &c0);
	device = fixture_memory(f, 5000, ACCEL_DEVICE_MEMORY);
	host = fixture_memory(f, 1, ACCEL_HOST_MEMORY);
	assert_int_equal(accel_buffer_bytes(device.buffer), 8192);
	assert_int_equal(accel_buffer_bytes(host.buffer), 4096);
	assert_non_null(host.at);
	assert_int_equal((uintptr_t)host.at % 4096, 0);
	/* A host pointer is not an address of the device. */
	assert_int_not_equal((uintptr_t)host.at, host.address);
	counters(f, &c1);
	assert_int_equal(c1.device_bytes - c0.device_bytes, 8192);
	assert_int_equal(c1.host_bytes - c0.host_bytes, 4096);
	assert_true(c1.device_bytes_peak >= c1.device_bytes);
	accel_buffer_ref(device.buffer);
	accel_buffer_unref(device.buffer);
	counters(f, &c1);
	assert_int_equal(c1.device_bytes - c0.device_bytes, 8192);
	accel_buffer_unref(device.buffer);
	accel_buffer_unref(host.buffer);
	counters(f, &c1);
	assert_int_equal(c1.device_bytes, c0.device_bytes);
	assert_int_equal(c1.host_bytes, c0.host_bytes);
	assert_true(c1.device_bytes_peak >= c0.device_bytes + 8192);
	assert_int_equal(accel_device_reset_peaks(f->device), 0);
	counters(f, &c1);
	assert_int_equal(c1.device_bytes_peak, c1.device_bytes);
	assert_int_equal(c1.host_bytes_peak, c1.host_bytes);
	assert_int_equal(c1.control_bytes_peak, c1.control_bytes);
}

static void device_memory_runs_out(void **state)
{
	struct accel_device_info info = {.size = sizeof(info)};
	struct fixture *f = *state;
	struct memory part[4];
	struct accel_buffer *buffer;
	uint64_t quarter;

	assert_int_equal(accel_device_query(f->device, &info), 0);
	quarter = info.device_memory_bytes / 4;
	for (int i = 0; i < 4; i++)
		part[i] = fixture_memory(f, quarter, ACCEL_DEVICE_MEMORY);
	assert_int_equal(accel_buffer_new(f->context, 1, ACCEL_DEVICE_MEMORY, &buffer), -ENOSPC);
	assert_non_null(strstr(accel_error(), "4096 bytes wanted, 0 of"));
	/* Two holes that are not neighbours do not make one. */
	accel_buffer_unref(part[0].buffer);
	accel_buffer_unref(part[2].buffer);
	if (fixture_embedded()) {
		char expected[64];

		assert_int_equal(accel_buffer_new(f->context, 2 * quarter, ACCEL_DEVICE_MEMORY, &buffer), -ENOSPC);
		snprintf(expected, sizeof(expected), "the largest hole has %llu", (unsigned long long)quarter);
		assert_non_null(strstr(accel_error(), expected));
	} else {
		/* ... unless pages are translated. */
		assert_int_equal(accel_buffer_new(f->context, 2 * quarter, ACCEL_DEVICE_MEMORY, &buffer), 0);
		accel_buffer_unref(buffer);
	}
	/* Neighbours do. */
	accel_buffer_unref(part[1].buffer);
	part[0] = fixture_memory(f, 3 * quarter, ACCEL_DEVICE_MEMORY);
	accel_buffer_unref(part[0].buffer);
	accel_buffer_unref(part[3].buffer);
	part[0] = fixture_memory(f, 4 * quarter, ACCEL_DEVICE_MEMORY);
	accel_buffer_unref(part[0].buffer);
}

static void context_limit(void **state)
{
	const struct accel_context_options options = {.size = sizeof(options), .device_bytes_limit = 64 * KIB};
	struct accel_buffer *first, *second;
	struct fixture *f = *state;
	struct accel_context *context;

	assert_int_equal(accel_context_new(f->device, &options, &context), 0);
	assert_int_equal(accel_buffer_new(context, 40 * KIB, ACCEL_DEVICE_MEMORY, &first), 0);
	assert_int_equal(accel_buffer_new(context, 28 * KIB, ACCEL_DEVICE_MEMORY, &second), -ENOSPC);
	assert_non_null(strstr(accel_error(), "limited to"));
	assert_int_equal(accel_buffer_new(context, 24 * KIB, ACCEL_DEVICE_MEMORY, &second), 0);
	accel_buffer_unref(first);
	accel_buffer_unref(second);
	assert_int_equal(accel_buffer_new(context, 64 * KIB, ACCEL_DEVICE_MEMORY, &first), 0);
	accel_buffer_unref(first);
	accel_context_unref(context);
}

/* Nobody sees what another left behind. */
static void new_memory_is_zero(void **state)
{
	struct accel_device_info info = {.size = sizeof(info)};
	struct fixture *f = *state;
	struct memory memory;

	assert_int_equal(accel_device_query(f->device, &info), 0);
	for (int round = 0; round < 2; round++) {
		const uint64_t *word;

		memory = fixture_memory(f, info.device_memory_bytes / 2, ACCEL_DEVICE_MEMORY);
		if (!memory.at)
			skip();
		word = memory.at;
		for (size_t i = 0; i < info.device_memory_bytes / 16; i++)
			assert_true(word[i] == 0);
		memset(memory.at, 0xff, info.device_memory_bytes / 2);
		accel_buffer_unref(memory.buffer);
	}
}

/* Random allocations and releases, each filled with a pattern of its own. */
static void allocator_keeps_buffers_apart(void **state)
{
	struct fixture *f = *state;
	struct memory memory[32] = {{0}};
	unsigned int seed = 1;

	for (int step = 0; step < 2000; step++) {
		unsigned int i = (unsigned int)rand_r(&seed) % 32;
		size_t words;

		if (memory[i].buffer) {
			const uint32_t *word = memory[i].at;

			words = accel_buffer_bytes(memory[i].buffer) / 4;
			assert_true(word[0] == i && word[words - 1] == i && word[words / 2] == i);
			accel_buffer_unref(memory[i].buffer);
			memory[i].buffer = NULL;
			continue;
		}
		if (accel_buffer_new(f->context, 1 + (unsigned int)rand_r(&seed) % (1 * MIB), ACCEL_DEVICE_MEMORY,
				     &memory[i].buffer) == -ENOSPC)
			continue;
		if (accel_buffer_map(memory[i].buffer, &memory[i].at)) {
			accel_buffer_unref(memory[i].buffer);
			skip();
		}
		words = accel_buffer_bytes(memory[i].buffer) / 4;
		((uint32_t *)memory[i].at)[0] = i;
		((uint32_t *)memory[i].at)[words / 2] = i;
		((uint32_t *)memory[i].at)[words - 1] = i;
	}
	for (unsigned int i = 0; i < 32; i++)
		accel_buffer_unref(memory[i].buffer);
}

static void host_memory_suits_direct_io(void **state)
{
	char path[] = "./weft-test-direct-XXXXXX";
	struct fixture *f = *state;
	struct memory memory = fixture_memory(f, 8192, ACCEL_HOST_MEMORY);
	int fd = mkostemp(path, O_DIRECT);

	if (fd < 0 || !memory.at) {
		accel_buffer_unref(memory.buffer);
		print_message("no O_DIRECT here\n");
		skip();
		return;
	}
	unlink(path);
	memset(memory.at, 0x5a, 8192);
	assert_int_equal(pwrite(fd, memory.at, 8192, 0), 8192);
	memset(memory.at, 0, 8192);
	assert_int_equal(pread(fd, memory.at, 8192, 0), 8192);
	assert_int_equal(((uint8_t *)memory.at)[8191], 0x5a);
	close(fd);
	accel_buffer_unref(memory.buffer);
}

static void streams_grow(void **state)
{
	struct fixture *f = *state;
	struct accel_counters before, after;
	union accel_command command;

	counters(f, &before);
	accel_cmd_nop(&command, WEFT_ENGINE_COMPUTE);
	for (int i = 0; i < 1000; i++)
		fixture_append(f, &command);
	assert_int_equal(accel_stream_commands(f->stream), 1000);
	assert_int_equal(accel_stream_bytes(f->stream), 1000 * sizeof(struct weft_cmd));
	counters(f, &after);
	assert_true(after.control_bytes >= 1000 * sizeof(struct weft_cmd));
	assert_int_equal(fixture_run(f), 0);
	assert_int_equal(accel_stream_commands(f->stream), 0);
	counters(f, &after);
	assert_int_equal(after.commands[WEFT_ENGINE_COMPUTE] - before.commands[WEFT_ENGINE_COMPUTE], 1000);
}

static void streams_check_sizes(void **state)
{
	struct fixture *f = *state;
	union accel_command command;

	accel_cmd_nop(&command, WEFT_ENGINE_COMPUTE);
	command.header.size += 8;
	assert_int_equal(accel_stream_append(f->stream, &command.header), -EINVAL);
	assert_non_null(strstr(accel_error(), "command 0 (nop)"));
	command.header.size = 0;
	assert_int_equal(accel_stream_append(f->stream, &command.header), -EINVAL);
	accel_cmd_nop(&command, WEFT_ENGINE_COMPUTE);
	command.header.operands = WEFT_MAX_OPERANDS + 1;
	command.header.size = sizeof(struct weft_cmd) + (WEFT_MAX_OPERANDS + 1) * sizeof(struct weft_tensor);
	assert_int_equal(accel_stream_append(f->stream, &command.header), -EINVAL);
	assert_int_equal(accel_stream_commands(f->stream), 0);
}

static void streams_end(void **state)
{
	struct fixture *f = *state;
	union accel_command command;
	int result;

	accel_cmd_init(&command, WEFT_OP_NOP, WEFT_ENGINE_COMPUTE, WEFT_MAX_OPERANDS);
	while (!(result = accel_stream_append(f->stream, &command.header)))
		;
	assert_int_equal(result, -E2BIG);
	assert_true(accel_stream_bytes(f->stream) <= WEFT_STREAM_MAX_BYTES);
	assert_true(accel_stream_bytes(f->stream) > WEFT_STREAM_MAX_BYTES - command.header.size);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		TEST(bad_arguments),
		TEST(sizes_and_accounting),
		TEST(device_memory_runs_out),
		TEST(context_limit),
		TEST(new_memory_is_zero),
		TEST(allocator_keeps_buffers_apart),
		TEST(host_memory_suits_direct_io),
		TEST(streams_grow),
		TEST(streams_check_sizes),
		TEST(streams_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
