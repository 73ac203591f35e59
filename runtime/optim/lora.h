/* SPDX-License-Identifier: MIT */
#ifndef WEFT_OPTIM_LORA_H
#define WEFT_OPTIM_LORA_H

#include "graph/graph.h"
#include "weft/model.h"

/**
 * Give matrix products with a weight an adapter of low rank (Hu et al., "LoRA:
 * low-rank adaptation of large language models", 2021): y = x W + bias becomes
 * y = (x W + bias) + alpha / rank * (x A) B, with A [rank, in] drawn uniformly
 * from 1 / sqrt(in) around 0 and B [out, rank] of zeros, both as they stand in
 * PyTorch's libraries.  A weight that something else reads too is left alone.
 * -EINVAL: no product is left.
 */
int weft_lora_append(struct weft_graph *graph, const struct weft_tuning *tuning);

/** Add what @adapter has learned to @weight, the contents of its weight in the order of the file. */
void weft_lora_merge(const struct weft_graph *graph, const struct weft_adapter *adapter, const float *a, const float *b,
		     float *weight);

#endif /* WEFT_OPTIM_LORA_H */
