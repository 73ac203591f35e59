// SPDX-License-Identifier: MIT
#include <stdlib.h>
#include <string.h>

#include "operand.h"

#define GUARD 32

uint32_t random_next(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15ull;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return (uint32_t)((z ^ (z >> 31)) >> 32);
}

uint32_t random_range(uint64_t *state, uint32_t low, uint32_t high)
{
	return low + random_next(state) % (high - low + 1);
}

float random_float(uint64_t *state)
{
	uint32_t r = random_next(state);

	return r % 16 == 0 ? 0.0f : (float)(int32_t)r * 0x1p-31f;
}

struct operand operand_new(uint64_t *state, unsigned int rank, const uint32_t dims[], const unsigned int order[],
			   unsigned int gap)
{
	struct operand o = {.tensor = {.type = WEFT_TYPE_F32, .rank = rank}};
	size_t stride = 1;

	for (unsigned int i = 0; i < rank; i++) {
		unsigned int d = order ? order[i] : rank - 1 - i;

		o.tensor.dims[d] = dims[d];
		o.tensor.strides[d] = (int32_t)stride;
		stride = stride * dims[d] + (gap ? random_range(state, 0, gap) : 0);
	}
	o.count = stride + 2 * GUARD;
	o.storage = malloc(o.count * sizeof(float));
	if (!o.storage)
		abort();
	o.base = o.storage + GUARD;
	for (size_t i = 0; i < o.count; i++)
		o.storage[i] = random_float(state);
	return o;
}

struct operand operand_absent(void)
{
	return (struct operand){.tensor = {.type = WEFT_TYPE_NONE}};
}

struct operand operand_copy(const struct operand *operand)
{
	struct operand o = *operand;

	if (!operand->storage)
		return o;
	o.storage = malloc(o.count * sizeof(float));
	if (!o.storage)
		abort();
	memcpy(o.storage, operand->storage, o.count * sizeof(float));
	o.base = o.storage + (operand->base - operand->storage);
	return o;
}

void operand_free(struct operand *operand)
{
	free(operand->storage);
	operand->storage = operand->base = NULL;
}

ptrdiff_t operand_difference(const struct operand *a, const struct operand *b)
{
	for (size_t i = 0; i < a->count; i++)
		if (memcmp(&a->storage[i], &b->storage[i], sizeof(float)))
			return (ptrdiff_t)i;
	return -1;
}
