// SPDX-License-Identifier: MIT
/* Tensors whose extents depend on the contents of others, which must therefore be known before the model runs. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "import/expression.h"
#include "import/fold.h"
#include "import/operators.h"
#include "weft/error.h"

/* The places of all elements that are not zero, one row for each dimension. */
int weft_fold_non_zero(struct weft_lower *lower, struct weft_host_tensor **result)
{
	const struct weft_host_tensor *in = weft_input_known(lower, 0);
	struct weft_shape shape = {.rank = 2, .dims = {in->rank, 0}};
	size_t i, n = 0;
	int r;

	for (i = 0; i < in->elements; i++)
		shape.dims[1] += weft_host_number(in, i) != 0;
	r = weft_fold_result(lower, WEFT_TYPE_I64, &shape, result);
	for (i = 0; i < in->elements && !r; i++) {
		size_t rest = i;
		unsigned int d;

		if (weft_host_number(in, i) == 0)
			continue;
		for (d = in->rank; d-- > 0; rest /= in->dims[d])
			weft_host_set_integer(*result, (size_t)d * shape.dims[1] + n, (int64_t)(rest % in->dims[d]));
		n++;
	}
	return r;
}

/* Whether a place of Compress' condition is true. */
static bool is_chosen(const struct weft_host_tensor *condition, uint32_t place)
{
	return place < condition->elements && weft_host_integer(condition, place) != 0;
}

/* What the condition chooses is known before the model runs, and then gathered on the device. */
int weft_lower_compress(struct weft_lower *lower)
{
	const struct weft_host_tensor *condition = weft_input_known(lower, 1);
	struct weft_expression e = {.lower = lower};
	struct weft_layout layout = {.type = WEFT_TYPE_I32, .rank = 1};
	struct weft_operand x, places;
	unsigned int axis = 0;
	uint32_t i, n = 0;
	void *data;

	if (!condition)
		return -EOPNOTSUPP;
	x = weft_expression_input(&e, 0);
	if (e.error)
		return e.error;
	if (weft_attribute(lower, "axis"))
		e.error = weft_axis(lower, weft_attribute_int(lower, "axis", 0), x.layout.rank, &axis);
	else
		x = weft_expression_flat(&e, x);
	for (i = 0; !e.error && i < x.layout.dims[axis]; i++)
		layout.dims[0] += is_chosen(condition, i);
	if (!e.error && !layout.dims[0])
		e.error = weft_node_fail(lower, EOPNOTSUPP, "nothing is chosen, and empty tensors are not supported");
	places = weft_expression_constant(&e, &layout, &data);
	for (i = 0; data && i < x.layout.dims[axis]; i++)
		if (is_chosen(condition, i))
			((int32_t *)data)[n++] = (int32_t)i;
	return weft_expression_output(&e, 0, weft_expression_take(&e, x, axis, places));
}

/* Slices of a tensor along one dimension, in the order of their contents. */
struct slices {
	const struct weft_host_tensor *tensor;
	uint32_t count;
	size_t outer, inner; /* elements before and behind the dimension */
	uint32_t *order;     /* slices, sorted; of equal ones the first comes first */
	uint32_t *group;     /* of each slice */
	uint32_t *first;     /* slice of each group */
	uint32_t groups;
};

static size_t slice_element(const struct slices *slices, uint32_t slice, size_t o, size_t i)
{
	return (o * slices->count + slice) * slices->inner + i;
}

static int compare_slices(const struct slices *slices, uint32_t a, uint32_t b)
{
	size_t o, i;

	for (o = 0; o < slices->outer; o++) {
		for (i = 0; i < slices->inner; i++) {
			size_t at_a = slice_element(slices, a, o, i), at_b = slice_element(slices, b, o, i);

			if (slices->tensor->type == WEFT_TYPE_F32) {
				double x = weft_host_number(slices->tensor, at_a);
				double y = weft_host_number(slices->tensor, at_b);

				/* NaN behind all numbers. */
				if (x < y || (x == x && y != y))
					return -1;
				if (x > y || (x != x && y == y))
					return 1;
			} else {
				int64_t x = weft_host_integer(slices->tensor, at_a);
				int64_t y = weft_host_integer(slices->tensor, at_b);

				if (x != y)
					return x < y ? -1 : 1;
			}
		}
	}
	return 0;
}

static int by_contents(const void *a, const void *b, void *context)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	int order = compare_slices(context, x, y);

	return order ? order : (x > y) - (x < y);
}

static int by_first(const void *a, const void *b, void *context)
{
	const struct slices *slices = context;
	uint32_t x = slices->first[*(const uint32_t *)a], y = slices->first[*(const uint32_t *)b];

	return (x > y) - (x < y);
}

/* Groups of equal slices, sorted by contents or by where they first stand. */
static int find_groups(struct weft_lower *lower, struct slices *slices, bool sorted)
{
	uint32_t *rank, *by_group, i;

	slices->order = calloc(slices->count + 1u, sizeof(*slices->order));
	slices->group = calloc(slices->count + 1u, sizeof(*slices->group));
	slices->first = calloc(slices->count + 1u, sizeof(*slices->first));
	rank = calloc(slices->count + 1u, sizeof(*rank));
	by_group = calloc(slices->count + 1u, sizeof(*by_group));
	if (!slices->order || !slices->group || !slices->first || !rank || !by_group) {
		free(rank);
		free(by_group);
		return weft_fail(ENOMEM, "no memory for the groups of %s", lower->node_name);
	}
	for (i = 0; i < slices->count; i++)
		slices->order[i] = i;
	qsort_r(slices->order, slices->count, sizeof(*slices->order), by_contents, slices);
	for (i = 0; i < slices->count; i++) {
		if (!i || compare_slices(slices, slices->order[i - 1], slices->order[i]))
			slices->first[slices->groups++] = slices->order[i];
		slices->group[slices->order[i]] = slices->groups - 1;
	}
	if (!sorted) {
		for (i = 0; i < slices->groups; i++)
			by_group[i] = i;
		qsort_r(by_group, slices->groups, sizeof(*by_group), by_first, slices);
		for (i = 0; i < slices->groups; i++)
			rank[by_group[i]] = i;
		for (i = 0; i < slices->count; i++)
			slices->group[i] = rank[slices->group[i]];
		for (i = slices->count; i-- > 0;)
			slices->first[slices->group[i]] = i;
	}
	free(rank);
	free(by_group);
	return 0;
}

/* Output 0: one slice of each group. */
static int output_first(struct weft_lower *lower, const struct slices *slices, struct weft_shape *shape,
			unsigned int axis)
{
	size_t size = weft_type_size(slices->tensor->type), o;
	struct weft_host_tensor *result = NULL;
	uint32_t i;
	int r;

	shape->dims[axis] = slices->groups;
	r = weft_fold_result(lower, slices->tensor->type, shape, &result);
	for (o = 0; o < slices->outer && !r; o++)
		for (i = 0; i < slices->groups; i++)
			memcpy((uint8_t *)result->data + (o * slices->groups + i) * slices->inner * size,
			       (const uint8_t *)slices->tensor->data +
				       slice_element(slices, slices->first[i], o, 0) * size,
			       slices->inner * size);
	return r ? r : weft_output_known(lower, 0, result);
}

/* Outputs 1 to 3: where groups first stand, the group of each slice, and how many each has. */
static int output_index(struct weft_lower *lower, const struct slices *slices, unsigned int index)
{
	struct weft_shape shape = {.rank = 1, .dims = {index == 2 ? slices->count : slices->groups}};
	struct weft_host_tensor *result = NULL;
	uint32_t i;
	int r = weft_fold_result(lower, WEFT_TYPE_I64, &shape, &result);

	if (r)
		return r;
	for (i = 0; i < slices->count; i++) {
		if (index == 2)
			weft_host_set_integer(result, i, slices->group[i]);
		else if (index == 3)
			weft_host_set_integer(result, slices->group[i],
					      weft_host_integer(result, slices->group[i]) + 1);
		else if (i < slices->groups)
			weft_host_set_integer(result, i, slices->first[i]);
	}
	return weft_output_known(lower, index, result);
}

int weft_lower_unique(struct weft_lower *lower)
{
	const struct weft_host_tensor *in = weft_input_known(lower, 0);
	struct slices slices = {.tensor = in, .outer = 1, .inner = 1};
	struct weft_shape shape = {.rank = 1};
	unsigned int axis = 0, i;
	int r = 0;

	if (!in)
		return -EOPNOTSUPP;
	if (in->elements > WEFT_FOLD_MOST)
		return weft_node_fail(lower, EOPNOTSUPP, "%zu elements are too many", in->elements);
	if (weft_attribute(lower, "axis")) {
		shape.rank = in->rank;
		memcpy(shape.dims, in->dims, sizeof(shape.dims));
		r = weft_axis(lower, weft_attribute_int(lower, "axis", 0), in->rank, &axis);
	} else {
		shape.dims[0] = (uint32_t)in->elements;
	}
	if (r)
		return r;
	slices.count = shape.dims[axis];
	for (i = 0; i < shape.rank; i++)
		*(i < axis ? &slices.outer : &slices.inner) *= i == axis ? 1 : shape.dims[i];
	r = find_groups(lower, &slices, weft_attribute_int(lower, "sorted", 1) != 0);
	if (!r)
		r = output_first(lower, &slices, &shape, axis);
	for (i = 1; i < 4 && !r; i++)
		r = output_index(lower, &slices, i);
	free(slices.order);
	free(slices.group);
	free(slices.first);
	return r;
}

struct box {
	double low[2], high[2];
};

static struct box read_box(const struct weft_host_tensor *boxes, size_t at, bool centered)
{
	double n[4];
	struct box box;
	unsigned int i;

	for (i = 0; i < 4; i++)
		n[i] = weft_host_number(boxes, at * 4 + i);
	for (i = 0; i < 2; i++) {
		double a = centered ? n[i] - n[2 + i] / 2 : n[i], b = centered ? n[i] + n[2 + i] / 2 : n[2 + i];

		box.low[i] = a < b ? a : b;
		box.high[i] = a < b ? b : a;
	}
	return box;
}

/* The area that two boxes share over the area that they cover. */
static double overlap(const struct box *a, const struct box *b)
{
	double shared = 1, area_a = 1, area_b = 1;
	unsigned int i;

	for (i = 0; i < 2; i++) {
		double low = fmax(a->low[i], b->low[i]), high = fmin(a->high[i], b->high[i]);

		shared *= high > low ? high - low : 0;
		area_a *= a->high[i] - a->low[i];
		area_b *= b->high[i] - b->low[i];
	}
	return shared > 0 ? shared / (area_a + area_b - shared) : 0;
}

struct suppression {
	const struct weft_host_tensor *boxes, *scores; /* [batches, boxes, 4], [batches, classes, boxes] */
	bool centered;
	int64_t most;
	double overlap, score;
	int64_t (*chosen)[3];
	size_t count;
};

/* Boxes of one class from the best score down, without those that cover too much of a better one. */
static void choose_boxes(struct suppression *s, uint32_t batch, uint32_t class, bool taken[])
{
	uint32_t boxes = s->boxes->dims[1], i;
	size_t scores = ((size_t)batch * s->scores->dims[1] + class) * boxes, first = s->count, j;

	memset(taken, 0, boxes * sizeof(*taken));
	while ((int64_t)(s->count - first) < s->most) {
		bool covered = false;
		uint32_t best = boxes;
		struct box box;

		for (i = 0; i < boxes; i++)
			if (!taken[i] && weft_host_number(s->scores, scores + i) > s->score &&
			    (best == boxes ||
			     weft_host_number(s->scores, scores + i) > weft_host_number(s->scores, scores + best)))
				best = i;
		if (best == boxes)
			break;
		taken[best] = true;
		box = read_box(s->boxes, (size_t)batch * boxes + best, s->centered);
		for (j = first; j < s->count && !covered; j++) {
			struct box other =
				read_box(s->boxes, (size_t)batch * boxes + (size_t)s->chosen[j][2], s->centered);

			covered = overlap(&box, &other) > s->overlap;
		}
		if (covered)
			continue;
		s->chosen[s->count][0] = batch;
		s->chosen[s->count][1] = class;
		s->chosen[s->count++][2] = best;
	}
}

/* A scalar input that may be absent. */
static int read_number(struct weft_lower *lower, unsigned int index, double fallback, double *number)
{
	const struct weft_host_tensor *known;

	*number = fallback;
	if (!weft_has_input(lower, index))
		return 0;
	known = weft_input_known(lower, index);
	if (!known || known->elements != 1)
		return known ? weft_node_fail(lower, EINVAL, "input %u is no single number", index) : -EOPNOTSUPP;
	*number = weft_host_number(known, 0);
	return 0;
}

int weft_lower_non_max_suppression(struct weft_lower *lower)
{
	struct suppression s = {.boxes = weft_input_known(lower, 0),
				.scores = weft_input_known(lower, 1),
				.centered = weft_attribute_int(lower, "center_point_box", 0) != 0};
	struct weft_shape shape = {.rank = 2, .dims = {0, 3}};
	struct weft_host_tensor *result = NULL;
	bool *taken = NULL;
	double most = 0;
	uint32_t batch, class;
	size_t i;
	int r;

	if (!s.boxes || !s.scores)
		return -EOPNOTSUPP;
	r = read_number(lower, 2, 0, &most);
	if (!r)
		r = read_number(lower, 3, 0, &s.overlap);
	if (!r)
		r = read_number(lower, 4, -INFINITY, &s.score);
	if (!r && (s.boxes->rank != 3 || s.boxes->dims[2] != 4 || s.scores->rank != 3 ||
		   s.scores->dims[0] != s.boxes->dims[0] || s.scores->dims[2] != s.boxes->dims[1] ||
		   (uint64_t)s.scores->elements * s.boxes->dims[1] > (uint64_t)1 << 28))
		r = weft_node_fail(lower, EINVAL, "boxes and scores do not fit each other, or are too many");
	if (r)
		return r;
	s.most = most > 0 ? (int64_t)fmin(most, INT32_MAX) : 0;
	s.chosen = calloc(s.scores->elements + 1, sizeof(*s.chosen));
	taken = calloc(s.boxes->dims[1] + 1u, sizeof(*taken));
	if (!s.chosen || !taken)
		r = weft_fail(ENOMEM, "no memory for the boxes of %s", lower->node_name);
	for (batch = 0; batch < s.boxes->dims[0] && !r; batch++)
		for (class = 0; class < s.scores->dims[1]; class ++)
			choose_boxes(&s, batch, class, taken);
	shape.dims[0] = (uint32_t)s.count;
	if (!r)
		r = weft_fold_result(lower, WEFT_TYPE_I64, &shape, &result);
	for (i = 0; i < 3 * s.count && !r; i++)
		weft_host_set_integer(result, i, s.chosen[i / 3][i % 3]);
	free(s.chosen);
	free(taken);
	return r ? r : weft_output_known(lower, 0, result);
}
