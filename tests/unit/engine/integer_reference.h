/* SPDX-License-Identifier: MIT */
/**
 * The integer operations said in the plainest way, from the text of
 * <weft_isa.h>, for tests; shares no code with the engine.
 */
#ifndef TEST_INTEGER_REFERENCE_H
#define TEST_INTEGER_REFERENCE_H

#include "op.h"

/** R(t, m, s). */
int64_t reference_round(int64_t t, int64_t m, int64_t s);
/** The element of a quantized tensor at element offset @at, less the zero point. */
int64_t reference_quantized(const struct tensor *tensor, int64_t at);
/** min(max(zero + r, low), high) into byte @to. */
void reference_store(void *to, int64_t r, int64_t zero, int64_t low, int64_t high);

/* Each writes its output operand. */
void reference_qmatmul(const union weft_params *params, struct tensor operand[]);
void reference_qconv(const union weft_params *params, struct tensor operand[]);

/** How random bytes are drawn: over the whole range, or the least or greatest value only. */
enum fill { FILL_RANDOM, FILL_LEAST, FILL_GREATEST, FILLS };
/** A quantized tensor with gaps after the rows, dense innermost, its zero point drawn too. */
struct tensor quantized_rows(uint64_t *state, enum weft_type type, unsigned int rank, const uint32_t dims[],
			     enum fill fill);
/** The same in any layout. */
struct tensor quantized_any(uint64_t *state, enum weft_type type, unsigned int rank, const uint32_t dims[],
			    enum fill fill);
/** i32, over the whole range. */
struct tensor random_totals(uint64_t *state, uint32_t channels);
/** A multiplier tensor of @channels rows; about 2^-@bits; shifts below 32 where @small. */
struct tensor random_multipliers(uint64_t *state, uint32_t channels, unsigned int bits, bool small);
/** low and high for a result of @type: all of it, or a part. */
void random_clamp(uint64_t *state, enum weft_type type, int32_t *low, int32_t *high);

#endif /* TEST_INTEGER_REFERENCE_H */
