// SPDX-License-Identifier: MIT
#include "compile/uses.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "graph/build.h"
#include "graph/layout.h"
#include "graph/prune.h"
#include "weft/error.h"

int weft_uses_begin(struct weft_uses *uses, const struct weft_graph *graph)
{
	uses->readers = calloc(graph->values + 1, sizeof(*uses->readers));
	uses->writers = calloc(graph->values + 1, sizeof(*uses->writers));
	uses->gone = calloc(graph->operations + 1, sizeof(*uses->gone));
	if (!uses->readers || !uses->writers || !uses->gone)
		return weft_fail(ENOMEM, "no memory to see who uses %u values", graph->values);
	for (weft_id at = 0; at < graph->operations; at++) {
		const struct weft_operation *operation = &graph->operation[at];

		for (unsigned int slot = 0; slot < operation->operands; slot++) {
			weft_id base;

			if (operation->operand[slot] == WEFT_NO_ID)
				continue;
			base = graph->value[operation->operand[slot]].base;
			if (slot < operation->inputs || operation->updates & (1u << slot))
				uses->readers[base]++;
			if (slot >= operation->inputs)
				uses->writers[base]++;
		}
	}
	for (weft_id id = 0; id < graph->values; id++)
		if (graph->value[id].output)
			uses->readers[graph->value[id].base]++;
	return 0;
}

int weft_uses_finish(struct weft_uses *uses, struct weft_graph *graph, int result)
{
	if (!result)
		weft_graph_remove(graph, uses->gone);
	free(uses->readers);
	free(uses->writers);
	free(uses->gone);
	memset(uses, 0, sizeof(*uses));
	return result;
}

unsigned int weft_only_output(const struct weft_operation *operation)
{
	return operation->operands - 1u;
}

weft_id weft_uses_private_maker(const struct weft_uses *uses, const struct weft_graph *graph, weft_id at,
				unsigned int slot)
{
	struct weft_operand seen = weft_operand_in(graph, &graph->operation[at], slot);
	const struct weft_value *value, *base;

	if (seen.id == WEFT_NO_ID)
		return WEFT_NO_ID;
	value = &graph->value[seen.id];
	base = &graph->value[value->base];
	if (base->kind != WEFT_VALUE_ACTIVATION || base->producer == WEFT_NO_ID || uses->gone[base->producer] ||
	    uses->readers[value->base] != 1 || uses->writers[value->base] != 1 || value->offset ||
	    !weft_layout_is_dense(&seen.layout) || weft_layout_bytes(&seen.layout) != base->bytes)
		return WEFT_NO_ID;
	return base->producer;
}

int weft_uses_take_over(struct weft_uses *uses, struct weft_graph *graph, weft_id maker, unsigned int maker_slot,
			weft_id at, unsigned int slot)
{
	struct weft_operation *operation = &graph->operation[maker];
	struct weft_operand old = weft_operand_in(graph, operation, maker_slot);
	weft_id made = graph->operation[at].operand[slot];

	operation->operand[maker_slot] = made;
	free(operation->view[maker_slot]);
	operation->view[maker_slot] = NULL;
	operation->may_in_place &= (uint16_t) ~(1u << maker_slot);
	graph->value[made].producer = maker;
	graph->value[graph->value[made].base].producer = maker;
	uses->readers[graph->value[old.id].base] = 0;
	uses->gone[at] = true;
	if (weft_layout_same(&old.layout, &graph->value[made].layout))
		return 0;
	return weft_operation_set_view(operation, maker_slot, &old.layout);
}
