// SPDX-License-Identifier: MIT
/* Devices: opening by a string, queries, counters. */
#include "internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* In the order in which they are asked for a default. */
static const struct accel_backend *const backends[] = {
	&accel_backend_drm,
	&accel_backend_embedded,
};

#define BACKENDS (sizeof(backends) / sizeof(backends[0]))

static const struct accel_backend *find_backend(const char *spec)
{
	for (size_t i = 0; i < BACKENDS; i++) {
		if (backends[i]->accepts(spec))
			return backends[i];
	}
	return NULL;
}

ACCEL_EXPORT int accel_device_open(const char *spec, struct accel_device **out)
{
	const struct accel_backend *backend;
	struct accel_device *device;
	int result;

	if (!out)
		return accel_fail(EINVAL, "accel_device_open: no place for the device was given");
	*out = NULL;
	if (!spec || !*spec)
		spec = getenv("ACCEL_DEVICE");
	if (spec && !*spec)
		spec = NULL;
	backend = find_backend(spec);
	if (!backend)
		return accel_fail(EINVAL,
				  "device \"%s\" not understood: expected \"embedded[:options]\" or /dev/accel/accelN",
				  spec ? spec : "");
	device = calloc(1, sizeof(*device));
	if (!device)
		return accel_fail(ENOMEM, "no memory for a device");
	atomic_init(&device->references, 1);
	device->backend = backend;
	pthread_mutex_init(&device->lock, NULL);
	result = backend->open(device, spec);
	if (result) {
		pthread_mutex_destroy(&device->lock);
		free(device);
		return result;
	}
	*out = device;
	return 0;
}

ACCEL_EXPORT struct accel_device *accel_device_ref(struct accel_device *device)
{
	atomic_fetch_add(&device->references, 1);
	return device;
}

ACCEL_EXPORT void accel_device_unref(struct accel_device *device)
{
	if (!device || atomic_fetch_sub(&device->references, 1) != 1)
		return;
	device->backend->close(device);
	pthread_mutex_destroy(&device->lock);
	free(device);
}

void accel_lock(struct accel_device *device)
{
	pthread_mutex_lock(&device->lock);
}

void accel_unlock(struct accel_device *device)
{
	pthread_mutex_unlock(&device->lock);
}

void accel_account(uint64_t *use, uint64_t *peak, int64_t change)
{
	*use += (uint64_t)change;
	if (*use > *peak)
		*peak = *use;
}

void accel_device_reap(struct accel_device *device)
{
	struct accel_job *job;

	accel_lock(device);
	job = device->dead;
	device->dead = NULL;
	accel_unlock(device);
	while (job) {
		struct accel_job *next = job->next;

		accel_block_unref(job->block);
		accel_stream_unref(job->stream);
		accel_queue_unref(job->queue);
		free(job);
		job = next;
	}
}

ACCEL_EXPORT int accel_device_query(struct accel_device *device, struct accel_device_info *info)
{
	struct accel_device_info all = {.size = sizeof(all)};

	if (info->size < sizeof(info->size))
		return accel_fail(EINVAL,
				  "accel_device_query: info->size is %zu; set it to sizeof(*info) before the call",
				  info->size);
	device->backend->query(device, &all);
	all.size = info->size;
	memcpy(info, &all, info->size < sizeof(all) ? info->size : sizeof(all));
	return 0;
}

ACCEL_EXPORT int accel_device_counters(struct accel_device *device, struct accel_counters *counters)
{
	struct accel_counters all = {0};

	if (counters->size < sizeof(counters->size))
		return accel_fail(
			EINVAL,
			"accel_device_counters: counters->size is %zu; set it to sizeof(*counters) before the call",
			counters->size);
	accel_lock(device);
	device->backend->counters(device, &all);
	all.device_bytes = device->device_bytes;
	all.device_bytes_peak = device->device_bytes_peak;
	all.host_bytes = device->host_bytes;
	all.host_bytes_peak = device->host_bytes_peak;
	all.control_bytes = device->control_bytes;
	all.control_bytes_peak = device->control_bytes_peak;
	all.faults = device->faults;
	accel_unlock(device);
	all.size = counters->size;
	memcpy(counters, &all, counters->size < sizeof(all) ? counters->size : sizeof(all));
	return 0;
}

ACCEL_EXPORT int accel_device_reset_peaks(struct accel_device *device)
{
	accel_lock(device);
	device->device_bytes_peak = device->device_bytes;
	device->host_bytes_peak = device->host_bytes;
	device->control_bytes_peak = device->control_bytes;
	accel_unlock(device);
	return 0;
}

ACCEL_EXPORT int accel_device_cost(struct accel_device *device, const struct weft_cmd *command, struct accel_cost *cost)
{
	return device->backend->cost(device, command, cost);
}
