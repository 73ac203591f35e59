/* SPDX-License-Identifier: MIT */
/** What is said about smaller batches where the budgets refuse a training step. */
#ifndef WEFT_MICRO_BATCHES_H
#define WEFT_MICRO_BATCHES_H

#include "weft/train.h"

#define MICRO_BATCHES_HELP "Where a step is refused, cut the batch into parts and sum up their gradients"

/** @result is that of the search for @found; nothing is said where there is nothing to say. */
void micro_batches_suggest(int result, const struct weft_micro_batches *found);
/** That they were chosen, as the user asked for. */
void micro_batches_chosen(const struct weft_micro_batches *found);

#endif /* WEFT_MICRO_BATCHES_H */
