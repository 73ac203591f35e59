/* SPDX-License-Identifier: MIT */
/** Sizes and amounts as people write and read them. */
#ifndef WEFT_SIZES_H
#define WEFT_SIZES_H

#include <stddef.h>
#include <stdint.h>

/**
 * "1536", "1.5K", "16M", "2G", "64KiB" (powers of 1024), or "unlimited".
 * Returns 0, or -EINVAL or -ERANGE.
 */
int size_parse(const char *text, uint64_t *bytes);
/** "1.5 MiB"; "unlimited" for UINT64_MAX.  Returns @text. */
const char *size_format(uint64_t bytes, char text[24]);
/** As size_parse() takes it, without loss: "24K", "1234567". */
const char *size_exact(uint64_t bytes, char text[24]);
/** "850 µs", "12.3 ms", "4.1 s", "3 min 05 s". */
const char *seconds_format(double seconds, char text[32]);
/** "850 µJ", "1.2 J". */
const char *joules_format(double joules, char text[32]);

#endif /* WEFT_SIZES_H */
