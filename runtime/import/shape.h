/* SPDX-License-Identifier: MIT */
/** New dimensions that a node gives its first input: shared by host evaluation and lowering. */
#ifndef WEFT_IMPORT_SHAPE_H
#define WEFT_IMPORT_SHAPE_H

#include "import/lower.h"

struct weft_shape {
	unsigned int rank;
	uint32_t dims[WEFT_MAX_RANK];
};

/** Slice: along each dimension, @start + i * @step for i below shape.dims. */
struct weft_slices {
	struct weft_shape shape;
	int64_t start[WEFT_MAX_RANK];
	int64_t step[WEFT_MAX_RANK];
};

/** Reshape, Flatten, Squeeze, Unsqueeze; @in is the first input's. -ENOENT: the node is none of them. */
int weft_shape_of_node(struct weft_lower *lower, const struct weft_layout *in, struct weft_shape *shape);
int weft_shape_slices(struct weft_lower *lower, const struct weft_layout *in, struct weft_slices *slices);
/** Transpose's order of dimensions. */
int weft_shape_transpose(struct weft_lower *lower, unsigned int rank, uint8_t order[]);
/** Both broadcast together, as NumPy does. */
int weft_shape_broadcast(struct weft_lower *lower, const struct weft_layout *a, const struct weft_layout *b,
			 struct weft_shape *shape);
/** Expand's and ConstantOfShape's shape input. */
int weft_shape_input(struct weft_lower *lower, unsigned int index, struct weft_shape *shape);
/** Axes of a node, as an attribute before @since and as input @index from then on; all flags false if absent. */
int weft_shape_axes(struct weft_lower *lower, unsigned int index, int64_t since, unsigned int rank,
		    bool axes[WEFT_MAX_RANK], bool *given);

/** Most outputs of a Split. */
#define WEFT_SPLIT_MOST 256
/** Split's axis, and the extent of each output along it; they add up to the input's. */
int weft_shape_split(struct weft_lower *lower, const struct weft_layout *in, unsigned int *axis, int64_t sizes[]);

#endif /* WEFT_IMPORT_SHAPE_H */
