/* SPDX-License-Identifier: MIT */
/** The nodes of a model as passes see and replace them; the model itself stays as it is. */
#ifndef WEFT_COMPILE_NODES_H
#define WEFT_COMPILE_NODES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "import/onnx.pb-c.h"

struct weft_nodes {
	const Onnx__GraphProto *graph;
	int64_t opset;
	Onnx__NodeProto **node; /* NULL: dropped */
	size_t count;
	Onnx__NodeProto **made; /* owned: those that passes have made */
	size_t mades;
	/* By name, of values that nodes make or read. */
	struct weft_name *name;
	size_t names;
};

int weft_nodes_init(struct weft_nodes *nodes, const Onnx__GraphProto *graph, int64_t opset);
void weft_nodes_free(struct weft_nodes *nodes);

#define WEFT_NO_NODE SIZE_MAX
/** The node that makes value @name; WEFT_NO_NODE where none does. */
size_t weft_node_of(const struct weft_nodes *nodes, const char *name);
/** The node that makes input @input of node @at, if it is operator @op, which makes nothing that @readers others read.
 */
size_t weft_node_before(const struct weft_nodes *nodes, size_t at, unsigned int input, const char *op,
			unsigned int readers);
bool weft_node_is(const struct weft_nodes *nodes, size_t at, const char *op);
/** Input @input of node @at; "" where there is none. */
const char *weft_node_input(const struct weft_nodes *nodes, size_t at, unsigned int input);
/** Whether value @name is one number, and which: an initializer or Constant of one element that is no weight. */
bool weft_node_number(const struct weft_nodes *nodes, const char *name, double *number);
/** The same, where input @input of a node with two inputs is the number; *other is the other input's index. */
bool weft_node_with_number(const struct weft_nodes *nodes, size_t at, double wanted, unsigned int *other);
/** Whether two numbers are the same but for what rounding to single precision does. */
bool weft_node_near(double a, double b);

/** An attribute's integers; @count is 0 where there is none. */
const int64_t *weft_node_ints(const struct weft_nodes *nodes, size_t at, const char *name, size_t *count);
int64_t weft_node_int(const struct weft_nodes *nodes, size_t at, const char *name, int64_t fallback);

/**
 * Replace node @last, which ends a pattern, by @op with these inputs; the others
 * of the pattern, @part, are dropped.  *made receives the node, for attributes.
 */
int weft_nodes_replace(struct weft_nodes *nodes, size_t last, const char *op, unsigned int inputs,
		       const char *const input[], unsigned int parts, const size_t part[], Onnx__NodeProto **made);
/** Drop node @at, which makes one value, where nothing reads that any more. */
void weft_nodes_drop_unread(struct weft_nodes *nodes, size_t at);
int weft_node_set_float(Onnx__NodeProto *node, const char *name, float value);
int weft_node_set_int(Onnx__NodeProto *node, const char *name, int64_t value);
int weft_node_set_text(Onnx__NodeProto *node, const char *name, const char *value);

#endif /* WEFT_COMPILE_NODES_H */
