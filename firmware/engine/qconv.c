// SPDX-License-Identifier: MIT
/* QCONV: windows as rows of a matrix product. */
#include "qdepthwise.h"
#include "qproduct.h"

struct operands {
	const struct weft_tensor *x, *w, *y;
	const uint8_t *x_at, *w_at;
	uint8_t *y_at;
	const union weft_params *params;
	uint32_t channels, columns; /* of a group */
	uint32_t kernel[2];
	size_t y_bytes;
	bool pixels_contiguous; /* X's neighbours along a row are neighbours in memory */
	bool rows_contiguous;	/* neighbouring pixels of X are neighbours in memory, and so are the taps */
};

/* An output pixel. */
struct pixel {
	uint32_t n, row, column;
};

static struct pixel pixel_of(const struct operands *o, uint32_t index)
{
	uint32_t height = o->y->dims[1], width = o->y->dims[2];

	return (struct pixel){index / width / height, index / width % height, index % width};
}

static void next_pixel(const struct operands *o, struct pixel *at)
{
	if (++at->column < o->y->dims[2])
		return;
	at->column = 0;
	if (++at->row < o->y->dims[1])
		return;
	at->row = 0;
	at->n++;
}

static void weights(const struct weft_qproduct *p, uint32_t product, struct weft_qweights *w, uint32_t *channel)
{
	const struct operands *o = p->context;

	*channel = product * o->columns;
	if (p->in_panels) {
		*w = (struct weft_qweights){.type = WEFT_TYPE_I8, .zero = o->w->zero_point, .panels = o->w_at};
		return;
	}
	*w = (struct weft_qweights){
		.type = o->w->type,
		.zero = o->w->zero_point,
		.base = o->w_at,
		.first = (ptrdiff_t)*channel,
		.extent = {o->kernel[0], o->kernel[1], o->channels},
		.stride = {o->w->strides[0], o->w->strides[1], o->w->strides[2]},
		.column = 1,
	};
}

/* Windows of one tap without padding: where all positions are inside, they are pixels. */
static bool is_point(const struct weft_qproduct *p)
{
	const struct operands *o = p->context;
	const uint32_t *stride = o->params->qconv.stride, *pad = o->params->qconv.pad;

	return o->kernel[0] == 1 && o->kernel[1] == 1 && !pad[0] && !pad[1] &&
	       (uint64_t)(o->y->dims[1] - 1) * stride[0] < o->x->dims[1] &&
	       (uint64_t)(o->y->dims[2] - 1) * stride[1] < o->x->dims[2];
}

/* Elements [k, k + n) of a window whose first tap is at (@row, @column) of @image. */
static void gather_window(const struct weft_qproduct *p, const uint8_t *image, int64_t row, int64_t column, uint32_t k,
			  uint32_t n, uint8_t *to)
{
	const struct operands *o = p->context;
	const uint32_t *dilation = o->params->qconv.dilation, channels = o->channels;
	uint32_t tap = k / channels, c = k % channels, h = tap / o->kernel[1], w = tap % o->kernel[1];

	while (n) {
		int64_t y = row + (int64_t)h * dilation[0], x = column + (int64_t)w * dilation[1];
		uint32_t taps = 1, count;
		bool inside = y >= 0 && y < o->x->dims[1] && x >= 0 && x < o->x->dims[2];

		/* As many taps of this row as are alike and next to each other. */
		if (y < 0 || y >= o->x->dims[1])
			taps = o->kernel[1] - w;
		else if (inside && o->rows_contiguous && o->kernel[1] > 1)
			taps = o->kernel[1] - w < o->x->dims[2] - x ? o->kernel[1] - w : (uint32_t)(o->x->dims[2] - x);
		count = taps * channels - c;
		count = count < n ? count : n;
		if (inside)
			WEFT_KERNEL(weft_qload)
		(p->form, &p->input, to, image + (ptrdiff_t)y * o->x->strides[1] + (ptrdiff_t)x * o->x->strides[2] + c,
		 1, count);
		else WEFT_KERNEL(weft_qload_zero)(p->form, &p->input, to, count);
		to += (size_t)count * p->form->bytes;
		n -= count;
		c = 0;
		w += taps;
		if (w == o->kernel[1]) {
			w = 0;
			h++;
		}
	}
}

/* Pixels where they are. */
static void gather_points(const struct operands *o, uint32_t product, struct pixel pixel, uint32_t rows, uint32_t k,
			  const uint8_t *at[])
{
	const uint32_t *stride = o->params->qconv.stride;
	const ptrdiff_t step = (ptrdiff_t)stride[1] * o->x->strides[2];

	for (uint32_t i = 0; i < rows;) {
		const uint8_t *from = o->x_at + (ptrdiff_t)pixel.n * o->x->strides[0] +
				      (ptrdiff_t)pixel.row * stride[0] * o->x->strides[1] + pixel.column * step +
				      (ptrdiff_t)product * o->channels + k;

		/* To the end of the row. */
		do {
			at[i++] = from;
			from += step;
			next_pixel(o, &pixel);
		} while (i < rows && pixel.column);
	}
}

static void gather(const struct weft_qproduct *p, uint32_t product, uint32_t row, uint32_t rows, uint32_t k, uint32_t n,
		   uint8_t *to, size_t pitch, const uint8_t *at[])
{
	const struct operands *o = p->context;
	const uint32_t *stride = o->params->qconv.stride, *pad = o->params->qconv.pad;
	const bool in_place = is_point(p) && p->form->bytes == 1 && !p->input.flip && n % p->form->group == 0;
	struct pixel pixel = pixel_of(o, row);

	if (in_place) {
		gather_points(o, product, pixel, rows, k, at);
		return;
	}

	for (uint32_t i = 0; i < rows; i++, next_pixel(o, &pixel), to += pitch) {
		const uint8_t *image =
			o->x_at + (ptrdiff_t)pixel.n * o->x->strides[0] + (ptrdiff_t)product * o->channels;
		int64_t y = (int64_t)pixel.row * stride[0] - pad[0], x = (int64_t)pixel.column * stride[1] - pad[1];

		at[i] = to;
		gather_window(p, image, y, x, k, n, to);
	}
}

/* Bytes of a box's row: the columns that a row of windows reaches over. */
static size_t box_pitch(const struct weft_qproduct *p)
{
	const struct operands *o = p->context;

	return ((size_t)(o->y->dims[2] - 1) * o->params->qconv.stride[1] + o->kernel[1]) * o->channels * p->form->bytes;
}

static void box_row(const struct weft_qproduct *p, const uint8_t *image, int64_t row, uint8_t *to)
{
	const struct operands *o = p->context;
	const size_t cell = (size_t)o->channels * p->form->bytes;
	int64_t columns = (int64_t)(box_pitch(p) / cell), before = o->params->qconv.pad[1], inside;
	const uint8_t *from = image;

	if (row < 0 || row >= o->x->dims[1])
		before = columns;
	else
		from += (ptrdiff_t)row * o->x->strides[1];
	before = before < columns ? before : columns;
	inside = columns - before < o->x->dims[2] ? columns - before : o->x->dims[2];
	WEFT_KERNEL(weft_qload_zero)(p->form, &p->input, to, (uint32_t)before * o->channels);
	to += (size_t)before * cell;
	if (o->pixels_contiguous)
		WEFT_KERNEL(weft_qload)(p->form, &p->input, to, from, 1, (uint32_t)inside * o->channels);
	else
		for (int64_t i = 0; i < inside; i++)
			WEFT_KERNEL(weft_qload)
	(p->form, &p->input, to + (size_t)i * cell, from + (ptrdiff_t)i * o->x->strides[2], 1, o->channels);
	to += (size_t)inside * cell;
	WEFT_KERNEL(weft_qload_zero)(p->form, &p->input, to, (uint32_t)(columns - before - inside) * o->channels);
}

/* As many rows of windows of one image as have room. */
static uint32_t box(const struct weft_qproduct *p, uint32_t product, uint32_t row, uint32_t end, uint8_t *to,
		    size_t room)
{
	const struct operands *o = p->context;
	const uint32_t stride = o->params->qconv.stride[0], dilation = o->params->qconv.dilation[0];
	const uint32_t width = o->y->dims[2];
	const size_t pitch = box_pitch(p);
	const uint64_t reach = (uint64_t)(o->kernel[0] - 1) * dilation + 1;
	uint32_t most = (uint32_t)(room / pitch), lines, left;
	struct pixel pixel = pixel_of(o, row);
	const uint8_t *image = o->x_at + (ptrdiff_t)pixel.n * o->x->strides[0] + (ptrdiff_t)product * o->channels;

	if (reach > most)
		return 0;
	lines = (uint32_t)((most - reach) / stride) + 1;
	lines = lines < o->y->dims[1] - pixel.row ? lines : o->y->dims[1] - pixel.row;
	left = (end - row + pixel.column + width - 1) / width;
	lines = lines < left ? lines : left;
	for (uint64_t i = 0; i < (uint64_t)(lines - 1) * stride + reach; i++)
		box_row(p, image, (int64_t)pixel.row * stride - o->params->qconv.pad[0] + (int64_t)i, to + i * pitch);
	left = lines * width - pixel.column;
	return left < end - row ? left : end - row;
}

static void locate(const struct weft_qproduct *p, uint32_t first, uint32_t row, uint32_t rows, const uint8_t *box_at,
		   const uint8_t *at[])
{
	const struct operands *o = p->context;
	const uint32_t *stride = o->params->qconv.stride;
	const size_t cell = (size_t)o->channels * p->form->bytes, pitch = box_pitch(p);
	uint32_t origin = pixel_of(o, first).row;
	struct pixel pixel = pixel_of(o, row);

	const uint8_t *line = box_at + (size_t)(pixel.row - origin) * stride[0] * pitch;

	for (uint32_t i = 0; i < rows; i++) {
		at[i] = line + (size_t)pixel.column * stride[1] * cell;
		/* A box is of one image. */
		if (++pixel.column == o->y->dims[2]) {
			pixel.column = 0;
			line += stride[0] * pitch;
		}
	}
}

/* Whether windows are runs of whole groups in a box of rows. */
static bool use_box(const struct weft_qproduct *p)
{
	const struct operands *o = p->context;
	const uint32_t *pad = o->params->qconv.pad;
	const uint64_t line = (uint64_t)o->kernel[1] * o->channels;
	const uint64_t reach = (uint64_t)(o->kernel[0] - 1) * o->params->qconv.dilation[0] + 1;
	const bool point = o->kernel[0] == 1 && o->kernel[1] == 1, ragged = line % p->form->group != 0;

	if (o->params->qconv.dilation[1] != 1 || box_pitch(p) > WEFT_QPRODUCT_BOX_BYTES / reach)
		return false;
	/* Weights are to be filled up, and all windows are to be in boxes then. */
	if (ragged && (p->in_panels || weft_qweight_offset(p->form, o->w) || p->depth > WEFT_QPRODUCT_RAGGED_DEPTH / 4))
		return false;
	/* Pixels that need no change are read where they are; of wide steps a box would be mostly unread. */
	return !point ||
	       (p->input.flip && o->params->qconv.stride[0] == 1 && o->params->qconv.stride[1] == 1 && !pad[0] &&
		!pad[1]) ||
	       (p->form->bytes == 2 && o->params->qconv.stride[1] == 1);
}

static void results(const struct weft_qproduct *p, uint32_t product, uint32_t row, uint32_t rows, uint8_t *at[])
{
	const struct operands *o = p->context;
	const ptrdiff_t step = (ptrdiff_t)o->y->strides[2] * (ptrdiff_t)o->y_bytes;
	struct pixel pixel = pixel_of(o, row);

	for (uint32_t i = 0; i < rows;) {
		ptrdiff_t offset = (ptrdiff_t)pixel.n * o->y->strides[0] + (ptrdiff_t)pixel.row * o->y->strides[1] +
				   (ptrdiff_t)pixel.column * o->y->strides[2] + (ptrdiff_t)product * o->columns;
		uint8_t *to = o->y_at + offset * (ptrdiff_t)o->y_bytes;

		/* To the end of the row of pixels. */
		do {
			at[i++] = to;
			to += step;
			next_pixel(o, &pixel);
		} while (i < rows && pixel.column);
	}
}

enum weft_fault WEFT_KERNEL(weft_qconv)(WEFT_KERNEL_ARGUMENTS)
{
	const union weft_params *params = &command->params;
	const bool in_panels = params->qconv.kernel[0];
	const struct weft_tensor *x = &command->operand[0], *w = &command->operand[1], *y = &command->operand[4];
	struct operands o = {
		.x = x,
		.w = w,
		.y = y,
		.x_at = pointer[0],
		.w_at = pointer[1],
		.y_at = pointer[4],
		.params = params,
		.channels = x->dims[3] / params->qconv.groups,
		.columns = y->dims[3] / params->qconv.groups,
		.kernel = {in_panels ? params->qconv.kernel[0] : w->dims[0],
			   in_panels ? params->qconv.kernel[1] : w->dims[1]},
		.y_bytes = y->type == WEFT_TYPE_I32 ? 4 : 1,
		.pixels_contiguous = params->qconv.groups == 1 && (uint32_t)x->strides[2] == x->dims[3],
		.rows_contiguous = params->qconv.groups == 1 && params->qconv.dilation[1] == 1 &&
				   (uint32_t)x->strides[2] == x->dims[3],
	};
	const struct weft_qform *form = WEFT_KERNEL(weft_qform)();
	struct weft_qproduct p = {
		.unit = unit,
		.form = form,
		.input = WEFT_KERNEL(weft_qinput)(form, x),
		.rows = y->dims[0] * y->dims[1] * y->dims[2],
		.columns = o.columns,
		.depth = o.kernel[0] * o.kernel[1] * o.channels,
		.products = params->qconv.groups,
		.in_panels = in_panels,
		.bias = pointer[2],
		.multipliers = weft_multipliers_of(&command->operand[3], pointer[3]),
		.result = y,
		.low = params->qconv.low,
		.high = params->qconv.high,
		.weights = weights,
		.gather = gather,
		.results = results,
		.context = &o,
	};

	if (pointer[3]) {
		enum weft_fault reason = weft_multipliers_check(&command->operand[3], pointer[3], 3, fault);

		if (reason)
			return reason;
	}
	if (!in_panels && WEFT_KERNEL(weft_is_qdepthwise)(command)) {
		if (WEFT_KERNEL(weft_is_qdepthwise3)(command))
			WEFT_KERNEL(weft_qconv_depthwise3)(unit, command, pointer);
		else
			WEFT_KERNEL(weft_qconv_depthwise)(unit, command, pointer);
		return WEFT_FAULT_NONE;
	}
	if (use_box(&p)) {
		p.box = box;
		p.locate = locate;
		p.runs = o.kernel[0];
		p.apart = box_pitch(&p) * params->qconv.dilation[0];
		if (o.kernel[1] * o.channels % form->group)
			p.ragged = o.kernel[1] * o.channels;
	}
	WEFT_KERNEL(weft_qproduct_run)(&p);
	return WEFT_FAULT_NONE;
}
