/* SPDX-License-Identifier: MIT */
#ifndef WEFT_TEST_COMPUTE_H
#define WEFT_TEST_COMPUTE_H

#include <stdint.h>

#define COMPUTE_WORDS 8192u

/** Fill @out, of COMPUTE_WORDS words; returns how many were filled. */
uint32_t compute(uint32_t *out);

#endif /* WEFT_TEST_COMPUTE_H */
