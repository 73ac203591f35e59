// SPDX-License-Identifier: MIT
#include "graph/prune.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "weft/error.h"

/* Producers from scratch: the last writer counts. */
static void renumber(struct weft_graph *graph)
{
	weft_id id, at;
	unsigned int slot;

	for (id = 0; id < graph->values; id++)
		graph->value[id].producer = WEFT_NO_ID;
	for (at = 0; at < graph->operations; at++) {
		const struct weft_operation *operation = &graph->operation[at];

		for (slot = operation->inputs; slot < operation->operands; slot++) {
			if (operation->operand[slot] == WEFT_NO_ID)
				continue;
			graph->value[operation->operand[slot]].producer = at;
			graph->value[graph->value[operation->operand[slot]].base].producer = at;
		}
	}
}

static void free_operation(struct weft_operation *operation)
{
	unsigned int slot;

	free(operation->name);
	for (slot = 0; slot < WEFT_MAX_OPERANDS; slot++)
		free(operation->view[slot]);
}

static bool is_needed(const struct weft_graph *graph, const struct weft_operation *operation, const bool needed[])
{
	unsigned int slot;

	for (slot = operation->inputs; slot < operation->operands; slot++) {
		const struct weft_value *base;

		if (operation->operand[slot] == WEFT_NO_ID)
			continue;
		base = &graph->value[graph->value[operation->operand[slot]].base];
		if (base->kind != WEFT_VALUE_ACTIVATION || needed[graph->value[operation->operand[slot]].base])
			return true;
	}
	return false;
}

void weft_graph_remove(struct weft_graph *graph, const bool gone[])
{
	weft_id at, kept = 0;

	for (at = 0; at < graph->operations; at++) {
		if (!gone[at])
			graph->operation[kept++] = graph->operation[at];
		else
			free_operation(&graph->operation[at]);
	}
	graph->operations = kept;
	renumber(graph);
}

int weft_graph_prune(struct weft_graph *graph)
{
	bool *needed = calloc(graph->values + 1, sizeof(*needed));
	bool *gone = calloc(graph->operations + 1, sizeof(*gone));
	weft_id id, at;
	unsigned int slot;

	if (!needed || !gone) {
		free(needed);
		free(gone);
		return weft_fail(ENOMEM, "no memory to prune %u operations", graph->operations);
	}
	for (id = 0; id < graph->values; id++)
		if (graph->value[id].output)
			needed[graph->value[id].base] = true;
	for (at = graph->operations; at-- > 0;) {
		const struct weft_operation *operation = &graph->operation[at];

		gone[at] = !is_needed(graph, operation, needed);
		for (slot = 0; !gone[at] && slot < operation->inputs; slot++)
			if (operation->operand[slot] != WEFT_NO_ID)
				needed[graph->value[operation->operand[slot]].base] = true;
	}
	weft_graph_remove(graph, gone);
	free(needed);
	free(gone);
	return 0;
}

struct place {
	uint64_t key;
	weft_id at;
};

static int compare_places(const void *a, const void *b)
{
	const struct place *x = a, *y = b;

	if (x->key != y->key)
		return x->key < y->key ? -1 : 1;
	return x->at < y->at ? -1 : x->at > y->at;
}

int weft_graph_reorder(struct weft_graph *graph, const uint64_t key[])
{
	struct place *place = malloc((graph->operations + 1) * sizeof(*place));
	struct weft_operation *sorted = calloc(graph->operations + 1, sizeof(*sorted));
	weft_id at;

	if (!place || !sorted) {
		free(place);
		free(sorted);
		return weft_fail(ENOMEM, "no memory to order %u operations", graph->operations);
	}
	for (at = 0; at < graph->operations; at++)
		place[at] = (struct place){key[at], at};
	qsort(place, graph->operations, sizeof(*place), compare_places);
	for (at = 0; at < graph->operations; at++)
		sorted[at] = graph->operation[place[at].at];
	free(graph->operation);
	free(place);
	graph->operation = sorted;
	graph->operation_room = graph->operations + 1;
	renumber(graph);
	return 0;
}
