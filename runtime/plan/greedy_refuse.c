// SPDX-License-Identifier: MIT
/* The greedy planner's refusals: the least budgets that would do. */
#include <errno.h>

#include "plan/greedy.h"
#include "weft/error.h"

/* With a time limit, more memory may be needed than the least: bisect up to the unconstrained peak. */
int weft_greedy_least_in_time(struct planning *p, uint64_t low, uint64_t high, uint64_t *least)
{
	uint64_t budget = p->budget[WEFT_TIER_DEVICE];
	int result = 0;

	*least = high;
	while (!result && high - low > high / 64 + GRANULE) {
		struct weft_plan *plan = NULL;

		p->budget[WEFT_TIER_DEVICE] = weft_round_up(low + (high - low) / 2, GRANULE);
		result = weft_greedy_solve(p, &plan);
		if (!result)
			high = *least = p->budget[WEFT_TIER_DEVICE];
		else
			low = p->budget[WEFT_TIER_DEVICE];
		weft_plan_free(plan);
		if (result == -ENOSPC)
			result = 0;
	}
	p->budget[WEFT_TIER_DEVICE] = budget;
	return result;
}

/* The least host budget with the device's as it is: bisect over what weft_greedy_least() says. */
static int find_least_host(struct planning *p, uint64_t most, uint64_t *least)
{
	uint64_t device = p->budget[WEFT_TIER_DEVICE], host = p->budget[WEFT_TIER_HOST];
	uint64_t low = host, high = 0, need;
	struct candidate best;
	int result = 0;

	*least = 0;
	/* Where no host memory is enough, that is soon seen. */
	p->budget[WEFT_TIER_HOST] = UINT64_MAX;
	result = weft_greedy_least(p, most, &best, &need);
	p->budget[WEFT_TIER_HOST] = host;
	if (result || need > device)
		return result;
	/* How much is enough: double until it works or no more can matter. */
	for (uint64_t try = whole(p->fed_bytes ? p->fed_bytes : GRANULE); !result; try *= 2) {
		if (try <= host)
			continue;
		p->budget[WEFT_TIER_HOST] = try;
		result = weft_greedy_least(p, most, &best, &need);
		if (!result && need <= device) {
			high = try;
			break;
		}
		low = try;
		if (try > 64 * most + (1u << 20))
			break;
	}
	while (!result && high && high - low > GRANULE) {
		uint64_t middle = weft_round_up(low + (high - low) / 2, GRANULE);

		if (middle >= high)
			break;
		p->budget[WEFT_TIER_HOST] = middle;
		result = weft_greedy_least(p, most, &best, &need);
		if (need <= device)
			high = middle;
		else
			low = middle;
	}
	p->budget[WEFT_TIER_HOST] = host;
	*least = high;
	return result;
}

/* Whether the time budget is kept with so much host memory. */
static int host_in_time(struct planning *p, uint64_t *host)
{
	const uint64_t budget = p->budget[WEFT_TIER_HOST];
	struct weft_plan *plan = NULL;
	int result;

	p->budget[WEFT_TIER_HOST] = *host;
	result = weft_greedy_solve(p, &plan);
	p->budget[WEFT_TIER_HOST] = budget;
	weft_plan_free(plan);
	if (result == -ENOSPC)
		*host = 0;
	return result == -ENOSPC ? 0 : result;
}

int weft_greedy_refuse(struct planning *p, uint64_t least, uint64_t most, struct weft_plan_refusal *refusal)
{
	int result = 0;

	refusal->least_device_bytes = least == UINT64_MAX ? 0 : least;
	refusal->least_host_bytes = 0;
	if (p->budget[WEFT_TIER_HOST] != UINT64_MAX)
		result = find_least_host(p, most, &refusal->least_host_bytes);
	if (!result && refusal->least_host_bytes && p->request->budget.time_ratio)
		result = host_in_time(p, &refusal->least_host_bytes);
	if (result)
		return result;
	if (refusal->least_device_bytes)
		return weft_fail(ENOSPC,
				 "the device budget of %llu bytes is too small for this graph: at least %llu are "
				 "needed with the other budgets as given",
				 (unsigned long long)p->request->budget.bytes[WEFT_TIER_DEVICE],
				 (unsigned long long)refusal->least_device_bytes);
	if (refusal->least_host_bytes)
		return weft_fail(ENOSPC,
				 "the host budget of %llu bytes is too small for this graph: at least %llu are "
				 "needed with the other budgets as given",
				 (unsigned long long)p->request->budget.bytes[WEFT_TIER_HOST],
				 (unsigned long long)refusal->least_host_bytes);
	return weft_fail(ENOSPC,
			 "no device or host budget alone makes this graph fit: raise both, or the storage budget");
}
