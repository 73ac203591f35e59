/* SPDX-License-Identifier: MIT */
/*
 * RANDOM and DROPOUT.  The source is Philox4x32-10: element e of the tensor, in
 * row-major order of its dims, takes word e mod 4 of the block that the counter
 * {e / 4, stream, step, step >> 32} gives.
 */
#include "iterate.h"
#include "kernels.h"
#include "philox.h"
#include "real.h"

#define CHUNK 512

struct source {
	uint32_t key[2];
	uint32_t stream, step[2];
	unsigned int distribution;
	float low, high, keep;
};

static void source_begin(struct source *s, const struct weft_cmd *command, const struct weft_tensor *counter,
			 const void *counter_at)
{
	const union weft_params *params = &command->params;

	*s = (struct source){.key = {(uint32_t)params->random.seed, (uint32_t)(params->random.seed >> 32)},
			     .stream = params->random.stream,
			     .distribution = params->random.distribution,
			     .low = params->random.low,
			     .high = params->random.high,
			     .keep = params->random.keep};
	if (counter_at) {
		const int64_t *at = counter_at;
		uint64_t step = (uint64_t)at[counter->strides[0]];

		s->stream += (uint32_t)(uint64_t)at[0];
		s->step[0] = (uint32_t)step;
		s->step[1] = (uint32_t)(step >> 32);
	}
}

/* In [0, 1), 24 bits. */
WEFT_INLINE float unit_interval(uint32_t word)
{
	return (float)(word >> 8) * 0x1p-24f;
}

/* Two normal numbers from two words, by Box and Muller. */
static void normal_pair(const struct source *s, const uint32_t *word, float *out)
{
	double radius = sqrt(-2.0 * weft_log_d(((word[0] >> 8) + 1.0) * 0x1p-24));
	uint64_t quadrant;
	double angle = weft_trig_reduce_d((word[1] >> 8) * (0x1p-24 * 6.283185307179586), &quadrant);

	out[0] = (float)(s->low + s->high * (radius * weft_sin_quadrant(angle, quadrant + 1)));
	out[1] = (float)(s->low + s->high * (radius * weft_sin_quadrant(angle, quadrant)));
}

/* Numbers for elements [first, first + n), n <= CHUNK. */
static void draw(const struct source *s, uint64_t first, size_t n, float *out)
{
	uint32_t word[CHUNK + 8];
	float value[CHUNK + 8];
	uint64_t block = first / 4;
	size_t skip = first % 4, words = ((skip + n + 3) / 4) * 4;

	weft_philox(s->key, s->stream, s->step[0], s->step[1], (uint32_t)block, words / 4, word);
	switch (s->distribution) {
	case WEFT_NORMAL:
		for (size_t i = 0; i < words; i += 2)
			normal_pair(s, word + i, value + i);
		break;
	case WEFT_BERNOULLI:
		for (size_t i = 0; i < words; i++)
			value[i] = unit_interval(word[i]) < s->low ? 1.0f : 0.0f;
		break;
	default:
		for (size_t i = 0; i < words; i++) {
			float v = fmaf(unit_interval(word[i]), s->high - s->low, s->low);

			value[i] = v >= s->high ? s->low : v;
		}
	}
	memcpy(out, value + skip, n * sizeof(float));
}

static void random_rows(const void *context, uint64_t first, size_t rows, size_t n, char *const at[],
			const ptrdiff_t step[])
{
	for (size_t row = 0; row < rows; row++) {
		float *y = (float *)(at[0] + (ptrdiff_t)row * step[0]);

		for (size_t done = 0; done < n; done += CHUNK)
			draw(context, first + row * n + done, n - done < CHUNK ? n - done : CHUNK, y + done);
	}
}

enum weft_fault WEFT_KERNEL(weft_random)(WEFT_KERNEL_ARGUMENTS)
{
	struct weft_iteration it;
	struct source source;

	(void)fault;
	source_begin(&source, command, &command->operand[0], pointer[0]);
	weft_iteration_begin(&it, &command->operand[1]);
	it.ordered = true;
	weft_iteration_add(&it, &command->operand[1], pointer[1], true);
	weft_iteration_run(&it, unit, random_rows, &source);
	return WEFT_FAULT_NONE;
}

static void dropout_rows(const void *context, uint64_t first, size_t rows, size_t n, char *const at[],
			 const ptrdiff_t step[])
{
	const struct source *s = context;
	float uniform[CHUNK];

	for (size_t row = 0; row < rows; row++) {
		const float *x = (const float *)(at[0] + (ptrdiff_t)row * step[0]);
		float *y = (float *)(at[1] + (ptrdiff_t)row * step[1]);
		uint8_t *mask = at[2] ? (uint8_t *)(at[2] + (ptrdiff_t)row * step[2]) : NULL;

		for (size_t done = 0; done < n; done += CHUNK) {
			size_t count = n - done < CHUNK ? n - done : CHUNK;

			draw(s, first + row * n + done, count, uniform);
#pragma GCC ivdep
			for (size_t i = 0; i < count; i++) {
				float kept = x[done + i] / s->keep;
				y[done + i] = uniform[i] < s->keep ? kept : 0.0f;
			}
			for (size_t i = 0; mask && i < count; i++)
				mask[done + i] = uniform[i] < s->keep;
		}
	}
}

enum weft_fault WEFT_KERNEL(weft_dropout)(WEFT_KERNEL_ARGUMENTS)
{
	struct weft_iteration it;
	struct source source;

	(void)fault;
	source_begin(&source, command, &command->operand[1], pointer[1]);
	source.distribution = WEFT_UNIFORM;
	source.low = 0.0f;
	source.high = 1.0f;
	weft_iteration_begin(&it, &command->operand[0]);
	it.ordered = true;
	weft_iteration_add(&it, &command->operand[0], pointer[0], false);
	weft_iteration_add(&it, &command->operand[2], pointer[2], true);
	weft_iteration_add(&it, &command->operand[3], command->operands > 3 ? pointer[3] : NULL, true);
	weft_iteration_run(&it, unit, dropout_rows, &source);
	return WEFT_FAULT_NONE;
}
