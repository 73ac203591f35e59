// SPDX-License-Identifier: MIT
/* The training loop. */
#include "weft/train.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "adapter.h"
#include "feed.h"
#include "graph/graph.h"
#include "schedule.h"
#include "snapshot.h"
#include "state.h"
#include "usage.h"
#include "weft/error.h"

struct run {
	struct accel_device *device;
	const struct weft_model *model;
	const struct weft_train_options *options;
	struct weft_train_result *result;
	struct weft_dataset *train, *test;
	uint64_t examples, epoch_steps;
	uint8_t *labelled; /* per training example; NULL: all are */
	struct weft_train_state state;
	struct weft_train_progress progress;
	struct weft_session *session;
	struct weft_feed feed;
	uint64_t session_steps; /* that this session has run */
	double began;
	char folder[512]; /* of the checkpoint */
	bool temporary;	  /* the folder goes when the run ends */
	bool saved;	  /* there is a checkpoint to continue from */
	uint64_t saved_step;
};

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static void in_folder(const struct run *run, const char *name, char path[600])
{
	snprintf(path, 600, "%s/%s", run->folder, name);
}

/* The folder for results, or one that lives as long as the run. */
static int make_folder(struct run *run)
{
	const struct weft_train_options *options = run->options;
	const char *parent = options->session.storage_dir ? options->session.storage_dir : getenv("TMPDIR");

	if (options->out) {
		if ((size_t)snprintf(run->folder, sizeof(run->folder), "%s", options->out) >= sizeof(run->folder))
			return weft_fail(ENAMETOOLONG, "%.64s...: the path is too long", options->out);
		if (mkdir(run->folder, 0777) && errno != EEXIST)
			return weft_fail(errno, "%s: no directory for the results can be made there: %m", run->folder);
		return 0;
	}
	if ((size_t)snprintf(run->folder, sizeof(run->folder), "%s/weft-train-XXXXXX",
			     parent && *parent ? parent : "/tmp") >= sizeof(run->folder))
		return weft_fail(ENAMETOOLONG, "%.64s...: the path is too long", parent);
	if (!mkdtemp(run->folder))
		return weft_fail(
			errno,
			"%s: no temporary directory for checkpoints: %m; set TMPDIR, or give a directory for results",
			run->folder);
	run->temporary = true;
	return 0;
}

static int save(struct run *run)
{
	char *note = weft_train_state_write(run->options, &run->state);
	char path[600];
	int result;

	if (!note)
		return weft_fail(ENOMEM, "out of memory");
	in_folder(run, "checkpoint", path);
	result = weft_session_save(run->session, path, note, strlen(note));
	free(note);
	if (result)
		return weft_fail_in(result, "checkpoint %s", path);
	run->saved = true;
	run->saved_step = run->progress.step;
	return 0;
}

static int load(struct run *run, bool with_state)
{
	size_t bytes = 0;
	void *note = NULL;
	char path[600];
	int result;

	in_folder(run, "checkpoint", path);
	result = weft_session_load(run->session, path, &note, &bytes);
	if (!result && with_state)
		result = weft_train_state_read(note, bytes, run->options, &run->state);
	free(note);
	return result ? weft_fail_in(result, "checkpoint %s", path) : 0;
}

static void graph_options(const struct run *run, struct weft_graph_options *graph)
{
	const struct weft_train_options *options = run->options;
	struct weft_dataset_info info;

	weft_dataset_info(run->train, &info);
	*graph = (struct weft_graph_options){
		.batch = options->batch,
		.training = true,
		.loss = options->loss,
		.optimizer = options->optimizer,
		.dim_names = options->dim_names,
		.dim_values = options->dim_values,
		.dims = options->dims,
		.sequence = info.sequence,
		.without_pass = options->without_pass,
		.without_passes = options->without_passes,
		.tuning = &options->tuning,
	};
}

static int open_session(struct run *run)
{
	const struct weft_train_options *options = run->options;
	struct weft_graph_options how;
	struct weft_graph *graph;
	int result;

	graph_options(run, &how);
	result = weft_model_graph(run->model, &how, &graph);

	if (result)
		return result;
	result = weft_session_new(run->device, graph, &options->session, &run->session, &run->result->refusal);
	if (result) {
		run->session = NULL;
		return result;
	}
	run->session_steps = 0;
	result = weft_session_hyper(run->session, options->hyper);
	if (!result)
		result = weft_feed_init(&run->feed, run->session, run->train);
	return result;
}

static int close_session(struct run *run)
{
	struct weft_session_usage usage;
	int result = weft_session_usage(run->session, &usage);

	if (!result)
		weft_usage_add(&run->result->usage, &usage, run->progress.run_steps - run->session_steps,
			       run->session_steps);
	weft_feed_done(&run->feed);
	weft_session_free(run->session);
	run->session = NULL;
	return result;
}

static uint32_t accumulate(const struct run *run)
{
	return run->options->tuning.accumulate > 1 ? run->options->tuning.accumulate : 1;
}

/* Whether the model is to be judged where training stands. */
static bool evaluation_is_due(const struct run *run)
{
	uint32_t every = run->options->evaluate_every;

	return run->progress.step && (!run->state.epoch_step || (every && !(run->progress.step % every)));
}

/* The learning rate of step @step, from 0. */
static float rate_of(const struct run *run, uint64_t step)
{
	const struct weft_train_options *options = run->options;
	uint64_t every = accumulate(run), epoch = run->epoch_steps / every;
	double factor = weft_schedule_factor(&options->schedule, step / every, epoch * options->epochs, epoch);

	return (float)((double)options->hyper[WEFT_HYPER_LR] * factor);
}

static int set_rate(struct run *run)
{
	float hyper[WEFT_HYPERS];

	memcpy(hyper, run->options->hyper, sizeof(hyper));
	hyper[WEFT_HYPER_LR] = rate_of(run, run->progress.step);
	run->progress.learning_rate = (double)hyper[WEFT_HYPER_LR];
	return weft_session_hyper(run->session, hyper);
}

static int check_options(const struct weft_train_options *options)
{
	const struct weft_schedule *schedule = &options->schedule;
	const struct weft_tuning *tuning = &options->tuning;

	if (!options->epochs)
		return weft_fail(EINVAL, "0 epochs were asked for; at least 1 is needed");
	if (!(tuning->label_smoothing >= 0 && tuning->label_smoothing < 1))
		return weft_fail(EINVAL, "label smoothing of %g; it is a share from 0 to below 1",
				 (double)tuning->label_smoothing);
	if (tuning->label_smoothing > 0 && options->loss != WEFT_LOSS_CROSS_ENTROPY)
		return weft_fail(EINVAL, "label smoothing is of cross-entropy, and the loss is another");
	if (!(tuning->clip_norm >= 0) || isinf(tuning->clip_norm))
		return weft_fail(EINVAL, "clipping to a norm of %g; expected a positive number",
				 (double)tuning->clip_norm);
	if (schedule->kind != WEFT_SCHEDULE_CONSTANT && !(schedule->factor >= 0 && schedule->factor <= 1))
		return weft_fail(EINVAL, "a learning rate that falls by a factor of %g; expected 0 to 1",
				 schedule->factor);
	return 0;
}

/* Training examples that a step draws: neighbours come on top. */
static uint32_t step_examples(const struct run *run)
{
	uint32_t batch = run->options->batch;

	return run->options->neighbour && batch > 1 ? batch / 2 : batch;
}

/* A permutation that no epoch has picks those that keep their labels. */
static int choose_labelled(struct run *run)
{
	const struct weft_train_options *options = run->options;
	struct weft_shuffle shuffle = {run->examples, options->session.seed, UINT64_MAX};

	if (options->neighbour && options->batch % 2)
		return weft_fail(EINVAL, "a batch of %u cannot be cut into pairs of neighbours", options->batch);
	if (!options->labelled)
		return 0;
	if (options->loss != WEFT_LOSS_DISTILL)
		return weft_fail(EINVAL, "only the loss of distillation takes examples without a label");
	run->labelled = calloc(run->examples, 1);
	if (!run->labelled)
		return weft_fail(ENOMEM, "out of memory");
	for (uint64_t i = 0; i < options->labelled && i < run->examples; i++)
		run->labelled[weft_shuffle_at(&shuffle, i)] = 1;
	return 0;
}

/* The step's examples, in their places. */
static int fill(struct run *run)
{
	const struct weft_train_options *options = run->options;
	struct weft_shuffle shuffle = {run->examples, options->session.seed, run->state.epoch};
	uint32_t drawn = step_examples(run);
	uint64_t first = run->state.epoch_step * drawn;
	int result;

	for (uint32_t i = 0; i < drawn; i++)
		run->feed.index[i] = weft_shuffle_at(&shuffle, first + i);
	for (uint32_t i = drawn; i < options->batch; i++)
		run->feed.index[i] = options->neighbour[run->feed.index[i - drawn]];
	result = weft_feed_fill(&run->feed);
	for (uint32_t i = 0; i < options->batch && run->labelled && !result; i++)
		if (!run->labelled[run->feed.index[i]])
			run->feed.labels[i] = -1;
	return result;
}

static int start(struct run *run)
{
	const struct weft_train_options *options = run->options;
	struct weft_dataset_info info;
	char path[600];
	struct weft_dataset_options dataset = options->dataset;
	int result = weft_dataset_options_for(run->model, &dataset);

	if (!result)
		result = weft_dataset_open_with(options->data, WEFT_SPLIT_TRAIN, &dataset, &run->train);
	if (!result)
		result = weft_dataset_open_with(options->data, WEFT_SPLIT_TEST, &dataset, &run->test);
	if (result)
		return result;
	weft_dataset_info(run->train, &info);
	run->examples = info.examples;
	run->epoch_steps = options->batch ? info.examples / step_examples(run) : 0;
	result = choose_labelled(run);
	if (result)
		return result;
	/* Updates do not reach over the end of an epoch. */
	run->epoch_steps -= run->epoch_steps % accumulate(run);
	if (!run->epoch_steps)
		return weft_fail(EINVAL, "%u steps with a batch of %u, but data set %s has %llu training examples",
				 accumulate(run), options->batch, info.name, (unsigned long long)info.examples);
	result = open_session(run);
	if (!result)
		result = make_folder(run);
	if (result)
		return result;
	in_folder(run, "checkpoint", path);
	if (options->resume) {
		if (!access(path, F_OK)) {
			result = load(run, true);
			run->saved = true;
		} else if (options->observer.note) {
			options->observer.note(options->observer.user,
					       "no checkpoint yet: training starts from the beginning");
		}
	}
	if (!result && (run->state.epoch_step >= run->epoch_steps || run->state.epoch > options->epochs))
		result = weft_fail(EINVAL,
				   "%s: the checkpoint is of %u epochs and %llu steps, beyond the %u epochs of %llu "
				   "steps asked for",
				   path, run->state.epoch, (unsigned long long)run->state.epoch_step, options->epochs,
				   (unsigned long long)run->epoch_steps);
	run->progress.step = run->state.epoch * run->epoch_steps + run->state.epoch_step;
	if (!result && options->out) {
		/* Where a checkpoint stands at an evaluation, that may be missing, and is made again. */
		in_folder(run, "metrics.jsonl", path);
		result = weft_metrics_trim(path, run->progress.step + !evaluation_is_due(run));
	}
	if (run->progress.step)
		run->progress.learning_rate = (double)rate_of(run, run->progress.step - 1);
	run->saved_step = run->progress.step;
	return result;
}

static int not_a_number(const struct run *run, float loss)
{
	char rest[700] = "";

	if (run->saved && run->options->out)
		snprintf(rest, sizeof(rest), "; %s/checkpoint holds step %llu", run->folder,
			 (unsigned long long)run->saved_step);
	return weft_fail(EDOM,
			 "step %llu (epoch %u): the loss is %f. Try a lower learning rate (it is %g), or look for "
			 "values out of range in the data%s",
			 (unsigned long long)run->progress.step + 1, run->state.epoch + 1, (double)loss,
			 run->progress.learning_rate, rest);
}

static int step(struct run *run)
{
	const struct weft_train_options *options = run->options;
	const struct weft_graph *graph = weft_session_graph(run->session);
	/* The second step: caches are warm then. */
	uint64_t left = (uint64_t)options->epochs * run->epoch_steps - run->progress.step;
	bool traced = options->observer.traced && run->progress.run_steps == (run->progress.run_steps + left > 1);
	struct weft_augmentation augmentation = options->augmentation;
	float loss, norm = NAN;
	int result;

	augmentation.seed = options->session.seed;
	augmentation.epoch = run->state.epoch;
	run->feed.augmentation = augmentation.flip || augmentation.crop ? &augmentation : NULL;
	result = fill(run);
	if (!result)
		result = set_rate(run);
	if (!result && traced)
		result = weft_session_trace(run->session, true);
	if (!result)
		result = weft_session_step(run->session);
	if (!result)
		result = weft_session_output(run->session, graph->value[graph->loss].name, &loss, sizeof(loss));
	if (!result && options->tuning.clip_norm > 0)
		result = weft_session_output(run->session, "weft.gradient_norm", &norm, sizeof(norm));
	if (result)
		return weft_fail_in(result, "step %llu", (unsigned long long)run->progress.step + 1);
	if (!isfinite(loss))
		return not_a_number(run, loss);
	run->session_steps++;
	run->state.epoch_step++;
	run->state.loss_sum += (double)loss;
	run->progress.epoch = run->state.epoch;
	run->progress.step++;
	run->progress.run_steps++;
	run->progress.epoch_step = run->state.epoch_step;
	run->progress.loss = loss;
	run->progress.gradient_norm = (double)norm;
	run->progress.epoch_loss = run->state.loss_sum / (double)run->state.epoch_step;
	run->progress.seconds = now() - run->began;
	if (traced) {
		result = options->observer.traced(options->observer.user, run->session);
		if (!result)
			result = weft_session_trace(run->session, false);
	}
	if (!result && options->observer.step)
		options->observer.step(options->observer.user, &run->progress);
	return result;
}

static bool is_done(const struct run *run)
{
	return run->state.epoch >= run->options->epochs ||
	       (run->options->patience && run->state.waited >= run->options->patience);
}

/* Steps until an evaluation is due; result->stopped where asked to stop before. */
static int steps(struct run *run)
{
	const struct weft_train_options *options = run->options;
	int result;

	for (;;) {
		result = step(run);
		if (result)
			return result;
		if (run->state.epoch_step == run->epoch_steps) {
			run->state.last_loss = run->state.loss_sum / (double)run->epoch_steps;
			run->state.loss_sum = 0;
			run->state.epoch_step = 0;
			run->state.epoch++;
		}
		if (evaluation_is_due(run))
			return options->out || !is_done(run) ? save(run) : 0;
		if (options->stop && *options->stop) {
			run->result->stopped = true;
			return options->out ? save(run) : 0;
		}
		if (options->out && options->checkpoint_every && !(run->progress.step % options->checkpoint_every)) {
			result = save(run);
			if (result)
				return result;
		}
	}
}

static int save_adapter(struct run *run, struct weft_snapshot *snapshot)
{
	struct weft_graph_options options;
	struct weft_graph *graph;
	char path[600];
	int result;

	if (!run->options->tuning.lora_rank)
		return 0;
	graph_options(run, &options);
	result = weft_model_graph(run->model, &options, &graph);
	if (result)
		return result;
	in_folder(run, "adapter.safetensors", path);
	result = weft_adapter_save(graph, path, weft_snapshot_read, snapshot);
	weft_graph_free(graph);
	return result;
}

static int save_models(struct run *run, struct weft_snapshot *snapshot)
{
	char path[600];
	int result;

	in_folder(run, "model.onnx", path);
	result = weft_model_save_onnx(run->model, path, weft_snapshot_read, snapshot);
	if (!result) {
		in_folder(run, "model.safetensors", path);
		result = weft_model_save_safetensors(run->model, path, weft_snapshot_read, snapshot);
	}
	return result ? result : save_adapter(run, snapshot);
}

/* Whether the weights that were judged are those that training leaves, as far as it is known. */
static bool note_evaluation(struct run *run, const struct weft_evaluation *evaluation, const char *digest)
{
	struct weft_train_state *state = &run->state;
	bool best = !run->options->patience || !state->best_step || evaluation->loss < state->best_loss;

	state->waited = best ? 0 : state->waited + 1;
	if (!best)
		return false;
	state->best_step = run->progress.step;
	state->best_loss = evaluation->loss;
	state->best_accuracy = evaluation->accuracy;
	snprintf(state->best_sha256, sizeof(state->best_sha256), "%s", digest);
	return run->options->patience || run->state.epoch >= run->options->epochs;
}

/* The session ends, and its weights are judged in its place; those that training leaves go to disk. */
static int evaluate(struct run *run)
{
	const struct weft_train_options *options = run->options;
	struct weft_session_refusal refusal;
	struct weft_snapshot snapshot = {0};
	struct weft_value_source source = {weft_snapshot_read, &snapshot};
	struct weft_evaluation_options how = {.batch = options->batch,
					      .loss = options->loss,
					      .source = &source,
					      .dim_names = options->dim_names,
					      .dim_values = options->dim_values,
					      .dims = options->dims,
					      .without_pass = options->without_pass,
					      .without_passes = options->without_passes};
	struct weft_evaluation evaluation;
	struct weft_graph_options shape;
	char path[600], digest[65];
	int result = weft_session_digest(run->session, digest);

	graph_options(run, &shape);
	if (!result)
		result = weft_snapshot_take(&snapshot, run->model, run->session, &shape);
	if (!result)
		result = close_session(run);
	if (!result) {
		result = weft_evaluate(run->device, run->model, &options->session, run->test, &how, &evaluation,
				       &refusal);
		if (result == -ENOSPC)
			run->result->refusal = refusal;
	}
	if (!result && note_evaluation(run, &evaluation, digest) && options->out)
		result = save_models(run, &snapshot);
	weft_snapshot_free(&snapshot);
	if (result)
		return result;
	weft_usage_peaks(&run->result->usage, &evaluation.usage);
	run->progress.epoch = run->state.epoch;
	run->progress.epoch_step = run->state.epoch_step;
	run->progress.epoch_loss =
		run->state.epoch_step ? run->state.loss_sum / (double)run->state.epoch_step : run->state.last_loss;
	run->progress.test_accuracy = evaluation.accuracy;
	run->progress.test_loss = evaluation.loss;
	run->progress.seconds = now() - run->began;
	if (options->out) {
		in_folder(run, "metrics.jsonl", path);
		result = weft_metrics_append(path, &run->progress);
	}
	if (!result && options->observer.epoch)
		options->observer.epoch(options->observer.user, &run->progress);
	return result;
}

static int train(struct run *run)
{
	bool due = evaluation_is_due(run);
	int result;

	do {
		if (!run->session) {
			result = open_session(run);
			if (!result)
				result = load(run, false);
			if (result)
				return result;
		}
		if (!due) {
			result = steps(run);
			if (result)
				return result;
			if (run->result->stopped)
				return weft_session_digest(run->session, run->result->weights_sha256);
		}
		due = false;
		result = evaluate(run);
		if (result)
			return result;
	} while (!is_done(run));
	memcpy(run->result->weights_sha256, run->state.best_sha256, sizeof(run->result->weights_sha256));
	run->result->early = run->state.epoch < run->options->epochs;
	run->progress.test_accuracy = run->state.best_accuracy;
	run->progress.test_loss = run->state.best_loss;
	run->result->best_step = run->state.best_step;
	return 0;
}

static void finish(struct run *run)
{
	if (run->session)
		close_session(run);
	free(run->labelled);
	weft_dataset_close(run->train);
	weft_dataset_close(run->test);
	if (run->temporary) {
		char path[600];

		in_folder(run, "checkpoint", path);
		unlink(path);
		rmdir(run->folder);
	}
}

int weft_train(struct accel_device *device, const struct weft_model *model, const struct weft_train_options *options,
	       struct weft_train_result *result)
{
	struct run run = {.device = device, .model = model, .options = options, .result = result, .began = now()};
	int status;

	memset(result, 0, sizeof(*result));
	status = check_options(options);
	if (status)
		return status;
	run.progress.epochs = options->epochs;
	run.progress.batch = options->batch;
	run.progress.test_accuracy = run.progress.test_loss = NAN;
	status = start(&run);
	run.progress.epoch_steps = run.epoch_steps;
	if (!status)
		status = train(&run);
	result->test_accuracy = run.progress.test_accuracy;
	result->test_loss = run.progress.test_loss;
	result->final_loss = run.state.epoch_step ? run.progress.epoch_loss : run.state.last_loss;
	result->steps = run.progress.step;
	finish(&run);
	return status;
}

int weft_train_micro_batches(struct accel_device *device, const struct weft_model *model,
			     const struct weft_train_options *options, struct weft_micro_batches *found)
{
	struct weft_dataset_options dataset = options->dataset;
	struct run run = {.device = device, .model = model, .options = options};
	struct weft_graph_options how;
	int result;

	if (options->neighbour)
		return weft_fail(EOPNOTSUPP, "batches of neighbours are not cut into parts");
	result = weft_dataset_options_for(model, &dataset);
	if (!result)
		result = weft_dataset_open_with(options->data, WEFT_SPLIT_TRAIN, &dataset, &run.train);
	if (result)
		return result;
	graph_options(&run, &how);
	result = weft_micro_batches_find(device, model, &options->session, &how, found);
	weft_dataset_close(run.train);
	return result;
}
