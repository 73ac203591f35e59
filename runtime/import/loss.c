// SPDX-License-Identifier: MIT
/* Losses that are operators of the model. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "graph/layout.h"
#include "import/operators.h"
#include "weft/error.h"

/* [N, C, d...] as [N * d..., C]. */
static int class_rows(struct weft_lower *lower, const struct weft_operand *scores, struct weft_operand *rows)
{
	struct weft_operand moved = *scores;
	uint32_t dims[2] = {1, scores->layout.dims[1]};
	uint8_t order[WEFT_MAX_RANK];
	unsigned int i;
	int r;

	for (i = 0; i < scores->layout.rank && i < WEFT_MAX_RANK; i++)
		order[i] = (uint8_t)(i == 0 ? 0 : i + 1 == scores->layout.rank ? 1 : i + 1);
	moved.layout = weft_layout_permuted(&scores->layout, order);
	dims[0] = (uint32_t)(weft_layout_elements(&scores->layout) / dims[1]);
	r = weft_build_view(lower->graph, lower->node_name, moved.id, 0, &moved.layout, &moved.id);
	return r ? weft_fail_in(r, "%s", weft_node_where(lower)) : weft_lower_reshape(lower, &moved, 2, dims, rows);
}

static int read_reduction(struct weft_lower *lower, union weft_params *params)
{
	int64_t ignored = weft_attribute_int(lower, "ignore_index", 0);

	memset(params, 0, sizeof(*params));
	params->xent.reduction = WEFT_XENT_MEAN;
	if (weft_attribute_is(lower, "reduction", "sum", false))
		params->xent.reduction = WEFT_XENT_SUM;
	else if (weft_attribute_is(lower, "reduction", "none", false))
		params->xent.reduction = WEFT_XENT_NONE;
	else if (!weft_attribute_is(lower, "reduction", "mean", true))
		return weft_node_fail(lower, EINVAL, "the reduction is none of none, sum and mean");
	params->xent.has_ignore = weft_attribute(lower, "ignore_index") != NULL;
	if (ignored < INT32_MIN || ignored > INT32_MAX)
		return weft_node_fail(lower, EOPNOTSUPP, "ignore_index %lld", (long long)ignored);
	params->xent.ignore_index = (int32_t)ignored;
	return 0;
}

/* A loss on logarithms of probabilities is one on what went into the log-softmax that made them. */
static bool before_log_softmax(struct weft_lower *lower, struct weft_operand *scores)
{
	weft_id producer = lower->graph->value[lower->graph->value[scores->id].base].producer;
	const struct weft_operation *operation;

	if (producer == WEFT_NO_ID)
		return false;
	operation = &lower->graph->operation[producer];
	if (operation->opcode != WEFT_OP_SOFTMAX_FWD || !operation->params.softmax.log ||
	    operation->operand[1] != scores->id)
		return false;
	if (!weft_layout_same_dims(&lower->graph->value[operation->operand[0]].layout, &scores->layout))
		return false;
	*scores = weft_operand_of(lower->graph, operation->operand[0]);
	return true;
}

/*
 * The classes 0, 1, ... as labels are typed.  The ignored one stands as the least
 * integer, which is no label, so that no row matches it.
 */
static int class_numbers(struct weft_lower *lower, uint8_t type, uint32_t classes, const union weft_params *params,
			 struct weft_operand *numbers)
{
	struct weft_layout layout = {.type = type, .rank = 1, .dims = {classes}};
	struct weft_value *value;
	uint32_t i;
	int r;

	if (type != WEFT_TYPE_I32 && type != WEFT_TYPE_I64)
		return weft_node_fail(lower, EINVAL, "labels are no 32- or 64-bit integers");
	weft_layout_dense(&layout);
	r = weft_temporary(lower, &layout, numbers);
	if (r)
		return r;
	value = &lower->graph->value[numbers->id];
	value->kind = WEFT_VALUE_CONSTANT;
	value->data = malloc(value->bytes);
	if (!value->data)
		return weft_fail(ENOMEM, "no memory for %u classes", classes);
	for (i = 0; i < classes; i++) {
		bool ignored = params->xent.has_ignore && params->xent.ignore_index == (int64_t)i;

		if (type == WEFT_TYPE_I32)
			((int32_t *)value->data)[i] = ignored ? INT32_MIN : (int32_t)i;
		else
			((int64_t *)value->data)[i] = ignored ? INT64_MIN : (int64_t)i;
	}
	return 0;
}

/* Per row, the sum over the classes where @mask is set: @mask [R, C], @from broadcast to it, @to [R, 1]. */
static int pick(struct weft_lower *lower, const struct weft_operand *mask, const struct weft_operand *from,
		const struct weft_operand *zero, struct weft_operand *to)
{
	union weft_params params = {.reduce = {.function = WEFT_REDUCE_SUM, .scale = 1}};
	struct weft_layout layout = {.type = WEFT_TYPE_F32, .rank = 2, .dims = {mask->layout.dims[0], 1}};
	struct weft_operand operand[4] = {*mask, *from, *zero};
	struct weft_layout chosen = mask->layout;
	int r;

	if (!weft_layout_broadcast(&from->layout, 2, mask->layout.dims, &operand[1].layout) ||
	    !weft_layout_broadcast(&zero->layout, 2, mask->layout.dims, &operand[2].layout))
		return weft_node_fail(lower, EINVAL, "scores or weights do not fit the classes");
	chosen.type = WEFT_TYPE_F32;
	weft_layout_dense(&chosen);
	weft_layout_dense(&layout);
	r = weft_temporary(lower, &chosen, &operand[3]);
	if (!r)
		r = weft_build_elementwise(lower->graph, lower->node_name, WEFT_OP_WHERE, NULL, 3, 4, operand, NULL);
	if (!r)
		r = weft_temporary(lower, &layout, to);
	return r ? r
		 : weft_build_broadcast(lower->graph, lower->node_name, WEFT_OP_REDUCE, &params, 1, 2,
					(struct weft_operand[]){operand[3], *to}, 0, NULL);
}

static int sum_rows(struct weft_lower *lower, const struct weft_operand *rows, struct weft_operand *total)
{
	union weft_params params = {.reduce = {.function = WEFT_REDUCE_SUM, .scale = 1}};
	struct weft_layout layout = {.type = WEFT_TYPE_F32, .rank = 2, .dims = {1, 1}, .strides = {1, 1}};
	int r = weft_temporary(lower, &layout, total);

	return r ? r
		 : weft_build_broadcast(lower->graph, lower->node_name, WEFT_OP_REDUCE, &params, 1, 2,
					(struct weft_operand[]){*rows, *total}, 0, NULL);
}

/*
 * The negative of each row's score at its label, times the label's weight.
 * Labels outside the classes count as ignored.
 */
static int pick_scores(struct weft_lower *lower, const struct weft_operand *rows, const struct weft_operand *labels,
		       const union weft_params *params)
{
	union weft_params negate = {.unary = {.function = WEFT_UNARY_NEG}};
	struct weft_operand numbers, label, mask, score, weight, product, loss, total, count, zero, one;
	struct weft_layout result = {.type = WEFT_TYPE_F32}, shape = labels->layout;
	int r = class_numbers(lower, labels->layout.type, rows->layout.dims[1], params, &numbers);

	if (!r)
		r = weft_lower_reshape(lower, labels, 2, (uint32_t[]){rows->layout.dims[0], 1}, &label);
	if (!r)
		r = weft_lower_binary(lower, WEFT_BINARY_EQUAL, &label, &numbers, false, &mask);
	if (!r)
		r = weft_build_scalar(lower->graph, lower->node_name, 0, &zero.id);
	if (!r)
		r = weft_build_scalar(lower->graph, lower->node_name, 1, &one.id);
	if (r)
		return r;
	zero = weft_operand_of(lower->graph, zero.id);
	one = weft_operand_of(lower->graph, one.id);
	if (weft_has_input(lower, 2))
		r = weft_input(lower, 2, &one);
	if (!r)
		r = pick(lower, &mask, rows, &zero, &score);
	if (!r)
		r = pick(lower, &mask, &one, &zero, &weight);
	if (!r)
		r = weft_lower_binary(lower, WEFT_BINARY_MUL, &score, &weight, false, &product);
	if (!r)
		r = weft_lower_unary(lower, &negate, &product, false, &loss);
	if (r)
		return r;
	total = loss;
	if (params->xent.reduction != WEFT_XENT_NONE)
		r = sum_rows(lower, &loss, &total);
	if (params->xent.reduction == WEFT_XENT_SUM)
		loss = total;
	if (!r && params->xent.reduction == WEFT_XENT_MEAN) {
		r = sum_rows(lower, &weight, &count);
		if (!r)
			r = weft_lower_binary(lower, WEFT_BINARY_DIV, &total, &count, false, &loss);
	}
	if (params->xent.reduction == WEFT_XENT_NONE) {
		shape.type = WEFT_TYPE_F32;
		weft_layout_dense(&shape);
		result = shape;
	}
	return r ? r : weft_output_view(lower, 0, &loss, 0, &result);
}

/* Output 1 of SoftmaxCrossEntropyLoss: the logarithms of the probabilities, shaped as the scores. */
static int log_probabilities(struct weft_lower *lower, const struct weft_operand *rows,
			     const struct weft_layout *scores)
{
	union weft_params params = {.softmax = {.log = 1}};
	struct weft_layout dense = rows->layout, shown = *scores;
	struct weft_operand operand[2] = {*rows};
	int r;

	weft_layout_dense(&dense);
	weft_layout_channels_last(&shown);
	r = weft_temporary(lower, &dense, &operand[1]);
	if (!r)
		r = weft_build_rows(lower->graph, lower->node_name, WEFT_OP_SOFTMAX_FWD, &params, 1, 2, operand, NULL);
	return r ? r : weft_output_view(lower, 1, &operand[1], 0, &shown);
}

int weft_lower_cross_entropy(struct weft_lower *lower)
{
	struct weft_operand operand[6] = {WEFT_ABSENT, WEFT_ABSENT, WEFT_ABSENT, WEFT_ABSENT, WEFT_ABSENT, WEFT_ABSENT};
	struct weft_operand scores, labels, loss;
	struct weft_layout layout = {.type = WEFT_TYPE_F32};
	union weft_params params;
	int r = weft_input(lower, 0, &scores);

	if (!r)
		r = weft_input_dense(lower, 1, &labels);
	if (!r)
		r = read_reduction(lower, &params);
	if (r)
		return r;
	if (scores.layout.rank < 2 || labels.layout.rank + 1 != scores.layout.rank)
		return weft_node_fail(lower, EINVAL, "scores of rank %u and labels of rank %u do not fit",
				      scores.layout.rank, labels.layout.rank);
	if (!strcmp(lower->node->op_type, "NegativeLogLikelihoodLoss") && !before_log_softmax(lower, &scores)) {
		r = class_rows(lower, &scores, &operand[0]);
		return r ? r : pick_scores(lower, &operand[0], &labels, &params);
	}
	r = class_rows(lower, &scores, &operand[0]);
	if (!r && weft_has_output(lower, 1) && weft_output_is_used(lower, 1))
		r = log_probabilities(lower, &operand[0], &scores.layout);
	if (!r)
		r = weft_lower_reshape(lower, &labels, 1, operand[0].layout.dims, &operand[1]);
	if (!r && weft_has_input(lower, 2))
		r = weft_input(lower, 2, &operand[2]);
	if (r)
		return r;
	if (params.xent.reduction == WEFT_XENT_NONE)
		layout = weft_layout_like(NULL, WEFT_TYPE_F32, labels.layout.rank, labels.layout.dims);
	r = weft_output(lower, 0, &layout, &loss);
	if (!r && params.xent.reduction == WEFT_XENT_MEAN) {
		struct weft_layout scalar = {.type = WEFT_TYPE_F32};

		r = weft_temporary(lower, &scalar, &operand[5]);
	}
	if (r)
		return r;
	operand[3] = loss;
	if (params.xent.reduction == WEFT_XENT_NONE &&
	    !weft_layout_reshape(&layout, 1, operand[0].layout.dims, &operand[3].layout))
		return weft_node_fail(lower, EINVAL, "the result cannot be shaped");
	if (lower->graph->value[labels.id].kind == WEFT_VALUE_INPUT && lower->graph->label == WEFT_NO_ID)
		lower->graph->label = labels.id;
	return weft_build(lower->graph, lower->node_name, WEFT_OP_XENT_FWD, &params, 3, 6, operand, NULL);
}
