// SPDX-License-Identifier: MIT
#include <math.h>
#include <stdbool.h>

#include "reference.h"

static float activate(float x, uint32_t activation, float alpha, float beta)
{
	if (activation == WEFT_ACT_RELU)
		return 0 > x ? 0 : x;
	if (activation == WEFT_ACT_CLIP) {
		float v = alpha > x ? alpha : x;

		return beta < v ? beta : v;
	}
	return x;
}

static float *matrix_at(const struct operand *o, const uint32_t batch[2], uint32_t row, uint32_t col)
{
	const struct weft_tensor *t = &o->tensor;
	const uint32_t index[4] = {col, row, batch[1], batch[0]};
	float *p = o->base;

	for (unsigned int i = 0; i < t->rank; i++)
		p += (ptrdiff_t)index[i] * t->strides[t->rank - 1 - i];
	return p;
}

static void matmul_element(const union weft_params *p, struct operand o[4], const uint32_t batch[2], uint32_t m,
			   uint32_t n)
{
	static const uint32_t unbatched[2];
	uint32_t reduced = o[0].tensor.dims[o[0].tensor.rank - 1];
	float *out = matrix_at(&o[3], batch, m, n);
	float total = p->matmul.flags & WEFT_F_ACCUMULATE ? *out : 0;

	for (uint32_t k = 0; k < reduced;) {
		float sum = 0;

		do {
			sum = fmaf(*matrix_at(&o[0], batch, m, k), *matrix_at(&o[1], batch, k, n), sum);
		} while (++k < reduced && k % WEFT_SUM_MATMUL);
		total += sum * p->matmul.scale;
	}
	if (o[2].base)
		total += *matrix_at(&o[2], unbatched, m, n);
	*out = activate(total, p->matmul.activation, p->matmul.alpha, p->matmul.beta);
}

void reference_matmul(const union weft_params *params, struct operand operand[4])
{
	const struct weft_tensor *c = &operand[3].tensor;
	uint32_t batches[2] = {c->rank > 3 ? c->dims[c->rank - 4] : 1, c->rank > 2 ? c->dims[c->rank - 3] : 1};
	uint32_t b[2];

	for (b[0] = 0; b[0] < batches[0]; b[0]++)
		for (b[1] = 0; b[1] < batches[1]; b[1]++)
			for (uint32_t m = 0; m < c->dims[c->rank - 2]; m++)
				for (uint32_t n = 0; n < c->dims[c->rank - 1]; n++)
					matmul_element(params, operand, b, m, n);
}

struct conv {
	const union weft_params *params;
	/* x-like, w-like, y-like operands, whichever is the output */
	const struct weft_tensor *xt, *wt, *yt;
	float *x, *w, *y;
	const float *bias;
	uint32_t kh, kw, cg, og;
};

static float finish(const struct conv *cv, float total, uint32_t channel)
{
	const union weft_params *p = cv->params;

	if (cv->bias)
		total += cv->bias[channel];
	return activate(total, p->conv.activation, p->conv.alpha, p->conv.beta);
}

static float *at(float *base, const struct weft_tensor *t, uint32_t a, uint32_t b, uint32_t c, uint32_t d)
{
	return base + (ptrdiff_t)a * t->strides[0] + (ptrdiff_t)b * t->strides[1] + (ptrdiff_t)c * t->strides[2] + d;
}

/* A sum in progress: a block that no term joins adds nothing. */
struct chain {
	float total, sum;
	uint32_t block;
	bool any;
};

static void end_block(struct chain *chain)
{
	if (chain->any)
		chain->total += chain->sum;
	chain->sum = 0;
	chain->any = false;
}

static void add_term(struct chain *chain, uint32_t position, float a, float b)
{
	if (position / WEFT_SUM_CONV != chain->block)
		end_block(chain);
	chain->block = position / WEFT_SUM_CONV;
	chain->sum = fmaf(a, b, chain->sum);
	chain->any = true;
}

static void fwd_element(const struct conv *cv, uint32_t n, uint32_t oh, uint32_t ow, uint32_t oc)
{
	const union weft_params *p = cv->params;
	float *out = at(cv->y, cv->yt, n, oh, ow, oc);
	struct chain chain = {.total = p->conv.flags & WEFT_F_ACCUMULATE ? *out : 0};

	for (uint32_t kh = 0; kh < cv->kh; kh++) {
		for (uint32_t kw = 0; kw < cv->kw; kw++) {
			int64_t h =
				(int64_t)oh * p->conv.stride[0] + (int64_t)kh * p->conv.dilation[0] - p->conv.pad[0];
			int64_t w =
				(int64_t)ow * p->conv.stride[1] + (int64_t)kw * p->conv.dilation[1] - p->conv.pad[1];
			bool inside = h >= 0 && h < cv->xt->dims[1] && w >= 0 && w < cv->xt->dims[2];

			for (uint32_t c = 0; inside && c < cv->cg; c++)
				add_term(&chain, (kh * cv->kw + kw) * cv->cg + c,
					 *at(cv->x, cv->xt, n, h, w, oc / cv->og * cv->cg + c),
					 *at(cv->w, cv->wt, kh, kw, c, oc));
		}
	}
	end_block(&chain);
	*out = finish(cv, chain.total, oc);
}

static bool winograd_kernel(const struct conv *cv)
{
	const union weft_params *p = cv->params;
	bool plain = p->conv.groups == 1;

	for (unsigned int i = 0; i < 2; i++)
		plain = plain && cv->wt->dims[i] == 3 && p->conv.stride[i] == 1 && p->conv.dilation[i] == 1;
	return plain;
}

static bool winograd_weight_applies(const struct conv *cv)
{
	return winograd_kernel(cv) && cv->cg >= WEFT_WINOGRAD_LEAST_CHANNELS &&
	       cv->og >= WEFT_WINOGRAD_LEAST_CHANNELS && cv->yt->dims[2] >= WEFT_WINOGRAD_WEIGHT_LEAST_WIDTH;
}

static bool winograd_applies(const struct conv *cv, uint32_t channels, uint32_t width)
{
	return winograd_kernel(cv) && channels >= WEFT_WINOGRAD_LEAST_CHANNELS &&
	       channels <= WEFT_WINOGRAD_MOST_CHANNELS && width >= WEFT_WINOGRAD_LEAST_WIDTH;
}

/* One step of the Winograd form, on elements @step apart. */
typedef void (*winograd_step)(float *to, const float *from, unsigned int step);

static void winograd_input(float *to, const float *d, unsigned int step)
{
	to[0] = d[0] - d[2 * step];
	to[step] = d[step] + d[2 * step];
	to[2 * step] = d[2 * step] - d[step];
	to[3 * step] = d[step] - d[3 * step];
}

static void winograd_weight(float *to, const float *g, unsigned int step)
{
	float ends = g[0] + g[2 * step];

	to[0] = g[0];
	to[step] = (ends + g[step]) / 2;
	to[2 * step] = (ends - g[step]) / 2;
	to[3 * step] = g[2 * step];
}

/* @step on the columns, then on the rows, of a matrix of four columns, @columns of which are given. */
static void winograd_both(winograd_step step, float to[16], const float from[16], unsigned int columns)
{
	float half[16];

	for (unsigned int j = 0; j < columns; j++)
		step(half + j, from + j, 4);
	for (unsigned int i = 0; i < 4; i++)
		step(to + i * 4, half + i * 4, 1);
}

static float winograd_output(const float m[4], unsigned int which)
{
	return which ? (m[1] - m[2]) - m[3] : (m[0] + m[1]) + m[2];
}

/* What the taps of an output meet: the output is the data gradient or not. */
struct winograd {
	const struct conv *cv;
	bool data;
	uint32_t channels;
};

static void winograd_operands(const struct winograd *w, uint32_t n, int64_t row, int64_t column, uint32_t k,
			      uint32_t output, float d[16], float g[16])
{
	const struct conv *cv = w->cv;
	const struct weft_tensor *source = w->data ? cv->yt : cv->xt;

	for (unsigned int i = 0; i < 4; i++) {
		for (unsigned int j = 0; j < 4; j++) {
			int64_t h = row + i, v = column + j;
			bool inside = h >= 0 && h < source->dims[1] && v >= 0 && v < source->dims[2];

			d[i * 4 + j] = inside ? *at(w->data ? cv->y : cv->x, source, n, h, v, k) : 0;
			if (i < 3 && j < 3)
				g[i * 4 + j] = w->data ? *at(cv->w, cv->wt, 2 - i, 2 - j, output, k)
						       : *at(cv->w, cv->wt, i, j, k, output);
		}
	}
}

static void winograd_element(const struct winograd *w, uint32_t n, uint32_t row, uint32_t column, uint32_t output)
{
	const struct conv *cv = w->cv;
	const union weft_params *p = cv->params;
	float *out = w->data ? at(cv->x, cv->xt, n, row, column, output) : at(cv->y, cv->yt, n, row, column, output);
	/* Of the tile, in the input. */
	int64_t begin[2] = {row & ~1u, column & ~1u};
	float total[16] = {0}, sum[16] = {0}, z[4];

	for (unsigned int i = 0; i < 2; i++)
		begin[i] += w->data ? (int64_t)p->conv.pad[i] - 2 : -(int64_t)p->conv.pad[i];
	for (uint32_t k = 0; k < w->channels; k++) {
		float d[16], g[16], v[16], u[16];

		winograd_operands(w, n, begin[0], begin[1], k, output, d, g);
		winograd_both(winograd_input, v, d, 4);
		winograd_both(winograd_weight, u, g, 3);
		for (unsigned int i = 0; i < 16; i++) {
			sum[i] = fmaf(v[i], u[i], sum[i]);
			if ((k + 1) % WEFT_SUM_WINOGRAD == 0 || k + 1 == w->channels) {
				total[i] += sum[i];
				sum[i] = 0;
			}
		}
	}
	for (unsigned int i = 0; i < 4; i++)
		z[i] = winograd_output(total + i * 4, column & 1);
	*out = finish(cv, (p->conv.flags & WEFT_F_ACCUMULATE ? *out : 0) + winograd_output(z, row & 1), output);
}

static void winograd_row(const struct winograd *w, const struct weft_tensor *output, uint32_t index)
{
	for (uint32_t column = 0; column < output->dims[2]; column++)
		for (uint32_t k = 0; k < output->dims[3]; k++)
			winograd_element(w, index / output->dims[1], index % output->dims[1], column, k);
}

static void fwd_row(const struct conv *cv, uint32_t index)
{
	for (uint32_t ow = 0; ow < cv->yt->dims[2]; ow++)
		for (uint32_t oc = 0; oc < cv->yt->dims[3]; oc++)
			fwd_element(cv, index / cv->yt->dims[1], index % cv->yt->dims[1], ow, oc);
}

/* Whether tap @k of an output row meets input row @h, not between strides; that row, which may lie outside. */
static bool meets(const union weft_params *p, int axis, uint32_t h, uint32_t k, int64_t *o)
{
	int64_t v = (int64_t)h + p->conv.pad[axis] - (int64_t)k * p->conv.dilation[axis];

	*o = v / (int64_t)p->conv.stride[axis];
	return v % (int64_t)p->conv.stride[axis] == 0;
}

static void bwd_data_element(const struct conv *cv, uint32_t n, uint32_t h, uint32_t w, uint32_t c)
{
	const union weft_params *p = cv->params;
	float *out = at(cv->x, cv->xt, n, h, w, c);
	struct chain chain = {.total = p->conv.flags & WEFT_F_ACCUMULATE ? *out : 0};
	uint32_t group = c / cv->cg;

	for (uint32_t kh = 0; kh < cv->kh; kh++) {
		for (uint32_t kw = 0; kw < cv->kw; kw++) {
			int64_t oh, ow;
			bool met = meets(p, 0, h, kh, &oh) & meets(p, 1, w, kw, &ow);
			bool inside = oh >= 0 && oh < cv->yt->dims[1] && ow >= 0 && ow < cv->yt->dims[2];

			for (uint32_t o = 0; met && inside && o < cv->og; o++)
				add_term(&chain, (kh * cv->kw + kw) * cv->og + o,
					 *at(cv->y, cv->yt, n, oh, ow, group * cv->og + o),
					 *at(cv->w, cv->wt, kh, kw, c % cv->cg, group * cv->og + o));
		}
	}
	end_block(&chain);
	*out = finish(cv, chain.total, c);
}

static void bwd_data_row(const struct conv *cv, uint32_t index)
{
	for (uint32_t w = 0; w < cv->xt->dims[2]; w++)
		for (uint32_t c = 0; c < cv->xt->dims[3]; c++)
			bwd_data_element(cv, index / cv->xt->dims[1], index % cv->xt->dims[1], w, c);
}

static void bwd_weight_block(const struct conv *cv, struct chain *chain, uint32_t n, uint32_t oh, const uint32_t ow[2],
			     uint32_t rows, const uint32_t tap[2], uint32_t c, uint32_t oc)
{
	const union weft_params *p = cv->params;

	for (uint32_t row = oh; row < oh + rows; row++) {
		for (uint32_t col = ow[0]; col < ow[1]; col++) {
			int64_t h = (int64_t)row * p->conv.stride[0] + (int64_t)tap[0] * p->conv.dilation[0] -
				    p->conv.pad[0];
			int64_t w = (int64_t)col * p->conv.stride[1] + (int64_t)tap[1] * p->conv.dilation[1] -
				    p->conv.pad[1];
			bool inside = h >= 0 && h < cv->xt->dims[1] && w >= 0 && w < cv->xt->dims[2];

			if (inside || cv->cg < WEFT_CONV_WEIGHT_PADDED)
				add_term(chain, 0, inside ? *at(cv->x, cv->xt, n, h, w, oc / cv->og * cv->cg + c) : 0,
					 *at(cv->y, cv->yt, n, row, col, oc));
		}
	}
	end_block(chain);
}

static void winograd_gradient(float *to, const float *y, unsigned int step)
{
	to[0] = y[0];
	to[step] = y[0] + y[step];
	to[2 * step] = y[0] - y[step];
	to[3 * step] = y[step];
}

/* One step from four products to three weights. */
static float winograd_sum(const float m[4], unsigned int which)
{
	if (which == 1)
		return (m[1] - m[2]) / 2;
	return which ? (m[1] + m[2]) / 2 - m[3] : m[0] + (m[1] + m[2]) / 2;
}

/* The transformed tiles at (@row, @column) of DY, and X's. */
static void winograd_tile(const struct conv *cv, uint32_t n, uint32_t row, uint32_t column, uint32_t c, uint32_t oc,
			  float v[16], float e[16])
{
	float d[16], y[16] = {0};

	for (unsigned int i = 0; i < 4; i++) {
		for (unsigned int j = 0; j < 4; j++) {
			int64_t h = (int64_t)row + i - cv->params->conv.pad[0];
			int64_t w = (int64_t)column + j - cv->params->conv.pad[1];
			bool inside = h >= 0 && h < cv->xt->dims[1] && w >= 0 && w < cv->xt->dims[2];

			d[i * 4 + j] = inside ? *at(cv->x, cv->xt, n, h, w, c) : 0;
			if (i < 2 && j < 2 && row + i < cv->yt->dims[1] && column + j < cv->yt->dims[2])
				y[i * 4 + j] = *at(cv->y, cv->yt, n, row + i, column + j, oc);
		}
	}
	winograd_both(winograd_input, v, d, 4);
	winograd_both(winograd_gradient, e, y, 2);
}

/* Adds the sum of the block of tiles [@begin, @end) to the nine totals. */
static void winograd_block(const struct conv *cv, uint32_t n, const uint32_t begin[2], const uint32_t end[2],
			   uint32_t c, uint32_t oc, float total[9])
{
	float m[16] = {0};

	for (uint32_t i = begin[0]; i < end[0]; i++) {
		for (uint32_t j = begin[1]; j < end[1]; j++) {
			float v[16], e[16];

			winograd_tile(cv, n, i * 2, j * 2, c, oc, v, e);
			for (unsigned int k = 0; k < 16; k++)
				m[k] = fmaf(v[k], e[k], m[k]);
		}
	}
	for (unsigned int k = 0; k < 16; k++)
		m[k] = 0 + m[k];
	for (unsigned int tap = 0; tap < 9; tap++) {
		float half[4];

		for (unsigned int i = 0; i < 4; i++)
			half[i] = winograd_sum(m + i * 4, tap % 3);
		total[tap] += winograd_sum(half, tap / 3);
	}
}

static void winograd_weight_column(const struct conv *cv, uint32_t c, uint32_t oc)
{
	const uint32_t tiles[2] = {(cv->yt->dims[1] + 1) / 2, (cv->yt->dims[2] + 1) / 2};
	const uint32_t most = WEFT_SUM_WINOGRAD_WEIGHT;
	const uint32_t block[2] = {tiles[1] <= most ? most / tiles[1] : 1, tiles[1] <= most ? tiles[1] : most};
	float total[9], *out[9];

	for (unsigned int tap = 0; tap < 9; tap++) {
		out[tap] = at(cv->w, cv->wt, tap / 3, tap % 3, c, oc);
		total[tap] = cv->params->conv.flags & WEFT_F_ACCUMULATE ? *out[tap] : 0;
	}
	for (uint32_t n = 0; n < cv->yt->dims[0]; n++) {
		for (uint32_t i = 0; i < tiles[0]; i += block[0]) {
			for (uint32_t j = 0; j < tiles[1]; j += block[1]) {
				const uint32_t end[2] = {
					i + block[0] < tiles[0] ? i + block[0] : tiles[0],
					j + block[1] < tiles[1] ? j + block[1] : tiles[1],
				};

				winograd_block(cv, n, (const uint32_t[]){i, j}, end, c, oc, total);
			}
		}
	}
	for (unsigned int tap = 0; tap < 9; tap++)
		*out[tap] = total[tap];
}

static void bwd_weight_column(const struct conv *cv, uint32_t index)
{
	uint32_t oh = cv->yt->dims[1], ow = cv->yt->dims[2], oc = index % cv->yt->dims[3], c = index / cv->yt->dims[3];
	uint32_t rows = ow < WEFT_SUM_CONV_WEIGHT ? WEFT_SUM_CONV_WEIGHT / ow : 1;

	for (uint32_t tap = 0; tap < cv->kh * cv->kw; tap++) {
		const uint32_t position[2] = {tap / cv->kw, tap % cv->kw};
		float *out = at(cv->w, cv->wt, position[0], position[1], c, oc);
		struct chain chain = {.total = cv->params->conv.flags & WEFT_F_ACCUMULATE ? *out : 0};

		for (uint32_t n = 0; n < cv->yt->dims[0]; n++)
			for (uint32_t r = 0; r < oh; r += rows)
				for (uint32_t begin = 0; begin < ow; begin += WEFT_SUM_CONV_WEIGHT) {
					uint32_t end =
						ow - begin < WEFT_SUM_CONV_WEIGHT ? ow : begin + WEFT_SUM_CONV_WEIGHT;

					bwd_weight_block(cv, &chain, n, r, (uint32_t[]){begin, end},
							 oh - r < rows ? oh - r : rows, position, c, oc);
				}
		*out = chain.total;
	}
}

static struct conv conv_new(const union weft_params *params, struct operand operand[], const unsigned int slot[3])
{
	return (struct conv){
		.params = params,
		.xt = &operand[slot[0]].tensor,
		.wt = &operand[slot[1]].tensor,
		.yt = &operand[slot[2]].tensor,
		.x = operand[slot[0]].base,
		.w = operand[slot[1]].base,
		.y = operand[slot[2]].base,
		.kh = operand[slot[1]].tensor.dims[0],
		.kw = operand[slot[1]].tensor.dims[1],
		.cg = operand[slot[1]].tensor.dims[2],
		.og = operand[slot[1]].tensor.dims[3] / params->conv.groups,
	};
}

void reference_conv_fwd(const union weft_params *params, struct operand operand[4])
{
	struct conv cv = conv_new(params, operand, (unsigned int[]){0, 1, 3});
	struct winograd winograd = {.cv = &cv, .channels = cv.cg};
	bool applies = winograd_applies(&cv, cv.cg, cv.yt->dims[2]);

	cv.bias = operand[2].base;
	for (uint32_t i = 0; i < cv.yt->dims[0] * cv.yt->dims[1]; i++)
		if (applies)
			winograd_row(&winograd, cv.yt, i);
		else
			fwd_row(&cv, i);
}

void reference_conv_bwd_data(const union weft_params *params, struct operand operand[4])
{
	struct conv cv = conv_new(params, operand, (unsigned int[]){3, 1, 0});
	struct winograd winograd = {.cv = &cv, .data = true, .channels = cv.og};
	bool applies = winograd_applies(&cv, cv.og, cv.xt->dims[2]);

	cv.bias = operand[2].base;
	for (uint32_t i = 0; i < cv.xt->dims[0] * cv.xt->dims[1]; i++)
		if (applies)
			winograd_row(&winograd, cv.xt, i);
		else
			bwd_data_row(&cv, i);
}

void reference_conv_bwd_weight(const union weft_params *params, struct operand operand[3])
{
	struct conv cv = conv_new(params, operand, (unsigned int[]){0, 2, 1});

	for (uint32_t i = 0; i < cv.cg * cv.yt->dims[3]; i++)
		if (winograd_weight_applies(&cv))
			winograd_weight_column(&cv, i / cv.yt->dims[3], i % cv.yt->dims[3]);
		else
			bwd_weight_column(&cv, i);
}
