// SPDX-License-Identifier: MIT
/* From a plan and the times of its actions to levels of memory and blocks of work. */
#include "timeline.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sizes.h"
#include "weft/error.h"

/* A change of a tier's level. */
struct change {
	uint64_t at_ns;
	int64_t bytes;
	uint32_t order; /* releases come before what takes their place */
	uint8_t tier, kind;
};

struct builder {
	const struct weft_graph *graph;
	const struct weft_plan *plan;
	const struct timeline_span *span;
	uint8_t *kind;			/* per value */
	uint64_t *last_use[WEFT_TIERS]; /* per value: end of the last action on its copy */
	bool *present[WEFT_TIERS];
	struct change *change;
	size_t changes;
	uint64_t now; /* the latest start so far: for actions without a time of their own */
};

static void classify(struct builder *builder)
{
	const struct weft_graph *graph = builder->graph;
	const struct weft_plan *plan = builder->plan;

	for (weft_id id = 0; id < graph->values; id++) {
		const struct weft_value *value = &graph->value[id];

		switch (value->kind) {
		case WEFT_VALUE_WEIGHT:
		case WEFT_VALUE_CONSTANT:
			builder->kind[id] = TIMELINE_WEIGHT;
			break;
		case WEFT_VALUE_STATE:
			builder->kind[id] = TIMELINE_STATE;
			break;
		case WEFT_VALUE_INPUT:
		case WEFT_VALUE_STEP:
			builder->kind[id] = TIMELINE_INPUT;
			break;
		default:
			builder->kind[id] = value->backward ? TIMELINE_GRADIENT : TIMELINE_KEPT;
		}
	}
	for (uint32_t i = 0; i < plan->actions; i++) {
		const struct weft_action *action = &plan->action[i];

		if (action->kind == WEFT_ACTION_PAGE_IN && builder->kind[action->value] == TIMELINE_KEPT)
			builder->kind[action->value] = TIMELINE_PAGED;
		if (action->kind != WEFT_ACTION_COMPUTE || !action->recompute)
			continue;
		for (unsigned int slot = graph->operation[action->operation].inputs;
		     slot < graph->operation[action->operation].operands; slot++) {
			weft_id id = graph->operation[action->operation].operand[slot];

			if (id != WEFT_NO_ID && builder->kind[graph->value[id].base] == TIMELINE_KEPT)
				builder->kind[graph->value[id].base] = TIMELINE_RECOMPUTED;
		}
	}
}

static void add_change(struct builder *builder, uint64_t at, weft_id value, enum weft_tier tier, bool gone)
{
	struct change *change = &builder->change[builder->changes];

	if (builder->present[tier][value] == !gone)
		return;
	builder->present[tier][value] = !gone;
	*change = (struct change){
		.at_ns = at,
		.bytes = gone ? -(int64_t)builder->graph->value[value].bytes
			      : (int64_t)builder->graph->value[value].bytes,
		.order = (uint32_t)builder->changes++,
		.tier = (uint8_t)tier,
		.kind = builder->kind[value],
	};
}

static void use(struct builder *builder, weft_id value, enum weft_tier tier, uint64_t end)
{
	if (end > builder->last_use[tier][value])
		builder->last_use[tier][value] = end;
}

static void compute(struct builder *builder, const struct weft_action *action, const struct timeline_span *span)
{
	const struct weft_operation *operation = &builder->graph->operation[action->operation];

	for (unsigned int i = 0; i < operation->operands; i++) {
		weft_id base;

		if (operation->operand[i] == WEFT_NO_ID)
			continue;
		base = builder->graph->value[operation->operand[i]].base;
		if (i >= operation->inputs) {
			/* An output in the place of an input: the input's copy ends here. */
			for (unsigned int j = 0; j < operation->inputs; j++) {
				weft_id input = operation->operand[j] == WEFT_NO_ID
							? base
							: builder->graph->value[operation->operand[j]].base;

				if (input != base && action->place[j] == action->place[i])
					add_change(builder, span->start_ns, input, WEFT_TIER_DEVICE, true);
			}
			add_change(builder, span->start_ns, base, WEFT_TIER_DEVICE, false);
		}
		use(builder, base, WEFT_TIER_DEVICE, span->end_ns);
	}
}

/* A copy from one tier to another. */
static void copy(struct builder *builder, weft_id value, enum weft_tier from, enum weft_tier to,
		 const struct timeline_span *span)
{
	use(builder, value, from, span->end_ns);
	add_change(builder, span->start_ns, value, to, false);
	use(builder, value, to, span->end_ns);
}

static void replay(struct builder *builder)
{
	const struct weft_plan *plan = builder->plan;

	for (weft_id id = 0; id < builder->graph->values && id < plan->homes; id++) {
		const struct weft_value *value = &builder->graph->value[id];

		if (value->base == id && value->kind != WEFT_VALUE_ACTIVATION)
			add_change(builder, 0, id, plan->home[id].tier, false);
	}
	for (uint32_t i = 0; i < plan->actions; i++) {
		const struct weft_action *action = &plan->action[i];
		struct timeline_span span = builder->span[i];

		if (span.end_ns < span.start_ns)
			span.start_ns = span.end_ns = builder->now;
		else
			builder->now = span.start_ns > builder->now ? span.start_ns : builder->now;
		switch (action->kind) {
		case WEFT_ACTION_COMPUTE:
			compute(builder, action, &span);
			break;
		case WEFT_ACTION_PAGE_OUT:
			copy(builder, action->value, WEFT_TIER_DEVICE, WEFT_TIER_HOST, &span);
			break;
		case WEFT_ACTION_PAGE_IN:
			copy(builder, action->value, WEFT_TIER_HOST, WEFT_TIER_DEVICE, &span);
			break;
		case WEFT_ACTION_STORE:
			copy(builder, action->value, WEFT_TIER_HOST, WEFT_TIER_STORAGE, &span);
			break;
		case WEFT_ACTION_LOAD:
			copy(builder, action->value, WEFT_TIER_STORAGE, WEFT_TIER_HOST, &span);
			break;
		case WEFT_ACTION_DROP:
			add_change(builder, builder->last_use[action->tier][action->value], action->value, action->tier,
				   true);
			break;
		}
	}
}

static int by_time(const void *a, const void *b)
{
	const struct change *x = a, *y = b;

	if (x->at_ns != y->at_ns)
		return x->at_ns < y->at_ns ? -1 : 1;
	if ((x->bytes < 0) != (y->bytes < 0))
		return x->bytes < 0 ? -1 : 1;
	return x->order < y->order ? -1 : x->order > y->order;
}

static int levels(struct timeline *timeline, struct builder *builder)
{
	qsort(builder->change, builder->changes, sizeof(*builder->change), by_time);
	for (unsigned int tier = 0; tier < WEFT_TIERS; tier++) {
		struct timeline_level *level = calloc(builder->changes + 1, sizeof(*level));
		size_t last = 0;

		if (!level)
			return weft_fail(ENOMEM, "timeline: out of memory");
		for (size_t i = 0; i < builder->changes; i++) {
			const struct change *change = &builder->change[i];

			if (change->tier != tier)
				continue;
			if (change->at_ns != level[last].at_ns) {
				level[last + 1] = level[last];
				level[++last].at_ns = change->at_ns;
			}
			level[last].bytes[change->kind] += (uint64_t)change->bytes;
		}
		timeline->level[tier] = level;
		timeline->levels[tier] = last + 1;
	}
	return 0;
}

static int blocks(struct timeline *timeline, const struct builder *builder)
{
	static const uint8_t lane[] = {
		[WEFT_ACTION_COMPUTE] = TIMELINE_COMPUTE, [WEFT_ACTION_PAGE_OUT] = TIMELINE_OUT,
		[WEFT_ACTION_PAGE_IN] = TIMELINE_IN,	  [WEFT_ACTION_STORE] = TIMELINE_STORE,
		[WEFT_ACTION_LOAD] = TIMELINE_LOAD,
	};
	const struct weft_graph *graph = builder->graph;
	const struct weft_plan *plan = builder->plan;

	timeline->block = calloc(plan->actions + 1, sizeof(*timeline->block));
	if (!timeline->block)
		return weft_fail(ENOMEM, "timeline: out of memory");
	for (uint32_t i = 0; i < plan->actions; i++) {
		const struct weft_action *action = &plan->action[i];
		struct timeline_block *block = &timeline->block[timeline->blocks];

		if (action->kind == WEFT_ACTION_DROP || builder->span[i].end_ns < builder->span[i].start_ns)
			continue;
		block->span = builder->span[i];
		block->lane = lane[action->kind];
		block->recompute = action->kind == WEFT_ACTION_COMPUTE && action->recompute;
		if (action->kind == WEFT_ACTION_COMPUTE) {
			block->name = graph->operation[action->operation].name;
			block->phase = graph->operation[action->operation].phase;
		} else {
			block->name = graph->value[action->value].name;
			block->bytes = graph->value[action->value].bytes;
		}
		if (block->span.end_ns > timeline->end_ns)
			timeline->end_ns = block->span.end_ns;
		timeline->blocks++;
	}
	return 0;
}

static void describe(struct timeline *timeline, const struct builder *builder)
{
	const struct weft_plan *plan = builder->plan;
	unsigned int kinds[TIMELINE_KINDS] = {0};
	char size[24], host[24], time[32];

	for (weft_id id = 0; id < builder->graph->values; id++)
		if (builder->graph->value[id].base == id && !builder->graph->value[id].backward)
			kinds[builder->kind[id]]++;
	snprintf(timeline->title, sizeof(timeline->title), "One %s step of %.64s, batch %u",
		 builder->graph->training ? "training" : "inference",
		 builder->graph->name ? builder->graph->name : "the model", builder->graph->batch);
	snprintf(timeline->subtitle, sizeof(timeline->subtitle),
		 "%s. Device memory %s of %s. Activations: %u kept, %u paged, %u recomputed; %u operations ran again.",
		 seconds_format((double)timeline->end_ns * 1e-9, time), size_format(plan->peak[WEFT_TIER_DEVICE], size),
		 size_format(timeline->budget[WEFT_TIER_DEVICE], host), kinds[TIMELINE_KEPT], kinds[TIMELINE_PAGED],
		 kinds[TIMELINE_RECOMPUTED], plan->recomputed);
}

static void builder_free(struct builder *builder)
{
	for (unsigned int tier = 0; tier < WEFT_TIERS; tier++) {
		free(builder->last_use[tier]);
		free(builder->present[tier]);
	}
	free(builder->kind);
	free(builder->change);
}

int timeline_build(struct timeline *timeline, const struct weft_graph *graph, const struct weft_plan *plan,
		   const struct weft_budget *budget, const struct timeline_span *span)
{
	struct builder builder = {.graph = graph, .plan = plan, .span = span};
	size_t values = graph->values ? graph->values : 1, room = values + 1;
	int result = 0;

	memset(timeline, 0, sizeof(*timeline));
	memcpy(timeline->peak, plan->peak, sizeof(timeline->peak));
	memcpy(timeline->budget, budget->bytes, sizeof(timeline->budget));
	/* An action changes at most: a release and a copy per operand. */
	room += (size_t)plan->actions * 2 * WEFT_MAX_OPERANDS;
	builder.kind = calloc(values, sizeof(*builder.kind));
	builder.change = calloc(room, sizeof(*builder.change));
	for (unsigned int tier = 0; tier < WEFT_TIERS; tier++) {
		builder.last_use[tier] = calloc(values, sizeof(uint64_t));
		builder.present[tier] = calloc(values, sizeof(bool));
		if (!builder.last_use[tier] || !builder.present[tier])
			result = -ENOMEM;
	}
	if (result || !builder.kind || !builder.change) {
		builder_free(&builder);
		return weft_fail(ENOMEM, "timeline: out of memory");
	}
	classify(&builder);
	replay(&builder);
	result = levels(timeline, &builder);
	if (!result)
		result = blocks(timeline, &builder);
	if (!result)
		describe(timeline, &builder);
	builder_free(&builder);
	if (result)
		timeline_free(timeline);
	return result;
}

void timeline_free(struct timeline *timeline)
{
	for (unsigned int tier = 0; tier < WEFT_TIERS; tier++)
		free(timeline->level[tier]);
	free(timeline->block);
	memset(timeline, 0, sizeof(*timeline));
}
