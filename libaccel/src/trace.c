// SPDX-License-Identifier: MIT
/* Traces: a ring of records per context. */
#include "internal.h"

#include <errno.h>
#include <stdlib.h>

ACCEL_EXPORT int accel_context_trace(struct accel_context *context, size_t records)
{
	struct accel_device *device = context->device;
	struct accel_trace_record *ring = NULL;

	if (!device->backend->traces)
		return accel_fail(EOPNOTSUPP, "accel_context_trace: the %s backend records no traces",
				  device->backend->name);
	if (records) {
		ring = calloc(records, sizeof(*ring));
		if (!ring)
			return accel_fail(ENOMEM, "no memory for %zu trace records", records);
	}
	accel_lock(device);
	free(context->trace.ring);
	context->trace = (struct accel_trace){.ring = ring, .size = records, .left = records};
	accel_unlock(device);
	return 0;
}

void accel_trace_add(struct accel_context *context, const struct accel_trace_record *record)
{
	struct accel_trace *trace = &context->trace;

	if (!trace->left)
		return;
	trace->left--;
	trace->ring[(trace->first + trace->count++) % trace->size] = *record;
}

ACCEL_EXPORT size_t accel_context_trace_read(struct accel_context *context, struct accel_trace_record *record,
					     size_t room)
{
	struct accel_trace *trace = &context->trace;
	size_t count;

	accel_lock(context->device);
	count = trace->count < room ? trace->count : room;
	for (size_t i = 0; i < count; i++) {
		record[i] = trace->ring[trace->first];
		trace->first = (trace->first + 1) % trace->size;
	}
	trace->count -= count;
	accel_unlock(context->device);
	return count;
}
