/* SPDX-License-Identifier: MIT */
/* The table of one code path. */
#include "kernels.h"

const struct weft_kernels WEFT_KERNEL(weft_kernels) = {
	.name = WEFT_KERNEL_NAME,
	.op =
		{
			[WEFT_OP_MATMUL] = WEFT_KERNEL(weft_matmul),
			[WEFT_OP_CONV_FWD] = WEFT_KERNEL(weft_conv_fwd),
			[WEFT_OP_CONV_BWD_DATA] = WEFT_KERNEL(weft_conv_bwd_data),
			[WEFT_OP_CONV_BWD_WEIGHT] = WEFT_KERNEL(weft_conv_bwd_weight),
			[WEFT_OP_COPY] = WEFT_KERNEL(weft_copy),
			[WEFT_OP_FILL] = WEFT_KERNEL(weft_fill),
			[WEFT_OP_MAXPOOL_FWD] = WEFT_KERNEL(weft_maxpool_fwd),
			[WEFT_OP_MAXPOOL_BWD] = WEFT_KERNEL(weft_maxpool_bwd),
			[WEFT_OP_AVGPOOL_FWD] = WEFT_KERNEL(weft_avgpool_fwd),
			[WEFT_OP_AVGPOOL_BWD] = WEFT_KERNEL(weft_avgpool_bwd),
			[WEFT_OP_NORM_STATS] = WEFT_KERNEL(weft_norm_stats),
			[WEFT_OP_NORM_APPLY] = WEFT_KERNEL(weft_norm_apply),
			[WEFT_OP_NORM_BWD_STATS] = WEFT_KERNEL(weft_norm_bwd_stats),
			[WEFT_OP_NORM_BWD_APPLY] = WEFT_KERNEL(weft_norm_bwd_apply),
			[WEFT_OP_SOFTMAX_FWD] = WEFT_KERNEL(weft_softmax_fwd),
			[WEFT_OP_SOFTMAX_BWD] = WEFT_KERNEL(weft_softmax_bwd),
			[WEFT_OP_XENT_FWD] = WEFT_KERNEL(weft_xent_fwd),
			[WEFT_OP_XENT_BWD] = WEFT_KERNEL(weft_xent_bwd),
			[WEFT_OP_UNARY] = WEFT_KERNEL(weft_unary),
			[WEFT_OP_UNARY_BWD] = WEFT_KERNEL(weft_unary_bwd),
			[WEFT_OP_BINARY] = WEFT_KERNEL(weft_binary),
			[WEFT_OP_WHERE] = WEFT_KERNEL(weft_where),
			[WEFT_OP_CAST] = WEFT_KERNEL(weft_cast),
			[WEFT_OP_REDUCE] = WEFT_KERNEL(weft_reduce),
			[WEFT_OP_ARGREDUCE] = WEFT_KERNEL(weft_argreduce),
			[WEFT_OP_GATHER] = WEFT_KERNEL(weft_gather),
			[WEFT_OP_SCATTER_ADD] = WEFT_KERNEL(weft_scatter_add),
			[WEFT_OP_IOTA] = WEFT_KERNEL(weft_iota),
			[WEFT_OP_SGD] = WEFT_KERNEL(weft_sgd),
			[WEFT_OP_ADAM] = WEFT_KERNEL(weft_adam),
			[WEFT_OP_LERP] = WEFT_KERNEL(weft_lerp),
			[WEFT_OP_RANDOM] = WEFT_KERNEL(weft_random),
			[WEFT_OP_DROPOUT] = WEFT_KERNEL(weft_dropout),
		},
};
