/* SPDX-License-Identifier: MIT */
/** The model as it was parsed, and host copies of its tensors; within the importer. */
#ifndef WEFT_IMPORT_MODEL_H
#define WEFT_IMPORT_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "import/onnx.pb-c.h"
#include "weft/model.h"
#include "weft_isa.h"

/** Key of a model's metadata: struct weft_dataset_options.features that it is for. */
#define WEFT_FEATURES_KEY "weft.features"

struct weft_model {
	Onnx__ModelProto *proto; /* graph is never NULL */
	char *name;		 /* of the file */
	int64_t opset;		 /* of the default domain */
};

/**
 * Make graph input @name a constant: the serialized TensorProto @bytes stands
 * for it as an initializer.  For inputs that decide shapes, such as Reshape's
 * second.  -ENOENT: the model has no such input.
 */
int weft_model_bind_input(struct weft_model *model, const char *name, const void *bytes, size_t size);

/** Read the tensors of the model at @path whose bytes stand in other files of its directory (external.c). */
int weft_model_read_external(struct weft_model *model, const char *path);

/** A tensor in host memory, row-major in the order of the file. */
struct weft_host_tensor {
	uint8_t type; /* enum weft_type */
	uint8_t rank;
	uint32_t dims[WEFT_MAX_RANK]; /* may hold zeros */
	size_t elements;
	void *data; /* owned; NULL where elements is 0 */
};

/** Most bytes of one tensor: device strides are 32 bit. */
#define WEFT_HOST_TENSOR_MAX_BYTES ((uint64_t)1 << 33)

/** Type of ONNX's TensorProto.DataType; double, float16, bfloat16 and unsigned types map to what the device computes
 * in. */
int weft_onnx_type(int32_t data_type, uint8_t *type);
/** Set @tensor's elements and allocate zeroed data. */
int weft_host_tensor_new(uint8_t type, unsigned int rank, const uint32_t dims[], struct weft_host_tensor **tensor);
void weft_host_tensor_free(struct weft_host_tensor *tensor);
/** Read a TensorProto: sizes are checked against dims, float16, bfloat16 and double become f32, uint16 and uint32 i32
 * and i64. */
int weft_onnx_tensor(const Onnx__TensorProto *proto, struct weft_host_tensor **tensor);
/** The same for a serialized TensorProto, as test suites store them. */
int weft_onnx_tensor_parse(const void *bytes, size_t size, struct weft_host_tensor **tensor);
/** Element @index as an integer or a number, whatever the type. */
int64_t weft_host_integer(const struct weft_host_tensor *tensor, size_t index);
double weft_host_number(const struct weft_host_tensor *tensor, size_t index);
void weft_host_set_integer(struct weft_host_tensor *tensor, size_t index, int64_t value);
void weft_host_set_number(struct weft_host_tensor *tensor, size_t index, double value);
size_t weft_type_size(uint8_t type);

#endif /* WEFT_IMPORT_MODEL_H */
