// SPDX-License-Identifier: MIT
#include "plan/problem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "weft/error.h"

void weft_problem_free(struct weft_problem *problem)
{
	if (!problem)
		return;
	free(problem->base);
	free(problem->base_of);
	free(problem->touch);
	free(problem->touches);
	free(problem->order);
	free(problem->position);
	free(problem->clock);
	free(problem->use_room);
	free(problem->update_room);
	free(problem->writer_room);
	free(problem->touch_room);
	free(problem);
}

static void add_touch(struct weft_touch *touch, uint8_t *touches, uint32_t base, uint8_t kind)
{
	unsigned int i;

	for (i = 0; i < *touches; i++) {
		if (touch[i].base == base) {
			touch[i].kinds |= kind;
			return;
		}
	}
	touch[i].base = base;
	touch[i].kinds = kind;
	(*touches)++;
}

static int collect_bases(struct weft_problem *problem)
{
	const struct weft_graph *graph = problem->graph;

	for (uint32_t v = 0; v < graph->values; v++) {
		const struct weft_value *value = &graph->value[v];
		struct weft_base *base;

		if (value->base != v || value->grid)
			continue;
		problem->base_of[v] = problem->bases;
		base = &problem->base[problem->bases++];
		base->value = v;
		base->bytes = value->bytes;
		if (!base->bytes || base->bytes > UINT64_MAX / 4)
			return weft_fail(EINVAL, "value '%s' has %llu bytes, which cannot be planned", value->name,
					 (unsigned long long)base->bytes);
		base->kind = value->kind;
		base->persistent = value->kind == WEFT_VALUE_WEIGHT || value->kind == WEFT_VALUE_STATE ||
				   value->kind == WEFT_VALUE_CONSTANT;
		base->fed = value->kind == WEFT_VALUE_INPUT || value->kind == WEFT_VALUE_STEP;
	}
	for (uint32_t v = 0; v < graph->values; v++) {
		const struct weft_value *value = &graph->value[v];

		if (graph->value[value->base].grid) {
			problem->base_of[v] = WEFT_NONE;
			continue;
		}
		problem->base_of[v] = problem->base_of[value->base];
		problem->base[problem->base_of[v]].output |= value->output;
	}
	return 0;
}

static void collect_touches(struct weft_problem *problem)
{
	const struct weft_graph *graph = problem->graph;
	struct weft_touch *next = problem->touch_room;

	for (weft_id o = 0; o < graph->operations; o++) {
		const struct weft_operation *operation = &graph->operation[o];

		problem->touch[o] = next;
		for (unsigned int i = 0; i < operation->operands; i++) {
			uint8_t kind = WEFT_TOUCH_READ;

			if (operation->operand[i] == WEFT_NO_ID)
				continue;
			if (i >= operation->inputs)
				kind = operation->updates & (1u << i) ? WEFT_TOUCH_UPDATE : WEFT_TOUCH_WRITE;
			add_touch(problem->touch[o], &problem->touches[o], problem->base_of[operation->operand[i]],
				  kind);
		}
		next += problem->touches[o];
	}
}

/*
 * List scheduling.  An operation waits for every earlier one that touches a base
 * which either of them changes; writers of pieces keep their order.
 */
struct scheduler {
	struct weft_problem *problem;
	uint32_t *waits;		    /* per operation: predecessors not yet placed */
	uint32_t *first, *next, *successor; /* adjacency lists */
	uint32_t edges, edge_room;
	uint32_t *left; /* per base: operations that touch it, not yet placed */
	bool *alive;
	bool *placed;
	weft_id *ready; /* operations that wait for none; some of them may be placed */
	uint32_t readies;
};

static int add_edge(struct scheduler *s, uint32_t from, uint32_t to)
{
	if (s->edges == s->edge_room) {
		uint32_t room = s->edge_room ? s->edge_room * 2 : 1024;
		uint32_t *next = realloc(s->next, room * sizeof(*next)), *successor;

		if (!next)
			return -ENOMEM;
		s->next = next;
		successor = realloc(s->successor, room * sizeof(*successor));
		if (!successor)
			return -ENOMEM;
		s->successor = successor;
		s->edge_room = room;
	}
	s->successor[s->edges] = to;
	s->next[s->edges] = s->first[from];
	s->first[from] = s->edges++;
	s->waits[to]++;
	return 0;
}

/* Edges among the operations that touch one base: readers wait for the last change, a change for all readers since. */
static int add_hazards(struct scheduler *s)
{
	struct weft_problem *problem = s->problem;
	uint32_t *last = malloc((problem->bases + 1) * sizeof(*last));
	uint32_t *readers = malloc((problem->bases + 1) * sizeof(*readers));
	uint32_t *link = NULL, *reader = NULL, links = 0, room = 0;
	int result = last && readers ? 0 : -ENOMEM;

	for (uint32_t b = 0; !result && b < problem->bases; b++)
		last[b] = readers[b] = WEFT_NONE;
	for (weft_id o = 0; !result && o < problem->graph->operations; o++)
		room += problem->touches[o];
	if (!result) {
		link = malloc((room + 1) * sizeof(*link));
		reader = malloc((room + 1) * sizeof(*reader));
		result = link && reader ? 0 : -ENOMEM;
	}
	for (weft_id o = 0; !result && o < problem->graph->operations; o++) {
		for (unsigned int i = 0; !result && i < problem->touches[o]; i++) {
			const struct weft_touch *touch = &problem->touch[o][i];
			uint32_t b = touch->base;

			if (last[b] != WEFT_NONE)
				result = add_edge(s, last[b], o);
			if (touch->kinds == WEFT_TOUCH_READ) {
				reader[links] = o;
				link[links] = readers[b];
				readers[b] = links++;
				continue;
			}
			for (uint32_t r = readers[b]; !result && r != WEFT_NONE; r = link[r])
				if (reader[r] != o)
					result = add_edge(s, reader[r], o);
			readers[b] = WEFT_NONE;
			last[b] = o;
		}
	}
	free(last);
	free(readers);
	free(link);
	free(reader);
	return result;
}

/* Bytes that placing @o takes (positive) or frees (negative). */
static int64_t net_bytes(const struct scheduler *s, weft_id o)
{
	const struct weft_problem *problem = s->problem;
	int64_t net = 0;

	for (unsigned int i = 0; i < problem->touches[o]; i++) {
		uint32_t b = problem->touch[o][i].base;
		const struct weft_base *base = &problem->base[b];

		if (base->persistent || base->fed)
			continue;
		if (!s->alive[b])
			net += (int64_t)base->bytes;
		if (s->left[b] == 1 && !base->output)
			net -= (int64_t)base->bytes;
	}
	return net;
}

static void place(struct scheduler *s, weft_id o, uint32_t position)
{
	struct weft_problem *problem = s->problem;

	problem->order[position] = o;
	s->placed[o] = true;
	for (unsigned int i = 0; i < problem->touches[o]; i++) {
		s->alive[problem->touch[o][i].base] = true;
		s->left[problem->touch[o][i].base]--;
	}
	for (uint32_t e = s->first[o]; e != WEFT_NONE; e = s->next[e])
		if (!--s->waits[s->successor[e]])
			s->ready[s->readies++] = s->successor[e];
}

static void place_all(struct scheduler *s)
{
	const uint32_t operations = s->problem->graph->operations;
	uint32_t lowest = 0;

	for (weft_id o = 0; o < operations; o++)
		if (!s->waits[o])
			s->ready[s->readies++] = o;
	for (uint32_t position = 0; position < operations; position++) {
		int64_t best_net = 0;
		uint32_t kept = 0;
		weft_id best;

		while (s->placed[lowest])
			lowest++;
		/* The lowest operation not yet placed never waits: the graph's own order is valid. */
		best = lowest;
		best_net = net_bytes(s, lowest);
		for (uint32_t i = 0; i < s->readies; i++) {
			weft_id o = s->ready[i];
			int64_t net;

			if (s->placed[o])
				continue;
			s->ready[kept++] = o;
			net = net_bytes(s, o);
			if (net < 0 && (net < best_net || (net == best_net && o < best))) {
				best = o;
				best_net = net;
			}
		}
		s->readies = kept;
		place(s, best, position);
	}
}

static int order_eagerly(struct weft_problem *problem)
{
	const uint32_t operations = problem->graph->operations;
	struct scheduler s = {.problem = problem};
	int result = -ENOMEM;

	s.waits = calloc(operations + 1, sizeof(*s.waits));
	s.first = malloc((operations + 1) * sizeof(*s.first));
	s.left = calloc(problem->bases + 1, sizeof(*s.left));
	s.alive = calloc(problem->bases + 1, sizeof(*s.alive));
	s.placed = calloc(operations + 1, sizeof(*s.placed));
	s.ready = malloc((operations + 1) * sizeof(*s.ready));
	if (s.ready && s.waits && s.first && s.left && s.alive && s.placed) {
		for (weft_id o = 0; o < operations; o++) {
			s.first[o] = WEFT_NONE;
			for (unsigned int i = 0; i < problem->touches[o]; i++)
				s.left[problem->touch[o][i].base]++;
		}
		result = add_hazards(&s);
		if (!result)
			place_all(&s);
	}
	free(s.waits);
	free(s.first);
	free(s.next);
	free(s.successor);
	free(s.left);
	free(s.alive);
	free(s.placed);
	free(s.ready);
	return result;
}

/* Per base, the positions that use, write and update it. */
static void index_uses(struct weft_problem *problem)
{
	const uint32_t operations = problem->graph->operations;
	uint32_t *use = problem->use_room, *update = problem->update_room;
	weft_id *writer = problem->writer_room;

	for (weft_id o = 0; o < operations; o++) {
		for (unsigned int i = 0; i < problem->touches[o]; i++) {
			struct weft_base *base = &problem->base[problem->touch[o][i].base];

			base->uses++;
			base->writers += !!(problem->touch[o][i].kinds & WEFT_TOUCH_WRITE);
			base->updates += !!(problem->touch[o][i].kinds & WEFT_TOUCH_UPDATE);
		}
	}
	for (uint32_t b = 0; b < problem->bases; b++) {
		struct weft_base *base = &problem->base[b];

		base->use = use;
		base->writer = writer;
		base->update = update;
		use += base->uses;
		writer += base->writers;
		update += base->updates;
		base->uses = base->writers = base->updates = 0;
	}
	for (uint32_t position = 0; position < operations; position++) {
		weft_id o = problem->order[position];

		problem->position[o] = position;
		for (unsigned int i = 0; i < problem->touches[o]; i++) {
			struct weft_base *base = &problem->base[problem->touch[o][i].base];

			base->use[base->uses++] = position;
			if (problem->touch[o][i].kinds & WEFT_TOUCH_WRITE)
				base->writer[base->writers++] = o;
			if (problem->touch[o][i].kinds & WEFT_TOUCH_UPDATE)
				base->update[base->updates++] = position;
		}
	}
}

/*
 * A base can be made again if nothing updates it, and running its writers again
 * harms no other base: one that is updated, or of which they write a piece only.
 */
static void mark_recomputable(struct weft_problem *problem)
{
	for (uint32_t b = 0; b < problem->bases; b++) {
		struct weft_base *base = &problem->base[b];

		base->recomputable = base->kind == WEFT_VALUE_ACTIVATION && base->writers && !base->updates;
		for (uint32_t w = 0; base->recomputable && w < base->writers; w++) {
			weft_id o = base->writer[w];

			base->recomputable = problem->graph->operation[o].recomputable;
			for (unsigned int i = 0; i < problem->touches[o]; i++) {
				const struct weft_touch *touch = &problem->touch[o][i];
				const struct weft_base *other = &problem->base[touch->base];

				if (touch->kinds & WEFT_TOUCH_UPDATE ||
				    (touch->kinds & WEFT_TOUCH_WRITE &&
				     (touch->kinds & WEFT_TOUCH_READ || other->updates || other->persistent ||
				      (other != base && other->writers != 1))))
					base->recomputable = false;
			}
		}
	}
}

int weft_problem_new(const struct weft_graph *graph, const struct weft_costs *costs, enum weft_order_kind order,
		     struct weft_problem **out)
{
	struct weft_problem *problem = calloc(1, sizeof(*problem));
	size_t touches = 0;
	int result = -ENOMEM;

	if (!problem)
		return weft_fail(ENOMEM, "no memory for planning");
	problem->graph = graph;
	problem->costs = costs;
	for (weft_id o = 0; o < graph->operations; o++)
		touches += graph->operation[o].operands;
	problem->base = calloc(graph->values + 1, sizeof(*problem->base));
	problem->base_of = calloc(graph->values + 1, sizeof(*problem->base_of));
	problem->touch = calloc(graph->operations + 1, sizeof(*problem->touch));
	problem->touches = calloc(graph->operations + 1, sizeof(*problem->touches));
	problem->order = calloc(graph->operations + 1, sizeof(*problem->order));
	problem->position = calloc(graph->operations + 1, sizeof(*problem->position));
	problem->clock = calloc(graph->operations + 1, sizeof(*problem->clock));
	problem->use_room = calloc(touches + 1, sizeof(*problem->use_room));
	problem->update_room = calloc(touches + 1, sizeof(*problem->update_room));
	problem->writer_room = calloc(touches + 1, sizeof(*problem->writer_room));
	problem->touch_room = calloc(touches + 1, sizeof(*problem->touch_room));
	if (!problem->base || !problem->base_of || !problem->touch || !problem->touches || !problem->order ||
	    !problem->position || !problem->clock || !problem->use_room || !problem->update_room ||
	    !problem->writer_room || !problem->touch_room)
		goto failed;
	result = collect_bases(problem);
	if (result)
		goto failed;
	collect_touches(problem);
	for (weft_id o = 0; o < graph->operations; o++)
		problem->order[o] = o;
	if (order == WEFT_ORDER_EAGER) {
		result = order_eagerly(problem);
		if (result)
			goto failed;
	}
	index_uses(problem);
	mark_recomputable(problem);
	for (uint32_t p = 0; p < graph->operations; p++)
		problem->clock[p + 1] = problem->clock[p] + costs->operation_seconds[problem->order[p]];
	*out = problem;
	return 0;
failed:
	weft_problem_free(problem);
	return result == -ENOMEM ? weft_fail(ENOMEM, "no memory for planning") : result;
}
