/* SPDX-License-Identifier: MIT */
#ifndef WEFT_AUTODIFF_LOSS_H
#define WEFT_AUTODIFF_LOSS_H

#include "graph/graph.h"
#include "weft/model.h"

/**
 * Make the graph end in a scalar loss over its first output, with an input for
 * the label: "label" i32 [batch] for cross-entropy, "target" like the output
 * for MSE and BCE.  A first output that is a scalar is the loss itself.
 * @tuning (NULL: all zero) holds the smoothing of cross-entropy's labels and what distillation needs.
 */
int weft_loss_append(struct weft_graph *graph, enum weft_loss loss, const struct weft_tuning *tuning);

/* Pieces. */
/** An input "label" i32 [@batch]. */
int weft_loss_add_label(struct weft_graph *graph, uint32_t batch);
int weft_loss_distill(struct weft_graph *graph, const struct weft_distillation *how);

#endif /* WEFT_AUTODIFF_LOSS_H */
