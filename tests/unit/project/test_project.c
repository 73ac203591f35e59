// SPDX-License-Identifier: MIT
/*
 * Projection networks as graphs: what they compute, their gradients and those of
 * the loss beside a trainer against central differences, and models joined and
 * taken apart.
 */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "import/model.h"
#include "project/network.h"
#include "run_graph.h"
#include "weft/error.h"
#include "weft/project.h"
#include "weft/session.h"
#include "weft/train.h"

#define BATCH 6
#define CLASSES 3
#define STEP 2e-3f

static const struct weft_projection_shape shape = {.rank = 3, .dims = {1, 4, 5}, .classes = CLASSES};

static void must(int result)
{
	if (result)
		fail_msg("%s", weft_error());
}

static struct weft_model *projection(uint32_t hidden, uint64_t seed)
{
	const struct weft_projection how = {
		.functions = 5, .bits = 7, .taps = 4, .seed = seed, .hidden = {hidden}, .layers = hidden > 0};
	struct weft_model *model;

	must(weft_projection_new(&how, &shape, &model));
	return model;
}

/* A trainer with one hidden layer, called "hidden". */
static struct weft_model *trainer(uint32_t hidden)
{
	const uint32_t first[2] = {20, hidden}, second[2] = {hidden, CLASSES};
	struct weft_network n;
	struct weft_model *model;

	weft_network_begin(&n, "trainer", 17, 9);
	weft_network_input(&n, "picture", ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT, shape.rank, shape.dims);
	weft_network_node(&n, NULL, "Flatten", (const char *[]){"picture", NULL}, "flat");
	weft_network_weight(&n, "w1", 2, first, 0.5);
	weft_network_weight(&n, "w2", 2, second, 0.5);
	weft_network_node(&n, NULL, "MatMul", (const char *[]){"flat", "w1", NULL}, "sum");
	weft_network_node(&n, NULL, "Tanh", (const char *[]){"sum", NULL}, "hidden");
	weft_network_node(&n, NULL, "MatMul", (const char *[]){"hidden", "w2", NULL}, "scores");
	weft_network_output(&n, "scores");
	must(weft_network_end(&n, &model));
	return model;
}

static weft_id find(const struct weft_graph *graph, const char *name)
{
	for (weft_id v = 0; v < graph->values; v++)
		if (!strcmp(graph->value[v].name, name))
			return v;
	fail_msg("no value %s", name);
	return WEFT_NO_ID;
}

static void fill_input(struct run_graph *run, const struct weft_graph *graph)
{
	float *x = run_graph_memory(run, graph->input[0]);

	for (size_t i = 0; i < graph->value[graph->input[0]].bytes / sizeof(*x); i++)
		x[i] = sinf((float)i * 1.7f) + 0.1f;
}

static void fill_labels(struct run_graph *run, const struct weft_graph *graph, bool unknown)
{
	int32_t *label = run_graph_memory(run, graph->label);

	for (int32_t i = 0; i < BATCH; i++)
		label[i] = unknown && i % 3 == 1 ? -1 : i * 2 % CLASSES;
}

static double loss_at(struct run_graph *run, const struct weft_graph *graph, float *element, float number)
{
	*element = number;
	run_graph_step(run);
	return (double)*(float *)run_graph_memory(run, graph->loss);
}

/* Every trainable weight's gradient against the slope of the loss. */
static unsigned int check_gradients(struct run_graph *run, const struct weft_graph *graph)
{
	unsigned int checked = 0;

	for (weft_id v = 0; v < graph->values; v++) {
		const struct weft_value *value = &graph->value[v];
		float *memory, *gradient;

		if (value->kind != WEFT_VALUE_WEIGHT || value->base != v)
			continue;
		if (value->frozen) {
			assert_int_equal(value->gradient, WEFT_NO_ID);
			continue;
		}
		assert_int_not_equal(value->gradient, WEFT_NO_ID);
		memory = run_graph_memory(run, v);
		gradient = malloc(value->bytes);
		assert_non_null(gradient);
		run_graph_step(run);
		memcpy(gradient, run_graph_memory(run, value->gradient), value->bytes);
		for (size_t i = 0; i < value->bytes / sizeof(float); i++) {
			float was = memory[i];
			double up = loss_at(run, graph, &memory[i], was + STEP);
			double down = loss_at(run, graph, &memory[i], was - STEP);
			double slope = (up - down) / (2 * (double)STEP);

			memory[i] = was;
			if (fabs(slope - (double)gradient[i]) > 1e-3 + 1e-2 * fabs(slope))
				fail_msg("%s, element %zu: %g, but the slope is %g", value->name, i,
					 (double)gradient[i], slope);
		}
		free(gradient);
		checked++;
	}
	return checked;
}

/* Scores are the sums of weights with the signs of the bits, which the sums of the input's elements give. */
static void test_forward(void **unused)
{
	struct weft_graph_options options = {.batch = BATCH};
	struct weft_model *model = projection(0, 3);
	struct weft_graph *graph;
	struct run_graph *run;
	const uint32_t *bits;
	const float *w, *b, *scores;

	(void)unused;
	must(weft_model_graph(model, &options, &graph));
	run = run_graph_new(graph);
	fill_input(run, graph);
	run_graph_step(run);
	bits = run_graph_memory(run, find(graph, "projection/bits"));
	w = run_graph_memory(run, find(graph, "projection/0.weight"));
	b = run_graph_memory(run, find(graph, "projection/0.bias"));
	scores = run_graph_memory(run, find(graph, "scores"));
	for (unsigned int n = 0; n < BATCH; n++) {
		unsigned int set = 0;

		for (unsigned int c = 0; c < CLASSES; c++) {
			double sum = (double)b[c];

			for (unsigned int r = 0; r < 35; r++) {
				bool bit = bits[n * 2 + r / 32] >> r % 32 & 1;

				sum += (double)(bit ? w[r * CLASSES + c] : -w[r * CLASSES + c]);
				set += bit;
			}
			assert_true(fabs(sum - (double)scores[n * CLASSES + c]) < 1e-5);
		}
		/* Neither none nor all. */
		assert_in_range(set, CLASSES, 34 * CLASSES);
	}
	run_graph_free(run);
	weft_graph_free(graph);
	weft_model_free(model);
}

static void test_gradients(void **unused)
{
	struct weft_graph_options options = {
		.batch = BATCH, .training = true, .gradients_as_outputs = true, .loss = WEFT_LOSS_CROSS_ENTROPY};

	(void)unused;
	for (uint32_t hidden = 0; hidden <= 4; hidden += 4) {
		struct weft_model *model = projection(hidden, 4);
		struct weft_graph *graph;
		struct run_graph *run;

		must(weft_model_graph(model, &options, &graph));
		run = run_graph_new(graph);
		fill_input(run, graph);
		fill_labels(run, graph, false);
		assert_int_equal(check_gradients(run, graph), hidden ? 4 : 2);
		run_graph_free(run);
		weft_graph_free(graph);
		weft_model_free(model);
	}
}

static double log_softmax(const float *score, unsigned int label, double temperature)
{
	double sum = 0;

	for (unsigned int c = 0; c < CLASSES; c++)
		sum += exp((double)score[c] / temperature);
	return (double)score[label] / temperature - log(sum);
}

/* The loss as struct weft_distillation says it. */
static double expected_loss(const struct weft_distillation *d, const float *student, const float *teacher,
			    const float *hidden[2], unsigned int width, const int32_t *label)
{
	double loss = 0;

	for (unsigned int n = 0; n < BATCH; n++) {
		const float *s = student + n * CLASSES, *t = teacher + n * CLASSES;

		if (label[n] >= 0)
			loss -= ((double)d->label * log_softmax(s, (unsigned int)label[n], 1) +
				 (double)d->teacher_label * log_softmax(t, (unsigned int)label[n], 1)) /
				BATCH;
		for (unsigned int c = 0; c < CLASSES; c++)
			loss -= (double)(d->teacher * d->temperature * d->temperature) *
				exp(log_softmax(t, c, (double)d->temperature)) *
				log_softmax(s, c, (double)d->temperature) / BATCH;
		for (unsigned int c = 0; n < BATCH / 2 && c < CLASSES; c++) {
			double apart = exp(log_softmax(s, c, 1)) - exp(log_softmax(s + BATCH / 2 * CLASSES, c, 1));

			loss += (double)d->neighbour_weight * apart * apart / (BATCH / 2);
		}
	}
	for (unsigned int i = 0; hidden[0] && i < BATCH * width; i++) {
		double apart = (double)hidden[0][i] - (double)hidden[1][i];

		loss += (double)d->hidden_weight * apart * apart / (BATCH * width);
	}
	return loss;
}

static void test_distillation(void **unused)
{
	static const struct weft_distillation cases[] = {
		{.teacher_label = 1, .teacher = 0.1f, .label = 1, .temperature = 1},
		{.teacher = 0.7f, .label = 0.3f, .temperature = 4},
		{.label = 1, .temperature = 1, .hidden_weight = 0.5f, .hidden = 1},
		{.teacher = 1, .temperature = 2, .neighbour_weight = 2},
		{.teacher_label = 0.5f,
		 .teacher = 1,
		 .label = 0.2f,
		 .temperature = 3,
		 .hidden = 1,
		 .hidden_weight = 1,
		 .neighbour_weight = 1},
	};
	const struct weft_hidden_pair pair = {"projection/hidden1", "hidden"};
	static const char *const frozen[] = {"teacher0/*"};

	(void)unused;
	for (unsigned int i = 0; i < 2 * sizeof(cases) / sizeof(cases[0]); i++) {
		struct weft_distillation d = cases[i / 2];
		struct weft_tuning tuning = {.distillation = &d, .freeze = frozen, .freezes = i % 2};
		struct weft_graph_options options = {.batch = BATCH,
						     .training = true,
						     .gradients_as_outputs = true,
						     .loss = WEFT_LOSS_DISTILL,
						     .tuning = &tuning};
		struct weft_model *student = projection(4, 5), *teacher = trainer(4), *joint;
		const struct weft_model *teachers[] = {teacher};
		const float *hidden[2] = {NULL, NULL};
		struct weft_graph *graph;
		struct run_graph *run;
		double expected;

		d.teachers = 1;
		d.both_ways = true;
		must(weft_models_join(student, teachers, 1, &pair, d.hidden, &joint));
		must(weft_model_graph(joint, &options, &graph));
		run = run_graph_new(graph);
		fill_input(run, graph);
		fill_labels(run, graph, true);
		run_graph_step(run);
		for (unsigned int h = 0; d.hidden && h < 2; h++)
			hidden[h] = run_graph_memory(run, graph->model_output[2 + h]);
		expected = expected_loss(&d, run_graph_memory(run, graph->model_output[0]),
					 run_graph_memory(run, graph->model_output[1]), hidden, 4,
					 run_graph_memory(run, graph->label));
		assert_true(fabs(expected - (double)*(float *)run_graph_memory(run, graph->loss)) <
			    1e-5 * fmax(1, fabs(expected)));
		if (d.teacher_label > 0 || i % 2)
			assert_int_equal(check_gradients(run, graph), i % 2 ? 4 : 6);
		run_graph_free(run);
		weft_graph_free(graph);
		weft_model_free(joint);
		weft_model_free(student);
		weft_model_free(teacher);
	}
}

/* A teacher's scores are targets: nothing of the student draws it, with or without labels of its own. */
static void test_targets(void **unused)
{
	struct weft_model *student = projection(4, 5), *teacher = trainer(4), *joint;
	const struct weft_model *teachers[] = {teacher};
	float gradient[2][80];

	(void)unused;
	must(weft_models_join(student, teachers, 1, NULL, 0, &joint));
	for (unsigned int i = 0; i < 3; i++) {
		struct weft_distillation d = {
			.teacher_label = i < 2, .teacher = i != 1, .temperature = 2, .teachers = 1, .label = 1};
		struct weft_tuning tuning = {.distillation = &d};
		struct weft_graph_options options = {.batch = BATCH,
						     .training = true,
						     .gradients_as_outputs = true,
						     .loss = WEFT_LOSS_DISTILL,
						     .tuning = &tuning};
		struct weft_graph *graph;
		struct run_graph *run;
		weft_id w1;

		must(weft_model_graph(joint, &options, &graph));
		run = run_graph_new(graph);
		fill_input(run, graph);
		fill_labels(run, graph, false);
		run_graph_step(run);
		w1 = find(graph, "teacher0/w1");
		if (i == 2)
			assert_int_equal(graph->value[w1].gradient, WEFT_NO_ID);
		else
			memcpy(gradient[i], run_graph_memory(run, graph->value[w1].gradient), sizeof(gradient[i]));
		run_graph_free(run);
		weft_graph_free(graph);
	}
	assert_memory_equal(gradient[0], gradient[1], sizeof(gradient[0]));
	weft_model_free(joint);
	weft_model_free(student);
	weft_model_free(teacher);
}

/* Scores of @model for the same input. */
static void scores_of(const struct weft_model *model, float scores[BATCH * CLASSES])
{
	struct weft_graph_options options = {.batch = BATCH};
	struct weft_graph *graph;
	struct run_graph *run;

	must(weft_model_graph(model, &options, &graph));
	run = run_graph_new(graph);
	fill_input(run, graph);
	run_graph_step(run);
	memcpy(scores, run_graph_memory(run, graph->model_output[0]), BATCH * CLASSES * sizeof(float));
	run_graph_free(run);
	weft_graph_free(graph);
}

/* A part of a joint model is the model that went in. */
static void test_join(void **unused)
{
	struct weft_model *student = projection(4, 6), *one = trainer(4), *two = trainer(7), *joint, *part;
	const struct weft_model *teachers[] = {one, two}, *all[] = {student, one, two};

	(void)unused;
	must(weft_models_join(student, teachers, 2, NULL, 0, &joint));
	assert_int_equal(joint->proto->graph->n_output, 3);
	assert_int_equal(joint->proto->graph->n_input, 1);
	for (uint32_t i = 0; i < 3; i++) {
		float before[BATCH * CLASSES], after[BATCH * CLASSES];

		must(weft_model_part(joint, i, &part));
		assert_int_equal(part->proto->graph->n_node, all[i]->proto->graph->n_node);
		assert_int_equal(part->proto->graph->n_initializer, all[i]->proto->graph->n_initializer);
		scores_of(all[i], before);
		scores_of(part, after);
		assert_memory_equal(before, after, sizeof(before));
		weft_model_free(part);
	}
	assert_int_equal(weft_model_part(joint, 3, &part), -EINVAL);
	weft_model_free(joint);
	weft_model_free(student);
	weft_model_free(one);
	weft_model_free(two);
}

static void test_refusals(void **unused)
{
	static const struct weft_projection bad[] = {
		{.functions = 0, .bits = 1},
		{.functions = 1, .bits = 0},
		{.functions = 65536, .bits = 65536},
		{.functions = 1, .bits = 1, .taps = 65537},
		{.functions = 1, .bits = 1, .layers = WEFT_PROJECTION_LAYERS + 1},
		{.functions = 1, .bits = 1, .layers = 1},
	};
	struct weft_model *student = projection(4, 7), *teacher = trainer(4), *model;
	const struct weft_model *teachers[] = {teacher};
	struct weft_hidden_pair pair = {"projection/hidden1", "nothing"};
	struct weft_distillation d = {.label = 1, .temperature = 0};
	struct weft_tuning tuning = {.distillation = &d};
	struct weft_graph_options options = {
		.batch = 5, .training = true, .loss = WEFT_LOSS_DISTILL, .tuning = &tuning};
	struct weft_graph *graph;

	(void)unused;
	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(weft_projection_new(&bad[i], &shape, &model), -EINVAL);
	assert_int_equal(weft_models_join(student, teachers, 1, &pair, 1, &model), -ENOENT);
	assert_int_equal(weft_models_join(student, NULL, 0, &pair, 1, &model), -EINVAL);
	/* Another opset. */
	teacher->opset = 12;
	assert_int_equal(weft_models_join(student, teachers, 1, NULL, 0, &model), -EINVAL);
	assert_non_null(strstr(weft_error(), "opset"));
	/* Temperature, outputs that are not there, half a pair of neighbours, nothing to learn. */
	assert_int_equal(weft_model_graph(student, &options, &graph), -EINVAL);
	d = (struct weft_distillation){.label = 1, .temperature = 1, .teachers = 1};
	assert_int_equal(weft_model_graph(student, &options, &graph), -EINVAL);
	d = (struct weft_distillation){.label = 1, .temperature = 1, .neighbour_weight = 1};
	assert_int_equal(weft_model_graph(student, &options, &graph), -EINVAL);
	d = (struct weft_distillation){.temperature = 1};
	assert_int_equal(weft_model_graph(student, &options, &graph), -EINVAL);
	tuning.distillation = NULL;
	assert_int_equal(weft_model_graph(student, &options, &graph), -EINVAL);
	weft_model_free(student);
	weft_model_free(teacher);
}

/* Attributes and inputs of the operators that do not fit. */
static void test_operators(void **unused)
{
	static const struct {
		const char *attribute;
		int64_t value;
		const char *sentence;
	} rows[] = {
		{"functions", 0, "functions"}, {"functions", 65537, "functions"},
		{"bits", -1, "bits"},	       {"bits", 40000, "more than"},
		{"taps", 0, "taps"},	       {"taps", 65537, "taps"},
	};
	struct weft_graph_options options = {.batch = BATCH};
	struct weft_graph *graph;

	(void)unused;
	for (unsigned int i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct weft_model *model = projection(0, 8);
		Onnx__NodeProto *node = model->proto->graph->node[0];

		for (size_t a = 0; a < node->n_attribute; a++)
			if (!strcmp(node->attribute[a]->name, rows[i].attribute))
				node->attribute[a]->i = rows[i].value;
		assert_true(weft_model_graph(model, &options, &graph) < 0);
		assert_non_null(strstr(weft_error(), rows[i].sentence));
		weft_model_free(model);
	}
	{
		struct weft_model *model = projection(0, 8);
		struct weft_network n = {.model = model};

		/* The weights have a row less than there are bits. */
		model->proto->graph->node[0]->attribute[0]->i = 6;
		assert_int_equal(weft_model_graph(model, &options, &graph), -EINVAL);
		model->proto->graph->node[0]->attribute[0]->i = 5;
		/* Bits are no output. */
		weft_network_output(&n, "projection/bits");
		assert_int_equal(weft_model_graph(model, &options, &graph), -EOPNOTSUPP);
		weft_model_free(model);
	}
}

static void fill_features(struct run_graph *run, const struct weft_graph *graph)
{
	int64_t *features = run_graph_memory(run, graph->input[0]);

	for (int64_t i = 0; i < BATCH * 5; i++)
		features[i] = i % 5 > 2 && i % 2 ? -1 : i * 0x123456789abcd % INT64_MAX;
}

/* Scores of a classifier of text, and whether a product of bits and bytes took part. */
static bool text_scores(const struct weft_model *model, float scores[BATCH * CLASSES])
{
	struct weft_graph_options options = {.batch = BATCH};
	struct weft_graph *graph;
	struct run_graph *run;
	bool bytes = false;

	must(weft_model_graph(model, &options, &graph));
	run = run_graph_new(graph);
	fill_features(run, graph);
	run_graph_step(run);
	memcpy(scores, run_graph_memory(run, graph->model_output[0]), BATCH * CLASSES * sizeof(float));
	for (uint32_t i = 0; i < graph->operations; i++)
		bytes |= graph->operation[i].opcode == WEFT_OP_BIT_MATMUL &&
			 graph->value[graph->operation[i].operand[1]].layout.type == WEFT_TYPE_I8;
	run_graph_free(run);
	weft_graph_free(graph);
	return bytes;
}

/* Classifiers of text: gradients, what is absent, and bytes in the place of floats. */
static void test_text(void **unused)
{
	static const enum weft_text_network kinds[] = {WEFT_TEXT_SGNN, WEFT_TEXT_MEAN, WEFT_TEXT_PRADO,
						       WEFT_TEXT_PQRNN};
	static const uint32_t tensors[] = {4, 4, 4 + 8, 4 + 16 + 2};

	(void)unused;
	for (unsigned int k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
		const struct weft_text_projection how = {.kind = kinds[k],
							 .features = "words",
							 .sequence = 5,
							 .classes = CLASSES,
							 .width = 40,
							 .units = 3,
							 .layers = 2,
							 .seed = 12};
		struct weft_graph_options options = {.batch = BATCH,
						     .training = true,
						     .gradients_as_outputs = true,
						     .loss = WEFT_LOSS_CROSS_ENTROPY};
		struct weft_model *model;
		struct weft_graph *graph;
		struct run_graph *run;
		float scores[2][BATCH * CLASSES];
		uint32_t weights;

		must(weft_text_projection_new(&how, &model));
		must(weft_model_graph(model, &options, &graph));
		run = run_graph_new(graph);
		fill_features(run, graph);
		fill_labels(run, graph, false);
		assert_int_equal(check_gradients(run, graph), tensors[k]);
		run_graph_free(run);
		weft_graph_free(graph);
		assert_false(text_scores(model, scores[0]));
		must(weft_model_compact(model, &weights));
		assert_int_equal(weights, tensors[k] / 2);
		assert_int_equal(text_scores(model, scores[1]), kinds[k] == WEFT_TEXT_SGNN);
		for (unsigned int i = 0; i < BATCH * CLASSES; i++)
			assert_true(fabsf(scores[0][i] - scores[1][i]) < 0.02f);
		weft_model_free(model);
	}
}

/* Weights of a convolution along one dimension go into a session and come out as the file has them. */
static void test_weight_order(void **unused)
{
	const struct weft_text_projection how = {.kind = WEFT_TEXT_PRADO,
						 .features = "words",
						 .sequence = 4,
						 .classes = CLASSES,
						 .width = 8,
						 .units = 3,
						 .layers = 2};
	const struct weft_session_options options = {.device_bytes = UINT64_MAX, .host_bytes = UINT64_MAX};
	const struct weft_graph_options graph_options = {.batch = 1};
	struct weft_session_refusal refusal;
	struct weft_session *session;
	struct accel_device *device;
	struct weft_model *model;
	struct weft_graph *graph;
	unsigned int compared = 0;

	(void)unused;
	assert_int_equal(accel_device_open("embedded:mem=4M", &device), 0);
	must(weft_text_projection_new(&how, &model));
	must(weft_model_graph(model, &graph_options, &graph));
	must(weft_session_new(device, graph, &options, &session, &refusal));
	for (size_t i = 0; i < model->proto->graph->n_initializer; i++) {
		const Onnx__TensorProto *tensor = model->proto->graph->initializer[i];
		float value[18], other[18];

		if (tensor->n_dims != 3 || tensor->raw_data.len != sizeof(value))
			continue;
		memcpy(value, tensor->raw_data.data, sizeof(value));
		must(weft_session_read(session, tensor->name, other, sizeof(other)));
		assert_memory_equal(value, other, sizeof(value));
		for (unsigned int e = 0; e < 18; e++)
			value[e] = (float)e;
		must(weft_session_write(session, tensor->name, value, sizeof(value)));
		must(weft_session_read(session, tensor->name, other, sizeof(other)));
		assert_memory_equal(value, other, sizeof(value));
		compared++;
	}
	assert_int_equal(compared, 2);
	weft_session_free(session);
	weft_model_free(model);
	accel_device_unref(device);
}

/* A trainer of text that takes bytes: the mean of their embeddings, and a layer. */
static struct weft_model *byte_trainer(uint32_t sequence)
{
	struct weft_network n;
	struct weft_model *model;
	Onnx__NodeProto *node;

	weft_network_begin(&n, "bytes", 17, 3);
	weft_network_input(&n, "tokens", ONNX__TENSOR_PROTO__DATA_TYPE__INT64, 1, &sequence);
	weft_network_weight(&n, "embedding", 2, (const uint32_t[]){256, 6}, 1);
	weft_network_weight(&n, "layer", 2, (const uint32_t[]){6, 2}, 1);
	weft_network_node(&n, NULL, "Gather", (const char *[]){"embedding", "tokens", NULL}, "bytes");
	node = weft_network_node(&n, NULL, "ReduceMean", (const char *[]){"bytes", NULL}, "mean");
	weft_network_ints(&n, node, "axes", 1, (const int64_t[]){1});
	weft_network_int(&n, node, "keepdims", 0);
	weft_network_node(&n, NULL, "MatMul", (const char *[]){"mean", "layer", NULL}, "scores");
	weft_network_output(&n, "scores");
	must(weft_network_end(&n, &model));
	return model;
}

/* Student and trainer each take their own of a text. */
static void test_text_trainer(void **unused)
{
	static const char text[] = "text,label\nplay the song,a\nwill it rain,b\nplay a tune,a\nis it cold,b\n";
	const struct weft_text_projection how = {
		.kind = WEFT_TEXT_SGNN, .features = "words", .sequence = 5, .classes = 2, .width = 40, .units = 3};
	struct weft_distillation d = {.teacher_label = 1, .teacher = 0.1f, .label = 1, .temperature = 1, .teachers = 1};
	char path[] = "/tmp/weft-trainer-XXXXXX.csv";
	struct weft_train_options options = {.data = path,
					     .dataset = {.sequence = 7, .features = "words", .feature_sequence = 5},
					     .epochs = 40,
					     .batch = 2,
					     .optimizer = WEFT_OPTIMIZER_ADAM,
					     .loss = WEFT_LOSS_DISTILL,
					     .hyper = {0.05f, 0.9f, 0.999f, 1e-8f, 0, 0, 0, 1},
					     .tuning = {.distillation = &d},
					     .session = {.device_bytes = UINT64_MAX, .host_bytes = UINT64_MAX}};
	struct weft_model *student, *teacher = byte_trainer(7), *joint;
	const struct weft_model *teachers[] = {teacher};
	int file = mkstemps(path, 4);
	struct weft_train_result result;
	struct weft_dataset *dataset;
	struct accel_device *device;
	int64_t features[2 * 5];

	(void)unused;
	assert_true(file >= 0);
	/* Every tenth record is for the test. */
	for (unsigned int i = 0; i < 4; i++)
		assert_true(write(file, text + (i ? 11 : 0), sizeof(text) - 1 - (i ? 11 : 0)) > 0);
	close(file);
	must(weft_text_projection_new(&how, &student));
	must(weft_models_join(student, teachers, 1, NULL, 0, &joint));
	assert_int_equal(joint->proto->graph->n_input, 2);
	assert_string_equal(joint->proto->graph->input[1]->name, "teacher0/tokens");
	assert_int_equal(accel_device_open("embedded:mem=4M", &device), 0);
	must(weft_train(device, joint, &options, &result));
	assert_true(result.final_loss < 0.3);
	must(weft_dataset_open_with(path, WEFT_SPLIT_TRAIN, &options.dataset, &dataset));
	must(weft_dataset_read_features(dataset, (const uint64_t[]){0, 4}, 2, features));
	assert_memory_equal(features, features + 5, 5 * sizeof(*features));
	assert_true(features[2] >= 0);
	assert_int_equal(features[3], -1);
	assert_int_equal(weft_dataset_read_features(dataset, (const uint64_t[]){99}, 1, features), -EINVAL);
	weft_dataset_close(dataset);
	/* Features besides tokens need to be said, and one without the other is not there. */
	options.dataset.features = NULL;
	assert_int_equal(weft_dataset_open_with(path, WEFT_SPLIT_TRAIN, &options.dataset, &dataset), -EINVAL);
	options.dataset.feature_sequence = 0;
	must(weft_dataset_open_with(path, WEFT_SPLIT_TRAIN, &options.dataset, &dataset));
	assert_int_equal(weft_dataset_read_features(dataset, (const uint64_t[]){0}, 1, features), -EINVAL);
	weft_dataset_close(dataset);
	unlink(path);
	accel_device_unref(device);
	weft_model_free(joint);
	weft_model_free(student);
	weft_model_free(teacher);
}

/* Texts that are the same are nearest; of several the first. */
static void test_neighbours(void **unused)
{
	static const char text[] = "text,label\nplay the song,a\nwill it rain today,b\nbook a table for two,a\n"
				   "PLAY the song,b\nwill it rain today,a\nbook a table for two,b\nplay the song,a\n";
	static const uint32_t expected[] = {3, 4, 5, 0, 1, 2, 0};
	const struct weft_dataset_options options = {.sequence = 24, .features = "words:1-2,chars:3"};
	char path[] = "/tmp/weft-neighbours-XXXXXX.csv";
	uint32_t neighbour[40] = {0};
	struct weft_dataset *dataset;
	struct accel_device *device;
	int file = mkstemps(path, 4);

	(void)unused;
	assert_true(file >= 0);
	assert_int_equal(write(file, text, sizeof(text) - 1), sizeof(text) - 1);
	close(file);
	assert_int_equal(accel_device_open("embedded:mem=8M", &device), 0);
	must(weft_dataset_open_with(path, WEFT_SPLIT_TRAIN, &options, &dataset));
	must(weft_neighbours(device, dataset, 100, 1, neighbour));
	assert_memory_equal(neighbour, expected, sizeof(expected));
	assert_int_equal(weft_neighbours(device, dataset, 0, 1, neighbour), -EINVAL);
	assert_int_equal(weft_neighbours(device, dataset, 65537, 1, neighbour), -EINVAL);
	weft_dataset_close(dataset);
	unlink(path);

	must(weft_dataset_open("generate:28x28x1,count=40", WEFT_SPLIT_TRAIN, &dataset));
	must(weft_neighbours(device, dataset, 256, 1, neighbour));
	for (uint32_t i = 0; i < 40; i++)
		assert_true(neighbour[i] < 40 && neighbour[i] != i);
	accel_device_unref(device);
	/* No room. */
	assert_int_equal(accel_device_open("embedded:mem=64K", &device), 0);
	assert_true(weft_neighbours(device, dataset, 256, 1, neighbour) < 0);
	accel_device_unref(device);
	weft_dataset_close(dataset);
}

/* Examples without labels, and pairs, are of distillation only, and pairs need an even batch. */
static void test_unlabelled(void **unused)
{
	static const uint32_t neighbour[40] = {1};
	struct weft_distillation d = {.label = 1, .temperature = 1};
	struct weft_train_options options = {.data = "generate:28x28x1,count=40",
					     .epochs = 1,
					     .batch = 8,
					     .loss = WEFT_LOSS_CROSS_ENTROPY,
					     .labelled = 20,
					     .session = {.device_bytes = UINT64_MAX, .host_bytes = UINT64_MAX}};
	const struct weft_projection_shape pictures = {.rank = 3, .dims = {1, 28, 28}, .classes = 10};
	const struct weft_projection how = {.functions = 4, .bits = 4};
	struct weft_train_result result;
	struct accel_device *device;
	struct weft_model *model;
	double all, some;

	(void)unused;
	assert_int_equal(accel_device_open("embedded:mem=4M", &device), 0);
	must(weft_projection_new(&how, &pictures, &model));
	assert_int_equal(weft_train(device, model, &options, &result), -EINVAL);
	assert_non_null(strstr(weft_error(), "without a label"));
	options.loss = WEFT_LOSS_DISTILL;
	options.tuning.distillation = &d;
	must(weft_train(device, model, &options, &result));
	some = result.final_loss;
	options.labelled = 0;
	must(weft_train(device, model, &options, &result));
	all = result.final_loss;
	/* Half of the examples add nothing: the learning rate is 0. */
	assert_true(some > 0.3 * all && some < 0.7 * all);
	options.neighbour = neighbour;
	must(weft_train(device, model, &options, &result));
	assert_int_equal(result.steps, 10);
	options.batch = 7;
	assert_int_equal(weft_train(device, model, &options, &result), -EINVAL);
	assert_non_null(strstr(weft_error(), "pairs"));
	weft_model_free(model);
	accel_device_unref(device);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forward),	     cmocka_unit_test(test_gradients),
		cmocka_unit_test(test_distillation), cmocka_unit_test(test_targets),
		cmocka_unit_test(test_join),	     cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_operators),    cmocka_unit_test(test_text),
		cmocka_unit_test(test_weight_order), cmocka_unit_test(test_text_trainer),
		cmocka_unit_test(test_neighbours),   cmocka_unit_test(test_unlabelled),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
