/* SPDX-License-Identifier: (GPL-2.0-only WITH Linux-syscall-note) OR MIT */
/*
 * Projection operations of the instruction set (0xc0 to 0xcf): products with
 * random vectors that are regenerated from a seed and never stored, reduced to
 * bits, and products of bits.  Included by <weft_isa.h>, whose rules hold.
 *
 * Bits.  A tensor of WEFT_TYPE_BIT has 32 elements a word, bit 0 first, and its
 * rows start on words.  An operation that writes bits writes whole words: those
 * of the last word of a row that are beyond its extent become 0.  What they hold
 * in an input does not matter.  A bit b stands for the number b, or where the
 * operation's parameter signs is 1 for 2 * b - 1.
 *
 * Random words.  philox(seed; c0, c1, c2, c3) is the block of four 32-bit words
 * that Philox4x32-10 gives for that counter and the key (seed, seed >> 32)
 * (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011), as for
 * WEFT_OP_RANDOM.  Its 128 bits are counted from bit 0 of word 0.
 *
 * Operands have any strides where nothing else is said.
 *
 * Random vectors for dense inputs are sparse (Achlioptas 2003; Li, Hastie and
 * Church, "Very sparse random projections", KDD 2006): the vector of bit r has
 * params.project.taps terms of +1 and -1 in turn, at random places.  With
 * e = r * taps + j and w = word e mod 4 of philox(seed; e / 4, e >> 34, 0, 0),
 * term j, from 0, is at place floor(w * K / 2^32) of the K elements, +1 where j is
 * even and -1 where it is odd; terms at the same place add up.  An even number of
 * terms is therefore blind to a constant that is added to all elements.
 *
 * Random vectors for sparse inputs, lists of features that are hashes themselves,
 * are drawn for each feature f, a number from 0 to 2^63 - 1, from
 * philox(seed; b, 0, f, f >> 32), b = 0, 1, ...  A negative feature is absent.
 *
 * Sums of f32 are single chains of additions (or subtractions) from +0 in the
 * order of terms or features.
 *
 *  PROJECT: X f32, i8 or u8 [N, K] -> Y bit [N, R].  Bit r of a row is whether the
 *	sum over j of plus or minus the row's element (less X's zero point) at term
 *	j's place is greater than 0.  params.project.
 *  PROJECT_HASHED: F i32 or i64 [N, L], [V f32 as F] -> Y bit [N, R].  Bit r is
 *	whether the sum over the row's features of V (1 where absent), negated where
 *	bit r mod 128 of block r / 128 of the feature is 0, is greater than 0.
 *	params.project with taps 0.
 *  PROJECT_MEAN: F i32 or i64 [N, L] -> Y f32 [N, R], the form of SGNN (Ravi and
 *	Kozareva, "Self-governing neural networks for on-device short text
 *	classification", EMNLP 2018): with h the byte r mod 16 of block r / 16 of a
 *	feature, as a two's complement number, Y is the sum over the row's features
 *	of 2 * h + 1, divided by 255 times their number, both exact in f32, or 0
 *	where there is none.  params.project with taps 0.
 *  PROJECT_TERNARY: F i32 or i64 [R...] -> Y i8 or f32 [R..., C], the form of PRADO
 *	(Kaliamoorthi et al., EMNLP 2019) and pQRNN: element c is 0, 1, -1 or 0 where
 *	bits 2 * (c mod 64) and 2 * (c mod 64) + 1 of block c / 64 of the feature are,
 *	the second one first, 00, 01, 10 or 11, and 0 where the feature is absent.
 *	F of rank 1 to WEFT_MAX_RANK - 1; Y dense innermost.  params.project with taps 0.
 *  BIT_MATMUL: A bit [M, K], B f32 or i8 [K, N], [bias N], [multiplier] -> C [M, N].
 *	With B of f32 (bias and C of f32, no multiplier): as MATMUL of the numbers that
 *	the bits stand for, without a scale; the activation follows.  With B of i8 (bias
 *	i32): as QMATMUL of those numbers.  bias, multiplier and C are dense innermost.
 *	params.bits.
 *  BIT_DOT: A bit [M, K], B bit [N, K] -> C i32 [M, N]: the sum over k
 *	of (2 * a - 1) * (2 * b - 1), that is K less twice the number of places where
 *	they differ (XNOR and population count).
 *  BIT_UNPACK: X bit -> Y f32 or i8, of the same dims: the numbers that the bits
 *	stand for.  params.bits with all but signs 0.
 *  BIT_PACK: X f32, i8 or u8 -> Y bit, of the same dims: whether X (less its zero
 *	point) is greater than 0.
 */
#ifndef _UAPI_WEFT_ISA_PROJECTION_H_
#define _UAPI_WEFT_ISA_PROJECTION_H_

/** Most terms of a random vector: sums of as many bytes are exact in f32. */
#define WEFT_PROJECT_MAX_TAPS (1u << 16)
/** Most features of a row of a sparse input, for the same reason. */
#define WEFT_PROJECT_MAX_FEATURES (1u << 16)
/** Most bits (or numbers) of a row of a result, and of a row of BIT_MATMUL's and BIT_DOT's operands. */
#define WEFT_PROJECT_MAX_BITS (1u << 16)

/**
 * struct weft_project_params - parameters of PROJECT*
 * @seed: of the random vectors
 * @taps: PROJECT: terms of each, 1 to WEFT_PROJECT_MAX_TAPS; else 0
 * @pad: zero
 */
struct weft_project_params {
	__u64 seed;
	__u32 taps;
	__u32 pad;
};

/**
 * struct weft_bits_params - parameters of BIT_MATMUL and BIT_UNPACK
 * @low: least result where it is i8 or u8, else 0
 * @high: greatest result, likewise
 * @signs: 0: a bit stands for 0 or 1; 1: for -1 or 1
 * @activation: enum weft_activation; 0 unless the result is f32
 * @alpha: of the activation
 * @beta: of the activation
 */
struct weft_bits_params {
	__s32 low;
	__s32 high;
	__u32 signs;
	__u32 activation;
	float alpha;
	float beta;
};

#endif /* _UAPI_WEFT_ISA_PROJECTION_H_ */
