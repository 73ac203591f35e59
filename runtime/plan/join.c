// SPDX-License-Identifier: MIT
/*
 * Blocks of a gradient (compile/updates.c) suit a device that holds the whole weight.  They
 * are bands of full rows, while weights that do not fit stand in squares, which suit
 * the products on both sides: a square would be brought for every band that crosses it.
 * A gradient that is whole again is cut like its weight.
 */
#include "plan/join.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "graph/build.h"
#include "plan/split.h"
#include "weft/error.h"

/* Operands of a product: left and right matrix, bias, result. */
#define RESULT 3
#define PRODUCT_OPERANDS 4

struct run {
	weft_id first;	/* product, update, product, update... */
	uint32_t count; /* of operations */
	unsigned int axis;
	uint32_t extent; /* of all blocks along it */
};

static bool is_update(const struct weft_operation *operation)
{
	return operation->opcode == WEFT_OP_SGD || operation->opcode == WEFT_OP_ADAM;
}

/* A gradient that only the update after it reads.  @uses: per base, the operations that touch it. */
static bool is_block(const struct weft_graph *graph, const uint32_t uses[], weft_id at)
{
	const struct weft_operation *product = &graph->operation[at], *update;
	weft_id gradient;

	if (at + 1 >= graph->operations || product->opcode != WEFT_OP_MATMUL || product->updates ||
	    product->operand[2] != WEFT_NO_ID)
		return false;
	update = &graph->operation[at + 1];
	gradient = product->operand[RESULT];
	return is_update(update) && update->operand[0] != WEFT_NO_ID && graph->value[gradient].base == gradient &&
	       graph->value[update->operand[0]].base == gradient && uses[gradient] == 2 &&
	       weft_operand_in(graph, product, RESULT).layout.rank == 2;
}

static bool same_layout(const struct weft_layout *a, const struct weft_layout *b, unsigned int but)
{
	if (a->type != b->type || a->rank != b->rank)
		return false;
	for (unsigned int d = 0; d < a->rank; d++)
		if (a->strides[d] != b->strides[d] || (d != but && a->dims[d] != b->dims[d]))
			return false;
	return true;
}

static bool same_operation(const struct weft_operation *a, const struct weft_operation *b)
{
	return a->opcode == b->opcode && a->phase == b->phase && a->inputs == b->inputs && a->operands == b->operands &&
	       !memcmp(&a->params, &b->params, sizeof(a->params));
}

/* Block @at of the product goes on where the run's blocks end, along @axis of its operand there and of its result. */
static bool product_goes_on(const struct weft_graph *graph, const struct run *run, unsigned int axis, weft_id at)
{
	const struct weft_operation *first = &graph->operation[run->first], *product = &graph->operation[at];

	for (unsigned int i = 0; i < PRODUCT_OPERANDS; i++) {
		struct weft_operand a, b;
		unsigned int d = i == axis || i == RESULT ? axis : WEFT_MAX_RANK;

		if (i == 2)
			continue;
		a = weft_operand_in(graph, first, i);
		b = weft_operand_in(graph, product, i);
		if (a.layout.rank != 2 || !same_layout(&a.layout, &b.layout, d))
			return false;
		if (i == RESULT)
			continue;
		if (graph->value[a.id].base != graph->value[b.id].base ||
		    graph->value[b.id].offset !=
			    graph->value[a.id].offset +
				    (i == axis
					     ? (uint64_t)run->extent * (uint64_t)a.layout.strides[axis] * sizeof(float)
					     : 0))
			return false;
	}
	return true;
}

/* Elements [@low, @low + count) of the same values. */
static bool update_goes_on(const struct weft_graph *graph, const struct run *run, weft_id at, uint64_t low)
{
	const struct weft_operation *first = &graph->operation[run->first + 1], *update = &graph->operation[at];
	uint32_t count = weft_operand_in(graph, update, 0).layout.dims[0];

	for (unsigned int i = 0; i < update->operands; i++) {
		struct weft_operand a = weft_operand_in(graph, first, i), b = weft_operand_in(graph, update, i);

		if (i == 1 ? a.id != b.id : b.layout.rank != 1 || b.layout.strides[0] != 1 || b.layout.dims[0] != count)
			return false;
		if (i > 1 && (graph->value[a.id].base != graph->value[b.id].base ||
			      graph->value[b.id].offset != low * sizeof(float)))
			return false;
	}
	return true;
}

/* Blocks whose results lie one behind the other are cut along the outer dimension of the result. */
static bool along(const struct weft_layout *result, unsigned int axis)
{
	return result->strides[1 - axis] == 1 && result->strides[axis] == (int64_t)result->dims[1 - axis];
}

/* The run of blocks that begins at @at.  False: there is none, or it is not of a whole weight. */
static bool find_run(const struct weft_graph *graph, const uint32_t uses[], weft_id at, unsigned int axis,
		     struct run *run)
{
	struct weft_layout result;
	uint64_t elements = 0;

	*run = (struct run){.first = at, .axis = axis};
	for (; is_block(graph, uses, at); at += 2) {
		if (!same_operation(&graph->operation[run->first], &graph->operation[at]) ||
		    !same_operation(&graph->operation[run->first + 1], &graph->operation[at + 1]) ||
		    !product_goes_on(graph, run, axis, at) || !update_goes_on(graph, run, at + 1, elements))
			break;
		result = weft_operand_in(graph, &graph->operation[at], RESULT).layout;
		if (!along(&result, axis))
			break;
		run->extent += result.dims[axis];
		run->count += 2;
		elements += (uint64_t)result.dims[0] * result.dims[1];
	}
	if (run->count < 4)
		return false;
	for (unsigned int i = 2; i < graph->operation[run->first + 1].operands; i++) {
		weft_id id = graph->operation[run->first + 1].operand[i];

		if (elements * sizeof(float) != graph->value[graph->value[id].base].bytes)
			return false;
	}
	return true;
}

static int join_run(const struct weft_graph *from, const struct run *run, struct weft_graph *to)
{
	const struct weft_operation *product = &from->operation[run->first];
	const struct weft_operation *update = &from->operation[run->first + 1];
	struct weft_operand operand[WEFT_MAX_OPERANDS];
	struct weft_layout gradient;
	weft_id id, at;
	int result;

	for (unsigned int i = 0; i < PRODUCT_OPERANDS; i++)
		operand[i] = weft_operand_in(from, product, i);
	operand[run->axis].layout.dims[run->axis] = run->extent;
	operand[RESULT].layout.dims[run->axis] = run->extent;
	gradient = operand[RESULT].layout;
	result = weft_build_value(to, from->value[operand[RESULT].id].name, &gradient, &id);
	if (result)
		return result;
	to->value[id].backward = true;
	operand[RESULT].id = id;
	result = weft_build(to, product->name, product->opcode, &product->params, product->inputs, product->operands,
			    operand, &at);
	if (result)
		return result;
	to->operation[at].phase = product->phase;
	for (unsigned int i = 0; i < update->operands; i++) {
		operand[i] = weft_operand_in(from, update, i);
		if (i == 1)
			continue;
		operand[i].id = i ? from->value[operand[i].id].base : id;
		operand[i].layout.dims[0] = gradient.dims[0] * gradient.dims[1];
	}
	result = weft_build(to, update->name, update->opcode, &update->params, update->inputs, update->operands,
			    operand, &at);
	if (!result)
		to->operation[at].phase = update->phase;
	return result;
}

static int join(const struct weft_graph *from, const uint32_t uses[], struct weft_graph *to)
{
	uint32_t joined = 0;
	struct run run;
	int result = weft_graph_copy_values(from, to);

	for (weft_id o = 0; !result && o < from->operations;) {
		if (find_run(from, uses, o, 0, &run) || find_run(from, uses, o, 1, &run)) {
			result = join_run(from, &run, to);
			o += run.count;
			joined++;
		} else {
			result = weft_graph_copy_operation(to, &from->operation[o++]);
		}
	}
	if (!result)
		result = weft_graph_copy_roles(from, to);
	return result || joined ? result : weft_fail(ERANGE, "no gradient of the graph comes in blocks");
}

int weft_graph_join_updates(const struct weft_graph *graph, struct weft_graph **joined)
{
	uint32_t *uses = calloc(graph->values + 1, sizeof(*uses));
	struct weft_graph *to = weft_graph_new(graph->name);
	int result;

	*joined = NULL;
	if (!uses || !to) {
		result = weft_fail(ENOMEM, "no memory to join the blocks of gradients");
	} else {
		for (weft_id o = 0; o < graph->operations; o++)
			for (unsigned int i = 0; i < graph->operation[o].operands; i++)
				if (graph->operation[o].operand[i] != WEFT_NO_ID)
					uses[graph->value[graph->operation[o].operand[i]].base]++;
		result = join(graph, uses, to);
	}
	free(uses);
	if (result)
		weft_graph_free(to);
	else
		*joined = to;
	return result;
}
