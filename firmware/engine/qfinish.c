// SPDX-License-Identifier: MIT
/* The rounding R of integer totals, a row of channels at a time. */
#include <string.h>

#include "qtile.h"
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#if defined(__AVX512F__)
/* floor((t * m + 2^(s - 1)) / 2^s), saturated unless every s is at least 32. */
WEFT_INTEGER_INLINE __m512i requantize(__m512i t, __m512i m, __m512i s, bool saturate)
{
	const __m512i one = _mm512_set1_epi64(1), low = _mm512_set1_epi64(0xffffffff);
	const __m512i s_even = _mm512_and_si512(s, low), s_odd = _mm512_srli_epi64(s, 32);
	__m512i even = _mm512_mul_epi32(t, m);
	__m512i odd = _mm512_mul_epi32(_mm512_srli_epi64(t, 32), _mm512_srli_epi64(m, 32));

	even = _mm512_add_epi64(even, _mm512_sllv_epi64(one, _mm512_sub_epi64(s_even, one)));
	odd = _mm512_add_epi64(odd, _mm512_sllv_epi64(one, _mm512_sub_epi64(s_odd, one)));
	if (saturate) {
		const __m512i order = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);

		even = _mm512_castsi256_si512(_mm512_cvtsepi64_epi32(_mm512_srav_epi64(even, s_even)));
		odd = _mm512_castsi256_si512(_mm512_cvtsepi64_epi32(_mm512_srav_epi64(odd, s_odd)));
		return _mm512_permutex2var_epi32(even, order, odd);
	}
	even = _mm512_srav_epi64(even, s_even);
	/* 32 bits less leave the result in the upper half. */
	odd = _mm512_srav_epi64(odd, _mm512_sub_epi64(s_odd, _mm512_set1_epi64(32)));
	return _mm512_mask_blend_epi32(0xaaaa, even, odd);
}

WEFT_INTEGER_INLINE void finish(const struct weft_qfinish *f, const int32_t *total, uint32_t column, uint32_t n,
				uint8_t *to, const bool saturate)
{
	const __m256i zero = _mm256_set1_epi16((short)f->zero);
	const __m256i low = _mm256_set1_epi16((short)f->low), high = _mm256_set1_epi16((short)f->high);

	for (uint32_t i = 0; i < n; i += 16) {
		__mmask16 mask = (__mmask16)(n - i < 16 ? (1u << (n - i)) - 1 : 0xffff);
		__m512i r = requantize(_mm512_loadu_si512(total + i), _mm512_loadu_si512(f->multiplier + column + i),
				       _mm512_loadu_si512(f->shift + column + i), saturate);
		__m256i q = _mm256_adds_epi16(_mm512_cvtsepi32_epi16(r), zero);

		q = _mm256_min_epi16(_mm256_max_epi16(q, low), high);
		_mm256_mask_cvtepi16_storeu_epi8(to + i, mask, q);
	}
}
#elif defined(__AVX2__)
/* All s at least 31: the quotient fits 32 bits.  2^62 makes the dividend positive for the logical shift. */
WEFT_INTEGER_INLINE __m256i requantize(__m256i t, __m256i m, __m256i s)
{
	const __m256i one = _mm256_set1_epi64x(1), bias = _mm256_set1_epi64x((int64_t)1 << 62);
	const __m256i s_even = _mm256_and_si256(s, _mm256_set1_epi64x(0xffffffff)), s_odd = _mm256_srli_epi64(s, 32);
	__m256i even = _mm256_mul_epi32(t, m);
	__m256i odd = _mm256_mul_epi32(_mm256_srli_epi64(t, 32), _mm256_srli_epi64(m, 32));

	even = _mm256_add_epi64(even, _mm256_sllv_epi64(one, _mm256_sub_epi64(s_even, one)));
	odd = _mm256_add_epi64(odd, _mm256_sllv_epi64(one, _mm256_sub_epi64(s_odd, one)));
	even = _mm256_sub_epi64(_mm256_srlv_epi64(_mm256_add_epi64(even, bias), s_even),
				_mm256_srlv_epi64(bias, s_even));
	odd = _mm256_sub_epi64(_mm256_srlv_epi64(_mm256_add_epi64(odd, bias), s_odd), _mm256_srlv_epi64(bias, s_odd));
	return _mm256_blend_epi32(even, _mm256_slli_epi64(odd, 32), 0xaa);
}

WEFT_INTEGER_INLINE void finish8(const struct weft_qfinish *f, const int32_t *total, uint32_t column, uint8_t to[8])
{
	__m256i r = requantize(_mm256_loadu_si256((const __m256i *)total),
			       _mm256_loadu_si256((const __m256i *)(f->multiplier + column)),
			       _mm256_loadu_si256((const __m256i *)(f->shift + column)));
	__m128i q = _mm_packs_epi32(_mm256_castsi256_si128(r), _mm256_extracti128_si256(r, 1));

	q = _mm_adds_epi16(q, _mm_set1_epi16((short)f->zero));
	q = _mm_min_epi16(_mm_max_epi16(q, _mm_set1_epi16((short)f->low)), _mm_set1_epi16((short)f->high));
	/* Within the type already: only the low bytes are wanted. */
	q = _mm_packus_epi16(_mm_and_si128(q, _mm_set1_epi16(0xff)), q);
	_mm_storel_epi64((__m128i *)to, q);
}
#endif

void WEFT_KERNEL(weft_qfinish)(const struct weft_qfinish *f, const int32_t *total, uint32_t column, uint32_t n,
			       void *to)
{
	uint8_t *bytes = to;
	uint32_t i = 0;

	if (!f->multiplier) {
		memcpy(to, total, (size_t)n * sizeof(*total));
		return;
	}
#if defined(__AVX512F__)
	if (f->least_shift >= 32)
		finish(f, total, column, n, bytes, false);
	else
		finish(f, total, column, n, bytes, true);
	i = n;
#elif defined(__AVX2__)
	if (f->least_shift >= 31) {
		for (; i + 8 <= n; i += 8)
			finish8(f, total + i, column + i, bytes + i);
		if (i < n) {
			uint8_t last[8];

			finish8(f, total + i, column + i, last);
			memcpy(bytes + i, last, n - i);
			i = n;
		}
	}
#endif
	for (; i < n; i++) {
		int32_t r = weft_requantize(total[i], f->multiplier[column + i], (uint32_t)f->shift[column + i]);

		bytes[i] = (uint8_t)weft_clamp_result(r, f->zero, f->low, f->high);
	}
}
