// SPDX-License-Identifier: MIT
#include "tuning.h"

#include <stdlib.h>
#include <string.h>

#include "command.h"

static const struct argp_option options[] = {
	{"optim", KEY_OPTIM, "NAME", 0, "sgd, adam or adamw (default: adam)", 15},
	{"freeze", KEY_FREEZE, "PATTERN", 0,
	 "Leave weights as they are whose names match, as a shell matches file names; may be given again", 15},
	{"train-weights", KEY_TRAIN_WEIGHTS, "PATTERN", 0, "Train only weights that match; may be given again", 15},
	{"lora", KEY_LORA, "RANK[:ALPHA][:PATTERN]", 0,
	 "Adapters of this rank beside the weights of matrix products; besides them only what --train-weights names is "
	 "trained (default: ALPHA is RANK, every product)",
	 15},
	{"loss", KEY_LOSS, "NAME", 0,
	 "cross-entropy, mse or bce (default: cross-entropy); a scalar output of the model's own goes first", 15},
	{"label-smoothing", KEY_LABEL_SMOOTHING, "F", 0, "Spread this share of each target over all classes", 15},
	{"clip-norm", KEY_CLIP_NORM, "F", 0, "Scale gradients down to a global norm of F", 15},
	{"accumulate", KEY_ACCUMULATE, "N", 0, "Sum the gradients of N steps for one update", 15},
	{0},
};

static void add_pattern(struct argp_state *state, const char ***list, uint32_t *count, const char *pattern)
{
	const char **more = reallocarray(*list, *count + 1, sizeof(*more));

	if (!more) {
		argp_failure(state, STATUS_FAILED, 0, "out of memory");
		return;
	}
	more[(*count)++] = pattern;
	*list = more;
}

void tuning_train(struct argp_state *state, struct tuning_options *options, const char *pattern)
{
	add_pattern(state, &options->train, &options->tuning.trains, pattern);
	options->tuning.train = options->train;
}

enum weft_loss tuning_loss(struct argp_state *state, const char *text)
{
	static const char *const name[] = {
		[WEFT_LOSS_CROSS_ENTROPY] = "cross-entropy", [WEFT_LOSS_MSE] = "mse", [WEFT_LOSS_BCE] = "bce"};

	for (size_t i = WEFT_LOSS_CROSS_ENTROPY; i < sizeof(name) / sizeof(name[0]); i++)
		if (!strcmp(name[i], text))
			return (enum weft_loss)i;
	argp_error(state, "--loss %s: expected cross-entropy, mse or bce", text);
	return WEFT_LOSS_CROSS_ENTROPY;
}

/* RANK[:ALPHA][:PATTERN]: what follows the rank is alpha if it is a number. */
static void parse_lora(struct argp_state *state, const char *text, struct tuning_options *tuning)
{
	char *copy = strdup(text), *rest, *end;
	double alpha;

	if (!copy) {
		argp_failure(state, STATUS_FAILED, 0, "out of memory");
		return;
	}
	rest = strchr(copy, ':');
	if (rest)
		*rest++ = '\0';
	tuning->tuning.lora_rank = (uint32_t)argument_whole(state, "--lora", copy, 1, 1 << 16);
	tuning->tuning.lora_alpha = 0;
	if (rest) {
		alpha = strtod(rest, &end);
		if (end != rest && (*end == ':' || !*end)) {
			if (!(alpha > 0) || alpha > 1e6)
				argp_error(state, "--lora %s: ALPHA is a number above 0, up to 1e6", text);
			tuning->tuning.lora_alpha = (float)alpha;
			rest = *end ? end + 1 : NULL;
		}
	}
	free(tuning->lora_pattern);
	tuning->lora_pattern = rest ? strdup(rest) : NULL;
	tuning->tuning.lora_pattern = tuning->lora_pattern;
	free(copy);
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct tuning_options *tuning = state->input;

	switch (key) {
	case KEY_OPTIM:
		tuning->optimizer = argument_optimizer(state, arg);
		return 0;
	case KEY_FREEZE:
		add_pattern(state, &tuning->freeze, &tuning->tuning.freezes, arg);
		tuning->tuning.freeze = tuning->freeze;
		return 0;
	case KEY_TRAIN_WEIGHTS:
		tuning_train(state, tuning, arg);
		return 0;
	case KEY_LORA:
		parse_lora(state, arg, tuning);
		return 0;
	case KEY_LOSS:
		tuning->loss = tuning_loss(state, arg);
		return 0;
	case KEY_LABEL_SMOOTHING:
		tuning->tuning.label_smoothing = (float)argument_number(state, "--label-smoothing", arg, 0, 0.999);
		return 0;
	case KEY_CLIP_NORM:
		tuning->tuning.clip_norm = (float)argument_number(state, "--clip-norm", arg, 1e-30, 1e30);
		return 0;
	case KEY_ACCUMULATE:
		tuning->tuning.accumulate = (uint32_t)argument_whole(state, "--accumulate", arg, 1, 1 << 20);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

const struct argp tuning_argp = {options, parse, NULL, NULL, NULL, NULL, NULL};

void tuning_defaults(struct tuning_options *tuning)
{
	memset(tuning, 0, sizeof(*tuning));
	tuning->loss = WEFT_LOSS_CROSS_ENTROPY;
	tuning->optimizer = WEFT_OPTIMIZER_ADAM;
}

void tuning_free(struct tuning_options *tuning)
{
	free(tuning->lora_pattern);
	free(tuning->train);
	free(tuning->freeze);
}
