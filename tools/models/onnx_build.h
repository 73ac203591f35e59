/* SPDX-License-Identifier: MIT */
/** Building small ONNX models, node by node. */
#ifndef WEFT_ONNX_BUILD_H
#define WEFT_ONNX_BUILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "import/onnx.pb-c.h"

struct onnx_build {
	Onnx__ModelProto *model;
	uint64_t random; /* state of the numbers that weights start from */
	bool failed;	 /* out of memory */
};

void onnx_build_begin(struct onnx_build *build, const char *name, uint64_t seed);
/** The model's input or output; a dimension of 0 is the batch, which stays open. */
void onnx_build_input(struct onnx_build *build, const char *name, size_t rank, const int64_t *dims);
void onnx_build_output(struct onnx_build *build, const char *name, size_t rank, const int64_t *dims);
/** An input of tokens, i64 [batch, tokens], both open. */
void onnx_build_tokens(struct onnx_build *build, const char *name);
/** A weight, uniform in [-bound, bound). */
void onnx_build_weight(struct onnx_build *build, const char *name, size_t rank, const int64_t *dims, float bound);
/** A node with one output; @inputs ends with NULL.  Returns it for attributes; NULL: out of memory. */
Onnx__NodeProto *onnx_build_node(struct onnx_build *build, const char *operator, const char * output,
				 const char *const *inputs);
void onnx_build_ints(struct onnx_build *build, Onnx__NodeProto *node, const char *name, size_t count,
		     const int64_t *values);
void onnx_build_int(struct onnx_build *build, Onnx__NodeProto *node, const char *name, int64_t value);
/** Write the file and free everything; 0 or -1, errno set. */
int onnx_build_end(struct onnx_build *build, const char *path);

#endif /* WEFT_ONNX_BUILD_H */
