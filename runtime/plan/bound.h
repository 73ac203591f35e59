/* SPDX-License-Identifier: MIT */
/** A proven lower bound on what plans of a graph cost. */
#ifndef WEFT_PLAN_BOUND_H
#define WEFT_PLAN_BOUND_H

#include "plan/plan.h"

/**
 * No plan of @graph within the device budget of @budget takes less than *@joules by @costs,
 * in whichever order it runs the operations and whatever it pages or recomputes.  Other
 * budgets and the time limit only make plans dearer, and are not looked at.
 */
int weft_plan_bound(const struct weft_graph *graph, const struct weft_costs *costs, const struct weft_budget *budget,
		    double *joules);

#endif /* WEFT_PLAN_BOUND_H */
