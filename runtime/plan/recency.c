// SPDX-License-Identifier: MIT
/*
 * Each copy counts its bytes at the action that touched it last; what was touched since
 * some action is the sum over the later ones, which a Fenwick tree per tier keeps.
 * Source: Bennett and Kruskal, "LRU Stack Processing", IBM Journal of Research and
 * Development 19(4), 1975.
 */
#include "plan/recency.h"

#include <stdlib.h>

/* Memories are numbered as their tiers are. */
enum { DEVICE = WEFT_TIER_DEVICE, HOST = WEFT_TIER_HOST, MEMORIES };

struct weft_recency {
	const struct weft_graph *graph;
	uint32_t actions;
	uint64_t device_bytes;
	uint64_t *tree[MEMORIES]; /* sums over actions; negative parts wrap around */
	uint64_t total[MEMORIES];
	uint32_t *last[MEMORIES]; /* per base value: the action that touched its copy last, plus 1; 0: none */
};

struct weft_recency *weft_recency_new(const struct weft_plan *plan, const struct weft_graph *graph)
{
	struct weft_recency *recency = calloc(1, sizeof(*recency));

	if (!recency)
		return NULL;
	recency->graph = graph;
	recency->actions = plan->actions;
	recency->device_bytes = plan->peak[WEFT_TIER_DEVICE];
	for (unsigned int m = 0; m < MEMORIES; m++) {
		recency->tree[m] = calloc((size_t)plan->actions + 1, sizeof(*recency->tree[m]));
		recency->last[m] = calloc((size_t)graph->values + 1, sizeof(*recency->last[m]));
		if (!recency->tree[m] || !recency->last[m]) {
			weft_recency_free(recency);
			return NULL;
		}
	}
	return recency;
}

void weft_recency_free(struct weft_recency *recency)
{
	if (!recency)
		return;
	for (unsigned int m = 0; m < MEMORIES; m++) {
		free(recency->tree[m]);
		free(recency->last[m]);
	}
	free(recency);
}

/* Actions count from 1 here. */
static void add(struct weft_recency *recency, unsigned int memory, uint32_t action, uint64_t bytes)
{
	recency->total[memory] += bytes;
	for (; action <= recency->actions; action += action & -action)
		recency->tree[memory][action] += bytes;
}

/* Bytes whose last touch was @action's or a later one's. */
static uint64_t since(const struct weft_recency *recency, unsigned int memory, uint32_t action)
{
	uint64_t before = 0;

	for (action--; action; action -= action & -action)
		before += recency->tree[memory][action];
	return recency->total[memory] - before;
}

uint64_t weft_recency_bytes(const struct weft_recency *recency, enum weft_tier tier, weft_id value)
{
	uint32_t last = recency->last[tier][value];
	uint64_t device;

	if (!last)
		return UINT64_MAX;
	/* Values that followed one another in the same place are one piece of memory. */
	device = since(recency, DEVICE, last);
	return since(recency, HOST, last) + (device < recency->device_bytes ? device : recency->device_bytes);
}

static void touch(struct weft_recency *recency, unsigned int memory, weft_id base, uint32_t index)
{
	uint32_t *last = &recency->last[memory][base];
	uint64_t bytes = recency->graph->value[base].bytes;

	if (*last)
		add(recency, memory, *last, -bytes);
	*last = index + 1;
	add(recency, memory, *last, bytes);
}

void weft_recency_touch(struct weft_recency *recency, const struct weft_action *action, uint32_t index)
{
	const struct weft_operation *operation;

	if (action->kind == WEFT_ACTION_DROP)
		return;
	if (action->kind != WEFT_ACTION_COMPUTE) {
		touch(recency, HOST, action->value, index);
		if (action->kind == WEFT_ACTION_PAGE_IN || action->kind == WEFT_ACTION_PAGE_OUT)
			touch(recency, DEVICE, action->value, index);
		return;
	}
	operation = &recency->graph->operation[action->operation];
	for (unsigned int i = 0; i < operation->operands; i++)
		if (operation->operand[i] != WEFT_NO_ID)
			touch(recency, DEVICE, recency->graph->value[operation->operand[i]].base, index);
}
