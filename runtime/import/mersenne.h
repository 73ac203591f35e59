/* SPDX-License-Identifier: MIT */
/**
 * The generator that ONNX's reference implementation draws dropout masks from:
 * Matsumoto and Nishimura's MT19937 with NumPy's way to binary64.
 */
#ifndef WEFT_IMPORT_MERSENNE_H
#define WEFT_IMPORT_MERSENNE_H

#include <stdint.h>

struct weft_mersenne {
	uint32_t word[624];
	unsigned int next;
};

void weft_mersenne_seed(struct weft_mersenne *generator, uint32_t seed);
/** Uniform in [0, 1), 53 bits. */
double weft_mersenne_uniform(struct weft_mersenne *generator);

#endif /* WEFT_IMPORT_MERSENNE_H */
