/* SPDX-License-Identifier: MIT */
/** Files of tests. */
#ifndef FILES_H
#define FILES_H

#include <stddef.h>
#include <stdint.h>

#include "import/model.h"

/** The directory of shared test data: the environment's WEFT_SHARED, else beside the source tree.  NULL where there is
 * none. */
const char *files_shared(void);
/** A whole file; the test fails if it cannot be read.  The caller frees. */
uint8_t *file_read(const char *path, size_t *size);
/** A serialized TensorProto. */
struct weft_host_tensor *file_tensor(const char *path);

#endif /* FILES_H */
