// SPDX-License-Identifier: MIT
/* Every opcode that passes the checks has a kernel, on every path through the device. */
#include "fixture.h"
#include "../control/command_text.h"

static void run_all(struct fixture *f)
{
	struct memory device = fixture_memory(f, WEFT_MAX_OPERANDS * TEXT_STEP, ACCEL_DEVICE_MEMORY);
	struct memory host = fixture_memory(f, WEFT_MAX_OPERANDS * TEXT_STEP, ACCEL_HOST_MEMORY);

	for (unsigned int i = 0; i < text_valid_count; i++) {
		union text_command command;
		struct accel_cost cost;

		/* Labels and indices are zero: in range. */
		if (!device.at)
			skip();
		memset(device.at, 0, WEFT_MAX_OPERANDS * TEXT_STEP);
		text_build(&command, &text_valid[i]);
		for (unsigned int o = 0; o < command.header.operands; o++) {
			struct weft_tensor *tensor = &command.header.operand[o];
			bool in_host = (command.header.engine == WEFT_ENGINE_DMA_IN && o == 0) ||
				       (command.header.engine == WEFT_ENGINE_DMA_OUT && o == 1);

			if (tensor->type != WEFT_TYPE_NONE)
				tensor->address += (in_host ? host.address : device.address) - TEXT_BASE;
			/* Multipliers and tables of the integer operations: ones are in range. */
			for (unsigned int e = 0;
			     tensor->type == WEFT_TYPE_I32 && command.header.opcode >= WEFT_OP_QMATMUL && e < 256; e++)
				((int32_t *)((char *)device.at + o * TEXT_STEP))[e] = 1;
		}
		assert_int_equal(accel_device_cost(f->device, &command.header, &cost), 0);
		assert_int_equal(accel_stream_append(f->stream, &command.header), 0);
		if (fixture_run(f))
			fail_msg("row %u: %s", i, accel_error());
	}
	accel_buffer_unref(device.buffer);
	accel_buffer_unref(host.buffer);
}

static void every_opcode_runs(void **state)
{
	run_all(*state);
}

static void every_opcode_runs_on_the_scalar_path(void **state)
{
	struct accel_device *device;
	struct fixture f;

	(void)state;
	assert_int_equal(accel_device_open("embedded:mem=1M,isa=scalar", &device), 0);
	fixture_context(device, &f);
	accel_device_unref(device);
	run_all(&f);
	fixture_release(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(every_opcode_runs, fixture_setup, fixture_teardown),
		cmocka_unit_test(every_opcode_runs_on_the_scalar_path),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
