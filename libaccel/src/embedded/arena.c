// SPDX-License-Identifier: MIT
/* Device memory: one mapping, committed by the kernel as it is touched, and a list of its holes. */
#include "embedded.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

int arena_init(struct arena *arena, uint64_t bytes)
{
	void *memory = MAP_FAILED;

	if (bytes <= SIZE_MAX)
		memory = mmap(NULL, (size_t)bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
			      -1, 0);
	if (memory == MAP_FAILED)
		return accel_fail(ENOMEM, "embedded device: no address space for %llu bytes of device memory",
				  (unsigned long long)bytes);
	arena->hole = malloc(2 * sizeof(*arena->hole));
	if (!arena->hole) {
		munmap(memory, (size_t)bytes);
		return accel_fail(ENOMEM, "no memory for a device");
	}
	arena->memory = memory;
	arena->bytes = bytes;
	arena->hole[0] = (struct hole){0, bytes};
	arena->holes = 1;
	arena->room = 2;
	return 0;
}

void arena_destroy(struct arena *arena)
{
	if (!arena->memory)
		return;
	munmap(arena->memory, (size_t)arena->bytes);
	free(arena->hole);
	arena->memory = NULL;
}

/*
 * n allocations have at most n + 1 holes between them.  Each allocation makes sure
 * that there is room for one more than there can be, so that freeing never needs any.
 */
static int reserve(struct arena *arena, size_t room)
{
	struct hole *hole;

	if (room <= arena->room)
		return 0;
	hole = realloc(arena->hole, 2 * room * sizeof(*hole));
	if (!hole)
		return accel_fail(ENOMEM, "no memory for the list of free device memory");
	arena->hole = hole;
	arena->room = 2 * room;
	return 0;
}

int arena_allocate(struct arena *arena, uint64_t bytes, uint64_t *offset)
{
	uint64_t total = 0, largest = 0;
	int result;

	for (size_t i = 0; i < arena->holes; i++) {
		struct hole *hole = &arena->hole[i];

		total += hole->bytes;
		if (hole->bytes > largest)
			largest = hole->bytes;
		if (hole->bytes < bytes)
			continue;
		result = reserve(arena, arena->allocations + 2);
		if (result)
			return result;
		hole = &arena->hole[i];
		*offset = hole->offset;
		hole->offset += bytes;
		hole->bytes -= bytes;
		if (!hole->bytes) {
			arena->holes--;
			memmove(hole, hole + 1, (arena->holes - i) * sizeof(*hole));
		}
		arena->allocations++;
		return 0;
	}
	return accel_fail(
		ENOSPC,
		"device memory: %llu bytes wanted, %llu of %llu bytes are free, and the largest hole has %llu; free "
		"buffers, or open the device with a larger mem=",
		(unsigned long long)bytes, (unsigned long long)total, (unsigned long long)arena->bytes,
		(unsigned long long)largest);
}

void arena_free(struct arena *arena, uint64_t offset, uint64_t bytes)
{
	struct hole *hole = arena->hole;
	size_t at = 0;

	/* Back to the system; reads as zero when it is handed out again. */
	madvise(arena->memory + offset, (size_t)bytes, MADV_DONTNEED);
	arena->allocations--;
	while (at < arena->holes && hole[at].offset < offset)
		at++;
	if (at && hole[at - 1].offset + hole[at - 1].bytes == offset) {
		hole[--at].bytes += bytes;
	} else {
		memmove(&hole[at + 1], &hole[at], (arena->holes - at) * sizeof(*hole));
		hole[at] = (struct hole){offset, bytes};
		arena->holes++;
	}
	if (at + 1 < arena->holes && hole[at].offset + hole[at].bytes == hole[at + 1].offset) {
		hole[at].bytes += hole[at + 1].bytes;
		arena->holes--;
		memmove(&hole[at + 1], &hole[at + 2], (arena->holes - at - 1) * sizeof(*hole));
	}
}
