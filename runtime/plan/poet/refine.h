/* SPDX-License-Identifier: MIT */
/**
 * Which stages the relaxation looks at.
 *
 * A program with every stage active is large, and in most stages RAM is not
 * what costs energy.  So it begins with few, and stages become active where a
 * solution, spread over the stages of its segments, does not fit, and beside
 * stages whose RAM has a price.
 */
#ifndef WEFT_PLAN_POET_REFINE_H
#define WEFT_PLAN_POET_REFINE_H

#include "plan/poet/bound.h"

/**
 * Mark more stages in @active (nodes bools): those that matter most, at most
 * @most_stages, and at most @most_columns variables for the next relaxation.
 * Returns how many, or -ENOMEM.
 */
int poet_refine(const struct poet_relaxation *relaxation, const struct poet_lp *lp, const struct poet_reach *reach,
		double most_columns, uint32_t most_stages, bool *active);

/** About how many variables a relaxation with these stages has; @segment is scratch, a value per node. */
double poet_count_columns(const struct weft_poet_instance *instance, const struct poet_reach *reach, const bool *active,
			  uint32_t *segment);

#endif /* WEFT_PLAN_POET_REFINE_H */
