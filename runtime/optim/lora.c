// SPDX-License-Identifier: MIT
#include "optim/lora.h"

#include <errno.h>
#include <fnmatch.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "graph/build.h"
#include "graph/layout.h"
#include "graph/prune.h"
#include "weft/error.h"

/* Operands of MATMUL. */
enum { X, WEIGHT, BIAS, Y };

/* splitmix64 (Steele, Lea and Flood, 2014). */
static uint64_t next_random(uint64_t *state)
{
	uint64_t x = *state += 0x9e3779b97f4a7c15;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
	x = (x ^ x >> 27) * 0x94d049bb133111eb;
	return x ^ x >> 31;
}

/* Numbers for @name depend on it and on the seed, not on which other weights have adapters. */
static int fill(struct weft_value *value, uint64_t seed, uint32_t fan_in)
{
	uint64_t elements = weft_layout_elements(&value->layout), state = seed;
	float bound = 1.0f / sqrtf((float)fan_in), *data = malloc(value->bytes);

	if (!data)
		return weft_fail(ENOMEM, "no memory for %s", value->name);
	for (const char *c = value->name; *c; c++)
		state = (state ^ (unsigned char)*c) * 0x100000001b3;
	for (uint64_t i = 0; i < elements; i++)
		data[i] = ((float)(next_random(&state) >> 40) * 0x1p-23f - 1) * bound;
	value->data = data;
	return 0;
}

/* "layer.weight" has "layer.lora_A.weight"; other names get the whole as a suffix. */
static int add_matrix(struct weft_graph *graph, weft_id weight, const char *suffix, uint32_t rows, uint32_t columns,
		      weft_id *id)
{
	struct weft_layout layout = {.type = WEFT_TYPE_F32, .rank = 2, .dims = {rows, columns}};
	const char *name = graph->value[weight].name, *end = name + strlen(name);
	struct weft_value *value;
	char *made;
	int r;

	if (end - name > 7 && !strcmp(end - 7, ".weight"))
		end -= 7;
	if (asprintf(&made, "%.*s.%s.weight", (int)(end - name), name, suffix) < 0)
		return weft_fail(ENOMEM, "no memory for the name of an adapter");
	weft_layout_dense(&layout);
	r = weft_graph_add_value(graph, made, WEFT_VALUE_WEIGHT, &layout, id);
	free(made);
	if (r)
		return r;
	value = &graph->value[*id];
	value->file_rank = 2;
	value->file_dims[0] = rows;
	value->file_dims[1] = columns;
	value->file_order[1] = 1;
	return 0;
}

static struct weft_operand turned(const struct weft_graph *graph, weft_id id)
{
	struct weft_operand operand = weft_operand_of(graph, id);

	operand.layout = weft_layout_permuted(&operand.layout, (uint8_t[]){1, 0});
	return operand;
}

/* The way in which all operations that read @weight see it, as a factor of a product of matrices. */
static bool factor_layout(const struct weft_graph *graph, weft_id weight, struct weft_layout *layout)
{
	bool found = false;

	for (weft_id at = 0; at < graph->operations; at++) {
		const struct weft_operation *operation = &graph->operation[at];

		for (unsigned int slot = 0; slot < operation->operands; slot++) {
			struct weft_operand seen = weft_operand_in(graph, operation, slot);

			if (seen.id == WEFT_NO_ID || graph->value[seen.id].base != weight)
				continue;
			if (operation->opcode != WEFT_OP_MATMUL || slot != WEIGHT || seen.layout.rank != 2 ||
			    (found && !weft_layout_same(&seen.layout, layout)))
				return false;
			*layout = seen.layout;
			found = true;
		}
	}
	return found && weft_layout_elements(layout) == weft_layout_elements(&graph->value[weight].layout) &&
	       weft_layout_is_dense(layout);
}

/* (x A) B beside operation @at, which leaves its result and its activation to the sum. */
static int adapt(struct weft_graph *graph, weft_id at, const struct weft_adapter *adapter)
{
	struct weft_operation *operation = &graph->operation[at];
	struct weft_operand x = weft_operand_in(graph, operation, X), y = weft_operand_in(graph, operation, Y);
	union weft_params first = {.matmul = {.scale = 1}}, second = operation->params;
	struct weft_operand plain = {.layout = y.layout}, inner = {.layout = {.type = WEFT_TYPE_F32, .rank = 2}};
	char name[300];
	int r;

	snprintf(name, sizeof(name), "%s.lora", operation->name);
	inner.layout.dims[0] = x.layout.dims[0];
	inner.layout.dims[1] = graph->value[adapter->a].layout.dims[0];
	weft_layout_dense(&inner.layout);
	weft_layout_dense(&plain.layout);
	r = weft_build_value(graph, name, &inner.layout, &inner.id);
	if (!r)
		r = weft_build_value(graph, name, &plain.layout, &plain.id);
	if (r)
		return r;
	operation->operand[Y] = plain.id;
	free(operation->view[Y]);
	operation->view[Y] = NULL;
	operation->params.matmul.activation = WEFT_ACT_NONE;
	operation->params.matmul.alpha = operation->params.matmul.beta = 0;
	second.matmul.scale = adapter->scale;
	r = weft_build(graph, name, WEFT_OP_MATMUL, &first, 3, 4,
		       (struct weft_operand[]){x, turned(graph, adapter->a), WEFT_ABSENT, inner}, NULL);
	return r ? r
		 : weft_build(graph, name, WEFT_OP_MATMUL, &second, 3, 4,
			      (struct weft_operand[]){inner, turned(graph, adapter->b), plain, y}, NULL);
}

static int add_adapter(struct weft_graph *graph, weft_id weight, const struct weft_layout *layout,
		       const struct weft_tuning *tuning)
{
	struct weft_adapter *more = reallocarray(graph->adapter, graph->adapters + 1, sizeof(*more)), *adapter;
	uint32_t in = layout->dims[0], out = layout->dims[1];
	int r;

	if (!more)
		return weft_fail(ENOMEM, "no memory for an adapter of %s", graph->value[weight].name);
	graph->adapter = more;
	adapter = &more[graph->adapters];
	adapter->weight = weight;
	adapter->scale =
		(tuning->lora_alpha != 0 ? tuning->lora_alpha : (float)tuning->lora_rank) / (float)tuning->lora_rank;
	adapter->out_first = layout->strides[0] == 1 && out > 1;
	r = add_matrix(graph, weight, "lora_A", tuning->lora_rank, in, &adapter->a);
	if (!r)
		r = add_matrix(graph, weight, "lora_B", out, tuning->lora_rank, &adapter->b);
	if (!r)
		r = fill(&graph->value[adapter->a], tuning->lora_seed, in);
	if (!r)
		graph->adapters++;
	return r;
}

static int adapt_readers(struct weft_graph *graph, weft_id operations, const struct weft_adapter *adapter,
			 uint64_t **key, weft_id *room)
{
	for (weft_id at = 0; at < operations; at++) {
		const struct weft_operation *operation = &graph->operation[at];
		weft_id first = graph->operations;
		uint64_t *more;
		int r;

		if (operation->opcode != WEFT_OP_MATMUL ||
		    graph->value[operation->operand[WEIGHT]].base != adapter->weight)
			continue;
		r = adapt(graph, at, adapter);
		if (r)
			return r;
		more = reallocarray(*key, graph->operations + 1, sizeof(*more));
		if (!more)
			return weft_fail(ENOMEM, "no memory to place adapters");
		*key = more;
		*room = graph->operations;
		for (; first < graph->operations; first++)
			more[first] = 2 * (uint64_t)at + 1;
	}
	return 0;
}

int weft_lora_append(struct weft_graph *graph, const struct weft_tuning *tuning)
{
	const char *pattern = tuning->lora_pattern ? tuning->lora_pattern : "*";
	weft_id values = graph->values, operations = graph->operations, room = operations, at;
	uint64_t *key = calloc(operations + 1, sizeof(*key));
	int r = key ? 0 : weft_fail(ENOMEM, "no memory to place adapters");

	for (at = 0; at < operations && !r; at++)
		key[at] = 2 * (uint64_t)at;
	for (weft_id id = 0; id < values && !r; id++) {
		struct weft_layout layout;

		if (graph->value[id].base != id || graph->value[id].kind != WEFT_VALUE_WEIGHT ||
		    fnmatch(pattern, graph->value[id].name, 0) || !factor_layout(graph, id, &layout))
			continue;
		r = add_adapter(graph, id, &layout, tuning);
		if (!r)
			r = adapt_readers(graph, operations, &graph->adapter[graph->adapters - 1], &key, &room);
		/* What is adapted is not itself trained. */
		graph->value[id].frozen = true;
	}
	if (!r && !graph->adapters)
		r = weft_fail(EINVAL, "no weight of a matrix product matches %s: an adapter has nothing to adapt",
			      pattern);
	if (!r)
		r = weft_graph_reorder(graph, key);
	free(key);
	return r;
}

void weft_lora_merge(const struct weft_graph *graph, const struct weft_adapter *adapter, const float *a, const float *b,
		     float *weight)
{
	uint32_t rank = graph->value[adapter->a].layout.dims[0], in = graph->value[adapter->a].layout.dims[1];
	uint32_t out = graph->value[adapter->b].layout.dims[0];

	for (size_t o = 0; o < out; o++)
		for (size_t i = 0; i < in; i++) {
			float *element = adapter->out_first ? &weight[o * in + i] : &weight[i * out + o];
			double sum = 0;

			for (size_t r = 0; r < rank; r++)
				sum += (double)b[o * rank + r] * (double)a[r * in + i];
			*element = (float)((double)*element + (double)adapter->scale * sum);
		}
}
