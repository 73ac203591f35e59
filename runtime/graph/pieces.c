// SPDX-License-Identifier: MIT
/* Values that stand in pieces. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "graph/graph.h"
#include "graph/layout.h"
#include "weft/error.h"

#define MOST_PIECES (1u << 20)

static uint32_t blocks_along(const struct weft_grid *grid, unsigned int axis)
{
	return (grid->extent[axis] - 1) / grid->block[axis] + 1;
}

uint32_t weft_grid_pieces(const struct weft_grid *grid)
{
	uint64_t pieces = 1;

	for (unsigned int k = 0; k < grid->axes; k++) {
		if (!grid->extent[k] || !grid->block[k])
			return 0;
		pieces *= blocks_along(grid, k);
		if (pieces > MOST_PIECES)
			return 0;
	}
	return (uint32_t)pieces;
}

void weft_grid_box(const struct weft_grid *grid, uint32_t index, uint32_t origin[], uint32_t extent[])
{
	for (unsigned int k = grid->axes; k-- > 0;) {
		uint32_t blocks = blocks_along(grid, k);

		origin[k] = index % blocks * grid->block[k];
		extent[k] = grid->extent[k] - origin[k] < grid->block[k] ? grid->extent[k] - origin[k] : grid->block[k];
		index /= blocks;
	}
}

void weft_grid_copy(const struct weft_grid *grid, uint32_t index, size_t size, void *whole, void *piece, bool gather)
{
	uint32_t origin[WEFT_MAX_RANK], extent[WEFT_MAX_RANK], at[WEFT_MAX_RANK] = {0};
	uint64_t stride[WEFT_MAX_RANK], step = 1, run;
	unsigned int inner = grid->axes - 1u;
	char *part = piece;

	weft_grid_box(grid, index, origin, extent);
	for (unsigned int k = grid->axes; k-- > 0;) {
		stride[k] = step;
		step *= grid->extent[k];
	}
	run = extent[inner] * size;
	for (;;) {
		uint64_t offset = 0;
		unsigned int k;
		char *row;

		for (k = 0; k < grid->axes; k++)
			offset += (origin[k] + (uint64_t)at[k]) * stride[k];
		row = (char *)whole + offset * size;
		memcpy(gather ? row : part, gather ? part : row, run);
		part += run;
		for (k = inner; k-- > 0;) {
			if (++at[k] < extent[k])
				break;
			at[k] = 0;
		}
		if (k == UINT32_MAX)
			return;
	}
}

static int add_piece(struct weft_graph *graph, weft_id value, uint32_t index)
{
	struct weft_layout layout = {.type = graph->value[value].layout.type};
	const struct weft_grid *grid = graph->value[value].grid;
	uint32_t origin[WEFT_MAX_RANK];
	char *name;
	weft_id id;
	int result;

	layout.rank = grid->axes;
	weft_grid_box(grid, index, origin, layout.dims);
	weft_layout_dense(&layout);
	if (asprintf(&name, "%s/%u", graph->value[value].name, index + 1) < 0)
		return weft_fail(ENOMEM, "no memory for pieces");
	result = weft_graph_add_value(graph, name, graph->value[value].kind, &layout, &id);
	free(name);
	if (result)
		return result;
	graph->value[id].whole = value;
	graph->value[id].backward = graph->value[value].backward;
	graph->value[id].frozen = graph->value[value].frozen;
	if (!index)
		graph->value[value].piece = id;
	return 0;
}

int weft_graph_add_pieces(struct weft_graph *graph, weft_id value, const struct weft_grid *grid)
{
	uint64_t elements = 1, bits = weft_type_bits(graph->value[value].layout.type);
	uint32_t pieces = weft_grid_pieces(grid);

	for (unsigned int k = 0; k < grid->axes && k < WEFT_MAX_RANK; k++)
		if (__builtin_mul_overflow(elements, (uint64_t)grid->extent[k], &elements))
			elements = 0;
	if (!grid->axes || grid->axes > WEFT_MAX_RANK || !pieces || graph->value[value].base != value ||
	    graph->value[value].grid || bits % 8 || elements > UINT64_MAX / 8 ||
	    elements * (bits / 8) != graph->value[value].bytes)
		return weft_fail(EINVAL, "value %s cannot be cut so", graph->value[value].name);
	graph->value[value].grid = malloc(sizeof(*grid));
	if (!graph->value[value].grid)
		return weft_fail(ENOMEM, "no memory for pieces");
	*graph->value[value].grid = *grid;
	for (uint32_t i = 0; i < pieces; i++) {
		int result = add_piece(graph, value, i);

		if (result)
			return result;
		graph->value[value].pieces++;
	}
	return 0;
}
