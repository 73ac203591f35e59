/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __WEFT_SYNC_H__
#define __WEFT_SYNC_H__

#include <linux/types.h>

#include <drm/weft_accel.h>

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

/* So many need no memory of their own. */
#define WEFT_FEW_SYNCS 4

/**
 * struct weft_syncs - what a job waits for and signals; on the stack
 * @sync: copy of the caller's array
 * @count: its elements
 * @signal: what is signalled
 * @signals: its elements
 * @wait: fences to wait for, referenced
 * @waits: its elements
 * @few: memory for a few of each
 */
struct weft_syncs {
	struct drm_weft_sync *sync;
	u32 count;
	struct weft_signal *signal;
	u32 signals;
	struct dma_fence **wait;
	u32 waits;
	struct {
		struct drm_weft_sync sync[WEFT_FEW_SYNCS];
		struct weft_signal signal[WEFT_FEW_SYNCS];
		struct dma_fence *wait[WEFT_FEW_SYNCS];
	} few;
};

int weft_syncs_get(struct weft_syncs *syncs, struct drm_file *file, const struct drm_weft_array *array);
bool weft_syncs_ready(const struct weft_syncs *syncs, u64 fence_context);
int weft_syncs_add_waits(struct weft_syncs *syncs, struct drm_sched_job *job);
void weft_syncs_signal(struct weft_syncs *syncs, struct dma_fence *fence);
void weft_syncs_put(struct weft_syncs *syncs);

#endif
