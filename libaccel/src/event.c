// SPDX-License-Identifier: MIT
/* Timelines that the application signals. */
#include "internal.h"

#include <errno.h>
#include <stdlib.h>

ACCEL_EXPORT int accel_event_new(struct accel_context *context, struct accel_event **out)
{
	struct accel_event *event;

	*out = NULL;
	event = calloc(1, sizeof(*event));
	if (!event)
		return accel_fail(ENOMEM, "no memory for an event");
	atomic_init(&event->references, 1);
	event->context = accel_context_ref(context);
	*out = event;
	return 0;
}

ACCEL_EXPORT void accel_event_unref(struct accel_event *event)
{
	struct accel_device *device;

	if (!event || atomic_fetch_sub(&event->references, 1) != 1)
		return;
	device = event->context->device;
	accel_lock(device);
	accel_timeline_abandon(&event->timeline);
	accel_unlock(device);
	accel_device_reap(device);
	accel_context_unref(event->context);
	free(event);
}

ACCEL_EXPORT int accel_event_signal(struct accel_event *event, uint64_t point)
{
	struct accel_device *device = event->context->device;

	accel_lock(device);
	accel_timeline_advance(&event->timeline, point);
	accel_unlock(device);
	return 0;
}
