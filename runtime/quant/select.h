/* SPDX-License-Identifier: MIT */
/** The activations that are quantized. */
#ifndef WEFT_QUANT_SELECT_H
#define WEFT_QUANT_SELECT_H

#include "quant/quant.h"

struct weft_selection {
	struct weft_calibrated *activation;
	uint32_t count;
};

int weft_quant_select(const Onnx__GraphProto *graph, struct weft_selection *selection);
void weft_quant_selection_free(struct weft_selection *selection);
struct weft_calibrated *weft_quant_find(const struct weft_selection *selection, const char *name);
/** What moves elements keeps their scale: ranges go on from inputs to outputs, in the order of nodes. */
void weft_quant_share_ranges(const Onnx__GraphProto *graph, struct weft_selection *selection);

/** Whether the node only moves or picks elements. */
bool weft_quant_moves(const Onnx__NodeProto *node);
/** Its first inputs that are read as integers; 0: the node stays as it is. */
unsigned int weft_quant_reads(const Onnx__GraphProto *graph, const Onnx__NodeProto *node);

#endif /* WEFT_QUANT_SELECT_H */
