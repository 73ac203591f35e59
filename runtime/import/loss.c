// SPDX-License-Identifier: MIT
/* Losses that are operators of the model. */
#include <errno.h>
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
	if (weft_has_output(lower, 1) && weft_output_is_used(lower, 1))
		return weft_node_fail(lower, EOPNOTSUPP, "log probabilities as an output are not supported");
	if (!strcmp(lower->node->op_type, "NegativeLogLikelihoodLoss") && !before_log_softmax(lower, &scores))
		return weft_node_fail(lower, EOPNOTSUPP, "its input must come from LogSoftmax");
	r = class_rows(lower, &scores, &operand[0]);
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
