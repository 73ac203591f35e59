/* SPDX-License-Identifier: MIT */
/** From a graph and budgets to a checked plan, without executing anything. */
#ifndef WEFT_EXEC_PLANNING_H
#define WEFT_EXEC_PLANNING_H

#include "exec/costs.h"
#include "plan/plan.h"
#include "weft/session.h"

/**
 * Plan *@graph for @device under the budgets of @options.  Where it does not fit,
 * its large activations are split; *@graph is then replaced by the graph that
 * the plan is for, and the old one freed.  *@costs is to be cleared by the caller
 * in any case.  -ENOSPC: the budgets are refused, @refusal says the least; with NULL
 * that is not looked for, which takes less time.
 */
int weft_plan_session(struct accel_device *device, struct weft_graph **graph,
		      const struct weft_session_options *options, struct weft_plan **plan, struct weft_costs *costs,
		      struct weft_session_refusal *refusal);

#endif /* WEFT_EXEC_PLANNING_H */
