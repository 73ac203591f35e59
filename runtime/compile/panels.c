// SPDX-License-Identifier: MIT
/*
 * Integer weights that do not change stand in panels, the form that engines
 * multiply, so that it need not be made in every run.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <accel/commands.h>

#include "compile/contents.h"
#include "compile/passes.h"
#include "graph/build.h"
#include "weft/error.h"

/* What the weights of an operation are as a matrix. */
struct matrix {
	uint32_t depth, columns;
	uint32_t kernel[2]; /* of a convolution, else 0 */
};

static bool find_matrix(const struct weft_graph *graph, const struct weft_operation *operation, struct matrix *matrix)
{
	const struct weft_value *weight;
	struct weft_operand w;
	unsigned int rank;
	int64_t stride = 1;
	size_t panels;

	if ((operation->opcode != WEFT_OP_QMATMUL || operation->params.qmatmul.panels) &&
	    (operation->opcode != WEFT_OP_QCONV || operation->params.qconv.kernel[0] ||
	     operation->params.qconv.groups != 1))
		return false;
	w = weft_operand_in(graph, operation, 1);
	weight = &graph->value[w.id];
	rank = w.layout.rank;
	if (weight->kind != WEFT_VALUE_CONSTANT || weight->base != w.id || weight->offset || !weight->data ||
	    weight->grid || weight->output || w.layout.type != WEFT_TYPE_I8 ||
	    rank != (operation->opcode == WEFT_OP_QMATMUL ? 2 : 4))
		return false;
	/* As it lies in memory. */
	for (unsigned int d = rank; d-- > 0; stride *= w.layout.dims[d])
		if (w.layout.dims[d] > 1 && w.layout.strides[d] != stride)
			return false;
	if ((uint64_t)stride != weight->bytes)
		return false;
	*matrix = (struct matrix){.columns = w.layout.dims[rank - 1]};
	matrix->depth = (uint32_t)(weight->bytes / matrix->columns);
	if (operation->opcode == WEFT_OP_QCONV)
		memcpy(matrix->kernel, w.layout.dims, sizeof(matrix->kernel));
	/* Few columns gain little, and would take much more memory. */
	panels = accel_panel_bytes(matrix->depth, matrix->columns);
	return panels && panels - weight->bytes <= weight->bytes / 4;
}

static int add_panels(struct weft_graph *graph, const struct matrix *matrix, weft_id weight, weft_id *id)
{
	size_t bytes = accel_panel_bytes(matrix->depth, matrix->columns);
	struct weft_layout layout = {.type = WEFT_TYPE_I8,
				     .rank = 4,
				     .dims = {(uint32_t)(bytes / matrix->depth / WEFT_PANEL_COLUMNS), matrix->depth / 4,
					      WEFT_PANEL_COLUMNS, 4}};
	char *name;
	int r;

	weft_layout_dense(&layout);
	if (asprintf(&name, "%s.panels#%u", graph->value[weight].name, graph->values) < 0)
		return weft_fail(ENOMEM, "no memory for a name");
	r = weft_graph_add_value(graph, name, WEFT_VALUE_CONSTANT, &layout, id);
	free(name);
	if (r)
		return r;
	graph->value[*id].data = malloc(bytes);
	if (!graph->value[*id].data)
		return weft_fail(ENOMEM, "no memory for the panels of '%s'", graph->value[weight].name);
	accel_panels(graph->value[weight].data, matrix->depth, matrix->columns, graph->value[*id].data);
	return 0;
}

static int run(struct weft_graph *graph, const struct weft_graph_options *options)
{
	weft_id *made; /* per value: its panels */
	uint32_t values = graph->values;
	int r = 0;

	if (options->training || !options->fixed_weights)
		return 0;
	made = malloc((values + (size_t)1) * sizeof(*made));
	if (!made)
		return weft_fail(ENOMEM, "no memory to look at %u values", values);
	for (weft_id v = 0; v < values; v++)
		made[v] = WEFT_NO_ID;
	for (weft_id at = 0; at < graph->operations && !r; at++) {
		struct weft_operation *operation = &graph->operation[at];
		struct matrix matrix;
		weft_id weight;

		if (!find_matrix(graph, operation, &matrix))
			continue;
		weight = operation->operand[1];
		if (made[weight] == WEFT_NO_ID)
			r = add_panels(graph, &matrix, weight, &made[weight]);
		if (r)
			break;
		/* Shown as it is. */
		free(operation->view[1]);
		operation->view[1] = NULL;
		operation->operand[1] = made[weight];
		if (operation->opcode == WEFT_OP_QMATMUL)
			operation->params.qmatmul.panels = 1;
		else
			memcpy(operation->params.qconv.kernel, matrix.kernel, sizeof(matrix.kernel));
	}
	free(made);
	return r ? r : weft_graph_forget_unused(graph);
}

const struct weft_pass weft_pass_panels = {
	.info = {"panels", "integer weights that do not change stand as engines multiply them (inference)"},
	.graph = run,
	.last = true};
