// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: page tables
 *
 * Tables are allocated before they are needed (weft_mmu_prepare()), so that mapping
 * cannot fail, and stay until the context goes: what a context can make the kernel
 * allocate is bounded by what it maps, and charged to its memory cgroup.
 *
 * The caller serialises all calls for one struct weft_mmu but those of weft_mmu_prepare(),
 * which is given the lock.
 */
#include <linux/slab.h>

#include "weft_inject.h"
#include "weft_mmu.h"

static struct weft_table *table_new(struct device *dev, unsigned int level)
{
	struct weft_table *table = weft_alloc(kzalloc(sizeof(*table), GFP_KERNEL_ACCOUNT));

	if (!table)
		return NULL;
	if (level < WEFT_PT_LEVELS - 1) {
		table->child = weft_alloc(kcalloc(WEFT_PT_ENTRIES, sizeof(*table->child), GFP_KERNEL_ACCOUNT));
		if (!table->child)
			goto err_free_table;
	}
	table->entries = weft_alloc((__le64 *)get_zeroed_page(GFP_KERNEL_ACCOUNT));
	if (!table->entries)
		goto err_free_child;
	table->dma = dma_map_single(dev, table->entries, WEFT_HW_PAGE_BYTES, DMA_TO_DEVICE);
	if (dma_mapping_error(dev, table->dma))
		goto err_free_entries;
	return table;

err_free_entries:
	free_page((unsigned long)table->entries);
err_free_child:
	kfree(table->child);
err_free_table:
	kfree(table);
	return NULL;
}

static void table_free(struct device *dev, struct weft_table *table)
{
	if (!table)
		return;
	if (table->child) {
		for (unsigned int i = 0; i < WEFT_PT_ENTRIES; i++)
			table_free(dev, table->child[i]);
	}
	dma_unmap_single(dev, table->dma, WEFT_HW_PAGE_BYTES, DMA_TO_DEVICE);
	free_page((unsigned long)table->entries);
	kfree(table->child);
	kfree(table);
}

/* The device sees @count entries from @index on after this. */
static void table_sync(struct device *dev, struct weft_table *table, unsigned int index, unsigned int count)
{
	dma_sync_single_range_for_device(dev, table->dma, index * sizeof(*table->entries),
					 count * sizeof(*table->entries), DMA_TO_DEVICE);
}

/**
 * weft_mmu_init() - an empty page table
 * @mmu: the page tables
 * @dev: the bus device that walks them
 *
 * Return: 0 or -ENOMEM.
 */
int weft_mmu_init(struct weft_mmu *mmu, struct device *dev)
{
	BUILD_BUG_ON(PAGE_SIZE != WEFT_HW_PAGE_BYTES);
	mmu->dev = dev;
	mmu->root = table_new(dev, 0);
	return mmu->root ? 0 : -ENOMEM;
}

/**
 * weft_mmu_fini() - free all tables
 * @mmu: the page tables, which the device does not walk any more
 */
void weft_mmu_fini(struct weft_mmu *mmu)
{
	table_free(mmu->dev, mmu->root);
	mmu->root = NULL;
}

static unsigned int table_index(u64 address, unsigned int level)
{
	return (address >> WEFT_PT_SHIFT(level)) & (WEFT_PT_ENTRIES - 1);
}

/*
 * Walk to the last table of @address.  A missing one is filled in from *@spare, which is
 * then NULL.  Return: the level of a table that is missing still, 0 if none is.
 */
static unsigned int fill_path(struct weft_mmu *mmu, u64 address, struct weft_table **spare, unsigned int spare_level)
{
	struct weft_table *table = mmu->root;

	for (unsigned int level = 0; level < WEFT_PT_LEVELS - 1; level++) {
		unsigned int index = table_index(address, level);

		if (!table->child[index]) {
			if (!*spare || spare_level != level + 1)
				return level + 1;
			table->child[index] = *spare;
			*spare = NULL;
			WRITE_ONCE(table->entries[index], cpu_to_le64(table->child[index]->dma | WEFT_PTE_VALID));
			table_sync(mmu->dev, table, index, 1);
		}
		table = table->child[index];
	}
	return 0;
}

/**
 * weft_mmu_prepare() - allocate the tables of a range
 * @mmu: the page tables
 * @lock: what serialises the calls for @mmu; not held.  It is taken in the fence
 *	signalling path, so it is not held here while memory is allocated.
 * @address: first address, below 2^WEFT_VA_BITS as the end
 * @range: bytes
 *
 * Return: 0 or -ENOMEM; what was allocated stays.
 */
int weft_mmu_prepare(struct weft_mmu *mmu, struct mutex *lock, u64 address, u64 range)
{
	u64 step = 1ULL << WEFT_PT_SHIFT(WEFT_PT_LEVELS - 2), end = address + range;
	struct weft_table *spare = NULL;
	unsigned int missing, level = 0;

	for (address = ALIGN_DOWN(address, step); address < end; address += step) {
		for (;;) {
			mutex_lock(lock);
			missing = fill_path(mmu, address, &spare, level);
			mutex_unlock(lock);
			if (!missing)
				break;
			/* Another thread may have been faster: then the spare one is of another level. */
			table_free(mmu->dev, spare);
			level = missing;
			spare = table_new(mmu->dev, level);
			if (!spare)
				return -ENOMEM;
		}
	}
	table_free(mmu->dev, spare);
	return 0;
}

static struct weft_table *last_table(struct weft_mmu *mmu, u64 address)
{
	struct weft_table *table = mmu->root;

	for (unsigned int level = 0; table && level < WEFT_PT_LEVELS - 1; level++)
		table = table->child[table_index(address, level)];
	return table;
}

/* Set the entries of a range; @entries NULL clears them. */
static void set_range(struct weft_mmu *mmu, u64 address, u64 range, const u64 *entries, u64 flags)
{
	while (range) {
		unsigned int first = table_index(address, WEFT_PT_LEVELS - 1);
		unsigned int count = min_t(u64, WEFT_PT_ENTRIES - first, range >> WEFT_HW_PAGE_SHIFT);
		struct weft_table *table = last_table(mmu, address);

		for (unsigned int i = 0; table && i < count; i++)
			WRITE_ONCE(table->entries[first + i], entries ? cpu_to_le64(entries[i] | flags) : 0);
		if (table)
			table_sync(mmu->dev, table, first, count);
		if (entries)
			entries += count;
		address += (u64)count << WEFT_HW_PAGE_SHIFT;
		range -= (u64)count << WEFT_HW_PAGE_SHIFT;
	}
}

/**
 * weft_mmu_map() - set the entries of a prepared range
 * @mmu: the page tables
 * @address: first address
 * @range: bytes
 * @entries: weft_bo.entries of the first page
 * @write: the device may write
 */
void weft_mmu_map(struct weft_mmu *mmu, u64 address, u64 range, const u64 *entries, bool write)
{
	set_range(mmu, address, range, entries, WEFT_PTE_VALID | WEFT_PTE_LEAF | (write ? WEFT_PTE_WRITE : 0));
}

/**
 * weft_mmu_unmap() - clear the entries of a range
 * @mmu: the page tables
 * @address: first address
 * @range: bytes
 */
void weft_mmu_unmap(struct weft_mmu *mmu, u64 address, u64 range)
{
	set_range(mmu, address, range, NULL, 0);
}
