// SPDX-License-Identifier: MIT
/*
 * The gradient of a large matrix comes in blocks of its rows (or columns, where
 * those are what lies together), each of which is applied before the next one is
 * computed: the whole gradient never exists, and a block is read while a cache
 * still holds it.  An element of a product does not depend on where the product is
 * cut, and updates go element by element, so that not a bit changes.
 */
#include "compile/passes.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "compile/uses.h"
#include "graph/build.h"
#include "graph/prune.h"
#include "weft/error.h"

/* Gradients of less stay in one: the rest of a step needs more memory anyway. */
#define LEAST_BYTES (16ull << 20)
#define BLOCK_BYTES (4ull << 20)

struct blocks {
	struct weft_graph *graph;
	weft_id product, update;
	unsigned int axis;  /* of the product's result: 0, its rows, or 1 */
	uint32_t extent;    /* along it */
	uint32_t elements;  /* of one step along it */
	weft_id first, end; /* the operations that take their place */
};

/* Which of the two dimensions of a matrix steps over whole runs of the other.  False: it is not a dense matrix. */
static bool outer_axis(const struct weft_layout *layout, struct blocks *blocks)
{
	for (unsigned int axis = 0; axis < 2 && layout->rank == 2; axis++) {
		uint32_t inner = layout->dims[1 - axis];

		if (layout->strides[1 - axis] != 1 || layout->strides[axis] != (int64_t)inner)
			continue;
		blocks->axis = axis;
		blocks->extent = layout->dims[axis];
		blocks->elements = inner;
		return true;
	}
	return false;
}

static bool find(const struct weft_uses *uses, struct weft_graph *graph, weft_id at, struct blocks *blocks)
{
	const struct weft_operation *update = &graph->operation[at], *product;
	struct weft_layout layout;
	weft_id maker;

	if (update->opcode != WEFT_OP_SGD && update->opcode != WEFT_OP_ADAM)
		return false;
	maker = weft_uses_private_maker(uses, graph, at, 0);
	if (maker == WEFT_NO_ID)
		return false;
	product = &graph->operation[maker];
	if (product->opcode != WEFT_OP_MATMUL || product->updates || product->operand[2] != WEFT_NO_ID)
		return false;
	layout = weft_operand_in(graph, product, 3).layout;
	*blocks = (struct blocks){.graph = graph, .product = maker, .update = at};
	return weft_layout_bytes(&layout) >= LEAST_BYTES && layout.type == WEFT_TYPE_F32 && outer_axis(&layout, blocks);
}

/* @operand from step @low of dimension @axis on, @count steps. */
static int part(struct weft_graph *graph, unsigned int axis, uint32_t low, uint32_t count, struct weft_operand *operand)
{
	int64_t offset = low * operand->layout.strides[axis] * (int64_t)sizeof(float);

	operand->layout.dims[axis] = count;
	return offset ? weft_build_view(graph, graph->value[operand->id].name, operand->id, (uint64_t)offset,
					&operand->layout, &operand->id)
		      : 0;
}

static int build(const struct blocks *b, weft_id like, uint32_t index, const struct weft_operand operand[])
{
	struct weft_graph *graph = b->graph;
	union weft_params params = graph->operation[like].params;
	const struct weft_operation *old = &graph->operation[like];
	char *name;
	weft_id at;
	int r;

	if (asprintf(&name, "%s/%u", old->name, index) < 0)
		return weft_fail(ENOMEM, "no memory for the name of a block");
	r = weft_build(graph, name, old->opcode, &params, old->inputs, old->operands, operand, &at);
	free(name);
	if (!r)
		graph->operation[at].phase = graph->operation[like].phase;
	return r;
}

/* Steps [low, low + count) of the gradient, and what they change. */
static int add_block(const struct blocks *b, uint32_t low, uint32_t count, uint32_t index)
{
	struct weft_operand product[4], update[WEFT_MAX_OPERANDS];
	unsigned int slot, operands = b->graph->operation[b->update].operands;
	int r;

	for (slot = 0; slot < 4; slot++)
		product[slot] = weft_operand_in(b->graph, &b->graph->operation[b->product], slot);
	for (slot = 0; slot < operands; slot++)
		update[slot] = weft_operand_in(b->graph, &b->graph->operation[b->update], slot);
	/* Rows come of rows of the left matrix, columns of columns of the right one. */
	r = part(b->graph, b->axis, low, count, &product[b->axis]);
	product[3].layout.dims[b->axis] = count;
	if (!r)
		r = weft_build_value(b->graph, b->graph->value[product[3].id].name, &product[3].layout, &product[3].id);
	if (r)
		return r;
	b->graph->value[product[3].id].backward = true;
	update[0] = product[3];
	for (slot = 0; slot < operands && !r; slot++) {
		if (slot == 1)
			continue;
		if (!slot) {
			update[0].layout.rank = 1;
			update[0].layout.strides[0] = 1;
		}
		update[slot].layout.dims[0] = count * b->elements;
		if (slot)
			r = weft_build_view(b->graph, b->graph->value[update[slot].id].name, update[slot].id,
					    (uint64_t)low * b->elements * sizeof(float), &update[slot].layout,
					    &update[slot].id);
	}
	if (!r)
		r = build(b, b->product, index, product);
	return r ? r : build(b, b->update, index, update);
}

static int cut(struct blocks *b)
{
	uint64_t bytes = (uint64_t)b->elements * sizeof(float);
	uint32_t step = bytes < BLOCK_BYTES ? (uint32_t)(BLOCK_BYTES / bytes) : 1, index = 0;
	int r = 0;

	b->first = b->graph->operations;
	for (uint32_t low = 0; low < b->extent && !r; low += step)
		r = add_block(b, low, b->extent - low < step ? b->extent - low : step, ++index);
	b->end = b->graph->operations;
	return r;
}

/* Blocks take the place of the update; it and the product go. */
static int replace(struct weft_graph *graph, const struct blocks block[], uint32_t count)
{
	uint64_t *key = calloc(graph->operations + 1, sizeof(*key));
	bool *gone = calloc(graph->operations + 1, sizeof(*gone));
	weft_id kept = 0;
	int r = 0;

	if (!key || !gone)
		r = weft_fail(ENOMEM, "no memory to order %u operations", graph->operations);
	for (weft_id at = 0; at < graph->operations && !r; at++)
		key[at] = at;
	for (uint32_t i = 0; i < count && !r; i++) {
		gone[block[i].product] = gone[block[i].update] = true;
		for (weft_id at = block[i].first; at < block[i].end; at++)
			key[at] = block[i].update;
	}
	for (weft_id at = 0; at < graph->operations && !r; at++)
		if (!gone[at])
			key[kept++] = key[at];
	if (!r) {
		weft_graph_remove(graph, gone);
		r = weft_graph_reorder(graph, key);
	}
	free(key);
	free(gone);
	return r;
}

static int run(struct weft_graph *graph, const struct weft_graph_options *options)
{
	struct blocks *block = calloc(graph->operations + 1, sizeof(*block));
	struct weft_uses uses;
	uint32_t count = 0;
	int r = weft_uses_begin(&uses, graph);

	(void)options;
	if (!r && !block)
		r = weft_fail(ENOMEM, "no memory to look for large updates");
	for (weft_id at = 0; at < graph->operations && !r; at++)
		count += find(&uses, graph, at, &block[count]);
	r = weft_uses_finish(&uses, graph, r);
	for (uint32_t i = 0; i < count && !r; i++)
		r = cut(&block[i]);
	if (!r && count)
		r = replace(graph, block, count);
	free(block);
	return r;
}

const struct weft_pass weft_pass_updates = {
	.info = {"updates", "large gradients come in blocks, each applied before the next one is computed"},
	.graph = run,
	.last = true};
