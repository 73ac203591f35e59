// SPDX-License-Identifier: MIT
/* The simulation's claims: what a value that was dropped for recomputation needs when it is made again. */
#include <errno.h>
#include <stdlib.h>

#include "plan/simulate.h"

/* An input of @o was updated after @o's first run, or will be before @position. */
static bool input_changes(const struct simulation *s, weft_id o, uint32_t b, uint32_t position)
{
	const struct weft_base *base = &s->problem->base[b];

	for (uint32_t i = 0; i < base->updates; i++)
		if (base->update[i] > s->problem->position[o] && base->update[i] < position)
			return true;
	return false;
}

/*
 * Seconds (or bytes, when judged by them) to make @b again at @position, negative if impossible.  @kept receives
 * the bytes that live longer because of it.
 */
double sim_recompute_seconds(const struct simulation *s, uint32_t b, uint32_t position, uint64_t *kept,
			     unsigned int depth)
{
	const struct weft_problem *problem = s->problem;
	const struct weft_base *base = &problem->base[b];
	double seconds = 0;

	if (!base->recomputable || depth > 6)
		return -1;
	for (uint32_t w = 0; w < base->writers; w++) {
		weft_id o = base->writer[w];

		if (problem->position[o] > s->now)
			return -1;
		seconds += s->tactics->by_bytes ? (double)base->bytes : problem->costs->operation_seconds[o];
		for (unsigned int i = 0; i < problem->touches[o]; i++) {
			uint32_t y = problem->touch[o][i].base;
			const struct weft_base *input = &problem->base[y];
			const struct state *state = &s->state[y];
			double chain;

			if (problem->touch[o][i].kinds != WEFT_TOUCH_READ)
				continue;
			if (input_changes(s, o, y, position))
				return -1;
			if (input->persistent || input->fed)
				continue;
			if ((sim_has_copy(state) || state->pending) && sim_last_use(s, y) >= position)
				continue;
			if (sim_has_copy(state) && input->bytes <= base->bytes / 4) {
				*kept += input->bytes;
				continue;
			}
			chain = sim_recompute_seconds(s, y, position, kept, depth + 1);
			if (chain < 0 && !sim_has_copy(state))
				return -1;
			if (chain < 0)
				*kept += input->bytes;
			else
				seconds += chain;
		}
	}
	return seconds;
}

static int add_claim(struct simulation *s, uint32_t b, uint32_t owner, uint32_t position, unsigned int depth);

/* Claim the inputs of @b's writers. */
int sim_claim_inputs(struct simulation *s, uint32_t b, uint32_t position, unsigned int depth)
{
	const struct weft_problem *problem = s->problem;
	const struct weft_base *base = &problem->base[b];

	if (depth > DEEPEST_CHAIN)
		return -ENOSPC;
	for (uint32_t w = 0; w < base->writers; w++) {
		weft_id o = base->writer[w];

		for (unsigned int i = 0; i < problem->touches[o]; i++) {
			const struct weft_touch *touch = &problem->touch[o][i];
			int result;

			if (touch->kinds != WEFT_TOUCH_READ)
				continue;
			if (input_changes(s, o, touch->base, position))
				return -ENOSPC;
			result = add_claim(s, touch->base, b, position, depth);
			if (result)
				return result;
		}
	}
	return 0;
}

static int add_claim(struct simulation *s, uint32_t b, uint32_t owner, uint32_t position, unsigned int depth)
{
	struct state *state = &s->state[b];
	uint32_t i;

	for (i = 0; i < state->claims; i++)
		if (state->claim[i].owner == owner)
			break;
	if (i == state->claims) {
		if (state->claims == state->claim_room) {
			uint32_t room = state->claim_room ? state->claim_room * 2 : 4;
			struct claim *claim = realloc(state->claim, room * sizeof(*claim));

			if (!claim)
				return -ENOMEM;
			state->claim = claim;
			state->claim_room = room;
		}
		state->claim[state->claims++] = (struct claim){owner, position};
	} else if (position < state->claim[i].position) {
		state->claim[i].position = position;
	} else {
		return 0;
	}
	if (sim_has_copy(state))
		return 0;
	/* Gone, or to be recomputed: it is needed at @position now. */
	if (!state->pending && !s->problem->base[b].recomputable)
		return -ENOSPC;
	state->pending = true;
	return sim_claim_inputs(s, b, position, depth + 1);
}

/* @owner has been recomputed: its claims are met.  Inputs that nobody needs any more go. */
int sim_drop_claims(struct simulation *s, uint32_t owner, bool release)
{
	const struct weft_problem *problem = s->problem;
	const struct weft_base *base = &problem->base[owner];

	for (uint32_t w = 0; w < base->writers; w++) {
		weft_id o = base->writer[w];

		for (unsigned int i = 0; i < problem->touches[o]; i++) {
			uint32_t b = problem->touch[o][i].base;
			struct state *state = &s->state[b];
			int result;

			if (problem->touch[o][i].kinds != WEFT_TOUCH_READ)
				continue;
			for (uint32_t c = 0; c < state->claims; c++) {
				if (state->claim[c].owner == owner) {
					state->claim[c] = state->claim[--state->claims];
					break;
				}
			}
			result = release ? sim_release_if_dead(s, b) : 0;
			if (result)
				return result;
		}
	}
	return 0;
}
