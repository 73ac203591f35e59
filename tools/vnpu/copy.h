/* SPDX-License-Identifier: MIT */
/** WEFT_OP_COPY on a DMA engine of the virtual NPU. */
#ifndef WEFT_VNPU_COPY_H
#define WEFT_VNPU_COPY_H

#include "mmu.h"

/**
 * Execute a checked COPY between device memory at @device (element [0, 0, ...] of
 * the device-side operand) and host memory through the page table.  Returns enum
 * weft_fault with the operand and address in *@operand and *@address.
 */
uint32_t vnpu_copy(struct vnpu_mmu *mmu, uint32_t context, const struct weft_cmd *command, void *device,
		   uint32_t *operand, uint64_t *address);

#endif /* WEFT_VNPU_COPY_H */
