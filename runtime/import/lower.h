/* SPDX-License-Identifier: MIT */
/**
 * Lowering: ONNX nodes to device operations, one node after another.
 *
 * A symbol is what an ONNX name stands for: a tensor known on the host
 * (constants, shapes and what follows from them), an initializer not yet used,
 * or a value of the graph.  Lowering functions ask for their inputs as host
 * tensors or as device operands and set their outputs; shapes are inferred on
 * the way, because every dimension is bound before the first node.
 */
#ifndef WEFT_IMPORT_LOWER_H
#define WEFT_IMPORT_LOWER_H

#include <search.h>

#include "compile/nodes.h"
#include "graph/build.h"
#include "import/model.h"

struct weft_integer;

struct weft_symbol {
	const char *name;		/* the model's */
	struct weft_integer *integer;	/* how integers make it (import/quantized.h), or NULL; owned */
	struct weft_host_tensor *known; /* owned */
	const Onnx__TensorProto *initializer;
	weft_id value;		 /* WEFT_NO_ID until it is needed on the device */
	uint32_t uses;		 /* node inputs and model outputs that name it */
	bool output;		 /* of the model */
	bool convolution_weight; /* stands as [KH, KW, C, OC] on the device */
	bool statistic;		 /* running mean or variance */
	bool image;		 /* a rank-3 input that stands with channels last */
};

struct weft_lower {
	const struct weft_model *model;
	const struct weft_graph_options *options;
	struct weft_graph *graph;
	struct weft_nodes nodes;     /* as passes have left them */
	const Onnx__NodeProto *node; /* the present one */
	const char *node_name;
	struct weft_symbol *symbol;
	uint32_t symbols, symbol_room;
	struct hsearch_data table;
	uint32_t dropouts; /* so far, for their seeds */
	uint64_t made_up;  /* bytes of constants that operators needed so far */
};

typedef int (*weft_lowering)(struct weft_lower *lower);

/** One operator; @since and @until are opset versions (of the model) that @lower understands. */
struct weft_operator {
	const char *name;
	uint8_t since, until;
	weft_lowering lower;
};
extern const struct weft_operator weft_operators[];
extern const unsigned int weft_operator_count;

/** Lower the present node as its operator says. */
int weft_lower_operator(struct weft_lower *lower);
/** Evaluate the present node on the host if all of its inputs are known; *done says whether. */
int weft_fold(struct weft_lower *lower, bool *done);

/* Attributes of the present node; the fallback where it has none of that name. */
const Onnx__AttributeProto *weft_attribute(const struct weft_lower *lower, const char *name);
int64_t weft_attribute_int(const struct weft_lower *lower, const char *name, int64_t fallback);
float weft_attribute_float(const struct weft_lower *lower, const char *name, float fallback);
/** *count is 0 where absent; -EINVAL if there are more than @room. */
int weft_attribute_ints(const struct weft_lower *lower, const char *name, unsigned int room, int64_t ints[],
			unsigned int *count);
/** Whether the string attribute is @text; @fallback where absent. */
bool weft_attribute_is(const struct weft_lower *lower, const char *name, const char *text, bool fallback);

/** -EINVAL or -EOPNOTSUPP with the node's name and operator before the sentence. */
#define weft_node_fail(lower, error, ...) weft_fail_in(weft_fail(error, __VA_ARGS__), "%s", weft_node_where(lower))
const char *weft_node_where(const struct weft_lower *lower);

/* Inputs of the present node. */
bool weft_has_input(const struct weft_lower *lower, unsigned int index);
bool weft_has_output(const struct weft_lower *lower, unsigned int index);
/** Whether anything reads output @index. */
bool weft_output_is_used(const struct weft_lower *lower, unsigned int index);
struct weft_symbol *weft_input_symbol(const struct weft_lower *lower, unsigned int index);
/** The symbol of a name of the model, or NULL. */
struct weft_symbol *weft_find_symbol(const struct weft_lower *lower, const char *name);
/** The host tensor of an input that must be known when the graph is made; NULL with a sentence. */
const struct weft_host_tensor *weft_input_known(struct weft_lower *lower, unsigned int index);
/** The same, but NULL without a sentence where it is not known. */
const struct weft_host_tensor *weft_input_maybe(struct weft_lower *lower, unsigned int index);
/** Integers of a known input. */
int weft_input_ints(struct weft_lower *lower, unsigned int index, unsigned int room, int64_t ints[],
		    unsigned int *count);
/** The input on the device, as its value stands. */
int weft_input(struct weft_lower *lower, unsigned int index, struct weft_operand *operand);
/** The same, with elements in row-major order (copied if need be). */
int weft_input_dense(struct weft_lower *lower, unsigned int index, struct weft_operand *operand);
/** The same, with dimension 1 innermost. */
int weft_input_image(struct weft_lower *lower, unsigned int index, struct weft_operand *operand);
/** Type and dims of an input, known or not, without putting it on the device. */
int weft_input_shape(struct weft_lower *lower, unsigned int index, struct weft_layout *layout);

/* Outputs of the present node. */
/** A new value with storage for output @index. */
int weft_output(struct weft_lower *lower, unsigned int index, const struct weft_layout *layout,
		struct weft_operand *operand);
/** Output @index is value @id, which exists. */
int weft_output_is(struct weft_lower *lower, unsigned int index, weft_id id);
/** Output @index is a view of @operand with @layout at @offset bytes from it. */
int weft_output_view(struct weft_lower *lower, unsigned int index, const struct weft_operand *operand, uint64_t offset,
		     const struct weft_layout *layout);
/** Output @index is known on the host; takes over @tensor. */
int weft_output_known(struct weft_lower *lower, unsigned int index, struct weft_host_tensor *tensor);

/* Pieces that lowering functions share. */
/** Copy @from, however it is strided, to a new value with the same dims and @layout's strides. */
int weft_lower_copy(struct weft_lower *lower, const struct weft_operand *from, const struct weft_layout *layout,
		    struct weft_operand *to);
/** A new value for something between a node's inputs and outputs. */
int weft_temporary(struct weft_lower *lower, const struct weft_layout *layout, struct weft_operand *operand);
/** Dense layout of @type and @dims, in the order of dimensions of @like where that has the same dims. */
struct weft_layout weft_layout_like(const struct weft_layout *like, uint8_t type, unsigned int rank,
				    const uint32_t dims[]);
/** An axis attribute as a dimension; negative counts from the end. */
int weft_axis(struct weft_lower *lower, int64_t axis, unsigned int rank, unsigned int *dim);
/** A reshape of @from to @dims: a view where possible, else a row-major copy. */
int weft_lower_reshape(struct weft_lower *lower, const struct weft_operand *from, unsigned int rank,
		       const uint32_t dims[], struct weft_operand *to);
/** Element-wise operation of broadcast operands; *out receives the value, named after output 0 where @final. */
int weft_lower_binary(struct weft_lower *lower, uint32_t function, const struct weft_operand *a,
		      const struct weft_operand *b, bool final, struct weft_operand *out);
int weft_lower_unary(struct weft_lower *lower, const union weft_params *params, const struct weft_operand *x,
		     bool final, struct weft_operand *out);
/** Whether the value of input @index may take an epilogue: made by one whole operation, read by this node only. */
bool weft_input_is_private(const struct weft_lower *lower, unsigned int index, weft_id *producer);
/** A view of @whole from @start on with @dims. */
int weft_lower_part(struct weft_lower *lower, const struct weft_operand *whole, const uint32_t start[],
		    const uint32_t dims[], struct weft_operand *part);
/** A new value of @dims with @x from @before on and the element @bits around it. */
int weft_lower_enclose(struct weft_lower *lower, const struct weft_operand *x, const uint32_t before[],
		       const uint32_t dims[], uint64_t bits, struct weft_operand *whole);
/** Give the value the name of output 0, which it now is. */
int weft_output_rename(struct weft_lower *lower, weft_id id);

#endif /* WEFT_IMPORT_LOWER_H */
