/* SPDX-License-Identifier: MIT */
/**
 * Kernels are compiled once per code path: meson builds each kernel file with
 * WEFT_KERNEL_ISA set to scalar, avx2 or avx512 and the matching machine
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

#endif /* WEFT_KERNEL_ISA */
#endif /* WEFT_ENGINE_KERNELS_H */
