// SPDX-License-Identifier: MIT
/* Every allocation of a whole session fails once: an error each time, and nothing leaks or hangs. */
#include "fixture.h"
#include "model_file.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

static long countdown = -1; /* calls until one fails; below 0: none does */

static bool fails(void)
{
	return countdown >= 0 && countdown-- == 0;
}

/* The linker sends the library's calls here (--wrap). */
void *__real_malloc(size_t bytes);
void *__real_calloc(size_t count, size_t bytes);
void *__real_realloc(void *memory, size_t bytes);
void *__real_aligned_alloc(size_t alignment, size_t bytes);
int __real_posix_memalign(void **memory, size_t alignment, size_t bytes);
void *__real_mmap(void *at, size_t bytes, int protection, int flags, int fd, off_t offset);
int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*start)(void *), void *argument);
int __real_eventfd(unsigned int value, int flags);

void *__wrap_malloc(size_t bytes);
void *__wrap_malloc(size_t bytes)
{
	return fails() ? NULL : __real_malloc(bytes);
}

void *__wrap_calloc(size_t count, size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes)
{
	return fails() ? NULL : __real_calloc(count, bytes);
}

void *__wrap_realloc(void *memory, size_t bytes);
void *__wrap_realloc(void *memory, size_t bytes)
{
	return fails() ? NULL : __real_realloc(memory, bytes);
}

void *__wrap_aligned_alloc(size_t alignment, size_t bytes);
void *__wrap_aligned_alloc(size_t alignment, size_t bytes)
{
	return fails() ? NULL : __real_aligned_alloc(alignment, bytes);
}

int __wrap_posix_memalign(void **memory, size_t alignment, size_t bytes);
int __wrap_posix_memalign(void **memory, size_t alignment, size_t bytes)
{
	return fails() ? ENOMEM : __real_posix_memalign(memory, alignment, bytes);
}

void *__wrap_mmap(void *at, size_t bytes, int protection, int flags, int fd, off_t offset);
void *__wrap_mmap(void *at, size_t bytes, int protection, int flags, int fd, off_t offset)
{
	if (fails()) {
		errno = ENOMEM;
		return MAP_FAILED;
	}
	return __real_mmap(at, bytes, protection, flags, fd, offset);
}

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*start)(void *), void *argument);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*start)(void *), void *argument)
{
	return fails() ? EAGAIN : __real_pthread_create(thread, attributes, start, argument);
}

int __wrap_eventfd(unsigned int value, int flags);
int __wrap_eventfd(unsigned int value, int flags)
{
	if (fails()) {
		errno = EMFILE;
		return -1;
	}
	return __real_eventfd(value, flags);
}

#define TRY(call)                 \
	do {                      \
		result = (call);  \
		if (result < 0)   \
			goto out; \
	} while (0)

static uint8_t *model_bytes;
static size_t model_size;

static int run_model(struct accel_device *device)
{
	struct accel_model *model = NULL;
	int result = accel_model_load_memory(device, model_bytes, model_size, &model);

	if (!result)
		result = accel_model_run(model);
	accel_model_free(model);
	return result;
}

static int session(void)
{
	struct accel_device *device = NULL;
	struct accel_context *context = NULL;
	struct accel_buffer *buffer[40] = {NULL};
	struct accel_stream *stream = NULL;
	struct accel_queue *queue = NULL;
	struct accel_event *event = NULL;
	struct accel_fence fence = {.point = 1};
	struct accel_submit_options options = {.size = sizeof(options), .wait = &fence, .wait_count = 1};
	union accel_command command;
	uint64_t point;
	int result;

	TRY(accel_device_open("embedded:mem=1M,threads=2", &device));
	TRY(accel_context_new(device, NULL, &context));
	TRY(accel_context_trace(context, 16));
	/* Enough for lists to grow. */
	for (unsigned int i = 0; i < 40; i++)
		TRY(accel_buffer_new(context, 4096, i & 3 ? ACCEL_DEVICE_MEMORY : ACCEL_HOST_MEMORY, &buffer[i]));
	TRY(accel_stream_new(context, &stream));
	accel_cmd_nop(&command, WEFT_ENGINE_COMPUTE);
	for (unsigned int i = 0; i < 100; i++)
		TRY(accel_stream_append(stream, &command.header));
	TRY(accel_queue_new(context, NULL, &queue));
	TRY(accel_queue_fd(queue));
	TRY(accel_event_new(context, &event));
	TRY(accel_event_signal(event, 1));
	fence.event = event;
	TRY(accel_queue_submit(queue, stream, &options, &point));
	TRY(accel_queue_wait(queue, point, ACCEL_WAIT_FOREVER));
	TRY(run_model(device));
out:
	countdown = -1;
	accel_event_unref(event);
	accel_queue_unref(queue);
	accel_stream_unref(stream);
	for (unsigned int i = 0; i < 40; i++)
		accel_buffer_unref(buffer[i]);
	accel_context_unref(context);
	accel_device_unref(device);
	return result;
}

static void every_allocation_may_fail(void **state)
{
	struct model_file file;
	long n = 0;
	int result;

	(void)state;
	model_file_make(&file);
	model_bytes = model_file_bytes(&file, true, &model_size);
	assert_non_null(model_bytes);
	do {
		countdown = n;
		result = session();
		if (result) {
			assert_true(result == -ENOMEM || result == -EAGAIN || result == -EMFILE);
			assert_true(strlen(accel_error()) > 0);
		}
		/* Without failures left the session succeeds. */
		assert_true(++n < 10000);
	} while (result);
	assert_true(n > 20);
	free(model_bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(every_allocation_may_fail)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
