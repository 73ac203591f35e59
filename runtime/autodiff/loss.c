// SPDX-License-Identifier: MIT
#include "autodiff/loss.h"

#include <errno.h>
#include <string.h>

#include "graph/build.h"
#include "graph/layout.h"
#include "weft/error.h"

/* A name that no value has yet. */
static const char *free_name(const struct weft_graph *graph, const char *wanted, const char *other)
{
	uint32_t i;

	for (i = 0; i < graph->values; i++)
		if (!strcmp(graph->value[i].name, wanted))
			return other;
	return wanted;
}

/* The importer left room for one more input. */
static int add_label(struct weft_graph *graph, const char *name, const struct weft_layout *layout)
{
	int r = weft_graph_add_value(graph, name, WEFT_VALUE_INPUT, layout, &graph->label);

	if (!r)
		graph->input[graph->inputs++] = graph->label;
	return r;
}

static int add_loss_value(struct weft_graph *graph)
{
	struct weft_layout scalar = {.type = WEFT_TYPE_F32};
	int r = weft_graph_add_value(graph, free_name(graph, "loss", "weft.loss"), WEFT_VALUE_ACTIVATION, &scalar,
				     &graph->loss);

	if (!r)
		graph->value[graph->loss].output = true;
	return r;
}

static int cross_entropy(struct weft_graph *graph, weft_id logits)
{
	union weft_params params = {.xent = {.reduction = WEFT_XENT_MEAN}};
	struct weft_layout layout = graph->value[logits].layout, scalar = {.type = WEFT_TYPE_F32};
	struct weft_layout label = {.type = WEFT_TYPE_I32, .rank = 1};
	weft_id denominator;
	int r;

	if (layout.rank != 2 || layout.type != WEFT_TYPE_F32)
		return weft_fail(EINVAL, "output %s is not [batch, classes] in float, as cross-entropy needs",
				 graph->value[logits].name);
	label.dims[0] = layout.dims[0];
	weft_layout_dense(&label);
	r = add_label(graph, free_name(graph, "label", "weft.label"), &label);
	if (!r)
		r = add_loss_value(graph);
	if (!r)
		r = weft_build_value(graph, "loss.denominator", &scalar, &denominator);
	return r ? r
		 : weft_graph_add_operation(
			   graph, "loss", WEFT_OP_XENT_FWD, &params, 3, 6,
			   (weft_id[]){logits, graph->label, WEFT_NO_ID, graph->loss, WEFT_NO_ID, denominator}, NULL);
}

static int mean_squared_error(struct weft_graph *graph, weft_id output)
{
	struct weft_operand operand[3] = {weft_operand_of(graph, output)};
	struct weft_layout layout = operand[0].layout;
	union weft_params params = {.binary = {.function = WEFT_BINARY_SUB}};
	unsigned int i;
	int r;

	if (layout.type != WEFT_TYPE_F32)
		return weft_fail(EINVAL, "output %s is not float, as a squared error needs", graph->value[output].name);
	r = add_label(graph, free_name(graph, "target", "weft.target"), &layout);
	if (!r)
		r = weft_build_value(graph, "loss.difference", &layout, &operand[2].id);
	if (r)
		return r;
	operand[1] = weft_operand_of(graph, graph->label);
	operand[2].layout = layout;
	r = weft_build_elementwise(graph, "loss.difference", WEFT_OP_BINARY, &params, 2, 3, operand, NULL);
	if (!r)
		r = add_loss_value(graph);
	if (r)
		return r;
	memset(&params, 0, sizeof(params));
	params.reduce.function = WEFT_REDUCE_SUM_SQUARE;
	params.reduce.scale = 1.0f / (float)weft_layout_elements(&layout);
	operand[0] = operand[2];
	operand[1].id = graph->loss;
	operand[1].layout = (struct weft_layout){.type = WEFT_TYPE_F32, .rank = layout.rank};
	for (i = 0; i < layout.rank; i++)
		operand[1].layout.dims[i] = operand[1].layout.strides[i] = 1;
	return weft_build_broadcast(graph, "loss", WEFT_OP_REDUCE, &params, 1, 2, operand, 0, NULL);
}

int weft_loss_append(struct weft_graph *graph, enum weft_loss loss)
{
	weft_id output = graph->model_output[0];
	const struct weft_value *value = &graph->value[output];

	if (weft_layout_elements(&value->layout) == 1 && !value->layout.rank) {
		graph->loss = output;
		return 0;
	}
	switch (loss) {
	case WEFT_LOSS_CROSS_ENTROPY:
		return cross_entropy(graph, output);
	case WEFT_LOSS_MSE:
		return mean_squared_error(graph, output);
	case WEFT_LOSS_NONE:
		break;
	}
	return weft_fail(EINVAL, "the model has no scalar loss as its first output (%s): choose one", value->name);
}
