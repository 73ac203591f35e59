/* SPDX-License-Identifier: MIT */
/**
 * The graph: one training or inference step as device operations on values.
 *
 * Importers lower a model's operators to device operations (those of
 * <weft_isa.h>, with the same parameters); autodiff appends the backward ones;
 * optimizers append the updates.  Operations stand in a valid order of
 * execution.  The planner decides where values live and when they move or are
 * recomputed; the executor turns the result into command streams.
 *
 * Values are immutable once produced, except persistent ones (weights,
 * optimizer state, running statistics), each element of which at most one operation
 * of a step updates, after all other readers ("updates" below): one for the whole
 * value, or several for views of it, from its first byte to its last.
 *
 * A base may also be produced in pieces: by several operations that each write a
 * disjoint view of it (concatenation, an operation that was split).  It is whole
 * after the last of them, and is recomputed by running all of them again.
 *
 * A value is either a tensor of its own or a view: the same bytes as its base
 * value with other dims, strides and offset.  Only bases have storage.
 *
 * A base may stand in pieces that are values of their own (plan/tile.h): then it
 * has no storage, and no operation touches it, only its pieces.
 */
#ifndef WEFT_GRAPH_GRAPH_H
#define WEFT_GRAPH_GRAPH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <weft_isa.h>

/** Index of a value or operation in its graph. */
typedef uint32_t weft_id;
#define WEFT_NO_ID UINT32_MAX

enum weft_value_kind {
	WEFT_VALUE_ACTIVATION, /* produced by an operation, gone after the step */
	WEFT_VALUE_INPUT, /* filled by the host before each step */
	WEFT_VALUE_CONSTANT, /* contents fixed, in weft_value.data; from the model file */
	WEFT_VALUE_WEIGHT, /* trainable, persistent */
	WEFT_VALUE_STATE, /* optimizer moments, running statistics: persistent, not trainable */
	WEFT_VALUE_STEP, /* small per-step parameters (hyperparameters, counters) filled by the host */
};

/** How one value stands in memory. */
struct weft_layout {
	uint8_t type; /* enum weft_type */
	uint8_t rank;
	uint32_t dims[WEFT_MAX_RANK]; /* logical order, as in ONNX (N, C, H, W) */
	int32_t strides[WEFT_MAX_RANK]; /* elements; an image tensor has stride 1 on C (NHWC) */
};

/**
 * How a dense value is cut into pieces.  Its elements, in the order of memory, are
 * an array of @axes dimensions, outermost first; pieces are its boxes of @block
 * elements along each (fewer at the ends), each dense in the same order.  Pieces
 * are counted row by row.
 */
struct weft_grid {
	uint8_t axes;
	uint32_t extent[WEFT_MAX_RANK];
	uint32_t block[WEFT_MAX_RANK];
};

struct weft_value {
	char *name; /* from the model, or made up; unique; owned */
	enum weft_value_kind kind;
	struct weft_layout layout;
	weft_id base; /* this value's own id, or the value it is a view of (never itself a view) */
	uint64_t offset; /* view: bytes from the base's first byte to element 0 */
	uint64_t bytes; /* of the base's storage; 0 for views */
	weft_id producer; /* operation, or WEFT_NO_ID */
	weft_id gradient; /* value that holds d loss / d this, or WEFT_NO_ID */
	bool backward; /* made by autodiff */
	bool output; /* the host reads it after the step (loss, logits) */
	bool frozen; /* a weight that is not to be trained */
	struct weft_grid *grid; /* base: it stands in pieces so; NULL: in one.  Owned. */
	weft_id piece; /* with a grid: the first of its pieces, which have ids in a row */
	uint32_t pieces;
	weft_id whole; /* the value that this one is a piece of, or WEFT_NO_ID */
	void *data; /* WEIGHT, STATE, CONSTANT: initial contents in the base's layout; owned */
	/* How the weight stood in the model file, so that it can be written back. */
	uint8_t file_rank;
	uint32_t file_dims[WEFT_MAX_RANK];
	uint8_t file_order[WEFT_MAX_RANK]; /* file dimension i is our logical dimension file_order[i] */
};

enum weft_phase { WEFT_PHASE_FORWARD, WEFT_PHASE_BACKWARD, WEFT_PHASE_UPDATE };

struct weft_operation {
	char *name; /* of the model's node, with a suffix where it became several; owned */
	uint16_t opcode; /* enum weft_op */
	uint8_t phase; /* enum weft_phase */
	uint8_t inputs; /* operands [0, inputs) are read */
	uint8_t operands; /* operands [inputs, operands) are written */
	/**
	 * Bit i: operand i, an output slot, is a persistent value that is read and
	 * written (optimizer updates, running statistics), or an accumulator that
	 * must already hold a value (WEFT_F_ACCUMULATE).
	 */
	uint16_t updates;
	/**
	 * Bit i: output operand i may be given the storage of input operand
	 * in_place[i], if that input's base has no later reader.
	 */
	uint16_t may_in_place;
	uint8_t in_place[WEFT_MAX_OPERANDS];
	bool constant; /* its results count as constants: no gradient flows through it */
	bool recomputable; /* may run again with the same result (no updates) */
	union weft_params params;
	weft_id operand[WEFT_MAX_OPERANDS]; /* WEFT_NO_ID: optional operand absent */
	int32_t zero_point[WEFT_MAX_OPERANDS]; /* of quantized operands (struct weft_tensor) */
	/** Value layouts as this operation wants to see them where they differ from weft_value.layout, e.g. NCHW dims shown as NHWC; NULL if none do. Owned. */
	struct weft_layout *view[WEFT_MAX_OPERANDS];
};

/** A weight [in, out] that matrices of low rank stand beside: it counts as weight + scale * (B A)'. */
struct weft_adapter {
	weft_id weight;
	weft_id a, b; /* [rank, in], [out, rank] */
	float scale;
	bool out_first; /* the file has the weight as [out, in] */
};

struct weft_graph {
	char *name;
	struct weft_value *value;
	uint32_t values, value_room;
	struct weft_operation *operation;
	uint32_t operations, operation_room;
	weft_id *input; /* model inputs, in the model's order, then the label if there is one */
	uint32_t inputs;
	weft_id *model_output; /* as the model lists them (logits first) */
	uint32_t model_outputs;
	weft_id label; /* INPUT, i32 [batch] or as the loss wants it; WEFT_NO_ID for inference */
	weft_id loss; /* scalar f32, or WEFT_NO_ID */
	weft_id hyper; /* STEP f32 [8], enum weft_hyper, or WEFT_NO_ID */
	weft_id carry; /* STEP f32 [1]: 1 while gradients are summed up over steps, 0 in the step that applies them; or WEFT_NO_ID */
	uint32_t accumulate; /* steps whose gradients make one update; 0 and 1: each step's own */
	weft_id counter; /* STEP i64 [2] for RANDOM and DROPOUT, or WEFT_NO_ID */
	struct weft_adapter *adapter; /* owned */
	uint32_t adapters;
	uint32_t batch;
	bool training;
};

/*
 * All functions return 0 or a negative errno value and leave the sentence in
 * weft_error() (weft/error.h); a graph that an append failed on is still valid.
 */
struct weft_graph *weft_graph_new(const char *name);
void weft_graph_free(struct weft_graph *graph);

/** Dense row-major strides for @layout's dims. */
void weft_layout_dense(struct weft_layout *layout);
/** Dense strides with dimension 1 innermost (NHWC for NCHW dims; rank 3 likewise); rank < 3 is row-major. */
void weft_layout_channels_last(struct weft_layout *layout);
/** Bytes from the first to one past the last byte that the layout reaches (no negative strides), 0 on overflow. */
uint64_t weft_layout_bytes(const struct weft_layout *layout);
uint64_t weft_layout_elements(const struct weft_layout *layout);

/** Append a value with storage of its own (bytes follow from @layout).  @id receives its index. */
int weft_graph_add_value(struct weft_graph *graph, const char *name, enum weft_value_kind kind, const struct weft_layout *layout, weft_id *id);
/** Cut @value, a dense base that no operation touches, into pieces, which are appended as values named "NAME/1"... */
int weft_graph_add_pieces(struct weft_graph *graph, weft_id value, const struct weft_grid *grid);
/** Pieces of @grid, 0 if there are too many. */
uint32_t weft_grid_pieces(const struct weft_grid *grid);
/** First element and extents of piece @index along each axis. */
void weft_grid_box(const struct weft_grid *grid, uint32_t index, uint32_t origin[], uint32_t extent[]);
/** Move piece @index between its own memory and that of the whole value; elements of @size bytes. */
void weft_grid_copy(const struct weft_grid *grid, uint32_t index, size_t size, void *whole, void *piece, bool gather);
/** Append a view of @of (which may be a view itself) at @offset bytes. */
int weft_graph_add_view(struct weft_graph *graph, const char *name, weft_id of, uint64_t offset, const struct weft_layout *layout, weft_id *id);
/**
 * Append an operation; @operand has @operands ids (WEFT_NO_ID for absent).
 * Marks recomputable, sets producers.  Checks ids and the opcode's slots.
 */
int weft_graph_add_operation(struct weft_graph *graph, const char *name, uint16_t opcode, const union weft_params *params, unsigned int inputs, unsigned int operands, const weft_id *operand, weft_id *id);
/** Allow output slot @output to take over the storage of input slot @input. */
void weft_operation_allow_in_place(struct weft_operation *operation, unsigned int output, unsigned int input);
/** Show operand slot @slot to the device with @layout instead of its value's own. */
int weft_operation_set_view(struct weft_operation *operation, unsigned int slot, const struct weft_layout *layout);

/** Every rule of this header; a graph that passes can be planned and executed.  -EINVAL with a sentence. */
int weft_graph_check(const struct weft_graph *graph);

/**
 * The command for @operation.  address[i] is the device address of operand i's
 * base.  @command has room for WEFT_CMD_MAX_BYTES; semaphores are left empty.
 */
void weft_operation_command(const struct weft_graph *graph, const struct weft_operation *operation, const uint64_t address[], struct weft_cmd *command);

#endif /* WEFT_GRAPH_GRAPH_H */
