// SPDX-License-Identifier: MIT
#include "snapshot.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "graph/graph.h"
#include "optim/lora.h"
#include "weft/error.h"

static int copy_value(struct weft_snapshot *snapshot, const struct weft_value *value, struct weft_session *session)
{
	struct weft_snapshot_value *copy = &snapshot->value[snapshot->values];

	copy->bytes = weft_layout_elements(&value->layout) * accel_type_bytes(value->layout.type);
	copy->name = strdup(value->name);
	copy->data = malloc(copy->bytes ? copy->bytes : 1);
	snapshot->values++;
	if (!copy->name || !copy->data)
		return weft_fail(ENOMEM, "out of memory for a copy of '%s'", value->name);
	return weft_session_read(session, value->name, copy->data, copy->bytes);
}

static const void *find(const struct weft_snapshot *snapshot, const char *name)
{
	for (size_t i = 0; i < snapshot->values; i++)
		if (!strcmp(snapshot->value[i].name, name))
			return snapshot->value[i].data;
	return NULL;
}

static int merge_adapters(struct weft_snapshot *snapshot, struct weft_session *session)
{
	const struct weft_graph *graph = weft_session_graph(session);
	struct weft_snapshot_value *more;
	int result;

	if (!graph->adapters)
		return 0;
	more = reallocarray(snapshot->value, snapshot->values + 2 * (size_t)graph->adapters, sizeof(*more));
	if (!more)
		return weft_fail(ENOMEM, "out of memory");
	snapshot->value = more;
	for (uint32_t i = 0; i < graph->adapters; i++) {
		const struct weft_adapter *adapter = &graph->adapter[i];
		const struct weft_value *a = &graph->value[adapter->a], *b = &graph->value[adapter->b];
		void *weight = (void *)find(snapshot, graph->value[adapter->weight].name);

		result = copy_value(snapshot, a, session);
		if (!result)
			result = copy_value(snapshot, b, session);
		if (result)
			return result;
		if (weight)
			weft_lora_merge(graph, adapter, find(snapshot, a->name), find(snapshot, b->name), weight);
	}
	return 0;
}

int weft_snapshot_take(struct weft_snapshot *snapshot, const struct weft_model *model, struct weft_session *session,
		       const struct weft_graph_options *trained)
{
	struct weft_graph_options options = *trained;
	struct weft_graph *graph;
	int result;

	memset(snapshot, 0, sizeof(*snapshot));
	options.training = false;
	options.loss = WEFT_LOSS_NONE;
	result = weft_model_graph(model, &options, &graph);
	if (result)
		return result;
	snapshot->value = calloc(graph->values ? graph->values : 1, sizeof(*snapshot->value));
	if (!snapshot->value)
		result = weft_fail(ENOMEM, "out of memory");
	for (weft_id id = 0; id < graph->values && !result; id++) {
		const struct weft_value *value = &graph->value[id];

		if (value->base == id && value->whole == WEFT_NO_ID &&
		    (value->kind == WEFT_VALUE_WEIGHT || value->kind == WEFT_VALUE_STATE))
			result = copy_value(snapshot, value, session);
	}
	weft_graph_free(graph);
	if (!result)
		result = merge_adapters(snapshot, session);
	if (result)
		weft_snapshot_free(snapshot);
	return result;
}

int weft_snapshot_read(void *user, const char *name, void *data, size_t bytes)
{
	const struct weft_snapshot *snapshot = user;

	for (size_t i = 0; i < snapshot->values; i++) {
		if (strcmp(snapshot->value[i].name, name))
			continue;
		if (snapshot->value[i].bytes != bytes)
			return weft_fail(EINVAL, "'%s' has %zu bytes, %zu are expected", name, snapshot->value[i].bytes,
					 bytes);
		memcpy(data, snapshot->value[i].data, bytes);
		return 0;
	}
	return weft_fail(ENOENT, "no value '%s' among the trained ones", name);
}

void weft_snapshot_free(struct weft_snapshot *snapshot)
{
	for (size_t i = 0; i < snapshot->values; i++) {
		free(snapshot->value[i].name);
		free(snapshot->value[i].data);
	}
	free(snapshot->value);
	memset(snapshot, 0, sizeof(*snapshot));
}
