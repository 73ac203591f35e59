// SPDX-License-Identifier: MIT
#include "random_graph.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "weft/error.h"

#define MOST_LAYERS 256

enum layer_kind { LAYER_DENSE, LAYER_RELU, LAYER_ADD, LAYER_DROPOUT, LAYER_PIECES, LAYER_KINDS };

struct layer {
	enum layer_kind kind;
	weft_id in, other, out, weight, momentum;
};

struct maker {
	struct weft_graph *graph;
	uint64_t random;
	uint32_t batch;
	weft_id hyper, counter;
	struct layer layer[MOST_LAYERS];
	unsigned int layers;
	weft_id gradient[8192]; /* by value */
	unsigned int names;
};

uint64_t random_next(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

static void must(int result)
{
	if (result) {
		fprintf(stderr, "random graph: %s\n", weft_error());
		abort();
	}
}

static uint32_t width(const struct maker *m, weft_id value)
{
	return m->graph->value[value].layout.dims[1];
}

static weft_id value(struct maker *m, enum weft_value_kind kind, uint32_t rows, uint32_t columns)
{
	struct weft_layout layout = {.type = WEFT_TYPE_F32, .rank = 2, .dims = {rows, columns}};
	char name[32];
	weft_id id;

	weft_layout_dense(&layout);
	snprintf(name, sizeof(name), "v%u", m->names++);
	must(weft_graph_add_value(m->graph, name, kind, &layout, &id));
	return id;
}

static weft_id columns_of(struct maker *m, weft_id of, uint32_t first, uint32_t count)
{
	struct weft_layout layout = m->graph->value[of].layout;
	char name[32];
	weft_id id;

	layout.dims[1] = count;
	snprintf(name, sizeof(name), "v%u", m->names++);
	must(weft_graph_add_view(m->graph, name, of, first * sizeof(float), &layout, &id));
	return id;
}

static struct weft_operation *operation(struct maker *m, uint16_t opcode, const union weft_params *params,
					unsigned int inputs, unsigned int operands, const weft_id *operand,
					enum weft_phase phase)
{
	char name[32];
	weft_id id;

	snprintf(name, sizeof(name), "op%u", m->graph->operations);
	must(weft_graph_add_operation(m->graph, name, opcode, params, inputs, operands, operand, &id));
	m->graph->operation[id].phase = phase;
	return &m->graph->operation[id];
}

static void fill(struct maker *m, weft_id id, float scale)
{
	struct weft_value *v = &m->graph->value[id];
	float *data = malloc(v->bytes);

	if (!data)
		abort();
	for (uint64_t i = 0; i < v->bytes / sizeof(float); i++)
		data[i] = scale * ((float)(random_next(&m->random) % 2001) / 1000 - 1);
	v->data = data;
}

static void transpose(struct maker *m, struct weft_operation *o, unsigned int slot)
{
	struct weft_layout layout = m->graph->value[o->operand[slot]].layout;
	uint32_t dim = layout.dims[0];
	int32_t stride = layout.strides[0];

	layout.dims[0] = layout.dims[1];
	layout.strides[0] = layout.strides[1];
	layout.dims[1] = dim;
	layout.strides[1] = stride;
	must(weft_operation_set_view(o, slot, &layout));
}

static weft_id unary(struct maker *m, weft_id in, enum weft_unary function, float alpha, enum weft_phase phase)
{
	union weft_params params = {.unary = {.function = function, .alpha = alpha}};
	weft_id out = value(m, WEFT_VALUE_ACTIVATION, m->batch, width(m, in));
	struct weft_operation *o = operation(m, WEFT_OP_UNARY, &params, 1, 2, (weft_id[]){in, out}, phase);

	if (m->graph->value[in].kind == WEFT_VALUE_ACTIVATION && m->graph->value[in].base == in)
		weft_operation_allow_in_place(o, 1, 0);
	return out;
}

static weft_id add(struct maker *m, weft_id a, weft_id b, enum weft_phase phase)
{
	union weft_params params = {.binary = {.function = WEFT_BINARY_ADD}};
	weft_id out = value(m, WEFT_VALUE_ACTIVATION, m->batch, width(m, a));
	struct weft_operation *o = operation(m, WEFT_OP_BINARY, &params, 2, 3, (weft_id[]){a, b, out}, phase);

	if (m->graph->value[a].kind == WEFT_VALUE_ACTIVATION)
		weft_operation_allow_in_place(o, 2, 0);
	return out;
}

static weft_id dropout(struct maker *m, weft_id in, unsigned int layer, enum weft_phase phase)
{
	union weft_params params = {.random = {.seed = layer, .keep = 0.75f}};
	weft_id out = value(m, WEFT_VALUE_ACTIVATION, m->batch, width(m, in));

	operation(m, WEFT_OP_DROPOUT, &params, 2, 4, (weft_id[]){in, m->counter, out, WEFT_NO_ID}, phase);
	return out;
}

/* Negate the left half and copy the right one, as two operations on one result. */
static weft_id pieces(struct maker *m, weft_id in, enum weft_phase phase)
{
	union weft_params negate = {.unary = {.function = WEFT_UNARY_NEG}}, none = {.bytes = {0}};
	uint32_t columns = width(m, in), half = columns / 2;
	weft_id out = value(m, WEFT_VALUE_ACTIVATION, m->batch, columns);
	weft_id left = columns_of(m, out, 0, half), right = columns_of(m, out, half, columns - half);
	weft_id from_left = columns_of(m, in, 0, half), from_right = columns_of(m, in, half, columns - half);

	operation(m, WEFT_OP_UNARY, &negate, 1, 2, (weft_id[]){from_left, left}, phase);
	operation(m, WEFT_OP_COPY, &none, 1, 2, (weft_id[]){from_right, right}, phase);
	return out;
}

static weft_id matmul(struct maker *m, weft_id a, bool ta, weft_id b, bool tb, enum weft_phase phase)
{
	const struct weft_layout *la = &m->graph->value[a].layout, *lb = &m->graph->value[b].layout;
	union weft_params params = {.matmul = {.scale = 1}};
	enum weft_value_kind kind = WEFT_VALUE_ACTIVATION;
	weft_id out = value(m, kind, la->dims[ta ? 1 : 0], lb->dims[tb ? 0 : 1]);
	struct weft_operation *o =
		operation(m, WEFT_OP_MATMUL, &params, 3, 4, (weft_id[]){a, b, WEFT_NO_ID, out}, phase);

	if (ta)
		transpose(m, o, 0);
	if (tb)
		transpose(m, o, 1);
	return out;
}

static void add_layer(struct maker *m, weft_id in)
{
	struct layer *layer = &m->layer[m->layers++];

	*layer = (struct layer){.kind = random_next(&m->random) % LAYER_KINDS, .in = in};
	if (layer->kind == LAYER_ADD) {
		unsigned int back = (unsigned int)(random_next(&m->random) % m->layers);

		layer->other = m->layer[back].in;
		if (width(m, layer->other) != width(m, in) || layer->other == in)
			layer->kind = LAYER_DENSE;
	}
	switch (layer->kind) {
	case LAYER_RELU:
		layer->out = unary(m, in, WEFT_UNARY_RELU, 0, WEFT_PHASE_FORWARD);
		break;
	case LAYER_ADD:
		layer->out = add(m, in, layer->other, WEFT_PHASE_FORWARD);
		break;
	case LAYER_DROPOUT:
		layer->out = dropout(m, in, m->layers, WEFT_PHASE_FORWARD);
		break;
	case LAYER_PIECES:
		layer->out = pieces(m, in, WEFT_PHASE_FORWARD);
		break;
	default:
		layer->kind = LAYER_DENSE;
		layer->weight = value(m, WEFT_VALUE_WEIGHT, width(m, in), 16u << random_next(&m->random) % 5);
		layer->momentum = value(m, WEFT_VALUE_STATE, width(m, in), width(m, layer->weight));
		fill(m, layer->weight, 0.2f);
		fill(m, layer->momentum, 0);
		layer->out = matmul(m, in, false, layer->weight, false, WEFT_PHASE_FORWARD);
		break;
	}
}

static void give_gradient(struct maker *m, weft_id of, weft_id gradient)
{
	if (m->gradient[of] != WEFT_NO_ID)
		gradient = add(m, m->gradient[of], gradient, WEFT_PHASE_BACKWARD);
	m->gradient[of] = gradient;
}

static void differentiate(struct maker *m, const struct layer *layer)
{
	union weft_params params = {.unary = {.function = WEFT_UNARY_RELU}}, none = {.bytes = {0}};
	weft_id dy = m->gradient[layer->out], dx, dw;
	struct weft_operation *o;

	switch (layer->kind) {
	case LAYER_RELU:
		dx = value(m, WEFT_VALUE_ACTIVATION, m->batch, width(m, dy));
		o = operation(m, WEFT_OP_UNARY_BWD, &params, 2, 3, (weft_id[]){layer->out, dy, dx},
			      WEFT_PHASE_BACKWARD);
		weft_operation_allow_in_place(o, 2, 1);
		give_gradient(m, layer->in, dx);
		break;
	case LAYER_ADD:
		/* Both get the same value; the second as a copy, so that each has one to add to. */
		give_gradient(m, layer->in, dy);
		give_gradient(m, layer->other, unary(m, dy, WEFT_UNARY_IDENTITY, 0, WEFT_PHASE_BACKWARD));
		break;
	case LAYER_DROPOUT:
		give_gradient(m, layer->in, dropout(m, dy, (unsigned int)(layer - m->layer) + 1, WEFT_PHASE_BACKWARD));
		break;
	case LAYER_PIECES:
		give_gradient(m, layer->in, pieces(m, dy, WEFT_PHASE_BACKWARD));
		break;
	default:
		dw = matmul(m, layer->in, true, dy, false, WEFT_PHASE_BACKWARD);
		give_gradient(m, layer->in, matmul(m, dy, false, layer->weight, true, WEFT_PHASE_BACKWARD));
		operation(m, WEFT_OP_SGD, &none, 2, 4, (weft_id[]){dw, m->hyper, layer->weight, layer->momentum},
			  WEFT_PHASE_UPDATE);
		break;
	}
}

static weft_id step_value(struct maker *m, const char *name, uint8_t type, uint32_t count)
{
	struct weft_layout layout = {.type = type, .rank = 1, .dims = {count}};
	weft_id id;

	weft_layout_dense(&layout);
	must(weft_graph_add_value(m->graph, name, WEFT_VALUE_STEP, &layout, &id));
	return id;
}

static void add_loss(struct maker *m, weft_id of)
{
	union weft_params params = {.reduce = {.function = WEFT_REDUCE_SUM_SQUARE, .scale = 1}};
	struct weft_layout layout = {.type = WEFT_TYPE_F32, .rank = 2, .dims = {1, 1}};

	weft_layout_dense(&layout);
	must(weft_graph_add_value(m->graph, "loss", WEFT_VALUE_ACTIVATION, &layout, &m->graph->loss));
	operation(m, WEFT_OP_REDUCE, &params, 1, 2, (weft_id[]){of, m->graph->loss}, WEFT_PHASE_FORWARD);
	m->graph->value[m->graph->loss].output = true;
}

struct weft_graph *random_graph(uint64_t seed, unsigned int layers)
{
	struct maker *m = calloc(1, sizeof(*m));
	struct weft_layout layout = {.type = WEFT_TYPE_F32, .rank = 2};
	struct weft_graph *graph;
	weft_id x, current;

	if (!m || layers > MOST_LAYERS)
		abort();
	m->random = seed;
	m->graph = graph = weft_graph_new("random");
	m->batch = 8u << random_next(&m->random) % 4;
	layout.dims[0] = m->batch;
	layout.dims[1] = 64;
	weft_layout_dense(&layout);
	must(weft_graph_add_value(graph, "x", WEFT_VALUE_INPUT, &layout, &x));
	graph->input = malloc(sizeof(weft_id));
	graph->input[0] = x;
	graph->inputs = 1;
	m->hyper = graph->hyper = step_value(m, "hyper", WEFT_TYPE_F32, WEFT_HYPERS);
	m->counter = graph->counter = step_value(m, "counter", WEFT_TYPE_I64, 2);
	graph->label = WEFT_NO_ID;
	graph->batch = m->batch;
	graph->training = true;
	memset(m->gradient, 0xff, sizeof(m->gradient));
	current = x;
	for (unsigned int i = 0; i < layers; i++) {
		add_layer(m, current);
		current = m->layer[m->layers - 1].out;
	}
	add_loss(m, current);
	m->gradient[current] = unary(m, current, WEFT_UNARY_AFFINE, 1e-3f, WEFT_PHASE_BACKWARD);
	while (m->layers--)
		differentiate(m, &m->layer[m->layers]);
	free(m);
	must(weft_graph_check(graph));
	return graph;
}

struct weft_costs random_costs(const struct weft_graph *graph)
{
	struct weft_costs costs = {
		.page_in = {1e-6, 8e9, 0, 60e-12},
		.page_out = {1e-6, 8e9, 0, 60e-12},
		.store = {1e-4, 1e9, 0, 1e-9},
		.load = {1e-4, 1e9, 0, 1e-9},
	};

	costs.operation_seconds = calloc(graph->operations, sizeof(double));
	costs.operation_joules = calloc(graph->operations, sizeof(double));
	if (!costs.operation_seconds || !costs.operation_joules)
		abort();
	for (weft_id o = 0; o < graph->operations; o++) {
		const struct weft_operation *operation = &graph->operation[o];
		double bytes = 0;

		for (unsigned int i = 0; i < operation->operands; i++)
			if (operation->operand[i] != WEFT_NO_ID)
				bytes += (double)graph->value[graph->value[operation->operand[i]].base].bytes;
		costs.operation_seconds[o] = 1e-6 + bytes / (operation->opcode == WEFT_OP_MATMUL ? 1e9 : 2e10);
		costs.operation_joules[o] = bytes * 1e-10;
	}
	return costs;
}

void random_costs_free(struct weft_costs *costs)
{
	free(costs->operation_seconds);
	free(costs->operation_joules);
}
