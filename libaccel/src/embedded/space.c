// SPDX-License-Identifier: MIT
/*
 * Address spaces.  Addresses are given out once, upwards, with a gap after each
 * region, so that a command that runs past a buffer, or uses one that was freed,
 * faults.  They are above what any processor maps to user space, and differ between
 * contexts: neither a host pointer nor another context's address is ever valid.
 */
#include "embedded.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SPACE_BASE ((uint64_t)1 << 60)
#define SPACE_BITS 44
#define SPACE_CONTEXTS 0xffffu
#define GUARD_BYTES ((uint64_t)64 << 10)

void space_init(struct space *space, uint32_t context)
{
	*space =
		(struct space){.next = SPACE_BASE + ((uint64_t)(context & SPACE_CONTEXTS) << SPACE_BITS) + GUARD_BYTES};
}

void space_destroy(struct space *space)
{
	free(space->region);
}

int space_map(struct space *space, uint8_t *memory, uint64_t bytes, uint32_t access, uint64_t *address)
{
	uint64_t left = ((uint64_t)1 << SPACE_BITS) - (space->next & (((uint64_t)1 << SPACE_BITS) - 1));

	if (bytes > left - GUARD_BYTES || left <= 2 * GUARD_BYTES)
		return accel_fail(ENOSPC, "the context has given out all its device addresses; make a new one");
	if (space->regions == space->room) {
		size_t room = space->room ? 2 * space->room : 16;
		struct region *region = realloc(space->region, room * sizeof(*region));

		if (!region)
			return accel_fail(ENOMEM, "no memory for a mapping");
		space->region = region;
		space->room = room;
	}
	*address = space->next;
	space->region[space->regions++] = (struct region){*address, bytes, memory, access};
	space->next += (bytes + 2 * GUARD_BYTES - 1) & ~(GUARD_BYTES - 1);
	return 0;
}

/* The last region at or below @address, or NULL. */
static struct region *find(const struct space *space, uint64_t address)
{
	size_t low = 0, high = space->regions;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (space->region[middle].address <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low ? &space->region[low - 1] : NULL;
}

void space_unmap(struct space *space, uint64_t address)
{
	struct region *region = find(space, address);

	space->regions--;
	memmove(region, region + 1, (size_t)(space->region + space->regions - region) * sizeof(*region));
}

uint32_t space_translate(const struct space *space, uint64_t address, uint64_t bytes, uint32_t access, uint64_t *place)
{
	const struct region *region = find(space, address);

	if (!region || address - region->address >= region->bytes ||
	    bytes > region->bytes - (address - region->address))
		return WEFT_FAULT_UNMAPPED;
	if ((access & CORE_HOST) != (region->access & CORE_HOST) || access & ~region->access)
		return WEFT_FAULT_PERMISSION;
	*place = (uintptr_t)(region->memory + (address - region->address));
	return WEFT_FAULT_NONE;
}
