/* SPDX-License-Identifier: MIT */
/** Changing a parsed model: nodes and initializers found, added and removed. */
#ifndef WEFT_QUANT_EDIT_H
#define WEFT_QUANT_EDIT_H

#include "import/model.h"

/** The index of the initializer with this name, or -1. */
ptrdiff_t weft_edit_initializer(const Onnx__GraphProto *graph, const char *name);
/** The node that makes @name, or -1. */
ptrdiff_t weft_edit_producer(const Onnx__GraphProto *graph, const char *name);
/** Inputs of nodes and outputs of the graph that read @name; *last receives the last such node. */
unsigned int weft_edit_uses(const Onnx__GraphProto *graph, const char *name, ptrdiff_t *last);
bool weft_edit_is_output(const Onnx__GraphProto *graph, const char *name);
bool weft_edit_is_input(const Onnx__GraphProto *graph, const char *name);
const Onnx__AttributeProto *weft_edit_attribute(const Onnx__NodeProto *node, const char *name);
int64_t weft_edit_int(const Onnx__NodeProto *node, const char *name, int64_t fallback);
double weft_edit_float(const Onnx__NodeProto *node, const char *name, double fallback);

/** A node of its own; inputs are copied.  NULL: no memory. */
Onnx__NodeProto *weft_edit_node(const char *operator, unsigned int inputs, const char *const input[],
				const char *output);
int weft_edit_set_int(Onnx__NodeProto *node, const char *name, int64_t value);
/** Replace input @index. */
int weft_edit_set_input(Onnx__NodeProto *node, unsigned int index, const char *name);
/** Append an input. */
int weft_edit_add_input(Onnx__NodeProto *node, const char *name);
/** Remove node @index. */
void weft_edit_remove_node(Onnx__GraphProto *graph, size_t index);
/** Rename what graph nodes read as @from to @to, but for those in [0, @first). */
int weft_edit_rename_uses(Onnx__GraphProto *graph, size_t first, const char *from, const char *to);

/** Append an initializer of raw data; @type is of ONNX's TensorProto.DataType. */
int weft_edit_add_initializer(Onnx__GraphProto *graph, const char *name, int32_t type, unsigned int rank,
			      const uint32_t dims[], const void *data, size_t bytes);
/** Replace initializer @index's contents by floats. */
int weft_edit_set_floats(Onnx__TensorProto *tensor, const float *data, size_t elements);
/** Remove initializers that nothing reads, and graph inputs of their names. */
void weft_edit_remove_unused(Onnx__GraphProto *graph);
/** Remove what only describes: shapes of values between nodes, texts. */
void weft_edit_remove_notes(Onnx__GraphProto *graph);
/** Give values between nodes short names, as "~v7": exporters' count in the size of a small model.  Nodes keep theirs. */
int weft_edit_shorten_names(Onnx__GraphProto *graph);
/** Append an output of unknown shape. */
int weft_edit_add_output(Onnx__GraphProto *graph, const char *name);

/** A copy of the model. */
int weft_edit_copy(const struct weft_model *model, struct weft_model **copy);

#endif /* WEFT_QUANT_EDIT_H */
