// SPDX-License-Identifier: MIT
#include <errno.h>
#include <string.h>

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

int weft_lower_max_pool(struct weft_lower *lower)
{
	struct weft_operand x, y, operand[3] = {WEFT_ABSENT, WEFT_ABSENT, WEFT_ABSENT};
	struct weft_window window;
	struct weft_layout layout;
	union weft_params params;
	int r = read_pool(lower, &x, &window, &layout);

	if (r)
		return r;
	if (weft_has_output(lower, 1) && weft_output_is_used(lower, 1))
		return weft_node_fail(lower, EOPNOTSUPP, "indices as an output are not supported");
	r = weft_output(lower, 0, &layout, &y);
	if (r)
		return r;
	operand[0] = weft_window_show(&x);
	operand[1] = weft_window_show(&y);
	if (lower->options->training) {
		/* Where the maximum was is all that the gradient needs to know. */
		if (window.kernel[0] * window.kernel[1] > 256)
			return weft_node_fail(lower, EOPNOTSUPP, "windows of more than 256 elements cannot be trained");
		layout.type = WEFT_TYPE_U8;
		r = weft_temporary(lower, &layout, &operand[2]);
		operand[2] = weft_window_show(&operand[2]);
	}
	set_params(&window, &params);
	return r ? r : weft_build(lower->graph, lower->node_name, WEFT_OP_MAXPOOL_FWD, &params, 1, 3, operand, NULL);
}

int weft_lower_average_pool(struct weft_lower *lower)
{
	struct weft_operand x, y, operand[2];
	struct weft_window window;
	struct weft_layout layout;
	union weft_params params;
	int r = read_pool(lower, &x, &window, &layout);

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
