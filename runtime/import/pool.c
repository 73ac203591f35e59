// SPDX-License-Identifier: MIT
#include <errno.h>
#include <string.h>

#include "import/expression.h"
#include "import/operators.h"
#include "import/window.h"
#include "weft/error.h"

static void set_params(const struct weft_window *window, union weft_params *params)
{
	unsigned int i;

	memset(params, 0, sizeof(*params));
	for (i = 0; i < 2; i++) {
		params->pool.kernel[i] = window->kernel[i];
		params->pool.stride[i] = window->stride[i];
		params->pool.dilation[i] = window->dilation[i];
		params->pool.pad[i] = window->pad[i];
		params->pool.pad_end[i] = window->pad_end[i];
	}
}

static int read_pool(struct weft_lower *lower, struct weft_operand *x, struct weft_window *window,
		     struct weft_layout *result)
{
	int r = weft_input_image(lower, 0, x);

	if (!r)
		r = weft_window_read(lower, &x->layout, NULL, window);
	if (!r)
		r = weft_window_forward(lower, window, weft_attribute_int(lower, "ceil_mode", 0) != 0);
	if (!r)
		*result = weft_window_result(&x->layout, x->layout.dims[1], window);
	return r;
}

/* Bytes are exact in float. */
static int max_pool_of_bytes(struct weft_lower *lower)
{
	struct weft_expression e = {.lower = lower};
	struct weft_operand bytes = weft_expression_input(&e, 0), x, y = WEFT_ABSENT;
	struct weft_window window;
	struct weft_layout layout;
	union weft_params params;

	if (weft_has_output(lower, 1) && weft_output_is_used(lower, 1))
		return weft_node_fail(lower, EOPNOTSUPP, "indices of a pool of bytes are not supported");
	x = weft_expression_cast(&e, WEFT_TYPE_F32, bytes);
	layout = x.layout;
	if (!e.error && layout.rank > 1 && layout.strides[1] != 1) {
		weft_layout_channels_last(&layout);
		x = weft_expression_copy(&e, x, &layout);
	}
	if (!e.error)
		e.error = weft_window_read(lower, &x.layout, NULL, &window);
	if (!e.error)
		e.error = weft_window_forward(lower, &window, weft_attribute_int(lower, "ceil_mode", 0) != 0);
	if (e.error)
		return e.error;
	layout = weft_window_result(&x.layout, x.layout.dims[1], &window);
	set_params(&window, &params);
	e.error = weft_temporary(lower, &layout, &y);
	if (!e.error)
		e.error = weft_build(lower->graph, lower->node_name, WEFT_OP_MAXPOOL_FWD, &params, 1, 3,
				     (struct weft_operand[]){weft_window_show(&x), weft_window_show(&y), WEFT_ABSENT},
				     NULL);
	return weft_expression_output(&e, 0, weft_expression_cast(&e, bytes.layout.type, y));
}

int weft_lower_max_pool(struct weft_lower *lower)
{
	bool places = weft_has_output(lower, 1) && weft_output_is_used(lower, 1);
	struct weft_operand x, y, tap, operand[3] = {WEFT_ABSENT, WEFT_ABSENT, WEFT_ABSENT};
	struct weft_window window;
	struct weft_layout layout;
	union weft_params params;
	int r = weft_input_shape(lower, 0, &layout);

	if (!r && (layout.type == WEFT_TYPE_I8 || layout.type == WEFT_TYPE_U8))
		return max_pool_of_bytes(lower);
	if (!r && layout.rank == 5)
		return weft_lower_pool_volume(lower, WEFT_OP_MAXPOOL_FWD);
	if (!r)
		r = read_pool(lower, &x, &window, &layout);
	if (!r)
		r = weft_output(lower, 0, &layout, &y);
	if (r)
		return r;
	operand[0] = weft_window_show(&x);
	operand[1] = weft_window_show(&y);
	if (lower->options->training || places) {
		/* Where the maximum was is all that the gradient needs to know. */
		if (window.kernel[0] * window.kernel[1] > 256)
			return weft_node_fail(lower, EOPNOTSUPP,
					      "windows of more than 256 elements have neither gradient nor indices");
		layout.type = WEFT_TYPE_U8;
		r = weft_temporary(lower, &layout, &tap);
		operand[2] = weft_window_show(&tap);
	}
	set_params(&window, &params);
	if (!r)
		r = weft_build(lower->graph, lower->node_name, WEFT_OP_MAXPOOL_FWD, &params, 1, 3, operand, NULL);
	return r || !places ? r : weft_lower_pool_places(lower, &tap, &window);
}

int weft_lower_average_pool(struct weft_lower *lower)
{
	struct weft_operand x, y, operand[2];
	struct weft_window window;
	struct weft_layout layout;
	union weft_params params;
	int r = weft_input_shape(lower, 0, &layout);

	if (!r && layout.rank == 5)
		return weft_lower_pool_volume(lower, WEFT_OP_AVGPOOL_FWD);
	if (!r)
		r = read_pool(lower, &x, &window, &layout);
	if (!r)
		r = weft_output(lower, 0, &layout, &y);
	if (r)
		return r;
	operand[0] = weft_window_show(&x);
	operand[1] = weft_window_show(&y);
	set_params(&window, &params);
	params.pool.count_pad = weft_attribute_int(lower, "count_include_pad", 0) != 0;
	return weft_build(lower->graph, lower->node_name, WEFT_OP_AVGPOOL_FWD, &params, 1, 2, operand, NULL);
}

int weft_lower_global_pool(struct weft_lower *lower)
{
	bool max = !strcmp(lower->node->op_type, "GlobalMaxPool");
	union weft_params params = {.reduce = {.function = max ? WEFT_REDUCE_MAX : WEFT_REDUCE_MEAN, .scale = 1}};
	struct weft_operand operand[2];
	struct weft_layout layout;
	unsigned int i;
	int r = weft_input(lower, 0, &operand[0]);

	if (r)
		return r;
	layout = operand[0].layout;
	if (layout.rank < 3)
		return weft_node_fail(lower, EINVAL, "rank %u has no spatial dimensions", layout.rank);
	for (i = 2; i < layout.rank; i++)
		layout.dims[i] = 1;
	weft_layout_dense(&layout);
	r = weft_output(lower, 0, &layout, &operand[1]);
	return r ? r
		 : weft_build_broadcast(lower->graph, lower->node_name, WEFT_OP_REDUCE, &params, 1, 2, operand, 0,
					NULL);
}
