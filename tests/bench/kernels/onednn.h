/* SPDX-License-Identifier: MIT */
/** A primitive of oneDNN on one thread, its operands, and the weights as a case has them. */
#ifndef BENCH_ONEDNN_H
#define BENCH_ONEDNN_H

#include <oneapi/dnnl/dnnl.h>

struct onednn {
	dnnl_engine_t engine;
	dnnl_stream_t stream;
	dnnl_primitive_desc_t pd;
	dnnl_primitive_t primitive;
	/** X, W, Y (or A, B, C) as the primitive wants them, and W as the case has it. */
	dnnl_memory_t memory[3], plain;
	dnnl_exec_arg_t arg[3];
};

/** 0 or -EIO. */
int onednn_open(struct onednn *onednn);
/** Everything but @onednn itself. */
void onednn_close(struct onednn *onednn);
/** Execute once; @state is a struct onednn. */
int onednn_run(void *state);
int onednn_reorder(struct onednn *onednn, dnnl_memory_t from, dnnl_memory_t to);

#endif /* BENCH_ONEDNN_H */
