// SPDX-License-Identifier: MIT
/*
 * A batch normalisation by running statistics is a scale and a shift per channel:
 * the convolution before it does both, with its weights scaled and its bias moved.
 * For inference with weights that are final.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "compile/passes.h"
#include "compile/uses.h"
#include "graph/build.h"
#include "graph/layout.h"
#include "weft/error.h"

/* Operands of NORM_APPLY, of which the first five are inputs, and of CONV_FWD. */
enum { X, MEAN, RSTD, GAMMA, BETA, RESULT };
enum { IMAGE, WEIGHT, BIAS, CONVOLVED };

/* The contents of @id, if they are a vector of @channels that the model brings. */
static const float *vector_of(const struct weft_graph *graph, weft_id id, uint32_t channels)
{
	const struct weft_value *base = id == WEFT_NO_ID ? NULL : &graph->value[graph->value[id].base];

	if (!base || !base->data || base->layout.type != WEFT_TYPE_F32 || base->kind == WEFT_VALUE_ACTIVATION ||
	    weft_layout_elements(&base->layout) != channels || !weft_layout_is_dense(&base->layout))
		return NULL;
	return base->data;
}

/* Contents and epsilon of the variance that @id, 1 / sqrt(variance + epsilon), is computed from. */
static const float *variance_of(const struct weft_graph *graph, weft_id id, uint32_t channels, float *epsilon)
{
	const struct weft_operation *root, *sum;
	weft_id maker = graph->value[graph->value[id].base].producer;

	if (maker == WEFT_NO_ID)
		return NULL;
	root = &graph->operation[maker];
	if (root->opcode != WEFT_OP_UNARY || root->params.unary.function != WEFT_UNARY_RSQRT)
		return NULL;
	maker = graph->value[graph->value[root->operand[0]].base].producer;
	if (maker == WEFT_NO_ID)
		return NULL;
	sum = &graph->operation[maker];
	if (sum->opcode != WEFT_OP_UNARY || sum->params.unary.function != WEFT_UNARY_AFFINE ||
	    sum->params.unary.alpha != 1)
		return NULL;
	*epsilon = sum->params.unary.beta;
	return vector_of(graph, sum->operand[0], channels);
}

struct folding {
	uint32_t channels;
	const float *mean, *variance, *gamma, *beta, *bias;
	float epsilon;
	weft_id weight, convolution;
};

static bool match(const struct weft_uses *uses, const struct weft_graph *graph, weft_id at, struct folding *f)
{
	const struct weft_operation *norm = &graph->operation[at], *convolution;
	struct weft_operand x, y, weight;

	x = weft_operand_in(graph, norm, X);
	y = weft_operand_in(graph, norm, RESULT);
	f->convolution = weft_uses_private_maker(uses, graph, at, X);
	if (f->convolution == WEFT_NO_ID || !weft_layout_same(&x.layout, &y.layout) || graph->value[y.id].base != y.id)
		return false;
	convolution = &graph->operation[f->convolution];
	if (convolution->opcode != WEFT_OP_CONV_FWD || convolution->params.conv.activation != WEFT_ACT_NONE)
		return false;
	weight = weft_operand_in(graph, convolution, WEIGHT);
	f->weight = graph->value[weight.id].base;
	f->channels = weight.layout.dims[3];
	if (!graph->value[f->weight].data || uses->readers[f->weight] != 1 ||
	    graph->value[f->weight].kind == WEFT_VALUE_ACTIVATION || weight.layout.strides[3] != 1 ||
	    weft_layout_elements(&weight.layout) != weft_layout_elements(&graph->value[f->weight].layout))
		return false;
	f->mean = vector_of(graph, norm->operand[MEAN], f->channels);
	f->variance = variance_of(graph, norm->operand[RSTD], f->channels, &f->epsilon);
	f->gamma = vector_of(graph, norm->operand[GAMMA], f->channels);
	f->beta = vector_of(graph, norm->operand[BETA], f->channels);
	f->bias = vector_of(graph, convolution->operand[BIAS], f->channels);
	return f->mean && f->variance && (f->gamma || norm->operand[GAMMA] == WEFT_NO_ID) &&
	       (f->beta || norm->operand[BETA] == WEFT_NO_ID) && (f->bias || convolution->operand[BIAS] == WEFT_NO_ID);
}

/* The new bias as a constant; the weights are scaled where they are. */
static int compute(struct weft_graph *graph, const struct folding *f, weft_id *id)
{
	struct weft_layout layout = {.type = WEFT_TYPE_F32, .rank = 1, .dims = {f->channels}, .strides = {1}};
	uint64_t elements = weft_layout_elements(&graph->value[f->weight].layout);
	float *weight = graph->value[f->weight].data, *bias;
	double *scale = malloc(f->channels * sizeof(*scale));
	char *name = NULL;
	int r = 0;

	bias = malloc(f->channels * sizeof(*bias));
	if (!scale || !bias ||
	    asprintf(&name, "%s.folded#%u", graph->operation[f->convolution].name, graph->values) < 0)
		r = weft_fail(ENOMEM, "no memory for the bias of %s", graph->operation[f->convolution].name);
	if (!r)
		r = weft_graph_add_value(graph, name, WEFT_VALUE_CONSTANT, &layout, id);
	for (uint32_t c = 0; c < f->channels && !r; c++) {
		double shift = (f->bias ? (double)f->bias[c] : 0) - (double)f->mean[c];

		scale[c] = (f->gamma ? (double)f->gamma[c] : 1) / sqrt((double)f->variance[c] + (double)f->epsilon);
		bias[c] = (float)(shift * scale[c] + (f->beta ? (double)f->beta[c] : 0));
	}
	for (uint64_t i = 0; i < elements && !r; i++)
		weight[i] = (float)((double)weight[i] * scale[i % f->channels]);
	if (!r)
		graph->value[*id].data = bias;
	else
		free(bias);
	free(scale);
	free(name);
	return r;
}

static int run(struct weft_graph *graph, const struct weft_graph_options *options)
{
	struct weft_uses uses;
	int r;

	if (options->training || !options->fixed_weights)
		return 0;
	r = weft_uses_begin(&uses, graph);
	for (weft_id at = 0; at < graph->operations && !r; at++) {
		const struct weft_operation *norm = &graph->operation[at];
		struct weft_operation *convolution;
		struct folding folding = {0};
		weft_id bias;

		if (norm->opcode != WEFT_OP_NORM_APPLY || !match(&uses, graph, at, &folding))
			continue;
		r = compute(graph, &folding, &bias);
		if (r)
			break;
		convolution = &graph->operation[folding.convolution];
		convolution->operand[BIAS] = bias;
		free(convolution->view[BIAS]);
		convolution->view[BIAS] = NULL;
		convolution->params.conv.activation = norm->params.norm.activation;
		convolution->params.conv.alpha = norm->params.norm.alpha;
		convolution->params.conv.beta = norm->params.norm.beta;
		r = weft_uses_take_over(&uses, graph, folding.convolution, CONVOLVED, at, RESULT);
	}
	return weft_uses_finish(&uses, graph, r);
}

const struct weft_pass weft_pass_fold_norm = {
	.info = {"fold-norm", "inference: a convolution does the batch normalisation that follows it"}, .graph = run};
