// SPDX-License-Identifier: MIT
#include "plan/split.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plan/plan.h"
#include "weft/error.h"

/* What becomes of an operand when its operation is split. */
enum role {
	ROLE_WHOLE, /* every part sees all of it */
	ROLE_PART,  /* part p sees its rows */
	ROLE_SUM,   /* an output that every part adds to */
	ROLE_BAD,   /* the operation cannot be split */
};

struct splitter {
	const struct weft_graph *from;
	struct weft_graph *to;
	uint32_t parts;
	bool *splits;	  /* per value of @from: becomes parts */
	weft_id *part;	  /* per value of @from: id of its first part in @to */
	bool *unfinished; /* per value of @from: whole, but the run at hand writes it in parts */
};

static const struct weft_layout *shown(const struct weft_graph *graph, const struct weft_operation *operation,
				       unsigned int slot)
{
	if (operation->view[slot])
		return operation->view[slot];
	return &graph->value[operation->operand[slot]].layout;
}

static uint64_t type_bytes(uint8_t type)
{
	switch (type) {
	case WEFT_TYPE_F32:
	case WEFT_TYPE_I32:
		return 4;
	case WEFT_TYPE_I64:
		return 8;
	case WEFT_TYPE_F16:
	case WEFT_TYPE_BF16:
	case WEFT_TYPE_I16:
		return 2;
	case WEFT_TYPE_I8:
	case WEFT_TYPE_U8:
	case WEFT_TYPE_BOOL:
		return 1;
	default:
		return 0;
	}
}

/* The operand is all of its base, and its rows stand in the parts' order. */
static bool has_parts(const struct splitter *s, const struct weft_operation *operation, unsigned int slot)
{
	const struct weft_layout *layout = shown(s->from, operation, slot);
	const struct weft_value *value = &s->from->value[operation->operand[slot]];
	uint64_t bytes = s->from->value[value->base].bytes;

	return !value->offset && layout->rank && layout->dims[0] % s->parts == 0 && layout->strides[0] > 0 &&
	       bytes % s->parts == 0 && bytes / s->parts % WEFT_PLAN_ALIGN == 0 &&
	       (uint64_t)layout->strides[0] * layout->dims[0] * type_bytes(layout->type) == bytes;
}

/* Rows where the operand has them, else the whole: what broadcasts along the first dimension. */
static enum role part_or_whole(const struct splitter *s, const struct weft_operation *operation, unsigned int slot,
			       uint32_t rows)
{
	const struct weft_layout *layout = shown(s->from, operation, slot);

	if (!layout->rank || layout->dims[0] == 1)
		return rows == 1 ? ROLE_BAD : ROLE_WHOLE;
	if (layout->dims[0] != rows)
		return ROLE_BAD;
	if (layout->strides[0] == 0)
		return ROLE_BAD; /* the shown dims would have to shrink: not worth it */
	return has_parts(s, operation, slot) ? ROLE_PART : ROLE_BAD;
}

/* A sum over rows: each part must end at a block boundary of the order of summation. */
static enum role sum_role(const struct splitter *s, const struct weft_operation *operation)
{
	const struct weft_layout *x = shown(s->from, operation, 0), *y = shown(s->from, operation, 1);
	uint64_t reduced = 1;

	if (operation->params.reduce.function != WEFT_REDUCE_SUM || x->rank != y->rank || !x->rank)
		return ROLE_BAD;
	if (y->dims[0] == x->dims[0])
		return ROLE_PART;
	for (unsigned int i = 1; i < x->rank; i++)
		if (y->dims[i] != x->dims[i])
			reduced *= x->dims[i];
	return x->dims[0] / s->parts * reduced % WEFT_SUM_REDUCE == 0 ? ROLE_SUM : ROLE_BAD;
}

static enum role role_of(const struct splitter *s, const struct weft_operation *operation, unsigned int slot)
{
	uint32_t rows = shown(s->from, operation, 0)->dims[0];

	switch (operation->opcode) {
	case WEFT_OP_UNARY:
	case WEFT_OP_UNARY_BWD:
	case WEFT_OP_BINARY:
	case WEFT_OP_WHERE:
	case WEFT_OP_CAST:
	case WEFT_OP_COPY:
	case WEFT_OP_MAXPOOL_FWD:
	case WEFT_OP_MAXPOOL_BWD:
	case WEFT_OP_AVGPOOL_FWD:
	case WEFT_OP_AVGPOOL_BWD:
		return has_parts(s, operation, slot) ? ROLE_PART : ROLE_BAD;
	case WEFT_OP_SOFTMAX_FWD:
	case WEFT_OP_SOFTMAX_BWD:
		return has_parts(s, operation, slot) && shown(s->from, operation, slot)->rank > 1 ? ROLE_PART
												  : ROLE_BAD;
	case WEFT_OP_CONV_FWD:
	case WEFT_OP_CONV_BWD_DATA:
		return slot == 1 || slot == 2 ? ROLE_WHOLE : part_or_whole(s, operation, slot, rows);
	case WEFT_OP_CONV_BWD_WEIGHT:
		/* Its blocks never span samples. */
		return slot == 2 ? ROLE_SUM : part_or_whole(s, operation, slot, rows);
	case WEFT_OP_NORM_APPLY:
	case WEFT_OP_NORM_BWD_APPLY:
		return part_or_whole(s, operation, slot, rows);
	case WEFT_OP_MATMUL:
		if (shown(s->from, operation, 0)->rank != 2)
			return ROLE_BAD;
		if (slot == 1 || (slot == 2 && shown(s->from, operation, slot)->rank == 1))
			return ROLE_WHOLE;
		return part_or_whole(s, operation, slot, rows);
	case WEFT_OP_REDUCE:
		return slot ? sum_role(s, operation) : has_parts(s, operation, slot) ? ROLE_PART : ROLE_BAD;
	default:
		return ROLE_BAD;
	}
}

static bool can_split(const struct splitter *s, const struct weft_operation *operation)
{
	if (operation->operand[0] == WEFT_NO_ID || !shown(s->from, operation, 0)->rank)
		return false;
	for (unsigned int i = 0; i < operation->operands; i++) {
		enum role role;

		if (operation->operand[i] == WEFT_NO_ID)
			continue;
		role = role_of(s, operation, i);
		if (role == ROLE_BAD || (operation->updates & (1u << i) && role != ROLE_SUM))
			return false;
	}
	return true;
}

/* Values all of whose operations can be split, and take them in parts. */
static uint32_t choose(struct splitter *s, uint64_t bytes)
{
	const struct weft_graph *graph = s->from;
	uint32_t chosen = 0;

	for (weft_id v = 0; v < graph->values; v++) {
		const struct weft_value *value = &graph->value[v];

		s->splits[v] = value->base == v && value->kind == WEFT_VALUE_ACTIVATION && !value->output &&
			       value->bytes >= bytes && value->layout.rank && value->layout.dims[0] % s->parts == 0 &&
			       value->bytes % s->parts == 0 && value->producer != WEFT_NO_ID;
	}
	for (weft_id v = 0; v < graph->values; v++)
		if (graph->value[v].output)
			s->splits[graph->value[v].base] = false;
	for (weft_id o = 0; o < graph->operations; o++) {
		const struct weft_operation *operation = &graph->operation[o];
		bool can = can_split(s, operation);

		for (unsigned int i = 0; i < operation->operands; i++) {
			if (operation->operand[i] == WEFT_NO_ID)
				continue;
			if (!can || role_of(s, operation, i) != ROLE_PART)
				s->splits[graph->value[operation->operand[i]].base] = false;
		}
	}
	for (weft_id v = 0; v < graph->values; v++) {
		struct weft_layout layout = graph->value[v].layout;

		if (!s->splits[v])
			continue;
		layout.dims[0] /= s->parts;
		s->splits[v] = weft_layout_bytes(&layout) == graph->value[v].bytes / s->parts;
		chosen += s->splits[v];
	}
	return chosen;
}

static bool is_split(const struct splitter *s, weft_id o)
{
	const struct weft_operation *operation = &s->from->operation[o];

	for (unsigned int i = 0; i < operation->operands; i++)
		if (operation->operand[i] != WEFT_NO_ID && s->splits[s->from->value[operation->operand[i]].base])
			return true;
	return false;
}

static char *part_name(const struct splitter *s, const char *whole, uint32_t p)
{
	char *name;

	return asprintf(&name, "%s/%u-%u", whole, p, s->parts) < 0 ? NULL : name;
}

int weft_graph_copy_values(const struct weft_graph *from, struct weft_graph *to)
{
	for (weft_id v = 0; v < from->values; v++) {
		const struct weft_value *old = &from->value[v];
		struct weft_value *new;
		weft_id id;
		int result;

		if (old->base == v)
			result = weft_graph_add_value(to, old->name, old->kind, &old->layout, &id);
		else
			result = weft_graph_add_view(to, old->name, old->base, old->offset, &old->layout, &id);
		if (result)
			return result;
		new = &to->value[id];
		new->gradient = old->gradient;
		new->backward = old->backward;
		new->output = old->output;
		new->frozen = old->frozen;
		new->file_rank = old->file_rank;
		memcpy(new->file_dims, old->file_dims, sizeof(new->file_dims));
		memcpy(new->file_order, old->file_order, sizeof(new->file_order));
	}
	return 0;
}

static int copy_values(struct splitter *s)
{
	const struct weft_graph *from = s->from;
	int result = weft_graph_copy_values(from, s->to);

	if (result)
		return result;
	for (weft_id v = 0; v < from->values; v++) {
		struct weft_layout layout = from->value[v].layout;

		if (!s->splits[v])
			continue;
		layout.dims[0] /= s->parts;
		for (uint32_t p = 0; p < s->parts; p++) {
			char *name = part_name(s, from->value[v].name, p);
			weft_id id;

			if (!name)
				return weft_fail(ENOMEM, "no memory to split a graph");
			result = weft_graph_add_value(s->to, name, WEFT_VALUE_ACTIVATION, &layout, &id);
			free(name);
			if (result)
				return result;
			s->to->value[id].backward = from->value[v].backward;
			if (!p)
				s->part[v] = id;
		}
	}
	return 0;
}

static int finish_operation(struct splitter *s, const struct weft_operation *old, weft_id id,
			    const struct weft_layout *layout, const bool *narrow, bool in_place)
{
	struct weft_operation *new = &s->to->operation[id];

	new->phase = old->phase;
	for (unsigned int i = 0; i < old->operands; i++) {
		int result;

		if (old->operand[i] == WEFT_NO_ID || !(old->view[i] || narrow[i]))
			continue;
		result = weft_operation_set_view(new, i, &layout[i]);
		if (result)
			return result;
	}
	for (unsigned int i = old->inputs; i < old->operands; i++)
		if (old->may_in_place & (1u << i) && in_place)
			weft_operation_allow_in_place(new, i, old->in_place[i]);
	new->recomputable = old->recomputable && !new->updates;
	return 0;
}

static int copy_operation(struct splitter *s, weft_id o)
{
	const struct weft_operation *old = &s->from->operation[o];
	struct weft_layout layout[WEFT_MAX_OPERANDS] = {0};
	bool narrow[WEFT_MAX_OPERANDS] = {false};
	weft_id id;
	int result;

	for (unsigned int i = 0; i < old->operands; i++)
		if (old->view[i])
			layout[i] = *old->view[i];
	result = weft_graph_add_operation(s->to, old->name, old->opcode, &old->params, old->inputs, old->operands,
					  old->operand, &id);
	if (result)
		return result;
	memcpy(s->to->operation[id].zero_point, old->zero_point, sizeof(old->zero_point));
	s->to->operation[id].updates = old->updates;
	return finish_operation(s, old, id, layout, narrow, true);
}

/* A view of part @p of a value that itself stays whole. */
static int view_part(struct splitter *s, weft_id operation, unsigned int slot, weft_id value, uint32_t p,
		     const struct weft_layout *layout, weft_id *id)
{
	weft_id base = s->from->value[value].base;
	char *name;
	int result;

	/* Operation and slot make the name unique. */
	if (asprintf(&name, "%s/%u-%u/%u.%u", s->from->value[base].name, p, s->parts, operation, slot) < 0)
		return weft_fail(ENOMEM, "no memory to split a graph");
	result = weft_graph_add_view(s->to, name, base, s->from->value[base].bytes / s->parts * p, layout, id);
	free(name);
	return result;
}

/* The operands of part @p of operation @o, and how they are shown. */
struct split_operands {
	weft_id id[WEFT_MAX_OPERANDS];
	struct weft_layout layout[WEFT_MAX_OPERANDS];
	bool narrow[WEFT_MAX_OPERANDS]; /* layout differs from the original */
	bool in_place;			/* all parts are values of their own */
	bool sums;
};

static int split_operands(struct splitter *s, weft_id o, uint32_t p, struct split_operands *x)
{
	const struct weft_operation *old = &s->from->operation[o];

	memset(x, 0, sizeof(*x));
	x->in_place = true;
	for (unsigned int i = 0; i < old->operands; i++) {
		enum role role;
		weft_id base;

		x->id[i] = old->operand[i];
		if (x->id[i] == WEFT_NO_ID)
			continue;
		role = role_of(s, old, i);
		base = s->from->value[x->id[i]].base;
		x->layout[i] = *shown(s->from, old, i);
		x->sums |= role == ROLE_SUM;
		if (role != ROLE_PART)
			continue;
		x->layout[i].dims[0] /= s->parts;
		x->narrow[i] = true;
		if (s->splits[base]) {
			x->id[i] = s->part[base] + p;
		} else {
			int result = view_part(s, o, i, x->id[i], p, &x->layout[i], &x->id[i]);

			if (result)
				return result;
			x->in_place = false;
		}
	}
	return 0;
}

static int split_operation(struct splitter *s, weft_id o, uint32_t p)
{
	const struct weft_operation *old = &s->from->operation[o];
	char *name = part_name(s, old->name, p);
	union weft_params params = old->params;
	struct split_operands x;
	weft_id id;
	int result;

	if (!name)
		return weft_fail(ENOMEM, "no memory to split a graph");
	result = split_operands(s, o, p, &x);
	if (!result && x.sums && p) {
		if (old->opcode == WEFT_OP_REDUCE)
			params.reduce.flags |= WEFT_F_ACCUMULATE;
		else
			params.conv.flags |= WEFT_F_ACCUMULATE;
	}
	if (!result)
		result = weft_graph_add_operation(s->to, name, old->opcode, &params, old->inputs, old->operands, x.id,
						  &id);
	free(name);
	return result ? result : finish_operation(s, old, id, x.layout, x.narrow, x.in_place);
}

/* @o reads a value that stays whole and of which the run has written parts only. */
static bool reads_unfinished(const struct splitter *s, weft_id o, const bool *unfinished)
{
	const struct weft_operation *operation = &s->from->operation[o];

	for (unsigned int i = 0; i < operation->inputs; i++)
		if (operation->operand[i] != WEFT_NO_ID && unfinished[s->from->value[operation->operand[i]].base])
			return true;
	return false;
}

/* The end of the run of operations that begins with @o: they go part by part. */
static weft_id end_of_run(const struct splitter *s, weft_id o, bool *unfinished)
{
	const struct weft_graph *from = s->from;
	weft_id end;

	memset(unfinished, 0, from->values * sizeof(*unfinished));
	for (end = o; end < from->operations; end++) {
		const struct weft_operation *operation = &from->operation[end];

		if (!is_split(s, end)) {
			if (operation->phase != WEFT_PHASE_UPDATE)
				break;
			continue;
		}
		if (reads_unfinished(s, end, unfinished))
			break;
		for (unsigned int i = operation->inputs; i < operation->operands; i++)
			if (operation->operand[i] != WEFT_NO_ID && !s->splits[from->value[operation->operand[i]].base])
				unfinished[from->value[operation->operand[i]].base] = true;
	}
	return end;
}

/*
 * Runs of operations that are split go part by part.  Updates in between wait
 * until the run is over: nothing in it may read what they change.
 */
static int copy_operations(struct splitter *s)
{
	const struct weft_graph *from = s->from;

	for (weft_id o = 0, end; o < from->operations; o = end) {
		int result = 0;

		if (!is_split(s, o)) {
			end = o + 1;
			result = copy_operation(s, o);
			if (result)
				return result;
			continue;
		}
		end = end_of_run(s, o, s->unfinished);
		for (uint32_t p = 0; !result && p < s->parts; p++)
			for (weft_id i = o; !result && i < end; i++)
				if (is_split(s, i))
					result = split_operation(s, i, p);
		for (weft_id i = o; !result && i < end; i++)
			if (!is_split(s, i))
				result = copy_operation(s, i);
		if (result)
			return result;
	}
	return 0;
}

int weft_graph_copy_operation(struct weft_graph *to, const struct weft_operation *old)
{
	struct weft_operation *new;
	weft_id id;
	int result = weft_graph_add_operation(to, old->name, old->opcode, &old->params, old->inputs, old->operands,
					      old->operand, &id);

	if (result)
		return result;
	new = &to->operation[id];
	new->phase = old->phase;
	new->updates = old->updates;
	memcpy(new->zero_point, old->zero_point, sizeof(new->zero_point));
	new->recomputable = old->recomputable;
	new->may_in_place = old->may_in_place;
	memcpy(new->in_place, old->in_place, sizeof(new->in_place));
	for (unsigned int i = 0; !result && i < old->operands; i++)
		if (old->view[i])
			result = weft_operation_set_view(new, i, old->view[i]);
	return result;
}

int weft_graph_copy_roles(const struct weft_graph *from, struct weft_graph *to)
{
	to->input = malloc((from->inputs + 1) * sizeof(*to->input));
	to->model_output = malloc((from->model_outputs + 1) * sizeof(*to->model_output));
	if (!to->input || !to->model_output)
		return weft_fail(ENOMEM, "no memory to split a graph");
	for (uint32_t i = 0; i < from->inputs; i++)
		to->input[i] = from->input[i];
	for (uint32_t i = 0; i < from->model_outputs; i++)
		to->model_output[i] = from->model_output[i];
	to->inputs = from->inputs;
	to->model_outputs = from->model_outputs;
	to->label = from->label;
	to->loss = from->loss;
	to->hyper = from->hyper;
	to->adapter = malloc((from->adapters + 1) * sizeof(*to->adapter));
	if (!to->adapter)
		return weft_fail(ENOMEM, "no memory to split a graph");
	for (uint32_t i = 0; i < from->adapters; i++)
		to->adapter[i] = from->adapter[i];
	to->adapters = from->adapters;
	to->carry = from->carry;
	to->accumulate = from->accumulate;
	to->counter = from->counter;
	to->batch = from->batch;
	to->training = from->training;
	return 0;
}

int weft_graph_split(const struct weft_graph *graph, uint32_t parts, uint64_t bytes, struct weft_graph **split)
{
	struct splitter s = {.from = graph, .parts = parts};
	int result = 0;

	*split = NULL;
	s.splits = calloc(graph->values + 1, sizeof(*s.splits));
	s.part = calloc(graph->values + 1, sizeof(*s.part));
	s.unfinished = calloc(graph->values + 1, sizeof(*s.unfinished));
	s.to = weft_graph_new(graph->name);
	if (!s.splits || !s.part || !s.unfinished || !s.to)
		result = weft_fail(ENOMEM, "no memory to split a graph");
	else if (parts < 2 || !choose(&s, bytes))
		result = weft_fail(ERANGE, "no activation of the graph can be split into %u parts", parts);
	if (!result)
		result = copy_values(&s);
	if (!result)
		result = copy_operations(&s);
	if (!result)
		result = weft_graph_copy_roles(graph, s.to);
	free(s.splits);
	free(s.part);
	free(s.unfinished);
	if (result) {
		weft_graph_free(s.to);
		return result;
	}
	*split = s.to;
	return 0;
}

void weft_graph_take_data(struct weft_graph *to, struct weft_graph *from)
{
	for (weft_id v = 0; v < from->values && v < to->values; v++) {
		to->value[v].data = from->value[v].data;
		from->value[v].data = NULL;
	}
}
