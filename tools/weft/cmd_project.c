// SPDX-License-Identifier: MIT
/* weft project: a network of projections to bits, trained beside a trainer or alone. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "data_options.h"
#include "json.h"
#include "learn.h"
#include "project_sweep.h"
#include "sizes.h"
#include "weft/error.h"

enum {
	KEY_FUNCTIONS = KEY_LEARN_END,
	KEY_BITS,
	KEY_TAPS,
	KEY_HIDDEN,
	KEY_ALONE,
	KEY_LAMBDA,
	KEY_LABELLED,
	KEY_NEIGHBOURS,
	KEY_SEED,
	KEY_SEEDS,
	KEY_TEXT,
	KEY_LAYERS,
	KEY_FEATURE_LEN,
	KEY_DROPOUT,
	KEY_INT8,
	KEY_SWEEP,
	KEY_CSV,
	KEY_SVG,
	KEY_TRAINER_OUT,
	KEY_JSON,
};

/* Seeds of one configuration. */
#define MOST_SEEDS 99

struct project_arguments {
	struct budget_options budget;
	struct learn learn;
	struct weft_projection projection;
	struct project_sweep sweep; /* what --sweep lists, or the one configuration */
	const char *trainer, *trainer_out, *csv, *svg;
	uint32_t seeds;
	struct weft_text_projection text; /* where is_text: what does not follow from projection */
	bool is_text;
	bool int8;
	bool alone, json;
};

static const struct argp_option options[] = {
	{"data", KEY_DATA, "DIR", 0, "Data set, as of weft train", 1},
	{"functions", KEY_FUNCTIONS, "T", 0, "Projection functions (default: 60)", 1},
	{"bits", KEY_BITS, "D", 0, "Bits of each (default: 12)", 1},
	{"hidden", KEY_HIDDEN, "N[,N...]", 0, "Hidden layers between bits and scores (default: none)", 1},
	{"taps", KEY_TAPS, "N", 0, "Inputs that a bit is the signed sum of (default: 8)", 1},
	{"text", KEY_TEXT, "KIND", 0,
	 "A classifier of text: sgnn (bits of a bag of n-grams), mean (means of hashes), prado "
	 "(attention over convolutions) or pqrnn (quasi-recurrent); T times D is the width of the projection, --hidden "
	 "N that of the layer behind it (64)",
	 1},
	{"layers", KEY_LAYERS, "N", 0, "pqrnn: layers; prado: longest n-gram of words (default: 2)", 1},
	{"feature-len", KEY_FEATURE_LEN, "N", 0,
	 "Of text: features that are looked at; longer texts are cut off (default: 256 of a bag of n-grams, else 32)",
	 1},
	{"dropout", KEY_DROPOUT, "F", 0, "Of text: share of units left out in training (default: 0.3)", 1},
	{"int8", KEY_INT8, NULL, 0, "Write weights as bytes, with a scale for each output channel", 1},
	{"alone", KEY_ALONE, NULL, 0, "No trainer: learn from the labels only", 2},
	{"lambda", KEY_LAMBDA, "A,B,C", 0,
	 "Weights of the loss: trainer and labels, projection and trainer, projection and labels (default: 1,0.1,1)",
	 2},
	{"temperature", KEY_TEMPERATURE, "F", 0,
	 "Softens scores where projection and trainer are compared (default: 1)", 2},
	{"labelled", KEY_LABELLED, "N", 0,
	 "Use the labels of N training examples only; of the others, the projection network learns what the trainer "
	 "says",
	 2},
	{"neighbours", KEY_NEIGHBOURS, "F", 0,
	 "Weight of the squared distance of what the network says of an example and of the one most like it (default: "
	 "0)",
	 2},
	{"epochs", KEY_EPOCHS, "N", 0, "Passes over the training set (default: 10)", 2},
	{"batch", KEY_BATCH, "N", 0, "Examples per step (default: 128)", 2},
	{"lr", KEY_LR, "F", 0, "Learning rate of Adam, which falls to 0 along a cosine (default: 0.003)", 2},
	{"seed", KEY_SEED, "N", 0, "Random vectors, first weights and order of examples (default: 0)", 2},
	{"seeds", KEY_SEEDS, "N", 0,
	 "Train with N seeds, from --seed on, and keep the one of median accuracy (default: 1)", 2},
	{"sweep", KEY_SWEEP, "LIST", 0,
	 "Several networks, T:D or T:D:N (N: hidden layers, with - between them), with commas, for example "
	 "8:10,60:12,60:12:256; paper: the seven of the ProjectionNet paper",
	 3},
	{"csv", KEY_CSV, "FILE", 0, "Write a row for each network", 3},
	{"svg", KEY_SVG, "FILE", 0, "Draw accuracy over size", 3},
	{"out", KEY_OUT, "FILE", 0, "The projection network (default: projection.onnx); of a sweep: the last one", 3},
	{"trainer-out", KEY_TRAINER_OUT, "FILE", 0, "Keep the trainer, too", 3},
	{"json", KEY_JSON, NULL, 0, "Print one JSON object on standard output", 3},
	{"quiet", KEY_QUIET, NULL, 0, "No progress", 3},
	{0},
};

static void parse_lambda(struct argp_state *state, char *text, struct weft_distillation *distillation)
{
	float *const to[] = {&distillation->teacher_label, &distillation->teacher, &distillation->label};
	char *rest = text, *part;

	for (unsigned int i = 0; i < 3; i++) {
		part = strsep(&rest, ",");
		if (!part || (i == 2) != !rest)
			argp_error(state, "--lambda: expected three numbers with commas between them");
		*to[i] = (float)argument_number(state, "--lambda", part, 0, 1e6);
	}
}

static void parse_text(struct argp_state *state, struct project_arguments *a, const char *text)
{
	static const char *const name[] = {
		[WEFT_TEXT_SGNN] = "sgnn",
		[WEFT_TEXT_MEAN] = "mean",
		[WEFT_TEXT_PRADO] = "prado",
		[WEFT_TEXT_PQRNN] = "pqrnn",
	};

	a->is_text = true;
	for (size_t i = 0; i < sizeof(name) / sizeof(name[0]); i++)
		if (!strcmp(name[i], text)) {
			a->text.kind = (enum weft_text_network)i;
			return;
		}
	argp_error(state, "--text %s: expected sgnn, mean, prado or pqrnn", text);
}

/* What of texts becomes features, where nothing is said. */
static void text_defaults(struct project_arguments *a)
{
	bool bag = a->text.kind == WEFT_TEXT_SGNN || a->text.kind == WEFT_TEXT_MEAN;

	if (!a->learn.dataset.features)
		a->learn.dataset.features = bag ? "words:1-2,chars:3-4" : "words";
	if (!a->learn.dataset.feature_sequence)
		a->learn.dataset.feature_sequence = bag ? 256 : 32;
	if (!a->alone)
		return;
	/* Alone, features are all that there is of a text. */
	if (!a->learn.dataset.sequence)
		a->learn.dataset.sequence = a->learn.dataset.feature_sequence;
	a->learn.dataset.feature_sequence = 0;
}

static error_t parse_end(struct argp_state *state, struct project_arguments *a)
{
	if (!a->learn.data)
		argp_error(state, "which data? Give --data DIR");
	if (!a->trainer && !a->alone)
		argp_error(state, "which trainer? Give an ONNX file, or --alone");
	if (a->alone && a->trainer_out)
		argp_error(state, "--trainer-out: there is no trainer with --alone");
	if (a->alone && a->trainer)
		argp_error(state, "%s: --alone is without a trainer", a->trainer);
	if (a->is_text)
		text_defaults(a);
	/* As the paper's loss has it; where labels are few, the trainer learns from them alone. */
	a->learn.distillation.both_ways = !a->learn.labelled;
	if (!a->sweep.count && !project_sweep_add(&a->sweep, &a->projection))
		argp_failure(state, STATUS_FAILED, 0, "out of memory");
	for (uint32_t i = 0; i < a->sweep.count; i++)
		a->sweep.row[i].projection.taps = a->projection.taps;
	return 0;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct project_arguments *a = state->input;

	switch (key) {
	case KEY_FUNCTIONS:
		a->projection.functions = (uint32_t)argument_whole(state, "--functions", arg, 1, 65536);
		return 0;
	case KEY_BITS:
		a->projection.bits = (uint32_t)argument_whole(state, "--bits", arg, 1, 65536);
		return 0;
	case KEY_HIDDEN:
		project_parse_hidden(state, "--hidden", arg, ",", &a->projection);
		return 0;
	case KEY_TAPS:
		a->projection.taps = (uint32_t)argument_whole(state, "--taps", arg, 1, 65536);
		return 0;
	case KEY_ALONE:
		a->alone = true;
		return 0;
	case KEY_LAMBDA:
		parse_lambda(state, arg, &a->learn.distillation);
		return 0;
	case KEY_LABELLED:
		a->learn.labelled = (uint32_t)argument_whole(state, "--labelled", arg, 1, UINT32_MAX);
		return 0;
	case KEY_NEIGHBOURS:
		a->learn.distillation.neighbour_weight = (float)argument_number(state, "--neighbours", arg, 0, 1e6);
		return 0;
	case KEY_SEED:
		a->projection.seed = argument_whole(state, "--seed", arg, 0, UINT64_MAX);
		return 0;
	case KEY_SEEDS:
		a->seeds = (uint32_t)argument_whole(state, "--seeds", arg, 1, MOST_SEEDS);
		return 0;
	case KEY_TEXT:
		parse_text(state, a, arg);
		return 0;
	case KEY_LAYERS:
		a->text.layers = (uint32_t)argument_whole(state, "--layers", arg, 1, 4);
		return 0;
	case KEY_FEATURE_LEN:
		a->learn.dataset.feature_sequence = (uint32_t)argument_whole(state, "--feature-len", arg, 1, 1024);
		return 0;
	case KEY_DROPOUT:
		a->text.dropout = (float)argument_number(state, "--dropout", arg, 0, 0.99);
		return 0;
	case KEY_INT8:
		a->int8 = true;
		return 0;
	case KEY_SWEEP:
		project_parse_sweep(state, arg, &a->sweep);
		return 0;
	case KEY_CSV:
		a->csv = arg;
		return 0;
	case KEY_SVG:
		a->svg = arg;
		return 0;
	case KEY_TRAINER_OUT:
		a->trainer_out = arg;
		return 0;
	case KEY_JSON:
		a->json = true;
		return 0;
	case ARGP_KEY_ARG:
		if (a->trainer)
			argp_error(state, "one trainer at a time: %s and %s", a->trainer, arg);
		a->trainer = arg;
		return 0;
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &a->budget;
		state->child_inputs[1] = &a->learn.dataset;
		return 0;
	case ARGP_KEY_END:
		return parse_end(state, a);
	default:
		return learn_parse(key, arg, state, &a->learn);
	}
}

static const struct argp_child children[] = {
	{&budget_argp, 0, "Device and budgets:", 10}, {&data_argp, 0, "Data:", 8}, {0}};
static const struct argp argp = {
	options,
	parse,
	"[TRAINER.onnx]",
	"Train a projection network (ProjectionNet): bits that are the signs of random projections of the input, "
	"which are drawn from a seed and never stored, and small layers behind them. A trainer, any ONNX model, "
	"learns beside it in the same step, within the same budgets; the projection network alone is written, with "
	"its seed, as one file.\v"
	"EXAMPLES\n"
	"  weft project lenet.onnx --data mnist --functions 60 --bits 12 --hidden 256\n"
	"  weft project --alone --data mnist --sweep paper --seeds 3 --csv table.csv --svg table.svg\n"
	"  weft infer projection.onnx --data mnist\n"
	"  weft project --text sgnn --alone --data intents.csv --functions 1024 --bits 1 --hidden 128 --int8\n"
	"  weft project lstm.onnx --text prado --data intents.csv --vocab words.txt --functions 512 --bits 1\n",
	children,
	NULL,
	NULL,
};

/* What the network takes and gives: the trainer's, or else the data's. */
static int find_shape(struct project_arguments *a, const struct weft_model *trainer,
		      struct weft_projection_shape *shape)
{
	struct weft_dataset_info info;
	struct weft_dataset *data;
	int r;

	if (trainer) {
		r = weft_dataset_options_for(trainer, &a->learn.dataset);
		if (r || !a->is_text)
			return r ? r : weft_projection_shape_of(trainer, shape);
	}
	r = weft_dataset_open_with(a->learn.data, WEFT_SPLIT_TRAIN, &a->learn.dataset, &data);
	if (r)
		return r;
	r = weft_dataset_info(data, &info);
	weft_dataset_close(data);
	if (!r && !info.sequence != !a->is_text)
		r = weft_fail(EINVAL, "data set %s is %sof text: %s --text", info.name, info.sequence ? "" : "not ",
			      info.sequence ? "give" : "leave out");
	*shape = (struct weft_projection_shape){
		.rank = 3, .dims = {info.channels, info.height, info.width}, .classes = info.classes};
	return r;
}

/* The models of one seed. */
struct attempt {
	struct weft_model *model, *trainer;
	struct learn_measure measure, trainer_measure;
};

static void attempt_free(struct attempt *attempt)
{
	weft_model_free(attempt->model);
	weft_model_free(attempt->trainer);
	*attempt = (struct attempt){0};
}

static int new_student(const struct project_arguments *a, const struct weft_projection_shape *shape,
		       const struct weft_projection *projection, struct weft_model **student)
{
	struct weft_text_projection text = a->text;

	if (!a->is_text)
		return weft_projection_new(projection, shape, student);
	text.features = a->learn.dataset.features;
	text.sequence = a->alone ? a->learn.dataset.sequence : a->learn.dataset.feature_sequence;
	text.classes = shape->classes;
	text.width = projection->functions * projection->bits;
	text.units = projection->layers ? projection->hidden[0] : 64;
	text.seed = projection->seed;
	return weft_text_projection_new(&text, student);
}

static int try_seed(struct project_arguments *a, const struct weft_model *trainer,
		    const struct weft_projection_shape *shape, const struct weft_projection *projection,
		    struct attempt *attempt)
{
	struct weft_model *student;
	uint32_t weights;
	int r = new_student(a, shape, projection, &student);

	if (r)
		return r;
	a->learn.seed = projection->seed;
	r = learn_train(&a->learn, student, &trainer, trainer ? 1 : 0, &attempt->model,
			trainer ? &attempt->trainer : NULL);
	weft_model_free(student);
	if (!r && a->int8)
		r = weft_model_compact(attempt->model, &weights);
	if (!r)
		r = weft_model_save(attempt->model, a->learn.out);
	if (!r)
		r = learn_measure(&a->learn, attempt->model, a->learn.out, &attempt->measure);
	if (!r && trainer)
		r = learn_measure(&a->learn, attempt->trainer, NULL, &attempt->trainer_measure);
	return r;
}

static int by_accuracy(const void *a, const void *b)
{
	double x = ((const struct attempt *)a)->measure.accuracy, y = ((const struct attempt *)b)->measure.accuracy;

	return (x > y) - (x < y);
}

/* Train one configuration with each seed; the one of median accuracy is kept. */
static int run_row(struct project_arguments *a, const struct weft_model *trainer,
		   const struct weft_projection_shape *shape, struct project_row *row)
{
	struct attempt attempt[MOST_SEEDS] = {0}, *median = &attempt[(a->seeds - 1) / 2];
	int r = 0;

	if (!a->is_text)
		weft_projection_cost(&row->projection, shape, &row->cost);
	for (uint32_t i = 0; i < a->seeds && !r; i++) {
		struct weft_projection projection = row->projection;

		projection.seed = a->projection.seed + i;
		r = try_seed(a, trainer, shape, &projection, &attempt[i]);
	}
	if (!r) {
		qsort(attempt, a->seeds, sizeof(attempt[0]), by_accuracy);
		row->measure = median->measure;
		row->trainer = median->trainer_measure;
		row->usage = a->learn.usage;
		if (a->is_text)
			row->cost = (struct weft_projection_cost){.parameters = a->learn.parameters,
								  .multiply_adds = row->measure.operations / 2};
		row->least = attempt[0].measure.accuracy;
		row->most = attempt[a->seeds - 1].measure.accuracy;
		r = weft_model_save(median->model, a->learn.out);
	}
	if (!r && a->trainer_out)
		r = weft_model_save(median->trainer, a->trainer_out);
	for (uint32_t i = 0; i < a->seeds; i++)
		attempt_free(&attempt[i]);
	return r;
}

static int work(struct project_arguments *a)
{
	struct weft_projection_shape shape;
	struct weft_model *trainer = NULL;
	int r = a->alone ? 0 : weft_model_load(a->trainer, &trainer);

	if (!r)
		r = find_shape(a, trainer, &shape);
	for (uint32_t i = 0; i < a->sweep.count && !r; i++) {
		r = run_row(a, trainer, &shape, &a->sweep.row[i]);
		if (!r && !a->json)
			project_print_row(&a->sweep, i, !a->alone);
	}
	if (!r && a->csv)
		r = project_write_csv(&a->sweep, a->csv);
	if (!r && a->svg)
		r = project_write_svg(&a->sweep, a->svg);
	weft_model_free(trainer);
	return r;
}

static void print_json(const struct project_arguments *a)
{
	cJSON *object = cJSON_CreateObject(), *rows = cJSON_AddArrayToObject(object, "networks");

	cJSON_AddStringToObject(object, "out", a->learn.out);
	cJSON_AddBoolToObject(object, "alone", a->alone);
	for (uint32_t i = 0; i < a->sweep.count; i++)
		cJSON_AddItemToArray(rows, project_row_json(&a->sweep.row[i], !a->alone));
	json_print(object);
}

static int run(int argc, char **argv)
{
	struct project_arguments arguments = {
		.learn = {.epochs = 10,
			  .batch = 128,
			  .lr = 0.003,
			  .out = "projection.onnx",
			  .distillation = {.teacher_label = 1, .teacher = 0.1f, .label = 1, .temperature = 1}},
		.projection = {.functions = 60, .bits = 12},
		.text = {.layers = 2, .dropout = 0.3f},
		.seeds = 1,
	};
	int r, status = STATUS_DONE;

	budget_defaults(&arguments.budget);
	command_parse(&argp, argc, argv, &arguments);
	arguments.learn.session = &arguments.budget.session;
	if (arguments.alone)
		arguments.learn.distillation.teacher_label = arguments.learn.distillation.teacher = 0;
	if (budget_open_device(&arguments.budget, &arguments.learn.device)) {
		project_sweep_free(&arguments.sweep);
		return STATUS_FAILED;
	}
	r = work(&arguments);
	if (!r && arguments.json)
		print_json(&arguments);
	else if (r == -ENOSPC &&
		 (arguments.learn.refusal.least_device_bytes || arguments.learn.refusal.least_host_bytes))
		status = command_refused(&arguments.budget, &arguments.learn.refusal);
	else if (r)
		status = command_error("%s", weft_error());
	else
		printf("  written: %s\n", arguments.learn.out);
	project_sweep_free(&arguments.sweep);
	accel_device_unref(arguments.learn.device);
	budget_free(&arguments.budget);
	return status;
}

const struct command command_project = {"project", "train a network of projections to bits", run};
