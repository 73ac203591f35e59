// SPDX-License-Identifier: MIT
/* Buffers of the drm backend. */
#include "drm.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <xf86drm.h>

/* As in the embedded device: addresses are given out once, with a gap after each. */
#define GUARD_BYTES ((uint64_t)64 << 10)

static int bind(struct drm_device *drm, const struct drm_context *context, const struct drm_weft_bind_op *op)
{
	struct drm_weft_vm_bind bind = {
		.context = context->id,
		.ops = {.stride = sizeof(*op), .count = 1, .array = (uintptr_t)op},
	};

	return drmIoctl(drm->fd, DRM_IOCTL_WEFT_VM_BIND, &bind) ? -errno : 0;
}

static int create(struct drm_device *drm, const struct drm_context *context, uint64_t bytes, unsigned int flags,
		  struct drm_weft_bo_create *bo)
{
	bool device = flags & ACCEL_DEVICE_MEMORY;
	struct drm_weft_counters counters = {0};

	*bo = (struct drm_weft_bo_create){
		.size = bytes,
		.flags = device ? DRM_WEFT_BO_DEVICE : 0,
		.context = context->id,
	};
	if (!drmIoctl(drm->fd, DRM_IOCTL_WEFT_BO_CREATE, bo))
		return 0;
	if (errno == ENOSPC && device) {
		drm_query(drm, DRM_WEFT_QUERY_COUNTERS, 0, &counters, sizeof(counters));
		return accel_fail(ENOSPC, "device memory: %llu bytes wanted, %llu of %llu are free",
				  (unsigned long long)bytes,
				  (unsigned long long)(drm->info.device_bytes - counters.device_used_bytes),
				  (unsigned long long)drm->info.device_bytes);
	}
	return accel_fail(errno, "no %s memory for a buffer of %llu bytes: %s", device ? "device" : "host",
			  (unsigned long long)bytes, strerror(errno));
}

int drm_memory_new(struct drm_device *drm, struct drm_context *context, uint64_t bytes, unsigned int flags,
		   uint32_t *handle, uint64_t *address, void **memory)
{
	struct drm_weft_bind_op op = {
		.type = DRM_WEFT_BIND_MAP,
		.flags = flags & ACCEL_READ_ONLY ? DRM_WEFT_BIND_READ_ONLY : 0,
		.address = context->next_address,
		.range = bytes,
	};
	uint64_t space = (uint64_t)1 << drm->info.virtual_bits;
	struct drm_weft_bo_create bo;
	int result;

	if (bytes > space || context->next_address > space - bytes)
		return accel_fail(ENOSPC, "the context has given out all its device addresses; make a new one");
	result = create(drm, context, bytes, flags, &bo);
	if (result)
		return result;
	*memory = mmap(NULL, (size_t)bytes, PROT_READ | PROT_WRITE, MAP_SHARED, drm->fd, (off_t)bo.mmap_offset);
	if (*memory == MAP_FAILED) {
		result = accel_fail(errno, "cannot map a buffer of %llu bytes: %s", (unsigned long long)bytes,
				    strerror(errno));
		goto close;
	}
	op.handle = bo.handle;
	result = bind(drm, context, &op);
	if (result) {
		munmap(*memory, (size_t)bytes);
		accel_fail(-result, "cannot map a buffer of %llu bytes in the context: %s", (unsigned long long)bytes,
			   strerror(-result));
		goto close;
	}
	*handle = bo.handle;
	*address = op.address;
	context->next_address = (op.address + bytes + 2 * GUARD_BYTES - 1) & ~(GUARD_BYTES - 1);
	return 0;
close:
	drmCloseBufferHandle(drm->fd, bo.handle);
	return result;
}

void drm_memory_free(struct drm_device *drm, struct drm_context *context, uint64_t bytes, uint32_t handle,
		     uint64_t address, void *memory)
{
	struct drm_weft_bind_op op = {.type = DRM_WEFT_BIND_UNMAP, .address = address, .range = bytes};
	int result = bind(drm, context, &op);

	/* A device that has gone has no mappings. */
	if (result && result != -ENODEV)
		accel_log(ACCEL_LOG_WARNING, "cannot unmap a buffer: %s", strerror(-result));
	munmap(memory, (size_t)bytes);
	drmCloseBufferHandle(drm->fd, handle);
}

int drm_buffer_new(struct accel_buffer *buffer)
{
	uint32_t handle = 0;
	int result = drm_memory_new(buffer->context->device->data, buffer->context->data, buffer->bytes, buffer->flags,
				    &handle, &buffer->address, &buffer->memory);

	buffer->data = (void *)(uintptr_t)handle;
	return result;
}

void drm_buffer_free(struct accel_buffer *buffer)
{
	drm_memory_free(buffer->context->device->data, buffer->context->data, buffer->bytes,
			(uint32_t)(uintptr_t)buffer->data, buffer->address, buffer->memory);
}
