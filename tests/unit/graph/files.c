// SPDX-License-Identifier: MIT
#include "files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#include "weft/error.h"

const char *files_shared(void)
{
	const char *directory = getenv("WEFT_SHARED");

	if (!directory)
		directory = WEFT_SHARED;
	return access(directory, R_OK) ? NULL : directory;
}

uint8_t *file_read(const char *path, size_t *size)
{
	FILE *file = fopen(path, "rb");
	uint8_t *bytes;
	long end;

	if (!file)
		fail_msg("%s cannot be opened", path);
	assert_int_equal(fseek(file, 0, SEEK_END), 0);
	end = ftell(file);
	assert_true(end >= 0);
	rewind(file);
	bytes = malloc((size_t)end + 1);
	assert_non_null(bytes);
	*size = fread(bytes, 1, (size_t)end, file);
	assert_int_equal(*size, end);
	fclose(file);
	return bytes;
}

struct weft_host_tensor *file_tensor(const char *path)
{
	struct weft_host_tensor *tensor;
	size_t size;
	uint8_t *bytes = file_read(path, &size);

	if (weft_onnx_tensor_parse(bytes, size, &tensor))
		fail_msg("%s: %s", path, weft_error());
	free(bytes);
	return tensor;
}
