// SPDX-License-Identifier: MIT
#include "growth.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

const char *const growth_name[GROWTH_KINDS] = {"chain", "residual", "attention"};

/* As POET's profile of the nRF52840 and the shared SD card. */
#define FLOPS 6.37e6
#define FLOPS_PER_JOULE 5.8e8
#define PAGE_WATTS 0.33
#define PAGE_IN_SECONDS 109e-6
#define PAGE_IN_RATE 4616510.0
#define PAGE_OUT_SECONDS 113e-6
#define PAGE_OUT_RATE 4440000.0

struct forward {
	double flop;
	uint64_t bytes;
	uint32_t input[2]; /* forward nodes; the second only where inputs is 2 */
	uint32_t inputs;
};

static void fill_node(struct weft_poet_node *node, double flop, uint64_t bytes, bool backward)
{
	*node = (struct weft_poet_node){
		.bytes = bytes,
		.backward = backward,
		.seconds = flop / FLOPS,
		.compute_joules = flop / FLOPS_PER_JOULE,
		.pageout_joules = PAGE_WATTS * (PAGE_OUT_SECONDS + (double)bytes / PAGE_OUT_RATE),
		.pagein_joules = PAGE_WATTS * (PAGE_IN_SECONDS + (double)bytes / PAGE_IN_RATE),
	};
}

/* Convolution, normalisation and activation over and over; with skips, every second activation follows an addition. */
static void convolution_node(struct forward *node, uint32_t i, uint32_t count, bool skips)
{
	uint32_t stage = i * 4 / count, period = skips ? 7 : 3, part = (i - 1) % period;
	uint64_t elements = 16384u >> stage;

	*node = (struct forward){.bytes = 4 * elements, .inputs = 1, .input = {i - 1}};
	if (part == 0 || (skips && part == 3))
		node->flop = 9.0 * (16 << stage) * (double)elements * 2;
	else
		node->flop = (double)elements * (part == 1 || part == 4 ? 2 : 1);
	if (skips && part == 5 && i > 6) {
		node->inputs = 2;
		node->input[1] = i - 6; /* what the block started from */
	}
}

/* The nodes of POET's transformer block, with two skips. */
static void attention_node(struct forward *node, uint32_t i)
{
	static const struct {
		double flop, units;
	} part[8] = {{9e8, 3}, {2e8, 8}, {4e8, 1}, {1.2e6, 1}, {0.4e6, 1}, {6e6, 4}, {5e6, 1}, {0.4e6, 1}};
	uint32_t p = (i - 1) % 8;

	*node = (struct forward){
		.flop = part[p].flop, .bytes = (uint64_t)(part[p].units * 65536), .inputs = 1, .input = {i - 1}};
	if ((p == 4 || p == 7) && i >= 5) {
		node->inputs = 2;
		node->input[1] = p == 4 ? i - 5 : i - 4;
	}
}

int growth_make(enum growth_kind kind, uint32_t nodes, struct weft_poet_instance **instance)
{
	uint32_t count = (nodes + 1) / 2, total = 2 * count - 1, edges = 0;
	struct weft_poet_node *node = calloc(total, sizeof(*node));
	struct weft_poet_edge *edge = calloc((size_t)total * 4, sizeof(*edge));
	struct forward *forward = calloc(count, sizeof(*forward));
	char name[64];
	int result = -ENOMEM;

	if (!node || !edge || !forward)
		goto done;
	forward[0] = (struct forward){.bytes = 65536};
	fill_node(&node[0], 0, forward[0].bytes, false);
	for (uint32_t i = 1; i < count; i++) {
		if (kind == GROWTH_ATTENTION)
			attention_node(&forward[i], i);
		else
			convolution_node(&forward[i], i, count, kind == GROWTH_RESIDUAL);
		fill_node(&node[i], forward[i].flop, forward[i].bytes, false);
		for (uint32_t e = 0; e < forward[i].inputs; e++)
			edge[edges++] = (struct weft_poet_edge){forward[i].input[e], i};
	}
	for (uint32_t i = count - 1, g = count; g < total; i--, g++) {
		fill_node(&node[g], 2 * forward[i].flop, forward[i].bytes, true);
		edge[edges++] = (struct weft_poet_edge){i, g};
		edge[edges++] = (struct weft_poet_edge){forward[i].input[0], g};
		if (g > count)
			edge[edges++] = (struct weft_poet_edge){g - 1, g};
	}
	snprintf(name, sizeof(name), "%s-%u.m4", growth_name[kind], nodes);
	result = weft_poet_build(name, node, total, edge, edges, instance);
done:
	free(node);
	free(edge);
	free(forward);
	return result;
}
