/* SPDX-License-Identifier: MIT */
/**
 * The integer matrix product and the convolutions in their common form: rows of
 * A, which a function gathers, against a matrix of weights, one or several times
 * (batches, groups) with different operands.
 */
#ifndef WEFT_ENGINE_QPRODUCT_H
#define WEFT_ENGINE_QPRODUCT_H

#include "qtile.h"

/** B: depth, in up to three nested extents, by columns. */
struct weft_qweights {
	uint8_t type;
	int32_t zero;
	/** NULL: not in panels (<weft_isa.h>, QMATMUL); else nothing of what follows is used. */
	const uint8_t *panels;
	const uint8_t *base;
	/** Elements; index of [0, 0] from @base, which matters to nibbles. */
	ptrdiff_t first;
	uint32_t extent[3];
	ptrdiff_t stride[3];
	ptrdiff_t column;
};

struct weft_qproduct {
	struct weft_engine_unit *unit;
	const struct weft_qform *form;
	struct weft_qinput input;
	/** Of one product: M, N, K. */
	uint32_t rows, columns, depth;
	uint32_t products;
	/** B is in panels. */
	bool in_panels;
	const int32_t *bias; /* NULL: none */
	struct weft_multipliers multipliers;
	const struct weft_tensor *result;
	/** low and high of the parameters. */
	int32_t low, high;
	/** What @product multiplies by, and its first channel of bias and multipliers. */
	void (*weights)(const struct weft_qproduct *p, uint32_t product, struct weft_qweights *weights,
			uint32_t *channel);
	/**
	 * Elements [k, k + n) of rows [row, row + rows) of A, brought to the form at @to,
	 * @pitch bytes from row to row, or where they are; at[] receives the rows.
	 */
	void (*gather)(const struct weft_qproduct *p, uint32_t product, uint32_t row, uint32_t rows, uint32_t k,
		       uint32_t n, uint8_t *to, size_t pitch, const uint8_t *at[]);
	/**
	 * Rows of A that overlap in a copy of what they are made of (NULL: @gather only):
	 * brings what rows from @row on need, up to @end, to the form at @to, and returns
	 * how many rows that are, 0 where not even one has room.  Each row is @runs runs,
	 * @apart bytes from one to the next; locate() says where.
	 */
	uint32_t (*box)(const struct weft_qproduct *p, uint32_t product, uint32_t row, uint32_t end, uint8_t *to,
			size_t room);
	void (*locate)(const struct weft_qproduct *p, uint32_t first, uint32_t row, uint32_t rows, const uint8_t *box,
		       const uint8_t *at[]);
	uint32_t runs;
	size_t apart;
	/**
	 * Elements of a run, if that is no multiple of the form's group, else 0: runs are
	 * multiplied to the end of the last group, by weights that are 0 there.
	 */
	uint32_t ragged;
	/** Where rows of the result begin. */
	void (*results)(const struct weft_qproduct *p, uint32_t product, uint32_t row, uint32_t rows, uint8_t *at[]);
	const void *context;
};

/** Bytes that a box has room for. */
#define WEFT_QPRODUCT_BOX_BYTES ((128u << 10) - 16)
/** Greatest depth with ragged runs: all of a panel is packed. */
#define WEFT_QPRODUCT_RAGGED_DEPTH 4096
/** ob of weights: rows of A need a correction unless it is 0. */
WEFT_INTEGER_INLINE int32_t weft_qweight_offset(const struct weft_qform *form, const struct weft_tensor *weights)
{
	return form->bytes == 1 ? weights->zero_point - (weights->type == WEFT_TYPE_U8 ? 0x80 : 0) : 0;
}

void WEFT_KERNEL(weft_qproduct_run)(const struct weft_qproduct *product);

#endif /* WEFT_ENGINE_QPRODUCT_H */
