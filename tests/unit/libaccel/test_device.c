// SPDX-License-Identifier: MIT
/* Devices and their strings, queries, names, costs. */
#include "fixture.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void specs(void **state)
{
	static const struct {
		const char *spec;
		int result;
		const char *sentence; /* a part of it */
	} rows[] = {
		{"embedded", 0, NULL},
		{"embedded:mem=16M", 0, NULL},
		{"embedded:mem=1G,threads=2,isa=scalar,profile=tpuv1", 0, NULL},
		{"embedded:mem=4096", 0, NULL},
		{"embedded:mem=5000", 0, NULL},
		{"embedded:threads=2,mem=64k", 0, NULL},
		{"embedded:", -EINVAL, "empty option"},
		{"embedded:mem=16M,", -EINVAL, "empty option"},
		{"embedded:,mem=16M", -EINVAL, "empty option"},
		{"embedded:mem", -EINVAL, "mem needs a value"},
		{"embedded:mem=", -EINVAL, "mem=; expected a size"},
		{"embedded:mem=M", -EINVAL, "mem=M; expected a size"},
		{"embedded:mem=16X", -EINVAL, "mem=16X; expected a size"},
		{"embedded:mem=16MB", -EINVAL, "mem=16MB"},
		{"embedded:mem=-1", -EINVAL, "mem=-1"},
		{"embedded:mem=0", -EINVAL, "4K"},
		{"embedded:mem=99999999999999999999", -EINVAL, "mem="},
		{"embedded:mem=18446744073709551615K", -EINVAL, "mem="},
		{"embedded:mem=128T", -EINVAL, "64T"},
		{"embedded:threads=0", -EINVAL, "threads=0; expected a number from 1 to 64"},
		{"embedded:threads=65", -EINVAL, "threads=65"},
		{"embedded:threads=two", -EINVAL, "threads=two"},
		{"embedded:isa=sse", -EINVAL, "expected auto, scalar, avx2, avx512 or neon"},
		{"embedded:isa=avx", -EINVAL, "isa=avx;"},
		{"embedded:profile=gpu", -EINVAL, "expected one of weft-1, m0, m4f, a72, tx2, tpuv1, host"},
		{"embedded:memory=1M", -EINVAL, "unknown option \"memory\""},
		{"embedded:mem=1M,mem=2M", -EINVAL, "mem is given twice"},
		{"embeddedx", -EINVAL, "not understood"},
		{"gpu", -EINVAL, "not understood"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct accel_device *device = NULL;
		int result = accel_device_open(rows[i].spec, &device);

		if (result != rows[i].result)
			fail_msg("%s: %d (%s)", rows[i].spec, result, accel_error());
		if (rows[i].sentence && !strstr(accel_error(), rows[i].sentence))
			fail_msg("%s: \"%s\" does not say \"%s\"", rows[i].spec, accel_error(), rows[i].sentence);
		assert_int_equal(!device, result != 0);
		accel_device_unref(device);
	}
	assert_int_equal(accel_device_open("embedded", NULL), -EINVAL);
}

static void spec_from_environment(void **state)
{
	struct accel_device_info info = {.size = sizeof(info)};
	struct accel_device *device;

	(void)state;
	setenv("ACCEL_DEVICE", "embedded:mem=8M", 1);
	assert_int_equal(accel_device_open(NULL, &device), 0);
	assert_int_equal(accel_device_query(device, &info), 0);
	assert_int_equal(info.device_memory_bytes, 8 * MIB);
	accel_device_unref(device);
	setenv("ACCEL_DEVICE", "nonsense", 1);
	assert_int_equal(accel_device_open("", &device), -EINVAL);
	unsetenv("ACCEL_DEVICE");
}

static void missing_node(void **state)
{
	struct accel_device *device;

	(void)state;
	assert_int_equal(accel_device_open("/dev/accel/accel987", &device), -ENODEV);
	assert_non_null(strstr(accel_error(), "/dev/accel/accel987"));
}

static void query_negotiates_size(void **state)
{
	struct fixture *f = *state;
	struct {
		struct accel_device_info info;
		char behind[16];
	} larger, smaller;

	memset(&larger, 0xaa, sizeof(larger));
	larger.info.size = sizeof(larger.info);
	assert_int_equal(accel_device_query(f->device, &larger.info), 0);
	assert_int_equal(larger.info.size, sizeof(larger.info));
	assert_int_equal((unsigned char)larger.behind[0], 0xaa);
	assert_int_equal(larger.info.isa_major, WEFT_ISA_VERSION_MAJOR);
	assert_int_equal(larger.info.page_bytes, 4096);
	assert_true(larger.info.threads >= 1);
	assert_true(larger.info.clock_hz > 0);
	assert_true(strlen(larger.info.kernels) > 0);
	/* A caller of an older version knows fewer fields. */
	memset(&smaller, 0xaa, sizeof(smaller));
	smaller.info.size = offsetof(struct accel_device_info, isa_major);
	assert_int_equal(accel_device_query(f->device, &smaller.info), 0);
	assert_string_equal(smaller.info.name, larger.info.name);
	assert_int_equal(smaller.info.isa_major, 0xaaaaaaaa);
	smaller.info.size = 0;
	assert_int_equal(accel_device_query(f->device, &smaller.info), -EINVAL);
}

static void counters_count(void **state)
{
	struct accel_counters before = {.size = sizeof(before)}, after = {.size = sizeof(after)};
	struct fixture *f = *state;
	struct memory host = fixture_memory(f, 4096, ACCEL_HOST_MEMORY);
	struct memory device = fixture_memory(f, 4096, ACCEL_DEVICE_MEMORY);
	struct weft_tensor from = vector(host.address, 256), to = vector(device.address, 256);
	union accel_command command;
	struct accel_cost cost;

	assert_int_equal(accel_device_counters(f->device, &before), 0);
	accel_cmd_copy(&command, WEFT_ENGINE_DMA_IN, &from, &to);
	fixture_append(f, &command);
	assert_int_equal(accel_device_cost(f->device, &command.header, &cost), 0);
	assert_int_equal(cost.bytes, 1024);
	assert_true(cost.cycles > 0 && cost.picojoules > 0);
	accel_cmd_nop(&command, WEFT_ENGINE_COMPUTE);
	fixture_append(f, &command);
	assert_int_equal(fixture_run(f), 0);
	assert_int_equal(accel_device_counters(f->device, &after), 0);
	assert_int_equal(after.commands[WEFT_ENGINE_DMA_IN] - before.commands[WEFT_ENGINE_DMA_IN], 1);
	assert_int_equal(after.commands[WEFT_ENGINE_COMPUTE] - before.commands[WEFT_ENGINE_COMPUTE], 1);
	assert_int_equal(after.dma_in_bytes - before.dma_in_bytes, 1024);
	assert_int_equal(after.dma_out_bytes, before.dma_out_bytes);
	/* The counters are fed by the same function. */
	assert_int_equal(after.model_cycles[WEFT_ENGINE_DMA_IN] - before.model_cycles[WEFT_ENGINE_DMA_IN], cost.cycles);
	assert_int_equal(after.model_picojoules[WEFT_ENGINE_DMA_IN] - before.model_picojoules[WEFT_ENGINE_DMA_IN],
			 cost.picojoules);
	after.size = 0;
	assert_int_equal(accel_device_counters(f->device, &after), -EINVAL);
	accel_buffer_unref(host.buffer);
	accel_buffer_unref(device.buffer);
}

static void cost_refuses_bad_commands(void **state)
{
	struct fixture *f = *state;
	struct weft_tensor a = vector(4096, 4), b = vector(8192, 5);
	union accel_command command;
	struct accel_cost cost;

	accel_cmd_copy(&command, WEFT_ENGINE_COMPUTE, &a, &b);
	assert_int_equal(accel_device_cost(f->device, &command.header, &cost), -EINVAL);
	assert_non_null(strstr(accel_error(), "operand 1 (destination)"));
	assert_non_null(strstr(accel_error(), "expected 4"));
}

static void names(void **state)
{
	(void)state;
	assert_string_equal(accel_op_name(WEFT_OP_CONV_BWD_WEIGHT), "conv_bwd_weight");
	assert_string_equal(accel_op_name(0xffff), "unknown");
	assert_string_equal(accel_op_name(0x0f), "unknown");
	assert_string_equal(accel_type_name(WEFT_TYPE_BF16), "bf16");
	assert_string_equal(accel_type_name(WEFT_TYPES), "unknown");
	assert_string_equal(accel_fault_name(WEFT_FAULT_DEADLOCK), "deadlock");
	assert_string_equal(accel_fault_name(WEFT_FAULTS), "unknown");
	assert_int_equal(accel_type_bytes(WEFT_TYPE_I64), 8);
	assert_int_equal(accel_type_bytes(WEFT_TYPE_I16), 2);
	assert_int_equal(accel_type_bytes(WEFT_TYPE_U8), 1);
	assert_int_equal(accel_type_bytes(WEFT_TYPE_BIT), 0);
	assert_string_equal(accel_version(), ACCEL_VERSION);
}

static void tensors_are_dense(void **state)
{
	const uint32_t dims[] = {2, 3, 4};
	struct weft_tensor t = accel_tensor(64, WEFT_TYPE_I8, 3, dims);

	(void)state;
	assert_int_equal(t.strides[0], 12);
	assert_int_equal(t.strides[1], 4);
	assert_int_equal(t.strides[2], 1);
	assert_int_equal(t.dims[3], 0);
	t = accel_tensor(64, WEFT_TYPE_F32, 0, NULL);
	assert_int_equal(t.rank, 0);
}

static unsigned int messages;

static void count_message(enum accel_log_level level, const char *message, void *user)
{
	(void)level;
	assert_ptr_equal(user, &messages);
	assert_true(strlen(message) > 0);
	messages++;
}

static void log_goes_where_it_is_sent(void **state)
{
	struct accel_device *device;

	(void)state;
	unsetenv("ACCEL_LOG");
	accel_log_set(count_message, &messages, ACCEL_LOG_DEBUG);
	assert_int_equal(accel_device_open("nonsense", &device), -EINVAL);
	assert_int_equal(messages, 1);
	accel_log_set(count_message, &messages, ACCEL_LOG_WARNING);
	assert_int_equal(accel_device_open("nonsense", &device), -EINVAL);
	assert_int_equal(messages, 1);
	setenv("ACCEL_LOG", "debug", 1);
	accel_log_set(count_message, &messages, ACCEL_LOG_WARNING);
	assert_int_equal(accel_device_open("nonsense", &device), -EINVAL);
	assert_int_equal(messages, 2);
	unsetenv("ACCEL_LOG");
	accel_log_set(NULL, NULL, ACCEL_LOG_WARNING);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(specs),
		cmocka_unit_test(spec_from_environment),
		cmocka_unit_test(missing_node),
		cmocka_unit_test_setup_teardown(query_negotiates_size, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(counters_count, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(cost_refuses_bad_commands, fixture_setup, fixture_teardown),
		cmocka_unit_test(names),
		cmocka_unit_test(tensors_are_dense),
		cmocka_unit_test(log_goes_where_it_is_sent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
