/* SPDX-License-Identifier: MIT */
/** Options that say which model, and how it becomes a graph. */
#ifndef WEFT_MODEL_OPTIONS_H
#define WEFT_MODEL_OPTIONS_H

#include <argp.h>
#include <stdint.h>

#include "weft/model.h"

struct model_options {
	const char *path; /* NULL: none was given */
	uint32_t batch;
	const char **dim_name; /* owned, and each of them */
	int64_t *dim_value;    /* owned */
	uint32_t dims;
	const char **without_pass; /* owned */
	uint32_t without_passes;
};

/**
 * The one file, --batch, --dim, --no-pass, --passes; its input is a struct model_options,
 * at first all zero but for the batch.
 */
extern const struct argp model_argp;
/** At the end of arguments: a model must have been given. */
void model_required(struct argp_state *state, const struct model_options *options);
void model_options_free(struct model_options *options);
/** Set what the options say in @graph, the batch too. */
void model_options_apply(const struct model_options *options, struct weft_graph_options *graph);

#endif /* WEFT_MODEL_OPTIONS_H */
