// SPDX-License-Identifier: MIT
/* Compiled twice, for RV32 and for the host: both must give the same words. */
#include "compute.h"

static uint32_t next(uint32_t *state)
{
	*state = *state * 1664525u + 1013904223u;
	return *state;
}

/* Operands that have special cases, then any. */
static uint32_t operand(uint32_t i, uint32_t *state)
{
	static const uint32_t special[] = {0, 1, 2, 0x7fffffff, 0x80000000, 0xffffffff, 0xfffffffe, 31, 32};

	return i < sizeof(special) / sizeof(special[0]) ? special[i] : next(state);
}

static uint32_t put(uint32_t *out, uint32_t a, uint32_t b)
{
	int32_t x = (int32_t)a, y = (int32_t)b;
	uint32_t n = 0;

	out[n++] = a + b;
	out[n++] = a - b;
	out[n++] = a * b;
	out[n++] = (uint32_t)((uint64_t)a * b >> 32);
	out[n++] = (uint32_t)((uint64_t)((int64_t)x * y) >> 32);
	out[n++] = (uint32_t)((uint64_t)((int64_t)x * (int64_t)(uint64_t)b) >> 32);
	out[n++] = b ? a / b : 0;
	out[n++] = b ? a % b : 0;
	out[n++] = b && !(a == 0x80000000 && b == 0xffffffff) ? (uint32_t)(x / y) : 0;
	out[n++] = b && !(a == 0x80000000 && b == 0xffffffff) ? (uint32_t)(x % y) : 0;
	out[n++] = a << (b & 31);
	out[n++] = a >> (b & 31);
	out[n++] = (uint32_t)(x >> (b & 31));
	out[n++] = (x < y) | (a < b) << 1 | (x >= y) << 2 | (a >= b) << 3 | (a == b) << 4;
	out[n++] = (a & b) ^ (a | ~b);
	out[n++] = (uint32_t)(int8_t)a + (uint16_t)b + (uint32_t)(int16_t)b + (uint8_t)a;
	return n;
}

uint32_t compute(uint32_t *out)
{
	static uint8_t bytes[64];
	uint32_t state = 1, n = 0;

	for (uint32_t i = 0; i < 24; i++) {
		uint32_t a = operand(i, &state);

		for (uint32_t j = 0; j < 24; j++) {
			if (n + 16 > COMPUTE_WORDS - 2)
				break;
			n += put(out + n, a, operand(j, &state));
		}
	}
	/* Loads and stores of all sizes, unaligned ones as bytes. */
	for (uint32_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 37);
	for (uint32_t i = 0; i + 8 < sizeof(bytes); i += 3) {
		state ^= bytes[i] | (uint32_t)bytes[i + 5] << 12;
		bytes[i + 1] ^= (uint8_t)state;
		next(&state);
	}
	out[n++] = state;
	return n;
}
