// SPDX-License-Identifier: MIT
/* The rounding R of integer totals, rows of channels at a time: what a channel needs is loaded once for all rows. */
#include <string.h>

#include "qtile.h"
#if defined(__x86_64__)
#include <immintrin.h>
#endif

/** Columns worked on at a time. */
#if defined(__AVX512F__)
#define STEP 16
#else
#define STEP 8
#endif

#if defined(__AVX512F__)
/* m and s of 16 channels: even and odd ones multiply apart, as products have 64 bits. */
struct round {
	__m512i m, m_odd, half, half_odd, s, s_odd;
};

WEFT_INTEGER_INLINE struct round load_round(const int32_t *m, const int32_t *s)
{
	const __m512i one = _mm512_set1_epi64(1);
	struct round r = {.m = _mm512_loadu_si512(m)};
	__m512i shift = _mm512_loadu_si512(s);

	r.m_odd = _mm512_srli_epi64(r.m, 32);
	r.s = _mm512_and_si512(shift, _mm512_set1_epi64(0xffffffff));
	r.s_odd = _mm512_srli_epi64(shift, 32);
	r.half = _mm512_sllv_epi64(one, _mm512_sub_epi64(r.s, one));
	r.half_odd = _mm512_sllv_epi64(one, _mm512_sub_epi64(r.s_odd, one));
	return r;
}

/* floor((t * m + 2^(s - 1)) / 2^s), saturated unless every s is at least 32. */
WEFT_INTEGER_INLINE __m512i requantize(__m512i t, const struct round *r, const bool saturate)
{
	__m512i even = _mm512_add_epi64(_mm512_mul_epi32(t, r->m), r->half);
	__m512i odd = _mm512_add_epi64(_mm512_mul_epi32(_mm512_srli_epi64(t, 32), r->m_odd), r->half_odd);

	if (saturate) {
		const __m512i order = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);

		even = _mm512_castsi256_si512(_mm512_cvtsepi64_epi32(_mm512_srav_epi64(even, r->s)));
		odd = _mm512_castsi256_si512(_mm512_cvtsepi64_epi32(_mm512_srav_epi64(odd, r->s_odd)));
		return _mm512_permutex2var_epi32(even, order, odd);
	}
	even = _mm512_srav_epi64(even, r->s);
	/* 32 bits less leave the result in the upper half. */
	odd = _mm512_srav_epi64(odd, _mm512_sub_epi64(r->s_odd, _mm512_set1_epi64(32)));
	return _mm512_mask_blend_epi32(0xaaaa, even, odd);
}

WEFT_INTEGER_INLINE void finish_columns(const struct weft_qfinish *f, const int32_t *total, size_t pitch,
					uint32_t column, uint32_t n, uint32_t rows, uint32_t offset,
					uint8_t *const to[], const bool saturate)
{
	const __m256i zero = _mm256_set1_epi16((short)f->zero);
	const __m256i low = _mm256_set1_epi16((short)f->low), high = _mm256_set1_epi16((short)f->high);
	const __mmask16 mask = (__mmask16)(n < 16 ? (1u << n) - 1 : 0xffff);
	const struct round r = load_round(f->multiplier + column, f->shift + column);

	for (uint32_t i = 0; i < rows; i++, total += pitch) {
		__m512i t = requantize(_mm512_loadu_si512(total), &r, saturate);
		__m256i q = _mm256_adds_epi16(_mm512_cvtsepi32_epi16(t), zero);

		q = _mm256_min_epi16(_mm256_max_epi16(q, low), high);
		if (n >= 16)
			_mm_storeu_si128((__m128i *)(to[i] + offset), _mm256_cvtepi16_epi8(q));
		else
			_mm256_mask_cvtepi16_storeu_epi8(to[i] + offset, mask, q);
	}
}

static void finish_wide(const struct weft_qfinish *f, const int32_t *total, size_t pitch, uint32_t column, uint32_t n,
			uint32_t rows, uint32_t offset, uint8_t *const to[])
{
	if (f->least_shift >= 32)
		finish_columns(f, total, pitch, column, n, rows, offset, to, false);
	else
		finish_columns(f, total, pitch, column, n, rows, offset, to, true);
}
#else
/* Any shift, an element at a time. */
static void finish_narrow(const struct weft_qfinish *f, const int32_t *total, size_t pitch, uint32_t column, uint32_t n,
			  uint32_t rows, uint32_t offset, uint8_t *const to[])
{
	for (uint32_t i = 0; i < rows; i++, total += pitch)
		for (uint32_t j = 0; j < n; j++) {
			int32_t r =
				weft_requantize(total[j], f->multiplier[column + j], (uint32_t)f->shift[column + j]);

			to[i][offset + j] = (uint8_t)weft_clamp_result(r, f->zero, f->low, f->high);
		}
}

#if defined(__AVX2__)
struct round {
	__m256i m, m_odd, half, half_odd, s, s_odd, less, less_odd;
};

/* 2^62 makes the dividend positive for the logical shift, and is taken off the quotient. */
WEFT_INTEGER_INLINE struct round load_round(const int32_t *m, const int32_t *s)
{
	const __m256i one = _mm256_set1_epi64x(1), bias = _mm256_set1_epi64x((int64_t)1 << 62);
	struct round r = {.m = _mm256_loadu_si256((const __m256i *)m)};
	__m256i shift = _mm256_loadu_si256((const __m256i *)s);

	r.m_odd = _mm256_srli_epi64(r.m, 32);
	r.s = _mm256_and_si256(shift, _mm256_set1_epi64x(0xffffffff));
	r.s_odd = _mm256_srli_epi64(shift, 32);
	r.half = _mm256_add_epi64(_mm256_sllv_epi64(one, _mm256_sub_epi64(r.s, one)), bias);
	r.half_odd = _mm256_add_epi64(_mm256_sllv_epi64(one, _mm256_sub_epi64(r.s_odd, one)), bias);
	r.less = _mm256_srlv_epi64(bias, r.s);
	r.less_odd = _mm256_srlv_epi64(bias, r.s_odd);
	return r;
}

/* All s at least 31: the quotient fits 32 bits. */
WEFT_INTEGER_INLINE __m256i requantize(__m256i t, const struct round *r)
{
	__m256i even = _mm256_add_epi64(_mm256_mul_epi32(t, r->m), r->half);
	__m256i odd = _mm256_add_epi64(_mm256_mul_epi32(_mm256_srli_epi64(t, 32), r->m_odd), r->half_odd);

	even = _mm256_sub_epi64(_mm256_srlv_epi64(even, r->s), r->less);
	odd = _mm256_sub_epi64(_mm256_srlv_epi64(odd, r->s_odd), r->less_odd);
	return _mm256_blend_epi32(even, _mm256_slli_epi64(odd, 32), 0xaa);
}

static void finish_wide(const struct weft_qfinish *f, const int32_t *total, size_t pitch, uint32_t column, uint32_t n,
			uint32_t rows, uint32_t offset, uint8_t *const to[])
{
	const __m128i zero = _mm_set1_epi16((short)f->zero);
	const __m128i low = _mm_set1_epi16((short)f->low), high = _mm_set1_epi16((short)f->high);
	struct round r;

	if (f->least_shift < 31) {
		finish_narrow(f, total, pitch, column, n, rows, offset, to);
		return;
	}
	r = load_round(f->multiplier + column, f->shift + column);
	for (uint32_t i = 0; i < rows; i++, total += pitch) {
		__m256i t = requantize(_mm256_loadu_si256((const __m256i *)total), &r);
		__m128i q = _mm_packs_epi32(_mm256_castsi256_si128(t), _mm256_extracti128_si256(t, 1));
		uint8_t part[8];

		q = _mm_min_epi16(_mm_max_epi16(_mm_adds_epi16(q, zero), low), high);
		/* Within the type already: only the low bytes are wanted. */
		q = _mm_packus_epi16(_mm_and_si128(q, _mm_set1_epi16(0xff)), q);
		if (n >= 8) {
			_mm_storel_epi64((__m128i *)(to[i] + offset), q);
			continue;
		}
		_mm_storel_epi64((__m128i *)part, q);
		memcpy(to[i] + offset, part, n);
	}
}
#else
#define finish_wide finish_narrow
#endif
#endif

void WEFT_KERNEL(weft_qfinish)(const struct weft_qfinish *f, const int32_t *total, size_t pitch, uint32_t column,
			       uint32_t n, uint32_t rows, uint8_t *const to[])
{
	if (!f->multiplier) {
		for (uint32_t i = 0; i < rows; i++, total += pitch)
			memcpy(to[i], total, (size_t)n * sizeof(*total));
		return;
	}
	for (uint32_t i = 0; i < n; i += STEP)
		finish_wide(f, total + i, pitch, column + i, n - i < STEP ? n - i : STEP, rows, i, to);
}
