/* SPDX-License-Identifier: MIT */
/**
 * The DMA engines: strided copies of checked COPY commands.
 */
#ifndef WEFT_ENGINE_DMA_H
#define WEFT_ENGINE_DMA_H

#include <stdint.h>
#include <weft_isa.h>

/**
 * Copy operand 0 to operand 1 of @command, which has passed the control core's
 * checks.  pointer[i] is element [0, 0, ...] of operand i.  Of packed types
 * (I4, BIT) whole units are copied: the bits after a row's last element come along.
 */
void weft_dma_copy(const struct weft_cmd *command, void *const pointer[2]);

/** Bytes that the command moves: elements times their size, units of packed rows counted whole. */
uint64_t weft_dma_bytes(const struct weft_tensor *tensor);

#endif /* WEFT_ENGINE_DMA_H */
