// SPDX-License-Identifier: MIT
/* The header of a .npy file is a Python dictionary: {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), } */
#include "npy.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "weft/error.h"

#define NPY_MOST_HEADER 65536
#define NPY_MOST_BYTES (UINT64_C(1) << 40)

static const struct {
	const char *descr, *type;
	uint32_t bytes;
} types[] = {{"<f4", "f4", 4}, {"<f8", "f8", 8}, {"|u1", "u1", 1}, {"<i4", "i4", 4}, {"<i8", "i8", 8}};

/* The text after 'key': in the dictionary, or NULL. */
static const char *after_key(const char *header, const char *key)
{
	const char *at = strstr(header, key);

	if (!at)
		return NULL;
	at += strlen(key);
	at += strspn(at, " ");
	if (*at++ != ':')
		return NULL;
	return at + strspn(at, " ");
}

static int parse_shape(struct weft_npy *npy, const char *at)
{
	npy->elements = 1;
	if (*at++ != '(')
		return -EINVAL;
	for (;;) {
		char *end;
		unsigned long long dim;

		at += strspn(at, " ,");
		if (*at == ')')
			return 0;
		if (!isdigit((unsigned char)*at) || npy->rank == WEFT_NPY_MOST_RANK)
			return -EINVAL;
		errno = 0;
		dim = strtoull(at, &end, 10);
		if (errno || __builtin_mul_overflow(npy->elements, (uint64_t)dim, &npy->elements))
			return -EINVAL;
		npy->dims[npy->rank++] = dim;
		at = end;
	}
}

static int parse_header(struct weft_npy *npy, const char *header)
{
	const char *descr = after_key(header, "'descr'"), *order = after_key(header, "'fortran_order'"),
		   *shape = after_key(header, "'shape'");
	size_t i;

	if (!descr || !order || !shape)
		return weft_fail(EINVAL, "%s: its header lacks descr, fortran_order or shape", npy->file.path);
	for (i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (*descr == '\'' && !strncmp(descr + 1, types[i].descr, 3) && descr[4] == '\'')
			break;
	if (i == sizeof(types) / sizeof(types[0]))
		return weft_fail(
			EINVAL,
			"%s: elements of type %.8s; float32, float64, uint8, int32 and int64 (little-endian) are read",
			npy->file.path, descr);
	memcpy(npy->type, types[i].type, 3);
	npy->element_bytes = types[i].bytes;
	if (strncmp(order, "False", 5))
		return weft_fail(EINVAL, "%s: in Fortran order; save numpy.ascontiguousarray(x) instead",
				 npy->file.path);
	if (parse_shape(npy, shape))
		return weft_fail(EINVAL, "%s: shape %.40s not understood, or of more than %d dimensions",
				 npy->file.path, shape, WEFT_NPY_MOST_RANK);
	return 0;
}

static int read_header(struct weft_npy *npy)
{
	uint8_t lead[12];
	uint64_t bytes, length, data;
	char *header;
	int result;

	if (npy->file.bytes < sizeof(lead))
		return weft_fail(EINVAL, "%s: %llu bytes are too few for an .npy file", npy->file.path,
				 (unsigned long long)npy->file.bytes);
	result = weft_data_file_read(&npy->file, 0, lead, sizeof(lead));
	if (result)
		return result;
	if (memcmp(lead, "\x93NUMPY", 6) || lead[6] < 1 || lead[6] > 3)
		return weft_fail(EINVAL, "%s: does not begin like an .npy file of version 1 to 3", npy->file.path);
	length = lead[8] | (uint64_t)lead[9] << 8;
	npy->start = 10;
	if (lead[6] > 1) {
		length |= (uint64_t)lead[10] << 16 | (uint64_t)lead[11] << 24;
		npy->start = 12;
	}
	if (length > NPY_MOST_HEADER || npy->start + length > npy->file.bytes)
		return weft_fail(EINVAL, "%s: its header of %llu bytes is truncated or too long", npy->file.path,
				 (unsigned long long)length);
	header = calloc(1, length + 1);
	if (!header)
		return weft_fail(ENOMEM, "%s: out of memory", npy->file.path);
	result = weft_data_file_read(&npy->file, npy->start, header, length);
	if (!result)
		result = parse_header(npy, header);
	free(header);
	if (result)
		return result;
	npy->start += length;
	data = npy->file.bytes - npy->start;
	if (__builtin_mul_overflow(npy->elements, npy->element_bytes, &bytes) || bytes != data)
		return weft_fail(EINVAL,
				 "%s: its shape asks for %llu elements of %u bytes, it has %llu bytes of data: "
				 "truncated or damaged",
				 npy->file.path, (unsigned long long)npy->elements, npy->element_bytes,
				 (unsigned long long)data);
	return 0;
}

int weft_npy_open(struct weft_npy *npy, const char *directory, const char *name)
{
	int result;

	memset(npy, 0, sizeof(*npy));
	result = weft_data_file_open(&npy->file, directory, name, NPY_MOST_BYTES);
	if (result)
		return result;
	result = read_header(npy);
	if (result)
		weft_npy_close(npy);
	return result;
}

void weft_npy_close(struct weft_npy *npy)
{
	weft_data_file_close(&npy->file);
}

/* Call @convert on pieces of the file. */
static int in_pieces(const struct weft_npy *npy, uint64_t first, uint64_t count,
		     int (*convert)(const struct weft_npy *, const void *, size_t, void *), char *to, size_t to_bytes)
{
	_Alignas(8) char piece[4096];
	size_t most = sizeof(piece) / npy->element_bytes;

	if (first > npy->elements || count > npy->elements - first)
		return weft_fail(EINVAL, "%s: elements beyond its end", npy->file.path);
	while (count) {
		size_t part = count < most ? (size_t)count : most;
		int result = weft_data_file_read(&npy->file, npy->start + first * npy->element_bytes, piece,
						 part * npy->element_bytes);

		if (!result)
			result = convert(npy, piece, part, to);
		if (result)
			return result;
		first += part;
		count -= part;
		to += part * to_bytes;
	}
	return 0;
}

static int to_floats(const struct weft_npy *npy, const void *piece, size_t count, void *to)
{
	float *out = to;

	for (size_t i = 0; i < count; i++) {
		switch (npy->type[0] << 8 | npy->type[1]) {
		case 'f' << 8 | '4':
			out[i] = ((const float *)piece)[i];
			break;
		case 'f' << 8 | '8':
			out[i] = (float)((const double *)piece)[i];
			break;
		case 'u' << 8 | '1':
			out[i] = ((const uint8_t *)piece)[i];
			break;
		case 'i' << 8 | '4':
			out[i] = (float)((const int32_t *)piece)[i];
			break;
		default:
			out[i] = (float)((const int64_t *)piece)[i];
		}
	}
	return 0;
}

static int to_ints(const struct weft_npy *npy, const void *piece, size_t count, void *to)
{
	int32_t *out = to;

	for (size_t i = 0; i < count; i++) {
		int64_t value;

		if (npy->type[0] == 'u')
			value = ((const uint8_t *)piece)[i];
		else if (npy->type[1] == '4')
			value = ((const int32_t *)piece)[i];
		else
			value = ((const int64_t *)piece)[i];
		if (value < INT32_MIN || value > INT32_MAX)
			return weft_fail(ERANGE, "%s: %lld does not fit a label", npy->file.path, (long long)value);
		out[i] = (int32_t)value;
	}
	return 0;
}

int weft_npy_read_floats(const struct weft_npy *npy, uint64_t first, uint64_t count, float *values)
{
	return in_pieces(npy, first, count, to_floats, (char *)values, sizeof(*values));
}

int weft_npy_read_ints(const struct weft_npy *npy, uint64_t first, uint64_t count, int32_t *values)
{
	if (npy->type[0] == 'f')
		return weft_fail(EINVAL, "%s: floating-point numbers where integers are expected", npy->file.path);
	return in_pieces(npy, first, count, to_ints, (char *)values, sizeof(*values));
}
