// SPDX-License-Identifier: MIT
#include "npz.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <zlib.h>

#include "files.h"

static uint32_t word(const uint8_t *bytes, unsigned int count)
{
	uint32_t value = 0;

	while (count--)
		value = value << 8 | bytes[count];
	return value;
}

/* The file's entry in the central directory. */
static const uint8_t *find_entry(const uint8_t *zip, size_t size, const char *name)
{
	const uint8_t *end = zip + size - 22, *entry;
	unsigned int count;

	while (end > zip && word(end, 4) != 0x06054b50)
		end--;
	assert_int_equal(word(end, 4), 0x06054b50);
	count = word(end + 10, 2);
	entry = zip + word(end + 16, 4);
	while (count--) {
		unsigned int length = word(entry + 28, 2);

		assert_int_equal(word(entry, 4), 0x02014b50);
		if (length == strlen(name) && !memcmp(entry + 46, name, length))
			return entry;
		entry += 46 + length + word(entry + 30, 2) + word(entry + 32, 2);
	}
	return NULL;
}

static uint8_t *inflate_entry(const uint8_t *zip, const uint8_t *entry, size_t *size)
{
	const uint8_t *local = zip + word(entry + 42, 4);
	const uint8_t *data = local + 30 + word(local + 26, 2) + word(local + 28, 2);
	uint32_t packed = word(entry + 20, 4);
	z_stream stream = {.next_in = (uint8_t *)data, .avail_in = packed};
	uint8_t *bytes;

	*size = word(entry + 24, 4);
	bytes = malloc(*size + 1);
	assert_non_null(bytes);
	bytes[*size] = 0;
	if (!word(entry + 10, 2)) {
		memcpy(bytes, data, *size);
		return bytes;
	}
	stream.next_out = bytes;
	stream.avail_out = (uInt)*size;
	assert_int_equal(inflateInit2(&stream, -15), Z_OK);
	assert_int_equal(inflate(&stream, Z_FINISH), Z_STREAM_END);
	inflateEnd(&stream);
	return bytes;
}

double *npz_read(const char *path, const char *name, size_t *elements)
{
	size_t size, i, width;
	uint8_t *zip = file_read(path, &size), *npy;
	const uint8_t *entry, *data;
	char file[256];
	double *result;
	char kind;

	snprintf(file, sizeof(file), "%s.npy", name);
	entry = find_entry(zip, size, file);
	if (!entry)
		fail_msg("%s holds no %s", path, file);
	npy = inflate_entry(zip, entry, &size);
	assert_memory_equal(npy, "\x93NUMPY\x01", 7);
	data = npy + 10 + word(npy + 8, 2);
	{
		const char *type = strstr((const char *)npy + 10, "'descr': '<");

		assert_non_null(type);
		kind = type[11];
		width = (size_t)(type[12] - '0');
	}
	*elements = (size - (size_t)(data - npy)) / width;
	result = calloc(*elements + 1, sizeof(*result));
	assert_non_null(result);
	for (i = 0; i < *elements; i++, data += width) {
		if (kind == 'f' && width == 4) {
			float number;

			memcpy(&number, data, sizeof(number));
			result[i] = (double)number;
		} else if (kind == 'f') {
			memcpy(&result[i], data, sizeof(double));
		} else {
			int64_t number = 0;

			memcpy(&number, data, width);
			result[i] = (double)number;
		}
	}
	free(zip);
	free(npy);
	return result;
}
