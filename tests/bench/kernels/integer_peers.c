// SPDX-License-Identifier: MIT
/* XNNPACK's qs8 and oneDNN's s8s8s32, on one thread, with weights packed outside of what is timed. */
#include <errno.h>
#include <stdlib.h>

#include "integer.h"

#ifdef HAVE_XNNPACK
#include <xnnpack.h>

static int xnnpack_run(void *state)
{
	return xnn_run_operator(state, NULL) ? -EIO : 0;
}

static void xnnpack_free(void *state)
{
	xnn_delete_operator(state);
}

/* [KH,KW,C/G,OC] as [OC,KH,KW,C/G], or [1,KH,KW,OC] where depthwise. */
static int8_t *xnnpack_kernel(const struct integer_case *c, const int8_t *w)
{
	uint32_t taps = c->kernel * c->kernel, depth = c->c / c->groups;
	int8_t *kernel = malloc((size_t)taps * depth * c->oc);

	for (uint32_t o = 0; kernel && o < c->oc; o++)
		for (uint32_t t = 0; t < taps; t++)
			for (uint32_t i = 0; i < depth; i++)
				kernel[((size_t)o * taps + t) * depth + i] = w[((size_t)t * depth + i) * c->oc + o];
	return kernel;
}

int xnnpack_runner(const struct integer_case *c, const struct integer_buffers *b, struct integer_runner *out)
{
	int8_t *kernel = xnnpack_kernel(c, b->w);
	float scale = (float)(1 / b->factor);
	xnn_operator_t op = NULL;
	int r = kernel ? 0 : -ENOMEM;

	if (!r && (xnn_initialize(NULL) ||
		   xnn_create_convolution2d_nhwc_qs8(c->pad, c->pad, c->pad, c->pad, c->kernel, c->kernel, c->stride,
						     c->stride, 1, 1, c->groups, c->c / c->groups, c->oc / c->groups,
						     c->c, c->oc, 0, 1, 1, kernel, NULL, 0, scale, -128, 127, 0, &op) ||
		   xnn_setup_convolution2d_nhwc_qs8(op, c->n, c->h, c->w, b->x, b->bytes, NULL)))
		r = -EIO;
	free(kernel);
	*out = (struct integer_runner){.run = xnnpack_run, .free = xnnpack_free, .state = op};
	return r;
}
#else
int xnnpack_runner(const struct integer_case *c, const struct integer_buffers *b, struct integer_runner *out)
{
	(void)c, (void)b, (void)out;
	return -ENOTSUP;
}
#endif

#ifdef HAVE_ONEDNN
#include "onednn.h"

/* One position: a matrix product, for which oneDNN has a primitive of its own. */
static bool is_matrix(const struct integer_case *c)
{
	return c->kernel == 1 && c->w == 1 && c->n == 1 && c->groups == 1;
}

static int describe_matrix(struct onednn *s, const struct integer_case *c, dnnl_memory_desc_t *plain)
{
	const dnnl_dims_t a = {c->h, c->c}, w = {c->c, c->oc}, y = {c->h, c->oc};
	dnnl_memory_desc_t ad, wd, yd;
	dnnl_matmul_desc_t desc;

	return dnnl_memory_desc_init_by_tag(&ad, 2, a, dnnl_s8, dnnl_ab) ||
	       dnnl_memory_desc_init_by_tag(&wd, 2, w, dnnl_s8, dnnl_format_tag_any) ||
	       dnnl_memory_desc_init_by_tag(plain, 2, w, dnnl_s8, dnnl_ab) ||
	       dnnl_memory_desc_init_by_tag(&yd, 2, y, dnnl_s32, dnnl_ab) ||
	       dnnl_matmul_desc_init(&desc, &ad, &wd, NULL, &yd) ||
	       dnnl_primitive_desc_create(&s->pd, &desc, NULL, s->engine, NULL);
}

static int describe_conv(struct onednn *s, const struct integer_case *c, dnnl_memory_desc_t *plain)
{
	const dnnl_dims_t x = {c->n, c->c, c->h, c->w};
	const dnnl_dims_t y = {c->n, c->oc, integer_extent(c, c->h), integer_extent(c, c->w)};
	dnnl_dim_t k = c->kernel, cg = c->c / c->groups, og = c->oc / c->groups;
	const dnnl_dims_t w = {c->groups, og, cg, k, k}, strides = {og, 1, c->oc, k * cg * c->oc, cg * c->oc};
	const dnnl_dims_t stride = {c->stride, c->stride}, pad = {c->pad, c->pad};
	int skip = c->groups == 1;
	dnnl_memory_desc_t xd, wd, yd;
	dnnl_convolution_desc_t desc;

	return dnnl_memory_desc_init_by_tag(&xd, 4, x, dnnl_s8, dnnl_nhwc) ||
	       dnnl_memory_desc_init_by_tag(&yd, 4, y, dnnl_s32, dnnl_nhwc) ||
	       dnnl_memory_desc_init_by_tag(&wd, 5 - skip, w + skip, dnnl_s8, dnnl_format_tag_any) ||
	       dnnl_memory_desc_init_by_strides(plain, 5 - skip, w + skip, dnnl_s8, strides + skip) ||
	       dnnl_convolution_forward_desc_init(&desc, dnnl_forward_inference, dnnl_convolution_direct, &xd, &wd,
						  NULL, &yd, stride, pad, pad) ||
	       dnnl_primitive_desc_create(&s->pd, &desc, NULL, s->engine, NULL);
}

static void onednn_free(void *state)
{
	onednn_close(state);
	free(state);
}

int onednn_integer_runner(const struct integer_case *c, const struct integer_buffers *b, struct integer_runner *out)
{
	struct onednn *s = calloc(1, sizeof(*s));
	void *data[3] = {b->x, DNNL_MEMORY_ALLOCATE, b->totals};
	static const int args[3] = {DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DST};
	static const dnnl_query_t query[3] = {dnnl_query_src_md, dnnl_query_weights_md, dnnl_query_dst_md};
	dnnl_memory_desc_t plain;
	int r;

	if (!s)
		return -ENOMEM;
	r = onednn_open(s) || (is_matrix(c) ? describe_matrix(s, c, &plain) : describe_conv(s, c, &plain)) ||
	    dnnl_primitive_create(&s->primitive, s->pd);
	for (unsigned int i = 0; i < 3 && !r; i++) {
		const dnnl_memory_desc_t *md = dnnl_primitive_desc_query_md(s->pd, query[i], 0);

		r = !md || dnnl_memory_create(&s->memory[i], md, s->engine, data[i]);
		s->arg[i] = (dnnl_exec_arg_t){args[i], s->memory[i]};
	}
	if (!r)
		r = dnnl_memory_create(&s->plain, &plain, s->engine, b->w) || onednn_reorder(s, s->plain, s->memory[1]);
	if (r) {
		onednn_free(s);
		return -EIO;
	}
	*out = (struct integer_runner){.run = onednn_run, .free = onednn_free, .state = s};
	return 0;
}
#else
int onednn_integer_runner(const struct integer_case *c, const struct integer_buffers *b, struct integer_runner *out)
{
	(void)c, (void)b, (void)out;
	return -ENOTSUP;
}
#endif
