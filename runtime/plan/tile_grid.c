// SPDX-License-Identifier: MIT
/*
 * Values as arrays of axes.  The strides with which operations see a value tell
 * its elements, in the order of memory, apart into axes; each shown dimension runs
 * along one axis or a few neighbours.  Values that are seen in ways which do not
 * fit together stay whole.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "graph/layout.h"
#include "plan/tile_internal.h"
#include "weft/error.h"

/* Spans. */

static bool span_of(const struct tile_value *value, uint64_t stride, uint32_t extent, struct tile_span *span)
{
	unsigned int k;
	uint64_t product = 1;

	for (k = 0; k < value->grid.axes; k++)
		if (value->stride[k] == stride)
			break;
	if (k == value->grid.axes)
		return false;
	span->inner = (uint8_t)k;
	while (extent > product * value->grid.extent[k]) {
		product *= value->grid.extent[k];
		if (!k-- || extent % product)
			return false;
	}
	span->outer = (uint8_t)k;
	span->product = (uint32_t)product;
	return true;
}

bool tile_spans(const struct tile_value *value, const struct weft_layout *layout, uint64_t offset,
		struct tile_span span[], uint32_t first[])
{
	bool taken[WEFT_MAX_RANK] = {false};

	for (unsigned int k = 0; k < value->grid.axes; k++) {
		first[k] = (uint32_t)(offset / value->stride[k]);
		offset %= value->stride[k];
	}
	for (unsigned int d = 0; d < layout->rank; d++) {
		span[d] = (struct tile_span){TILE_NO_AXIS, TILE_NO_AXIS, 1};
		if (layout->dims[d] < 2 || !layout->strides[d])
			continue;
		if (layout->strides[d] < 0 || !span_of(value, (uint64_t)layout->strides[d], layout->dims[d], &span[d]))
			return false;
		for (unsigned int k = span[d].outer; k <= span[d].inner; k++) {
			if (taken[k] || (k > span[d].outer && first[k]))
				return false;
			taken[k] = true;
		}
		if (first[span[d].outer] + (layout->dims[d] - 1) / span[d].product >= value->grid.extent[span[d].outer])
			return false;
	}
	return true;
}

void tile_box(const struct tile_value *value, const struct weft_layout *layout, const struct tile_span span[],
	      const uint32_t first[], const uint32_t low[], const uint32_t high[], struct tile_box *box)
{
	for (unsigned int k = 0; k < value->grid.axes; k++) {
		box->origin[k] = first[k];
		box->extent[k] = 1;
	}
	for (unsigned int d = 0; d < layout->rank; d++) {
		const struct tile_span *s = &span[d];

		if (s->outer == TILE_NO_AXIS)
			continue;
		box->origin[s->outer] += low[d] / s->product;
		box->extent[s->outer] = (high[d] - 1) / s->product - low[d] / s->product + 1;
		for (unsigned int k = s->outer + 1u; k <= s->inner; k++)
			box->extent[k] = value->grid.extent[k];
	}
}

uint64_t tile_box_bytes(const struct tile_value *value, const struct tile_box *box)
{
	uint64_t bytes = value->size;

	for (unsigned int k = 0; k < value->grid.axes; k++)
		bytes *= box->extent[k];
	return bytes;
}

/* Axes. */

struct strides {
	uint64_t stride[WEFT_MAX_RANK];
	unsigned int count;
	bool bad;
};

static void note_stride(struct strides *s, int64_t stride)
{
	unsigned int i;

	if (stride < 0)
		s->bad = true;
	if (stride <= 0 || s->bad)
		return;
	for (i = 0; i < s->count && s->stride[i] > (uint64_t)stride; i++)
		;
	if (i < s->count && s->stride[i] == (uint64_t)stride)
		return;
	if (s->count == WEFT_MAX_RANK) {
		s->bad = true;
		return;
	}
	memmove(&s->stride[i + 1], &s->stride[i], (s->count - i) * sizeof(s->stride[0]));
	s->stride[i] = (uint64_t)stride;
	s->count++;
}

static void note_strides(struct strides *s, const struct weft_layout *layout)
{
	for (unsigned int d = 0; d < layout->rank; d++)
		if (layout->dims[d] > 1)
			note_stride(s, layout->strides[d]);
}

/* Strides must divide one another; the innermost is 1. */
static bool make_grid(struct tile_value *value, const struct strides *s)
{
	uint64_t above = value->total;

	if (s->bad || !s->count || s->stride[s->count - 1] != 1)
		return false;
	for (unsigned int k = 0; k < s->count; k++) {
		if (above % s->stride[k] || above / s->stride[k] > UINT32_MAX)
			return false;
		value->stride[k] = s->stride[k];
		value->grid.extent[k] = value->grid.block[k] = (uint32_t)(above / s->stride[k]);
		value->align[k] = 1;
		above = s->stride[k];
	}
	value->grid.axes = (uint8_t)s->count;
	return true;
}

static uint64_t offset_of(const struct tiler *t, weft_id id)
{
	return t->from->value[id].offset / t->value[t->from->value[id].base].size;
}

static int find_axes(struct tiler *t)
{
	const struct weft_graph *from = t->from;
	struct strides *strides = calloc(from->values + 1, sizeof(*strides));

	if (!strides)
		return weft_fail(ENOMEM, "no memory to tile a graph");
	for (weft_id v = 0; v < from->values; v++) {
		const struct weft_value *value = &from->value[v];
		uint64_t bits = weft_type_bits(value->layout.type);

		t->value[v].link = v;
		/* Packed values are never cut. */
		t->value[v].size = bits < 8 ? 1 : (uint32_t)(bits / 8);
		t->value[v].total = weft_layout_elements(&value->layout);
		if (value->base != v)
			continue;
		if (bits % 8 || !weft_layout_is_dense(&value->layout) || value->kind == WEFT_VALUE_INPUT ||
		    value->kind == WEFT_VALUE_STEP)
			strides[v].bad = true;
		note_strides(&strides[v], &value->layout);
	}
	for (weft_id o = 0; o < from->operations; o++) {
		const struct weft_operation *operation = &from->operation[o];

		for (unsigned int i = 0; i < operation->operands; i++)
			if (operation->operand[i] != WEFT_NO_ID)
				note_strides(&strides[from->value[operation->operand[i]].base], &t->rule[o].shown[i]);
	}
	for (weft_id v = 0; v < from->values; v++)
		if (from->value[v].base == v)
			t->value[v].barred = !make_grid(&t->value[v], &strides[v]);
	for (weft_id v = 0; v < from->values; v++)
		if (from->value[v].output)
			t->value[from->value[v].base].barred = true;
	free(strides);
	return 0;
}

/* Taking dimensions apart. */

static bool take_apart(struct tile_rule *rule, unsigned int operands, unsigned int d, uint32_t inner)
{
	for (unsigned int i = 0; i < operands; i++)
		if (rule->shown[i].type != WEFT_TYPE_NONE && rule->shown[i].rank > d &&
		    (rule->shown[i].rank == WEFT_MAX_RANK ||
		     (rule->shown[i].dims[d] != 1 && rule->shown[i].dims[d] % inner)))
			return false;
	for (unsigned int i = 0; i < operands; i++) {
		struct weft_layout *l = &rule->shown[i];

		if (l->type == WEFT_TYPE_NONE || l->rank <= d)
			continue;
		memmove(&l->dims[d + 1], &l->dims[d], (l->rank - d) * sizeof(l->dims[0]));
		memmove(&l->strides[d + 1], &l->strides[d], (l->rank - d) * sizeof(l->strides[0]));
		l->rank++;
		if (l->dims[d] == 1)
			continue;
		l->dims[d] /= inner;
		l->dims[d + 1] = inner;
		l->strides[d] *= (int32_t)inner;
	}
	return true;
}

/* Operands that have every dimension of the operation; hyperparameters and the like do not. */
static bool follows(const struct weft_operation *operation, unsigned int slot)
{
	return !((operation->opcode == WEFT_OP_SGD || operation->opcode == WEFT_OP_ADAM) && slot == 1);
}

/* True: some dimension was taken apart. */
static bool loosen(struct tiler *t, weft_id o)
{
	const struct weft_operation *operation = &t->from->operation[o];
	struct tile_rule *rule = &t->rule[o];
	struct weft_layout aside = rule->shown[1];
	bool done = false, changed = false;

	if (!follows(operation, 1))
		rule->shown[1].type = WEFT_TYPE_NONE;
	while (!done) {
		done = true;
		for (unsigned int i = 0; done && i < operation->operands; i++) {
			struct tile_span span[WEFT_MAX_RANK];
			uint32_t first[WEFT_MAX_RANK];
			weft_id id = operation->operand[i], base;

			if (id == WEFT_NO_ID || rule->shown[i].type == WEFT_TYPE_NONE)
				continue;
			base = t->from->value[id].base;
			if (t->value[base].barred ||
			    !tile_spans(&t->value[base], &rule->shown[i], offset_of(t, id), span, first))
				continue;
			for (unsigned int d = 0; done && d < rule->shown[i].rank; d++)
				if (span[d].product > 1)
					done = !take_apart(rule, operation->operands, d, span[d].product);
			changed |= !done;
		}
	}
	if (!follows(operation, 1))
		rule->shown[1] = aside;
	tile_rule_of(t->from, operation, rule);
	return changed;
}

/* What may be cut. */

static uint32_t find(struct tiler *t, uint32_t v)
{
	while (t->value[v].link != v)
		v = t->value[v].link = t->value[t->value[v].link].link;
	return v;
}

static void link_values(struct tiler *t, weft_id a, weft_id b)
{
	a = find(t, t->from->value[a].base);
	b = find(t, t->from->value[b].base);
	if (a < b)
		t->value[b].link = a;
	else
		t->value[a].link = b;
}

static uint32_t common_multiple(uint32_t a, uint32_t b)
{
	uint32_t x = a, y = b;

	while (y) {
		uint32_t rest = x % y;

		x = y;
		y = rest;
	}
	return a / x * b;
}

/* What operand @i of @o says about its value. */
static void constrain(struct tiler *t, weft_id o, unsigned int i)
{
	const struct weft_operation *operation = &t->from->operation[o];
	const struct tile_rule *rule = &t->rule[o];
	weft_id id = operation->operand[i], base = t->from->value[id].base;
	struct tile_value *value = &t->value[base];
	struct tile_span span[WEFT_MAX_RANK];
	uint32_t first[WEFT_MAX_RANK];

	if (value->barred)
		return;
	if (!tile_spans(value, &rule->shown[i], offset_of(t, id), span, first)) {
		value->barred = true;
		return;
	}
	for (unsigned int d = 0; d < rule->shown[i].rank; d++) {
		const struct tile_dim *dim = &rule->dim[i][d];
		uint32_t grain;

		if (span[d].outer == TILE_NO_AXIS)
			continue;
		for (unsigned int k = span[d].outer + 1u; k <= span[d].inner; k++)
			value->bound[k] = true;
		if (i < operation->inputs)
			continue;
		if (dim->axis == TILE_NO_AXIS) {
			/* What an operation makes at once must stand in one piece. */
			for (unsigned int k = span[d].outer; k <= span[d].inner; k++)
				value->bound[k] = true;
			continue;
		}
		grain = rule->axis[dim->axis].grain * dim->unit;
		if (grain % span[d].product && span[d].product % grain)
			value->bound[span[d].outer] = true;
		else if (grain > span[d].product)
			value->align[span[d].outer] =
				common_multiple(value->align[span[d].outer], grain / span[d].product);
	}
}

static bool is_row_operation(uint16_t opcode)
{
	return opcode >= WEFT_OP_NORM_STATS && opcode <= WEFT_OP_XENT_BWD;
}

/*
 * What an update changes is cut alike; and so is the gradient, unless that is of a part
 * of the weight only.
 */
static void link_update(struct tiler *t, const struct weft_operation *operation, unsigned int i)
{
	const struct weft_value *value = t->from->value;
	weft_id gradient = value[operation->operand[0]].base, weight = value[operation->operand[2]].base;
	weft_id base = value[operation->operand[i]].base;

	if (i || t->value[gradient].total == t->value[weight].total)
		link_values(t, weight, base);
}

/* How a value is used says which way of cutting it suits. */
static void classify(struct tiler *t)
{
	const struct weft_graph *from = t->from;

	for (weft_id v = 0; v < from->values; v++) {
		const struct weft_value *value = &from->value[v];

		if (value->base == v && value->kind != WEFT_VALUE_ACTIVATION)
			t->value[v].square = true;
	}
	for (weft_id o = 0; o < from->operations; o++) {
		const struct weft_operation *operation = &from->operation[o];

		for (unsigned int i = 0; i < operation->operands; i++) {
			struct tile_value *value;

			if (operation->operand[i] == WEFT_NO_ID)
				continue;
			value = &t->value[from->value[operation->operand[i]].base];
			if (operation->opcode == WEFT_OP_MATMUL && !value->barred &&
			    value->grid.extent[value->grid.axes - 1] >= 2 * WEFT_SUM_MATMUL)
				value->columns = true;
			if ((operation->opcode == WEFT_OP_SGD || operation->opcode == WEFT_OP_ADAM) && i != 1)
				link_update(t, operation, i);
		}
	}
	for (weft_id o = 0; o < from->operations; o++)
		for (unsigned int i = 0; i < from->operation[o].operands; i++)
			if (from->operation[o].operand[i] != WEFT_NO_ID && is_row_operation(from->operation[o].opcode))
				t->value[from->value[from->operation[o].operand[i]].base].columns = false;
}

/* Linked values have the same axes and are cut alike, or not at all. */
static void join_links(struct tiler *t)
{
	for (weft_id v = 0; v < t->from->values; v++) {
		struct tile_value *value = &t->value[v], *root;

		if (t->from->value[v].base != v)
			continue;
		root = &t->value[find(t, v)];
		if (root == value)
			continue;
		if (value->barred || root->barred || value->grid.axes != root->grid.axes ||
		    memcmp(value->stride, root->stride, sizeof(value->stride)) || value->total != root->total) {
			root->barred = true;
			continue;
		}
		root->square |= value->square;
		for (unsigned int k = 0; k < root->grid.axes; k++) {
			root->bound[k] |= value->bound[k];
			root->align[k] = common_multiple(root->align[k], value->align[k]);
		}
	}
}

/* Cutting. */

static uint64_t piece_bytes(const struct tile_value *value)
{
	uint64_t bytes = value->size;

	for (unsigned int k = 0; k < value->grid.axes; k++)
		bytes *= value->grid.block[k];
	return bytes;
}

/* Blocks of axis @k in about equal parts, of at most @block elements. */
static void set_block(struct tile_value *value, unsigned int k, uint32_t block)
{
	uint32_t align = value->align[k], extent = value->grid.extent[k], parts;

	block = block < 1 ? 1 : block;
	parts = (extent - 1) / block + 1;
	block = (extent - 1) / parts + 1;
	block = ((block - 1) / align + 1) * align;
	value->grid.block[k] = block < extent ? block : extent;
}

static bool can_shrink(const struct tile_value *value, unsigned int k)
{
	return !value->bound[k] && value->grid.block[k] > value->align[k] && value->grid.block[k] > 1;
}

/*
 * Weights are seen from both sides: the largest block is halved until pieces are
 * small enough.  Blocks that divide those of sums let a product take whole pieces.
 */
static void cut_square(struct tile_value *value, uint64_t bytes)
{
	for (unsigned int k = 0; k < value->grid.axes; k++)
		if (can_shrink(value, k) && value->grid.block[k] > WEFT_SUM_MATMUL &&
		    WEFT_SUM_MATMUL % value->align[k] == 0)
			value->grid.block[k] = WEFT_SUM_MATMUL;
	while (piece_bytes(value) > bytes) {
		unsigned int largest = value->grid.axes;
		uint32_t block, align;

		for (unsigned int k = 0; k < value->grid.axes; k++)
			if (can_shrink(value, k) &&
			    (largest == value->grid.axes || value->grid.block[k] > value->grid.block[largest]))
				largest = k;
		if (largest == value->grid.axes)
			return;
		align = value->align[largest];
		block = ((value->grid.block[largest] + 1) / 2 + align - 1) / align * align;
		if (block < value->grid.block[largest])
			value->grid.block[largest] = block;
		else
			value->bound[largest] = true;
	}
}

static void cut_axis(struct tile_value *value, unsigned int k, uint64_t bytes)
{
	uint64_t rest = piece_bytes(value) / value->grid.block[k];

	if (piece_bytes(value) > bytes && can_shrink(value, k))
		set_block(value, k, (uint32_t)(bytes / rest));
}

static void cut_value(struct tile_value *value, uint64_t bytes)
{
	unsigned int axes = value->grid.axes;

	if (value->square) {
		cut_square(value, bytes);
		return;
	}
	if (value->columns) {
		uint32_t align = value->align[axes - 1];

		/* Products add up blocks of their depth. */
		if (WEFT_SUM_MATMUL % align == 0)
			value->align[axes - 1] = WEFT_SUM_MATMUL;
		cut_axis(value, axes - 1, bytes);
		value->align[axes - 1] = align;
	}
	for (unsigned int k = 0; k < axes; k++)
		cut_axis(value, k, bytes);
}

/* Values of more than a share of the working set are cut: an update takes four at once, others three. */
#define SQUARE_SHARE 5
#define OTHER_SHARE 3

int tile_choose(struct tiler *t)
{
	const struct weft_graph *from = t->from;
	bool changed;
	int result;

	for (weft_id o = 0; o < from->operations; o++)
		tile_rule_of(from, &from->operation[o], &t->rule[o]);
	/* What one operation takes apart, the next one that sees the value should too. */
	for (changed = true; changed;) {
		changed = false;
		result = find_axes(t);
		if (result)
			return result;
		for (weft_id o = 0; o < from->operations; o++)
			if (t->rule[o].loose)
				changed |= loosen(t, o);
	}
	for (weft_id o = 0; o < from->operations; o++)
		for (unsigned int i = 0; i < from->operation[o].operands; i++)
			if (from->operation[o].operand[i] != WEFT_NO_ID)
				constrain(t, o, i);
	classify(t);
	join_links(t);
	for (weft_id v = 0; v < from->values; v++) {
		struct tile_value *value = &t->value[v];
		uint64_t most = t->bytes / (value->square ? SQUARE_SHARE : OTHER_SHARE);

		if (from->value[v].base != v || value->link != v || value->barred || from->value[v].bytes <= most)
			continue;
		cut_value(value, most);
		value->cut = weft_grid_pieces(&value->grid) > 1;
	}
	for (weft_id v = 0; v < from->values; v++) {
		const struct tile_value *root = &t->value[find(t, v)];

		if (from->value[v].base != v || root == &t->value[v])
			continue;
		t->value[v].cut = root->cut && !root->barred;
		t->value[v].grid = root->grid;
	}
	return 0;
}
