// SPDX-License-Identifier: MIT
/* The drm backend's table: nodes, queries, contexts. */
#include "drm.h"

#include <core.h>
#include <errno.h>
#include <fcntl.h>
#include <model.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xf86drm.h>

/* Where a context's addresses begin: apart from its neighbours', so that another context's address faults. */
#define FIRST_ADDRESS(context) (((uint64_t)((context)&15) << 34) + ((uint64_t)1 << 20))
/* accel minors: /dev/accel/accel0 to 63. */
#define NODES 64

/* The node, or -ENODEV where it is no Weft node; *version is the driver's. */
static int open_node(const char *path, char *version, size_t bytes)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	drmVersionPtr driver;
	bool ours;

	if (fd < 0)
		return -errno;
	driver = drmGetVersion(fd);
	ours = driver && !strcmp(driver->name, DRM_WEFT_NAME);
	if (ours)
		snprintf(version, bytes, "%d.%d.%d", driver->version_major, driver->version_minor,
			 driver->version_patchlevel);
	drmFreeVersion(driver);
	if (!ours) {
		close(fd);
		return -ENODEV;
	}
	return fd;
}

static int open_first(char *version, size_t bytes)
{
	for (int i = 0; i < NODES; i++) {
		char path[32];
		int fd;

		snprintf(path, sizeof(path), "/dev/accel/accel%d", i);
		fd = open_node(path, version, bytes);
		if (fd >= 0)
			return fd;
	}
	return -ENODEV;
}

static bool accepts(const char *spec)
{
	char version[32];
	int fd;

	if (spec)
		return !strncmp(spec, "/dev/", 5);
	fd = open_first(version, sizeof(version));
	if (fd < 0)
		return false;
	close(fd);
	return true;
}

int drm_query(const struct drm_device *drm, uint32_t type, uint32_t id, void *out, uint32_t bytes)
{
	struct drm_weft_query query = {.type = type, .size = bytes, .pointer = (uintptr_t)out, .id = id};

	return drmIoctl(drm->fd, DRM_IOCTL_WEFT_QUERY, &query) ? -errno : 0;
}

static int check_versions(struct drm_device *drm, const char *node)
{
	const uint32_t isa_minor = WEFT_ISA_VERSION_MINOR;
	int result = drm_query(drm, DRM_WEFT_QUERY_DEVICE, 0, &drm->info, sizeof(drm->info));

	if (result)
		return accel_fail(-result, "%s: cannot query the device: %s", node, strerror(-result));
	if (drm->info.isa_major != WEFT_ISA_VERSION_MAJOR || isa_minor > drm->info.isa_minor)
		return accel_fail(
			EPROTO,
			"%s: firmware %s executes instruction set %u.%u, libaccel %s needs %u.%u; install the "
			"firmware of libaccel's version (driver: %s)",
			node, drm->info.firmware, drm->info.isa_major, drm->info.isa_minor, accel_version(),
			WEFT_ISA_VERSION_MAJOR, WEFT_ISA_VERSION_MINOR, drm->driver);
	drm->model = weft_model_find(drm->info.profile);
	if (!drm->model)
		return accel_fail(EPROTO, "%s: its analytical model \"%s\" is not known to libaccel %s", node,
				  drm->info.profile, accel_version());
	return 0;
}

static int open_device(struct accel_device *device, const char *spec)
{
	struct drm_device *drm = calloc(1, sizeof(*drm));
	const char *node = spec ? spec : "the first Weft node";
	int result;

	if (!drm)
		return accel_fail(ENOMEM, "no memory for a device");
	drm->device = device;
	drm->fd =
		spec ? open_node(spec, drm->driver, sizeof(drm->driver)) : open_first(drm->driver, sizeof(drm->driver));
	if (drm->fd < 0) {
		result = drm->fd == -ENODEV || drm->fd == -ENOENT || drm->fd == -ENXIO
				 ? accel_fail(ENODEV, "%s: no Weft device (is the module loaded?)", node)
				 : accel_fail(-drm->fd, "%s: %s", node, strerror(-drm->fd));
		free(drm);
		return result;
	}
	result = check_versions(drm, node);
	if (!result)
		result = drm_waiter_start(drm);
	if (result) {
		close(drm->fd);
		free(drm);
		return result;
	}
	device->data = drm;
	return 0;
}

static void close_device(struct accel_device *device)
{
	struct drm_device *drm = device->data;

	drm_waiter_stop(drm);
	close(drm->fd);
	free(drm);
}

static void query(struct accel_device *device, struct accel_device_info *info)
{
	const struct drm_device *drm = device->data;
	const struct drm_weft_device_info *from = &drm->info;

	snprintf(info->backend, sizeof(info->backend), "drm");
	memcpy(info->name, from->name, sizeof(info->name));
	memcpy(info->profile, from->profile, sizeof(info->profile));
	memcpy(info->firmware, from->firmware, sizeof(info->firmware));
	memcpy(info->kernels, from->kernels, sizeof(info->kernels));
	snprintf(info->driver, sizeof(info->driver), "%s", drm->driver);
	info->isa_major = from->isa_major;
	info->isa_minor = from->isa_minor;
	info->device_memory_bytes = from->device_bytes;
	info->page_bytes = from->page_bytes;
	info->local_memory_bytes = from->local_bytes;
	info->threads = from->lanes;
	info->clock_hz = from->clock_hz;
	info->macs_per_cycle = from->macs_per_cycle;
	info->device_bytes_per_second = from->device_bytes_per_second;
	info->dma_in_bytes_per_second = from->dma_in_bytes_per_second;
	info->dma_out_bytes_per_second = from->dma_out_bytes_per_second;
}

/* Of this open file, so other processes' jobs do not count. */
static void counters(struct accel_device *device, struct accel_counters *counters)
{
	struct drm_weft_client_info client = {0};

	if (drm_query(device->data, DRM_WEFT_QUERY_CLIENT, 0, &client, sizeof(client)))
		return;
	for (unsigned int e = 0; e < WEFT_ENGINES; e++) {
		counters->commands[e] = client.commands[e];
		counters->busy_ns[e] = client.busy_ns[e];
		counters->model_cycles[e] = client.cycles[e];
		counters->model_picojoules[e] = client.picojoules[e];
	}
	counters->dma_in_bytes = client.bytes[WEFT_ENGINE_DMA_IN];
	counters->dma_out_bytes = client.bytes[WEFT_ENGINE_DMA_OUT];
}

static int cost(struct accel_device *device, const struct weft_cmd *command, struct accel_cost *cost)
{
	const struct drm_device *drm = device->data;
	struct core_range range[WEFT_MAX_OPERANDS];
	struct weft_fault_record fault;
	struct weft_model_cost result;

	if (core_check(command, range, &fault)) {
		char text[512];

		accel_describe(&fault, command, command->size, text, sizeof(text));
		return accel_fail(EINVAL, "%s", text);
	}
	weft_model_cost(drm->model, command, &result);
	*cost = (struct accel_cost){result.cycles, result.picojoules, result.operations, result.bytes};
	return 0;
}

static int context_new(struct accel_context *context)
{
	struct drm_device *drm = context->device->data;
	struct drm_weft_context_create create = {
		.command_timeout_ns = context->command_timeout_ns,
		.device_bytes_limit = context->device_bytes_limit,
	};
	struct drm_context *own = calloc(1, sizeof(*own));

	if (!own)
		return accel_fail(ENOMEM, "no memory for a context");
	if (drmIoctl(drm->fd, DRM_IOCTL_WEFT_CONTEXT_CREATE, &create)) {
		int error = errno;

		free(own);
		return accel_fail(error, "cannot make a context: %s", strerror(error));
	}
	own->id = create.id;
	own->next_address = FIRST_ADDRESS(own->id);
	context->data = own;
	return 0;
}

static void context_free(struct accel_context *context)
{
	struct drm_device *drm = context->device->data;
	struct drm_context *own = context->data;
	struct drm_weft_context_destroy destroy = {.id = own->id};

	while (own->unused) {
		struct drm_stream *stream = own->unused;

		own->unused = stream->next;
		drm_memory_free(drm, own, stream->bytes, stream->handle, stream->address, stream->memory);
		free(stream);
	}
	drmIoctl(drm->fd, DRM_IOCTL_WEFT_CONTEXT_DESTROY, &destroy);
	free(own);
}

/* The kernel has stopped a context that has faulted; what was stopped by the library ends by itself. */
static void context_stop(struct accel_context *context)
{
	(void)context;
}

static int context_recover(struct accel_context *context)
{
	struct drm_device *drm = context->device->data;
	const struct drm_context *own = context->data;
	struct drm_weft_context_recover recover = {.id = own->id};

	if (!drmIoctl(drm->fd, DRM_IOCTL_WEFT_CONTEXT_RECOVER, &recover))
		return 0;
	return accel_fail(errno, "cannot recover the context: %s", strerror(errno));
}

const struct accel_backend accel_backend_drm = {
	.name = "drm",
	.accepts = accepts,
	.open = open_device,
	.close = close_device,
	.query = query,
	.counters = counters,
	.cost = cost,
	.context_new = context_new,
	.context_free = context_free,
	.context_stop = context_stop,
	.context_recover = context_recover,
	.queue_new = drm_queue_new,
	.queue_free = drm_queue_free,
	.buffer_new = drm_buffer_new,
	.buffer_free = drm_buffer_free,
	.depth = DRM_QUEUE_DEPTH,
	.submit = drm_submit,
	.poll = drm_poll,
	.traces = false,
};
