// SPDX-License-Identifier: MIT
#include "autodiff/autodiff.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "graph/layout.h"
#include "weft/error.h"

/* A contribution to a part of a base. */
struct piece {
	weft_id base;
	uint64_t offset; /* bytes from the base's first byte */
	struct weft_layout shown;
	struct weft_operand gradient;
	bool joined;
};

/* The gradient of one base so far. */
struct accumulator {
	weft_id whole; /* sum of contributions to all of it */
	uint32_t pieces;
	uint32_t readers; /* operations not yet visited that read it */
	bool wanted;
	bool masked; /* the sum is already zero where the producer's ReLU let nothing through */
};

struct weft_backward {
	struct weft_graph *graph;
	uint32_t values; /* of the forward graph */
	struct accumulator *accumulator;
	struct piece *piece;
	uint32_t pieces, piece_room;
	weft_id zero;
	char name[256];
	bool as_outputs;
};

struct weft_graph *weft_backward_graph(struct weft_backward *backward)
{
	return backward->graph;
}

const char *weft_backward_name(const struct weft_backward *backward)
{
	return backward->name;
}

bool weft_backward_wants(const struct weft_backward *backward, const struct weft_operation *operation,
			 unsigned int slot)
{
	weft_id id = operation->operand[slot];

	return id != WEFT_NO_ID && backward->accumulator[backward->graph->value[id].base].wanted;
}

static struct weft_layout dense_in_order_of(const struct weft_layout *layout)
{
	struct weft_layout dense = *layout;
	uint8_t order[WEFT_MAX_RANK];
	unsigned int i, j;
	int64_t stride = 1;

	for (i = 0; i < layout->rank; i++) {
		for (j = i; j && abs(layout->strides[order[j - 1]]) < abs(layout->strides[i]); j--)
			order[j] = order[j - 1];
		order[j] = (uint8_t)i;
	}
	for (i = layout->rank; i-- > 0;) {
		dense.strides[order[i]] = (int32_t)stride;
		stride *= layout->dims[order[i]];
	}
	return dense;
}

int weft_backward_temporary(struct weft_backward *backward, const struct weft_layout *layout,
			    struct weft_operand *operand)
{
	operand->layout = *layout;
	if (weft_layout_repeats(layout))
		weft_layout_dense(&operand->layout);
	else
		operand->layout = dense_in_order_of(layout);
	return weft_build_value(backward->graph, backward->name, &operand->layout, &operand->id);
}

int weft_backward_zero(struct weft_backward *backward, const struct weft_layout *like, struct weft_operand *operand)
{
	int r = 0;

	if (backward->zero == WEFT_NO_ID)
		r = weft_build_scalar(backward->graph, "weft.zero", 0, &backward->zero);
	operand->id = backward->zero;
	operand->layout = *like;
	operand->layout.type = WEFT_TYPE_F32;
	memset(operand->layout.strides, 0, sizeof(operand->layout.strides));
	return r;
}

int weft_backward_target_of(struct weft_backward *backward, weft_id of, const struct weft_layout *shown,
			    struct weft_target *target)
{
	const struct weft_value *value = &backward->graph->value[of], *base = &backward->graph->value[value->base];
	uint64_t offset = value->offset;
	struct weft_layout layout = base->layout;
	char name[300];
	int r;

	*target = (struct weft_target){.of = of, .shown = *shown};
	target->reduce = weft_layout_repeats(shown);
	target->whole = !target->reduce && weft_layout_elements(shown) == weft_layout_elements(&layout);
	if (!target->whole)
		return weft_backward_temporary(backward, shown, &target->operand);
	snprintf(name, sizeof(name), "%s.grad", base->name);
	target->operand.layout = *shown;
	r = weft_build_value(backward->graph, name, &layout, &target->operand.id);
	if (!r && offset)
		r = weft_build_view(backward->graph, name, target->operand.id, offset, shown, &target->operand.id);
	return r;
}

int weft_backward_target(struct weft_backward *backward, const struct weft_operation *operation, unsigned int slot,
			 struct weft_target *target)
{
	struct weft_operand shown = weft_operand_in(backward->graph, operation, slot);

	return weft_backward_target_of(backward, shown.id, &shown.layout, target);
}

/* The gradient of all of @base is the sum of what it was and @gradient, which has the base's layout. */
static int add_whole(struct weft_backward *backward, weft_id base, weft_id gradient)
{
	struct accumulator *accumulator = &backward->accumulator[base];
	union weft_params params = {.binary = {.function = WEFT_BINARY_ADD}};
	struct weft_operand operand[3];
	weft_id at;
	int r;

	if (accumulator->whole == WEFT_NO_ID) {
		accumulator->whole = gradient;
		return 0;
	}
	operand[0] = weft_operand_of(backward->graph, accumulator->whole);
	operand[1] = weft_operand_of(backward->graph, gradient);
	operand[2].layout = backward->graph->value[base].layout;
	r = weft_build_value(backward->graph, backward->name, &operand[2].layout, &operand[2].id);
	if (!r)
		r = weft_build_elementwise(backward->graph, backward->name, WEFT_OP_BINARY, &params, 2, 3, operand,
					   &at);
	if (r)
		return r;
	weft_build_in_place(backward->graph, at, 2, 1);
	weft_build_in_place(backward->graph, at, 2, 0);
	accumulator->whole = operand[2].id;
	return 0;
}

bool weft_backward_claim_relu(struct weft_backward *backward, const struct weft_operation *operation, unsigned int slot)
{
	const struct weft_graph *graph = backward->graph;
	weft_id id = operation->operand[slot];
	const struct weft_value *value = &graph->value[id];
	struct accumulator *accumulator = &backward->accumulator[value->base];
	const struct weft_operation *producer;
	unsigned int output;

	if (value->base != id || value->producer == WEFT_NO_ID || accumulator->readers != 1 || accumulator->pieces ||
	    accumulator->whole != WEFT_NO_ID)
		return false;
	producer = &graph->operation[value->producer];
	if (!weft_gradient_epilogue(producer, &output) || producer->operand[output] != id || producer->updates)
		return false;
	accumulator->masked = true;
	return true;
}

bool weft_backward_relu_claimed(const struct weft_backward *backward, const struct weft_operation *operation,
				unsigned int slot)
{
	return backward->accumulator[backward->graph->value[operation->operand[slot]].base].masked;
}

static int add_piece(struct weft_backward *backward, weft_id of, const struct weft_layout *shown,
		     const struct weft_operand *gradient)
{
	const struct weft_value *value = &backward->graph->value[of];
	uint32_t room = backward->piece_room ? backward->piece_room * 2 : 16;
	struct piece *more;

	if (backward->pieces == backward->piece_room) {
		more = reallocarray(backward->piece, room, sizeof(*more));
		if (!more)
			return weft_fail(ENOMEM, "no memory for %u parts of gradients", room);
		backward->piece = more;
		backward->piece_room = room;
	}
	backward->piece[backward->pieces++] =
		(struct piece){.base = value->base, .offset = value->offset, .shown = *shown, .gradient = *gradient};
	backward->accumulator[value->base].pieces++;
	return 0;
}

/* The base that a whole gradient at @operand belongs to: the operand may be a view of it at an offset. */
static int add_target(struct weft_backward *backward, const struct weft_target *target)
{
	weft_id base = backward->graph->value[target->of].base;

	return add_whole(backward, base, backward->graph->value[target->operand.id].base);
}

int weft_backward_done(struct weft_backward *backward, const struct weft_target *target)
{
	if (target->reduce)
		return weft_backward_contribute_to(backward, target->of, &target->shown, &target->operand);
	if (!target->whole)
		return add_piece(backward, target->of, &target->shown, &target->operand);
	return add_target(backward, target);
}

/* Sum @gradient over the dimensions that @shown repeats. */
static int contribute_sum(struct weft_backward *backward, weft_id of, const struct weft_layout *shown,
			  const struct weft_operand *gradient)
{
	union weft_params params = {.reduce = {.function = WEFT_REDUCE_SUM, .scale = 1}};
	struct weft_layout once = *shown;
	struct weft_target target;
	unsigned int i;
	int r;

	for (i = 0; i < once.rank; i++) {
		if (once.strides[i] || once.dims[i] == 1)
			continue;
		once.dims[i] = 1;
		once.strides[i] = 1;
	}
	r = weft_backward_target_of(backward, of, &once, &target);
	if (!r)
		r = weft_build_broadcast(backward->graph, backward->name, WEFT_OP_REDUCE, &params, 1, 2,
					 (struct weft_operand[]){*gradient, target.operand}, 0, NULL);
	return r ? r : weft_backward_done(backward, &target);
}

int weft_backward_contribute_to(struct weft_backward *backward, weft_id of, const struct weft_layout *shown,
				const struct weft_operand *gradient)
{
	const struct weft_value *value = &backward->graph->value[of], *base = &backward->graph->value[value->base];
	struct weft_layout layout = base->layout;
	weft_id base_id = value->base, id = gradient->id;
	struct weft_target target;
	char name[300];
	int r;

	if (weft_layout_repeats(shown))
		return contribute_sum(backward, of, shown, gradient);
	if (weft_layout_elements(shown) != weft_layout_elements(&layout))
		return add_piece(backward, of, shown, gradient);
	if (weft_layout_same(shown, &gradient->layout) && weft_layout_is_dense(shown)) {
		if (!weft_layout_same(&backward->graph->value[id].layout, &layout)) {
			snprintf(name, sizeof(name), "%s.grad", base->name);
			r = weft_build_view(backward->graph, name, id, 0, &layout, &id);
			if (r)
				return r;
		}
		return add_whole(backward, base_id, id);
	}
	r = weft_backward_target_of(backward, of, shown, &target);
	if (!r)
		r = weft_build_elementwise(backward->graph, backward->name, WEFT_OP_COPY, NULL, 1, 2,
					   (struct weft_operand[]){*gradient, target.operand}, NULL);
	return r ? r : weft_backward_done(backward, &target);
}

int weft_backward_contribute(struct weft_backward *backward, const struct weft_operation *operation, unsigned int slot,
			     const struct weft_operand *gradient)
{
	struct weft_operand shown = weft_operand_in(backward->graph, operation, slot);

	return weft_backward_contribute_to(backward, shown.id, &shown.layout, gradient);
}

/* Where @piece starts along each dimension of its base; false if it is no box of it. */
static bool box_of(const struct weft_layout *base, const struct piece *piece, uint64_t start[])
{
	uint64_t rest = piece->offset / (weft_type_bits(base->type) / 8);
	bool used[WEFT_MAX_RANK] = {false};
	unsigned int i, n, best;

	if (piece->shown.rank != base->rank)
		return false;
	for (i = 0; i < base->rank; i++)
		if (piece->shown.dims[i] > 1 && piece->shown.strides[i] != base->strides[i])
			return false;
	for (n = 0; n < base->rank; n++) {
		for (best = WEFT_MAX_RANK, i = 0; i < base->rank; i++)
			if (!used[i] && (best == WEFT_MAX_RANK || base->strides[i] > base->strides[best]))
				best = i;
		used[best] = true;
		start[best] = base->dims[best] > 1 ? rest / (uint64_t)base->strides[best] : 0;
		rest -= start[best] * (uint64_t)base->strides[best];
	}
	return true;
}

/* Whether two pieces certainly share no element. */
static bool disjoint(const struct weft_layout *base, const struct piece *a, const struct piece *b)
{
	uint64_t start_a[WEFT_MAX_RANK], start_b[WEFT_MAX_RANK];
	int64_t first_a, end_a, first_b, end_b;
	unsigned int i;

	if (!weft_layout_range(&a->shown, &first_a, &end_a) || !weft_layout_range(&b->shown, &first_b, &end_b))
		return false;
	if ((int64_t)a->offset + end_a <= (int64_t)b->offset + first_b ||
	    (int64_t)b->offset + end_b <= (int64_t)a->offset + first_a)
		return true;
	if (!box_of(base, a, start_a) || !box_of(base, b, start_b))
		return false;
	for (i = 0; i < base->rank; i++)
		if (start_a[i] + a->shown.dims[i] <= start_b[i] || start_b[i] + b->shown.dims[i] <= start_a[i])
			return true;
	return false;
}

/* One gradient of all of @base from pieces that do not overlap, which are then joined. */
static int join_group(struct weft_backward *backward, weft_id base, const uint32_t group[], uint32_t count)
{
	struct weft_layout layout = backward->graph->value[base].layout;
	uint64_t elements = 0;
	struct weft_operand whole = {.layout = layout}, part;
	union weft_params zero = {0};
	weft_id at;
	uint32_t i;
	bool filled;
	int r = weft_build_value(backward->graph, backward->name, &layout, &whole.id);

	for (i = 0; i < count; i++)
		elements += weft_layout_elements(&backward->piece[group[i]].shown);
	filled = elements != weft_layout_elements(&layout);
	if (!r && filled)
		r = weft_build_elementwise(backward->graph, backward->name, WEFT_OP_FILL, &zero, 0, 1, &whole, NULL);
	for (i = 0; i < count && !r; i++) {
		struct piece *piece = &backward->piece[group[i]];

		piece->joined = true;
		part.layout = piece->shown;
		r = weft_build_view(backward->graph, backward->name, whole.id, piece->offset, &part.layout, &part.id);
		if (!r)
			r = weft_build_elementwise(backward->graph, backward->name, WEFT_OP_COPY, NULL, 1, 2,
						   (struct weft_operand[]){piece->gradient, part}, &at);
		if (!r && filled) {
			backward->graph->operation[at].updates = 1u << 1;
			backward->graph->operation[at].recomputable = false;
		}
	}
	return r ? r : add_whole(backward, base, whole.id);
}

static int join_pieces(struct weft_backward *backward, weft_id base)
{
	struct accumulator *accumulator = &backward->accumulator[base];
	const struct weft_layout layout = backward->graph->value[base].layout;
	uint32_t *group, count, i, j;
	int r = 0;

	if (!accumulator->pieces)
		return 0;
	group = malloc(accumulator->pieces * sizeof(*group));
	if (!group)
		return weft_fail(ENOMEM, "no memory to join gradients");
	do {
		for (count = 0, i = 0; i < backward->pieces; i++) {
			const struct piece *piece = &backward->piece[i];

			if (piece->base != base || piece->joined)
				continue;
			for (j = 0; j < count; j++)
				if (!disjoint(&layout, &backward->piece[group[j]], piece))
					break;
			if (j == count)
				group[count++] = i;
		}
		if (count)
			r = join_group(backward, base, group, count);
	} while (count && !r);
	accumulator->pieces = 0;
	free(group);
	return r;
}

struct weft_operand weft_backward_of_output(struct weft_backward *backward, const struct weft_operation *operation,
					    unsigned int slot, int *result)
{
	struct weft_operand gradient = WEFT_ABSENT, shown;
	const struct weft_value *value;
	uint64_t offset;
	weft_id whole;

	*result = 0;
	if (operation->operand[slot] == WEFT_NO_ID)
		return gradient;
	shown = weft_operand_in(backward->graph, operation, slot);
	value = &backward->graph->value[shown.id];
	if (value->base >= backward->values)
		return gradient;
	offset = value->offset;
	*result = join_pieces(backward, value->base);
	whole = backward->accumulator[backward->graph->value[shown.id].base].whole;
	if (*result || whole == WEFT_NO_ID)
		return gradient;
	gradient.layout = shown.layout;
	gradient.id = whole;
	if (offset)
		*result = weft_build_view(backward->graph, backward->name, whole, offset, &shown.layout, &gradient.id);
	return gradient;
}

/* The complete gradient of a weight or input. */
static int finish_leaf(struct weft_backward *backward, weft_id base)
{
	struct weft_graph *graph = backward->graph;
	weft_id gradient;
	struct weft_operand copy;
	char name[300];
	int r = join_pieces(backward, base);

	gradient = backward->accumulator[base].whole;
	if (r || gradient == WEFT_NO_ID)
		return r;
	if (backward->as_outputs) {
		const struct weft_value *value = &graph->value[gradient];

		if (value->base != gradient || value->output || value->kind != WEFT_VALUE_ACTIVATION) {
			copy.layout = graph->value[base].layout;
			snprintf(name, sizeof(name), "%s.grad", graph->value[base].name);
			r = weft_build_value(graph, name, &copy.layout, &copy.id);
			if (!r)
				r = weft_build_elementwise(
					graph, name, WEFT_OP_COPY, NULL, 1, 2,
					(struct weft_operand[]){weft_operand_of(graph, gradient), copy}, NULL);
			gradient = copy.id;
		}
		graph->value[gradient].output = true;
	}
	graph->value[base].gradient = gradient;
	return r;
}

static bool is_leaf(const struct weft_backward *backward, const struct weft_value *value)
{
	if (value->layout.type != WEFT_TYPE_F32)
		return false;
	return (value->kind == WEFT_VALUE_WEIGHT && !value->frozen) ||
	       (value->kind == WEFT_VALUE_INPUT && backward->as_outputs);
}

/* What depends on something trainable, through operations that have a rule. */
static void find_wanted(struct weft_backward *backward)
{
	struct weft_graph *graph = backward->graph;
	weft_id id, at;
	unsigned int slot;

	for (id = 0; id < graph->values; id++)
		backward->accumulator[id].wanted = graph->value[id].base == id && is_leaf(backward, &graph->value[id]);
	for (at = 0; at < graph->operations; at++) {
		const struct weft_operation *operation = &graph->operation[at];
		bool any = false;

		for (slot = 0; slot < operation->inputs; slot++) {
			if (operation->operand[slot] == WEFT_NO_ID)
				continue;
			any |= weft_backward_wants(backward, operation, slot);
			backward->accumulator[graph->value[operation->operand[slot]].base].readers++;
		}
		if (!any || operation->constant || !weft_gradient_rule_of(operation->opcode))
			continue;
		for (; slot < operation->operands; slot++) {
			const struct weft_value *value;

			if (operation->operand[slot] == WEFT_NO_ID)
				continue;
			value = &graph->value[operation->operand[slot]];
			/* Integers pass on what they were rounded from. */
			if ((value->layout.type == WEFT_TYPE_F32 || operation->opcode == WEFT_OP_QUANTIZE) &&
			    value->kind == WEFT_VALUE_ACTIVATION)
				backward->accumulator[value->base].wanted = true;
		}
	}
}

static int visit(struct weft_backward *backward, weft_id at)
{
	struct weft_operation operation = backward->graph->operation[at];
	weft_gradient_rule rule = weft_gradient_rule_of(operation.opcode);
	unsigned int slot;
	bool any = false;
	int r = 0;

	snprintf(backward->name, sizeof(backward->name), "%s.backward", operation.name);
	for (slot = 0; slot < operation.inputs; slot++)
		any |= weft_backward_wants(backward, &operation, slot);
	if (rule && any && !operation.constant)
		r = rule(backward, &operation);
	for (slot = 0; slot < operation.inputs && !r; slot++) {
		struct accumulator *accumulator;
		weft_id base;

		if (operation.operand[slot] == WEFT_NO_ID)
			continue;
		base = backward->graph->value[operation.operand[slot]].base;
		accumulator = &backward->accumulator[base];
		if (--accumulator->readers == 0 && is_leaf(backward, &backward->graph->value[base]))
			r = finish_leaf(backward, base);
	}
	return r ? weft_fail_in(r, "gradient of %s", operation.name) : 0;
}

static int seed(struct weft_backward *backward)
{
	struct weft_graph *graph = backward->graph;
	struct weft_layout layout = graph->value[graph->loss].layout;
	weft_id one;
	int r = weft_build_scalar(graph, "weft.one", 1, &one);

	if (!r && layout.rank)
		r = weft_build_view(graph, "weft.one", one, 0, &layout, &one);
	backward->accumulator[graph->loss].whole = one;
	return r;
}

int weft_autodiff(struct weft_graph *graph, bool as_outputs)
{
	struct weft_backward backward = {.graph = graph, .values = graph->values, .as_outputs = as_outputs};
	uint32_t forward = graph->operations, i;
	int r = 0;

	if (graph->loss == WEFT_NO_ID || graph->value[graph->loss].base != graph->loss ||
	    weft_layout_elements(&graph->value[graph->loss].layout) != 1)
		return weft_fail(EINVAL, "a graph is differentiated from a scalar loss, and this one has none");
	backward.zero = WEFT_NO_ID;
	backward.accumulator = calloc(graph->values + 1, sizeof(*backward.accumulator));
	if (!backward.accumulator)
		return weft_fail(ENOMEM, "no memory for the gradients of %u values", graph->values);
	for (i = 0; i < graph->values; i++)
		backward.accumulator[i].whole = WEFT_NO_ID;
	find_wanted(&backward);
	if (!backward.accumulator[graph->loss].wanted)
		r = weft_fail(EINVAL, "the loss depends on no trainable weight through operators with a gradient");
	if (!r)
		r = seed(&backward);
	for (i = forward; i-- > 0 && !r;)
		r = visit(&backward, i);
	for (i = forward; i < graph->operations; i++)
		graph->operation[i].phase = WEFT_PHASE_BACKWARD;
	for (i = backward.values; i < graph->values; i++)
		graph->value[i].backward = true;
	free(backward.accumulator);
	free(backward.piece);
	return r;
}
