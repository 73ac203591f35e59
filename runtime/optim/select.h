/* SPDX-License-Identifier: MIT */
#ifndef WEFT_OPTIM_SELECT_H
#define WEFT_OPTIM_SELECT_H

#include "graph/graph.h"
#include "weft/model.h"

/** Mark as frozen the weights that @tuning does not train.  -EINVAL: a pattern matches no weight, or nothing is left.
 */
int weft_tuning_select(struct weft_graph *graph, const struct weft_tuning *tuning);

#endif /* WEFT_OPTIM_SELECT_H */
