/* SPDX-License-Identifier: MIT */
#ifndef ACCEL_SRC_MODEL_H
#define ACCEL_SRC_MODEL_H

#include <accel/model.h>

struct accel_model {
	struct accel_context *context;
	struct accel_queue *queue;
	struct accel_stream *stream;
	struct accel_buffer *device, *host;
	uint8_t *memory;		   /* of the host arena */
	struct accel_model_record *record; /* inputs, then outputs */
	uint32_t inputs, outputs;
};

/** Whether a record describes a tensor inside of @arena bytes. */
bool accel_model_record_valid(const struct accel_model_record *record, uint64_t arena);

#endif /* ACCEL_SRC_MODEL_H */
