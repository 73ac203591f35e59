/* SPDX-License-Identifier: MIT */
/** Cases of the kernel benchmark and those who execute them. */
#ifndef BENCH_KERNELS_H
#define BENCH_KERNELS_H

#include <engine.h>

enum kind { KIND_FWD, KIND_DATA, KIND_WEIGHT, KIND_MATMUL };

struct bench_case {
	const char *name;
	enum kind kind;
	/** Convolutions: batch, image, channels, groups, kernel, and for both axes stride and padding (before and
	 * after). */
	uint32_t n, h, w, c, oc, groups, kernel, stride, pad;
	/** Products: m, n, k; whether A, B are stored transposed. */
	uint32_t rows, columns, depth, transpose_a, transpose_b;
};

/** Extents of the output of a convolution. */
static inline uint32_t case_height(const struct bench_case *c)
{
	return (c->h + 2 * c->pad - c->kernel) / c->stride + 1;
}

static inline uint32_t case_width(const struct bench_case *c)
{
	return (c->w + 2 * c->pad - c->kernel) / c->stride + 1;
}

/** Multiplications and additions. */
double case_flops(const struct bench_case *c);

/** The three operands of a case, dense: X [N,H,W,C], W [KH,KW,C/G,OC], Y [N,OH,OW,OC]; or A, B, C. */
struct buffers {
	size_t count[3];
	float *data[3];
};

/** A prepared execution of one case; run() may be called many times. */
struct runner {
	int (*run)(void *state);
	/** After a run: the result in the case's own layout, in the output's buffer. */
	int (*fetch)(void *state);
	void (*free)(void *state);
	void *state;
};

int engine_runner(const struct bench_case *c, enum weft_engine_isa isa, const struct buffers *b, struct runner *out);
/** -ENOTSUP: built without oneDNN, or it has no such primitive. */
int onednn_runner(const struct bench_case *c, enum weft_engine_isa isa, const struct buffers *b, struct runner *out);
/** Version of oneDNN, NULL: built without it. */
const char *onednn_version(void);

/** Greatest rate of fused multiply-adds of one core on a code path, floating-point operations a second; 0: no such
 * path. */
double fma_peak(enum weft_engine_isa isa);

#endif /* BENCH_KERNELS_H */
