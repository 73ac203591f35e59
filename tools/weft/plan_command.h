/* SPDX-License-Identifier: MIT */
/** The two things that weft plan plans. */
#ifndef WEFT_PLAN_COMMAND_H
#define WEFT_PLAN_COMMAND_H

#include "command.h"
#include "model_options.h"
#include "tuning.h"

struct plan_arguments {
	struct budget_options budget;
	struct tuning_options tuning;
	struct model_options model;
	const char *instance, *timeline;
	const char *sweep; /* SVG over all budgets; NULL: none */
	bool train, micro_batches, json;
	uint64_t ram_bytes;
	double time_ratio;
};

/** Each returns an exit status. */
int plan_model(const struct plan_arguments *arguments);
int plan_sweep(const struct plan_arguments *arguments); /* of a model */
int plan_instance(const struct plan_arguments *arguments);

#endif /* WEFT_PLAN_COMMAND_H */
