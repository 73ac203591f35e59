/* SPDX-License-Identifier: MIT */
#ifndef WEFT_AUTODIFF_LOSS_H
#define WEFT_AUTODIFF_LOSS_H

#include "graph/graph.h"
#include "weft/model.h"

/**
 * Make the graph end in a scalar loss over its first output, with an input for
 * the label: "label" i32 [batch] for cross-entropy, "target" like the output
 * for MSE and BCE.  A first output that is a scalar is the loss itself.
 * @smoothing is of cross-entropy's labels.
 */
int weft_loss_append(struct weft_graph *graph, enum weft_loss loss, float smoothing);

#endif /* WEFT_AUTODIFF_LOSS_H */
