// SPDX-License-Identifier: MIT
#include "compile/nodes.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "import/model.h"
#include "weft/error.h"

struct weft_name {
	const char *text;
	size_t maker; /* the node, or WEFT_NO_NODE */
	uint32_t readers;
	const Onnx__TensorProto *initializer;
};

static int compare(const void *a, const void *b)
{
	return strcmp(((const struct weft_name *)a)->text, ((const struct weft_name *)b)->text);
}

static struct weft_name *find(const struct weft_nodes *nodes, const char *text)
{
	const struct weft_name key = {.text = text};

	return nodes->names ? bsearch(&key, nodes->name, nodes->names, sizeof(key), compare) : NULL;
}

/* One entry per name; what the duplicates know is joined. */
static void join(struct weft_nodes *nodes)
{
	size_t kept = 0;

	qsort(nodes->name, nodes->names, sizeof(*nodes->name), compare);
	for (size_t i = 0; i < nodes->names; i++) {
		struct weft_name *last = kept ? &nodes->name[kept - 1] : NULL, *name = &nodes->name[i];

		if (!last || strcmp(last->text, name->text)) {
			nodes->name[kept++] = *name;
			continue;
		}
		last->readers += name->readers;
		if (name->maker != WEFT_NO_NODE)
			last->maker = name->maker;
		if (name->initializer)
			last->initializer = name->initializer;
	}
	nodes->names = kept;
}

int weft_nodes_init(struct weft_nodes *nodes, const Onnx__GraphProto *graph, int64_t opset)
{
	size_t room = graph->n_initializer + graph->n_output + 1;

	*nodes = (struct weft_nodes){.graph = graph, .opset = opset, .count = graph->n_node};
	for (size_t i = 0; i < graph->n_node; i++)
		room += graph->node[i]->n_input + graph->node[i]->n_output;
	nodes->node = calloc(graph->n_node + 1, sizeof(*nodes->node));
	nodes->made = calloc(graph->n_node + 1, sizeof(*nodes->made));
	nodes->name = calloc(room, sizeof(*nodes->name));
	if (!nodes->node || !nodes->made || !nodes->name)
		return weft_fail(ENOMEM, "no memory for %zu nodes", graph->n_node);
	for (size_t i = 0; i < graph->n_node; i++) {
		const Onnx__NodeProto *node = nodes->node[i] = graph->node[i];

		for (size_t j = 0; j < node->n_input; j++)
			if (node->input[j][0])
				nodes->name[nodes->names++] = (struct weft_name){node->input[j], WEFT_NO_NODE, 1, NULL};
		for (size_t j = 0; j < node->n_output; j++)
			if (node->output[j][0])
				nodes->name[nodes->names++] = (struct weft_name){node->output[j], i, 0, NULL};
	}
	for (size_t i = 0; i < graph->n_initializer; i++)
		nodes->name[nodes->names++] =
			(struct weft_name){graph->initializer[i]->name, WEFT_NO_NODE, 0, graph->initializer[i]};
	/* What the model returns has one more reader. */
	for (size_t i = 0; i < graph->n_output; i++)
		nodes->name[nodes->names++] = (struct weft_name){graph->output[i]->name, WEFT_NO_NODE, 1, NULL};
	join(nodes);
	return 0;
}

void weft_nodes_free(struct weft_nodes *nodes)
{
	for (size_t i = 0; i < nodes->mades; i++)
		onnx__node_proto__free_unpacked(nodes->made[i], NULL);
	free(nodes->made);
	free(nodes->node);
	free(nodes->name);
	memset(nodes, 0, sizeof(*nodes));
}

size_t weft_node_of(const struct weft_nodes *nodes, const char *text)
{
	const struct weft_name *name = find(nodes, text);

	return name && name->maker != WEFT_NO_NODE && nodes->node[name->maker] ? name->maker : WEFT_NO_NODE;
}

bool weft_node_is(const struct weft_nodes *nodes, size_t at, const char *op)
{
	const Onnx__NodeProto *node = at == WEFT_NO_NODE ? NULL : nodes->node[at];

	return node && !strcmp(node->op_type, op) && node->n_output == 1 &&
	       (!node->domain || !node->domain[0] || !strcmp(node->domain, "ai.onnx"));
}

const char *weft_node_input(const struct weft_nodes *nodes, size_t at, unsigned int input)
{
	const Onnx__NodeProto *node = nodes->node[at];

	return input < node->n_input ? node->input[input] : "";
}

size_t weft_node_before(const struct weft_nodes *nodes, size_t at, unsigned int input, const char *op,
			unsigned int readers)
{
	const struct weft_name *name = find(nodes, weft_node_input(nodes, at, input));

	return name && name->maker != WEFT_NO_NODE && name->readers == readers && weft_node_is(nodes, name->maker, op)
		       ? name->maker
		       : WEFT_NO_NODE;
}

bool weft_node_number(const struct weft_nodes *nodes, const char *text, double *number)
{
	const struct weft_name *name = find(nodes, text);
	const Onnx__TensorProto *proto = name ? name->initializer : NULL;
	struct weft_host_tensor *tensor;
	bool is_number;

	/* An initializer with dimensions is a weight, which may change. */
	if (proto && proto->n_dims)
		return false;
	if (!proto && name && weft_node_is(nodes, name->maker, "Constant")) {
		const Onnx__NodeProto *node = nodes->node[name->maker];

		for (size_t i = 0; i < node->n_attribute && !proto; i++)
			if (!strcmp(node->attribute[i]->name, "value"))
				proto = node->attribute[i]->t;
	}
	if (!proto || weft_onnx_tensor(proto, &tensor))
		return false;
	is_number = tensor->elements == 1 && tensor->type == WEFT_TYPE_F32;
	if (is_number)
		*number = weft_host_number(tensor, 0);
	weft_host_tensor_free(tensor);
	return is_number;
}

bool weft_node_near(double a, double b)
{
	return fabs(a - b) <= 1e-5 * fabs(b);
}

bool weft_node_with_number(const struct weft_nodes *nodes, size_t at, double wanted, unsigned int *other)
{
	double number;

	for (unsigned int i = 0; i < 2; i++)
		if (weft_node_number(nodes, weft_node_input(nodes, at, i), &number) && weft_node_near(number, wanted)) {
			*other = 1 - i;
			return true;
		}
	return false;
}

static const Onnx__AttributeProto *attribute(const struct weft_nodes *nodes, size_t at, const char *name)
{
	const Onnx__NodeProto *node = nodes->node[at];

	for (size_t i = 0; i < node->n_attribute; i++)
		if (!strcmp(node->attribute[i]->name, name))
			return node->attribute[i];
	return NULL;
}

const int64_t *weft_node_ints(const struct weft_nodes *nodes, size_t at, const char *name, size_t *count)
{
	const Onnx__AttributeProto *found = attribute(nodes, at, name);

	*count = found ? found->n_ints : 0;
	return found ? found->ints : NULL;
}

int64_t weft_node_int(const struct weft_nodes *nodes, size_t at, const char *name, int64_t fallback)
{
	const Onnx__AttributeProto *found = attribute(nodes, at, name);

	return found ? found->i : fallback;
}

/* On the node itself, which then frees what could be copied. */
static bool copy_texts(size_t count, const char *const text[], char ***copies, size_t *copied)
{
	*copies = calloc(count + 1, sizeof(**copies));
	for (*copied = 0; *copies && *copied < count; ++*copied) {
		(*copies)[*copied] = strdup(text[*copied]);
		if (!(*copies)[*copied])
			return false;
	}
	return *copies;
}

/* Names are taken off what is dropped, and readers with them. */
static void forget(struct weft_nodes *nodes, size_t at)
{
	const Onnx__NodeProto *node = nodes->node[at];

	/* A damaged model can have one node in two places of a pattern. */
	for (size_t i = 0; node && i < node->n_input; i++) {
		struct weft_name *name = find(nodes, node->input[i]);

		if (name && name->readers)
			name->readers--;
	}
	nodes->node[at] = NULL;
}

int weft_nodes_replace(struct weft_nodes *nodes, size_t last, const char *op, unsigned int inputs,
		       const char *const input[], unsigned int parts, const size_t part[], Onnx__NodeProto **result)
{
	const Onnx__NodeProto *old = nodes->node[last];
	Onnx__NodeProto *made = malloc(sizeof(*made));

	if (!made)
		return weft_fail(ENOMEM, "no memory for a node");
	onnx__node_proto__init(made);
	nodes->made[nodes->mades++] = made;
	made->op_type = strdup(op);
	made->name = strdup(old->name && old->name[0] ? old->name : old->output[0]);
	if (!made->op_type || !made->name || !copy_texts(inputs, input, &made->input, &made->n_input) ||
	    !copy_texts(1, (const char *const *)old->output, &made->output, &made->n_output))
		return weft_fail(ENOMEM, "no memory for a node");
	for (unsigned int i = 0; i < inputs; i++) {
		struct weft_name *name = find(nodes, input[i]);

		if (name)
			name->readers++;
	}
	forget(nodes, last);
	nodes->node[last] = made;
	for (unsigned int i = 0; i < parts; i++)
		forget(nodes, part[i]);
	*result = made;
	return 0;
}

void weft_nodes_drop_unread(struct weft_nodes *nodes, size_t at)
{
	const struct weft_name *name = nodes->node[at] ? find(nodes, nodes->node[at]->output[0]) : NULL;

	if (name && !name->readers)
		forget(nodes, at);
}

static Onnx__AttributeProto *add_attribute(Onnx__NodeProto *node, const char *name)
{
	Onnx__AttributeProto **list = reallocarray(node->attribute, node->n_attribute + 1, sizeof(*list));
	Onnx__AttributeProto *made = malloc(sizeof(*made));

	if (list)
		node->attribute = list;
	if (!list || !made) {
		free(made);
		weft_fail(ENOMEM, "no memory for an attribute");
		return NULL;
	}
	onnx__attribute_proto__init(made);
	made->name = strdup(name);
	node->attribute[node->n_attribute++] = made;
	if (!made->name)
		weft_fail(ENOMEM, "no memory for an attribute");
	return made->name ? made : NULL;
}

int weft_node_set_float(Onnx__NodeProto *node, const char *name, float value)
{
	Onnx__AttributeProto *made = add_attribute(node, name);

	if (!made)
		return -ENOMEM;
	made->has_f = 1;
	made->f = value;
	return 0;
}

int weft_node_set_int(Onnx__NodeProto *node, const char *name, int64_t value)
{
	Onnx__AttributeProto *made = add_attribute(node, name);

	if (!made)
		return -ENOMEM;
	made->has_i = 1;
	made->i = value;
	return 0;
}

int weft_node_set_text(Onnx__NodeProto *node, const char *name, const char *value)
{
	Onnx__AttributeProto *made = add_attribute(node, name);

	if (!made)
		return -ENOMEM;
	made->s.data = (uint8_t *)strdup(value);
	if (!made->s.data)
		return weft_fail(ENOMEM, "no memory for an attribute");
	made->s.len = strlen(value);
	made->has_s = 1;
	return 0;
}
