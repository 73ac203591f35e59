// SPDX-License-Identifier: MIT
/*
 * Straight-through gradients of rounding: QUANTIZE and the DEQUANTIZE that reads it
 * pass the gradient on as it is, but not where the integers were cut off.
 */
#include <errno.h>

#include "autodiff/rules.h"
#include "weft/error.h"

/* What a DEQUANTIZE passes on goes past the integers: see there. */
int weft_gradient_quantize(struct weft_backward *backward, const struct weft_operation *operation)
{
	(void)backward, (void)operation;
	return 0;
}

/* Where numbers are not cut off: known if they have one scale, a constant. */
static bool kept_range(const struct weft_graph *graph, const struct weft_operation *quantize, float *low, float *high)
{
	const struct weft_value *scale = &graph->value[graph->value[quantize->operand[1]].base];
	bool is_signed = graph->value[quantize->operand[3]].layout.type == WEFT_TYPE_I8;
	int32_t zero = quantize->zero_point[3];

	if (quantize->operand[2] != WEFT_NO_ID || scale->kind != WEFT_VALUE_CONSTANT || !scale->data ||
	    weft_layout_elements(&scale->layout) != 1)
		return false;
	*low = ((float)((is_signed ? -128 : 0) - zero) - 0.5f) * *(const float *)scale->data;
	*high = ((float)((is_signed ? 127 : 255) - zero) + 0.5f) * *(const float *)scale->data;
	return true;
}

int weft_gradient_dequantize(struct weft_backward *backward, const struct weft_operation *operation)
{
	struct weft_graph *graph = weft_backward_graph(backward);
	weft_id maker = graph->value[operation->operand[0]].producer;
	union weft_params clip = {.unary = {.function = WEFT_UNARY_CLIP}};
	struct weft_operation quantize;
	struct weft_operand gradient, x;
	struct weft_target target;
	int r;

	if (maker == WEFT_NO_ID || graph->operation[maker].opcode != WEFT_OP_QUANTIZE)
		return 0;
	quantize = graph->operation[maker];
	gradient = weft_backward_of_output(backward, operation, 3, &r);
	if (r || gradient.id == WEFT_NO_ID || !weft_backward_wants(backward, &quantize, 0))
		return r;
	x = weft_operand_in(graph, &quantize, 0);
	if (!kept_range(graph, &quantize, &clip.unary.alpha, &clip.unary.beta))
		return weft_backward_contribute(backward, &quantize, 0, &gradient);
	r = weft_backward_target(backward, &quantize, 0, &target);
	if (!r)
		r = weft_build_elementwise(graph, weft_backward_name(backward), WEFT_OP_UNARY_BWD, &clip, 2, 3,
					   (struct weft_operand[]){x, gradient, target.operand}, NULL);
	return r ? r : weft_backward_done(backward, &target);
}
