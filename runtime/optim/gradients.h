/* SPDX-License-Identifier: MIT */
/** What happens to the gradients of weights between autodiff and the updates. */
#ifndef WEFT_OPTIM_GRADIENTS_H
#define WEFT_OPTIM_GRADIENTS_H

#include "graph/build.h"

/** The gradient of a weight as one run of elements. */
struct weft_weight_gradient {
	weft_id weight;
	struct weft_operand gradient;
};

/** @operand, which must fill its range once, as a vector. */
struct weft_operand weft_operand_flat(const struct weft_operand *operand);

/** A persistent value of zeros like @weight, called "<weight>.@suffix". */
int weft_optimizer_state(struct weft_graph *graph, weft_id weight, const char *suffix, struct weft_operand *state);

/**
 * Sum gradients over steps: each becomes its sum so far, which a persistent value
 * "<weight>.sum" carries to the next step, times graph->carry.
 */
int weft_gradients_accumulate(struct weft_graph *graph, struct weft_weight_gradient gradient[], uint32_t count);

/**
 * Clip by the norm of all gradients together: @hyper receives hyperparameters
 * whose gradient scale is graph->hyper's times min(1, limit / (norm + 1e-6)),
 * the norm being that of the gradients after graph->hyper's scale.
 */
int weft_gradients_clip(struct weft_graph *graph, const struct weft_weight_gradient gradient[], uint32_t count,
			float limit, struct weft_operand *hyper);

#endif /* WEFT_OPTIM_GRADIENTS_H */
