// SPDX-License-Identifier: MIT
/* Subset sums: how much of a budget whole tensors can fill. */
#include "plan/poet/relax.h"

#include <stdlib.h>

/* Words times sizes: beyond this the answer is not worth its time. */
#define MOST_WORK (UINT64_C(1) << 22)

static uint64_t greatest_divisor(uint64_t a, uint64_t b)
{
	while (b) {
		uint64_t rest = a % b;

		a = b;
		b = rest;
	}
	return a;
}

/* sums |= sums << shift, over @words words. */
static void shift_in(uint64_t *sums, uint64_t words, uint64_t shift)
{
	uint64_t whole = shift / 64, part = shift % 64;

	for (uint64_t w = words; w-- > whole;) {
		uint64_t moved = sums[w - whole] << part;

		if (part && w > whole)
			moved |= sums[w - whole - 1] >> (64 - part);
		sums[w] |= moved;
	}
}

uint64_t poet_largest_sum(const uint64_t *size, size_t count, uint64_t limit)
{
	uint64_t unit = 0, total = 0, words, best;
	uint64_t *sums;

	for (size_t i = 0; i < count; i++) {
		unit = greatest_divisor(unit, size[i]);
		total += size[i];
	}
	if (total <= limit || !unit)
		return total;
	best = limit / unit;
	words = best / 64 + 1;
	if (words > MOST_WORK / (count + 1))
		return best * unit;
	sums = calloc(words, sizeof(*sums));
	if (!sums)
		return best * unit;
	sums[0] = 1;
	for (size_t i = 0; i < count; i++)
		if (size[i] && size[i] / unit <= best)
			shift_in(sums, words, size[i] / unit);
	while (best && !(sums[best / 64] >> (best % 64) & 1))
		best--;
	free(sums);
	return best * unit;
}
