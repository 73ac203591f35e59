/* SPDX-License-Identifier: MIT */
/**
 * Vectors of floats of the code path's width, for kernels that are written once
 * for all of them.  vf is a GCC vector: + - * / and comparisons work on it and
 * round like the scalar operations.  What needs an instruction of its own is below.
 */
#ifndef WEFT_ENGINE_VECTOR_H
#define WEFT_ENGINE_VECTOR_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <weft_isa.h>
#if defined(__AVX2__) || defined(__AVX512F__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

/** Floats of a vector. */
#if defined(__AVX512F__)
#define VF_WIDTH 16
#elif defined(__AVX2__)
#define VF_WIDTH 8
#else
#define VF_WIDTH 4
#endif

typedef float vf __attribute__((vector_size(VF_WIDTH * sizeof(float))));
typedef int32_t vi __attribute__((vector_size(VF_WIDTH * sizeof(float))));
typedef float vf_unaligned __attribute__((vector_size(VF_WIDTH * sizeof(float)), aligned(4), may_alias));

#define VF_INLINE static inline __attribute__((always_inline, unused))

VF_INLINE vf vf_load(const float *p)
{
	return *(const vf_unaligned *)p;
}

VF_INLINE void vf_store(float *p, vf v)
{
	*(vf_unaligned *)p = v;
}

VF_INLINE vf vf_set1(float x)
{
#if defined(__AVX512F__)
	return (vf)_mm512_set1_ps(x);
#elif defined(__AVX2__)
	return (vf)_mm256_set1_ps(x);
#else
	return (vf){x, x, x, x};
#endif
}

VF_INLINE vf vf_zero(void)
{
	return (vf){0};
}

/** a * b + c, rounded once. */
VF_INLINE vf vf_fma(vf a, vf b, vf c)
{
#if defined(__AVX512F__)
	return (vf)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif defined(__AVX2__)
	return (vf)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#elif defined(__aarch64__)
	return (vf)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
#else
	return (vf){fmaf(a[0], b[0], c[0]), fmaf(a[1], b[1], c[1]), fmaf(a[2], b[2], c[2]), fmaf(a[3], b[3], c[3])};
#endif
}

#if !defined(__AVX512F__) && defined(__AVX2__)
VF_INLINE __m256i vf_mask(unsigned int n)
{
	const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);

	return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), lane);
}
#endif

/** The first @n floats at @p, zeros above; reads nothing beyond them.  @n is at most VF_WIDTH. */
VF_INLINE vf vf_load_n(const float *p, unsigned int n)
{
#if defined(__AVX512F__)
	return (vf)_mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1), p);
#elif defined(__AVX2__)
	return n == VF_WIDTH ? vf_load(p) : (vf)_mm256_maskload_ps(p, vf_mask(n));
#else
	vf v = {0};

	for (unsigned int i = 0; i < n; i++)
		v[i] = p[i];
	return v;
#endif
}

/** Stores the first @n floats; writes nothing beyond them. */
VF_INLINE void vf_store_n(float *p, vf v, unsigned int n)
{
#if defined(__AVX512F__)
	_mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1), (__m512)v);
#elif defined(__AVX2__)
	/* A masked store takes many times as long on some processors. */
	if (n == VF_WIDTH)
		vf_store(p, v);
	else
		_mm256_maskstore_ps(p, vf_mask(n), (__m256)v);
#else
	for (unsigned int i = 0; i < n; i++)
		p[i] = v[i];
#endif
}

VF_INLINE vi vi_load(const int32_t *p)
{
	vi v;

	memcpy(&v, p, sizeof(v));
	return v;
}

VF_INLINE void vi_store(int32_t *p, vi v)
{
	memcpy(p, &v, sizeof(v));
}

VF_INLINE vi vi_max(vi a, vi b)
{
	vi take = a > b;

	return (a & take) | (b & ~take);
}

/** The @n bytes at @p, widened, zeros above; reads nothing beyond them.  @n is at most VF_WIDTH. */
VF_INLINE vi vi_load_bytes(const uint8_t *p, size_t n)
{
#if defined(__AVX512BW__) && defined(__AVX512VL__)
	return (vi)_mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8((__mmask16)((1u << n) - 1), p));
#else
	vi v = {0};

	for (size_t i = 0; i < n; i++)
		v[i] = p[i];
	return v;
#endif
}

/** The low bytes of the first @n lanes; writes nothing beyond them. */
VF_INLINE void vi_store_bytes(uint8_t *p, vi v, size_t n)
{
#if defined(__AVX512F__)
	_mm512_mask_cvtepi32_storeu_epi8(p, (__mmask16)((1u << n) - 1), (__m512i)v);
#else
	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)v[i];
#endif
}

/** mask lane (all ones or zero) ? a : b */
VF_INLINE vf vf_select(vi mask, vf a, vf b)
{
#if defined(__AVX512F__)
	return (vf)_mm512_mask_blend_ps(_mm512_movepi32_mask((__m512i)mask), (__m512)b, (__m512)a);
#else
	return (vf)((mask & (vi)a) | (~mask & (vi)b));
#endif
}

/** a > b ? a : b, lane by lane: b where either is NaN. */
VF_INLINE vf vf_max(vf a, vf b)
{
#if defined(__AVX512F__)
	return (vf)_mm512_max_ps((__m512)a, (__m512)b);
#elif defined(__AVX2__)
	return (vf)_mm256_max_ps((__m256)a, (__m256)b);
#else
	return vf_select(a > b, a, b);
#endif
}

/** a < b ? a : b, lane by lane: b where either is NaN. */
VF_INLINE vf vf_min(vf a, vf b)
{
#if defined(__AVX512F__)
	return (vf)_mm512_min_ps((__m512)a, (__m512)b);
#elif defined(__AVX2__)
	return (vf)_mm256_min_ps((__m256)a, (__m256)b);
#else
	return vf_select(a < b, a, b);
#endif
}

/**
 * The activation of an epilogue, enum weft_activation: RELU is 0 > x ? 0 : x, so -0 and NaN stay;
 * CLIP is v = alpha > x ? alpha : x; beta < v ? beta : v.
 */
VF_INLINE vf vf_activate(vf x, uint32_t activation, float alpha, float beta)
{
	switch (activation) {
	case WEFT_ACT_RELU:
		return vf_max(vf_zero(), x);
	case WEFT_ACT_CLIP:
		return vf_min(vf_set1(beta), vf_max(vf_set1(alpha), x));
	default:
		return x;
	}
}

#endif /* WEFT_ENGINE_VECTOR_H */
