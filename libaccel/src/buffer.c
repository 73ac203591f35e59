// SPDX-License-Identifier: MIT
/* Buffers in device and host memory. */
#include "internal.h"

#include <errno.h>
#include <stdlib.h>

#define PAGE_BYTES 4096u

static void account(struct accel_buffer *buffer, int64_t change)
{
	struct accel_device *device = buffer->context->device;

	if (buffer->flags & ACCEL_DEVICE_MEMORY) {
		accel_account(&device->device_bytes, &device->device_bytes_peak, change);
		buffer->context->device_bytes += (uint64_t)change;
	} else {
		accel_account(&device->host_bytes, &device->host_bytes_peak, change);
	}
}

/* Locked. */
static int allocate(struct accel_buffer *buffer)
{
	struct accel_context *context = buffer->context;
	int result;

	if ((buffer->flags & ACCEL_DEVICE_MEMORY) && context->device_bytes_limit &&
	    (context->device_bytes > context->device_bytes_limit ||
	     buffer->bytes > context->device_bytes_limit - context->device_bytes))
		return accel_fail(ENOSPC,
				  "device memory: %llu bytes wanted, but the context uses %llu of the %llu bytes it is "
				  "limited to",
				  (unsigned long long)buffer->bytes, (unsigned long long)context->device_bytes,
				  (unsigned long long)context->device_bytes_limit);
	result = context->device->backend->buffer_new(buffer);
	if (!result)
		account(buffer, (int64_t)buffer->bytes);
	return result;
}

ACCEL_EXPORT int accel_buffer_new(struct accel_context *context, uint64_t bytes, unsigned int flags,
				  struct accel_buffer **out)
{
	const unsigned int tiers = ACCEL_DEVICE_MEMORY | ACCEL_HOST_MEMORY;
	struct accel_buffer *buffer;
	int result;

	*out = NULL;
	if (!bytes || bytes > INT64_MAX - PAGE_BYTES)
		return accel_fail(EINVAL, "accel_buffer_new: %llu bytes wanted; expected 1 to %lld",
				  (unsigned long long)bytes, (long long)(INT64_MAX - PAGE_BYTES));
	if ((flags & tiers) == tiers || !(flags & tiers) || flags & ~(tiers | ACCEL_READ_ONLY))
		return accel_fail(EINVAL,
				  "accel_buffer_new: flags 0x%x; expected ACCEL_DEVICE_MEMORY or ACCEL_HOST_MEMORY, "
				  "and perhaps ACCEL_READ_ONLY",
				  flags);
	buffer = calloc(1, sizeof(*buffer));
	if (!buffer)
		return accel_fail(ENOMEM, "no memory for a buffer's description");
	atomic_init(&buffer->references, 1);
	buffer->context = context;
	buffer->bytes = (bytes + PAGE_BYTES - 1) & ~(uint64_t)(PAGE_BYTES - 1);
	buffer->flags = flags;
	accel_lock(context->device);
	result = allocate(buffer);
	accel_unlock(context->device);
	if (result) {
		free(buffer);
		return result;
	}
	accel_context_ref(context);
	*out = buffer;
	return 0;
}

ACCEL_EXPORT struct accel_buffer *accel_buffer_ref(struct accel_buffer *buffer)
{
	atomic_fetch_add(&buffer->references, 1);
	return buffer;
}

/* Locked. */
static void release(struct accel_buffer *buffer)
{
	account(buffer, -(int64_t)buffer->bytes);
	buffer->context->device->backend->buffer_free(buffer);
	free(buffer);
}

void accel_buffers_free_unused(struct accel_context *context)
{
	struct accel_buffer **link = &context->zombies;
	uint64_t oldest = context->first_job ? context->first_job->number : UINT64_MAX;

	while (*link) {
		struct accel_buffer *buffer = *link;

		if (buffer->last_job < oldest) {
			*link = buffer->next;
			release(buffer);
		} else {
			link = &buffer->next;
		}
	}
}

ACCEL_EXPORT void accel_buffer_unref(struct accel_buffer *buffer)
{
	struct accel_context *context;

	if (!buffer || atomic_fetch_sub(&buffer->references, 1) != 1)
		return;
	context = buffer->context;
	accel_lock(context->device);
	if (context->first_job) {
		/* Jobs keep the context, and the context keeps the zombie. */
		buffer->last_job = context->submitted;
		buffer->next = context->zombies;
		context->zombies = buffer;
	} else {
		release(buffer);
	}
	accel_unlock(context->device);
	accel_context_unref(context);
}

ACCEL_EXPORT uint64_t accel_buffer_bytes(const struct accel_buffer *buffer)
{
	return buffer->bytes;
}

ACCEL_EXPORT uint64_t accel_buffer_address(const struct accel_buffer *buffer)
{
	return buffer->address;
}

ACCEL_EXPORT int accel_buffer_map(struct accel_buffer *buffer, void **memory)
{
	*memory = buffer->memory;
	if (!buffer->memory)
		return accel_fail(EOPNOTSUPP,
				  "accel_buffer_map: this device's memory cannot be reached by the processor");
	return 0;
}
