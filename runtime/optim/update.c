// SPDX-License-Identifier: MIT
#include "optim/update.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "graph/build.h"
#include "graph/prune.h"
#include "optim/gradients.h"
#include "weft/error.h"

int weft_optimizer_state(struct weft_graph *graph, weft_id weight, const char *suffix, struct weft_operand *state)
{
	char *name;
	int r;

	if (asprintf(&name, "%s.%s", graph->value[weight].name, suffix) < 0)
		return weft_fail(ENOMEM, "no memory for the name of a moment");
	state->layout = graph->value[weight].layout;
	r = weft_graph_add_value(graph, name, WEFT_VALUE_STATE, &state->layout, &state->id);
	free(name);
	return r;
}

struct weft_operand weft_operand_flat(const struct weft_operand *operand)
{
	struct weft_operand flat = {.id = operand->id, .layout = {.type = WEFT_TYPE_F32, .rank = 1}};

	flat.layout.dims[0] = (uint32_t)weft_layout_elements(&operand->layout);
	flat.layout.strides[0] = 1;
	return flat;
}

static int add_update(struct weft_graph *graph, const struct weft_weight_gradient *gradient,
		      const struct weft_operand *hyper, enum weft_optimizer optimizer, bool nesterov)
{
	struct weft_operand weight = weft_operand_of(graph, gradient->weight), state[2];
	struct weft_operand operand[5] = {gradient->gradient, *hyper, weft_operand_flat(&weight)};
	bool sgd = optimizer == WEFT_OPTIMIZER_SGD;
	union weft_params params = {0};
	unsigned int i, states = sgd ? 1 : 2;
	char name[300];
	weft_id at;
	int r;

	params.optimizer.nesterov = sgd && nesterov;
	params.optimizer.decoupled = optimizer == WEFT_OPTIMIZER_ADAMW;
	r = weft_optimizer_state(graph, weight.id, sgd ? "momentum" : "moment1", &state[0]);
	if (!r && !sgd)
		r = weft_optimizer_state(graph, weight.id, "moment2", &state[1]);
	if (r)
		return r;
	for (i = 0; i < states; i++)
		operand[3 + i] = weft_operand_flat(&state[i]);
	snprintf(name, sizeof(name), "%s.update", graph->value[weight.id].name);
	r = weft_build(graph, name, sgd ? WEFT_OP_SGD : WEFT_OP_ADAM, &params, 2, 3 + states, operand, &at);
	if (!r)
		graph->operation[at].phase = WEFT_PHASE_UPDATE;
	return r;
}

/* Where the operations that make a base, and all that touch it, have been placed so far. */
struct place {
	uint64_t made, touched;
};

/* The first place for @operation: after what makes its inputs, and after the readers of what it updates. */
static uint64_t earliest(const struct weft_graph *graph, const struct weft_operation *operation,
			 const struct place place[])
{
	uint64_t first = 1;
	unsigned int slot;

	for (slot = 0; slot < operation->operands; slot++) {
		const struct place *base;
		uint64_t after = 0;

		if (operation->operand[slot] == WEFT_NO_ID)
			continue;
		base = &place[graph->value[operation->operand[slot]].base];
		if (slot < operation->inputs)
			after = base->made;
		else if (operation->updates & (1u << slot))
			after = base->touched;
		if (after > first)
			first = after;
	}
	return first;
}

/* Note that @operation stands at @key. */
static void note(const struct weft_graph *graph, const struct weft_operation *operation, uint64_t key,
		 struct place place[])
{
	unsigned int slot;

	for (slot = 0; slot < operation->operands; slot++) {
		struct place *base;

		if (operation->operand[slot] == WEFT_NO_ID)
			continue;
		base = &place[graph->value[operation->operand[slot]].base];
		if (key > base->touched)
			base->touched = key;
		if (slot >= operation->inputs && key > base->made)
			base->made = key;
	}
}

/*
 * Place each operation from @first on as early as may be.  The operations before
 * keep their order: the one at index i is followed by key 2 * i + 1, under which
 * those that wait for it stand in the order in which they were appended.
 */
static int place_updates(struct weft_graph *graph, weft_id first)
{
	struct place *place = calloc(graph->values + 1, sizeof(*place));
	uint64_t *key = calloc(graph->operations + 1, sizeof(*key));
	weft_id at;
	int r = 0;

	if (!place || !key)
		r = weft_fail(ENOMEM, "no memory to place updates");
	for (at = 0; at < graph->operations && !r; at++) {
		const struct weft_operation *operation = &graph->operation[at];

		key[at] = at < first ? 2 * (uint64_t)at : earliest(graph, operation, place);
		note(graph, operation, at < first ? key[at] + 1 : key[at], place);
	}
	if (!r)
		r = weft_graph_reorder(graph, key);
	free(place);
	free(key);
	return r;
}

/* Gradients of all weights that are trained. */
static int collect(struct weft_graph *graph, struct weft_weight_gradient *gradient, uint32_t *count)
{
	*count = 0;
	for (weft_id id = 0; id < graph->values; id++) {
		const struct weft_value *value = &graph->value[id];
		struct weft_operand operand;

		if (value->kind != WEFT_VALUE_WEIGHT || value->gradient == WEFT_NO_ID || value->frozen)
			continue;
		if (!weft_layout_is_dense(&value->layout) || weft_layout_elements(&value->layout) > INT32_MAX)
			return weft_fail(EINVAL, "weight %s is not one run of elements", value->name);
		operand = weft_operand_of(graph, value->gradient);
		gradient[(*count)++] = (struct weft_weight_gradient){id, weft_operand_flat(&operand)};
	}
	return 0;
}

int weft_optimizer_append(struct weft_graph *graph, enum weft_optimizer optimizer, bool nesterov,
			  const struct weft_tuning *tuning)
{
	struct weft_layout layout = {.type = WEFT_TYPE_F32, .rank = 1, .dims = {WEFT_HYPERS}, .strides = {1}};
	struct weft_weight_gradient *gradient = calloc(graph->values + 1, sizeof(*gradient));
	weft_id first = graph->operations, at;
	struct weft_operand hyper;
	uint32_t count;
	int r;

	if (!gradient)
		return weft_fail(ENOMEM, "no memory for the gradients of %u values", graph->values);
	r = collect(graph, gradient, &count);
	if (!r)
		r = weft_graph_add_value(graph, "weft.hyper", WEFT_VALUE_STEP, &layout, &graph->hyper);
	if (!r && tuning && tuning->accumulate > 1) {
		graph->accumulate = tuning->accumulate;
		r = weft_gradients_accumulate(graph, gradient, count);
	}
	if (!r) {
		hyper = weft_operand_of(graph, graph->hyper);
		if (tuning && tuning->clip_norm > 0)
			r = weft_gradients_clip(graph, gradient, count, tuning->clip_norm, &hyper);
	}
	for (at = first; !r && at < graph->operations; at++)
		graph->operation[at].phase = WEFT_PHASE_UPDATE;
	for (uint32_t i = 0; i < count && !r; i++)
		r = add_update(graph, &gradient[i], &hyper, optimizer, nesterov);
	free(gradient);
	return r ? r : place_updates(graph, first);
}
