// SPDX-License-Identifier: MIT
#include "plan/plan.h"

#include <stdlib.h>

void weft_plan_free(struct weft_plan *plan)
{
	if (!plan)
		return;
	free(plan->action);
	free(plan->home);
	free(plan);
}
