// SPDX-License-Identifier: MIT
/* What lowering functions ask about the present node, and its inputs and outputs. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "graph/layout.h"
#include "import/lower.h"
#include "import/quantized.h"
#include "weft/error.h"

const char *weft_node_where(const struct weft_lower *lower)
{
	static _Thread_local char where[256];

	snprintf(where, sizeof(where), "%s: node %s (%s, opset %lld)", lower->model->name, lower->node_name,
		 lower->node->op_type, (long long)lower->model->opset);
	return where;
}

const Onnx__AttributeProto *weft_attribute(const struct weft_lower *lower, const char *name)
{
	size_t i;

	for (i = 0; i < lower->node->n_attribute; i++)
		if (!strcmp(lower->node->attribute[i]->name, name))
			return lower->node->attribute[i];
	return NULL;
}

int64_t weft_attribute_int(const struct weft_lower *lower, const char *name, int64_t fallback)
{
	const Onnx__AttributeProto *attribute = weft_attribute(lower, name);

	return attribute ? attribute->i : fallback;
}

float weft_attribute_float(const struct weft_lower *lower, const char *name, float fallback)
{
	const Onnx__AttributeProto *attribute = weft_attribute(lower, name);

	return attribute ? attribute->f : fallback;
}

int weft_attribute_ints(const struct weft_lower *lower, const char *name, unsigned int room, int64_t ints[],
			unsigned int *count)
{
	const Onnx__AttributeProto *attribute = weft_attribute(lower, name);

	*count = 0;
	if (!attribute)
		return 0;
	if (attribute->n_ints > room)
		return weft_node_fail(lower, EINVAL, "attribute %s has %zu values, at most %u make sense", name,
				      attribute->n_ints, room);
	*count = (unsigned int)attribute->n_ints;
	if (attribute->n_ints)
		memcpy(ints, attribute->ints, attribute->n_ints * sizeof(*ints));
	return 0;
}

bool weft_attribute_is(const struct weft_lower *lower, const char *name, const char *text, bool fallback)
{
	const Onnx__AttributeProto *attribute = weft_attribute(lower, name);

	if (!attribute)
		return fallback;
	return attribute->s.len == strlen(text) && !memcmp(attribute->s.data, text, attribute->s.len);
}

struct weft_symbol *weft_find_symbol(const struct weft_lower *lower, const char *name)
{
	ENTRY entry = {.key = (char *)name}, *found = NULL;

	if (!hsearch_r(entry, FIND, &found, (struct hsearch_data *)&lower->table) || !found)
		return NULL;
	return &lower->symbol[(uintptr_t)found->data];
}

bool weft_has_input(const struct weft_lower *lower, unsigned int index)
{
	return index < lower->node->n_input && lower->node->input[index][0];
}

bool weft_has_output(const struct weft_lower *lower, unsigned int index)
{
	return index < lower->node->n_output && lower->node->output[index][0];
}

bool weft_output_is_used(const struct weft_lower *lower, unsigned int index)
{
	const struct weft_symbol *symbol =
		weft_has_output(lower, index) ? weft_find_symbol(lower, lower->node->output[index]) : NULL;

	return symbol && symbol->uses;
}

struct weft_symbol *weft_input_symbol(const struct weft_lower *lower, unsigned int index)
{
	return weft_has_input(lower, index) ? weft_find_symbol(lower, lower->node->input[index]) : NULL;
}

const struct weft_host_tensor *weft_input_maybe(struct weft_lower *lower, unsigned int index)
{
	struct weft_symbol *symbol = weft_input_symbol(lower, index);

	if (!symbol)
		return NULL;
	if (!symbol->known && symbol->initializer && weft_onnx_tensor(symbol->initializer, &symbol->known))
		return NULL;
	return symbol->known;
}

const struct weft_host_tensor *weft_input_known(struct weft_lower *lower, unsigned int index)
{
	const struct weft_host_tensor *known = weft_input_maybe(lower, index);

	if (!known)
		weft_node_fail(lower, EOPNOTSUPP, "input %u must be given, and be a constant or follow from shapes",
			       index);
	return known;
}

int weft_input_ints(struct weft_lower *lower, unsigned int index, unsigned int room, int64_t ints[],
		    unsigned int *count)
{
	const struct weft_host_tensor *known = weft_input_known(lower, index);
	unsigned int i;

	if (!known)
		return -EOPNOTSUPP;
	if (known->elements > room)
		return weft_node_fail(lower, EINVAL, "input %u has %zu elements, at most %u make sense", index,
				      known->elements, room);
	*count = (unsigned int)known->elements;
	for (i = 0; i < *count; i++)
		ints[i] = weft_host_integer(known, i);
	return 0;
}

/* Put a known tensor into the graph; @take: its data go there, where they fit, instead of a copy. */
static int add_stored(struct weft_lower *lower, struct weft_symbol *symbol, struct weft_host_tensor *tensor,
		      enum weft_value_kind kind, bool take)
{
	struct weft_layout layout = {.type = tensor->type, .rank = tensor->rank};
	struct weft_value *value;
	unsigned int i;
	int r;

	memcpy(layout.dims, tensor->dims, sizeof(layout.dims));
	weft_layout_dense(&layout);
	r = weft_graph_add_value(lower->graph, symbol->name, kind, &layout, &symbol->value);
	if (r)
		return weft_fail_in(r, "%s", weft_node_where(lower));
	value = &lower->graph->value[symbol->value];
	if (take && value->bytes == tensor->elements * weft_type_size(tensor->type)) {
		value->data = tensor->data;
		tensor->data = NULL;
	} else {
		value->data = malloc(value->bytes);
		if (!value->data)
			return weft_fail(ENOMEM, "no memory for %s", symbol->name);
		memcpy(value->data, tensor->data, value->bytes);
	}
	value->file_rank = tensor->rank;
	for (i = 0; i < tensor->rank && i < WEFT_MAX_RANK; i++) {
		value->file_dims[i] = tensor->dims[i];
		value->file_order[i] = (uint8_t)i;
	}
	return 0;
}

/*
 * A convolution's weight [OC, C/G, spatial...] stands as [KH, KW, C/G, OC] on
 * the device (KH is 1 where there is one spatial dimension); its symbol is a
 * view with the dimensions of the file.
 */
static int add_convolution_weight(struct weft_lower *lower, struct weft_symbol *symbol,
				  const struct weft_host_tensor *tensor)
{
	struct weft_layout layout = {.type = WEFT_TYPE_F32, .rank = 4}, view = {.type = WEFT_TYPE_F32};
	uint32_t height = tensor->rank == 4 ? tensor->dims[2] : 1;
	uint32_t width = tensor->dims[tensor->rank - 1], oc, c, h, w;
	const float *from = tensor->data;
	struct weft_value *value;
	unsigned int i;
	weft_id id;
	float *to;
	int r;

	layout.dims[0] = height;
	layout.dims[1] = width;
	layout.dims[2] = tensor->dims[1];
	layout.dims[3] = tensor->dims[0];
	weft_layout_dense(&layout);
	r = weft_graph_add_value(lower->graph, symbol->name, WEFT_VALUE_WEIGHT, &layout, &id);
	if (r)
		return weft_fail_in(r, "%s", weft_node_where(lower));
	value = &lower->graph->value[id];
	value->data = malloc(value->bytes);
	if (!value->data)
		return weft_fail(ENOMEM, "no memory for %s", symbol->name);
	to = value->data;
	for (oc = 0; oc < layout.dims[3]; oc++)
		for (c = 0; c < layout.dims[2]; c++)
			for (h = 0; h < height; h++)
				for (w = 0; w < width; w++)
					to[((size_t)(h * width + w) * layout.dims[2] + c) * layout.dims[3] + oc] =
						*from++;
	value->file_rank = tensor->rank;
	view.rank = tensor->rank;
	for (i = 0; i < tensor->rank; i++) {
		value->file_dims[i] = tensor->dims[i];
		value->file_order[i] = (uint8_t)(i == 0 ? 3 : i == 1 ? 2 : i + 4 - tensor->rank - 2);
		view.dims[i] = tensor->dims[i];
		view.strides[i] = layout.strides[value->file_order[i]];
	}
	return weft_build_view(lower->graph, symbol->name, id, 0, &view, &symbol->value);
}

/* The symbol's value, made on first use. */
static int materialize(struct weft_lower *lower, struct weft_symbol *symbol)
{
	struct weft_host_tensor *tensor = symbol->known;
	enum weft_value_kind kind = WEFT_VALUE_CONSTANT;
	int r = 0;

	if (symbol->value != WEFT_NO_ID)
		return 0;
	if (symbol->integer) {
		r = weft_integer_materialize(lower, symbol);
		if (r || symbol->value != WEFT_NO_ID)
			return r;
		tensor = symbol->known;
	}
	if (!tensor && !symbol->initializer)
		return weft_node_fail(lower, EINVAL, "%s is read before any node makes it", symbol->name);
	if (!tensor)
		r = weft_onnx_tensor(symbol->initializer, &tensor);
	if (r)
		return weft_fail_in(r, "%s", weft_node_where(lower));
	if (symbol->statistic)
		kind = WEFT_VALUE_STATE;
	else if (symbol->initializer && tensor->type == WEFT_TYPE_F32 && tensor->rank)
		kind = WEFT_VALUE_WEIGHT;
	if (!tensor->elements)
		r = weft_node_fail(lower, EOPNOTSUPP, "%s is empty", symbol->name);
	else if (kind == WEFT_VALUE_WEIGHT && symbol->convolution_weight && (tensor->rank == 3 || tensor->rank == 4))
		r = add_convolution_weight(lower, symbol, tensor);
	else
		r = add_stored(lower, symbol, tensor, kind, tensor != symbol->known);
	if (tensor != symbol->known)
		weft_host_tensor_free(tensor);
	return r;
}

int weft_input(struct weft_lower *lower, unsigned int index, struct weft_operand *operand)
{
	struct weft_symbol *symbol = weft_input_symbol(lower, index);
	int r;

	if (!symbol)
		return weft_node_fail(lower, EINVAL, "input %u is missing", index);
	r = materialize(lower, symbol);
	if (!r)
		*operand = weft_operand_of(lower->graph, symbol->value);
	return r;
}

int weft_input_shape(struct weft_lower *lower, unsigned int index, struct weft_layout *layout)
{
	struct weft_symbol *symbol = weft_input_symbol(lower, index);
	int r;

	if (!symbol)
		return weft_node_fail(lower, EINVAL, "input %u is missing", index);
	if (symbol->value == WEFT_NO_ID && symbol->known) {
		*layout = (struct weft_layout){.type = symbol->known->type, .rank = symbol->known->rank};
		memcpy(layout->dims, symbol->known->dims, sizeof(layout->dims));
		return 0;
	}
	r = materialize(lower, symbol);
	if (!r)
		*layout = lower->graph->value[symbol->value].layout;
	return r;
}

int weft_temporary(struct weft_lower *lower, const struct weft_layout *layout, struct weft_operand *operand)
{
	int r = weft_build_value(lower->graph, lower->node_name, layout, &operand->id);

	operand->layout = *layout;
	return r ? weft_fail_in(r, "%s", weft_node_where(lower)) : 0;
}

int weft_lower_copy(struct weft_lower *lower, const struct weft_operand *from, const struct weft_layout *layout,
		    struct weft_operand *to)
{
	int r = weft_temporary(lower, layout, to);

	if (r)
		return r;
	return weft_build_elementwise(lower->graph, lower->node_name, WEFT_OP_COPY, NULL, 1, 2,
				      (struct weft_operand[]){*from, *to}, NULL);
}

static int input_as(struct weft_lower *lower, unsigned int index, void (*arrange)(struct weft_layout *),
		    struct weft_operand *operand)
{
	struct weft_layout wanted;
	int r = weft_input(lower, index, operand);

	if (r)
		return r;
	wanted = operand->layout;
	arrange(&wanted);
	if (weft_layout_same(&wanted, &operand->layout))
		return 0;
	return weft_lower_copy(lower, &(struct weft_operand){operand->id, operand->layout}, &wanted, operand);
}

int weft_input_dense(struct weft_lower *lower, unsigned int index, struct weft_operand *operand)
{
	return input_as(lower, index, weft_layout_dense, operand);
}

int weft_input_image(struct weft_lower *lower, unsigned int index, struct weft_operand *operand)
{
	int r = weft_input(lower, index, operand);

	/* Any strides will do, as long as channels are neighbours. */
	if (r ||
	    (operand->layout.rank > 1 && operand->layout.strides[1] == 1 && !weft_layout_repeats(&operand->layout)))
		return r;
	return input_as(lower, index, weft_layout_channels_last, operand);
}

static int set_symbol(struct weft_lower *lower, unsigned int index, weft_id id, struct weft_host_tensor *known)
{
	struct weft_symbol *symbol;

	if (!weft_has_output(lower, index)) {
		weft_host_tensor_free(known);
		return 0;
	}
	symbol = weft_find_symbol(lower, lower->node->output[index]);
	if (!symbol || symbol->value != WEFT_NO_ID || symbol->known || symbol->initializer) {
		weft_host_tensor_free(known);
		return weft_node_fail(lower, EINVAL, "%s is made a second time", lower->node->output[index]);
	}
	symbol->value = id;
	symbol->known = known;
	return 0;
}

int weft_output(struct weft_lower *lower, unsigned int index, const struct weft_layout *layout,
		struct weft_operand *operand)
{
	int r;

	if (!weft_has_output(lower, index))
		return weft_temporary(lower, layout, operand);
	r = weft_graph_add_value(lower->graph, lower->node->output[index], WEFT_VALUE_ACTIVATION, layout, &operand->id);
	if (r)
		return weft_fail_in(r, "%s", weft_node_where(lower));
	operand->layout = *layout;
	return set_symbol(lower, index, operand->id, NULL);
}

int weft_output_is(struct weft_lower *lower, unsigned int index, weft_id id)
{
	return set_symbol(lower, index, id, NULL);
}

int weft_output_view(struct weft_lower *lower, unsigned int index, const struct weft_operand *operand, uint64_t offset,
		     const struct weft_layout *layout)
{
	const char *name = weft_has_output(lower, index) ? lower->node->output[index] : lower->node_name;
	weft_id id;
	int r = weft_build_view(lower->graph, name, operand->id, offset, layout, &id);

	return r ? weft_fail_in(r, "%s", weft_node_where(lower)) : set_symbol(lower, index, id, NULL);
}

int weft_output_known(struct weft_lower *lower, unsigned int index, struct weft_host_tensor *tensor)
{
	return set_symbol(lower, index, WEFT_NO_ID, tensor);
}

int weft_output_rename(struct weft_lower *lower, weft_id id)
{
	char *name = strdup(lower->node->output[0]);

	if (!name)
		return weft_fail(ENOMEM, "no memory for a name");
	free(lower->graph->value[id].name);
	lower->graph->value[id].name = name;
	return set_symbol(lower, 0, id, NULL);
}

bool weft_input_is_private(const struct weft_lower *lower, unsigned int index, weft_id *producer)
{
	const struct weft_symbol *symbol = weft_input_symbol(lower, index);
	const struct weft_value *value;

	if (!symbol || symbol->value == WEFT_NO_ID || symbol->uses != 1 || symbol->output)
		return false;
	value = &lower->graph->value[symbol->value];
	*producer = value->producer;
	return value->base == symbol->value && value->kind == WEFT_VALUE_ACTIVATION && value->producer != WEFT_NO_ID;
}

int weft_axis(struct weft_lower *lower, int64_t axis, unsigned int rank, unsigned int *dim)
{
	if (axis < -(int64_t)rank || axis >= (int64_t)rank)
		return weft_node_fail(lower, EINVAL, "axis %lld of a tensor of rank %u", (long long)axis, rank);
	*dim = (unsigned int)(axis < 0 ? axis + rank : axis);
	return 0;
}

struct weft_layout weft_layout_like(const struct weft_layout *like, uint8_t type, unsigned int rank,
				    const uint32_t dims[])
{
	struct weft_layout layout = {.type = type, .rank = (uint8_t)rank};

	memcpy(layout.dims, dims, rank * sizeof(*dims));
	if (like && weft_layout_same_dims(like, &layout) && weft_layout_is_dense(like)) {
		memcpy(layout.strides, like->strides, sizeof(layout.strides));
		return layout;
	}
	if (like && like->rank == rank && rank >= 3 && like->dims[1] > 1 && like->strides[1] == 1)
		weft_layout_channels_last(&layout);
	else
		weft_layout_dense(&layout);
	return layout;
}

int weft_lower_reshape(struct weft_lower *lower, const struct weft_operand *from, unsigned int rank,
		       const uint32_t dims[], struct weft_operand *to)
{
	struct weft_layout shown, dense = from->layout;
	struct weft_operand copy = *from;
	int r;

	if (!weft_layout_reshape(&from->layout, rank, dims, &shown)) {
		weft_layout_dense(&dense);
		r = weft_lower_copy(lower, from, &dense, &copy);
		if (r)
			return r;
		if (!weft_layout_reshape(&dense, rank, dims, &shown))
			return weft_node_fail(lower, EINVAL, "the new shape holds another number of elements");
	}
	to->layout = shown;
	r = weft_build_view(lower->graph, lower->node_name, copy.id, 0, &shown, &to->id);
	return r ? weft_fail_in(r, "%s", weft_node_where(lower)) : 0;
}
