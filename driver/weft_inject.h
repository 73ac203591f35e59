/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __WEFT_INJECT_H__
#define __WEFT_INJECT_H__

#include <linux/types.h>

bool weft_inject_failure(void);

/* An allocation that a test can make fail. */
#define weft_alloc(allocation) (weft_inject_failure() ? NULL : (allocation))

#endif
