// SPDX-License-Identifier: MIT
/*
 * oneDNN on one thread: activations NHWC, weights in whatever format it
 * prefers (reordered outside of what is timed).
 */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "kernels.h"

#ifdef HAVE_ONEDNN

#include <omp.h>
#include <oneapi/dnnl/dnnl.h>

#define STRING_(x) #x
#define STRING(x) STRING_(x)

const char *onednn_version(void)
{
	return STRING(DNNL_VERSION_MAJOR) "." STRING(DNNL_VERSION_MINOR) "." STRING(DNNL_VERSION_PATCH);
}

struct state {
	dnnl_engine_t engine;
	dnnl_stream_t stream;
	dnnl_primitive_desc_t pd;
	dnnl_primitive_t primitive;
	/** X, W, Y (or A, B, C) as the primitive wants them, and W as the case has it. */
	dnnl_memory_t memory[3], plain_weights;
	dnnl_exec_arg_t arg[3];
	enum kind kind;
};

static int run(void *argument)
{
	struct state *s = argument;

	if (dnnl_primitive_execute(s->primitive, s->stream, 3, s->arg) || dnnl_stream_wait(s->stream))
		return -EIO;
	return 0;
}

static int reorder(struct state *s, dnnl_memory_t from, dnnl_memory_t to)
{
	const dnnl_memory_desc_t *from_desc, *to_desc;
	dnnl_primitive_desc_t pd = NULL;
	dnnl_primitive_t primitive = NULL;
	dnnl_exec_arg_t arg[2] = {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}};
	int r = -EIO;

	if (!dnnl_memory_get_memory_desc(from, &from_desc) && !dnnl_memory_get_memory_desc(to, &to_desc) &&
	    !dnnl_reorder_primitive_desc_create(&pd, from_desc, s->engine, to_desc, s->engine, NULL) &&
	    !dnnl_primitive_create(&primitive, pd) && !dnnl_primitive_execute(primitive, s->stream, 2, arg) &&
	    !dnnl_stream_wait(s->stream))
		r = 0;
	dnnl_primitive_destroy(primitive);
	dnnl_primitive_desc_destroy(pd);
	return r;
}

static int fetch(void *argument)
{
	struct state *s = argument;

	return s->kind == KIND_WEIGHT ? reorder(s, s->memory[1], s->plain_weights) : 0;
}

static void free_state(void *argument)
{
	struct state *s = argument;

	for (unsigned int i = 0; i < 3; i++)
		dnnl_memory_destroy(s->memory[i]);
	dnnl_memory_destroy(s->plain_weights);
	dnnl_primitive_destroy(s->primitive);
	dnnl_primitive_desc_destroy(s->pd);
	dnnl_stream_destroy(s->stream);
	dnnl_engine_destroy(s->engine);
	free(s);
}

/* [KH, KW, C/G, OC] in oneDNN's order of dimensions. */
static dnnl_status_t weights_desc(const struct bench_case *c, bool any, dnnl_memory_desc_t *desc)
{
	dnnl_dim_t k = c->kernel, cg = c->c / c->groups, og = c->oc / c->groups;
	const dnnl_dims_t grouped = {c->groups, og, cg, k, k}, strides = {og, 1, c->oc, k * cg * c->oc, cg * c->oc};
	int plain = c->groups == 1;

	if (any)
		return dnnl_memory_desc_init_by_tag(desc, 5 - plain, grouped + plain, dnnl_f32, dnnl_format_tag_any);
	return dnnl_memory_desc_init_by_strides(desc, 5 - plain, grouped + plain, dnnl_f32, strides + plain);
}

static int describe_conv(struct state *s, const struct bench_case *c)
{
	const dnnl_dims_t x = {c->n, c->c, c->h, c->w}, y = {c->n, c->oc, case_height(c), case_width(c)};
	const dnnl_dims_t strides = {c->stride, c->stride}, pad = {c->pad, c->pad};
	dnnl_dims_t after;
	dnnl_memory_desc_t xd, wd, yd;
	dnnl_convolution_desc_t desc;
	dnnl_status_t r;

	after[0] = (dnnl_dim_t)(case_height(c) - 1) * c->stride + c->kernel - c->h - c->pad;
	after[1] = (dnnl_dim_t)(case_width(c) - 1) * c->stride + c->kernel - c->w - c->pad;
	if (dnnl_memory_desc_init_by_tag(&xd, 4, x, dnnl_f32, dnnl_nhwc) ||
	    dnnl_memory_desc_init_by_tag(&yd, 4, y, dnnl_f32, dnnl_nhwc) || weights_desc(c, true, &wd))
		return -EIO;
	if (c->kind == KIND_FWD)
		r = dnnl_convolution_forward_desc_init(&desc, dnnl_forward_training, dnnl_convolution_direct, &xd, &wd,
						       NULL, &yd, strides, pad, after);
	else if (c->kind == KIND_DATA)
		r = dnnl_convolution_backward_data_desc_init(&desc, dnnl_convolution_direct, &xd, &wd, &yd, strides,
							     pad, after);
	else
		r = dnnl_convolution_backward_weights_desc_init(&desc, dnnl_convolution_direct, &xd, &wd, NULL, &yd,
								strides, pad, after);
	if (r)
		return -EIO;
	if (c->kind != KIND_FWD) {
		dnnl_primitive_desc_t hint;
		dnnl_convolution_desc_t forward;

		if (dnnl_convolution_forward_desc_init(&forward, dnnl_forward_training, dnnl_convolution_direct, &xd,
						       &wd, NULL, &yd, strides, pad, after) ||
		    dnnl_primitive_desc_create(&hint, &forward, NULL, s->engine, NULL))
			return -EIO;
		r = dnnl_primitive_desc_create(&s->pd, &desc, NULL, s->engine, hint);
		dnnl_primitive_desc_destroy(hint);
	} else {
		r = dnnl_primitive_desc_create(&s->pd, &desc, NULL, s->engine, NULL);
	}
	return r ? -EIO : 0;
}

static int describe_matmul(struct state *s, const struct bench_case *c)
{
	const dnnl_dims_t a = {c->rows, c->depth}, b = {c->depth, c->columns}, out = {c->rows, c->columns};
	dnnl_memory_desc_t ad, bd, cd;
	dnnl_matmul_desc_t desc;

	if (dnnl_memory_desc_init_by_tag(&ad, 2, a, dnnl_f32, c->transpose_a ? dnnl_ba : dnnl_ab) ||
	    dnnl_memory_desc_init_by_tag(&bd, 2, b, dnnl_f32, c->transpose_b ? dnnl_ba : dnnl_ab) ||
	    dnnl_memory_desc_init_by_tag(&cd, 2, out, dnnl_f32, dnnl_ab) ||
	    dnnl_matmul_desc_init(&desc, &ad, &bd, NULL, &cd) ||
	    dnnl_primitive_desc_create(&s->pd, &desc, NULL, s->engine, NULL))
		return -EIO;
	return 0;
}

static int make_memories(struct state *s, const struct bench_case *c, const struct buffers *b)
{
	static const dnnl_query_t queries[][3] = {
		[KIND_FWD] = {dnnl_query_src_md, dnnl_query_weights_md, dnnl_query_dst_md},
		[KIND_DATA] = {dnnl_query_diff_src_md, dnnl_query_weights_md, dnnl_query_diff_dst_md},
		[KIND_WEIGHT] = {dnnl_query_src_md, dnnl_query_diff_weights_md, dnnl_query_diff_dst_md},
		[KIND_MATMUL] = {dnnl_query_src_md, dnnl_query_weights_md, dnnl_query_dst_md},
	};
	static const int args[][3] = {
		[KIND_FWD] = {DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DST},
		[KIND_DATA] = {DNNL_ARG_DIFF_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DIFF_DST},
		[KIND_WEIGHT] = {DNNL_ARG_SRC, DNNL_ARG_DIFF_WEIGHTS, DNNL_ARG_DIFF_DST},
		[KIND_MATMUL] = {DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DST},
	};
	dnnl_memory_desc_t plain;

	for (unsigned int i = 0; i < 3; i++) {
		const dnnl_memory_desc_t *md = dnnl_primitive_desc_query_md(s->pd, queries[c->kind][i], 0);
		bool own = i == 1 && c->kind != KIND_MATMUL;

		if (!md || dnnl_memory_create(&s->memory[i], md, s->engine, own ? DNNL_MEMORY_ALLOCATE : b->data[i]))
			return -EIO;
		s->arg[i] = (dnnl_exec_arg_t){args[c->kind][i], s->memory[i]};
	}
	if (c->kind == KIND_MATMUL)
		return 0;
	if (weights_desc(c, false, &plain) || dnnl_memory_create(&s->plain_weights, &plain, s->engine, b->data[1]))
		return -EIO;
	return c->kind == KIND_WEIGHT ? 0 : reorder(s, s->plain_weights, s->memory[1]);
}

int onednn_runner(const struct bench_case *c, enum weft_engine_isa isa, const struct buffers *b, struct runner *out)
{
	struct state *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	s->kind = c->kind;
	omp_set_num_threads(1);
	/* Only the first call has an effect, before the first primitive. */
	if (isa == WEFT_ENGINE_AVX2)
		dnnl_set_max_cpu_isa(dnnl_cpu_isa_avx2);
	r = dnnl_engine_create(&s->engine, dnnl_cpu, 0) || dnnl_stream_create(&s->stream, s->engine, 0) ? -EIO : 0;
	if (!r)
		r = c->kind == KIND_MATMUL ? describe_matmul(s, c) : describe_conv(s, c);
	if (!r)
		r = dnnl_primitive_create(&s->primitive, s->pd) ? -EIO : make_memories(s, c, b);
	if (r) {
		free_state(s);
		return r;
	}
	*out = (struct runner){.run = run, .fetch = fetch, .free = free_state, .state = s};
	return 0;
}

#else

const char *onednn_version(void)
{
	return NULL;
}

int onednn_runner(const struct bench_case *c, enum weft_engine_isa isa, const struct buffers *b, struct runner *out)
{
	(void)c;
	(void)isa;
	(void)b;
	(void)out;
	return -ENOTSUP;
}

#endif
