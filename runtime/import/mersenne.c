// SPDX-License-Identifier: MIT
#include "import/mersenne.h"

#define WORDS 624
#define SHIFT 397

void weft_mersenne_seed(struct weft_mersenne *generator, uint32_t seed)
{
	uint32_t i;

	generator->word[0] = seed;
	for (i = 1; i < WORDS; i++) {
		seed = 1812433253u * (seed ^ seed >> 30) + i;
		generator->word[i] = seed;
	}
	generator->next = WORDS;
}

static void refill(struct weft_mersenne *generator)
{
	uint32_t *word = generator->word;
	unsigned int i;

	for (i = 0; i < WORDS; i++) {
		uint32_t mixed = (word[i] & 0x80000000u) | (word[(i + 1) % WORDS] & 0x7fffffffu);

		word[i] = word[(i + SHIFT) % WORDS] ^ mixed >> 1 ^ (mixed & 1 ? 0x9908b0dfu : 0);
	}
	generator->next = 0;
}

static uint32_t draw(struct weft_mersenne *generator)
{
	uint32_t y;

	if (generator->next == WORDS)
		refill(generator);
	y = generator->word[generator->next++];
	y ^= y >> 11;
	y ^= y << 7 & 0x9d2c5680u;
	y ^= y << 15 & 0xefc60000u;
	return y ^ y >> 18;
}

double weft_mersenne_uniform(struct weft_mersenne *generator)
{
	uint32_t high = draw(generator) >> 5, low = draw(generator) >> 6;

	return ((double)high * 67108864 + (double)low) / 9007199254740992;
}
