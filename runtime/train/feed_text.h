/* SPDX-License-Identifier: MIT */
/** Texts as inputs of a session. */
#ifndef WEFT_TRAIN_FEED_TEXT_H
#define WEFT_TRAIN_FEED_TEXT_H

#include "feed.h"
#include "graph/graph.h"

/**
 * Inputs of [batch, sequence].  By name: those with "mask" are 1 at tokens of the
 * text and 0 where it is filled up; those with "type" or "segment" are 0; those
 * with "position" count from 0; the one that is left takes the tokens.
 */
int weft_feed_init_text(struct weft_feed *feed, const struct weft_graph *graph, const struct weft_dataset_info *info);
int weft_feed_fill_text(struct weft_feed *feed);

#endif /* WEFT_TRAIN_FEED_TEXT_H */
