// SPDX-License-Identifier: MIT
#include "import/lower.h"
#include "import/quantized.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "autodiff/autodiff.h"
#include "autodiff/loss.h"
#include "compile/contents.h"
#include "compile/passes.h"
#include "graph/layout.h"
#include "graph/prune.h"
#include "import/operators.h"
#include "optim/lora.h"
#include "optim/select.h"
#include "optim/update.h"
#include "weft/error.h"

static int add_symbol(struct weft_lower *lower, const char *name, struct weft_symbol **symbol)
{
	ENTRY entry = {.key = (char *)name}, *found;

	if (hsearch_r(entry, FIND, &found, &lower->table) && found) {
		*symbol = &lower->symbol[(uintptr_t)found->data];
		return 0;
	}
	if (lower->symbols == lower->symbol_room)
		return weft_fail(EINVAL, "%s: more names than were counted", lower->model->name);
	*symbol = &lower->symbol[lower->symbols];
	(*symbol)->name = name;
	(*symbol)->value = WEFT_NO_ID;
	entry.data = (void *)(uintptr_t)lower->symbols;
	if (!hsearch_r(entry, ENTER, &found, &lower->table))
		return weft_fail(ENOMEM, "%s: no memory for the table of names", lower->model->name);
	lower->symbols++;
	return 0;
}

static bool is_operator(const Onnx__NodeProto *node, const char *const *names)
{
	for (; *names; names++)
		if (!strcmp(node->op_type, *names))
			return true;
	return false;
}

/* What the operators that read a symbol want of it. */
static void mark_use(struct weft_symbol *symbol, const Onnx__NodeProto *node, size_t index)
{
	static const char *const convolution[] = {"Conv", "ConvTranspose", NULL};
	static const char *const image[] = {
		"Conv", "ConvTranspose", "MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool", NULL};
	static const char *const norm[] = {"BatchNormalization", NULL};

	symbol->uses++;
	if (index == 1 && is_operator(node, convolution))
		symbol->convolution_weight = true;
	if (index == 0 && is_operator(node, image))
		symbol->image = true;
	if ((index == 3 || index == 4) && is_operator(node, norm))
		symbol->statistic = true;
}

/* Every name of the graph gets its symbol before the first node is lowered. */
static int collect_symbols(struct weft_lower *lower)
{
	const Onnx__GraphProto *graph = lower->model->proto->graph;
	size_t room = graph->n_initializer + graph->n_input + graph->n_output, i, j;
	struct weft_symbol *symbol;
	int r;

	for (i = 0; i < lower->nodes.count; i++)
		if (lower->nodes.node[i])
			room += lower->nodes.node[i]->n_input + lower->nodes.node[i]->n_output;
	if (room > UINT32_MAX / 4)
		return weft_fail(EINVAL, "%s: %zu names are too many", lower->model->name, room);
	lower->symbol = calloc(room + 1, sizeof(*lower->symbol));
	if (!lower->symbol || !hcreate_r(room + room / 4 + 16, &lower->table))
		return weft_fail(ENOMEM, "%s: no memory for %zu names", lower->model->name, room);
	lower->symbol_room = (uint32_t)room;
	for (i = 0; i < graph->n_initializer; i++) {
		r = add_symbol(lower, graph->initializer[i]->name, &symbol);
		if (r)
			return r;
		if (symbol->initializer)
			return weft_fail(EINVAL, "%s: two initializers are called %s", lower->model->name,
					 symbol->name);
		symbol->initializer = graph->initializer[i];
	}
	for (i = 0; i < graph->n_input; i++) {
		r = add_symbol(lower, graph->input[i]->name, &symbol);
		if (r)
			return r;
	}
	for (i = 0; i < lower->nodes.count; i++) {
		const Onnx__NodeProto *node = lower->nodes.node[i];

		if (!node)
			continue;
		for (j = 0; j < node->n_input; j++) {
			if (!node->input[j][0])
				continue;
			r = add_symbol(lower, node->input[j], &symbol);
			if (r)
				return r;
			mark_use(symbol, node, j);
		}
		for (j = 0; j < node->n_output; j++) {
			r = node->output[j][0] ? add_symbol(lower, node->output[j], &symbol) : 0;
			if (r)
				return r;
		}
	}
	for (i = 0; i < graph->n_output; i++) {
		r = add_symbol(lower, graph->output[i]->name, &symbol);
		if (r)
			return r;
		symbol->output = true;
		symbol->uses++;
	}
	return 0;
}

/* Bind one symbolic dimension of input @name. */
static int bind_dim(struct weft_lower *lower, const char *name, const Onnx__TensorShapeProto__Dimension *dim,
		    size_t index, const char **batch_name, bool first_input, uint32_t *extent)
{
	const struct weft_graph_options *options = lower->options;
	bool fixed = dim->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE && dim->dim_value != 0;
	const char *param =
		dim->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM ? dim->dim_param : "";
	uint32_t i;

	if (fixed) {
		if (dim->dim_value < 0 || dim->dim_value > INT32_MAX)
			return weft_fail(EINVAL, "%s: input %s: dimension %zu is %lld", lower->model->name, name, index,
					 (long long)dim->dim_value);
		*extent = (uint32_t)dim->dim_value;
		if (first_input && index == 0 && options->batch && options->batch != *extent)
			return weft_fail(EINVAL,
					 "%s: input %s has a fixed batch of %u, not %u; export it with a dynamic one",
					 lower->model->name, name, *extent, options->batch);
		return 0;
	}
	for (i = 0; i < options->dims; i++) {
		if (strcmp(options->dim_names[i], param))
			continue;
		if (options->dim_values[i] < 1 || options->dim_values[i] > INT32_MAX)
			return weft_fail(EINVAL, "dimension %s cannot be %lld", param,
					 (long long)options->dim_values[i]);
		*extent = (uint32_t)options->dim_values[i];
		return 0;
	}
	if (index == 0 || (*batch_name && param[0] && !strcmp(*batch_name, param))) {
		if (!options->batch || options->batch > INT32_MAX)
			return weft_fail(EINVAL, "%s: input %s has a dynamic batch: say which batch size to use",
					 lower->model->name, name);
		if (index == 0 && !*batch_name)
			*batch_name = param;
		*extent = options->batch;
		return 0;
	}
	return weft_fail(EINVAL, "%s: dimension %zu of input %s is symbolic (%s): bind it with --dim %s=VALUE",
			 lower->model->name, index, name, param[0] ? param : "unnamed", param[0] ? param : "NAME");
}

/* A dimension that is open, for the tokens of a text, and is not bound by name. */
static bool is_sequence(const struct weft_lower *lower, const Onnx__TensorShapeProto__Dimension *dim, size_t index,
			uint8_t type)
{
	const struct weft_graph_options *options = lower->options;
	uint32_t i;

	if (!options->sequence || index != 1 || type == WEFT_TYPE_F32 ||
	    (dim->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE && dim->dim_value))
		return false;
	for (i = 0; i < options->dims; i++)
		if (dim->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM &&
		    !strcmp(options->dim_names[i], dim->dim_param))
			return false;
	return true;
}

static int add_input(struct weft_lower *lower, const Onnx__ValueInfoProto *info, const char **batch_name)
{
	struct weft_layout layout = {0};
	const Onnx__TypeProto__Tensor *tensor;
	struct weft_symbol *symbol = NULL;
	size_t i;
	int r;

	r = add_symbol(lower, info->name, &symbol);
	if (r || symbol->initializer)
		return r;
	if (symbol->value != WEFT_NO_ID)
		return weft_fail(EINVAL, "%s: two inputs are called %s", lower->model->name, info->name);
	if (!info->type || info->type->value_case != ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE || !info->type->tensor_type ||
	    !info->type->tensor_type->shape)
		return weft_fail(EOPNOTSUPP, "%s: input %s is not a tensor with a shape", lower->model->name,
				 info->name);
	tensor = info->type->tensor_type;
	r = weft_onnx_type(tensor->elem_type, &layout.type);
	if (r)
		return weft_fail_in(r, "%s: input %s", lower->model->name, info->name);
	if (tensor->shape->n_dim > WEFT_MAX_RANK)
		return weft_fail(EINVAL, "%s: input %s has rank %zu, at most %u is possible", lower->model->name,
				 info->name, tensor->shape->n_dim, WEFT_MAX_RANK);
	layout.rank = (uint8_t)tensor->shape->n_dim;
	for (i = 0; i < layout.rank; i++) {
		if (is_sequence(lower, tensor->shape->dim[i], i, layout.type))
			layout.dims[i] = lower->options->sequence;
		else
			r = bind_dim(lower, info->name, tensor->shape->dim[i], i, batch_name, !lower->graph->inputs,
				     &layout.dims[i]);
		if (r)
			return r;
	}
	if (layout.type == WEFT_TYPE_F32 && (layout.rank == 4 || (layout.rank == 3 && symbol->image)))
		weft_layout_channels_last(&layout);
	else
		weft_layout_dense(&layout);
	r = weft_graph_add_value(lower->graph, info->name, WEFT_VALUE_INPUT, &layout, &symbol->value);
	if (r)
		return weft_fail_in(r, "%s: input %s", lower->model->name, info->name);
	if (!lower->graph->inputs)
		lower->graph->batch = layout.rank ? layout.dims[0] : 1;
	lower->graph->input[lower->graph->inputs++] = symbol->value;
	return 0;
}

static int add_inputs(struct weft_lower *lower)
{
	const Onnx__GraphProto *graph = lower->model->proto->graph;
	const char *batch_name = NULL;
	size_t i;
	int r;

	/* One more for the label that a loss may add. */
	lower->graph->input = calloc(graph->n_input + 1, sizeof(*lower->graph->input));
	if (!lower->graph->input)
		return weft_fail(ENOMEM, "no memory for %zu inputs", graph->n_input);
	for (i = 0; i < graph->n_input; i++) {
		r = add_input(lower, graph->input[i], &batch_name);
		if (r)
			return r;
	}
	if (lower->options->batch && !lower->graph->batch)
		lower->graph->batch = lower->options->batch;
	return 0;
}

/* Letters that differ, the cheap way: for the nearest operator in a sentence. */
static unsigned int difference(const char *a, const char *b)
{
	unsigned int row[64], i, j, before, here;
	size_t length = strnlen(b, 63);

	for (j = 0; j <= length; j++)
		row[j] = j;
	for (i = 1; a[i - 1] && i < 64; i++) {
		before = row[0];
		row[0] = i;
		for (j = 1; j <= length; j++) {
			here = before + (a[i - 1] != b[j - 1]);
			before = row[j];
			if (row[j] + 1 < here)
				here = row[j] + 1;
			if (row[j - 1] + 1 < here)
				here = row[j - 1] + 1;
			row[j] = here;
		}
	}
	return row[length];
}

static int unknown_operator(const struct weft_lower *lower)
{
	const char *nearest = weft_operators[0].name;
	unsigned int i, best = UINT32_MAX;

	for (i = 0; i < weft_operator_count; i++) {
		unsigned int d = difference(lower->node->op_type, weft_operators[i].name);

		if (d < best) {
			best = d;
			nearest = weft_operators[i].name;
		}
	}
	return weft_fail(EOPNOTSUPP,
			 "%s: node %s: operator %s%s%s of opset %lld is not supported; the nearest that is: %s",
			 lower->model->name, lower->node_name, lower->node->domain ? lower->node->domain : "",
			 lower->node->domain && lower->node->domain[0] ? "." : "", lower->node->op_type,
			 (long long)lower->model->opset, nearest);
}

static int lower_node(struct weft_lower *lower)
{
	static const char *const domains[] = {"", "ai.onnx", "com.microsoft", "ai.onnx.preview.training", "weft"};
	const char *domain = lower->node->domain;
	unsigned int i;
	bool done;
	int r;

	for (i = 0; domain && strcmp(domain, domains[i]); i++)
		if (i + 1 == sizeof(domains) / sizeof(domains[0]))
			return unknown_operator(lower);
	r = weft_fold(lower, &done);
	if (!r && !done && !lower->options->training)
		r = weft_lower_integers(lower, &done);
	return r || done ? r : weft_lower_operator(lower);
}

int weft_lower_operator(struct weft_lower *lower)
{
	unsigned int i;

	for (i = 0; i < weft_operator_count; i++) {
		const struct weft_operator *operator= & weft_operators[i];

		if (strcmp(lower->node->op_type, operator->name))
			continue;
		if (lower->model->opset < operator->since || lower->model->opset> operator->until)
			return weft_fail(
				EOPNOTSUPP, "%s: node %s: operator %s is supported for opsets %u to %u, not %lld",
				lower->model->name, lower->node_name, operator->name, operator->since, operator->until,
				(long long)lower->model->opset);
		return operator->lower(lower);
	}
	return unknown_operator(lower);
}

static int lower_nodes(struct weft_lower *lower, Onnx__NodeProto *const node[], size_t count)
{
	char made_up[32];
	size_t i;
	int r;

	for (i = 0; i < count; i++) {
		if (!node[i])
			continue;
		lower->node = node[i];
		lower->node_name = lower->node->name;
		if (!lower->node_name || !lower->node_name[0]) {
			snprintf(made_up, sizeof(made_up), "node%zu", i);
			lower->node_name = made_up;
		}
		r = lower_node(lower);
		if (r)
			return r;
	}
	return 0;
}

/* Output @index of @node is value @name of its branch. */
static int branch_output(struct weft_lower *lower, const Onnx__NodeProto *node, unsigned int index, char *name)
{
	Onnx__NodeProto reader = ONNX__NODE_PROTO__INIT;
	const struct weft_host_tensor *known;
	struct weft_host_tensor *copy = NULL;
	struct weft_symbol *symbol;
	int r;

	reader.op_type = node->op_type;
	reader.input = &name;
	reader.n_input = 1;
	lower->node = &reader;
	symbol = weft_input_symbol(lower, 0);
	known = symbol && symbol->value == WEFT_NO_ID ? weft_input_maybe(lower, 0) : NULL;
	lower->node = node;
	if (symbol && symbol->value != WEFT_NO_ID)
		return weft_output_is(lower, index, symbol->value);
	if (!known)
		return weft_node_fail(lower, EINVAL, "its branch does not make %s", name);
	r = weft_host_tensor_new(known->type, known->rank, known->dims, &copy);
	if (r)
		return weft_fail_in(r, "%s", weft_node_where(lower));
	memcpy(copy->data, known->data, known->elements * weft_type_size(known->type));
	return weft_output_known(lower, index, copy);
}

/* If: the condition follows from constants and shapes, and so only one branch is there. */
int weft_lower_if(struct weft_lower *lower)
{
	const struct weft_host_tensor *condition = weft_input_known(lower, 0);
	const Onnx__NodeProto *node = lower->node;
	const char *node_name = lower->node_name;
	const Onnx__AttributeProto *branch;
	struct weft_symbol *symbol;
	size_t i;
	int r = 0;

	if (!condition || condition->elements != 1)
		return condition ? weft_node_fail(lower, EINVAL, "the condition is no single value") : -EOPNOTSUPP;
	branch = weft_attribute(lower, weft_host_integer(condition, 0) ? "then_branch" : "else_branch");
	if (!branch || !branch->g || branch->g->n_input || branch->g->n_output != node->n_output)
		return weft_node_fail(lower, EINVAL, "the branch is missing, has inputs, or other outputs than it");
	for (i = 0; i < branch->g->n_initializer && !r; i++) {
		r = add_symbol(lower, branch->g->initializer[i]->name, &symbol);
		if (!r && (symbol->initializer || symbol->known || symbol->value != WEFT_NO_ID))
			r = weft_node_fail(lower, EINVAL, "%s is made a second time", symbol->name);
		if (!r)
			symbol->initializer = branch->g->initializer[i];
	}
	if (!r)
		r = lower_nodes(lower, branch->g->node, branch->g->n_node);
	lower->node = node;
	lower->node_name = node_name;
	for (i = 0; i < node->n_output && !r; i++)
		r = branch_output(lower, node, (unsigned int)i, branch->g->output[i]->name);
	return r;
}

/* A model output is a base of its own, so that the host can read it as it is. */
static int add_output(struct weft_lower *lower, const char *name, weft_id *id)
{
	Onnx__NodeProto node = ONNX__NODE_PROTO__INIT;
	struct weft_operand from, to;
	const struct weft_value *value;
	char *input[1] = {(char *)name}, *shown = NULL;
	int r;

	node.op_type = (char *)"output";
	node.input = input;
	node.n_input = 1;
	lower->node = &node;
	lower->node_name = name;
	r = weft_input(lower, 0, &from);
	if (r)
		return r;
	value = &lower->graph->value[from.id];
	*id = from.id;
	if (value->base == from.id && value->kind == WEFT_VALUE_ACTIVATION && !value->output)
		return 0;
	if (asprintf(&shown, "%s", name) < 0)
		return weft_fail(ENOMEM, "no memory for output %s", name);
	to.layout = from.layout;
	weft_layout_dense(&to.layout);
	r = weft_build_value(lower->graph, shown, &to.layout, &to.id);
	free(shown);
	if (!r)
		r = weft_build_elementwise(lower->graph, name, WEFT_OP_COPY, NULL, 1, 2,
					   (struct weft_operand[]){from, to}, NULL);
	*id = to.id;
	return r;
}

static int add_outputs(struct weft_lower *lower)
{
	const Onnx__GraphProto *graph = lower->model->proto->graph;
	size_t i;
	int r;

	if (!graph->n_output)
		return weft_fail(EINVAL, "%s: the graph has no outputs", lower->model->name);
	lower->graph->model_output = calloc(graph->n_output, sizeof(*lower->graph->model_output));
	if (!lower->graph->model_output)
		return weft_fail(ENOMEM, "no memory for %zu outputs", graph->n_output);
	for (i = 0; i < graph->n_output; i++) {
		weft_id id;

		r = add_output(lower, graph->output[i]->name, &id);
		if (r)
			return r;
		lower->graph->value[id].output = true;
		lower->graph->model_output[lower->graph->model_outputs++] = id;
	}
	lower->node = NULL;
	return 0;
}

/* An output that leaves the device must not be overwritten by what reads it. */
static void protect_outputs(struct weft_graph *graph)
{
	weft_id at;
	unsigned int slot;

	for (at = 0; at < graph->operations; at++) {
		struct weft_operation *operation = &graph->operation[at];

		for (slot = operation->inputs; slot < operation->operands; slot++) {
			weft_id input;

			if (!(operation->may_in_place & (1u << slot)))
				continue;
			input = operation->operand[operation->in_place[slot]];
			if (graph->value[graph->value[input].base].output)
				operation->may_in_place &= (uint16_t) ~(1u << slot);
		}
	}
}

static int make_training(struct weft_lower *lower)
{
	const struct weft_graph_options *options = lower->options;
	const struct weft_tuning *tuning = options->tuning;
	struct weft_graph *graph = lower->graph;
	int r;

	r = weft_loss_append(graph, options->loss, tuning);
	if (!r && tuning)
		r = weft_tuning_select(graph, tuning);
	if (!r && tuning && tuning->lora_rank)
		r = weft_lora_append(graph, tuning);
	if (!r)
		r = weft_autodiff(graph, options->gradients_as_outputs);
	if (!r && !options->gradients_as_outputs)
		r = weft_optimizer_append(graph, options->optimizer, options->nesterov, tuning);
	return r;
}

static void finish(struct weft_lower *lower)
{
	uint32_t i;

	for (i = 0; i < lower->symbols; i++) {
		weft_host_tensor_free(lower->symbol[i].known);
		weft_integer_free(lower->symbol[i].integer);
	}
	free(lower->symbol);
	weft_nodes_free(&lower->nodes);
	if (lower->table.table)
		hdestroy_r(&lower->table);
}

int weft_model_graph(const struct weft_model *model, const struct weft_graph_options *options,
		     struct weft_graph **graph)
{
	struct weft_lower lower = {.model = model, .options = options};
	int r;

	lower.graph = weft_graph_new(model->proto->graph->name);
	if (!lower.graph)
		return -ENOMEM;
	lower.graph->training = options->training;
	r = weft_nodes_init(&lower.nodes, model->proto->graph, model->opset);
	if (!r)
		r = weft_compile_nodes(&lower.nodes, options);
	if (!r)
		r = collect_symbols(&lower);
	if (!r)
		r = add_inputs(&lower);
	if (!r)
		r = lower_nodes(&lower, lower.nodes.node, lower.nodes.count);
	if (!r)
		r = add_outputs(&lower);
	if (!r)
		r = weft_graph_prune(lower.graph);
	if (!r)
		r = weft_graph_take_weights(lower.graph, options);
	if (!r)
		r = weft_compile_graph(lower.graph, options, false);
	if (!r && options->fixed_weights)
		r = weft_graph_forget_unused(lower.graph);
	if (!r && options->training)
		r = make_training(&lower);
	if (!r)
		r = weft_compile_graph(lower.graph, options, true);
	if (!r) {
		protect_outputs(lower.graph);
		r = weft_graph_check(lower.graph);
	}
	finish(&lower);
	if (r) {
		weft_graph_free(lower.graph);
		return r;
	}
	*graph = lower.graph;
	return 0;
}
