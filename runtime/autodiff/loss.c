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

int weft_loss_add_label(struct weft_graph *graph, uint32_t batch)
{
	struct weft_layout label = {.type = WEFT_TYPE_I32, .rank = 1, .dims = {batch}};

	weft_layout_dense(&label);
	return add_label(graph, free_name(graph, "label", "weft.label"), &label);
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

static int cross_entropy(struct weft_graph *graph, weft_id logits, float smoothing)
{
	union weft_params params = {.xent = {.reduction = WEFT_XENT_MEAN, .smoothing = smoothing}};
	struct weft_layout layout = graph->value[logits].layout, scalar = {.type = WEFT_TYPE_F32};
	weft_id denominator;
	int r;

	if (layout.rank != 2 || layout.type != WEFT_TYPE_F32)
		return weft_fail(EINVAL, "output %s is not [batch, classes] in float, as cross-entropy needs",
				 graph->value[logits].name);
	r = weft_loss_add_label(graph, layout.dims[0]);
	if (!r)
		r = add_loss_value(graph);
	if (!r)
		r = weft_build_value(graph, "loss.denominator", &scalar, &denominator);
	return r ? r
		 : weft_graph_add_operation(
			   graph, "loss", WEFT_OP_XENT_FWD, &params, 3, 6,
			   (weft_id[]){logits, graph->label, WEFT_NO_ID, graph->loss, WEFT_NO_ID, denominator}, NULL);
}

/* A value for the target, like @output, and one for what becomes of the two. */
static int add_target(struct weft_graph *graph, const struct weft_operand *output, struct weft_operand *target,
		      struct weft_operand *result)
{
	int r;

	if (output->layout.type != WEFT_TYPE_F32)
		return weft_fail(EINVAL, "output %s is not float, as the loss needs", graph->value[output->id].name);
	r = add_label(graph, free_name(graph, "target", "weft.target"), &output->layout);
	if (!r)
		r = weft_build_value(graph, "loss.difference", &output->layout, &result->id);
	if (r)
		return r;
	*target = weft_operand_of(graph, graph->label);
	result->layout = output->layout;
	return 0;
}

/* loss = the mean of @x's elements, after @function of REDUCE. */
static int mean(struct weft_graph *graph, uint32_t function, const struct weft_operand *x)
{
	union weft_params params = {
		.reduce = {.function = function, .scale = 1.0f / (float)weft_layout_elements(&x->layout)}};
	struct weft_operand operand[2] = {*x};
	unsigned int i;
	int r = add_loss_value(graph);

	if (r)
		return r;
	operand[1].id = graph->loss;
	operand[1].layout = (struct weft_layout){.type = WEFT_TYPE_F32, .rank = x->layout.rank};
	for (i = 0; i < x->layout.rank; i++)
		operand[1].layout.dims[i] = operand[1].layout.strides[i] = 1;
	return weft_build_broadcast(graph, "loss", WEFT_OP_REDUCE, &params, 1, 2, operand, 0, NULL);
}

static int mean_squared_error(struct weft_graph *graph, weft_id output)
{
	union weft_params params = {.binary = {.function = WEFT_BINARY_SUB}};
	struct weft_operand operand[3] = {weft_operand_of(graph, output)};
	int r = add_target(graph, &operand[0], &operand[1], &operand[2]);

	if (!r)
		r = weft_build_elementwise(graph, "loss.difference", WEFT_OP_BINARY, &params, 2, 3, operand, NULL);
	return r ? r : mean(graph, WEFT_REDUCE_SUM_SQUARE, &operand[2]);
}

/* What a Sigmoid at the end of the model was applied to, or @output. */
static struct weft_operand before_sigmoid(const struct weft_graph *graph, weft_id output)
{
	const struct weft_operation *producer;
	struct weft_operand logits = weft_operand_of(graph, output), x;

	if (graph->value[output].producer == WEFT_NO_ID)
		return logits;
	producer = &graph->operation[graph->value[output].producer];
	if (producer->opcode != WEFT_OP_UNARY || producer->params.unary.function != WEFT_UNARY_SIGMOID)
		return logits;
	x = weft_operand_of(graph, producer->operand[0]);
	return weft_layout_same(&x.layout, &logits.layout) ? x : logits;
}

/* softplus(x) - x * target: -log(sigmoid(x)) where the target is 1, -log(1 - sigmoid(x)) where it is 0. */
static int binary_cross_entropy(struct weft_graph *graph, weft_id output)
{
	union weft_params softplus = {.unary = {.function = WEFT_UNARY_SOFTPLUS}};
	union weft_params multiply = {.binary = {.function = WEFT_BINARY_MUL}};
	union weft_params subtract = {.binary = {.function = WEFT_BINARY_SUB}};
	struct weft_operand x = before_sigmoid(graph, output), target, each, plus, product;
	int r = add_target(graph, &x, &target, &each);

	plus.layout = product.layout = x.layout;
	if (!r)
		r = weft_build_value(graph, "loss.softplus", &x.layout, &plus.id);
	if (!r)
		r = weft_build_value(graph, "loss.product", &x.layout, &product.id);
	if (!r)
		r = weft_build_elementwise(graph, "loss.softplus", WEFT_OP_UNARY, &softplus, 1, 2,
					   (struct weft_operand[]){x, plus}, NULL);
	if (!r)
		r = weft_build_elementwise(graph, "loss.product", WEFT_OP_BINARY, &multiply, 2, 3,
					   (struct weft_operand[]){x, target, product}, NULL);
	if (!r)
		r = weft_build_elementwise(graph, "loss.difference", WEFT_OP_BINARY, &subtract, 2, 3,
					   (struct weft_operand[]){plus, product, each}, NULL);
	return r ? r : mean(graph, WEFT_REDUCE_SUM, &each);
}

int weft_loss_append(struct weft_graph *graph, enum weft_loss loss, const struct weft_tuning *tuning)
{
	weft_id output = graph->model_output[0];
	const struct weft_value *value = &graph->value[output];

	if (weft_layout_elements(&value->layout) == 1 && !value->layout.rank) {
		graph->loss = output;
		return 0;
	}
	switch (loss) {
	case WEFT_LOSS_CROSS_ENTROPY:
		return cross_entropy(graph, output, tuning ? tuning->label_smoothing : 0);
	case WEFT_LOSS_MSE:
		return mean_squared_error(graph, output);
	case WEFT_LOSS_BCE:
		return binary_cross_entropy(graph, output);
	case WEFT_LOSS_DISTILL:
		return weft_loss_distill(graph, tuning ? tuning->distillation : NULL);
	case WEFT_LOSS_NONE:
		break;
	}
	return weft_fail(EINVAL, "the model has no scalar loss as its first output (%s): choose one", value->name);
}
