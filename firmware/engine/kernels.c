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
		},
};
