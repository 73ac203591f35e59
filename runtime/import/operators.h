/* SPDX-License-Identifier: MIT */
/** Lowering functions of operators; each lowers the present node. */
#ifndef WEFT_IMPORT_OPERATORS_H
#define WEFT_IMPORT_OPERATORS_H

#include "import/lower.h"

int weft_lower_unary_operator(struct weft_lower *lower);
int weft_lower_binary_operator(struct weft_lower *lower);
int weft_lower_relu(struct weft_lower *lower);
int weft_lower_clip(struct weft_lower *lower);
int weft_lower_gelu(struct weft_lower *lower);
int weft_lower_is_inf(struct weft_lower *lower);
int weft_lower_mod(struct weft_lower *lower);
int weft_lower_bit_shift(struct weft_lower *lower);
int weft_lower_mean(struct weft_lower *lower);
int weft_lower_where(struct weft_lower *lower);
int weft_lower_cast(struct weft_lower *lower);
int weft_lower_cast_operand(struct weft_lower *lower, uint8_t type, struct weft_operand *operand);
int weft_lower_identity(struct weft_lower *lower);

int weft_lower_quantize(struct weft_lower *lower);
int weft_lower_dequantize(struct weft_lower *lower);

int weft_lower_reshape_operator(struct weft_lower *lower);
int weft_lower_transpose(struct weft_lower *lower);
int weft_lower_slice(struct weft_lower *lower);
int weft_lower_split(struct weft_lower *lower);
int weft_lower_concat(struct weft_lower *lower);
int weft_lower_expand(struct weft_lower *lower);
int weft_lower_tile(struct weft_lower *lower);
int weft_lower_gather(struct weft_lower *lower);
int weft_lower_gather_elements(struct weft_lower *lower);
int weft_lower_pad(struct weft_lower *lower);

int weft_lower_gemm(struct weft_lower *lower);
int weft_lower_matmul(struct weft_lower *lower);
int weft_lower_conv(struct weft_lower *lower);
int weft_lower_conv_transpose(struct weft_lower *lower);

int weft_lower_max_pool(struct weft_lower *lower);
int weft_lower_average_pool(struct weft_lower *lower);
int weft_lower_global_pool(struct weft_lower *lower);

int weft_lower_batch_norm(struct weft_lower *lower);
int weft_lower_instance_norm(struct weft_lower *lower);
int weft_lower_layer_norm(struct weft_lower *lower);
int weft_lower_group_norm(struct weft_lower *lower);
int weft_lower_mean_variance(struct weft_lower *lower);
int weft_lower_local_response(struct weft_lower *lower);
int weft_lower_softmax(struct weft_lower *lower);

int weft_lower_reduce(struct weft_lower *lower);
int weft_lower_arg_reduce(struct weft_lower *lower);

int weft_lower_cross_entropy(struct weft_lower *lower);

int weft_lower_lstm(struct weft_lower *lower);
int weft_lower_rnn(struct weft_lower *lower);
int weft_lower_gru(struct weft_lower *lower);

int weft_lower_gather_nd(struct weft_lower *lower);
int weft_lower_scatter_elements(struct weft_lower *lower);
int weft_lower_scatter_nd(struct weft_lower *lower);
int weft_lower_reverse_sequence(struct weft_lower *lower);
int weft_lower_top_k(struct weft_lower *lower);

int weft_lower_dropout(struct weft_lower *lower);
int weft_lower_random(struct weft_lower *lower);
int weft_lower_bernoulli(struct weft_lower *lower);
int weft_lower_einsum(struct weft_lower *lower);
int weft_lower_compress(struct weft_lower *lower);
int weft_lower_unique(struct weft_lower *lower);
int weft_lower_non_max_suppression(struct weft_lower *lower);
int weft_lower_resize(struct weft_lower *lower);
int weft_lower_max_unpool(struct weft_lower *lower);

int weft_lower_quantize_linear(struct weft_lower *lower);
int weft_lower_dequantize_linear(struct weft_lower *lower);
int weft_lower_dynamic_quantize(struct weft_lower *lower);
int weft_lower_matmul_integer(struct weft_lower *lower);
int weft_lower_conv_integer(struct weft_lower *lower);
int weft_lower_qlinear_matmul(struct weft_lower *lower);
int weft_lower_qlinear_conv(struct weft_lower *lower);

int weft_lower_project(struct weft_lower *lower);
int weft_lower_project_mean(struct weft_lower *lower);
int weft_lower_project_ternary(struct weft_lower *lower);
int weft_lower_bit_matmul(struct weft_lower *lower);

int weft_lower_if(struct weft_lower *lower);
int weft_lower_trilu(struct weft_lower *lower);
int weft_lower_one_hot(struct weft_lower *lower);
int weft_lower_hardmax(struct weft_lower *lower);
int weft_lower_depth_to_space(struct weft_lower *lower);
int weft_lower_space_to_depth(struct weft_lower *lower);
int weft_lower_cumulative_sum(struct weft_lower *lower);

int weft_lower_adagrad(struct weft_lower *lower);
int weft_lower_adam(struct weft_lower *lower);
int weft_lower_momentum(struct weft_lower *lower);

#endif /* WEFT_IMPORT_OPERATORS_H */
