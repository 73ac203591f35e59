/* SPDX-License-Identifier: MIT */
#ifndef WEFT_OPTIM_UPDATE_H
#define WEFT_OPTIM_UPDATE_H

#include "graph/graph.h"
#include "weft/model.h"

/**
 * Append one update per weight that has a gradient, each as early as it may be:
 * after the last operation that reads the weight or writes its gradient.  Adds
 * graph->hyper and the moments (STATE values of zeros), and what @tuning (may be
 * NULL) asks for between gradients and updates.
 */
int weft_optimizer_append(struct weft_graph *graph, enum weft_optimizer optimizer, bool nesterov,
			  const struct weft_tuning *tuning);

#endif /* WEFT_OPTIM_UPDATE_H */
