// SPDX-License-Identifier: MIT
/* Which weights are trained: by patterns on their names. */
#include "optim/select.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

#include "weft/error.h"

static bool is_weight(const struct weft_graph *graph, weft_id id)
{
	return graph->value[id].base == id && graph->value[id].kind == WEFT_VALUE_WEIGHT;
}

/* The first names, for a sentence. */
static void list_weights(const struct weft_graph *graph, char *text, size_t room)
{
	size_t used = 0;
	unsigned int listed = 0;

	text[0] = '\0';
	for (weft_id id = 0; id < graph->values; id++) {
		int length;

		if (!is_weight(graph, id))
			continue;
		if (listed == 8) {
			snprintf(text + used, room - used, ", ...");
			return;
		}
		length = snprintf(text + used, room - used, "%s%s", listed ? ", " : "", graph->value[id].name);
		if (length < 0 || (size_t)length >= room - used)
			return;
		used += (size_t)length;
		listed++;
	}
}

static int check_pattern(const struct weft_graph *graph, const char *pattern)
{
	char names[400];

	for (weft_id id = 0; id < graph->values; id++)
		if (is_weight(graph, id) && !fnmatch(pattern, graph->value[id].name, 0))
			return 0;
	list_weights(graph, names, sizeof(names));
	return weft_fail(EINVAL, "no weight matches %s; the model's are %s", pattern, names[0] ? names : "none");
}

static bool matches(const char *name, const char *const *pattern, uint32_t patterns)
{
	for (uint32_t i = 0; i < patterns; i++)
		if (!fnmatch(pattern[i], name, 0))
			return true;
	return false;
}

int weft_tuning_select(struct weft_graph *graph, const struct weft_tuning *tuning)
{
	uint32_t trained = 0;
	int r = 0;

	for (uint32_t i = 0; i < tuning->trains && !r; i++)
		r = check_pattern(graph, tuning->train[i]);
	for (uint32_t i = 0; i < tuning->freezes && !r; i++)
		r = check_pattern(graph, tuning->freeze[i]);
	if (r)
		return r;
	for (weft_id id = 0; id < graph->values; id++) {
		struct weft_value *value = &graph->value[id];

		if (!is_weight(graph, id))
			continue;
		if (((tuning->trains || tuning->lora_rank) && !matches(value->name, tuning->train, tuning->trains)) ||
		    matches(value->name, tuning->freeze, tuning->freezes))
			value->frozen = true;
		trained += !value->frozen;
	}
	return trained || tuning->lora_rank ? 0 : weft_fail(EINVAL, "every weight is frozen: nothing is left to train");
}
