// SPDX-License-Identifier: MIT
/* Pooling against plain references, to the bit; NaN, padding, hostile indices. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "op.h"

struct window {
	uint32_t n, h, w, c;
	uint32_t kernel[2], stride[2], dilation[2], pad[2], pad_end[2];
	bool dense;
};

static const struct window windows[] = {
	{2, 8, 8, 6, {2, 2}, {2, 2}, {1, 1}, {0, 0}, {0, 0}, true},
	{64, 10, 10, 16, {2, 2}, {2, 2}, {1, 1}, {0, 0}, {0, 0}, true},
	{1, 15, 13, 33, {3, 3}, {2, 2}, {1, 1}, {1, 1}, {1, 1}, true},
	{3, 15, 13, 300, {3, 3}, {2, 2}, {1, 1}, {1, 1}, {1, 1}, false},
	{2, 9, 9, 5, {3, 2}, {1, 2}, {2, 3}, {1, 0}, {2, 1}, false},
	{2, 7, 5, 130, {7, 5}, {1, 1}, {1, 1}, {0, 0}, {0, 0}, true},
	{1, 6, 6, 3, {2, 2}, {3, 3}, {1, 1}, {1, 1}, {1, 1}, false},
	{1, 3, 4, 2, {2, 2}, {4, 1}, {5, 1}, {1, 0}, {4, 2}, true},
};

static uint32_t out_extent(const struct window *w, int axis)
{
	uint32_t in = axis ? w->w : w->h;

	return (in + w->pad[axis] + w->pad_end[axis] - ((w->kernel[axis] - 1) * w->dilation[axis] + 1)) /
		       w->stride[axis] +
	       1;
}

static uint64_t at(const struct tensor *t, uint64_t n, uint64_t h, uint64_t w, uint64_t c)
{
	return ((n * t->t.dims[1] + h) * t->t.dims[2] + w) * t->t.dims[3] + c;
}

/* Is tap k of output o inside the image? */
static bool inside(const struct window *w, int axis, uint32_t o, uint32_t k, int64_t *i, bool padded)
{
	int64_t extent = axis ? w->w : w->h;

	*i = (int64_t)o * w->stride[axis] + (int64_t)k * w->dilation[axis] - w->pad[axis];
	return padded ? *i < extent + w->pad_end[axis] : *i >= 0 && *i < extent;
}

struct images {
	struct tensor x, y, index, dy, dx;
	union weft_params params;
};

static void make(struct images *m, const struct window *w, uint64_t seed, bool count_pad)
{
	uint32_t large[4] = {w->n, w->h, w->w, w->c}, small[4] = {w->n, out_extent(w, 0), out_extent(w, 1), w->c};
	unsigned int order[4] = {3, 2, 1, 0};

#define IMAGE(type, dims) (w->dense ? tensor_ordered(&seed, type, 4, dims, order) : tensor_random(&seed, type, 4, dims))
	m->x = IMAGE(WEFT_TYPE_F32, large);
	m->y = IMAGE(WEFT_TYPE_F32, small);
	m->index = IMAGE(WEFT_TYPE_U8, small);
	m->dy = IMAGE(WEFT_TYPE_F32, small);
	m->dx = IMAGE(WEFT_TYPE_F32, large);
#undef IMAGE
	memset(&m->params, 0, sizeof(m->params));
	for (int i = 0; i < 2; i++) {
		m->params.pool.kernel[i] = w->kernel[i];
		m->params.pool.stride[i] = w->stride[i];
		m->params.pool.dilation[i] = w->dilation[i];
		m->params.pool.pad[i] = w->pad[i];
		m->params.pool.pad_end[i] = w->pad_end[i];
	}
	m->params.pool.count_pad = count_pad;
}

static void discard(struct images *m)
{
	tensor_free(&m->x);
	tensor_free(&m->y);
	tensor_free(&m->index);
	tensor_free(&m->dy);
	tensor_free(&m->dx);
}

#define EACH_OUTPUT(image)                                                  \
	for (uint32_t n = 0; n < (image).t.dims[0]; n++)                    \
		for (uint32_t oh = 0; oh < (image).t.dims[1]; oh++)         \
			for (uint32_t ow = 0; ow < (image).t.dims[2]; ow++) \
				for (uint32_t c = 0; c < (image).t.dims[3]; c++)
#define EACH_TAP(w)                                      \
	for (uint32_t kh = 0; kh < (w)->kernel[0]; kh++) \
		for (uint32_t kw = 0; kw < (w)->kernel[1]; kw++)

static void test_max(void **state)
{
	(void)state;
	for (size_t k = 0; k < sizeof(windows) / sizeof(windows[0]); k++) {
		const struct window *w = &windows[k];
		struct images m;
		struct tensor forward[3], expected[3], backward[3], expected_dx[3];
		int64_t h, v;

		make(&m, w, k, false);
		/* Ties and NaN. */
		for (uint64_t e = 0; e < tensor_elements(&m.x); e++)
			*tensor_f32(&m.x, e) = e % 23 == 7 ? NAN : floorf(*tensor_f32(&m.x, e) * 4);
		memcpy(forward, (struct tensor[]){m.x, m.y, m.index}, sizeof(forward));
		memcpy(expected, (struct tensor[]){m.x, tensor_copy(&m.y), tensor_copy(&m.index)}, sizeof(expected));
		EACH_OUTPUT(m.y)
		{
			float best = -INFINITY;
			uint32_t index = 0;
			bool first = true;

			EACH_TAP(w)
			{
				if (inside(w, 0, oh, kh, &h, false) && inside(w, 1, ow, kw, &v, false)) {
					float x = *tensor_f32(&m.x, at(&m.x, n, (uint64_t)h, (uint64_t)v, c));

					if (first || (!isnan(best) && (isnan(x) || x > best))) {
						best = x;
						index = kh * w->kernel[1] + kw;
					}
					first = false;
				}
			}
			*tensor_f32(&expected[1], at(&m.y, n, oh, ow, c)) = best;
			*(uint8_t *)tensor_at(&expected[2], at(&m.y, n, oh, ow, c)) = (uint8_t)index;
		}
		op_check(WEFT_OP_MAXPOOL_FWD, &m.params, 3, forward, expected, "maxpool");
		forward[2] = expected[2];
		op_run(op_units[0], WEFT_OP_MAXPOOL_FWD, &m.params, 2, forward, NULL);

		memcpy(backward, (struct tensor[]){m.dy, expected[2], m.dx}, sizeof(backward));
		memcpy(expected_dx, backward, sizeof(backward));
		expected_dx[2] = tensor_copy(&m.dx);
		for (uint64_t e = 0; e < tensor_elements(&m.dx); e++)
			*tensor_f32(&expected_dx[2], e) = 0.0f;
		EACH_OUTPUT(m.y)
		{
			uint32_t index = *(uint8_t *)tensor_at(&expected[2], at(&m.y, n, oh, ow, c));

			if (inside(w, 0, oh, index / w->kernel[1], &h, false) &&
			    inside(w, 1, ow, index % w->kernel[1], &v, false))
				*tensor_f32(&expected_dx[2], at(&m.dx, n, (uint64_t)h, (uint64_t)v, c)) +=
					*tensor_f32(&m.dy, at(&m.dy, n, oh, ow, c));
		}
		op_check(WEFT_OP_MAXPOOL_BWD, &m.params, 3, backward, expected_dx, "maxpool backward");
		tensor_free(&expected[1]);
		tensor_free(&expected[2]);
		tensor_free(&expected_dx[2]);
		discard(&m);
	}
}

static void test_average(void **state)
{
	(void)state;
	for (size_t k = 0; k < 2 * sizeof(windows) / sizeof(windows[0]); k++) {
		const struct window *w = &windows[k / 2];
		bool count_pad = k & 1;
		struct images m;
		struct tensor expected_y, expected_dx;
		int64_t h, v;

		make(&m, w, k, count_pad);
		expected_y = tensor_copy(&m.y);
		expected_dx = tensor_copy(&m.dx);
		for (uint64_t e = 0; e < tensor_elements(&m.dx); e++)
			*tensor_f32(&expected_dx, e) = 0.0f;
		EACH_OUTPUT(m.y)
		{
			uint64_t o = at(&m.y, n, oh, ow, c);
			float sum = 0.0f, count = 0.0f;

			EACH_TAP(w)
			{
				bool h_in = inside(w, 0, oh, kh, &h, false), v_in = inside(w, 1, ow, kw, &v, false);

				if (h_in && v_in)
					sum += *tensor_f32(&m.x, at(&m.x, n, (uint64_t)h, (uint64_t)v, c));
				if (count_pad ? inside(w, 0, oh, kh, &h, true) && inside(w, 1, ow, kw, &v, true)
					      : h_in && v_in)
					count += 1.0f;
			}
			*tensor_f32(&expected_y, o) = count > 0.0f ? sum / count : 0.0f;
			EACH_TAP(w)
			{
				if (inside(w, 0, oh, kh, &h, false) && inside(w, 1, ow, kw, &v, false))
					*tensor_f32(&expected_dx, at(&m.dx, n, (uint64_t)h, (uint64_t)v, c)) +=
						*tensor_f32(&m.dy, o) / count;
			}
		}
		op_check(WEFT_OP_AVGPOOL_FWD, &m.params, 2, (struct tensor[]){m.x, m.y},
			 (struct tensor[]){m.x, expected_y}, "avgpool");
		op_check(WEFT_OP_AVGPOOL_BWD, &m.params, 2, (struct tensor[]){m.dy, m.dx},
			 (struct tensor[]){m.dy, expected_dx}, "avgpool backward");
		tensor_free(&expected_y);
		tensor_free(&expected_dx);
		discard(&m);
	}
}

/* An index that names no tap is a fault; one that names a tap in the padding writes nothing. */
static void test_bad_index(void **state)
{
	const struct window w = {1, 4, 4, 3, {3, 3}, {2, 2}, {1, 1}, {1, 1}, {0, 0}, true};
	struct weft_fault_record fault;
	struct images m;
	struct tensor backward[3], before;

	(void)state;
	make(&m, &w, 1, false);
	memcpy(backward, (struct tensor[]){m.dy, m.index, m.dx}, sizeof(backward));
	memset(m.index.storage, 0, m.index.bytes);
	before = tensor_copy(&m.dx);
	assert_int_equal(op_run(op_units[0], WEFT_OP_MAXPOOL_BWD, &m.params, 3, backward, &fault), 0);
	for (uint64_t e = 0; e < tensor_elements(&m.dx); e++)
		*tensor_f32(&before, e) = *tensor_f32(&m.dx, e);
	assert_int_equal(tensor_difference(&before, &m.dx), -1);
	assert_true(*tensor_f32(&m.dx, 0) == 0.0f);
	*(uint8_t *)tensor_at(&m.index, 5) = 9;
	assert_int_equal(op_run(op_units[0], WEFT_OP_MAXPOOL_BWD, &m.params, 3, backward, &fault), WEFT_FAULT_VALUE);
	assert_int_equal(fault.operand, 1);
	assert_int_equal(fault.address, 9);
	tensor_free(&before);
	discard(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_max),
		cmocka_unit_test(test_average),
		cmocka_unit_test(test_bad_index),
	};

	return cmocka_run_group_tests(tests, op_units_make, op_units_free);
}
