// SPDX-License-Identifier: MIT
/* Evaluation: the forward graph over a whole data set. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "feed.h"
#include "graph/graph.h"
#include "weft/error.h"
#include "weft/train.h"

/* A session for evaluation with the largest batch, from @batch down, that the budget has room for. */
static int new_session(struct accel_device *device, const struct weft_model *model,
		       const struct weft_session_options *options, const struct weft_evaluation_options *how,
		       uint32_t sequence, struct weft_session **session, struct weft_session_refusal *refusal)
{
	uint32_t batch = how->batch;
	struct weft_model_info info;
	int result = weft_model_info(model, &info);
	bool fixed;

	if (result)
		return result;
	/* A model file with a batch dimension of its own is evaluated with that. */
	fixed = info.input_rank && info.input_dims[0] > 0;
	for (;;) {
		struct weft_graph_options graph_options = {.batch = fixed ? 0 : batch,
							   .loss = WEFT_LOSS_NONE,
							   .dim_names = how->dim_names,
							   .dim_values = how->dim_values,
							   .dims = how->dims,
							   .sequence = sequence,
							   .fixed_weights = true,
							   .without_pass = how->without_pass,
							   .without_passes = how->without_passes};
		struct weft_session_options session_options = *options;
		struct weft_graph *graph;

		if (how->source) {
			graph_options.weights = how->source->read;
			graph_options.weights_user = how->source->user;
		}
		result = weft_model_graph(model, &graph_options, &graph);
		if (result)
			return result;
		session_options.time_ratio = 0;
		result = weft_session_new(device, graph, &session_options, session, refusal);
		if (result != -ENOSPC || fixed || batch == 1)
			return result;
		batch /= 2;
	}
}

/* Sums over the examples that were judged. */
struct judgement {
	enum weft_loss kind;
	bool probabilities; /* BCE: the model's outputs have been through a sigmoid */
	uint64_t right;
	double loss;
};

static uint32_t highest(const float *score, uint32_t classes)
{
	uint32_t best = 0;

	for (uint32_t c = 1; c < classes; c++)
		if (score[c] > score[best])
			best = c;
	return best;
}

static double cross_entropy(const float *logit, uint32_t classes, uint32_t label)
{
	double most = (double)logit[highest(logit, classes)], sum = 0;

	for (uint32_t c = 0; c < classes; c++)
		sum += exp((double)logit[c] - most);
	return log(sum) + most - (double)logit[label];
}

/* -log of the probability that the target, 0 or 1, is given; at most 100, as torch.nn.BCELoss has it. */
static double binary_cross_entropy(const struct judgement *judgement, double x, double target)
{
	if (!judgement->probabilities)
		return fmax(x, 0) - x * target + log1p(exp(-fabs(x)));
	return fmin(target != 0 ? -log(x) : -log1p(-x), 100);
}

/* Add one example's outputs to the sums. */
static void judge(struct judgement *judgement, const float *output, uint32_t classes, int32_t label)
{
	bool single = classes == 1;
	double loss = 0;

	if (judgement->kind != WEFT_LOSS_MSE && judgement->kind != WEFT_LOSS_BCE) {
		judgement->loss += cross_entropy(output, classes, (uint32_t)label);
		judgement->right += highest(output, classes) == (uint32_t)label;
		return;
	}
	for (uint32_t c = 0; c < classes; c++) {
		double x = (double)output[c], target = single ? label : (double)(c == (uint32_t)label);

		loss += judgement->kind == WEFT_LOSS_MSE ? (x - target) * (x - target)
							 : binary_cross_entropy(judgement, x, target);
	}
	judgement->loss += loss / classes;
	if (!single)
		judgement->right += highest(output, classes) == (uint32_t)label;
	else if (judgement->kind == WEFT_LOSS_MSE)
		judgement->right += fabs((double)*output - label) < 0.5;
	else
		judgement->right += (*output > (judgement->probabilities ? 0.5f : 0.0f)) == (label != 0);
}

static int run_batches(struct weft_feed *feed, const struct weft_value *output, struct judgement *judgement,
		       uint64_t examples)
{
	uint32_t classes = output->layout.dims[1];
	bool single = classes == 1 && (judgement->kind == WEFT_LOSS_MSE || judgement->kind == WEFT_LOSS_BCE);
	size_t bytes = (size_t)feed->batch * classes * sizeof(float);
	float *logits = malloc(bytes);
	int result = logits ? 0 : weft_fail(ENOMEM, "out of memory");

	for (uint64_t first = 0; first < examples && !result; first += feed->batch) {
		/* The last batch is filled up with its first example, which then does not count. */
		for (uint32_t i = 0; i < feed->batch; i++)
			feed->index[i] = first + i < examples ? first + i : first;
		result = weft_feed_fill(feed);
		if (!result)
			result = weft_session_step(feed->session);
		if (!result)
			result = weft_session_output(feed->session, output->name, logits, bytes);
		for (uint32_t i = 0; i < feed->batch && first + i < examples && !result; i++) {
			if (!single && (feed->labels[i] < 0 || (uint32_t)feed->labels[i] >= classes))
				result = weft_fail(EINVAL,
						   "label %d of example %llu is not one of the model's %u classes",
						   feed->labels[i], (unsigned long long)(first + i), classes);
			else
				judge(judgement, logits + (size_t)i * classes, classes, feed->labels[i]);
		}
	}
	free(logits);
	return result;
}

static bool ends_in_sigmoid(const struct weft_graph *graph, const struct weft_value *output)
{
	const struct weft_operation *producer =
		output->producer == WEFT_NO_ID ? NULL : &graph->operation[output->producer];

	return producer && producer->opcode == WEFT_OP_UNARY && producer->params.unary.function == WEFT_UNARY_SIGMOID;
}

static int evaluate(struct weft_session *session, struct weft_dataset *dataset,
		    const struct weft_evaluation_options *options, struct weft_evaluation *evaluation)
{
	struct judgement judgement = {.kind = options->loss};
	const struct weft_graph *graph = weft_session_graph(session);
	const struct weft_value *output;
	struct weft_feed feed;
	int result;

	if (!graph->model_outputs)
		return weft_fail(EINVAL, "the model has no output to evaluate");
	output = &graph->value[graph->model_output[0]];
	if (output->layout.rank != 2 || output->layout.type != WEFT_TYPE_F32 || output->layout.dims[0] != graph->batch)
		return weft_fail(EINVAL,
				 "the model's output '%s' is not a score for each example and class, so its accuracy "
				 "is not defined",
				 output->name);
	result = weft_feed_init(&feed, session, dataset);
	if (result)
		return result;
	judgement.probabilities = ends_in_sigmoid(graph, output);
	result = run_batches(&feed, output, &judgement, evaluation->examples);
	weft_feed_done(&feed);
	evaluation->accuracy = (double)judgement.right / (double)evaluation->examples;
	evaluation->loss = judgement.loss / (double)evaluation->examples;
	if (!result)
		result = weft_session_usage(session, &evaluation->usage);
	evaluation->step_seconds = evaluation->usage.step_seconds;
	return result;
}

int weft_evaluate(struct accel_device *device, const struct weft_model *model,
		  const struct weft_session_options *session_options, struct weft_dataset *dataset,
		  const struct weft_evaluation_options *options, struct weft_evaluation *evaluation,
		  struct weft_session_refusal *refusal)
{
	struct weft_dataset_info info;
	struct weft_session *session;
	int result;

	memset(evaluation, 0, sizeof(*evaluation));
	weft_dataset_info(dataset, &info);
	evaluation->examples = info.examples;
	result = new_session(device, model, session_options, options, info.sequence, &session, refusal);
	if (result)
		return weft_fail_in(result, "evaluation");
	result = evaluate(session, dataset, options, evaluation);
	weft_session_free(session);
	return result;
}
