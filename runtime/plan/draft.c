// SPDX-License-Identifier: MIT
#include "plan/draft.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "weft/error.h"

struct weft_draft *weft_draft_new(const struct weft_problem *problem)
{
	struct weft_draft *draft = calloc(1, sizeof(*draft));

	if (!draft)
		return NULL;
	draft->problem = problem;
	draft->home = calloc(problem->bases + 1, sizeof(*draft->home));
	if (!draft->home) {
		free(draft);
		return NULL;
	}
	return draft;
}

void weft_draft_free(struct weft_draft *draft)
{
	if (!draft)
		return;
	free(draft->action);
	free(draft->block);
	free(draft->place);
	free(draft->home);
	free(draft);
}

struct weft_draft_action *weft_draft_append(struct weft_draft *draft, enum weft_action_kind kind)
{
	struct weft_draft_action *action;

	if (draft->actions == draft->action_room) {
		uint32_t room = draft->action_room ? draft->action_room * 2 : 1024;

		action = realloc(draft->action, room * sizeof(*action));
		if (!action)
			return NULL;
		draft->action = action;
		draft->action_room = room;
	}
	action = &draft->action[draft->actions++];
	*action = (struct weft_draft_action){.kind = kind, .block = WEFT_NONE, .place = WEFT_NONE};
	return action;
}

uint32_t weft_draft_block(struct weft_draft *draft, enum weft_tier tier, uint32_t base, uint64_t bytes, uint32_t align)
{
	if (draft->blocks == draft->block_room) {
		uint32_t room = draft->block_room ? draft->block_room * 2 : 512;
		struct weft_block *block = realloc(draft->block, room * sizeof(*block));

		if (!block)
			return WEFT_NONE;
		draft->block = block;
		draft->block_room = room;
	}
	draft->block[draft->blocks] = (struct weft_block){
		.bytes = bytes,
		.align = align,
		.tier = tier,
		.base = base,
		.start = draft->actions,
		.end = WEFT_NONE,
	};
	return draft->blocks++;
}

/* Moving loads and page-outs. */

struct mover {
	struct weft_draft *draft;
	const uint64_t *room;
	double ahead;
	uint64_t *live[2]; /* bytes in blocks of the device and host tiers, per action */
	double *clock;	   /* seconds of compute before each action */
	double *key;	   /* new order */
};

static void measure(struct mover *m)
{
	struct weft_draft *draft = m->draft;
	const struct weft_costs *costs = draft->problem->costs;
	double now = 0;

	for (uint32_t i = 0; i < draft->actions; i++) {
		m->key[i] = i;
		m->clock[i] = now;
		if (draft->action[i].kind == WEFT_ACTION_COMPUTE)
			now += costs->operation_seconds[draft->action[i].subject];
	}
	for (uint32_t b = 0; b < draft->blocks; b++) {
		const struct weft_block *block = &draft->block[b];
		uint32_t end = block->end == WEFT_NONE ? draft->actions : block->end + 1;

		if (block->tier > WEFT_TIER_HOST)
			continue;
		for (uint32_t i = block->start; i < end && i < draft->actions; i++)
			m->live[block->tier][i] += block->bytes;
	}
}

/*
 * Move action @i, which starts a block of @tier, back to just behind @floor at
 * most, as far as room and @seconds of compute allow.
 */
static void move_back(struct mover *m, uint32_t i, uint32_t floor, enum weft_tier tier, double seconds)
{
	const struct weft_block *block = &m->draft->block[m->draft->action[i].block];
	uint32_t j = i;

	if (block->start != i)
		return;
	while (j > floor + 1 && m->clock[i] - m->clock[j - 1] <= seconds && block->bytes <= m->room[tier] &&
	       m->live[tier][j - 1] <= m->room[tier] - block->bytes)
		j--;
	for (uint32_t k = j; k < i; k++)
		m->live[tier][k] += block->bytes;
	m->key[i] = j - 0.5;
}

/*
 * Move action @i, which pages out, back to just behind @floor at most: what is made anew in
 * the place of the value then need not wait.
 */
static void page_out_early(struct mover *m, uint32_t i, uint32_t floor, double seconds)
{
	const struct weft_block *block = &m->draft->block[m->draft->action[i].block];
	uint32_t j = i;

	if (block->start || block->end != WEFT_NONE) {
		move_back(m, i, floor, WEFT_TIER_HOST, seconds);
		return;
	}
	/* A home, which is there anyway. */
	while (j > floor + 1 && m->clock[i] - m->clock[j - 1] <= seconds)
		j--;
	m->key[i] = j - 0.5;
}

static int by_key(const void *a, const void *b, void *user)
{
	const double *key = user;
	uint32_t i = *(const uint32_t *)a, j = *(const uint32_t *)b;

	if (key[i] != key[j])
		return key[i] < key[j] ? -1 : 1;
	return i < j ? -1 : i > j;
}

/* Put actions into the order of their keys; blocks follow the actions that begin and end them. */
static int reorder(struct mover *m)
{
	struct weft_draft *draft = m->draft;
	uint32_t *order = malloc((draft->actions + 1) * sizeof(*order));
	uint32_t *rank = malloc((draft->actions + 1) * sizeof(*rank));
	struct weft_draft_action *action = malloc((draft->actions + 1) * sizeof(*action));

	if (!order || !rank || !action) {
		free(order);
		free(rank);
		free(action);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < draft->actions; i++)
		order[i] = i;
	qsort_r(order, draft->actions, sizeof(*order), by_key, m->key);
	for (uint32_t i = 0; i < draft->actions; i++) {
		rank[order[i]] = i;
		action[i] = draft->action[order[i]];
	}
	memcpy(draft->action, action, draft->actions * sizeof(*action));
	for (uint32_t b = 0; b < draft->blocks; b++) {
		struct weft_block *block = &draft->block[b];

		if (block->end == WEFT_NONE && block->start == 0)
			continue;
		block->start = block->start < draft->actions ? rank[block->start] : draft->actions;
		if (block->end != WEFT_NONE)
			block->end = rank[block->end];
	}
	free(order);
	free(rank);
	free(action);
	return 0;
}

static void move_loads(struct mover *m, uint32_t *last)
{
	struct weft_draft *draft = m->draft;
	const struct weft_problem *problem = draft->problem;
	const struct weft_costs *costs = problem->costs;
	const uint32_t bases = problem->bases;
	uint32_t *freed = last + bases; /* per base: last action that ended its device copy, or took it over */
	uint32_t *hosted = last + 2 * bases, *unhosted = last + 3 * bases, *stored = last + 4 * bases;
	uint32_t *made = last + 5 * bases; /* per base: last action that changed its device copy */

	/* All floors start "before the first action", which is encoded as 0: nothing moves before action 1. */
	memset(last, 0, 6 * (size_t)bases * sizeof(*last));
	for (uint32_t i = 0; i < draft->actions; i++) {
		const struct weft_draft_action *action = &draft->action[i];
		uint32_t b = action->subject;
		double bytes;

		if (action->kind == WEFT_ACTION_COMPUTE) {
			for (unsigned int t = 0; t < problem->touches[b]; t++) {
				freed[problem->touch[b][t].base] = i;
				if (problem->touch[b][t].kinds != WEFT_TOUCH_READ)
					made[problem->touch[b][t].base] = i;
			}
			continue;
		}
		bytes = (double)problem->base[b].bytes;
		switch (action->kind) {
		case WEFT_ACTION_PAGE_IN:
			move_back(m, i, hosted[b] > freed[b] ? hosted[b] : freed[b], WEFT_TIER_DEVICE,
				  m->ahead * weft_transfer_seconds(&costs->page_in, bytes));
			made[b] = i;
			break;
		case WEFT_ACTION_LOAD:
			move_back(m, i, stored[b] > unhosted[b] ? stored[b] : unhosted[b], WEFT_TIER_HOST,
				  m->ahead * weft_transfer_seconds(&costs->load, bytes));
			/* The page-in that follows may move as far as just behind it. */
			hosted[b] = m->key[i] < i ? (uint32_t)m->key[i] : i;
			break;
		case WEFT_ACTION_PAGE_OUT:
			page_out_early(m, i, made[b] > unhosted[b] ? made[b] : unhosted[b],
				       m->ahead * weft_transfer_seconds(&costs->page_out, bytes));
			hosted[b] = m->key[i] < i ? (uint32_t)m->key[i] : i;
			break;
		case WEFT_ACTION_STORE:
			stored[b] = i;
			break;
		case WEFT_ACTION_DROP:
			if (action->tier == WEFT_TIER_DEVICE)
				freed[b] = i;
			else if (action->tier == WEFT_TIER_HOST)
				unhosted[b] = i;
			break;
		}
	}
}

int weft_draft_prefetch(struct weft_draft *draft, const uint64_t room[WEFT_TIERS], double ahead)
{
	struct mover m = {.draft = draft, .room = room, .ahead = ahead};
	uint32_t *last = malloc((6 * (size_t)draft->problem->bases + 1) * sizeof(*last));
	int result = -ENOMEM;

	m.live[0] = calloc(draft->actions + 1, sizeof(uint64_t));
	m.live[1] = calloc(draft->actions + 1, sizeof(uint64_t));
	m.clock = calloc(draft->actions + 1, sizeof(double));
	m.key = calloc(draft->actions + 1, sizeof(double));
	if (m.live[0] && m.live[1] && m.clock && m.key && last) {
		measure(&m);
		move_loads(&m, last);
		result = reorder(&m);
	}
	free(m.live[0]);
	free(m.live[1]);
	free(m.clock);
	free(m.key);
	free(last);
	return result ? weft_fail(ENOMEM, "no memory for planning") : 0;
}

/* The plan. */

static void finish_action(const struct weft_draft *draft, const struct weft_draft_action *from, struct weft_action *to)
{
	const struct weft_problem *problem = draft->problem;

	to->kind = from->kind;
	to->tier = from->tier;
	to->recompute = from->recompute;
	to->operation = to->value = WEFT_NO_ID;
	if (from->kind == WEFT_ACTION_COMPUTE) {
		to->operation = from->subject;
		for (unsigned int i = 0; i < WEFT_MAX_OPERANDS; i++) {
			uint32_t block = draft->place[from->place + i];

			to->place[i] = block == WEFT_NONE ? 0 : draft->block[block].offset;
		}
		return;
	}
	to->value = problem->base[from->subject].value;
	to->tier = from->kind == WEFT_ACTION_PAGE_IN ? WEFT_TIER_DEVICE
		   : from->kind == WEFT_ACTION_STORE ? WEFT_TIER_STORAGE
		   : from->kind == WEFT_ACTION_DROP  ? from->tier
						     : WEFT_TIER_HOST;
	to->offset = from->kind == WEFT_ACTION_DROP ? 0 : draft->block[from->block].offset;
}

int weft_draft_finish(const struct weft_draft *draft, struct weft_plan **out)
{
	const struct weft_problem *problem = draft->problem;
	struct weft_plan *plan = calloc(1, sizeof(*plan));
	int result;

	if (!plan)
		return weft_fail(ENOMEM, "no memory for the plan");
	plan->action = calloc(draft->actions + 1, sizeof(*plan->action));
	plan->home = calloc(problem->graph->values + 1, sizeof(*plan->home));
	if (!plan->action || !plan->home) {
		weft_plan_free(plan);
		return weft_fail(ENOMEM, "no memory for the plan");
	}
	plan->actions = plan->action_room = draft->actions;
	plan->homes = problem->graph->values;
	for (uint32_t i = 0; i < draft->actions; i++)
		finish_action(draft, &draft->action[i], &plan->action[i]);
	for (uint32_t b = 0; b < problem->bases; b++) {
		const struct weft_base *base = &problem->base[b];

		if (!base->persistent && !base->fed)
			continue;
		plan->home[base->value].tier = draft->home[b].tier;
		plan->home[base->value].offset = draft->block[draft->home[b].offset].offset;
	}
	memcpy(plan->peak, draft->peak, sizeof(plan->peak));
	plan->recomputed = draft->recomputed;
	result = weft_plan_predict(plan, problem->graph, problem->costs);
	if (result) {
		weft_plan_free(plan);
		return result;
	}
	*out = plan;
	return 0;
}
