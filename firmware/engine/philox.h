/* SPDX-License-Identifier: MIT */
/** Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011). */
#ifndef WEFT_ENGINE_PHILOX_H
#define WEFT_ENGINE_PHILOX_H

#include <stddef.h>
#include <stdint.h>
#if defined(__AVX2__) || defined(__AVX512F__)
#include <immintrin.h>
#endif

#define WEFT_PHILOX_M0 0xd2511f53u
#define WEFT_PHILOX_M1 0xcd9e8d57u
#define WEFT_PHILOX_W0 0x9e3779b9u
#define WEFT_PHILOX_W1 0xbb67ae85u

#define WEFT_PHILOX_INLINE static inline __attribute__((always_inline, unused))

/*
 * Vectors hold a counter word in the low half of each 64-bit lane.  What the high
 * halves hold does not matter: the multiplication reads the low ones only.
 */
#if defined(__AVX512F__)
#define WEFT_PHILOX_BLOCKS 8

/* WEFT_PHILOX_BLOCKS blocks from @first on; a number beyond 32 bits loses its high ones, as in the multiplication. */
WEFT_PHILOX_INLINE void weft_philox_vector(const uint32_t key[2], uint32_t c1_, uint32_t c2_, uint32_t c3_,
					   uint32_t first, uint32_t *word)
{
	const __m512i m0 = _mm512_set1_epi64(WEFT_PHILOX_M0), m1 = _mm512_set1_epi64(WEFT_PHILOX_M1);
	const __m512i low = _mm512_set1_epi64(0xffffffff);
	const __m512i even = _mm512_setr_epi64(0, 8, 1, 9, 2, 10, 3, 11);
	const __m512i odd = _mm512_setr_epi64(4, 12, 5, 13, 6, 14, 7, 15);
	__m512i c0 = _mm512_add_epi64(_mm512_set1_epi64(first), _mm512_setr_epi64(0, 1, 2, 3, 4, 5, 6, 7));
	__m512i c1 = _mm512_set1_epi64(c1_), c2 = _mm512_set1_epi64(c2_), c3 = _mm512_set1_epi64(c3_);
	uint32_t k0 = key[0], k1 = key[1];

	for (int round = 0; round < 10; round++, k0 += WEFT_PHILOX_W0, k1 += WEFT_PHILOX_W1) {
		__m512i p0 = _mm512_mul_epu32(c0, m0), p1 = _mm512_mul_epu32(c2, m1);

		c0 = _mm512_ternarylogic_epi64(_mm512_srli_epi64(p1, 32), c1, _mm512_set1_epi64(k0), 0x96);
		c2 = _mm512_ternarylogic_epi64(_mm512_srli_epi64(p0, 32), c3, _mm512_set1_epi64(k1), 0x96);
		c1 = p1;
		c3 = p0;
	}
	c0 = _mm512_or_si512(_mm512_and_si512(c0, low), _mm512_slli_epi64(c1, 32));
	c2 = _mm512_or_si512(_mm512_and_si512(c2, low), _mm512_slli_epi64(c3, 32));
	_mm512_storeu_si512(word, _mm512_permutex2var_epi64(c0, even, c2));
	_mm512_storeu_si512(word + 16, _mm512_permutex2var_epi64(c0, odd, c2));
}
#elif defined(__AVX2__)
#define WEFT_PHILOX_BLOCKS 4

WEFT_PHILOX_INLINE void weft_philox_vector(const uint32_t key[2], uint32_t c1_, uint32_t c2_, uint32_t c3_,
					   uint32_t first, uint32_t *word)
{
	const __m256i m0 = _mm256_set1_epi64x(WEFT_PHILOX_M0), m1 = _mm256_set1_epi64x(WEFT_PHILOX_M1);
	const __m256i low = _mm256_set1_epi64x(0xffffffff);
	__m256i c0 = _mm256_add_epi64(_mm256_set1_epi64x(first), _mm256_setr_epi64x(0, 1, 2, 3));
	__m256i c1 = _mm256_set1_epi64x(c1_), c2 = _mm256_set1_epi64x(c2_), c3 = _mm256_set1_epi64x(c3_), a, b;
	uint32_t k0 = key[0], k1 = key[1];

	for (int round = 0; round < 10; round++, k0 += WEFT_PHILOX_W0, k1 += WEFT_PHILOX_W1) {
		__m256i p0 = _mm256_mul_epu32(c0, m0), p1 = _mm256_mul_epu32(c2, m1);

		c0 = _mm256_xor_si256(_mm256_xor_si256(_mm256_srli_epi64(p1, 32), c1), _mm256_set1_epi64x(k0));
		c2 = _mm256_xor_si256(_mm256_xor_si256(_mm256_srli_epi64(p0, 32), c3), _mm256_set1_epi64x(k1));
		c1 = p1;
		c3 = p0;
	}
	c0 = _mm256_or_si256(_mm256_and_si256(c0, low), _mm256_slli_epi64(c1, 32));
	c2 = _mm256_or_si256(_mm256_and_si256(c2, low), _mm256_slli_epi64(c3, 32));
	/* Blocks 0 and 2, 1 and 3. */
	a = _mm256_unpacklo_epi64(c0, c2);
	b = _mm256_unpackhi_epi64(c0, c2);
	_mm256_storeu_si256((__m256i *)word, _mm256_permute2x128_si256(a, b, 0x20));
	_mm256_storeu_si256((__m256i *)(word + 8), _mm256_permute2x128_si256(a, b, 0x31));
}
#endif

/** Blocks [@first, @first + @count), of four words each, of counter {block, @c1, @c2, @c3} and key @key. */
WEFT_PHILOX_INLINE void weft_philox(const uint32_t key[2], uint32_t c1_, uint32_t c2_, uint32_t c3_, uint32_t first,
				    size_t count, uint32_t *word)
{
	size_t i = 0;

#if defined(WEFT_PHILOX_BLOCKS)
	for (; i + WEFT_PHILOX_BLOCKS <= count; i += WEFT_PHILOX_BLOCKS)
		weft_philox_vector(key, c1_, c2_, c3_, (uint32_t)(first + i), word + 4 * i);
#endif
	for (; i < count; i++) {
		uint32_t c0 = (uint32_t)(first + i), c1 = c1_, c2 = c2_, c3 = c3_;
		uint32_t k0 = key[0], k1 = key[1];

		for (int round = 0; round < 10; round++) {
			uint64_t p0 = (uint64_t)WEFT_PHILOX_M0 * c0, p1 = (uint64_t)WEFT_PHILOX_M1 * c2;

			c0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
			c1 = (uint32_t)p1;
			c2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
			c3 = (uint32_t)p0;
			k0 += WEFT_PHILOX_W0;
			k1 += WEFT_PHILOX_W1;
		}
		word[4 * i] = c0;
		word[4 * i + 1] = c1;
		word[4 * i + 2] = c2;
		word[4 * i + 3] = c3;
	}
}

#endif /* WEFT_ENGINE_PHILOX_H */
