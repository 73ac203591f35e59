// SPDX-License-Identifier: MIT
/* Adapters: what they change, what they leave, their gradients, and the weights that they are merged into. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "graph/graph.h"
#include "optim/lora.h"
#include "small_model.h"
#include "weft/error.h"

#define RANK 2
#define ALPHA 3

static const char *const names[2] = {"first", "second"};
static const size_t in[2] = {SMALL_IN, SMALL_HIDDEN}, out[2] = {SMALL_HIDDEN, SMALL_OUT};

static const struct weft_tuning tuning = {.lora_rank = RANK, .lora_alpha = ALPHA, .lora_seed = 5};

static struct weft_session *adapted(const struct weft_model *model, bool gradients)
{
	const float hyper[8] = {0.1f, 0, 0, 0, 0, 0, 0, 1};
	struct weft_graph_options options = {.training = true,
					     .loss = WEFT_LOSS_CROSS_ENTROPY,
					     .optimizer = WEFT_OPTIMIZER_SGD,
					     .gradients_as_outputs = gradients,
					     .tuning = &tuning};
	struct weft_session *session = small_session(model, &options);

	assert_int_equal(weft_session_hyper(session, hyper), 0);
	return session;
}

static struct weft_session *plain(const struct weft_model *model)
{
	struct weft_graph_options options = {
		.training = true, .loss = WEFT_LOSS_CROSS_ENTROPY, .gradients_as_outputs = true};

	return small_session(model, &options);
}

static void read_matrices(struct weft_session *session, unsigned int layer, float *weight, float *a, float *b)
{
	char name[64];

	snprintf(name, sizeof(name), "%s.weight", names[layer]);
	small_read(session, name, weight, in[layer] * out[layer]);
	snprintf(name, sizeof(name), "%s.lora_A.weight", names[layer]);
	small_read(session, name, a, RANK * in[layer]);
	snprintf(name, sizeof(name), "%s.lora_B.weight", names[layer]);
	small_read(session, name, b, out[layer] * RANK);
}

/* B is zero at first: the network is then the one it was, to the bit. */
static void starts_as_the_model(void **state)
{
	struct weft_model *model = small_model(false);
	struct weft_session *with = adapted(model, true), *without = plain(model);
	float a[64], b[64], weight[64], l1 = small_step(with, 1), l2 = small_step(without, 1);

	(void)state;
	assert_memory_equal(&l1, &l2, sizeof(l1));
	for (unsigned int layer = 0; layer < 2; layer++) {
		float bound = 1 / sqrtf((float)in[layer]), most = 0;

		read_matrices(with, layer, weight, a, b);
		for (size_t i = 0; i < RANK * in[layer]; i++) {
			assert_true(fabsf(a[i]) <= bound);
			most = fmaxf(most, fabsf(a[i]));
		}
		assert_true(most > bound / 2);
		for (size_t i = 0; i < RANK * out[layer]; i++)
			assert_true(b[i] == 0);
	}
	small_session_free(with);
	small_session_free(without);
	weft_model_free(model);
}

static void merged_model_is_the_adapted_one(void **state)
{
	struct weft_model *model = small_model(false);
	struct weft_session *with = adapted(model, false), *without = plain(model);
	const struct weft_graph *graph = weft_session_graph(with);
	float before[2][64], weight[64], a[64], b[64], first, last = 0;

	(void)state;
	assert_int_equal(graph->adapters, 2);
	for (unsigned int layer = 0; layer < 2; layer++)
		read_matrices(with, layer, before[layer], a, b);
	first = small_step(with, 2);
	for (unsigned int i = 0; i < 20; i++)
		last = small_step(with, 2);
	assert_true(last < first);
	for (unsigned int layer = 0; layer < 2; layer++) {
		char name[64];

		read_matrices(with, layer, weight, a, b);
		assert_memory_equal(weight, before[layer], in[layer] * out[layer] * sizeof(float));
		weft_lora_merge(graph, &graph->adapter[layer], a, b, weight);
		assert_memory_not_equal(weight, before[layer], in[layer] * out[layer] * sizeof(float));
		/* By the definition: out x in, each element the product of a row of B and a column of A. */
		for (size_t o = 0; o < out[layer]; o++)
			for (size_t i = 0; i < in[layer]; i++) {
				float sum = 0;

				for (size_t r = 0; r < RANK; r++)
					sum += b[o * RANK + r] * a[r * in[layer] + i];
				sum = before[layer][o * in[layer] + i] + (float)ALPHA / RANK * sum;
				assert_true(fabsf(sum - weight[o * in[layer] + i]) < 1e-6f);
			}
		snprintf(name, sizeof(name), "%s.weight", names[layer]);
		assert_int_equal(weft_session_write(without, name, weight, in[layer] * out[layer] * sizeof(float)), 0);
	}
	first = small_step(without, 2);
	last = small_step(with, 2);
	assert_true(fabsf(first - last) < 1e-5f);
	small_session_free(with);
	small_session_free(without);
	weft_model_free(model);
}

static void gradients_are_slopes(void **state)
{
	static const char *const matrices[] = {"first.lora_A.weight", "first.lora_B.weight", "second.lora_A.weight",
					       "second.lora_B.weight"};
	struct weft_model *model = small_model(false);
	struct weft_session *session = adapted(model, true);
	const struct weft_graph *graph = weft_session_graph(session);

	(void)state;
	for (unsigned int m = 0; m < 4; m++) {
		size_t elements = RANK * (m % 2 ? out : in)[m / 2], bytes = elements * sizeof(float);
		float contents[64];

		/* B of zeros would leave A without a gradient. */
		for (size_t i = 0; i < elements; i++)
			contents[i] = 0.3f - 0.07f * (float)i;
		assert_int_equal(weft_session_write(session, matrices[m], contents, bytes), 0);
	}
	for (unsigned int m = 0; m < 4; m++) {
		size_t elements = RANK * (m % 2 ? out : in)[m / 2], bytes = elements * sizeof(float);
		float contents[64], gradient[64];
		bool found = false;

		small_step(session, 4);
		for (weft_id id = 0; id < graph->values; id++) {
			if (strcmp(graph->value[id].name, matrices[m]))
				continue;
			small_read(session, graph->value[graph->value[id].gradient].name, gradient, elements);
			found = true;
		}
		assert_true(found);
		small_read(session, matrices[m], contents, elements);
		for (size_t i = 0; i < elements; i++) {
			float was = contents[i];
			double up, down, slope;

			contents[i] = was + 0.01f;
			assert_int_equal(weft_session_write(session, matrices[m], contents, bytes), 0);
			up = (double)small_step(session, 4);
			contents[i] = was - 0.01f;
			assert_int_equal(weft_session_write(session, matrices[m], contents, bytes), 0);
			down = (double)small_step(session, 4);
			contents[i] = was;
			assert_int_equal(weft_session_write(session, matrices[m], contents, bytes), 0);
			slope = (up - down) / 0.02;
			if (!(fabs(slope - (double)gradient[i]) < 2e-3))
				fail_msg("%s, element %zu: gradient %g, but the slope is %g", matrices[m], i,
					 (double)gradient[i], slope);
		}
	}
	small_session_free(session);
	weft_model_free(model);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(starts_as_the_model),
		cmocka_unit_test(merged_model_is_the_adapted_one),
		cmocka_unit_test(gradients_are_slopes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
