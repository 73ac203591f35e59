/* SPDX-License-Identifier: MIT */
/** Options that say how a model becomes a graph. */
#ifndef WEFT_MODEL_OPTIONS_H
#define WEFT_MODEL_OPTIONS_H

#include <argp.h>
#include <stdint.h>

#include "weft/model.h"

struct model_options {
	const char **dim_name; /* owned, and each of them */
	int64_t *dim_value;    /* owned */
	uint32_t dims;
	const char **without_pass; /* owned */
	uint32_t without_passes;
};

/** --dim, --no-pass, --passes; its input is a struct model_options, all zero at first. */
extern const struct argp model_argp;
void model_options_free(struct model_options *options);
/** Set what the options say in @graph. */
void model_options_apply(const struct model_options *options, struct weft_graph_options *graph);

#endif /* WEFT_MODEL_OPTIONS_H */
