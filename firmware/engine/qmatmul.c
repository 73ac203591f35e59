// SPDX-License-Identifier: MIT
/* QMATMUL: strides, batches and results of the integer matrix product. */
#include "qproduct.h"

struct operands {
	const struct weft_tensor *a, *b, *c;
	const uint8_t *a_at, *b_at;
	uint8_t *c_at;
	uint32_t batch[2];
	size_t c_bytes;
};

/* Elements from a tensor's first to the first of product @product. */
static ptrdiff_t batch_offset(const struct operands *o, const struct weft_tensor *t, uint32_t product)
{
	ptrdiff_t offset = 0;

	if (t->rank > 2)
		offset += (ptrdiff_t)(product % o->batch[1]) * t->strides[t->rank - 3];
	if (t->rank > 3)
		offset += (ptrdiff_t)(product / o->batch[1]) * t->strides[t->rank - 4];
	return offset;
}

static void weights(const struct weft_qproduct *p, uint32_t product, struct weft_qweights *w, uint32_t *channel)
{
	const struct operands *o = p->context;

	*channel = 0;
	if (p->in_panels) {
		*w = (struct weft_qweights){.type = WEFT_TYPE_I8, .zero = o->b->zero_point, .panels = o->b_at};
		return;
	}
	*w = (struct weft_qweights){
		.type = o->b->type,
		.zero = o->b->zero_point,
		.base = o->b_at,
		.first = batch_offset(o, o->b, product),
		.extent = {1, 1, p->depth},
		.stride = {0, 0, o->b->strides[o->b->rank - 2]},
		.column = o->b->strides[o->b->rank - 1],
	};
	if (p->columns == 1)
		w->column = 1;
}

static void gather(const struct weft_qproduct *p, uint32_t product, uint32_t row, uint32_t rows, uint32_t k, uint32_t n,
		   uint8_t *to, size_t pitch, const uint8_t *at[])
{
	const struct operands *o = p->context;
	ptrdiff_t row_stride = o->a->strides[o->a->rank - 2], step = o->a->strides[o->a->rank - 1];
	const uint8_t *from =
		o->a_at + batch_offset(o, o->a, product) + (ptrdiff_t)row * row_stride + (ptrdiff_t)k * step;
	bool in_place = p->form->bytes == 1 && !p->input.flip && (step == 1 || n == 1) && n % p->form->group == 0;

	for (uint32_t i = 0; i < rows; i++, from += row_stride, to += pitch) {
		at[i] = in_place ? from : to;
		if (!in_place)
			WEFT_KERNEL(weft_qload)(p->form, &p->input, to, from, n == 1 ? 1 : step, n);
	}
}

static void results(const struct weft_qproduct *p, uint32_t product, uint32_t row, uint32_t rows, uint8_t *at[])
{
	const struct operands *o = p->context;
	ptrdiff_t stride = o->c->strides[o->c->rank - 2], offset = batch_offset(o, o->c, product);

	for (uint32_t i = 0; i < rows; i++)
		at[i] = o->c_at + (offset + (ptrdiff_t)(row + i) * stride) * (ptrdiff_t)o->c_bytes;
}

enum weft_fault WEFT_KERNEL(weft_qmatmul)(WEFT_KERNEL_ARGUMENTS)
{
	const struct weft_tensor *c = &command->operand[4];
	struct operands o = {
		.a = &command->operand[0],
		.b = &command->operand[1],
		.c = c,
		.a_at = pointer[0],
		.b_at = pointer[1],
		.c_at = pointer[4],
		.batch = {c->rank > 3 ? c->dims[c->rank - 4] : 1, c->rank > 2 ? c->dims[c->rank - 3] : 1},
		.c_bytes = c->type == WEFT_TYPE_I32 ? 4 : 1,
	};
	const struct weft_qform *form = WEFT_KERNEL(weft_qform)();
	struct weft_qproduct p = {
		.unit = unit,
		.form = form,
		.input = WEFT_KERNEL(weft_qinput)(form, o.a),
		.rows = c->dims[c->rank - 2],
		.columns = c->dims[c->rank - 1],
		.depth = o.a->dims[o.a->rank - 1],
		.products = o.batch[0] * o.batch[1],
		.in_panels = command->params.qmatmul.panels,
		.bias = pointer[2],
		.multipliers = weft_multipliers_of(&command->operand[3], pointer[3]),
		.result = c,
		.low = command->params.qmatmul.low,
		.high = command->params.qmatmul.high,
		.weights = weights,
		.gather = gather,
		.results = results,
		.context = &o,
	};

	if (pointer[3]) {
		enum weft_fault reason = weft_multipliers_check(&command->operand[3], pointer[3], 3, fault);

		if (reason)
			return reason;
	}
	WEFT_KERNEL(weft_qproduct_run)(&p);
	return WEFT_FAULT_NONE;
}
