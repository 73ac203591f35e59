/* SPDX-License-Identifier: MIT */
/** Options that say what is trained, by which loss, and how gradients become updates. */
#ifndef WEFT_TUNING_H
#define WEFT_TUNING_H

#include <argp.h>
#include "weft/model.h"

struct tuning_options {
	enum weft_loss loss;
	enum weft_optimizer optimizer;
	struct weft_tuning tuning;
	char *lora_pattern;	      /* owned; tuning.lora_pattern */
	const char **train, **freeze; /* owned; tuning.train and tuning.freeze */
};

/**
 * --optim, --loss, --freeze, --train-weights, --lora, --accumulate, --clip-norm, --label-smoothing;
 * its input is a struct tuning_options.
 */
extern const struct argp tuning_argp;
void tuning_defaults(struct tuning_options *options);
void tuning_free(struct tuning_options *options);
/** The value of --loss. */
enum weft_loss tuning_loss(struct argp_state *state, const char *text);
/** One more pattern of weights to train. */
void tuning_train(struct argp_state *state, struct tuning_options *options, const char *pattern);

#endif /* WEFT_TUNING_H */
