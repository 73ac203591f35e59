// SPDX-License-Identifier: MIT
#include "plan/walk.h"

#include <errno.h>
#include <stdlib.h>

#include "weft/error.h"

int weft_walk_begin(struct weft_walk *walk, const struct weft_plan *plan, const struct weft_graph *graph)
{
	*walk = (struct weft_walk){.plan = plan, .graph = graph};
	walk->at = calloc(graph->values + 1, sizeof(*walk->at));
	if (!walk->at)
		return weft_fail(ENOMEM, "no memory to walk through a plan");
	for (weft_id v = 0; v < graph->values && v < plan->homes; v++)
		if (graph->value[v].base == v && graph->value[v].kind != WEFT_VALUE_ACTIVATION)
			walk->at[v][plan->home[v].tier] = plan->home[v].offset;
	return 0;
}

void weft_walk_end(struct weft_walk *walk)
{
	free(walk->at);
	walk->at = NULL;
}

static void add_access(struct weft_walk *walk, enum weft_tier tier, uint64_t offset, uint64_t bytes, bool write)
{
	walk->access[walk->accesses++] = (struct weft_access){tier, write, offset, offset + bytes};
}

static void transfer(struct weft_walk *walk, const struct weft_action *action, enum weft_tier from, enum weft_tier to)
{
	uint64_t room = walk->graph->value[action->value].bytes;

	walk->bytes = room;
	walk->from = walk->at[action->value][from];
	walk->to = action->offset;
	walk->at[action->value][to] = action->offset;
	if (from == WEFT_TIER_STORAGE || to == WEFT_TIER_STORAGE)
		room = weft_whole_blocks(room);
	add_access(walk, from, walk->from, room, false);
	add_access(walk, to, walk->to, room, true);
}

static void compute(struct weft_walk *walk, const struct weft_action *action)
{
	const struct weft_operation *operation = &walk->graph->operation[action->operation];

	for (unsigned int i = 0; i < operation->operands; i++) {
		weft_id base;

		if (operation->operand[i] == WEFT_NO_ID)
			continue;
		base = walk->graph->value[operation->operand[i]].base;
		add_access(walk, WEFT_TIER_DEVICE, action->place[i], walk->graph->value[base].bytes,
			   i >= operation->inputs);
		if (i >= operation->inputs)
			walk->at[base][WEFT_TIER_DEVICE] = action->place[i];
	}
}

const struct weft_action *weft_walk_next(struct weft_walk *walk)
{
	const struct weft_action *action;

	if (walk->next >= walk->plan->actions)
		return NULL;
	action = &walk->plan->action[walk->next++];
	walk->accesses = 0;
	walk->bytes = 0;
	switch (action->kind) {
	case WEFT_ACTION_COMPUTE:
		compute(walk, action);
		break;
	case WEFT_ACTION_PAGE_OUT:
		transfer(walk, action, WEFT_TIER_DEVICE, WEFT_TIER_HOST);
		break;
	case WEFT_ACTION_PAGE_IN:
		transfer(walk, action, WEFT_TIER_HOST, WEFT_TIER_DEVICE);
		break;
	case WEFT_ACTION_STORE:
		transfer(walk, action, WEFT_TIER_HOST, WEFT_TIER_STORAGE);
		break;
	case WEFT_ACTION_LOAD:
		transfer(walk, action, WEFT_TIER_STORAGE, WEFT_TIER_HOST);
		break;
	default:
		break;
	}
	return action;
}
