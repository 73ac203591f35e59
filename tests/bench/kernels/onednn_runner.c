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

#include "onednn.h"

#define STRING_(x) #x
#define STRING(x) STRING_(x)

const char *onednn_version(void)
{
	return STRING(DNNL_VERSION_MAJOR) "." STRING(DNNL_VERSION_MINOR) "." STRING(DNNL_VERSION_PATCH);
}

struct state {
	struct onednn o;
	enum kind kind;
};

static int run(void *argument)
{
	struct state *s = argument;

	return onednn_run(&s->o);
}

static int fetch(void *argument)
{
	struct state *s = argument;

	return s->kind == KIND_WEIGHT ? onednn_reorder(&s->o, s->o.memory[1], s->o.plain) : 0;
}

static void free_state(void *argument)
{
	struct state *s = argument;

	onednn_close(&s->o);
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
		    dnnl_primitive_desc_create(&hint, &forward, NULL, s->o.engine, NULL))
			return -EIO;
		r = dnnl_primitive_desc_create(&s->o.pd, &desc, NULL, s->o.engine, hint);
		dnnl_primitive_desc_destroy(hint);
	} else {
		r = dnnl_primitive_desc_create(&s->o.pd, &desc, NULL, s->o.engine, NULL);
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
	    dnnl_primitive_desc_create(&s->o.pd, &desc, NULL, s->o.engine, NULL))
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
		const dnnl_memory_desc_t *md = dnnl_primitive_desc_query_md(s->o.pd, queries[c->kind][i], 0);
		bool own = i == 1 && c->kind != KIND_MATMUL;

		if (!md ||
		    dnnl_memory_create(&s->o.memory[i], md, s->o.engine, own ? DNNL_MEMORY_ALLOCATE : b->data[i]))
			return -EIO;
		s->o.arg[i] = (dnnl_exec_arg_t){args[c->kind][i], s->o.memory[i]};
	}
	if (c->kind == KIND_MATMUL)
		return 0;
	if (weights_desc(c, false, &plain) || dnnl_memory_create(&s->o.plain, &plain, s->o.engine, b->data[1]))
		return -EIO;
	return c->kind == KIND_WEIGHT ? 0 : onednn_reorder(&s->o, s->o.plain, s->o.memory[1]);
}

int onednn_runner(const struct bench_case *c, enum weft_engine_isa isa, const struct buffers *b, struct runner *out)
{
	struct state *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	s->kind = c->kind;
	/* Only the first call has an effect, before the first primitive. */
	if (isa == WEFT_ENGINE_AVX2)
		dnnl_set_max_cpu_isa(dnnl_cpu_isa_avx2);
	r = onednn_open(&s->o);
	if (!r)
		r = c->kind == KIND_MATMUL ? describe_matmul(s, c) : describe_conv(s, c);
	if (!r)
		r = dnnl_primitive_create(&s->o.primitive, s->o.pd) ? -EIO : make_memories(s, c, b);
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
