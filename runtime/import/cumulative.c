// SPDX-License-Identifier: MIT
/*
 * CumSum: sums of 2, 4, 8, ... neighbours (Hillis and Steele), each step an
 * addition of the tensor to itself, shifted.
 */
#include <errno.h>

#include "import/expression.h"
#include "import/operators.h"
#include "weft/error.h"

struct running {
	struct weft_expression *e;
	unsigned int axis;
	uint32_t extent;
	bool reverse; /* sums run from the last element to the first */
};

/* The elements of @x that stand @count or more after the first (@tail), or all but as many before the last. */
static struct weft_operand shifted(const struct running *run, struct weft_operand x, uint32_t count, bool tail)
{
	return weft_expression_part(run->e, x, run->axis, tail != run->reverse ? count : 0, run->extent - count);
}

/* The @count elements that a shift leaves alone. */
static struct weft_operand head(const struct running *run, struct weft_operand x, uint32_t count)
{
	return weft_expression_part(run->e, x, run->axis, run->reverse ? run->extent - count : 0, count);
}

static void append(const struct running *run, uint16_t opcode, const union weft_params *params, unsigned int inputs,
		   const struct weft_operand operand[])
{
	if (!run->e->error)
		run->e->error = weft_build_elementwise(run->e->lower->graph, run->e->lower->node_name, opcode, params,
						       inputs, inputs + 1, operand, NULL);
}

static struct weft_operand fresh(const struct running *run, struct weft_operand like)
{
	struct weft_layout layout =
		weft_layout_like(&like.layout, like.layout.type, like.layout.rank, like.layout.dims);
	struct weft_operand y = WEFT_ABSENT;

	if (!run->e->error)
		run->e->error = weft_temporary(run->e->lower, &layout, &y);
	return y;
}

/* Each element moved by one place; the first is zero. */
static struct weft_operand exclude(const struct running *run, struct weft_operand x)
{
	union weft_params zero = {0};
	struct weft_operand y = fresh(run, x), part = head(run, y, 1);

	append(run, WEFT_OP_FILL, &zero, 0, &part);
	if (run->extent > 1)
		append(run, WEFT_OP_COPY, NULL, 1,
		       (struct weft_operand[]){shifted(run, x, 1, false), shifted(run, y, 1, true)});
	return y;
}

static struct weft_operand step(const struct running *run, struct weft_operand x, uint32_t distance)
{
	union weft_params add = {.binary = {.function = WEFT_BINARY_ADD}};
	struct weft_operand y = fresh(run, x);

	append(run, WEFT_OP_COPY, NULL, 1, (struct weft_operand[]){head(run, x, distance), head(run, y, distance)});
	append(run, WEFT_OP_BINARY, &add, 2,
	       (struct weft_operand[]){shifted(run, x, distance, true), shifted(run, x, distance, false),
				       shifted(run, y, distance, true)});
	return y;
}

int weft_lower_cumulative_sum(struct weft_lower *lower)
{
	struct weft_expression e = {.lower = lower};
	struct weft_operand x = weft_expression_input(&e, 0);
	struct running run = {.e = &e, .reverse = weft_attribute_int(lower, "reverse", 0) != 0};
	const struct weft_host_tensor *axis;
	uint64_t distance;

	if (e.error)
		return e.error;
	axis = weft_input_known(lower, 1);
	if (!axis || axis->elements != 1)
		return axis ? weft_node_fail(lower, EINVAL, "the axis is no single number") : -EOPNOTSUPP;
	e.error = weft_axis(lower, weft_host_integer(axis, 0), x.layout.rank, &run.axis);
	if (e.error)
		return e.error;
	if (x.layout.type != WEFT_TYPE_F32 && x.layout.type != WEFT_TYPE_I32 && x.layout.type != WEFT_TYPE_I64)
		return weft_node_fail(lower, EOPNOTSUPP, "only float and integers of 32 and 64 bits are added up");
	run.extent = x.layout.dims[run.axis];
	if (weft_attribute_int(lower, "exclusive", 0))
		x = exclude(&run, x);
	for (distance = 1; distance < run.extent && !e.error; distance *= 2)
		x = step(&run, x, (uint32_t)distance);
	return weft_expression_output(&e, 0, x);
}
