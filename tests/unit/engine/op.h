/* SPDX-License-Identifier: MIT */
/**
 * Operands of any type and layout for tests of the engine, and running one
 * operation on every code path of this processor with 1, 2 and 3 lanes.
 */
#ifndef TEST_OP_H
#define TEST_OP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <weft_isa.h>
#include "engine.h"
#include "operand.h"

/** A tensor with guards on both sides of its storage. */
struct tensor {
	struct weft_tensor t;
	unsigned char *storage;
	size_t bytes;
	unsigned char *base; /* element [0, 0, ...]; NULL: absent */
};

unsigned int type_bytes(unsigned int type);
/** All types but the packed ones. */
#define WHOLE_TYPES 9
extern const enum weft_type whole_types[WHOLE_TYPES];
/** Dense, contents zero. */
struct tensor tensor_dense(enum weft_type type, unsigned int rank, const uint32_t dims[]);
/** A layout picked from @state: any order of dimensions, gaps, walks backwards. Contents are random_float() or small
 * integers. */
struct tensor tensor_random(uint64_t *state, enum weft_type type, unsigned int rank, const uint32_t dims[]);
/** Dimensions in @order from the innermost outwards, no gaps. */
struct tensor tensor_ordered(uint64_t *state, enum weft_type type, unsigned int rank, const uint32_t dims[],
			     const unsigned int order[]);
struct tensor tensor_absent(void);
struct tensor tensor_copy(const struct tensor *tensor);
/** Show @tensor with these dims; those that differ from its own are repeated with stride 0. */
struct tensor tensor_broadcast(const struct tensor *tensor, const uint32_t dims[]);
void tensor_free(struct tensor *tensor);
uint64_t tensor_elements(const struct tensor *tensor);
/** Element by row-major index of its dims. */
void *tensor_at(const struct tensor *tensor, uint64_t element);
float *tensor_f32(const struct tensor *tensor, uint64_t element);
/** An element of an integer type, BOOL included. */
int64_t integer_at(const struct tensor *tensor, uint64_t element);
void set_integer(struct tensor *tensor, uint64_t element, int64_t value);
/** First byte of the storage that differs, or -1; NaNs of f32 are alike. */
ptrdiff_t tensor_difference(const struct tensor *a, const struct tensor *b);
uint32_t float_bits(float x);

/** Units: index 0 is the scalar path with one lane. */
extern struct weft_engine_unit *op_units[];
extern unsigned int op_unit_count;
int op_units_make(void **state);
int op_units_free(void **state);

/** Run once; operands are used as they are. */
enum weft_fault op_run(struct weft_engine_unit *unit, enum weft_op op, const union weft_params *params,
		       unsigned int operands, const struct tensor operand[], struct weft_fault_record *fault);
/**
 * Run on copies of the operands on every unit, and fail the test unless the
 * storage of every operand then equals that of @expected, to the bit.
 */
void op_check(enum weft_op op, const union weft_params *params, unsigned int operands, const struct tensor operand[],
	      const struct tensor expected[], const char *what);

/** The order of summation of WEFT_SUM_REDUCE, said in the plainest way. */
float reference_sum(const float *term, size_t n);

#endif /* TEST_OP_H */
