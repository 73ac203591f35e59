/* SPDX-License-Identifier: MIT */
/* Instances of chance, the same for the same seed, for tests with cmocka. */
#ifndef TESTS_POET_RANDOM_INSTANCE_H
#define TESTS_POET_RANDOM_INSTANCE_H

#include <stddef.h>

#define RANDOM_MOST_NODES 201

/* A linear congruential generator; its high bits. */
static inline uint64_t next_random(uint64_t *state)
{
	*state = *state * UINT64_C(6364136223846793005) + 1442695040888963407u;
	return *state >> 33;
}

struct random_costs {
	uint32_t most_bytes;
	uint32_t least_page, pages; /* joules of paging: [least_page, least_page + pages) */
};

/* A chain with skips and its gradients, in the manner of POET.  Costs are small integers, so that sums are exact. */
static inline struct weft_poet_instance *random_chain(uint64_t *random, uint32_t forward, struct random_costs costs)
{
	uint32_t nodes = 2 * forward - 1;
	struct weft_poet_node node[RANDOM_MOST_NODES];
	struct weft_poet_edge edge[RANDOM_MOST_NODES * 4];
	struct weft_poet_instance *instance;
	size_t edges = 0;

	assert_true(nodes <= RANDOM_MOST_NODES);
	for (uint32_t i = 0; i < nodes; i++)
		node[i] = (struct weft_poet_node){
			.bytes = 1 + next_random(random) % costs.most_bytes,
			.seconds = (double)(1 + next_random(random) % 5),
			.compute_joules = (double)(next_random(random) % 9),
			.pageout_joules = (double)(costs.least_page + next_random(random) % costs.pages),
			.pagein_joules = (double)(costs.least_page + next_random(random) % costs.pages)};
	for (uint32_t i = 1; i < forward; i++) {
		edge[edges++] = (struct weft_poet_edge){i - 1, i};
		if (i >= 3 && next_random(random) % 3 == 0)
			edge[edges++] = (struct weft_poet_edge){i - 3, i};
	}
	for (uint32_t i = forward - 1, g = forward; g < nodes; i--, g++) {
		edge[edges++] = (struct weft_poet_edge){i, g};
		edge[edges++] = (struct weft_poet_edge){i - 1, g};
		if (g > forward)
			edge[edges++] = (struct weft_poet_edge){g - 1, g};
	}
	assert_int_equal(weft_poet_build("random", node, nodes, edge, edges, &instance), 0);
	return instance;
}

#endif /* TESTS_POET_RANDOM_INSTANCE_H */
