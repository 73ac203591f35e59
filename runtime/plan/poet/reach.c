// SPDX-License-Identifier: MIT
/* Paths of computing again, by what they cost. */
#include "plan/poet/reach.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

/* What computing the nodes between costs at least, per node that is reached. */
struct price {
	double joules, seconds;
};

static double least(double a, double b)
{
	return a < b ? a : b;
}

/* Prices of the readers of @i and of theirs; those of nodes that are not reached are infinite. */
static void price_paths(const struct weft_poet_instance *instance, uint32_t i, double most_joules, double most_seconds,
			struct price *price)
{
	const struct weft_poet_adjacency *input = &instance->input;

	for (uint32_t v = i + 1; v < instance->nodes; v++) {
		price[v] = (struct price){INFINITY, INFINITY};
		for (uint32_t e = input->start[v]; e < input->start[v + 1]; e++) {
			uint32_t u = input->item[e];

			if (u == i)
				price[v] = (struct price){0, 0};
			if (u <= i)
				continue;
			price[v].joules = least(price[v].joules, price[u].joules + instance->node[u].compute_joules);
			price[v].seconds = least(price[v].seconds, price[u].seconds + instance->node[u].seconds);
		}
		if (price[v].joules > most_joules || price[v].seconds > most_seconds)
			price[v] = (struct price){INFINITY, INFINITY};
	}
}

int poet_reach_init(struct poet_reach *reach, const struct weft_poet_instance *instance, double most_joules,
		    double most_seconds)
{
	uint32_t nodes = instance->nodes;
	struct price *price = malloc(nodes * sizeof(*price));

	*reach = (struct poet_reach){malloc(nodes * sizeof(uint32_t)), malloc(nodes * sizeof(uint32_t)),
				     malloc(nodes * sizeof(uint32_t))};
	if (!price || !reach->use || !reach->run || !reach->load) {
		free(price);
		poet_reach_clear(reach);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < nodes; i++) {
		const struct weft_poet_node *node = &instance->node[i];

		reach->use[i] = reach->run[i] = reach->load[i] = i;
		price_paths(instance, i, most_joules, most_seconds, price);
		for (uint32_t v = i + 1; v < nodes; v++) {
			if (price[v].joules == INFINITY)
				continue;
			reach->use[i] = v;
			if (price[v].joules + node->compute_joules <= most_joules &&
			    price[v].seconds + node->seconds <= most_seconds)
				reach->run[i] = v;
			if (price[v].joules + node->pageout_joules + node->pagein_joules <= most_joules)
				reach->load[i] = v;
		}
	}
	free(price);
	return 0;
}

void poet_reach_clear(struct poet_reach *reach)
{
	free(reach->use);
	free(reach->run);
	free(reach->load);
	*reach = (struct poet_reach){0};
}
