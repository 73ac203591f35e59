/* SPDX-License-Identifier: MIT */
/** A small network and sessions on it, for tests. */
#ifndef SMALL_MODEL_H
#define SMALL_MODEL_H

#include "weft/model.h"
#include "weft/session.h"

#define SMALL_BATCH 6
#define SMALL_IN 5
#define SMALL_HIDDEN 7
#define SMALL_OUT 3

/** Two matrix products with a ReLU between them: first.weight, first.bias, second.weight, second.bias. */
struct weft_model *small_model(bool sigmoid_at_the_end);

/** A session on a device of its own; fails the test on any error. */
struct weft_session *small_session(const struct weft_model *model, const struct weft_graph_options *options);
void small_session_free(struct weft_session *session);
/** Fill the inputs with numbers that depend on @seed; labels are class indices, targets 0 or 1. */
void small_feed(struct weft_session *session, uint32_t seed);
/** Feed and run one step; returns the loss. */
float small_step(struct weft_session *session, uint32_t seed);
/** The contents of a persistent value or output. */
void small_read(struct weft_session *session, const char *name, float *data, size_t elements);

#endif /* SMALL_MODEL_H */
