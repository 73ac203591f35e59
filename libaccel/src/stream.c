// SPDX-License-Identifier: MIT
/* Command streams: growing arrays of commands. */
#include "internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_CAPACITY 4096u

static int block_new(struct accel_device *device, size_t capacity, struct stream_block **out)
{
	struct stream_block *block = malloc(sizeof(*block) + capacity);

	if (!block)
		return accel_fail(ENOMEM, "no memory for a command stream of %zu bytes", capacity);
	atomic_init(&block->references, 1);
	block->device = device;
	block->capacity = capacity;
	accel_lock(device);
	accel_account(&device->control_bytes, &device->control_bytes_peak, (int64_t)capacity);
	accel_unlock(device);
	*out = block;
	return 0;
}

void accel_block_unref(struct stream_block *block)
{
	struct accel_device *device;

	if (!block || atomic_fetch_sub(&block->references, 1) != 1)
		return;
	device = block->device;
	accel_lock(device);
	accel_account(&device->control_bytes, &device->control_bytes_peak, -(int64_t)block->capacity);
	accel_unlock(device);
	free(block);
}

ACCEL_EXPORT int accel_stream_new(struct accel_context *context, struct accel_stream **out)
{
	struct accel_stream *stream;
	int result;

	*out = NULL;
	stream = calloc(1, sizeof(*stream));
	if (!stream)
		return accel_fail(ENOMEM, "no memory for a stream");
	result = block_new(context->device, FIRST_CAPACITY, &stream->block);
	if (result) {
		free(stream);
		return result;
	}
	atomic_init(&stream->references, 1);
	stream->context = accel_context_ref(context);
	*out = stream;
	return 0;
}

void accel_stream_ref(struct accel_stream *stream)
{
	atomic_fetch_add(&stream->references, 1);
}

ACCEL_EXPORT void accel_stream_unref(struct accel_stream *stream)
{
	struct accel_context *context;

	if (!stream || atomic_fetch_sub(&stream->references, 1) != 1)
		return;
	context = stream->context;
	accel_block_unref(stream->block);
	free(stream);
	accel_context_unref(context);
}

/* Jobs in flight keep the old block. */
static int grow(struct accel_stream *stream, size_t least)
{
	size_t capacity = stream->block->capacity;
	struct stream_block *block = NULL;
	int result;

	while (capacity < least)
		capacity *= 2;
	result = block_new(stream->context->device, capacity, &block);
	if (result)
		return result;
	memcpy(block->bytes, stream->block->bytes, stream->bytes);
	accel_block_unref(stream->block);
	stream->block = block;
	return 0;
}

ACCEL_EXPORT int accel_stream_append(struct accel_stream *stream, const struct weft_cmd *command)
{
	size_t size = command->size;

	if (size < sizeof(*command) || size > WEFT_CMD_MAX_BYTES ||
	    size != sizeof(*command) + command->operands * sizeof(struct weft_tensor))
		return accel_fail(
			EINVAL,
			"command %zu (%s): size is %zu, but a command with %u operands has %zu bytes (at most %u "
			"operands)",
			stream->commands, accel_op_name(command->opcode), size, command->operands,
			sizeof(*command) + command->operands * sizeof(struct weft_tensor), WEFT_MAX_OPERANDS);
	if (size > WEFT_STREAM_MAX_BYTES - stream->bytes)
		return accel_fail(E2BIG, "command %zu (%s): the stream would be longer than %u bytes", stream->commands,
				  accel_op_name(command->opcode), WEFT_STREAM_MAX_BYTES);
	if (size > stream->block->capacity - stream->bytes) {
		int result = grow(stream, stream->bytes + size);

		if (result)
			return result;
	}
	memcpy(stream->block->bytes + stream->bytes, command, size);
	stream->bytes += size;
	stream->commands++;
	return 0;
}

ACCEL_EXPORT int accel_stream_reset(struct accel_stream *stream)
{
	size_t pending;

	accel_lock(stream->context->device);
	pending = stream->pending;
	accel_unlock(stream->context->device);
	if (pending)
		return accel_fail(EBUSY, "accel_stream_reset: %zu submissions of the stream have not ended", pending);
	stream->bytes = stream->commands = 0;
	return 0;
}

ACCEL_EXPORT size_t accel_stream_bytes(const struct accel_stream *stream)
{
	return stream->bytes;
}

ACCEL_EXPORT size_t accel_stream_commands(const struct accel_stream *stream)
{
	return stream->commands;
}

ACCEL_EXPORT const void *accel_stream_data(const struct accel_stream *stream)
{
	return stream->block->bytes;
}
