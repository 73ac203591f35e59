// SPDX-License-Identifier: MIT
/*
 * Pooling and convolution with three spatial dimensions, by operations that have
 * two: a pool over planes and then over depth, and a sum of convolutions of
 * planes, one for each place of the window along the depth.
 */
#include <errno.h>
#include <string.h>

#include "graph/layout.h"
#include "import/expression.h"
#include "import/operators.h"
#include "import/window.h"
#include "weft/error.h"

/* The window along the depth (as rows of one column), and that in the plane. */
struct volume {
	struct weft_window depth, plane;
};

/* @count values of attribute @name; @to keeps what it holds where the attribute is absent. */
static int read_values(struct weft_lower *lower, const char *name, unsigned int count, int64_t least, uint32_t to[])
{
	int64_t ints[6];
	unsigned int given, i;
	int r = weft_attribute_ints(lower, name, count, ints, &given);

	if (!r && given && given != count)
		r = weft_node_fail(lower, EINVAL, "%s has %u values, not %u", name, given, count);
	for (i = 0; i < given && !r; i++) {
		if (ints[i] < least || ints[i] > 65535)
			r = weft_node_fail(lower, EINVAL, "%s holds %lld", name, (long long)ints[i]);
		to[i] = (uint32_t)ints[i];
	}
	return r;
}

/* @kernel where the attribute may be absent. */
static int read_volume(struct weft_lower *lower, const struct weft_layout *x, const uint32_t *kernel, bool ceil_mode,
		       struct volume *volume)
{
	uint32_t extent[3] = {0, 0, 0}, stride[3] = {1, 1, 1}, dilation[3] = {1, 1, 1}, pads[6] = {0};
	struct weft_window *depth = &volume->depth, *plane = &volume->plane;
	unsigned int i;
	int r = 0;

	if (x->type != WEFT_TYPE_F32)
		return weft_node_fail(lower, EOPNOTSUPP, "only float tensors are supported");
	if (kernel)
		memcpy(extent, kernel, sizeof(extent));
	r = read_values(lower, "kernel_shape", 3, 1, extent);
	if (!r)
		r = read_values(lower, "strides", 3, 1, stride);
	if (!r)
		r = read_values(lower, "dilations", 3, 1, dilation);
	if (!r)
		r = read_values(lower, "pads", 6, 0, pads);
	if (!r && (!extent[0] || !extent[1] || !extent[2] || (kernel && memcmp(kernel, extent, sizeof(extent)))))
		r = weft_node_fail(lower, EINVAL, "kernel_shape is missing or not that of the weight");
	if (r)
		return r;
	*depth = (struct weft_window){.kernel = {extent[0], 1},
				      .stride = {stride[0], 1},
				      .dilation = {dilation[0], 1},
				      .pad = {pads[0], 0},
				      .pad_end = {pads[3], 0},
				      .in = {x->dims[2], 1}};
	for (i = 0; i < 2; i++) {
		plane->kernel[i] = extent[1 + i];
		plane->stride[i] = stride[1 + i];
		plane->dilation[i] = dilation[1 + i];
		plane->pad[i] = pads[1 + i];
		plane->pad_end[i] = pads[4 + i];
		plane->in[i] = x->dims[3 + i];
	}
	r = weft_window_forward(lower, depth, ceil_mode);
	return r ? r : weft_window_forward(lower, plane, ceil_mode);
}

/* @x as [rows, height, width, channels] of @dims; it stands with channels last. */
static struct weft_operand show(struct weft_operand x, uint32_t rows, uint32_t height, uint32_t width,
				uint32_t channels)
{
	struct weft_layout layout = {.type = x.layout.type, .rank = 4, .dims = {rows, height, width, channels}};

	weft_layout_dense(&layout);
	x.layout = layout;
	return x;
}

static struct weft_layout volume_layout(uint8_t type, uint32_t batch, uint32_t channels, uint32_t depth,
					uint32_t height, uint32_t width)
{
	struct weft_layout layout = {.type = type, .rank = 5, .dims = {batch, channels, depth, height, width}};

	weft_layout_channels_last(&layout);
	return layout;
}

/* @x in a value whose channels stand last and without gaps. */
static struct weft_operand channels_last(struct weft_expression *e, struct weft_operand x)
{
	struct weft_layout layout = x.layout;

	weft_layout_channels_last(&layout);
	return weft_layout_same(&layout, &x.layout) ? x : weft_expression_copy(e, x, &layout);
}

static int pool(struct weft_lower *lower, uint16_t opcode, const struct weft_window *window,
		const struct weft_operand *x, const struct weft_operand *y)
{
	struct weft_operand operand[3] = {*x, *y, WEFT_ABSENT};
	union weft_params params = {0};
	unsigned int i;
	int r = 0;

	for (i = 0; i < 2; i++) {
		params.pool.kernel[i] = window->kernel[i];
		params.pool.stride[i] = window->stride[i];
		params.pool.dilation[i] = window->dilation[i];
		params.pool.pad[i] = window->pad[i];
		params.pool.pad_end[i] = window->pad_end[i];
	}
	if (opcode == WEFT_OP_AVGPOOL_FWD) {
		params.pool.count_pad = weft_attribute_int(lower, "count_include_pad", 0) != 0;
		return weft_build(lower->graph, lower->node_name, opcode, &params, 1, 2, operand, NULL);
	}
	if (lower->options->training) {
		struct weft_layout index = y->layout;

		if ((uint64_t)window->kernel[0] * window->kernel[1] > 256)
			return weft_node_fail(lower, EOPNOTSUPP, "windows of more than 256 elements have no gradient");
		index.type = WEFT_TYPE_U8;
		r = weft_temporary(lower, &index, &operand[2]);
	}
	return r ? r : weft_build(lower->graph, lower->node_name, opcode, &params, 1, 3, operand, NULL);
}

int weft_lower_pool_volume(struct weft_lower *lower, uint16_t opcode)
{
	bool ceil_mode = weft_attribute_int(lower, "ceil_mode", 0) != 0;
	struct weft_expression e = {.lower = lower};
	struct weft_operand x = weft_expression_input(&e, 0), flat = WEFT_ABSENT, y = WEFT_ABSENT, from, to;
	const uint32_t *d = x.layout.dims, *out;
	struct weft_layout layout;
	struct volume volume;
	uint32_t area;

	if (!e.error && weft_has_output(lower, 1) && weft_output_is_used(lower, 1))
		e.error = weft_node_fail(lower, EOPNOTSUPP, "indices of three dimensions are not supported");
	if (!e.error)
		e.error = read_volume(lower, &x.layout, NULL, ceil_mode, &volume);
	if (e.error)
		return e.error;
	out = volume.plane.out;
	area = out[0] * out[1];
	x = channels_last(&e, x);
	layout = volume_layout(WEFT_TYPE_F32, d[0], d[1], d[2], out[0], out[1]);
	if (!e.error)
		e.error = weft_temporary(lower, &layout, &flat);
	if (e.error)
		return e.error;
	from = show(x, d[0] * d[2], d[3], d[4], d[1]);
	to = show(flat, d[0] * d[2], out[0], out[1], d[1]);
	e.error = pool(lower, opcode, &volume.plane, &from, &to);
	layout = volume_layout(WEFT_TYPE_F32, d[0], d[1], volume.depth.out[0], out[0], out[1]);
	if (!e.error)
		e.error = weft_output(lower, 0, &layout, &y);
	if (e.error)
		return e.error;
	from = show(flat, d[0], d[2], area, d[1]);
	to = show(y, d[0], volume.depth.out[0], area, d[1]);
	return pool(lower, opcode, &volume.depth, &from, &to);
}

/* Planes @first, @first + step, ... of the (padded) input, as many as the result has, without gaps. */
static struct weft_operand planes_from(struct weft_expression *e, struct weft_operand x, const struct volume *volume,
				       uint32_t first)
{
	uint32_t step = volume->depth.stride[0], count = volume->depth.out[0];
	struct weft_operand planes = weft_expression_part(e, x, 2, first, (count - 1) * step + 1);

	planes.layout.dims[2] = count;
	planes.layout.strides[2] *= (int32_t)(count > 1 ? step : 1);
	return channels_last(e, planes);
}

/* The weight at one depth, [OC, C/G, KH, KW], as [KH, KW, C/G, OC]. */
static struct weft_operand weight_at(struct weft_expression *e, struct weft_operand w, uint32_t depth)
{
	struct weft_operand slice = weft_expression_part(e, w, 2, depth, 1);
	struct weft_layout layout;

	slice = weft_expression_permuted(e, slice, (uint8_t[]){2, 3, 4, 1, 0});
	slice = weft_expression_reshape(e, slice, 4, &slice.layout.dims[1]);
	layout = slice.layout;
	weft_layout_dense(&layout);
	return weft_layout_same(&layout, &slice.layout) ? slice : weft_expression_copy(e, slice, &layout);
}

/* The convolution of one depth of the window with all planes that it meets. */
static struct weft_operand plane_products(struct weft_expression *e, struct weft_operand planes, struct weft_operand w,
					  struct weft_operand bias, const struct volume *volume, uint32_t groups)
{
	const uint32_t *d = planes.layout.dims, *out = volume->plane.out;
	struct weft_layout layout = volume_layout(WEFT_TYPE_F32, d[0], w.layout.dims[3], d[2], out[0], out[1]);
	union weft_params params = {.conv = {.groups = groups}};
	struct weft_operand y = WEFT_ABSENT, operand[4];
	unsigned int i;

	for (i = 0; i < 2; i++) {
		params.conv.stride[i] = volume->plane.stride[i];
		params.conv.dilation[i] = volume->plane.dilation[i];
		params.conv.pad[i] = volume->plane.pad[i];
	}
	if (!e->error)
		e->error = weft_temporary(e->lower, &layout, &y);
	if (e->error)
		return y;
	operand[0] = show(planes, d[0] * d[2], d[3], d[4], d[1]);
	operand[1] = w;
	operand[2] = bias;
	operand[3] = show(y, d[0] * d[2], out[0], out[1], w.layout.dims[3]);
	e->error = weft_build(e->lower->graph, e->lower->node_name, WEFT_OP_CONV_FWD, &params, 3, 4, operand, NULL);
	return y;
}

/* Zeros before and behind the planes. */
static struct weft_operand padded(struct weft_expression *e, struct weft_operand x, const struct weft_window *depth)
{
	uint32_t before[WEFT_MAX_RANK] = {0}, dims[WEFT_MAX_RANK];
	struct weft_operand whole = x;

	if (e->error || (!depth->pad[0] && !depth->pad_end[0]))
		return x;
	memcpy(dims, x.layout.dims, sizeof(dims));
	dims[2] += depth->pad[0] + depth->pad_end[0];
	before[2] = depth->pad[0];
	e->error = weft_lower_enclose(e->lower, &x, before, dims, 0, &whole);
	return whole;
}

int weft_lower_conv_volume(struct weft_lower *lower)
{
	int64_t groups = weft_attribute_int(lower, "group", 1);
	struct weft_expression e = {.lower = lower};
	struct weft_operand x = weft_expression_input(&e, 0), w = weft_expression_input(&e, 1), bias = WEFT_ABSENT, y;
	struct weft_operand sum = WEFT_ABSENT;
	struct volume volume;
	uint32_t k;

	if (weft_has_input(lower, 2))
		bias = weft_expression_input(&e, 2);
	if (!e.error &&
	    (w.layout.rank != 5 || w.layout.type != WEFT_TYPE_F32 || groups < 1 || w.layout.dims[0] % groups ||
	     (uint64_t)w.layout.dims[1] * (uint64_t)groups != x.layout.dims[1]))
		e.error = weft_node_fail(lower, EINVAL, "the weight does not fit %u channels in %lld groups",
					 x.layout.dims[1], (long long)groups);
	if (!e.error && bias.id != WEFT_NO_ID &&
	    (bias.layout.rank != 1 || bias.layout.dims[0] != w.layout.dims[0] || bias.layout.type != WEFT_TYPE_F32))
		e.error = weft_node_fail(lower, EINVAL, "the bias is no float vector of %u", w.layout.dims[0]);
	if (!e.error)
		e.error = read_volume(lower, &x.layout, &w.layout.dims[2], false, &volume);
	if (e.error)
		return e.error;
	x = padded(&e, x, &volume.depth);
	for (k = 0; k < volume.depth.kernel[0] && !e.error; k++) {
		y = plane_products(&e, planes_from(&e, x, &volume, k * volume.depth.dilation[0]), weight_at(&e, w, k),
				   k ? WEFT_ABSENT : bias, &volume, (uint32_t)groups);
		sum = k ? weft_expression_binary(&e, WEFT_BINARY_ADD, sum, y) : y;
	}
	return weft_expression_output(&e, 0, sum);
}
