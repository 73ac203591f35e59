/* SPDX-License-Identifier: MIT */
/**
 * Evaluation of nodes on the host; within the importer.  Each evaluator makes
 * output 0 of the present node from inputs that are known, and leaves the
 * result to free even where it fails.
 */
#ifndef WEFT_IMPORT_FOLD_H
#define WEFT_IMPORT_FOLD_H

#include "import/lower.h"
#include "import/shape.h"

/** Elements; larger tensors are left to the device. */
#define WEFT_FOLD_MOST (1u << 20)

/** A new tensor of zeros; refused where it has more than WEFT_FOLD_MOST elements. */
int weft_fold_result(struct weft_lower *lower, uint8_t type, const struct weft_shape *shape,
		     struct weft_host_tensor **result);

/* Tensors made of a few numbers. */
int weft_fold_eye_like(struct weft_lower *lower, struct weft_host_tensor **result);
int weft_fold_window(struct weft_lower *lower, struct weft_host_tensor **result);
int weft_fold_mel_weights(struct weft_lower *lower, struct weft_host_tensor **result);

/** Reductions of integers. */
int weft_fold_reduce(struct weft_lower *lower, struct weft_host_tensor **result);

/* Tensors whose extents depend on the contents of others. */
int weft_fold_non_zero(struct weft_lower *lower, struct weft_host_tensor **result);

#endif /* WEFT_IMPORT_FOLD_H */
