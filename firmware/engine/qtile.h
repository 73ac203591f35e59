/* SPDX-License-Identifier: MIT */
/**
 * Micro-kernels of the integer products.
 *
 * The reduced index is cut into groups that one instruction multiplies and adds
 * up: four bytes (AVX-512 VNNI, unsigned by signed; NEON, signed by signed) or
 * two 16-bit numbers (everything else).  A's rows and B's panels are brought to that form first:
 *
 *	a[i][k]					u8, s8 or s16
 *	b[(k / group * columns + n) * group + k % group]	s8 or s16
 *
 * Numbers of 16 bits have their zero points taken off.  Bytes keep an offset:
 * with a = a' + oa and b = b' + ob, where a' and b' are what is to be multiplied,
 *
 *	sum a' b' = sum a b - oa * sum b - ob * sum a + K * oa * ob
 *
 * The second and fourth term are constants of a column, the third of a row.
 */
#ifndef WEFT_ENGINE_QTILE_H
#define WEFT_ENGINE_QTILE_H

#include "integer.h"
#include "kernels.h"

#if defined(__AVX512F__)
#define WEFT_Q_WIDTH 16
#define WEFT_Q_ROWS 14
#elif defined(__AVX2__)
#define WEFT_Q_WIDTH 8
#define WEFT_Q_ROWS 6
#elif defined(__ARM_FEATURE_DOTPROD)
#define WEFT_Q_WIDTH 4
#define WEFT_Q_ROWS 12
#else
#define WEFT_Q_WIDTH 4
#define WEFT_Q_ROWS 4
#endif
/** Columns of a panel: two vectors of 32-bit sums. */
#define WEFT_Q_COLUMNS (2 * WEFT_Q_WIDTH)

typedef void weft_qtile(const uint8_t *const a[], size_t apart, uint32_t runs, const void *b, size_t step,
			uint32_t groups, const int32_t *start, int32_t *c, ptrdiff_t pitch, unsigned int rows,
			unsigned int vectors);

/** How this processor multiplies. */
struct weft_qform {
	uint32_t group;
	/** Bytes of an element of a and b, 1 or 2. */
	uint32_t bytes;
	/** Bytes of A are signed. */
	bool is_signed;
	/**
	 * Sums of @rows by one (@vectors 1) or two vectors of columns, from @start or
	 * (NULL) from what @c holds.  A row of A is @runs runs of @groups groups, the
	 * beginnings of which are @apart bytes from one to the next.  Groups of B are
	 * @step bytes apart, rows of @c are @pitch totals apart.
	 */
	weft_qtile *tile;
	/**
	 * One group of a panel from rows of WEFT_Q_COLUMNS bytes each: flip is
	 * added modulo 256 to bytes (0x80 or 0), zero taken from 16-bit numbers.
	 * Adds the group's elements to sum[column] where @sum is not NULL.
	 */
	void (*interleave)(const uint8_t *const row[], bool is_signed, int32_t zero, void *panel, int32_t *sum);
};

const struct weft_qform *WEFT_KERNEL(weft_qform)(void);

/** Elements of A, as bytes of either sign in memory, on the way to the form that is multiplied. */
struct weft_qinput {
	bool is_signed;
	int32_t zero;
	/** Bytes: what is added to make them of the form's sign, and oa. */
	uint8_t flip;
	int32_t offset;
};

struct weft_qinput WEFT_KERNEL(weft_qinput)(const struct weft_qform *form, const struct weft_tensor *a);
/** @n elements, @step bytes apart, to @to. */
void WEFT_KERNEL(weft_qload)(const struct weft_qform *form, const struct weft_qinput *input, void *to,
			     const uint8_t *from, ptrdiff_t step, uint32_t n);
/** @n elements of value zero point. */
void WEFT_KERNEL(weft_qload_zero)(const struct weft_qform *form, const struct weft_qinput *input, void *to, uint32_t n);

/** From totals to results, for columns [0, n): parameters of each column, then of all. */
struct weft_qfinish {
	const int32_t *multiplier; /* NULL: results are the totals */
	const int32_t *shift;
	int32_t zero, low, high;
	bool is_signed;
	/** The least shift of all. */
	int32_t least_shift;
};

/** Set what differs between channels [@first, @first + @n), with room for them at @multiplier and @shift. */
WEFT_INTEGER_INLINE void weft_qfinish_channels(struct weft_qfinish *finish, const struct weft_multipliers *multipliers,
					       uint32_t first, uint32_t n, int32_t *multiplier, int32_t *shift)
{
	if (!multipliers->row)
		return;
	finish->multiplier = multiplier;
	finish->shift = shift;
	finish->least_shift = 62;
	for (uint32_t i = 0; i < n; i++) {
		const int32_t *row = multipliers->row + (ptrdiff_t)(first + i) * multipliers->step;

		multiplier[i] = row[0];
		shift[i] = row[1];
		if (row[1] < finish->least_shift)
			finish->least_shift = row[1];
	}
}

/**
 * @rows rows of @n columns, @pitch totals apart, to to[]; reads whole vectors of @total,
 * writes nothing beyond the results.  @column: of the parameters.
 */
void WEFT_KERNEL(weft_qfinish)(const struct weft_qfinish *finish, const int32_t *total, size_t pitch, uint32_t column,
			       uint32_t n, uint32_t rows, uint8_t *const to[]);

#endif /* WEFT_ENGINE_QTILE_H */
