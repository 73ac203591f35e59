// SPDX-License-Identifier: MIT
/* weft distill: a student learns from teachers that are trained already. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "data_options.h"
#include "json.h"
#include "learn.h"
#include "sizes.h"
#include "weft/error.h"

enum {
	KEY_TEACHER = KEY_LEARN_END,
	KEY_WEIGHT,
	KEY_HIDDEN,
	KEY_HIDDEN_WEIGHT,
	KEY_SEED,
	KEY_JSON,
};

#define MOST_TEACHERS 16
#define MOST_PAIRS 16

struct distill_arguments {
	struct budget_options budget;
	struct learn learn;
	const char *student, *teacher[MOST_TEACHERS];
	uint32_t teachers;
	struct weft_hidden_pair pair[MOST_PAIRS];
	bool json;
};

static const struct argp_option options[] = {
	{"data", KEY_DATA, "DIR", 0, "Data set, as of weft train", 1},
	{"teacher", KEY_TEACHER, "MODEL.onnx", 0,
	 "A trained model of the same input and classes; may be given again: the student then learns from all alike",
	 1},
	{"temperature", KEY_TEMPERATURE, "F", 0, "Scores are divided by it before they are compared (default: 4)", 1},
	{"weight", KEY_WEIGHT, "F", 0,
	 "Weight of the teachers' scores, from 0 to 1; that of the labels is the rest (default: 0.7)", 1},
	{"hidden", KEY_HIDDEN, "STUDENT=TEACHER", 0,
	 "A value of the student is to be like one, of the same shape, of the first teacher; may be given again", 1},
	{"hidden-weight", KEY_HIDDEN_WEIGHT, "F", 0, "Weight of their mean squared difference (default: 1)", 1},
	{"epochs", KEY_EPOCHS, "N", 0, "Passes over the training set (default: 5)", 2},
	{"batch", KEY_BATCH, "N", 0, "Examples per step (default: 64)", 2},
	{"lr", KEY_LR, "F", 0, "Learning rate of Adam, which falls to 0 along a cosine (default: 0.001)", 2},
	{"seed", KEY_SEED, "N", 0, "Order of examples (default: 0)", 2},
	{"out", KEY_OUT, "FILE", 0, "The trained student (default: student.onnx)", 3},
	{"json", KEY_JSON, NULL, 0, "Print one JSON object on standard output", 3},
	{"quiet", KEY_QUIET, NULL, 0, "No progress", 3},
	{0},
};

static void parse_pair(struct argp_state *state, struct distill_arguments *a, char *text)
{
	char *equals = strchr(text, '=');

	if (!equals || equals == text || !equals[1])
		argp_error(state, "--hidden %s: expected STUDENT=TEACHER, names of values in the models", text);
	if (a->learn.pairs == MOST_PAIRS)
		argp_error(state, "--hidden: more than %d pairs", MOST_PAIRS);
	*equals = '\0';
	a->pair[a->learn.pairs++] = (struct weft_hidden_pair){text, equals + 1};
}

static error_t parse_end(struct argp_state *state, struct distill_arguments *a)
{
	if (!a->student)
		argp_error(state, "which student? Give an ONNX file");
	if (!a->teachers)
		argp_error(state, "which teacher? Give --teacher MODEL.onnx");
	if (!a->learn.data)
		argp_error(state, "which data? Give --data DIR");
	a->learn.distillation.label = 1 - a->learn.distillation.teacher;
	return 0;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct distill_arguments *a = state->input;
	struct weft_distillation *d = &a->learn.distillation;

	switch (key) {
	case KEY_TEACHER:
		if (a->teachers == MOST_TEACHERS)
			argp_error(state, "--teacher: more than %d", MOST_TEACHERS);
		a->teacher[a->teachers++] = arg;
		return 0;
	case KEY_WEIGHT:
		d->teacher = (float)argument_number(state, "--weight", arg, 0, 1);
		return 0;
	case KEY_HIDDEN:
		parse_pair(state, a, arg);
		return 0;
	case KEY_HIDDEN_WEIGHT:
		d->hidden_weight = (float)argument_number(state, "--hidden-weight", arg, 0, 1e6);
		return 0;
	case KEY_SEED:
		a->learn.seed = argument_whole(state, "--seed", arg, 0, UINT64_MAX);
		return 0;
	case KEY_JSON:
		a->json = true;
		return 0;
	case ARGP_KEY_ARG:
		if (a->student)
			argp_error(state, "one student at a time: %s and %s", a->student, arg);
		a->student = arg;
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
	"STUDENT.onnx --teacher TEACHER.onnx",
	"Train a model with the scores of trained ones (Hinton, Vinyals and Dean 2015): what they say of all classes "
	"tells more than the label. Teachers run in the same step, within the same budgets, and do not change.\v"
	"EXAMPLES\n"
	"  weft distill small.onnx --teacher run/model.onnx --data mnist --out small-trained.onnx\n"
	"  weft distill small.onnx --teacher a.onnx --teacher b.onnx --temperature 3 --weight 0.9 --data mnist\n"
	"  weft distill small.onnx --teacher big.onnx --hidden h2=h4 --data mnist\n",
	children,
	NULL,
	NULL,
};

struct job {
	struct weft_model *student, *teacher[MOST_TEACHERS], *trained;
	struct learn_measure student_measure, teacher_measure[MOST_TEACHERS];
};

static int load(const struct distill_arguments *a, struct job *job)
{
	int r = weft_model_load(a->student, &job->student);

	for (uint32_t i = 0; i < a->teachers && !r; i++)
		r = weft_model_load(a->teacher[i], &job->teacher[i]);
	return r;
}

static int work(struct distill_arguments *a, struct job *job)
{
	struct learn *learn = &a->learn;
	int r = load(a, job);

	if (!r)
		r = weft_dataset_options_for(job->student, &learn->dataset);
	if (!r)
		r = learn_train(learn, job->student, (const struct weft_model *const *)job->teacher, a->teachers,
				&job->trained, NULL);
	if (!r)
		r = weft_model_save(job->trained, learn->out);
	if (!r)
		r = learn_measure(learn, job->trained, learn->out, &job->student_measure);
	for (uint32_t i = 0; i < a->teachers && !r; i++)
		r = learn_measure(learn, job->teacher[i], a->teacher[i], &job->teacher_measure[i]);
	return r;
}

static void print_json(const struct distill_arguments *a, const struct job *job)
{
	cJSON *object = cJSON_CreateObject(), *teachers;

	cJSON_AddStringToObject(object, "out", a->learn.out);
	cJSON_AddNumberToObject(object, "test_accuracy", job->student_measure.accuracy);
	cJSON_AddNumberToObject(object, "test_loss", job->student_measure.loss);
	cJSON_AddNumberToObject(object, "bytes", (double)job->student_measure.bytes);
	cJSON_AddNumberToObject(object, "energy_joules", job->student_measure.joules);
	cJSON_AddNumberToObject(object, "seconds", job->student_measure.seconds);
	cJSON_AddNumberToObject(object, "peak_device_bytes", (double)a->learn.usage.peak_device_bytes);
	teachers = cJSON_AddArrayToObject(object, "teacher_accuracy");
	for (uint32_t i = 0; i < a->teachers; i++)
		cJSON_AddItemToArray(teachers, cJSON_CreateNumber(job->teacher_measure[i].accuracy));
	json_print(object);
}

static void print_row(const char *what, const struct learn_measure *measure)
{
	char bytes[24], joules[32], seconds[32];

	printf("  %-10s accuracy %6.2f %%  size %9s  inference %9s %9s\n", what, 100 * measure->accuracy,
	       size_format(measure->bytes, bytes), joules_format(measure->joules, joules),
	       seconds_format(measure->seconds, seconds));
}

static int run(int argc, char **argv)
{
	struct distill_arguments arguments = {
		.learn = {.epochs = 5,
			  .batch = 64,
			  .lr = 0.001,
			  .out = "student.onnx",
			  .frozen = true,
			  .distillation = {.teacher = 0.7f, .temperature = 4, .hidden_weight = 1}},
	};
	struct job job = {0};
	int r, status = STATUS_DONE;

	budget_defaults(&arguments.budget);
	command_parse(&argp, argc, argv, &arguments);
	arguments.learn.session = &arguments.budget.session;
	arguments.learn.pair = arguments.pair;
	if (budget_open_device(&arguments.budget, &arguments.learn.device))
		return STATUS_FAILED;
	r = work(&arguments, &job);
	if (!r && arguments.json) {
		print_json(&arguments, &job);
	} else if (!r) {
		print_row("student", &job.student_measure);
		for (uint32_t i = 0; i < arguments.teachers; i++)
			print_row("teacher", &job.teacher_measure[i]);
		printf("  written: %s\n", arguments.learn.out);
	} else if (r == -ENOSPC &&
		   (arguments.learn.refusal.least_device_bytes || arguments.learn.refusal.least_host_bytes)) {
		status = command_refused(&arguments.budget, &arguments.learn.refusal);
	} else {
		status = command_error("%s", weft_error());
	}
	weft_model_free(job.student);
	weft_model_free(job.trained);
	for (uint32_t i = 0; i < arguments.teachers; i++)
		weft_model_free(job.teacher[i]);
	accel_device_unref(arguments.learn.device);
	budget_free(&arguments.budget);
	return status;
}

const struct command command_distill = {"distill", "train a model with the scores of trained ones", run};
