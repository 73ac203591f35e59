/* SPDX-License-Identifier: (GPL-2.0-only WITH Linux-syscall-note) OR MIT */
/*
 * The instruction set of the Weft NPU: command stream <-> control core.
 *
 * A command stream is an array of commands, each naming one macro-operation on
 * tensors.  Rules of this header:
 *
 *  - All fields are little-endian, naturally aligned, with explicit padding
 *    that must be zero.
 *  - Addresses are device virtual addresses in the context that submitted the
 *    stream.  Compute commands reach device memory only; DMA commands move
 *    tensors between device memory and host buffers.
 *  - Nothing in a stream is trusted.  The control core reads a command once
 *    into its own memory, checks the copy and every operand, and only then
 *    hands the copy to an engine.  A bad command faults its context with an
 *    enum weft_fault and the index of the operand; the device goes on.
 *  - Results are defined to the bit: see "Order of summation" below.
 *
 * A stream for one job holds commands for all engines.  Each engine executes
 * its own commands of the stream in stream order; engines overlap, and wait
 * for one another by semaphores only.
 */
#ifndef _UAPI_WEFT_ISA_H_
#define _UAPI_WEFT_ISA_H_

#if defined(__linux__) || defined(__KERNEL__)
#include <linux/types.h>
#else
#include <stdint.h>
typedef uint8_t __u8;
typedef int8_t __s8;
typedef uint16_t __u16;
typedef int16_t __s16;
typedef uint32_t __u32;
typedef int32_t __s32;
typedef uint64_t __u64;
typedef int64_t __s64;
#endif

#include "weft_isa_functions.h"
#include "weft_isa_integer.h"
#include "weft_isa_projection.h"

#if defined(__cplusplus)
extern "C" {
#endif

/** Version of this instruction set: a device executes every stream of its own major version and of minors up to its own. */
#define WEFT_ISA_VERSION_MAJOR 1
#define WEFT_ISA_VERSION_MINOR 3

/** Most dimensions of a tensor operand. */
#define WEFT_MAX_RANK 8
/** Most operands of one command. */
#define WEFT_MAX_OPERANDS 12
/** Semaphores of a stream; all are zero when the job starts. */
#define WEFT_SEMAPHORES 64
/** "No semaphore" in a wait or signal slot. */
#define WEFT_SEM_NONE 0xffff
/** Every stream and command size is a multiple of this many bytes. */
#define WEFT_CMD_ALIGN 8
/** Most bytes of one stream. */
#define WEFT_STREAM_MAX_BYTES (64u << 20)

/**
 * enum weft_engine - the engines that execute commands
 * @WEFT_ENGINE_COMPUTE: tensor operations, device memory only
 * @WEFT_ENGINE_DMA_IN: copies host memory -> device memory
 * @WEFT_ENGINE_DMA_OUT: copies device memory -> host memory
 */
enum weft_engine {
	WEFT_ENGINE_COMPUTE = 0,
	WEFT_ENGINE_DMA_IN = 1,
	WEFT_ENGINE_DMA_OUT = 2,
	WEFT_ENGINES = 3,
};

/**
 * enum weft_type - element types
 * @WEFT_TYPE_NONE: the operand slot is empty (allowed for optional operands)
 * @WEFT_TYPE_F32: IEEE binary32
 * @WEFT_TYPE_F16: IEEE binary16 (storage; arithmetic is done in binary32)
 * @WEFT_TYPE_BF16: bfloat16 (storage)
 * @WEFT_TYPE_I32: two's complement 32 bit
 * @WEFT_TYPE_I64: two's complement 64 bit
 * @WEFT_TYPE_I8: two's complement 8 bit
 * @WEFT_TYPE_U8: unsigned 8 bit
 * @WEFT_TYPE_I16: two's complement 16 bit
 * @WEFT_TYPE_BOOL: one byte, 0 or 1
 * @WEFT_TYPE_I4: two elements a byte, low nibble first; innermost stride 1
 * @WEFT_TYPE_BIT: 32 elements a 32-bit word, bit 0 first; innermost stride 1
 */
enum weft_type {
	WEFT_TYPE_NONE = 0,
	WEFT_TYPE_F32 = 1,
	WEFT_TYPE_F16 = 2,
	WEFT_TYPE_BF16 = 3,
	WEFT_TYPE_I32 = 4,
	WEFT_TYPE_I64 = 5,
	WEFT_TYPE_I8 = 6,
	WEFT_TYPE_U8 = 7,
	WEFT_TYPE_I16 = 8,
	WEFT_TYPE_BOOL = 9,
	WEFT_TYPE_I4 = 10,
	WEFT_TYPE_BIT = 11,
	WEFT_TYPES,
};

/**
 * struct weft_tensor - one operand
 * @address: device virtual address of element [0, 0, ...]; aligned to the element size
 * @type: enum weft_type
 * @rank: number of dimensions, 0 (a scalar) to WEFT_MAX_RANK
 * @pad: zero
 * @zero_point: quantized types: the integer that stands for real 0
 * @scales: zero
 * @dims: extents, outermost first; entries at and above @rank are zero.  An
 *	extent may be zero only where the operation says so.
 * @strides: distance between neighbours along each dimension, in elements; 0
 *	repeats (inputs only), negative walks backwards.  Entries at and above
 *	@rank are zero.
 *
 * The control core computes the lowest and highest byte that the descriptor
 * can reach, with overflow checks, and translates that range.
 */
struct weft_tensor {
	__u64 address;
	__u8 type;
	__u8 rank;
	__u16 pad;
	__s32 zero_point;
	__u64 scales;
	__u32 dims[WEFT_MAX_RANK];
	__s32 strides[WEFT_MAX_RANK];
};

/**
 * struct weft_sem - a wait or signal slot
 * @index: semaphore, below WEFT_SEMAPHORES, or WEFT_SEM_NONE
 * @pad: zero
 * @value: zero for WEFT_SEM_NONE; wait: go on once the semaphore is at least this; signal: the value to
 *	set, never less than the present one
 */
struct weft_sem {
	__u16 index;
	__u16 pad;
	__u32 value;
};

/* Activation applied to a result before it is stored (operations with an epilogue). */
enum weft_activation {
	WEFT_ACT_NONE = 0,
	WEFT_ACT_RELU = 1,
	/** min(max(x, alpha), beta) */
	WEFT_ACT_CLIP = 2,
};

/**
 * enum weft_op - operations
 *
 * Operand slots are listed as "inputs -> outputs"; [x] is optional (type
 * WEFT_TYPE_NONE when absent, but the slot is there).  Unless said otherwise,
 * operands are f32, and an output must not overlap an input, except that
 * operations marked "in place" allow an output with exactly the address, type,
 * dims and strides of an input of the same shape.  Overlap is that of the ranges
 * from the lowest to the highest byte that the descriptors reach, so operands
 * that interleave overlap.  An output's own elements must be distinct: each
 * stride, of extents above 1, is longer than all shorter ones together span.
 *
 * Windows: the last position that a window can reach, padding included, is below
 * 2^31, as is each padding.
 *
 * Order of summation.  Every sum is a chain of fused multiply-adds (or adds)
 * over the reduced index in ascending order, cut into blocks: each block
 * starts from +0, and block sums are added in ascending order to the total,
 * which starts from +0, or from the output's present value under
 * WEFT_F_ACCUMULATE; bias is added to the total, then the activation applies.
 * Where an operation has a scale, each block sum is multiplied by it (and
 * rounded) before it joins the total.  Block lengths are the WEFT_SUM_*
 * constants; a block none of whose terms takes part adds nothing.  The order
 * does not depend on threads, vector width or placement.
 * Splitting the reduced index at a multiple of the block length under
 * WEFT_F_ACCUMULATE gives the same bits, as does splitting any index that is
 * not reduced.  Operations that name WEFT_SUM_REDUCE round each term to f32
 * and add the terms of a block to WEFT_SUM_PARTIALS sums, term i of the block
 * to partial i mod WEFT_SUM_PARTIALS, each from +0 and in ascending order; a
 * tree then adds partial j + 8 to partial j (j < 8), j + 4 to j (j < 4), 2 to
 * 0 and 3 to 1, and 1 to 0.  The bits of a NaN are not defined.
 *
 * Winograd form (Lavin and Gray, CVPR 2016).  CONV_FWD and CONV_BWD_DATA with a
 * 3 x 3 kernel, stride 1, dilation 1 and one group, that sum over
 * WEFT_WINOGRAD_LEAST_CHANNELS to WEFT_WINOGRAD_MOST_CHANNELS channels (C; OC)
 * and whose output has at least WEFT_WINOGRAD_LEAST_WIDTH columns, are defined as
 * follows instead.  The output of each sample is cut into tiles of 2 x 2 from
 * its row 0, column 0 on.  Let d be the 4 x 4 elements of the input that a tile
 * and its taps meet, +0 where they are outside, and g the 3 x 3 weights, both in
 * ascending rows and columns of the input (the data gradient's weights are so
 * reversed).  Each step below is first taken on columns of the matrix, then
 * on the rows of the result (on rows first for y), and every operation rounds:
 *
 *	v0 = d0 - d2, v1 = d1 + d2, v2 = d2 - d1, v3 = d1 - d3
 *	u0 = g0, u1 = ((g0 + g2) + g1) / 2, u2 = ((g0 + g2) - g1) / 2, u3 = g2
 *	m = sum of v * u over the channels, for each of the 4 x 4: WEFT_SUM_WINOGRAD
 *	y0 = (m0 + m1) + m2, y1 = (m1 - m2) - m3
 *
 * y is added to the total as a block sum is; bias and activation follow.
 * CONV_BWD_WEIGHT with such a kernel, at least WEFT_WINOGRAD_LEAST_CHANNELS
 * channels of X and of DY, and at least WEFT_WINOGRAD_WEIGHT_LEAST_WIDTH columns
 * of DY cuts DY into tiles in the same way.  With d as above and y the tile of DY,
 * +0 outside, columns first for v and e, rows first for w:
 *
 *	e0 = y0, e1 = y0 + y1, e2 = y0 - y1, e3 = y1
 *	m = sum of v * e over the tiles of a block in ascending (row, column)
 *	w0 = m0 + (m1 + m2) / 2, w1 = (m1 - m2) / 2, w2 = (m1 + m2) / 2 - m3
 *
 * and w is the block sum of the weights' gradients.  No block spans two samples.
 * Where a row has T tiles, at most WEFT_SUM_WINOGRAD_WEIGHT, each sample is cut
 * every WEFT_SUM_WINOGRAD_WEIGHT / T rows of tiles (rounded down), else each row
 * of tiles is cut every WEFT_SUM_WINOGRAD_WEIGHT tiles.
 *
 * So a split of the batch or of an output's channels gives the same bits, as
 * does one of the output's rows or columns at an even one, or for the weight
 * gradient of one sample's DY between blocks of rows (with the part of the other
 * operand that they meet), as long as the parts are still of the form.  An infinity or NaN
 * may make NaN of all results of its tiles.
 *
 * RELU is 0 > x ? 0 : x; CLIP is v = alpha > x ? alpha : x, then
 * beta < v ? beta : v; both keep NaN.
 */
enum weft_op {
	/** NOP: nothing; carries semaphores. */
	WEFT_OP_NOP = 0x00,
	/**
	 * COPY: src -> dst.  Same type and dims, any strides.  On DMA_IN src is
	 * host and dst device memory; on DMA_OUT the reverse; on COMPUTE both
	 * are device memory (permute, slice, concatenate, broadcast).
	 */
	WEFT_OP_COPY = 0x01,
	/** FILL: -> dst.  params.fill.  Any type, any strides. */
	WEFT_OP_FILL = 0x02,

	/**
	 * MATMUL: A, B, [bias] -> C.  A [..., M, K], B [..., K, N], C [..., M, N],
	 * rank 2 to 4, any strides (so transposes are free); leading dims equal,
	 * stride 0 broadcasts; bias [N] or [M, N].  Sum over k: WEFT_SUM_MATMUL.
	 */
	WEFT_OP_MATMUL = 0x10,
	/**
	 * CONV_FWD: X [N,H,W,C], W [KH,KW,C/G,OC], [bias OC] -> Y [N,OH,OW,OC].
	 * Innermost stride 1 for all.  Sum over (kh, kw, c), cut every
	 * WEFT_SUM_CONV terms of that index.  Taps in the padding take no part
	 * (but their terms count for the cuts).  Or in Winograd form.
	 */
	WEFT_OP_CONV_FWD = 0x11,
	/**
	 * CONV_BWD_DATA: DY [N,OH,OW,OC], W, [bias C] -> DX [N,H,W,C].  Sum over
	 * (kh, kw, oc), oc counted in its group and cut every WEFT_SUM_CONV terms
	 * of that index.  A tap that falls between two strides or outside DY
	 * takes no part (but its terms count for the cuts).  Or in Winograd form.
	 * With a bias it is ConvTranspose.
	 */
	WEFT_OP_CONV_BWD_DATA = 0x12,
	/**
	 * CONV_BWD_WEIGHT: X, DY -> DW.  Sum over (n, oh, ow).  Positions whose
	 * tap is in the padding take no part; where C/G is less than
	 * WEFT_CONV_WEIGHT_PADDED they do, as elements of value +0 (the
	 * difference shows only where DY is infinite or NaN).  No block spans two samples: where OW is less than
	 * WEFT_SUM_CONV_WEIGHT, each sample is cut every
	 * WEFT_SUM_CONV_WEIGHT / OW rows (rounded down), else each row is cut every
	 * WEFT_SUM_CONV_WEIGHT columns.  So any split of the batch under
	 * WEFT_F_ACCUMULATE gives the same bits.  Or in Winograd form.  bias,
	 * activation: none.
	 */
	WEFT_OP_CONV_BWD_WEIGHT = 0x13,

	/**
	 * MAXPOOL_FWD: X [N,H,W,C] -> Y [N,OH,OW,C], [index u8: kh * KW + kw of the first maximum, as Y].
	 * NaN is larger than any number.  A window without a tap in X gives -infinity and index 0.
	 */
	WEFT_OP_MAXPOOL_FWD = 0x20,
	/**
	 * MAXPOOL_BWD: DY, index -> DX.  From +0, DY is added to the element that its index names,
	 * windows in ascending (oh, ow).  An index of KH * KW or more faults with
	 * WEFT_FAULT_VALUE; one that names a tap outside X adds nothing.
	 */
	WEFT_OP_MAXPOOL_BWD = 0x21,
	/**
	 * AVGPOOL_FWD: X -> Y = sum / count; the sum is one chain over (kh, kw) from +0;
	 * params.pool.count_pad says whether padding counts.  0 where nothing counts.
	 */
	WEFT_OP_AVGPOOL_FWD = 0x22,
	/** AVGPOOL_BWD: DY -> DX.  From +0, DY / count is added to each tap, windows in ascending (oh, ow). */
	WEFT_OP_AVGPOOL_BWD = 0x23,

	/**
	 * NORM_STATS: X [R..., C], viewed as rows by channels -> mean, rstd, [var].
	 * The kept axes are those where mean's dims equal X's; the reduced axes
	 * have extent 1 in mean (same rank).  rstd = 1 / sqrt(var + epsilon);
	 * var is the biased variance.  Batch, layer, instance and group norm
	 * differ only in which axes are kept.  Sum: WEFT_SUM_REDUCE, two passes
	 * (mean first, then squared deviations), each total divided by the count.
	 */
	WEFT_OP_NORM_STATS = 0x30,
	/**
	 * NORM_APPLY: X, mean, rstd, [gamma], [beta] -> Y = (X - mean) * rstd *
	 * gamma + beta, then activation; with both gamma and beta their product and
	 * sum are fused.  Operands broadcast to X by extent 1.  In place.
	 */
	WEFT_OP_NORM_APPLY = 0x31,
	/**
	 * NORM_BWD_STATS: X, DY, mean, rstd, [gamma], [Y] -> sum_dy, sum_dy_xhat,
	 * over the axes that have extent 1 in the outputs, with xhat = (X - mean) *
	 * rstd.  With [gamma], DY is multiplied by it first; with [Y], DY counts
	 * only where Y > 0 (backward of a fused ReLU).  mean, rstd and gamma
	 * broadcast to X by extent 1, and may vary along the reduced axes (the
	 * gradients of a layer norm's gamma and beta).  Sums: WEFT_SUM_REDUCE.
	 */
	WEFT_OP_NORM_BWD_STATS = 0x32,
	/**
	 * NORM_BWD_APPLY: X, DY, mean, rstd, [gamma], sum_dy, sum_dy_xhat, [Y] -> DX.
	 * With c = params.norm.inverse_count:
	 * gamma_in_sums 0: DX = rstd * gamma * (DY - c * (sum_dy + xhat * sum_dy_xhat));
	 * gamma_in_sums 1: DX = rstd * (gamma * DY - c * (sum_dy + xhat * sum_dy_xhat)),
	 * where xhat * sum_dy_xhat + sum_dy is fused, and so is gamma * DY - (...).
	 * Operands broadcast to X by extent 1.  In place of DY or X.
	 */
	WEFT_OP_NORM_BWD_APPLY = 0x33,

	/**
	 * SOFTMAX_FWD: X -> Y along the last dimension: e / sum(e), e = exp(X - max);
	 * params.softmax.log gives X - max - log(sum(e)).  Sum: WEFT_SUM_REDUCE.  In place.
	 */
	WEFT_OP_SOFTMAX_FWD = 0x40,
	/**
	 * SOFTMAX_BWD: Y, DY -> DX = Y * (DY - sum(DY * Y)); params.softmax.log: DY -
	 * exp(Y) * sum(DY), fused.  Sum: WEFT_SUM_REDUCE.  In place of DY.
	 */
	WEFT_OP_SOFTMAX_BWD = 0x41,
	/**
	 * XENT_FWD: logits [R, C], labels i32 or i64 [R], [class weights C] ->
	 * loss [R] or [] (sum or mean, params.xent), [probabilities R, C],
	 * [denominator []: the weight sum that a mean divides by].  A label that is
	 * neither in [0, C) nor ignore_index faults with WEFT_FAULT_VALUE.
	 * With logp = log-softmax and s = smoothing, a row's loss is (1 - s) *
	 * w[label] * -logp[label] + s / C * sum over c of w[c] * -logp[c], and 0
	 * where the label is ignored; a mean divides by the sum of w[label] of the
	 * rows that are not (torch.nn.CrossEntropyLoss).  Sums: WEFT_SUM_REDUCE.
	 */
	WEFT_OP_XENT_FWD = 0x42,
	/**
	 * XENT_BWD: logits, labels, [class weights], dloss ([] or [R]), [denominator] -> dlogits.
	 * A mean divides by the denominator, which is summed again where it is absent.  In place of logits.
	 */
	WEFT_OP_XENT_BWD = 0x43,

	/** UNARY: X -> Y = f(X); f is params.unary.function.  Any strides.  In place. */
	WEFT_OP_UNARY = 0x50,
	/** UNARY_BWD: Z, DY -> DX = DY * f'.  Z is Y for the functions so marked in enum weft_unary, else X.  In place of DY or Z. */
	WEFT_OP_UNARY_BWD = 0x51,
	/** BINARY: A, B -> Y = f(A, B), then activation.  Operands have Y's dims (stride 0 broadcasts).  In place of A or B. */
	WEFT_OP_BINARY = 0x52,
	/** WHERE: condition bool, A, B -> Y.  A, B and Y of any one type but I4 and BIT. */
	WEFT_OP_WHERE = 0x53,
	/**
	 * CAST: X -> Y, any numeric types.  Float to integer truncates towards zero
	 * and saturates, NaN gives 0; integer to integer keeps the low bits; to bool
	 * is x != 0; to a narrower float rounds to nearest even, from and to a 16-bit
	 * float through f32.
	 */
	WEFT_OP_CAST = 0x54,

	/**
	 * REDUCE: X -> Y; reduced axes have extent 1 in Y (same rank).  params.reduce.
	 * Sum: WEFT_SUM_REDUCE; the other functions follow the same order with their
	 * own operation.  MEAN divides the total by the count; LOG_SUM_EXP is
	 * log(sum(exp(x - max))) + max.  SUM scales its block sums, the others their result.
	 */
	WEFT_OP_REDUCE = 0x60,
	/** ARGREDUCE: X -> Y i32 or i64; params.reduce.function is MAX or MIN, one reduced axis at most, first extreme (or last) wins; NaN is more extreme than any number. */
	WEFT_OP_ARGREDUCE = 0x61,
	/**
	 * TOPK: X [..., N] f32, i32 or i64 -> Y [..., K] i32 or i64: the places along the last
	 * dimension of the K (at most N) largest elements, or under params.topk.smallest the
	 * smallest, best first; of equal ones the first comes first.  NaN is larger than any number.
	 */
	WEFT_OP_TOPK = 0x62,

	/** GATHER: table [V, D...], indices i32/i64 [R] -> Y [R, D...]; negative indices count from the end; out of range faults with WEFT_FAULT_VALUE.  Any type but I4 and BIT. */
	WEFT_OP_GATHER = 0x70,
	/** SCATTER_ADD: DY [R, D...], indices [R] -> DX [V, D...], which is added to, in ascending R.  Indices as in GATHER. */
	WEFT_OP_SCATTER_ADD = 0x71,
	/** IOTA: -> Y i32/i64/f32 [R]: params.iota.start + i * step in binary64, then converted as by CAST. */
	WEFT_OP_IOTA = 0x72,
	/**
	 * SCATTER: table [V, D...], indices [R], X [R, D...] -> Y [V, D...]: the table, then in
	 * ascending r Y[indices[r]] = f(Y[indices[r]], X[r]); f is params.scatter.function.  Indices as
	 * in GATHER.  REPLACE takes any type but I4 and BIT, the others f32, i32, i64.  In place of the table.
	 */
	WEFT_OP_SCATTER = 0x73,

	/**
	 * SGD: G, hyper -> W, [momentum].  hyper is f32 [8], see enum weft_hyper.  W and momentum
	 * are read and written.  params.optimizer.  torch.optim.SGD, with fused
	 * multiply-adds where one stands: d = decay * W + G * scale; without
	 * momentum W = W - lr * d; else m = momentum * m + (1 - dampening) * d and
	 * W = W - lr * m, or with nesterov W - lr * (momentum * m + d).  m starts from
	 * 0; torch leaves dampening out in the first step: give 0 for it there.
	 */
	WEFT_OP_SGD = 0x80,
	/**
	 * ADAM: G, hyper -> W, m, v.  torch.optim.Adam, with fused multiply-adds where
	 * one stands; params.optimizer.decoupled selects AdamW.  Coupled: g = decay *
	 * W + G * scale; decoupled: g = G * scale, W = W * (1 - lr * decay).  Then m =
	 * beta1 * m + (1 - beta1) * g, v = beta2 * v + (1 - beta2) * (g * g), and
	 * W = W - lr / bias1 * (m / (sqrt(v) / bias2_sqrt + epsilon)).
	 */
	WEFT_OP_ADAM = 0x81,
	/** LERP: A -> Y = Y + (A * scale - Y) * weight (running statistics), both fused; params.lerp.  Y is read and written. */
	WEFT_OP_LERP = 0x82,

	/**
	 * RANDOM: [counter i64 [2]: stream, step] -> Y f32.  Philox4x32-10 keyed by params.random.seed;
	 * element e (row-major in Y's dims) takes word e mod 4 of the block whose
	 * counter words are e / 4, stream, step and step >> 32.  The stream is
	 * params.random.stream plus the counter's; step is 0 without a counter.  The
	 * same arguments give the same numbers for every thread count and however
	 * often they are drawn.  u = (word >> 8) * 2^-24; UNIFORM is u * (high - low) +
	 * low, fused (low where that rounds to high); BERNOULLI is u < low; NORMAL
	 * takes Box and Muller's pair of each two words.
	 */
	WEFT_OP_RANDOM = 0x90,
	/** DROPOUT: X, counter -> Y, [mask bool]; params.random.  The mask is that of RANDOM < keep probability.  In place.  Also its own gradient. */
	WEFT_OP_DROPOUT = 0x91,

	/* Integer engine: see <weft_isa_integer.h>. */
	/** QMATMUL: A i8/u8 [..., M, K], B i8/u8/i4 [..., K, N], [bias i32 N], [multiplier] -> C i32/i8/u8 [..., M, N]. */
	WEFT_OP_QMATMUL = 0xa0,
	/** QCONV: X i8/u8, W i8/u8/i4, [bias i32 OC], [multiplier] -> Y i32/i8/u8: as CONV_FWD. */
	WEFT_OP_QCONV = 0xa1,
	/** QUANTIZE: X f32, scale f32, [zero] -> Y i8/u8. */
	WEFT_OP_QUANTIZE = 0xa2,
	/** DEQUANTIZE: X i8/u8/i32, scale f32, [zero] -> Y f32. */
	WEFT_OP_DEQUANTIZE = 0xa3,
	/** REQUANTIZE: X i8/u8/i32, multiplier -> Y i8/u8.  In place. */
	WEFT_OP_REQUANTIZE = 0xa4,
	/** QADD: A, B i8/u8 -> Y i8/u8.  In place of A or B. */
	WEFT_OP_QADD = 0xa5,
	/** QMUL: A, B i8/u8 -> Y i8/u8.  In place of A or B. */
	WEFT_OP_QMUL = 0xa6,
	/** QMAXPOOL: X [N,H,W,C] -> Y [N,OH,OW,C]. */
	WEFT_OP_QMAXPOOL = 0xa7,
	/** QAVGPOOL: X [N,H,W,C] -> Y [N,OH,OW,C]. */
	WEFT_OP_QAVGPOOL = 0xa8,
	/** QLOOKUP: X i8/u8, table i8/u8 [256] -> Y: functions of one element.  In place. */
	WEFT_OP_QLOOKUP = 0xa9,
	/** QSOFTMAX: X i8/u8, table i32 [256] -> Y i8/u8. */
	WEFT_OP_QSOFTMAX = 0xaa,
	/** QLAYERNORM: X i8/u8, gamma i8 [N], [bias i32 N], multiplier -> Y i8/u8. */
	WEFT_OP_QLAYERNORM = 0xab,

	/* Projection engine: see <weft_isa_projection.h>. */
	/** PROJECT: X f32/i8/u8 [N, K] -> Y bit [N, R]: signs of sums at places drawn from a seed. */
	WEFT_OP_PROJECT = 0xc0,
	/** PROJECT_HASHED: F i32/i64 [N, L], [V f32] -> Y bit [N, R]: the same for lists of features. */
	WEFT_OP_PROJECT_HASHED = 0xc1,
	/** PROJECT_MEAN: F [N, L] -> Y f32 [N, R]: means of hashes of the features (SGNN). */
	WEFT_OP_PROJECT_MEAN = 0xc2,
	/** PROJECT_TERNARY: F [R...] -> Y i8/f32 [R..., C]: -1, 0 or 1 for each two bits of a hash (PRADO, pQRNN). */
	WEFT_OP_PROJECT_TERNARY = 0xc3,
	/** BIT_MATMUL: A bit [M, K], B f32/i8 [K, N], [bias N], [multiplier] -> C f32/i32/i8/u8 [M, N]. */
	WEFT_OP_BIT_MATMUL = 0xc4,
	/** BIT_DOT: A bit [M, K], B bit [N, K] -> C i32 [M, N]: XNOR and population count. */
	WEFT_OP_BIT_DOT = 0xc5,
	/** BIT_UNPACK: X bit -> Y f32/i8. */
	WEFT_OP_BIT_UNPACK = 0xc6,
	/** BIT_PACK: X f32/i8/u8 -> Y bit. */
	WEFT_OP_BIT_PACK = 0xc7,
	WEFT_OP_LIMIT = 0x100,
};

/* Block lengths of the order of summation; see enum weft_op. */
#define WEFT_SUM_MATMUL 512
#define WEFT_SUM_CONV 512
#define WEFT_SUM_CONV_WEIGHT 512
/* Below so many channels of a group, CONV_BWD_WEIGHT multiplies by padding. */
#define WEFT_CONV_WEIGHT_PADDED 16
/* Winograd form, see enum weft_op: where it applies, and block length of its products. */
#define WEFT_WINOGRAD_LEAST_CHANNELS 32
#define WEFT_WINOGRAD_MOST_CHANNELS 1024
#define WEFT_WINOGRAD_LEAST_WIDTH 6
#define WEFT_SUM_WINOGRAD 256
#define WEFT_WINOGRAD_WEIGHT_LEAST_WIDTH 8
#define WEFT_SUM_WINOGRAD_WEIGHT 128
#define WEFT_SUM_REDUCE 256
/** Interleaved partial sums of a WEFT_SUM_REDUCE block. */
#define WEFT_SUM_PARTIALS 16

/** The sum starts from the output's present value (MATMUL, CONV_*, REDUCE with SUM, BINARY with ADD is plain). */
#define WEFT_F_ACCUMULATE (1u << 0)

/** How XENT_FWD combines the rows. */
enum weft_xent_reduction {
	WEFT_XENT_NONE = 0,
	WEFT_XENT_SUM,
	WEFT_XENT_MEAN,
};

/** Elements of the f32 [8] hyperparameter tensor of the optimizers; changed by the host between steps. */
enum weft_hyper {
	WEFT_HYPER_LR = 0,
	/** SGD: momentum; Adam: beta 1. */
	WEFT_HYPER_BETA1,
	/** SGD: dampening; Adam: beta 2. */
	WEFT_HYPER_BETA2,
	WEFT_HYPER_EPSILON,
	WEFT_HYPER_WEIGHT_DECAY,
	/** Adam: 1 - beta1^t. */
	WEFT_HYPER_BIAS1,
	/** Adam: sqrt(1 - beta2^t). */
	WEFT_HYPER_BIAS2_SQRT,
	/** The gradient is multiplied by this first (clipping, accumulation). */
	WEFT_HYPER_GRADIENT_SCALE,
	WEFT_HYPERS,
};

/** Distribution of RANDOM. */
enum weft_distribution {
	WEFT_UNIFORM = 0, /* [low, high) */
	WEFT_NORMAL, /* mean low, standard deviation high */
	WEFT_BERNOULLI, /* 1 with probability low */
};

/**
 * union weft_params - what an operation needs besides tensors; 64 bytes, unused bytes zero
 */
union weft_params {
	struct {
		__u32 flags; /* WEFT_F_ACCUMULATE */
		__u32 activation; /* enum weft_activation */
		float alpha; /* of the activation */
		float beta;
		float scale; /* the product is multiplied by this before bias; 1 for none */
	} matmul;
	struct {
		__u32 flags;
		__u32 activation;
		float alpha;
		float beta;
		__u32 stride[2]; /* height, width; at least 1 */
		__u32 dilation[2];
		__u32 pad[2]; /* before the first row, column; padding after follows from Y's dims */
		__u32 groups; /* divides C and OC */
	} conv;
	struct {
		__u32 kernel[2];
		__u32 stride[2];
		__u32 dilation[2];
		__u32 pad[2];
		__u32 count_pad; /* AVGPOOL: divide by the window's size including padding inside [pad_begin, pad_end] */
		__u32 pad_end[2];
	} pool;
	struct {
		float epsilon;
		float inverse_count; /* 1 / elements normalised together */
		__u32 activation;
		float alpha;
		float beta;
		__u32 gamma_in_sums; /* NORM_BWD_APPLY */
	} norm;
	struct {
		__u32 log;
	} softmax;
	struct {
		__u32 reduction; /* enum weft_xent_reduction */
		__s32 ignore_index; /* only if has_ignore */
		__u32 has_ignore;
		float smoothing; /* label smoothing, [0, 1] */
	} xent;
	struct {
		__u32 function; /* enum weft_unary */
		float alpha;
		float beta;
	} unary;
	struct {
		__u32 function; /* enum weft_binary */
		__u32 activation;
		float alpha;
		float beta;
	} binary;
	struct {
		__u32 function; /* enum weft_reduce */
		__u32 flags; /* WEFT_F_ACCUMULATE */
		__u32 select_last; /* ARGREDUCE: the last extreme wins */
		float scale; /* result is multiplied by this; 1 for none */
	} reduce;
	struct {
		__u32 smallest;
	} topk;
	struct {
		__u32 function; /* enum weft_scatter */
	} scatter;
	struct {
		__u64 bits; /* the element's bits, in the low bytes */
	} fill;
	struct {
		double start;
		double step;
	} iota;
	struct {
		__u32 nesterov; /* SGD */
		__u32 decoupled; /* ADAM: AdamW */
	} optimizer;
	struct {
		float scale;
		float weight;
	} lerp;
	struct {
		__u64 seed;
		__u32 distribution; /* enum weft_distribution */
		float low;
		float high;
		__u32 stream; /* used where no counter operand is given */
		float keep; /* DROPOUT: probability of keeping; kept values are divided by it */
	} random;
	struct {
		__s32 low; /* least and greatest result; 0 where it is i32 */
		__s32 high;
		__u32 panels; /* QMATMUL: B is in panels */
	} qmatmul; /* REQUANTIZE too, with 0 for panels */
	struct {
		__s32 low;
		__s32 high;
		__u32 stride[2]; /* as in conv */
		__u32 dilation[2];
		__u32 pad[2];
		__u32 groups;
		__u32 kernel[2]; /* height, width where W is in panels, else 0 */
	} qconv;
	struct {
		__s32 low;
		__s32 high;
		__s32 factor[2];
		__u32 shift;
	} qadd;
	struct {
		__s32 low;
		__s32 high;
		__u32 multiplier; /* m */
		__u32 shift; /* s */
	} qmul;
	struct {
		__u32 kernel[2]; /* as in pool */
		__u32 stride[2];
		__u32 dilation[2];
		__u32 pad[2];
		__u32 count_pad; /* QAVGPOOL */
		__u32 pad_end[2];
		__s32 low;
		__s32 high;
		__u32 multiplier; /* QAVGPOOL: m and s, else 0 */
		__u32 shift;
	} qpool;
	struct {
		__u32 bits; /* results are multiples of 2^-bits; 1 to 16 */
	} qsoftmax;
	struct {
		__s32 low;
		__s32 high;
		__u64 epsilon;
	} qlayernorm;
	struct weft_project_params project;
	struct weft_bits_params bits;
	__u8 bytes[64];
};

/**
 * struct weft_cmd - a command: this header, then @operands tensors
 * @opcode: enum weft_op
 * @engine: enum weft_engine that executes it
 * @operands: number of struct weft_tensor that follow
 * @size: bytes of header and operands together
 * @tag: the submitter's name for the command; returned in faults and traces
 * @pad: zero
 * @wait: semaphores that must reach their values before the command starts
 * @signal: semaphore set when the command has completed
 * @params: see union weft_params
 * @operand: inputs, then outputs, in the slots that enum weft_op lists
 */
struct weft_cmd {
	__u16 opcode;
	__u8 engine;
	__u8 operands;
	__u32 size;
	__u32 tag;
	__u32 pad;
	struct weft_sem wait[2];
	struct weft_sem signal;
	union weft_params params;
	struct weft_tensor operand[];
};

/** Most bytes of one command. */
#define WEFT_CMD_MAX_BYTES (sizeof(struct weft_cmd) + WEFT_MAX_OPERANDS * sizeof(struct weft_tensor))

/**
 * enum weft_fault - why a context was stopped
 */
enum weft_fault {
	WEFT_FAULT_NONE = 0,
	/** Command size wrong, misaligned, or past the end of the stream. */
	WEFT_FAULT_STREAM = 1,
	/** Unknown opcode, or one that the engine named cannot execute. */
	WEFT_FAULT_OPCODE = 2,
	/** Wrong number of operands, or a required one absent. */
	WEFT_FAULT_OPERANDS = 3,
	/** An operand's type does not suit the operation. */
	WEFT_FAULT_TYPE = 4,
	/** Rank, dims or strides do not suit the operation, or overflow. */
	WEFT_FAULT_SHAPE = 5,
	/** A parameter is out of range, or padding is not zero. */
	WEFT_FAULT_PARAMETER = 6,
	/** Address misaligned. */
	WEFT_FAULT_ALIGNMENT = 7,
	/** Address not mapped in the context. */
	WEFT_FAULT_UNMAPPED = 8,
	/** Mapped, but not writable, or of the wrong tier for the engine. */
	WEFT_FAULT_PERMISSION = 9,
	/** Output overlaps an operand that it must not. */
	WEFT_FAULT_OVERLAP = 10,
	/** Semaphore index out of range, or signalled backwards. */
	WEFT_FAULT_SEMAPHORE = 11,
	/** Every engine waits and nothing runs: the stream can never finish. */
	WEFT_FAULT_DEADLOCK = 12,
	/** A value read at run time (label, index) is out of range. */
	WEFT_FAULT_VALUE = 13,
	/** The command ran longer than the context's limit. */
	WEFT_FAULT_TIMEOUT = 14,
	/** The engine failed. */
	WEFT_FAULT_ENGINE = 15,
	/** Stopped by its owner, or by a reset for which it was not to blame. */
	WEFT_FAULT_CANCELLED = 16,
	WEFT_FAULTS,
};

/** weft_fault_record.detail of WEFT_FAULT_SHAPE: the rank is wrong. */
#define WEFT_DETAIL_RANK 0xffffffffu
/** weft_fault_record.detail of WEFT_FAULT_SHAPE: added to a dimension whose stride is wrong. */
#define WEFT_DETAIL_STRIDE 0x100u

/**
 * struct weft_fault_record - what is known about a fault
 * @reason: enum weft_fault
 * @opcode: of the command
 * @engine: enum weft_engine
 * @operand: index of the operand concerned, 0xff if none
 * @tag: of the command
 * @command: index of the command in its stream
 * @offset: byte offset of the command in its stream
 * @detail: reason-specific, see below
 * @address: reason-specific, see below
 *
 * What @detail and @address hold, by reason; what is not listed is zero:
 *
 *   STREAM       detail 0: address is the command's size; 1: bytes left in the
 *                stream, less than a command; 2: bytes of the stream;
 *                3: commands that the host said were executed, more than there are
 *   OPCODE       detail 0: address is the opcode; 1: the engine
 *   OPERANDS     @operand set: it is absent; else detail is the number of
 *                operands that the opcode has, address the number found
 *   TYPE         address is the type found
 *   SHAPE        detail is the dimension, plus WEFT_DETAIL_STRIDE if its stride
 *                is meant, or WEFT_DETAIL_RANK; address is what was expected, 0
 *                if that is no single value
 *   PARAMETER    detail is the offset in union weft_params (@operand set: in
 *                struct weft_tensor; 0xffffffff: the header's pad); address the
 *                value found
 *   ALIGNMENT    detail is the alignment wanted, address the device address
 *   UNMAPPED, PERMISSION  address is the lowest device address of the operand
 *                (@operand 0xff: of the command), detail the access wanted: 1
 *                read, 2 write, 4 host memory
 *   OVERLAP      detail is the other operand (@operand itself: elements of it
 *                overlap); address the device address
 *   SEMAPHORE    detail 0, 1: wait slot, 2: signal; address the index
 *   DEADLOCK     detail is the semaphore waited for, address the value
 *   VALUE        address is the value
 */
struct weft_fault_record {
	__u32 reason;
	__u16 opcode;
	__u8 engine;
	__u8 operand;
	__u32 tag;
	__u32 command;
	__u32 offset;
	__u32 detail;
	__u64 address;
};

#if defined(__cplusplus)
}
#endif

#endif /* _UAPI_WEFT_ISA_H_ */
