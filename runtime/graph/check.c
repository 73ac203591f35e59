// SPDX-License-Identifier: MIT
/* Every rule of graph.h, checked without help from the functions that build graphs. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "graph/graph.h"
#include "graph/layout.h"
#include "graph/slots.h"
#include "weft/error.h"

/* What the walk over the operations knows of a base. */
struct progress {
	uint32_t pieces; /* writes of an activation, in the whole graph */
	uint32_t pieces_done;
	uint64_t elements_done; /* written by pieces so far */
	weft_id updated_by;	/* persistent: the last operation that updates it */
	int64_t updated_end;	/* persistent: bytes up to which it has been updated */
};

static bool persistent(const struct weft_value *value)
{
	return value->kind == WEFT_VALUE_WEIGHT || value->kind == WEFT_VALUE_STATE;
}

static bool within(const struct weft_layout *layout, uint64_t offset, uint64_t bytes)
{
	int64_t first, end;

	if (offset > bytes || bytes > INT64_MAX / 2 || !weft_layout_range(layout, &first, &end))
		return false;
	return (int64_t)offset + first >= 0 && end <= (int64_t)(bytes - offset);
}

static int check_value(const struct weft_graph *graph, weft_id id)
{
	const struct weft_value *value = &graph->value[id], *base;

	if (!value->name || !value->name[0])
		return weft_fail(EINVAL, "value %u has no name", id);
	if (value->base >= graph->values)
		return weft_fail(EINVAL, "value %s: its base %u does not exist", value->name, value->base);
	base = &graph->value[value->base];
	if (base->base != value->base)
		return weft_fail(EINVAL, "value %s is a view of %s, which is itself a view", value->name, base->name);
	if (base->kind != value->kind)
		return weft_fail(EINVAL, "value %s and its base %s are of different kinds", value->name, base->name);
	if (value->base == id) {
		if (value->offset || !value->bytes || weft_layout_bytes(&value->layout) != value->bytes)
			return weft_fail(EINVAL, "value %s: %llu bytes of storage do not fit its layout", value->name,
					 (unsigned long long)value->bytes);
	} else if (value->bytes || value->data) {
		return weft_fail(EINVAL, "value %s is a view but has storage or contents of its own", value->name);
	} else if (!within(&value->layout, value->offset, base->bytes)) {
		return weft_fail(EINVAL, "value %s reaches outside its base %s", value->name, base->name);
	}
	if (value->kind == WEFT_VALUE_CONSTANT && value->base == id && !value->data && value->whole == WEFT_NO_ID)
		return weft_fail(EINVAL, "constant %s has no contents", value->name);
	if (value->gradient != WEFT_NO_ID && value->gradient >= graph->values)
		return weft_fail(EINVAL, "value %s: its gradient %u does not exist", value->name, value->gradient);
	if (value->grid && (value->base != id || value->pieces != weft_grid_pieces(value->grid) || !value->pieces ||
			    value->piece >= graph->values || value->pieces > graph->values - value->piece))
		return weft_fail(EINVAL, "value %s stands in pieces that are not there", value->name);
	if (value->whole != WEFT_NO_ID &&
	    (value->whole >= graph->values || !graph->value[value->whole].grid ||
	     graph->value[value->whole].kind != value->kind || id < graph->value[value->whole].piece ||
	     id - graph->value[value->whole].piece >= graph->value[value->whole].pieces))
		return weft_fail(EINVAL, "value %s is a piece of nothing", value->name);
	if (value->file_rank > WEFT_MAX_RANK)
		return weft_fail(EINVAL, "value %s: rank %u in the file", value->name, value->file_rank);
	return 0;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int check_names(const struct weft_graph *graph)
{
	const char **name = malloc((graph->values + 1) * sizeof(*name));
	uint32_t i;
	int r = 0;

	if (!name)
		return weft_fail(ENOMEM, "no memory to check %u names", graph->values);
	for (i = 0; i < graph->values; i++)
		name[i] = graph->value[i].name;
	qsort(name, graph->values, sizeof(*name), compare_names);
	for (i = 1; i < graph->values && !r; i++)
		if (!strcmp(name[i - 1], name[i]))
			r = weft_fail(EINVAL, "two values are called %s", name[i]);
	free(name);
	return r;
}

static const struct weft_layout *operand_layout(const struct weft_graph *graph, const struct weft_operation *operation,
						unsigned int slot)
{
	if (operation->view[slot])
		return operation->view[slot];
	return &graph->value[operation->operand[slot]].layout;
}

static int check_in_place(const struct weft_graph *graph, const struct weft_operation *operation, unsigned int slot)
{
	unsigned int input = operation->in_place[slot];
	const struct weft_value *in, *out;

	if (slot < operation->inputs || slot >= operation->operands || input >= operation->inputs ||
	    operation->operand[slot] == WEFT_NO_ID || operation->operand[input] == WEFT_NO_ID)
		return weft_fail(EINVAL, "operation %s: in-place slot %u takes over slot %u, which cannot be",
				 operation->name, slot, input);
	in = &graph->value[operation->operand[input]];
	out = &graph->value[operation->operand[slot]];
	if (out->base != operation->operand[slot] || graph->value[in->base].kind != WEFT_VALUE_ACTIVATION ||
	    out->kind != WEFT_VALUE_ACTIVATION || graph->value[in->base].bytes != out->bytes || in->offset ||
	    !weft_layout_same(operand_layout(graph, operation, input), operand_layout(graph, operation, slot)))
		return weft_fail(EINVAL, "operation %s: %s cannot take over the storage of %s: they differ in layout",
				 operation->name, out->name, in->name);
	return 0;
}

static int check_operation(const struct weft_graph *graph, const struct weft_operation *operation)
{
	const struct weft_slots *slots = weft_slots_of(operation->opcode);
	unsigned int i;
	int r;

	if (!operation->name || !slots)
		return weft_fail(EINVAL, "operation %s: unknown opcode 0x%x",
				 operation->name ? operation->name : "without a name", operation->opcode);
	if (operation->inputs != slots->inputs || operation->operands != slots->inputs + slots->outputs)
		return weft_fail(EINVAL, "operation %s (%s): wrong number of operands", operation->name, slots->name);
	for (i = 0; i < operation->operands; i++) {
		weft_id id = operation->operand[i];
		const struct weft_value *value;

		if (id == WEFT_NO_ID) {
			if (!(slots->optional & (1u << i)))
				return weft_fail(EINVAL, "operation %s (%s): operand %u is absent", operation->name,
						 slots->name, i);
			continue;
		}
		if (id >= graph->values)
			return weft_fail(EINVAL, "operation %s (%s): operand %u names no value", operation->name,
					 slots->name, i);
		value = &graph->value[id];
		if (graph->value[value->base].grid)
			return weft_fail(EINVAL, "operation %s (%s): %s stands in pieces", operation->name, slots->name,
					 value->name);
		if (operation->view[i] && (operation->view[i]->type != value->layout.type ||
					   !within(operation->view[i], value->offset, graph->value[value->base].bytes)))
			return weft_fail(EINVAL, "operation %s (%s): operand %u is shown beyond %s", operation->name,
					 slots->name, i, value->name);
		if (operation->may_in_place & (1u << i)) {
			r = check_in_place(graph, operation, i);
			if (r)
				return r;
		}
	}
	if (operation->may_in_place >> operation->operands || operation->updates >> operation->operands ||
	    operation->updates & ((1u << operation->inputs) - 1))
		return weft_fail(EINVAL, "operation %s: marks on slots that are no outputs", operation->name);
	if (operation->recomputable && operation->updates)
		return weft_fail(EINVAL, "operation %s updates a value and so cannot be recomputed", operation->name);
	return 0;
}

static int check_reads(const struct weft_graph *graph, weft_id at, const struct progress *progress)
{
	const struct weft_operation *operation = &graph->operation[at];
	unsigned int i;

	for (i = 0; i < operation->inputs; i++) {
		const struct weft_value *value;
		const struct progress *p;

		if (operation->operand[i] == WEFT_NO_ID)
			continue;
		value = &graph->value[operation->operand[i]];
		p = &progress[value->base];
		if (value->kind == WEFT_VALUE_ACTIVATION && (!p->pieces || p->pieces_done < p->pieces))
			return weft_fail(EINVAL, "operation %s reads %s before it is whole", operation->name,
					 value->name);
		if (persistent(value) && p->updated_by != WEFT_NO_ID)
			return weft_fail(EINVAL, "operation %s reads %s after its update by %s", operation->name,
					 value->name, graph->operation[p->updated_by].name);
	}
	return 0;
}

/* Updates of one value go on where those before them ended, or later. */
static int check_update(const struct weft_graph *graph, weft_id at, unsigned int slot, struct progress *progress)
{
	const struct weft_operation *operation = &graph->operation[at];
	const struct weft_value *value = &graph->value[operation->operand[slot]];
	int64_t first, end;

	if (!(operation->updates & (1u << slot)) ||
	    !weft_layout_range(operand_layout(graph, operation, slot), &first, &end) ||
	    first + (int64_t)value->offset < progress->updated_end)
		return weft_fail(EINVAL, "operation %s: %s is written without reading, or twice", operation->name,
				 value->name);
	progress->updated_by = at;
	progress->updated_end = end + (int64_t)value->offset;
	return 0;
}

static int check_writes(const struct weft_graph *graph, weft_id at, struct progress *progress)
{
	const struct weft_operation *operation = &graph->operation[at];
	unsigned int i;

	for (i = operation->inputs; i < operation->operands; i++) {
		bool update = operation->updates & (1u << i);
		const struct weft_value *value;
		struct progress *p;

		if (operation->operand[i] == WEFT_NO_ID)
			continue;
		value = &graph->value[operation->operand[i]];
		p = &progress[value->base];
		if (persistent(value)) {
			int r = check_update(graph, at, i, p);

			if (r)
				return r;
			continue;
		}
		if (value->kind != WEFT_VALUE_ACTIVATION)
			return weft_fail(EINVAL, "operation %s writes %s, which only the host may", operation->name,
					 value->name);
		p->pieces_done++;
		if (update) {
			if (!p->elements_done)
				return weft_fail(EINVAL, "operation %s adds to %s before it holds a value",
						 operation->name, value->name);
			continue;
		}
		p->elements_done += weft_layout_elements(operand_layout(graph, operation, i));
		if (p->elements_done > weft_layout_elements(&graph->value[value->base].layout))
			return weft_fail(EINVAL, "operation %s writes a part of %s a second time", operation->name,
					 graph->value[value->base].name);
	}
	return 0;
}

static int check_order(const struct weft_graph *graph)
{
	struct progress *progress = calloc(graph->values + 1, sizeof(*progress));
	weft_id id, at;
	unsigned int i;
	int r = 0;

	if (!progress)
		return weft_fail(ENOMEM, "no memory to check %u values", graph->values);
	for (id = 0; id < graph->values; id++)
		progress[id].updated_by = WEFT_NO_ID;
	for (at = 0; at < graph->operations; at++) {
		const struct weft_operation *operation = &graph->operation[at];

		for (i = operation->inputs; i < operation->operands; i++)
			if (operation->operand[i] != WEFT_NO_ID)
				progress[graph->value[operation->operand[i]].base].pieces++;
	}
	for (at = 0; at < graph->operations && !r; at++) {
		r = check_reads(graph, at, progress);
		if (!r)
			r = check_writes(graph, at, progress);
	}
	for (id = 0; id < graph->values && !r; id++)
		if (progress[id].pieces && graph->value[id].kind == WEFT_VALUE_ACTIVATION &&
		    progress[id].elements_done != weft_layout_elements(&graph->value[id].layout))
			r = weft_fail(EINVAL, "value %s is never written in full", graph->value[id].name);
	free(progress);
	return r;
}

static int check_roles(const struct weft_graph *graph)
{
	const struct {
		weft_id id;
		int kind;
		const char *role;
	} role[] = {
		{graph->label, WEFT_VALUE_INPUT, "label"},
		{graph->loss, -1, "loss"},
		{graph->hyper, WEFT_VALUE_STEP, "hyperparameters"},
		{graph->carry, WEFT_VALUE_STEP, "carry of gradients"},
		{graph->counter, WEFT_VALUE_STEP, "counter"},
	};
	unsigned int i;
	uint32_t n;

	for (i = 0; i < sizeof(role) / sizeof(role[0]); i++) {
		if (role[i].id == WEFT_NO_ID)
			continue;
		if (role[i].id >= graph->values)
			return weft_fail(EINVAL, "the %s of the graph is no value", role[i].role);
		if (role[i].kind >= 0 && graph->value[role[i].id].kind != (enum weft_value_kind)role[i].kind)
			return weft_fail(EINVAL, "the %s of the graph, %s, is of the wrong kind", role[i].role,
					 graph->value[role[i].id].name);
	}
	for (n = 0; n < graph->inputs; n++)
		if (graph->input[n] >= graph->values || graph->value[graph->input[n]].kind != WEFT_VALUE_INPUT)
			return weft_fail(EINVAL, "input %u of the graph is no input value", n);
	for (n = 0; n < graph->model_outputs; n++)
		if (graph->model_output[n] >= graph->values)
			return weft_fail(EINVAL, "output %u of the graph is no value", n);
	return 0;
}

int weft_graph_check(const struct weft_graph *graph)
{
	uint32_t i;
	int r;

	for (i = 0; i < graph->values; i++) {
		r = check_value(graph, i);
		if (r)
			return r;
	}
	r = check_names(graph);
	for (i = 0; i < graph->operations && !r; i++)
		r = check_operation(graph, &graph->operation[i]);
	if (!r)
		r = check_roles(graph);
	if (!r)
		r = check_order(graph);
	return r;
}
