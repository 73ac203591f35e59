/* SPDX-License-Identifier: MIT */
/** Examples of a data set as inputs of a session. */
#ifndef WEFT_TRAIN_FEED_H
#define WEFT_TRAIN_FEED_H

#include "weft/data.h"
#include "weft/session.h"

struct weft_feed {
	struct weft_session *session;
	struct weft_dataset *dataset;
	uint32_t batch;
	bool channels_last;
	const struct weft_augmentation *augmentation; /* NULL: none; the caller's */
	float *images;				      /* the session's staging memory */
	struct weft_text_input *text;		      /* inputs of a model of text; then images is NULL */
	uint32_t texts;
	int64_t *tokens;   /* of a batch */
	int64_t *features; /* besides tokens; NULL: the data set has none */
	uint32_t *used;
	int32_t *labels; /* the session's, or own_labels where the graph has no label input */
	int32_t *own_labels;
	const struct weft_value *target; /* a loss with numbers as targets: the value, else NULL */
	float *targets;			 /* its staging memory */
	uint64_t *index;
};

/** Check that @dataset fits the session's graph and find where inputs go. */
int weft_feed_init(struct weft_feed *feed, struct weft_session *session, struct weft_dataset *dataset);
void weft_feed_done(struct weft_feed *feed);
/**
 * Fill the inputs with examples feed->index[0..batch).  A target of several numbers an example is 1 for the label's
 * class and 0 for the others; one of a single number is the label.
 */
int weft_feed_fill(struct weft_feed *feed);

#endif /* WEFT_TRAIN_FEED_H */
