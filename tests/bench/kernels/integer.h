/* SPDX-License-Identifier: MIT */
/** Cases of the integer benchmark and those who execute them. */
#ifndef BENCH_INTEGER_H
#define BENCH_INTEGER_H

#include <stdbool.h>
#include <engine.h>

struct integer_case {
	const char *name;
	/** Images, channels, kernel, padding before and after; a matrix product is a 1x1 convolution of h rows. */
	uint32_t n, h, w, c, oc, groups, kernel, stride, pad;
};

uint32_t integer_extent(const struct integer_case *c, uint32_t in);

/** X [N,H,W,C], W [KH,KW,C/G,OC], and results as totals or bytes. */
struct integer_buffers {
	int8_t *x, *w, *bytes, *panels; /* panels: W as <weft_isa.h> has it in panels; NULL: it cannot be */
	int32_t *totals;
	size_t outputs;
	/** Totals become bytes by this. */
	double factor;
};

struct integer_runner {
	int (*run)(void *state);
	void (*free)(void *state);
	void *state;
};

/** @totals: 32-bit results, else bytes. */
int weft_integer_runner(const struct integer_case *c, enum weft_engine_isa isa, const struct integer_buffers *b,
			bool totals, struct integer_runner *out);
/** -ENOTSUP: built without it. */
int xnnpack_runner(const struct integer_case *c, const struct integer_buffers *b, struct integer_runner *out);
int onednn_integer_runner(const struct integer_case *c, const struct integer_buffers *b, struct integer_runner *out);

#endif /* BENCH_INTEGER_H */
