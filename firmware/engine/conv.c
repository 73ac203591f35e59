// SPDX-License-Identifier: MIT
/* Convolutions: from commands to correlations. */
#include "winograd.h"

/* The taps of grid index @at that take part and are inside the source: within [*low, *high). */
static void taps_at(const struct weft_axis *axis, uint32_t at, uint32_t *low, uint32_t *high)
{
	*low = *high = 0;
	for (uint32_t t = 0; t < axis->kernel; t++) {
		int64_t offset;

		if (!weft_axis_tap(axis, t, &offset))
			continue;
		offset += (int64_t)at * axis->step;
		if (offset < 0 || offset >= axis->source)
			continue;
		if (*high == 0)
			*low = t;
		*high = t + 1;
	}
}

uint32_t WEFT_KERNEL(weft_axis_same_taps)(const struct weft_axis *axis, uint32_t at, uint32_t end, uint32_t *low,
					  uint32_t *high)
{
	taps_at(axis, at, low, high);
	while (++at < end) {
		uint32_t next_low, next_high;

		taps_at(axis, at, &next_low, &next_high);
		if (next_low != *low || next_high != *high)
			break;
	}
	return at;
}

void WEFT_KERNEL(weft_copy_box)(float *to, uint32_t cell, const float *image, const ptrdiff_t stride[2],
				const uint32_t extent[2], int64_t row, int64_t column, uint32_t rows, uint32_t columns,
				uint32_t channels)
{
	int64_t begin = column < 0 ? -column : 0, end = (int64_t)extent[1] - column;

	begin = begin < columns ? begin : columns;
	end = end < begin ? begin : end < columns ? end : columns;
	for (uint32_t r = 0; r < rows; r++) {
		float *line = to + (size_t)r * columns * cell;
		const float *from;

		if (row + r < 0 || row + r >= extent[0]) {
			weft_zero_floats(line, columns * cell);
			continue;
		}
		from = image + (ptrdiff_t)(row + r) * stride[0] + (ptrdiff_t)column * stride[1];
		weft_zero_floats(line, (uint32_t)begin * cell);
		if (cell == channels && stride[1] == (ptrdiff_t)channels)
			weft_copy_floats(line + begin * cell, from + begin * stride[1], (uint32_t)(end - begin) * cell);
		else
			for (int64_t i = begin; i < end; i++)
				weft_copy_floats(line + i * cell, from + (ptrdiff_t)i * stride[1], channels);
		weft_zero_floats(line + end * cell, (uint32_t)(columns - end) * cell);
	}
}

static void tensor_strides(ptrdiff_t to[3], const struct weft_tensor *t)
{
	for (unsigned int i = 0; i < 3; i++)
		to[i] = t->strides[i];
}

static void correlate(struct weft_correlation *c, const union weft_params *params, const struct weft_tensor *w,
		      const float *bias)
{
	c->accumulate = params->conv.flags & WEFT_F_ACCUMULATE;
	c->epilogue = (struct weft_epilogue){.bias = bias,
					     .activation = params->conv.activation,
					     .alpha = params->conv.alpha,
					     .beta = params->conv.beta};
	c->finish = bias || params->conv.activation != WEFT_ACT_NONE;
	if (c->channels == 1 && c->columns == 1)
		WEFT_KERNEL(weft_correlate_depthwise)(c);
	else if (weft_winograd_kernel(params, w) && c->channels >= WEFT_WINOGRAD_LEAST_CHANNELS &&
		 c->channels <= WEFT_WINOGRAD_MOST_CHANNELS && c->axis[1].grid >= WEFT_WINOGRAD_LEAST_WIDTH)
		WEFT_KERNEL(weft_correlate_winograd)(c);
	else
		WEFT_KERNEL(weft_correlate)(c);
}

enum weft_fault WEFT_KERNEL(weft_conv_fwd)(WEFT_KERNEL_ARGUMENTS)
{
	const union weft_params *params = &command->params;
	const struct weft_tensor *x = &command->operand[0], *w = &command->operand[1], *y = &command->operand[3];
	struct weft_correlation c = {
		.unit = unit,
		.batch = x->dims[0],
		.groups = params->conv.groups,
		.channels = w->dims[2],
		.columns = w->dims[3] / params->conv.groups,
		.source = pointer[0],
		.weight = pointer[1],
		.weight_stride = {w->strides[0], w->strides[1], w->strides[2], 1},
		.weight_group = w->dims[3] / params->conv.groups,
		.output = pointer[3],
	};

	(void)fault;
	for (unsigned int i = 0; i < 2; i++)
		c.axis[i] = (struct weft_axis){
			.kernel = w->dims[i],
			.origin = -(int64_t)params->conv.pad[i],
			.spread = params->conv.dilation[i],
			.divider = 1,
			.step = params->conv.stride[i],
			.grid = y->dims[1 + i],
			.source = x->dims[1 + i],
		};
	tensor_strides(c.source_stride, x);
	tensor_strides(c.output_stride, y);
	correlate(&c, params, w, pointer[2]);
	return WEFT_FAULT_NONE;
}

enum weft_fault WEFT_KERNEL(weft_conv_bwd_data)(WEFT_KERNEL_ARGUMENTS)
{
	const union weft_params *params = &command->params;
	const struct weft_tensor *dy = &command->operand[0], *w = &command->operand[1], *dx = &command->operand[3];
	const uint32_t *stride = params->conv.stride;
	struct weft_correlation c = {
		.unit = unit,
		.batch = dx->dims[0],
		.groups = params->conv.groups,
		.channels = w->dims[3] / params->conv.groups,
		.columns = w->dims[2],
		.source = pointer[0],
		.weight = pointer[1],
		.weight_stride = {w->strides[0], w->strides[1], 1, w->strides[2]},
		.weight_group = w->dims[3] / params->conv.groups,
	};

	(void)fault;
	tensor_strides(c.source_stride, dy);
	tensor_strides(c.output_stride, dx);
	c.output_stride[1] *= stride[0];
	c.output_stride[2] *= stride[1];
	for (uint32_t h = 0; h < stride[0] && h < dx->dims[1]; h++) {
		for (uint32_t w0 = 0; w0 < stride[1] && w0 < dx->dims[2]; w0++) {
			const uint32_t phase[2] = {h, w0};

			for (unsigned int i = 0; i < 2; i++)
				c.axis[i] = (struct weft_axis){
					.kernel = w->dims[i],
					.origin = (int64_t)phase[i] + params->conv.pad[i],
					.spread = -(int64_t)params->conv.dilation[i],
					.divider = stride[i],
					.step = 1,
					.grid = (dx->dims[1 + i] - phase[i] + stride[i] - 1) / stride[i],
					.source = dy->dims[1 + i],
				};
			c.output = (float *)pointer[3] + (ptrdiff_t)h * dx->strides[1] + (ptrdiff_t)w0 * dx->strides[2];
			correlate(&c, params, w, pointer[2]);
		}
	}
	return WEFT_FAULT_NONE;
}

enum weft_fault WEFT_KERNEL(weft_conv_bwd_weight)(WEFT_KERNEL_ARGUMENTS)
{
	struct weft_conv_weight c = {
		.unit = unit,
		.params = &command->params,
		.x = pointer[0],
		.dy = pointer[1],
		.dw = pointer[2],
		.xt = &command->operand[0],
		.dyt = &command->operand[1],
		.dwt = &command->operand[2],
	};
	uint32_t width = c.dyt->dims[2];

	(void)fault;
	c.channels = c.dwt->dims[2];
	c.columns = c.dwt->dims[3] / c.params->conv.groups;
	c.block_columns = weft_min(width, WEFT_SUM_CONV_WEIGHT);
	c.block_rows = width < WEFT_SUM_CONV_WEIGHT ? WEFT_SUM_CONV_WEIGHT / width : 1;
	c.block_rows = weft_min(c.block_rows, c.dyt->dims[1]);
	if (c.channels == 1 && c.columns == 1)
		WEFT_KERNEL(weft_conv_weight_depthwise)(&c);
	else if (weft_winograd_kernel(c.params, c.dwt) && c.channels >= WEFT_WINOGRAD_LEAST_CHANNELS &&
		 c.columns >= WEFT_WINOGRAD_LEAST_CHANNELS && width >= WEFT_WINOGRAD_WEIGHT_LEAST_WIDTH)
		WEFT_KERNEL(weft_conv_weight_winograd)(&c);
	else
		WEFT_KERNEL(weft_conv_weight)(&c);
	return WEFT_FAULT_NONE;
}
