/* SPDX-License-Identifier: MIT */
/**
 * The compute engine: executes one checked command at a time on several lanes.
 *
 * What a board vendor replaces with silicon.  The control core has checked the
 * command (shapes, types, parameters, address ranges) before it comes here;
 * kernels check only what depends on data (labels, indices).
 *
 * Results are defined to the bit by <weft_isa.h>: a kernel splits its work so
 * that every output element is computed by one lane in the specified order, and
 * all code paths (scalar, AVX2, AVX-512) perform the same rounded operations.
 */
#ifndef WEFT_ENGINE_H
#define WEFT_ENGINE_H

#include <stddef.h>
#include <stdint.h>
#include <weft_isa.h>

/** Local memory of a lane, for packing and partial sums: not device memory. */
#define WEFT_LANE_LOCAL_BYTES (1u << 20)
/** Memory that the lanes share, for operands in another form: not device memory. */
#define WEFT_SHARED_BYTES (4u << 20)
#define WEFT_ENGINE_MAX_LANES 64

enum weft_engine_isa { WEFT_ENGINE_AUTO, WEFT_ENGINE_SCALAR, WEFT_ENGINE_AVX2, WEFT_ENGINE_AVX512, WEFT_ENGINE_NEON };

struct weft_engine_unit;

/**
 * A kernel.  pointer[i] is element [0, 0, ...] of operand i, NULL where absent.
 * Returns enum weft_fault; for WEFT_FAULT_VALUE it fills fault->operand and
 * fault->address (the offending value).
 */
typedef enum weft_fault (*weft_kernel)(struct weft_engine_unit *unit, const struct weft_cmd *command, void *const pointer[],
				       struct weft_fault_record *fault);

/** The kernels of one code path, by opcode; NULL: not implemented. */
struct weft_kernels {
	const char *name;
	weft_kernel op[WEFT_OP_LIMIT];
};

/** -EINVAL: that code path does not exist on this processor. -ENOMEM.  @lanes is at least 1. */
int weft_engine_unit_new(enum weft_engine_isa isa, unsigned int lanes, struct weft_engine_unit **unit);
void weft_engine_unit_free(struct weft_engine_unit *unit);
/** "scalar", "avx2", "avx512", "neon". */
const char *weft_engine_unit_kernels(const struct weft_engine_unit *unit);
unsigned int weft_engine_unit_lanes(const struct weft_engine_unit *unit);

/** Execute a checked command; one at a time per unit. */
enum weft_fault weft_engine_execute(struct weft_engine_unit *unit, const struct weft_cmd *command, void *const pointer[],
				    struct weft_fault_record *fault);

/* For kernels. */

/** One piece of work: @index of the call's count, executed on @lane. */
typedef void (*weft_piece)(void *argument, unsigned int index, unsigned int lane);
/**
 * Run @count pieces on the unit's lanes and return when all are done.  Which
 * lane gets which piece is not defined, so results must not depend on it.
 * One lane, or one piece: runs in the caller.
 */
void weft_engine_parallel(struct weft_engine_unit *unit, unsigned int count, weft_piece piece, void *argument);
/** @lane's local memory, WEFT_LANE_LOCAL_BYTES, 64-byte aligned; its contents do not survive the command. */
void *weft_engine_local(struct weft_engine_unit *unit, unsigned int lane);
/** WEFT_SHARED_BYTES, 64-byte aligned; its contents do not survive the command. */
void *weft_engine_shared(struct weft_engine_unit *unit);

#endif /* WEFT_ENGINE_H */
