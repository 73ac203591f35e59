/* SPDX-License-Identifier: MIT */
/** The checksum of values that are paged to storage. */
#ifndef WEFT_TIER_CHECKSUM_H
#define WEFT_TIER_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

/**
 * XXH3, 64 bits, with the widest vectors that the processor has: it is computed
 * beside every transfer, and at memory speed costs little of it.
 */
uint64_t weft_storage_hash(const void *data, size_t bytes);

#endif /* WEFT_TIER_CHECKSUM_H */
