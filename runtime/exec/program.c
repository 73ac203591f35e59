// SPDX-License-Identifier: MIT
#include "exec/program.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <accel/commands.h>

#include "plan/walk.h"
#include "weft/error.h"

/* Where an action went. */
struct spot {
	bool io;
	uint32_t segment; /* device action: its segment */
	uint32_t engine;
	uint32_t count; /* device action: position on its engine in the segment, from 1; transfer: its index */
};

struct builder {
	struct weft_program *program;
	struct accel_context *context;
	const struct weft_graph *graph;
	const struct weft_plan *plan;
	uint64_t device, host;
	struct weft_hazards *hazards;
	struct spot *spot;	      /* per action */
	uint32_t count[WEFT_ENGINES]; /* commands of the present segment */
	/* What the action at hand must wait for. */
	uint32_t wait[WEFT_ENGINES];
	uint32_t *transfer; /* indices of transfers */
	uint32_t transfers, transfer_room;
	uint32_t segment; /* latest segment, or WEFT_NO_SEGMENT */
	bool cut;	  /* a transfer waits for the present segment: let it end */
	bool *gated;	  /* per transfer: a segment waits for it, and so do all later ones */
	uint32_t gated_room;
	bool failed; /* out of memory in a callback */
};

static int grow(void *array, uint32_t used, uint32_t *room, size_t size)
{
	void **pointer = array, *larger;
	uint32_t wanted = *room ? *room * 2 : 64;

	if (used < *room)
		return 0;
	larger = realloc(*pointer, wanted * size);
	if (!larger)
		return weft_fail(ENOMEM, "no memory for the executor's program");
	*pointer = larger;
	*room = wanted;
	return 0;
}

static int begin_segment(struct builder *b)
{
	struct weft_program *program = b->program;
	struct weft_segment *segment;
	int result = grow(&program->segment, program->segments, &program->segment_room, sizeof(*program->segment));

	if (result)
		return result;
	segment = &program->segment[program->segments];
	*segment = (struct weft_segment){.stream = NULL};
	result = accel_stream_new(b->context, &segment->stream);
	if (result)
		return weft_fail(-result, "%s", accel_error());
	program->segments++;
	memset(b->count, 0, sizeof(b->count));
	/* What came before in this stream is over when the new one starts. */
	memset(b->wait, 0, sizeof(b->wait));
	b->cut = false;
	return 0;
}

static uint32_t present(const struct builder *b)
{
	return b->program->segments - 1;
}

static bool segment_is_empty(const struct builder *b)
{
	return !b->count[WEFT_ENGINE_COMPUTE] && !b->count[WEFT_ENGINE_DMA_IN] && !b->count[WEFT_ENGINE_DMA_OUT];
}

static void meet_transfer(struct builder *b, uint32_t io)
{
	for (uint32_t i = 0; i < b->transfers; i++)
		if (b->transfer[i] == io)
			return;
	if (grow(&b->transfer, b->transfers, &b->transfer_room, sizeof(*b->transfer)))
		b->failed = true;
	else
		b->transfer[b->transfers++] = io;
}

static void meet(void *user, uint32_t earlier)
{
	struct builder *b = user;
	const struct spot *spot = &b->spot[earlier];

	if (spot->io) {
		meet_transfer(b, spot->count);
		return;
	}
	if (b->segment == WEFT_NO_SEGMENT || spot->segment > b->segment)
		b->segment = spot->segment;
	if (spot->segment == present(b) && spot->count > b->wait[spot->engine])
		b->wait[spot->engine] = spot->count;
}

static int collect(struct builder *b, const struct weft_walk *walk)
{
	memset(b->wait, 0, sizeof(b->wait));
	b->transfers = 0;
	b->segment = WEFT_NO_SEGMENT;
	for (unsigned int i = 0; i < walk->accesses; i++)
		weft_hazards_visit(b->hazards, &walk->access[i], meet, b);
	return b->failed ? -ENOMEM : 0;
}

/* Append to the end of @set, which must be the last in the list. */
static int add_to_set(struct weft_program *program, struct weft_io_set *set, uint32_t io)
{
	int result = grow(&program->list, program->listed, &program->list_room, sizeof(*program->list));

	if (result)
		return result;
	if (!set->count)
		set->first = program->listed;
	program->list[program->listed++] = io;
	set->count++;
	return 0;
}

static int add_transfer(struct builder *b, const struct weft_action *action, const struct weft_walk *walk)
{
	struct weft_program *program = b->program;
	bool write = action->kind == WEFT_ACTION_STORE;
	struct weft_io *io;
	int result = grow(&program->io, program->ios, &program->io_room, sizeof(*program->io));

	if (!result)
		result = grow(&b->gated, program->ios, &b->gated_room, sizeof(*b->gated));
	if (result)
		return result;
	b->gated[program->ios] = false;
	io = &program->io[program->ios];
	*io = (struct weft_io){
		.action = walk->next - 1,
		.write = write,
		.value = action->value,
		.host = write ? walk->from : walk->to,
		.storage = write ? walk->to : walk->from,
		.bytes = walk->bytes,
		.segment = b->segment,
		.held = !write,
	};
	for (uint32_t i = 0; !result && i < b->transfers; i++)
		result = add_to_set(program, &io->befores, b->transfer[i]);
	if (b->segment == present(b))
		b->cut = true;
	b->spot[io->action] = (struct spot){.io = true, .count = program->ios++};
	return result;
}

/*
 * The transfers that the command needs.  What has been listed before it does not
 * need them, so it gets a stream of its own.
 */
static int add_gates(struct builder *b)
{
	struct weft_program *program = b->program;
	int result = 0;

	for (uint32_t i = 0; !result && i < b->transfers; i++)
		if (!b->gated[b->transfer[i]])
			b->cut = true;
	if (b->cut && !segment_is_empty(b))
		result = begin_segment(b);
	b->cut = false;
	for (uint32_t i = 0; !result && i < b->transfers; i++) {
		if (b->gated[b->transfer[i]])
			continue;
		b->gated[b->transfer[i]] = true;
		result = add_to_set(program, &program->segment[present(b)].gates, b->transfer[i]);
	}
	return result;
}

/* Semaphore e counts the commands of engine e that have completed. */
static void set_semaphores(const struct builder *b, struct weft_cmd *command)
{
	unsigned int used = 0;

	for (unsigned int e = 0; e < WEFT_ENGINES; e++) {
		if (e == command->engine || !b->wait[e])
			continue;
		command->wait[used].index = (uint16_t)e;
		command->wait[used++].value = b->wait[e];
	}
	command->signal.index = command->engine;
	command->signal.value = b->count[command->engine];
}

int weft_append_copy(struct accel_stream *stream, enum weft_engine engine, uint64_t from, uint64_t to, uint64_t bytes,
		     const struct weft_cmd *head)
{
	const uint32_t row = 1u << 30;
	union accel_command command;
	int result = 0;

	/* Dimensions are 32 bits wide. */
	while (!result && bytes) {
		uint32_t now = bytes > row ? row : (uint32_t)bytes;
		bool last = now == bytes;
		struct weft_tensor source = accel_tensor(from, WEFT_TYPE_U8, 1, &now);
		struct weft_tensor target = accel_tensor(to, WEFT_TYPE_U8, 1, &now);

		accel_cmd_copy(&command, engine, &source, &target);
		if (head) {
			command.header.tag = head->tag;
			memcpy(command.header.wait, head->wait, sizeof(head->wait));
			if (last)
				command.header.signal = head->signal;
		}
		result = accel_stream_append(stream, &command.header);
		from += now;
		to += now;
		bytes -= now;
	}
	return result ? weft_fail(-result, "%s", accel_error()) : 0;
}

static int add_command(struct builder *b, const struct weft_action *action, const struct weft_walk *walk)
{
	union accel_command command;
	struct accel_stream *stream;
	enum weft_engine engine = WEFT_ENGINE_COMPUTE;
	int result = add_gates(b);

	if (result)
		return result;
	stream = b->program->segment[present(b)].stream;
	if (action->kind == WEFT_ACTION_PAGE_IN)
		engine = WEFT_ENGINE_DMA_IN;
	else if (action->kind == WEFT_ACTION_PAGE_OUT)
		engine = WEFT_ENGINE_DMA_OUT;
	b->count[engine]++;
	b->spot[walk->next - 1] = (struct spot){.segment = present(b), .engine = engine, .count = b->count[engine]};
	if (engine == WEFT_ENGINE_COMPUTE) {
		const struct weft_operation *operation = &b->graph->operation[action->operation];
		uint64_t address[WEFT_MAX_OPERANDS];

		for (unsigned int i = 0; i < WEFT_MAX_OPERANDS; i++)
			address[i] = b->device + action->place[i];
		weft_operation_command(b->graph, operation, address, &command.header);
		command.header.tag = walk->next - 1;
		set_semaphores(b, &command.header);
		result = accel_stream_append(stream, &command.header);
		return result ? weft_fail(-result, "%s", accel_error()) : 0;
	}
	accel_cmd_init(&command, WEFT_OP_COPY, engine, 0);
	command.header.tag = walk->next - 1;
	set_semaphores(b, &command.header);
	if (engine == WEFT_ENGINE_DMA_IN)
		return weft_append_copy(stream, engine, b->host + walk->from, b->device + walk->to, walk->bytes,
					&command.header);
	return weft_append_copy(stream, engine, b->device + walk->from, b->host + walk->to, walk->bytes,
				&command.header);
}

/* A store of the step before that the action at hand conflicts with. */
static void meet_carried(void *user, uint32_t earlier)
{
	struct builder *b = user;
	uint32_t actions = b->plan->actions;

	if (earlier < actions && b->spot[earlier].io && !b->program->io[b->spot[earlier].count].held)
		meet_transfer(b, b->spot[earlier].count);
}

/*
 * Stores that a step leaves under way: go through the plan once more, as the step
 * that follows, and see what touches the same ranges.
 */
static int add_carried(struct builder *b)
{
	struct weft_program *program = b->program;
	const struct weft_action *action;
	struct weft_walk walk;
	int result = weft_walk_begin(&walk, b->plan, b->graph);

	memset(b->gated, 0, program->ios * sizeof(*b->gated));
	while (!result && (action = weft_walk_next(&walk))) {
		const struct spot *spot = &b->spot[walk.next - 1];

		if (action->kind == WEFT_ACTION_DROP)
			continue;
		b->transfers = 0;
		for (unsigned int i = 0; i < walk.accesses; i++)
			weft_hazards_visit(b->hazards, &walk.access[i], meet_carried, b);
		if (b->failed)
			result = -ENOMEM;
		for (uint32_t i = 0; !result && i < b->transfers; i++) {
			uint32_t io = b->transfer[i];

			if (spot->io) {
				result = add_to_set(program, &program->io[spot->count].carried, io);
			} else if (!b->gated[io]) {
				b->gated[io] = true;
				result = add_to_set(program, &program->segment[spot->segment].carried, io);
			}
		}
		for (unsigned int i = 0; !result && i < walk.accesses; i++)
			result = weft_hazards_record(b->hazards, &walk.access[i], b->plan->actions + walk.next - 1);
	}
	weft_walk_end(&walk);
	return result;
}

/* The application fills its inputs between steps: what reads them must have ended. */
static void hold_inputs(struct builder *b)
{
	for (uint32_t i = 0; i < b->program->ios; i++) {
		struct weft_io *io = &b->program->io[i];
		uint64_t end = io->host + weft_whole_blocks(io->bytes);

		for (weft_id v = 0; v < b->graph->values; v++) {
			const struct weft_value *value = &b->graph->value[v];
			uint64_t home = b->plan->home[v].offset;

			if (value->base == v && (value->kind == WEFT_VALUE_INPUT || value->kind == WEFT_VALUE_STEP) &&
			    io->host < home + value->bytes && home < end)
				io->held = true;
		}
	}
}

static int build_actions(struct builder *b)
{
	const struct weft_action *action;
	struct weft_walk walk;
	int result = weft_walk_begin(&walk, b->plan, b->graph);

	if (!result)
		result = begin_segment(b);
	while (!result && (action = weft_walk_next(&walk))) {
		if (action->kind == WEFT_ACTION_DROP)
			continue;
		result = collect(b, &walk);
		if (result)
			break;
		if (action->kind == WEFT_ACTION_STORE || action->kind == WEFT_ACTION_LOAD)
			result = add_transfer(b, action, &walk);
		else
			result = add_command(b, action, &walk);
		for (unsigned int i = 0; !result && i < walk.accesses; i++)
			result = weft_hazards_record(b->hazards, &walk.access[i], walk.next - 1);
	}
	weft_walk_end(&walk);
	return result;
}

int weft_program_build(struct weft_program *program, struct accel_context *context, const struct weft_graph *graph,
		       const struct weft_plan *plan, uint64_t device, uint64_t host)
{
	struct builder b = {
		.program = program,
		.context = context,
		.graph = graph,
		.plan = plan,
		.device = device,
		.host = host,
		.hazards = weft_hazards_new(),
		.spot = calloc(plan->actions + 1, sizeof(*b.spot)),
	};
	int result = 0;

	memset(program, 0, sizeof(*program));
	if (!b.hazards || !b.spot)
		result = weft_fail(ENOMEM, "no memory for the executor's program");
	if (!result)
		result = build_actions(&b);
	if (!result && program->ios) {
		hold_inputs(&b);
		result = add_carried(&b);
	}
	weft_hazards_free(b.hazards);
	free(b.spot);
	free(b.transfer);
	free(b.gated);
	if (result)
		weft_program_clear(program);
	return result;
}

void weft_program_clear(struct weft_program *program)
{
	for (uint32_t i = 0; i < program->segments; i++)
		accel_stream_unref(program->segment[i].stream);
	free(program->segment);
	free(program->io);
	free(program->list);
	memset(program, 0, sizeof(*program));
}
