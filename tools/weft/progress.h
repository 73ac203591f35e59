/* SPDX-License-Identifier: MIT */
/** Progress of training: a bar on a terminal, plain lines elsewhere; always on standard error. */
#ifndef WEFT_PROGRESS_H
#define WEFT_PROGRESS_H

#include "weft/train.h"

struct progress {
	bool terminal, quiet;
	double shown;	    /* when the bar was last drawn */
	uint64_t run_total; /* steps of this run, 0: not known yet */
	uint64_t next_line; /* plain: the step of an epoch at which the next line is due */
};

void progress_init(struct progress *progress, bool quiet);
void progress_step(struct progress *progress, const struct weft_train_progress *now);
void progress_epoch(struct progress *progress, const struct weft_train_progress *now);
/** Take the bar away, so that other text can be printed. */
void progress_clear(struct progress *progress);

#endif /* WEFT_PROGRESS_H */
