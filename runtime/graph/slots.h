/* SPDX-License-Identifier: MIT */
/** Operand slots of the device's operations, as <weft_isa.h> lists them. */
#ifndef WEFT_GRAPH_SLOTS_H
#define WEFT_GRAPH_SLOTS_H

#include <stdbool.h>
#include <stdint.h>

struct weft_slots {
	const char *name;
	uint8_t inputs;
	uint8_t outputs;
	uint16_t optional; /* bit i: operand i may be absent */
	bool updates;	   /* every output is read as well as written */
};

/** NULL: no such operation. */
const struct weft_slots *weft_slots_of(unsigned int opcode);

#endif /* WEFT_GRAPH_SLOTS_H */
