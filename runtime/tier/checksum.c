// SPDX-License-Identifier: MIT
#include "tier/checksum.h"

/* Where the library chooses by the processor that it runs on, it is linked; elsewhere the code is taken in. */
#ifdef WEFT_HAVE_XXH3_DISPATCH
#include <xxhash.h>
#include <xxh_x86dispatch.h>
#else
#define XXH_INLINE_ALL
#include <xxhash.h>
#endif

uint64_t weft_storage_hash(const void *data, size_t bytes)
{
	return XXH3_64bits(data, bytes);
}
