// SPDX-License-Identifier: MIT
/* PROJECT_HASHED, PROJECT_MEAN and PROJECT_TERNARY: random vectors drawn for features that are hashes. */
#include "kernels.h"
#include "philox.h"
#include "real.h"

/** Words that are drawn at a time. */
#define WORDS 256
/** Features worth another lane. */
#define PIECE_FEATURES 64

struct local {
	float sum[WEFT_PROJECT_MAX_BITS];
	int32_t total[WEFT_PROJECT_MAX_BITS];
};
_Static_assert(sizeof(struct local) <= WEFT_LANE_LOCAL_BYTES, "local memory");

struct hashed {
	struct weft_engine_unit *unit;
	const struct weft_tensor *f, *v, *y;
	const void *f_at, *v_at;
	void *y_at;
	uint32_t key[2];
	uint32_t rows, piece_rows, features, results; /* a row's */
};

static int64_t feature(const struct hashed *h, ptrdiff_t at)
{
	return h->f->type == WEFT_TYPE_I64 ? ((const int64_t *)h->f_at)[at] : ((const int32_t *)h->f_at)[at];
}

static void draw(const struct hashed *h, int64_t feature, uint32_t block, size_t blocks, uint32_t word[WORDS])
{
	weft_philox(h->key, 0, (uint32_t)feature, (uint32_t)(feature >> 32), block, blocks, word);
}

/* Add @value with the signs of @words words. */
static void add_signs(const uint32_t *word, size_t words, float value, float *sum)
{
	uint32_t bits = weft_bits32(value);

	for (size_t w = 0; w < words; w++)
		for (unsigned int b = 0; b < 32; b++)
			sum[w * 32 + b] += weft_float(bits ^ (~word[w] >> b) << 31);
}

static void hashed_rows(void *argument, unsigned int index, unsigned int lane)
{
	const struct hashed *h = argument;
	struct local *local = weft_engine_local(h->unit, lane);
	uint32_t words = (h->results + 31) / 32, word[WORDS];

	for (uint32_t row = index * h->piece_rows; row < h->rows && row < (index + 1) * h->piece_rows; row++) {
		uint32_t *y = (uint32_t *)h->y_at + (ptrdiff_t)row * (h->y->strides[0] / 32);

		memset(local->sum, 0, (size_t)words * 32 * sizeof(float));
		for (uint32_t l = 0; l < h->features; l++) {
			int64_t f = feature(h, (ptrdiff_t)row * h->f->strides[0] + (ptrdiff_t)l * h->f->strides[1]);
			float value = 1;

			if (f < 0)
				continue;
			if (h->v_at)
				value = ((const float *)h->v_at)[(ptrdiff_t)row * h->v->strides[0] +
								 (ptrdiff_t)l * h->v->strides[1]];
			for (uint32_t w = 0; w < words; w += WORDS) {
				uint32_t n = words - w < WORDS ? words - w : WORDS;

				draw(h, f, w / 4, (n + 3) / 4, word);
				add_signs(word, n, value, local->sum + (size_t)w * 32);
			}
		}
		for (uint32_t w = 0; w < words; w++) {
			uint32_t bits = 0, n = h->results - w * 32 < 32 ? h->results - w * 32 : 32;

			for (uint32_t b = 0; b < n; b++)
				bits |= (uint32_t)(local->sum[w * 32 + b] > 0) << b;
			y[w] = bits;
		}
	}
}

static void mean_rows(void *argument, unsigned int index, unsigned int lane)
{
	const struct hashed *h = argument;
	struct local *local = weft_engine_local(h->unit, lane);
	uint32_t words = (h->results + 3) / 4, word[WORDS];

	for (uint32_t row = index * h->piece_rows; row < h->rows && row < (index + 1) * h->piece_rows; row++) {
		float *y = (float *)h->y_at + (ptrdiff_t)row * h->y->strides[0];
		int32_t count = 0;

		memset(local->total, 0, (size_t)words * 4 * sizeof(int32_t));
		for (uint32_t l = 0; l < h->features; l++) {
			int64_t f = feature(h, (ptrdiff_t)row * h->f->strides[0] + (ptrdiff_t)l * h->f->strides[1]);

			if (f < 0)
				continue;
			count++;
			for (uint32_t w = 0; w < words; w += WORDS) {
				uint32_t n = words - w < WORDS ? words - w : WORDS;

				draw(h, f, w / 4, (n + 3) / 4, word);
				for (uint32_t i = 0; i < n; i++)
					for (unsigned int b = 0; b < 4; b++)
						local->total[(w + i) * 4 + b] += 2 * (int8_t)(word[i] >> 8 * b) + 1;
			}
		}
		for (uint32_t r = 0; r < h->results; r++)
			y[(ptrdiff_t)r * h->y->strides[1]] =
				count ? (float)local->total[r] / (float)(255 * count) : 0.0f;
	}
}

/* One feature's numbers. */
static void ternary(const struct hashed *h, int64_t f, void *to)
{
	uint32_t words = (h->results + 15) / 16, word[WORDS];

	for (uint32_t w = 0; w < words; w += WORDS) {
		uint32_t n = words - w < WORDS ? words - w : WORDS;
		uint32_t first = w * 16, end = h->results < (w + n) * 16 ? h->results : (w + n) * 16;

		if (f < 0)
			memset(word, 0, sizeof(word));
		else
			draw(h, f, w / 4, (n + 3) / 4, word);
		for (uint32_t c = first; c < end; c++) {
			uint32_t pair = word[(c - first) / 16] >> c % 16 * 2;
			int32_t number = (int32_t)(pair & 1) - (int32_t)(pair >> 1 & 1);

			if (h->y->type == WEFT_TYPE_I8)
				((int8_t *)to)[c] = (int8_t)number;
			else
				((float *)to)[c] = (float)number;
		}
	}
}

static void ternary_rows(void *argument, unsigned int index, unsigned int lane)
{
	const struct hashed *h = argument;
	size_t bytes = h->y->type == WEFT_TYPE_I8 ? 1 : 4;

	(void)lane;
	for (uint32_t row = index * h->piece_rows; row < h->rows && row < (index + 1) * h->piece_rows; row++) {
		ptrdiff_t from = 0, to = 0;
		uint32_t rest = row;

		for (unsigned int d = h->f->rank; d-- > 0; rest /= h->f->dims[d]) {
			from += (ptrdiff_t)(rest % h->f->dims[d]) * h->f->strides[d];
			to += (ptrdiff_t)(rest % h->f->dims[d]) * h->y->strides[d];
		}
		ternary(h, feature(h, from), (char *)h->y_at + to * (ptrdiff_t)bytes);
	}
}

static enum weft_fault run(struct weft_engine_unit *unit, const struct weft_cmd *command, struct hashed *h,
			   weft_piece piece)
{
	uint64_t seed = command->params.project.seed;
	unsigned int lanes = weft_engine_unit_lanes(unit);

	h->unit = unit;
	h->key[0] = (uint32_t)seed;
	h->key[1] = (uint32_t)(seed >> 32);
	h->piece_rows = (h->rows + lanes - 1) / lanes;
	if ((uint64_t)h->piece_rows * h->features < PIECE_FEATURES)
		h->piece_rows = h->rows;
	weft_engine_parallel(unit, (h->rows + h->piece_rows - 1) / h->piece_rows, piece, h);
	return WEFT_FAULT_NONE;
}

enum weft_fault WEFT_KERNEL(weft_project_hashed)(WEFT_KERNEL_ARGUMENTS)
{
	const struct weft_tensor *o = command->operand;
	struct hashed h = {.f = &o[0],
			   .f_at = pointer[0],
			   .v = &o[1],
			   .v_at = pointer[1],
			   .y = &o[2],
			   .y_at = pointer[2],
			   .rows = o[0].dims[0],
			   .features = o[0].dims[1],
			   .results = o[2].dims[1]};

	(void)fault;
	return run(unit, command, &h, hashed_rows);
}

enum weft_fault WEFT_KERNEL(weft_project_mean)(WEFT_KERNEL_ARGUMENTS)
{
	const struct weft_tensor *o = command->operand;
	struct hashed h = {.f = &o[0],
			   .f_at = pointer[0],
			   .y = &o[1],
			   .y_at = pointer[1],
			   .rows = o[0].dims[0],
			   .features = o[0].dims[1],
			   .results = o[1].dims[1]};

	(void)fault;
	return run(unit, command, &h, mean_rows);
}

enum weft_fault WEFT_KERNEL(weft_project_ternary)(WEFT_KERNEL_ARGUMENTS)
{
	const struct weft_tensor *o = command->operand;
	struct hashed h = {.f = &o[0],
			   .f_at = pointer[0],
			   .y = &o[1],
			   .y_at = pointer[1],
			   .rows = 1,
			   .features = 1,
			   .results = o[1].dims[o[1].rank - 1]};

	(void)fault;
	for (unsigned int d = 0; d < o[0].rank; d++)
		h.rows *= o[0].dims[d];
	return run(unit, command, &h, ternary_rows);
}
