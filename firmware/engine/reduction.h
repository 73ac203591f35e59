/* SPDX-License-Identifier: MIT */
/**
 * Reduction over any axes of tensors with any strides, in the order of summation
 * of WEFT_SUM_REDUCE (weft_isa.h): blocks of 256 terms, 16 partial results in a
 * block, which a tree folds, and block results added up in ascending order.
 *
 * A kernel gives functions for what is done to the terms; the reduction finds
 * the blocks, shares them among the lanes, and hands over dense elements: either
 * one output's terms next to one another ("rows"), or the terms of neighbouring
 * outputs ("columns", the layout of channels-last tensors).
 */
#ifndef WEFT_ENGINE_REDUCTION_H
#define WEFT_ENGINE_REDUCTION_H

#include <stdbool.h>
#include "engine.h"

#define WEFT_REDUCTION_INPUTS 6
#define WEFT_REDUCTION_OUTPUTS 3
/** Sums that one reduction computes together. */
#define WEFT_REDUCTION_SUMS 2
/** Most neighbouring outputs that are computed together. */
#define WEFT_REDUCTION_COLUMNS 128

/** What is done to the terms.  All of one block, unless said otherwise. */
struct weft_reducer {
	unsigned int sums;
	float start; /* of partials and totals */
	/** One output: @n terms from dense inputs; sum[s] receives the folded partials. */
	void (*rows)(const void *context, const float *const in[], size_t n, float sum[]);
	/**
	 * @n outputs: add the terms @first to @first + @rows - 1 to the partials.
	 * Term t of output c belongs to partial[(s * 16 + t % 16) * n + c].  in[i]
	 * holds the n outputs' elements; the next term's are step[i] bytes away.
	 */
	void (*columns)(const void *context, float *partial, size_t first, size_t rows, size_t n,
			const float *const in[], const ptrdiff_t step[]);
	/** into[i] = into[i] combined with from[i]. */
	void (*combine)(float *into, const float *from, size_t n);
	/** A block's result before it joins the total; may be NULL. */
	void (*scale)(const void *context, float *block, size_t n);
	/** Totals that start from the outputs' present values instead of @start; may be NULL. */
	void (*begin)(const void *context, float *total, size_t n, char *const out[], const ptrdiff_t step[]);
	/** Store @n outputs; total[s * n + c]. */
	void (*finish)(const void *context, const float *total, size_t n, char *const out[], const ptrdiff_t step[]);
};

struct weft_reduction {
	unsigned int inputs, outputs;
	unsigned int kept, reduced; /* ranks */
	size_t kept_dims[WEFT_MAX_RANK], reduced_dims[WEFT_MAX_RANK];
	ptrdiff_t kept_stride[WEFT_REDUCTION_INPUTS + WEFT_REDUCTION_OUTPUTS][WEFT_MAX_RANK]; /* bytes */
	ptrdiff_t reduced_stride[WEFT_REDUCTION_INPUTS][WEFT_MAX_RANK];
	char *base[WEFT_REDUCTION_INPUTS + WEFT_REDUCTION_OUTPUTS];
	uint64_t terms; /* of each output */

	/* The rest is the reduction's own. */
	const struct weft_reducer *reducer;
	const void *context;
	struct weft_engine_unit *unit;
	bool columns; /* else rows */
	size_t width; /* outputs of a strip */
	uint64_t strips, strips_per_row, blocks;
	unsigned int pieces;
	float *shared; /* block results of a round, then the totals */
	uint64_t round_first, round_blocks;
};

/**
 * Describe a reduction of @shape to the extents of @result (1 where reduced).
 * Inputs and outputs are added in the order in which the reducer's functions see
 * them, all inputs first; extents equal the shape's or are 1.
 */
void weft_reduction_begin(struct weft_reduction *reduction, const struct weft_tensor *shape,
			  const struct weft_tensor *result);
/** Absent operands (@at NULL) keep their slots. */
void weft_reduction_input(struct weft_reduction *reduction, const struct weft_tensor *shape,
			  const struct weft_tensor *result, const struct weft_tensor *tensor, void *at);
void weft_reduction_output(struct weft_reduction *reduction, const struct weft_tensor *shape,
			   const struct weft_tensor *result, const struct weft_tensor *tensor, void *at);
void weft_reduction_run(struct weft_reduction *reduction, struct weft_engine_unit *unit,
			const struct weft_reducer *reducer, const void *context);

#endif /* WEFT_ENGINE_REDUCTION_H */
