// SPDX-License-Identifier: MIT
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "import/model.h"
#include "weft/error.h"

size_t weft_type_size(uint8_t type)
{
	switch (type) {
	case WEFT_TYPE_I64:
		return 8;
	case WEFT_TYPE_F32:
	case WEFT_TYPE_I32:
		return 4;
	case WEFT_TYPE_I16:
		return 2;
	case WEFT_TYPE_I8:
	case WEFT_TYPE_U8:
	case WEFT_TYPE_BOOL:
		return 1;
	}
	return 0;
}

int weft_onnx_type(int32_t data_type, uint8_t *type)
{
	switch (data_type) {
	case ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT:
	case ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT16:
	case ONNX__TENSOR_PROTO__DATA_TYPE__BFLOAT16:
	case ONNX__TENSOR_PROTO__DATA_TYPE__DOUBLE:
		*type = WEFT_TYPE_F32;
		return 0;
	case ONNX__TENSOR_PROTO__DATA_TYPE__INT64:
	case ONNX__TENSOR_PROTO__DATA_TYPE__UINT32:
		*type = WEFT_TYPE_I64;
		return 0;
	case ONNX__TENSOR_PROTO__DATA_TYPE__INT32:
	case ONNX__TENSOR_PROTO__DATA_TYPE__UINT16:
		*type = WEFT_TYPE_I32;
		return 0;
	case ONNX__TENSOR_PROTO__DATA_TYPE__INT16:
		*type = WEFT_TYPE_I16;
		return 0;
	case ONNX__TENSOR_PROTO__DATA_TYPE__INT8:
		*type = WEFT_TYPE_I8;
		return 0;
	case ONNX__TENSOR_PROTO__DATA_TYPE__UINT8:
		*type = WEFT_TYPE_U8;
		return 0;
	case ONNX__TENSOR_PROTO__DATA_TYPE__BOOL:
		*type = WEFT_TYPE_BOOL;
		return 0;
	}
	return weft_fail(EOPNOTSUPP,
			 "element type %d of ONNX is not supported; float, integers up to 64 bit and bool are",
			 data_type);
}

int weft_host_tensor_new(uint8_t type, unsigned int rank, const uint32_t dims[], struct weft_host_tensor **tensor)
{
	struct weft_host_tensor *new;
	uint64_t elements = 1, bytes;
	unsigned int i;

	if (rank > WEFT_MAX_RANK)
		return weft_fail(EINVAL, "a tensor has rank %u, at most %u is possible", rank, WEFT_MAX_RANK);
	for (i = 0; i < rank; i++)
		if (__builtin_mul_overflow(elements, (uint64_t)dims[i], &elements))
			return weft_fail(EINVAL, "the number of elements of a tensor overflows");
	if (__builtin_mul_overflow(elements, (uint64_t)weft_type_size(type), &bytes) ||
	    bytes > WEFT_HOST_TENSOR_MAX_BYTES)
		return weft_fail(EINVAL, "a tensor of %llu elements is too large", (unsigned long long)elements);
	new = calloc(1, sizeof(*new));
	if (!new)
		return weft_fail(ENOMEM, "no memory for a tensor");
	new->type = type;
	new->rank = (uint8_t)rank;
	memcpy(new->dims, dims, rank * sizeof(*dims));
	new->elements = elements;
	new->data = calloc(1, bytes ? bytes : 1);
	if (!new->data) {
		free(new);
		return weft_fail(ENOMEM, "no memory for a tensor of %llu bytes", (unsigned long long)bytes);
	}
	*tensor = new;
	return 0;
}

void weft_host_tensor_free(struct weft_host_tensor *tensor)
{
	if (!tensor)
		return;
	free(tensor->data);
	free(tensor);
}

int64_t weft_host_integer(const struct weft_host_tensor *tensor, size_t index)
{
	switch (tensor->type) {
	case WEFT_TYPE_I64:
		return ((const int64_t *)tensor->data)[index];
	case WEFT_TYPE_I32:
		return ((const int32_t *)tensor->data)[index];
	case WEFT_TYPE_I16:
		return ((const int16_t *)tensor->data)[index];
	case WEFT_TYPE_I8:
		return ((const int8_t *)tensor->data)[index];
	case WEFT_TYPE_U8:
	case WEFT_TYPE_BOOL:
		return ((const uint8_t *)tensor->data)[index];
	case WEFT_TYPE_F32: {
		float number = ((const float *)tensor->data)[index];

		if (!(number > -9.2e18f))
			return isnan(number) ? 0 : INT64_MIN;
		return number < 9.2e18f ? (int64_t)number : INT64_MAX;
	}
	}
	return 0;
}

double weft_host_number(const struct weft_host_tensor *tensor, size_t index)
{
	if (tensor->type == WEFT_TYPE_F32)
		return (double)((const float *)tensor->data)[index];
	return (double)weft_host_integer(tensor, index);
}

void weft_host_set_integer(struct weft_host_tensor *tensor, size_t index, int64_t value)
{
	switch (tensor->type) {
	case WEFT_TYPE_I64:
		((int64_t *)tensor->data)[index] = value;
		break;
	case WEFT_TYPE_I32:
		((int32_t *)tensor->data)[index] = (int32_t)value;
		break;
	case WEFT_TYPE_I16:
		((int16_t *)tensor->data)[index] = (int16_t)value;
		break;
	case WEFT_TYPE_I8:
		((int8_t *)tensor->data)[index] = (int8_t)value;
		break;
	case WEFT_TYPE_U8:
		((uint8_t *)tensor->data)[index] = (uint8_t)value;
		break;
	case WEFT_TYPE_BOOL:
		((uint8_t *)tensor->data)[index] = value != 0;
		break;
	case WEFT_TYPE_F32:
		((float *)tensor->data)[index] = (float)value;
		break;
	}
}

void weft_host_set_number(struct weft_host_tensor *tensor, size_t index, double value)
{
	if (tensor->type == WEFT_TYPE_F32)
		((float *)tensor->data)[index] = (float)value;
	else if (value != value)
		weft_host_set_integer(tensor, index, 0);
	else if (value <= -9.2e18 || value >= 9.2e18)
		weft_host_set_integer(tensor, index, value < 0 ? INT64_MIN : INT64_MAX);
	else
		weft_host_set_integer(tensor, index, (int64_t)value);
}

static float from_half(uint16_t half)
{
	int exponent = half >> 10 & 31;
	float mantissa = (float)(half & 1023), number;

	if (exponent == 31)
		number = half & 1023 ? NAN : INFINITY;
	else
		number = exponent ? ldexpf(mantissa + 1024, exponent - 25) : ldexpf(mantissa, -24);
	return half & 0x8000 ? -number : number;
}

static float from_bfloat(uint16_t bits)
{
	uint32_t wide = (uint32_t)bits << 16;
	float number;

	memcpy(&number, &wide, sizeof(number));
	return number;
}

/* Bytes of an element as it stands in raw_data. */
static size_t raw_size(int32_t data_type)
{
	switch (data_type) {
	case ONNX__TENSOR_PROTO__DATA_TYPE__DOUBLE:
	case ONNX__TENSOR_PROTO__DATA_TYPE__INT64:
		return 8;
	case ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT:
	case ONNX__TENSOR_PROTO__DATA_TYPE__INT32:
	case ONNX__TENSOR_PROTO__DATA_TYPE__UINT32:
		return 4;
	case ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT16:
	case ONNX__TENSOR_PROTO__DATA_TYPE__BFLOAT16:
	case ONNX__TENSOR_PROTO__DATA_TYPE__UINT16:
	case ONNX__TENSOR_PROTO__DATA_TYPE__INT16:
		return 2;
	}
	return 1;
}

static void read_raw(const Onnx__TensorProto *proto, struct weft_host_tensor *tensor)
{
	const uint8_t *raw = proto->raw_data.data;
	size_t size = raw_size(proto->data_type), i;

	for (i = 0; i < tensor->elements; i++, raw += size) {
		uint16_t half;
		uint32_t word;
		double number;

		switch (proto->data_type) {
		case ONNX__TENSOR_PROTO__DATA_TYPE__DOUBLE:
			memcpy(&number, raw, sizeof(number));
			weft_host_set_number(tensor, i, number);
			break;
		case ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT16:
			memcpy(&half, raw, sizeof(half));
			weft_host_set_number(tensor, i, (double)from_half(half));
			break;
		case ONNX__TENSOR_PROTO__DATA_TYPE__BFLOAT16:
			memcpy(&half, raw, sizeof(half));
			weft_host_set_number(tensor, i, (double)from_bfloat(half));
			break;
		case ONNX__TENSOR_PROTO__DATA_TYPE__UINT16:
			memcpy(&half, raw, sizeof(half));
			weft_host_set_integer(tensor, i, half);
			break;
		case ONNX__TENSOR_PROTO__DATA_TYPE__UINT32:
			memcpy(&word, raw, sizeof(word));
			weft_host_set_integer(tensor, i, word);
			break;
		default:
			memcpy((uint8_t *)tensor->data + i * size, raw, size);
			if (tensor->type == WEFT_TYPE_BOOL)
				weft_host_set_integer(tensor, i, *raw);
		}
	}
}

/* The typed field that @proto's type uses: how many elements it has, and element @i. */
static size_t typed_count(const Onnx__TensorProto *proto)
{
	switch (proto->data_type) {
	case ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT:
		return proto->n_float_data;
	case ONNX__TENSOR_PROTO__DATA_TYPE__DOUBLE:
		return proto->n_double_data;
	case ONNX__TENSOR_PROTO__DATA_TYPE__INT64:
		return proto->n_int64_data;
	case ONNX__TENSOR_PROTO__DATA_TYPE__UINT32:
		return proto->n_uint64_data;
	}
	return proto->n_int32_data;
}

static void read_typed(const Onnx__TensorProto *proto, struct weft_host_tensor *tensor)
{
	size_t i;

	for (i = 0; i < tensor->elements; i++) {
		switch (proto->data_type) {
		case ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT:
			weft_host_set_number(tensor, i, (double)proto->float_data[i]);
			break;
		case ONNX__TENSOR_PROTO__DATA_TYPE__DOUBLE:
			weft_host_set_number(tensor, i, proto->double_data[i]);
			break;
		case ONNX__TENSOR_PROTO__DATA_TYPE__INT64:
			weft_host_set_integer(tensor, i, proto->int64_data[i]);
			break;
		case ONNX__TENSOR_PROTO__DATA_TYPE__UINT32:
			weft_host_set_integer(tensor, i, (int64_t)(proto->uint64_data[i] & UINT32_MAX));
			break;
		case ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT16:
			weft_host_set_number(tensor, i, (double)from_half((uint16_t)proto->int32_data[i]));
			break;
		case ONNX__TENSOR_PROTO__DATA_TYPE__BFLOAT16:
			weft_host_set_number(tensor, i, (double)from_bfloat((uint16_t)proto->int32_data[i]));
			break;
		default:
			weft_host_set_integer(tensor, i, proto->int32_data[i]);
		}
	}
}

int weft_onnx_tensor(const Onnx__TensorProto *proto, struct weft_host_tensor **tensor)
{
	const char *name = proto->name && proto->name[0] ? proto->name : "(unnamed)";
	uint32_t dims[WEFT_MAX_RANK];
	uint64_t elements = 1;
	uint8_t type = WEFT_TYPE_NONE;
	size_t i;
	int r;

	if (proto->data_location == ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL || proto->n_external_data)
		return weft_fail(EOPNOTSUPP,
				 "tensor %s: its data is in another file, which only a model from a file has", name);
	if (proto->segment)
		return weft_fail(EOPNOTSUPP, "tensor %s is cut into segments", name);
	r = weft_onnx_type(proto->data_type, &type);
	if (r)
		return weft_fail_in(r, "tensor %s", name);
	if (proto->n_dims > WEFT_MAX_RANK)
		return weft_fail(EINVAL, "tensor %s: rank %zu, at most %u is possible", name, proto->n_dims,
				 WEFT_MAX_RANK);
	for (i = 0; i < proto->n_dims; i++) {
		if (proto->dims[i] < 0 || proto->dims[i] > UINT32_MAX)
			return weft_fail(EINVAL, "tensor %s: dimension %zu is %lld", name, i,
					 (long long)proto->dims[i]);
		dims[i] = (uint32_t)proto->dims[i];
		if (__builtin_mul_overflow(elements, (uint64_t)dims[i], &elements))
			return weft_fail(EINVAL, "tensor %s: the number of elements overflows", name);
	}
	/* Sizes are compared before memory is taken: a small file cannot ask for much. */
	if (proto->has_raw_data && proto->raw_data.len) {
		if (elements > SIZE_MAX / 8 || proto->raw_data.len != elements * raw_size(proto->data_type))
			return weft_fail(EINVAL, "tensor %s: %zu bytes of data for %llu elements", name,
					 proto->raw_data.len, (unsigned long long)elements);
	} else if (typed_count(proto) != elements) {
		return weft_fail(EINVAL, "tensor %s: %zu values for %llu elements", name, typed_count(proto),
				 (unsigned long long)elements);
	}
	r = weft_host_tensor_new(type, (unsigned int)proto->n_dims, dims, tensor);
	if (r)
		return weft_fail_in(r, "tensor %s", name);
	if (proto->has_raw_data && proto->raw_data.len)
		read_raw(proto, *tensor);
	else
		read_typed(proto, *tensor);
	return 0;
}

int weft_onnx_tensor_parse(const void *bytes, size_t size, struct weft_host_tensor **tensor)
{
	Onnx__TensorProto *proto = onnx__tensor_proto__unpack(NULL, size, bytes);
	int r;

	if (!proto)
		return weft_fail(EINVAL, "%zu bytes are not an ONNX tensor", size);
	r = weft_onnx_tensor(proto, tensor);
	onnx__tensor_proto__free_unpacked(proto, NULL);
	return r;
}
