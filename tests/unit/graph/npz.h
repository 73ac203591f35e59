/* SPDX-License-Identifier: MIT */
/** Arrays of an .npz file (a zip of .npy files, stored or deflated), as doubles. */
#ifndef NPZ_H
#define NPZ_H

#include <stddef.h>

/** The elements of array @name; the test fails if it is not there.  The caller frees. */
double *npz_read(const char *path, const char *name, size_t *elements);

#endif /* NPZ_H */
