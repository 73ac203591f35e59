// SPDX-License-Identifier: MIT
#include "compile/contents.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "weft/error.h"

/* Where element @index of the file's order stands. */
static size_t place_of(const struct weft_value *value, size_t index)
{
	size_t place = 0;

	for (unsigned int i = value->file_rank; i-- > 0;) {
		unsigned int dim = value->file_order[i];

		place += index % value->layout.dims[dim] * (size_t)value->layout.strides[dim];
		index /= value->layout.dims[dim];
	}
	return place;
}

int weft_graph_take_weights(struct weft_graph *graph, const struct weft_graph_options *options)
{
	for (weft_id id = 0; id < graph->values && options->weights; id++) {
		struct weft_value *value = &graph->value[id];
		size_t elements = weft_layout_elements(&value->layout);
		float *data;
		int r;

		if (value->base != id || !value->data || !value->file_rank || value->layout.type != WEFT_TYPE_F32 ||
		    (value->kind != WEFT_VALUE_WEIGHT && value->kind != WEFT_VALUE_STATE))
			continue;
		data = malloc(elements * sizeof(*data));
		if (!data)
			return weft_fail(ENOMEM, "no memory for %s", value->name);
		r = options->weights(options->weights_user, value->name, data, elements * sizeof(*data));
		for (size_t i = 0; i < elements && !r; i++)
			((float *)value->data)[place_of(value, i)] = data[i];
		free(data);
		if (r && r != -ENOENT)
			return weft_fail_in(r, "weight %s", value->name);
	}
	return 0;
}

static bool is_brought(const struct weft_value *value)
{
	return value->kind == WEFT_VALUE_WEIGHT || value->kind == WEFT_VALUE_STATE ||
	       value->kind == WEFT_VALUE_CONSTANT;
}

int weft_graph_forget_unused(struct weft_graph *graph)
{
	bool *used = calloc(graph->values + 1, sizeof(*used));

	if (!used)
		return weft_fail(ENOMEM, "no memory to look at %u values", graph->values);
	for (weft_id at = 0; at < graph->operations; at++)
		for (unsigned int slot = 0; slot < graph->operation[at].operands; slot++)
			if (graph->operation[at].operand[slot] != WEFT_NO_ID)
				used[graph->value[graph->operation[at].operand[slot]].base] = true;
	for (weft_id id = 0; id < graph->values; id++) {
		struct weft_value *value = &graph->value[id];

		if (used[value->base] || value->output || !is_brought(value))
			continue;
		value->kind = WEFT_VALUE_ACTIVATION;
		free(value->data);
		value->data = NULL;
	}
	free(used);
	return 0;
}
