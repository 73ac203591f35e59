// SPDX-License-Identifier: MIT
/*
 * ONNX's backend tests on the embedded device: every test of the sets named
 * passes, or stands in the list of what is out of scope.
 *
 * Each test runs in a process of its own with a time limit, so that a crash is
 * counted and the others still run.  Inputs are graph inputs; where import
 * wants constants (shapes, axes), all but the first become constants, then all.
 */
#include <dirent.h>
#include <errno.h>
#include <fnmatch.h>
#include <getopt.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../unit/graph/files.h"
#include "../unit/graph/run_graph.h"
#include "weft/error.h"

#define DATA "/usr/share/libonnx-testdata/data"
#define MOST_TENSORS 32
#define SECONDS 60

/* Exit status of a test's process; anything else, or a signal, is a crash. */
enum outcome { PASSED = 40, FAILED = 41, FAULTED = 255 };

/* What is out of scope: a pattern of names, and why. */
struct line {
	char *pattern, *reason;
	bool used;
};

struct list {
	struct line *line;
	size_t lines;
};

static void read_list(const char *path, struct list *list)
{
	FILE *file = fopen(path, "r");
	char *text = NULL;
	size_t room = 0;

	if (!file) {
		fprintf(stderr, "onnx-node: %s: %s\n", path, strerror(errno));
		exit(2);
	}
	while (getline(&text, &room, file) > 0) {
		char *pattern = strtok(text, " \t\n"), *reason = strtok(NULL, "\n");

		if (!pattern || pattern[0] == '#')
			continue;
		if (!reason) {
			fprintf(stderr, "onnx-node: %s: %s has no reason\n", path, pattern);
			exit(2);
		}
		list->line = realloc(list->line, (list->lines + 1) * sizeof(*list->line));
		if (!list->line)
			abort();
		list->line[list->lines++] =
			(struct line){.pattern = strdup(pattern), .reason = strdup(reason + strspn(reason, " \t"))};
	}
	free(text);
	fclose(file);
}

static struct line *look_up(const struct list *list, const char *name)
{
	size_t i;

	for (i = 0; i < list->lines; i++)
		if (!fnmatch(list->line[i].pattern, name, 0))
			return &list->line[i];
	return NULL;
}

static void free_list(struct list *list)
{
	size_t i;

	for (i = 0; i < list->lines; i++) {
		free(list->line[i].pattern);
		free(list->line[i].reason);
	}
	free(list->line);
}

/* The set's tensor files input_N.pb or output_N.pb exist for N below the result. */
static unsigned int tensor_files(const char *set, const char *kind, char path[MOST_TENSORS][512])
{
	unsigned int n;

	for (n = 0; n < MOST_TENSORS; n++) {
		snprintf(path[n], sizeof(path[n]), "%s/%s_%u.pb", set, kind, n);
		if (access(path[n], R_OK))
			break;
	}
	return n;
}

/* Element types as the model declares them: files hold bfloat16 as if it were uint16. */
static int32_t declared_inputs[MOST_TENSORS], declared_outputs[MOST_TENSORS];

static void read_declared(Onnx__ValueInfoProto *const info[], size_t count, int32_t declared[])
{
	size_t i;

	memset(declared, 0, MOST_TENSORS * sizeof(*declared));
	for (i = 0; i < count && i < MOST_TENSORS; i++)
		if (info[i]->type && info[i]->type->value_case == ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE)
			declared[i] = info[i]->type->tensor_type->elem_type;
}

static struct weft_host_tensor *read_tensor(const char *path, int32_t declared)
{
	struct weft_host_tensor *tensor;
	Onnx__TensorProto *proto;
	size_t size;
	uint8_t *bytes = file_read(path, &size);

	proto = onnx__tensor_proto__unpack(NULL, size, bytes);
	if (proto && declared == ONNX__TENSOR_PROTO__DATA_TYPE__BFLOAT16)
		proto->data_type = declared;
	if (!proto || weft_onnx_tensor(proto, &tensor)) {
		printf("%s: %s", path, weft_error());
		exit(FAILED);
	}
	onnx__tensor_proto__free_unpacked(proto, NULL);
	free(bytes);
	return tensor;
}

/* Import with inputs at and above @bound as constants. */
static int import(const char *model_path, char input[MOST_TENSORS][512], unsigned int inputs, unsigned int bound,
		  struct weft_graph **graph)
{
	struct weft_graph_options options = {.loss = WEFT_LOSS_NONE};
	struct weft_model *model;
	unsigned int i;
	int r = weft_model_load(model_path, &model);

	if (r)
		return r;
	for (i = bound; i < inputs && i < model->proto->graph->n_input && !r; i++) {
		size_t size;
		uint8_t *bytes = file_read(input[i], &size);

		r = weft_model_bind_input(model, model->proto->graph->input[i]->name, bytes, size);
		free(bytes);
	}
	read_declared(model->proto->graph->input, model->proto->graph->n_input, declared_inputs);
	read_declared(model->proto->graph->output, model->proto->graph->n_output, declared_outputs);
	if (!r)
		r = weft_model_graph(model, &options, graph);
	weft_model_free(model);
	return r;
}

/* Byte of element @index (row-major) in a value's base. */
static uint64_t place(const struct weft_value *value, size_t index, size_t size)
{
	int64_t at = 0;
	unsigned int d;

	for (d = value->layout.rank; d-- > 0; index /= value->layout.dims[d])
		at += (int64_t)(index % value->layout.dims[d]) * value->layout.strides[d];
	return value->offset + (uint64_t)(at * (int64_t)size);
}

static bool same_shape(const struct weft_value *value, const struct weft_host_tensor *tensor)
{
	return value->layout.type == tensor->type && value->layout.rank == tensor->rank &&
	       !memcmp(value->layout.dims, tensor->dims, tensor->rank * sizeof(*tensor->dims));
}

static bool feed(const struct weft_graph *graph, struct run_graph *run, unsigned int index, const char *path)
{
	const struct weft_value *value = &graph->value[graph->input[index]];
	struct weft_host_tensor *tensor = read_tensor(path, declared_inputs[index]);
	size_t size = weft_type_size(tensor->type), i;
	bool fits = same_shape(value, tensor);

	if (!fits)
		printf("input %u is not as the model says", index);
	for (i = 0; fits && i < tensor->elements; i++)
		memcpy((uint8_t *)run_graph_memory(run, value->base) + place(value, i, size),
		       (const uint8_t *)tensor->data + i * size, size);
	weft_host_tensor_free(tensor);
	return fits;
}

/* ONNX's backend test compares with rtol 1e-3 and atol 1e-7. */
static bool close_to(double got, double expected)
{
	if (isnan(expected) || isnan(got))
		return isnan(expected) && isnan(got);
	if (isinf(expected) || isinf(got))
		return got == expected;
	return fabs(got - expected) <= 1e-7 + 1e-3 * fabs(expected);
}

static bool compare(const struct weft_graph *graph, struct run_graph *run, unsigned int index, const char *path)
{
	const struct weft_value *value = &graph->value[graph->model_output[index]];
	struct weft_host_tensor *expected = read_tensor(path, declared_outputs[index]), got = *expected;
	size_t size = weft_type_size(expected->type), i;
	bool same = same_shape(value, expected);

	if (!same)
		printf("output %u has another type or shape than expected", index);
	for (i = 0; same && i < expected->elements; i++) {
		got.data = (uint8_t *)run_graph_memory(run, value->base) + place(value, i, size);
		if (expected->type == WEFT_TYPE_F32)
			same = close_to(weft_host_number(&got, 0), weft_host_number(expected, i));
		else
			same = weft_host_integer(&got, 0) == weft_host_integer(expected, i);
		if (!same)
			printf("output %u, element %zu: %g, expected %g", index, i, weft_host_number(&got, 0),
			       weft_host_number(expected, i));
	}
	weft_host_tensor_free(expected);
	return same;
}

static bool run_set(const char *model, const char *set)
{
	char input[MOST_TENSORS][512], output[MOST_TENSORS][512];
	unsigned int inputs = tensor_files(set, "input", input), outputs = tensor_files(set, "output", output), i;
	unsigned int bound = inputs;
	struct weft_graph *graph = NULL;
	struct run_graph *run;
	bool good;

	while (import(model, input, inputs, bound, &graph)) {
		printf("%s", weft_error());
		if (!bound || !inputs)
			return false;
		bound = bound > 1 ? 1 : 0;
		printf("; with constant inputs: ");
	}
	good = outputs && outputs == graph->model_outputs && bound >= graph->inputs;
	if (!good)
		printf("%u inputs and %u outputs in the files, %u and %u in the graph", inputs, outputs, graph->inputs,
		       graph->model_outputs);
	if (good) {
		run = run_graph_new(graph);
		for (i = 0; i < graph->inputs && good; i++)
			good = feed(graph, run, i, input[i]);
		if (good)
			run_graph_step(run);
		for (i = 0; i < outputs && good; i++)
			good = compare(graph, run, i, output[i]);
		run_graph_free(run);
	}
	weft_graph_free(graph);
	return good;
}

/* In a process of its own. */
static enum outcome run_sets(const char *directory)
{
	char model[800], set[800];
	unsigned int n;

	snprintf(model, sizeof(model), "%s/model.onnx", directory);
	for (n = 0;; n++) {
		snprintf(set, sizeof(set), "%s/test_data_set_%u", directory, n);
		if (access(set, R_OK))
			break;
		if (!run_set(model, set))
			return FAILED;
	}
	return n ? PASSED : FAILED;
}

/* The child's exit status; -1 for a signal.  @text receives what it said. */
static int run_child(const char *directory, char *text, size_t room)
{
	size_t got = 0;
	ssize_t n;
	int pipes[2], status;
	pid_t child;

	fflush(stdout);
	if (pipe(pipes) || (child = fork()) < 0) {
		perror("onnx-node");
		exit(2);
	}
	if (!child) {
		int outcome;

		close(pipes[0]);
		dup2(pipes[1], STDOUT_FILENO);
		alarm(SECONDS);
		outcome = run_sets(directory);
		fflush(stdout);
		exit(outcome);
	}
	close(pipes[1]);
	while ((n = read(pipes[0], text + got, room - 1 - got)) > 0)
		got += (size_t)n;
	close(pipes[0]);
	text[got] = 0;
	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

struct totals {
	unsigned int passed, failed, crashed, skipped;
};

static void judge(const char *data, const char *name, const struct list *scope, bool verbose, struct totals *totals)
{
	struct line *out = look_up(scope, name);
	char directory[700], text[2048];
	int status;

	if (out) {
		out->used = true;
		totals->skipped++;
		if (verbose)
			printf("skipped %s: %s\n", name, out->reason);
		return;
	}
	snprintf(directory, sizeof(directory), "%s/%s", data, name);
	status = run_child(directory, text, sizeof(text));
	if (status == PASSED) {
		totals->passed++;
		if (verbose)
			printf("passed %s\n", name);
		return;
	}
	if (status == FAILED || status == FAULTED)
		totals->failed++;
	else
		totals->crashed++;
	printf("%s %s: %s\n",
	       status == FAILED	   ? "failed"
	       : status == FAULTED ? "failed (device)"
				   : "crashed",
	       name, text);
}

static int is_test(const struct dirent *entry)
{
	return !strncmp(entry->d_name, "test_", 5);
}

/* All tests of a set whose names match @only. */
static int run_tests(const char *set, const char *only, const struct list *scope, bool verbose, struct totals *totals)
{
	const char *root = getenv("WEFT_ONNX_TESTDATA");
	struct dirent **entry;
	char data[400];
	int entries, i;

	snprintf(data, sizeof(data), "%s/%s", root ? root : DATA, set);
	entries = scandir(data, &entry, is_test, alphasort);
	if (entries <= 0) {
		printf("SKIP: %s holds no tests; install libonnx-testdata or set WEFT_ONNX_TESTDATA\n", data);
		exit(77);
	}
	for (i = 0; i < entries; i++) {
		if (!only || !fnmatch(only, entry[i]->d_name, 0))
			judge(data, entry[i]->d_name, scope, verbose, totals);
		free(entry[i]);
	}
	free(entry);
	return entries;
}

static int usage(void)
{
	fprintf(stderr, "usage: onnx-node [--scope FILE] [--least PASSED] [--only PATTERN] [--verbose] SET...\n");
	return 2;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {{"scope", required_argument, NULL, 's'},
						{"least", required_argument, NULL, 'l'},
						{"only", required_argument, NULL, 'o'},
						{"verbose", no_argument, NULL, 'v'},
						{0}};
	const char *only = NULL;
	struct list scope = {0};
	struct totals totals = {0};
	unsigned int least = 0, wrong;
	bool verbose = false;
	int option, entries = 0;
	size_t i;

	while ((option = getopt_long(argc, argv, "s:l:o:v", options, NULL)) != -1) {
		if (option == 's')
			read_list(optarg, &scope);
		else if (option == 'l')
			least = (unsigned int)strtoul(optarg, NULL, 10);
		else if (option == 'o')
			only = optarg;
		else if (option == 'v')
			verbose = true;
		else
			return usage();
	}
	if (optind == argc)
		return usage();
	for (; optind < argc; optind++)
		entries += run_tests(argv[optind], only, &scope, verbose, &totals);
	wrong = totals.failed + totals.crashed;
	for (i = 0; i < scope.lines && !only; i++) {
		if (scope.line[i].used)
			continue;
		printf("%s is out of scope, but there is no such test\n", scope.line[i].pattern);
		wrong++;
	}
	if (!only && totals.passed < least) {
		printf("%u tests passed, at least %u must\n", totals.passed, least);
		wrong++;
	}
	free_list(&scope);
	printf("ONNX tests: %u passed, %u failed, %u crashed, %u out of scope, of %d\n", totals.passed, totals.failed,
	       totals.crashed, totals.skipped, entries);
	return wrong ? 1 : 0;
}
