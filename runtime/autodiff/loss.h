/* SPDX-License-Identifier: MIT */
#ifndef WEFT_AUTODIFF_LOSS_H
#define WEFT_AUTODIFF_LOSS_H

#include "graph/graph.h"
#include "weft/model.h"

/**
 * Make the graph end in a scalar loss over its first output, with an input for
 * the label: "label" i32 [batch] for cross-entropy, "target" like the output
 * for MSE.  A first output that is a scalar is the loss itself.
 */
int weft_loss_append(struct weft_graph *graph, enum weft_loss loss);

#endif /* WEFT_AUTODIFF_LOSS_H */
