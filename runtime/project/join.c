// SPDX-License-Identifier: MIT
/* Several models as one, and a part of a model as one of its own. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "quant/edit.h"
#include "weft/error.h"
#include "weft/project.h"

static int no_memory(void)
{
	return weft_fail(ENOMEM, "no memory to join models");
}

static bool is_input(const Onnx__GraphProto *graph, const char *name)
{
	for (size_t i = 0; i < graph->n_input; i++)
		if (!strcmp(graph->input[i]->name, name))
			return weft_edit_initializer(graph, name) < 0;
	return false;
}

/* Input @index of those that no initializer stands for, NULL beyond the last. */
static const char *nth_input(const Onnx__GraphProto *graph, size_t index)
{
	for (size_t i = 0; i < graph->n_input; i++)
		if (weft_edit_initializer(graph, graph->input[i]->name) < 0 && !index--)
			return graph->input[i]->name;
	return NULL;
}

static const char *features_of(const struct weft_model *model)
{
	for (size_t i = 0; i < model->proto->n_metadata_props; i++)
		if (!strcmp(model->proto->metadata_props[i]->key, WEFT_FEATURES_KEY))
			return model->proto->metadata_props[i]->value;
	return NULL;
}

/* Inputs are shared, but hashed features only with a model of the same ones. */
static const Onnx__GraphProto *sharing(const struct weft_model *student, const struct weft_model *teacher)
{
	const char *own = features_of(student), *other = features_of(teacher);

	return (own && other ? !strcmp(own, other) : own == other) ? student->proto->graph : NULL;
}

/* What the teacher's value @name is called in the joint model; @student NULL: no inputs are shared. */
static int joint_name(const Onnx__GraphProto *student, const Onnx__GraphProto *teacher, uint32_t index,
		      const char *name, char **result)
{
	int length;

	for (size_t i = 0; student && is_input(teacher, name) && nth_input(teacher, i); i++) {
		const char *shared = nth_input(student, i);

		if (strcmp(nth_input(teacher, i), name))
			continue;
		if (!shared)
			return weft_fail(EINVAL, "teacher %u has an input %s more than the student", index, name);
		*result = strdup(shared);
		return *result ? 0 : no_memory();
	}
	length = asprintf(result, "teacher%u/%s", index, name);
	if (length < 0)
		*result = NULL;
	return length < 0 ? no_memory() : 0;
}

static int rename_in(const Onnx__GraphProto *student, const Onnx__GraphProto *teacher, uint32_t index, char **name)
{
	char *joint;
	int r;

	if (!*name || !**name)
		return 0;
	r = joint_name(student, teacher, index, *name, &joint);
	if (r)
		return r;
	if (*name != protobuf_c_empty_string)
		free(*name);
	*name = joint;
	return 0;
}

static int rename_teacher(const Onnx__GraphProto *student, const Onnx__GraphProto *names, uint32_t index,
			  Onnx__GraphProto *teacher)
{
	int r = 0;

	for (size_t i = 0; i < teacher->n_node && !r; i++) {
		Onnx__NodeProto *node = teacher->node[i];

		for (size_t k = 0; k < node->n_attribute && !r; k++)
			if (node->attribute[k]->g)
				r = weft_fail(EOPNOTSUPP, "teacher %u: operator %s with a graph of its own", index,
					      node->op_type);
		for (size_t k = 0; k < node->n_input && !r; k++)
			r = rename_in(student, names, index, &node->input[k]);
		for (size_t k = 0; k < node->n_output && !r; k++)
			r = rename_in(student, names, index, &node->output[k]);
		if (!r)
			r = rename_in(student, names, index, &node->name);
	}
	/* Inputs that stand for themselves; initializers have the same names. */
	for (size_t i = 0; i < teacher->n_input && !student && !r; i++)
		r = rename_in(student, names, index, &teacher->input[i]->name);
	for (size_t i = 0; i < teacher->n_initializer && !r; i++)
		r = rename_in(student, names, index, &teacher->initializer[i]->name);
	return r;
}

/* Move the pointers of @from to the end of @to. */
static int move(void *to, size_t *count, void *from, size_t *more)
{
	void ***list = to, **items = from, **larger;

	if (!*more)
		return 0;
	larger = realloc(*list, (*count + *more) * sizeof(*larger));
	if (!larger)
		return no_memory();
	*list = larger;
	memcpy(larger + *count, items, *more * sizeof(*larger));
	*count += *more;
	*more = 0;
	return 0;
}

static bool has_domain(const Onnx__ModelProto *proto, const char *domain)
{
	for (size_t i = 0; i < proto->n_opset_import; i++)
		if (!strcmp(proto->opset_import[i]->domain ? proto->opset_import[i]->domain : "", domain))
			return true;
	return false;
}

static int add_domains(Onnx__ModelProto *joint, Onnx__ModelProto *teacher)
{
	int r = 0;

	for (size_t i = 0; i < teacher->n_opset_import && !r; i++) {
		Onnx__OperatorSetIdProto *set = teacher->opset_import[i];
		const char *domain = set->domain ? set->domain : "";
		size_t one = 1;

		if (!strcmp(domain, "ai.onnx") || has_domain(joint, domain))
			continue;
		r = move(&joint->opset_import, &joint->n_opset_import, &set, &one);
		if (r)
			return r;
		memmove(teacher->opset_import + i, teacher->opset_import + i + 1,
			(teacher->n_opset_import - i - 1) * sizeof(set));
		teacher->n_opset_import--;
		i--;
	}
	return r;
}

/* Opsets among which no operator changed what it computes. */
static bool is_alike(int64_t opset)
{
	return opset >= 13 && opset <= 17;
}

/* Add teacher @index; *output receives the name of its scores. */
static int add_teacher(struct weft_model *joint, const struct weft_model *student, const struct weft_model *teacher,
		       uint32_t index, char **output)
{
	const Onnx__GraphProto *shared = sharing(student, teacher);
	Onnx__GraphProto *graph = joint->proto->graph, *part;
	struct weft_model *copy;
	int r;

	if (teacher->opset != student->opset && !(is_alike(teacher->opset) && is_alike(student->opset)))
		return weft_fail(
			EINVAL,
			"%s is of opset %lld, %s of opset %lld: they must be of the same, or both from 13 to 17",
			student->name, (long long)student->opset, teacher->name, (long long)teacher->opset);
	if (!teacher->proto->graph->n_output)
		return weft_fail(EINVAL, "%s has no output", teacher->name);
	r = weft_edit_copy(teacher, &copy);
	if (r)
		return r;
	part = copy->proto->graph;
	weft_edit_remove_notes(part);
	r = joint_name(shared, teacher->proto->graph, index, part->output[0]->name, output);
	if (!r)
		r = rename_teacher(shared, teacher->proto->graph, index, part);
	if (!r && !shared)
		r = move(&graph->input, &graph->n_input, part->input, &part->n_input);
	if (!r)
		r = move(&graph->node, &graph->n_node, part->node, &part->n_node);
	if (!r)
		r = move(&graph->initializer, &graph->n_initializer, part->initializer, &part->n_initializer);
	if (!r)
		r = add_domains(joint->proto, copy->proto);
	weft_model_free(copy);
	return r;
}

static int add_hidden(struct weft_model *joint, const struct weft_model *student, const struct weft_model *teacher,
		      const struct weft_hidden_pair *pair)
{
	char *name;
	int r;

	if (weft_edit_producer(student->proto->graph, pair->student) < 0)
		return weft_fail(ENOENT, "%s: no node makes a value %s", student->name, pair->student);
	if (weft_edit_producer(teacher->proto->graph, pair->teacher) < 0)
		return weft_fail(ENOENT, "%s: no node makes a value %s", teacher->name, pair->teacher);
	r = joint_name(sharing(student, teacher), teacher->proto->graph, 0, pair->teacher, &name);
	if (r)
		return r;
	r = weft_edit_add_output(joint->proto->graph, pair->student);
	if (!r)
		r = weft_edit_add_output(joint->proto->graph, name);
	free(name);
	return r;
}

static void drop_outputs(Onnx__GraphProto *graph, size_t keep)
{
	for (size_t i = 0; i < graph->n_output; i++)
		if (i != keep)
			onnx__value_info_proto__free_unpacked(graph->output[i], NULL);
	graph->output[0] = graph->output[keep];
	graph->n_output = 1;
}

int weft_models_join(const struct weft_model *student, const struct weft_model *const *teacher, uint32_t teachers,
		     const struct weft_hidden_pair *pair, uint32_t pairs, struct weft_model **joint)
{
	struct weft_model *model;
	int r;

	if (!student->proto->graph->n_output)
		return weft_fail(EINVAL, "%s has no output", student->name);
	if (pairs && !teachers)
		return weft_fail(EINVAL, "hidden values of a teacher, but there is none");
	r = weft_edit_copy(student, &model);
	if (r)
		return r;
	weft_edit_remove_notes(model->proto->graph);
	drop_outputs(model->proto->graph, 0);
	for (uint32_t i = 0; i < teachers && !r; i++) {
		char *output = NULL;

		r = add_teacher(model, student, teacher[i], i, &output);
		if (!r)
			r = weft_edit_add_output(model->proto->graph, output);
		free(output);
	}
	for (uint32_t i = 0; i < pairs && !r; i++)
		r = add_hidden(model, student, teacher[0], &pair[i]);
	if (r)
		weft_model_free(model);
	else
		*joint = model;
	return r;
}

/* Mark the nodes that @name needs. */
static void mark(const Onnx__GraphProto *graph, bool needed[])
{
	/* Nodes stand after what they read. */
	for (size_t i = graph->n_node; i-- > 0;) {
		const Onnx__NodeProto *node = graph->node[i];

		for (size_t o = 0; o < node->n_output && !needed[i]; o++) {
			const char *name = node->output[o];

			needed[i] = name[0] && weft_edit_is_output(graph, name);
			for (size_t k = i + 1; k < graph->n_node && !needed[i]; k++)
				for (size_t n = 0; needed[k] && n < graph->node[k]->n_input && !needed[i]; n++)
					needed[i] = name[0] && !strcmp(graph->node[k]->input[n], name);
		}
	}
}

static void drop_inputs(Onnx__GraphProto *graph)
{
	for (size_t i = graph->n_input; i-- > 0;) {
		if (weft_edit_uses(graph, graph->input[i]->name, NULL))
			continue;
		onnx__value_info_proto__free_unpacked(graph->input[i], NULL);
		graph->n_input--;
		memmove(graph->input + i, graph->input + i + 1, (graph->n_input - i) * sizeof(*graph->input));
	}
}

int weft_model_part(const struct weft_model *model, uint32_t output, struct weft_model **part)
{
	Onnx__GraphProto *graph = model->proto->graph;
	bool *needed;
	int r;

	if (output >= graph->n_output)
		return weft_fail(EINVAL, "%s has %zu outputs, and so no output %u", model->name, graph->n_output,
				 output);
	r = weft_edit_copy(model, part);
	if (r)
		return r;
	graph = (*part)->proto->graph;
	needed = calloc(graph->n_node + 1, sizeof(*needed));
	if (!needed) {
		weft_model_free(*part);
		return no_memory();
	}
	drop_outputs(graph, output);
	mark(graph, needed);
	for (size_t i = graph->n_node; i-- > 0;)
		if (!needed[i])
			weft_edit_remove_node(graph, i);
	free(needed);
	weft_edit_remove_unused(graph);
	drop_inputs(graph);
	return 0;
}

static int keep(void *user, const char *name, void *data, size_t bytes)
{
	(void)user, (void)name, (void)data, (void)bytes;
	return -ENOENT;
}

int weft_model_save(const struct weft_model *model, const char *path)
{
	return weft_model_save_onnx(model, path, keep, NULL);
}
