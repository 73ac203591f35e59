// SPDX-License-Identifier: MIT
/*
 * Operators that read or write where indices say: their indices become places
 * in the flat table on the device, for one gather or scatter.  An index out of
 * range becomes a place past the table's end, at which the device stops.
 */
#include <errno.h>
#include <string.h>

#include "graph/layout.h"
#include "import/expression.h"
#include "import/operators.h"
#include "weft/error.h"

/* Index @index of @extent, counted from the start; *inside says whether it is one. */
static struct weft_operand from_start(struct weft_expression *e, struct weft_operand index, uint32_t extent,
				      struct weft_operand *inside)
{
	struct weft_operand negative = weft_expression_with(e, WEFT_BINARY_LESS, index, 0);
	struct weft_operand behind = weft_expression_with(e, WEFT_BINARY_ADD, index, extent);
	struct weft_operand shifted = weft_expression_where(e, negative, behind, index);
	struct weft_operand rest = weft_expression_with(e, WEFT_BINARY_MOD, shifted, extent);

	*inside = weft_expression_binary(e, WEFT_BINARY_EQUAL, shifted, rest);
	return rest;
}

/*
 * A constant with @dims: the sum over the dimensions flagged of the place along
 * it times @step, and extents of 1 along the others.
 */
static struct weft_operand offsets(struct weft_expression *e, uint8_t type, unsigned int rank, const uint32_t dims[],
				   const bool counted[], const int64_t step[])
{
	struct weft_host_tensor table = {.type = type};
	struct weft_layout layout = {.type = type, .rank = (uint8_t)rank};
	struct weft_operand constant;
	uint64_t i, elements;
	unsigned int d;

	for (d = 0; d < rank; d++)
		layout.dims[d] = counted[d] ? dims[d] : 1;
	constant = weft_expression_constant(e, &layout, &table.data);
	elements = table.data ? weft_layout_elements(&layout) : 0;
	for (i = 0; i < elements; i++) {
		int64_t at = 0;
		uint64_t rest = i;

		for (d = rank; d-- > 0; rest /= layout.dims[d])
			at += counted[d] ? (int64_t)(rest % layout.dims[d]) * step[d] : 0;
		weft_host_set_integer(&table, i, at);
	}
	return constant;
}

static int check_indices(struct weft_lower *lower, const struct weft_layout *table, const struct weft_layout *index)
{
	if (index->type != WEFT_TYPE_I32 && index->type != WEFT_TYPE_I64)
		return weft_node_fail(lower, EINVAL, "the indices are not integers of 32 or 64 bits");
	if (weft_layout_elements(table) > INT32_MAX || weft_layout_elements(index) > INT32_MAX)
		return weft_node_fail(lower, EOPNOTSUPP, "more than %d elements are indexed", INT32_MAX);
	return 0;
}

/* @index along @axis, of a table with row-major @table, as places in the flat table. */
static struct weft_operand element_places(struct weft_expression *e, struct weft_operand index,
					  const struct weft_layout *table, unsigned int axis)
{
	uint8_t type = index.layout.type;
	struct weft_operand inside, place, end;
	int64_t step[WEFT_MAX_RANK] = {0};
	bool counted[WEFT_MAX_RANK];
	unsigned int d;

	for (d = 0; d < table->rank; d++) {
		counted[d] = d != axis;
		step[d] = table->strides[d];
	}
	place = from_start(e, index, table->dims[axis], &inside);
	place = weft_expression_with(e, WEFT_BINARY_MUL, place, (double)step[axis]);
	place = weft_expression_binary(e, WEFT_BINARY_ADD, place,
				       offsets(e, type, table->rank, index.layout.dims, counted, step));
	end = weft_expression_number(e, type, (double)weft_layout_elements(table));
	return weft_expression_flat(e, weft_expression_where(e, inside, place, end));
}

/* Table and indices of GatherElements and ScatterElements. */
static int read_elements(struct weft_expression *e, struct weft_operand *table, struct weft_operand *index,
			 unsigned int *axis)
{
	struct weft_lower *lower = e->lower;
	unsigned int d;
	int r;

	*table = weft_expression_dense(e, 0);
	*index = weft_expression_dense(e, 1);
	r = e->error ? e->error : check_indices(lower, &table->layout, &index->layout);
	if (!r && (index->layout.rank != table->layout.rank || !table->layout.rank))
		r = weft_node_fail(lower, EINVAL, "indices of rank %u for a table of rank %u", index->layout.rank,
				   table->layout.rank);
	if (!r)
		r = weft_axis(lower, weft_attribute_int(lower, "axis", 0), table->layout.rank, axis);
	for (d = 0; d < table->layout.rank && !r; d++)
		if (d != *axis && index->layout.dims[d] > table->layout.dims[d])
			r = weft_node_fail(lower, EINVAL, "dimension %u of the indices is larger than the table's", d);
	return r;
}

/* The elements of flat @table at @places, with @dims. */
static struct weft_operand gather_flat(struct weft_expression *e, struct weft_operand table, struct weft_operand places,
				       const struct weft_layout *dims)
{
	uint32_t rows[2] = {(uint32_t)weft_layout_elements(&table.layout), 1};
	struct weft_operand gathered = weft_expression_gather(e, weft_expression_reshape(e, table, 2, rows), places);

	return weft_expression_reshape(e, gathered, dims->rank, dims->dims);
}

int weft_lower_gather_elements(struct weft_lower *lower)
{
	struct weft_expression e = {.lower = lower};
	struct weft_operand table, index, places;
	unsigned int axis = 0;
	int r = read_elements(&e, &table, &index, &axis);

	if (r)
		return r;
	places = element_places(&e, index, &table.layout, axis);
	return weft_expression_output(&e, 0, gather_flat(&e, table, places, &index.layout));
}

/* The function that attribute reduction names. */
static int read_reduction(struct weft_lower *lower, uint8_t type, uint32_t *function)
{
	static const char *const names[WEFT_SCATTER_FUNCTIONS] = {"none", "add", "mul", "max", "min"};

	for (*function = 0; *function < WEFT_SCATTER_FUNCTIONS; (*function)++)
		if (weft_attribute_is(lower, "reduction", names[*function], *function == WEFT_SCATTER_REPLACE))
			break;
	if (*function == WEFT_SCATTER_FUNCTIONS)
		return weft_node_fail(lower, EOPNOTSUPP, "reduction is none of none, add, mul, max and min");
	if (*function != WEFT_SCATTER_REPLACE && type != WEFT_TYPE_F32 && type != WEFT_TYPE_I32 &&
	    type != WEFT_TYPE_I64)
		return weft_node_fail(lower, EOPNOTSUPP, "reductions are for float and integers of 32 and 64 bits");
	return 0;
}

/* Output 0: @table, as rows of @row elements, with the rows of @updates written at @places. */
static int scatter_rows(struct weft_expression *e, uint32_t function, struct weft_operand table,
			struct weft_operand places, struct weft_operand updates, uint64_t row)
{
	union weft_params params = {.scatter = {.function = function}};
	uint32_t rows[2] = {(uint32_t)(weft_layout_elements(&table.layout) / row), (uint32_t)row};
	uint32_t update_rows[2] = {places.layout.dims[0], (uint32_t)row};
	struct weft_operand operand[4] = {weft_expression_reshape(e, table, 2, rows), places,
					  weft_expression_reshape(e, updates, 2, update_rows), WEFT_ABSENT};
	struct weft_layout layout = {.type = table.layout.type, .rank = 2, .dims = {rows[0], rows[1]}};
	weft_id at;

	if (e->error)
		return e->error;
	weft_layout_dense(&layout);
	e->error = weft_temporary(e->lower, &layout, &operand[3]);
	if (!e->error)
		e->error =
			weft_build(e->lower->graph, e->lower->node_name, WEFT_OP_SCATTER, &params, 3, 4, operand, &at);
	if (!e->error)
		weft_build_in_place(e->lower->graph, at, 3, 0);
	return weft_expression_output(e, 0,
				      weft_expression_reshape(e, operand[3], table.layout.rank, table.layout.dims));
}

int weft_lower_scatter_elements(struct weft_lower *lower)
{
	struct weft_expression e = {.lower = lower};
	struct weft_operand table, index, updates, places;
	uint32_t function = 0;
	unsigned int axis = 0;
	int r = read_elements(&e, &table, &index, &axis);

	if (!r) {
		updates = weft_expression_dense(&e, 2);
		r = e.error ? e.error : read_reduction(lower, table.layout.type, &function);
	}
	if (r)
		return r;
	if (updates.layout.type != table.layout.type || !weft_layout_same_dims(&updates.layout, &index.layout))
		return weft_node_fail(lower, EINVAL,
				      "the updates have other dimensions than the indices, "
				      "or another type than the table");
	places = element_places(&e, index, &table.layout, axis);
	return scatter_rows(&e, function, table, places, updates, 1);
}

/* Tuples of indices of GatherND and ScatterND. */
struct tuples {
	struct weft_operand table, index;
	unsigned int batch, length; /* dimensions that tables share with indices, and that a tuple names */
	uint64_t row;		    /* elements that a tuple names */
};

static int read_tuples(struct weft_expression *e, unsigned int batch, struct tuples *tuples)
{
	struct weft_lower *lower = e->lower;
	const struct weft_layout *table, *index;
	unsigned int d;
	int r;

	tuples->table = weft_expression_dense(e, 0);
	tuples->index = weft_expression_dense(e, 1);
	table = &tuples->table.layout;
	index = &tuples->index.layout;
	r = e->error ? e->error : check_indices(lower, table, index);
	if (r)
		return r;
	if (!index->rank || batch >= index->rank || batch + index->dims[index->rank - 1] > table->rank)
		return weft_node_fail(lower, EINVAL, "indices of rank %u for a table of rank %u", index->rank,
				      table->rank);
	tuples->batch = batch;
	tuples->length = index->dims[index->rank - 1];
	tuples->row = 1;
	for (d = 0; d < batch; d++)
		if (index->dims[d] != table->dims[d])
			return weft_node_fail(lower, EINVAL, "dimension %u is %u of the table and %u of the indices", d,
					      table->dims[d], index->dims[d]);
	for (d = batch + tuples->length; d < table->rank; d++)
		tuples->row *= table->dims[d];
	return 0;
}

/* The rows that the tuples name, as a vector. */
static struct weft_operand tuple_places(struct weft_expression *e, const struct tuples *tuples)
{
	const struct weft_layout *table = &tuples->table.layout, *index = &tuples->index.layout;
	unsigned int last = index->rank - 1u, d;
	int64_t step[WEFT_MAX_RANK] = {0};
	bool counted[WEFT_MAX_RANK] = {false};
	struct weft_operand place, part, inside, all_inside = WEFT_ABSENT, end;

	for (d = 0; d < tuples->batch + tuples->length; d++)
		step[d] = table->strides[d] / (int64_t)tuples->row;
	for (d = 0; d < tuples->batch; d++)
		counted[d] = true;
	place = offsets(e, index->type, index->rank, index->dims, counted, step);
	for (d = 0; d < tuples->length; d++) {
		part = weft_expression_part(e, tuples->index, last, d, 1);
		part = from_start(e, part, table->dims[tuples->batch + d], &inside);
		part = weft_expression_with(e, WEFT_BINARY_MUL, part, (double)step[tuples->batch + d]);
		place = weft_expression_binary(e, WEFT_BINARY_ADD, part, place);
		all_inside = d ? weft_expression_binary(e, WEFT_BINARY_AND, all_inside, inside) : inside;
	}
	end = weft_expression_number(e, index->type, (double)(weft_layout_elements(table) / tuples->row));
	return weft_expression_flat(e, weft_expression_where(e, all_inside, place, end));
}

int weft_lower_gather_nd(struct weft_lower *lower)
{
	int64_t batch = weft_attribute_int(lower, "batch_dims", 0);
	struct weft_expression e = {.lower = lower};
	struct weft_layout layout = {0};
	struct weft_operand gathered, table;
	struct tuples tuples;
	unsigned int d;
	int r;

	if (batch < 0 || batch >= WEFT_MAX_RANK)
		return weft_node_fail(lower, EINVAL, "batch_dims is %lld", (long long)batch);
	r = read_tuples(&e, (unsigned int)batch, &tuples);
	if (r)
		return r;
	for (d = 0; d + 1u < tuples.index.layout.rank; d++)
		layout.dims[layout.rank++] = tuples.index.layout.dims[d];
	for (d = tuples.batch + tuples.length; d < tuples.table.layout.rank; d++) {
		if (layout.rank == WEFT_MAX_RANK)
			return weft_node_fail(lower, EOPNOTSUPP, "the result has too many dimensions");
		layout.dims[layout.rank++] = tuples.table.layout.dims[d];
	}
	table = weft_expression_reshape(
		&e, tuples.table, 2,
		(uint32_t[]){(uint32_t)(weft_layout_elements(&tuples.table.layout) / tuples.row),
			     (uint32_t)tuples.row});
	gathered = weft_expression_gather(&e, table, tuple_places(&e, &tuples));
	return weft_expression_output(&e, 0, weft_expression_reshape(&e, gathered, layout.rank, layout.dims));
}

int weft_lower_scatter_nd(struct weft_lower *lower)
{
	struct weft_expression e = {.lower = lower};
	struct weft_operand updates;
	struct tuples tuples;
	uint32_t function = 0;
	int r = read_tuples(&e, 0, &tuples);

	if (!r) {
		updates = weft_expression_dense(&e, 2);
		r = e.error ? e.error : read_reduction(lower, tuples.table.layout.type, &function);
	}
	if (r)
		return r;
	if (updates.layout.type != tuples.table.layout.type ||
	    weft_layout_elements(&updates.layout) !=
		    weft_layout_elements(&tuples.index.layout) / tuples.length * tuples.row)
		return weft_node_fail(lower, EINVAL, "the updates do not fit the indices, or have another type");
	return scatter_rows(&e, function, tuples.table, tuple_places(&e, &tuples), updates, tuples.row);
}

/* Element t of a sequence of length n comes from n - 1 - t, and from t where the sequence has ended. */
int weft_lower_reverse_sequence(struct weft_lower *lower)
{
	int64_t time = weft_attribute_int(lower, "time_axis", 0), batch = weft_attribute_int(lower, "batch_axis", 1);
	struct weft_expression e = {.lower = lower};
	struct weft_operand x = weft_expression_dense(&e, 0), length = weft_expression_dense(&e, 1);
	struct weft_operand step, from, place, row, gathered;
	uint32_t rows, columns, dims[2];
	uint64_t rest;

	if (e.error)
		return e.error;
	if (x.layout.rank < 2 || time < 0 || time > 1 || batch != 1 - time || length.layout.rank != 1 ||
	    length.layout.dims[0] != x.layout.dims[batch])
		return weft_node_fail(lower, EINVAL,
				      "rank %u, time axis %lld, batch axis %lld and the lengths do not fit",
				      x.layout.rank, (long long)time, (long long)batch);
	e.error = check_indices(lower, &x.layout, &length.layout);
	rows = x.layout.dims[0];
	columns = x.layout.dims[1];
	rest = weft_layout_elements(&x.layout) / rows / columns;
	dims[batch] = x.layout.dims[batch];
	dims[time] = 1;
	length = weft_expression_reshape(&e, weft_expression_cast(&e, WEFT_TYPE_I64, length), 2, dims);
	step = weft_expression_places(&e, WEFT_TYPE_I64, 2, (unsigned int)time, x.layout.dims[time]);
	from = weft_expression_with(&e, WEFT_BINARY_SUB, weft_expression_binary(&e, WEFT_BINARY_SUB, length, step), 1);
	from = weft_expression_where(&e, weft_expression_binary(&e, WEFT_BINARY_LESS, step, length), from, step);
	place = weft_expression_places(&e, WEFT_TYPE_I64, 2, (unsigned int)batch, x.layout.dims[batch]);
	row = time == 0 ? weft_expression_binary(&e, WEFT_BINARY_ADD,
						 weft_expression_with(&e, WEFT_BINARY_MUL, from, columns), place)
			: weft_expression_binary(&e, WEFT_BINARY_ADD,
						 weft_expression_with(&e, WEFT_BINARY_MUL, place, columns), from);
	gathered = weft_expression_gather(
		&e, weft_expression_reshape(&e, x, 2, (uint32_t[]){rows * columns, (uint32_t)rest}),
		weft_expression_flat(&e, row));
	return weft_expression_output(&e, 0, weft_expression_reshape(&e, gathered, x.layout.rank, x.layout.dims));
}

static int read_top_k(struct weft_lower *lower, uint32_t extent, uint32_t *k)
{
	int64_t count = weft_attribute_int(lower, "k", 0);

	if (lower->model->opset >= 10) {
		const struct weft_host_tensor *known = weft_input_known(lower, 1);

		if (!known || known->elements != 1)
			return known ? weft_node_fail(lower, EINVAL, "K is no single number") : -EOPNOTSUPP;
		count = weft_host_integer(known, 0);
	}
	if (count < 1 || count > extent)
		return weft_node_fail(lower, EINVAL, "K is %lld of %u", (long long)count, extent);
	*k = (uint32_t)count;
	return 0;
}

/* The device finds the places; the values are gathered, so that their gradient finds its way back. */
int weft_lower_top_k(struct weft_lower *lower)
{
	union weft_params params = {.topk = {.smallest = !weft_attribute_int(lower, "largest", 1)}};
	struct weft_expression e = {.lower = lower};
	struct weft_operand x = weft_expression_dense(&e, 0), index = WEFT_ABSENT, operand[2], values;
	uint8_t order[WEFT_MAX_RANK];
	unsigned int axis = 0, d, n = 0;
	struct weft_layout layout;
	int r = e.error;

	if (!r)
		r = weft_axis(lower, weft_attribute_int(lower, "axis", -1), x.layout.rank, &axis);
	layout = x.layout;
	layout.type = WEFT_TYPE_I64;
	if (!r)
		r = read_top_k(lower, x.layout.dims[axis], &layout.dims[axis]);
	if (!r)
		r = check_indices(lower, &x.layout, &layout);
	weft_layout_dense(&layout);
	operand[0] = x;
	if (!r && x.layout.type != WEFT_TYPE_F32 && x.layout.type != WEFT_TYPE_I64)
		operand[0] = weft_expression_cast(&e, WEFT_TYPE_I32, x);
	if (!r)
		r = e.error ? e.error : weft_temporary(lower, &layout, &index);
	if (r)
		return r;
	operand[1] = index;
	for (d = 0; d < x.layout.rank; d++)
		if (d != axis)
			order[n++] = (uint8_t)d;
	order[n] = (uint8_t)axis;
	for (d = 0; d < 2; d++)
		operand[d].layout = weft_layout_permuted(&operand[d].layout, order);
	e.error = weft_build(lower->graph, lower->node_name, WEFT_OP_TOPK, &params, 1, 2, operand, NULL);
	values = gather_flat(&e, x, element_places(&e, index, &x.layout, axis), &layout);
	weft_expression_output(&e, 0, values);
	return weft_expression_output(&e, 1, index);
}
