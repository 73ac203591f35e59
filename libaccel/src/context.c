// SPDX-License-Identifier: MIT
/* Contexts: address spaces, and where faults stop. */
#include "internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

ACCEL_EXPORT int accel_context_new(struct accel_device *device, const struct accel_context_options *options,
				   struct accel_context **out)
{
	struct accel_context *context;
	int result;

	*out = NULL;
	context = calloc(1, sizeof(*context));
	if (!context)
		return accel_fail(ENOMEM, "no memory for a context");
	context->sentence = calloc(1, ACCEL_SENTENCE);
	if (!context->sentence) {
		free(context);
		return accel_fail(ENOMEM, "no memory for a context");
	}
	atomic_init(&context->references, 1);
	context->device = device;
	if (OPTION_PRESENT(options, command_timeout_ns))
		context->command_timeout_ns = options->command_timeout_ns;
	if (OPTION_PRESENT(options, device_bytes_limit))
		context->device_bytes_limit = options->device_bytes_limit;
	accel_lock(device);
	context->id = ++device->contexts;
	accel_unlock(device);
	result = device->backend->context_new(context);
	if (result) {
		free(context->sentence);
		free(context);
		return result;
	}
	accel_device_ref(device);
	*out = context;
	return 0;
}

ACCEL_EXPORT struct accel_context *accel_context_ref(struct accel_context *context)
{
	atomic_fetch_add(&context->references, 1);
	return context;
}

ACCEL_EXPORT void accel_context_unref(struct accel_context *context)
{
	struct accel_device *device;

	if (!context || atomic_fetch_sub(&context->references, 1) != 1)
		return;
	/* No job is left (each holds its queue, which holds the context), so no zombie is in use. */
	device = context->device;
	accel_lock(device);
	accel_buffers_free_unused(context);
	accel_unlock(device);
	device->backend->context_free(context);
	free(context->trace.ring);
	free(context->sentence);
	free(context);
	accel_device_unref(device);
}

void accel_context_stop(struct accel_context *context, const struct weft_fault_record *cause,
			const struct accel_job *guilty)
{
	/* That it was cancelled says less than why, if that comes later. */
	bool first = !context->fault.reason,
	     better = context->fault.reason == WEFT_FAULT_CANCELLED && cause->reason != WEFT_FAULT_CANCELLED;

	/* Bystanders may end before the guilty job, whose stream makes the better sentence. */
	if (!first && !better && (!guilty || memcmp(&context->fault, cause, sizeof(*cause)) != 0))
		return;
	accel_describe(cause, guilty ? guilty->block->bytes : NULL, guilty ? guilty->bytes : 0, context->sentence,
		       ACCEL_SENTENCE);
	context->fault = *cause;
	if (!first)
		return;
	context->device->faults++;
	accel_log(ACCEL_LOG_INFO, "context %u: %s", context->id, context->sentence);
	context->device->backend->context_stop(context);
	for (struct accel_queue *queue = context->queues; queue; queue = queue->next)
		accel_queue_pump(queue);
}

ACCEL_EXPORT int accel_context_fault(struct accel_context *context, struct weft_fault_record *fault)
{
	accel_lock(context->device);
	*fault = context->fault;
	accel_unlock(context->device);
	return 0;
}

ACCEL_EXPORT int accel_context_fault_text(struct accel_context *context, char *text, size_t bytes)
{
	int length;

	accel_lock(context->device);
	length = context->fault.reason ? snprintf(text, bytes, "%s", context->sentence)
				       : snprintf(text, bytes, "%s", "");
	accel_unlock(context->device);
	return length;
}

ACCEL_EXPORT int accel_context_recover(struct accel_context *context)
{
	int result = 0;

	accel_lock(context->device);
	if (context->first_job)
		result = accel_fail(EBUSY, "accel_context_recover: job %llu of the context has not ended yet",
				    (unsigned long long)context->first_job->number);
	else if (context->fault.reason && context->device->backend->context_recover)
		result = context->device->backend->context_recover(context);
	if (!result)
		context->fault = (struct weft_fault_record){0};
	accel_unlock(context->device);
	return result;
}
