/* SPDX-License-Identifier: MIT */
/** A copy of a session's weights and running statistics, to outlive it. */
#ifndef WEFT_TRAIN_SNAPSHOT_H
#define WEFT_TRAIN_SNAPSHOT_H

#include "weft/session.h"

struct weft_snapshot_value {
	char *name;
	void *data;
	size_t bytes;
};

struct weft_snapshot {
	struct weft_snapshot_value *value;
	size_t values;
};

/**
 * Copy every value of @session that an evaluation of @model needs, with what adapters have learned in the weights
 * beside which they stand; and the adapters themselves.  @trained: how the
 * session's graph was made.
 */
int weft_snapshot_take(struct weft_snapshot *snapshot, const struct weft_model *model, struct weft_session *session,
		       const struct weft_graph_options *trained);
/** A weft_read_value; @snapshot is a struct weft_snapshot. */
int weft_snapshot_read(void *snapshot, const char *name, void *data, size_t bytes);
void weft_snapshot_free(struct weft_snapshot *snapshot);

#endif /* WEFT_TRAIN_SNAPSHOT_H */
