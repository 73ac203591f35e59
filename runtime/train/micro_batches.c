// SPDX-License-Identifier: MIT
/*
 * What is left when nothing else fits: smaller batches whose gradients are added up.
 * That is another order of summation, and so never chosen unasked.
 */
#include <errno.h>

#include "exec/planning.h"
#include "graph/graph.h"
#include "weft/error.h"
#include "weft/train.h"

#define MOST_PARTS 8

/* Running statistics follow those of each batch: parts of a batch have others. */
static bool normalizes_batches(const struct weft_graph *graph)
{
	for (weft_id o = 0; o < graph->operations; o++)
		if (graph->operation[o].opcode == WEFT_OP_LERP)
			return true;
	return false;
}

static int try_batch(struct accel_device *device, const struct weft_model *model,
		     const struct weft_session_options *session, const struct weft_graph_options *options)
{
	struct weft_graph *graph = NULL;
	struct weft_plan *plan = NULL;
	struct weft_costs costs = {0};
	int result = weft_model_graph(model, options, &graph);

	if (!result && normalizes_batches(graph))
		result = weft_fail(EOPNOTSUPP, "adding up the gradients of smaller batches is no way out: batch "
					       "normalisation would see other statistics");
	if (!result)
		result = weft_plan_session(device, &graph, session, &plan, &costs, NULL);
	weft_costs_clear(&costs);
	weft_plan_free(plan);
	weft_graph_free(graph);
	return result;
}

int weft_micro_batches_find(struct accel_device *device, const struct weft_model *model,
			    const struct weft_session_options *session, const struct weft_graph_options *options,
			    struct weft_micro_batches *found)
{
	struct weft_tuning tuning = {0};
	struct weft_graph_options smaller = *options;
	uint32_t already;

	if (options->tuning)
		tuning = *options->tuning;
	already = tuning.accumulate > 1 ? tuning.accumulate : 1;
	smaller.tuning = &tuning;
	for (uint32_t parts = 2; parts <= MOST_PARTS && options->batch && !(options->batch % parts); parts *= 2) {
		int result;

		if (__builtin_mul_overflow(already, parts, &tuning.accumulate))
			break;
		smaller.batch = options->batch / parts;
		result = try_batch(device, model, session, &smaller);
		if (!result)
			*found = (struct weft_micro_batches){smaller.batch, tuning.accumulate};
		if (result != -ENOSPC)
			return result;
	}
	return weft_fail(ENOSPC, "parts of the batch do not fit either");
}
