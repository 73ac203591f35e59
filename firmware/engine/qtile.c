// SPDX-License-Identifier: MIT
#include "qtile.h"

#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__ARM_FEATURE_DOTPROD)
#include <arm_neon.h>
#endif

WEFT_INTEGER_INLINE int32_t word(const uint8_t *p)
{
	int32_t w;

	memcpy(&w, p, sizeof(w));
	return w;
}

/* Pairs of 16-bit numbers: one vector of sums of products. */
#if defined(__AVX512F__)
typedef __m512i sums;
#define SUMS_LOAD(p) _mm512_loadu_si512(p)
#define SUMS_STORE(p, v) _mm512_storeu_si512(p, v)
#define SUMS_PAIRS(sum, a, b) _mm512_add_epi32(sum, _mm512_madd_epi16(_mm512_set1_epi32(a), b))
#elif defined(__AVX2__)
typedef __m256i sums;
#define SUMS_LOAD(p) _mm256_loadu_si256((const __m256i *)(p))
#define SUMS_STORE(p, v) _mm256_storeu_si256((__m256i *)(p), v)
#define SUMS_PAIRS(sum, a, b) _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_set1_epi32(a), b))
#elif defined(__ARM_FEATURE_DOTPROD)
typedef int32x4_t sums;
#define SUMS_LOAD(p) vreinterpretq_s32_u8(vld1q_u8((const uint8_t *)(p)))
#define SUMS_STORE(p, v) vst1q_s32(p, v)
#else
typedef struct {
	int32_t at[WEFT_Q_WIDTH];
} sums;

WEFT_INTEGER_INLINE sums sums_load(const void *p)
{
	sums v;

	memcpy(&v, p, sizeof(v));
	return v;
}

WEFT_INTEGER_INLINE sums sums_pairs(sums sum, int32_t a, sums b)
{
	int16_t first = (int16_t)a, second = (int16_t)(a >> 16);

	for (int i = 0; i < WEFT_Q_WIDTH; i++) {
		uint32_t product = (uint32_t)(first * (int16_t)b.at[i]) + (uint32_t)(second * (b.at[i] >> 16));

		sum.at[i] = (int32_t)((uint32_t)sum.at[i] + product);
	}
	return sum;
}
#define SUMS_LOAD(p) sums_load(p)
#define SUMS_STORE(p, v) memcpy(p, &(v), sizeof(v))
#define SUMS_PAIRS(sum, a, b) sums_pairs(sum, a, b)
#endif

/*
 * One body for every instruction and number of rows: @rows and @vectors are
 * constants where it is inlined, so that all sums stay in registers.
 */
#define TILE_BODY(multiply_add)                                                                                        \
	do {                                                                                                           \
		sums sum[WEFT_Q_ROWS][2];                                                                              \
		const uint8_t *at = b;                                                                                 \
                                                                                                                       \
		_Pragma("GCC unroll 14") for (unsigned int i = 0; i < rows; i++)                                       \
		{                                                                                                      \
			_Pragma("GCC unroll 2") for (unsigned int v = 0; v < vectors; v++) sum[i][v] =                 \
				start ? SUMS_LOAD(start + v * WEFT_Q_WIDTH)                                            \
				      : SUMS_LOAD(c + (ptrdiff_t)i * pitch + v * WEFT_Q_WIDTH);                        \
		}                                                                                                      \
		for (size_t run = 0; run < runs * apart; run += apart) {                                               \
			for (size_t k = run; k < run + (size_t)groups * 4; k += 4, at += step) {                       \
				sums column[2];                                                                        \
                                                                                                                       \
				_Pragma("GCC unroll 2") for (unsigned int v = 0; v < vectors; v++) column[v] =         \
					SUMS_LOAD(at + v * WEFT_Q_WIDTH * 4);                                          \
				_Pragma("GCC unroll 14") for (unsigned int i = 0; i < rows; i++)                       \
				{                                                                                      \
					const int32_t element = word(a[i] + k);                                        \
                                                                                                                       \
					_Pragma("GCC unroll 2") for (unsigned int v = 0; v < vectors; v++) sum[i][v] = \
						multiply_add(sum[i][v], element, column[v]);                           \
				}                                                                                      \
			}                                                                                              \
		}                                                                                                      \
		_Pragma("GCC unroll 14") for (unsigned int i = 0; i < rows; i++)                                       \
		{                                                                                                      \
			_Pragma("GCC unroll 2") for (unsigned int v = 0; v < vectors; v++)                             \
				SUMS_STORE(c + (ptrdiff_t)i * pitch + v * WEFT_Q_WIDTH, sum[i][v]);                    \
		}                                                                                                      \
	} while (0)

#define TILE_ARGUMENTS                                                                                      \
	const uint8_t *const a[], size_t apart, uint32_t runs, const void *b, size_t step, uint32_t groups, \
		const int32_t *start, int32_t *c, ptrdiff_t pitch, unsigned int rows, unsigned int vectors

#define TILE_CASE(body, n)                                                            \
	case n:                                                                       \
		if (vectors == 1)                                                     \
			body(a, apart, runs, b, step, groups, start, c, pitch, n, 1); \
		else                                                                  \
			body(a, apart, runs, b, step, groups, start, c, pitch, n, 2); \
		break;
#if defined(__AVX512F__)
#define TILE_CASES(body)   \
	TILE_CASE(body, 1) \
	TILE_CASE(body, 2) \
	TILE_CASE(body, 3) \
	TILE_CASE(body, 4) \
	TILE_CASE(body, 5) \
	TILE_CASE(body, 6) \
	TILE_CASE(body, 7) \
	TILE_CASE(body, 8) \
	TILE_CASE(body, 9) \
	TILE_CASE(body, 10) TILE_CASE(body, 11) TILE_CASE(body, 12) TILE_CASE(body, 13) TILE_CASE(body, 14)
#elif defined(__AVX2__)
#define TILE_CASES(body)   \
	TILE_CASE(body, 1) \
	TILE_CASE(body, 2) TILE_CASE(body, 3) TILE_CASE(body, 4) TILE_CASE(body, 5) TILE_CASE(body, 6)
#elif defined(__ARM_FEATURE_DOTPROD)
#define TILE_CASES(body)   \
	TILE_CASE(body, 1) \
	TILE_CASE(body, 2) \
	TILE_CASE(body, 3) \
	TILE_CASE(body, 4) \
	TILE_CASE(body, 5) \
	TILE_CASE(body, 6) \
	TILE_CASE(body, 7) \
	TILE_CASE(body, 8) TILE_CASE(body, 9) TILE_CASE(body, 10) TILE_CASE(body, 11) TILE_CASE(body, 12)
#else
#define TILE_CASES(body) TILE_CASE(body, 1) TILE_CASE(body, 2) TILE_CASE(body, 3) TILE_CASE(body, 4)
#endif

#if defined(__ARM_FEATURE_DOTPROD)
/* Quads of signed bytes. */
#define SUMS_QUADS(sum, a, b) vdotq_s32(sum, vreinterpretq_s8_s32(b), vreinterpretq_s8_s32(vdupq_n_s32(a)))

WEFT_INTEGER_INLINE void quads_body(TILE_ARGUMENTS)
{
	TILE_BODY(SUMS_QUADS);
}

static void quads_tile(TILE_ARGUMENTS)
{
	switch (rows) {
		TILE_CASES(quads_body)
	}
}

static void quads_interleave(const uint8_t *const row[], bool is_signed, int32_t zero, void *panel, int32_t *sum)
{
	const uint8_t flip = is_signed ? 0 : 0x80;
	int8_t *to = panel;

	(void)zero;
	for (unsigned int n = 0; n < WEFT_Q_COLUMNS; n++)
		for (unsigned int k = 0; k < 4; k++) {
			to[4 * n + k] = (int8_t)(row[k][n] ^ flip);
			if (sum)
				sum[n] += to[4 * n + k];
		}
}

static const struct weft_qform quads_form = {4, 1, true, quads_tile, quads_interleave};
#else
WEFT_INTEGER_INLINE void pairs_body(TILE_ARGUMENTS)
{
	TILE_BODY(SUMS_PAIRS);
}

static void pairs_tile(TILE_ARGUMENTS)
{
	switch (rows) {
		TILE_CASES(pairs_body)
	}
}

/* Two rows of bytes as 16-bit numbers, less the zero point, element by element next to each other. */
static void pairs_interleave(const uint8_t *const row[], bool is_signed, int32_t zero, void *panel, int32_t *sum)
{
	int16_t *to = panel;

	(void)sum;
	for (unsigned int n = 0; n < WEFT_Q_COLUMNS; n++) {
		to[2 * n] = (int16_t)(weft_byte(row[0] + n, is_signed) - zero);
		to[2 * n + 1] = (int16_t)(weft_byte(row[1] + n, is_signed) - zero);
	}
}

static const struct weft_qform pairs_form = {2, 2, false, pairs_tile, pairs_interleave};
#endif

#if defined(__AVX512F__)
/* Quads of bytes, on processors that have the instructions; the file is compiled for those that may not. */
#pragma GCC push_options
#pragma GCC target("avx512vnni")
#define SUMS_QUADS(sum, a, b) _mm512_dpbusd_epi32(sum, _mm512_set1_epi32(a), b)

static inline __attribute__((always_inline)) void quads_body(TILE_ARGUMENTS)
{
	TILE_BODY(SUMS_QUADS);
}

static void quads_tile(TILE_ARGUMENTS)
{
	switch (rows) {
		TILE_CASES(quads_body)
	}
}

static void quads_interleave(const uint8_t *const row[], bool is_signed, int32_t zero, void *panel, int32_t *sum)
{
	const __m256i flip = _mm256_set1_epi8(is_signed ? 0 : (char)0x80);
	__m256i r[4], pair[4], quad[4];
	__m512i low, high, first, second;

	(void)zero;
	for (unsigned int i = 0; i < 4; i++)
		r[i] = _mm256_xor_si256(_mm256_loadu_si256((const __m256i *)row[i]), flip);
	pair[0] = _mm256_unpacklo_epi8(r[0], r[1]);
	pair[1] = _mm256_unpackhi_epi8(r[0], r[1]);
	pair[2] = _mm256_unpacklo_epi8(r[2], r[3]);
	pair[3] = _mm256_unpackhi_epi8(r[2], r[3]);
	quad[0] = _mm256_unpacklo_epi16(pair[0], pair[2]);
	quad[1] = _mm256_unpackhi_epi16(pair[0], pair[2]);
	quad[2] = _mm256_unpacklo_epi16(pair[1], pair[3]);
	quad[3] = _mm256_unpackhi_epi16(pair[1], pair[3]);
	/* Each has columns 4i to 4i + 3 in its lower half and those 16 further in its upper half. */
	low = _mm512_inserti64x4(_mm512_castsi256_si512(quad[0]), quad[1], 1);
	high = _mm512_inserti64x4(_mm512_castsi256_si512(quad[2]), quad[3], 1);
	first = _mm512_shuffle_i64x2(low, high, 0x88);
	second = _mm512_shuffle_i64x2(low, high, 0xdd);
	_mm512_storeu_si512(panel, first);
	_mm512_storeu_si512((uint8_t *)panel + 64, second);
	if (sum) {
		const __m512i ones = _mm512_set1_epi8(1);

		_mm512_storeu_si512(sum, _mm512_dpbusd_epi32(_mm512_loadu_si512(sum), ones, first));
		_mm512_storeu_si512(sum + 16, _mm512_dpbusd_epi32(_mm512_loadu_si512(sum + 16), ones, second));
	}
}
#pragma GCC pop_options

static const struct weft_qform quads_form = {4, 1, false, quads_tile, quads_interleave};
#endif

const struct weft_qform *WEFT_KERNEL(weft_qform)(void)
{
#if defined(__ARM_FEATURE_DOTPROD)
	return &quads_form;
#else
#if defined(__AVX512F__)
	if (__builtin_cpu_supports("avx512vnni"))
		return &quads_form;
#endif
	return &pairs_form;
#endif
}

struct weft_qinput WEFT_KERNEL(weft_qinput)(const struct weft_qform *form, const struct weft_tensor *a)
{
	struct weft_qinput input = {.is_signed = a->type == WEFT_TYPE_I8, .zero = a->zero_point};

	if (form->bytes == 1) {
		input.flip = input.is_signed == form->is_signed ? 0 : 0x80;
		input.offset = a->zero_point + (form->is_signed ? -input.flip : input.flip);
	}
	return input;
}

void WEFT_KERNEL(weft_qload)(const struct weft_qform *form, const struct weft_qinput *input, void *to,
			     const uint8_t *from, ptrdiff_t step, uint32_t n)
{
	if (form->bytes == 1) {
		uint8_t *restrict bytes = to;
		const uint8_t flip = input->flip;

		if (step == 1)
			for (uint32_t i = 0; i < n; i++)
				bytes[i] = from[i] ^ flip;
		else
			for (uint32_t i = 0; i < n; i++)
				bytes[i] = from[(ptrdiff_t)i * step] ^ flip;
	} else {
		int16_t *restrict halves = to;
		const int16_t zero = (int16_t)input->zero;

		if (step == 1 && input->is_signed)
			for (uint32_t i = 0; i < n; i++)
				halves[i] = (int16_t)((int8_t)from[i] - zero);
		else if (step == 1)
			for (uint32_t i = 0; i < n; i++)
				halves[i] = (int16_t)(from[i] - zero);
		else
			for (uint32_t i = 0; i < n; i++)
				halves[i] = (int16_t)(weft_byte(from + (ptrdiff_t)i * step, input->is_signed) - zero);
	}
}

void WEFT_KERNEL(weft_qload_zero)(const struct weft_qform *form, const struct weft_qinput *input, void *to, uint32_t n)
{
	if (form->bytes == 1)
		memset(to, input->offset, n);
	else
		memset(to, 0, (size_t)n * 2);
}
