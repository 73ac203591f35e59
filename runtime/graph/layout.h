/* SPDX-License-Identifier: MIT */
/** Arithmetic on layouts beyond what graph.h offers; within the runtime. */
#ifndef WEFT_GRAPH_LAYOUT_H
#define WEFT_GRAPH_LAYOUT_H

#include "graph/graph.h"

/** Bits of one element, 0 for an unknown type. */
uint64_t weft_type_bits(unsigned int type);
/**
 * The bytes that @layout reaches, relative to element [0, 0, ...]: [*first, *end).
 * False on overflow, an unknown type, a rank too high or an extent of zero.
 */
bool weft_layout_range(const struct weft_layout *layout, int64_t *first, int64_t *end);
/** Same type, dims and, where an extent is above 1, strides. */
bool weft_layout_same(const struct weft_layout *a, const struct weft_layout *b);
bool weft_layout_same_dims(const struct weft_layout *a, const struct weft_layout *b);

#endif /* WEFT_GRAPH_LAYOUT_H */
