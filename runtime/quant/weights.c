// SPDX-License-Identifier: MIT
/* Weights as int8, symmetric. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "quant/quant.h"
#include "weft/error.h"

bool weft_quant_is_product(const Onnx__GraphProto *graph, const Onnx__NodeProto *node, unsigned int *axis)
{
	bool conv = !strcmp(node->op_type, "Conv"), gemm = !strcmp(node->op_type, "Gemm");
	const Onnx__TensorProto *weight;
	ptrdiff_t at = node->n_input > 1 ? weft_edit_initializer(graph, node->input[1]) : -1;

	if (at < 0 || (!conv && !gemm && strcmp(node->op_type, "MatMul")))
		return false;
	weight = graph->initializer[at];
	if (weight->data_type != ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT ||
	    (conv ? weight->n_dims != 3 && weight->n_dims != 4 : weight->n_dims != 2))
		return false;
	if (gemm && (weft_edit_int(node, "transA", 0) || weft_edit_float(node, "alpha", 1) != 1 ||
		     weft_edit_float(node, "beta", 1) != 1))
		return false;
	if (node->n_input > 2 && node->input[2][0]) {
		at = weft_edit_initializer(graph, node->input[2]);
		if (at < 0 || graph->initializer[at]->n_dims != 1)
			return false;
	}
	*axis = conv || (gemm && weft_edit_int(node, "transB", 0)) ? 0 : 1;
	return true;
}

size_t weft_quant_inner(const struct weft_host_tensor *tensor, unsigned int axis)
{
	size_t inner = 1;

	for (unsigned int d = axis + 1; d < tensor->rank; d++)
		inner *= tensor->dims[d];
	return inner;
}

static float rounded(float x, float scale)
{
	float q = rintf(x / scale);

	return q < -127 ? -127 : q > 127 ? 127 : q;
}

/* The squared error of channel @c with @scale. */
static double squared_error(const struct weft_host_tensor *tensor, size_t inner, uint32_t count, uint32_t c,
			    float scale)
{
	const float *data = tensor->data;
	double error = 0;

	for (size_t i = 0; i < tensor->elements; i++) {
		double difference;

		if (i / inner % count != c) {
			/* On to the channel's next run. */
			i += inner - 1 - i % inner;
			continue;
		}
		difference = (double)rounded(data[i], scale) * (double)scale - (double)data[i];
		error += difference * difference;
	}
	return error;
}

static void shrink(const struct weft_host_tensor *tensor, size_t inner, struct weft_weight *weight)
{
	for (uint32_t c = 0; c < weight->count; c++) {
		float widest = weight->scale[c];
		double best = squared_error(tensor, inner, weight->count, c, widest);

		for (int step = 39; step > 19; step--) {
			float scale = widest * (float)step / 40;
			double error = squared_error(tensor, inner, weight->count, c, scale);

			if (error < best) {
				best = error;
				weight->scale[c] = scale;
			}
		}
	}
}

int weft_quant_weight(const struct weft_host_tensor *tensor, unsigned int axis,
		      const struct weft_quantize_options *options, struct weft_weight *weight)
{
	size_t inner = options->per_tensor ? tensor->elements : weft_quant_inner(tensor, axis);
	const float *data = tensor->data;

	weight->count = options->per_tensor ? 1 : tensor->dims[axis];
	weight->axis = axis;
	weight->scale = calloc(weight->count + 1u, sizeof(*weight->scale));
	weight->integers = malloc(tensor->elements + 1);
	if (!weight->scale || !weight->integers) {
		weft_quant_weight_free(weight);
		return weft_fail(ENOMEM, "no memory for a weight of %zu elements", tensor->elements);
	}
	for (size_t i = 0; i < tensor->elements; i++) {
		size_t c = i / inner % weight->count;

		if (!isfinite(data[i])) {
			weft_quant_weight_free(weight);
			return weft_fail(EDOM, "a weight is %f", (double)data[i]);
		}
		weight->scale[c] = fmaxf(weight->scale[c], fabsf(data[i]));
	}
	for (uint32_t c = 0; c < weight->count; c++)
		weight->scale[c] = weight->scale[c] > 0x1p-100f ? weight->scale[c] / 127 : 1;
	if (options->calibration == WEFT_CALIBRATION_MSE)
		shrink(tensor, inner, weight);
	for (size_t i = 0; i < tensor->elements; i++)
		weight->integers[i] = (int8_t)rounded(data[i], weight->scale[i / inner % weight->count]);
	return 0;
}

void weft_quant_weight_free(struct weft_weight *weight)
{
	free(weight->scale);
	free(weight->integers);
	memset(weight, 0, sizeof(*weight));
}
