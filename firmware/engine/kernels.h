/* SPDX-License-Identifier: MIT */
/**
 * Kernels are compiled once per code path: meson builds each kernel file with
 * WEFT_KERNEL_ISA set to scalar, avx2, avx512 or neon and the matching machine
 * flags.  Every non-static symbol of such a file is named with WEFT_KERNEL(),
 * so that the copies do not collide:
 *
 *	enum weft_fault WEFT_KERNEL(weft_matmul)(WEFT_KERNEL_ARGUMENTS)
 *
 * defines weft_matmul_avx2 in the AVX2 library.  A new kernel is declared here,
 * entered in the table of kernels.c, and its file added to meson.build.
 */
#ifndef WEFT_ENGINE_KERNELS_H
#define WEFT_ENGINE_KERNELS_H

#include "engine.h"

/* The tables that unit.c chooses from; only those of this architecture exist. */
extern const struct weft_kernels weft_kernels_scalar;
extern const struct weft_kernels weft_kernels_avx2;
extern const struct weft_kernels weft_kernels_avx512;
extern const struct weft_kernels weft_kernels_neon;

#ifdef WEFT_KERNEL_ISA

#define WEFT_KERNEL_PASTE(name, isa) name##_##isa
#define WEFT_KERNEL_EXPAND(name, isa) WEFT_KERNEL_PASTE(name, isa)
#define WEFT_KERNEL(name) WEFT_KERNEL_EXPAND(name, WEFT_KERNEL_ISA)
#define WEFT_KERNEL_STRING_(isa) #isa
#define WEFT_KERNEL_STRING(isa) WEFT_KERNEL_STRING_(isa)
#define WEFT_KERNEL_NAME WEFT_KERNEL_STRING(WEFT_KERNEL_ISA)

#define WEFT_KERNEL_ARGUMENTS                                                                 \
	struct weft_engine_unit *unit, const struct weft_cmd *command, void *const pointer[], \
		struct weft_fault_record *fault

enum weft_fault WEFT_KERNEL(weft_matmul)(WEFT_KERNEL_ARGUMENTS);
enum weft_fault WEFT_KERNEL(weft_conv_fwd)(WEFT_KERNEL_ARGUMENTS);
enum weft_fault WEFT_KERNEL(weft_conv_bwd_data)(WEFT_KERNEL_ARGUMENTS);
enum weft_fault WEFT_KERNEL(weft_conv_bwd_weight)(WEFT_KERNEL_ARGUMENTS);
enum weft_fault WEFT_KERNEL(weft_copy)(WEFT_KERNEL_ARGUMENTS);
enum weft_fault WEFT_KERNEL(weft_fill)(WEFT_KERNEL_ARGUMENTS);
enum weft_fault WEFT_KERNEL(weft_maxpool_fwd)(WEFT_KERNEL_ARGUMENTS);
enum weft_fault WEFT_KERNEL(weft_maxpool_bwd)(WEFT_KERNEL_ARGUMENTS);
enum weft_fault WEFT_KERNEL(weft_avgpool_fwd)(WEFT_KERNEL_ARGUMENTS);
enum weft_fault WEFT_KERNEL(weft_avgpool_bwd)(WEFT_KERNEL_ARGUMENTS);
enum weft_fault WEFT_KERNEL(weft_norm_stats)(WEFT_KERNEL_ARGUMENTS);
enum weft_fault WEFT_KERNEL(weft_norm_apply)(WEFT_KERNEL_ARGUMENTS);
enum weft_fault WEFT_KERNEL(weft_norm_bwd_stats)(WEFT_KERNEL_ARGUMENTS);
enum weft_fault WEFT_KERNEL(weft_norm_bwd_apply)(WEFT_KERNEL_ARGUMENTS);
enum weft_fault WEFT_KERNEL(weft_softmax_fwd)(WEFT_KERNEL_ARGUMENTS);
enum weft_fault WEFT_KERNEL(weft_softmax_bwd)(WEFT_KERNEL_ARGUMENTS);
enum weft_fault WEFT_KERNEL(weft_xent_fwd)(WEFT_KERNEL_ARGUMENTS);
enum weft_fault WEFT_KERNEL(weft_xent_bwd)(WEFT_KERNEL_ARGUMENTS);
enum weft_fault WEFT_KERNEL(weft_unary)(WEFT_KERNEL_ARGUMENTS);
enum weft_fault WEFT_KERNEL(weft_unary_bwd)(WEFT_KERNEL_ARGUMENTS);
enum weft_fault WEFT_KERNEL(weft_binary)(WEFT_KERNEL_ARGUMENTS);
enum weft_fault WEFT_KERNEL(weft_where)(WEFT_KERNEL_ARGUMENTS);
enum weft_fault WEFT_KERNEL(weft_cast)(WEFT_KERNEL_ARGUMENTS);
enum weft_fault WEFT_KERNEL(weft_reduce)(WEFT_KERNEL_ARGUMENTS);
enum weft_fault WEFT_KERNEL(weft_argreduce)(WEFT_KERNEL_ARGUMENTS);
enum weft_fault WEFT_KERNEL(weft_gather)(WEFT_KERNEL_ARGUMENTS);
enum weft_fault WEFT_KERNEL(weft_scatter_add)(WEFT_KERNEL_ARGUMENTS);
enum weft_fault WEFT_KERNEL(weft_scatter)(WEFT_KERNEL_ARGUMENTS);
enum weft_fault WEFT_KERNEL(weft_topk)(WEFT_KERNEL_ARGUMENTS);
enum weft_fault WEFT_KERNEL(weft_iota)(WEFT_KERNEL_ARGUMENTS);
enum weft_fault WEFT_KERNEL(weft_sgd)(WEFT_KERNEL_ARGUMENTS);
enum weft_fault WEFT_KERNEL(weft_adam)(WEFT_KERNEL_ARGUMENTS);
enum weft_fault WEFT_KERNEL(weft_lerp)(WEFT_KERNEL_ARGUMENTS);
enum weft_fault WEFT_KERNEL(weft_random)(WEFT_KERNEL_ARGUMENTS);
enum weft_fault WEFT_KERNEL(weft_dropout)(WEFT_KERNEL_ARGUMENTS);
enum weft_fault WEFT_KERNEL(weft_qmatmul)(WEFT_KERNEL_ARGUMENTS);
enum weft_fault WEFT_KERNEL(weft_qconv)(WEFT_KERNEL_ARGUMENTS);
enum weft_fault WEFT_KERNEL(weft_quantize)(WEFT_KERNEL_ARGUMENTS);
enum weft_fault WEFT_KERNEL(weft_dequantize)(WEFT_KERNEL_ARGUMENTS);
enum weft_fault WEFT_KERNEL(weft_requantize_op)(WEFT_KERNEL_ARGUMENTS);
enum weft_fault WEFT_KERNEL(weft_qadd)(WEFT_KERNEL_ARGUMENTS);
enum weft_fault WEFT_KERNEL(weft_qmul)(WEFT_KERNEL_ARGUMENTS);
enum weft_fault WEFT_KERNEL(weft_qmaxpool)(WEFT_KERNEL_ARGUMENTS);
enum weft_fault WEFT_KERNEL(weft_qavgpool)(WEFT_KERNEL_ARGUMENTS);
enum weft_fault WEFT_KERNEL(weft_qlookup)(WEFT_KERNEL_ARGUMENTS);
enum weft_fault WEFT_KERNEL(weft_qsoftmax)(WEFT_KERNEL_ARGUMENTS);
enum weft_fault WEFT_KERNEL(weft_qlayernorm)(WEFT_KERNEL_ARGUMENTS);
enum weft_fault WEFT_KERNEL(weft_project)(WEFT_KERNEL_ARGUMENTS);
enum weft_fault WEFT_KERNEL(weft_project_hashed)(WEFT_KERNEL_ARGUMENTS);
enum weft_fault WEFT_KERNEL(weft_project_mean)(WEFT_KERNEL_ARGUMENTS);
enum weft_fault WEFT_KERNEL(weft_project_ternary)(WEFT_KERNEL_ARGUMENTS);
enum weft_fault WEFT_KERNEL(weft_bit_matmul)(WEFT_KERNEL_ARGUMENTS);
enum weft_fault WEFT_KERNEL(weft_bit_dot)(WEFT_KERNEL_ARGUMENTS);
enum weft_fault WEFT_KERNEL(weft_bit_unpack)(WEFT_KERNEL_ARGUMENTS);
enum weft_fault WEFT_KERNEL(weft_bit_pack)(WEFT_KERNEL_ARGUMENTS);

#endif /* WEFT_KERNEL_ISA */
#endif /* WEFT_ENGINE_KERNELS_H */
