// SPDX-License-Identifier: MIT
/* Submission, fences, events, waiting, lives of objects, several threads. */
#include "fixture.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

static void add_nop(struct fixture *f)
{
	union accel_command command;

	accel_cmd_nop(&command, WEFT_ENGINE_COMPUTE);
	fixture_append(f, &command);
}

static uint64_t submit(struct accel_queue *queue, struct accel_stream *stream, const struct accel_fence *wait,
		       uint32_t count)
{
	const struct accel_submit_options options = {.size = sizeof(options), .wait = wait, .wait_count = count};
	uint64_t point;

	if (accel_queue_submit(queue, stream, &options, &point))
		fail_msg("%s", accel_error());
	return point;
}

static void points_count_from_one(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(accel_queue_completed(f->queue), 0);
	assert_int_equal(accel_queue_wait(f->queue, 0, 0), 0);
	for (uint64_t i = 1; i <= 100; i++)
		assert_int_equal(submit(f->queue, f->stream, NULL, 0), i);
	assert_int_equal(accel_queue_wait(f->queue, 100, ACCEL_WAIT_FOREVER), 0);
	assert_int_equal(accel_queue_completed(f->queue), 100);
	assert_int_equal(accel_queue_wait(f->queue, 50, 0), 0);
	assert_int_equal(accel_queue_wait(f->queue, 101, 0), -ETIMEDOUT);
	assert_int_equal(accel_queue_wait(f->queue, 101, 1000000), -ETIMEDOUT);
	assert_non_null(strstr(accel_error(), "point 101"));
	assert_int_equal(accel_queue_submit(f->queue, f->stream, NULL, NULL), 0);
	assert_int_equal(accel_queue_wait(f->queue, 101, ACCEL_WAIT_FOREVER), 0);
}

static void events_hold_jobs(void **state)
{
	struct fixture *f = *state;
	struct accel_event *event;
	struct accel_fence fence = {.point = 2};
	uint64_t first, second;

	add_nop(f);
	assert_int_equal(accel_event_new(f->context, &event), 0);
	fence.event = event;
	first = submit(f->queue, f->stream, &fence, 1);
	second = submit(f->queue, f->stream, NULL, 0); /* behind it */
	assert_int_equal(accel_queue_wait(f->queue, first, 1000000), -ETIMEDOUT);
	assert_int_equal(accel_event_signal(event, 1), 0);
	assert_int_equal(accel_queue_wait(f->queue, first, 1000000), -ETIMEDOUT);
	/* Held jobs keep the stream, and a faultless context has nothing to recover from yet. */
	assert_int_equal(accel_stream_reset(f->stream), -EBUSY);
	assert_int_equal(accel_context_recover(f->context), -EBUSY);
	assert_int_equal(accel_event_signal(event, 5), 0);
	assert_int_equal(accel_event_signal(event, 1), 0); /* lower: ignored */
	assert_int_equal(accel_queue_wait(f->queue, second, ACCEL_WAIT_FOREVER), 0);
	assert_int_equal(accel_stream_reset(f->stream), 0);
	/* Signalled already: no wait. */
	first = submit(f->queue, f->stream, &fence, 1);
	assert_int_equal(accel_queue_wait(f->queue, first, ACCEL_WAIT_FOREVER), 0);
	accel_event_unref(event);
}

static void fences_between_queues(void **state)
{
	struct fixture *f = *state;
	struct accel_queue *queue[4];
	struct accel_event *event;
	struct accel_fence fence[2] = {{0}};
	uint64_t point;

	assert_int_equal(accel_event_new(f->context, &event), 0);
	fence[0] = (struct accel_fence){.event = event, .point = 1};
	for (int i = 0; i < 4; i++) {
		assert_int_equal(accel_queue_new(f->context, NULL, &queue[i]), 0);
		point = submit(queue[i], f->stream, fence, i ? 2 : 1);
		fence[1] = (struct accel_fence){.queue = queue[i], .point = point};
	}
	assert_int_equal(accel_queue_wait(queue[3], 1, 1000000), -ETIMEDOUT);
	accel_event_signal(event, 1);
	assert_int_equal(accel_queue_wait(queue[3], 1, ACCEL_WAIT_FOREVER), 0);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(accel_queue_completed(queue[i]), 1);
		accel_queue_unref(queue[i]);
	}
	accel_event_unref(event);
}

static void unsound_submissions(void **state)
{
	struct fixture *f = *state, other;
	struct accel_submit_options options = {.size = sizeof(options), .wait_count = 1};
	struct accel_queue_options wrong = {.size = sizeof(wrong), .priority = 3};
	struct accel_fence fence = {0};
	struct accel_device *device;
	struct accel_queue *queue;

	assert_int_equal(accel_queue_submit(f->queue, f->stream, &options, NULL), -EINVAL);
	options.wait = &fence;
	assert_int_equal(accel_queue_submit(f->queue, f->stream, &options, NULL), -EINVAL);
	assert_non_null(strstr(accel_error(), "neither"));
	fence.queue = f->queue;
	fence.point = 1; /* not submitted: the job would wait for itself */
	assert_int_equal(accel_queue_submit(f->queue, f->stream, &options, NULL), -EINVAL);
	assert_non_null(strstr(accel_error(), "point 1 of a queue that has submitted 0"));
	options.wait_count = 1000000;
	assert_int_equal(accel_queue_submit(f->queue, f->stream, &options, NULL), -EINVAL);
	assert_int_equal(accel_queue_new(f->context, &wrong, &queue), -EINVAL);
	/* Another context's stream, another device's fence. */
	fixture_context(f->device, &other);
	assert_int_equal(accel_queue_submit(f->queue, other.stream, NULL, NULL), -EINVAL);
	fixture_release(&other);
	if (!fixture_embedded())
		return;
	assert_int_equal(accel_device_open("embedded:mem=1M", &device), 0);
	fixture_context(device, &other);
	accel_device_unref(device);
	fence = (struct accel_fence){.queue = other.queue};
	options.wait_count = 1;
	assert_int_equal(accel_queue_submit(f->queue, f->stream, &options, NULL), -EINVAL);
	assert_non_null(strstr(accel_error(), "another device"));
	fixture_release(&other);
}

/* A job has the commands that were there when it was submitted. */
static void appending_while_pending(void **state)
{
	struct accel_counters before = {.size = sizeof(before)}, after = {.size = sizeof(after)};
	struct fixture *f = *state;
	struct accel_fence fence = {.point = 1};
	uint64_t point = 0;

	accel_device_counters(f->device, &before);
	assert_int_equal(accel_event_new(f->context, &fence.event), 0);
	for (int i = 0; i < 200; i++) {
		add_nop(f);
		point = submit(f->queue, f->stream, &fence, 1);
	}
	accel_event_signal(fence.event, 1);
	assert_int_equal(accel_queue_wait(f->queue, point, ACCEL_WAIT_FOREVER), 0);
	accel_device_counters(f->device, &after);
	assert_int_equal(after.commands[0] - before.commands[0], 200 * 201 / 2);
	accel_event_unref(fence.event);
}

static void descriptor_becomes_readable(void **state)
{
	struct fixture *f = *state;
	uint64_t ends, total = 0;
	struct pollfd poll_fd = {.events = POLLIN};

	submit(f->queue, f->stream, NULL, 0);
	assert_int_equal(accel_queue_wait(f->queue, 1, ACCEL_WAIT_FOREVER), 0);
	poll_fd.fd = accel_queue_fd(f->queue);
	assert_true(poll_fd.fd >= 0);
	assert_int_equal(accel_queue_fd(f->queue), poll_fd.fd);
	for (int i = 0; i < 9; i++)
		submit(f->queue, f->stream, NULL, 0);
	while (total < 10) {
		assert_int_equal(poll(&poll_fd, 1, -1), 1);
		assert_int_equal(read(poll_fd.fd, &ends, sizeof(ends)), sizeof(ends));
		total += ends;
	}
	assert_int_equal(total, 10);
	assert_int_equal(read(poll_fd.fd, &ends, sizeof(ends)), -1);
	assert_int_equal(errno, EAGAIN);
}

/* Everything is released, in any order, while jobs are held or run. */
static void released_while_pending(void **state)
{
	struct fixture *f = *state;

	for (unsigned int order = 0; order < 24; order++) {
		struct accel_event *event;
		struct accel_fence fence = {.point = 1};
		struct memory memory;
		struct fixture g;
		union accel_command command;
		struct weft_tensor tensor;
		unsigned int left = 0xf, pick = order;

		fixture_context(f->device, &g);
		memory = fixture_memory(&g, 64 * KIB, ACCEL_DEVICE_MEMORY);
		tensor = vector(memory.address, 16 * KIB);
		accel_cmd_fill(&command, &tensor, 1);
		fixture_append(&g, &command);
		assert_int_equal(accel_event_new(g.context, &event), 0);
		fence.event = event;
		for (int i = 0; i < 3; i++)
			submit(g.queue, g.stream, i ? NULL : &fence, !i);
		accel_context_unref(g.context);
		accel_device_unref(g.device);
		for (unsigned int n = 4; n > 0; n--) {
			unsigned int at = pick % n, what = 0;

			pick /= n;
			while (!(left & 1u << what) || at--)
				what++;
			left &= ~(1u << what);
			if (what == 0)
				accel_buffer_unref(memory.buffer);
			else if (what == 1)
				accel_stream_unref(g.stream);
			else if (what == 2)
				accel_queue_unref(g.queue);
			else
				accel_event_signal(event, 1), accel_event_unref(event);
		}
	}
}

/* The library's own threads drop the last references to a device. */
static void last_reference_in_an_engine(void **state)
{
	(void)state;
	for (int i = 0; i < 20; i++) {
		struct accel_device *device;
		struct fixture g;

		assert_int_equal(accel_device_open(fixture_spec(), &device), 0);
		fixture_context(device, &g);
		accel_device_unref(device);
		for (int n = 0; n < 50; n++)
			add_nop(&g);
		submit(g.queue, g.stream, NULL, 0);
		fixture_release(&g);
	}
	/* Their ends are not waited for by anyone: give the address sanitizer something to look at. */
	usleep(20000);
}

/* A buffer stays mapped for the jobs that were submitted before its release, and no longer. */
static void buffer_outlives_its_jobs(void **state)
{
	struct accel_counters counters = {.size = sizeof(counters)};
	struct fixture *f = *state;
	struct memory memory = fixture_memory(f, 64 * KIB, ACCEL_DEVICE_MEMORY);
	struct weft_tensor tensor = vector(memory.address, 16 * KIB);
	struct accel_fence fence = {.point = 1};
	union accel_command command;
	uint64_t point;

	assert_int_equal(accel_event_new(f->context, &fence.event), 0);
	accel_cmd_fill(&command, &tensor, 0x3f800000);
	fixture_append(f, &command);
	point = submit(f->queue, f->stream, &fence, 1);
	accel_buffer_unref(memory.buffer);
	accel_device_counters(f->device, &counters);
	assert_int_equal(counters.device_bytes, 64 * KIB);
	accel_event_signal(fence.event, 1);
	assert_int_equal(accel_queue_wait(f->queue, point, ACCEL_WAIT_FOREVER), 0);
	accel_device_counters(f->device, &counters);
	assert_int_equal(counters.device_bytes, 0);
	/* The same stream again: its memory is gone. */
	point = submit(f->queue, f->stream, NULL, 0);
	assert_int_equal(accel_queue_wait(f->queue, point, ACCEL_WAIT_FOREVER), -EIO);
	accel_event_unref(fence.event);
}

/* Of jobs that become ready together, that of the highest priority runs first. */
static void priorities(void **state)
{
	struct fixture *f = *state;
	struct accel_queue *queue[3];
	struct accel_fence fence = {.point = 1};
	struct accel_trace_record record[16];
	union accel_command command;
	size_t count;

	assert_int_equal(accel_event_new(f->context, &fence.event), 0);
	if (accel_context_trace(f->context, 16) == -EOPNOTSUPP)
		skip();
	for (int p = 0; p < 3; p++) {
		const struct accel_queue_options options = {.size = sizeof(options),
							    .priority = (enum accel_priority)p};

		assert_int_equal(accel_queue_new(f->context, &options, &queue[p]), 0);
		for (uint32_t i = 0; i < 4; i++) {
			accel_cmd_nop(&command, WEFT_ENGINE_COMPUTE);
			command.header.tag = (uint32_t)p;
			fixture_append(f, &command);
		}
		submit(queue[p], f->stream, &fence, 1);
		/* A pending stream cannot be reset: take another. */
		accel_stream_unref(f->stream);
		assert_int_equal(accel_stream_new(f->context, &f->stream), 0);
	}
	accel_event_signal(fence.event, 1);
	for (int p = 0; p < 3; p++)
		assert_int_equal(accel_queue_wait(queue[p], 1, ACCEL_WAIT_FOREVER), 0);
	count = accel_context_trace_read(f->context, record, 16);
	assert_int_equal(count, 12);
	/* One signal let all go before any command could start. */
	for (size_t i = 0; i < count && fixture_embedded(); i++)
		assert_int_equal(record[i].tag, 2 - i / 4);
	for (int p = 0; p < 3; p++)
		accel_queue_unref(queue[p]);
	accel_event_unref(fence.event);
}

static void traces(void **state)
{
	struct fixture *f = *state;
	struct accel_trace_record record[8];
	union accel_command command;

	if (accel_context_trace(f->context, 5) == -EOPNOTSUPP)
		skip();
	for (uint32_t i = 0; i < 10; i++) {
		accel_cmd_nop(&command, WEFT_ENGINE_COMPUTE);
		command.header.tag = i;
		fixture_append(f, &command);
	}
	assert_int_equal(fixture_run(f), 0);
	assert_int_equal(accel_context_trace_read(f->context, record, 2), 2);
	assert_int_equal(record[0].tag, 0);
	assert_int_equal(record[1].tag, 1);
	assert_true(record[0].end_ns >= record[0].start_ns);
	assert_int_equal(accel_context_trace_read(f->context, record, 8), 3);
	assert_int_equal(record[2].tag, 4);
	assert_int_equal(accel_context_trace_read(f->context, record, 8), 0);
	assert_int_equal(accel_context_trace(f->context, 0), 0);
}

/*
 * Double buffering through all engines: DMA in, two computations, DMA out, over
 * rounds that differ in size, ordered by semaphores alone.
 */
static void pipelines_are_ordered(void **state)
{
	enum { ROUNDS = 64, MOST = 4096 };
	struct fixture *f = *state;
	struct memory in = fixture_memory(f, ROUNDS * MOST * 4, ACCEL_HOST_MEMORY);
	struct memory out = fixture_memory(f, ROUNDS * MOST * 4, ACCEL_HOST_MEMORY);
	struct memory device = fixture_memory(f, 4 * MOST * 4, ACCEL_DEVICE_MEMORY);
	uint32_t *source = in.at, *result = out.at, size[ROUNDS];
	unsigned int seed = 7;
	union accel_command command;

	for (int pass = 0; pass < 20; pass++) {
		for (uint32_t i = 0; i < ROUNDS * MOST; i++)
			source[i] = (uint32_t)rand_r(&seed);
		memset(result, 0, ROUNDS * MOST * 4);
		for (uint32_t r = 0; r < ROUNDS; r++) {
			uint64_t slot = device.address + (r & 1) * 2 * MOST * 4;
			struct weft_tensor host, a, b, back;

			size[r] = 1 + (uint32_t)rand_r(&seed) % MOST;
			host = vector(in.address + (uint64_t)r * MOST * 4, size[r]);
			a = vector(slot, size[r]);
			b = vector(slot + MOST * 4, size[r]);
			back = vector(out.address + (uint64_t)r * MOST * 4, size[r]);
			/* Semaphore 0: rounds read; 1: rounds computed; 2: rounds written. */
			accel_cmd_copy(&command, WEFT_ENGINE_DMA_IN, &host, &a);
			accel_cmd_wait(&command, 1, r < 2 ? 0 : r - 1);
			accel_cmd_signal(&command, 0, r + 1);
			fixture_append(f, &command);
			accel_cmd_copy(&command, WEFT_ENGINE_DMA_OUT, &b, &back);
			accel_cmd_wait(&command, 1, r + 1);
			accel_cmd_signal(&command, 2, r + 1);
			fixture_append(f, &command);
			accel_cmd_copy(&command, WEFT_ENGINE_COMPUTE, &a, &b);
			accel_cmd_wait(&command, 0, r + 1);
			accel_cmd_wait(&command, 2, r < 2 ? 0 : r - 1);
			accel_cmd_signal(&command, 1, r + 1);
			fixture_append(f, &command);
		}
		if (fixture_run(f))
			fail_msg("%s", accel_error());
		for (uint32_t r = 0; r < ROUNDS; r++)
			assert_memory_equal(result + r * MOST, source + r * MOST, size[r] * 4);
	}
	accel_buffer_unref(in.buffer);
	accel_buffer_unref(out.buffer);
	accel_buffer_unref(device.buffer);
}

struct worker {
	struct fixture *shared;
	unsigned int seed;
	pthread_t thread;
};

/* A context of its own, and now and then a job in the shared queue. */
static void *work(void *argument)
{
	struct worker *worker = argument;
	struct fixture g;
	struct memory a, b;
	union accel_command command;
	struct accel_stream *stream;

	fixture_context(worker->shared->device, &g);
	assert_int_equal(accel_stream_new(worker->shared->context, &stream), 0);
	a = fixture_memory(&g, 16 * KIB, ACCEL_HOST_MEMORY);
	b = fixture_memory(&g, 16 * KIB, ACCEL_DEVICE_MEMORY);
	for (uint32_t i = 0; i < 200; i++) {
		uint32_t count = 1 + (uint32_t)rand_r(&worker->seed) % (4 * KIB);
		struct weft_tensor host = vector(a.address, count), device = vector(b.address, count);
		uint64_t point;

		for (uint32_t n = 0; n < count; n++)
			((uint32_t *)a.at)[n] = i * n + worker->seed;
		accel_cmd_copy(&command, WEFT_ENGINE_DMA_IN, &host, &device);
		accel_cmd_signal(&command, 0, 1);
		fixture_append(&g, &command);
		accel_cmd_copy(&command, WEFT_ENGINE_DMA_OUT, &device, &host);
		accel_cmd_wait(&command, 0, 1);
		fixture_append(&g, &command);
		if (fixture_run(&g))
			fail_msg("%s", accel_error());
		for (uint32_t n = 0; n < count; n++)
			assert_true(((uint32_t *)a.at)[n] == i * n + worker->seed);
		point = submit(worker->shared->queue, stream, NULL, 0);
		if (i % 3 == 0)
			assert_int_equal(accel_queue_wait(worker->shared->queue, point, ACCEL_WAIT_FOREVER), 0);
	}
	accel_buffer_unref(a.buffer);
	accel_buffer_unref(b.buffer);
	accel_stream_unref(stream);
	fixture_release(&g);
	return NULL;
}

static void many_threads(void **state)
{
	struct fixture *f = *state;
	struct worker worker[6];

	for (unsigned int i = 0; i < 6; i++) {
		worker[i] = (struct worker){.shared = f, .seed = i + 1};
		assert_int_equal(pthread_create(&worker[i].thread, NULL, work, &worker[i]), 0);
	}
	for (unsigned int i = 0; i < 6; i++)
		pthread_join(worker[i].thread, NULL);
	assert_int_equal(accel_queue_wait(f->queue, 6 * 200, ACCEL_WAIT_FOREVER), 0);
}

/* More queues than the device has slots for jobs. */
static void many_queues(void **state)
{
	enum { QUEUES = 200 };
	struct fixture *f = *state;
	struct accel_queue *queue[QUEUES];
	struct accel_fence fence = {.point = 1};

	add_nop(f);
	assert_int_equal(accel_event_new(f->context, &fence.event), 0);
	for (int i = 0; i < QUEUES; i++) {
		const struct accel_queue_options options = {.size = sizeof(options),
							    .priority = (enum accel_priority)(i % 3)};

		assert_int_equal(accel_queue_new(f->context, &options, &queue[i]), 0);
		submit(queue[i], f->stream, &fence, 1);
		submit(queue[i], f->stream, NULL, 0);
	}
	accel_event_signal(fence.event, 1);
	for (int i = 0; i < QUEUES; i++) {
		assert_int_equal(accel_queue_wait(queue[i], 2, ACCEL_WAIT_FOREVER), 0);
		accel_queue_unref(queue[i]);
	}
	accel_event_unref(fence.event);
}

/* A long line of empty jobs ends without a deep stack. */
static void many_empty_jobs(void **state)
{
	struct fixture *f = *state;
	struct accel_fence fence = {.point = 1};
	/* Enough to show recursion or memory that grows; a node in an emulated machine takes its time for each. */
	int jobs = getenv("WEFT_TEST_DEVICE") ? 5000 : 100000;
	uint64_t point = 0;

	assert_int_equal(accel_event_new(f->context, &fence.event), 0);
	submit(f->queue, f->stream, &fence, 1);
	for (int i = 0; i < jobs; i++)
		point = submit(f->queue, f->stream, NULL, 0);
	accel_event_signal(fence.event, 1);
	assert_int_equal(accel_queue_wait(f->queue, point, ACCEL_WAIT_FOREVER), 0);
	accel_event_unref(fence.event);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		TEST(points_count_from_one),
		TEST(events_hold_jobs),
		TEST(fences_between_queues),
		TEST(unsound_submissions),
		TEST(appending_while_pending),
		TEST(descriptor_becomes_readable),
		TEST(released_while_pending),
		TEST(last_reference_in_an_engine),
		TEST(buffer_outlives_its_jobs),
		TEST(priorities),
		TEST(traces),
		TEST(pipelines_are_ordered),
		TEST(many_threads),
		TEST(many_queues),
		TEST(many_empty_jobs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
