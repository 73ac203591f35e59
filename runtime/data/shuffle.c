// SPDX-License-Identifier: MIT
/*
 * A permutation without storage: a balanced Feistel network over the smallest
 * even number of bits that holds the count, walked until it falls inside
 * (Black and Rogaway, "Ciphers with arbitrary finite domains", 2002).
 */
#include "dataset.h"

#define ROUNDS 6

uint64_t weft_shuffle_at(const struct weft_shuffle *shuffle, uint64_t position)
{
	uint64_t key = weft_mix(shuffle->seed + 0x9e3779b97f4a7c15 * (shuffle->epoch + 1));
	unsigned int half = 1;
	uint64_t mask;

	if (shuffle->examples < 2)
		return 0;
	while (half < 32 && (shuffle->examples - 1) >> (2 * half))
		half++;
	mask = (UINT64_C(1) << half) - 1;
	do {
		uint64_t left = position >> half, right = position & mask;

		for (unsigned int round = 0; round < ROUNDS; round++) {
			uint64_t mixed = left ^ (weft_mix(right + key + round * 0x9e3779b97f4a7c15) & mask);

			left = right;
			right = mixed;
		}
		position = left << half | right;
	} while (position >= shuffle->examples);
	return position;
}
