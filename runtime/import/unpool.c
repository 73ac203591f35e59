// SPDX-License-Identifier: MIT
/* The places of maxima that MaxPool gives and MaxUnpool takes: places in the flat tensor [N, C, spatial...]. */
#include <errno.h>
#include <string.h>

#include "graph/layout.h"
#include "import/expression.h"
#include "import/operators.h"
#include "import/window.h"
#include "weft/error.h"

/* Where the windows of one dimension start, times @pitch: extents of 1 along all others. */
static struct weft_operand window_starts(struct weft_expression *e, const struct weft_layout *y, unsigned int dim,
					 const struct weft_window *window, unsigned int side, int64_t pitch)
{
	struct weft_layout layout = {.type = WEFT_TYPE_I64, .rank = y->rank};
	struct weft_operand constant;
	void *data;
	int64_t *start;
	uint32_t i;

	for (i = 0; i < y->rank; i++)
		layout.dims[i] = i == dim ? y->dims[dim] : 1;
	constant = weft_expression_constant(e, &layout, &data);
	start = data;
	for (i = 0; start && i < y->dims[dim]; i++)
		start[i] = ((int64_t)i * window->stride[side] - window->pad[side]) * pitch;
	return constant;
}

/* The first element of each plane [n, c], @plane elements apart. */
static struct weft_operand plane_starts(struct weft_expression *e, const struct weft_layout *y, int64_t plane)
{
	struct weft_layout layout = {.type = WEFT_TYPE_I64, .rank = y->rank};
	struct weft_operand constant;
	void *data;
	int64_t *start;
	uint32_t i;

	for (i = 0; i < y->rank; i++)
		layout.dims[i] = i < 2 ? y->dims[i] : 1;
	constant = weft_expression_constant(e, &layout, &data);
	start = data;
	for (i = 0; start && i < y->dims[0] * y->dims[1]; i++)
		start[i] = (int64_t)i * plane;
	return constant;
}

int weft_lower_pool_places(struct weft_lower *lower, const struct weft_operand *tap, const struct weft_window *window)
{
	bool columns_first = weft_attribute_int(lower, "storage_order", 0) != 0;
	int64_t down = columns_first ? 1 : window->in[1], across = columns_first ? window->in[0] : 1;
	struct weft_expression e = {.lower = lower};
	struct weft_operand at = weft_expression_cast(&e, WEFT_TYPE_I64, *tap), row, column, place;
	unsigned int last = tap->layout.rank - 1u;

	if (weft_layout_elements(&tap->layout) > INT32_MAX)
		return weft_node_fail(lower, EOPNOTSUPP, "more than %d places", INT32_MAX);
	row = weft_expression_with(&e, WEFT_BINARY_DIV, at, window->kernel[1]);
	column = weft_expression_with(&e, WEFT_BINARY_MOD, at, window->kernel[1]);
	column = weft_expression_with(&e, WEFT_BINARY_MUL, column, (double)(window->dilation[1] * across));
	place = weft_expression_binary(&e, WEFT_BINARY_ADD, column,
				       window_starts(&e, &tap->layout, last, window, 1, across));
	if (tap->layout.rank == 4) {
		row = weft_expression_with(&e, WEFT_BINARY_MUL, row, (double)(window->dilation[0] * down));
		place = weft_expression_binary(&e, WEFT_BINARY_ADD, place, row);
		place = weft_expression_binary(&e, WEFT_BINARY_ADD, place,
					       window_starts(&e, &tap->layout, 2, window, 0, down));
	}
	place = weft_expression_binary(&e, WEFT_BINARY_ADD, place,
				       plane_starts(&e, &tap->layout, (int64_t)window->in[0] * window->in[1]));
	return weft_expression_output(&e, 1, place);
}

/* The extents that pooling started from. */
static int unpooled_extents(struct weft_lower *lower, const struct weft_layout *x, struct weft_layout *result)
{
	struct weft_window window;
	unsigned int i, side;
	int r = weft_window_read(lower, x, NULL, &window);

	*result = *x;
	for (i = 2; i < x->rank && !r; i++) {
		int64_t extent;

		side = i + 4u - x->rank - 2u;
		extent = ((int64_t)x->dims[i] - 1) * window.stride[side] + window.kernel[side] - window.pad[side] -
			 window.pad_end[side];
		if (extent < 1 || extent > INT32_MAX)
			return weft_node_fail(lower, EINVAL, "the result has an extent of %lld", (long long)extent);
		result->dims[i] = (uint32_t)extent;
	}
	weft_layout_dense(result);
	if (!r && (!weft_layout_bytes(result) || weft_layout_elements(result) > INT32_MAX))
		r = weft_node_fail(lower, EOPNOTSUPP, "the result has more than %d elements", INT32_MAX);
	return r;
}

/* Zeros with @layout's dims. */
static struct weft_operand zeros(struct weft_expression *e, const struct weft_layout *layout)
{
	union weft_params zero = {0};
	struct weft_operand y = WEFT_ABSENT;

	if (!e->error)
		e->error = weft_temporary(e->lower, layout, &y);
	if (!e->error)
		e->error = weft_build_elementwise(e->lower->graph, e->lower->node_name, WEFT_OP_FILL, &zero, 0, 1, &y,
						  NULL);
	return y;
}

/* A larger result than pooling started from has zeros behind. */
static struct weft_operand enlarged(struct weft_expression *e, struct weft_operand y)
{
	uint32_t before[WEFT_MAX_RANK] = {0}, extents[WEFT_MAX_RANK];
	int64_t dims[WEFT_MAX_RANK];
	struct weft_operand whole = y;
	unsigned int count, i;

	if (!e->error)
		e->error = weft_input_ints(e->lower, 2, WEFT_MAX_RANK, dims, &count);
	for (i = 0; !e->error && i < y.layout.rank; i++) {
		if (count != y.layout.rank || dims[i] < y.layout.dims[i] || dims[i] > INT32_MAX)
			e->error = weft_node_fail(e->lower, EINVAL, "output_shape is smaller than what is unpooled");
		extents[i] = (uint32_t)dims[i];
	}
	if (!e->error)
		e->error = weft_lower_enclose(e->lower, &y, before, extents, 0, &whole);
	return whole;
}

int weft_lower_max_unpool(struct weft_lower *lower)
{
	union weft_params params = {.scatter = {.function = WEFT_SCATTER_REPLACE}};
	struct weft_expression e = {.lower = lower};
	struct weft_operand x = weft_expression_dense(&e, 0), index = weft_expression_dense(&e, 1), operand[4], y;
	struct weft_layout result, flat;
	uint32_t count;
	int r = e.error;

	if (!r && (index.layout.type != WEFT_TYPE_I64 || !weft_layout_same_dims(&x.layout, &index.layout)))
		r = weft_node_fail(lower, EINVAL, "the indices are no int64 tensor with the input's dimensions");
	if (!r)
		r = unpooled_extents(lower, &x.layout, &result);
	if (r)
		return r;
	count = (uint32_t)weft_layout_elements(&x.layout);
	flat = (struct weft_layout){
		.type = x.layout.type, .rank = 2, .dims = {(uint32_t)weft_layout_elements(&result), 1}};
	weft_layout_dense(&flat);
	operand[0] = zeros(&e, &flat);
	operand[1] = weft_expression_flat(&e, index);
	operand[2] = weft_expression_reshape(&e, x, 2, (uint32_t[]){count, 1});
	operand[3] = WEFT_ABSENT;
	if (!e.error)
		e.error = weft_temporary(lower, &flat, &operand[3]);
	if (!e.error)
		e.error = weft_build(lower->graph, lower->node_name, WEFT_OP_SCATTER, &params, 3, 4, operand, NULL);
	y = weft_expression_reshape(&e, operand[3], result.rank, result.dims);
	if (weft_has_input(lower, 2))
		y = enlarged(&e, y);
	return weft_expression_output(&e, 0, y);
}
