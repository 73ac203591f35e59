// SPDX-License-Identifier: MIT
/* A planned inference graph as a file for <accel/model.h>. */
#include "weft/deploy.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include <accel/model.h>

#include "exec/planning.h"
#include "exec/program.h"
#include "exec/session_internal.h"
#include "import/output.h"
#include "weft/error.h"

struct deploy {
	const struct weft_graph *graph;
	const struct weft_plan *plan;
	struct weft_program program;
	struct accel_model_header header;
	struct accel_model_record *record;
	struct accel_model_region *region;
	const void **contents; /* of the regions */
	uint32_t room;
	void **piece; /* contents that were made for the file; owned */
	uint32_t pieces;
	uint64_t constant_bytes;
};

/* A file holds what is the same for every run. */
static int check_graph(const struct weft_graph *graph)
{
	if (graph->training || graph->hyper != WEFT_NO_ID || graph->carry != WEFT_NO_ID)
		return weft_fail(EOPNOTSUPP, "'%s' is a training graph; compile one for inference", graph->name);
	if (graph->counter != WEFT_NO_ID)
		return weft_fail(EOPNOTSUPP,
				 "'%s' draws random numbers, which change from run to run; a compiled model does the "
				 "same every time",
				 graph->name);
	for (uint32_t i = 0; i < graph->operations; i++) {
		const struct weft_operation *operation = &graph->operation[i];

		for (unsigned int s = 0; s < operation->operands; s++)
			if (operation->updates >> s & 1 && operation->operand[s] != WEFT_NO_ID &&
			    graph->value[graph->value[operation->operand[s]].base].kind != WEFT_VALUE_ACTIVATION)
				return weft_fail(EOPNOTSUPP, "operation '%s' changes '%s' from run to run",
						 operation->name, graph->value[operation->operand[s]].name);
	}
	return 0;
}

static int add_record(struct deploy *d, weft_id id, uint64_t offset)
{
	const struct weft_value *value = &d->graph->value[id];
	struct accel_model_record *record = &d->record[d->header.tensors++];

	if (strlen(value->name) >= ACCEL_MODEL_NAME_BYTES)
		return weft_fail(EOPNOTSUPP, "the name '%s' is longer than the %d bytes that a compiled model has",
				 value->name, ACCEL_MODEL_NAME_BYTES - 1);
	if (d->graph->value[value->base].grid)
		return weft_fail(EOPNOTSUPP, "'%s' stands in pieces within this budget; give more device memory",
				 value->name);
	memcpy(record->name, value->name, strlen(value->name));
	record->tensor = (struct weft_tensor){
		.address = offset + value->offset, .type = value->layout.type, .rank = value->layout.rank};
	memcpy(record->tensor.dims, value->layout.dims, value->layout.rank * sizeof(uint32_t));
	memcpy(record->tensor.strides, value->layout.strides, value->layout.rank * sizeof(int32_t));
	return 0;
}

/* Where an output's base is in the host arena when the plan has ended. */
static uint64_t output_offset(const struct weft_plan *plan, weft_id base)
{
	uint64_t offset = plan->home[base].offset;

	for (uint32_t i = 0; i < plan->actions; i++)
		if (plan->action[i].kind == WEFT_ACTION_PAGE_OUT && plan->action[i].value == base)
			offset = plan->action[i].offset;
	return offset;
}

static int describe_tensors(struct deploy *d)
{
	const struct weft_graph *graph = d->graph;
	uint32_t tensors = graph->inputs + graph->model_outputs;
	int result = 0;

	if (tensors > ACCEL_MODEL_MOST_TENSORS)
		return weft_fail(EOPNOTSUPP, "%u inputs and outputs; a compiled model has at most %u", tensors,
				 ACCEL_MODEL_MOST_TENSORS);
	d->record = calloc(tensors + 1, sizeof(*d->record));
	if (!d->record)
		return weft_fail(ENOMEM, "no memory to describe inputs and outputs");
	for (uint32_t i = 0; i < graph->inputs && !result; i++)
		result = add_record(d, graph->input[i], d->plan->home[graph->value[graph->input[i]].base].offset);
	d->header.inputs = d->header.tensors;
	for (uint32_t i = 0; i < graph->model_outputs && !result; i++)
		result = add_record(d, graph->model_output[i],
				    output_offset(d->plan, graph->value[graph->model_output[i]].base));
	return result;
}

static int add_region(struct deploy *d, weft_id id, const void *contents)
{
	const struct weft_home *home = &d->plan->home[id];
	uint64_t bytes = d->graph->value[id].bytes;

	if (d->header.regions == d->room) {
		uint32_t room = d->room ? 2 * d->room : 64;
		struct accel_model_region *region = realloc(d->region, room * sizeof(*region));
		const void **list = region ? realloc(d->contents, room * sizeof(*list)) : NULL;

		if (region)
			d->region = region;
		if (!list)
			return weft_fail(ENOMEM, "no memory for the list of constants");
		d->contents = list;
		d->room = room;
	}
	if (d->header.regions == ACCEL_MODEL_MOST_REGIONS)
		return weft_fail(EOPNOTSUPP, "a compiled model has at most %u constants", ACCEL_MODEL_MOST_REGIONS);
	d->region[d->header.regions] = (struct accel_model_region){
		.arena = home->tier == WEFT_TIER_HOST, .offset = home->offset, .bytes = bytes};
	d->contents[d->header.regions++] = contents;
	d->constant_bytes += bytes;
	return 0;
}

static int add_pieces(struct deploy *d, const struct weft_value *whole)
{
	void **list = realloc(d->piece, (d->pieces + (size_t)whole->pieces) * sizeof(*list));
	int result = 0;

	if (!list)
		return weft_fail(ENOMEM, "no memory for the pieces of '%s'", whole->name);
	d->piece = list;
	for (uint32_t i = 0; i < whole->pieces && !result; i++) {
		void *piece = calloc(1, d->graph->value[whole->piece + i].bytes);

		if (!piece)
			return weft_fail(ENOMEM, "no memory for the pieces of '%s'", whole->name);
		d->piece[d->pieces++] = piece;
		weft_grid_copy(whole->grid, i, accel_type_bytes(whole->layout.type), whole->data, piece, false);
		result = add_region(d, whole->piece + i, piece);
	}
	return result;
}

static int list_constants(struct deploy *d)
{
	int result = 0;

	for (weft_id v = 0; v < d->graph->values && !result; v++) {
		const struct weft_value *value = &d->graph->value[v];

		/* Without contents it is zero, as the arenas are. */
		if (value->base != v || value->whole != WEFT_NO_ID || !value->data ||
		    (!weft_value_is_kept(d->graph, v) && value->kind != WEFT_VALUE_CONSTANT))
			continue;
		result = value->grid ? add_pieces(d, value) : add_region(d, v, value->data);
	}
	return result;
}

/* The commands with offsets for addresses: a program for arenas that begin at 0. */
static int make_commands(struct deploy *d, struct accel_context *context)
{
	int result = weft_program_build(&d->program, context, d->graph, d->plan, 0, 0);

	if (result)
		return result;
	if (d->program.segments != 1 || d->program.ios)
		return weft_fail(EOPNOTSUPP, "the plan uses storage");
	d->header.stream_bytes = accel_stream_bytes(d->program.segment[0].stream);
	d->header.commands = (uint32_t)accel_stream_commands(d->program.segment[0].stream);
	return 0;
}

static void complete_header(struct deploy *d)
{
	struct accel_model_header *h = &d->header;
	XXH64_state_t check;

	memcpy(h->magic, ACCEL_MODEL_MAGIC, sizeof(h->magic));
	h->version = ACCEL_MODEL_VERSION;
	h->header_bytes = sizeof(*h);
	h->isa_major = WEFT_ISA_VERSION_MAJOR;
	h->isa_minor = WEFT_ISA_VERSION_MINOR;
	h->device_bytes = d->plan->peak[WEFT_TIER_DEVICE];
	h->host_bytes = d->plan->peak[WEFT_TIER_HOST];
	h->file_bytes = sizeof(*h) + h->tensors * sizeof(*d->record) + h->regions * sizeof(*d->region) +
			h->stream_bytes + d->constant_bytes;
	XXH64_reset(&check, 0);
	XXH64_update(&check, d->record, h->tensors * sizeof(*d->record));
	XXH64_update(&check, d->region, h->regions * sizeof(*d->region));
	XXH64_update(&check, accel_stream_data(d->program.segment[0].stream), h->stream_bytes);
	for (uint32_t i = 0; i < h->regions; i++)
		XXH64_update(&check, d->contents[i], d->region[i].bytes);
	h->body_check = XXH64_digest(&check);
	h->header_check = XXH64(h, offsetof(struct accel_model_header, header_check), 0);
}

static int write_file(const struct deploy *d, const char *path)
{
	const struct accel_model_header *h = &d->header;
	struct weft_output output;
	int result = weft_output_open(&output, path);

	if (!result)
		result = weft_output_write(&output, h, sizeof(*h));
	if (!result)
		result = weft_output_write(&output, d->record, h->tensors * sizeof(*d->record));
	if (!result)
		result = weft_output_write(&output, d->region, h->regions * sizeof(*d->region));
	if (!result)
		result = weft_output_write(&output, accel_stream_data(d->program.segment[0].stream), h->stream_bytes);
	for (uint32_t i = 0; i < h->regions && !result; i++)
		result = weft_output_write(&output, d->contents[i], d->region[i].bytes);
	return weft_output_close(&output, result);
}

static void clear(struct deploy *d)
{
	weft_program_clear(&d->program);
	for (uint32_t i = 0; i < d->pieces; i++)
		free(d->piece[i]);
	free(d->piece);
	free(d->contents);
	free(d->region);
	free(d->record);
}

static int compile(struct accel_device *device, const struct weft_graph *graph, const struct weft_plan *plan,
		   const char *path, struct weft_deploy_report *report)
{
	struct deploy d = {.graph = graph, .plan = plan};
	struct accel_context *context;
	int result = accel_context_new(device, NULL, &context);

	if (result)
		return weft_fail(-result, "%s", accel_error());
	result = make_commands(&d, context);
	if (!result)
		result = describe_tensors(&d);
	if (!result)
		result = list_constants(&d);
	if (!result) {
		complete_header(&d);
		result = write_file(&d, path);
	}
	if (!result && report)
		*report = (struct weft_deploy_report){
			.file_bytes = d.header.file_bytes,
			.stream_bytes = d.header.stream_bytes,
			.constant_bytes = d.constant_bytes,
			.device_bytes = d.header.device_bytes,
			.host_bytes = d.header.host_bytes,
			.commands = d.header.commands,
			.predicted_seconds = plan->seconds,
			.predicted_joules = plan->joules,
		};
	clear(&d);
	accel_context_unref(context);
	return result;
}

int weft_deploy(struct accel_device *device, struct weft_graph *graph, const struct weft_session_options *options,
		const char *path, struct weft_deploy_report *report, struct weft_session_refusal *refusal)
{
	struct weft_session_options own = *options;
	struct weft_costs costs = {0};
	struct weft_plan *plan = NULL;
	int result = check_graph(graph);

	if (refusal)
		memset(refusal, 0, sizeof(*refusal));
	own.storage_bytes = 0;
	own.storage_dir = NULL;
	if (!result)
		result = weft_graph_check(graph);
	if (!result)
		result = weft_plan_session(device, &graph, &own, &plan, &costs, refusal);
	if (!result)
		result = compile(device, graph, plan, path, report);
	weft_plan_free(plan);
	weft_costs_clear(&costs);
	weft_graph_free(graph);
	return result;
}
