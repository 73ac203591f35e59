/* SPDX-License-Identifier: MIT */
/**
 * The control core's program: what stands between the host's rings and the core
 * of core.h.
 *
 * One loop (main.c) takes requests from the host (request.c), keeps jobs in the
 * order of their queues and drives the engines (job.c), and writes events
 * (event.c).  Nothing blocks: a request that has to wait for something stays in a
 * table and is looked at again in every turn of the loop.
 */
#ifndef WEFT_CONTROL_RV32_FIRMWARE_H
#define WEFT_CONTROL_RV32_FIRMWARE_H

#include <stdbool.h>
#include <stdint.h>
#include <weft_hw.h>

#include "chip.h"
#include "core.h"

/** Jobs held at once, started or not. */
#define FIRMWARE_JOBS 32
/** Requests other than jobs that can wait at once. */
#define FIRMWARE_WAITING 16

/* Values of SOC_HALT. */
#define HALT_RING 0x200
#define HALT_CORE 0x201

/* event.c */
void event_init(uint64_t address, uint32_t entries);
/** False: the host has not made room yet. */
bool event_room(void);
/** Write an event; event->index is filled in here.  Only with event_room(). */
void event_post(struct weft_hw_event *event);
/**
 * Interrupt the host if it wants to be told of events written since.  @more: others may
 * follow soon, so that one interrupt can tell of several; it does not wait for long.
 * True: there were such events.
 */
bool event_flush(bool more);

/* job.c */
void job_init(void);
enum weft_hw_status job_accept(const struct weft_hw_request *request);
/** End every job of a context; what runs is aborted. */
void job_stop_context(uint32_t context);
/** Forget that the context has faulted. */
void job_reset_context(uint32_t context);
bool job_context_busy(uint32_t context);
/** Is any job held? */
bool job_any(void);
/** A set of engines that execute a command of @context now. */
uint32_t job_engines_running(uint32_t context);
/** Take results, watch the time, start commands and jobs, report ends.  True: call again. */
bool job_turn(void);

/* request.c */
void request_init(uint32_t offset, uint32_t entries, uint32_t contexts);
/** True: call again. */
bool request_turn(void);
/** Has the host put a request into the ring that was not taken? */
bool request_waiting(void);
/** Have the host ring for the next request.  False: there is one already. */
bool request_arm(void);
/** @engine has finished a command. */
void request_engine_done(uint32_t engine);

#endif /* WEFT_CONTROL_RV32_FIRMWARE_H */
