/* SPDX-License-Identifier: (GPL-2.0-only WITH Linux-syscall-note) OR MIT */
/*
 * Integer operations of the instruction set (0xa0 to 0xbf).  Included by
 * <weft_isa.h>, whose rules hold.
 *
 * An element q of a quantized operand, of type i8, u8 or i4, with zero_point z
 * stands for the integer q - z; what real number that is, only QUANTIZE and
 * DEQUANTIZE know.  z is a value of the type
 * (weights of type i4: -8 to 7), and 0 for other types.  Sums are of 32 bits,
 * two's complement, and wrap around, so their order does not matter.
 *
 * A total t becomes a quantized result in one rounding,
 *
 *	R(t, m, s) = saturate32(floor((t * m + 2^(s - 1)) / 2^s))
 *	q = min(max(z + R(t, m, s), low), high)
 *
 * where the product and the sum with z are exact, m is 0 to 2^31 - 1, s is 1
 * to 62, and low <= high are values of the result's type (fused clamps: a ReLU
 * has low = z).  This is the fixed-point multiplier of Jacob et al. 2018
 * (m * 2^-s in place of scale_x * scale_w / scale_y), with ties towards +infinity.
 * A multiplier tensor is i32 [N, 2], rows (m, s), one for each channel of the
 * last dimension, or [1, 2] for all; a row out of range faults with
 * WEFT_FAULT_VALUE.
 *
 *  QMATMUL: A i8/u8 [..., M, K], B i8/u8/i4 [..., K, N], [bias i32 N], [multiplier] -> C
 *	[..., M, N], rank 2 to 4, any strides but that C is dense innermost; leading dims as
 *	in MATMUL.  The total is the sum over k of (A - zero point) * (B - zero point), plus
 *	bias.  With a multiplier C is i8 or u8 and made by R; without, C is i32 and is the
 *	total.  Where params.qmatmul.panels is 1, A is of rank 2 and B is in panels: i8 [P, K /
 *	4, WEFT_PANEL_COLUMNS, 4], dense, with element (k, n) at [n / WEFT_PANEL_COLUMNS, k /
 *	4, n mod WEFT_PANEL_COLUMNS, k mod 4].  K is a multiple of 4, P is N /
 *	WEFT_PANEL_COLUMNS rounded up, and what stands for n of N and above takes no part.
 *	Engines read that as it is, where they would rearrange B in every command.
 *  QCONV: X i8/u8 [N,H,W,C], W i8/u8/i4 [KH,KW,C/G,OC], [bias i32 OC], [multiplier] -> Y
 *	[N,OH,OW,OC].  As CONV_FWD and QMATMUL; taps in the padding add nothing.  Where
 *	params.qconv.kernel is not 0, it is (KH, KW), there is one group, and W is in panels:
 *	k is (kh * KW + kw) * C + c, n is OC's index.
 *  QUANTIZE: X f32, scale f32, [zero] -> Y i8/u8 = saturate(x / scale, rounded to nearest
 *	even, + z).  The quotient is rounded to f32 first; NaN gives z.  scale and zero
 *	broadcast to X by extent 1; zero, of Y's type, holds z where it is not the same
 *	everywhere, and Y's zero_point is 0 then.
 *  DEQUANTIZE: X i8/u8/i32, scale f32, [zero] -> Y f32 = (x - z, exact, rounded to f32) *
 *	scale.  Operands as in QUANTIZE.
 *  REQUANTIZE: X i8/u8/i32, multiplier -> Y i8/u8 by R of X - zero point.  Of rank 1 or
 *	more.  In place.
 *  QADD: A, B i8/u8 -> Y i8/u8.  With the factors and shift of params.qadd, y = min(max(z
 *	+ floor((a' * factor[0] + b' * factor[1] + 2^(shift - 1)) / 2^shift), low), high), a'
 *	and b' less their zero points.  Factors are -2^21 to 2^21, shift is 1 to 30.  Operands
 *	have Y's dims.  In place of A or B.
 *  QMUL: A, B i8/u8 -> Y i8/u8 by R of a' * b', with params.qmul.  Operands have Y's
 *	dims.  In place of A or B.
 *  QMAXPOOL: X [N,H,W,C] -> Y [N,OH,OW,C] of X's type and zero_point: the greatest in the
 *	window, then low and high.  A window without a tap in X gives low.
 *  QAVGPOOL: X -> Y, each i8 or u8, by R(sum of the window's X - zero point, (multiplier
 *	+ count / 2) / count, shift), divisions rounded down, with count as AVGPOOL_FWD has
 *	it; z where it is 0.
 *  QLOOKUP: X i8/u8, table i8/u8 [256] -> Y of the table's type: element x of the table,
 *	for i8 element x + 128.  In place.
 *  QSOFTMAX: X i8/u8, table i32 [256] -> Y i8/u8, along the last dimension, dense.  With
 *	e = table[max - x] and their 64-bit sum s, y = min(z + floor((e * 2^bits + floor(s /
 *	2)) / s), the greatest value of the type).  The table holds exp(-i * scale) in fixed
 *	point: entries below 0 or above 2^24, or a first entry of 0, fault with
 *	WEFT_FAULT_VALUE.  params.qsoftmax.
 *  QLAYERNORM: X i8/u8, gamma i8 [N], [bias i32 N], multiplier -> Y i8/u8, along the last
 *	dimension, of extent N up to WEFT_QLAYERNORM_MAX and dense.  With x' = x - zero point,
 *	S and Q the sums of x' and of x'^2, d = N * x' - S and r = floor(sqrt((N * Q - S * S +
 *	epsilon) * 2^16)): t = floor((d * 2^20 + floor(r / 2)) / r), which is the normalised
 *	value times 2^12, and y is made by R of t * gamma + bias.  params.qlayernorm; epsilon
 *	is in units of (N * scale)^2, 1 to 2^46.
 */
#ifndef _UAPI_WEFT_ISA_INTEGER_H_
#define _UAPI_WEFT_ISA_INTEGER_H_

/** Greatest last dimension of QLAYERNORM. */
#define WEFT_QLAYERNORM_MAX (1u << 15)
/** Columns of a panel of integer weights. */
#define WEFT_PANEL_COLUMNS 32

#endif /* _UAPI_WEFT_ISA_INTEGER_H_ */
