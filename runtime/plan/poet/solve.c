// SPDX-License-Identifier: MIT
/* The driver: search for schedules, bounds from below, the check of what is returned. */
#include "plan/poet/prove.h"
#include "plan/poet/solver.h"

#include "weft/error.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#define DEFAULT_SECONDS 10.0
#define DEFAULT_GAP 1e-4
/*
 * The first and the last search, in parts of the time limit; where the graph
 * has more nodes than that, in proportion to them up to a limit.
 */
#define FIRST_SHARE 0.1
#define LAST_SHARE 0.08
#define NODES_OF_SHARES 1000.0
#define MOST_SHARES 3.0

void weft_poet_result_clear(struct weft_poet_result *result)
{
	weft_poet_schedule_free(result->schedule);
	*result = (struct weft_poet_result){0};
}

static int check_options(const struct weft_poet_options *options)
{
	if (!isfinite(options->time_ratio) || options->time_ratio < 0)
		return weft_fail(EINVAL, "time ratio %g; expected 1 or more, or 0 for no limit", options->time_ratio);
	if (!isfinite(options->seconds) || options->seconds < 0)
		return weft_fail(EINVAL, "%g s for planning; expected more than 0, or 0 for the default",
				 options->seconds);
	if (!isfinite(options->gap) || options->gap < 0)
		return weft_fail(EINVAL, "gap %g; expected 0 or more", options->gap);
	return 0;
}

/* Budgets that one look refuses: a node whose operands do not fit, or less time than computing everything once. */
static bool plainly_infeasible(const struct weft_poet_instance *instance, const struct weft_poet_options *options,
			       struct weft_poet_result *result)
{
	if (options->ram_bytes < instance->least_bytes) {
		result->least_bytes = instance->least_bytes;
		return true;
	}
	return options->time_ratio > 0 && options->time_ratio < 1 - 1e-9 && instance->base_seconds > 0;
}

static void set_gaps(const struct weft_poet_instance *instance, struct weft_poet_result *result)
{
	double overhead = result->joules - instance->base_joules, open = result->joules - result->bound_joules;

	/* Rounding of sums in another order is no gap. */
	if (open <= 1e-12 * result->joules)
		open = 0;
	result->gap = result->joules > 0 ? open / result->joules : 0;
	result->overhead_gap = open > 0 && overhead > 0 ? open / overhead : 0;
}

/* Take the schedule only if the check accepts it. */
static int deliver(const struct weft_poet_instance *instance, const struct weft_poet_options *options,
		   struct poet_search *search, struct weft_poet_result *result)
{
	result->schedule = poet_search_schedule(search);
	if (!result->schedule)
		return weft_fail(ENOMEM, "out of memory for a schedule of %u stages", instance->nodes);
	if (weft_poet_check(instance, result->schedule, options->ram_bytes, options->time_ratio, &result->measure) < 0)
		return weft_fail_in(-EPROTO, "the solver's own schedule");
	result->status = WEFT_POET_FEASIBLE;
	result->joules = result->measure.joules;
	if (result->bound_joules > result->joules)
		result->bound_joules = result->joules;
	set_gaps(instance, result);
	return 0;
}

/* How many times the search's shares a graph is worth. */
static double shares_of(const struct weft_poet_instance *instance)
{
	return fmin(fmax(instance->nodes / NODES_OF_SHARES, 1), MOST_SHARES);
}

/*
 * Search until it stalls, bound, and search on in the time that is left.  The
 * proof is worth more time than the search, which is done within a second or
 * two on graphs of a few hundred nodes; on graphs of thousands the search is
 * what lags behind.
 */
static int improve_and_prove(const struct weft_poet_instance *instance, const struct weft_poet_options *options,
			     struct poet_search *search, double begin, double seconds, double gap,
			     struct weft_poet_result *result)
{
	struct poet_proof proof = {.bound_joules = instance->base_joules};
	double target = instance->base_joules * (1 + 1e-13), shares = shares_of(instance);
	int status;

	poet_search_run(search, begin + FIRST_SHARE * shares * seconds, options->iterations, target, true);
	status = poet_prove(instance, options, search, gap, begin + (1 - LAST_SHARE * shares) * seconds, &proof);
	if (status < 0)
		return weft_fail(-status, "out of memory for a bound over %u nodes", instance->nodes);
	result->bound_joules = proof.bound_joules;
	if (proof.infeasible) {
		result->status = WEFT_POET_INFEASIBLE;
		return 0;
	}
	target = proof.bound_joules + gap * (poet_search_best(search) - instance->base_joules);
	if (!options->iterations && poet_search_best(search) > target)
		poet_search_run(search, begin + seconds, 0, target, false);
	return 0;
}

int weft_poet_solve(const struct weft_poet_instance *instance, const struct weft_poet_options *options,
		    struct weft_poet_result *result)
{
	double begin = poet_clock(), seconds = options->seconds > 0 ? options->seconds : DEFAULT_SECONDS;
	double gap = options->gap > 0 ? options->gap : DEFAULT_GAP;
	struct poet_search *search;
	int status = check_options(options);

	*result = (struct weft_poet_result){.status = WEFT_POET_UNKNOWN, .bound_joules = instance->base_joules};
	if (status < 0)
		return status;
	if (plainly_infeasible(instance, options, result)) {
		result->status = WEFT_POET_INFEASIBLE;
		result->solver_seconds = poet_clock() - begin;
		return 0;
	}
	search = poet_search_new(instance, options);
	if (!search)
		return weft_fail(ENOMEM, "out of memory for a search over %u nodes", instance->nodes);
	status = improve_and_prove(instance, options, search, begin, seconds, gap, result);
	if (!status && poet_search_best(search) < INFINITY)
		status = deliver(instance, options, search, result);
	poet_search_free(search);
	if (status < 0)
		weft_poet_result_clear(result);
	result->solver_seconds = poet_clock() - begin;
	return status;
}
