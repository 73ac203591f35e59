// SPDX-License-Identifier: MIT
/* Gradients of normalisation, softmax and cross-entropy. */
#include "autodiff/rules.h"
#include "graph/layout.h"

/* Operands of NORM_APPLY. */
enum { X, MEAN, RSTD, GAMMA, BETA, Y };

/* Whether mean and deviation are statistics of the very tensor that is normalised. */
static bool own_statistics(const struct weft_graph *graph, const struct weft_operation *operation)
{
	const struct weft_value *mean = &graph->value[operation->operand[MEAN]];
	const struct weft_operation *producer;

	if (mean->producer == WEFT_NO_ID || mean->kind != WEFT_VALUE_ACTIVATION)
		return false;
	producer = &graph->operation[mean->producer];
	return producer->opcode == WEFT_OP_NORM_STATS && producer->operand[1] == operation->operand[MEAN] &&
	       producer->operand[2] == operation->operand[RSTD] &&
	       graph->value[producer->operand[0]].base == graph->value[operation->operand[X]].base;
}

/* A place for a sum shown like @like: the gradient of input @slot where that is wanted, else a temporary. */
static int place_sum(struct weft_backward *backward, const struct weft_operation *operation, unsigned int slot,
		     const struct weft_layout *like, struct weft_target *target, bool *wanted)
{
	*wanted = weft_backward_wants(backward, operation, slot);
	if (*wanted)
		return weft_backward_target(backward, operation, slot, target);
	return weft_backward_temporary(backward, like, &target->operand);
}

struct norm {
	struct weft_operand in[6]; /* of NORM_APPLY */
	struct weft_operand gradient;
	struct weft_operand mask; /* Y where a ReLU is fused, else absent */
};

static int sums(struct weft_backward *backward, const struct weft_operation *operation, const struct norm *norm,
		const struct weft_operand *gamma, const struct weft_operand *sum, const struct weft_operand *sum_xhat)
{
	return weft_build(weft_backward_graph(backward), weft_backward_name(backward), WEFT_OP_NORM_BWD_STATS,
			  &operation->params, 6, 8,
			  (struct weft_operand[]){norm->in[X], norm->gradient, norm->in[MEAN], norm->in[RSTD], *gamma,
						  norm->mask, *sum, *sum_xhat},
			  NULL);
}

/* Gradients of gamma and beta; their sums serve the input's gradient too where gamma follows the statistics. */
static int parameter_gradients(struct weft_backward *backward, const struct weft_operation *operation,
			       const struct norm *norm, struct weft_operand *sum, struct weft_operand *sum_xhat)
{
	const struct weft_layout *like = &norm->in[norm->in[GAMMA].id != WEFT_NO_ID  ? GAMMA
						   : norm->in[BETA].id != WEFT_NO_ID ? BETA
										     : MEAN]
						  .layout;
	struct weft_target beta, gamma;
	bool beta_wanted, gamma_wanted;
	int r = place_sum(backward, operation, BETA, like, &beta, &beta_wanted);

	if (!r)
		r = place_sum(backward, operation, GAMMA, like, &gamma, &gamma_wanted);
	if (!r)
		r = sums(backward, operation, norm, &WEFT_ABSENT, &beta.operand, &gamma.operand);
	*sum = beta.operand;
	*sum_xhat = gamma.operand;
	if (!r && beta_wanted)
		r = weft_backward_done(backward, &beta);
	if (!r && gamma_wanted)
		r = weft_backward_done(backward, &gamma);
	return r;
}

static int input_gradient(struct weft_backward *backward, const struct weft_operation *operation,
			  const struct norm *norm, const struct weft_operand *sum, const struct weft_operand *sum_xhat,
			  bool gamma_in_sums)
{
	struct weft_graph *graph = weft_backward_graph(backward);
	union weft_params params = operation->params;
	struct weft_target target;
	weft_id at;
	int r = weft_backward_target(backward, operation, X, &target);

	params.norm.activation = WEFT_ACT_NONE;
	params.norm.gamma_in_sums = gamma_in_sums;
	/* Statistics that do not depend on the input take no gradient. */
	if (!own_statistics(graph, operation))
		params.norm.inverse_count = 0;
	if (!r)
		r = weft_build(graph, weft_backward_name(backward), WEFT_OP_NORM_BWD_APPLY, &params, 8, 9,
			       (struct weft_operand[]){norm->in[X], norm->gradient, norm->in[MEAN], norm->in[RSTD],
						       norm->in[GAMMA], *sum, *sum_xhat, norm->mask, target.operand},
			       &at);
	if (!r)
		weft_build_in_place(graph, at, 8, 1);
	return r ? r : weft_backward_done(backward, &target);
}

int weft_gradient_norm(struct weft_backward *backward, const struct weft_operation *operation)
{
	struct weft_graph *graph = weft_backward_graph(backward);
	struct weft_operand sum, sum_xhat;
	struct norm norm;
	bool parameters, follows;
	unsigned int i;
	int r;

	norm.gradient = weft_backward_of_output(backward, operation, Y, &r);
	if (r || norm.gradient.id == WEFT_NO_ID)
		return r;
	for (i = 0; i < 6; i++)
		norm.in[i] = weft_operand_in(graph, operation, i);
	norm.mask = operation->params.norm.activation == WEFT_ACT_RELU ? norm.in[Y] : WEFT_ABSENT;
	if (operation->params.norm.activation == WEFT_ACT_CLIP)
		r = weft_gradient_clip(backward, &norm.in[Y], operation->params.norm.alpha,
				       operation->params.norm.beta, &norm.gradient);
	if (r)
		return r;
	parameters = weft_backward_wants(backward, operation, BETA) || weft_backward_wants(backward, operation, GAMMA);
	follows =
		norm.in[GAMMA].id == WEFT_NO_ID || weft_layout_same_dims(&norm.in[GAMMA].layout, &norm.in[MEAN].layout);
	if (parameters || follows)
		r = parameter_gradients(backward, operation, &norm, &sum, &sum_xhat);
	if (r || !weft_backward_wants(backward, operation, X))
		return r;
	if (!follows) {
		r = weft_backward_temporary(backward, &norm.in[MEAN].layout, &sum);
		if (!r)
			r = weft_backward_temporary(backward, &norm.in[MEAN].layout, &sum_xhat);
		if (!r)
			r = sums(backward, operation, &norm, &norm.in[GAMMA], &sum, &sum_xhat);
	}
	return r ? r : input_gradient(backward, operation, &norm, &sum, &sum_xhat, !follows);
}

int weft_gradient_softmax(struct weft_backward *backward, const struct weft_operation *operation)
{
	struct weft_graph *graph = weft_backward_graph(backward);
	struct weft_operand gradient;
	struct weft_target target;
	weft_id at;
	int r;

	gradient = weft_backward_of_output(backward, operation, 1, &r);
	if (r || gradient.id == WEFT_NO_ID)
		return r;
	r = weft_backward_target(backward, operation, 0, &target);
	if (!r)
		r = weft_build(graph, weft_backward_name(backward), WEFT_OP_SOFTMAX_BWD, &operation->params, 2, 3,
			       (struct weft_operand[]){weft_operand_in(graph, operation, 1), gradient, target.operand},
			       &at);
	if (!r)
		weft_build_in_place(graph, at, 2, 1);
	return r ? r : weft_backward_done(backward, &target);
}

int weft_gradient_cross_entropy(struct weft_backward *backward, const struct weft_operation *operation)
{
	struct weft_graph *graph = weft_backward_graph(backward);
	struct weft_operand gradient;
	struct weft_target target;
	weft_id at;
	int r;

	gradient = weft_backward_of_output(backward, operation, 3, &r);
	if (r || gradient.id == WEFT_NO_ID)
		return r;
	r = weft_backward_target(backward, operation, 0, &target);
	if (!r)
		r = weft_build(graph, weft_backward_name(backward), WEFT_OP_XENT_BWD, &operation->params, 5, 6,
			       (struct weft_operand[]){weft_operand_in(graph, operation, 0),
						       weft_operand_in(graph, operation, 1),
						       weft_operand_in(graph, operation, 2), gradient,
						       weft_operand_in(graph, operation, 5), target.operand},
			       &at);
	if (!r)
		weft_build_in_place(graph, at, 5, 0);
	return r ? r : weft_backward_done(backward, &target);
}
