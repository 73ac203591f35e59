// SPDX-License-Identifier: MIT
#include "fixture.h"

#include <stdlib.h>

const char *fixture_spec(void)
{
	const char *spec = getenv("WEFT_TEST_DEVICE");

	return spec && *spec ? spec : "embedded:mem=16M,threads=2";
}

bool fixture_embedded(void)
{
	return !strncmp(fixture_spec(), "embedded", strlen("embedded"));
}

void fixture_context(struct accel_device *device, struct fixture *fixture)
{
	fixture->device = accel_device_ref(device);
	assert_int_equal(accel_context_new(device, NULL, &fixture->context), 0);
	assert_int_equal(accel_queue_new(fixture->context, NULL, &fixture->queue), 0);
	assert_int_equal(accel_stream_new(fixture->context, &fixture->stream), 0);
}

void fixture_release(struct fixture *fixture)
{
	accel_stream_unref(fixture->stream);
	accel_queue_unref(fixture->queue);
	accel_context_unref(fixture->context);
	accel_device_unref(fixture->device);
}

int fixture_setup(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));
	struct accel_device *device;

	if (!fixture)
		return -1;
	if (accel_device_open(fixture_spec(), &device)) {
		print_error("%s\n", accel_error());
		free(fixture);
		return -1;
	}
	fixture_context(device, fixture);
	accel_device_unref(device);
	*state = fixture;
	return 0;
}

int fixture_teardown(void **state)
{
	fixture_release(*state);
	free(*state);
	return 0;
}

struct memory fixture_memory(struct fixture *fixture, uint64_t bytes, unsigned int flags)
{
	struct memory memory;

	if (accel_buffer_new(fixture->context, bytes, flags, &memory.buffer))
		fail_msg("%s", accel_error());
	memory.address = accel_buffer_address(memory.buffer);
	if (accel_buffer_map(memory.buffer, &memory.at))
		memory.at = NULL;
	return memory;
}

int fixture_run(struct fixture *fixture)
{
	uint64_t point;
	int result = accel_queue_submit(fixture->queue, fixture->stream, NULL, &point);

	if (!result)
		result = accel_queue_wait(fixture->queue, point, ACCEL_WAIT_FOREVER);
	assert_int_equal(accel_stream_reset(fixture->stream), 0);
	return result;
}

void fixture_append(struct fixture *fixture, const union accel_command *command)
{
	if (accel_stream_append(fixture->stream, &command->header))
		fail_msg("%s", accel_error());
}

struct weft_tensor vector(uint64_t address, uint32_t count)
{
	return accel_tensor(address, WEFT_TYPE_F32, 1, &count);
}
