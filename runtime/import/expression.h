/* SPDX-License-Identifier: MIT */
/**
 * Arithmetic for operators that become many operations.
 *
 * Each function appends operations to the graph and returns the value that they
 * make.  The first error sticks: what follows it appends nothing and returns an
 * absent operand with no dimensions, so that only the end needs to look.
 */
#ifndef WEFT_IMPORT_EXPRESSION_H
#define WEFT_IMPORT_EXPRESSION_H

#include "import/lower.h"

struct weft_expression {
	struct weft_lower *lower;
	int error;
};

/** Most bytes of all constants that the operators of a model make up; a small file cannot ask for more. */
#define WEFT_CONSTANT_MAX_BYTES ((uint64_t)256 << 20)

struct weft_operand weft_expression_input(struct weft_expression *e, unsigned int index);
/** The input with elements in row-major order. */
struct weft_operand weft_expression_dense(struct weft_expression *e, unsigned int index);
/** A row-major constant of @layout's type and dims; *data is zeroed and the caller's to fill.  NULL on error. */
struct weft_operand weft_expression_constant(struct weft_expression *e, const struct weft_layout *layout, void **data);
/** A scalar constant. */
struct weft_operand weft_expression_number(struct weft_expression *e, uint8_t type, double number);
/** 0, 1, ... @count - 1 of @type (I32 or I64) along dimension @axis of @rank, the others being 1. */
struct weft_operand weft_expression_places(struct weft_expression *e, uint8_t type, unsigned int rank,
					   unsigned int axis, uint32_t count);
struct weft_operand weft_expression_unary(struct weft_expression *e, uint32_t function, struct weft_operand x);
/** x * scale + offset */
struct weft_operand weft_expression_affine(struct weft_expression *e, struct weft_operand x, float scale, float offset);
/** enum weft_binary of operands that broadcast. */
struct weft_operand weft_expression_binary(struct weft_expression *e, uint32_t function, struct weft_operand a,
					   struct weft_operand b);
/** The same with a number of @a's type on the right. */
struct weft_operand weft_expression_with(struct weft_expression *e, uint32_t function, struct weft_operand a,
					 double number);
/** @condition ? @a : @b; all three broadcast. */
struct weft_operand weft_expression_where(struct weft_expression *e, struct weft_operand condition,
					  struct weft_operand a, struct weft_operand b);
/** @x where it is of @type already. */
struct weft_operand weft_expression_cast(struct weft_expression *e, uint8_t type, struct weft_operand x);
/** A view where possible, else a row-major copy. */
struct weft_operand weft_expression_reshape(struct weft_expression *e, struct weft_operand x, unsigned int rank,
					    const uint32_t dims[]);
/** @x shown as a vector. */
struct weft_operand weft_expression_flat(struct weft_expression *e, struct weft_operand x);
/** @x with its dimensions in @order. */
struct weft_operand weft_expression_permuted(struct weft_expression *e, struct weft_operand x, const uint8_t order[]);
/** @count elements of @x from @start on along dimension @axis; a view. */
struct weft_operand weft_expression_part(struct weft_expression *e, struct weft_operand x, unsigned int axis,
					 uint32_t start, uint32_t count);
/** The sum (or another enum weft_reduce) over the dimensions flagged, which keep an extent of 1. */
struct weft_operand weft_expression_reduce(struct weft_expression *e, uint32_t function, struct weft_operand x,
					   const bool axes[]);
/** [R, D...] from table [V, D...] by indices [R]. */
struct weft_operand weft_expression_gather(struct weft_expression *e, struct weft_operand table,
					   struct weft_operand indices);
/** The elements of @x at the places @indices [R] along dimension @axis. */
struct weft_operand weft_expression_take(struct weft_expression *e, struct weft_operand x, unsigned int axis,
					 struct weft_operand indices);
/** A copy of @x in a value of its own with @layout's strides. */
struct weft_operand weft_expression_copy(struct weft_expression *e, struct weft_operand x,
					 const struct weft_layout *layout);
/** Output @index is @x.  Returns the expression's error. */
int weft_expression_output(struct weft_expression *e, unsigned int index, struct weft_operand x);

#endif /* WEFT_IMPORT_EXPRESSION_H */
