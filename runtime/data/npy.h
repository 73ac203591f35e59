/* SPDX-License-Identifier: MIT */
/** NumPy's .npy files, versions 1 to 3, in C order and little-endian. */
#ifndef WEFT_DATA_NPY_H
#define WEFT_DATA_NPY_H

#include "dataset.h"

#define WEFT_NPY_MOST_RANK 8

struct weft_npy {
	struct weft_data_file file;
	char type[4]; /* "f4", "f8", "u1", "i4", "i8" */
	uint32_t element_bytes;
	uint32_t rank;
	uint64_t dims[WEFT_NPY_MOST_RANK];
	uint64_t elements;
	uint64_t start; /* byte of the first element */
};

/** Open and check against the size of the file.  -ENOENT, without a sentence: there is none. */
int weft_npy_open(struct weft_npy *npy, const char *directory, const char *name);
void weft_npy_close(struct weft_npy *npy);
/** Elements [first, first + count) as f32 or i32, converted; -ERANGE where an integer does not fit. */
int weft_npy_read_floats(const struct weft_npy *npy, uint64_t first, uint64_t count, float *values);
int weft_npy_read_ints(const struct weft_npy *npy, uint64_t first, uint64_t count, int32_t *values);

#endif /* WEFT_DATA_NPY_H */
