/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __WEFT_SYNC_H__
#define __WEFT_SYNC_H__

#include <linux/types.h>

struct dma_fence;
struct dma_fence_chain;
struct drm_file;
struct drm_sched_job;
struct drm_syncobj;
struct drm_weft_array;

void *weft_array_copy(const struct drm_weft_array *array, u32 most, size_t least, size_t size);

/**
 * struct weft_signal - a syncobj to signal
 * @syncobj: referenced
 * @chain: of a timeline: allocated before it is needed
 * @point: of a timeline
 */
struct weft_signal {
	struct drm_syncobj *syncobj;
	struct dma_fence_chain *chain;
	u64 point;
};

/**
 * struct weft_syncs - what a job waits for and signals
 * @sync: copy of the caller's array
 * @count: its elements
 * @signal: what is signalled
 * @signals: its elements
 */
struct weft_syncs {
	struct drm_weft_sync *sync;
	u32 count;
	struct weft_signal *signal;
	u32 signals;
};

int weft_syncs_get(struct weft_syncs *syncs, struct drm_file *file, const struct drm_weft_array *array);
int weft_syncs_add_waits(struct weft_syncs *syncs, struct drm_file *file, struct drm_sched_job *job);
void weft_syncs_signal(struct weft_syncs *syncs, struct dma_fence *fence);
void weft_syncs_put(struct weft_syncs *syncs);

#endif
