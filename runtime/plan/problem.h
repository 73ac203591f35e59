/* SPDX-License-Identifier: MIT */
/**
 * What the planners know about a graph: its bases (values with storage), which
 * operation touches which of them, and an order of execution.
 */
#ifndef WEFT_PLAN_PROBLEM_H
#define WEFT_PLAN_PROBLEM_H

#include "plan/plan.h"

/** "None" for indices of bases, blocks and actions. */
#define WEFT_NONE UINT32_MAX

/** How an operation touches a base. */
enum weft_touch_kind {
	WEFT_TOUCH_READ = 1 << 0,
	WEFT_TOUCH_WRITE = 1 << 1,  /* makes the base, or a piece of it */
	WEFT_TOUCH_UPDATE = 1 << 2, /* reads and writes it */
};

struct weft_touch {
	uint32_t base;
	uint8_t kinds; /* enum weft_touch_kind, or'ed */
};

struct weft_base {
	weft_id value;
	uint64_t bytes;
	uint8_t kind;	 /* enum weft_value_kind */
	bool persistent; /* WEIGHT, STATE, CONSTANT */
	bool fed;	 /* INPUT, STEP: the host fills it */
	bool output;
	bool recomputable; /* every writer may run again, and nothing updates it */
	uint32_t *use;	   /* positions in the order that touch it, ascending */
	uint32_t uses;
	weft_id *writer; /* operations that make it or a piece of it, in the order */
	uint32_t writers;
	uint32_t *update; /* positions that update it, ascending */
	uint32_t updates;
};

enum weft_order_kind {
	WEFT_ORDER_GRAPH, /* as the graph has it */
	WEFT_ORDER_EAGER, /* operations that free more than they take come first: gradients die at once */
};

struct weft_problem {
	const struct weft_graph *graph;
	const struct weft_costs *costs;
	struct weft_base *base;
	uint32_t bases;
	uint32_t *base_of;	   /* per value: index of its base */
	struct weft_touch **touch; /* per operation */
	uint8_t *touches;
	weft_id *order;	    /* operations in order of execution */
	uint32_t *position; /* inverse of order */
	double *clock;	    /* per position, and one more: seconds of compute before it */
	uint32_t *use_room, *update_room;
	weft_id *writer_room;
	struct weft_touch *touch_room;
};

int weft_problem_new(const struct weft_graph *graph, const struct weft_costs *costs, enum weft_order_kind order,
		     struct weft_problem **problem);
void weft_problem_free(struct weft_problem *problem);

/** @bytes rounded up to a multiple of @align, a power of two. */
static inline uint64_t weft_round_up(uint64_t bytes, uint64_t align)
{
	return (bytes + align - 1) & ~(align - 1);
}

#endif /* WEFT_PLAN_PROBLEM_H */
