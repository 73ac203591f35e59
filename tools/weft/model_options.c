// SPDX-License-Identifier: MIT
#include "model_options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"

static const struct argp_option options[] = {
	{"batch", KEY_BATCH, "N", 0, "Examples per step (default: 64; where a model is compiled or described: 1)", 18},
	{"dim", KEY_DIM, "NAME=VALUE", 0, "Bind a symbolic dimension of the model; may be given again", 18},
	{"no-pass", KEY_NO_PASS, "NAME", 0, "Leave out a pass over the graph; may be given again", 18},
	{"passes", KEY_PASSES, NULL, 0, "List the passes over the graph and exit", 18},
	{0},
};

static void list_passes(void)
{
	const struct weft_pass_info *pass;

	for (uint32_t i = 0; (pass = weft_pass_at(i)); i++)
		printf("%-12s %s\n", pass->name, pass->summary);
}

static void leave_out(struct argp_state *state, struct model_options *model, const char *name)
{
	const char **more = reallocarray(model->without_pass, model->without_passes + 1, sizeof(*more));
	const struct weft_pass_info *pass;
	uint32_t i = 0;

	if (!more) {
		argp_failure(state, STATUS_FAILED, 0, "out of memory");
		return;
	}
	model->without_pass = more;
	while ((pass = weft_pass_at(i++)))
		if (!strcmp(pass->name, name)) {
			more[model->without_passes++] = pass->name;
			return;
		}
	argp_error(state, "--no-pass %s: there is no such pass; --passes lists them", name);
}

static void add_dim(struct argp_state *state, struct model_options *model, const char *text)
{
	const char *equals = strchr(text, '=');
	const char **name = reallocarray(model->dim_name, model->dims + 1, sizeof(*name));
	int64_t *value;

	if (name)
		model->dim_name = name;
	value = reallocarray(model->dim_value, model->dims + 1, sizeof(*value));
	if (value)
		model->dim_value = value;
	if (!equals || equals == text)
		argp_error(state, "--dim %s: expected NAME=VALUE", text);
	else if (!name || !value || !(name[model->dims] = strndup(text, (size_t)(equals - text))))
		argp_failure(state, STATUS_FAILED, 0, "out of memory");
	else
		value[model->dims++] = (int64_t)argument_whole(state, "--dim", equals + 1, 1, INT32_MAX);
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct model_options *model = state->input;

	switch (key) {
	case KEY_BATCH:
		model->batch = argument_batch(state, arg);
		return 0;
	case KEY_DIM:
		add_dim(state, model, arg);
		return 0;
	case KEY_NO_PASS:
		leave_out(state, model, arg);
		return 0;
	case KEY_PASSES:
		list_passes();
		exit(STATUS_DONE);
	case ARGP_KEY_ARG:
		if (model->path)
			argp_error(state, "one model at a time: %s and %s", model->path, arg);
		model->path = arg;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

const struct argp model_argp = {options, parse, NULL, NULL, NULL, NULL, NULL};

void model_required(struct argp_state *state, const struct model_options *model)
{
	if (!model->path)
		argp_error(state, "which model? Give an ONNX file");
}

void model_options_free(struct model_options *model)
{
	for (uint32_t i = 0; i < model->dims; i++)
		free((char *)model->dim_name[i]);
	free(model->without_pass);
	free(model->dim_name);
	free(model->dim_value);
}

void model_options_apply(const struct model_options *model, struct weft_graph_options *graph)
{
	graph->batch = model->batch;
	graph->dim_names = model->dim_name;
	graph->dim_values = model->dim_value;
	graph->dims = model->dims;
	graph->without_pass = model->without_pass;
	graph->without_passes = model->without_passes;
}
