/* SPDX-License-Identifier: MIT */
/** The order of summation of WEFT_SUM_REDUCE for terms that lie next to one another. */
#ifndef WEFT_ENGINE_SUM_H
#define WEFT_ENGINE_SUM_H

#include <stddef.h>
#include <weft_isa.h>
#include "vector.h"

#define WEFT_SUM_INLINE static inline __attribute__((always_inline, unused))

/* The tree over the 16 partial sums. */
WEFT_SUM_INLINE float weft_sum_fold(const float *p)
{
	float half[8], quarter[4];

	for (int j = 0; j < 8; j++)
		half[j] = p[j] + p[j + 8];
	for (int j = 0; j < 4; j++)
		quarter[j] = half[j] + half[j + 4];
	return (quarter[0] + quarter[2]) + (quarter[1] + quarter[3]);
}

/** Sum of one block: at most WEFT_SUM_REDUCE terms. */
WEFT_SUM_INLINE float weft_sum_block(const float *x, size_t n)
{
	enum { VECTORS = WEFT_SUM_PARTIALS / VF_WIDTH };
	vf sum[VECTORS] = {0};
	float partial[WEFT_SUM_PARTIALS];
	size_t i = 0;

	for (; i + WEFT_SUM_PARTIALS <= n; i += WEFT_SUM_PARTIALS)
		for (int k = 0; k < VECTORS; k++)
			sum[k] += vf_load(x + i + k * VF_WIDTH);
	for (int k = 0; k < VECTORS; k++)
		vf_store(partial + k * VF_WIDTH, sum[k]);
	for (size_t j = 0; i + j < n; j++)
		partial[j] += x[i + j];
	return weft_sum_fold(partial);
}

/** Sum of any number of terms. */
WEFT_SUM_INLINE float weft_sum(const float *x, size_t n)
{
	float total = 0.0f;

	for (size_t i = 0; i < n; i += WEFT_SUM_REDUCE)
		total += weft_sum_block(x + i, n - i < WEFT_SUM_REDUCE ? n - i : WEFT_SUM_REDUCE);
	return total;
}

#endif /* WEFT_ENGINE_SUM_H */
