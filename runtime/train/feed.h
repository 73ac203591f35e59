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
	float *images;	 /* the session's staging memory */
	int32_t *labels; /* the session's, or own_labels where the graph has no label input */
	int32_t *own_labels;
	uint64_t *index;
};

/** Check that @dataset fits the session's graph and find where inputs go. */
int weft_feed_init(struct weft_feed *feed, struct weft_session *session, struct weft_dataset *dataset);
void weft_feed_done(struct weft_feed *feed);
/** Fill the inputs with examples feed->index[0..batch). */
int weft_feed_fill(struct weft_feed *feed);

#endif /* WEFT_TRAIN_FEED_H */
