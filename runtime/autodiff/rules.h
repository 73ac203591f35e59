/* SPDX-License-Identifier: MIT */
/** Gradient rules by group of operations; see autodiff.h. */
#ifndef WEFT_AUTODIFF_RULES_H
#define WEFT_AUTODIFF_RULES_H

#include "autodiff/autodiff.h"

int weft_gradient_matmul(struct weft_backward *backward, const struct weft_operation *operation);
int weft_gradient_bit_matmul(struct weft_backward *backward, const struct weft_operation *operation);
int weft_gradient_conv(struct weft_backward *backward, const struct weft_operation *operation);
int weft_gradient_conv_transpose(struct weft_backward *backward, const struct weft_operation *operation);
int weft_gradient_max_pool(struct weft_backward *backward, const struct weft_operation *operation);
int weft_gradient_average_pool(struct weft_backward *backward, const struct weft_operation *operation);
int weft_gradient_norm(struct weft_backward *backward, const struct weft_operation *operation);
int weft_gradient_softmax(struct weft_backward *backward, const struct weft_operation *operation);
int weft_gradient_cross_entropy(struct weft_backward *backward, const struct weft_operation *operation);
int weft_gradient_unary(struct weft_backward *backward, const struct weft_operation *operation);
int weft_gradient_binary(struct weft_backward *backward, const struct weft_operation *operation);
int weft_gradient_where(struct weft_backward *backward, const struct weft_operation *operation);
int weft_gradient_reduce(struct weft_backward *backward, const struct weft_operation *operation);
int weft_gradient_gather(struct weft_backward *backward, const struct weft_operation *operation);
int weft_gradient_scatter(struct weft_backward *backward, const struct weft_operation *operation);
int weft_gradient_copy(struct weft_backward *backward, const struct weft_operation *operation);
int weft_gradient_quantize(struct weft_backward *backward, const struct weft_operation *operation);
int weft_gradient_dequantize(struct weft_backward *backward, const struct weft_operation *operation);
int weft_gradient_dropout(struct weft_backward *backward, const struct weft_operation *operation);

/**
 * The gradient of output @slot before its epilogue: where a fused ReLU let
 * nothing through, it is zero.  Absent where the output has no gradient.
 */
int weft_gradient_before_epilogue(struct weft_backward *backward, const struct weft_operation *operation,
				  unsigned int slot, uint32_t activation, struct weft_operand *gradient);

/** @gradient where @y is positive, zero elsewhere, into a new value. */
int weft_gradient_relu(struct weft_backward *backward, const struct weft_operand *y, struct weft_operand *gradient);
/** The same for a clip to @alpha .. @beta. */
int weft_gradient_clip(struct weft_backward *backward, const struct weft_operand *y, float alpha, float beta,
		       struct weft_operand *gradient);

#endif /* WEFT_AUTODIFF_RULES_H */
