// SPDX-License-Identifier: MIT
/* What is trained, by which loss, and what becomes of gradients before the updates. */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "graph/graph.h"
#include "small_model.h"
#include "weft/error.h"

#define RATE 0.25f
#define MOST 64

static const struct {
	const char *name;
	size_t elements;
} weights[] = {
	{"first.weight", SMALL_IN *SMALL_HIDDEN},
	{"first.bias", SMALL_HIDDEN},
	{"second.weight", SMALL_HIDDEN *SMALL_OUT},
	{"second.bias", SMALL_OUT},
};
#define WEIGHTS (sizeof(weights) / sizeof(weights[0]))

static const struct {
	const char *what;
	const char *train[2], *freeze[2];
	const char *trained; /* a letter for each weight; NULL: refused */
} selections[] = {
	{"everything", {NULL}, {NULL}, "wbwb"},
	{"all but the first layer", {NULL}, {"first.*"}, "--wb"},
	{"biases only", {"*.bias"}, {NULL}, "-b-b"},
	{"two patterns", {"first.bias", "second.weight"}, {NULL}, "-bw-"},
	{"train some, freeze some of them", {"*.weight"}, {"second.*"}, "w---"},
	{"a class of letters", {"[fs]*.bias"}, {NULL}, "-b-b"},
	{"a pattern without a match", {"third.*"}, {NULL}, NULL},
	{"a frozen pattern without a match", {NULL}, {"Bias"}, NULL},
	{"nothing left", {"*.bias"}, {"*"}, NULL},
};

static uint32_t listed(const char *const pattern[2])
{
	return pattern[0] ? pattern[1] ? 2 : 1 : 0;
}

static void selection(void **state)
{
	struct weft_model *model = small_model(false);

	(void)state;
	for (size_t i = 0; i < sizeof(selections) / sizeof(selections[0]); i++) {
		struct weft_tuning tuning = {.train = selections[i].train,
					     .trains = listed(selections[i].train),
					     .freeze = selections[i].freeze,
					     .freezes = listed(selections[i].freeze)};
		struct weft_graph_options options = {.batch = SMALL_BATCH,
						     .training = true,
						     .loss = WEFT_LOSS_CROSS_ENTROPY,
						     .optimizer = WEFT_OPTIMIZER_ADAM,
						     .tuning = &tuning};
		struct weft_graph *graph;
		int result = weft_model_graph(model, &options, &graph);

		if (!selections[i].trained) {
			if (result != -EINVAL)
				fail_msg("%s: %d, expected a refusal", selections[i].what, result);
			continue;
		}
		if (result)
			fail_msg("%s: %s", selections[i].what, weft_error());
		for (size_t w = 0; w < WEIGHTS; w++) {
			bool wanted = selections[i].trained[w] != '-', updated = false, moments = false;
			char moment[64];

			snprintf(moment, sizeof(moment), "%s.moment1", weights[w].name);
			for (weft_id id = 0; id < graph->values; id++)
				moments |= !strcmp(graph->value[id].name, moment);
			for (weft_id at = 0; at < graph->operations; at++)
				if (graph->operation[at].opcode == WEFT_OP_ADAM)
					updated |= !strcmp(graph->value[graph->operation[at].operand[2]].name,
							   weights[w].name);
			if (updated != wanted || moments != wanted)
				fail_msg("%s: %s is %supdated and has %s moments", selections[i].what, weights[w].name,
					 updated ? "" : "not ", moments ? "its" : "no");
		}
		weft_graph_free(graph);
	}
	weft_model_free(model);
}

static struct weft_session *session_with(const struct weft_model *model, const struct weft_tuning *tuning,
					 enum weft_optimizer optimizer, bool gradients)
{
	const float hyper[8] = {RATE,
				optimizer == WEFT_OPTIMIZER_SGD ? 0 : 0.9f,
				optimizer == WEFT_OPTIMIZER_SGD ? 0 : 0.999f,
				1e-8f,
				0,
				0,
				0,
				1};
	struct weft_graph_options options = {.training = true,
					     .loss = WEFT_LOSS_CROSS_ENTROPY,
					     .optimizer = optimizer,
					     .gradients_as_outputs = gradients,
					     .tuning = tuning};
	struct weft_session *session = small_session(model, &options);

	assert_int_equal(weft_session_hyper(session, hyper), 0);
	return session;
}

/* The gradients of all weights for the inputs of @seed, one after another as in weights[]. */
static void gradients_of(const struct weft_model *model, uint32_t seed, float gradient[WEIGHTS][MOST])
{
	struct weft_session *session = session_with(model, NULL, WEFT_OPTIMIZER_SGD, true);
	const struct weft_graph *graph = weft_session_graph(session);

	small_step(session, seed);
	for (size_t w = 0; w < WEIGHTS; w++)
		for (weft_id id = 0; id < graph->values; id++)
			if (!strcmp(graph->value[id].name, weights[w].name))
				small_read(session, graph->value[graph->value[id].gradient].name, gradient[w],
					   weights[w].elements);
	small_session_free(session);
}

static void weights_of(struct weft_session *session, float weight[WEIGHTS][MOST])
{
	for (size_t w = 0; w < WEIGHTS; w++)
		small_read(session, weights[w].name, weight[w], weights[w].elements);
}

static void check_near(const char *what, const float *got, const float *wanted, size_t elements, float tolerance)
{
	for (size_t i = 0; i < elements; i++)
		if (!(fabsf(got[i] - wanted[i]) <= tolerance * (fabsf(wanted[i]) + 0.01f)))
			fail_msg("%s, element %zu: %.9g, expected %.9g", what, i, (double)got[i], (double)wanted[i]);
}

static void clipping(void **state)
{
	static const float limits[] = {1e-3f, 0.1f, 1e6f};
	float gradient[WEIGHTS][MOST], before[WEIGHTS][MOST], after[WEIGHTS][MOST], plain[WEIGHTS][MOST], norm;
	struct weft_model *model = small_model(false);
	struct weft_session *session;
	double sum = 0;

	(void)state;
	gradients_of(model, 3, gradient);
	for (size_t w = 0; w < WEIGHTS; w++)
		for (size_t i = 0; i < weights[w].elements; i++)
			sum += (double)gradient[w][i] * (double)gradient[w][i];
	session = session_with(model, NULL, WEFT_OPTIMIZER_SGD, false);
	weights_of(session, before);
	small_step(session, 3);
	weights_of(session, plain);
	small_session_free(session);
	for (size_t l = 0; l < sizeof(limits) / sizeof(limits[0]); l++) {
		struct weft_tuning tuning = {.clip_norm = limits[l]};
		double factor = fmin(1, (double)limits[l] / (sqrt(sum) + 1e-6));

		session = session_with(model, &tuning, WEFT_OPTIMIZER_SGD, false);
		small_step(session, 3);
		small_read(session, "weft.gradient_norm", &norm, 1);
		assert_true(fabs((double)norm - sqrt(sum)) < 1e-5 * sqrt(sum));
		weights_of(session, after);
		for (size_t w = 0; w < WEIGHTS; w++) {
			float wanted[MOST];

			for (size_t i = 0; i < weights[w].elements; i++)
				wanted[i] = before[w][i] - RATE * (float)factor * gradient[w][i];
			check_near(weights[w].name, after[w], wanted, weights[w].elements, 1e-5f);
			/* A limit that is not reached changes no bit. */
			if (factor == 1)
				assert_memory_equal(after[w], plain[w], weights[w].elements * sizeof(float));
			else
				assert_memory_not_equal(after[w], plain[w], weights[w].elements * sizeof(float));
		}
		small_session_free(session);
	}
	weft_model_free(model);
}

/* Three steps make one update, by the sum of their gradients in f32 in the order of steps, over three. */
static void accumulation(void **state)
{
	float gradient[3][WEIGHTS][MOST], before[WEIGHTS][MOST], after[WEIGHTS][MOST], sum[MOST];
	struct weft_model *model = small_model(false);
	struct weft_tuning tuning = {.accumulate = 3};
	struct weft_session *session = session_with(model, &tuning, WEFT_OPTIMIZER_SGD, false);

	(void)state;
	for (uint32_t i = 0; i < 3; i++)
		gradients_of(model, i, gradient[i]);
	weights_of(session, before);
	for (uint32_t i = 0; i < 3; i++) {
		weights_of(session, after);
		for (size_t w = 0; w < WEIGHTS; w++)
			assert_memory_equal(after[w], before[w], weights[w].elements * sizeof(float));
		small_step(session, i);
	}
	weights_of(session, after);
	for (size_t w = 0; w < WEIGHTS; w++) {
		char name[64];
		float wanted[MOST];

		for (size_t i = 0; i < weights[w].elements; i++) {
			float total = gradient[0][w][i] + gradient[1][w][i] + gradient[2][w][i];

			wanted[i] = fmaf(-RATE, total * (1.0f / 3.0f), before[w][i]);
		}
		assert_memory_equal(after[w], wanted, weights[w].elements * sizeof(float));
		snprintf(name, sizeof(name), "%s.sum", weights[w].name);
		small_read(session, name, sum, weights[w].elements);
		for (size_t i = 0; i < weights[w].elements; i++)
			assert_true(sum[i] == 0);
	}
	small_session_free(session);
	weft_model_free(model);
}

/* Adam counts updates, not steps: three steps with the same examples are as one. */
static void accumulation_with_adam(void **state)
{
	float one[WEIGHTS][MOST], three[WEIGHTS][MOST];
	struct weft_model *model = small_model(false);
	struct weft_tuning tuning = {.accumulate = 3};
	struct weft_session *session = session_with(model, NULL, WEFT_OPTIMIZER_ADAMW, false);

	(void)state;
	for (uint32_t i = 0; i < 2; i++)
		small_step(session, i);
	weights_of(session, one);
	small_session_free(session);
	session = session_with(model, &tuning, WEFT_OPTIMIZER_ADAMW, false);
	for (uint32_t i = 0; i < 6; i++)
		small_step(session, i / 3);
	weights_of(session, three);
	for (size_t w = 0; w < WEIGHTS; w++)
		check_near(weights[w].name, three[w], one[w], weights[w].elements, 1e-4f);
	small_session_free(session);
	weft_model_free(model);
}

/* The loss of a graph that trains nothing, from its own outputs, and its slope along one weight. */
static void check_loss(enum weft_loss kind, bool sigmoid, float smoothing)
{
	struct weft_tuning tuning = {.label_smoothing = smoothing};
	struct weft_graph_options options = {
		.training = true, .loss = kind, .gradients_as_outputs = true, .tuning = &tuning};
	struct weft_model *model = small_model(sigmoid);
	struct weft_session *session = small_session(model, &options);
	const struct weft_graph *graph = weft_session_graph(session);
	float y[SMALL_BATCH][SMALL_OUT], weight[SMALL_OUT], gradient[SMALL_OUT], moved, loss;
	double wanted = 0, up, down;
	size_t bytes;
	void *label;

	loss = small_step(session, 11);
	small_read(session, sigmoid ? "y" : "second", y[0], SMALL_BATCH * SMALL_OUT);
	assert_int_equal(weft_session_input(session, graph->value[graph->label].name, &label, &bytes), 0);
	for (int i = 0; i < SMALL_BATCH; i++) {
		double sum = 0;

		for (int c = 0; c < SMALL_OUT; c++)
			sum += exp((double)y[i][c]);
		for (int c = 0; c < SMALL_OUT; c++) {
			double target, x = (double)y[i][c];

			if (kind == WEFT_LOSS_CROSS_ENTROPY) {
				target = (double)smoothing / SMALL_OUT;
				target += ((int32_t *)label)[i] == c ? 1 - (double)smoothing : 0;
				wanted -= target * (x - log(sum)) / SMALL_BATCH;
				continue;
			}
			target = (double)((float *)label)[i * SMALL_OUT + c];
			if (kind == WEFT_LOSS_MSE)
				wanted += (x - target) * (x - target) / (SMALL_BATCH * SMALL_OUT);
			else
				wanted -= (target * log(sigmoid ? x : 1 / (1 + exp(-x))) +
					   (1 - target) * log(1 - (sigmoid ? x : 1 / (1 + exp(-x))))) /
					  (SMALL_BATCH * SMALL_OUT);
		}
	}
	if (!(fabs(wanted - (double)loss) < 1e-5))
		fail_msg("loss %d: %.9g, expected %.9g", kind, (double)loss, wanted);
	for (weft_id id = 0; id < graph->values; id++)
		if (!strcmp(graph->value[id].name, "second.bias"))
			small_read(session, graph->value[graph->value[id].gradient].name, gradient, SMALL_OUT);
	small_read(session, "second.bias", weight, SMALL_OUT);
	for (int c = 0; c < SMALL_OUT; c++) {
		moved = weight[c];
		weight[c] = moved + 0.01f;
		assert_int_equal(weft_session_write(session, "second.bias", weight, sizeof(weight)), 0);
		up = (double)small_step(session, 11);
		weight[c] = moved - 0.01f;
		assert_int_equal(weft_session_write(session, "second.bias", weight, sizeof(weight)), 0);
		down = (double)small_step(session, 11);
		weight[c] = moved;
		if (!(fabs((up - down) / 0.02 - (double)gradient[c]) < 1e-4))
			fail_msg("loss %d: gradient %.9g, but the slope is %.9g", kind, (double)gradient[c],
				 (up - down) / 0.02);
	}
	small_session_free(session);
	weft_model_free(model);
}

static void losses(void **state)
{
	(void)state;
	check_loss(WEFT_LOSS_CROSS_ENTROPY, false, 0);
	check_loss(WEFT_LOSS_CROSS_ENTROPY, false, 0.2f);
	check_loss(WEFT_LOSS_MSE, false, 0);
	check_loss(WEFT_LOSS_BCE, false, 0);
	check_loss(WEFT_LOSS_BCE, true, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(selection),	cmocka_unit_test(clipping),
		cmocka_unit_test(accumulation), cmocka_unit_test(accumulation_with_adam),
		cmocka_unit_test(losses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
