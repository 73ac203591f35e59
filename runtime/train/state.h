/* SPDX-License-Identifier: MIT */
/** Where training stands, as text inside a checkpoint, and the file of metrics. */
#ifndef WEFT_TRAIN_STATE_H
#define WEFT_TRAIN_STATE_H

#include "weft/train.h"

struct weft_train_state {
	uint32_t epoch;	     /* epochs that are complete */
	uint64_t epoch_step; /* steps of the next one that are done */
	double loss_sum;     /* over those steps */
	double last_loss;    /* mean of the last complete epoch */
	/* The evaluation with the lowest loss so far; best_step is 0 before the first. */
	uint64_t best_step;
	double best_loss, best_accuracy;
	char best_sha256[65];
	uint32_t waited; /* evaluations since then */
};

/** The text for @state under @options; to be freed.  NULL: out of memory. */
char *weft_train_state_write(const struct weft_train_options *options, const struct weft_train_state *state);
/** Read it back; -EINVAL names the option that differs from those the checkpoint was made with. */
int weft_train_state_read(const char *text, size_t bytes, const struct weft_train_options *options,
			  struct weft_train_state *state);

/** Keep the lines of evaluations before @step is done, drop the rest and what a kill left half written. */
int weft_metrics_trim(const char *path, uint64_t step);
int weft_metrics_append(const char *path, const struct weft_train_progress *progress);

#endif /* WEFT_TRAIN_STATE_H */
