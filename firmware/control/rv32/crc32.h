/* SPDX-License-Identifier: MIT */
/** CRC-32 of IEEE 802.3 (reflected, polynomial 0xedb88320): what the firmware image carries. */
#ifndef WEFT_CONTROL_CRC32_H
#define WEFT_CONTROL_CRC32_H

#include <stddef.h>
#include <stdint.h>

/** Continue @crc (0 to start) over @bytes. */
static inline uint32_t weft_crc32(uint32_t crc, const void *data, size_t bytes)
{
	const uint8_t *byte = data;

	crc = ~crc;
	for (size_t i = 0; i < bytes; i++) {
		crc ^= byte[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (0xedb88320u & -(crc & 1));
	}
	return ~crc;
}

#endif /* WEFT_CONTROL_CRC32_H */
