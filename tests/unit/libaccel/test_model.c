// SPDX-License-Identifier: MIT
/* Compiled models: they run, and what is wrong with a file is said before anything of it is used. */
#include "fixture.h"
#include "model_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const float x[6] = {1, 2, 3, -1, 0, 4};

/* x * w in an order that does not round: all numbers are small integers. */
static void product(const struct model_file *file, float y[8])
{
	for (unsigned int i = 0; i < 8; i++) {
		y[i] = 0;
		for (unsigned int k = 0; k < 3; k++)
			y[i] += x[i / 4 * 3 + k] * file->weights[k * 4 + i % 4];
	}
}

static struct accel_model *load(struct fixture *f, const struct model_file *file)
{
	struct accel_model *model;
	size_t size;
	uint8_t *bytes = model_file_bytes(file, true, &size);

	assert_non_null(bytes);
	if (accel_model_load_memory(f->device, bytes, size, &model))
		fail_msg("%s", accel_error());
	free(bytes);
	return model;
}

static void runs(void **state)
{
	struct accel_model_tensor t = {.size = sizeof(t)};
	struct accel_model *model;
	struct model_file file;
	float y[8], wanted[8];

	model_file_make(&file);
	product(&file, wanted);
	model = load(*state, &file);
	assert_int_equal(accel_model_inputs(model), 1);
	assert_int_equal(accel_model_outputs(model), 1);
	assert_int_equal(accel_model_input(model, 0, &t), 0);
	assert_string_equal(t.name, "x");
	assert_int_equal(t.rank, 2);
	assert_int_equal(t.dims[1], 3);
	assert_int_equal(t.bytes, sizeof(x));
	/* What a region puts into the host arena is there. */
	assert_true(((float *)t.memory)[HOST_EXTRA / 4] == 7);
	assert_true(((float *)t.memory)[HOST_EXTRA / 4 + 1] == 8);
	for (unsigned int i = 0; i < 3; i++) {
		memset(y, 0, sizeof(y));
		assert_int_equal(accel_model_set(model, 0, x, sizeof(x)), 0);
		assert_int_equal(accel_model_run(model), 0);
		assert_int_equal(accel_model_get(model, 0, y, sizeof(y)), 0);
		assert_memory_equal(y, wanted, sizeof(y));
	}
	accel_model_free(model);
	accel_model_free(NULL);
}

static void strided_tensors(void **state)
{
	const float transposed[6] = {1, -1, 2, 0, 3, 4};
	struct accel_model *model;
	struct model_file file;
	float y[8], wanted[8];

	model_file_make(&file);
	product(&file, wanted);
	/* The application sees x and y transposed. */
	file.record[0].tensor.dims[0] = 3;
	file.record[0].tensor.dims[1] = 2;
	file.record[0].tensor.strides[0] = 1;
	file.record[0].tensor.strides[1] = 3;
	file.record[1].tensor.address += 7 * sizeof(float);
	file.record[1].tensor.strides[0] = -4;
	file.record[1].tensor.strides[1] = -1;
	model = load(*state, &file);
	assert_int_equal(accel_model_set(model, 0, transposed, sizeof(transposed)), 0);
	assert_int_equal(accel_model_run(model), 0);
	assert_int_equal(accel_model_get(model, 0, y, sizeof(y)), 0);
	for (unsigned int i = 0; i < 8; i++)
		assert_true(y[i] == wanted[7 - i]);
	accel_model_free(model);
}

static void wrong_calls(void **state)
{
	struct accel_model_tensor t = {.size = 0};
	struct accel_model *model;
	struct model_file file;
	float y[8];

	model_file_make(&file);
	model = load(*state, &file);
	assert_int_equal(accel_model_input(model, 0, &t), -EINVAL);
	t.size = sizeof(t);
	assert_int_equal(accel_model_input(model, 1, &t), -EINVAL);
	assert_non_null(strstr(accel_error(), "1 inputs"));
	assert_int_equal(accel_model_output(model, 1, &t), -EINVAL);
	assert_int_equal(accel_model_set(model, 0, x, sizeof(x) - 1), -EINVAL);
	assert_non_null(strstr(accel_error(), "24 bytes"));
	assert_int_equal(accel_model_set(model, 1, x, sizeof(x)), -EINVAL);
	assert_int_equal(accel_model_get(model, 0, y, sizeof(x)), -EINVAL);
	/* No more is written than the caller knows of. */
	memset(&t, 0x55, sizeof(t));
	t.size = offsetof(struct accel_model_tensor, type);
	assert_int_equal(accel_model_output(model, 0, &t), 0);
	assert_string_equal(t.name, "y");
	assert_int_equal(t.rank, 0x55555555);
	accel_model_free(model);
}

static void files(void **state)
{
	struct fixture *f = *state;
	char path[] = "/tmp/weft-model-XXXXXX";
	struct accel_model *model;
	struct model_file file;
	size_t size;
	uint8_t *bytes;
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	model_file_make(&file);
	bytes = model_file_bytes(&file, true, &size);
	assert_int_equal(write(fd, bytes, size), size);
	assert_int_equal(accel_model_load(f->device, path, &model), 0);
	accel_model_free(model);
	assert_int_equal(ftruncate(fd, (off_t)size - 1), 0);
	assert_int_equal(accel_model_load(f->device, path, &model), -EBADMSG);
	assert_non_null(strstr(accel_error(), path));
	assert_null(model);
	close(fd);
	unlink(path);
	assert_int_equal(accel_model_load(f->device, path, &model), -ENOENT);
	assert_int_equal(accel_model_load(f->device, "/", &model), -EINVAL);
	free(bytes);
}

/* What is loaded may be run, whatever comes of it. */
static int load_and_run(struct accel_device *device, const uint8_t *bytes, size_t size)
{
	struct accel_model *model;
	int result = accel_model_load_memory(device, bytes, size, &model);

	if (result) {
		assert_null(model);
		return result;
	}
	accel_model_run(model);
	accel_model_free(model);
	return 0;
}

static void truncated(void **state)
{
	struct fixture *f = *state;
	struct model_file file;
	size_t size;
	uint8_t *bytes;

	model_file_make(&file);
	bytes = model_file_bytes(&file, true, &size);
	for (size_t n = 0; n < size; n++) {
		/* Where the allocation ends, so that reading beyond is seen. */
		uint8_t *part = malloc(n + 1);
		int result;

		memcpy(part, bytes, n);
		result = load_and_run(f->device, part, n);
		assert_true(result == -EBADMSG || result == -EINVAL);
		if (n > sizeof(struct accel_model_header)) {
			model_file_seal(part, n);
			assert_true(load_and_run(f->device, part, n) < 0);
		}
		free(part);
	}
	bytes = realloc(bytes, size + 8);
	memset(bytes + size, 0, 8);
	assert_int_equal(load_and_run(f->device, bytes, size + 8), -EBADMSG);
	model_file_seal(bytes, size + 8);
	assert_int_equal(load_and_run(f->device, bytes, size + 8), -EINVAL);
	free(bytes);
}

static void flipped_bits(void **state)
{
	struct fixture *f = *state;
	struct model_file file;
	size_t size;
	uint8_t *bytes;

	model_file_make(&file);
	bytes = model_file_bytes(&file, true, &size);
	for (size_t bit = 0; bit < size * 8; bit++) {
		bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_true(load_and_run(f->device, bytes, size) < 0);
		bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	assert_int_equal(load_and_run(f->device, bytes, size), 0);
	free(bytes);
}

/* The same from someone who can compute checksums: no crash, and no memory but the model's own. */
static void forged(void **state)
{
	static const uint8_t values[] = {0x00, 0x01, 0x7f, 0x80, 0xff};
	struct fixture *f = *state;
	uint32_t random = 1;
	struct model_file file;
	size_t size;
	uint8_t *bytes, *copy;

	model_file_make(&file);
	bytes = model_file_bytes(&file, true, &size);
	copy = malloc(size);
	for (size_t at = 0; at < size; at++)
		for (unsigned int v = 0; v < sizeof(values); v++) {
			memcpy(copy, bytes, size);
			copy[at] = values[v];
			model_file_seal(copy, size);
			load_and_run(f->device, copy, size);
		}
	for (unsigned int round = 0; round < 4000; round++) {
		memcpy(copy, bytes, size);
		for (unsigned int i = 0; i < 1 + round % 4; i++) {
			random = random * 1664525 + 1013904223;
			copy[(random >> 8) % size] = (uint8_t)random;
		}
		model_file_seal(copy, size);
		load_and_run(f->device, copy, size);
	}
	assert_int_equal(load_and_run(f->device, bytes, size), 0);
	free(copy);
	free(bytes);
}

static void other_version(struct model_file *file)
{
	file->header.version++;
}

static void newer_isa(struct model_file *file)
{
	file->header.isa_minor = 99;
}

static void other_isa(struct model_file *file)
{
	file->header.isa_major++;
}

static void many_tensors(struct model_file *file)
{
	file->header.tensors = UINT32_MAX;
}

static void many_inputs(struct model_file *file)
{
	file->header.inputs = 3;
}

static void many_regions(struct model_file *file)
{
	file->header.regions = UINT32_MAX;
}

static void long_stream(struct model_file *file)
{
	file->header.stream_bytes = UINT64_MAX;
}

static void large_arena(struct model_file *file)
{
	file->header.device_bytes = UINT64_MAX;
}

static void arena_beyond_device(struct model_file *file)
{
	file->header.device_bytes = UINT64_C(1) << 39;
}

static void small_host_arena(struct model_file *file)
{
	file->header.host_bytes = HOST_Y + 28;
}

static void region_outside(struct model_file *file)
{
	file->region[0].offset = UINT64_MAX - 8;
}

static void region_of_third_arena(struct model_file *file)
{
	file->region[0].arena = 2;
}

static void more_commands(struct model_file *file)
{
	file->header.commands++;
}

static void fewer_commands(struct model_file *file)
{
	file->header.commands--;
}

static void unknown_opcode(struct model_file *file)
{
	model_file_command(file, 1)->opcode = 0xff;
}

static void wrong_shape(struct model_file *file)
{
	model_file_command(file, 1)->operand[1].dims[0] = 4;
}

static void wrong_size(struct model_file *file)
{
	model_file_command(file, 1)->size -= 8;
}

static void far_operand(struct model_file *file)
{
	model_file_command(file, 1)->operand[0].address = UINT64_MAX - 63;
}

static void long_name(struct model_file *file)
{
	memset(file->record[0].name, 'x', sizeof(file->record[0].name));
}

static void huge_tensor(struct model_file *file)
{
	file->record[0].tensor.dims[0] = UINT32_MAX;
	file->record[0].tensor.strides[0] = 0;
}

static void far_stride(struct model_file *file)
{
	file->record[0].tensor.strides[0] = INT32_MIN;
}

static void packed_type(struct model_file *file)
{
	file->record[0].tensor.type = WEFT_TYPE_I4;
}

static void wrong_contents(void **state)
{
	static const struct {
		void (*change)(struct model_file *file);
		int error;
		const char *says;
	} cases[] = {
		{other_version, EPROTO, "reads version 1"},
		{newer_isa, EPROTO, "1.99"},
		{other_isa, EPROTO, "instruction set 2."},
		{many_tensors, EINVAL, "4294967295 tensors"},
		{many_inputs, EINVAL, "3 inputs"},
		{many_regions, EINVAL, "4294967295 regions"},
		{long_stream, EINVAL, "bytes of commands"},
		{large_arena, EINVAL, "device and"},
		{arena_beyond_device, ENOSPC, "device memory"},
		{small_host_arena, EINVAL, "output 0"},
		{region_outside, EINVAL, "region 0"},
		{region_of_third_arena, EINVAL, "arena 2"},
		{more_commands, EINVAL, "command 3 of 4"},
		{fewer_commands, EINVAL, "follow its 2 commands"},
		{unknown_opcode, EINVAL, "opcode"},
		{wrong_shape, EINVAL, "matmul"},
		{wrong_size, EINVAL, "command 1 (matmul)"},
		{far_operand, EINVAL, "operand 0 is outside"},
		{long_name, EINVAL, "input 0"},
		{huge_tensor, EINVAL, "input 0"},
		{far_stride, EINVAL, "input 0"},
		{packed_type, EINVAL, "input 0"},
	};
	struct fixture *f = *state;

	for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct model_file file;
		size_t size;
		uint8_t *bytes;
		int result;

		model_file_make(&file);
		cases[i].change(&file);
		bytes = model_file_bytes(&file, true, &size);
		result = load_and_run(f->device, bytes, size);
		if (result != -cases[i].error || !strstr(accel_error(), cases[i].says))
			fail_msg("case %u: %d (%s), expected %d and '%s'", i, result, accel_error(), -cases[i].error,
				 cases[i].says);
		free(bytes);
	}
}

/* An operand that begins inside of the arena and ends far beyond it: the device sees that. */
static void faults_and_goes_on(void **state)
{
	struct accel_model *bad, *good;
	struct model_file file;

	model_file_make(&file);
	good = load(*state, &file);
	file.header.device_bytes = 4096;
	model_file_command(&file, 1)->operand[0].address = 4032;
	model_file_command(&file, 1)->operand[0].strides[0] = 1 << 20;
	bad = load(*state, &file);
	for (unsigned int i = 0; i < 2; i++) {
		assert_int_equal(accel_model_run(bad), -EIO);
		assert_non_null(strstr(accel_error(), "matmul"));
		assert_int_equal(accel_model_run(good), 0);
	}
	accel_model_free(bad);
	accel_model_free(good);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(runs, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(strided_tensors, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(wrong_calls, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(files, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(truncated, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(flipped_bits, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(forged, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(wrong_contents, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(faults_and_goes_on, fixture_setup, fixture_teardown),
	};

	return cmocka_run_group_tests_name("model", tests, NULL, NULL);
}
