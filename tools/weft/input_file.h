/* SPDX-License-Identifier: MIT */
/** One tensor from a file: .npy, or a serialized ONNX TensorProto (.pb). */
#ifndef WEFT_INPUT_FILE_H
#define WEFT_INPUT_FILE_H

#include <stdint.h>

struct input_file {
	uint32_t rank;
	uint32_t dims[8];
	uint64_t elements;
	float *data; /* row-major; owned */
};

int input_file_read(const char *path, struct input_file *input);
void input_file_free(struct input_file *input);

#endif /* WEFT_INPUT_FILE_H */
