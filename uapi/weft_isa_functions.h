/* SPDX-License-Identifier: (GPL-2.0-only WITH Linux-syscall-note) OR MIT */
/* What the operations that have a function parameter compute.  Included by <weft_isa.h>. */
#ifndef _UAPI_WEFT_ISA_FUNCTIONS_H_
#define _UAPI_WEFT_ISA_FUNCTIONS_H_

/**
 * Functions of UNARY; "(y)" marks those whose gradient takes Y instead of X. alpha and beta are params.unary's.
 * Results are those of the engine's own elementary functions, the same on every
 * path: EXP is within 1.2 ulp of the exact value, SIGMOID 2.2, TANH 2.6,
 * SILU 2.9, GELU 4.9 (and 1e-43 where their gates are denormal),
 * SOFTSIGN and HARD_SWISH round each step, all others are within 0.501 ulp.
 */
enum weft_unary {
	WEFT_UNARY_IDENTITY = 0, /* (y) */
	WEFT_UNARY_NEG, /* (y) */
	WEFT_UNARY_ABS,
	WEFT_UNARY_SIGN,
	WEFT_UNARY_EXP, /* (y) */
	WEFT_UNARY_LOG,
	WEFT_UNARY_SQRT, /* (y) */
	WEFT_UNARY_RSQRT, /* (y) */
	WEFT_UNARY_RECIPROCAL, /* (y) */
	WEFT_UNARY_SQUARE,
	WEFT_UNARY_RELU, /* (y) */
	WEFT_UNARY_LEAKY_RELU, /* x < 0 ? alpha * x : x */
	WEFT_UNARY_ELU, /* x < 0 ? alpha * (exp(x) - 1) : x */
	WEFT_UNARY_SELU, /* beta * (x < 0 ? alpha * (exp(x) - 1) : x) */
	WEFT_UNARY_CELU, /* x < 0 ? alpha * (exp(x / alpha) - 1) : x */
	WEFT_UNARY_SIGMOID, /* (y) */
	WEFT_UNARY_TANH, /* (y) */
	WEFT_UNARY_SOFTPLUS,
	WEFT_UNARY_SOFTSIGN,
	WEFT_UNARY_GELU, /* x * Phi(x), by erf */
	WEFT_UNARY_GELU_TANH,
	WEFT_UNARY_SILU,
	WEFT_UNARY_MISH,
	WEFT_UNARY_HARD_SIGMOID, /* max(0, min(1, alpha * x + beta)) */
	WEFT_UNARY_HARD_SWISH, /* x * max(0, min(1, x / 6 + 0.5)) */
	WEFT_UNARY_CLIP, /* min(max(x, alpha), beta) (y): f' is 1 where alpha < y < beta, else 0 */
	WEFT_UNARY_AFFINE, /* alpha * x + beta */
	WEFT_UNARY_POW, /* x ^ alpha */
	WEFT_UNARY_THRESHOLDED_RELU, /* x > alpha ? x : 0 */
	WEFT_UNARY_SHRINK, /* x < -alpha ? x + beta : x > alpha ? x - beta : 0 */
	WEFT_UNARY_ERF,
	WEFT_UNARY_SIN,
	WEFT_UNARY_COS,
	WEFT_UNARY_TAN,
	WEFT_UNARY_ASIN,
	WEFT_UNARY_ACOS,
	WEFT_UNARY_ATAN,
	WEFT_UNARY_SINH,
	WEFT_UNARY_COSH,
	WEFT_UNARY_ASINH,
	WEFT_UNARY_ACOSH,
	WEFT_UNARY_ATANH,
	WEFT_UNARY_FLOOR,
	WEFT_UNARY_CEIL,
	WEFT_UNARY_ROUND, /* half to even */
	WEFT_UNARY_NOT, /* bool */
	WEFT_UNARY_ISNAN, /* -> bool */
	WEFT_UNARY_ISINF, /* -> bool; alpha != 0: detect negative, beta != 0: detect positive */
	WEFT_UNARY_FUNCTIONS,
};

/**
 * Functions of BINARY.  Comparisons give bool and take f32, i32, i64 (EQUAL: bool too); AND, OR, XOR take bool; shifts
 * take i32, i64; the rest take f32, i32, i64 (both operands and result alike).  Integers wrap around; a division by 0
 * gives 0; a negative power is truncated; a shift by less than 0 or by the width or more shifts everything out, right
 * shifts keep the sign.  MAX and MIN of floats give NaN if either is.  The activation is for f32.
 */
enum weft_binary {
	WEFT_BINARY_ADD = 0,
	WEFT_BINARY_SUB,
	WEFT_BINARY_MUL,
	WEFT_BINARY_DIV,
	WEFT_BINARY_POW,
	WEFT_BINARY_MAX,
	WEFT_BINARY_MIN,
	WEFT_BINARY_MOD, /* sign of the divisor */
	WEFT_BINARY_FMOD, /* sign of the dividend */
	WEFT_BINARY_PRELU, /* a < 0 ? a * b : a */
	WEFT_BINARY_EQUAL,
	WEFT_BINARY_LESS,
	WEFT_BINARY_LESS_EQUAL,
	WEFT_BINARY_GREATER,
	WEFT_BINARY_GREATER_EQUAL,
	WEFT_BINARY_AND,
	WEFT_BINARY_OR,
	WEFT_BINARY_XOR,
	WEFT_BINARY_SHIFT_LEFT,
	WEFT_BINARY_SHIFT_RIGHT,
	WEFT_BINARY_FUNCTIONS,
};

/** Functions of REDUCE and ARGREDUCE. */
enum weft_reduce {
	WEFT_REDUCE_SUM = 0,
	WEFT_REDUCE_MEAN,
	WEFT_REDUCE_MAX,
	WEFT_REDUCE_MIN,
	WEFT_REDUCE_PROD,
	WEFT_REDUCE_L1,
	WEFT_REDUCE_L2,
	WEFT_REDUCE_SUM_SQUARE,
	WEFT_REDUCE_LOG_SUM,
	WEFT_REDUCE_LOG_SUM_EXP,
	WEFT_REDUCE_FUNCTIONS,
};

/** Functions of SCATTER; all but REPLACE are those of BINARY. */
enum weft_scatter {
	WEFT_SCATTER_REPLACE = 0, /* X */
	WEFT_SCATTER_ADD,
	WEFT_SCATTER_MUL,
	WEFT_SCATTER_MAX,
	WEFT_SCATTER_MIN,
	WEFT_SCATTER_FUNCTIONS,
};

#endif /* _UAPI_WEFT_ISA_FUNCTIONS_H_ */
