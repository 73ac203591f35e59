// SPDX-License-Identifier: MIT
/* The model with QuantizeLinear and DequantizeLinear around what integers execute. */
#include "weft/quantize.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "quant/select.h"
#include "weft/error.h"

/* Per-channel scales came with it. */
#define LEAST_OPSET 13

struct rewrite {
	const struct weft_quantize_options *options;
	struct weft_quantize_report *report;
	Onnx__GraphProto *graph;
	struct weft_selection selection;
	Onnx__NodeProto **node; /* the new list; owned until it is the graph's */
	size_t nodes, room;
};

static int append(struct rewrite *rewrite, Onnx__NodeProto *node)
{
	if (!node)
		return weft_fail(ENOMEM, "no memory for a node");
	if (rewrite->nodes == rewrite->room) {
		size_t room = rewrite->room * 2 + 16;
		Onnx__NodeProto **list = realloc(rewrite->node, room * sizeof(*list));

		if (!list) {
			onnx__node_proto__free_unpacked(node, NULL);
			return weft_fail(ENOMEM, "no memory for %zu nodes", room);
		}
		rewrite->node = list;
		rewrite->room = room;
	}
	rewrite->node[rewrite->nodes++] = node;
	return 0;
}

/* Names of what belongs to a quantized tensor; short, as they are many and count in the file's size. */
struct names {
	char *integers, *scale, *zero, *real;
};

static void free_names(struct names *names)
{
	free(names->integers);
	free(names->scale);
	free(names->zero);
	free(names->real);
}

/* "~kindN"; NULL without memory. */
static char *short_name(char kind, unsigned int number)
{
	char *text;

	return asprintf(&text, "~%c%u", kind, number) < 0 ? NULL : text;
}

static int make_names(unsigned int number, struct names *names)
{
	*names = (struct names){short_name('q', number), short_name('s', number), short_name('z', number),
				short_name('d', number)};
	if (names->integers && names->scale && names->zero && names->real)
		return 0;
	free_names(names);
	return weft_fail(ENOMEM, "no memory for names");
}

/* The activation -> QuantizeLinear -> DequantizeLinear. */
static int add_activation(struct rewrite *rewrite, const struct weft_calibrated *a)
{
	float scale = (float)a->scale;
	uint8_t zero = (uint8_t)a->zero;
	struct names n;
	int r = make_names((unsigned int)(a - rewrite->selection.activation), &n);

	if (r)
		return r;
	r = weft_edit_add_initializer(rewrite->graph, n.scale, ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT, 0, NULL, &scale,
				      sizeof(scale));
	if (!r)
		r = weft_edit_add_initializer(rewrite->graph, n.zero, ONNX__TENSOR_PROTO__DATA_TYPE__UINT8, 0, NULL,
					      &zero, sizeof(zero));
	if (!r)
		r = append(rewrite, weft_edit_node("QuantizeLinear", 3, (const char *const[]){a->name, n.scale, n.zero},
						   n.integers));
	if (!r)
		r = append(rewrite, weft_edit_node("DequantizeLinear", 3,
						   (const char *const[]){n.integers, n.scale, n.zero}, n.real));
	free_names(&n);
	return r;
}

/* Take the mean error that rounding the weights leaves off the bias. */
static int correct_bias(struct rewrite *rewrite, Onnx__NodeProto *node, const struct weft_host_tensor *tensor,
			const struct weft_weight *weight, unsigned int axis)
{
	const struct weft_calibrated *x = weft_quant_find(&rewrite->selection, node->input[0]);
	bool conv = !strcmp(node->op_type, "Conv");
	uint32_t channels = tensor->dims[axis], dims[1] = {channels};
	unsigned int in = conv ? 1 : !axis;
	size_t inner = weft_quant_inner(tensor, axis), each = weft_quant_inner(tensor, in);
	int64_t groups = conv ? weft_edit_int(node, "group", 1) : 1;
	struct weft_host_tensor *bias = NULL;
	const float *data = tensor->data;
	char *name = short_name('b', (unsigned int)rewrite->nodes);
	float *sum = calloc(channels + 1u, sizeof(*sum));
	int r = name && sum ? 0 : weft_fail(ENOMEM, "no memory to correct a bias");

	if (!r && node->n_input > 2 && node->input[2][0])
		r = weft_onnx_tensor(rewrite->graph->initializer[weft_edit_initializer(rewrite->graph, node->input[2])],
				     &bias);
	if (r || !x || groups < 1 || channels % groups || (bias && bias->elements != channels) ||
	    (!conv && x->channels != tensor->dims[in]) ||
	    (conv && x->channels != (uint64_t)tensor->dims[1] * (uint64_t)groups) || !strcmp(node->op_type, "MatMul"))
		goto out;
	for (uint32_t c = 0; c < channels && bias; c++)
		sum[c] = (float)weft_host_number(bias, c);
	for (size_t i = 0; i < tensor->elements; i++) {
		uint32_t c = (uint32_t)(i / inner % channels), s = weight->count > 1 ? c : 0;
		size_t from = i / each % tensor->dims[in] + (conv ? c / (channels / groups) * tensor->dims[1] : 0);
		double error = (double)weight->integers[i] * (double)weight->scale[s] - (double)data[i];

		sum[c] = (float)((double)sum[c] - error * x->mean[from]);
	}
	r = weft_edit_add_initializer(rewrite->graph, name, ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT, 1, dims, sum,
				      channels * sizeof(*sum));
	if (!r)
		r = node->n_input > 2 ? weft_edit_set_input(node, 2, name) : weft_edit_add_input(node, name);
	rewrite->report->corrected += !r;
out:
	weft_host_tensor_free(bias);
	free(sum);
	free(name);
	return r;
}

/* The weight as integers behind a DequantizeLinear, or as it is between both. */
static int add_weight_nodes(struct rewrite *rewrite, const char *source, const struct names *n,
			    const struct weft_host_tensor *tensor, const struct weft_weight *weight)
{
	uint32_t dims[1] = {weight->count};
	unsigned int rank = weight->count > 1;
	int8_t *zeros = calloc(weight->count + 1u, 1);
	Onnx__NodeProto *back;
	int r;

	if (!zeros)
		return weft_fail(ENOMEM, "no memory for %u zero points", weight->count);
	r = weft_edit_add_initializer(rewrite->graph, n->scale, ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT, rank, dims,
				      weight->scale, weight->count * sizeof(float));
	if (!r && rewrite->options->float_weights) {
		Onnx__NodeProto *there;

		/* The zero points say that the integers are signed. */
		r = weft_edit_add_initializer(rewrite->graph, n->zero, ONNX__TENSOR_PROTO__DATA_TYPE__INT8, rank, dims,
					      zeros, weight->count);
		there = r ? NULL
			  : weft_edit_node("QuantizeLinear", 3, (const char *const[]){source, n->scale, n->zero},
					   n->integers);
		if (there && rank)
			r = weft_edit_set_int(there, "axis", weight->axis);
		if (!r)
			r = append(rewrite, there);
	} else if (!r) {
		r = weft_edit_add_initializer(rewrite->graph, n->integers, ONNX__TENSOR_PROTO__DATA_TYPE__INT8,
					      tensor->rank, tensor->dims, weight->integers, tensor->elements);
	}
	free(zeros);
	if (r)
		return r;
	back = weft_edit_node("DequantizeLinear", 2, (const char *const[]){n->integers, n->scale}, n->real);
	if (back && rank)
		r = weft_edit_set_int(back, "axis", weight->axis);
	if (r) {
		onnx__node_proto__free_unpacked(back, NULL);
		return r;
	}
	return append(rewrite, back);
}

static int quantize_weight(struct rewrite *rewrite, Onnx__NodeProto *node, unsigned int axis)
{
	/* New initializers are appended, so that a weight keeps its place and number. */
	Onnx__TensorProto *const *proto =
		&rewrite->graph->initializer[weft_edit_initializer(rewrite->graph, node->input[1])];
	const char *weight_name = (*proto)->name;
	struct weft_host_tensor *tensor = NULL;
	struct weft_weight weight = {0};
	struct names n;
	int r = make_names(rewrite->selection.count + (unsigned int)(proto - rewrite->graph->initializer), &n);

	if (r)
		return r;
	r = weft_onnx_tensor(*proto, &tensor);
	if (!r && !tensor->elements)
		r = weft_fail(EINVAL, "weight %s is empty", weight_name);
	if (!r)
		r = weft_quant_weight(tensor, axis, rewrite->options, &weight);
	if (r)
		r = weft_fail_in(r, "weight %s", weight_name);
	/* A weight that several nodes read is made once. */
	if (!r && weft_edit_initializer(rewrite->graph, n.scale) < 0) {
		r = add_weight_nodes(rewrite, node->input[1], &n, tensor, &weight);
		rewrite->report->weights += !r;
	}
	if (!r && !rewrite->options->keep_biases && !rewrite->options->float_weights)
		r = correct_bias(rewrite, node, tensor, &weight, axis);
	if (!r)
		r = weft_edit_set_input(node, 1, n.real);
	weft_quant_weight_free(&weight);
	weft_host_tensor_free(tensor);
	free_names(&n);
	return r;
}

/* Node @i of the graph, which goes over to the new list, and what its results need. */
static int rewrite_node(struct rewrite *rewrite, size_t i, bool product, unsigned int axis, unsigned int reads)
{
	Onnx__NodeProto *node = rewrite->graph->node[i];
	char *real;
	int r = product ? quantize_weight(rewrite, node, axis) : 0;

	for (unsigned int j = 0; j < reads && !r; j++) {
		const struct weft_calibrated *a = weft_quant_find(&rewrite->selection, node->input[j]);

		if (!a)
			continue;
		real = short_name('d', (unsigned int)(a - rewrite->selection.activation));
		r = real ? weft_edit_set_input(node, j, real) : weft_fail(ENOMEM, "no memory for a name");
		free(real);
	}
	if (!r) {
		rewrite->graph->node[i] = NULL;
		r = append(rewrite, node);
	}
	for (size_t j = 0; j < (r ? 0 : node->n_output); j++) {
		const struct weft_calibrated *a = weft_quant_find(&rewrite->selection, node->output[j]);

		if (a && !r)
			r = add_activation(rewrite, a);
	}
	return r;
}

static int rewrite_nodes(struct rewrite *rewrite)
{
	Onnx__GraphProto *graph = rewrite->graph;
	unsigned int *reads = calloc(graph->n_node + 1, sizeof(*reads)),
		     *axis = calloc(graph->n_node + 1, sizeof(*axis));
	bool *product = calloc(graph->n_node + 1, sizeof(*product));
	int r = reads && axis && product ? 0 : weft_fail(ENOMEM, "no memory for %zu nodes", graph->n_node);

	/* Decided on the float graph, before names change. */
	for (size_t i = 0; i < graph->n_node && !r; i++) {
		reads[i] = weft_quant_reads(graph, graph->node[i]);
		product[i] = weft_quant_is_product(graph, graph->node[i], &axis[i]);
	}
	for (uint32_t i = 0; i < rewrite->selection.count && !r; i++)
		if (weft_edit_is_input(graph, rewrite->selection.activation[i].name))
			r = add_activation(rewrite, &rewrite->selection.activation[i]);
	for (size_t i = 0; i < graph->n_node && !r; i++)
		r = rewrite_node(rewrite, i, product[i], axis[i], reads[i]);
	if (!r) {
		free(graph->node);
		graph->node = rewrite->node;
		graph->n_node = rewrite->nodes;
		rewrite->node = NULL;
		rewrite->nodes = 0;
	}
	free(reads);
	free(axis);
	free(product);
	return r;
}

static int require_float(const struct weft_model *model)
{
	const Onnx__GraphProto *graph = model->proto->graph;

	for (size_t i = 0; i < graph->n_node; i++)
		if (!strncmp(graph->node[i]->op_type, "QLinear", 7) ||
		    !strcmp(graph->node[i]->op_type, "QuantizeLinear") ||
		    !strcmp(graph->node[i]->op_type, "DequantizeLinear"))
			return weft_fail(EOPNOTSUPP, "%s is quantized already (node %zu is a %s); give the float model",
					 model->name, i, graph->node[i]->op_type);
	return 0;
}

/* The operator set that has per-channel scales; what changed up to it in the operators kept here does not matter. */
static void raise_opset(struct weft_model *model)
{
	for (size_t i = 0; i < model->proto->n_opset_import; i++) {
		Onnx__OperatorSetIdProto *set = model->proto->opset_import[i];

		if ((!set->domain || !set->domain[0] || !strcmp(set->domain, "ai.onnx")) &&
		    set->version < LEAST_OPSET) {
			set->has_version = 1;
			set->version = LEAST_OPSET;
			model->opset = LEAST_OPSET;
		}
	}
}

/* Operators whose meaning or form changed between opset 9 and 13 and that would have to be rewritten too. */
static int require_opset(const struct weft_model *model)
{
	static const char *const changed[] = {"Softmax",  "LogSoftmax", "Squeeze", "Unsqueeze", "ReduceSum",
					      "Split",	  "Clip",	"Dropout", "Pad",	"Slice",
					      "Upsample", "Resize",	"TopK"};
	const Onnx__GraphProto *graph = model->proto->graph;

	if (model->opset >= LEAST_OPSET)
		return 0;
	for (size_t i = 0; i < graph->n_node; i++)
		for (size_t j = 0; j < sizeof(changed) / sizeof(changed[0]); j++)
			if (!strcmp(graph->node[i]->op_type, changed[j]))
				return weft_fail(
					EOPNOTSUPP,
					"%s is of opset %lld and has a %s, which reads differently from %d on; "
					"export it with opset %d or newer",
					model->name, (long long)model->opset, changed[j], LEAST_OPSET, LEAST_OPSET);
	return 0;
}

static int quantize_copy(struct accel_device *device, struct weft_model *model,
			 const struct weft_quantize_options *options, struct weft_dataset *dataset,
			 struct weft_quantize_report *report)
{
	struct rewrite rewrite = {.options = options, .report = report, .graph = model->proto->graph};
	int r = weft_quant_fold(rewrite.graph, &report->folded);

	if (!r && !options->keep_ranges)
		r = weft_quant_equalize(rewrite.graph, &report->equalized);
	if (!r)
		r = weft_quant_select(rewrite.graph, &rewrite.selection);
	if (!r && !rewrite.selection.count)
		r = weft_fail(EOPNOTSUPP, "%s has no convolution or matrix product by constant weights to quantize",
			      model->name);
	if (!r)
		r = weft_quant_calibrate(device, model, options, dataset, rewrite.selection.activation,
					 rewrite.selection.count, &report->examples);
	for (uint32_t i = 0; i < rewrite.selection.count && !r; i++)
		weft_quant_choose(&rewrite.selection.activation[i], options);
	if (!r) {
		weft_quant_share_ranges(rewrite.graph, &rewrite.selection);
		report->activations = rewrite.selection.count;
		raise_opset(model);
		r = rewrite_nodes(&rewrite);
	}
	if (!r) {
		weft_edit_remove_unused(rewrite.graph);
		weft_edit_remove_notes(rewrite.graph);
		r = weft_edit_shorten_names(rewrite.graph);
	}
	/* After an error both lists hold nodes. */
	for (size_t i = 0; i < rewrite.nodes; i++)
		onnx__node_proto__free_unpacked(rewrite.node[i], NULL);
	free(rewrite.node);
	weft_quant_selection_free(&rewrite.selection);
	return r;
}

int weft_quantize(struct accel_device *device, const struct weft_model *model,
		  const struct weft_quantize_options *options, struct weft_dataset *dataset,
		  struct weft_model **quantized, struct weft_quantize_report *report)
{
	struct weft_quantize_report unread;
	int r = require_float(model);

	if (!r)
		r = require_opset(model);
	if (!r && options->calibration == WEFT_CALIBRATION_PERCENTILE &&
	    !(options->percentile > 50 && options->percentile <= 100))
		r = weft_fail(EINVAL, "a percentile of %g; it must be above 50 and at most 100", options->percentile);
	if (!r)
		r = weft_edit_copy(model, quantized);
	if (r)
		return r;
	report = report ? report : &unread;
	memset(report, 0, sizeof(*report));
	r = quantize_copy(device, *quantized, options, dataset, report);
	if (r) {
		weft_model_free(*quantized);
		*quantized = NULL;
	}
	return r;
}

/* The QuantizeLinear @at of a float initializer goes, its output becomes an initializer. */
static int store_integers(Onnx__GraphProto *graph, size_t at, bool *done)
{
	const Onnx__NodeProto *node = graph->node[at];
	struct weft_host_tensor *tensor = NULL, *scale = NULL;
	ptrdiff_t w = node->n_input > 2 ? weft_edit_initializer(graph, node->input[0]) : -1, s, z;
	size_t inner;
	int8_t *integers = NULL;
	int64_t axis;
	int r;

	*done = false;
	if (w < 0 || strcmp(node->op_type, "QuantizeLinear"))
		return 0;
	s = weft_edit_initializer(graph, node->input[1]);
	z = weft_edit_initializer(graph, node->input[2]);
	if (s < 0 || z < 0 || graph->initializer[z]->data_type != ONNX__TENSOR_PROTO__DATA_TYPE__INT8)
		return 0;
	r = weft_onnx_tensor(graph->initializer[w], &tensor);
	if (!r)
		r = weft_onnx_tensor(graph->initializer[s], &scale);
	if (r)
		goto out;
	axis = weft_edit_int(node, "axis", 1);
	if (tensor->type != WEFT_TYPE_F32 || scale->type != WEFT_TYPE_F32 || !scale->elements ||
	    (scale->elements > 1 && (axis < 0 || axis >= tensor->rank || scale->elements != tensor->dims[axis])))
		goto out;
	inner = scale->elements > 1 ? weft_quant_inner(tensor, (unsigned int)axis) : tensor->elements;
	integers = malloc(tensor->elements + 1);
	if (!integers) {
		r = weft_fail(ENOMEM, "no memory for a weight of %zu elements", tensor->elements);
		goto out;
	}
	for (size_t i = 0; i < tensor->elements; i++) {
		float q = rintf(((float *)tensor->data)[i] / ((float *)scale->data)[i / inner % scale->elements]);

		integers[i] = (int8_t)(q < -128 ? -128 : q > 127 ? 127 : q != q ? 0 : q);
	}
	r = weft_edit_add_initializer(graph, node->output[0], ONNX__TENSOR_PROTO__DATA_TYPE__INT8, tensor->rank,
				      tensor->dims, integers, tensor->elements);
	if (!r) {
		weft_edit_remove_node(graph, at);
		*done = true;
	}
out:
	free(integers);
	weft_host_tensor_free(tensor);
	weft_host_tensor_free(scale);
	return r;
}

int weft_quantize_weights(struct weft_model *model, uint32_t *weights)
{
	Onnx__GraphProto *graph = model->proto->graph;

	*weights = 0;
	for (size_t i = graph->n_node; i-- > 0;) {
		bool done;
		int r = store_integers(graph, i, &done);

		if (r)
			return r;
		*weights += done;
	}
	weft_edit_remove_unused(graph);
	return 0;
}

static int keep(void *user, const char *name, void *data, size_t bytes)
{
	(void)user, (void)name, (void)data, (void)bytes;
	return -ENOENT;
}

int weft_quantize_save(const struct weft_model *model, const char *path)
{
	return weft_model_save_onnx(model, path, keep, NULL);
}
