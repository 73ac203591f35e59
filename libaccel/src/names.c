// SPDX-License-Identifier: MIT
/* Names of what <weft_isa.h> enumerates, and filling in operands. */
#include "internal.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const char *const op_names[WEFT_OP_LIMIT] = {
	[WEFT_OP_NOP] = "nop",
	[WEFT_OP_COPY] = "copy",
	[WEFT_OP_FILL] = "fill",
	[WEFT_OP_MATMUL] = "matmul",
	[WEFT_OP_CONV_FWD] = "conv_fwd",
	[WEFT_OP_CONV_BWD_DATA] = "conv_bwd_data",
	[WEFT_OP_CONV_BWD_WEIGHT] = "conv_bwd_weight",
	[WEFT_OP_MAXPOOL_FWD] = "maxpool_fwd",
	[WEFT_OP_MAXPOOL_BWD] = "maxpool_bwd",
	[WEFT_OP_AVGPOOL_FWD] = "avgpool_fwd",
	[WEFT_OP_AVGPOOL_BWD] = "avgpool_bwd",
	[WEFT_OP_NORM_STATS] = "norm_stats",
	[WEFT_OP_NORM_APPLY] = "norm_apply",
	[WEFT_OP_NORM_BWD_STATS] = "norm_bwd_stats",
	[WEFT_OP_NORM_BWD_APPLY] = "norm_bwd_apply",
	[WEFT_OP_SOFTMAX_FWD] = "softmax_fwd",
	[WEFT_OP_SOFTMAX_BWD] = "softmax_bwd",
	[WEFT_OP_XENT_FWD] = "xent_fwd",
	[WEFT_OP_XENT_BWD] = "xent_bwd",
	[WEFT_OP_UNARY] = "unary",
	[WEFT_OP_UNARY_BWD] = "unary_bwd",
	[WEFT_OP_BINARY] = "binary",
	[WEFT_OP_WHERE] = "where",
	[WEFT_OP_CAST] = "cast",
	[WEFT_OP_REDUCE] = "reduce",
	[WEFT_OP_ARGREDUCE] = "argreduce",
	[WEFT_OP_TOPK] = "topk",
	[WEFT_OP_GATHER] = "gather",
	[WEFT_OP_SCATTER_ADD] = "scatter_add",
	[WEFT_OP_IOTA] = "iota",
	[WEFT_OP_SCATTER] = "scatter",
	[WEFT_OP_SGD] = "sgd",
	[WEFT_OP_ADAM] = "adam",
	[WEFT_OP_LERP] = "lerp",
	[WEFT_OP_RANDOM] = "random",
	[WEFT_OP_DROPOUT] = "dropout",
	[WEFT_OP_QMATMUL] = "qmatmul",
	[WEFT_OP_QCONV] = "qconv",
	[WEFT_OP_QUANTIZE] = "quantize",
	[WEFT_OP_DEQUANTIZE] = "dequantize",
	[WEFT_OP_REQUANTIZE] = "requantize",
	[WEFT_OP_QADD] = "qadd",
	[WEFT_OP_QMUL] = "qmul",
	[WEFT_OP_QMAXPOOL] = "qmaxpool",
	[WEFT_OP_QAVGPOOL] = "qavgpool",
	[WEFT_OP_QLOOKUP] = "qlookup",
	[WEFT_OP_QSOFTMAX] = "qsoftmax",
	[WEFT_OP_QLAYERNORM] = "qlayernorm",
	[WEFT_OP_PROJECT] = "project",
	[WEFT_OP_PROJECT_HASHED] = "project_hashed",
	[WEFT_OP_PROJECT_MEAN] = "project_mean",
	[WEFT_OP_PROJECT_TERNARY] = "project_ternary",
	[WEFT_OP_BIT_MATMUL] = "bit_matmul",
	[WEFT_OP_BIT_DOT] = "bit_dot",
	[WEFT_OP_BIT_UNPACK] = "bit_unpack",
	[WEFT_OP_BIT_PACK] = "bit_pack",
};

static const char *const type_names[] = {
	[WEFT_TYPE_NONE] = "none", [WEFT_TYPE_F32] = "f32",   [WEFT_TYPE_F16] = "f16", [WEFT_TYPE_BF16] = "bf16",
	[WEFT_TYPE_I32] = "i32",   [WEFT_TYPE_I64] = "i64",   [WEFT_TYPE_I8] = "i8",   [WEFT_TYPE_U8] = "u8",
	[WEFT_TYPE_I16] = "i16",   [WEFT_TYPE_BOOL] = "bool", [WEFT_TYPE_I4] = "i4",   [WEFT_TYPE_BIT] = "bit",
};

static const char *const fault_names[] = {
	[WEFT_FAULT_NONE] = "none",	      [WEFT_FAULT_STREAM] = "stream",
	[WEFT_FAULT_OPCODE] = "opcode",	      [WEFT_FAULT_OPERANDS] = "operands",
	[WEFT_FAULT_TYPE] = "type",	      [WEFT_FAULT_SHAPE] = "shape",
	[WEFT_FAULT_PARAMETER] = "parameter", [WEFT_FAULT_ALIGNMENT] = "alignment",
	[WEFT_FAULT_UNMAPPED] = "unmapped",   [WEFT_FAULT_PERMISSION] = "permission",
	[WEFT_FAULT_OVERLAP] = "overlap",     [WEFT_FAULT_SEMAPHORE] = "semaphore",
	[WEFT_FAULT_DEADLOCK] = "deadlock",   [WEFT_FAULT_VALUE] = "value",
	[WEFT_FAULT_TIMEOUT] = "timeout",     [WEFT_FAULT_ENGINE] = "engine",
	[WEFT_FAULT_CANCELLED] = "cancelled",
};

_Static_assert(COUNT(type_names) == WEFT_TYPES, "every type has a name");
_Static_assert(COUNT(fault_names) == WEFT_FAULTS, "every fault has a name");

ACCEL_EXPORT const char *accel_op_name(unsigned int opcode)
{
	return opcode < COUNT(op_names) && op_names[opcode] ? op_names[opcode] : "unknown";
}

ACCEL_EXPORT const char *accel_type_name(unsigned int type)
{
	return type < COUNT(type_names) ? type_names[type] : "unknown";
}

ACCEL_EXPORT const char *accel_fault_name(unsigned int reason)
{
	return reason < COUNT(fault_names) ? fault_names[reason] : "unknown";
}

ACCEL_EXPORT size_t accel_type_bytes(enum weft_type type)
{
	switch (type) {
	case WEFT_TYPE_I64:
		return 8;
	case WEFT_TYPE_F32:
	case WEFT_TYPE_I32:
		return 4;
	case WEFT_TYPE_F16:
	case WEFT_TYPE_BF16:
	case WEFT_TYPE_I16:
		return 2;
	case WEFT_TYPE_I8:
	case WEFT_TYPE_U8:
	case WEFT_TYPE_BOOL:
		return 1;
	default:
		return 0;
	}
}

ACCEL_EXPORT struct weft_tensor accel_tensor(uint64_t address, enum weft_type type, unsigned int rank,
					     const uint32_t *dims)
{
	struct weft_tensor tensor = {.address = address, .type = (uint8_t)type, .rank = (uint8_t)rank};
	uint32_t stride = 1;

	/* A rank or extent too large is kept, and refused by the device. */
	for (unsigned int i = rank < WEFT_MAX_RANK ? rank : WEFT_MAX_RANK; i-- > 0;) {
		tensor.dims[i] = dims[i];
		tensor.strides[i] = (int32_t)stride;
		stride *= dims[i];
	}
	return tensor;
}

ACCEL_EXPORT const char *accel_version(void)
{
	return ACCEL_VERSION;
}
