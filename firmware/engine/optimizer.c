/* SPDX-License-Identifier: MIT */
/*
 * SGD, ADAM and LERP.  The updates are those of torch.optim, with each product
 * that is added fused into the addition; weft_isa.h has the order of operations.
 */
#include "iterate.h"
#include "kernels.h"
#include "real.h"

#define EACH _Pragma("GCC ivdep") for (size_t i = 0; i < n; i++)

struct update {
	float hyper[WEFT_HYPERS];
	bool nesterov;
	bool decoupled;
};

static void read_hyper(struct update *update, const struct weft_cmd *command, const void *hyper)
{
	for (unsigned int i = 0; i < WEFT_HYPERS; i++)
		update->hyper[i] = ((const float *)hyper)[(ptrdiff_t)i * command->operand[1].strides[0]];
	update->nesterov = command->params.optimizer.nesterov;
	update->decoupled = command->params.optimizer.decoupled;
}

static void sgd_rows(const void *context, uint64_t first, size_t rows, size_t n, char *const at[],
		     const ptrdiff_t step[])
{
	const struct update *u = context;
	const float lr = u->hyper[WEFT_HYPER_LR], momentum = u->hyper[WEFT_HYPER_BETA1];
	const float damped = 1.0f - u->hyper[WEFT_HYPER_BETA2], decay = u->hyper[WEFT_HYPER_WEIGHT_DECAY];
	const float scale = u->hyper[WEFT_HYPER_GRADIENT_SCALE];

	(void)first;
	for (size_t row = 0; row < rows; row++) {
		const float *g = (const float *)(at[0] + (ptrdiff_t)row * step[0]);
		float *w = (float *)(at[1] + (ptrdiff_t)row * step[1]);
		float *m = (float *)(at[2] + (ptrdiff_t)row * step[2]);

		if (!m) {
			EACH
			{
				w[i] = fmaf(-lr, fmaf(decay, w[i], g[i] * scale), w[i]);
			}
		} else if (u->nesterov) {
			EACH
			{
				float d = fmaf(decay, w[i], g[i] * scale);
				float b = fmaf(momentum, m[i], damped * d);
				m[i] = b;
				w[i] = fmaf(-lr, fmaf(momentum, b, d), w[i]);
			}
		} else {
			EACH
			{
				float d = fmaf(decay, w[i], g[i] * scale);
				float b = fmaf(momentum, m[i], damped * d);
				m[i] = b;
				w[i] = fmaf(-lr, b, w[i]);
			}
		}
	}
}

enum weft_fault WEFT_KERNEL(weft_sgd)(WEFT_KERNEL_ARGUMENTS)
{
	struct weft_iteration it;
	struct update update;

	(void)fault;
	read_hyper(&update, command, pointer[1]);
	weft_iteration_begin(&it, &command->operand[2]);
	weft_iteration_add(&it, &command->operand[0], pointer[0], false);
	weft_iteration_add_updated(&it, &command->operand[2], pointer[2]);
	weft_iteration_add_updated(&it, &command->operand[3], command->operands > 3 ? pointer[3] : NULL);
	weft_iteration_run(&it, unit, sgd_rows, &update);
	return WEFT_FAULT_NONE;
}

static void adam_rows(const void *context, uint64_t first, size_t rows, size_t n, char *const at[],
		      const ptrdiff_t step[])
{
	const struct update *u = context;
	const float beta1 = u->hyper[WEFT_HYPER_BETA1], beta2 = u->hyper[WEFT_HYPER_BETA2];
	const float rest1 = 1.0f - beta1, rest2 = 1.0f - beta2;
	const float epsilon = u->hyper[WEFT_HYPER_EPSILON], decay = u->hyper[WEFT_HYPER_WEIGHT_DECAY];
	const float rate = u->hyper[WEFT_HYPER_LR] / u->hyper[WEFT_HYPER_BIAS1];
	const float root = u->hyper[WEFT_HYPER_BIAS2_SQRT], scale = u->hyper[WEFT_HYPER_GRADIENT_SCALE];
	const float shrink = u->decoupled ? 1.0f - u->hyper[WEFT_HYPER_LR] * decay : 1.0f;
	const float coupled = u->decoupled ? 0.0f : decay;

	(void)first;
	for (size_t row = 0; row < rows; row++) {
		const float *gs = (const float *)(at[0] + (ptrdiff_t)row * step[0]);
		float *w = (float *)(at[1] + (ptrdiff_t)row * step[1]);
		float *m = (float *)(at[2] + (ptrdiff_t)row * step[2]);
		float *v = (float *)(at[3] + (ptrdiff_t)row * step[3]);

		EACH
		{
			float x = w[i] * shrink;
			float g = fmaf(coupled, x, gs[i] * scale);
			float mean = fmaf(beta1, m[i], rest1 * g);
			float square = fmaf(beta2, v[i], rest2 * (g * g));

			m[i] = mean;
			v[i] = square;
			w[i] = fmaf(-rate, mean / (sqrtf(square) / root + epsilon), x);
		}
	}
}

enum weft_fault WEFT_KERNEL(weft_adam)(WEFT_KERNEL_ARGUMENTS)
{
	struct weft_iteration it;
	struct update update;

	(void)fault;
	read_hyper(&update, command, pointer[1]);
	weft_iteration_begin(&it, &command->operand[2]);
	weft_iteration_add(&it, &command->operand[0], pointer[0], false);
	for (unsigned int i = 2; i < 5; i++)
		weft_iteration_add_updated(&it, &command->operand[i], pointer[i]);
	weft_iteration_run(&it, unit, adam_rows, &update);
	return WEFT_FAULT_NONE;
}

static void lerp_rows(const void *context, uint64_t first, size_t rows, size_t n, char *const at[],
		      const ptrdiff_t step[])
{
	const union weft_params *params = context;
	const float scale = params->lerp.scale, weight = params->lerp.weight;

	(void)first;
	for (size_t row = 0; row < rows; row++) {
		const float *a = (const float *)(at[0] + (ptrdiff_t)row * step[0]);
		float *y = (float *)(at[1] + (ptrdiff_t)row * step[1]);

		EACH
		{
			y[i] = fmaf(fmaf(a[i], scale, -y[i]), weight, y[i]);
		}
	}
}

enum weft_fault WEFT_KERNEL(weft_lerp)(WEFT_KERNEL_ARGUMENTS)
{
	struct weft_iteration it;

	(void)fault;
	weft_iteration_begin(&it, &command->operand[1]);
	weft_iteration_add(&it, &command->operand[0], pointer[0], false);
	weft_iteration_add_updated(&it, &command->operand[1], pointer[1]);
	weft_iteration_run(&it, unit, lerp_rows, &command->params);
	return WEFT_FAULT_NONE;
}
