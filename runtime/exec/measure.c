// SPDX-License-Identifier: MIT
/* Measuring what commands and transfers take on the device at hand. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <accel/commands.h>

#include "exec/calibration.h"
#include "exec/line.h"
#include "exec/session_internal.h"
#include "plan/draft.h"
#include "tier/storage.h"
#include "weft/error.h"

/* Transfers that lines are fitted through: of each size, several. */
#define ROUNDS 7
#define SIZES 5
#define DEPTH 32 /* of storage transfers, the executor's */
#define STORAGE_BYTES (48ull << 20)
/* With less, all of it is in caches. */
#define LEAST_ROOM (16u << 20)

static double now_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

/*
 * What else the machine does can only add to a time: the least of several is what
 * the thing itself takes.
 */
static double least(const double *sample, size_t samples)
{
	double value = samples ? sample[0] : 0;

	for (size_t i = 1; i < samples; i++)
		if (sample[i] < value)
			value = sample[i];
	return value;
}

/* Sorts @sample. */
static double median(double *sample, size_t samples)
{
	if (!samples)
		return 0;
	qsort(sample, samples, sizeof(*sample), by_value);
	return samples % 2 ? sample[samples / 2] : (sample[samples / 2 - 1] + sample[samples / 2]) / 2;
}

int weft_measure_feed(struct weft_session *session)
{
	const struct weft_graph *graph = weft_session_graph(session);
	const float hyper[WEFT_HYPERS] = {
		[WEFT_HYPER_LR] = 1e-3f,      [WEFT_HYPER_BETA1] = 0.9f,       [WEFT_HYPER_BETA2] = 0.999f,
		[WEFT_HYPER_EPSILON] = 1e-8f, [WEFT_HYPER_GRADIENT_SCALE] = 1,
	};
	uint32_t random = 1;

	for (uint32_t i = 0; i < graph->inputs; i++) {
		const struct weft_value *value = &graph->value[graph->input[i]];
		void *memory;
		size_t bytes;
		int result = weft_session_input(session, value->name, &memory, &bytes);

		if (result)
			return result;
		/* Indices, labels and masks: 0 is always one. */
		memset(memory, 0, bytes);
		for (size_t j = 0; value->layout.type == WEFT_TYPE_F32 && j < bytes / sizeof(float); j++) {
			random = random * 1664525 + 1013904223;
			((float *)memory)[j] = (float)(random >> 8) / (1 << 23) - 1;
		}
	}
	return weft_session_hyper(session, hyper);
}

/* Commands */

struct samples {
	struct weft_session *session;
	enum weft_clock clock;
	double hertz;
	unsigned int steps;
	double *seconds; /* per action and step */
	uint8_t *count;	 /* per action */
	double *gap;	 /* between one command and the next, with nothing under way */
	size_t gaps;
	double between;		/* median of the gaps */
	const double *modelled; /* per operation */
};

static int trace_steps(struct samples *s)
{
	const struct weft_plan *plan = s->session->plan;
	int result = weft_session_trace(s->session, true);

	for (unsigned int step = 0; !result && step < s->steps; step++) {
		const struct weft_event *event;
		uint64_t last_end = 0;
		size_t events;

		result = weft_session_step(s->session);
		events = result ? 0 : weft_session_events(s->session, &event);
		for (size_t i = 0; i < events; i++) {
			uint32_t action = event[i].action;

			if (last_end && event[i].start_ns > last_end && s->gaps < (size_t)plan->actions * s->steps)
				s->gap[s->gaps++] = 1e-9 * (double)(event[i].start_ns - last_end);
			if (event[i].end_ns > last_end)
				last_end = event[i].end_ns;
			if (plan->action[action].kind != WEFT_ACTION_COMPUTE || s->count[action] >= s->steps)
				continue;
			s->seconds[(size_t)action * s->steps + s->count[action]++] =
				s->clock == WEFT_CLOCK_MODEL ? (double)event[i].model_cycles / s->hertz
							     : 1e-9 * (double)(event[i].end_ns - event[i].start_ns);
		}
	}
	weft_session_trace(s->session, false);
	return result;
}

/* One entry per action, then one per key: the mean of the actions that have it. */
static int gather_commands(struct samples *s, struct weft_calibration *out)
{
	const struct weft_plan *plan = s->session->plan;
	struct weft_measured_command *command;
	uint32_t commands = 0, merged = 0;
	int result;

	s->between = s->clock == WEFT_CLOCK_WALL ? median(s->gap, s->gaps) : 0;
	command = calloc((size_t)plan->actions + 1, sizeof(*command));
	if (!command)
		return weft_fail(ENOMEM, "no memory to measure costs");
	for (uint32_t a = 0; a < plan->actions; a++) {
		weft_id o = plan->action[a].operation;

		if (plan->action[a].kind != WEFT_ACTION_COMPUTE || !s->count[a])
			continue;
		command[commands++] = (struct weft_measured_command){
			.key = weft_command_key(s->session->graph, o),
			.opcode = s->session->graph->operation[o].opcode,
			.seconds = least(s->seconds + (size_t)a * s->steps, s->count[a]) + s->between,
			.modelled_seconds = s->modelled[o],
		};
	}
	qsort(command, commands, sizeof(*command), weft_command_by_key);
	for (uint32_t first = 0, end; first < commands; first = end) {
		struct weft_measured_command sum = command[first];

		for (end = first + 1; end < commands && command[end].key == sum.key; end++)
			sum.seconds += command[end].seconds;
		sum.seconds /= end - first;
		command[merged++] = sum;
	}
	result = weft_calibration_add(out, command, merged);
	free(command);
	return result;
}

static int measure_commands(struct samples *s, struct weft_calibration *out)
{
	size_t actions = s->session->plan->actions;
	int result;

	s->seconds = calloc(actions * s->steps + 1, sizeof(*s->seconds));
	s->gap = calloc(actions * s->steps + 1, sizeof(*s->gap));
	s->count = calloc(actions + 1, sizeof(*s->count));
	result = s->seconds && s->gap && s->count ? trace_steps(s) : weft_fail(ENOMEM, "no memory to measure costs");
	if (!result)
		result = gather_commands(s, out);
	free(s->seconds);
	free(s->gap);
	free(s->count);
	return result;
}

/* Transfers */

struct point {
	double bytes, seconds;
};

static void fit(const struct point *point, unsigned int points, struct weft_transfer_cost *cost)
{
	struct weft_line_sums sums = {0};
	struct weft_line line;

	for (unsigned int i = 0; i < points; i++)
		weft_line_add(&sums, point[i].bytes, point[i].seconds);
	line = weft_line_fit(&sums);
	cost->seconds = line.start;
	cost->bytes_per_second = 1 / fmax(line.slope, 1e-15);
}

struct pager {
	struct accel_context *context;
	struct accel_queue *queue;
	struct accel_stream *stream;
	struct accel_buffer *device, *host;
	double hertz;
	enum weft_clock clock;
	uint64_t next; /* place in both buffers */
	uint64_t ring; /* bytes of each that are used, in turn */
};

/* Every transfer goes to another place of the ring: where that is large, caches hold none of them. */
static int page(struct pager *p, enum weft_engine engine, uint32_t bytes, double *seconds)
{
	uint64_t room = p->ring - bytes, point;
	uint64_t host = accel_buffer_address(p->host) + (p->next > room ? 0 : p->next);
	uint64_t device = accel_buffer_address(p->device) + (p->next > room ? 0 : p->next);
	bool in = engine == WEFT_ENGINE_DMA_IN;
	struct weft_tensor source = accel_tensor(in ? host : device, WEFT_TYPE_U8, 1, &bytes);
	struct weft_tensor target = accel_tensor(in ? device : host, WEFT_TYPE_U8, 1, &bytes);
	struct accel_trace_record record;
	union accel_command command;
	int result = accel_stream_reset(p->stream);

	p->next = p->next > room ? bytes : p->next + bytes;
	accel_cmd_copy(&command, engine, &source, &target);
	if (!result)
		result = accel_stream_append(p->stream, &command.header);
	if (!result)
		result = accel_context_trace(p->context, 1);
	if (!result)
		result = accel_queue_submit(p->queue, p->stream, NULL, &point);
	if (!result)
		result = accel_queue_wait(p->queue, point, ACCEL_WAIT_FOREVER);
	if (!result && accel_context_trace_read(p->context, &record, 1) != 1)
		result = -EIO;
	if (result)
		return weft_fail(-result, "measuring transfers of %u bytes: %s", bytes, accel_error());
	*seconds = p->clock == WEFT_CLOCK_MODEL ? (double)record.model_cycles / p->hertz
						: 1e-9 * (double)(record.end_ns - record.start_ns);
	return 0;
}

static int measure_direction(struct pager *p, enum weft_engine engine, uint64_t most, struct weft_transfer_cost *cost)
{
	struct point point[SIZES];
	unsigned int points = 0;
	int result = 0;

	for (uint64_t bytes = most; !result && points < SIZES && bytes >= 64; bytes /= 8) {
		double sample[ROUNDS];

		for (unsigned int i = 0; !result && i < ROUNDS; i++)
			result = page(p, engine, (uint32_t)bytes, &sample[i]);
		point[points++] = (struct point){(double)bytes, result ? 0 : least(sample, ROUNDS)};
	}
	if (!result)
		fit(point, points, cost);
	return result;
}

/* Rings of up to so many bytes, host and device together: caches are not larger. */
#define LARGEST_RING (128u << 20)
#define RING_ROUNDS 3

/* The rate of transfers that go round the ring again and again; not below that of memory not touched for long. */
static int measure_ring(struct pager *p, enum weft_engine engine, const struct weft_transfer_cost *cold, double *rate)
{
	const uint32_t block = 256u << 10, blocks = (uint32_t)(p->ring / block);
	double sample[RING_ROUNDS];
	int result = 0;

	/* The first time round finds none of it. */
	for (unsigned int round = 0; !result && round < RING_ROUNDS; round++) {
		double total = 0, seconds;

		for (uint32_t i = 0; !result && i < blocks; i++) {
			result = page(p, engine, block, &seconds);
			total += result ? 0 : seconds;
		}
		sample[round] = total / blocks;
	}
	if (!result)
		*rate = fmax(block / fmax(least(sample + 1, RING_ROUNDS - 1) - cold->seconds, 1e-9),
			     cold->bytes_per_second);
	return result;
}

static int measure_recent(struct pager *p, struct weft_calibration *out)
{
	const uint64_t ring = p->ring;
	double in = out->page_in.bytes_per_second, back = out->page_out.bytes_per_second;
	int result = 0;

	/* Of less that was touched since, not less is in caches. */
	for (unsigned int i = WEFT_RECENT_COSTS; !result && i-- > 0;) {
		const uint64_t bytes = LARGEST_RING >> (WEFT_RECENT_COSTS - 1 - i);
		double rate[2] = {0, 0};

		p->ring = bytes / 2;
		/* A device of little memory knows no more than what it was measured with. */
		if (p->ring <= ring)
			result = measure_ring(p, WEFT_ENGINE_DMA_IN, &out->page_in, &rate[0]);
		if (!result && p->ring <= ring)
			result = measure_ring(p, WEFT_ENGINE_DMA_OUT, &out->page_out, &rate[1]);
		in = fmax(in, rate[0]);
		back = fmax(back, rate[1]);
		out->recent[i] = (struct weft_recent_cost){(double)bytes, in, back};
	}
	p->ring = ring;
	return result;
}

/* Engines that wait for one another by turns. */
static int measure_handover(struct pager *p, double *seconds)
{
	enum { TURNS = 200 };
	double sample[ROUNDS];
	int result = accel_stream_reset(p->stream);

	for (uint32_t turn = 0; !result && turn < TURNS; turn++) {
		enum weft_engine engine = turn % 2 ? WEFT_ENGINE_DMA_IN : WEFT_ENGINE_COMPUTE;
		union accel_command command;

		accel_cmd_nop(&command, engine);
		if (turn)
			accel_cmd_wait(&command, (turn - 1) % 2, (turn + 1) / 2);
		accel_cmd_signal(&command, turn % 2, turn / 2 + 1);
		result = accel_stream_append(p->stream, &command.header);
	}
	for (unsigned int i = 0; !result && i < ROUNDS; i++) {
		double start = now_seconds();
		uint64_t point;

		result = accel_queue_submit(p->queue, p->stream, NULL, &point);
		if (!result)
			result = accel_queue_wait(p->queue, point, ACCEL_WAIT_FOREVER);
		sample[i] = (now_seconds() - start) / TURNS;
	}
	*seconds = result ? 0 : least(sample, ROUNDS);
	return result ? weft_fail(-result, "measuring handovers: %s", accel_error()) : 0;
}

static int measure_paging(struct accel_device *device, double hertz, struct weft_calibration *out)
{
	struct accel_device_info info = {.size = sizeof(info)};
	struct accel_counters counters = {.size = sizeof(counters)};
	struct pager p = {.clock = out->clock, .hertz = hertz};
	uint64_t room = 128u << 20, unused;
	int result = accel_device_query(device, &info);
	double seconds;

	if (!result)
		result = accel_device_counters(device, &counters);
	unused = result ? 0 : info.device_memory_bytes - counters.device_bytes;
	while (room > 4096 && room > unused / 2)
		room /= 2;
	if (!result)
		result = accel_context_new(device, NULL, &p.context);
	if (!result)
		result = accel_queue_new(p.context, NULL, &p.queue);
	if (!result)
		result = accel_stream_new(p.context, &p.stream);
	if (!result)
		result = accel_buffer_new(p.context, room, ACCEL_DEVICE_MEMORY, &p.device);
	if (!result)
		result = accel_buffer_new(p.context, room, ACCEL_HOST_MEMORY, &p.host);
	p.ring = room;
	if (result)
		weft_fail(-result, "measuring transfers: %s", accel_error());
	if (!result)
		result =
			page(&p, WEFT_ENGINE_DMA_IN, (uint32_t)room, &seconds); /* pages not yet written do not count */
	if (!result)
		result = page(&p, WEFT_ENGINE_DMA_OUT, (uint32_t)room, &seconds);
	if (!result)
		result = measure_direction(&p, WEFT_ENGINE_DMA_IN, room / 16, &out->page_in);
	if (!result)
		result = measure_direction(&p, WEFT_ENGINE_DMA_OUT, room / 16, &out->page_out);
	if (!result && out->clock == WEFT_CLOCK_WALL && room >= LEAST_ROOM)
		result = measure_recent(&p, out);
	if (!result && out->clock == WEFT_CLOCK_WALL)
		result = measure_handover(&p, &out->handover_seconds);
	accel_buffer_unref(p.host);
	accel_buffer_unref(p.device);
	accel_stream_unref(p.stream);
	accel_queue_unref(p.queue);
	accel_context_unref(p.context);
	return result;
}

/* Move @blocks blocks with as many under way as the executor has; seconds per block. */
static int move_blocks(struct weft_storage *storage, char *memory, uint64_t bytes, uint32_t blocks, bool write,
		       double *seconds)
{
	double start = now_seconds();
	uint64_t place;

	/* Whichever transfer ends, the next one takes its place in memory. */
	for (uint32_t begun = 0, ended = 0; ended < blocks; begun++) {
		int result = 0;
		char *at;

		place = begun;
		if (begun >= DEPTH) {
			result = weft_storage_wait(storage, &place);
			ended++;
		}
		at = memory + place * bytes;
		if (!result && begun < blocks)
			result = write ? weft_storage_write(storage, begun, begun * bytes, at, bytes, place)
				       : weft_storage_read(storage, begun, begun * bytes, at, bytes, place);
		if (result)
			return result;
	}
	*seconds = (now_seconds() - start) / blocks;
	return 0;
}

static int measure_blocks(const char *dir, char *memory, uint64_t bytes, struct point *store, struct point *load)
{
	uint32_t blocks = STORAGE_BYTES / bytes > 2 * DEPTH ? (uint32_t)(STORAGE_BYTES / bytes) : 2 * DEPTH;
	struct weft_storage_options options = {.dir = dir,
					       .bytes = blocks * bytes,
					       .memory = memory,
					       .memory_bytes = DEPTH * bytes,
					       .keys = blocks,
					       .depth = DEPTH};
	struct weft_storage *storage = NULL;
	double sample[2][3];
	int result = weft_storage_open(&options, &storage);

	memset(memory, 0x5a, options.memory_bytes);
	for (unsigned int i = 0; !result && i < 3; i++) {
		result = move_blocks(storage, memory, bytes, blocks, true, &sample[0][i]);
		if (!result)
			result = move_blocks(storage, memory, bytes, blocks, false, &sample[1][i]);
	}
	weft_storage_close(storage);
	if (result)
		return result;
	*store = (struct point){(double)bytes, least(sample[0], 3)};
	*load = (struct point){(double)bytes, least(sample[1], 3)};
	return 0;
}

/* With blocks as large as values are: 64 KiB, 512 KiB and 4 MiB; in the executor's kind of memory. */
static int measure_storage(struct accel_device *device, const char *dir, struct weft_calibration *out)
{
	struct accel_context *context = NULL;
	struct accel_buffer *buffer = NULL;
	struct point store[3], load[3];
	void *memory;
	int result = accel_context_new(device, NULL, &context);

	if (!result)
		result = accel_buffer_new(context, DEPTH * (65536ull << 6), ACCEL_HOST_MEMORY, &buffer);
	if (!result)
		result = accel_buffer_map(buffer, &memory);
	if (result)
		weft_fail(-result, "measuring storage: %s", accel_error());
	for (unsigned int i = 0; !result && i < 3; i++)
		result = measure_blocks(dir, memory, 65536ull << 3 * i, &store[i], &load[i]);
	if (!result) {
		fit(store, 3, &out->store);
		fit(load, 3, &out->load);
		out->storage_key = weft_storage_key(dir);
	}
	accel_buffer_unref(buffer);
	accel_context_unref(context);
	return result;
}

/* What is left of a step's time when all that the plan says is taken off. */
static int measure_step(struct samples *s, double wall, struct weft_calibration *out)
{
	const struct weft_session *session = s->session;
	struct weft_plan plan = *session->plan;
	struct weft_costs costs = session->costs;
	size_t bytes = (session->graph->operations + 1) * sizeof(double);
	int result;

	costs.operation_seconds = malloc(bytes);
	if (!costs.operation_seconds)
		return weft_fail(ENOMEM, "no memory to measure costs");
	memcpy(costs.operation_seconds, session->costs.operation_seconds, bytes);
	weft_calibration_apply(out, session->graph, NULL, &costs);
	result = weft_plan_predict(&plan, session->graph, &costs);
	free(costs.operation_seconds);
	if (!result)
		out->step_seconds = fmax(wall - plan.seconds, 0);
	return result;
}

/* The plan's seconds with the cycles that the device counted for each action. */
static int modelled_seconds(const struct weft_session *session, double hertz, double *seconds)
{
	struct weft_plan plan = *session->plan;
	double *known = malloc((plan.actions + 1) * sizeof(*known));
	int result;

	if (!known)
		return weft_fail(ENOMEM, "no memory to measure a step");
	for (uint32_t a = 0; a < plan.actions; a++)
		known[a] = -1;
	for (size_t i = 0; i < session->events; i++)
		if (session->event[i].model_cycles)
			known[session->event[i].action] = (double)session->event[i].model_cycles / hertz;
	result = weft_plan_predict_known(&plan, session->graph, &session->costs, known);
	free(known);
	*seconds = plan.seconds;
	return result;
}

int weft_measure_steps(struct weft_session *session, enum weft_clock clock, unsigned int steps,
		       struct weft_step_cost *cost)
{
	struct accel_device_info info = {.size = sizeof(info)};
	double *wall = calloc(steps + 1, sizeof(*wall)), joules = session->joules;
	int result = wall ? 0 : weft_fail(ENOMEM, "no memory to measure a step");

	if (!result && accel_device_query(session->device, &info))
		result = weft_fail(EIO, "%s", accel_error());
	if (!result && clock == WEFT_CLOCK_MODEL)
		result = weft_session_trace(session, true);
	for (unsigned int i = 0; !result && i < steps; i++) {
		double start = now_seconds();

		result = weft_session_step(session);
		wall[i] = now_seconds() - start;
		if (!result && clock == WEFT_CLOCK_MODEL)
			result = modelled_seconds(session, info.clock_hz ? (double)info.clock_hz : 1e9, &wall[i]);
	}
	if (clock == WEFT_CLOCK_MODEL)
		weft_session_trace(session, false);
	cost->seconds = least(wall, steps);
	cost->joules = (session->joules - joules) / (steps ? steps : 1);
	free(wall);
	return result;
}

/* Commands, and what the device's model makes of them. */
static int measure_session(struct accel_device *device, struct samples *s, struct weft_calibration *out)
{
	struct weft_costs modelled;
	int result = weft_costs_model(device, s->session->graph, &modelled);

	if (result)
		return result;
	s->modelled = modelled.operation_seconds;
	result = weft_measure_feed(s->session);
	/* The first step finds nothing in caches and pages not yet touched. */
	if (!result)
		result = weft_session_step(s->session);
	if (!result)
		result = measure_commands(s, out);
	weft_costs_clear(&modelled);
	return result;
}

/* What lies between one command and the next is there for transfers too. */
static void add_between(struct weft_calibration *out, double seconds)
{
	out->page_in.seconds += seconds;
	out->page_out.seconds += seconds;
}

int weft_measure(struct accel_device *device, struct weft_session *session, unsigned int steps, const char *storage_dir,
		 struct weft_calibration *out)
{
	struct accel_device_info info = {.size = sizeof(info)};
	struct samples s = {.session = session, .steps = steps};
	struct weft_step_cost step;
	int result = accel_device_query(device, &info);

	memset(out, 0, sizeof(*out));
	if (result)
		result = weft_fail(-result, "%s", accel_error());
	s.clock = out->clock = weft_calibration_clock(&info);
	s.hertz = info.clock_hz ? (double)info.clock_hz : 1e9;
	if (!result)
		result = measure_session(device, &s, out);
	if (!result)
		result = weft_measure_steps(session, s.clock, steps, &step);
	if (!result)
		result = measure_paging(device, s.hertz, out);
	if (!result)
		add_between(out, s.between);
	if (!result && storage_dir)
		result = measure_storage(device, storage_dir, out);
	if (!result && out->clock == WEFT_CLOCK_WALL)
		result = measure_step(&s, step.seconds, out);
	if (result)
		weft_calibration_clear(out);
	return result;
}

int weft_measure_more(struct accel_device *device, struct weft_session *session, unsigned int steps,
		      struct weft_calibration *calibration)
{
	struct accel_device_info info = {.size = sizeof(info)};
	struct samples s = {.session = session, .steps = steps, .clock = calibration->clock};

	if (accel_device_query(device, &info))
		return weft_fail(EIO, "%s", accel_error());
	s.hertz = info.clock_hz ? (double)info.clock_hz : 1e9;
	return measure_session(device, &s, calibration);
}
