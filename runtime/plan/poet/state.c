// SPDX-License-Identifier: MIT
/* A POET schedule under construction and the cost of its stages. */
#include "plan/poet/solver.h"

#include <stdlib.h>
#include <time.h>

/* Of children that did the thread's work. */
static _Thread_local double added;

void poet_clock_add(double seconds)
{
	added += seconds;
}

double poet_clock(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec + added;
}

int poet_state_init(struct poet_state *state, const struct weft_poet_instance *instance)
{
	size_t cells;

	*state = (struct poet_state){
		.instance = instance, .nodes = instance->nodes, .words = (instance->nodes + 63) / 64};
	cells = (size_t)(state->nodes + 1) * state->words;
	state->keep = calloc(cells, sizeof(uint64_t));
	state->load = calloc(cells, sizeof(uint64_t));
	state->run = calloc(cells, sizeof(uint64_t));
	state->stage = calloc(state->nodes, sizeof(*state->stage));
	state->freed = calloc(state->nodes, sizeof(uint64_t));
	if (state->keep && state->load && state->run && state->stage && state->freed)
		return 0;
	poet_state_clear(state);
	return -1;
}

void poet_state_clear(struct poet_state *state)
{
	free(state->keep);
	free(state->load);
	free(state->run);
	free(state->stage);
	free(state->freed);
	*state = (struct poet_state){0};
}

/*
 * Close @run under "reads what is not kept", from @t down.  The first reader
 * met on the way down is the last to be computed: the input is freed there,
 * unless it is retained.
 */
static void close_run(const struct poet_state *state, uint32_t t, const uint64_t *keep, const uint64_t *next,
		      uint64_t *run)
{
	const struct weft_poet_adjacency *input = &state->instance->input;
	uint64_t seen[state->words];

	for (uint32_t w = 0; w <= t / 64; w++)
		seen[w] = 0;
	for (uint32_t w = t / 64 + 1; w-- > 0;) {
		uint64_t left;

		/* Inputs are smaller than their reader, so only bits below the one being looked at can appear. */
		for (left = run[w]; left;) {
			uint32_t bit = 63 - (uint32_t)__builtin_clzll(left), k = w * 64 + bit;

			for (uint32_t e = input->start[k]; e < input->start[k + 1]; e++) {
				uint32_t i = input->item[e];

				if (poet_bit(seen, i))
					continue;
				poet_put_bit(seen, i, true);
				if (!poet_bit(keep, i))
					poet_put_bit(run, i, true);
				if (!poet_bit(next, i))
					state->freed[k] += state->instance->node[i].bytes;
			}
			left = run[w] & ((UINT64_C(1) << bit) - 1);
		}
	}
}

struct poet_stage poet_state_evaluate_around(const struct poet_state *state, uint32_t t, uint64_t kept, uint64_t *run,
					     uint32_t reader, uint64_t *after)
{
	const struct weft_poet_node *node = state->instance->node;
	const uint64_t *keep = poet_row(state, state->keep, t), *next = poet_row(state, state->keep, t + 1);
	const uint64_t *load = poet_row(state, state->load, t);
	struct poet_stage stage = {.kept = kept};
	uint64_t level = kept, peak = 0;

	for (uint32_t w = 0; w <= t / 64; w++)
		run[w] = next[w] & ~keep[w] & ~load[w];
	poet_put_bit(run, t, true);
	close_run(state, t, keep, next, run);
	for (uint32_t w = 0; w <= t / 64; w++) {
		for (uint64_t left = run[w]; left; left &= left - 1) {
			uint32_t k = w * 64 + (uint32_t)__builtin_ctzll(left);

			level += node[k].bytes;
			if (level > peak)
				peak = level;
			level -= state->freed[k];
			if (k == reader) {
				stage.peak = peak;
				peak = 0;
			}
			state->freed[k] = 0;
			stage.joules += node[k].compute_joules;
			stage.seconds += node[k].seconds;
		}
	}
	*after = peak;
	if (peak > stage.peak)
		stage.peak = peak;
	return stage;
}

void poet_state_update(struct poet_state *state, uint32_t t)
{
	const uint64_t *keep = poet_row(state, state->keep, t);
	uint64_t kept = 0;

	for (uint32_t w = 0; w < state->words; w++)
		for (uint64_t left = keep[w]; left; left &= left - 1)
			kept += state->instance->node[w * 64 + (uint32_t)__builtin_ctzll(left)].bytes;
	state->stage[t] = poet_state_evaluate(state, t, kept, poet_row(state, state->run, t));
}

struct weft_poet_schedule *poet_state_schedule(const struct poet_state *state)
{
	struct weft_poet_schedule *schedule = weft_poet_schedule_new(state->nodes);

	if (!schedule)
		return NULL;
	for (uint32_t i = 0; i < state->nodes; i++) {
		uint32_t first_kept = 0;
		bool loaded = false;

		for (uint32_t t = i; t < state->nodes; t++) {
			if (poet_bit(poet_row(state, state->keep, t), i)) {
				weft_poet_set_bit(schedule, schedule->retained, t, i);
				first_kept = first_kept ? first_kept : t;
			}
			if (poet_bit(poet_row(state, state->run, t), i))
				weft_poet_set_bit(schedule, schedule->compute, t, i);
			if (poet_bit(poet_row(state, state->load, t), i)) {
				weft_poet_set_bit(schedule, schedule->page_in, t, i);
				loaded = true;
			}
		}
		if (!loaded)
			continue;
		weft_poet_set_bit(schedule, schedule->page_out, first_kept, i);
		for (uint32_t t = first_kept + 1; t < state->nodes; t++)
			weft_poet_set_bit(schedule, schedule->stored, t, i);
	}
	return schedule;
}
