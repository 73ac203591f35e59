// SPDX-License-Identifier: MIT
/* Models out: ONNX with other weights and nothing else changed, and safetensors. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "import/model.h"
#include "import/output.h"
#include "weft/error.h"

/*
 * The tensors that training changes are float initializers with dimensions;
 * @read says -ENOENT for those that the graph did not use, which stay as they are.
 */
static bool is_changeable(const Onnx__TensorProto *tensor)
{
	return tensor->n_dims && tensor->data_type == ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT &&
	       tensor->data_location != ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL;
}

static int read_weight(const Onnx__TensorProto *tensor, weft_read_value read, void *user,
		       struct weft_host_tensor **contents)
{
	int r = weft_onnx_tensor(tensor, contents);

	if (r)
		return r;
	if (!(*contents)->elements)
		return 0;
	r = read(user, tensor->name, (*contents)->data, (*contents)->elements * sizeof(float));
	if (r == -ENOENT)
		return 0;
	if (r) {
		weft_host_tensor_free(*contents);
		*contents = NULL;
		return weft_fail_in(r, "weight %s", tensor->name);
	}
	return 0;
}

/* What an initializer held before it was lent another tensor's contents. */
struct loan {
	Onnx__TensorProto *tensor;
	protobuf_c_boolean has_raw_data;
	ProtobufCBinaryData raw_data;
	size_t n_float_data;
	struct weft_host_tensor *contents;
};

static void take_back(struct loan *loan, size_t loans)
{
	size_t i;

	for (i = 0; i < loans; i++) {
		loan[i].tensor->has_raw_data = loan[i].has_raw_data;
		loan[i].tensor->raw_data = loan[i].raw_data;
		loan[i].tensor->n_float_data = loan[i].n_float_data;
		weft_host_tensor_free(loan[i].contents);
	}
	free(loan);
}

static int lend_weights(const struct weft_model *model, weft_read_value read, void *user, struct loan **loan,
			size_t *loans)
{
	const Onnx__GraphProto *graph = model->proto->graph;
	size_t i;
	int r;

	*loans = 0;
	*loan = calloc(graph->n_initializer + 1, sizeof(**loan));
	if (!*loan)
		return weft_fail(ENOMEM, "no memory to save %zu weights", graph->n_initializer);
	for (i = 0; i < graph->n_initializer; i++) {
		Onnx__TensorProto *tensor = graph->initializer[i];
		struct weft_host_tensor *contents;

		if (!is_changeable(tensor))
			continue;
		r = read_weight(tensor, read, user, &contents);
		if (r)
			return r;
		(*loan)[(*loans)++] =
			(struct loan){tensor, tensor->has_raw_data, tensor->raw_data, tensor->n_float_data, contents};
		tensor->has_raw_data = 1;
		tensor->raw_data.data = contents->data;
		tensor->raw_data.len = contents->elements * sizeof(float);
		tensor->n_float_data = 0;
	}
	return 0;
}

/*
 * Behind the condition of an If stand the names of its branches, for those who
 * count readers; in a file they have no place.  Exchanges its number of inputs
 * with the one in @kept.
 */
static void swap_branch_names(const Onnx__GraphProto *graph, size_t kept[])
{
	size_t i, inputs;

	for (i = 0; i < graph->n_node; i++) {
		if (strcmp(graph->node[i]->op_type, "If"))
			continue;
		inputs = graph->node[i]->n_input;
		graph->node[i]->n_input = kept[i];
		kept[i] = inputs;
	}
}

int weft_model_save_onnx(const struct weft_model *model, const char *path, weft_read_value read, void *user)
{
	struct weft_output output = {.fd = -1};
	uint8_t *bytes = NULL;
	struct loan *loan;
	size_t loans, size = 0, *kept, i;
	int r = lend_weights(model, read, user, &loan, &loans);

	kept = malloc((model->proto->graph->n_node + 1) * sizeof(*kept));
	if (!r && !kept)
		r = weft_fail(ENOMEM, "no memory for the nodes of %s", path);
	if (!r) {
		for (i = 0; i < model->proto->graph->n_node; i++)
			kept[i] = 1;
		swap_branch_names(model->proto->graph, kept);
		size = onnx__model_proto__get_packed_size(model->proto);
		bytes = malloc(size);
		if (bytes)
			onnx__model_proto__pack(model->proto, bytes);
		else
			r = weft_fail(ENOMEM, "no memory for %zu bytes of %s", size, path);
		swap_branch_names(model->proto->graph, kept);
	}
	free(kept);
	if (loan)
		take_back(loan, loans);
	if (!r)
		r = weft_output_open(&output, path);
	if (!r)
		r = weft_output_write(&output, bytes, size);
	if (bytes)
		r = weft_output_close(&output, r);
	free(bytes);
	return r;
}

/* Names, shapes and places of all tensors. */
static int safetensors_header(const Onnx__GraphProto *graph, char **header, size_t *size)
{
	FILE *text = open_memstream(header, size);
	uint64_t offset = 0;
	bool first = true;
	size_t i, d;

	if (!text)
		return weft_fail(ENOMEM, "no memory for a header");
	putc('{', text);
	for (i = 0; i < graph->n_initializer; i++) {
		const Onnx__TensorProto *tensor = graph->initializer[i];
		uint64_t bytes = sizeof(float);

		if (!is_changeable(tensor))
			continue;
		fputs(first ? "" : ",", text);
		first = false;
		weft_put_json_string(text, tensor->name);
		fputs(":{\"dtype\":\"F32\",\"shape\":[", text);
		for (d = 0; d < tensor->n_dims; d++) {
			fprintf(text, "%s%lld", d ? "," : "", (long long)tensor->dims[d]);
			if (tensor->dims[d] < 0 || __builtin_mul_overflow(bytes, (uint64_t)tensor->dims[d], &bytes))
				bytes = UINT64_MAX;
		}
		fprintf(text, "],\"data_offsets\":[%llu,", (unsigned long long)offset);
		if (__builtin_add_overflow(offset, bytes, &offset)) {
			fclose(text);
			return weft_fail(EINVAL, "tensor %s: its size overflows", tensor->name);
		}
		fprintf(text, "%llu]}", (unsigned long long)offset);
	}
	putc('}', text);
	return fclose(text) ? weft_fail(ENOMEM, "no memory for a header") : 0;
}

int weft_model_save_safetensors(const struct weft_model *model, const char *path, weft_read_value read, void *user)
{
	const Onnx__GraphProto *graph = model->proto->graph;
	struct weft_output output = {.fd = -1};
	char *header = NULL;
	size_t size = 0, i;
	int r = safetensors_header(graph, &header, &size);

	if (!r)
		r = weft_output_open(&output, path);
	if (!r)
		r = weft_output_safetensors_head(&output, header, size);
	for (i = 0; i < graph->n_initializer && !r; i++) {
		struct weft_host_tensor *contents;

		if (!is_changeable(graph->initializer[i]))
			continue;
		r = read_weight(graph->initializer[i], read, user, &contents);
		if (r)
			break;
		r = weft_output_write(&output, contents->data, contents->elements * sizeof(float));
		weft_host_tensor_free(contents);
	}
	free(header);
	return output.temporary ? weft_output_close(&output, r) : r;
}
