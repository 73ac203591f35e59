// SPDX-License-Identifier: MIT
#include "graph/slots.h"

#include <stddef.h>
#include <weft_isa.h>

#define OPTIONAL(slot) (1u << (slot))

static const struct weft_slots table[WEFT_OP_LIMIT] = {
	[WEFT_OP_NOP] = {"nop", 0, 0, 0, false},
	[WEFT_OP_COPY] = {"copy", 1, 1, 0, false},
	[WEFT_OP_FILL] = {"fill", 0, 1, 0, false},
	[WEFT_OP_MATMUL] = {"matmul", 3, 1, OPTIONAL(2), false},
	[WEFT_OP_CONV_FWD] = {"conv_fwd", 3, 1, OPTIONAL(2), false},
	[WEFT_OP_CONV_BWD_DATA] = {"conv_bwd_data", 3, 1, OPTIONAL(2), false},
	[WEFT_OP_CONV_BWD_WEIGHT] = {"conv_bwd_weight", 2, 1, 0, false},
	[WEFT_OP_MAXPOOL_FWD] = {"maxpool_fwd", 1, 2, OPTIONAL(2), false},
	[WEFT_OP_MAXPOOL_BWD] = {"maxpool_bwd", 2, 1, 0, false},
	[WEFT_OP_AVGPOOL_FWD] = {"avgpool_fwd", 1, 1, 0, false},
	[WEFT_OP_AVGPOOL_BWD] = {"avgpool_bwd", 1, 1, 0, false},
	[WEFT_OP_NORM_STATS] = {"norm_stats", 1, 3, OPTIONAL(3), false},
	[WEFT_OP_NORM_APPLY] = {"norm_apply", 5, 1, OPTIONAL(3) | OPTIONAL(4), false},
	[WEFT_OP_NORM_BWD_STATS] = {"norm_bwd_stats", 6, 2, OPTIONAL(4) | OPTIONAL(5), false},
	[WEFT_OP_NORM_BWD_APPLY] = {"norm_bwd_apply", 8, 1, OPTIONAL(4) | OPTIONAL(7), false},
	[WEFT_OP_SOFTMAX_FWD] = {"softmax_fwd", 1, 1, 0, false},
	[WEFT_OP_SOFTMAX_BWD] = {"softmax_bwd", 2, 1, 0, false},
	[WEFT_OP_XENT_FWD] = {"xent_fwd", 3, 3, OPTIONAL(2) | OPTIONAL(4) | OPTIONAL(5), false},
	[WEFT_OP_XENT_BWD] = {"xent_bwd", 5, 1, OPTIONAL(2) | OPTIONAL(4), false},
	[WEFT_OP_UNARY] = {"unary", 1, 1, 0, false},
	[WEFT_OP_UNARY_BWD] = {"unary_bwd", 2, 1, 0, false},
	[WEFT_OP_BINARY] = {"binary", 2, 1, 0, false},
	[WEFT_OP_WHERE] = {"where", 3, 1, 0, false},
	[WEFT_OP_CAST] = {"cast", 1, 1, 0, false},
	[WEFT_OP_REDUCE] = {"reduce", 1, 1, 0, false},
	[WEFT_OP_ARGREDUCE] = {"argreduce", 1, 1, 0, false},
	[WEFT_OP_TOPK] = {"topk", 1, 1, 0, false},
	[WEFT_OP_GATHER] = {"gather", 2, 1, 0, false},
	[WEFT_OP_SCATTER_ADD] = {"scatter_add", 2, 1, 0, true},
	[WEFT_OP_IOTA] = {"iota", 0, 1, 0, false},
	[WEFT_OP_SCATTER] = {"scatter", 3, 1, 0, false},
	[WEFT_OP_SGD] = {"sgd", 2, 2, OPTIONAL(3), true},
	[WEFT_OP_ADAM] = {"adam", 2, 3, 0, true},
	[WEFT_OP_LERP] = {"lerp", 1, 1, 0, true},
	[WEFT_OP_RANDOM] = {"random", 1, 1, OPTIONAL(0), false},
	[WEFT_OP_DROPOUT] = {"dropout", 2, 2, OPTIONAL(1) | OPTIONAL(3), false},
	[WEFT_OP_QMATMUL] = {"qmatmul", 4, 1, OPTIONAL(2) | OPTIONAL(3), false},
	[WEFT_OP_QCONV] = {"qconv", 4, 1, OPTIONAL(2) | OPTIONAL(3), false},
	[WEFT_OP_QUANTIZE] = {"quantize", 3, 1, OPTIONAL(2), false},
	[WEFT_OP_DEQUANTIZE] = {"dequantize", 3, 1, OPTIONAL(2), false},
	[WEFT_OP_REQUANTIZE] = {"requantize", 2, 1, 0, false},
	[WEFT_OP_QADD] = {"qadd", 2, 1, 0, false},
	[WEFT_OP_QMUL] = {"qmul", 2, 1, 0, false},
	[WEFT_OP_QMAXPOOL] = {"qmaxpool", 1, 1, 0, false},
	[WEFT_OP_QAVGPOOL] = {"qavgpool", 1, 1, 0, false},
	[WEFT_OP_QLOOKUP] = {"qlookup", 2, 1, 0, false},
	[WEFT_OP_QSOFTMAX] = {"qsoftmax", 2, 1, 0, false},
	[WEFT_OP_QLAYERNORM] = {"qlayernorm", 4, 1, OPTIONAL(2), false},
	[WEFT_OP_PROJECT] = {"project", 1, 1, 0, false},
	[WEFT_OP_PROJECT_HASHED] = {"project_hashed", 2, 1, OPTIONAL(1), false},
	[WEFT_OP_PROJECT_MEAN] = {"project_mean", 1, 1, 0, false},
	[WEFT_OP_PROJECT_TERNARY] = {"project_ternary", 1, 1, 0, false},
	[WEFT_OP_BIT_MATMUL] = {"bit_matmul", 4, 1, OPTIONAL(2) | OPTIONAL(3), false},
	[WEFT_OP_BIT_DOT] = {"bit_dot", 2, 1, 0, false},
	[WEFT_OP_BIT_UNPACK] = {"bit_unpack", 1, 1, 0, false},
	[WEFT_OP_BIT_PACK] = {"bit_pack", 1, 1, 0, false},
};

const struct weft_slots *weft_slots_of(unsigned int opcode)
{
	if (opcode >= WEFT_OP_LIMIT || !table[opcode].name)
		return NULL;
	return &table[opcode];
}
