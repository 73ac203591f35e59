// SPDX-License-Identifier: MIT
/* WEFT_LOSS_DISTILL: a student learns from labels and from teachers; see struct weft_distillation. */
#include "autodiff/loss.h"

#include <errno.h>
#include <stdio.h>

#include "graph/build.h"
#include "graph/layout.h"
#include "weft/error.h"

/* The sum of the terms so far, and how to make more. */
struct terms {
	struct weft_graph *graph;
	const struct weft_distillation *how;
	struct weft_operand total; /* absent before the first */
};

static struct weft_operand scalar_like(const struct weft_operand *x, weft_id id)
{
	struct weft_operand operand = {.id = id, .layout = {.type = WEFT_TYPE_F32, .rank = x->layout.rank}};

	for (unsigned int i = 0; i < x->layout.rank; i++)
		operand.layout.dims[i] = operand.layout.strides[i] = 1;
	return operand;
}

/* Add @factor times @function of REDUCE over all elements of @x. */
static int add_term(struct terms *t, const char *name, uint32_t function, const struct weft_operand *x, float factor)
{
	union weft_params reduce = {.reduce = {.function = function, .scale = factor}};
	union weft_params add = {.binary = {.function = WEFT_BINARY_ADD}};
	const struct weft_layout scalar = {.type = WEFT_TYPE_F32};
	struct weft_operand term = {.layout = scalar}, sum = {.layout = scalar};
	int r = weft_build_value(t->graph, name, &scalar, &term.id);

	if (!r)
		r = weft_build_broadcast(t->graph, name, WEFT_OP_REDUCE, &reduce, 1, 2,
					 (struct weft_operand[]){*x, scalar_like(x, term.id)}, 0, NULL);
	if (r || t->total.id == WEFT_NO_ID) {
		t->total = term;
		return r;
	}
	r = weft_build_value(t->graph, "loss.sum", &scalar, &sum.id);
	if (!r)
		r = weft_build_elementwise(t->graph, "loss.sum", WEFT_OP_BINARY, &add, 2, 3,
					   (struct weft_operand[]){t->total, term, sum}, NULL);
	t->total = sum;
	return r;
}

/* Cross-entropy with the labels; examples without one (-1) add nothing. */
static int label_term(struct terms *t, const char *name, const struct weft_operand *scores, float factor)
{
	union weft_params params = {.xent = {.reduction = WEFT_XENT_NONE, .ignore_index = -1, .has_ignore = 1}};
	struct weft_operand losses = {.layout = {.type = WEFT_TYPE_F32, .rank = 1}};
	int r;

	losses.layout.dims[0] = scores->layout.dims[0];
	weft_layout_dense(&losses.layout);
	r = weft_build_value(t->graph, name, &losses.layout, &losses.id);
	if (!r)
		r = weft_graph_add_operation(
			t->graph, name, WEFT_OP_XENT_FWD, &params, 3, 6,
			(weft_id[]){scores->id, t->graph->label, WEFT_NO_ID, losses.id, WEFT_NO_ID, WEFT_NO_ID}, NULL);
	return r ? r : add_term(t, name, WEFT_REDUCE_SUM, &losses, factor / (float)scores->layout.dims[0]);
}

/* softmax(@x / temperature), or its logarithm; @constant: no gradient goes back to @x. */
static int soften(struct terms *t, const char *name, const struct weft_operand *x, bool logarithm, bool constant,
		  struct weft_operand *result)
{
	union weft_params divide = {
		.unary = {.function = WEFT_UNARY_AFFINE, .alpha = 1 / t->how->temperature, .beta = 0}};
	union weft_params softmax = {.softmax = {.log = logarithm}};
	struct weft_operand scaled = *x;
	weft_id at;
	int r = 0;

	if (t->how->temperature != 1) {
		r = weft_build_value(t->graph, name, &x->layout, &scaled.id);
		if (!r)
			r = weft_build_elementwise(t->graph, name, WEFT_OP_UNARY, &divide, 1, 2,
						   (struct weft_operand[]){*x, scaled}, NULL);
	}
	result->layout = x->layout;
	if (!r)
		r = weft_build_value(t->graph, name, &x->layout, &result->id);
	if (!r)
		r = weft_build_rows(t->graph, name, WEFT_OP_SOFTMAX_FWD, &softmax, 1, 2,
				    (struct weft_operand[]){scaled, *result}, &at);
	if (!r)
		t->graph->operation[at].constant = constant;
	return r;
}

/* @factor times the cross-entropy of the student with one teacher, both softened. */
static int teacher_term(struct terms *t, const struct weft_operand *log_student, const struct weft_operand *teacher,
			float factor)
{
	union weft_params multiply = {.binary = {.function = WEFT_BINARY_MUL}};
	float scale = -factor * t->how->temperature * t->how->temperature / (float)teacher->layout.dims[0];
	struct weft_operand soft, product;
	int r = soften(t, "loss.teacher", teacher, false, !t->how->both_ways, &soft);

	product.layout = soft.layout;
	if (!r)
		r = weft_build_value(t->graph, "loss.product", &soft.layout, &product.id);
	if (!r)
		r = weft_build_elementwise(t->graph, "loss.product", WEFT_OP_BINARY, &multiply, 2, 3,
					   (struct weft_operand[]){soft, *log_student, product}, NULL);
	return r ? r : add_term(t, "loss.distilled", WEFT_REDUCE_SUM, &product, scale);
}

/* The mean squared difference of two values of the same dims. */
static int hidden_term(struct terms *t, const struct weft_operand *a, const struct weft_operand *b)
{
	union weft_params subtract = {.binary = {.function = WEFT_BINARY_SUB}};
	struct weft_operand difference = {.layout = a->layout};
	int r;

	if (a->layout.type != WEFT_TYPE_F32 || b->layout.type != WEFT_TYPE_F32 ||
	    !weft_layout_same_dims(&a->layout, &b->layout))
		return weft_fail(EINVAL, "hidden values %s and %s are not of the same shape in float",
				 t->graph->value[a->id].name, t->graph->value[b->id].name);
	r = weft_build_value(t->graph, "loss.hidden", &a->layout, &difference.id);
	if (!r)
		r = weft_build_elementwise(t->graph, "loss.hidden", WEFT_OP_BINARY, &subtract, 2, 3,
					   (struct weft_operand[]){*a, *b, difference}, NULL);
	return r ? r
		 : add_term(t, "loss.hidden", WEFT_REDUCE_SUM_SQUARE, &difference,
			    t->how->hidden_weight / (float)weft_layout_elements(&a->layout));
}

/* Row i of the batch's first half and of its second are neighbours: their probabilities are to be alike. */
static int neighbour_term(struct terms *t, const struct weft_operand *student)
{
	union weft_params subtract = {.binary = {.function = WEFT_BINARY_SUB}}, softmax = {0};
	struct weft_operand soft = {.layout = student->layout}, first, second, difference;
	uint32_t half = student->layout.dims[0] / 2;
	uint64_t offset;
	int r;

	if (student->layout.dims[0] % 2)
		return weft_fail(EINVAL, "a batch of %u cannot be cut into pairs of neighbours",
				 student->layout.dims[0]);
	weft_layout_dense(&soft.layout);
	r = weft_build_value(t->graph, "loss.probabilities", &soft.layout, &soft.id);
	if (!r)
		r = weft_build_rows(t->graph, "loss.probabilities", WEFT_OP_SOFTMAX_FWD, &softmax, 1, 2,
				    (struct weft_operand[]){*student, soft}, NULL);
	first = soft;
	first.layout.dims[0] = half;
	second = difference = first;
	offset = (uint64_t)half * (uint64_t)soft.layout.strides[0] * sizeof(float);
	if (!r)
		r = weft_build_view(t->graph, "loss.one", soft.id, 0, &first.layout, &first.id);
	if (!r)
		r = weft_build_view(t->graph, "loss.neighbour", soft.id, offset, &second.layout, &second.id);
	if (!r)
		r = weft_build_value(t->graph, "loss.neighbours", &difference.layout, &difference.id);
	if (!r)
		r = weft_build_elementwise(t->graph, "loss.neighbours", WEFT_OP_BINARY, &subtract, 2, 3,
					   (struct weft_operand[]){first, second, difference}, NULL);
	return r ? r
		 : add_term(t, "loss.neighbours", WEFT_REDUCE_SUM_SQUARE, &difference,
			    t->how->neighbour_weight / (float)half);
}

static int check(const struct weft_graph *graph, const struct weft_distillation *how)
{
	const struct weft_layout *student = &graph->value[graph->model_output[0]].layout;

	if (!how)
		return weft_fail(EINVAL, "distillation without its weights");
	if (!(how->temperature > 0) || !(how->label >= 0) || !(how->teacher >= 0) || !(how->teacher_label >= 0) ||
	    !(how->hidden_weight >= 0) || !(how->neighbour_weight >= 0))
		return weft_fail(EINVAL, "the temperature must be positive, and the weights of the loss not negative");
	if (graph->model_outputs < 1 + how->teachers + 2 * how->hidden)
		return weft_fail(EINVAL, "the model has %u outputs; %u teachers and %u pairs of hidden values need %u",
				 graph->model_outputs, how->teachers, how->hidden, 1 + how->teachers + 2 * how->hidden);
	for (uint32_t i = 0; i <= how->teachers; i++) {
		const struct weft_value *scores = &graph->value[graph->model_output[i]];

		if (scores->layout.rank != 2 || scores->layout.type != WEFT_TYPE_F32 ||
		    !weft_layout_same_dims(&scores->layout, student))
			return weft_fail(EINVAL, "output %s is not [batch, classes] in float, as many as the student's",
					 scores->name);
	}
	return 0;
}

int weft_loss_distill(struct weft_graph *graph, const struct weft_distillation *how)
{
	struct terms t = {.graph = graph, .how = how, .total = WEFT_ABSENT};
	struct weft_operand student, log_student, teacher, other;
	weft_id *hidden;
	int r = check(graph, how);

	if (r)
		return r;
	student = weft_operand_of(graph, graph->model_output[0]);
	r = weft_loss_add_label(graph, student.layout.dims[0]);
	if (!r && how->label > 0)
		r = label_term(&t, "loss.student", &student, how->label);
	if (!r && how->teachers && how->teacher > 0)
		r = soften(&t, "loss.log_student", &student, true, false, &log_student);
	for (uint32_t i = 0; i < how->teachers && !r; i++) {
		teacher = weft_operand_of(graph, graph->model_output[1 + i]);
		if (how->teacher > 0)
			r = teacher_term(&t, &log_student, &teacher, how->teacher / (float)how->teachers);
		if (!r && how->teacher_label > 0)
			r = label_term(&t, "loss.trainer", &teacher, how->teacher_label);
	}
	for (uint32_t i = 0; i < how->hidden && how->hidden_weight > 0 && !r; i++) {
		hidden = &graph->model_output[1 + how->teachers + 2 * i];
		other = weft_operand_of(graph, hidden[0]);
		teacher = weft_operand_of(graph, hidden[1]);
		r = hidden_term(&t, &other, &teacher);
	}
	if (!r && how->neighbour_weight > 0)
		r = neighbour_term(&t, &student);
	if (!r && t.total.id == WEFT_NO_ID)
		r = weft_fail(EINVAL, "all weights of the loss are 0");
	if (r)
		return r;
	graph->loss = t.total.id;
	graph->value[graph->loss].output = true;
	return 0;
}
