// SPDX-License-Identifier: MIT
#include "graph/build.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "graph/layout.h"
#include "weft/error.h"

struct weft_operand weft_operand_of(const struct weft_graph *graph, weft_id id)
{
	return (struct weft_operand){.id = id, .layout = graph->value[id].layout};
}

struct weft_operand weft_operand_in(const struct weft_graph *graph, const struct weft_operation *operation,
				    unsigned int slot)
{
	struct weft_operand operand = WEFT_ABSENT;

	if (operation->operand[slot] == WEFT_NO_ID)
		return operand;
	operand = weft_operand_of(graph, operation->operand[slot]);
	if (operation->view[slot])
		operand.layout = *operation->view[slot];
	return operand;
}

/* Names are the model's where it has one, and carry the value's index where it would be taken. */
static int unique_name(const struct weft_graph *graph, const char *name, char **result)
{
	if (asprintf(result, "%s#%u", name, graph->values) < 0) {
		*result = NULL;
		return weft_fail(ENOMEM, "no memory for the name of value %s", name);
	}
	return 0;
}

int weft_build_value(struct weft_graph *graph, const char *name, const struct weft_layout *layout, weft_id *id)
{
	char *unique;
	int r = unique_name(graph, name, &unique);

	if (!r)
		r = weft_graph_add_value(graph, unique, WEFT_VALUE_ACTIVATION, layout, id);
	free(unique);
	return r;
}

int weft_build_view(struct weft_graph *graph, const char *name, weft_id of, uint64_t offset,
		    const struct weft_layout *layout, weft_id *id)
{
	char *unique;
	int r = unique_name(graph, name, &unique);

	if (!r)
		r = weft_graph_add_view(graph, unique, of, offset, layout, id);
	free(unique);
	return r;
}

int weft_build(struct weft_graph *graph, const char *name, uint16_t opcode, const union weft_params *params,
	       unsigned int inputs, unsigned int operands, const struct weft_operand operand[], weft_id *id)
{
	weft_id ids[WEFT_MAX_OPERANDS] = {0}, at;
	unsigned int i;
	int r;

	if (operands > WEFT_MAX_OPERANDS)
		return weft_fail(EINVAL, "operation %s: %u operands", name, operands);
	for (i = 0; i < operands; i++)
		ids[i] = operand[i].id;
	r = weft_graph_add_operation(graph, name, opcode, params, inputs, operands, ids, &at);
	for (i = 0; i < operands && !r; i++) {
		if (ids[i] == WEFT_NO_ID ||
		    (graph->value[ids[i]].layout.rank == operand[i].layout.rank &&
		     !memcmp(&graph->value[ids[i]].layout, &operand[i].layout, sizeof(operand[i].layout))))
			continue;
		r = weft_operation_set_view(&graph->operation[at], i, &operand[i].layout);
	}
	if (!r && id)
		*id = at;
	return r;
}

/* Sort the first @count dimensions of all operands by those of operand @by, outermost first. */
static void sort_dims(unsigned int operands, struct weft_operand operand[], unsigned int by, unsigned int count)
{
	const struct weft_layout *key = &operand[by].layout;
	uint8_t order[WEFT_MAX_RANK];
	unsigned int i, j;

	for (i = 0; i < count; i++) {
		for (j = i; j && abs(key->strides[order[j - 1]]) < abs(key->strides[i]); j--)
			order[j] = order[j - 1];
		order[j] = (uint8_t)i;
	}
	for (; i < key->rank; i++)
		order[i] = (uint8_t)i;
	for (i = 0; i < operands; i++)
		if (operand[i].id != WEFT_NO_ID)
			operand[i].layout = weft_layout_permuted(&operand[i].layout, order);
}

static void drop_dim(struct weft_layout *layout, unsigned int dim)
{
	unsigned int i;

	for (i = dim; i + 1 < layout->rank; i++) {
		layout->dims[i] = layout->dims[i + 1];
		layout->strides[i] = layout->strides[i + 1];
	}
	layout->rank--;
	layout->dims[layout->rank] = 0;
	layout->strides[layout->rank] = 0;
}

/* Whether dimension @dim and the one after it are one run of elements for every operand. */
static bool can_merge(unsigned int operands, const struct weft_operand operand[], unsigned int dim)
{
	unsigned int i;

	for (i = 0; i < operands; i++) {
		const struct weft_layout *layout = &operand[i].layout;

		if (operand[i].id == WEFT_NO_ID)
			continue;
		if ((int64_t)layout->strides[dim] != (int64_t)layout->strides[dim + 1] * layout->dims[dim + 1])
			return false;
		if ((uint64_t)layout->dims[dim] * layout->dims[dim + 1] > INT32_MAX)
			return false;
	}
	return true;
}

/* Merge what can be among the first @count dimensions; at least one dimension stays. */
static void merge_dims(unsigned int operands, struct weft_operand operand[], unsigned int by, unsigned int count)
{
	const struct weft_layout *key = &operand[by].layout;
	unsigned int i, dim = 0;

	while (dim < count && key->rank > 1) {
		bool single = key->dims[dim] == 1;

		if (!single && (dim + 1 >= count || key->dims[dim + 1] == 1 || !can_merge(operands, operand, dim))) {
			dim++;
			continue;
		}
		for (i = 0; i < operands; i++) {
			if (operand[i].id == WEFT_NO_ID)
				continue;
			if (!single)
				operand[i].layout.dims[dim + 1] *= operand[i].layout.dims[dim];
			drop_dim(&operand[i].layout, dim);
		}
		count--;
		if (single && dim)
			dim--;
	}
}

/* Scalars are shown as vectors of one element. */
static void at_least_vectors(unsigned int operands, struct weft_operand operand[])
{
	unsigned int i;

	for (i = 0; i < operands; i++) {
		if (operand[i].id == WEFT_NO_ID || operand[i].layout.rank)
			continue;
		operand[i].layout.rank = 1;
		operand[i].layout.dims[0] = 1;
		operand[i].layout.strides[0] = 1;
	}
}

static int check_same_dims(const char *name, unsigned int operands, const struct weft_operand operand[])
{
	unsigned int i;

	for (i = 0; i < operands; i++)
		if (operand[i].id != WEFT_NO_ID &&
		    !weft_layout_same_dims(&operand[i].layout, &operand[operands - 1].layout))
			return weft_fail(EINVAL, "operation %s: operand %u has other dims than the result", name, i);
	return 0;
}

int weft_build_elementwise(struct weft_graph *graph, const char *name, uint16_t opcode, const union weft_params *params,
			   unsigned int inputs, unsigned int operands, const struct weft_operand operand[], weft_id *id)
{
	struct weft_operand shown[WEFT_MAX_OPERANDS];
	int r = check_same_dims(name, operands, operand);

	if (r)
		return r;
	memcpy(shown, operand, operands * sizeof(*operand));
	sort_dims(operands, shown, operands - 1, shown[operands - 1].layout.rank);
	merge_dims(operands, shown, operands - 1, shown[operands - 1].layout.rank);
	at_least_vectors(operands, shown);
	return weft_build(graph, name, opcode, params, inputs, operands, shown, id);
}

int weft_build_rows(struct weft_graph *graph, const char *name, uint16_t opcode, const union weft_params *params,
		    unsigned int inputs, unsigned int operands, const struct weft_operand operand[], weft_id *id)
{
	struct weft_operand shown[WEFT_MAX_OPERANDS];
	unsigned int rows;
	int r = check_same_dims(name, operands, operand);

	if (r)
		return r;
	memcpy(shown, operand, operands * sizeof(*operand));
	at_least_vectors(operands, shown);
	rows = shown[operands - 1].layout.rank - 1u;
	sort_dims(operands, shown, operands - 1, rows);
	merge_dims(operands, shown, operands - 1, rows);
	return weft_build(graph, name, opcode, params, inputs, operands, shown, id);
}

int weft_build_broadcast(struct weft_graph *graph, const char *name, uint16_t opcode, const union weft_params *params,
			 unsigned int inputs, unsigned int operands, const struct weft_operand operand[],
			 unsigned int whole, weft_id *id)
{
	struct weft_operand shown[WEFT_MAX_OPERANDS];
	struct weft_layout full = operand[whole].layout;
	unsigned int i, d;

	memcpy(shown, operand, operands * sizeof(*operand));
	for (i = 0; i < operands; i++) {
		if (shown[i].id == WEFT_NO_ID)
			continue;
		if (operand[i].layout.rank != full.rank ||
		    !weft_layout_broadcast(&operand[i].layout, full.rank, full.dims, &shown[i].layout))
			return weft_fail(EINVAL, "operation %s: operand %u does not broadcast", name, i);
	}
	sort_dims(operands, shown, whole, full.rank);
	merge_dims(operands, shown, whole, full.rank);
	at_least_vectors(operands, shown);
	for (i = 0; i < operands; i++) {
		for (d = 0; shown[i].id != WEFT_NO_ID && i != whole && d < shown[i].layout.rank; d++) {
			if (shown[i].layout.strides[d])
				continue;
			shown[i].layout.dims[d] = 1;
			shown[i].layout.strides[d] = 1;
		}
	}
	return weft_build(graph, name, opcode, params, inputs, operands, shown, id);
}

void weft_build_in_place(struct weft_graph *graph, weft_id operation, unsigned int output, unsigned int input)
{
	struct weft_operation *op = &graph->operation[operation];
	struct weft_operand in = weft_operand_in(graph, op, input), out = weft_operand_in(graph, op, output);
	const struct weft_value *in_value, *out_value;

	if (in.id == WEFT_NO_ID || out.id == WEFT_NO_ID)
		return;
	in_value = &graph->value[in.id];
	out_value = &graph->value[out.id];
	if (in_value->kind != WEFT_VALUE_ACTIVATION || out_value->kind != WEFT_VALUE_ACTIVATION || in_value->offset ||
	    out_value->base != out.id || graph->value[in_value->base].bytes != out_value->bytes ||
	    !weft_layout_same(&in.layout, &out.layout))
		return;
	weft_operation_allow_in_place(op, output, input);
}

int weft_build_scalar(struct weft_graph *graph, const char *name, float number, weft_id *id)
{
	struct weft_layout layout = {.type = WEFT_TYPE_F32};
	char *unique;
	int r = unique_name(graph, name, &unique);

	if (!r)
		r = weft_graph_add_value(graph, unique, WEFT_VALUE_CONSTANT, &layout, id);
	free(unique);
	if (r)
		return r;
	graph->value[*id].data = malloc(sizeof(number));
	if (!graph->value[*id].data)
		return weft_fail(ENOMEM, "no memory for constant %s", name);
	memcpy(graph->value[*id].data, &number, sizeof(number));
	return 0;
}
