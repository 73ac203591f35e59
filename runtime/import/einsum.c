// SPDX-License-Identifier: MIT
/*
 * Einsum.  Operands are joined from left to right, each pair by one batched
 * matrix product: labels that both have and that are needed later are the
 * batch, those that both have and nobody needs are summed over.
 */
#include <errno.h>
#include <string.h>

#include "graph/layout.h"
#include "import/expression.h"
#include "import/operators.h"
#include "weft/error.h"

#define MOST_OPERANDS 16
/* Dimensions of an ellipsis are labels, too: 'A' to 'Z', 'a' to 'z', then these from the last one down. */
#define ELLIPSIS_LAST 0xff

/* A tensor and the label of each of its dimensions. */
struct term {
	struct weft_operand x;
	unsigned int rank;
	uint8_t label[WEFT_MAX_RANK];
};

struct equation {
	const char *text;
	size_t length, at;
};

static bool is_label(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* The next label, '.' for an ellipsis, ',' or '>' for "->"; 0 at the end, -1 for what is none of them. */
static int next_token(struct equation *equation)
{
	const char *text = equation->text;

	while (equation->at < equation->length && text[equation->at] == ' ')
		equation->at++;
	if (equation->at >= equation->length)
		return 0;
	if (is_label(text[equation->at]) || text[equation->at] == ',')
		return text[equation->at++];
	if (equation->length - equation->at >= 3 && !memcmp(text + equation->at, "...", 3)) {
		equation->at += 3;
		return '.';
	}
	if (equation->length - equation->at >= 2 && !memcmp(text + equation->at, "->", 2)) {
		equation->at += 2;
		return '>';
	}
	return -1;
}

/*
 * Labels up to a comma or arrow, which *end receives.  @ellipsis is how many
 * dimensions an ellipsis stands for; -1: as many as make the rank @rank.
 */
static int read_labels(struct weft_lower *lower, struct equation *equation, int ellipsis, unsigned int rank,
		       struct term *term, int *end)
{
	uint8_t before[WEFT_MAX_RANK], after[WEFT_MAX_RANK];
	unsigned int n[2] = {0, 0}, i;
	bool seen = false;
	int token;

	for (token = next_token(equation); token > 0 && token != ',' && token != '>'; token = next_token(equation)) {
		if (token == '.' ? seen : n[seen] == WEFT_MAX_RANK)
			return weft_node_fail(lower, EINVAL, "the equation has two ellipses or too many labels");
		if (token == '.')
			seen = true;
		else
			(seen ? after : before)[n[seen]++] = (uint8_t)token;
	}
	if (token < 0)
		return weft_node_fail(lower, EINVAL, "character %zu of the equation is none that it may have",
				      equation->at);
	*end = token;
	if (ellipsis < 0)
		ellipsis = seen ? (int)rank - (int)(n[0] + n[1]) : 0;
	if (ellipsis < 0 || n[0] + n[1] + (seen ? (unsigned int)ellipsis : 0) > WEFT_MAX_RANK)
		return weft_node_fail(lower, EINVAL, "%u labels for rank %u", n[0] + n[1], rank);
	term->rank = 0;
	for (i = 0; i < n[0]; i++)
		term->label[term->rank++] = before[i];
	for (i = (unsigned int)ellipsis; seen && i > 0; i--)
		term->label[term->rank++] = (uint8_t)(ELLIPSIS_LAST + 1 - i);
	for (i = 0; i < n[1]; i++)
		term->label[term->rank++] = after[i];
	return 0;
}

static int find_label(const struct term *term, uint8_t label)
{
	unsigned int i;

	for (i = 0; i < term->rank; i++)
		if (term->label[i] == label)
			return (int)i;
	return -1;
}

/* Dimensions with the same label become their diagonal. */
static int take_diagonals(struct weft_lower *lower, struct term *term)
{
	struct weft_layout *layout = &term->x.layout;
	unsigned int i, j;

	for (i = 0; i < term->rank; i++) {
		int first = find_label(term, term->label[i]);

		if (first == (int)i)
			continue;
		if (layout->dims[first] != layout->dims[i])
			return weft_node_fail(lower, EINVAL, "label %c is %u and %u", term->label[i],
					      layout->dims[first], layout->dims[i]);
		layout->strides[first] += layout->strides[i];
		for (j = i; j + 1 < term->rank; j++) {
			layout->dims[j] = layout->dims[j + 1];
			layout->strides[j] = layout->strides[j + 1];
			term->label[j] = term->label[j + 1];
		}
		term->rank--;
		layout->rank--;
		layout->dims[layout->rank] = 0;
		layout->strides[layout->rank] = 0;
		i--;
	}
	return 0;
}

/* Sum over the labels of @term that none of @others has. */
static void sum_out(struct weft_expression *e, struct term *term, const struct term others[], unsigned int count)
{
	uint32_t dims[WEFT_MAX_RANK];
	bool axes[WEFT_MAX_RANK] = {false}, any = false;
	unsigned int i, o, kept = 0;

	for (i = 0; i < term->rank; i++) {
		axes[i] = true;
		for (o = 0; o < count && axes[i]; o++)
			axes[i] = find_label(&others[o], term->label[i]) < 0;
		any |= axes[i];
		if (!axes[i]) {
			dims[kept] = term->x.layout.dims[i];
			term->label[kept++] = term->label[i];
		}
	}
	if (!any)
		return;
	term->x = weft_expression_reduce(e, WEFT_REDUCE_SUM, term->x, axes);
	term->x = weft_expression_reshape(e, term->x, kept, dims);
	term->rank = kept;
}

/* The labels of a pair in four groups. */
enum group { BATCH, LEFT, RIGHT, SUMMED, GROUPS };

struct pair {
	unsigned int count[GROUPS];
	uint8_t label[GROUPS][2 * WEFT_MAX_RANK];
	uint32_t dims[GROUPS][2 * WEFT_MAX_RANK];
};

static void add_label(struct pair *pair, enum group group, uint8_t label, uint32_t extent)
{
	pair->label[group][pair->count[group]] = label;
	pair->dims[group][pair->count[group]++] = extent;
}

static int group_labels(struct weft_lower *lower, const struct term *a, const struct term *b,
			const struct term others[], unsigned int count, struct pair *pair)
{
	unsigned int i, o;

	memset(pair, 0, sizeof(*pair));
	for (i = 0; i < a->rank; i++) {
		int other = find_label(b, a->label[i]);
		uint32_t extent = a->x.layout.dims[i];
		bool needed = false;

		if (other < 0) {
			add_label(pair, LEFT, a->label[i], extent);
			continue;
		}
		if (b->x.layout.dims[other] != extent && b->x.layout.dims[other] != 1 && extent != 1)
			return weft_node_fail(lower, EINVAL, "a label is %u and %u", extent, b->x.layout.dims[other]);
		for (o = 0; o < count; o++)
			needed |= find_label(&others[o], a->label[i]) >= 0;
		extent = extent == 1 ? b->x.layout.dims[other] : extent;
		add_label(pair, needed ? BATCH : SUMMED, a->label[i], extent);
	}
	for (i = 0; i < b->rank; i++)
		if (find_label(a, b->label[i]) < 0)
			add_label(pair, RIGHT, b->label[i], b->x.layout.dims[i]);
	return 0;
}

/* @term as [batch, rows, columns], each being all labels of a group. */
static struct weft_operand as_matrices(struct weft_expression *e, const struct term *term, const struct pair *pair,
				       enum group rows, enum group columns)
{
	const enum group groups[3] = {BATCH, rows, columns};
	struct weft_layout layout = {.type = term->x.layout.type, .rank = (uint8_t)term->rank};
	struct weft_operand x = term->x;
	uint32_t dims[3] = {1, 1, 1};
	unsigned int g, i, n = 0;

	for (g = 0; g < 3; g++) {
		for (i = 0; i < pair->count[groups[g]]; i++) {
			int dim = find_label(term, pair->label[groups[g]][i]);

			if (dim < 0 || n >= layout.rank)
				continue;
			layout.dims[n] = pair->dims[groups[g]][i];
			/* An extent of 1 repeats along the other operand's. */
			if (x.layout.dims[dim] == layout.dims[n])
				layout.strides[n] = x.layout.strides[dim];
			dims[g] *= layout.dims[n++];
		}
	}
	x.layout = layout;
	return weft_expression_reshape(e, x, 3, dims);
}

static int check_size(struct weft_lower *lower, const struct pair *pair)
{
	uint64_t elements = 1;
	unsigned int g, i;

	for (g = 0; g < GROUPS; g++)
		for (i = 0; i < pair->count[g]; i++)
			if (__builtin_mul_overflow(elements, (uint64_t)pair->dims[g][i], &elements))
				elements = UINT64_MAX;
	/* The products of one pair; results are far smaller. */
	if (elements > (uint64_t)1 << 50 || pair->count[BATCH] + pair->count[LEFT] + pair->count[RIGHT] > WEFT_MAX_RANK)
		return weft_node_fail(lower, EOPNOTSUPP, "a product with too many elements or dimensions");
	return 0;
}

/* @a receives the product of both; its labels are the batch's, then its own that are left, then @b's. */
static void join(struct weft_expression *e, struct term *a, const struct term *b, const struct term others[],
		 unsigned int count)
{
	union weft_params params = {.matmul = {.scale = 1}};
	struct weft_operand operand[4] = {WEFT_ABSENT, WEFT_ABSENT, WEFT_ABSENT, WEFT_ABSENT};
	struct weft_layout layout = {.type = WEFT_TYPE_F32, .rank = 3};
	uint32_t dims[WEFT_MAX_RANK];
	struct pair pair;
	unsigned int g, i;

	if (!e->error)
		e->error = group_labels(e->lower, a, b, others, count, &pair);
	if (!e->error)
		e->error = check_size(e->lower, &pair);
	if (e->error)
		return;
	operand[0] = as_matrices(e, a, &pair, LEFT, SUMMED);
	operand[1] = as_matrices(e, b, &pair, SUMMED, RIGHT);
	layout.dims[0] = operand[0].layout.dims[0];
	layout.dims[1] = operand[0].layout.dims[1];
	layout.dims[2] = operand[1].layout.dims[2];
	weft_layout_dense(&layout);
	if (!e->error)
		e->error = weft_temporary(e->lower, &layout, &operand[3]);
	if (!e->error)
		e->error =
			weft_build(e->lower->graph, e->lower->node_name, WEFT_OP_MATMUL, &params, 3, 4, operand, NULL);
	a->rank = 0;
	for (g = BATCH; g <= RIGHT; g++) {
		for (i = 0; i < pair.count[g]; i++) {
			dims[a->rank] = pair.dims[g][i];
			a->label[a->rank++] = pair.label[g][i];
		}
	}
	a->x = weft_expression_reshape(e, operand[3], a->rank, dims);
}

/* Without an arrow the result has the labels that occur once, in the order of the alphabet, after the ellipsis. */
static void implied_result(const struct term term[], unsigned int count, struct term *result)
{
	unsigned int label, i, d, uses;

	result->rank = 0;
	for (label = ELLIPSIS_LAST - WEFT_MAX_RANK; label != 'z' + 1;
	     label = label == ELLIPSIS_LAST ? 'A' : label + 1) {
		for (i = uses = 0; i < count; i++)
			for (d = 0; d < term[i].rank; d++)
				uses += term[i].label[d] == label;
		if ((label > 'z' ? uses > 0 : uses == 1) && result->rank < WEFT_MAX_RANK)
			result->label[result->rank++] = (uint8_t)label;
	}
}

/* The terms, and last the result. */
static int read_equation(struct weft_lower *lower, struct term term[], unsigned int count)
{
	const Onnx__AttributeProto *attribute = weft_attribute(lower, "equation");
	struct equation equation = {0};
	unsigned int i, d, ellipsis = 0;
	int r = 0, end = 0;

	if (!attribute || attribute->s.len > 256)
		return weft_node_fail(lower, EINVAL, "the equation is missing or too long");
	equation.text = (const char *)attribute->s.data;
	equation.length = attribute->s.len;
	for (i = 0; i < count && !r; i++) {
		r = read_labels(lower, &equation, -1, term[i].x.layout.rank, &term[i], &end);
		if (!r && term[i].rank != term[i].x.layout.rank)
			r = weft_node_fail(lower, EINVAL, "%u labels for rank %u", term[i].rank, term[i].x.layout.rank);
		if (!r && (end == ',') != (i + 1 < count))
			r = weft_node_fail(lower, EINVAL, "the equation is for another number of inputs than %u",
					   count);
		for (d = 0; d < term[i].rank && !r; d++)
			if (term[i].label[d] > 'z' && ELLIPSIS_LAST + 1u - term[i].label[d] > ellipsis)
				ellipsis = ELLIPSIS_LAST + 1u - term[i].label[d];
	}
	if (r)
		return r;
	if (end != '>') {
		implied_result(term, count, &term[count]);
		return 0;
	}
	r = read_labels(lower, &equation, (int)ellipsis, 0, &term[count], &end);
	if (!r && end)
		r = weft_node_fail(lower, EINVAL, "the equation goes on after its result");
	for (i = 0; i < term[count].rank && !r; i++) {
		bool found = false;

		for (d = 0; d < count; d++)
			found |= find_label(&term[d], term[count].label[i]) >= 0;
		if (!found || find_label(&term[count], term[count].label[i]) != (int)i)
			r = weft_node_fail(lower, EINVAL, "label %c of the result is in no input, or there twice",
					   term[count].label[i]);
	}
	return r;
}

int weft_lower_einsum(struct weft_lower *lower)
{
	struct weft_expression e = {.lower = lower};
	struct term term[MOST_OPERANDS + 1];
	unsigned int count = (unsigned int)lower->node->n_input, i;
	uint8_t order[WEFT_MAX_RANK];
	int r;

	if (!count || lower->node->n_input > MOST_OPERANDS)
		return weft_node_fail(lower, EOPNOTSUPP, "%zu inputs; 1 to %u are supported", lower->node->n_input,
				      MOST_OPERANDS);
	for (i = 0; i < count; i++) {
		term[i].x = weft_expression_input(&e, i);
		if (!e.error && term[i].x.layout.type != WEFT_TYPE_F32)
			e.error = weft_node_fail(lower, EOPNOTSUPP, "only float tensors are supported");
	}
	r = e.error ? e.error : read_equation(lower, term, count);
	for (i = 0; i < count && !r; i++)
		r = take_diagonals(lower, &term[i]);
	if (r)
		return r;
	for (i = 1; i < count; i++) {
		sum_out(&e, &term[0], &term[i], count + 1 - i);
		join(&e, &term[0], &term[i], &term[i + 1], count - i);
	}
	sum_out(&e, &term[0], &term[count], 1);
	for (i = 0; i < term[count].rank && !e.error; i++) {
		int dim = find_label(&term[0], term[count].label[i]);

		if (dim < 0)
			e.error = weft_node_fail(lower, EINVAL, "a label of the result is missing");
		order[i] = (uint8_t)dim;
	}
	return weft_expression_output(&e, 0, weft_expression_permuted(&e, term[0].x, order));
}
