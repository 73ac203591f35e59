// SPDX-License-Identifier: MIT
/* Pad: a border of one value, or of elements of the input. */
#include <errno.h>
#include <string.h>

#include "graph/layout.h"
#include "import/expression.h"
#include "import/operators.h"
#include "weft/error.h"

/* Fill the part of @whole with @start and @dims with @bits. */
static int fill_part(struct weft_lower *lower, const struct weft_operand *whole, const uint32_t start[],
		     const uint32_t dims[], uint64_t bits)
{
	union weft_params params = {.fill = {.bits = bits}};
	struct weft_operand part;
	int r = weft_lower_part(lower, whole, start, dims, &part);

	return r ? r : weft_build_elementwise(lower->graph, lower->node_name, WEFT_OP_FILL, &params, 0, 1, &part, NULL);
}

struct padding {
	int64_t before[WEFT_MAX_RANK], after[WEFT_MAX_RANK];
	uint64_t bits;
};

/*
 * The border in slabs that do not overlap: those of dimension d have the inner
 * extent in the dimensions before d and the whole extent in those after.
 */
static int fill_border(struct weft_lower *lower, const struct weft_operand *whole, const uint32_t before[],
		       const uint32_t inner[], uint64_t bits)
{
	uint32_t start[WEFT_MAX_RANK] = {0}, dims[WEFT_MAX_RANK];
	unsigned int d;
	int r = 0;

	memcpy(dims, whole->layout.dims, sizeof(dims));
	for (d = 0; d < whole->layout.rank && !r; d++) {
		if (before[d]) {
			start[d] = 0;
			dims[d] = before[d];
			r = fill_part(lower, whole, start, dims, bits);
		}
		start[d] = before[d] + inner[d];
		dims[d] = whole->layout.dims[d] - start[d];
		if (dims[d] && !r)
			r = fill_part(lower, whole, start, dims, bits);
		start[d] = before[d];
		dims[d] = inner[d];
	}
	return r;
}

int weft_lower_enclose(struct weft_lower *lower, const struct weft_operand *x, const uint32_t before[],
		       const uint32_t dims[], uint64_t bits, struct weft_operand *whole)
{
	struct weft_layout layout = weft_layout_like(&x->layout, x->layout.type, x->layout.rank, dims);
	struct weft_operand part;
	int r = weft_temporary(lower, &layout, whole);

	if (!r)
		r = fill_border(lower, whole, before, x->layout.dims, bits);
	if (!r)
		r = weft_lower_part(lower, whole, before, x->layout.dims, &part);
	return r ? r
		 : weft_build_elementwise(lower->graph, lower->node_name, WEFT_OP_COPY, NULL, 1, 2,
					  (struct weft_operand[]){*x, part}, NULL);
}

static int read_padding(struct weft_lower *lower, const struct weft_layout *in, struct padding *padding)
{
	int64_t pads[2 * WEFT_MAX_RANK], axes[WEFT_MAX_RANK];
	unsigned int count, axis_count = 0, i, dim;
	float value = weft_attribute_float(lower, "value", 0);
	int r;

	memset(padding, 0, sizeof(*padding));
	if (weft_has_input(lower, 1))
		r = weft_input_ints(lower, 1, 2 * WEFT_MAX_RANK, pads, &count);
	else
		r = weft_attribute_ints(lower, "pads", 2 * WEFT_MAX_RANK, pads, &count);
	if (!r && weft_has_input(lower, 3))
		r = weft_input_ints(lower, 3, WEFT_MAX_RANK, axes, &axis_count);
	else
		for (; axis_count < in->rank; axis_count++)
			axes[axis_count] = axis_count;
	if (r)
		return r;
	if (count != 2 * axis_count)
		return weft_node_fail(lower, EINVAL, "%u pads for %u dimensions", count, axis_count);
	for (i = 0; i < axis_count; i++) {
		r = weft_axis(lower, axes[i], in->rank, &dim);
		if (r)
			return r;
		if (pads[i] < -INT32_MAX || pads[i] > INT32_MAX || pads[i + axis_count] < -INT32_MAX ||
		    pads[i + axis_count] > INT32_MAX)
			return weft_node_fail(lower, EINVAL, "a pad is too large");
		padding->before[dim] = pads[i];
		padding->after[dim] = pads[i + axis_count];
	}
	if (in->type != WEFT_TYPE_F32)
		value = 0;
	if (weft_has_input(lower, 2)) {
		const struct weft_host_tensor *known = weft_input_known(lower, 2);

		if (!known || known->elements != 1)
			return known ? weft_node_fail(lower, EINVAL, "the value is no scalar") : -EOPNOTSUPP;
		if (in->type != WEFT_TYPE_F32) {
			padding->bits = (uint64_t)weft_host_integer(known, 0);
			return 0;
		}
		value = (float)weft_host_number(known, 0);
	}
	if (in->type == WEFT_TYPE_F32) {
		uint32_t bits;

		memcpy(&bits, &value, sizeof(bits));
		padding->bits = bits;
	}
	return 0;
}

/* The element of 0 to @extent - 1 that stands at @at, before the first where @at is negative. */
static int64_t reflected(int64_t at, int64_t extent)
{
	int64_t period = 2 * (extent - 1);

	if (!period)
		return 0;
	at = (at % period + period) % period;
	return at < extent ? at : period - at;
}

/* Padding with elements of the input: a gather along each dimension that changes. */
static int pad_by_gather(struct weft_lower *lower, struct weft_operand x, const struct padding *padding, bool reflect)
{
	struct weft_expression e = {.lower = lower};
	unsigned int d;

	for (d = 0; d < x.layout.rank; d++) {
		int64_t extent = x.layout.dims[d], first = -padding->before[d], i;
		int64_t count = extent + padding->before[d] + padding->after[d];
		struct weft_layout layout = {.type = WEFT_TYPE_I32, .rank = 1, .dims = {(uint32_t)count}};
		struct weft_operand places;
		void *data;
		int32_t *place;

		if (!padding->before[d] && !padding->after[d])
			continue;
		places = weft_expression_constant(&e, &layout, &data);
		place = data;
		for (i = 0; place && i < count; i++) {
			int64_t at = first + i;

			place[i] = (int32_t)(reflect	   ? reflected(at, extent)
					     : at < 0	   ? 0
					     : at < extent ? at
							   : extent - 1);
		}
		x = weft_expression_take(&e, x, d, places);
	}
	return weft_expression_output(&e, 0, x);
}

static int pad_with_constant(struct weft_lower *lower, const struct weft_operand *x, const struct padding *padding)
{
	uint32_t start[WEFT_MAX_RANK], inner[WEFT_MAX_RANK], before[WEFT_MAX_RANK], dims[WEFT_MAX_RANK];
	struct weft_operand whole, part;
	bool nothing = true;
	unsigned int d;
	int r;

	for (d = 0; d < x->layout.rank; d++) {
		/* Negative pads cut off first. */
		int64_t cut = padding->before[d] < 0 ? -padding->before[d] : 0, after;
		int64_t extent = x->layout.dims[d] - cut + (padding->after[d] < 0 ? padding->after[d] : 0);

		if (extent < 1)
			return weft_node_fail(lower, EOPNOTSUPP, "nothing is left of dimension %u", d);
		before[d] = padding->before[d] > 0 ? (uint32_t)padding->before[d] : 0;
		after = padding->after[d] > 0 ? padding->after[d] : 0;
		start[d] = (uint32_t)cut;
		inner[d] = (uint32_t)extent;
		dims[d] = (uint32_t)(extent + before[d] + after);
		nothing &= dims[d] == inner[d];
	}
	r = weft_lower_part(lower, x, start, inner, &part);
	if (r)
		return weft_fail_in(r, "%s", weft_node_where(lower));
	if (nothing)
		return weft_output_is(lower, 0, weft_layout_same(&part.layout, &x->layout) ? x->id : part.id);
	r = weft_lower_enclose(lower, &part, before, dims, padding->bits, &whole);
	return r ? r : weft_output_is(lower, 0, whole.id);
}

int weft_lower_pad(struct weft_lower *lower)
{
	bool reflect = weft_attribute_is(lower, "mode", "reflect", false);
	struct padding padding;
	struct weft_operand x = WEFT_ABSENT;
	unsigned int d;
	int r = weft_input(lower, 0, &x);

	if (!r)
		r = read_padding(lower, &x.layout, &padding);
	for (d = 0; d < x.layout.rank && !r; d++) {
		int64_t extent = x.layout.dims[d] + padding.before[d] + padding.after[d];

		if (extent < 1 || extent > INT32_MAX)
			r = weft_node_fail(lower, EOPNOTSUPP, "dimension %u would become %lld", d, (long long)extent);
	}
	if (r)
		return r;
	if (reflect || weft_attribute_is(lower, "mode", "edge", false))
		return pad_by_gather(lower, x, &padding, reflect);
	if (!weft_attribute_is(lower, "mode", "constant", true))
		return weft_node_fail(lower, EOPNOTSUPP, "the mode is none of constant, edge and reflect");
	return pad_with_constant(lower, &x, &padding);
}
