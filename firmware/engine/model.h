/* SPDX-License-Identifier: MIT */
/**
 * The analytical model: cycles and energy of a command on a described device.
 *
 * The model is deterministic: it sees the command's opcode, parameters and shapes,
 * never the data, nor how fast the engine here really is.
 *
 * Compute commands.  The matrix unit is an array of rows x columns multiply-adders.
 * A product [M, K] x [K, N] keeps a rows x columns tile of its second operand and
 * streams M rows through it, so it takes
 *
 *	steps = M * ceil(K / rows) * ceil(N / columns) + rows + columns
 *
 * steps of step_cycles each; M, K and N of the convolutions are those of the equal
 * products (per group):
 *
 *	CONV_FWD		M = N*OH*OW		K = KH*KW*C/G	N = OC/G
 *	CONV_BWD_DATA		M = N*OH*OW		K = OC/G	N = KH*KW*C/G
 *	CONV_BWD_WEIGHT	M = KH*KW*C/G		K = N*OH*OW	N = OC/G
 *
 * The integer products are alike, with integer_speed multiply-adds of 8 bits in the
 * place of one of f32, each of integer_mac_pj.
 *
 * Everything else runs on the vector unit: operations = elements * (operations per
 * element of the opcode, see model.c), vector_lanes of them per cycle.  Memory is
 * streamed meanwhile, so
 *
 *	cycles = command_cycles + max(steps * step_cycles, operations / vector_lanes,
 *				      bytes * clock / device_bytes_per_second)
 *	energy = macs * mac_pj + operations * operation_pj + bytes * device_byte_pj
 *		 + cycles / clock * static_watts
 *
 * where bytes counts each operand once (twice where it is read and written;
 * dimensions of stride 0 once).
 *
 * DMA commands:
 *
 *	seconds = latency + bytes / bandwidth
 *	energy = bytes * (dma_byte_pj + device_byte_pj) + seconds * dma_watts
 *
 * Engines overlap, so energies add up, and cycles add up per engine only.
 */
#ifndef WEFT_ENGINE_MODEL_H
#define WEFT_ENGINE_MODEL_H

#include <stdint.h>
#include <weft_isa.h>

struct weft_model {
	const char *name;
	const char *description;
	double clock_hz;
	double rows, columns; /* multiply-adders, f32 */
	double step_cycles;   /* of one step of the array; above 1 for processors without one */
	double integer_speed; /* 8-bit multiply-adds in the time of one of f32 */
	double integer_mac_pj;
	double vector_lanes;   /* element operations per cycle */
	double command_cycles; /* to start a command */
	double device_bytes_per_second;
	double dma_bytes_per_second[2]; /* in, out */
	double dma_latency_seconds[2];
	double mac_pj, operation_pj, device_byte_pj, dma_byte_pj;
	double static_watts; /* while computing */
	double dma_watts;    /* while copying */
	uint64_t local_bytes;
};

struct weft_model_cost {
	uint64_t cycles; /* each saturates */
	uint64_t picojoules;
	uint64_t operations;
	uint64_t bytes;
};

/** The profile with this name, or NULL. */
const struct weft_model *weft_model_find(const char *name);
/** Profile @index for listing, NULL at the end; 0 is the default, "weft-1". */
const struct weft_model *weft_model_get(unsigned int index);

/** @command has passed the control core's checks. */
void weft_model_cost(const struct weft_model *model, const struct weft_cmd *command, struct weft_model_cost *cost);

#endif /* WEFT_ENGINE_MODEL_H */
