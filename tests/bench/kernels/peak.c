// SPDX-License-Identifier: MIT
/* The rate of fused multiply-adds that one core reaches with nothing else to do. */
#include <string.h>
#include <time.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "kernels.h"

#define CHAINS 16
#define STEPS 2000000

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static volatile float sink;

#if defined(__x86_64__)
__attribute__((target("avx512f"))) static double rate_avx512(void)
{
	__m512 sum[CHAINS], factor = _mm512_set1_ps(0.5f);
	double begin = now(), end;
	float out[16];

	for (int i = 0; i < CHAINS; i++)
		sum[i] = _mm512_set1_ps((float)i);
	for (int s = 0; s < STEPS; s++)
#pragma GCC unroll 16
		for (int i = 0; i < CHAINS; i++)
			sum[i] = _mm512_fmadd_ps(sum[i], factor, factor);
	end = now();
	for (int i = 1; i < CHAINS; i++)
		sum[0] = _mm512_add_ps(sum[0], sum[i]);
	_mm512_storeu_ps(out, sum[0]);
	sink = out[0];
	return 2.0 * 16 * CHAINS * STEPS / (end - begin);
}

__attribute__((target("avx2,fma"))) static double rate_avx2(void)
{
	/* Twelve chains and the factor fit the sixteen registers. */
	__m256 sum[12], factor = _mm256_set1_ps(0.5f);
	double begin = now(), end;
	float out[8];

	for (int i = 0; i < 12; i++)
		sum[i] = _mm256_set1_ps((float)i);
	for (int s = 0; s < STEPS; s++)
#pragma GCC unroll 16
		for (int i = 0; i < 12; i++)
			sum[i] = _mm256_fmadd_ps(sum[i], factor, factor);
	end = now();
	for (int i = 1; i < 12; i++)
		sum[0] = _mm256_add_ps(sum[0], sum[i]);
	_mm256_storeu_ps(out, sum[0]);
	sink = out[0];
	return 2.0 * 8 * 12 * STEPS / (end - begin);
}
#endif

double fma_peak(enum weft_engine_isa isa)
{
	double best = 0;

	for (int i = 0; i < 5; i++) {
		double rate = 0;

#if defined(__x86_64__)
		if (isa == WEFT_ENGINE_AVX512)
			rate = rate_avx512();
		if (isa == WEFT_ENGINE_AVX2)
			rate = rate_avx2();
#endif
		best = rate > best ? rate : best;
	}
	(void)isa;
	return best;
}
