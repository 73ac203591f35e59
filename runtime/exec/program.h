/* SPDX-License-Identifier: MIT */
/** A plan as command streams and storage transfers, and what waits for what. */
#ifndef WEFT_EXEC_PROGRAM_H
#define WEFT_EXEC_PROGRAM_H

#include <accel/accel.h>

#include "plan/plan.h"

#define WEFT_NO_SEGMENT UINT32_MAX

/** Transfers, as a part of weft_program.list. */
struct weft_io_set {
	uint32_t first, count;
};

/**
 * A command stream, and the transfers that must have ended before it starts:
 * those of the same step, and stores of the step before that it had left under way.
 */
struct weft_segment {
	struct accel_stream *stream;
	struct weft_io_set gates, carried;
};

/** A transfer between host arena and page file. */
struct weft_io {
	uint32_t action; /* in the plan */
	bool write;
	weft_id value;
	uint64_t host, storage, bytes;
	uint32_t segment; /* that must have ended before, or WEFT_NO_SEGMENT */
	/* Transfers that must have ended before: of the same step, and stores of the step before. */
	struct weft_io_set befores, carried;
	bool held; /* must have ended when the step ends; others may go on during the next one */
};

struct weft_program {
	struct weft_segment *segment;
	uint32_t segments, segment_room;
	struct weft_io *io;
	uint32_t ios, io_room;
	uint32_t *list, listed, list_room;
};

/** @device, @host: addresses of the arenas. */
int weft_program_build(struct weft_program *program, struct accel_context *context, const struct weft_graph *graph,
		       const struct weft_plan *plan, uint64_t device, uint64_t host);
void weft_program_clear(struct weft_program *program);

/** A copy of @bytes between host and device memory as a command. */
int weft_append_copy(struct accel_stream *stream, enum weft_engine engine, uint64_t from, uint64_t to, uint64_t bytes,
		     const struct weft_cmd *head);

#endif /* WEFT_EXEC_PROGRAM_H */
