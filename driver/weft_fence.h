/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __WEFT_FENCE_H__
#define __WEFT_FENCE_H__

#include <linux/dma-fence.h>

struct weft_fence;

struct weft_fence *weft_fence_alloc(void);
struct dma_fence *weft_fence_init(struct weft_fence *fence, u64 context, u64 seqno);
void weft_fence_free(struct weft_fence *fence);

#endif
