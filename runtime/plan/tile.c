// SPDX-License-Identifier: MIT
/*
 * Making the tiled graph.  Each operation runs tile by tile; the loops over its
 * axes end where pieces of its outputs do, so that a tile writes into one piece of
 * each.  What it reads is a view of a piece where the range lies within one, else
 * a value that copies put together from several.
 */
#include "plan/tile.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plan/join.h"
#include "plan/split.h"
#include "plan/tile_internal.h"
#include "weft/error.h"

/* An operand of the operation at hand. */
struct operand {
	weft_id id, base;
	const struct tile_value *value;
	uint64_t offset; /* elements */
	struct tile_span span[WEFT_MAX_RANK];
	uint32_t first[WEFT_MAX_RANK];
	/* What was put together for the tile before: tiles in a row often want the same. */
	struct tile_box last_box;
	weft_id last;
};

struct work {
	struct tiler *t;
	const struct weft_operation *operation;
	const struct tile_rule *rule;
	struct operand operand[WEFT_MAX_OPERANDS];
	uint32_t step[TILE_AXES]; /* extents of a full tile */
	uint32_t tiles;
};

static uint32_t blocks_along(const struct weft_grid *grid, unsigned int k)
{
	return (grid->extent[k] - 1) / grid->block[k] + 1;
}

/* The piece that holds @box, or WEFT_NO_ID if it reaches over several. */
static weft_id piece_of(const struct work *w, const struct operand *x, const struct tile_box *box)
{
	const struct weft_grid *grid = &x->value->grid;
	uint32_t index = 0;

	for (unsigned int k = 0; k < grid->axes; k++) {
		uint32_t at = box->origin[k] / grid->block[k];

		if ((box->origin[k] + box->extent[k] - 1) / grid->block[k] != at)
			return WEFT_NO_ID;
		index = index * blocks_along(grid, k) + at;
	}
	return w->t->to->value[x->base].piece + index;
}

/* Sizes of tiles. */

static void operand_ranges(const struct work *w, unsigned int slot, const uint32_t low[], const uint32_t high[],
			   uint32_t from[], uint32_t to[])
{
	for (unsigned int d = 0; d < w->rule->shown[slot].rank; d++)
		tile_range(w->rule, slot, d, low, high, &from[d], &to[d]);
}

/*
 * Device memory for operand @slot of a tile: its piece, or what is put together, which takes *@piece at a time
 * besides.
 */
static uint64_t operand_bytes(const struct work *w, unsigned int slot, const uint32_t low[], const uint32_t high[],
			      uint64_t *piece)
{
	const struct operand *x = &w->operand[slot];
	uint32_t from[WEFT_MAX_RANK], to[WEFT_MAX_RANK];
	struct tile_box box, block;
	bool inside = true;

	*piece = 0;
	if (x->id == WEFT_NO_ID)
		return 0;
	for (unsigned int i = 0; i < slot; i++)
		if (w->operand[i].id != WEFT_NO_ID && w->operand[i].base == x->base)
			return 0;
	if (!x->value->cut)
		return w->t->from->value[x->base].bytes;
	operand_ranges(w, slot, low, high, from, to);
	tile_box(x->value, &w->rule->shown[slot], x->span, x->first, from, to, &box);
	memcpy(block.extent, x->value->grid.block, sizeof(block.extent));
	for (unsigned int k = 0; k < x->value->grid.axes; k++)
		inside &= (box.origin[k] + box.extent[k] - 1) / x->value->grid.block[k] ==
			  box.origin[k] / x->value->grid.block[k];
	if (inside)
		return tile_box_bytes(x->value, &block);
	if (slot < w->operation->inputs)
		*piece = tile_box_bytes(x->value, &block);
	return tile_box_bytes(x->value, &box);
}

/* The working set of a tile from the middle, where halos reach out to both sides. */
static uint64_t working_set(const struct work *w, const uint32_t step[])
{
	uint32_t low[TILE_AXES], high[TILE_AXES];
	uint64_t bytes = 0, pieces = 0;

	for (unsigned int a = 0; a < w->rule->axes; a++) {
		low[a] = w->rule->axis[a].extent / step[a] / 2 * step[a];
		if (low[a] && w->rule->axis[a].extent - low[a] < step[a])
			low[a] -= step[a];
		high[a] = low[a] + step[a] < w->rule->axis[a].extent ? low[a] + step[a] : w->rule->axis[a].extent;
	}
	for (unsigned int i = 0; i < w->operation->operands; i++) {
		uint64_t piece;

		bytes += operand_bytes(w, i, low, high, &piece);
		if (w->t->roomy)
			pieces += piece;
		else if (piece > pieces)
			pieces = piece;
	}
	return bytes + pieces;
}

static uint32_t round_to_grain(const struct tile_axis *axis, uint32_t step)
{
	step = ((step ? step - 1 : 0) / axis->grain + 1) * axis->grain;
	return step < axis->extent ? step : axis->extent;
}

/* Tiles are at most what one piece of an operand holds. */
static void start_from_pieces(struct work *w)
{
	for (unsigned int i = 0; i < w->operation->operands; i++) {
		const struct operand *x = &w->operand[i];

		if (x->id == WEFT_NO_ID || !x->value->cut || (w->rule->fixed && i < w->operation->inputs))
			continue;
		for (unsigned int d = 0; d < w->rule->shown[i].rank; d++) {
			const struct tile_dim *dim = &w->rule->dim[i][d];
			uint64_t block;

			if (dim->axis == TILE_NO_AXIS || dim->reach != TILE_SAME || x->span[d].outer == TILE_NO_AXIS)
				continue;
			block = (uint64_t)x->value->grid.block[x->span[d].outer] * x->span[d].product / dim->unit;
			if (block < w->step[dim->axis])
				w->step[dim->axis] = round_to_grain(&w->rule->axis[dim->axis], (uint32_t)block);
		}
	}
}

/* Halving overshoots: fewer parts along an axis, as long as tiles stay within what is wanted, and within @most. */
static void use_what_is_left(struct work *w, const uint32_t most[])
{
	for (unsigned int a = 0; a < w->rule->axes; a++) {
		const struct tile_axis *axis = &w->rule->axis[a];

		while (w->step[a] < most[a]) {
			uint32_t before = w->step[a], parts = (most[a] - 1) / before;

			w->step[a] = round_to_grain(axis, (most[a] - 1) / parts + 1);
			if (w->step[a] <= most[a] && working_set(w, w->step) <= w->t->bytes)
				continue;
			w->step[a] = before;
			break;
		}
	}
}

static void choose_step(struct work *w)
{
	const struct tile_rule *rule = w->rule;
	uint32_t most[TILE_AXES];
	uint64_t bytes;

	for (unsigned int a = 0; a < rule->axes; a++)
		w->step[a] = rule->axis[a].extent;
	bytes = working_set(w, w->step);
	for (unsigned int i = 0; i < w->operation->operands; i++)
		if (w->operand[i].id != WEFT_NO_ID && w->operand[i].value->cut)
			bytes = UINT64_MAX;
	if (bytes <= w->t->bytes)
		return;
	start_from_pieces(w);
	memcpy(most, w->step, sizeof(most));
	while (!rule->fixed && (bytes = working_set(w, w->step)) > w->t->bytes) {
		unsigned int best = TILE_AXES;
		/* Twice as many tiles should be worth it. */
		uint64_t least = bytes - bytes / 16;

		for (unsigned int a = 0; a < rule->axes; a++) {
			uint32_t before = w->step[a];
			uint64_t after;

			w->step[a] = round_to_grain(&rule->axis[a], (before + 1) / 2);
			after = w->step[a] < before ? working_set(w, w->step) : bytes;
			w->step[a] = before;
			if (after <= least) {
				least = after;
				best = a;
			}
		}
		if (best == TILE_AXES)
			break;
		w->step[best] = round_to_grain(&rule->axis[best], (w->step[best] + 1) / 2);
	}
	use_what_is_left(w, most);
	if (rule->one_sample && w->step[rule->axes - 1] < rule->axis[rule->axes - 1].extent)
		w->step[rule->axes - 2] = 1;
}

/* Where the range that begins at @low of @axis ends: a full step on, or where a piece of an output does. */
static uint32_t end_of_range(const struct work *w, unsigned int axis, uint32_t low)
{
	uint32_t high = w->rule->axis[axis].extent;

	if (high - low > w->step[axis])
		high = low + w->step[axis];
	for (unsigned int i = w->operation->inputs; i < w->operation->operands; i++) {
		const struct operand *x = &w->operand[i];

		if (x->id == WEFT_NO_ID || !x->value->cut)
			continue;
		for (unsigned int d = 0; d < w->rule->shown[i].rank; d++) {
			const struct tile_dim *dim = &w->rule->dim[i][d];
			const struct tile_span *span = &x->span[d];
			uint64_t block, at, end;

			if (dim->axis != axis || span->outer == TILE_NO_AXIS)
				continue;
			block = x->value->grid.block[span->outer];
			at = x->first[span->outer] + (uint64_t)low * dim->unit / span->product;
			end = ((at / block + 1) * block - x->first[span->outer]) * span->product / dim->unit;
			if (end < high)
				high = (uint32_t)end;
		}
	}
	return high;
}

/* Operands of tiles. */

static int add_temporary(struct work *w, const struct operand *x, const struct tile_box *box, weft_id *id)
{
	struct weft_layout layout = {.type = w->t->from->value[x->base].layout.type, .rank = x->value->grid.axes};

	memcpy(layout.dims, box->extent, sizeof(layout.dims[0]) * layout.rank);
	weft_layout_dense(&layout);
	return weft_build_value(w->t->to, w->t->from->value[x->base].name, &layout, id);
}

/* Copy what piece @index has of @box to its place in @id. */
static int copy_piece(struct work *w, const struct operand *x, uint32_t index, const struct tile_box *box, weft_id id)
{
	struct weft_operand operand[2] = {{.id = w->t->to->value[x->base].piece + index}, {.id = id}};
	uint32_t origin[WEFT_MAX_RANK], extent[WEFT_MAX_RANK];
	uint64_t from = 0, to = 0;
	weft_id view, operation;
	int result;

	weft_grid_box(&x->value->grid, index, origin, extent);
	for (unsigned int i = 0; i < 2; i++)
		operand[i].layout = w->t->to->value[operand[i].id].layout;
	for (unsigned int k = 0; k < x->value->grid.axes; k++) {
		uint32_t low = origin[k] > box->origin[k] ? origin[k] : box->origin[k];
		uint32_t end = origin[k] + extent[k] < box->origin[k] + box->extent[k]
				       ? origin[k] + extent[k]
				       : box->origin[k] + box->extent[k];

		if (low >= end)
			return 0;
		from += (uint64_t)(low - origin[k]) * (uint32_t)operand[0].layout.strides[k];
		to += (uint64_t)(low - box->origin[k]) * (uint32_t)operand[1].layout.strides[k];
		operand[0].layout.dims[k] = operand[1].layout.dims[k] = end - low;
	}
	for (unsigned int i = 0; i < 2; i++) {
		uint64_t offset = (i ? to : from) * x->value->size;

		result = weft_build_view(w->t->to, w->t->from->value[x->base].name, operand[i].id, offset,
					 &operand[i].layout, &view);
		if (result)
			return result;
		operand[i].id = view;
	}
	result = weft_build_elementwise(w->t->to, w->operation->name, WEFT_OP_COPY, NULL, 1, 2, operand, &operation);
	if (!result)
		w->t->to->operation[operation].phase = w->operation->phase;
	return result;
}

/* A value with the elements of @box, which lie in several pieces. */
static int put_together(struct work *w, struct operand *x, const struct tile_box *box, weft_id *id)
{
	unsigned int axes = x->value->grid.axes;
	int result;

	if (x->last != WEFT_NO_ID && !memcmp(x->last_box.origin, box->origin, axes * sizeof(box->origin[0])) &&
	    !memcmp(x->last_box.extent, box->extent, axes * sizeof(box->extent[0]))) {
		*id = x->last;
		return 0;
	}
	result = add_temporary(w, x, box, id);
	for (uint32_t i = 0; !result && i < w->t->to->value[x->base].pieces; i++)
		result = copy_piece(w, x, i, box, *id);
	x->last = *id;
	x->last_box = *box;
	return result;
}

/* Show @box of @held, whose elements along each axis are @stride apart and begin at @origin, as the operand wants it.
 */
static int show(struct work *w, unsigned int slot, const uint32_t low[], const uint32_t high[], weft_id held,
		const uint32_t origin[], struct weft_operand *operand)
{
	const struct operand *x = &w->operand[slot];
	const struct weft_layout *shown = &w->rule->shown[slot], *layout = &w->t->to->value[held].layout;
	int64_t offset = 0;
	weft_id view;

	operand->layout = *shown;
	for (unsigned int k = 0; k < x->value->grid.axes; k++)
		offset += ((int64_t)x->first[k] - origin[k]) * layout->strides[k];
	for (unsigned int d = 0; d < shown->rank; d++) {
		const struct tile_span *span = &x->span[d];

		operand->layout.dims[d] = high[d] - low[d];
		if (span->outer == TILE_NO_AXIS)
			continue;
		operand->layout.strides[d] = layout->strides[span->inner];
		offset += (int64_t)(low[d] / span->product) * layout->strides[span->outer] +
			  (int64_t)(low[d] % span->product) * layout->strides[span->inner];
	}
	operand->id = held;
	if (!offset)
		return 0;
	if (weft_build_view(w->t->to, w->t->from->value[x->base].name, held, (uint64_t)offset * x->value->size,
			    &operand->layout, &view))
		return -EINVAL;
	operand->id = view;
	return 0;
}

static int whole_operand(struct work *w, unsigned int slot, const uint32_t low[], const uint32_t high[],
			 struct weft_operand *operand)
{
	const struct operand *x = &w->operand[slot];
	const struct weft_layout *shown = &w->rule->shown[slot];
	uint64_t offset = 0;
	weft_id view;

	operand->id = x->id;
	operand->layout = *shown;
	for (unsigned int d = 0; d < shown->rank; d++) {
		operand->layout.dims[d] = high[d] - low[d];
		offset += (uint64_t)low[d] * (uint64_t)(int64_t)shown->strides[d];
	}
	if (!offset)
		return 0;
	if (weft_build_view(w->t->to, w->t->from->value[x->base].name, x->id, offset * x->value->size, &operand->layout,
			    &view))
		return -EINVAL;
	operand->id = view;
	return 0;
}

static int tile_operand(struct work *w, unsigned int slot, const uint32_t tile_low[], const uint32_t tile_high[],
			struct weft_operand *operand)
{
	struct operand *x = &w->operand[slot];
	uint32_t low[WEFT_MAX_RANK], high[WEFT_MAX_RANK], origin[WEFT_MAX_RANK], extent[WEFT_MAX_RANK];
	struct tile_box box;
	weft_id held;

	operand_ranges(w, slot, tile_low, tile_high, low, high);
	if (!x->value->cut)
		return whole_operand(w, slot, low, high, operand);
	tile_box(x->value, &w->rule->shown[slot], x->span, x->first, low, high, &box);
	held = piece_of(w, x, &box);
	if (held != WEFT_NO_ID) {
		weft_grid_box(&x->value->grid, held - w->t->to->value[x->base].piece, origin, extent);
		return show(w, slot, low, high, held, origin, operand);
	}
	if (slot >= w->operation->inputs)
		return weft_fail(EINVAL, "operation %s: a tile reaches over two pieces of %s", w->operation->name,
				 w->t->from->value[x->base].name);
	if (put_together(w, x, &box, &held))
		return -ENOMEM;
	return show(w, slot, low, high, held, box.origin, operand);
}

/* Making tiles. */

static bool is_last_part(const struct work *w, const uint32_t high[])
{
	for (unsigned int a = 0; a < w->rule->axes; a++)
		if (w->rule->axis[a].sums && high[a] < w->rule->axis[a].extent)
			return false;
	return true;
}

static int make_tile(struct work *w, const uint32_t low[], const uint32_t high[])
{
	const struct weft_operation *old = w->operation;
	struct weft_operand operand[WEFT_MAX_OPERANDS];
	union weft_params params = old->params;
	struct weft_graph *to = w->t->to;
	char *name;
	weft_id id;
	int result = 0;

	for (unsigned int i = 0; !result && i < old->operands; i++) {
		operand[i] = WEFT_ABSENT;
		/* The bias comes to the finished sum. */
		if (old->operand[i] == WEFT_NO_ID ||
		    (old->opcode == WEFT_OP_MATMUL && i == 2 && !is_last_part(w, high)))
			continue;
		result = tile_operand(w, i, low, high, &operand[i]);
	}
	if (result)
		return result;
	tile_params(w->rule, old, low, high, &params);
	if (asprintf(&name, "%s/%u", old->name, ++w->tiles) < 0)
		return weft_fail(ENOMEM, "no memory to tile a graph");
	result = weft_build(to, name, old->opcode, &params, old->inputs, old->operands, operand, &id);
	free(name);
	if (result)
		return result;
	to->operation[id].phase = old->phase;
	to->operation[id].updates |= old->updates;
	memcpy(to->operation[id].zero_point, old->zero_point, sizeof(old->zero_point));
	to->operation[id].recomputable = old->recomputable && !to->operation[id].updates;
	for (unsigned int i = old->inputs; i < old->operands; i++)
		if (old->may_in_place & (1u << i) && !to->operation[id].updates)
			weft_build_in_place(to, id, i, old->in_place[i]);
	return 0;
}

static int make_tiles(struct work *w)
{
	uint32_t low[TILE_AXES] = {0}, high[TILE_AXES];
	unsigned int a;

	for (;;) {
		int result;

		for (a = 0; a < w->rule->axes; a++)
			high[a] = end_of_range(w, a, low[a]);
		result = make_tile(w, low, high);
		if (result)
			return result;
		for (a = w->rule->axes; a-- > 0;) {
			low[a] = high[a];
			if (low[a] < w->rule->axis[a].extent)
				break;
			low[a] = 0;
		}
		if (a == UINT32_MAX)
			return 0;
	}
}

static int tile_operation(struct tiler *t, weft_id o, uint32_t *cut)
{
	const struct weft_operation *operation = &t->from->operation[o];
	struct work w = {.t = t, .operation = operation, .rule = &t->rule[o]};
	bool pieces = false;

	for (unsigned int i = 0; i < operation->operands; i++) {
		struct operand *x = &w.operand[i];

		x->id = operation->operand[i];
		x->last = WEFT_NO_ID;
		if (x->id == WEFT_NO_ID)
			continue;
		x->base = t->from->value[x->id].base;
		x->value = &t->value[x->base];
		x->offset = t->from->value[x->id].offset / x->value->size;
		if (!x->value->cut)
			continue;
		pieces = true;
		if (!tile_spans(x->value, &w.rule->shown[i], x->offset, x->span, x->first))
			return weft_fail(EINVAL, "operation %s: %s cannot be seen in pieces", operation->name,
					 t->from->value[x->id].name);
	}
	choose_step(&w);
	for (unsigned int a = 0; a < w.rule->axes; a++)
		pieces |= w.step[a] < w.rule->axis[a].extent;
	*cut += pieces;
	return pieces ? make_tiles(&w) : weft_graph_copy_operation(t->to, operation);
}

static int cut_values(struct tiler *t)
{
	for (weft_id v = 0; v < t->from->values; v++) {
		int result;

		if (!t->value[v].cut)
			continue;
		result = weft_graph_add_pieces(t->to, v, &t->value[v].grid);
		if (result)
			return result;
	}
	return 0;
}

uint64_t weft_graph_working_set(const struct weft_graph *graph)
{
	uint64_t most = 0;

	for (weft_id o = 0; o < graph->operations; o++) {
		const struct weft_operation *operation = &graph->operation[o];
		uint64_t bytes = 0;

		for (unsigned int i = 0; i < operation->operands; i++) {
			bool seen = operation->operand[i] == WEFT_NO_ID;

			for (unsigned int j = 0; !seen && j < i; j++)
				seen = operation->operand[j] != WEFT_NO_ID &&
				       graph->value[operation->operand[j]].base ==
					       graph->value[operation->operand[i]].base;
			if (!seen)
				bytes += graph->value[graph->value[operation->operand[i]].base].bytes;
		}
		most = bytes > most ? bytes : most;
	}
	return most;
}

static int tile(struct tiler *t)
{
	const struct weft_graph *graph = t->from;
	uint32_t cut = 0;
	int result = 0;

	t->value = calloc(graph->values + 1, sizeof(*t->value));
	t->rule = calloc(graph->operations + 1, sizeof(*t->rule));
	t->to = weft_graph_new(graph->name);
	if (!t->value || !t->rule || !t->to)
		result = weft_fail(ENOMEM, "no memory to tile a graph");
	if (!result)
		result = tile_choose(t);
	if (!result)
		result = weft_graph_copy_values(graph, t->to);
	if (!result)
		result = cut_values(t);
	for (weft_id o = 0; !result && o < graph->operations; o++)
		result = tile_operation(t, o, &cut);
	if (!result)
		result = weft_graph_copy_roles(graph, t->to);
	if (!result && !cut)
		result = weft_fail(ERANGE, "no operation of the graph can be cut into tiles");
	free(t->value);
	free(t->rule);
	return result;
}

int weft_graph_tile(const struct weft_graph *graph, uint64_t bytes, bool roomy, struct weft_graph **tiled)
{
	struct tiler t = {.from = graph, .bytes = bytes, .roomy = roomy};
	struct weft_graph *joined = NULL;
	int result;

	*tiled = NULL;
	if (weft_graph_working_set(graph) <= bytes)
		return weft_fail(ERANGE, "no operation of the graph needs more than %llu bytes",
				 (unsigned long long)bytes);
	result = weft_graph_join_updates(graph, &joined);
	if (result && result != -ERANGE)
		return result;
	if (joined)
		t.from = joined;
	result = tile(&t);
	weft_graph_free(joined);
	if (result) {
		weft_graph_free(t.to);
		return result;
	}
	*tiled = t.to;
	return 0;
}
