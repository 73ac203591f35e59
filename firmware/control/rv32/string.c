// SPDX-License-Identifier: MIT
/* What the compiler may call in a freestanding program. */
#include <stddef.h>
#include <stdint.h>

void *memcpy(void *restrict to, const void *restrict from, size_t bytes);
void *memset(void *to, int value, size_t bytes);
int memcmp(const void *a, const void *b, size_t bytes);

/* Most of what is copied and cleared is made of words: eight at a time. */

void *memcpy(void *restrict to, const void *restrict from, size_t bytes)
{
	uint8_t *t = to;
	const uint8_t *f = from;

	if (!(((uintptr_t)t | (uintptr_t)f) & 3)) {
		for (; bytes >= 32; bytes -= 32, t += 32, f += 32) {
			const uint32_t *word = (const void *)f;
			uint32_t a = word[0], b = word[1], c = word[2], d = word[3];

			((uint32_t *)(void *)t)[0] = a;
			((uint32_t *)(void *)t)[1] = b;
			((uint32_t *)(void *)t)[2] = c;
			((uint32_t *)(void *)t)[3] = d;
			a = word[4], b = word[5], c = word[6], d = word[7];
			((uint32_t *)(void *)t)[4] = a;
			((uint32_t *)(void *)t)[5] = b;
			((uint32_t *)(void *)t)[6] = c;
			((uint32_t *)(void *)t)[7] = d;
		}
		for (; bytes >= 4; bytes -= 4, t += 4, f += 4)
			*(uint32_t *)(void *)t = *(const uint32_t *)(const void *)f;
	}
	while (bytes--)
		*t++ = *f++;
	return to;
}

void *memset(void *to, int value, size_t bytes)
{
	uint32_t word = (uint8_t)value * 0x01010101u;
	uint8_t *t = to;

	if (!((uintptr_t)t & 3)) {
		for (; bytes >= 32; bytes -= 32, t += 32) {
			uint32_t *words = (void *)t;

			words[0] = words[1] = words[2] = words[3] = word;
			words[4] = words[5] = words[6] = words[7] = word;
		}
		for (; bytes >= 4; bytes -= 4, t += 4)
			*(uint32_t *)(void *)t = word;
	}
	while (bytes--)
		*t++ = (uint8_t)value;
	return to;
}

int memcmp(const void *a, const void *b, size_t bytes)
{
	const uint8_t *x = a, *y = b;

	for (; bytes; bytes--, x++, y++) {
		if (*x != *y)
			return *x - *y;
	}
	return 0;
}
