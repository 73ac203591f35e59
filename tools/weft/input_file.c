// SPDX-License-Identifier: MIT
#include "input_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/npy.h"
#include "import/model.h"
#include "weft/error.h"

#define MOST_ELEMENTS (UINT64_C(1) << 28)
#define MOST_FILE_BYTES (UINT64_C(1) << 31)

static int read_npy(const char *path, struct input_file *input)
{
	const char *slash = strrchr(path, '/');
	char *folder = slash ? strndup(path, (size_t)(slash - path + 1)) : strdup(".");
	struct weft_npy npy;
	int result;

	if (!folder)
		return weft_fail(ENOMEM, "out of memory");
	result = weft_npy_open(&npy, folder, slash ? slash + 1 : path);
	free(folder);
	if (result == -ENOENT)
		return weft_fail(ENOENT, "%s: %s", path, strerror(ENOENT));
	if (result)
		return result;
	if (npy.elements > MOST_ELEMENTS)
		result = weft_fail(EFBIG, "%s: more than %llu elements", path, (unsigned long long)MOST_ELEMENTS);
	for (uint32_t i = 0; i < npy.rank && !result; i++)
		input->dims[i] = (uint32_t)npy.dims[i];
	input->rank = npy.rank;
	input->elements = npy.elements;
	if (!result)
		input->data = malloc(npy.elements * sizeof(float) + 1);
	if (!result && !input->data)
		result = weft_fail(ENOMEM, "%s: out of memory", path);
	if (!result)
		result = weft_npy_read_floats(&npy, 0, npy.elements, input->data);
	weft_npy_close(&npy);
	return result;
}

static int read_whole(const char *path, void **bytes, size_t *size)
{
	struct weft_data_file file;
	const char *slash = strrchr(path, '/');
	char *folder = slash ? strndup(path, (size_t)(slash - path + 1)) : strdup(".");
	int result;

	if (!folder)
		return weft_fail(ENOMEM, "out of memory");
	result = weft_data_file_open(&file, folder, slash ? slash + 1 : path, MOST_FILE_BYTES);
	free(folder);
	if (result == -ENOENT)
		return weft_fail(ENOENT, "%s: %s", path, strerror(ENOENT));
	if (result)
		return result;
	*size = (size_t)file.bytes;
	*bytes = file.bytes <= MOST_FILE_BYTES ? malloc(*size + 1) : NULL;
	result = *bytes ? weft_data_file_read(&file, 0, *bytes, *size) : weft_fail(EFBIG, "%s: too large", path);
	if (result)
		free(*bytes);
	weft_data_file_close(&file);
	return result;
}

static int read_pb(const char *path, struct input_file *input)
{
	struct weft_host_tensor *tensor;
	void *bytes;
	size_t size;
	int result = read_whole(path, &bytes, &size);

	if (result)
		return result;
	result = weft_onnx_tensor_parse(bytes, size, &tensor);
	free(bytes);
	if (result)
		return weft_fail_in(result, "%s", path);
	input->rank = tensor->rank;
	for (uint32_t i = 0; i < tensor->rank; i++)
		input->dims[i] = tensor->dims[i];
	input->elements = tensor->elements;
	input->data = malloc(tensor->elements * sizeof(float) + 1);
	if (!input->data)
		result = weft_fail(ENOMEM, "%s: out of memory", path);
	for (size_t i = 0; i < tensor->elements && !result; i++)
		input->data[i] = (float)weft_host_number(tensor, i);
	weft_host_tensor_free(tensor);
	return result;
}

int input_file_read(const char *path, struct input_file *input)
{
	const char *dot = strrchr(path, '.');
	int result;

	memset(input, 0, sizeof(*input));
	if (dot && !strcmp(dot, ".npy"))
		result = read_npy(path, input);
	else if (dot && !strcmp(dot, ".pb"))
		result = read_pb(path, input);
	else
		result = weft_fail(EINVAL, "%s: not .npy (NumPy) or .pb (ONNX TensorProto), which are what is read",
				   path);
	if (result)
		input_file_free(input);
	return result;
}

void input_file_free(struct input_file *input)
{
	free(input->data);
	memset(input, 0, sizeof(*input));
}
