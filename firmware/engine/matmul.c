// SPDX-License-Identifier: MIT
/* MATMUL: one output element at a time, in the order of summation. */
#include "kernels.h"
#include "vector.h"

struct matmul {
	const struct weft_cmd *command;
	const float *a, *b, *bias;
	float *c;
	uint32_t batch[2], m, n, k;
};

static float activate(float x, uint32_t activation, float alpha, float beta)
{
	return vf_activate(vf_set1(x), activation, alpha, beta)[0];
}

/* Strides of an operand's last four dimensions; absent leading ones are 0. */
static ptrdiff_t stride(const struct weft_tensor *t, unsigned int from_last)
{
	return from_last < t->rank ? t->strides[t->rank - 1 - from_last] : 0;
}

static void matmul_row(void *argument, unsigned int index, unsigned int lane)
{
	const struct matmul *mm = argument;
	const union weft_params *p = &mm->command->params;
	const struct weft_tensor *at = &mm->command->operand[0], *bt = &mm->command->operand[1];
	const struct weft_tensor *biast = &mm->command->operand[2], *ct = &mm->command->operand[3];
	uint32_t row = index % mm->m, batch = index / mm->m;
	uint32_t b0 = batch / mm->batch[1], b1 = batch % mm->batch[1];
	const float *a = mm->a + b0 * stride(at, 3) + b1 * stride(at, 2) + row * stride(at, 1);
	const float *b = mm->b + b0 * stride(bt, 3) + b1 * stride(bt, 2);
	float *c = mm->c + b0 * stride(ct, 3) + b1 * stride(ct, 2) + row * stride(ct, 1);

	(void)lane;
	for (uint32_t col = 0; col < mm->n; col++) {
		float *out = c + col * stride(ct, 0);
		float total = p->matmul.flags & WEFT_F_ACCUMULATE ? *out : 0;

		for (uint32_t k0 = 0; k0 < mm->k; k0 += WEFT_SUM_MATMUL) {
			uint32_t end = mm->k - k0 < WEFT_SUM_MATMUL ? mm->k : k0 + WEFT_SUM_MATMUL;
			float sum = 0;

			for (uint32_t k = k0; k < end; k++)
				sum = fmaf(a[k * stride(at, 0)], b[k * stride(bt, 1) + col * stride(bt, 0)], sum);
			total += sum * p->matmul.scale;
		}
		if (mm->bias)
			total += mm->bias[row * stride(biast, 1) + col * stride(biast, 0)];
		*out = activate(total, p->matmul.activation, p->matmul.alpha, p->matmul.beta);
	}
}

enum weft_fault WEFT_KERNEL(weft_matmul)(WEFT_KERNEL_ARGUMENTS)
{
	const struct weft_tensor *at = &command->operand[0], *ct = &command->operand[3];
	struct matmul mm = {
		.command = command,
		.a = pointer[0],
		.b = pointer[1],
		.bias = pointer[2],
		.c = pointer[3],
		.batch = {ct->rank > 3 ? ct->dims[ct->rank - 4] : 1, ct->rank > 2 ? ct->dims[ct->rank - 3] : 1},
		.m = ct->dims[ct->rank - 2],
		.n = ct->dims[ct->rank - 1],
		.k = at->dims[at->rank - 1],
	};

	(void)fault;
	weft_engine_parallel(unit, mm.batch[0] * mm.batch[1] * mm.m, matmul_row, &mm);
	return WEFT_FAULT_NONE;
}
