// SPDX-License-Identifier: MIT
#ifdef HAVE_ONEDNN
#include "onednn.h"

#include <errno.h>
#include <omp.h>

int onednn_open(struct onednn *s)
{
	omp_set_num_threads(1);
	return dnnl_engine_create(&s->engine, dnnl_cpu, 0) || dnnl_stream_create(&s->stream, s->engine, 0) ? -EIO : 0;
}

int onednn_run(void *state)
{
	struct onednn *s = state;

	return dnnl_primitive_execute(s->primitive, s->stream, 3, s->arg) || dnnl_stream_wait(s->stream) ? -EIO : 0;
}

void onednn_close(struct onednn *s)
{
	for (unsigned int i = 0; i < 3; i++)
		dnnl_memory_destroy(s->memory[i]);
	dnnl_memory_destroy(s->plain);
	dnnl_primitive_destroy(s->primitive);
	dnnl_primitive_desc_destroy(s->pd);
	dnnl_stream_destroy(s->stream);
	dnnl_engine_destroy(s->engine);
}

int onednn_reorder(struct onednn *s, dnnl_memory_t from, dnnl_memory_t to)
{
	const dnnl_memory_desc_t *a, *b;
	dnnl_primitive_desc_t pd = NULL;
	dnnl_primitive_t primitive = NULL;
	dnnl_exec_arg_t arg[2] = {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}};
	int r = -EIO;

	if (!dnnl_memory_get_memory_desc(from, &a) && !dnnl_memory_get_memory_desc(to, &b) &&
	    !dnnl_reorder_primitive_desc_create(&pd, a, s->engine, b, s->engine, NULL) &&
	    !dnnl_primitive_create(&primitive, pd) && !dnnl_primitive_execute(primitive, s->stream, 2, arg) &&
	    !dnnl_stream_wait(s->stream))
		r = 0;
	dnnl_primitive_destroy(primitive);
	dnnl_primitive_desc_destroy(pd);
	return r;
}
#endif
