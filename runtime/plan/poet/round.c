// SPDX-License-Identifier: MIT
/* What the relaxation keeps and pages in more than half. */
#include "plan/poet/round.h"

#include <errno.h>
#include <stdlib.h>

static double value(const struct poet_relaxation *r, const double *x, enum poet_variable kind, uint32_t s, uint32_t i)
{
	int column = poet_relaxation_column(r, kind, s, i);

	return column < 0 ? 0 : x[column];
}

static bool goes_through(const struct poet_relaxation *r, const double *x, uint32_t s, uint32_t i)
{
	double part = value(r, x, POET_KEEP, s, i) + value(r, x, POET_BACK, s, i);

	if (!poet_is_loose(r, s))
		part += value(r, x, POET_LOAD, s, i);
	return part >= 0.5;
}

/* The last stage of segment s that reads i for the first time; 0: none. */
static uint32_t last_reader(const struct poet_relaxation *r, uint32_t s, uint32_t i)
{
	const struct weft_poet_adjacency *reader = &r->instance->reader;
	uint32_t last = 0;

	for (uint32_t e = reader->start[i]; e < reader->start[i + 1]; e++)
		if (reader->item[e] <= r->segment[s].last)
			last = reader->item[e];
	return last;
}

static void round_node(const struct poet_relaxation *r, const double *x, uint32_t i, struct poet_state *state)
{
	uint32_t own = r->segment_of[i];
	bool loaded = false;

	for (uint32_t s = own; s <= r->last[i]; s++) {
		uint32_t begin = s == own ? i : r->segment[s].first, end = r->segment[s].last;
		bool through = goes_through(r, x, s, i), load = value(r, x, POET_LOAD, s, i) >= 0.5;
		uint32_t reader = last_reader(r, s, i);

		/* Between the stages of a segment RAM has no limit. */
		for (uint32_t t = begin + 1; t <= end; t++)
			poet_put_bit(poet_row(state, state->keep, t), i, through || t <= reader);
		if (end + 1 < state->nodes)
			poet_put_bit(poet_row(state, state->keep, end + 1), i, through);
		if (load && begin > i && !poet_bit(poet_row(state, state->keep, begin), i)) {
			poet_put_bit(poet_row(state, state->load, begin), i, true);
			poet_put_bit(poet_row(state, state->keep, begin + 1), i, begin + 1 < state->nodes);
			loaded = true;
		}
	}
	/* What is paged in must have been there to be paged out. */
	if (loaded)
		poet_put_bit(poet_row(state, state->keep, i + 1), i, true);
}

int poet_round(const struct poet_relaxation *r, const double *x, struct poet_search *search)
{
	struct poet_state state;

	if (poet_state_init(&state, r->instance))
		return -ENOMEM;
	for (uint32_t i = 0; i + 1 < r->instance->nodes; i++)
		round_node(r, x, i, &state);
	poet_search_seed(search, state.keep, state.load);
	poet_state_clear(&state);
	return 0;
}
