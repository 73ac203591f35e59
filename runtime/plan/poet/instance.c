// SPDX-License-Identifier: MIT
/* Instances of the POET problem: from JSON, from a program, and back to JSON. */
#include "plan/poet/poet.h"

#include "weft/error.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A file of the most nodes and as many edges as are sensible is far smaller. */
#define MAX_FILE_BYTES (64l << 20)
#define MAX_EDGES 1000000
#define FORMAT "poet-instance-1"

void weft_poet_free(struct weft_poet_instance *instance)
{
	if (!instance)
		return;
	for (uint32_t i = 0; instance->node && i < instance->nodes; i++)
		free(instance->node[i].name);
	for (uint32_t i = 0; instance->budget && i < instance->budgets; i++)
		free(instance->budget[i].label);
	free(instance->node);
	free(instance->input.start);
	free(instance->input.item);
	free(instance->reader.start);
	free(instance->reader.item);
	free(instance->budget);
	free(instance->time_ratio);
	free(instance->name);
	free(instance->model);
	free(instance->platform);
	free(instance);
}

static int compare_edges(const void *a, const void *b)
{
	const struct weft_poet_edge *x = a, *y = b;

	if (x->to != y->to)
		return x->to < y->to ? -1 : 1;
	return x->from < y->from ? -1 : x->from > y->from;
}

static int build_adjacency(struct weft_poet_instance *instance, const struct weft_poet_edge *edge, size_t edges)
{
	uint32_t nodes = instance->nodes;
	struct weft_poet_edge *sorted = malloc((edges + 1) * sizeof(*sorted));
	uint32_t *fill = calloc(nodes + 1, sizeof(*fill));
	uint32_t count = 0;

	instance->input.start = calloc(nodes + 1, sizeof(uint32_t));
	instance->reader.start = calloc(nodes + 1, sizeof(uint32_t));
	instance->input.item = calloc(edges + 1, sizeof(uint32_t));
	instance->reader.item = calloc(edges + 1, sizeof(uint32_t));
	if (!sorted || !fill || !instance->input.start || !instance->reader.start || !instance->input.item ||
	    !instance->reader.item) {
		free(sorted);
		free(fill);
		return weft_fail(ENOMEM, "out of memory for %zu edges", edges);
	}
	if (edges)
		memcpy(sorted, edge, edges * sizeof(*sorted));
	qsort(sorted, edges, sizeof(*sorted), compare_edges);
	for (size_t e = 0; e < edges; e++)
		if (!count || compare_edges(&sorted[count - 1], &sorted[e]))
			sorted[count++] = sorted[e];
	instance->edges = count;
	for (uint32_t e = 0; e < count; e++) {
		instance->input.start[sorted[e].to + 1]++;
		instance->reader.start[sorted[e].from + 1]++;
	}
	for (uint32_t i = 0; i < nodes; i++) {
		instance->input.start[i + 1] += instance->input.start[i];
		instance->reader.start[i + 1] += instance->reader.start[i];
	}
	/* Sorted by reader and then input, so both kinds of rows come out ascending. */
	for (uint32_t e = 0; e < count; e++) {
		instance->input.item[e] = sorted[e].from;
		instance->reader.item[instance->reader.start[sorted[e].from] + fill[sorted[e].from]++] = sorted[e].to;
	}
	free(sorted);
	free(fill);
	return 0;
}

/* Totals that follow from nodes and edges; what a file says of them is not believed. */
static int derive_totals(struct weft_poet_instance *instance)
{
	uint32_t *last = calloc(instance->nodes, sizeof(*last));
	uint64_t level = 0;

	if (!last)
		return weft_fail(ENOMEM, "out of memory for %" PRIu32 " nodes", instance->nodes);
	instance->base_seconds = 0;
	instance->base_joules = 0;
	instance->storeall_bytes = 0;
	instance->least_bytes = 0;
	for (uint32_t i = 0; i < instance->nodes; i++) {
		const struct weft_poet_node *node = &instance->node[i];
		uint64_t need = node->bytes;

		instance->base_seconds += node->seconds;
		instance->base_joules += node->compute_joules;
		last[i] = i;
		if (instance->reader.start[i + 1] > instance->reader.start[i])
			last[i] = instance->reader.item[instance->reader.start[i + 1] - 1];
		level += node->bytes;
		if (level > instance->storeall_bytes)
			instance->storeall_bytes = level;
		for (uint32_t e = instance->input.start[i]; e < instance->input.start[i + 1]; e++) {
			uint32_t input = instance->input.item[e];

			need += instance->node[input].bytes;
			if (last[input] == i)
				level -= instance->node[input].bytes;
		}
		if (need > instance->least_bytes)
			instance->least_bytes = need;
		if (last[i] == i)
			level -= node->bytes; /* nobody reads it: gone when its stage ends */
	}
	free(last);
	return 0;
}

static int check_node(const struct weft_poet_node *node, size_t id, uint64_t *total)
{
	const struct {
		const char *name;
		double value;
	} number[] = {{"runtime_s", node->seconds},
		      {"compute_J", node->compute_joules},
		      {"pageout_J", node->pageout_joules},
		      {"pagein_J", node->pagein_joules}};

	for (size_t n = 0; n < sizeof(number) / sizeof(number[0]); n++)
		if (!isfinite(number[n].value) || number[n].value < 0 || number[n].value > 1e30)
			return weft_fail(EINVAL, "node %zu: %s is %g; expected 0 to 1e30", id, number[n].name,
					 number[n].value);
	if (__builtin_add_overflow(*total, node->bytes, total) || *total > UINT64_C(1) << 52)
		return weft_fail(EINVAL, "node %zu: the outputs together exceed 2^52 bytes; check mem_bytes", id);
	return 0;
}

static char *copy_text(const char *text)
{
	return strdup(text ? text : "");
}

int weft_poet_build(const char *name, const struct weft_poet_node *node, size_t nodes,
		    const struct weft_poet_edge *edge, size_t edges, struct weft_poet_instance **out)
{
	struct weft_poet_instance *instance;
	uint64_t total = 0;
	int result = 0;

	if (nodes < 1 || nodes > WEFT_POET_MAX_NODES)
		return weft_fail(EINVAL, "%zu nodes; expected 1 to %u", nodes, WEFT_POET_MAX_NODES);
	if (edges > MAX_EDGES)
		return weft_fail(EINVAL, "%zu edges; expected at most %d", edges, MAX_EDGES);
	for (size_t i = 0; i < nodes; i++) {
		result = check_node(&node[i], i, &total);
		if (result < 0)
			return result;
	}
	for (size_t e = 0; e < edges; e++)
		if (edge[e].to >= nodes || edge[e].from >= edge[e].to)
			return weft_fail(EINVAL,
					 "edge %zu: [%" PRIu32 ", %" PRIu32
					 "]; expected [u, v] with u < v < %zu (nodes in "
					 "topological order)",
					 e, edge[e].from, edge[e].to, nodes);
	instance = calloc(1, sizeof(*instance));
	if (!instance)
		return weft_fail(ENOMEM, "out of memory for an instance");
	instance->nodes = (uint32_t)nodes;
	instance->node = calloc(nodes, sizeof(*instance->node));
	instance->name = copy_text(name);
	instance->model = copy_text("");
	instance->platform = copy_text("");
	if (!instance->node || !instance->name || !instance->model || !instance->platform)
		result = weft_fail(ENOMEM, "out of memory for %zu nodes", nodes);
	for (size_t i = 0; i < nodes && !result; i++) {
		instance->node[i] = node[i];
		instance->node[i].name = copy_text(node[i].name);
		if (!instance->node[i].name)
			result = weft_fail(ENOMEM, "out of memory for %zu nodes", nodes);
	}
	if (!result)
		result = build_adjacency(instance, edge, edges);
	if (!result)
		result = derive_totals(instance);
	if (result < 0) {
		weft_poet_free(instance);
		return result;
	}
	*out = instance;
	return 0;
}

static int get_number(const cJSON *object, const char *key, double *value)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);

	if (!item)
		return weft_fail(EINVAL, "\"%s\" is missing", key);
	if (!cJSON_IsNumber(item))
		return weft_fail(EINVAL, "\"%s\" is not a number", key);
	*value = item->valuedouble;
	return 0;
}

static int whole_number(double value, double most, const char *what, uint64_t *whole)
{
	if (!(value >= 0 && value <= most) || value != floor(value))
		return weft_fail(EINVAL, "%s is %g; expected a whole number from 0 to %.0f", what, value, most);
	*whole = (uint64_t)value;
	return 0;
}

static int parse_node(const cJSON *item, size_t id, struct weft_poet_node *node)
{
	const cJSON *name = cJSON_GetObjectItemCaseSensitive(item, "name");
	double bytes = 0, number = 0;
	int result = get_number(item, "mem_bytes", &bytes);

	if (!result)
		result = get_number(item, "id", &number);
	if (!result && number != (double)id)
		result = weft_fail(EINVAL, "\"id\" is %g; expected %zu (nodes listed in order)", number, id);
	if (!result)
		result = whole_number(bytes, 0x1p52, "\"mem_bytes\"", &node->bytes);
	if (!result)
		result = get_number(item, "runtime_s", &node->seconds);
	if (!result)
		result = get_number(item, "compute_J", &node->compute_joules);
	if (!result)
		result = get_number(item, "pageout_J", &node->pageout_joules);
	if (!result)
		result = get_number(item, "pagein_J", &node->pagein_joules);
	if (result < 0)
		return weft_fail_in(result, "nodes[%zu]", id);
	node->name = cJSON_IsString(name) ? name->valuestring : NULL; /* borrowed until the copy is made */
	node->backward = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(item, "backward"));
	return 0;
}

static int parse_edge(const cJSON *item, size_t number, struct weft_poet_edge *edge)
{
	const cJSON *from = cJSON_GetArrayItem(item, 0), *to = cJSON_GetArrayItem(item, 1);
	uint64_t u = 0, v = 0;
	int result = 0;

	if (!cJSON_IsArray(item) || cJSON_GetArraySize(item) != 2 || !cJSON_IsNumber(from) || !cJSON_IsNumber(to))
		return weft_fail(EINVAL, "edges[%zu] is not a pair [u, v] of numbers", number);
	result = whole_number(from->valuedouble, WEFT_POET_MAX_NODES, "u", &u);
	if (!result)
		result = whole_number(to->valuedouble, WEFT_POET_MAX_NODES, "v", &v);
	if (result < 0)
		return weft_fail_in(result, "edges[%zu]", number);
	*edge = (struct weft_poet_edge){(uint32_t)u, (uint32_t)v};
	return 0;
}

static int replace_text(const cJSON *object, const char *key, char **text)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
	char *copy;

	if (!cJSON_IsString(item))
		return 0;
	copy = copy_text(item->valuestring);
	if (!copy)
		return weft_fail(ENOMEM, "out of memory for \"%s\"", key);
	free(*text);
	*text = copy;
	return 0;
}

static int parse_budgets(const cJSON *root, struct weft_poet_instance *instance)
{
	const cJSON *budgets = cJSON_GetObjectItemCaseSensitive(root, "ram_budgets"), *item;

	instance->budget = calloc((size_t)cJSON_GetArraySize(budgets) + 1, sizeof(*instance->budget));
	if (!instance->budget)
		return weft_fail(ENOMEM, "out of memory for \"ram_budgets\"");
	cJSON_ArrayForEach(item, budgets)
	{
		const cJSON *label = cJSON_GetObjectItemCaseSensitive(item, "label");
		struct weft_poet_budget *budget = &instance->budget[instance->budgets];
		double bytes = 0;
		int result = get_number(item, "ram_budget_bytes", &bytes);

		if (!result)
			result = whole_number(bytes, 0x1p52, "\"ram_budget_bytes\"", &budget->bytes);
		if (result < 0)
			return weft_fail_in(result, "ram_budgets[%" PRIu32 "]", instance->budgets);
		budget->label = copy_text(cJSON_IsString(label) ? label->valuestring : NULL);
		if (!budget->label)
			return weft_fail(ENOMEM, "out of memory for \"ram_budgets\"");
		instance->budgets++;
	}
	return 0;
}

static int parse_ratios(const cJSON *root, struct weft_poet_instance *instance)
{
	const cJSON *ratios = cJSON_GetObjectItemCaseSensitive(root, "time_budget_ratios"), *item;

	instance->time_ratio = calloc((size_t)cJSON_GetArraySize(ratios) + 1, sizeof(*instance->time_ratio));
	if (!instance->time_ratio)
		return weft_fail(ENOMEM, "out of memory for \"time_budget_ratios\"");
	cJSON_ArrayForEach(item, ratios)
	{
		if (!cJSON_IsNumber(item) || !isfinite(item->valuedouble) || item->valuedouble < 0)
			return weft_fail(EINVAL, "time_budget_ratios[%" PRIu32 "] is not a number from 0 up",
					 instance->time_ratios);
		instance->time_ratio[instance->time_ratios++] = item->valuedouble;
	}
	return 0;
}

static int parse_root(const cJSON *root, struct weft_poet_instance **out)
{
	const cJSON *format = cJSON_GetObjectItemCaseSensitive(root, "format");
	const cJSON *nodes = cJSON_GetObjectItemCaseSensitive(root, "nodes");
	const cJSON *edges = cJSON_GetObjectItemCaseSensitive(root, "edges");
	const cJSON *item;
	struct weft_poet_node *node = NULL;
	struct weft_poet_edge *edge = NULL;
	struct weft_poet_instance *instance = NULL;
	size_t node_count, edge_count, n = 0;
	int result = 0;

	if (!cJSON_IsString(format) || strcmp(format->valuestring, FORMAT))
		return weft_fail(EINVAL, "\"format\" is not \"" FORMAT "\"");
	if (!cJSON_IsArray(nodes) || !cJSON_IsArray(edges))
		return weft_fail(EINVAL, "\"nodes\" and \"edges\" must be arrays");
	node_count = (size_t)cJSON_GetArraySize(nodes);
	edge_count = (size_t)cJSON_GetArraySize(edges);
	if (node_count > WEFT_POET_MAX_NODES || edge_count > MAX_EDGES)
		return weft_fail(EINVAL, "%zu nodes and %zu edges; expected at most %u and %d", node_count, edge_count,
				 WEFT_POET_MAX_NODES, MAX_EDGES);
	node = calloc(node_count + 1, sizeof(*node));
	edge = calloc(edge_count + 1, sizeof(*edge));
	if (!node || !edge)
		result = weft_fail(ENOMEM, "out of memory for %zu nodes", node_count);
	cJSON_ArrayForEach(item, nodes)
	{
		if (!result) {
			result = parse_node(item, n, &node[n]);
			n++;
		}
	}
	n = 0;
	cJSON_ArrayForEach(item, edges)
	{
		if (!result) {
			result = parse_edge(item, n, &edge[n]);
			n++;
		}
	}
	if (!result)
		result = weft_poet_build("", node, node_count, edge, edge_count, &instance);
	if (!result)
		result = replace_text(root, "name", &instance->name);
	if (!result)
		result = replace_text(root, "model", &instance->model);
	if (!result)
		result = replace_text(root, "platform", &instance->platform);
	if (!result)
		result = parse_budgets(root, instance);
	if (!result)
		result = parse_ratios(root, instance);
	free(node);
	free(edge);
	if (result < 0) {
		weft_poet_free(instance);
		return result;
	}
	*out = instance;
	return 0;
}

int weft_poet_parse(const char *text, size_t length, const char *name, struct weft_poet_instance **instance)
{
	const char *end = NULL;
	cJSON *root = cJSON_ParseWithLengthOpts(text, length, &end, 0);
	int result;

	if (!root)
		return weft_fail(EINVAL, "%s: not JSON (error near byte %zu)", name,
				 end && end >= text ? (size_t)(end - text) : 0);
	result = parse_root(root, instance);
	cJSON_Delete(root);
	return result < 0 ? weft_fail_in(result, "%s", name) : 0;
}

int weft_poet_read(const char *path, struct weft_poet_instance **instance)
{
	FILE *file = fopen(path, "rbe");
	char *text = NULL;
	size_t room = 0, length = 0;
	int result = 0;

	if (!file)
		return weft_fail(errno, "%s: %s", path, strerror(errno));
	do {
		if (room - length < 65536) {
			char *more = realloc(text, room + room / 2 + 131072);

			if (!more) {
				result = weft_fail(ENOMEM, "%s: out of memory", path);
				break;
			}
			text = more;
			room += room / 2 + 131072;
		}
		length += fread(text + length, 1, room - length, file);
		if (ferror(file))
			result = weft_fail(errno ? errno : EIO, "%s: %s", path, strerror(errno ? errno : EIO));
		else if (length > MAX_FILE_BYTES)
			result = weft_fail(EFBIG, "%s: larger than %ld bytes", path, MAX_FILE_BYTES);
	} while (!result && !feof(file));
	fclose(file);
	if (!result)
		result = weft_poet_parse(text, length, path, instance);
	free(text);
	return result;
}

static cJSON *node_to_json(const struct weft_poet_node *node, uint32_t id)
{
	cJSON *item = cJSON_CreateObject();
	bool good = item && cJSON_AddNumberToObject(item, "id", id) &&
		    cJSON_AddStringToObject(item, "name", node->name) &&
		    cJSON_AddBoolToObject(item, "backward", node->backward) &&
		    cJSON_AddNumberToObject(item, "mem_bytes", (double)node->bytes) &&
		    cJSON_AddNumberToObject(item, "runtime_s", node->seconds) &&
		    cJSON_AddNumberToObject(item, "compute_J", node->compute_joules) &&
		    cJSON_AddNumberToObject(item, "pagein_J", node->pagein_joules) &&
		    cJSON_AddNumberToObject(item, "pageout_J", node->pageout_joules);

	if (good)
		return item;
	cJSON_Delete(item);
	return NULL;
}

static bool fill_json(const struct weft_poet_instance *instance, cJSON *root)
{
	cJSON *nodes, *edges, *budgets, *ratios;

	if (!cJSON_AddStringToObject(root, "format", FORMAT) ||
	    !cJSON_AddStringToObject(root, "name", instance->name) ||
	    !cJSON_AddStringToObject(root, "model", instance->model) ||
	    !cJSON_AddStringToObject(root, "platform", instance->platform))
		return false;
	nodes = cJSON_AddArrayToObject(root, "nodes");
	edges = cJSON_AddArrayToObject(root, "edges");
	budgets = cJSON_AddArrayToObject(root, "ram_budgets");
	ratios = cJSON_AddArrayToObject(root, "time_budget_ratios");
	if (!nodes || !edges || !budgets || !ratios)
		return false;
	for (uint32_t i = 0; i < instance->nodes; i++) {
		if (!cJSON_AddItemToArray(nodes, node_to_json(&instance->node[i], i)))
			return false;
		for (uint32_t e = instance->input.start[i]; e < instance->input.start[i + 1]; e++) {
			const int pair[] = {(int)instance->input.item[e], (int)i};

			if (!cJSON_AddItemToArray(edges, cJSON_CreateIntArray(pair, 2)))
				return false;
		}
	}
	for (uint32_t b = 0; b < instance->budgets; b++) {
		cJSON *item = cJSON_CreateObject();

		if (!cJSON_AddItemToArray(budgets, item) ||
		    !cJSON_AddStringToObject(item, "label", instance->budget[b].label) ||
		    !cJSON_AddNumberToObject(item, "ram_budget_bytes", (double)instance->budget[b].bytes))
			return false;
	}
	for (uint32_t r = 0; r < instance->time_ratios; r++)
		if (!cJSON_AddItemToArray(ratios, cJSON_CreateNumber(instance->time_ratio[r])))
			return false;
	return true;
}

int weft_poet_write(const struct weft_poet_instance *instance, FILE *file)
{
	cJSON *root = cJSON_CreateObject();
	char *text = root && fill_json(instance, root) ? cJSON_PrintUnformatted(root) : NULL;
	int result = 0;

	cJSON_Delete(root);
	if (!text)
		return weft_fail(ENOMEM, "out of memory writing an instance");
	if (fputs(text, file) < 0 || fputc('\n', file) < 0 || fflush(file))
		result = weft_fail(errno, "writing an instance: %s", strerror(errno));
	cJSON_free(text);
	return result;
}
