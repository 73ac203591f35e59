// SPDX-License-Identifier: MIT
/* What libaccel and the control core add to a command: throughput of commands that do nothing, and the way of a job. */
#include <accel/commands.h>

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define COMMANDS 100000
#define JOBS 20000

static void check(int result)
{
	if (result < 0) {
		fprintf(stderr, "overhead: %s\n", accel_error());
		exit(1);
	}
}

static double seconds(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static int compare(const void *a, const void *b)
{
	double difference = *(const double *)a - *(const double *)b;

	return difference < 0 ? -1 : difference > 0;
}

/* Nanoseconds a command of a stream of COMMANDS copies of @command takes: wall clock and processor. */
static void throughput(struct accel_context *context, struct accel_queue *queue, const union accel_command *command,
		       const char *name)
{
	struct accel_stream *stream;
	double best = 1e9, processor = 1e9;

	check(accel_stream_new(context, &stream));
	for (int i = 0; i < COMMANDS; i++)
		check(accel_stream_append(stream, &command->header));
	for (int run = 0; run < 5; run++) {
		double start = seconds(CLOCK_MONOTONIC), used = seconds(CLOCK_PROCESS_CPUTIME_ID), wall;
		uint64_t point;

		check(accel_queue_submit(queue, stream, NULL, &point));
		check(accel_queue_wait(queue, point, ACCEL_WAIT_FOREVER));
		wall = seconds(CLOCK_MONOTONIC) - start;
		used = seconds(CLOCK_PROCESS_CPUTIME_ID) - used;
		best = wall < best ? wall : best;
		processor = used < processor ? used : processor;
	}
	printf("%-34s %8.0f ns wall, %.0f ns processor (best of 5)\n", name, best * 1e9 / COMMANDS,
	       processor * 1e9 / COMMANDS);
	accel_stream_unref(stream);
}

/* From the submission of a job with one NOP to the return of the wait. */
static void latency(struct accel_context *context, struct accel_queue *queue)
{
	static double sample[JOBS];
	struct accel_stream *stream;
	union accel_command command;

	check(accel_stream_new(context, &stream));
	accel_cmd_nop(&command, WEFT_ENGINE_COMPUTE);
	check(accel_stream_append(stream, &command.header));
	for (int i = 0; i < JOBS; i++) {
		double start = seconds(CLOCK_MONOTONIC);
		uint64_t point;

		check(accel_queue_submit(queue, stream, NULL, &point));
		check(accel_queue_wait(queue, point, ACCEL_WAIT_FOREVER));
		sample[i] = seconds(CLOCK_MONOTONIC) - start;
	}
	qsort(sample, JOBS, sizeof(sample[0]), compare);
	printf("%-34s %8.2f us median, %.2f us 99th percentile\n", "submit to completion", sample[JOBS / 2] * 1e6,
	       sample[JOBS * 99 / 100] * 1e6);
	accel_stream_unref(stream);
}

/* Nanoseconds a job with one NOP takes where many were submitted before the first wait. */
static void queued(struct accel_context *context, struct accel_queue *queue)
{
	double start = seconds(CLOCK_MONOTONIC);
	struct accel_stream *stream;
	union accel_command command;
	uint64_t point = 0;

	check(accel_stream_new(context, &stream));
	accel_cmd_nop(&command, WEFT_ENGINE_COMPUTE);
	check(accel_stream_append(stream, &command.header));
	for (int i = 0; i < JOBS; i++)
		check(accel_queue_submit(queue, stream, NULL, &point));
	check(accel_queue_wait(queue, point, ACCEL_WAIT_FOREVER));
	printf("%-34s %8.2f us\n", "a job of many queued", (seconds(CLOCK_MONOTONIC) - start) * 1e6 / JOBS);
	accel_stream_unref(stream);
}

int main(int argc, char **argv)
{
	const uint32_t small[] = {4, 4}, rows[] = {16, 16};
	struct accel_device *device;
	struct accel_context *context;
	struct accel_queue *queue;
	struct accel_buffer *buffer;
	struct weft_tensor tensor[3];
	union accel_command command;

	check(accel_device_open(argc > 1 ? argv[1] : NULL, &device));
	check(accel_context_new(device, NULL, &context));
	check(accel_queue_new(context, NULL, &queue));
	check(accel_buffer_new(context, 1 << 20, ACCEL_DEVICE_MEMORY, &buffer));
	accel_cmd_nop(&command, WEFT_ENGINE_COMPUTE);
	throughput(context, queue, &command, "nop");
	for (unsigned int i = 0; i < 3; i++)
		tensor[i] = accel_tensor(accel_buffer_address(buffer) + i * 4096, WEFT_TYPE_F32, 2, rows);
	accel_cmd_matmul(&command, &tensor[0], &tensor[1], NULL, &tensor[2]);
	throughput(context, queue, &command, "16 x 16 matmul, checks and kernel");
	for (unsigned int i = 0; i < 2; i++)
		tensor[i] = accel_tensor(accel_buffer_address(buffer) + i * 4096, WEFT_TYPE_F32, 2, small);
	accel_cmd_copy(&command, WEFT_ENGINE_COMPUTE, &tensor[0], &tensor[1]);
	throughput(context, queue, &command, "64-byte copy, checks and kernel");
	latency(context, queue);
	queued(context, queue);
	accel_buffer_unref(buffer);
	accel_queue_unref(queue);
	accel_context_unref(context);
	accel_device_unref(device);
	return 0;
}
