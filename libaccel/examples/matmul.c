// SPDX-License-Identifier: MIT
/* Multiply two 64 x 64 matrices on a Weft NPU, and check the product. */
#include <accel/commands.h>
#include <stdio.h>
#include <stdlib.h>

#define N 64u

static void check(int result)
{
	if (result < 0) {
		fprintf(stderr, "matmul: %s\n", accel_error());
		exit(1);
	}
}

int main(int argc, char **argv)
{
	const uint32_t dims[] = {N, N};
	struct accel_device *device;
	struct accel_context *context;
	struct accel_buffer *buffer[3];
	struct weft_tensor tensor[3]; /* A, B, C */
	struct accel_stream *stream;
	struct accel_queue *queue;
	union accel_command command;
	unsigned int wrong = 0;
	void *matrix[3];
	uint64_t point;

	check(accel_device_open(argc > 1 ? argv[1] : NULL, &device));
	check(accel_context_new(device, NULL, &context));
	for (int i = 0; i < 3; i++) {
		check(accel_buffer_new(context, N * N * sizeof(float), ACCEL_DEVICE_MEMORY, &buffer[i]));
		check(accel_buffer_map(buffer[i], &matrix[i]));
		tensor[i] = accel_tensor(accel_buffer_address(buffer[i]), WEFT_TYPE_F32, 2, dims);
	}
	for (unsigned int i = 0; i < N * N; i++) {
		((float *)matrix[0])[i] = (float)(i % 7);
		((float *)matrix[1])[i] = i / N == i % N ? 2 : 0; /* twice the identity */
	}
	check(accel_stream_new(context, &stream));
	accel_cmd_matmul(&command, &tensor[0], &tensor[1], NULL, &tensor[2]);
	check(accel_stream_append(stream, &command.header));
	check(accel_queue_new(context, NULL, &queue));
	check(accel_queue_submit(queue, stream, NULL, &point));
	check(accel_queue_wait(queue, point, ACCEL_WAIT_FOREVER));
	for (unsigned int i = 0; i < N * N; i++)
		wrong += ((float *)matrix[2])[i] != 2 * ((float *)matrix[0])[i];
	printf("%u of %u elements of the product are right\n", N * N - wrong, N * N);
	for (int i = 0; i < 3; i++)
		accel_buffer_unref(buffer[i]);
	accel_queue_unref(queue), accel_stream_unref(stream);
	accel_context_unref(context), accel_device_unref(device);
	return wrong != 0;
}
