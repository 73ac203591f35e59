// SPDX-License-Identifier: MIT
/*
 * A matrix product to which a vector along its last dimension is added takes it as
 * its bias.  The sum is rounded as before: not a bit changes.
 */
#include "compile/passes.h"
#include "compile/uses.h"
#include "graph/build.h"
#include "graph/layout.h"

/* Whether @operand repeats a vector of @width along the last dimension of @whole. */
static bool is_row(const struct weft_operand *operand, const struct weft_layout *whole, uint32_t width)
{
	const struct weft_layout *layout = &operand->layout;
	unsigned int i, last = layout->rank - 1u;

	if (!weft_layout_same_dims(layout, whole) || layout->dims[last] != width || layout->strides[last] != 1)
		return false;
	for (i = 0; i < last; i++)
		if (layout->strides[i] && layout->dims[i] > 1)
			return false;
	return true;
}

/* The slot of BINARY that is the product, the other being its bias; 2: none. */
static unsigned int product_slot(const struct weft_uses *uses, const struct weft_graph *graph, weft_id at,
				 weft_id *maker)
{
	const struct weft_operation *sum = &graph->operation[at];
	struct weft_operand y = weft_operand_in(graph, sum, 2);

	for (unsigned int slot = 0; slot < 2; slot++) {
		struct weft_operand product = weft_operand_in(graph, sum, slot);
		struct weft_operand bias = weft_operand_in(graph, sum, 1 - slot);
		const struct weft_operation *operation;
		struct weft_operand result;

		*maker = weft_uses_private_maker(uses, graph, at, slot);
		if (*maker == WEFT_NO_ID || !weft_layout_same(&product.layout, &y.layout))
			continue;
		operation = &graph->operation[*maker];
		if (operation->opcode != WEFT_OP_MATMUL || operation->operand[2] != WEFT_NO_ID || operation->updates ||
		    operation->params.matmul.activation != WEFT_ACT_NONE)
			continue;
		result = weft_operand_in(graph, operation, 3);
		/* What is computed may not be there yet when the product is. */
		if (result.layout.strides[result.layout.rank - 1] == 1 &&
		    graph->value[graph->value[bias.id].base].kind != WEFT_VALUE_ACTIVATION &&
		    is_row(&bias, &y.layout, result.layout.dims[result.layout.rank - 1]))
			return slot;
	}
	return 2;
}

static int run(struct weft_graph *graph, const struct weft_graph_options *options)
{
	struct weft_uses uses;
	int r = weft_uses_begin(&uses, graph);

	(void)options;
	for (weft_id at = 0; at < graph->operations && !r; at++) {
		const struct weft_operation *sum = &graph->operation[at];
		struct weft_operation *product;
		struct weft_layout vector = {.type = WEFT_TYPE_F32, .rank = 1, .strides = {1}};
		unsigned int slot;
		weft_id maker;

		if (sum->opcode != WEFT_OP_BINARY || sum->params.binary.function != WEFT_BINARY_ADD ||
		    graph->value[sum->operand[2]].base != sum->operand[2] ||
		    graph->value[sum->operand[2]].layout.type != WEFT_TYPE_F32)
			continue;
		slot = product_slot(&uses, graph, at, &maker);
		if (slot == 2)
			continue;
		product = &graph->operation[maker];
		vector.dims[0] = weft_operand_in(graph, product, 3)
					 .layout.dims[weft_operand_in(graph, product, 3).layout.rank - 1];
		product->operand[2] = sum->operand[1 - slot];
		product->params.matmul.activation = sum->params.binary.activation;
		product->params.matmul.alpha = sum->params.binary.alpha;
		product->params.matmul.beta = sum->params.binary.beta;
		if (!weft_layout_same(&graph->value[product->operand[2]].layout, &vector))
			r = weft_operation_set_view(product, 2, &vector);
		if (!r)
			r = weft_uses_take_over(&uses, graph, maker, 3, at, 2);
	}
	return weft_uses_finish(&uses, graph, r);
}

const struct weft_pass weft_pass_bias = {.info = {"bias", "a matrix product that a vector is added to does it itself"},
					 .graph = run};
