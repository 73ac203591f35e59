// SPDX-License-Identifier: MIT
#include "optim/update.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "graph/build.h"
#include "graph/prune.h"
#include "weft/error.h"

static int add_state(struct weft_graph *graph, weft_id weight, const char *suffix, struct weft_operand *state)
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

/* All operands as one run of elements: weight, gradient and moments have the same layout. */
static void flatten(const struct weft_graph *graph, unsigned int slot, struct weft_operand *operand)
{
	struct weft_layout flat = {.type = WEFT_TYPE_F32, .rank = 1};

	if (slot == 1 || operand->id == WEFT_NO_ID)
		return;
	flat.dims[0] = (uint32_t)weft_layout_elements(&graph->value[operand->id].layout);
	flat.strides[0] = 1;
	operand->layout = flat;
}

static int add_update(struct weft_graph *graph, weft_id weight, enum weft_optimizer optimizer, bool nesterov)
{
	struct weft_operand operand[5] = {weft_operand_of(graph, graph->value[weight].gradient),
					  weft_operand_of(graph, graph->hyper), weft_operand_of(graph, weight)};
	bool sgd = optimizer == WEFT_OPTIMIZER_SGD;
	union weft_params params = {0};
	unsigned int i, operands = sgd ? 4 : 5;
	char name[300];
	weft_id at;
	int r;

	if (!weft_layout_is_dense(&graph->value[weight].layout) ||
	    weft_layout_elements(&graph->value[weight].layout) > INT32_MAX)
		return weft_fail(EINVAL, "weight %s is not one run of elements", graph->value[weight].name);
	params.optimizer.nesterov = sgd && nesterov;
	params.optimizer.decoupled = optimizer == WEFT_OPTIMIZER_ADAMW;
	r = add_state(graph, weight, sgd ? "momentum" : "moment1", &operand[3]);
	if (!r && !sgd)
		r = add_state(graph, weight, "moment2", &operand[4]);
	if (r)
		return r;
	for (i = 0; i < operands; i++)
		flatten(graph, i, &operand[i]);
	snprintf(name, sizeof(name), "%s.update", graph->value[weight].name);
	r = weft_build(graph, name, sgd ? WEFT_OP_SGD : WEFT_OP_ADAM, &params, 2, operands, operand, &at);
	if (!r)
		graph->operation[at].phase = WEFT_PHASE_UPDATE;
	return r;
}

/* Place each update after the last operation before @first that uses its weight or makes its gradient. */
static int place_updates(struct weft_graph *graph, weft_id first)
{
	weft_id *last = calloc(graph->values + 1, sizeof(*last)), at;
	uint64_t *key = calloc(graph->operations + 1, sizeof(*key));
	unsigned int slot;
	int r = 0;

	if (!last || !key) {
		free(last);
		free(key);
		return weft_fail(ENOMEM, "no memory to place updates");
	}
	for (at = 0; at < first; at++) {
		key[at] = 2 * (uint64_t)at;
		for (slot = 0; slot < graph->operation[at].operands; slot++)
			if (graph->operation[at].operand[slot] != WEFT_NO_ID)
				last[graph->value[graph->operation[at].operand[slot]].base] = at;
	}
	for (; at < graph->operations; at++) {
		const struct weft_operation *update = &graph->operation[at];
		weft_id weight = last[graph->value[update->operand[2]].base];
		weft_id gradient = graph->value[graph->value[update->operand[0]].base].producer;

		if (gradient == WEFT_NO_ID)
			gradient = 0;
		key[at] = 2 * (uint64_t)(weight > gradient ? weight : gradient) + 1;
	}
	r = weft_graph_reorder(graph, key);
	free(last);
	free(key);
	return r;
}

int weft_optimizer_append(struct weft_graph *graph, enum weft_optimizer optimizer, bool nesterov)
{
	struct weft_layout hyper = {.type = WEFT_TYPE_F32, .rank = 1, .dims = {WEFT_HYPERS}, .strides = {1}};
	weft_id first = graph->operations, id, values = graph->values;
	int r = weft_graph_add_value(graph, "weft.hyper", WEFT_VALUE_STEP, &hyper, &graph->hyper);

	for (id = 0; id < values && !r; id++)
		if (graph->value[id].kind == WEFT_VALUE_WEIGHT && graph->value[id].gradient != WEFT_NO_ID &&
		    !graph->value[id].frozen)
			r = add_update(graph, id, optimizer, nesterov);
	return r ? r : place_updates(graph, first);
}
