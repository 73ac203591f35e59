// SPDX-License-Identifier: MIT
/* Gradients summed over several steps. */
#include <stdio.h>

#include "optim/gradients.h"
#include "weft/error.h"

static int accumulate(struct weft_graph *graph, struct weft_weight_gradient *gradient)
{
	union weft_params add = {.binary = {.function = WEFT_BINARY_ADD}};
	union weft_params multiply = {.binary = {.function = WEFT_BINARY_MUL}};
	struct weft_operand sum, total, carry = weft_operand_of(graph, graph->carry);
	char name[300];
	weft_id at;
	int r = weft_optimizer_state(graph, gradient->weight, "sum", &sum);

	if (r)
		return r;
	snprintf(name, sizeof(name), "%s.accumulate", graph->value[gradient->weight].name);
	sum = weft_operand_flat(&sum);
	total.layout = sum.layout;
	r = weft_build_value(graph, name, &total.layout, &total.id);
	if (!r)
		r = weft_build(graph, name, WEFT_OP_BINARY, &add, 2, 3,
			       (struct weft_operand[]){sum, gradient->gradient, total}, &at);
	if (r)
		return r;
	weft_build_in_place(graph, at, 2, 1);
	carry.layout.dims[0] = total.layout.dims[0];
	carry.layout.strides[0] = 0;
	r = weft_build(graph, name, WEFT_OP_BINARY, &multiply, 2, 3, (struct weft_operand[]){total, carry, sum}, &at);
	if (r)
		return r;
	graph->operation[at].updates = 1u << 2;
	graph->operation[at].recomputable = false;
	gradient->gradient = total;
	return 0;
}

int weft_gradients_accumulate(struct weft_graph *graph, struct weft_weight_gradient gradient[], uint32_t count)
{
	struct weft_layout layout = {.type = WEFT_TYPE_F32, .rank = 1, .dims = {1}, .strides = {1}};
	int r = weft_graph_add_value(graph, "weft.carry", WEFT_VALUE_STEP, &layout, &graph->carry);

	for (uint32_t i = 0; i < count && !r; i++)
		r = accumulate(graph, &gradient[i]);
	return r;
}
