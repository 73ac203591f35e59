/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __WEFT_INJECT_H__
#define __WEFT_INJECT_H__

#include <linux/err.h>
#include <linux/types.h>

bool weft_inject_failure(void);
void weft_inject_nth(unsigned int n);

/* What a test can make fail for want of memory: something that returns NULL then, */
#define weft_alloc(allocation) (weft_inject_failure() ? NULL : (allocation))
/* an ERR_PTR, */
#define weft_alloc_err(allocation) (weft_inject_failure() ? ERR_PTR(-ENOMEM) : (allocation))
/* or a negative errno value. */
#define weft_try(call) (weft_inject_failure() ? -ENOMEM : (call))

#endif
