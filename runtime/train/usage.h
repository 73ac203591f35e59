/* SPDX-License-Identifier: MIT */
/** Adding up what several sessions used. */
#ifndef WEFT_TRAIN_USAGE_H
#define WEFT_TRAIN_USAGE_H

#include "weft/session.h"

static inline uint64_t weft_usage_most(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/** Only the peaks of @part, which are of a session that came before or after. */
static inline void weft_usage_peaks(struct weft_session_usage *sum, const struct weft_session_usage *part)
{
	sum->peak_device_bytes = weft_usage_most(sum->peak_device_bytes, part->peak_device_bytes);
	sum->peak_host_bytes = weft_usage_most(sum->peak_host_bytes, part->peak_host_bytes);
	sum->peak_storage_bytes = weft_usage_most(sum->peak_storage_bytes, part->peak_storage_bytes);
}

/** Peaks and amounts of @part, a session that ran @steps steps after @before others. */
static inline void weft_usage_add(struct weft_session_usage *sum, const struct weft_session_usage *part,
				  uint64_t before, uint64_t steps)
{
	weft_usage_peaks(sum, part);
	sum->paged_bytes += part->paged_bytes;
	sum->recomputed_ops += part->recomputed_ops;
	sum->energy_joules += part->energy_joules;
	if (steps)
		sum->step_seconds = (sum->step_seconds * (double)before + part->step_seconds * (double)steps) /
				    (double)(before + steps);
	sum->predicted_seconds = part->predicted_seconds;
	sum->predicted_joules = part->predicted_joules;
}

#endif /* WEFT_TRAIN_USAGE_H */
