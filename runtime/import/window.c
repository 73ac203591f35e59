// SPDX-License-Identifier: MIT
#include "import/window.h"

#include <errno.h>
#include <string.h>

#include "weft/error.h"

/* @count values of attribute @name into the last entries of @to. */
static int read_pair(struct weft_lower *lower, const char *name, unsigned int spatial, uint32_t least, uint32_t to[2])
{
	int64_t ints[2];
	unsigned int count, i;
	int r = weft_attribute_ints(lower, name, 2, ints, &count);

	if (r)
		return r;
	if (count && count != spatial)
		return weft_node_fail(lower, EINVAL, "%s has %u values for %u spatial dimensions", name, count,
				      spatial);
	for (i = 0; i < count; i++) {
		if (ints[i] < least || ints[i] > INT32_MAX)
			return weft_node_fail(lower, EINVAL, "%s holds %lld", name, (long long)ints[i]);
		to[2 - spatial + i] = (uint32_t)ints[i];
	}
	return 0;
}

static int read_pads(struct weft_lower *lower, unsigned int spatial, struct weft_window *window)
{
	int64_t ints[4];
	unsigned int count, i;
	int r = weft_attribute_ints(lower, "pads", 4, ints, &count);

	if (r)
		return r;
	if (count && count != 2 * spatial)
		return weft_node_fail(lower, EINVAL, "pads has %u values for %u spatial dimensions", count, spatial);
	for (i = 0; i < count; i++)
		if (ints[i] < 0 || ints[i] > 65535)
			return weft_node_fail(lower, EOPNOTSUPP, "pads holds %lld", (long long)ints[i]);
	for (i = 0; count && i < spatial; i++) {
		window->pad[2 - spatial + i] = (uint32_t)ints[i];
		window->pad_end[2 - spatial + i] = (uint32_t)ints[spatial + i];
	}
	return 0;
}

int weft_window_read(struct weft_lower *lower, const struct weft_layout *x, const uint32_t *kernel,
		     struct weft_window *window)
{
	unsigned int spatial, i;
	int r;

	if (x->rank != 3 && x->rank != 4)
		return weft_node_fail(lower, EOPNOTSUPP, "rank %u; one or two spatial dimensions are supported",
				      x->rank);
	if (x->type != WEFT_TYPE_F32)
		return weft_node_fail(lower, EOPNOTSUPP, "only float tensors are supported");
	spatial = x->rank - 2;
	*window = (struct weft_window){{1, 1}, {1, 1}, {1, 1}, {0, 0}, {0, 0}, {1, 1}, {1, 1}};
	for (i = 0; i < spatial; i++) {
		window->in[2 - spatial + i] = x->dims[2 + i];
		if (kernel)
			window->kernel[2 - spatial + i] = kernel[i];
	}
	if (!kernel && !weft_attribute(lower, "kernel_shape"))
		return weft_node_fail(lower, EINVAL, "kernel_shape is missing");
	r = read_pair(lower, "kernel_shape", spatial, 1, window->kernel);
	for (i = 0; i < spatial && kernel && !r; i++)
		if (window->kernel[2 - spatial + i] != kernel[i])
			r = weft_node_fail(lower, EINVAL, "kernel_shape is not that of the weight");
	if (!r)
		r = read_pair(lower, "strides", spatial, 1, window->stride);
	if (!r)
		r = read_pair(lower, "dilations", spatial, 1, window->dilation);
	if (!r)
		r = read_pads(lower, spatial, window);
	for (i = 0; i < 2 && !r; i++)
		if (window->kernel[i] > 65535 || window->stride[i] > 65535 || window->dilation[i] > 65535)
			r = weft_node_fail(lower, EOPNOTSUPP, "a window larger than 65535");
	return r;
}

int weft_window_forward(struct weft_lower *lower, struct weft_window *window, bool ceil_mode)
{
	bool same_upper = weft_attribute_is(lower, "auto_pad", "SAME_UPPER", false);
	bool same_lower = weft_attribute_is(lower, "auto_pad", "SAME_LOWER", false);
	unsigned int i;

	for (i = 0; i < 2; i++) {
		int64_t reach = (int64_t)(window->kernel[i] - 1) * window->dilation[i] + 1, room, out;

		if (same_upper || same_lower) {
			out = (window->in[i] + window->stride[i] - 1) / window->stride[i];
			room = (out - 1) * window->stride[i] + reach - window->in[i];
			room = room < 0 ? 0 : room;
			window->pad[i] = (uint32_t)(same_upper ? room / 2 : room - room / 2);
			window->pad_end[i] = (uint32_t)room - window->pad[i];
			window->out[i] = (uint32_t)out;
			continue;
		}
		room = (int64_t)window->in[i] + window->pad[i] + window->pad_end[i] - reach;
		if (room < 0)
			return weft_node_fail(lower, EINVAL, "the window is larger than the input");
		out = (room + (ceil_mode ? window->stride[i] - 1 : 0)) / window->stride[i] + 1;
		/* The last window must start inside the input or the padding before it. */
		if (ceil_mode && (out - 1) * window->stride[i] >= (int64_t)window->in[i] + window->pad[i])
			out--;
		window->out[i] = (uint32_t)out;
	}
	return 0;
}

struct weft_layout weft_window_result(const struct weft_layout *x, uint32_t channels, const struct weft_window *window)
{
	struct weft_layout layout = {.type = x->type, .rank = x->rank};
	unsigned int spatial = x->rank - 2u, i;

	layout.dims[0] = x->dims[0];
	layout.dims[1] = channels;
	for (i = 0; i < spatial; i++)
		layout.dims[2 + i] = window->out[2 - spatial + i];
	weft_layout_channels_last(&layout);
	return layout;
}

struct weft_operand weft_window_show(const struct weft_operand *x)
{
	struct weft_operand shown = {.id = x->id, .layout = {.type = x->layout.type, .rank = 4}};
	const struct weft_layout *from = &x->layout;
	unsigned int width = from->rank - 1u;

	shown.layout.dims[0] = from->dims[0];
	shown.layout.strides[0] = from->strides[0];
	shown.layout.dims[1] = from->rank == 4 ? from->dims[2] : 1;
	shown.layout.strides[1] =
		from->rank == 4 ? from->strides[2] : (int32_t)(from->strides[width] * (int64_t)from->dims[width]);
	shown.layout.dims[2] = from->dims[width];
	shown.layout.strides[2] = from->strides[width];
	shown.layout.dims[3] = from->dims[1];
	shown.layout.strides[3] = from->dims[1] > 1 ? from->strides[1] : 1;
	return shown;
}
