// SPDX-License-Identifier: MIT
#include "exec/executor.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "exec/program.h"
#include "tier/storage.h"
#include "weft/error.h"

#define DEPTH 32
/* Tags of transfers are their index; this one is the queue's descriptor. */
#define TAG_QUEUE (UINT64_MAX - 1)
/* Most host memory borrowed at once to reach device memory or storage between steps. */
#define BOUNCE_BYTES (256u << 10)

enum io_state { IO_WAITING, IO_MOVING, IO_DONE };

struct weft_executor {
	struct accel_device *device;
	const struct weft_graph *graph;
	const struct weft_plan *plan;
	struct accel_context *context;
	struct accel_queue *queue;
	struct accel_buffer *device_arena, *host_arena;
	struct accel_stream *bounce_stream;
	char *host;
	uint64_t *host_offset; /* per value: of its copy in the host tier at the end of a step */
	struct weft_program program;
	struct weft_storage *storage;
	uint8_t *io_state; /* of this step */
	bool *carried;	   /* per transfer: a store that the step before left under way */
	uint32_t moving;   /* transfers under way, carried ones included */
	struct weft_io_stamp *stamp;
	bool broken;
	uint64_t steps;
};

/* State of the step under way. */
struct run {
	struct weft_executor *x;
	uint32_t submitted, completed; /* segments */
	uint32_t begun, held;	       /* transfers of this step; those under way that it must wait for */
	uint32_t first;		       /* transfer not yet done */
	uint64_t base;		       /* queue's point before the step */
	bool watching;
	int error;
	char sentence[1024];
};

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Building */

static int open_device(struct weft_executor *x)
{
	uint64_t device = x->plan->peak[WEFT_TIER_DEVICE], host = x->plan->peak[WEFT_TIER_HOST];
	void *memory = NULL;
	int result;

	result = accel_context_new(x->device, NULL, &x->context);
	if (!result)
		result = accel_queue_new(x->context, NULL, &x->queue);
	if (!result)
		result = accel_buffer_new(x->context, device ? device : 1, ACCEL_DEVICE_MEMORY, &x->device_arena);
	if (!result)
		result = accel_buffer_new(x->context, host ? host : 1, ACCEL_HOST_MEMORY, &x->host_arena);
	if (!result)
		result = accel_buffer_map(x->host_arena, &memory);
	if (!result)
		result = accel_stream_new(x->context, &x->bounce_stream);
	x->host = memory;
	return result ? weft_fail(-result, "%s", accel_error()) : 0;
}

static int open_storage(struct weft_executor *x, const char *dir)
{
	struct weft_storage_options options = {
		.dir = dir,
		.bytes = x->plan->peak[WEFT_TIER_STORAGE],
		.memory = x->host,
		.memory_bytes = accel_buffer_bytes(x->host_arena),
		.keys = x->graph->values,
		.depth = DEPTH,
	};
	int result;

	if (!options.bytes)
		return 0;
	if (!dir)
		return weft_fail(EINVAL, "the plan uses storage, but no storage directory was given");
	result = weft_storage_open(&options, &x->storage);
	if (!result && weft_storage_note(x->storage))
		fprintf(stderr, "weft: warning: %s\n", weft_storage_note(x->storage));
	return result;
}

/* Where each value's host copy is when a step has ended. */
static void find_host_copies(struct weft_executor *x)
{
	for (weft_id v = 0; v < x->graph->values; v++)
		x->host_offset[v] = x->plan->home[v].offset;
	for (uint32_t i = 0; i < x->plan->actions; i++) {
		const struct weft_action *action = &x->plan->action[i];

		if (action->kind == WEFT_ACTION_PAGE_OUT || action->kind == WEFT_ACTION_LOAD)
			x->host_offset[action->value] = action->offset;
	}
}

int weft_executor_new(struct accel_device *device, const struct weft_graph *graph, const struct weft_plan *plan,
		      const char *storage_dir, struct weft_executor **out)
{
	struct weft_executor *x = calloc(1, sizeof(*x));
	int result;

	*out = NULL;
	if (!x)
		return weft_fail(ENOMEM, "no memory for the executor");
	x->device = accel_device_ref(device);
	x->graph = graph;
	x->plan = plan;
	x->host_offset = calloc(graph->values + 1, sizeof(*x->host_offset));
	result = x->host_offset ? open_device(x) : weft_fail(ENOMEM, "no memory for the executor");
	if (!result) {
		find_host_copies(x);
		result = weft_program_build(&x->program, x->context, graph, plan, accel_buffer_address(x->device_arena),
					    accel_buffer_address(x->host_arena));
	}
	if (!result)
		result = open_storage(x, storage_dir);
	if (!result) {
		x->io_state = calloc(x->program.ios + 1, sizeof(*x->io_state));
		x->carried = calloc(x->program.ios + 1, sizeof(*x->carried));
		x->stamp = calloc(x->program.ios + 1, sizeof(*x->stamp));
		if (!x->io_state || !x->carried || !x->stamp)
			result = weft_fail(ENOMEM, "no memory for the executor");
	}
	if (result) {
		weft_executor_free(x);
		return result;
	}
	*out = x;
	return 0;
}

void weft_executor_free(struct weft_executor *x)
{
	if (!x)
		return;
	weft_storage_close(x->storage);
	weft_program_clear(&x->program);
	accel_stream_unref(x->bounce_stream);
	accel_buffer_unref(x->device_arena);
	accel_buffer_unref(x->host_arena);
	accel_queue_unref(x->queue);
	accel_context_unref(x->context);
	accel_device_unref(x->device);
	free(x->host_offset);
	free(x->io_state);
	free(x->carried);
	free(x->stamp);
	free(x);
}

void *weft_executor_host(struct weft_executor *x, weft_id value)
{
	return x->host + x->host_offset[value];
}

struct accel_context *weft_executor_context(struct weft_executor *x)
{
	return x->context;
}

uint64_t weft_executor_storage_bytes(const struct weft_executor *x)
{
	return x->storage ? weft_storage_bytes(x->storage) : 0;
}

size_t weft_executor_stamps(const struct weft_executor *x, const struct weft_io_stamp **stamps)
{
	*stamps = x->stamp;
	return x->program.ios;
}

bool weft_executor_broken(const struct weft_executor *x)
{
	return x->broken;
}

/* Running */

/* Why a job failed, with the operation's name. */
static int describe_fault(struct weft_executor *x)
{
	struct weft_fault_record fault;
	char text[512];

	if (accel_context_fault(x->context, &fault) || !fault.reason)
		return weft_fail(EIO, "%s", accel_error());
	accel_fault_describe(&fault, text, sizeof(text));
	if (fault.tag < x->plan->actions) {
		const struct weft_action *action = &x->plan->action[fault.tag];

		if (action->kind == WEFT_ACTION_COMPUTE) {
			const struct weft_operation *operation = &x->graph->operation[action->operation];
			weft_id operand = WEFT_NO_ID;

			if (fault.operand < operation->operands)
				operand = operation->operand[fault.operand];
			return weft_fail(EIO, "step %llu, operation '%s'%s%s%s: %s", (unsigned long long)x->steps,
					 operation->name, operand != WEFT_NO_ID ? ", value '" : "",
					 operand != WEFT_NO_ID ? x->graph->value[operand].name : "",
					 operand != WEFT_NO_ID ? "'" : "", text);
		}
		return weft_fail(EIO, "step %llu, moving '%s': %s", (unsigned long long)x->steps,
				 x->graph->value[action->value].name, text);
	}
	return weft_fail(EIO, "step %llu: %s", (unsigned long long)x->steps, text);
}

static void note_error(struct run *run, int error)
{
	if (run->error)
		return;
	run->error = error;
	strncpy(run->sentence, weft_error(), sizeof(run->sentence) - 1);
}

static bool have_ended(const struct weft_executor *x, const struct weft_io_set *set)
{
	const uint32_t *list = x->program.list + set->first;

	for (uint32_t i = 0; i < set->count; i++)
		if (x->io_state[list[i]] != IO_DONE)
			return false;
	return true;
}

static bool are_carried(const struct weft_executor *x, const struct weft_io_set *set)
{
	const uint32_t *list = x->program.list + set->first;

	for (uint32_t i = 0; i < set->count; i++)
		if (x->carried[list[i]])
			return true;
	return false;
}

static int begin_transfers(struct run *run)
{
	struct weft_executor *x = run->x;
	const struct weft_program *program = &x->program;

	while (run->first < program->ios && x->io_state[run->first] == IO_DONE)
		run->first++;
	/* One place is for the queue's descriptor. */
	for (uint32_t i = run->first; i < program->ios && x->moving + 1 < DEPTH; i++) {
		const struct weft_io *io = &program->io[i];
		void *memory = x->host + io->host;
		int result;

		if (x->io_state[i] != IO_WAITING)
			continue;
		if ((io->segment != WEFT_NO_SEGMENT && io->segment >= run->completed) || !have_ended(x, &io->befores) ||
		    are_carried(x, &io->carried))
			continue;
		x->stamp[i] = (struct weft_io_stamp){.action = io->action, .start_ns = now_ns()};
		result = io->write ? weft_storage_write(x->storage, io->value, io->storage, memory, io->bytes, i)
				   : weft_storage_read(x->storage, io->value, io->storage, memory, io->bytes, i);
		if (result)
			return result;
		x->io_state[i] = IO_MOVING;
		x->moving++;
		run->begun++;
		run->held += io->held;
	}
	return 0;
}

static int submit_segments(struct run *run)
{
	struct weft_executor *x = run->x;
	const struct weft_program *program = &x->program;

	while (run->submitted < program->segments) {
		const struct weft_segment *segment = &program->segment[run->submitted];
		int result;

		if (!have_ended(x, &segment->gates) || are_carried(x, &segment->carried))
			return 0;
		result = accel_queue_submit(x->queue, segment->stream, NULL, NULL);
		if (result)
			return weft_fail(-result, "%s", accel_error());
		run->submitted++;
	}
	return 0;
}

static int collect_segments(struct run *run)
{
	struct weft_executor *x = run->x;
	uint64_t completed = accel_queue_completed(x->queue) - run->base;
	int result = 0;

	while (run->completed < completed) {
		run->completed++;
		if (accel_queue_wait(x->queue, run->base + run->completed, 0))
			result = describe_fault(x);
	}
	return result;
}

/* The transfer @tag has ended with @result, which gets the step and the value in its sentence. */
static int end_transfer(struct weft_executor *x, uint64_t tag, int result)
{
	bool carried = x->carried[tag];

	x->stamp[tag].end_ns = now_ns();
	x->moving--;
	if (carried)
		x->carried[tag] = false;
	else
		x->io_state[tag] = IO_DONE;
	if (!result)
		return 0;
	return weft_fail_in(result, "step %llu, value '%s'", (unsigned long long)x->steps - carried,
			    x->graph->value[x->program.io[tag].value].name);
}

/* Wait for one thing to end. */
static int wait_for_one(struct run *run)
{
	struct weft_executor *x = run->x;
	uint64_t tag, count;
	int result;

	if (!run->watching && run->completed < run->submitted) {
		result = weft_storage_watch(x->storage, accel_queue_fd(x->queue), TAG_QUEUE);
		if (result)
			return result;
		run->watching = true;
	}
	result = weft_storage_wait(x->storage, &tag);
	if (tag == TAG_QUEUE) {
		run->watching = false;
		/* The descriptor only says that something has ended. */
		(void)!read(accel_queue_fd(x->queue), &count, sizeof(count));
		return collect_segments(run);
	}
	if (tag >= x->program.ios)
		return result;
	if (!x->carried[tag] && x->program.io[tag].held)
		run->held--;
	return end_transfer(x, tag, result);
}

/* Stores that nothing of this step waits for go on during the next one. */
static int carry(struct weft_executor *x)
{
	for (uint32_t i = 0; i < x->program.ios; i++)
		if (x->io_state[i] == IO_MOVING)
			x->carried[i] = true;
	return weft_storage_submit(x->storage);
}

static int step_with_storage(struct run *run)
{
	struct weft_executor *x = run->x;
	const struct weft_program *program = &x->program;

	memset(x->io_state, IO_WAITING, program->ios);
	for (;;) {
		int result = 0;

		if (!run->error)
			result = begin_transfers(run);
		if (!result && !run->error)
			result = submit_segments(run);
		if (result)
			note_error(run, result);
		if (run->completed == run->submitted) {
			if (!run->error && run->submitted == program->segments && run->begun == program->ios &&
			    !run->held)
				return carry(x);
			/* After an error only what is under way is waited for. */
			if (!x->moving)
				return run->error ? 0 : weft_fail(EINVAL, "the program waits for itself");
		}
		result = wait_for_one(run);
		if (result)
			note_error(run, result);
	}
}

int weft_executor_drain(struct weft_executor *x)
{
	char sentence[1024];
	int error = 0;

	while (x->moving) {
		uint64_t tag;
		int result = weft_storage_wait(x->storage, &tag);

		if (tag >= x->program.ios)
			return result ? result : weft_fail(EINVAL, "a transfer ended that nobody had begun");
		result = end_transfer(x, tag, result);
		if (!result || error)
			continue;
		error = result;
		snprintf(sentence, sizeof(sentence), "%s", weft_error());
	}
	if (!error)
		return 0;
	x->broken = true;
	return weft_fail(-error, "%s", sentence);
}

static int step_in_memory(struct run *run)
{
	struct weft_executor *x = run->x;
	uint64_t point;
	int result = accel_queue_submit(x->queue, x->program.segment[0].stream, NULL, &point);

	if (result)
		return weft_fail(-result, "%s", accel_error());
	result = accel_queue_wait(x->queue, point, ACCEL_WAIT_FOREVER);
	return result == -EIO ? describe_fault(x) : result ? weft_fail(-result, "%s", accel_error()) : 0;
}

int weft_executor_step(struct weft_executor *x)
{
	struct run run = {.x = x, .base = accel_queue_completed(x->queue)};
	int result;

	if (x->broken)
		return weft_fail(
			EIO, "an earlier step failed in the middle, so the weights are not whole: load a checkpoint");
	result = x->program.ios ? step_with_storage(&run) : step_in_memory(&run);
	if (!result && run.error)
		result = weft_fail(-run.error, "%s", run.sentence);
	if (result)
		x->broken = true;
	else
		x->steps++;
	return result;
}

int weft_executor_mend(struct weft_executor *x)
{
	struct weft_fault_record fault;

	if (!accel_context_fault(x->context, &fault) && fault.reason && accel_context_recover(x->context))
		return weft_fail(EIO, "%s", accel_error());
	/* Writing the values has waited for all transfers. */
	x->broken = false;
	return 0;
}

/* Values between steps */

/*
 * A part of the host arena is borrowed to reach the other tiers: its contents are
 * put aside, so that no memory beyond the plan's is needed on the device's side.
 */
struct bounce {
	struct weft_executor *x;
	size_t bytes;
	void *aside;
};

static int borrow(struct weft_executor *x, struct bounce *bounce)
{
	bounce->x = x;
	bounce->bytes = accel_buffer_bytes(x->host_arena);
	if (bounce->bytes > BOUNCE_BYTES)
		bounce->bytes = BOUNCE_BYTES;
	bounce->aside = malloc(bounce->bytes);
	if (!bounce->aside)
		return weft_fail(ENOMEM, "no memory to move values");
	memcpy(bounce->aside, x->host, bounce->bytes);
	return 0;
}

static void give_back(struct bounce *bounce)
{
	memcpy(bounce->x->host, bounce->aside, bounce->bytes);
	free(bounce->aside);
}

static int bounce_device(struct weft_executor *x, enum weft_engine engine, uint64_t offset, size_t bytes)
{
	uint64_t device = accel_buffer_address(x->device_arena) + offset;
	uint64_t host = accel_buffer_address(x->host_arena), point;
	struct weft_fault_record fault;
	int result = accel_stream_reset(x->bounce_stream);

	/* A fault of an earlier step must not keep the weights out of reach. */
	if (!result && !accel_context_fault(x->context, &fault) && fault.reason)
		result = accel_context_recover(x->context);
	if (result)
		return weft_fail(-result, "%s", accel_error());
	result = engine == WEFT_ENGINE_DMA_IN ? weft_append_copy(x->bounce_stream, engine, host, device, bytes, NULL)
					      : weft_append_copy(x->bounce_stream, engine, device, host, bytes, NULL);
	if (result)
		return result;
	result = accel_queue_submit(x->queue, x->bounce_stream, NULL, &point);
	if (!result)
		result = accel_queue_wait(x->queue, point, ACCEL_WAIT_FOREVER);
	return result ? weft_fail(-result, "%s", accel_error()) : 0;
}

static int bounce_storage(struct weft_executor *x, bool write, uint64_t offset, size_t bytes)
{
	uint64_t tag;
	int result;

	result = write ? weft_storage_write(x->storage, WEFT_STORAGE_UNCHECKED, offset, x->host, bytes, 0)
		       : weft_storage_read(x->storage, WEFT_STORAGE_UNCHECKED, offset, x->host, bytes, 0);
	return result ? result : weft_storage_wait(x->storage, &tag);
}

/* Move a value between @data and its home, a piece at a time.  No transfer is under way, and no watch: steps end those.
 */
static int move(struct weft_executor *x, weft_id value, char *out, const char *in)
{
	const struct weft_home *home = &x->plan->home[value];
	uint64_t bytes = x->graph->value[value].bytes, piece;
	XXH3_state_t *hash = NULL;
	struct bounce bounce;
	int result = borrow(x, &bounce);

	if (result)
		return result;
	if (home->tier == WEFT_TIER_STORAGE) {
		hash = XXH3_createState();
		if (!hash)
			result = weft_fail(ENOMEM, "no memory to move values");
		else
			XXH3_64bits_reset(hash);
	}
	for (uint64_t at = 0; !result && at < bytes; at += piece) {
		piece = bytes - at < bounce.bytes ? bytes - at : bounce.bytes;
		if (in)
			memcpy(x->host, in + at, piece);
		if (hash)
			result = bounce_storage(x, in, home->offset + at, piece);
		else
			result = bounce_device(x, in ? WEFT_ENGINE_DMA_IN : WEFT_ENGINE_DMA_OUT, home->offset + at,
					       piece);
		if (!result && out)
			memcpy(out + at, x->host, piece);
		if (hash)
			XXH3_64bits_update(hash, x->host, piece);
	}
	give_back(&bounce);
	if (hash && !result && in)
		weft_storage_set_checksum(x->storage, value, XXH3_64bits_digest(hash));
	if (hash && !result && out && XXH3_64bits_digest(hash) != weft_storage_checksum(x->storage, value))
		result = weft_fail(EBADMSG,
				   "page file: the %llu bytes at offset %llu are not those that were written (checksum "
				   "mismatch): the storage or its memory is faulty",
				   (unsigned long long)bytes, (unsigned long long)home->offset);
	XXH3_freeState(hash);
	return result ? weft_fail_in(result, "value '%s'", x->graph->value[value].name) : 0;
}

static int read_piece(struct weft_executor *x, weft_id value, void *data)
{
	if (x->plan->home[value].tier == WEFT_TIER_HOST) {
		memcpy(data, x->host + x->plan->home[value].offset, x->graph->value[value].bytes);
		return 0;
	}
	return move(x, value, data, NULL);
}

static int write_piece(struct weft_executor *x, weft_id value, const void *data)
{
	if (x->plan->home[value].tier == WEFT_TIER_HOST) {
		memcpy(x->host + x->plan->home[value].offset, data, x->graph->value[value].bytes);
		return 0;
	}
	return move(x, value, NULL, data);
}

/* A value in pieces, one after another.  @in or @out is NULL. */
static int move_pieces(struct weft_executor *x, weft_id value, void *out, const void *in)
{
	const struct weft_value *whole = &x->graph->value[value];
	size_t size = accel_type_bytes(whole->layout.type);
	void *piece = malloc(x->graph->value[whole->piece].bytes);
	int result = piece ? 0 : weft_fail(ENOMEM, "no memory to move '%s'", whole->name);

	/* The first piece is the largest. */
	for (uint32_t i = 0; !result && i < whole->pieces; i++) {
		if (in) {
			weft_grid_copy(whole->grid, i, size, (void *)in, piece, false);
			result = write_piece(x, whole->piece + i, piece);
		} else {
			result = read_piece(x, whole->piece + i, piece);
			if (!result)
				weft_grid_copy(whole->grid, i, size, out, piece, true);
		}
	}
	free(piece);
	return result;
}

int weft_executor_read(struct weft_executor *x, weft_id value, void *data)
{
	int result = weft_executor_drain(x);

	if (result)
		return result;
	return x->graph->value[value].grid ? move_pieces(x, value, data, NULL) : read_piece(x, value, data);
}

int weft_executor_write(struct weft_executor *x, weft_id value, const void *data)
{
	int result = weft_executor_drain(x);

	if (result)
		return result;
	return x->graph->value[value].grid ? move_pieces(x, value, NULL, data) : write_piece(x, value, data);
}
