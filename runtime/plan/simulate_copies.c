// SPDX-License-Identifier: MIT
/* The simulation's copies: blocks of the tiers come and go, and host copies make room by going to storage. */
#include <errno.h>

#include "plan/simulate.h"

uint32_t *sim_tier_block(struct state *state, enum weft_tier tier)
{
	return tier == WEFT_TIER_DEVICE ? &state->device : tier == WEFT_TIER_HOST ? &state->host : &state->storage;
}

bool sim_is_home(const struct simulation *s, uint32_t b, enum weft_tier tier)
{
	const struct weft_base *base = &s->problem->base[b];

	if (base->fed)
		return tier == WEFT_TIER_HOST;
	return base->persistent && s->tactics->home[b] == tier;
}

/* Host and storage copies of values that may go to storage stand in whole I/O blocks. */
static uint32_t tier_align(const struct simulation *s, uint32_t b, enum weft_tier tier)
{
	const struct weft_base *base = &s->problem->base[b];

	if (tier == WEFT_TIER_DEVICE || base->fed)
		return WEFT_PLAN_ALIGN;
	if (base->persistent)
		return s->tactics->home[b] == WEFT_TIER_STORAGE ? WEFT_PLAN_IO_ALIGN : WEFT_PLAN_ALIGN;
	return s->tactics->page_storage ? WEFT_PLAN_IO_ALIGN : WEFT_PLAN_ALIGN;
}

uint64_t sim_tier_bytes(const struct simulation *s, uint32_t b, enum weft_tier tier)
{
	return weft_round_up(s->problem->base[b].bytes, tier_align(s, b, tier));
}

uint32_t sim_next_use(const struct simulation *s, uint32_t b)
{
	const struct state *state = &s->state[b];
	const struct weft_base *base = &s->problem->base[b];
	uint32_t next = state->head < base->uses ? base->use[state->head] : NEVER;

	for (uint32_t i = 0; i < state->claims; i++)
		if (state->claim[i].position < next)
			next = state->claim[i].position;
	return next;
}

uint32_t sim_last_use(const struct simulation *s, uint32_t b)
{
	const struct state *state = &s->state[b];
	const struct weft_base *base = &s->problem->base[b];
	uint32_t last = 0;

	if (state->head < base->uses)
		last = base->use[base->uses - 1];
	for (uint32_t i = 0; i < state->claims; i++)
		if (state->claim[i].position > last)
			last = state->claim[i].position;
	return last;
}

bool sim_has_copy(const struct state *state)
{
	return state->device != WEFT_NONE || state->host != WEFT_NONE || state->storage != WEFT_NONE;
}

/* Copies: blocks come and go. */

void sim_become_resident(struct simulation *s, uint32_t b, uint32_t block)
{
	s->state[b].device = block;
	s->slot[b] = s->residents;
	s->resident[s->residents++] = b;
}

void sim_leave_device(struct simulation *s, uint32_t b)
{
	uint32_t last = s->resident[--s->residents];

	s->resident[s->slot[b]] = last;
	s->slot[last] = s->slot[b];
	s->state[b].device = WEFT_NONE;
}

int sim_emit(struct simulation *s, enum weft_action_kind kind, enum weft_tier tier, uint32_t b, uint32_t block)
{
	struct weft_draft_action *action = weft_draft_append(s->draft, kind);

	if (!action)
		return -ENOMEM;
	action->tier = tier;
	action->subject = b;
	action->block = block;
	return 0;
}

int sim_drop(struct simulation *s, uint32_t b, enum weft_tier tier)
{
	uint32_t *block = sim_tier_block(&s->state[b], tier);
	uint32_t old = *block;

	if (old == WEFT_NONE || sim_is_home(s, b, tier))
		return 0;
	s->draft->block[old].end = s->draft->actions;
	s->used[tier] -= s->draft->block[old].bytes;
	if (tier == WEFT_TIER_DEVICE)
		sim_leave_device(s, b);
	else
		*block = WEFT_NONE;
	return sim_emit(s, WEFT_ACTION_DROP, tier, b, old);
}

int sim_new_block(struct simulation *s, uint32_t b, enum weft_tier tier)
{
	uint64_t bytes = sim_tier_bytes(s, b, tier);
	uint32_t block = weft_draft_block(s->draft, tier, b, bytes, tier_align(s, b, tier));

	if (block == WEFT_NONE)
		return -ENOMEM;
	s->used[tier] += bytes;
	if (tier == WEFT_TIER_DEVICE)
		sim_become_resident(s, b, block);
	else
		*sim_tier_block(&s->state[b], tier) = block;
	return 0;
}

bool sim_fits(const struct simulation *s, enum weft_tier tier, uint64_t bytes)
{
	return bytes <= s->tactics->room[tier] && s->used[tier] <= s->tactics->room[tier] - bytes;
}

/* Host room. */

int sim_store(struct simulation *s, uint32_t b)
{
	int result = 0;

	if (s->state[b].storage == WEFT_NONE) {
		if (!sim_fits(s, WEFT_TIER_STORAGE, sim_tier_bytes(s, b, WEFT_TIER_STORAGE)))
			return -ENOSPC;
		result = sim_new_block(s, b, WEFT_TIER_STORAGE);
	}
	if (!result)
		result = sim_emit(s, WEFT_ACTION_STORE, WEFT_TIER_STORAGE, b, s->state[b].storage);
	return result;
}

/* Values whose contents must stay in the host tier until the end of the step. */
static bool host_fixed(const struct simulation *s, uint32_t b)
{
	return s->state[b].host_pins || sim_is_home(s, b, WEFT_TIER_HOST) || s->problem->base[b].output;
}

int sim_make_host_room(struct simulation *s, uint64_t bytes)
{
	while (!sim_fits(s, WEFT_TIER_HOST, bytes)) {
		uint32_t victim = WEFT_NONE, victim_class = 0, victim_next = 0;
		int result;

		for (uint32_t b = 0; b < s->problem->bases; b++) {
			const struct state *state = &s->state[b];
			uint32_t class, next;

			if (state->host == WEFT_NONE || host_fixed(s, b))
				continue;
			class = state->storage != WEFT_NONE && !state->dirty ? 3 : state->device != WEFT_NONE ? 2 : 1;
			if (class == 1 && !s->tactics->page_storage)
				continue;
			next = sim_next_use(s, b);
			if (class > victim_class || (class == victim_class && next > victim_next)) {
				victim = b;
				victim_class = class;
				victim_next = next;
			}
		}
		if (victim == WEFT_NONE)
			return -ENOSPC;
		if (victim_class == 1) {
			result = sim_store(s, victim);
			if (result)
				return result;
		}
		result = sim_drop(s, victim, WEFT_TIER_HOST);
		if (result)
			return result;
	}
	return 0;
}
