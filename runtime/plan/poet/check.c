// SPDX-License-Identifier: MIT
/*
 * The judge of schedules: replays one stage after another by the rules in
 * poet.h.  Knows nothing of how schedules are found, and is written for
 * plainness rather than speed.
 */
#include "plan/poet/poet.h"

#include "weft/error.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

/* Sums of doubles in different orders differ by rounding; a real excess of time is never this small. */
#define TIME_TOLERANCE 1e-9

struct replay {
	const struct weft_poet_instance *instance;
	const struct weft_poet_schedule *schedule;
	uint64_t ram_bytes;
	struct weft_poet_measure measure;
	long double joules, seconds;
};

static bool computed(const struct replay *r, uint32_t t, uint32_t i)
{
	return weft_poet_bit(r->schedule, r->schedule->compute, t, i);
}

static bool retained(const struct replay *r, uint32_t t, uint32_t i)
{
	/* After the last stage nothing is asked for. */
	return t < r->schedule->nodes && weft_poet_bit(r->schedule, r->schedule->retained, t, i);
}

static bool stored(const struct replay *r, uint32_t t, uint32_t i)
{
	return t < r->schedule->nodes && weft_poet_bit(r->schedule, r->schedule->stored, t, i);
}

static bool paged_in(const struct replay *r, uint32_t t, uint32_t i)
{
	return weft_poet_bit(r->schedule, r->schedule->page_in, t, i);
}

static bool paged_out(const struct replay *r, uint32_t t, uint32_t i)
{
	return weft_poet_bit(r->schedule, r->schedule->page_out, t, i);
}

static int refuse(uint32_t stage, uint32_t node, const char *rule)
{
	return weft_fail(EINVAL, "schedule refused: stage %" PRIu32 ", node %" PRIu32 ": %s", stage, node, rule);
}

/* Nothing ahead of its stage; bits beyond the last node must be clear too. */
static int check_triangle(const struct replay *r, uint32_t t)
{
	const struct weft_poet_schedule *s = r->schedule;
	uint32_t columns = s->row_words * 64;

	for (uint32_t i = t; i < columns; i++) {
		if (retained(r, t, i) || stored(r, t, i))
			return refuse(t, i, "retained or stored before its own stage has ended");
		if (i > t && (computed(r, t, i) || paged_in(r, t, i) || paged_out(r, t, i)))
			return refuse(t, i, "computed or paged ahead of its stage");
	}
	if (!computed(r, t, t))
		return refuse(t, t, "not computed in its own stage");
	return 0;
}

static int check_moves(struct replay *r, uint32_t t)
{
	for (uint32_t i = 0; i <= t; i++) {
		const struct weft_poet_node *node = &r->instance->node[i];

		if (paged_in(r, t, i) && !stored(r, t, i))
			return refuse(t, i, "paged in but not in storage");
		if (paged_out(r, t, i) && !retained(r, t, i))
			return refuse(t, i, "paged out but not in RAM when the stage starts");
		if (retained(r, t + 1, i) && !retained(r, t, i) && !computed(r, t, i) && !paged_in(r, t, i))
			return refuse(t, i, "retained for the next stage but neither retained, computed nor paged in");
		if (stored(r, t + 1, i) && !stored(r, t, i) && !paged_out(r, t, i))
			return refuse(t, i, "in storage at the next stage but neither stored nor paged out");
		if (paged_in(r, t, i)) {
			r->joules += node->pagein_joules;
			r->measure.page_ins++;
			r->measure.paged_bytes += node->bytes;
		}
		if (paged_out(r, t, i)) {
			r->joules += node->pageout_joules;
			r->measure.page_outs++;
			r->measure.paged_bytes += node->bytes;
		}
	}
	return 0;
}

static bool read_later(const struct replay *r, uint32_t t, uint32_t i, uint32_t after)
{
	const struct weft_poet_adjacency *reader = &r->instance->reader;

	for (uint32_t e = reader->start[i]; e < reader->start[i + 1]; e++)
		if (reader->item[e] > after && reader->item[e] <= t && computed(r, t, reader->item[e]))
			return true;
	return false;
}

static int check_stage(struct replay *r, uint32_t t)
{
	const struct weft_poet_adjacency *input = &r->instance->input;
	const struct weft_poet_node *node = r->instance->node;
	uint64_t level = 0;

	for (uint32_t i = 0; i < t; i++)
		if (retained(r, t, i))
			level += node[i].bytes;
	for (uint32_t k = 0; k <= t; k++) {
		if (!computed(r, t, k))
			continue;
		level += node[k].bytes;
		if (level > r->measure.peak_bytes)
			r->measure.peak_bytes = level;
		if (level > r->ram_bytes)
			return weft_fail(EINVAL,
					 "schedule refused: stage %" PRIu32 ", node %" PRIu32 ": RAM at %" PRIu64
					 " bytes, budget %" PRIu64,
					 t, k, level, r->ram_bytes);
		r->joules += node[k].compute_joules;
		r->seconds += node[k].seconds;
		r->measure.computations++;
		for (uint32_t e = input->start[k]; e < input->start[k + 1]; e++) {
			uint32_t i = input->item[e];

			if (!computed(r, t, i) && !retained(r, t, i))
				return refuse(t, k, "computed without one of its inputs");
			if (!retained(r, t + 1, i) && !read_later(r, t, i, k))
				level -= node[i].bytes;
		}
	}
	return 0;
}

int weft_poet_check(const struct weft_poet_instance *instance, const struct weft_poet_schedule *schedule,
		    uint64_t ram_bytes, double time_ratio, struct weft_poet_measure *measure)
{
	struct replay r = {.instance = instance, .schedule = schedule, .ram_bytes = ram_bytes};
	long double base = 0;

	if (schedule->nodes != instance->nodes)
		return weft_fail(EINVAL, "schedule refused: it has %" PRIu32 " stages, the instance %" PRIu32 " nodes",
				 schedule->nodes, instance->nodes);
	for (uint32_t t = 0; t < instance->nodes; t++) {
		int result = check_triangle(&r, t);

		if (!result)
			result = check_moves(&r, t);
		if (!result)
			result = check_stage(&r, t);
		if (result < 0)
			return result;
		base += instance->node[t].seconds;
	}
	if (time_ratio > 0 && r.seconds > base * time_ratio * (1 + TIME_TOLERANCE))
		return weft_fail(EINVAL, "schedule refused: computing takes %Lg s, the budget is %Lg s", r.seconds,
				 base * time_ratio);
	r.measure.joules = (double)r.joules;
	r.measure.seconds = (double)r.seconds;
	*measure = r.measure;
	return 0;
}

int weft_poet_levels(const struct weft_poet_instance *instance, const struct weft_poet_schedule *schedule,
		     uint64_t *level)
{
	struct replay r = {.instance = instance, .schedule = schedule, .ram_bytes = UINT64_MAX};

	for (uint32_t t = 0; t < instance->nodes; t++) {
		int result = check_stage(&r, t);

		if (result < 0)
			return result;
		level[t] = r.measure.peak_bytes;
		r.measure.peak_bytes = 0;
	}
	return 0;
}
