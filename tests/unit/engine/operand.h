/* SPDX-License-Identifier: MIT */
/**
 * Operands in host memory for tests of the engine: random contents, gaps
 * between the elements, and a guard on both sides, so that a comparison of the
 * whole storage finds a write outside the tensor.
 */
#ifndef TEST_OPERAND_H
#define TEST_OPERAND_H

#include <stddef.h>
#include <stdint.h>
#include <weft_isa.h>

struct operand {
	struct weft_tensor tensor;
	/** All elements, guards and gaps included. */
	float *storage;
	size_t count;
	/** Element [0, 0, ...]; NULL: absent. */
	float *base;
};

/** A small generator with a state of its own, so that a case can be repeated from its seed. */
uint32_t random_next(uint64_t *state);
/** In [low, high]. */
uint32_t random_range(uint64_t *state, uint32_t low, uint32_t high);
/** In [-1, 1), sometimes 0. */
float random_float(uint64_t *state);

/**
 * @order lists the dimensions from the innermost outwards (NULL: last dimension
 * innermost); @gap: up to this many unused elements after each extent but that of the innermost dimension.
 */
struct operand operand_new(uint64_t *state, unsigned int rank, const uint32_t dims[], const unsigned int order[],
			   unsigned int gap);
struct operand operand_absent(void);
struct operand operand_copy(const struct operand *operand);
void operand_free(struct operand *operand);
/** Index in storage of the first difference in bits, or -1. */
ptrdiff_t operand_difference(const struct operand *a, const struct operand *b);

#endif /* TEST_OPERAND_H */
