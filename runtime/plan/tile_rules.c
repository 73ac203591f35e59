// SPDX-License-Identifier: MIT
/* How each operation may be cut without changing a bit of its result. */
#include <string.h>

#include "plan/tile_internal.h"

/* Blocks of so many channels or columns keep the engine's kernels full. */
#define LANE 16

static unsigned int add_axis(struct tile_rule *rule, uint32_t extent, uint32_t grain, bool sums)
{
	rule->axis[rule->axes] = (struct tile_axis){extent, grain < extent ? grain : extent, sums};
	return rule->axes++;
}

static void tie_to(struct tile_rule *rule, unsigned int slot, unsigned int d, unsigned int axis, enum tile_reach reach,
		   uint32_t unit)
{
	if (rule->shown[slot].type != WEFT_TYPE_NONE)
		rule->dim[slot][d] = (struct tile_dim){(uint8_t)axis, (uint8_t)reach, unit};
}

static void tie(struct tile_rule *rule, unsigned int slot, unsigned int d, unsigned int axis)
{
	tie_to(rule, slot, d, axis, TILE_SAME, 1);
}

static uint32_t dim_of(const struct tile_rule *rule, unsigned int slot, unsigned int d)
{
	return rule->shown[slot].dims[d];
}

static bool present(const struct tile_rule *rule, unsigned int slot)
{
	return rule->shown[slot].type != WEFT_TYPE_NONE;
}

/*
 * Every dimension of operand @like is an axis, but those that @kept (may be absent)
 * shows with extent 1; the other operands have the same dims or 1.
 */
static void cut_like(struct tile_rule *rule, unsigned int operands, unsigned int like, int kept, unsigned int dims)
{
	const struct weft_layout *layout = &rule->shown[like];

	for (unsigned int i = 0; i < operands; i++)
		if (present(rule, i) && rule->shown[i].rank != layout->rank)
			return;
	for (unsigned int d = 0; d < dims; d++) {
		unsigned int axis;

		if (layout->dims[d] < 2 || (kept >= 0 && dim_of(rule, (unsigned int)kept, d) != layout->dims[d]))
			continue;
		axis = add_axis(rule, layout->dims[d], 1, false);
		for (unsigned int i = 0; i < operands; i++)
			if (present(rule, i) && dim_of(rule, i, d) == layout->dims[d])
				tie(rule, i, d, axis);
	}
}

/* Operands beside the tensors that all have one shape: hyperparameters. */
static void cut_update(struct tile_rule *rule, unsigned int operands, unsigned int first_output)
{
	const struct weft_layout *layout = &rule->shown[first_output];

	rule->fixed = true;
	for (unsigned int d = 0; d < layout->rank; d++) {
		unsigned int axis;

		if (layout->dims[d] < 2)
			continue;
		axis = add_axis(rule, layout->dims[d], 1, false);
		for (unsigned int i = 0; i < operands; i++)
			if (present(rule, i) && (i == 0 || i >= first_output))
				tie(rule, i, d, axis);
	}
}

static void cut_matmul(struct tile_rule *rule, const struct weft_operation *operation)
{
	unsigned int rank = rule->shown[0].rank, axis;

	for (unsigned int d = 0; d + 2 < rank; d++) {
		if (dim_of(rule, 3, d) < 2)
			continue;
		axis = add_axis(rule, dim_of(rule, 3, d), 1, false);
		tie(rule, 0, d, axis);
		tie(rule, 1, d, axis);
		tie(rule, 3, d, axis);
	}
	axis = add_axis(rule, dim_of(rule, 3, rank - 1), LANE, false);
	tie(rule, 1, rank - 1, axis);
	tie(rule, 3, rank - 1, axis);
	if (present(rule, 2))
		tie(rule, 2, rule->shown[2].rank - 1u, axis);
	if (!(operation->params.matmul.flags & WEFT_F_ACCUMULATE)) {
		axis = add_axis(rule, dim_of(rule, 0, rank - 1), WEFT_SUM_MATMUL, true);
		tie(rule, 0, rank - 1, axis);
		tie(rule, 1, rank - 2, axis);
	}
	/* Innermost, so that what was put together of B serves all rows. */
	axis = add_axis(rule, dim_of(rule, 3, rank - 2), 1, false);
	tie(rule, 0, rank - 2, axis);
	tie(rule, 3, rank - 2, axis);
	if (present(rule, 2) && rule->shown[2].rank == 2)
		tie(rule, 2, 0, axis);
}

/*
 * Windows along rows: each must touch a row that is there, so that the padding of
 * a range is never negative.
 */
static bool set_rows(struct tile_rule *rule, uint32_t kernel, uint32_t stride, uint32_t dilation, uint32_t pad,
		     uint32_t rows, uint32_t windows)
{
	rule->row_stride = stride;
	rule->row_pad = pad;
	rule->row_reach = (int64_t)(kernel - 1) * dilation;
	rule->rows = rows;
	return (int64_t)pad <= rule->row_reach && (int64_t)(windows - 1) * stride - pad < rows;
}

/* Convolutions that may be defined in Winograd's form, by tiles of two rows: parts must be of it just when the whole
 * is. */
static bool may_be_winograd(const struct tile_rule *rule, const union weft_params *params, unsigned int kernel)
{
	return dim_of(rule, kernel, 0) == 3 && dim_of(rule, kernel, 1) == 3 && params->conv.stride[0] == 1 &&
	       params->conv.stride[1] == 1 && params->conv.dilation[0] == 1 && params->conv.dilation[1] == 1;
}

/* CONV_FWD and CONV_BWD_DATA: @in -> @out through W in slot 1, of which dimension @w runs along the channels of @out.
 */
static void cut_conv(struct tile_rule *rule, const struct weft_operation *operation, bool data)
{
	const union weft_params *params = &operation->params;
	const unsigned int x = data ? 3 : 0, y = data ? 0 : 3, in = 0, out = 3;
	uint32_t groups = params->conv.groups;
	bool rows;

	if (params->conv.flags & WEFT_F_ACCUMULATE)
		return;
	rows = set_rows(rule, dim_of(rule, 1, 0), params->conv.stride[0], params->conv.dilation[0], params->conv.pad[0],
			dim_of(rule, x, 1), dim_of(rule, y, 1));
	if (groups > 1) {
		uint32_t channels = dim_of(rule, 1, 2), filters = dim_of(rule, 1, 3) / groups;
		uint32_t grain = channels < LANE ? (LANE + channels - 1) / channels : 1;
		unsigned int axis;

		/* A single group could be of Winograd's form. */
		if (may_be_winograd(rule, params, 1)) {
			if (groups % 2)
				return;
			grain = (grain + 1) / 2 * 2;
		}
		axis = rule->group_axis = add_axis(rule, groups, grain, false);
		tie_to(rule, x, 3, axis, TILE_SAME, channels);
		tie_to(rule, y, 3, axis, TILE_SAME, filters);
		tie_to(rule, 1, 3, axis, TILE_SAME, filters);
		tie_to(rule, 2, 0, axis, TILE_SAME, data ? channels : filters);
	} else {
		unsigned int axis = add_axis(rule, dim_of(rule, out, 3), LANE, false);

		tie(rule, out, 3, axis);
		tie(rule, 1, data ? 2 : 3, axis);
		tie(rule, 2, 0, axis);
	}
	if (dim_of(rule, out, 0) > 1) {
		unsigned int axis = add_axis(rule, dim_of(rule, out, 0), 1, false);

		tie(rule, in, 0, axis);
		tie(rule, out, 0, axis);
	}
	if (rows) {
		unsigned int axis = rule->row_axis =
			add_axis(rule, dim_of(rule, out, 1), may_be_winograd(rule, params, 1) ? 2 : 1, false);

		tie(rule, out, 1, axis);
		tie_to(rule, in, 1, axis, data ? TILE_COVER : TILE_WINDOW, 1);
	}
}

/* Rows between which the sums of a weight gradient are cut. */
static uint32_t weight_rows(const struct tile_rule *rule, const union weft_params *params)
{
	uint32_t width = dim_of(rule, 1, 2), tiles = (width + 1) / 2;

	if (may_be_winograd(rule, params, 2) && dim_of(rule, 0, 3) >= WEFT_WINOGRAD_LEAST_CHANNELS &&
	    dim_of(rule, 1, 3) >= WEFT_WINOGRAD_LEAST_CHANNELS && width >= WEFT_WINOGRAD_WEIGHT_LEAST_WIDTH)
		return tiles < WEFT_SUM_WINOGRAD_WEIGHT ? WEFT_SUM_WINOGRAD_WEIGHT / tiles * 2 : 2;
	return width < WEFT_SUM_CONV_WEIGHT ? WEFT_SUM_CONV_WEIGHT / width : 1;
}

static void cut_conv_weight(struct tile_rule *rule, const struct weft_operation *operation)
{
	/* Few channels are computed in other ways. */
	const uint32_t least = WEFT_WINOGRAD_LEAST_CHANNELS > WEFT_CONV_WEIGHT_PADDED ? WEFT_WINOGRAD_LEAST_CHANNELS
										      : WEFT_CONV_WEIGHT_PADDED;
	const union weft_params *params = &operation->params;
	unsigned int axis;

	if (params->conv.groups > 1)
		return;
	if (dim_of(rule, 1, 3) % least == 0 || !may_be_winograd(rule, params, 2)) {
		axis = add_axis(rule, dim_of(rule, 1, 3), least, false);
		tie(rule, 1, 3, axis);
		tie(rule, 2, 3, axis);
	}
	if (dim_of(rule, 0, 3) % least == 0) {
		axis = add_axis(rule, dim_of(rule, 0, 3), least, false);
		tie(rule, 0, 3, axis);
		tie(rule, 2, 2, axis);
	}
	if (params->conv.flags & WEFT_F_ACCUMULATE)
		return;
	axis = add_axis(rule, dim_of(rule, 0, 0), 1, true);
	tie(rule, 0, 0, axis);
	tie(rule, 1, 0, axis);
	if (set_rows(rule, dim_of(rule, 2, 0), params->conv.stride[0], params->conv.dilation[0], params->conv.pad[0],
		     dim_of(rule, 0, 1), dim_of(rule, 1, 1))) {
		axis = rule->row_axis = add_axis(rule, dim_of(rule, 1, 1), weight_rows(rule, params), true);
		tie(rule, 1, 1, axis);
		tie_to(rule, 0, 1, axis, TILE_WINDOW, 1);
		rule->one_sample = true;
	}
}

static void cut_pool(struct tile_rule *rule, const struct weft_operation *operation, bool backward, bool average)
{
	const union weft_params *params = &operation->params;
	unsigned int x = backward ? operation->operands - 1u : 0, y = backward ? 0 : 1, axis;

	for (unsigned int d = 0; d < 4; d += 3) {
		axis = add_axis(rule, dim_of(rule, x, d), d ? LANE : 1, false);
		for (unsigned int i = 0; i < operation->operands; i++)
			tie(rule, i, d, axis);
	}
	/* An average divides by what it finds inside. */
	if (average && (backward || params->pool.count_pad))
		return;
	if (!set_rows(rule, params->pool.kernel[0], params->pool.stride[0], params->pool.dilation[0],
		      params->pool.pad[0], dim_of(rule, x, 1), dim_of(rule, y, 1)))
		return;
	axis = rule->row_axis = add_axis(rule, dim_of(rule, backward ? x : y, 1), 1, false);
	for (unsigned int i = 0; i < operation->operands; i++)
		tie_to(rule, i, 1, axis, (i == x) == backward ? TILE_SAME : backward ? TILE_COVER : TILE_WINDOW, 1);
}

static void cut_reduce(struct tile_rule *rule, const struct weft_operation *operation)
{
	const struct weft_layout *x = &rule->shown[0];
	uint64_t inner = 1;
	unsigned int axis;

	cut_like(rule, 2, 0, 1, x->rank);
	if (operation->opcode != WEFT_OP_REDUCE || operation->params.reduce.function != WEFT_REDUCE_SUM ||
	    operation->params.reduce.flags & WEFT_F_ACCUMULATE || rule->shown[1].rank != x->rank || !x->rank ||
	    x->dims[0] == dim_of(rule, 1, 0))
		return;
	for (unsigned int d = 1; d < x->rank; d++)
		if (dim_of(rule, 1, d) != x->dims[d])
			inner *= x->dims[d];
	for (uint32_t grain = 1; grain <= WEFT_SUM_REDUCE; grain *= 2) {
		if (grain * inner % WEFT_SUM_REDUCE)
			continue;
		axis = add_axis(rule, x->dims[0], grain, true);
		tie(rule, 0, 0, axis);
		return;
	}
}

static void cut_gather(struct tile_rule *rule, bool scatter)
{
	/* GATHER: table, indices -> Y; SCATTER_ADD: DY, indices -> table. */
	const unsigned int table = scatter ? 2 : 0, rows = scatter ? 0 : 2;

	for (unsigned int d = 1; d < rule->shown[table].rank; d++) {
		unsigned int axis = add_axis(rule, dim_of(rule, table, d), 1, false);

		tie(rule, table, d, axis);
		tie(rule, rows, d, axis);
	}
	if (!scatter) {
		unsigned int axis = add_axis(rule, dim_of(rule, rows, 0), 1, false);

		tie(rule, rows, 0, axis);
		tie(rule, 1, 0, axis);
	}
}

static void make_axes(struct tile_rule *rule, const struct weft_operation *operation)
{
	const unsigned int operands = operation->operands;
	unsigned int axis;

	rule->axes = 0;
	rule->row_axis = rule->group_axis = TILE_NO_AXIS;
	memset(rule->dim, TILE_NO_AXIS, sizeof(rule->dim));
	switch (operation->opcode) {
	case WEFT_OP_COPY:
	case WEFT_OP_FILL:
	case WEFT_OP_UNARY:
	case WEFT_OP_UNARY_BWD:
	case WEFT_OP_BINARY:
	case WEFT_OP_WHERE:
	case WEFT_OP_CAST:
		cut_like(rule, operands, operands - 1, -1, rule->shown[operands - 1].rank);
		break;
	case WEFT_OP_NORM_APPLY:
	case WEFT_OP_NORM_BWD_APPLY:
		cut_like(rule, operands, 0, -1, rule->shown[0].rank);
		break;
	case WEFT_OP_NORM_STATS:
	case WEFT_OP_REDUCE:
	case WEFT_OP_ARGREDUCE:
		if (operation->opcode == WEFT_OP_NORM_STATS)
			cut_like(rule, operands, 0, 1, rule->shown[0].rank);
		else
			cut_reduce(rule, operation);
		break;
	case WEFT_OP_NORM_BWD_STATS:
		cut_like(rule, operands, 0, 6, rule->shown[0].rank);
		break;
	case WEFT_OP_SOFTMAX_FWD:
	case WEFT_OP_SOFTMAX_BWD:
		if (rule->shown[0].rank)
			cut_like(rule, operands, operands - 1, -1, rule->shown[0].rank - 1u);
		break;
	case WEFT_OP_SGD:
	case WEFT_OP_ADAM:
		cut_update(rule, operands, 2);
		break;
	case WEFT_OP_LERP:
		cut_update(rule, operands, 1);
		break;
	case WEFT_OP_MATMUL:
		cut_matmul(rule, operation);
		break;
	case WEFT_OP_CONV_FWD:
		cut_conv(rule, operation, false);
		break;
	case WEFT_OP_CONV_BWD_DATA:
		cut_conv(rule, operation, true);
		break;
	case WEFT_OP_CONV_BWD_WEIGHT:
		cut_conv_weight(rule, operation);
		break;
	case WEFT_OP_MAXPOOL_FWD:
	case WEFT_OP_AVGPOOL_FWD:
		cut_pool(rule, operation, false, operation->opcode == WEFT_OP_AVGPOOL_FWD);
		break;
	case WEFT_OP_MAXPOOL_BWD:
	case WEFT_OP_AVGPOOL_BWD:
		cut_pool(rule, operation, true, operation->opcode == WEFT_OP_AVGPOOL_BWD);
		break;
	case WEFT_OP_GATHER:
		cut_gather(rule, false);
		break;
	case WEFT_OP_SCATTER_ADD:
		cut_gather(rule, true);
		break;
	case WEFT_OP_XENT_BWD:
		/* Rows, where nothing but the row itself is needed. */
		if (!present(rule, 4) && operation->params.xent.reduction == WEFT_XENT_MEAN)
			break;
		axis = add_axis(rule, dim_of(rule, 0, 0), 1, false);
		tie(rule, 0, 0, axis);
		tie(rule, 1, 0, axis);
		tie(rule, 5, 0, axis);
		if (present(rule, 3) && rule->shown[3].rank)
			tie(rule, 3, 0, axis);
		break;
	default:
		break;
	}
	/* One that adds to what is there, wherever that is. */
	if (operation->updates)
		rule->fixed = true;
}

void tile_rule_of(const struct weft_graph *graph, const struct weft_operation *operation, struct tile_rule *rule)
{
	bool again = rule->loose;

	if (!again) {
		memset(rule->shown, 0, sizeof(rule->shown));
		for (unsigned int i = 0; i < operation->operands; i++)
			if (operation->operand[i] != WEFT_NO_ID)
				rule->shown[i] = operation->view[i] ? *operation->view[i]
								    : graph->value[operation->operand[i]].layout;
	}
	make_axes(rule, operation);
	switch (operation->opcode) {
	case WEFT_OP_COPY:
	case WEFT_OP_FILL:
	case WEFT_OP_UNARY:
	case WEFT_OP_UNARY_BWD:
	case WEFT_OP_BINARY:
	case WEFT_OP_WHERE:
	case WEFT_OP_CAST:
	case WEFT_OP_NORM_APPLY:
	case WEFT_OP_NORM_BWD_APPLY:
	case WEFT_OP_NORM_STATS:
	case WEFT_OP_NORM_BWD_STATS:
	case WEFT_OP_REDUCE:
	case WEFT_OP_SOFTMAX_FWD:
	case WEFT_OP_SOFTMAX_BWD:
	case WEFT_OP_SGD:
	case WEFT_OP_ADAM:
	case WEFT_OP_LERP:
		rule->loose = true;
		break;
	default:
		rule->loose = false;
		break;
	}
}

static int64_t floor_of(int64_t a, int64_t b)
{
	return a >= 0 ? a / b : -((-a + b - 1) / b);
}

/* First and one past the last row that windows [low, high) look at. */
static void window_rows(const struct tile_rule *rule, int64_t low, int64_t high, int64_t *first, int64_t *end)
{
	*first = low * rule->row_stride - rule->row_pad;
	*end = (high - 1) * rule->row_stride - rule->row_pad + rule->row_reach + 1;
	*first = *first < 0 ? 0 : *first;
	*end = *end > rule->rows ? rule->rows : *end;
}

/* First and one past the last of @windows that touch rows [low, high); at least one. */
static void covering_windows(const struct tile_rule *rule, int64_t low, int64_t high, int64_t windows, int64_t *first,
			     int64_t *end)
{
	int64_t touching = floor_of(low + rule->row_pad, rule->row_stride);

	*first = -floor_of(-(low + rule->row_pad - rule->row_reach), rule->row_stride);
	*first = *first > touching ? touching : *first;
	*first = *first < 0 ? 0 : *first >= windows ? windows - 1 : *first;
	*end = floor_of(high - 1 + rule->row_pad, rule->row_stride) + 1;
	*end = *end > windows ? windows : *end;
	if (*end <= *first)
		*end = *first + 1;
}

void tile_range(const struct tile_rule *rule, unsigned int slot, unsigned int d, const uint32_t tile_low[],
		const uint32_t tile_high[], uint32_t *low, uint32_t *high)
{
	const struct tile_dim *dim = &rule->dim[slot][d];
	int64_t first, end;

	if (dim->axis == TILE_NO_AXIS) {
		*low = 0;
		*high = rule->shown[slot].dims[d];
		return;
	}
	first = (int64_t)tile_low[dim->axis] * dim->unit;
	end = (int64_t)tile_high[dim->axis] * dim->unit;
	if (dim->reach == TILE_WINDOW)
		window_rows(rule, first, end, &first, &end);
	else if (dim->reach == TILE_COVER)
		covering_windows(rule, first, end, rule->shown[slot].dims[d], &first, &end);
	*low = (uint32_t)first;
	*high = (uint32_t)end;
}

/* Padding before the first row of a tile. */
static uint32_t tile_pad(const struct tile_rule *rule, const struct weft_operation *operation, int64_t low,
			 int64_t high)
{
	int64_t first, end;

	switch (operation->opcode) {
	case WEFT_OP_CONV_BWD_DATA:
	case WEFT_OP_MAXPOOL_BWD:
		covering_windows(rule, low, high, rule->shown[0].dims[1], &first, &end);
		return (uint32_t)(rule->row_pad + low - first * rule->row_stride);
	default:
		window_rows(rule, low, high, &first, &end);
		return (uint32_t)(first - (low * rule->row_stride - rule->row_pad));
	}
}

static void *flags_of(const struct weft_operation *operation, union weft_params *params)
{
	switch (operation->opcode) {
	case WEFT_OP_MATMUL:
		return &params->matmul.flags;
	case WEFT_OP_CONV_BWD_WEIGHT:
		return &params->conv.flags;
	case WEFT_OP_REDUCE:
		return &params->reduce.flags;
	default:
		return NULL;
	}
}

void tile_params(const struct tile_rule *rule, const struct weft_operation *operation, const uint32_t low[],
		 const uint32_t high[], union weft_params *params)
{
	bool first = true, last = true,
	     pool = operation->opcode >= WEFT_OP_MAXPOOL_FWD && operation->opcode <= WEFT_OP_AVGPOOL_BWD;
	uint32_t *flags = flags_of(operation, params);

	for (unsigned int a = 0; a < rule->axes; a++) {
		if (!rule->axis[a].sums)
			continue;
		first &= low[a] == 0;
		last &= high[a] == rule->axis[a].extent;
	}
	if (!first && flags)
		*flags |= WEFT_F_ACCUMULATE;
	if (!last && operation->opcode == WEFT_OP_MATMUL) {
		params->matmul.activation = WEFT_ACT_NONE;
		params->matmul.alpha = params->matmul.beta = 0;
	}
	if (rule->group_axis != TILE_NO_AXIS)
		params->conv.groups = high[rule->group_axis] - low[rule->group_axis];
	if (rule->row_axis != TILE_NO_AXIS) {
		uint32_t pad = tile_pad(rule, operation, low[rule->row_axis], high[rule->row_axis]);

		if (pool)
			params->pool.pad[0] = pad;
		else
			params->conv.pad[0] = pad;
	}
}
