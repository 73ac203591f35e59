// SPDX-License-Identifier: MIT
/* Pooling of bytes.  A piece is a row of windows. */
#include <string.h>

#include "integer.h"
#include "kernels.h"

/* Channels that are pooled at a time. */
#define CHUNK 1024

struct pool {
	struct weft_engine_unit *unit;
	const struct weft_tensor *x, *y;
	const uint8_t *x_at;
	uint8_t *y_at;
	const union weft_params *params;
	uint8_t flip;
	int32_t offset;
	bool average;
};

/* Taps of one axis inside X, [low, high), and how many are inside the padding too. */
struct span {
	int64_t origin;
	uint32_t low, high, padded;
};

/* Steps of @dilation to reach @distance: for every window, so that a division counts. */
static int64_t steps(int64_t distance, int64_t dilation)
{
	return dilation == 1 ? distance : (distance + dilation - 1) / dilation;
}

static struct span span_of(const struct pool *p, unsigned int axis, uint32_t at)
{
	const union weft_params *params = p->params;
	int64_t extent = p->x->dims[1 + axis], end = extent + params->qpool.pad_end[axis];
	struct span s = {.origin = (int64_t)at * params->qpool.stride[axis] - params->qpool.pad[axis]};
	int64_t dilation = params->qpool.dilation[axis], kernel = params->qpool.kernel[axis];

	/* Numbers of taps t with origin + t * dilation below 0, below the extent, and below the padding's end. */
	int64_t below = s.origin < 0 ? steps(-s.origin, dilation) : 0;
	int64_t inside = s.origin < extent ? steps(extent - s.origin, dilation) : 0;
	int64_t padded = s.origin < end ? steps(end - s.origin, dilation) : 0;

	s.low = (uint32_t)(below < kernel ? below : kernel);
	s.high = (uint32_t)(inside < kernel ? inside : kernel);
	s.high = s.high < s.low ? s.low : s.high;
	s.padded = (uint32_t)(padded < kernel ? padded : kernel);
	return s;
}

static const uint8_t *tap(const struct pool *p, uint32_t n, const struct span *h, const struct span *w, uint32_t i,
			  uint32_t j)
{
	int64_t row = h->origin + (int64_t)i * p->params->qpool.dilation[0];
	int64_t column = w->origin + (int64_t)j * p->params->qpool.dilation[1];

	return p->x_at + (ptrdiff_t)n * p->x->strides[0] + (ptrdiff_t)row * p->x->strides[1] +
	       (ptrdiff_t)column * p->x->strides[2];
}

static void greatest(const struct pool *p, uint32_t n, const struct span *h, const struct span *w, uint8_t *to)
{
	const int32_t sign = p->flip, low = p->params->qpool.low, high = p->params->qpool.high;
	const uint32_t channels = p->x->dims[3];
	uint8_t best[CHUNK];

	for (uint32_t first = 0; first < channels; first += CHUNK) {
		uint32_t count = channels - first < CHUNK ? channels - first : CHUNK;

		memset(best, 0, count);
		for (uint32_t i = h->low; i < h->high; i++)
			for (uint32_t j = w->low; j < w->high; j++) {
				const uint8_t *from = tap(p, n, h, w, i, j) + first;

				for (uint32_t c = 0; c < count; c++) {
					uint8_t x = from[c] ^ p->flip;

					best[c] = x > best[c] ? x : best[c];
				}
			}
		for (uint32_t c = 0; c < count; c++) {
			int32_t q = (int32_t)best[c] - sign;

			q = q < low ? low : q;
			to[first + c] = (uint8_t)(q > high ? high : q);
		}
	}
}

static void average(const struct pool *p, uint32_t n, const struct span *h, const struct span *w, uint8_t *to)
{
	const union weft_params *params = p->params;
	uint32_t taps = (h->high - h->low) * (w->high - w->low), channels = p->x->dims[3];
	uint32_t count = params->qpool.count_pad ? h->padded * w->padded : taps;
	uint32_t multiplier = count ? (uint32_t)(((uint64_t)params->qpool.multiplier + count / 2) / count) : 0;
	int32_t sum[CHUNK];

	/* A multiplier that is all of 31 bits does not grow: count is at least 1. */
	for (uint32_t first = 0; first < channels; first += CHUNK) {
		uint32_t some = channels - first < CHUNK ? channels - first : CHUNK;

		memset(sum, 0, some * sizeof(sum[0]));
		for (uint32_t i = h->low; i < h->high; i++)
			for (uint32_t j = w->low; j < w->high; j++) {
				const uint8_t *from = tap(p, n, h, w, i, j) + first;

				for (uint32_t c = 0; c < some; c++)
					sum[c] += from[c] ^ p->flip;
			}
		for (uint32_t c = 0; c < some; c++) {
			int32_t r = weft_requantize(sum[c] - (int32_t)taps * p->offset, (int32_t)multiplier,
						    params->qpool.shift);

			to[first + c] =
				(uint8_t)weft_clamp_result(r, p->y->zero_point, params->qpool.low, params->qpool.high);
		}
	}
}

static void run_piece(void *argument, unsigned int index, unsigned int lane)
{
	const struct pool *p = argument;
	uint32_t n = index / p->y->dims[1], row = index % p->y->dims[1];
	struct span h = span_of(p, 0, row);
	uint8_t *to = p->y_at + (ptrdiff_t)n * p->y->strides[0] + (ptrdiff_t)row * p->y->strides[1];

	(void)lane;
	for (uint32_t column = 0; column < p->y->dims[2]; column++, to += p->y->strides[2]) {
		struct span w = span_of(p, 1, column);

		if (p->average)
			average(p, n, &h, &w, to);
		else
			greatest(p, n, &h, &w, to);
	}
}

static enum weft_fault pool(struct weft_engine_unit *unit, const struct weft_cmd *command, void *const pointer[],
			    bool average)
{
	const struct weft_tensor *x = &command->operand[0];
	struct pool p = {
		.unit = unit,
		.x = x,
		.y = &command->operand[1],
		.x_at = pointer[0],
		.y_at = pointer[1],
		.params = &command->params,
		.flip = x->type == WEFT_TYPE_I8 ? 0x80 : 0,
		.average = average,
	};

	p.offset = x->zero_point + p.flip;
	weft_engine_parallel(unit, p.y->dims[0] * p.y->dims[1], run_piece, &p);
	return WEFT_FAULT_NONE;
}

enum weft_fault WEFT_KERNEL(weft_qmaxpool)(WEFT_KERNEL_ARGUMENTS)
{
	(void)fault;
	return pool(unit, command, pointer, false);
}

enum weft_fault WEFT_KERNEL(weft_qavgpool)(WEFT_KERNEL_ARGUMENTS)
{
	(void)fault;
	return pool(unit, command, pointer, true);
}
