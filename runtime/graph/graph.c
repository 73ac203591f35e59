// SPDX-License-Identifier: MIT
#include "graph/graph.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "graph/layout.h"
#include "graph/slots.h"
#include "weft/error.h"

struct weft_graph *weft_graph_new(const char *name)
{
	struct weft_graph *graph = calloc(1, sizeof(*graph));

	if (!graph)
		goto no_memory;
	graph->name = strdup(name ? name : "graph");
	if (!graph->name) {
		free(graph);
		goto no_memory;
	}
	graph->label = WEFT_NO_ID;
	graph->loss = WEFT_NO_ID;
	graph->hyper = WEFT_NO_ID;
	graph->carry = WEFT_NO_ID;
	graph->counter = WEFT_NO_ID;
	return graph;

no_memory:
	weft_fail(ENOMEM, "no memory for a graph");
	return NULL;
}

void weft_graph_free(struct weft_graph *graph)
{
	uint32_t i;
	unsigned int slot;

	if (!graph)
		return;
	for (i = 0; i < graph->values; i++) {
		free(graph->value[i].name);
		free(graph->value[i].data);
		free(graph->value[i].grid);
	}
	for (i = 0; i < graph->operations; i++) {
		free(graph->operation[i].name);
		for (slot = 0; slot < WEFT_MAX_OPERANDS; slot++)
			free(graph->operation[i].view[slot]);
	}
	free(graph->value);
	free(graph->operation);
	free(graph->input);
	free(graph->model_output);
	free(graph->adapter);
	free(graph->name);
	free(graph);
}

/* Room for one more element of @size bytes in an array that holds @used of *room. */
static int grow(void *array, uint32_t used, uint32_t *room, size_t size)
{
	void **memory = array, *more;
	uint32_t wanted;

	if (used < *room)
		return 0;
	if (used >= WEFT_NO_ID / 2)
		return weft_fail(EOVERFLOW, "a graph holds at most %u values or operations", WEFT_NO_ID / 2);
	wanted = used ? used * 2 : 64;
	more = reallocarray(*memory, wanted, size);
	if (!more)
		return weft_fail(ENOMEM, "no memory for %u graph entries", wanted);
	*memory = more;
	*room = wanted;
	return 0;
}

static int append_value(struct weft_graph *graph, const char *name, struct weft_value **value)
{
	struct weft_value *new;
	int r = grow(&graph->value, graph->values, &graph->value_room, sizeof(*graph->value));

	if (r)
		return r;
	new = &graph->value[graph->values];
	memset(new, 0, sizeof(*new));
	new->name = strdup(name);
	if (!new->name)
		return weft_fail(ENOMEM, "no memory for the name of value %s", name);
	new->producer = WEFT_NO_ID;
	new->gradient = WEFT_NO_ID;
	new->piece = WEFT_NO_ID;
	new->whole = WEFT_NO_ID;
	*value = new;
	return 0;
}

static int check_dims(const char *name, const struct weft_layout *layout)
{
	unsigned int i;

	if (layout->rank > WEFT_MAX_RANK)
		return weft_fail(EINVAL, "value %s: rank %u, at most %u is possible", name, layout->rank,
				 WEFT_MAX_RANK);
	if (!weft_type_bits(layout->type))
		return weft_fail(EINVAL, "value %s: unknown element type %u", name, layout->type);
	for (i = 0; i < layout->rank; i++)
		if (!layout->dims[i])
			return weft_fail(EINVAL,
					 "value %s: dimension %u is zero; empty tensors have no place on the device",
					 name, i);
	return 0;
}

int weft_graph_add_value(struct weft_graph *graph, const char *name, enum weft_value_kind kind,
			 const struct weft_layout *layout, weft_id *id)
{
	struct weft_value *value;
	uint64_t bytes;
	int r = check_dims(name, layout);

	if (r)
		return r;
	bytes = weft_layout_bytes(layout);
	if (!bytes)
		return weft_fail(EINVAL, "value %s: its size overflows, or a stride is negative", name);
	r = append_value(graph, name, &value);
	if (r)
		return r;
	value->kind = kind;
	value->layout = *layout;
	value->base = graph->values;
	value->bytes = bytes;
	*id = graph->values++;
	return 0;
}

/* Whether @layout at @offset stays inside @bytes. */
static bool inside(const struct weft_layout *layout, uint64_t offset, uint64_t bytes)
{
	int64_t first, end;

	if (offset > INT64_MAX / 2 || !weft_layout_range(layout, &first, &end))
		return false;
	return (int64_t)offset + first >= 0 && end <= INT64_MAX / 2 && (uint64_t)((int64_t)offset + end) <= bytes;
}

int weft_graph_add_view(struct weft_graph *graph, const char *name, weft_id of, uint64_t offset,
			const struct weft_layout *layout, weft_id *id)
{
	const struct weft_value *base;
	struct weft_value *value;
	enum weft_value_kind kind;
	weft_id base_id;
	int r = check_dims(name, layout);

	if (r)
		return r;
	if (of >= graph->values)
		return weft_fail(EINVAL, "view %s: there is no value %u", name, of);
	if (__builtin_add_overflow(offset, graph->value[of].offset, &offset))
		return weft_fail(EINVAL, "view %s: offset overflows", name);
	base_id = graph->value[of].base;
	base = &graph->value[base_id];
	if (!inside(layout, offset, base->bytes))
		return weft_fail(EINVAL, "view %s reaches outside the %llu bytes of %s", name,
				 (unsigned long long)base->bytes, base->name);
	kind = base->kind;
	r = append_value(graph, name, &value);
	if (r)
		return r;
	value->kind = kind;
	value->layout = *layout;
	value->base = base_id;
	value->offset = offset;
	*id = graph->values++;
	return 0;
}

/* Which output slots are read as well. */
static uint16_t updated_slots(const struct weft_slots *slots, uint16_t opcode, const union weft_params *params)
{
	uint16_t outputs = (uint16_t)(((1u << slots->outputs) - 1) << slots->inputs);
	uint32_t flags = 0;

	if (slots->updates)
		return outputs;
	switch (opcode) {
	case WEFT_OP_MATMUL:
		flags = params->matmul.flags;
		break;
	case WEFT_OP_CONV_FWD:
	case WEFT_OP_CONV_BWD_DATA:
	case WEFT_OP_CONV_BWD_WEIGHT:
		flags = params->conv.flags;
		break;
	case WEFT_OP_REDUCE:
		flags = params->reduce.flags;
		break;
	}
	return flags & WEFT_F_ACCUMULATE ? outputs : 0;
}

static int check_slots(const struct weft_graph *graph, const char *name, uint16_t opcode, unsigned int inputs,
		       unsigned int operands, const weft_id *operand)
{
	const struct weft_slots *slots = weft_slots_of(opcode);
	unsigned int i;

	if (!slots)
		return weft_fail(EINVAL, "operation %s: opcode 0x%x is not one of the device", name, opcode);
	if (inputs != slots->inputs || operands != slots->inputs + slots->outputs)
		return weft_fail(EINVAL, "operation %s (%s): %u inputs and %u operands given, it has %u and %u", name,
				 slots->name, inputs, operands, slots->inputs, slots->inputs + slots->outputs);
	for (i = 0; i < operands; i++) {
		if (operand[i] == WEFT_NO_ID) {
			if (!(slots->optional & (1u << i)))
				return weft_fail(EINVAL, "operation %s (%s): operand %u must be given", name,
						 slots->name, i);
		} else if (operand[i] >= graph->values) {
			return weft_fail(EINVAL, "operation %s (%s): operand %u names value %u of %u", name,
					 slots->name, i, operand[i], graph->values);
		}
	}
	return 0;
}

int weft_graph_add_operation(struct weft_graph *graph, const char *name, uint16_t opcode,
			     const union weft_params *params, unsigned int inputs, unsigned int operands,
			     const weft_id *operand, weft_id *id)
{
	static const union weft_params no_params;
	struct weft_operation *operation;
	unsigned int i;
	int r = check_slots(graph, name, opcode, inputs, operands, operand);

	if (r)
		return r;
	r = grow(&graph->operation, graph->operations, &graph->operation_room, sizeof(*graph->operation));
	if (r)
		return r;
	operation = &graph->operation[graph->operations];
	memset(operation, 0, sizeof(*operation));
	operation->name = strdup(name);
	if (!operation->name)
		return weft_fail(ENOMEM, "no memory for the name of operation %s", name);
	operation->opcode = opcode;
	operation->phase = WEFT_PHASE_FORWARD;
	operation->inputs = (uint8_t)inputs;
	operation->operands = (uint8_t)operands;
	operation->params = params ? *params : no_params;
	operation->updates = updated_slots(weft_slots_of(opcode), opcode, &operation->params);
	for (i = 0; i < WEFT_MAX_OPERANDS; i++)
		operation->operand[i] = i < operands ? operand[i] : WEFT_NO_ID;
	for (i = inputs; i < operands; i++) {
		if (operand[i] == WEFT_NO_ID) {
			operation->updates &= (uint16_t) ~(1u << i);
			continue;
		}
		/* Of several writers the last counts: the value is whole after it. */
		graph->value[operand[i]].producer = graph->operations;
		graph->value[graph->value[operand[i]].base].producer = graph->operations;
	}
	operation->recomputable = !operation->updates;
	if (id)
		*id = graph->operations;
	graph->operations++;
	return 0;
}

void weft_operation_allow_in_place(struct weft_operation *operation, unsigned int output, unsigned int input)
{
	operation->may_in_place |= (uint16_t)(1u << output);
	operation->in_place[output] = (uint8_t)input;
}

int weft_operation_set_view(struct weft_operation *operation, unsigned int slot, const struct weft_layout *layout)
{
	struct weft_layout *copy;

	if (slot >= operation->operands)
		return weft_fail(EINVAL, "operation %s has no operand %u", operation->name, slot);
	copy = malloc(sizeof(*copy));
	if (!copy)
		return weft_fail(ENOMEM, "no memory for a view of operation %s", operation->name);
	*copy = *layout;
	free(operation->view[slot]);
	operation->view[slot] = copy;
	return 0;
}

void weft_operation_command(const struct weft_graph *graph, const struct weft_operation *operation,
			    const uint64_t address[], struct weft_cmd *command)
{
	size_t size = sizeof(*command) + operation->operands * sizeof(struct weft_tensor);
	unsigned int i, d;

	memset(command, 0, size);
	command->opcode = operation->opcode;
	command->engine = WEFT_ENGINE_COMPUTE;
	command->operands = operation->operands;
	command->size = (uint32_t)size;
	command->wait[0].index = WEFT_SEM_NONE;
	command->wait[1].index = WEFT_SEM_NONE;
	command->signal.index = WEFT_SEM_NONE;
	command->params = operation->params;
	for (i = 0; i < operation->operands; i++) {
		struct weft_tensor *tensor = &command->operand[i];
		const struct weft_layout *layout = operation->view[i];
		const struct weft_value *value;

		if (operation->operand[i] == WEFT_NO_ID)
			continue;
		value = &graph->value[operation->operand[i]];
		if (!layout)
			layout = &value->layout;
		tensor->address = address[i] + value->offset;
		tensor->type = layout->type;
		tensor->rank = layout->rank;
		tensor->zero_point = operation->zero_point[i];
		for (d = 0; d < layout->rank; d++) {
			tensor->dims[d] = layout->dims[d];
			tensor->strides[d] = layout->strides[d];
		}
	}
}
