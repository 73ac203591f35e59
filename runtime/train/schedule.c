// SPDX-License-Identifier: MIT
#include "schedule.h"

#include <math.h>

static double step(const struct weft_schedule *schedule, uint64_t update, uint64_t epoch_updates)
{
	uint64_t every = schedule->epochs ? schedule->epochs : 1;

	return pow(schedule->factor, (double)(update / epoch_updates / every));
}

static double cosine(const struct weft_schedule *schedule, uint64_t update, uint64_t updates)
{
	double left = (double)(updates - schedule->warmup), done = (double)(update - schedule->warmup);

	return schedule->factor + (1 - schedule->factor) * 0.5 * (1 + cos(M_PI * done / left));
}

double weft_schedule_factor(const struct weft_schedule *schedule, uint64_t update, uint64_t updates,
			    uint64_t epoch_updates)
{
	if (update < schedule->warmup)
		return (double)(update + 1) / (double)schedule->warmup;
	switch (schedule->kind) {
	case WEFT_SCHEDULE_STEP:
		return step(schedule, update, epoch_updates);
	case WEFT_SCHEDULE_COSINE:
		return update < updates ? cosine(schedule, update, updates) : schedule->factor;
	case WEFT_SCHEDULE_CONSTANT:
		break;
	}
	return 1;
}
