/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __WEFT_MMU_H__
#define __WEFT_MMU_H__

#include <linux/dma-mapping.h>
#include <linux/mutex.h>

#include <weft_hw.h>

struct device;

/**
 * struct weft_table - a page table
 * @entries: what the device reads
 * @dma: its bus address
 * @child: tables of the next level, by index; NULL in the last level
 */
struct weft_table {
	__le64 *entries;
	dma_addr_t dma;
	struct weft_table **child;
};

/**
 * struct weft_mmu - the page tables of a context
 * @dev: the bus device
 * @root: level 0
 */
struct weft_mmu {
	struct device *dev;
	struct weft_table *root;
};

int weft_mmu_init(struct weft_mmu *mmu, struct device *dev);
void weft_mmu_fini(struct weft_mmu *mmu);
int weft_mmu_prepare(struct weft_mmu *mmu, struct mutex *lock, u64 address, u64 range);
void weft_mmu_map(struct weft_mmu *mmu, u64 address, u64 range, const u64 *entries, bool write);
void weft_mmu_unmap(struct weft_mmu *mmu, u64 address, u64 range);

#endif
