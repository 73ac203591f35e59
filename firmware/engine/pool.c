/* SPDX-License-Identifier: MIT */
/* MAXPOOL and AVGPOOL, forward and backward, on [N, H, W, C]. */
#include "iterate.h"
#include "kernels.h"
#include "real.h"
#include "vector.h"

#define EACH _Pragma("GCC ivdep") for (size_t i = 0; i < n; i++)
/* Channels worked on together. */
#define CHANNELS 128

/* An image tensor: element strides in bytes. */
struct image {
	char *base;
	ptrdiff_t n, h, w, c;
};

struct pool {
	struct image x, y, index; /* x is the larger image, y the smaller one, in both directions */
	unsigned int batch, height, width, channels, out_height, out_width;
	unsigned int kernel[2], stride[2], dilation[2], pad[2], pad_end[2];
	bool count_pad;
	unsigned int rows_per_piece, pieces_per_image, slices;
	uint64_t bad_value; /* an index out of range, plus one */
};

static struct image image(const struct weft_tensor *t, void *at)
{
	ptrdiff_t bytes = weft_element_bytes(t->type);

	return (struct image){at, t->strides[0] * bytes, t->strides[1] * bytes, t->strides[2] * bytes,
			      t->strides[3] * bytes};
}

static char *pixel(const struct image *image, size_t n, size_t h, size_t w, size_t c)
{
	return image->base + (ptrdiff_t)n * image->n + (ptrdiff_t)h * image->h + (ptrdiff_t)w * image->w +
	       (ptrdiff_t)c * image->c;
}

static void describe(struct pool *p, const struct weft_cmd *command, const struct weft_tensor *large, void *large_at,
		     const struct weft_tensor *small, void *small_at)
{
	const union weft_params *params = &command->params;

	p->x = image(large, large_at);
	p->y = image(small, small_at);
	p->batch = large->dims[0];
	p->height = large->dims[1];
	p->width = large->dims[2];
	p->channels = large->dims[3];
	p->out_height = small->dims[1];
	p->out_width = small->dims[2];
	for (int i = 0; i < 2; i++) {
		p->kernel[i] = params->pool.kernel[i];
		p->stride[i] = params->pool.stride[i];
		p->dilation[i] = params->pool.dilation[i] ? params->pool.dilation[i] : 1;
		p->pad[i] = params->pool.pad[i];
		p->pad_end[i] = params->pool.pad_end[i];
	}
	p->count_pad = params->pool.count_pad;
}

/* The taps of one window along one axis that lie in the image: [first, end), tap 0 at @origin. */
struct span {
	int64_t origin;
	unsigned int first, end;
	unsigned int padded; /* taps inside the image and its padding */
};

static struct span span_at_edge(int64_t origin, int64_t extent, int64_t step, int64_t taps, unsigned int pad_end)
{
	struct span s = {.origin = origin};
	int64_t first = s.origin < 0 ? (-s.origin + step - 1) / step : 0;
	int64_t end = s.origin < extent ? (extent - 1 - s.origin) / step + 1 : 0;
	int64_t all = (extent + pad_end - 1 - s.origin) / step + 1;

	end = end > taps ? taps : end;
	s.end = (unsigned int)(end > first ? end : first < taps ? first : taps);
	s.first = (unsigned int)(first < taps ? first : taps);
	s.padded = (unsigned int)(all < taps ? (all > 0 ? all : 0) : taps);
	return s;
}

static struct span span(const struct pool *p, int axis, unsigned int out)
{
	int64_t extent = axis ? p->width : p->height;
	int64_t step = p->dilation[axis], taps = p->kernel[axis];
	int64_t origin = (int64_t)out * p->stride[axis] - p->pad[axis];

	/* Most windows lie inside the image: no division for them. */
	if (origin >= 0 && origin + (taps - 1) * step < extent)
		return (struct span){origin, 0, (unsigned int)taps, (unsigned int)taps};
	return span_at_edge(origin, extent, step, taps, p->pad_end[axis]);
}

/* Vectors over the channels of a pixel: the last one may be a part, @n < VF_WIDTH. */
VF_INLINE vf load_part(const float *at, size_t n)
{
	return n >= VF_WIDTH ? vf_load(at) : vf_load_n(at, (unsigned int)n);
}

VF_INLINE void store_part(float *at, vf v, size_t n)
{
	if (n >= VF_WIDTH)
		vf_store(at, v);
	else
		vf_store_n(at, v, (unsigned int)n);
}

/* Channels [c, c + n) of a pixel, dense: in place or through @buffer. */
static const float *load(const struct image *image, const char *at, size_t n, float *buffer)
{
	if (image->c == sizeof(float))
		return (const float *)at;
	for (size_t i = 0; i < n; i++)
		buffer[i] = *(const float *)(at + (ptrdiff_t)i * image->c);
	return buffer;
}

/* @from holds whole vectors. */
static void store(const struct image *image, char *at, size_t n, const float *from)
{
	if (image->c == sizeof(float)) {
		for (size_t i = 0; i < n; i += VF_WIDTH)
			store_part((float *)at + i, vf_load(from + i), n - i);
		return;
	}
	for (size_t i = 0; i < n; i++)
		*(float *)(at + (ptrdiff_t)i * image->c) = from[i];
}

static void max_window(const struct pool *p, size_t image_number, struct span sh, struct span sw, size_t c, size_t n,
		       float *best, int32_t *index)
{
	float buffer[CHANNELS];
	bool first = true;

	for (unsigned int kh = sh.first; kh < sh.end; kh++)
		for (unsigned int kw = sw.first; kw < sw.end; kw++) {
			const char *at = pixel(&p->x, image_number, (size_t)(sh.origin + (int64_t)kh * p->dilation[0]),
					       (size_t)(sw.origin + (int64_t)kw * p->dilation[1]), c);
			const float *x = load(&p->x, at, n, buffer);
			int32_t tap = (int32_t)(kh * p->kernel[1] + kw);

			if (first) {
				EACH
				{
					best[i] = x[i];
					index[i] = tap;
				}
				first = false;
				continue;
			}
			EACH
			{
				const float v = x[i], b = best[i];
				/* A NaN wins over all but an earlier one. */
				const int take = !(v <= b) & (b == b);
				best[i] = take ? v : b;
				index[i] = take ? tap : index[i];
			}
		}
	if (first)
		for (size_t i = 0; i < n; i++) {
			best[i] = -INFINITY;
			index[i] = 0;
		}
}

/* Vectors of channels: the running maximum and its tap stay in registers.  False: not for this layout or window. */
static bool max_vectors(const struct pool *p, size_t image_number, struct span sh, struct span sw, size_t c, size_t n,
			float *best, int32_t *index)
{
	ptrdiff_t step_h = p->x.h * (ptrdiff_t)p->dilation[0], step_w = p->x.w * (ptrdiff_t)p->dilation[1];
	const char *corner;

	if (p->x.c != sizeof(float) || sh.first == sh.end || sw.first == sw.end)
		return false;
	corner = pixel(&p->x, image_number, (size_t)(sh.origin + (int64_t)sh.first * p->dilation[0]),
		       (size_t)(sw.origin + (int64_t)sw.first * p->dilation[1]), c);
	for (size_t i = 0; i < n; i += VF_WIDTH) {
		const char *row = corner + i * sizeof(float);
		vf b = load_part((const float *)row, n - i);
		vi at = (vi){0} + (int32_t)(sh.first * p->kernel[1] + sw.first);

		for (unsigned int kh = sh.first; kh < sh.end; kh++, row += step_h) {
			const char *x = row;

			for (unsigned int kw = sw.first; kw < sw.end; kw++, x += step_w) {
				vf v = load_part((const float *)x, n - i);
				/* A NaN wins over all but an earlier one. */
				vi take = ~(v <= b) & (b == b);

				b = (vf)(((vi)v & take) | ((vi)b & ~take));
				at = (((vi){0} + (int32_t)(kh * p->kernel[1] + kw)) & take) | (at & ~take);
			}
		}
		vf_store(best + i, b);
		memcpy(index + i, &at, sizeof(at));
	}
	return true;
}

static void store_index(const struct image *image, char *at, size_t n, const int32_t *index)
{
	if (image->c == 1)
		for (size_t i = 0; i < n; i += VF_WIDTH)
			vi_store_bytes((uint8_t *)at + i, vi_load(index + i), n - i < VF_WIDTH ? n - i : VF_WIDTH);
	else
		for (size_t i = 0; i < n; i++)
			*(uint8_t *)(at + (ptrdiff_t)i * image->c) = (uint8_t)index[i];
}

/* Output rows [first, end) of one image. */
static void forward_rows(const struct pool *p, unsigned int piece, unsigned int *image_number, unsigned int *first,
			 unsigned int *end)
{
	*image_number = piece / p->pieces_per_image;
	*first = piece % p->pieces_per_image * p->rows_per_piece;
	*end = p->out_height - *first < p->rows_per_piece ? p->out_height : *first + p->rows_per_piece;
}

static void max_piece(void *argument, unsigned int piece, unsigned int lane)
{
	const struct pool *p = argument;
	unsigned int b, first, end;

	(void)lane;
	forward_rows(p, piece, &b, &first, &end);
	for (unsigned int oh = first; oh < end; oh++) {
		struct span sh = span(p, 0, oh);

		for (unsigned int ow = 0; ow < p->out_width; ow++) {
			struct span sw = span(p, 1, ow);

			for (size_t c = 0; c < p->channels; c += CHANNELS) {
				size_t n = p->channels - c < CHANNELS ? p->channels - c : CHANNELS;
				float best[CHANNELS];
				int32_t index[CHANNELS];

				if (!max_vectors(p, b, sh, sw, c, n, best, index))
					max_window(p, b, sh, sw, c, n, best, index);
				store(&p->y, pixel(&p->y, b, oh, ow, c), n, best);
				if (p->index.base)
					store_index(&p->index, pixel(&p->index, b, oh, ow, c), n, index);
			}
		}
	}
}

/* Vectors of channels of one window's sum.  False: not for this layout or window. */
static bool sum_vectors(const struct pool *p, size_t image_number, struct span sh, struct span sw, size_t c, size_t n,
			float *sum)
{
	ptrdiff_t step_h = p->x.h * (ptrdiff_t)p->dilation[0], step_w = p->x.w * (ptrdiff_t)p->dilation[1];
	const char *corner;

	if (p->x.c != sizeof(float) || sh.first == sh.end || sw.first == sw.end)
		return false;
	corner = pixel(&p->x, image_number, (size_t)(sh.origin + (int64_t)sh.first * p->dilation[0]),
		       (size_t)(sw.origin + (int64_t)sw.first * p->dilation[1]), c);
	for (size_t i = 0; i < n; i += VF_WIDTH) {
		const char *row = corner + i * sizeof(float);
		vf total = vf_zero();

		for (unsigned int kh = sh.first; kh < sh.end; kh++, row += step_h) {
			const char *x = row;

			for (unsigned int kw = sw.first; kw < sw.end; kw++, x += step_w)
				total += load_part((const float *)x, n - i);
		}
		vf_store(sum + i, total);
	}
	return true;
}

static void sum_window(const struct pool *p, size_t image_number, struct span sh, struct span sw, size_t c, size_t n,
		       float *sum)
{
	float buffer[CHANNELS];

	for (size_t i = 0; i < n; i++)
		sum[i] = 0.0f;
	for (unsigned int kh = sh.first; kh < sh.end; kh++)
		for (unsigned int kw = sw.first; kw < sw.end; kw++) {
			const char *at = pixel(&p->x, image_number, (size_t)(sh.origin + (int64_t)kh * p->dilation[0]),
					       (size_t)(sw.origin + (int64_t)kw * p->dilation[1]), c);
			const float *x = load(&p->x, at, n, buffer);

			EACH
			{
				sum[i] += x[i];
			}
		}
}

static void average_piece(void *argument, unsigned int piece, unsigned int lane)
{
	const struct pool *p = argument;
	unsigned int b, first, end;

	(void)lane;
	forward_rows(p, piece, &b, &first, &end);
	for (unsigned int oh = first; oh < end; oh++) {
		struct span sh = span(p, 0, oh);

		for (unsigned int ow = 0; ow < p->out_width; ow++) {
			struct span sw = span(p, 1, ow);
			float count = p->count_pad ? (float)sh.padded * (float)sw.padded
						   : (float)(sh.end - sh.first) * (float)(sw.end - sw.first);

			for (size_t c = 0; c < p->channels; c += CHANNELS) {
				size_t n = p->channels - c < CHANNELS ? p->channels - c : CHANNELS;
				float sum[CHANNELS];

				if (!sum_vectors(p, b, sh, sw, c, n, sum))
					sum_window(p, b, sh, sw, c, n, sum);
				for (size_t i = 0; i < n; i += VF_WIDTH)
					vf_store(sum + i, count > 0.0f ? vf_load(sum + i) / vf_set1(count) : vf_zero());
				store(&p->y, pixel(&p->y, b, oh, ow, c), n, sum);
			}
		}
	}
}

static void run_forward(struct pool *p, struct weft_engine_unit *unit, weft_piece piece)
{
	unsigned int lanes = weft_engine_unit_lanes(unit);

	/* Large images are cut into bands of rows. */
	p->rows_per_piece = p->out_height;
	if (lanes > 1 && p->batch < 4 * lanes && p->out_height > 1)
		p->rows_per_piece = (p->out_height + 3) / 4;
	p->pieces_per_image = p->out_height ? (p->out_height + p->rows_per_piece - 1) / p->rows_per_piece : 0;
	weft_engine_parallel(unit, p->batch * p->pieces_per_image, piece, p);
}

enum weft_fault WEFT_KERNEL(weft_maxpool_fwd)(WEFT_KERNEL_ARGUMENTS)
{
	struct pool p = {0};

	(void)fault;
	describe(&p, command, &command->operand[0], pointer[0], &command->operand[1], pointer[1]);
	if (command->operands > 2 && pointer[2])
		p.index = image(&command->operand[2], pointer[2]);
	run_forward(&p, unit, max_piece);
	return WEFT_FAULT_NONE;
}

enum weft_fault WEFT_KERNEL(weft_avgpool_fwd)(WEFT_KERNEL_ARGUMENTS)
{
	struct pool p = {0};

	(void)fault;
	describe(&p, command, &command->operand[0], pointer[0], &command->operand[1], pointer[1]);
	run_forward(&p, unit, average_piece);
	return WEFT_FAULT_NONE;
}

/*
 * Backward: windows may overlap, so one lane does all windows of its channels of
 * an image, in ascending order.
 */

static void clear_slice(const struct pool *p, size_t b, size_t c, size_t n)
{
	if (p->x.c == sizeof(float) && p->x.w == (ptrdiff_t)(n * sizeof(float))) {
		for (size_t h = 0; h < p->height; h++)
			memset(pixel(&p->x, b, h, 0, c), 0, p->width * n * sizeof(float));
		return;
	}
	for (size_t h = 0; h < p->height; h++)
		for (size_t w = 0; w < p->width; w++) {
			char *at = pixel(&p->x, b, h, w, c);

			if (p->x.c == sizeof(float))
				memset(at, 0, n * sizeof(float));
			else
				for (size_t i = 0; i < n; i++)
					*(float *)(at + (ptrdiff_t)i * p->x.c) = 0.0f;
		}
}

static void slice(const struct pool *p, unsigned int piece, size_t *b, size_t *c, size_t *n)
{
	*b = piece / p->slices;
	*c = (size_t)(piece % p->slices) * CHANNELS;
	*n = p->channels - *c < CHANNELS ? p->channels - *c : CHANNELS;
}

/* Are the windows side by side, so that each element belongs to one? */
static bool side_by_side(const struct pool *p)
{
	for (int i = 0; i < 2; i++)
		if (p->stride[i] != p->kernel[i] || p->dilation[i] != 1 || p->pad[i] != 0)
			return false;
	return p->x.c == sizeof(float) && (uint64_t)p->out_height * p->kernel[0] == p->height &&
	       (uint64_t)p->out_width * p->kernel[1] == p->width;
}

/* dx[tap] += index == tap ? dy : 0, for the channels of one window; @index holds whole vectors. */
static void max_scatter(const struct pool *p, size_t b, struct span sh, struct span sw, size_t c, size_t n,
			const float *dy, const int32_t *index, bool alone)
{
	for (unsigned int kh = sh.first; kh < sh.end; kh++)
		for (unsigned int kw = sw.first; kw < sw.end; kw++) {
			char *at = pixel(&p->x, b, (size_t)(sh.origin + (int64_t)kh * p->dilation[0]),
					 (size_t)(sw.origin + (int64_t)kw * p->dilation[1]), c);
			int32_t tap = (int32_t)(kh * p->kernel[1] + kw);

			if (p->x.c != sizeof(float)) {
				for (size_t i = 0; i < n; i++)
					if (index[i] == tap)
						*(float *)(at + (ptrdiff_t)i * p->x.c) += dy[i];
				continue;
			}
			for (size_t i = 0; i < n; i += VF_WIDTH) {
				float *dx = (float *)at + i;
				vf g = load_part(dy + i, n - i);
				/* Adding to 0 keeps -0 out, as it would be where DX was cleared. */
				vf old = alone ? vf_zero() : load_part(dx, n - i);

				store_part(dx, old + vf_select(vi_load(index + i) == tap, g, vf_zero()), n - i);
			}
		}
}

/* Whole vectors of indices, zeros behind the @n channels. */
static void load_index(const struct image *image, const uint8_t *at, size_t n, int32_t *index)
{
	size_t whole = (n + VF_WIDTH - 1) / VF_WIDTH * VF_WIDTH;

	if (image->c == 1) {
		for (size_t i = 0; i < n; i += VF_WIDTH)
			vi_store(index + i, vi_load_bytes(at + i, n - i < VF_WIDTH ? n - i : VF_WIDTH));
		return;
	}
	for (size_t i = 0; i < whole; i++)
		index[i] = i < n ? at[(ptrdiff_t)i * image->c] : 0;
}

static void max_backward_piece(void *argument, unsigned int piece, unsigned int lane)
{
	struct pool *p = argument;
	int32_t taps = (int32_t)(p->kernel[0] * p->kernel[1]);
	bool alone = side_by_side(p);
	vi worst = {0};
	size_t b, c, n;

	(void)lane;
	slice(p, piece, &b, &c, &n);
	if (!alone)
		clear_slice(p, b, c, n);
	for (unsigned int oh = 0; oh < p->out_height; oh++) {
		struct span sh = span(p, 0, oh);

		for (unsigned int ow = 0; ow < p->out_width; ow++) {
			const uint8_t *from = (const uint8_t *)pixel(&p->index, b, oh, ow, c);
			float buffer[CHANNELS];
			const float *dy = load(&p->y, pixel(&p->y, b, oh, ow, c), n, buffer);
			int32_t index[CHANNELS];

			load_index(&p->index, from, n, index);
			for (size_t i = 0; i < n; i += VF_WIDTH)
				worst = vi_max(worst, vi_load(index + i));
			max_scatter(p, b, sh, span(p, 1, ow), c, n, dy, index, alone);
		}
	}
	for (unsigned int i = 0; i < VF_WIDTH; i++)
		if (worst[i] >= taps)
			__atomic_store_n(&p->bad_value, (uint64_t)worst[i] + 1, __ATOMIC_RELAXED);
}

/* dx[tap] += share, for the channels of one window; @share holds whole vectors. */
static void average_scatter(const struct pool *p, size_t b, struct span sh, struct span sw, size_t c, size_t n,
			    const float *share, bool alone)
{
	for (unsigned int kh = sh.first; kh < sh.end; kh++)
		for (unsigned int kw = sw.first; kw < sw.end; kw++) {
			char *at = pixel(&p->x, b, (size_t)(sh.origin + (int64_t)kh * p->dilation[0]),
					 (size_t)(sw.origin + (int64_t)kw * p->dilation[1]), c);

			if (p->x.c != sizeof(float)) {
				for (size_t i = 0; i < n; i++)
					*(float *)(at + (ptrdiff_t)i * p->x.c) += share[i];
				continue;
			}
			for (size_t i = 0; i < n; i += VF_WIDTH) {
				float *dx = (float *)at + i;
				vf old = alone ? vf_zero() : load_part(dx, n - i);

				store_part(dx, old + vf_load(share + i), n - i);
			}
		}
}

static void average_backward_piece(void *argument, unsigned int piece, unsigned int lane)
{
	const struct pool *p = argument;
	bool alone = side_by_side(p);
	size_t b, c, n;

	(void)lane;
	slice(p, piece, &b, &c, &n);
	if (!alone)
		clear_slice(p, b, c, n);
	for (unsigned int oh = 0; oh < p->out_height; oh++) {
		struct span sh = span(p, 0, oh);

		for (unsigned int ow = 0; ow < p->out_width; ow++) {
			struct span sw = span(p, 1, ow);
			float count = p->count_pad ? (float)sh.padded * (float)sw.padded
						   : (float)(sh.end - sh.first) * (float)(sw.end - sw.first);
			float buffer[CHANNELS], share[CHANNELS];
			const float *dy = load(&p->y, pixel(&p->y, b, oh, ow, c), n, buffer);

			for (size_t i = 0; i < n; i += VF_WIDTH)
				vf_store(share + i, load_part(dy + i, n - i) / vf_set1(count));
			average_scatter(p, b, sh, sw, c, n, share, alone);
		}
	}
}

enum weft_fault WEFT_KERNEL(weft_maxpool_bwd)(WEFT_KERNEL_ARGUMENTS)
{
	struct pool p = {0};

	describe(&p, command, &command->operand[2], pointer[2], &command->operand[0], pointer[0]);
	p.index = image(&command->operand[1], pointer[1]);
	p.slices = (p.channels + CHANNELS - 1) / CHANNELS;
	weft_engine_parallel(unit, p.batch * p.slices, max_backward_piece, &p);
	if (p.bad_value) {
		fault->operand = 1;
		fault->address = p.bad_value - 1;
		return WEFT_FAULT_VALUE;
	}
	return WEFT_FAULT_NONE;
}

enum weft_fault WEFT_KERNEL(weft_avgpool_bwd)(WEFT_KERNEL_ARGUMENTS)
{
	struct pool p = {0};

	(void)fault;
	describe(&p, command, &command->operand[1], pointer[1], &command->operand[0], pointer[0]);
	p.slices = (p.channels + CHANNELS - 1) / CHANNELS;
	weft_engine_parallel(unit, p.batch * p.slices, average_backward_piece, &p);
	return WEFT_FAULT_NONE;
}
