// SPDX-License-Identifier: MIT
#include "learn.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <accel/commands.h>

#include "graph/graph.h"

#include "weft/error.h"

error_t learn_parse(int key, char *arg, struct argp_state *state, struct learn *learn)
{
	switch (key) {
	case KEY_DATA:
		learn->data = arg;
		return 0;
	case KEY_TEMPERATURE:
		learn->distillation.temperature = (float)argument_number(state, "--temperature", arg, 1e-3, 1e3);
		return 0;
	case KEY_EPOCHS:
		learn->epochs = (uint32_t)argument_whole(state, "--epochs", arg, 1, 1000000);
		return 0;
	case KEY_BATCH:
		learn->batch = argument_batch(state, arg);
		return 0;
	case KEY_LR:
		learn->lr = argument_number(state, "--lr", arg, 0, 1e6);
		return 0;
	case KEY_OUT:
		learn->out = arg;
		return 0;
	case KEY_QUIET:
		learn->quiet = true;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/** Examples of a step of the test, and steps of the measurement of one inference. */
#define TEST_BATCH 256
#define MEASURED_STEPS 200

static void on_step(void *user, const struct weft_train_progress *progress)
{
	progress_step(&((struct learn *)user)->progress, progress);
}

static void on_epoch(void *user, const struct weft_train_progress *progress)
{
	progress_epoch(&((struct learn *)user)->progress, progress);
}

static void remove_folder(const char *folder)
{
	static const char *const left[] = {"model.onnx", "model.safetensors", "metrics.jsonl", "checkpoint"};
	char path[640];

	for (size_t i = 0; i < sizeof(left) / sizeof(left[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", folder, left[i]);
		unlink(path);
	}
	rmdir(folder);
}

static void training_options(struct learn *learn, const char *folder, struct weft_train_options *how)
{
	static const char *const frozen[] = {"teacher*"};

	*how = (struct weft_train_options){
		.data = learn->data,
		.dataset = learn->dataset,
		.epochs = learn->epochs,
		.batch = learn->batch,
		.optimizer = WEFT_OPTIMIZER_ADAM,
		.loss = WEFT_LOSS_DISTILL,
		.schedule = {.kind = WEFT_SCHEDULE_COSINE},
		.labelled = learn->labelled,
		.session = *learn->session,
		.out = folder,
		.observer = {.user = learn, .step = on_step, .epoch = on_epoch},
	};
	how->hyper[WEFT_HYPER_LR] = (float)learn->lr;
	how->hyper[WEFT_HYPER_BETA1] = 0.9f;
	how->hyper[WEFT_HYPER_BETA2] = 0.999f;
	how->hyper[WEFT_HYPER_EPSILON] = 1e-8f;
	how->hyper[WEFT_HYPER_GRADIENT_SCALE] = 1;
	how->session.seed = learn->seed;
	how->tuning.distillation = &learn->distillation;
	if (learn->frozen && learn->distillation.teachers) {
		how->tuning.freeze = frozen;
		how->tuning.freezes = 1;
	}
}

/* Bits of the projection that finds neighbours. */
#define NEIGHBOUR_BITS 256

static int find_neighbours(struct learn *learn, uint32_t **neighbour)
{
	struct weft_dataset_info info;
	struct weft_dataset *train;
	int r = weft_dataset_open_with(learn->data, WEFT_SPLIT_TRAIN, &learn->dataset, &train);

	if (r)
		return r;
	r = weft_dataset_info(train, &info);
	if (!r) {
		*neighbour = calloc(info.examples, sizeof(**neighbour));
		r = *neighbour ? weft_neighbours(learn->device, train, NEIGHBOUR_BITS, learn->seed, *neighbour)
			       : weft_fail(ENOMEM, "out of memory");
	}
	weft_dataset_close(train);
	return r;
}

static int train_joint(struct learn *learn, const struct weft_model *joint, struct weft_model **trained)
{
	struct weft_train_options how;
	struct weft_train_result result;
	uint32_t *neighbour = NULL;
	char folder[600], path[640];
	int r = learn->distillation.neighbour_weight > 0 ? find_neighbours(learn, &neighbour) : 0;

	if (r) {
		free(neighbour);
		return r;
	}
	if ((size_t)snprintf(folder, sizeof(folder), "%s.XXXXXX", learn->out) >= sizeof(folder))
		r = weft_fail(ENAMETOOLONG, "%.64s...: the name of the result is too long", learn->out);
	else if (!mkdtemp(folder))
		r = weft_fail(errno, "%s: no directory can be made there: %m", folder);
	if (r) {
		free(neighbour);
		return r;
	}
	training_options(learn, folder, &how);
	how.neighbour = neighbour;
	progress_init(&learn->progress, learn->quiet);
	r = weft_train(learn->device, joint, &how, &result);
	progress_clear(&learn->progress);
	free(neighbour);
	learn->refusal = result.refusal;
	learn->usage = result.usage;
	snprintf(path, sizeof(path), "%s/model.onnx", folder);
	if (!r)
		r = weft_model_load(path, trained);
	remove_folder(folder);
	return r;
}

int learn_train(struct learn *learn, const struct weft_model *student, const struct weft_model *const *teacher,
		uint32_t teachers, struct weft_model **trained, struct weft_model **trained_teacher)
{
	struct weft_model *joint = NULL, *all = NULL;
	struct weft_model_info info;
	int r = weft_model_info(student, &info);

	if (r)
		return r;
	learn->parameters = info.parameter_elements;

	learn->distillation.teachers = teachers;
	learn->distillation.hidden = learn->pairs;
	r = weft_models_join(student, teacher, teachers, learn->pair, learn->pairs, &joint);
	if (!r)
		r = train_joint(learn, joint, &all);
	if (!r)
		r = weft_model_part(all, 0, trained);
	if (!r && trained_teacher) {
		r = weft_model_part(all, 1, trained_teacher);
		if (r) {
			weft_model_free(*trained);
			*trained = NULL;
		}
	}
	weft_model_free(joint);
	weft_model_free(all);
	return r;
}

static uint64_t count_operations(const struct learn *learn, const struct weft_graph *graph)
{
	uint64_t operations = 0;

	for (uint32_t i = 0; i < graph->operations; i++) {
		uint64_t address[WEFT_MAX_OPERANDS];
		union accel_command command;
		struct accel_cost cost;

		/* Anywhere, but apart. */
		for (unsigned int o = 0; o < WEFT_MAX_OPERANDS; o++)
			address[o] = (uint64_t)(o + 1) << 40;
		weft_operation_command(graph, &graph->operation[i], address, &command.header);
		if (!accel_device_cost(learn->device, &command.header, &cost))
			operations += cost.operations;
	}
	return operations;
}

/* One example at a time; what it is does not matter. */
static int measure_one(struct learn *learn, const struct weft_model *model, const struct weft_dataset_info *info,
		       struct learn_measure *measure)
{
	const struct weft_graph_options how = {
		.batch = 1, .loss = WEFT_LOSS_NONE, .sequence = info->sequence, .fixed_weights = true};
	struct weft_session_usage usage;
	struct weft_session *session;
	struct weft_graph *graph;
	int r = weft_model_graph(model, &how, &graph);

	if (r)
		return r;
	measure->operations = count_operations(learn, graph);
	r = weft_session_new(learn->device, graph, learn->session, &session, &learn->refusal);
	if (r)
		return r;
	for (unsigned int i = 0; i < MEASURED_STEPS && !r; i++)
		r = weft_session_step(session);
	if (!r)
		r = weft_session_usage(session, &usage);
	weft_session_free(session);
	if (r)
		return r;
	measure->seconds = usage.step_seconds;
	measure->joules = usage.energy_joules / MEASURED_STEPS;
	return 0;
}

int learn_measure(struct learn *learn, const struct weft_model *model, const char *path, struct learn_measure *measure)
{
	const struct weft_evaluation_options how = {.batch = TEST_BATCH};
	struct weft_evaluation evaluation;
	struct weft_dataset_info info;
	struct weft_dataset *test;
	struct stat status;
	int r = weft_dataset_open_with(learn->data, WEFT_SPLIT_TEST, &learn->dataset, &test);

	*measure = (struct learn_measure){0};
	if (r)
		return r;
	r = weft_dataset_info(test, &info);
	if (!r)
		r = weft_evaluate(learn->device, model, learn->session, test, &how, &evaluation, &learn->refusal);
	weft_dataset_close(test);
	if (!r)
		r = measure_one(learn, model, &info, measure);
	if (r)
		return r;
	measure->accuracy = evaluation.accuracy;
	measure->loss = evaluation.loss;
	if (path && !stat(path, &status))
		measure->bytes = (uint64_t)status.st_size;
	return 0;
}
