// SPDX-License-Identifier: MIT
/* What is computed twice from the same values is computed once. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "compile/passes.h"
#include "compile/uses.h"
#include "graph/build.h"
#include "graph/layout.h"
#include "graph/prune.h"
#include "weft/error.h"

/* Whether all results are values of their own that this operation makes alone, and the host does not read. */
static bool is_pure(const struct weft_uses *uses, const struct weft_graph *graph,
		    const struct weft_operation *operation)
{
	if (!operation->recomputable)
		return false;
	for (unsigned int slot = operation->inputs; slot < operation->operands; slot++) {
		weft_id id = operation->operand[slot];

		if (id != WEFT_NO_ID &&
		    (graph->value[id].base != id || graph->value[id].kind != WEFT_VALUE_ACTIVATION ||
		     graph->value[id].output || uses->writers[id] != 1))
			return false;
	}
	return true;
}

static uint64_t hash_of(const struct weft_operation *operation)
{
	uint64_t hash = operation->opcode;

	for (unsigned int slot = 0; slot < operation->inputs; slot++)
		hash = (hash ^ operation->operand[slot]) * 0x9e3779b97f4a7c15;
	return hash ^ hash >> 29;
}

static bool same_operand(const struct weft_graph *graph, const struct weft_operation *a, const struct weft_operation *b,
			 unsigned int slot)
{
	struct weft_operand x = weft_operand_in(graph, a, slot), y = weft_operand_in(graph, b, slot);
	bool input = slot < a->inputs;

	if (x.id == WEFT_NO_ID || y.id == WEFT_NO_ID)
		return x.id == y.id;
	/* Views of one base are the same if they show the same part of it in the same way. */
	if (input && (graph->value[x.id].base != graph->value[y.id].base ||
		      graph->value[x.id].offset != graph->value[y.id].offset))
		return false;
	return weft_layout_same(&x.layout, &y.layout) && x.layout.type == y.layout.type &&
	       (input || (weft_layout_same(&graph->value[x.id].layout, &graph->value[y.id].layout) &&
			  graph->value[x.id].layout.type == graph->value[y.id].layout.type));
}

static bool same(const struct weft_graph *graph, const struct weft_operation *a, const struct weft_operation *b)
{
	if (a->opcode != b->opcode || a->operands != b->operands || memcmp(&a->params, &b->params, sizeof(a->params)))
		return false;
	for (unsigned int slot = 0; slot < a->operands; slot++)
		if (!same_operand(graph, a, b, slot))
			return false;
	return true;
}

/* Everything that names @old, or views it, means @new. */
static void substitute(struct weft_graph *graph, weft_id old, weft_id new)
{
	for (weft_id id = 0; id < graph->values; id++)
		if (id != old && graph->value[id].base == old)
			graph->value[id].base = new;
	for (weft_id at = 0; at < graph->operations; at++)
		for (unsigned int slot = 0; slot < graph->operation[at].inputs; slot++)
			if (graph->operation[at].operand[slot] == old)
				graph->operation[at].operand[slot] = new;
}

static int run(struct weft_graph *graph, const struct weft_graph_options *options)
{
	uint32_t buckets = graph->operations * 2 + 1;
	weft_id *bucket = malloc(buckets * sizeof(*bucket)), *next = malloc((graph->operations + 1) * sizeof(*next));
	struct weft_uses uses;
	int r = weft_uses_begin(&uses, graph);

	(void)options;
	if (!r && (!bucket || !next))
		r = weft_fail(ENOMEM, "no memory to compare %u operations", graph->operations);
	for (uint32_t i = 0; i < buckets && !r; i++)
		bucket[i] = WEFT_NO_ID;
	for (weft_id at = 0; at < graph->operations && !r; at++) {
		const struct weft_operation *operation = &graph->operation[at];
		weft_id *first, earlier;

		if (!is_pure(&uses, graph, operation))
			continue;
		first = &bucket[hash_of(operation) % buckets];
		for (earlier = *first; earlier != WEFT_NO_ID; earlier = next[earlier])
			if (same(graph, &graph->operation[earlier], operation))
				break;
		if (earlier == WEFT_NO_ID) {
			next[at] = *first;
			*first = at;
			continue;
		}
		for (unsigned int slot = operation->inputs; slot < operation->operands; slot++)
			if (operation->operand[slot] != WEFT_NO_ID)
				substitute(graph, operation->operand[slot], graph->operation[earlier].operand[slot]);
		uses.gone[at] = true;
	}
	free(bucket);
	free(next);
	return weft_uses_finish(&uses, graph, r);
}

const struct weft_pass weft_pass_common = {
	.info = {"common", "what is computed twice from the same values is computed once"}, .graph = run};
