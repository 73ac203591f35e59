/* SPDX-License-Identifier: MIT */
/**
 * Arithmetic of the integer operations, as "Integer operations" in <weft_isa.h>
 * defines it; what vector code must agree with.
 */
#ifndef WEFT_ENGINE_INTEGER_H
#define WEFT_ENGINE_INTEGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <weft_isa.h>

#include "engine.h"

#define WEFT_INTEGER_INLINE static inline __attribute__((always_inline, unused))

/** floor(@x / 2^@s), where >> of a negative number is an arithmetic shift. */
WEFT_INTEGER_INLINE int64_t weft_shift_right(int64_t x, uint32_t s)
{
	return x >> s;
}

/** R(t, m, s). */
WEFT_INTEGER_INLINE int32_t weft_requantize(int32_t t, int32_t m, uint32_t s)
{
	int64_t r = weft_shift_right((int64_t)t * m + ((int64_t)1 << (s - 1)), s);

	return r > INT32_MAX ? INT32_MAX : r < INT32_MIN ? INT32_MIN : (int32_t)r;
}

/** The result @zero + @r within [@low, @high]. */
WEFT_INTEGER_INLINE int32_t weft_clamp_result(int32_t r, int32_t zero, int32_t low, int32_t high)
{
	int64_t q = (int64_t)r + zero;

	return (int32_t)(q < low ? low : q > high ? high : q);
}

/** Element @i of i8 or u8 elements. */
WEFT_INTEGER_INLINE int32_t weft_byte(const uint8_t *p, bool is_signed)
{
	return is_signed ? (int8_t)*p : *p;
}

/** A multiplier tensor as the kernels read it: rows (m, s), @step elements apart; 0 where one is for all. */
struct weft_multipliers {
	const int32_t *row;
	ptrdiff_t step;
};

WEFT_INTEGER_INLINE struct weft_multipliers weft_multipliers_of(const struct weft_tensor *tensor, const void *at)
{
	return (struct weft_multipliers){at, at && tensor->dims[0] > 1 ? tensor->strides[0] : 0};
}

/** Faults with WEFT_FAULT_VALUE unless every row is in range. */
enum weft_fault weft_multipliers_check(const struct weft_tensor *tensor, const void *at, unsigned int operand,
				       struct weft_fault_record *fault);

#endif /* WEFT_ENGINE_INTEGER_H */
